//! PURE. OTLP in JSON: the body of `POST /v1/traces`.

use std::fmt::Write as _;

use serde_json::json;

use super::spans::{AttributeValue, Span};
use crate::event::Json;

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_CLIENT`.
const INTERNAL_KIND: u8 = 1;
const CLIENT_KIND: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR_CODE: u8 = 2;

/// Returns the body that tells these spans.
pub(super) fn traces(spans: &[Span], service: &str) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [
                attribute("service.name", &AttributeValue::Text(service.to_owned())),
                attribute("service.version", &AttributeValue::Text(version.to_owned())),
            ] },
            "scopeSpans": [{
                "scope": { "name": "jarvis-tui", "version": version },
                "spans": spans.iter().map(span_json).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn span_json(span: &Span) -> Json {
    let attributes: Vec<Json> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut json = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "name": span.name,
        "kind": if span.is_client { CLIENT_KIND } else { INTERNAL_KIND },
        "startTimeUnixNano": nanoseconds(span.start_ms),
        "endTimeUnixNano": nanoseconds(span.end_ms.max(span.start_ms)),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = hex(&parent).into();
    }
    if let Some(error) = &span.error {
        json["status"] = json!({ "code": ERROR_CODE, "message": error });
    }
    json
}

/// 64-bit numbers are strings in Protobuf's JSON.
fn nanoseconds(ms: u64) -> String {
    (u128::from(ms) * 1_000_000).to_string()
}

fn attribute(name: &str, value: &AttributeValue) -> Json {
    let value = match value {
        AttributeValue::Text(text) => json!({ "stringValue": text }),
        AttributeValue::Number(number) => json!({ "intValue": number.to_string() }),
        AttributeValue::Seconds(seconds) => json!({ "doubleValue": seconds }),
        AttributeValue::Flag(flag) => json!({ "boolValue": flag }),
        AttributeValue::Texts(texts) => {
            let values: Vec<Json> = texts.iter().map(|text| json!({ "stringValue": text })).collect();
            json!({ "arrayValue": { "values": values } })
        }
    };
    json!({ "key": name, "value": value })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
