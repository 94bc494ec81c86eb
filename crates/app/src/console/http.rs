//! JSON over HTTP, for what the console asks of others: a Connect worker, a schema registry.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use walhouse_postgres::Secret;
use walhouse_server::ports::{Failure, FailureKind, Result};

use crate::exit::one_line;

/// A Connect worker validates a connector against its database before it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// More is no answer of theirs.
const MAX_ANSWER: usize = 16 << 20;

/// Somebody's address.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// In words, for errors.
    what: &'static str,
    base: String,
    login: Option<HeaderValue>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Http {
    /// Nothing is asked yet.
    pub(super) fn new(what: &'static str, base: &str, login: Option<&(String, Secret)>) -> Result<Self> {
        let invalid = |problem: String| Failure::new(FailureKind::Invalid, format!("cannot ask {what}: {problem}"));
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| invalid(format!("the system's certificates cannot be read: {error}")))?
            .https_or_http()
            .enable_http1()
            .build();
        let login = login.map(|(user, password)| {
            let pair = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
            let mut value = HeaderValue::from_str(&format!("Basic {pair}"));
            value.iter_mut().for_each(|value| value.set_sensitive(true));
            value
        });
        let login = login.transpose().map_err(|_| invalid("its login is no header's value".to_owned()))?;
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, what, base: base.to_owned(), login })
    }

    /// The answer's code and its body; null when there is none.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let unreachable = |cause: String| {
            let failure =
                Failure::new(FailureKind::Unavailable, format!("cannot ask {} at {}: {cause}", self.what, self.base));
            failure.advise("see that it runs and can be reached from here")
        };
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.base)).header(ACCEPT, "application/json");
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        let content = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Full::new(Bytes::from(body.to_string()))
            }
            None => Full::default(),
        };
        let request = request.body(content).map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| unreachable(one_line(&error.into())))?;
            let code = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok::<_, Failure>((code, body.map_err(|error| unreachable(error.to_string()))?.to_bytes()))
        };
        let (code, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", PATIENCE.as_secs())))??;
        let value = serde_json::from_slice(&body).unwrap_or_else(|_| text(&body));
        Ok((code, value))
    }
}

fn text(body: &Bytes) -> Value {
    match body.is_empty() {
        true => Value::Null,
        false => Value::String(String::from_utf8_lossy(body).into_owned()),
    }
}
