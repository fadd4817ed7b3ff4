//! The transcript: items in order, each with a revision that grows with every change. Data only, no layout.

use std::collections::HashMap;

use crate::event::{
    AgentEvent, AnnotationTarget, CallId, FinishReason, LastContent, MessageId, Millis, NoticeLevel, Role, TextKind,
    TurnId, TurnOutcome, Usage,
};

use super::usage::UsageStats;

/// Notices that leave room for what an untouched transcript shows besides.
const MAX_UNTOUCHED_NOTICES: usize = 4;

/// Names an item for ever, wherever it stands. Anchors, heights and caches key on it, never on an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

/// One thing in the transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct TranscriptItem {
    pub id: ItemId,
    /// Grows with every change of this item: the only signal that the view's cache needs.
    pub rev: u32,
    /// When it began, on the session's clock.
    pub at: Millis,
    pub turn: Option<TurnId>,
    pub kind: ItemKind,
    /// The person's own choice; none follows the general setting.
    pub folded: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    Prompt {
        text: String,
    },
    /// A run of the assistant's text. Markdown.
    Answer {
        message: MessageId,
        text: String,
        is_refusal: bool,
        open: bool,
        finish_reason: Option<FinishReason>,
    },
    /// A run of reasoning. `duration` once it ended.
    Thinking {
        message: MessageId,
        text: String,
        open: bool,
        duration: Option<Millis>,
    },
    /// A tool call; all about it is in the tool board.
    Call {
        call: CallId,
    },
    /// Repeats of one code in a row are counted, not listed.
    Notice {
        level: NoticeLevel,
        code: String,
        text: String,
        count: u32,
    },
    /// The end of a turn, with what it took.
    TurnSummary {
        outcome: TurnOutcome,
        duration: Millis,
        usage: Option<Usage>,
        first_token: Option<Millis>,
        /// In dollars, where the price is known.
        cost: Option<f64>,
    },
}

/// Every item since the session began, in order. Only [`Transcript::on_event`] and the fold switch change it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    items: Vec<TranscriptItem>,
    /// Ids are given without holes: item `i` has id `base + i`.
    base: u64,
    epoch: u64,
    /// Grows with every change of any item.
    version: u64,
    turn: Option<(TurnId, Millis)>,
    /// How many items there were when the turn began.
    turn_start: usize,
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
    current: Option<(usize, RunKind)>,
    /// What came last of it.
    last: LastContent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunKind {
    Text,
    Refusal,
    Reasoning,
}

impl Default for OpenMessage {
    fn default() -> Self {
        Self { role: Role::Assistant, runs: Vec::new(), current: None, last: LastContent::Nothing }
    }
}

impl RunKind {
    fn part(self) -> LastContent {
        match self {
            Self::Text => LastContent::Text,
            Self::Refusal => LastContent::Refusal,
            Self::Reasoning => LastContent::Reasoning,
        }
    }
}

impl Transcript {
    pub fn items(&self) -> &[TranscriptItem] {
        &self.items
    }

    /// Returns where the item stands now. O(1).
    pub fn index_of(&self, id: ItemId) -> Option<usize> {
        let index = usize::try_from(id.0.checked_sub(self.base)?).ok()?;
        (index < self.items.len()).then_some(index)
    }

    pub fn item(&self, id: ItemId) -> Option<&TranscriptItem> {
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
        if self.turn.is_some() { self.turn_start.min(last) } else { last }
    }

    /// Gives the ids that follow this number to the items to come; there must be none yet.
    pub(super) fn set_base_id(&mut self, base: u64) {
        self.base = base;
    }

    /// Takes the place of a transcript that has only the last of these items: those keep their ids, and the choices that
    /// were made about them. Returns by how much ids grew.
    pub(super) fn adopt_tail(&mut self, tail: &Self) -> u64 {
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
        self.items.len() <= MAX_UNTOUCHED_NOTICES
            && self.items.iter().all(|item| matches!(item.kind, ItemKind::Notice { .. }))
    }

    /// Adds a notice, or counts it when the last item is one with the same code.
    pub fn notice(&mut self, at: Millis, level: NoticeLevel, code: &str, text: &str) {
        if let Some(TranscriptItem {
            kind: ItemKind::Notice { level: last, code: same, text: old, count }, rev, ..
        }) = self.items.last_mut()
            && same == code
            && *last == level
        {
            *count = count.saturating_add(1);
            text.clone_into(old);
            *rev = rev.wrapping_add(1);
            self.version += 1;
            return;
        }
        self.push(at, ItemKind::Notice { level, code: code.into(), text: text.into(), count: 1 });
    }

    /// Folds one fact. Costs O(delta), but for the end of a message, which is O(message).
    pub fn on_event(&mut self, at: Millis, event: &AgentEvent, usage: &UsageStats) {
        match event {
            AgentEvent::SessionOpened { .. } | AgentEvent::UsageReported { .. } | AgentEvent::Unknown(_) => {}
            AgentEvent::Annotation { on, .. } => {
                if let AnnotationTarget::Call(call) = on
                    && let Some(index) = self.calls.get(call).copied()
                {
                    self.touch(index);
                }
            }
            AgentEvent::TurnStarted { turn, parent: _ } => {
                self.turn = Some((turn.clone(), at));
                self.turn_start = self.items.len();
            }
            AgentEvent::UserMessage { message: _, text } => {
                self.push(at, ItemKind::Prompt { text: text.clone() });
            }
            AgentEvent::MessageStarted { message, role, parent: _ } => {
                self.messages
                    .entry(message.clone())
                    .or_insert(OpenMessage { role: *role, ..OpenMessage::default() })
                    .role = *role;
            }
            AgentEvent::TextDelta { message, text, kind } => {
                let voice = match kind {
                    TextKind::Text => RunKind::Text,
                    TextKind::Refusal => RunKind::Refusal,
                };
                self.append_text(at, message, voice, text);
            }
            AgentEvent::ReasoningDelta { message, text } => self.append_text(at, message, RunKind::Reasoning, text),
            AgentEvent::MessageFinished { message, finish_reason: stop, full_text: full, provider_metadata: _ } => {
                self.finish_message(at, message, *stop, full.as_deref());
            }
            AgentEvent::ToolCallStarted { call, message, .. } => {
                self.close_run(at, message);
                if let Some(open) = self.messages.get_mut(message) {
                    open.last = LastContent::Call;
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
            AgentEvent::Notice { level, code, text } => self.notice(at, *level, code, text),
            AgentEvent::TurnFinished { turn: _, outcome: end } => self.end_turn(at, end, usage),
        }
    }

    /// Appends text to the message's open run of that voice, or begins one.
    fn append_text(&mut self, at: Millis, message: &MessageId, voice: RunKind, text: &str) {
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
            (Role::User, _) => ItemKind::Prompt { text },
            (_, RunKind::Reasoning) => ItemKind::Thinking { message: message_id, text, open: true, duration: None },
            (_, RunKind::Text | RunKind::Refusal) => ItemKind::Answer {
                message: message_id,
                text,
                is_refusal: voice == RunKind::Refusal,
                open: true,
                finish_reason: None,
            },
        };
        let index = self.push(at, kind);
        let open = self.messages.entry(message.clone()).or_default();
        open.last = voice.part();
        open.current = Some((index, voice));
        if voice != RunKind::Reasoning {
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
            ItemKind::Answer { open, text, .. } => {
                *open = false;
                // It grew by doubling, and is kept for as long as the session.
                text.shrink_to_fit();
            }
            ItemKind::Thinking { open, duration: took, text, .. } => {
                *open = false;
                text.shrink_to_fit();
                *took = Some(at.since(item.at));
            }
            ItemKind::Prompt { .. }
            | ItemKind::Call { .. }
            | ItemKind::Notice { .. }
            | ItemKind::TurnSummary { .. } => {}
        });
    }

    fn finish_message(&mut self, at: Millis, message: &MessageId, stop: FinishReason, full: Option<&str>) {
        if let Some(full) = full {
            let streamed = self.messages.get(message).is_some_and(|open| !open.runs.is_empty());
            if !streamed {
                self.append_text(at, message, RunKind::Text, full);
            }
        }
        self.close_run(at, message);
        let Some(open) = self.messages.remove(message) else { return };
        if let Some(full) = full {
            self.reconcile(at, &open.runs, full);
        }
        // Text that something came after was not what was cut off.
        let is_last = open.runs.last().is_some_and(|last| last + 1 == self.items.len());
        match (open.runs.last().copied(), stop.explanation(open.last)) {
            (Some(last), remark) if is_last || remark.is_none() => {
                self.change(last, |item| {
                    if let ItemKind::Answer { finish_reason: old, .. } = &mut item.kind {
                        *old = Some(stop);
                    }
                });
            }
            (_, Some((code, text))) if open.role != Role::User && !self.repeats_last_notice(code) => {
                self.notice(at, NoticeLevel::Warn, code, text);
            }
            _ => {}
        }
    }

    fn repeats_last_notice(&self, code: &str) -> bool {
        matches!(self.items.last(), Some(TranscriptItem { kind: ItemKind::Notice { code: last, .. }, .. }) if last == code)
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
            let text = "the final text differs from the streamed one; the final one is shown";
            self.notice(at, NoticeLevel::Warn, "rewritten", text);
        }
    }

    fn end_turn(&mut self, at: Millis, end: &TurnOutcome, usage: &UsageStats) {
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
            ItemKind::TurnSummary {
                outcome: end.clone(),
                duration: at.since(started),
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
        let index = self.push(at, ItemKind::Call { call: call.clone() });
        self.calls.insert(call.clone(), index);
        self.open_calls.push(index);
        index
    }

    fn push(&mut self, at: Millis, kind: ItemKind) -> usize {
        let index = self.items.len();
        let turn = self.turn.as_ref().map(|(turn, _)| turn.clone());
        self.version += 1;
        self.items.push(TranscriptItem { id: ItemId(self.base + index as u64), rev: 0, at, turn, kind, folded: None });
        index
    }

    fn touch(&mut self, index: usize) {
        self.change(index, |_| {});
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut TranscriptItem)) {
        if let Some(item) = self.items.get_mut(index) {
            change(item);
            item.rev = item.rev.wrapping_add(1);
            self.version += 1;
        }
    }
}

fn text_of(kind: &mut ItemKind) -> Option<&mut String> {
    match kind {
        ItemKind::Prompt { text } | ItemKind::Answer { text, .. } | ItemKind::Thinking { text, .. } => Some(text),
        ItemKind::Call { .. } | ItemKind::Notice { .. } | ItemKind::TurnSummary { .. } => None,
    }
}

#[cfg(test)]
mod tests;
