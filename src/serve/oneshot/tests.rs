use axum::body::to_bytes;
use futures_util::StreamExt as _;
use tokio::time::{Instant, advance};

use super::*;
use crate::event::{Json, TurnOutcome};
use crate::serve::Settings;
use crate::serve::request::HistoryBuilder;
use crate::testkit::events::{Opened, message_started, text_delta, turn_finished, turn_started};
use crate::testkit::factory::TestFactory;
use crate::testkit::session::TestSource;

fn text(text: &str) -> AgentEvent {
    text_delta("m1", text)
}

/// Encodes each text as a numbered frame.
#[derive(Default)]
struct TextFrames {
    frame_count: u64,
    text: String,
}

impl TextFrames {
    fn boxed(_: &SessionId) -> Box<dyn Encode> {
        Box::new(Self::default())
    }

    fn say(&mut self, text: &str, out: &mut Vec<SseFrame>) {
        out.push(SseFrame { id: Some(self.frame_count.to_string()), ..SseFrame::data(text) });
        self.frame_count += 1;
    }
}

impl Encode for TextFrames {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        self.say("start", out);
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        match &envelope.event {
            AgentEvent::SessionOpened { model, .. } => self.say(model, out),
            AgentEvent::TextDelta { text, .. } => {
                self.text.push_str(text);
                self.say(text, out);
            }
            AgentEvent::TurnFinished { outcome: end, .. } => self.say(&format!("{end:?}"), out),
            _ => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.say("done", out);
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Comment
    }

    fn full_response(&mut self) -> (u16, Json) {
        (200, serde_json::json!({ "text": self.text }))
    }
}

impl TestSource {
    async fn begin(&self) {
        self.send([Opened { model: "m", ..Opened::default() }.event(), turn_started("t1"), message_started("m1")])
            .await;
    }

    async fn end(&self, end: TurnOutcome) {
        self.send([turn_finished("t1", end)]).await;
    }
}

struct OneShotServer {
    factory: Arc<TestFactory>,
    state: ServerState,
}

impl OneShotServer {
    fn new() -> Self {
        let factory = Arc::new(TestFactory::default());
        let state = ServerState::new(factory.clone(), Settings::default());
        Self { factory, state }
    }

    async fn ask(&self, request: OneShotRequest) -> (Response<Body>, TestSource) {
        let response = run(&self.state, request, Framing::Sse, TextFrames::boxed).await.unwrap();
        (response, self.factory.source())
    }

    async fn again(&self, skip: usize) -> String {
        let id = SessionId::from("s1");
        all(replay(&self.state, &id, Framing::Sse, skip, TextFrames::boxed).await.unwrap()).await
    }
}

fn request() -> OneShotRequest {
    OneShotRequest { prompt: Some("hi".into()), ..OneShotRequest::default() }
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
    let served = OneShotServer::new();
    let mut history = HistoryBuilder::new();
    history.add_user_message("before");
    history.add_assistant_message("not this", []);
    let (response, mut source) = served.ask(OneShotRequest { history: history.into_events(), ..request() }).await;
    assert_eq!(response.headers()["x-jarvis-session"], "s1");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    source.begin().await;
    assert_eq!(source.commands.recv().await, Some(Command::prompt("hi")));
    source.send([text("a")]).await;
    let running = served.again(1);
    let finish = async {
        source.send([text("b")]).await;
        source.end(TurnOutcome::Completed).await;
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
    let served = OneShotServer::new();
    let (_response, mut source) = served.ask(OneShotRequest::default()).await;
    assert_eq!(source.commands.recv().await, Some(Command::Continue));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_reads_is_cancelled_after_half_a_minute() {
    let served = OneShotServer::new();
    let (response, mut source) = served.ask(request()).await;
    source.begin().await;
    source.commands.recv().await;
    drop(response);
    advance(ABANDONED_TURN_TIMEOUT.saturating_sub(Duration::from_millis(50))).await;
    // A reader comes back in time, and leaves again.
    let id = SessionId::from("s1");
    let back = replay(&served.state, &id, Framing::Sse, 0, TextFrames::boxed).await.unwrap();
    tokio::task::yield_now().await;
    advance(ABANDONED_TURN_TIMEOUT * 2).await;
    assert!(source.commands.try_recv().is_err());
    drop(back);
    let left = Instant::now();
    assert_eq!(source.commands.recv().await, Some(Command::Cancel));
    assert!(
        left.elapsed() >= ABANDONED_TURN_TIMEOUT && left.elapsed() < ABANDONED_TURN_TIMEOUT + Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
    source.end(TurnOutcome::Cancelled).await;
    assert_eq!(source.commands.recv().await, None, "the session was let go");
    assert!(served.state.running_sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_asked_to_stay_goes_on_unread() {
    let served = OneShotServer::new();
    let (response, mut source) = served.ask(OneShotRequest { keep_running: true, ..request() }).await;
    source.begin().await;
    source.commands.recv().await;
    drop(response);
    advance(ABANDONED_TURN_TIMEOUT * 10).await;
    tokio::task::yield_now().await;
    assert!(source.commands.try_recv().is_err());
    source.send([text("still")]).await;
    source.end(TurnOutcome::Completed).await;
    assert!(served.again(0).await.contains("still"));
}

#[tokio::test(start_paused = true)]
async fn a_turn_whose_client_can_not_come_back_ends_with_it() {
    for (keep_running, ended) in [(false, Ok(Command::Cancel)), (true, Err(()))] {
        let served = OneShotServer::new();
        let asked = OneShotRequest { ends_with_client: true, keep_running, ..request() };
        let (response, mut source) = served.ask(asked).await;
        source.begin().await;
        source.commands.recv().await;
        advance(ABANDONED_TURN_TIMEOUT).await;
        assert!(source.commands.try_recv().is_err(), "it has a reader");
        drop(response);
        let left = Instant::now();
        let command = tokio::time::timeout(Duration::from_secs(1), source.commands.recv()).await;
        assert_eq!(command.map(Option::unwrap).map_err(|_| ()), ended);
        assert!(keep_running || left.elapsed() < Duration::from_millis(50), "{:?}", left.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_in_a_chat_is_over_before_its_client_asks_anew() {
    let served = OneShotServer::new();
    let id = SessionId::from("s1");
    let (_response, mut source) = served.ask(request()).await;
    source.begin().await;
    source.commands.recv().await;
    let ends = async {
        assert_eq!(source.commands.recv().await, Some(Command::Cancel));
        source.end(TurnOutcome::Cancelled).await;
    };
    let begun = Instant::now();
    tokio::join!(supersede(&served.state, &id), ends);
    assert_eq!(begun.elapsed(), Duration::ZERO, "nothing else is waited for");
    supersede(&served.state, &id).await;
    assert_eq!(source.commands.recv().await, None, "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_no_cancel_ends_holds_up_the_next_one_of_its_chat_by_seconds_only() {
    let served = OneShotServer::new();
    let (_response, mut source) = served.ask(request()).await;
    source.begin().await;
    source.commands.recv().await;
    let begun = Instant::now();
    supersede(&served.state, &SessionId::from("s1")).await;
    assert_eq!(begun.elapsed(), SUPERSEDED_TURN_TIMEOUT * 2);
    let asked: Vec<_> = std::iter::from_fn(|| source.commands.try_recv().ok()).collect();
    assert_eq!(asked, [Command::Cancel, Command::Cancel], "the second forces");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_the_whole_and_goes_away_counts_as_one_that_left() {
    let served = OneShotServer::new();
    let mut waiting = Box::pin(run(&served.state, request(), Framing::Buffered, TextFrames::boxed));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let mut source = served.factory.source();
    source.begin().await;
    assert!(futures_util::poll!(&mut waiting).is_pending());
    source.commands.recv().await;
    drop(waiting);
    assert_eq!(source.commands.recv().await, Some(Command::Cancel));
}

#[tokio::test(start_paused = true)]
async fn the_whole_answer_comes_with_the_status_of_the_encoder() {
    let served = OneShotServer::new();
    let answer = async { run(&served.state, request(), Framing::Buffered, TextFrames::boxed).await.unwrap() };
    let source = async {
        tokio::task::yield_now().await;
        let source = served.factory.source();
        source.begin().await;
        source.send([text("a"), text("b")]).await;
        source.end(TurnOutcome::Completed).await;
    };
    let (answer, ()) = tokio::join!(answer, source);
    assert_eq!(all(answer).await, r#"{"text":"ab"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_without_its_turn_still_gives_the_end_of_the_stream() {
    let served = OneShotServer::new();
    let (response, source) = served.ask(request()).await;
    source.begin().await;
    drop(source);
    // The session seals what its source left open.
    assert_eq!(frames(&all(response).await), ["0 start", "1 m", "2 Interrupted", "3 done"]);
    let (response, source) = served.ask(request()).await;
    drop(source);
    assert_eq!(frames(&all(response).await), ["0 start", "1 done"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_gives_signs_of_life_and_a_busy_one_is_paced() {
    let served = OneShotServer::new();
    let (response, source) = served.ask(request()).await;
    let mut body = response.into_body().into_data_stream();
    let begun = Instant::now();
    let mut next = async || String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(next().await.contains("start"));
    assert_eq!((next().await.as_str(), begun.elapsed().as_secs()), (": keep-alive\n", 10));
    assert_eq!((next().await.as_str(), begun.elapsed().as_secs()), (": keep-alive\n", 20));
    source.begin().await;
    assert!(next().await.contains("data: m"));
    let wrote = Instant::now();
    source.send([text("a")]).await;
    source.send([text("b")]).await;
    assert_eq!(next().await.matches("data: ").count(), 2, "all that waits in one write");
    assert!(wrote.elapsed() >= Duration::from_millis(20));
}
