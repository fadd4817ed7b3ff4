//! API errors, in the format that the clients of a surface expect.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};

use crate::dialect::chat::chunk;
use crate::event::{Fault, FaultKind, Json};

/// An error that rejects a request before any work was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// A stable code for programs, such as `not_found`.
    pub code: &'static str,
    /// What is wrong and what to do, without secrets.
    pub message: String,
    /// Seconds until a retry may succeed.
    pub retry_after: Option<u32>,
    /// The invalid field, if the error is about one.
    pub param: Option<String>,
}

/// Builds the body of an error response.
pub type ErrorFormat = fn(&ApiError) -> Json;

impl ApiError {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, param: None }
    }

    /// The request is invalid.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found", message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "too_large", message)
    }

    /// A limit is reached at the moment.
    pub fn too_many(message: impl Into<String>, retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(429, "too_many", message) }
    }

    /// An error on our side.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "internal", message)
    }

    #[must_use]
    pub fn with_param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// Builds the response.
    pub fn to_response(&self, shape: ErrorFormat) -> Response<Body> {
        let mut response = Response::new(Body::from(shape(self).to_string()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The model isn't available, or the engine can't be used.
impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::BadRequest => Self::new(404, "model_not_found", fault.message).with_param("model"),
            FaultKind::RateLimited => Self::too_many(fault.message, 5),
            _ => Self::new(502, "engine_unavailable", fault.message),
        }
    }
}

/// The native format: `{"error": {"code", "message"}}`.
pub fn native_error_body(refused: &ApiError) -> Json {
    let mut error = serde_json::json!({ "code": refused.code, "message": refused.message });
    if let (Some(param), Some(fields)) = (&refused.param, error.as_object_mut()) {
        fields.insert("param".into(), param.as_str().into());
    }
    serde_json::json!({ "error": error })
}

/// An error in OpenAI's format.
pub(super) fn openai_error_body(refused: &ApiError) -> Json {
    let kind = match refused.status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    chunk::error(&refused.message, kind, refused.param.as_deref(), Some(refused.code))
}
