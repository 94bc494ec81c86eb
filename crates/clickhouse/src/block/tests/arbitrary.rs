//! Whatever the bytes are: no panic, and a row that is refused leaves no trace.

use proptest::prelude::*;

use super::*;

/// Every codec: built-in types by oid, Decimals of every width, an enum, an array, an override.
fn every_type() -> Arc<TablePlan> {
    let oids = [
        23, 16, 20, 21, 26, 5069, 3220, 700, 701, 790, 25, 1042, 18, 17, 2950, 1082, 1083, 1266, 1114, 1184, 1186, 114,
        3802, 869, 829,
    ];
    let mut types: Vec<PgType> = oids.into_iter().map(builtin).collect();
    types.extend([builtin(1560), builtin(1007), builtin(600), numeric(5, 2), numeric(18, 0), numeric(38, 38)]);
    types.extend([PgType::new(70_000, -1, "mood", Class::Enum), numeric(76, 10), builtin(1700)]);
    let mut overrides = TableOverride::default();
    overrides.columns.insert("d".into(), "Int64".into());
    overrides.columns.insert("e".into(), "UInt64".into());
    overrides.columns.insert("p".into(), "String".into());
    plan_of(types, 1, &overrides)
}

fn value() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        3 => Just(Kind::Binary),
        3 => Just(Kind::Text),
        1 => Just(Kind::Null),
        1 => Just(Kind::Unchanged),
    ];
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..24),
        "-?[0-9]{1,12}(\\.[0-9]{1,8})?".prop_map(String::into_bytes),
        Just(b"infinity".to_vec()),
        Just(b"NaN".to_vec()),
        Just(b"t".to_vec()),
        prop::sample::select(vec![1usize, 2, 4, 8, 16]).prop_flat_map(|len| prop::collection::vec(any::<u8>(), len)),
    ];
    (kind, bytes)
}

/// A value that its column takes: what `value` makes is refused nearly always.
fn legal(plan: &TablePlan, index: usize) -> Vec<Value> {
    let sample = |ty: &PgType| match &ty.class {
        Class::Bool => "t",
        Class::PgLsn => "1/A",
        Class::Money => "$1.00",
        Class::Uuid => "00112233-4455-6677-8899-aabbccddeeff",
        Class::Date => "2024-02-29",
        Class::Time => "01:02:03",
        Class::Timestamp => "2024-02-29 01:02:03.4",
        Class::TimestampTz => "infinity",
        Class::Numeric { precision: 5, .. } => "NaN",
        Class::Numeric { scale: 38, .. } => "0.5",
        Class::Bytea => "\\x00ff",
        _ => "7",
    };
    let mut row: Vec<Value> = plan.schema.columns.iter().map(|column| text(sample(&column.ty))).collect();
    row[0] = text(&index.to_string());
    row
}

proptest! {
    #[test]
    fn no_value_panics_and_a_refused_row_leaves_no_trace(
        rows in prop::collection::vec(prop::collection::vec((0usize..34, value()), 0..4), 1..12),
        deleted: bool,
    ) {
        let plan = every_type();
        prop_assert_eq!(plan.columns.len(), 34);
        let rows: Vec<Vec<Value>> = rows
            .into_iter()
            .enumerate()
            .map(|(index, changes)| {
                let mut row = legal(&plan, index);
                for (column, value) in changes {
                    row[column] = value;
                }
                row
            })
            .collect();
        let images = Images::new(&plan, &rows);
        let push = |builder: &mut BlockBuilder, index: usize| match deleted {
            true => builder.push_tombstone(OldImage::Full, images.get(index), &stamp(1)),
            false => builder.push(&input(images.get(index))),
        };
        let mut all = BlockBuilder::new(Arc::clone(&plan));
        let taken: Vec<bool> = (0..rows.len()).map(|index| push(&mut all, index).is_ok()).collect();
        let size = all.bytes_so_far();
        let mut some = BlockBuilder::new(Arc::clone(&plan));
        for index in (0..rows.len()).filter(|index| taken[*index]) {
            push(&mut some, index).unwrap();
        }
        prop_assert_eq!(size, some.bytes_so_far());
        prop_assert_eq!(all.rows(), taken.iter().filter(|taken| **taken).count());
        let (all, some) = (all.finish(), some.finish());
        prop_assert_eq!(all.as_ref().map(bytes), some.as_ref().map(bytes));
    }

    #[test]
    fn no_row_of_noise_panics(row in prop::collection::vec(value(), 34)) {
        let plan = every_type();
        let images = Images::new(&plan, &[row]);
        let _ = BlockBuilder::new(Arc::clone(&plan)).push(&input(images.get(0)));
        let _ = KeyEncoder::new(plan).key(images.get(0), None);
    }

    #[test]
    fn no_answer_panics(answer in prop::collection::vec(any::<u8>(), 0..64)) {
        let plan = every_type();
        let _ = crate::block::StoredRows::parse(&plan, &[1, 10, 15], answer.into());
    }
}

#[test]
fn the_sample_row_is_taken() {
    let plan = every_type();
    let images = Images::new(&plan, &[legal(&plan, 1)]);
    BlockBuilder::new(plan).push(&input(images.get(0))).unwrap();
}
