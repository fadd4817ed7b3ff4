//! Runs commands with less than this program may do: a supervisor, which is this program started again, takes rights
//! away from itself, runs the command, and ends everything that came of it.
//!
//! ```text
//! jarvis-tui ──starts──► supervisor ──a thread that is confined──► command ──► its children
//!     │                      │ adopts orphans                                       │
//!     └── ends, any way ────►└── ends every descendant ────────────────────────────►┘
//! ```
//!
//! | layer | by | what it keeps |
//! | --- | --- | --- |
//! | files | Landlock | writes below some folders only; no other process can be looked into |
//! | carve-outs | user and mount namespace | what is below these folders and stays as it is, and what nobody may read |
//! | network | network namespace, else seccomp | no way out of this machine |
//! | calls | seccomp | no mounts, no namespaces, no `io_uring`, no keys of the kernel |
//! | limits | resource limits | memory, processes and time |
//!
//! A layer that the kernel doesn't have is missing in [`SandboxSupport`], and whoever is asked about a command is told.
//! Not here: whether a command may run. A sandbox replaces no question.

mod arguments;
#[cfg(target_os = "linux")]
mod carve;
mod child;
#[cfg(target_os = "linux")]
mod confine;
#[cfg(target_os = "linux")]
mod descendants;
mod environment;
#[cfg(target_os = "linux")]
mod loopback;
#[cfg(target_os = "linux")]
mod namespaces;
mod refusal;
mod rules;
#[cfg(target_os = "linux")]
mod seccomp;
mod services;
#[cfg(target_os = "linux")]
mod supervisor;
mod support;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::time::Duration;

use arguments::{SUPERVISOR_ARGUMENT, SupervisorTask};

pub use child::ConfinedChild;
pub use environment::hidden_variables;
pub use refusal::explain_refusal;
pub use rules::{SandboxRules, SandboxSettings};
pub use services::ServiceAccess;
pub use support::SandboxSupport;

/// The program that is the supervisor.
static SUPERVISOR: OnceLock<PathBuf> = OnceLock::new();

/// What a command may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxPolicy {
    /// The folder that it works in.
    pub folder: PathBuf,
    /// It writes below these.
    pub write: Vec<PathBuf>,
    /// What stays as it is all the same.
    pub read_only: Vec<PathBuf>,
    /// What it doesn't read either.
    pub closed: Vec<PathBuf>,
    pub network: bool,
    /// Nothing is taken from it; only what it starts ends with it, and with this program.
    pub is_open: bool,
    /// It runs for as long as this program: nothing wakes up to look after it.
    pub is_lasting: bool,
    pub limits: SandboxLimits,
}

/// How much a command may use; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Of each process.
    pub memory_bytes: u64,
    pub processes: u64,
    pub time: Duration,
}

/// A program and its arguments, as they are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxedCommand {
    pub program: OsString,
    pub arguments: Vec<OsString>,
}

impl SandboxedCommand {
    /// Returns how a program is started: below the supervisor, or as it is where there is none.
    pub fn or_plain(
        inside: Option<&Self>,
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(inside.map_or(OsStr::new(program), |inside| &inside.program));
        match inside {
            Some(inside) => command.args(&inside.arguments),
            None => command.args(arguments),
        };
        command
    }
}

/// Does the work of a supervisor if this process was started as one. The first thing of `main`; nothing is loaded before
/// it.
pub fn run_as_supervisor() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != SUPERVISOR_ARGUMENT) {
        let _ = SUPERVISOR.set(PathBuf::from("/proc/self/exe"));
        return None;
    }
    Some(supervise(SupervisorTask::read(arguments)))
}

#[cfg(target_os = "linux")]
fn supervise(task: Result<SupervisorTask, String>) -> ExitCode {
    supervisor::run(task)
}

#[cfg(not(target_os = "linux"))]
fn supervise(_: Result<SupervisorTask, String>) -> ExitCode {
    ExitCode::FAILURE
}

/// Returns the program that is started as the supervisor: this one, once `main` has begun. Other programs with this
/// library have none.
pub fn supervisor() -> Option<&'static Path> {
    SUPERVISOR.get().map(PathBuf::as_path).filter(|_| cfg!(target_os = "linux"))
}

/// The signal that has a supervisor end every process at once: SIGQUIT. SIGTERM it passes on.
pub const END_NOW: i32 = 3;
