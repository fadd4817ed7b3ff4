//! What a source tells that has no event of its own: measurements, citations, what a remote agent is doing.
//!
//! In JSON an annotation is its `kind` and its `data`. What the type of a kind would not write exactly as it was read
//! (a newer field, another order) is [`Annotation::Unknown`], so that nothing is lost or changed on its way through.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    CallId, FileChange, Json, MessageId, Millis, OfferedAnswer, PersonRun, PlanEntry, PromptContext, Seq, TurnId,
};

/// What an annotation refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationTarget {
    /// The session itself: what a person says of it.
    Session,
    Turn(TurnId),
    Message(MessageId),
    Call(CallId),
}

/// Data of a dialect that has no event of its own. Plain JSON is what a server says, in its own form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Annotation {
    /// What the server measured.
    Timing(Timing),
    /// The wire format of the answer and why it was taken for that.
    Dialect { name: String, because: String },
    /// The time from the request to the first usable token, measured here.
    FirstToken { ms: Millis },
    /// What a passage of the answer rests on: `{type?, cited_text?, title?, url?, …}`.
    Citation(Json),
    /// The server stopped in the middle of its work and wants the turn back to go on.
    Paused {},
    /// What the server calls the answer, and who gave it.
    ServedBy {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    /// The whole plan of an agent, as it is now.
    Plan(Vec<PlanEntry>),
    /// On the call that started a sub-agent: tokens that it used so far, and what it is doing.
    SubAgent {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doing: Option<String>,
    },
    /// A step of a remote agent.
    Step { name: String, state: StepState },
    /// The state that a remote agent shares.
    State(SharedState),
    /// What a remote agent is busy with: `{id?, type?, content}` or `{id?, type?, patch}`.
    Activity(Json),
    /// An event that only its sender understands.
    Custom { name: Json, value: Json },
    /// What a remote agent waits for before it goes on.
    Interrupt { interrupts: Json },
    /// The server runs this call only once its person allows it: the server's request for that, which the answer must
    /// name, and why it asks.
    NeedsApproval {
        request: Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The same where the server takes the answer while its reply goes on, and where it offers answers of its own.
    AwaitsAnswer {
        request: Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        answers: Vec<OfferedAnswer>,
    },
    /// What a remote agent returned beside its words.
    Result { value: Json },
    /// The remote task, and what a follow-up must name to belong to it.
    Task { id: String, context: Option<String> },
    /// A part of an answer that is not text: `{kind: data | file, …}`.
    Part(Json),
    /// What a remote agent is doing just now: `{step, agent?, model?, label?}`.
    Progress(Json),
    /// One request of a remote agent to its model: `{model?, latency_ms?, first_token_ms?, tokens_per_second?,
    /// input_tokens?, output_tokens?, energy_j?, power_w?}`.
    Inference(Json),
    /// How hard the server thinks the prompt is: `{score, tier, suggested_max_tokens}`.
    Complexity(Json),
    /// What the server measured of a turn: `{engine?, model_id?, total_ms?, tokens_per_sec?, tool_calls?}`.
    Telemetry(Json),
    /// What the server's graphics card draws: `{power_w, energy_j, duration_s}`.
    Energy(Json),
    /// What an answer or a search rests on: `[{ref?, title?, url?, …}]`.
    Sources(Json),
    /// What the server counted since it was started: `{requests, tokens, saved_usd?, against?, energy_j?, power_w?}`.
    Totals(Json),
    /// What the run cost, as its source counts it.
    Cost {
        /// US dollars.
        usd: f64,
    },
    /// What a client asked for: `{surface, echo, model?, client_tools, asked, store, rounds?}`. What was said before it
    /// was said in earlier answers.
    Request(Json),
    /// What went to the model with a prompt, which is the message.
    PromptContext(Vec<PromptContext>),
    /// Who typed a prompt, which is the message.
    Author(String),
    /// A command that the person ran, which is the call.
    PersonRun(PersonRun),
    /// The call began to run: nobody had to be asked, or it was queued.
    Running {},
    /// The call is about to change a file.
    FileChange(FileChange),
    /// The call may run and waits for another of its reply.
    Queued {},
    /// Whether the call turned out to belong to another client of the same server, or was taken back by it.
    Foreign(bool),
    /// What the person calls the session; empty: after its first prompt again.
    Title(String),
    /// Whether the session is left out of lists.
    Archived(bool),
    /// A person marked what began with the event of that number, or took the mark off.
    Mark { seq: Seq, set: bool },
    /// A kind of another version, or other data than the kind has here.
    #[serde(untagged)]
    Unknown { kind: String, data: Json },
}

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Started,
    Finished,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedState {
    Snapshot(Json),
    Patch(Json),
    /// The size of one that is too large to keep.
    Bytes(u64),
}

impl Annotation {
    /// Reads an annotation from its JSON. Never fails.
    fn from_json(kind: String, data: Json) -> Self {
        let json = serde_json::json!({ "kind": kind, "data": data });
        let read = json.to_string();
        match Self::deserialize(&json) {
            Ok(known) if serde_json::to_string(&known).is_ok_and(|written| written == read) => known,
            _ => Self::Unknown { kind, data },
        }
    }
}

impl Serialize for Annotation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Annotation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct AnnotationJson {
            kind: String,
            data: Json,
        }
        let AnnotationJson { kind, data } = AnnotationJson::deserialize(deserializer)?;
        Ok(Self::from_json(kind, data))
    }
}

#[cfg(test)]
mod tests;
