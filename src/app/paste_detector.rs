//! PURE. A paste without brackets: keys that come faster than anyone types, with line ends among them.
//!
//! Terminals without bracketed paste, and programs that send keys, deliver a paste as a flood of keys. What is read in
//! one go, is long enough and goes on after a line end is a paste, and so are the keys that follow it closely.
//!
//! ```text
//! "one⏎two⏎"    a line end inside: a paste, its last line end too
//! "one two⏎"    typed ahead, or the first part of a paste: the Enter is held until nothing follows
//! "y⏎"          too short for a paste
//! ```
//!
//! Invariant: events keep their order, and none is lost.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Fewer keys in one go are typing.
const MIN_PASTE_KEYS: usize = 8;
/// What follows a paste within this time belongs to it. Nobody presses Enter so soon.
const MAX_PASTE_GAP: Duration = Duration::from_millis(12);

/// Follows the floods.
#[derive(Debug, Default)]
pub struct PasteDetector {
    /// The last keys were a paste, which may go on until then.
    paste_until: Option<Instant>,
    /// An Enter at the end of a flood, and until when it is held.
    held_enter: Option<(Event, Instant)>,
}

impl PasteDetector {
    /// Takes what was read in one go and gives out what it means.
    pub fn feed(&mut self, events: impl IntoIterator<Item = Event>, now: Instant, out: &mut Vec<Event>) {
        let mut run = Vec::new();
        let mut events = events.into_iter().peekable();
        let mut goes_on = self.paste_until.take().is_some_and(|until| now < until);
        while let Some(event) = events.next() {
            let is_text = typed_char(&event).is_some();
            if is_text {
                run.push(event);
                if events.peek().is_some_and(|next| typed_char(next).is_some()) {
                    continue;
                }
                let ends = events.peek().is_none();
                self.push_text_keys(std::mem::take(&mut run), goes_on, ends.then_some(now), out);
            } else {
                self.on_timeout(out);
                out.push(event);
            }
            goes_on = false;
        }
    }

    /// Returns until when an Enter is held.
    pub fn deadline(&self) -> Option<Instant> {
        self.held_enter.as_ref().map(|(_, until)| *until)
    }

    /// Nothing followed: an Enter is an Enter.
    pub fn on_timeout(&mut self, out: &mut Vec<Event>) {
        out.extend(self.held_enter.take().map(|(event, _)| event));
    }

    /// Takes keys that are text; `last` is the time when they are the last ones read.
    fn push_text_keys(&mut self, mut run: Vec<Event>, goes_on: bool, last: Option<Instant>, out: &mut Vec<Event>) {
        let held = self.held_enter.take();
        let is_end = |event: &Event| typed_char(event) == Some('\n');
        let inside = run.split_last().is_some_and(|(_, before)| before.iter().any(is_end));
        if goes_on || held.is_some() || (run.len() >= MIN_PASTE_KEYS && inside) {
            let events = held.iter().map(|(event, _)| event).chain(&run);
            out.push(Event::Paste(events.filter_map(typed_char).collect()));
            self.paste_until = last.map(|now| now + MAX_PASTE_GAP);
            return;
        }
        if let Some(now) = last
            && run.len() >= MIN_PASTE_KEYS
            && run.last().is_some_and(is_end)
        {
            self.held_enter = run.pop().map(|event| (event, now + MAX_PASTE_GAP));
        }
        out.append(&mut run);
    }
}

/// Returns the character that a key types, a line end for Enter; none for what no paste is made of.
fn typed_char(event: &Event) -> Option<char> {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, .. }) = event else {
        return None;
    };
    match code {
        KeyCode::Enter if modifiers.is_empty() => Some('\n'),
        KeyCode::Tab if modifiers.is_empty() => Some('\t'),
        // A line feed is Ctrl+J to a terminal.
        KeyCode::Char('j') if *modifiers == KeyModifiers::CONTROL => Some('\n'),
        KeyCode::Char(c) if (*modifiers - KeyModifiers::SHIFT).is_empty() => Some(*c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> Event {
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn keys(text: &str) -> Vec<Event> {
        let code = |c| match c {
            '\n' => KeyCode::Enter,
            c => KeyCode::Char(c),
        };
        text.chars().map(|c| key(code(c))).collect()
    }

    /// What these reads mean, each so many milliseconds after the first, pastes in brackets.
    fn interpret(reads: &[(u64, &str)]) -> String {
        let (began, mut burst, mut out) = (Instant::now(), PasteDetector::default(), Vec::new());
        for (at, read) in reads {
            let now = began + Duration::from_millis(*at);
            if burst.deadline().is_some_and(|due| due <= now) {
                burst.on_timeout(&mut out);
            }
            burst.feed(keys(read), now, &mut out);
        }
        burst.on_timeout(&mut out);
        let name = |event: &Event| match event {
            Event::Paste(text) => format!("[{text}]"),
            event => typed_char(event).unwrap_or('?').to_string(),
        };
        out.iter().map(name).collect()
    }

    #[test]
    fn a_flood_with_a_line_end_inside_is_a_paste() {
        let cases: &[(&[(u64, &str)], &str)] = &[
            (&[(0, "one\ntwo three")], "[one\ntwo three]"),
            (&[(0, "one\ntwo three\n")], "[one\ntwo three\n]"),
            (&[(0, "hello world")], "hello world"),
            (&[(0, "hello world\n")], "hello world\n"),
            (&[(0, "y\n")], "y\n"),
            (&[(0, "a\nb\nc\n")], "a\nb\nc\n"),
            (&[(0, "hello"), (1, " "), (2, "world"), (3, "\n")], "hello world\n"),
        ];
        for (reads, expected) in cases {
            assert_eq!(interpret(reads), *expected);
        }
    }

    #[test]
    fn what_follows_closely_belongs_to_it() {
        assert_eq!(interpret(&[(0, "one\ntwo three"), (5, "\n"), (10, "four\n")]), "[one\ntwo three][\n][four\n]");
        assert_eq!(interpret(&[(0, "one\ntwo three"), (50, "\n")]), "[one\ntwo three]\n");
        assert_eq!(interpret(&[(0, "a first line\n"), (5, "b\n")]), "a first line[\nb\n]");
        assert_eq!(interpret(&[(0, "a first line\n"), (50, "b\n")]), "a first line\nb\n");
    }

    #[test]
    fn other_events_end_a_flood_and_keep_their_place() {
        let mut out = Vec::new();
        let mut burst = PasteDetector::default();
        let mut events = keys("a long prompt\n");
        events.push(key(KeyCode::Esc));
        events.extend(keys("x\ny"));
        burst.feed(events.clone(), Instant::now(), &mut out);
        burst.on_timeout(&mut out);
        assert_eq!(out, events);
    }
}
