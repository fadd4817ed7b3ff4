//! Runs a program that the person named and follows what it prints: its standard output is a stream of a dialect, the
//! lines of its standard error are notices, and its exit status is told.
//!
//! It runs in a session of its own, so that it can neither take the person's keys nor write on their screen, and one
//! signal reaches all that it started. Whatever ends the session here ends that one.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessSession};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::response_feeder::{ResponseFeeder, SourceWords};
use super::stderr_lines::StderrLines;
use super::{READ_BUFFER_BYTES, silence_fault};
use crate::dialect::ResponseHead;
use crate::dialect::error::to_single_line;
use crate::event::{Fault, FaultKind, NoticeCode, NoticeLevel, TurnOutcome};
use crate::net::RequestEvent;
use crate::net::reconnect::DecoderFactory;
use crate::net::traffic::TrafficTap;

/// From the interrupt to the kill, where nobody asks for that earlier.
const INTERRUPT_GRACE_PERIOD: Duration = Duration::from_secs(10);
/// The same when the session ends.
const TERMINATE_GRACE_PERIOD: Duration = Duration::from_millis(700);
/// How long background processes may keep the output open after the program ended.
const BACKGROUND_OUTPUT_TIMEOUT: Duration = Duration::from_millis(300);

/// A program that runs. Dropping it kills it with all that it started.
pub struct RunningProgram {
    child: Box<dyn ChildWrapper>,
    /// What the person knows it as.
    name: String,
}

/// A program, and how it is followed.
pub struct ProgramSource {
    pub program: RunningProgram,
    pub tap: TrafficTap,
    /// Longest time without output; zero means no limit.
    pub idle_timeout: Duration,
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

/// Follows a program to its end.
pub(super) async fn follow(
    source: ProgramSource,
    mut signals: mpsc::Receiver<ProgramSignal>,
    decoders: DecoderFactory<'_>,
    out: &mpsc::Sender<RequestEvent>,
) {
    let ProgramSource { mut program, tap, idle_timeout } = source;
    let name = program.name.clone();
    let words = SourceWords { place: name.clone(), empty: format!("{name} printed nothing") };
    let mut feeder = ResponseFeeder::new(decoders, out, words);
    let mut heard = tap.begin_local("RUN", &name).await;
    feeder.begin_response(ResponseHead::default()).await;
    let mut stdout = ProgramOutput::new(program.child.stdout().take());
    let mut stderr = ProgramOutput::new(program.child.stderr().take());
    let mut errors = StderrLines::default();
    let mut stopping = ProgramStop::default();
    let mut status: Option<io::Result<ExitStatus>> = None;
    // Output keeps the program alive; the limit counts from the last of it.
    let mut idle_since = Instant::now();
    let mut drained_at: Option<Instant> = None;
    while status.is_none() || stdout.is_open() || stderr.is_open() {
        let has_idle_limit = !idle_timeout.is_zero() && status.is_none();
        tokio::select! {
            biased;
            signal = signals.recv(), if stopping.listens => stopping.take(signal, program.child.as_mut()),
            () = sleep_until(stopping.kill_at.unwrap_or_else(Instant::now)), if stopping.kill_at.is_some() => {
                stopping.kill(program.child.as_mut());
            }
            bytes = stdout.read() => {
                idle_since = Instant::now();
                heard.push(bytes).await;
                if !feeder.feed(bytes).await {
                    return;
                }
            }
            bytes = stderr.read() => {
                idle_since = Instant::now();
                for line in errors.push(bytes) {
                    if !feeder.notify(NoticeLevel::Info, NoticeCode::Stderr, line).await {
                        return;
                    }
                }
            }
            // The process itself: its group may live on with a program that it left behind.
            ended = program.child.inner_mut().wait(), if status.is_none() => {
                status = Some(ended);
                drained_at = Some(Instant::now() + BACKGROUND_OUTPUT_TIMEOUT);
            }
            () = sleep_until(drained_at.unwrap_or_else(Instant::now)), if drained_at.is_some() => break,
            () = sleep_until(idle_since + idle_timeout), if has_idle_limit => {
                heard.end("silent").await;
                return feeder.fail(TurnOutcome::Failed(silence_fault(&name, idle_timeout))).await;
            }
        }
    }
    heard.end("eof").await;
    for line in errors.finish() {
        feeder.notify(NoticeLevel::Info, NoticeCode::Stderr, line).await;
    }
    let ended = ProgramEnd::of(status, stopping.was_asked);
    let level = if ended.is_success { NoticeLevel::Info } else { NoticeLevel::Warn };
    feeder.notify(level, NoticeCode::Exited, format!("{name} {}", ended.words)).await;
    feeder.finish_response_with(|outcome| ended.settle(&name, errors.last_line(), outcome)).await;
}

/// How a program is being stopped.
#[derive(Debug)]
struct ProgramStop {
    /// Whether more may be asked.
    listens: bool,
    was_asked: bool,
    kill_at: Option<Instant>,
}

impl Default for ProgramStop {
    fn default() -> Self {
        Self { listens: true, was_asked: false, kill_at: None }
    }
}

impl ProgramStop {
    fn take(&mut self, signal: Option<ProgramSignal>, child: &mut dyn ChildWrapper) {
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

    fn kill(&mut self, child: &mut dyn ChildWrapper) {
        self.kill_at = None;
        let _ = child.start_kill();
    }
}

/// How a program ended.
#[derive(Debug)]
struct ProgramEnd {
    /// What follows its name.
    words: String,
    is_success: bool,
    was_asked: bool,
}

impl ProgramEnd {
    fn of(status: Option<io::Result<ExitStatus>>, was_asked: bool) -> Self {
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

    /// A failure never looks like success, and what the person stopped is no failure.
    fn settle(&self, name: &str, last_error: &str, outcome: &mut TurnOutcome) {
        let why = if last_error.is_empty() { String::new() } else { format!(": {}", to_single_line(last_error)) };
        match outcome {
            TurnOutcome::Interrupted if self.was_asked => *outcome = TurnOutcome::Cancelled,
            TurnOutcome::Completed if !self.is_success && !self.was_asked => {
                let text = format!("{name} {}, though its output ends well{why}", self.words);
                *outcome = TurnOutcome::Failed(Fault::new(FaultKind::Upstream, text));
            }
            TurnOutcome::Failed(fault) if fault.kind == FaultKind::Protocol && !self.is_success => {
                *fault = Fault::new(FaultKind::Upstream, format!("{}; it {}{why}", fault.message, self.words));
            }
            _ => {}
        }
    }
}

/// An output of the program; never ready once it is closed.
struct ProgramOutput<R> {
    reader: Option<R>,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> ProgramOutput<R> {
    fn new(reader: Option<R>) -> Self {
        Self { reader, buffer: vec![0; READ_BUFFER_BYTES] }
    }

    fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Returns the next bytes; none at the end. Cancel-safe.
    async fn read(&mut self) -> &[u8] {
        let Some(reader) = &mut self.reader else { return std::future::pending().await };
        if let Ok(count @ 1..) = reader.read(&mut self.buffer).await {
            return self.buffer.get(..count).unwrap_or_default();
        }
        self.reader = None;
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(code: i32, was_asked: bool, mut outcome: TurnOutcome) -> TurnOutcome {
        let status = ExitStatus::from_raw(code << 8);
        ProgramEnd::of(Some(Ok(status)), was_asked).settle("prog", "no key", &mut outcome);
        outcome
    }

    #[test]
    fn a_failed_program_has_no_completed_answer() {
        assert_eq!(settled(0, false, TurnOutcome::Completed), TurnOutcome::Completed);
        let failed = settled(3, false, TurnOutcome::Completed);
        assert!(matches!(&failed, TurnOutcome::Failed(fault) if fault.message.ends_with("well: no key")), "{failed:?}");
        assert_eq!(settled(0, false, TurnOutcome::Interrupted), TurnOutcome::Interrupted);
    }

    #[test]
    fn what_the_person_stopped_is_cancelled_unless_it_was_complete() {
        assert_eq!(settled(130, true, TurnOutcome::Interrupted), TurnOutcome::Cancelled);
        assert_eq!(settled(130, true, TurnOutcome::Completed), TurnOutcome::Completed);
    }
}
