//! What the sink tells about itself. The only file that names metrics.
//!
//! Labels are the table in ClickHouse (as many as there are tables) and nothing of a row.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// Time of one insert until the server answered, in seconds, by physical table.
pub const INSERT_SECONDS: &str = "walhouse_clickhouse_insert_seconds";
/// Rows written, by physical table.
pub const ROWS: &str = "walhouse_clickhouse_rows_total";
/// Bytes of encoded blocks written, by physical table.
pub const BYTES: &str = "walhouse_clickhouse_bytes_total";
/// Inserts tried again, by physical table.
pub const RETRIES: &str = "walhouse_clickhouse_retries_total";
/// Active parts as last seen, by physical table.
pub const ACTIVE_PARTS: &str = "walhouse_clickhouse_active_parts";
/// Smallest time between two inserts into one table as last set, in seconds.
pub const SPACING_SECONDS: &str = "walhouse_clickhouse_insert_spacing_seconds";
/// Rows whose unchanged values were read back, by physical table.
pub const READ_BACK_ROWS: &str = "walhouse_clickhouse_read_back_rows_total";

/// Says what each metric means. Called once; a second call changes nothing.
pub fn describe() {
    metrics::describe_histogram!(INSERT_SECONDS, metrics::Unit::Seconds, "Time of one insert into ClickHouse");
    metrics::describe_counter!(ROWS, "Rows written to ClickHouse");
    metrics::describe_counter!(BYTES, metrics::Unit::Bytes, "Encoded bytes written to ClickHouse");
    metrics::describe_counter!(RETRIES, "Inserts tried again with the same bytes");
    metrics::describe_gauge!(ACTIVE_PARTS, "Active parts of a table as last seen");
    metrics::describe_gauge!(SPACING_SECONDS, metrics::Unit::Seconds, "Smallest time between two inserts");
    metrics::describe_counter!(READ_BACK_ROWS, "Rows read back to fill in unchanged values");
}

pub(crate) fn inserted(table: &str, rows: usize, bytes: usize, took: Duration) {
    histogram!(INSERT_SECONDS, "table" => table.to_owned()).record(took.as_secs_f64());
    counter!(ROWS, "table" => table.to_owned()).increment(rows as u64);
    counter!(BYTES, "table" => table.to_owned()).increment(bytes as u64);
}

pub(crate) fn retried(table: &str) {
    counter!(RETRIES, "table" => table.to_owned()).increment(1);
}

pub(crate) fn parts_seen(table: &str, parts: u64, spacing: Duration) {
    gauge!(ACTIVE_PARTS, "table" => table.to_owned()).set(parts as f64);
    gauge!(SPACING_SECONDS, "table" => table.to_owned()).set(spacing.as_secs_f64());
}

pub(crate) fn read_back(table: &str, rows: usize) {
    counter!(READ_BACK_ROWS, "table" => table.to_owned()).increment(rows as u64);
}
