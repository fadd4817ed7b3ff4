//! A session without a screen: prints it as text, as one JSON object, or as the log's own lines.
//!
//! Results go to stdout, progress to stderr; nothing asks, nothing is coloured.

pub mod commands;
pub mod frame;
pub mod output;
pub mod stdin;
pub mod unsaved;

mod asked;
mod held;
mod show;
mod tally;

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::bridge::{Delivery, Live, Published, session};
use crate::config::units;
use crate::event::{
    AgentEvent, CallId, Command, Envelope, Fault, FaultKind, Level, LinkState, Outcome, Role, Seq, TextKind, TurnEnd,
    Weather,
};
use crate::text::clean::one_line;

use asked::{Asked, Stop};
use held::Held;
use output::{Unwritten, for_people, say};
pub use show::show;
pub use tally::{Tally, exit_code};

/// Exit code when all went well but for the log: it can't be written, or was removed under the program.
pub const NOT_SAVED: u8 = 8;

/// How long a prompt that is taken back may take to leave the queue of a session elsewhere.
const TAKEN_BACK: Duration = Duration::from_secs(3);

/// What goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The assistant's text as it comes.
    Text,
    /// One object at the end.
    Json,
    /// One envelope a line, byte for byte as in the log.
    StreamJson,
}

/// What one run does.
pub struct Run {
    pub format: Format,
    /// Sent first; none just watches (a replay).
    pub prompt: Option<String>,
    /// Facts after this number are printed: those of this run.
    pub from: Seq,
    pub source: &'static str,
    /// Others may ask things in the same session.
    pub shared: bool,
    /// What opened a session that this run only joins.
    pub opened: Option<Envelope>,
    /// Say on stderr what a remote was taken for, and why.
    pub explain: bool,
    /// The run is given up when it takes longer.
    pub timeout: Option<Duration>,
}

/// Prints the session until its turn is over (with a prompt) or its source ends, and returns the exit code.
///
/// # Errors
///
/// Fails where what came can't be written.
pub async fn run(live: Live, run: Run) -> Result<u8, Unwritten> {
    let mut printer = Printer::new(run.format, run.explain);
    let mut tally = Tally::new(live.session.as_str(), run.source);
    if let Some(opened) = &run.opened {
        tally.observe(opened);
    }
    let mut weather = live.weather.clone();
    let mut subscription = live.hub.subscribe(run.from);
    let watching = run.prompt.is_none();
    let mut there = live.weather.clone();
    let mut asked = match &run.prompt {
        None => Asked::nothing(),
        Some(text) if run.shared => Asked::among_others(text, &there.borrow_and_update().queue),
        Some(_) => Asked::alone(),
    };
    if let Some(text) = run.prompt
        && live.commands.send(Command::Prompt { text }).await.is_err()
    {
        say("✗ the session ended before it began");
        return Ok(1);
    }
    let deadline = run.timeout.map(|limit| Instant::now() + limit);
    let mut batch = Vec::new();
    let mut asked_to_stop = false;
    let mut leave_at = None;
    let mut there_open = true;
    let mut interrupts = Interrupts::new();
    // Of the turn that began last, as long as it may be somebody else's.
    let mut started: Option<Arc<Published>> = None;
    let mut saved = Saved::new(&live);
    let mut held = Held::default();
    loop {
        let stop = if asked_to_stop { asked.stop(&there.borrow_and_update().queue) } else { Stop::Wait };
        match stop {
            Stop::Send(command) => _ = live.commands.send(command).await,
            Stop::Leave => {
                printer.say("· the prompt was taken back");
                tally.left();
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
                printer.say("✗ interrupted");
                if watching && (live.caps.prompt || !live.caps.cancel) {
                    // What runs there is somebody else's and goes on.
                    tally.cancelled();
                    break;
                }
                leave_at = Some(Instant::now() + TAKEN_BACK);
                continue;
            }
            () = until(deadline), if !asked_to_stop => {
                asked_to_stop = true;
                let limit = units::show_duration(run.timeout.unwrap_or_default());
                let fault = Fault::new(FaultKind::LimitReached, format!("not done after {limit} (--timeout)"));
                printer.say(&format!("✗ {}", fault.message));
                tally.failed(fault);
                leave_at = Some(Instant::now() + TAKEN_BACK);
                continue;
            }
            () = until(leave_at), if asked.is_behind_others() || asked.is_taken_back() => {
                printer.say("! it is not known whether the prompt was taken back: it may still be answered there");
                tally.left();
                break;
            }
            changed = there.changed(), if asked_to_stop && there_open => {
                there_open = changed.is_ok();
                continue;
            }
            news = saved.news() => {
                printer.say(&news);
                printer.lines(&mut held, live.hub.saved())?;
                continue;
            }
            open = subscription.batch(512, &mut batch) => open,
            why = undelivered(&mut weather), if !asked.began() => {
                printer.say(&format!("✗ the prompt did not arrive: {why}"));
                tally.failed(Fault::new(FaultKind::Network, format!("the prompt did not arrive: {why}")));
                break;
            }
        };
        for delivery in batch.drain(..) {
            let Delivery::Fact(fact) = delivery else { continue };
            asked.observe(&fact.envelope.event);
            let began = asked.began();
            saved.observe(&fact.envelope, run.source);
            let limit = tally.end().cloned();
            if asked.is_behind_others() {
                match fact.envelope.event {
                    AgentEvent::TurnStarted { .. } => started = Some(Arc::clone(&fact)),
                    AgentEvent::SessionOpened { .. } | AgentEvent::Noticed { .. } => tally.observe(&fact.envelope),
                    _ => {}
                }
            } else {
                if let Some(started) = started.take() {
                    tally.observe(&started.envelope);
                }
                tally.observe(&fact.envelope);
            }
            if let Some(TurnEnd::Failed(fault)) = limit
                && fault.kind == FaultKind::LimitReached
                && asked_to_stop
            {
                tally.failed(fault);
            }
            printer.fact(&fact.envelope, began)?;
            if run.format == Format::StreamJson {
                held.push(Arc::clone(&fact));
            }
            if let Some(remark) = tally.remark().filter(|_| began) {
                printer.say(&format!("! {remark}"));
            }
            // What others ask next is none of this run's.
            if run.shared && !watching && asked.is_over() {
                break;
            }
        }
        printer.lines(&mut held, live.hub.saved())?;
        if !watching && asked.is_over() {
            break;
        }
        if !open {
            if let Some(fault) = lost(&live, &tally) {
                printer.say(&format!("✗ {fault}"));
                tally.failed(fault);
            }
            break;
        }
    }
    if held.len() > 0 {
        printer.say(&format!("! {} events are not in the log, so they were not printed", held.len()));
    }
    if let Some((text, is_news)) = saved.at_the_end() {
        if is_news {
            printer.say(&format!("! {text}"));
        }
        tally.notice("not_saved", &text);
    }
    printer.finish(&tally)?;
    Ok(saved.exit_code(tally.exit_code()))
}

/// Returns why a session elsewhere is no longer followed, unless how its last turn ended says that.
fn lost(live: &Live, tally: &Tally) -> Option<Fault> {
    match (&live.weather.borrow().link, tally.end()) {
        (_, Some(TurnEnd::Failed(_) | TurnEnd::Interrupted)) => None,
        (LinkState::Lost(fault), _) => fault.clone(),
        _ => None,
    }
}

/// Whether the log has what was printed.
struct Saved {
    weather: watch::Receiver<Weather>,
    open: bool,
    /// What was said last.
    told: Option<String>,
    /// The log was removed under this program.
    removed: bool,
    /// What was said of that last, where no fact says it.
    rewritten: Option<String>,
}

impl Saved {
    fn new(live: &Live) -> Self {
        Self { weather: live.weather.clone(), open: true, told: None, removed: false, rewritten: None }
    }

    fn now(&self) -> Option<String> {
        self.weather.borrow().not_saved.as_ref().map(|why| format!("this session is not saved: {why}"))
    }

    /// Waits until the log can't be written for another reason than before, has everything again, or was written anew;
    /// returns that as a line. Cancel-safe.
    async fn news(&mut self) -> String {
        loop {
            let rewritten = self.weather.borrow().rewritten.clone();
            if rewritten != self.rewritten {
                self.removed = true;
                self.rewritten.clone_from(&rewritten);
                return format!("! {}", rewritten.unwrap_or_default());
            }
            let now = self.now();
            if now != self.told {
                self.told.clone_from(&now);
                return match now {
                    Some(why) => format!("! {why}"),
                    None => "· the session is saved again".to_owned(),
                };
            }
            if !self.open {
                return std::future::pending().await;
            }
            self.open = self.weather.changed().await.is_ok();
        }
    }

    fn observe(&mut self, envelope: &Envelope, source: &str) {
        // In a replay it was another run's log.
        self.removed |= source != "replay"
            && matches!(&envelope.event, AgentEvent::Noticed { code, .. } if code == session::REWRITTEN);
    }

    /// Returns why the log isn't whole now, and whether that is news.
    fn at_the_end(&self) -> Option<(String, bool)> {
        let now = self.now()?;
        let is_news = self.told.as_ref() != Some(&now);
        Some((now, is_news))
    }

    /// An answer that is well but not saved is no plain success.
    fn exit_code(&self, code: u8) -> u8 {
        unsaved::not_saved(code, self.removed || self.now().is_some())
    }
}

/// Waits until a wish was lost on its way to another program's session.
async fn undelivered(weather: &mut watch::Receiver<Weather>) -> String {
    let why = match weather.wait_for(|weather| weather.undelivered.is_some()).await {
        Ok(weather) => weather.undelivered.as_ref().map(|undelivered| undelivered.why.clone()),
        Err(_) => None,
    };
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Ctrl+C, SIGTERM and SIGHUP as one stream.
pub struct Interrupts {
    #[cfg(unix)]
    signals: Vec<tokio::signal::unix::Signal>,
}

impl Default for Interrupts {
    fn default() -> Self {
        Self::new()
    }
}

impl Interrupts {
    pub fn new() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            Self { signals: kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    pub async fn next(&mut self) {
        #[cfg(unix)]
        {
            if self.signals.is_empty() {
                return std::future::pending().await;
            }
            let waits = self.signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            futures_util::future::select_all(waits).await;
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

struct Printer {
    format: Format,
    /// Text printed so far, to put one blank line between messages and a newline at the end.
    printed: bool,
    message_began: bool,
    /// The open message was printed in part.
    spoke: bool,
    /// What the text was that was printed last; none where a call came after it.
    kind: Option<TextKind>,
    /// The last line on stdout has no end yet.
    open_line: bool,
    to_terminal: bool,
    /// What stdout and stderr show are lines of one screen.
    one_screen: bool,
    explain: bool,
    names: HashMap<CallId, String>,
}

impl Printer {
    fn new(format: Format, explain: bool) -> Self {
        Self {
            format,
            explain,
            printed: false,
            message_began: false,
            spoke: false,
            kind: None,
            open_line: false,
            to_terminal: std::io::stdout().is_terminal(),
            one_screen: std::io::stdout().is_terminal() && std::io::stderr().is_terminal(),
            names: HashMap::new(),
        }
    }

    /// Prints the lines that the log has.
    fn lines(&mut self, held: &mut Held, saved: Option<Seq>) -> Result<(), Unwritten> {
        while let Some(fact) = held.next(saved) {
            if self.to_terminal {
                output::print_json(&String::from_utf8_lossy(&fact.line))?;
            } else {
                let mut out = std::io::stdout().lock();
                out.write_all(&fact.line)?;
                out.write_all(b"\n")?;
                out.flush()?;
            }
        }
        Ok(())
    }

    fn fact(&mut self, envelope: &Envelope, began: bool) -> Result<(), Unwritten> {
        if self.format == Format::StreamJson {
            if let AgentEvent::Noticed { level: level @ (Level::Warn | Level::Error), code, text } = &envelope.event
                && code != "no_engine"
            {
                self.say(&format!("{} {text}", tally::sign(*level)));
            } else if began {
                self.how_it_ended(&envelope.event);
            }
            return Ok(());
        }
        if began || matches!(envelope.event, AgentEvent::Noticed { .. }) {
            self.progress(&envelope.event);
        }
        if self.format == Format::Json {
            return Ok(());
        }
        match &envelope.event {
            // Of somebody else's turn.
            _ if !began => {}
            AgentEvent::MessageStarted { role: Role::Assistant, .. } => {
                (self.message_began, self.spoke) = (true, false);
            }
            AgentEvent::MessageFinished { full: Some(full), .. } if full.is_empty() && self.spoke => {
                self.say("· what was said so far was reasoning; the answer follows");
            }
            AgentEvent::ToolCallReady { .. } => self.kind = None,
            AgentEvent::TextDelta { text, kind, .. } if !text.is_empty() => {
                let is_apart = self.message_began || self.kind != Some(*kind);
                let text = for_people(text, self.to_terminal);
                let mut out = std::io::stdout().lock();
                if is_apart && self.printed {
                    out.write_all(if self.open_line { b"\n\n" } else { b"\n" })?;
                }
                self.message_began = false;
                (self.printed, self.spoke, self.kind) = (true, true, Some(*kind));
                self.open_line = !text.ends_with('\n');
                out.write_all(text.as_bytes())?;
                return Ok(out.flush()?);
            }
            _ => {}
        }
        Ok(())
    }

    fn progress(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                self.names.insert(call.clone(), name.clone());
                self.say(&format!("· {name} {}", one_line(args, 100)));
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } if *outcome != Outcome::Ok => {
                let name = self.names.get(call).map_or("a call", String::as_str);
                self.say(&tally::call_ended(name, *outcome, &output.text));
            }
            AgentEvent::Noticed { level: Level::Info, code, .. }
                if !self.explain && matches!(code.as_str(), "found" | "dialect" | "prompt_left_out") => {}
            // The turn that fails for it says the same.
            AgentEvent::Noticed { code, .. } if code == "no_engine" => {}
            AgentEvent::Noticed { level, text, .. } => self.say(&format!("{} {text}", tally::sign(*level))),
            event => self.how_it_ended(event),
        }
    }

    /// Says what a turn that did not end well ended with.
    fn how_it_ended(&mut self, event: &AgentEvent) {
        let AgentEvent::TurnFinished { end, .. } = event else { return };
        match end {
            TurnEnd::Failed(fault) => self.say(&format!("✗ {}", fault.message)),
            TurnEnd::Interrupted => self.say("✗ the answer broke off"),
            TurnEnd::Completed | TurnEnd::Cancelled => {}
        }
    }

    /// Says something beside the answer, on a line of its own.
    fn say(&mut self, line: &str) {
        if self.one_screen && std::mem::take(&mut self.open_line) {
            let _ = writeln!(std::io::stderr());
        }
        say(line);
    }

    fn finish(&mut self, tally: &Tally) -> Result<(), Unwritten> {
        match self.format {
            Format::Json => output::print_json(&tally.to_json().to_string()),
            Format::Text if self.open_line => output::print("\n"),
            Format::Text | Format::StreamJson => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
