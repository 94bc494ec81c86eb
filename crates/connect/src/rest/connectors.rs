//! `/connectors`: list, create, look, change, restart, stop, remove.

use axum::http::Method;
use serde_json::{Map, Value as Json, json};

use super::reply::{Problem, Reply};
use super::route::{At, Route, encode};
use super::{Call, jackson};
use crate::map::ConfigMap;
use crate::plugins::{self, Refused};
use crate::store::{Connector, State, Status, TargetState};

type Answer = Result<Reply, Problem>;

impl Call<'_> {
    pub(super) async fn connectors(&self, route: &Route) -> Answer {
        let Route::Connector(name, at) = route else {
            return if self.method == Method::POST { self.create().await } else { Ok(self.list()) };
        };
        let put = self.method == Method::PUT;
        match *at {
            At::Info if self.method == Method::DELETE => {
                self.known(name)?;
                self.api.worker.delete(name).await?;
                Ok(Reply::empty(204))
            }
            At::Info => Ok(Reply::json(200, info(name, &self.known(name)?))),
            At::Config if put => self.put_config(name).await,
            At::Config => Ok(Reply::json(200, self.known(name)?.config.in_hash_order().to_json())),
            At::Status => Ok(Reply::json(200, self.status(name)?)),
            At::Tasks if self.method == Method::POST => Err(unsigned()),
            At::Fence => Err(unsigned()),
            At::Tasks => Ok(Reply::json(200, self.tasks(name)?)),
            At::TasksConfig => Ok(Reply::json(200, self.tasks_config(name)?)),
            At::TaskStatus(number) => self.task_status(name, number),
            At::TaskRestart(number) => self.restart_task(name, number).await,
            At::Restart => self.restart(name).await,
            At::Pause => self.target(name, TargetState::Paused, 202).await,
            At::Resume => self.target(name, TargetState::Started, 202).await,
            At::Stop => self.target(name, TargetState::Stopped, 204).await,
            At::Topics => self.topics(name),
            At::TopicsReset => self.reset_topics(name).await,
            At::Offsets => self.offsets(name),
        }
    }

    fn stored(&self, name: &str) -> Option<Connector> {
        self.api.worker.stores().configs.connector(name)
    }

    /// A connector that is there.
    fn known(&self, name: &str) -> Result<Connector, Problem> {
        self.stored(name).ok_or_else(|| Problem::not_found(format!("Connector {name} not found")))
    }

    fn list(&self) -> Reply {
        let names = self.api.worker.stores().configs.names();
        let expansions: Vec<&str> = self.query.all("expand").collect();
        if expansions.is_empty() {
            return Reply::json(200, names);
        }
        let expand = |name: &String| {
            let mut parts = Map::new();
            for expansion in &expansions {
                match *expansion {
                    // Between being stored and being started a connector has none.
                    "status" => parts.insert("status".to_owned(), self.status(name).ok()?),
                    "info" => parts.insert("info".to_owned(), info(name, &self.stored(name)?)),
                    _ => None,
                };
            }
            Some((name.clone(), Json::Object(parts)))
        };
        Reply::json(200, names.iter().filter_map(expand).collect::<Map<String, Json>>())
    }

    async fn create(&self) -> Answer {
        let request = jackson::create_request(self.body).map_err(|message| Problem::new(500, message))?;
        let Some(request) = request else {
            let class = "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest";
            return Err(Problem::new(
                500,
                format!("Cannot invoke \"{class}.name()\" because \"createRequest\" is null"),
            ));
        };
        let name = request.name.unwrap_or_default().trim().to_owned();
        let config = named(&name, request.config)?;
        self.validate(&config).await?;
        if self.stored(&name).is_some() {
            return Err(Problem::new(409, format!("Connector {name} already exists")));
        }
        self.api.worker.put(&name, config.clone()).await?;
        let created = Connector { config, ..Connector::default() };
        Ok(Reply::json(201, unordered_info(&name, &created)).at(self.location(&name)))
    }

    async fn put_config(&self, name: &str) -> Answer {
        let config = jackson::text_map(self.body).map_err(|message| Problem::new(500, message))?;
        let config = named(name, config)?;
        self.validate(&config).await?;
        let former = self.stored(name);
        self.api.worker.put(name, config.clone()).await?;
        let created = former.is_none();
        let connector = Connector { config, ..former.unwrap_or_default() };
        let info = unordered_info(name, &connector);
        Ok(if created { Reply::json(201, info).at(self.location(name)) } else { Reply::json(200, info) })
    }

    /// Refuses a configuration with errors; what has no effect is a line in the log.
    async fn validate(&self, config: &ConfigMap) -> Result<(), Problem> {
        let checked = plugins::check(&self.api.worker, config).await.map_err(|refused| match refused {
            Refused::NoClass(message) => Problem::new(400, message),
            Refused::Failed(message) => Problem::new(500, message),
        })?;
        let errors = checked.errors();
        if !errors.is_empty() {
            return Err(Problem::new(
                400,
                format!(
                    "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find \
                     the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
                    errors.len(),
                    errors.join("\n"),
                ),
            ));
        }
        for warning in checked.warnings() {
            tracing::warn!(connector = config.get("name"), "{warning}");
        }
        Ok(())
    }

    fn location(&self, name: &str) -> String {
        format!("http://{}/connectors/{}", self.host, encode(name))
    }

    fn status(&self, name: &str) -> Result<Json, Problem> {
        let statuses = &self.api.worker.stores().statuses;
        let status = statuses.connector(name).filter(|_| self.stored(name).is_some());
        let missing = || Problem::not_found(format!("No status found for connector {name}"));
        let status = status.ok_or_else(missing)?;
        let tasks = statuses.tasks(name).into_iter().map(|(number, status)| task_json(number, &status));
        Ok(status_json(name, &status, tasks.collect()))
    }

    fn task_status(&self, name: &str, number: i32) -> Answer {
        let status = u32::try_from(number).ok().and_then(|number| {
            let status = self.api.worker.stores().statuses.task(name, number)?;
            self.stored(name).map(|_| task_json(number, &status))
        });
        let missing = || Problem::not_found(format!("No status found for task {name}-{number}"));
        Ok(Reply::json(200, status.ok_or_else(missing)?))
    }

    fn tasks(&self, name: &str) -> Result<Json, Problem> {
        let tasks = self.known(name)?.tasks;
        let task = |(number, config): (usize, ConfigMap)| json!({ "id": { "connector": name, "task": number }, "config": config.in_hash_order().to_json() });
        Ok(tasks.into_iter().enumerate().map(task).collect())
    }

    fn tasks_config(&self, name: &str) -> Result<Json, Problem> {
        let tasks = self.known(name)?.tasks.into_iter().enumerate();
        let task =
            |(number, config): (usize, ConfigMap)| (format!("{name}-{number}"), config.in_hash_order().to_json());
        Ok(Json::Object(tasks.map(task).collect()))
    }

    async fn restart(&self, name: &str) -> Answer {
        let (tasks, failed) = (self.query.flag("includeTasks"), self.query.flag("onlyFailed"));
        if self.stored(name).is_none() {
            return Err(Problem::not_found(format!("Unknown connector: {name}")));
        }
        if !tasks && !failed {
            self.api.worker.restart(name, false, false).await?;
            return Ok(Reply::empty(204));
        }
        let statuses = &self.api.worker.stores().statuses;
        let missing = || Problem::not_found(format!("Status for connector {name} not found"));
        let mut status = statuses.connector(name).ok_or_else(missing)?;
        let restarts = |status: &Status| !failed || status.state == State::Failed;
        if restarts(&status) {
            status.state = State::Restarting;
        }
        let planned = statuses.tasks(name).into_iter().map(|(number, mut status)| {
            if tasks && restarts(&status) {
                status.state = State::Restarting;
            }
            task_json(number, &status)
        });
        let planned = planned.collect();
        self.api.worker.restart(name, tasks, failed).await?;
        Ok(Reply::json(202, status_json(name, &status, planned)))
    }

    async fn restart_task(&self, name: &str, number: i32) -> Answer {
        let connector = self.stored(name).ok_or_else(|| Problem::not_found(format!("Unknown connector: {name}")))?;
        if !usize::try_from(number).is_ok_and(|number| number < connector.tasks.len()) {
            return Err(Problem::not_found(format!("Unknown task: {name}-{number}")));
        }
        self.api.worker.restart_task(name).await?;
        Ok(Reply::empty(204))
    }

    async fn target(&self, name: &str, target: TargetState, status: u16) -> Answer {
        if self.stored(name).is_none() {
            return Err(Problem::not_found(format!("Unknown connector {name}")));
        }
        self.api.worker.target(name, target).await?;
        Ok(Reply::empty(status))
    }

    fn topics(&self, name: &str) -> Answer {
        if !self.api.worker.settings().topic_tracking {
            return Err(Problem::new(403, "Topic tracking is disabled."));
        }
        let topics = self.api.worker.stores().statuses.topics(name);
        let topics = Map::from_iter([(name.to_owned(), json!({ "topics": topics }))]);
        Ok(Reply::json(200, topics))
    }

    async fn reset_topics(&self, name: &str) -> Answer {
        let settings = self.api.worker.settings();
        if !settings.topic_tracking {
            return Err(Problem::new(403, "Topic tracking is disabled."));
        }
        if !settings.topic_reset {
            return Err(Problem::new(403, "Topic tracking reset is disabled."));
        }
        if self.stored(name).is_some() {
            self.api.worker.reset_topics(name).await?;
        }
        Ok(Reply::empty(202))
    }

    fn offsets(&self, name: &str) -> Answer {
        self.known(name)?;
        let offsets = self.api.worker.stores().offsets.of(name).into_iter();
        let offset = |(partition, offset): (Json, Json)| json!({ "partition": partition, "offset": offset });
        Ok(Reply::json(200, json!({ "offsets": offsets.map(offset).collect::<Vec<Json>>() })))
    }
}

/// The configuration with the name in it, which must be the path's.
fn named(name: &str, config: Option<ConfigMap>) -> Result<ConfigMap, Problem> {
    let null = "Cannot invoke \"java.util.Map.get(Object)\" because \"connectorConfig\" is null";
    let mut config = config.ok_or_else(|| Problem::new(500, null))?;
    match config.get("name") {
        Some(included) if included != name => Err(Problem::new(
            400,
            format!("Connector name configuration ({included}) doesn't match connector name in the URL ({name})"),
        )),
        Some(_) => Ok(config),
        None => {
            config.set("name", Some(name.to_owned()));
            Ok(config)
        }
    }
}

/// A connector as it is looked at: its configuration in a Java map's order.
fn info(name: &str, connector: &Connector) -> Json {
    let ordered = Connector { config: connector.config.in_hash_order(), ..connector.clone() };
    unordered_info(name, &ordered)
}

/// A connector as it is answered to who wrote it: in the order of the request.
fn unordered_info(name: &str, connector: &Connector) -> Json {
    let task = |number: usize| json!({ "connector": name, "task": number });
    let tasks: Vec<Json> = (0..connector.tasks.len()).map(task).collect();
    json!({ "name": name, "config": connector.config.to_json(), "tasks": tasks, "type": "source" })
}

fn status_json(name: &str, status: &Status, tasks: Vec<Json>) -> Json {
    let mut connector = json!({ "state": status.state, "worker_id": status.worker_id });
    trace(&mut connector, status);
    json!({ "name": name, "connector": connector, "tasks": tasks, "type": "source" })
}

fn task_json(number: u32, status: &Status) -> Json {
    let mut task = json!({ "id": number, "state": status.state, "worker_id": status.worker_id });
    trace(&mut task, status);
    task
}

fn trace(json: &mut Json, status: &Status) {
    if let (Some(object), Some(trace)) = (json.as_object_mut(), status.trace.as_deref().filter(|it| !it.is_empty())) {
        object.insert("trace".to_owned(), trace.into());
    }
}

/// Requests between workers of Connect carry a signature; nobody else makes them.
fn unsigned() -> Problem {
    Problem::new(400, "Internal request missing required signature")
}
