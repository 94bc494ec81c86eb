//! A schema registry of Confluent's kind, for Avro and Protobuf in the console.

use serde_json::Value;
use walhouse_change::BoxFuture;
use walhouse_server::ports::{Failure, FailureKind, Registry, Result};

use super::http::Http;
use crate::config;

/// The registry at some address.
#[derive(Debug)]
pub(super) struct Schemas(Http);

impl Schemas {
    pub(super) fn new(registry: &config::Registry) -> Result<Self> {
        Http::new("the schema registry", &registry.url, registry.login.as_ref()).map(Self)
    }

    async fn find(&self, id: u32) -> Result<(String, String)> {
        let (code, body) = self.0.call("GET", &format!("/schemas/ids/{id}"), None).await?;
        match code {
            200 => {}
            404 => return Err(Failure::not_found(format_args!("schema {id} in the schema registry"))),
            401 | 403 => {
                let refused = Failure::new(FailureKind::Refused, format!("the schema registry answers {code}"));
                return Err(refused.advise("set [kafka] registry_user and registry_password_file"));
            }
            _ => return Err(Failure::new(FailureKind::Unavailable, format!("the schema registry answers {code}"))),
        }
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let unreadable = || Failure::new(FailureKind::Internal, "the schema registry's answer has no schema");
        // Registries leave the kind out where it is Avro.
        Ok((text("schemaType").unwrap_or_else(|| "AVRO".to_owned()), text("schema").ok_or_else(unreadable)?))
    }
}

impl Registry for Schemas {
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<(String, String)>> {
        Box::pin(self.find(id))
    }
}
