//! The field for the title of a session.

use super::{OverlayOutcome, OverlayState};
use crate::event::SessionId;
use crate::store::Store;
use crate::store::action::Action;
use crate::store::effect::Effect;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TitleField {
    pub text: String,
    /// The one that is named; none is the one that is open.
    pub session: Option<SessionId>,
}

impl OverlayState for TitleField {
    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        Some(&mut self.text)
    }

    fn accept(&mut self, _store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let title = self.text.trim().to_owned();
        match self.session.take() {
            Some(id) => {
                fx.push(Effect::RenameSession { id, title });
                OverlayOutcome::Close
            }
            None => OverlayOutcome::Then(Action::RenameSession(Some(title))),
        }
    }
}
