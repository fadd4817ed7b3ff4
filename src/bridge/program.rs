//! A program that the person named and that runs for a session: its outputs, how it is stopped, how it ended.
//!
//! It runs in a session of its own, so that it can neither take the person's keys nor write on their screen, and one
//! signal reaches all that it started. Whatever ends the session here ends that one.

pub(super) mod stderr_lines;

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessSession};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// Bytes per read.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// From the interrupt to the kill, where nobody asks for that earlier.
const INTERRUPT_GRACE_PERIOD: Duration = Duration::from_secs(10);
/// The same when the session ends.
const TERMINATE_GRACE_PERIOD: Duration = Duration::from_millis(700);
/// How long background processes may keep the output open after the program ended.
pub(super) const BACKGROUND_OUTPUT_TIMEOUT: Duration = Duration::from_millis(300);

/// A program that runs. Dropping it kills it with all that it started.
pub struct RunningProgram {
    pub(super) child: Box<dyn ChildWrapper>,
    /// What the person knows it as.
    pub(super) name: String,
}

/// What to tell a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgramSignal {
    /// To stop; the second time it is killed.
    Interrupt,
    /// That nobody follows any more.
    Terminate,
}

impl RunningProgram {
    /// Starts a command; its outputs are read here.
    ///
    /// # Errors
    ///
    /// Fails if the program can't be started.
    pub fn start(mut command: std::process::Command, name: String) -> io::Result<Self> {
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        // A handler here is the default action there. Without one the program would ignore interrupts where we were
        // started with them ignored, as a shell does with what it runs in the background.
        drop(signal(SignalKind::interrupt())?);
        let mut command = CommandWrap::from(tokio::process::Command::from(command));
        let child = command.wrap(ProcessSession).wrap(KillOnDrop).spawn()?;
        Ok(Self { child, name })
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // Harmless if nothing is left.
        let _ = self.child.start_kill();
    }
}

/// How a program is being stopped.
#[derive(Debug)]
pub(super) struct ProgramStop {
    /// Whether more may be asked.
    pub(super) listens: bool,
    pub(super) was_asked: bool,
    pub(super) kill_at: Option<Instant>,
}

impl Default for ProgramStop {
    fn default() -> Self {
        Self { listens: true, was_asked: false, kill_at: None }
    }
}

impl ProgramStop {
    pub(super) fn take(&mut self, signal: Option<ProgramSignal>, child: &mut dyn ChildWrapper) {
        let (number, grace) = match signal {
            None => {
                self.listens = false;
                return;
            }
            Some(ProgramSignal::Interrupt) if self.was_asked => return self.kill(child),
            Some(ProgramSignal::Interrupt) => (Signal::SIGINT, INTERRUPT_GRACE_PERIOD),
            Some(ProgramSignal::Terminate) => (Signal::SIGTERM, TERMINATE_GRACE_PERIOD),
        };
        self.was_asked = true;
        // It may have ended just now.
        let _ = child.signal(number as i32);
        self.kill_at = Some(Instant::now() + grace);
    }

    pub(super) fn kill(&mut self, child: &mut dyn ChildWrapper) {
        self.kill_at = None;
        let _ = child.start_kill();
    }
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct ProgramEnd {
    /// What follows its name.
    pub(super) words: String,
    pub(super) is_success: bool,
    pub(super) was_asked: bool,
}

impl ProgramEnd {
    pub(super) fn of(status: Option<io::Result<ExitStatus>>, was_asked: bool) -> Self {
        let (words, is_success) = match status {
            Some(Ok(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => (format!("exited with code {code}"), code == 0),
                (None, Some(signal)) => (format!("was ended by signal {signal}"), false),
                (None, None) => ("ended without a status".to_owned(), false),
            },
            Some(Err(error)) => (format!("can't be waited for: {error}"), false),
            None => ("left its output open".to_owned(), false),
        };
        Self { words, is_success, was_asked }
    }
}

/// An output of the program; never ready once it is closed.
pub(super) struct ProgramOutput<R> {
    reader: Option<R>,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> ProgramOutput<R> {
    pub(super) fn new(reader: Option<R>) -> Self {
        Self { reader, buffer: vec![0; READ_BUFFER_BYTES] }
    }

    pub(super) fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Returns the next bytes; none at the end. Cancel-safe.
    pub(super) async fn read(&mut self) -> &[u8] {
        let Some(reader) = &mut self.reader else { return std::future::pending().await };
        if let Ok(count @ 1..) = reader.read(&mut self.buffer).await {
            return self.buffer.get(..count).unwrap_or_default();
        }
        self.reader = None;
        &[]
    }
}
