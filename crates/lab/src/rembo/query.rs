//! The sample query, on both databases.

use std::fmt;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::clickhouse as target;
use crate::error::{Attempt, Result};

/// "Employees sales performance", word for word as the sample workload's users have it, for ClickHouse.
pub const SEED_QUERY: &str = "\
SELECT
sales.employee_id, emp.employee_name,
terr.sales_territory_id, terr.sales_territory_country, terr.sales_territory_region,
SUM(sales.sales_amount) AS sales_total_amount, count() AS sales_count
FROM view_sales_last_rec sales
LEFT JOIN view_employees_last_rec emp ON sales.employee_id = emp.employee_id
LEFT JOIN view_sales_territory_last_rec terr ON sales.sales_territory_id = terr.sales_territory_id
GROUP BY
sales.employee_id, emp.employee_name,
terr.sales_territory_id, terr.sales_territory_country, terr.sales_territory_region
ORDER BY sales_total_amount DESC, sales_count DESC;";

/// What Postgres spells differently: the tables instead of their views, and the count of rows.
const FOR_POSTGRES: [(&str, &str); 4] = [
    ("view_sales_last_rec", "public.sales"),
    ("view_employees_last_rec", "public.employee"),
    ("view_sales_territory_last_rec", "public.sales_territory"),
    ("count()", "count(*)"),
];

/// The sample query's rows on both sides, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// From Postgres, sorted.
    pub source: Vec<Vec<Option<String>>>,
    /// From ClickHouse, sorted.
    pub target: Vec<Vec<Option<String>>>,
}

impl Comparison {
    /// Whether both databases gave the same numbers.
    pub fn is_equal(&self) -> bool {
        self.source == self.target
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_equal() {
            return write!(f, "the same {} rows on both databases", self.source.len());
        }
        let missing = self.source.iter().filter(|row| !self.target.contains(row)).count();
        write!(
            f,
            "{} rows on Postgres, {} on ClickHouse, {missing} of Postgres' are not on ClickHouse",
            self.source.len(),
            self.target.len()
        )
    }
}

/// Runs the sample query on Postgres' tables and on ClickHouse's views (in the client's database).
pub async fn compare_seed_query(postgres: &Client, clickhouse: &clickhouse::Client) -> Result<Comparison> {
    let mut source = Vec::new();
    for message in postgres.simple_query(&for_postgres()).await.attempt("running the sample query")? {
        if let SimpleQueryMessage::Row(row) = message {
            source.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
        }
    }
    let mut target = target::rows(clickhouse, SEED_QUERY.trim_end_matches(';'), "running the sample query").await?;
    // Rows of equal amount and count come in any order.
    source.sort();
    target.sort();
    Ok(Comparison { source, target })
}

fn for_postgres() -> String {
    FOR_POSTGRES.iter().fold(SEED_QUERY.to_owned(), |query, (here, there)| query.replace(here, there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_for_postgres() {
        insta::assert_snapshot!(for_postgres());
    }
}
