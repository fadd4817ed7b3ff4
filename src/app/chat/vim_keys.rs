//! Keys of the composer where it has vim's modes: in normal mode letters are commands.
//!
//! What lies over the composer, and panes that have the keyboard, know nothing of it.

use super::ChatController;
use crate::config::keys::{Chord, Key};
use crate::store::action::Action;
use crate::ui::composer::vim::{VimKey, VimMode, VimOutcome};

impl ChatController {
    /// Lets vim take a key; false leaves it to the keymap.
    pub(super) fn handle_vim_key(&mut self, chord: Chord) -> bool {
        let Some(mode) = self.ui.panes.composer.vim_mode() else { return false };
        if self.store.focus.top().is_some() || !self.is_composing() {
            return false;
        }
        let Some(key) = vim_key(chord, mode) else { return false };
        let composer = &mut self.ui.panes.composer;
        match (composer.vim_key(key), key) {
            (VimOutcome::Done, VimKey::Esc) => composer.completion.close(),
            (VimOutcome::Done, _) => {}
            (VimOutcome::BeyondStart, _) => composer.up(),
            (VimOutcome::BeyondEnd, _) => composer.down(),
            // What a text may begin with begins one; the rest of it would be commands.
            (VimOutcome::Unknown, VimKey::Char(c @ ('/' | '@' | '!' | '#'))) if composer.is_empty() => {
                composer.enter_insert_mode();
                composer.type_chord(Chord::plain(Key::Char(c)));
            }
            (VimOutcome::Unknown, VimKey::Char(':')) => self.run_action(Action::OpenPalette),
            (VimOutcome::Unknown, VimKey::Char('?')) if composer.is_empty() => return false,
            (VimOutcome::Unknown, VimKey::Char(_)) => {}
            (VimOutcome::Unknown, VimKey::Esc | VimKey::Redo) => return false,
        }
        self.ui.panes.composer.clamp_cursor();
        true
    }
}

fn vim_key(chord: Chord, mode: VimMode) -> Option<VimKey> {
    if chord == Chord::plain(Key::Esc) {
        return Some(VimKey::Esc);
    }
    let is_plain = !chord.ctrl && !chord.alt && !chord.shift;
    match (chord.typed_char(), chord.key) {
        _ if mode == VimMode::Insert => None,
        (Some(c), _) => Some(VimKey::Char(c)),
        (None, Key::Backspace) if is_plain => Some(VimKey::Char('h')),
        (None, Key::Delete) if is_plain => Some(VimKey::Char('x')),
        (None, Key::Char('r')) if chord.ctrl && !chord.alt => Some(VimKey::Redo),
        _ => None,
    }
}
