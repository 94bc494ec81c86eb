//! Both ends in memory pass the suite that the real ones pass.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use walhouse_change::conformance::{self, OriginFixture, TargetFixture};
use walhouse_change::memory::{MemoryOrigin, MemoryTarget, Server, Store, Write};
use walhouse_change::{BoxFuture, Origin, Pattern, Result, TableName, Target};

struct Memory {
    server: Server,
    store: Store,
}

impl OriginFixture for Memory {
    fn create<'a>(&'a self, slot: &'a str, tables: &'a [TableName]) -> BoxFuture<'a, Result<Arc<dyn Origin>>> {
        for table in tables {
            self.server.create_table(table);
        }
        let selection = tables.iter().map(|table| Pattern::parse(&table.to_string()).unwrap()).collect();
        let origin = MemoryOrigin::new(&self.server, slot, selection);
        Box::pin(async move { Ok(Arc::new(origin) as Arc<dyn Origin>) })
    }

    fn transact<'a>(&'a self, writes: &'a [(TableName, Write)]) -> BoxFuture<'a, Result<()>> {
        let writes: Vec<_> = writes.iter().map(|(table, write)| (table, write.clone())).collect();
        self.server.transact(&writes);
        Box::pin(async { Ok(()) })
    }
}

impl TargetFixture for Memory {
    fn target<'a>(&'a self, slot: &'a str) -> BoxFuture<'a, Result<Arc<dyn Target>>> {
        Box::pin(async move { Ok(Arc::new(MemoryTarget::new(&self.store, slot)) as Arc<dyn Target>) })
    }

    fn rows<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<BTreeMap<i64, Option<String>>>> {
        let rows = self.store.table(table).unwrap_or_default().current();
        Box::pin(async move { Ok(rows.into_iter().map(|(id, value)| (id, Some(value))).collect()) })
    }

    fn duplicates<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<u64>> {
        let duplicates = self.store.table(table).unwrap_or_default().duplicates() as u64;
        Box::pin(async move { Ok(duplicates) })
    }
}

fn memory(seed: u64) -> Memory {
    let batch = 1 + seed as usize % 4;
    Memory { server: Server::new(batch, Duration::from_millis(30)), store: Store::new(seed, Duration::from_millis(3)) }
}

#[tokio::test]
async fn the_origin_in_memory_conforms() {
    for seed in 0..4 {
        conformance::check_origin(&memory(seed)).await;
    }
}

#[tokio::test]
async fn the_target_in_memory_conforms() {
    for seed in 0..4 {
        conformance::check_target(&memory(seed)).await;
    }
}
