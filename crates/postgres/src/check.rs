//! Everything that could go wrong with the source, found before it does.

use std::fmt;

use serde::Serialize;
use walhouse_change::{SurveyedTable, TableName};

use crate::catalog::server;
use crate::endpoint::Endpoint;
use crate::origin::surveyed;
use crate::wire::connection::{Connection, Mode};
use crate::{Config, Error, PublicationFacts, Result, ServerFacts, SlotFacts, publication, slot, sql};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It works; worth knowing.
    Info,
    /// It works today.
    Warning,
    /// It does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Something found, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// SQL or a setting that mends it.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(severity: Severity, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity, what: what.into(), remedy: Some(remedy.into()) }
    }

    pub(crate) fn of_error(error: &walhouse_change::Error) -> Self {
        let remedy = error.remedy().map(str::to_owned);
        let mut what = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            what = format!("{what}: {source}");
        }
        Self { severity: Severity::Error, what, remedy }
    }
}

/// Looks at everything. Blocking.
pub(crate) fn run(endpoint: &Endpoint, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let outcome = Connection::open(endpoint, Mode::Sql)
        .and_then(|mut connection| look(&mut connection, endpoint, config, &mut findings));
    if let Err(error) = outcome {
        findings.push(Finding::of_error(&error.into()));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn look(connection: &mut Connection, endpoint: &Endpoint, config: &Config, findings: &mut Vec<Finding>) -> Result<()> {
    let facts = server::read(connection)?;
    let slot = slot::read(connection, config.slot())?;
    let publication = publication::read(connection, config.publication())?;
    look_at_server(&facts, slot.is_none(), findings);
    look_at_replication(endpoint, &facts, findings);
    if let Some(slot) = &slot {
        look_at_slot(config.slot(), slot, findings);
    }
    look_at_publication(config, publication.as_ref(), &facts, findings);
    let tables = surveyed(connection, config)?;
    look_at_tables(&tables, findings);
    if publication.as_ref().is_none_or(|found| !found.all_tables) {
        look_at_owners(connection, &facts, &tables, publication.as_ref(), findings)?;
    }
    if facts.version >= 18 {
        look_at_generated(connection, config, &tables, findings)?;
    }
    Ok(())
}

fn look_at_server(facts: &ServerFacts, needs_slot: bool, findings: &mut Vec<Finding>) {
    if facts.wal_level != "logical" {
        findings.push(Finding::new(
            Severity::Error,
            format!("wal_level is {}, and logical replication needs logical", facts.wal_level),
            "ALTER SYSTEM SET wal_level = logical, then restart postgres",
        ));
    }
    if needs_slot && facts.used_slots >= facts.max_slots {
        findings.push(Finding::new(
            Severity::Error,
            format!("all {} replication slots are in use", facts.max_slots),
            "ALTER SYSTEM SET max_replication_slots = .. and restart postgres, or drop an unused slot",
        ));
    } else if needs_slot && facts.used_slots + 1 == facts.max_slots {
        findings.push(Finding::new(
            Severity::Warning,
            "one replication slot is free, and a table that is added later needs another for a while",
            "ALTER SYSTEM SET max_replication_slots = .., then restart postgres",
        ));
    }
    if facts.idle_slot_timeout > 0 {
        findings.push(Finding::new(
            Severity::Warning,
            format!(
                "a slot that is idle for {} s is destroyed, also while walhouse is stopped",
                facts.idle_slot_timeout
            ),
            "ALTER SYSTEM SET idle_replication_slot_timeout = 0, then SELECT pg_reload_conf()",
        ));
    }
    if facts.max_slot_wal_keep_size < 0 {
        findings.push(Finding {
            severity: Severity::Info,
            what: "max_slot_wal_keep_size is unlimited: a stopped consumer fills the disk in the end".to_owned(),
            remedy: None,
        });
    }
}

/// Opens a replication connection and leaves it again: what it needs is asked for by nothing else so exactly.
fn look_at_replication(endpoint: &Endpoint, facts: &ServerFacts, findings: &mut Vec<Finding>) {
    if !facts.role.replication {
        let role = sql::identifier(&facts.role.name);
        findings.push(Finding::new(
            Severity::Error,
            format!("role {role} may not replicate"),
            format!("ALTER ROLE {role} REPLICATION"),
        ));
        return;
    }
    match Connection::open(endpoint, Mode::Replication) {
        Ok(connection) => connection.close(),
        Err(error) => findings.push(Finding::of_error(&error.into())),
    }
}

fn look_at_slot(name: &str, slot: &SlotFacts, findings: &mut Vec<Finding>) {
    let drop = "walhouse teardown, then walhouse run: it copies every table again";
    if !slot.of_this_database || slot.plugin != "pgoutput" {
        let what = format!("slot {name:?} belongs to somebody else");
        findings.push(Finding::new(Severity::Error, what, "choose another slot"));
    } else if let Some(reason) = &slot.invalidation {
        let what = format!("slot {name:?} is lost ({reason}): changes from {} on are gone", slot.confirmed);
        findings.push(Finding::new(Severity::Error, what, drop));
    } else if slot.two_phase {
        let what = format!("slot {name:?} decodes prepared transactions at PREPARE");
        findings.push(Finding::new(Severity::Error, what, drop));
    } else if matches!(slot.wal_status.as_str(), "extended" | "unreserved") {
        findings.push(Finding {
            severity: Severity::Warning,
            what: format!("slot {name:?} retains {} bytes of log and is {}", slot.retained, slot.wal_status),
            remedy: Some("let walhouse catch up, or raise max_slot_wal_keep_size".to_owned()),
        });
    }
    if slot.wait_event.as_deref() == Some("WaitForStandbyConfirmation") {
        findings.push(Finding::new(
            Severity::Warning,
            "the stream waits for a standby that is down",
            "start the standby, or take it out of synchronized_standby_slots",
        ));
    }
}

fn look_at_publication(
    config: &Config,
    found: Option<&PublicationFacts>,
    facts: &ServerFacts,
    findings: &mut Vec<Finding>,
) {
    let name = config.publication();
    match found {
        None if !facts.role.create_on_database => {
            let role = sql::identifier(&facts.role.name);
            findings.push(Finding::new(
                Severity::Error,
                format!("publication {name:?} does not exist, and {role} may not create it"),
                format!("GRANT CREATE ON DATABASE .. TO {role}, and let it own the tables"),
            ));
        }
        Some(found) if !found.ours && !found.all_tables => findings.push(Finding::new(
            Severity::Warning,
            format!("publication {name:?} belongs to another role: it cannot be altered for us"),
            format!("ALTER PUBLICATION {} OWNER TO {}", sql::identifier(name), sql::identifier(&facts.role.name)),
        )),
        Some(found) if found.all_tables && !(found.via_root && found.all_operations) => findings.push(Finding::new(
            Severity::Error,
            format!("publication {name:?} is FOR ALL TABLES and does not publish what we need"),
            format!(
                "ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate', \
                 publish_via_partition_root = true)",
                sql::identifier(name)
            ),
        )),
        _ => {}
    }
}

fn look_at_tables(tables: &[SurveyedTable], findings: &mut Vec<Finding>) {
    if tables.is_empty() {
        findings.push(Finding::new(Severity::Error, "no table matches tables = [..]", "correct the patterns"));
    }
    findings.extend(tables.iter().filter_map(|table| table.problem.as_ref()).map(Finding::of_error));
    for table in tables.iter().filter(|table| table.problem.is_none()) {
        if let Some(column) = table.schema.columns.iter().find(|column| !column.ty.binary_decodable()) {
            findings.push(Finding {
                severity: Severity::Info,
                what: format!(
                    "table {} has the column {:?} of type {}, so the stream carries text (slower)",
                    table.schema.name, column.name, column.ty.name
                ),
                remedy: None,
            });
        }
    }
}

/// Only its owner can put a table in a publication.
fn look_at_owners(
    connection: &mut Connection,
    facts: &ServerFacts,
    tables: &[SurveyedTable],
    publication: Option<&PublicationFacts>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let published = publication.map_or(&[][..], |found| &found.tables);
    let relids = tables.iter().map(|table| table.schema.relid).filter(|relid| !published.contains(relid));
    let statement = format!(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid IN ({}) AND NOT pg_has_role(c.relowner, 'USAGE')",
        sql::oids(relids)
    );
    let role = sql::identifier(&facts.role.name);
    for row in connection.query("look at the tables' owners", &statement)? {
        let table = sql::table(&TableName::new(row.text(0), row.text(1)));
        findings.push(Finding::new(
            Severity::Error,
            format!("role {role} does not own {table}, so it cannot put it in the publication"),
            format!("ALTER TABLE {table} OWNER TO {role}, GRANT its owner TO {role}, or let the owner add it"),
        ));
    }
    Ok(())
}

/// From 18 on an update fails when the identity holds a generated column that one publication of the table does not
/// publish, somebody else's included.
fn look_at_generated(
    connection: &mut Connection,
    config: &Config,
    tables: &[SurveyedTable],
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let statement = format!(
        "SELECT DISTINCT p.pubname, n.nspname || '.' || c.relname
         FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attgenerated = 's' AND NOT a.attisdropped
         WHERE c.oid IN ({}) AND c.relreplident = 'f' AND p.pubgencols <> 's' AND p.pubname <> {}",
        sql::oids(tables.iter().map(|table| table.schema.relid)),
        sql::literal(config.publication())
    );
    for row in connection.query("look at other publications", &statement)? {
        findings.push(Finding::new(
            Severity::Error,
            format!(
                "publication {} holds {} without its generated columns: updates fail, and both cannot be streamed",
                row.text(0),
                row.text(1)
            ),
            format!("ALTER PUBLICATION {} SET (publish_generated_columns = stored)", sql::identifier(row.text(0))),
        ));
    }
    Ok(())
}
