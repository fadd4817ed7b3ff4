//! The driver: performs the effects of the turn machine. All IO of the agent happens here or in what it calls.

mod approvals;
mod background;
mod branch;
mod compaction;
mod effort;
mod hooks;
mod instructions;
mod model_info;
mod model_request;
mod server_approvals;
mod sub_agents;
#[cfg(test)]
mod tests;
mod tool_questions;
mod tools;

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::model_details::ModelDetails;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalMode, ApprovalRequest, CallId, Capabilities, Command, Effort,
    Fault, LinkState, Millis, NoticeCode, NoticeLevel, Permissions, PromptContext, ReplyEvent, TurnOutcome, Usage,
};
use crate::net::RequestEvent;
use crate::tool::{ToolProgress, ToolResult};

use super::history::{History, RestoredTurns};
use super::ids::IdAllocator;
use super::setup::{AgentSetup, EngineChoice, Instructions, ServerSuggestions};
use super::turn::{TurnEffect, TurnInput, TurnMachine};
use super::window::WindowGauge;

/// Time limit of the request that cancels a remote task.
const CANCEL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How long the end of the program waits for it.
const CANCEL_GRACE_PERIOD: std::time::Duration = std::time::Duration::from_secs(2);

/// Messages from running tools.
enum ToolMessage {
    Described {
        call: CallId,
        request: Result<ApprovalRequest, String>,
    },
    Progress {
        call: CallId,
        progress: ToolProgress,
    },
    Done {
        call: CallId,
        result: ToolResult,
        duration: Millis,
    },
    /// A running call asks the person.
    Question {
        call: CallId,
        question: Box<tool_questions::OpenQuestion>,
    },
    /// All that a sub-agent used so far.
    NestedUsage {
        call: CallId,
        usage: Usage,
    },
}

/// The in-process agent. [`Agent::run`] is its whole life cycle.
pub struct Agent {
    setup: AgentSetup,
    engine_choice: EngineChoice,
    history: History,
    ids: IdAllocator,
    window: WindowGauge,
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
    /// Instructions that are being read. The next request waits for it; nothing else does.
    reading_instructions: Option<BoxFuture<'static, Instructions>>,
    /// As they were read last.
    instructions: String,
    /// Tools that are being listed. The next request waits for it; nothing else does.
    listing: Option<tools::ToolListing>,
    /// Whether the description was queried at least once.
    is_warmed_up: bool,
    suggestions: Option<ServerSuggestions>,
    suggestion_count: u32,
    server_approvals: server_approvals::ServerApprovalPoll,
    /// Requests that cancel remote tasks.
    cancelling: JoinSet<()>,
    /// The system prompt that the session began with.
    default_system_prompt: String,
    /// Ends the pause before the next try of a request.
    retry_now: Arc<Notify>,
    /// Hooks at the end of a turn that still run, with what went wrong.
    ending_hooks: JoinSet<Vec<String>>,
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
    /// What running calls ask the person.
    tool_questions: std::collections::HashMap<CallId, tool_questions::OpenQuestion>,
    /// A request waits for a model switch, the server's description of the model, or a list of tools.
    request_pending: bool,
    /// The summary of earlier turns that the request waits for.
    compaction: Option<compaction::RunningCompaction>,
    /// Whether there was one in this turn.
    has_compacted: bool,
    /// Whether it was reported that the conversation no longer fits.
    has_reported_history_cut: bool,
    /// The wire format reported last.
    dialect: Option<&'static str>,
    logged_bytes: std::collections::HashMap<CallId, usize>,
    /// The task of a remote agent that answers.
    remote_task: Option<String>,
    /// Answers that a server waits for, on their way to it.
    answering: JoinSet<Result<(), Fault>>,
    /// The effort that was wanted when it began.
    effort: Option<Effort>,
    sub_agents: sub_agents::TurnSubAgents,
    /// How it ended.
    outcome: Option<TurnOutcome>,
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
        let side_effect_lock = Arc::clone(&setup.side_effect_lock);
        let mut agent = Self {
            default_system_prompt: setup.system_prompt.clone(),
            setup,
            engine_choice: choice,
            history,
            ids: names,
            window: WindowGauge::default(),
            events,
            link,
            permissions: allowed,
            side_effect_lock,
            switching: None,
            describing: None,
            restoring: None,
            reading_instructions: None,
            instructions: String::new(),
            listing: None,
            is_warmed_up: false,
            suggestions: offers,
            suggestion_count: 0,
            server_approvals: server_approvals::ServerApprovalPoll::default(),
            cancelling: JoinSet::new(),
            retry_now: Arc::default(),
            ending_hooks: JoinSet::new(),
        };
        agent.emit_session_opened().await;
        if !agent.setup.tools.is_costly_to_refresh() {
            agent.list_outdated_tools().await;
        }
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
                read = next_of(&mut agent.reading_instructions) => agent.use_instructions(read).await,
                Some(ended) = agent.ending_hooks.join_next() => agent.tell_hook_problems(ended.unwrap_or_default()).await,
                ended = background::next_end(&mut agent.setup.background_ends) => agent.tell_background_end(ended).await,
                offer = model_info::next_suggestion(&mut agent.suggestions) => agent.emit_suggestion(offer).await,
                found = next_of(&mut agent.server_approvals.request) => agent.show_server_approvals(found, &mut commands).await,
                command = commands.recv() => match command {
                    Some(Command::Prompt { text, context, .. }) => agent.run_turn(Some((&text, context)), &mut commands).await,
                    Some(Command::Continue) => agent.run_turn(None, &mut commands).await,
                    Some(Command::Compact { instructions }) => agent.run_compaction(instructions, &mut commands).await,
                    Some(other) => agent.handle_idle_command(other).await,
                    None => return agent.finish_cancelling().await,
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
            capabilities: Capabilities { images: self.engine_choice.takes_images(), ..self.setup.capabilities() },
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
            Command::SetOption { option, value } => self.set_option(&option, &value),
            Command::RevokeGrant { pattern } => self.revoke(&pattern).await,
            Command::WarmUp => self.warm_up(),
            Command::Branch { after } => self.start_branch(after).await,
            Command::Reconnect => self.retry_now.notify_waiters(),
            Command::UndoCompaction { through } => self.undo_compaction(through).await,
            // The turn that was meant is over: the session sends it as a prompt. And it takes the title itself.
            Command::Steer { .. }
            | Command::SetTitle { .. }
            | Command::Prompt { .. }
            | Command::Continue
            | Command::Compact { .. }
            | Command::Note { .. }
            | Command::Mark { .. }
            | Command::KeepRun { .. }
            | Command::SendQueued
            | Command::DequeuePrompt { .. }
            | Command::Decide { .. }
            | Command::DecideByLink { .. }
            | Command::Cancel
            | Command::Seek { .. }
            | Command::SetSpeed { .. }
            | Command::SetPaused { .. }
            | Command::Step { .. }
            | Command::SetLoop { .. }
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
                self.window = WindowGauge::default();
                self.emit_session_opened().await;
                self.announce_model().await;
                self.warm_up();
            }
            Err(text) => {
                self.emit(AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::Model, text }).await;
            }
        }
    }

    async fn run_turn(&mut self, prompt: Option<(&str, Vec<PromptContext>)>, commands: &mut mpsc::Receiver<Command>) {
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
            tool_questions: std::collections::HashMap::new(),
            request_pending: false,
            compaction: None,
            has_compacted: false,
            has_reported_history_cut: false,
            dialect: None,
            logged_bytes: std::collections::HashMap::new(),
            remote_task: None,
            answering: JoinSet::new(),
            effort: self.setup.effort,
            sub_agents: sub_agents::TurnSubAgents::default(),
            outcome: None,
        };
        self.warm_up();
        self.read_instructions();
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
                read = next_of(&mut self.reading_instructions) => {
                    self.use_instructions(read).await;
                    self.send_pending_request(&mut running).await;
                }
                listed = next_of(&mut self.listing) => {
                    self.use_tools(listed).await;
                    self.send_pending_request(&mut running).await;
                }
                Some(ended) = self.ending_hooks.join_next() => self.tell_hook_problems(ended.unwrap_or_default()).await,
                ended = background::next_end(&mut self.setup.background_ends) => self.tell_background_end(ended).await,
                found = next_of(&mut self.server_approvals.request) => self.announce_server_approvals(found).await,
                () = approvals::first_expiry(&running.awaiting_approval, self.setup.epoch, self.setup.approvals.epoch_time) => self.expire_approvals(&mut running).await,
                Some(msg) = running.tool_messages.recv() => self.handle_tool_message(msg, &mut running).await,
                event = compaction::next_compaction_event(&mut running.compaction) => self.handle_compaction_event(event, &mut running).await,
                event = next_call_event(&mut running.response_events) => self.handle_call_event(event, &mut running).await,
                () = next_of(&mut running.response) => running.response = None,
                Some(sent) = running.answering.join_next() => self.note_answer_sent(sent, &mut running).await,
                Some(ended) = running.tools.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!("a tool panicked: {error}");
                    }
                }
            }
        }
        self.link.send_replace(LinkState::Idle);
        self.notify_prompt_dropped().await;
        self.warn_of_window().await;
        self.describe_model();
        // Dropping the set aborts tools that are still running after a second cancel.
        running.tools.shutdown().await;
        self.tell_turn_end(&running);
        self.poll_announced_approvals();
    }

    async fn handle_turn_command(&mut self, command: Command, running: &mut RunningTurn) {
        let input = match command {
            Command::Decide { .. } | Command::DecideByLink { .. } => {
                if self.decide_nested(&command, running).await {
                    return self.judge_waiting_calls(running).await;
                }
                let (call, decision, by) = match command {
                    Command::DecideByLink { call, decision } => (call, decision, crate::event::DecidedBy::Link),
                    Command::Decide { call, decision } => (call, decision, self.setup.approvals.decided_by),
                    _ => return,
                };
                if self.answer_tool(&call, &decision, by, running).await {
                    return;
                }
                let decision = approvals::about_hunks(decision, running.shown_requests.get(&call));
                if let Err(text) = self.grant(&call, &decision, &running.awaiting_approval) {
                    let text = format!("still pending: invalid pattern: {text}");
                    return self
                        .emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Pattern, text })
                        .await;
                }
                let steps =
                    running.machine.handle(TurnInput::Decided { call: call.clone(), decision, by }, &mut self.ids);
                running.awaiting_approval.retain(|(waiting, _, _)| *waiting != call);
                self.apply_effects(steps, running).await;
                return self.judge_waiting_calls(running).await;
            }
            Command::SetMode { mode } => {
                self.set_mode(mode).await;
                running.sub_agents.send_all(&Command::SetMode { mode });
                return self.judge_waiting_calls(running).await;
            }
            Command::SetModel { model } => return self.switch_model(model),
            Command::SetOption { option, value } => return self.set_option(&option, &value),
            Command::RevokeGrant { pattern } => {
                running.sub_agents.send_all(&Command::RevokeGrant { pattern: pattern.clone() });
                return self.revoke(&pattern).await;
            }
            Command::Reconnect => return self.retry_now.notify_waiters(),
            Command::UndoCompaction { through } => return self.undo_compaction(through).await,
            Command::Cancel => TurnInput::Cancel,
            Command::Steer { text, context } => TurnInput::Steer { text, context },
            // The session takes none while a turn runs.
            Command::Branch { .. }
            | Command::WarmUp
            | Command::SetTitle { .. }
            | Command::Prompt { .. }
            | Command::Continue
            | Command::Compact { .. }
            | Command::Note { .. }
            | Command::Mark { .. }
            | Command::KeepRun { .. }
            | Command::SendQueued
            | Command::DequeuePrompt { .. }
            | Command::Seek { .. }
            | Command::SetSpeed { .. }
            | Command::SetPaused { .. }
            | Command::Step { .. }
            | Command::SetLoop { .. }
            | Command::CapIdle { .. } => return,
        };
        let steps = running.machine.handle(input, &mut self.ids);
        self.apply_effects(steps, running).await;
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
        if let ReplyEvent::Annotation { annotation: Annotation::Task { id, .. }, .. } = &event {
            running.remote_task = Some(id.clone());
        }
        if let ReplyEvent::UsageReported { usage, .. } = &event {
            self.window.note_usage(*usage);
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
                TurnEffect::Emit(event) => {
                    if let AgentEvent::ApprovalResolved { call, .. } = &event {
                        running.awaiting_approval.retain(|(waiting, _, _)| waiting != call);
                    }
                    if let AgentEvent::TurnFinished { outcome, .. } = &event {
                        running.outcome = Some(outcome.clone());
                    }
                    self.emit(event).await;
                }
                TurnEffect::AnswerServer { request, decision } => self.answer_server(&request, &decision, running),
                TurnEffect::RequestModel { .. } => self.request_model(running).await,
                TurnEffect::DropResponse => {
                    self.cancel_remote_task(running);
                    running.request_pending = false;
                    running.compaction = None;
                    running.response = None;
                    running.response_events = None;
                }
                TurnEffect::Judge { call, name, args } => self.describe_call(call, &name, args, running),
                TurnEffect::JudgeDescribed { call, request } => {
                    Box::pin(self.judge_described(call, request, running)).await;
                }
                TurnEffect::JudgeServerCall { call, request } => {
                    Box::pin(self.judge_server_call(call, request, running)).await;
                }
                TurnEffect::RunTool { call, name, args, hunks } => self.start_tool(call, &name, args, hunks, running),
                TurnEffect::StopTools => running.cancel_tools.cancel(),
                TurnEffect::Finished => {}
            }
        }
    }
}

impl Agent {
    /// Waits until remote agents have heard that they are to stop.
    async fn finish_cancelling(mut self) {
        // A sub-agent has those of its agent.
        if let (Some(background), true) = (&self.setup.background, self.setup.background_ends.is_some()) {
            background.stop_all();
        }
        let all = async {
            while self.cancelling.join_next().await.is_some() {}
            while self.ending_hooks.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(CANCEL_GRACE_PERIOD, all).await;
    }

    /// Tells a remote agent to stop, since nobody reads its answer any more. It goes on until it hears of it.
    fn cancel_remote_task(&mut self, running: &mut RunningTurn) {
        let task = running.remote_task.take();
        let request = self.engine_choice.engine.cancel_request(task.as_deref());
        if let Some(request) = request {
            let http = self.setup.http.clone();
            while self.cancelling.try_join_next().is_some() {}
            self.cancelling.spawn(async move {
                if let Err(fault) = http.request_json(&request, CANCEL_TIMEOUT).await {
                    tracing::info!("the remote task was not cancelled: {fault}");
                }
            });
        }
    }
}

/// Polls a background future, if there is one.
async fn next_of<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn next_call_event(receiver: &mut Option<mpsc::Receiver<RequestEvent>>) -> Option<RequestEvent> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}
