//! Sub-agents: an agent of its own for a call of `task`, with a context, tools and limits of its own.
//!
//! ```text
//! call ─► agent ─┬─ its events ─► below the call, by the turn machine
//!                ├─ what it used ─► the turn's usage
//!                └─ its asks ─► judged by the session's policy ─► the person ─► back to it
//! ```
//!
//! It starts none itself. What writes or runs something waits for what other agents write or run, and a cancel of the
//! turn cancels it. Dropping its task drops it with all that it runs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Agent, RunningTurn, ToolMessage};
use crate::agent::approval::ApprovalVerdict;
use crate::agent::history::History;
use crate::agent::ids::IdAllocator;
use crate::agent::setup::AgentSetup;
use crate::agent::turn::{TurnEffect, TurnInput, TurnLimits};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalRequest, CallId, CallOutcome, Command, DecidedBy, Decision,
    Fault, FaultKind, LinkState, Millis, NoticeCode, NoticeLevel, Permissions, Role, TurnOutcome, Usage, UsageScope,
};
use crate::tool::{Hooks, NOT_FOR_SUB_AGENTS, TaskRequest, ToolProgress, ToolResult};

/// Sub-agents that work at the same time.
const MAX_SUB_AGENTS: usize = 8;
/// What a sub-agent is told besides what its agent is.
const ROLE: &str = "\n\nYou work for another agent that has given you a task. Nobody answers questions: decide what is \
                    left open, and say so. Your last message is all that it gets, so put the whole result into it.";

/// The sub-agents of a turn.
#[derive(Default)]
pub(super) struct TurnSubAgents {
    running: Vec<RunningSubAgent>,
    /// What they ask, in order.
    asks: Vec<NestedAsk>,
    /// Asks that the policy decided: nobody is shown them.
    silent: Vec<(CallId, CallId)>,
    /// Of those that are over.
    past_usage: Usage,
}

struct RunningSubAgent {
    call: CallId,
    commands: mpsc::Sender<Command>,
    usage: Usage,
}

/// An ask of a sub-agent that was shown.
struct NestedAsk {
    /// The call's id in this session.
    ours: CallId,
    /// The call that started the sub-agent, and what that calls the call.
    parent: CallId,
    theirs: CallId,
    request: ApprovalRequest,
    decided_by: NestedDecider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NestedDecider {
    Nobody,
    Person,
    Policy,
}

impl TurnSubAgents {
    fn find(&self, call: &CallId) -> Option<&RunningSubAgent> {
        self.running.iter().find(|agent| agent.call == *call)
    }

    /// Tells a sub-agent something. One that is over needs to hear nothing more.
    fn send(&self, call: &CallId, command: Command) {
        if let Some(agent) = self.find(call) {
            // Of a queue that is full its agent takes nothing in: it stands, and a cancel reaches it another way.
            let _ = agent.commands.try_send(command);
        }
    }

    /// Tells all of them.
    pub(super) fn send_all(&self, command: &Command) {
        self.running.iter().for_each(|agent| self.send(&agent.call, command.clone()));
    }

    fn usage(&self) -> Usage {
        self.running.iter().fold(self.past_usage, |sum, agent| sum.plus(agent.usage))
    }

    pub(super) fn finish(&mut self, call: &CallId) {
        if let Some(at) = self.running.iter().position(|agent| agent.call == *call) {
            self.past_usage = self.past_usage.plus(self.running.swap_remove(at).usage);
        }
        self.asks.retain(|ask| ask.parent != *call);
        self.silent.retain(|(parent, _)| parent != call);
    }
}

impl Agent {
    /// Starts the sub-agent of a call.
    pub(super) fn start_sub_agent(&self, call: CallId, task: TaskRequest, running: &mut RunningTurn) {
        let tool_sender = running.tool_sender.clone();
        let unknown = task.tools.iter().find(|name| self.setup.tools.get(name).is_none());
        let refusal = match unknown {
            Some(name) => Some(format!("there is no tool `{name}` that a sub-agent could have")),
            None if running.sub_agents.running.len() >= MAX_SUB_AGENTS => {
                Some(format!("{MAX_SUB_AGENTS} sub-agents work already; wait for their results first"))
            }
            None => None,
        };
        if let Some(text) = refusal {
            running.tools.spawn(async move {
                let result = ToolResult::failed(text);
                let _ = tool_sender.send(ToolMessage::Done { call, result, duration: Millis(0) }).await;
            });
            return;
        }
        // Capacity 16: decisions, one at a time.
        let (commands, to_agent) = mpsc::channel(16);
        let agent = RunningSubAgent { call: call.clone(), commands: commands.clone(), usage: Usage::default() };
        running.sub_agents.running.push(agent);
        // Capacity 64, as for a reply.
        let (events, from_agent) = mpsc::channel(64);
        let setup = self.sub_agent_setup(&call, &task);
        let (link, allowed) = (watch::channel(LinkState::Idle).0, watch::channel(Permissions::default()).0);
        let agent: BoxFuture<'static, ()> = Box::pin(Agent::run(setup, to_agent, events, link, allowed));
        let follower = SubAgentFollower {
            call,
            commands,
            events: from_agent,
            cancel: running.cancel_tools.child_token(),
            tool_sender,
            max_tokens: task.max_tokens,
            answer: String::new(),
            used: Usage::default(),
            is_over_budget: false,
        };
        running.tools.spawn(follower.run(agent, task.prompt));
    }

    fn sub_agent_setup(&self, call: &CallId, task: &TaskRequest) -> AgentSetup {
        let setup = &self.setup;
        let choice = self.engine_choice.clone();
        let engine_choice: BoxFuture<'static, _> = match &task.model {
            None => Box::pin(async { Ok(choice) }),
            Some(model) => {
                let switching = (setup.switch_model)(model.clone());
                Box::pin(async { switching.await.map_err(|why| Fault::new(FaultKind::BadRequest, why)) })
            }
        };
        let mut tools = setup.tools.clone();
        let named = task.tools.clone();
        tools.keep(move |name| {
            !NOT_FOR_SUB_AGENTS.contains(&name) && (named.is_empty() || named.iter().any(|tool| tool == name))
        });
        let parent = call.clone();
        let overflow_path = setup.overflow_path.clone().map(|path| -> crate::agent::OverflowPath {
            Arc::new(move |theirs: &CallId| path(&CallId::new(format!("{parent}/{theirs}"))))
        });
        AgentSetup {
            engine_choice,
            switch_model: Arc::clone(&setup.switch_model),
            suggestions: None,
            history_and_ids: Box::pin(async { (History::new(), IdAllocator::default()) }),
            read_log: None,
            read_branch: None,
            snapshots: setup.snapshots.clone(),
            http: setup.http.clone(),
            tools,
            policy: setup.policy.clone(),
            folder: setup.folder.clone(),
            extra_folders: setup.extra_folders.clone(),
            hidden_env_vars: Arc::clone(&setup.hidden_env_vars),
            sandbox: setup.sandbox.clone(),
            system_prompt: format!("{}{ROLE}", self.told_first()),
            is_told_instructions: false,
            instructions: None,
            limits: TurnLimits {
                max_rounds: task.max_turns.unwrap_or(u32::MAX).min(setup.limits.max_rounds),
                max_calls: setup.limits.max_calls,
            },
            runs_tools: true,
            auto_compact: setup.auto_compact,
            max_tool_output_bytes: setup.max_tool_output_bytes,
            is_unattended: setup.is_unattended,
            approvals: setup.approvals,
            resources: setup.resources.clone(),
            sampling: setup.sampling,
            output_format: None,
            effort: setup.effort,
            options: None,
            overflow_path,
            // The end of its turn is none of the session's.
            hooks: Hooks { turn_end: [].into(), ..setup.hooks.clone() },
            background: setup.background.clone(),
            background_ends: None,
            side_effect_lock: Arc::clone(&self.side_effect_lock),
            epoch: setup.epoch,
            wall_ms: setup.wall_ms,
        }
    }

    /// Handles an ask of a sub-agent, or that one is over. Returns the event if it is none of them.
    pub(super) async fn handle_nested_ask(
        &mut self,
        parent: &CallId,
        event: AgentEvent,
        running: &mut RunningTurn,
    ) -> Option<AgentEvent> {
        match event {
            AgentEvent::ApprovalRequested { call: theirs, request } => {
                running.sub_agents.find(parent)?;
                self.pass_ask_on(parent, theirs, request, running).await;
                None
            }
            AgentEvent::ApprovalResolved { call: theirs, decision, mut by } => {
                let agents = &mut running.sub_agents;
                agents.find(parent)?;
                if let Some(at) = agents.silent.iter().position(|known| *known == (parent.clone(), theirs.clone())) {
                    agents.silent.swap_remove(at);
                    return None;
                }
                let is_it = |ask: &NestedAsk| ask.parent == *parent && ask.theirs == theirs;
                if let Some(at) = agents.asks.iter().position(is_it)
                    && agents.asks.remove(at).decided_by == NestedDecider::Policy
                {
                    by = DecidedBy::Policy;
                }
                Some(AgentEvent::ApprovalResolved { call: theirs, decision, by })
            }
            event => Some(event),
        }
    }

    /// Shows an ask of a sub-agent, unless what was allowed meanwhile decides it.
    async fn pass_ask_on(
        &mut self,
        parent: &CallId,
        theirs: CallId,
        mut request: ApprovalRequest,
        running: &mut RunningTurn,
    ) {
        if let Some(decision) = self.decision_of_policy(&request) {
            running.sub_agents.silent.push((parent.clone(), theirs.clone()));
            return running.sub_agents.send(parent, Command::Decide { call: theirs, decision });
        }
        self.setup.policy.narrow_offer(&mut request);
        let event = AgentEvent::ApprovalRequested { call: theirs.clone(), request: request.clone() };
        let steps = running.machine.handle(TurnInput::ToolEvent { call: parent.clone(), event }, &mut self.ids);
        let shown = steps.iter().find_map(|step| match step {
            TurnEffect::Emit(AgentEvent::ApprovalRequested { call, .. }) => Some(call.clone()),
            _ => None,
        });
        if let Some(ours) = shown {
            let (parent, decided_by) = (parent.clone(), NestedDecider::Nobody);
            running.sub_agents.asks.push(NestedAsk { ours, parent, theirs, request, decided_by });
        }
        self.apply_effects(steps, running).await;
    }

    fn decision_of_policy(&mut self, request: &ApprovalRequest) -> Option<Decision> {
        let verdict = self.setup.policy.judge_request(request);
        self.publish_permissions();
        match verdict {
            ApprovalVerdict::Ask => None,
            ApprovalVerdict::Allow => Some(Decision::Once),
            ApprovalVerdict::Deny(why) => Some(Decision::Deny(Some(why))),
        }
    }

    /// Tells a sub-agent what was decided about its ask; what that grants holds for the session. Returns whether the ask
    /// is one of a sub-agent.
    pub(super) async fn decide_nested(&mut self, command: &Command, running: &mut RunningTurn) -> bool {
        let (Command::Decide { call, decision } | Command::DecideByLink { call, decision }) = command else {
            return false;
        };
        let Some(at) = running.sub_agents.asks.iter().position(|ask| ask.ours == *call) else { return false };
        let ask = &mut running.sub_agents.asks[at];
        if ask.decided_by != NestedDecider::Nobody {
            return true;
        }
        if let Err(why) = self.setup.policy.grant(&ask.request.tool, decision, self.setup.approvals.decided_by) {
            let text = format!("still pending: invalid pattern: {why}");
            self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Pattern, text }).await;
            return true;
        }
        ask.decided_by = NestedDecider::Person;
        let (call, decision, parent) = (ask.theirs.clone(), decision.clone(), ask.parent.clone());
        running.sub_agents.send(
            &parent,
            match command {
                Command::DecideByLink { .. } => Command::DecideByLink { call, decision },
                _ => Command::Decide { call, decision },
            },
        );
        self.publish_permissions();
        true
    }

    /// A grant or another mode may decide what sub-agents ask.
    pub(super) fn judge_nested_asks(&mut self, running: &mut RunningTurn) {
        for at in 0..running.sub_agents.asks.len() {
            let Some(ask) = running.sub_agents.asks.get(at).filter(|ask| ask.decided_by == NestedDecider::Nobody)
            else {
                continue;
            };
            let (parent, theirs, request) = (ask.parent.clone(), ask.theirs.clone(), ask.request.clone());
            if let Some(decision) = self.decision_of_policy(&request) {
                running.sub_agents.send(&parent, Command::Decide { call: theirs, decision });
                if let Some(ask) = running.sub_agents.asks.get_mut(at) {
                    ask.decided_by = NestedDecider::Policy;
                }
            }
        }
    }

    /// Adds what a sub-agent used to what the turn did.
    pub(super) async fn note_nested_usage(&mut self, call: &CallId, usage: Usage, running: &mut RunningTurn) {
        if let Some(agent) = running.sub_agents.running.iter_mut().find(|agent| agent.call == *call) {
            agent.usage = usage;
            let usage = running.sub_agents.usage();
            self.emit(AgentEvent::UsageReported { scope: UsageScope::SubAgents, usage }).await;
        }
    }
}

/// Follows a sub-agent to its end.
struct SubAgentFollower {
    call: CallId,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<AgentEvent>,
    cancel: CancellationToken,
    tool_sender: mpsc::Sender<ToolMessage>,
    max_tokens: Option<u64>,
    /// The text of its last message.
    answer: String,
    used: Usage,
    is_over_budget: bool,
}

impl SubAgentFollower {
    async fn run(mut self, mut agent: BoxFuture<'static, ()>, prompt: String) {
        let begun = Instant::now();
        let _ = self.commands.send(Command::prompt(&prompt)).await;
        let outcome = tokio::select! {
            outcome = self.follow() => outcome,
            () = &mut agent => TurnOutcome::Interrupted,
        };
        drop(agent);
        let result = self.result(outcome);
        let (call, duration) = (self.call, begun.elapsed().into());
        let _ = self.tool_sender.send(ToolMessage::Done { call, result, duration }).await;
    }

    /// Passes its events on until its turn is over.
    async fn follow(&mut self) -> TurnOutcome {
        let mut is_cancelled = false;
        loop {
            let event = tokio::select! {
                biased;
                () = self.cancel.cancelled(), if !is_cancelled => {
                    is_cancelled = true;
                    let _ = self.commands.try_send(Command::Cancel);
                    continue;
                }
                event = self.events.recv() => event,
            };
            match event {
                None => return TurnOutcome::Interrupted,
                Some(AgentEvent::TurnFinished { outcome, .. }) => return outcome,
                Some(event) => self.pass_on(event).await,
            }
        }
    }

    async fn pass_on(&mut self, event: AgentEvent) {
        let mut doing = None;
        match &event {
            AgentEvent::MessageStarted { role: Role::Assistant, .. } => self.answer.clear(),
            AgentEvent::TextDelta { text, .. } => self.answer.push_str(text),
            AgentEvent::MessageFinished { full_text: Some(text), .. } => self.answer.clone_from(text),
            AgentEvent::ToolCallReady { name, .. } => doing = Some(name.clone()),
            AgentEvent::UsageReported { usage, .. } => {
                self.used = self.used.plus(*usage);
                let (call, usage) = (self.call.clone(), self.used);
                let _ = self.tool_sender.send(ToolMessage::NestedUsage { call, usage }).await;
                self.check_budget();
                return self.tell_progress(None).await;
            }
            // The session itself says what holds in it.
            AgentEvent::Notice { code: NoticeCode::Revoked | NoticeCode::Mode, .. }
            | AgentEvent::Annotation { on: AnnotationTarget::Session, .. } => return,
            _ => {}
        }
        self.tell(event).await;
        if doing.is_some() {
            self.tell_progress(doing).await;
        }
    }

    fn check_budget(&mut self) {
        let is_over = self.max_tokens.is_some_and(|most| self.used.total() > most);
        if is_over && !std::mem::replace(&mut self.is_over_budget, true) {
            let _ = self.commands.try_send(Command::Cancel);
        }
    }

    async fn tell_progress(&self, doing: Option<String>) {
        let tokens = Some(self.used.total()).filter(|tokens| *tokens > 0);
        let on = AnnotationTarget::Call(self.call.clone());
        self.tell(AgentEvent::Annotation { on, annotation: Annotation::SubAgent { tokens, doing } }).await;
    }

    async fn tell(&self, event: AgentEvent) {
        let (call, progress) = (self.call.clone(), ToolProgress::Event(event));
        let _ = self.tool_sender.send(ToolMessage::Progress { call, progress }).await;
    }

    fn result(&mut self, outcome: TurnOutcome) -> ToolResult {
        let answer = std::mem::take(&mut self.answer);
        let with_answer = |why: String| match answer.trim() {
            "" => why,
            said => format!("{why}; what it said last:\n{said}"),
        };
        match outcome {
            _ if self.is_over_budget => {
                let most = self.max_tokens.unwrap_or_default();
                ToolResult::failed(with_answer(format!("the sub-agent was stopped: it used more than {most} tokens")))
            }
            TurnOutcome::Completed if answer.trim().is_empty() => ToolResult::failed("the sub-agent gave no answer"),
            TurnOutcome::Completed => ToolResult::ok(answer),
            TurnOutcome::Cancelled => {
                ToolResult { outcome: CallOutcome::Cancelled, ..ToolResult::cancelled(with_answer("stopped".into())) }
            }
            TurnOutcome::Interrupted => ToolResult::failed(with_answer("the sub-agent broke off".into())),
            TurnOutcome::Failed(fault) => {
                ToolResult::failed(with_answer(format!("the sub-agent failed: {}", fault.message)))
            }
        }
    }
}
