//! The walhouse-server room.
