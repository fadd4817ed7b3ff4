//! What is handed over of a session: the prompts, answers and calls of its active branch.

use std::collections::{BTreeMap, HashMap};

use crate::dialect::wall_time::rfc3339;
use crate::event::branches::BranchStarts;
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, Envelope, Json, MessageId, PromptContext,
    PromptImage, Seq, add_context,
};

/// What another agent wants to know besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandoffPlace {
    /// A name for the session there, as a UUID.
    pub id: String,
    /// Where the other agent is to work.
    pub folder: String,
}

/// A conversation without what only its session needs.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub title: Option<String>,
    pub(super) model: String,
    /// Milliseconds since 1970.
    pub(super) started_at: u64,
    pub(super) parts: Vec<ConversationPart>,
    /// What is not handed over, by what it is, and how often.
    pub left_out: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug)]
pub(super) enum ConversationPart {
    Prompt { wall_ms: u64, text: String, images: Vec<PromptImage> },
    Answer(HandoffAnswer),
}

#[derive(Clone, Debug, Default)]
pub(super) struct HandoffAnswer {
    pub(super) wall_ms: u64,
    pub(super) text: String,
    pub(super) calls: Vec<HandoffCall>,
}

#[derive(Clone, Debug)]
pub(super) struct HandoffCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) args: String,
    pub(super) wall_ms: u64,
    pub(super) output: String,
    pub(super) outcome: CallOutcome,
}

impl HandoffCall {
    pub(super) fn has_failed(&self) -> bool {
        self.outcome != CallOutcome::Ok
    }

    /// Returns its output; where there is none, why.
    pub(super) fn told(&self) -> String {
        let is_silent = self.output.is_empty() && self.has_failed();
        if is_silent { format!("({})", self.outcome.label()) } else { self.output.clone() }
    }

    /// Returns its arguments as an object; what is none is in one.
    pub(super) fn input(&self) -> Json {
        let parsed = serde_json::from_str::<Json>(&self.args).ok().filter(Json::is_object);
        parsed.unwrap_or_else(|| serde_json::json!({ "arguments": self.args }))
    }
}

impl Conversation {
    /// Folds the events of a session that began then, in milliseconds since 1970.
    pub fn new(started_at: u64, events: &[Envelope]) -> Self {
        let mut starts = BranchStarts::default();
        for envelope in events {
            starts.observe(envelope.seq, &envelope.event);
        }
        let path = starts.active_path();
        let mut fold = ConversationFold { made: Self { started_at, ..Self::default() }, ..ConversationFold::default() };
        for envelope in events {
            if path.tells(envelope.seq, &envelope.event) {
                fold.observe(started_at.saturating_add(envelope.at.0), &envelope.event);
            } else if matches!(envelope.event, AgentEvent::TurnStarted { .. }) {
                fold.leave_out("turns of other branches");
            }
        }
        fold.made.parts.retain(|part| match part {
            ConversationPart::Prompt { .. } => true,
            ConversationPart::Answer(answer) => !answer.text.is_empty() || !answer.calls.is_empty(),
        });
        fold.made
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn time(wall_ms: u64) -> String {
        let time = rfc3339(wall_ms);
        // Some readers want the milliseconds.
        if time.contains('.') { time } else { time.replace('Z', ".000Z") }
    }
}

#[derive(Default)]
struct ConversationFold {
    made: Conversation,
    answers: HashMap<MessageId, usize>,
    calls: HashMap<CallId, (usize, usize)>,
}

impl ConversationFold {
    fn leave_out(&mut self, what: &'static str) {
        *self.made.left_out.entry(what).or_default() += 1;
    }

    fn observe(&mut self, wall_ms: u64, event: &AgentEvent) {
        match event {
            AgentEvent::SessionOpened { model, .. } if !model.is_empty() => self.made.model.clone_from(model),
            AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Title(title) } => {
                self.made.title = Some(title.clone()).filter(|title| !title.is_empty());
            }
            AgentEvent::UserMessage { text, .. } => {
                self.made.parts.push(ConversationPart::Prompt { wall_ms, text: text.clone(), images: Vec::new() });
            }
            AgentEvent::Annotation { annotation: Annotation::PromptContext(context), .. } => {
                if let Some(ConversationPart::Prompt { text, images, .. }) = self.made.parts.last_mut() {
                    *text = add_context(text, context);
                    images.extend(context.iter().filter_map(PromptContext::image).cloned());
                }
            }
            AgentEvent::MessageStarted { message, parent: None, .. } => {
                self.answers.insert(message.clone(), self.made.parts.len());
                self.made.parts.push(ConversationPart::Answer(HandoffAnswer { wall_ms, ..HandoffAnswer::default() }));
            }
            AgentEvent::MessageStarted { .. } => self.leave_out("messages of sub-agents"),
            AgentEvent::TextDelta { message, text, .. } => {
                if let Some(answer) = self.answer(message) {
                    answer.text.push_str(text);
                }
            }
            AgentEvent::MessageFinished { message, full_text: Some(full), .. } => {
                if let Some(answer) = self.answer(message) {
                    answer.text.clone_from(full);
                }
            }
            AgentEvent::ReasoningDelta { message, .. } if self.answers.contains_key(message) => {
                self.leave_out("pieces of thinking");
            }
            event => self.observe_call(wall_ms, event),
        }
    }

    fn observe_call(&mut self, wall_ms: u64, event: &AgentEvent) {
        match event {
            AgentEvent::ToolCallStarted { call, message, parent: None, .. } => {
                if let Some(at) = self.answers.get(message) {
                    self.calls.insert(call.clone(), (*at, usize::MAX));
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let Some((at, nth)) = self.calls.get_mut(call) else { return };
                let Some(ConversationPart::Answer(answer)) = self.made.parts.get_mut(*at) else { return };
                *nth = answer.calls.len();
                let (id, name, args) = (call.to_string(), name.clone(), args.clone());
                let outcome = CallOutcome::Unknown;
                answer.calls.push(HandoffCall { id, name, args, wall_ms, output: String::new(), outcome });
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                let Some((at, nth)) = self.calls.get(call) else { return };
                let Some(ConversationPart::Answer(answer)) = self.made.parts.get_mut(*at) else { return };
                if let Some(known) = answer.calls.get_mut(*nth) {
                    (known.outcome, known.wall_ms) = (*outcome, wall_ms);
                    known.output.clone_from(&output.text);
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, message: &MessageId) -> Option<&mut HandoffAnswer> {
        match self.made.parts.get_mut(*self.answers.get(message)?)? {
            ConversationPart::Answer(answer) => Some(answer),
            ConversationPart::Prompt { .. } => None,
        }
    }
}

/// Returns a UUID that is always the same for the same words.
pub fn stable_uuid(words: &str) -> String {
    let hash =
        |start: u64| words.bytes().fold(start, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x9ae1_6a3b_2f90_404f));
    // Version 8, the variant of the standard: nobody else's numbers.
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x8000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Returns the number of an event as its file names it, for ids that must differ.
pub(super) fn numbered(id: &str, nth: usize) -> String {
    stable_uuid(&format!("{id}/{}", Seq(nth as u64).0))
}
