//! What the console needs of the rest of the house, as traits: `app` implements them over the
//! adapters, tests over memory.
//!
//! A console without a port answers the routes that need it with "not available here"; the routes
//! themselves are always there.

mod failure;
mod source;
mod tables;

use std::fmt;
use std::sync::Arc;

pub use failure::{Failure, FailureKind};
pub use source::{Source, WalFacts};
pub use tables::{Catalog, ColumnLayout, Definition, DefinitionKind, MetaColumn, TableLayout, TableSize};

/// Result of everything behind a port.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What is plugged in.
#[derive(Clone, Default)]
pub struct Ports {
    /// The source database, for the forecast of its log.
    pub source: Option<Arc<dyn Source>>,
    /// How tables lie in the target.
    pub catalog: Option<Arc<dyn Catalog>>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports")
            .field("source", &self.source.is_some())
            .field("catalog", &self.catalog.is_some())
            .finish()
    }
}
