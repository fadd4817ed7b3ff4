//! Letters stand on the code blocks; one is to be copied.

use super::{LetterUse, OverlayExtent, OverlayOutcome, OverlayState};
use crate::store::Store;
use crate::store::action::{Action, Context};
use crate::store::effect::Effect;
use crate::store::update::copy::copy_text;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePicker;

impl OverlayState for CodePicker {
    fn extent(&self) -> OverlayExtent {
        OverlayExtent::InputRow
    }

    /// The transcript can be scrolled meanwhile.
    fn key_contexts(&self) -> &'static [Context] {
        &[]
    }

    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::CodeBlock
    }

    fn act(&mut self, action: &Action, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Action::CopyCode(text) = action else { return OverlayOutcome::Stay };
        copy_text(store, "the code", text.clone(), fx);
        OverlayOutcome::Close
    }
}
