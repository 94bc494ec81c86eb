//! `walhouse kafka-tables`: ClickHouse's tables over a connector's topics.

use anyhow::{Context, Result};
use walhouse_clickhouse::kafka::{Verdict, objects};
use walhouse_clickhouse::{Change, ClickHouse};

use crate::cli::KafkaTables;
use crate::config::Config;
use crate::exit::one_line;
use crate::kafka::{self, Cluster, Planned, Prepared, Source, Way};
use crate::{runtime, terminal, wiring};

/// Prints the statements, or runs them.
pub(crate) fn kafka_tables(options: &KafkaTables) -> Result<()> {
    let way = Way::new(Config::load(&options.file.config)?)?;
    runtime::block_on(async {
        if !options.apply {
            return print(&way).await;
        }
        let engine = wiring::engine_if_needed(&way.config).await?;
        let applied = apply(&way).await;
        if let Some(engine) = engine {
            engine.stop().await;
        }
        applied
    })
}

/// The tables of the selection that the connector takes; says which are left out, and why.
pub(crate) async fn prepare(way: &Way, source: &Source) -> Result<Vec<Prepared>> {
    for warning in way.options.warnings() {
        terminal::line(&format!("note: {warning}"));
    }
    source.check_publication().await?;
    let mut prepared = Vec::new();
    for (table, facts) in source.tables().await? {
        let name = &table.schema.name;
        let named = way.config.postgres.tables.iter().any(|pattern| pattern.is_literal() && pattern.matches(name));
        if !way.options.captures(name) && !named {
            terminal::line(&format!("note: {name} is left out: the connector does not take it"));
            continue;
        }
        if let Some(problem) = &table.problem {
            terminal::line(&format!("note: {name} is left out: {}", problem.one_line()));
            continue;
        }
        prepared.push(kafka::prepare(&way.options, &table, &facts)?);
    }
    match prepared.is_empty() {
        true => Err(kafka::refused("no table of [postgres] tables is taken by the connector".to_owned())),
        false => Ok(prepared),
    }
}

async fn print(way: &Way) -> Result<()> {
    let source = Source::new(way)?;
    let prepared = prepare(way, &source).await?;
    // what is there already decides groups and epochs; without it, a first time is shown
    let target = way.target()?;
    let target = match target.version().await {
        Ok(_) => Some(&*target),
        Err(error) => {
            terminal::line(&format!("note: ClickHouse was not asked: {}", error.one_line()));
            None
        }
    };
    let cluster = Cluster::new(kafka::properties(&way.kafka)?)?;
    let planned = match kafka::plan(way, prepared.clone(), target, Some(&cluster)).await {
        Ok(planned) => planned,
        Err(error) if error.is::<walhouse_change::Error>() => return Err(error),
        Err(error) => {
            terminal::line(&format!("note: Kafka was not asked: {}", one_line(&error)));
            kafka::plan(way, prepared, target, None).await?
        }
    };
    let password = way.kafka.client.0.get("sasl.password");
    let mut shared: Vec<String> = Vec::new();
    for table in &planned {
        println!("-- {} from topic {}", table.feed.plan.schema.name, table.feed.queue.topic);
        remarks(way, table).iter().for_each(|remark| println!("-- {remark}"));
        for object in objects(&table.feed) {
            if object.table.is_none() {
                if shared.contains(&object.name) {
                    continue;
                }
                shared.push(object.name.clone());
            }
            let sql = match password {
                Some(password) if !password.is_empty() => object.sql.replace(password.as_str(), "***"),
                _ => object.sql,
            };
            println!("\n{sql};");
        }
        println!();
    }
    Ok(())
}

pub(crate) async fn apply(way: &Way) -> Result<()> {
    let source = Source::new(way)?;
    let prepared = prepare(way, &source).await?;
    let cluster = Cluster::new(kafka::properties(&way.kafka)?)?;
    for table in &prepared {
        create_topic(way, &cluster, &table.reading.topic).await?;
    }
    let target = way.target()?;
    let planned = kafka::plan(way, prepared, Some(&target), Some(&cluster)).await?;
    for table in &planned {
        apply_one(way, &target, table).await?;
    }
    Ok(())
}

/// As Connect makes a topic: by its default group, or as the brokers would.
async fn create_topic(way: &Way, cluster: &Cluster, topic: &str) -> Result<()> {
    if !way.option("topic.creation.groups", "").is_empty() {
        return Ok(());
    }
    let number = |key: &str| way.option(key, "-1").parse::<i32>().with_context(|| format!("{key} is not a number"));
    let partitions = number("topic.creation.default.partitions")?;
    let replication = number("topic.creation.default.replication.factor")?;
    if cluster.create(topic, partitions, replication).await.with_context(|| format!("cannot create topic {topic}"))? {
        println!("created topic {topic}");
    }
    Ok(())
}

async fn apply_one(way: &Way, target: &ClickHouse, table: &Planned) -> Result<()> {
    let name = &table.feed.plan.schema.name;
    println!("{name} from topic {}, group {}", table.feed.queue.topic, table.feed.queue.group);
    for remark in remarks(way, table) {
        println!("  note: {remark}");
    }
    match &table.verdict {
        None | Some(Verdict::Same) => {}
        Some(Verdict::Anew(why)) => println!(
            "  the topic was made anew ({why}): epoch {} begins; what changed meanwhile is not in it: walhouse import",
            table.feed.epochs.newest()
        ),
        Some(Verdict::Grown) => println!(
            "  the topic has {} partitions now: epoch {} begins; changes that were written while partitions were added may \
             be out of order",
            table.state.partitions,
            table.feed.epochs.newest()
        ),
    }
    // before: should the rest fail, another epoch is begun once more, which does no harm
    let plan = &table.feed.plan;
    target.remember_topic(&plan.name, &table.state).await?;
    let changes = target.apply(&table.feed).await?;
    for changed in &changes {
        let what = match changed.change {
            Change::Created => "created",
            Change::Changed => "changed",
            Change::Dropped => "dropped",
        };
        println!("  {what} {}", changed.name);
    }
    if changes.is_empty() {
        println!("  unchanged");
    }
    Ok(())
}

fn remarks(way: &Way, table: &Planned) -> Vec<String> {
    let mut remarks = table.prepared.reading.concerns.clone();
    if !table.prepared.left_out.is_empty() {
        remarks.push(format!("not in the messages, so not in ClickHouse: {}", table.prepared.left_out.join(", ")));
    }
    if table.feed.columns.iter().any(|column| column.placeholder.is_some())
        && table.feed.plan.schema.identity != walhouse_change::ReplicaIdentity::Full
    {
        remarks.push(format!(
            "large values that do not change are looked up in ClickHouse; ALTER TABLE {} REPLICA IDENTITY FULL has them sent",
            table.feed.plan.schema.name
        ));
    }
    let beyond = kafka::beyond_tables(&way.kafka);
    if !beyond.is_empty() {
        remarks.push(format!("set in the <kafka> section of ClickHouse's own configuration: {}", beyond.join(", ")));
    }
    remarks
}
