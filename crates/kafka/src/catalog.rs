//! What the catalog says of a table beyond the stream: nullability, defaults, keys.

/// A column as the catalog has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// `attnotnull`, or part of a primary key.
    pub not_null: bool,
    /// The default's expression as `pg_get_expr` prints it.
    pub default: Option<String>,
}

/// A unique index that is not the primary key's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UniqueIndex {
    /// The index's name; the first one in the order of names can be the key.
    pub name: String,
    /// Its columns in order; none if it has an expression.
    pub columns: Option<Vec<String>>,
}

/// A table as the catalog has it when its changes are encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// `pg_class.oid`.
    pub relid: u32,
    /// All columns.
    pub columns: Vec<ColumnFacts>,
    /// Columns of the primary key in its order, empty without one.
    pub primary_key: Vec<String>,
    /// The other unique indexes.
    pub unique_indexes: Vec<UniqueIndex>,
}

impl TableFacts {
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Names of the key's columns: the primary key, or else the first usable unique index.
    #[must_use]
    pub fn key(&self) -> &[String] {
        if !self.primary_key.is_empty() {
            return &self.primary_key;
        }
        let usable = self.unique_indexes.iter().filter(|index| index.columns.is_some());
        let first = usable.min_by(|left, right| left.name.cmp(&right.name));
        first.and_then(|index| index.columns.as_deref()).unwrap_or_default()
    }
}
