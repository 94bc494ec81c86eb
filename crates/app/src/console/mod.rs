//! The console of a running walhouse: what it is made of, and asking one from another process.

mod ask;

use walhouse_pipeline::StatusBoard;
use walhouse_server::api::{Stage, StageKind};
use walhouse_server::{Console, Recorder};

use crate::config::Config;

pub(crate) use ask::ask;

/// The console of a pipeline with this configuration.
pub(crate) fn assemble(config: &Config, board: StatusBoard, recorder: Recorder) -> Console {
    Console { stages: stages(config), ..Console::new(board, recorder) }
}

/// The stations of the direct way.
fn stages(config: &Config) -> Vec<Stage> {
    let url = config.postgres.url.as_ref().and_then(|url| url.expose().parse::<tokio_postgres::Config>().ok());
    let source = url.as_ref().and_then(tokio_postgres::Config::get_dbname).unwrap_or("Postgres");
    let target = match &config.engine {
        Some(_) => format!("{} (embedded)", config.clickhouse.database),
        None => config.clickhouse.database.clone(),
    };
    vec![
        Stage::new(StageKind::Postgres, source),
        Stage::new(StageKind::Walhouse, config.postgres.slot()),
        Stage::new(StageKind::Clickhouse, target),
    ]
}
