//! From one table and the connector's options to its feed.

use std::sync::Arc;

use anyhow::{Context, Result};
use walhouse_change::{SurveyedTable, TableSchema};
use walhouse_clickhouse::kafka::{Around, Binary, Epochs, Feed, FeedColumn, Queue, Source, Wire};
use walhouse_clickhouse::mapping::TablePlan;
use walhouse_kafka::{Options, Place, Reading, Shape, TableFacts};

use super::refused;

/// A table with how its messages are read.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// The table's shape, without the columns that are in no message.
    pub(crate) schema: Arc<TableSchema>,
    /// Columns that are in no message.
    pub(crate) left_out: Vec<String>,
    pub(crate) estimated_rows: u64,
    pub(crate) reading: Reading,
}

/// Reads the messages' form off the options.
///
/// # Errors
/// The table cannot be kept right from these messages.
pub(crate) fn prepare(options: &Options, table: &SurveyedTable, facts: &TableFacts) -> Result<Prepared> {
    let schema = &table.schema;
    let reading = options.reading(schema, Some(facts)).map_err(|error| refused(error.to_string()))?;
    let sent = |index: usize| reading.columns.iter().any(|column| column.index == index);
    let mut narrowed = (**schema).clone();
    let key: Vec<&str> =
        schema.key.iter().filter_map(|&index| schema.columns.get(index)).map(|column| column.name.as_str()).collect();
    let mut left_out = Vec::new();
    narrowed.columns.clear();
    for (index, column) in schema.columns.iter().enumerate() {
        match sent(index) {
            true => narrowed.columns.push(column.clone()),
            false => left_out.push(column.name.clone()),
        }
    }
    narrowed.key = key.iter().filter_map(|name| narrowed.column(name)).collect();
    Ok(Prepared { schema: Arc::new(narrowed), left_out, estimated_rows: table.estimated_rows, reading })
}

/// Joins a table's plan with its messages.
pub(super) fn feed(plan: Arc<TablePlan>, prepared: &Prepared, queue: Queue, epochs: Epochs) -> Result<Feed> {
    let reading = &prepared.reading;
    let table = &prepared.schema.name;
    let schema: serde_json::Value =
        serde_json::from_str(&reading.row_schema).with_context(|| format!("cannot read the schema of {table}"))?;
    let fields = schema.get("fields").and_then(serde_json::Value::as_array).map_or(&[][..], Vec::as_slice);
    let binary = match reading.binary {
        "base64-url-safe" => Binary::Base64Url,
        "hex" => Binary::Hex,
        _ => Binary::Base64,
    };
    let mut columns = Vec::with_capacity(fields.len());
    for ((column, field), sent) in prepared.schema.columns.iter().zip(fields).zip(&reading.columns) {
        let wire = Wire::of(field, &column.ty, binary, reading.numbers)
            .ok_or_else(|| refused(format!("cannot read column {} of {table} from messages", column.name)))?;
        columns.push(FeedColumn {
            field: sent.field.clone(),
            placeholder: sent.placeholder.as_deref().map(as_read),
            wire,
        });
    }
    Ok(Feed {
        plan,
        queue,
        schemas: reading.schemas,
        numbers: reading.numbers,
        around: around(&reading.shape),
        columns,
        truncates: reading.truncates,
        epochs,
    })
}

/// A string's own text, and other JSON as it is.
fn as_read(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

fn around(shape: &Shape) -> Around {
    let source = |place: &Option<Place>| {
        place.as_ref().map(|place| match place {
            Place::Field(name) => Source::Field(name.clone()),
            Place::Header(name) => Source::Header(name.clone()),
        })
    };
    match shape {
        Shape::Envelope => Around::Envelope,
        Shape::Row { op, lsn, committed, added } => {
            Around::Row { op: source(op), lsn: source(lsn), committed: source(committed), added: added.clone() }
        }
    }
}
