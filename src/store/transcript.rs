//! The transcript: items in order, each with a revision that grows with every change. Data only, no layout.

use std::collections::HashMap;

use crate::event::{
    AgentEvent, CallId, LastPart, Level, MessageId, Millis, Role, Stop, Subject, TextKind, TurnEnd, TurnId, Usage,
};

use super::usage::Meters;

/// Notices that leave room for what an untouched transcript shows besides.
const UNTOUCHED: usize = 4;

/// Names an item for ever, wherever it stands. Anchors, heights and caches key on it, never on an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

/// One thing in the transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub id: ItemId,
    /// Grows with every change of this item: the only signal that the view's cache needs.
    pub rev: u32,
    /// When it began, on the session's clock.
    pub at: Millis,
    pub turn: Option<TurnId>,
    pub kind: Kind,
    /// The person's own choice; none follows the general setting.
    pub folded: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Prompt {
        text: String,
    },
    /// A run of the assistant's text. Markdown.
    Answer {
        message: MessageId,
        text: String,
        refusal: bool,
        open: bool,
        stop: Option<Stop>,
    },
    /// A run of reasoning. `took` once it ended.
    Thinking {
        message: MessageId,
        text: String,
        open: bool,
        took: Option<Millis>,
    },
    /// A tool call; all about it is in the tool board.
    Call {
        call: CallId,
    },
    /// Repeats of one code in a row are counted, not listed.
    Notice {
        level: Level,
        code: String,
        text: String,
        count: u32,
    },
    /// The end of a turn, with what it took.
    Ended {
        end: TurnEnd,
        took: Millis,
        usage: Option<Usage>,
        first_token: Option<Millis>,
        /// In dollars, where the price is known.
        cost: Option<f64>,
    },
}

/// Every item since the session began, in order. Only [`Transcript::on`] and the fold switch change it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    items: Vec<Item>,
    /// Ids are given without holes: item `i` has id `base + i`.
    base: u64,
    epoch: u64,
    /// Grows with every change of any item.
    version: u64,
    turn: Option<(TurnId, Millis)>,
    /// How many items there were when the turn began.
    turn_from: usize,
    messages: HashMap<MessageId, OpenMessage>,
    calls: HashMap<CallId, usize>,
    /// Calls of the running turn without an end so far.
    open_calls: Vec<usize>,
}

/// A message between its start and its finish.
#[derive(Clone, Debug, PartialEq)]
struct OpenMessage {
    role: Role,
    /// Indexes of its text runs; reasoning is not among them.
    runs: Vec<usize>,
    /// The run that the next delta of the same voice joins.
    current: Option<(usize, Voice)>,
    /// What came last of it.
    last: LastPart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Text,
    Refusal,
    Reasoning,
}

impl Default for OpenMessage {
    fn default() -> Self {
        Self { role: Role::Assistant, runs: Vec::new(), current: None, last: LastPart::Nothing }
    }
}

impl Voice {
    fn part(self) -> LastPart {
        match self {
            Self::Text => LastPart::Text,
            Self::Refusal => LastPart::Refusal,
            Self::Reasoning => LastPart::Reasoning,
        }
    }
}

impl Transcript {
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Returns where the item stands now. O(1).
    pub fn index_of(&self, id: ItemId) -> Option<usize> {
        let index = usize::try_from(id.0.checked_sub(self.base)?).ok()?;
        (index < self.items.len()).then_some(index)
    }

    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(self.index_of(id)?)
    }

    /// Changes whenever everything was forgotten; ids of an earlier epoch name nothing any more.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Grows with every change of any item.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns from which index on items may still change their texts.
    pub fn open_from(&self) -> usize {
        let last = self.items.len().saturating_sub(1);
        if self.turn.is_some() { self.turn_from.min(last) } else { last }
    }

    /// Gives the ids that follow this number to the items to come; there must be none yet.
    pub(super) fn begin_at(&mut self, base: u64) {
        self.base = base;
    }

    /// Takes the place of a transcript that has only the last of these items: those keep their ids, and the choices that
    /// were made about them. Returns by how much ids grew.
    pub(super) fn take_place_of(&mut self, tail: &Self) -> u64 {
        let by = (tail.base + tail.items.len() as u64).saturating_sub(self.base + self.items.len() as u64);
        self.base += by;
        for item in &mut self.items {
            item.id.0 += by;
        }
        for known in &tail.items {
            let Some(index) = self.index_of(known.id) else { continue };
            if let Some(item) = self.items.get_mut(index) {
                item.folded = known.folded;
                // What was laid out of it is found by its revision.
                item.rev = known.rev;
            }
        }
        self.epoch = tail.epoch;
        self.version += tail.version;
        by
    }

    /// Returns the item that shows a call.
    pub fn item_of(&self, call: &CallId) -> Option<ItemId> {
        Some(self.items.get(*self.calls.get(call)?)?.id)
    }

    /// Forgets everything. Ids go on growing, so that none is ever given twice.
    pub fn reset(&mut self) {
        *self = Self {
            base: self.base + self.items.len() as u64,
            epoch: self.epoch + 1,
            version: self.version + 1,
            ..Self::default()
        };
    }

    /// Records the person's own choice of folding for one item; none is no choice.
    pub fn fold(&mut self, id: ItemId, folded: impl Into<Option<bool>>) {
        if let Some(index) = self.index_of(id) {
            let folded = folded.into();
            self.change(index, |item| item.folded = folded);
        }
    }

    /// Returns whether nothing was said yet: there are at most a few notices.
    pub fn is_untouched(&self) -> bool {
        self.items.len() <= UNTOUCHED && self.items.iter().all(|item| matches!(item.kind, Kind::Notice { .. }))
    }

    /// Adds a notice, or counts it when the last item is one with the same code.
    pub fn notice(&mut self, at: Millis, level: Level, code: &str, text: &str) {
        if let Some(Item { kind: Kind::Notice { level: last, code: same, text: old, count }, rev, .. }) =
            self.items.last_mut()
            && same == code
            && *last == level
        {
            *count = count.saturating_add(1);
            text.clone_into(old);
            *rev = rev.wrapping_add(1);
            self.version += 1;
            return;
        }
        self.push(at, Kind::Notice { level, code: code.into(), text: text.into(), count: 1 });
    }

    /// Folds one fact. Costs O(delta), but for the end of a message, which is O(message).
    pub fn on(&mut self, at: Millis, event: &AgentEvent, usage: &Meters) {
        match event {
            AgentEvent::SessionOpened { .. } | AgentEvent::UsageReported { .. } | AgentEvent::Unknown(_) => {}
            AgentEvent::Annotated { on, .. } => {
                if let Subject::Call(call) = on
                    && let Some(index) = self.calls.get(call).copied()
                {
                    self.touch(index);
                }
            }
            AgentEvent::TurnStarted { turn, parent: _ } => {
                self.turn = Some((turn.clone(), at));
                self.turn_from = self.items.len();
            }
            AgentEvent::UserMessage { message: _, text } => {
                self.push(at, Kind::Prompt { text: text.clone() });
            }
            AgentEvent::MessageStarted { message, role, parent: _ } => {
                self.messages
                    .entry(message.clone())
                    .or_insert(OpenMessage { role: *role, ..OpenMessage::default() })
                    .role = *role;
            }
            AgentEvent::TextDelta { message, text, kind } => {
                let voice = match kind {
                    TextKind::Text => Voice::Text,
                    TextKind::Refusal => Voice::Refusal,
                };
                self.say(at, message, voice, text);
            }
            AgentEvent::ReasoningDelta { message, text } => self.say(at, message, Voice::Reasoning, text),
            AgentEvent::MessageFinished { message, stop, full, carry: _ } => {
                self.finish(at, message, *stop, full.as_deref());
            }
            AgentEvent::ToolCallStarted { call, message, .. } => {
                self.close_run(at, message);
                if let Some(open) = self.messages.get_mut(message) {
                    open.last = LastPart::Call;
                }
                self.on_call(at, call);
            }
            AgentEvent::ToolArgsDelta { call, .. }
            | AgentEvent::ToolCallReady { call, .. }
            | AgentEvent::ApprovalRequested { call, .. }
            | AgentEvent::ApprovalResolved { call, .. }
            | AgentEvent::ToolOutput { call, .. } => {
                self.on_call(at, call);
            }
            AgentEvent::ToolCallFinished { call, .. } => {
                let index = self.on_call(at, call);
                self.open_calls.retain(|open| *open != index);
            }
            AgentEvent::Noticed { level, code, text } => self.notice(at, *level, code, text),
            AgentEvent::TurnFinished { turn: _, end } => self.end_turn(at, end, usage),
        }
    }

    /// Appends text to the message's open run of that voice, or begins one.
    fn say(&mut self, at: Millis, message: &MessageId, voice: Voice, text: &str) {
        if text.is_empty() {
            return;
        }
        let open = self.messages.get(message);
        if let Some((index, current)) = open.and_then(|open| open.current)
            && current == voice
        {
            self.change(index, |item| {
                if let Some(old) = text_of(&mut item.kind) {
                    old.push_str(text);
                }
            });
            return;
        }
        let role = open.map_or(Role::Assistant, |open| open.role);
        self.close_run(at, message);
        let (message_id, text) = (message.clone(), text.to_owned());
        let kind = match (role, voice) {
            (Role::User, _) => Kind::Prompt { text },
            (_, Voice::Reasoning) => Kind::Thinking { message: message_id, text, open: true, took: None },
            (_, Voice::Text | Voice::Refusal) => {
                Kind::Answer { message: message_id, text, refusal: voice == Voice::Refusal, open: true, stop: None }
            }
        };
        let index = self.push(at, kind);
        let open = self.messages.entry(message.clone()).or_default();
        open.last = voice.part();
        open.current = Some((index, voice));
        if voice != Voice::Reasoning {
            open.runs.push(index);
        }
    }

    fn close_run(&mut self, at: Millis, message: &MessageId) {
        let current = self.messages.get_mut(message).and_then(|open| open.current.take());
        if let Some((index, _)) = current {
            self.close_item(at, index);
        }
    }

    fn close_item(&mut self, at: Millis, index: usize) {
        self.change(index, |item| match &mut item.kind {
            Kind::Answer { open, text, .. } => {
                *open = false;
                // It grew by doubling, and is kept for as long as the session.
                text.shrink_to_fit();
            }
            Kind::Thinking { open, took, text, .. } => {
                *open = false;
                text.shrink_to_fit();
                *took = Some(at.since(item.at));
            }
            Kind::Prompt { .. } | Kind::Call { .. } | Kind::Notice { .. } | Kind::Ended { .. } => {}
        });
    }

    fn finish(&mut self, at: Millis, message: &MessageId, stop: Stop, full: Option<&str>) {
        if let Some(full) = full {
            let streamed = self.messages.get(message).is_some_and(|open| !open.runs.is_empty());
            if !streamed {
                self.say(at, message, Voice::Text, full);
            }
        }
        self.close_run(at, message);
        let Some(open) = self.messages.remove(message) else { return };
        if let Some(full) = full {
            self.reconcile(at, &open.runs, full);
        }
        // Text that something came after was not what was cut off.
        let is_last = open.runs.last().is_some_and(|last| last + 1 == self.items.len());
        match (open.runs.last().copied(), stop.remark(open.last)) {
            (Some(last), remark) if is_last || remark.is_none() => {
                self.change(last, |item| {
                    if let Kind::Answer { stop: old, .. } = &mut item.kind {
                        *old = Some(stop);
                    }
                });
            }
            (_, Some((code, text))) if open.role != Role::User && !self.just_said(code) => {
                self.notice(at, Level::Warn, code, text);
            }
            _ => {}
        }
    }

    fn just_said(&self, code: &str) -> bool {
        matches!(self.items.last(), Some(Item { kind: Kind::Notice { code: last, .. }, .. }) if last == code)
    }

    /// Makes the runs say what the wire repeated at the end: runs that agree stay untouched, the first that doesn't
    /// gets the rest, later ones become empty.
    fn reconcile(&mut self, at: Millis, runs: &[usize], full: &str) {
        let mut streamed = String::new();
        for index in runs {
            if let Some(text) = self.items.get_mut(*index).and_then(|item| text_of(&mut item.kind)) {
                streamed.push_str(text);
            }
        }
        if streamed == full {
            return;
        }
        let mut rest = full;
        for (nth, index) in runs.iter().enumerate() {
            let last = nth + 1 == runs.len();
            let Some(text) = self.items.get_mut(*index).and_then(|item| text_of(&mut item.kind)) else { continue };
            if let Some(after) = rest.strip_prefix(text.as_str())
                && !last
            {
                rest = after;
                continue;
            }
            if text != rest {
                let new = std::mem::take(&mut rest).to_owned();
                self.change(*index, |item| {
                    if let Some(old) = text_of(&mut item.kind) {
                        *old = new;
                    }
                });
            }
            rest = "";
        }
        // All of it was taken back: it was reasoning, which is told as such.
        if !full.is_empty() && !full.starts_with(&streamed) && streamed.trim() != full.trim() {
            let text = "the final text differs from what was streamed; the final one is shown";
            self.notice(at, Level::Warn, "rewritten", text);
        }
    }

    fn end_turn(&mut self, at: Millis, end: &TurnEnd, usage: &Meters) {
        let left: Vec<usize> =
            self.messages.drain().filter_map(|(_, open)| open.current.map(|(index, _)| index)).collect();
        for index in left {
            self.close_item(at, index);
        }
        for index in std::mem::take(&mut self.open_calls) {
            self.touch(index);
        }
        let started = self.turn.as_ref().map_or(at, |(_, started)| *started);
        let turn = usage.turn();
        self.push(
            at,
            Kind::Ended {
                end: end.clone(),
                took: at.since(started),
                usage: (turn.total() > 0).then_some(turn),
                first_token: usage.first_token(),
                cost: usage.turn_cost().filter(|_| turn.total() > 0),
            },
        );
        self.turn = None;
    }

    /// Returns the item of a call, made now if the call is new, with its revision grown.
    fn on_call(&mut self, at: Millis, call: &CallId) -> usize {
        if let Some(index) = self.calls.get(call).copied() {
            self.touch(index);
            return index;
        }
        let index = self.push(at, Kind::Call { call: call.clone() });
        self.calls.insert(call.clone(), index);
        self.open_calls.push(index);
        index
    }

    fn push(&mut self, at: Millis, kind: Kind) -> usize {
        let index = self.items.len();
        let turn = self.turn.as_ref().map(|(turn, _)| turn.clone());
        self.version += 1;
        self.items.push(Item { id: ItemId(self.base + index as u64), rev: 0, at, turn, kind, folded: None });
        index
    }

    fn touch(&mut self, index: usize) {
        self.change(index, |_| {});
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut Item)) {
        if let Some(item) = self.items.get_mut(index) {
            change(item);
            item.rev = item.rev.wrapping_add(1);
            self.version += 1;
        }
    }
}

fn text_of(kind: &mut Kind) -> Option<&mut String> {
    match kind {
        Kind::Prompt { text } | Kind::Answer { text, .. } | Kind::Thinking { text, .. } => Some(text),
        Kind::Call { .. } | Kind::Notice { .. } | Kind::Ended { .. } => None,
    }
}

#[cfg(test)]
mod tests;
