//! The publication: made to hold exactly the tables that are replicated, and only touched where it differs.
//!
//! It must exist before the slot (the log is read with the catalog of its time), and it never holds a table without
//! a usable identity: from then on the application's updates of that table would fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use walhouse_change::{Retry, TableSchema};

use crate::catalog::tables;
use crate::wire::connection::Connection;
use crate::{Error, Result, sql};

/// First version with column lists, row filters and schemas in publications.
const FILTERS: u32 = 15;
/// First version with `publish_generated_columns`.
const GENERATED: u32 = 18;

/// Below are the system's own objects, which FOR ALL TABLES leaves out (`FirstNormalObjectId`).
const FIRST_ORDINARY_OID: u32 = 16384;

/// A publication as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationFacts {
    /// FOR ALL TABLES.
    pub all_tables: bool,
    /// Whether inserts, updates, deletes and truncates are published.
    pub all_operations: bool,
    /// `publish_via_partition_root`.
    pub via_root: bool,
    /// `publish_generated_columns = stored`.
    pub generated: bool,
    /// Holds whole schemas.
    pub schemas: bool,
    /// Whether our role may alter it.
    pub ours: bool,
    /// `relid`s of its tables, in their order.
    pub tables: Vec<u32>,
    /// Those of them with a column list or a row filter, in their order.
    pub narrowed: Vec<u32>,
    /// Another one when it was dropped and made anew.
    pub(crate) oid: u32,
    /// For each of `tables` its entry in the catalog: another one when it was taken out and put back.
    members: Vec<u32>,
}

impl PublicationFacts {
    /// Whether a table that was in it `before` has left since, even if it is back: what was committed meanwhile is not
    /// in the stream.
    pub(crate) fn has_left(&self, before: &Self, relid: u32) -> bool {
        before.member(relid).is_some_and(|member| self.member(relid) != Some(member))
    }

    fn member(&self, relid: u32) -> Option<u32> {
        let index = self.tables.binary_search(&relid).ok()?;
        self.members.get(index).copied()
    }
}

/// What an origin knows of the publication from one survey to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// As the last survey found it, or as we made it since.
    pub(crate) facts: Option<PublicationFacts>,
    /// Tables that left it since we made it, back or not.
    left: BTreeSet<u32>,
    /// It is another one than we made.
    is_another: bool,
}

impl Published {
    /// As we left it.
    pub(crate) fn made(facts: Option<PublicationFacts>) -> Self {
        Self { facts, ..Self::default() }
    }

    /// Takes in what a survey found, and says what has been in it all the time. What left counts as missing until we
    /// publish again: by then it is on record that it is to be copied.
    pub(crate) fn surveyed(
        &mut self,
        found: Option<PublicationFacts>,
        published: Option<Vec<u32>>,
    ) -> Option<Vec<u32>> {
        if let (Some(before), Some(now)) = (&self.facts, &found) {
            self.is_another |= before.oid != now.oid;
            self.left.extend(before.tables.iter().filter(|&&relid| now.has_left(before, relid)));
        }
        self.facts = found;
        let mut published = published.filter(|_| !self.is_another)?;
        published.retain(|relid| !self.left.contains(relid));
        Some(published)
    }
}

/// Reads the publication; none when it does not exist.
pub(crate) fn read(connection: &mut Connection, name: &str) -> Result<Option<PublicationFacts>> {
    let name = sql::literal(name);
    let generated = if connection.version >= GENERATED { "p.pubgencols = 's'" } else { "false" };
    let (schemas, narrowed) = if connection.version >= FILTERS {
        (
            "EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid)",
            "r.prattrs IS NOT NULL OR r.prqual IS NOT NULL",
        )
    } else {
        ("false", "false")
    };
    let sql = format!(
        "SELECT p.puballtables, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot,
                {generated}, {schemas}, pg_has_role(p.pubowner, 'USAGE'), p.oid
         FROM pg_publication p WHERE p.pubname = {name}"
    );
    let rows = connection.query("read the publication", &sql)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut facts = PublicationFacts {
        all_tables: row.flag(0),
        all_operations: row.flag(1),
        via_root: row.flag(2),
        generated: row.flag(3),
        schemas: row.flag(4),
        ours: row.flag(5),
        tables: Vec::new(),
        narrowed: Vec::new(),
        oid: row.parse(6)?,
        members: Vec::new(),
    };
    let sql = format!(
        "SELECT r.prrelid, {narrowed}, r.oid FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
         WHERE p.pubname = {name} ORDER BY r.prrelid"
    );
    for row in connection.query("read the publication's tables", &sql)? {
        let relid = row.parse(0)?;
        facts.tables.push(relid);
        facts.members.push(row.parse(2)?);
        if row.flag(1) {
            facts.narrowed.push(relid);
        }
    }
    Ok(Some(facts))
}

/// The `relid`s that it publishes, roots in place of their leaves; none when it does not exist.
///
/// Reads the catalog alone: `pg_get_publication_tables` would wait for the locks of the tables, and a stream that asks
/// must not stand still behind somebody's ALTER TABLE.
pub(crate) fn published(connection: &mut Connection, name: &str) -> Result<Option<Vec<u32>>> {
    let schemas = if connection.version >= FILTERS {
        "OR EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)"
    } else {
        ""
    };
    let sql = format!(
        "SELECT c.oid FROM pg_publication p LEFT JOIN pg_class c
           ON c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND c.oid >= {FIRST_ORDINARY_OID}
           AND ((p.puballtables AND NOT c.relispartition)
             OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = c.oid) {schemas})
         WHERE p.pubname = {}",
        sql::literal(name)
    );
    let rows = connection.query("read what is published", &sql)?;
    if rows.is_empty() {
        return Ok(None);
    }
    // one row of null: it exists and is empty
    let relids = rows.iter().filter(|row| row.optional(0).is_some()).map(|row| Ok(row.parse(0)?));
    relids.collect::<Result<_>>().map(Some)
}

/// Makes the publication hold exactly `schemas`, unless it is not as it was `surveyed`; in one transaction, and says
/// what it is then.
pub(crate) fn publish(
    connection: &mut Connection,
    name: &str,
    schemas: &[Arc<TableSchema>],
    surveyed: Option<&PublicationFacts>,
) -> Result<Option<PublicationFacts>> {
    connection.query("begin a transaction", "BEGIN")?;
    let found = read(connection, name)?;
    if found.as_ref() != surveyed {
        return Err(Error::later(format!("publication {name:?} was changed by somebody since it was looked at")));
    }
    alter(connection, name, schemas, found)?;
    let now = read(connection, name)?;
    connection.query("commit the publication", "COMMIT")?;
    Ok(now)
}

fn alter(
    connection: &mut Connection,
    name: &str,
    schemas: &[Arc<TableSchema>],
    found: Option<PublicationFacts>,
) -> Result<()> {
    let keep_generated = found.as_ref().is_some_and(|facts| facts.generated);
    let generated = check_tables(connection, schemas, keep_generated)?;
    let Some(found) = found else {
        let statement = create(name, schemas, (connection.version >= GENERATED).then_some(generated));
        connection.query("create the publication", &statement)?;
        tracing::info!(publication = name, tables = schemas.len(), "created the publication");
        return Ok(());
    };
    if found.all_tables {
        return accept_all_tables(name, &found, generated);
    }
    if found.schemas {
        return Err(Error::finding(
            Retry::Never,
            format!("publication {name:?} holds whole schemas, which is not how we made it"),
            format!("choose another publication, or DROP PUBLICATION {}", sql::identifier(name)),
        ));
    }
    for statement in differences(name, &found, schemas, generated) {
        connection.query("alter the publication", &statement)?;
        tracing::info!(publication = name, statement, "altered the publication");
    }
    Ok(())
}

/// Refuses tables that must not be published; says whether they come with stored generated columns.
fn check_tables(connection: &mut Connection, schemas: &[Arc<TableSchema>], keep_generated: bool) -> Result<bool> {
    let relids: Vec<u32> = schemas.iter().map(|schema| schema.relid).collect();
    let generated = connection.version >= GENERATED && (keep_generated || holds_generated(connection, schemas)?);
    let found = tables::reread(connection, &relids, generated)?;
    for schema in schemas {
        let surveyed = found.iter().find(|it| it.schema.relid == schema.relid);
        let stop = Retry::StopTable(schema.name.clone());
        match surveyed {
            None => {
                let message = format!("table {} is gone", schema.name);
                return Err(Error::finding(stop, message, "create it, or leave it out of tables = [..]"));
            }
            Some(it) => {
                if let Some(problem) = &it.problem {
                    let remedy = problem.remedy().unwrap_or_default();
                    return Err(Error::finding(stop, problem.to_string(), remedy));
                }
            }
        }
    }
    Ok(generated)
}

/// Whether one of the shapes has a stored generated column.
fn holds_generated(connection: &mut Connection, schemas: &[Arc<TableSchema>]) -> Result<bool> {
    let sql = format!(
        "SELECT attrelid, attname FROM pg_attribute WHERE attrelid IN ({}) AND attgenerated = 's'",
        sql::oids(schemas.iter().map(|schema| schema.relid))
    );
    for row in connection.query("read the generated columns", &sql)? {
        let relid: u32 = row.parse(0)?;
        if schemas.iter().any(|schema| schema.relid == relid && schema.column(row.text(1)).is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn accept_all_tables(name: &str, found: &PublicationFacts, generated: bool) -> Result<()> {
    if found.all_operations && found.via_root && found.generated == generated {
        tracing::info!(publication = name, "using the publication as it is: it holds all tables");
        return Ok(());
    }
    let generated = if generated { ", publish_generated_columns = stored" } else { "" };
    Err(Error::finding(
        Retry::Never,
        format!("publication {name:?} is FOR ALL TABLES and does not publish what we need"),
        format!(
            "ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate', \
             publish_via_partition_root = true{generated}), or choose another publication",
            sql::identifier(name)
        ),
    ))
}

/// ONLY, because without it the children of an inheritance parent would be added by name too.
fn table_list<'a>(schemas: impl IntoIterator<Item = &'a Arc<TableSchema>>) -> String {
    let names: Vec<String> = schemas.into_iter().map(|schema| format!("ONLY {}", sql::table(&schema.name))).collect();
    names.join(", ")
}

/// `generated` is none on versions that do not know the option.
fn create(name: &str, schemas: &[Arc<TableSchema>], generated: Option<bool>) -> String {
    let tables = if schemas.is_empty() { String::new() } else { format!(" FOR TABLE {}", table_list(schemas)) };
    let generated = if generated == Some(true) { ", publish_generated_columns = stored" } else { "" };
    format!(
        "CREATE PUBLICATION {}{tables} WITH (publish = 'insert, update, delete, truncate', \
         publish_via_partition_root = true{generated})",
        sql::identifier(name)
    )
}

/// Statements that bring the publication to what it shall be; none when it is that already.
fn differences(name: &str, found: &PublicationFacts, schemas: &[Arc<TableSchema>], generated: bool) -> Vec<String> {
    let alter = format!("ALTER PUBLICATION {}", sql::identifier(name));
    let mut statements = Vec::new();
    if !found.all_operations || !found.via_root {
        statements.push(format!(
            "{alter} SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)"
        ));
    }
    if generated && !found.generated {
        statements.push(format!("{alter} SET (publish_generated_columns = stored)"));
    }
    let wanted: BTreeSet<u32> = schemas.iter().map(|schema| schema.relid).collect();
    let whole: BTreeSet<u32> = found.tables.iter().copied().filter(|relid| !found.narrowed.contains(relid)).collect();
    let foreign = found.tables.iter().any(|relid| !wanted.contains(relid));
    if foreign || !found.narrowed.is_empty() {
        // One statement that drops and adds: no table is unpublished in between.
        if schemas.is_empty() {
            statements.push(format!("DROP PUBLICATION {}", sql::identifier(name)));
            statements.push(create(name, schemas, Some(found.generated || generated)));
        } else {
            statements.push(format!("{alter} SET TABLE {}", table_list(schemas)));
        }
        return statements;
    }
    let missing: Vec<&Arc<TableSchema>> = schemas.iter().filter(|schema| !whole.contains(&schema.relid)).collect();
    if !missing.is_empty() {
        statements.push(format!("{alter} ADD TABLE {}", table_list(missing)));
    }
    statements
}

/// Drops the publication if it exists.
pub(crate) fn drop(connection: &mut Connection, name: &str) -> Result<()> {
    let statement = format!("DROP PUBLICATION IF EXISTS {}", sql::identifier(name));
    connection.query("drop the publication", &statement).map(|_| ())
}

#[cfg(test)]
mod tests {
    use walhouse_change::{ReplicaIdentity, TableName};

    use super::*;

    fn schema(relid: u32, name: &str) -> Arc<TableSchema> {
        let name = TableName::new("S", name);
        Arc::new(TableSchema { relid, name, identity: ReplicaIdentity::Default, columns: vec![], key: vec![0] })
    }

    fn found(tables: &[u32]) -> PublicationFacts {
        PublicationFacts {
            all_tables: false,
            all_operations: true,
            via_root: true,
            generated: false,
            schemas: false,
            ours: true,
            tables: tables.to_vec(),
            narrowed: vec![],
            oid: 1,
            members: tables.iter().map(|relid| relid + 100).collect(),
        }
    }

    #[test]
    fn notices_who_left_and_came_back() {
        let (before, mut now) = (found(&[1, 2]), found(&[1, 2, 3]));
        assert!([1, 2, 3].iter().all(|&relid| !now.has_left(&before, relid)));
        now.members[1] += 1;
        assert_eq!([1, 2, 3].map(|relid| now.has_left(&before, relid)), [false, true, false]);
        assert!(found(&[2]).has_left(&before, 1));
    }

    #[test]
    fn touches_only_what_differs() {
        let schemas = [schema(1, "a\"b"), schema(2, "c.d")];
        assert!(differences("p", &found(&[2, 1]), &schemas, false).is_empty());
        let add = differences("P", &found(&[1]), &schemas, false);
        assert_eq!(add, ["ALTER PUBLICATION \"P\" ADD TABLE ONLY \"S\".\"c.d\""]);
        let set = differences("p", &found(&[1, 2, 3]), &schemas, false);
        assert_eq!(set, ["ALTER PUBLICATION \"p\" SET TABLE ONLY \"S\".\"a\"\"b\", ONLY \"S\".\"c.d\""]);
        let narrowed = PublicationFacts { narrowed: vec![1], via_root: false, ..found(&[1, 2]) };
        assert_eq!(differences("p", &narrowed, &schemas, true).len(), 3);
    }
}
