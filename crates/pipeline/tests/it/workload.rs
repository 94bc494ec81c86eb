//! An application at work: overlapping transactions over a few tables, and an operator who
//! creates and breaks tables under way.

use std::time::Duration;

use walhouse_change::memory::{MemoryTarget, Random, Server, Write, Xid};
use walhouse_change::{Domain, Error, Retry, TableName};

/// What a workload may do beside writing rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) steps: u64,
    /// New tables, tables created anew, unpublished or with a problem, values that cannot be
    /// stored; and some lives with another selection of tables.
    pub(crate) operator: bool,
}

pub(crate) struct Workload {
    server: Server,
    random: Random,
    options: Options,
    pub(crate) tables: Vec<TableName>,
    running: Vec<Xid>,
    serial: u64,
}

/// Keys are few, so that rows are updated, deleted and come back.
const KEYS: u64 = 6;
/// Transactions open at the same time.
const OPEN: usize = 3;

impl Workload {
    /// Two tables with rows in them.
    pub(crate) fn new(server: &Server, seed: u64, options: Options) -> Self {
        let random = Random::new(seed);
        let mut workload =
            Self { server: server.clone(), random, options, tables: Vec::new(), running: Vec::new(), serial: 0 };
        for _ in 0..2 {
            workload.create_table();
        }
        for _ in 0..workload.random.below(20) {
            workload.write();
        }
        workload
    }

    pub(crate) async fn run(mut self) -> Self {
        for _ in 0..self.options.steps {
            // Often no time at all, so that commits meet consistent points.
            let pause = if self.random.chance(60) { 0 } else { self.random.below(60) };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.step();
        }
        self.mend();
        self
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..55 => self.write(),
            55..85 => self.commit(),
            85..90 => self.server.unrelated(),
            90..93 => self.server.break_connections(),
            _ if self.options.operator => self.operate(),
            _ => {}
        }
    }

    fn operate(&mut self) {
        let table = self.any_table();
        match self.random.below(6) {
            0 if self.tables.len() < 4 => self.create_table(),
            1 => self.server.create_table(&table),
            2 => {
                let error = Error::new(Domain::Source, Retry::StopTable(table.clone()), "table has no usable identity");
                self.server.set_problem(&table, Some(error));
            }
            3 => self.server.set_problem(&table, None),
            4 => self.server.unpublish(&table),
            _ => {
                let id = self.random.below(KEYS) as i64;
                self.server.transact(&[(&table, Write::Put(id, MemoryTarget::POISON.to_owned()))]);
            }
        }
    }

    fn write(&mut self) {
        if self.running.is_empty() || (self.running.len() < OPEN && self.random.chance(30)) {
            self.running.push(self.server.begin());
        }
        let xid = self.running[self.random.below(self.running.len() as u64) as usize];
        let table = self.any_table();
        self.serial += 1;
        let (id, other) = (self.random.below(KEYS) as i64, self.random.below(KEYS) as i64);
        let value = format!("v{}", self.serial);
        let write = match self.random.below(20) {
            0..11 => Write::Put(id, value),
            11..15 => Write::Delete(id),
            15..19 => Write::Move(id, other, value),
            _ => Write::Truncate,
        };
        self.server.write(xid, &table, write);
    }

    fn commit(&mut self) {
        if !self.running.is_empty() {
            let index = self.random.below(self.running.len() as u64) as usize;
            self.server.commit(self.running.swap_remove(index));
        }
    }

    /// Ends all transactions and takes every problem away.
    fn mend(&mut self) {
        while !self.running.is_empty() {
            self.commit();
        }
        for table in &self.tables {
            self.server.set_problem(table, None);
            let poisoned = self.server.rows(table).into_iter().filter(|(_, value)| value == MemoryTarget::POISON);
            for (id, _) in poisoned {
                self.server.transact(&[(table, Write::Delete(id))]);
            }
        }
    }

    fn create_table(&mut self) {
        let name = TableName::new("public", format!("t{}", self.tables.len()));
        self.server.create_table(&name);
        self.tables.push(name);
    }

    fn any_table(&mut self) -> TableName {
        self.tables[self.random.below(self.tables.len() as u64) as usize].clone()
    }
}
