//! A mixed live load: inserts, updates and deletes, of one row and of many, in one table and in several.
//!
//! One connection, one transaction at a time, at a steady rate. Deleting a customer deletes its sales with it, so
//! foreign keys hold, also beside other loads; a clash with one of those is counted and passed over.

mod statements;

use std::fmt;
use std::future::Future;
use std::ops::AddAssign;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient, Transaction};

use self::statements::Statements;
use crate::error::{Attempt, Error, Result};
use crate::rembo::data::{Sale, customer, references};
use crate::rembo::moment::Moment;
use crate::rembo::pools::Pools;
use crate::rembo::sell::Shop;

/// Behind by more than this, the load drops the arrears: after a stall it goes on at its rate.
const MAX_ARREARS: Duration = Duration::from_secs(1);
/// Rows that a statement of many rows touches at most.
const MANY: i64 = 20;
/// What a failing statement is said to have been.
const ATTEMPT: &str = "running the load";

/// How fast, and which.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Transactions per second.
    pub rate: f64,
    /// Which random load.
    pub seed: u64,
}

/// What a load did. Rows count when their transaction was committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// Transactions committed.
    pub committed: u64,
    /// Transactions rolled back on purpose.
    pub rolled_back: u64,
    /// Transactions lost to a clash with another session.
    pub clashes: u64,
    /// Rows of `sales` inserted.
    pub sales_inserted: u64,
    /// Rows of `sales` deleted.
    pub sales_deleted: u64,
    /// Rows of `customer` inserted.
    pub customers_inserted: u64,
    /// Rows of `customer` deleted.
    pub customers_deleted: u64,
    /// Rows of both updated.
    pub updated: u64,
}

impl AddAssign for LoadCounts {
    fn add_assign(&mut self, other: Self) {
        self.committed += other.committed;
        self.rolled_back += other.rolled_back;
        self.clashes += other.clashes;
        self.sales_inserted += other.sales_inserted;
        self.sales_deleted += other.sales_deleted;
        self.customers_inserted += other.customers_inserted;
        self.customers_deleted += other.customers_deleted;
        self.updated += other.updated;
    }
}

impl fmt::Display for LoadCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions ({} rolled back, {} clashes): sales +{} -{}, customers +{} -{}, {} rows updated",
            self.committed,
            self.rolled_back,
            self.clashes,
            self.sales_inserted,
            self.sales_deleted,
            self.customers_inserted,
            self.customers_deleted,
            self.updated
        )
    }
}

/// Runs the load until `until` is ready; the transaction under way is finished.
///
/// # Errors
/// The tables are empty or not there, the rate is not a positive number, or Postgres goes away.
pub async fn load(client: &mut Client, options: LoadOptions, until: impl Future<Output = ()>) -> Result<LoadCounts> {
    if !(options.rate.is_finite() && options.rate > 0.0) {
        return Err(Error::Invalid("the rate of a load is above zero".into()));
    }
    let mut load = Load::new(client, options.seed).await?;
    let step = Duration::from_secs_f64(1.0 / options.rate);
    let mut next = Instant::now();
    let mut counts = LoadCounts::default();
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            // The end first: a load that is behind never waits for its turn.
            biased;
            () = &mut until => return Ok(counts),
            () = tokio::time::sleep_until(next) => {}
        }
        counts += load.one(client).await?;
        next = (next + step).max(Instant::now() - MAX_ARREARS);
    }
}

/// What one transaction does.
#[derive(Debug, Clone, Copy)]
enum Operation {
    InsertSale,
    UpdateSale,
    DeleteSale,
    InsertCustomer,
    UpdateCustomer,
    DeleteCustomer,
    InsertSales,
    UpdateSales,
    RekeySale,
    NewCustomerBuys,
    SavepointUndone,
    RolledBack,
}

/// Share of each operation, in percent.
const MIX: [(Operation, u32); 12] = [
    (Operation::InsertSale, 35),
    (Operation::UpdateSale, 18),
    (Operation::DeleteSale, 8),
    (Operation::InsertCustomer, 6),
    (Operation::UpdateCustomer, 9),
    (Operation::DeleteCustomer, 3),
    (Operation::InsertSales, 4),
    (Operation::UpdateSales, 5),
    (Operation::RekeySale, 2),
    (Operation::NewCustomerBuys, 5),
    (Operation::SavepointUndone, 3),
    (Operation::RolledBack, 2),
];

#[derive(Debug)]
struct Load {
    rng: ChaCha8Rng,
    pools: Pools,
    shop: Shop,
    statements: Statements,
    last_customer: i32,
    last_sale: i32,
    /// Numbers what we insert, for its papers.
    number: i64,
}

impl Load {
    async fn new(client: &Client, seed: u64) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let row = client
            .query_one(
                "SELECT (SELECT max(customer_id) FROM public.customer), (SELECT max(sales_id) FROM public.sales)",
                &[],
            )
            .await
            .attempt("preparing the load")?;
        Ok(Self {
            pools: Pools::new(&mut rng),
            rng,
            shop: Shop::read(client).await?,
            statements: Statements::prepare(client).await?,
            last_customer: row.get::<_, Option<i32>>(0).unwrap_or(1),
            last_sale: row.get::<_, Option<i32>>(1).unwrap_or(1),
            number: 0,
        })
    }

    /// One transaction.
    async fn one(&mut self, client: &mut Client) -> Result<LoadCounts> {
        let operation = self.choose();
        let result = match operation {
            // Alone in its transaction, without BEGIN and COMMIT, as most applications write.
            Operation::InsertSale => self.insert_sale(client, None).await,
            Operation::UpdateSale => self.update_sale(client).await,
            Operation::DeleteSale => self.delete_sale(client).await,
            Operation::InsertCustomer => self.insert_customer(client).await.map(|(_, counts)| counts),
            Operation::UpdateCustomer => self.update_customer(client).await,
            Operation::InsertSales => self.insert_sales(client).await,
            Operation::UpdateSales => self.update_sales(client).await,
            Operation::RekeySale => self.rekey_sale(client).await,
            Operation::DeleteCustomer
            | Operation::NewCustomerBuys
            | Operation::SavepointUndone
            | Operation::RolledBack => self.several(client, operation).await,
        };
        match result {
            Ok(mut counts) => {
                counts.committed = u64::from(counts.rolled_back == 0);
                Ok(counts)
            }
            Err(error) if is_clash(&error) => Ok(LoadCounts { clashes: 1, ..LoadCounts::default() }),
            Err(source) => Err(Error::Postgres { attempt: ATTEMPT.into(), source }),
        }
    }

    fn choose(&mut self) -> Operation {
        let total = MIX.iter().map(|(_, share)| share).sum();
        let mut left = self.rng.random_range(0..total);
        for (operation, share) in MIX {
            if left < share {
                return operation;
            }
            left -= share;
        }
        Operation::InsertSale
    }

    async fn several(&mut self, client: &mut Client, operation: Operation) -> Outcome {
        let mut transaction = client.transaction().await?;
        let counts = match operation {
            Operation::DeleteCustomer => self.delete_customer(&transaction).await?,
            Operation::SavepointUndone => self.savepoint_undone(&mut transaction).await?,
            Operation::RolledBack => {
                self.new_customer_buys(&transaction).await?;
                self.update_sales(&transaction).await?;
                transaction.rollback().await?;
                return Ok(LoadCounts { rolled_back: 1, ..LoadCounts::default() });
            }
            _ => self.new_customer_buys(&transaction).await?,
        };
        transaction.commit().await?;
        Ok(counts)
    }

    async fn new_customer_buys(&mut self, client: &impl GenericClient) -> Outcome {
        let (customer, mut counts) = self.insert_customer(client).await?;
        for _ in 0..self.rng.random_range(1..=3) {
            counts += self.insert_sale(client, Some(customer)).await?;
        }
        Ok(counts)
    }

    async fn savepoint_undone(&mut self, transaction: &mut Transaction<'_>) -> Outcome {
        let mut counts = self.insert_sale(transaction, None).await?;
        let savepoint = transaction.transaction().await?;
        self.new_customer_buys(&savepoint).await?;
        self.delete_sale(&savepoint).await?;
        savepoint.rollback().await?;
        let savepoint = transaction.transaction().await?;
        counts += self.update_sale(&savepoint).await?;
        savepoint.commit().await?;
        counts += self.update_customer(transaction).await?;
        Ok(counts)
    }

    async fn insert_sale(&mut self, client: &impl GenericClient, customer: Option<i32>) -> Outcome {
        let customer = match customer {
            Some(customer) => customer,
            None => match self.pick_customer(client).await? {
                Some(customer) => customer,
                None => return Ok(LoadCounts::default()),
            },
        };
        let deal = self.shop.deal(&mut self.rng, customer);
        let sale = Sale::random(&mut self.rng, deal);
        self.number += 1;
        let values = sale.values(&mut self.rng, self.number);
        let row = client.query_one(&self.statements.insert_sale, &references(&values)).await?;
        self.last_sale = self.last_sale.max(row.get(0));
        Ok(LoadCounts { sales_inserted: 1, ..LoadCounts::default() })
    }

    async fn insert_sales(&mut self, client: &impl GenericClient) -> Outcome {
        let (from, many) = (self.some_sale(), self.rng.random_range(2..=MANY));
        let rows = client.execute(&self.statements.insert_sales_copied, &[&from, &many]).await?;
        self.last_sale += i32::try_from(rows).unwrap_or(0);
        Ok(LoadCounts { sales_inserted: rows, ..LoadCounts::default() })
    }

    async fn update_sale(&mut self, client: &impl GenericClient) -> Outcome {
        let (from, amount) = (self.some_sale(), self.rng.random_range(10..=1_000_i64));
        let updated = client.execute(&self.statements.update_sale, &[&from, &amount]).await?;
        Ok(LoadCounts { updated, ..LoadCounts::default() })
    }

    async fn update_sales(&mut self, client: &impl GenericClient) -> Outcome {
        let (from, many) = (self.some_sale(), self.rng.random_range(2..=MANY));
        let updated = client.execute(&self.statements.update_sales, &[&from, &many]).await?;
        Ok(LoadCounts { updated, ..LoadCounts::default() })
    }

    async fn rekey_sale(&mut self, client: &impl GenericClient) -> Outcome {
        let from = self.some_sale();
        let updated = client.execute(&self.statements.rekey_sale, &[&from]).await?;
        self.last_sale += i32::try_from(updated).unwrap_or(0);
        Ok(LoadCounts { updated, ..LoadCounts::default() })
    }

    async fn delete_sale(&mut self, client: &impl GenericClient) -> Outcome {
        let from = self.some_sale();
        let sales_deleted = client.execute(&self.statements.delete_sale, &[&from]).await?;
        Ok(LoadCounts { sales_deleted, ..LoadCounts::default() })
    }

    async fn insert_customer(
        &mut self,
        client: &impl GenericClient,
    ) -> Result<(i32, LoadCounts), tokio_postgres::Error> {
        self.number += 1;
        let values = customer(&mut self.rng, &self.pools, self.number, Moment::now());
        let row = client.query_one(&self.statements.insert_customer, &references(&values)).await?;
        let id = row.get(0);
        self.last_customer = self.last_customer.max(id);
        Ok((id, LoadCounts { customers_inserted: 1, ..LoadCounts::default() }))
    }

    async fn update_customer(&mut self, client: &impl GenericClient) -> Outcome {
        let Some(customer) = self.pick_customer(client).await? else {
            return Ok(LoadCounts::default());
        };
        let income = self.rng.random_range(20_000..=1_000_000_i32);
        let updated = client.execute(&self.statements.update_customer, &[&customer, &income]).await?;
        Ok(LoadCounts { updated, ..LoadCounts::default() })
    }

    async fn delete_customer(&mut self, client: &impl GenericClient) -> Outcome {
        let Some(customer) = self.pick_customer(client).await? else {
            return Ok(LoadCounts::default());
        };
        let sales_deleted = client.execute(&self.statements.delete_sales_of, &[&customer]).await?;
        let customers_deleted = client.execute(&self.statements.delete_customer, &[&customer]).await?;
        Ok(LoadCounts { sales_deleted, customers_deleted, ..LoadCounts::default() })
    }

    async fn pick_customer(&mut self, client: &impl GenericClient) -> Result<Option<i32>, tokio_postgres::Error> {
        let from = self.rng.random_range(1..=self.last_customer.max(1));
        let row = client.query_opt(&self.statements.pick_customer, &[&from]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    fn some_sale(&mut self) -> i32 {
        self.rng.random_range(1..=self.last_sale.max(1))
    }
}

type Outcome = Result<LoadCounts, tokio_postgres::Error>;

/// Whether another session got in the way: a vanished customer, a deadlock.
fn is_clash(error: &tokio_postgres::Error) -> bool {
    [SqlState::FOREIGN_KEY_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE]
        .iter()
        .any(|state| error.code() == Some(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent() {
        assert_eq!(MIX.iter().map(|(_, share)| share).sum::<u32>(), 100);
    }
}
