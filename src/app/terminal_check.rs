//! What the terminal can do, for `doctor`: what it is known for, and what it answers when it is asked.
//!
//! Asked are kitty's keyboard protocol (`CSI ? u`), its graphics (`APC G`), two modes (`DECRQM`) and, last, its device
//! attributes (`DA1`), which nearly every terminal answers: what has not come by then never will. One that is mute costs
//! half a second and no more.
//!
//! Not here: the chat itself asks only for the background colour. Invariant: keys that were pressed meanwhile are lost, but
//! the terminal is given back as it was.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use crossterm::terminal;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::clipboard::TerminalEnv;
use crate::ui::theme::ColorDepth;

/// All questions together are answered within this time, also far away.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);
/// What the terminal is asked: keyboard, graphics, mouse, whole frames, and attributes, which every terminal knows.
pub const TERMINAL_QUERIES: &str = "\x1b[?u\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[?1006$p\x1b[?2026$p\x1b[c";
const MAX_REPLY_BYTES: usize = 4096;
/// Smaller windows show only a part of the chat.
const MIN_COLUMNS: u16 = 40;
const MIN_ROWS: u16 = 12;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    Ok,
    Missing,
    Unknown,
}

/// One thing that a terminal can do or can't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalCheck {
    pub name: &'static str,
    pub state: CheckState,
    /// What that means, and what to do about it.
    pub advice: String,
}

impl TerminalCheck {
    fn new(name: &'static str, state: CheckState, advice: impl Into<String>) -> Self {
        Self { name, state, advice: advice.into() }
    }
}

/// What a terminal answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct QueryReplies {
    keyboard: bool,
    graphics: bool,
    /// Whether the mouse's extended positions are known; none if it did not say.
    mouse: Option<bool>,
    synchronized: Option<bool>,
    /// It answered the last question: what is missing is not there.
    is_complete: bool,
}

/// Looks at the terminal; none where there is none.
pub fn check_terminal() -> Option<Vec<TerminalCheck>> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return None;
    }
    let env = TerminalEnv::detect();
    let replies = if env.is_dumb() { QueryReplies::default() } else { ask().unwrap_or_default() };
    Some(checks(&env, terminal::size().ok(), replies))
}

/// Asks, and waits for the answers.
fn ask() -> io::Result<QueryReplies> {
    terminal::enable_raw_mode()?;
    let answered = exchange();
    terminal::disable_raw_mode()?;
    answered.map(|bytes| parse(&bytes))
}

fn exchange() -> io::Result<Vec<u8>> {
    let mut out = io::stdout();
    out.write_all(TERMINAL_QUERIES.as_bytes())?;
    out.flush()?;
    let stdin = io::stdin();
    let until = Instant::now() + REPLY_TIMEOUT;
    let (mut replies, mut bytes) = (Vec::new(), [0; 256]);
    while !parse(&replies).is_complete && replies.len() < MAX_REPLY_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        let mut watched = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut watched, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO))?;
        if ready == 0 {
            break;
        }
        match read(stdin.as_fd(), &mut bytes)? {
            0 => break,
            count => replies.extend_from_slice(&bytes[..count]),
        }
    }
    Ok(replies)
}

fn parse(bytes: &[u8]) -> QueryReplies {
    let text = String::from_utf8_lossy(bytes);
    let mode = |number: &str| {
        let (_, after) = text.split_once(&format!("\x1b[?{number};"))?;
        let (state, _) = after.split_once("$y")?;
        Some(matches!(state, "1" | "2" | "3"))
    };
    let csi = |end: char| {
        text.split("\x1b[?").skip(1).any(|part| {
            let known = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
            known.starts_with(end) && part.len() > known.len()
        })
    };
    QueryReplies {
        keyboard: csi('u'),
        graphics: text.split("\x1b_Gi=31;").nth(1).is_some_and(|part| part.starts_with("OK")),
        mouse: mode("1006"),
        synchronized: mode("2026"),
        is_complete: csi('c'),
    }
}

fn checks(env: &TerminalEnv, size: Option<(u16, u16)>, replies: QueryReplies) -> Vec<TerminalCheck> {
    vec![
        size_check(size),
        color_check(env),
        key_check(env, replies),
        clipboard_check(env),
        mouse_check(env, replies),
        link_check(env),
        graphics_check(env, replies),
        frame_check(env, replies),
    ]
}

fn size_check(size: Option<(u16, u16)>) -> TerminalCheck {
    match size {
        None | Some((0, _) | (_, 0)) => {
            TerminalCheck::new("size", CheckState::Unknown, "not told; set it with: stty cols 80 rows 24")
        }
        Some((columns, rows)) if columns < MIN_COLUMNS || rows < MIN_ROWS => {
            let text = format!(
                "{columns} columns, {rows} rows: the chat shows more from {MIN_COLUMNS} by {MIN_ROWS} on; enlarge the window"
            );
            TerminalCheck::new("size", CheckState::Missing, text)
        }
        Some((columns, rows)) => TerminalCheck::new("size", CheckState::Ok, format!("{columns} columns, {rows} rows")),
    }
}

fn color_check(env: &TerminalEnv) -> TerminalCheck {
    let (state, text) = match env.color_depth() {
        _ if env.term == "dumb" => (CheckState::Missing, "none: TERM is dumb, so the chat prints lines"),
        ColorDepth::TrueColor => (CheckState::Ok, "16 million, as COLORTERM says"),
        ColorDepth::Indexed => (CheckState::Ok, "256; COLORTERM=truecolor where the terminal has more"),
        ColorDepth::Sixteen => (
            CheckState::Unknown,
            "16 are used; set TERM=xterm-256color or COLORTERM=truecolor where the terminal has more",
        ),
    };
    TerminalCheck::new("colors", state, text)
}

fn key_check(env: &TerminalEnv, replies: QueryReplies) -> TerminalCheck {
    if replies.keyboard {
        return TerminalCheck::new("keys", CheckState::Ok, "kitty's protocol: Shift+Enter begins a new line");
    }
    let newline = "Ctrl+J, Alt+Enter or a backslash before Enter begin a new line";
    match (replies.is_complete, env.tmux || env.screen) {
        (true, true) => TerminalCheck::new(
            "keys",
            CheckState::Missing,
            format!("the multiplexer doesn't pass Shift+Enter on: {newline}"),
        ),
        (true, false) => {
            let text = format!("Shift+Enter can't be told from Enter here: {newline}");
            TerminalCheck::new("keys", CheckState::Missing, text)
        }
        (false, _) => {
            TerminalCheck::new("keys", CheckState::Unknown, format!("the terminal did not answer: {newline}"))
        }
    }
}

fn clipboard_check(env: &TerminalEnv) -> TerminalCheck {
    let tool = env.tools().first().and_then(|tool| tool.first().copied());
    let sequence = env.osc52_sequence("x");
    match (tool, sequence) {
        _ if env.tmux => TerminalCheck::new(
            "clipboard",
            CheckState::Ok,
            "tmux load-buffer -w; `set -g set-clipboard on` in tmux lets it reach the terminal",
        ),
        (Some(tool), _) => {
            TerminalCheck::new("clipboard", CheckState::Ok, format!("{tool}, and the terminal (OSC 52)"))
        }
        (None, Err(why)) => TerminalCheck::new("clipboard", CheckState::Missing, format!("{why}: copies go to a file")),
        (None, Ok(_)) => TerminalCheck::new(
            "clipboard",
            CheckState::Unknown,
            "by the terminal (OSC 52), which doesn't say whether it takes it: copy something, and allow it in its settings",
        ),
    }
}

fn mouse_check(env: &TerminalEnv, replies: QueryReplies) -> TerminalCheck {
    match replies.mouse {
        Some(true) => TerminalCheck::new("mouse", CheckState::Ok, "Shift selects with the terminal itself"),
        Some(false) => {
            TerminalCheck::new("mouse", CheckState::Missing, "not told to programs: every key works without it")
        }
        None if env.is_dumb() => TerminalCheck::new("mouse", CheckState::Missing, "none: every key works without it"),
        None => {
            TerminalCheck::new("mouse", CheckState::Unknown, "not said; if clicks write letters, start with --no-mouse")
        }
    }
}

fn link_check(env: &TerminalEnv) -> TerminalCheck {
    const KNOWN_NAMES: [&str; 10] =
        ["kitty", "ghostty", "WezTerm", "iTerm", "foot", "alacritty", "vscode", "Windows Terminal", "contour", "rio"];
    let is_known = |name: &&str| [&env.term, &env.program, &env.outer].iter().any(|known| known.contains(*name));
    if env.is_dumb() {
        TerminalCheck::new("links", CheckState::Missing, "Alt+L shows where they go; /links lists them")
    } else if KNOWN_NAMES.iter().any(is_known) && !env.screen {
        TerminalCheck::new("links", CheckState::Ok, "OSC 8: a click with Ctrl (or Cmd) opens them")
    } else {
        TerminalCheck::new(
            "links",
            CheckState::Unknown,
            "if a click opens none, /links lists them and Alt+L shows where they go",
        )
    }
}

fn graphics_check(env: &TerminalEnv, replies: QueryReplies) -> TerminalCheck {
    let has_feature = cfg!(feature = "images");
    match (has_feature, replies.graphics, replies.is_complete) {
        (false, ..) => TerminalCheck::new(
            "graphics",
            CheckState::Missing,
            "this build names images and draws none: build it with the feature `images`",
        ),
        (true, true, _) => TerminalCheck::new("graphics", CheckState::Ok, "kitty's protocol"),
        (true, false, _) if env.color_depth() == ColorDepth::TrueColor => {
            TerminalCheck::new("graphics", CheckState::Ok, "half blocks, in true color")
        }
        (true, false, true) => TerminalCheck::new(
            "graphics",
            CheckState::Missing,
            "images are named; COLORTERM=truecolor draws them with half blocks where the terminal has these colors",
        ),
        (true, false, false) => TerminalCheck::new(
            "graphics",
            CheckState::Unknown,
            "the terminal did not answer; `images = \"blocks\"` or \"kitty\" under [ui] forces a way",
        ),
    }
}

fn frame_check(env: &TerminalEnv, replies: QueryReplies) -> TerminalCheck {
    let (state, text) = match replies.synchronized {
        Some(true) => (CheckState::Ok, "synchronized: none is ever seen half drawn"),
        _ if env.is_dumb() => (CheckState::Missing, "the chat prints lines where TERM is dumb"),
        Some(false) => {
            (CheckState::Missing, "not synchronized; a newer terminal flickers less, and so does a smaller ui.max_fps")
        }
        None => (CheckState::Unknown, "not said; if the screen flickers, lower ui.max_fps"),
    };
    TerminalCheck::new("frames", state, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(checks: &[TerminalCheck], name: &str) -> CheckState {
        checks.iter().find(|check| check.name == name).unwrap().state
    }

    #[test]
    fn answers_are_read_and_what_was_typed_meanwhile_is_no_answer() {
        let all = b"ab\x1b[?1u\x1b_Gi=31;OK\x1b\\\x1b[?1006;2$y\x1b[?2026;0$y\x1b[?62;4c";
        let expected = QueryReplies {
            keyboard: true,
            graphics: true,
            mouse: Some(true),
            synchronized: Some(false),
            is_complete: true,
        };
        assert_eq!(parse(all), expected);
        assert_eq!(parse(b"u c \x1b[A\x1b[?u"), QueryReplies::default());
        assert!(!parse(b"\x1b[?1006;2$y\x1b[?62").is_complete);
        assert!(!parse(b"\x1b_Gi=31;EINVAL:no\x1b\\").graphics);
    }

    #[test]
    fn a_mute_terminal_is_unknown_and_one_that_answers_is_not() {
        let env = TerminalEnv { term: "xterm-256color".into(), ..TerminalEnv::default() };
        let mute = checks(&env, Some((80, 24)), QueryReplies::default());
        for name in ["keys", "mouse", "frames", "links", "clipboard"] {
            assert_eq!(state(&mute, name), CheckState::Unknown, "{name}");
        }
        assert_eq!((state(&mute, "size"), state(&mute, "colors")), (CheckState::Ok, CheckState::Ok));
        let plain = QueryReplies {
            mouse: Some(false),
            synchronized: Some(false),
            is_complete: true,
            ..QueryReplies::default()
        };
        let told = checks(&env, Some((30, 24)), plain);
        for name in ["size", "keys", "mouse", "frames"] {
            assert_eq!(state(&told, name), CheckState::Missing, "{name}");
        }
        assert!(told.iter().all(|check| !check.advice.is_empty()));
    }

    #[test]
    fn a_dumb_terminal_has_none_of_it() {
        let env = TerminalEnv { term: "dumb".into(), ..TerminalEnv::default() };
        let dumb = checks(&env, None, QueryReplies::default());
        assert_eq!(state(&dumb, "size"), CheckState::Unknown);
        for name in ["colors", "clipboard", "mouse", "links", "frames"] {
            assert_eq!(state(&dumb, name), CheckState::Missing, "{name}");
        }
    }
}
