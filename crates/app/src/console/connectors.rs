//! A Connect worker, for the console: the one of this process, or another one.

use serde_json::{Value, json};
use tokio::sync::watch;
use walhouse_change::BoxFuture;
use walhouse_server::ports::{ConnectReply, Connectors, Result};

use super::http::Http;
use crate::kafka::OwnWorker;

const UNAVAILABLE: u16 = 503;

/// The worker by its own REST interface, without its address, as soon as it runs.
pub(super) struct Own(pub(super) watch::Receiver<OwnWorker>);

impl Connectors for Own {
    fn call<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        body: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<ConnectReply>> {
        Box::pin(async move {
            let stage = self.0.borrow().clone();
            let api = match stage {
                OwnWorker::Runs(api) => api,
                OwnWorker::Waits(end) => {
                    let body = json!({"error_code": UNAVAILABLE, "message": format!("the worker waits for {end}")});
                    return Ok(ConnectReply { status: UNAVAILABLE, body });
                }
            };
            let (status, body) = api.call(method, path, body).await;
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
