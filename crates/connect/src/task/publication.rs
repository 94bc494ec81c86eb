//! The publication, as Debezium makes and mends it, and the tables' replica identities.

use walhouse_kafka::Options;
use walhouse_postgres::{CatalogTable, Session, identifier, literal};

use super::failure::TaskFailure;
use super::settings::{Autocreate, Settings};
use super::tables;

/// Makes the publication what the configuration wants it to be.
pub(super) fn prepare(session: &mut Session, settings: &Settings, options: &Options) -> Result<(), TaskFailure> {
    let name = &settings.publication;
    let statement = format!("SELECT puballtables FROM pg_catalog.pg_publication WHERE pubname = {}", literal(name));
    let found = session.rows("read the publication", &statement)?.first().map(|row| row.flag(0));
    let quoted = identifier(name);
    match (found, settings.autocreate) {
        (None, Autocreate::Disabled) => Err(TaskFailure::connect(
            "Publication autocreation is disabled, please create one and restart the connector.",
        )),
        (None, Autocreate::AllTables) => {
            session.rows("create the publication", &format!("CREATE PUBLICATION {quoted} FOR ALL TABLES"))?;
            tracing::info!(publication = name, "created the publication for all tables");
            Ok(())
        }
        (None, Autocreate::Filtered) => {
            let tables = captured(session, options)?;
            if tables.is_empty() {
                let cause = format!("No table filters found for filtered publication {name}");
                return Err(TaskFailure::connect(format!("Unable to create filtered publication {name} for "))
                    .caused_by(&TaskFailure::debezium(cause)));
            }
            let list = list(&tables);
            session.rows("create the publication", &format!("CREATE PUBLICATION {quoted} FOR TABLE {list}"))?;
            tracing::info!(publication = name, tables = tables.len(), "created the publication");
            Ok(())
        }
        (Some(true), Autocreate::Filtered) => Err(TaskFailure::debezium(format!(
            "A logical publication for all tables named '{name}' for plugin 'PGOUTPUT' and database '{}' is already \
             active on the server and can not be altered. If you need to exclude some tables or include only specific \
             subset, please recreate the publication with necessary configuration or let plugin recreate it by \
             dropping existing publication. Otherwise please change the 'publication.autocreate.mode' property to \
             'all_tables'.",
            settings.database.database.as_deref().unwrap_or_default(),
        ))),
        (Some(false), Autocreate::Filtered) => alter(session, settings, options),
        (Some(_), _) => Ok(()),
    }
}

/// Gives a filtered publication its tables, if it has others.
fn alter(session: &mut Session, settings: &Settings, options: &Options) -> Result<(), TaskFailure> {
    let name = &settings.publication;
    let tables = captured(session, options)?;
    if tables.is_empty() {
        let cause = format!("No table filters found for filtered publication {name}");
        return Err(TaskFailure::connect(format!("Unable to update filtered publication {name} for "))
            .caused_by(&TaskFailure::debezium(cause)));
    }
    let mut wanted: Vec<u32> = tables.iter().map(|table| table.relid).collect();
    wanted.sort_unstable();
    // Column lists and row filters came with 15; altering the set would drop them.
    let narrowed = if session.version() >= 15 { "r.prattrs IS NOT NULL OR r.prqual IS NOT NULL" } else { "false" };
    let statement = format!(
        "SELECT r.prrelid, {narrowed} FROM pg_catalog.pg_publication_rel r
         JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = {} ORDER BY r.prrelid",
        literal(name)
    );
    let rows = session.rows("read the publication's tables", &statement)?;
    let found: Vec<u32> = rows.iter().filter_map(|row| row.text(0).parse().ok()).collect();
    if found == wanted && !rows.iter().any(|row| row.flag(1)) {
        return Ok(());
    }
    let statement = format!("ALTER PUBLICATION {} SET TABLE {}", identifier(name), list(&tables));
    session.rows("alter the publication", &statement)?;
    tracing::info!(publication = name, tables = tables.len(), "altered the publication");
    Ok(())
}

/// The captured tables whose changes can be published, in order.
fn captured(session: &mut Session, options: &Options) -> Result<Vec<CatalogTable>, TaskFailure> {
    let mut found = session.tables(None)?;
    found.retain(|table| table.logged && options.captures(&table.name));
    found.sort_by_key(|table| table.name.to_string());
    Ok(found)
}

fn list(tables: &[CatalogTable]) -> String {
    let names: Vec<String> = tables.iter().map(|table| tables::quoted(&table.name)).collect();
    names.join(", ")
}

/// Sets the replica identities that the configuration asks for.
pub(super) fn identities(session: &mut Session, settings: &Settings, options: &Options) -> Result<(), TaskFailure> {
    if settings.identities.is_empty() {
        return Ok(());
    }
    for table in captured(session, options)? {
        let name = table.name.to_string();
        let Some((_, clause)) = settings.identities.iter().find(|(tables, _)| tables.matches(&name)) else { continue };
        let statement = format!("ALTER TABLE {} REPLICA IDENTITY {clause}", tables::quoted(&table.name));
        match session.rows("set the replica identity", &statement) {
            Ok(_) => tracing::info!(table = name, clause, "set the replica identity"),
            Err(error) => tracing::error!(table = name, error = %error, "cannot set the replica identity"),
        }
    }
    Ok(())
}
