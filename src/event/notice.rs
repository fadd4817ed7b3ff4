//! Remarks for people, each with a stable code for programs.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    Info,
    Warn,
    Error,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal,)*) => {
        /// What a notice is about. Equal notices in a row are merged and counted.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum NoticeCode {
            $($(#[$doc])* $code,)*
            /// The n-th suggestion of another server; numbered, so that they are not merged.
            Offer(u32),
            /// A code of another version.
            Other(String),
        }

        impl NoticeCode {
            /// Every code that has neither a number nor a name of its own.
            pub const NAMED: &[Self] = &[$(Self::$code,)*];

            /// Returns the name it has in JSON.
            pub fn name(&self) -> Cow<'_, str> {
                match self {
                    $(Self::$code => $name.into(),)*
                    Self::Offer(number) => format!("{OFFER_PREFIX}{number}").into(),
                    Self::Other(name) => name.into(),
                }
            }

            /// Parses its name. Never fails: a name that is not known here is kept.
            pub fn parse(name: &str) -> Self {
                match name {
                    $($name => Self::$code,)*
                    _ => Self::parse_offer(name).unwrap_or_else(|| Self::Other(name.to_owned())),
                }
            }
        }
    };
}

codes! {
    /// A call needs an approval that is given at the server.
    Approval = "approval",
    AuthRequired = "auth_required",
    /// A command in the background has ended.
    Background = "background",
    /// Where a session goes on, or why it can't from there.
    Branch = "branch",
    /// Answers are recorded, or played in place of a server's.
    Cassette = "cassette",
    /// Earlier turns are summed up, here or by the server.
    Compacting = "compacting",
    Continued = "continued",
    /// The model's window is nearly full.
    ContextFilling = "context_filling",
    /// What a server keeps of the conversation isn't known.
    Conversation = "conversation",
    /// The stream broke off and the partial response is kept.
    Cut = "cut",
    /// Data of a tool is too large to keep.
    DataDropped = "data_dropped",
    /// The wire format was detected.
    Dialect = "dialect",
    EmptyAnswer = "empty_answer",
    /// A program that is followed ended.
    Exited = "exited",
    /// A key travels without encryption.
    Exposed = "exposed",
    /// The feed beside the answers is not available.
    Feed = "feed",
    /// Calls belong to other clients of the same server.
    ForeignCalls = "foreign_calls",
    Found = "found",
    /// Events of a stream are missing.
    Gap = "gap",
    HistoryCut = "history_cut",
    /// Numbers are missing in what is shown.
    Hole = "hole",
    /// A hook of the person's failed.
    Hook = "hook",
    /// Where a session comes from that another program kept.
    Imported = "imported",
    InputRequired = "input_required",
    /// Files with instructions for the agent: read again, or not read.
    Instructions = "instructions",
    LeftOut = "left_out",
    Loading = "loading",
    LogRewritten = "log_rewritten",
    /// The stream isn't what its format was taken for.
    Misfit = "misfit",
    Mode = "mode",
    Model = "model",
    NoEngine = "no_engine",
    NoHeader = "no_header",
    NoMore = "no_more",
    NoTools = "no_tools",
    /// A line between lines of JSON that is none.
    Noise = "noise",
    /// What a person noted; never merged.
    Note = "note",
    NotKept = "not_kept",
    NotRemembered = "not_remembered",
    NotSaved = "not_saved",
    OtherFolder = "other_folder",
    OutputLimit = "output_limit",
    OutputNotSaved = "output_not_saved",
    /// Parts of the answer that aren't text.
    Parts = "parts",
    Pattern = "pattern",
    Prepared = "prepared",
    /// What went with a prompt.
    PromptContext = "prompt_context",
    PromptLeftOut = "prompt_left_out",
    QueueFull = "queue_full",
    Recording = "recording",
    /// The server failed and tries again itself.
    Recoverable = "recoverable",
    Refused = "refused",
    Restored = "restored",
    Resumed = "resumed",
    Retry = "retry",
    RetryOffer = "retry_offer",
    Revoked = "revoked",
    Rewritten = "rewritten",
    SessionEnded = "session_ended",
    Sources = "sources",
    /// A line of a program's standard error.
    Stderr = "stderr",
    Stream = "stream",
    Subagent = "subagent",
    TaskOpen = "task_open",
    /// A source of tools has something to tell.
    Tools = "tools",
    TornLine = "torn_line",
    /// The server could not repeat the whole response.
    Truncated = "truncated",
    UnknownEvents = "unknown_events",
    UnknownFrame = "unknown_frame",
    /// The server gave a reason to finish that isn't known here.
    UnknownStop = "unknown_stop",
    UnreadableLines = "unreadable_lines",
    /// A program that is followed warns, or a server.
    Warning = "warning",
    WrongNumbers = "wrong_numbers",
}

const OFFER_PREFIX: &str = "offer_";

impl NoticeCode {
    fn parse_offer(name: &str) -> Option<Self> {
        let offer = Self::Offer(name.strip_prefix(OFFER_PREFIX)?.parse().ok()?);
        (offer.name() == name).then_some(offer)
    }
}

impl fmt::Display for NoticeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Serialize for NoticeCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for NoticeCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&Cow::<str>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_from_its_name() {
        for code in NoticeCode::NAMED.iter().cloned().chain([NoticeCode::Offer(12)]) {
            assert_eq!(NoticeCode::parse(&code.name()), code);
            assert_eq!(serde_json::to_value(&code).unwrap(), *code.name());
        }
    }

    #[test]
    fn a_name_of_another_version_is_kept() {
        for name in ["", "newer", "offer_", "offer_01", "offer_-1", "Retry"] {
            let code: NoticeCode = serde_json::from_value(name.into()).unwrap();
            assert_eq!(code, NoticeCode::Other(name.to_owned()));
            assert_eq!(serde_json::to_value(&code).unwrap(), name);
        }
    }
}
