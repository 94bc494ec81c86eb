//! Replies and errors as Connect writes them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value as Json, json};

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: String,
    media: Option<&'static str>,
    location: Option<String>,
    allow: Option<&'static str>,
}

impl Reply {
    /// With a JSON body.
    pub(super) fn json(status: u16, body: impl Into<Json>) -> Self {
        Self { media: Some("application/json"), body: body.into().to_string(), ..Self::empty(status) }
    }

    /// Without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, body: String::new(), media: None, location: None, allow: None }
    }

    /// What may be done at a path.
    pub(super) fn options(allow: &'static str) -> Self {
        Self { media: Some("application/json"), allow: Some(allow), ..Self::empty(200) }
    }

    /// Where what was made is found.
    pub(super) fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    /// Status, and the body where it is JSON.
    pub(super) fn into_parts(self) -> (u16, Option<Json>) {
        (self.status, serde_json::from_str(&self.body).ok())
    }

    pub(super) fn into_response(self, head: bool) -> Response {
        let length = self.body.len();
        let mut response = Response::new(if head { Body::empty() } else { Body::from(self.body) });
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let mut set = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(media) = self.media {
            set(header::CONTENT_TYPE, media);
        }
        if let Some(location) = &self.location {
            set(header::LOCATION, location);
        }
        if let Some(allow) = self.allow {
            set(header::ALLOW, allow);
        }
        if head {
            set(header::CONTENT_LENGTH, &length.to_string());
        }
        response
    }
}

/// An error's reply.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    message: String,
    /// Errors that are said before a resource is chosen have no content type.
    media: Option<&'static str>,
}

impl Problem {
    /// With a message.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), media: Some("application/json") }
    }

    /// One of HTTP's own.
    pub(super) fn bare(status: u16) -> Self {
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        Self { status, message: format!("HTTP {status} {}", reason.unwrap_or_default()), media: None }
    }

    /// One of the server's, before the API.
    pub(super) fn html(status: u16) -> Self {
        Self { status, message: String::new(), media: Some("text/html;charset=iso-8859-1") }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let html = problem.media.is_some_and(|media| media.starts_with("text/html"));
        let body = if html {
            format!("<h1>Bad Message {}</h1><pre>reason: Bad Request</pre>", problem.status)
        } else {
            json!({ "error_code": problem.status, "message": problem.message }).to_string()
        };
        Self { body, media: problem.media, ..Self::empty(problem.status) }
    }
}

impl From<crate::error::Error> for Problem {
    fn from(error: crate::error::Error) -> Self {
        match error {
            crate::error::Error::NotInCharge => {
                let cause = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)";
                Self::new(409, cause)
            }
            other => Self::new(500, other.to_string()),
        }
    }
}
