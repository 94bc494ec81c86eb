//! What Java does when it prints, hashes and digests: the consumers' bytes depend on it.

pub(crate) mod base64;
pub(crate) mod decimal;
pub(crate) mod digest;
pub(crate) mod float;
pub(crate) mod hash;
mod nat;
pub(crate) mod serial;
