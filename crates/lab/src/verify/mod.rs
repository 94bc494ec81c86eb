//! Proves from outside that the target is the source.
//!
//! Both databases turn every row into the same canonical text, with SQL of their own, and hash it: no encoder or
//! decoder of walhouse takes part. The sums of the hashes are compared per bucket of the key's hash; only in buckets
//! that differ are keys and hashes read. Postgres is read at one snapshot.
//!
//! What is compared: the current-state view with the source table; and where there is a history, that no version is
//! in it twice, and that the newest version of each key is what the view shows.
//!
//! A report names keys and counts, never another value.

mod canonical;
mod catalog;
mod compare;
mod report;
mod side;
mod table;
mod wait;

pub use compare::{Watch, verify, verify_watched};
pub use report::{Differences, HistoryReport, Report, TableReport};
pub use table::Table;
pub use wait::{until, until_equal};
