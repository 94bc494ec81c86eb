//! One column of a block under construction.

use bytes::Bytes;
use walhouse_change::Image;
use walhouse_value::{Invalid, PgType, Wire};

use super::codec::{self, Codec, Fit};
use super::dictionary::Dictionary;
use super::native::{self, Body};
use crate::mapping::{ClickHouseType, ColumnPlan, Dates};

/// Where a cell's value comes from.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    Null,
    /// The image's value of this column, as Postgres sent it.
    Sent(Image<'a>),
    /// ClickHouse's own bytes.
    Stored(&'a Bytes),
    /// NULL, in place of a value with this text.
    Unrepresentable(&'a [u8]),
}

/// What a cell became.
pub(super) enum Appended {
    /// A value, or NULL; the bytes that it adds to the block beyond the column's fixed width.
    Done(usize),
    /// NULL, because the type cannot hold the value.
    Unrepresentable,
}

/// Why a cell became nothing. The column may hold a part of it until it is rolled back.
pub(super) enum Refused {
    /// NULL in the key.
    Null,
    /// Not a value of the key's type.
    Unrepresentable,
    /// Stored bytes of another type.
    Foreign,
    Invalid(Invalid),
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

/// A column's name, type and rows so far.
#[derive(Debug)]
pub(super) struct Column {
    /// Name and type as the block has them.
    header: Vec<u8>,
    codec: Codec,
    nullable: bool,
    /// Has a byte per row for NULL (a dictionary has a key for it).
    null_map: bool,
    nulls: Vec<u8>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Fixed { width: usize, bytes: Vec<u8> },
    Strings(Strings),
    Dictionary(Dictionary),
}

/// Strings one behind the other, large ones beside them.
#[derive(Debug, Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    /// Values that belong at an offset of `bytes` (their length is there already).
    shared: Vec<(usize, Bytes)>,
    /// Sizes of both before the row under way.
    mark: (usize, usize),
}

impl Column {
    pub(super) fn new(plan: &ColumnPlan, source: &PgType, dates: Dates) -> Self {
        let nullable = !plan.key;
        let mut header = Vec::new();
        native::string(plan.name.as_bytes(), &mut header);
        native::string(plan.sql_type().as_bytes(), &mut header);
        let data = match (plan.ty, plan.ty.width()) {
            (ClickHouseType::LowCardinality, _) => Data::Dictionary(Dictionary::new(nullable)),
            (_, Some(width)) => Data::Fixed { width, bytes: Vec::new() },
            (_, None) => Data::Strings(Strings::default()),
        };
        let null_map = nullable && !matches!(data, Data::Dictionary(_));
        Self { header, codec: Codec::new(source, plan, dates), nullable, null_map, nulls: Vec::new(), data }
    }

    /// Bytes of every row: the null flag and the value of fixed width.
    pub(super) fn fixed_size(&self) -> usize {
        match &self.data {
            Data::Fixed { width, .. } => width + usize::from(self.nullable),
            // nearly every length is one byte
            Data::Strings(_) => 1 + usize::from(self.nullable),
            Data::Dictionary(_) => 0,
        }
    }

    /// Appends the cell of one more row.
    #[inline]
    pub(super) fn append(&mut self, cell: Cell<'_>, index: usize, source: &PgType) -> Result<Appended, Refused> {
        self.begin();
        let (wire, image) = match cell {
            Cell::Sent(image) => (image.value(index), image),
            Cell::Stored(stored) => return self.append_stored(stored),
            Cell::Null => return self.append_null(),
            Cell::Unrepresentable(_) => return self.append_unrepresentable(),
        };
        if wire.is_null() {
            return self.append_null();
        }
        let added = match &mut self.data {
            Data::Fixed { bytes, .. } => match self.codec.fixed(wire, bytes)? {
                Fit::Exact => 0,
                Fit::Unrepresentable => return self.append_unrepresentable(),
            },
            Data::Strings(strings) => strings.push_sent(self.codec, source, wire, image, index)?,
            Data::Dictionary(dictionary) => match self.codec.borrowed(wire)? {
                Some(text) => dictionary.push(text),
                None => {
                    let mut text = Vec::new();
                    self.codec.string_value(source, wire, &mut text)?;
                    dictionary.push(&text)
                }
            },
        };
        self.push_not_null();
        Ok(Appended::Done(added))
    }

    fn append_stored(&mut self, stored: &Bytes) -> Result<Appended, Refused> {
        let added = match &mut self.data {
            Data::Fixed { width, bytes } if stored.len() == *width => {
                bytes.extend_from_slice(stored);
                0
            }
            Data::Fixed { .. } => return Err(Refused::Foreign),
            Data::Strings(strings) => strings.push_stored(stored),
            Data::Dictionary(dictionary) => dictionary.push(stored),
        };
        self.push_not_null();
        Ok(Appended::Done(added))
    }

    fn append_unrepresentable(&mut self) -> Result<Appended, Refused> {
        if !self.nullable {
            return Err(Refused::Unrepresentable);
        }
        self.append_null()?;
        Ok(Appended::Unrepresentable)
    }

    #[inline]
    fn begin(&mut self) {
        match &mut self.data {
            Data::Fixed { .. } => {}
            Data::Strings(strings) => strings.begin(),
            Data::Dictionary(dictionary) => dictionary.begin(),
        }
    }

    #[inline]
    fn push_not_null(&mut self) {
        if self.null_map {
            self.nulls.push(0);
        }
    }

    /// NULL; refused in a column of the key.
    fn append_null(&mut self) -> Result<Appended, Refused> {
        if !self.nullable {
            return Err(Refused::Null);
        }
        match &mut self.data {
            Data::Fixed { width, bytes } => bytes.resize(bytes.len() + *width, 0),
            Data::Strings(strings) => strings.bytes.push(0),
            Data::Dictionary(dictionary) => {
                dictionary.push_null();
                return Ok(Appended::Done(size_of::<u32>()));
            }
        }
        self.nulls.push(1);
        Ok(Appended::Done(0))
    }

    /// Forgets the row under way, whether it was appended whole, in part or not at all; `rows` are
    /// finished. Only for a column whose append of this row was called.
    pub(super) fn roll_back(&mut self, rows: usize) {
        self.nulls.truncate(rows);
        match &mut self.data {
            Data::Fixed { width, bytes } => bytes.truncate(rows * *width),
            Data::Strings(strings) => strings.roll_back(),
            Data::Dictionary(dictionary) => dictionary.roll_back(rows),
        }
    }

    /// Moves header and rows into the body.
    pub(super) fn finish(&mut self, body: &mut Body) {
        body.tail().extend_from_slice(&self.header);
        body.move_in(&mut self.nulls);
        match &mut self.data {
            Data::Fixed { bytes, .. } => body.move_in(bytes),
            Data::Strings(strings) => strings.finish(body),
            Data::Dictionary(dictionary) => dictionary.finish(body),
        }
    }
}

impl Strings {
    /// Bytes on the wire so far.
    pub(super) fn len(&self) -> usize {
        // a shared value is rare: the sum is over a handful
        self.bytes.len() + self.shared.iter().map(|(_, value)| value.len()).sum::<usize>()
    }

    pub(super) fn begin(&mut self) {
        self.mark = (self.bytes.len(), self.shared.len());
    }

    pub(super) fn roll_back(&mut self) {
        let (bytes, shared) = self.mark;
        self.bytes.truncate(bytes);
        self.shared.truncate(shared);
    }

    pub(super) fn push(&mut self, value: &[u8]) {
        native::string(value, &mut self.bytes);
    }

    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Invalid>) -> Result<(), Invalid> {
        native::string_with(&mut self.bytes, write)
    }

    #[inline]
    fn push_sent(
        &mut self,
        codec: Codec,
        source: &PgType,
        wire: Wire<'_>,
        image: Image<'_>,
        index: usize,
    ) -> Result<usize, Invalid> {
        let Some(value) = codec.borrowed(wire)? else {
            let before = self.bytes.len();
            self.push_with(|out| codec.string_value(source, wire, out))?;
            return Ok(self.bytes.len() - before);
        };
        match codec::shared(image, index, value.len()) {
            Some(shared) => self.push_shared(shared),
            None => self.push(value),
        }
        Ok(value.len())
    }

    fn push_stored(&mut self, value: &Bytes) -> usize {
        if value.len() < codec::SHARED_FROM {
            self.push(value);
        } else {
            self.push_shared(value.clone());
        }
        value.len()
    }

    fn push_shared(&mut self, value: Bytes) {
        native::varint(value.len() as u64, &mut self.bytes);
        self.shared.push((self.bytes.len(), value));
    }

    pub(super) fn finish(&mut self, body: &mut Body) {
        self.mark = (0, 0);
        if self.shared.is_empty() {
            return body.move_in(&mut self.bytes);
        }
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let mut done = 0;
        for (place, value) in self.shared.drain(..) {
            body.share(bytes.slice(done..place));
            body.share(value);
            done = place;
        }
        body.share(bytes.slice(done..));
    }
}
