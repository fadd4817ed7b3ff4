//! A session without a screen: prints it as text, as one JSON object, or as the lines of the log.
//!
//! Results go to stdout, progress to stderr; no prompts, no colors.

pub mod output;
pub mod save_errors;
pub mod screen_dump;
pub mod stdin;

mod asked;
mod interrupts;
mod pending_lines;
mod save_monitor;
mod session_printer;
mod summary;

use std::collections::{HashMap, HashSet};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::bridge::{HubItem, LoggedEvent, SessionHandle};
use crate::cli::OutputFormat;
use crate::config::units;
use crate::event::{
    AgentEvent, CallId, CallOutcome, Command, Envelope, Fault, FaultKind, LinkState, MessageId, NoticeCode,
    NoticeLevel, PromptContext, Role, Seq, SessionStatus, TextKind, TurnOutcome,
};
use crate::runtime::SpendGuard;
use crate::text::clean::one_line;

use asked::{Asked, Stop};
pub use interrupts::Interrupts;
use output::{OutputError, clean_for_terminal, print_progress};
use pending_lines::PendingLines;
use save_monitor::SaveMonitor;
pub use session_printer::print_session;
pub use summary::{RunSummary, exit_code, usage_json};

/// Exit code if everything went well except saving: the log can't be written, or was removed while in use.
pub const EXIT_NOT_SAVED: u8 = 8;

/// How long a dequeued prompt may take to leave the queue of a remote session.
const TAKEN_BACK: Duration = Duration::from_secs(3);

/// Options of a run.
pub struct RunOptions {
    pub format: OutputFormat,
    /// Sent first; `None` only watches (a replay).
    pub prompt: Option<String>,
    /// What goes with the prompt.
    pub context: Vec<PromptContext>,
    /// Only later events are printed: those of this run.
    pub after: Seq,
    pub source: &'static str,
    /// Whether other clients may send prompts in the same session.
    pub shared: bool,
    /// The opening event of a session that this run only joins.
    pub opened_event: Option<Envelope>,
    /// Print to stderr how a remote was identified, and why.
    pub explain: bool,
    /// Time limit of the run.
    pub timeout: Option<Duration>,
    /// The other limits; none for what runs elsewhere.
    pub spending: Option<SpendGuard>,
}

impl RunOptions {
    /// Prints everything, without a prompt and a time limit.
    pub fn new(format: OutputFormat, source: &'static str) -> Self {
        Self {
            format,
            prompt: None,
            context: Vec::new(),
            after: Seq(0),
            source,
            shared: false,
            opened_event: None,
            explain: false,
            timeout: None,
            spending: None,
        }
    }
}

/// Prints the session until its turn is over (with a prompt) or its source ends, and returns the exit code.
///
/// # Errors
///
/// Fails if the output can't be written.
pub async fn run(live: SessionHandle, mut run: RunOptions) -> Result<u8, OutputError> {
    let mut printer = Printer::new(run.format, run.explain);
    let mut summary = RunSummary::new(live.session.as_str(), run.source);
    if let Some(opened) = &run.opened_event {
        summary.observe(opened);
    }
    let mut status = live.status.clone();
    if let Some(spending) = &mut run.spending {
        observe_earlier_turns(&live, run.after, spending).await;
        if let Some(fault) = spending.refusal() {
            printer.print_notice(&format!("✗ {}", fault.message));
            summary.set_failed(fault);
            printer.finish(&summary)?;
            return Ok(summary.exit_code());
        }
    }
    let mut subscription = live.hub.subscribe(run.after);
    let watching = run.prompt.is_none();
    // As events all of a log is printed, in words one branch of it.
    let shown = live.hub.chosen_path().filter(|_| run.format != OutputFormat::StreamJson);
    let mut there = live.status.clone();
    let mut asked = match &run.prompt {
        None => Asked::nothing(),
        Some(text) if run.shared => Asked::among_others(text, &there.borrow_and_update().queue),
        Some(_) => Asked::alone(),
    };
    if let Some(text) = run.prompt
        && live.commands.send(Command::Prompt { text, context: run.context, author: None }).await.is_err()
    {
        print_progress("✗ the session ended before it started");
        return Ok(1);
    }
    let deadline = run.timeout.map(|limit| Instant::now() + limit);
    let mut time_limit = run.spending.as_ref().and_then(SpendGuard::time_left);
    let time_over = time_limit.as_ref().map(|(left, _)| Instant::now() + *left);
    let mut batch = Vec::new();
    let mut asked_to_stop = false;
    let mut leave_at = None;
    // The limit for which the turn is stopped.
    let mut passed: Option<Fault> = None;
    let mut there_open = true;
    let mut interrupts = Interrupts::new();
    // The start of the latest turn, while it may be another client's.
    let mut started: Option<Arc<LoggedEvent>> = None;
    let mut saved = SaveMonitor::new(&live);
    let mut held = PendingLines::default();
    loop {
        let stop = if asked_to_stop { asked.stop(&there.borrow_and_update().queue) } else { Stop::Wait };
        match stop {
            Stop::Send(command) => _ = live.commands.send(command).await,
            Stop::Leave => {
                printer.print_notice("· the prompt was taken back");
                summary.left();
                break;
            }
            Stop::Wait => {}
        }
        let open = tokio::select! {
            biased;
            () = interrupts.next() => {
                if asked_to_stop {
                    return Ok(130);
                }
                asked_to_stop = true;
                printer.print_notice("✗ interrupted");
                if watching && (live.capabilities.prompt || !live.capabilities.cancel) {
                    // The running turn is another client's and continues.
                    summary.set_cancelled();
                    break;
                }
                leave_at = Some(Instant::now() + TAKEN_BACK);
                continue;
            }
            () = sleep_until_deadline(deadline), if !asked_to_stop => {
                asked_to_stop = true;
                let limit = units::format_duration(run.timeout.unwrap_or_default());
                let fault = Fault::new(FaultKind::LimitReached, format!("not finished after {limit} (--timeout)"));
                printer.print_notice(&format!("✗ {}", fault.message));
                summary.set_failed(fault);
                leave_at = Some(Instant::now() + TAKEN_BACK);
                continue;
            }
            () = sleep_until_deadline(time_over), if !asked_to_stop => {
                asked_to_stop = true;
                passed = time_limit.take().map(|(_, fault)| fault);
                printer.print_notice(&format!("! {}", passed.as_ref().map_or("", |fault| &*fault.message)));
                continue;
            }
            () = sleep_until_deadline(leave_at), if asked.is_behind_others() || asked.is_taken_back() => {
                printer.print_notice("! could not confirm that the prompt was taken back: it may still be answered there");
                summary.left();
                break;
            }
            changed = there.changed(), if asked_to_stop && there_open => {
                there_open = changed.is_ok();
                continue;
            }
            news = saved.next_error() => {
                printer.print_notice(&news);
                printer.print_saved_lines(&mut held, live.hub.last_saved())?;
                continue;
            }
            open = subscription.next_batch(512, &mut batch) => open,
            why = wait_for_undelivered(&mut status), if !asked.began() => {
                printer.print_notice(&format!("✗ the prompt was not delivered: {why}"));
                summary.set_failed(Fault::new(FaultKind::Network, format!("the prompt was not delivered: {why}")));
                break;
            }
        };
        for delivery in batch.drain(..) {
            let HubItem::Event(event) = delivery else { continue };
            if shown.as_ref().is_some_and(|path| !path.contains(event.envelope.seq)) {
                continue;
            }
            asked.observe(&event.envelope.event);
            let began = asked.began();
            saved.observe(&event.envelope, run.source);
            let limit = summary.outcome().cloned();
            if asked.is_behind_others() {
                match event.envelope.event {
                    AgentEvent::TurnStarted { .. } => started = Some(Arc::clone(&event)),
                    AgentEvent::SessionOpened { .. } | AgentEvent::Notice { .. } => summary.observe(&event.envelope),
                    _ => {}
                }
            } else {
                if let Some(started) = started.take() {
                    summary.observe(&started.envelope);
                }
                summary.observe(&event.envelope);
            }
            if let Some(TurnOutcome::Failed(fault)) = limit
                && fault.kind == FaultKind::LimitReached
                && asked_to_stop
            {
                summary.set_failed(fault);
            }
            if let Some(fault) = run.spending.as_mut().and_then(|spending| spending.observe(&event.envelope))
                && !asked_to_stop
            {
                asked_to_stop = true;
                printer.print_notice(&format!("! {}", fault.message));
                passed = Some(fault);
            }
            // A turn that was over all the same is whole.
            if let Some(fault) = passed.take_if(|_| summary.outcome() == Some(&TurnOutcome::Cancelled)) {
                summary.set_failed(fault);
            }
            printer.print_event(&event.envelope, began)?;
            if run.format == OutputFormat::StreamJson {
                held.push(Arc::clone(&event));
            }
            if let Some(remark) = summary.remark().filter(|_| began) {
                printer.print_notice(&format!("! {remark}"));
            }
            // Later prompts of other clients are not part of this run.
            if run.shared && !watching && asked.is_over() {
                break;
            }
        }
        printer.print_saved_lines(&mut held, live.hub.last_saved())?;
        if !watching && asked.is_over() {
            break;
        }
        if !open {
            if let Some(fault) = connection_fault(&live, &summary) {
                printer.print_notice(&format!("✗ {fault}"));
                summary.set_failed(fault);
            }
            break;
        }
    }
    if held.len() > 0 {
        printer.print_notice(&format!("! {} events are not in the log, so they were not printed", held.len()));
    }
    if let Some((text, is_news)) = saved.final_error() {
        if is_news {
            printer.print_notice(&format!("! {text}"));
        }
        summary.add_notice(NoticeCode::NotSaved, &text);
    }
    printer.finish(&summary)?;
    Ok(saved.exit_code(summary.exit_code()))
}

/// Takes what a session used before this run.
async fn observe_earlier_turns(live: &SessionHandle, last: Seq, spending: &mut SpendGuard) {
    let (mut earlier, mut batch, mut seq) = (live.hub.subscribe(Seq(0)), Vec::new(), Seq(0));
    while seq < last && earlier.next_batch(512, &mut batch).await {
        for item in batch.drain(..) {
            let HubItem::Event(event) = item else { continue };
            seq = event.envelope.seq;
            if seq <= last {
                spending.observe_past(&event.envelope);
            }
        }
    }
}

/// Returns why a remote session is no longer followed, unless the outcome of its last turn explains that.
fn connection_fault(live: &SessionHandle, summary: &RunSummary) -> Option<Fault> {
    match (&live.status.borrow().link, summary.outcome()) {
        (_, Some(TurnOutcome::Failed(_) | TurnOutcome::Interrupted)) => None,
        (LinkState::Lost(fault), _) => fault.clone(),
        _ => None,
    }
}

/// Waits until a command to the session of another program is lost.
async fn wait_for_undelivered(status: &mut watch::Receiver<SessionStatus>) -> String {
    let why = match status.wait_for(|status| status.undelivered.is_some()).await {
        Ok(status) => status.undelivered.as_ref().map(|undelivered| undelivered.reason.clone()),
        Err(_) => None,
    };
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

async fn sleep_until_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

struct Printer {
    format: OutputFormat,
    /// Whether text was printed, for a blank line between messages and a newline at the end.
    has_printed: bool,
    message_has_text: bool,
    /// Part of the open message was printed.
    message_printed_partly: bool,
    /// The kind of the text printed last; `None` after a call.
    last_kind: Option<TextKind>,
    /// The last line on stdout has no newline yet.
    is_line_open: bool,
    to_terminal: bool,
    /// Whether stdout and stderr are the same terminal.
    shares_screen: bool,
    explain: bool,
    call_names: HashMap<CallId, String>,
    /// Messages of sub-agents, which are not the answer.
    sub_agent_messages: HashSet<MessageId>,
}

impl Printer {
    fn new(format: OutputFormat, explain: bool) -> Self {
        Self {
            format,
            explain,
            has_printed: false,
            message_has_text: false,
            message_printed_partly: false,
            last_kind: None,
            is_line_open: false,
            to_terminal: std::io::stdout().is_terminal(),
            shares_screen: std::io::stdout().is_terminal() && std::io::stderr().is_terminal(),
            call_names: HashMap::new(),
            sub_agent_messages: HashSet::new(),
        }
    }

    /// Prints the lines that are in the log.
    fn print_saved_lines(&mut self, held: &mut PendingLines, saved: Option<Seq>) -> Result<(), OutputError> {
        while let Some(event) = held.pop_saved(saved) {
            if self.to_terminal {
                output::print_json(&String::from_utf8_lossy(&event.line))?;
            } else {
                let mut out = std::io::stdout().lock();
                out.write_all(&event.line)?;
                out.write_all(b"\n")?;
                out.flush()?;
            }
        }
        Ok(())
    }

    fn print_event(&mut self, envelope: &Envelope, began: bool) -> Result<(), OutputError> {
        if self.format == OutputFormat::StreamJson {
            if let AgentEvent::Notice { level: level @ (NoticeLevel::Warn | NoticeLevel::Error), code, text } =
                &envelope.event
                && *code != NoticeCode::NoEngine
            {
                self.print_notice(&format!("{} {text}", summary::level_prefix(*level)));
            } else if began {
                self.print_outcome(&envelope.event);
            }
            return Ok(());
        }
        if began || matches!(envelope.event, AgentEvent::Notice { .. }) {
            self.print_progress(&envelope.event);
        }
        if self.format == OutputFormat::Json {
            return Ok(());
        }
        match &envelope.event {
            // Part of another client's turn.
            _ if !began => {}
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: Some(_) } => {
                self.sub_agent_messages.insert(message.clone());
            }
            AgentEvent::TextDelta { message, .. } if self.sub_agent_messages.contains(message) => {}
            AgentEvent::MessageStarted { role: Role::Assistant, .. } => {
                (self.message_has_text, self.message_printed_partly) = (true, false);
            }
            AgentEvent::MessageFinished { full_text: Some(full), .. }
                if full.is_empty() && self.message_printed_partly =>
            {
                self.print_notice("· the text so far is withdrawn; the answer follows");
            }
            AgentEvent::ToolCallReady { .. } => self.last_kind = None,
            AgentEvent::TextDelta { text, kind, .. } if !text.is_empty() => {
                let is_apart = self.message_has_text || self.last_kind != Some(*kind);
                let text = clean_for_terminal(text, self.to_terminal);
                let mut out = std::io::stdout().lock();
                if is_apart && self.has_printed {
                    out.write_all(if self.is_line_open { b"\n\n" } else { b"\n" })?;
                }
                self.message_has_text = false;
                (self.has_printed, self.message_printed_partly, self.last_kind) = (true, true, Some(*kind));
                self.is_line_open = !text.ends_with('\n');
                out.write_all(text.as_bytes())?;
                return Ok(out.flush()?);
            }
            _ => {}
        }
        Ok(())
    }

    fn print_progress(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                self.call_names.insert(call.clone(), name.clone());
                self.print_notice(&format!("· {name} {}", one_line(args, 100)));
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } if *outcome != CallOutcome::Ok => {
                let name = self.call_names.get(call).map_or("a call", String::as_str);
                self.print_notice(&summary::call_outcome_line(name, *outcome, &output.text));
            }
            AgentEvent::Notice { level: NoticeLevel::Info, code, .. }
                if !self.explain
                    && matches!(code, NoticeCode::Found | NoticeCode::Dialect | NoticeCode::PromptLeftOut) => {}
            // The failing turn reports the same.
            AgentEvent::Notice { code: NoticeCode::NoEngine, .. } => {}
            AgentEvent::Notice { level, text, .. } => {
                self.print_notice(&format!("{} {text}", summary::level_prefix(*level)));
            }
            event => self.print_outcome(event),
        }
    }

    /// Prints the outcome of a turn that did not complete.
    fn print_outcome(&mut self, event: &AgentEvent) {
        let AgentEvent::TurnFinished { outcome: end, .. } = event else { return };
        match end {
            TurnOutcome::Failed(fault) => self.print_notice(&format!("✗ {}", fault.message)),
            TurnOutcome::Interrupted => self.print_notice("✗ the answer was cut short"),
            TurnOutcome::Completed | TurnOutcome::Cancelled => {}
        }
    }

    /// Prints a notice beside the answer, on a line of its own.
    fn print_notice(&mut self, line: &str) {
        if self.shares_screen && std::mem::take(&mut self.is_line_open) {
            let _ = writeln!(std::io::stderr());
        }
        print_progress(line);
    }

    fn finish(&mut self, summary: &RunSummary) -> Result<(), OutputError> {
        match self.format {
            OutputFormat::Json => output::print_json(&summary.to_json().to_string()),
            OutputFormat::Text if self.is_line_open => output::print("\n"),
            OutputFormat::Text | OutputFormat::StreamJson => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
