use std::sync::Mutex;

use futures_util::future::BoxFuture;

use super::*;
use crate::bridge::session::SessionSetup;
use crate::bridge::{HubItem, SessionHandle};
use crate::event::Capabilities;
use crate::testkit::events::{opened, turn_started};
use crate::testkit::session::{TestSource, session_setup, start_session};

/// A shared log whose answers the test gives.
struct ScriptedLog {
    answers: mpsc::UnboundedReceiver<Result<(), AppendError>>,
    stored: Arc<Mutex<Vec<u64>>>,
}

impl SharedLog for ScriptedLog {
    fn append<'a>(&'a mut self, events: &'a [Arc<LoggedEvent>]) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(async move {
            let answer = self.answers.recv().await.unwrap_or(Ok(()));
            if answer.is_ok() {
                self.stored.lock().unwrap().extend(events.iter().map(|event| event.envelope.seq.0));
            }
            answer
        })
    }

    fn lost(&self) -> BoxFuture<'static, String> {
        Box::pin(std::future::pending())
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.stored.lock().unwrap().push(0);
        Box::pin(async {})
    }
}

struct Rig {
    handle: SessionHandle,
    source: TestSource,
    answers: mpsc::UnboundedSender<Result<(), AppendError>>,
    /// The numbers that are stored, and 0 once the log is given up.
    stored: Arc<Mutex<Vec<u64>>>,
    tasks: JoinSet<()>,
}

fn rig() -> Rig {
    let (answers, given) = mpsc::unbounded_channel();
    let stored = Arc::new(Mutex::new(Vec::new()));
    let log = ScriptedLog { answers: given, stored: Arc::clone(&stored) };
    let setup = SessionSetup { shared_log: Some(Box::new(log)), ..session_setup("s1".into()) };
    let mut tasks = JoinSet::new();
    let (handle, source) = start_session(setup, Capabilities::default(), &mut tasks);
    Rig { handle, source, answers, stored, tasks }
}

async fn shown(rig: &Rig) -> u64 {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    rig.handle.hub.last_seq().0
}

#[tokio::test(start_paused = true)]
async fn nobody_is_shown_an_event_before_it_is_stored() {
    let rig = rig();
    rig.source.send([opened(), turn_started("t1")]).await;
    assert_eq!(shown(&rig).await, 0, "it is not acknowledged");
    rig.answers.send(Ok(())).unwrap();
    rig.answers.send(Ok(())).unwrap();
    assert_eq!(shown(&rig).await, 2);
    assert_eq!(*rig.stored.lock().unwrap(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_stored_waits_and_is_said() {
    let mut rig = rig();
    rig.answers.send(Err(AppendError::Unreachable("no server".to_owned()))).unwrap();
    rig.source.send([opened()]).await;
    rig.handle.status.wait_for(|status| status.save_error.as_deref() == Some("no server")).await.unwrap();
    assert_eq!(shown(&rig).await, 0);
    rig.answers.send(Ok(())).unwrap();
    let mut events = rig.handle.hub.subscribe(crate::event::Seq(0));
    assert!(matches!(events.next().await, Some(HubItem::Event(_))), "it is tried again");
    rig.handle.status.wait_for(|status| status.save_error.is_none()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_server_owns_ends_and_seals_nothing() {
    let mut rig = rig();
    rig.answers.send(Ok(())).unwrap();
    rig.source.send([opened(), turn_started("t1")]).await;
    shown(&rig).await;
    rig.answers.send(Err(AppendError::Lost("taken over".to_owned()))).unwrap();
    rig.source.send([turn_started("t2")]).await;
    while rig.tasks.join_next().await.is_some() {}
    assert!(rig.handle.hub.is_closed());
    assert!(rig.source.events.is_closed(), "the source has to stop");
    let stored = rig.stored.lock().unwrap().clone();
    assert!(!stored.contains(&0) && stored.iter().all(|seq| *seq <= 2), "{stored:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_stores_its_end_and_gives_the_log_up() {
    let Rig { handle, source, answers, stored, mut tasks } = rig();
    drop(answers);
    source.send([opened(), turn_started("t1")]).await;
    drop(source);
    while tasks.join_next().await.is_some() {}
    let stored = stored.lock().unwrap().clone();
    assert_eq!((stored.first(), stored.last(), handle.hub.is_closed()), (Some(&1), Some(&0), true));
    assert_eq!(stored.len() as u64 - 1, handle.hub.last_seq().0, "the turn is closed, and that is shown");
    assert!(handle.hub.last_seq().0 > 2);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_stored_the_end_is_not_waited_for_for_long() {
    let Rig { handle, source, answers, mut tasks, .. } = rig();
    for _ in 0..1000 {
        answers.send(Err(AppendError::Unreachable("no server".to_owned()))).unwrap();
    }
    source.send([opened()]).await;
    drop(source);
    let begun = Instant::now();
    while tasks.join_next().await.is_some() {}
    assert!(begun.elapsed() <= CLOSE_TIMEOUT + RETRY_INTERVAL * 2, "{:?}", begun.elapsed());
    assert_eq!(handle.hub.last_seq().0, 0, "what is not stored is not shown");
}
