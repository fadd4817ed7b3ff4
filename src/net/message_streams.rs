//! A conversation in JSON-RPC over HTTP: the remote transport of the Agent Client Protocol
//! (agentclientprotocol.com/rfds/streamable-http-websocket-transport, and what its SDKs made of it).
//!
//! Every message goes by a POST of its own, one after another. The first is answered in its response, whose header names
//! the connection; everything else comes on event streams, one of the connection and one of each session. A server that
//! has only the first kind of stream is understood, too. Nothing is resumed: what ends a stream ends the conversation.

mod cookies;
mod stream;

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use self::cookies::CookieJar;
use self::stream::{StreamEvent, StreamItem, event_stream};
use super::failure::RequestFailure;
use super::http::{HttpClient, HttpResponse};
use super::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use crate::event::{Fault, FaultKind, Json};
use crate::text::display_url::origin;
use crate::text::human::size_limit;

/// Bytes of a message that are accepted: whole files come in one.
pub(super) const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// Requests of a server that wait for an answer.
const MAX_OPEN_QUESTIONS: usize = 1000;
const CONNECTION_HEADER: &str = "acp-connection-id";
const SESSION_HEADER: &str = "acp-session-id";
/// The request whose answer follows what the session's stream tells.
const LOAD_METHOD: &str = "session/load";
/// How long a session's stream is silent before the answer that comes on another one counts as the later of the two.
const STREAM_QUIET_TIME: Duration = Duration::from_millis(300);

/// A conversation at an address. It is driven by [`MessageStreams::next`] alone.
pub struct MessageStreams {
    http: HttpClient,
    /// Where, and with what headers.
    request: HttpRequest,
    connection: Option<String>,
    cookies: CookieJar,
    unsent: VecDeque<String>,
    posting: Option<BoxFuture<'static, PostEnd>>,
    streams: SelectAll<BoxStream<'static, StreamItem>>,
    /// Sessions whose stream was opened.
    sessions: HashSet<String>,
    /// The session of each request that the server waits to be answered, by its id.
    questions: HashMap<String, String>,
    /// What is known of each request of ours that waits for an answer, by its id.
    awaited: HashMap<String, AwaitedRequest>,
    received: VecDeque<String>,
    /// An answer that waits for the silence of its session's stream.
    held: Option<(String, Instant)>,
    end: ConversationEnd,
}

struct AwaitedRequest {
    session: Option<String>,
    is_load: bool,
}

/// A message that was posted, and what came of it.
struct PostEnd {
    /// The id of a request.
    id: Option<Json>,
    answer: Result<PostAnswer, RequestFailure>,
    is_last: bool,
}

struct PostAnswer {
    connection: Option<String>,
    cookies: CookieJar,
    body: String,
}

enum ConversationEnd {
    Open,
    /// It ends once everything is sent.
    Closing,
    Failed(RequestFailure),
    Over,
}

impl MessageStreams {
    /// Begins with the first message that is sent.
    pub fn open(http: &HttpClient, request: &HttpRequest) -> Self {
        Self {
            http: http.clone(),
            request: request.clone(),
            connection: None,
            cookies: CookieJar::default(),
            unsent: VecDeque::new(),
            posting: None,
            streams: SelectAll::new(),
            sessions: HashSet::new(),
            questions: HashMap::new(),
            awaited: HashMap::new(),
            received: VecDeque::new(),
            held: None,
            end: ConversationEnd::Open,
        }
    }

    /// Queues a message.
    pub fn send(&mut self, text: String) {
        self.unsent.push_back(text);
    }

    /// Has the connection end once everything is sent.
    pub fn close(&mut self) {
        if matches!(self.end, ConversationEnd::Open) {
            self.end = ConversationEnd::Closing;
        }
    }

    /// Returns the next message. None is an orderly end, and after a failure comes nothing. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<String, RequestFailure>> {
        loop {
            if let Some(message) = self.received.pop_front() {
                return Some(Ok(message));
            }
            match mem::replace(&mut self.end, ConversationEnd::Over) {
                ConversationEnd::Failed(failure) => return Some(Err(failure)),
                ConversationEnd::Over => return None,
                open => self.end = open,
            }
            self.begin_post();
            let released_at = self.held.as_ref().map(|(_, at)| *at);
            tokio::select! {
                biased;
                Some(item) = self.streams.next(), if !self.streams.is_empty() => self.handle_item(item),
                ended = next_post(&mut self.posting) => self.handle_post_end(ended),
                () = sleep_until(released_at.unwrap_or_else(Instant::now)), if released_at.is_some() => {
                    self.received.extend(self.held.take().map(|(message, _)| message));
                }
            }
        }
    }

    /// Sends what is next, unless something is being sent.
    fn begin_post(&mut self) {
        if self.posting.is_some() {
            return;
        }
        let is_closing = matches!(self.end, ConversationEnd::Closing);
        match (self.unsent.pop_front(), &self.connection) {
            (Some(text), _) => self.post_message(text),
            (None, Some(_)) if is_closing => {
                let call = HttpRequest { method: HttpMethod::Delete, ..self.call(None, Framing::Any) };
                self.posting = Some(post(self.http.clone(), call, None, true));
            }
            (None, None) if is_closing => self.end = ConversationEnd::Over,
            (None, _) => {}
        }
    }

    fn post_message(&mut self, text: String) {
        let message: Json = serde_json::from_str(&text).unwrap_or_default();
        let id = message.get("id").filter(|id| !id.is_null());
        let method = message.get("method").and_then(Json::as_str);
        let session = match (method, id) {
            (None, Some(id)) => self.questions.remove(&id.to_string()),
            _ => named_session(message.get("params")),
        };
        if let Some(session) = &session {
            self.open_stream(Some(session));
        }
        let asked = id.filter(|_| method.is_some()).cloned();
        if let Some(id) = &asked {
            let request = AwaitedRequest { session: session.clone(), is_load: method == Some(LOAD_METHOD) };
            self.awaited.insert(id.to_string(), request);
        }
        let call = HttpRequest {
            method: HttpMethod::Post,
            body: Some(text.into()),
            ..self.call(session.as_deref(), Framing::Any)
        };
        self.posting = Some(post(self.http.clone(), call, asked, false));
    }

    /// Returns a request of this connection; a session makes it one of that.
    fn call(&self, session: Option<&str>, framing: Framing) -> HttpRequest {
        let mut call = HttpRequest { method: HttpMethod::Get, framing, ..self.request.clone() };
        let ids = [(CONNECTION_HEADER, self.connection.as_deref()), (SESSION_HEADER, session)];
        let named = ids.into_iter().filter_map(|(name, id)| Some((name, id?)));
        call.headers.extend(named.map(|(name, id)| (name.to_owned(), HttpHeaderValue::Plain(id.to_owned()))));
        let cookies = self.cookies.header(&call.headers);
        call.headers.extend(cookies);
        call
    }

    /// Opens the stream of the connection or of a session, unless it is open.
    fn open_stream(&mut self, session: Option<&str>) {
        if session.is_none_or(|session| self.sessions.insert(session.to_owned())) {
            let call = self.call(session, Framing::Sse);
            self.streams.push(event_stream(self.http.clone(), call, session.map(str::to_owned)));
        }
    }

    fn fail(&mut self, failure: impl Into<RequestFailure>) {
        self.received.extend(self.held.take().map(|(message, _)| message));
        self.end = ConversationEnd::Failed(failure.into());
    }

    fn handle_post_end(&mut self, PostEnd { id, answer, is_last }: PostEnd) {
        let closes = matches!(self.end, ConversationEnd::Closing);
        match answer {
            _ if is_last => self.end = ConversationEnd::Over,
            Ok(answer) => self.handle_post_answer(answer),
            Err(_) if closes => self.end = ConversationEnd::Over,
            Err(failure) if self.connection.is_none() => self.fail(failure),
            // Only this request is refused: it is answered so.
            Err(RequestFailure { fault, .. }) if id.is_some() && fault.kind == FaultKind::BadRequest => {
                let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": fault.message}});
                self.handle_message(error.to_string(), None);
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn handle_post_answer(&mut self, PostAnswer { connection, cookies, body }: PostAnswer) {
        self.cookies.merge(cookies);
        let is_first = self.connection.is_none();
        if is_first && let Some(connection) = connection {
            self.connection = Some(connection);
            self.open_stream(None);
        }
        let message: Option<Json> = serde_json::from_str(&body).ok();
        let is_message = message.as_ref().is_some_and(|message| message.get("jsonrpc").is_some());
        let is_refused = message.as_ref().is_some_and(|message| message.get("error").is_some());
        if is_first && (!is_message || (self.connection.is_none() && !is_refused)) {
            let place = origin(&self.request.url);
            let text = format!("{place} did not answer as an agent over HTTP does; check the address");
            return self.fail(Fault::new(FaultKind::Protocol, text));
        }
        if is_message {
            self.handle_message(body, None);
        }
    }

    fn handle_item(&mut self, StreamItem { session, event }: StreamItem) {
        match event {
            StreamEvent::Opened(cookies) => self.cookies.merge(cookies),
            StreamEvent::Messages(messages) => {
                for message in messages {
                    self.handle_message(message, session.as_deref());
                }
                if let Some((_, at)) = self.held.as_mut().filter(|_| session.is_some()) {
                    *at = Instant::now() + STREAM_QUIET_TIME;
                }
            }
            // A server may have one stream for all.
            StreamEvent::Refused(failure) if session.is_some() && failure.fault.kind == FaultKind::BadRequest => {}
            StreamEvent::Refused(failure) => self.fail(failure),
            StreamEvent::Ended(_) if matches!(self.end, ConversationEnd::Closing) => {}
            // It is opened again when it is needed.
            StreamEvent::Ended(None) if session.is_some() && !self.waits_for(session.as_deref()) => {
                self.sessions.retain(|open| Some(open) != session.as_ref());
            }
            StreamEvent::Ended(failure) => {
                let text = format!("{} closed the connection", origin(&self.request.url));
                self.fail(failure.unwrap_or_else(|| RequestFailure::transient(FaultKind::Network, text)));
            }
        }
    }

    fn waits_for(&self, session: Option<&str>) -> bool {
        self.awaited.values().any(|request| request.session.as_deref() == session)
    }

    /// Takes a message in, which came on the stream of a session, or elsewhere.
    fn handle_message(&mut self, text: String, session: Option<&str>) {
        let message: Json = serde_json::from_str(&text).unwrap_or_default();
        let id = message.get("id").filter(|id| !id.is_null()).map(Json::to_string);
        let is_request = message.get("method").is_some();
        match id {
            Some(id) if is_request => {
                let session = session.map(str::to_owned).or_else(|| named_session(message.get("params")));
                if let Some(session) = session.filter(|_| self.questions.len() < MAX_OPEN_QUESTIONS) {
                    self.questions.insert(id, session);
                }
            }
            Some(id) => {
                let asked = self.awaited.remove(&id);
                if let Some(opened) = named_session(message.get("result")) {
                    self.open_stream(Some(&opened));
                }
                let is_told_elsewhere = session.is_none() && message.get("result").is_some();
                if asked.is_some_and(|asked| asked.is_load && is_told_elsewhere) {
                    self.held = Some((text, Instant::now() + STREAM_QUIET_TIME));
                    return;
                }
            }
            None => {}
        }
        self.received.push_back(text);
    }
}

/// Returns the session that parameters or a result name.
fn named_session(part: Option<&Json>) -> Option<String> {
    part?.get("sessionId")?.as_str().map(str::to_owned)
}

/// Sends a message and reads what is answered.
fn post(http: HttpClient, call: HttpRequest, id: Option<Json>, is_last: bool) -> BoxFuture<'static, PostEnd> {
    async move {
        let answer = async {
            let HttpResponse { head, cookies, mut body } = http.open_stream(&call).await?;
            let mut bytes = Vec::new();
            while let Some(chunk) = body.next().await {
                bytes.extend_from_slice(&chunk?);
                if bytes.len() > MAX_MESSAGE_BYTES {
                    let (place, limit) = (origin(&call.url), size_limit(MAX_MESSAGE_BYTES));
                    let text = format!("{place} sent a message of more than {limit}");
                    return Err(Fault::new(FaultKind::Protocol, text).into());
                }
            }
            Ok(PostAnswer {
                connection: head.header(CONNECTION_HEADER).map(str::to_owned),
                cookies: CookieJar::of(&cookies),
                body: String::from_utf8_lossy(&bytes).into_owned(),
            })
        };
        PostEnd { id, answer: answer.await, is_last }
    }
    .boxed()
}

/// Returns how the post that is under way ends; never ready where there is none. Cancel-safe.
async fn next_post(posting: &mut Option<BoxFuture<'static, PostEnd>>) -> PostEnd {
    match posting {
        Some(under_way) => {
            let ended = under_way.await;
            *posting = None;
            ended
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
