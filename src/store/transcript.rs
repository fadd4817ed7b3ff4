//! The transcript: items in order, each with a revision that grows with every change. Data only, no layout.

mod compactions;
mod item;

use std::collections::HashMap;

use crate::event::{
    AgentEvent, Annotation, CallId, FinishReason, LastContent, MessageId, Millis, NoticeCode, NoticeLevel,
    PromptContext, PromptContextKind, Role, Seq, TextKind, TurnId, TurnOutcome,
};

use super::chunks::{ChunkedVec, TextArena};
use super::prompt_images::image_label;
use super::usage::UsageStats;
use crate::text::size;
use item::{ItemBody, ItemRecord, Notice, OpenKind, TurnSummary};

pub use item::{ItemId, ItemKind, Items, TranscriptItem};

/// Notices that leave room for what an untouched transcript shows besides.
const MAX_UNTOUCHED_NOTICES: usize = 4;

/// Every item since the session began, in order. Only [`Transcript::on_event`] and the fold switch change it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    records: ChunkedVec<ItemRecord>,
    /// What was said, once it is complete.
    texts: TextArena,
    /// Ids are given without holes: item `i` has id `base + i`.
    base: u64,
    epoch: u64,
    /// Grows with every change of any item.
    version: u64,
    /// When the running turn began.
    turn: Option<Millis>,
    /// How many items there were when the turn began.
    turn_start: usize,
    messages: HashMap<MessageId, OpenMessage>,
    /// The turns that had a prompt, each with the item of its first.
    prompts: Vec<(TurnId, u32)>,
    /// The turn that runs.
    turn_id: Option<TurnId>,
    /// Compactions that were not undone.
    compactions: Vec<usize>,
    /// Calls of the running turn without an end so far.
    open_calls: Vec<usize>,
    /// What the person chose to fold or to unfold; few items have a choice.
    folds: HashMap<ItemId, bool>,
    /// The last event that was folded in.
    seq: u32,
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
    pub fn items(&self) -> Items<'_> {
        Items::new(self)
    }

    /// Returns where the item stands now. O(1).
    pub fn index_of(&self, id: ItemId) -> Option<usize> {
        let index = usize::try_from(id.0.checked_sub(self.base)?).ok()?;
        (index < self.records.len()).then_some(index)
    }

    pub fn item(&self, id: ItemId) -> Option<TranscriptItem<'_>> {
        self.items().get(self.index_of(id)?)
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
        let last = self.records.len().saturating_sub(1);
        if self.turn.is_some() { self.turn_start.min(last) } else { last }
    }

    /// Returns whether the item's text may still change: the turn runs that said it.
    pub fn may_change(&self, id: ItemId) -> bool {
        self.turn.is_some() && self.index_of(id).is_some_and(|index| index >= self.turn_start)
    }

    /// Gives the ids that follow this number to the items to come; there must be none yet.
    pub(super) fn set_base_id(&mut self, base: u64) {
        self.base = base;
    }

    /// Takes the place of a transcript that has only the last of these items: those keep their ids, and the choices that
    /// were made about them. Returns by how much ids grew.
    pub(super) fn adopt_tail(&mut self, tail: &Self) -> u64 {
        let by = (tail.base + tail.records.len() as u64).saturating_sub(self.base + self.records.len() as u64);
        self.base += by;
        for known in tail.items().iter() {
            let Some(index) = self.index_of(known.id) else { continue };
            if let Some(record) = self.records.get_mut(index) {
                // What was laid out of it is found by its revision.
                record.rev = known.rev;
            }
        }
        self.folds.clone_from(&tail.folds);
        self.epoch = tail.epoch;
        self.version += tail.version;
        by
    }

    /// Forgets everything. Ids go on growing, so that none is ever given twice.
    pub fn reset(&mut self) {
        *self = Self {
            base: self.base + self.records.len() as u64,
            epoch: self.epoch + 1,
            version: self.version + 1,
            ..Self::default()
        };
    }

    /// Returns the item that an event began or went into: the last that began with it or before.
    pub fn item_of_event(&self, seq: Seq) -> Option<TranscriptItem<'_>> {
        let seq = u32::try_from(seq.0).unwrap_or(u32::MAX);
        let began = |index: usize| self.records.get(index).map_or(0, |record| record.seq);
        let (mut low, mut high) = (0, self.records.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if began(middle) < seq { low = middle + 1 } else { high = middle }
        }
        let is_first = low < self.records.len() && began(low) == seq;
        self.items().get(if is_first { low } else { low.checked_sub(1)? })
    }

    /// Records the person's own choice of folding for one item; none is no choice.
    pub fn fold(&mut self, id: ItemId, folded: impl Into<Option<bool>>) {
        if let Some(index) = self.index_of(id) {
            match folded.into() {
                Some(folded) => self.folds.insert(id, folded),
                None => self.folds.remove(&id),
            };
            self.touch(index);
        }
    }

    /// Takes back what the person chose for calls: they follow the general setting again.
    pub fn forget_call_folds(&mut self) {
        let is_call = |id: ItemId| self.item(id).is_some_and(|item| matches!(item.kind, ItemKind::Call { .. }));
        let chosen: Vec<ItemId> = self.folds.keys().copied().filter(|id| is_call(*id)).collect();
        for id in chosen {
            self.fold(id, None);
        }
    }

    /// Returns whether nothing was said yet: there are at most a few notices.
    pub fn is_untouched(&self) -> bool {
        self.records.len() <= MAX_UNTOUCHED_NOTICES
            && self.items().iter().all(|item| matches!(item.kind, ItemKind::Notice { .. }))
    }

    /// Adds a notice, or counts it when the last item is one with the same code.
    pub fn notice(&mut self, at: Millis, level: NoticeLevel, code: NoticeCode, text: &str) {
        if let Some(ItemRecord { body: ItemBody::Notice(last), rev, .. }) = self.records.last_mut()
            && (last.level, &last.code) == (level, &code)
            && !matches!(code, NoticeCode::Note | NoticeCode::PromptContext)
        {
            last.count = last.count.saturating_add(1);
            text.clone_into(&mut last.text);
            *rev = rev.wrapping_add(1);
            self.version += 1;
            return;
        }
        let notice = Notice { level, code, text: text.to_owned(), count: 1 };
        self.push(at, ItemBody::Notice(Box::new(notice)));
    }

    /// Notes the number of the event that is folded in next.
    pub(super) fn set_seq(&mut self, seq: Seq) {
        self.seq = u32::try_from(seq.0).unwrap_or(u32::MAX);
    }

    /// Folds one fact. Costs O(delta), but for the end of a message, which is O(message). `shown` is the item of the call
    /// that the fact is about, unless the call is new.
    pub fn on_event(&mut self, at: Millis, event: &AgentEvent, shown: Option<ItemId>, usage: &UsageStats) {
        let shown = shown.and_then(|item| self.index_of(item));
        match event {
            AgentEvent::SessionOpened { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Unknown(_) => {}
            AgentEvent::Annotation { annotation: Annotation::PromptContext(context), .. } => {
                self.notice(at, NoticeLevel::Info, NoticeCode::PromptContext, &describe_context(context));
            }
            AgentEvent::Annotation { annotation: Annotation::Author(author), .. } => {
                self.notice(at, NoticeLevel::Info, NoticeCode::PromptContext, &format!("typed by {author}"));
            }
            AgentEvent::Annotation { .. } => {
                if let Some(index) = shown {
                    self.touch(index);
                }
            }
            AgentEvent::TurnStarted { turn, parent: _ } => {
                self.turn = Some(at);
                self.turn_id = Some(turn.clone());
                self.turn_start = self.records.len();
            }
            AgentEvent::UserMessage { message: _, text } => {
                let text = self.texts.push(text);
                let index = self.push(at, ItemBody::Prompt { text });
                if let Some(turn) = self.turn_id.take() {
                    self.prompts.push((turn, u32::try_from(index).unwrap_or(u32::MAX)));
                }
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
                self.on_call(at, call, shown);
            }
            AgentEvent::ToolArgsDelta { call, .. }
            | AgentEvent::ToolCallReady { call, .. }
            | AgentEvent::ApprovalRequested { call, .. }
            | AgentEvent::ApprovalResolved { call, .. }
            | AgentEvent::ToolOutput { call, .. } => {
                self.on_call(at, call, shown);
            }
            AgentEvent::ToolCallFinished { call, .. } => {
                let index = self.on_call(at, call, shown);
                self.open_calls.retain(|open| *open != index);
            }
            AgentEvent::Compacted(compaction) => self.compact(at, compaction),
            AgentEvent::CompactionUndone { through } => self.undo_compaction(through),
            AgentEvent::Notice { level, code, text } => self.notice(at, *level, code.clone(), text),
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
            self.change(index, |record, _| {
                if let ItemBody::Open { text: so_far, .. } = &mut record.body {
                    so_far.push_str(text);
                }
            });
            return;
        }
        let role = open.map_or(Role::Assistant, |open| open.role);
        self.close_run(at, message);
        let kind = match (role, voice) {
            (Role::User, _) => OpenKind::Prompt,
            (_, RunKind::Reasoning) => OpenKind::Thinking,
            (_, RunKind::Text) => OpenKind::Answer { is_refusal: false },
            (_, RunKind::Refusal) => OpenKind::Answer { is_refusal: true },
        };
        let body = ItemBody::Open { kind, text: Box::new(text.to_owned()) };
        let index = self.push(at, body);
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
        self.change(index, |record, texts| {
            let ItemBody::Open { kind, text } = &record.body else { return };
            let (kind, text) = (*kind, texts.push(text));
            record.body = match kind {
                OpenKind::Prompt => ItemBody::Prompt { text },
                OpenKind::Answer { is_refusal } => ItemBody::Answer { text, is_refusal, finish_reason: None },
                OpenKind::Thinking => ItemBody::Thinking { text, duration: at.since(record.at) },
            };
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
        let is_last = open.runs.last().is_some_and(|last| last + 1 == self.records.len());
        match (open.runs.last().copied(), stop.explanation(open.last)) {
            (Some(last), remark) if is_last || remark.is_none() => {
                self.change(last, |record, _| {
                    if let ItemBody::Answer { finish_reason, .. } = &mut record.body {
                        *finish_reason = Some(stop);
                    }
                });
            }
            (_, Some((code, text))) if open.role != Role::User && !self.repeats_last_notice(&code) => {
                self.notice(at, NoticeLevel::Warn, code, text);
            }
            _ => {}
        }
    }

    fn repeats_last_notice(&self, code: &NoticeCode) -> bool {
        matches!(&self.records.last(), Some(ItemRecord { body: ItemBody::Notice(last), .. }) if last.code == *code)
    }

    /// Makes the runs say what the wire repeated at the end: runs that agree stay untouched, the first that doesn't
    /// gets the rest, later ones become empty.
    fn reconcile(&mut self, at: Millis, runs: &[usize], full: &str) {
        let streamed: String = runs.iter().map(|index| self.text_at(*index)).collect();
        if streamed == full {
            return;
        }
        let mut rest = full;
        for (nth, index) in runs.iter().enumerate() {
            let last = nth + 1 == runs.len();
            let text = self.text_at(*index);
            if let Some(after) = rest.strip_prefix(text)
                && !last
            {
                rest = after;
                continue;
            }
            if text != rest {
                let new = std::mem::take(&mut rest);
                self.change(*index, |record, texts| record.replace_text(texts, new));
            }
            rest = "";
        }
        // All of it was taken back: it was reasoning, which is told as such.
        if !full.is_empty() && !full.starts_with(&streamed) && streamed.trim() != full.trim() {
            let text = "the final text differs from the streamed one; the final one is shown";
            self.notice(at, NoticeLevel::Warn, NoticeCode::Rewritten, text);
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
        let started = self.turn.take().unwrap_or(at);
        let turn = usage.turn();
        let summary = TurnSummary {
            outcome: end.clone(),
            duration: at.since(started),
            usage: (turn.total() > 0).then_some(turn),
            first_token: usage.first_token(),
            cost: usage.turn_cost().filter(|_| turn.total() > 0),
        };
        self.push(at, ItemBody::TurnSummary(Box::new(summary)));
    }

    /// Returns the item of a call, made now if the call is new, with its revision grown.
    fn on_call(&mut self, at: Millis, call: &CallId, shown: Option<usize>) -> usize {
        if let Some(index) = shown {
            self.touch(index);
            return index;
        }
        let index = self.push(at, ItemBody::Call(call.clone()));
        self.open_calls.push(index);
        index
    }

    fn push(&mut self, at: Millis, body: ItemBody) -> usize {
        let index = self.records.len();
        self.version += 1;
        self.records.push(ItemRecord { at, body, rev: 0, seq: self.seq });
        index
    }

    fn id_at(&self, index: usize) -> ItemId {
        ItemId(self.base + index as u64)
    }

    fn text_at(&self, index: usize) -> &str {
        self.records.get(index).map_or("", |record| record.text(&self.texts))
    }

    /// What is shown of an item changed.
    pub(super) fn touch_item(&mut self, item: ItemId) {
        if let Some(index) = self.index_of(item) {
            self.touch(index);
        }
    }

    fn touch(&mut self, index: usize) {
        self.change(index, |_, _| {});
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut ItemRecord, &mut TextArena)) {
        if let Some(record) = self.records.get_mut(index) {
            change(record, &mut self.texts);
            record.rev = record.rev.wrapping_add(1);
            self.version += 1;
        }
    }
}

/// Says what went with a prompt.
fn describe_context(context: &[PromptContext]) -> String {
    let describe = |part: &PromptContext| {
        let bytes = size(part.text.len() as u64);
        match &part.kind {
            PromptContextKind::File => format!("{} ({bytes})", part.name),
            PromptContextKind::Folder => format!("the listing of {} ({bytes})", part.name),
            PromptContextKind::Command => format!("the output of {} ({bytes})", part.name),
            PromptContextKind::Image(image) => image_label(&part.name, image),
        }
    };
    format!("with {}", context.iter().map(describe).collect::<Vec<_>>().join(" · "))
}

#[cfg(test)]
mod tests;
