//! A Kafka Connect worker, by its REST interface.

use serde_json::Value;
use walhouse_change::BoxFuture;

use super::Result;

/// What the worker answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectReply {
    /// The HTTP code.
    pub status: u16,
    /// The body; null when there was none.
    pub body: Value,
}

/// A worker: the one of this process, or a remote one.
pub trait Connectors: Send + Sync {
    /// Sends a request: `method` in capitals, `path` beginning with a slash, encoded, with its query.
    ///
    /// # Errors
    /// The worker cannot be reached. What it refuses is a reply.
    fn call<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        body: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<ConnectReply>>;
}
