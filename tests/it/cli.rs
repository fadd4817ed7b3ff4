//! The program from the view of a script: standard output, standard error, exit codes, files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A separate home and working folder, without keys or network.
struct CliSandbox {
    home: TempDir,
    work: TempDir,
}

impl CliSandbox {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), work: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("JARVIS_TUI_HOME", self.home.path())
            // No test may depend on what happens to run on this machine.
            .env("JARVIS_TUI_MODEL", "offline")
            .current_dir(self.work.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> CliOutput {
        CliOutput::of(self.command(args).output().unwrap())
    }

    fn run_with_stdin(&self, args: &[&str], input: &str) -> CliOutput {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        CliOutput::of(child.wait_with_output().unwrap())
    }

    fn logs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.home.path().join("sessions")) else { return Vec::new() };
        let mut logs: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
            .collect();
        logs.sort();
        logs
    }

    fn only_log(&self) -> PathBuf {
        let logs = self.logs();
        assert_eq!(logs.len(), 1, "{logs:?}");
        logs.into_iter().next().unwrap()
    }
}

#[derive(Debug)]
struct CliOutput {
    code: i32,
    out: String,
    err: String,
}

impl CliOutput {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn id_of(log: &Path) -> String {
    log.file_stem().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_log_filter_that_is_none_is_told_in_one_line_and_in_the_way_of_nothing() {
    let place = CliSandbox::new();
    let ran = CliOutput::of(place.command(&["-p", "what is 6*7"]).env("JARVIS_TUI_LOG", "x=loud").output().unwrap());
    assert_eq!((ran.code, ran.out.contains("42")), (0, true), "{ran:?}");
    assert_eq!(ran.err.lines().filter(|line| line.contains("JARVIS_TUI_LOG=x=loud")).count(), 1, "{}", ran.err);
}

#[test]
fn a_piped_prompt_is_answered_as_text() {
    let ran = CliSandbox::new().run_with_stdin(&[], "what is 6*7");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("42"), "{ran:?}");
    assert!(!ran.out.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn no_terminal_and_no_prompt_is_a_short_usage_error() {
    let ran = CliSandbox::new().run(&[]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.out, "");
    assert!(ran.err.contains("-p") && ran.err.lines().count() == 1, "{ran:?}");
}

#[test]
fn the_object_of_a_run_has_calls_usage_and_outcome() {
    let place = CliSandbox::new();
    let ran = place.run(&["-p", "what is 6*7", "--output-format", "json"]);
    let object = ran.json();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(object["source"], "agent");
    assert_eq!(object["engine"], "offline");
    assert_eq!(object["outcome"], "completed");
    assert_eq!(object["tool_calls"][0]["name"], "calculator");
    assert_eq!(object["tool_calls"][0]["status"], "ok");
    assert_eq!(object["tool_calls"][0]["arguments"]["expression"], "6*7");
    assert_eq!(object["usage"]["estimated"], true);
    assert_eq!(object["error"], Value::Null);
    assert_eq!(object["session"], id_of(&place.only_log()));
}

#[test]
fn stream_json_is_the_log_byte_for_byte() {
    let place = CliSandbox::new();
    let ran = place.run(&["-p", "what is 6*7", "--json"]);
    let log = fs::read_to_string(place.only_log()).unwrap();
    let (header, envelopes) = log.split_once('\n').unwrap();
    assert!(header.contains("\"format\":1"));
    assert_eq!(ran.out, envelopes);
}

#[test]
fn the_replay_of_a_log_gives_the_same_object() {
    let place = CliSandbox::new();
    let live = place.run(&["-p", "what is 6*7", "--output-format", "json"]).json();
    let log = place.only_log();
    let ran = place.run(&["replay", log.to_str().unwrap(), "--headless", "--output-format", "json"]);
    let mut again = ran.json();
    assert_eq!(again["source"], "replay");
    let name = log.file_stem().unwrap().to_str().unwrap();
    assert_eq!(place.run(&["replay", name, "--headless", "--output-format", "json"]).out, ran.out);
    again["source"] = Value::from("agent");
    assert_eq!(again, live);
    assert_eq!(ran.code, 0);
}

#[test]
fn what_needs_approval_is_denied_without_a_terminal() {
    let place = CliSandbox::new();
    let ran = place.run(&["-p", "run `echo hi > made`", "--output-format", "json"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert_eq!(ran.json()["tool_calls"][0]["status"], "denied");
    assert!(!place.work.path().join("made").exists());
    assert!(ran.err.contains("denied"), "it says so: {ran:?}");
    let ran = place.run(&["-p", "run `echo hi > made`", "--approval-mode", "full"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(place.work.path().join("made").exists());
}

#[test]
fn a_broken_setting_is_named_with_file_and_line() {
    let place = CliSandbox::new();
    fs::write(place.home.path().join("config.toml"), "version = 1\n[ui]\nmax_fps = \"many\"\n").unwrap();
    let ran = place.run(&["-p", "hi"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("config.toml:3") && ran.err.contains("max_fps"), "{ran:?}");
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    assert_eq!(CliSandbox::new().run(&["--nonsense"]).code, 2);
}

#[test]
fn the_newest_session_goes_on_with_its_history() {
    let place = CliSandbox::new();
    place.run(&["-p", "what is 6*7"]);
    let ran = place.run(&["-c", "-p", "what is 2+3", "--output-format", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let log = place.only_log();
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("\"type\":\"turn_started\"").count(), 2);
    assert_eq!(ran.json()["text"].as_str().unwrap().matches("42").count(), 0, "only this run's text");
    let seqs: Vec<u64> = text
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no holes over both runs");
}

#[test]
fn a_log_cut_in_the_middle_of_a_line_goes_on_and_says_so() {
    let place = CliSandbox::new();
    place.run(&["-p", "what is 6*7"]);
    let log = place.only_log();
    let text = fs::read_to_string(&log).unwrap();
    let cut = text.find("\"type\":\"message_finished\"").unwrap();
    fs::write(&log, &text[..cut]).unwrap();
    let ran = place.run(&["-c", "-p", "what is 2+3", "--output-format", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.json()["notices"].to_string().contains("torn_line"), "{ran:?}");
    let replayed = place.run(&["replay", log.to_str().unwrap(), "--headless", "--output-format", "json"]);
    assert_eq!(replayed.json()["outcome"], "completed", "{replayed:?}");
}

#[test]
fn sessions_are_listed_shown_and_removed() {
    let place = CliSandbox::new();
    place.run(&["-p", "what is 6*7"]);
    let id = id_of(&place.only_log());
    let listed = place.run(&["sessions", "list"]);
    assert!(listed.out.contains(&id) && listed.out.contains("what is 6*7"), "{listed:?}");
    let shown = place.run(&["sessions", "show", &id]);
    assert!(shown.out.contains("› what is 6*7") && shown.out.contains("42"), "{shown:?}");
    assert_eq!(place.run(&["sessions", "rm", &id]).code, 0);
    assert_eq!(place.logs(), Vec::<PathBuf>::new());
    let ran = place.run(&["sessions", "rm", &id]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&id), "{ran:?}");
}

#[test]
fn what_was_said_and_called_is_found_over_all_sessions_the_newest_first() {
    let place = CliSandbox::new();
    place.run(&["-p", "what is 6*7"]);
    let first = id_of(&place.only_log());
    place.run(&["-p", "what is 6*8"]);
    let second = id_of(place.logs().iter().find(|log| id_of(log) != first).unwrap());
    let found = place.run(&["sessions", "search", "what", "IS", "--json"]);
    assert_eq!((found.code, found.out.as_str()), (1, ""), "a capital means itself: {found:?}");
    let found = place.run(&["sessions", "search", "is", "what", "--json"]);
    let hits: Vec<Value> = found.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let prompts = hits.iter().filter(|hit| hit["kind"] == "prompt");
    let prompts: Vec<_> = prompts.map(|hit| (hit["id"].as_str().unwrap(), hit["line"].as_str().unwrap())).collect();
    assert_eq!(prompts, [(second.as_str(), "what is 6*8"), (&first, "what is 6*7")]);
    let seq = hits[0]["seq"].to_string();
    let shown = place.run(&["frame", place.logs()[0].to_str().unwrap(), "--seq", &seq]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let found = place.run(&["sessions", "search", r"/6\*7|42/"]);
    assert!(
        found.out.starts_with(&first) && found.out.contains(" call ") && found.out.contains(" answer "),
        "{found:?}"
    );
    assert!(!found.out.contains(&second), "{found:?}");
    let texts = place.home.path().join("session-texts");
    let kept = |id: &str| fs::read_dir(&texts).unwrap().any(|file| file.unwrap().file_name() == id);
    assert!(kept(&first) && kept(&second));
    place.run(&["sessions", "rm", &first]);
    assert!(!kept(&first) && kept(&second), "what is deleted is not found any more");
    assert_eq!(place.run(&["sessions", "search", "6*7"]).code, 1);
    let wrong = place.run(&["sessions", "search", "/(/"]);
    assert_eq!((wrong.code, wrong.err.lines().count()), (2, 1), "{wrong:?}");
}

#[cfg(unix)]
#[test]
fn logs_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = CliSandbox::new();
    place.run(&["-p", "hi"]);
    assert_eq!(fs::metadata(place.only_log()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_reader_that_has_enough_ends_the_program_quietly() {
    let place = CliSandbox::new();
    let mut child = place.command(&["-p", "demo stream 3000"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panic"));
}

#[test]
fn one_screen_of_a_log_is_printed_as_text_or_picture() {
    let place = CliSandbox::new();
    place.run(&["-p", "what is 6*7"]);
    let log = place.only_log();
    let text = place.run(&["frame", log.to_str().unwrap(), "--size", "80x24"]);
    assert_eq!(text.out.lines().count(), 24, "{}", text.out);
    assert!(text.out.contains("42") && text.out.contains("what is 6*7"), "{}", text.out);
    let picture = place.run(&["frame", log.to_str().unwrap(), "--format", "svg"]);
    assert!(picture.out.starts_with("<svg") && picture.out.trim_end().ends_with("</svg>"));
}

#[test]
fn doctor_and_models_know_the_embedded_engine() {
    let place = CliSandbox::new();
    let ran = place.run(&["doctor"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("offline") && ran.out.contains("OPENAI_API_KEY"), "{ran:?}");
    assert!(place.run(&["models"]).out.contains("offline/guide"));
}

#[test]
fn completions_and_the_manual_page_need_no_settings_that_can_be_read() {
    let place = CliSandbox::new();
    fs::write(place.home.path().join("config.toml"), "not toml").unwrap();
    assert_eq!(place.run(&["doctor"]).code, 3);
    let script = place.run(&["completions", "bash"]);
    assert_eq!((script.code, script.err.as_str()), (0, ""));
    assert!(script.out.contains("complete -F"), "{}", script.out);
    let page = place.run(&["man"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.contains(".TH jarvis-tui 1"), "{}", page.out);
    assert_eq!(place.run(&["completions", "cmd.exe"]).code, 2);
}

#[test]
fn a_session_in_which_nothing_was_said_leaves_no_log() {
    let place = CliSandbox::new();
    place.run(&["doctor"]);
    place.run(&["config", "show"]);
    assert_eq!(place.logs(), Vec::<PathBuf>::new());
}

#[test]
fn a_prompt_and_a_pipe_are_joined() {
    let place = CliSandbox::new();
    place.run_with_stdin(&["-p", "what is"], "6*7\n");
    assert!(fs::read_to_string(place.only_log()).unwrap().contains(r#""text":"what is\n\n6*7""#));
}

#[test]
fn settings_that_name_no_usable_engine_or_rule_are_a_configuration_error() {
    let place = CliSandbox::new();
    let ran = place.run(&["-m", "nonsense/x", "-p", "hi"]);
    assert_eq!((ran.code, ran.err.lines().count()), (3, 1), "{ran:?}");
    assert!(ran.err.contains("nonsense") && ran.err.contains("offline"), "{ran:?}");
    let ran = place.run(&["-p", "hi", "-o", "approvals.deny=[\"shell(\"]"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("[approvals]"), "{ran:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let place = CliSandbox::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = place.command(&["-p", "hi"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("can't be written"));
}

#[test]
fn a_session_that_cannot_be_saved_is_answered_and_says_so() {
    let place = CliSandbox::new();
    fs::write(place.home.path().join("sessions"), "in the way").unwrap();
    let ran = place.run(&["-p", "what is 6*7", "--output-format", "json"]);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.json()["text"].as_str().unwrap().contains("42"));
    assert_eq!(ran.json()["notices"][0]["code"], "not_saved");
    assert!(ran.err.contains("is not saved"), "{ran:?}");
}

#[test]
fn a_session_of_another_folder_goes_on_here_and_says_so() {
    let place = CliSandbox::new();
    place.run(&["-p", "what is 6*7"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let ran =
        CliOutput::of(place.command(&["-r", "-p", "what is 2+3"]).current_dir(elsewhere.path()).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("started in") && ran.err.contains(elsewhere.path().to_str().unwrap()), "{ran:?}");
    assert_eq!(place.run(&["-c", "-p", "what is 2+3"]).err.matches("started in").count(), 0);
}

#[test]
fn a_session_that_is_in_use_is_not_opened_twice() {
    let place = CliSandbox::new();
    place.run(&["-p", "what is 6*7"]);
    let holder = fs::File::open(place.only_log()).unwrap();
    holder.lock().unwrap();
    let ran = place.run(&["-c", "-p", "hi"]);
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
    let named = format!("session {} is in use by another jarvis-tui", id_of(&place.only_log()));
    assert!(ran.err.contains(&named) && ran.err.contains("jarvis-tui replay"), "{ran:?}");
    let removed = place.run(&["sessions", "rm", &id_of(&place.only_log())]);
    assert_eq!(removed.code, 1, "{removed:?}");
    holder.unlock().unwrap();
    assert_eq!(place.run(&["-c", "-p", "hi"]).code, 0);
}

#[test]
fn the_list_names_the_engine_and_model_that_answered() {
    let place = CliSandbox::new();
    place.run(&["-p", "hi"]);
    let listed: Value = place.run(&["sessions", "list", "--json"]).json();
    assert_eq!((&listed[0]["engine"], &listed[0]["model"]), (&Value::from("offline"), &Value::from("guide")));
    assert!(place.run(&["sessions", "list"]).out.contains("offline/guide"));
}

#[test]
fn a_run_out_of_time_or_rounds_reached_a_limit() {
    let place = CliSandbox::new();
    let ran = place.run(&["-p", "run `sleep 30`", "--yolo", "--timeout", "300ms", "--output-format", "json"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    let object = ran.json();
    assert_eq!((&object["outcome"], &object["error"]["kind"]), (&Value::from("failed"), &Value::from("limit_reached")));
    assert_eq!(object["tool_calls"][0]["status"], "cancelled");
    assert!(ran.err.contains("--timeout"), "{ran:?}");
    let ran = place.run(&["-p", "what is 6*7", "--max-rounds", "1", "--output-format", "json"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert_eq!(ran.json()["tool_calls"][0]["status"], "ok", "the last round's calls are run");
}

#[test]
fn what_is_too_long_for_the_log_is_whole_in_a_file_of_its_owner_beside_it() {
    let place = CliSandbox::new();
    let ran = place.run(&["-p", "run `yes | head -c 3000000`", "--yolo", "--output-format", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let output = ran.json()["tool_calls"][0]["output"].as_str().unwrap().to_owned();
    assert!(output.len() <= 32_768 && output.contains("left out"), "{}", output.len());
    let beside = fs::read_dir(place.home.path().join("sessions")).unwrap().map(|entry| entry.unwrap().path());
    let whole = beside.filter(|path| path.extension().is_some_and(|ext| ext == "out")).collect::<Vec<_>>();
    assert_eq!(whole.len(), 1);
    let meta = fs::metadata(&whole[0]).unwrap();
    assert_eq!(meta.len(), 3_000_000);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777, 0o600);
    let logged: usize = fs::read_to_string(place.only_log())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event"]["type"] == "tool_output")
        .map(|line| line["event"]["text"].as_str().unwrap().len())
        .sum();
    // Plus a line that says there is more.
    assert!(((1 << 20)..(1 << 20) + 100).contains(&logged), "{logged}");
    assert_eq!(place.run(&["sessions", "rm", &id_of(&place.only_log())]).code, 0);
    assert!(!whole[0].exists(), "it goes with its session");
}

/// Searches a command's own environment and its parent's.
#[cfg(target_os = "linux")]
#[test]
fn a_command_finds_no_key_in_the_environment() {
    let place = CliSandbox::new();
    let script = "env; up=$PPID; for above in 1 2; do tr '\\0' '\\n' < /proc/$up/environ; up=$(awk '{print $4}' /proc/$up/stat); \
                  done; echo looked";
    fs::write(place.work.path().join("look.sh"), script).unwrap();
    let keys = [
        ("OPENAI_API_KEY", "sk-key-of-openai-1"),
        ("ANTHROPIC_AUTH_TOKEN", "token-of-anthropic-2"),
        ("JARVIS_TUI_SERVER_TOKEN", "token-of-the-server-3"),
        ("OPENAI_BASE_URL", "http://me:password-4@127.0.0.1:9/v1"),
    ];
    let ran = CliOutput::of(place.command(&["-p", "run `sh look.sh`", "--yolo"]).envs(keys).output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let log = fs::read_to_string(place.only_log()).unwrap();
    assert!(log.contains("looked") && log.contains("JARVIS_TUI_HOME"), "{log}");
    for (name, key) in keys {
        assert!(!log.contains(key), "{name}");
    }
    let text = CliOutput::of(place.command(&["doctor"]).envs(keys).output().unwrap()).out;
    assert!(text.contains("OPENAI_API_KEY") && text.contains("\n  sandbox    "), "{text}");
    assert!(keys.iter().all(|(_, key)| !text.contains(key)), "{text}");
}
