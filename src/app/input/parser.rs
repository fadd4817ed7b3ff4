//! PURE. Bytes become events: sequences that come in pieces, pastes in brackets, and pastes whose end never comes.
//!
//! ```text
//!        ESC [ 200 ~          ESC [ 201 ~
//!  Keys ─────────────► Paste ─────────────► Keys
//!                        │ nothing comes for a while, or Esc or Ctrl+C on their own
//!                        ▼
//!                      Broken: what came was given out; the keys are keys again. A flood is the rest of the paste,
//!                        │     and so is a line end within text; never is it a key.
//!                        └── the end after all, or enough time ──► Keys
//! ```
//!
//! Invariant: no text of a paste is lost, and none of it acts as a key, whatever the line does to it.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use memchr::memmem;

use super::decode::{Step, decode};

const ESC: u8 = 0x1b;
const END: &[u8] = b"\x1b[201~";
/// An escape that begins a sequence is followed by its rest within this time; else the key was pressed.
const ESCAPE: Duration = Duration::from_millis(20);
/// So is the beginning of any other sequence.
const SEQUENCE: Duration = Duration::from_millis(100);
/// A paste that says nothing for so long has lost its end, or a slow line makes a pause.
const PAUSE: Duration = Duration::from_millis(1500);
/// A key on its own within a paste: nothing follows it for so long.
const ALONE: Duration = Duration::from_millis(100);
/// Who wanted out of a paste presses more than once; what was kept must not go with the second press or the third.
const OUT: Duration = Duration::from_secs(5);
const OUTS: u8 = 2;
/// A line end so soon after a paste broke off is its own: it breaks the line, and sends nothing.
const LINE_END: Duration = Duration::from_secs(3);
/// After so long the rest of a broken paste won't come.
const REST: Duration = Duration::from_secs(10);
/// So many bytes at once are no typing.
const FLOOD: usize = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Keys,
    Paste {
        /// What came last was a key on its own that asks to get out; it begins there.
        out_at: Option<usize>,
    },
    Broken {
        since: Instant,
        /// Keys that wanted out of the paste and were taken for that.
        outs: u8,
    },
}

/// Makes events of bytes.
#[derive(Debug, Default)]
pub(super) struct Parser {
    state: State,
    /// What is not understood yet; in a paste, its text so far.
    buffer: Vec<u8>,
    /// When what waits has waited long enough.
    due: Option<Instant>,
    /// A paste broke off, and nobody was told yet.
    broke: bool,
}

impl Parser {
    /// Takes bytes that came in one go.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) {
        if bytes.is_empty() {
            return;
        }
        if let State::Broken { since, .. } = self.state
            && now.saturating_duration_since(since) >= REST
        {
            self.state = State::Keys;
            // Of what is not being waited for nothing more comes.
            if self.due.is_none() {
                self.buffer.clear();
            }
        }
        match self.state {
            State::Keys => {
                // Only these go on after an escape that came alone; anything else is another key.
                if self.buffer == [ESC] && !matches!(bytes.first(), Some(b'[' | b'O')) {
                    self.buffer.clear();
                    out.push(press(KeyCode::Esc));
                }
                self.buffer.extend_from_slice(bytes);
                self.keys(now, out);
            }
            State::Paste { .. } => self.paste(bytes, now, out),
            State::Broken { .. } => self.rest(bytes, now, out),
        }
    }

    /// Returns whether a paste broke off since the last call.
    pub(super) fn take_broke(&mut self) -> bool {
        std::mem::take(&mut self.broke)
    }

    /// Returns when [`Parser::lapse`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Nothing has come until now: what waited for more is taken as it is.
    pub(super) fn lapse(&mut self, now: Instant, out: &mut Vec<Event>) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        let waited = std::mem::take(&mut self.buffer);
        match self.state {
            State::Keys => out.extend(alone(&waited)),
            State::Paste { out_at } => {
                self.state = State::Broken { since: now, outs: 0 };
                self.broke = true;
                if let Some(at) = out_at {
                    give(&waited[..at], out);
                } else {
                    let cut = waited.len() - unfinished(&waited);
                    give(&waited[..cut], out);
                    self.buffer = waited[cut..].to_vec();
                }
            }
            State::Broken { .. } => self.broken_keys(&waited, now, out),
        }
    }

    /// Takes the keys in the buffer.
    fn keys(&mut self, now: Instant, out: &mut Vec<Event>) {
        self.due = None;
        let buffer = std::mem::take(&mut self.buffer);
        self.take_keys(buffer, now, out);
    }

    /// Takes keys, and the pastes that they open. The beginning of a sequence at the end waits for its rest, unless a
    /// paste broke off: then it is what it is.
    fn take_keys(&mut self, mut bytes: Vec<u8>, now: Instant, out: &mut Vec<Event>) {
        let mut at = 0;
        while at < bytes.len() {
            match decode(&bytes[at..]) {
                Step::Event(length, event) => {
                    out.push(event);
                    at += length;
                }
                Step::Skip(length) => at += length,
                Step::Paste(length) => {
                    let Some(after) = self.paste_end(&bytes[at + length..], now, out) else { return };
                    (bytes, at) = (after, 0);
                }
                Step::More if matches!(self.state, State::Broken { .. }) => return out.extend(alone(&bytes[at..])),
                Step::More => {
                    self.buffer = bytes.split_off(at);
                    self.due = Some(now + if self.buffer == [ESC] { ESCAPE } else { SEQUENCE });
                    return;
                }
            }
        }
    }

    /// Takes more of a paste, and the keys behind it.
    fn paste(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) {
        if let Some(after) = self.paste_end(bytes, now, out) {
            self.buffer = after;
            self.keys(now, out);
        }
    }

    /// Takes more of a paste. Returns what is behind its end, or nothing if the end is still to come.
    fn paste_end(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) -> Option<Vec<u8>> {
        let before = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        let from = before.saturating_sub(END.len() - 1);
        if let Some(at) = memmem::find(&self.buffer[from..], END) {
            let after = self.buffer.split_off(from + at);
            give(&std::mem::take(&mut self.buffer), out);
            self.state = State::Keys;
            self.due = None;
            return Some(after[END.len()..].to_vec());
        }
        let out_at = is_way_out(bytes).then_some(before);
        self.state = State::Paste { out_at };
        self.due = Some(now + if out_at.is_some() { ALONE } else { PAUSE });
        None
    }

    /// Takes what comes after a paste whose end did not: its rest, or keys.
    fn rest(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) {
        let mut all = std::mem::take(&mut self.buffer);
        let held = all.len();
        all.extend_from_slice(bytes);
        let ends_in = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let is_text = all.len() >= FLOOD || (all.len() > 1 && all.iter().any(ends_in) && decode(&all) != Step::More);
        if memmem::find(&all, END).is_some() || (is_text && !is_keys(&all)) {
            return self.paste(&all, now, out);
        }
        // What may be the beginning of the end, or of more text.
        if END.starts_with(&all) || (held == 0 && matches!(all[..], [b'\r' | b'\n'])) {
            self.due = Some(now + SEQUENCE);
            self.buffer = all;
            return;
        }
        self.due = None;
        let keys = if held > 0 && all.starts_with(&[ESC]) && !is_keys(&all) { &all[held..] } else { &all[..] };
        self.broken_keys(keys, now, out);
    }

    /// Takes keys after a broken paste: they are what they are, but for those that only wanted out of it.
    fn broken_keys(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) {
        let State::Broken { since, outs } = self.state else { return };
        let age = now.saturating_duration_since(since);
        if is_way_out(bytes) && age < OUT && outs < OUTS {
            self.state = State::Broken { since, outs: outs + 1 };
            return;
        }
        if matches!(bytes, [b'\r' | b'\n']) && age < LINE_END {
            return give(b"\n", out);
        }
        self.take_keys(bytes.to_vec(), now, out);
    }
}

fn press(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// Gives out a paste; bytes that are no text are marked as such.
fn give(text: &[u8], out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Paste(String::from_utf8_lossy(text).into_owned()));
    }
}

/// Returns what the beginning of a sequence is when nothing follows: a key with Alt, or rubbish.
fn alone(bytes: &[u8]) -> Option<Event> {
    match bytes {
        [ESC] => Some(press(KeyCode::Esc)),
        [ESC, c @ (b'[' | b'O')] => {
            let modifiers = if *c == b'O' { KeyModifiers::ALT | KeyModifiers::SHIFT } else { KeyModifiers::ALT };
            Some(Event::Key(KeyEvent::new(KeyCode::Char(char::from(*c)), modifiers)))
        }
        _ => None,
    }
}

/// Tells whether these bytes are one press of Esc or Ctrl+C and nothing else.
fn is_way_out(bytes: &[u8]) -> bool {
    if bytes == [ESC] {
        return true;
    }
    let Step::Event(length, Event::Key(key)) = decode(bytes) else { return false };
    let is_out = match key.code {
        KeyCode::Esc => true,
        KeyCode::Char(c) => c.eq_ignore_ascii_case(&'c') && key.modifiers == KeyModifiers::CONTROL,
        _ => false,
    };
    length == bytes.len() && is_out
}

/// Tells whether these bytes are keys and clicks that are no text, however many.
fn is_keys(mut bytes: &[u8]) -> bool {
    while bytes.first() == Some(&ESC) {
        match decode(bytes) {
            Step::Event(length, _) | Step::Skip(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Step::More | Step::Paste(_) => return false,
        }
    }
    bytes.is_empty()
}

/// Returns how many bytes at the end belong to something whose rest has not come: the end of the paste, a character.
fn unfinished(bytes: &[u8]) -> usize {
    let end = (1..END.len()).rev().find(|length| bytes.ends_with(&END[..*length]));
    let character = || {
        let tail = &bytes[bytes.len().saturating_sub(3)..];
        (0..tail.len()).find_map(|at| match std::str::from_utf8(&tail[at..]) {
            Err(error) if error.error_len().is_none() && error.valid_up_to() == 0 => Some(tail.len() - at),
            _ => None,
        })
    };
    end.or_else(character).unwrap_or(0)
}

#[cfg(test)]
mod tests;
