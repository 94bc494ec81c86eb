//! The text Postgres would print for a value.

use crate::{Invalid, PgType, Wire};

/// Appends the canonical Postgres text of a value.
///
/// # Errors
/// The value is NULL, unchanged, malformed, or binary of a type that is not binary decodable. `out`
/// may then hold a part of the value.
#[inline]
pub fn text(ty: &PgType, wire: Wire<'_>, out: &mut Vec<u8>) -> Result<(), Invalid> {
    match wire {
        Wire::Text(text) => {
            out.extend_from_slice(text);
            Ok(())
        }
        _ => Err(Invalid::new(ty.class.name(), "binary not rendered yet")),
    }
}
