//! Who looks, what this console can do, and the login.

use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Problem;
use super::input::Body;
use crate::ports::{Failure, FailureKind};
use crate::router::Shared;
use crate::security::{Actor, AuditEntry, COOKIE, Identity, Login, SESSION_LIFETIME};

/// Whether one must log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// No login is configured.
    None,
    /// One must log in with the password.
    Password,
    /// Only programs may look, with the token: no password is configured.
    TokenOnly,
    /// That is done.
    Done,
}

/// What this console can do; the page hides what it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Features {
    /// There is a pipeline: an overview, tables.
    pub pipeline: bool,
    /// There is a pipeline to tell something: pause, resume, resync.
    pub commands: bool,
    /// Row values may be shown where asked for.
    pub data: bool,
    /// The history of rows can be read.
    pub changes: bool,
    /// SQL against the target.
    pub query: bool,
    /// The target can be compared with the source.
    pub verify: bool,
    /// There is a Kafka cluster.
    pub topics: bool,
    /// There is a schema registry.
    pub registry: bool,
    /// There is a Connect worker.
    pub connectors: bool,
    /// Topics may be made.
    pub create_topics: bool,
    /// Topics may be deleted.
    pub delete_topics: bool,
    /// Messages may be sent.
    pub send_messages: bool,
}

/// What the page asks first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// Whether one must log in.
    pub login: LoginState,
    /// Send it as the header `x-walhouse-csrf` with every request that is not a GET.
    pub csrf: String,
    /// This program's version.
    pub version: String,
    /// What it can do.
    pub features: Features,
}

/// The login.
#[derive(Deserialize, ToSchema)]
pub struct LoginRequest {
    /// The console's password.
    pub password: String,
}

impl std::fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginRequest")
    }
}

/// Newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuditReply {
    /// The newest 500.
    pub entries: Vec<AuditEntry>,
}

/// Who looks, and what this console can do.
#[utoipa::path(get, path = "/api/session", tag = "session", responses((status = 200, body = Session)))]
pub(crate) async fn session(State(shared): State<Shared>, Extension(identity): Extension<Identity>) -> Json<Session> {
    Json(describe(&shared, &identity))
}

/// Logs in; the session is a cookie.
#[utoipa::path(
    post, path = "/api/login", tag = "session", request_body = LoginRequest,
    responses((status = 200, body = Session), (status = 401, body = Problem), (status = 429, body = Problem))
)]
pub(crate) async fn login(
    State(shared): State<Shared>,
    Extension(mut actor): Extension<Actor>,
    Body(request): Body<LoginRequest>,
) -> Response {
    let Some(password) = &shared.console.access.password else {
        return Failure::new(FailureKind::Invalid, "this console has no password").into_response();
    };
    let (status, code, error) = match shared.sessions.log_in(password, &request.password, Instant::now()) {
        Login::Open(cookie) => {
            actor.who = "password";
            shared.audit.record(&actor, "login", "", Ok(()));
            let identity = Identity::Session(cookie.clone());
            return with_cookie(&shared, &cookie, SESSION_LIFETIME.as_secs(), describe(&shared, &identity));
        }
        Login::Wrong => (StatusCode::UNAUTHORIZED, "login_required", "that is not the password"),
        Login::Wait => (StatusCode::TOO_MANY_REQUESTS, "limit", "too many attempts, wait half a minute"),
    };
    shared.audit.record(&actor, "login", "", Err(error));
    (status, Json(Problem { code, error: error.to_owned(), advice: None })).into_response()
}

/// Ends the session.
#[utoipa::path(post, path = "/api/logout", tag = "session", responses((status = 200, body = Session)))]
pub(crate) async fn logout(
    State(shared): State<Shared>,
    Extension(identity): Extension<Identity>,
    Extension(actor): Extension<Actor>,
) -> Response {
    if let Identity::Session(cookie) = &identity {
        shared.sessions.log_out(cookie);
        shared.audit.record(&actor, "logout", "", Ok(()));
    }
    let identity = if shared.console.access.needs_login() { Identity::Nobody } else { Identity::Local };
    with_cookie(&shared, "", 0, describe(&shared, &identity))
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "session", responses((status = 200, body = AuditReply)))]
pub(crate) async fn audit(State(shared): State<Shared>) -> Json<AuditReply> {
    Json(AuditReply { entries: shared.audit.entries() })
}

fn describe(shared: &Shared, identity: &Identity) -> Session {
    let (access, ports) = (&shared.console.access, &shared.console.ports);
    let login = match (identity, &access.password) {
        (Identity::Local, _) => LoginState::None,
        (Identity::Nobody, Some(_)) => LoginState::Password,
        (Identity::Nobody, None) => LoginState::TokenOnly,
        _ => LoginState::Done,
    };
    let topics = ports.topics.is_some();
    Session {
        login,
        csrf: shared.csrf(identity),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: Features {
            pipeline: shared.console.pipeline,
            commands: ports.commands.is_some(),
            data: access.data,
            changes: access.data && ports.rows.is_some(),
            query: access.data && ports.queries.is_some(),
            verify: ports.verifier.is_some(),
            topics,
            registry: ports.registry.is_some(),
            connectors: ports.connectors.is_some(),
            create_topics: topics && access.allow.create_topics,
            delete_topics: topics && access.allow.delete_topics,
            send_messages: topics && access.allow.send_messages,
        },
    }
}

fn with_cookie(shared: &Shared, value: &str, seconds: u64, session: Session) -> Response {
    let secure = if shared.console.access.tls.is_some() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut answer = Json(session).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}
