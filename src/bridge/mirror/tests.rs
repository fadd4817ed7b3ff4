use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::bridge::HubItem;
use crate::bridge::hub::{Backlog, DEFAULT_RING_BYTES};
use crate::event::{AgentEvent, ApprovalMode, Command, TurnOutcome};

fn event_line(seq: u64, event: AgentEvent) -> String {
    let envelope = Envelope { seq: Seq(seq), at: Millis(seq * 10), event };
    format!("id: {seq}\ndata: {}\n\n", serde_json::to_string(&envelope).unwrap())
}

fn opened() -> AgentEvent {
    AgentEvent::SessionOpened {
        wall_ms: 1,
        engine: "e".into(),
        model: "m".into(),
        engine_reason: String::new(),
        mode: ApprovalMode::Ask,
        folder: String::new(),
        version: String::new(),
        capabilities: Capabilities { prompt: true, decide: true, cancel: true, seek: false },
        context_window: None,
        price: None,
    }
}

fn turn(seq: u64) -> String {
    event_line(seq, AgentEvent::TurnStarted { turn: "t".into(), parent: None })
}

fn end(seq: u64) -> String {
    event_line(seq, AgentEvent::TurnFinished { turn: "t".into(), outcome: TurnOutcome::Completed })
}

/// Answers each connection with the next body and closes; returns the requests.
async fn server(bodies: Vec<Option<String>>) -> (String, mpsc::UnboundedReceiver<String>, JoinSet<()>) {
    server_at("127.0.0.1:0", bodies).await
}

async fn server_at(place: &str, bodies: Vec<Option<String>>) -> (String, mpsc::UnboundedReceiver<String>, JoinSet<()>) {
    let listener = TcpListener::bind(place).await.unwrap();
    let address = format!("http://{}/v1/sessions/s1", listener.local_addr().unwrap());
    let (asked, requests) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut bodies = bodies.into_iter();
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let is_wish = request.starts_with("POST");
            asked.send(request.clone()).unwrap();
            let answer = if is_wish && request.contains("?refuse") {
                "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
            } else if is_wish {
                "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
            } else {
                match bodies.next() {
                    Some(Some(body)) => {
                        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}")
                    }
                    Some(None) => "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
                    None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
                }
            };
            let _ = socket.write_all(answer.as_bytes()).await;
            if answer.contains("HOLD") {
                open.push(socket);
            }
        }
    });
    (address, requests, tasks)
}

fn mirror(address: String, read_only: bool) -> Mirror {
    Mirror {
        http: HttpClient::default(),
        address,
        headers: Vec::new(),
        session: SessionId::new("local"),
        hub: Hub::new(Backlog::Memory, DEFAULT_RING_BYTES),
        writer: None,
        trouble: None,
        after: Seq(0),
        read_only,
        idle_timeout: Duration::ZERO,
        on_caught_up: None,
    }
}

async fn numbers(live: &SessionHandle) -> Vec<u64> {
    let mut facts = live.hub.subscribe(Seq(0));
    let mut out = Vec::new();
    while let Some(HubItem::Event(fact)) = facts.next().await {
        assert_eq!(serde_json::to_vec(&fact.envelope).unwrap(), fact.line, "the line is the fact");
        out.push(fact.envelope.seq.0);
    }
    out
}

#[tokio::test]
async fn facts_keep_their_numbers_and_come_once_over_breaks() {
    let first = format!("{}{}event: caught-up\ndata: {{}}\n\n", event_line(1, opened()), turn(2));
    let second = format!("{}{}", turn(2), end(3));
    let (address, mut asked, _server) = server(vec![Some(first), Some(second), None]).await;
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    assert_eq!(numbers(&live).await, [1, 2, 3]);
    for from in [1, 3, 4] {
        let request = asked.recv().await.unwrap();
        assert!(request.starts_with(&format!("GET /v1/sessions/s1/events?from={from} ")), "{request}");
    }
}

#[tokio::test]
async fn a_hole_is_never_published() {
    let holed = format!("{}{}", event_line(1, opened()), end(3));
    let whole = format!("{}{}", turn(2), end(3));
    let (address, mut asked, _server) = server(vec![Some(holed), Some(whole), None]).await;
    let mut tasks = JoinSet::new();
    assert_eq!(numbers(&start(mirror(address, false), &mut tasks)).await, [1, 2, 3]);
    asked.recv().await.unwrap();
    assert!(asked.recv().await.unwrap().contains("from=2 "));
}

#[tokio::test]
async fn wishes_are_posted_as_they_are() {
    let held = format!("{}event: caught-up\ndata: {{}}\n\n: HOLD\n\n", event_line(1, opened()));
    let (address, mut asked, _server) = server(vec![Some(held)]).await;
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    let mut weather = live.status.clone();
    weather.wait_for(|weather| weather.link == LinkState::Live).await.unwrap();
    live.commands.send(Command::Prompt { text: "hi".into() }).await.unwrap();
    asked.recv().await.unwrap();
    let wish = asked.recv().await.unwrap();
    assert!(wish.starts_with("POST /v1/sessions/s1/commands "), "{wish}");
    assert!(wish.ends_with(r#"{"type":"prompt","text":"hi"}"#), "{wish}");
}

#[tokio::test]
async fn who_only_watches_is_offered_nothing_and_sends_nothing() {
    let body = format!("{}event: caught-up\ndata: {{}}\n\n", event_line(1, opened()));
    let (address, mut asked, _server) = server(vec![Some(body), None]).await;
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, true), &mut tasks);
    live.commands.send(Command::Cancel).await.unwrap();
    let Some(HubItem::Event(fact)) = live.hub.subscribe(Seq(0)).next().await else { panic!("nothing came") };
    assert_eq!(fact.envelope.event, opened(), "the log tells what the other session can do");
    assert!(live.status.borrow().read_only && live.capabilities == Capabilities::default());
    assert_eq!(numbers(&live).await, [1]);
    while let Ok(request) = asked.try_recv() {
        assert!(request.starts_with("GET"), "{request}");
    }
}

#[tokio::test]
async fn a_refusal_ends_it_with_the_reason() {
    let (address, _asked, _server) = server(vec![]).await;
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    assert_eq!(numbers(&live).await, [0; 0]);
    assert!(matches!(&live.status.borrow().link, LinkState::Lost(Some(fault)) if fault.message.contains("404")));
}

#[tokio::test]
async fn a_wish_that_does_not_arrive_is_told_and_the_line_stays_well() {
    let held = format!("{}event: caught-up\ndata: {{}}\n\n: HOLD\n\n", event_line(1, opened()));
    let (address, _asked, _server) = server(vec![Some(held)]).await;
    let mut tasks = JoinSet::new();
    // Its wishes go where nobody listens.
    let live = start(mirror(format!("{address}?refuse"), false), &mut tasks);
    let mut weather = live.status.clone();
    weather.wait_for(|weather| weather.link == LinkState::Live).await.unwrap();
    live.commands.send(Command::Prompt { text: "hi".into() }).await.unwrap();
    let told = weather.wait_for(|weather| weather.undelivered.is_some()).await.unwrap().undelivered.clone().unwrap();
    assert!(told.count == 1 && told.reason.contains("500") && !told.may_have_arrived, "{told:?}");
    assert_eq!(told.prompt.as_deref(), Some("hi"), "it is given back");
    assert_eq!(weather.borrow().link, LinkState::Live);
}

#[tokio::test]
async fn what_must_be_forgotten_is_and_the_rest_follows_under_the_same_numbers() {
    let reset = "event: reset\ndata: {}\n\n";
    let body = format!("{}{}{reset}{}{}{}", event_line(1, opened()), turn(2), event_line(1, opened()), turn(2), end(3));
    let (address, _asked, _server) = server(vec![Some(body), None]).await;
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    let mut facts = live.hub.subscribe(Seq(0));
    let mut told = Vec::new();
    while let Some(delivery) = facts.next().await {
        match delivery {
            HubItem::Event(fact) => told.push(fact.envelope.seq.0),
            HubItem::Reset => told.clear(),
        }
    }
    assert_eq!(told, [1, 2, 3]);
}

#[tokio::test]
async fn the_other_ones_queue_and_line_are_shown_and_any_name_is_a_fact() {
    let weather = r#"{"link":"connecting","queue":[{"id":4,"text":"later"}]}"#;
    let named = format!("event: session_opened\n{}", event_line(1, opened()));
    let body = format!("{named}event: weather\ndata: {weather}\n\nevent: caught-up\ndata: {{}}\n\n: HOLD\n\n");
    let (address, _asked, _server) = server(vec![Some(body)]).await;
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    let mut seen = live.status.clone();
    let seen = seen.wait_for(|weather| !weather.queue.is_empty()).await.unwrap().clone();
    assert_eq!((seen.link, seen.queue[0].text.as_str()), (LinkState::Connecting, "later"));
    assert_eq!(live.hub.last_seq(), Seq(1));
}

#[tokio::test]
async fn a_prompt_waits_while_the_line_is_down_and_goes_once_when_it_is_back() {
    let held = |facts: String| format!("{facts}event: caught-up\ndata: {{}}\n\n: HOLD\n\n");
    let (address, _asked, server) = server(vec![Some(held(event_line(1, opened())))]).await;
    let place = address.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    let mut weather = live.status.clone();
    weather.wait_for(|weather| weather.link == LinkState::Live).await.unwrap();
    drop(server);
    weather.wait_for(|weather| weather.link != LinkState::Live).await.unwrap();
    for text in ["first", "second", "third"] {
        live.commands.send(Command::Prompt { text: text.into() }).await.unwrap();
    }
    let waiting = weather.wait_for(|weather| weather.queue.len() == 3).await.unwrap().queue.clone();
    assert!(waiting.iter().all(QueuedPrompt::is_local));
    live.commands.send(Command::DequeuePrompt { id: waiting[1].id }).await.unwrap();
    weather.wait_for(|weather| weather.queue.len() == 2).await.unwrap();
    let (_, mut asked, _server) = server_at(&place, vec![Some(held(turn(2)))]).await;
    weather.wait_for(|weather| weather.queue.is_empty() && weather.link == LinkState::Live).await.unwrap();
    assert_eq!(weather.borrow().undelivered, None);
    drop((live, weather));
    tasks.join_all().await;
    let mut sent = Vec::new();
    while let Ok(request) = asked.try_recv() {
        sent.extend(request.starts_with("POST").then(|| request.lines().last().unwrap_or_default().to_owned()));
    }
    assert_eq!(sent, [r#"{"type":"prompt","text":"first"}"#, r#"{"type":"prompt","text":"third"}"#]);
}

#[tokio::test]
async fn a_prompt_that_may_have_arrived_is_told_and_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1/sessions/s1", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    let (asked, mut requests) = mpsc::unbounded_channel();
    server.spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = socket.read(&mut request).await.unwrap_or(0);
            if request.starts_with(b"POST") {
                // Read, and the connection breaks before an answer.
                asked.send(String::from_utf8_lossy(&request[..read]).into_owned()).unwrap();
                continue;
            }
            let body = format!("{}event: caught-up\ndata: {{}}\n\n", event_line(1, opened()));
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            open.push(socket);
        }
    });
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    let mut weather = live.status.clone();
    weather.wait_for(|weather| weather.link == LinkState::Live).await.unwrap();
    live.commands.send(Command::Prompt { text: "once".into() }).await.unwrap();
    let told = weather.wait_for(|weather| weather.undelivered.is_some()).await.unwrap().undelivered.clone().unwrap();
    assert!(told.may_have_arrived && told.prompt.is_none(), "{told:?}");
    assert!(weather.borrow().queue.is_empty());
    assert!(requests.recv().await.is_some() && requests.try_recv().is_err());
}

/// What is told of a mirror's log that `spoil` spoils between two facts.
async fn heard_of_a_log(spoil: fn(&std::path::Path)) -> (SessionStatus, Vec<String>, usize) {
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("sessions");
    let writer = Writer::create(&sessions, &crate::journal::LogHeader::new("s".into(), 0)).unwrap();
    let path = writer.path().to_owned();
    let first = format!("{}event: caught-up\ndata: {{}}\n\n: HOLD\n\n", event_line(1, opened()));
    let (address, _asked, server) = server(vec![Some(first)]).await;
    let place = address.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut mirror = mirror(address, false);
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    mirror.trouble = Some(Arc::new(move |_: &SessionId, what| hears.lock().unwrap().push(format!("{what:?}"))));
    mirror.hub = Hub::new(Backlog::Journal(writer.reader()), DEFAULT_RING_BYTES);
    mirror.writer = Some(writer);
    let mut tasks = JoinSet::new();
    let live = start(mirror, &mut tasks);
    let mut weather = live.status.clone();
    weather.wait_for(|weather| weather.link == LinkState::Live).await.unwrap();
    drop(server);
    weather.wait_for(|weather| weather.link != LinkState::Live).await.unwrap();
    spoil(&sessions);
    let (_, _asked, _server) = server_at(&place, vec![Some(format!("{}{}: HOLD\n\n", turn(2), end(3)))]).await;
    weather.wait_for(|weather| weather.save_error.is_some() || weather.rewritten.is_some()).await.unwrap();
    let seen = weather.borrow().clone();
    let entries = crate::journal::Reader::open(&path).map_or(0, |log| log.read_all().unwrap().entries.len());
    let heard = heard.lock().unwrap().clone();
    (seen, heard, entries)
}

#[tokio::test]
async fn a_log_that_is_removed_is_told_with_the_next_fact_and_written_anew() {
    let (weather, heard, entries) = heard_of_a_log(|sessions| std::fs::remove_dir_all(sessions).unwrap()).await;
    assert!(weather.rewritten.is_some_and(|text| text.starts_with("the log was removed")), "it is on the screen");
    assert_eq!((weather.save_error, entries), (None, 3));
    assert!(heard.len() == 1 && heard[0].starts_with("Rewritten(\"the log was removed"), "{heard:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_any_more_is_told_with_the_next_fact() {
    let (weather, heard, _) = heard_of_a_log(|sessions| {
        std::fs::remove_dir_all(sessions).unwrap();
        // Nothing can be made where a file is.
        std::fs::write(sessions, "").unwrap();
    })
    .await;
    assert!(weather.save_error.is_some_and(|why| why.contains("can't be rewritten")) && weather.rewritten.is_none());
    assert!(heard.len() == 1 && heard[0].starts_with("Failed("), "{heard:?}");
}
