//! The supervisor: a process of its own between this program and a command. It keeps its rights, so that it can end what
//! the command started; the thread that starts the command gives them away first, and the command inherits that.
//!
//! | what happens | what it does |
//! | --- | --- |
//! | the command ends | waits a moment for the rest, ends it, and ends as the command did |
//! | SIGTERM | passes it on |
//! | SIGQUIT | ends everything |
//! | its parent is gone, however it ended | ends everything |

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, geteuid, getppid};

use super::arguments::{SupervisorPlan, SupervisorTask};
use super::support::SandboxSupport;
use super::{confine, descendants, loopback, namespaces};

/// What a command that could not be run ends with, as for `env` and `nohup`.
const EXIT_NOT_RUN: u8 = 125;
const EXIT_NOT_FOUND: u8 = 127;
/// How long the processes that a command left may take to end.
const BACKGROUND_TIME: Duration = Duration::from_millis(300);
/// How often the machine's processes are counted where the kernel doesn't keep root from starting more.
const COUNT_INTERVAL: Duration = Duration::from_millis(10);
/// How often a parent is looked for whose thread is gone that would have told.
const PARENT_INTERVAL: Duration = Duration::from_secs(1);
/// What ends first where memory is short: a command, and not who started it.
const OOM_SCORE: &str = "500";

pub(super) fn run(task: Result<SupervisorTask, String>) -> ExitCode {
    match task {
        Ok(SupervisorTask::Probe) => {
            let _ = io::stdout().write_all(probe().write().as_bytes());
            ExitCode::SUCCESS
        }
        Ok(SupervisorTask::Run(plan)) => match Supervisor::start(&plan) {
            Ok(supervisor) => supervisor.watch(&plan),
            Err((code, why)) => {
                say(&why);
                ExitCode::from(code)
            }
        },
        Err(why) => {
            say(&why);
            ExitCode::from(EXIT_NOT_RUN)
        }
    }
}

/// Finds out what the kernel has, by doing it.
fn probe() -> SandboxSupport {
    let namespace_problem = namespaces::enter(&SupervisorPlan::default()).err();
    let tried = std::thread::spawn(confine::probe).join();
    let (landlock, seccomp_problem) = tried.unwrap_or((0, None));
    SandboxSupport { landlock, seccomp_problem, namespace_problem, problem: None }
}

fn say(what: &str) {
    let _ = writeln!(io::stderr(), "[sandbox: {what}]");
}

struct Supervisor {
    command: Pid,
    signals: SignalFd,
    /// It was told to end before it began to listen.
    is_over: bool,
    /// How the command ended.
    status: Option<WaitStatus>,
}

impl Supervisor {
    fn start(plan: &SupervisorPlan) -> Result<Self, (u8, String)> {
        let not_run = |what: &str, why: &dyn std::fmt::Display| (EXIT_NOT_RUN, format!("{what}: {why}"));
        prctl::set_pdeathsig(Signal::SIGUSR2).map_err(|error| not_run("the parent can't be watched", &error))?;
        if getppid().as_raw() != plan.parent {
            return Err((EXIT_NOT_RUN, "who started it is gone".to_owned()));
        }
        prctl::set_child_subreaper(true).map_err(|error| not_run("orphans can't be adopted", &error))?;
        let mut taken = SigSet::empty();
        for signal in
            [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR2]
        {
            taken.add(signal);
        }
        // For the moment in which the thread that starts the command takes them itself: it must not end by them.
        let caught = Arc::new(AtomicBool::new(false));
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR2] {
            signal_hook::flag::register(signal as i32, Arc::clone(&caught))
                .map_err(|error| not_run("signals can't be taken", &error))?;
        }
        taken.thread_block().map_err(|error| not_run("signals can't be taken", &error))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&taken, flags).map_err(|error| not_run("signals can't be taken", &error))?;
        let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
        if plan.has_namespaces {
            namespaces::enter(plan).map_err(|why| (EXIT_NOT_RUN, why))?;
            if !plan.policy.network
                && let Err(error) = loopback::bring_up()
            {
                say(&format!("connections within this machine will fail: {error}"));
            }
        }
        if !plan.policy.is_open {
            limit(plan);
        }
        let mut command = Command::new(&plan.program);
        // A group of its own: who signals the group of the supervisor reaches the supervisor, which passes it on.
        command.args(&plan.arguments).process_group(0);
        let started = std::thread::scope(|scope| {
            let start = scope.spawn(|| -> Result<Pid, (u8, String)> {
                if !plan.policy.is_open {
                    confine::confine_thread(plan).map_err(|why| (EXIT_NOT_RUN, why))?;
                }
                // The command must not inherit that they are blocked.
                let _ = taken.thread_unblock();
                let child = command.spawn().map_err(|error| {
                    let code = if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_RUN };
                    (code, format!("{}: {error}", plan.program.display()))
                })?;
                Ok(Pid::from_raw(child.id().cast_signed()))
            });
            start.join().unwrap_or_else(|_| Err((EXIT_NOT_RUN, "the command could not be started".to_owned())))
        })?;
        // The command has them; here they would keep its pipes open.
        if let Ok(nothing) = fs::File::options().read(true).write(true).open("/dev/null") {
            let _ = nix::unistd::dup2_stdin(&nothing);
            let _ = nix::unistd::dup2_stdout(&nothing);
        }
        Ok(Self { command: started, signals, status: None, is_over: caught.load(Ordering::Acquire) })
    }

    fn watch(mut self, plan: &SupervisorPlan) -> ExitCode {
        let limits = plan.policy.limits;
        let begun = Instant::now();
        let mut deadline = (!limits.time.is_zero()).then(|| begun + limits.time);
        let counts = limits.processes > 0 && geteuid().is_root() && !plan.policy.is_lasting;
        let mut is_parent_unwatched = false;
        let others = tasks_of_machine();
        while !self.is_over {
            if matches!(self.reap(), descendants::Reaped::All) {
                break;
            }
            if self.status.is_some() && deadline.is_none_or(|at| at > Instant::now() + BACKGROUND_TIME) {
                deadline = Some(Instant::now() + BACKGROUND_TIME);
            }
            let ticks = [counts.then_some(COUNT_INTERVAL), is_parent_unwatched.then_some(PARENT_INTERVAL)];
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let timeout = ticks.into_iter().flatten().chain(left).min();
            match self.next_signal(timeout) {
                Some(Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP) => descendants::signal_all(Signal::SIGTERM),
                Some(Signal::SIGQUIT) => break,
                Some(Signal::SIGUSR2) => is_parent_unwatched = true,
                Some(_) => {}
                None if deadline.is_some_and(|at| at <= Instant::now()) => {
                    match self.status {
                        Some(_) => say("its background processes were stopped"),
                        None => say(&format!("stopped after {} s", limits.time.as_secs())),
                    }
                    break;
                }
                None if counts
                    && tasks_of_machine() > others.saturating_add(limits.processes / 2)
                    && descendants::running().len() as u64 > limits.processes =>
                {
                    say(&format!("stopped, because it had more than {} processes", limits.processes));
                    break;
                }
                None => {}
            }
            if is_parent_unwatched && getppid().as_raw() != plan.parent {
                break;
            }
        }
        self.end_all();
        self.exit()
    }

    fn reap(&mut self) -> descendants::Reaped {
        let (command, status) = (self.command, &mut self.status);
        descendants::reap(|pid, how| {
            if pid == command {
                *status = Some(how);
            }
        })
    }

    fn end_all(&mut self) {
        let (command, status) = (self.command, &mut self.status);
        let signals = &self.signals;
        let wait = || {
            let _ = wait_for(signals, Some(Duration::from_millis(10)));
        };
        let is_over = descendants::kill_all(wait, |pid, how| {
            if pid == command {
                *status = Some(how);
            }
        });
        if !is_over {
            say("some of its processes can't be killed");
        }
    }

    /// Returns the next signal, none after the timeout.
    fn next_signal(&self, timeout: Option<Duration>) -> Option<Signal> {
        wait_for(&self.signals, timeout)
    }

    /// Ends as the command did.
    fn exit(&self) -> ExitCode {
        match self.status {
            Some(WaitStatus::Exited(_, code)) => ExitCode::from(code as u8),
            Some(WaitStatus::Signaled(_, signal, _)) => {
                let mut one = SigSet::empty();
                one.add(signal);
                let _ = one.thread_unblock();
                // The first may only remove a handler of the runtime.
                let _ = raise(signal);
                let _ = raise(signal);
                ExitCode::from(128_u8.wrapping_add(signal as u8))
            }
            _ => ExitCode::from(128 + Signal::SIGKILL as u8),
        }
    }
}

fn wait_for(signals: &SignalFd, timeout: Option<Duration>) -> Option<Signal> {
    let read = || {
        let info = signals.read_signal().ok().flatten()?;
        Signal::try_from(info.ssi_signo.cast_signed()).ok()
    };
    if let Some(signal) = read() {
        return Some(signal);
    }
    let timeout = match timeout {
        Some(time) => PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
        None => PollTimeout::NONE,
    };
    let _ = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout);
    read()
}

/// Sets the limits of this process, which the command inherits. One that can't be set is no reason not to run.
fn limit(plan: &SupervisorPlan) {
    let limits = plan.policy.limits;
    let lower = |resource, to: u64| {
        if let Ok((_, hard)) = getrlimit(resource)
            && hard > to
        {
            let _ = setrlimit(resource, to, to);
        }
    };
    lower(Resource::RLIMIT_CORE, 0);
    if limits.memory_bytes > 0 {
        lower(Resource::RLIMIT_DATA, limits.memory_bytes);
    }
    if limits.processes > 0 {
        // In a namespace of its own they are counted from zero, otherwise with all those of the person.
        let others = if plan.has_namespaces { 0 } else { tasks_of_machine() };
        lower(Resource::RLIMIT_NPROC, others + limits.processes);
    }
}

/// Returns how many threads run, the fourth field of proc_loadavg(5).
fn tasks_of_machine() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let all = text.split_whitespace().nth(3).and_then(|field| field.split('/').nth(1)?.parse().ok());
    all.unwrap_or(1 << 16)
}
