//! Logins at servers that ask for one (OAuth, as the protocol has it): the person opens an address in a browser, which
//! comes back to a port of this machine; tokens are kept in a file that only the person can read, and renewed when they
//! are old.
//!
//! What the steps mean is the library's; here its requests are sent, its tokens kept, and the browser is waited for.

use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http;
use bytes::Bytes;
use rmcp::transport::auth::OAuthState;
use rmcp::transport::{
    AuthError, AuthorizationManager, AuthorizationRequest, CredentialStore, OAuthHttpClient, OAuthHttpClientError,
    OAuthHttpClientFuture, OAuthHttpRedirectPolicy, OAuthHttpRequest, StoredCredentials,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::CLIENT_NAME;
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use crate::net::{HttpClient, register_secret};
use crate::private;
use crate::text::one_line;

/// How long the person may take.
const LOGIN_TIMEOUT: Duration = Duration::from_mins(10);
/// How long a browser may take to say what it wants.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REQUEST_BYTES: usize = 16 * 1024;
const MAX_ANSWER_BYTES: usize = 1 << 20;
const MAX_REDIRECTS: usize = 4;
const MAX_REASON_CELLS: usize = 300;
const CALLBACK: &str = "/callback";

/// A login that there is: it gives the token for each request.
#[derive(Clone)]
pub(super) struct McpLogin(Arc<Mutex<AuthorizationManager>>);

impl McpLogin {
    /// Returns the login that is kept for a server, if there is one that can be used.
    pub(super) async fn kept(url: &str, file: &Path, http: &HttpClient) -> Option<Self> {
        let store = TokenFile { file: file.to_owned(), url: url.to_owned() };
        store.read()?;
        let client: Arc<dyn OAuthHttpClient> = Arc::new(OAuthHttp(http.clone()));
        let mut manager = AuthorizationManager::new_with_oauth_http_client(url, client).await.ok()?;
        manager.set_credential_store(store);
        match Box::pin(manager.initialize_from_store()).await {
            Ok(true) => Some(Self(Arc::new(Mutex::new(manager)))),
            Ok(false) => None,
            Err(error) => {
                tracing::warn!("the login at an MCP server can't be used: {}", one_line(&error.to_string(), 200));
                None
            }
        }
    }

    /// Returns the header of a request; none where the person has to log in again.
    pub(super) async fn header(&self) -> Option<HttpHeaderValue> {
        let token = Box::pin(self.0.lock().await.get_access_token()).await;
        let token = token.inspect_err(|error| tracing::warn!("no token for an MCP server: {error}")).ok()?;
        let secret = SecretString::from(token.as_str());
        register_secret(&secret);
        Some(HttpHeaderValue::Secret(SecretString::from(format!("Bearer {token}"))))
    }
}

/// Logs in: `show` is called with the address that the person has to open. What comes of it is kept in the file.
///
/// # Errors
///
/// Fails with the reason, for the person.
pub(super) async fn log_in(
    url: &str,
    challenge: &str,
    file: &Path,
    http: &HttpClient,
    show: impl Fn(String),
) -> Result<(), String> {
    let told = |error: AuthError| format!("the login failed: {}", one_line(&error_words(&error), MAX_REASON_CELLS));
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| format!("no port to come back to: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let here = format!("http://127.0.0.1:{port}");
    let client: Arc<dyn OAuthHttpClient> = Arc::new(OAuthHttp(http.clone()));
    let mut manager = AuthorizationManager::new_with_oauth_http_client(url, client).await.map_err(told)?;
    manager.set_credential_store(TokenFile { file: file.to_owned(), url: url.to_owned() });
    let mut state = OAuthState::Unauthorized(manager);
    let mut request = AuthorizationRequest::new(format!("{here}{CALLBACK}")).with_client_name(CLIENT_NAME);
    if !challenge.is_empty() {
        request = request.with_challenge(challenge);
    }
    Box::pin(state.start_authorization(request)).await.map_err(told)?;
    let address = state.get_authorization_url().await.map_err(told)?;
    if !is_safe_to_open(&address) {
        return Err("the server wants a login at an address without encryption".to_owned());
    }
    show(address);
    let waiting = tokio::time::timeout(LOGIN_TIMEOUT, callback(&listener)).await;
    let (mut browser, target) =
        waiting.map_err(|_| format!("no login within {} minutes", LOGIN_TIMEOUT.as_secs() / 60))??;
    let done = Box::pin(state.handle_callback_url(&format!("{here}{target}"))).await.map_err(told);
    let words = match &done {
        Ok(()) => "You are logged in, and can close this page.",
        Err(_) => "You are not logged in; where you began it says why. You can close this page.",
    };
    answer(&mut browser, "200 OK", words).await;
    done
}

/// Forgets a login. Returns whether there was one.
pub fn forget_login(file: &Path) -> io::Result<bool> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Joins the reasons behind an error, the innermost last.
fn error_words(error: &AuthError) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    words
}

fn is_safe_to_open(address: &str) -> bool {
    let Ok(address) = url::Url::parse(address) else { return false };
    let is_here = matches!(address.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    address.scheme() == "https" || (address.scheme() == "http" && is_here)
}

/// Waits for the browser to come back, and returns it, to be answered, with path and query of its request.
async fn callback(listener: &TcpListener) -> Result<(TcpStream, String), String> {
    loop {
        let (mut stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let asked = tokio::time::timeout(REQUEST_TIMEOUT, request_target(&mut stream)).await;
        let Ok(Some(target)) = asked else { continue };
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let given: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let value = |name: &str| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if path != CALLBACK || value("state").is_none() {
            answer(&mut stream, "404 Not Found", "There is nothing here.").await;
            continue;
        }
        if let Some(error) = value("error") {
            answer(&mut stream, "200 OK", "The login was refused. You can close this page.").await;
            let about = value("error_description").unwrap_or(error);
            return Err(format!("the login was refused: {}", one_line(about, MAX_REASON_CELLS)));
        }
        return Ok((stream, target));
    }
}

/// Reads the head of a request.
async fn request_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&buffer[..count]);
        if head.len() > MAX_REQUEST_BYTES {
            return None;
        }
    }
    let line = String::from_utf8_lossy(&head).lines().next()?.to_owned();
    let mut words = line.split(' ');
    (words.next() == Some("GET")).then(|| words.next().unwrap_or_default().to_owned())
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let head = "content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncache-control: no-store";
    let all = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    // Who doesn't wait for it misses nothing.
    let _ = stream.write_all(all.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Where the tokens of a server are kept.
struct TokenFile {
    file: PathBuf,
    /// Whose they are: another address gets none of them.
    url: String,
}

#[derive(Serialize, Deserialize)]
struct KeptLogin {
    url: String,
    credentials: StoredCredentials,
}

impl TokenFile {
    fn read(&self) -> Option<StoredCredentials> {
        let text = std::fs::read(&self.file).ok()?;
        let kept: KeptLogin = serde_json::from_slice(&text).ok()?;
        (kept.url == self.url).then_some(kept.credentials)
    }

    /// Writes it beside, so that one that is cut off is none.
    fn write(&self, credentials: StoredCredentials) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            private::create_dir(folder)?;
        }
        let beside = self.file.with_extension("new");
        let text = serde_json::to_vec(&KeptLogin { url: self.url.clone(), credentials })?;
        let mut file = private::create_file(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(beside, &self.file)
    }
}

fn store_error(error: &io::Error) -> AuthError {
    AuthError::CredentialStoreError(error.to_string())
}

type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, AuthError>> + Send + 'a>>;

/// As `async_trait` would write it.
impl CredentialStore for TokenFile {
    fn load<'a, 'b>(&'a self) -> Stored<'b, Option<StoredCredentials>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { Ok(self.read()) })
    }

    fn save<'a, 'b>(&'a self, credentials: StoredCredentials) -> Stored<'b, ()>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.write(credentials).map_err(|error| store_error(&error)) })
    }

    fn clear<'a, 'b>(&'a self) -> Stored<'b, ()>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { forget_login(&self.file).map(drop).map_err(|error| store_error(&error)) })
    }
}

/// The library's requests by the client of this program.
struct OAuthHttp(HttpClient);

impl OAuthHttpClient for OAuthHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let OAuthHttpRequest { request, redirect_policy, .. } = request;
            let (head, body) = request.into_parts();
            let plain = |value: &http::HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
            let headers = head.headers.iter().map(|(name, value)| {
                let value = SecretString::from(plain(value));
                (name.as_str().to_owned(), HttpHeaderValue::Secret(value))
            });
            let method = if head.method == http::Method::GET { HttpMethod::Get } else { HttpMethod::Post };
            let body = (!body.is_empty()).then(|| Bytes::from(body));
            let mut ask = HttpRequest {
                method,
                url: head.uri.to_string(),
                headers: headers.collect(),
                body,
                framing: Framing::Any,
            };
            for _ in 0..MAX_REDIRECTS {
                let answer = self.0.ask(&ask).await.map_err(|failure| failed(&failure.fault.message))?;
                let to = answer.header("location").filter(|_| (300..=399).contains(&answer.status));
                if let (Some(to), OAuthHttpRedirectPolicy::Follow, HttpMethod::Get) = (to, redirect_policy, method) {
                    let from = url::Url::parse(&ask.url)?;
                    let to = from.join(to)?;
                    if to.origin() != from.origin() {
                        return Err(failed("it redirects to another host"));
                    }
                    ask.url = to.into();
                    continue;
                }
                let mut response = http::Response::builder().status(answer.status);
                for name in ["content-type", "location", "www-authenticate"] {
                    if let Some(value) = answer.header(name) {
                        response = response.header(name, value);
                    }
                }
                let body = answer.read(MAX_ANSWER_BYTES).await.map_err(|failure| failed(&failure.fault.message))?;
                return Ok(response.body(body.ok_or_else(|| failed("its answer is too long"))?)?);
            }
            Err(failed("it redirects without end"))
        })
    }
}

fn failed(why: &str) -> OAuthHttpClientError {
    why.to_owned().into()
}

#[cfg(test)]
mod tests;
