//! An answer put together from its facts, for dialects that repeat the whole of it at the end.
//!
//! It keeps what fits into [`CAP`] and says when that was not all. Messages of sub-agents and of anyone but the
//! assistant are no part of the answer. The text of a later message stands apart from that of the earlier one, on the
//! stream as in the whole.

use std::collections::HashSet;

use serde_json::json;

use super::cost::Cost;
use crate::event::{AgentEvent, CallId, Fault, Json, MessageId, Millis, Outcome, Role, Stop, TextKind, TurnEnd};

/// Bytes of text, arguments and outputs that are kept, each.
pub(super) const CAP: usize = 1 << 20;
/// Calls that are kept.
const MOST_CALLS: usize = 512;

/// What stands between two messages.
pub(super) const APART: &str = "\n\n";

/// What a fact means for the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// More text. Where it begins another message, that stands apart.
    Text(String, TextKind),
    Reasoning(String),
    /// The call at this place began.
    Called(usize),
    /// More of the arguments of the call at this place.
    Args(usize, String),
    /// They are complete, and this is what was not told of them.
    Ready(usize, String),
    /// The call at this place ended.
    Finished(usize),
    /// The model is asked once more; how often in a row, and why.
    Retry(u32, String),
    End(TurnEnd),
}

/// A call of the answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) name: String,
    /// As far as they came.
    pub(super) args: String,
    /// Its name came with the whole arguments only.
    pub(super) was_nameless: bool,
    pub(super) ready: bool,
    /// Bytes of arguments that were told in pieces.
    told: usize,
    pub(super) outcome: Option<Outcome>,
    pub(super) output: String,
    pub(super) took: Option<Millis>,
}

impl Call {
    /// Says how far it is: `started`, `running`, or how it ended.
    pub(super) fn status(&self) -> &'static str {
        match self.outcome {
            Some(Outcome::Ok) => "completed",
            Some(outcome) => outcome.name(),
            None if self.ready => "running",
            None => "started",
        }
    }

    /// Returns it as OpenAI's chunks have it, whole.
    pub(super) fn wire(&self) -> Json {
        json!({
            "id": self.id.as_str(), "type": "function", "function": {"name": self.name, "arguments": self.args},
        })
    }

    /// Returns it with how far it is and, where it ended, what it gave.
    pub(super) fn wire_state(&self) -> Json {
        let mut wire = self.wire();
        wire["status"] = self.status().into();
        if self.outcome.is_some() {
            wire["output"] = self.output.as_str().into();
        }
        if let Some(took) = self.took {
            wire["latency_ms"] = took.0.into();
        }
        wire
    }
}

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    /// Something did not fit.
    pub(super) truncated: bool,
    /// That was text.
    cut: bool,
    pub(super) refused: bool,
    pub(super) end: Option<TurnEnd>,
    cost: Cost,
    stop: Option<Stop>,
    /// Whose text came last, and where in the text it begins.
    speaker: Option<(MessageId, usize)>,
    spoke: bool,
    /// Open messages that are no part of the answer.
    others: HashSet<MessageId>,
    args: usize,
    outputs: usize,
    retries: u32,
}

impl Gathered {
    pub(super) fn take(&mut self, event: &AgentEvent) -> News {
        match event {
            AgentEvent::MessageStarted { message, role, parent } => {
                if *role != Role::Assistant || parent.is_some() {
                    self.others.insert(message.clone());
                }
                News::Nothing
            }
            AgentEvent::TextDelta { message, text, kind } if !text.is_empty() && !self.others.contains(message) => {
                self.refused |= *kind == TextKind::Refusal;
                News::Text(self.say(message, text), *kind)
            }
            AgentEvent::ReasoningDelta { message, text } if !text.is_empty() && !self.others.contains(message) => {
                self.retries = 0;
                News::Reasoning(text.clone())
            }
            AgentEvent::MessageFinished { message, .. } if self.others.remove(message) => News::Nothing,
            AgentEvent::MessageFinished { message, stop, full, .. } => {
                self.stop = Some(*stop);
                full.as_deref().map_or(News::Nothing, |full| self.settle(message, full))
            }
            AgentEvent::ToolCallStarted { call, name, .. } => self.begin(call, name.as_deref().unwrap_or_default()),
            AgentEvent::ToolArgsDelta { call, json } => self.grow(call, json),
            AgentEvent::ToolCallReady { call, name, args, .. } => self.ready(call, name, args),
            AgentEvent::ToolCallFinished { call, outcome, output, took } => {
                let room = CAP.saturating_sub(self.outputs);
                let Some((at, known)) = self.find(call).and_then(|at| Some((at, self.calls.get_mut(at)?))) else {
                    return News::Nothing;
                };
                known.outcome = Some(*outcome);
                known.took = took.or(known.took);
                let kept = head(&output.text, room.saturating_add(known.output.len()));
                self.truncated |= kept.len() < output.text.len();
                self.outputs = self.outputs.saturating_sub(known.output.len()).saturating_add(kept.len());
                kept.clone_into(&mut known.output);
                News::Finished(at)
            }
            AgentEvent::UsageReported { .. } => {
                self.cost.observe(event);
                News::Nothing
            }
            AgentEvent::Noticed { code, text, .. } if code == "retry" || code == "recoverable" => {
                self.retries = self.retries.saturating_add(1);
                News::Retry(self.retries, text.clone())
            }
            AgentEvent::TurnFinished { end, .. } => {
                self.end = Some(end.clone());
                News::End(end.clone())
            }
            _ => News::Nothing,
        }
    }

    /// Returns the usage as OpenAI's chunks have it.
    pub(super) fn usage(&self) -> Option<Json> {
        let usage = self.cost.total()?;
        let mut wire = json!({
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total(),
        });
        if usage.cached_tokens > 0 {
            wire["prompt_tokens_details"] = json!({"cached_tokens": usage.cached_tokens});
        }
        if usage.reasoning_tokens > 0 {
            wire["completion_tokens_details"] = json!({"reasoning_tokens": usage.reasoning_tokens});
        }
        Some(wire)
    }

    /// Returns why the answer ended, as OpenAI's chunks have it. The client runs calls only where it brought the tools.
    pub(super) fn finish_reason(&self, client_tools: bool) -> &'static str {
        match self.stop {
            Some(Stop::Length) => "length",
            Some(Stop::Refused) if !self.refused => "content_filter",
            Some(Stop::ToolCalls) if client_tools => "tool_calls",
            _ => "stop",
        }
    }

    /// Returns the reason where it is not a whole answer, for formats that have no word for it.
    pub(super) fn cut_short(&self) -> Option<&'static str> {
        Some(self.finish_reason(false)).filter(|reason| *reason != "stop")
    }

    fn find(&self, call: &CallId) -> Option<usize> {
        self.calls.iter().rposition(|known| known.id == *call)
    }

    fn say(&mut self, message: &MessageId, text: &str) -> String {
        self.retries = 0;
        let mut said = String::new();
        if self.speaker.as_ref().is_none_or(|(speaker, _)| speaker != message) {
            if std::mem::replace(&mut self.spoke, true) {
                said.push_str(APART);
            }
            let begins = self.text.len() + said.len();
            self.speaker = Some((message.clone(), begins));
        }
        said.push_str(text);
        self.keep(&said);
        said
    }

    /// Keeps what fits. Once something was left out, nothing may follow.
    fn keep(&mut self, said: &str) {
        if self.cut {
            return;
        }
        let kept = head(said, CAP.saturating_sub(self.text.len()));
        self.cut = kept.len() < said.len();
        self.truncated |= self.cut;
        self.text.push_str(kept);
    }

    /// The wire said the whole text of a message once more: adds what was missing, or puts it in place of what was
    /// said.
    fn settle(&mut self, message: &MessageId, full: &str) -> News {
        let said = match &self.speaker {
            Some((speaker, begins)) if speaker == message => self.text.get(*begins..),
            _ if full.is_empty() => return News::Nothing,
            _ => return News::Text(self.say(message, full), TextKind::Text),
        };
        let Some(said) = said.filter(|_| !self.cut) else { return News::Nothing };
        match full.strip_prefix(said) {
            Some("") => News::Nothing,
            Some(missing) => News::Text(self.say(message, missing), TextKind::Text),
            None => {
                let begins = self.text.len() - said.len();
                self.text.truncate(begins);
                self.keep(full);
                News::Nothing
            }
        }
    }

    fn begin(&mut self, call: &CallId, name: &str) -> News {
        self.retries = 0;
        if self.find(call).is_some() {
            return News::Nothing;
        }
        if self.calls.len() >= MOST_CALLS {
            self.truncated = true;
            return News::Nothing;
        }
        self.calls.push(Call {
            id: call.clone(),
            name: name.to_owned(),
            args: String::new(),
            was_nameless: name.is_empty(),
            ready: false,
            told: 0,
            outcome: None,
            output: String::new(),
            took: None,
        });
        News::Called(self.calls.len() - 1)
    }

    fn grow(&mut self, call: &CallId, json: &str) -> News {
        let room = CAP.saturating_sub(self.args);
        let Some(at) = self.find(call) else { return News::Nothing };
        let Some(known) = self.calls.get_mut(at).filter(|known| !known.ready && !json.is_empty()) else {
            return News::Nothing;
        };
        known.told = known.told.saturating_add(json.len());
        if json.len() <= room {
            self.args += json.len();
            known.args.push_str(json);
        }
        News::Args(at, json.to_owned())
    }

    fn ready(&mut self, call: &CallId, name: &str, args: &str) -> News {
        let Some(at) = self.find(call) else { return News::Nothing };
        let Some(known) = self.calls.get_mut(at) else { return News::Nothing };
        let missing = args.get(known.told..).unwrap_or_default().to_owned();
        name.clone_into(&mut known.name);
        known.ready = true;
        self.args = self.args.saturating_sub(known.args.len()).saturating_add(args.len());
        args.clone_into(&mut known.args);
        News::Ready(at, missing)
    }

    /// Lets go of arguments that are too much to keep, once they were told.
    pub(super) fn told(&mut self, at: usize) {
        if self.args > CAP
            && let Some(call) = self.calls.get_mut(at)
        {
            self.truncated = true;
            self.args -= call.args.len();
            call.args = String::new();
        }
    }
}

/// How an answer that did not end well is told: the words, and a word for programs.
pub(super) fn trouble(end: &TurnEnd) -> Option<(&str, &'static str)> {
    match end {
        TurnEnd::Completed => None,
        TurnEnd::Cancelled => Some(("the turn was cancelled", "cancelled")),
        TurnEnd::Interrupted => Some(("the answer was cut off before its end", "interrupted")),
        TurnEnd::Failed(Fault { message, kind, .. }) => Some((message, kind.name())),
    }
}

/// Returns how many whole characters fit into so many bytes.
fn head(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
