//! The chat in the terminal's own text, in a real terminal that breaks rows anew when its window changes: tmux.
//!
//! Every step waits for a condition and has a deadline; nothing sleeps.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::oracle::missing;
use super::support::{ScriptedServer, ServerAct, chunk, end, stream};

const TMUX_TIMEOUT: Duration = Duration::from_mins(1);
const RESIZE_COUNT: usize = 20;

/// A server of its own, with one window.
struct Tmux(String);

impl Tmux {
    fn start(name: &str, (columns, rows): (u16, u16), command: &str) -> Self {
        let tmux = Self(format!("jarvis-tui-{name}-{}", std::process::id()));
        let (columns, rows) = (columns.to_string(), rows.to_string());
        tmux.run(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, command]);
        tmux
    }

    fn run(&self, arguments: &[&str]) -> String {
        let ran = Command::new("tmux").args(["-L", &self.0]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// Returns all text, what has scrolled away as well, with rows that the terminal broke joined.
    fn text(&self) -> String {
        self.run(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + TMUX_TIMEOUT;
        while !holds(&self.text()) {
            assert!(Instant::now() < deadline, "{what} did not come:\n{}", self.text());
        }
    }

    fn shows(&self, text: &str) {
        self.wait_for(text, |all| all.contains(text));
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

fn has_tmux() -> bool {
    Command::new("tmux").arg("-V").output().is_ok_and(|ran| ran.status.success())
}

fn delta(text: &str) -> ServerAct {
    let data = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    chunk(format!("data: {data}\n\n"))
}

fn step(nth: usize) -> String {
    let words: Vec<String> = (0..30).map(|word| format!("word{nth}x{word}")).collect();
    format!("Line {nth} of the answer.\n\n{}\n\n", words.join(" "))
}

/// Returns the command line that chats with a server and then leaves a shell's mark.
fn command(home: &Path, server: &ScriptedServer) -> String {
    let (home, url, program) = (home.display(), server.url(), env!("CARGO_BIN_EXE_jarvis-tui"));
    let env = format!(
        "HOME={home} JARVIS_TUI_HOME={home}/jarvis OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=k NO_PROXY='*' LC_ALL=C.UTF-8"
    );
    format!("cd {home}; env {env} {program} -m openai/m --inline; echo '[the shell]'; exec cat")
}

#[tokio::test]
async fn each_line_is_in_the_scrollback_once_though_the_window_changes_while_it_streams() {
    if !has_tmux() {
        return missing("tmux", "it is not installed");
    }
    let mut script = vec![stream()];
    let mut answer = String::new();
    for nth in 0..=RESIZE_COUNT {
        let text = step(nth);
        let (begin, rest) = text.split_at(text.len() / 2);
        script.extend([delta(begin), ServerAct::Hold, delta(rest)]);
        answer.push_str(&text);
    }
    script.extend([delta("The end."), chunk("data: [DONE]\n\n"), end()]);
    answer.push_str("The end.");
    let server = ScriptedServer::routed(vec![("/v1/chat/completions", vec![script])]).await;
    // What waits for the terminal must not keep the server waiting.
    tokio::task::spawn_blocking(move || chat_while_resizing(&server, &answer)).await.unwrap();
}

fn chat_while_resizing(server: &ScriptedServer, answer: &str) {
    let home = tempfile::tempdir().unwrap();
    let tmux = Tmux::start("inline", (60, 24), &command(home.path(), server));
    tmux.shows("›");
    tmux.run(&["send-keys", "-l", "go"]);
    tmux.shows("› go");
    tmux.run(&["send-keys", "Enter"]);
    for nth in 0..=RESIZE_COUNT {
        tmux.shows(&format!("word{nth}x2"));
        if nth < RESIZE_COUNT {
            tmux.run(&["resize-window", "-x", if nth % 2 == 0 { "140" } else { "60" }, "-y", "24"]);
        }
        server.go();
    }
    tmux.shows("The end.");
    tmux.wait_for("the end of the turn", |all| !all.contains("stops"));
    tmux.run(&["send-keys", "C-d"]);
    tmux.shows("[the shell]");
    let text = tmux.text();
    let printed = text.split_once("Line 0 of").and_then(|(_, after)| after.split_once("The end."));
    let (printed, after) = printed.unwrap_or_else(|| panic!("not all was printed:\n{text}"));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let whole = format!("Line 0 of{printed}The end.");
    assert_eq!(words(&whole), words(answer), "{text}");
    assert!(!after.contains('›') && after.contains("\n[the shell]\n"), "{text}");
}
