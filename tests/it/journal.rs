//! The log as a file format, and the folder of sessions.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use jarvis_tui::event::{
    AgentEvent, Annotation, ApprovalMode, Decision, Json, NoticeCode, Seq, SessionId, TurnOutcome,
};
use jarvis_tui::journal::{self, AnnotateError, FindError, LogHeader, Reader, RemoveError, Writer};

fn golden() -> Reader {
    Reader::open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/journal/v1.jsonl"))).unwrap()
}

/// If this fails, existing logs are no longer read correctly.
#[test]
fn the_first_format_is_still_read() {
    let reader = golden();
    assert_eq!(reader.header().session.as_str(), "20260102-030405-beef");
    assert_eq!(reader.header().started_at, 1_767_323_045_000);
    let page = reader.read_all().unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.envelope.seq.0).collect::<Vec<_>>(), (1..=22).collect::<Vec<_>>());
    assert_eq!((page.damage.unreadable, page.damage.torn), (0, Some(82)));
    let events: Vec<_> = page.entries.iter().map(|entry| &entry.envelope.event).collect();
    assert!(matches!(
        events[0],
        AgentEvent::SessionOpened { mode: ApprovalMode::AutoEdit, context_window: Some(32_768), .. }
    ));
    assert!(matches!(events[10], AgentEvent::ApprovalResolved { decision: Decision::Pattern(_), .. }));
    assert!(matches!(events[18], AgentEvent::TurnFinished { outcome: TurnOutcome::Failed(_), .. }));
    let unknown: Vec<_> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| matches!(event, AgentEvent::Unknown(_)))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(unknown, [13], "only the variant that nobody knows");
}

#[test]
fn a_record_glued_to_half_a_line_is_kept_and_the_half_is_told() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/journal/glued_line.jsonl"));
    let reader = Reader::open(path).unwrap();
    let page = reader.read_all().unwrap();
    let is_text =
        |event: &AgentEvent| matches!(event, AgentEvent::TextDelta { message, .. } if message.as_str() == "m4");
    assert!(page.entries.iter().any(|entry| is_text(&entry.envelope.event)), "the answer to question 1");
    let index = reader.build_index().unwrap();
    assert_eq!(index.damage, journal::Damage { unreadable: 1, ..journal::Damage::default() });
    assert_eq!(index.damage.notices()[0].0, NoticeCode::UnreadableLines);
}

#[test]
fn an_unknown_event_is_kept_as_it_was() {
    let page = golden().read_all().unwrap();
    let entry = &page.entries[13];
    let written: Json = serde_json::from_slice(&entry.line).unwrap();
    assert_eq!(serde_json::to_value(&entry.envelope).unwrap(), written);
}

#[test]
fn a_log_of_the_first_format_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.jsonl");
    std::fs::copy(golden().path(), &path).unwrap();
    let (mut writer, end) = Writer::open(&path).unwrap();
    assert_eq!((end.last_seq, end.torn), (Seq(22), Some(82)));
    writer.append(&[line(23, r#"{"type":"turn_finished","turn":"t2","end":"interrupted"}"#)]).unwrap();
    let page = writer.reader().read_all().unwrap();
    assert_eq!((page.entries.len(), page.damage.unreadable, page.damage.torn), (23, 1, None));
}

fn line(seq: u64, event: &str) -> bytes::Bytes {
    format!("{{\"seq\":{seq},\"at\":{seq},\"event\":{event}}}").into()
}

fn session(dir: &Path, id: &str, folder: &str, prompt: Option<&str>, age_secs: u64) -> Writer {
    let header = LogHeader {
        folder: folder.into(),
        engine: "e".into(),
        model: "m".into(),
        ..LogHeader::new(SessionId::from(id), 5)
    };
    let mut writer = Writer::create(dir, &header).unwrap();
    if let Some(prompt) = prompt {
        let prompt = serde_json::to_string(prompt).unwrap();
        writer.append(&[line(1, &format!(r#"{{"type":"user_message","message":"m","text":{prompt}}}"#))]).unwrap();
    }
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age_secs);
    std::fs::File::options().append(true).open(writer.path()).unwrap().set_modified(time).unwrap();
    writer
}

#[test]
fn a_folder_is_listed_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    session(dir.path(), "a-0001", "/x", Some("\n  fix the tests \nplease"), 9);
    session(dir.path(), "b-0002", "/y", Some("hello"), 1);
    session(dir.path(), "c-0003", "/x", None, 5);
    std::fs::write(dir.path().join("noise.jsonl"), "what\n").unwrap();
    std::fs::write(dir.path().join("a-0001.c1.out"), "whole").unwrap();
    let listing = journal::list(dir.path(), None).unwrap();
    let shown: Vec<_> =
        listing.sessions.iter().map(|summary| (summary.id.as_str(), summary.title.as_deref())).collect();
    assert_eq!(shown, [("b-0002", Some("hello")), ("c-0003", None), ("a-0001", Some("fix the tests"))]);
    assert_eq!(listing.unreadable.len(), 1);
    let first = &listing.sessions[0];
    assert_eq!((first.modified, first.started_at, first.folder.as_str()), (999_999_000, 5, "/y"));
    assert_eq!(
        journal::find_newest(dir.path(), None, Some("/x"), &|_| false, &mut Vec::new()).unwrap().unwrap().id.as_str(),
        "a-0001"
    );
    assert_eq!(journal::find_newest(dir.path(), None, Some("/none"), &|_| false, &mut Vec::new()).unwrap(), None);
    assert!(journal::list(&dir.path().join("not there"), None).unwrap().sessions.is_empty());
}

#[test]
fn a_session_is_found_by_beginning_or_end() {
    let dir = tempfile::tempdir().unwrap();
    session(dir.path(), "20260102-030405-beef", "/x", None, 0);
    session(dir.path(), "20260102-030406-cafe", "/x", None, 0);
    let id = |wanted: &str| journal::find(dir.path(), wanted).map(|found| found.id.to_string());
    assert_eq!(id("beef").unwrap(), "20260102-030405-beef");
    assert_eq!(id("20260102-030406").unwrap(), "20260102-030406-cafe");
    let error = id("2026").unwrap_err();
    assert!(matches!(&error, FindError::Ambiguous { matches, .. } if matches.len() == 2));
    assert!(error.to_string().contains("beef") && error.to_string().contains("cafe"), "{error}");
    assert!(matches!(id("nope"), Err(FindError::None { .. })));
    assert!(matches!(id(""), Err(FindError::None { .. })));
    assert!(matches!(id("../20260102-030405-beef"), Err(FindError::None { .. })));
}

#[test]
fn what_is_in_use_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let writer = session(dir.path(), "a-0001", "/x", None, 0);
    std::fs::write(writer.overflow_path(&"c1".into()), "whole").unwrap();
    session(dir.path(), "a-00012", "/x", None, 0);
    std::fs::write(dir.path().join("a-00012.c1.out"), "other").unwrap();
    assert!(matches!(journal::remove(dir.path(), "a-0001"), Err(RemoveError::InUse { .. })));
    drop(writer);
    journal::remove(dir.path(), "a-0001").unwrap();
    let mut left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["a-00012.c1.out", "a-00012.jsonl"]);
}

#[test]
fn a_newer_log_that_cannot_be_read_is_told_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    session(dir.path(), "a-0001", "/x", Some("hello"), 9);
    std::fs::write(dir.path().join("b-0002.jsonl"), "\0\0\0\n").unwrap();
    let mut passed = Vec::new();
    let newest = journal::find_newest(dir.path(), None, Some("/x"), &|_| false, &mut passed).unwrap();
    assert_eq!((newest.unwrap().id.as_str(), passed.len()), ("a-0001", 1));
    assert!(passed[0].to_string().contains("b-0002.jsonl"), "{}", passed[0]);
}

#[test]
fn a_list_knows_which_logs_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let turn = |writer: &mut Writer, from: u64| {
        writer.append(&[line(from, r#"{"type":"turn_finished","turn":"t2","end":"interrupted"}"#)]).unwrap();
    };
    for id in ["sound", "hole", "torn", "noise", "utf8"] {
        session(dir.path(), id, "/x", Some("hello"), 0);
    }
    let add = |id: &str, bytes: &[u8]| {
        let path = dir.path().join(format!("{id}.jsonl"));
        std::io::Write::write_all(&mut std::fs::File::options().append(true).open(path).unwrap(), bytes).unwrap();
    };
    let (mut hole, _) = Writer::open(&dir.path().join("hole.jsonl")).unwrap();
    turn(&mut hole, 7);
    drop(hole);
    add("torn", b"{\"seq\":2,\"at\"");
    add("noise", b"noise\n");
    add("utf8", b"{\"seq\":2,\"at\":2,\"event\":{\"type\":\"user_message\",\"message\":\"m\",\"text\":\"\xff\"}}\n");
    let damaged = || {
        let mut ids = Vec::new();
        for session in journal::list(dir.path(), None).unwrap().sessions {
            let damage = session.damage.expect("the logs are small");
            if damage.notices().iter().any(|(code, _)| *code != NoticeCode::WrongNumbers) || damage.missing > 0 {
                ids.push(session.id.to_string());
            }
        }
        ids.sort();
        ids
    };
    assert_eq!(damaged(), ["hole", "noise", "torn", "utf8"]);
    // Half a line of a log that is being written is no damage.
    let _open = Writer::open(&dir.path().join("sound.jsonl")).unwrap();
    add("sound", b"{\"seq\":2,");
    assert_eq!(damaged(), ["hole", "noise", "torn", "utf8"]);
}

#[test]
fn a_list_looks_through_the_newest_logs_and_no_further() {
    let dir = tempfile::tempdir().unwrap();
    for (age, id, bytes) in [(0, "small", 0), (1, "large", 17 << 20), (2, "old", 300 << 20), (3, "oldest", 0)] {
        let prompt = (id != "small").then_some(id);
        let writer = session(dir.path(), id, "/x", prompt, 0);
        let file = std::fs::File::options().append(true).open(writer.path()).unwrap();
        if bytes > 0 {
            // Zeros without a line end: nothing is read into memory of what need not be.
            file.set_len(bytes).unwrap();
        }
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000 - age)).unwrap();
    }
    let sessions = journal::list(dir.path(), None).unwrap().sessions;
    let looked: Vec<_> = sessions.iter().map(|session| (session.damage.is_some(), session.turns)).collect();
    assert_eq!(looked, [(true, Some(0)), (false, Some(0)), (false, None), (false, None)]);
    assert_eq!(sessions[3].title.as_deref(), Some("oldest"), "its ends are read");
}

#[test]
fn a_session_is_named_and_archived_in_its_log() {
    let dir = tempfile::tempdir().unwrap();
    drop(session(dir.path(), "a-0001", "/x", Some("hello"), 9));
    let used = || journal::list(dir.path(), None).unwrap().sessions[0].clone();
    let before = used();
    let annotate = |annotation| journal::annotate(dir.path(), "0001", annotation, 2_000).unwrap();
    annotate(Annotation::Title("Mend the parser".into()));
    annotate(Annotation::Archived(true));
    let after = used();
    assert_eq!((after.title.as_deref(), after.is_archived), (Some("Mend the parser"), true));
    assert_eq!(after.modified, before.modified, "it was not used");
    assert_eq!(after.damage.unwrap().missing, 0);
    assert_eq!(journal::find_newest(dir.path(), None, None, &|_| false, &mut Vec::new()).unwrap(), None);
    annotate(Annotation::Archived(false));
    annotate(Annotation::Title(String::new()));
    assert_eq!((used().title.as_deref(), used().is_archived), (Some("hello"), false));
    let reader = Reader::open(&after.path).unwrap();
    let seqs: Vec<_> = reader.read_all().unwrap().entries.iter().map(|entry| entry.envelope.seq.0).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

#[test]
fn what_is_in_use_empty_or_a_copy_is_not_named() {
    let dir = tempfile::tempdir().unwrap();
    let _open = session(dir.path(), "used", "/x", Some("hello"), 0);
    drop(session(dir.path(), "empty", "/x", None, 0));
    let header = LogHeader { mirror_of: Some("http://host".into()), ..LogHeader::new("copy".into(), 5) };
    drop(Writer::create(dir.path(), &header).unwrap());
    let failed = |id| journal::annotate(dir.path(), id, Annotation::Archived(true), 0).unwrap_err();
    assert!(matches!(failed("used"), AnnotateError::InUse { .. }));
    assert!(matches!(failed("empty"), AnnotateError::Empty { .. }));
    assert!(matches!(failed("copy"), AnnotateError::Mirror { .. }));
    assert!(matches!(failed("none"), AnnotateError::Find(FindError::None { .. })));
}
