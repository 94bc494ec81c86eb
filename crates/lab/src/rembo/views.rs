//! The workload's own view in ClickHouse, on top of the views of current rows.

use crate::clickhouse as target;
use crate::error::Result;

/// For each sale, the milliseconds since the same customer's previous sale in the same territory. A customer's first
/// sale in a territory is absent.
pub const TIME_BETWEEN_PURCHASES: &str = "view_sales_last_rec_with_time_between_purchase_in_region";

/// Creates or replaces the workload's views in the client's database.
///
/// # Errors
/// `view_sales_last_rec` is not there, or ClickHouse refuses.
pub async fn views(clickhouse: &clickhouse::Client) -> Result<()> {
    target::execute(clickhouse, &time_between_purchases(), "creating the workload's view").await
}

/// NULL, not the default, stands for "no previous sale": `lagInFrame` gives what its argument's type has.
fn time_between_purchases() -> String {
    format!(
        "CREATE OR REPLACE VIEW {TIME_BETWEEN_PURCHASES} AS
SELECT sales_id, assumeNotNull(intDiv(ordered_us - previous_us, 1000)) AS purchase_time_diff_ms
FROM (
    SELECT
        sales_id,
        toNullable(toUnixTimestamp64Micro(order_date)) AS ordered_us,
        lagInFrame(ordered_us) OVER (
            PARTITION BY customer_id, sales_territory_id
            ORDER BY order_date, sales_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS previous_us
    FROM view_sales_last_rec
    WHERE customer_id IS NOT NULL AND sales_territory_id IS NOT NULL
)
WHERE previous_us IS NOT NULL"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_views_statement() {
        insta::assert_snapshot!(time_between_purchases());
    }
}
