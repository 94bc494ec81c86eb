//! The walhouse-pipeline room.
