//! The driver: performs the steps of the turn machine. All IO of the agent is here or in what it calls.

mod asking;
mod describing;
mod errand;
#[cfg(test)]
mod tests;
mod tools;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::Request;
use crate::engine::describe::Description;
use crate::event::{
    AgentEvent, Ask, CallId, Caps, Command, DecidedBy, Decision, Level, LinkState, Millis, Mode, OutputStream,
    Permissions, Subject, ToolSpec, Tuning, TurnEnd, estimate_tokens,
};
use crate::net::Heard;
use crate::tool::Done;

use super::approval::Verdict;
use super::history::{Fitting, History};
use super::names::Names;
use super::setup::{AgentSetup, EngineChoice, Offers};
use super::turn::{Input, Machine, Step};

/// What running tools say.
enum ToolMsg {
    Asked { call: CallId, name: String, ask: Result<Ask, String> },
    Output { call: CallId, stream: OutputStream, text: String },
    Done { call: CallId, done: Done, took: Millis },
}

/// The in-process agent. [`Agent::run`] is its whole life.
pub struct Agent {
    setup: AgentSetup,
    choice: EngineChoice,
    specs: Vec<ToolSpec>,
    history: History,
    names: Names,
    events: mpsc::Sender<AgentEvent>,
    link: watch::Sender<LinkState>,
    /// What is allowed, for whoever looks.
    allowed: watch::Sender<Permissions>,
    /// Held by tools that write or run: they go one after another.
    hands: Arc<Mutex<()>>,
    /// Tokens that every request takes besides the conversation, an estimate.
    overhead: u64,
    /// Another model is being looked for. The next request waits for it, nothing else does.
    switching: Option<BoxFuture<'static, Result<EngineChoice, String>>>,
    /// The server is asked what it tells of the model. Likewise.
    describing: Option<BoxFuture<'static, Option<Description>>>,
    /// It was asked at least once.
    is_prepared: bool,
    offers: Option<Offers>,
    offered: u32,
    errands: errand::Errands,
}

/// What belongs to one running turn; dropped with it.
struct Running {
    machine: Machine,
    started: Instant,
    first_token: bool,
    reply: Option<BoxFuture<'static, ()>>,
    heard: Option<mpsc::Receiver<Heard>>,
    tools: JoinSet<()>,
    said: mpsc::Sender<ToolMsg>,
    hear_tools: mpsc::Receiver<ToolMsg>,
    stop: CancellationToken,
    waiting: Vec<(CallId, String, Ask)>,
    /// What a person was shown of calls that wait or waited for an answer.
    shown: std::collections::HashMap<CallId, Ask>,
    /// A request is due once another model is found, or its server has said what it can do.
    held: bool,
    /// It was said that the conversation no longer fits.
    said_cut: bool,
    /// The wire format that was told last.
    dialect: Option<&'static str>,
    logged: std::collections::HashMap<CallId, usize>,
}

impl Agent {
    /// Lives until the command channel closes. Emits `SessionOpened` first.
    pub async fn run(
        mut setup: AgentSetup,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<AgentEvent>,
        link: watch::Sender<LinkState>,
        allowed: watch::Sender<Permissions>,
    ) {
        allowed.send_replace(setup.policy.permissions());
        let choice = std::mem::replace(&mut setup.choice, Box::pin(std::future::pending()));
        let past = std::mem::replace(&mut setup.past, Box::pin(std::future::pending()));
        let offers = setup.offers.take();
        let (choice, (history, names)) = tokio::join!(choice, past);
        let specs: Vec<ToolSpec> = match setup.foreign_tools.take() {
            Some(specs) => specs,
            None => setup.tools.iter().map(|tool| tool.spec()).collect(),
        };
        let overhead = estimate_tokens(&setup.system) + specs.iter().map(weight).sum::<u64>();
        // A session that opens can answer; one that can't still says why, and `/model` may mend it.
        let (choice, trouble) = match choice {
            Ok(choice) => (choice, None),
            Err(fault) => (EngineChoice::unusable(fault.clone()), Some(fault)),
        };
        let hands = Arc::new(Mutex::new(()));
        let mut agent = Self {
            setup,
            choice,
            specs,
            history,
            names,
            events,
            link,
            allowed,
            hands,
            overhead,
            switching: None,
            describing: None,
            is_prepared: false,
            offers,
            offered: 0,
            errands: errand::Errands::default(),
        };
        agent.say_opened().await;
        agent.meet_model().await;
        if let Some(fault) = trouble {
            let event = AgentEvent::Noticed { level: Level::Error, code: "no_engine".into(), text: fault.message };
            agent.emit(event).await;
        }
        agent.look_for_errands(true);
        loop {
            tokio::select! {
                biased;
                switched = drive(&mut agent.switching) => agent.switched(switched).await,
                told = drive(&mut agent.describing) => agent.described(told).await,
                offer = describing::next(&mut agent.offers) => agent.offered(offer).await,
                found = drive(&mut agent.errands.looking) => agent.errands_found(found, &mut commands).await,
                command = commands.recv() => match command {
                    Some(Command::Prompt { text }) => agent.turn(Some(&text), &mut commands).await,
                    Some(Command::GoOn) => agent.turn(None, &mut commands).await,
                    Some(other) => agent.between_turns(other).await,
                    None => return,
                }
            }
        }
    }

    async fn say_opened(&mut self) {
        let event = AgentEvent::SessionOpened {
            wall: self.setup.wall + Millis::from(self.setup.epoch.elapsed()).0,
            engine: self.choice.engine.name().to_owned(),
            model: self.choice.model.clone(),
            why: self.choice.why.clone(),
            mode: self.setup.policy.mode,
            folder: self.setup.folder.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            caps: Caps { prompt: true, decide: !self.setup.nobody_to_ask, cancel: true, seek: false },
            window: self.choice.window,
            price: self.choice.price,
        };
        self.emit(event).await;
    }

    async fn emit(&mut self, event: AgentEvent) {
        self.history.observe(&event);
        // A closed channel means that the session is going down; the command loop ends soon.
        let _ = self.events.send(event).await;
    }

    async fn between_turns(&mut self, command: Command) {
        match command {
            Command::SetMode { mode } => self.set_mode(mode).await,
            Command::SetModel { model } => self.set_model(model),
            Command::Revoke { pattern } => self.revoke(&pattern).await,
            Command::Prepare => self.prepare(),
            Command::Prompt { .. }
            | Command::GoOn
            | Command::SendQueued
            | Command::Unqueue { .. }
            | Command::Decide { .. }
            | Command::Cancel
            | Command::Seek { .. }
            | Command::Speed { .. }
            | Command::Pause { .. }
            | Command::Step { .. }
            | Command::SqueezeIdle { .. } => {}
        }
    }

    async fn set_mode(&mut self, mode: Mode) {
        if self.setup.policy.mode != mode {
            self.setup.policy.mode = mode;
            self.say_opened().await;
        }
    }

    /// Begins to look for another model; of two wishes the later counts. Servers are asked and keys are fetched for
    /// this, so it takes its time beside everything else.
    fn set_model(&mut self, model: String) {
        self.switching = Some((self.setup.switch)(model));
    }

    async fn switched(&mut self, choice: Result<EngineChoice, String>) {
        self.switching = None;
        match choice {
            Ok(choice) => {
                self.choice = choice;
                self.say_opened().await;
                self.meet_model().await;
                self.prepare();
            }
            Err(text) => {
                self.emit(AgentEvent::Noticed { level: Level::Error, code: "model".into(), text }).await;
            }
        }
    }

    async fn turn(&mut self, prompt: Option<&str>, commands: &mut mpsc::Receiver<Command>) {
        let (machine, steps) = Machine::begin(&mut self.names, prompt, self.setup.limits, self.setup.runs_tools);
        // Capacity 64: live output of several tools; a slow log slows the tools, never loses a piece.
        let (said, hear_tools) = mpsc::channel(64);
        let mut running = Running {
            machine,
            started: Instant::now(),
            first_token: false,
            reply: None,
            heard: None,
            tools: JoinSet::new(),
            said,
            hear_tools,
            stop: CancellationToken::new(),
            waiting: Vec::new(),
            shown: std::collections::HashMap::new(),
            held: false,
            said_cut: false,
            dialect: None,
            logged: std::collections::HashMap::new(),
        };
        self.prepare();
        self.perform(steps, &mut running).await;
        let mut closed = false;
        while !running.machine.is_over() {
            // Wishes first: cancelling must not wait behind a flood. The reply's own future comes last: what it has
            // already said is taken before it is polled again.
            tokio::select! {
                biased;
                command = commands.recv(), if !closed => {
                    // Nobody is left to wish for anything: the program is ending.
                    closed = command.is_none();
                    self.wish(command.unwrap_or(Command::Cancel), &mut running).await;
                }
                switched = drive(&mut self.switching) => {
                    self.switched(switched).await;
                    self.ask_if_held(&mut running).await;
                }
                told = drive(&mut self.describing) => {
                    self.described(told).await;
                    self.ask_if_held(&mut running).await;
                }
                found = drive(&mut self.errands.looking) => self.errands_wait(found).await,
                () = expiry(&running.waiting, self.setup.epoch, self.setup.asks.base) => self.expire(&mut running).await,
                Some(msg) = running.hear_tools.recv() => self.tool_said(msg, &mut running).await,
                heard = hear(&mut running.heard) => self.heard(heard, &mut running).await,
                () = drive(&mut running.reply) => running.reply = None,
                Some(ended) = running.tools.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!("a tool panicked: {error}");
                    }
                }
            }
        }
        self.link.send_replace(LinkState::Idle);
        self.say_left_out().await;
        self.describe_model();
        // Dropping the set ends whatever lingers after a second cancel.
        running.tools.shutdown().await;
        self.errands_are_due();
    }

    async fn wish(&mut self, command: Command, running: &mut Running) {
        let input = match command {
            Command::Decide { call, decision } => {
                if let Err(text) = self.granted(&call, &decision, &running.waiting) {
                    let text = format!("not answered yet: that pattern allows nothing: {text}");
                    return self.emit(AgentEvent::Noticed { level: Level::Warn, code: "pattern".into(), text }).await;
                }
                let by = self.setup.asks.by;
                let steps =
                    running.machine.handle(Input::Decided { call: call.clone(), decision, by }, &mut self.names);
                running.waiting.retain(|(waiting, _, _)| *waiting != call);
                self.perform(steps, running).await;
                return self.judge_again(running).await;
            }
            Command::SetMode { mode } => {
                self.set_mode(mode).await;
                return self.judge_again(running).await;
            }
            Command::SetModel { model } => return self.set_model(model),
            Command::Revoke { pattern } => return self.revoke(&pattern).await,
            Command::Cancel => Input::Cancel,
            Command::Prepare
            | Command::Prompt { .. }
            | Command::GoOn
            | Command::SendQueued
            | Command::Unqueue { .. }
            | Command::Seek { .. }
            | Command::Speed { .. }
            | Command::Pause { .. }
            | Command::Step { .. }
            | Command::SqueezeIdle { .. } => return,
        };
        let steps = running.machine.handle(input, &mut self.names);
        self.perform(steps, running).await;
    }

    /// Remembers a decision that reaches further than one call. Only an ask that still waits can grant.
    /// A pattern that can't be read allows nothing and answers nothing: nobody knows what was meant.
    fn granted(&mut self, call: &CallId, decision: &Decision, waiting: &[(CallId, String, Ask)]) -> Result<(), String> {
        let Some((_, name, _)) = waiting.iter().find(|(waiting, _, _)| waiting == call) else { return Ok(()) };
        self.setup.policy.grant(name, decision, self.setup.asks.by)?;
        self.say_allowed();
        Ok(())
    }

    /// Tells what is allowed now, where that has changed.
    fn say_allowed(&self) {
        let now = self.setup.policy.permissions();
        self.allowed.send_if_modified(|told| {
            *told != now && {
                *told = now;
                true
            }
        });
    }

    /// Calls that run already go on; the next one is asked about.
    async fn revoke(&mut self, pattern: &str) {
        if !self.setup.policy.revoke(pattern) {
            return;
        }
        self.say_allowed();
        let text = format!("taken back: {pattern} is asked about again");
        self.emit(AgentEvent::Noticed { level: Level::Info, code: "revoked".into(), text }).await;
    }

    /// A grant or another mode may answer asks that are still open.
    async fn judge_again(&mut self, running: &mut Running) {
        let waiting = std::mem::take(&mut running.waiting);
        for (call, name, ask) in waiting {
            let decision = match self.setup.policy.judge(&name, ask.risk, &ask.subject) {
                Verdict::Ask => {
                    running.waiting.push((call, name, ask));
                    continue;
                }
                Verdict::Allow => Decision::Once,
                Verdict::Deny(reason) => Decision::Deny(Some(reason)),
            };
            let input = Input::Decided { call, decision, by: DecidedBy::Policy };
            let steps = running.machine.handle(input, &mut self.names);
            self.perform(steps, running).await;
        }
        self.say_allowed();
    }

    /// Denies what nobody answered in time.
    async fn expire(&mut self, running: &mut Running) {
        let now = self.setup.asks.base.plus(self.setup.epoch.elapsed().into());
        let late = |ask: &Ask| ask.expires.is_some_and(|expires| expires <= now);
        let (over, waiting) = std::mem::take(&mut running.waiting).into_iter().partition(|(_, _, ask)| late(ask));
        running.waiting = waiting;
        for (call, _, _) in over {
            let input = Input::Decided { call, decision: Decision::Deny(None), by: DecidedBy::TimedOut };
            let steps = running.machine.handle(input, &mut self.names);
            self.perform(steps, running).await;
        }
    }

    async fn heard(&mut self, heard: Option<Heard>, running: &mut Running) {
        let event = match heard {
            Some(Heard::Event(event)) => event,
            Some(Heard::Link(state)) => {
                self.link.send_replace(state);
                return;
            }
            None => {
                // The reply is gone. `perform` always ends it with `TurnFinished`, so this is only a safety net.
                running.heard = None;
                AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Interrupted }
            }
        };
        if !running.first_token
            && matches!(
                event,
                AgentEvent::TextDelta { .. } | AgentEvent::ReasoningDelta { .. } | AgentEvent::ToolCallStarted { .. }
            )
        {
            running.first_token = true;
            let annotation = AgentEvent::Annotated {
                on: Subject::Turn(running.machine.turn().clone()),
                kind: "first_token".into(),
                data: serde_json::json!({ "ms": Millis::from(running.started.elapsed()).0 }),
            };
            self.emit(annotation).await;
        }
        if matches!(event, AgentEvent::TurnFinished { .. }) {
            running.reply = None;
            running.heard = None;
            self.link.send_replace(LinkState::Idle);
        }
        let steps = running.machine.handle(Input::Model(event), &mut self.names);
        self.perform(steps, running).await;
    }

    async fn perform(&mut self, steps: Vec<Step>, running: &mut Running) {
        for step in steps {
            match step {
                Step::Emit(event) => self.emit(event).await,
                Step::AskModel { .. } => self.ask_model(running).await,
                Step::DropModel => {
                    running.held = false;
                    running.reply = None;
                    running.heard = None;
                }
                Step::Judge { call, name, args } => self.find_out(call, name, args, running),
                Step::Run { call, name, args } => self.start_tool(call, &name, args, running),
                Step::StopTools => running.stop.cancel(),
                Step::Over => {}
            }
        }
    }

    /// What a request waited for is there.
    async fn ask_if_held(&mut self, running: &mut Running) {
        if std::mem::take(&mut running.held) {
            self.ask_model(running).await;
        }
    }

    async fn ask_model(&mut self, running: &mut Running) {
        if self.switching.is_some() || self.describing.is_some() {
            running.held = true;
            return;
        }
        // Leave a quarter of the window for the answer and the error of the estimate.
        let budget = self
            .choice
            .window
            .map_or(u64::MAX, |window| (window / 4 * 3).saturating_sub(self.overhead).max(window / 4));
        let Fitting { past, left_out, shortened } = self.history.within(budget);
        if (left_out, shortened) != (0, 0) && !std::mem::replace(&mut running.said_cut, true) {
            let text = match (left_out, shortened) {
                (turns, 0) => {
                    format!("the {turns} oldest turns do not fit into the model's window and were not sent")
                }
                (0, _) => "old outputs of this turn do not fit into the model's window and were sent shortened".into(),
                (turns, _) => format!(
                    "the {turns} oldest turns and parts of this turn's outputs do not fit into the model's window \
                     and were not sent"
                ),
            };
            self.emit(AgentEvent::Noticed { level: Level::Warn, code: "history_cut".into(), text }).await;
        }
        if let Some(name) = self.choice.engine.dialect()
            && running.dialect.replace(name) != Some(name)
        {
            let annotation = AgentEvent::Annotated {
                on: Subject::Turn(running.machine.turn().clone()),
                kind: "dialect".into(),
                data: serde_json::json!({ "name": name, "because": "the engine speaks it" }),
            };
            self.emit(annotation).await;
        }
        let tuning = self.setup.tuning;
        let request = Request {
            model: self.choice.model.clone(),
            system: self.setup.system.clone(),
            past,
            tools: if self.choice.takes_tools { self.specs.clone() } else { Vec::new() },
            tuning: Tuning { must_call: tuning.must_call && running.machine.round() == 1, ..tuning },
        };
        // Capacity 64: frames of one read; more waiting only means more merging later.
        let (out, heard) = mpsc::channel(64);
        let choice = self.choice.clone();
        let http = self.setup.http.clone();
        let epoch = self.setup.epoch;
        running.heard = Some(heard);
        running.reply = Some(Box::pin(asking::ask(choice, http, request, epoch, out)));
    }
}

/// Polls what runs beside everything else, while there is something.
async fn drive<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Waits until the first ask denies itself, or for ever.
async fn expiry(waiting: &[(CallId, String, Ask)], epoch: Instant, base: Millis) {
    match waiting.iter().filter_map(|(_, _, ask)| ask.expires).min() {
        Some(first) => tokio::time::sleep_until(epoch + first.since(base).into()).await,
        None => std::future::pending().await,
    }
}

async fn hear(heard: &mut Option<mpsc::Receiver<Heard>>) -> Option<Heard> {
    match heard {
        Some(heard) => heard.recv().await,
        None => std::future::pending().await,
    }
}

fn weight(tool: &ToolSpec) -> u64 {
    estimate_tokens(&tool.description) + estimate_tokens(&tool.parameters.to_string()) + 16
}
