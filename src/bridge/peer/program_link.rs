//! A connection with an agent program over its standard input and output; its standard error is read beside it.

use std::process::ExitStatus;
use std::time::Duration;
use std::{io, mem};

use process_wrap::tokio::ChildWrapper;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::{Instant, sleep_until};

use super::link_event::{LinkEnd, LinkEvent};
use crate::bridge::program::stderr_lines::StderrLines;
use crate::bridge::program::{
    BACKGROUND_OUTPUT_TIMEOUT, ProgramEnd, ProgramOutput, ProgramSignal, ProgramStop, RunningProgram,
};
use crate::dialect::error::to_single_line;
use crate::event::{Fault, FaultKind, NoticeLevel};
use crate::net::sse_lines::{FramingError, LineSplitter};
use crate::net::traffic::{LocalTap, TrafficTap};

/// Bytes of a line that are accepted: whole files come in one.
const MAX_LINE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes that may wait for a program that doesn't read.
const MAX_UNREAD_BYTES: usize = 32 * 1024 * 1024;

/// From the end of what is sent to the request to end.
const END_GRACE_PERIOD: Duration = Duration::from_millis(500);

pub(super) struct ProgramLink {
    program: RunningProgram,
    stdin: Option<ChildStdin>,
    unsent: Vec<u8>,
    /// Bytes of it that are sent.
    sent: usize,
    stdout: ProgramOutput<ChildStdout>,
    lines: LineSplitter,
    broken: Option<FramingError>,
    stderr: ProgramOutput<ChildStderr>,
    errors: StderrLines,
    stop: ProgramStop,
    /// When it is asked to end, unless it did by itself when nothing more was sent.
    end_at: Option<Instant>,
    status: Option<io::Result<ExitStatus>>,
    drained_at: Option<Instant>,
    heard: LocalTap,
}

impl ProgramLink {
    pub(super) async fn new(mut program: RunningProgram, tap: TrafficTap) -> Self {
        let child = &mut program.child;
        let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        Self {
            heard: tap.begin_local("RUN", &program.name).await,
            program,
            stdin,
            unsent: Vec::new(),
            sent: 0,
            stdout: ProgramOutput::new(stdout),
            lines: LineSplitter::with_max_bytes(MAX_LINE_BYTES),
            broken: None,
            stderr: ProgramOutput::new(stderr),
            errors: StderrLines::default(),
            stop: ProgramStop::default(),
            end_at: None,
            status: None,
            drained_at: None,
        }
    }

    /// Queues a line. One that a program doesn't read for long is lost with the program.
    pub(super) fn send(&mut self, line: &str) {
        if self.unsent.len() - self.sent + line.len() > MAX_UNREAD_BYTES {
            return self.stop.kill(self.program.child.as_mut());
        }
        self.unsent.extend_from_slice(line.as_bytes());
        self.unsent.push(b'\n');
    }

    /// Lets the program end: what was queued is sent, and nothing more.
    pub(super) fn close(&mut self) {
        self.end_at.get_or_insert(Instant::now() + END_GRACE_PERIOD);
        if self.unsent.is_empty() {
            self.stdin = None;
        }
    }

    /// Returns the next thing that happens. Cancel-safe.
    pub(super) async fn next(&mut self) -> LinkEvent {
        loop {
            if self.broken.is_some() || (self.status.is_some() && !self.stdout.is_open() && !self.stderr.is_open()) {
                return self.closed();
            }
            tokio::select! {
                biased;
                written = write_some(&mut self.stdin, self.unsent.get(self.sent..).unwrap_or_default()) => {
                    self.note_written(&written);
                }
                () = sleep_until(self.stop.kill_at.unwrap_or_else(Instant::now)), if self.stop.kill_at.is_some() => {
                    self.stop.kill(self.program.child.as_mut());
                }
                () = sleep_until(self.end_at.unwrap_or_else(Instant::now)), if self.end_at.is_some() && !self.stop.was_asked => {
                    self.stop.take(Some(ProgramSignal::Terminate), self.program.child.as_mut());
                }
                bytes = self.stdout.read() => {
                    self.heard.push(bytes).await;
                    let mut whole = Vec::new();
                    let pushed = self.lines.push(bytes, &mut |line| {
                        whole.push(line.to_owned());
                        Ok(())
                    });
                    if bytes.is_empty() {
                        whole.extend(self.lines.take_partial_line());
                        // It can't answer any more.
                        self.stdin = None;
                    }
                    self.broken = pushed.err();
                    if !whole.is_empty() {
                        return LinkEvent::Lines(whole);
                    }
                }
                bytes = self.stderr.read() => {
                    let lines = self.errors.push(bytes);
                    if !lines.is_empty() {
                        return LinkEvent::Remarks(lines);
                    }
                }
                // The process itself: its group may live on with a program that it left behind.
                ended = wait(self.program.child.as_mut()), if self.status.is_none() => {
                    self.status = Some(ended);
                    self.drained_at = Some(Instant::now() + BACKGROUND_OUTPUT_TIMEOUT);
                }
                () = sleep_until(self.drained_at.unwrap_or_else(Instant::now)), if self.drained_at.is_some() => {
                    return self.closed();
                }
            }
        }
    }

    fn note_written(&mut self, written: &io::Result<usize>) {
        match written {
            Ok(count @ 1..) => self.sent += *count,
            // It reads no more; how it ends is told by its outputs.
            Ok(0) | Err(_) => self.stdin = None,
        }
        if self.sent >= self.unsent.len() {
            self.unsent.clear();
            self.unsent.shrink_to(64 * 1024);
            self.sent = 0;
            if self.end_at.is_some() {
                self.stdin = None;
            }
        }
    }

    fn closed(&mut self) -> LinkEvent {
        if let Some(broken) = self.broken.take() {
            self.stop.kill(self.program.child.as_mut());
            let fault = broken.fault(&self.program.name);
            return LinkEvent::Closed(LinkEnd::of(fault));
        }
        let last_words = self.errors.finish();
        let ended = ProgramEnd::of(mem::take(&mut self.status), self.stop.was_asked);
        let last = self.errors.last_words();
        let why = if last.is_empty() { String::new() } else { format!(": {}", to_single_line(last)) };
        let remark = format!("{} {}", self.program.name, ended.words);
        let fault = Fault::new(FaultKind::Upstream, format!("{remark}{why}"));
        let level = if ended.is_success { NoticeLevel::Info } else { NoticeLevel::Warn };
        LinkEvent::Closed(LinkEnd { fault, is_lost: false, last_words, remark: Some((level, remark)) })
    }
}

/// Writes some of the bytes; never ready where there is nothing to write. Cancel-safe.
async fn write_some(stdin: &mut Option<ChildStdin>, bytes: &[u8]) -> io::Result<usize> {
    match stdin {
        Some(stdin) if !bytes.is_empty() => stdin.write(bytes).await,
        _ => std::future::pending().await,
    }
}

async fn wait(child: &mut dyn ChildWrapper) -> io::Result<ExitStatus> {
    child.inner_mut().wait().await
}
