//! `walhouse watch`: what flows through topics, decoded, for a person or a program.
//!
//! A record goes through [`message`] (what does it say), [`diff`] (what changed), [`filter`] (is it wanted) and
//! [`show`]; [`topics`] decides what is read, and from where. Only this file waits or writes.

mod diff;
mod filter;
mod message;
mod origin;
mod readable;
mod show;
mod topics;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use walhouse_kafka::client::{ConsumedRecord, Consumer, Properties};

use crate::cli::{Colour, Watch};
use crate::exit::UsageError;
use crate::{runtime, terminal};
use diff::Memory;
use filter::Filter;
use message::Message;
pub(crate) use origin::WatchFrom;
use show::Palette;
use topics::Topics;

/// How often new topics and partitions are looked for.
const REFRESH: Duration = Duration::from_secs(2);
/// With --no-follow, the end of partitions whose last offsets hold no records (a transaction's markers, say): brokers
/// answer a fetch within 100 ms.
const QUIET: Duration = Duration::from_secs(3);

/// Watches until there is enough, or a signal.
pub(crate) fn watch(options: Watch) -> Result<()> {
    runtime::block_on(async {
        let properties = properties(&options)?;
        let consumer = Consumer::new(&properties).context("cannot start a Kafka consumer")?;
        let topics = Topics::new(&properties, options.topics.clone(), options.from, options.diff)?;
        let stop = runtime::stop_on_signals()?;
        let mut watch = Watcher::new(options, topics);
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            watched = watch.run(&consumer) => watched,
        }
    })
}

fn properties(options: &Watch) -> Result<Properties> {
    let mut properties = Properties::new(&options.bootstrap);
    for property in &options.properties {
        let Some((key, value)) = property.split_once('=') else {
            return Err(UsageError("-X takes KEY=VALUE, such as -X security.protocol=SSL".to_owned()).into());
        };
        properties = properties.with(key, value);
    }
    properties.check().map_err(|error| UsageError(error.to_string()))?;
    Ok(properties)
}

/// One run.
struct Watcher {
    options: Watch,
    topics: Topics,
    filter: Filter,
    memory: Memory,
    palette: Palette,
    shown: u64,
}

impl Watcher {
    fn new(options: Watch, topics: Topics) -> Self {
        let colour = match options.colour {
            Colour::Always => true,
            Colour::Never => false,
            // https://no-color.org
            Colour::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
        };
        let lsn = match options.from {
            WatchFrom::Lsn(lsn) => Some(lsn),
            _ => None,
        };
        let filter = Filter { key: options.key.clone(), table: options.table.clone(), lsn };
        Self { options, topics, filter, memory: Memory::default(), palette: Palette { colour }, shown: 0 }
    }

    async fn run(&mut self, consumer: &Consumer) -> Result<()> {
        self.topics.refresh(consumer).await?;
        for topic in self.topics.missing() {
            terminal::line(&format!("walhouse: there is no topic {topic} yet"));
        }
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        while !self.has_enough() {
            let quiet = self.options.no_follow.then_some(last + QUIET);
            tokio::select! {
                biased;
                record = consumer.next() => {
                    last = Instant::now();
                    if self.take(&record.context("cannot read the topics")?)?.is_none() {
                        return Ok(());
                    }
                }
                () = sleep_until(quiet.unwrap_or(last)), if quiet.is_some() => return Ok(()),
                _ = refresh.tick(), if !self.options.no_follow => {
                    self.topics.refresh(consumer).await?;
                }
            }
        }
        Ok(())
    }

    fn has_enough(&self) -> bool {
        let counted = self.options.count.is_some_and(|count| self.shown >= count);
        counted || (self.options.no_follow && self.topics.is_at_end())
    }

    /// Decodes, remembers and, if it is wanted, prints a record; none when nobody reads us any more.
    fn take(&mut self, record: &ConsumedRecord) -> Result<Option<()>> {
        let is_new = self.topics.came(record);
        let message = Message::decode(record, !self.options.json);
        let differences = if self.options.diff { self.memory.compare(&message) } else { None };
        if !is_new || !self.filter.wants(&message) {
            return Ok(Some(()));
        }
        let text = if self.options.json {
            show::json_line(&message, differences.as_deref())
        } else {
            self.palette.message(&message, differences.as_deref())
        };
        self.shown += 1;
        match writeln!(io::stdout().lock(), "{text}") {
            Ok(()) => Ok(Some(())),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
            Err(error) => Err(error).context("cannot write to standard output"),
        }
    }
}
