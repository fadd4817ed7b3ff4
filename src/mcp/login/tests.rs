use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex as StdMutex;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::*;

/// An authorization server with its resource on one port.
#[derive(Clone, Default)]
struct Server {
    base: Arc<StdMutex<String>>,
    grants: Arc<StdMutex<Vec<HashMap<String, String>>>>,
}

impl Server {
    async fn start(tasks: &mut tokio::task::JoinSet<()>) -> Self {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *server.base.lock().unwrap() = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let base = |State(server): State<Self>| async move { server.base.lock().unwrap().clone() };
        let resource = move |state: State<Self>| async move {
            let base = base(state).await;
            Json(json!({"resource": format!("{base}/mcp"), "authorization_servers": [base]}))
        };
        let metadata = move |state: State<Self>| async move {
            let base = base(state).await;
            Json(json!({
                "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"), "registration_endpoint": format!("{base}/register"),
                "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }))
        };
        let register = |Json(asked): Json<serde_json::Value>| async move {
            (StatusCode::CREATED, Json(json!({"client_id": "c1", "redirect_uris": asked["redirect_uris"]})))
        };
        let app = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-protected-resource", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/token", post(Self::token))
            .route("/mcp", post(Self::refuse).get(Self::refuse))
            .with_state(server.clone());
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        server
    }

    #[expect(clippy::unused_async, reason = "a handler")]
    async fn refuse(State(server): State<Self>, _: HeaderMap) -> Response {
        let base = server.base.lock().unwrap().clone();
        let challenge = format!("Bearer resource_metadata=\"{base}/.well-known/oauth-protected-resource/mcp\"");
        (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response()
    }

    /// Tokens that are old at once.
    #[expect(clippy::unused_async, reason = "a handler")]
    async fn token(State(server): State<Self>, asked: String) -> Json<serde_json::Value> {
        let asked: HashMap<String, String> = url::form_urlencoded::parse(asked.as_bytes()).into_owned().collect();
        let nth = {
            let mut grants = server.grants.lock().unwrap();
            grants.push(asked);
            grants.len()
        };
        let token = format!("token-{nth}");
        Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": 0, "refresh_token": "again"}))
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.base.lock().unwrap())
    }

    fn grant(&self, nth: usize, name: &str) -> String {
        self.grants.lock().unwrap()[nth].get(name).cloned().unwrap_or_default()
    }
}

/// What a browser does once the person has logged in; returns the page that it is shown.
async fn come_back(address: &str, more: &str) -> String {
    let given: HashMap<_, _> = url::Url::parse(address).unwrap().query_pairs().into_owned().collect();
    let back = url::Url::parse(&given["redirect_uri"]).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", back.port().unwrap())).await.unwrap();
    let target = format!("{}?state={}&{more}", back.path(), given["state"]);
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

async fn log_in_at(server: &Server, file: &Path, more: &str) -> (Result<(), String>, (String, String)) {
    let (shown, mut address) = tokio::sync::watch::channel(String::new());
    let http = HttpClient::default();
    let url = server.url();
    let logging_in = log_in(&url, "", file, &http, |address| {
        shown.send_replace(address);
    });
    let browser = async {
        let address = address.wait_for(|address| !address.is_empty()).await.unwrap().clone();
        let page = come_back(&address, more).await;
        (address, page)
    };
    tokio::join!(logging_in, browser)
}

#[tokio::test]
async fn a_login_is_kept_for_its_owner_alone_and_renewed() {
    let mut tasks = tokio::task::JoinSet::new();
    let server = Server::start(&mut tasks).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logins/s.json");
    let (done, (address, page)) = log_in_at(&server, &file, "code=abc").await;
    done.unwrap();
    assert!(page.contains("You are logged in"), "{page}");
    assert!(address.contains("code_challenge_method=S256") && address.contains("client_id=c1"), "{address}");
    assert_eq!((server.grant(0, "code"), server.grant(0, "grant_type")), ("abc".into(), "authorization_code".into()));
    assert!(!server.grant(0, "code_verifier").is_empty() && server.grant(0, "resource") == server.url());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let http = HttpClient::default();
    let login = McpLogin::kept(&server.url(), &file, &http).await.expect("it is kept");
    let Some(HttpHeaderValue::Secret(header)) = login.header().await else { panic!("no header") };
    // The first was old at once.
    assert_eq!(secrecy::ExposeSecret::expose_secret(&header), "Bearer token-2");
    assert_eq!(
        (server.grant(1, "grant_type"), server.grant(1, "refresh_token")),
        ("refresh_token".into(), "again".into())
    );
    assert!(McpLogin::kept("http://127.0.0.1:9/other", &file, &http).await.is_none(), "it is for one address");
    assert!(forget_login(&file).unwrap() && !forget_login(&file).unwrap());
}

#[tokio::test]
async fn a_refusal_is_told_and_keeps_nothing() {
    let mut tasks = tokio::task::JoinSet::new();
    let server = Server::start(&mut tasks).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.json");
    let (done, _) = log_in_at(&server, &file, "error=access_denied&error_description=not+you").await;
    assert_eq!(done.unwrap_err(), "the login was refused: not you");
    assert!(!file.exists());
}

#[tokio::test]
async fn the_page_says_that_a_login_came_to_nothing_which_the_server_did_not_take() {
    let mut tasks = tokio::task::JoinSet::new();
    let server = Server::start(&mut tasks).await;
    let folder = tempfile::tempdir().unwrap();
    let (done, (_, page)) = log_in_at(&server, &folder.path().join("s.json"), "no_code=1").await;
    assert!(done.unwrap_err().starts_with("the login failed: "));
    assert!(page.contains("You are not logged in"), "{page}");
}

#[test]
fn nobody_is_sent_where_a_password_could_be_read() {
    for (address, is_safe) in [
        ("https://login.example/a", true),
        ("http://localhost:9/a", true),
        ("http://login.example/a", false),
        ("javascript:alert(1)", false),
        ("file:///etc/passwd", false),
    ] {
        assert_eq!(is_safe_to_open(address), is_safe, "{address}");
    }
}
