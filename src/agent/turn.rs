//! PURE. The turn machine: decides what to do next. No clock, no IO, no async.
//!
//! ```text
//! begin ─► asking the model ─► reply over ─┬─ no calls ─► finished
//!               ▲                          └─ calls: prepare ─► judge ─┬─ allowed ─► running ─┐
//!               │                                                      ├─ ask ─► waiting ─────┤
//!               │                                                      └─ denied ────────────┤
//!               └──────────────────────── all calls over, rounds left ◄──────────────────────┘
//! ```
//!
//! What the person says meanwhile goes along with the next request; where an answer would end the turn, it is followed by
//! one more. Which calls wait for others of the same reply is in `waiting_calls`. Tools start only once the response is
//! complete: a response that breaks off has run nothing. A response that the
//! server paused is followed by the next request at once; rounds are limited all the same. A call cut off by the output
//! limit is not run, and its output tells the model why; complete calls beside it run. Cancelled tools still report
//! their outcome, and the turn ends after that.

mod admission;
mod held_calls;
mod server_calls;
mod tool_events;
mod truncated_calls;
mod waiting_calls;

use std::collections::{HashMap, VecDeque};

use crate::event::{
    AgentEvent, Annotation, ApprovalRequest, CallId, CallOutcome, CallOutput, DecidedBy, Decision, Fault, FaultKind,
    HunkDecision, Json, Millis, NoticeCode, NoticeLevel, OutputStream, PromptContext, ReplyEvent, TurnId, TurnOutcome,
    UsageScope, user_message,
};

use super::approval::ApprovalVerdict;
use super::assembler::{Assembled, ReplyAssembler, UnfinishedCall, UnfinishedState};
use super::ids::IdAllocator;

/// How many identical calls (same tool, same arguments) one turn may make.
pub const MAX_IDENTICAL_CALLS: u32 = 3;

/// An input of the turn machine.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnInput {
    /// An event of the reply to the request.
    Reply(ReplyEvent),
    /// What a call would do; the answer is [`TurnEffect::JudgeDescribed`], now or later.
    Described {
        call: CallId,
        request: ApprovalRequest,
    },
    /// The approval request of a call (or the reason why it can't run), and the policy's verdict.
    Judged {
        call: CallId,
        judgment: Result<(ApprovalRequest, ApprovalVerdict), String>,
    },
    Decided {
        call: CallId,
        decision: Decision,
        by: DecidedBy,
    },
    Output {
        call: CallId,
        stream: OutputStream,
        text: String,
    },
    /// An event of a call's tool, with the tool's own ids.
    ToolEvent {
        call: CallId,
        event: AgentEvent,
    },
    Done {
        call: CallId,
        outcome: CallOutcome,
        output: CallOutput,
        duration: Millis,
    },
    /// Nobody can decide about a call that its server would run: it stays requested, and the turn ends.
    Undecided {
        call: CallId,
    },
    /// What the person says goes to the model with the next request.
    Steer {
        text: String,
        context: Vec<PromptContext>,
    },
    Cancel,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnEffect {
    Emit(AgentEvent),
    /// Make the next request; `round` counts from 1.
    RequestModel {
        round: u32,
    },
    /// Drop the response that is being received.
    DropResponse,
    /// Find out what the call would do; respond with [`TurnInput::Described`], or with [`TurnInput::Judged`] if it can't
    /// run.
    Judge {
        call: CallId,
        name: String,
        args: Json,
    },
    /// Judge a call that was described; respond with [`TurnInput::Judged`].
    JudgeDescribed {
        call: CallId,
        request: ApprovalRequest,
    },
    /// Judge a call that its server runs once that is allowed; respond with [`TurnInput::Judged`] or
    /// [`TurnInput::Undecided`].
    JudgeServerCall {
        call: CallId,
        request: ApprovalRequest,
    },
    RunTool {
        call: CallId,
        name: String,
        args: Json,
        /// The part of its change that it may make; none is all of it.
        hunks: Option<HunkDecision>,
    },
    /// Tell the server what was decided about its request; its reply goes on after that.
    AnswerServer {
        request: Json,
        decision: Decision,
    },
    /// Stop running tools; each still responds with [`TurnInput::Done`].
    StopTools,
    /// The turn is over; nothing follows.
    Finished,
}

#[derive(Clone, Debug, PartialEq)]
enum CallStage {
    Judging,
    /// It is known what it would do; an earlier call may have to be over first.
    Described(Box<ApprovalRequest>),
    AwaitingApproval,
    /// It may run, with so much of its change, once another is over.
    Queued(Option<HunkDecision>),
    Running,
    Finished,
}

#[derive(Clone, Debug)]
struct CallSlot {
    call: CallId,
    name: String,
    args: String,
    stage: CallStage,
    /// What it would do, once that is known.
    effects: Option<waiting_calls::CallEffects>,
    /// It waited for an earlier call: what it would do may be something else by now.
    was_held: bool,
    /// Where the server asked for it: what came of that. It runs the call itself, after the next request.
    server_approval: Option<server_calls::ServerApprovalAnswer>,
}

/// Limits of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnLimits {
    /// Requests to the model.
    pub max_rounds: u32,
    /// Tool calls; further ones are not run, and the model is told.
    pub max_calls: Option<u32>,
}

/// The state of one turn.
#[derive(Debug)]
pub struct TurnMachine {
    turn: TurnId,
    limits: TurnLimits,
    /// How many calls were accepted so far.
    admitted_calls: u32,
    /// Whether the model's calls run here; otherwise they are only reported, as for a remote without `--local-tools`.
    runs_tools: bool,
    round: u32,
    is_responding: bool,
    is_cancelled: bool,
    is_finished: bool,
    reply: ReplyAssembler,
    /// Messages and calls of sub-agents that were started and not finished.
    open_nested: Vec<tool_events::OpenNested>,
    /// Calls that the reply of this round requested of us.
    call_slots: Vec<CallSlot>,
    /// Those that may run and wait for another, in the order in which they were allowed.
    queued_calls: VecDeque<CallId>,
    /// Calls with which the server waits for an answer while its reply goes on.
    held_calls: Vec<held_calls::HeldCall>,
    call_counts: HashMap<(String, String), u32>,
    has_text: bool,
    /// The server paused in the middle of its work and needs the turn sent back.
    is_paused: bool,
    /// What the person said meanwhile. What of it no request took along is not told: whoever sent it sends it again.
    steers: Vec<(String, Vec<PromptContext>)>,
    /// How many responses in a row were cut off by the output limit without a complete call.
    truncated_responses: u32,
}

impl TurnMachine {
    /// Begins a turn: the returned effects start it and request the model. Without a prompt the model continues the
    /// conversation.
    pub fn begin(
        names: &mut IdAllocator,
        prompt: Option<(&str, Vec<PromptContext>)>,
        limits: TurnLimits,
        runs_tools: bool,
    ) -> (Self, Vec<TurnEffect>) {
        let turn = names.new_turn();
        let mut machine = Self {
            turn: turn.clone(),
            limits: TurnLimits { max_rounds: limits.max_rounds.max(1), ..limits },
            admitted_calls: 0,
            runs_tools,
            round: 0,
            is_responding: false,
            is_cancelled: false,
            is_finished: false,
            reply: ReplyAssembler::default(),
            open_nested: Vec::new(),
            call_slots: Vec::new(),
            queued_calls: VecDeque::new(),
            held_calls: Vec::new(),
            call_counts: HashMap::new(),
            has_text: false,
            is_paused: false,
            steers: Vec::new(),
            truncated_responses: 0,
        };
        let mut steps = vec![TurnEffect::Emit(AgentEvent::TurnStarted { turn, parent: None })];
        if let Some((text, context)) = prompt {
            steps.extend(user_message(names.new_message(), text, context).map(TurnEffect::Emit));
        }
        machine.request_model(names, &mut steps);
        (machine, steps)
    }

    pub fn turn(&self) -> &TurnId {
        &self.turn
    }

    /// Returns the number of the current request to the model, from 1.
    pub fn round(&self) -> u32 {
        self.round
    }

    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Handles an input and returns the effects, in order.
    pub fn handle(&mut self, input: TurnInput, names: &mut IdAllocator) -> Vec<TurnEffect> {
        let mut steps = Vec::new();
        if self.is_finished {
            return steps;
        }
        match input {
            TurnInput::Reply(event) => self.handle_reply(event, names, &mut steps),
            TurnInput::Described { call, request } => self.handle_description(&call, request, &mut steps),
            TurnInput::Judged { call, judgment } => self.handle_judgment(&call, judgment, &mut steps),
            TurnInput::Decided { call, decision, by } => self.handle_decision(&call, decision, by, &mut steps),
            TurnInput::Output { call, stream, text } => {
                if self.slot(&call).is_some_and(|slot| slot.stage == CallStage::Running) {
                    steps.push(TurnEffect::Emit(AgentEvent::ToolOutput { call, stream, text }));
                }
            }
            TurnInput::ToolEvent { call, event } => self.handle_tool_event(&call, event, names, &mut steps),
            TurnInput::Done { call, outcome, output, duration: took } => {
                if self.slot(&call).is_some_and(|slot| slot.stage == CallStage::Running) {
                    self.finish_call(&call, outcome, output, Some(took), &mut steps);
                }
            }
            TurnInput::Undecided { call } => self.leave_undecided(&call, &mut steps),
            TurnInput::Steer { text, context } => self.steers.push((text, context)),
            TurnInput::Cancel => self.cancel(&mut steps),
        }
        self.run_queued(&mut steps);
        self.judge_described(&mut steps);
        self.advance(names, &mut steps);
        steps
    }

    fn request_model(&mut self, names: &mut IdAllocator, steps: &mut Vec<TurnEffect>) {
        self.round += 1;
        self.is_responding = true;
        self.is_paused = false;
        let decided = self.take_decided();
        // The server goes on where it stopped: nothing may stand between its question and the answer.
        if decided.is_empty() {
            for (text, context) in std::mem::take(&mut self.steers) {
                steps.extend(user_message(names.new_message(), &text, context).map(TurnEffect::Emit));
            }
        }
        self.reply = std::mem::take(&mut self.reply).following(&decided);
        steps.push(TurnEffect::RequestModel { round: self.round });
    }

    fn handle_reply(&mut self, event: ReplyEvent, names: &mut IdAllocator, steps: &mut Vec<TurnEffect>) {
        if !self.is_responding {
            return;
        }
        match &event {
            // The empty answer was already reported, or a question stands in for it.
            ReplyEvent::TextDelta { .. }
            | ReplyEvent::Notice {
                code: NoticeCode::EmptyAnswer | NoticeCode::InputRequired | NoticeCode::AuthRequired,
                ..
            } => {
                self.has_text = true;
            }
            ReplyEvent::Annotation { annotation: Annotation::Paused {}, .. } => self.is_paused = true,
            _ => {}
        }
        match self.reply.assemble(event, &self.turn, names) {
            Assembled::Event(AgentEvent::UsageReported { usage, .. }) => {
                let scope = UsageScope::Request(self.round);
                steps.push(TurnEffect::Emit(AgentEvent::UsageReported { scope, usage }));
            }
            Assembled::Event(event) => self.emit_of_reply(event, steps),
            Assembled::Repeated => {}
            Assembled::End(outcome) => self.finish_reply(outcome, steps),
        }
    }

    fn finish_reply(&mut self, outcome: TurnOutcome, steps: &mut Vec<TurnEffect>) {
        let is_plain = self.reply.is_plain();
        let runs_calls = self.runs_tools && outcome == TurnOutcome::Completed;
        let calls = self.close_reply(&outcome, steps);
        let requests_calls = calls.iter().any(|call| call.state == UnfinishedState::Requested);
        let mut any_truncated = false;
        for call in calls {
            match call.state {
                UnfinishedState::Requested if runs_calls => {
                    let UnfinishedCall { call, name, args, .. } = call;
                    let stage = CallStage::Judging;
                    self.call_slots.push(CallSlot {
                        call,
                        name,
                        args,
                        stage,
                        effects: None,
                        was_held: false,
                        server_approval: None,
                    });
                }
                UnfinishedState::NeedsApproval if outcome == TurnOutcome::Completed => self.ask_for_server(call, steps),
                UnfinishedState::Truncated if runs_calls => {
                    any_truncated |= !call.name.is_empty();
                    truncated_calls::fail(&call, steps);
                }
                _ => steps.push(TurnEffect::Emit(call.finished())),
            }
        }
        if outcome != TurnOutcome::Completed {
            return self.finish_turn(outcome, steps);
        }
        // There is nothing to run, but the turn isn't over: the next request sends it back as it is.
        if self.is_paused && !requests_calls {
            return;
        }
        // The person said more: this answer was not the last.
        if self.call_slots.is_empty() && !self.steers.is_empty() {
            return;
        }
        self.truncated_responses =
            if any_truncated && self.call_slots.is_empty() { self.truncated_responses + 1 } else { 0 };
        if self.truncated_responses >= truncated_calls::MAX_TRUNCATED_RESPONSES {
            return self.finish_turn(TurnOutcome::Failed(truncated_calls::truncation_fault()), steps);
        }
        if self.truncated_responses > 0 {
            return;
        }
        if self.call_slots.is_empty() {
            // Otherwise the finish reason explains it.
            if !self.has_text && is_plain {
                steps.push(TurnEffect::Emit(AgentEvent::Notice {
                    level: NoticeLevel::Warn,
                    code: NoticeCode::EmptyAnswer,
                    text: "the model returned an empty response".into(),
                }));
            }
            return self.finish_turn(TurnOutcome::Completed, steps);
        }
        for slot in self.call_slots.clone().into_iter().filter(|slot| slot.server_approval.is_none()) {
            if let Err((outcome, text)) = self.admit(&slot, steps) {
                self.finish_call(&slot.call, outcome, CallOutput::from_text(text), None, steps);
            }
        }
    }

    /// Closes what the reply left open and returns the calls that it did not finish.
    fn close_reply(&mut self, outcome: &TurnOutcome, steps: &mut Vec<TurnEffect>) -> Vec<UnfinishedCall> {
        self.is_responding = false;
        self.drop_held_calls(steps);
        let mut closing = Vec::new();
        let calls = self.reply.close(outcome, &mut closing);
        steps.extend(closing.into_iter().map(TurnEffect::Emit));
        calls
    }

    fn cancel(&mut self, steps: &mut Vec<TurnEffect>) {
        if std::mem::replace(&mut self.is_cancelled, true) {
            // A second cancel does not wait for tools that are still stopping.
            let lingering: Vec<CallId> = self.running_calls().collect();
            for call in lingering {
                self.finish_call(&call, CallOutcome::Cancelled, CallOutput::default(), None, steps);
            }
            return;
        }
        if self.is_responding {
            steps.push(TurnEffect::DropResponse);
            for call in self.close_reply(&TurnOutcome::Cancelled, steps) {
                self.finish_call(&call.call, CallOutcome::Cancelled, CallOutput::default(), None, steps);
            }
        }
        if self.running_calls().next().is_some() {
            steps.push(TurnEffect::StopTools);
        }
        let idle: Vec<(CallId, CallStage)> = self
            .call_slots
            .iter()
            .filter(|slot| !matches!(slot.stage, CallStage::Running | CallStage::Finished))
            .map(|slot| (slot.call.clone(), slot.stage.clone()))
            .collect();
        for (call, stage) in idle {
            if stage == CallStage::AwaitingApproval {
                steps.push(TurnEffect::Emit(AgentEvent::ApprovalResolved {
                    call: call.clone(),
                    decision: Decision::Deny(None),
                    by: DecidedBy::Cancelled,
                }));
            }
            self.finish_call(&call, CallOutcome::Cancelled, CallOutput::default(), None, steps);
        }
    }

    /// Ends the turn if it was cancelled and nothing runs, or sends the next request when all calls are over.
    fn advance(&mut self, names: &mut IdAllocator, steps: &mut Vec<TurnEffect>) {
        if self.is_finished
            || self.is_responding
            || self.call_slots.iter().any(|slot| slot.stage != CallStage::Finished)
        {
            return;
        }
        if self.is_cancelled {
            return self.finish_turn(TurnOutcome::Cancelled, steps);
        }
        if self.has_undecided() {
            return self.finish_turn(TurnOutcome::Completed, steps);
        }
        if self.round >= self.limits.max_rounds {
            let text = format!(
                "stopped after {} requests to the model in one turn; say \"go on\", or raise limits.max_rounds",
                self.round
            );
            return self.finish_turn(TurnOutcome::Failed(Fault::new(FaultKind::LimitReached, text)), steps);
        }
        self.request_model(names, steps);
    }

    fn finish_turn(&mut self, end: TurnOutcome, steps: &mut Vec<TurnEffect>) {
        self.is_finished = true;
        self.close_decided(&end, steps);
        steps.push(TurnEffect::Emit(AgentEvent::TurnFinished { turn: self.turn.clone(), outcome: end }));
        steps.push(TurnEffect::Finished);
    }

    fn finish_call(
        &mut self,
        call: &CallId,
        outcome: CallOutcome,
        output: CallOutput,
        took: Option<Millis>,
        steps: &mut Vec<TurnEffect>,
    ) {
        self.set_stage(call, CallStage::Finished);
        self.close_nested(call, outcome, steps);
        steps.push(TurnEffect::Emit(AgentEvent::ToolCallFinished {
            call: call.clone(),
            outcome,
            output,
            duration: took,
        }));
    }

    fn running_calls(&self) -> impl Iterator<Item = CallId> {
        self.call_slots.iter().filter(|slot| slot.stage == CallStage::Running).map(|slot| slot.call.clone())
    }

    fn slot(&self, call: &CallId) -> Option<&CallSlot> {
        self.call_slots.iter().find(|slot| slot.call == *call)
    }

    fn slot_mut(&mut self, call: &CallId) -> Option<&mut CallSlot> {
        self.call_slots.iter_mut().find(|slot| slot.call == *call)
    }

    fn set_stage(&mut self, call: &CallId, stage: CallStage) {
        if let Some(slot) = self.slot_mut(call) {
            slot.stage = stage;
        }
    }
}

#[cfg(test)]
mod tests;
