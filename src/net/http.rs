//! The HTTP client: requests made, refusals turned into faults, secrets kept out of both.
//!
//! Clients are built when first needed and off the loop's thread: loading certificates takes milliseconds, and on a
//! machine without any it fails, which must not keep a plain local server from working. Redirects are never followed,
//! since a key may not travel to another host.

mod why;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, StatusCode, Url, redirect};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;

use super::call::{Framing, HttpCall, Method, Value};
use super::record::{Beside, Tap};
use super::status::{Failure, Whose};
use crate::event::{Fault, FaultKind, Json};
use why::{cut, refusal, root, unsent};

/// Bytes of a refusal's body that are read.
const REFUSAL: usize = 4096;
/// Bytes of a JSON answer that are read.
const JSON: usize = 8 * 1024 * 1024;
/// How long the body of a refusal is waited for.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// Makes requests. Cheap to construct and to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Http {
    shared: Arc<Shared>,
    /// Hears the bytes of every stream.
    tap: Option<Tap>,
    whose: Whose,
}

#[derive(Debug)]
struct Shared {
    connect: Duration,
    /// By [`Kind`].
    clients: [OnceCell<Client>; 4],
}

/// Which client a URL needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    secure: bool,
    loopback: bool,
}

/// An answer that has begun and was not refused.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: BoxStream<'static, Result<Bytes, Failure>>,
}

impl Default for Http {
    fn default() -> Self {
        Self::new(Duration::from_secs(10))
    }
}

impl Http {
    /// Makes an `Http` that gives up connecting after this time. Nothing is built yet.
    pub fn new(connect: Duration) -> Self {
        Self { shared: Arc::new(Shared { connect, clients: Default::default() }), tap: None, whose: Whose::Engine }
    }

    /// Returns one that shares the connections and lets this tap hear the bytes of every stream.
    #[must_use]
    pub fn tapped(&self, tap: Tap) -> Self {
        Self { tap: Some(tap), ..self.clone() }
    }

    /// Returns one whose faults say what to try to somebody who attached to an address.
    #[must_use]
    pub fn attached(&self) -> Self {
        Self { whose: Whose::Remote, ..self.clone() }
    }

    /// Builds the client that this URL needs, so that the first request need not.
    pub async fn warm(&self, url: &str) {
        if let Ok(url) = parse(url) {
            let _ = self.client(Kind::of(&url)).await;
        }
    }

    /// Sends a request for a stream and returns once its answer begins.
    pub async fn open(&self, call: &HttpCall) -> Result<Answer, Failure> {
        let accept = match call.framing {
            Framing::Sse => "text/event-stream",
            Framing::Ndjson => "application/x-ndjson",
            Framing::Any => "text/event-stream, application/x-ndjson;q=0.9, application/json;q=0.8, */*;q=0.1",
        };
        // A compressor on the way would hold tokens back.
        let response = self.send(call, &[(ACCEPT, accept), (ACCEPT_ENCODING, "identity")]).await?;
        let content_type = header(&response, &CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let place = place(response.url());
        let status = response.status().as_u16();
        let body = response.bytes_stream().map(move |chunk| chunk.map_err(|error| cut(&place, error))).boxed();
        let body = match &self.tap {
            Some(tap) => tap.clone().listen(call, status, &content_type, body).await,
            None => body,
        };
        Ok(Answer { status, content_type, body })
    }

    /// Gets a JSON value, all of it within `timeout`.
    pub async fn get_json(&self, url: &str, headers: &[(String, Value)], timeout: Duration) -> Result<Json, Fault> {
        let (url, headers) = (url.to_owned(), headers.to_vec());
        let call = HttpCall { method: Method::Get, url, headers, body: None, framing: Framing::Ndjson };
        self.json(&call, timeout).await
    }

    /// Makes a call whose answer is one JSON value, all of it within `timeout`.
    pub async fn json(&self, call: &HttpCall, timeout: Duration) -> Result<Json, Fault> {
        let url = parse(&call.url).map_err(|failure| failure.fault)?;
        let place = place(&url);
        let get = async {
            let response = self.send(call, &[(ACCEPT, "application/json")]).await.map_err(|failure| failure.fault)?;
            let mut body = Vec::new();
            let mut chunks = response.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|error| cut(&place, error).fault)?;
                if body.len() + chunk.len() > JSON {
                    return Err(Fault::new(FaultKind::Protocol, format!("{place} sent too much JSON")));
                }
                body.extend_from_slice(&chunk);
            }
            serde_json::from_slice(&body).map_err(|_| {
                let text = format!("{place}{} answered with something that is not JSON; check the URL", url.path());
                Fault::new(FaultKind::Protocol, text)
            })
        };
        tokio::time::timeout(timeout, get).await.unwrap_or_else(|_| {
            let text = format!("{place} did not answer within {} ms", timeout.as_millis());
            Err(Fault::new(FaultKind::TimedOut, text))
        })
    }

    /// Makes a call whose answer says nothing but that it was accepted.
    pub async fn tell(&self, call: &HttpCall, timeout: Duration) -> Result<(), Failure> {
        let place = place(&parse(&call.url)?);
        let told = async { self.send(call, &[]).await.map(drop) };
        tokio::time::timeout(timeout, told).await.unwrap_or_else(|_| {
            let text = format!("{place} did not answer within {} ms", timeout.as_millis());
            Err(Failure::passing(FaultKind::TimedOut, text))
        })
    }

    async fn send(&self, call: &HttpCall, extra: &[(HeaderName, &'static str)]) -> Result<reqwest::Response, Failure> {
        let url = parse(&call.url)?;
        let place = place(&url);
        let mut headers = headers(call)?;
        for (name, value) in extra {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        let client = self.client(Kind::of(&url)).await?;
        let request = match call.method {
            Method::Get => client.get(url.clone()),
            Method::Post => client.post(url.clone()),
        };
        let request = match &call.body {
            Some(body) => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                request.body(body.clone())
            }
            None => request,
        };
        let response =
            request.headers(headers).send().await.map_err(|error| unsent(&place, &url, error, self.whose))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(refusal(call, &url, response, self.whose).await)
    }

    /// Asks for another protocol on the connection; returns the headers of the consent, and the connection. Proxies are
    /// passed by, since few let another protocol through.
    pub(super) async fn upgrade(&self, call: &HttpCall) -> Result<(HeaderMap, reqwest::Upgraded), Failure> {
        let url = parse(&call.url)?;
        let place = place(&url);
        let (kind, connect) = (Kind::of(&url), self.shared.connect);
        // The newer versions of HTTP have no such thing. Too rare to keep a client for.
        let client = built(move || kind.builder(connect).http1_only().no_proxy().build()).await?;
        let request = client.get(url.clone()).headers(headers(call)?);
        let response = request.send().await.map_err(|error| unsent(&place, &url, error, self.whose))?;
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let headers = response.headers().clone();
            let upgraded = response.upgrade().await.map_err(|error| unsent(&place, &url, error, self.whose))?;
            return Ok((headers, upgraded));
        }
        if status.is_success() {
            let text = format!("{place}{} is no WebSocket: it answered with a page or a document", url.path());
            return Err(Failure::last(FaultKind::BadRequest, text));
        }
        Err(refusal(call, &url, response, self.whose).await)
    }

    /// Lets the tap hear a feed that such a connection carries.
    pub(super) fn beside(&self, call: &HttpCall) -> Option<Beside> {
        self.tap.as_ref()?.beside(call)
    }

    async fn client(&self, kind: Kind) -> Result<Client, Failure> {
        let Some(slot) = self.shared.clients.get(kind.index()) else {
            return Err(Failure::last(FaultKind::Internal, "no such HTTP client"));
        };
        let connect = self.shared.connect;
        slot.get_or_try_init(|| built(move || kind.build(connect))).await.cloned()
    }
}

/// Builds a client off the loop's thread.
async fn built(build: impl FnOnce() -> reqwest::Result<Client> + Send + 'static) -> Result<Client, Failure> {
    let broken = |text: String| Failure::last(FaultKind::Internal, text);
    let built = tokio::task::spawn_blocking(build).await;
    built
        .map_err(|_| broken("the HTTP client could not be built".into()))?
        .map_err(|error| broken(format!("cannot set up HTTPS: {}; install the system's CA certificates", root(&error))))
}

impl Kind {
    fn of(url: &Url) -> Self {
        Self { secure: url.scheme() == "https", loopback: is_loopback(url) }
    }

    fn index(self) -> usize {
        usize::from(self.secure) * 2 + usize::from(self.loopback)
    }

    fn build(self, connect: Duration) -> reqwest::Result<Client> {
        self.builder(connect).build()
    }

    fn builder(self, connect: Duration) -> ClientBuilder {
        let mut builder = Client::builder()
            .user_agent(concat!("jarvis-tui/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect)
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(redirect::Policy::none());
        if !self.secure {
            builder = builder.tls_certs_only([]);
        }
        if self.loopback {
            builder = builder.no_proxy();
        }
        builder
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback() || ip.is_unspecified())
}

fn parse(url: &str) -> Result<Url, Failure> {
    let bad = |why: &str| Failure::last(FaultKind::BadRequest, format!("the URL cannot be used: {why}"));
    let parsed = Url::parse(url).map_err(|error| bad(&error.to_string()))?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(parsed),
        scheme => Err(bad(&format!("it begins with {scheme}: in place of http: or https:"))),
    }
}

/// Scheme, host and port: what may be shown of a URL, which can hold a password or a key.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn header<'a>(response: &'a reqwest::Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

fn headers(call: &HttpCall) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Failure::last(FaultKind::BadRequest, format!("{name:?} cannot be the name of a header")))?;
        let value = match value {
            Value::Plain(text) => HeaderValue::from_str(text).map_err(|_| {
                Failure::last(FaultKind::BadRequest, format!("the header {name} holds what a header cannot"))
            }),
            Value::Secret(secret) => HeaderValue::from_str(secret.expose_secret().trim())
                .map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
                .map_err(|_| {
                    let text = "the API key holds characters that no key has; look for line breaks and quotes in it";
                    Failure::last(FaultKind::Auth, text)
                }),
        }?;
        headers.append(key, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn call(headers: Vec<(String, Value)>) -> HttpCall {
        HttpCall { method: Method::Get, url: "http://h/".into(), headers, body: None, framing: Framing::Sse }
    }

    fn secret(text: &str) -> Value {
        Value::Secret(SecretString::from(text))
    }

    #[test]
    fn loopback_is_known_in_every_spelling() {
        for url in [
            "http://localhost:1",
            "http://127.0.0.1",
            "http://127.9.9.9/x",
            "http://[::1]:8",
            "http://a.localhost",
            "http://0.0.0.0:3",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["http://localhost.example.org", "https://10.0.0.1", "http://127.0.0.1.nip.io"] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }

    #[test]
    fn secrets_are_sensitive_headers_and_print_as_dots() {
        let call = call(vec![("authorization".into(), secret("Bearer sk-12345678\n"))]);
        let headers = headers(&call).unwrap();
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(headers["authorization"], "Bearer sk-12345678");
        assert!(!format!("{call:?} {headers:?}").contains("sk-1"));
    }

    #[test]
    fn a_broken_key_is_a_fault_that_does_not_show_it() {
        let failure = headers(&call(vec![("authorization".into(), secret("Bearer sk-1\nsk-2"))])).unwrap_err();
        assert_eq!(failure.fault.kind, FaultKind::Auth);
        assert!(!failure.fault.message.contains("sk-"));
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_password() {
        let url = Url::parse("https://me:secret@example.org:8443/v1?key=abc").unwrap();
        assert_eq!(place(&url), "https://example.org:8443");
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["ftp://x/", "file:///etc/passwd", "nonsense", "http://"] {
            assert_eq!(parse(url).unwrap_err().fault.kind, FaultKind::BadRequest, "{url}");
        }
    }
}
