//! The decoders against a real Postgres, which is the oracle for both wire forms, and against
//! arbitrary bytes.

mod agree;
mod catalog;
mod no_panic;
mod oracle;
mod random;
mod values;
