//! The contract's own suite on the real engine, with and without history.

use std::collections::BTreeMap;
use std::sync::Arc;

use walhouse_change::conformance::{self, TargetFixture};
use walhouse_change::{BoxFuture, Result, TableName, Target};
use walhouse_clickhouse::ClickHouse;

use crate::support::Place;

impl TargetFixture for Place {
    fn target<'a>(&'a self, slot: &'a str) -> BoxFuture<'a, Result<Arc<dyn Target>>> {
        let mut config = self.config.clone();
        config.slot = slot.to_owned();
        Box::pin(async move { Ok(Arc::new(ClickHouse::new(config)?) as Arc<dyn Target>) })
    }

    fn rows<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<BTreeMap<i64, Option<String>>>> {
        Box::pin(async move {
            let answer = Self::rows(self, &table.name, "id, v").await;
            let row = |line: &str| {
                let (id, value) = line.split_once('\t')?;
                let value = (value != "\\N").then(|| value.replace("\\'", "'"));
                Some((id.parse().ok()?, value))
            };
            Ok(answer.split('\n').filter(|line| !line.is_empty()).map(|line| row(line).expect(line)).collect())
        })
    }

    fn duplicates<'a>(&'a self, table: &'a TableName) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move { Ok(self.doubles(&table.name).await.parse().expect("a count")) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_conforms() {
    conformance::check_target(&Place::shared("conformance")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_conforms_without_history() {
    let url = walhouse_chdb::testing::shared().url();
    conformance::check_target(&Place::with(&url, "conformance_current", |config| config.history = false)).await;
}
