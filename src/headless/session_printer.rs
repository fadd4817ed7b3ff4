//! Prints a whole saved session: prompts, answers, calls with their output, and outcomes of turns.

use std::collections::HashMap;

use crate::bridge::{HubItem, SessionHandle};
use crate::event::{AgentEvent, CallId, CallOutcome, MessageId, Seq, TextKind, TurnOutcome};
use crate::text::clean::{clean, one_line};

use super::output::{self, OutputError};
use super::summary;

/// Bytes printed at once.
const FLUSH_BYTES: usize = 64 * 1024;
/// How many lines of a call's output are printed.
const MAX_OUTPUT_LINES: usize = 8;

/// Prints a session.
///
/// # Errors
///
/// Fails if the output can't be written.
pub async fn print_session(live: SessionHandle) -> Result<(), OutputError> {
    let mut subscription = live.hub.subscribe(Seq(0));
    let mut page = SessionPrinter::default();
    let path = live.hub.shown_path();
    while let Some(HubItem::Event(event)) = subscription.next().await {
        if !path.contains(event.envelope.seq) {
            continue;
        }
        page.event(&event.envelope.event);
        if page.out.len() > FLUSH_BYTES {
            output::print(&std::mem::take(&mut page.out))?;
        }
    }
    page.end_line();
    output::print(&page.out)
}

/// What was printed last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum LastPrinted {
    #[default]
    Nothing,
    Prompt,
    Text(MessageId, TextKind),
    /// A line of the program; with the call it is about.
    Line(Option<CallId>),
}

/// Prints text pieces unchanged, and starts a new line for anything else.
#[derive(Default)]
struct SessionPrinter {
    out: String,
    last: LastPrinted,
    /// The last line has no newline yet.
    is_line_open: bool,
    call_names: HashMap<CallId, String>,
}

impl SessionPrinter {
    fn event(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::UserMessage { text, .. } => {
                self.start_part(true);
                self.push_text(&format!("› {}\n", clean(text).trim_end().replace('\n', "\n  ")));
                self.last = LastPrinted::Prompt;
            }
            AgentEvent::TextDelta { message, text, kind } if !text.is_empty() => {
                let now = LastPrinted::Text(message.clone(), *kind);
                if self.last != now {
                    self.start_part(true);
                }
                self.push_text(&clean(text));
                self.last = now;
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let name = one_line(name, 40);
                self.line(&format!("· {name} {}", one_line(args, 120)), Some(call));
                self.call_names.insert(call.clone(), name);
            }
            AgentEvent::ToolCallFinished { call, outcome: CallOutcome::Ok, output, .. } => {
                self.print_call_output(call, &output.text);
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                let name = self.call_names.get(call).map_or("a call", String::as_str);
                self.line(&summary::call_outcome_line(name, *outcome, &output.text), None);
            }
            AgentEvent::Notice { level, text, .. } => {
                self.line(&format!("{} {}", summary::level_prefix(*level), one_line(text, 200)), None);
            }
            AgentEvent::TurnFinished { outcome: TurnOutcome::Failed(fault), .. } => {
                self.line(&format!("✗ {}", one_line(&fault.message, 400)), None);
            }
            AgentEvent::TurnFinished { outcome: TurnOutcome::Interrupted, .. } => {
                self.line("✗ the answer was cut short", None);
            }
            AgentEvent::TurnFinished { outcome: TurnOutcome::Cancelled, .. } => self.line("✗ cancelled", None),
            _ => {}
        }
    }

    /// Prints a call's output, directly under the call's line if that is the last.
    fn print_call_output(&mut self, call: &CallId, output: &str) {
        if self.last != LastPrinted::Line(Some(call.clone())) {
            let name = self.call_names.get(call).map_or("a call", String::as_str);
            self.line(&format!("· {name} gave"), None);
        }
        let output = clean(output);
        let lines: Vec<&str> = output.trim_end().lines().collect();
        for line in lines.iter().take(MAX_OUTPUT_LINES) {
            self.line(&format!("  {}", one_line(line, 160)), None);
        }
        match lines.len().saturating_sub(MAX_OUTPUT_LINES) {
            0 => {}
            1 => self.line("  … 1 more line", None),
            more => self.line(&format!("  … {more} more lines"), None),
        }
    }

    fn line(&mut self, line: &str, call: Option<&CallId>) {
        self.start_part(!matches!(self.last, LastPrinted::Line(_) | LastPrinted::Text(..)));
        self.push_text(&format!("{line}\n"));
        self.last = LastPrinted::Line(call.cloned());
    }

    /// Ends the previous part, with an empty line after it if `apart` is set.
    fn start_part(&mut self, apart: bool) {
        self.end_line();
        if apart && self.last != LastPrinted::Nothing {
            self.out.push('\n');
        }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.is_line_open) {
            self.out.push('\n');
        }
    }

    fn push_text(&mut self, text: &str) {
        self.out.push_str(text);
        self.is_line_open = !text.is_empty() && !text.ends_with('\n') || text.is_empty() && self.is_line_open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testkit::events::{call_finished, call_ready, turn_finished, user_message};

    fn text(message: &str, text: &str, kind: TextKind) -> AgentEvent {
        AgentEvent::TextDelta { message: message.into(), text: text.into(), kind }
    }

    fn ready(call: &str) -> AgentEvent {
        call_ready(call, "list_dir", "{}")
    }

    fn finished(call: &str, output: &str) -> AgentEvent {
        call_finished(call, CallOutcome::Ok, output)
    }

    fn shown(events: &[AgentEvent]) -> String {
        let mut page = SessionPrinter::default();
        for event in events {
            page.event(event);
        }
        page.end_line();
        page.out
    }

    #[test]
    fn parts_of_different_kinds_are_kept_apart_and_pieces_of_text_are_not() {
        let shown = shown(&[
            user_message("m0", "what\nis here?"),
            text("m1", "Tools that change", TextKind::Text),
            text("m1", " nothing:", TextKind::Text),
            ready("c1"),
            ready("c2"),
            finished("c2", "a\nb\n"),
            finished("c1", ""),
            text("m2", "# A short tour", TextKind::Text),
            text("m2", "I can't help with that.", TextKind::Refusal),
            turn_finished("t", TurnOutcome::Cancelled),
        ]);
        let whole = "› what\n  is here?\n\nTools that change nothing:\n· list_dir {}\n· list_dir {}\n  a\n  b\n· list_dir gave\n\
                     \n# A short tour\n\nI can't help with that.\n✗ cancelled\n";
        assert_eq!(shown, whole);
    }

    #[test]
    fn a_long_result_is_shown_in_part() {
        let shown = shown(&[ready("c1"), finished("c1", &"x\n".repeat(MAX_OUTPUT_LINES + 1))]);
        assert!(shown.ends_with("  x\n  … 1 more line\n"), "{shown}");
    }
}
