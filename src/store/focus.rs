//! Which pane has the keys, and the stack of overlays above all panes.
//!
//! Not here: what keys do to an overlay ([`super::overlay`]).

use crate::event::{CallId, Millis};

use super::item_source::ItemField;
use super::overlay::approval::{ApprovalDialog, HunkReview};
use super::overlay::{Overlay, OverlayExtent, OverlayKind};
use super::pane::Pane;
use super::transcript::ItemId;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Focus {
    pub pane: Pane,
    /// The last one is on top and gets the keys.
    pub overlays: Vec<Overlay>,
    /// When the last key was pressed, on the session's clock.
    pub last_key: Option<Millis>,
    /// Panes that the person wants other than they are by default: away where they fit, over the transcript where not.
    pub toggled_panes: Vec<Pane>,
    /// Asks answered here whose resolution has not come yet; they don't open again by themselves.
    answered_calls: Vec<CallId>,
    /// What was said of the hunks of an ask that stepped back.
    kept_review: Option<(CallId, HunkReview)>,
    /// The last place that was asked for; whoever shows the transcript brings it into sight.
    pub requested_place: TranscriptPlace,
    /// What the screen costs is shown.
    pub is_debug_shown: bool,
    /// What was looked for last.
    pub last_query: String,
}

/// A place in the transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TranscriptPlace {
    /// Counts the wishes, so that the same place twice is two wishes.
    pub serial: u64,
    pub item: Option<ItemId>,
    pub field: ItemField,
    /// Bytes from the start of the item's source.
    pub offset: usize,
}

impl Focus {
    pub fn top(&self) -> Option<&Overlay> {
        self.overlays.last()
    }

    /// Returns the overlay on top, if it is of that kind.
    pub fn top_as<T: OverlayKind>(&self) -> Option<&T> {
        self.top().and_then(T::of)
    }

    pub(super) fn top_mut<T: OverlayKind>(&mut self) -> Option<&mut T> {
        self.overlays.last_mut().and_then(T::of_mut)
    }

    /// Returns the overlay of that kind, wherever it is in the stack.
    pub fn find<T: OverlayKind>(&self) -> Option<&T> {
        self.overlays.iter().find_map(T::of)
    }

    pub(super) fn find_mut<T: OverlayKind>(&mut self) -> Option<&mut T> {
        self.overlays.iter_mut().find_map(T::of_mut)
    }

    pub(super) fn push<T: OverlayKind>(&mut self, state: T) {
        self.overlays.push(state.into_overlay());
    }

    /// Returns how much of the screen the overlay on top takes.
    pub fn extent(&self) -> Option<OverlayExtent> {
        self.top().map(|top| top.state().extent())
    }

    /// Returns whether plain characters are text for the overlay on top, and not its keys.
    pub fn is_typing(&self) -> bool {
        self.top().is_some_and(|top| top.state().is_typing())
    }

    /// Returns the ask on top that stands above the composer.
    pub fn docked_approval(&self) -> Option<&ApprovalDialog> {
        self.top_as::<ApprovalDialog>().filter(|approval| approval.is_docked())
    }

    pub(super) fn push_approval(&mut self, call: &CallId) {
        if self.find::<ApprovalDialog>().is_none() {
            let review = self.kept_review.take_if(|(kept, _)| kept == call).map(|(_, review)| review);
            let mut dialog = ApprovalDialog::new(call.clone());
            dialog.review = review;
            self.push(dialog);
        }
    }

    /// Opens the ask of a call in place of another that is open; returns what was typed over that.
    pub(super) fn show_approval(&mut self, call: &CallId) -> String {
        let other = self.find::<ApprovalDialog>().filter(|shown| shown.call != *call);
        let kept = other.map(|shown| (shown.call.clone(), shown.review.clone()));
        let typed = kept.is_some().then(|| self.find_mut::<ApprovalDialog>().map(ApprovalDialog::take_typed)).flatten();
        if let Some((other, review)) = kept {
            self.keep_review(&other, review);
            self.overlays.retain(|overlay| ApprovalDialog::of(overlay).is_none());
        }
        self.push_approval(call);
        typed.unwrap_or_default()
    }

    /// Keeps what was said of the hunks of an ask that steps back.
    pub(super) fn keep_review(&mut self, call: &CallId, review: Option<HunkReview>) {
        if let Some(review) = review {
            self.kept_review = Some((call.clone(), review));
        }
    }

    /// Shows a pane where it is not, or hides it; the keys leave a hidden one.
    pub(super) fn toggle_pane(&mut self, pane: Pane) {
        if let Some(at) = self.toggled_panes.iter().position(|toggled| *toggled == pane) {
            self.toggled_panes.remove(at);
        } else {
            self.toggled_panes.push(pane);
        }
        if self.pane == pane {
            self.pane = Pane::Composer;
        }
    }

    /// Returns whether the person wants a pane other than it is by default.
    pub fn is_toggled(&self, pane: Pane) -> bool {
        self.toggled_panes.contains(&pane)
    }

    /// Asks for a place to be shown.
    pub(super) fn request_place(&mut self, item: ItemId, field: ItemField, offset: usize) {
        self.requested_place =
            TranscriptPlace { serial: self.requested_place.serial + 1, item: Some(item), field, offset };
    }

    pub(super) fn mark_answered(&mut self, call: CallId) {
        self.answered_calls.push(call);
    }

    /// An answer may not have arrived: what still waits can be answered again.
    pub(super) fn forget_answers(&mut self) {
        self.answered_calls.clear();
    }

    pub(super) fn was_answered(&self, call: &CallId) -> bool {
        self.answered_calls.contains(call)
    }

    /// Closes what is about calls that nobody has to decide about any more; returns what was typed over them.
    pub(super) fn close_resolved(&mut self, is_pending: impl Fn(&CallId) -> bool) -> String {
        self.answered_calls.retain(&is_pending);
        let mut left = String::new();
        self.overlays.retain_mut(|overlay| match ApprovalDialog::of_mut(overlay) {
            Some(approval) if !is_pending(&approval.call) => {
                left.push_str(&approval.take_typed());
                false
            }
            _ => true,
        });
        left
    }
}
