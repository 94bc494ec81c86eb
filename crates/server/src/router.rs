//! The routes and their replies.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use serde::Serialize;
use walhouse_change::Phase;
use walhouse_pipeline::{PipelineState, Status};

use crate::live::Live;
use crate::ports::{self, Failure, FailureKind, Ports};
use crate::security::{Actor, Audit, Identity, Sessions, random_token};
use crate::verify::VerifyJobs;
use crate::{Console, Error, api, kafdrop, page, security, topics};

/// The body of `/ready`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    state: &'static str,
    /// What is missing; empty when ready.
    reasons: Vec<String>,
    /// Tables that are stopped by an error of their own. They do not make the rest unready.
    stopped: Vec<Stopped>,
}

#[derive(Debug, Serialize)]
struct Stopped {
    table: String,
    error: String,
}

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) console: Arc<Console>,
    pub(crate) live: Arc<Live>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) verify: Arc<VerifyJobs>,
    pub(crate) topics: Arc<topics::State>,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// The token of pages that need no login, or have not logged in yet.
    csrf: Arc<str>,
}

impl Shared {
    pub(crate) fn new(console: Console, address: SocketAddr) -> Result<Self, Error> {
        Ok(Self {
            live: Live::new(&console),
            sessions: Arc::default(),
            verify: Arc::default(),
            topics: Arc::default(),
            audit: Arc::new(Audit::open(console.access.audit_file.as_deref())?),
            address,
            csrf: random_token().into(),
            console: Arc::new(console),
        })
    }

    /// The token that a change by this user must carry.
    pub(crate) fn csrf(&self, identity: &Identity) -> String {
        match identity {
            Identity::Session(cookie) => self.sessions.csrf(cookie).unwrap_or_else(random_token),
            _ => self.csrf.to_string(),
        }
    }

    /// Refuses where row values are switched off.
    pub(crate) fn data_is_shown(&self) -> ports::Result<()> {
        if self.console.access.data {
            return Ok(());
        }
        let failure = Failure::new(FailureKind::Refused, "this console shows no row values");
        Err(failure.advise("[console] data = true shows them where a user asks for them"))
    }

    /// Puts on record how a change ended, and hands it on.
    pub(crate) fn recorded<T>(
        &self,
        actor: &Actor,
        action: &str,
        object: &str,
        outcome: ports::Result<T>,
    ) -> ports::Result<T> {
        self.audit.record(
            actor,
            action,
            object,
            outcome.as_ref().map(|_| ()).map_err(|failure| failure.message.as_str()),
        );
        outcome
    }
}

impl FromRef<Shared> for Arc<Live> {
    fn from_ref(shared: &Shared) -> Self {
        Arc::clone(&shared.live)
    }
}

impl FromRef<Shared> for Ports {
    fn from_ref(shared: &Shared) -> Self {
        shared.console.ports.clone()
    }
}

/// All routes, behind the guard.
pub(crate) fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .merge(api::routes())
        .merge(kafdrop::routes())
        .merge(page::routes())
        .layer(middleware::from_fn_with_state(shared.clone(), security::guard))
        .layer(middleware::from_fn(security::set_headers))
        .with_state(shared)
}

async fn ready(
    State(Shared { console, .. }): State<Shared>,
    Extension(identity): Extension<Identity>,
) -> impl IntoResponse {
    let waits_for = console.waits_for.borrow().clone();
    let mut readiness = match console.pipeline {
        true => Readiness::of(&console.board.read()).and(waits_for),
        false => Readiness::without_pipeline(waits_for),
    };
    if identity == Identity::Nobody {
        // A probe needs the code; the rest is for those who may look.
        readiness.reasons.clear();
        readiness.stopped.clear();
    }
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness))
}

async fn status(State(Shared { console, .. }): State<Shared>) -> Json<Status> {
    Json(console.board.read())
}

async fn metrics(State(Shared { console, .. }): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], console.recorder.render())
}

impl Readiness {
    fn without_pipeline(waits_for: Option<String>) -> Self {
        let state = if waits_for.is_none() { "serving" } else { "starting" };
        let reasons = waits_for.map(|it| format!("waiting for {it}"));
        Self { ready: reasons.is_none(), state, reasons: reasons.into_iter().collect(), stopped: Vec::new() }
    }

    /// Not before this has come too.
    fn and(mut self, waits_for: Option<String>) -> Self {
        self.ready &= waits_for.is_none();
        self.reasons.extend(waits_for.map(|it| format!("waiting for {it}")));
        self
    }

    fn of(status: &Status) -> Self {
        let stopped = status
            .tables
            .iter()
            .filter(|table| table.phase == Phase::Stopped)
            .map(|table| Stopped { table: table.name.to_string(), error: table.error.clone().unwrap_or_default() });
        Self {
            ready: status.is_ready(),
            state: status.state.name(),
            reasons: if status.is_ready() { Vec::new() } else { reasons(status) },
            stopped: stopped.collect(),
        }
    }
}

fn reasons(status: &Status) -> Vec<String> {
    let mut reasons = Vec::new();
    match &status.state {
        PipelineState::Live => {}
        PipelineState::Starting => reasons.push("connecting to both ends".to_owned()),
        PipelineState::Copying => reasons.push("copying tables".to_owned()),
        PipelineState::Stopping => reasons.push("stopping".to_owned()),
        PipelineState::Waiting { domain, error, attempt, .. } => {
            reasons.push(format!("waiting for the {domain}, attempt {attempt}: {error}"));
        }
        PipelineState::Failed { error } => reasons.push(error.clone()),
    }
    let unsettled = status.tables.iter().filter(|table| !matches!(table.phase, Phase::Live | Phase::Stopped));
    reasons.extend(unsettled.map(|table| {
        let phase = if table.phase == Phase::Copying { "is being copied" } else { "is not copied yet" };
        format!("table {} {phase}: {} of about {} rows", table.name, table.rows_copied, table.rows_estimated)
    }));
    reasons
}
