//! A dashboard: charts in rows, filters above them, and how often it looks again.

use serde_json::{Map, Value, json};

use super::OURS;
use super::chart::{ALWAYS, Chart};

/// Superset's grid has 12 columns.
const COLUMNS: usize = 12;
/// The first colours of Superset's own scheme. Two lines of one chart get the same one unless told otherwise.
const COLORS: [&str; 6] = ["#1FA8C9", "#FF7F44", "#454E7C", "#5AC189", "#666666", "#E04355"];

/// A dashboard of Superset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dashboard {
    pub(super) uuid: String,
    pub(super) title: String,
    /// The end of its address.
    pub(super) slug: String,
    pub(super) description: String,
    /// Names of charts; those of a row share its width.
    pub(super) rows: Vec<Row>,
    pub(super) filters: Vec<Filter>,
    /// Seconds between two looks.
    pub(super) refresh: u32,
}

/// Charts side by side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// In units of 8 pixels.
    pub(super) height: u32,
    /// Name of the chart, and its share of the width in grid columns.
    pub(super) charts: Vec<(String, usize)>,
}

/// A filter above the charts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    /// A period of time, and what it is at first.
    Period { name: &'static str, first: &'static str },
    /// Values of a column.
    Values {
        name: &'static str,
        dataset: String,
        column: &'static str,
        /// Name of the filter whose values narrow this one's.
        within: Option<&'static str>,
    },
}

impl Row {
    /// Charts that share the width equally.
    pub(super) fn equal(height: u32, charts: &[&str]) -> Self {
        let width = COLUMNS / charts.len().max(1);
        Self { height, charts: charts.iter().map(|name| ((*name).to_owned(), width)).collect() }
    }
}

impl Dashboard {
    /// As the importer wants it. `charts` are all that there are, `dataset_uuid` knows the datasets by name.
    pub(super) fn to_json(&self, charts: &[Chart], dataset_uuid: impl Fn(&str) -> Option<String>) -> Value {
        json!({
            "dashboard_title": self.title,
            "description": self.description,
            "css": "",
            "slug": self.slug,
            "certified_by": OURS,
            "certification_details": self.description,
            "published": true,
            "uuid": self.uuid,
            "position": self.position(charts),
            "metadata": self.metadata(charts, dataset_uuid),
            "version": super::bundle::VERSION,
        })
    }

    /// The charts on it, in order.
    pub(super) fn charts<'a>(&'a self, charts: &'a [Chart]) -> impl Iterator<Item = &'a Chart> {
        let names = self.rows.iter().flat_map(|row| &row.charts);
        names.filter_map(|(name, _)| charts.iter().find(|chart| chart.name == *name))
    }

    fn position(&self, charts: &[Chart]) -> Value {
        let ids: Vec<String> = (1..=self.rows.len()).map(|number| format!("ROW-{number}")).collect();
        let mut position = Map::new();
        position.insert("DASHBOARD_VERSION_KEY".into(), json!("v2"));
        position.insert("ROOT_ID".into(), json!({"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]}));
        position.insert(
            "GRID_ID".into(),
            json!({"id": "GRID_ID", "type": "GRID", "children": ids, "parents": ["ROOT_ID"]}),
        );
        position.insert("HEADER_ID".into(), json!({"id": "HEADER_ID", "type": "HEADER", "meta": {"text": self.title}}));
        for (id, row) in ids.iter().zip(&self.rows) {
            let mut children = Vec::with_capacity(row.charts.len());
            for (name, width) in &row.charts {
                let Some((number, chart)) = (1_u32..).zip(charts).find(|(_, chart)| chart.name == *name) else {
                    continue;
                };
                let child = format!("CHART-{id}-{number}");
                position.insert(
                    child.clone(),
                    json!({
                        "id": child, "type": "CHART", "children": [], "parents": ["ROOT_ID", "GRID_ID", id],
                        // the importer puts the chart's number in the place of ours
                        "meta": {"uuid": chart.uuid, "chartId": number, "sliceName": chart.name,
                                 "width": width, "height": row.height},
                    }),
                );
                children.push(child);
            }
            position.insert(
                id.clone(),
                json!({"id": id, "type": "ROW", "children": children, "parents": ["ROOT_ID", "GRID_ID"],
                       "meta": {"background": "BACKGROUND_TRANSPARENT"}}),
            );
        }
        Value::Object(position)
    }

    fn metadata(&self, charts: &[Chart], dataset_uuid: impl Fn(&str) -> Option<String>) -> Value {
        let colors = self.colors(charts);
        let filters = self.filters.iter().filter_map(|filter| self.filter(filter, &dataset_uuid));
        json!({
            "refresh_frequency": self.refresh,
            "timed_refresh_immune_slices": [],
            "expanded_slices": {},
            "default_filters": "{}",
            "color_scheme": "supersetColors",
            "label_colors": colors,
            "map_label_colors": colors,
            "shared_label_colors": [],
            "color_scheme_domain": [],
            "cross_filters_enabled": true,
            "chart_configuration": {},
            "global_chart_configuration": {"scope": everywhere(), "chartsInScope": []},
            "native_filter_configuration": filters.collect::<Vec<_>>(),
        })
    }

    /// By metric name: Superset looks for neither its label nor the chart's.
    fn colors(&self, charts: &[Chart]) -> Map<String, Value> {
        let mut colors = Map::new();
        for metric in self.charts(charts).flat_map(|chart| chart.visual.metrics()) {
            let next = COLORS.get(colors.len() % COLORS.len()).copied().unwrap_or_default();
            colors.entry(metric).or_insert_with(|| json!(next));
        }
        colors
    }

    fn filter(&self, filter: &Filter, dataset_uuid: impl Fn(&str) -> Option<String>) -> Option<Value> {
        let base = |name: &str, kind: &str, targets: Value, parents: Value, controls: Value, mask: Value| {
            json!({
                "id": self.filter_id(name), "name": name, "type": "NATIVE_FILTER", "description": "",
                "defaultDataMask": mask, "cascadeParentIds": parents, "scope": everywhere(), "filterType": kind,
                "targets": targets, "controlValues": controls,
            })
        };
        let nothing = json!({"extraFormData": {}, "filterState": {}, "ownState": {}});
        Some(match filter {
            Filter::Period { name, first } => {
                let mask = match *first {
                    ALWAYS => nothing,
                    period => json!({
                        "extraFormData": {"time_range": period}, "filterState": {"value": period}, "ownState": {},
                    }),
                };
                base(name, "filter_time", json!([{}]), json!([]), json!({}), mask)
            }
            Filter::Values { name, dataset, column, within } => {
                let targets = json!([{"datasetUuid": dataset_uuid(dataset)?, "column": {"name": column}}]);
                let parents = json!(within.iter().map(|parent| self.filter_id(parent)).collect::<Vec<_>>());
                let controls = json!({
                    "enableEmptyFilter": false, "defaultToFirstItem": false, "multiSelect": true,
                    "searchAllOptions": false, "inverseSelection": false,
                });
                base(name, "filter_select", targets, parents, controls, nothing)
            }
        })
    }

    fn filter_id(&self, name: &str) -> String {
        format!("NATIVE_FILTER-{}", super::uuid::of(&self.uuid, "filter", name))
    }
}

fn everywhere() -> Value {
    json!({"rootPath": ["ROOT_ID"], "excluded": []})
}
