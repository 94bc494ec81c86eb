//! `walhouse run` into Kafka: a Connect worker without its REST interface, and in it the one connector that the file
//! describes.
//!
//! Its internal topics and its group are named after the connector, so that the connectors of a Connect worker on the
//! same brokers are none of its business. The password never gets into them: it is put in when the connector runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use walhouse_change::Retry;
use walhouse_connect::task::{TaskContext, TaskFailure};
use walhouse_connect::{Api, Fault, PostgresRunner, Runner, Settings, State, Worker};
use walhouse_postgres::{Access, Config as Database, SslMode};

use super::{Source, Way, refused};
use crate::exit::{UsageError, one_line};

const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";
const CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";
const PASSWORD: &str = "database.password";
/// Properties of every client of a worker; others are its connectors'.
const OF_ALL_CLIENTS: [&str; 3] = ["security.", "sasl.", "ssl."];
/// The worker says that options cannot be used.
const BAD_REQUEST: u16 = 400;
/// Between two attempts at an end that does not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two looks at the connector's status.
const LOOK: Duration = Duration::from_millis(500);

/// The connector before it runs.
pub(crate) struct Writer {
    name: String,
    settings: Settings,
    options: BTreeMap<String, String>,
    source: Source,
    database: Database,
}

/// How far the worker of this process is.
#[derive(Clone)]
pub(crate) enum OwnWorker {
    /// It waits for this end.
    Waits(String),
    /// It runs, and this is asked about it.
    Runs(Api),
}

impl Writer {
    /// The connector as the file describes it, with Debezium's own default for what it leaves out.
    ///
    /// # Errors
    /// The file asks for what cannot be.
    pub(crate) fn new(way: &Way) -> Result<Self> {
        let name = way.kafka.name.clone().unwrap_or_else(|| way.option("topic.prefix", "").to_owned());
        Ok(Self {
            settings: settings(way, &name)?,
            options: options(way)?,
            source: Source::new(way)?,
            database: way.config.postgres.clone(),
            name,
        })
    }

    /// The connector's slot.
    pub(crate) fn slot(&self) -> &str {
        &self.source.slot
    }

    /// What the worker is told, its internal topics among it.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs until told to stop, and says on the way what it waits for.
    ///
    /// # Errors
    /// Kafka or the connector refuses, or the connector's task has failed for good.
    pub(crate) async fn run(self, stage: watch::Sender<OwnWorker>, stop: CancellationToken) -> Result<()> {
        let Some(worker) = stop.run_until_cancelled(self.start(&stage)).await.transpose()? else { return Ok(()) };
        let ended = stop.run_until_cancelled(self.hold(&worker, &stage)).await;
        worker.stop().await;
        ended.unwrap_or(Ok(()))
    }

    async fn start(&self, stage: &watch::Sender<OwnWorker>) -> Result<Worker> {
        // Statuses of a former run are told from this one's by it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("walhouse-run:{}", since.as_millis());
        let runner = Arc::new(LoggedIn { database: self.database.clone() });
        let mut told = false;
        loop {
            match Worker::start(self.settings.clone(), id.clone(), Arc::clone(&runner) as Arc<dyn Runner>).await {
                Ok(worker) => return Ok(worker),
                Err(error) if is_transient(&error) => wait(stage, "Kafka", &error.to_string(), &mut told).await,
                Err(error) => return Err(refused(error.to_string())),
            }
        }
    }

    /// Puts the connector and watches over it; comes back with its failure.
    async fn hold(&self, worker: &Worker, stage: &watch::Sender<OwnWorker>) -> Result<()> {
        let mut told = false;
        while let Err(error) = self.source.postgres.slot_facts().await {
            if *error.retry() == Retry::Never {
                return Err(error.into());
            }
            wait(stage, "Postgres", &error.one_line(), &mut told).await;
        }
        let api = Api::new(worker.clone(), None);
        let path = format!("/connectors/{}/config", self.name);
        let (status, body) = api.call("PUT", &path, Some(&json!(self.options))).await;
        if !(200..300).contains(&status) {
            let message = body.as_ref().and_then(|body| body.get("message")?.as_str()).unwrap_or_default();
            let message = format!("[kafka] connector: {}", message.trim().replace('\n', " "));
            return Err(if status == BAD_REQUEST { UsageError(message).into() } else { refused(message) });
        }
        tracing::info!(connector = self.name, slot = self.slot(), "walhouse writes to Kafka");
        stage.send_replace(OwnWorker::Runs(api));
        Err(refused(self.failure(worker).await))
    }

    /// The first line of the trace with which its task failed.
    async fn failure(&self, worker: &Worker) -> String {
        loop {
            let status = worker.stores().statuses.task(&self.name, 0);
            if let Some(status) =
                status.filter(|status| status.worker_id == worker.id() && status.state == State::Failed)
            {
                let trace = status.trace.unwrap_or_default();
                let cause = trace.lines().find(|line| line.starts_with("Caused by: ")).or_else(|| trace.lines().next());
                return format!("[kafka] connector {}: {}", self.name, cause.unwrap_or_default());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn is_transient(error: &walhouse_connect::Error) -> bool {
    matches!(error, walhouse_connect::Error::Kafka(error) if error.is_transient())
}

/// Shows what is waited for, once in the log, and waits a little.
async fn wait(stage: &watch::Sender<OwnWorker>, end: &str, error: &str, told: &mut bool) {
    if !std::mem::replace(told, true) {
        tracing::warn!(error, "{end} does not answer: waiting");
    }
    stage.send_replace(OwnWorker::Waits(format!("{end}: {error}")));
    tokio::time::sleep(PAUSE).await;
}

fn settings(way: &Way, name: &str) -> Result<Settings> {
    let group = format!("walhouse-{name}");
    let mut all = BTreeMap::from([
        ("bootstrap.servers".to_owned(), way.kafka.bootstrap.clone()),
        ("config.storage.topic".to_owned(), format!("{group}-configs")),
        ("offset.storage.topic".to_owned(), format!("{group}-offsets")),
        ("status.storage.topic".to_owned(), format!("{group}-statuses")),
        // Of one connector: there is nothing to spread.
        ("offset.storage.partitions".to_owned(), "1".to_owned()),
        ("status.storage.partitions".to_owned(), "1".to_owned()),
        ("key.converter".to_owned(), CONVERTER.to_owned()),
        ("value.converter".to_owned(), CONVERTER.to_owned()),
        ("group.id".to_owned(), group),
    ]);
    if way.option("exactly.once.support", "requested") == "required" {
        all.insert("exactly.once.source.support".to_owned(), "enabled".to_owned());
    }
    for (key, value) in &way.kafka.client.0 {
        let of_all = OF_ALL_CLIENTS.iter().any(|prefix| key.starts_with(prefix));
        let key = if of_all { key.clone() } else { format!("producer.{key}") };
        all.insert(key, value.clone());
    }
    let settings = Settings::from_map(all).map_err(|error| UsageError(error.to_string()))?;
    settings.internal_client().check().map_err(|error| UsageError(format!("[kafka] client: {error}")))?;
    Ok(settings)
}

/// The connector's options: those of the file over those that follow from `[postgres]`.
fn options(way: &Way) -> Result<BTreeMap<String, String>> {
    let access = Access::new(&way.config.postgres)?;
    let url = &access.settings;
    let host = match url.get_hosts() {
        [tokio_postgres::config::Host::Tcp(name)] => name.clone(),
        [tokio_postgres::config::Host::Unix(folder)] => folder.display().to_string(),
        _ => {
            let message = "[postgres] url names several hosts: a connector has one, give it in [kafka] connector";
            return Err(UsageError(message.to_owned()).into());
        }
    };
    let port = url.get_ports().first().copied().unwrap_or(5432).to_string();
    let sslmode = match access.sslmode {
        SslMode::Disable => "disable",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    };
    let tables: Vec<String> = way.config.postgres.tables.iter().map(|table| expression(&table.to_string())).collect();
    let mut options: BTreeMap<String, String> = [
        ("connector.class", CLASS),
        ("plugin.name", "pgoutput"),
        ("database.hostname", &host),
        ("database.port", &port),
        ("database.user", url.get_user().unwrap_or_default()),
        ("database.dbname", url.get_dbname().unwrap_or_default()),
        ("database.sslmode", sslmode),
        ("table.include.list", &tables.join(",")),
        ("publication.autocreate.mode", "filtered"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    if let Some(file) = &access.ca_file {
        options.insert("database.sslrootcert".to_owned(), absolute(file));
    }
    options.extend(way.kafka.connector.0.clone());
    Ok(options)
}

fn absolute(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
}

/// A pattern as a connector's regular expression, which is anchored too.
fn expression(pattern: &str) -> String {
    let letter = |letter: char| match letter {
        '*' => ".*".to_owned(),
        // A comma parts a list of them.
        ',' => r"\x2c".to_owned(),
        _ if letter.is_alphanumeric() || letter == '_' => letter.to_string(),
        _ => format!("\\{letter}"),
    };
    pattern.chars().map(letter).collect()
}

/// The connector, which gets its password from where `[postgres]` has it.
#[derive(Debug)]
struct LoggedIn {
    database: Database,
}

impl LoggedIn {
    fn log_in(&self, config: &mut BTreeMap<String, String>) -> Result<(), String> {
        if config.contains_key(PASSWORD) {
            return Ok(());
        }
        // Read anew each time, so that it can be changed.
        let access = Access::new(&self.database).map_err(|error| one_line(&error.into()))?;
        if let Some(password) = access.settings.get_password() {
            config.insert(PASSWORD.to_owned(), String::from_utf8_lossy(password).into_owned());
        }
        Ok(())
    }
}

impl Runner for LoggedIn {
    fn check<'a>(&'a self, config: &'a BTreeMap<String, String>) -> BoxFuture<'a, Vec<Fault>> {
        Box::pin(async move {
            let mut config = config.clone();
            match self.log_in(&mut config) {
                Ok(()) => PostgresRunner.check(&config).await,
                Err(message) => vec![Fault { option: PASSWORD.to_owned(), message }],
            }
        })
    }

    fn run(&self, mut context: TaskContext) -> BoxFuture<'static, Result<(), TaskFailure>> {
        match self.log_in(&mut context.config) {
            Ok(()) => PostgresRunner.run(context),
            Err(trace) => Box::pin(async { Err(TaskFailure { trace, retriable: true }) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_same_selection_for_a_connector() {
        assert_eq!(expression("public.*"), r"public\..*");
        assert_eq!(expression("a$b.größe_1"), r"a\$b\.größe_1");
        assert_eq!(expression("a.b,c"), r"a\.b\x2cc");
    }
}
