//! PURE. A2A by JSON-RPC and by REST: the newest prompt, and which context and task it belongs to.

use serde_json::json;

use super::RemoteTarget;
use super::interrupts::answered_interrupts;
use super::probe::{ProbeAnswers, ProbedServer, is_path_segment};
use super::protocol::{JsonProtocol, last_images, last_prompt};
use super::request_kind::RequestKind;
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::{Json, PromptImage};
use crate::net::request::{HttpHeaderValue, HttpRequest};
use crate::text::address::{path_and_query, with_scheme};

/// A2A 0.3 by JSON-RPC, also where it stands at the path of the REST binding.
pub(super) static V0_3: RequestKind = RequestKind {
    name: "a2a",
    takes_images: true,
    wanted_fields: &[&["jsonrpc"]],
    is_at: |path, _| path.contains("/a2a/"),
    cancel: Some(|target, task| Some(target.post(Vec::new(), &call("tasks/cancel", task, &json!({"id": task}))))),
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

/// A2A 1.0 by JSON-RPC.
pub(super) static V1: RequestKind = RequestKind {
    name: "a2a-1.0",
    takes_images: true,
    cancel: Some(|target, task| Some(target.post(version_header(), &call("CancelTask", task, &json!({"id": task}))))),
    protocol: Some(|_| Box::new(JsonProtocol { body: body_v1, headers: VERSION_HEADERS })),
    ..RequestKind::NEW
};

/// A2A 1.0 by REST.
pub(super) static REST_V1: RequestKind = RequestKind {
    name: "a2a-rest",
    takes_images: true,
    default_path: STREAM_PATH,
    is_at: |path, _| path.ends_with(STREAM_PATH),
    cancel: Some(|target, task| cancel_by_rest(target, version_header(), task)),
    protocol: Some(|_| Box::new(JsonProtocol { body: rest_body_v1, headers: VERSION_HEADERS })),
    ..RequestKind::NEW
};

/// A2A 0.3 by REST, as servers write it that make JSON of the protocol's buffers.
pub(super) static REST_V0_3: RequestKind = RequestKind {
    name: "a2a-rest-0.3",
    takes_images: true,
    default_path: "/v1/message:stream",
    is_at: |path, _| path.ends_with("/v1/message:stream"),
    cancel: Some(|target, task| cancel_by_rest(target, Vec::new(), task)),
    protocol: Some(|_| JsonProtocol::boxed(rest_body)),
    ..RequestKind::NEW
};

/// The path of answers in the REST binding, below the address of the agent.
const STREAM_PATH: &str = "/message:stream";
const VERSION_HEADERS: &[(&str, &str)] = &[("a2a-version", "1.0")];

fn version_header() -> Vec<(String, HttpHeaderValue)> {
    VERSION_HEADERS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), HttpHeaderValue::Plain((*value).to_owned())))
        .collect()
}

fn cancel_by_rest(target: &RemoteTarget, headers: Vec<(String, HttpHeaderValue)>, task: &str) -> Option<HttpRequest> {
    let base = target.url.split(['?', '#']).next()?.strip_suffix(STREAM_PATH).filter(|_| is_path_segment(task))?;
    let request = target.post(headers, &json!({}));
    Some(HttpRequest { url: with_scheme(&format!("{base}/tasks/{task}:cancel")), ..request })
}

fn body(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let file = |image: &PromptImage| {
        let file = json!({"bytes": image.base64(), "mimeType": image.media_type.media_type()});
        json!({"kind": "file", "file": file})
    };
    let text = json!({"kind": "text", "text": last_prompt(request).unwrap_or_default()});
    let parts = parts(text, file, request);
    let id = message_id(target, request);
    let message = json!({"kind": "message", "role": "user", "parts": parts, "messageId": id});
    call("message/stream", &id, &send_params(message, request))
}

fn body_v1(target: &RemoteTarget, request: &ModelRequest) -> Json {
    call("SendStreamingMessage", &message_id(target, request), &rest_body_v1(target, request))
}

fn rest_body_v1(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let file = |image: &PromptImage| json!({"raw": image.base64(), "mediaType": image.media_type.media_type()});
    let parts = parts(json!({"text": last_prompt(request).unwrap_or_default()}), file, request);
    send_params(json!({"role": "ROLE_USER", "parts": parts, "messageId": message_id(target, request)}), request)
}

fn rest_body(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let file = |image: &PromptImage| json!({"file": {"fileWithBytes": image.base64(), "mimeType": image.media_type.media_type()}});
    let content = parts(json!({"text": last_prompt(request).unwrap_or_default()}), file, request);
    send_params(json!({"role": "ROLE_USER", "content": content, "messageId": message_id(target, request)}), request)
}

/// Returns the newest prompt: its text, then its images.
fn parts(text: Json, file: impl Fn(&PromptImage) -> Json, request: &ModelRequest) -> Json {
    [text].into_iter().chain(last_images(request).iter().map(file)).collect()
}

fn send_params(mut message: Json, request: &ModelRequest) -> Json {
    add_context_ids(&mut message, request);
    json!({"message": message, "configuration": {"acceptedOutputModes": ["text/plain"]}})
}

fn call(method: &str, id: &str, params: &Json) -> Json {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// Adds the ids of the context, and of the task that waits for an answer, from the agent's last message.
fn add_context_ids(message: &mut Json, request: &ModelRequest) {
    let metadata = request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::Assistant { provider_metadata: Some(metadata), .. } => Some(metadata),
        _ => None,
    });
    let Some(metadata) = metadata else { return };
    // A task that is over takes no more messages.
    let waiting = answered_interrupts(request).and_then(|answer| answer.interrupts.first());
    for (key, holder) in [("contextId", Some(metadata)), ("taskId", waiting), ("contextId", waiting)] {
        if let Some(value) = holder.and_then(|holder| holder.get(key)).filter(|value| value.is_string()) {
            message[key] = value.clone();
        }
    }
}

fn message_id(target: &RemoteTarget, request: &ModelRequest) -> String {
    format!("{}-{}", target.thread_id, request.history.len())
}

/// Identifies an agent by its card.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let (path, card) = ["/.well-known/agent-card.json", "/.well-known/agent.json"]
        .into_iter()
        .filter_map(|path| Some((path, answers.get(path)?)))
        .find(|(_, card)| is_card(card))?;
    let (kind, url) = access(card);
    Some(ProbedServer {
        description: describe(card),
        evidence: format!("{path} is an agent card"),
        ..answers.server(kind, &url)
    })
}

/// Returns whether it is a card. Servers that make JSON of the protocol's buffers leave out what is empty, so that even the
/// skills may be missing.
fn is_card(card: &Json) -> bool {
    let has = |key: &str| card.get(key).is_some();
    has("name") && (has("skills") || has("supportedInterfaces") || (has("url") && has("capabilities")))
}

fn describe(card: &Json) -> String {
    format!("the A2A agent {:?}", card.get("name").and_then(Json::as_str).unwrap_or_default())
}

/// Returns the address of an agent's card, where a URL is that or names the agent in its query.
pub fn card_url(url: &str) -> Option<String> {
    let (path, query) = path_and_query(url);
    let origin = url.split(['?', '#']).next()?.strip_suffix(path)?;
    if path.ends_with("/agent-card.json") || path.ends_with("/agent.json") {
        return Some(url.to_owned());
    }
    let is_named = matches!(path, "" | "/") && query.split('&').any(|pair| pair.starts_with("assistant_id="));
    is_named.then(|| format!("{origin}/.well-known/agent-card.json?{query}"))
}

/// Returns the kind of request, the URL of the agent on the card's own host, and what it is.
pub fn read_card(card_url: &str, card: &Json) -> Option<(&'static RequestKind, String, String)> {
    if !is_card(card) {
        return None;
    }
    let (path, _) = path_and_query(card_url);
    let origin = card_url.split(['?', '#']).next()?.strip_suffix(path)?;
    let (kind, path) = access(card);
    Some((kind, format!("{origin}{path}"), describe(card)))
}

/// Returns kind and path of an agent from its card. The URL in the card may only resolve on the agent's own machine.
fn access(card: &Json) -> (&'static RequestKind, String) {
    let word = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let listed = ["supportedInterfaces", "interfaces", "additionalInterfaces"];
    let listed = listed.iter().find_map(|key| card.get(*key)?.as_array()).map(Vec::as_slice).unwrap_or_default();
    let binding = |one: &Json| word(one, "protocolBinding").or_else(|| word(one, "transport"));
    let is_rest = |name: Option<String>| name.is_some_and(|name| name.eq_ignore_ascii_case("http+json"));
    let is_rpc = |one: &&Json| binding(one).is_none_or(|name| name.eq_ignore_ascii_case("jsonrpc"));
    let by_rpc = listed.iter().find(is_rpc);
    let by_rest = listed.iter().find(|one| is_rest(binding(one)));
    let is_own_rest = is_rest(word(card, "preferredTransport"));
    let has_own_url = card.get("url").is_some_and(Json::is_string);
    let one = by_rpc.or(by_rest.filter(|_| !has_own_url || is_own_rest));
    let version = word(card, "protocolVersion").unwrap_or_default();
    let newer = |one: &Json| word(one, "protocolVersion").is_none_or(|version| version.starts_with('1'));
    let is_one = version.starts_with('1') || (version.is_empty() && one.is_some_and(newer));
    let uses_rest = by_rpc.is_none() && (is_own_rest || (one.is_some() && !has_own_url));
    let url = word(card, "url").filter(|_| !is_one || one.is_none()).or_else(|| word(one?, "url")).unwrap_or_default();
    let path = path_and_query(&url).0.trim_end_matches('/');
    match (is_one, uses_rest) {
        (true, true) => (&REST_V1, format!("{path}{STREAM_PATH}")),
        (false, true) => (&REST_V0_3, format!("{path}/v1{STREAM_PATH}")),
        (true, false) => (&V1, root_path(path)),
        (false, false) => (&V0_3, root_path(path)),
    }
}

fn root_path(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}
