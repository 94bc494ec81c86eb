//! What the load says to Postgres, prepared once.

use tokio_postgres::{Client, Statement};

use crate::error::{Attempt, Result};
use crate::rembo::data::{CUSTOMER_COLUMNS, SALE_COLUMNS, insert_statement};

/// The sale at or after `$1`.
const ONE_SALE: &str = "(SELECT sales_id FROM public.sales WHERE sales_id >= $1 ORDER BY sales_id LIMIT 1)";
/// The `$2` sales at or after `$1`.
const SALES: &str = "(SELECT sales_id FROM public.sales WHERE sales_id >= $1 ORDER BY sales_id LIMIT $2)";

#[derive(Debug)]
pub(super) struct Statements {
    pub(super) insert_sale: Statement,
    pub(super) insert_sales_copied: Statement,
    pub(super) update_sale: Statement,
    pub(super) update_sales: Statement,
    pub(super) rekey_sale: Statement,
    pub(super) delete_sale: Statement,
    pub(super) delete_sales_of: Statement,
    pub(super) insert_customer: Statement,
    pub(super) update_customer: Statement,
    pub(super) delete_customer: Statement,
    pub(super) pick_customer: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self> {
        let prepare = async |sql: &str| client.prepare(sql).await.attempt("preparing the load");
        Ok(Self {
            insert_sale: prepare(&insert_statement("sales", &SALE_COLUMNS, "sales_id")).await?,
            insert_sales_copied: prepare(&insert_sales_copied()).await?,
            update_sale: prepare(&format!(
                "UPDATE public.sales SET sales_amount = $2, revision_number = revision_number + 1, \
                 shipdate = clock_timestamp() WHERE sales_id = {ONE_SALE}"
            ))
            .await?,
            update_sales: prepare(&format!(
                "UPDATE public.sales SET freight = (freight + 1) % 500 WHERE sales_id IN {SALES}"
            ))
            .await?,
            rekey_sale: prepare(&format!(
                "UPDATE public.sales SET sales_id = nextval(pg_get_serial_sequence('public.sales', 'sales_id')) \
                 WHERE sales_id = {ONE_SALE}"
            ))
            .await?,
            delete_sale: prepare(&format!("DELETE FROM public.sales WHERE sales_id = {ONE_SALE}")).await?,
            delete_sales_of: prepare("DELETE FROM public.sales WHERE customer_id = $1").await?,
            insert_customer: prepare(&insert_statement("customer", &CUSTOMER_COLUMNS, "customer_id")).await?,
            // NULL and the empty text trade places.
            update_customer: prepare(
                "UPDATE public.customer SET yearly_income = $2, commute_distance = NULL, \
                 middle_name = CASE WHEN middle_name IS NULL THEN '' END WHERE customer_id = $1",
            )
            .await?,
            delete_customer: prepare("DELETE FROM public.customer WHERE customer_id = $1").await?,
            pick_customer: prepare(
                "SELECT customer_id FROM public.customer WHERE customer_id >= $1 ORDER BY customer_id LIMIT 1",
            )
            .await?,
        })
    }
}

/// Many sales in one statement: those at `$1` again, with a date of now.
fn insert_sales_copied() -> String {
    let names: Vec<&str> = SALE_COLUMNS.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let fresh = names.replace("order_date", "now()").replace("created_at", "now()");
    format!("INSERT INTO public.sales ({names}) SELECT {fresh} FROM public.sales WHERE sales_id IN {SALES}")
}
