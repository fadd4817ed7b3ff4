//! Real sockets on loopback, with a server that misbehaves in its streams. Time limits are tested beside `perform`, on
//! paused time; nothing here waits for real time to pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use jarvis_tui::dialect::chat::ChatDecoder;
use jarvis_tui::dialect::{Decode, ResponseHead, SseFrame};
use jarvis_tui::engine::discover::{self, ServerCandidate, ServerKind};
use jarvis_tui::engine::ollama::OllamaEngine;
use jarvis_tui::engine::openai::OpenAiEngine;
use jarvis_tui::engine::{Engine, HistoryMessage, ModelRequest, ReplyPlan};
use jarvis_tui::event::{Fault, FaultKind, LinkState, NoticeCode, ReplyEvent, TurnOutcome};
use jarvis_tui::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use jarvis_tui::net::{HttpClient, RequestEvent, RequestPolicy, perform, probe};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::{ScriptedServer, ServerAct, chunk, end, head, json, stream};

const HI: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[derive(Default)]
struct WireOutcome {
    text: String,
    notices: Vec<NoticeCode>,
    links: Vec<LinkState>,
    ends: Vec<TurnOutcome>,
}

impl WireOutcome {
    fn fault(&self) -> &Fault {
        match &self.ends[..] {
            [TurnOutcome::Failed(fault)] => fault,
            other => panic!("{other:?}"),
        }
    }
}

async fn run_reply(reply: ReplyPlan) -> WireOutcome {
    let ReplyPlan::Http { request: call, decode, .. } = reply else { panic!("nothing to call") };
    let (sender, mut receiver) = mpsc::channel(4);
    let run = async move {
        let policy = RequestPolicy { max_retries: 1, ..RequestPolicy::new(Instant::now()) };
        perform(&HttpClient::default(), &call, decode, &policy, &sender).await;
    };
    let listen = async {
        let mut texts = WireOutcome::default();
        while let Some(event) = receiver.recv().await {
            assert!(texts.ends.is_empty(), "something after the end");
            match event {
                RequestEvent::Link(link) => texts.links.push(link),
                RequestEvent::Event(ReplyEvent::TextDelta { text, .. }) => texts.text.push_str(&text),
                RequestEvent::Event(ReplyEvent::Notice { code, .. }) => texts.notices.push(code),
                RequestEvent::Event(ReplyEvent::End { outcome: end }) => texts.ends.push(end),
                RequestEvent::Event(_) => {}
            }
        }
        texts
    };
    let (texts, ()) = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(listen, run) }).await.unwrap();
    assert_eq!(texts.ends.len(), 1);
    texts
}

fn prompt() -> ModelRequest {
    ModelRequest { model: "m".into(), history: vec![HistoryMessage::user("hello")], ..ModelRequest::default() }
}

async fn send_request(server: &ScriptedServer) -> WireOutcome {
    run_reply(OpenAiEngine::new("openai".into(), &server.url(), Some("sk-very-secret".into())).plan_reply(&prompt()))
        .await
}

#[tokio::test]
async fn an_answer_in_odd_chunks_is_whole() {
    let text =
        format!("{HI}: comment\r\n\r\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\" ⏳!\"}}}}]}}\r\n\r\n{DONE}");
    let mut script = vec![stream()];
    script.extend(text.as_bytes().chunks(3).map(chunk));
    script.push(end());
    let server = ScriptedServer::start(vec![script]).await;
    let texts = send_request(&server).await;
    assert_eq!((texts.text.as_str(), &texts.ends[..]), ("hi ⏳!", &[TurnOutcome::Completed][..]));
    assert_eq!(texts.links, [LinkState::Connecting, LinkState::Live, LinkState::Idle]);
}

#[tokio::test]
async fn the_request_is_what_servers_expect() {
    let server = ScriptedServer::start(vec![vec![stream(), chunk(HI), chunk(DONE), end()]]).await;
    send_request(&server).await;
    let asked = server.asked();
    let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
    assert_eq!(lines.remove(0), "post /v1/chat/completions http/1.1");
    lines.retain(|line| !line.starts_with("host:") && !line.starts_with("content-length:"));
    lines.sort();
    assert_eq!(
        lines,
        [
            "accept-encoding: identity".to_owned(),
            "accept: text/event-stream".into(),
            "authorization: bearer sk-very-secret".into(),
            "content-type: application/json".into(),
            format!("user-agent: jarvis-tui/{}", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert!(
        body.starts_with("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"stream\":true"),
        "{body}"
    );
}

#[tokio::test]
async fn tokens_are_told_as_they_come() {
    let server = ScriptedServer::start(vec![vec![stream(), chunk(HI), ServerAct::Hold, chunk(DONE), end()]]).await;
    let ReplyPlan::Http { request, decode, .. } =
        OpenAiEngine::new("openai".into(), &server.url(), None).plan_reply(&prompt())
    else {
        panic!()
    };
    let (sender, mut receiver) = mpsc::channel(4);
    let run = async move {
        perform(&HttpClient::default(), &request, decode, &RequestPolicy::new(Instant::now()), &sender).await;
    };
    let listen = async {
        let mut seen = 0;
        while let Some(event) = receiver.recv().await {
            if matches!(event, RequestEvent::Event(ReplyEvent::TextDelta { .. })) {
                seen += 1;
                server.go();
            }
        }
        seen
    };
    assert_eq!(tokio::join!(run, listen).1, 1);
}

#[tokio::test]
async fn a_cut_in_mid_frame_keeps_the_text_and_is_not_a_success() {
    let server = ScriptedServer::start(vec![vec![stream(), chunk(HI), chunk("data: {\"choi")]]).await;
    let text = send_request(&server).await;
    assert_eq!(
        (text.text.as_str(), &text.ends[..], &text.notices[..]),
        ("hi", &[TurnOutcome::Interrupted][..], &[NoticeCode::Cut][..])
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_needs_its_end_mark() {
    let close = || head("200 OK", "content-type: text/event-stream\r\n");
    let server = ScriptedServer::start(vec![
        vec![close(), ServerAct::Send(HI.into())],
        vec![close(), ServerAct::Send([HI, DONE].concat().into())],
    ])
    .await;
    let text = send_request(&server).await;
    assert_eq!((&text.ends[..], &text.notices[..]), (&[TurnOutcome::Interrupted][..], &[NoticeCode::Cut][..]));
    let text = send_request(&server).await;
    assert_eq!((&text.ends[..], &text.notices[..]), (&[TurnOutcome::Completed][..], &[][..]));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    let busy = ServerAct::Send(
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after-ms: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".into(),
    );
    let server = ScriptedServer::start(vec![vec![busy], vec![stream(), chunk(HI), chunk(DONE), end()]]).await;
    let text = send_request(&server).await;
    assert_eq!((text.text.as_str(), text.notices), ("hi", vec![NoticeCode::Retry]));
    assert!(text.links.iter().any(|link| matches!(link, LinkState::Retrying { attempt: 2, .. })));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_told_without_the_key_and_not_repeated() {
    let body = "{\"error\":{\"message\":\"Incorrect API key provided: sk-very-secret.\",\"code\":\"invalid_api_key\"}}";
    let server = ScriptedServer::start(vec![vec![json("401 Unauthorized", body)]]).await;
    let text = send_request(&server).await;
    let fault = text.fault();
    assert_eq!(fault.kind, FaultKind::Auth);
    let place = server.url();
    let message = format!(
        "{place} returned 401 unauthorized: Incorrect API key provided: •••; check the API key and its permissions"
    );
    assert_eq!((&fault.message, server.asked().len()), (&message, 1));
}

#[tokio::test]
async fn a_key_that_comes_back_in_the_stream_is_blanked_out_everywhere() {
    let leaked = "data: {\"choices\":[{\"delta\":{\"content\":\"got Bearer sk-very-secret\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"boom sk-very-secret\",\"code\":500}}\n\n";
    let server = ScriptedServer::start(vec![vec![stream(), chunk(leaked), chunk(error), end()]]).await;
    let text = send_request(&server).await;
    assert_eq!(text.text, "got •••");
    assert!(text.fault().message.ends_with("boom •••"), "{:?}", text.fault());
}

#[tokio::test]
async fn a_key_cut_off_at_the_end_of_what_is_read_leaves_no_half() {
    let body = format!("{}sk-very-secret and more", " ".repeat(4096 - 8));
    let server = ScriptedServer::start(vec![vec![json("401 Unauthorized", &body)]]).await;
    let text = send_request(&server).await;
    assert!(!text.fault().message.contains("sk-v"), "{:?}", text.fault());
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_called_that() {
    let body = "{\"error\":{\"message\":\"the request exceeds the available context size\",\"code\":400}}";
    let server = ScriptedServer::start(vec![vec![json("400 Bad Request", body)]]).await;
    let text = send_request(&server).await;
    assert_eq!(text.fault().kind, FaultKind::ContextTooLong);
    assert!(text.fault().message.starts_with("the conversation is too long for the model: "), "{:?}", text.fault());
}

#[tokio::test]
async fn an_error_page_of_megabytes_is_read_for_its_start_only() {
    let page = format!("<html><title>Oops</title>{}", "x".repeat(1_000_000));
    let server = ScriptedServer::start(vec![vec![
        head("404 Not Found", "content-type: text/html\r\n"),
        ServerAct::Send(page.into()),
        ServerAct::Hang,
    ]])
    .await;
    let text = send_request(&server).await;
    let message = format!(
        "{}/v1/chat/completions returned 404 not found: Oops; the path does not exist there: check the base URL, or the kind of engine \
         (openai, openai-responses, anthropic, ollama)",
        server.url()
    );
    assert_eq!(text.fault().message, message);
}

#[tokio::test]
async fn a_web_page_and_a_redirect_are_named() {
    let page = vec![head("200 OK", "content-type: text/html\r\n"), ServerAct::Send(b"<html>".to_vec())];
    let moved = vec![head(
        "307 Temporary Redirect",
        "location: https://other.example/v1/chat/completions?k=1\r\ncontent-length: 0\r\n",
    )];
    let server = ScriptedServer::start(vec![page, moved]).await;
    let text = send_request(&server).await;
    assert_eq!(text.fault().kind, FaultKind::Protocol);
    assert!(text.fault().message.ends_with("returned a web page instead of a stream; check the URL"));
    let text = send_request(&server).await;
    assert!(
        text.fault()
            .message
            .ends_with("redirects to https://other.example/v1/chat/completions; use that address as base URL")
    );
}

#[tokio::test]
async fn an_endless_line_is_cut() {
    let mut script = vec![stream(), chunk(HI), chunk("data: ")];
    script.extend((0..9).map(|_| chunk(vec![b'x'; 1024 * 1024])));
    script.push(ServerAct::Hang);
    let server = ScriptedServer::start(vec![script]).await;
    let text = send_request(&server).await;
    assert_eq!((text.text.as_str(), text.fault().kind), ("hi", FaultKind::Protocol));
    assert!(text.fault().message.contains("more than 8 MiB"), "{}", text.fault());
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let text =
        run_reply(OpenAiEngine::new("openai".into(), &format!("http://{gone}"), None).plan_reply(&prompt())).await;
    assert_eq!((text.fault().kind, text.notices.len()), (FaultKind::Network, 0));
    assert!(text.fault().message.starts_with(&format!("no server at http://{gone}: ")), "{}", text.fault());
}

#[tokio::test]
async fn a_dropped_call_drops_the_connection() {
    let server = ScriptedServer::start(vec![vec![stream(), chunk(HI), ServerAct::Hang]]).await;
    let ReplyPlan::Http { request, decode, .. } =
        OpenAiEngine::new("openai".into(), &server.url(), None).plan_reply(&prompt())
    else {
        panic!()
    };
    let (sender, mut receiver) = mpsc::channel(4);
    {
        let (http, policy) = (HttpClient::default(), RequestPolicy::new(Instant::now()));
        let run = perform(&http, &request, decode, &policy, &sender);
        let first_token = async {
            while let Some(event) = receiver.recv().await {
                if matches!(event, RequestEvent::Event(ReplyEvent::TextDelta { .. })) {
                    return;
                }
            }
        };
        tokio::select! {
            () = run => panic!("it ended"),
            () = first_token => {}
        }
    }
    server.hung_up().await;
}

#[tokio::test]
async fn ollama_speaks_lines() {
    let body = "{\"message\":{\"content\":\"hi\"},\"done\":false}\n{\"message\":{\"content\":\"\"},\"done\":true,\"eval_count\":1}\n";
    let length = body.len();
    let answer = head("200 OK", &format!("content-type: application/x-ndjson\r\ncontent-length: {length}\r\n"));
    let server = ScriptedServer::start(vec![
        vec![answer, ServerAct::Send(body.into())],
        vec![json("404 Not Found", "{\"error\":\"model 'm' not found\"}")],
    ])
    .await;
    let engine = OllamaEngine::new("ollama".into(), &server.address.to_string());
    let text = run_reply(engine.plan_reply(&prompt())).await;
    assert_eq!((text.text.as_str(), &text.ends[..]), ("hi", &[TurnOutcome::Completed][..]));
    let text = run_reply(engine.plan_reply(&prompt())).await;
    assert!(
        text.fault().message.ends_with("model 'm' not found; choose another model, or install this one on the server")
    );
}

#[tokio::test]
async fn local_servers_are_found_side_by_side() {
    let tags = json("200 OK", "{\"models\":[{\"name\":\"qwen3:8b\"}]}");
    let list = json("200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"phi\",\"owned_by\":\"vllm\"}]}");
    let ollama = ScriptedServer::start(vec![vec![tags]]).await;
    let vllm = ScriptedServer::start(vec![vec![list]]).await;
    let stranger = ScriptedServer::start(vec![vec![json("200 OK", "{\"data\":\"something else\"}")]]).await;
    let silent = ScriptedServer::start(vec![vec![ServerAct::Hang]]).await;
    let at = |kind, server: &ScriptedServer| ServerCandidate { kind, base_url: server.url() };
    let candidates = [
        at(ServerKind::LlamaCpp, &silent),
        at(ServerKind::Ollama, &ollama),
        at(ServerKind::LmStudio, &stranger),
        at(ServerKind::LlamaCpp, &vllm),
    ];
    let calls: Vec<_> = candidates.iter().map(ServerCandidate::request).collect();
    let answers = probe::join_json(&HttpClient::default(), &calls, Duration::from_secs(2)).await;
    let found = discover::discovered_servers(&candidates, &answers);
    let short: Vec<_> =
        found.iter().map(|found| (found.kind, found.base_url.clone(), found.models[0].id.as_str())).collect();
    assert_eq!(
        short,
        [(ServerKind::Ollama, ollama.url(), "qwen3:8b"), (ServerKind::Vllm, format!("{}/v1", vllm.url()), "phi")]
    );
}

#[tokio::test]
async fn models_are_listed() {
    let tags = json("200 OK", "{\"models\":[{\"name\":\"a\"},{\"name\":\"b\"}]}");
    let server = ScriptedServer::start(vec![vec![tags]]).await;
    let query = OllamaEngine::new("ollama".into(), &server.address.to_string()).model_list_query().unwrap();
    let answers = probe::join_json(&HttpClient::default(), &query.requests, Duration::from_secs(5)).await;
    let ids: Vec<_> = query.parse_answers(&answers).unwrap().into_iter().map(|model| model.id).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn json_is_fetched_with_headers_and_faults_are_told() {
    let server =
        ScriptedServer::start(vec![vec![json("200 OK", "{\"a\":1}")], vec![json("200 OK", "Ollama is running")]]).await;
    let http = HttpClient::default();
    let url = format!("{}/x", server.url());
    let headers = [("x-key".to_owned(), HttpHeaderValue::Secret("s3cret".into()))];
    let limit = Duration::from_secs(5);
    assert_eq!(http.get_json(&url, &headers, limit).await.unwrap()["a"], 1);
    assert!(server.asked()[0].contains("x-key: s3cret"));
    let fault = http.get_json(&url, &[], limit).await.unwrap_err();
    assert_eq!(fault.message, format!("{url} did not return JSON; check the URL"));
}

#[tokio::test]
async fn a_huge_answer_is_read_in_linear_time() {
    // Enough that a quadratic splitter would take minutes.
    let frame =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(4 * 1024 * 1024));
    let mut script = vec![stream()];
    script.extend(frame.as_bytes().chunks(1000).map(chunk));
    script.extend([chunk(DONE), end()]);
    let server = ScriptedServer::start(vec![script]).await;
    assert_eq!(send_request(&server).await.text.len(), 4 * 1024 * 1024);
}

#[tokio::test]
async fn a_bad_url_is_a_fault() {
    let call = HttpRequest {
        method: HttpMethod::Get,
        url: "ftp://x".into(),
        headers: vec![],
        body: None,
        framing: Framing::Sse,
    };
    let text = run_reply(ReplyPlan::http(call, ChatDecoder::new())).await;
    assert_eq!(text.fault().kind, FaultKind::BadRequest);
}

/// Puts the head of its response into the fault that ends the turn.
#[derive(Default)]
struct HeadDecoder(String);

impl Decode for HeadDecoder {
    fn begin_response(&mut self, head: &ResponseHead) {
        let headers = ["X-Stream-Version", "x-repeats", "set-cookie"].map(|name| head.header(name));
        self.0 = format!("{:?} {} {headers:?}", head.status(), head.content_type());
    }

    fn decode_frame(&mut self, _: &SseFrame, _: &mut Vec<ReplyEvent>) {}

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let fault = Fault::new(FaultKind::Protocol, self.0.clone());
        out.push(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) });
    }

    fn is_done(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_decoder_is_given_the_head_of_its_response_without_cookies_and_our_key() {
    let headers = "Content-Type: Text/Event-Stream; charset=utf-8\r\nx-stream-version: v1\r\n\
                   x-repeats: sk-very-secret\r\nset-cookie: session=1\r\n";
    let server = ScriptedServer::start(vec![vec![head("201 Created", headers), ServerAct::Send(HI.into())]]).await;
    let engine = OpenAiEngine::new("openai".into(), &server.url(), Some("sk-very-secret".into()));
    let ReplyPlan::Http { request, .. } = engine.plan_reply(&prompt()) else { panic!() };
    let outcome = run_reply(ReplyPlan::http(request, HeadDecoder::default())).await;
    assert_eq!(outcome.fault().message, "Some(201) text/event-stream [Some(\"v1\"), Some(\"•••\"), None]");
}
