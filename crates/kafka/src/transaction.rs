//! Transaction metadata: counts of events, BEGIN and END on their topic.

use crate::java::hash;
use crate::offset::TransactionMark;
use crate::value::Value;

/// The transaction under way.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) xid: u32,
    /// Microseconds since 1970 of its commit.
    pub(crate) time: i64,
    /// Some transaction was begun since the start.
    known: bool,
    open: bool,
    total: u64,
    counts: Vec<(String, u64)>,
}

impl Progress {
    pub(crate) fn new(xid: u32, time: i64) -> Self {
        Self { xid, time, known: true, open: true, ..Self::default() }
    }

    /// When the last transaction that was begun was committed.
    pub(crate) fn begun(&self) -> Option<i64> {
        self.known.then_some(self.time)
    }

    /// What an offset says of it.
    pub(crate) fn mark(&self) -> TransactionMark {
        TransactionMark { id: self.open.then(|| self.xid.to_string()), counts: self.counts.clone() }
    }

    /// The transaction is over.
    pub(crate) fn finish(&mut self) {
        self.open = false;
        self.total = 0;
        self.counts.clear();
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
