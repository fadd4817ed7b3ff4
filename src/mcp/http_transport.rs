//! Streamable HTTP by the HTTP client of this program: its proxies, certificates and limits hold for MCP as well, and no
//! redirect takes a token elsewhere.
//!
//! What the messages mean is the library's; here they are posted, and their answers read.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, SseError, StreamableHttpClient, StreamableHttpError,
    StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use sse_stream::{Sse, SseStream};

use super::login::McpLogin;
use crate::net::HttpClient;
use crate::net::failure::RequestFailure;
use crate::net::http::exchange::HttpExchange;
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use crate::text::one_line;

const SESSION_HEADER: &str = "mcp-session-id";
const LAST_EVENT_HEADER: &str = "last-event-id";
const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
/// Bytes of a message or event that are accepted.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
const MAX_ERROR_BYTES: usize = 16 * 1024;

type Failure = StreamableHttpError<HttpFailure>;

/// A server at an address, with the headers of the settings.
#[derive(Clone)]
pub(super) struct McpHttp {
    pub(super) http: HttpClient,
    pub(super) headers: Arc<[(String, HttpHeaderValue)]>,
    pub(super) login: Option<McpLogin>,
}

/// Why there was no answer, in words for the person.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct HttpFailure(String);

impl From<RequestFailure> for HttpFailure {
    fn from(failure: RequestFailure) -> Self {
        Self(failure.fault.message)
    }
}

fn failed(failure: RequestFailure) -> Failure {
    StreamableHttpError::Client(failure.into())
}

impl McpHttp {
    async fn exchange(
        &self,
        method: HttpMethod,
        url: &str,
        extra: Vec<(&str, String)>,
        custom: HashMap<HeaderName, HeaderValue>,
        body: Option<Bytes>,
    ) -> Result<HttpExchange, Failure> {
        let mut headers = self.headers.to_vec();
        if let Some(login) = &self.login {
            headers.extend(login.header().await.map(|header| ("authorization".to_owned(), header)));
        }
        let plain = |name: &str, value: &str| (name.to_owned(), HttpHeaderValue::Plain(value.to_owned()));
        headers.extend(extra.iter().map(|(name, value)| plain(name, value)));
        headers.extend(custom.iter().filter_map(|(name, value)| Some(plain(name.as_str(), value.to_str().ok()?))));
        let request = HttpRequest { method, url: url.to_owned(), headers, body, framing: Framing::Any };
        let answer = self.http.ask(&request).await.map_err(failed)?;
        match (answer.status, answer.header("www-authenticate")) {
            (401, challenge) => {
                let challenge = challenge.unwrap_or_default().to_owned();
                Err(StreamableHttpError::AuthRequired(AuthRequiredError::new(challenge)))
            }
            (403, Some(challenge)) => {
                let error = InsufficientScopeError::new(challenge.to_owned(), None);
                Err(StreamableHttpError::InsufficientScope(error))
            }
            (300..=399, _) => {
                let to = one_line(answer.header("location").unwrap_or("somewhere else"), 200);
                Err(unexpected(format!("the address redirects to {to}; put that into the settings")))
            }
            _ => Ok(answer),
        }
    }
}

fn unexpected(what: impl Into<String>) -> Failure {
    StreamableHttpError::UnexpectedServerResponse(what.into().into())
}

fn accepts(session: Option<Arc<str>>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("accept", format!("{EVENT_STREAM}, {JSON}"))];
    headers.extend(session.map(|session| (SESSION_HEADER, session.to_string())));
    headers
}

impl StreamableHttpClient for McpHttp {
    type Error = HttpFailure;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits).await
    }

    /// The limits are those of this file: the settings of the library are its own defaults.
    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        _: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let had_session = session_id.is_some();
        let body = Bytes::from(serde_json::to_vec(&message)?);
        let answer = self.exchange(HttpMethod::Post, &uri, accepts(session_id), custom_headers, Some(body)).await?;
        let needs_answer = matches!(message, ClientJsonRpcMessage::Request(_));
        let session = answer.header(SESSION_HEADER).map(str::to_owned);
        match answer.status {
            202 | 204 => return Ok(StreamableHttpPostResponse::Accepted),
            404 if had_session => return Err(StreamableHttpError::SessionExpired),
            200..=299 => {}
            status => return refusal(status, answer, &message, had_session, session).await,
        }
        if answer.is_type(EVENT_STREAM) {
            return Ok(StreamableHttpPostResponse::Sse(events(answer), session));
        }
        if !answer.is_type(JSON) {
            if !needs_answer {
                return Ok(StreamableHttpPostResponse::Accepted);
            }
            let kind = answer.header("content-type").map(|kind| one_line(kind, 100));
            return Err(StreamableHttpError::UnexpectedContentType(kind));
        }
        let body = answer.read(MAX_MESSAGE_BYTES).await.map_err(failed)?;
        let body = body.ok_or(StreamableHttpError::ResponseBodyTooLarge { max_size: MAX_MESSAGE_BYTES })?;
        match serde_json::from_slice(&body) {
            Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
            Err(_) if !needs_answer => Ok(StreamableHttpPostResponse::Accepted),
            Err(error) => Err(unexpected(format!("the answer is no message of the protocol: {error}"))),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        // A server that keeps none has nothing to delete.
        self.exchange(HttpMethod::Delete, &uri, accepts(Some(session_id)), custom_headers, None).await.map(drop)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let mut headers = accepts(session_id);
        headers.extend(last_event_id.map(|id| (LAST_EVENT_HEADER, id)));
        let answer = self.exchange(HttpMethod::Get, &uri, headers, custom_headers, None).await?;
        match answer.status {
            405 => Err(StreamableHttpError::ServerDoesNotSupportSse),
            200..=299 if answer.is_type(EVENT_STREAM) => Ok(events(answer)),
            200..=299 => Err(StreamableHttpError::UnexpectedContentType(
                answer.header("content-type").map(|kind| one_line(kind, 100)),
            )),
            status => Err(unexpected(format!("HTTP {status}"))),
        }
    }
}

/// Reads why a server refuses. The older ones refuse what asks for the newest revision; that is an answer.
async fn refusal(
    status: u16,
    answer: HttpExchange,
    message: &ClientJsonRpcMessage,
    had_session: bool,
    session: Option<String>,
) -> Result<StreamableHttpPostResponse, Failure> {
    let body = answer.read(MAX_ERROR_BYTES).await.map_err(failed)?.unwrap_or_default();
    let told = match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
        Ok(ServerJsonRpcMessage::Error(told)) => Some(told),
        _ => None,
    };
    let words = format!("HTTP {status}: {}", one_line(&String::from_utf8_lossy(&body), 300));
    if let ClientJsonRpcMessage::Request(request) = message
        && matches!(request.request, ClientRequest::DiscoverRequest(_))
        && !had_session
        && (400..500).contains(&status)
        && status != 403
    {
        // Its id may be none, or another word.
        let error = told.map_or_else(|| ErrorData::invalid_request(words, None), |told| told.error);
        let message = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
        return Ok(StreamableHttpPostResponse::Json(message, None));
    }
    match told {
        Some(told) if status != 403 => Ok(StreamableHttpPostResponse::Json(ServerJsonRpcMessage::Error(told), session)),
        _ => Err(unexpected(words)),
    }
}

/// Cuts a body into events, none of which is longer than a message may be.
fn events(answer: HttpExchange) -> BoxStream<'static, Result<Sse, SseError>> {
    let mut limit = EventLimit::default();
    let bytes = answer.body.map(move |chunk| {
        let chunk = chunk.map_err(HttpFailure::from)?;
        if !limit.admits(&chunk) {
            return Err(HttpFailure("an event of the server is too long".to_owned()));
        }
        Ok(chunk)
    });
    SseStream::from_bytes_stream(bytes).boxed()
}

/// Counts the bytes of an event until the blank line that ends it.
#[derive(Default)]
struct EventLimit {
    bytes: usize,
    ends_line: bool,
}

impl EventLimit {
    fn admits(&mut self, chunk: &[u8]) -> bool {
        for byte in chunk {
            self.bytes += 1;
            match byte {
                b'\n' if self.ends_line => self.bytes = 0,
                b'\n' => self.ends_line = true,
                b'\r' => {}
                _ => self.ends_line = false,
            }
            if self.bytes > MAX_MESSAGE_BYTES {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_an_end_or_is_too_long() {
        let mut limit = EventLimit::default();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            assert!(limit.admits(&line) && limit.admits(b"\r\n\r") && limit.admits(b"\n"));
        }
        let admitted = (0..100).take_while(|_| limit.admits(&line) && limit.admits(b"\n:")).count();
        assert!((14..=16).contains(&admitted), "{admitted}");
    }
}
