//! Every named thing a person can ask for.
//!
//! [`ACTIONS`] is the one table that keys, help, palette and config read. What needs an argument a key can't carry
//! (a text, a model's name) is a variant without a row. Nothing here knows a key.

use crate::event::{ApprovalMode, Millis, SeekTarget};

use super::approval::ApprovalChoice;
use super::pane::Pane;

/// A wish that changes what is true on screen or is sent to the source. Goes to `Store::update`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Submit(String),
    Cancel,
    /// Takes back the newest queued prompt; the composer gets its text.
    DequeuePrompt,
    /// Sends the last prompt again, as when its answer broke off.
    Retry,
    /// Send what waits from an earlier run.
    SendQueued,
    /// Selects an answer to the ask on the screen.
    Choose(ApprovalChoice),
    /// A character was typed over the ask on the screen; it may be bound to a choice.
    ApprovalTyped {
        c: char,
        choice: Option<ApprovalChoice>,
    },
    /// The ask on the screen was drawn.
    ApprovalShown,
    /// Text for the composer came: the ask on the screen steps back behind its marker.
    HideApproval,
    CycleMode,
    /// Lists the modes.
    OpenModes,
    /// Lists what is allowed and denied.
    OpenPermissions,
    /// Takes the selected grant back.
    RevokeGrant,
    SetMode(ApprovalMode),
    SetModel(String),
    OpenModels,
    OpenHelp,
    /// Looks for a text in the transcript, from the item that is being read; none is the end. Without a text the
    /// last one is looked for.
    OpenSearch {
        from: Option<u64>,
        query: Option<String>,
    },
    /// Copies an answer, counted from the newest, which is 1.
    CopyAnswer(usize),
    /// Copies the source of an item.
    CopyItem(u64),
    /// Copies the code block that the person picked.
    CopyCode(String),
    /// Shows an item as it came; none is the last answer.
    OpenRaw {
        item: Option<u64>,
    },
    /// Lists the links and files of an item; none is the newest there are.
    OpenLinks {
        item: Option<u64>,
    },
    OverlayStart,
    OverlayEnd,
    /// Puts letters on the code blocks.
    OpenCodePicker,
    /// Lists the prompts and headings, from the one that is being read.
    OpenOutline {
        from: Option<u64>,
    },
    SearchOlder,
    SearchNewer,
    /// The query is an expression, or not.
    SearchRegex,
    /// Enter: the query is written; once more, the reader stays at the match.
    SearchAccept,
    /// Shows the raw frames of the streams.
    OpenFrames,
    /// They stand still, or follow what comes.
    PauseFrames,
    /// Saves them as a recording.
    SaveFrames,
    CloseOverlay,
    /// Brings the waiting approval to the front.
    OpenApproval,
    /// Typing into the overlay on top: a filter, a reason, a pattern.
    OverlayChar(char),
    OverlayBackspace,
    /// Empties the field.
    OverlayClear,
    OverlayUp,
    OverlayDown,
    OverlayPageUp,
    OverlayPageDown,
    /// The view found that the overlay on top ends there.
    OverlayScrollTo(usize),
    /// Enter: choose the selected model, give the selected answer, send the reason or pattern.
    OverlayAccept,
    /// The composer got or lost its text: an approval that arrives opens by itself only over an empty one.
    ComposerChanged {
        empty: bool,
    },
    ToggleThinking,
    ToggleOutputs,
    ToggleToolPanel,
    ToggleLinkTargets,
    CycleTimestamps,
    /// Shows what the screen costs, or not.
    ToggleDebug,
    ToggleFold(u64),
    Pause,
    Faster,
    Slower,
    RealTime,
    Step(i64),
    Seek(SeekTarget),
    /// The same value again switches it off.
    CapIdle(Option<Millis>),
    Quit,
    Focus(Pane),
}

/// A wish about the view that needs geometry. Goes to `Ui::apply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UiAction {
    Send,
    Newline,
    ScrollUp,
    ScrollDown,
    PageUp,
    PageDown,
    HalfPageUp,
    HalfPageDown,
    ScrollStart,
    ScrollEnd,
    PreviousPrompt,
    NextPrompt,
    /// Looks for a text, from what is being read.
    Search,
    /// Goes on with the last search.
    SearchAgain,
    Outline,
    /// Shows the selected item as it came.
    RawSelected,
    /// Lists the links of the selected item, else the newest.
    LinksSelected,
    /// Copies the selected item.
    CopySelected,
    FocusNext,
    FocusPrevious,
    SelectUp,
    SelectDown,
    FoldSelected,
    /// Up: a row, and from the first row to the prompt before.
    HistoryPrevious,
    /// Down: a row, and from the last row to the prompt after.
    HistoryNext,
    Edit(Edit),
    /// Takes the chosen completion into the text.
    Complete,
    Escape,
    Interrupt,
    DeleteOrQuit,
    Redraw,
    Suspend,
}

impl UiAction {
    /// Tells whether it does nothing but move what is read.
    pub fn is_movement(self) -> bool {
        matches!(
            self,
            Self::ScrollUp
                | Self::ScrollDown
                | Self::PageUp
                | Self::PageDown
                | Self::HalfPageUp
                | Self::HalfPageDown
                | Self::ScrollStart
                | Self::ScrollEnd
                | Self::PreviousPrompt
                | Self::NextPrompt
                | Self::SelectUp
                | Self::SelectDown
                | Self::FoldSelected
        )
    }
}

/// A change of the text in the composer or of the place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    Backspace,
    Delete,
    DeleteWordLeft,
    DeleteWordRight,
    DeleteToLineStart,
    DeleteToLineEnd,
    Yank,
    Undo,
    Redo,
}

/// Where an action makes sense; a key means what the innermost context says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Anywhere.
    Global,
    Composer,
    /// The composer while nothing is typed; falls through to the composer.
    EmptyComposer,
    Transcript,
    ToolPanel,
    Approval,
    Replay,
    /// The field of the search; falls through to the overlay.
    Search,
    /// Among the matches; falls through to the transcript.
    Matches,
    /// Help, model list, and fields inside an overlay.
    Overlay,
}

impl Context {
    pub const ALL: [Self; 10] = [
        Self::Global,
        Self::Composer,
        Self::EmptyComposer,
        Self::Transcript,
        Self::ToolPanel,
        Self::Approval,
        Self::Replay,
        Self::Search,
        Self::Matches,
        Self::Overlay,
    ];

    /// Returns the name in the config file and in the help.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Composer => "composer",
            Self::EmptyComposer => "empty-composer",
            Self::Transcript => "transcript",
            Self::ToolPanel => "tool-panel",
            Self::Approval => "approval",
            Self::Replay => "replay",
            Self::Search => "search",
            Self::Matches => "matches",
            Self::Overlay => "overlay",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.name() == name)
    }

    /// Tells whether letters are text here, so that a bare letter can't be a command.
    pub fn takes_text(self) -> bool {
        matches!(self, Self::Global | Self::Composer | Self::Overlay | Self::Search)
    }
}

/// What a row does.
#[derive(Clone, Copy, Debug)]
pub enum ActionHandler {
    /// For the store.
    Store(fn() -> Action),
    /// For the view.
    View(UiAction),
}

impl PartialEq for ActionHandler {
    /// Compares what is done; the functions are constants.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Store(one), Self::Store(other)) => one() == other(),
            (Self::View(one), Self::View(other)) => one == other,
            (Self::Store(_), Self::View(_)) | (Self::View(_), Self::Store(_)) => false,
        }
    }
}

/// One named action.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    pub name: &'static str,
    pub context: Context,
    pub handler: ActionHandler,
    pub help: &'static str,
}

/// Returns the row of that name.
pub fn find_action(name: &str) -> Option<&'static ActionSpec> {
    ACTIONS.iter().find(|row| row.name == name)
}

/// What is left of a longer gap when a replay squeezes them.
const IDLE_CAP: Millis = Millis(1_000);

const fn act(name: &'static str, context: Context, make: fn() -> Action, help: &'static str) -> ActionSpec {
    ActionSpec { name, context, handler: ActionHandler::Store(make), help }
}

const fn view(name: &'static str, context: Context, what: UiAction, help: &'static str) -> ActionSpec {
    ActionSpec { name, context, handler: ActionHandler::View(what), help }
}

const fn edit(name: &'static str, what: Edit, help: &'static str) -> ActionSpec {
    view(name, Composer, UiAction::Edit(what), help)
}

use Context::{Approval, Composer, Global, Matches, Overlay, Replay, Search, ToolPanel, Transcript};

/// All of them, in the order in which help shows them.
pub const ACTIONS: &[ActionSpec] = &[
    view("app.escape", Global, UiAction::Escape, "close what is open, else interrupt; again forces"),
    view("app.interrupt", Global, UiAction::Interrupt, "clear the draft, else interrupt, else quit (twice)"),
    act("app.help", Global, || Action::OpenHelp, "all keys"),
    act("model.choose", Global, || Action::OpenModels, "choose a model"),
    act("frames.open", Global, || Action::OpenFrames, "show the raw frames of the stream"),
    act("mode.cycle", Global, || Action::CycleMode, "next mode: ask, auto-edit, plan"),
    act("mode.ask", Global, || Action::SetMode(ApprovalMode::Ask), "ask before writing, running, fetching"),
    act("mode.auto-edit", Global, || Action::SetMode(ApprovalMode::AutoEdit), "change files here without asking"),
    act("mode.plan", Global, || Action::SetMode(ApprovalMode::Plan), "read only"),
    act("mode.full", Global, || Action::SetMode(ApprovalMode::Full), "never ask"),
    act("mode.choose", Global, || Action::OpenModes, "choose a mode"),
    act("permissions.open", Global, || Action::OpenPermissions, "list what is allowed, take grants back"),
    act("approval.open", Global, || Action::OpenApproval, "show the pending approval"),
    act("prompt.take-back", Global, || Action::DequeuePrompt, "take back the last queued prompt"),
    act("prompt.retry", Global, || Action::Retry, "send the last prompt again"),
    act("turn.cancel", Global, || Action::Cancel, "interrupt the turn"),
    act("output.toggle", Global, || Action::ToggleOutputs, "fold or unfold tool output"),
    act("thinking.toggle", Global, || Action::ToggleThinking, "show or hide thinking"),
    act("links.toggle", Global, || Action::ToggleLinkTargets, "show or hide link targets"),
    act("timestamps.cycle", Global, || Action::CycleTimestamps, "message times: off, relative, clock"),
    act("tool-panel.toggle", Global, || Action::ToggleToolPanel, "show or hide the tool panel"),
    view("transcript.page-up", Global, UiAction::PageUp, "page up"),
    view("transcript.page-down", Global, UiAction::PageDown, "page down"),
    view("transcript.start", Global, UiAction::ScrollStart, "go to the start"),
    view("transcript.end", Global, UiAction::ScrollEnd, "go to the end and follow"),
    view("transcript.previous-prompt", Global, UiAction::PreviousPrompt, "your previous prompt"),
    view("transcript.next-prompt", Global, UiAction::NextPrompt, "your next prompt"),
    view("search.open", Global, UiAction::Search, "search the transcript"),
    view("outline.open", Global, UiAction::Outline, "list of prompts and headings"),
    act("copy.answer", Global, || Action::CopyAnswer(1), "copy the last answer"),
    act("copy.code", Global, || Action::OpenCodePicker, "copy a code block by its letter"),
    view("focus.next", Global, UiAction::FocusNext, "focus the next pane"),
    view("focus.previous", Global, UiAction::FocusPrevious, "focus the previous pane"),
    act("session.new", Global, || Action::Submit("/new".into()), "start a new session"),
    act("app.debug", Global, || Action::ToggleDebug, "show render statistics"),
    view("app.redraw", Global, UiAction::Redraw, "redraw the screen"),
    view("app.suspend", Global, UiAction::Suspend, "suspend; fg resumes"),
    act("app.quit", Global, || Action::Quit, "quit"),
    view("composer.send", Composer, UiAction::Send, "send; while busy, queue"),
    view("composer.newline", Composer, UiAction::Newline, "new line"),
    view("composer.complete", Composer, UiAction::Complete, "complete a command"),
    view("composer.up", Composer, UiAction::HistoryPrevious, "up; from the first line, earlier prompt"),
    view("composer.down", Composer, UiAction::HistoryNext, "down; from the last line, later prompt"),
    view("composer.delete-or-quit", Composer, UiAction::DeleteOrQuit, "delete forward; quit when empty"),
    edit("composer.left", Edit::Left, "left"),
    edit("composer.right", Edit::Right, "right"),
    edit("composer.word-left", Edit::WordLeft, "one word left"),
    edit("composer.word-right", Edit::WordRight, "one word right"),
    edit("composer.line-start", Edit::LineStart, "start of the line"),
    edit("composer.line-end", Edit::LineEnd, "end of the line"),
    edit("composer.backspace", Edit::Backspace, "delete backward"),
    edit("composer.delete", Edit::Delete, "delete forward"),
    edit("composer.delete-word-left", Edit::DeleteWordLeft, "delete the previous word"),
    edit("composer.delete-word-right", Edit::DeleteWordRight, "delete the next word"),
    edit("composer.delete-to-start", Edit::DeleteToLineStart, "delete to the line's start"),
    edit("composer.delete-to-end", Edit::DeleteToLineEnd, "delete to the line's end"),
    edit("composer.yank", Edit::Yank, "insert the last deleted text"),
    edit("composer.undo", Edit::Undo, "undo"),
    edit("composer.redo", Edit::Redo, "redo"),
    view("transcript.scroll-up", Transcript, UiAction::ScrollUp, "scroll up"),
    view("transcript.scroll-down", Transcript, UiAction::ScrollDown, "scroll down"),
    view("transcript.half-page-up", Transcript, UiAction::HalfPageUp, "half a page up"),
    view("transcript.half-page-down", Transcript, UiAction::HalfPageDown, "half a page down"),
    view("transcript.select-up", Transcript, UiAction::SelectUp, "select the previous item"),
    view("transcript.select-down", Transcript, UiAction::SelectDown, "select the next item"),
    view("transcript.fold", Transcript, UiAction::FoldSelected, "fold or unfold the selected item"),
    view("transcript.search-again", Transcript, UiAction::SearchAgain, "repeat the last search"),
    view("transcript.copy", Transcript, UiAction::CopySelected, "copy the selected item"),
    view("transcript.raw", Transcript, UiAction::RawSelected, "show the source of the selected item"),
    view("transcript.links", Transcript, UiAction::LinksSelected, "links and files, to open or copy"),
    view("tool-panel.up", ToolPanel, UiAction::SelectUp, "select the previous call"),
    view("tool-panel.down", ToolPanel, UiAction::SelectDown, "select the next call"),
    view("tool-panel.fold", ToolPanel, UiAction::FoldSelected, "fold or unfold the selected call"),
    view("tool-panel.copy", ToolPanel, UiAction::CopySelected, "copy the selected call and its output"),
    act("approval.once", Approval, || Action::Choose(ApprovalChoice::Once), "select: allow once"),
    act(
        "approval.session",
        Approval,
        || Action::Choose(ApprovalChoice::Session),
        "select: allow this tool for this session",
    ),
    act(
        "approval.pattern",
        Approval,
        || Action::Choose(ApprovalChoice::Pattern),
        "select: allow calls that match a pattern",
    ),
    act("approval.deny", Approval, || Action::Choose(ApprovalChoice::Deny), "select: deny"),
    act(
        "approval.deny-with-reason",
        Approval,
        || Action::Choose(ApprovalChoice::DenyWithReason),
        "select: deny with a reason",
    ),
    act("approval.view", Approval, || Action::Choose(ApprovalChoice::ShowAll), "show it in full"),
    act("approval.answer", Approval, || Action::OverlayAccept, "confirm the selected answer; Esc denies"),
    act("approval.up", Approval, || Action::OverlayUp, "select the previous answer"),
    act("approval.down", Approval, || Action::OverlayDown, "select the next answer"),
    act("approval.clear", Approval, || Action::OverlayBackspace, "select nothing"),
    view("approval.page-up", Approval, UiAction::PageUp, "scroll the transcript up"),
    view("approval.page-down", Approval, UiAction::PageDown, "scroll the transcript down"),
    act("replay.pause", Replay, || Action::Pause, "play or pause"),
    act("replay.back", Replay, || Action::Seek(SeekTarget::By(-5_000)), "5 s back"),
    act("replay.forward", Replay, || Action::Seek(SeekTarget::By(5_000)), "5 s forward"),
    act("replay.far-back", Replay, || Action::Seek(SeekTarget::By(-30_000)), "30 s back"),
    act("replay.far-forward", Replay, || Action::Seek(SeekTarget::By(30_000)), "30 s forward"),
    act("replay.step-back", Replay, || Action::Step(-1), "one event back"),
    act("replay.step", Replay, || Action::Step(1), "one event forward"),
    act("replay.previous-turn", Replay, || Action::Seek(SeekTarget::Turns(-1)), "previous turn"),
    act("replay.next-turn", Replay, || Action::Seek(SeekTarget::Turns(1)), "next turn"),
    act("replay.faster", Replay, || Action::Faster, "faster"),
    act("replay.slower", Replay, || Action::Slower, "slower"),
    act("replay.real-time", Replay, || Action::RealTime, "original speed"),
    act("replay.start", Replay, || Action::Seek(SeekTarget::Start), "to the start"),
    act("replay.end", Replay, || Action::Seek(SeekTarget::End), "to the end"),
    act("replay.squeeze", Replay, || Action::CapIdle(Some(IDLE_CAP)), "shorten idle gaps, or not"),
    act("search.older", Search, || Action::SearchOlder, "previous match (older)"),
    act("search.newer", Search, || Action::SearchNewer, "next match (newer)"),
    act("search.regex", Search, || Action::SearchRegex, "regular expression or words"),
    act("search.accept", Search, || Action::SearchAccept, "step through the matches"),
    act("matches.older", Matches, || Action::SearchOlder, "previous match (older)"),
    act("matches.newer", Matches, || Action::SearchNewer, "next match (newer)"),
    act("matches.stay", Matches, || Action::SearchAccept, "stay at this match; Esc goes back"),
    act("overlay.up", Overlay, || Action::OverlayUp, "up"),
    act("overlay.down", Overlay, || Action::OverlayDown, "down"),
    act("overlay.page-up", Overlay, || Action::OverlayPageUp, "page up"),
    act("overlay.page-down", Overlay, || Action::OverlayPageDown, "page down"),
    act("overlay.start", Overlay, || Action::OverlayStart, "first"),
    act("overlay.end", Overlay, || Action::OverlayEnd, "last"),
    act("overlay.accept", Overlay, || Action::OverlayAccept, "choose"),
    act("overlay.backspace", Overlay, || Action::OverlayBackspace, "delete backward"),
    act("overlay.clear", Overlay, || Action::OverlayClear, "clear the field"),
    act("permissions.revoke", Overlay, || Action::RevokeGrant, "permissions: take back the selected grant"),
    act("frames.pause", Overlay, || Action::PauseFrames, "frames: pause or follow"),
    act("frames.save", Overlay, || Action::SaveFrames, "frames: save as a recording"),
    act("overlay.close", Overlay, || Action::CloseOverlay, "close"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_look_alike() {
        for (at, row) in ACTIONS.iter().enumerate() {
            assert!(ACTIONS[..at].iter().all(|other| other.name != row.name), "{} twice", row.name);
            assert!(row.name.contains('.') && row.name.chars().all(|c| c.is_ascii_lowercase() || ".-".contains(c)));
            assert!(!row.help.is_empty() && !row.help.ends_with('.'));
            assert_eq!(find_action(row.name).map(|row| row.name), Some(row.name));
        }
    }

    #[test]
    fn every_context_is_found_by_its_name() {
        for context in Context::ALL {
            assert_eq!(Context::parse(context.name()), Some(context));
        }
    }
}
