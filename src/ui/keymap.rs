//! Terminal events become our own: the only file of the face that knows crossterm.
//!
//! Not here: what a chord means (`config/keys.rs`). Invariant: a reply of the terminal never ends up as typed text.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

use crate::config::keys::{Chord, Key};
use crate::store::Store;
use crate::store::action::Context;
use crate::store::overlay::{Overlay, OverlayExtent};
use crate::store::pane::Pane;

/// What a terminal can tell us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Key(Chord),
    Paste(String),
    /// Columns and rows.
    Resize(u16, u16),
    Focus(bool),
    /// Rows up (negative) or down, at a column and row.
    Wheel {
        rows: i32,
        column: u16,
        row: u16,
    },
    /// The left button went down.
    Click {
        column: u16,
        row: u16,
    },
    /// The pointer moved with it.
    Drag {
        column: u16,
        row: u16,
    },
    /// It went up.
    Release {
        column: u16,
        row: u16,
    },
    /// The terminal's answer about its background.
    Background(Shade),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    Dark,
    Light,
}

/// Rows per notch of the wheel.
const WHEEL_ROWS: i32 = 3;

/// Translates one event; what means nothing to us, such as the release of a key, is none.
pub fn translate(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) => chord(key).map(Input::Key),
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(columns, rows) => Some(Input::Resize(columns, rows)),
        Event::FocusGained => Some(Input::Focus(true)),
        Event::FocusLost => Some(Input::Focus(false)),
        Event::Mouse(mouse) => {
            let (column, row) = (mouse.column, mouse.row);
            match mouse.kind {
                MouseEventKind::ScrollUp => Some(Input::Wheel { rows: -WHEEL_ROWS, column, row }),
                MouseEventKind::ScrollDown => Some(Input::Wheel { rows: WHEEL_ROWS, column, row }),
                MouseEventKind::Down(MouseButton::Left) => Some(Input::Click { column, row }),
                MouseEventKind::Drag(MouseButton::Left) => Some(Input::Drag { column, row }),
                MouseEventKind::Up(MouseButton::Left) => Some(Input::Release { column, row }),
                _ => None,
            }
        }
    }
}

/// Returns where a key is looked up, innermost first.
pub fn contexts(store: &Store, composer_empty: bool) -> Vec<Context> {
    // Who writes a command there needs the letters.
    let replays = store.session.capabilities().seek && composer_empty;
    let pane = store.focus.pane;
    let mut contexts = Vec::new();
    if let Some(overlay) = store.focus.top().map(Overlay::state) {
        contexts.extend(overlay.key_contexts());
        // Beside it the pane stays in use, but letters that are typed into the composer are none of its keys.
        if overlay.extent() == OverlayExtent::Docked && !overlay.is_typing() && pane != Pane::Composer {
            contexts.push(Context::Pane(pane));
        }
    } else {
        if pane == Pane::Composer && composer_empty && !replays {
            contexts.push(Context::EmptyComposer);
        }
        if pane != Pane::Composer || !replays {
            contexts.push(Context::Pane(pane));
        }
        if replays {
            contexts.push(Context::Replay);
        }
    }
    contexts.push(Context::Global);
    contexts
}

fn chord(event: KeyEvent) -> Option<Chord> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let has = |modifier| event.modifiers.contains(modifier);
    if has(KeyModifiers::SUPER) || has(KeyModifiers::HYPER) {
        return None;
    }
    let ctrl = has(KeyModifiers::CONTROL);
    let mut shift = has(KeyModifiers::SHIFT);
    let key = match event.code {
        // The byte 0x1F: Ctrl+_ and, on many keyboards, Ctrl+/.
        KeyCode::Char('7') if ctrl => Key::Char('_'),
        // Caps Lock makes no other command.
        KeyCode::Char(c) if ctrl => Key::Char(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => {
            shift = true;
            Key::Tab
        }
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Insert => Key::Insert,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::F(number) => Key::F(number),
        _ => return None,
    };
    Some(Chord::new(key, ctrl, has(KeyModifiers::ALT) || has(KeyModifiers::META), shift))
}

/// Asks for the background colour; the answer comes as keys and is picked out by [`TerminalReplies`].
pub const BACKGROUND_QUERY: &str = "\x1b]11;?\x1b\\";

/// Picks the terminal's answer about its background out of the keys, as which crossterm delivers it:
/// `ESC ] 11 ; rgb : hhhh / hhhh / hhhh` and then BEL or `ESC \`.
///
/// ```text
/// off ──expect──► waiting ──Alt+]──► head ──"11;rgb:"──► colour ──BEL, Alt+\──► off, Background
///  ▲                 ▲                 └──── any other key: all held keys go out ────┘
///  └───give_up───────┘
/// ```
#[derive(Debug, Default)]
pub struct TerminalReplies {
    is_expecting: bool,
    /// Keys that may turn out to be an answer.
    held: Vec<Chord>,
    /// The same as text, without the first.
    text: String,
}

/// Longest answer seen is 4 digits a colour and an alpha.
const MAX_REPLY_CHARS: usize = 40;

impl TerminalReplies {
    /// A question was sent.
    pub fn expect(&mut self) {
        self.is_expecting = true;
    }

    pub fn is_expecting(&self) -> bool {
        self.is_expecting
    }

    /// Takes a key; what is no answer comes out again, in order.
    pub fn feed(&mut self, chord: Chord, out: &mut Vec<Input>) {
        if !self.is_expecting {
            out.push(Input::Key(chord));
            return;
        }
        if self.held.is_empty() {
            if chord == Chord::new(Key::Char(']'), false, true, false) {
                self.held.push(chord);
            } else {
                out.push(Input::Key(chord));
            }
            return;
        }
        self.held.push(chord);
        let ends = chord == Chord::new(Key::Char('g'), true, false, false)
            || chord == Chord::new(Key::Char('\\'), false, true, false);
        if ends && let Some(shade) = parse_background(&self.text) {
            *self = Self::default();
            out.push(Input::Background(shade));
            return;
        }
        match chord.typed_char() {
            Some(c) if self.text.len() < MAX_REPLY_CHARS => self.text.push(c),
            _ => return self.release(out),
        }
        let heads = ["11;rgb:", "11;rgba:"];
        let fits = heads.iter().any(|head| head.starts_with(&self.text) || self.text.starts_with(head));
        if !fits {
            self.release(out);
        }
    }

    /// No answer came in time: whatever was held back were keys.
    pub fn give_up(&mut self, out: &mut Vec<Input>) {
        self.release(out);
        self.is_expecting = false;
    }

    fn release(&mut self, out: &mut Vec<Input>) {
        self.text.clear();
        out.extend(self.held.drain(..).map(Input::Key));
    }
}

/// Reads `11;rgb:hhhh/hhhh/hhhh`; one to four digits each, and perhaps an alpha.
fn parse_background(text: &str) -> Option<Shade> {
    let colours = text.strip_prefix("11;rgb:").or_else(|| text.strip_prefix("11;rgba:"))?;
    let mut parts = colours.split('/').map(|digits| {
        let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)?.checked_sub(1)?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        (1..=4).contains(&digits.len()).then_some(f64::from(value) / f64::from(most))
    });
    let (red, green, blue) = (parts.next()??, parts.next()??, parts.next()??);
    // How bright people see it: ITU-R BT.709.
    let bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    Some(if bright > 0.5 { Shade::Light } else { Shade::Dark })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Input> {
        translate(Event::Key(KeyEvent::new(code, modifiers)))
    }

    fn is(text: &str) -> Option<Input> {
        Chord::parse(text).map(Input::Key)
    }

    fn typed(text: &str) -> Vec<Chord> {
        text.chars().map(|c| Chord::plain(Key::Char(c))).collect()
    }

    fn feed(replies: &mut TerminalReplies, chords: &[Chord]) -> Vec<Input> {
        let mut out = Vec::new();
        for chord in chords {
            replies.feed(*chord, &mut out);
        }
        out
    }

    fn answer(colour: &str, end: &str) -> Vec<Chord> {
        let mut chords = vec![Chord::parse("alt+]").unwrap()];
        chords.extend(typed(&format!("11;rgb:{colour}")));
        chords.push(Chord::parse(end).unwrap());
        chords
    }

    #[test]
    fn terminals_differ_and_chords_do_not() {
        assert_eq!(key(KeyCode::Char('G'), KeyModifiers::SHIFT), is("G"));
        assert_eq!(key(KeyCode::Char('g'), KeyModifiers::SHIFT), is("G"));
        assert_eq!(key(KeyCode::Char('?'), KeyModifiers::SHIFT), is("?"));
        assert_eq!(key(KeyCode::Char('C'), KeyModifiers::CONTROL), is("ctrl+c"));
        assert_eq!(key(KeyCode::BackTab, KeyModifiers::SHIFT), is("shift+tab"));
        assert_eq!(key(KeyCode::BackTab, KeyModifiers::NONE), is("shift+tab"));
        assert_eq!(key(KeyCode::Char('7'), KeyModifiers::CONTROL), is("ctrl+_"));
        assert_eq!(key(KeyCode::Up, KeyModifiers::ALT | KeyModifiers::SHIFT), is("alt+shift+up"));
        assert_eq!(key(KeyCode::Char('x'), KeyModifiers::SUPER), None);
        assert_eq!(key(KeyCode::CapsLock, KeyModifiers::NONE), None);
    }

    #[test]
    fn the_release_of_a_key_is_ignored() {
        let event = KeyEvent::new_with_kind(KeyCode::Enter, KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(translate(Event::Key(event)), None);
    }

    #[test]
    fn an_answer_is_swallowed_and_read() {
        for (colour, end, shade) in [
            ("ffff/ffff/ffff", "ctrl+g", Shade::Light),
            ("1e1e/1e1e/2e2e", "alt+\\", Shade::Dark),
            ("FD/F6/E3", "alt+\\", Shade::Light),
        ] {
            let mut replies = TerminalReplies::default();
            replies.expect();
            assert_eq!(feed(&mut replies, &answer(colour, end)), [Input::Background(shade)]);
            assert!(!replies.is_expecting());
        }
    }

    #[test]
    fn what_is_no_answer_is_replayed_in_order() {
        let mut replies = TerminalReplies::default();
        replies.expect();
        let mut chords = vec![Chord::parse("alt+]").unwrap()];
        chords.extend(typed("11 am"));
        let expected: Vec<Input> = chords.iter().copied().map(Input::Key).collect();
        assert_eq!(feed(&mut replies, &chords), expected);
        assert_eq!(feed(&mut replies, &answer("0/0/0", "ctrl+g")), [Input::Background(Shade::Dark)]);
    }

    #[test]
    fn an_endless_or_broken_answer_is_replayed() {
        let mut replies = TerminalReplies::default();
        replies.expect();
        let chords = answer(&"f".repeat(100), "ctrl+g");
        assert_eq!(feed(&mut replies, &chords).len(), chords.len());
        let broken = answer("zz/zz/zz", "ctrl+g");
        assert_eq!(feed(&mut replies, &broken).len(), broken.len());
    }

    #[test]
    fn nothing_is_held_unless_a_question_is_open() {
        let mut replies = TerminalReplies::default();
        let chords = answer("0/0/0", "ctrl+g");
        assert_eq!(feed(&mut replies, &chords).len(), chords.len());
    }

    #[test]
    fn giving_up_lets_the_held_keys_go() {
        let mut replies = TerminalReplies::default();
        replies.expect();
        assert_eq!(feed(&mut replies, &answer("0/0/0", "ctrl+g")[..3]), []);
        let mut out = Vec::new();
        replies.give_up(&mut out);
        assert_eq!(out.len(), 3);
        assert!(!replies.is_expecting());
    }
}
