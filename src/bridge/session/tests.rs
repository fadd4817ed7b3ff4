//! The session over a hand-fed source, in memory and on paused time.

use std::time::Duration;

use super::*;
use crate::bridge::Delivery;
use crate::bridge::hub::Backlog;
use crate::event::{Mode, Role, TextKind};

struct Bench {
    live: Live,
    events: mpsc::Sender<AgentEvent>,
    commands: mpsc::Receiver<Command>,
    tasks: JoinSet<()>,
    _link: watch::Sender<LinkState>,
}

fn bench() -> Bench {
    let (events, from_source) = mpsc::channel(256);
    let (commands, to_source) = mpsc::channel(16);
    let (link, watch) = watch::channel(LinkState::Idle);
    let mut tasks = JoinSet::new();
    let setup = Setup {
        session: SessionId::new("s"),
        hub: Hub::new(Backlog::Memory, 1 << 20),
        writer: None,
        not_saved: None,
        standing: Standing::default(),
        sealer: Box::pin(async { Sealer::new() }),
        notices: Vec::new(),
        epoch: Instant::now(),
    };
    let feed = Feed { events: from_source, link: watch, permissions: None, commands, caps: Caps::default() };
    let live = start(setup, feed, &mut tasks);
    Bench { live, events, commands: to_source, tasks, _link: link }
}

fn opened() -> AgentEvent {
    AgentEvent::SessionOpened {
        wall: 0,
        engine: "x".into(),
        model: "x".into(),
        why: String::new(),
        mode: Mode::Ask,
        folder: String::new(),
        version: String::new(),
        caps: Caps::default(),
        window: None,
        price: None,
    }
}

fn delta(text: &str) -> AgentEvent {
    AgentEvent::TextDelta { message: "m2".into(), text: text.into(), kind: TextKind::Text }
}

fn turn_until_text() -> Vec<AgentEvent> {
    vec![
        opened(),
        AgentEvent::TurnStarted { turn: "t1".into(), parent: None },
        AgentEvent::UserMessage { message: "m1".into(), text: "hi".into() },
        AgentEvent::MessageStarted { message: "m2".into(), role: Role::Assistant, parent: None },
        delta("a"),
        delta("b"),
        delta("c"),
    ]
}

async fn everything(bench: Bench) -> Vec<AgentEvent> {
    let mut subscription = bench.live.hub.subscribe(Seq(0));
    drop((bench.live, bench.events));
    let mut out = Vec::new();
    let mut batch = Vec::new();
    let tasks = bench.tasks;
    tasks.join_all().await;
    while subscription.batch(64, &mut batch).await {}
    for delivery in batch {
        let Delivery::Fact(fact) = delivery else { continue };
        assert_eq!(fact.line, serde_json::to_vec(&fact.envelope).unwrap(), "one serialisation for all");
        assert_eq!(fact.envelope.seq.0, out.len() as u64 + 1, "no holes");
        out.push(fact.envelope.event.clone());
    }
    out
}

#[tokio::test(start_paused = true)]
async fn queued_deltas_become_one_event_and_a_cut_source_is_sealed() {
    let bench = bench();
    for event in turn_until_text() {
        bench.events.send(event).await.unwrap();
    }
    let events = everything(bench).await;
    assert!(events.contains(&delta("abc")), "{events:#?}");
    assert_eq!(crate::event::grammar::check(&events), []);
    assert_eq!(events.last(), Some(&AgentEvent::TurnFinished { turn: "t1".into(), end: TurnEnd::Interrupted }));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_sent_while_busy_waits_and_can_be_taken_back() {
    let mut bench = bench();
    let prompt = |text: &str| Command::Prompt { text: text.into() };
    for text in ["one", "two", "three"] {
        bench.live.commands.send(prompt(text)).await.unwrap();
    }
    assert_eq!(bench.commands.recv().await, Some(prompt("one")));
    bench.live.weather.wait_for(|weather| weather.queue.len() == 2).await.unwrap();
    let id = bench.live.weather.borrow().queue[0].id;
    bench.live.commands.send(Command::Unqueue { id }).await.unwrap();
    bench.live.weather.wait_for(|weather| weather.queue.len() == 1).await.unwrap();
    bench.events.send(opened()).await.unwrap();
    bench.events.send(AgentEvent::TurnStarted { turn: "t1".into(), parent: None }).await.unwrap();
    bench.events.send(AgentEvent::TurnFinished { turn: "t1".into(), end: TurnEnd::Completed }).await.unwrap();
    assert_eq!(bench.commands.recv().await, Some(prompt("three")));
}

#[tokio::test(start_paused = true)]
async fn times_never_run_backwards_and_follow_the_clock() {
    let bench = bench();
    bench.events.send(opened()).await.unwrap();
    tokio::time::advance(Duration::from_millis(1500)).await;
    bench.events.send(delta("x")).await.unwrap();
    let mut subscription = bench.live.hub.subscribe(Seq(1));
    let Some(Delivery::Fact(fact)) = subscription.next().await else { unreachable!("a fact follows") };
    assert!(fact.envelope.at >= Millis(1500), "{:?}", fact.envelope.at);
}

#[test]
fn merging_keeps_the_text_and_stops_at_other_events() {
    let big = "x".repeat(MERGED);
    let merged = merge(vec![delta("a"), delta("b"), delta(&big), opened(), delta("c")]);
    assert_eq!(merged, [delta("ab"), delta(&big), opened(), delta("c")]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_wishes_and_a_flood_of_events_do_not_wait_for_each_other() {
    let mut bench = bench();
    bench.events.send(opened()).await.unwrap();
    let (live, events) = (bench.live.clone(), bench.events.clone());
    // A source that tells a lot and takes no wish before it has told it.
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
    let bench = bench();
    bench.events.send(opened()).await.unwrap();
    let mut facts = bench.live.hub.subscribe(Seq(0));
    for number in 0..=QUEUED + 5 {
        bench.live.commands.send(Command::Prompt { text: format!("prompt {number}") }).await.unwrap();
    }
    let mut told = Vec::new();
    while told.len() < 5 {
        let Some(Delivery::Fact(fact)) = facts.next().await else { panic!("the session ended") };
        if let AgentEvent::Noticed { code, text, .. } = &fact.envelope.event {
            assert_eq!(code, "queue_full");
            told.push(text.clone());
        }
    }
    assert_eq!(bench.live.weather.borrow().queue.len(), QUEUED);
    assert!(told[4].ends_with(&format!("prompt {}", QUEUED + 5)), "{told:?}");
}
