//! The text Postgres would print for a value.
//!
//! Text is copied; binary is written as the type's output function writes it under
//! [`SESSION_SETTINGS`](crate::SESSION_SETTINGS), byte for byte, so that a sink fed by either form
//! holds the same text. Everything is appended to the caller's buffer.

mod array;
mod datetime;
mod float;
mod net;
mod number;

use crate::decode;
use crate::{Class, Invalid, PgType, Wire};

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
        Wire::Binary(_) => binary(&ty.class, wire, out),
        Wire::Null | Wire::Unchanged => Err(Invalid::new(ty.class.name(), "null or unchanged value has no text")),
    }
}

fn binary(class: &Class, wire: Wire<'_>, out: &mut Vec<u8>) -> Result<(), Invalid> {
    match class {
        Class::Bool => out.push(if decode::bool(wire)? { b't' } else { b'f' }),
        Class::Int2 => number::signed(decode::int2(wire)?.into(), out),
        Class::Int4 => number::signed(decode::int4(wire)?.into(), out),
        Class::Int8 => number::signed(decode::int8(wire)?, out),
        Class::Oid => number::unsigned(decode::oid(wire)?.into(), out),
        Class::Xid8 => number::unsigned(decode::xid8(wire)?, out),
        Class::PgLsn => number::lsn(decode::pg_lsn(wire)?, out),
        Class::Float4 => float::real(decode::float4(wire)?, out),
        Class::Float8 => float::double(decode::float8(wire)?, out),
        Class::Numeric { .. } | Class::NumericUnbounded => {
            number::numeric(&decode::numeric(wire)?, out);
        }
        Class::Money => number::money(decode::money(wire)?, out),
        Class::Text | Class::Bpchar | Class::Enum | Class::Json => {
            out.extend_from_slice(decode::text_bytes(wire)?);
        }
        Class::Jsonb => out.extend_from_slice(decode::jsonb_bytes(wire)?),
        Class::Char => number::char(decode::char(wire)?, out),
        Class::Bytea => number::bytea(wire.bytes(), out),
        Class::Uuid => number::uuid(decode::uuid(wire)?, out),
        Class::Date => datetime::date(decode::date(wire)?, out),
        Class::Time => datetime::time(decode::time(wire)?, out),
        Class::TimeTz => datetime::timetz(decode::timetz(wire)?, out),
        Class::Timestamp => datetime::timestamp(decode::timestamp(wire)?, b"", out),
        Class::TimestampTz => datetime::timestamp(decode::timestamp(wire)?, b"+00", out),
        Class::Interval => datetime::interval(decode::interval(wire)?, out),
        Class::Inet => net::inet(&decode::inet(wire)?, out),
        Class::Cidr => net::cidr(&decode::inet(wire)?, out),
        Class::MacAddr => net::mac(&decode::macaddr(wire)?, out),
        Class::MacAddr8 => net::mac(&decode::macaddr8(wire)?, out),
        Class::Bit | Class::VarBit => decode::bit_string(wire, out)?,
        Class::Array(element) => array::array(element, wire, out)?,
        Class::Other => {
            return Err(Invalid::new(class.name(), "binary form of a type that is read as text only"));
        }
    }
    Ok(())
}
