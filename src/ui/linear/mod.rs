//! The session as lines of text, for a terminal that can't be painted and for a screen reader: every item once, in its
//! order, with a label that says what it is.
//!
//! ```text
//! You: …            what others sent, or what waited in the queue
//! Assistant: …      as it comes, or a paragraph at a time
//! Tool shell: ls    and how it ended, below what was said meanwhile
//! Notice: …         Warning, Error, Connection likewise
//! Turn finished …
//! ```
//!
//! Not here: the questions ([`question`]), and the line that is being typed (`app/linear`). Invariants: what was given out
//! is never given out again nor taken back; everything from outside is cleaned.

mod items;
pub mod line_wrap;
pub mod question;

use std::mem::{Discriminant, discriminant};

use crate::event::{LinkState, NoticeLevel, PlanEntry};
use crate::store::Store;
use crate::store::plan::Plan;
use crate::store::transcript::{ItemId, ItemKind, TranscriptItem};
use crate::text::{clean, one_line};
use crate::ui::panes::item::compaction_line;
use crate::ui::panes::status_line;

/// Cells of a line about something.
const MAX_LINE_CELLS: usize = 400;

/// How a text that is still being written comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFlow {
    AsItComes,
    /// Whole paragraphs: a screen reader reads them as one.
    Paragraphs,
}

/// What of a session was printed.
#[derive(Debug)]
pub struct LinearPrinter {
    flow: TextFlow,
    epoch: u64,
    /// The first item that was not looked at.
    next: u64,
    /// Items that were begun and have not ended.
    open: Vec<OpenItem>,
    /// The item whose text stands on the line that is not ended.
    line_of: Option<ItemId>,
    /// The item whose text was printed last, if nothing was since.
    last_text: Option<ItemId>,
    /// A prompt that was typed here just now stands there already.
    typed_prompt: Option<String>,
    toast: Option<(NoticeLevel, String)>,
    link: Discriminant<LinkState>,
    /// The last place that was asked for and shown.
    place_serial: u64,
    queued: usize,
    /// The plan as it was told last, and how often the person had asked for it.
    plan: Vec<PlanEntry>,
    plan_requests: u32,
}

/// An item that goes on.
#[derive(Debug)]
struct OpenItem {
    id: ItemId,
    /// Bytes of its text that were printed.
    printed: usize,
    /// The last of them: whether the text is still the same.
    tail: String,
    /// What begins its text, or its call, was printed.
    is_begun: bool,
    /// Something else was printed before.
    is_corrected: bool,
    /// How often a notice was told when it was printed.
    count: u32,
}

impl OpenItem {
    fn new(id: ItemId) -> Self {
        Self { id, printed: 0, tail: String::new(), is_begun: false, is_corrected: false, count: 0 }
    }
}

impl LinearPrinter {
    pub fn new(flow: TextFlow) -> Self {
        Self {
            flow,
            epoch: 0,
            next: 0,
            open: Vec::new(),
            line_of: None,
            last_text: None,
            typed_prompt: None,
            toast: None,
            link: discriminant(&LinkState::Idle),
            place_serial: 0,
            queued: 0,
            plan: Vec::new(),
            plan_requests: 0,
        }
    }

    /// Goes on with the last prompt: what is before was said in an earlier run.
    pub fn skip_past(&mut self, store: &Store) {
        let items = store.transcript.items();
        let last = items.iter().rev().find(|item| matches!(item.kind, ItemKind::Prompt { .. })).or(items.first());
        if let Some(last) = last {
            self.next = self.next.max(last.id.0);
        }
        self.open.clear();
    }

    /// A line was typed and sent; if it is a prompt that is answered at once, it is not printed a second time.
    pub fn on_typed(&mut self, text: &str, is_answered: bool) {
        if is_answered {
            self.typed_prompt = Some(text.to_owned());
        }
        self.toast = None;
    }

    /// Returns whether a line is begun and not ended.
    pub fn is_line_open(&self) -> bool {
        self.line_of.is_some()
    }

    /// Somebody else has ended the line.
    pub fn on_line_ended(&mut self) {
        (self.line_of, self.last_text) = (None, None);
    }

    /// Returns what is new.
    pub fn news(&mut self, store: &Store) -> String {
        let mut out = String::new();
        let transcript = &store.transcript;
        if self.epoch != transcript.epoch() {
            self.epoch = transcript.epoch();
            self.open.clear();
            self.end_line(&mut out);
        }
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|known| match transcript.item(known.id) {
            Some(item) => self.go_on(store, item, known, &mut out),
            None => false,
        });
        self.open = open;
        if let Some(first) = transcript.items().first() {
            self.next = self.next.max(first.id.0);
        }
        while let Some(item) = transcript.item(ItemId(self.next)) {
            self.next += 1;
            let mut begun = OpenItem::new(item.id);
            if self.go_on(store, item, &mut begun, &mut out) {
                self.open.push(begun);
            }
        }
        self.add_surroundings(store, &mut out);
        out
    }

    /// Tells what is no item: messages to the person, the state of the line, the queue, a place that was asked for.
    fn add_surroundings(&mut self, store: &Store, out: &mut String) {
        if self.toast != store.toast {
            self.toast.clone_from(&store.toast);
            if let Some((level, text)) = &store.toast {
                self.line(&format!("{}: {}", items::level_label(*level), one_line(text, MAX_LINE_CELLS)), out);
            }
        }
        let link = &store.session.status.link;
        if self.link != discriminant(link) {
            self.link = discriminant(link);
            let is_news = match link {
                LinkState::Idle | LinkState::Connecting | LinkState::Waiting { .. } | LinkState::Live => false,
                LinkState::Loading { .. }
                | LinkState::Silent { .. }
                | LinkState::Unproductive { .. }
                | LinkState::Retrying { .. }
                | LinkState::Lost(_) => true,
            };
            if let Some((text, _)) = status_line::link(link, store.session.now).filter(|_| is_news) {
                self.line(&format!("Connection: {text}"), out);
            }
        }
        let queued = store.session.queue().len();
        if queued > self.queued {
            let what = if queued == 1 { "1 prompt waits".to_owned() } else { format!("{queued} prompts wait") };
            self.line(&format!("Notice: {what} for the turn to end"), out);
        }
        self.queued = queued;
        self.add_plan(&store.plan, out);
        let place = store.focus.requested_place;
        if place.serial != self.place_serial {
            self.place_serial = place.serial;
            if let Some(item) = place.item.and_then(|item| store.transcript.item(item)) {
                let text = clean(item.kind.text());
                self.end_line(out);
                out.push_str(text.trim_end());
                out.push('\n');
            }
        }
    }

    /// Tells a plan that is another one in full, and of the same one how far it is.
    fn add_plan(&mut self, plan: &Plan, out: &mut String) {
        let is_asked = std::mem::replace(&mut self.plan_requests, plan.requests()) != plan.requests();
        if plan.entries() == self.plan && !is_asked {
            return;
        }
        let texts = |entries: &[PlanEntry]| entries.iter().map(|entry| entry.text.clone()).collect::<Vec<_>>();
        let is_same = texts(plan.entries()) == texts(&self.plan);
        self.plan = plan.entries().to_vec();
        if plan.entries().is_empty() {
            return;
        }
        let now = plan.current_text().map_or(String::new(), |text| format!(" Now: {}", one_line(text, MAX_LINE_CELLS)));
        self.line(&format!("Plan: {} of {} done.{now}", plan.done_count(), plan.entries().len()), out);
        for (nth, entry) in plan.entries().iter().enumerate().filter(|_| !is_same || is_asked) {
            let text = one_line(&entry.text, MAX_LINE_CELLS);
            self.line(&format!("Plan step {}, {}: {text}", nth + 1, entry.state.label()), out);
        }
    }

    fn end_line(&mut self, out: &mut String) {
        if self.line_of.take().is_some() {
            out.push('\n');
        }
    }

    /// Adds a line of its own.
    fn line(&mut self, text: &str, out: &mut String) {
        self.end_line(out);
        self.last_text = None;
        out.push_str(text);
        out.push('\n');
    }

    /// Prints what is new of an item; returns whether it may go on.
    fn go_on(&mut self, store: &Store, item: TranscriptItem<'_>, known: &mut OpenItem, out: &mut String) -> bool {
        match item.kind {
            ItemKind::Prompt { text } => {
                let typed = self.typed_prompt.take_if(|typed| typed.trim() == text.trim());
                if typed.is_none() {
                    self.line(&format!("You: {}", clean(text).trim_end()), out);
                }
                false
            }
            ItemKind::Answer { text, is_refusal, open, .. } => {
                let label = if is_refusal { "Assistant, declining" } else { "Assistant" };
                self.text(label, text, open, known, out);
                // The end of a message may correct what was said before a call.
                open || store.transcript.may_change(item.id)
            }
            ItemKind::Thinking { duration: None, .. } => {
                if !std::mem::replace(&mut known.is_begun, true) {
                    self.line("Assistant is thinking.", out);
                }
                true
            }
            ItemKind::Thinking { text, .. } => {
                if !store.is_folded(item) {
                    known.is_begun = false;
                    self.text("Thinking", text, false, known, out);
                }
                false
            }
            ItemKind::Call { call } => match store.tool_calls.get(call) {
                Some(call) => self.call(store, item, call, known, out),
                None => false,
            },
            ItemKind::Notice { level, text, count, .. } => {
                if count != known.count {
                    known.count = count;
                    self.line(&format!("{}: {}", items::level_label(level), clean(text).trim_end()), out);
                }
                // The next one like it is counted, not added.
                store.transcript.items().last().is_some_and(|last| last.id == item.id)
            }
            ItemKind::Compaction { compaction, is_undone, .. } => {
                self.line(&format!("Compaction, {}.", compaction_line(compaction, is_undone).0), out);
                false
            }
            ItemKind::TurnSummary { outcome, duration, usage, .. } => {
                self.line(&items::turn_end(outcome, duration, usage), out);
                out.push('\n');
                false
            }
        }
    }

    /// Prints what is new of a text.
    fn text(&mut self, label: &str, text: &str, open: bool, known: &mut OpenItem, out: &mut String) {
        let is_same = text.get(..known.printed).is_some_and(|before| before.ends_with(&known.tail));
        if !is_same {
            // The server has said at its end what it meant.
            (known.printed, known.is_begun) = (0, false);
            self.end_line(out);
            known.is_corrected = true;
        }
        let until = match (open, self.flow) {
            (false, _) => text.trim_end().len(),
            (true, TextFlow::AsItComes) => text.len(),
            (true, TextFlow::Paragraphs) => text.rfind("\n\n").map_or(0, |at| at + 1),
        };
        let piece = items::cleaned_piece(text, known.printed, until);
        if until > known.printed {
            known.printed = until;
            let start = text.floor_char_boundary(until.saturating_sub(items::TAIL_BYTES));
            text.get(start..until).unwrap_or_default().clone_into(&mut known.tail);
        }
        let goes_on = known.is_begun && self.last_text == Some(known.id);
        let piece = if goes_on { piece.as_str() } else { piece.trim_start_matches('\n') };
        if !piece.is_empty() && (goes_on || !piece.trim().is_empty()) {
            if !goes_on {
                self.end_line(out);
                out.push_str(label);
                if known.is_corrected {
                    out.push_str(", corrected");
                }
                out.push_str(if known.is_begun { ", continued: " } else { ": " });
            }
            known.is_begun = true;
            out.push_str(piece);
            self.last_text = Some(known.id);
            self.line_of = (!piece.ends_with('\n')).then_some(known.id);
        }
        if !open && self.line_of == Some(known.id) {
            self.end_line(out);
        }
    }
}

#[cfg(test)]
mod tests;
