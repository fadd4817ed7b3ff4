use super::*;
use crate::bridge::HubItem;
use crate::bridge::hub::{Backlog, DEFAULT_RING_BYTES};
use crate::event::{AgentEvent, Command, TurnOutcome};
use crate::testkit::events::{LIVE, Opened, turn_finished, turn_started};
use crate::testkit::server::{ScriptedServer, ServerAct, head, json};

fn event_line(seq: u64, event: AgentEvent) -> String {
    let envelope = Envelope { seq: Seq(seq), at: Millis(seq * 10), event };
    format!("id: {seq}\ndata: {}\n\n", serde_json::to_string(&envelope).unwrap())
}

fn opened() -> AgentEvent {
    Opened { capabilities: LIVE, ..Opened::default() }.event()
}

fn turn(seq: u64) -> String {
    event_line(seq, turn_started("t"))
}

fn end(seq: u64) -> String {
    event_line(seq, turn_finished("t", TurnOutcome::Completed))
}

/// Answers each GET with the next body and closes; commands are accepted. The receiver gets the requests.
async fn server(bodies: Vec<Option<String>>) -> (String, mpsc::UnboundedReceiver<String>, ScriptedServer) {
    server_at("127.0.0.1:0", bodies).await
}

async fn server_at(
    place: &str,
    bodies: Vec<Option<String>>,
) -> (String, mpsc::UnboundedReceiver<String>, ScriptedServer) {
    let (asked, requests) = mpsc::unbounded_channel();
    let mut bodies = bodies.into_iter();
    let server = ScriptedServer::answering_at(place, move |request| {
        asked.send(request.to_owned()).unwrap();
        if request.starts_with("POST") {
            let refused = request.contains("?refuse");
            return vec![json(if refused { "500 Internal Server Error" } else { "202 Accepted" }, "")];
        }
        match bodies.next() {
            Some(Some(body)) => events(body),
            Some(None) => vec![head("204 No Content", "")],
            None => vec![json("404 Not Found", "")],
        }
    });
    let server = server.await;
    (format!("{}/v1/sessions/s1", server.url()), requests, server)
}

/// Sends a stream, and keeps it open if it says so.
fn events(body: String) -> Vec<ServerAct> {
    let is_held = body.contains("HOLD");
    let mut acts = vec![head("200 OK", "content-type: text/event-stream\r\n"), ServerAct::Send(body.into())];
    acts.extend(is_held.then_some(ServerAct::Hang));
    acts
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
    live.commands.send(Command::prompt("hi")).await.unwrap();
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
    live.commands.send(Command::prompt("hi")).await.unwrap();
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
        live.commands.send(Command::prompt(text)).await.unwrap();
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
    let server = ScriptedServer::answering(|request| {
        if request.starts_with("POST") {
            // Read, and the connection breaks before an answer.
            return Vec::new();
        }
        events(format!("{}event: caught-up\ndata: {{}}\n\n: HOLD\n\n", event_line(1, opened())))
    });
    let server = server.await;
    let address = format!("{}/v1/sessions/s1", server.url());
    let mut tasks = JoinSet::new();
    let live = start(mirror(address, false), &mut tasks);
    let mut weather = live.status.clone();
    weather.wait_for(|weather| weather.link == LinkState::Live).await.unwrap();
    live.commands.send(Command::prompt("once")).await.unwrap();
    let told = weather.wait_for(|weather| weather.undelivered.is_some()).await.unwrap().undelivered.clone().unwrap();
    assert!(told.may_have_arrived && told.prompt.is_none(), "{told:?}");
    assert!(weather.borrow().queue.is_empty());
    assert_eq!(server.asked().iter().filter(|request| request.starts_with("POST")).count(), 1);
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

/// A server that wants to be left alone for an hour is asked at once when somebody wants that, also who only watches.
#[tokio::test]
async fn a_broken_line_is_tried_again_when_somebody_asks() {
    let (asked, mut requests) = mpsc::unbounded_channel();
    let mut answers =
        [head("503 Service Unavailable", "retry-after: 3600\r\n"), head("204 No Content", "")].into_iter();
    let server = ScriptedServer::answering_at("127.0.0.1:0", move |request| {
        asked.send(request.to_owned()).unwrap();
        answers.next().into_iter().collect()
    });
    let server = server.await;
    let mut tasks = JoinSet::new();
    let live = start(mirror(format!("{}/v1/sessions/s1", server.url()), true), &mut tasks);
    let mut weather = live.status.clone();
    weather.wait_for(|weather| matches!(weather.link, LinkState::Retrying { .. })).await.unwrap();
    requests.recv().await.unwrap();
    live.commands.send(Command::Reconnect).await.unwrap();
    assert!(requests.recv().await.unwrap().starts_with("GET /v1/sessions/s1/events?from=1 "));
}
