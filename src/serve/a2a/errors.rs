//! PURE. Errors as A2A has them: a code of JSON-RPC, or a status with a reason.

use serde_json::json;

use crate::event::Json;
use crate::serve::error::ApiError;

pub(super) const TASK_NOT_FOUND: &str = "TASK_NOT_FOUND";
pub(super) const TASK_NOT_CANCELABLE: &str = "TASK_NOT_CANCELABLE";
pub(super) const PUSH_NOT_SUPPORTED: &str = "PUSH_NOTIFICATION_NOT_SUPPORTED";
pub(super) const UNSUPPORTED_OPERATION: &str = "UNSUPPORTED_OPERATION";
pub(super) const CONTENT_NOT_SUPPORTED: &str = "CONTENT_TYPE_NOT_SUPPORTED";
pub(super) const CARD_NOT_CONFIGURED: &str = "EXTENDED_AGENT_CARD_NOT_CONFIGURED";
pub(super) const VERSION_NOT_SUPPORTED: &str = "VERSION_NOT_SUPPORTED";
pub(super) const INVALID_REQUEST: &str = "INVALID_REQUEST";
pub(super) const METHOD_NOT_FOUND: &str = "METHOD_NOT_FOUND";
pub(super) const PARSE_ERROR: &str = "JSON_PARSE_ERROR";

/// How an error is written: the code in JSON-RPC, the name of its status, and its reason.
struct ErrorWords {
    rpc_code: i32,
    status: &'static str,
    reason: &'static str,
}

fn words(error: &ApiError) -> ErrorWords {
    let (rpc_code, status) = match error.code {
        TASK_NOT_FOUND => (-32001, "NOT_FOUND"),
        TASK_NOT_CANCELABLE => (-32002, "FAILED_PRECONDITION"),
        PUSH_NOT_SUPPORTED => (-32003, "FAILED_PRECONDITION"),
        UNSUPPORTED_OPERATION => (-32004, "FAILED_PRECONDITION"),
        CONTENT_NOT_SUPPORTED => (-32005, "INVALID_ARGUMENT"),
        CARD_NOT_CONFIGURED => (-32007, "FAILED_PRECONDITION"),
        VERSION_NOT_SUPPORTED => (-32009, "FAILED_PRECONDITION"),
        INVALID_REQUEST => (-32600, "INVALID_ARGUMENT"),
        METHOD_NOT_FOUND => (-32601, "NOT_FOUND"),
        PARSE_ERROR => (-32700, "INVALID_ARGUMENT"),
        _ => return words_of_status(error.status),
    };
    ErrorWords { rpc_code, status, reason: error.code }
}

/// Errors that all surfaces have.
fn words_of_status(status: u16) -> ErrorWords {
    let (rpc_code, status, reason) = match status {
        401 => (-32600, "UNAUTHENTICATED", "UNAUTHENTICATED"),
        403 => (-32600, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        404 | 405 => (-32601, "NOT_FOUND", METHOD_NOT_FOUND),
        429 => (-32603, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"),
        400..500 => (-32602, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        503 => (-32603, "UNAVAILABLE", "INTERNAL_ERROR"),
        _ => (-32603, "INTERNAL", "INTERNAL_ERROR"),
    };
    ErrorWords { rpc_code, status, reason }
}

fn details(reason: &str) -> Json {
    json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "a2a-protocol.org",
    }])
}

/// The body of an error over REST.
pub(super) fn rest_error_body(error: &ApiError) -> Json {
    let ErrorWords { status, reason, .. } = words(error);
    json!({"error": {
        "code": error.status, "status": status, "message": error.message, "details": details(reason),
    }})
}

/// An error as the answer to a request of JSON-RPC.
pub(super) fn rpc_error(id: &Json, error: &ApiError) -> Json {
    let ErrorWords { rpc_code, reason, .. } = words(error);
    json!({"jsonrpc": "2.0", "id": id, "error": {
        "code": rpc_code, "message": error.message, "data": details(reason),
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_code_of_its_reason_or_of_its_status() {
        let coded = |error: &ApiError| {
            let (rest, rpc) = (rest_error_body(error), rpc_error(&json!(1), error));
            assert_eq!(rest["error"]["details"], rpc["error"]["data"]);
            (rpc["error"]["code"].clone(), rest["error"]["details"][0]["reason"].clone())
        };
        for (error, code, reason) in [
            (ApiError::new(404, TASK_NOT_FOUND, "x"), -32001, TASK_NOT_FOUND),
            (ApiError::new(400, VERSION_NOT_SUPPORTED, "x"), -32009, VERSION_NOT_SUPPORTED),
            (ApiError::bad_request("x"), -32602, "INVALID_PARAMS"),
            (ApiError::internal("x"), -32603, "INTERNAL_ERROR"),
            (ApiError::too_many("x", 5), -32603, "RESOURCE_EXHAUSTED"),
            (ApiError::new(401, "unauthorized", "x"), -32600, "UNAUTHENTICATED"),
        ] {
            assert_eq!(coded(&error), (json!(code), json!(reason)), "{error:?}");
        }
    }
}
