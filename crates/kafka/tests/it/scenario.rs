//! A recorded scenario: its connector, its catalog, its frames, and what the encoder makes of them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value as Json;
use walhouse_change::{
    BatchBuilder, Column, Lsn, OldImage, Permit, ReplicaIdentity, Span, TableName, TableSchema, Transaction,
};
use walhouse_kafka::{ColumnFacts, Encoder, Error, Offset, Options, Record, SnapshotPart, TableFacts, UniqueIndex};
use walhouse_value::{CatalogType, Kind, PgType};

use crate::ddl::{self, Lineage};
use crate::pgoutput::{self, Field, Frame};

pub(crate) struct Scenario {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) meta: Json,
    catalog: Json,
    changes: String,
    frames: Vec<(u64, Frame)>,
    pub(crate) messages: Vec<Json>,
}

/// What a replay needs to know beside the recording.
#[derive(Clone, Copy, Default)]
pub(crate) struct Hints {
    /// Transactions (counted from 0) before which the connector's task was started anew.
    pub(crate) restarts: &'static [usize],
}

/// Where the recordings are.
pub(crate) fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Scenario {
    pub(crate) fn load(name: &str) -> Self {
        // An absolute path stands for itself.
        let folder = golden().join(name);
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        let meta: Json = serde_json::from_str(&read("meta.json")).unwrap();
        let connector: Json = serde_json::from_str(&read("connector.json")).unwrap();
        let mut config: BTreeMap<String, String> = connector["config"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        config.insert("database.dbname".into(), meta["database"].as_str().unwrap().into());
        config.insert("walhouse.oddities".into(), "true".into());
        let frames = lines(&read("pgoutput.jsonl"))
            .iter()
            .map(|line| {
                let frame = pgoutput::parse(pgoutput::base64(line["data"].as_str().unwrap()));
                (line["lsn"].as_u64().unwrap(), frame)
            })
            .collect();
        Self {
            catalog: serde_json::from_str(&read("catalog.json")).unwrap(),
            changes: read("changes.sql"),
            messages: lines(&read("messages.jsonl")),
            frames,
            config,
            meta,
        }
    }

    /// Makes a column one that may not be null.
    pub(crate) fn require(&mut self, table: &str, column: &str) {
        for state in ["at_start", "at_end"] {
            let tables = self.catalog[state]["tables"].as_array_mut().unwrap();
            let columns = tables.iter_mut().filter(|known| known["table"] == table);
            for known in columns.flat_map(|table| table["columns"].as_array_mut().unwrap()) {
                if known["name"] == column {
                    known["notnull"] = true.into();
                }
            }
        }
    }

    /// What the encoder makes of the frames, up to the error that stops it.
    pub(crate) fn replay(&self, hints: Hints) -> (Vec<Record>, Option<Error>) {
        let (records, error, _) = self.replay_with_offset(hints);
        (records, error)
    }

    /// The same, with the offset of the last record.
    pub(crate) fn replay_with_offset(&self, hints: Hints) -> (Vec<Record>, Option<Error>, Option<Offset>) {
        let mut replay = Replay {
            scenario: self,
            hints,
            encoder: self.encoder(),
            facts: HashMap::new(),
            transactions: 0,
            lineages: self.lineages(),
            seen: HashMap::new(),
            relations: HashMap::new(),
            out: Vec::new(),
            transaction: Transaction { xid: 0, commit_lsn: Lsn(0), commit_time: 0 },
            index: 0,
            pending: Pending::default(),
        };
        let error = replay.run().err();
        let offset = replay.encoder.offset().cloned();
        (replay.out, error, offset)
    }

    pub(crate) fn encoder(&self) -> Encoder {
        let options = Options::parse(&self.config, &BTreeMap::new()).unwrap();
        let mut encoder = Encoder::new(options, []);
        for state in ["at_start", "at_end"] {
            for ty in self.catalog[state]["types"].as_array().into_iter().flatten() {
                if let Some(labels) = ty["labels"].as_array() {
                    let labels = labels.iter().map(|label| label.as_str().unwrap().to_owned()).collect();
                    encoder.set_enum(ty["oid"].as_u64().unwrap() as u32, labels);
                }
            }
        }
        encoder
    }

    fn relation(&self, frame: &Frame) -> Option<TableSchema> {
        let Frame::Relation { oid, schema, name, identity, columns } = frame else { return None };
        Some(TableSchema {
            relid: *oid,
            name: TableName::new(schema.as_str(), name.as_str()),
            identity: ReplicaIdentity::from_byte(*identity).unwrap(),
            columns: columns
                .iter()
                .map(|column| Column { name: column.name.clone(), ty: self.ty(column.oid, column.typmod) })
                .collect(),
            key: (0..columns.len()).filter(|index| columns[*index].key).collect(),
        })
    }

    /// Tables of the frames with the rows that were inserted into them.
    pub(crate) fn inserted(&self) -> Vec<(Arc<TableSchema>, Vec<Vec<Field>>)> {
        let mut tables: Vec<(Arc<TableSchema>, Vec<Vec<Field>>)> = Vec::new();
        for (_, frame) in &self.frames {
            if let Some(relation) = self.relation(frame) {
                tables.push((relation.into(), Vec::new()));
            }
            if let Frame::Insert { oid, new } = frame {
                let table = tables.iter_mut().rev().find(|(relation, _)| relation.relid == *oid).unwrap();
                table.1.push(new.clone());
            }
        }
        tables
    }

    /// A table of the catalog, as a snapshot sees it.
    pub(crate) fn table(&self, schema: &str, name: &str) -> Arc<TableSchema> {
        let tables = self.catalog["at_start"]["tables"].as_array().unwrap();
        let table = tables.iter().find(|table| table["schema"] == schema && table["table"] == name).unwrap();
        let columns = table["columns"].as_array().unwrap().iter().map(|column| Column {
            name: column["name"].as_str().unwrap().to_owned(),
            ty: self.ty(column["type_oid"].as_u64().unwrap() as u32, column["typmod"].as_i64().unwrap() as i32),
        });
        Arc::new(TableSchema {
            relid: table["oid"].as_u64().unwrap() as u32,
            name: TableName::new(schema, name),
            identity: ReplicaIdentity::Default,
            columns: columns.collect(),
            key: Vec::new(),
        })
    }

    /// A snapshot's rows of one table through `encoder`, as of the transaction that stands for it.
    pub(crate) fn snapshot(
        &self,
        encoder: &mut Encoder,
        relation: &Arc<TableSchema>,
        rows: &[Vec<Field>],
        transaction: Transaction,
        part: SnapshotPart,
    ) -> Result<Vec<Record>, Error> {
        let tables = self.catalog["at_start"]["tables"].as_array().unwrap();
        let name = &relation.name;
        let facts = tables.iter().find(|table| table["schema"] == *name.schema && table["table"] == *name.name);
        encoder.set_table(table_facts(relation.relid, facts.unwrap()));
        let Pending { mut builder, data } = Pending::default();
        let mut pending = Pending { builder: BatchBuilder::default(), data };
        builder.begin(transaction);
        let table = builder.schema(relation);
        for row in rows {
            let spans = pending.spans(row);
            builder.read(table, transaction.commit_lsn, &spans);
        }
        let batch = builder.finish(pending.data.freeze(), Permit::default());
        let mut out = Vec::new();
        encoder.snapshot(&batch, part, &mut out).map(|()| out)
    }

    fn ty(&self, oid: u32, typmod: i32) -> PgType {
        if let Some(known) = PgType::builtin(oid, typmod) {
            return known;
        }
        let find = |state: &str| {
            let types = self.catalog[state]["types"].as_array()?;
            types.iter().find(|ty| ty["oid"] == oid).cloned()
        };
        let Some(row) = find("at_start").or_else(|| find("at_end")) else {
            return PgType::new(oid, typmod, format!("unknown_{oid}"), walhouse_value::Class::Other);
        };
        let number = |key: &str| row[key].as_i64().unwrap();
        let typtype = row["typtype"].as_str().unwrap().as_bytes()[0];
        let name = row["name"].as_str().unwrap();
        let element = number("elem") as u32;
        let is_array = name.starts_with('_') && element != 0;
        PgType::from_catalog(CatalogType {
            oid,
            typmod: if typtype == b'd' { number("typmod") as i32 } else { typmod },
            name: name.to_owned(),
            typtype,
            element: is_array.then(|| self.ty(element, -1)),
            base: (typtype == b'd').then(|| self.ty(number("base") as u32, number("typmod") as i32)),
        })
    }

    /// Tables of the start, with what the scenario's DDL makes of them.
    fn lineages(&self) -> HashMap<u32, Lineage> {
        let tables = self.catalog["at_start"]["tables"].as_array().unwrap();
        let oid = |table: &Json| table["oid"].as_u64().unwrap() as u32;
        let name = |table: &Json| table["table"].as_str().unwrap().to_owned();
        let oids: Vec<u32> = tables.iter().map(oid).collect();
        let mut lineages: Vec<Lineage> =
            tables.iter().map(|table| Lineage::new(&name(table), table_facts(oid(table), table))).collect();
        let end = self.catalog["at_end"]["tables"].as_array().unwrap();
        ddl::run(&self.changes, &mut lineages, |table, column| {
            let columns =
                end.iter().filter(|known| known["table"] == table).filter_map(|known| known["columns"].as_array());
            let mut columns = columns.flatten().filter(|known| known["name"] == column);
            columns.find_map(|known| known["default"].as_str().map(str::to_owned))
        });
        oids.into_iter().zip(lineages).collect()
    }

    /// A table that was made on the way, as it was at the end.
    fn facts_at_end(&self, oid: u32) -> Option<TableFacts> {
        let tables = self.catalog["at_end"]["tables"].as_array().unwrap();
        tables.iter().find(|table| table["oid"] == oid).map(|table| table_facts(oid, table))
    }

    /// When the first streamed transaction was committed, in milliseconds since 1970.
    pub(crate) fn streaming_since(&self) -> Option<i64> {
        self.frames.iter().find_map(|(_, frame)| match frame {
            Frame::Begin { time, .. } => Some(time / 1000),
            _ => None,
        })
    }
}

fn table_facts(oid: u32, table: &Json) -> TableFacts {
    let columns = table["columns"].as_array().unwrap().iter().map(|column| ColumnFacts {
        name: column["name"].as_str().unwrap().to_owned(),
        not_null: column["notnull"].as_bool().unwrap(),
        default: column["default"].as_str().filter(|_| column["generated"] == "").map(str::to_owned),
    });
    let mut facts = TableFacts { relid: oid, columns: columns.collect(), ..TableFacts::default() };
    for index in table["indexes"].as_array().into_iter().flatten() {
        let (name, columns) = index_columns(index["def"].as_str().unwrap());
        if index["primary"] == true {
            facts.primary_key = columns.unwrap();
        } else if index["unique"] == true {
            facts.unique_indexes.push(UniqueIndex { name, columns });
        }
    }
    facts
}

/// Name and columns of `CREATE UNIQUE INDEX name ON s.t USING btree (a, "B")`.
fn index_columns(definition: &str) -> (String, Option<Vec<String>>) {
    let name = definition.split(" INDEX ").nth(1).unwrap().split(" ON ").next().unwrap().trim_matches('"');
    let list = definition.split(" USING btree (").nth(1).unwrap();
    let mut columns = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    for character in list.chars() {
        match character {
            '"' => quoted = !quoted,
            '(' if !quoted => return (name.to_owned(), None),
            ',' | ')' if !quoted => {
                columns.push(std::mem::take(&mut current).trim().to_owned());
                if character == ')' {
                    break;
                }
            }
            other => current.push(other),
        }
    }
    (name.to_owned(), Some(columns))
}

#[derive(Default)]
struct Pending {
    builder: BatchBuilder,
    data: BytesMut,
}

impl Pending {
    fn spans(&mut self, fields: &[Field]) -> Vec<Span> {
        fields
            .iter()
            .map(|field| {
                let offset = self.data.len() as u32;
                self.data.extend_from_slice(&field.bytes);
                Span { offset, len: field.bytes.len() as u32, kind: field.kind }
            })
            .collect()
    }
}

struct Replay<'a> {
    scenario: &'a Scenario,
    hints: Hints,
    encoder: Encoder,
    facts: HashMap<u32, TableFacts>,
    transactions: usize,
    lineages: HashMap<u32, Lineage>,
    seen: HashMap<u32, usize>,
    relations: HashMap<u32, Arc<TableSchema>>,
    out: Vec<Record>,
    transaction: Transaction,
    index: u64,
    pending: Pending,
}

impl Replay<'_> {
    fn run(&mut self) -> Result<(), Error> {
        for (lsn, frame) in &self.scenario.frames {
            self.frame(*lsn, frame)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Pending { builder, data } = std::mem::take(&mut self.pending);
        let batch = builder.finish(data.freeze(), Permit::default());
        self.encoder.encode(&batch, &mut self.out)
    }

    fn frame(&mut self, lsn: u64, frame: &Frame) -> Result<(), Error> {
        self.index += 1;
        let at = (Lsn(lsn), self.index);
        match frame {
            Frame::Begin { commit_lsn, time, xid } => {
                if self.hints.restarts.contains(&self.transactions) {
                    self.encoder = self.scenario.encoder();
                    self.facts.values().cloned().for_each(|facts| self.encoder.set_table(facts));
                }
                self.transactions += 1;
                self.transaction = Transaction { xid: *xid, commit_lsn: Lsn(*commit_lsn), commit_time: *time };
                self.index = 0;
                self.pending.builder.begin_at(self.transaction, Lsn(lsn));
            }
            Frame::Commit => {
                self.pending.builder.commit_at(Lsn(lsn));
                self.flush()?;
            }
            Frame::Relation { .. } => self.relation(frame),
            Frame::Insert { oid, new } => {
                let table = self.pending.builder.schema(&self.relations[oid]);
                let spans = self.pending.spans(new);
                self.pending.builder.insert(table, at.0, at.1, &spans);
            }
            Frame::Update { oid, old, new } => {
                let table = self.pending.builder.schema(&self.relations[oid]);
                let new = self.pending.spans(new);
                let old = old.as_ref().map(|(kind, fields)| (image(*kind), self.pending.spans(fields)));
                let old = old.as_ref().map(|(kind, spans)| (*kind, spans.as_slice()));
                self.pending.builder.update(table, at.0, at.1, &new, old);
            }
            Frame::Delete { oid, old } => {
                let table = self.pending.builder.schema(&self.relations[oid]);
                let spans = self.pending.spans(&old.1);
                self.pending.builder.delete(table, at.0, at.1, (image(old.0), &spans));
            }
            Frame::Truncate { oids } => {
                let tables = oids.iter().map(|oid| self.pending.builder.schema(&self.relations[oid])).collect();
                self.pending.builder.truncate(tables, at.0, at.1);
            }
            Frame::Message { transactional, prefix, content } => {
                let text = |bytes: &[u8]| Field { kind: Kind::Text, bytes: bytes.to_vec().into() };
                let spans = self.pending.spans(&[text(prefix.as_bytes()), text(content)]);
                self.pending.builder.message(*transactional, Lsn(lsn), spans[0], spans[1]);
                if !*transactional {
                    self.flush()?;
                }
            }
            Frame::Other => {}
        }
        Ok(())
    }

    fn relation(&mut self, frame: &Frame) {
        let Frame::Relation { oid, name, columns, .. } = frame else { return };
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let seen = self.seen.get(oid).copied();
        let lineage = self.lineages.get(oid);
        let version = lineage.and_then(|lineage| lineage.version(seen, name, &names));
        let facts = match (lineage, version) {
            (Some(lineage), Some(version)) => {
                self.seen.insert(*oid, version);
                Some(lineage.facts(version))
            }
            _ => self.scenario.facts_at_end(*oid),
        };
        if let Some(facts) = facts {
            self.facts.insert(*oid, facts.clone());
            self.encoder.set_table(facts);
        }
        let relation = self.scenario.relation(frame).unwrap();
        self.relations.insert(*oid, Arc::new(relation));
    }
}

fn image(kind: u8) -> OldImage {
    if kind == b'O' { OldImage::Full } else { OldImage::Key }
}

pub(crate) fn text(bytes: Option<&Bytes>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}
