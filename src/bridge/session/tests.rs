//! Tests of the session with a hand-fed source, in memory and on paused time.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::bridge::HubItem;
use crate::bridge::hub::Backlog;
use crate::event::{ApprovalMode, NoticeCode};
use crate::journal::StatePart;
use crate::testkit::events::{Opened, message_started, opened, text_delta, turn_finished, turn_started, user_message};
use crate::testkit::session::{TestSource, session_setup, start_session};

struct SessionRig {
    live: SessionHandle,
    events: mpsc::Sender<AgentEvent>,
    commands: mpsc::Receiver<Command>,
    tasks: JoinSet<()>,
}

fn rig() -> SessionRig {
    rig_with(|_| {})
}

fn rig_with(change: impl FnOnce(&mut SessionSetup)) -> SessionRig {
    let mut tasks = JoinSet::new();
    let mut setup = session_setup("s".into());
    change(&mut setup);
    let (live, TestSource { events, commands, .. }) = start_session(setup, Capabilities::default(), &mut tasks);
    SessionRig { live, events, commands, tasks }
}

/// A session with a log in `sessions`; what is told about saving it is kept.
fn logged_rig(sessions: &Path) -> (SessionRig, PathBuf, Arc<Mutex<Vec<String>>>) {
    let writer = Writer::create(sessions, &crate::journal::LogHeader::new("s".into(), 0)).unwrap();
    let path = writer.path().to_owned();
    let saves = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&saves);
    let bench = rig_with(|setup| {
        setup.hub = Hub::new(Backlog::Journal(writer.reader()), 1 << 20);
        setup.writer = Some(writer);
        setup.save_listener = Some(Arc::new(move |_: &SessionId, what: SaveEvent<'_>| {
            listener.lock().unwrap().push(format!("{what:?}"));
        }));
    });
    (bench, path, saves)
}

fn delta(text: &str) -> AgentEvent {
    text_delta("m2", text)
}

fn turn_until_text() -> Vec<AgentEvent> {
    vec![
        opened(),
        turn_started("t1"),
        user_message("m1", "hi"),
        message_started("m2"),
        delta("a"),
        delta("b"),
        delta("c"),
    ]
}

async fn everything(bench: SessionRig) -> Vec<AgentEvent> {
    let mut subscription = bench.live.hub.subscribe(Seq(0));
    drop((bench.live, bench.events));
    let mut out = Vec::new();
    let mut batch = Vec::new();
    let tasks = bench.tasks;
    tasks.join_all().await;
    while subscription.next_batch(64, &mut batch).await {}
    for delivery in batch {
        let HubItem::Event(event) = delivery else { continue };
        assert_eq!(event.line, serde_json::to_vec(&event.envelope).unwrap(), "one serialisation for all");
        assert_eq!(event.envelope.seq.0, out.len() as u64 + 1, "no holes");
        out.push(event.envelope.event.clone());
    }
    out
}

#[tokio::test(start_paused = true)]
async fn queued_deltas_become_one_event_and_a_cut_source_is_sealed() {
    let bench = rig();
    for event in turn_until_text() {
        bench.events.send(event).await.unwrap();
    }
    let events = everything(bench).await;
    assert!(events.contains(&delta("abc")), "{events:#?}");
    assert_eq!(crate::event::grammar::check(&events), []);
    assert_eq!(events.last(), Some(&turn_finished("t1", TurnOutcome::Interrupted)));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_sent_while_busy_waits_and_can_be_taken_back() {
    let mut bench = rig();
    let prompt = |text: &str| Command::prompt(text);
    for text in ["one", "two", "three"] {
        bench.live.commands.send(prompt(text)).await.unwrap();
    }
    assert_eq!(bench.commands.recv().await, Some(prompt("one")));
    bench.live.status.wait_for(|status| status.queue.len() == 2).await.unwrap();
    let id = bench.live.status.borrow().queue[0].id;
    bench.live.commands.send(Command::DequeuePrompt { id }).await.unwrap();
    bench.live.status.wait_for(|status| status.queue.len() == 1).await.unwrap();
    bench.events.send(opened()).await.unwrap();
    bench.events.send(turn_started("t1")).await.unwrap();
    bench.events.send(finished()).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(prompt("three")));
}

#[tokio::test(start_paused = true)]
async fn a_note_is_logged_and_no_business_of_the_source() {
    let mut bench = rig();
    bench.live.commands.send(Command::Note { text: "check this".into() }).await.unwrap();
    bench.live.commands.send(Command::prompt("hi")).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(Command::prompt("hi")));
    bench.events.send(opened()).await.unwrap();
    let mut subscription = bench.live.hub.subscribe(Seq(1));
    let Some(HubItem::Event(event)) = subscription.next().await else { unreachable!("the note follows") };
    assert_eq!(event.envelope.event, notice(NoticeLevel::Info, NoticeCode::Note, "check this"));
}

#[tokio::test(start_paused = true)]
async fn times_never_run_backwards_and_follow_the_clock() {
    let bench = rig();
    bench.events.send(opened()).await.unwrap();
    tokio::time::advance(Duration::from_millis(1500)).await;
    bench.events.send(delta("so")).await.unwrap();
    let mut subscription = bench.live.hub.subscribe(Seq(1));
    let Some(HubItem::Event(event)) = subscription.next().await else { unreachable!("a fact follows") };
    assert!(event.envelope.at >= Millis(1500), "{:?}", event.envelope.at);
}

#[test]
fn merging_keeps_the_text_and_stops_at_other_events() {
    let big = "x".repeat(crate::event::MAX_MERGED_BYTES);
    let merged = merge(vec![delta("a"), delta("b"), delta(&big), opened(), delta("c")]);
    assert_eq!(merged, [delta("ab"), delta(&big), opened(), delta("c")]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_wishes_and_a_flood_of_events_do_not_wait_for_each_other() {
    let mut bench = rig();
    bench.events.send(opened()).await.unwrap();
    let (live, events) = (bench.live.clone(), bench.events.clone());
    // A source that sends many events and takes no command before it has sent them.
    let source = async move {
        for number in 0..5_000 {
            events.send(delta(&number.to_string())).await.unwrap();
        }
        let mut taken = 0;
        while taken < 500 {
            bench.commands.recv().await.unwrap();
            taken += 1;
        }
    };
    let client = async move {
        for _ in 0..500 {
            live.commands.send(Command::Cancel).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(source, client) }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_what_it_refuses_is_told() {
    let bench = rig();
    bench.events.send(opened()).await.unwrap();
    let mut subscription = bench.live.hub.subscribe(Seq(0));
    for number in 0..=queue::MAX_QUEUED_PROMPTS + 5 {
        bench.live.commands.send(Command::prompt(format!("prompt {number}"))).await.unwrap();
    }
    let mut notices = Vec::new();
    while notices.len() < 5 {
        let Some(HubItem::Event(event)) = subscription.next().await else { panic!("the session ended") };
        if let AgentEvent::Notice { code, text, .. } = &event.envelope.event {
            assert_eq!(*code, NoticeCode::QueueFull);
            notices.push(text.clone());
        }
    }
    assert_eq!(bench.live.status.borrow().queue.len(), queue::MAX_QUEUED_PROMPTS);
    assert!(notices[4].ends_with(&format!("prompt {}", queue::MAX_QUEUED_PROMPTS + 5)), "{notices:?}");
}

/// Waits until the status matches.
async fn until(bench: &mut SessionRig, what: impl FnMut(&SessionStatus) -> bool) {
    let status = bench.live.status.wait_for(what);
    tokio::time::timeout(Duration::from_hours(1), status).await.expect("the status comes").unwrap();
}

fn finished() -> AgentEvent {
    turn_finished("t1", TurnOutcome::Completed)
}

#[tokio::test(start_paused = true)]
async fn prompts_are_kept_until_the_log_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateStore::new(dir.path(), &"s".into());
    let kept = || state.load::<Vec<String>>(StatePart::Queue).unwrap().unwrap_or_default();
    let mut bench = rig_with(|setup| setup.state_store = Some(state.clone()));
    for text in ["one", "two", "three"] {
        bench.live.commands.send(Command::prompt(text)).await.unwrap();
    }
    until(&mut bench, |status| status.queue.len() == 2).await;
    assert_eq!(kept(), ["one", "two", "three"], "the first is on its way, and nowhere else");
    for event in [opened(), turn_started("t1"), user_message("m1", "one")] {
        bench.events.send(event).await.unwrap();
    }
    bench.events.send(finished()).await.unwrap();
    until(&mut bench, |status| status.queue.len() == 1).await;
    assert_eq!(kept(), ["two", "three"]);
    let id = bench.live.status.borrow().queue[0].id;
    bench.live.commands.send(Command::DequeuePrompt { id }).await.unwrap();
    until(&mut bench, |status| status.queue.is_empty()).await;
    assert_eq!(kept(), ["two"]);
    drop((bench.live, bench.events));
    bench.tasks.join_all().await;
    assert_eq!(kept(), ["two"], "it was never answered");
}

#[tokio::test(start_paused = true)]
async fn the_queue_of_an_earlier_run_waits_for_a_word_or_the_next_turn() {
    let waiting = || vec!["old".into(), "older".into()];
    let prompt = |text: &str| Command::prompt(text);
    // Either the person continues.
    let mut bench = rig_with(|setup| setup.queued_prompts = waiting());
    until(&mut bench, |status| status.queue_held && status.queue.len() == 2).await;
    assert!(bench.commands.try_recv().is_err(), "nothing is sent by itself");
    bench.live.commands.send(Command::SendQueued).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(prompt("old")));
    until(&mut bench, |status| !status.queue_held && status.queue.len() == 1).await;
    // Or sends another prompt, which goes first.
    let mut bench = rig_with(|setup| setup.queued_prompts = waiting());
    bench.live.commands.send(prompt("new")).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(prompt("new")));
    for event in [opened(), turn_started("t1"), finished()] {
        bench.events.send(event).await.unwrap();
    }
    assert_eq!(bench.commands.recv().await, Some(prompt("old")));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_removed_is_told_at_once_and_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("sessions");
    let (bench, path, notices) = logged_rig(&sessions);
    let mut subscription = bench.live.hub.subscribe(Seq(0));
    bench.events.send(opened()).await.unwrap();
    subscription.next().await.unwrap();
    std::fs::remove_dir_all(&sessions).unwrap();
    bench.events.send(turn_started("t1")).await.unwrap();
    subscription.next().await.unwrap();
    let Some(HubItem::Event(event)) = subscription.next().await else { panic!("nothing was told") };
    assert!(matches!(&event.envelope.event, AgentEvent::Notice { code: NoticeCode::LogRewritten, .. }), "{event:?}");
    assert!(notices.lock().unwrap()[0].starts_with("Rewritten(\"the log was removed"), "{notices:?}");
    let saved = crate::journal::Reader::open(&path).unwrap().read_all().unwrap();
    assert_eq!(saved.entries.len(), 3);
}

/// Returns the notices about a log that is removed after `events`, while the session is idle.
async fn notices_of_a_log_removed_while_idle(events: Vec<AgentEvent>) -> (Vec<String>, bool) {
    let dir = tempfile::tempdir().unwrap();
    let (bench, path, notices) = logged_rig(dir.path());
    let mut subscription = bench.live.hub.subscribe(Seq(0));
    for event in events {
        bench.events.send(event).await.unwrap();
        subscription.next().await.unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    everything(bench).await;
    let notices = notices.lock().unwrap().clone();
    (notices, path.exists())
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_removed_while_nothing_happened_is_told_at_the_end_and_is_there_again() {
    let turn = vec![opened(), turn_started("t1"), finished()];
    let (notices, is_there) = notices_of_a_log_removed_while_idle(turn).await;
    assert_eq!((notices.len(), is_there), (1, true), "{notices:?}");
    assert!(notices[0].starts_with("Rewritten(\"the log was removed"), "{notices:?}");
    let (notices, is_there) = notices_of_a_log_removed_while_idle(vec![opened()]).await;
    assert_eq!((notices, is_there), (vec![], false), "nothing was said in it");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_could_not_be_written_is_whole_once_it_can_be_also_while_nothing_happens() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("sessions");
    let (mut bench, path, saves) = logged_rig(&sessions);
    bench.events.send(opened()).await.unwrap();
    bench.live.hub.subscribe(Seq(0)).next().await.unwrap();
    // Nothing can be written where a file is in place of the folder.
    std::fs::remove_dir_all(&sessions).unwrap();
    std::fs::write(&sessions, "").unwrap();
    bench.events.send(turn_started("t1")).await.unwrap();
    until(&mut bench, |status| status.save_error.is_some()).await;
    bench.events.send(finished()).await.unwrap();
    tokio::time::sleep(SAVE_RETRY_INTERVAL * 3).await;
    assert!(bench.live.status.borrow().save_error.is_some(), "there is still no place for it");
    std::fs::remove_file(&sessions).unwrap();
    until(&mut bench, |status| status.save_error.is_none()).await;
    let saved = crate::journal::Reader::open(&path).unwrap().read_all().unwrap();
    let is_whole = |events: &[AgentEvent]| {
        matches!(
            events,
            [AgentEvent::SessionOpened { .. }, AgentEvent::TurnStarted { .. }, AgentEvent::TurnFinished { .. }, ..]
        )
    };
    let events: Vec<_> = saved.entries.into_iter().map(|entry| entry.envelope.event).collect();
    assert!(is_whole(&events), "{events:#?}");
    let saves = saves.lock().unwrap();
    let kinds: Vec<_> = saves.iter().map(|what| what.split('(').next().unwrap_or_default()).collect();
    assert_eq!(kinds, ["Failed", "Recovered", "Rewritten"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_next_run_will_lack_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file where a folder should be");
    std::fs::write(&file, "").unwrap();
    let bench = rig_with(|setup| setup.state_store = Some(StateStore::new(&file, &"s".into())));
    bench.events.send(opened()).await.unwrap();
    for text in ["one", "two", "three"] {
        bench.live.commands.send(Command::prompt(text)).await.unwrap();
    }
    let is_not_kept_notice =
        |event: &&AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::NotKept, .. });
    let events = everything(bench).await;
    assert_eq!(events.iter().filter(is_not_kept_notice).count(), 1, "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn model_and_mode_are_kept_from_the_first_turn_on() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateStore::new(dir.path(), &"s".into());
    let kept = || state.load::<SessionSettings>(StatePart::Settings).unwrap();
    let set = |engine, mode| Opened { engine, model: "m", mode, ..Opened::default() }.event();
    let bench = rig_with(|setup| setup.state_store = Some(state.clone()));
    let mut subscription = bench.live.hub.subscribe(Seq(0));
    bench.events.send(set("ollama", ApprovalMode::Ask)).await.unwrap();
    subscription.next().await.unwrap();
    assert_eq!(kept(), None, "a session without a turn leaves nothing behind");
    for event in [turn_started("t1"), finished(), set("openai", ApprovalMode::Plan)] {
        bench.events.send(event).await.unwrap();
    }
    everything(bench).await;
    assert_eq!(kept(), Some(SessionSettings { model: "openai/m".into(), mode: ApprovalMode::Plan, effort: None }));
}

#[tokio::test(start_paused = true)]
async fn a_title_is_an_event_that_waits_for_the_opening() {
    let bench = rig();
    bench.live.commands.send(Command::SetTitle { title: " Mend\u{1b}[1m it \nnow".into() }).await.unwrap();
    tokio::task::yield_now().await;
    bench.events.send(opened()).await.unwrap();
    let events = everything(bench).await;
    let titles: Vec<_> = events.iter().skip(1).filter(|event| **event == title_annotation("Mend[1m it")).collect();
    assert_eq!(titles.len(), 1, "{events:#?}");
    assert!(matches!(events[0], AgentEvent::SessionOpened { .. }));
}

fn steer(text: &str) -> Command {
    Command::Steer { text: text.into(), context: Vec::new() }
}

#[tokio::test(start_paused = true)]
async fn a_steer_goes_to_the_source_at_once_and_is_the_next_prompt_if_the_turn_did_not_take_it() {
    let mut bench = rig();
    bench.live.commands.send(Command::prompt("one")).await.unwrap();
    bench.live.commands.send(Command::prompt("two")).await.unwrap();
    bench.live.commands.send(steer("left")).await.unwrap();
    bench.live.commands.send(steer("right")).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(Command::prompt("one")));
    assert_eq!(bench.commands.recv().await, Some(steer("left")));
    assert_eq!(bench.commands.recv().await, Some(steer("right")));
    until(&mut bench, |status| status.steering == ["left", "right"]).await;
    for event in [opened(), turn_started("t1"), user_message("m1", "one"), user_message("m2", "left")] {
        bench.events.send(event).await.unwrap();
    }
    until(&mut bench, |status| status.steering == ["right"]).await;
    bench.events.send(finished()).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(Command::prompt("right")));
    until(&mut bench, |status| status.steering.is_empty() && status.queue.len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_steer_without_a_turn_is_a_prompt() {
    let mut bench = rig();
    bench.live.commands.send(steer("hi")).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(Command::prompt("hi")));
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_holds_the_queue_until_the_person_sends_something() {
    let mut bench = rig();
    for text in ["one", "two"] {
        bench.live.commands.send(Command::prompt(text)).await.unwrap();
    }
    bench.live.commands.send(steer("left")).await.unwrap();
    for event in [opened(), turn_started("t1"), user_message("m1", "one")] {
        bench.events.send(event).await.unwrap();
    }
    bench.events.send(turn_finished("t1", TurnOutcome::Cancelled)).await.unwrap();
    until(&mut bench, |status| status.queue_held && status.queue.len() == 2).await;
    assert_eq!(bench.live.status.borrow().queue[0].text, "left");
    bench.live.commands.send(Command::SendQueued).await.unwrap();
    let mut sent = Vec::new();
    while sent.len() < 3 {
        sent.push(bench.commands.recv().await.unwrap());
    }
    assert_eq!(sent, [Command::prompt("one"), steer("left"), Command::prompt("left")]);
    assert!(!bench.live.status.borrow().queue_held);
}

#[tokio::test(start_paused = true)]
async fn a_branch_is_asked_of_the_source_between_turns_and_refused_elsewhere() {
    let mut bench = rig();
    let branch = |after: u64| Command::Branch { after: Seq(after) };
    let first = [opened(), turn_started("t1"), user_message("m1", "hi"), turn_finished("t1", TurnOutcome::Completed)];
    for event in first {
        bench.events.send(event).await.unwrap();
    }
    let mut subscription = bench.live.hub.subscribe(Seq(3));
    subscription.next().await.unwrap();
    for after in [2, 3, 9, 1] {
        bench.live.commands.send(branch(after)).await.unwrap();
    }
    assert_eq!(bench.commands.recv().await, Some(branch(1)), "the others are no places between turns");
    bench.live.commands.send(Command::prompt("again")).await.unwrap();
    bench.live.commands.send(branch(1)).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(Command::prompt("again")));
    assert!(bench.commands.try_recv().is_err(), "a turn is running");
    let events = everything(bench).await;
    let refusals = events.iter().filter(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::Branch, .. }));
    assert_eq!(refusals.count(), 4);
}
