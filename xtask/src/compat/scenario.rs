//! A scenario: tables, a connector's options, and changes in steps, all from one number.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::columns::{Kind, TYPES};
use super::options::{self, Config};

/// Every scenario has this table; its rows tell when everything before them has arrived.
pub(crate) const SENTINEL: &str = "sentinel";
/// Share of the scenarios that begin with a snapshot.
const SNAPSHOTS: f64 = 0.3;

/// Something to do on the source.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// One or more statements, as one message of the simple protocol: one transaction unless they say otherwise.
    Sql(String),
    /// Wait until both sides have everything. A connector reads the catalog when it meets a table's change, so what
    /// comes before a change of a table's columns has to be through.
    Settle,
}

/// A generated scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Names it: the database, the topics' prefix.
    pub(crate) number: u64,
    pub(crate) setup: Vec<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) config: Config,
}

/// A generated table.
struct Table {
    name: String,
    columns: Vec<Column>,
    keyed: bool,
    /// The next new id; smaller ones may be there.
    next: i64,
}

struct Column {
    name: String,
    kind: Kind,
    nullable: bool,
}

impl Scenario {
    /// The scenario `number` of a run with `seed`.
    pub(crate) fn generate(seed: u64, number: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        let snapshot = random.random_bool(SNAPSHOTS);
        let mut config = options::choose(&mut random, number, snapshot);
        let mut tables = Vec::new();
        let mut setup = vec![
            TYPES.to_owned(),
            format!("CREATE TABLE {SENTINEL} (id int PRIMARY KEY, mark text)"),
            format!("ALTER TABLE {SENTINEL} REPLICA IDENTITY FULL"),
        ];
        for index in 1..=random.random_range(1..=4) {
            let (table, statements) = Table::generate(&mut random, index);
            setup.extend(statements);
            tables.push(table);
        }
        if tables.iter().flat_map(|table| &table.columns).any(|column| column.kind.is_bits()) {
            options::without_printed_keys(&mut config);
        }
        if snapshot {
            for table in &mut tables {
                for _ in 0..random.random_range(0..20) {
                    setup.push(table.insert(&mut random, 1));
                }
            }
        }
        let mut steps = Vec::new();
        for _ in 0..random.random_range(30..160) {
            steps.extend(step(&mut random, &mut tables));
        }
        Self { number, setup, steps, config }
    }

    /// Everything that is done, for a person.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.config {
            text.push_str(&format!("{key}={value}\n"));
        }
        for statement in &self.setup {
            text.push_str(&format!("{statement};\n"));
        }
        for step in &self.steps {
            match step {
                Step::Sql(sql) => text.push_str(&format!("{sql};\n")),
                Step::Settle => text.push_str("-- settle\n"),
            }
        }
        text
    }

    pub(crate) fn database(&self) -> String {
        format!("compat_{}", self.number)
    }
}

/// The next thing to do.
fn step(random: &mut ChaCha8Rng, tables: &mut [Table]) -> Vec<Step> {
    let chosen = random.random_range(0..tables.len());
    match random.random_range(0..100) {
        0..75 => vec![Step::Sql(tables[chosen].change(random))],
        75..88 => {
            let count = random.random_range(2..12);
            let mut changes = String::new();
            for _ in 0..count {
                let one = random.random_range(0..tables.len());
                changes.push_str(&tables[one].change(random));
                changes.push(';');
            }
            let end = if random.random_bool(0.25) { "ROLLBACK" } else { "COMMIT" };
            vec![Step::Sql(format!("BEGIN; {changes} {end}"))]
        }
        88..92 => {
            let (first, second) = (tables[chosen].change(random), tables[chosen].change(random));
            vec![Step::Sql(format!(
                "BEGIN; {first}; SAVEPOINT a; {second}; ROLLBACK TO a; {first_again}; COMMIT",
                first_again = tables[chosen].change(random)
            ))]
        }
        92..95 => vec![Step::Sql("SELECT pg_logical_emit_message(true, 'compat', 'what it says')".to_owned())],
        95..97 => vec![Step::Sql(format!("TRUNCATE {}", tables[chosen].name))],
        _ => {
            let statement = tables[chosen].alter(random);
            vec![Step::Settle, Step::Sql(statement), Step::Sql(tables[chosen].insert(random, 2)), Step::Settle]
        }
    }
}

impl Table {
    fn generate(random: &mut ChaCha8Rng, index: u32) -> (Self, Vec<String>) {
        let name = format!("t{index}");
        let keyed = random.random_bool(0.9);
        let mut columns = Vec::new();
        let mut definitions = vec!["id int NOT NULL".to_owned()];
        for number in 1..=random.random_range(3..=9) {
            let kind = Kind::choose(random);
            let (definition, nullable) = kind.definition(random);
            let name = format!("c{number}");
            definitions.push(format!("{name} {definition}"));
            columns.push(Column { name, kind, nullable });
        }
        definitions.push("large text".to_owned());
        let composite = random.random_bool(0.25);
        if composite {
            definitions.push("part varchar(8) NOT NULL DEFAULT 'p'".to_owned());
        }
        if keyed {
            definitions.push(if composite { "PRIMARY KEY (id, part)" } else { "PRIMARY KEY (id)" }.to_owned());
        }
        let mut statements = vec![
            format!("CREATE TABLE {name} ({})", definitions.join(", ")),
            // Not compressed, so that a large value leaves its row for certain.
            format!("ALTER TABLE {name} ALTER large SET STORAGE EXTERNAL"),
        ];
        if !keyed || random.random_bool(0.5) {
            statements.push(format!("ALTER TABLE {name} REPLICA IDENTITY FULL"));
        }
        (Self { name, columns, keyed, next: 1 }, statements)
    }

    fn change(&mut self, random: &mut ChaCha8Rng) -> String {
        let id = random.random_range(0..self.next.max(1));
        let name = &self.name;
        match random.random_range(0..100) {
            0..45 => {
                let rows = if random.random_bool(0.2) { random.random_range(2..40) } else { 1 };
                self.insert(random, rows)
            }
            45..78 => {
                let mut sets = Vec::new();
                for column in &self.columns {
                    if random.random_bool(0.3) {
                        sets.push(format!("{} = {}", column.name, column.kind.value(random, column.nullable)));
                    }
                }
                if sets.is_empty() || random.random_bool(0.2) {
                    sets.push(format!("large = {}", large(random)));
                }
                format!("UPDATE {name} SET {} WHERE id = {id}", sets.join(", "))
            }
            // A key that moves to a new place.
            78..84 if self.keyed => {
                self.next += 1;
                format!("UPDATE {name} SET id = {} WHERE id = {id}", self.next - 1)
            }
            84..86 => format!("UPDATE {name} SET large = large || 'x' WHERE id % 3 = {}", id % 3),
            _ => format!("DELETE FROM {name} WHERE id = {id}"),
        }
    }

    fn insert(&mut self, random: &mut ChaCha8Rng, rows: usize) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let mut values = Vec::new();
        for _ in 0..rows {
            let mut row = vec![self.next.to_string()];
            self.next += 1;
            row.extend(self.columns.iter().map(|column| column.kind.value(random, column.nullable)));
            row.push(large(random));
            values.push(format!("({})", row.join(", ")));
        }
        format!("INSERT INTO {} (id, {}, large) VALUES {}", self.name, names.join(", "), values.join(", "))
    }

    fn alter(&mut self, random: &mut ChaCha8Rng) -> String {
        let name = &self.name;
        let number = self.columns.len() + 1;
        match random.random_range(0..3) {
            0 if self.columns.len() > 3 => {
                let gone = self.columns.remove(random.random_range(0..self.columns.len()));
                format!("ALTER TABLE {name} DROP COLUMN {}", gone.name)
            }
            1 => {
                let column = random.random_range(0..self.columns.len());
                let new = format!("r{number}_{}", random.random_range(0..1000));
                let old = std::mem::replace(&mut self.columns[column].name, new.clone());
                format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}")
            }
            _ => {
                let kind = Kind::choose(random);
                let added = format!("a{number}_{}", random.random_range(0..1000));
                let statement = format!("ALTER TABLE {name} ADD COLUMN {added} {}", kind.sql);
                self.columns.push(Column { name: added, kind, nullable: true });
                statement
            }
        }
    }
}

/// Mostly nothing, sometimes a value that does not fit into its row.
fn large(random: &mut ChaCha8Rng) -> String {
    match random.random_range(0..10) {
        0 => format!("repeat('{}', 900)", random.random_range(1000..9999)),
        1 => "'small'".to_owned(),
        _ => "NULL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gives_one_scenario() {
        let text = |number| format!("{:?}", Scenario::generate(7, number));
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }
}
