//! The chat on a terminal that only lines are printed to: what is new goes below what was said, and the line that is being
//! typed stands last.
//!
//! ```text
//! nothing typed     news, then the question that waits, then what stands before the line
//! a line is typed   it alone: what comes meanwhile waits for its end
//! ```
//!
//! Not here: what the lines say (`ui/linear`), and what a typed line does (`chat/line_input.rs`). Invariants: nothing is
//! printed into the line that is being typed; a line that was begun before a question stood there is no answer to it.

use std::io;
use std::os::fd::AsFd as _;

use nix::sys::termios::{LocalFlags, tcgetattr};

use super::chat::ChatController;
use super::clipboard::TerminalEnv;
use super::term::TermMode;
use crate::config::keys::{Chord, Key};
use crate::config::{ScreenChoice, UiConfig};
use crate::event::Millis;
use crate::store::Store;
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::store::overlay::approval::ApprovalDialog;
use crate::text::clean;
use crate::text::width::str_width;
use crate::ui::linear::line_wrap::LineWrap;
use crate::ui::linear::question::{about, overlay_text, question};
use crate::ui::linear::{LinearPrinter, TextFlow};

/// What stands before a line that is a prompt.
const PROMPT_LABEL: &str = "You: ";
/// Texts that may lie on top of each other.
const MAX_TEXTS_AT_ONCE: usize = 8;
/// Where it says that it is narrower, a terminal breaks lines itself.
const MIN_WRAPPED_COLUMNS: u16 = 20;
/// Up to so many cells are taken back one by one; more, and the line is written anew.
const MAX_ERASED_CELLS: usize = 20;

/// Returns what is made of the terminal.
pub(super) fn term_mode(ui: &UiConfig, env: &TerminalEnv) -> TermMode {
    // Terminals without a cursor to address, by their names in terminfo.
    let is_line_only = matches!(env.term.as_str(), "" | "dumb" | "emacs" | "unknown" | "network" | "dialup");
    match ui.screen {
        ScreenChoice::Auto | ScreenChoice::Inline | ScreenChoice::Linear if is_line_only => TermMode::Dumb,
        ScreenChoice::Linear => TermMode::Linear,
        ScreenChoice::Inline => TermMode::Inline,
        ScreenChoice::Auto | ScreenChoice::Alternate => TermMode::Full { mouse: ui.mouse },
    }
}

/// Returns whether the terminal shows what is typed; Emacs and its like do that themselves. Asked before keys are raw.
pub(super) fn terminal_echoes() -> bool {
    tcgetattr(io::stdin().as_fd()).is_ok_and(|modes| modes.local_flags.contains(LocalFlags::ECHO))
}

/// What stands on such a terminal.
pub(super) struct LinearScreen {
    printer: LinearPrinter,
    flow: TextFlow,
    echoes: bool,
    columns: u16,
    wrap: LineWrap,
    /// What was typed and stands on the last line behind its label; none while there is no such line.
    line: Option<TypedLine>,
    /// The question that was printed last.
    asked: String,
    /// When the line in the composer was begun.
    pub(super) line_begun: Option<Millis>,
    is_greeted: bool,
    /// Somebody types the line: what comes waits for its end.
    is_typing: bool,
    /// The line was sent, or taken back as a whole.
    is_committed: bool,
    /// It was a prompt of which nothing was heard yet.
    is_sent: bool,
}

struct TypedLine {
    label: &'static str,
    text: String,
}

impl LinearScreen {
    pub(super) fn new(ui: &UiConfig, echoes: bool, columns: u16) -> Self {
        let flow = if ui.screen == ScreenChoice::Linear { TextFlow::Paragraphs } else { TextFlow::AsItComes };
        Self {
            printer: LinearPrinter::new(flow),
            flow,
            echoes,
            columns,
            wrap: LineWrap::default(),
            line: None,
            asked: String::new(),
            line_begun: None,
            is_greeted: false,
            is_typing: false,
            is_committed: false,
            is_sent: false,
        }
    }

    pub(super) fn resize(&mut self, columns: u16) {
        self.columns = columns;
    }

    /// Another session will be shown: returns how far this one was printed.
    pub(super) fn take_printer(&mut self) -> LinearPrinter {
        let fresh = LinearPrinter::new(self.flow);
        std::mem::replace(&mut self.printer, fresh)
    }

    /// Another session is shown, which was printed so far.
    pub(super) fn set_printer(&mut self, printer: Option<LinearPrinter>) {
        self.printer = printer.unwrap_or_else(|| LinearPrinter::new(self.flow));
        self.asked.clear();
        (self.is_sent, self.line_begun) = (false, None);
    }

    /// What an earlier run said was read: only its end is printed.
    pub(super) fn on_backlog(&mut self, store: &Store) {
        self.printer.skip_past(store);
    }

    /// Takes note of what a key made of the line.
    pub(super) fn on_key(&mut self, key: Chord, before: &str, chat: &ChatController, clock: Millis) {
        let now = chat.ui.panes.composer.text();
        if !now.is_empty() && now != before {
            self.is_typing = true;
            self.line_begun.get_or_insert(clock);
            return;
        }
        let ends_line = key == Chord::plain(Key::Enter) || is_key(key, 'j') || is_key(key, 'c');
        if now.is_empty() || ends_line {
            self.is_typing = false;
            self.line_begun = self.line_begun.filter(|_| !now.is_empty());
        }
        if ends_line && (self.line.is_some() || !before.is_empty()) {
            self.is_committed = true;
            let is_prompt = now.is_empty() && !before.is_empty() && !before.starts_with('/') && !is_key(key, 'c');
            self.printer.on_typed(before, is_prompt && !self.is_sent && chat.store.session.phase.is_idle());
            self.is_sent |= is_prompt;
        }
    }

    /// A text came into the line that nobody typed: a draft, or a prompt that was not sent. It is older than any question.
    pub(super) fn on_restored(&mut self) {
        (self.is_typing, self.is_sent) = (false, false);
        self.line_begun = Some(Millis(0));
    }

    /// Prints what is new.
    pub(super) fn draw(&mut self, chat: &mut ChatController, out: &mut impl io::Write) -> io::Result<()> {
        let mut text = String::new();
        let typed = clean(&chat.ui.panes.composer.text()).into_owned();
        if !self.is_typing {
            if std::mem::take(&mut self.is_committed) {
                self.commit_line(&mut text);
            }
            self.add_news(chat, &mut text);
        }
        // What was printed may have asked for more.
        let typed = if self.is_typing { typed } else { clean(&chat.ui.panes.composer.text()).into_owned() };
        self.show_line(&chat.store, &typed, &mut text);
        if text.is_empty() {
            return Ok(());
        }
        out.write_all(text.replace('\n', "\r\n").as_bytes())?;
        out.flush()
    }

    /// Leaves the cursor on a line of its own.
    pub(super) fn finish(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        if self.line.take().is_some() || self.printer.is_line_open() {
            out.write_all(b"\r\n")?;
        }
        out.flush()
    }

    fn commit_line(&mut self, out: &mut String) {
        if self.echoes {
            return self.end_line(out);
        }
        // The terminal has shown the line and its end.
        self.line = None;
        self.printer.on_line_ended();
    }

    fn end_line(&mut self, out: &mut String) {
        if self.line.take().is_some() || self.printer.is_line_open() {
            out.push('\n');
            self.printer.on_line_ended();
        }
    }

    fn add_news(&mut self, chat: &mut ChatController, out: &mut String) {
        if !std::mem::replace(&mut self.is_greeted, true) {
            out.push_str(&greeting(&chat.store));
        }
        let known = out.len();
        let news = self.wrapped_news(&chat.store);
        if !news.is_empty() {
            if self.line.take().is_some() {
                out.push('\n');
            }
            out.push_str(&news);
        }
        // Texts are printed and closed; what is below them on the stack may be another.
        for _ in 0..MAX_TEXTS_AT_ONCE {
            let Some(shown) = take_text(chat) else { break };
            self.end_line(out);
            out.push_str(&shown);
            let news = self.wrapped_news(&chat.store);
            out.push_str(&news);
        }
        let asks = question(&chat.store).map(|question| question.text).unwrap_or_default();
        if asks != self.asked {
            if !asks.is_empty() {
                self.end_line(out);
                out.push_str(&asks);
            }
            self.asked = asks;
        }
        self.is_sent &= out.len() == known;
        let is_new = chat.store.focus.top_as::<ApprovalDialog>().is_some_and(|ask| ask.shown_at.is_none());
        if is_new {
            chat.update(Msg::ApprovalShown);
        }
    }

    /// Returns what is new, its lines broken between words.
    fn wrapped_news(&mut self, store: &Store) -> String {
        if !self.printer.is_line_open() {
            self.wrap.begin_line();
        }
        let news = self.printer.news(store);
        let mut out = String::with_capacity(news.len());
        self.wrap.add(&news, usize::from(self.columns.max(MIN_WRAPPED_COLUMNS)), &mut out);
        out
    }

    /// Brings the line up to date; there is none while something is being said and nothing typed.
    fn show_line(&mut self, store: &Store, typed: &str, out: &mut String) {
        let label = match question(store) {
            Some(question) => Some(question.label),
            None if store.session.capabilities().prompt => Some(PROMPT_LABEL),
            None => None,
        };
        let waits = store.focus.top().is_some()
            || !self.is_sent && store.session.phase.is_idle() && !self.printer.is_line_open();
        let Some(label) = label.filter(|_| !typed.is_empty() || waits) else {
            return;
        };
        let line = match &mut self.line {
            Some(line) if line.label == label || !typed.is_empty() => line,
            _ => {
                self.end_line(out);
                out.push_str(label);
                self.line.insert(TypedLine { label, text: String::new() })
            }
        };
        if self.echoes && line.text != typed {
            let rows_width = usize::from(self.columns.max(1));
            let gone = typed_suffix_width(&line.text, typed);
            let fits = str_width(label) + str_width(&line.text) < rows_width && !line.text.contains('\n');
            match (typed.strip_prefix(line.text.as_str()), gone) {
                (Some(added), _) => out.push_str(added),
                (None, Some(cells)) if cells <= MAX_ERASED_CELLS && fits => out.push_str(&"\u{8} \u{8}".repeat(cells)),
                _ => {
                    out.push('\n');
                    out.push_str(line.label);
                    out.push_str(typed);
                }
            }
        }
        typed.clone_into(&mut line.text);
    }
}

fn is_key(key: Chord, c: char) -> bool {
    key == Chord { ctrl: true, alt: false, shift: false, key: Key::Char(c) }
}

/// Returns the cells of what was taken from the end of a line; none where something else was changed.
fn typed_suffix_width(before: &str, now: &str) -> Option<usize> {
    before.strip_prefix(now).map(str_width)
}

fn greeting(store: &Store) -> String {
    let who = store.session.opened.as_ref().map_or(String::new(), |opened| format!(" {} answers.", opened.name()));
    format!("jarvis-tui.{} Ctrl+C interrupts, Ctrl+D leaves, /help lists the commands.\n", clean(&who))
}

/// Takes the text that lies on top, if it is one.
fn take_text(chat: &mut ChatController) -> Option<String> {
    let shown = chat.store.focus.top()?;
    let full = chat.store.focus.top_as::<ApprovalDialog>().filter(|dialog| dialog.full_scroll.is_some());
    let text = if let Some(dialog) = full {
        let ask = chat.store.tool_calls.get(&dialog.call).and_then(|call| call.approval_request())?;
        about(ask, usize::MAX)
    } else if shown.state().rows(&chat.store).is_some() || question(&chat.store).is_some() {
        return None;
    } else {
        overlay_text(&chat.store, &mut chat.ui)
    };
    chat.update(Msg::Action(Action::CloseOverlay));
    Some(text)
}
