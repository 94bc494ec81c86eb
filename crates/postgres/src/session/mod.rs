//! The stream: one replication connection on one thread, from the socket to batches.
//!
//! [`stream`](open) opens the connection and starts the thread; [`thread`] is its loop; [`relations`] knows the
//! tables; [`clock`] decides when the server must hear from us; [`watch`] looks at the publication now and then.

mod clock;
mod relations;
mod thread;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use walhouse_change::{Acknowledge, BoxFuture, Budget, ChangeBatch, Lsn, Retry, Source, TableName, TableSchema};

use crate::claim::License;
use crate::endpoint::Endpoint;
use crate::handover::{self, Handover};
use crate::wire::connection::{Connection, Mode};
use crate::{Error, PublicationFacts, Result, sql};

/// How long the end of a stream waits for its thread, which looks up ten times a second and takes leave then.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// What mends a stream that lost changes of every table.
const COPY_AGAIN: &str = "walhouse teardown, then walhouse run: it copies every table again";

/// What a stream needs to know.
pub(crate) struct Plan {
    pub(crate) endpoint: Endpoint,
    pub(crate) slot: String,
    pub(crate) publication: String,
    /// The publication as it was when all of `tables` were known to be in it.
    pub(crate) published: Option<PublicationFacts>,
    pub(crate) budget: Budget,
    pub(crate) license: License,
    pub(crate) from: Lsn,
    pub(crate) scope: Scope,
}

/// What a stream shows.
pub(crate) enum Scope {
    /// The changes of these tables.
    Tables {
        tables: Vec<Arc<TableSchema>>,
        /// Set for good when a binary stream met a type without a binary decoder.
        text_only: Arc<AtomicBool>,
    },
    /// Everything that the publication sends, as texts: transactions' edges, logical messages, and each description
    /// of a relation that `wanted` takes.
    Log {
        wanted: Wanted,
        /// More options of START_REPLICATION.
        options: Vec<(String, String)>,
    },
}

/// Which relations of a whole log are shown.
pub(crate) type Wanted = Arc<dyn Fn(&TableName) -> bool + Send + Sync>;

/// How far the stream is, seen from both sides.
#[derive(Debug)]
struct Marks {
    /// Highest progress handed over; nothing beyond may be acknowledged.
    handed_over: AtomicU64,
    acknowledged: AtomicU64,
}

impl Marks {
    /// Raises the acknowledgement, never beyond what was handed over: a flush in the future would make the server
    /// skip what lies between, without an error.
    fn acknowledge(&self, upto: Lsn) {
        let limit = self.handed_over.load(Ordering::Acquire);
        if upto.0 > limit {
            tracing::warn!(%upto, limit = %Lsn(limit), "ignoring an acknowledgement beyond what was handed over");
        }
        self.acknowledged.fetch_max(upto.0.min(limit), Ordering::AcqRel);
    }

    fn acknowledged(&self) -> Lsn {
        Lsn(self.acknowledged.load(Ordering::Acquire))
    }
}

/// The consumer's end.
struct Stream {
    handover: Arc<Handover>,
    marks: Arc<Marks>,
}

impl Source for Stream {
    fn next(&mut self) -> BoxFuture<'_, walhouse_change::Result<Option<ChangeBatch>>> {
        Box::pin(self.handover.next())
    }

    fn acknowledger(&self) -> Acknowledge {
        let marks = Arc::clone(&self.marks);
        Arc::new(move |upto| marks.acknowledge(upto))
    }
}

/// Ends the thread, which sends the last acknowledgement and leaves the slot free.
impl Drop for Stream {
    fn drop(&mut self) {
        self.handover.close();
        self.handover.wait_finished(END_PATIENCE);
    }
}

/// Connects, starts replication and the thread. Blocking.
pub(crate) fn open(plan: Plan) -> Result<Box<dyn Source>> {
    let mut catalog = watch::connect(&plan.endpoint)?;
    let known = watch::Known { name: plan.publication.clone(), facts: plan.published.clone() };
    let (relations, watched, options) = match &plan.scope {
        Scope::Tables { tables, text_only } => {
            watch::check_publication(&mut catalog, &known, tables)?;
            let decodable = |table: &Arc<TableSchema>| table.columns.iter().all(|column| column.ty.binary_decodable());
            let binary = !text_only.load(Ordering::Acquire) && tables.iter().all(decodable);
            let relations = relations::Relations::new(tables, binary, Arc::clone(text_only));
            (relations, Some(tables.clone()), if binary { ", binary 'true'".to_owned() } else { String::new() })
        }
        Scope::Log { wanted, options } => {
            (relations::Relations::all(Arc::clone(wanted)), None, log_options(catalog.version, options))
        }
    };
    let mut connection = Connection::open(&plan.endpoint, Mode::Replication)?;
    let timeout = sender_timeout(&mut connection)?;
    start(&mut connection, &plan, &options)?;
    tracing::info!(slot = plan.slot, from = %plan.from, options, "streaming");

    let handover = Arc::new(Handover::default());
    let marks = Arc::new(Marks { handed_over: AtomicU64::new(plan.from.0), acknowledged: AtomicU64::new(0) });
    let watch = watch::Watch::new(plan.endpoint, known, watched, catalog);
    let thread = thread::Session::new(
        connection,
        thread::Shared {
            handover: Arc::clone(&handover),
            marks: Arc::clone(&marks),
            budget: plan.budget,
            license: plan.license,
        },
        relations,
        watch,
        clock::Clock::new(timeout),
    );
    handover::spawn("walhouse-stream", &handover, move || thread.run().map_err(Into::into))
        .map_err(|error| Error::later(error.one_line()))?;
    Ok(Box::new(Stream { handover, marks }))
}

/// `wal_sender_timeout` as it holds for this connection; none when it is off.
fn sender_timeout(connection: &mut Connection) -> Result<Option<Duration>> {
    let rows = connection.query(
        "read wal_sender_timeout over a replication connection",
        "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'",
    )?;
    let milliseconds = rows.first().map_or(Ok(0), |row| row.parse(0))?;
    Ok((milliseconds > 0).then(|| Duration::from_millis(milliseconds)))
}

/// First version whose pgoutput sends logical messages.
const SENDS_MESSAGES: u32 = 14;

fn log_options(version: u32, options: &[(String, String)]) -> String {
    let own = (version >= SENDS_MESSAGES).then(|| ("messages".to_owned(), "true".to_owned()));
    let chosen = own.into_iter().filter(|(name, _)| options.iter().all(|(other, _)| other != name));
    let option =
        |(name, value): (String, String)| format!(", {} '{}'", sql::identifier(&name), value.replace('\'', "''"));
    chosen.chain(options.iter().cloned()).map(option).collect()
}

fn start(connection: &mut Connection, plan: &Plan, options: &str) -> Result<()> {
    // The list of publications is parsed as identifiers, within a literal of the replication grammar, which knows no
    // escape but the doubled quote.
    let publications = format!("'{}'", sql::identifier(&plan.publication).replace('\'', "''"));
    let statement = format!(
        "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {publications}{options})",
        sql::identifier(&plan.slot),
        plan.from
    );
    let attempt = format!("start replication from slot {}", plan.slot);
    let started = connection.start_copy(&attempt, &statement);
    match plan.scope {
        Scope::Tables { .. } => started.map_err(|error| refined(error, &plan.slot)),
        Scope::Log { .. } => started,
    }
}

/// What the server's refusals mean when a slot is used.
fn refined(error: Error, slot: &str) -> Error {
    match error.code() {
        Some("42704") => Error::finding(Retry::Never, format!("slot {slot} is gone: {error}"), COPY_AGAIN),
        Some("55000") => {
            Error::finding(Retry::Never, format!("slot {slot} is of no use any more: {error}"), COPY_AGAIN)
        }
        _ => error,
    }
}

/// What the server's refusals mean while it streams.
fn refined_in_stream(error: Error, publication: &str) -> Error {
    match error.code() {
        Some("42704") => publication_lost(publication, &error.to_string()),
        _ => error,
    }
}

/// A publication that was missing for a while has lost what was committed meanwhile (18), or stops every stream from
/// before it was made anew (14 to 17): either way the copy is the way out.
fn publication_lost(publication: &str, what: &str) -> Error {
    Error::finding(
        Retry::Never,
        format!("publication {publication} is not what it was, and changes since then may be missing: {what}"),
        COPY_AGAIN,
    )
}
