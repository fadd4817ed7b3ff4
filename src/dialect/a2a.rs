//! A2A, 0.3 and 1.0: each frame is a JSON-RPC answer (or, in the REST binding, its result) with a task, a message, a
//! change of the task's status or a piece of an artifact.
//!
//! Text comes in three places that repeat each other: in messages of the status, in artifacts, which are written piece
//! by piece, and in the task as a whole. Each text is told once: what an artifact writes is held back while it says
//! what a status said before, and a status that says what an artifact said is not told. A task that waits for the
//! person has ended its answer; what a follow-up must name is in the annotation `task`.

mod artifact;
mod spoken;
mod tell;
mod wire;

use std::collections::VecDeque;

use serde_json::json;

use self::artifact::Artifact;
use self::spoken::Spoken;
use self::tell::{annotate, failure, settled, waits};
use self::wire::{Outcome, Parts, field, word};
use super::odd::Odd;
use super::stop::Verdict;
use super::surrogate;
use super::tree::Tree;
use super::{Context, Decode, Dialect, SseFrame, error};
use crate::event::{AgentEvent, Fault, FaultKind, Json, LastPart, Level, Stop, TurnEnd};

pub const DIALECT: Dialect = Dialect {
    name: "a2a",
    decode: |context: &Context| Box::new(A2a::new(context.prompt.is_some())),
    loses: "tool calls, usage, bytes of files",
};

/// Messages that are known again.
const MOST_MESSAGES: usize = 1024;
/// Bytes of text that are known again.
const MOST_TEXT: usize = 8 * 1024 * 1024;

/// Bytes of a text that another one must begin with to be the same, grown.
const LEAST: usize = 4;

/// The decoder of one answer.
#[derive(Debug, Default)]
pub struct A2a {
    is_prompted: bool,
    count: u64,
    /// The message of a status that may still grow.
    status: Option<Open>,
    artifacts: Vec<Artifact>,
    /// Texts of messages that were told, and their ids.
    said: VecDeque<(String, String)>,
    kept: usize,
    spoke: bool,
    others: usize,
    /// The task that was told, and its context.
    task: Option<(String, Option<String>)>,
    end: Option<TurnEnd>,
    /// What servers say of the model beside the states of the task.
    verdict: Verdict,
    /// A message says how the answer stopped.
    is_remarked: bool,
    done: bool,
    odd: Odd,
}

#[derive(Debug)]
struct Open {
    wire: String,
    spoken: Spoken,
    text: String,
}

impl A2a {
    /// `is_prompted` says whether the stream answers a prompt of ours.
    pub fn new(is_prompted: bool) -> Self {
        Self { is_prompted, ..Self::default() }
    }

    fn result(&mut self, json: &Tree<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some((result, is_new)) = wire::result(json) else {
            return self.odd.met("a result that is not a task, message or update", out);
        };
        if let Some(word) = wire::reason(result) {
            self.verdict.take(word, out);
        }
        match result {
            Outcome::Task(task) => {
                self.note_task(task, word(task, "id"), out);
                self.history(task, marked, out);
                for artifact in task.get("artifacts").into_iter().flat_map(Tree::list) {
                    self.artifact(artifact, false, false, marked, out);
                }
                if let Some(status) = task.get("status") {
                    self.status(status, is_new, false, marked, out);
                }
            }
            Outcome::Message(message) => {
                if wire::is_agents(message) {
                    self.message(message, marked, out);
                    // A message in place of a task is the whole answer.
                    self.end.get_or_insert(TurnEnd::Completed);
                }
            }
            Outcome::Status(update) => {
                self.note_task(update, field(update, "taskId", "task_id").and_then(Tree::as_str), out);
                let is_final = update.get("final") == Some(&Tree::Bool(true));
                if let Some(status) = update.get("status") {
                    self.status(status, is_new, is_final, marked, out);
                }
            }
            Outcome::Artifact(update) => {
                self.note_task(update, field(update, "taskId", "task_id").and_then(Tree::as_str), out);
                let flag = |one: &str, other: &str| field(update, one, other) == Some(&Tree::Bool(true));
                if let Some(artifact) = update.get("artifact") {
                    self.artifact(artifact, flag("append", "append"), flag("lastChunk", "last_chunk"), marked, out);
                }
            }
        }
    }

    /// Tells which task it is, once.
    fn note_task(&mut self, holder: &Tree<'_>, id: Option<&str>, out: &mut Vec<AgentEvent>) {
        let Some(id) = id else { return };
        let context = field(holder, "contextId", "context_id").and_then(Tree::as_str);
        if self.task.as_ref().is_some_and(|(told, of)| told == id && of.as_deref() == context) {
            return;
        }
        self.task = Some((id.to_owned(), context.map(str::to_owned)));
        annotate("task", json!({"id": id, "context": context}), out);
    }

    /// The conversation behind a task. What lies before our own prompt is known.
    fn history(&mut self, task: &Tree<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let list = task.get("history").map(Tree::list).unwrap_or_default();
        let prompt = list.iter().rposition(|message| !wire::is_agents(message)).filter(|_| self.is_prompted);
        let from = prompt.map_or(0, |at| at + 1).max(list.len().saturating_sub(MOST_MESSAGES));
        for message in list.iter().skip(from).filter(|message| wire::is_agents(message)) {
            self.message(message, marked, out);
        }
    }

    fn status(&mut self, status: &Tree<'_>, is_new: bool, is_final: bool, marked: bool, out: &mut Vec<AgentEvent>) {
        let state = wire::state(status);
        let is_failure = matches!(state.as_str(), "failed" | "rejected");
        let message = status.get("message").filter(|message| message.is_object() && wire::is_agents(message));
        let mut words = message.map(|message| settled(&wire::parts(message).text, marked)).unwrap_or_default();
        if let Some(message) = message.filter(|_| !is_failure || words.is_empty()) {
            self.message(message, marked, out);
        }
        if let Some(code) = message.filter(|_| is_failure).and_then(wire::error_code) {
            words = if words.is_empty() { code.to_owned() } else { format!("{words} ({code})") };
        }
        let end = match state.as_str() {
            "completed" => TurnEnd::Completed,
            "canceled" => TurnEnd::Cancelled,
            "failed" => TurnEnd::Failed(Fault::new(FaultKind::Upstream, failure("the agent's task failed", &words))),
            "rejected" => {
                TurnEnd::Failed(Fault::new(FaultKind::Refused, failure("the agent refused the task", &words)))
            }
            "input-required" | "auth-required" => {
                if self.end.is_none() {
                    waits(&state, &words, out);
                }
                TurnEnd::Completed
            }
            _ if is_final => {
                let text = "the agent ended its answer while its task goes on; ask again for the rest".to_owned();
                out.push(AgentEvent::Noticed { level: Level::Warn, code: "task_open".into(), text });
                TurnEnd::Completed
            }
            // It works again after it waited.
            _ => return,
        };
        // The first verdict counts, but that a task which waited may still come to its end.
        if !matches!(self.end, Some(TurnEnd::Failed(_) | TurnEnd::Cancelled)) {
            self.end = Some(end);
        }
        // Before 1.0 the task may follow as a whole.
        self.done |= is_new;
    }

    /// Tells a message unless its text was told already, by itself or by an artifact.
    fn message(&mut self, message: &Tree<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let id = field(message, "messageId", "message_id").and_then(Tree::as_str).unwrap_or_default();
        let Parts { text, thought, others } = wire::parts(message);
        let (text, thought) = (settled(&text, marked), settled(&thought, marked));
        // The same message again; some servers give it another id whenever it has grown.
        let goes_on = |open: &Open| {
            (!id.is_empty() && open.wire == id) || (open.text.len() >= LEAST && text.starts_with(open.text.as_str()))
        };
        if let Some(open) = self.status.as_mut().filter(|open| goes_on(open)) {
            id.clone_into(&mut open.wire);
            let more = match text.strip_prefix(open.text.as_str()) {
                Some(more) => more,
                None if open.text.starts_with(&text) => "",
                // A piece of it.
                None => &text,
            };
            if !more.is_empty() {
                open.spoken.say(more, &mut self.count, out);
                let more = more.to_owned();
                open.text.push_str(&more);
            }
            return;
        }
        if self.is_told(id, &text) {
            return;
        }
        self.close_status(None, out);
        self.others(&others, marked, out);
        if text.is_empty() && thought.is_empty() {
            return;
        }
        let mut spoken = Spoken::begin(&mut self.count, out);
        spoken.think(&thought, out);
        self.spoke |= !text.is_empty();
        spoken.say(&text, &mut self.count, out);
        self.status = Some(Open { wire: id.to_owned(), spoken, text });
    }

    fn close_status(&mut self, stop: Option<Stop>, out: &mut Vec<AgentEvent>) {
        let Some(Open { wire, spoken, text }) = self.status.take() else { return };
        spoken.finish(stop.unwrap_or(Stop::End), &mut self.count, out);
        self.kept = self.kept.saturating_add(text.len());
        if self.kept <= MOST_TEXT {
            if self.said.len() >= MOST_MESSAGES {
                self.said.pop_front();
            }
            self.said.push_back((wire, text));
        }
    }

    /// Returns the texts of messages, the newest last.
    fn sayings(&self) -> impl Iterator<Item = &str> + Clone {
        self.said.iter().map(|(_, text)| text.as_str()).chain(self.status.iter().map(|open| open.text.as_str()))
    }

    /// Returns whether messages began, or if `whole`, said this: one of them, or some in a row as pieces of one.
    fn is_said(&self, text: &str, whole: bool) -> bool {
        let text = if whole { text.trim() } else { text.trim_start() };
        let mut from = self.sayings();
        loop {
            let mut rest = Some(text);
            for (at, said) in from.clone().enumerate() {
                let Some(left) = rest else { break };
                let said = if at == 0 { said.trim_start() } else { said };
                if said.trim_end() == left || (!whole && said.starts_with(left)) {
                    return true;
                }
                rest = left.strip_prefix(said);
            }
            if from.next().is_none() {
                return false;
            }
        }
    }

    fn is_told(&self, id: &str, text: &str) -> bool {
        if !id.is_empty() && self.said.iter().any(|(known, _)| known == id) {
            return true;
        }
        let text = text.trim();
        if text.is_empty() {
            return false;
        }
        let open = self.status.as_ref().map(|open| open.text.as_str());
        let newest = open.or_else(|| self.said.back().map(|(_, text)| text.as_str()));
        let artifacts = || self.artifacts.iter().map(|artifact| artifact.text.trim());
        let joined = |between: &str| {
            let size = artifacts().map(|text| text.len() + between.len()).sum::<usize>();
            size == text.len() + between.len() && artifacts().collect::<Vec<_>>().join(between) == text
        };
        artifacts().any(|artifact| artifact == text)
            || newest.is_some_and(|newest| newest.trim() == text)
            || ["", "\n", "\n\n"].into_iter().any(joined)
    }

    fn others(&mut self, others: &[Json], marked: bool, out: &mut Vec<AgentEvent>) {
        for part in others {
            let mut part = part.clone();
            surrogate::settle(&mut part, marked);
            self.others += 1;
            annotate("part", part, out);
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.end = Some(TurnEnd::Failed(fault));
        self.done = true;
    }
}

impl Decode for A2a {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let data = frame.data.trim();
        if self.done || data.is_empty() || frame.event == "ping" {
            return;
        }
        let mended = surrogate::lone(data);
        let Ok(json) = serde_json::from_str::<Tree<'_>>(mended.as_deref().unwrap_or(data)) else {
            return match error::unread(frame) {
                Some(said) => self.fail(error::fault(&said)),
                None => self.odd.met("data that is not JSON", out),
            };
        };
        let marked = mended.is_some();
        if let Some(fault) = wire::fault(&json) {
            return self.fail(fault);
        }
        let result = json.get("result").unwrap_or(&json);
        match wire::result(result).is_none().then(|| error::reported(frame)).flatten() {
            Some(said) => self.fail(error::fault(&said)),
            None => self.result(result, marked, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        let end = self.end.take().unwrap_or(TurnEnd::Interrupted);
        let end = if end == TurnEnd::Completed { self.verdict.fault().map_or(end, TurnEnd::Failed) } else { end };
        let stop = match end {
            TurnEnd::Completed => self.verdict.stop_with(false),
            TurnEnd::Cancelled => Stop::Cancelled,
            TurnEnd::Interrupted => Stop::Interrupted,
            TurnEnd::Failed(_) => Stop::Failed,
        };
        for at in 0..self.artifacts.len() {
            self.close_artifact(at, Some(stop), out);
        }
        self.is_remarked |= self.status.is_some();
        self.close_status(Some(stop), out);
        // The message that was cut off is closed already.
        if let Some((code, text)) = stop.remark(LastPart::Text).filter(|_| !self.is_remarked) {
            out.push(AgentEvent::Noticed { level: Level::Warn, code: code.into(), text: text.into() });
        }
        if !self.spoke && self.others > 0 {
            let text = format!("the answer has no words, but {} parts of data or files", self.others);
            out.push(AgentEvent::Noticed { level: Level::Info, code: "parts".into(), text });
        }
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn has_failed(&self) -> bool {
        matches!(self.end, Some(TurnEnd::Failed(_)))
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_settled(&self) -> bool {
        self.end.is_some()
    }
}

#[cfg(test)]
mod tests;
