//! The HTTP client: requests made, refusals turned into faults, secrets kept out of both.
//!
//! Clients are built when first needed and off the loop's thread: loading certificates takes milliseconds, and on a
//! machine without any it fails, which must not keep a plain local server from working. Redirects are never followed,
//! since a key may not travel to another host.

mod certificate;
mod errors;
pub mod exchange;
mod proxy;
mod tls;
mod tls_errors;

use std::error::Error as _;
use std::io::ErrorKind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Client, ClientBuilder, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use super::cassette::Cassette;
use super::error_text::root_cause;
use super::failure::{HintAudience, RequestFailure};
use super::redact::Redactor;
use super::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use super::traffic::{SideChannelTap, TrafficTap};
use crate::dialect::ResponseHead;
use crate::event::{Fault, FaultKind, Json};
use crate::text::address::{self, is_loopback_url};
use errors::{broken_connection_failure, refusal_failure, send_failure, tls_error, wrong_scheme_failure};
use proxy::{Proxies, Route};

/// Bytes of a refusal's body that are read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// Bytes of a JSON answer that are read.
const MAX_JSON_BYTES: usize = 8 * 1024 * 1024;
/// How long the body of a refusal is waited for.
const REFUSAL_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long HTTPS with this machine may take to be agreed on.
const LOOPBACK_CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a port may take to show that it speaks the other scheme.
const SCHEME_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes requests. Cheap to construct and to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    shared: Arc<SharedClients>,
    /// Hears the bytes of every stream.
    tap: Option<TrafficTap>,
    audience: HintAudience,
    /// Records answers, or gives them.
    cassette: Option<Arc<Cassette>>,
}

#[derive(Debug)]
struct SharedClients {
    connect_timeout: Duration,
    /// By [`ClientKind`].
    clients: [OnceCell<Client>; 4],
    proxies: OnceLock<Proxies>,
}

/// Which client a URL needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClientKind {
    is_secure: bool,
    is_loopback: bool,
}

/// An answer that has begun and was not refused.
pub struct HttpResponse {
    pub head: ResponseHead,
    /// What the server wants to be told again, as it wrote it.
    pub cookies: Vec<SecretString>,
    pub body: BoxStream<'static, Result<Bytes, RequestFailure>>,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new(Duration::from_secs(10))
    }
}

impl HttpClient {
    /// Makes an `HttpClient` that gives up connecting after this time. Nothing is built yet.
    pub fn new(connect: Duration) -> Self {
        Self {
            shared: Arc::new(SharedClients {
                connect_timeout: connect,
                clients: Default::default(),
                proxies: OnceLock::new(),
            }),
            tap: None,
            audience: HintAudience::Engine,
            cassette: None,
        }
    }

    /// Returns one that shares the connections and lets this tap hear the bytes of every stream.
    #[must_use]
    pub fn with_tap(&self, tap: TrafficTap) -> Self {
        Self { tap: Some(tap), ..self.clone() }
    }

    /// Returns one that shares the connections and has answers recorded, or given, by a cassette.
    #[must_use]
    pub fn with_cassette(&self, cassette: Option<Cassette>) -> Self {
        Self { cassette: cassette.map(Arc::new), ..self.clone() }
    }

    /// Returns one whose faults say what to try to somebody who attached to an address.
    #[must_use]
    pub fn for_attached_remote(&self) -> Self {
        Self { audience: HintAudience::Remote, ..self.clone() }
    }

    /// Sends a request for a stream and returns once its answer begins.
    pub async fn open_stream(&self, call: &HttpRequest) -> Result<HttpResponse, RequestFailure> {
        let accept = match call.framing {
            Framing::Sse => "text/event-stream",
            Framing::Ndjson => "application/x-ndjson",
            Framing::Any => "text/event-stream, application/x-ndjson;q=0.9, application/json;q=0.8, */*;q=0.1",
        };
        // A compressor on the way would hold tokens back.
        let response = self.send(call, &[(ACCEPT, accept), (ACCEPT_ENCODING, "identity")]).await?;
        let head = response_head(&response, &Redactor::for_request(call));
        let place = display_origin(response.url());
        let set = response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = set.map(SecretString::from).collect();
        let body = response
            .bytes_stream()
            .map(move |chunk| chunk.map_err(|error| broken_connection_failure(&place, error)))
            .boxed();
        let body = match &self.tap {
            Some(tap) => tap.clone().record(call, &head, body).await,
            None => body,
        };
        Ok(HttpResponse { head, cookies, body })
    }

    /// Gets a JSON value, all of it within `timeout`.
    pub async fn get_json(
        &self,
        url: &str,
        headers: &[(String, HttpHeaderValue)],
        timeout: Duration,
    ) -> Result<Json, Fault> {
        self.request_json(&HttpRequest::get(url, headers.to_vec(), Framing::Ndjson), timeout).await
    }

    /// Makes a call whose answer is one JSON value, all of it within `timeout`.
    pub async fn request_json(&self, call: &HttpRequest, timeout: Duration) -> Result<Json, Fault> {
        let url = parse_url(&call.url, self.audience).map_err(|failure| failure.fault)?;
        let place = display_origin(&url);
        let get = async {
            let response = self.send(call, &[(ACCEPT, "application/json")]).await.map_err(|failure| failure.fault)?;
            let mut body = Vec::new();
            let mut chunks = response.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|error| broken_connection_failure(&place, error).fault)?;
                if body.len() + chunk.len() > MAX_JSON_BYTES {
                    return Err(Fault::new(FaultKind::Protocol, format!("{place} sent too much JSON")));
                }
                body.extend_from_slice(&chunk);
            }
            let mut json = serde_json::from_slice(&body).map_err(|_| {
                let text = format!("{place}{} did not return JSON; check the URL", url.path());
                Fault::new(FaultKind::Protocol, text)
            })?;
            Redactor::for_request(call).redact_json(&mut json);
            Ok(json)
        };
        tokio::time::timeout(timeout, get).await.unwrap_or_else(|_| {
            let text = format!("{place} did not respond within {} ms", timeout.as_millis());
            Err(Fault::new(FaultKind::TimedOut, text))
        })
    }

    /// Makes a call whose answer says nothing but that it was accepted.
    pub async fn send_expecting_success(&self, call: &HttpRequest, timeout: Duration) -> Result<(), RequestFailure> {
        let place = display_origin(&parse_url(&call.url, self.audience)?);
        let told = async { self.send(call, &[]).await.map(drop) };
        tokio::time::timeout(timeout, told).await.unwrap_or_else(|_| {
            let text = format!("{place} did not respond within {} ms", timeout.as_millis());
            Err(RequestFailure::transient(FaultKind::TimedOut, text))
        })
    }

    /// Says why there is no answer. What may be due to the wrong scheme is found out: it is asked by the other one.
    async fn diagnose_send_error(&self, url: &Url, error: reqwest::Error, route: &Route) -> RequestFailure {
        let doubtful = match url.scheme() {
            "https" => {
                error.is_connect()
                    && !is_refused(&error)
                    && !matches!(tls_error(&error), Some(rustls::Error::InvalidCertificate(_)))
            }
            _ => !error.is_connect() && !error.is_timeout(),
        };
        let failure = send_failure(url, error, route, self.audience);
        if doubtful
            && *route == Route::Direct
            && let Some(other) = self.probe_other_scheme(url).await
        {
            return wrong_scheme_failure(url, &other, self.audience);
        }
        failure
    }

    /// Asks the same port by the other scheme for nothing, without any key, and returns the address if it answers so.
    async fn probe_other_scheme(&self, url: &Url) -> Option<Url> {
        let port = url.port_or_known_default()?;
        let scheme = if url.scheme() == "https" { "http" } else { "https" };
        let other = Url::parse(&format!("{scheme}://{}:{port}/", url.host_str()?)).ok()?;
        let client = self.client(ClientKind::of(&other, &Route::Direct)).await.ok()?;
        match tokio::time::timeout(SCHEME_PROBE_TIMEOUT, client.get(other.clone()).send()).await.ok()? {
            Ok(_) => Some(other),
            // Whom we don't trust speaks it all the same.
            Err(error) => matches!(tls_error(&error)?, rustls::Error::InvalidCertificate(_)).then_some(other),
        }
    }

    async fn send(
        &self,
        call: &HttpRequest,
        extra: &[(HeaderName, &'static str)],
    ) -> Result<reqwest::Response, RequestFailure> {
        let (url, response, route) = self.send_any(call, extra).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal_failure(call, &url, response, &route, self.audience).await)
    }

    /// Returns the answer whatever its status, with where it came from.
    async fn send_any(
        &self,
        call: &HttpRequest,
        extra: &[(HeaderName, &'static str)],
    ) -> Result<(Url, reqwest::Response, Route), RequestFailure> {
        let url = parse_url(&call.url, self.audience)?;
        let route = self.shared.proxies().route(&url)?;
        let response = match &self.cassette {
            // In a box, since it is as large as all that a request needs.
            Some(cassette) => Box::pin(cassette.answer(call, &url, self.exchange(call, &url, &route, extra))).await?,
            None => self.exchange(call, &url, &route, extra).await?,
        };
        Ok((url, response, route))
    }

    /// Asks the server, and returns whatever it answers.
    async fn exchange(
        &self,
        call: &HttpRequest,
        url: &Url,
        route: &Route,
        extra: &[(HeaderName, &'static str)],
    ) -> Result<reqwest::Response, RequestFailure> {
        let mut headers = header_map(call)?;
        for (name, value) in extra {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        let client = self.client(ClientKind::of(url, route)).await?;
        let request = match call.method {
            HttpMethod::Get => client.get(url.clone()),
            HttpMethod::Post => client.post(url.clone()),
            HttpMethod::Put => client.put(url.clone()),
            HttpMethod::Delete => client.delete(url.clone()),
        };
        let request = match &call.body {
            Some(body) => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                request.body(body.clone())
            }
            None => request,
        };
        match request.headers(headers).send().await {
            Ok(response) => Ok(response),
            Err(error) => Err(self.diagnose_send_error(url, error, route).await),
        }
    }

    /// Asks for another protocol on the connection; returns the headers of the consent, and the connection. Proxies are
    /// passed by, since few let another protocol through.
    pub(super) async fn upgrade(&self, call: &HttpRequest) -> Result<(HeaderMap, reqwest::Upgraded), RequestFailure> {
        let url = parse_url(&call.url, self.audience)?;
        if let Some(failure) = self.cassette.as_ref().and_then(|cassette| cassette.refuses_upgrade()) {
            return Err(failure);
        }
        let place = display_origin(&url);
        let (kind, connect) = (ClientKind::of(&url, &Route::Direct), self.shared.connect_timeout);
        // The newer versions of HTTP have no such thing. Too rare to keep a client for.
        let client = build_client(move || Ok(kind.builder(connect, true)?.http1_only().no_proxy())).await?;
        let request = client.get(url.clone()).headers(header_map(call)?);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.diagnose_send_error(&url, error, &Route::Direct).await),
        };
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let headers = response.headers().clone();
            let upgraded =
                response.upgrade().await.map_err(|error| send_failure(&url, error, &Route::Direct, self.audience))?;
            return Ok((headers, upgraded));
        }
        if status.is_success() {
            let text = format!("{place}{} is not a WebSocket: it returned a page or a document", url.path());
            return Err(RequestFailure::permanent(FaultKind::BadRequest, text));
        }
        Err(refusal_failure(call, &url, response, &Route::Direct, self.audience).await)
    }

    /// Lets the tap hear a feed that such a connection carries.
    pub(super) fn tap_side_channel(&self, call: &HttpRequest) -> Option<SideChannelTap> {
        self.tap.as_ref()?.open_side_channel(call)
    }

    async fn client(&self, kind: ClientKind) -> Result<Client, RequestFailure> {
        let Some(slot) = self.shared.clients.get(kind.index()) else {
            return Err(RequestFailure::permanent(FaultKind::Internal, "no such HTTP client"));
        };
        let connect = self.shared.connect_timeout;
        slot.get_or_try_init(|| build_client(move || kind.builder(connect, false))).await.cloned()
    }
}

impl SharedClients {
    fn proxies(&self) -> &Proxies {
        self.proxies.get_or_init(Proxies::from_env)
    }
}

/// Begins a client that knows what does its cryptography: without that even one for plain HTTP can't be built.
pub fn client_builder() -> ClientBuilder {
    tls::crypto_provider();
    Client::builder().user_agent(concat!("jarvis-tui/", env!("CARGO_PKG_VERSION")))
}

/// Builds a client off the loop's thread.
async fn build_client(
    builder: impl FnOnce() -> Result<ClientBuilder, String> + Send + 'static,
) -> Result<Client, RequestFailure> {
    let build = move || builder()?.build().map_err(|error| root_cause(&error));
    let built = tokio::task::spawn_blocking(build).await.unwrap_or_else(|error| Err(error.to_string()));
    built.map_err(|why| RequestFailure::permanent(FaultKind::Network, format!("HTTPS can't be set up: {why}")))
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

impl ClientKind {
    fn of(url: &Url, route: &Route) -> Self {
        let secure_proxy = matches!(route, Route::Proxy(proxy) if proxy.is_https);
        Self { is_secure: url.scheme() == "https" || secure_proxy, is_loopback: is_loopback_url(url) }
    }

    fn index(self) -> usize {
        usize::from(self.is_secure) * 2 + usize::from(self.is_loopback)
    }

    fn builder(self, connect: Duration, http1_only: bool) -> Result<ClientBuilder, String> {
        // A plain server takes the first bytes of HTTPS for a request that is still coming, and waits.
        let connect = if self.is_secure && self.is_loopback { connect.min(LOOPBACK_CONNECT_TIMEOUT) } else { connect };
        let builder = client_builder()
            .connect_timeout(connect)
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(redirect::Policy::none());
        let builder = if self.is_secure {
            builder.tls_backend_preconfigured(tls::client_config(http1_only)?)
        } else {
            builder.tls_certs_only([])
        };
        Ok(if self.is_loopback { builder.no_proxy() } else { builder })
    }
}

fn parse_url(url: &str, whose: HintAudience) -> Result<Url, RequestFailure> {
    address::parse_http_url(url).map_err(|why| {
        let text = format!("the address can't be used: {why}; correct it {}", whose.address_setting());
        RequestFailure::permanent(FaultKind::BadRequest, text)
    })
}

/// Scheme, host and port: what may be shown of a URL, which can hold a password or a key.
fn display_origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn header_text<'a>(response: &'a reqwest::Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Returns the head as decoders see it. A value may repeat what was sent.
fn response_head(response: &reqwest::Response, redactor: &Redactor) -> ResponseHead {
    let headers = response.headers().iter().filter_map(|(name, value)| {
        let mut value = value.to_str().ok()?.to_owned();
        redactor.redact(&mut value);
        Some((name.as_str(), value))
    });
    ResponseHead::new(response.status().as_u16(), headers)
}

fn header_map(call: &HttpRequest) -> Result<HeaderMap, RequestFailure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            RequestFailure::permanent(FaultKind::BadRequest, format!("{name:?} is not a valid header name"))
        })?;
        let value = match value {
            HttpHeaderValue::Unset(_) => continue,
            HttpHeaderValue::Plain(text) => HeaderValue::from_str(text).map_err(|_| {
                RequestFailure::permanent(FaultKind::BadRequest, format!("the header {name} has an invalid value"))
            }),
            HttpHeaderValue::Secret(secret) => HeaderValue::from_str(secret.expose_secret().trim())
                .map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
                .map_err(|_| {
                    let text = "the API key contains invalid characters; look for line breaks and quotes in it";
                    RequestFailure::permanent(FaultKind::Auth, text)
                }),
        }?;
        headers.append(key, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(headers: Vec<(String, HttpHeaderValue)>) -> HttpRequest {
        HttpRequest { method: HttpMethod::Get, url: "http://h/".into(), headers, body: None, framing: Framing::Sse }
    }

    fn secret(text: &str) -> HttpHeaderValue {
        HttpHeaderValue::Secret(SecretString::from(text))
    }

    #[test]
    fn secrets_are_sensitive_headers_and_print_as_dots() {
        let call = call(vec![("authorization".into(), secret("Bearer sk-12345678\n"))]);
        let headers = header_map(&call).unwrap();
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(headers["authorization"], "Bearer sk-12345678");
        assert!(!format!("{call:?} {headers:?}").contains("sk-1"));
    }

    #[test]
    fn a_broken_key_is_a_fault_that_does_not_show_it() {
        let failure = header_map(&call(vec![("authorization".into(), secret("Bearer sk-1\nsk-2"))])).unwrap_err();
        assert_eq!(failure.fault.kind, FaultKind::Auth);
        assert!(!failure.fault.message.contains("sk-"));
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_password() {
        let url = Url::parse("https://me:secret@example.org:8443/v1?key=abc").unwrap();
        assert_eq!(display_origin(&url), "https://example.org:8443");
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["ftp://x/", "file:///etc/passwd", "nonsense", "http://"] {
            assert_eq!(parse_url(url, HintAudience::Engine).unwrap_err().fault.kind, FaultKind::BadRequest, "{url}");
        }
    }
}
