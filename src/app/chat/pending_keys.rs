//! Keys that are pressed one after another: what was typed of a sequence waits for the next key.
//!
//! A key that doesn't continue is what it would have been, and so are those that waited: nothing typed is lost. Esc leaves
//! a sequence; letters that were typed into the composer stay there.

use std::time::Instant;

use super::{ChatController, LoopRequest};
use crate::config::keys::{Chord, Key, KeyMatch, display_names};
use crate::store::action::Context;
use crate::store::action_table::ActionSpec;
use crate::ui::keymap::contexts;
use crate::ui::panes::pending_keys::PendingKeys;

impl ChatController {
    /// Takes a key: it goes on with those that wait, or stands for itself.
    pub(super) fn handle_key(&mut self, chord: Chord, asked: Option<Instant>, now: Instant) -> Option<LoopRequest> {
        if self.pending_keys.is_empty() {
            return self.begin_sequence(chord, asked, now);
        }
        if chord == Chord::plain(Key::Esc) {
            self.leave_sequence();
            return None;
        }
        self.pending_keys.push(chord);
        match self.keymap.lookup(&self.key_contexts(), &self.pending_keys) {
            KeyMatch::Beginning => {
                self.quit_requested_at = asked;
                None
            }
            KeyMatch::Action(row) => {
                let keys = std::mem::take(&mut self.pending_keys);
                self.finish_sequence(row, &keys, asked, now)
            }
            KeyMatch::Nothing => {
                let keys = std::mem::take(&mut self.pending_keys);
                let mut request = None;
                for (nth, chord) in keys.into_iter().enumerate() {
                    // The first has waited long enough; the others may begin a sequence of their own.
                    let done = if nth == 0 {
                        self.handle_single_key(chord, asked, now)
                    } else {
                        self.handle_key(chord, asked, now)
                    };
                    request = done.or(request);
                }
                request
            }
        }
    }

    fn begin_sequence(&mut self, chord: Chord, asked: Option<Instant>, now: Instant) -> Option<LoopRequest> {
        if self.handle_approval_key(chord) || self.handle_vim_key(chord) {
            return None;
        }
        if matches!(self.keymap.lookup(&self.key_contexts(), &[chord]), KeyMatch::Beginning) {
            self.pending_keys.push(chord);
            // The last key of the sequence may be the answer.
            self.quit_requested_at = asked;
            return None;
        }
        self.handle_single_key(chord, asked, now)
    }

    /// Does what a whole sequence stands for. Letters of a pane may be text all the same.
    fn finish_sequence(
        &mut self,
        row: &'static ActionSpec,
        keys: &[Chord],
        asked: Option<Instant>,
        now: Instant,
    ) -> Option<LoopRequest> {
        for (nth, chord) in keys.iter().enumerate() {
            if self.handle_stray_char(*chord, Some(row.handler), now) {
                for chord in keys.iter().skip(nth + 1) {
                    self.type_chord(*chord);
                }
                return None;
            }
        }
        self.run_handler(row.handler, &display_names(keys), asked, now)
    }

    /// Esc: what was typed of the sequence means nothing any more, but text.
    pub(super) fn leave_sequence(&mut self) {
        let keys = std::mem::take(&mut self.pending_keys);
        if self.store.focus.top().is_none() {
            for chord in keys.into_iter().filter(|chord| chord.typed_char().is_some()) {
                self.type_chord(chord);
            }
        }
    }

    /// Something else than a key came: keys that wait stand for themselves.
    pub(super) fn flush_sequence(&mut self, now: Instant) {
        for chord in std::mem::take(&mut self.pending_keys) {
            self.handle_single_key(chord, None, now);
        }
        self.show_pending_keys();
    }

    /// Lets the view show which keys wait, and how they can go on.
    pub(super) fn show_pending_keys(&mut self) {
        self.ui.pending_keys = (!self.pending_keys.is_empty()).then(|| PendingKeys {
            typed: display_names(&self.pending_keys),
            next: self.keymap.continuations(&self.key_contexts(), &self.pending_keys),
        });
    }

    pub(super) fn key_contexts(&self) -> Vec<Context> {
        contexts(&self.store, self.ui.panes.composer.is_empty())
    }
}
