//! The HTTP client: requests made, refusals turned into faults, secrets kept out of both.
//!
//! Clients are built when first needed and off the loop's thread: loading certificates takes milliseconds, and on a
//! machine without any it fails, which must not keep a plain local server from working. Redirects are never followed,
//! since a key may not travel to another host.

mod certificate;
mod proxy;
mod tls;
mod untrusted;
mod why;

use std::error::Error as _;
use std::io::ErrorKind;
use std::sync::{Arc, OnceLock};
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
use super::redact::Redactor;
use super::status::{Failure, Whose};
use crate::event::{Fault, FaultKind, Json};
use crate::text::address::{self, is_loopback_url};
use proxy::{Proxies, Route};
use why::{cut, other_scheme, refusal, tls_error, unsent};

/// Bytes of a refusal's body that are read.
const REFUSAL: usize = 4096;
/// Bytes of a JSON answer that are read.
const JSON: usize = 8 * 1024 * 1024;
/// How long the body of a refusal is waited for.
const REFUSAL_TIME: Duration = Duration::from_secs(5);
/// How long HTTPS with this machine may take to be agreed on.
const NEAR: Duration = Duration::from_secs(4);
/// How long a port may take to show that it speaks the other scheme.
const OTHER_SCHEME: Duration = Duration::from_secs(2);

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
    proxies: OnceLock<Proxies>,
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
        Self {
            shared: Arc::new(Shared { connect, clients: Default::default(), proxies: OnceLock::new() }),
            tap: None,
            whose: Whose::Engine,
        }
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
        let url = parse(&call.url, self.whose).map_err(|failure| failure.fault)?;
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
            let mut json = serde_json::from_slice(&body).map_err(|_| {
                let text = format!("{place}{} answered with something that is not JSON; check the URL", url.path());
                Fault::new(FaultKind::Protocol, text)
            })?;
            Redactor::of(call).blank_json(&mut json);
            Ok(json)
        };
        tokio::time::timeout(timeout, get).await.unwrap_or_else(|_| {
            let text = format!("{place} did not answer within {} ms", timeout.as_millis());
            Err(Fault::new(FaultKind::TimedOut, text))
        })
    }

    /// Makes a call whose answer says nothing but that it was accepted.
    pub async fn tell(&self, call: &HttpCall, timeout: Duration) -> Result<(), Failure> {
        let place = place(&parse(&call.url, self.whose)?);
        let told = async { self.send(call, &[]).await.map(drop) };
        tokio::time::timeout(timeout, told).await.unwrap_or_else(|_| {
            let text = format!("{place} did not answer within {} ms", timeout.as_millis());
            Err(Failure::passing(FaultKind::TimedOut, text))
        })
    }

    /// Says why there is no answer. What may be due to the wrong scheme is found out: it is asked by the other one.
    async fn unanswered(&self, url: &Url, error: reqwest::Error, route: &Route) -> Failure {
        let doubtful = match url.scheme() {
            "https" => {
                error.is_connect()
                    && !is_refused(&error)
                    && !matches!(tls_error(&error), Some(rustls::Error::InvalidCertificate(_)))
            }
            _ => !error.is_connect() && !error.is_timeout(),
        };
        let failure = unsent(url, error, route, self.whose);
        if doubtful
            && *route == Route::Direct
            && let Some(other) = self.speaks_other(url).await
        {
            return other_scheme(url, &other, self.whose);
        }
        failure
    }

    /// Asks the same port by the other scheme for nothing, without any key, and returns the address if it answers so.
    async fn speaks_other(&self, url: &Url) -> Option<Url> {
        let port = url.port_or_known_default()?;
        let scheme = if url.scheme() == "https" { "http" } else { "https" };
        let other = Url::parse(&format!("{scheme}://{}:{port}/", url.host_str()?)).ok()?;
        let client = self.client(Kind::of(&other, &Route::Direct)).await.ok()?;
        match tokio::time::timeout(OTHER_SCHEME, client.get(other.clone()).send()).await.ok()? {
            Ok(_) => Some(other),
            // Whom we don't trust speaks it all the same.
            Err(error) => matches!(tls_error(&error)?, rustls::Error::InvalidCertificate(_)).then_some(other),
        }
    }

    async fn send(&self, call: &HttpCall, extra: &[(HeaderName, &'static str)]) -> Result<reqwest::Response, Failure> {
        let url = parse(&call.url, self.whose)?;
        let mut headers = headers(call)?;
        for (name, value) in extra {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        let route = self.shared.proxies().route(&url)?;
        let client = self.client(Kind::of(&url, &route)).await?;
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
        let response = match request.headers(headers).send().await {
            Ok(response) => response,
            Err(error) => return Err(self.unanswered(&url, error, &route).await),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(refusal(call, &url, response, &route, self.whose).await)
    }

    /// Asks for another protocol on the connection; returns the headers of the consent, and the connection. Proxies are
    /// passed by, since few let another protocol through.
    pub(super) async fn upgrade(&self, call: &HttpCall) -> Result<(HeaderMap, reqwest::Upgraded), Failure> {
        let url = parse(&call.url, self.whose)?;
        let place = place(&url);
        let (kind, connect) = (Kind::of(&url, &Route::Direct), self.shared.connect);
        // The newer versions of HTTP have no such thing. Too rare to keep a client for.
        let client = built(move || Ok(kind.builder(connect, true)?.http1_only().no_proxy())).await?;
        let request = client.get(url.clone()).headers(headers(call)?);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.unanswered(&url, error, &Route::Direct).await),
        };
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let headers = response.headers().clone();
            let upgraded = response.upgrade().await.map_err(|error| unsent(&url, error, &Route::Direct, self.whose))?;
            return Ok((headers, upgraded));
        }
        if status.is_success() {
            let text = format!("{place}{} is not a WebSocket: it answered with a page or a document", url.path());
            return Err(Failure::last(FaultKind::BadRequest, text));
        }
        Err(refusal(call, &url, response, &Route::Direct, self.whose).await)
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
        slot.get_or_try_init(|| built(move || kind.builder(connect, false))).await.cloned()
    }
}

impl Shared {
    fn proxies(&self) -> &Proxies {
        self.proxies.get_or_init(Proxies::from_env)
    }
}

/// Builds a client off the loop's thread.
async fn built(builder: impl FnOnce() -> Result<ClientBuilder, String> + Send + 'static) -> Result<Client, Failure> {
    let build = move || builder()?.build().map_err(|error| why::root(&error));
    let built = tokio::task::spawn_blocking(build).await.unwrap_or_else(|error| Err(error.to_string()));
    built.map_err(|why| Failure::last(FaultKind::Network, format!("HTTPS can't be set up: {why}")))
}

/// Nothing listens there at all.
fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            return true;
        }
        source = cause.source();
    }
    false
}

impl Kind {
    fn of(url: &Url, route: &Route) -> Self {
        let secure_proxy = matches!(route, Route::Proxy(proxy) if proxy.secure);
        Self { secure: url.scheme() == "https" || secure_proxy, loopback: is_loopback_url(url) }
    }

    fn index(self) -> usize {
        usize::from(self.secure) * 2 + usize::from(self.loopback)
    }

    fn builder(self, connect: Duration, http1_only: bool) -> Result<ClientBuilder, String> {
        // A plain server takes the first bytes of HTTPS for a request that is still coming, and waits.
        let connect = if self.secure && self.loopback { connect.min(NEAR) } else { connect };
        let builder = Client::builder()
            .user_agent(concat!("jarvis-tui/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect)
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(redirect::Policy::none());
        let builder = if self.secure {
            builder.tls_backend_preconfigured(tls::config(http1_only)?)
        } else {
            builder.tls_certs_only([])
        };
        Ok(if self.loopback { builder.no_proxy() } else { builder })
    }
}

fn parse(url: &str, whose: Whose) -> Result<Url, Failure> {
    address::read(url).map_err(|why| {
        let text = format!("the address can't be used: {why}; correct it {}", whose.written());
        Failure::last(FaultKind::BadRequest, text)
    })
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
            Value::Unset(_) => continue,
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
            assert_eq!(parse(url, Whose::Engine).unwrap_err().fault.kind, FaultKind::BadRequest, "{url}");
        }
    }
}
