//! PURE. A request that gets a session of its own, whatever dialect it came in.

use std::collections::HashMap;

use super::image_parts::ClientPrompt;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, CallOutput, ExecutedBy, FinishReason, Json,
    MessageId, OutputFormat, PromptContext, Role, SamplingParams, SessionId, TextKind, ToolSpec, TurnId, TurnOutcome,
    user_message,
};

/// A single prompt with its history and options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneShotRequest {
    /// The name of its session, where that was told already.
    pub session: Option<SessionId>,
    /// The history, as the events of finished turns: they follow the opening event in the session's log.
    pub history: Vec<AgentEvent>,
    /// `None` if the history ends with results of the client's tools: the model continues from there.
    pub prompt: Option<String>,
    /// What goes with the prompt.
    pub images: Vec<PromptContext>,
    /// Replaces our system prompt.
    pub system_prompt: Option<String>,
    pub model: Option<String>,
    /// The client's tools: the model may call them, the calls go back to the client, and our tools are not offered.
    pub client_tools: Option<Vec<ToolSpec>>,
    /// Rounds of tool calls before the final answer.
    pub max_rounds: Option<u32>,
    /// Limit of tool calls that run; further ones fail with an explanation for the model.
    pub max_calls: Option<u32>,
    pub sampling: SamplingParams,
    pub output_format: Option<WantedFormat>,
    /// Resources that the client gives to tools, in its own format; tools find them in their context.
    pub resources: Option<Json>,
    /// Whether it continues without readers.
    pub keep_running: bool,
    /// Whether the client can be asked for approvals; otherwise calls that need one are denied.
    pub asks_client: bool,
    /// Whether it ends as soon as its client is gone: the format has no way to come back for the rest.
    pub ends_with_client: bool,
    /// What of the request isn't heeded, each in a sentence for the session's log.
    pub left_out: Vec<String>,
}

/// A format of the answer, and the field that wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedFormat {
    pub format: OutputFormat,
    pub param: &'static str,
}

/// Prefix of turn ids in a history sent by a client.
const HISTORY_TURN_PREFIX: &str = "past";

/// Returns whether a turn belongs to a history sent by a client.
pub fn is_history_turn(turn: &TurnId) -> bool {
    turn.as_str().starts_with(HISTORY_TURN_PREFIX)
}

/// Builds the events of a history.
#[derive(Debug, Default)]
pub struct HistoryBuilder {
    events: Vec<AgentEvent>,
    turn: Option<TurnId>,
    turn_count: u32,
    message_count: u32,
    /// Calls without a result, in order.
    open_calls: Vec<CallId>,
}

impl HistoryBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add_user_message(&mut self, text: impl Into<String>) {
        self.add_prompt(ClientPrompt { text: text.into(), images: Vec::new() });
    }

    /// Adds a message of the user with its images.
    pub fn add_prompt(&mut self, ClientPrompt { text, images }: ClientPrompt) {
        self.end_turn();
        self.begin_turn();
        let message = self.next_message_id();
        self.events.extend(user_message(message, &text, images));
    }

    /// Adds a message of the assistant with its calls: id, name, and the arguments as written by the model.
    pub fn add_assistant_message(&mut self, text: &str, calls: impl IntoIterator<Item = (String, String, String)>) {
        self.begin_turn();
        self.close_open_calls();
        let message = self.next_message_id();
        let started = AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None };
        self.events.push(started);
        if !text.is_empty() {
            let (message, text) = (message.clone(), text.to_owned());
            self.events.push(AgentEvent::TextDelta { message, text, kind: TextKind::Text });
        }
        for (id, name, args) in calls {
            let call = CallId::from(id.as_str());
            self.events.push(AgentEvent::ToolCallStarted {
                call: call.clone(),
                message: message.clone(),
                name: Some(name.clone()),
                parent: None,
                executed_by: ExecutedBy::Client,
            });
            self.events.push(AgentEvent::ToolCallReady { call: call.clone(), name, args, provider_metadata: None });
            self.open_calls.push(call);
        }
        let stop = if self.open_calls.is_empty() { FinishReason::End } else { FinishReason::ToolCalls };
        self.events.push(AgentEvent::MessageFinished {
            message,
            finish_reason: stop,
            full_text: None,
            provider_metadata: None,
        });
    }

    /// Adds the result of a call. Returns false if no such call is open.
    pub fn add_tool_result(&mut self, id: &str, output: impl Into<String>, outcome: CallOutcome) -> bool {
        let Some(index) = self.open_calls.iter().position(|call| *call == CallId::from(id)) else { return false };
        let call = self.open_calls.remove(index);
        let output = CallOutput { text: output.into(), ..CallOutput::default() };
        self.events.push(AgentEvent::ToolCallFinished { call, outcome, output, duration: None });
        true
    }

    /// Returns the call that has waited longest for its result.
    pub fn oldest_open_call(&self) -> Option<&CallId> {
        self.open_calls.first()
    }

    /// Copies the events of a session: its history and its turns. Calls that didn't run wait for their results again,
    /// until a new turn begins. `carries` keeps provider metadata, which only the same model can use.
    pub fn replay<'a>(&mut self, events: impl IntoIterator<Item = &'a AgentEvent>, carries: bool) {
        let mut taken = ReplayedTurn::default();
        for event in events {
            self.replay_event(event, &mut taken, carries);
        }
        self.close_replayed_turn(&mut taken);
    }

    /// Returns whether a call waits for its result.
    pub fn is_call_open(&self, id: &str) -> bool {
        self.open_calls.iter().any(|call| call.as_str() == id)
    }

    /// The number of events so far.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Returns the events, every turn closed.
    pub fn into_events(mut self) -> Vec<AgentEvent> {
        self.end_turn();
        self.events
    }

    fn replay_event(&mut self, event: &AgentEvent, taken: &mut ReplayedTurn, carries: bool) {
        let kept_metadata = |carry: &Option<Json>| carry.clone().filter(|_| carries);
        match event {
            AgentEvent::TurnStarted { .. } => {
                self.close_replayed_turn(taken);
                self.end_turn();
                self.begin_turn();
            }
            AgentEvent::UserMessage { text, .. } => {
                self.begin_turn();
                let message = self.next_message_id();
                self.events.push(AgentEvent::UserMessage { message, text: text.clone() });
            }
            AgentEvent::Annotation { annotation: Annotation::PromptContext(parts), .. } => {
                if let Some(AgentEvent::UserMessage { message, .. }) = self.events.last() {
                    let (on, parts) = (AnnotationTarget::Message(message.clone()), parts.clone());
                    self.events.push(AgentEvent::Annotation { on, annotation: Annotation::PromptContext(parts) });
                }
            }
            AgentEvent::MessageStarted { message: theirs, role, parent } => {
                self.begin_turn();
                let message = self.next_message_id();
                taken.message_ids.insert(theirs.clone(), message.clone());
                taken.open_messages.push(message.clone());
                self.events.push(AgentEvent::MessageStarted { message, role: *role, parent: parent.clone() });
            }
            AgentEvent::TextDelta { message, text, kind } => {
                let Some(message) = taken.find_open_message(message) else { return };
                if let Some(AgentEvent::TextDelta { message: last, text: history, kind: of }) = self.events.last_mut()
                    && (&*last, &*of) == (&message, kind)
                {
                    return history.push_str(text);
                }
                self.events.push(AgentEvent::TextDelta { message, text: text.clone(), kind: *kind });
            }
            AgentEvent::ReasoningDelta { message, text } => {
                let Some(message) = taken.find_open_message(message) else { return };
                if let Some(AgentEvent::ReasoningDelta { message: last, text: history }) = self.events.last_mut()
                    && *last == message
                {
                    return history.push_str(text);
                }
                self.events.push(AgentEvent::ReasoningDelta { message, text: text.clone() });
            }
            AgentEvent::MessageFinished { message, finish_reason: stop, full_text: full, provider_metadata: carry } => {
                let Some(message) = taken.find_open_message(message) else { return };
                taken.open_messages.retain(|open| *open != message);
                let (full, carry) = (full.clone(), kept_metadata(carry));
                self.events.push(AgentEvent::MessageFinished {
                    message,
                    finish_reason: *stop,
                    full_text: full,
                    provider_metadata: carry,
                });
            }
            AgentEvent::ToolCallStarted { call, message, name, parent, executed_by: ran_by } => {
                let Some(message) = taken.message_ids.get(message).cloned() else { return };
                taken.running_calls.push(call.clone());
                let (call, name, parent, ran_by) = (call.clone(), name.clone(), parent.clone(), *ran_by);
                self.events.push(AgentEvent::ToolCallStarted { call, message, name, parent, executed_by: ran_by });
            }
            AgentEvent::ToolCallReady { call, name, args, provider_metadata: carry }
                if taken.running_calls.contains(call) =>
            {
                let (call, name, args, carry) = (call.clone(), name.clone(), args.clone(), kept_metadata(carry));
                self.events.push(AgentEvent::ToolCallReady { call, name, args, provider_metadata: carry });
            }
            AgentEvent::ToolCallFinished { call, outcome, output, duration: took }
                if taken.running_calls.contains(call) =>
            {
                taken.running_calls.retain(|running| running != call);
                if *outcome == CallOutcome::Requested {
                    return self.open_calls.push(call.clone());
                }
                let (call, outcome, output, took) = (call.clone(), *outcome, output.clone(), *took);
                self.events.push(AgentEvent::ToolCallFinished { call, outcome, output, duration: took });
            }
            AgentEvent::TurnFinished { .. } => self.close_replayed_turn(taken),
            // Usage, approvals and notices are not part of the conversation.
            _ => {}
        }
    }

    /// Closes what the last copied turn left open.
    fn close_replayed_turn(&mut self, taken: &mut ReplayedTurn) {
        for message in std::mem::take(&mut taken.open_messages) {
            let (stop, full, carry) = (FinishReason::Interrupted, None, None);
            self.events.push(AgentEvent::MessageFinished {
                message,
                finish_reason: stop,
                full_text: full,
                provider_metadata: carry,
            });
        }
        for call in std::mem::take(&mut taken.running_calls) {
            let (outcome, output) = (CallOutcome::Unknown, CallOutput::default());
            self.events.push(AgentEvent::ToolCallFinished { call, outcome, output, duration: None });
        }
        taken.message_ids.clear();
    }

    fn begin_turn(&mut self) {
        if self.turn.is_none() {
            self.turn_count += 1;
            let turn = TurnId::from(format!("{HISTORY_TURN_PREFIX}{}", self.turn_count).as_str());
            self.events.push(AgentEvent::TurnStarted { turn: turn.clone(), parent: None });
            self.turn = Some(turn);
        }
    }

    fn end_turn(&mut self) {
        self.close_open_calls();
        if let Some(turn) = self.turn.take() {
            self.events.push(AgentEvent::TurnFinished { turn, outcome: TurnOutcome::Completed });
        }
    }

    fn close_open_calls(&mut self) {
        for call in std::mem::take(&mut self.open_calls) {
            let (outcome, output) = (CallOutcome::Requested, CallOutput::default());
            self.events.push(AgentEvent::ToolCallFinished { call, outcome, output, duration: None });
        }
    }

    fn next_message_id(&mut self) -> MessageId {
        self.message_count += 1;
        MessageId::from(format!("{HISTORY_TURN_PREFIX}.m{}", self.message_count).as_str())
    }
}

/// The open parts of a turn that is being copied.
#[derive(Debug, Default)]
struct ReplayedTurn {
    /// Maps the copied ids to ours.
    message_ids: HashMap<MessageId, MessageId>,
    open_messages: Vec<MessageId>,
    running_calls: Vec<CallId>,
}

impl ReplayedTurn {
    fn find_open_message(&self, theirs: &MessageId) -> Option<MessageId> {
        self.message_ids.get(theirs).filter(|message| self.open_messages.contains(message)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::grammar::Sealer;
    use crate::testkit::events::{turn_finished, turn_started};

    #[test]
    fn what_was_said_before_is_grammatical_even_with_calls_nobody_answered() {
        let mut history = HistoryBuilder::new();
        history.add_user_message("add");
        let calls = ["a", "b"].map(|id| (id.to_owned(), "sum".to_owned(), "{}".to_owned()));
        history.add_assistant_message("let me see", calls);
        assert!(history.add_tool_result("b", "2", CallOutcome::Ok));
        assert!(!history.add_tool_result("b", "again", CallOutcome::Ok), "a call has one result");
        history.add_assistant_message("done", []);
        history.add_user_message("thanks");
        let events = history.into_events();
        let mut sealer = Sealer::new();
        let _ = sealer.observe(&turn_started("t"));
        let _ = sealer.observe(&turn_finished("t", TurnOutcome::Completed));
        for event in &events {
            assert_eq!(sealer.observe(event), Ok(()), "{event:?}");
        }
        assert!(sealer.seal(TurnOutcome::Interrupted).is_empty());
        let turns = events.iter().filter(|event| matches!(event, AgentEvent::TurnFinished { .. })).count();
        assert_eq!(turns, 2);
    }
    #[test]
    fn a_session_taken_over_waits_for_the_results_that_it_lacked() {
        let mut history = HistoryBuilder::new();
        history.add_user_message("add");
        let calls = ["a", "b"].map(|id| (id.to_owned(), "sum".to_owned(), "{}".to_owned()));
        history.add_assistant_message("let me see", calls);
        assert!(history.add_tool_result("a", "1", CallOutcome::Ok));
        let before = history.into_events();
        // The same again, cut in the middle of a message.
        let cut = before.iter().position(|event| matches!(event, AgentEvent::TextDelta { .. })).unwrap();
        let mut history = HistoryBuilder::new();
        history.replay(&before[..=cut], false);
        history.replay(&before, false);
        assert!(history.is_call_open("b") && !history.is_call_open("a"));
        assert!(history.add_tool_result("b", "2", CallOutcome::Ok));
        let events = history.into_events();
        let mut sealer = Sealer::new();
        let _ = sealer.observe(&turn_started("t"));
        let _ = sealer.observe(&turn_finished("t", TurnOutcome::Completed));
        for event in &events {
            assert_eq!(sealer.observe(event), Ok(()), "{event:?}");
        }
        let ended = |id: &str, of: CallOutcome| {
            let is = |event: &&AgentEvent| matches!(event, AgentEvent::ToolCallFinished { call, outcome, .. } if call.as_str() == id && *outcome == of);
            events.iter().filter(is).count()
        };
        assert_eq!(
            (ended("a", CallOutcome::Ok), ended("b", CallOutcome::Ok), ended("b", CallOutcome::Requested)),
            (1, 1, 0)
        );
    }
}
