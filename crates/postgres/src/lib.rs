//! The walhouse-postgres room.
