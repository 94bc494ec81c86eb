//! How a source table lies in ClickHouse: names, columns, types.
//!
//! [`TablePlan`] is made once per table and shape, from the source's schema, the user's
//! [`TableOverride`] and the deployment's [`Layout`]. Everything else of this crate asks the plan:
//! the DDL builders for names and types, the block builder for the order of columns.
//!
//! A plan has the business columns under their Postgres names, in source order, then the metadata
//! columns ([`META_COLUMNS`]). Key columns are not `Nullable`, all others are, whatever Postgres
//! says: dropping a NOT NULL is invisible in the log.

mod error;
mod names;
mod plan;
mod types;

pub use error::{MappingError, UnsupportedType};
pub use names::collisions;
pub use plan::{ColumnPlan, Layout, META_COLUMNS, MetaColumn, TableKind, TableOverride, TablePlan};
pub use types::{ClickHouseType, Dates};
