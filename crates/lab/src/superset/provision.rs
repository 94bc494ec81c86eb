//! Making Superset have what is planned, and following the tables afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::bundle::{Bundle, Selection, bundles};
use super::client::{Kind, Superset};
use super::connection::Connection;
use super::inventory::{Found, Inventory};
use super::plan::Assets;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Provisioned {
    /// Superset's version, as far as it tells it.
    pub version: String,
    /// Objects that were made.
    pub created: usize,
    /// Objects that were there and have been brought up to date.
    pub updated: usize,
    /// What people added to datasets, and what was kept of it.
    pub kept: usize,
    /// Datasets of tables that are gone from the target.
    pub stale: Vec<String>,
    /// Datasets of tables that are gone, which were removed.
    pub removed: Vec<String>,
    /// What differed between the tables and their datasets, by dataset.
    pub changes: BTreeMap<String, Vec<String>>,
    /// Where the dashboards are.
    pub dashboards: Vec<String>,
}

/// What to do with datasets of tables that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Leave them.
    Keep,
    /// Remove those that no chart shows.
    Remove,
}

/// Brings everything up to date: makes what is missing, updates what is there.
///
/// # Errors
/// Superset refuses, or has objects of the same names that are not walhouse's.
pub async fn provision(superset: &mut Superset, assets: &Assets, connection: &Connection) -> Result<Provisioned> {
    let inventory = Inventory::read(superset, assets).await?;
    let mut done = Provisioned::default();
    import(superset, assets, &Selection::all(assets), connection, &inventory, &mut done).await?;
    finish(superset, assets, &inventory, Stale::Keep, &mut done).await?;
    Ok(done)
}

/// Follows the tables: updates datasets whose columns changed, makes what is missing, and leaves the rest, with what
/// people changed on it, as it is.
///
/// # Errors
/// As [`provision`]; or nothing was provisioned yet.
pub async fn sync(
    superset: &mut Superset,
    assets: &Assets,
    connection: &Connection,
    stale: Stale,
) -> Result<Provisioned> {
    let inventory = Inventory::read(superset, assets).await?;
    if inventory.database.is_none() {
        return Err(Error::Invalid(format!(
            "Superset has no database {:?}: run `walhouse superset provision` first",
            assets.deployment.name
        )));
    }
    let mut done = Provisioned { changes: changes(assets, &inventory), ..Provisioned::default() };
    let mut selection = Selection {
        datasets: done.changes.keys().cloned().collect(),
        charts: missing(assets.charts.iter().map(|chart| &chart.name), |name| inventory.charts.contains_key(name)),
        dashboards: BTreeSet::new(),
    };
    for dashboard in &assets.dashboards {
        let new_charts = dashboard.charts(&assets.charts).any(|chart| selection.charts.contains(&chart.name));
        if new_charts || !inventory.dashboards.contains_key(&dashboard.slug) {
            selection.dashboards.insert(dashboard.uuid.clone());
        }
    }
    if !selection.is_empty() {
        import(superset, assets, &selection, connection, &inventory, &mut done).await?;
    }
    finish(superset, assets, &inventory, stale, &mut done).await?;
    Ok(done)
}

fn missing<'a>(names: impl Iterator<Item = &'a String>, has: impl Fn(&str) -> bool) -> BTreeSet<String> {
    names.filter(|name| !has(name)).cloned().collect()
}

/// How the datasets differ from what is planned, in words.
fn changes(assets: &Assets, inventory: &Inventory) -> BTreeMap<String, Vec<String>> {
    let mut changes = BTreeMap::new();
    for dataset in &assets.datasets {
        let words = match inventory.datasets.get(&dataset.name) {
            None => vec!["new".to_owned()],
            Some(found) => {
                let content = dataset.to_json(&assets.database, &assets.database_uuid);
                differences(found, &content)
            }
        };
        if !words.is_empty() {
            changes.insert(dataset.name.clone(), words);
        }
    }
    changes
}

fn differences(found: &Found, content: &Value) -> Vec<String> {
    let wanted = Found { detail: content.clone(), ..Found::default() }.columns();
    let have = found.columns();
    let mut words = Vec::new();
    for (name, ty) in &wanted {
        match have.get(name) {
            None => words.push(format!("column {name} added")),
            // Superset itself writes types in capitals when somebody refreshes a dataset
            Some(old) if !old.eq_ignore_ascii_case(ty) => words.push(format!("column {name} is {ty}, was {old}")),
            Some(_) => {}
        }
    }
    words.extend(have.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("column {name} removed")));
    let sql = |value: &Value| value.get("sql").and_then(Value::as_str).map(str::to_owned);
    if sql(&found.detail).filter(|sql| !sql.is_empty()) != sql(content) {
        words.push("query changed".to_owned());
    }
    words
}

async fn import(
    superset: &mut Superset,
    assets: &Assets,
    selection: &Selection,
    connection: &Connection,
    inventory: &Inventory,
    done: &mut Provisioned,
) -> Result<()> {
    let mut bundles = bundles(assets, selection, connection);
    let total: usize = bundles.iter().map(|bundle| bundle.objects).sum();
    let mut progress = Progress::counting("superset", "objects", total as u64);
    for bundle in &mut bundles {
        done.kept += keep_additions(bundle, inventory);
        superset.import(bundle, &connection.password).await?;
        progress.advance(bundle.objects as u64);
    }
    let existing = selection.datasets.iter().filter(|name| inventory.datasets.contains_key(*name)).count()
        + selection.charts.iter().filter(|name| inventory.charts.contains_key(*name)).count()
        + assets
            .dashboards
            .iter()
            .filter(|dashboard| selection.dashboards.contains(&dashboard.uuid))
            .filter(|dashboard| inventory.dashboards.contains_key(&dashboard.slug))
            .count();
    done.updated = existing.min(total);
    done.created = total - done.updated;
    Ok(())
}

/// Puts what people added to a dataset into the bundle; counts it.
fn keep_additions(bundle: &mut Bundle, inventory: &Inventory) -> usize {
    let mut kept = 0;
    for (path, content) in &mut bundle.files {
        let name = content.get("table_name").and_then(Value::as_str).map(str::to_owned);
        let found = name.filter(|_| path.starts_with("datasets/")).and_then(|name| inventory.datasets.get(&name));
        let Some(found) = found else { continue };
        let (columns, metrics) = found.additions(content);
        for (list, added) in [("columns", columns), ("metrics", metrics)] {
            kept += added.len();
            if let Some(items) = content.get_mut(list).and_then(Value::as_array_mut) {
                items.extend(added);
            }
        }
    }
    kept
}

async fn finish(
    superset: &mut Superset,
    assets: &Assets,
    inventory: &Inventory,
    stale: Stale,
    done: &mut Provisioned,
) -> Result<()> {
    done.version = superset.version().to_owned();
    done.dashboards = assets
        .dashboards
        .iter()
        .map(|dashboard| format!("{}/superset/dashboard/{}/", superset.url(), dashboard.slug))
        .collect();
    for (name, found) in &inventory.datasets {
        if !found.ours || assets.dataset_uuid(name).is_some() {
            continue;
        }
        let related = format!("/api/v1/dataset/{}/related_objects", found.id);
        let related = superset.get("asking what shows a dataset", &related).await?;
        let shown = related.pointer("/charts/count").and_then(Value::as_i64) != Some(0);
        if stale == Stale::Remove && !shown {
            superset.delete(Kind::Dataset, found.id).await?;
            done.removed.push(name.clone());
        } else {
            done.stale.push(name.clone());
        }
    }
    Ok(())
}

impl fmt::Display for Provisioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.version.is_empty() { "of unknown version" } else { self.version.as_str() };
        write!(f, "Superset {version}: {} objects made, {} updated", self.created, self.updated)?;
        if self.kept > 0 {
            write!(f, ", {} metrics and columns of others kept", self.kept)?;
        }
        for (dataset, words) in &self.changes {
            write!(f, "\n  {dataset}: {}", words.join(", "))?;
        }
        for dataset in &self.removed {
            write!(f, "\n  {dataset}: removed, its table is gone")?;
        }
        for dataset in &self.stale {
            write!(f, "\n  {dataset}: its table is gone; remove it in Superset, or `walhouse superset sync --prune`")?;
        }
        for dashboard in &self.dashboards {
            write!(f, "\n  {dashboard}")?;
        }
        Ok(())
    }
}
