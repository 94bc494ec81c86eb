//! Plans, blocks and views alone, without the sink: what the engine makes of them.

mod support;
mod values;
mod views;
