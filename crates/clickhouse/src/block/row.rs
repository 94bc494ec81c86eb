//! What a row brings along.

use std::fmt;

use bytes::Bytes;
use walhouse_change::{Image, Lsn, OldImage, Op, Version};
use walhouse_value::Wire;

use crate::mapping::TablePlan;

/// `db_action`: what happened to the row at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Part of a copy.
    Read,
    /// Inserted.
    Insert,
    /// Updated.
    Update,
    /// Deleted.
    Delete,
    /// Gone with all other rows.
    Truncate,
}

impl Action {
    /// The data dictionary's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

impl From<Op> for Action {
    fn from(op: Op) -> Self {
        match op {
            Op::Read => Self::Read,
            Op::Insert => Self::Insert,
            Op::Update => Self::Update,
            Op::Delete => Self::Delete,
        }
    }
}

/// The metadata of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Orders the row among its key's.
    pub version: Version,
    /// The change's own LSN.
    pub record_version: Lsn,
    /// Commit time in microseconds since 1970-01-01 UTC.
    pub commit_time_us: i64,
    /// What happened.
    pub action: Action,
}

/// A row to store.
#[derive(Clone, Copy)]
pub struct RowInput<'a> {
    /// The new image.
    pub image: Image<'a>,
    /// The old image, where one was sent.
    pub old: Option<(OldImage, Image<'a>)>,
    /// Where values that neither image has come from.
    pub fill: Option<&'a dyn Fill>,
    /// The metadata.
    pub stamp: Stamp,
}

impl fmt::Debug for RowInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowInput").field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// Values of one row that Postgres did not send.
pub trait Fill {
    /// The value of column `index` (of the plan and the schema); `None` when unknown.
    fn value(&self, index: usize) -> Option<Filled<'_>>;
}

/// A value from elsewhere than the row's own images.
#[derive(Clone, Copy)]
pub enum Filled<'a> {
    /// The column is NULL.
    Null,
    /// The value as ClickHouse stores it: the bytes of RowBinary without a null flag, for a String
    /// without its length.
    Stored(&'a Bytes),
    /// The column is NULL because its type could not hold this value; Postgres' text of it.
    Unrepresentable(&'a [u8]),
    /// The same column of another image of the row, under the same schema.
    Sent(Image<'a>),
}

impl fmt::Debug for Filled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Stored(_) => "Stored",
            Self::Unrepresentable(_) => "Unrepresentable",
            Self::Sent(_) => "Sent",
        })
    }
}

impl<'a> RowInput<'a> {
    /// True when a value is neither in the image nor in the old one, so that the row needs a fill.
    #[must_use]
    pub fn has_holes(&self, plan: &TablePlan) -> bool {
        self.holes(plan).next().is_some()
    }

    /// Indexes of the columns that need a fill.
    pub fn holes(&self, plan: &TablePlan) -> impl Iterator<Item = usize> {
        let holes = plan.columns.iter().enumerate().filter(|(index, column)| {
            matches!(self.image.value(*index), Wire::Unchanged) && from_old(self.old, *index, column.key).is_none()
        });
        holes.map(|(index, _)| index)
    }
}

/// The image that has column `index` besides the new one: the old one when it is whole, or when it
/// holds the key and the column belongs to it.
pub(super) fn from_old(old: Option<(OldImage, Image<'_>)>, index: usize, key: bool) -> Option<Image<'_>> {
    let (kind, image) = old?;
    let sent = kind == OldImage::Full || key;
    (sent && !matches!(image.value(index), Wire::Unchanged)).then_some(image)
}
