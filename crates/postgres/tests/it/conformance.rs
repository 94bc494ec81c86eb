//! The contract's own suite on a real Postgres.

use std::fmt::Write as _;
use std::sync::Arc;

use walhouse_change::conformance::{self, OriginFixture};
use walhouse_change::memory::Write;
use walhouse_change::{BoxFuture, Budget, Origin, Pattern, Result, TableName};
use walhouse_postgres::{Config, Postgres};

use crate::support::{BUDGET, Db};

impl OriginFixture for Db {
    fn create<'a>(&'a self, slot: &'a str, tables: &'a [TableName]) -> BoxFuture<'a, Result<Arc<dyn Origin>>> {
        Box::pin(async move {
            for table in tables {
                self.sql(&format!("CREATE TABLE {table} (id bigint PRIMARY KEY, v text)")).await;
            }
            let config = Config {
                tables: tables.iter().map(|table| Pattern::parse(&table.to_string()).unwrap()).collect(),
                slot: Some(slot.to_owned()),
                publication: Some(slot.to_owned()),
                ..self.config(&[])
            };
            Ok(Arc::new(Postgres::new(config, Budget::new(BUDGET))?) as Arc<dyn Origin>)
        })
    }

    fn transact<'a>(&'a self, writes: &'a [(TableName, Write)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // one simple query of several statements is one transaction
            let mut sql = String::new();
            for (table, write) in writes {
                let _ = match write {
                    Write::Put(id, value) => write!(
                        sql,
                        "INSERT INTO {table} VALUES ({id}, '{value}') ON CONFLICT (id) DO UPDATE SET v = excluded.v;"
                    ),
                    Write::Move(from, to, value) => {
                        write!(sql, "UPDATE {table} SET id = {to}, v = '{value}' WHERE id = {from};")
                    }
                    Write::Delete(id) => write!(sql, "DELETE FROM {table} WHERE id = {id};"),
                    Write::Truncate => write!(sql, "TRUNCATE {table};"),
                };
            }
            self.sql(&sql).await;
            Ok(())
        })
    }
}

#[tokio::test]
async fn postgres_conforms() {
    conformance::check_origin(&Db::new("conformance").await).await;
}
