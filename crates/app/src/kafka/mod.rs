//! The way through Kafka, as far as ClickHouse is concerned: from the connector's options and the tables of
//! Postgres to feeds. [`source`] reads the tables, [`feed`] says how each one's messages are read, [`cluster`]
//! looks at the topics, [`sight`] watches it all for the console. The other end is [`writer`], the connector in this process.

mod cluster;
mod feed;
mod sight;
mod source;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use walhouse_change::{Domain, Error, Retry};
use walhouse_clickhouse::kafka::{Feed, Queue, Verdict, check};
use walhouse_clickhouse::{ClickHouse, TopicState};
use walhouse_kafka::Options;

use crate::config::{Config, Kafka};
use crate::exit::UsageError;
use crate::wiring;

pub(crate) use cluster::Cluster;
pub(crate) use feed::{Prepared, prepare};
pub(crate) use sight::Sight;
pub(crate) use source::{DEFAULT_SLOT, Source};
pub(crate) use writer::{OwnWorker, Writer};

/// A version of ClickHouse that is known to have the setting which follows; an older one may refuse it.
const RESCHEDULES_SINCE: u32 = 26;
/// After a quiet moment a consumer sleeps this long before it looks again. The default of 500 ms is most of the time
/// that a row takes from Postgres to its view.
const RESCHEDULE_MS: &str = "100";

/// The configuration with what it says of Kafka.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) config: Config,
    pub(crate) kafka: Kafka,
    pub(crate) options: Options,
}

impl Way {
    /// Reads the connector's options.
    ///
    /// # Errors
    /// There is no `[kafka]`, or Connect would refuse the options too.
    pub(crate) fn new(config: Config) -> Result<Self> {
        let Some(kafka) = config.kafka.clone() else {
            let missing = format!("{}: needs a [kafka] section; see docs/kafka.md", config.path.display());
            return Err(UsageError(missing).into());
        };
        let options = Options::parse(&kafka.connector.0, &BTreeMap::new())
            .map_err(|error| UsageError(format!("{}: [kafka] connector: {error}", config.path.display())))?;
        Ok(Self { config, kafka, options })
    }

    /// An option of the connector.
    pub(crate) fn option<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.kafka.connector.0.get(key).map_or(default, |value| value.trim())
    }

    /// The target, which may make tables over topics.
    pub(crate) fn target(&self) -> Result<Arc<ClickHouse>> {
        Ok(Arc::new(wiring::owner(&self.config)?))
    }
}

/// One table with its topic, as it is to be.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) prepared: Prepared,
    pub(crate) feed: Feed,
    pub(crate) state: TopicState,
    /// What has happened to the topic since it was last looked at; none if it is not there.
    pub(crate) verdict: Option<Verdict>,
}

/// Plans all tables. Without `cluster` or `target`, as for a first time.
pub(crate) async fn plan(
    way: &Way,
    prepared: Vec<Prepared>,
    target: Option<&ClickHouse>,
    cluster: Option<&Cluster>,
) -> Result<Vec<Planned>> {
    let known = match target {
        Some(target) => target.topics().await?,
        None => BTreeMap::new(),
    };
    let mut settings = engine_settings(&way.kafka);
    if let Some(target) = target
        && major(&target.version().await?) >= RESCHEDULES_SINCE
    {
        settings.insert("kafka_consumer_reschedule_ms".to_owned(), RESCHEDULE_MS.to_owned());
    }
    let mut planned = Vec::with_capacity(prepared.len());
    for table in prepared {
        let plan = match target {
            Some(target) => target.plan(&table.schema).await?,
            None => Arc::new(crate::config::table_plan(&way.config, &table.schema)?),
        };
        let mut state = known.get(&plan.name).cloned().unwrap_or_default();
        let verdict = match cluster {
            Some(cluster) => cluster.look(&table.reading.topic, &mut state).await?,
            None => None,
        };
        let default = format!("walhouse-{}-{}", plan.database, plan.name);
        if state.group.is_empty() || state.topic != table.reading.topic || matches!(verdict, Some(Verdict::Anew(_))) {
            state.group = match cluster {
                Some(cluster) => cluster.free_group(&default, &table.reading.topic).await?,
                None => default,
            };
        }
        state.topic.clone_from(&table.reading.topic);
        let queue = Queue {
            brokers: way.kafka.bootstrap.clone(),
            topic: state.topic.clone(),
            group: state.group.clone(),
            settings: settings.clone(),
        };
        let feed = feed::feed(plan, &table, queue, state.epochs.clone())?;
        planned.push(Planned { prepared: table, feed, state, verdict });
    }
    let feeds: Vec<Feed> = planned.iter().map(|planned| planned.feed.clone()).collect();
    check(&feeds).map_err(|error| refused(error.to_string()))?;
    Ok(planned)
}

/// The first number of a server's version.
fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Kafka's properties that ClickHouse's tables have settings for.
fn engine_settings(kafka: &Kafka) -> BTreeMap<String, String> {
    const KNOWN: [(&str, &str); 5] = [
        ("security.protocol", "kafka_security_protocol"),
        ("sasl.mechanism", "kafka_sasl_mechanism"),
        ("sasl.mechanisms", "kafka_sasl_mechanism"),
        ("sasl.username", "kafka_sasl_username"),
        ("sasl.password", "kafka_sasl_password"),
    ];
    let setting = |(property, setting): (&str, &str)| {
        let value = kafka.client.0.get(property)?;
        let value = if setting == "kafka_security_protocol" { value.to_ascii_lowercase() } else { value.clone() };
        Some((setting.to_owned(), value))
    };
    KNOWN.into_iter().filter_map(setting).collect()
}

/// Names of the properties that only a ClickHouse server's own configuration can set.
pub(crate) fn beyond_tables(kafka: &Kafka) -> Vec<&str> {
    let names = kafka.client.0.keys().map(String::as_str);
    names.filter(|name| name.starts_with("ssl.") || name.starts_with("sasl.jaas") || name.contains("oauth")).collect()
}

/// What stays refused until somebody acts.
pub(crate) fn refused(problem: String) -> anyhow::Error {
    Error::new(Domain::Source, Retry::Never, problem).into()
}

/// The client's properties.
pub(crate) fn properties(kafka: &Kafka) -> Result<walhouse_kafka::client::Properties> {
    let properties = walhouse_kafka::client::Properties::new(&kafka.bootstrap)
        .with_all(kafka.client.0.iter().map(|(key, value)| (key.clone(), value.clone())));
    properties.check().context("[kafka] client")?;
    Ok(properties)
}
