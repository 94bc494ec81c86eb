//! A Connect worker, for the console: the one of this process, or another one.

use serde_json::Value;
use walhouse_change::BoxFuture;
use walhouse_connect::Api;
use walhouse_server::ports::{ConnectReply, Connectors, Result};

use super::http::Http;

/// The worker by its own REST interface, without its address.
pub(super) struct Own(pub(super) Api);

impl Connectors for Own {
    fn call<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        body: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<ConnectReply>> {
        Box::pin(async move {
            let (status, body) = self.0.call(method, path, body).await;
            Ok(ConnectReply { status, body: body.unwrap_or(Value::Null) })
        })
    }
}

/// A worker elsewhere.
pub(super) struct Remote(pub(super) Http);

impl Connectors for Remote {
    fn call<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        body: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<ConnectReply>> {
        Box::pin(async move {
            let (status, body) = self.0.call(method, path, body).await?;
            Ok(ConnectReply { status, body })
        })
    }
}
