//! Subagents: each invocation is shown as the call that began it, or, where none did, as a call of its own that the
//! server runs.

use super::calls::{Calls, Start};
use super::messages::{Messages, Speaker};
use crate::event::{AgentEvent, CallId, Json, Outcome, RanBy};

/// Invocations that are remembered.
const MOST: usize = 1024;

#[derive(Debug)]
struct Agent {
    run: String,
    call: CallId,
    /// The name of the call that stands for it, where it is none of the agent's.
    own: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Agents {
    list: Vec<Agent>,
}

impl Agents {
    /// Returns who speaks in an event. An invocation that was not announced is announced now.
    pub(super) fn speaker(
        &mut self,
        run: Option<&str>,
        messages: &mut Messages,
        calls: &mut Calls,
        out: &mut Vec<AgentEvent>,
    ) -> Speaker {
        let Some(run) = run else { return Speaker::default() };
        let parent = match self.list.iter().rev().find(|agent| agent.run == run) {
            Some(agent) => agent.call.clone(),
            None => self.start(run, &Json::Null, messages, calls, out),
        };
        Speaker { run: Some(run.to_owned()), parent: Some(parent) }
    }

    /// An invocation begins. Returns the call that stands for it.
    pub(super) fn start(
        &mut self,
        run: &str,
        about: &Json,
        messages: &mut Messages,
        calls: &mut Calls,
        out: &mut Vec<AgentEvent>,
    ) -> CallId {
        if let Some(agent) = self.list.iter().rev().find(|agent| agent.run == run) {
            return agent.call.clone();
        }
        let word = |key: &str| about.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let begun_by = word("parentToolCallId").and_then(|wire| calls.id(wire));
        let (call, own) = if let Some(call) = begun_by {
            (call, None)
        } else {
            let parent =
                word("parentSubagentRunId").and_then(|run| self.list.iter().rev().find(|agent| agent.run == run));
            let speaker = parent.map_or_else(Speaker::default, |agent| Speaker {
                run: Some(agent.run.clone()),
                parent: Some(agent.call.clone()),
            });
            let wire = format!("subagent {run}");
            let message = messages.for_call(word("parentMessageId"), &speaker, out);
            let name = Some(word("name").unwrap_or("subagent"));
            let start = Start { wire: &wire, name, message, parent: speaker.parent, ran_by: RanBy::Server };
            let call = calls.start(start, out);
            if let Some(about) = word("description") {
                let args = serde_json::json!({ "description": about }).to_string();
                let _ = calls.args(&wire, args.into(), false, out);
            }
            calls.ready(&wire, out);
            (call, Some(wire))
        };
        if self.list.len() >= MOST {
            self.list.drain(..MOST / 4);
        }
        self.list.push(Agent { run: run.to_owned(), call: call.clone(), own });
        call
    }

    /// An invocation is over. Returns false where its call has an end of its own.
    pub(super) fn finish(
        &mut self,
        run: &str,
        outcome: Outcome,
        text: String,
        calls: &mut Calls,
        out: &mut Vec<AgentEvent>,
    ) -> bool {
        let Some(wire) = self.list.iter().rev().find(|agent| agent.run == run).and_then(|agent| agent.own.as_deref())
        else {
            return false;
        };
        calls.finish(wire, outcome, text, out);
        true
    }
}
