//! The walhouse-lab room.
