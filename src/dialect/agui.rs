//! AG-UI: unnamed frames, each an event with a `type`, from `RUN_STARTED` to `RUN_FINISHED` or `RUN_ERROR`.
//!
//! `TOOL_CALL_END` only ends the arguments; a call is over with its `TOOL_CALL_RESULT`. Nothing on the wire says
//! beforehand whether the agent or its client runs a call, so each starts as the client's, and one without a result at
//! the end is what the agent wants from us. Shared state, steps and activities are annotations; raw events repeat what
//! is told otherwise and are only counted.

mod agents;
mod calls;
mod messages;
mod snapshot;
mod wire;

use serde::Deserialize;
use serde_json::json;

use self::agents::Agents;
use self::calls::{Calls, Start};
use self::messages::{Messages, Speaker};
use self::wire::Head;
use super::lax::{Obj, Text};
use super::odd::Odd;
use super::stop::Reason;
use super::surrogate;
use super::{Context, Decode, Dialect, SseFrame, error, usage};
use crate::event::{AgentEvent, Json, LastPart, Level, Outcome, RanBy, Role, Scope, Stop, Subject, TurnEnd, Usage};

pub const DIALECT: Dialect = Dialect {
    name: "ag-ui",
    decode: |context: &Context| Box::new(AgUi::new(context.prompt.is_some())),
    loses: "times of calls, raw events, patches of a state too large to keep",
};

/// Bytes of shared state and the like that are kept in one annotation.
const MOST_DATA: usize = 64 * 1024;

/// The decoder of one run, or of several in a row.
#[derive(Debug, Default)]
pub struct AgUi {
    /// We asked, so messages of the person are our own and known.
    is_prompted: bool,
    messages: Messages,
    calls: Calls,
    agents: Agents,
    run: Option<String>,
    /// Runs inside this run.
    nested: Vec<String>,
    usage: Option<Usage>,
    raw: u64,
    end: Option<TurnEnd>,
    /// How the model stopped, where a run came to its end and its answer did not.
    cut_short: Option<Stop>,
    failed: bool,
    odd: Odd,
}

impl AgUi {
    /// `is_prompted` says whether the stream answers a prompt of ours.
    pub fn new(is_prompted: bool) -> Self {
        Self { is_prompted, ..Self::default() }
    }

    fn event(&mut self, kind: &str, head: Head<'_>, text: &str, marked: bool, out: &mut Vec<AgentEvent>) {
        let speaker = match head.subagent_run_id.some() {
            Some(run) if !kind.starts_with("SUBAGENT_") => {
                self.agents.speaker(Some(run), &mut self.messages, &mut self.calls, out)
            }
            _ => Speaker::default(),
        };
        if ends_chunks(kind) {
            self.messages.close_chunks(None, out);
            self.calls.close_chunks(None, out);
        }
        match kind {
            "TEXT_MESSAGE_START" | "TEXT_MESSAGE_CONTENT" | "TEXT_MESSAGE_END" | "TEXT_MESSAGE_CHUNK" => {
                self.text(kind, head, marked, &speaker, out);
            }
            "TOOL_CALL_START" | "TOOL_CALL_ARGS" | "TOOL_CALL_END" | "TOOL_CALL_CHUNK" | "TOOL_CALL_RESULT" => {
                self.call(kind, head, marked, &speaker, out);
            }
            "REASONING_MESSAGE_START"
            | "REASONING_MESSAGE_CONTENT"
            | "REASONING_MESSAGE_CHUNK"
            | "THINKING_TEXT_MESSAGE_CONTENT" => {
                let piece = head.delta.0.unwrap_or_default();
                self.messages.think(head.message_id.0.as_deref(), piece, marked, &speaker, out);
            }
            "REASONING_START"
            | "REASONING_END"
            | "REASONING_MESSAGE_END"
            | "THINKING_START"
            | "THINKING_END"
            | "THINKING_TEXT_MESSAGE_START"
            | "THINKING_TEXT_MESSAGE_END" => {}
            "RUN_STARTED" => self.run_started(&head),
            "RUN_FINISHED" => self.run_finished(&head, &whole(text, marked), out),
            "RUN_ERROR" => self.run_error(&head, &whole(text, marked), marked),
            "STEP_STARTED" | "STEP_FINISHED" => {
                let state = if kind == "STEP_STARTED" { "started" } else { "finished" };
                let name = surrogate::settled(head.step_name.0.unwrap_or_default(), marked);
                note("step", json!({"name": name, "state": state}), out);
            }
            "RAW" => self.raw += 1,
            _ => self.rare(kind, &head, &whole(text, marked), out),
        }
    }

    fn text(&mut self, kind: &str, head: Head<'_>, marked: bool, speaker: &Speaker, out: &mut Vec<AgentEvent>) {
        let wire = head.message_id.some();
        let role = role(&head.role);
        if kind == "TEXT_MESSAGE_END" {
            return self.messages.end(wire, out);
        }
        if kind == "TEXT_MESSAGE_START" {
            let hidden = role == Role::User && self.is_prompted;
            return self.messages.start(wire, role, hidden, speaker, out);
        }
        let is_chunk = kind == "TEXT_MESSAGE_CHUNK";
        let goes_on = if is_chunk && wire.is_none() { self.messages.chunked(speaker) } else { None };
        if is_chunk {
            let keep = goes_on.or_else(|| wire.and_then(|wire| self.messages.by_wire(wire)));
            self.messages.close_chunks(keep, out);
            self.calls.close_chunks(None, out);
        }
        let at = match goes_on {
            Some(at) => at,
            None => self.messages.for_text(wire, role, speaker, out),
        };
        if is_chunk {
            self.messages.mark_chunked(at);
        }
        self.messages.say(at, head.delta.0.unwrap_or_default(), marked, out);
    }

    fn call(&mut self, kind: &str, head: Head<'_>, marked: bool, speaker: &Speaker, out: &mut Vec<AgentEvent>) {
        let goes_on = if kind == "TOOL_CALL_CHUNK" { self.calls.chunked() } else { None };
        let Some(wire) = head.tool_call_id.some().map(str::to_owned).or(goes_on) else {
            return self.odd.met("a call without an id", out);
        };
        match kind {
            "TOOL_CALL_START" => {
                if !self.calls.is_running(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
            }
            "TOOL_CALL_ARGS" => {
                if !self.calls.is_known(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
                if let Err(odd) = self.calls.args(&wire, head.delta.0.unwrap_or_default(), marked, out) {
                    self.odd.met(odd, out);
                }
            }
            "TOOL_CALL_END" => self.calls.ready(&wire, out),
            "TOOL_CALL_CHUNK" => {
                self.calls.close_chunks(Some(&wire), out);
                self.messages.close_chunks(None, out);
                if !self.calls.is_running(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
                self.calls.mark_chunked(&wire);
                if let Err(odd) = self.calls.args(&wire, head.delta.0.unwrap_or_default(), marked, out) {
                    self.odd.met(odd, out);
                }
            }
            _ => {
                if !self.calls.is_known(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
                let failed = head.error.some().is_some();
                let text = head.content.0.filter(|text| !text.is_empty() || !failed).or(head.error.0);
                let text = surrogate::settled(text.unwrap_or_default(), marked).into_owned();
                let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
                self.calls.finish(&wire, outcome, text, out);
                self.messages.round_over(speaker, out);
            }
        }
    }

    fn start_call(&mut self, wire: &str, head: &Head<'_>, speaker: &Speaker, out: &mut Vec<AgentEvent>) {
        let message = self.messages.for_call(head.parent_message_id.some(), speaker, out);
        let (name, parent) = (head.tool_call_name.some(), speaker.parent.clone());
        self.calls.start(Start { wire, name, message, parent, ran_by: RanBy::Us }, out);
    }

    fn run_started(&mut self, head: &Head<'_>) {
        let run = head.run_id.some().unwrap_or_default();
        if self.run.is_none() || self.end.is_some() {
            self.run = Some(run.to_owned());
            self.end = None;
        } else if self.run.as_deref() != Some(run) && self.nested.len() < 64 {
            self.nested.push(run.to_owned());
        }
    }

    fn run_finished(&mut self, head: &Head<'_>, event: &Json, out: &mut Vec<AgentEvent>) {
        self.usage = total(event.get("usage").or_else(|| event.get("result")?.get("usage")), self.usage);
        let run = head.run_id.some().unwrap_or_default();
        if let Some(at) = self.nested.iter().position(|nested| nested == run) {
            self.nested.remove(at);
            return;
        }
        let outcome = event.get("outcome").unwrap_or(&Json::Null);
        let kind = outcome.as_str().or_else(|| outcome.get("type")?.as_str()).unwrap_or_default();
        // The drafts had one interrupt beside the outcome.
        let interrupts =
            outcome.get("interrupts").or_else(|| event.get("interrupts")).or_else(|| event.get("interrupt"));
        let interrupts = match interrupts {
            Some(Json::Array(list)) => list.clone(),
            Some(one @ Json::Object(_)) => vec![one.clone()],
            _ => Vec::new(),
        };
        if kind == "interrupt" || !interrupts.is_empty() {
            waits_for(&interrupts, out);
        }
        if let Some(result) = event.get("result").filter(|result| !result.is_null()) {
            note("result", json!({ "value": capped(result) }), out);
        }
        // An outcome that is none of the format's own, and what servers add of their model.
        let added = ["finishReason", "finish_reason", "stopReason", "stop_reason"];
        let added = added.iter().find_map(|key| event.get(*key).or_else(|| event.get("result")?.get(*key))?.as_str());
        let words = [Some(kind).filter(|kind| !matches!(*kind, "" | "interrupt")), added];
        let reason = words.into_iter().flatten().map(Reason::of).find(|reason| *reason != Reason::End);
        self.end = Some(match reason {
            Some(Reason::Interrupted) => TurnEnd::Cancelled,
            Some(Reason::Failed) => {
                let said = event.get("error").or_else(|| outcome.get("error")).and_then(error::inner);
                TurnEnd::Failed(error::fault(&said.unwrap_or_else(|| error::said(&outcome.to_string()))))
            }
            reason => {
                // Its messages are closed already.
                let stop = reason.map_or(Stop::End, Reason::stop);
                self.cut_short = matches!(stop, Stop::Length | Stop::Refused).then_some(stop);
                TurnEnd::Completed
            }
        });
    }

    fn run_error(&mut self, head: &Head<'_>, event: &Json, marked: bool) {
        self.usage = total(event.get("usage"), self.usage);
        let said = if let Some(words) = head.message.some() {
            let message = surrogate::settled(words.into(), marked);
            let code = head.code.some().unwrap_or_default().to_owned();
            let status = code.parse().ok().filter(|status| *status >= 100);
            error::Said { message: error::tidy(&message), code, status }
        } else {
            error::said(&event.to_string())
        };
        self.end = Some(TurnEnd::Failed(error::fault(&said)));
        self.failed = true;
    }

    fn rare(&mut self, kind: &str, head: &Head<'_>, event: &Json, out: &mut Vec<AgentEvent>) {
        let field = |key: &str| event.get(key).cloned().unwrap_or(Json::Null);
        let run = head.subagent_run_id.some().unwrap_or_default();
        match kind {
            "STATE_SNAPSHOT" => note("state", sized("snapshot", &field("snapshot")), out),
            "STATE_DELTA" => note("state", sized("patch", &field("delta")), out),
            "ACTIVITY_SNAPSHOT" | "ACTIVITY_DELTA" => {
                let key = if kind == "ACTIVITY_SNAPSHOT" { "content" } else { "patch" };
                let mut data = json!({"id": field("messageId"), "type": field("activityType")});
                data[key] = capped(&field(key));
                note("activity", data, out);
            }
            "CUSTOM" => note("custom", json!({"name": field("name"), "value": capped(&field("value"))}), out),
            "MESSAGES_SNAPSHOT" => {
                let list = event.get("messages").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                snapshot::reconcile(list, self.is_prompted, &mut self.messages, &mut self.calls, out);
            }
            "REASONING_ENCRYPTED_VALUE" => {
                let mut value = event.clone();
                if let Some(value) = value.as_object_mut() {
                    value.retain(|key, _| matches!(key.as_str(), "subtype" | "entityId" | "encryptedValue"));
                }
                self.messages.keep_encrypted(value);
            }
            "SUBAGENT_STARTED" => {
                self.agents.start(run, event, &mut self.messages, &mut self.calls, out);
            }
            "SUBAGENT_FINISHED" | "SUBAGENT_ERROR" => self.subagent_over(kind, run, event, out),
            other => match error::reported(&SseFrame::named(other, event.to_string())) {
                Some(said) => {
                    self.end = Some(TurnEnd::Failed(error::fault(&said)));
                    self.failed = true;
                }
                None => self.odd.met(other, out),
            },
        }
    }

    fn subagent_over(&mut self, kind: &str, run: &str, event: &Json, out: &mut Vec<AgentEvent>) {
        let speaker = self.agents.speaker(Some(run), &mut self.messages, &mut self.calls, out);
        self.messages.close_speaker(&speaker, out);
        let word = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        let outcome =
            event.get("outcome").and_then(|outcome| outcome.as_str().or_else(|| outcome.get("type")?.as_str()));
        let (outcome, text) = match (kind, outcome) {
            ("SUBAGENT_ERROR", _) => {
                (Outcome::Failed, event.get("message").map_or_else(|| "no reason given".to_owned(), word))
            }
            (_, Some("cancelled" | "canceled")) => (Outcome::Cancelled, String::new()),
            _ => (Outcome::Ok, event.get("result").filter(|result| !result.is_null()).map(word).unwrap_or_default()),
        };
        let told = self.agents.finish(run, outcome, text.clone(), &mut self.calls, out);
        if !told && outcome == Outcome::Failed {
            let text = format!("a subagent failed: {}", error::tidy(&text));
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "subagent".into(), text });
        }
    }
}

impl Decode for AgUi {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let data = frame.data.trim();
        if self.failed || data.is_empty() || data == "[DONE]" {
            return;
        }
        let mended = surrogate::lone(data);
        let (text, marked) = (mended.as_deref().unwrap_or(data), mended.is_some());
        if let Ok(Obj(Some(head))) = serde_json::from_str::<Obj<Head<'_>>>(text) {
            let kind = head.kind.some().unwrap_or(&frame.event).to_owned();
            return self.event(&kind, head, text, marked, out);
        }
        // The slow way forgives repeated keys.
        let json: Option<Json> = serde_json::from_str(text).ok();
        match json.as_ref().filter(|json| json.is_object()).and_then(|json| Head::deserialize(json).ok()) {
            Some(head) => {
                let kind = head.kind.some().unwrap_or(&frame.event).to_owned();
                self.event(&kind, head, text, marked, out);
            }
            None => match error::unread(frame) {
                Some(said) => {
                    self.end = Some(TurnEnd::Failed(error::fault(&said)));
                    self.failed = true;
                }
                None => self.odd.met("data that is not a JSON object", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        let end = self.end.take().unwrap_or(TurnEnd::Interrupted);
        let stop = match end {
            TurnEnd::Completed => self.cut_short,
            TurnEnd::Cancelled => Some(Stop::Cancelled),
            TurnEnd::Interrupted => Some(Stop::Interrupted),
            TurnEnd::Failed(_) => Some(Stop::Failed),
        };
        if end == TurnEnd::Completed {
            self.calls.close_chunks(None, out);
        }
        let was_closed = !self.messages.close_all(stop, out);
        if let Some((code, text)) = self.cut_short.and_then(|stop| stop.remark(LastPart::Text)).filter(|_| was_closed) {
            out.push(AgentEvent::Noticed { level: Level::Warn, code: code.into(), text: text.into() });
        }
        if self.raw > 0 {
            note("custom", json!({"name": "raw events", "value": self.raw}), out);
        }
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Turn, usage });
        }
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn has_failed(&self) -> bool {
        self.failed
    }

    fn is_done(&self) -> bool {
        self.failed
    }

    /// Another run may follow in the same stream.
    fn is_settled(&self) -> bool {
        self.end.is_some()
    }
}

/// Chunks go on behind what only reports beside them.
fn ends_chunks(kind: &str) -> bool {
    let beside = ["STATE_", "ACTIVITY_", "STEP_", "SUBAGENT_", "CUSTOM", "RAW", "REASONING_ENCRYPTED_VALUE"];
    !kind.ends_with("_CHUNK") && !beside.iter().any(|word| kind.starts_with(word))
}

fn role(role: &Text<'_>) -> Role {
    match role.some() {
        Some("user") => Role::User,
        Some("system" | "developer") => Role::System,
        Some("tool") => Role::Tool,
        _ => Role::Assistant,
    }
}

/// Reads the whole event where its frequent fields are not enough.
fn whole(text: &str, marked: bool) -> Json {
    let mut json: Json = serde_json::from_str(text).unwrap_or_default();
    surrogate::settle(&mut json, marked);
    json
}

fn note(kind: &str, data: Json, out: &mut Vec<AgentEvent>) {
    out.push(AgentEvent::Annotated { on: Subject::Turn("t".into()), kind: kind.into(), data });
}

fn sized(key: &str, value: &Json) -> Json {
    match capped(value) {
        Json::Object(object) if object.contains_key("left_out_bytes") => {
            json!({ "bytes": object.get("left_out_bytes") })
        }
        value => json!({ key: value }),
    }
}

/// Returns the value, or how large it is where it is too large to keep.
fn capped(value: &Json) -> Json {
    let size = value.to_string().len();
    if size <= MOST_DATA { value.clone() } else { json!({ "left_out_bytes": size }) }
}

fn waits_for(interrupts: &[Json], out: &mut Vec<AgentEvent>) {
    let word = |interrupt: &Json, key: &str| {
        interrupt.get(key).and_then(Json::as_str).map(error::tidy).filter(|text| !text.is_empty())
    };
    let reasons: Vec<String> =
        interrupts.iter().filter_map(|one| word(one, "message").or_else(|| word(one, "reason"))).collect();
    let reasons = if reasons.is_empty() { "it does not say for what".to_owned() } else { reasons.join("; ") };
    let text = format!("the agent waits for an answer before it goes on: {reasons}");
    out.push(AgentEvent::Noticed { level: Level::Warn, code: "input_required".into(), text });
    note("interrupt", json!({ "interrupts": capped(&interrupts.into()) }), out);
}

/// Adds up what each model used.
fn total(usage: Option<&Json>, before: Option<Usage>) -> Option<Usage> {
    let entries = match usage {
        Some(Json::Array(entries)) => entries.as_slice(),
        Some(one @ Json::Object(_)) => std::slice::from_ref(one),
        _ => return before,
    };
    let mut sum = before.unwrap_or_default();
    for entry in entries {
        sum = sum.plus(usage::read(entry).unwrap_or_default());
    }
    (sum.total() > 0).then_some(sum)
}

#[cfg(test)]
mod tests;
