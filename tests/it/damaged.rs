//! Damaged logs, in every way of opening one: what can't be read is reported.

use std::path::Path;

use tempfile::TempDir;

use crate::attach::home;
use crate::headless::{OFFLINE, command, run};
use crate::testkit::log::{joined, session_lines};

fn session(folder: &str) -> Vec<String> {
    session_lines(folder, 2)
}

/// Each kind of damage: its name, the bytes, and the code and words of its notice.
fn kinds(folder: &str) -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let sound = session(folder);
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = sound.clone();
        change(&mut lines);
        joined(&lines)
    };
    let mut torn = joined(&sound);
    torn.truncate(torn.len() - 20);
    let mut unicode = joined(&sound);
    let at = unicode.windows(8).position(|part| part == b"answer 1").unwrap();
    unicode[at] = 0xff;
    vec![
        ("torn", torn, "torn_line", "unfinished line"),
        (
            "flipped",
            with(&|lines| lines[5] = lines[5].replacen("\"seq\":5", "\"seq\":85", 1)),
            "wrong_numbers",
            "wrong number",
        ),
        (
            "glued",
            with(&|lines| {
                let next = lines.remove(6);
                lines[5].truncate(30);
                lines[5] += &next;
            }),
            "unreadable_lines",
            "can't be read",
        ),
        (
            "missing",
            with(&|lines| {
                lines.drain(4..7);
            }),
            "wrong_numbers",
            "3 events are missing",
        ),
        ("unicode", unicode, "unreadable_lines", "can't be read"),
        (
            "headerless",
            with(&|lines| {
                lines.remove(0);
            }),
            "no_header",
            "has no header",
        ),
    ]
}

fn saved(home: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = home.path().join("sessions").join(format!("{name}.jsonl"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path.to_string_lossy().into_owned()
}

fn folder(home: &TempDir) -> String {
    home.path().canonicalize().unwrap().to_string_lossy().into_owned()
}

#[tokio::test]
async fn damage_is_told_wherever_a_log_is_read_and_changes_no_exit_code() {
    let home = home();
    for (name, bytes, code, words) in kinds(&folder(&home)) {
        let path = saved(&home, name, &bytes);
        let ways: [&[&str]; 8] = [
            &["replay", &path, "--headless"],
            &["replay", &path, "--headless", "--output-format", "json"],
            &["replay", &path, "--headless", "--json"],
            &["attach", &path],
            &["attach", &path, "--output-format", "json"],
            &["attach", &path, "--json"],
            &["frame", &path, "--seq", "2"],
            &["sessions", "show", name],
        ];
        for way in ways {
            let ran = run(&home, way, &[OFFLINE]).await;
            // A turn that was cut off counts as incomplete, whatever the log is like.
            let expected = if name == "torn" && !matches!(way[0], "frame" | "sessions") { 5 } else { 0 };
            assert_eq!(ran.code, expected, "{name} {way:?}: {}", ran.err);
            let text = if way[0] == "sessions" { &ran.out } else { &ran.err };
            assert!(text.contains(words), "{name} {way:?}: {} {}", ran.out, ran.err);
            if way.iter().any(|part| part.contains("json") && !part.contains('/')) {
                assert!(ran.out.contains(code), "{name} {way:?}: {}", ran.out);
            }
        }
    }
}

#[tokio::test]
async fn damage_is_told_when_a_session_goes_on_and_once_more_the_next_time() {
    for (name, ..) in kinds("") {
        let home = home();
        let (_, bytes, code, words) = kinds(&folder(&home)).into_iter().find(|kind| kind.0 == name).unwrap();
        saved(&home, name, &bytes);
        for way in [&["-c"][..], &["-r", name]] {
            let args: Vec<&str> = way.iter().copied().chain(["-p", "what is 6*7", "--output-format", "json"]).collect();
            let ran = run(&home, &args, &[OFFLINE]).await;
            assert_eq!(ran.code, 0, "{name} {way:?}: {}", ran.err);
            let (code, words) = match (name, way) {
                // The torn line was terminated in the meantime, and is a line like any other.
                ("torn", ["-r", _]) => ("unreadable_lines", "can't be read"),
                ("torn", _) => (code, "torn line"),
                _ => (code, words),
            };
            assert!(ran.err.contains(words), "{name} {way:?}: {}", ran.err);
            assert!(ran.json()["notices"].to_string().contains(code), "{name} {way:?}: {}", ran.out);
        }
    }
}

#[tokio::test]
async fn an_empty_file_is_called_empty_on_every_way() {
    let home = home();
    let path = saved(&home, "empty", b"");
    let ways: [&[&str]; 8] = [
        &["replay", &path, "--headless"],
        &["attach", &path],
        &["attach", &path, "--json"],
        &["frame", &path],
        &["sessions", "show", "empty"],
        &["sessions", "list", "--all"],
        &["-r", "empty", "-p", "hi"],
        &["serve", "--replay", &path, "--port", "0"],
    ];
    for way in ways {
        let ran = run(&home, way, &[OFFLINE]).await;
        assert_eq!(ran.code, 1, "{way:?}: {}", ran.err);
        assert!(ran.err.contains("empty.jsonl is empty"), "{way:?}: {}", ran.err);
    }
}

#[tokio::test]
async fn the_list_marks_what_is_damaged() {
    let home = home();
    let folder = folder(&home);
    saved(&home, "sound", &joined(&session(&folder)));
    for (name, bytes, ..) in kinds(&folder) {
        saved(&home, name, &bytes);
    }
    // Its turns can't be read.
    saved(&home, "header-only", format!("{}\n\0\0\0\n", session(&folder)[0]).as_bytes());
    let ran = run(&home, &["sessions", "list"], &[OFFLINE]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 8, "{}", ran.out);
    for line in ran.out.lines() {
        assert_eq!(line.contains("damaged: "), !line.starts_with("sound"), "{line}");
    }
    let ran = run(&home, &["sessions", "list", "--json"], &[OFFLINE]).await;
    for row in ran.json().as_array().unwrap() {
        let damage = row["damage"].as_array().unwrap();
        assert_eq!(damage.is_empty(), row["id"] == "sound", "{row}");
        let (_, _, code, _) =
            kinds("").into_iter().find(|kind| row["id"] == kind.0).unwrap_or(("", Vec::new(), "", ""));
        assert!(code.is_empty() || damage[0]["code"] == code, "{row}");
    }
}

#[tokio::test]
async fn a_server_that_plays_a_damaged_recording_says_so_at_once() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let home = home();
    for (name, bytes, _, words) in kinds(&folder(&home)) {
        let path = saved(&home, name, &bytes);
        let mut child = command(&home, &["serve", "--replay", &path, "--port", "0"], &[OFFLINE])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let text = tokio::time::timeout(std::time::Duration::from_secs(30), lines.next_line()).await.unwrap();
        let text = text.unwrap().unwrap_or_default();
        assert!(text.contains(words), "{name}: {text}");
        assert!(Path::new(&path).exists());
    }
}
