//! Everything the store may ask for.

use std::collections::BTreeMap;

use crate::event::{Command, ExportRequest, RestoreStep, Seq, SessionId};

use super::action::UiAction;
#[cfg(feature = "images")]
use super::image_source::{ImageInfo, ImageSource};
use super::links::LinkTarget;
use super::notification::{Notification, NotifyWish};
use super::tabs::TabTarget;

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Send(Command),
    /// Read what a prompt mentions; answered by `Report::PromptContext`.
    ReadMentions(MentioningPrompt),
    /// Have a server write the prompt that is named; answered by `Report::PromptContext`.
    WriteServerPrompt {
        prompt: MentioningPrompt,
        words: String,
    },
    /// Read a file that is to go with the prompt in the composer, and put it there.
    AttachFile {
        path: String,
        images_only: bool,
    },
    /// The same with the image on the clipboard.
    PasteImage,
    /// Run a command of the person in the working folder; answered by `Report::CommandOutput` and then
    /// `Report::CommandEnded`.
    RunCommand(String),
    /// Stop it.
    StopCommand,
    /// Find out which models there are; answered by `Report::Models`.
    ListModels,
    /// Begin an empty session: in place of this one, which stays saved, or beside it where it is busy.
    NewSession,
    /// Find out which sessions are saved; answered by `Report::Sessions`.
    ListSessions {
        all_folders: bool,
        archived: bool,
    },
    /// Find out what was said last in a saved session; answered by `Report::SessionPreview`.
    PreviewSession(SessionId),
    /// Name a saved session; answered by `Report::SessionRenamed`.
    RenameSession {
        id: SessionId,
        title: String,
    },
    /// Leave a saved session out of lists, or no longer; answered by `Report::SessionRemoved`.
    ArchiveSession {
        id: SessionId,
        is_archived: bool,
    },
    /// Go on with the session of that id, or of the only id that begins like that: in its tab if it is open, else in place
    /// of this one or beside it.
    ResumeSession(String),
    /// The same, and go to the place of an event there.
    GoToSession(SessionId, Seq),
    /// Look for something in all saved sessions; answered by `Report::FoundTexts`.
    SearchSessions(String),
    /// Import sessions of other programs, from a file or folder or from where the programs keep them.
    ImportSessions(Option<String>),
    /// Write a session for another agent, in a form and into a file; without a file it gets a name of its own.
    HandOff {
        session: SessionId,
        format: String,
        file: Option<String>,
    },
    /// Delete a saved session; answered likewise.
    RemoveSession(SessionId),
    /// Open a session with what is named as on the command line of `attach`, beside the others; without a line, in this
    /// one's place, with what this screen was attached to from its start.
    Attach {
        line: Option<String>,
        is_beside: bool,
    },
    /// Serve this session on loopback, or no longer; answered by `Report::Serving`.
    ToggleServing,
    /// Find out who follows it; answered by a report.
    ListPeers,
    /// Tell how the MCP servers are, one of them started again; answered by `Report::Mcp`.
    ListMcp(Option<String>),
    /// Tell it when one of them is another than it was told last.
    WatchMcp,
    /// Start one again.
    RestartMcp(String),
    /// Play a saved session beside the others: its id or its file; none is this one.
    PlaySession(Option<String>),
    /// Look at files that the agent changed, before they are put back; answered by `Report::FilesChecked`.
    CheckFiles(Vec<RestoreStep>),
    /// Put them back; answered by `Report::FilesRestored`.
    RestoreFiles(Vec<RestoreStep>),
    /// Find out what differs in the folder from what git has; answered by `Report::FolderDiff`.
    DiffFolder,
    /// Find out which commands run in the background; answered by `Report::Tasks`.
    ListTasks,
    /// The same, to be shown.
    ShowTasks,
    /// Stop one, and then the same.
    StopTask(String),
    /// Find out which instructions and skills the agent has; answered by `Report::Memory`.
    ReadMemory,
    /// The same, once the project of the folder is trusted.
    TrustFolder,
    /// Give a text to the clipboard, or wherever the person can get it; answered by a report that says which way it
    /// went.
    Copy(CopyRequest),
    /// Open a link or a file; answered by a report.
    Open(LinkTarget),
    /// Save the raw frames as a recording: in that file, or in one with a name of its own. Answered by a report.
    SaveFrames(Option<String>),
    /// Write this session to a file in another form; answered by a report.
    Export(ExportRequest),
    /// Find out what kind of image that is, and how large; answered by `Report::Image`.
    #[cfg(feature = "images")]
    MeasureImage(ImageSource),
    /// Make of it what can be drawn; answered likewise.
    #[cfg(feature = "images")]
    DecodeImage(ImageSource, ImageInfo),
    /// Change what stands in the composer, before any key that comes after.
    Composer(ComposerEdit),
    /// Do what only the view can do, as by its key.
    View(UiAction),
    /// Find out how often actions were used; answered by `Report::ActionUses`.
    LoadActionUses,
    /// Keep it for later runs.
    SaveActionUses(BTreeMap<String, u32>),
    /// Show another session of those that are open.
    SwitchTab(TabTarget),
    /// End this session, which stays saved, and show another.
    CloseTab,
    /// Call the person, unless they look.
    Notify(Notification),
    /// Call the person now, or do so at other times from now on.
    SetNotify(NotifyWish),
    /// Show a theme by its name, or the next one.
    SetTheme(Option<String>),
    /// Show a theme for as long as the list of themes is open.
    PreviewTheme(String),
    /// Find the themes that the person wrote; answered by `Report::Themes`.
    ListThemes,
    /// Read keys and looks again from the settings.
    ReloadSettings,
    Quit,
}

impl Effect {
    /// Returns whether it changes which session is shown: what is typed next is for that one.
    pub fn is_about_tabs(&self) -> bool {
        matches!(self, Self::SwitchTab(_) | Self::CloseTab | Self::ResumeSession(_))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComposerEdit {
    /// Put a prompt that was not sent, or was taken back, before what is being written.
    Restore(String),
    /// Put a prompt that came to nothing there, unless something else is being written; say where it is.
    RestoreUnanswered(String),
    /// Show a prompt of the past; what was being written comes back behind the newest.
    Recall(String),
    /// Type what was typed over an approval dialog, where the cursor is.
    Insert(String),
}

impl ComposerEdit {
    /// Returns the effect that types what was typed over an approval dialog, if anything was.
    pub(super) fn insert(typed: String) -> Option<Effect> {
        (!typed.is_empty()).then_some(Effect::Composer(Self::Insert(typed)))
    }
}

/// A prompt that mentions files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MentioningPrompt {
    /// As it stood in the composer.
    pub typed: String,
    pub text: String,
    /// It is for the running turn.
    pub steers: bool,
}

/// A text to be copied: source, never what a screen made of it. Not cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRequest {
    /// What it is, as in "the answer".
    pub label: String,
    pub text: String,
}
