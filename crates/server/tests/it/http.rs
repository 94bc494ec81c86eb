//! A client that shows exactly what is sent and received.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use walhouse_server::{Console, Listener};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A request that is not sent yet.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }

    /// A POST of JSON.
    pub(crate) fn post(path: &str, body: impl std::fmt::Display) -> Self {
        let ask = Self { method: "POST", body: body.to_string(), ..Self::get(path) };
        ask.header("content-type", "application/json")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn send(&self, address: SocketAddr) -> Answer {
        self.send_over(TcpStream::connect(address).await.unwrap(), &address.to_string()).await
    }

    /// `host` is sent unless a header says otherwise.
    pub(crate) async fn send_over(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> Answer {
        let mut request = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request.push_str(&format!("host: {host}\r\n"));
        }
        for (name, value) in &self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{}", self.body.len(), self.body));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // TLS ends without a farewell where a connection is closed.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let code = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        Answer { code, head: head.to_owned(), body: body.to_owned() }
    }
}

/// GET with this `Host`.
pub(crate) async fn get_as(address: SocketAddr, host: &str, path: &str) -> Answer {
    Ask::get(path).header("host", host).send(address).await
}

/// GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    Ask::get(path).send(address).await
}

/// The token that a change must carry.
pub(crate) async fn csrf(address: SocketAddr) -> String {
    get(address, "/api/session").await.json()["csrf"].as_str().unwrap().to_owned()
}

/// Serves a console on a loopback port of its own.
pub(crate) async fn serve(console: Console) -> SocketAddr {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), std::time::Duration::ZERO).await.unwrap();
    let address = listener.address();
    tokio::spawn(listener.serve(console, std::future::pending()));
    address
}
