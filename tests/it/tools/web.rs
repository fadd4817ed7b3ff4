//! Tests of the tool that fetches pages, against a server that answers as it is told.

use super::*;

/// A web server that answers each path with bytes.
async fn web(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> ScriptedServer {
    ScriptedServer::answering(move |request| vec![ServerAct::Send(answer(path(request)))]).await
}

fn page(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn pages_come_as_markdown_and_json_as_it_is() {
    let server = web(|path| match path {
        "/page" => page("200 OK", "content-type: text/html\r\n", "<h1>Title</h1><p>a <b>word</b>"),
        "/json" => page("200 OK", "content-type: application/json\r\n", "{\"a\": 1}"),
        "/image" => page("200 OK", "content-type: image/png\r\n", "PNG"),
        _ => page("404 Not Found", "content-type: text/plain\r\n", "nothing here"),
    })
    .await;
    let bench = ToolBench::new();
    let get = |path: &str| bench.run("fetch", json!({"url": format!("{}{path}", server.url())}));
    let done = get("/page").await;
    assert_eq!(done.outcome, CallOutcome::Ok, "{}", done.text);
    assert!(done.text.ends_with("\n\n# Title\n\na **word**"), "{}", done.text);
    assert!(get("/json").await.text.ends_with("\n\n{\"a\": 1}"));
    let image = get("/image").await;
    assert!(image.outcome == CallOutcome::Failed && image.text.contains("image/png"), "{}", image.text);
    let missing = get("/absent").await;
    assert_eq!(missing.outcome, CallOutcome::Failed);
    assert!(missing.text.contains("404") && missing.text.ends_with("nothing here"), "{}", missing.text);
}

#[tokio::test]
async fn every_redirect_is_checked() {
    let server = web(|path| {
        let to = |location: &str| page("302 Found", &format!("location: {location}\r\n"), "");
        match path {
            "/metadata" => to("http://169.254.169.254/latest/meta-data/"),
            "/mapped" => to("http://[::ffff:169.254.169.254]/"),
            "/number" => to("http://2852039166/"),
            "/name" => to("http://metadata.google.internal/"),
            "/file" => to("file:///etc/passwd"),
            "/twice" => to("/metadata"),
            "/loop" => to("/loop"),
            "/once" => to("/end?a=b"),
            "/key" => to("http://user:pass@127.0.0.1:1/"),
            _ => page("200 OK", "content-type: text/plain\r\n", "the end"),
        }
    })
    .await;
    let bench = ToolBench::new();
    let get = |path: &str| bench.run("fetch", json!({"url": format!("{}{path}", server.url())}));
    for path in ["/metadata", "/mapped", "/number", "/name", "/twice"] {
        let done = get(path).await;
        assert!(done.outcome == CallOutcome::Failed && done.text.contains("never fetched"), "{path}: {}", done.text);
    }
    assert!(get("/file").await.text.contains("only http and https"));
    assert!(get("/loop").await.text.contains("more than 5 times"));
    assert!(get("/key").await.outcome == CallOutcome::Failed);
    let done = get("/once").await;
    assert!(done.outcome == CallOutcome::Ok && done.text.contains("/end?a=b: 200 OK"), "{}", done.text);
    for request in server.asked() {
        let lower = request.to_ascii_lowercase();
        assert!(!lower.contains("authorization") && !lower.contains("referer") && !lower.contains("cookie"));
    }
}

#[tokio::test]
async fn a_large_page_is_cut_and_a_silent_one_is_cancelled() {
    let server = web(|path| match path {
        "/large" => page("200 OK", "content-type: text/plain\r\n", &"x".repeat(8 << 20)),
        // Sends less than announced, and the connection ends.
        _ => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec(),
    })
    .await;
    let bench = ToolBench::new();
    let get = |path: &str| bench.run("fetch", json!({"url": format!("{}{path}", server.url())}));
    let done = get("/large").await;
    assert!(done.outcome == CallOutcome::Ok && done.text.contains("5.2 MB, cut there") && done.text.len() < 6 << 20);
    assert_eq!(get("/short").await.outcome, CallOutcome::Failed);

    let silent = ScriptedServer::start(vec![vec![ServerAct::Hang]]).await;
    let cancel = async {
        silent.asked_for("GET / ").await;
        bench.ctx.cancel.cancel();
    };
    let url = silent.url();
    let (done, ()) = tokio::join!(bench.run("fetch", json!({"url": url})), cancel);
    assert_eq!(done.outcome, CallOutcome::Cancelled);
}

#[tokio::test]
async fn a_name_that_leads_inside_has_to_be_asked_for() {
    let server = web(|_| page("200 OK", "content-type: text/plain\r\n", "inside")).await;
    let port = server.address.port();
    let bench = ToolBench::new();
    // `localhost` is visibly local, so the person knew.
    let done = bench.run("fetch", json!({"url": format!("http://localhost:{port}/")})).await;
    assert_eq!(done.outcome, CallOutcome::Ok, "{}", done.text);
    let request = bench.ask("fetch", json!({"url": "http://wiki.example.com/", "private": true})).await.unwrap();
    assert!(request.detail.contains("may lead into the private network"), "{}", request.detail);
}
