//! Answers: headers, bodies, and how a failure is told before and after the first byte.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::Receiver;

use super::codec::{Coding, Encoder};
use super::flush::Probe;
use crate::connection::Stats;
use crate::failure::Failure;

/// A piece of a streamed body.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Becomes one HTTP chunk.
    Data(Bytes),
    /// The last one of a failed answer: after it the connection breaks.
    Abort(Bytes),
}

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// Piece by piece. Dropping the receiver tells the sender that the client has gone away.
    Streamed { chunks: Receiver<Chunk>, probe: Arc<Probe>, aborting: bool },
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            AnswerBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            AnswerBody::Streamed { probe, aborting: true, .. } => {
                ready!(probe.poll_flushed(cx));
                Poll::Ready(Some(Err(std::io::Error::other(
                    "the statement failed after its first bytes had been sent",
                ))))
            }
            AnswerBody::Streamed { chunks, aborting, .. } => match ready!(chunks.poll_recv(cx)) {
                Some(Chunk::Data(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Chunk::Abort(bytes)) => {
                    *aborting = true;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, AnswerBody::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            AnswerBody::Streamed { .. } => SizeHint::default(),
        }
    }
}

/// What the headers of an answer say.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) query_id: String,
    pub(crate) timezone: String,
    pub(crate) keep_alive: bool,
    /// 16 letters that no data can guess.
    pub(crate) tag: String,
}

impl Head {
    pub(crate) fn new(query_id: String, timezone: String, keep_alive: bool) -> Head {
        Head { query_id, timezone, keep_alive, tag: tag() }
    }

    fn response(&self, status: u16, body: AnswerBody) -> Response<AnswerBody> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        put(&mut response, "x-clickhouse-query-id", &self.query_id);
        put(&mut response, "x-clickhouse-timezone", &self.timezone);
        put(&mut response, "x-clickhouse-server-display-name", "walhouse");
        keep_alive(&mut response, self.keep_alive);
        response
    }

    /// A finished statement; `body` is compressed already.
    pub(crate) fn success(
        &self,
        format: &str,
        stats: Option<&Stats>,
        coding: Option<Coding>,
        body: AnswerBody,
    ) -> Response<AnswerBody> {
        let has_body = !body.is_end_stream();
        let mut response = self.response(200, body);
        put(&mut response, "x-clickhouse-format", format);
        put(&mut response, "x-clickhouse-summary", &summary(stats.unwrap_or(&Stats::default())));
        put(&mut response, "x-clickhouse-exception-tag", &self.tag);
        put(&mut response, CONTENT_TYPE.as_str(), content_type(format));
        if let Some(coding) = coding.filter(|_| has_body) {
            put(&mut response, CONTENT_ENCODING.as_str(), coding.name());
        }
        response
    }

    /// A failure before the first byte.
    pub(crate) fn failure(&self, failure: &Failure) -> Response<AnswerBody> {
        let body = AnswerBody::Whole(Some(Bytes::from(failure.body())));
        let mut response = self.response(failure.status(), body);
        put(&mut response, "x-clickhouse-exception-code", &failure.code.to_string());
        put(&mut response, "x-clickhouse-exception-tag", &self.tag);
        put(&mut response, CONTENT_TYPE.as_str(), "text/plain; charset=UTF-8");
        if failure.code == 194 {
            put(&mut response, "www-authenticate", "Basic realm=\"ClickHouse server HTTP API\"");
        }
        response
    }

    /// The block that tells of a failure after the first byte, through the answer's own compression.
    pub(crate) fn exception_block(&self, failure: &Failure, encoder: &mut Encoder) -> std::io::Result<Vec<u8>> {
        let mut message = failure.body();
        if message.len() > MAX_MESSAGE {
            message = message.chars().take(MAX_MESSAGE / 4).collect::<String>() + "\n";
        }
        let block = format!(
            "\r\n__exception__\r\n{tag}\r\n{message}{length} {tag}\r\n__exception__\r\n",
            tag = self.tag,
            length = message.len()
        );
        encoder.push(block.as_bytes(), true)
    }
}

/// Clients look for the block in the last 16 KiB; the markers around the text take some of them.
const MAX_MESSAGE: usize = 16_000;

/// A plain text outside of any statement.
pub(crate) fn plain(status: u16, text: &str, keep: bool) -> Response<AnswerBody> {
    let body = (!text.is_empty()).then(|| Bytes::copy_from_slice(text.as_bytes()));
    let mut response = Response::new(AnswerBody::Whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    put(&mut response, CONTENT_TYPE.as_str(), "text/plain; charset=UTF-8");
    keep_alive(&mut response, keep);
    response
}

fn keep_alive(response: &mut Response<AnswerBody>, keep: bool) {
    if keep {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Keep-Alive"));
        put(response, "keep-alive", "timeout=10");
    } else {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Sets a header; a value that HTTP cannot carry is left out.
fn put(response: &mut Response<AnswerBody>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        response.headers_mut().insert(name, value);
    }
}

fn tag() -> String {
    uuid::Uuid::new_v4().as_bytes().iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// All values are strings: the Rust client ignores the whole of it otherwise.
fn summary(stats: &Stats) -> String {
    format!(
        "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
         \"total_rows_to_read\":\"{}\",\"result_rows\":\"{}\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
        stats.read_rows,
        stats.read_bytes,
        stats.written_rows,
        stats.written_bytes,
        stats.read_rows,
        stats.result_rows,
        stats.result_bytes,
        (stats.elapsed_seconds * 1e9) as u64,
    )
}

fn content_type(format: &str) -> &'static str {
    let format = format.to_ascii_lowercase();
    let starts = |prefix: &str| format.starts_with(prefix);
    if starts("tabseparated") || starts("tsv") {
        "text/tab-separated-values; charset=UTF-8"
    } else if starts("csv") {
        if format.contains("withnames") {
            "text/csv; charset=UTF-8; header=present"
        } else {
            "text/csv; charset=UTF-8; header=absent"
        }
    } else if starts("json") && (format.contains("eachrow") || format == "jsonlines") || starts("ndjson") {
        "application/x-ndjson; charset=UTF-8"
    } else if starts("json") {
        "application/json; charset=UTF-8"
    } else if starts("xml") {
        "application/xml; charset=UTF-8"
    } else if [
        "pretty",
        "values",
        "vertical",
        "markdown",
        "sqlinsert",
        "customseparated",
        "template",
        "tskv",
        "lineasstring",
    ]
    .into_iter()
    .any(starts)
    {
        "text/plain; charset=UTF-8"
    } else {
        "application/octet-stream"
    }
}
