//! Postgres types and the pure decoders of their wire forms.
//!
//! [`PgType`] says what a column holds; [`Wire`] is one value as it was transmitted, text or binary;
//! [`decode`] reads a value into the machine form a column store wants, and [`render::text`] writes
//! the text Postgres itself would print under the session settings of [`SESSION_SETTINGS`].
//!
//! Nothing here does I/O, keeps state, allocates per value (output goes into the caller's buffers)
//! or panics, whatever the input. A value that is not what its type says is [`Invalid`], which names
//! the type and never the value.

pub mod decode;
mod invalid;
pub mod render;
mod types;
mod wire;

pub use invalid::Invalid;
pub use types::{CatalogType, Class, PgType};
pub use wire::{Kind, Wire};

/// Settings that every session whose text reaches this crate must force in its startup options:
/// a role or database may carry others, and they change what Postgres prints.
pub const SESSION_SETTINGS: [(&str, &str); 7] = [
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("timezone", "UTC"),
    ("lc_monetary", "C"),
    // names in regclass and friends are printed relative to it
    ("search_path", "pg_catalog"),
];
