//! Asking the console of a running walhouse, from another process.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use walhouse_pipeline::Status;

use crate::config::Config;

/// It answers from memory, so this is long.
const PATIENCE: Duration = Duration::from_secs(2);

/// The status of the walhouse that runs with this configuration, if there is one.
pub(crate) async fn ask(config: &Config) -> Option<Status> {
    let body = tokio::time::timeout(PATIENCE, get(config)).await.ok()??;
    let status: Status = serde_json::from_str(&body).ok()?;
    (status.slot == config.postgres.slot()).then_some(status)
}

async fn get(config: &Config) -> Option<String> {
    let console = config.console.listen;
    if config.console.access.tls.is_some() {
        // Its certificate need not name this machine; what is asked for is in the databases as well.
        return None;
    }
    let token = config.console.token.as_ref();
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {}\r\n", token.expose()));
    let mut stream = TcpStream::connect(console).await.ok()?;
    // 1.0: the body then comes whole and ends with the connection.
    let request = format!("GET /status HTTP/1.0\r\nHost: {console}\r\n{token}\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    (head.split_whitespace().nth(1) == Some("200")).then(|| body.to_owned())
}
