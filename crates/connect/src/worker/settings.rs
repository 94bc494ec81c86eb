//! A worker's settings: Connect's properties, under Connect's names.
//!
//! Internal topics are named as in Debezium's image unless the file says otherwise. Properties that Connect knows and
//! that have no meaning here are accepted; [`Settings::without_effect`] names those that would change what happens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use walhouse_kafka::client::Properties;

use crate::error::{Error, Result};
use crate::worker::properties;

/// Where the REST API listens unless told otherwise: Connect's port, on loopback.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8083";
/// The group of the seed's workers, and the image's default.
pub const DEFAULT_GROUP: &str = "1";
/// Connect's `task.shutdown.graceful.timeout.ms`.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// A segment that is written to is not compacted, and a start reads it: with an offset per acknowledgement not a
/// gigabyte, the brokers' default, but what they give their own topic of offsets.
const OFFSET_SEGMENT_BYTES: &str = "104857600";

/// One of the three internal topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// Its name.
    pub name: String,
    /// Partitions, when it has to be made.
    pub partitions: i32,
    /// Copies, when it has to be made; none for as many as there are brokers, at most three.
    pub replication: Option<i32>,
    /// Its settings, when it has to be made: what stands behind `offset.storage.` and so on.
    pub settings: BTreeMap<String, String>,
}

impl InternalTopic {
    /// With this setting, unless it has one.
    fn or_setting(mut self, key: &str, value: &str) -> Self {
        self.settings.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        self
    }
}

/// Everything that a worker is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the REST API.
    pub listen: SocketAddr,
    /// The group: who shares it shares connectors.
    pub group: String,
    /// The topic of configurations.
    pub configs: InternalTopic,
    /// The topic of offsets.
    pub offsets: InternalTopic,
    /// The topic of statuses.
    pub statuses: InternalTopic,
    /// How long a task may take to end.
    pub grace: Duration,
    /// `exactly.once.source.support=enabled`.
    pub exactly_once: bool,
    /// `topic.creation.enable`.
    pub topic_creation: bool,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// `topic.tracking.allow.reset`.
    pub topic_reset: bool,
    /// `rest.advertised.host.name` and `.port`.
    advertised: (Option<String>, Option<u16>),
    all: BTreeMap<String, String>,
}

/// Properties that a worker of more than one machine, or a JVM, needs, and this one does not.
const MEANINGLESS: [&str; 13] = [
    "access.control",
    "admin.listeners",
    "connect.protocol",
    "heartbeat.interval.ms",
    "inter.worker.",
    "metric",
    "plugin.",
    "rebalance.timeout.ms",
    "response.http.headers.config",
    "rest.extension.classes",
    "scheduled.rebalance.max.delay.ms",
    "session.timeout.ms",
    "worker.",
];

/// Properties of all clients, among a worker's own.
const CLIENT_PREFIXES: [&str; 3] = ["security.", "sasl.", "ssl."];

impl Settings {
    /// From the text of a worker's properties file.
    ///
    /// # Errors
    /// A value that cannot be used, named with its key.
    pub fn parse(file: &str) -> Result<Self> {
        Self::from_map(properties::parse(file))
    }

    /// From properties.
    ///
    /// # Errors
    /// A value that cannot be used, named with its key.
    pub fn from_map(all: BTreeMap<String, String>) -> Result<Self> {
        let read = Reader(&all);
        let topic = |kind: &str, name: &str, partitions: i32| -> Result<InternalTopic> {
            Ok(InternalTopic {
                name: read.text(&format!("{kind}.storage.topic"), name),
                partitions: read.number(&format!("{kind}.storage.partitions"))?.unwrap_or(partitions),
                replication: read.number(&format!("{kind}.storage.replication.factor"))?,
                settings: topic_settings(&all, kind),
            })
        };
        let millis = |key: &str, default: Duration| -> Result<Duration> {
            Ok(read.number(key)?.map_or(default, Duration::from_millis))
        };
        Ok(Self {
            listen: read.listen()?,
            group: read.text("group.id", DEFAULT_GROUP),
            // Connect fixes this one: configurations must be in one order.
            configs: InternalTopic { partitions: 1, ..topic("config", "connect_configs", 1)? },
            offsets: topic("offset", "connect_offsets", 25)?.or_setting("segment.bytes", OFFSET_SEGMENT_BYTES),
            statuses: topic("status", "connect_statuses", 5)?,
            grace: millis("task.shutdown.graceful.timeout.ms", DEFAULT_GRACE)?,
            exactly_once: match read.text("exactly.once.source.support", "disabled").to_ascii_lowercase().as_str() {
                "enabled" => true,
                "disabled" | "preparing" => false,
                _ => return Err(invalid("exactly.once.source.support", "disabled, preparing or enabled is expected")),
            },
            topic_creation: read.flag("topic.creation.enable", true)?,
            topic_tracking: read.flag("topic.tracking.enable", true)?,
            topic_reset: read.flag("topic.tracking.allow.reset", true)?,
            advertised: (
                all.get("rest.advertised.host.name").or_else(|| all.get("rest.host.name")).cloned(),
                read.number("rest.advertised.port")?,
            ),
            all,
        })
    }

    /// All properties, for the converters and for `config.providers`.
    #[must_use]
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    /// Names of properties without effect, one for each that a worker of Connect would act on.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&str> {
        let meaningless = |key: &&str| MEANINGLESS.iter().any(|prefix| key.starts_with(prefix));
        let mut names: Vec<&str> = self.all.keys().map(String::as_str).filter(meaningless).collect();
        names.retain(|name| *name != "plugin.path" && *name != "plugin.discovery");
        names
    }

    /// How this worker names itself in statuses: `host:port`, as others reach it.
    #[must_use]
    pub fn worker_id(&self, listen: SocketAddr) -> String {
        let host = match &self.advertised.0 {
            Some(host) => host.clone(),
            None if listen.ip().is_unspecified() => hostname(),
            None => listen.ip().to_string(),
        };
        format!("{host}:{}", self.advertised.1.unwrap_or(listen.port()))
    }

    /// For the internal topics: the worker's own client properties, with `producer.`, `consumer.` or `admin.` ones
    /// left to connectors, as in Connect.
    #[must_use]
    pub fn internal_client(&self) -> Properties {
        let own = self.all.iter().filter(|(key, _)| CLIENT_PREFIXES.iter().any(|prefix| key.starts_with(prefix)));
        self.bootstrap().with_all(own.map(|(key, value)| (key.clone(), value.clone())))
    }

    /// For a connector's client of this kind (`producer`, `admin` or `consumer`): the cluster, the worker's properties
    /// for it, and the connector's own.
    #[must_use]
    pub fn connector_client(&self, kind: &str, connector: &BTreeMap<String, String>) -> Properties {
        let below = |all: &BTreeMap<String, String>, prefix: String| -> Vec<(String, String)> {
            let stripped = |(key, value): (&String, &String)| {
                Some((key.strip_prefix(&prefix)?.to_owned(), value.clone())).filter(|(key, _)| !key.is_empty())
            };
            all.iter().filter_map(stripped).collect()
        };
        self.internal_client()
            .with_all(below(&self.all, format!("{kind}.")))
            .with_all(below(connector, format!("{kind}.override.")))
    }

    fn bootstrap(&self) -> Properties {
        Properties::new(self.all.get("bootstrap.servers").map_or("", String::as_str))
    }
}

fn invalid(key: &str, problem: &str) -> Error {
    Error::Setting { key: key.to_owned(), problem: problem.to_owned() }
}

/// What a worker's file says of an internal topic beyond name, size and what it must be.
fn topic_settings(all: &BTreeMap<String, String>, kind: &str) -> BTreeMap<String, String> {
    let prefix = format!("{kind}.storage.");
    let own = |(key, value): (&String, &String)| {
        let key = key.strip_prefix(&prefix)?;
        let is_setting = !["topic", "partitions", "replication.factor", "cleanup.policy"].contains(&key);
        is_setting.then(|| (key.to_owned(), value.clone()))
    };
    all.iter().filter_map(own).collect()
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

struct Reader<'a>(&'a BTreeMap<String, String>);

impl Reader<'_> {
    fn text(&self, key: &str, default: &str) -> String {
        let value = self.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
        value.unwrap_or(default).to_owned()
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        let parsed = self.0.get(key).map(|value| value.trim().parse());
        parsed.transpose().map_err(|_| invalid(key, "a number is expected"))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.text(key, if default { "true" } else { "false" }).to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(invalid(key, "true or false is expected")),
        }
    }

    /// The first of `listeners`, which has the form `http://host:port`; an empty host is every address.
    fn listen(&self) -> Result<SocketAddr> {
        let list = self.text("listeners", &format!("http://{DEFAULT_LISTEN}"));
        let first = list.split(',').next().unwrap_or_default().trim();
        if first.to_ascii_lowercase().starts_with("https:") {
            let problem = "TLS is not offered: listen on http://127.0.0.1:PORT behind a proxy that does TLS";
            return Err(invalid("listeners", problem));
        }
        let address = first.split_once("://").map_or(first, |(_, address)| address);
        let address = match address.strip_prefix(':') {
            Some(port) => format!("0.0.0.0:{port}"),
            None => address.replacen("localhost:", "127.0.0.1:", 1),
        };
        address.parse().map_err(|_| invalid("listeners", "http://ADDRESS:PORT with an IP address is expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connects_own_files_are_understood() {
        let file = "bootstrap.servers=k:9092\ngroup.id=g\nconfig.storage.topic=c\noffset.storage.partitions=3\n\
            status.storage.replication.factor=2\nstatus.storage.segment.ms=7\nlisteners=http://:8084\nrest.advertised.host.name=me\n\
            exactly.once.source.support=ENABLED\nplugin.path=/x\nrebalance.timeout.ms=1\nsecurity.protocol=SSL\n\
            producer.linger.ms=7\nadmin.x=1\n";
        let settings = Settings::parse(file).unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:8084");
        assert_eq!(settings.worker_id(settings.listen), "me:8084");
        assert_eq!((settings.configs.name.as_str(), settings.configs.partitions), ("c", 1));
        assert_eq!((settings.offsets.name.as_str(), settings.offsets.partitions), ("connect_offsets", 3));
        assert_eq!(settings.statuses.replication, Some(2));
        assert_eq!(settings.statuses.settings, BTreeMap::from([("segment.ms".to_owned(), "7".to_owned())]));
        assert_eq!(settings.offsets.settings["segment.bytes"], OFFSET_SEGMENT_BYTES);
        assert!(settings.exactly_once);
        assert_eq!(settings.without_effect(), ["rebalance.timeout.ms"]);
        let connector = BTreeMap::from([("producer.override.linger.ms".to_owned(), "9".to_owned())]);
        let producer = settings.connector_client("producer", &connector);
        assert_eq!((producer.get("linger.ms"), producer.get("security.protocol")), (Some("9"), Some("SSL")));
        assert_eq!(settings.internal_client().get("linger.ms"), None);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (line, key) in [
            ("listeners=https://:8083", "listeners"),
            ("listeners=nonsense", "listeners"),
            ("topic.creation.enable=maybe", "topic.creation.enable"),
            ("offset.storage.partitions=x", "offset.storage.partitions"),
            ("exactly.once.source.support=yes", "exactly.once.source.support"),
        ] {
            let error = Settings::parse(line).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
