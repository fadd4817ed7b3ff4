//! Tests of the places for sessions: who makes room for whom.

use tokio::time::advance;

use super::*;
use crate::event::TurnOutcome;
use crate::serve::request::OneShotRequest;
use crate::testkit::events::{opened, turn_finished, turn_started};
use crate::testkit::factory::TestFactory;
use crate::testkit::session::TestSource;

const SECOND: Duration = Duration::from_secs(1);

struct SessionPlaces {
    state: ServerState,
    factory: Arc<TestFactory>,
    /// The initial session's and those of the shared ones; a session ends with its source.
    sources: Vec<TestSource>,
}

impl SessionPlaces {
    fn new(max_sessions: usize) -> Self {
        Self::with(max_sessions, TestFactory::default())
    }

    fn with(max_sessions: usize, factory: TestFactory) -> Self {
        let factory = Arc::new(factory);
        let limits = Limits { max_sessions, ..Limits::default() };
        let state = ServerState::new(factory.clone(), Settings { limits, ..Settings::default() });
        Self { state, factory, sources: Vec::new() }
    }

    /// Opens a session, a second after the last.
    async fn open(&mut self) -> Arc<RunningSession> {
        advance(SECOND).await;
        let session = self.state.open_shared(OpenRequest::default()).await.unwrap();
        self.sources.push(self.factory.source());
        session
    }

    async fn refusal(&self) -> ApiError {
        self.state.open_shared(OpenRequest::default()).await.err().expect("there is no place")
    }

    fn running(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.state.running_sessions().iter().map(|session| session.id().as_str().to_owned()).collect();
        names.sort();
        names
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_that_was_idle_longest_makes_room_for_another() {
    let mut places = SessionPlaces::new(3);
    let (first, _second, _third) = (places.open().await, places.open().await, places.open().await);
    advance(SECOND).await;
    first.touch();
    places.open().await;
    assert_eq!(places.running(), ["s1", "s3", "s4"], "the first was used later than the second");
    // A reader counts as use when it comes, and while it stays.
    let third = places.state.find_running(&"s3".into()).unwrap();
    advance(SECOND).await;
    drop(third.add_reader());
    let _reader = first.add_reader();
    advance(SECOND).await;
    places.open().await;
    assert_eq!(places.running(), ["s1", "s3", "s5"]);
    places.open().await;
    assert_eq!(places.running(), ["s1", "s5", "s6"], "the one with a reader stays, idle longest as it is");
}

#[tokio::test(start_paused = true)]
async fn sessions_in_use_make_no_room_and_whoever_comes_is_told_to_try_again() {
    let mut places = SessionPlaces::new(2);
    let read = places.open().await;
    let _reader = read.add_reader();
    places.open().await;
    places.sources[1].send([opened(), turn_started("t1")]).await;
    let refusal = places.refusal().await;
    assert_eq!((refusal.status, refusal.retry_after), (429, Some(5)));
    assert!(refusal.message.contains("2 sessions are running, which is the limit"), "{}", refusal.message);
    assert_eq!(places.running(), ["s1", "s2"]);
    assert_eq!(places.refusal().await.status, 429, "a refusal takes no place");
    places.sources[1].send([turn_finished("t1", TurnOutcome::Completed)]).await;
    places.open().await;
    assert_eq!(places.running(), ["s1", "s3"], "its turn is over");
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_nobody_else_is_never_given_away() {
    let factory = TestFactory::default();
    let (initial, source) = factory.start(Vec::new());
    *factory.initial.lock().unwrap() = Some(initial);
    let mut places = SessionPlaces::with(2, factory);
    places.sources.push(source);
    places.state.open_one_shot(&OneShotRequest::default()).await.unwrap();
    let one_shot = places.factory.source();
    advance(SECOND * 1_000).await;
    assert_eq!(places.refusal().await.status, 429, "both are idle: the recording, and a prompt of somebody");
    // A session that ended takes no place.
    drop(one_shot);
    let ended = places.state.find_running(&"s2".into()).unwrap();
    while !ended.handle.hub.is_closed() {
        tokio::task::yield_now().await;
    }
    places.open().await;
    assert_eq!(places.running(), ["s1", "s3"]);
}
