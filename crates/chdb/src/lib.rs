//! The walhouse-chdb room.
