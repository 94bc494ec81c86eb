//! `/connector-plugins`: what there is, what it takes, and whether a configuration would do.

use serde_json::json;

use super::reply::{Problem, Reply};
use super::route::Route;
use super::{Call, jackson};
use crate::plugins::{self, CATALOG, Refused};

impl Call<'_> {
    pub(super) async fn plugins(&self, route: &Route) -> Result<Reply, Problem> {
        match route {
            Route::PluginConfig(name) => {
                let options = CATALOG.options(name);
                let options = options.ok_or_else(|| Problem::not_found(format!("Unknown plugin {name}.")))?;
                Ok(Reply::json(200, json!(options)))
            }
            Route::Validate(name) => self.validate_config(name).await,
            _ => {
                let only = self.query.get("connectorsOnly").filter(|value| !value.is_empty()).unwrap_or("true");
                Ok(Reply::json(200, json!(CATALOG.list(!only.eq_ignore_ascii_case("true")))))
            }
        }
    }

    async fn validate_config(&self, name: &str) -> Result<Reply, Problem> {
        let config = jackson::text_map(self.body).map_err(|message| Problem::new(500, message))?;
        let null = "Cannot invoke \"java.util.Map.get(Object)\" because \"connectorConfig\" is null";
        let config = config.ok_or_else(|| Problem::new(500, null))?;
        if let Some(included) = config.get("connector.class")
            && !pruned(included).ends_with(pruned(name))
        {
            let message = format!("Included connector type {included} does not match request type {name}");
            return Err(Problem::new(400, message));
        }
        let refused = |refused| {
            let (class, message) = match refused {
                Refused::NoClass(message) => ("runtime.rest.errors.BadRequestException", message),
                Refused::Failed(message) => ("errors.ConnectException", message),
            };
            Problem::new(500, format!("org.apache.kafka.connect.{class}: {message}"))
        };
        let checked = plugins::check(&self.api.worker, &config).await.map_err(refused)?;
        Ok(Reply::json(200, checked.to_json()))
    }
}

/// A connector's class or alias without its last word.
fn pruned(name: &str) -> &str {
    name.strip_suffix("Connector").filter(|rest| !rest.is_empty()).unwrap_or(name)
}
