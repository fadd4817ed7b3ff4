//! Subagents: each invocation is shown as the call that started it or, where there was none, as a server call of its
//! own.

use super::super::agent_calls::{AgentCallStart, AgentCalls};
use super::messages::{AgUiMessages, Speaker};
use crate::event::{CallId, CallOutcome, ExecutedBy, Json, ReplyEvent};

const MAX_SUBAGENTS: usize = 1024;

#[derive(Debug)]
struct Subagent {
    run_id: String,
    call: CallId,
    /// The name of the call that was added for it, where the agent made none.
    own_name: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Subagents {
    list: Vec<Subagent>,
}

impl Subagents {
    /// Returns the speaker of an event. An unannounced invocation is started here.
    pub(super) fn speaker(
        &mut self,
        run: Option<&str>,
        messages: &mut AgUiMessages,
        calls: &mut AgentCalls,
        out: &mut Vec<ReplyEvent>,
    ) -> Speaker {
        let Some(run) = run else { return Speaker::default() };
        let parent = match self.list.iter().rev().find(|agent| agent.run_id == run) {
            Some(agent) => agent.call.clone(),
            None => self.start(run, &Json::Null, messages, calls, out),
        };
        Speaker { run_id: Some(run.to_owned()), parent: Some(parent) }
    }

    /// Starts an invocation. Returns the call that represents it.
    pub(super) fn start(
        &mut self,
        run: &str,
        about: &Json,
        messages: &mut AgUiMessages,
        calls: &mut AgentCalls,
        out: &mut Vec<ReplyEvent>,
    ) -> CallId {
        if let Some(agent) = self.list.iter().rev().find(|agent| agent.run_id == run) {
            return agent.call.clone();
        }
        let word = |key: &str| about.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let begun_by = word("parentToolCallId").and_then(|wire| calls.id(wire));
        let (call, own) = if let Some(call) = begun_by {
            (call, None)
        } else {
            let parent =
                word("parentSubagentRunId").and_then(|run| self.list.iter().rev().find(|agent| agent.run_id == run));
            let speaker = parent.map_or_else(Speaker::default, |agent| Speaker {
                run_id: Some(agent.run_id.clone()),
                parent: Some(agent.call.clone()),
            });
            let wire = format!("subagent {run}");
            let message = messages.open_for_call(word("parentMessageId"), &speaker, out);
            let name = Some(word("name").unwrap_or("subagent"));
            let start =
                AgentCallStart { wire_id: &wire, name, message, parent: speaker.parent, ran_by: ExecutedBy::Server };
            let call = calls.start(start, out);
            if let Some(about) = word("description") {
                let args = serde_json::json!({ "description": about }).to_string();
                let _ = calls.push_args(&wire, args.into(), false, out);
            }
            calls.mark_ready(&wire, out);
            (call, Some(wire))
        };
        if self.list.len() >= MAX_SUBAGENTS {
            self.list.drain(..MAX_SUBAGENTS / 4);
        }
        self.list.push(Subagent { run_id: run.to_owned(), call: call.clone(), own_name: own });
        call
    }

    /// Ends an invocation. Returns false where its call has an end event of its own.
    pub(super) fn finish(
        &mut self,
        run: &str,
        outcome: CallOutcome,
        text: String,
        calls: &mut AgentCalls,
        out: &mut Vec<ReplyEvent>,
    ) -> bool {
        let Some(wire) =
            self.list.iter().rev().find(|agent| agent.run_id == run).and_then(|agent| agent.own_name.as_deref())
        else {
            return false;
        };
        calls.finish(wire, outcome, text, out);
        true
    }
}
