//! What a person can ask for: of the store, or of the view; and where a key may mean it.
//!
//! Not here: the names, keys and commands by which it is asked for (`action_table.rs`).

use crate::event::{ApprovalMode, CallId, ExportRequest, Millis, SeekTarget, Seq, SessionId};

use super::Timestamps;
use super::approval::{ApprovalChoice, HunkStep};
use super::notification::NotifyWish;
use super::outline::OutlineSubject;
use super::pane::{Pane, PanelSide};
use super::status_parts::StatusPart;
use super::tabs::{TabListSubject, TabTarget};

/// A wish that changes what is true on screen or is sent to the source. Goes to `Store::update`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Submit(String),
    Cancel,
    /// Puts a text into the running turn; where that can't be, it is a prompt.
    Steer(String),
    /// Takes a queued prompt back into the composer, counted from the first, which is 1; none is the last.
    DequeuePrompt(Option<usize>),
    /// Lets a file go with the prompt that is being written; an empty path names none.
    AttachFile {
        path: String,
        images_only: bool,
    },
    /// The same with the image on the clipboard.
    PasteImage,
    /// Sends the last prompt again, as when its answer broke off.
    Retry,
    /// Send what waits from an earlier run.
    SendQueued,
    /// Selects an answer to the ask on the screen.
    Choose(ApprovalChoice),
    /// Chooses a row of the list on top, counted from 0.
    ChooseRow(usize),
    /// A character was typed over the ask on the screen; it may be bound to a choice.
    ApprovalTyped {
        c: char,
        choice: Option<ApprovalChoice>,
        step: Option<HunkStep>,
    },
    /// A step of the decision about hunks.
    DecideHunk(HunkStep),
    /// Text for the composer came: what lies over it gives way.
    YieldToComposer,
    CycleMode,
    /// Lists the modes.
    OpenModes,
    /// Lists what is allowed and denied.
    OpenPermissions,
    /// Takes the selected grant back.
    RevokeGrant,
    SetMode(ApprovalMode),
    /// A mode by its name: one of the agent's own.
    SetAgentMode(String),
    /// One of the agent's own settings.
    SetOption {
        option: String,
        value: String,
    },
    SetModel(String),
    OpenModels,
    /// Lists the models, those nearest to a name that was no model's first.
    OpenNearestModels(String),
    OpenHelp,
    /// Tells what is used and why.
    OpenStatus,
    /// Shows where the tokens of the session went.
    OpenUsage,
    /// Shows what fills the context window.
    OpenContext,
    /// Lists every action.
    OpenPalette,
    /// Stops the command that the person runs.
    StopRun,
    /// Nothing of what commands printed goes with the next prompt.
    DropContext,
    /// Lists these prompts, older first.
    OpenPromptHistory(Vec<String>),
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
    /// Copies what was selected with the pointer.
    CopySelection(String),
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
    /// Puts letters on the code blocks.
    OpenCodePicker,
    /// Lists the prompts and headings, or what is marked, from the one that is being read.
    OpenOutline {
        subject: OutlineSubject,
        from: Option<u64>,
    },
    /// Marks an item, or takes its mark off; none is the last answer.
    ToggleMark {
        item: Option<u64>,
    },
    /// Copies the command that opens the session at an item; none is the last answer.
    CopyLink {
        item: Option<u64>,
    },
    /// Lists the prompts of this branch to go back to.
    OpenRewind,
    /// Goes back to before a prompt, counted from the newest, which is 1.
    Rewind(usize),
    /// Begins another branch here, or before a prompt, counted likewise.
    Fork(Option<usize>),
    /// Goes back to the branch that was left last.
    RedoBranch,
    /// Shows all branches.
    OpenBranchTree,
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
    /// Saves what there was of them in that file.
    SaveFramesTo(String),
    /// Writes the session to a file in another form.
    Export(ExportRequest),
    CloseOverlay,
    /// Brings the waiting approval to the front.
    OpenApproval,
    /// Likewise the one of that call.
    OpenApprovalOf(CallId),
    /// Typing into the overlay on top: a filter, a reason, a pattern.
    OverlayChar(char),
    OverlayBackspace,
    /// Empties the field.
    OverlayClear,
    /// Moves in the overlay on top; `end` is how far a text can be scrolled, which only the view knows.
    ScrollOverlay {
        step: ScrollStep,
        end: usize,
    },
    /// Enter: choose the selected model, give the selected answer, send the reason or pattern.
    OverlayAccept,
    ToggleThinking,
    ShowThinking(bool),
    ToggleOutputs,
    /// Shows a pane where it is not, or hides it.
    TogglePane(Pane),
    ToggleLinkTargets,
    /// Shows all of the agent's plan, none of it, or some rows.
    CycleTodos,
    /// Lists the sub-agents.
    OpenAgents,
    CycleTimestamps,
    SetTimestamps(Timestamps),
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
    /// Begins an empty session, in place of this one or beside it.
    NewSession,
    /// Lists the open sessions, or what waits in them.
    OpenTabList(TabListSubject),
    /// Shows another session that is open.
    SwitchTab(TabTarget),
    /// Ends this session, which stays saved, and shows another; asked twice while a turn runs.
    CloseTab,
    /// Lists the saved sessions.
    OpenSessions,
    /// Goes on with another session: its id, or the beginning of it.
    ResumeSession(String),
    /// Look for words, or `/an expression/`, in all saved sessions; without one the person types it.
    SearchSessions(Option<String>),
    /// Bring sessions of other programs here: from that file or folder, or from where the programs keep them.
    ImportSessions(Option<String>),
    /// Write this session for another agent: in which form, and into which file.
    HandOff(Option<String>),
    /// Go on with a session, at the place of an event.
    GoToSession(SessionId, Seq),
    /// Lists the sessions of other folders too, or not.
    ToggleAllFolders,
    /// Deletes the selected session, when asked twice.
    RemoveSession,
    /// Asks for a title of the selected session.
    RenameSelected,
    /// Puts the selected session into the archive, or takes it out.
    ArchiveSession,
    /// Lists the archived sessions, or the others.
    ToggleArchived,
    /// Names this session; without a title a field asks for one.
    RenameSession(Option<String>),
    /// Turns vim's modes in the composer on, or off.
    ToggleVim,
    /// Opens the draft in an editor.
    EditDraft,
    /// Lists how much the model may think.
    OpenEfforts,
    /// Sets how much the model thinks.
    SetEffort(String),
    /// Sets the next higher level, or the next lower one.
    StepEffort {
        is_up: bool,
    },
    /// Lists the themes.
    OpenThemes,
    /// Shows a theme by its name, or the one after that which is shown.
    SetTheme(Option<String>),
    /// Reads keys and looks again from the settings.
    ReloadSettings,
    /// Shows what the session changed in files.
    OpenDiff,
    /// Shows what the model is told before the conversation.
    OpenSystemPrompt,
    /// Shows which instructions it was given besides.
    OpenMemory,
    /// Lists the commands that run in the background.
    OpenTasks,
    /// Trusts the project of the folder, so that its instructions are read.
    TrustFolder,
    /// Has the agent draft a file with instructions.
    DraftInstructions,
    /// Tells it something else from the next request on; [`crate::event::AgentOption::DEFAULT_VALUE`] takes that back.
    SetSystemPrompt(String),
    /// Puts side panes to that side of the transcript; without one the other.
    SetPanelSide(Option<PanelSide>),
    /// Tells which parts the lowest rows have; with one, takes it out or puts it back.
    ToggleStatusPart(Option<StatusPart>),
    /// Shows all of them.
    ShowStatusParts,
    /// Calls the person now, or sets when they are called, until the program ends.
    SetNotify(NotifyWish),
    /// Serves the session on loopback, or no longer.
    ToggleServing,
    /// Tells who follows it.
    ListPeers,
    /// Shows the MCP servers; one that is named is started again before.
    ShowMcp(Option<String>),
    /// Tells where keys are expected, and whether they are there.
    OpenKeyStatus,
    /// Opens a session with what is named as on the command line of `attach`.
    Attach(String),
    /// Leaves the session to what it is attached to.
    Detach,
    /// Tries the link again at once.
    Reconnect,
    /// Sum earlier turns up, with what the person wants kept.
    Compact(Option<String>),
    /// That of an item, else the last.
    UndoCompaction {
        item: Option<u64>,
    },
    /// Replay: play a part again and again: sets its beginning, then its end, then neither.
    CycleLoop,
    StopLoop,
    SetSpeed(f32),
    /// Replay: shorten pauses to so much, or play them in full.
    SetIdleCap(Option<Millis>),
    /// Plays a saved session: its id or its file; none is this one.
    PlaySession(Option<String>),
    Quit,
    Focus(Pane),
}

/// Rows that a page of an overlay scrolls.
pub const PAGE_ROWS: usize = 10;

/// A move in a list or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScrollStep {
    Back(usize),
    Forward(usize),
}

impl ScrollStep {
    /// Returns where it leads, up to and including `end`.
    #[must_use]
    pub fn from(self, place: usize, end: usize) -> usize {
        match self {
            Self::Back(rows) => place.min(end).saturating_sub(rows),
            Self::Forward(rows) => place.saturating_add(rows).min(end),
        }
    }
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
    /// Marks the selected item, or takes its mark off.
    MarkSelected,
    UndoSelected,
    /// Copies the command that opens the session at the selected item.
    CopySelectedLink,
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
    /// Takes the chosen completion into the text; where there is none, puts the text into the running turn.
    Complete,
    /// Puts the text into the running turn.
    Steer,
    /// Searches the prompts of all sessions.
    PromptHistory,
    /// Turns vim's modes in the composer on, or off.
    ToggleVim,
    /// Puts the draft away, or brings the one back that was put away last.
    Stash,
    /// Opens the draft in the person's editor.
    EditDraft,
    /// Moves in the overlay on top.
    ScrollOverlay(ScrollStep),
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
    /// The composer while nothing is typed; falls through to the composer.
    EmptyComposer,
    /// While the pane has the keys.
    Pane(Pane),
    Approval,
    /// The hunks of an ask, one by one; falls through to the overlay.
    Hunks,
    Replay,
    /// The field of the search; falls through to the overlay.
    Search,
    /// Among the matches; falls through to the transcript.
    Matches,
    /// The session picker; falls through to the overlay.
    Sessions,
    /// Help, model list, and fields inside an overlay.
    Overlay,
}

impl Context {
    /// Returns all of them, in the order of help and settings.
    pub fn all() -> impl Iterator<Item = Self> {
        let panes = Pane::all().filter(|pane| *pane != Pane::Composer).map(Self::Pane);
        [Self::Global, Self::Pane(Pane::Composer), Self::EmptyComposer].into_iter().chain(panes).chain([
            Self::Approval,
            Self::Hunks,
            Self::Replay,
            Self::Search,
            Self::Matches,
            Self::Sessions,
            Self::Overlay,
        ])
    }

    /// Returns the name in the config file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::EmptyComposer => "empty-composer",
            Self::Pane(pane) => pane.name(),
            Self::Approval => "approval",
            Self::Hunks => "hunks",
            Self::Replay => "replay",
            Self::Search => "search",
            Self::Matches => "matches",
            Self::Sessions => "sessions",
            Self::Overlay => "overlay",
        }
    }

    /// Returns the name in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Anywhere",
            Self::EmptyComposer => "Empty composer",
            Self::Pane(pane) => pane.title(),
            Self::Approval => "Approval",
            Self::Hunks => "Hunks of an approval",
            Self::Replay => "Replay",
            Self::Search => "Search",
            Self::Matches => "Among the matches",
            Self::Sessions => "Session picker",
            Self::Overlay => "Lists and fields",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|context| context.name() == name)
    }

    /// Tells whether letters are text here, so that a bare letter can't be a command.
    pub fn takes_text(self) -> bool {
        matches!(self, Self::Global | Self::Pane(Pane::Composer) | Self::Overlay | Self::Search | Self::Sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_is_found_by_its_name() {
        for context in Context::all() {
            assert_eq!(Context::parse(context.name()), Some(context));
        }
    }
}
