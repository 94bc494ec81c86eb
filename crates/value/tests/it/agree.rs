//! What must hold for every value that Postgres sends in both forms.

use std::fmt::Debug;

use walhouse_value::{Class, Invalid, PgType, Wire, decode, render};

use crate::oracle::Pair;

/// Panics with the type and the text unless rendering and decoding agree on both forms.
pub(crate) fn agree(ty: &PgType, pair: &Pair) {
    let (Some(binary), Some(text)) = (&pair.binary, &pair.text) else {
        assert!(pair.binary.is_none() && pair.text.is_none(), "{}: NULL in one form only", ty.name);
        return;
    };
    let shown = String::from_utf8_lossy(text);
    let context = format!("{} {shown}", ty.name);
    let mut out = b"before ".to_vec();
    render::text(ty, Wire::Text(text), &mut out).expect(&context);
    assert_eq!(out, [b"before ", text.as_slice()].concat(), "text of {context}");

    out.truncate(7);
    let rendered = render::text(ty, Wire::Binary(binary), &mut out);
    if ty.binary_decodable() {
        rendered.expect(&context);
        assert_eq!(String::from_utf8_lossy(&out), format!("before {shown}"), "binary of {context}");
        typed(&ty.class, Wire::Text(text), Wire::Binary(binary), &context);
    } else {
        rendered.expect_err(&context);
    }
}

fn typed(class: &Class, text: Wire<'_>, binary: Wire<'_>, context: &str) {
    let both = Both { text, binary, context };
    match class {
        Class::Bool => both.same(decode::bool),
        Class::Int2 => both.same(decode::int2),
        Class::Int4 => both.same(decode::int4),
        Class::Int8 => both.same(decode::int8),
        Class::Oid => both.same(decode::oid),
        Class::Xid8 => both.same(decode::xid8),
        Class::PgLsn => both.same(decode::pg_lsn),
        // NaN compares by its name, every other float by its bits
        Class::Float4 => both.same(|wire| decode::float4(wire).map(|f| (f.is_nan(), !f.is_nan() as u32 * f.to_bits()))),
        Class::Float8 => both.same(|wire| decode::float8(wire).map(|f| (f.is_nan(), !f.is_nan() as u64 * f.to_bits()))),
        Class::Numeric { .. } | Class::NumericUnbounded => numeric(&both),
        Class::Money => both.same(decode::money),
        Class::Text | Class::Bpchar | Class::Enum | Class::Json => {
            both.same(|wire| decode::text_bytes(wire).map(<[u8]>::to_vec));
        }
        Class::Jsonb => both.same(|wire| decode::jsonb_bytes(wire).map(<[u8]>::to_vec)),
        Class::Char => both.same(decode::char),
        Class::Bytea => both.same(|wire| appended(wire, decode::bytea)),
        Class::Bit | Class::VarBit => both.same(|wire| appended(wire, decode::bit_string)),
        Class::Uuid => both.same(decode::uuid),
        Class::Date => both.same(decode::date),
        Class::Time => both.same(decode::time),
        Class::TimeTz => both.same(decode::timetz),
        Class::Timestamp | Class::TimestampTz => both.same(decode::timestamp),
        Class::Interval => both.same(decode::interval),
        Class::Inet | Class::Cidr => both.same(decode::inet),
        Class::MacAddr => both.same(decode::macaddr),
        Class::MacAddr8 => both.same(decode::macaddr8),
        Class::Array(element) => array(element, &both),
        Class::Other => unreachable!("not binary decodable"),
    }
}

struct Both<'a> {
    text: Wire<'a>,
    binary: Wire<'a>,
    context: &'a str,
}

impl<'a> Both<'a> {
    fn same<T: PartialEq + Debug>(&self, decode: impl Fn(Wire<'a>) -> Result<T, Invalid>) {
        let text = decode(self.text).expect(self.context);
        let binary = decode(self.binary).expect(self.context);
        assert_eq!(text, binary, "decoded {}", self.context);
    }
}

fn appended(wire: Wire<'_>, decode: fn(Wire<'_>, &mut Vec<u8>) -> Result<(), Invalid>) -> Result<Vec<u8>, Invalid> {
    let mut out = Vec::new();
    decode(wire, &mut out).map(|()| out)
}

fn numeric(both: &Both<'_>) {
    both.same(|wire| decode::numeric_to_i128(wire, 0));
    for scale in [0, 1, 2, 3, 4, 5, 9, 18, 37, 38, 76, 1000] {
        both.same(|wire| decode::numeric_to_i128(wire, scale));
        both.same(|wire| decode::numeric_to_i256(wire, scale));
    }
    let Ok(decode::Numeric::Finite(decimal)) = decode::numeric(both.binary) else {
        both.same(|wire| decode::numeric(wire).map(|n| matches!(n, decode::Numeric::Finite(_))));
        return;
    };
    // at its own scale, the integer is the text without its point
    let text = String::from_utf8_lossy(both.text.bytes()).replace('.', "");
    let expected: Option<i128> = text.parse().ok();
    assert_eq!(decimal.to_i128(decimal.scale()), expected, "scaled {}", both.context);
    if let Some(expected) = expected {
        let low = decimal.to_i256(decimal.scale()).expect(both.context);
        let sign = if expected < 0 { u64::MAX } else { 0 };
        assert_eq!(low, [expected as u64, (expected >> 64) as u64, sign, sign], "wide {}", both.context);
    }
}

fn array(element: &PgType, both: &Both<'_>) {
    both.same(|wire| decode::array(wire).map(|array| array.dimensions().to_vec()));
    let elements = |wire| {
        let mut all = Vec::new();
        let array = decode::array(wire)?;
        array.for_each(&mut Vec::new(), |item| {
            all.push(match item {
                Wire::Null => None,
                item => {
                    let mut text = Vec::new();
                    render::text(element, item, &mut text)?;
                    Some(text)
                }
            });
            Ok::<(), Invalid>(())
        })?;
        assert_eq!(all.len(), array.len(), "length of {}", both.context);
        Ok(all)
    };
    both.same(elements);
}
