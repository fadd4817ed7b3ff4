//! The server from the view of a browser, of a proxy and of monitoring: signing in, what a cookie may do, numbers, and
//! traces.

use jarvis_tui::serve::{Settings, Tokens};

use crate::attach::home;
use crate::headless::{OFFLINE, run};
use crate::oracle;
use crate::serve_chat::{ChatServer, serve};
use crate::support::{ScriptedServer, json};

fn with_tokens() -> Settings {
    let tokens = Tokens { full: Some("full-token".to_owned().into()), read: Some("read-token".to_owned().into()) };
    Settings { tokens, loopback: true, ..Settings::default() }
}

/// Returns the headers of a page of the server itself, with this cookie.
fn own_page(served: &ChatServer, cookie: &str) -> String {
    format!("origin: http://{}\r\ncookie: {cookie}\r\n", served.address())
}

/// Signs in and returns the cookie.
async fn sign_in(served: &ChatServer, token: &str) -> String {
    let body = serde_json::json!({ "token": token }).to_string();
    let answer = served.post("/v1/login", &own_page(served, ""), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body());
    let (_, cookie) = answer.head.split_once("set-cookie: ").unwrap();
    let (cookie, attributes) = cookie.lines().next().unwrap().split_once(';').unwrap();
    assert!(attributes.contains("httponly") && attributes.contains("samesite=strict"), "{attributes}");
    assert!(!answer.head.contains(token) && !answer.body().contains(token));
    cookie.to_owned()
}

#[tokio::test]
async fn a_browser_gets_the_page_and_others_a_line() {
    let served = serve(with_tokens()).await;
    let page = served.send("GET", "/", "accept: text/html,*/*\r\n", "").await;
    assert!(page.status == 200 && page.body().contains("page/page.js"), "{}", page.head);
    for policy in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "nosniff", "no-referrer"] {
        assert!(page.head.contains(policy), "{policy}");
    }
    assert!(!page.head.contains("unsafe-inline"));
    assert_eq!(served.send("GET", "/", "", "").await.body(), "jarvis-tui is running");
    let script = served.send("GET", "/page/page.js", "", "").await;
    assert!(script.status == 200 && script.head.contains("text/javascript"), "{}", script.head);
    assert_eq!(served.send("GET", "/page/nix.js", "", "").await.status, 404);
    assert_eq!(served.send("GET", "/v1/sessions", "", "").await.status, 401, "nothing else is open");
}

#[tokio::test]
async fn a_cookie_does_what_its_token_does_and_only_for_pages_of_the_server() {
    let served = serve(with_tokens()).await;
    let cookie = sign_in(&served, "full-token").await;
    let own = own_page(&served, &cookie);
    assert_eq!(served.send("GET", "/v1/sessions", &format!("cookie: {cookie}\r\n"), "").await.status, 200);
    assert_eq!(served.post("/v1/sessions", &own, "").await.status, 201);
    for other in ["", "origin: http://evil.example\r\n", "origin: null\r\n", "origin: http://127.0.0.1:1\r\n"] {
        let headers = format!("{other}cookie: {cookie}\r\n");
        assert_eq!(served.post("/v1/sessions", &headers, "").await.status, 403, "{other}");
    }
    let reader = own_page(&served, &sign_in(&served, "read-token").await);
    assert_eq!(served.send("GET", "/v1/sessions", &reader, "").await.status, 200);
    assert_eq!(served.post("/v1/sessions", &reader, "").await.status, 403);
    let wrong = served.post("/v1/login", &own, r#"{"token":"wrong"}"#).await;
    assert!(wrong.status == 401 && !wrong.head.contains("set-cookie"), "{}", wrong.head);
    let gone = served.send("DELETE", "/v1/login", &own, "").await;
    assert!(gone.status == 200 && gone.head.contains("max-age=0"), "{}", gone.head);
    assert_eq!(served.send("GET", "/v1/sessions", &own, "").await.status, 401);
}

#[tokio::test]
async fn another_site_can_not_sign_a_browser_in() {
    let served = serve(with_tokens()).await;
    for origin in ["", "origin: http://evil.example\r\n"] {
        assert_eq!(served.post("/v1/login", origin, r#"{"token":"full-token"}"#).await.status, 403, "{origin}");
    }
}

#[tokio::test]
async fn behind_https_the_cookie_never_travels_without() {
    let served = serve(Settings { public_origin: Some("https://chat.example".into()), ..with_tokens() }).await;
    let headers = "origin: https://chat.example\r\nx-forwarded-for: 10.0.0.1\r\n";
    let answer = served.post("/v1/login", headers, r#"{"token":"full-token"}"#).await;
    assert!(
        answer.head.contains("set-cookie: __host-jarvis-tui=") && answer.head.contains("; secure"),
        "{}",
        answer.head
    );
}

#[tokio::test]
async fn what_a_proxy_passes_on_is_refused_without_a_token() {
    let served = serve(Settings { loopback: true, ..Settings::default() }).await;
    assert_eq!(served.send("GET", "/v1/sessions", "", "").await.status, 200);
    for path in ["/v1/sessions", "/", "/metrics"] {
        let refused = served.send("GET", path, "x-forwarded-for: 10.0.0.1\r\n", "").await;
        assert!(refused.status == 403 && refused.body().contains("--public-url"), "{}", refused.body());
    }
}

#[tokio::test]
async fn health_needs_no_token_and_numbers_do() {
    let served = serve(with_tokens()).await;
    for path in ["/healthz", "/readyz"] {
        let answer = served.send("GET", path, "", "").await;
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ok")), "{path}");
    }
    assert_eq!(served.send("GET", "/metrics", "", "").await.status, 401);
    assert_eq!(served.send("GET", "/metrics", "authorization: Bearer read-token\r\n", "").await.status, 200);
}

#[tokio::test]
async fn what_happened_is_counted() {
    let served = serve(Settings::default()).await;
    let ask = r#"{"messages":[{"role":"user","content":"hello"}]}"#;
    for _ in 0..2 {
        assert_eq!(served.post("/v1/chat/completions", "", ask).await.status, 200);
    }
    assert_eq!(served.send("GET", "/nowhere", "", "").await.status, 404);
    let numbers = served.send("GET", "/metrics", "", "").await;
    assert!(numbers.head.contains("application/openmetrics-text; version=1.0.0"), "{}", numbers.head);
    let text = numbers.body();
    for line in [
        "jarvis_tui_turns_total{outcome=\"completed\"} 2\n",
        "jarvis_tui_http_requests_total{route=\"/v1/chat/completions\",status=\"200\"} 2\n",
        "jarvis_tui_http_requests_total{route=\"other\",status=\"404\"} 1\n",
        "# EOF\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    oracle::python("prometheus_client", "metrics.py", &[&served.url("/metrics")]).await;
}

#[tokio::test]
async fn a_turn_is_told_to_a_collector_if_the_settings_say_so() {
    let collector = ScriptedServer::start(vec![vec![json("200 OK", "{}")]]).await;
    let home = home();
    let endpoint = collector.url();
    let key = "k3y-of-the-collector";
    let headers = format!("x-key={key}");
    let variables =
        [OFFLINE, ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_HEADERS", headers.as_str())];
    let ask = async |settings: &str| {
        std::fs::write(home.path().join("config.toml"), settings).unwrap();
        let ran = run(&home, &["-p", "read notes.md", "--yolo"], &variables).await;
        assert!(ran.code == 0 && ran.out.contains("growing"), "{} {}", ran.out, ran.err);
        collector.asked()
    };
    std::fs::write(home.path().join("notes.md"), format!("growing {key}")).unwrap();
    assert_eq!(ask("").await.len(), 0, "nothing is told unasked");
    let asked = ask("[telemetry]\nexport = true\n").await;
    let [request] = &asked[..] else { panic!("{asked:?}") };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1") && head.contains(&format!("x-key: {key}")), "{head}");
    for said in ["notes.md", "growing", key] {
        assert!(!body.contains(said), "{said} in {body}");
    }
    let whole = ask("[telemetry]\nexport = true\ncontent = true\n").await;
    let (_, said) = whole[1].split_once("\r\n\r\n").unwrap();
    assert!(said.contains("notes.md") && said.contains("growing") && !said.contains(key), "{said}");
    let file = home.path().join("traces.json");
    std::fs::write(&file, body).unwrap();
    oracle::python("opentelemetry.proto.trace.v1.trace_pb2", "otlp.py", &[file.to_str().unwrap()]).await;
}

#[tokio::test]
async fn a_server_behind_a_proxy_demands_a_token() {
    let home = home();
    let ran = run(&home, &["serve", "--public-url", "https://chat.example"], &[OFFLINE]).await;
    assert!(ran.code == 2 && ran.err.contains("--token-env"), "{} {}", ran.code, ran.err);
    let odd =
        run(&home, &["serve", "--public-url", "ftp://chat.example", "--token-env", "T"], &[OFFLINE, ("T", "x")]).await;
    assert!(odd.code == 2 && odd.err.contains("--public-url"), "{} {}", odd.code, odd.err);
}

fn parsed(body: &str) -> serde_json::Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_link_shows_one_session_and_nothing_else() {
    let settings = Settings { read_link_lifetime: Some(std::time::Duration::from_hours(1)), ..with_tokens() };
    let served = serve(settings).await;
    let full = "authorization: Bearer full-token\r\n";
    let open = async || parsed(&served.post("/v1/sessions", full, "").await.body())["id"].as_str().unwrap().to_owned();
    let (one, other) = (open().await, open().await);
    assert_eq!(
        served.post(&format!("/v1/sessions/{one}/links"), "authorization: Bearer read-token\r\n", "").await.status,
        403
    );
    let made = served.post(&format!("/v1/sessions/{one}/links"), full, "").await;
    assert_eq!(made.status, 201, "{}", made.body());
    let link = parsed(&made.body());
    let token = link["token"].as_str().unwrap().to_owned();
    assert_eq!(link["url"], format!("http://{}/#token={token}&session={one}", served.address()));
    let cookie = sign_in(&served, &token).await;
    for headers in [format!("authorization: Bearer {token}\r\n"), own_page(&served, &cookie)] {
        let may = async |method: &str, path: &str| served.send(method, path, &headers, "").await.status;
        assert_eq!(may("GET", &format!("/v1/sessions/{one}")).await, 200);
        let listed = parsed(&served.send("GET", "/v1/sessions", &headers, "").await.body());
        assert!(listed["sessions"].as_array().unwrap().iter().all(|session| session["id"] == one.as_str()));
        assert_eq!(listed["access"], "read");
        for path in [
            format!("/v1/sessions/{other}"),
            format!("/v1/sessions/{other}/events"),
            "/v1/models".into(),
            "/metrics".into(),
        ] {
            assert_eq!(may("GET", &path).await, 403, "{path}");
        }
        for path in ["commands", "links"] {
            assert_eq!(may("POST", &format!("/v1/sessions/{one}/{path}")).await, 403, "{path}");
        }
        assert_eq!(may("POST", "/v1/chat/completions").await, 403);
    }
    assert_eq!(
        parsed(&served.send("DELETE", &format!("/v1/sessions/{one}/links"), full, "").await.body())["revoked"],
        1
    );
    assert_eq!(served.send("GET", &format!("/v1/sessions/{one}"), &own_page(&served, &cookie), "").await.status, 401);
    assert_eq!(served.send("GET", "/v1/login", &own_page(&served, &cookie), "").await.status, 200);
}

#[tokio::test]
async fn links_are_off_until_the_settings_say_how_long_they_are_good() {
    let served = serve(with_tokens()).await;
    let made = served.post("/v1/sessions/x/links", "authorization: Bearer full-token\r\n", "").await;
    assert!(made.status == 409 && made.body().contains("read_link_lifetime"), "{}", made.body());
}
