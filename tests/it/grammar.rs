//! The legal order of events, checked on whole sessions: from the embedded engine, from a replay, and from a log that
//! was cut anywhere.

use std::path::{Path, PathBuf};

use jarvis_tui::bridge::{HubItem, SessionHandle};
use jarvis_tui::config::{self, ConfigSources, Overrides, Paths};
use jarvis_tui::event::grammar::{self, Sealer};
use jarvis_tui::event::{AgentEvent, ApprovalMode, Command, Seq, TurnOutcome};
use jarvis_tui::runtime::{Frontend, Runtime, StartMode};
use proptest::prelude::*;
use tempfile::TempDir;

const PROMPTS: &[&str] = &[
    "what is 6*7",
    "convert 10 miles to km",
    "what time is it",
    "list the files here",
    "read notes.txt",
    "read nowhere.txt",
    "find apple",
    "write hello to made.txt",
    "run `echo hi; echo there >&2`",
    "run `exit 3`",
    "fetch http://127.0.0.1:1/",
    "how do I connect Ollama?",
    "sing me a song",
    "demo",
    "",
];

struct GrammarSandbox {
    home: TempDir,
    work: TempDir,
}

impl GrammarSandbox {
    fn new() -> Self {
        let place = Self { home: tempfile::tempdir().unwrap(), work: tempfile::tempdir().unwrap() };
        std::fs::write(place.work.path().join("notes.txt"), "an apple a day\n").unwrap();
        place
    }

    fn runtime(&self, mode: ApprovalMode) -> Runtime {
        let home = self.home.path().to_owned();
        let paths = Paths { config: home.clone(), data: home.clone(), state: home };
        let flags = Overrides { model: Some("offline".into()), mode: Some(mode), ..Overrides::default() };
        let folder = self.work.path().canonicalize().unwrap();
        let load = ConfigSources { paths: &paths, folder: &folder, file: None, env: &|_| None, flags: &flags };
        let loaded = config::load(&load).unwrap();
        Runtime::new(loaded, paths.clone(), folder, Frontend::Headless, None)
    }

    fn log(&self) -> PathBuf {
        let mut logs = std::fs::read_dir(self.home.path().join("sessions")).unwrap().map(|entry| entry.unwrap().path());
        logs.find(|path| path.extension().is_some_and(|ext| ext == "jsonl")).unwrap()
    }
}

/// Sends all prompts one after another and returns every event.
async fn session(runtime: &Runtime, start: &StartMode, prompts: &[&str]) -> Vec<AgentEvent> {
    let live = runtime.open(start).unwrap().handle;
    let mut input = live.hub.subscribe(Seq(0));
    for prompt in prompts {
        live.commands.send(Command::prompt((*prompt).to_owned())).await.unwrap();
    }
    let mut events = Vec::new();
    let mut begun = 0;
    let mut open = 0_u32;
    while begun < prompts.len() || open > 0 {
        let Some(HubItem::Event(event)) = input.next().await else { panic!("the session ended") };
        match &event.envelope.event {
            AgentEvent::TurnStarted { .. } => {
                begun += usize::from(event.envelope.seq > live.hub.last_seq() || start == &StartMode::New);
                open = 1;
            }
            AgentEvent::TurnFinished { .. } => open = 0,
            _ => {}
        }
        events.push(event.envelope.event.clone());
    }
    events
}

#[tokio::test]
async fn sessions_opened_at_once_from_one_runtime_are_each_whole() {
    let place = GrammarSandbox::new();
    let runtime = place.runtime(ApprovalMode::Full);
    let (one, two) = tokio::join!(
        session(&runtime, &StartMode::New, &["run `echo hi`"]),
        session(&runtime, &StartMode::New, &["what is 6*7"]),
    );
    runtime.close().await;
    for (events, prompt) in [(one, "run `echo hi`"), (two, "what is 6*7")] {
        assert_eq!(grammar::check(&events), [], "{prompt}");
        let prompts: Vec<&str> = events
            .iter()
            .filter_map(
                |event| if let AgentEvent::UserMessage { text, .. } = event { Some(text.as_str()) } else { None },
            )
            .collect();
        assert_eq!(prompts, [prompt]);
    }
    let logs = std::fs::read_dir(place.home.path().join("sessions")).unwrap();
    let logs = logs.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "jsonl"));
    assert_eq!(logs.count(), 2);
}

async fn all(live: SessionHandle) -> Vec<AgentEvent> {
    let mut input = live.hub.subscribe(Seq(0));
    let mut events = Vec::new();
    while let Some(delivery) = input.next().await {
        if let HubItem::Event(event) = delivery {
            events.push(event.envelope.event.clone());
        }
    }
    events
}

async fn replayed(place: &GrammarSandbox, log: &Path) -> Vec<AgentEvent> {
    all(place.runtime(ApprovalMode::Ask).open_whole_log(log).unwrap()).await
}

#[tokio::test]
async fn every_offline_run_and_its_replay_keep_the_order() {
    for mode in ApprovalMode::ALL {
        let place = GrammarSandbox::new();
        let runtime = place.runtime(mode);
        let events = session(&runtime, &StartMode::New, PROMPTS).await;
        runtime.close().await;
        assert_eq!(grammar::check(&events), [], "{mode:?}");
        assert_eq!(
            events.iter().filter(|event| matches!(event, AgentEvent::TurnFinished { .. })).count(),
            PROMPTS.len()
        );
        assert_eq!(replayed(&place, &place.log()).await, events, "{mode:?}");
    }
}

#[tokio::test]
async fn the_recorded_demo_keeps_the_order() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.jsonl");
    assert_eq!(grammar::check(&replayed(&GrammarSandbox::new(), &demo).await), []);
}

#[tokio::test]
async fn a_log_cut_after_any_line_replays_and_goes_on_in_order() {
    let place = GrammarSandbox::new();
    let runtime = place.runtime(ApprovalMode::Full);
    session(&runtime, &StartMode::New, &["run `echo hi`", "what is 6*7"]).await;
    runtime.close().await;
    let log = place.log();
    let whole = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for cut in 2..=lines.len() {
        // Plus part of the next line, as a crash would leave it.
        let torn = lines.get(cut).map_or("", |line| &line[..line.len() / 2]);
        std::fs::write(&log, format!("{}\n{torn}", lines[..cut].join("\n"))).unwrap();
        assert_eq!(grammar::check(&replayed(&place, &log).await), [], "replay, cut after {cut}");
        let runtime = place.runtime(ApprovalMode::Full);
        let live = runtime.open(&StartMode::Resume(None)).unwrap().handle;
        live.commands.send(Command::prompt("what is 2+3")).await.unwrap();
        let mut input = live.hub.subscribe(Seq(0));
        let (mut events, mut mine) = (Vec::new(), false);
        while let Some(HubItem::Event(logged)) = input.next().await {
            let event = logged.envelope.event.clone();
            assert_eq!(logged.envelope.seq, Seq(events.len() as u64 + 1), "cut after {cut}");
            mine |= matches!(&event, AgentEvent::UserMessage { text, .. } if text == "what is 2+3");
            let over = mine && matches!(event, AgentEvent::TurnFinished { .. });
            events.push(event);
            if over {
                break;
            }
        }
        drop((live, input));
        runtime.close().await;
        assert_eq!(grammar::check(&events), [], "resumed, cut after {cut}");
        let answer =
            events.iter().any(|event| matches!(event, AgentEvent::TextDelta { text, .. } if text.contains('5')));
        assert!(answer, "cut after {cut}");
    }
}

/// Sessions of the embedded engine, to be damaged.
fn recorded() -> Vec<AgentEvent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.jsonl");
        replayed(&GrammarSandbox::new(), &demo).await
    })
}

#[test]
fn every_prefix_of_the_demo_is_made_whole_by_its_seal() {
    let whole = recorded();
    for end in [TurnOutcome::Completed, TurnOutcome::Cancelled, TurnOutcome::Interrupted] {
        let mut sealer = Sealer::new();
        for (cut, event) in whole.iter().enumerate() {
            sealer.observe(event).unwrap();
            // Checking every prefix from its start would be quadratic: a clone continues from here.
            let mut after = sealer.clone();
            for closing in sealer.seal(end.clone()) {
                after.observe(&closing).unwrap_or_else(|violation| panic!("{violation}, cut after {cut}"));
            }
            assert_eq!(after.open_turn(), None, "cut after {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_lost_or_repeated_a_seal_closes_the_turn(picks in prop::collection::vec(any::<prop::sample::Index>(), 1..200)) {
        static WHOLE: std::sync::LazyLock<Vec<AgentEvent>> = std::sync::LazyLock::new(recorded);
        let mut sealer = Sealer::new();
        for pick in picks {
            // Violations are returned, never fatal.
            let _ = sealer.observe(pick.get(&WHOLE));
        }
        for closing in sealer.seal(TurnOutcome::Interrupted) {
            let _ = sealer.observe(&closing);
        }
        prop_assert_eq!(sealer.open_turn(), None);
        prop_assert_eq!(sealer.seal(TurnOutcome::Interrupted), []);
    }
}
