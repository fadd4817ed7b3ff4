//! Ways to a clipboard: the terminal (OSC 52), a tool of the system, a file.
//!
//! ```text
//! OSC 52 goes out unless it is too long or the terminal is known not to know it; nobody answers, so where a tool can
//! reach a clipboard of this machine too, that is used as well; if neither went, the text is in a file.
//! In tmux its own tool comes first, and alone if it does: tmux may drop a sequence, or make a second buffer of it.
//! ```
//!
//! Not here: what is copied (`store`). Invariant: what goes out was cleaned, so it can't end the sequence or hide
//! anything; and the person is told which way it went.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::config::environment::without_keys;
use crate::private;
use crate::text::human::whole_size;
use crate::ui::theme::ColorDepth;

/// Longest sequence that the terminals we know take; longer ones are dropped by some without a word.
const MAX_OSC52_BYTES: usize = 100_000;
/// `screen` takes strings of this length.
const SCREEN_CHUNK_BYTES: usize = 240;
/// A tool that hasn't taken the text by now won't.
const TOOL_TIMEOUT: Duration = Duration::from_secs(2);

/// What of the surroundings matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminalEnv {
    pub term: String,
    pub program: String,
    pub color_term: String,
    /// The terminal around a multiplexer or a login, where a variable of it came along.
    pub outer: String,
    pub tmux: bool,
    pub screen: bool,
    /// The person sits at another machine.
    pub ssh: bool,
    pub wayland: bool,
    pub x11: bool,
    pub mac: bool,
    /// Linux inside Windows.
    pub wsl: bool,
}

impl TerminalEnv {
    pub fn detect() -> Self {
        let text = |name: &str| std::env::var(name).unwrap_or_default();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            term: text("TERM"),
            program: text("TERM_PROGRAM"),
            outer: outer_terminal(&text),
            color_term: text("COLORTERM"),
            tmux: set("TMUX"),
            screen: set("STY"),
            ssh: set("SSH_CONNECTION") || set("SSH_TTY"),
            wayland: set("WAYLAND_DISPLAY"),
            x11: set("DISPLAY"),
            mac: cfg!(target_os = "macos"),
            wsl: set("WSL_DISTRO_NAME"),
        }
    }

    /// Returns how many colours the terminal is known to have.
    pub fn color_depth(&self) -> ColorDepth {
        let knows = |names: &[&str]| names.iter().any(|name| self.term.contains(name));
        if matches!(self.color_term.as_str(), "truecolor" | "24bit") {
            ColorDepth::TrueColor
        } else if knows(&["256color", "kitty", "alacritty", "ghostty", "foot", "wezterm", "direct"]) {
            ColorDepth::Indexed
        } else {
            ColorDepth::Sixteen
        }
    }

    /// Tells whether the terminal breaks its rows anew when its window becomes narrower, as nearly all do.
    pub fn reflows(&self) -> bool {
        self.tmux || !(self.screen || self.term == "linux" || self.outer == "xterm")
    }

    /// Tells whether a terminal would write out control sequences of the string kind.
    pub fn is_dumb(&self) -> bool {
        matches!(self.term.as_str(), "linux" | "dumb")
    }

    /// Returns the bytes that give a text to the terminal's clipboard, unless that is known not to work.
    pub fn osc52_sequence(&self, text: &str) -> Result<Vec<u8>, &'static str> {
        if self.is_dumb() || self.program == "Apple_Terminal" {
            return Err("this terminal has no clipboard access");
        }
        if text.len().div_ceil(3) * 4 > MAX_OSC52_BYTES {
            return Err("too long for the terminal");
        }
        let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
        Ok(if self.tmux {
            // The first is for a tmux that keeps a clipboard, the second for one that passes things through.
            format!("{plain}\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")).into_bytes()
        } else if self.screen {
            let pieces = plain.as_bytes().chunks(SCREEN_CHUNK_BYTES);
            pieces.flat_map(|piece| [b"\x1bP".as_slice(), piece, b"\x1b\\"].concat()).collect()
        } else {
            plain.into_bytes()
        })
    }

    /// Returns the tools to try in turn.
    pub fn tools(&self) -> Vec<ClipboardTool> {
        let all: [(bool, ClipboardTool); 6] = [
            (self.tmux, &["tmux", "load-buffer", "-w", "-"]),
            (self.mac && !self.ssh, &["pbcopy"]),
            (self.wayland && !self.ssh, &["wl-copy"]),
            (self.x11 && !self.ssh, &["xclip", "-selection", "clipboard", "-in"]),
            (self.x11 && !self.ssh, &["xsel", "--clipboard", "--input"]),
            (self.wsl, &["clip.exe"]),
        ];
        all.into_iter().filter(|(here, _)| *here).map(|(_, tool)| tool).collect()
    }
}

/// Returns the name of the terminal that sets a variable of its own, which multiplexers leave as it is.
fn outer_terminal(text: &dyn Fn(&str) -> String) -> String {
    const OWN_VARIABLES: [(&str, &str); 6] = [
        ("KITTY_WINDOW_ID", "kitty"),
        ("WEZTERM_PANE", "WezTerm"),
        ("GHOSTTY_RESOURCES_DIR", "ghostty"),
        ("WT_SESSION", "Windows Terminal"),
        ("ConEmuPID", "ConEmu"),
        ("XTERM_VERSION", "xterm"),
    ];
    let named = text("LC_TERMINAL");
    if !named.is_empty() {
        return named;
    }
    let own = OWN_VARIABLES.iter().find(|(variable, _)| !text(variable).is_empty());
    own.map_or(String::new(), |(_, name)| (*name).to_owned())
}

/// A program and its arguments; it takes the text on its standard input.
pub type ClipboardTool = &'static [&'static str];

/// Gives the text to the first tool that takes it; returns the tool's name.
pub async fn copy_with_tool(tools: &[ClipboardTool], text: &str) -> Option<&'static str> {
    for tool in tools {
        let Some((name, arguments)) = tool.split_first() else { continue };
        let given = tokio::time::timeout(TOOL_TIMEOUT, run_tool(name, arguments, text)).await;
        if given.is_ok_and(|given| given.unwrap_or(false)) {
            return Some(name);
        }
    }
    None
}

async fn run_tool(name: &str, arguments: &[&str], text: &str) -> std::io::Result<bool> {
    let mut command = Command::new(name);
    without_keys(command.as_std_mut());
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // It may have to stay to serve the text; keys and signals of ours are none of its business.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        if name == "clip.exe" {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            stdin.write_all(&wide).await?;
        } else {
            stdin.write_all(text.as_bytes()).await?;
        }
    }
    Ok(child.wait().await?.success())
}

/// Writes the text where only this person can read it; returns where.
pub fn write_to_file(folder: &Path, text: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("copied.txt");
    // Made anew, so that nobody's older file or link decides who may read it.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private::open_options().write(true).create_new(true).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

/// Says how much a text is: `3 lines, 120 bytes`.
pub fn describe_size(text: &str) -> String {
    let lines = text.lines().count();
    let size = whole_size(text.len() as u64);
    if lines == 1 { format!("1 line, {size}") } else { format!("{lines} lines, {size}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> TerminalEnv {
        TerminalEnv { term: "xterm".into(), ..TerminalEnv::default() }
    }

    #[test]
    fn the_terminal_gets_the_text_in_base64() {
        assert_eq!(plain().osc52_sequence("hi\n").unwrap(), b"\x1b]52;c;aGkK\x07");
    }

    #[test]
    fn tmux_gets_it_twice_and_screen_in_pieces() {
        let tmux = TerminalEnv { tmux: true, ..plain() };
        assert_eq!(tmux.osc52_sequence("hi\n").unwrap(), b"\x1b]52;c;aGkK\x07\x1bPtmux;\x1b\x1b]52;c;aGkK\x07\x1b\\");
        let screen = TerminalEnv { screen: true, ..plain() };
        let sent = String::from_utf8(screen.osc52_sequence(&"x".repeat(300)).unwrap()).unwrap();
        let pieces: Vec<&str> = sent.split_terminator("\x1b\\").map(|piece| &piece[2..]).collect();
        assert!(pieces.len() == 2 && pieces.iter().all(|piece| piece.len() <= SCREEN_CHUNK_BYTES));
        assert_eq!(pieces.concat().into_bytes(), plain().osc52_sequence(&"x".repeat(300)).unwrap());
    }

    #[test]
    fn what_a_terminal_would_drop_is_not_sent() {
        assert!(plain().osc52_sequence(&"x".repeat(75_000)).is_ok());
        assert!(plain().osc52_sequence(&"x".repeat(75_001)).is_err());
        assert!(TerminalEnv { term: "linux".into(), ..TerminalEnv::default() }.osc52_sequence("x").is_err());
        assert!(TerminalEnv { program: "Apple_Terminal".into(), ..plain() }.osc52_sequence("x").is_err());
    }

    #[test]
    fn a_tool_of_this_machine_is_no_use_to_who_sits_at_another() {
        let names = |around: TerminalEnv| around.tools().iter().map(|tool| tool[0]).collect::<Vec<_>>();
        let desktop = TerminalEnv { wayland: true, x11: true, ..plain() };
        assert_eq!(names(desktop.clone()), ["wl-copy", "xclip", "xsel"]);
        assert_eq!(names(TerminalEnv { ssh: true, tmux: true, ..desktop }), ["tmux"]);
        assert_eq!(names(plain()), [""; 0]);
    }

    #[tokio::test]
    async fn the_first_tool_that_takes_it_is_named() {
        let tools: [ClipboardTool; 3] = [&["no-such-tool-here"], &["false"], &["cat"]];
        assert_eq!(copy_with_tool(&tools, "text").await, Some("cat"));
        assert_eq!(copy_with_tool(&tools[..2], "text").await, None);
    }

    #[test]
    fn the_file_is_for_this_person_only_and_made_anew() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        for text in ["first, which is longer", "second"] {
            let path = write_to_file(&folder, text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn amounts_read_well() {
        assert_eq!(describe_size("x"), "1 line, 1 byte");
        assert_eq!(describe_size("a\nb\n"), "2 lines, 4 bytes");
        assert_eq!(describe_size(&"x\n".repeat(20_000)), "20000 lines, 40 kB");
    }
}
