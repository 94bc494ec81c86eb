//! Sends a statement's output to the client as it comes.
//!
//! The first bytes are held back for a moment: a short query's answer then carries its final figures, and a failure
//! that comes right after a format's header is still told by the status. After that each piece leaves as one HTTP
//! chunk, through a channel of one: the engine writes no faster than the client reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::answer::{AnswerBody, Chunk, Head};
use super::codec::{Coding, Encoder};
use super::flush::Probe;
use super::request::Request;
use crate::connection::Stats;
use crate::execute::{Done, Rows, Server};
use crate::failure::Failure;

/// How long the first bytes are held back, and how many.
const HOLD: Duration = Duration::from_millis(5);
const HOLD_BYTES: usize = 64 << 10;
/// Read from the pipe at a time, and so the largest HTTP chunk before compression.
const CHUNK: usize = 256 << 10;
/// With wait_end_of_query: held in memory, the rest in a file.
const MEMORY: usize = 16 << 20;

/// How a statement ended.
pub(crate) type Outcome = Result<Done, Failure>;

/// What the statement's thread gave, or that it panicked.
pub(crate) fn outcome(ended: Result<Outcome, tokio::task::JoinError>) -> Outcome {
    ended.unwrap_or_else(|error| {
        tracing::error!(error = %error, "a statement's thread failed");
        Err(Failure::new(1002, "UNKNOWN_EXCEPTION", "The statement's thread failed"))
    })
}

/// Ends the statement when dropped: hyper drops an answer, or the making of it, when the client has gone away.
pub(crate) struct KillOnDrop {
    server: Arc<Server>,
    id: Option<String>,
}

impl KillOnDrop {
    pub(crate) fn new(server: Arc<Server>, id: String) -> KillOnDrop {
        KillOnDrop { server, id: Some(id) }
    }

    fn disarm(mut self) {
        self.id = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.server.killer.kill(id);
        }
    }
}

/// How the answer is encoded.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    coding: Option<Coding>,
    blocks: bool,
    wait_end: bool,
}

impl Form {
    pub(crate) fn of(request: &Request) -> Form {
        Form {
            coding: request.accept.filter(|_| !request.compress),
            blocks: request.compress,
            wait_end: request.wait_end,
        }
    }

    fn encode(self, output: &[u8]) -> std::io::Result<Option<Bytes>> {
        if output.is_empty() {
            return Ok(None);
        }
        let mut encoder = Encoder::new(self.coding, self.blocks)?;
        let mut body = encoder.push(output, false)?;
        body.extend(encoder.finish()?);
        Ok(Some(Bytes::from(body)))
    }
}

/// What follows the bytes already read.
enum Rest {
    Pipe(pipe::Receiver, JoinHandle<Outcome>),
    File(tokio::fs::File),
}

/// An answer in the making.
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) form: Form,
    pub(crate) probe: Arc<Probe>,
    pub(crate) guard: KillOnDrop,
}

impl Reply {
    /// The answer of a statement that has ended, with its output in memory.
    pub(crate) fn whole(self, outcome: Outcome) -> Response<AnswerBody> {
        let head = &self.head;
        let answer = match outcome {
            Ok(done) => match self.form.encode(&done.output) {
                Ok(body) => head.success(&done.format, Some(&done.stats), self.form.coding, AnswerBody::Whole(body)),
                Err(error) => head.failure(&encoding_failed(&error)),
            },
            Err(failure) => head.failure(&failure),
        };
        self.guard.disarm();
        answer
    }

    /// The answer of a statement that has begun to give rows. An early return without `whole` ends the statement.
    pub(crate) async fn rows(self, server: &Server, rows: Rows, done: JoinHandle<Outcome>) -> Response<AnswerBody> {
        let mut pipe = match pipe::Receiver::from_owned_fd(rows.reader) {
            Ok(pipe) => pipe,
            Err(error) => return self.head.failure(&reading_failed(&error)),
        };
        let mut held = BytesMut::with_capacity(HOLD_BYTES);
        match hold(&mut pipe, &mut held, self.form.wait_end).await {
            Ok(true) => {
                let outcome = outcome(done.await);
                return self.whole(outcome.map(|done| Done { output: held.to_vec(), ..done }));
            }
            Ok(false) => {}
            Err(error) => return self.head.failure(&reading_failed(&error)),
        }
        if !self.form.wait_end {
            return self.send(&rows.format, None, held.freeze(), Rest::Pipe(pipe, done));
        }
        let file = match spill(server, &mut pipe).await {
            Ok(file) => file,
            Err(error) => return self.head.failure(&reading_failed(&error)),
        };
        match outcome(done.await) {
            Ok(done) => self.send(&rows.format, Some(done.stats), held.freeze(), Rest::File(file)),
            Err(failure) => self.whole(Err(failure)),
        }
    }

    /// Begins the answer and starts the task that goes on with it.
    fn send(self, format: &str, stats: Option<Stats>, first: Bytes, rest: Rest) -> Response<AnswerBody> {
        let Reply { head, form, probe, guard } = self;
        let encoder = match Encoder::new(form.coding, form.blocks) {
            Ok(encoder) => encoder,
            Err(error) => return head.failure(&encoding_failed(&error)),
        };
        let (sender, chunks) = mpsc::channel(1);
        let body = AnswerBody::Streamed { chunks, probe, aborting: false };
        let response = head.success(format, stats.as_ref(), form.coding, body);
        tokio::spawn(async move {
            match pump(&head, encoder, first, rest, &sender).await {
                Ok(true) => guard.disarm(),
                Ok(false) => drop(guard),
                Err(error) => tracing::warn!(error = %error, "an answer could not be sent"),
            }
        });
        response
    }
}

fn encoding_failed(error: &std::io::Error) -> Failure {
    Failure::new(1001, "STD_EXCEPTION", format_args!("The answer cannot be compressed: {error}"))
}

fn reading_failed(error: &std::io::Error) -> Failure {
    Failure::new(1001, "STD_EXCEPTION", format_args!("The result cannot be read: {error}"))
}

/// Reads the first bytes; true when that was all.
async fn hold(pipe: &mut pipe::Receiver, held: &mut BytesMut, wait_end: bool) -> std::io::Result<bool> {
    let limit = if wait_end { MEMORY } else { HOLD_BYTES };
    let mut deadline = None;
    while held.len() < limit {
        let until = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            biased;
            read = pipe.read_buf(held) => {
                if read? == 0 {
                    return Ok(true);
                }
                if deadline.is_none() && !wait_end {
                    deadline = Some(Instant::now() + HOLD);
                }
            }
            () = sleep_until(until), if deadline.is_some() => return Ok(false),
        }
    }
    Ok(false)
}

/// Puts the rest of a result into a file without a name.
async fn spill(server: &Server, pipe: &mut pipe::Receiver) -> std::io::Result<tokio::fs::File> {
    let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(&server.spill)?);
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while pipe.read_buf(&mut buffer).await? > 0 {
        file.write_all(&buffer).await?;
        buffer.clear();
    }
    file.flush().await?;
    file.rewind().await?;
    Ok(file)
}

/// Sends the result on; false when the client has gone away.
async fn pump(
    head: &Head,
    mut encoder: Encoder,
    first: Bytes,
    rest: Rest,
    sender: &Sender<Chunk>,
) -> std::io::Result<bool> {
    let mut sink = ChunkSink { encoder: &mut encoder, sender };
    if !sink.data(first).await? {
        return Ok(false);
    }
    let failure = match rest {
        Rest::Pipe(mut pipe, done) => {
            if !sink.copy(&mut pipe).await? {
                return Ok(false);
            }
            outcome(done.await).err()
        }
        Rest::File(mut file) => {
            if !sink.copy(&mut file).await? {
                return Ok(false);
            }
            None
        }
    };
    let last = match failure {
        Some(failure) => Chunk::Abort(Bytes::from(head.exception_block(&failure, &mut encoder)?)),
        None => Chunk::Data(Bytes::from(encoder.finish()?)),
    };
    let nothing = matches!(&last, Chunk::Data(bytes) if bytes.is_empty());
    Ok(nothing || sender.send(last).await.is_ok())
}

struct ChunkSink<'a> {
    encoder: &'a mut Encoder,
    sender: &'a Sender<Chunk>,
}

impl ChunkSink<'_> {
    async fn data(&mut self, data: Bytes) -> std::io::Result<bool> {
        let packed = if self.encoder.is_plain() { data } else { Bytes::from(self.encoder.push(&data, false)?) };
        Ok(packed.is_empty() || self.sender.send(Chunk::Data(packed)).await.is_ok())
    }

    async fn copy(&mut self, from: &mut (impl tokio::io::AsyncRead + Unpin)) -> std::io::Result<bool> {
        loop {
            let mut buffer = BytesMut::with_capacity(CHUNK);
            // a query may be silent for long: a client that goes away meanwhile is noticed here
            let read = tokio::select! {
                biased;
                () = self.sender.closed() => return Ok(false),
                read = from.read_buf(&mut buffer) => read?,
            };
            if read == 0 {
                return Ok(true);
            }
            if !self.data(buffer.freeze()).await? {
                return Ok(false);
            }
        }
    }
}
