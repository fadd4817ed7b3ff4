//! PURE. The conversation as an engine needs it, folded from the same events that every client gets.
//!
//! Invariant: a finished turn has a result for every call and no empty message, so any engine accepts it. Provider
//! metadata is kept only while the same model answers.

use std::collections::HashMap;

use crate::engine::{HistoryCall, HistoryMessage};
use crate::event::{
    AgentEvent, CallId, CallOutcome, FaultKind, Json, MessageId, Role, TextKind, TurnOutcome, estimate_tokens,
};
use crate::tool::truncate::truncate_middle;

/// How much of an old output is kept when the running turn alone exceeds the model's window, in bytes.
const SHORTENED_OUTPUT_BYTES: usize = 400;

/// Folds events into the conversation so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    messages: Vec<HistoryMessage>,
    /// Where each turn's entries begin.
    turn_starts: Vec<usize>,
    open_messages: HashMap<MessageId, usize>,
    calls: HashMap<CallId, (usize, String)>,
    in_turn: bool,
    /// The last turn's prompt was rejected and is not part of the conversation.
    prompt_dropped: bool,
    /// The current engine and model.
    engine_and_model: Option<(String, String)>,
}

/// The part of the history that fits into a context window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FittedHistory {
    pub messages: Vec<HistoryMessage>,
    /// How many of the oldest turns were left out.
    pub dropped_turns: usize,
    /// How many outputs of the running turn were shortened.
    pub shortened_outputs: usize,
}

impl History {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn observe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::SessionOpened { engine, model, .. } => self.set_model(engine, model),
            AgentEvent::TurnStarted { .. } => {
                // A log that was cut may lack the end of a turn.
                self.finish_turn(&TurnOutcome::Interrupted);
                self.in_turn = true;
                self.turn_starts.push(self.messages.len());
                self.open_messages.clear();
                self.calls.clear();
            }
            AgentEvent::UserMessage { text, .. } => self.messages.push(HistoryMessage::User { text: text.clone() }),
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                self.open_messages.insert(message.clone(), self.messages.len());
                self.messages.push(HistoryMessage::Assistant {
                    text: String::new(),
                    reasoning: String::new(),
                    calls: Vec::new(),
                    provider_metadata: None,
                });
            }
            AgentEvent::TextDelta { message, text: piece, kind: TextKind::Text | TextKind::Refusal } => {
                if let Some(HistoryMessage::Assistant { text, .. }) = self.open_message(message) {
                    text.push_str(piece);
                }
            }
            AgentEvent::ReasoningDelta { message, text: piece } => {
                if let Some(HistoryMessage::Assistant { reasoning, .. }) = self.open_message(message) {
                    reasoning.push_str(piece);
                }
            }
            AgentEvent::MessageFinished { message, full_text: full, provider_metadata: carry, .. } => {
                self.finish_message(message, full.as_ref(), carry.as_ref());
            }
            AgentEvent::ToolCallStarted { call, message, .. } => {
                if let Some(index) = self.open_messages.get(message) {
                    self.calls.insert(call.clone(), (*index, String::new()));
                }
            }
            AgentEvent::ToolCallReady { call, name, args, provider_metadata: carry } => {
                let Some((index, known)) = self.calls.get_mut(call) else { return };
                known.clone_from(name);
                if let Some(HistoryMessage::Assistant { calls, .. }) = self.messages.get_mut(*index) {
                    calls.push(HistoryCall {
                        call: call.clone(),
                        name: name.clone(),
                        args: args.clone(),
                        provider_metadata: carry.clone(),
                    });
                }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                self.finish_call(call, *outcome, &output.text);
            }
            AgentEvent::TurnFinished { outcome: end, .. } => self.finish_turn(end),
            AgentEvent::MessageStarted { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::Annotation { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::Unknown(_) => {}
        }
    }

    /// Returns whether the last turn's prompt was dropped, and resets that.
    pub fn take_prompt_dropped(&mut self) -> bool {
        std::mem::take(&mut self.prompt_dropped)
    }

    pub fn messages(&self) -> &[HistoryMessage] {
        &self.messages
    }

    /// Returns the newest entries that fit into about `budget` tokens (an estimate). Old turns are left out whole; in
    /// the running turn only outputs are shortened, the oldest first and the newest last.
    pub fn fit_to_window(&self, budget: u64) -> FittedHistory {
        let mut tokens = 0_u64;
        let mut from = self.messages.len();
        let mut left_out = self.turn_starts.len();
        for (kept, start) in self.turn_starts.iter().rev().enumerate() {
            let more = self.messages[*start..from].iter().map(token_estimate).sum::<u64>();
            // The newest turn is always kept. If it continues without a prompt it is empty so far, and the one before
            // it is kept.
            if kept > 0 && from < self.messages.len() && tokens + more > budget {
                break;
            }
            tokens += more;
            from = *start;
            left_out -= 1;
        }
        let mut past = self.messages[from..].to_vec();
        let mut shortened = 0;
        if tokens > budget {
            shortened = shorten_outputs(&mut past, tokens, budget);
        }
        FittedHistory { messages: past, dropped_turns: left_out, shortened_outputs: shortened }
    }

    /// Another model can't use the provider metadata of the previous one, and its server may reject it.
    fn set_model(&mut self, engine: &str, model: &str) {
        let speaker = (engine.to_owned(), model.to_owned());
        if self.engine_and_model.replace(speaker.clone()).is_none_or(|before| before == speaker) {
            return;
        }
        for entry in &mut self.messages {
            if let HistoryMessage::Assistant { calls, provider_metadata: carry, .. } = entry {
                *carry = None;
                for call in calls {
                    call.provider_metadata = None;
                }
            }
        }
    }

    fn open_message(&mut self, message: &MessageId) -> Option<&mut HistoryMessage> {
        let index = *self.open_messages.get(message)?;
        self.messages.get_mut(index)
    }

    fn finish_message(&mut self, message: &MessageId, full: Option<&String>, kept_metadata: Option<&Json>) {
        if let Some(HistoryMessage::Assistant { text, reasoning, provider_metadata: carry, .. }) =
            self.open_message(message)
        {
            if let Some(full) = full {
                text.clone_from(full);
            }
            // These strings grew by doubling, and are kept for as long as the session.
            text.shrink_to_fit();
            reasoning.shrink_to_fit();
            *carry = kept_metadata.cloned();
        }
    }

    fn finish_call(&mut self, call: &CallId, outcome: CallOutcome, output: &str) {
        let Some((_, name)) = self.calls.get(call) else { return };
        if name.is_empty() {
            return;
        }
        // The later report counts.
        for entry in self.messages.iter_mut().rev() {
            if let HistoryMessage::Tool { call: known, output: text, outcome: how, .. } = entry
                && known == call
            {
                output.clone_into(text);
                *how = outcome;
                return;
            }
        }
        self.messages.push(HistoryMessage::Tool {
            call: call.clone(),
            name: name.clone(),
            output: output.to_owned(),
            outcome,
        });
    }

    /// Makes the turn acceptable to engines: no empty assistant message, no call without a result.
    fn finish_turn(&mut self, end: &TurnOutcome) {
        if !std::mem::take(&mut self.in_turn) {
            return;
        }
        let start = self.turn_starts.last().copied().unwrap_or(0).min(self.messages.len());
        let mut turn = self.messages.split_off(start);
        let answered: Vec<CallId> = turn
            .iter()
            .filter_map(|entry| match entry {
                HistoryMessage::Tool { call, .. } => Some(call.clone()),
                HistoryMessage::User { .. } | HistoryMessage::Assistant { .. } => None,
            })
            .collect();
        for entry in &mut turn {
            if let HistoryMessage::Assistant { calls, .. } = entry {
                calls.retain(|call| answered.contains(&call.call));
            }
        }
        turn.retain(|entry| match entry {
            HistoryMessage::Assistant { text, calls, provider_metadata: carry, .. } => {
                !text.is_empty() || !calls.is_empty() || carry.is_some()
            }
            HistoryMessage::User { .. } | HistoryMessage::Tool { .. } => true,
        });
        // If it were sent again with every later prompt, it would be rejected again.
        self.prompt_dropped = matches!(end, TurnOutcome::Failed(fault) if is_refused(fault.kind))
            && turn.iter().all(|entry| matches!(entry, HistoryMessage::User { .. }))
            && !turn.is_empty();
        if self.prompt_dropped {
            turn.clear();
        }
        if *end != TurnOutcome::Completed
            && let Some(HistoryMessage::Assistant { text, calls, .. }) = turn.last_mut()
            && calls.is_empty()
        {
            text.push_str("\n\n[interrupted]");
        }
        self.messages.append(&mut turn);
        self.open_messages.clear();
        self.calls.clear();
    }
}

/// Returns whether the request itself was the cause. A missing key or an unreachable server is not.
fn is_refused(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::ContextTooLong | FaultKind::BadRequest | FaultKind::Refused)
}

fn token_estimate(entry: &HistoryMessage) -> u64 {
    match entry {
        HistoryMessage::User { text } => estimate_tokens(text) + 4,
        HistoryMessage::Assistant { text, calls, .. } => {
            estimate_tokens(text) + 4 + calls.iter().map(|call| estimate_tokens(&call.args) + 8).sum::<u64>()
        }
        HistoryMessage::Tool { output, .. } => estimate_tokens(output) + 8,
    }
}

/// Shortens outputs until everything fits, and returns how many. Outputs that the model has not seen yet are shortened
/// last, and share the remaining budget.
fn shorten_outputs(past: &mut [HistoryMessage], mut tokens: u64, budget: u64) -> usize {
    let seen = past.iter().rposition(|entry| matches!(entry, HistoryMessage::Assistant { .. })).unwrap_or(0);
    let mut shortened = 0;
    let (old, new) = past.split_at_mut(seen);
    let outputs = new.iter().filter(|entry| matches!(entry, HistoryMessage::Tool { .. })).count() as u64;
    let mut cut = |entry: &mut HistoryMessage, limit: usize| {
        let HistoryMessage::Tool { output, .. } = entry else { return };
        let before = estimate_tokens(output);
        let (short, was_cut) = truncate_middle(output, limit);
        if tokens > budget && was_cut {
            tokens = tokens.saturating_sub(before.saturating_sub(estimate_tokens(&short)));
            *output = short;
            shortened += 1;
        }
    };
    for entry in old {
        cut(entry, SHORTENED_OUTPUT_BYTES);
    }
    // About four bytes per token; half of the budget goes to the latest outputs.
    let share = usize::try_from(budget.saturating_mul(2) / outputs.max(1)).unwrap_or(usize::MAX);
    for entry in new {
        cut(entry, share.max(SHORTENED_OUTPUT_BYTES));
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CallOutput, ExecutedBy, Fault, FinishReason};

    fn fold(events: &[AgentEvent]) -> History {
        let mut history = History::new();
        for event in events {
            history.observe(event);
        }
        history
    }

    fn turn(id: &str, text: &str, end: TurnOutcome) -> Vec<AgentEvent> {
        let message = MessageId::new(format!("{id}-m"));
        vec![
            AgentEvent::TurnStarted { turn: id.into(), parent: None },
            AgentEvent::UserMessage { message: "u".into(), text: format!("ask {id}") },
            AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
            AgentEvent::TextDelta { message: message.clone(), text: text.into(), kind: TextKind::Text },
            AgentEvent::MessageFinished {
                message,
                finish_reason: FinishReason::End,
                full_text: None,
                provider_metadata: None,
            },
            AgentEvent::TurnFinished { turn: id.into(), outcome: end },
        ]
    }

    #[test]
    fn calls_and_results_come_back_as_the_engine_wants_them() {
        let history = fold(&[
            AgentEvent::TurnStarted { turn: "t1".into(), parent: None },
            AgentEvent::UserMessage { message: "m1".into(), text: "time?".into() },
            AgentEvent::MessageStarted { message: "m2".into(), role: Role::Assistant, parent: None },
            AgentEvent::ToolCallStarted {
                call: "c1".into(),
                message: "m2".into(),
                name: None,
                parent: None,
                executed_by: ExecutedBy::Client,
            },
            AgentEvent::ToolCallReady {
                call: "c1".into(),
                name: "clock".into(),
                args: "{}".into(),
                provider_metadata: None,
            },
            AgentEvent::MessageFinished {
                message: "m2".into(),
                finish_reason: FinishReason::ToolCalls,
                full_text: None,
                provider_metadata: None,
            },
            AgentEvent::ToolCallFinished {
                call: "c1".into(),
                outcome: CallOutcome::Ok,
                output: CallOutput::from_text("noon"),
                duration: None,
            },
        ]);
        assert_eq!(
            history.messages(),
            [
                HistoryMessage::User { text: "time?".into() },
                HistoryMessage::Assistant {
                    text: String::new(),
                    reasoning: String::new(),
                    calls: vec![HistoryCall {
                        call: "c1".into(),
                        name: "clock".into(),
                        args: "{}".into(),
                        provider_metadata: None
                    }],
                    provider_metadata: None,
                },
                HistoryMessage::Tool {
                    call: "c1".into(),
                    name: "clock".into(),
                    output: "noon".into(),
                    outcome: CallOutcome::Ok
                },
            ]
        );
    }

    #[test]
    fn an_interrupted_answer_stays_and_says_so() {
        let history = fold(&turn("t1", "half", TurnOutcome::Interrupted));
        assert!(
            matches!(&history.messages()[1], HistoryMessage::Assistant { text, .. } if text == "half\n\n[interrupted]"),
            "{history:?}"
        );
    }

    #[test]
    fn old_turns_are_left_out_whole_when_the_budget_is_short() {
        let mut events = turn("t1", &"x".repeat(4000), TurnOutcome::Completed);
        events.extend(turn("t2", "short", TurnOutcome::Completed));
        let history = fold(&events);
        assert_eq!(history.fit_to_window(100_000).dropped_turns, 0);
        let kept = history.fit_to_window(100);
        assert_eq!((kept.messages.len(), kept.dropped_turns), (2, 1));
        assert_eq!(history.fit_to_window(0).messages.len(), 2, "the newest turn always stays");
    }

    #[test]
    fn a_turn_that_goes_on_keeps_the_one_before_however_long() {
        let mut events = turn("t1", &"x".repeat(4000), TurnOutcome::Completed);
        events.push(AgentEvent::TurnStarted { turn: "t2".into(), parent: None });
        assert_eq!(fold(&events).fit_to_window(10).messages.len(), 2);
    }

    fn opened(engine: &str, model: &str) -> AgentEvent {
        AgentEvent::SessionOpened {
            wall_ms: 0,
            engine: engine.into(),
            model: model.into(),
            engine_reason: String::new(),
            mode: crate::event::ApprovalMode::Ask,
            folder: String::new(),
            version: String::new(),
            capabilities: crate::event::Capabilities::default(),
            context_window: None,
            price: None,
        }
    }

    /// One round: a message with a call, and the call's output.
    fn round(number: usize, output: &str) -> Vec<AgentEvent> {
        let (message, call) = (MessageId::new(format!("m{number}")), CallId::new(format!("c{number}")));
        let carry = Some(Json::from(number));
        vec![
            AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
            AgentEvent::ToolCallStarted {
                call: call.clone(),
                message: message.clone(),
                name: None,
                parent: None,
                executed_by: ExecutedBy::Client,
            },
            AgentEvent::ToolCallReady {
                call: call.clone(),
                name: "x".into(),
                args: "{}".into(),
                provider_metadata: carry.clone(),
            },
            AgentEvent::MessageFinished {
                message,
                finish_reason: FinishReason::ToolCalls,
                full_text: None,
                provider_metadata: carry,
            },
            AgentEvent::ToolCallFinished {
                call,
                outcome: CallOutcome::Ok,
                output: CallOutput::from_text(output),
                duration: None,
            },
        ]
    }

    fn running_turn(outputs: &[&str]) -> Vec<AgentEvent> {
        let mut events = vec![
            AgentEvent::TurnStarted { turn: "t1".into(), parent: None },
            AgentEvent::UserMessage { message: "u1".into(), text: "go".into() },
        ];
        events.extend(outputs.iter().enumerate().flat_map(|(number, output)| round(number, output)));
        events
    }

    fn outputs(past: &[HistoryMessage]) -> Vec<usize> {
        past.iter()
            .filter_map(|entry| if let HistoryMessage::Tool { output, .. } = entry { Some(output.len()) } else { None })
            .collect()
    }

    #[test]
    fn a_running_turn_that_is_too_long_loses_old_outputs_first() {
        let long = "x".repeat(8_000);
        let history = fold(&running_turn(&[&long, &long, &long]));
        let kept = history.fit_to_window(4_500);
        assert_eq!(kept.shortened_outputs, 1);
        assert_eq!(outputs(&kept.messages)[1..], [8_000, 8_000]);
        assert!(outputs(&kept.messages)[0] <= SHORTENED_OUTPUT_BYTES);
        let kept = history.fit_to_window(1_000);
        assert_eq!(
            (kept.shortened_outputs, kept.messages.len()),
            (3, history.messages().len()),
            "every call keeps its result"
        );
        assert!(outputs(&kept.messages)[2] <= 2_000 && kept.messages.iter().map(token_estimate).sum::<u64>() <= 1_000);
    }

    #[test]
    fn a_prompt_that_was_refused_leaves_the_conversation() {
        let failed = |kind| TurnOutcome::Failed(Fault::new(kind, "x"));
        let answered = fold(&turn("t1", "first", TurnOutcome::Completed));
        for (kind, leaves) in [
            (FaultKind::ContextTooLong, true),
            (FaultKind::BadRequest, true),
            (FaultKind::Refused, true),
            (FaultKind::Auth, false),
            (FaultKind::Network, false),
        ] {
            let mut history = answered.clone();
            for event in [
                AgentEvent::TurnStarted { turn: "t2".into(), parent: None },
                AgentEvent::UserMessage { message: "u2".into(), text: "x".repeat(9000) },
                AgentEvent::TurnFinished { turn: "t2".into(), outcome: failed(kind) },
            ] {
                history.observe(&event);
            }
            assert_eq!(history.messages() == answered.messages(), leaves, "{kind:?}");
            assert_eq!((history.take_prompt_dropped(), history.take_prompt_dropped()), (leaves, false), "{kind:?}");
        }
        // A partly answered turn stays: its results are needed.
        let mut partly = running_turn(&["1"]);
        partly.push(AgentEvent::TurnFinished { turn: "t1".into(), outcome: failed(FaultKind::ContextTooLong) });
        let mut history = fold(&partly);
        assert!(!history.messages().is_empty() && !history.take_prompt_dropped());
    }

    #[test]
    fn another_model_is_not_given_what_the_one_before_wanted_back() {
        let kept_metadata = |history: &History| {
            history.messages().iter().any(|entry| {
                matches!(entry, HistoryMessage::Assistant { calls, provider_metadata, .. }
                    if provider_metadata.is_some() || calls.iter().any(|call| call.provider_metadata.is_some()))
            })
        };
        let mut history = fold(&[opened("a", "x")]);
        for event in running_turn(&["1"]) {
            history.observe(&event);
        }
        history.observe(&opened("a", "x"));
        assert!(kept_metadata(&history), "the mode was switched, not the model");
        history.observe(&opened("a", "y"));
        assert!(!kept_metadata(&history));
    }

    #[test]
    fn a_turn_without_its_end_has_no_call_without_a_result() {
        let mut events = running_turn(&["1"]);
        let answered = events.len();
        events.extend(round(7, "never"));
        events.truncate(answered + 4);
        events.extend(turn("t2", "next", TurnOutcome::Completed));
        let history = fold(&events);
        let calls: usize = history
            .messages()
            .iter()
            .map(|entry| if let HistoryMessage::Assistant { calls, .. } = entry { calls.len() } else { 0 })
            .sum();
        assert_eq!((calls, outputs(history.messages()).len()), (1, 1), "{history:?}");
    }
}
