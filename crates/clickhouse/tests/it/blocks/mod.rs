//! Plans, blocks and views alone, without the sink: what the engine makes of them.

mod speed;
mod support;
mod values;
mod views;
