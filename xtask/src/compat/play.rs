//! Playing a scenario on both sides: the same database, the same log, a slot each.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio_postgres::Client;
use walhouse_lab::postgres::{Server, connect};

use super::compare::{self, Comparison};
use super::options::Config;
use super::scenario::{SENTINEL, Scenario, Step};
use super::side::{Side, State};

/// How long both sides may take to write what was done.
const SETTLE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// After the last record that must come, another may follow: the end of a transaction, say.
const AFTERMATH: Duration = Duration::from_millis(600);
/// Quotes of a row that the source refuses (a key that is there already) are no failure: then nothing changed.
const REFUSED_CLASSES: [&str; 2] = ["23", "22"];

/// Both sides and their source.
pub(crate) struct Stage {
    pub(crate) postgres: Server,
    pub(crate) theirs: Side,
    pub(crate) ours: Side,
    marks: u64,
}

impl Stage {
    pub(crate) fn new(postgres: Server, theirs: Side, ours: Side) -> Self {
        Self { postgres, theirs, ours, marks: 0 }
    }

    /// Makes the scenario's database and a publication of all tables.
    pub(crate) async fn prepare(&self, database: &str, setup: &[String]) -> Result<Client> {
        let url = self.postgres.create_database(database).await?;
        let client = connect(&url).await?;
        for statement in setup {
            if statement.starts_with("INSERT") {
                change(&client, statement).await?;
            } else if let Err(error) = client.batch_execute(statement).await {
                bail!("the setup {statement:?} failed: {error}");
            }
        }
        client.batch_execute("CREATE PUBLICATION dbz_publication FOR ALL TABLES").await?;
        Ok(client)
    }

    /// A scenario's options with the names of its database and of a side's slot.
    pub(crate) fn config(&self, options: &Config, database: &str, slot: &str) -> Config {
        let mut config = options.clone();
        let mut set = |key: &str, value: &str| config.push((key.to_owned(), value.to_owned()));
        set("database.hostname", "127.0.0.1");
        set("database.port", &self.postgres.port().to_string());
        set("database.user", "postgres");
        set("database.password", "unused");
        set("database.dbname", database);
        set("publication.autocreate.mode", "disabled");
        set("slot.name", slot);
        config
    }

    /// Plays a scenario and compares.
    pub(crate) async fn play(&mut self, scenario: &Scenario) -> Result<Comparison> {
        let database = scenario.database();
        let client = self.prepare(&database, &scenario.setup).await?;
        let name = format!("compat-{}", scenario.number);
        let slots = [format!("theirs_{}", scenario.number), format!("ours_{}", scenario.number)];
        let mut running = true;
        for (side, slot) in [&self.theirs, &self.ours].into_iter().zip(&slots) {
            side.post(&name, &self.config(&scenario.config, &database, slot)).await?;
            running &= side.streaming(&client, &name, slot).await? == State::Running;
        }
        for step in &scenario.steps {
            match step {
                Step::Sql(sql) => change(&client, sql).await?,
                Step::Settle => running = running && self.settle(&client, &name).await?,
            }
        }
        let settled = running && self.settle(&client, &name).await?;
        let mut comparison = compare::compare(&self.theirs.records, &self.ours.records);
        if !settled {
            self.judge_failure(&name, &mut comparison).await;
        }
        self.end(&client, &name, &slots, &database).await?;
        Ok(comparison)
    }

    /// Waits until both sides have everything; false when a task failed.
    pub(crate) async fn settle(&mut self, client: &Client, name: &str) -> Result<bool> {
        self.marks += 1;
        let mark = format!("mark-{}-end", self.marks);
        let id = i32::try_from(self.marks)?;
        client.execute(&format!("INSERT INTO {SENTINEL} VALUES ($1, $2)"), &[&id, &mark]).await?;
        let mut both = true;
        for side in [&mut self.theirs, &mut self.ours] {
            both &= arrive(side, name, &mark).await?;
        }
        let mut last = Instant::now();
        while last.elapsed() < AFTERMATH {
            if self.theirs.collect()? | self.ours.collect()? {
                last = Instant::now();
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(both)
    }

    /// With a failed task, both must have failed. What a real one had queued and did not send when it failed is no
    /// difference: walhouse sends it.
    async fn judge_failure(&self, name: &str, comparison: &mut Comparison) {
        let (theirs, ours) = (self.theirs.state(name).await, self.ours.state(name).await);
        if theirs != ours {
            let (there, here) = (self.theirs.trace(name).await, self.ours.trace(name).await);
            comparison.unexplained.push(format!("task: {theirs:?} there ({there}), {ours:?} here ({here})"));
        } else if comparison.unexplained.iter().all(|text| text.contains("messages there")) {
            let count = std::mem::take(&mut comparison.unexplained).len();
            *comparison.known.entry("queued events of a failing task").or_default() += count;
        }
        *comparison.known.entry("scenarios in which both tasks failed").or_default() += 1;
    }

    async fn end(&mut self, client: &Client, name: &str, slots: &[String; 2], database: &str) -> Result<()> {
        for side in [&mut self.theirs, &mut self.ours] {
            side.delete(name).await?;
        }
        for slot in slots {
            drop_slot(client, slot).await?;
        }
        for side in [&mut self.theirs, &mut self.ours] {
            side.collect()?;
            side.forget().await?;
        }
        let admin = self.postgres.connect().await?;
        admin.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)")).await?;
        Ok(())
    }
}

/// Waits for a mark on one side; false when its task failed.
async fn arrive(side: &mut Side, name: &str, mark: &str) -> Result<bool> {
    let deadline = Instant::now() + SETTLE;
    loop {
        side.collect()?;
        if side.has(mark) {
            return Ok(true);
        }
        if side.state(name).await == State::Failed {
            return Ok(false);
        }
        if Instant::now() > deadline {
            bail!("{}: {mark} did not come within {} s; the log:\n{}", side.name, SETTLE.as_secs(), side.log_tail());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Runs a change; one that the source refuses changes nothing.
pub(crate) async fn change(client: &Client, sql: &str) -> Result<()> {
    match client.batch_execute(sql).await {
        Ok(()) => Ok(()),
        Err(error) => {
            client.batch_execute("ROLLBACK").await?;
            let class = error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned());
            match class {
                Some(class) if REFUSED_CLASSES.contains(&class.as_str()) => Ok(()),
                _ => bail!("the change {sql:?} failed: {error}"),
            }
        }
    }
}

pub(crate) async fn drop_slot(client: &Client, slot: &str) -> Result<()> {
    let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
               WHERE slot_name = $1 AND NOT active";
    let deadline = Instant::now() + SETTLE;
    loop {
        let there: i64 =
            client.query_one("SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", &[&slot]).await?.get(0);
        if there == 0 {
            return Ok(());
        }
        client.query(sql, &[&slot]).await?;
        if Instant::now() > deadline {
            bail!("the slot {slot} is still in use");
        }
        tokio::time::sleep(LOOK).await;
    }
}
