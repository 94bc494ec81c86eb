//! The walhouse-clickhouse room.

pub mod block;
pub mod ddl;
pub mod mapping;
