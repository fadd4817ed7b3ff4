//! Makes events of what a reader finds, so that whatever the files say the events are legal.
//!
//! A session has turns, and a turn has threads: its own, and one for each sub-agent, which is named by the call that
//! started it. Each has at most one open message. Times are those of the files, but never go back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use super::{SavedEvent, SavedFormat, SavedSession, describe_left_out};
use crate::dialect::plan::PlanTracker;
use crate::event::grammar::Sealer;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalMode, CallId, CallOutcome, CallOutput, Capabilities, ExecutedBy,
    FinishReason, MAX_MERGED_BYTES, MAX_PROMPT_IMAGE_BYTES, MAX_PROMPT_IMAGES, MessageId, Millis, NoticeCode,
    NoticeLevel, PromptContext, PromptImage, ReplyEvent, Role, Seq, TextKind, TurnId, TurnOutcome, Usage, UsageScope,
    user_message,
};

/// Bytes of an output that are taken over.
const MAX_OUTPUT_BYTES: usize = 256 << 10;
/// A longer id is not taken over.
const MAX_ID_BYTES: usize = 200;
/// Events before the first turn: the opening, and where it comes from.
const FIRST_EVENTS: u64 = 2;
/// Written where our version is in sessions of our own: what is read does not depend on that.
const IMPORT_VERSION: &str = "import/1";

/// What a turn begins with.
#[derive(Debug, Default)]
pub(super) struct SavedPrompt {
    pub(super) text: String,
    pub(super) images: Vec<PromptImage>,
}

/// A call as a reader finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SavedCall<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// JSON, as it was written.
    pub(super) args: &'a str,
}

/// How a call ended, as a reader finds it.
#[derive(Debug)]
pub(super) struct SavedResult {
    pub(super) outcome: CallOutcome,
    pub(super) text: String,
    pub(super) took: Option<Millis>,
}

#[derive(Debug)]
struct SavedThread {
    /// The call that started it, by the name that the files have for it; empty for the turn's own.
    name: String,
    /// What the files call the message.
    key: String,
    message: MessageId,
    has_text: bool,
    has_calls: bool,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
}

#[derive(Clone, Debug)]
struct KnownCall {
    id: CallId,
    thread: String,
    is_finished: bool,
    /// Tokens of the sub-agent that it started.
    tokens: u64,
}

pub(super) struct Recorder {
    format: &'static SavedFormat,
    events: Vec<SavedEvent>,
    sealer: Sealer,
    /// Wall time of what is being read.
    now: u64,
    turn: Option<TurnId>,
    threads: Vec<SavedThread>,
    /// Calls of the turn, by the names that the files have for them.
    calls: HashMap<String, KnownCall>,
    call_ids: HashSet<CallId>,
    plan: PlanTracker,
    /// What the turn's own thread stopped at last.
    last_reason: Option<FinishReason>,
    outcome: Option<TurnOutcome>,
    /// The end of the last turn.
    last_end: Seq,
    cost_usd: f64,
    turns: u64,
    messages: u64,
    requests: u32,
    model: String,
    pub(super) title: Option<String>,
    left_out: BTreeMap<&'static str, u64>,
}

impl Recorder {
    pub(super) fn new(format: &'static SavedFormat) -> Self {
        let opened = AgentEvent::SessionOpened {
            wall_ms: 0,
            engine: format.name.to_owned(),
            model: String::new(),
            engine_reason: "imported".to_owned(),
            mode: ApprovalMode::Ask,
            folder: String::new(),
            version: IMPORT_VERSION.to_owned(),
            capabilities: Capabilities::default(),
            context_window: None,
            price: None,
        };
        let mut recorder = Self {
            format,
            events: Vec::new(),
            sealer: Sealer::new(),
            now: 0,
            turn: None,
            threads: Vec::new(),
            calls: HashMap::new(),
            call_ids: HashSet::new(),
            plan: PlanTracker::default(),
            last_reason: None,
            outcome: None,
            last_end: Seq(FIRST_EVENTS),
            cost_usd: 0.0,
            turns: 0,
            messages: 0,
            requests: 0,
            model: String::new(),
            title: None,
            left_out: BTreeMap::new(),
        };
        recorder.push(opened);
        // Its words are known at the end.
        recorder.notice(NoticeLevel::Info, NoticeCode::Imported, String::new());
        recorder
    }

    /// Sets the time of what follows, unless that is earlier than what was read.
    pub(super) fn set_time(&mut self, wall_ms: Option<u64>) {
        self.now = self.now.max(wall_ms.unwrap_or_default());
    }

    pub(super) fn set_model(&mut self, model: &str) {
        if !model.is_empty() {
            model.clone_into(&mut self.model);
        }
    }

    /// Counts something that can't be taken over.
    pub(super) fn leave_out(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.left_out.entry(what).or_default() += count;
        }
    }

    /// Begins a turn; one that is open ends.
    pub(super) fn begin_turn(&mut self, prompt: SavedPrompt) {
        self.end_turn();
        self.open_turn();
        self.push_prompt(prompt);
    }

    /// Adds a prompt that was put into the running turn; begins one if none runs.
    pub(super) fn push_prompt(&mut self, prompt: SavedPrompt) {
        self.open_turn();
        let SavedPrompt { text, images } = prompt;
        let mut context: Vec<PromptContext> = Vec::new();
        let mut bytes: u64 = 0;
        for image in images {
            bytes = bytes.saturating_add(image.bytes());
            if context.len() >= MAX_PROMPT_IMAGES || bytes > MAX_PROMPT_IMAGE_BYTES {
                self.leave_out("images that are too large", 1);
                continue;
            }
            context.push(PromptContext::from_image(format!("image {}", context.len() + 1), image));
        }
        let message = self.new_message();
        for event in user_message(message, &text, context) {
            self.push(event);
        }
    }

    /// Sets how the open turn ends; otherwise that is told from its last message.
    pub(super) fn set_outcome(&mut self, outcome: TurnOutcome) {
        if self.turn.is_some() {
            self.outcome = Some(outcome);
        }
    }

    /// Has what follows go on after the end of an earlier turn; `None` is before the first.
    pub(super) fn go_on_after(&mut self, end: Option<Seq>) {
        let last = self.end_turn();
        let after = end.unwrap_or(Seq(FIRST_EVENTS));
        // What was noted between turns is no turn.
        if after < last {
            self.push(AgentEvent::BranchStarted { after });
        }
    }

    /// The same; none if no turn was open.
    pub(super) fn end_open_turn(&mut self) -> Option<Seq> {
        self.turn.is_some().then(|| self.end_turn())
    }

    /// Ends the open turn, and with it whatever is open in it. Returns the number of the end of the last turn.
    pub(super) fn end_turn(&mut self) -> Seq {
        if let Some(turn) = self.turn.take() {
            self.close_turn(turn);
            self.last_end = Seq(self.events.len() as u64);
        }
        self.last_end
    }

    fn close_turn(&mut self, turn: TurnId) {
        let cut = self.outcome.as_ref().filter(|outcome| **outcome != TurnOutcome::Completed);
        let cut = cut.map(TurnOutcome::finish_reason);
        for thread in std::mem::take(&mut self.threads) {
            let cut = cut.filter(|_| thread.name.is_empty());
            self.finish_thread(thread, cut);
        }
        let is_answered =
            matches!(self.last_reason, Some(FinishReason::End | FinishReason::Length | FinishReason::Refused));
        let natural = if is_answered { TurnOutcome::Completed } else { TurnOutcome::Interrupted };
        let outcome = self.outcome.take().unwrap_or(natural);
        for event in self.sealer.close_contents(&outcome) {
            self.push(event);
        }
        if self.cost_usd > 0.0 {
            let annotation = Annotation::Cost { usd: std::mem::take(&mut self.cost_usd) };
            self.push(AgentEvent::Annotation { on: AnnotationTarget::Turn(turn.clone()), annotation });
        }
        self.push(AgentEvent::TurnFinished { turn, outcome });
        self.calls.clear();
    }

    /// Has what follows in a thread belong to the message of this name. One that has neither text nor calls yet goes on
    /// under the new name.
    pub(super) fn enter_message(&mut self, thread: &str, key: &str) {
        if let Some(open) = self.threads.iter_mut().find(|open| open.name == thread) {
            if open.has_text || open.has_calls {
                if open.key != key {
                    self.close_message(thread);
                }
            } else {
                key.clone_into(&mut open.key);
            }
        }
        if !self.threads.iter().any(|open| open.name == thread) {
            let parent = self.calls.get(thread).map(|call| call.id.clone());
            if parent.is_none() && !thread.is_empty() {
                return self.leave_out("parts of sub-agents without their call", 1);
            }
            self.open_turn();
            let message = self.new_message();
            let started = AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent };
            self.push(started);
            self.threads.push(SavedThread {
                name: thread.to_owned(),
                key: key.to_owned(),
                message,
                has_text: false,
                has_calls: false,
                finish_reason: None,
                usage: None,
            });
        }
    }

    /// Ends the open message of a thread.
    pub(super) fn close_message(&mut self, thread: &str) {
        if let Some(at) = self.threads.iter().position(|open| open.name == thread) {
            let ended = self.threads.remove(at);
            self.finish_thread(ended, None);
        }
    }

    /// Adds text to the open message of a thread.
    pub(super) fn push_text(&mut self, thread: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let Some(message) = self.message_of(thread) else { return };
        if let Some(open) = self.threads.iter_mut().find(|open| open.name == thread) {
            open.has_text = true;
        }
        for piece in pieces(text) {
            self.push(AgentEvent::TextDelta { message: message.clone(), text: piece.to_owned(), kind: TextKind::Text });
        }
    }

    pub(super) fn push_reasoning(&mut self, thread: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let Some(message) = self.message_of(thread) else { return };
        for piece in pieces(text) {
            self.push(AgentEvent::ReasoningDelta { message: message.clone(), text: piece.to_owned() });
        }
    }

    /// Adds a call to the open message of a thread.
    pub(super) fn push_call(&mut self, thread: &str, call: SavedCall<'_>) {
        let SavedCall { id: key, name, args } = call;
        if self.calls.get(key).is_some_and(|known| !known.is_finished) {
            return;
        }
        let Some(message) = self.message_of(thread) else { return };
        let (id, name) = (self.new_call(key), name.to_owned());
        let args = if args.trim().is_empty() { "{}" } else { args }.to_owned();
        self.push(AgentEvent::ToolCallStarted {
            call: id.clone(),
            message,
            name: Some(name.clone()),
            parent: self.calls.get(thread).map(|parent| parent.id.clone()),
            executed_by: ExecutedBy::Server,
        });
        let ready = AgentEvent::ToolCallReady {
            call: id.clone(),
            name: name.clone(),
            args: args.clone(),
            provider_metadata: None,
        };
        self.push(ready);
        if let Some(open) = self.threads.iter_mut().find(|open| open.name == thread) {
            open.has_calls = true;
        }
        // The plan of a sub-agent is its own.
        if thread.is_empty() {
            let mut told = Vec::new();
            self.plan.on_call(key, &name, &args, &mut told);
            self.push_plan(told);
        }
        let known = KnownCall { id, thread: thread.to_owned(), is_finished: false, tokens: 0 };
        self.calls.insert(key.to_owned(), known);
    }

    /// Returns whether a call of the turn has ended.
    pub(super) fn is_finished(&self, key: &str) -> bool {
        self.calls.get(key).is_some_and(|call| call.is_finished)
    }

    /// Ends a call; a sub-agent that it started is over.
    pub(super) fn finish_call(&mut self, key: &str, result: SavedResult) {
        let known = self.calls.get_mut(key).filter(|call| !call.is_finished);
        let Some(known) = known else { return self.leave_out("results of no call", 1) };
        known.is_finished = true;
        let (call, thread) = (known.id.clone(), known.thread.clone());
        // Calls run once their message is complete; a sub-agent ends before its call.
        for ended in [key, thread.as_str()] {
            self.close_message(ended);
        }
        self.plan.on_result(key, &result.text);
        let output = self.shortened_output(result.text);
        self.push(AgentEvent::ToolCallFinished { call, outcome: result.outcome, output, duration: result.took });
    }

    /// Sets what the open message of a thread used; a later count replaces an earlier one.
    pub(super) fn set_usage(&mut self, thread: &str, usage: Option<Usage>) {
        if let Some(open) = self.threads.iter_mut().find(|open| open.name == thread) {
            open.usage = usage.or(open.usage);
        }
    }

    /// Adds to what the open turn cost, in US dollars.
    pub(super) fn add_cost(&mut self, usd: f64) {
        if self.turn.is_some() && usd.is_finite() && usd > 0.0 {
            self.cost_usd += usd;
        }
    }

    pub(super) fn set_finish_reason(&mut self, thread: &str, reason: FinishReason) {
        if let Some(open) = self.threads.iter_mut().find(|open| open.name == thread) {
            open.finish_reason = Some(reason);
        }
    }

    pub(super) fn notice(&mut self, level: NoticeLevel, code: NoticeCode, text: String) {
        self.push(AgentEvent::Notice { level, code, text });
    }

    /// Returns the session; the error says why it is none.
    pub(super) fn finish(mut self, id: &str) -> Result<SavedSession, String> {
        self.end_turn();
        if self.turns == 0 {
            return Err("there is no prompt and no answer in it".to_owned());
        }
        let started_at = self.events.iter().map(|event| event.wall_ms).find(|time| *time > 0).unwrap_or_default();
        let told = self.describe_origin(id);
        for event in &mut self.events {
            match &mut event.event {
                AgentEvent::SessionOpened { wall_ms, model, .. } => {
                    *wall_ms = started_at;
                    model.clone_from(&self.model);
                }
                AgentEvent::Notice { code: NoticeCode::Imported, text, .. } => text.clone_from(&told),
                _ => {}
            }
            event.wall_ms = event.wall_ms.max(started_at);
        }
        let calls = self.call_ids.len() as u64;
        Ok(SavedSession {
            id: id.to_owned(),
            title: self.title,
            started_at,
            model: self.model,
            events: self.events,
            left_out: self.left_out,
            turns: self.turns,
            calls,
        })
    }

    fn describe_origin(&self, id: &str) -> String {
        let mut text = format!("imported from {}", self.format.title);
        if !id.is_empty() {
            let id = id.get(..id.floor_char_boundary(MAX_ID_BYTES)).unwrap_or_default();
            let _ = write!(text, ", session {id}");
        }
        if !self.left_out.is_empty() {
            let _ = write!(text, "; not taken over: {}", describe_left_out(&self.left_out));
        }
        text
    }

    fn open_turn(&mut self) {
        if self.turn.is_some() {
            return;
        }
        self.turns += 1;
        (self.requests, self.last_reason, self.outcome) = (0, None, None);
        let turn = TurnId::new(format!("t{}", self.turns));
        self.turn = Some(turn.clone());
        self.push(AgentEvent::TurnStarted { turn, parent: None });
    }

    fn new_message(&mut self) -> MessageId {
        self.messages += 1;
        MessageId::new(format!("m{}", self.messages))
    }

    /// Returns an id for a call that the files name so: the same, made unique where they repeat one.
    fn new_call(&mut self, key: &str) -> CallId {
        let base = if key.is_empty() || key.len() > MAX_ID_BYTES { "call" } else { key };
        let mut id = CallId::new(base);
        let mut copy = 2;
        while !self.call_ids.insert(id.clone()) {
            // Many calls of one name are numbered from where the others end.
            copy = copy.max(if base == "call" { self.call_ids.len() } else { 2 });
            id = CallId::new(format!("{base}_{copy}"));
            copy += 1;
        }
        id
    }

    /// Returns the open message of a thread, begun if need be.
    fn message_of(&mut self, thread: &str) -> Option<MessageId> {
        if !self.threads.iter().any(|open| open.name == thread) {
            self.enter_message(thread, "");
        }
        self.threads.iter().find(|open| open.name == thread).map(|open| open.message.clone())
    }

    fn finish_thread(&mut self, thread: SavedThread, cut: Option<FinishReason>) {
        let natural = if thread.has_calls { FinishReason::ToolCalls } else { FinishReason::End };
        let reason = thread.finish_reason.or(cut).unwrap_or(natural);
        self.push(AgentEvent::MessageFinished {
            message: thread.message,
            finish_reason: reason,
            full_text: None,
            provider_metadata: None,
        });
        if thread.name.is_empty() {
            self.last_reason = Some(reason);
        }
        let Some(usage) = thread.usage else { return };
        if thread.name.is_empty() {
            self.requests += 1;
            self.push(AgentEvent::UsageReported { scope: UsageScope::Request(self.requests), usage });
        } else if let Some(call) = self.calls.get_mut(&thread.name) {
            call.tokens = call.tokens.saturating_add(usage.total());
            let annotation = Annotation::SubAgent { tokens: Some(call.tokens), doing: None };
            let on = AnnotationTarget::Call(call.id.clone());
            self.push(AgentEvent::Annotation { on, annotation });
        }
    }

    fn push_plan(&mut self, told: Vec<ReplyEvent>) {
        let Some(turn) = self.turn.clone() else { return };
        for event in told {
            if let ReplyEvent::Annotation { annotation, .. } = event {
                self.push(AgentEvent::Annotation { on: AnnotationTarget::Turn(turn.clone()), annotation });
            }
        }
    }

    fn shortened_output(&mut self, text: String) -> CallOutput {
        if text.len() <= MAX_OUTPUT_BYTES {
            return CallOutput::from_text(text);
        }
        self.leave_out("outputs shortened to 256 KiB", 1);
        let head = text.get(..text.floor_char_boundary(MAX_OUTPUT_BYTES / 2)).unwrap_or_default();
        let tail = text.get(text.ceil_char_boundary(text.len() - MAX_OUTPUT_BYTES / 2)..).unwrap_or_default();
        let left = text.len() - head.len() - tail.len();
        let total_bytes = Some(text.len() as u64);
        CallOutput { total_bytes, ..CallOutput::from_text(format!("{head}\n[… {left} bytes left out …]\n{tail}")) }
    }

    fn push(&mut self, event: AgentEvent) {
        let observed = self.sealer.observe(&event);
        debug_assert_eq!(observed, Ok(()), "{event:?}");
        self.events.push(SavedEvent { wall_ms: self.now, event });
    }
}

/// Cuts a text into pieces that stay short lines of the log.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(MAX_MERGED_BYTES));
        text = rest;
        Some(piece).filter(|piece| !piece.is_empty())
    })
}
