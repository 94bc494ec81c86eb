//! The task's own options, beside those that decide messages: database, slot, publication, snapshot, signals.

use std::collections::BTreeMap;
use std::time::Duration;

use walhouse_kafka::Patterns;
use walhouse_postgres::{Config, Secret};

use super::failure::TaskFailure;

/// When rows that were there before are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SnapshotMode {
    Initial,
    InitialOnly,
    Always,
    Never,
    WhenNeeded,
}

/// Who makes the publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Autocreate {
    AllTables,
    Filtered,
    Disabled,
}

/// What becomes of a change that cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailure {
    Fail,
    Warn,
    Skip,
}

/// Where signals are taken from.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// The signal table, `schema.table`, where rows of it are signals.
    pub(super) table: Option<String>,
    /// The signal topic, where it is followed.
    pub(super) topic: Option<String>,
    /// Properties of its consumer.
    pub(super) consumer: BTreeMap<String, String>,
}

/// The options.
pub(super) struct Settings {
    pub(super) database: Config,
    pub(super) slot: String,
    pub(super) publication: String,
    pub(super) autocreate: Autocreate,
    pub(super) snapshot_mode: SnapshotMode,
    pub(super) drop_slot: bool,
    pub(super) confirm: bool,
    pub(super) slot_retries: u32,
    pub(super) slot_retry_delay: Duration,
    pub(super) stream_options: Vec<(String, String)>,
    pub(super) identities: Vec<(Patterns, String)>,
    /// The order of a snapshot's tables: by the first that matches.
    pub(super) order: Patterns,
    /// Which tables a snapshot takes; none for all.
    pub(super) snapshot_tables: Option<Patterns>,
    /// `schema.table` to the statement that reads it.
    pub(super) overrides: BTreeMap<String, String>,
    pub(super) snapshot_delay: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) max_batch: usize,
    pub(super) heartbeat: Option<Duration>,
    pub(super) heartbeat_query: Option<String>,
    pub(super) initial_statements: Vec<String>,
    pub(super) signals: Signals,
    pub(super) signal_table: Option<String>,
    pub(super) chunk_size: usize,
    pub(super) on_failure: OnFailure,
    pub(super) flush_timeout: Duration,
    pub(super) max_retries: i64,
    pub(super) retry_delay: Duration,
}

struct Reader<'a>(&'a BTreeMap<String, String>);

impl<'a> Reader<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn invalid(key: &str, problem: &str) -> TaskFailure {
        let error = walhouse_kafka::Error::Option { key: key.to_owned(), problem: problem.to_owned() };
        TaskFailure::option(&error)
    }

    fn number(&self, key: &str, default: i64) -> Result<i64, TaskFailure> {
        let problem = |_| Self::invalid(key, "An integer is expected");
        self.text(key).map_or(Ok(default), |value| value.parse().map_err(problem))
    }

    fn millis(&self, key: &str, default: u64) -> Result<Duration, TaskFailure> {
        let millis = self.number(key, default as i64)?;
        u64::try_from(millis).map(Duration::from_millis).map_err(|_| Self::invalid(key, "A number from 0 is expected"))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, TaskFailure> {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Self::invalid(key, "Expected value to be either true or false")),
        }
    }

    fn choice<T: Copy>(&self, key: &str, default: T, choices: &[(&str, T)]) -> Result<T, TaskFailure> {
        let Some(value) = self.text(key) else { return Ok(default) };
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            Self::invalid(key, &format!("Value must be one of {}", names.join(", ")))
        })
    }

    fn patterns(&self, key: &str) -> Result<Option<Patterns>, TaskFailure> {
        let parsed = self.text(key).map(|text| Patterns::parse(key, text)).transpose();
        parsed.map_err(|error| TaskFailure::option(&error))
    }
}

impl Settings {
    /// Reads a connector's configuration, and the worker's for the intervals of its flush.
    pub(super) fn parse(
        config: &BTreeMap<String, String>,
        worker: &BTreeMap<String, String>,
    ) -> Result<Self, TaskFailure> {
        let read = Reader(config);
        let of_worker = Reader(worker);
        let modes = [
            ("initial", SnapshotMode::Initial),
            ("initial_only", SnapshotMode::InitialOnly),
            ("always", SnapshotMode::Always),
            ("never", SnapshotMode::Never),
            ("no_data", SnapshotMode::Never),
            ("when_needed", SnapshotMode::WhenNeeded),
        ];
        let creates = [
            ("all_tables", Autocreate::AllTables),
            ("filtered", Autocreate::Filtered),
            ("disabled", Autocreate::Disabled),
        ];
        let failures = [
            ("fail", OnFailure::Fail),
            ("warn", OnFailure::Warn),
            ("skip", OnFailure::Skip),
            ("ignore", OnFailure::Skip),
        ];
        let signal_table = read.text("signal.data.collection").map(str::to_owned);
        let interval = read.millis("heartbeat.interval.ms", 0)?;
        Ok(Self {
            database: database(&read)?,
            slot: read.text("slot.name").unwrap_or("debezium").to_owned(),
            publication: folded(read.text("publication.name").unwrap_or("dbz_publication")),
            autocreate: read.choice("publication.autocreate.mode", Autocreate::AllTables, &creates)?,
            snapshot_mode: read.choice("snapshot.mode", SnapshotMode::Initial, &modes)?,
            drop_slot: read.flag("slot.drop.on.stop", false)?,
            confirm: read.flag("flush.lsn.source", true)?,
            slot_retries: read.number("slot.max.retries", 6)?.clamp(0, i64::from(u32::MAX)) as u32,
            slot_retry_delay: read.millis("slot.retry.delay.ms", 10_000)?,
            stream_options: stream_options(&read),
            identities: identities(&read)?,
            order: order(&read, signal_table.as_deref())?,
            snapshot_tables: read.patterns("snapshot.include.collection.list")?,
            overrides: overrides(&read),
            snapshot_delay: read.millis("snapshot.delay.ms", 0)?,
            lock_timeout: read.millis("snapshot.lock.timeout.ms", 10_000)?,
            max_batch: read.number("max.batch.size", 2048)?.clamp(1, 1 << 20) as usize,
            heartbeat: (!interval.is_zero()).then_some(interval),
            heartbeat_query: read.text("heartbeat.action.query").map(str::to_owned),
            initial_statements: statements(read.text("database.initial.statements").unwrap_or_default()),
            signals: signals(&read, signal_table.clone()),
            signal_table,
            chunk_size: read.number("incremental.snapshot.chunk.size", 1024)?.clamp(1, 1 << 20) as usize,
            on_failure: read.choice("event.processing.failure.handling.mode", OnFailure::Fail, &failures)?,
            flush_timeout: of_worker.millis("offset.flush.timeout.ms", 5_000)?.max(Duration::from_millis(100)),
            max_retries: read.number("errors.max.retries", -1)?,
            retry_delay: read.millis("retriable.restart.connector.wait.ms", 10_000)?,
        })
    }
}

/// Percent-encodes everything but letters and digits.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

fn database(read: &Reader<'_>) -> Result<Config, TaskFailure> {
    let port = read.number("database.port", 5432)?;
    let port = u16::try_from(port).map_err(|_| Reader::invalid("database.port", "A port is expected"))?;
    let password = read.0.get("database.password").map(|password| format!(":{}", encoded(password)));
    let mut url = format!("postgresql://u{}@localhost/d", password.unwrap_or_default());
    let options = [("sslmode", "database.sslmode"), ("sslrootcert", "database.sslrootcert")];
    let mut separator = '?';
    for (name, key) in options {
        if let Some(value) = read.text(key) {
            let value = if name == "sslmode" { value.to_ascii_lowercase() } else { value.replace('/', "%2F") };
            url.push_str(&format!("{separator}{name}={value}"));
            separator = '&';
        }
    }
    Ok(Config {
        url: Some(Secret::new(url)),
        host: read.text("database.hostname").map(str::to_owned),
        port: Some(port),
        user: read.text("database.user").map(str::to_owned),
        database: read.text("database.dbname").map(str::to_owned),
        ..Config::default()
    })
}

/// A name as Postgres reads it where it is not quoted.
fn folded(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$');
    if plain { name.to_ascii_lowercase() } else { name.to_owned() }
}

/// `name=value;name=value`
fn stream_options(read: &Reader<'_>) -> Vec<(String, String)> {
    let text = read.text("slot.stream.params").unwrap_or_default();
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// `schema.table:FULL,schema.table:INDEX name`
fn identities(read: &Reader<'_>) -> Result<Vec<(Patterns, String)>, TaskFailure> {
    const KEY: &str = "replica.identity.autoset.values";
    let text = read.text(KEY).unwrap_or_default();
    let mut identities = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((tables, identity)) = entry.rsplit_once(':') else {
            return Err(Reader::invalid(KEY, "A comma-separated list of schema.table:identity is expected"));
        };
        let tables = Patterns::parse(KEY, tables).map_err(|error| TaskFailure::option(&error))?;
        let identity = identity.trim();
        let words: Vec<&str> = identity.splitn(2, ' ').collect();
        let clause = match (words.first().map(|word| word.to_ascii_uppercase()).as_deref(), words.get(1)) {
            (Some(word @ ("FULL" | "DEFAULT" | "NOTHING")), None) => word.to_owned(),
            (Some("INDEX"), Some(name)) => format!("USING INDEX {}", walhouse_postgres::identifier(name.trim())),
            _ => return Err(Reader::invalid(KEY, "Value must be one of FULL, DEFAULT, NOTHING, INDEX name")),
        };
        identities.push((tables, clause));
    }
    Ok(identities)
}

fn order(read: &Reader<'_>, signals: Option<&str>) -> Result<Patterns, TaskFailure> {
    let tables = read.text("table.include.list").unwrap_or(".*");
    let text = signals.map_or_else(|| tables.to_owned(), |signals| format!("{tables},{signals}"));
    Patterns::parse("table.include.list", &text).map_err(|error| TaskFailure::option(&error))
}

fn overrides(read: &Reader<'_>) -> BTreeMap<String, String> {
    const KEY: &str = "snapshot.select.statement.overrides";
    let tables = read.text(KEY).unwrap_or_default().split(',').map(str::trim).filter(|table| !table.is_empty());
    let statement = |table: &str| read.text(&format!("{KEY}.{table}")).map(|sql| sql.trim_end_matches(';').to_owned());
    tables.filter_map(|table| Some((table.to_owned(), statement(table)?))).collect()
}

/// Statements between semicolons; a doubled one is itself.
fn statements(text: &str) -> Vec<String> {
    let parts = text.replace(";;", "\u{0}");
    let parts = parts.split(';').map(|part| part.replace('\u{0}', ";").trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

fn signals(read: &Reader<'_>, table: Option<String>) -> Signals {
    let channels = read.text("signal.enabled.channels").unwrap_or("source");
    let enabled = |name: &str| channels.split(',').any(|channel| channel.trim().eq_ignore_ascii_case(name));
    let prefix = read.text("topic.prefix").unwrap_or_default();
    let topic = || read.text("signal.kafka.topic").map_or_else(|| format!("{prefix}-signal"), str::to_owned);
    let mut consumer: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in read.0 {
        if let Some(name) = key.strip_prefix("signal.consumer.") {
            consumer.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(servers) = read.text("signal.kafka.bootstrap.servers") {
        consumer.entry("bootstrap.servers".to_owned()).or_insert_with(|| servers.to_owned());
    }
    Signals { table: table.filter(|_| enabled("source")), topic: enabled("kafka").then(topic), consumer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Settings, TaskFailure> {
        let config = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::parse(&config, &BTreeMap::new())
    }

    #[test]
    fn defaults_are_debeziums() {
        let it = parse(&[("topic.prefix", "p")]).unwrap();
        assert_eq!((it.slot.as_str(), it.publication.as_str()), ("debezium", "dbz_publication"));
        assert_eq!((it.autocreate, it.snapshot_mode), (Autocreate::AllTables, SnapshotMode::Initial));
        assert_eq!((it.max_batch, it.chunk_size, it.heartbeat), (2048, 1024, None));
        assert!(it.signals.table.is_none() && it.signals.topic.is_none() && it.confirm);
    }

    #[test]
    fn lists_and_statements_are_read() {
        let it = parse(&[
            ("topic.prefix", "p"),
            ("publication.name", "MyPub"),
            ("snapshot.mode", " No_Data "),
            ("signal.data.collection", "public.sig"),
            ("signal.enabled.channels", "source, kafka"),
            ("signal.consumer.group.id", "g"),
            ("snapshot.select.statement.overrides", "a.b, a.c"),
            ("snapshot.select.statement.overrides.a.b", "select 1;"),
            ("database.initial.statements", "SET a = ';;'; SET b = 1"),
            ("replica.identity.autoset.values", "a.b:full,a.*:INDEX i\"x"),
            ("slot.stream.params", "a=b;c=d"),
        ])
        .unwrap();
        assert_eq!((it.publication.as_str(), it.snapshot_mode), ("mypub", SnapshotMode::Never));
        assert_eq!((it.signals.table.as_deref(), it.signals.topic.as_deref()), (Some("public.sig"), Some("p-signal")));
        assert_eq!(it.signals.consumer.get("group.id").map(String::as_str), Some("g"));
        assert_eq!(it.overrides.into_iter().collect::<Vec<_>>(), [("a.b".to_owned(), "select 1".to_owned())]);
        assert_eq!(it.initial_statements, ["SET a = ';'", "SET b = 1"]);
        let clauses: Vec<&str> = it.identities.iter().map(|(_, clause)| clause.as_str()).collect();
        assert_eq!(clauses, ["FULL", "USING INDEX \"i\"\"x\""]);
        assert_eq!(it.stream_options.len(), 2);
        assert!(parse(&[("snapshot.mode", "sometimes")]).is_err());
    }
}
