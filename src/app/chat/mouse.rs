//! What the pointer does: the wheel scrolls, and a click chooses an answer. It never moves the keyboard.

use super::ChatController;
use crate::event::Millis;
use crate::store::action::{Action, UiAction};
use crate::store::focus::Overlay;
use crate::store::msg::Msg;
use crate::store::pane::Pane;

impl ChatController {
    /// Scrolls what is under the pointer; what lies on top lies under it everywhere.
    pub(super) fn wheel(&mut self, rows: i32, at: (u16, u16)) {
        let (overlay, view) = match rows {
            ..0 => (Action::OverlayUp, UiAction::ScrollUp),
            _ => (Action::OverlayDown, UiAction::ScrollDown),
        };
        let open = self.store.focus.docked_approval().is_some() || self.store.focus.top().is_none();
        if open && self.ui.layout.pane_at(at) == Some(Pane::ToolPanel) {
            return self.ui.tools.wheel(&self.store, rows);
        }
        for _ in 0..rows.unsigned_abs() {
            match self.store.focus.top() {
                Some(Overlay::Search(_) | Overlay::CodePicker) | None => self.run_ui_action(view),
                Some(Overlay::Approval(approval)) if approval.is_docked() => self.run_ui_action(view),
                Some(_) => self.dispatch(Msg::Action(overlay.clone())),
            }
        }
    }

    /// A click moves no keyboard, and answers nothing: it may only have brought the window to the front. On an answer it
    /// selects, as a letter does, and Enter counts only a while after it.
    pub(super) fn click(&mut self, at: (u16, u16), clock: Millis) {
        if let Some(choice) = self.ui.answer_at(at) {
            self.dispatch(Msg::Tick(clock));
            self.dispatch(Msg::Action(Action::Choose(choice)));
            self.store.update(Msg::KeyPressed(clock), &mut self.effects);
        }
    }
}
