//! What the pointer does: the wheel scrolls, a click chooses an answer, folds or follows a marker, and dragging selects
//! what is copied. It never moves the keyboard.

use super::ChatController;
use crate::event::Millis;
use crate::store::msg::Msg;

impl ChatController {
    pub(super) fn wheel(&mut self, rows: i32, at: (u16, u16)) {
        if let Some(msg) = self.ui.wheel(&self.store, rows, at) {
            self.dispatch(msg);
        }
    }

    /// A click moves no keyboard, and answers nothing: it may only have brought the window to the front. On an answer it
    /// selects, as a letter does, and Enter counts only a while after it.
    pub(super) fn click(&mut self, at: (u16, u16), clock: Millis) {
        self.ui.press(&self.store, at);
        if let Some(msg) = self.ui.click(&self.store, at) {
            self.dispatch(Msg::Tick(clock));
            self.dispatch(msg);
            self.store.update(Msg::KeyPressed(clock), &mut self.effects);
        }
    }

    pub(super) fn drag(&mut self, at: (u16, u16)) {
        let is_selecting = self.ui.drag(&self.store, at);
        if is_selecting && !std::mem::replace(&mut self.has_told_of_shift, true) {
            self.show_toast("releasing the button copies; with Shift the terminal itself selects".into());
        }
    }

    pub(super) fn release(&mut self, at: (u16, u16)) {
        if let Some(msg) = self.ui.release(&self.store, at) {
            self.dispatch(msg);
        }
    }
}
