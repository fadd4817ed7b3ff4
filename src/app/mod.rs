//! The loop: one task owns stores, views and the terminal.
//!
//! ```text
//! signal          → leave politely, or stop
//! terminal events → PasteDetector → ChatController::input → store, view (all that wait, then one frame)
//! frame deadline  → tick, draw                        (the only place that draws)
//! effect done     → Msg::Report
//! status          → Msg::Status
//! deliveries      → Msg::Event, Msg::Reset            (at most 512 a turn of the loop)
//! nothing else    → Msg::Work                         (a slice of what is being looked for)
//! ```
//!
//! Several sessions may be open at once, as tabs: those that are not shown deliver last, are folded and not drawn.
//!
//! The loop itself is in `chat_loop`. Where nothing can be painted, `linear` prints lines in place of frames; where the
//! terminal is to keep the text, `inline` draws below it. Not here: what an input means (`chat.rs`), what is true
//! (`store`), how it looks (`ui`). Invariants: typing is never behind a flood, for input is looked at first; a flood can't
//! starve drawing, for a batch is bounded; nothing wakes up while nothing moves.

pub mod action_uses;
pub mod chat;
mod chat_loop;
pub mod clipboard;
mod clipboard_image;
pub mod comparison;
pub mod draft;
pub mod effects;
pub mod external_editor;
pub mod farewell;
pub mod frame_pacer;
mod git_branch;
mod git_diff;
pub mod history_loader;
#[cfg(feature = "images")]
pub mod images;
mod inline;
mod input;
mod linear;
pub mod live_settings;
mod notify;
mod notify_command;
pub mod open_external;
pub mod paste_detector;
pub mod prompt_history;
pub mod screen;
mod session_clock;
pub mod term;
pub mod terminal_check;
mod wait_futures;

use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;

use self::chat_loop::ChatLoop;
use self::effects::{ExportSession, ListModels, OpenOutside, OpenSession};
pub use self::effects::{OutsideFacts, OutsideSession, ResumedSession};
use self::term::{ChatPanicScope, Signals};
use crate::bridge::SessionHandle;
use crate::bridge::traffic::TrafficReader;
use crate::config::keys::Keymap;
use crate::config::notify::NotifyConfig;
use crate::config::{EditorConfig, Paths, SettingsSource, UiConfig};
use crate::event::Seq;
use crate::runtime::{NameClaim, SavedSessions, Workspace};
use crate::store::limits::SpendLimits;
use crate::store::user_commands::UserCommand;
pub use crate::store::workplace::Attachment;
use crate::text::one_line;
use crate::text::width::set_ambiguous_wide;

/// Exit code when the terminal went away: as if the signal of that had ended us.
const HANGUP_EXIT_CODE: u8 = 129;

/// What a chat on the terminal needs.
pub struct ChatContext<'a> {
    pub session: SessionHandle,
    pub ui: UiConfig,
    pub notify: NotifyConfig,
    pub places: SessionPlaces,
    pub limits: SpendLimits,
    pub keymap: Keymap,
    /// How the composer edits.
    pub editor: EditorConfig,
    /// Where keys and looks are read again from; none keeps them.
    pub settings: Option<SettingsSource>,
    /// Commands that the person wrote.
    pub commands: Vec<UserCommand>,
    /// What the person should be told first: about keys and settings.
    pub warnings: Vec<String>,
    /// Sent as if typed.
    pub prompt: Option<String>,
    /// What stood in the composer when the session was left.
    pub draft: Option<String>,
    /// Where drafts are kept, and the name of this one: the session's, or one for what it is attached to.
    pub state: Option<(PathBuf, NameClaim)>,
    /// Where prompts are remembered.
    pub history: Option<PathBuf>,
    /// Where pictures may be read.
    #[cfg(feature = "images")]
    pub folder: PathBuf,
    pub list_models: ListModels<'a>,
    /// The raw frames of all streams.
    pub frames: TrafficReader,
    /// None where no other session can be opened, as in a replay.
    pub open_session: Option<OpenSession<'a>>,
    /// Attaches and plays.
    pub open_outside: Option<OpenOutside<'a>>,
    pub export_session: Option<ExportSession<'a>>,
    pub saved_sessions: Option<SavedSessions>,
    /// Where mentioned files are found.
    pub workspace: Workspace,
    /// Begins with the list of saved sessions.
    pub chooses_session: bool,
    /// The event whose place is shown first; the end if none.
    pub place: Option<Seq>,
    /// The model that was asked for; empty if none was.
    pub wanted_model: String,
}

/// Where what belongs to a session is, for whoever asks.
pub struct SessionPlaces {
    pub paths: Paths,
    pub logs: SavedSessions,
    /// Host and port of what answers, where the session is attached.
    pub host: Option<String>,
    /// How it is attached.
    pub attachment: Option<Attachment>,
    /// What may be attached to by name, each with what it is.
    pub attach_targets: Vec<(String, String)>,
    /// The keys that the settings name, as [`Workplace`](crate::store::workplace::Workplace) has them.
    pub keys: Vec<(String, String, String)>,
    /// What a model is told before the conversation; empty where that is decided elsewhere.
    pub system_prompt: String,
}

/// Returns whether there is a terminal for a screen, and for keys even where standard input is something else.
pub fn has_terminal() -> bool {
    io::stdout().is_terminal() && input::open_keyboard().is_ok()
}

/// Runs the chat until the person leaves; returns the exit code. The terminal is given back before it returns.
pub async fn run(context: ChatContext<'_>) -> io::Result<u8> {
    if !has_terminal() {
        return Err(io::Error::other("the chat needs a terminal"));
    }
    // Before anything is measured.
    set_ambiguous_wide(context.ui.ambiguous_width.is_wide(&|name| std::env::var(name).ok()));
    ChatPanicScope(Box::pin(async {
        // Before the terminal is taken: what ends the program from here on gives it back.
        let mut signals = Signals::new()?;
        let mut chat = ChatLoop::new(context)?;
        let code = match chat.run(&mut signals).await {
            Err(error) if is_gone(&error) => Ok(HANGUP_EXIT_CODE),
            code => code,
        };
        let (answer, farewell) = (chat.printed_answer(), chat.farewell());
        if let Some(why) = Box::pin(chat.finish()).await {
            let _ = writeln!(io::stderr(), "jarvis-tui: {}", one_line(&format!("the draft is not saved: {why}"), 400));
        }
        if let (Ok(0), Some(text)) = (&code, answer) {
            let mut out = io::stdout();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
        if let (Ok(0), Some(text)) = (&code, farewell) {
            let _ = io::stderr().write_all(text.as_bytes());
        }
        code
    }))
    .await
}

/// Tells whether writing failed because nobody holds the other end of the terminal any more.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(nix::errno::Errno::EIO as i32)
}
