//! Whether a broker serves: one Metadata request, spoken by hand so that no client library's retries hide a "not yet".

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A broker that is up answers in milliseconds; one that is starting may accept and say nothing.
const ANSWER: Duration = Duration::from_secs(2);

/// Metadata (key 3) in version 1, correlation id 1, no client id, an empty list of topics; the length in front.
const METADATA_REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];

/// An answer is some dozens of bytes; what claims to be more is no broker.
const LARGEST_ANSWER: usize = 1 << 16;

/// Asks the broker on `port` of 127.0.0.1 for the cluster's live brokers: ready once it counts itself among them.
/// Otherwise says what happened.
pub(super) async fn serves(port: u16) -> Result<(), String> {
    match timeout(ANSWER, live_brokers(port)).await {
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(0)) => Err("the broker is not yet part of its cluster".to_owned()),
        Ok(Ok(_)) => Ok(()),
    }
}

async fn live_brokers(port: u16) -> std::io::Result<i32> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(&METADATA_REQUEST).await?;
    let length = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
    if length > LARGEST_ANSWER {
        return Err(std::io::Error::other("this is no Kafka broker"));
    }
    let _correlation_id = stream.read_i32().await?;
    stream.read_i32().await
}
