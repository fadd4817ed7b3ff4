//! PURE. One key, click or report out of the bytes that a terminal sends.
//!
//! Formats: the control sequences of ECMA-48 5.4 as xterm uses them for keys and the mouse (ctlseqs: PC-style function
//! keys, SGR, normal and urxvt mouse, focus), `modifyOtherKeys`, and the kitty keyboard protocol. Numbers of
//! `CSI n ~`: VT220, rxvt and linux.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyEventState, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

const ESC: u8 = 0x1b;
/// No sequence that means anything is longer.
const MAX_SEQUENCE_BYTES: usize = 64;

/// What the first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecodeStep {
    /// An event of so many bytes.
    Event(usize, Event),
    /// So many bytes that mean nothing to us.
    Skip(usize),
    /// The beginning of something; the rest has not come.
    Incomplete,
    /// So many bytes that open a paste.
    PasteStart(usize),
}

/// Reads the first thing in `bytes`, which are not empty.
pub(super) fn decode(bytes: &[u8]) -> DecodeStep {
    match bytes {
        [] | [ESC] => DecodeStep::Incomplete,
        [ESC, b'[', ..] => csi(bytes),
        [ESC, b'O', ..] => ss3(bytes),
        // Some terminals put an escape before a whole sequence for Alt.
        [ESC, ESC, b'[' | b'O', ..] => with_alt(decode(&bytes[1..])),
        [ESC, ESC, ..] => DecodeStep::Event(1, key(KeyCode::Esc, KeyModifiers::NONE)),
        [ESC, ..] => with_alt(character(&bytes[1..])),
        _ => character(bytes),
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn with_alt(step: DecodeStep) -> DecodeStep {
    match step {
        DecodeStep::Event(length, Event::Key(mut key)) => {
            key.modifiers |= KeyModifiers::ALT;
            DecodeStep::Event(length + 1, Event::Key(key))
        }
        DecodeStep::Event(length, event) => DecodeStep::Event(length + 1, event),
        DecodeStep::Skip(length) => DecodeStep::Skip(length + 1),
        DecodeStep::PasteStart(length) => DecodeStep::PasteStart(length + 1),
        DecodeStep::Incomplete => DecodeStep::Incomplete,
    }
}

/// A control character, or one of UTF-8.
fn character(bytes: &[u8]) -> DecodeStep {
    let Some(&first) = bytes.first() else { return DecodeStep::Incomplete };
    let control = |c: u8| key(KeyCode::Char(char::from(c)), KeyModifiers::CONTROL);
    DecodeStep::Event(
        1,
        match first {
            b'\r' => key(KeyCode::Enter, KeyModifiers::NONE),
            b'\t' => key(KeyCode::Tab, KeyModifiers::NONE),
            0x7f => key(KeyCode::Backspace, KeyModifiers::NONE),
            0 => control(b' '),
            1..=0x1a => control(first - 1 + b'a'),
            0x1c..=0x1f => control(first - 0x1c + b'4'),
            _ => return utf8(bytes),
        },
    )
}

fn utf8(bytes: &[u8]) -> DecodeStep {
    let head = &bytes[..bytes.len().min(4)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
        Err(error) => return error.error_len().map_or(DecodeStep::Incomplete, DecodeStep::Skip),
    };
    match text.chars().next() {
        Some(c) => {
            let modifiers = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
            DecodeStep::Event(c.len_utf8(), key(KeyCode::Char(c), modifiers))
        }
        None => DecodeStep::Skip(1),
    }
}

/// `ESC O x`: keys of a keypad in application mode.
fn ss3(bytes: &[u8]) -> DecodeStep {
    let Some(&last) = bytes.get(2) else { return DecodeStep::Incomplete };
    let code = match last {
        b'M' => Some(KeyCode::Enter),
        b'j'..=b'y' => Some(KeyCode::Char(char::from(last - 0x40))),
        b'X' => Some(KeyCode::Char('=')),
        _ => letter_key(last),
    };
    code.map_or(DecodeStep::Skip(3), |code| DecodeStep::Event(3, key(code, KeyModifiers::NONE)))
}

/// Returns the key that a final letter names.
fn letter_key(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'E' => KeyCode::KeypadBegin,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P'..=b'S' => KeyCode::F(last - b'P' + 1),
        _ => return None,
    })
}

/// `ESC [ parameters final`.
fn csi(bytes: &[u8]) -> DecodeStep {
    match bytes.get(2) {
        None => return DecodeStep::Incomplete,
        // The linux console has a second bracket in its first function keys.
        Some(b'[') => {
            return match bytes.get(3) {
                None => DecodeStep::Incomplete,
                Some(last @ b'A'..=b'E') => DecodeStep::Event(4, key(KeyCode::F(last - b'A' + 1), KeyModifiers::NONE)),
                Some(_) => DecodeStep::Skip(3),
            };
        }
        // Three bytes follow, whatever they are.
        Some(b'M') => {
            return match bytes.get(3..6) {
                None => DecodeStep::Incomplete,
                Some(at) => {
                    let place = |byte: u8| u16::from(byte.saturating_sub(33));
                    mouse_event(at[0].wrapping_sub(32), place(at[1]), place(at[2]), None)
                        .map_or(DecodeStep::Skip(6), |event| DecodeStep::Event(6, event))
                }
            };
        }
        Some(_) => {}
    }
    let body = &bytes[2..];
    let Some(end) = body.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return if body.len() > MAX_SEQUENCE_BYTES { DecodeStep::Skip(bytes.len()) } else { DecodeStep::Incomplete };
    };
    if !(0x40..=0x7e).contains(&body[end]) {
        // Broken off by something else, which is read on its own.
        return DecodeStep::Skip(2 + end);
    }
    let length = 2 + end + 1;
    let (parameters, last) = (std::str::from_utf8(&body[..end]).unwrap_or_default(), body[end]);
    if parameters == "200" && last == b'~' {
        return DecodeStep::PasteStart(length);
    }
    csi_event(parameters, last).map_or(DecodeStep::Skip(length), |event| DecodeStep::Event(length, event))
}

/// Numbers between semicolons; of those with colons in them the first, and the second apart.
struct CsiParams<'a>(&'a str);

impl CsiParams<'_> {
    fn get(&self, nth: usize) -> Option<u32> {
        self.0.split(';').nth(nth)?.split(':').next()?.parse().ok()
    }

    fn sub_param(&self, nth: usize) -> Option<u32> {
        self.0.split(';').nth(nth)?.split(':').nth(1)?.parse().ok()
    }

    /// Modifiers as terminals count them, 1 for none, and whether the key went down, repeats or went up.
    fn modifiers(&self, nth: usize) -> (KeyModifiers, KeyEventKind, KeyEventState) {
        let mask = self.get(nth).unwrap_or(1).saturating_sub(1);
        let bits = [
            (1, KeyModifiers::SHIFT),
            (2, KeyModifiers::ALT),
            (4, KeyModifiers::CONTROL),
            (8, KeyModifiers::SUPER),
            (16, KeyModifiers::HYPER),
            (32, KeyModifiers::META),
        ];
        let mut modifiers = KeyModifiers::NONE;
        for (bit, modifier) in bits {
            modifiers.set(modifier, mask & bit != 0);
        }
        let mut state = KeyEventState::NONE;
        state.set(KeyEventState::CAPS_LOCK, mask & 64 != 0);
        state.set(KeyEventState::NUM_LOCK, mask & 128 != 0);
        let kind = match self.sub_param(nth) {
            Some(2) => KeyEventKind::Repeat,
            Some(3) => KeyEventKind::Release,
            _ => KeyEventKind::Press,
        };
        (modifiers, kind, state)
    }
}

fn csi_event(parameters: &str, last: u8) -> Option<Event> {
    if let Some(parameters) = parameters.strip_prefix('<') {
        let parameters = CsiParams(parameters);
        let place = |nth| Some(u16::try_from(parameters.get(nth)?).unwrap_or(u16::MAX).saturating_sub(1));
        let up = match last {
            b'M' => false,
            b'm' => true,
            _ => return None,
        };
        return mouse_event(u8::try_from(parameters.get(0)?).ok()?, place(1)?, place(2)?, Some(up));
    }
    // Answers to questions that nobody asked.
    if parameters.starts_with(['?', '>', '=']) {
        return None;
    }
    let parameters = CsiParams(parameters);
    let (code, modifiers) = match last {
        b'I' => return Some(Event::FocusGained),
        b'O' => return Some(Event::FocusLost),
        b'Z' => return Some(key(KeyCode::BackTab, KeyModifiers::SHIFT | parameters.modifiers(1).0)),
        b'M' => {
            let place = |nth| Some(u16::try_from(parameters.get(nth)?).unwrap_or(u16::MAX).saturating_sub(1));
            let button = u8::try_from(parameters.get(0)?.checked_sub(32)?).ok()?;
            return mouse_event(button, place(1)?, place(2)?, None);
        }
        b'u' => (kitty_key(parameters.get(0)?)?, parameters.modifiers(1)),
        // xterm's modifyOtherKeys: the key comes third.
        b'~' if parameters.get(0) == Some(27) => (kitty_key(parameters.get(2)?)?, parameters.modifiers(1)),
        b'~' => (tilde_key(parameters.get(0)?)?, parameters.modifiers(1)),
        // With one number only it is the modifiers (rxvt and old xterms).
        last if !parameters.0.contains(';') => {
            let plain = CsiParams(if parameters.get(0) == Some(1) { "" } else { parameters.0 });
            (letter_key(last)?, plain.modifiers(0))
        }
        last => (letter_key(last)?, parameters.modifiers(1)),
    };
    let (mut modifiers, kind, state) = modifiers;
    let code = match code {
        KeyCode::Tab if modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        // As it is typed, whichever of both a terminal names.
        KeyCode::Char(c) if modifiers.contains(KeyModifiers::SHIFT) && c.is_lowercase() => {
            let mut upper = c.to_uppercase();
            KeyCode::Char(upper.next().filter(|_| upper.next().is_none()).unwrap_or(c))
        }
        code => code,
    };
    if matches!(code, KeyCode::Char(c) if c.is_uppercase()) {
        modifiers |= KeyModifiers::SHIFT;
    }
    Some(Event::Key(KeyEvent::new_with_kind_and_state(code, modifiers, kind, state)))
}

/// The key of `CSI n ~`.
fn tilde_key(number: u32) -> Option<KeyCode> {
    let number = u8::try_from(number).ok()?;
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number - 10),
        17..=21 => KeyCode::F(number - 11),
        23..=26 => KeyCode::F(number - 12),
        28..=29 => KeyCode::F(number - 13),
        31..=34 => KeyCode::F(number - 14),
        _ => return None,
    })
}

/// The key of a code point, or of one of the numbers in the private use area that kitty gives to keys.
fn kitty_key(number: u32) -> Option<KeyCode> {
    const KEYPAD: [KeyCode; 29] = [
        KeyCode::Char('0'),
        KeyCode::Char('1'),
        KeyCode::Char('2'),
        KeyCode::Char('3'),
        KeyCode::Char('4'),
        KeyCode::Char('5'),
        KeyCode::Char('6'),
        KeyCode::Char('7'),
        KeyCode::Char('8'),
        KeyCode::Char('9'),
        KeyCode::Char('.'),
        KeyCode::Char('/'),
        KeyCode::Char('*'),
        KeyCode::Char('-'),
        KeyCode::Char('+'),
        KeyCode::Enter,
        KeyCode::Char('='),
        KeyCode::Char(','),
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Insert,
        KeyCode::Delete,
        KeyCode::KeypadBegin,
    ];
    Some(match number {
        27 => KeyCode::Esc,
        13 => KeyCode::Enter,
        9 => KeyCode::Tab,
        8 | 127 => KeyCode::Backspace,
        57358 => KeyCode::CapsLock,
        57359 => KeyCode::ScrollLock,
        57360 => KeyCode::NumLock,
        57361 => KeyCode::PrintScreen,
        57362 => KeyCode::Pause,
        57363 => KeyCode::Menu,
        57376..=57398 => KeyCode::F((number - 57376) as u8 + 13),
        57399..=57427 => *KEYPAD.get((number - 57399) as usize)?,
        // Keys for media, and modifiers on their own.
        57344..=63743 => return None,
        number => KeyCode::Char(char::from_u32(number).filter(|c| !c.is_control())?),
    })
}

/// `up`: whether a button went up, where the sequence says that by itself and not by a button of its own.
fn mouse_event(button: u8, column: u16, row: u16, up: Option<bool>) -> Option<Event> {
    let which = |number: u8| match number {
        0 => Some(MouseButton::Left),
        1 => Some(MouseButton::Middle),
        2 => Some(MouseButton::Right),
        _ => None,
    };
    let moved = button & 32 != 0;
    let number = (button & 3) | ((button & 0b1100_0000) >> 4);
    let kind = match (number, moved) {
        (0..=2, true) => MouseEventKind::Drag(which(number)?),
        (_, true) => MouseEventKind::Moved,
        (0..=2, false) if up == Some(true) => MouseEventKind::Up(which(number)?),
        (0..=2, false) => MouseEventKind::Down(which(number)?),
        (3, false) => MouseEventKind::Up(MouseButton::Left),
        (4, false) => MouseEventKind::ScrollUp,
        (5, false) => MouseEventKind::ScrollDown,
        (6, false) => MouseEventKind::ScrollLeft,
        (7, false) => MouseEventKind::ScrollRight,
        _ => return None,
    };
    let mut modifiers = KeyModifiers::NONE;
    for (bit, modifier) in [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)] {
        modifiers.set(modifier, button & bit != 0);
    }
    Some(Event::Mouse(MouseEvent { kind, column, row, modifiers }))
}

#[cfg(test)]
mod tests;
