//! Just enough SQL to serve it: tokens, what a client may not say, and where the clauses of a statement are.

mod guard;
mod kafka;
mod lexer;
mod statement;

pub(crate) use guard::{refuse, refuse_foreign};
pub(crate) use kafka::{is_queue_setting, names_one_of, refuse_kafka, reserved};
pub(crate) use statement::{
    Insert, Output, first_word, insert_shape, kill_by_comment, output_shape, returns_rows, used_tables,
};
