//! A chart: what it shows, as the two texts that Superset keeps of it.
//!
//! `params` is what the browser works from; `query_context` is the ready query of reports and of the API. They can
//! differ in silence, so both are made here from the same [`Visual`].

use serde_json::{Map, Value, json};

use super::OURS;
use super::dataset::{SHORT, WHOLE};

/// No period: everything.
pub(super) const ALWAYS: &str = "No filter";
/// Up to now: Superset's own "Last day" ends at midnight and leaves today out.
pub(super) const LAST_DAY: &str = "yesterday : now";

/// Rows of a chart that has no smaller number of its own.
const ROW_LIMIT: u32 = 10_000;
/// Rows of a table that sums up.
const TABLE_LIMIT: u32 = 1_000;

/// A chart of Superset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) description: String,
    /// Name of its dataset.
    pub(super) dataset: String,
    /// The column that a dashboard's period acts on, and the chart's own period.
    pub(super) time: Option<(String, &'static str)>,
    pub(super) visual: Visual,
}

/// What a chart looks like, with the columns and metrics it is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Visual {
    /// One number.
    Number { metric: String, format: &'static str },
    /// A line over time; one per value of `series`, if given.
    Line { axis: String, grain: Grain, metric: String, series: Option<String> },
    /// Two lines over time, each with an axis of its own.
    TwoLines { axis: String, grain: Grain, left: String, right: String },
    /// A bar per value of a column.
    Bars { by: String, metric: String },
    /// Rings, the innermost first.
    Sunburst { rings: Vec<String>, metric: String },
    /// Rows as they are, in descending order of a column.
    Rows { columns: Vec<String>, newest: String, limit: u32 },
    /// Sums by columns, in descending order of the first.
    Sums { by: Vec<String>, metrics: Vec<String> },
}

/// A step of a time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    Minute,
    Day,
    Month,
}

impl Grain {
    fn code(self) -> &'static str {
        match self {
            Self::Minute => "PT1M",
            Self::Day => "P1D",
            Self::Month => "P1M",
        }
    }

    fn time_format(self) -> &'static str {
        match self {
            Self::Minute => "%H:%M",
            Self::Day => "%d %b %Y",
            Self::Month => "%b %Y",
        }
    }
}

impl Chart {
    /// As the importer wants it.
    pub(super) fn to_json(&self, dataset_uuid: &str) -> Value {
        let params = self.params();
        let context = self.query_context(&params);
        json!({
            "slice_name": self.name,
            "description": self.description,
            "certified_by": OURS,
            "certification_details": "",
            "viz_type": self.visual.name(),
            "params": params,
            "query_context": context.to_string(),
            "cache_timeout": null,
            "uuid": self.uuid,
            "version": super::bundle::VERSION,
            "dataset_uuid": dataset_uuid,
        })
    }

    fn params(&self) -> Map<String, Value> {
        let mut params = Map::new();
        params.insert("adhoc_filters".into(), Value::Array(self.period_filter()));
        params.insert("extra_form_data".into(), json!({}));
        for (key, value) in self.visual.params() {
            params.insert(key, value);
        }
        if let Visual::TwoLines { .. } = self.visual {
            params.insert("adhoc_filters_b".into(), Value::Array(self.period_filter()));
        }
        params.insert("viz_type".into(), json!(self.visual.name()));
        // the importer puts the dataset's number here
        params.insert("datasource".into(), json!("0__table"));
        params
    }

    /// A dashboard's period reaches only charts that have such a filter.
    fn period_filter(&self) -> Vec<Value> {
        let filter = |(column, period): &(String, &'static str)| {
            json!({
                "expressionType": "SIMPLE", "clause": "WHERE", "subject": column,
                "operator": "TEMPORAL_RANGE", "comparator": period,
            })
        };
        self.time.iter().map(filter).collect()
    }

    fn query_context(&self, params: &Map<String, Value>) -> Value {
        let mut form_data = params.clone();
        form_data.insert("result_format".into(), json!("json"));
        form_data.insert("result_type".into(), json!("full"));
        let filters: Vec<Value> = self
            .time
            .iter()
            .map(|(column, period)| json!({"col": column, "op": "TEMPORAL_RANGE", "val": period}))
            .collect();
        let queries = self.visual.queries().into_iter().map(|query| query.to_json(&filters));
        json!({
            "datasource": {"id": 0, "type": "table"},
            "force": false,
            "queries": queries.collect::<Vec<_>>(),
            "form_data": form_data,
            "result_format": "json",
            "result_type": "full",
        })
    }
}

impl Visual {
    /// Superset's name of this kind of chart.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Number { .. } => "big_number_total",
            Self::Line { .. } => "echarts_timeseries_line",
            Self::TwoLines { .. } => "mixed_timeseries",
            Self::Bars { .. } => "echarts_timeseries_bar",
            Self::Sunburst { .. } => "sunburst_v2",
            Self::Rows { .. } | Self::Sums { .. } => "table",
        }
    }

    fn params(&self) -> Map<String, Value> {
        let value = match self {
            Self::Number { metric, format } => json!({
                "metric": metric, "header_font_size": 0.4, "subheader_font_size": 0.15, "y_axis_format": format,
                "time_format": "smart_date",
            }),
            Self::Line { axis, grain, metric, series } => json!({
                "x_axis": axis, "time_grain_sqla": grain.code(), "x_axis_time_format": grain.time_format(),
                "tooltipTimeFormat": grain.time_format(), "show_legend": series.is_some(), "rich_tooltip": true,
                "truncate_metric": true, "y_axis_format": SHORT, "metrics": [metric],
                "groupby": Vec::from_iter(series), "row_limit": ROW_LIMIT, "order_desc": true,
                "seriesType": "line", "markerEnabled": false, "show_empty_columns": true,
            }),
            Self::TwoLines { axis, grain, left, right } => json!({
                "x_axis": axis, "time_grain_sqla": grain.code(), "x_axis_time_format": grain.time_format(),
                "tooltipTimeFormat": grain.time_format(), "show_legend": true, "rich_tooltip": true,
                "truncate_metric": true, "y_axis_format": SHORT, "metrics": [left], "groupby": [],
                "row_limit": ROW_LIMIT, "seriesType": "line", "yAxisIndex": 0, "metrics_b": [right], "groupby_b": [],
                "row_limit_b": ROW_LIMIT, "seriesTypeB": "line", "yAxisIndexB": 1, "y_axis_format_secondary": SHORT,
                "markerEnabled": false, "markerEnabledB": false, "order_desc": true, "order_desc_b": true,
            }),
            Self::Bars { by, metric } => json!({
                "x_axis": by, "show_legend": false, "rich_tooltip": true, "truncate_metric": true,
                "y_axis_format": SHORT, "metrics": [metric], "groupby": [], "row_limit": TABLE_LIMIT,
                "order_desc": true, "orientation": "horizontal", "show_value": true, "x_axis_sort_asc": true,
                "x_axis_sort": metric,
            }),
            Self::Sunburst { rings, metric } => json!({
                "columns": rings, "metric": metric, "row_limit": ROW_LIMIT, "sort_by_metric": true,
                "color_scheme": "supersetColors", "linear_color_scheme": "superset_seq_1", "show_labels": true,
                "show_labels_threshold": 5, "label_type": "key", "number_format": SHORT,
            }),
            Self::Rows { columns, newest, limit } => json!({
                "query_mode": "raw", "all_columns": columns, "order_by_cols": [json!([newest, false]).to_string()],
                "row_limit": limit, "server_page_length": 10, "page_length": 20,
                "table_timestamp_format": "%Y-%m-%d %H:%M:%S", "include_search": true, "show_cell_bars": false,
                "color_pn": false, "groupby": [], "metrics": [], "percent_metrics": [],
            }),
            Self::Sums { by, metrics } => json!({
                "query_mode": "aggregate", "groupby": by, "metrics": metrics, "all_columns": [],
                "percent_metrics": [], "order_by_cols": [], "row_limit": TABLE_LIMIT, "order_desc": true,
                "server_page_length": 10, "page_length": 20, "timeseries_limit_metric": metrics.first(),
                "include_search": true, "show_cell_bars": true, "show_totals": false,
                "table_timestamp_format": "%Y-%m-%d %H:%M:%S",
            }),
        };
        match value {
            Value::Object(params) => params,
            _ => Map::new(),
        }
    }

    fn queries(&self) -> Vec<Query<'_>> {
        match self {
            Self::Number { metric, .. } => vec![Query::of(&[], vec![metric], TABLE_LIMIT)],
            Self::Line { axis, grain, metric, series } => {
                vec![Query {
                    axis: Some((axis, Some(*grain))),
                    ..Query::of(Vec::from_iter(series), vec![metric], ROW_LIMIT)
                }]
            }
            Self::TwoLines { axis, grain, left, right } => [left, right]
                .map(|metric| Query { axis: Some((axis, Some(*grain))), ..Query::of(&[], vec![metric], ROW_LIMIT) })
                .into(),
            Self::Bars { by, metric } => {
                vec![Query { axis: Some((by, None)), ..Query::of(&[], vec![metric], TABLE_LIMIT) }]
            }
            Self::Sunburst { rings, metric } => vec![Query::of(rings, vec![metric], ROW_LIMIT)],
            Self::Sums { by, metrics } => vec![Query::of(by, metrics.iter().collect(), TABLE_LIMIT)],
            Self::Rows { columns, newest, limit } => {
                vec![Query { newest: Some(newest), ..Query::of(columns, Vec::new(), *limit) }]
            }
        }
    }

    /// Names of the metrics it shows.
    pub(super) fn metrics(&self) -> Vec<&str> {
        let names = self.queries().into_iter().flat_map(|query| query.metrics);
        names.map(String::as_str).collect()
    }
}

/// One query of a chart.
struct Query<'a> {
    axis: Option<(&'a str, Option<Grain>)>,
    columns: Vec<&'a String>,
    metrics: Vec<&'a String>,
    newest: Option<&'a str>,
    limit: u32,
}

impl<'a> Query<'a> {
    fn of(columns: impl IntoIterator<Item = &'a String>, metrics: Vec<&'a String>, limit: u32) -> Self {
        Self { axis: None, columns: columns.into_iter().collect(), metrics, newest: None, limit }
    }

    fn to_json(&self, filters: &[Value]) -> Value {
        let mut extras = json!({"having": "", "where": ""});
        let mut columns: Vec<Value> = Vec::new();
        if let Some((axis, grain)) = self.axis {
            let mut column =
                json!({"columnType": "BASE_AXIS", "sqlExpression": axis, "label": axis, "expressionType": "SQL"});
            if let Some(grain) = grain {
                column["timeGrain"] = json!(grain.code());
                extras["time_grain_sqla"] = json!(grain.code());
            }
            columns.push(column);
        }
        columns.extend(self.columns.iter().map(|name| json!(name)));
        let orderby = match (self.newest, self.metrics.first()) {
            (Some(column), _) => json!([[column, false]]),
            (None, Some(metric)) if !columns.is_empty() => json!([[metric, false]]),
            _ => json!([]),
        };
        json!({
            "filters": filters, "extras": extras, "applied_time_extras": {}, "columns": columns,
            "metrics": if self.metrics.is_empty() { Value::Null } else { json!(self.metrics) },
            "orderby": orderby, "annotation_layers": [], "row_limit": self.limit, "series_limit": 0,
            "order_desc": true, "url_params": {}, "custom_params": {}, "custom_form_data": {},
            "post_processing": self.post_processing(), "time_offsets": [],
        })
    }

    /// Rows to a table with a column per series, as the browser asks for them.
    fn post_processing(&self) -> Value {
        let (Some((axis, _)), Some(metric)) = (self.axis, self.metrics.first()) else { return json!([]) };
        let aggregates = json!({metric.as_str(): {"operator": "mean"}});
        json!([
            {"operation": "pivot", "options": {
                "index": [axis], "columns": self.columns, "aggregates": aggregates, "drop_missing_columns": false,
            }},
            {"operation": "flatten"},
        ])
    }
}

/// The format of a number of things.
pub(super) fn whole(metric: &str) -> Visual {
    Visual::Number { metric: metric.to_owned(), format: WHOLE }
}
