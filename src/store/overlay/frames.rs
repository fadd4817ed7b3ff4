//! The raw frames of the streams: a filter, a list, and one frame shown whole.

use super::{OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::frames::FrameList;

impl OverlayState for FrameList {
    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        if self.opened_scroll.is_some() { None } else { Some(&mut self.query) }
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.move_selection(step, end);
    }

    fn accept(&mut self, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.toggle_opened();
        OverlayOutcome::Stay
    }

    fn close(&mut self, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if self.opened_scroll.take().is_some() { OverlayOutcome::Stay } else { OverlayOutcome::Close }
    }

    fn act(&mut self, action: &Action, _store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match action {
            Action::PauseFrames => self.pause(),
            Action::SaveFrames => fx.push(Effect::SaveFrames(None)),
            _ => {}
        }
        OverlayOutcome::Stay
    }
}
