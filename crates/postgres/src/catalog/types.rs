//! Column types, resolved through the catalog: domains down to their base, arrays to their element.

use std::collections::{BTreeSet, HashMap};

use walhouse_value::{CatalogType, PgType};

use crate::wire::connection::Connection;
use crate::{Result, sql};

/// Domains over domains and arrays of arrays' domains end somewhere; a catalog that says otherwise is cut off here.
const MAX_DEPTH: u32 = 32;

/// A row of `pg_type`.
struct TypeRow {
    name: String,
    typtype: u8,
    /// Of a true array, else 0.
    element: u32,
    /// Of a domain, else 0.
    base: u32,
    /// Modifier that a domain puts on its base.
    base_typmod: i32,
}

/// Types of the catalog by oid.
#[derive(Default)]
pub(crate) struct Types {
    rows: HashMap<u32, TypeRow>,
}

impl Types {
    /// Reads `oids` and all that they are made of. Built-in types need no reading.
    pub(crate) fn read(&mut self, connection: &mut Connection, oids: impl IntoIterator<Item = u32>) -> Result<()> {
        let unknown = |oid: &u32| !self.rows.contains_key(oid) && PgType::builtin(*oid, -1).is_none();
        let wanted: BTreeSet<u32> = oids.into_iter().filter(unknown).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "WITH RECURSIVE t AS (
               SELECT oid, typtype, typcategory, typelem, typbasetype, typtypmod FROM pg_type WHERE oid IN ({})
               UNION
               SELECT p.oid, p.typtype, p.typcategory, p.typelem, p.typbasetype, p.typtypmod
               FROM t JOIN pg_type p ON p.oid = t.typbasetype OR (t.typcategory = 'A' AND p.oid = t.typelem))
             SELECT oid, format_type(oid, NULL), typtype, CASE WHEN typcategory = 'A' THEN typelem ELSE 0 END,
                    typbasetype, typtypmod FROM t",
            sql::oids(wanted)
        );
        for row in connection.query("read the types of the tables", &sql)? {
            let typtype = row.text(2).bytes().next().unwrap_or_default();
            let (element, base, base_typmod) = (row.parse(3)?, row.parse(4)?, row.parse(5)?);
            let known = TypeRow { name: row.text(1).to_owned(), typtype, element, base, base_typmod };
            self.rows.insert(row.parse(0)?, known);
        }
        Ok(())
    }

    /// The type of a column. One that was dropped meanwhile is known by its number only, and read as text.
    pub(crate) fn resolve(&self, oid: u32, typmod: i32) -> PgType {
        self.resolve_within(oid, typmod, MAX_DEPTH)
    }

    fn resolve_within(&self, oid: u32, typmod: i32, depth: u32) -> PgType {
        if let Some(builtin) = PgType::builtin(oid, typmod) {
            return builtin;
        }
        let inner = |oid: u32, typmod| (oid != 0 && depth > 0).then(|| self.resolve_within(oid, typmod, depth - 1));
        PgType::from_catalog(match self.rows.get(&oid) {
            Some(row) => CatalogType {
                oid,
                typmod,
                name: row.name.clone(),
                typtype: row.typtype,
                element: inner(row.element, -1),
                base: inner(row.base, row.base_typmod),
            },
            None => CatalogType { oid, typmod, name: format!("type {oid}"), typtype: b'p', element: None, base: None },
        })
    }
}
