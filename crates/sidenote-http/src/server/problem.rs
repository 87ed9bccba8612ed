//! Errors as HTTP has them: a status and `application/problem+json` (RFC 9457).

use std::io;

use aide::{OperationOutput, generate::GenContext, openapi};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sidenote::ErrorKind;

use crate::wire::Problem;

/// A request that was not done.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Stable name in snake case.
    pub(super) kind: &'static str,
    /// A clause for people.
    pub(super) detail: String,
    /// What to do next.
    pub(super) hint: Option<String>,
    /// The field of the request that it is about.
    pub(super) field: Option<String>,
    /// Seconds after which it may be tried again.
    pub(super) retry_after: Option<u32>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), hint: None, field: None, retry_after: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// A field of the request that cannot be used.
    pub(super) fn field(name: &str, problem: &str) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, "usage", format!("`{name}`: {problem}"));
        Self { field: Some(name.to_owned()), ..refusal }
    }

    /// JSON that is not what was asked for: the field is named, or `whole` where all of it is wrong.
    pub(super) fn unusable(error: &serde_path_to_error::Error<serde_json::Error>, whole: &str) -> Self {
        let (path, problem) = (error.path().to_string(), error.inner().to_string());
        if path != "." {
            return Self::field(&path, &problem);
        }
        Self::new(StatusCode::BAD_REQUEST, "usage", format!("the {whole} cannot be used: {problem}"))
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// What is wrong, and what to do next.
    pub(super) fn told(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.detail),
            None => self.detail.clone(),
        }
    }

    pub(super) fn problem(&self) -> Problem {
        Problem {
            type_: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            kind: self.kind.to_owned(),
            hint: self.hint.clone(),
        }
    }

    /// The headers that belong to it, on any body.
    pub(super) fn on(&self, mut response: Response) -> Response {
        *response.status_mut() = self.status;
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.on(Json(self.problem()).into_response());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl From<sidenote::Error> for Refusal {
    fn from(error: sidenote::Error) -> Self {
        let kind = error.kind();
        let status = status_of(kind);
        if status.is_server_error() && kind != ErrorKind::Interrupted {
            // The message may name a file; what a document says is in none but those of another server, which may repeat what
            // they were sent.
            let error = (kind != ErrorKind::Endpoint).then_some(&error);
            let message = error.map(ToString::to_string).unwrap_or_default();
            let cause = error.and_then(std::error::Error::source);
            tracing::error!(kind = kind.as_str(), message, ?cause, "request failed");
        }
        let retry_after = matches!(kind, ErrorKind::Locked | ErrorKind::Interrupted).then_some(5);
        Self { status, kind: kind.as_str(), detail: error.to_string(), hint: error.hint(), field: None, retry_after }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        sidenote::Error::Io { doing: "asking the system".to_owned(), source: error }.into()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow; what is not known here is a defect")]
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Usage => StatusCode::BAD_REQUEST,
        ErrorKind::QuestionTooLong => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::NothingIngested => StatusCode::NOT_FOUND,
        ErrorKind::Locked | ErrorKind::ModelMismatch => StatusCode::CONFLICT,
        ErrorKind::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Endpoint => StatusCode::BAD_GATEWAY,
        ErrorKind::Interrupted | ErrorKind::MissingModel | ErrorKind::DamagedModel | ErrorKind::UnsupportedCpu => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl OperationOutput for Refusal {
    type Inner = Problem;

    fn operation_response(context: &mut GenContext, operation: &mut openapi::Operation) -> Option<openapi::Response> {
        let mut response = Json::<Problem>::operation_response(context, operation)?;
        if let Some(content) = response.content.shift_remove("application/json") {
            response.content.insert("application/problem+json".to_owned(), content);
        }
        response.description = "The request was not done.".to_owned();
        Some(response)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut openapi::Operation,
    ) -> Vec<(Option<openapi::StatusCode>, openapi::Response)> {
        Self::operation_response(context, operation).map(|response| (None, response)).into_iter().collect()
    }
}
