//! The sink: batches in log order go in, durable rows of many tables come out.
//!
//! `enqueue` splits a batch by table in one pass and hands each table its changes. Per table one
//! task (`table`) gathers rows into a block (`gather`) while the block before it is under way
//! (`flight`, `inserter`), at a distance that the table's parts allow (`pace`). Values that an
//! update left out are read back (`holes`). A batch is durable when every table says so. A table's
//! copy has a sink of its own (`copy`).
//!
//! What is in flight is bounded by the permits of the batches, which are held until then.

mod copy;
mod flight;
mod gather;
mod holes;
mod inserter;
mod pace;
mod stream;
mod table;

pub(crate) use copy::CopySink;
pub(crate) use inserter::Inserter;
pub(crate) use stream::StreamSink;
pub(crate) use table::Start;
