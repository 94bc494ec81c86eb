//! Names in the target database, and whether two tables want the same one.

use std::collections::HashMap;

use walhouse_change::TableName;

use super::{MappingError, TablePlan};

/// Tables of our own (checkpoint, table states, truncates) start like this.
const SERVICE_PREFIX: &str = "walhouse_";
/// A table is two files deep in a folder of its name while it is being dropped or exchanged, with
/// escapes of three bytes for one; file names end at 255 bytes. Postgres' own names end at 63.
const MAX_NAME: usize = 150;

/// `t` for `public.t`, `s_t` for `s.t`.
pub(super) fn target_name(table: &TableName) -> String {
    match table.schema.as_str() {
        "public" => table.name.clone(),
        schema => format!("{schema}_{}", table.name),
    }
}

/// Refuses a name that ClickHouse or this program cannot use.
pub(super) fn check(table: &TableName, name: &str) -> Result<(), MappingError> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME {
        "is longer than 150 bytes"
    } else if name.starts_with(SERVICE_PREFIX) {
        "is kept for walhouse's own tables"
    } else if name.contains('\0') {
        "holds a zero byte"
    } else {
        return Ok(());
    };
    Err(MappingError::BadName { table: table.clone(), name: name.to_owned(), problem })
}

/// Refuses plans that would create one table or view twice.
///
/// # Errors
/// [`MappingError::Collision`] with the two source tables and the name.
pub fn collisions(plans: &[TablePlan]) -> Result<(), MappingError> {
    let mut owners: HashMap<(&str, String), &TableName> = HashMap::new();
    for plan in plans {
        for name in plan.created_names() {
            if let Some(first) = owners.insert((&plan.database, name.clone()), &plan.schema.name) {
                let (first, second) = (first.clone(), plan.schema.name.clone());
                return Err(MappingError::Collision { first, second, name });
            }
        }
    }
    Ok(())
}
