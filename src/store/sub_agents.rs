//! Sub-agents: what each that a call started said and called, as a session of its own, apart from the transcript.
//!
//! An event belongs to a sub-agent if its message or call names a call that is known as what started it. A sub-agent of a
//! sub-agent is folded in the session of that. The calls of all stay on the call board, for one may need a decision.

use std::collections::HashMap;

use serde_json::Value;

use super::Store;
use super::tool_calls::{CallState, ToolCall};
use crate::event::{AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, MessageId, Millis};

/// Arguments that say what a sub-agent is to do, or what it is called; the most telling first.
const LABEL_KEYS: [&str; 6] = ["description", "title", "name", "subagent_type", "agent", "prompt"];
/// Characters of a label.
const MAX_LABEL_CHARS: usize = 200;
/// Bytes of text for a token, where nobody counted.
const BYTES_PER_TOKEN: u64 = 4;

/// The sub-agents of a session, in the order in which they began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubAgents {
    agents: Vec<SubAgent>,
    /// Of the running turn: which sub-agent a message or call belongs to.
    messages: HashMap<MessageId, usize>,
    calls: HashMap<CallId, usize>,
}

/// What a sub-agent did.
#[derive(Clone, Debug, PartialEq)]
pub struct SubAgent {
    /// The call that started it.
    pub call: CallId,
    /// What it said and called.
    pub store: Box<Store>,
    /// How often it called a tool, with the sub-agents that it started itself.
    pub call_count: u32,
    written_bytes: u64,
    told_tokens: Option<u64>,
    activity: Option<String>,
}

/// Tokens, and whether they are a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAgentTokens {
    pub count: u64,
    pub is_estimated: bool,
}

impl SubAgent {
    /// Returns how many tokens it used as its agent counts them, else a guess at what it wrote.
    pub fn tokens(&self) -> SubAgentTokens {
        match self.told_tokens {
            Some(count) => SubAgentTokens { count, is_estimated: false },
            None => SubAgentTokens { count: self.written_bytes.div_ceil(BYTES_PER_TOKEN), is_estimated: true },
        }
    }

    /// Returns what it says that it is doing, raw.
    pub fn activity(&self) -> Option<&str> {
        self.activity.as_deref()
    }
}

impl SubAgents {
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// Returns the sub-agent that a call started; those of sub-agents are found in theirs.
    pub fn get(&self, call: &CallId) -> Option<&SubAgent> {
        self.agents.iter().find(|agent| agent.call == *call)
    }

    /// Returns all of them, each before those that it started, with how deep it lies.
    pub fn all(&self) -> Vec<(usize, &SubAgent)> {
        let mut all = Vec::new();
        self.collect(0, &mut all);
        all
    }

    /// Returns the sub-agent that a call started, at any depth.
    pub fn find(&self, call: &CallId) -> Option<&SubAgent> {
        self.get(call).or_else(|| self.agents.iter().find_map(|agent| agent.store.sub_agents.find(call)))
    }

    pub(super) fn find_mut(&mut self, call: &CallId) -> Option<&mut SubAgent> {
        if let Some(at) = self.agents.iter().position(|agent| agent.call == *call) {
            return self.agents.get_mut(at);
        }
        self.agents.iter_mut().find_map(|agent| agent.store.sub_agents.find_mut(call))
    }

    fn collect<'a>(&'a self, depth: usize, all: &mut Vec<(usize, &'a SubAgent)>) {
        for agent in &self.agents {
            all.push((depth, agent));
            agent.store.sub_agents.collect(depth + 1, all);
        }
    }

    /// Does something to the session of each.
    pub(super) fn each(&mut self, mut act: impl FnMut(&mut Store)) {
        self.agents.iter_mut().for_each(|agent| act(&mut agent.store));
    }

    /// Returns which sub-agent an event belongs to, by what is known; a parent that is no call of this session is none.
    fn owner(&self, event: &AgentEvent, is_call: impl Fn(&CallId) -> bool) -> Option<EventOwner> {
        let known = |at: Option<&usize>| at.copied().map(EventOwner::Known);
        match event {
            AgentEvent::MessageStarted { parent: Some(parent), .. }
            | AgentEvent::ToolCallStarted { parent: Some(parent), .. } => {
                let at = self.agents.iter().position(|agent| agent.call == *parent);
                let at = at.or_else(|| self.calls.get(parent).copied()).map(EventOwner::Known);
                at.or_else(|| is_call(parent).then(|| EventOwner::New(parent.clone())))
            }
            AgentEvent::ToolCallStarted { message, .. }
            | AgentEvent::TextDelta { message, .. }
            | AgentEvent::ReasoningDelta { message, .. }
            | AgentEvent::MessageFinished { message, .. }
            | AgentEvent::Annotation { on: AnnotationTarget::Message(message), .. } => {
                known(self.messages.get(message))
            }
            _ => known(self.calls.get(event.call()?)),
        }
    }

    /// Takes note of what is told of a sub-agent itself, on the call that started it.
    fn on_call_annotation(&mut self, event: &AgentEvent) {
        if let AgentEvent::Annotation {
            on: AnnotationTarget::Call(call),
            annotation: Annotation::SubAgent { tokens, doing },
        } = event
            && let Some(agent) = self.find_mut(call)
        {
            agent.told_tokens = tokens.or(agent.told_tokens);
            agent.activity.clone_from(doing);
        }
    }

    fn end_turn(&mut self) {
        self.messages.clear();
        self.calls.clear();
        for agent in &mut self.agents {
            agent.store.sub_agents.end_turn();
        }
    }
}

enum EventOwner {
    Known(usize),
    /// One that a call started and of which nothing was heard so far.
    New(CallId),
}

impl Store {
    /// Folds an event of a sub-agent into its session. Returns the call that started it; none for one of the session's
    /// own agent.
    pub(super) fn fold_sub_agent(&mut self, at: Millis, event: &AgentEvent) -> Option<CallId> {
        self.sub_agents.on_call_annotation(event);
        if let AgentEvent::TurnFinished { .. } = event {
            self.sub_agents.end_turn();
        }
        let owner = self.sub_agents.owner(event, |call| self.tool_calls.get(call).is_some())?;
        let place = match owner {
            EventOwner::Known(place) => place,
            EventOwner::New(call) => {
                let store = Box::new(Self {
                    fold_thinking: self.fold_thinking,
                    fold_outputs: self.fold_outputs,
                    reduced_motion: self.reduced_motion,
                    tool_calls: self.tool_calls.emptied(),
                    ..Self::default()
                });
                let (told_tokens, activity) = (None, None);
                let agent = SubAgent { call, store, call_count: 0, written_bytes: 0, told_tokens, activity };
                self.sub_agents.agents.push(agent);
                self.sub_agents.agents.len() - 1
            }
        };
        let agents = &mut self.sub_agents;
        match event {
            AgentEvent::MessageStarted { message, .. } => _ = agents.messages.insert(message.clone(), place),
            AgentEvent::ToolCallStarted { call, .. } => _ = agents.calls.insert(call.clone(), place),
            _ => {}
        }
        let agent = agents.agents.get_mut(place)?;
        agent.count(event);
        agent.store.session.advance_clock(at);
        agent.store.fold_items(at, &without_parent(event, &agent.call));
        Some(agent.call.clone())
    }

    /// Says what the clocks of the sub-agents show.
    pub(super) fn advance_sub_agents(&mut self, now: Millis) {
        for agent in &mut self.sub_agents.agents {
            agent.store.session.advance_clock(now);
            agent.store.advance_sub_agents(now);
        }
    }
}

impl SubAgent {
    fn count(&mut self, event: &AgentEvent) {
        let bytes = match event {
            AgentEvent::ToolCallStarted { .. } => {
                self.call_count = self.call_count.saturating_add(1);
                0
            }
            AgentEvent::TextDelta { text, .. } | AgentEvent::ReasoningDelta { text, .. } => text.len(),
            AgentEvent::ToolCallReady { args, .. } => args.len(),
            _ => 0,
        };
        self.written_bytes = self.written_bytes.saturating_add(bytes as u64);
    }
}

/// Returns the event as one of the sub-agent's own session: what it did itself has no parent there.
fn without_parent(event: &AgentEvent, own: &CallId) -> AgentEvent {
    let mut event = event.clone();
    if let AgentEvent::MessageStarted { parent, .. } | AgentEvent::ToolCallStarted { parent, .. } = &mut event
        && parent.as_ref() == Some(own)
    {
        *parent = None;
    }
    event
}

/// Returns what a sub-agent is to do, in the words of the call that started it; raw.
pub fn label(call: &ToolCall) -> String {
    let args = serde_json::from_str::<Value>(&call.args).unwrap_or_default();
    let words = LABEL_KEYS.iter().find_map(|key| args.get(*key)?.as_str().filter(|text| !text.trim().is_empty()));
    words.unwrap_or(&call.name).chars().take(MAX_LABEL_CHARS).collect()
}

/// Returns how it is with a sub-agent, by the call that started it.
pub fn state_word(call: &ToolCall) -> &'static str {
    match call.state {
        CallState::Writing => "being started",
        CallState::AwaitingApproval => "waits for approval",
        CallState::Running => "running",
        CallState::Done(CallOutcome::Ok) => "done",
        CallState::Done(outcome) => outcome.label(),
    }
}

#[cfg(test)]
mod tests;
