//! The driver: performs the effects of the turn machine. All IO of the agent happens here or in what it calls.

mod model_info;
mod model_request;
mod server_approvals;
#[cfg(test)]
mod tests;
mod tools;

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::ModelRequest;
use crate::engine::model_details::ModelDetails;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalMode, ApprovalRequest, CallId, Capabilities, Command, DecidedBy,
    Decision, LinkState, Millis, NoticeCode, NoticeLevel, Permissions, ReplyEvent, SamplingParams, ToolSpec,
    TurnOutcome, estimate_tokens,
};
use crate::net::RequestEvent;
use crate::tool::{ToolProgress, ToolResult};

use super::approval::ApprovalVerdict;
use super::history::{FittedHistory, History, ReadLog, RestoredTurns, UnreadTurns};
use super::ids::IdAllocator;
use super::setup::{AgentSetup, EngineChoice, ServerSuggestions};
use super::turn::{TurnEffect, TurnInput, TurnMachine};

/// Messages from running tools.
enum ToolMessage {
    Described { call: CallId, name: String, request: Result<ApprovalRequest, String> },
    Progress { call: CallId, progress: ToolProgress },
    Done { call: CallId, result: ToolResult, duration: Millis },
}

/// The in-process agent. [`Agent::run`] is its whole life cycle.
pub struct Agent {
    setup: AgentSetup,
    engine_choice: EngineChoice,
    history: History,
    ids: IdAllocator,
    events: mpsc::Sender<AgentEvent>,
    link: watch::Sender<LinkState>,
    /// What is currently allowed and denied.
    permissions: watch::Sender<Permissions>,
    /// Held by tools that write or run something, so that they run one after another.
    side_effect_lock: Arc<Mutex<()>>,
    /// A switch to another model. The next request waits for it; nothing else does.
    switching: Option<BoxFuture<'static, Result<EngineChoice, String>>>,
    /// A query for the server's description of the model. The next request waits for it; nothing else does.
    describing: Option<BoxFuture<'static, Option<ModelDetails>>>,
    /// Turns that are read back from the log. The next request waits for them.
    restoring: Option<BoxFuture<'static, io::Result<RestoredTurns>>>,
    /// Tools that are being listed. The next request waits for it; nothing else does.
    listing: Option<tools::ToolListing>,
    /// Whether the description was queried at least once.
    is_warmed_up: bool,
    suggestions: Option<ServerSuggestions>,
    suggestion_count: u32,
    server_approvals: server_approvals::ServerApprovalPoll,
}

/// The state of one running turn; dropped with it.
struct RunningTurn {
    machine: TurnMachine,
    started_at: Instant,
    has_first_token: bool,
    response: Option<BoxFuture<'static, ()>>,
    response_events: Option<mpsc::Receiver<RequestEvent>>,
    tools: JoinSet<()>,
    tool_sender: mpsc::Sender<ToolMessage>,
    tool_messages: mpsc::Receiver<ToolMessage>,
    cancel_tools: CancellationToken,
    awaiting_approval: Vec<(CallId, String, ApprovalRequest)>,
    /// Approval requests that were shown to the person in this turn.
    shown_requests: std::collections::HashMap<CallId, ApprovalRequest>,
    /// A request waits for a model switch, the server's description of the model, or a list of tools.
    request_pending: bool,
    /// Whether it was reported that the conversation no longer fits.
    has_reported_history_cut: bool,
    /// The wire format reported last.
    dialect: Option<&'static str>,
    logged_bytes: std::collections::HashMap<CallId, usize>,
}

impl Agent {
    /// Runs until the command channel closes. Emits `SessionOpened` first.
    pub async fn run(
        mut setup: AgentSetup,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<AgentEvent>,
        link: watch::Sender<LinkState>,
        allowed: watch::Sender<Permissions>,
    ) {
        allowed.send_replace(setup.policy.permissions());
        let choice = std::mem::replace(&mut setup.engine_choice, Box::pin(std::future::pending()));
        let past = std::mem::replace(&mut setup.history_and_ids, Box::pin(std::future::pending()));
        let offers = setup.suggestions.take();
        let (choice, (history, names)) = tokio::join!(choice, past);
        // If no engine is available the session still opens and says why; `/model` may fix it.
        let (choice, startup_fault) = match choice {
            Ok(choice) => (choice, None),
            Err(fault) => (EngineChoice::unusable(fault.clone()), Some(fault)),
        };
        let hands = Arc::new(Mutex::new(()));
        let mut agent = Self {
            setup,
            engine_choice: choice,
            history,
            ids: names,
            events,
            link,
            permissions: allowed,
            side_effect_lock: hands,
            switching: None,
            describing: None,
            restoring: None,
            listing: None,
            is_warmed_up: false,
            suggestions: offers,
            suggestion_count: 0,
            server_approvals: server_approvals::ServerApprovalPoll::default(),
        };
        agent.emit_session_opened().await;
        agent.list_outdated_tools().await;
        agent.announce_model().await;
        if let Some(fault) = startup_fault {
            let event =
                AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::NoEngine, text: fault.message };
            agent.emit(event).await;
        }
        agent.poll_server_approvals(true);
        loop {
            tokio::select! {
                biased;
                switched = next_of(&mut agent.switching) => agent.use_model(switched).await,
                description = next_of(&mut agent.describing) => agent.apply_description(description).await,
                listed = next_of(&mut agent.listing) => agent.use_tools(listed).await,
                offer = model_info::next_suggestion(&mut agent.suggestions) => agent.emit_suggestion(offer).await,
                found = next_of(&mut agent.server_approvals.request) => agent.show_server_approvals(found, &mut commands).await,
                command = commands.recv() => match command {
                    Some(Command::Prompt { text }) => agent.run_turn(Some(&text), &mut commands).await,
                    Some(Command::Continue) => agent.run_turn(None, &mut commands).await,
                    Some(other) => agent.handle_idle_command(other).await,
                    None => return,
                }
            }
        }
    }

    async fn emit_session_opened(&mut self) {
        let event = AgentEvent::SessionOpened {
            wall_ms: self.setup.wall_ms + Millis::from(self.setup.epoch.elapsed()).0,
            engine: self.engine_choice.engine.name().to_owned(),
            model: self.engine_choice.model.clone(),
            engine_reason: self.engine_choice.reason.clone(),
            mode: self.setup.policy.mode,
            folder: self.setup.folder.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: Capabilities { prompt: true, decide: !self.setup.is_unattended, cancel: true, seek: false },
            context_window: self.engine_choice.context_window,
            price: self.engine_choice.price,
        };
        self.emit(event).await;
    }

    async fn emit(&mut self, event: AgentEvent) {
        self.history.observe(&event);
        // A closed channel means that the session is shutting down; the command loop ends soon.
        let _ = self.events.send(event).await;
    }

    async fn handle_idle_command(&mut self, command: Command) {
        match command {
            Command::SetMode { mode } => self.set_mode(mode).await,
            Command::SetModel { model } => self.switch_model(model),
            Command::RevokeGrant { pattern } => self.revoke(&pattern).await,
            Command::WarmUp => self.warm_up(),
            Command::Prompt { .. }
            | Command::Continue
            | Command::SendQueued
            | Command::DequeuePrompt { .. }
            | Command::Decide { .. }
            | Command::Cancel
            | Command::Seek { .. }
            | Command::SetSpeed { .. }
            | Command::SetPaused { .. }
            | Command::Step { .. }
            | Command::CapIdle { .. } => {}
        }
    }

    async fn set_mode(&mut self, mode: ApprovalMode) {
        if self.setup.policy.mode != mode {
            self.setup.policy.mode = mode;
            self.emit_session_opened().await;
        }
    }

    /// Starts switching to another model; the latest switch wins. It may query servers and fetch keys, so it runs in
    /// the background.
    fn switch_model(&mut self, model: String) {
        self.switching = Some((self.setup.switch_model)(model));
    }

    async fn use_model(&mut self, choice: Result<EngineChoice, String>) {
        self.switching = None;
        match choice {
            Ok(choice) => {
                self.engine_choice = choice;
                self.emit_session_opened().await;
                self.announce_model().await;
                self.warm_up();
            }
            Err(text) => {
                self.emit(AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::Model, text }).await;
            }
        }
    }

    async fn run_turn(&mut self, prompt: Option<&str>, commands: &mut mpsc::Receiver<Command>) {
        let (machine, steps) = TurnMachine::begin(&mut self.ids, prompt, self.setup.limits, self.setup.runs_tools);
        // Capacity 64: live output of several tools; a slow log slows down the tools, but never loses output.
        let (tool_sender, tool_messages) = mpsc::channel(64);
        let mut running = RunningTurn {
            machine,
            started_at: Instant::now(),
            has_first_token: false,
            response: None,
            response_events: None,
            tools: JoinSet::new(),
            tool_sender,
            tool_messages,
            cancel_tools: CancellationToken::new(),
            awaiting_approval: Vec::new(),
            shown_requests: std::collections::HashMap::new(),
            request_pending: false,
            has_reported_history_cut: false,
            dialect: None,
            logged_bytes: std::collections::HashMap::new(),
        };
        self.warm_up();
        self.apply_effects(steps, &mut running).await;
        let mut closed = false;
        while !running.machine.is_finished() {
            // Commands come first: cancelling must not wait behind a flood of events. The request's own future comes
            // last: events it has already sent are handled before it is polled again.
            tokio::select! {
                biased;
                command = commands.recv(), if !closed => {
                    // No client is left to send commands: the program is ending.
                    closed = command.is_none();
                    self.handle_turn_command(command.unwrap_or(Command::Cancel), &mut running).await;
                }
                switched = next_of(&mut self.switching) => {
                    self.use_model(switched).await;
                    self.send_pending_request(&mut running).await;
                }
                description = next_of(&mut self.describing) => {
                    self.apply_description(description).await;
                    self.send_pending_request(&mut running).await;
                }
                turns = next_of(&mut self.restoring) => {
                    self.restore_turns(turns).await;
                    self.send_pending_request(&mut running).await;
                }
                listed = next_of(&mut self.listing) => {
                    self.use_tools(listed).await;
                    self.send_pending_request(&mut running).await;
                }
                found = next_of(&mut self.server_approvals.request) => self.announce_server_approvals(found).await,
                () = first_expiry(&running.awaiting_approval, self.setup.epoch, self.setup.approvals.epoch_time) => self.expire_approvals(&mut running).await,
                Some(msg) = running.tool_messages.recv() => self.handle_tool_message(msg, &mut running).await,
                event = next_call_event(&mut running.response_events) => self.handle_call_event(event, &mut running).await,
                () = next_of(&mut running.response) => running.response = None,
                Some(ended) = running.tools.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!("a tool panicked: {error}");
                    }
                }
            }
        }
        self.link.send_replace(LinkState::Idle);
        self.notify_prompt_dropped().await;
        self.describe_model();
        // Dropping the set aborts tools that are still running after a second cancel.
        running.tools.shutdown().await;
        self.poll_announced_approvals();
    }

    async fn handle_turn_command(&mut self, command: Command, running: &mut RunningTurn) {
        let input = match command {
            Command::Decide { call, decision } => {
                if let Err(text) = self.grant(&call, &decision, &running.awaiting_approval) {
                    let text = format!("still pending: invalid pattern: {text}");
                    return self
                        .emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Pattern, text })
                        .await;
                }
                let by = self.setup.approvals.decided_by;
                let steps =
                    running.machine.handle(TurnInput::Decided { call: call.clone(), decision, by }, &mut self.ids);
                running.awaiting_approval.retain(|(waiting, _, _)| *waiting != call);
                self.apply_effects(steps, running).await;
                return self.judge_waiting_calls(running).await;
            }
            Command::SetMode { mode } => {
                self.set_mode(mode).await;
                return self.judge_waiting_calls(running).await;
            }
            Command::SetModel { model } => return self.switch_model(model),
            Command::RevokeGrant { pattern } => return self.revoke(&pattern).await,
            Command::Cancel => TurnInput::Cancel,
            Command::WarmUp
            | Command::Prompt { .. }
            | Command::Continue
            | Command::SendQueued
            | Command::DequeuePrompt { .. }
            | Command::Seek { .. }
            | Command::SetSpeed { .. }
            | Command::SetPaused { .. }
            | Command::Step { .. }
            | Command::CapIdle { .. } => return,
        };
        let steps = running.machine.handle(input, &mut self.ids);
        self.apply_effects(steps, running).await;
    }

    /// Adds the grant of a decision that covers more than one call. Only a pending approval can grant. A pattern that
    /// can't be parsed allows nothing and decides nothing, since its meaning is unknown.
    fn grant(
        &mut self,
        call: &CallId,
        decision: &Decision,
        waiting: &[(CallId, String, ApprovalRequest)],
    ) -> Result<(), String> {
        let Some((_, name, _)) = waiting.iter().find(|(waiting, _, _)| waiting == call) else { return Ok(()) };
        self.setup.policy.grant(name, decision, self.setup.approvals.decided_by)?;
        self.publish_permissions();
        Ok(())
    }

    /// Publishes the permissions if they have changed.
    fn publish_permissions(&self) {
        let now = self.setup.policy.permissions();
        self.permissions.send_if_modified(|current| {
            *current != now && {
                *current = now;
                true
            }
        });
    }

    /// Running calls continue; the next one needs approval.
    async fn revoke(&mut self, pattern: &str) {
        if !self.setup.policy.revoke(pattern) {
            return;
        }
        self.publish_permissions();
        let text = format!("grant taken back: {pattern} needs approval again");
        self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Revoked, text }).await;
    }

    /// A grant or another mode may decide approvals that are still pending.
    async fn judge_waiting_calls(&mut self, running: &mut RunningTurn) {
        let waiting = std::mem::take(&mut running.awaiting_approval);
        for (call, name, request) in waiting {
            let decision = match self.setup.policy.judge(&name, request.kind, request.risk, &request.subject) {
                ApprovalVerdict::Ask => {
                    running.awaiting_approval.push((call, name, request));
                    continue;
                }
                ApprovalVerdict::Allow => Decision::Once,
                ApprovalVerdict::Deny(reason) => Decision::Deny(Some(reason)),
            };
            let input = TurnInput::Decided { call, decision, by: DecidedBy::Policy };
            let steps = running.machine.handle(input, &mut self.ids);
            self.apply_effects(steps, running).await;
        }
        self.publish_permissions();
    }

    /// Denies approvals that nobody decided in time.
    async fn expire_approvals(&mut self, running: &mut RunningTurn) {
        let now = self.setup.approvals.epoch_time.plus(self.setup.epoch.elapsed().into());
        let late = |request: &ApprovalRequest| request.expires_at.is_some_and(|expires| expires <= now);
        let (over, waiting) =
            std::mem::take(&mut running.awaiting_approval).into_iter().partition(|(_, _, request)| late(request));
        running.awaiting_approval = waiting;
        for (call, _, _) in over {
            let input = TurnInput::Decided { call, decision: Decision::Deny(None), by: DecidedBy::TimedOut };
            let steps = running.machine.handle(input, &mut self.ids);
            self.apply_effects(steps, running).await;
        }
    }

    async fn handle_call_event(&mut self, events: Option<RequestEvent>, running: &mut RunningTurn) {
        let event = match events {
            Some(RequestEvent::Event(event)) => event,
            Some(RequestEvent::Link(state)) => {
                self.link.send_replace(state);
                return;
            }
            None => {
                // The request is over. It always ends with its own `End`, so this is only a safety net.
                running.response_events = None;
                ReplyEvent::End { outcome: TurnOutcome::Interrupted }
            }
        };
        if !running.has_first_token
            && matches!(
                event,
                ReplyEvent::TextDelta { .. } | ReplyEvent::ReasoningDelta { .. } | ReplyEvent::ToolCallStarted { .. }
            )
        {
            running.has_first_token = true;
            let annotation = AgentEvent::Annotation {
                on: AnnotationTarget::Turn(running.machine.turn().clone()),
                annotation: Annotation::FirstToken { ms: running.started_at.elapsed().into() },
            };
            self.emit(annotation).await;
        }
        if matches!(event, ReplyEvent::End { .. }) {
            running.response = None;
            running.response_events = None;
            self.link.send_replace(LinkState::Idle);
        }
        let steps = running.machine.handle(TurnInput::Reply(event), &mut self.ids);
        self.apply_effects(steps, running).await;
    }

    async fn apply_effects(&mut self, steps: Vec<TurnEffect>, running: &mut RunningTurn) {
        for step in steps {
            match step {
                TurnEffect::Emit(event) => self.emit(event).await,
                TurnEffect::RequestModel { .. } => self.request_model(running).await,
                TurnEffect::DropResponse => {
                    running.request_pending = false;
                    running.response = None;
                    running.response_events = None;
                }
                TurnEffect::Judge { call, name, args } => self.describe_call(call, name, args, running),
                TurnEffect::RunTool { call, name, args } => self.start_tool(call, &name, args, running),
                TurnEffect::StopTools => running.cancel_tools.cancel(),
                TurnEffect::Finished => {}
            }
        }
    }

    /// The tools that the model gets.
    fn offered_tools(&self) -> impl Iterator<Item = &ToolSpec> {
        self.setup.tools.specs().filter(|_| self.engine_choice.supports_tools)
    }

    /// Estimates the tokens that every request needs besides the conversation.
    fn overhead_tokens(&self) -> u64 {
        let spec_tokens =
            |tool: &ToolSpec| estimate_tokens(&tool.description) + estimate_tokens(&tool.parameters.to_string()) + 16;
        estimate_tokens(&self.setup.system_prompt) + self.setup.tools.specs().map(spec_tokens).sum::<u64>()
    }

    /// Sends the pending request once what it waited for is available.
    async fn send_pending_request(&mut self, running: &mut RunningTurn) {
        if std::mem::take(&mut running.request_pending) {
            self.request_model(running).await;
        }
    }

    async fn restore_turns(&mut self, turns: io::Result<RestoredTurns>) {
        self.restoring = None;
        match turns {
            Ok(turns) => self.history.restore(turns),
            Err(error) => {
                self.history.forget_logged();
                let text = format!("the log can't be read, so earlier turns are not sent: {error}");
                self.emit(AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::HistoryCut, text }).await;
            }
        }
    }

    async fn request_model(&mut self, running: &mut RunningTurn) {
        self.list_outdated_tools().await;
        let waits =
            self.switching.is_some() || self.describing.is_some() || self.listing.is_some() || self.restoring.is_some();
        if waits {
            running.request_pending = true;
            return;
        }
        // Leaves a quarter of the window for the answer and for the error of the estimate.
        let budget = self
            .engine_choice
            .context_window
            .map_or(u64::MAX, |window| (window / 4 * 3).saturating_sub(self.overhead_tokens()).max(window / 4));
        if let Some(turns) = self.history.unread_turns(budget) {
            self.restoring = Some(Box::pin(read_turns(turns, self.setup.read_log.clone())));
            running.request_pending = true;
            return;
        }
        let FittedHistory { messages: past, dropped_turns: left_out, shortened_outputs: shortened } =
            self.history.fit_to_window(budget);
        if (left_out, shortened) != (0, 0) && !std::mem::replace(&mut running.has_reported_history_cut, true) {
            let text = match (left_out, shortened) {
                (turns, 0) => {
                    format!("the {turns} oldest turns don't fit into the model's window and were not sent")
                }
                (0, _) => "old outputs of this turn don't fit into the model's window and were sent shortened".into(),
                (turns, _) => format!(
                    "the {turns} oldest turns and parts of this turn's outputs don't fit into the model's window \
                     and were not sent"
                ),
            };
            self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::HistoryCut, text }).await;
        }
        if let Some(name) = self.engine_choice.engine.dialect()
            && running.dialect.replace(name) != Some(name)
        {
            let annotation = AgentEvent::Annotation {
                on: AnnotationTarget::Turn(running.machine.turn().clone()),
                annotation: Annotation::Dialect { name: name.into(), because: "the engine speaks it".into() },
            };
            self.emit(annotation).await;
        }
        let tuning = self.setup.sampling;
        let request = ModelRequest {
            model: self.engine_choice.model.clone(),
            system: self.setup.system_prompt.clone(),
            history: past,
            tools: self.offered_tools().cloned().collect(),
            sampling: SamplingParams {
                tool_choice_required: tuning.tool_choice_required && running.machine.round() == 1,
                ..tuning
            },
        };
        // Capacity 64: the frames of one read; a larger backlog only means more merging later.
        let (out, receiver) = mpsc::channel(64);
        let choice = self.engine_choice.clone();
        let http = self.setup.http.clone();
        let epoch = self.setup.epoch;
        running.response_events = Some(receiver);
        running.response = Some(Box::pin(model_request::send_request(choice, http, request, epoch, out)));
    }
}

/// Polls a background future, if there is one.
async fn next_of<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn read_turns(turns: UnreadTurns, log: Option<ReadLog>) -> io::Result<RestoredTurns> {
    let log = log.ok_or_else(|| io::Error::other("it is not kept"))?;
    tokio::task::spawn_blocking(move || turns.read(&log)).await?
}

/// Waits until the first approval expires, or forever.
async fn first_expiry(waiting: &[(CallId, String, ApprovalRequest)], epoch: Instant, base: Millis) {
    match waiting.iter().filter_map(|(_, _, request)| request.expires_at).min() {
        Some(first) => tokio::time::sleep_until(epoch + first.since(base).into()).await,
        None => std::future::pending().await,
    }
}

async fn next_call_event(receiver: &mut Option<mpsc::Receiver<RequestEvent>>) -> Option<RequestEvent> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}
