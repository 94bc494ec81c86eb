//! One request's statement, from its text to the engine. Runs on a blocking thread of its own.
//!
//! Order: read the text (the body's head for an INSERT, all of it otherwise), refuse what is refused, take a
//! connection, make it this request's (database, settings, id), run, and give the connection back as it was.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use crate::connection::{Class, Connection, Connector, Stats};
use crate::failure::Failure;
use crate::http::{BodyReader, Method, Part, Request, decoder, parse_form};
use crate::kill::{Killer, Running, quote};
use crate::lease::Lease;
use crate::operator::Peer;
use crate::options::{Access, User};
use crate::queues::Queues;
use crate::session::Sessions;
use crate::sql::{self, Insert};
use crate::{insert, reader, select};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) connector: Connector,
    pub(crate) running: Arc<Running>,
    pub(crate) killer: Killer,
    pub(crate) sessions: Sessions,
    pub(crate) users: Vec<User>,
    pub(crate) queues: Queues,
    pub(crate) timezone: String,
    pub(crate) spill: PathBuf,
    /// One for each statement that may run at a time.
    pub(crate) permits: Arc<Semaphore>,
}

/// A statement that gives rows has begun.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) format: String,
    /// Read end of the pipe the engine writes to.
    pub(crate) reader: OwnedFd,
}

/// A statement has ended well.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) format: String,
    /// Output that did not go through a pipe.
    pub(crate) output: Vec<u8>,
    pub(crate) stats: Stats,
}

/// The longest statement text, INSERT data apart; the engine's own limit (max_query_size) is far below by default.
const MAX_TEXT: usize = 64 << 20;
/// The largest form: its external tables are held in memory.
const MAX_FORM: u64 = 1 << 30;
/// Read at a time while looking for the data of an INSERT.
const READ_STEP: usize = 64 << 10;

/// Format when nobody names one.
const DEFAULT_FORMAT: &str = "TabSeparated";

/// Runs the request's statement. `started` is told when rows will come through a pipe.
pub(crate) fn execute(
    server: &Server,
    mut request: Request,
    body: BodyReader,
    started: oneshot::Sender<Rows>,
) -> Result<Done, Failure> {
    let mut body = decoder(Box::new(body), request.content_encoding, request.decompress);
    let mut form = Vec::new();
    if request.boundary.is_some() {
        body.by_ref().take(MAX_FORM).read_to_end(&mut form).map_err(|error| body_failure(&error))?;
    }
    let parts = parse_form(&form, request.boundary.as_deref())?;
    for part in parts.iter().filter(|part| !part.is_file) {
        request.form_field(&part.name, part.data);
    }
    let tables = external_tables(&mut request, &parts);
    let (text, shape) = read_text(&request.sql, &mut body)?;
    let limited = request.method == Method::Get || request.user.access != Access::Full;
    if let Insert::Data { head, format, data } = shape {
        let (head, data) = (text.get(..head).unwrap_or_default(), text.get(data..).unwrap_or_default());
        sql::refuse(head)?;
        server.queues.refuse(head, &request)?;
        if limited {
            return Err(Failure::readonly(format_args!(
                "{}: Cannot execute query in readonly mode",
                request.user.name
            )));
        }
        let mut lease = Lease::take(server, &request)?;
        let stats = insert::run(lease.connection(), head, &format, &request.params, data, &mut body)?;
        return Ok(Done { format: default_format(&request), stats, ..Done::default() });
    }
    sql::refuse(&text)?;
    server.queues.refuse(&text, &request)?;
    let mut lease = Lease::take(server, &request)?;
    let class = single_statement(lease.connection(), &text)?;
    if limited {
        allow_read_only(&request, &text, class)?;
    }
    if let Access::ReadOnly { database } = &request.user.access {
        if !tables.is_empty() {
            return Err(Failure::denied("A read-only user may not bring tables"));
        }
        reader::allow(lease.connection(), &text, &request, database)?;
    }
    for table in &tables {
        table.create(lease.connection())?;
    }
    lease.restrict(limited)?;
    let done = run(lease.connection(), &text, class, &request, started)?;
    if request.peer == Peer::Operator && class == Class::Write {
        server.queues.read(lease.connection())?;
    }
    Ok(done)
}

fn run(
    connection: &mut Connection,
    text: &[u8],
    class: Class,
    request: &Request,
    started: oneshot::Sender<Rows>,
) -> Result<Done, Failure> {
    let word = sql::first_word(text);
    let output = sql::output_shape(text);
    let format = output.format.clone().unwrap_or_else(|| default_format(request));
    if class == Class::Read && sql::returns_rows(&word) {
        let stats = select::run(connection, &output, &format, &request.params, started)?;
        return Ok(Done { format, stats, ..Done::default() });
    }
    let text = if word == "kill" { sql::kill_by_comment(text) } else { text.into() };
    let (output, stats) = connection.query(&text, &format, &request.params)?;
    Ok(Done { format, output, stats })
}

fn default_format(request: &Request) -> String {
    request.default_format.clone().unwrap_or_else(|| DEFAULT_FORMAT.to_owned())
}

/// A failure to read the body: cut short, or not in the compression it claims.
pub(crate) fn body_failure(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            Failure::new(33, "CANNOT_READ_ALL_DATA", format_args!("The request's body ends too early: {error}"))
        }
        _ => Failure::new(271, "CANNOT_DECOMPRESS", format_args!("The request's body cannot be read: {error}")),
    }
}

/// Joins the parameter and the body: all of it, or as much as tells where an INSERT's data begins.
fn read_text(parameter: &[u8], body: &mut dyn Read) -> Result<(Vec<u8>, Insert), Failure> {
    let mut text = parameter.to_vec();
    if !text.is_empty() {
        text.push(b'\n');
    }
    let mut whole = false;
    loop {
        match sql::insert_shape(&text, whole) {
            Insert::Incomplete => {
                let step = READ_STEP.max(text.len());
                whole = read_some(body, &mut text, step)?;
            }
            Insert::No if !whole => {
                while !read_some(body, &mut text, READ_STEP)? {}
                return Ok((text, Insert::No));
            }
            shape => return Ok((text, shape)),
        }
        if text.len() > MAX_TEXT {
            return Err(Failure::syntax("The statement is too long"));
        }
    }
}

/// Reads at least something and at most `step` bytes; true at the end of the body.
fn read_some(body: &mut dyn Read, text: &mut Vec<u8>, step: usize) -> Result<bool, Failure> {
    if text.len() > MAX_TEXT {
        return Err(Failure::syntax("The statement is too long"));
    }
    let mut buffer = vec![0_u8; step];
    let count = body.read(&mut buffer).map_err(|error| body_failure(&error))?;
    text.extend_from_slice(buffer.get(..count).unwrap_or_default());
    Ok(count == 0)
}

/// Refuses an empty text, and more than one statement: the engine would run them all.
fn single_statement(connection: &mut Connection, text: &[u8]) -> Result<Class, Failure> {
    let (count, class) = connection.classify(text);
    if count > 1 {
        return Err(Failure::syntax("Multi-statements are not allowed"));
    }
    if sql::first_word(text).is_empty() && count == 0 {
        return Err(Failure::syntax("Syntax error: Empty query"));
    }
    Ok(class)
}

/// GET requests and read-only users: reading, and settings of their own session.
fn allow_read_only(request: &Request, text: &[u8], class: Class) -> Result<(), Failure> {
    let word = sql::first_word(text);
    let own = request.user.access == Access::Full && word == "use";
    match class {
        Class::Read | Class::Unknown => Ok(()),
        Class::Control if word == "set" || own => Ok(()),
        _ => Err(Failure::readonly(format_args!("{}: Cannot execute query in readonly mode", request.user.name))),
    }
}

/// A table that comes with the request and lasts as long.
struct ExternalTable<'b> {
    name: String,
    format: String,
    structure: String,
    data: &'b [u8],
}

fn external_tables<'b>(request: &mut Request, parts: &[Part<'b>]) -> Vec<ExternalTable<'b>> {
    let mut tables = Vec::new();
    for part in parts.iter().filter(|part| part.is_file) {
        let format = request.take_setting(&format!("{}_format", part.name));
        let types = request.take_setting(&format!("{}_types", part.name));
        let structure = request.take_setting(&format!("{}_structure", part.name));
        let numbered = types.map(|types| {
            let columns = types.split(',').enumerate().map(|(at, kind)| format!("_{} {}", at + 1, kind.trim()));
            columns.collect::<Vec<_>>().join(", ")
        });
        tables.push(ExternalTable {
            name: part.name.clone(),
            format: format.unwrap_or_else(|| DEFAULT_FORMAT.to_owned()),
            structure: structure.or(numbered).unwrap_or_default(),
            data: part.data,
        });
    }
    tables
}

impl ExternalTable<'_> {
    fn create(&self, connection: &mut Connection) -> Result<(), Failure> {
        let name = backquote(&self.name);
        let create = format!("CREATE TEMPORARY TABLE {name} ({}\n) ENGINE = Memory", self.structure);
        sql::refuse(create.as_bytes())?;
        if connection.classify(create.as_bytes()).0 > 1 {
            return Err(Failure::syntax("Multi-statements are not allowed"));
        }
        connection.run(&create)?;
        let mut stream = connection.insert(format!("INSERT INTO {name}").as_bytes(), &self.format, &[])?;
        stream.append(self.data)?;
        stream.done().map(|_| ())
    }
}

/// A name as a quoted identifier.
pub(crate) fn backquote(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// `name = 'value'` for SET, or the failure an unknown setting gives.
pub(crate) fn assignment(name: &str, value: &[u8]) -> Result<String, Failure> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    if !plain || name.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        let shown: String = name.chars().take(100).collect();
        return Err(Failure::new(115, "UNKNOWN_SETTING", format_args!("Unknown setting '{shown}'")));
    }
    Ok(format!("{name} = {}", quote(value)))
}
