//! One sale, now.

use std::fmt;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio_postgres::Client;

use super::data::{Deal, SALE_COLUMNS, Sale, insert_statement, references};
use super::moment::Moment;
use crate::error::{Attempt, Error, Result};

/// A sale that was just inserted.
#[derive(Debug, Clone)]
pub struct Sold {
    /// Key of the sale.
    pub sales_id: i32,
    /// Key of the customer.
    pub customer_id: i32,
    /// First and last name of the customer.
    pub customer: String,
    /// Key of the employee.
    pub employee_id: i32,
    /// Name of the employee.
    pub employee: String,
    /// Country and city of the territory.
    pub territory: String,
    /// How many.
    pub quantity: i32,
    /// For how much in all.
    pub amount: i64,
    /// In which currency.
    pub currency: &'static str,
    /// When, as Postgres prints it in UTC.
    pub order_date: String,
}

impl fmt::Display for Sold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sale {} of {}: customer {} ({}) bought {} for {} {} from employee {} ({}) in {}",
            self.sales_id,
            self.order_date,
            self.customer_id,
            self.customer,
            self.quantity,
            self.amount,
            self.currency,
            self.employee_id,
            self.employee,
            self.territory
        )
    }
}

/// What a sale says, from its key.
const DESCRIBE: &str = "
SELECT to_char(s.order_date AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
       concat_ws(' ', c.first_name, c.last_name), e.employee_name,
       concat_ws(' / ', t.sales_territory_country, t.sales_territory_city)
FROM public.sales s
JOIN public.customer c USING (customer_id)
JOIN public.employee e USING (employee_id)
JOIN public.sales_territory t ON t.sales_territory_id = s.sales_territory_id
WHERE s.sales_id = $1";

/// Inserts a single random sale of an existing customer, employee and territory.
///
/// # Errors
/// The tables are empty, or not there.
pub async fn sell(client: &Client, seed: u64) -> Result<Sold> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let customer = random_customer(client, &mut rng).await?;
    let shop = Shop::read(client).await?;
    let deal = shop.deal(&mut rng, customer);
    let sale = Sale::random(&mut rng, deal);
    let values = sale.values(&mut rng, Moment::now().0 % 100_000_000);
    let sql = insert_statement("sales", &SALE_COLUMNS, "sales_id");
    let row = client.query_one(&sql, &references(&values)).await.attempt("inserting a sale")?;
    let sales_id: i32 = row.get(0);
    let row = client.query_one(DESCRIBE, &[&sales_id]).await.attempt("reading the sale")?;
    let text = |index: usize| row.get::<_, Option<String>>(index).unwrap_or_default();
    Ok(Sold {
        sales_id,
        customer_id: customer,
        customer: text(1),
        employee_id: sale.deal.employee,
        employee: text(2),
        territory: text(3),
        quantity: sale.quantity,
        amount: sale.amount,
        currency: sale.currency,
        order_date: text(0),
    })
}

async fn random_customer(client: &Client, rng: &mut ChaCha8Rng) -> Result<i32> {
    let row = client
        .query_one("SELECT min(customer_id), max(customer_id) FROM public.customer", &[])
        .await
        .attempt("looking for customers")?;
    let (Some(first), Some(last)) = (row.get::<_, Option<i32>>(0), row.get::<_, Option<i32>>(1)) else {
        return Err(nobody());
    };
    let from = rng.random_range(first..=last);
    let sql = "SELECT customer_id FROM public.customer WHERE customer_id >= $1 ORDER BY 1 LIMIT 1";
    let row = client.query_opt(sql, &[&from]).await.attempt("choosing a customer")?;
    row.map(|row| row.get(0)).ok_or_else(nobody)
}

fn nobody() -> Error {
    Error::Invalid("there are no customers, employees or territories: seed the tables first".into())
}

/// The employees and territories that exist.
#[derive(Debug)]
pub(super) struct Shop {
    employees: Vec<i32>,
    territories: Vec<i32>,
}

impl Shop {
    pub(super) async fn read(client: &Client) -> Result<Self> {
        let ids = async |sql: &str| -> Result<Vec<i32>> {
            let rows = client.query(sql, &[]).await.attempt("reading employees and territories")?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        };
        let shop = Self {
            employees: ids("SELECT employee_id FROM public.employee ORDER BY 1").await?,
            territories: ids("SELECT sales_territory_id FROM public.sales_territory ORDER BY 1").await?,
        };
        if shop.employees.is_empty() || shop.territories.is_empty() {
            return Err(nobody());
        }
        Ok(shop)
    }

    /// A deal of this customer, now.
    pub(super) fn deal(&self, rng: &mut ChaCha8Rng, customer: i32) -> Deal {
        Deal {
            customer,
            employee: self.employees.choose(rng).copied().unwrap_or(1),
            territory: self.territories.choose(rng).copied().unwrap_or(1),
            ordered: Moment::now(),
            level: rng.random_range(1.0..10.0),
        }
    }
}
