//! The page for browsers at `/`, and how a browser signs in.
//!
//! Its files are embedded as they are and say nothing about any session, so they need no token. The content policy lets
//! it run its own scripts, talk to this server, and nothing else; text becomes part of it as text. `/` is the page for
//! who asks for HTML; others, such as Ollama's clients, get a line that says that somebody is here.

use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, SET_COOKIE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::routing::get;
use axum::{Json as JsonBody, Router};
use serde_json::json;

use super::Surface;
use super::access::{BodyBytes, LOGIN_PATH, TokenKind};
use super::error::{self, ApiError};
use super::fields;
use super::logins::{self, LoginKind};
use super::state::ServerState;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &[], error_format: error::native_error_body };

/// No inline code, no code made of text, no other hosts, and no other page around it.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                              connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                              require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const INDEX: &str = include_str!("../../assets/page/index.html");

/// Name, type and text of each file.
const FILES: &[(&str, &str, &str)] = &[
    ("page.css", "text/css; charset=utf-8", include_str!("../../assets/page/page.css")),
    ("page.js", SCRIPT, include_str!("../../assets/page/page.js")),
    ("api.js", SCRIPT, include_str!("../../assets/page/api.js")),
    ("approvals.js", SCRIPT, include_str!("../../assets/page/approvals.js")),
    ("branches.js", SCRIPT, include_str!("../../assets/page/branches.js")),
    ("timeline.css", "text/css; charset=utf-8", include_str!("../../assets/page/timeline.css")),
    ("timeline.js", SCRIPT, include_str!("../../assets/page/timeline.js")),
    ("text.js", SCRIPT, include_str!("../../assets/page/text.js")),
    ("transcript.js", SCRIPT, include_str!("../../assets/page/transcript.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../assets/page/icon.svg")),
];

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/", get(index))
        .route("/page/{name}", get(page_file))
        .route(LOGIN_PATH, get(login).post(sign_in).delete(sign_out))
}

async fn index(headers: HeaderMap) -> Response<Body> {
    let accepts = |accept: &HeaderValue| accept.to_str().is_ok_and(|accept| accept.contains("text/html"));
    let mut response = if headers.get_all(ACCEPT).iter().any(accepts) {
        file_response(HTML, INDEX)
    } else {
        file_response("text/plain; charset=utf-8", "jarvis-tui is running")
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

async fn page_file(Path(name): Path<String>) -> Response<Body> {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => file_response(kind, text),
        None => ApiError::not_found(format!("unknown path /page/{name}")).to_response(error::native_error_body),
    }
}

fn file_response(kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        // After an update the page must fit the server.
        (CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Says whether the browser has a cookie that could be taken back.
async fn login(Shared(state): Shared<ServerState>, headers: HeaderMap) -> Response<Body> {
    json_response(&json!({ "signed_in": state.logins().find(&headers).is_some() }), None)
}

/// Takes a token and gives a cookie.
async fn sign_in(Shared(state): Shared<ServerState>, headers: HeaderMap, BodyBytes(body): BodyBytes) -> Response<Body> {
    let answer = async {
        let fields = fields::parse_object(&body)?;
        let token = fields::get_required_string(&fields, "token", "")?;
        let kind = match TokenKind::of(state.settings(), token) {
            // Everybody is let in.
            _ if !state.settings().tokens.are_set() => return Ok(json_response(&json!({ "signed_in": false }), None)),
            Some(TokenKind::Full) => LoginKind::FullToken,
            Some(TokenKind::Read) => LoginKind::ReadToken,
            None => {
                let unknown = || ApiError::new(401, "unauthorized", "unknown token, or a link that is over");
                LoginKind::Link(state.read_links().find(token).ok_or_else(unknown)?)
            }
        };
        let value = state.logins().sign_in(kind);
        let cookie = logins::set_cookie(Some(&value), host(&headers), state.settings().is_public_secure())?;
        Ok(json_response(&json!({ "signed_in": true }), Some(cookie)))
    };
    answer.await.unwrap_or_else(|refused: ApiError| refused.to_response(error::native_error_body))
}

async fn sign_out(Shared(state): Shared<ServerState>, headers: HeaderMap) -> Response<Body> {
    state.logins().sign_out(&headers);
    match logins::set_cookie(None, host(&headers), state.settings().is_public_secure()) {
        Ok(cookie) => json_response(&json!({ "signed_in": false }), Some(cookie)),
        Err(refused) => refused.to_response(error::native_error_body),
    }
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn json_response(body: &crate::event::Json, cookie: Option<HeaderValue>) -> Response<Body> {
    let mut response = axum::response::IntoResponse::into_response(JsonBody(body));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_served() {
        let all: String = FILES.iter().map(|(_, _, text)| *text).chain([INDEX]).collect();
        for (name, _, _) in FILES {
            let named = [format!("page/{name}\""), format!("./{name}\"")];
            assert!(named.iter().any(|named| all.contains(named)), "{name} is used");
        }
        let imports = all.split("from \"./").skip(1).chain(INDEX.split("=\"page/").skip(1));
        for import in imports {
            let name = import.split('"').next().unwrap();
            assert!(FILES.iter().any(|(known, _, _)| *known == name), "{name} exists");
        }
    }

    #[test]
    fn text_can_only_become_text() {
        for (name, _, text) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "srcdoc"]
            {
                assert!(!text.contains(way), "{name} uses {way}");
            }
        }
        for inline in ["<script>", "<style", " style=", " onclick=", "javascript:", "http://", "https://"] {
            assert!(!INDEX.contains(inline), "the page has {inline}");
        }
    }
}
