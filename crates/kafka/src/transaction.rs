//! Transaction metadata: counts of events, BEGIN and END on their topic.

use crate::java::hash;
use crate::value::Value;

/// The transaction under way.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) xid: u32,
    /// Microseconds since 1970 of its commit.
    pub(crate) time: i64,
    /// LSN of the commit record, by which the transaction is known.
    pub(crate) commit_lsn: u64,
    total: u64,
    counts: Vec<(String, u64)>,
}

impl Progress {
    pub(crate) fn new(xid: u32, time: i64, commit_lsn: u64) -> Self {
        Self { xid, time, commit_lsn, ..Self::default() }
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(&self) -> i64 {
        self.time.div_euclid(1000)
    }

    pub(crate) fn id(&self, lsn: u64) -> Value {
        Value::Str(format!("{}:{lsn}", self.xid))
    }

    /// Counts an event of `collection` and gives its transaction block.
    pub(crate) fn event(&mut self, collection: &str, lsn: u64) -> Value {
        self.total += 1;
        let known = self.counts.iter_mut().find(|(name, _)| name == collection);
        let count = match known {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.push((collection.to_owned(), 1));
                1
            }
        };
        Value::Struct(vec![self.id(lsn), Value::Int(self.total as i64), Value::Int(count as i64)])
    }

    pub(crate) fn begin(&self, lsn: u64) -> Value {
        Value::Struct(vec![Value::text("BEGIN"), self.id(lsn), Value::Null, Value::Null, Value::Int(self.millis())])
    }

    pub(crate) fn end(&mut self, lsn: u64) -> Value {
        hash::hash_map_order(&mut self.counts, |(name, _)| name);
        let collection =
            |(name, count): &(String, u64)| Value::Struct(vec![Value::text(name), Value::Int(*count as i64)]);
        Value::Struct(vec![
            Value::text("END"),
            self.id(lsn),
            Value::Int(self.total as i64),
            Value::Array(self.counts.iter().map(collection).collect()),
            Value::Int(self.millis()),
        ])
    }
}
