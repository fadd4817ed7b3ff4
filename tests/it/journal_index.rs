//! The index of the saved sessions: it spares reading, and nothing else may depend on it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jarvis_tui::event::{AgentEvent, Annotation, AnnotationTarget};
use jarvis_tui::journal::{self, SessionListing, SessionSummary};
use tempfile::TempDir;

use super::testkit::log::{joined, session_lines};

const LOGS: usize = 40;

/// Logs in folders in turn, and a place for the index.
struct Shelf {
    root: TempDir,
}

impl Shelf {
    fn new() -> Self {
        let shelf = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(shelf.logs()).unwrap();
        for nth in 0..LOGS {
            let path = shelf.log(nth);
            fs::write(&path, joined(&session_lines(&format!("/f{}", nth % 4), nth as u64 % 3))).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - nth as u64);
            fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
        }
        shelf
    }

    fn logs(&self) -> PathBuf {
        self.root.path().join("sessions")
    }

    fn log(&self, nth: usize) -> PathBuf {
        self.logs().join(format!("s{nth:04}.jsonl"))
    }

    fn index(&self) -> PathBuf {
        self.root.path().join("index.jsonl")
    }

    fn list(&self) -> SessionListing {
        journal::list(&self.logs(), Some(&self.index())).unwrap()
    }

    /// Appends an event as the next one of a log.
    fn append(&self, nth: usize, event: &AgentEvent) {
        let text = fs::read_to_string(self.log(nth)).unwrap();
        let event = serde_json::to_string(event).unwrap();
        let line = format!("{{\"seq\":{},\"at\":99999,\"event\":{event}}}\n", text.lines().count());
        fs::File::options().append(true).open(self.log(nth)).unwrap().write_all(line.as_bytes()).unwrap();
    }
}

fn unindexed(shelf: &Shelf) -> Vec<SessionSummary> {
    journal::list(&shelf.logs(), None).unwrap().sessions
}

#[test]
fn a_second_listing_opens_no_log_and_says_the_same() {
    let shelf = Shelf::new();
    let first = shelf.list();
    let second = shelf.list();
    assert_eq!((first.logs_read, second.logs_read), (LOGS, 0));
    assert_eq!(second.sessions, unindexed(&shelf));
    let summary = &second.sessions[2];
    assert_eq!((summary.turns, summary.title.as_deref()), (Some(2), Some("question 1")));
    assert_eq!((summary.last_prompt.as_deref(), summary.folder.as_str()), (Some("question 2"), "/f2"));
    assert_eq!((summary.engine.as_str(), summary.model.as_str()), ("e", "m"));
}

#[test]
fn only_what_changed_is_read_again() {
    let shelf = Shelf::new();
    shelf.list();
    let title = Annotation::Title("Mend the parser".into());
    shelf.append(5, &AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: title });
    fs::remove_file(shelf.log(6)).unwrap();
    fs::write(shelf.logs().join("new.jsonl"), joined(&session_lines("/new", 1))).unwrap();
    let listing = shelf.list();
    assert_eq!((listing.logs_read, listing.sessions.len()), (2, LOGS));
    assert_eq!(listing.sessions, unindexed(&shelf));
    let renamed = listing.sessions.iter().find(|session| session.id.as_str() == "s0005").unwrap();
    assert_eq!(renamed.title.as_deref(), Some("Mend the parser"));
    assert!(!fs::read_to_string(shelf.index()).unwrap().contains("s0006"), "what is gone leaves the index");
}

#[test]
fn a_log_of_the_same_size_and_time_in_another_file_is_read() {
    let shelf = Shelf::new();
    shelf.list();
    let text = fs::read_to_string(shelf.log(3)).unwrap();
    let time = fs::metadata(shelf.log(3)).unwrap().modified().unwrap();
    let other = shelf.root.path().join("other");
    fs::write(&other, text.replace("/f3", "/g3")).unwrap();
    fs::File::options().append(true).open(&other).unwrap().set_modified(time).unwrap();
    fs::rename(other, shelf.log(3)).unwrap();
    assert_eq!(shelf.list().sessions[3].folder, "/g3");
}

#[test]
fn an_index_that_is_damaged_or_not_ours_changes_nothing() {
    let shelf = Shelf::new();
    shelf.list();
    let good = fs::read(shelf.index()).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let line_end = |nth: usize| text.match_indices('\n').nth(nth).unwrap().0;
    let mut bent = good.clone();
    bent[line_end(3) + 9] = 0xff;
    let cases: Vec<(&str, Vec<u8>, usize)> = vec![
        ("empty", Vec::new(), LOGS),
        ("noise", vec![0xff; 5_000], LOGS),
        ("another format", text.replacen("\"format\":1", "\"format\":9", 1).into_bytes(), LOGS),
        ("another folder", text.replacen("sessions", "elsewhere", 1).into_bytes(), LOGS),
        ("cut in the fourth entry", good[..line_end(3) + 40].to_vec(), LOGS - 3),
        ("one entry bent", bent, 1),
        ("deep", [&good[..], &b"[".repeat(200_000)].concat(), 0),
        ("a type that doesn't fit", text.replacen("\"turns\":1", "\"turns\":-1", 1).into_bytes(), 1),
        ("names of no log", [&good[..], &good[line_end(0) + 1..]].concat(), 0),
    ];
    for (name, bytes, read) in cases {
        fs::write(shelf.index(), bytes).unwrap();
        let listing = shelf.list();
        assert_eq!(listing.logs_read, read, "{name}");
        assert_eq!(listing.sessions, unindexed(&shelf), "{name}");
        assert_eq!(shelf.list().logs_read, 0, "{name}: it was mended");
    }
}

#[test]
fn an_index_that_another_user_could_have_written_is_not_read() {
    let shelf = Shelf::new();
    shelf.list();
    fs::set_permissions(shelf.index(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(shelf.list().logs_read, LOGS);
    assert_eq!(fs::metadata(shelf.index()).unwrap().permissions().mode() & 0o777, 0o600, "it was replaced");
    let aside = shelf.root.path().join("aside");
    fs::rename(shelf.index(), &aside).unwrap();
    std::os::unix::fs::symlink(&aside, shelf.index()).unwrap();
    assert_eq!(shelf.list().logs_read, LOGS);
}

#[test]
fn where_no_index_can_be_written_sessions_are_listed_all_the_same() {
    let shelf = Shelf::new();
    fs::write(shelf.root.path().join("file"), "").unwrap();
    for index in [shelf.root.path().join("file/index.jsonl"), shelf.logs(), PathBuf::from("/proc/none/index")] {
        let listing = journal::list(&shelf.logs(), Some(&index)).unwrap();
        assert_eq!((listing.sessions.len(), listing.logs_read), (LOGS, LOGS), "{}", index.display());
    }
    let left = |dir: &Path| fs::read_dir(dir).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!((left(shelf.root.path()), left(&shelf.logs())), (1, LOGS), "no half-written file is left");
}

#[test]
fn two_programs_list_at_once() {
    let shelf = Shelf::new();
    let expected = unindexed(&shelf);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(shelf.list().sessions, expected);
                    let _ = fs::remove_file(shelf.index());
                }
            });
        }
    });
    shelf.list();
    assert_eq!(shelf.list().logs_read, 0);
    let names: Vec<_> = fs::read_dir(shelf.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn what_is_gone_on_with_was_read_from_its_log() {
    let shelf = Shelf::new();
    shelf.list();
    let newest = |folder: &str| {
        let found =
            journal::find_newest(&shelf.logs(), Some(&shelf.index()), Some(folder), &|_| false, &mut Vec::new());
        found.unwrap().map(|session| (session.id.to_string(), session.folder))
    };
    let text = fs::read_to_string(shelf.index()).unwrap();
    fs::write(shelf.index(), text.replace("/f1", "/evil")).unwrap();
    assert_eq!(newest("/evil"), None);
    assert_eq!(newest("/f2").unwrap(), ("s0002".into(), "/f2".into()));
}
