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
//! Tools start only when the reply is over: a reply that breaks in the middle has run nothing. A reply that the server
//! paused is followed by the next request at once; rounds are capped all the same. A call that the output limit cut off is
//! not run, and the model is told why; whole ones beside it are. Interrupting is not forgetting: a running tool's outcome
//! still arrives, and the turn ends after it.

mod cut;

use std::collections::HashMap;

use crate::event::{
    AgentEvent, Ask, CallId, DecidedBy, Decision, Fault, FaultKind, Json, Level, MessageId, Millis, Outcome, Output,
    OutputStream, RanBy, Scope, Stop, Subject, TurnEnd, TurnId,
};

use super::approval::Verdict;
use super::names::Names;

/// Identical calls (same tool, same arguments) that one turn may make.
pub const SAME_CALLS: u32 = 3;

/// The annotation by which a server says that it wants the turn back to go on.
const PAUSED: &str = "paused";

/// What can happen to a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// An event of the engine's reply; `TurnFinished` means that the reply is over.
    Model(AgentEvent),
    /// What a call would do is known (or why it can't be done), and what the policy says to it.
    Judged {
        call: CallId,
        judgement: Result<(Ask, Verdict), String>,
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
    Done {
        call: CallId,
        outcome: Outcome,
        output: Output,
        took: Millis,
    },
    Cancel,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Emit(AgentEvent),
    /// Make the next request; `round` counts from 1.
    AskModel {
        round: u32,
    },
    /// Drop the reply that is coming in.
    DropModel,
    /// Find out what the call would do and judge it; answer with [`Input::Judged`].
    Judge {
        call: CallId,
        name: String,
        args: Json,
    },
    Run {
        call: CallId,
        name: String,
        args: Json,
    },
    /// Stop running tools; each still answers with [`Input::Done`].
    StopTools,
    /// The turn is over; nothing follows.
    Over,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    Writing,
    /// The server runs it.
    Server,
    Ready,
    Judging,
    Waiting,
    Running,
    Over,
}

#[derive(Clone, Debug)]
struct Slot {
    call: CallId,
    message: MessageId,
    name: String,
    /// As far as they came.
    args: String,
    stage: Stage,
}

/// How much a turn may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests to the model.
    pub rounds: u32,
    /// Calls of tools; one more is not run, and the model is told.
    pub calls: Option<u32>,
}

/// One turn.
#[derive(Debug)]
pub struct Machine {
    turn: TurnId,
    limits: Limits,
    /// Calls that were taken up so far.
    calls: u32,
    /// Calls of the model are run here; otherwise they stay requests, as for a remote without `--local-tools`.
    runs_tools: bool,
    round: u32,
    replying: bool,
    cancelled: bool,
    over: bool,
    /// Messages of this reply that were started and not finished.
    open: Vec<MessageId>,
    /// Calls of this round.
    slots: Vec<Slot>,
    repeats: HashMap<(String, String), u32>,
    spoke: bool,
    /// The server stopped in the middle of its work and wants the turn back.
    paused: bool,
    /// How the messages of this reply that did not come to a good end stopped.
    stops: Vec<(MessageId, Stop)>,
    /// Replies in a row that the output limit left without a call to run.
    cut_replies: u32,
}

impl Machine {
    /// Begins a turn: the returned steps start it and ask the model. Without a prompt the model goes on from what was
    /// said last.
    pub fn begin(names: &mut Names, prompt: Option<&str>, limits: Limits, runs_tools: bool) -> (Self, Vec<Step>) {
        let turn = names.turn();
        let mut machine = Self {
            turn: turn.clone(),
            limits: Limits { rounds: limits.rounds.max(1), ..limits },
            calls: 0,
            runs_tools,
            round: 0,
            replying: false,
            cancelled: false,
            over: false,
            open: Vec::new(),
            slots: Vec::new(),
            repeats: HashMap::new(),
            spoke: false,
            paused: false,
            stops: Vec::new(),
            cut_replies: 0,
        };
        let mut steps = vec![Step::Emit(AgentEvent::TurnStarted { turn, parent: None })];
        if let Some(prompt) = prompt {
            steps.push(Step::Emit(AgentEvent::UserMessage { message: names.message(), text: prompt.to_owned() }));
        }
        machine.ask_model(names, &mut steps);
        (machine, steps)
    }

    pub fn turn(&self) -> &TurnId {
        &self.turn
    }

    /// Returns the number of the request to the model, which counts from 1.
    pub fn round(&self) -> u32 {
        self.round
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes what happened and returns what to do, in order.
    pub fn handle(&mut self, input: Input, names: &mut Names) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.over {
            return steps;
        }
        match input {
            Input::Model(event) => self.model(event, names, &mut steps),
            Input::Judged { call, judgement } => self.judged(&call, judgement, &mut steps),
            Input::Decided { call, decision, by } => self.decided(&call, decision, by, &mut steps),
            Input::Output { call, stream, text } => {
                if self.slot(&call).is_some_and(|slot| slot.stage == Stage::Running) {
                    steps.push(Step::Emit(AgentEvent::ToolOutput { call, stream, text }));
                }
            }
            Input::Done { call, outcome, output, took } => {
                if self.slot(&call).is_some_and(|slot| slot.stage == Stage::Running) {
                    self.finish_call(&call, outcome, output, Some(took), &mut steps);
                }
            }
            Input::Cancel => self.cancel(&mut steps),
        }
        self.go_on(names, &mut steps);
        steps
    }

    fn ask_model(&mut self, names: &mut Names, steps: &mut Vec<Step>) {
        self.round += 1;
        self.replying = true;
        self.paused = false;
        self.slots.clear();
        self.stops.clear();
        names.new_reply();
        steps.push(Step::AskModel { round: self.round });
    }

    fn model(&mut self, event: AgentEvent, names: &mut Names, steps: &mut Vec<Step>) {
        if !self.replying {
            return;
        }
        match &event {
            AgentEvent::TurnFinished { end, .. } => return self.reply_over(end.clone(), steps),
            // Neither a model nor its server can cause these.
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. } => return,
            _ => {}
        }
        let mut event = names.own(event, &self.turn);
        match &mut event {
            AgentEvent::MessageStarted { message, .. } => self.open.push(message.clone()),
            AgentEvent::TextDelta { .. } => self.spoke = true,
            // It was told that nothing was.
            AgentEvent::Noticed { code, .. } if code == "empty_answer" => self.spoke = true,
            AgentEvent::MessageFinished { message, stop, .. } => {
                self.open.retain(|open| open != message);
                if matches!(stop, Stop::Length | Stop::Refused) {
                    self.stops.push((message.clone(), *stop));
                }
            }
            AgentEvent::ToolCallStarted { call, message, name, ran_by, .. } => {
                // What the server runs needs nothing from us but to be passed on.
                let stage = if *ran_by == RanBy::Us { Stage::Writing } else { Stage::Server };
                let (message, name) = (message.clone(), name.clone().unwrap_or_default());
                self.slots.push(Slot { call: call.clone(), message, name, args: String::new(), stage });
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                if let Some(slot) = self.slot_mut(call).filter(|slot| slot.stage == Stage::Writing) {
                    slot.args.push_str(json);
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                if let Some(slot) = self.slot_mut(call) {
                    slot.name.clone_from(name);
                    slot.args.clone_from(args);
                    if slot.stage == Stage::Writing {
                        slot.stage = Stage::Ready;
                    }
                }
            }
            AgentEvent::UsageReported { scope, .. } => *scope = Scope::Request(self.round),
            AgentEvent::Annotated { kind, .. } => self.paused |= kind == PAUSED,
            // May come twice; the later one settles.
            AgentEvent::ToolCallFinished { call, .. } => self.set_stage(call, Stage::Over),
            _ => {}
        }
        steps.push(Step::Emit(event));
    }

    fn reply_over(&mut self, end: TurnEnd, steps: &mut Vec<Step>) {
        self.replying = false;
        if end != TurnEnd::Completed {
            return self.end(end, steps);
        }
        self.refuse_declined(steps);
        let any_cut = self.refuse_cut(steps);
        let half: Vec<CallId> = self
            .slots
            .iter()
            .filter(|slot| matches!(slot.stage, Stage::Writing | Stage::Server))
            .map(|slot| slot.call.clone())
            .collect();
        for call in half {
            self.finish_call(&call, Outcome::Unknown, Output::default(), None, steps);
        }
        let ready: Vec<Slot> = self.slots.iter().filter(|slot| slot.stage == Stage::Ready).cloned().collect();
        // Nothing to run, but not over: the next request gives the turn back as it is.
        if self.paused && ready.is_empty() {
            return;
        }
        self.cut_replies = if any_cut && ready.is_empty() { self.cut_replies + 1 } else { 0 };
        if self.cut_replies >= cut::MOST_IN_A_ROW {
            return self.end(TurnEnd::Failed(cut::gave_up()), steps);
        }
        if self.cut_replies > 0 {
            return;
        }
        if ready.is_empty() || !self.runs_tools {
            // How it stopped says why.
            if !self.spoke && self.slots.is_empty() && self.stops.is_empty() {
                steps.push(Step::Emit(AgentEvent::Noticed {
                    level: Level::Warn,
                    code: "empty_answer".into(),
                    text: "the model ended its turn without a word".into(),
                }));
            }
            return self.end(TurnEnd::Completed, steps);
        }
        for slot in ready {
            if let Err((outcome, text)) = self.admit(&slot, steps) {
                self.finish_call(&slot.call, outcome, Output::of(text), None, steps);
            }
        }
    }

    /// Has a call judged, or says how it ended without that and why.
    fn admit(&mut self, slot: &Slot, steps: &mut Vec<Step>) -> Result<(), (Outcome, String)> {
        if let Some(most) = self.limits.calls.filter(|most| self.calls >= *most) {
            let were = if most == 1 { "call was" } else { "calls were" };
            let text = format!("not run: {most} {were} allowed for this answer; answer with what is known");
            return Err((Outcome::Denied, text));
        }
        self.calls += 1;
        let seen = self.repeats.entry((slot.name.clone(), slot.args.clone())).or_insert(0);
        *seen += 1;
        if *seen > SAME_CALLS {
            let text = format!(
                "loop guard: {} was already called {SAME_CALLS} times with these arguments in this turn; \
                 use what it returned or try something else",
                slot.name
            );
            return Err((Outcome::Failed, text));
        }
        let written = if slot.args.trim().is_empty() { "{}" } else { slot.args.as_str() };
        match serde_json::from_str::<Json>(written) {
            Ok(args @ Json::Object(_)) => {
                self.set_stage(&slot.call, Stage::Judging);
                steps.push(Step::Judge { call: slot.call.clone(), name: slot.name.clone(), args });
                Ok(())
            }
            Ok(_) => Err((Outcome::Failed, "invalid arguments: a JSON object was expected".to_owned())),
            Err(error) => Err((Outcome::Failed, format!("invalid arguments: not JSON ({error})"))),
        }
    }

    fn judged(&mut self, call: &CallId, judgement: Result<(Ask, Verdict), String>, steps: &mut Vec<Step>) {
        if !self.slot(call).is_some_and(|slot| slot.stage == Stage::Judging) {
            return;
        }
        match judgement {
            Err(text) => self.finish_call(call, Outcome::Failed, Output::of(text), None, steps),
            Ok((_, Verdict::Allow)) => {
                // Where somebody was asked, their answer says that it runs.
                let (on, kind) = (Subject::Call(call.clone()), "running".to_owned());
                steps.push(Step::Emit(AgentEvent::Annotated { on, kind, data: serde_json::json!({}) }));
                self.run(call, steps);
            }
            Ok((_, Verdict::Deny(reason))) => {
                self.finish_call(call, Outcome::Denied, Output::of(reason), None, steps);
            }
            Ok((ask, Verdict::Ask)) => {
                self.set_stage(call, Stage::Waiting);
                steps.push(Step::Emit(AgentEvent::ApprovalRequested { call: call.clone(), ask }));
            }
        }
    }

    /// The first answer wins; answers to anything but a waiting ask are ignored.
    fn decided(&mut self, call: &CallId, decision: Decision, by: DecidedBy, steps: &mut Vec<Step>) {
        if !self.slot(call).is_some_and(|slot| slot.stage == Stage::Waiting) {
            return;
        }
        steps.push(Step::Emit(AgentEvent::ApprovalResolved { call: call.clone(), decision: decision.clone(), by }));
        match decision {
            Decision::Once | Decision::Session | Decision::Pattern(_) => self.run(call, steps),
            Decision::Deny(reason) => {
                let text = match (reason, by) {
                    (Some(reason), _) => format!("denied: {reason}"),
                    (None, DecidedBy::Person | DecidedBy::Remote) => "denied by the user".to_owned(),
                    (None, DecidedBy::TimedOut) => "denied: nobody answered in time".to_owned(),
                    (None, DecidedBy::Policy | DecidedBy::Cancelled) => "denied".to_owned(),
                };
                self.finish_call(call, Outcome::Denied, Output::of(text), None, steps);
            }
        }
    }

    fn run(&mut self, call: &CallId, steps: &mut Vec<Step>) {
        let Some(slot) = self.slot_mut(call) else { return };
        slot.stage = Stage::Running;
        let written = if slot.args.trim().is_empty() { "{}" } else { slot.args.as_str() };
        let args = serde_json::from_str(written).unwrap_or(Json::Null);
        steps.push(Step::Run { call: slot.call.clone(), name: slot.name.clone(), args });
    }

    fn cancel(&mut self, steps: &mut Vec<Step>) {
        if std::mem::replace(&mut self.cancelled, true) {
            // A second wish does not wait for tools that linger.
            let lingering: Vec<CallId> = self.running().collect();
            for call in lingering {
                self.finish_call(&call, Outcome::Cancelled, Output::default(), None, steps);
            }
            return;
        }
        if self.replying {
            self.replying = false;
            steps.push(Step::DropModel);
        }
        if self.running().next().is_some() {
            steps.push(Step::StopTools);
        }
        let idle: Vec<(CallId, Stage)> = self
            .slots
            .iter()
            .filter(|slot| !matches!(slot.stage, Stage::Running | Stage::Over))
            .map(|slot| (slot.call.clone(), slot.stage.clone()))
            .collect();
        self.close_messages(Stop::Cancelled, steps);
        for (call, stage) in idle {
            if stage == Stage::Waiting {
                steps.push(Step::Emit(AgentEvent::ApprovalResolved {
                    call: call.clone(),
                    decision: Decision::Deny(None),
                    by: DecidedBy::Cancelled,
                }));
            }
            self.finish_call(&call, Outcome::Cancelled, Output::default(), None, steps);
        }
    }

    /// Ends the turn when it was cancelled and nothing runs, or asks the model again when all calls are over.
    fn go_on(&mut self, names: &mut Names, steps: &mut Vec<Step>) {
        if self.over || self.replying || self.slots.iter().any(|slot| slot.stage != Stage::Over) {
            return;
        }
        if self.cancelled {
            return self.end(TurnEnd::Cancelled, steps);
        }
        if self.round >= self.limits.rounds {
            let text = format!(
                "stopped after {} requests to the model in one turn; say \"go on\", or raise limits.max_rounds",
                self.round
            );
            return self.end(TurnEnd::Failed(Fault::new(FaultKind::LimitReached, text)), steps);
        }
        self.ask_model(names, steps);
    }

    fn end(&mut self, end: TurnEnd, steps: &mut Vec<Step>) {
        let stop = match &end {
            TurnEnd::Completed => Stop::End,
            TurnEnd::Cancelled => Stop::Cancelled,
            TurnEnd::Interrupted => Stop::Interrupted,
            TurnEnd::Failed(_) => Stop::Failed,
        };
        self.close_messages(stop, steps);
        let left: Vec<(CallId, Stage)> = self
            .slots
            .iter()
            .filter(|slot| slot.stage != Stage::Over)
            .map(|slot| (slot.call.clone(), slot.stage.clone()))
            .collect();
        for (call, stage) in left {
            let outcome = if stage == Stage::Ready { Outcome::Requested } else { Outcome::Unknown };
            self.finish_call(&call, outcome, Output::default(), None, steps);
        }
        self.over = true;
        steps.push(Step::Emit(AgentEvent::TurnFinished { turn: self.turn.clone(), end }));
        steps.push(Step::Over);
    }

    fn close_messages(&mut self, stop: Stop, steps: &mut Vec<Step>) {
        for message in self.open.drain(..) {
            steps.push(Step::Emit(AgentEvent::MessageFinished { message, stop, full: None, carry: None }));
        }
    }

    fn finish_call(
        &mut self,
        call: &CallId,
        outcome: Outcome,
        output: Output,
        took: Option<Millis>,
        steps: &mut Vec<Step>,
    ) {
        self.set_stage(call, Stage::Over);
        steps.push(Step::Emit(AgentEvent::ToolCallFinished { call: call.clone(), outcome, output, took }));
    }

    fn running(&self) -> impl Iterator<Item = CallId> {
        self.slots.iter().filter(|slot| slot.stage == Stage::Running).map(|slot| slot.call.clone())
    }

    fn slot(&self, call: &CallId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.call == *call)
    }

    fn slot_mut(&mut self, call: &CallId) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.call == *call)
    }

    fn set_stage(&mut self, call: &CallId, stage: Stage) {
        if let Some(slot) = self.slot_mut(call) {
            slot.stage = stage;
        }
    }
}

#[cfg(test)]
mod tests;
