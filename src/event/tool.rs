//! What a tool is, what an approval request contains, and how a call ends.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hunk::HunkDecision;
use super::{Json, Millis};

/// The description of a tool that a model gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments object.
    pub parameters: Json,
    pub risk: Risk,
}

/// What a tool does: rules and display go by it, never by a tool's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// Reads files.
    Read,
    /// Changes files.
    Edit,
    /// Runs a command line, which is the subject of its calls.
    Execute,
    /// Gets what is at an address, which is the subject of its calls.
    Fetch,
    /// Searches files.
    Search,
    #[default]
    Other,
}

impl ToolKind {
    pub fn is_other(&self) -> bool {
        *self == Self::Other
    }
}

/// The worst that a tool can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Changes nothing and connects to nothing.
    ReadOnly,
    /// Connects to other hosts.
    Network,
    /// Changes files.
    Write,
    /// Runs programs.
    Execute,
}

/// Everything a person sees before allowing a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    pub tool: String,
    /// `Other` in logs of versions that didn't record it.
    #[serde(default, skip_serializing_if = "ToolKind::is_other")]
    pub kind: ToolKind,
    pub risk: Risk,
    /// The subject of the call, in one line: the command, path or URL. Patterns are matched against it.
    pub subject: String,
    pub folder: String,
    /// A unified diff, the whole command or the formatted arguments; may have many lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The pattern offered for "allow calls like this one", such as `shell(git status*)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// When the request is denied automatically, on the session's clock.
    #[serde(rename = "expires", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// The answers that the asking agent takes, where it has its own; otherwise every [`Decision`] but
    /// [`Decision::Offered`] is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<OfferedAnswer>,
    /// How many hunks of the diff in `detail` can be decided one by one; 0 where the call is done as a whole.
    #[serde(default, skip_serializing_if = "is_whole")]
    pub hunks: u32,
    /// Where a command would run; none where that is nobody's business here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Box<SandboxNote>>,
}

/// Says whether a command would run in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxNote {
    /// In words, for the question.
    pub text: String,
    /// It asks to run outside, where it would run inside otherwise: no rule allows that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaves: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_whole(hunks: &u32) -> bool {
    *hunks == 0
}

/// An answer in the words of the agent that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedAnswer {
    pub id: String,
    pub label: String,
    pub kind: AnswerKind,
}

/// What an offered answer does. "Always" is as long as the agent remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    AllowOnce,
    AllowAlways,
    RejectOnce,
    RejectAlways,
}

impl AnswerKind {
    pub fn allows(self) -> bool {
        matches!(self, Self::AllowOnce | Self::AllowAlways)
    }
}

impl OfferedAnswer {
    /// The id of an answer that the person writes; what was written follows it in the decision's.
    pub const WRITTEN: &'static str = "written:";

    /// Returns whether the person writes it.
    pub fn is_written(&self) -> bool {
        self.id == Self::WRITTEN
    }
}

impl ApprovalRequest {
    /// Returns whether it asks what only the person knows, and not whether a call may run.
    pub fn is_question(&self) -> bool {
        !self.answers.is_empty() && self.risk == Risk::ReadOnly && self.kind == ToolKind::Other
    }

    /// Returns whether it asks to leave the sandbox, which only a person decides.
    pub fn leaves_sandbox(&self) -> bool {
        self.sandbox.as_ref().is_some_and(|note| note.leaves)
    }

    /// Returns the offered answer that a decision comes to, none where the agent offers nothing like it. A decision
    /// never becomes one that allows more.
    pub fn offered_answer(&self, decision: &Decision) -> Option<&OfferedAnswer> {
        let first = |kind| self.answers.iter().find(|answer| answer.kind == kind);
        match decision {
            Decision::Once => first(AnswerKind::AllowOnce),
            Decision::Session => first(AnswerKind::AllowAlways).or_else(|| first(AnswerKind::AllowOnce)),
            Decision::Pattern(_) | Decision::Hunks(_) => None,
            Decision::Deny(_) => first(AnswerKind::RejectOnce).or_else(|| first(AnswerKind::RejectAlways)),
            Decision::Offered { id, .. } => {
                let is_it = |answer: &&OfferedAnswer| {
                    answer.id == *id || (answer.is_written() && id.starts_with(OfferedAnswer::WRITTEN))
                };
                self.answers.iter().find(is_it)
            }
        }
    }
}

/// An answer to an [`ApprovalRequest`]. On the wire: `"once"`, `"session"`, `{"pattern": …}`, `"deny"`, `{"deny":
/// reason}`, `{"offered": {"id": …, "allows": …}}`, `{"hunks": {"taken": […], "notes": […]}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Once,
    /// Every call of this tool, until the session ends.
    Session,
    /// Calls that match the pattern, until the session ends.
    Pattern(String),
    Deny(Option<String>),
    /// One of [`ApprovalRequest::answers`].
    Offered {
        id: String,
        allows: bool,
    },
    /// Some hunks of the diff, this once; only where [`ApprovalRequest::hunks`] says that they can be told apart.
    Hunks(HunkDecision),
}

impl Decision {
    pub fn allows(&self) -> bool {
        match self {
            Self::Once | Self::Session | Self::Pattern(_) => true,
            Self::Deny(_) => false,
            Self::Offered { allows, .. } => *allows,
            Self::Hunks(hunks) => !hunks.taken.is_empty(),
        }
    }

    /// Returns what it is about a call that is done as a whole or not at all: some hunks are no permission for all.
    #[must_use]
    pub fn about_whole(self) -> Self {
        if matches!(self, Self::Hunks(_)) { Self::Deny(None) } else { self }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecisionWithDetail {
    Pattern(String),
    Deny(String),
    Offered {
        id: String,
        #[serde(default)]
        allows: bool,
    },
    Hunks(HunkDecision),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BareDecision {
    Once,
    Session,
    Deny,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WireDecision {
    Plain(BareDecision),
    Scoped(DecisionWithDetail),
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            Self::Once => WireDecision::Plain(BareDecision::Once),
            Self::Session => WireDecision::Plain(BareDecision::Session),
            Self::Deny(None) => WireDecision::Plain(BareDecision::Deny),
            Self::Pattern(pattern) => WireDecision::Scoped(DecisionWithDetail::Pattern(pattern)),
            Self::Deny(Some(reason)) => WireDecision::Scoped(DecisionWithDetail::Deny(reason)),
            Self::Offered { id, allows } => WireDecision::Scoped(DecisionWithDetail::Offered { id, allows }),
            Self::Hunks(hunks) => WireDecision::Scoped(DecisionWithDetail::Hunks(hunks)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match WireDecision::deserialize(deserializer)? {
            WireDecision::Plain(BareDecision::Once) => Self::Once,
            WireDecision::Plain(BareDecision::Session) => Self::Session,
            WireDecision::Plain(BareDecision::Deny) => Self::Deny(None),
            WireDecision::Scoped(DecisionWithDetail::Pattern(pattern)) => Self::Pattern(pattern),
            WireDecision::Scoped(DecisionWithDetail::Deny(reason)) => Self::Deny(Some(reason)),
            WireDecision::Scoped(DecisionWithDetail::Offered { id, allows }) => Self::Offered { id, allows },
            WireDecision::Scoped(DecisionWithDetail::Hunks(hunks)) => Self::Hunks(hunks),
        })
    }
}

/// Where a decision came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    Person,
    /// A mode, a rule, or a run without a terminal, where nobody can decide.
    Policy,
    TimedOut,
    /// A client over the network.
    Remote,
    /// A one-time link.
    Link,
    /// The turn was cancelled while the approval was pending.
    Cancelled,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    Ok,
    Failed,
    Denied,
    Cancelled,
    /// The model requested it and nothing ran it.
    Requested,
    /// No outcome was reported.
    Unknown,
}

impl CallOutcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Requested => "requested",
            Self::Unknown => "unknown",
        }
    }

    /// Returns a label for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok | Self::Failed | Self::Denied | Self::Cancelled => self.name(),
            Self::Requested => "requested, not run",
            Self::Unknown => "never finished",
        }
    }
}

/// The output of a finished call: the text that the model gets, and where to find the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOutput {
    /// Head and tail if the output exceeded the limit, with a line that says what was left out.
    #[serde(default)]
    pub text: String,
    /// Bytes of the whole output, if `text` is not all of it.
    #[serde(rename = "bytes", default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Name of the file beside the log that holds the whole output, if the log does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many first and last bytes were kept, if even the file doesn't hold the whole output.
    #[serde(rename = "kept", default, skip_serializing_if = "Option::is_none")]
    pub kept_bytes: Option<u64>,
    /// The result as data, if the tool returned any besides the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Json>,
}

impl CallOutput {
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::hunk::HunkNote;

    #[test]
    fn decisions_have_the_shape_that_clients_send() {
        let cases = [
            (Decision::Once, "\"once\""),
            (Decision::Session, "\"session\""),
            (Decision::Pattern("shell(git *)".into()), "{\"pattern\":\"shell(git *)\"}"),
            (Decision::Deny(None), "\"deny\""),
            (Decision::Deny(Some("not now".into())), "{\"deny\":\"not now\"}"),
            (
                Decision::Offered { id: "always".into(), allows: true },
                "{\"offered\":{\"id\":\"always\",\"allows\":true}}",
            ),
            (Decision::Hunks(HunkDecision { taken: vec![1, 3], notes: vec![] }), "{\"hunks\":{\"taken\":[1,3]}}"),
            (
                Decision::Hunks(HunkDecision { taken: vec![], notes: vec![HunkNote { hunk: 2, text: "no".into() }] }),
                "{\"hunks\":{\"taken\":[],\"notes\":[{\"hunk\":2,\"text\":\"no\"}]}}",
            ),
        ];
        for (decision, wire) in cases {
            assert_eq!(serde_json::to_string(&decision).unwrap(), wire);
            assert_eq!(serde_json::from_str::<Decision>(wire).unwrap(), decision);
        }
    }

    #[test]
    fn a_decision_comes_to_an_offered_answer_that_allows_no_more() {
        let offered = |id: &str, kind| OfferedAnswer { id: id.into(), label: id.into(), kind };
        let request = |answers| ApprovalRequest { answers, ..crate::testkit::events::shell_approval("ls") };
        let all = request(vec![
            offered("always", AnswerKind::AllowAlways),
            offered("here", AnswerKind::AllowOnce),
            offered("again", AnswerKind::AllowOnce),
            offered("never", AnswerKind::RejectAlways),
        ]);
        let id =
            |request: &ApprovalRequest, decision| request.offered_answer(&decision).map(|answer| answer.id.clone());
        let chosen = Decision::Offered { id: "again".into(), allows: true };
        for (decision, expected) in [
            (Decision::Once, Some("here")),
            (Decision::Session, Some("always")),
            (Decision::Deny(None), Some("never")),
            (chosen, Some("again")),
            (Decision::Offered { id: "other".into(), allows: true }, None),
            (Decision::Pattern("shell".into()), None),
        ] {
            assert_eq!(id(&all, decision.clone()).as_deref(), expected, "{decision:?}");
        }
        let only_always = request(vec![offered("always", AnswerKind::AllowAlways)]);
        assert_eq!((id(&only_always, Decision::Once), id(&only_always, Decision::Deny(None))), (None, None));
    }
}
