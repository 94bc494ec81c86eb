//! The demo's Superset: a server of our own in the demo's folder, filled as `walhouse superset provision` fills any.

use std::path::Path;

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use walhouse_lab::superset::{self, ADMIN, Connection, Server, Superset};

use crate::commands::superset::{assets, reader};
use crate::config::Config;
use crate::terminal;

/// The user of ClickHouse that Superset uses. It needs no password: like everything of the demo, the engine answers on
/// loopback alone, where the user who may write needs none either.
const READER: &str = "superset";
const READER_LINE: &str = "reader = \"superset\"\n";
/// Name of the database in Superset.
const NAME: &str = "walhouse";

/// A running Superset.
pub(super) struct Dashboards {
    server: Server,
}

impl Dashboards {
    /// Starts it, installed if need be. None when `stop` came first.
    pub(super) async fn start(folder: &Path, stop: &CancellationToken) -> Result<Option<Self>> {
        terminal::line("starting Superset; the first time it is installed from PyPI (900 MB on disk, some minutes)");
        let folder = folder.join("superset");
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            server = Server::start(&folder) => Ok(Some(Self { server: server? })),
        }
    }

    /// What the configuration's `[engine]` needs for it.
    pub(super) fn reader(&self) -> &'static str {
        READER_LINE
    }

    /// Fills it.
    pub(super) async fn provision(&self, config: &Config) -> Result<()> {
        let connection = Connection {
            url: config.clickhouse.url.clone(),
            user: READER.to_owned(),
            password: String::new(),
            database: config.clickhouse.database.clone(),
            set_utc: false,
        };
        let connection = reader(config, connection).await?;
        let done = superset::provision(&mut self.session().await?, &assets(config, NAME).await?, &connection).await?;
        terminal::line(&format!("{done}\n  user {ADMIN}, password {}", self.server.password()));
        Ok(())
    }

    /// Asks every chart; true when all answer.
    pub(super) async fn answer(&self, config: &Config) -> Result<bool> {
        let assets = assets(config, NAME).await?;
        let answers = superset::ask_every_chart(&mut self.session().await?, &assets).await?;
        terminal::line(&format!("Superset: {answers}"));
        Ok(answers.bad().next().is_none())
    }

    /// For `demo.json`.
    pub(super) fn login(&self) -> [(&'static str, String); 3] {
        [
            ("superset", self.server.url()),
            ("superset_user", ADMIN.to_owned()),
            ("superset_password", self.server.password().to_owned()),
        ]
    }

    pub(super) async fn end(mut self) {
        self.server.stop().await;
    }

    async fn session(&self) -> Result<Superset> {
        Ok(Superset::sign_in(&self.server.url(), ADMIN, self.server.password()).await?)
    }
}
