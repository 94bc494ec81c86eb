//! HTTP over a bare socket: sees chunk boundaries, missing last chunks, and can break off where it likes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    /// The body's chunks, or the whole body as one.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the last chunk, or all of the announced length, came.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    pub(crate) fn code(&self) -> u32 {
        self.headers.get("x-clickhouse-exception-code").and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}

pub(crate) fn connect(address: &str) -> TcpStream {
    let socket = TcpStream::connect(address).expect("a connection");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    socket
}

/// Sends request line and headers.
pub(crate) fn send_head(socket: &mut impl Write, method: &str, path: &str, headers: &[(String, String)]) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).expect("sent");
}

/// Reads an answer to its end, or to the connection's.
pub(crate) fn read_answer(socket: &mut impl Read, head_only: bool) -> Answer {
    let mut reader = BufReader::new(socket);
    let mut answer = Answer::default();
    let mut line = String::new();
    reader.read_line(&mut line).expect("a status line");
    answer.status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok()).expect("a status");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        answer.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if head_only {
        answer.complete = true;
    } else if answer.headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        answer.complete = read_chunks(&mut reader, &mut answer.chunks);
    } else {
        let length = answer.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        answer.complete = reader.read_exact(&mut body).is_ok();
        answer.chunks.push(body);
    }
    answer
}

fn read_chunks(reader: &mut impl BufRead, chunks: &mut Vec<Vec<u8>>) -> bool {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        let length = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's length");
        let mut chunk = vec![0; length + 2];
        if reader.read_exact(&mut chunk).is_err() {
            return false;
        }
        chunk.truncate(length);
        if length == 0 {
            return true;
        }
        chunks.push(chunk);
    }
}

/// One request on a connection of its own.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    exchange(&mut connect(address), method, path, headers, body)
}

/// A statement from the operator's side.
pub(crate) fn operator_sql(socket: &std::path::Path, sql: &str) -> Answer {
    let mut socket = std::os::unix::net::UnixStream::connect(socket).expect("the operator's socket");
    exchange(&mut socket, "POST", "/", &[], Some(sql.as_bytes()))
}

fn exchange(
    socket: &mut (impl Read + Write),
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    let mut all: Vec<(String, String)> = vec![("Connection".into(), "close".into())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    if let Some(body) = body {
        all.push(("Content-Length".into(), body.len().to_string()));
    }
    send_head(socket, method, path, &all);
    // a server that answers early may have closed its side
    let _ = socket.write_all(body.unwrap_or_default());
    read_answer(socket, method == "HEAD")
}

/// A statement by POST.
pub(crate) fn sql(address: &str, sql: &str) -> Answer {
    request(address, "POST", "/", &[], Some(sql.as_bytes()))
}

/// A statement that must succeed; its output.
pub(crate) fn ok(address: &str, statement: &str) -> String {
    let answer = sql(address, statement);
    assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
    answer.text()
}
