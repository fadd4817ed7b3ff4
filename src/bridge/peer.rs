//! An agent program as an event source: a conversation in a protocol for agents, in which we send the prompts, and the
//! agent works with the rights of the person, keeps the conversation itself, and asks when it wants permission.
//!
//! It is no engine: an engine answers one request at a time and keeps nothing, while here both sides may speak at any
//! time. It is not only watched either. So it stands beside the agent of this program as a source of its own:
//! `machine` decides, a protocol reads and writes lines, and only this file and the links do IO: one with a program that
//! was started here, one with an address.

mod acp;
mod ahp;
mod client_work;
mod codex;
mod codex_models;
mod host;
mod link;
mod link_event;
mod machine;
mod preamble;
mod program_link;
mod protocol;
mod remote_link;
pub mod rpc;
mod session_options;

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::program::RunningProgram;
use super::session::SourceHandle;
use crate::agent::ApprovalSettings;
use crate::agent::approval::ApprovalPolicy;
use crate::agent::ids::IdAllocator;
use crate::event::{AgentEvent, AgentOption, Capabilities, Command, LinkState, NoticeCode, NoticeLevel, Permissions};
use crate::net::HttpClient;
use crate::net::request::HttpRequest;
use crate::net::traffic::TrafficTap;
pub use client_work::PeerTools;
use client_work::{ClientWorker, WorkEvent};
pub use host::{HostedProgram, KeepSession, PeerHost};
use host::{QuestionClock, SessionKeeper, wait_until_logged};
use link::AgentLink;
use link_event::{LinkEnd, LinkEvent};
use machine::{PeerHosting, PeerLink, PeerMachine, PeerMachineSetup, PeerOutput, PeerTask};
pub use preamble::preamble;
pub use protocol::{LAST_SESSION, PeerClock, PeerSession};

/// How long an agent that works without a prompt is silent before its turn counts as over.
const QUIET_TIME: Duration = Duration::from_millis(700);

/// What an agent program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerProtocolKind {
    Acp,
    Ahp,
    CodexAppServer,
}

/// How an agent at an address is spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerTransport {
    WebSocket,
    /// Messages by POST, answers on event streams.
    Http,
}

/// Where an agent may be: the request has its address and what lets us in.
#[derive(Clone, Debug)]
pub struct PeerAddress {
    pub transport: PeerTransport,
    pub request: HttpRequest,
}

/// An agent at an address.
#[derive(Clone, Debug)]
pub struct RemotePeer {
    /// What messages call it.
    pub name: String,
    /// Its address, as it may be shown.
    pub place: String,
    /// One whose streams nothing else hears.
    pub http: HttpClient,
    pub tap: TrafficTap,
    pub address: PeerAddress,
    /// Where it is looked for if it is not there, in this order.
    pub others: Vec<PeerAddress>,
}

/// What the agent is reached by.
pub enum PeerConnection {
    Program {
        program: RunningProgram,
        tap: TrafficTap,
    },
    /// A program that is started when it is needed, and again when it has ended.
    Hosted(HostedProgram),
    Remote(RemotePeer),
}

/// What is needed to converse with an agent program.
pub struct PeerSource {
    pub protocol: PeerProtocolKind,
    pub connection: PeerConnection,
    pub session: PeerSession,
    /// The first event, with the capabilities of the source.
    pub opened: AgentEvent,
    pub policy: ApprovalPolicy,
    pub tools: PeerTools,
    /// Nobody can decide: what needs that is denied.
    pub is_unattended: bool,
    pub approvals: ApprovalSettings,
    /// Where the program is hosted: what its session needs for that.
    pub host: Option<PeerHost>,
    pub epoch: Instant,
}

impl PeerTransport {
    /// The word for it in a recording.
    fn method(self) -> &'static str {
        match self {
            Self::WebSocket => "WEBSOCKET",
            Self::Http => "POST",
        }
    }
}

/// Starts the conversation on `tasks` and returns the channels for the session.
pub fn start(source: PeerSource, tasks: &mut JoinSet<()>) -> SourceHandle {
    // The same capacities as for the agent.
    let (events, from_peer) = mpsc::channel(256);
    let (commands, to_peer) = mpsc::channel(16);
    let (link, state) = watch::channel(LinkState::Idle);
    let (allowed, permissions) = watch::channel(source.policy.permissions());
    let (settable, options) = watch::channel(Vec::new());
    let capabilities = match &source.opened {
        AgentEvent::SessionOpened { capabilities, .. } => *capabilities,
        _ => Capabilities::default(),
    };
    let channels = PeerChannels { events, link, allowed, settable, epoch: source.epoch };
    tasks.spawn(run(source, to_peer, channels));
    SourceHandle {
        events: from_peer,
        link: state,
        permissions: Some(permissions),
        options: Some(options),
        commands,
        capabilities,
    }
}

/// Where what happens is told.
struct PeerChannels {
    events: mpsc::Sender<AgentEvent>,
    link: watch::Sender<LinkState>,
    allowed: watch::Sender<Permissions>,
    settable: watch::Sender<Vec<AgentOption>>,
    epoch: Instant,
}

impl PeerChannels {
    /// Tells what a machine has to tell. Returns false if nobody listens any more.
    async fn tell(&self, output: PeerOutput, questions: &QuestionClock) -> bool {
        for mut event in output.events {
            questions.date(&mut event, self.epoch);
            if self.events.send(event).await.is_err() {
                return false;
            }
        }
        if let Some(state) = output.link {
            let state = match state {
                PeerLink::Connecting => LinkState::Connecting,
                PeerLink::Waiting => LinkState::Waiting { since: self.epoch.elapsed().into(), limit: None },
                PeerLink::Live => LinkState::Live,
                PeerLink::Idle => LinkState::Idle,
            };
            self.link.send_if_modified(|current| {
                let changed = *current != state;
                *current = state;
                changed
            });
        }
        true
    }

    fn publish(&self, permissions: Permissions, options: &[AgentOption]) {
        self.allowed.send_if_modified(|current| {
            let changed = *current != permissions;
            *current = permissions;
            changed
        });
        self.settable.send_if_modified(|current| {
            let changed = *current != options;
            options.clone_into(current);
            changed
        });
    }
}

async fn run(source: PeerSource, mut commands: mpsc::Receiver<Command>, channels: PeerChannels) {
    let PeerSource { protocol, connection, session, opened, policy, tools, is_unattended, approvals, host, epoch: _ } =
        source;
    let mut worker = ClientWorker::new(tools);
    let (mut link, again) = AgentLink::new(connection).await;
    let mut questions = QuestionClock::new(&approvals);
    let (mut ids, mut hosting, mut hub) = (IdAllocator::default(), None, None);
    let mut keeper = SessionKeeper::default();
    if let Some(host) = host {
        let PeerHost { past_ids, has_past, starts_late, preamble, keep_session, hub: published } = host;
        ids = past_ids.await;
        hosting = Some(PeerHosting { starts_late, has_past, preamble });
        hub = Some(published);
        keeper = SessionKeeper::new(keep_session, session.session.clone());
    }
    let mut machine = PeerMachine::new(PeerMachineSetup {
        opened,
        policy,
        is_unattended,
        decided_by: approvals.decided_by,
        folder: session.folder.clone(),
        loads_session: session.session.is_some(),
        can_connect_again: again.is_some(),
        ids,
        hosting,
        protocol: match protocol {
            PeerProtocolKind::Acp => Box::new(acp::AcpPeer::new(session)),
            PeerProtocolKind::Ahp => Box::new(ahp::AhpPeer::new(session)),
            PeerProtocolKind::CodexAppServer => Box::new(codex::CodexPeer::new(session)),
        },
    });
    let mut is_open = link.is_open();
    let mut is_left = false;
    let mut quiet_since = Instant::now();
    loop {
        let mut output = machine.take_output();
        if output.ends_connection {
            (link, is_open) = (AgentLink::None, false);
        }
        if output.connects_again
            && let Some(again) = &again
        {
            link = again.connect().await;
            is_open = true;
        }
        if let Some(session) = machine.agent_session() {
            keeper.keep(session);
        }
        questions.follow(machine.open_questions());
        let lines = std::mem::take(&mut output.lines);
        let tasks = std::mem::take(&mut output.tasks);
        // What the agent is asked to do is in the log before: a prompt that is not there was never sent.
        let logged = hub.as_ref().and_then(|hub| wait_until_logged(hub, &output.events));
        let is_heard = if let Some(logged) = logged {
            let is_heard = channels.tell(output, &questions).await;
            logged.await;
            send(&mut link, &mut worker, &lines, tasks).await;
            is_heard
        } else {
            send(&mut link, &mut worker, &lines, tasks).await;
            channels.tell(output, &questions).await
        };
        if !is_heard && !is_left {
            is_left = true;
            link.close();
        }
        channels.publish(machine.permissions(), machine.options());
        if is_left && !is_open {
            return;
        }
        let quiet_at = quiet_since + QUIET_TIME;
        tokio::select! {
            biased;
            command = commands.recv(), if !is_left => {
                if let Some(command) = command {
                    machine.handle_command(command);
                } else {
                    is_left = true;
                    machine.handle_left();
                    link.close();
                }
            }
            event = link.next(), if is_open => {
                quiet_since = Instant::now();
                match event {
                    LinkEvent::Lines(lines) => lines.iter().for_each(|line| machine.handle_line(line)),
                    LinkEvent::Remarks(lines) => {
                        for line in lines {
                            machine.notify(NoticeLevel::Info, NoticeCode::Stderr, line);
                        }
                    }
                    LinkEvent::Closed(end) => {
                        is_open = false;
                        handle_end(&mut machine, end);
                    }
                }
            }
            event = worker.next() => {
                quiet_since = Instant::now();
                match event {
                    WorkEvent::Described(request, described) => machine.handle_described(request, described),
                    WorkEvent::Done(request, result) => machine.handle_work_done(request, result),
                    WorkEvent::Output(terminal, piece) => machine.handle_terminal_output(&terminal, &piece),
                    WorkEvent::Ended(terminal, exit) => machine.handle_terminal_end(&terminal, &exit),
                }
            }
            call = questions.next_expired() => machine.expire(&call),
            () = sleep_until(quiet_at), if machine.awaits_quiet() => machine.handle_quiet(),
        }
    }
}

async fn send(link: &mut AgentLink, worker: &mut ClientWorker, lines: &[String], tasks: Vec<PeerTask>) {
    for task in tasks {
        worker.start(task).await;
    }
    for line in lines {
        link.send(line);
    }
}

fn handle_end(machine: &mut PeerMachine, LinkEnd { fault, is_lost, last_words, remark }: LinkEnd) {
    for line in last_words {
        machine.notify(NoticeLevel::Info, NoticeCode::Stderr, line);
    }
    if let Some((level, remark)) = remark.filter(|(_, remark)| !remark.is_empty()) {
        machine.notify(level, NoticeCode::Exited, remark);
    }
    if is_lost {
        machine.handle_lost(fault);
    } else {
        machine.handle_closed(fault);
    }
}
