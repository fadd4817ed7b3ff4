use std::path::Path;

use super::*;

fn demo() -> SavedLog {
    SavedLog::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.jsonl")).unwrap()
}

fn exported(log: &SavedLog, format: ExportFormat) -> Vec<u8> {
    let config = Config::default();
    let themes = ThemeFolder("/nonexistent".into());
    let screen = ScreenOptions { config: &config, themes, size: (80, 24), seq: None, max_gap: None };
    export(log, format, None, &screen).unwrap().bytes
}

#[test]
fn the_log_that_is_written_is_the_log_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.jsonl");
    let log = demo();
    std::fs::write(&copy, exported(&log, ExportFormat::Jsonl)).unwrap();
    let read = SavedLog::read(&copy).unwrap();
    assert_eq!((&read.header, &read.events, &read.damage), (&log.header, &log.events, &Vec::new()));
    assert_eq!(exported(&read, ExportFormat::Jsonl), std::fs::read(&copy).unwrap());
    assert_eq!(exported(&read, ExportFormat::Markdown), exported(&log, ExportFormat::Markdown));
}

#[test]
fn the_json_document_has_a_turn_an_object_with_what_a_run_prints() {
    let log = demo();
    let json: serde_json::Value = serde_json::from_slice(&exported(&log, ExportFormat::Json)).unwrap();
    assert_eq!((&json["format"], &json["version"]), (&"jarvis-tui/session".into(), &1.into()));
    assert_eq!(json["session"], log.header.session.as_str());
    let turns = json["turns"].as_array().unwrap();
    let started = |event: &&crate::bridge::LoggedEvent| matches!(event.envelope.event, AgentEvent::TurnStarted { .. });
    assert_eq!(turns.len(), log.events.iter().filter(started).count());
    for turn in turns {
        assert!(!turn["prompts"][0]["text"].as_str().unwrap().is_empty());
        assert!(turn["outcome"] == "completed" || turn["outcome"] == "cancelled");
        assert!(turn["text"].is_string() && turn["tool_calls"].is_array() && turn["timing"].is_object());
    }
    let calls: usize = turns.iter().map(|turn| turn["tool_calls"].as_array().unwrap().len()).sum();
    let markdown = String::from_utf8(exported(&log, ExportFormat::Markdown)).unwrap();
    assert_eq!(markdown.matches("\n## Call ").count(), calls);
    assert_eq!(markdown.matches("\n## Prompt ").count(), turns.len());
}

#[test]
fn a_log_cut_anywhere_is_exported_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.jsonl");
    let whole = exported(&demo(), ExportFormat::Jsonl);
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in (header + 400..whole.len()).step_by(2_111) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let log = SavedLog::read(&path).unwrap();
        for format in [ExportFormat::Markdown, ExportFormat::Json, ExportFormat::Jsonl] {
            assert!(!exported(&log, format).is_empty(), "{cut}");
        }
    }
}

#[test]
fn the_branch_in_use_is_written_and_the_log_has_all() {
    use crate::event::TurnOutcome;
    use crate::testkit::events::{opened, turn_finished, turn_started, user_message};
    let turn = |nth: usize, text: &str| {
        let id = format!("t{nth}");
        [turn_started(&id), user_message(&format!("u{nth}"), text), turn_finished(&id, TurnOutcome::Completed)]
    };
    let mut events = vec![opened()];
    events.extend(turn(1, "first"));
    events.extend(turn(2, "left"));
    events.push(AgentEvent::BranchStarted { after: Seq(4) });
    events.extend(turn(3, "taken"));
    let logged = |(event, nth): (AgentEvent, u64)| {
        let envelope = Envelope { seq: Seq(nth), at: Millis(nth), event };
        let line = serde_json::to_vec(&envelope).unwrap().into();
        crate::bridge::LoggedEvent { envelope, line }
    };
    let header = demo().header;
    let log = SavedLog { header, events: events.into_iter().zip(1..).map(logged).collect(), damage: Vec::new() };
    let text = String::from_utf8(exported(&log, ExportFormat::Markdown)).unwrap();
    assert!(text.contains("> first") && text.contains("> taken") && !text.contains("> left"), "{text}");
    assert_eq!(branch_of(&log, Some(Seq(7))).len(), 7, "the branch that was left");
    let all = String::from_utf8(exported(&log, ExportFormat::Jsonl)).unwrap();
    assert!(all.contains("left") && all.contains("branch_started"));
}
