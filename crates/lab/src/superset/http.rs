//! Just enough of HTTP for Superset's API: JSON, one form, a session.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderValue, REFERER, SET_COOKIE};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::error::{Error, Result};

/// An import of some dozens of datasets takes half a minute; a query that takes longer than this helps nobody.
const PATIENCE: Duration = Duration::from_secs(300);
/// An answer beyond this is none of ours: a chart's rows are limited.
const MAX_ANSWER: usize = 256 << 20;
/// Separates the parts of a form. That a ZIP holds these 128 random bits by chance is not to be expected.
const BOUNDARY: &str = "walhouse-5c0b7f3e1d524a6b9e1427c8d063f18a";

/// Superset's address, and the session once there is one.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    token: Option<HeaderValue>,
    csrf: Option<HeaderValue>,
    cookie: Option<HeaderValue>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

/// A part of a form.
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    /// Name and content type of a file.
    pub(super) file: Option<(&'a str, &'a str)>,
    pub(super) content: &'a [u8],
}

impl Http {
    /// Superset at `base`, with a path before `/api` if it has one.
    pub(super) fn new(base: &str) -> Result<Self> {
        let base = base.trim_end_matches('/');
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Error::Invalid(format!("{base} is not of the form http://host:port or https://host:port")));
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| Error::Invalid(format!("the system's certificates cannot be read: {error}")))?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, base: base.to_owned(), token: None, csrf: None, cookie: None })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// From now on every request is that user's.
    pub(super) fn sign_in(&mut self, token: &str) -> Result<()> {
        self.token = Some(secret(&format!("Bearer {token}"))?);
        Ok(())
    }

    /// From now on requests may change things.
    pub(super) fn allow_changes(&mut self, token: &str) -> Result<()> {
        self.csrf = Some(secret(token)?);
        Ok(())
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<(StatusCode, Value)> {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        self.send(Method::POST, path, Some(("application/json".to_owned(), body.to_string().into_bytes()))).await
    }

    pub(super) async fn put(&mut self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        self.send(Method::PUT, path, Some(("application/json".to_owned(), body.to_string().into_bytes()))).await
    }

    pub(super) async fn delete(&mut self, path: &str) -> Result<(StatusCode, Value)> {
        self.send(Method::DELETE, path, None).await
    }

    pub(super) async fn post_form(&mut self, path: &str, parts: &[Part<'_>]) -> Result<(StatusCode, Value)> {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send(Method::POST, path, Some((kind, form(parts)))).await
    }

    /// The answer; a body that is no JSON (a page, an empty one) comes as a text.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<(String, Vec<u8>)>,
    ) -> Result<(StatusCode, Value)> {
        let failed = |cause: String| Error::Superset { attempt: format!("{method} {path}"), cause };
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.base))
            // without it an error comes as a page
            .header(ACCEPT, "application/json")
            .header(REFERER, &self.base);
        for (name, value) in
            [(AUTHORIZATION.as_str(), &self.token), ("x-csrftoken", &self.csrf), (COOKIE.as_str(), &self.cookie)]
        {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let content = match body {
            Some((kind, content)) => {
                request = request.header(CONTENT_TYPE, kind);
                Full::new(Bytes::from(content))
            }
            None => Full::default(),
        };
        let request = request.body(content).map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| failed(causes(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| failed(error.to_string()))?;
            Ok::<_, Error>((head, body.to_bytes()))
        };
        let (head, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| failed(format!("no answer within {} s", PATIENCE.as_secs())))??;
        // the token for changes belongs to the session that this cookie names
        if let Some(cookie) = head.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()) {
            self.cookie = Some(secret(cookie.split(';').next().unwrap_or_default())?);
        }
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok((head.status, value))
    }
}

/// A header that no log shows.
fn secret(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Error::Invalid("a token is no header's value".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{BOUNDARY}\r\n").as_bytes());
        body.extend_from_slice(format!("Content-Disposition: form-data; name=\"{}\"", part.name).as_bytes());
        if let Some((name, kind)) = part.file {
            body.extend_from_slice(format!("; filename=\"{name}\"\r\nContent-Type: {kind}").as_bytes());
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(part.content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// An error with its causes: the outermost alone says "client error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
