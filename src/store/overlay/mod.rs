//! What lies above the panes, one file each: lists, fields, texts, and the approval.
//!
//! The one on top of the stack gets the keys. A new one is a file here with its [`OverlayState`], a row of the list below
//! and a row of `ui/overlays.rs`, which draws it. While an overlay handles something it is not in the store, so that it may
//! change all of the store but the stack that it lies in; what it wants of that is its [`OverlayOutcome`].

pub mod agents;
pub mod approval;
pub mod branch_tree;
pub mod code_picker;
pub mod diff;
pub mod efforts;
pub mod file_restore;
pub mod found_texts;
pub mod frames;
pub mod help;
pub mod key_status;
pub mod links;
pub mod mcp;
pub mod memory;
pub mod models;
pub mod modes;
pub mod outline;
pub mod palette;
pub mod permissions;
pub mod prompt_history;
pub mod raw;
pub mod rewind;
pub mod search;
pub mod serving;
pub mod sessions;
pub mod status;
pub mod system_prompt;
pub mod tabs;
pub mod tasks;
pub mod themes;
pub mod title;
pub mod usage;

use super::Store;
use super::action::{Action, Context, ScrollStep};
use super::effect::Effect;

/// Longest text one can type into an overlay, in bytes.
const MAX_INPUT_BYTES: usize = 2000;

/// Makes the enum and its two ways from and to a kind.
macro_rules! overlays {
    ($($kind:ident($state:ty),)+) => {
        #[derive(Clone, Debug, PartialEq)]
        pub enum Overlay {
            $($kind(Box<$state>),)+
        }

        impl Overlay {
            pub fn state(&self) -> &dyn OverlayState {
                match self {
                    $(Self::$kind(state) => &**state,)+
                }
            }

            pub(super) fn state_mut(&mut self) -> &mut dyn OverlayState {
                match self {
                    $(Self::$kind(state) => &mut **state,)+
                }
            }
        }

        $(impl OverlayKind for $state {
            fn of(overlay: &Overlay) -> Option<&Self> {
                if let Overlay::$kind(state) = overlay { Some(state) } else { None }
            }

            fn of_mut(overlay: &mut Overlay) -> Option<&mut Self> {
                if let Overlay::$kind(state) = overlay { Some(state) } else { None }
            }

            fn into_overlay(self) -> Overlay {
                Overlay::$kind(Box::new(self))
            }
        })+
    };
}

overlays! {
    Help(help::HelpText),
    Models(models::ModelPicker),
    Efforts(efforts::EffortList),
    Frames(super::frames::FrameList),
    Approval(approval::ApprovalDialog),
    Search(super::search::Search),
    Outline(super::outline::Outline),
    Raw(raw::RawText),
    Links(links::LinkList),
    Modes(modes::ModeList),
    Permissions(permissions::PermissionList),
    Palette(palette::Palette),
    PromptHistory(prompt_history::PromptHistory),
    Sessions(sessions::SessionPicker),
    Status(status::StatusText),
    Tabs(tabs::TabList),
    Themes(themes::ThemePicker),
    CodePicker(code_picker::CodePicker),
    Title(title::TitleField),
    Usage(usage::UsageReport),
    Agents(agents::AgentList),
    AgentTranscript(agents::AgentTranscript),
    Diff(diff::DiffText),
    SystemPrompt(system_prompt::SystemPromptText),
    Memory(memory::MemoryText),
    Tasks(tasks::TaskList),
    TaskOutput(tasks::TaskOutputText),
    KeyStatus(key_status::KeyStatusText),
    Serving(serving::ServingText),
    Mcp(mcp::McpServerList),
    McpServer(mcp::McpServerText),
    SessionsSearch(found_texts::SessionsSearch),
    Rewind(rewind::RewindList),
    BranchTree(branch_tree::BranchTree),
    FileRestore(file_restore::FileRestore),
}

/// A kind of overlay, for whoever looks for it in the stack.
pub trait OverlayKind: Sized {
    fn of(overlay: &Overlay) -> Option<&Self>;
    fn of_mut(overlay: &mut Overlay) -> Option<&mut Self>;
    fn into_overlay(self) -> Overlay;
}

/// How much of the screen an overlay takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayExtent {
    /// A box over all panes.
    Box,
    /// The place of the composer, while the transcript is read.
    InputRow,
    /// Rows above the composer; the panes stay in use.
    Docked,
}

/// What a letter is that an overlay without a field gets: somebody may be typing without having seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterUse {
    /// It is the overlay's own.
    Own,
    /// It chooses from a list, or nothing.
    Choice(bool),
    /// It chooses a code block of those on the screen, which only the view knows.
    CodeBlock,
    /// It does something, or nothing.
    Command(bool),
    /// It does something to a text that is read, or nothing.
    Reading(bool),
    /// Its key says whether it goes to a match.
    Match,
}

/// What becomes of an overlay after what was done to it.
#[derive(Clone, Debug, PartialEq)]
pub enum OverlayOutcome {
    Stay,
    Close,
    /// It closes, and this is asked for.
    Then(Action),
}

/// What an overlay says of itself and what keys do to it. Says nothing about how it looks.
pub trait OverlayState {
    fn extent(&self) -> OverlayExtent {
        OverlayExtent::Box
    }

    /// Returns where its keys are looked up, before those that hold anywhere.
    fn key_contexts(&self) -> &'static [Context] {
        &[Context::Overlay]
    }

    /// Returns whether plain characters are text for it, and not its keys.
    fn is_typing(&self) -> bool {
        false
    }

    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Own
    }

    /// Returns the text that is being written.
    fn field(&mut self) -> Option<&mut String> {
        None
    }

    /// The field was changed.
    fn on_edit(&mut self, _store: &mut Store) {}

    fn type_char(&mut self, c: char, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let Some(text) = self.field() {
            if !c.is_control() && text.len() < MAX_INPUT_BYTES {
                text.push(c);
            }
            self.on_edit(store);
        }
        OverlayOutcome::Stay
    }

    fn backspace(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let Some(text) = self.field() {
            text.pop();
            self.on_edit(store);
        }
        OverlayOutcome::Stay
    }

    /// Empties the field.
    fn clear(&mut self, store: &mut Store) -> OverlayOutcome {
        if let Some(text) = self.field() {
            text.clear();
            self.on_edit(store);
        }
        OverlayOutcome::Stay
    }

    /// Moves the selection, or the text; of a text only the view knows the `end`.
    fn scroll(&mut self, _step: ScrollStep, _end: usize, _store: &mut Store) {}

    /// Enter.
    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.close(store, fx)
    }

    /// Esc.
    fn close(&mut self, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        OverlayOutcome::Close
    }

    /// Something was written that belongs into the composer.
    fn yield_to_composer(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.close(store, fx)
    }

    /// Returns what it lists, for whoever shows no screen: a row of text each, not cleaned. None where it is no list.
    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        None
    }

    /// Chooses a row of those, and does what Enter would.
    fn choose_row(&mut self, _nth: usize, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        OverlayOutcome::Stay
    }

    /// Does what only this overlay knows.
    fn act(&mut self, _action: &Action, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        OverlayOutcome::Stay
    }

    /// Asks for what it would show next, after anything was done to it.
    fn ask(&mut self, _fx: &mut Vec<Effect>) {}

    /// Returns whether there is something left to look at, for which nobody waits.
    fn wants_work(&self, _store: &Store) -> bool {
        false
    }

    /// Looks at some of it.
    fn work(&mut self, _store: &mut Store) {}

    /// Items were put before those that are there: what counts them counts anew.
    fn on_items_prepended(&mut self, _store: &mut Store) {}
}
