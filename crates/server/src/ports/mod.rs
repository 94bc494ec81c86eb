//! What the console needs of the rest of the house, as traits: `app` implements them over the
//! adapters, tests over memory.
//!
//! A console without a port answers the routes that need it with "not available here"; the routes
//! themselves are always there.

mod commands;
mod connectors;
mod failure;
mod queries;
mod rows;
mod source;
mod tables;
mod topics;
mod verify;

use std::fmt;
use std::sync::Arc;

pub use commands::{Commands, TableCommand};
pub use connectors::{ConnectReply, Connectors};
pub use failure::{Failure, FailureKind};
pub use queries::{Queries, QueryColumn, QueryReply, QueryRequest};
pub use rows::{ChangesReply, ChangesRequest, ColumnChange, RowAction, RowChange, Rows};
pub use source::{Source, WalFacts};
pub use tables::{Catalog, ColumnLayout, Definition, DefinitionKind, MetaColumn, TableLayout, TableSize};
pub use topics::{
    Acl, Broker, Cluster, Committed, Group, GroupMember, NewMessage, NewTopic, PartitionMeta, Reader, Record, Registry,
    Stretch, TopicMeta, TopicSetting, Topics, Watermarks,
};
pub use verify::{DifferingKeys, Progress, TableVerdict, Verifier};

/// Result of everything behind a port.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What is plugged in.
#[derive(Clone, Default)]
pub struct Ports {
    /// The source database, for the forecast of its log.
    pub source: Option<Arc<dyn Source>>,
    /// How tables lie in the target.
    pub catalog: Option<Arc<dyn Catalog>>,
    /// The pipeline's commands.
    pub commands: Option<Arc<dyn Commands>>,
    /// The history of rows.
    pub rows: Option<Arc<dyn Rows>>,
    /// SQL against the target.
    pub queries: Option<Arc<dyn Queries>>,
    /// The proof of equality.
    pub verifier: Option<Arc<dyn Verifier>>,
    /// A Kafka cluster.
    pub topics: Option<Arc<dyn Topics>>,
    /// Its schema registry.
    pub registry: Option<Arc<dyn Registry>>,
    /// A Connect worker.
    pub connectors: Option<Arc<dyn Connectors>>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plugged = [
            ("source", self.source.is_some()),
            ("catalog", self.catalog.is_some()),
            ("commands", self.commands.is_some()),
            ("rows", self.rows.is_some()),
            ("queries", self.queries.is_some()),
            ("verifier", self.verifier.is_some()),
            ("topics", self.topics.is_some()),
            ("registry", self.registry.is_some()),
            ("connectors", self.connectors.is_some()),
        ];
        f.debug_list().entries(plugged.iter().filter(|(_, there)| *there).map(|(name, _)| name)).finish()
    }
}
