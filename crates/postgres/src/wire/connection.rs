//! A blocking connection: simple queries whose answers are texts, and the way into a copy stream.
//!
//! One kind of connection serves the catalog, the copy workers and the replication session, so there is one login,
//! one TLS and one mapping of errors. It lives on an ordinary thread; nothing here knows of an async runtime.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::cursor::Cursor;
use super::inbox::{Frame, Inbox};
use super::socket::{Plain, Socket};
use super::{Malformed, login, refusal};
use crate::endpoint::{Endpoint, Host};
use crate::error::Refusal;
use crate::{Error, Result};

/// Room for answers of the catalog; a copy stream asks for more.
const SMALL_INBOX: usize = 16 << 10;
/// How long an answer may take before the connection counts as broken. Catalog queries over thousands of tables take
/// seconds at most.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// How long a catalog query or an ALTER PUBLICATION waits for a table that somebody has locked.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How often a watched query looks up from its waiting.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// How long a cancelled query may take to end.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// What kind of session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Sql,
    Replication,
}

impl Mode {
    pub(super) const fn attempt(self) -> &'static str {
        match self {
            Self::Sql => "connect to postgres",
            Self::Replication => "open a replication connection to postgres",
        }
    }
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Bytes,
    Nothing,
    End,
}

/// A row of texts.
pub struct Row(Vec<Option<String>>);

/// Shows the number of its columns, never a value.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({})", self.0.len())
    }
}

impl Row {
    /// The text of a column, empty for null.
    #[must_use]
    pub fn text(&self, index: usize) -> &str {
        self.optional(index).unwrap_or_default()
    }

    /// The text of a column, none for null.
    #[must_use]
    pub fn optional(&self, index: usize) -> Option<&str> {
        self.0.get(index)?.as_deref()
    }

    /// Whether a column is true.
    #[must_use]
    pub fn flag(&self, index: usize) -> bool {
        self.optional(index) == Some("t")
    }

    /// Reads a column; null and anything unexpected is malformed.
    pub(crate) fn parse<T: FromStr>(&self, index: usize) -> Result<T, Malformed> {
        self.text(index).parse().map_err(|_| Malformed("catalog value"))
    }
}

/// A session.
pub(crate) struct Connection {
    pub(crate) inbox: Inbox,
    /// Major version of the server.
    pub(crate) version: u32,
    pub(super) place: (Host, u16),
    pub(super) cancel_key: (i32, i32),
    pub(super) sql_ascii: bool,
    socket: Socket,
    read_timeout: Duration,
    role: String,
    out: BytesMut,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens a session at the first of the endpoint's hosts that answers.
    pub(crate) fn open(endpoint: &Endpoint, mode: Mode) -> Result<Self> {
        let mut outcome = Err(Error::config("no host is given", "set url"));
        for (host, port) in &endpoint.hosts {
            outcome = Self::open_at(endpoint, mode, host, *port);
            if !matches!(outcome, Err(Error::Unreachable { .. })) {
                break;
            }
        }
        outcome
    }

    fn open_at(endpoint: &Endpoint, mode: Mode, host: &Host, port: u16) -> Result<Self> {
        let unreachable = |source| Error::Unreachable { endpoint: format!("{host}:{port}"), source };
        let plain = Plain::connect(host, port, endpoint.connect_timeout).map_err(unreachable)?;
        let (socket, end_point) = login::secure(plain, endpoint, host)?;
        let mut connection = Self {
            inbox: Inbox::new(SMALL_INBOX),
            version: 0,
            place: (host.clone(), port),
            cancel_key: (0, 0),
            sql_ascii: false,
            socket,
            read_timeout: endpoint.connect_timeout,
            role: endpoint.user.clone(),
            out: BytesMut::new(),
        };
        login::login(&mut connection, endpoint, mode, end_point)?;
        if connection.sql_ascii {
            // Its bytes need not be UTF-8; a conversion would end the stream at the first that are not.
            connection.query("set the encoding", "SET client_encoding = 'SQL_ASCII'")?;
        }
        if mode == Mode::Sql {
            connection
                .query("set the session's limits", &format!("SET lock_timeout = {}", LOCK_PATIENCE.as_millis()))?;
        }
        if connection.version >= 17 {
            connection.query("set the session's limits", "SET transaction_timeout = 0")?;
        }
        Ok(connection)
    }

    /// Process id of the session at the server.
    pub(crate) fn pid(&self) -> i32 {
        self.cancel_key.0
    }

    /// Runs statements; the rows of all of them.
    pub(crate) fn query(&mut self, attempt: &str, sql: &str) -> Result<Vec<Row>> {
        self.send_query(attempt, sql)?;
        self.answer(attempt)
    }

    /// Runs a statement that may wait for others. `watch` is asked now and then; its error cancels the statement.
    pub(crate) fn query_watched(
        &mut self,
        attempt: &str,
        sql: &str,
        watch: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Vec<Row>> {
        self.send_query(attempt, sql)?;
        while self.poll_frame(attempt, WATCH_INTERVAL)?.is_none() {
            if let Err(error) = watch() {
                self.cancel_and_finish(attempt);
                return Err(error);
            }
        }
        // The frame that came belongs to the answer.
        self.inbox.unread();
        self.answer(attempt)
    }

    /// Runs a statement that turns the session into a copy stream, and returns when it did.
    pub(crate) fn start_copy(&mut self, attempt: &str, sql: &str) -> Result<()> {
        self.send_query(attempt, sql)?;
        loop {
            let frame = self.frame(attempt)?;
            match frame.tag {
                b'W' | b'H' => return Ok(()),
                b'E' => {
                    let refused = self.refused(attempt, frame);
                    if !self.is_fatal(frame) {
                        self.answer(attempt)?;
                    }
                    return Err(refused);
                }
                b'Z' => return Err(Malformed("answer to a copy").into()),
                _ => {}
            }
        }
    }

    /// Reads to the end of a statement's answer.
    pub(crate) fn answer(&mut self, attempt: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let frame = self.frame(attempt)?;
            match frame.tag {
                b'D' => rows.push(row(self.inbox.body(frame))?),
                b'E' if self.is_fatal(frame) => return Err(self.refused(attempt, frame)),
                b'E' => refused = Some(self.refused(attempt, frame)),
                b'Z' => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    /// Ends the statement under way, whatever it is, and waits for the session to be ready again.
    pub(crate) fn cancel_and_finish(&mut self, attempt: &str) {
        if let Err(error) = self.cancel() {
            tracing::debug!(error = %error, "cannot cancel a statement");
        }
        self.finish(attempt, CANCEL_PATIENCE);
    }

    /// Reads until the session is ready for a statement, whatever comes before.
    pub(crate) fn finish(&mut self, attempt: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            match self.poll_frame(attempt, WATCH_INTERVAL) {
                Ok(Some(frame)) if frame.tag == b'Z' => return,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn cancel(&self) -> io::Result<()> {
        let mut request = BytesMut::new();
        frontend::cancel_request(self.cancel_key.0, self.cancel_key.1, &mut request);
        let (host, port) = &self.place;
        Plain::connect(host, *port, CANCEL_PATIENCE)?.write_all(&request)
    }

    /// The next frame, waited for. It is valid until the next call.
    pub(super) fn frame(&mut self, attempt: &str) -> Result<Frame> {
        self.poll_frame(attempt, ANSWER_PATIENCE)?
            .ok_or_else(|| Error::broken(attempt, io::Error::new(io::ErrorKind::TimedOut, "no answer")))
    }

    /// The next frame, if one comes within `timeout`. It is valid until the next call.
    pub(crate) fn poll_frame(&mut self, attempt: &str, timeout: Duration) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.inbox.next_frame()? {
                return Ok(Some(frame));
            }
            self.inbox.forget();
            match self.receive(attempt, timeout)? {
                Received::Bytes => {}
                Received::Nothing => return Ok(None),
                Received::End => {
                    return Err(Error::broken(attempt, io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed")));
                }
            }
        }
    }

    /// Reads once into the inbox, which must have room.
    #[inline]
    pub(crate) fn receive(&mut self, attempt: &str, timeout: Duration) -> Result<Received> {
        use io::ErrorKind::{ConnectionReset, Interrupted, TimedOut, UnexpectedEof, WouldBlock};
        if timeout != self.read_timeout {
            self.socket.set_read_timeout(timeout).map_err(|source| Error::broken(attempt, source))?;
            self.read_timeout = timeout;
        }
        match self.inbox.fill(&mut self.socket) {
            Ok(0) => Ok(Received::End),
            Ok(_) => Ok(Received::Bytes),
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => Ok(Received::Nothing),
            Err(error) if matches!(error.kind(), UnexpectedEof | ConnectionReset) => Ok(Received::End),
            Err(error) => Err(Error::broken(attempt, error)),
        }
    }

    fn send_query(&mut self, attempt: &str, sql: &str) -> Result<()> {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        frontend::query(sql, &mut out).map_err(|source| Error::broken(attempt, source))?;
        let sent = self.send(&out);
        self.out = out;
        sent
    }

    /// Writes everything.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = self.socket.write_all(bytes).and_then(|()| self.socket.flush());
        sent.map_err(|source| Error::broken("send to postgres", source))
    }

    /// Takes leave, so that the server does not log a lost connection.
    pub(crate) fn close(mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        // Whoever is gone already needs no farewell.
        let _ = self.send(&out);
    }

    /// Reads an ErrorResponse or NoticeResponse.
    pub(crate) fn refusal(&self, frame: Frame) -> Refusal {
        refusal::parse(self.inbox.body(frame))
    }

    /// The error that an ErrorResponse is.
    pub(crate) fn refused(&self, attempt: &str, frame: Frame) -> Error {
        Error::Refused { attempt: attempt.to_owned(), role: self.role.clone(), refusal: self.refusal(frame) }
    }

    fn is_fatal(&self, frame: Frame) -> bool {
        matches!(self.refusal(frame).severity.as_str(), "FATAL" | "PANIC")
    }
}

fn row(body: &[u8]) -> Result<Row, Malformed> {
    let mut cursor = Cursor::new(body, "row");
    let count = cursor.u16()?;
    let value = |_| match cursor.i32()? {
        len if len < 0 => Ok(None),
        len => cursor.take(len as usize).map(|bytes| Some(String::from_utf8_lossy(bytes).into_owned())),
    };
    (0..count).map(value).collect::<Result<_, _>>().map(Row)
}
