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

use super::decode::{DecodeStep, decode};

const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";
/// An escape that begins a sequence is followed by its rest within this time; else the key was pressed.
const ESCAPE_TIMEOUT: Duration = Duration::from_millis(20);
/// So is the beginning of any other sequence.
const SEQUENCE_TIMEOUT: Duration = Duration::from_millis(100);
/// A paste that says nothing for so long has lost its end, or a slow line makes a pause.
const PASTE_TIMEOUT: Duration = Duration::from_millis(1500);
/// A key on its own within a paste: nothing follows it for so long.
const LONE_KEY_TIMEOUT: Duration = Duration::from_millis(100);
/// Who wanted out of a paste presses more than once; what was kept must not go with the second press or the third.
const EXIT_KEYS_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_EXIT_KEYS: u8 = 2;
/// A line end so soon after a paste broke off is its own: it breaks the line, and sends nothing.
const LINE_END_TIMEOUT: Duration = Duration::from_secs(3);
/// After so long the rest of a broken paste won't come.
const PASTE_REST_TIMEOUT: Duration = Duration::from_secs(10);
/// So many bytes at once are no typing.
const MIN_FLOOD_BYTES: usize = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ParserState {
    #[default]
    Keys,
    Paste {
        /// What came last was a key on its own that asks to get out; it begins there.
        exit_key_at: Option<usize>,
    },
    Broken {
        since: Instant,
        /// Keys that wanted out of the paste and were taken for that.
        exit_keys: u8,
    },
}

/// Makes events of bytes.
#[derive(Debug, Default)]
pub(super) struct InputParser {
    state: ParserState,
    /// What is not understood yet; in a paste, its text so far.
    buffer: Vec<u8>,
    /// When what waits has waited long enough.
    deadline: Option<Instant>,
    /// A paste broke off, and nobody was told yet.
    paste_broke: bool,
}

impl InputParser {
    /// Takes bytes that came in one go.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) {
        if bytes.is_empty() {
            return;
        }
        if let ParserState::Broken { since, .. } = self.state
            && now.saturating_duration_since(since) >= PASTE_REST_TIMEOUT
        {
            self.state = ParserState::Keys;
            // Of what is not being waited for nothing more comes.
            if self.deadline.is_none() {
                self.buffer.clear();
            }
        }
        match self.state {
            ParserState::Keys => {
                // Only these go on after an escape that came alone; anything else is another key.
                if self.buffer == [ESC] && !matches!(bytes.first(), Some(b'[' | b'O')) {
                    self.buffer.clear();
                    out.push(press(KeyCode::Esc));
                }
                self.buffer.extend_from_slice(bytes);
                self.keys(now, out);
            }
            ParserState::Paste { .. } => self.paste(bytes, now, out),
            ParserState::Broken { .. } => self.after_broken_paste(bytes, now, out),
        }
    }

    /// Returns whether a paste broke off since the last call.
    pub(super) fn take_broken_paste(&mut self) -> bool {
        std::mem::take(&mut self.paste_broke)
    }

    /// Returns when [`InputParser::on_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Nothing has come until now: what waited for more is taken as it is.
    pub(super) fn on_timeout(&mut self, now: Instant, out: &mut Vec<Event>) {
        if self.deadline.is_none_or(|due| now < due) {
            return;
        }
        self.deadline = None;
        let waited = std::mem::take(&mut self.buffer);
        match self.state {
            ParserState::Keys => out.extend(lone_key(&waited)),
            ParserState::Paste { exit_key_at: out_at } => {
                self.state = ParserState::Broken { since: now, exit_keys: 0 };
                self.paste_broke = true;
                if let Some(at) = out_at {
                    emit_paste(&waited[..at], out);
                } else {
                    let cut = waited.len() - unfinished_len(&waited);
                    emit_paste(&waited[..cut], out);
                    self.buffer = waited[cut..].to_vec();
                }
            }
            ParserState::Broken { .. } => self.broken_keys(&waited, now, out),
        }
    }

    /// Takes the keys in the buffer.
    fn keys(&mut self, now: Instant, out: &mut Vec<Event>) {
        self.deadline = None;
        let buffer = std::mem::take(&mut self.buffer);
        self.take_keys(buffer, now, out);
    }

    /// Takes keys, and the pastes that they open. The beginning of a sequence at the end waits for its rest, unless a
    /// paste broke off: then it is what it is.
    fn take_keys(&mut self, mut bytes: Vec<u8>, now: Instant, out: &mut Vec<Event>) {
        let mut at = 0;
        while at < bytes.len() {
            match decode(&bytes[at..]) {
                DecodeStep::Event(length, event) => {
                    out.push(event);
                    at += length;
                }
                DecodeStep::Skip(length) => at += length,
                DecodeStep::PasteStart(length) => {
                    let Some(after) = self.paste_end(&bytes[at + length..], now, out) else { return };
                    (bytes, at) = (after, 0);
                }
                DecodeStep::Incomplete if matches!(self.state, ParserState::Broken { .. }) => {
                    return out.extend(lone_key(&bytes[at..]));
                }
                DecodeStep::Incomplete => {
                    self.buffer = bytes.split_off(at);
                    self.deadline = Some(now + if self.buffer == [ESC] { ESCAPE_TIMEOUT } else { SEQUENCE_TIMEOUT });
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
        let from = before.saturating_sub(PASTE_END.len() - 1);
        if let Some(at) = memmem::find(&self.buffer[from..], PASTE_END) {
            let after = self.buffer.split_off(from + at);
            emit_paste(&std::mem::take(&mut self.buffer), out);
            self.state = ParserState::Keys;
            self.deadline = None;
            return Some(after[PASTE_END.len()..].to_vec());
        }
        let out_at = is_exit_key(bytes).then_some(before);
        self.state = ParserState::Paste { exit_key_at: out_at };
        self.deadline = Some(now + if out_at.is_some() { LONE_KEY_TIMEOUT } else { PASTE_TIMEOUT });
        None
    }

    /// Takes what comes after a paste whose end did not: its rest, or keys.
    fn after_broken_paste(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) {
        let mut all = std::mem::take(&mut self.buffer);
        let held = all.len();
        all.extend_from_slice(bytes);
        let ends_in = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let is_text = all.len() >= MIN_FLOOD_BYTES
            || (all.len() > 1 && all.iter().any(ends_in) && decode(&all) != DecodeStep::Incomplete);
        if memmem::find(&all, PASTE_END).is_some() || (is_text && !is_keys(&all)) {
            return self.paste(&all, now, out);
        }
        // What may be the beginning of the end, or of more text.
        if PASTE_END.starts_with(&all) || (held == 0 && matches!(all[..], [b'\r' | b'\n'])) {
            self.deadline = Some(now + SEQUENCE_TIMEOUT);
            self.buffer = all;
            return;
        }
        self.deadline = None;
        let keys = if held > 0 && all.starts_with(&[ESC]) && !is_keys(&all) { &all[held..] } else { &all[..] };
        self.broken_keys(keys, now, out);
    }

    /// Takes keys after a broken paste: they are what they are, but for those that only wanted out of it.
    fn broken_keys(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<Event>) {
        let ParserState::Broken { since, exit_keys: outs } = self.state else { return };
        let age = now.saturating_duration_since(since);
        if is_exit_key(bytes) && age < EXIT_KEYS_TIMEOUT && outs < MAX_EXIT_KEYS {
            self.state = ParserState::Broken { since, exit_keys: outs + 1 };
            return;
        }
        if matches!(bytes, [b'\r' | b'\n']) && age < LINE_END_TIMEOUT {
            return emit_paste(b"\n", out);
        }
        self.take_keys(bytes.to_vec(), now, out);
    }
}

fn press(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// Gives out a paste; bytes that are no text are marked as such.
fn emit_paste(text: &[u8], out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Paste(String::from_utf8_lossy(text).into_owned()));
    }
}

/// Returns what the beginning of a sequence is when nothing follows: a key with Alt, or rubbish.
fn lone_key(bytes: &[u8]) -> Option<Event> {
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
fn is_exit_key(bytes: &[u8]) -> bool {
    if bytes == [ESC] {
        return true;
    }
    let DecodeStep::Event(length, Event::Key(key)) = decode(bytes) else { return false };
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
            DecodeStep::Event(length, _) | DecodeStep::Skip(length) => bytes = bytes.get(length..).unwrap_or_default(),
            DecodeStep::Incomplete | DecodeStep::PasteStart(_) => return false,
        }
    }
    bytes.is_empty()
}

/// Returns how many bytes at the end belong to something whose rest has not come: the end of the paste, a character.
fn unfinished_len(bytes: &[u8]) -> usize {
    let end = (1..PASTE_END.len()).rev().find(|length| bytes.ends_with(&PASTE_END[..*length]));
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
