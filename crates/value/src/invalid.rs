//! The one error of this crate.

/// A value that is not what its type says. Carries no part of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("decode {type_name}: {what}")]
pub struct Invalid {
    /// The Postgres type (or class of types) that was expected.
    pub type_name: &'static str,
    /// What was wrong, in a few words.
    pub what: &'static str,
}

impl Invalid {
    /// An error for `type_name`.
    #[inline]
    pub const fn new(type_name: &'static str, what: &'static str) -> Self {
        Self { type_name, what }
    }
}
