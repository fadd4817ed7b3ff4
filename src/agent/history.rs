//! PURE. The conversation as an engine needs it, folded from the same events that every client gets.
//!
//! Invariant: a finished turn has a result for every call and no empty message, so any engine accepts it. Provider
//! metadata is kept only while the same model answers. Of the turns of an earlier run only places and sizes are kept
//! (`logged_turns`): a request reads those that fit back from the log. Turns that a compaction covers are kept like
//! others, for whoever undoes it, and in no request (`compactions`).

mod compactions;
mod logged_turns;

use std::collections::HashMap;

use crate::agent::summary::{MAX_RECORDED_BYTES, MAX_RECORDED_OUTPUT_BYTES};
use crate::engine::{CONTEXT_KEY, HistoryApproval, HistoryCall, HistoryMessage, INTERRUPTS_KEY};
use crate::event::answer::{AnswerEvent, StartedCall};
use crate::event::branches::BranchPath;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, Envelope, FaultKind, Json, MessageId, PromptContext,
    PromptImage, Seq, TurnOutcome, add_context, estimate_tokens,
};
use crate::tool::truncate::truncate_middle;
use compactions::Compactions;
use logged_turns::{LoggedTurns, TurnSize};

pub use compactions::{CompactionLimits, CompactionPlan, SummarySource};
pub use logged_turns::{BranchPast, ReadBranch, ReadLog, RestoredTurns, UnreadTurns};

/// How much of an old output is kept when the running turn alone exceeds the model's window, in bytes.
const SHORTENED_OUTPUT_BYTES: usize = 400;

/// What the model is told of a call during which the program ended.
const CUT_OFF_OUTPUT: &str = "the program ended during this call, which may have done some or all of its work";

/// Folds events into the conversation so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The turns before all others.
    logged: LoggedTurns,
    messages: Vec<HistoryMessage>,
    /// Where each turn's entries begin.
    turn_starts: Vec<usize>,
    compactions: Compactions,
    open_messages: HashMap<MessageId, usize>,
    calls: HashMap<CallId, (usize, String)>,
    in_turn: bool,
    /// What the remote agent of this turn waits for.
    interrupts: Option<Json>,
    /// The conversation that the remote agent of this turn keeps.
    context: Option<String>,
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

    /// Creates an empty history of one branch: events that are read back from the log and not on its path don't count.
    pub fn on_path(path: BranchPath) -> Self {
        Self { logged: LoggedTurns::on_path(path), ..Self::default() }
    }

    pub fn observe(&mut self, event: &AgentEvent) {
        self.fold(Seq(u64::MAX), event);
    }

    /// Observes an event that can be read back from the log: turns before the last are left there. One of another branch
    /// is ignored.
    pub fn observe_logged(&mut self, Envelope { seq, event, .. }: &Envelope) {
        if !self.logged.path().contains(*seq) {
            return;
        }
        self.fold(*seq, event);
        if matches!(event, AgentEvent::TurnStarted { .. }) {
            self.leave_in_log(*seq);
        }
    }

    fn fold(&mut self, seq: Seq, event: &AgentEvent) {
        match event {
            AgentEvent::SessionOpened { engine, model, .. } => self.set_model(seq, engine, model),
            AgentEvent::TurnStarted { turn, .. } => {
                self.compactions.start_turn(turn);
                // A log that was cut may lack the end of a turn.
                self.finish_turn(&TurnOutcome::Interrupted);
                self.in_turn = true;
                self.turn_starts.push(self.messages.len());
                self.open_messages.clear();
                self.calls.clear();
            }
            AgentEvent::Compacted(compaction) => self.compactions.compact(compaction),
            AgentEvent::CompactionUndone { through } => self.compactions.undo(through),
            AgentEvent::UserMessage { text, .. } => self.messages.push(HistoryMessage::user(text.as_str())),
            AgentEvent::Annotation { annotation: Annotation::PromptContext(context), .. } => {
                if let Some(HistoryMessage::User { text, images }) = self.messages.last_mut() {
                    *text = add_context(text, context);
                    images.extend(context.iter().filter_map(PromptContext::image).cloned());
                }
            }
            AgentEvent::Annotation {
                on: AnnotationTarget::Turn(_),
                annotation: Annotation::Interrupt { interrupts },
            } => {
                self.interrupts = Some(interrupts.clone());
            }
            AgentEvent::Annotation { annotation: Annotation::Task { context, .. }, .. } => {
                self.context.clone_from(context);
            }
            AgentEvent::Annotation {
                on: AnnotationTarget::Call(call),
                annotation: Annotation::NeedsApproval { request, .. },
            } => {
                if let Some(known) = self.call_mut(call) {
                    known.approval = Some(HistoryApproval { request: request.clone(), decision: None });
                }
            }
            AgentEvent::ApprovalResolved { call, decision, .. } => {
                if let Some(approval) = self.call_mut(call).and_then(|known| known.approval.as_mut()) {
                    approval.decision = Some(decision.clone());
                    self.interrupts = None;
                }
            }
            event => self.fold_answer(event),
        }
    }

    fn fold_answer(&mut self, event: &AgentEvent) {
        match AnswerEvent::of(event) {
            Some(AnswerEvent::MessageStarted { message, has_parent: false }) => {
                self.open_messages.insert(message.clone(), self.messages.len());
                self.messages.push(HistoryMessage::Assistant {
                    text: String::new(),
                    reasoning: String::new(),
                    calls: Vec::new(),
                    provider_metadata: None,
                });
            }
            Some(AnswerEvent::Text { message, text: piece, .. }) => {
                if let Some(HistoryMessage::Assistant { text, .. }) = self.open_message(message) {
                    text.push_str(piece);
                }
            }
            Some(AnswerEvent::Reasoning { message, text: piece }) => {
                if let Some(HistoryMessage::Assistant { reasoning, .. }) = self.open_message(message) {
                    reasoning.push_str(piece);
                }
            }
            Some(AnswerEvent::MessageFinished { message, full_text, provider_metadata, .. }) => {
                self.finish_message(message, full_text, provider_metadata);
            }
            Some(AnswerEvent::CallStarted(StartedCall { call, message, .. })) => {
                if let Some(index) = self.open_messages.get(message) {
                    self.calls.insert(call.clone(), (*index, String::new()));
                }
            }
            Some(AnswerEvent::CallReady { call, name, args, provider_metadata }) => {
                let Some((index, known)) = self.calls.get_mut(call) else { return };
                name.clone_into(known);
                if let Some(HistoryMessage::Assistant { calls, .. }) = self.messages.get_mut(*index) {
                    calls.push(HistoryCall {
                        call: call.clone(),
                        name: name.to_owned(),
                        args: args.to_owned(),
                        provider_metadata: provider_metadata.cloned(),
                        approval: None,
                    });
                }
            }
            Some(AnswerEvent::CallFinished { call, outcome, output, .. }) => {
                self.finish_call(call, outcome, &output.text);
            }
            Some(AnswerEvent::TurnFinished(end)) => self.finish_turn(end),
            Some(
                AnswerEvent::MessageStarted { .. }
                | AnswerEvent::CallArgs { .. }
                | AnswerEvent::Citation { .. }
                | AnswerEvent::Usage
                | AnswerEvent::Retry(_),
            )
            | None => {}
        }
    }

    /// Returns whether the last turn's prompt was dropped, and resets that.
    pub fn take_prompt_dropped(&mut self) -> bool {
        std::mem::take(&mut self.prompt_dropped)
    }

    pub fn messages(&self) -> &[HistoryMessage] {
        &self.messages
    }

    /// Returns the turns of the log that a request with this budget needs; they must be read and restored first.
    pub fn unread_turns(&self, budget: u64) -> Option<UnreadTurns> {
        let (kept, _) = self.newest_that_fit(budget);
        self.logged.last(kept.checked_sub(self.turn_starts.len())?)
    }

    /// Takes turns that were read back.
    pub fn restore(&mut self, RestoredTurns { from, turns }: RestoredTurns) {
        self.logged.forget_from(from);
        let by = turns.messages.len();
        self.messages.splice(..0, turns.messages);
        let own = std::mem::replace(&mut self.turn_starts, turns.turn_starts);
        self.turn_starts.extend(own.into_iter().map(|start| start + by));
        for index in self.open_messages.values_mut().chain(self.calls.values_mut().map(|(index, _)| index)) {
            *index += by;
        }
    }

    /// Gives up the turns that are only in the log, which can't be read.
    pub fn forget_logged(&mut self) {
        self.logged = LoggedTurns::on_path(self.logged.path().clone());
    }

    /// Returns the newest entries that fit into about `budget` tokens (an estimate). Old turns are left out whole; in
    /// the running turn only outputs are shortened, the oldest first and the newest last.
    ///
    /// Turns that are only in the log count as left out: [`History::unread_turns`] comes first.
    pub fn fit_to_window(&self, budget: u64) -> FittedHistory {
        let (kept, tokens) = self.newest_that_fit(budget);
        let kept = kept.min(self.turn_starts.len());
        let first = self.turn_starts.len() - kept;
        let from = self.turn_starts.get(first).map_or(self.messages.len(), |start| *start);
        let mut past = self.messages[from..].to_vec();
        let dropped_turns = self.sendable_turns().saturating_sub(kept);
        let mut shortened = 0;
        if tokens > budget {
            shortened = shorten_outputs(&mut past, tokens, budget);
        }
        past.splice(..0, self.compactions.summary_messages());
        FittedHistory { messages: past, dropped_turns, shortened_outputs: shortened }
    }

    /// Returns how many of the newest turns fit, and their tokens.
    fn newest_that_fit(&self, budget: u64) -> (usize, u64) {
        let (mut kept, mut tokens, mut is_empty) = (0, self.compactions.summary_tokens(), true);
        for turn in self.turn_sizes().take(self.sendable_turns()) {
            // The newest turn is always kept. If it continues without a prompt it is empty so far, and the one before
            // it is kept.
            if kept > 0 && !is_empty && tokens + turn.tokens > budget {
                break;
            }
            tokens += turn.tokens;
            is_empty &= turn.is_empty;
            kept += 1;
        }
        (kept, tokens)
    }

    /// Returns how many of the newest turns no compaction covers, of those that are known still.
    fn sendable_turns(&self) -> usize {
        self.compactions.uncovered().min(self.turn_starts.len() + self.logged.len())
    }

    /// Returns the sizes of all turns, the newest first.
    fn turn_sizes(&self) -> impl Iterator<Item = TurnSize> {
        let ends = std::iter::once(self.messages.len()).chain(self.turn_starts.iter().rev().copied());
        let own = self.turn_starts.iter().rev().zip(ends).map(|(start, end)| size_of_turn(&self.messages[*start..end]));
        own.chain(self.logged.sizes())
    }

    /// A turn begins at this number: those before it are forgotten but for where they are.
    fn leave_in_log(&mut self, seq: Seq) {
        self.turn_starts.pop();
        match self.turn_starts.pop() {
            Some(start) => self.logged.push(size_of_turn(&self.messages[start..]), seq),
            None => self.logged.begin(seq),
        }
        // What precedes the first turn is in no request.
        self.messages.clear();
        self.turn_starts = vec![0];
    }

    /// Another model can't use the provider metadata of the previous one, and its server may reject it.
    fn set_model(&mut self, seq: Seq, engine: &str, model: &str) {
        let speaker = (engine.to_owned(), model.to_owned());
        if self.engine_and_model.replace(speaker.clone()).is_none_or(|before| before == speaker) {
            return;
        }
        self.logged.forget_metadata(seq);
        self.forget_metadata();
    }

    fn forget_metadata(&mut self) {
        for entry in &mut self.messages {
            if let HistoryMessage::Assistant { calls, provider_metadata: carry, .. } = entry {
                *carry = None;
                for call in calls {
                    call.provider_metadata = None;
                    call.approval = None;
                }
            }
        }
    }

    /// Keeps with the last message of a turn what the next request to a remote agent needs of it.
    fn keep_metadata(turn: &mut Vec<HistoryMessage>, kept: serde_json::Map<String, Json>, is_completed: bool) {
        let last = turn.iter_mut().rev().find_map(|entry| match entry {
            HistoryMessage::Assistant { provider_metadata, .. } => Some(provider_metadata),
            HistoryMessage::User { .. } | HistoryMessage::Tool { .. } => None,
        });
        match last {
            Some(Some(Json::Object(metadata))) => metadata.extend(kept),
            Some(metadata) => *metadata = Some(kept.into()),
            None if is_completed => turn.push(HistoryMessage::Assistant {
                text: String::new(),
                reasoning: String::new(),
                calls: Vec::new(),
                provider_metadata: Some(kept.into()),
            }),
            None => {}
        }
    }

    fn call_mut(&mut self, call: &CallId) -> Option<&mut HistoryCall> {
        let (index, _) = self.calls.get(call)?;
        match self.messages.get_mut(*index)? {
            HistoryMessage::Assistant { calls, .. } => calls.iter_mut().find(|known| known.call == *call),
            HistoryMessage::User { .. } | HistoryMessage::Tool { .. } => None,
        }
    }

    fn open_message(&mut self, message: &MessageId) -> Option<&mut HistoryMessage> {
        let index = *self.open_messages.get(message)?;
        self.messages.get_mut(index)
    }

    fn finish_message(&mut self, message: &MessageId, full: Option<&str>, kept_metadata: Option<&Json>) {
        if let Some(HistoryMessage::Assistant { text, reasoning, provider_metadata: carry, .. }) =
            self.open_message(message)
        {
            if let Some(full) = full {
                full.clone_into(text);
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
        let turn = self.turn_starts.last().copied().unwrap_or(0);
        // The later report counts.
        for entry in self.messages.iter_mut().skip(turn).rev() {
            if let HistoryMessage::Tool { call: known, output: text, outcome: how, .. } = entry
                && known == call
            {
                output.clone_into(text);
                *how = outcome;
                return;
            }
        }
        let result =
            HistoryMessage::Tool { call: call.clone(), name: name.clone(), output: output.to_owned(), outcome };
        let at = self.place_of_result(call);
        self.messages.insert(at, result);
    }

    /// Returns where a result belongs: results of one message stand in the order of its calls, whichever came first.
    fn place_of_result(&self, call: &CallId) -> usize {
        let place = |call: &CallId| {
            let (index, _) = self.calls.get(call)?;
            let HistoryMessage::Assistant { calls, .. } = self.messages.get(*index)? else { return None };
            Some((*index, calls.iter().position(|known| known.call == *call)?))
        };
        let Some(own) = place(call) else { return self.messages.len() };
        let is_later = |entry: &&HistoryMessage| match entry {
            HistoryMessage::Tool { call, .. } => place(call).is_some_and(|other| other.0 == own.0 && other.1 > own.1),
            HistoryMessage::User { .. } | HistoryMessage::Assistant { .. } => false,
        };
        self.messages.len() - self.messages.iter().rev().take_while(is_later).count()
    }

    /// Gives each call a result that has none, where the program ended while it ran: it may have done its work, and who
    /// doesn't know of it would do it again.
    fn answer_cut_off_calls(turn: &mut Vec<HistoryMessage>) {
        let has_result = |turn: &[HistoryMessage], of: &CallId| {
            turn.iter().any(|entry| matches!(entry, HistoryMessage::Tool { call, .. } if call == of))
        };
        let mut at = 0;
        while let Some(entry) = turn.get(at) {
            at += 1;
            let HistoryMessage::Assistant { calls, .. } = entry else { continue };
            let open: Vec<(CallId, String)> = calls
                .iter()
                .filter(|call| !has_result(turn, &call.call))
                .map(|call| (call.call.clone(), call.name.clone()))
                .collect();
            while matches!(turn.get(at), Some(HistoryMessage::Tool { .. })) {
                at += 1;
            }
            for (call, name) in open {
                let (output, outcome) = (CUT_OFF_OUTPUT.to_owned(), CallOutcome::Unknown);
                turn.insert(at, HistoryMessage::Tool { call, name, output, outcome });
                at += 1;
            }
        }
    }

    /// Makes the turn acceptable to engines: no empty assistant message, no call without a result.
    fn finish_turn(&mut self, end: &TurnOutcome) {
        if !std::mem::take(&mut self.in_turn) {
            return;
        }
        let start = self.turn_starts.last().copied().unwrap_or(0).min(self.messages.len());
        let mut turn = self.messages.split_off(start);
        let is_completed = *end == TurnOutcome::Completed;
        let interrupts = self.interrupts.take().filter(|_| is_completed).map(|list| (INTERRUPTS_KEY, list));
        let context = self.context.take().map(|context| (CONTEXT_KEY, context.into()));
        let kept: serde_json::Map<String, Json> =
            [interrupts, context].into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect();
        if !kept.is_empty() {
            Self::keep_metadata(&mut turn, kept, is_completed);
        }
        if *end == TurnOutcome::Interrupted {
            Self::answer_cut_off_calls(&mut turn);
        }
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

fn size_of_turn(turn: &[HistoryMessage]) -> TurnSize {
    TurnSize {
        tokens: turn.iter().map(token_estimate).sum(),
        record_tokens: turn.iter().map(record_tokens).sum(),
        is_empty: turn.is_empty(),
    }
}

/// Returns about how many tokens an entry has in the record of which a summary is made.
fn record_tokens(entry: &HistoryMessage) -> u64 {
    match entry {
        HistoryMessage::User { text, .. } => estimate_tokens(text).min(MAX_RECORDED_BYTES as u64 / 4) + 4,
        HistoryMessage::Assistant { .. } => token_estimate(entry),
        HistoryMessage::Tool { output, .. } => estimate_tokens(output).min(MAX_RECORDED_OUTPUT_BYTES as u64 / 4) + 8,
    }
}

/// Estimates the tokens of an entry.
pub fn token_estimate(entry: &HistoryMessage) -> u64 {
    match entry {
        HistoryMessage::User { text, images } => {
            estimate_tokens(text) + 4 + images.iter().map(PromptImage::estimate_tokens).sum::<u64>()
        }
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
mod tests;
