//! The demo through Kafka: a broker, this program as the Connect worker, the connector posted to it, and ClickHouse
//! reading the topics.
//!
//! What its users did by hand, in their order: post the connector, make the tables, import what was there before. The
//! commands that do it are the ones that anybody runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use walhouse_lab::kafka::{Broker, Connect, Software};
use walhouse_lab::rembo::{self, LoadOptions};
use walhouse_lab::verify;

use super::finale::Finale;
use super::source::Source;
use super::{addresses, live, seed_of_this_run};
use crate::cli::{ConsoleOptions, Demo};
use crate::commands::{import, kafka_tables};
use crate::config::Config;
use crate::kafka::Way;
use crate::{service, terminal, wiring};

/// The connector's name, prefix and slot, as the sample workload's users have them.
const CONNECTOR: &str = "rembo-db-connector";
const PREFIX: &str = "rembo";
const SLOT: &str = "rembo_slot";
/// Where Kafka and Connect usually answer.
const USUAL_PORTS: [u16; 2] = [9092, 8083];
/// A connector runs within seconds, on a busy machine in some more.
const PATIENCE: Duration = Duration::from_secs(90);
/// A sale is there in a fraction of a second.
const SALE_PATIENCE: Duration = Duration::from_secs(30);
/// How often the counts are shown.
const SHOW_EVERY: Duration = Duration::from_secs(10);

/// Everything that runs beside Postgres.
struct House {
    broker: Broker,
    worker: Connect,
    engine: Option<walhouse_chdb::Engine>,
    config: Config,
    console: Option<SocketAddr>,
    edges: CancellationToken,
}

/// None when it was stopped before there was anything to compare; else also whether the sample query agreed.
pub(super) async fn play(
    options: &Demo,
    folder: &Path,
    source: &Source,
    stop: &CancellationToken,
) -> Result<Option<(Finale, bool)>> {
    source.fill(options.seed).await?;
    let building = build(folder, source);
    let house = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(None),
        house = building => house?,
    };
    let played = show(options, folder, source, &house, stop).await;
    let House { broker, worker, engine, edges, .. } = house;
    edges.cancel();
    end(worker, engine, broker).await;
    played.map(Some)
}

async fn build(folder: &Path, source: &Source) -> Result<House> {
    let [kafka, connect] = addresses::free(USUAL_PORTS)?;
    terminal::line("starting a private Kafka broker; the first time it comes from Maven Central");
    let broker = Broker::builder().data_dir(folder.join("kafka")).port(kafka).start().await?;
    terminal::line("starting walhouse connect in Kafka Connect's place");
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let worker = Connect::builder(broker.bootstrap())
        .software(Software::Walhouse(program))
        .data_dir(folder.join("connect"))
        .port(connect)
        .start()
        .await?;
    let file = write_connector(folder, source.url())?;
    post(&worker, &file).await?;
    terminal::line(&format!("posted {} to {}/connectors", file.display(), worker.url()));
    wait_until_streaming(&worker, source.url()).await?;
    let (bootstrap, connect) = (broker.bootstrap(), worker.url());
    let more = format!("[kafka]\nbootstrap = {bootstrap:?}\nconnector = \"pg-src.json\"\nconnect = {connect:?}\n");
    let config = Config::load(&source.configure(folder, "", &more)?)?;
    let engine = wiring::engine_if_needed(&config).await?;
    let way = Way::new(config.clone())?;
    kafka_tables::apply(&way).await?;
    import::run(&way, false, false).await?;
    let edges = CancellationToken::new();
    let console = service::watch_kafka(&way, &ConsoleOptions::default(), edges.clone()).await?;
    Ok(House { broker, worker, engine, config, console, edges })
}

/// The connector as its users post it, but for the database.
fn write_connector(folder: &Path, url: &str) -> Result<PathBuf> {
    let database = url.parse::<tokio_postgres::Config>().context("cannot read Postgres' URL")?;
    let host = match database.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        _ => "127.0.0.1".to_owned(),
    };
    let user = database.get_user().unwrap_or("postgres");
    // Connect wants one, whether Postgres asks for it or not.
    let password = database.get_password().map_or_else(|| "unused".into(), String::from_utf8_lossy);
    let connector = json!({
        "name": CONNECTOR,
        "config": {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "pgoutput",
            "database.hostname": host,
            "database.port": database.get_ports().first().copied().unwrap_or(5432).to_string(),
            "database.user": user,
            "database.password": password,
            "database.dbname": database.get_dbname().unwrap_or(user),
            "database.server.name": "postgres",
            "publication.autocreate.mode": "filtered",
            "table.include.list": "public.customer,public.employee,public.sales,public.sales_territory",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schema.enable": false,
            "value.converter.schema.enable": false,
            "max.batch.size": "1000",
            "poll.interval.ms": "1000",
            "topic.prefix": PREFIX,
            "topic.creation.default.partitions": 4,
            "topic.creation.default.replication.factor": "1",
            "snapshot.mode": "never",
            "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.delete.handling.mode": "rewrite",
            "transforms.unwrap.drop.tombstones": false,
            "transforms.unwrap.add.fields": "table,op,lsn,source.ts_ms",
            "slot.name": SLOT,
        },
    });
    let file = folder.join("pg-src.json");
    std::fs::write(&file, format!("{connector:#}\n")).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Posts it; where a former demo posted it already, its configuration is put. A worker that has just started may still
/// be taking its seat.
async fn post(worker: &Connect, file: &Path) -> Result<()> {
    const CONFLICT: u16 = 409;
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let connector: Value = serde_json::from_str(&text).context("cannot read the connector")?;
    let (path, options) = (format!("/connectors/{CONNECTOR}/config"), connector["config"].to_string());
    let reply = verify::until("the worker to take the connector", PATIENCE, async || {
        let mut reply = worker.request("POST", "/connectors", Some(&text)).await.map_err(|error| error.to_string())?;
        if reply.status == CONFLICT && reply.body.contains("already exists") {
            reply = worker.request("PUT", &path, Some(&options)).await.map_err(|error| error.to_string())?;
        }
        if reply.status == CONFLICT { Err(reply.body) } else { Ok(reply) }
    })
    .await?;
    match reply.status {
        200..=299 => Ok(()),
        status => bail!("the worker refuses the connector with {status}: {}", reply.body),
    }
}

/// Waits for the connector's slot and publication: what changes from then on is in the topics.
async fn wait_until_streaming(worker: &Connect, url: &str) -> Result<()> {
    let client = rembo::connect(url).await?;
    let path = format!("/connectors/{CONNECTOR}/status");
    verify::until("the connector", PATIENCE, async || {
        let status = worker.request("GET", &path, None).await.map_err(|error| error.to_string())?;
        let status: Value = serde_json::from_str(&status.body).unwrap_or_default();
        let task = &status["tasks"][0];
        if task["state"] != "RUNNING" {
            return Err(format!("its task is {}: {}", task["state"], task["trace"]));
        }
        let sql = "SELECT active FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";
        let row = client.query_opt(sql, &[&SLOT]).await.map_err(|error| error.to_string())?;
        match row.map(|row| row.get::<_, bool>(0)) {
            Some(true) => Ok(()),
            Some(false) => Err("its slot is not in use".to_owned()),
            None => Err("its slot is not there".to_owned()),
        }
    })
    .await?;
    Ok(())
}

/// From the banner to the comparison.
async fn show(
    options: &Demo,
    folder: &Path,
    source: &Source,
    house: &House,
    stop: &CancellationToken,
) -> Result<(Finale, bool)> {
    let clickhouse = wiring::client(&house.config);
    rembo::views(&clickhouse).await?;
    let (postgres, target) = (source.url(), &house.config.clickhouse.url);
    let bootstrap = house.broker.bootstrap();
    let more = [("kafka", bootstrap.clone()), ("connect", house.worker.url())];
    addresses::write(folder, postgres, target, house.console, &more)?;
    let console = live::shown(house.console);
    terminal::line(&format!(
        "\nwhat was there is imported; changes flow live\n\
         \x20 Postgres    {postgres}\n\
         \x20 Kafka       {bootstrap}\n\
         \x20 Connect     {}/connectors\n\
         \x20 ClickHouse  {target}\n\
         \x20 console     {console}\n\
         watch: walhouse watch '{PREFIX}.public.*' --bootstrap {bootstrap}\n\
         sell:  walhouse rembo sell --postgres '{postgres}'\n\n\
         Employees sales performance (the sample query's first rows), as ClickHouse answers:",
        house.worker.url(),
    ));
    terminal::line(&live::seed_query(&clickhouse).await?);
    let mut client = rembo::connect(postgres).await?;
    sell(&client, &clickhouse).await?;
    if options.rate > 0.0 {
        let load = LoadOptions { rate: options.rate, seed: options.seed.seed.wrapping_add(seed_of_this_run()) };
        let shown = tokio::spawn(show_counts(clickhouse.clone()));
        let loaded = rembo::load(&mut client, load, enough(options, stop)).await;
        shown.abort();
        terminal::line(&format!("load ended: {}", loaded?));
    } else {
        enough(options, stop).await;
    }
    let finale = Finale::compare(source, &clickhouse, stop).await;
    let agreed = match &finale {
        Finale::Compared(_) => rembo::compare_seed_query(&client, &clickhouse).await?,
        Finale::Unknown(_) => return Ok((finale, true)),
    };
    terminal::line(&format!("the sample query gives {agreed}"));
    Ok((finale, agreed.is_equal()))
}

async fn enough(options: &Demo, stop: &CancellationToken) {
    match options.duration {
        Some(duration) => drop(tokio::time::timeout(duration, stop.cancelled()).await),
        None => stop.cancelled().await,
    }
}

/// Sells something, and says how long it was on its way.
async fn sell(postgres: &tokio_postgres::Client, clickhouse: &clickhouse::Client) -> Result<()> {
    let sold = rembo::sell(postgres, seed_of_this_run()).await?;
    let began = Instant::now();
    let sql = format!("SELECT count() FROM view_sales_last_rec WHERE sales_id = {}", sold.sales_id);
    verify::until("the sale in ClickHouse", SALE_PATIENCE, async || {
        match clickhouse.query(&sql).fetch_one::<u64>().await {
            Ok(1) => Ok(()),
            Ok(count) => Err(format!("{count} rows")),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    terminal::line(&format!("\nsold {sold}\n  visible in ClickHouse after {} ms", began.elapsed().as_millis()));
    Ok(())
}

async fn show_counts(clickhouse: clickhouse::Client) {
    let sql = "SELECT toUInt64(count()), toUInt64(sum(is_deleted)) FROM sales";
    loop {
        tokio::time::sleep(SHOW_EVERY).await;
        match clickhouse.query(sql).fetch_one::<(u64, u64)>().await {
            Ok((versions, deletes)) => {
                terminal::line(&format!("sales: {versions} versions, {deletes} of them deletes"))
            }
            Err(error) => tracing::debug!(error = %error, "cannot count sales"),
        }
    }
}

/// Ends all, the readers before what they read.
async fn end(mut worker: Connect, engine: Option<walhouse_chdb::Engine>, mut broker: Broker) {
    if let Err(error) = worker.stop().await {
        tracing::warn!(error = %error, "the Connect worker did not stop in order");
    }
    if let Some(engine) = engine {
        engine.stop().await;
    }
    if let Err(error) = broker.stop().await {
        tracing::warn!(error = %error, "the private broker did not stop in order");
    }
}
