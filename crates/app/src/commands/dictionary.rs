//! `walhouse dictionary`: the data dictionary, from the live schemas of both sides.

use anyhow::{Context, Result, bail};
use walhouse_lab::dictionary;

use crate::cli::{Dictionary, DictionaryFormat};
use crate::config::Config;
use crate::{runtime, warehouse, wiring};

/// Reads both sides and writes the document.
pub(crate) fn dictionary(options: &Dictionary) -> Result<()> {
    let config = Config::load(&options.file.config)?;
    let found = runtime::block_on(async {
        let engine = wiring::engine_if_needed(&config).await?;
        let found = warehouse::read(&config).await;
        if let Some(engine) = engine {
            engine.stop().await;
        }
        found
    })?;
    if found.tables.is_empty() {
        bail!("there is no table in ClickHouse yet: start `walhouse run` first");
    }
    let text = match options.format {
        DictionaryFormat::Markdown => dictionary::markdown(&found),
        DictionaryFormat::Html => dictionary::html(&found),
    };
    match &options.output {
        Some(file) => std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display())),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}
