//! The demo's source: a private Postgres, or the user's, with the sample workload in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use walhouse_lab::postgres::{Server, Version};
use walhouse_lab::{Error, rembo};

use super::addresses;
use crate::cli::Seed;
use crate::commands::rembo::seed_options;
use crate::terminal;

/// Where the workload lives.
pub(super) struct Source {
    server: Option<Server>,
    url: String,
}

impl Source {
    /// Starts the private server of this folder, unless the user has one.
    pub(super) async fn open(folder: &Path, url: Option<&str>) -> Result<Self> {
        if let Some(url) = url {
            return Ok(Self { server: None, url: url.to_owned() });
        }
        terminal::line("starting a private Postgres");
        let server = Server::builder()
            .version(Version::installed_or_newest())
            .data_dir(folder.join("postgres"))
            .durable(true)
            .start()
            .await?;
        Ok(Self { url: server.url(), server: Some(server) })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Creates and fills the tables; what a former demo left is taken as it is.
    pub(super) async fn fill(&self, seed: Seed) -> Result<()> {
        let mut client = rembo::connect(&self.url).await?;
        match rembo::create(&mut client, false).await {
            Ok(()) => terminal::line("created the sample workload's tables"),
            Err(Error::TablesExist { tables }) if tables.len() == rembo::tables().len() => {}
            Err(Error::TablesExist { tables }) => {
                bail!("some of the sample workload's tables exist, others do not: {}", tables.join(", "))
            }
            Err(error) => return Err(error.into()),
        }
        rembo::alter(&client).await?;
        let filled = client.query_one("SELECT EXISTS (SELECT FROM public.sales_territory)", &[]).await;
        if filled.context("cannot look into the sample workload's tables")?.get(0) {
            terminal::line("going on with the rows that are there");
            return Ok(());
        }
        let counts = rembo::seed(&mut client, seed_options(seed, None)?).await?;
        terminal::line(&format!("seeded {counts}"));
        Ok(())
    }

    /// Writes the configuration file of the demo's pipeline; `engine_lines` are further lines of that section, `more`
    /// are further sections.
    pub(super) fn configure(&self, folder: &Path, engine_lines: &str, more: &str) -> Result<PathBuf> {
        let [engine, console] = addresses::free([8123, 9090])?;
        let tables: Vec<String> =
            rembo::tables().iter().map(|table| format!("{}.{}", table.schema, table.name)).collect();
        let text = format!(
            "# Written by walhouse demo, anew at each start.\n\
             [postgres]\nurl = {:?}\ntables = {tables:?}\nslot = \"walhouse_demo\"\npublication = \"walhouse_demo\"\n\n\
             [engine]\ndata = \"engine\"\nlisten = \"127.0.0.1:{engine}\"\n{engine_lines}\n\
             [console]\nlisten = \"127.0.0.1:{console}\"\n\n{more}\n{}",
            self.url,
            rembo::CONFIGURATION,
        );
        let file = folder.join("walhouse.toml");
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// Stops the private server in order.
    pub(super) async fn close(&mut self) {
        if let Some(server) = &mut self.server
            && let Err(error) = server.stop().await
        {
            tracing::warn!(error = %error, "the private postgres did not stop in order");
        }
    }
}
