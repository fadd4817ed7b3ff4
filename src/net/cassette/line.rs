//! PURE. The file format: JSON, a line each. The first says what it is; of the others each belongs to the exchange `n`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StandIn;
use crate::event::{Fault, Json, Millis};
use crate::net::failure::RequestFailure;
use crate::net::redact::{Redactor, redact_secrets, redact_secrets_in_json};
use crate::net::request::{HttpMethod, HttpRequest};
use crate::net::traffic::redact_url;

pub(super) const CASSETTE_KIND: &str = "cassette";
pub(super) const CASSETTE_FORMAT: u32 = 1;
/// How a body ended that is whole.
pub(super) const ORDERLY_END: &str = "eof";
/// How one ended that nobody read further.
pub(super) const UNREAD_END: &str = "dropped";

/// Headers of answers that are kept: what decoders and retries go by.
const KEPT_HEADERS: &[&str] =
    &["content-type", "content-location", "date", "location", "retry-after", "retry-after-ms", "x-ui-stream"];
const KEPT_HEADER_PREFIXES: &[&str] = &["x-ratelimit-", "anthropic-ratelimit-", "x-stream-", "x-vercel-ai-", "stream-"];

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CassetteHeader {
    pub(super) kind: String,
    pub(super) format: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CassetteLine {
    /// The exchange, in the order in which they began.
    pub(super) n: u64,
    /// Counts from its request.
    #[serde(default)]
    pub(super) at: Millis,
    #[serde(flatten)]
    pub(super) part: CassettePart,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CassettePart {
    Request(RecordedRequest),
    Response(RecordedHead),
    Chunk(String),
    /// Bytes that are no text by themselves.
    Base64(String),
    /// `eof`, `dropped`, or why the connection broke.
    End(String),
    /// There was no answer.
    Failure(RecordedFailure),
}

/// A request as it is kept and compared: without secrets, and without what differs from run to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordedRequest {
    pub(super) method: String,
    pub(super) url: String,
    /// Names alone. They are told and not compared.
    #[serde(default)]
    pub(super) headers: Vec<String>,
    /// JSON as it is, other bodies as a text.
    #[serde(default)]
    pub(super) body: Json,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordedHead {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordedFailure {
    pub(super) fault: Fault,
    #[serde(default)]
    pub(super) is_retryable: bool,
    #[serde(default)]
    pub(super) is_unsent: bool,
}

impl RecordedRequest {
    pub(super) fn of(call: &HttpRequest, secrets: &Redactor, stand_ins: &[StandIn]) -> Self {
        let mut headers: Vec<String> = call.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        headers.sort();
        let body = call.body.as_deref().map_or(Json::Null, |bytes| {
            serde_json::from_slice(bytes).unwrap_or_else(|_| Json::String(String::from_utf8_lossy(bytes).into_owned()))
        });
        let mut url = redact_url(&call.url);
        secrets.redact(&mut url);
        redact_secrets(&mut url);
        let mut body = body;
        secrets.redact_json(&mut body);
        redact_secrets_in_json(&mut body);
        if let Json::String(text) = &mut body {
            redact_secrets(text);
        }
        replace_in_json(&mut body, stand_ins);
        let method = match call.method {
            HttpMethod::Get => "GET",
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
            HttpMethod::Delete => "DELETE",
        };
        Self { method: method.to_owned(), url, headers, body }
    }
}

impl RecordedHead {
    pub(super) fn of<'a>(status: u16, headers: impl Iterator<Item = (&'a str, &'a str)>, secrets: &Redactor) -> Self {
        let is_kept = |name: &str| {
            KEPT_HEADERS.contains(&name) || KEPT_HEADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let headers = headers.filter(|(name, _)| is_kept(name)).map(|(name, value)| {
            let mut value = value.to_owned();
            secrets.redact(&mut value);
            redact_secrets(&mut value);
            (name.to_owned(), value)
        });
        Self { status, headers: headers.collect() }
    }
}

impl RecordedFailure {
    pub(super) fn of(failure: &RequestFailure, secrets: &Redactor) -> Self {
        let mut fault = failure.fault.clone();
        secrets.redact(&mut fault.message);
        redact_secrets(&mut fault.message);
        Self { fault, is_retryable: failure.is_retryable, is_unsent: failure.is_unsent }
    }
}

impl From<RecordedFailure> for RequestFailure {
    fn from(RecordedFailure { fault, is_retryable, is_unsent }: RecordedFailure) -> Self {
        Self { is_retryable, is_unsent, ..fault.into() }
    }
}

fn replace_in_json(json: &mut Json, stand_ins: &[StandIn]) {
    match json {
        Json::String(text) => {
            for (from, to) in stand_ins {
                if text.contains(from.as_str()) {
                    *text = text.replace(from.as_str(), to);
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| replace_in_json(item, stand_ins)),
        Json::Object(fields) => fields.values_mut().for_each(|field| replace_in_json(field, stand_ins)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
