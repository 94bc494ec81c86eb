//! A row's key in the form ClickHouse stores it.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use walhouse_change::{Image, OldImage};
use walhouse_value::Wire;

use super::codec::{Codec, Fit};
use super::row::from_old;
use super::{CellError, native};
use crate::mapping::TablePlan;

/// The key's columns of one row in sort order, as RowBinary.
///
/// Two keys are the same row in ClickHouse exactly when their bytes are equal: `1.0` and `1.00` are
/// one Decimal. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyBytes(pub(super) Box<[u8]>);

impl KeyBytes {
    /// The RowBinary bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBytes({} bytes)", self.0.len())
    }
}

/// Encodes the key of a table's rows.
#[derive(Debug)]
pub struct KeyEncoder {
    plan: Arc<TablePlan>,
    columns: Vec<KeyColumn>,
}

#[derive(Debug)]
struct KeyColumn {
    index: usize,
    codec: Codec,
    fixed: bool,
}

impl KeyEncoder {
    /// The encoder of a plan's key.
    #[must_use]
    pub fn new(plan: Arc<TablePlan>) -> Self {
        let column = |&index: &usize| {
            let (column, source) = (plan.columns.get(index)?, plan.schema.columns.get(index)?);
            let codec = Codec::new(&source.ty, column, plan.dates);
            Some(KeyColumn { index, codec, fixed: column.ty.width().is_some() })
        };
        let columns = plan.order_by.iter().filter_map(column).collect();
        Self { plan, columns }
    }

    /// The key of `image`; a column that was not sent is taken from the old image.
    ///
    /// # Errors
    /// A column is NULL, unknown, malformed or not representable: the row cannot be stored.
    pub fn key(&self, image: Image<'_>, old: Option<(OldImage, Image<'_>)>) -> Result<KeyBytes, CellError> {
        let mut out = Vec::new();
        self.write(image, old, &mut out)?;
        Ok(KeyBytes(out.into_boxed_slice()))
    }

    /// As [`Self::key`], into a buffer that is cleared first: for looking a key up without allocating.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub fn write(
        &self,
        image: Image<'_>,
        old: Option<(OldImage, Image<'_>)>,
        out: &mut Vec<u8>,
    ) -> Result<(), CellError> {
        out.clear();
        for column in &self.columns {
            self.write_column(column, image, old, out)?;
        }
        Ok(())
    }

    fn write_column(
        &self,
        column: &KeyColumn,
        image: Image<'_>,
        old: Option<(OldImage, Image<'_>)>,
        out: &mut Vec<u8>,
    ) -> Result<(), CellError> {
        let index = column.index;
        let (Some(plan), Some(source)) = (self.plan.columns.get(index), self.plan.schema.columns.get(index)) else {
            return Ok(());
        };
        let name = || plan.name.clone();
        let wire = match image.value(index) {
            Wire::Unchanged => {
                let old = from_old(old, index, true).ok_or_else(|| CellError::Unfilled { column: name() })?;
                old.value(index)
            }
            wire => wire,
        };
        if wire.is_null() {
            return Err(CellError::NullKey { column: name() });
        }
        let fit = if column.fixed {
            column.codec.fixed(wire, out)
        } else {
            native::string_with(out, |out| column.codec.string_value(&source.ty, wire, out)).map(|()| Fit::Exact)
        };
        match fit {
            Ok(Fit::Exact) => Ok(()),
            Ok(Fit::Unrepresentable) => Err(CellError::UnrepresentableKey { column: name(), ty: plan.ty.to_string() }),
            Err(source) => Err(CellError::Invalid { column: name(), source }),
        }
    }
}

impl Borrow<[u8]> for KeyBytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}
