//! Everything that can reach the store.

use std::collections::BTreeMap;

use crate::event::{
    Envelope, FileCheck, McpServerStatus, Millis, OutputStream, PromptContext, SessionId, SessionStatus,
};

use super::action::Action;
use super::effect::MentioningPrompt;
use super::frames::FrameRow;
#[cfg(feature = "images")]
use super::image_source::ImageSource;
#[cfg(feature = "images")]
use super::images::{DecodeResult, GraphicsMode};
use super::models::ModelChoice;
use super::overlay::found_texts::FoundTextList;
use super::overlay::memory::MemoryReport;
use super::overlay::tasks::TaskRow;
use super::person_runs::RunResult;
use super::sessions::{PreviewMessage, SessionChoice};
use super::spending::Spending;
use super::tabs::OpenTabs;

#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "lives for one call; there is never a list of them")]
pub enum Msg {
    /// A fact.
    Event(Envelope),
    /// A replay moved backwards: forget, facts follow from the start.
    Reset,
    /// Another branch is shown from here on: facts follow from the start.
    Refold,
    /// No more facts come.
    SessionEnded,
    Status(SessionStatus),
    /// The person asked.
    Action(Action),
    /// An effect came back.
    Report(Report),
    /// The person looks at this session, or no longer does.
    Looking(bool),
    /// What was new when the person looked again has been seen.
    NewSeen,
    /// Which sessions are open beside each other.
    Tabs(OpenTabs),
    /// So much of the earlier turns was read, in percent.
    HistoryProgress(u8),
    /// Images that are on the screen and not known.
    #[cfg(feature = "images")]
    RequestImages(Vec<ImageSource>),
    /// The ask on top was drawn.
    ApprovalShown,
    /// Nothing is being written: an ask that waits may open.
    OfferApproval,
    /// There is time: a slice of what `Store::wants_work` has to do.
    Work,
    /// The source's clock, sent only while something is animated.
    Tick(Millis),
    /// A key was pressed, and what it meant was done.
    KeyPressed(Millis),
}

/// How an effect went.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// What `/model` can offer: `engine/model` names, with a remark each (window, size, where it runs).
    Models(Vec<ModelChoice>),
    /// What goes with a prompt, and what that it mentions can't, with the reasons.
    PromptContext {
        prompt: MentioningPrompt,
        context: Vec<PromptContext>,
        problems: Vec<String>,
    },
    /// What was typed could not be made a prompt.
    NotSent {
        typed: String,
        why: String,
    },
    /// What the person's command printed.
    CommandOutput(OutputStream, String),
    CommandEnded(RunResult),
    /// The saved sessions, the newest first.
    Sessions(Vec<SessionChoice>),
    /// It is no longer in the list: deleted, archived or taken out of the archive.
    SessionRemoved(SessionId),
    /// What is found in all saved sessions, or why that can't be looked for.
    FoundTexts {
        query: String,
        found: Result<FoundTextList, String>,
    },
    SessionRenamed {
        id: SessionId,
        title: String,
    },
    /// What was said last in a saved session; none if it can't be read.
    SessionPreview(SessionId, Option<Vec<PreviewMessage>>),
    /// The names of the themes that the person wrote.
    Themes(Vec<String>),
    /// What was used today, by all sessions.
    DayUsage(Spending),
    /// How often each action was chosen from the palette, by its name.
    ActionUses(BTreeMap<String, u32>),
    /// The branch of the session's folder, and its log.
    Surroundings {
        branch: Option<String>,
        session_log: Option<String>,
    },
    /// The session is served at that address, to who has that token.
    Serving {
        url: String,
        token: String,
    },
    /// How the MCP servers are.
    Mcp {
        servers: Vec<McpServerStatus>,
        /// They were asked for, to be shown: all of them, or one.
        wanted: Option<Option<String>>,
    },
    /// What differs in the folder from the last commit, as a unified diff; or why that can't be told.
    FolderDiff(Result<String, String>),
    /// Which instructions and skills the agent has.
    Memory(MemoryReport),
    /// The commands in the background.
    Tasks {
        rows: Vec<TaskRow>,
        /// They were asked for, to be shown.
        is_wanted: bool,
    },
    /// How files stand that the agent changed.
    FilesChecked(Vec<FileCheck>),
    /// How many of them were put back, or why not all.
    FilesRestored(Result<usize, String>),
    Failed {
        what: String,
        why: String,
    },
    Info(String),
    /// How images are drawn here.
    #[cfg(feature = "images")]
    GraphicsMode(GraphicsMode),
    #[cfg(feature = "images")]
    Image(ImageSource, DecodeResult),
    /// What came on the streams, and how many bytes of them nobody can look at any more.
    Frames {
        rows: Vec<FrameRow>,
        dropped_bytes: u64,
    },
}
