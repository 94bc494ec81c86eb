//! A LowCardinality column: its distinct strings once, and a number per row.
//!
//! On the wire: version 1; index width and flags; number of keys, the keys; number of rows, the
//! indexes; all but the keys as u64 or as wide as the flags say. Key 0 stands for NULL where the column
//! is nullable, else for the empty string.

use std::collections::HashMap;
use std::sync::Arc;

use super::native::{self, Body};

/// The only serialization version there has been.
const VERSION: u64 = 1;
/// The keys travel with the block (there is no dictionary shared between blocks).
const HAS_ADDITIONAL_KEYS: u64 = 1 << 9;
/// Index of NULL (nullable) or the empty string (not nullable).
const DEFAULT: u32 = 0;

#[derive(Debug)]
pub(super) struct Dictionary {
    nullable: bool,
    keys: Vec<Arc<[u8]>>,
    by_key: HashMap<Arc<[u8]>, u32>,
    rows: Vec<u32>,
    /// Number of keys before the row under way.
    mark: usize,
}

impl Dictionary {
    pub(super) fn new(nullable: bool) -> Self {
        let mut new = Self { nullable, keys: Vec::new(), by_key: HashMap::new(), rows: Vec::new(), mark: 0 };
        new.reset();
        new
    }

    fn reset(&mut self) {
        let default: Arc<[u8]> = Arc::from([].as_slice());
        self.keys.clear();
        self.by_key.clear();
        self.rows.clear();
        if !self.nullable {
            self.by_key.insert(Arc::clone(&default), DEFAULT);
        }
        self.keys.push(default);
        self.mark = self.keys.len();
    }

    pub(super) fn begin(&mut self) {
        self.mark = self.keys.len();
    }

    pub(super) fn roll_back(&mut self, rows: usize) {
        self.rows.truncate(rows);
        for key in self.keys.drain(self.mark..) {
            self.by_key.remove(&key);
        }
    }

    pub(super) fn push_null(&mut self) {
        self.rows.push(DEFAULT);
    }

    /// Returns the bytes that the value adds to the block.
    pub(super) fn push(&mut self, value: &[u8]) -> usize {
        if let Some(&known) = self.by_key.get(value) {
            self.rows.push(known);
            return size_of::<u32>();
        }
        let index = self.keys.len() as u32;
        let key: Arc<[u8]> = Arc::from(value);
        self.keys.push(Arc::clone(&key));
        self.by_key.insert(key, index);
        self.rows.push(index);
        value.len() + native::MAX_VARINT
    }

    pub(super) fn finish(&mut self, body: &mut Body) {
        let out = body.tail();
        // (log2 of the width in bytes, width)
        let (kind, width) = match self.keys.len() {
            0..=0x100 => (0, 1),
            0x101..=0x1_0000 => (1, 2),
            _ => (2, 4),
        };
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(kind | HAS_ADDITIONAL_KEYS).to_le_bytes());
        out.extend_from_slice(&(self.keys.len() as u64).to_le_bytes());
        for key in &self.keys {
            native::string(key, out);
        }
        out.extend_from_slice(&(self.rows.len() as u64).to_le_bytes());
        out.reserve(self.rows.len() * width);
        for row in &self.rows {
            out.extend(row.to_le_bytes().into_iter().take(width));
        }
        self.reset();
    }
}
