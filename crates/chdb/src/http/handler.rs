//! From a request to its answer.
//!
//! The statement runs on a blocking thread; this side feeds it the body, and sends on what comes out. The first bytes
//! are held back for a moment: a short query's answer then carries its final figures, and a failure that comes right
//! after a format's header is still told by the status.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{AnswerBody, Chunk, Head, plain};
use super::auth;
use super::body::{BodyReader, Piece};
use super::codec::{Coding, Encoder};
use super::flush::Probe;
use super::request::{Method, Request, parse_query, query_id};
use crate::execute::{Done, Rows, Server, execute};
use crate::failure::Failure;

/// How long the first bytes are held back, and how many.
const HOLD: Duration = Duration::from_millis(5);
const HOLD_BYTES: usize = 64 << 10;
/// Read from the pipe at a time, and so the largest HTTP chunk before compression.
const CHUNK: usize = 256 << 10;
/// With wait_end_of_query: held in memory, the rest in a file.
const MEMORY: usize = 16 << 20;
/// After a failure the rest of the body is read, so that the client gets to read the answer: this much, this long.
const DRAIN_BYTES: usize = 256 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(10);

type Outcome = Result<Done, Failure>;

/// Answers one request.
pub(crate) async fn handle(
    server: Arc<Server>,
    probe: Arc<Probe>,
    request: http::Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let (parts, body) = request.into_parts();
    let keep = !parts.headers.get("connection").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let path = parts.uri.path().to_owned();
    match path.as_str() {
        "/ping" | "/replicas_status" => return Ok(plain(200, "Ok.\n", keep)),
        "/" | "/query" => {}
        other => {
            let text = format!(
                "There is no handle {other}\n\nUse / or /ping for health checks, / or /query for statements.\n"
            );
            return Ok(plain(404, &text, keep));
        }
    }
    let method = match parts.method {
        http::Method::OPTIONS => return Ok(plain(204, "", keep)),
        http::Method::POST => Method::Post,
        _ => Method::Get,
    };
    let parameters = parse_query(parts.uri.query().unwrap_or_default());
    if method == Method::Get && !parameters.iter().any(|(name, _)| name == "query") && http_body_is_empty(&body) {
        return Ok(plain(200, "Ok.\n", keep));
    }
    let id = query_id(&parameters, &parts.headers);
    let head = Head::new(id.clone(), timezone(&server, &parameters), keep);
    let parsed = auth::authenticate(&server.users, &parameters, &parts.headers)
        .and_then(|user| Request::parse(user, method, id, parameters, &parts.headers));
    let request = match parsed {
        Ok(request) => request,
        Err(failure) => {
            drain(body).await;
            return Ok(head.failure(&failure));
        }
    };
    Ok(Box::pin(statement(server, probe, head, request, body)).await)
}

fn http_body_is_empty(body: &Incoming) -> bool {
    hyper::body::Body::is_end_stream(body)
}

fn timezone(server: &Server, parameters: &[(String, Vec<u8>)]) -> String {
    let session = parameters.iter().find(|(name, value)| name == "session_timezone" && !value.is_empty());
    session.map_or_else(|| server.timezone.clone(), |(_, value)| String::from_utf8_lossy(value).into_owned())
}

/// Ends the statement when dropped: hyper drops an answer, or the making of it, when the client has gone away.
struct KillOnDrop {
    server: Arc<Server>,
    id: Option<String>,
}

impl KillOnDrop {
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
struct Form {
    coding: Option<Coding>,
    blocks: bool,
    wait_end: bool,
}

async fn statement(
    server: Arc<Server>,
    probe: Arc<Probe>,
    head: Head,
    request: Request,
    body: Incoming,
) -> Response<AnswerBody> {
    let form = Form {
        coding: request.accept.filter(|_| !request.compress),
        blocks: request.compress,
        wait_end: request.wait_end,
    };
    let ticket = match server.running.register(&request.query_id) {
        Ok(ticket) => ticket,
        Err(failure) => return head.failure(&failure),
    };
    let guard = KillOnDrop { server: Arc::clone(&server), id: Some(request.query_id.clone()) };
    let (pieces, reader) = mpsc::channel(8);
    let (started, mut rows) = oneshot::channel();
    let worker = Arc::clone(&server);
    let mut done = tokio::task::spawn_blocking(move || {
        let _ticket = ticket;
        execute(&worker, request, BodyReader::new(reader), started)
    });
    let mut feeding = true;
    let mut waiting = true;
    let mut feed = Box::pin(feed(body, pieces));
    loop {
        // in this order: rows before the end, as both may be ready; the body last, as it never ends the loop
        tokio::select! {
            biased;
            begun = &mut rows, if waiting => match begun {
                Ok(rows) => return Box::pin(stream(server, probe, head, form, rows, done, guard)).await,
                Err(_) => waiting = false,
            },
            ended = &mut done => {
                if feeding && timeout(DRAIN_TIME, feed).await.is_err() {
                    tracing::debug!("a body was not read to its end");
                }
                guard.disarm();
                return whole(&head, form, outcome(ended));
            }
            () = &mut feed, if feeding => feeding = false,
        }
    }
}

fn outcome(ended: Result<Outcome, tokio::task::JoinError>) -> Outcome {
    ended.unwrap_or_else(|error| {
        tracing::error!(error = %error, "a statement's thread failed");
        Err(Failure::new(1002, "UNKNOWN_EXCEPTION", "The statement's thread failed"))
    })
}

/// Hands the body over; when nobody wants it any more, reads and forgets some more.
async fn feed(mut body: Incoming, pieces: Sender<Piece>) {
    let mut forgotten = 0;
    while let Some(frame) = body.frame().await {
        // an error is a body cut short: closing the channel without an end says so
        let Ok(frame) = frame else { return };
        let Ok(data) = frame.into_data() else { continue };
        if forgotten > 0 || pieces.is_closed() {
            forgotten += data.len();
        } else if let Err(mpsc::error::SendError(Piece::Data(data))) = pieces.send(Piece::Data(data)).await {
            forgotten += data.len();
        }
        if forgotten > DRAIN_BYTES {
            return;
        }
    }
    if pieces.send(Piece::End).await.is_err() {
        tracing::trace!("the statement ended before its body");
    }
}

async fn drain(body: Incoming) {
    let (pieces, _) = mpsc::channel(1);
    if timeout(DRAIN_TIME, feed(body, pieces)).await.is_err() {
        tracing::debug!("a body was not read to its end");
    }
}

/// The answer of a statement that has ended, with its output in memory.
fn whole(head: &Head, form: Form, outcome: Outcome) -> Response<AnswerBody> {
    match outcome {
        Ok(done) => match encode(form, &done.output) {
            Ok(body) => head.success(&done.format, Some(&done.stats), form.coding, AnswerBody::Whole(body)),
            Err(error) => head.failure(&encoding_failed(&error)),
        },
        Err(failure) => head.failure(&failure),
    }
}

fn encoding_failed(error: &std::io::Error) -> Failure {
    Failure::new(1001, "STD_EXCEPTION", format_args!("The answer cannot be compressed: {error}"))
}

fn encode(form: Form, output: &[u8]) -> std::io::Result<Option<Bytes>> {
    if output.is_empty() {
        return Ok(None);
    }
    let mut encoder = Encoder::new(form.coding, form.blocks)?;
    let mut body = encoder.push(output, false)?;
    body.extend(encoder.finish()?);
    Ok(Some(Bytes::from(body)))
}

/// What follows the bytes already read.
enum Rest {
    Pipe(pipe::Receiver, JoinHandle<Outcome>),
    File(tokio::fs::File),
}

async fn stream(
    server: Arc<Server>,
    probe: Arc<Probe>,
    head: Head,
    form: Form,
    rows: Rows,
    done: JoinHandle<Outcome>,
    guard: KillOnDrop,
) -> Response<AnswerBody> {
    let failed =
        |error: std::io::Error| Failure::new(1001, "STD_EXCEPTION", format_args!("The result cannot be read: {error}"));
    let mut pipe = match pipe::Receiver::from_owned_fd(rows.reader) {
        Ok(pipe) => pipe,
        Err(error) => return head.failure(&failed(error)),
    };
    let mut held = BytesMut::with_capacity(HOLD_BYTES);
    let ended = match hold(&mut pipe, &mut held, form.wait_end).await {
        Ok(ended) => ended,
        Err(error) => return head.failure(&failed(error)),
    };
    if ended {
        let outcome = outcome(done.await);
        guard.disarm();
        return whole(&head, form, outcome.map(|done| Done { output: held.to_vec(), ..done }));
    }
    if !form.wait_end {
        return send(probe, head, form, &rows.format, None, held.freeze(), Rest::Pipe(pipe, done), guard);
    }
    let file = match spill(&server, &mut pipe).await {
        Ok(file) => file,
        Err(error) => return head.failure(&failed(error)),
    };
    match outcome(done.await) {
        Ok(done) => send(probe, head, form, &rows.format, Some(done), held.freeze(), Rest::File(file), guard),
        Err(failure) => {
            guard.disarm();
            head.failure(&failure)
        }
    }
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

/// Starts the body's task; its channel holds one chunk, so the engine writes no faster than the client reads.
#[expect(clippy::too_many_arguments, reason = "the parts of one answer, used once")]
fn send(
    probe: Arc<Probe>,
    head: Head,
    form: Form,
    format: &str,
    done: Option<Done>,
    first: Bytes,
    rest: Rest,
    guard: KillOnDrop,
) -> Response<AnswerBody> {
    let encoder = match Encoder::new(form.coding, form.blocks) {
        Ok(encoder) => encoder,
        Err(error) => return head.failure(&encoding_failed(&error)),
    };
    let (sender, chunks) = mpsc::channel(1);
    let body = AnswerBody::Streamed { chunks, probe, aborting: false };
    let response = head.success(format, done.as_ref().map(|done| &done.stats), form.coding, body);
    tokio::spawn(async move {
        match pump(&head, encoder, first, rest, &sender).await {
            Ok(true) => guard.disarm(),
            Ok(false) => drop(guard),
            Err(error) => tracing::warn!(error = %error, "an answer could not be sent"),
        }
    });
    response
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
