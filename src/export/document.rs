//! PURE. A session folded into what a reader goes through: prompts, answers, reasoning, calls, remarks, ends of turns, in the
//! order in which each began, with its times.
//!
//! Unlike the screen's transcript nothing is cut, a sub-agent's work stands among the rest, and each text knows how it
//! grew, so that a player can show any moment. All texts are raw; who writes them into a format cleans them.

mod calls;
mod texts;

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, Compaction, Envelope, FinishReason, Json, MessageId,
    Millis, NoticeCode, NoticeLevel, PlanEntry, PromptContext, Role, Seq, TurnOutcome, Usage,
};
use crate::store::usage::UsageStats;

pub(super) use calls::DocumentCall;
use texts::OpenRuns;

/// A session to be read.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// What the person called it, else the first line of the first prompt.
    pub(super) title: Option<String>,
    pub(super) items: Vec<DocumentItem>,
    pub(super) turns: u32,
    pub(super) usage: Option<Usage>,
    /// US dollars, where all prices are known and it cost anything.
    pub(super) cost: Option<f64>,
    /// When the last event came.
    pub(super) length: Millis,
    /// The newest event.
    pub(super) last_seq: Seq,
    /// The last turn has no end.
    pub(super) is_open: bool,
}

#[derive(Debug)]
pub(super) struct DocumentItem {
    /// The event that it began with.
    pub(super) seq: Seq,
    pub(super) at: Millis,
    /// When it changed last.
    pub(super) until: Millis,
    /// How many bytes of its text there were when; empty where it came at once.
    pub(super) growth: Vec<(Millis, usize)>,
    /// It is of a sub-agent.
    pub(super) is_sub: bool,
    pub(super) is_marked: bool,
    pub(super) body: ItemBody,
}

#[derive(Debug)]
pub(super) enum ItemBody {
    /// Another model or engine answers from here on.
    Opened {
        engine: String,
        model: String,
    },
    /// `number` counts prompts, from 1.
    Prompt {
        number: u32,
        text: String,
        context: Vec<PromptContext>,
        author: Option<String>,
    },
    Answer {
        text: String,
        is_refusal: bool,
        finish_reason: Option<FinishReason>,
    },
    Reasoning {
        text: String,
    },
    Call(Box<DocumentCall>),
    Plan(Vec<PlanEntry>),
    Notice {
        level: NoticeLevel,
        code: NoticeCode,
        text: String,
    },
    TurnEnd(TurnEnd),
}

/// The end of a turn, and what it took.
#[derive(Debug)]
pub(super) struct TurnEnd {
    pub(super) outcome: TurnOutcome,
    pub(super) duration: Millis,
    pub(super) first_token: Option<Millis>,
    pub(super) usage: Option<Usage>,
    pub(super) cost: Option<f64>,
}

impl DocumentItem {
    /// Returns whether something went wrong here.
    pub(super) fn is_error(&self) -> bool {
        match &self.body {
            ItemBody::Call(call) => matches!(call.outcome, Some(CallOutcome::Failed | CallOutcome::Denied)),
            ItemBody::Notice { level, .. } => *level == NoticeLevel::Error,
            ItemBody::TurnEnd(end) => matches!(end.outcome, TurnOutcome::Failed(_) | TurnOutcome::Interrupted),
            ItemBody::Answer { is_refusal, .. } => *is_refusal,
            ItemBody::Opened { .. } | ItemBody::Prompt { .. } | ItemBody::Reasoning { .. } | ItemBody::Plan(_) => false,
        }
    }
}

impl Document {
    /// Folds the events of a session. O(events).
    pub(super) fn fold<'e>(given_title: Option<&str>, events: impl IntoIterator<Item = &'e Envelope>) -> Self {
        let mut builder = DocumentBuilder::default();
        for envelope in events {
            builder.observe(envelope);
        }
        builder.finish(given_title)
    }
}

#[derive(Debug, Default)]
struct DocumentBuilder {
    document: Document,
    named: Option<String>,
    first_prompt: Option<String>,
    answered_by: Option<(String, String)>,
    usage: UsageStats,
    turn_started: Option<Millis>,
    /// Open messages.
    messages: HashMap<MessageId, OpenRuns>,
    sub_messages: HashSet<MessageId>,
    /// Where each message of the person stands.
    prompts: HashMap<MessageId, usize>,
    calls: HashMap<CallId, usize>,
    /// Calls of the running turn without an end so far.
    open_calls: Vec<usize>,
    /// Where the plan of this turn stands.
    plan: Option<usize>,
    marked: BTreeSet<Seq>,
    dropped: HashSet<usize>,
    seq: Seq,
    at: Millis,
}

impl DocumentBuilder {
    fn observe(&mut self, Envelope { seq, at, event }: &Envelope) {
        (self.seq, self.at) = (*seq, *at);
        if !self.is_of_sub_agent(event) {
            self.usage.on_event(*at, event);
        }
        match event {
            AgentEvent::SessionOpened { engine, model, .. } => self.on_opened(engine, model),
            AgentEvent::TurnStarted { .. } => {
                self.turn_started = Some(*at);
                self.document.turns += 1;
                self.plan = None;
            }
            AgentEvent::UserMessage { message, text } => self.on_prompt(message, text),
            AgentEvent::MessageStarted { message, role, parent } => {
                if parent.is_some() {
                    self.sub_messages.insert(message.clone());
                }
                self.messages.insert(message.clone(), OpenRuns::new(*role == Role::User));
            }
            AgentEvent::TextDelta { message, text, kind } => self.on_text(message, text, (*kind).into()),
            AgentEvent::ReasoningDelta { message, text } => self.on_text(message, text, texts::Voice::Reasoning),
            AgentEvent::MessageFinished { message, finish_reason, full_text, .. } => {
                self.finish_message(message, *finish_reason, full_text.as_deref());
            }
            AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ToolCallReady { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolCallFinished { .. } => self.on_call_event(event),
            AgentEvent::Annotation { on, annotation } => self.on_annotation(on, annotation),
            AgentEvent::Notice { level, code, text } => {
                self.push(ItemBody::Notice { level: *level, code: code.clone(), text: text.clone() });
            }
            AgentEvent::TurnFinished { outcome, .. } => self.end_turn(outcome),
            AgentEvent::Compacted(compaction) => self.on_compacted(compaction),
            AgentEvent::CompactionUndone { .. } => self.remark("a compaction was taken back".to_owned()),
            // What is on other branches is left out before.
            AgentEvent::UsageReported { .. } | AgentEvent::BranchStarted { .. } | AgentEvent::Unknown(_) => {}
        }
    }

    fn is_of_sub_agent(&self, event: &AgentEvent) -> bool {
        match event {
            AgentEvent::MessageStarted { parent, .. } | AgentEvent::ToolCallStarted { parent, .. } => parent.is_some(),
            AgentEvent::TextDelta { message, .. }
            | AgentEvent::ReasoningDelta { message, .. }
            | AgentEvent::MessageFinished { message, .. } => self.sub_messages.contains(message),
            event => {
                let item = event.call().and_then(|call| self.document.items.get(*self.calls.get(call)?));
                item.is_some_and(|item| item.is_sub)
            }
        }
    }

    fn push(&mut self, body: ItemBody) -> usize {
        self.document.items.push(DocumentItem {
            seq: self.seq,
            at: self.at,
            until: self.at,
            growth: Vec::new(),
            is_sub: false,
            is_marked: false,
            body,
        });
        self.document.items.len() - 1
    }

    fn on_opened(&mut self, engine: &str, model: &str) {
        let now = (engine.to_owned(), model.to_owned());
        if self.answered_by.as_ref() != Some(&now) {
            self.push(ItemBody::Opened { engine: engine.to_owned(), model: model.to_owned() });
            self.answered_by = Some(now);
        }
    }

    fn remark(&mut self, text: String) {
        self.push(ItemBody::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text });
    }

    fn on_compacted(&mut self, compaction: &Compaction) {
        let Compaction { turns, tokens_before, tokens_after, summary, .. } = compaction;
        let what = if summary.is_some() { "summed up" } else { "left out" };
        let summary = summary.as_deref().map_or_else(String::new, |summary| format!(": {summary}"));
        self.remark(format!(
            "the first {turns} turns are {what} from here on, {tokens_before} tokens became {tokens_after}{summary}"
        ));
    }

    fn on_prompt(&mut self, message: &MessageId, text: &str) {
        let first_line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        self.first_prompt.get_or_insert_with(|| first_line.to_owned());
        let number = u32::try_from(self.prompts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let at = self.push(ItemBody::Prompt { number, text: text.to_owned(), context: Vec::new(), author: None });
        self.prompts.insert(message.clone(), at);
    }

    fn on_annotation(&mut self, on: &AnnotationTarget, annotation: &Annotation) {
        match (annotation, on) {
            (Annotation::Title(title), AnnotationTarget::Session) => {
                self.named = Some(title.clone()).filter(|title| !title.trim().is_empty());
            }
            (Annotation::Mark { seq, set: true }, _) => _ = self.marked.insert(*seq),
            (Annotation::Mark { seq, set: false }, _) => _ = self.marked.remove(seq),
            (Annotation::PromptContext(parts), AnnotationTarget::Message(message)) => {
                if let Some(ItemBody::Prompt { context, .. }) = self.prompt(message) {
                    context.extend(parts.iter().cloned());
                }
            }
            (Annotation::Author(name), AnnotationTarget::Message(message)) => {
                if let Some(ItemBody::Prompt { author, .. }) = self.prompt(message) {
                    *author = Some(name.clone());
                }
            }
            (Annotation::Plan(entries), _) => match self.plan.and_then(|at| self.document.items.get_mut(at)) {
                Some(item) => (item.body, item.until) = (ItemBody::Plan(entries.clone()), self.at),
                None => self.plan = Some(self.push(ItemBody::Plan(entries.clone()))),
            },
            (annotation, AnnotationTarget::Call(call)) => self.on_call_annotation(call, annotation),
            _ => {}
        }
    }

    fn prompt(&mut self, message: &MessageId) -> Option<&mut ItemBody> {
        Some(&mut self.document.items.get_mut(*self.prompts.get(message)?)?.body)
    }

    fn end_turn(&mut self, outcome: &TurnOutcome) {
        self.close_calls();
        self.messages.clear();
        let usage = Some(self.usage.turn()).filter(|usage| usage.total() > 0);
        let end = TurnEnd {
            outcome: outcome.clone(),
            duration: self.at.since(self.turn_started.take().unwrap_or(self.at)),
            first_token: self.usage.first_token(),
            usage,
            cost: self.usage.turn_cost().filter(|cost| *cost > 0.0),
        };
        self.push(ItemBody::TurnEnd(end));
    }

    fn finish(self, given_title: Option<&str>) -> Document {
        let Self { mut document, marked, dropped, .. } = self;
        for seq in marked {
            // A mark in the middle of an item is on what began before it.
            let index = document.items.partition_point(|item| item.seq <= seq);
            if let Some(item) = index.checked_sub(1).and_then(|index| document.items.get_mut(index)) {
                item.is_marked = true;
            }
        }
        let mut index = 0;
        document.items.retain(|item| {
            index += 1;
            !dropped.contains(&(index - 1)) && !item.is_empty()
        });
        document.title = self
            .named
            .or_else(|| given_title.map(str::to_owned))
            .or(self.first_prompt)
            .filter(|title| !title.trim().is_empty());
        document.usage = Some(self.usage.session()).filter(|usage| usage.total() > 0);
        document.cost = self.usage.cost().filter(|cost| *cost > 0.0);
        (document.length, document.last_seq) = (self.at, self.seq);
        document.is_open = self.turn_started.is_some();
        document
    }
}

impl DocumentItem {
    /// An answer may have been taken back.
    fn is_empty(&self) -> bool {
        match &self.body {
            ItemBody::Answer { text, .. } | ItemBody::Reasoning { text } => text.is_empty(),
            _ => false,
        }
    }
}

/// Returns arguments as people read them: indented where they are JSON, else as they are.
pub(super) fn pretty_args(args: &str) -> (String, bool) {
    match serde_json::from_str::<Json>(args) {
        Ok(value) => (serde_json::to_string_pretty(&value).unwrap_or_else(|_| args.to_owned()), true),
        Err(_) => (args.to_owned(), false),
    }
}

#[cfg(test)]
mod tests;
