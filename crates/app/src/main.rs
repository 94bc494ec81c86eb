//! The walhouse program.

fn main() {}
