//! `walhouse teardown`: leaves nothing of walhouse behind, but for what it carried.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Result, bail};
use walhouse_change::Origin;
use walhouse_kafka::client::Admin;
use walhouse_postgres::Postgres;

use crate::cli::Teardown;
use crate::config::Config;
use crate::exit::UsageError;
use crate::kafka::{Source, Way, Writer};
use crate::{runtime, wiring};

/// Asks, then removes slot, publication and state, and the tables if told to.
pub(crate) fn teardown(options: &Teardown) -> Result<()> {
    let config = Config::load(&options.file.config)?;
    runtime::block_on(async {
        if !config.straight && options.tables {
            let message = "--tables is for tables in ClickHouse: this configuration writes to Kafka, whose topics stay";
            return Err(UsageError(message.to_owned()).into());
        }
        if config.kafka.is_some() {
            remove_connector(&config, options).await?;
        }
        if !config.straight {
            return Ok(());
        }
        let engine = wiring::engine_if_needed(&config).await?;
        let removed = remove(&config, options).await;
        if let Some(engine) = engine {
            engine.stop().await;
        }
        removed
    })
}

/// What `run` into Kafka leaves: slot, publication, and the topics of its connector's state. Without those topics the
/// connector is another worker's, and so is its slot.
async fn remove_connector(config: &Config, options: &Teardown) -> Result<()> {
    let way = Way::new(config.clone())?;
    let (source, settings) = (Source::new(&way)?, Writer::new(&way)?.settings().clone());
    let admin = Admin::new(&settings.internal_client())?;
    if admin.topic(&settings.configs.name).await?.is_none() {
        return Ok(());
    }
    let topics = [settings.configs.name, settings.offsets.name, settings.statuses.name];
    refuse_while_read(&source.postgres, &source.slot).await?;
    let what = format!("slot {}, publication {} and topics {}", source.slot, source.publication, topics.join(", "));
    if !options.yes && !confirmed(&format!("Remove {what}"))? {
        println!("nothing was removed");
        return Ok(());
    }
    source.postgres.drop_slot().await?;
    source.postgres.drop_publication().await?;
    for topic in &topics {
        admin.delete(topic).await?;
    }
    println!("removed {what}");
    Ok(())
}

async fn refuse_while_read(origin: &Postgres, slot: &str) -> Result<()> {
    match origin.slot_facts().await?.and_then(|slot| slot.active_pid) {
        Some(pid) => bail!("slot {slot} is in use by the server process {pid}: stop walhouse run first"),
        None => Ok(()),
    }
}

async fn remove(config: &Config, options: &Teardown) -> Result<()> {
    let (origin, target) = (wiring::origin(config)?, wiring::owner(config)?);
    let (slot, publication) = (config.postgres.slot(), config.postgres.publication());
    refuse_while_read(&origin, slot).await?;
    // One that copies does not read the slot yet.
    if let Some(pid) = origin.slot_holder().await? {
        bail!("slot {slot} is in use by another walhouse, the server process {pid}: stop it first");
    }
    let tables = if options.tables { target.owned().await? } else { Vec::new() };
    if !options.yes {
        let mut question = format!("Remove slot {slot}, publication {publication} and the checkpoint");
        if !tables.is_empty() {
            question.push_str(&format!(", and in ClickHouse {}", tables.join(", ")));
        }
        if !confirmed(&question)? {
            println!("nothing was removed");
            return Ok(());
        }
    }
    // The slot first: while it is there, it holds the source's log.
    origin.drop_slot().await?;
    origin.drop_publication().await?;
    target.teardown(options.tables).await?;
    println!("removed slot {slot}, publication {publication} and the checkpoint");
    for table in tables {
        println!("removed {table}");
    }
    Ok(())
}

fn confirmed(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(UsageError("nobody to ask: use --yes to remove without a question".to_owned()).into());
    }
    print!("{question}? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
