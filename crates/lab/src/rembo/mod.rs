//! The sample workload "rembo": a small shop's tables, their data, and a load on them.
//!
//! Four tables in the schema `public`: `sales_territory`, `employee`, `customer`, `sales`. A sale always has its
//! customer, employee and territory, so that the sample query's left joins agree on both databases.
//!
//! The functions take a connection as it is; [`connect`] opens one without TLS.

mod data;
mod dictionary;
mod load;
mod moment;
mod pools;
mod query;
mod schema;
mod seed;
mod sell;
mod views;

pub use crate::postgres::connect;
pub use load::{LoadCounts, LoadOptions, load};
pub use query::{Comparison, SEED_QUERY, compare_seed_query};
pub use schema::{CONFIGURATION, alter, create, drop, tables};
pub use seed::{SeedCounts, SeedOptions, parse_date, seed, today};
pub use sell::{Sold, sell};
pub use views::{TIME_BETWEEN_PURCHASES, views};
