//! The few words of HTTP that a Connect worker's REST interface takes.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{Attempt, Result};

/// A reply: status code, headers as they came, body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Such as 201.
    pub status: u16,
    /// Names as they came, with their values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: String,
}

/// One request to `port` of 127.0.0.1. A body is sent as JSON. In HTTP/1.0 a reply ends with its connection.
pub(super) async fn request(port: u16, method: &str, path: &str, body: Option<&str>) -> Result<Reply> {
    const ATTEMPT: &str = "asking the Connect worker";
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.attempt(ATTEMPT)?;
    let mut text = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n");
    if let Some(body) = body {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    stream.write_all(text.as_bytes()).await.attempt(ATTEMPT)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.attempt(ATTEMPT)?;
    Ok(parse(&String::from_utf8_lossy(&answer)))
}

fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(": "));
    Reply {
        status,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_reply() {
        let reply = parse("HTTP/1.1 201 Created\r\nLocation: /x\r\n\r\n{\"a\":1}");
        assert_eq!((reply.status, reply.body.as_str()), (201, "{\"a\":1}"));
        assert_eq!(reply.headers, [("Location".to_owned(), "/x".to_owned())]);
        assert_eq!(parse("").status, 0);
    }
}
