//! The walhouse-clickhouse room.
