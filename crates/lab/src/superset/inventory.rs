//! What Superset has already: ours, and what others made of it.
//!
//! Ours is what has an identifier of ours, or carries our badge in a Superset whose lists show no identifiers. What
//! people added to a dataset of ours (metrics, calculated columns) is theirs, and goes into the next bundle: the
//! importer would delete it otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::OURS;
use super::client::{Kind, Superset};
use super::plan::Assets;
use crate::error::{Error, Result};

/// One dataset of our database.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    pub(super) id: i64,
    /// Made by us, or adopted by a former run.
    pub(super) ours: bool,
    /// As the API tells it.
    pub(super) detail: Value,
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Number of our database.
    pub(super) database: Option<i64>,
    /// Datasets of our database by name.
    pub(super) datasets: BTreeMap<String, Found>,
    /// Numbers of our charts, by name.
    pub(super) charts: BTreeMap<String, i64>,
    /// Numbers of our dashboards, by slug.
    pub(super) dashboards: BTreeMap<String, i64>,
}

impl Inventory {
    /// Reads it.
    ///
    /// # Errors
    /// Superset refuses; or it has a database of our name, or a dashboard at an address of ours, that is not ours.
    pub(super) async fn read(superset: &mut Superset, assets: &Assets) -> Result<Self> {
        let mut inventory = Self::default();
        let name = &assets.deployment.name;
        let databases = superset.list(Kind::Database, Some(("database_name", "eq", json!(name)))).await?;
        if let Some(database) = databases.first() {
            if text(database, "uuid").is_some_and(|uuid| uuid != assets.database_uuid) {
                return Err(Error::Invalid(format!(
                    "Superset has a database {name:?} that walhouse did not make: choose another name with --name"
                )));
            }
            inventory.database = id(database);
        }
        inventory.find_dashboards(superset, assets).await?;
        let Some(database) = inventory.database else { return Ok(inventory) };
        for dataset in superset.list(Kind::Dataset, Some(("database", "rel_o_m", json!(database)))).await? {
            inventory.add_dataset(superset, &dataset).await?;
        }
        let shown: BTreeSet<&str> = assets.charts.iter().map(|chart| chart.dataset.as_str()).collect();
        for name in shown {
            if let Some(dataset) = inventory.datasets.get(name).map(|found| found.id) {
                inventory.find_charts(superset, dataset).await?;
            }
        }
        Ok(inventory)
    }

    async fn find_charts(&mut self, superset: &mut Superset, dataset: i64) -> Result<()> {
        for chart in superset.list(Kind::Chart, Some(("datasource_id", "eq", json!(dataset)))).await? {
            let ours = text(&chart, "certified_by") == Some(OURS);
            if let (true, Some(id), Some(name)) = (ours, id(&chart), text(&chart, "slice_name")) {
                self.charts.insert(name.to_owned(), id);
            }
        }
        Ok(())
    }

    async fn find_dashboards(&mut self, superset: &mut Superset, assets: &Assets) -> Result<()> {
        for dashboard in &assets.dashboards {
            let found = superset.list(Kind::Dashboard, Some(("slug", "eq", json!(dashboard.slug)))).await?;
            let Some(found) = found.first() else { continue };
            let ours = match text(found, "uuid") {
                Some(uuid) => uuid == dashboard.uuid,
                None => text(found, "certified_by") == Some(OURS),
            };
            if !ours {
                return Err(Error::Invalid(format!(
                    "Superset has a dashboard at /superset/dashboard/{}/ that walhouse did not make: give it another \
                     address, or choose another name with --name",
                    dashboard.slug
                )));
            }
            if let Some(id) = id(found) {
                self.dashboards.insert(dashboard.slug.clone(), id);
            }
        }
        Ok(())
    }

    async fn add_dataset(&mut self, superset: &mut Superset, listed: &Value) -> Result<()> {
        let (Some(id), Some(name)) = (id(listed), text(listed, "table_name")) else { return Ok(()) };
        let ours = text(listed, "extra").is_some_and(is_certified);
        let detail = superset.read(Kind::Dataset, id).await?;
        self.datasets.insert(name.to_owned(), Found { id, ours, detail });
        Ok(())
    }
}

impl Found {
    /// What people added to it: metrics that we did not make and columns that are computed, other than those that
    /// `dataset`, the new content, has itself. As the importer wants them.
    pub(super) fn additions(&self, dataset: &Value) -> (Vec<Value>, Vec<Value>) {
        let has = |list: &str, key: &str, name: &str| {
            let items = dataset.get(list).and_then(Value::as_array);
            items.is_some_and(|items| items.iter().any(|item| text(item, key) == Some(name)))
        };
        let kept = |list: &str, key: &str, wanted: &dyn Fn(&Value) -> bool, fields: &[&str]| {
            let items = self.detail.get(list).and_then(Value::as_array).into_iter().flatten();
            items
                .filter(|item| wanted(item) && text(item, key).is_some_and(|name| !has(list, key, name)))
                .map(|item| fields.iter().map(|field| ((*field).to_owned(), importable(item, field))).collect())
                .collect::<Vec<Value>>()
        };
        let metrics = kept(
            "metrics",
            "metric_name",
            &|metric| !text(metric, "extra").is_some_and(is_certified),
            &[
                "metric_name",
                "expression",
                "verbose_name",
                "metric_type",
                "description",
                "d3format",
                "extra",
                "warning_text",
            ],
        );
        let columns = kept(
            "columns",
            "column_name",
            &|column| is_computed(column) && !text(column, "extra").is_some_and(is_certified),
            &[
                "column_name",
                "type",
                "is_dttm",
                "verbose_name",
                "description",
                "is_active",
                "groupby",
                "filterable",
                "expression",
                "python_date_format",
                "extra",
            ],
        );
        (columns, metrics)
    }

    /// Name and type of the columns that come from ClickHouse, by name.
    pub(super) fn columns(&self) -> BTreeMap<String, String> {
        let columns = self.detail.get("columns").and_then(Value::as_array).into_iter().flatten();
        let pair = |column: &Value| {
            let name = text(column, "column_name")?;
            (!is_computed(column)).then(|| (name.to_owned(), text(column, "type").unwrap_or_default().to_owned()))
        };
        columns.filter_map(pair).collect()
    }
}

/// Has an expression that is more than its own name behind a table's (see `Dataset::expression`).
fn is_computed(column: &Value) -> bool {
    let Some(expression) = text(column, "expression").filter(|sql| !sql.is_empty()) else { return false };
    let name = text(column, "column_name").unwrap_or_default();
    let qualified = expression.starts_with('`') && expression.ends_with(&format!("`.{}", super::words::quoted(name)));
    !qualified
}

/// The API gives `extra` as a text, the importer wants what is in it.
fn importable(item: &Value, field: &str) -> Value {
    let value = item.get(field).cloned().unwrap_or_default();
    match (field, &value) {
        ("extra", Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => value,
    }
}

fn is_certified(extra: &str) -> bool {
    let extra: Value = serde_json::from_str(extra).unwrap_or_default();
    extra.pointer("/certification/certified_by").and_then(Value::as_str) == Some(OURS)
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

pub(super) fn id(value: &Value) -> Option<i64> {
    value.get("id").and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_added_is_kept() {
        let badge = json!({"certification": {"certified_by": OURS}}).to_string();
        let found = Found {
            detail: json!({
                "columns": [
                    {"column_name": "t", "type": "DateTime", "expression": "`v`.`t`"},
                    {"column_name": "gone", "type": "Int8", "expression": null},
                    {"column_name": "theirs", "type": "Int8", "expression": "a + 1", "extra": "{\"x\": 1}"},
                    {"column_name": "ours", "type": "Date", "expression": "toDate(t)", "extra": badge},
                ],
                "metrics": [
                    {"metric_name": "old", "expression": "SUM(gone)", "extra": badge},
                    {"metric_name": "theirs", "expression": "MAX(a)", "extra": ""},
                ],
            }),
            ..Found::default()
        };
        let (columns, metrics) = found.additions(&json!({"columns": [{"column_name": "ours"}], "metrics": []}));
        let names = |items: &[Value], key: &str| {
            items.iter().filter_map(|item| text(item, key)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names(&columns, "column_name"), ["theirs"]);
        assert_eq!(names(&metrics, "metric_name"), ["theirs"]);
        assert_eq!(columns.first().and_then(|column| column.pointer("/extra/x")), Some(&json!(1)));
        assert_eq!(found.columns().into_keys().collect::<Vec<_>>(), ["gone", "t"]);
    }
}
