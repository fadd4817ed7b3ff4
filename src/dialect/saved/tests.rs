//! What the programs themselves kept, read; and the same files cut and damaged.

use proptest::prelude::*;

use super::*;
use crate::event::branches::BranchStarts;
use crate::event::{Annotation, Seq, TurnOutcome, grammar};

/// Files of one session as a program kept them, its own first.
fn files(paths: &[&str]) -> Vec<SavedFile> {
    let read = |path: &&str| {
        let bytes = std::fs::read(format!("{}/tests/golden/saved/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (_, id) = identify(&FileHead::new(&bytes)).unwrap_or_else(|| panic!("{path} is not recognised"));
        SavedFile { id, bytes, log: None, modified: 1_796_000_000_000 }
    };
    paths.iter().map(read).collect()
}

/// Reads a session that is in one file.
pub(super) fn read_bytes(bytes: &[u8]) -> SavedSession {
    let (format, id) = identify(&FileHead::new(bytes)).unwrap();
    let file = SavedFile { id, bytes: bytes.to_vec(), log: None, modified: 1_796_000_000_000 };
    (format.read)(&[file]).unwrap().pop().unwrap()
}

pub(super) fn read(paths: &[&str]) -> SavedSession {
    let files = files(paths);
    let (format, _) = identify(&FileHead::new(&files[0].bytes)).unwrap();
    let mut sessions = (format.read)(&files).unwrap();
    assert_eq!(sessions.len(), 1);
    sessions.pop().unwrap()
}

fn check_legal(session: &SavedSession) {
    let events: Vec<_> = session.events.iter().map(|saved| saved.event.clone()).collect();
    assert_eq!(grammar::check(&events), []);
    assert!(session.events.is_sorted_by_key(|saved| saved.wall_ms), "times never go back");
    for event in &events {
        if let AgentEvent::SessionOpened { mode, folder, .. } = event {
            assert_eq!((*mode, folder.as_str()), (crate::event::ApprovalMode::Ask, ""));
        }
        let asks = matches!(event, AgentEvent::ApprovalRequested { .. } | AgentEvent::ApprovalResolved { .. });
        assert!(!asks, "nothing is asked: {event:?}");
    }
}

/// What is said in a session, a line an event of interest; branches that were left are marked.
fn outline(session: &SavedSession) -> Vec<String> {
    let mut starts = BranchStarts::default();
    for (seq, saved) in (1..).zip(&session.events) {
        starts.observe(Seq(seq), &saved.event);
    }
    let path = starts.active_path();
    let mut lines: Vec<String> = Vec::new();
    for (seq, saved) in (1..).zip(&session.events) {
        let line = match &saved.event {
            AgentEvent::UserMessage { text, .. } => format!("> {text}"),
            AgentEvent::Annotation { annotation: Annotation::PromptContext(parts), .. } => {
                format!("+ {}", parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(", "))
            }
            AgentEvent::MessageStarted { parent, .. } => match parent {
                Some(call) => format!("[{call}]"),
                None => "[]".to_owned(),
            },
            AgentEvent::TextDelta { text, .. } => format!("text {text}"),
            AgentEvent::ReasoningDelta { text, .. } => format!("thought {text}"),
            AgentEvent::ToolCallReady { name, args, .. } => format!("call {name} {args}"),
            AgentEvent::ToolCallFinished { outcome, output, .. } => {
                format!("{} {}", outcome.name(), output.text.chars().take(40).collect::<String>())
            }
            AgentEvent::UsageReported { usage, .. } => format!("usage {} {}", usage.input_tokens, usage.output_tokens),
            AgentEvent::Annotation { annotation: Annotation::SubAgent { tokens, .. }, .. } => {
                format!("sub-agent {}", tokens.unwrap_or_default())
            }
            AgentEvent::TurnFinished { outcome, .. } => match outcome {
                TurnOutcome::Failed(fault) => format!("failed {fault}"),
                other => format!("{other:?}").to_lowercase(),
            },
            AgentEvent::BranchStarted { after } => format!("branch after {}", after.0),
            _ => continue,
        };
        let mark = if path.contains(Seq(seq)) { "" } else { "~ " };
        lines.push(format!("{mark}{line}"));
    }
    lines
}

fn check_outline(name: &str, session: &SavedSession) {
    check_legal(session);
    let file = format!("{}/tests/golden/saved/{name}.outline.txt", env!("CARGO_MANIFEST_DIR"));
    let found = outline(session).join("\n") + "\n";
    if std::env::var_os("INSTA_UPDATE").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&file).unwrap_or_default());
}

#[test]
fn claude_code_is_read_with_its_sub_agent_and_its_branches() {
    let session = read(&["claude-code/session.jsonl", "claude-code/agent.jsonl"]);
    check_outline("claude-code/session", &session);
    assert_eq!((session.turns, session.calls), (7, 6));
    assert_eq!(session.id, "f8075ed5-952b-459d-b6db-214a2db5463b");
    assert_eq!((session.started_at, session.model.as_str()), (1_796_070_743_650, "scripted"));
    assert_eq!(session.left_out.get("signatures of thinking"), Some(&1));
}

#[test]
fn a_sub_agent_without_its_session_is_read_as_one() {
    let session = read(&["claude-code/agent.jsonl"]);
    assert_eq!(outline(&session).first().map(String::as_str), Some("> Helper list the notes"));
    assert_eq!(session.calls, 1);
}

/// The files of each kind of session.
pub(super) const RECORDED: [&[&str]; 8] = [
    &["claude-code/session.jsonl", "claude-code/agent.jsonl"],
    &["codex/session.jsonl"],
    &["codex/parent.jsonl", "codex/agent.jsonl"],
    &["gemini-cli/session.jsonl"],
    &["opencode/session.json", "opencode/agent.json"],
    &["pi/session.jsonl"],
    &["openai/chat.json"],
    &["openai/anthropic.json"],
];

#[test]
fn each_program_is_known_by_the_content_of_its_files_alone() {
    for paths in RECORDED {
        for path in paths {
            let bytes = std::fs::read(format!("{}/tests/golden/saved/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let (format, _) = identify(&FileHead::new(&bytes)).unwrap();
            assert_eq!(path.split_once('/').unwrap().0, format.name);
        }
    }
    for other in ["", "{}", "[]", "[1]", "{\"messages\":{}}", "{\"type\":\"session\"}", "null", "not json", "\u{0}"] {
        assert!(identify(&FileHead::new(other.as_bytes())).is_none(), "{other}");
    }
}

#[test]
fn every_recorded_session_is_read() {
    for paths in &RECORDED[1..] {
        check_outline(paths[0].rsplit_once('.').unwrap().0, &read(paths));
    }
}

/// The database of opencode with the log beside it.
fn database() -> SavedFile {
    let read = |name: &str| {
        std::fs::read(format!("{}/tests/golden/saved/opencode/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let log = Some(read("opencode.db-wal"));
    SavedFile { id: SavedId::new(""), bytes: read("opencode.db"), log, modified: 0 }
}

#[test]
fn the_database_of_opencode_tells_what_its_exports_do() {
    let file = database();
    let (format, id) = identify(&FileHead::new(&file.bytes)).unwrap();
    assert_eq!((format.name, &id), ("opencode", &file.id));
    let sessions = (format.read)(std::slice::from_ref(&file)).unwrap();
    let [session] = sessions.as_slice() else { panic!("{} sessions", sessions.len()) };
    check_legal(session);
    assert_eq!(session, &read(&["opencode/session.json", "opencode/agent.json"]));
    let older = (format.read)(&[SavedFile { log: None, ..file }]).unwrap();
    assert!(older[0].turns < session.turns, "the newest rows are only in the log");
}

/// How a file is damaged.
#[derive(Clone, Debug)]
enum Damage {
    CutAt(usize),
    Overwrite(usize, u8),
    Remove(usize, usize),
    RepeatLine(usize),
    SwapLines(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0..40_000_usize;
    prop_oneof![
        place.clone().prop_map(Damage::CutAt),
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
        (place.clone(), 1..400_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (0..200_usize).prop_map(Damage::RepeatLine),
        (0..200_usize, 0..200_usize).prop_map(|(one, other)| Damage::SwapLines(one, other)),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    let length = bytes.len().max(1);
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let count = lines.len().max(1);
    match *damage {
        Damage::CutAt(at) => bytes.truncate(at % length),
        Damage::Overwrite(at, byte) => {
            if let Some(place) = bytes.get_mut(at % length) {
                *place = byte;
            }
        }
        Damage::Remove(at, many) => {
            let at = at % length;
            bytes.drain(at.min(bytes.len())..(at + many).min(bytes.len()));
        }
        Damage::RepeatLine(at) => {
            if let Some(line) = lines.get(at % count).cloned() {
                lines.push(line);
                *bytes = lines.concat();
            }
        }
        Damage::SwapLines(one, other) => {
            if !lines.is_empty() {
                lines.swap(one % count, other % count);
                *bytes = lines.concat();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_damaged_database_is_read_as_far_as_it_goes(
        damages in prop::collection::vec((any::<bool>(), damage()), 1..6),
    ) {
        let mut file = database();
        for (of_log, damage) in &damages {
            apply(damage, if *of_log { file.log.as_mut().unwrap() } else { &mut file.bytes });
        }
        for session in (identify(&FileHead::new(&database().bytes)).unwrap().0.read)(&[file]).unwrap_or_default() {
            check_legal(&session);
        }
    }

    #[test]
    fn damaged_files_are_read_as_far_as_they_go(
        which in 0..RECORDED.len(),
        damages in prop::collection::vec((any::<bool>(), damage()), 1..6),
    ) {
        let mut files = files(RECORDED[which]);
        let (format, _) = identify(&FileHead::new(&files[0].bytes)).unwrap();
        for (of_last, damage) in &damages {
            let file = if *of_last { files.last_mut() } else { files.first_mut() };
            apply(damage, &mut file.unwrap().bytes);
        }
        for session in (format.read)(&files).unwrap_or_default() {
            check_legal(&session);
        }
        identify(&FileHead::new(&files[0].bytes));
    }
}
