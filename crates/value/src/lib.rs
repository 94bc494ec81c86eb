//! The walhouse-value room.
