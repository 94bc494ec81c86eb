//! The tables of the selection: their shape, and why one of them cannot be replicated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use walhouse_change::{Column, Pattern, ReplicaIdentity, Retry, SurveyedTable, TableName, TableSchema};

use super::types::Types;
use crate::wire::Malformed;
use crate::wire::connection::{Connection, Row};
use crate::{Error, Result, sql};

/// First version that publishes stored generated columns.
const PUBLISHES_GENERATED: u32 = 18;

/// A relation of the catalog.
struct Relation {
    relid: u32,
    name: TableName,
    kind: u8,
    persistence: u8,
    identity: ReplicaIdentity,
    is_partition: bool,
    readable: bool,
    columns: Vec<CatalogColumn>,
    primary: Option<Index>,
    identity_index: Option<Index>,
    storages: Vec<Storage>,
}

struct CatalogColumn {
    number: i16,
    name: String,
    type_oid: u32,
    typmod: i32,
    /// `s` stored, `v` virtual, else not generated.
    generated: Option<u8>,
}

struct Index {
    columns: Vec<i16>,
    /// False for a deferrable constraint.
    immediate: bool,
}

/// Where rows lie: the table itself, or a leaf of a partitioned one.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) name: TableName,
    pub(crate) bytes: u64,
    pub(crate) estimated_rows: u64,
    kind: u8,
    persistence: u8,
    row_security: bool,
    readable: bool,
}

/// Finds the tables of the selection, in name order.
///
/// `publishes_generated`: the publication publishes stored generated columns already.
pub(crate) fn survey(
    connection: &mut Connection,
    patterns: &[Pattern],
    publishes_generated: bool,
) -> Result<Vec<SurveyedTable>> {
    let mut relations = relations(connection)?;
    let mut selected = select(&mut relations, patterns)?;
    describe(connection, &mut selected)?;
    measure(connection, &mut selected)?;
    let generated = connection.version >= PUBLISHES_GENERATED
        && (publishes_generated || selected.iter().any(Relation::needs_generated_columns));
    let mut types = Types::default();
    let oids = selected.iter().flat_map(|relation| relation.columns.iter().map(|column| column.type_oid));
    types.read(connection, oids)?;
    Ok(selected.iter().map(|relation| relation.surveyed(&types, generated)).collect())
}

/// Reads single tables anew by `relid`, problems and all; those that are gone are left out.
pub(crate) fn reread(connection: &mut Connection, relids: &[u32], generated: bool) -> Result<Vec<SurveyedTable>> {
    let mut found = relations(connection)?;
    found.retain(|relation| relids.contains(&relation.relid));
    describe(connection, &mut found)?;
    measure(connection, &mut found)?;
    let mut types = Types::default();
    types.read(connection, found.iter().flat_map(|relation| relation.columns.iter().map(|column| column.type_oid)))?;
    Ok(found.iter().map(|relation| relation.surveyed(&types, generated)).collect())
}

/// Names of a table's key columns in key order, as the catalog has them now; none when the table is gone. Waits for no
/// lock.
pub(crate) fn key_names(connection: &mut Connection, relid: u32) -> Result<Option<Vec<String>>> {
    let mut found = relations(connection)?;
    found.retain(|relation| relation.relid == relid);
    describe(connection, &mut found)?;
    let Some(relation) = found.first() else { return Ok(None) };
    let numbers = relation.key_numbers();
    let name = |number: &i16| relation.columns.iter().find(|column| column.number == *number);
    Ok(Some(numbers.iter().filter_map(name).map(|column| column.name.clone()).collect()))
}

/// The storages of tables, by the table's `relid`, with their present sizes.
pub(crate) fn storages(connection: &mut Connection, relids: &[u32]) -> Result<HashMap<u32, Vec<Storage>>> {
    // pg_partition_tree is empty for a table that has nothing to do with partitions
    let sql = format!(
        "SELECT root.oid, n.nspname, c.relname, pg_relation_size(c.oid), greatest(c.reltuples, 0)::int8, c.relkind,
                c.relpersistence, row_security_active(c.oid), has_table_privilege(c.oid, 'SELECT')
         FROM pg_class root
         CROSS JOIN LATERAL (SELECT relid::oid AS oid FROM pg_partition_tree(root.oid) WHERE isleaf
                             UNION SELECT root.oid) leaf
         JOIN pg_class c ON c.oid = leaf.oid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE root.oid IN ({}) AND c.relkind <> 'p' ORDER BY root.oid, c.oid",
        sql::oids(relids.iter().copied())
    );
    let mut storages: HashMap<u32, Vec<Storage>> = HashMap::new();
    for row in connection.query("read the sizes of the tables", &sql)? {
        storages.entry(row.parse(0)?).or_default().push(Storage {
            name: TableName::new(row.text(1), row.text(2)),
            // null when the relation was dropped in between
            bytes: row.parse(3).unwrap_or(0),
            estimated_rows: row.parse(4)?,
            kind: byte(&row, 5),
            persistence: byte(&row, 6),
            row_security: row.flag(7),
            readable: row.flag(8),
        });
    }
    Ok(storages)
}

fn byte(row: &Row, index: usize) -> u8 {
    row.text(index).bytes().next().unwrap_or_default()
}

fn relations(connection: &mut Connection) -> Result<Vec<Relation>> {
    let sql = "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, c.relispartition,
           has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND n.nspname !~ '^pg_(toast|temp_)'";
    let rows = connection.query("read the catalog", sql)?;
    let relation = |row: &Row| {
        Ok(Relation {
            relid: row.parse(0)?,
            name: TableName::new(row.text(1), row.text(2)),
            kind: byte(row, 3),
            persistence: byte(row, 4),
            identity: ReplicaIdentity::from_byte(byte(row, 5)).ok_or(Malformed("replica identity"))?,
            is_partition: row.flag(6),
            readable: row.flag(7),
            columns: Vec::new(),
            primary: None,
            identity_index: None,
            storages: Vec::new(),
        })
    };
    rows.iter().map(relation).collect()
}

/// The relations that the patterns choose, in name order. A pattern without a star must find its table.
fn select(relations: &mut Vec<Relation>, patterns: &[Pattern]) -> Result<Vec<Relation>> {
    let is_table = |relation: &Relation| matches!(relation.kind, b'r' | b'p' | b'f') && !relation.is_partition;
    for pattern in patterns.iter().filter(|pattern| pattern.is_literal()) {
        let named = relations.iter().find(|relation| pattern.matches(&relation.name));
        let why = match named {
            Some(relation) if is_table(relation) => continue,
            Some(relation) if relation.is_partition => "is a partition",
            Some(_) => "is a view",
            None => "does not exist",
        };
        let remedy = match named {
            Some(relation) if relation.is_partition => "name the partitioned table, which carries all its partitions",
            _ => "correct tables = [..], or create the table",
        };
        return Err(Error::finding(Retry::Never, format!("table {pattern} {why}"), remedy));
    }
    let chosen =
        |relation: &mut Relation| is_table(relation) && patterns.iter().any(|pattern| pattern.matches(&relation.name));
    let mut selected: Vec<Relation> = relations.extract_if(.., chosen).collect();
    selected.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(selected)
}

/// Reads columns and indexes.
fn describe(connection: &mut Connection, relations: &mut [Relation]) -> Result<()> {
    let relids: Vec<u32> = relations.iter().map(|relation| relation.relid).collect();
    let list = sql::oids(relids.iter().copied());
    let mut by_relid: HashMap<u32, &mut Relation> = relations.iter_mut().map(|it| (it.relid, it)).collect();

    let sql = format!(
        "SELECT attrelid, attnum, attname, atttypid, atttypmod, attgenerated FROM pg_attribute
         WHERE attrelid IN ({list}) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum"
    );
    for row in connection.query("read the columns of the tables", &sql)? {
        let column = CatalogColumn {
            number: row.parse(1)?,
            name: row.text(2).to_owned(),
            type_oid: row.parse(3)?,
            typmod: row.parse(4)?,
            generated: row.text(5).bytes().next(),
        };
        if let Some(relation) = by_relid.get_mut(&row.parse(0)?) {
            relation.columns.push(column);
        }
    }

    // indkey counts from 0 and names included columns behind the key's own
    let sql = format!(
        "SELECT indrelid, indisprimary, indisreplident, indimmediate,
                array_to_string((indkey::int2[])[0:indnkeyatts - 1], ',') FROM pg_index
         WHERE indrelid IN ({list}) AND indisvalid AND (indisprimary OR indisreplident)"
    );
    for row in connection.query("read the keys of the tables", &sql)? {
        let Some(relation) = by_relid.get_mut(&row.parse(0)?) else { continue };
        let index = || {
            let columns = row.text(4).split(',').map(str::parse).collect::<Result<_, _>>();
            Ok::<_, Malformed>(Index { columns: columns.map_err(|_| Malformed("index key"))?, immediate: row.flag(3) })
        };
        if row.flag(1) {
            relation.primary = Some(index()?);
        }
        if row.flag(2) {
            relation.identity_index = Some(index()?);
        }
    }
    Ok(())
}

/// Reads the storages, which waits for the locks of the tables.
fn measure(connection: &mut Connection, relations: &mut [Relation]) -> Result<()> {
    let relids: Vec<u32> = relations.iter().map(|relation| relation.relid).collect();
    let mut found = storages(connection, &relids)?;
    for relation in relations {
        relation.storages = found.remove(&relation.relid).unwrap_or_default();
    }
    Ok(())
}

impl Relation {
    /// Attribute numbers of the row's identity in key order; empty when there is none that holds.
    fn key_numbers(&self) -> &[i16] {
        let index = match self.identity {
            ReplicaIdentity::Nothing => None,
            ReplicaIdentity::Index => self.identity_index.as_ref(),
            ReplicaIdentity::Default | ReplicaIdentity::Full => self.primary.as_ref(),
        };
        index.map_or(&[], |index| &index.columns)
    }

    /// Whether updates need the stored generated columns published: from 18 on the application's UPDATE fails when
    /// the identity holds one that is not.
    fn needs_generated_columns(&self) -> bool {
        let stored: HashSet<i16> = self.numbers_generated(b's').collect();
        match self.identity {
            ReplicaIdentity::Full => !stored.is_empty(),
            _ => self.key_numbers().iter().any(|number| stored.contains(number)),
        }
    }

    fn numbers_generated(&self, how: u8) -> impl Iterator<Item = i16> {
        self.columns.iter().filter(move |column| column.generated == Some(how)).map(|column| column.number)
    }

    fn surveyed(&self, types: &Types, generated: bool) -> SurveyedTable {
        let published: Vec<&CatalogColumn> = self
            .columns
            .iter()
            .filter(|column| column.generated.is_none() || (generated && column.generated == Some(b's')))
            .collect();
        let place = |number: &i16| published.iter().position(|column| column.number == *number);
        let key: Option<Vec<usize>> = self.key_numbers().iter().map(place).collect();
        let problem = self.problem(key.as_deref());
        let columns = published
            .iter()
            .map(|column| Column { name: column.name.clone(), ty: types.resolve(column.type_oid, column.typmod) })
            .collect();
        SurveyedTable {
            schema: Arc::new(TableSchema {
                relid: self.relid,
                name: self.name.clone(),
                identity: self.identity,
                columns,
                key: key.unwrap_or_default(),
            }),
            problem: problem.map(|(what, remedy)| {
                let message = format!("table {} {what}", self.name);
                Error::finding(Retry::StopTable(self.name.clone()), message, remedy).into()
            }),
            estimated_rows: self.storages.iter().map(|storage| storage.estimated_rows).sum(),
            bytes: self.storages.iter().map(|storage| storage.bytes).sum(),
        }
    }

    /// Why the table cannot be replicated, and what mends it.
    fn problem(&self, key: Option<&[usize]>) -> Option<(String, String)> {
        self.problem_of_storage().or_else(|| self.problem_of_identity(key))
    }

    fn problem_of_identity(&self, key: Option<&[usize]>) -> Option<(String, String)> {
        let table = sql::table(&self.name);
        let deferrable = self.primary.as_ref().is_some_and(|index| !index.immediate);
        match self.identity {
            ReplicaIdentity::Nothing => Some((
                "has REPLICA IDENTITY NOTHING: updates and deletes would fail at the source".to_owned(),
                format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
            )),
            ReplicaIdentity::Default | ReplicaIdentity::Full if self.primary.is_none() => Some((
                "has no primary key: nothing tells its rows apart".to_owned(),
                format!(
                    "ALTER TABLE {table} ADD PRIMARY KEY (..), or with a unique index over NOT NULL columns \
                     ALTER TABLE {table} REPLICA IDENTITY USING INDEX .."
                ),
            )),
            ReplicaIdentity::Default | ReplicaIdentity::Full if deferrable => Some((
                "has a deferrable primary key, whose values may be swapped within a statement".to_owned(),
                format!("ALTER TABLE {table} DROP CONSTRAINT .., ADD PRIMARY KEY (..) without DEFERRABLE"),
            )),
            ReplicaIdentity::Index if self.identity_index.is_none() => Some((
                "has REPLICA IDENTITY USING INDEX, and the index is gone".to_owned(),
                format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
            )),
            _ if key.is_none_or(<[_]>::is_empty) => Some((
                "has a generated column in its key, which is not published".to_owned(),
                format!("choose another key: ALTER TABLE {table} REPLICA IDENTITY USING INDEX .."),
            )),
            // An update under FULL would fail at the source: virtual columns are never published.
            ReplicaIdentity::Full if self.numbers_generated(b'v').next().is_some() => Some((
                "has REPLICA IDENTITY FULL and a virtual generated column: updates would fail at the source".to_owned(),
                format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
            )),
            _ => None,
        }
    }

    fn problem_of_storage(&self) -> Option<(String, String)> {
        let own = std::iter::once((&self.name, self.kind, self.persistence));
        let leaves = self.storages.iter().map(|storage| (&storage.name, storage.kind, storage.persistence));
        for (name, kind, persistence) in own.chain(leaves) {
            let remedy = "leave it out of tables = [..]".to_owned();
            if kind == b'f' {
                return Some((format!("is not in the log: {name} is a foreign table"), remedy));
            }
            match persistence {
                b'u' => {
                    let remedy = format!("ALTER TABLE {} SET LOGGED", sql::table(name));
                    return Some((format!("is not in the log: {name} is unlogged"), remedy));
                }
                b't' => return Some((format!("is not in the log: {name} is temporary"), remedy)),
                _ => {}
            }
        }
        let own = std::iter::once((&self.name, self.readable));
        let mut all = own.chain(self.storages.iter().map(|storage| (&storage.name, storage.readable)));
        if let Some((name, _)) = all.find(|(_, readable)| !readable) {
            let remedy = format!("GRANT SELECT ON {} TO our role, and USAGE on its schema", sql::table(name));
            return Some((format!("cannot be copied: no right to read {name}"), remedy));
        }
        self.storages.iter().find_map(|storage| {
            let what = format!("would be copied in part: row security filters {} for our role", storage.name);
            storage.row_security.then(|| (what, "ALTER ROLE (ours) BYPASSRLS, or connect as the owner".to_owned()))
        })
    }
}
