//! No decoder panics, whatever the bytes say they are.

use proptest::prelude::*;
use walhouse_value::{Class, Invalid, PgType, Wire, decode, render};

/// Every class, the nested ones included.
fn all_types() -> Vec<PgType> {
    let simple = [
        Class::Bool,
        Class::Int2,
        Class::Int4,
        Class::Int8,
        Class::Oid,
        Class::Xid8,
        Class::PgLsn,
        Class::Float4,
        Class::Float8,
        Class::NumericUnbounded,
        Class::Money,
        Class::Text,
        Class::Bpchar,
        Class::Char,
        Class::Bytea,
        Class::Uuid,
        Class::Date,
        Class::Time,
        Class::TimeTz,
        Class::Timestamp,
        Class::TimestampTz,
        Class::Interval,
        Class::Json,
        Class::Jsonb,
        Class::Inet,
        Class::Cidr,
        Class::MacAddr,
        Class::MacAddr8,
        Class::Bit,
        Class::VarBit,
        Class::Enum,
        Class::Other,
    ];
    let simple = simple.map(|class| PgType::new(1, -1, "t", class));
    let array = |ty: &PgType| PgType::new(2, -1, "t[]", Class::Array(Box::new(ty.clone())));
    let arrays: Vec<PgType> = simple.iter().map(array).collect();
    // an array of a domain over an array
    let nested: Vec<PgType> = arrays.iter().map(array).collect();
    simple.into_iter().chain(arrays).chain(nested).collect()
}

fn exercise(types: &[PgType], bytes: &[u8]) {
    let mut out = Vec::new();
    for wire in [Wire::Text(bytes), Wire::Binary(bytes), Wire::Null, Wire::Unchanged] {
        for ty in types {
            out.clear();
            let _ = render::text(ty, wire, &mut out);
        }
        let _ = (decode::bool(wire), decode::int2(wire), decode::int4(wire), decode::int8(wire));
        let _ = (decode::oid(wire), decode::xid8(wire), decode::pg_lsn(wire), decode::money(wire));
        let _ = (decode::float4(wire), decode::float8(wire), decode::uuid(wire), decode::char(wire));
        let _ = (decode::text_bytes(wire), decode::jsonb_bytes(wire), decode::numeric(wire));
        let _ = (decode::bytea(wire, &mut out), decode::bit_string(wire, &mut out));
        let _ = (decode::date(wire), decode::time(wire), decode::timetz(wire), decode::timestamp(wire));
        let _ = (decode::interval(wire), decode::inet(wire), decode::macaddr(wire), decode::macaddr8(wire));
        for scale in [0, 1, 38, 77, 20_000, u32::MAX] {
            let _ = (decode::numeric_to_i128(wire, scale), decode::numeric_to_i256(wire, scale));
        }
        if let Ok(array) = decode::array(wire) {
            let mut count = 0usize;
            let mut scratch = Vec::new();
            let walked = array.for_each(&mut scratch, |_| {
                count += 1;
                Ok::<(), Invalid>(())
            });
            assert!(walked.is_ok() && count == array.len(), "an accepted array has all its elements");
        }
    }
}

/// Text that gets further into the parsers than noise does.
const ALMOST_TEXT: &str = r#"[-+0-9.:/ \\{},"=\[\]$xaNnfIiyBCe]{0,40}"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        exercise(&all_types(), &bytes);
    }

    #[test]
    fn almost_text(text in ALMOST_TEXT) {
        exercise(&all_types(), text.as_bytes());
    }

    #[test]
    fn almost_values(
        // small numbers in big-endian words look like lengths, counts and dimensions
        words in proptest::collection::vec(prop_oneof![0u32..4, Just(u32::MAX), any::<u32>()], 0..16),
        tail in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend_from_slice(&tail);
        exercise(&all_types(), &bytes);
    }

    #[test]
    fn almost_numerics(
        header in (0u16..6, any::<i16>(), prop_oneof![Just(0u16), Just(0x4000)], 0u16..=0x3fff),
        groups in proptest::collection::vec(0u16..=9_999, 0..6),
    ) {
        let (_, weight, sign, scale) = header;
        let count = groups.len() as u16;
        let words = [count, weight as u16, sign, scale].into_iter().chain(groups);
        let bytes: Vec<u8> = words.flat_map(u16::to_be_bytes).collect();
        exercise(&[PgType::new(1700, -1, "numeric", Class::NumericUnbounded)], &bytes);
    }
}
