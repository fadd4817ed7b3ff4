//! Which pane has the keys, and the stack of overlays above all panes.
//!
//! Keys typed while an ask opens must never answer it: it opens by itself only over an empty composer, takes no answer
//! for its first [`GUARD`], and each key swallowed in that time starts it again.

use crate::event::{CallId, Millis};

use super::links::Link;
use super::msg::ModelChoice;
use super::outline::Outline;
use super::search::Search;
use super::source::Field;
use super::transcript::ItemId;

/// How long an ask is on screen before it takes an answer.
pub const GUARD: Millis = Millis(350);
/// Longest text one can type into an overlay, in bytes.
const LONGEST_INPUT: usize = 2000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Focus {
    pub pane: Pane,
    /// The last one is on top and gets the keys.
    pub overlays: Vec<Overlay>,
    /// The composer holds text, so nothing may open over it by itself.
    pub composer_busy: bool,
    /// The person wants the tool panel other than it is by default: away where it fits, over the transcript where not.
    pub panel_flipped: bool,
    /// Asks answered here whose resolution has not come yet; they don't open again by themselves.
    answered: Vec<CallId>,
    /// The last place that was asked for; whoever shows the transcript brings it into sight.
    pub place: Place,
    /// What the screen costs is shown.
    pub debug: bool,
    /// What was looked for last.
    pub last_query: String,
}

/// A place in the transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Counts the wishes, so that the same place twice is two wishes.
    pub nth: u64,
    pub item: Option<ItemId>,
    pub field: Field,
    /// Bytes from the start of the item's source.
    pub offset: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pane {
    #[default]
    Composer,
    Transcript,
    ToolPanel,
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
    Approval(Approval),
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
    /// Letters stand on the code blocks; one is to be copied.
    Blocks,
}

/// An ask on the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    pub call: CallId,
    /// Start of the guard: when it opened or last swallowed a key.
    pub opened_at: Millis,
    pub input: ApprovalInput,
    /// Rows of the detail scrolled down; the view stops at the end.
    pub scroll: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ApprovalInput {
    #[default]
    Choosing,
    /// Typing why not.
    Reason(String),
    /// Editing what else to allow.
    Pattern(String),
}

impl Approval {
    /// Returns whether it swallows answers still.
    pub fn is_guarded(&self, now: Millis) -> bool {
        now.since(self.opened_at) < GUARD
    }
}

impl Focus {
    pub fn top(&self) -> Option<&Overlay> {
        self.overlays.last()
    }

    /// Returns whether somebody looks at the raw frames.
    pub fn shows_frames(&self) -> bool {
        self.overlays.contains(&Overlay::Frames)
    }

    pub fn approval(&self) -> Option<&Approval> {
        match self.top() {
            Some(Overlay::Approval(approval)) => Some(approval),
            _ => None,
        }
    }

    pub(super) fn approval_mut(&mut self) -> Option<&mut Approval> {
        match self.overlays.last_mut() {
            Some(Overlay::Approval(approval)) => Some(approval),
            _ => None,
        }
    }

    /// Returns whether plain characters are text for the overlay on top, and not its keys.
    pub fn is_typing(&self) -> bool {
        match self.top() {
            Some(Overlay::Models { .. } | Overlay::Outline(_) | Overlay::Frames) => true,
            Some(Overlay::Search(search)) => search.typing,
            Some(Overlay::Approval(approval)) => approval.input != ApprovalInput::Choosing,
            Some(Overlay::Help { .. } | Overlay::Blocks | Overlay::Raw { .. } | Overlay::Links { .. }) | None => false,
        }
    }

    pub(super) fn input_mut(&mut self) -> Option<&mut String> {
        match self.overlays.last_mut() {
            Some(Overlay::Models { query, .. }) => Some(query),
            Some(Overlay::Search(search)) if search.typing => Some(&mut search.query),
            Some(Overlay::Outline(outline)) => Some(&mut outline.query),
            Some(Overlay::Approval(Approval {
                input: ApprovalInput::Reason(text) | ApprovalInput::Pattern(text),
                ..
            })) => Some(text),
            _ => None,
        }
    }

    pub(super) fn type_char(&mut self, c: char) {
        if let Some(text) = self.input_mut()
            && !c.is_control()
            && text.len() < LONGEST_INPUT
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

    pub(super) fn open_approval(&mut self, call: &CallId, now: Millis) {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Approval(_)));
        self.overlays.push(Overlay::Approval(Approval {
            call: call.clone(),
            opened_at: now,
            input: ApprovalInput::Choosing,
            scroll: 0,
        }));
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
    pub(super) fn show(&mut self, item: ItemId, field: Field, offset: usize) {
        self.place = Place { nth: self.place.nth + 1, item: Some(item), field, offset };
    }

    pub(super) fn answer(&mut self, call: CallId) {
        self.overlays.pop();
        self.answered.push(call);
    }

    pub(super) fn was_answered(&self, call: &CallId) -> bool {
        self.answered.contains(call)
    }

    /// Closes what is about calls that nobody has to decide about any more.
    pub(super) fn settle(&mut self, is_pending: impl Fn(&CallId) -> bool) {
        self.answered.retain(&is_pending);
        self.overlays.retain(|overlay| match overlay {
            Overlay::Approval(approval) => is_pending(&approval.call),
            _ => true,
        });
    }
}

/// Returns the models whose name or remark has every word of the query, whatever the case.
pub fn matching<'a>(models: &'a [ModelChoice], query: &str) -> Vec<&'a ModelChoice> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let fits = |model: &&ModelChoice| {
        let text = format!("{} {}", model.name, model.remark).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    models.iter().filter(fits).collect()
}
