//! A whole saved session for a person to read: prompts, answers, calls with what they gave, and how turns ended.

use std::collections::HashMap;

use crate::bridge::{Delivery, Live};
use crate::event::{AgentEvent, CallId, MessageId, Outcome, Seq, TextKind, TurnEnd};
use crate::text::clean::{clean, one_line};

use super::output::{self, Unwritten};
use super::tally;

/// Printed at once.
const PIECE: usize = 64 * 1024;
/// Lines of what a call gave.
const LINES: usize = 8;

/// Prints a session.
///
/// # Errors
///
/// Fails where what came can't be written.
pub async fn show(live: Live) -> Result<(), Unwritten> {
    let mut facts = live.hub.subscribe(Seq(0));
    let mut page = Page::default();
    while let Some(Delivery::Fact(fact)) = facts.next().await {
        page.event(&fact.envelope.event);
        if page.out.len() > PIECE {
            output::print(&std::mem::take(&mut page.out))?;
        }
    }
    page.end_line();
    output::print(&page.out)
}

/// What was printed last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Prompt,
    Text(MessageId, TextKind),
    /// A line of the program's own; of a call, which one.
    Line(Option<CallId>),
}

/// Text pieces stay as they are; what is of another kind begins on a line of its own.
#[derive(Default)]
struct Page {
    out: String,
    last: Last,
    /// The last line has no end yet.
    open_line: bool,
    names: HashMap<CallId, String>,
}

impl Page {
    fn event(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::UserMessage { text, .. } => {
                self.part(true);
                self.put(&format!("› {}\n", clean(text).trim_end().replace('\n', "\n  ")));
                self.last = Last::Prompt;
            }
            AgentEvent::TextDelta { message, text, kind } if !text.is_empty() => {
                let now = Last::Text(message.clone(), *kind);
                if self.last != now {
                    self.part(true);
                }
                self.put(&clean(text));
                self.last = now;
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let name = one_line(name, 40);
                self.line(&format!("· {name} {}", one_line(args, 120)), Some(call));
                self.names.insert(call.clone(), name);
            }
            AgentEvent::ToolCallFinished { call, outcome: Outcome::Ok, output, .. } => self.gave(call, &output.text),
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                let name = self.names.get(call).map_or("a call", String::as_str);
                self.line(&tally::call_ended(name, *outcome, &output.text), None);
            }
            AgentEvent::Noticed { level, text, .. } => {
                self.line(&format!("{} {}", tally::sign(*level), one_line(text, 200)), None);
            }
            AgentEvent::TurnFinished { end: TurnEnd::Failed(fault), .. } => {
                self.line(&format!("✗ {}", one_line(&fault.message, 400)), None);
            }
            AgentEvent::TurnFinished { end: TurnEnd::Interrupted, .. } => self.line("✗ the answer broke off", None),
            AgentEvent::TurnFinished { end: TurnEnd::Cancelled, .. } => self.line("✗ cancelled", None),
            _ => {}
        }
    }

    /// Says what a call gave, under its own line where that is the last.
    fn gave(&mut self, call: &CallId, output: &str) {
        if self.last != Last::Line(Some(call.clone())) {
            let name = self.names.get(call).map_or("a call", String::as_str);
            self.line(&format!("· {name} gave"), None);
        }
        let output = clean(output);
        let lines: Vec<&str> = output.trim_end().lines().collect();
        for line in lines.iter().take(LINES) {
            self.line(&format!("  {}", one_line(line, 160)), None);
        }
        match lines.len().saturating_sub(LINES) {
            0 => {}
            1 => self.line("  … 1 more line", None),
            more => self.line(&format!("  … {more} more lines"), None),
        }
    }

    fn line(&mut self, line: &str, call: Option<&CallId>) {
        self.part(!matches!(self.last, Last::Line(_) | Last::Text(..)));
        self.put(&format!("{line}\n"));
        self.last = Last::Line(call.cloned());
    }

    /// Ends the part before; with an empty line between the two.
    fn part(&mut self, apart: bool) {
        self.end_line();
        if apart && self.last != Last::Nothing {
            self.out.push('\n');
        }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.open_line) {
            self.out.push('\n');
        }
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.open_line = !text.is_empty() && !text.ends_with('\n') || text.is_empty() && self.open_line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Output;

    fn text(message: &str, text: &str, kind: TextKind) -> AgentEvent {
        AgentEvent::TextDelta { message: message.into(), text: text.into(), kind }
    }

    fn ready(call: &str) -> AgentEvent {
        AgentEvent::ToolCallReady { call: call.into(), name: "list_dir".into(), args: "{}".into(), carry: None }
    }

    fn finished(call: &str, output: &str) -> AgentEvent {
        AgentEvent::ToolCallFinished { call: call.into(), outcome: Outcome::Ok, output: Output::of(output), took: None }
    }

    fn shown(events: &[AgentEvent]) -> String {
        let mut page = Page::default();
        for event in events {
            page.event(event);
        }
        page.end_line();
        page.out
    }

    #[test]
    fn parts_of_different_kinds_are_kept_apart_and_pieces_of_text_are_not() {
        let shown = shown(&[
            AgentEvent::UserMessage { message: "m0".into(), text: "what\nis here?".into() },
            text("m1", "Tools that change", TextKind::Text),
            text("m1", " nothing:", TextKind::Text),
            ready("c1"),
            ready("c2"),
            finished("c2", "a\nb\n"),
            finished("c1", ""),
            text("m2", "# A short tour", TextKind::Text),
            text("m2", "I can't help with that.", TextKind::Refusal),
            AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Cancelled },
        ]);
        let whole = "› what\n  is here?\n\nTools that change nothing:\n· list_dir {}\n· list_dir {}\n  a\n  b\n· list_dir gave\n\
                     \n# A short tour\n\nI can't help with that.\n✗ cancelled\n";
        assert_eq!(shown, whole);
    }

    #[test]
    fn a_long_result_is_shown_in_part() {
        let shown = shown(&[ready("c1"), finished("c1", &"x\n".repeat(LINES + 1))]);
        assert!(shown.ends_with("  x\n  … 1 more line\n"), "{shown}");
    }
}
