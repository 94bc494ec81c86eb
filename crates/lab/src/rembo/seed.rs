//! Fills the tables, reproducibly: the same options give the same rows.
//!
//! Everything is one transaction, so an interrupted seeding leaves nothing. Each kind of row draws from a random
//! stream of its own.

use std::fmt;
use std::pin::Pin;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use time::Date;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};

use super::data::{CUSTOMER_COLUMNS, Deal, SALE_COLUMNS, Sale, Value, customer};
use super::dictionary::{EMPLOYEES, TERRITORIES};
use super::moment::{DAY, Moment};
use super::pools::Pools;
use crate::error::{Attempt, Error, Result};
use crate::progress::Progress;

/// Sales begin this long before the end date: customers came 11 to 13 years ago, before the first sale.
const SALES_DAYS: i64 = 11 * 365;
/// The oldest customers, and what they need to exist, are this old.
const OLDEST_DAYS: i64 = 13 * 365;
/// Prices move once per batch: about one per month of the sales' time.
const PRICE_BATCHES: u32 = 132;
/// Prices never rise above this many times their beginning: the largest amount is 1,000.
const MAX_LEVEL: f64 = 10.0;
/// Rows between two looks at the progress.
const PROGRESS_STEP: u32 = 10_000;

/// How much data, and which.
#[derive(Debug, Clone, Copy)]
pub struct SeedOptions {
    /// Number of customers.
    pub customers: u32,
    /// Number of sales.
    pub sales: u32,
    /// Which random data.
    pub seed: u64,
    /// The last sale is just before the beginning of this day, UTC.
    pub until: Date,
}

impl Default for SeedOptions {
    fn default() -> Self {
        Self { customers: 500_000, sales: 500_000, seed: 1, until: today() }
    }
}

/// Rows written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeedCounts {
    /// Rows of `sales_territory`.
    pub territories: usize,
    /// Rows of `employee`.
    pub employees: usize,
    /// Rows of `customer`.
    pub customers: u32,
    /// Rows of `sales`.
    pub sales: u32,
}

impl fmt::Display for SeedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} territories, {} employees, {} customers, {} sales",
            self.territories, self.employees, self.customers, self.sales
        )
    }
}

/// Today, UTC.
pub fn today() -> Date {
    super::moment::today()
}

/// Reads `YYYY-MM-DD`.
///
/// # Errors
/// The text is not a date of the calendar.
pub fn parse_date(text: &str) -> Result<Date> {
    super::moment::parse(text).ok_or_else(|| Error::Invalid(format!("not a date: {text} (YYYY-MM-DD)")))
}

/// Fills the empty tables, with a progress bar on a terminal.
///
/// # Errors
/// A table holds rows already; nothing is changed then.
pub async fn seed(client: &mut Client, options: SeedOptions) -> Result<SeedCounts> {
    if options.sales > 0 && options.customers == 0 {
        return Err(Error::Invalid("sales need at least one customer".into()));
    }
    refuse_filled(client).await?;
    skip_key_checks(client, true).await;
    let result = fill(client, options).await;
    skip_key_checks(client, false).await;
    result?;
    client
        .batch_execute("ANALYZE public.sales_territory, public.employee, public.customer, public.sales")
        .await
        .attempt("analyzing the tables")?;
    Ok(SeedCounts {
        territories: TERRITORIES.len(),
        employees: EMPLOYEES.len(),
        customers: options.customers,
        sales: options.sales,
    })
}

async fn refuse_filled(client: &Client) -> Result<()> {
    for table in ["sales_territory", "employee", "customer", "sales"] {
        let row = client
            .query_one(&format!("SELECT EXISTS (SELECT FROM public.{table})"), &[])
            .await
            .attempt("looking for rows")?;
        if row.get(0) {
            return Err(Error::Invalid(format!(
                "public.{table} holds rows already: create --force makes the tables anew"
            )));
        }
    }
    Ok(())
}

/// Spares Postgres the look-up of three foreign keys per sale, which are right by construction. Only a superuser
/// may; for anybody else it is only slower.
async fn skip_key_checks(client: &Client, skip: bool) {
    let role = if skip { "replica" } else { "origin" };
    let set = format!("SET session_replication_role = {role}");
    if let Err(error) = client.batch_execute(&set).await {
        tracing::debug!(error = %error, "foreign keys are checked while seeding");
    }
}

async fn fill(client: &mut Client, options: SeedOptions) -> Result<()> {
    let until = Moment::start_of(options.until);
    let transaction = client.transaction().await.attempt("seeding")?;
    fill_places_and_people(&transaction, options.seed, until).await?;
    fill_customers(&transaction, options, until).await?;
    fill_sales(&transaction, options, until).await?;
    for (table, key) in [
        ("sales_territory", "sales_territory_id"),
        ("employee", "employee_id"),
        ("customer", "customer_id"),
        ("sales", "sales_id"),
    ] {
        let sql =
            format!("SELECT setval(pg_get_serial_sequence('public.{table}', '{key}'), max({key})) FROM public.{table}");
        transaction.query(&sql, &[]).await.attempt("setting the sequences")?;
    }
    transaction.commit().await.attempt("committing the seeded rows")
}

/// A random stream of its own for each kind of row.
fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

async fn fill_places_and_people(transaction: &Transaction<'_>, seed: u64, until: Moment) -> Result<()> {
    let mut rng = stream(seed, 1);
    let created = until.plus(-OLDEST_DAYS * DAY);
    for (id, (country, region, city, _)) in (1_i32..).zip(TERRITORIES) {
        let sql = "INSERT INTO public.sales_territory VALUES ($1, $2, $3, $4, $5)";
        transaction.execute(sql, &[&id, &country, &region, &city, &created]).await.attempt("inserting territories")?;
    }
    let territories: Vec<i32> = (1_i32..).take(TERRITORIES.len()).collect();
    for (id, name) in (1_i32..).zip(EMPLOYEES) {
        let territory = territories.choose(&mut rng).copied();
        transaction
            .execute("INSERT INTO public.employee VALUES ($1, $2, $3, $4)", &[&id, &name, &territory, &created])
            .await
            .attempt("inserting employees")?;
    }
    Ok(())
}

async fn fill_customers(transaction: &Transaction<'_>, options: SeedOptions, until: Moment) -> Result<()> {
    let mut rng = stream(options.seed, 2);
    let pools = Pools::new(&mut stream(options.seed, 3));
    copy(transaction, "customer", &CUSTOMER_COLUMNS, options.customers, |id| {
        let age = rng.random_range(SALES_DAYS * DAY..OLDEST_DAYS * DAY);
        customer(&mut rng, &pools, i64::from(id), until.plus(-age))
    })
    .await
}

async fn fill_sales(transaction: &Transaction<'_>, options: SeedOptions, until: Moment) -> Result<()> {
    let mut rng = stream(options.seed, 4);
    let levels = levels(&mut stream(options.seed, 5));
    let start = until.plus(-SALES_DAYS * DAY);
    // Sales follow each other in time, each somewhere in a slot of its own.
    let slot = (SALES_DAYS * DAY) / i64::from(options.sales.max(1));
    let per_level = options.sales.div_ceil(PRICE_BATCHES).max(1);
    let last_customer = i32::try_from(options.customers).unwrap_or(i32::MAX);
    copy(transaction, "sales", &SALE_COLUMNS, options.sales, |id| {
        let index = id.unsigned_abs() - 1;
        let deal = Deal {
            customer: rng.random_range(1..=last_customer),
            employee: rng.random_range(1..=5),
            territory: rng.random_range(1..=11),
            ordered: start.plus(slot * i64::from(index) + rng.random_range(0..slot)),
            level: levels.get((index / per_level) as usize).copied().unwrap_or(1.0),
        };
        Sale::random(&mut rng, deal).values(&mut rng, i64::from(id))
    })
    .await
}

/// A random walk of the price level, one step per batch.
fn levels(rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut level = 1.0_f64;
    (0..PRICE_BATCHES)
        .map(|_| {
            level = (level * rng.random_range(0.8..1.3)).clamp(1.0, MAX_LEVEL);
            level
        })
        .collect()
}

/// Writes `rows` rows with keys from 1 up through binary COPY.
async fn copy(
    transaction: &Transaction<'_>,
    table: &'static str,
    columns: &[(&str, Type)],
    rows: u32,
    mut make: impl FnMut(i32) -> Vec<Value>,
) -> Result<()> {
    let key = if table == "sales" { "sales_id" } else { "customer_id" };
    let names: Vec<&str> = [key].into_iter().chain(columns.iter().map(|(name, _)| *name)).collect();
    let types: Vec<Type> = [Type::INT4].into_iter().chain(columns.iter().map(|(_, ty)| ty.clone())).collect();
    let sql = format!("COPY public.{table} ({}) FROM STDIN (FORMAT binary)", names.join(", "));
    let attempt = format!("copying rows into public.{table}");
    let sink = transaction.copy_in(&sql).await.attempt(&attempt)?;
    let mut writer = Box::pin(BinaryCopyInWriter::new(sink, &types));
    let mut progress = Progress::new(table, u64::from(rows));
    for number in 1..=rows {
        let id = i32::try_from(number).map_err(|_| Error::Invalid("keys are 32 bits wide".into()))?;
        let values = make(id);
        let mut row: Vec<&(dyn ToSql + Sync)> = vec![&id];
        row.extend(values.iter().map(|value| -> &(dyn ToSql + Sync) { value.as_ref() }));
        writer.as_mut().write(&row).await.attempt(&attempt)?;
        if number % PROGRESS_STEP == 0 {
            progress.advance(u64::from(PROGRESS_STEP));
        }
    }
    finish(writer.as_mut()).await.attempt(&attempt)?;
    progress.advance(u64::from(rows % PROGRESS_STEP));
    Ok(())
}

async fn finish(writer: Pin<&mut BinaryCopyInWriter>) -> Result<u64, tokio_postgres::Error> {
    writer.finish().await
}
