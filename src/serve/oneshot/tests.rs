use std::sync::Mutex;

use axum::body::to_bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance};

use super::*;
use crate::bridge::Live;
use crate::bridge::hub::{Backlog, Hub, RING_BYTES};
use crate::bridge::session::{self, Feed, Past, Setup, Standing};
use crate::event::{Caps, Json, LinkState, Mode, Role, TextKind, ToolSpec, TurnEnd};
use crate::serve::Settings;
use crate::serve::ask::Told;
use crate::serve::factory::{Answering, Factory, Model, Opening, Saved};

/// Sessions whose source is the test.
#[derive(Default)]
struct House {
    sources: Mutex<Vec<Source>>,
    tasks: Mutex<JoinSet<()>>,
    ended: Mutex<Vec<Live>>,
}

struct Source {
    events: mpsc::Sender<AgentEvent>,
    wishes: mpsc::Receiver<Command>,
    _link: watch::Sender<LinkState>,
}

impl House {
    fn start(&self, notices: Vec<AgentEvent>) -> Live {
        let mut sources = self.sources.lock().unwrap();
        let (events, from_source) = mpsc::channel(256);
        let (commands, wishes) = mpsc::channel(16);
        let (link, watch) = watch::channel(LinkState::Idle);
        let caps = Caps { prompt: true, decide: true, cancel: true, seek: false };
        let setup = Setup {
            session: SessionId::new(format!("s{}", sources.len() + 1)),
            hub: Hub::new(Backlog::Memory, RING_BYTES),
            writer: None,
            not_saved: None,
            standing: Standing::default(),
            state: None,
            waiting: Vec::new(),
            granted: Vec::new(),
            trouble: None,
            past: Box::pin(async { Past::default() }),
            notices,
            epoch: Instant::now(),
        };
        let feed = Feed { events: from_source, link: watch, permissions: None, commands, caps };
        let live = session::start(setup, feed, &mut self.tasks.lock().unwrap());
        sources.push(Source { events, wishes, _link: link });
        self.ended.lock().unwrap().push(Live { commands: mpsc::channel(1).0, ..live.clone() });
        live
    }

    fn source(&self) -> Source {
        self.sources.lock().unwrap().pop().expect("a session was opened")
    }
}

impl Factory for House {
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answering, Refused>> {
        Box::pin(async { Ok(Answering { live: self.start(ask.past.clone()), turn: None, played: false }) })
    }

    fn open(&self, _: Opening) -> BoxFuture<'_, Result<Live, Refused>> {
        Box::pin(async { Ok(self.start(Vec::new())) })
    }

    fn reopen<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Live, Refused>> {
        Box::pin(async move { Err(Refused::not_found(id.as_str())) })
    }

    fn read<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Live, Refused>> {
        let known = self.ended.lock().unwrap().iter().find(|live| live.session == *id).cloned();
        Box::pin(async move { known.ok_or_else(|| Refused::not_found(id.as_str())) })
    }

    fn given(&self) -> Option<Live> {
        None
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Saved>, Refused>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn models(&self) -> BoxFuture<'_, Vec<Model>> {
        Box::pin(async { Vec::new() })
    }

    fn tools(&self) -> Vec<ToolSpec> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Says each text in a frame of its own, numbered.
#[derive(Default)]
struct Words {
    said: u64,
    text: String,
}

impl Words {
    fn boxed(_: &SessionId) -> Box<dyn Encode> {
        Box::new(Self::default())
    }

    fn say(&mut self, text: &str, out: &mut Vec<SseFrame>) {
        out.push(SseFrame { id: Some(self.said.to_string()), ..SseFrame::data(text) });
        self.said += 1;
    }
}

impl Encode for Words {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        self.say("start", out);
    }

    fn fact(&mut self, told: &Envelope, out: &mut Vec<SseFrame>) {
        match &told.event {
            AgentEvent::SessionOpened { model, .. } => self.say(model, out),
            AgentEvent::TextDelta { text, .. } => {
                self.text.push_str(text);
                self.say(text, out);
            }
            AgentEvent::TurnFinished { end, .. } => self.say(&format!("{end:?}"), out),
            _ => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.say("done", out);
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Comment
    }

    fn answer(&mut self) -> (u16, Json) {
        (200, serde_json::json!({ "text": self.text }))
    }
}

fn opened() -> AgentEvent {
    AgentEvent::SessionOpened {
        wall: 0,
        engine: "e".into(),
        model: "m".into(),
        why: String::new(),
        mode: Mode::Ask,
        folder: String::new(),
        version: String::new(),
        caps: Caps::default(),
        window: None,
        price: None,
    }
}

fn text(text: &str) -> AgentEvent {
    AgentEvent::TextDelta { message: "m1".into(), text: text.into(), kind: TextKind::Text }
}

impl Source {
    async fn tell(&self, events: impl IntoIterator<Item = AgentEvent>) {
        for event in events {
            self.events.send(event).await.unwrap();
        }
        // Everybody may take it before the next.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    async fn begin(&self) {
        let message = AgentEvent::MessageStarted { message: "m1".into(), role: Role::Assistant, parent: None };
        self.tell([opened(), AgentEvent::TurnStarted { turn: "t1".into(), parent: None }, message]).await;
    }

    async fn end(&self, end: TurnEnd) {
        self.tell([AgentEvent::TurnFinished { turn: "t1".into(), end }]).await;
    }
}

struct Served {
    house: Arc<House>,
    state: State,
}

impl Served {
    fn new() -> Self {
        let house = Arc::new(House::default());
        let state = State::new(house.clone(), Settings::default());
        Self { house, state }
    }

    async fn ask(&self, ask: Ask) -> (Response<Body>, Source) {
        let response = run(&self.state, ask, Framing::Sse, Words::boxed).await.unwrap();
        (response, self.house.source())
    }

    async fn again(&self, skip: usize) -> String {
        let id = SessionId::from("s1");
        all(again(&self.state, &id, Framing::Sse, skip, Words::boxed).await.unwrap()).await
    }
}

fn ask() -> Ask {
    Ask { prompt: Some("hi".into()), ..Ask::default() }
}

async fn all(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

/// The data of each frame with its id.
fn frames(stream: &str) -> Vec<String> {
    let mut out = Vec::new();
    for frame in stream.split("\n\n").filter(|frame| !frame.is_empty()) {
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        out.push(format!("{} {}", field("id: "), field("data: ")));
    }
    out
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_streamed_and_can_be_had_again_from_every_frame() {
    let served = Served::new();
    let mut told = Told::new();
    told.user("before");
    told.assistant("not this", []);
    let (response, mut source) = served.ask(Ask { past: told.facts(), ..ask() }).await;
    assert_eq!(response.headers()["x-jarvis-session"], "s1");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    source.begin().await;
    assert_eq!(source.wishes.recv().await, Some(Command::Prompt { text: "hi".into() }));
    source.tell([text("a")]).await;
    let running = served.again(1);
    let finish = async {
        source.tell([text("b")]).await;
        source.end(TurnEnd::Completed).await;
    };
    let (whole, again, ()) = tokio::join!(all(response), running, finish);
    let expected = ["0 start", "1 m", "2 a", "3 b", "4 Completed", "5 done"];
    assert_eq!(frames(&whole), expected);
    assert_eq!(frames(&again), expected[1..]);
    for skip in 0..=expected.len() {
        assert_eq!(frames(&served.again(skip).await), expected[skip..], "from the log, after {skip}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_without_a_prompt_goes_on() {
    let served = Served::new();
    let (_response, mut source) = served.ask(Ask::default()).await;
    assert_eq!(source.wishes.recv().await, Some(Command::GoOn));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_reads_is_cancelled_after_half_a_minute() {
    let served = Served::new();
    let (response, mut source) = served.ask(ask()).await;
    source.begin().await;
    source.wishes.recv().await;
    drop(response);
    advance(LEFT.saturating_sub(Duration::from_millis(50))).await;
    // Somebody comes back in time, and leaves again.
    let id = SessionId::from("s1");
    let back = again(&served.state, &id, Framing::Sse, 0, Words::boxed).await.unwrap();
    tokio::task::yield_now().await;
    advance(LEFT * 2).await;
    assert!(source.wishes.try_recv().is_err());
    drop(back);
    let left = Instant::now();
    assert_eq!(source.wishes.recv().await, Some(Command::Cancel));
    assert!(left.elapsed() >= LEFT && left.elapsed() < LEFT + Duration::from_secs(1), "{:?}", left.elapsed());
    source.end(TurnEnd::Cancelled).await;
    assert_eq!(source.wishes.recv().await, None, "the session was let go");
    assert!(served.state.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_asked_to_stay_goes_on_unread() {
    let served = Served::new();
    let (response, mut source) = served.ask(Ask { stays: true, ..ask() }).await;
    source.begin().await;
    source.wishes.recv().await;
    drop(response);
    advance(LEFT * 10).await;
    tokio::task::yield_now().await;
    assert!(source.wishes.try_recv().is_err());
    source.tell([text("still")]).await;
    source.end(TurnEnd::Completed).await;
    assert!(served.again(0).await.contains("still"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_the_whole_and_goes_away_counts_as_one_that_left() {
    let served = Served::new();
    let mut waiting = Box::pin(run(&served.state, ask(), Framing::Whole, Words::boxed));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let mut source = served.house.source();
    source.begin().await;
    assert!(futures_util::poll!(&mut waiting).is_pending());
    source.wishes.recv().await;
    drop(waiting);
    assert_eq!(source.wishes.recv().await, Some(Command::Cancel));
}

#[tokio::test(start_paused = true)]
async fn the_whole_answer_comes_with_the_status_of_the_encoder() {
    let served = Served::new();
    let answer = async { run(&served.state, ask(), Framing::Whole, Words::boxed).await.unwrap() };
    let source = async {
        tokio::task::yield_now().await;
        let source = served.house.source();
        source.begin().await;
        source.tell([text("a"), text("b")]).await;
        source.end(TurnEnd::Completed).await;
    };
    let (answer, ()) = tokio::join!(answer, source);
    assert_eq!(all(answer).await, r#"{"text":"ab"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_without_its_turn_still_gives_the_end_of_the_stream() {
    let served = Served::new();
    let (response, source) = served.ask(ask()).await;
    source.begin().await;
    drop(source);
    // The session seals what its source left open.
    assert_eq!(frames(&all(response).await), ["0 start", "1 m", "2 Interrupted", "3 done"]);
    let (response, source) = served.ask(ask()).await;
    drop(source);
    assert_eq!(frames(&all(response).await), ["0 start", "1 done"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_gives_signs_of_life_and_a_busy_one_is_paced() {
    let served = Served::new();
    let (response, source) = served.ask(ask()).await;
    let mut body = response.into_body().into_data_stream();
    let begun = Instant::now();
    let mut next = async || String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(next().await.contains("start"));
    assert_eq!((next().await.as_str(), begun.elapsed().as_secs()), (": keep-alive\n", 10));
    assert_eq!((next().await.as_str(), begun.elapsed().as_secs()), (": keep-alive\n", 20));
    source.begin().await;
    assert!(next().await.contains("data: m"));
    let wrote = Instant::now();
    source.tell([text("a")]).await;
    source.tell([text("b")]).await;
    assert_eq!(next().await.matches("data: ").count(), 2, "all that waits in one write");
    assert!(wrote.elapsed() >= Duration::from_millis(20));
}
