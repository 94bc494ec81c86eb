//! The four tables: create, alter, drop.

use tokio_postgres::Client;

use crate::error::{Attempt, Error, Result};
use crate::verify::Table;

/// In the order in which foreign keys allow creating them.
const TABLES: [&str; 4] = ["sales_territory", "employee", "customer", "sales"];

/// The index is ours: without it every deleted customer costs a scan of all sales, for the foreign key.
const CREATE: &str = "
CREATE TABLE public.sales_territory (
    sales_territory_id serial PRIMARY KEY,
    sales_territory_country varchar(50),
    sales_territory_region varchar(50),
    sales_territory_city varchar(50),
    created_at timestamptz DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE public.employee (
    employee_id serial PRIMARY KEY,
    employee_name varchar(50),
    sales_territory_id int REFERENCES public.sales_territory (sales_territory_id),
    created_at timestamptz DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE public.customer (
    customer_id serial PRIMARY KEY,
    last_name varchar(50),
    address_line1 varchar(50),
    address_line2 varchar(50),
    birth_date date,
    commute_distance int,
    customer_alternate_key varchar(50),
    date_first_purchase varchar(50),
    email_address varchar(50),
    education varchar(50),
    occupation varchar(50),
    first_name varchar(50),
    gender varchar(50),
    house_owner_flag boolean,
    marital_status varchar(50),
    middle_name varchar(50),
    name_style varchar(50),
    number_cars_owned int,
    number_children_at_home int,
    phone varchar(50),
    suffix varchar(50),
    title varchar(50),
    total_children varchar(50),
    yearly_income int,
    created_at timestamptz DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE public.sales (
    sales_id serial PRIMARY KEY,
    currencykey varchar(50),
    customer_id int REFERENCES public.customer (customer_id),
    sales_amount bigint,
    sales_territory_id int REFERENCES public.sales_territory (sales_territory_id),
    employee_id int NOT NULL REFERENCES public.employee (employee_id),
    order_quantity int,
    order_date timestamptz NOT NULL,
    duedate varchar(50),
    shipdate timestamptz NOT NULL,
    tax_amt int,
    total_product_cost bigint,
    unit_price int,
    unit_price_discount_pct int,
    discount_amount varchar(50),
    duedatekey int,
    extended_amount int,
    freight int,
    product_standard_cost int,
    revision_number int,
    sales_order_line_number varchar(50),
    sales_order_number varchar(50),
    created_at timestamptz DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX sales_customer_id_idx ON public.sales (customer_id);
";

/// Creates the tables, empty. With `force`, tables that exist are dropped first.
///
/// # Errors
/// [`Error::TablesExist`] names those that exist already, without `force`; nothing is changed then.
pub async fn create(client: &mut Client, force: bool) -> Result<()> {
    let existing = existing(client).await?;
    if !existing.is_empty() && !force {
        return Err(Error::TablesExist { tables: existing });
    }
    let transaction = client.transaction().await.attempt("creating the tables")?;
    transaction.batch_execute(&drop_statement()).await.attempt("dropping the tables")?;
    transaction.batch_execute(CREATE).await.attempt("creating the tables")?;
    transaction.commit().await.attempt("creating the tables")
}

/// Sets `REPLICA IDENTITY FULL` on all tables.
pub async fn alter(client: &Client) -> Result<()> {
    let statements: String =
        TABLES.iter().map(|table| format!("ALTER TABLE public.{table} REPLICA IDENTITY FULL;")).collect();
    client.batch_execute(&statements).await.attempt("setting the replica identity")
}

/// Drops the tables, as far as they exist.
pub async fn drop(client: &Client) -> Result<()> {
    client.batch_execute(&drop_statement()).await.attempt("dropping the tables")
}

/// What a configuration of walhouse has to say for this workload: the plural name that its queries use.
pub const CONFIGURATION: &str = "[tables.\"public.employee\"]\nview = \"view_employees_last_rec\"\n";

/// The tables with their targets. The view of `employee` is called `view_employees_last_rec`, which walhouse's
/// configuration has to say as well.
pub fn tables() -> Vec<Table> {
    let table = |name: &str| match name {
        "employee" => Table::new("public", name).view("view_employees_last_rec"),
        _ => Table::new("public", name),
    };
    TABLES.iter().map(|name| table(name)).collect()
}

fn drop_statement() -> String {
    let tables: Vec<String> = TABLES.iter().rev().map(|table| format!("public.{table}")).collect();
    format!("DROP TABLE IF EXISTS {};", tables.join(", "))
}

async fn existing(client: &Client) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for table in TABLES {
        let name = format!("public.{table}");
        let row =
            client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await.attempt("looking for the tables")?;
        if row.get(0) {
            found.push(name);
        }
    }
    Ok(found)
}
