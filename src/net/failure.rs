//! PURE. A refusal, that is status, headers and the start of a body, as a fault that says what to try.

use std::time::Duration;

use super::request::Framing;
use super::sse::FrameSplitter;
use crate::dialect::error::{self, ServerError};
use crate::event::{Fault, FaultKind, Millis};
use crate::text::human;

/// Why there is no answer, and whether the same request may get one later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    pub fault: Fault,
    pub is_retryable: bool,
    /// Nothing of the request can have reached the server.
    pub is_unsent: bool,
    /// The server is loading its model and will take the request once it has.
    pub is_loading: bool,
    /// The start of what the server said, where it refused the request for its form: nothing of it ran.
    pub refusal: Option<String>,
}

impl RequestFailure {
    /// A failure that another try will not mend.
    pub fn permanent(kind: FaultKind, message: impl Into<String>) -> Self {
        Fault::new(kind, message).into()
    }

    /// A failure that another try may mend.
    pub fn transient(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { is_retryable: true, ..Self::permanent(kind, message) }
    }
}

/// A failure that another try will not mend.
impl From<Fault> for RequestFailure {
    fn from(fault: Fault) -> Self {
        Self { fault, is_retryable: false, is_unsent: false, is_loading: false, refusal: None }
    }
}

/// The code with which a jarvis-tui refuses a freer mode than it was started with.
const MODE_NOT_ALLOWED: &str = "mode_not_allowed";

/// Whom a fault is told to: it says what that person can try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HintAudience {
    /// Somebody whose settings name an engine.
    #[default]
    Engine,
    /// Somebody who attached to an address.
    Remote,
}

impl HintAudience {
    /// What to try where nothing listens.
    pub(super) fn no_listener_hint(self) -> &'static str {
        match self {
            Self::Engine => "start the server, or choose another engine with /model",
            Self::Remote => "start the server, or check the address",
        }
    }

    /// Where the person wrote the address.
    pub(super) fn address_setting(self) -> &'static str {
        match self {
            Self::Engine => "in the engine's base_url, or in the variable that names its address",
            Self::Remote => "in the address",
        }
    }

    /// What to do with an address that a server redirects to.
    pub(super) fn redirect_hint(self) -> &'static str {
        match self {
            Self::Engine => "use that address as base URL",
            Self::Remote => "attach to that address",
        }
    }
}

/// What is told of a refusal.
#[derive(Clone, Copy, Debug)]
pub struct HttpRefusal<'a> {
    /// Who refused, such as `http://127.0.0.1:8080`.
    pub origin: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub retry_after: Option<Millis>,
    /// The first 4 kB.
    pub body: &'a str,
    pub audience: HintAudience,
    /// Credentials went with the request.
    pub has_key: bool,
    /// What would hold the key that the engine has not got: a variable or a setting.
    pub unset_key_setting: Option<&'a str>,
    pub is_post: bool,
}

impl HttpRefusal<'_> {
    pub fn failure(&self) -> RequestFailure {
        let said = self.server_error();
        let kind = error::fault_kind(Some(self.status), &said);
        let Self { origin: place, path, status, .. } = self;
        let words = if said.message.is_empty() { String::new() } else { format!(": {}", said.message) };
        let waits = self.retry_after.filter(|wait| wait.0 > 0).map(|wait| human::pause(wait.into()));
        let wait = format!("wait {}, then retry", waits.as_deref().unwrap_or("a little"));
        let remote = (self.audience == HintAudience::Remote).then(|| self.remote_hint(kind, &said)).flatten();
        let keyless = self.unset_key_setting.map(|setting| format!("no API key was sent: {setting} is not set"));
        let try_this = match kind {
            _ if let Some(advice) = remote => advice,
            FaultKind::Auth if let Some(keyless) = &keyless => keyless,
            FaultKind::Auth => "check the API key and its permissions",
            FaultKind::ContextTooLong => "start a new session, send less, or choose a model with a larger window",
            FaultKind::RateLimited if is_quota(&said) => "the account's quota is used up; check its plan and billing",
            FaultKind::RateLimited => &wait,
            FaultKind::TimedOut => "the server was too slow; retry or choose another model",
            FaultKind::Upstream if self.status == 503 && says_loading(&said.message) => "wait until it has",
            FaultKind::Upstream => "the problem is on the server's side; try again later",
            FaultKind::BadRequest if said.message.contains("does not support tools") => {
                "choose a model that can use tools"
            }
            FaultKind::BadRequest if self.status == 404 && lacks_model(&said) => {
                "choose another model, or install this one on the server"
            }
            FaultKind::BadRequest if self.status == 404 || self.status == 405 => {
                "the path does not exist there: check the base URL, or the kind of engine (openai, openai-responses, \
                 anthropic, ollama)"
            }
            _ => "the server rejected the request; another model or server may accept it",
        };
        let path = if self.status == 404 || self.status == 405 { path } else { "" };
        let name = status_phrase(*status).map(|name| format!(" {name}")).unwrap_or_default();
        let message = if said.code.contains(MODE_NOT_ALLOWED) {
            // Its own words say all there is to know.
            said.message.clone()
        } else if kind == FaultKind::ContextTooLong {
            format!("the conversation is too long for the model: {place} returned {status}{name}{words}; {try_this}")
        } else {
            format!("{place}{path} returned {status}{name}{words}; {try_this}")
        };
        let fault = Fault { kind, message, retry_after: self.retry_after };
        let loading = self.status == 503 && says_loading(&said.message);
        RequestFailure {
            is_retryable: fault.is_transient() && !is_quota(&said),
            is_unsent: false,
            is_loading: loading,
            refusal: matches!(self.status, 400 | 415 | 422).then(|| self.body.to_owned()),
            fault,
        }
    }

    /// What somebody who attached can try; none where the usual words will do.
    fn remote_hint(&self, kind: FaultKind, said: &ServerError) -> Option<&'static str> {
        let about_model = lacks_model(said);
        Some(match (kind, self.status) {
            (FaultKind::Auth, _) if self.has_key => "check the token and its permissions",
            (FaultKind::Auth, _) => "give a token with --token-env NAME, or a header with --header",
            (FaultKind::BadRequest, 404) if about_model => "name another model with -m",
            (FaultKind::BadRequest, 404) => "check the path, or attach to the bare address to detect what is there",
            (FaultKind::BadRequest, 405) if self.is_post => {
                "this path does not take prompts: check it, or watch it with --method get"
            }
            (FaultKind::BadRequest, 405) => "this path can't be watched: send it a prompt, or check it",
            (FaultKind::BadRequest, 400 | 415 | 422) if self.is_post => {
                "this path expects another request format: set --request, or another model with -m"
            }
            (FaultKind::BadRequest, _) => "check the address, --request and -m",
            _ => return None,
        })
    }

    /// Returns the error in a body that is a stream of events, or of lines of JSON.
    fn streamed_error(&self) -> Option<ServerError> {
        let mut frames = Vec::new();
        let mut cutter = FrameSplitter::for_content_type(Framing::Any, "");
        cutter.push(self.body.as_bytes(), &mut frames).ok()?;
        cutter.finish(&mut frames);
        frames.iter().find_map(error::find_error)
    }

    fn server_error(&self) -> ServerError {
        let body = self.body.trim();
        if let Some(said) = serde_json::from_str(body).ok().as_ref().and_then(error::parse) {
            return said;
        }
        // Where a stream was asked for, some servers refuse in one.
        if let Some(said) = self.streamed_error() {
            return said;
        }
        let message = if body.starts_with('<') { page_title(body).unwrap_or_default() } else { body };
        ServerError { message: error::to_single_line(message), ..ServerError::default() }
    }
}

/// Whether a server said that it is loading its model.
pub fn is_loading(fault: &Fault) -> bool {
    fault.kind == FaultKind::Upstream && fault.message.contains(" 503 ") && says_loading(&fault.message)
}

/// Servers that hold no request back while they load say so with a 503.
fn says_loading(message: &str) -> bool {
    let message = message.to_lowercase();
    ["loading model", "loading the model", "model is loading", "currently loading", "still loading", "being loaded"]
        .iter()
        .any(|words| message.contains(words))
}

/// Whether it is the model that is not there. A gateway names the model also where it passes on that its backend has no
/// such endpoint.
fn lacks_model(said: &ServerError) -> bool {
    let message = said.message.to_lowercase();
    let named = ["no such model", "unknown model", "invalid model", "not a valid model"];
    said.code.contains("model_not_found")
        || named.iter().any(|words| message.contains(words))
        || message.split(". ").any(|sentence| {
            let after = sentence.split_once("model").map(|(_, after)| after).unwrap_or_default();
            ["not found", "not exist", "not available", "not installed", "not supported"]
                .iter()
                .any(|words| after.contains(words))
        })
}

fn is_quota(said: &ServerError) -> bool {
    said.code.contains("insufficient_quota") || said.message.contains("exceeded your current quota")
}

fn status_phrase(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "bad request",
        401 => "unauthorized",
        402 => "payment required",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        408 => "request timeout",
        413 => "content too large",
        422 => "unprocessable content",
        429 => "too many requests",
        500 => "internal server error",
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "gateway timeout",
        529 => "overloaded",
        _ => return None,
    })
}

/// Returns what stands between the title tags of a page.
pub fn page_title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    page.get(start..end).map(str::trim).filter(|title| !title.is_empty())
}

/// Reads `Retry-After`: seconds, or a date, which counts from the answer's own `Date` so that a wrong clock here does
/// no harm. `retry-after-ms`, where a server sends it, is more exact.
pub fn retry_after(millis: Option<&str>, after: Option<&str>, date: Option<&str>) -> Option<Millis> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| (0.0..1e9).contains(n));
    if let Some(millis) = millis.and_then(number) {
        return Some(Millis(millis as u64));
    }
    let after = after?;
    if let Some(seconds) = number(after) {
        return Some(Duration::from_secs_f64(seconds).into());
    }
    let at = |text: &str| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok();
    let wait = at(after)?.as_millisecond().saturating_sub(at(date?)?.as_millisecond());
    Some(Millis(u64::try_from(wait).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> RequestFailure {
        HttpRefusal {
            origin: "http://h:1",
            path: "/v1/chat/completions",
            status,
            retry_after: None,
            body,
            audience: HintAudience::Engine,
            has_key: true,
            unset_key_setting: None,
            is_post: true,
        }
        .failure()
    }

    #[test]
    fn a_mode_that_is_not_allowed_is_no_question_of_tokens() {
        let body = r#"{"error":{"message":"at most the mode ask","code":"mode_not_allowed"}}"#;
        assert_eq!(failure(403, body).fault.message, "at most the mode ask");
    }

    #[test]
    fn a_key_that_is_not_set_is_named_where_one_is_wanted() {
        let told = |status, unset| {
            let (place, path, whose) = ("http://h:1", "/x", HintAudience::Engine);
            let (retry_after, body) = (None, "");
            HttpRefusal {
                origin: place,
                path,
                status,
                retry_after,
                body,
                audience: whose,
                has_key: false,
                unset_key_setting: unset,
                is_post: true,
            }
            .failure()
        };
        let words = |status, unset| told(status, unset).fault.message;
        assert!(words(401, Some("OPENAI_API_KEY")).ends_with("; no API key was sent: OPENAI_API_KEY is not set"));
        assert!(words(401, None).contains("check the API key"));
        assert!(!words(404, Some("OPENAI_API_KEY")).contains("OPENAI_API_KEY"));
    }

    #[test]
    fn a_status_says_what_kind_of_trouble_it_is() {
        let cases = [
            (401, "", FaultKind::Auth, false),
            (403, "", FaultKind::Auth, false),
            (404, "", FaultKind::BadRequest, false),
            (408, "", FaultKind::TimedOut, true),
            (504, "", FaultKind::TimedOut, true),
            (413, "", FaultKind::ContextTooLong, false),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens"}}"#,
                FaultKind::ContextTooLong,
                false,
            ),
            (400, r#"{"error":"unknown field"}"#, FaultKind::BadRequest, false),
            (429, "", FaultKind::RateLimited, true),
            (429, r#"{"error":{"message":"x","code":"insufficient_quota"}}"#, FaultKind::RateLimited, false),
            (500, "", FaultKind::Upstream, true),
            (503, "<html>", FaultKind::Upstream, true),
            (
                503,
                r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
                FaultKind::Upstream,
                true,
            ),
            (501, "", FaultKind::BadRequest, false),
            (418, "", FaultKind::BadRequest, false),
        ];
        for (status, body, kind, retry) in cases {
            let failure = failure(status, body);
            assert_eq!((failure.fault.kind, failure.is_retryable), (kind, retry), "{status} {body}");
        }
    }

    #[test]
    fn the_message_says_what_failed_where_and_what_to_try() {
        assert_eq!(
            failure(404, r#"{"error":{"message":"model 'x' not found"}}"#).fault.message,
            "http://h:1/v1/chat/completions returned 404 not found: model 'x' not found; choose another model, or install this one on the server"
        );
        assert_eq!(
            failure(502, "<html><head><TITLE>Bad\nGateway</TITLE>").fault.message,
            "http://h:1 returned 502 bad gateway: Bad Gateway; the problem is on the server's side; try again later"
        );
    }

    #[test]
    fn the_error_in_a_refusal_that_is_a_stream_is_told_in_its_words() {
        for body in [
            "event: error\ndata: {\"error\":{\"message\":\"template failed\",\"type\":\"api_error\"}}\n\n",
            "data: {\"type\":\"error\",\"errorText\":\"template failed\"}\n\ndata: [DONE]\n\n",
            ": ping\n\nevent: error\ndata: template failed\n\n",
            "{\"status\":\"working\"}\n{\"error\":\"template failed\"}\n",
        ] {
            let told = failure(500, body).fault.message;
            assert_eq!(
                told,
                "http://h:1 returned 500 internal server error: template failed; the problem is on the server's side; try again later"
            );
        }
    }

    #[test]
    fn only_a_server_that_says_so_is_loading_its_model() {
        let loading = r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#;
        assert!(
            failure(503, loading).is_loading && failure(503, r#"{"error":"Model x is currently loading"}"#).is_loading
        );
        assert!(!failure(503, "<html>").is_loading && !failure(500, loading).is_loading);
        assert!(failure(503, loading).fault.message.ends_with("Loading model; wait until it has"));
    }

    #[test]
    fn an_endpoint_that_is_not_there_is_not_taken_for_a_model_that_is_not_there() {
        for body in [
            r#"{"error":{"message":"model 'x' not found"}}"#,
            r#"{"error":{"message":"The model `gpt-x.5` does not exist or you do not have access to it."}}"#,
            r#"{"error":{"message":"no","code":"model_not_found"}}"#,
        ] {
            assert!(failure(404, body).fault.message.contains("choose another model"), "{body}");
        }
        for body in [
            "",
            r#"{"detail":"Not Found"}"#,
            r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#,
            r#"{"error":{"message":"litellm.NotFoundError: OpenAIException - File Not Found. Received Model Group=tiny"}}"#,
        ] {
            let told = failure(404, body).fault.message;
            assert!(!told.contains("another model") && told.contains("check the base URL"), "{told}");
        }
    }

    #[test]
    fn somebody_who_attached_is_told_what_they_can_try() {
        let told = |status: u16, body: &str, has_key: bool, posts: bool| {
            let wait = (status == 429).then_some(Millis(30_000));
            let (place, path, whose) = ("http://h:1", "/x", HintAudience::Remote);
            HttpRefusal {
                origin: place,
                path,
                status,
                retry_after: wait,
                body,
                audience: whose,
                has_key,
                unset_key_setting: None,
                is_post: posts,
            }
            .failure()
            .fault
            .message
        };
        for (status, body, has_key, posts, words) in [
            (401, "", false, true, "--token-env"),
            (401, "", true, true, "check the token"),
            (404, "", true, true, "attach to the bare address"),
            (404, r#"{"error":"model 'x' not found"}"#, true, true, "-m"),
            (405, "", true, true, "--method get"),
            (405, "", true, false, "can't be watched"),
            (422, r#"{"detail":[{"msg":"Field required"}]}"#, true, true, "--request"),
            (429, "", true, true, "wait 30.0 s"),
            (500, "", true, true, "try again later"),
        ] {
            let told = told(status, body, has_key, posts);
            assert!(told.contains(words), "{status}: {told}");
            assert!(!told.contains("base URL") && !told.contains("/model"), "{told}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(None, Some("7"), None), Some(Millis(7000)));
        assert_eq!(retry_after(Some("250"), Some("7"), None), Some(Millis(250)));
        let (date, later) = ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(retry_after(None, Some(later), Some(date)), Some(Millis(30_000)));
        assert_eq!(retry_after(None, Some(date), Some(later)), Some(Millis(0)));
        assert_eq!(retry_after(None, Some(later), None), None);
        assert_eq!(retry_after(None, Some("-3"), None), None);
        assert_eq!(retry_after(None, Some("soon"), None), None);
    }
}
