//! From a request to its answer.
//!
//! The statement runs on a blocking thread; this side feeds it the body, and hands what comes out to [`super::rows`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answer::{AnswerBody, Head, plain};
use super::auth;
use super::body::{BodyReader, Piece};
use super::flush::Probe;
use super::request::{Method, Request, parse_query, query_id};
use super::rows::{Form, KillOnDrop, Reply, outcome};
use crate::execute::{Server, execute};
use crate::failure::Failure;
use crate::operator::Peer;

/// After a failure the rest of the body is read, so that the client gets to read the answer: this much, this long.
const DRAIN_BYTES: usize = 256 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Answers one request.
pub(crate) async fn handle(
    server: Arc<Server>,
    probe: Arc<Probe>,
    peer: Peer,
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
    let user = match (peer, server.users.first()) {
        // the first is `default`; the way in is the proof
        (Peer::Operator, Some(user)) => Ok(user.clone()),
        _ => auth::authenticate(&server.users, &parameters, &parts.headers),
    };
    let parsed = user.and_then(|user| Request::parse(user, method, id, parameters, &parts.headers));
    let request = match parsed {
        Ok(request) => Request { peer, ..request },
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

async fn statement(
    server: Arc<Server>,
    probe: Arc<Probe>,
    head: Head,
    request: Request,
    body: Incoming,
) -> Response<AnswerBody> {
    let ticket = match server.running.register(&request.query_id) {
        Ok(ticket) => ticket,
        Err(failure) => return head.failure(&failure),
    };
    let Ok(permit) = Arc::clone(&server.permits).acquire_owned().await else {
        return head.failure(&Failure::new(394, "QUERY_WAS_CANCELLED", "The engine is stopping"));
    };
    let guard = KillOnDrop::new(Arc::clone(&server), request.query_id.clone());
    let reply = Reply { head, form: Form::of(&request), probe, guard };
    let (pieces, reader) = mpsc::channel(BODY_PIECES);
    let (started, mut rows) = oneshot::channel();
    let worker = Arc::clone(&server);
    let mut done = tokio::task::spawn_blocking(move || {
        let _held = (ticket, permit);
        execute(&worker, request, BodyReader::new(reader), started)
    });
    let (mut feeding, mut waiting) = (true, true);
    let mut feed = Box::pin(feed(body, pieces));
    loop {
        // in this order: rows before the end, as both may be ready; the body last, as it never ends the loop
        tokio::select! {
            biased;
            begun = &mut rows, if waiting => match begun {
                Ok(rows) => return Box::pin(reply.rows(&server, rows, done)).await,
                Err(_) => waiting = false,
            },
            ended = &mut done => {
                if feeding && timeout(DRAIN_TIME, feed).await.is_err() {
                    tracing::debug!("a body was not read to its end");
                }
                return reply.whole(outcome(ended));
            }
            () = &mut feed, if feeding => feeding = false,
        }
    }
}

/// Pieces of a body, as the socket gave them, that wait for the engine.
const BODY_PIECES: usize = 8;

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
