//! Asking the console of a running walhouse, from another process.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use walhouse_pipeline::Status;

use crate::config::Config;

/// It answers from memory, so this is long.
const PATIENCE: Duration = Duration::from_secs(2);

/// The status of the walhouse that runs with this configuration, if there is one.
pub(crate) async fn ask(config: &Config) -> Option<Status> {
    let body = get(config, "/status").await.ok()?;
    let status: Status = serde_json::from_str(&body).ok()?;
    (status.slot == config.postgres.slot()).then_some(status)
}

/// What the console of the walhouse that runs with this configuration answers to a GET of `path`.
pub(crate) async fn get(config: &Config, path: &str) -> Result<String> {
    let console = config.console.listen;
    if config.console.access.tls.is_some() {
        // Its certificate need not name this machine.
        bail!("the console at {console} speaks TLS: look at it with a browser");
    }
    let token = config.console.token.as_ref();
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {}\r\n", token.expose()));
    let exchange = async {
        let mut stream = TcpStream::connect(console).await?;
        // 1.0: the body then comes whole and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {console}\r\n{token}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| anyhow!("the console at {console} does not answer"))?
        .with_context(|| format!("no walhouse answers at {console}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some("401" | "403") => bail!("the console at {console} asks for a login: set [console] token_file"),
        code => bail!("the console at {console} answers {} to {path}", code.unwrap_or("nothing")),
    }
}
