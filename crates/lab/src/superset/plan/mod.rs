//! What Superset is to have for a warehouse: pure, so that two runs on the same tables want the same.

mod pipeline;
mod sales;
mod starter;
mod tables;

use super::chart::Chart;
use super::dashboard::{Dashboard, Filter};
use super::dataset::Dataset;
use super::uuid;
use crate::warehouse::Warehouse;

/// Seconds between two looks of a dashboard.
const REFRESH: u32 = 10;
/// The name of a deployment whose dashboards have plain names.
pub(super) const DEFAULT_NAME: &str = "walhouse";

/// Which warehouse this is, among all that a Superset may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Name of the database in Superset; everything that is made belongs to it.
    pub name: String,
    /// The replication slot, which names the pipeline's state in ClickHouse.
    pub slot: String,
}

/// Everything that Superset is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Assets {
    pub(super) deployment: Deployment,
    /// Database in ClickHouse.
    pub(super) database: String,
    pub(super) database_uuid: String,
    pub(super) datasets: Vec<Dataset>,
    pub(super) charts: Vec<Chart>,
    pub(super) dashboards: Vec<Dashboard>,
}

impl Assets {
    /// Plans everything for `warehouse`: a dataset per table; the pipeline's dashboard; the shop's dashboards for the
    /// sample workload, a starter dashboard for any other database.
    #[must_use]
    pub fn plan(deployment: Deployment, warehouse: &Warehouse) -> Self {
        let mut assets = Self {
            database_uuid: uuid::of(&deployment.name, "database", ""),
            deployment,
            database: warehouse.database.clone(),
            datasets: Vec::new(),
            charts: Vec::new(),
            dashboards: Vec::new(),
        };
        for table in &warehouse.tables {
            assets.add_dataset(tables::dataset(table));
        }
        if sales::fits(warehouse) {
            sales::add(&mut assets, warehouse);
        } else {
            starter::add(&mut assets, warehouse);
        }
        pipeline::add(&mut assets, warehouse);
        assets
    }

    /// How many datasets, charts and dashboards there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.datasets.len(), self.charts.len(), self.dashboards.len())
    }

    /// The dataset's identifier, by its name.
    pub(super) fn dataset_uuid(&self, name: &str) -> Option<String> {
        self.datasets.iter().find(|dataset| dataset.name == name).map(|dataset| dataset.uuid.clone())
    }

    fn uuid(&self, kind: &str, name: &str) -> String {
        uuid::of(&self.deployment.name, kind, name)
    }

    fn add_dataset(&mut self, dataset: Dataset) {
        let uuid = self.uuid("dataset", &dataset.name);
        let name = if dataset.sql.is_some() { self.query_name(dataset.name) } else { dataset.name };
        self.datasets.push(Dataset { uuid, name, ..dataset });
    }

    fn add_chart(&mut self, chart: Chart) {
        let uuid = self.uuid("chart", &chart.name);
        let dataset = self.dataset_name(chart.dataset);
        self.charts.push(Chart { uuid, dataset, ..chart });
    }

    /// A query's name: a Superset that keeps its own data in SQLite takes each dataset's name once,
    /// whatever the database.
    fn query_name(&self, name: String) -> String {
        match self.deployment.name.as_str() {
            DEFAULT_NAME => name,
            deployment => format!("{deployment}_{name}"),
        }
    }

    /// The name under which a dataset that was added is known.
    fn dataset_name(&self, name: String) -> String {
        if self.datasets.iter().any(|dataset| dataset.name == name) { name } else { self.query_name(name) }
    }

    /// `title` without its brackets; a deployment of another name shows it in title and address.
    fn add_dashboard(&mut self, title: &str, dashboard: Dashboard) {
        let name = &self.deployment.name;
        let slug = title.to_lowercase();
        let (title, slug) = match name.as_str() {
            DEFAULT_NAME => (format!("[ {title} ]"), slug),
            _ => (format!("[ {title} ] {name}"), format!("{name}-{slug}")),
        };
        let uuid = self.uuid("dashboard", &dashboard.slug);
        let filters = dashboard.filters.into_iter().map(|filter| match filter {
            Filter::Values { name, dataset, column, within } => {
                Filter::Values { name, dataset: self.dataset_name(dataset), column, within }
            }
            other => other,
        });
        let dashboard = Dashboard { filters: filters.collect(), ..dashboard };
        self.dashboards.push(Dashboard { uuid, title, slug, refresh: REFRESH, ..dashboard });
    }
}

#[cfg(test)]
mod tests;
