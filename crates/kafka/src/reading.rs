//! How a reader finds a table's rows in a connector's messages: the other end of the encoder.
//!
//! The same plan that encodes a table's changes says here what they will look like, so that who
//! builds tables over a topic need not know Debezium's options. What cannot be read back right is
//! refused, with what to change in the connector.

use std::collections::HashMap;

use walhouse_change::{ReplicaIdentity, TableName, TableSchema};

use crate::catalog::TableFacts;
use crate::convert::Converter;
use crate::json::{self, DecimalFormat, JsonOptions};
use crate::options::{BinaryMode, DeleteMode, Options, Predicate, PredicateKind, TransformKind, Unwrap};
use crate::source::Common;
use crate::table::{Planner, RowPlan};

/// Where a value stands in a message without an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A field beside the row's own.
    Field(String),
    /// A header.
    Header(String),
}

/// What is around the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Debezium's envelope: `before`, `after`, `source`, `op`.
    Envelope,
    /// The row alone (`ExtractNewRecordState`), `__deleted` among its fields.
    Row {
        /// The operation, where it was added.
        op: Option<Place>,
        /// `source.lsn`, where it was added.
        lsn: Option<Place>,
        /// `source.ts_ms`, where it was added.
        committed: Option<Place>,
        /// Names of all fields that were added beside `__deleted`.
        added: Vec<String>,
    },
}

/// A column of the table in the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadColumn {
    /// Index in the table's columns.
    pub index: usize,
    /// The field's name.
    pub field: String,
    /// JSON of what stands there for an out-of-line value that did not change; none where such a
    /// value comes as null or cannot be out of line.
    pub placeholder: Option<String>,
    /// The value is masked or shortened by the connector.
    pub masked: bool,
}

/// One table's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The topic.
    pub topic: String,
    /// Columns of the message's key, which decides the partition.
    pub key: Vec<String>,
    /// Whether a schema stands in front of the payload.
    pub schemas: bool,
    /// Whether decimals are JSON numbers.
    pub numbers: bool,
    /// What is around the row.
    pub shape: Shape,
    /// The row's Connect schema as JSON: `{"type":"struct","fields":[..]}`, its fields in the order of `columns`.
    pub row_schema: String,
    /// `bytes`, `base64`, `base64-url-safe` or `hex`.
    pub binary: &'static str,
    /// The columns that the messages have.
    pub columns: Vec<ReadColumn>,
    /// Whether a TRUNCATE is told.
    pub truncates: bool,
    /// What a reader of these messages should know, one line each.
    pub concerns: Vec<String>,
}

/// Messages from which the table cannot be kept right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {table} from the connector's messages: {problem}")]
pub struct Unreadable {
    /// The table.
    pub table: TableName,
    /// What is wrong, and what mends it.
    pub problem: String,
}

impl Options {
    /// How `table`'s rows are read back. `facts` is the catalog's view of it.
    ///
    /// # Errors
    /// [`Unreadable`] when deletes or other changes cannot be seen, rows of one key can come in any order, or
    /// the value is not JSON.
    pub fn reading(&self, table: &TableSchema, facts: Option<&TableFacts>) -> Result<Reading, Unreadable> {
        let refuse = |problem: String| Unreadable { table: table.name.clone(), problem };
        if !self.captures(&table.name) {
            return Err(refuse("its lists of schemas and tables leave it out".to_owned()));
        }
        let Converter::Json(json) = self.value else {
            return Err(refuse("value.converter must be org.apache.kafka.connect.json.JsonConverter".to_owned()));
        };
        self.all_operations().map_err(refuse)?;
        let common = Common::new();
        let planner = Planner { options: self, types: &self.types, common: &common, labels: &HashMap::new() };
        let plan = planner.plan(table, facts);
        let route = Route::follow(self, &plan.topic).map_err(refuse)?;
        let key: Vec<String> = match &route.key {
            Some(field) => vec![field.clone()],
            None => plan.key.iter().flat_map(RowPlan::columns).map(|column| column.name.to_owned()).collect(),
        };
        let columns = self.columns_of(&plan.row);
        check_key(table, &key, &columns).map_err(refuse)?;
        let truncates = !self.skipped.contains(&b't') && route.shape == Shape::Envelope;
        let mut concerns = Vec::new();
        if !truncates {
            concerns.push("a TRUNCATE is not in the messages: rows stay until they are deleted one by one".to_owned());
        }
        if matches!(&route.shape, Shape::Row { lsn: None, .. }) {
            concerns.push(
                "add.fields has no lsn: a message that the connector sends twice is twice in the history".to_owned(),
            );
        }
        if let Shape::Row { op: None, .. } = &route.shape {
            concerns.push("add.fields has no op: inserts and updates are not told apart".to_owned());
        }
        if self.types.decimal == crate::options::DecimalMode::Double {
            concerns.push("decimal.handling.mode=double: beyond 15 digits numbers are rounded by Debezium".to_owned());
        }
        if json.replace_nulls && has_defaults(facts, &columns, table) {
            concerns.push(
                "a NULL in a column with a default is published as the default: set \
                 value.converter.replace.null.with.default=false"
                    .to_owned(),
            );
        }
        Ok(Reading {
            topic: route.topic,
            key,
            schemas: json.schemas,
            numbers: json.decimals == DecimalFormat::Numeric,
            shape: route.shape,
            row_schema: String::from_utf8_lossy(plan.row.schema.json(DecimalFormat::Base64)).into_owned(),
            binary: match self.types.binary {
                BinaryMode::Bytes => "bytes",
                BinaryMode::Base64 => "base64",
                BinaryMode::Base64UrlSafe => "base64-url-safe",
                BinaryMode::Hex => "hex",
            },
            columns,
            truncates,
            concerns,
        })
    }

    fn all_operations(&self) -> Result<(), String> {
        let names = [(b'c', "inserts"), (b'u', "updates"), (b'd', "deletes")];
        match names.iter().find(|(operation, _)| self.skipped.contains(operation)) {
            Some((operation, name)) => Err(format!(
                "skipped.operations leaves {name} out: take {:?} out of it",
                char::from(*operation).to_string()
            )),
            None => Ok(()),
        }
    }

    fn columns_of(&self, row: &RowPlan) -> Vec<ReadColumn> {
        let plain = JsonOptions { schemas: false, decimals: DecimalFormat::Base64, replace_nulls: false };
        let column = |column: crate::table::RowColumn<'_>| {
            let value = column.ty.placeholder(&self.types).ok().filter(|value| !value.is_null());
            let json = value.and_then(|value| json::convert(Some(column.schema), &value, plain));
            ReadColumn {
                index: column.index,
                field: column.name.to_owned(),
                placeholder: json.map(|json| String::from_utf8_lossy(&json).into_owned()),
                masked: column.masked,
            }
        };
        row.columns().map(column).collect()
    }
}

/// What the transformations make of a table's records.
struct Route {
    topic: String,
    shape: Shape,
    /// The one field that the key becomes.
    key: Option<String>,
}

impl Route {
    fn follow(options: &Options, topic: &str) -> Result<Self, String> {
        let mut route = Self { topic: topic.to_owned(), shape: Shape::Envelope, key: None };
        for transform in &options.transforms {
            let name = &transform.name;
            if !applies(transform.predicate.as_ref(), &route.topic)
                .ok_or_else(|| format!("transformation {name} depends on a header, so rows come in two forms"))?
            {
                continue;
            }
            match &transform.kind {
                TransformKind::Unwrap(unwrap) if route.shape == Shape::Envelope => {
                    route.shape = unwrapped(name, unwrap)?;
                }
                TransformKind::RegexRouter { topic, replacement } => {
                    route.topic = topic.replace(&route.topic, replacement.as_str()).into_owned();
                }
                TransformKind::LogicalTable(table) if table.topic.is_match(&route.topic) => {
                    route.topic = table.topic.replace(&route.topic, table.replacement.as_str()).into_owned();
                }
                TransformKind::ExtractKeyField(field) => route.key = Some(field.clone()),
                TransformKind::Unwrap(_)
                | TransformKind::LogicalTable(_)
                | TransformKind::InsertHeader { .. }
                | TransformKind::DropHeaders(_) => {}
            }
        }
        Ok(route)
    }
}

/// Whether a transformation sees the records that have a value; none if that differs from record to record.
fn applies(predicate: Option<&Predicate>, topic: &str) -> Option<bool> {
    let Some(predicate) = predicate else { return Some(true) };
    let holds = match &predicate.kind {
        PredicateKind::TopicNameMatches(pattern) => pattern.is_match(topic),
        PredicateKind::RecordIsTombstone => false,
        PredicateKind::HasHeaderKey(_) => return None,
    };
    Some(holds != predicate.negate)
}

fn unwrapped(name: &str, unwrap: &Unwrap) -> Result<Shape, String> {
    let mode = match unwrap.deletes {
        DeleteMode::Rewrite => None,
        DeleteMode::Drop => Some("drop"),
        DeleteMode::None => Some("none"),
    };
    if let Some(mode) = mode {
        return Err(format!(
            "with transforms.{name}.delete.handling.mode={mode} a delete is not seen by ClickHouse, and deleted rows \
             would stay for ever: set it to rewrite"
        ));
    }
    if unwrap.route_by.is_some() {
        return Err(format!(
            "transforms.{name}.route.by.field spreads rows over topics, and their deletes go elsewhere: remove it"
        ));
    }
    let find = |parent: Option<&str>, field: &str| {
        let wanted = |added: &&crate::options::AddedField| {
            added.name == field && added.parent.as_deref().is_none_or(|found| Some(found) == parent)
        };
        let inside = unwrap.fields.iter().find(wanted).map(|added| Place::Field(added.target.clone()));
        inside.or_else(|| unwrap.headers.iter().find(wanted).map(|added| Place::Header(added.target.clone())))
    };
    let commit = |list: &[crate::options::AddedField]| {
        let found = list.iter().find(|it| it.name == "ts_ms" && it.parent.as_deref() == Some("source"));
        found.map(|it| it.target.clone())
    };
    let committed = commit(&unwrap.fields).map(Place::Field).or_else(|| commit(&unwrap.headers).map(Place::Header));
    let added = unwrap.fields.iter().map(|added| added.target.clone()).collect();
    Ok(Shape::Row { op: find(None, "op"), lsn: find(Some("source"), "lsn"), committed, added })
}

/// Rows of one key must be in one partition, and every change must tell its key.
fn check_key(table: &TableSchema, key: &[String], columns: &[ReadColumn]) -> Result<(), String> {
    let own: Vec<&str> =
        table.key.iter().filter_map(|&index| table.columns.get(index)).map(|column| column.name.as_str()).collect();
    if key.is_empty() {
        return Err("its messages have no key, so changes of a row come in any order: give it a primary key".to_owned());
    }
    if let Some(stranger) = key.iter().find(|name| !own.contains(&name.as_str())) {
        return Err(format!(
            "its messages are spread over partitions by {stranger}, which is not of the row's identity ({}), so changes \
             of a row come in any order{}",
            own.join(", "),
            if table.identity == ReplicaIdentity::Index { ": use REPLICA IDENTITY FULL" } else { "" }
        ));
    }
    for &index in &table.key {
        let name = table.columns.get(index).map_or("?", |column| column.name.as_str());
        match columns.iter().find(|column| column.index == index) {
            None => {
                return Err(format!("its key's column {name} is not in the messages: take it into the column lists"));
            }
            Some(column) if column.masked => return Err(format!("its key's column {name} is masked")),
            Some(_) => {}
        }
    }
    Ok(())
}

fn has_defaults(facts: Option<&TableFacts>, columns: &[ReadColumn], table: &TableSchema) -> bool {
    let Some(facts) = facts else { return false };
    let nullable = |column: &&ReadColumn| {
        let name = table.columns.get(column.index).map(|column| column.name.as_str()).unwrap_or_default();
        facts.column(name).is_some_and(|facts| !facts.not_null && facts.default.is_some())
    };
    columns.iter().find(nullable).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use walhouse_change::Column;
    use walhouse_value::PgType;

    use super::*;

    fn table() -> TableSchema {
        let column = |name: &str, oid| Column { name: name.to_owned(), ty: PgType::builtin(oid, -1).unwrap() };
        TableSchema {
            relid: 1,
            name: TableName::new("public", "sales"),
            identity: ReplicaIdentity::Full,
            columns: vec![column("id", 23), column("note", 25), column("lsn", 3220), column("at", 1184)],
            key: vec![0],
        }
    }

    fn reading(options: &[(&str, &str)]) -> Result<Reading, String> {
        let all = options.iter().chain(&[("topic.prefix", "rembo")]);
        let config: BTreeMap<String, String> = all.map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let options = Options::parse(&config, &BTreeMap::new()).map_err(|error| error.to_string())?;
        options.reading(&table(), None).map_err(|error| error.to_string())
    }

    const UNWRAP: [(&str, &str); 2] =
        [("transforms", "unwrap"), ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState")];

    fn unwrapped(options: &[(&str, &str)]) -> Result<Reading, String> {
        reading(&[&UNWRAP[..], options].concat())
    }

    #[test]
    fn the_envelope() {
        let reading = reading(&[("skipped.operations", "none")]).unwrap();
        assert_eq!((reading.topic.as_str(), &reading.shape), ("rembo.public.sales", &Shape::Envelope));
        assert_eq!((reading.schemas, reading.truncates, reading.key), (true, true, vec!["id".to_owned()]));
        let columns: Vec<_> = reading.columns.iter().map(|column| (column.index, column.field.as_str())).collect();
        assert_eq!(columns, [(0, "id"), (1, "note"), (3, "at")], "a pg_lsn is not in the messages");
        assert_eq!(reading.columns[1].placeholder.as_deref(), Some("\"__debezium_unavailable_value\""));
        assert_eq!(reading.columns[0].placeholder, None);
        let schema: serde_json::Value = serde_json::from_str(&reading.row_schema).unwrap();
        assert_eq!(schema["fields"][2]["name"], "io.debezium.time.ZonedTimestamp");
    }

    #[test]
    fn the_seeds_form() {
        let reading = unwrapped(&[
            ("transforms.unwrap.delete.handling.mode", "rewrite"),
            ("transforms.unwrap.drop.tombstones", "false"),
            ("transforms.unwrap.add.fields", "table,op,lsn,source.ts_ms"),
        ])
        .unwrap();
        let field = |name: &str| Some(Place::Field(name.to_owned()));
        let added = ["__table", "__op", "__lsn", "__source_ts_ms"].map(str::to_owned).to_vec();
        let (op, lsn, committed) = (field("__op"), field("__lsn"), field("__source_ts_ms"));
        assert_eq!(reading.shape, Shape::Row { op, lsn, committed, added });
        assert!(!reading.truncates);
    }

    #[test]
    fn names_may_change_and_headers_do_as_well() {
        let reading = unwrapped(&[
            ("transforms.unwrap.delete.handling.mode", "Rewrite"),
            ("transforms.unwrap.add.headers", "op:what,source.lsn"),
            ("transforms.unwrap.add.headers.prefix", ""),
            ("transforms", "unwrap,route"),
            ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
            ("transforms.route.regex", "(.*)\\.(.*)\\.(.*)"),
            ("transforms.route.replacement", "$3-$1"),
        ])
        .unwrap();
        let header = |name: &str| Some(Place::Header(name.to_owned()));
        let (op, lsn) = (header("what"), header("source_lsn"));
        assert_eq!(reading.shape, Shape::Row { op, lsn, committed: None, added: Vec::new() });
        assert_eq!(reading.topic, "sales-rembo");
    }

    #[test]
    fn what_cannot_be_kept_right_is_refused() {
        let cases = [
            (unwrapped(&[]), "delete.handling.mode=drop a delete is not seen"),
            (unwrapped(&[("transforms.unwrap.delete.handling.mode", "none")]), "delete.handling.mode=none a delete"),
            (reading(&[("skipped.operations", "d,t")]), "leaves deletes out"),
            (reading(&[("value.converter", "org.apache.kafka.connect.storage.StringConverter")]), "must be org.apache"),
            (reading(&[("table.include.list", "public.other")]), "leave it out"),
            (reading(&[("column.exclude.list", "public.sales.id")]), "key's column id is not in the messages"),
            (reading(&[("message.key.columns", "public.sales:note")]), "by note, which is not of the row's identity"),
        ];
        for (reading, expected) in cases {
            let problem = reading.unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
