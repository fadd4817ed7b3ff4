//! Follows what a program prints: its standard output is a stream of a dialect, the lines of its standard error are
//! notices, and its exit status is told.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::response_feeder::{ResponseFeeder, SourceWords};
use super::silence_fault;
use crate::bridge::program::stderr_lines::StderrLines;
use crate::bridge::program::{
    BACKGROUND_OUTPUT_TIMEOUT, ProgramEnd, ProgramOutput, ProgramSignal, ProgramStop, RunningProgram,
};
use crate::dialect::ResponseHead;
use crate::dialect::error::to_single_line;
use crate::event::{Fault, FaultKind, NoticeCode, NoticeLevel, TurnOutcome};
use crate::net::RequestEvent;
use crate::net::reconnect::DecoderFactory;
use crate::net::traffic::TrafficTap;

/// A program, and how it is followed.
pub struct ProgramSource {
    pub program: RunningProgram,
    pub tap: TrafficTap,
    /// Longest time without output; zero means no limit.
    pub idle_timeout: Duration,
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
    feeder.finish_response_with(|outcome| settle(&ended, &name, errors.last_words(), outcome)).await;
}

/// A failure never looks like success, and what the person stopped is no failure.
fn settle(ended: &ProgramEnd, name: &str, last_error: &str, outcome: &mut TurnOutcome) {
    let why = if last_error.is_empty() { String::new() } else { format!(": {}", to_single_line(last_error)) };
    match outcome {
        TurnOutcome::Interrupted if ended.was_asked => *outcome = TurnOutcome::Cancelled,
        // It said nothing, or broke off in the middle of a line.
        TurnOutcome::Failed(fault) if fault.kind == FaultKind::Protocol && ended.was_asked => {
            *outcome = TurnOutcome::Cancelled;
        }
        TurnOutcome::Completed if !ended.is_success && !ended.was_asked => {
            let text = format!("{name} {}, though its output ends well{why}", ended.words);
            *outcome = TurnOutcome::Failed(Fault::new(FaultKind::Upstream, text));
        }
        TurnOutcome::Failed(fault) if fault.kind == FaultKind::Protocol && !ended.is_success => {
            *fault = Fault::new(FaultKind::Upstream, format!("{}; it {}{why}", fault.message, ended.words));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn settled(code: i32, was_asked: bool, mut outcome: TurnOutcome) -> TurnOutcome {
        let status = ExitStatus::from_raw(code << 8);
        settle(&ProgramEnd::of(Some(Ok(status)), was_asked), "prog", "no key", &mut outcome);
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
        let silent = || TurnOutcome::Failed(Fault::new(FaultKind::Protocol, "prog printed nothing"));
        assert_eq!(settled(130, true, silent()), TurnOutcome::Cancelled);
        assert!(matches!(settled(130, false, silent()), TurnOutcome::Failed(_)));
    }
}
