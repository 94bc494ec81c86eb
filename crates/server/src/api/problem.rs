//! The body of every reply that is not a success.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ports::{Failure, FailureKind};

/// Why a request was not served.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// One of `not_found`, `invalid`, `refused`, `conflict`, `limit`, `missing`, `unavailable`,
    /// `internal`, `login_required`, `csrf`.
    pub code: &'static str,
    /// What was attempted and found.
    pub error: String,
    /// The next step.
    pub advice: Option<String>,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code) = code(self.kind);
        (status, Json(Problem { code, error: self.message, advice: self.advice })).into_response()
    }
}

/// How a failure is told.
pub(crate) fn code(kind: FailureKind) -> (StatusCode, &'static str) {
    match kind {
        FailureKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        FailureKind::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
        FailureKind::Refused => (StatusCode::FORBIDDEN, "refused"),
        FailureKind::Conflict => (StatusCode::CONFLICT, "conflict"),
        FailureKind::Limit => (StatusCode::UNPROCESSABLE_ENTITY, "limit"),
        FailureKind::Missing => (StatusCode::NOT_IMPLEMENTED, "missing"),
        FailureKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        FailureKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}
