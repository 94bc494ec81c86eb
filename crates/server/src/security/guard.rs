//! The check that every request passes: its host, who sends it, and, for a change, that our own
//! page or a program with the token made it.

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::audit::Actor;
use super::{Credential, host};
use crate::api::Problem;
use crate::gate::Peer;
use crate::router::Shared;

/// What a change must carry: `csrf` of `GET /api/session`. No other site can read that, and no
/// form or image can send a header.
pub(crate) const CSRF_HEADER: &str = "x-walhouse-csrf";
/// The cookie of a login.
pub(crate) const COOKIE: &str = "walhouse_session";

/// As whom a request comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// No login is configured.
    Local,
    /// By the cookie of a login; the cookie's value.
    Session(String),
    /// By the bearer token.
    Token,
    /// By the password in the request itself, as Prometheus does. For reading only.
    Basic,
    /// Not logged in.
    Nobody,
}

impl Identity {
    fn who(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Session(_) | Self::Basic => "password",
            Self::Token => "token",
            Self::Nobody => "nobody",
        }
    }
}

/// What is served to who is not logged in: what a login needs, and whether the process lives.
fn is_public(path: &str) -> bool {
    let within = |folder| path.starts_with(folder);
    matches!(path, "/health" | "/ready" | "/api/session" | "/api/login" | "/kafdrop/health_check")
        || !(within("/api/") || within("/kafdrop") || matches!(path, "/status" | "/metrics"))
}

/// Reads that are sent as a POST by programs which know no token: a search of Kafdrop's. A page of
/// another site cannot send JSON without asking first, which is never granted.
fn is_read(path: &str, headers: &HeaderMap) -> bool {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    path.starts_with("/kafdrop/topic/")
        && path.ends_with("/search-messages")
        && json.is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/json"))
}

/// Lets a request through, or answers why not.
pub(crate) async fn guard(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST);
    // Only HTTP/1.0 may leave it out, and no browser speaks that.
    let named = headers.contains_key(header::HOST);
    if named && !host.is_some_and(|host| host::is_ours(shared.address, &shared.console.access.hosts, host)) {
        let why = match shared.address.ip().is_loopback() {
            true => "this address answers to localhost only\n",
            false => "this address answers to IP addresses and to the names in [console] hosts only\n",
        };
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let identity = identify(&shared, headers);
    let path = request.uri().path();
    if identity == Identity::Nobody && !is_public(path) {
        let mut answer = problem(StatusCode::UNAUTHORIZED, "login_required", "log in first");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return answer;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let foreign = text(header::ORIGIN).is_some_and(|origin| !host.is_some_and(|host| host::is_same(origin, host)));
        let allowed = match identity {
            Identity::Token => true,
            _ if foreign => false,
            Identity::Basic => false,
            _ => is_read(path, headers) || has_csrf(&shared, &identity, headers),
        };
        if !allowed {
            return problem(StatusCode::FORBIDDEN, "csrf", "this request does not come from the console's own page");
        }
    }
    let from = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(address))| address.ip());
    let actor = Actor { who: identity.who(), from };
    request.extensions_mut().insert(actor);
    request.extensions_mut().insert(identity);
    next.run(request).await
}

fn has_csrf(shared: &Shared, identity: &Identity, headers: &HeaderMap) -> bool {
    let sent = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    sent.is_some_and(|sent| Credential::of(&shared.csrf(identity)).is(sent))
}

fn identify(shared: &Shared, headers: &HeaderMap) -> Identity {
    let access = &shared.console.access;
    if !access.needs_login() {
        return Identity::Local;
    }
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some((scheme, given)) = authorization.and_then(|value| value.split_once(' ')) {
        let given = given.trim();
        if scheme.eq_ignore_ascii_case("bearer") && access.token.as_ref().is_some_and(|token| token.is(given)) {
            return Identity::Token;
        }
        if scheme.eq_ignore_ascii_case("basic") && basic(access.password.as_ref(), given) {
            return Identity::Basic;
        }
    }
    match cookie(headers) {
        Some(cookie) if shared.sessions.csrf(&cookie).is_some() => Identity::Session(cookie),
        _ => Identity::Nobody,
    }
}

/// The user's name does not matter.
fn basic(password: Option<&Credential>, given: &str) -> bool {
    let decoded = BASE64_STANDARD.decode(given).ok();
    let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { return false };
    let given = text.split_once(':').map(|(_, password)| password);
    given.zip(password).is_some_and(|(given, password)| password.is(given))
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then(|| value.to_owned())
    })
}

fn problem(status: StatusCode, code: &'static str, error: &str) -> Response {
    (status, Json(Problem { code, error: error.to_owned(), advice: None })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_password_is_compared_whole() {
        let pass = Credential::of("pass");
        assert!(basic(Some(&pass), "dXNlcjpwYXNz"), "user:pass");
        assert!(basic(Some(&pass), "OnBhc3M="), ":pass");
        for given in ["", "a b", "cGFzcw==", "dXNlcjpwYXM="] {
            assert!(!basic(Some(&pass), given), "{given}");
        }
        assert!(!basic(None, "dXNlcjpwYXNz"));
    }

    #[test]
    fn only_a_login_and_a_pulse_are_public() {
        for path in ["/", "/app.js", "/health", "/ready", "/api/session", "/api/login", "/kafdrop/health_check"] {
            assert!(is_public(path), "{path}");
        }
        for path in
            ["/api/overview", "/api/events", "/status", "/metrics", "/kafdrop", "/kafdrop/topic", "/api/openapi.json"]
        {
            assert!(!is_public(path), "{path}");
        }
    }
}
