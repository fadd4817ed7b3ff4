//! The vocabulary of the program: what can happen in a session.
//!
//! Events ([`AgentEvent`]) are numbered into [`Envelope`]s and logged. Commands ([`Command`]) and status
//! ([`SessionStatus`]) never are. The enum *is* the file format and the native wire format: a change must take every
//! old log into account. No handles, clocks or IO; depends on no other module.

mod agent_option;
mod annotation;
pub mod answer;
pub mod branches;
mod command;
pub mod command_line;
mod compaction;
mod effort;
mod export_format;
mod fault;
pub mod file_change;
mod finish_reason;
mod glob;
pub mod grammar;
mod hunk;
mod ids;
pub mod incomplete_call;
mod mcp_status;
mod notice;
mod output_format;
mod pattern;
mod permission;
mod person_run;
mod plan;
mod prompt_context;
mod prompt_image;
mod reply;
mod sampling;
mod status;
pub mod timeline;
mod tool;
mod usage;

use serde::{Deserialize, Serialize};

pub use agent_option::{AgentOption, AgentOptionKind, AgentOptionValue};
pub use annotation::{Annotation, AnnotationTarget, SharedState, StepState, Timing};
pub use command::{Command, SeekTarget};
pub use compaction::{Compaction, CompactionTrigger};
pub use effort::Effort;
pub use export_format::{ExportFormat, ExportRequest};
pub use fault::{Fault, FaultKind};
pub use file_change::{FileChange, FileCheck, FileState, FileVersion, RestoreStep};
pub use finish_reason::{FinishReason, LastContent};
pub use hunk::{HunkDecision, HunkNote};
pub use ids::{CallId, MessageId, SessionId, TurnId};
pub use mcp_status::{McpPrompt, McpPromptArgument, McpServerState, McpServerStatus, McpToolSummary};
pub use notice::{NoticeCode, NoticeLevel};
pub use output_format::{OutputFormat, OutputSchema};
pub use pattern::{PRIVATE_SUBJECT_PREFIX, Pattern, allow_line};
pub use permission::{Grant, PermissionRule, Permissions, RuleKind};
pub use person_run::PersonRun;
pub use plan::{PlanEntry, PlanState};
pub use prompt_context::{
    MAX_PROMPT_CONTEXT_BYTES, PromptContext, PromptContextKind, add_context, user_message, without_context,
};
pub use prompt_image::{
    Base64Data, ImageType, MAX_IMAGE_BYTES, MAX_PROMPT_IMAGE_BYTES, MAX_PROMPT_IMAGES, PromptImage, check_images,
    too_large,
};
pub use reply::{MAX_MERGED_BYTES, ReplyEvent, ReplyTarget, try_append};
pub use sampling::SamplingParams;
pub use status::{Capabilities, LinkState, LoopRange, QueuedPrompt, ReplayStatus, SessionStatus, UndeliveredCommand};
pub use tool::{
    AnswerKind, ApprovalRequest, CallOutcome, CallOutput, DecidedBy, Decision, OfferedAnswer, Risk, SandboxNote,
    ToolKind, ToolSpec,
};
pub use usage::{Usage, estimate_tokens};

/// The engine's name if there is no engine.
pub const NO_ENGINE: &str = "none";

/// Returns a label for the model in use: `engine/model`, or the engine alone if it has no known model.
pub fn who_answers(engine: &str, model: &str) -> String {
    match (engine, model) {
        (NO_ENGINE, _) => "no engine".to_owned(),
        (_, "") => engine.to_owned(),
        _ => format!("{engine}/{model}"),
    }
}

/// Any JSON value.
pub type Json = serde_json::Value;

/// Number of an event in its session: 1, 2, 3 … without gaps. 0 means "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Milliseconds: a duration, or a time on the session's clock (since the session began).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// Returns the time since `earlier`; zero if that is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl From<std::time::Duration> for Millis {
    fn from(duration: std::time::Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for std::time::Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0)
    }
}

/// A numbered event. `seq` is the line in the log, the SSE id and the replay cursor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub seq: Seq,
    /// Since the session began; the wall clock is in the log's header.
    pub at: Millis,
    pub event: AgentEvent,
}

/// Something that happened, or a piece of content that arrived.
///
/// Lifecycle events come in pairs: sessions, turns, messages, calls and approvals are opened and closed in the order
/// that [`grammar`] defines. Unknown variants of a newer program are kept as they are in [`AgentEvent::Unknown`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentEvent {
    /// First event of every run of the program, and again when the model or the mode is switched.
    SessionOpened {
        /// Wall time, milliseconds since 1970.
        #[serde(rename = "wall")]
        wall_ms: u64,
        engine: String,
        model: String,
        /// Why this engine was chosen: "flag", "config", "OPENAI_API_KEY", "found on 127.0.0.1:11434" …
        #[serde(rename = "why", default)]
        engine_reason: String,
        mode: ApprovalMode,
        folder: String,
        /// Version of this program.
        version: String,
        #[serde(rename = "caps")]
        capabilities: Capabilities,
        /// The model's context window in tokens, if known.
        #[serde(rename = "window", default, skip_serializing_if = "Option::is_none")]
        context_window: Option<u64>,
        /// US dollars per million tokens, input and output, if the price is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        price: Option<(f64, f64)>,
    },
    TurnStarted {
        turn: TurnId,
        /// The turn that this one continues; differs from the one before it once there are branches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<TurnId>,
    },
    UserMessage {
        message: MessageId,
        text: String,
    },
    MessageStarted {
        message: MessageId,
        role: Role,
        /// The call that started the sub-agent whose message this is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<CallId>,
    },
    TextDelta {
        message: MessageId,
        text: String,
        #[serde(default, skip_serializing_if = "TextKind::is_text")]
        kind: TextKind,
    },
    ReasoningDelta {
        message: MessageId,
        text: String,
    },
    MessageFinished {
        message: MessageId,
        #[serde(rename = "stop")]
        finish_reason: FinishReason,
        /// The whole text, if the wire format repeats it. Consumers reconcile, never append.
        #[serde(rename = "full", default, skip_serializing_if = "Option::is_none")]
        full_text: Option<String>,
        /// What the provider needs back verbatim in the next request.
        #[serde(rename = "carry", default, skip_serializing_if = "Option::is_none")]
        provider_metadata: Option<Json>,
    },
    ToolCallStarted {
        call: CallId,
        message: MessageId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<CallId>,
        #[serde(rename = "ran_by", default, skip_serializing_if = "ExecutedBy::is_client")]
        executed_by: ExecutedBy,
    },
    /// A piece of the arguments; pieces joined are JSON, one alone need not be.
    ToolArgsDelta {
        call: CallId,
        json: String,
    },
    /// The arguments are complete. `args` is the string as the model wrote it, valid JSON or not.
    ToolCallReady {
        call: CallId,
        name: String,
        args: String,
        #[serde(rename = "carry", default, skip_serializing_if = "Option::is_none")]
        provider_metadata: Option<Json>,
    },
    ApprovalRequested {
        call: CallId,
        #[serde(rename = "ask")]
        request: ApprovalRequest,
    },
    ApprovalResolved {
        call: CallId,
        decision: Decision,
        by: DecidedBy,
    },
    ToolOutput {
        call: CallId,
        stream: OutputStream,
        text: String,
    },
    /// May occur twice before the turn ends; the later one counts.
    ToolCallFinished {
        call: CallId,
        outcome: CallOutcome,
        output: CallOutput,
        /// How long the call ran, if known.
        #[serde(rename = "took", default, skip_serializing_if = "Option::is_none")]
        duration: Option<Millis>,
    },
    #[serde(rename = "annotated")]
    Annotation {
        on: AnnotationTarget,
        #[serde(flatten)]
        annotation: Annotation,
    },
    UsageReported {
        scope: UsageScope,
        usage: Usage,
    },
    #[serde(rename = "noticed")]
    Notice {
        level: NoticeLevel,
        code: NoticeCode,
        text: String,
    },
    TurnFinished {
        turn: TurnId,
        #[serde(rename = "end")]
        outcome: TurnOutcome,
    },
    /// What follows goes on after the event `after`; what is between them is another branch ([`branches`]). Stands between
    /// turns, and `after` does.
    BranchStarted {
        after: Seq,
    },
    /// Earlier turns are no longer sent to the model.
    Compacted(Box<Compaction>),
    /// The compaction through that turn counts no longer, nor does any that came after it.
    CompactionUndone {
        through: TurnId,
    },
    /// An event of a newer format, kept as it was.
    #[serde(untagged)]
    Unknown(Json),
}

impl AgentEvent {
    /// Returns the name it has in JSON.
    pub fn kind(&self) -> &str {
        match self {
            Self::SessionOpened { .. } => "session_opened",
            Self::TurnStarted { .. } => "turn_started",
            Self::UserMessage { .. } => "user_message",
            Self::MessageStarted { .. } => "message_started",
            Self::TextDelta { .. } => "text_delta",
            Self::ReasoningDelta { .. } => "reasoning_delta",
            Self::MessageFinished { .. } => "message_finished",
            Self::ToolCallStarted { .. } => "tool_call_started",
            Self::ToolArgsDelta { .. } => "tool_args_delta",
            Self::ToolCallReady { .. } => "tool_call_ready",
            Self::ApprovalRequested { .. } => "approval_requested",
            Self::ApprovalResolved { .. } => "approval_resolved",
            Self::ToolOutput { .. } => "tool_output",
            Self::ToolCallFinished { .. } => "tool_call_finished",
            Self::Annotation { .. } => "annotated",
            Self::UsageReported { .. } => "usage_reported",
            Self::Notice { .. } => "noticed",
            Self::TurnFinished { .. } => "turn_finished",
            Self::BranchStarted { .. } => "branch_started",
            Self::Compacted(_) => "compacted",
            Self::CompactionUndone { .. } => "compaction_undone",
            Self::Unknown(json) => json.get("type").and_then(Json::as_str).unwrap_or_default(),
        }
    }

    /// Returns whether it is more text of a message, and nothing else.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::TextDelta { .. } | Self::ReasoningDelta { .. })
    }

    /// Returns the call that it is about.
    pub fn call(&self) -> Option<&CallId> {
        match self {
            Self::ToolCallStarted { call, .. }
            | Self::ToolArgsDelta { call, .. }
            | Self::ToolCallReady { call, .. }
            | Self::ApprovalRequested { call, .. }
            | Self::ApprovalResolved { call, .. }
            | Self::ToolOutput { call, .. }
            | Self::ToolCallFinished { call, .. }
            | Self::Annotation { on: AnnotationTarget::Call(call), .. } => Some(call),
            Self::SessionOpened { .. }
            | Self::TurnStarted { .. }
            | Self::UserMessage { .. }
            | Self::MessageStarted { .. }
            | Self::TextDelta { .. }
            | Self::ReasoningDelta { .. }
            | Self::MessageFinished { .. }
            | Self::Annotation { .. }
            | Self::UsageReported { .. }
            | Self::Notice { .. }
            | Self::TurnFinished { .. }
            | Self::BranchStarted { .. }
            | Self::Compacted(_)
            | Self::CompactionUndone { .. }
            | Self::Unknown(_) => None,
        }
    }

    /// Returns whether it is said of the session as a whole, whichever branch it was said on.
    pub fn is_of_whole_session(&self) -> bool {
        matches!(self, Self::Annotation { on: AnnotationTarget::Session, .. })
    }
}

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
    System,
    Tool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    #[default]
    Text,
    Refusal,
}

impl TextKind {
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// Where a call runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutedBy {
    #[default]
    #[serde(rename = "us")]
    Client,
    Server,
}

impl ExecutedBy {
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_client(&self) -> bool {
        *self == Self::Client
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// What a usage report covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageScope {
    /// The n-th request to the model in this turn, from 1.
    Request(u32),
    /// The whole turn, if the source reports only one sum.
    Turn,
    /// The request for the summary of earlier turns, made during this turn.
    Compaction,
    /// All requests of the sub-agents of this turn so far.
    SubAgents,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    Completed,
    Cancelled,
    /// The stream or the program stopped midway.
    Interrupted,
    Failed(Fault),
}

impl TurnOutcome {
    /// Returns why a message ended that the end of its turn cut off.
    pub fn finish_reason(&self) -> FinishReason {
        match self {
            Self::Completed => FinishReason::End,
            Self::Cancelled => FinishReason::Cancelled,
            Self::Interrupted => FinishReason::Interrupted,
            Self::Failed(_) => FinishReason::Failed,
        }
    }
}

/// What the agent may do without approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalMode {
    /// Ask before writing, running or fetching.
    #[default]
    Ask,
    /// Like `Ask`, but files in the working folder may be changed.
    AutoEdit,
    /// Read only: everything else is denied.
    Plan,
    /// Never ask.
    Full,
}

impl ApprovalMode {
    pub const ALL: [Self; 4] = [Self::Ask, Self::AutoEdit, Self::Plan, Self::Full];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::AutoEdit => "auto-edit",
            Self::Plan => "plan",
            Self::Full => "full",
        }
    }

    /// Returns whether this mode allows anything that needs approval, or is denied, in the other.
    pub fn is_more_permissive_than(self, other: Self) -> bool {
        let freedom = |mode| match mode {
            Self::Plan => 0,
            Self::Ask => 1,
            Self::AutoEdit => 2,
            Self::Full => 3,
        };
        freedom(self) > freedom(other)
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Returns the mode that one press of the mode key switches to: never `Full`.
    #[must_use]
    pub fn next_in_cycle(self) -> Self {
        match self {
            Self::Ask => Self::AutoEdit,
            Self::AutoEdit => Self::Plan,
            Self::Plan | Self::Full => Self::Ask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::events::{text_delta, turn_finished};

    fn line(event: AgentEvent) -> String {
        serde_json::to_string(&Envelope { seq: Seq(7), at: Millis(12), event }).unwrap()
    }

    #[test]
    fn an_engine_that_could_not_be_had_has_no_model() {
        let cases = [
            (("offline", "guide"), "offline/guide"),
            (("remote", ""), "remote"),
            ((NO_ENGINE, NO_ENGINE), "no engine"),
            ((NO_ENGINE, ""), "no engine"),
        ];
        for ((engine, model), name) in cases {
            assert_eq!(who_answers(engine, model), name);
        }
    }

    #[test]
    fn a_token_is_a_short_line() {
        let text = line(text_delta("m1", "hi"));
        assert_eq!(text, r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"hi"}}"#);
    }

    #[test]
    fn an_unknown_variant_survives_a_round_trip() {
        let text = r#"{"seq":7,"at":12,"event":{"type":"branch_chosen","turn":"t9","x":[1,2]}}"#;
        let envelope: Envelope = serde_json::from_str(text).unwrap();
        assert!(matches!(envelope.event, AgentEvent::Unknown(_)));
        assert_eq!(serde_json::to_string(&envelope).unwrap(), text);
    }

    #[test]
    fn an_unknown_field_is_ignored() {
        let text = r#"{"seq":1,"at":0,"event":{"type":"turn_finished","turn":"t1","end":"completed","more":1}}"#;
        let envelope: Envelope = serde_json::from_str(text).unwrap();
        assert_eq!(envelope.event, turn_finished("t1", TurnOutcome::Completed));
    }
}
