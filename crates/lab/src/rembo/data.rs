//! One random customer, one random sale.
//!
//! Both are built once as typed values in the order of their columns, and written by COPY or by INSERT alike.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio_postgres::types::{ToSql, Type};

use super::dictionary::{EDUCATION, FEMALE_TITLES, MALE_TITLES, MARITAL_STATUS, NAME_STYLES, OCCUPATION, TERRITORIES};
use super::moment::{DAY, Day, Moment, iso, key_of};
use super::pools::{Pools, fit, pick};

/// Columns of `customer` after its key.
pub(super) const CUSTOMER_COLUMNS: [(&str, Type); 24] = [
    ("last_name", Type::VARCHAR),
    ("address_line1", Type::VARCHAR),
    ("address_line2", Type::VARCHAR),
    ("birth_date", Type::DATE),
    ("commute_distance", Type::INT4),
    ("customer_alternate_key", Type::VARCHAR),
    ("date_first_purchase", Type::VARCHAR),
    ("email_address", Type::VARCHAR),
    ("education", Type::VARCHAR),
    ("occupation", Type::VARCHAR),
    ("first_name", Type::VARCHAR),
    ("gender", Type::VARCHAR),
    ("house_owner_flag", Type::BOOL),
    ("marital_status", Type::VARCHAR),
    ("middle_name", Type::VARCHAR),
    ("name_style", Type::VARCHAR),
    ("number_cars_owned", Type::INT4),
    ("number_children_at_home", Type::INT4),
    ("phone", Type::VARCHAR),
    ("suffix", Type::VARCHAR),
    ("title", Type::VARCHAR),
    ("total_children", Type::VARCHAR),
    ("yearly_income", Type::INT4),
    ("created_at", Type::TIMESTAMPTZ),
];

/// Columns of `sales` after its key.
pub(super) const SALE_COLUMNS: [(&str, Type); 22] = [
    ("currencykey", Type::VARCHAR),
    ("customer_id", Type::INT4),
    ("sales_amount", Type::INT8),
    ("sales_territory_id", Type::INT4),
    ("employee_id", Type::INT4),
    ("order_quantity", Type::INT4),
    ("order_date", Type::TIMESTAMPTZ),
    ("duedate", Type::VARCHAR),
    ("shipdate", Type::TIMESTAMPTZ),
    ("tax_amt", Type::INT4),
    ("total_product_cost", Type::INT8),
    ("unit_price", Type::INT4),
    ("unit_price_discount_pct", Type::INT4),
    ("discount_amount", Type::VARCHAR),
    ("duedatekey", Type::INT4),
    ("extended_amount", Type::INT4),
    ("freight", Type::INT4),
    ("product_standard_cost", Type::INT4),
    ("revision_number", Type::INT4),
    ("sales_order_line_number", Type::VARCHAR),
    ("sales_order_number", Type::VARCHAR),
    ("created_at", Type::TIMESTAMPTZ),
];

/// Due date and shipping lie within this many days of the order.
const DELIVERY_DAYS: i64 = 30;
/// No sale is above this amount.
const MAX_AMOUNT: i64 = 1_000;

/// A value as it is sent.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// A customer's values, in the order of [`CUSTOMER_COLUMNS`]. `number` makes the alternate key and the address
/// unique.
pub(super) fn customer(rng: &mut ChaCha8Rng, pools: &Pools, number: i64, created: Moment) -> Vec<Value> {
    let first = pick(rng, &pools.first_names).to_owned();
    let last = pick(rng, &pools.last_names).to_owned();
    let (gender, titles): (&'static str, &'static [&'static str]) =
        if rng.random() { ("Male", &MALE_TITLES) } else { ("Female", &FEMALE_TITLES) };
    let title = pick(rng, titles);
    let children = rng.random_range(0..=6);
    let at_home = rng.random_range(0..=children);
    // 18 to 80 years old when they came.
    let birth = Day(created.day().0 - rng.random_range(18 * 365..80 * 365));
    let first_purchase = created.plus(rng.random_range(0..365) * DAY).date();
    let domain = pick(rng, &pools.domain_suffixes);
    let email = format!("{first}.{last}.{number}@example.{domain}").to_lowercase();
    let street = format!("{} {}", rng.random_range(1..2_000), pick(rng, &pools.streets));
    let second = sometimes(rng, 0.4, |rng| fit(pick(rng, &pools.secondary_addresses).to_owned()));
    let middle = sometimes(rng, 0.5, |rng| pick(rng, &pools.first_names).to_owned());
    let suffix = sometimes(rng, 0.1, |rng| pick(rng, &pools.suffixes).to_owned());
    let phone = format!("+{}", rng.random_range(20_000_000_000_i64..29_999_999_999));
    vec![
        Box::new(fit(last)),
        Box::new(fit(street)),
        Box::new(second),
        Box::new(birth),
        Box::new(rng.random_range(0..=60_i32)),
        Box::new(format!("RB{number:08}")),
        Box::new(iso(first_purchase)),
        Box::new(fit(email)),
        Box::new(pick(rng, &EDUCATION)),
        Box::new(pick(rng, &OCCUPATION)),
        Box::new(fit(first)),
        Box::new(gender),
        Box::new(rng.random::<bool>()),
        Box::new(pick(rng, &MARITAL_STATUS)),
        Box::new(middle),
        Box::new(pick(rng, &NAME_STYLES)),
        Box::new(rng.random_range(0..=4_i32)),
        Box::new(at_home),
        Box::new(phone),
        Box::new(suffix),
        Box::new(title),
        Box::new(children.to_string()),
        Box::new(rng.random_range(20_000..=1_000_000_i32)),
        Box::new(created),
    ]
}

fn sometimes(rng: &mut ChaCha8Rng, share: f64, make: impl FnOnce(&mut ChaCha8Rng) -> String) -> Option<String> {
    rng.random_bool(share).then(|| make(rng))
}

/// Who buys from whom, where, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deal {
    pub(super) customer: i32,
    pub(super) employee: i32,
    pub(super) territory: i32,
    pub(super) ordered: Moment,
    /// How high prices stand, 1 and up: an amount is 10 to 100 times this.
    pub(super) level: f64,
}

/// A sale of random size.
#[derive(Debug)]
pub(super) struct Sale {
    pub(super) deal: Deal,
    pub(super) currency: &'static str,
    pub(super) amount: i64,
    pub(super) quantity: i32,
}

impl Sale {
    pub(super) fn random(rng: &mut ChaCha8Rng, deal: Deal) -> Self {
        let index = usize::try_from(deal.territory - 1).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "at most a thousand")]
        let amount = (rng.random_range(10.0..=100.0) * deal.level).round() as i64;
        Self {
            deal,
            currency: TERRITORIES.get(index).map_or("USD", |territory| territory.3),
            amount: amount.clamp(10, MAX_AMOUNT),
            quantity: rng.random_range(1..=20),
        }
    }

    /// The sale's values, in the order of [`SALE_COLUMNS`]. `number` is printed on its papers.
    pub(super) fn values(&self, rng: &mut ChaCha8Rng, number: i64) -> Vec<Value> {
        let amount = i32::try_from(self.amount).unwrap_or(i32::MAX);
        let Deal { customer, employee, territory, ordered, .. } = self.deal;
        let due = ordered.plus(rng.random_range(1..=DELIVERY_DAYS) * DAY).date();
        let shipped = ordered.plus(rng.random_range(0..DELIVERY_DAYS * DAY));
        let discount = rng.random_range(0..=amount / 5);
        let cost = rng.random_range(amount..=amount * 3 / 2);
        vec![
            Box::new(self.currency),
            Box::new(customer),
            Box::new(self.amount),
            Box::new(territory),
            Box::new(employee),
            Box::new(self.quantity),
            Box::new(ordered),
            Box::new(iso(due)),
            Box::new(shipped),
            Box::new(rng.random_range(0..=amount / 3)),
            Box::new(i64::from(cost)),
            Box::new(amount / self.quantity),
            Box::new(discount / self.quantity),
            Box::new(discount.to_string()),
            Box::new(key_of(due)),
            Box::new(rng.random_range(0..=amount * 3 / 2)),
            Box::new(rng.random_range(0..=500_i32)),
            Box::new(cost / self.quantity),
            Box::new(rng.random_range(1..=5_i32)),
            Box::new(format!("L{}", rng.random_range(1..=9))),
            Box::new(format!("SO{number:08}")),
            Box::new(ordered),
        ]
    }
}

/// `INSERT INTO public.<table> (<columns>) VALUES ($1, ...) RETURNING <key>`.
pub(super) fn insert_statement(table: &str, columns: &[(&str, Type)], key: &str) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
    format!("INSERT INTO public.{table} ({}) VALUES ({}) RETURNING {key}", names.join(", "), places.join(", "))
}

/// Values as tokio-postgres takes them.
pub(super) fn references(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| -> &(dyn ToSql + Sync) { value.as_ref() }).collect()
}
