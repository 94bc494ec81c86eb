//! What a comparison found. Keys and counts only.

use std::fmt;

use serde::Serialize;

/// How many keys of each kind of difference are kept: enough to look further.
const KEPT_KEYS: usize = 20;

/// Keys that differ in one way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// How many keys.
    pub count: u64,
    /// The first of them, as text.
    pub keys: Vec<String>,
}

impl Differences {
    pub(super) fn add(&mut self, key: impl FnOnce() -> String) {
        self.count += 1;
        if self.keys.len() < KEPT_KEYS {
            self.keys.push(key());
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        let room = KEPT_KEYS.saturating_sub(self.keys.len());
        self.keys.extend(other.keys.into_iter().take(room));
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        let more = if self.count > self.keys.len() as u64 { ", ..." } else { "" };
        write!(f, "\n    {what}: {} ({}{more})", self.count, self.keys.join(", "))
    }
}

/// What the history of a table is like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HistoryReport {
    /// Versions kept, of all keys.
    pub versions: u64,
    /// Versions that are there more than once: `GROUP BY key, _version HAVING count() > 1`.
    pub repeated: u64,
    /// Keys whose newest version is not what the view shows.
    pub stale: Differences,
}

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Schema and name in Postgres.
    pub table: String,
    /// Rows in Postgres.
    pub rows_source: u64,
    /// Rows in ClickHouse's view.
    pub rows_target: u64,
    /// Columns of the source that the target does not have; nothing else is compared then.
    pub absent_columns: Vec<String>,
    /// Keys that only Postgres has.
    pub missing: Differences,
    /// Keys that only ClickHouse has.
    pub extra: Differences,
    /// Keys whose rows differ, or are there several times.
    pub different: Differences,
    /// The history, where it was looked at.
    pub history: Option<HistoryReport>,
}

impl TableReport {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        let history = self.history.as_ref().is_none_or(|it| it.repeated == 0 && it.stale.count == 0);
        let differences = self.missing.count + self.extra.count + self.different.count;
        history && differences == 0 && self.absent_columns.is_empty() && self.rows_source == self.rows_target
    }
}

impl fmt::Display for TableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_equal() { "equal" } else { "DIFFERENT" };
        write!(f, "{}: {verdict}, {} rows in Postgres", self.table, self.rows_source)?;
        write!(f, ", {} in ClickHouse", self.rows_target)?;
        if let Some(history) = &self.history {
            write!(f, ", {} versions", history.versions)?;
        }
        if !self.absent_columns.is_empty() {
            write!(f, "\n    columns absent in ClickHouse: {}", self.absent_columns.join(", "))?;
        }
        self.missing.describe(f, "missing in ClickHouse")?;
        self.extra.describe(f, "only in ClickHouse")?;
        self.different.describe(f, "different")?;
        if let Some(history) = &self.history {
            if history.repeated > 0 {
                write!(f, "\n    versions that are there more than once: {}", history.repeated)?;
            }
            history.stale.describe(f, "newest version is not the current row")?;
        }
        Ok(())
    }
}

/// All tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order asked for.
    pub tables: Vec<TableReport>,
}

impl Report {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(TableReport::is_equal)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, table) in self.tables.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            table.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_keys_and_counts() {
        let mut report = TableReport {
            table: "public.t".into(),
            rows_source: 30,
            rows_target: 5,
            history: Some(HistoryReport { versions: 7, repeated: 2, ..HistoryReport::default() }),
            ..TableReport::default()
        };
        for key in 0..25 {
            report.missing.add(|| key.to_string());
        }
        let fine = TableReport { table: "public.u".into(), ..TableReport::default() };
        insta::assert_snapshot!(Report { tables: vec![report, fine] });
    }
}
