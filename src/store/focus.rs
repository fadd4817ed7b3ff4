//! Which pane has the keys, and the stack of overlays above all panes.
//!
//! An ask opens by itself only over an empty composer and where nothing else is open; what keys do to it is in
//! [`super::approval`].

use crate::event::{CallId, Millis};

use super::approval::{ApprovalDialog, ApprovalInput};
use super::item_source::ItemField;
use super::links::Link;
use super::outline::Outline;
use super::pane::Pane;
use super::search::Search;
use super::transcript::ItemId;

/// Longest text one can type into an overlay, in bytes.
const MAX_INPUT_BYTES: usize = 2000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Focus {
    pub pane: Pane,
    /// The last one is on top and gets the keys.
    pub overlays: Vec<Overlay>,
    /// When the last key was pressed, on the session's clock.
    pub last_key: Option<Millis>,
    /// The composer holds text, so nothing may open over it by itself.
    pub is_composer_busy: bool,
    /// The person wants the tool panel other than it is by default: away where it fits, over the transcript where not.
    pub is_panel_toggled: bool,
    /// Asks answered here whose resolution has not come yet; they don't open again by themselves.
    answered_calls: Vec<CallId>,
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

#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    Help {
        /// Rows scrolled down; the view stops at the end.
        scroll: usize,
    },
    Models {
        query: String,
        selected: usize,
    },
    /// The raw frames of the streams; what is shown of them is the store's `frames`.
    Frames,
    Approval(ApprovalDialog),
    Search(Box<Search>),
    Outline(Box<Outline>),
    /// An item as it came.
    Raw {
        item: ItemId,
        /// Rows scrolled down; the view stops at the end.
        scroll: usize,
    },
    Links {
        links: Vec<Link>,
        /// Nothing is chosen until the person chooses, so that Enter opens nothing by accident.
        selected: Option<usize>,
        /// When the last letter chose one: Enter right behind it was typed, and not meant.
        chosen_at: Millis,
    },
    /// What needs asking, to be chosen.
    Modes {
        selected: usize,
        /// The mode that never asks was chosen and wants to be confirmed: whether that is what is selected.
        full_mode_confirm: Option<bool>,
    },
    /// What is allowed and denied; a grant can be taken back.
    Permissions {
        selected: usize,
    },
    /// Letters stand on the code blocks; one is to be copied.
    CodePicker,
}

impl Focus {
    pub fn top(&self) -> Option<&Overlay> {
        self.overlays.last()
    }

    /// Returns whether somebody looks at the raw frames.
    pub fn shows_frames(&self) -> bool {
        self.overlays.contains(&Overlay::Frames)
    }

    pub fn approval(&self) -> Option<&ApprovalDialog> {
        match self.top() {
            Some(Overlay::Approval(approval)) => Some(approval),
            _ => None,
        }
    }

    pub(super) fn approval_mut(&mut self) -> Option<&mut ApprovalDialog> {
        match self.overlays.last_mut() {
            Some(Overlay::Approval(approval)) => Some(approval),
            _ => None,
        }
    }

    /// Closes the ask on top.
    pub(super) fn take_approval(&mut self) -> Option<ApprovalDialog> {
        match self.overlays.pop() {
            Some(Overlay::Approval(approval)) => Some(approval),
            other => {
                self.overlays.extend(other);
                None
            }
        }
    }

    /// Returns whether plain characters are text for the overlay on top, and not its keys.
    pub fn is_typing(&self) -> bool {
        match self.top() {
            Some(Overlay::Models { .. } | Overlay::Outline(_) | Overlay::Frames) => true,
            Some(Overlay::Search(search)) => search.is_typing,
            Some(Overlay::Approval(approval)) => approval.input != ApprovalInput::Choosing,
            Some(
                Overlay::Help { .. }
                | Overlay::CodePicker
                | Overlay::Raw { .. }
                | Overlay::Links { .. }
                | Overlay::Modes { .. }
                | Overlay::Permissions { .. },
            )
            | None => false,
        }
    }

    pub(super) fn input_mut(&mut self) -> Option<&mut String> {
        match self.overlays.last_mut() {
            Some(Overlay::Models { query, .. }) => Some(query),
            Some(Overlay::Search(search)) if search.is_typing => Some(&mut search.query),
            Some(Overlay::Outline(outline)) => Some(&mut outline.query),
            Some(Overlay::Approval(approval)) => approval.field(),
            _ => None,
        }
    }

    pub(super) fn type_char(&mut self, c: char) {
        if let Some(text) = self.input_mut()
            && !c.is_control()
            && text.len() < MAX_INPUT_BYTES
        {
            text.push(c);
        }
        if let Some(Overlay::Models { selected, .. }) = self.overlays.last_mut() {
            *selected = 0;
        }
    }

    pub(super) fn backspace(&mut self) {
        if let Some(text) = self.input_mut() {
            text.pop();
        }
        if let Some(Overlay::Models { selected, .. }) = self.overlays.last_mut() {
            *selected = 0;
        }
    }

    pub(super) fn clear_input(&mut self) {
        if let Some(text) = self.input_mut() {
            text.clear();
        }
        self.backspace();
    }

    /// Returns the ask that is open, be it on top or below the help.
    pub fn visible_approval(&self) -> Option<&ApprovalDialog> {
        self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Approval(approval) => Some(approval),
            _ => None,
        })
    }

    /// Returns the ask on top that stands above the composer.
    pub fn docked_approval(&self) -> Option<&ApprovalDialog> {
        self.approval().filter(|approval| approval.is_docked())
    }

    pub(super) fn push_approval(&mut self, call: &CallId) {
        if self.visible_approval().is_none() {
            self.overlays.push(Overlay::Approval(ApprovalDialog::new(call.clone())));
        }
    }

    /// Returns the search, be it on top or below the help.
    pub fn search(&self) -> Option<&Search> {
        self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Search(search) => Some(&**search),
            _ => None,
        })
    }

    pub(super) fn search_mut(&mut self) -> Option<&mut Search> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Search(search) => Some(&mut **search),
            _ => None,
        })
    }

    pub fn outline(&self) -> Option<&Outline> {
        self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Outline(outline) => Some(&**outline),
            _ => None,
        })
    }

    pub(super) fn outline_mut(&mut self) -> Option<&mut Outline> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Outline(outline) => Some(&mut **outline),
            _ => None,
        })
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
        self.overlays.retain_mut(|overlay| match overlay {
            Overlay::Approval(approval) if !is_pending(&approval.call) => {
                left.push_str(&approval.take_typed());
                false
            }
            _ => true,
        });
        left
    }
}
