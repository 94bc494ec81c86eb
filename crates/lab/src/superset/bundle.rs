//! The bundle that Superset imports: a ZIP of YAML files under one root folder.
//!
//! YAML is written as JSON, which is YAML, with everything but plain ASCII escaped: the importer's reader refuses some
//! characters that a comment in a database may well hold, and folds others.
//!
//! One bundle holds everything that depends on each other; datasets that no chart needs come in bundles of their own,
//! since the importer asks ClickHouse about each one and a thousand would outlast any proxy's patience.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::connection::Connection;
use super::dataset::Dataset;
use super::plan::Assets;
use crate::error::{Error, Result};

/// Version of the files' format; the same since Superset 1.
pub(super) const VERSION: &str = "1.0.0";
/// Name of the root folder; any will do.
const ROOT: &str = "walhouse";
/// The database's file, by which its password is given as well.
pub(super) const DATABASE_FILE: &str = "databases/walhouse.yaml";
/// Datasets of one bundle: half a second each.
const DATASETS: usize = 40;

/// What one call imports.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bundle {
    /// Path below the root folder, and content.
    pub(super) files: Vec<(String, Value)>,
    /// Number of datasets, charts and dashboards in it.
    pub(super) objects: usize,
}

/// Which objects are to be imported; all but the datasets that these need can be left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// Names of datasets.
    pub(super) datasets: BTreeSet<String>,
    /// Names of charts.
    pub(super) charts: BTreeSet<String>,
    /// Identifiers of dashboards.
    pub(super) dashboards: BTreeSet<String>,
}

impl Selection {
    /// Everything.
    pub(super) fn all(assets: &Assets) -> Self {
        Self {
            datasets: assets.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
            charts: assets.charts.iter().map(|chart| chart.name.clone()).collect(),
            dashboards: assets.dashboards.iter().map(|dashboard| dashboard.uuid.clone()).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.datasets.is_empty() && self.charts.is_empty() && self.dashboards.is_empty()
    }
}

/// Cuts the selection into bundles, to be imported in this order.
pub(super) fn bundles(assets: &Assets, selection: &Selection, connection: &Connection) -> Vec<Bundle> {
    let dashboards: Vec<_> =
        assets.dashboards.iter().filter(|dashboard| selection.dashboards.contains(&dashboard.uuid)).collect();
    let shown: BTreeSet<&str> = dashboards
        .iter()
        .flat_map(|dashboard| dashboard.charts(&assets.charts))
        .map(|chart| chart.name.as_str())
        .chain(selection.charts.iter().map(String::as_str))
        .collect();
    let charts: Vec<_> = assets.charts.iter().filter(|chart| shown.contains(chart.name.as_str())).collect();
    let needed: BTreeSet<&str> = charts.iter().map(|chart| chart.dataset.as_str()).collect();
    let (joined, apart): (Vec<&Dataset>, Vec<&Dataset>) = assets
        .datasets
        .iter()
        .filter(|dataset| selection.datasets.contains(&dataset.name) || needed.contains(dataset.name.as_str()))
        .partition(|dataset| needed.contains(dataset.name.as_str()));

    let mut bundles: Vec<Bundle> =
        apart.chunks(DATASETS).map(|datasets| with_datasets(assets, datasets, connection)).collect();
    if !charts.is_empty() {
        let mut bundle = with_datasets(assets, &joined, connection);
        for chart in charts {
            let Some(dataset) = assets.dataset_uuid(&chart.dataset) else { continue };
            bundle.files.push((format!("charts/{}.yaml", chart.uuid), chart.to_json(&dataset)));
            bundle.objects += 1;
        }
        for dashboard in dashboards {
            let content = dashboard.to_json(&assets.charts, |name| assets.dataset_uuid(name));
            bundle.files.push((format!("dashboards/{}.yaml", dashboard.uuid), content));
            bundle.objects += 1;
        }
        bundles.push(bundle);
    }
    bundles
}

fn with_datasets(assets: &Assets, datasets: &[&Dataset], connection: &Connection) -> Bundle {
    // the importer reads the time and keeps nothing of it; the same bundle is to be the same bytes
    let metadata = json!({"version": VERSION, "type": "assets", "timestamp": "2024-01-01T00:00:00+00:00"});
    let mut files = vec![
        ("metadata.yaml".to_owned(), metadata),
        (DATABASE_FILE.to_owned(), connection.to_json(&assets.deployment.name, &assets.database_uuid)),
    ];
    for dataset in datasets {
        let content = dataset.to_json(&assets.database, &assets.database_uuid);
        files.push((format!("datasets/walhouse/{}.yaml", dataset.uuid), content));
    }
    Bundle { files, objects: datasets.len() }
}

impl Bundle {
    /// The ZIP's bytes; the same for the same content.
    pub(super) fn zip(&self) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::Invalid(format!("packing the bundle failed: {error}"));
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in &self.files {
            zip.start_file(format!("{ROOT}/{path}"), SimpleFileOptions::default()).map_err(|error| failed(&error))?;
            let text = yaml(content).map_err(|error| failed(&error))?;
            zip.write_all(&text).map_err(|error| failed(&error))?;
        }
        Ok(zip.finish().map_err(|error| failed(&error))?.into_inner())
    }
}

fn yaml(value: &Value) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Ascii))?;
    Ok(bytes)
}

/// Escapes as YAML's double-quoted texts have it: four digits, or eight with a capital U.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> std::io::Result<()> {
        for char in fragment.chars() {
            match char {
                ' '..='~' => write!(writer, "{char}")?,
                '\0'..='\u{ffff}' => write!(writer, "\\u{:04x}", u32::from(char))?,
                _ => write!(writer, "\\U{:08x}", u32::from(char))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_plain_ascii() {
        let text = yaml(&json!({"a": "é\u{7f}\u{2028}😀 \"\\\n\t"})).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), r#"{"a":"\u00e9\u007f\u2028\U0001f600 \"\\\n\t"}"#);
    }
}
