//! Statements that give rows: the engine writes its output into a pipe.
//!
//! The library's own streaming gives each block as a document of its own (JSON with a footer per block), and its
//! buffered call holds the whole result. `INTO OUTFILE` to a pipe gives one document, bounded memory, and
//! back-pressure from the client's socket down to the engine.

use std::os::fd::{AsRawFd, OwnedFd};

use tokio::sync::oneshot;

use crate::connection::{Connection, Params, Stats, format_name};
use crate::execute::Rows;
use crate::failure::Failure;
use crate::sql::Output;

/// Pipe buffer in bytes: some of the engine's writes, and within what an unprivileged user may have for 64 pipes.
const PIPE: i32 = 256 << 10;

/// Runs the query to its end; its output goes to the reader that `started` is given.
pub(crate) fn run(
    connection: &mut Connection,
    query: &Output<'_>,
    format: &str,
    params: &Params,
    started: oneshot::Sender<Rows>,
) -> Result<Stats, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(1001, "STD_EXCEPTION", format_args!("No pipe for the result: {error}"));
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let number = writer.as_raw_fd();
    // SAFETY: a call on a descriptor that is open; failing leaves the pipe at its default size.
    unsafe { libc::fcntl(number, libc::F_SETPIPE_SZ, PIPE) };
    let mut sql = query.body.to_vec();
    sql.extend_from_slice(
        format!("\nINTO OUTFILE '/proc/self/fd/{number}' APPEND FORMAT {} ", format_name(format)?).as_bytes(),
    );
    sql.extend_from_slice(query.tail);
    if started.send(Rows { format: format.to_owned(), reader: OwnedFd::from(reader) }).is_err() {
        return Err(Failure::new(394, "QUERY_WAS_CANCELLED", "The client has gone away"));
    }
    // the writer lives until the query has ended: the reader sees the end of the pipe only then
    // the format goes along as well: SHOW is rewritten to a query inside the engine, which takes it from there
    let outcome = connection.query(&sql, format, params);
    drop(writer);
    outcome.map(|(_, stats)| stats)
}
