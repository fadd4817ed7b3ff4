//! The real program in a real terminal: what only a pty can show.
//!
//! Every step waits for a condition of the screen and has a deadline; nothing sleeps.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Far beyond what any step takes, even on a busy machine.
const SCREEN_TIMEOUT: Duration = Duration::from_secs(20);
const PROMPT: char = '›';
const LEAVE: &[u8] = b"\x1b[?1049l";

struct Tty {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    input: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    raw: Vec<u8>,
    home: Option<tempfile::TempDir>,
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Tty {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    fn start_in(home: tempfile::TempDir, arguments: &[&str]) -> Self {
        Self::start_program(home, env!("CARGO_BIN_EXE_jarvis-tui"), arguments)
    }

    fn start_program(home: tempfile::TempDir, program: &str, arguments: &[&str]) -> Self {
        let mut tty = Self::spawn(home, program, arguments, "xterm-256color");
        tty.wait_for("the prompt", |screen| screen.contains(PROMPT));
        tty
    }

    /// Starts the chat where it prints lines.
    fn lines(term: &str, arguments: &[&str]) -> Self {
        let mut tty = Self::spawn(tempfile::tempdir().unwrap(), env!("CARGO_BIN_EXE_jarvis-tui"), arguments, term);
        tty.shows("You: ");
        tty
    }

    fn spawn(home: tempfile::TempDir, program: &str, arguments: &[&str], term: &str) -> Self {
        let (columns, rows) = (80, 24);
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        let work = home.path().join("work");
        std::fs::create_dir_all(&work).unwrap();
        command.cwd(&work);
        command.env("HOME", home.path());
        command.env("JARVIS_TUI_HOME", home.path().join("jarvis"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TERM", term);
        command.env("NO_PROXY", "*");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let input = pair.master.take_writer().unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(cells(rows), cells(columns), 0);
        Self { master: pair.master, child, input, output, screen, raw: Vec::new(), home: Some(home) }
    }

    /// The offline engine, whatever runs on this machine.
    fn offline() -> Self {
        Self::start(&["-m", "offline"])
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let deadline = Instant::now() + SCREEN_TIMEOUT;
        while !holds(&self.text()) {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => {
                    self.screen.process(&bytes);
                    self.raw.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout) => panic!("{what} did not come:\n{}", self.text()),
                Err(RecvTimeoutError::Disconnected) => panic!("ended before {what}:\n{}", self.text()),
            }
        }
    }

    fn shows(&mut self, text: &str) {
        self.wait_for(text, |screen| screen.contains(text));
    }

    fn lacks(&mut self, text: &str) {
        self.wait_for(&format!("the end of {text}"), |screen| !screen.contains(text));
    }

    /// Sends keys to the program.
    fn keys(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    /// Types a text, waits for it in the composer and sends it.
    fn send(&mut self, text: &str) {
        self.keys(text);
        let typed = format!("{PROMPT} {text}");
        self.shows(&typed);
        self.keys("\r");
        self.wait_for("an empty composer", |screen| composer(screen).is_some_and(|line| !line.contains(text)));
    }

    /// Waits for an approval and allows the call.
    fn allow(&mut self) {
        self.answer("y");
    }

    /// Waits for an approval, selects a choice by its letter and confirms it. Enter counts only after a pause in
    /// typing.
    fn answer(&mut self, letter: &str) {
        self.shows("y once");
        self.keys(letter);
        let deadline = Instant::now() + SCREEN_TIMEOUT;
        while self.text().contains("y once") {
            assert!(Instant::now() < deadline, "the ask stayed:\n{}", self.text());
            self.quiet(Duration::from_millis(400));
            if self.text().contains("y once") {
                self.keys("\r");
                self.quiet(Duration::from_millis(200));
            }
        }
    }

    /// Collects output for this long.
    fn quiet(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(bytes) = self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.screen.process(&bytes);
            self.raw.extend(bytes);
        }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap())
    }

    /// Returns the log of the only session.
    fn log(&self) -> PathBuf {
        let sessions = self.home.as_ref().unwrap().path().join("jarvis/sessions");
        std::fs::read_dir(sessions).unwrap().next().expect("there is a session").unwrap().path()
    }

    fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// Waits for the exit; returns the exit code and everything that was written.
    fn ends(mut self) -> TtyExit {
        let deadline = Instant::now() + SCREEN_TIMEOUT;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.raw.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill().unwrap();
                    panic!("did not end:\n{}", self.screen.screen().contents());
                }
            }
        }
        let code = self.child.wait().unwrap().exit_code();
        TtyExit { code, raw: std::mem::take(&mut self.raw), home: self.home.take().unwrap() }
    }
}

/// The result of a program.
struct TtyExit {
    code: u32,
    raw: Vec<u8>,
    home: tempfile::TempDir,
}

impl TtyExit {
    fn gave_the_terminal_back(&self) -> bool {
        let has = |bytes: &[u8]| self.raw.windows(bytes.len()).any(|part| part == bytes);
        [LEAVE, b"\x1b[?2004l", b"\x1b[?1004l", b"\x1b[<u", b"\x1b[?25h", b"\x1b[23;2t"].iter().all(|bytes| has(bytes))
    }
}

/// Returns the last line that begins with the composer's prompt.
fn composer(screen: &str) -> Option<&str> {
    screen.lines().rev().find(|line| line.trim_start().starts_with(PROMPT))
}

impl Drop for Tty {
    fn drop(&mut self) {
        _ = self.child.kill();
    }
}

#[test]
fn a_question_is_answered_and_quitting_takes_two_presses() {
    let mut tty = Tty::offline();
    tty.send("what is 6*7");
    tty.shows("6*7 = 42");
    tty.lacks("Esc stops");
    tty.keys("\x03");
    tty.shows("again to quit");
    tty.keys("\x03");
    let ended = tty.ends();
    assert_eq!(ended.code, 0);
    assert!(ended.gave_the_terminal_back());
}

#[test]
fn the_last_answer_is_printed_to_the_shell_before_what_the_session_was() {
    let mut tty = Tty::start(&["-m", "offline", "--print-on-exit"]);
    tty.send("what is 6*7");
    tty.shows("6*7 = 42");
    tty.lacks("Esc stops");
    tty.keys("\x04");
    let ended = tty.ends();
    let raw = String::from_utf8(ended.raw).unwrap();
    let left = raw.rsplit_once("\x1b[?1049l").unwrap().1.replace("\r\n", "\n");
    let (answer, about) = left.split_once("\n\n").unwrap();
    assert!(answer == "`6*7` = **42**" && !answer.contains('\x1b'), "{left:?}");
    assert!(about.starts_with("what is 6*7 · 1 turn") && about.contains("\nGo on with: jarvis-tui -r "), "{left:?}");
}

#[test]
fn two_sessions_are_compared_in_panes_and_keys_go_from_difference_to_difference() {
    let home = tempfile::tempdir().unwrap();
    let work = home.path().join("work");
    std::fs::create_dir_all(&work).unwrap();
    for (name, answer) in [("a", "forty-two"), ("b", "fifty-four")] {
        let mut log = String::from("{\"format\":1,\"session\":\"s\",\"started_at\":0}\n");
        for (number, event) in [
            r#"{"type":"turn_started","turn":"t"}"#.to_owned(),
            r#"{"type":"user_message","message":"u","text":"what is 6*7"}"#.to_owned(),
            r#"{"type":"message_started","message":"m","role":"assistant"}"#.to_owned(),
            format!(r#"{{"type":"text_delta","message":"m","text":"It is\n{answer}."}}"#),
            r#"{"type":"message_finished","message":"m","stop":"end"}"#.to_owned(),
            r#"{"type":"turn_finished","turn":"t","end":"completed"}"#.to_owned(),
        ]
        .iter()
        .enumerate()
        {
            writeln!(log, "{{\"seq\":{0},\"at\":{0},\"event\":{event}}}", number + 1).unwrap();
        }
        std::fs::write(work.join(format!("{name}.jsonl")), log).unwrap();
    }
    let bin = env!("CARGO_BIN_EXE_jarvis-tui");
    let mut tty = Tty::spawn(home, bin, &["compare", "a.jsonl", "b.jsonl"], "xterm-256color");
    tty.shows("1 difference");
    let shown = tty.text();
    let parted = shown.lines().find(|line| line.contains("forty-two")).unwrap();
    assert!(parted.starts_with("▶ forty-two.") && parted.contains("│▶ fifty-four."), "{shown}");
    tty.keys("nq");
    let ended = tty.ends();
    assert_eq!(ended.code, 0);
    assert!(ended.gave_the_terminal_back());
    let mut lines = Tty::spawn(ended.home, bin, &["compare", "a.jsonl", "b.jsonl", "--output-format", "text"], "xterm");
    lines.shows("part at turn 1: answer");
    assert_eq!(lines.ends().code, 0);
}

#[test]
fn doctor_is_not_held_up_by_a_terminal_that_answers_nothing() {
    let bin = env!("CARGO_BIN_EXE_jarvis-tui");
    let ended = Tty::spawn(tempfile::tempdir().unwrap(), bin, &["doctor"], "xterm-256color").ends();
    let raw = String::from_utf8(ended.raw).unwrap();
    assert!(raw.contains("✓ size       ok: 80 columns, 24 rows"), "{raw:?}");
    assert!(raw.contains("? keys       unknown: the terminal did not answer: Ctrl+J"), "{raw:?}");
    assert_eq!(ended.code, 0);
}

#[test]
fn doctor_says_what_a_terminal_answers() {
    let bin = env!("CARGO_BIN_EXE_jarvis-tui");
    let mut tty = Tty::spawn(tempfile::tempdir().unwrap(), bin, &["doctor"], "xterm-256color");
    while !tty.raw.ends_with(b"\x1b[c") {
        let bytes = tty.output.recv_timeout(SCREEN_TIMEOUT).unwrap();
        tty.raw.extend(bytes);
    }
    tty.keys("\x1b[?1u\x1b[?1006;2$y\x1b[?2026;2$y\x1b[?62c");
    let raw = String::from_utf8(tty.ends().raw).unwrap();
    for expected in ["✓ keys       ok: kitty's protocol", "✓ mouse      ok", "✓ frames     ok"] {
        assert!(raw.contains(expected), "{expected}: {raw:?}");
    }
}

#[test]
fn a_dumb_terminal_gets_lines_and_no_control_sequence() {
    let mut tty = Tty::lines("dumb", &["-m", "offline"]);
    tty.keys("what is 6*7\r");
    tty.shows("Turn finished");
    tty.keys("wah\x7f\x7fhat is 7*7\r");
    tty.wait_for("the second end", |screen| screen.matches("Turn finished").count() == 2);
    tty.keys("/mode\r");
    tty.shows("Number: ");
    tty.keys("3\r");
    tty.shows("the mode is now plan");
    tty.keys("\x04");
    let ended = tty.ends();
    let raw = String::from_utf8(ended.raw).unwrap();
    assert_eq!(ended.code, 0);
    assert!(raw.contains("You: what is 6*7\r\n") && raw.contains("\r\nAssistant: "), "{raw:?}");
    assert_eq!(raw.matches("= **42**").count(), 1, "{raw:?}");
    assert!(raw.contains("Assistant: `7*7` = **49**\r\n"), "{raw:?}");
    assert!(raw.contains("1. ask, in use: ") && raw.contains("\r\nGo on with: jarvis-tui -r "), "{raw:?}");
    assert!(!raw.contains('\x1b'), "{raw:?}");
}

#[test]
fn a_question_in_lines_takes_no_text_that_was_typed_ahead() {
    let mut tty = Tty::lines("dumb", &["-m", "offline"]);
    tty.keys("run `touch made.txt`");
    tty.shows("You: run `touch made.txt`");
    tty.keys("\r");
    tty.keys("1\r");
    tty.shows("Answer: ");
    let made = tty.home.as_ref().unwrap().path().join("work/made.txt");
    tty.quiet(Duration::from_millis(500));
    assert!(!made.exists(), "{}", tty.text());
    tty.keys("1");
    tty.shows("Answer: 1");
    tty.keys("\r");
    tty.shows("Tool shell finished");
    assert!(made.exists());
    tty.keys("\x04\x04");
    tty.ends();
}

#[test]
fn a_screen_reader_gets_labelled_paragraphs_and_is_told_how_a_turn_ended() {
    let mut tty = Tty::lines("xterm-256color", &["-m", "offline", "--screen-reader"]);
    tty.keys("what is 6*7\r");
    tty.shows("Turn finished");
    tty.keys("\x04");
    let raw = String::from_utf8(tty.ends().raw).unwrap();
    let seen = raw.replace("\x1b[?2004h", "").replace("\x1b[?2004l", "");
    assert!(!seen.contains(['\x1b', '\x08', '›', '│', '─']), "{seen:?}");
    assert!(seen.contains("\r\nAssistant: ") && seen.contains("Tokens: "), "{seen:?}");
}

#[test]
fn the_title_says_what_goes_on_and_a_bell_calls_who_looks_elsewhere() {
    let mut tty = Tty::offline();
    tty.send("what is 6*7");
    tty.shows("6*7 = 42");
    tty.lacks("Esc stops");
    tty.quiet(Duration::from_millis(300));
    let has = |tty: &Tty, bytes: &[u8]| tty.raw.windows(bytes.len()).any(|part| part == bytes);
    let titles = ["\x1b]2;● what is 6*7 · jarvis-tui\x07", "\x1b]2;what is 6*7 · jarvis-tui\x07"];
    assert!(titles.iter().all(|title| has(&tty, title.as_bytes())), "{}", String::from_utf8_lossy(&tty.raw));
    // A bell is a byte of its own, and not the end of a title.
    let bells = |raw: &[u8]| {
        let mut text = String::from_utf8_lossy(raw).into_owned();
        while let Some(start) = text.find("\x1b]") {
            let end = text[start..].find('\x07').map_or(text.len(), |end| start + end + 1);
            text.replace_range(start..end, "");
        }
        text.matches('\x07').count()
    };
    assert_eq!(bells(&tty.raw), 0, "the keys of just now show that somebody looks");
    tty.keys("\x1b[O");
    tty.send("what is 7*7");
    tty.shows("7*7 = 49");
    tty.lacks("Esc stops");
    let deadline = Instant::now() + SCREEN_TIMEOUT;
    while bells(&tty.raw) == 0 {
        assert!(Instant::now() < deadline, "no bell");
        tty.quiet(Duration::from_millis(50));
    }
    tty.keys("\x04");
    assert!(tty.ends().gave_the_terminal_back());
}

#[test]
fn a_prompt_of_the_last_run_comes_back_with_up() {
    let mut tty = Tty::offline();
    tty.send("what is 6*7");
    tty.shows("42");
    tty.lacks("Esc stops");
    tty.keys("\x04");
    let ended = tty.ends();
    assert_eq!(ended.code, 0);
    let mut tty = Tty::start_in(ended.home, &["-m", "offline"]);
    // The file is read after the first frame, so the key may come too early once or twice.
    let deadline = Instant::now() + SCREEN_TIMEOUT;
    while composer(&tty.text()).is_none_or(|line| !line.contains("6*7")) {
        assert!(Instant::now() < deadline, "{}", tty.text());
        tty.keys("\x1b[A");
        tty.quiet(Duration::from_millis(100));
    }
}

#[test]
fn a_shell_call_waits_for_a_yes() {
    let mut tty = Tty::offline();
    tty.send("run `echo wait-$((40+2))`");
    tty.allow();
    tty.shows("wait-42");
}

#[test]
fn escape_interrupts_a_running_command() {
    let mut tty = Tty::offline();
    tty.send("run `sleep 600`");
    tty.allow();
    tty.shows("running shell");
    tty.keys("\x1b");
    tty.shows("cancelled after");
}

#[test]
fn a_prompt_sent_while_busy_waits_and_can_be_taken_back() {
    let mut tty = Tty::offline();
    tty.send("run `sleep 600`");
    tty.allow();
    tty.shows("running shell");
    tty.keys("what is 6*7");
    tty.shows("› what is 6*7");
    tty.keys("\r");
    tty.wait_for("an empty composer", |screen| composer(screen).is_some_and(|line| !line.contains("6*7")));
    tty.shows("what is 6*7");
    tty.keys("\x1b[1;3A");
    tty.wait_for("the prompt back", |screen| composer(screen).is_some_and(|line| line.contains("what is 6*7")));
}

#[test]
fn a_session_that_works_stays_open_as_a_tab_and_all_are_left_in_order() {
    let mut tty = Tty::offline();
    tty.send("run `echo one-$((40+2)); sleep 600`");
    tty.allow();
    tty.shows("running shell");
    tty.send("/new");
    tty.shows("2 new session");
    tty.shows(" 1 ● run `echo");
    tty.lacks("running shell");
    tty.send("run `echo two-$((40+3)); sleep 600`");
    tty.shows("y once");
    tty.keys("\x1b1");
    tty.shows("running shell");
    tty.shows(" 2 ? run `echo two");
    tty.keys("half a draft");
    tty.shows("› half a draft");
    tty.keys("\x1b[6;5~");
    tty.lacks("half a draft");
    tty.allow();
    tty.shows("two-43");
    tty.keys("\x1b[5;5~");
    tty.shows("› half a draft");
    tty.keys("\x1b");
    tty.shows("cancelled after");
    tty.keys("\x03");
    tty.lacks("half a draft");
    tty.keys("\x04");
    tty.shows("another session is still working");
    tty.keys("\x04");
    let ended = tty.ends();
    assert_eq!(ended.code, 0);
    let left = String::from_utf8_lossy(&ended.raw).into_owned();
    assert_eq!(left.matches("Go on with: jarvis-tui -r").count(), 2, "{left}");
    let logs: Vec<_> = std::fs::read_dir(ended.home.path().join("jarvis/sessions")).unwrap().collect();
    let texts: Vec<String> =
        logs.into_iter().map(|log| std::fs::read_to_string(log.unwrap().path()).unwrap()).collect();
    for said in ["two-43", "one-42"] {
        let log = texts.iter().find(|text| text.contains(said)).expect(said);
        assert!(log.lines().last().unwrap().contains("turn_finished"), "{log}");
    }
}

#[test]
fn a_new_size_keeps_what_was_said() {
    let mut tty = Tty::offline();
    tty.send("what is 6*7");
    tty.shows("42");
    for (columns, rows) in [(40, 12), (140, 50), (3, 2), (80, 24)] {
        tty.screen.screen_mut().set_size(cells(rows), cells(columns));
        tty.screen.process(b"\x1b[2J");
        tty.master.resize(size(columns, rows)).unwrap();
        if columns >= 40 {
            tty.shows("42");
            tty.wait_for("the prompt", |screen| screen.contains(PROMPT));
        }
    }
}

#[test]
fn a_search_shows_a_match_and_esc_goes_back() {
    let mut tty = Tty::offline();
    tty.send("what is 6*7");
    tty.shows("6*7 = 42");
    tty.lacks("Esc stops");
    tty.keys("\x06IS 6");
    tty.shows("no match");
    tty.keys("\x15is 6");
    tty.shows("find: is 6");
    tty.shows("1/1");
    tty.keys("\x1b");
    tty.lacks("find:");
    tty.keys("ok");
    tty.shows("› ok");
}

#[test]
fn an_answer_is_copied_as_its_source_through_the_terminal() {
    let mut tty = Tty::offline();
    tty.send("what is 6*7");
    tty.shows("6*7 = 42");
    tty.lacks("Esc stops");
    tty.keys("\x19");
    tty.shows("copied the last answer");
    tty.shows("OSC 52");
    let sent = String::from_utf8_lossy(&tty.raw).into_owned();
    let (_, rest) = sent.split_once("\x1b]52;c;").expect("the sequence");
    let (text, _) = rest.split_once('\x07').unwrap();
    let text = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("42") && text.contains('`'), "{text}");
}

#[test]
fn a_paste_is_not_sent() {
    let mut tty = Tty::offline();
    tty.keys("\x1b[200~first line\rsecond line\r\x1b[201~");
    tty.shows("first line");
    tty.shows("second line");
    tty.keys("end");
    tty.shows("end");
    assert!(composer(&tty.text()).is_some_and(|line| line.contains("first line")), "{}", tty.text());
    tty.keys("\x15\x15\x15\x15\x15");
    tty.lacks("first line");
    let lines = format!("\x1b[200~{}\x1b[201~", "many\n".repeat(34));
    tty.keys(&lines);
    tty.shows("[pasted 34 lines #1]");
}

#[test]
fn a_paste_without_an_end_gives_the_keys_back() {
    for way_out in ["", "\x1b", "\x03"] {
        let mut tty = Tty::offline();
        tty.keys("\x1b[200~lost");
        // A key of its own, as a person presses it.
        tty.quiet(Duration::from_millis(50));
        tty.keys(way_out);
        tty.shows(&format!("{PROMPT} lost"));
        tty.keys(" typed");
        tty.shows(&format!("{PROMPT} lost typed"));
        assert!(tty.text().contains("the paste was cut short"), "{}", tty.text());
    }
}

#[test]
fn the_answer_about_the_background_is_not_typed() {
    let mut tty = Tty::offline();
    let asked = |tty: &Tty| tty.raw.windows(5).any(|part| part == b"\x1b]11;");
    let deadline = Instant::now() + SCREEN_TIMEOUT;
    while !asked(&tty) {
        let bytes = tty.output.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap();
        tty.screen.process(&bytes);
        tty.raw.extend(bytes);
    }
    tty.keys("\x1b]11;rgb:ffff/ffff/ffff\x1b\\ok");
    tty.wait_for("what was typed", |screen| composer(screen).is_some_and(|line| line.trim_end().ends_with("› ok")));
}

#[test]
fn signals_give_the_terminal_back() {
    let signals = [
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGINT, 130),
        (Signal::SIGQUIT, 131),
        (Signal::SIGABRT, 134),
        (Signal::SIGUSR1, 138),
        (Signal::SIGUSR2, 140),
        (Signal::SIGALRM, 142),
    ];
    for (signal, code) in signals {
        let mut tty = Tty::offline();
        tty.keys("draft");
        tty.shows("draft");
        tty.signal(signal);
        let ended = tty.ends();
        assert_eq!(ended.code, code, "{signal}");
        assert!(ended.gave_the_terminal_back(), "{signal}");
    }
}

#[test]
fn stopping_gives_the_terminal_back_and_going_on_takes_it() {
    let mut tty = Tty::offline();
    tty.keys("draft");
    tty.shows("draft");
    tty.signal(Signal::SIGTSTP);
    tty.lacks("draft");
    assert!(!tty.screen.screen().alternate_screen());
    // A SIGCONT before it has stopped would be lost.
    let stopped = waitpid(tty.id(), Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(tty.id(), Signal::SIGSTOP));
    tty.signal(Signal::SIGCONT);
    tty.shows("draft");
    assert!(tty.screen.screen().alternate_screen());
}

#[test]
fn grants_and_waiting_prompts_outlive_a_kill_and_can_be_taken_back() {
    let mut tty = Tty::offline();
    tty.send("run `echo first`");
    tty.answer("a");
    tty.shows("1 grant");
    tty.send("run `sleep 600`");
    tty.shows("running shell");
    for prompt in ["what is 6*7", "what is 6*8"] {
        tty.send(prompt);
    }
    tty.shows("2 queued");
    tty.signal(Signal::SIGKILL);
    let mut tty = Tty::start_in(tty.ends().home, &["-m", "offline", "-c"]);
    tty.wait_for("what was kept", |screen| {
        ["2 prompts were waiting", "still holds: shell", "1 grant", "2 queued"].iter().all(|text| screen.contains(text))
    });
    tty.send("/permissions");
    tty.shows("every call, this session");
    tty.shows("in an earlier run");
    tty.keys("\x1b[3~");
    tty.lacks("1 grant");
    tty.keys("\x1b");
    tty.lacks("reading in the working folder");
    tty.keys("\r");
    tty.shows("6*7 = 42");
    tty.shows("6*8 = 48");
    tty.send("run `echo second`");
    tty.shows("y once");
}

#[test]
fn a_log_that_was_removed_under_the_chat_is_told_and_is_the_exit_code() {
    let mut tty = Tty::offline();
    tty.send("what is 6*7");
    tty.shows("6*7 = 42");
    tty.lacks("Esc stops");
    let log = tty.log();
    std::fs::remove_file(&log).unwrap();
    tty.keys("\x04");
    let ended = tty.ends();
    assert_eq!(ended.code, 8);
    assert!(String::from_utf8_lossy(&ended.raw).contains("the log was removed while in use"));
    assert!(log.exists());
}

#[test]
fn the_raw_frames_of_a_stream_are_saved_by_a_key_and_can_be_played() {
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/chat/arguments_cumulative.sse");
    let mut tty = Tty::start(&["attach", recording]);
    tty.keys("\x1b[20~");
    tty.shows("[DONE]");
    tty.keys("\x13");
    tty.shows("saved: jarvis-tui attach frames-");
    let work = tty.home.as_ref().unwrap().path().join("work");
    let saved: Vec<_> = std::fs::read_dir(&work).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    let text = std::fs::read_to_string(&saved[0]).unwrap();
    assert!(text.lines().next().unwrap().contains("arguments_cumulative.sse"), "{text}");
    let played = std::process::Command::new(env!("CARGO_BIN_EXE_jarvis-tui"))
        .arg("attach")
        .arg(&saved[0])
        .args(["--output-format", "json"])
        .env("JARVIS_TUI_HOME", work.join("again"))
        .output()
        .unwrap();
    assert_eq!(played.status.code(), Some(0), "{}", String::from_utf8_lossy(&played.stderr));
    assert!(String::from_utf8_lossy(&played.stdout).contains("\"dialect\":\"openai-chat\""));
}

#[test]
fn keys_come_from_the_terminal_where_standard_input_is_data() {
    let line = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Hi there"}]},"session_id":"s"}"#;
    let script = format!("(echo '{line}'; exec sleep 1000) | {} attach -", env!("CARGO_BIN_EXE_jarvis-tui"));
    let mut tty = Tty::start_program(tempfile::tempdir().unwrap(), "sh", &["-c", &script]);
    tty.shows("Hi there");
    tty.shows("Esc stops");
    tty.keys("\x1b");
    tty.shows("cancelled");
}

#[test]
fn esc_interrupts_a_program_and_shows_what_it_still_says() {
    let line = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Hi there"}]},"session_id":"s"}"#;
    let last = line.replace("Hi there", "Bye then");
    let script =
        format!("bye() {{ echo '{last}'; exit 0; }}; trap bye INT; echo '{line}'; while :; do sleep 0.05; done");
    let mut tty = Tty::start(&["attach", "--", "sh", "-c", &script]);
    tty.shows("Hi there");
    tty.keys("\x1b");
    tty.shows("Bye then");
    tty.shows("exited with code 0");
    tty.shows("cancelled");
}

#[test]
fn a_terminal_is_no_stream() {
    let script = format!("{} attach -; echo \"{PROMPT} code $?\"", env!("CARGO_BIN_EXE_jarvis-tui"));
    let mut tty = Tty::start_program(tempfile::tempdir().unwrap(), "sh", &["-c", &script]);
    tty.shows("standard input is a terminal");
    tty.shows("code 2");
}
