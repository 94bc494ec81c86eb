//! Values that Postgres did not send.

use bytes::Bytes;

use super::*;
use crate::block::{Fill, Filled, StoredRows};

/// Answers the same for every column.
struct Always<'a>(Filled<'a>);

impl Fill for Always<'_> {
    fn value(&self, _: usize) -> Option<Filled<'_>> {
        Some(self.0)
    }
}

/// The block of one row.
fn block(plan: &Arc<TablePlan>, row: &RowInput<'_>) -> Result<Vec<u8>, CellError> {
    let mut builder = BlockBuilder::new(Arc::clone(plan));
    builder.push(row)?;
    Ok(bytes(&builder.finish().unwrap()))
}

fn unfilled(column: &str) -> Result<Vec<u8>, CellError> {
    Err(CellError::Unfilled { column: column.into() })
}

#[test]
fn a_full_old_image_fills_every_column() {
    let plan = plan(vec![builtin(23), builtin(25)]);
    let images =
        Images::new(&plan, &[vec![text("1"), UNCHANGED], vec![text("9"), text("old")], vec![text("1"), text("old")]]);
    let row = RowInput { old: Some((OldImage::Full, images.get(1))), ..input(images.get(0)) };
    assert!(!row.has_holes(&plan));
    assert_eq!(block(&plan, &row), block(&plan, &input(images.get(2))));
}

#[test]
fn a_key_image_fills_the_key_and_nothing_else() {
    let plan = plan(vec![builtin(25), builtin(25)]);
    let images = Images::new(&plan, &[vec![UNCHANGED, text("x")], vec![UNCHANGED, UNCHANGED], vec![text("key"), NULL]]);
    let old = Some((OldImage::Key, images.get(2)));
    let (by_key, hole) = (RowInput { old, ..input(images.get(0)) }, RowInput { old, ..input(images.get(1)) });
    assert!(!by_key.has_holes(&plan));
    assert!(block(&plan, &by_key).is_ok());
    assert_eq!(hole.holes(&plan).collect::<Vec<_>>(), [1]);
    assert_eq!(block(&plan, &hole), unfilled("b"));
    let key = KeyEncoder::new(plan).key(images.get(0), old).unwrap();
    assert_eq!(key.as_bytes(), b"\x03key");
}

#[test]
fn nothing_is_guessed() {
    let plan = plan(vec![builtin(23), builtin(25)]);
    let images = Images::new(&plan, &[vec![text("1"), UNCHANGED]]);
    assert_eq!(block(&plan, &input(images.get(0))), unfilled("b"));
    let unchanged_too = Always(Filled::Sent(images.get(0)));
    let row = RowInput { fill: Some(&unchanged_too), ..input(images.get(0)) };
    assert_eq!(block(&plan, &row), unfilled("b"));
}

#[test]
fn a_fill_is_as_good_as_the_value() {
    let plan = plan(vec![builtin(23), numeric(10, 2)]);
    let rows = [vec![text("1"), UNCHANGED], vec![text("1"), text("1.5")], vec![text("1"), NULL]];
    let images = Images::new(&plan, &[&rows[..], &[vec![text("1"), text("NaN")]]].concat());
    let stored = Bytes::copy_from_slice(&150i64.to_le_bytes());
    let filled = |fill: Filled<'_>| {
        let fill = Always(fill);
        block(&plan, &RowInput { fill: Some(&fill), ..input(images.get(0)) })
    };
    let sent = |index: usize| block(&plan, &input(images.get(index)));
    assert_eq!(filled(Filled::Stored(&stored)), sent(1));
    assert_eq!(filled(Filled::Sent(images.get(1))), sent(1));
    assert_eq!(filled(Filled::Null), sent(2));
    assert_eq!(filled(Filled::Unrepresentable(b"NaN")), sent(3));
    let foreign = Bytes::from_static(b"123");
    let error = CellError::ForeignFill { column: "b".into(), ty: "Decimal(10, 2)".into() };
    assert_eq!(filled(Filled::Stored(&foreign)), Err(error));
}

#[test]
fn stored_rows_are_found_by_key() {
    let plan = plan(vec![builtin(23), builtin(25), builtin(1082)]);
    let mut answer = Vec::new();
    answer.extend([5, 0, 0, 0, 0, 2, b'h', b'i', 1, 1, 1, b'c', 8]);
    answer.extend(b"infinity");
    answer.extend([6, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    let rows = StoredRows::parse(&plan, &[1, 2], answer.clone().into()).unwrap();
    assert_eq!(rows.len(), 2);
    let five = rows.get(&[5, 0, 0, 0]).unwrap();
    assert!(matches!(five.value(1), Some(Filled::Stored(bytes)) if bytes == "hi"));
    assert!(matches!(five.value(2), Some(Filled::Unrepresentable(b"infinity"))));
    assert!(five.value(0).is_none());
    let six = rows.get(&[6, 0, 0, 0]).unwrap();
    assert!(matches!(six.value(1), Some(Filled::Null)));
    assert!(matches!(six.value(2), Some(Filled::Stored(days)) if days[..] == [1, 0, 0, 0]));
    for cut in 1..answer.len() {
        let rows = StoredRows::parse(&plan, &[1, 2], answer[..cut].to_vec().into());
        assert!(rows.is_err() || rows.unwrap().len() == 1, "cut at {cut}");
    }
}

#[test]
fn tombstones_hold_what_was_sent() {
    let plan = plan(vec![builtin(23), builtin(25)]);
    let images = Images::new(
        &plan,
        &[vec![text("1"), text("old")], vec![text("1"), NULL], vec![UNCHANGED, NULL], vec![text("1"), UNCHANGED]],
    );
    let tombstone = |kind, index: usize| {
        let mut builder = BlockBuilder::new(Arc::clone(&plan));
        builder.push_tombstone(kind, images.get(index), &stamp(1))?;
        Ok(bytes(&builder.finish().unwrap()))
    };
    assert_ne!(tombstone(OldImage::Full, 0), tombstone(OldImage::Full, 1));
    assert_eq!(tombstone(OldImage::Key, 0), tombstone(OldImage::Full, 1));
    assert_eq!(tombstone(OldImage::Full, 3), tombstone(OldImage::Full, 1));
    assert_eq!(tombstone(OldImage::Key, 2), unfilled("a"));
}
