//! How calls, outcomes and pieces of a text read.

use super::{LinearPrinter, OpenItem, TextFlow};
use crate::event::{CallOutcome, Millis, NoticeLevel, TurnOutcome, Usage};
use crate::store::Store;
use crate::store::output_view::OutputView;
use crate::store::sub_agents;
use crate::store::tool_calls::{CallState, ToolCall};
use crate::store::transcript::TranscriptItem;
use crate::text::{clean, one_line};
use crate::ui::format::{count, duration};
use crate::ui::panes::subject::short_subject;

/// Bytes by which a text is known again.
pub(super) const TAIL_BYTES: usize = 24;
/// Lines of a call's output where outputs are folded, and where they are not.
const MAX_FOLDED_LINES: usize = 8;
const MAX_OUTPUT_LINES: usize = 400;
const MAX_NAME_CELLS: usize = 40;
const MAX_SUBJECT_CELLS: usize = 160;
const MAX_OUTPUT_CELLS: usize = 1000;
/// Bytes of what a sub-agent said and called.
const MAX_SUB_AGENT_BYTES: usize = 32 << 10;

pub(super) fn level_label(level: NoticeLevel) -> &'static str {
    match level {
        NoticeLevel::Info => "Notice",
        NoticeLevel::Warn => "Warning",
        NoticeLevel::Error => "Error",
    }
}

/// Says how a turn ended and what it took.
pub(super) fn turn_end(outcome: &TurnOutcome, took: Millis, usage: Option<Usage>) -> String {
    let took = duration(took);
    let end = match outcome {
        TurnOutcome::Completed => format!("Turn finished after {took}"),
        TurnOutcome::Cancelled => format!("Turn stopped by you after {took}"),
        TurnOutcome::Interrupted => format!("Turn interrupted after {took}: the answer is not whole"),
        TurnOutcome::Failed(fault) => format!("Turn failed after {took}: {}", one_line(&fault.message, 400)),
    };
    match usage {
        Some(usage) => {
            format!("{end}. Tokens: {} in, {} out.", count(usage.input_tokens), count(usage.output_tokens))
        }
        None => format!("{end}."),
    }
}

/// Returns a piece of a text, cleaned as the whole text would be: a sequence that began on the same line is known.
pub(super) fn cleaned_piece(text: &str, from: usize, until: usize) -> String {
    let line = text.get(..from).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let (Some(before), Some(all)) = (text.get(line..from), text.get(line..until)) else { return String::new() };
    let cleaned = clean(all);
    cleaned.get(clean(before).len()..).unwrap_or_default().to_owned()
}

impl LinearPrinter {
    /// Prints a call once it is known, and its end; returns whether that is still to come.
    pub(super) fn call(
        &mut self,
        store: &Store,
        item: TranscriptItem<'_>,
        call: &ToolCall,
        known: &mut OpenItem,
        out: &mut String,
    ) -> bool {
        let name = one_line(&call.name, MAX_NAME_CELLS);
        if call.state != CallState::Writing && !std::mem::replace(&mut known.is_begun, true) {
            self.line(&format!("Tool {name}: {}", short_subject(call, MAX_SUBJECT_CELLS)), out);
        }
        let CallState::Done(outcome) = call.state else { return true };
        self.sub_agent(store, call, out);
        let output = clean(&call.output);
        let output = output.trim_end();
        if outcome != CallOutcome::Ok {
            let why = one_line(output.strip_prefix("denied: ").unwrap_or(output), MAX_SUBJECT_CELLS);
            let why = if why.is_empty() { why } else { format!(": {why}") };
            self.line(&format!("Tool {name} {}{why}", outcome.label()), out);
            return false;
        }
        let took = call.duration.map_or(String::new(), |took| format!(" after {}", duration(took)));
        let lines = output.lines().count();
        let told = match lines {
            0 => "no output".to_owned(),
            1 => "1 line of output".to_owned(),
            more => format!("{more} lines of output"),
        };
        self.line(&format!("Tool {name} finished{took}, {told}."), out);
        let most = match store.output_view(item) {
            OutputView::Hidden => return false,
            OutputView::Preview => MAX_FOLDED_LINES,
            OutputView::Full => MAX_OUTPUT_LINES,
        };
        for line in output.lines().take(most) {
            self.line(&one_line_of_output(line), out);
        }
        match lines.saturating_sub(most) {
            0 => {}
            1 => self.line("1 more line.", out),
            more => self.line(&format!("{more} more lines."), out),
        }
        false
    }

    /// Prints what a sub-agent said and called, once it has ended: between what others do it would be hard to follow.
    fn sub_agent(&mut self, store: &Store, call: &ToolCall, out: &mut String) {
        let Some(agent) = store.sub_agents.get(&call.id) else { return };
        let said = Self::new(TextFlow::Paragraphs).news(&agent.store);
        let said = said.trim_end();
        if said.is_empty() {
            return;
        }
        let name = one_line(&sub_agents::label(call), MAX_SUBJECT_CELLS);
        self.line(&format!("Sub-agent begins: {name}"), out);
        let end = said.floor_char_boundary(MAX_SUB_AGENT_BYTES.min(said.len()));
        out.push_str(said.get(..end).unwrap_or_default());
        out.push('\n');
        if end < said.len() {
            self.line("There is more: /agents shows it.", out);
        }
        self.line("Sub-agent ends.", out);
    }
}

/// Keeps the blanks of a line, which may mean something.
fn one_line_of_output(line: &str) -> String {
    let end = line.floor_char_boundary(MAX_OUTPUT_CELLS.min(line.len()));
    line.get(..end).unwrap_or_default().replace('\t', "    ")
}
