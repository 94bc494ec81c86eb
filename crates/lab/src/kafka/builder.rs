//! What a private broker shall be.

use std::path::PathBuf;

use super::broker::Broker;
use super::jvm::Tuning;
use crate::error::Result;

/// Enough for a broker under test load; Kafka keeps its data in the page cache and not on the heap.
const SMALL_HEAP_MIB: (u32, u32) = (64, 384);
/// What the recordings of the real Debezium were made with.
const FULL_HEAP_MIB: (u32, u32) = (512, 512);

/// Settings that every private broker has; [`Builder::setting`] overrides them.
///
/// One node: what is replicated elsewhere has one copy here, transactions' log included. Groups start without the
/// delay that waits for more members. A killed broker may not come back before its
/// session has ended, 9 s by default. The cleaner's buffer is 128 MB by default, a third of the small heap.
const SETTINGS: [(&str, &str); 18] = [
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ("controller.listener.names", "CONTROLLER"),
    ("inter.broker.listener.name", "PLAINTEXT"),
    ("default.replication.factor", "1"),
    ("min.insync.replicas", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("broker.session.timeout.ms", "2500"),
    ("broker.heartbeat.interval.ms", "500"),
    ("log.cleaner.dedupe.buffer.size", "8388608"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
];

/// How to start a private broker. Made by [`Broker::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    options: Options,
}

/// The builder's content, as the broker keeps it.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) port: Option<u16>,
    pub(super) tuning: Tuning,
    auto_create_topics: bool,
    partitions: u32,
    settings: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        let settings = Vec::new();
        Self { data_dir: None, port: None, tuning: Tuning::Small, auto_create_topics: true, partitions: 1, settings }
    }
}

impl Builder {
    /// The broker's folder, which is kept: a later start finds its topics again. Without it the folder is a temporary
    /// one and goes with the broker.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.data_dir = Some(folder.into());
        self
    }

    /// A fixed port for clients; without it a free one, which stays the same as long as this [`Broker`] lives.
    pub fn port(mut self, port: u16) -> Self {
        self.options.port = Some(port);
        self
    }

    /// Whether a topic is made when somebody first asks for it; on by default, as in Kafka.
    pub fn auto_create_topics(mut self, on: bool) -> Self {
        self.options.auto_create_topics = on;
        self
    }

    /// How many partitions a topic has when nobody says; 1 by default, as in Kafka.
    pub fn partitions(mut self, count: u32) -> Self {
        self.options.partitions = count;
        self
    }

    /// How its Java is run; [`Tuning::Small`] by default.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.options.tuning = tuning;
        self
    }

    /// A line of `server.properties`; the last one of a key counts.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.settings.push((key.into(), value.into()));
        self
    }

    /// Starts the broker and returns when it serves.
    ///
    /// # Errors
    /// Java or Maven is not on this machine (the error names the command that installs it), or the broker does not
    /// come up (the error holds the end of its log).
    pub async fn start(self) -> Result<Broker> {
        Broker::open(self.options).await
    }
}

impl Options {
    /// Overrides a setting from the next start on.
    pub(super) fn set(&mut self, key: String, value: String) {
        self.settings.push((key, value));
    }

    /// First and largest size of the heap, in MiB.
    pub(super) fn heap_mib(&self) -> (u32, u32) {
        match self.tuning {
            Tuning::Small => SMALL_HEAP_MIB,
            Tuning::Full => FULL_HEAP_MIB,
        }
    }

    /// All settings in the order in which Kafka reads them, but for addresses and folders.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        SETTINGS
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .chain([
                ("auto.create.topics.enable".to_owned(), self.auto_create_topics.to_string()),
                ("num.partitions".to_owned(), self.partitions.to_string()),
            ])
            .chain(self.settings.iter().cloned())
            .collect()
    }
}
