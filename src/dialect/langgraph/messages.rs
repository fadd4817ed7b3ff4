//! The messages of a run. Modes repeat each other, so each message is known by its id, or by its text where it has
//! another id in another mode, and only what is new of it is told.

use std::borrow::Cow;

use super::super::agent_reply::{AgentReply, MessageHandle, result_text};
use super::super::{surrogate, usage};
use super::content::{self, MessageKind};
use crate::event::{CallOutcome, ExecutedBy, FinishReason, Json, ReplyEvent, Usage};

/// Messages that are remembered.
const MAX_MESSAGES: usize = 4096;
/// Bytes of a text that is remembered to be recognized.
const MAX_KEPT_TEXT_BYTES: usize = 64 * 1024;

/// How a frame gives a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageForm {
    /// What is new of it, unless it says itself that it is whole.
    Piece,
    /// Everything so far.
    SoFar,
    /// Everything there is.
    Whole,
}

#[derive(Debug)]
struct RunMessage {
    /// Without what differs between modes.
    id: String,
    handle: Option<MessageHandle>,
    /// Of an earlier run, or not the assistant's.
    is_hidden: bool,
    /// All of it was told.
    is_whole: bool,
    /// Its last piece has come, though its usage may follow.
    has_ended: bool,
    /// Its pieces say which is the last, and that one has not come.
    lacks_last_piece: bool,
    text: String,
    usage: Option<Usage>,
    /// Its calls by their index, and the arguments so far of those that come whole each time.
    calls: Vec<MessageCall>,
    early_reason: Option<FinishReason>,
}

#[derive(Debug)]
struct MessageCall {
    index: Json,
    wire: String,
    args_so_far: Option<String>,
}

/// The messages of a run, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct RunMessages {
    pub(super) reply: AgentReply,
    list: Vec<RunMessage>,
    /// Usage of messages that are forgotten.
    forgotten_usage: Usage,
    call_count: usize,
}

impl RunMessages {
    /// Returns whether anything of this run was told.
    pub(super) fn has_said_any(&self) -> bool {
        self.reply.has_said_any()
    }

    /// Returns whether a message lacks its last piece.
    pub(super) fn is_cut_off(&self) -> bool {
        self.list.iter().any(|message| message.lacks_last_piece && !message.is_whole)
    }

    /// Takes whole messages in the order of the conversation. Those up to the last prompt are of earlier runs, unless
    /// they are known already.
    pub(super) fn take_conversation(&mut self, list: &[Json], out: &mut Vec<ReplyEvent>) {
        let prompt = list.iter().rposition(|message| content::kind(message).0 == MessageKind::User);
        let from = prompt.map_or(0, |at| at + 1);
        for message in list.get(..from).unwrap_or_default() {
            self.hide(message);
        }
        for message in list.iter().skip(from) {
            self.take(message, MessageForm::Whole, "", false, out);
        }
    }

    fn hide(&mut self, message: &Json) {
        let id = content::bare_id(content::id(content::fields(message)));
        if !id.is_empty() && self.find(id).is_none() {
            let at = self.add(id);
            if let Some(known) = self.list.get_mut(at) {
                (known.is_hidden, known.is_whole) = (true, true);
            }
        }
    }

    /// Takes a message or a piece of one. `place` stands in for an id.
    pub(super) fn take(
        &mut self,
        message: &Json,
        form: MessageForm,
        place: &str,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let (kind, is_piece) = content::kind(message);
        if marked && !is_piece {
            let mut message = message.clone();
            surrogate::resolve_marks_in_json(&mut message, true);
            return self.take(&message, form, place, false, out);
        }
        let fields = content::fields(message);
        match kind {
            MessageKind::Assistant if form == MessageForm::Piece && is_piece => {
                self.take_piece(fields, place, marked, out);
            }
            MessageKind::Assistant => {
                let form = if form == MessageForm::Piece { MessageForm::Whole } else { form };
                self.take_whole(fields, form, out);
            }
            MessageKind::Tool => self.take_result(fields, out),
            MessageKind::User | MessageKind::Other => self.hide(message),
        }
    }

    fn take_piece(&mut self, fields: &Json, place: &str, marked: bool, out: &mut Vec<ReplyEvent>) {
        let id = content::bare_id(content::id(fields));
        let at = self.begin(if id.is_empty() { place } else { id }, out);
        let Some(message) = self.list.get_mut(at).filter(|message| !message.is_hidden) else { return };
        if let Some(more) = fields.get("usage_metadata").and_then(usage::parse) {
            message.usage = Some(message.usage.map_or(more, |sum| sum.plus(more)));
        }
        if message.is_whole {
            return;
        }
        if let Some(position) = fields.get("chunk_position") {
            message.has_ended |= position.as_str() == Some("last");
            message.lacks_last_piece = !message.has_ended;
        }
        message.has_ended |= !message.lacks_last_piece && content::reason(fields).is_some();
        message.early_reason = content::early_reason(fields).or(message.early_reason);
        let (text, reasoning) = content::texts(fields);
        if message.text.len() + text.len() <= MAX_KEPT_TEXT_BYTES {
            message.text.push_str(&text);
        }
        let Some(handle) = message.handle else { return };
        if !reasoning.is_empty() {
            self.reply.push_reasoning(handle, reasoning.into(), marked, out);
        }
        if !text.is_empty() {
            self.reply.push_text(handle, text.into(), marked, out);
        }
        for chunk in fields.get("tool_call_chunks").and_then(Json::as_array).into_iter().flatten() {
            self.take_call_piece(at, chunk, marked, out);
        }
    }

    fn take_call_piece(&mut self, at: usize, chunk: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| chunk.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let index = chunk.get("index").cloned().unwrap_or_default();
        let Some(message) = self.list.get(at) else { return };
        let known = message.calls.iter().rfind(|call| match word("id") {
            Some(id) => call.wire == id,
            None => call.index == index,
        });
        let wire = match known {
            Some(call) => call.wire.clone(),
            None if word("id").is_none() && word("name").is_none() => return,
            None => self.start_call(at, word("id"), word("name"), index, out),
        };
        // What can't belong to a call is told by the result, or by whoever repeats the message.
        let _ = self.reply.calls.push_args(&wire, word("args").unwrap_or_default().into(), marked, out);
    }

    fn start_call(
        &mut self,
        at: usize,
        id: Option<&str>,
        name: Option<&str>,
        index: Json,
        out: &mut Vec<ReplyEvent>,
    ) -> String {
        self.call_count += 1;
        let wire = id.map_or_else(|| format!("call_{}", self.call_count), str::to_owned);
        if let Some(handle) = self.list.get(at).and_then(|message| message.handle) {
            self.reply.start_call(handle, &wire, name, ExecutedBy::Client, out);
        }
        if let Some(message) = self.list.get_mut(at) {
            message.calls.push(MessageCall { index, wire: wire.clone(), args_so_far: None });
        }
        wire
    }

    fn take_whole(&mut self, fields: &Json, form: MessageForm, out: &mut Vec<ReplyEvent>) {
        let id = content::bare_id(content::id(fields));
        let (text, reasoning) = content::texts(fields);
        if self.find(id).is_none() && self.is_of_earlier_reply(fields) {
            return self.hide_id(id);
        }
        let at = match self.find(id).or_else(|| self.find_by_text(id, &text)) {
            Some(at) => at,
            None => self.begin(id, out),
        };
        let Some(message) = self.list.get_mut(at).filter(|message| !message.is_hidden) else { return };
        message.usage = fields.get("usage_metadata").and_then(usage::parse).or(message.usage);
        message.early_reason = content::early_reason(fields).or(message.early_reason);
        let Some(handle) = message.handle.filter(|handle| !message.is_whole && self.reply.is_open(*handle)) else {
            return;
        };
        if text.len() <= MAX_KEPT_TEXT_BYTES {
            message.text.clone_from(&text);
        }
        if !reasoning.is_empty() {
            self.reply.set_reasoning(handle, &reasoning, out);
        }
        if !text.is_empty() {
            self.reply.set_text(handle, &text, out);
        }
        for (nth, call) in fields.get("tool_calls").and_then(Json::as_array).into_iter().flatten().enumerate() {
            self.take_call(at, nth, call, form, out);
        }
        if form == MessageForm::Whole {
            self.end(at, out);
        }
    }

    /// Returns whether all calls of a message were made in an earlier reply of the turn.
    fn is_of_earlier_reply(&self, fields: &Json) -> bool {
        let calls = fields.get("tool_calls").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_adopted =
            |call: &Json| call.get("id").and_then(Json::as_str).is_some_and(|wire| self.reply.calls.is_adopted(wire));
        !calls.is_empty() && calls.iter().all(is_adopted)
    }

    fn take_call(&mut self, at: usize, nth: usize, call: &Json, form: MessageForm, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| call.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let Some(message) = self.list.get(at) else { return };
        let index = Json::from(nth);
        let known = message.calls.iter().find(|known| match word("id") {
            Some(id) => known.wire == id,
            None => known.index == index,
        });
        let wire = match known.map(|known| known.wire.clone()) {
            Some(wire) => wire,
            None => self.start_call(at, word("id"), word("name"), index, out),
        };
        let args = call.get("args").filter(|args| !args.is_null()).map(result_text).unwrap_or_default();
        if form == MessageForm::Whole {
            self.reply.calls.complete(&wire, word("name"), &args, out);
        } else if let Some(message) = self.list.get_mut(at) {
            let known = message.calls.iter_mut().filter(|known| known.wire == wire);
            known.for_each(|known| known.args_so_far = Some(args.clone()));
        }
    }

    /// Takes a result, which several modes may repeat.
    fn take_result(&mut self, fields: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| fields.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let id = content::bare_id(content::id(fields));
        if self.find(id).is_some() {
            return;
        }
        if !id.is_empty() {
            self.hide_id(id);
        }
        let Some(wire) = word("tool_call_id") else { return };
        self.finish_call(wire, word("name"), content::tool_outcome(fields), content::tool_text(fields), out);
    }

    /// Ends a call, and the message that it belongs to.
    pub(super) fn finish_call(
        &mut self,
        wire: &str,
        name: Option<&str>,
        outcome: CallOutcome,
        text: String,
        out: &mut Vec<ReplyEvent>,
    ) {
        if !self.reply.calls.is_known(wire) {
            let handle = self.reply.begin(None, out);
            self.reply.start_call(handle, wire, name, ExecutedBy::Server, out);
            self.reply.close(handle, None, out);
        }
        if let Some(at) = self.list.iter().rposition(|message| message.calls.iter().any(|call| call.wire == wire)) {
            self.complete_calls(at, out);
            self.end(at, out);
        }
        if self.reply.calls.is_running(wire) {
            self.reply.calls.finish(wire, outcome, text, out);
        }
    }

    /// Starts a call that runs, unless its message has told it.
    pub(super) fn note_running(&mut self, wire: &str, name: Option<&str>, args: &str, out: &mut Vec<ReplyEvent>) {
        if let Some(at) = self.list.iter().rposition(|message| message.calls.iter().any(|call| call.wire == wire)) {
            self.complete_calls(at, out);
        } else if !self.reply.calls.is_known(wire) {
            let handle = self.reply.begin(None, out);
            self.reply.start_call(handle, wire, name, ExecutedBy::Server, out);
            self.reply.close(handle, None, out);
        }
        self.reply.calls.complete(wire, name, args, out);
    }

    /// Completes the calls of a message that is whole.
    fn complete_calls(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(message) = self.list.get_mut(at) else { return };
        for call in &mut message.calls {
            match call.args_so_far.take() {
                Some(args) => self.reply.calls.complete(&call.wire, None, &args, out),
                None => self.reply.calls.mark_ready(&call.wire, out),
            }
        }
    }

    /// Ends a message: all of it was told.
    pub(super) fn end(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(message) = self.list.get_mut(at) else { return };
        message.is_whole = true;
        if let Some(handle) = message.handle.take() {
            let reason = message.early_reason;
            self.reply.close(handle, reason, out);
        }
    }

    /// Returns the message with this id, begun where it is not known. Others whose last piece has come are over.
    pub(super) fn begin(&mut self, id: &str, out: &mut Vec<ReplyEvent>) -> usize {
        if let Some(at) = self.find(id) {
            return at;
        }
        for at in 0..self.list.len() {
            if self.list.get(at).is_some_and(|message| message.has_ended && message.handle.is_some()) {
                self.complete_calls(at, out);
                self.end(at, out);
            }
        }
        let at = self.add(id);
        let handle = self.reply.begin(None, out);
        if let Some(message) = self.list.get_mut(at) {
            message.handle = Some(handle);
        }
        at
    }

    /// Remembers an id of which nothing is told.
    pub(super) fn hide_id(&mut self, id: &str) {
        let at = self.add(id);
        if let Some(message) = self.list.get_mut(at) {
            (message.is_hidden, message.is_whole) = (true, true);
        }
    }

    pub(super) fn handle(&self, at: usize) -> Option<MessageHandle> {
        self.list.get(at).and_then(|message| message.handle)
    }

    /// Adds usage of a message.
    pub(super) fn note_usage(&mut self, at: usize, told: Option<Usage>) {
        if let Some(message) = self.list.get_mut(at) {
            message.usage = told.or(message.usage);
        }
    }

    /// Sets why a message was cut short.
    pub(super) fn note_reason(&mut self, at: usize, reason: Option<FinishReason>) {
        if let Some(message) = self.list.get_mut(at) {
            message.early_reason = reason.or(message.early_reason);
        }
    }

    /// Starts the call of a block, unless it has been: what came of it so far is told when it is complete.
    pub(super) fn note_call(&mut self, at: usize, index: &Json, block: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| block.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let is_known = |call: &MessageCall| call.index == *index || word("id") == Some(call.wire.as_str());
        let is_new = self.list.get(at).is_some_and(|message| !message.calls.iter().any(is_known));
        if is_new && (word("id").is_some() || word("name").is_some()) {
            self.start_call(at, word("id"), word("name"), index.clone(), out);
        }
    }

    /// Appends a piece of the arguments of a block's call.
    pub(super) fn push_call_args(
        &mut self,
        at: usize,
        index: &Json,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let known = self.list.get(at).and_then(|message| message.calls.iter().rfind(|call| call.index == *index));
        if let Some(wire) = known.map(|call| call.wire.clone()) {
            // Pieces that don't fit are told whole at the end of the block.
            let _ = self.reply.calls.push_args(&wire, piece, marked, out);
        }
    }

    /// Completes the call of a block.
    pub(super) fn complete_call(
        &mut self,
        at: usize,
        index: &Json,
        block: &Json,
        args: &str,
        out: &mut Vec<ReplyEvent>,
    ) {
        self.note_call(at, index, block, out);
        let word = |key: &str| block.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let is_it = |call: &&MessageCall| call.index == *index || word("id") == Some(call.wire.as_str());
        let wire = self.list.get(at).and_then(|message| message.calls.iter().find(is_it)).map(|call| call.wire.clone());
        if let Some(wire) = wire {
            self.reply.calls.complete(&wire, word("name"), args, out);
        }
    }

    /// Returns the usage of all messages.
    pub(super) fn usage(&self) -> Option<Usage> {
        let told = self.list.iter().filter(|message| !message.is_hidden).filter_map(|message| message.usage);
        let sum = told.fold(self.forgotten_usage, Usage::plus);
        (sum.total() > 0).then_some(sum)
    }

    /// Closes everything. A run that `reason` cut off leaves its calls as they are.
    pub(super) fn finish(&mut self, reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        if reason.is_none() {
            for at in 0..self.list.len() {
                if self.list.get(at).is_some_and(|message| message.handle.is_some()) {
                    self.complete_calls(at, out);
                    self.end(at, out);
                }
            }
        }
        self.reply.close_all(reason, out);
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.list.iter().rposition(|message| !id.is_empty() && message.id == id)
    }

    /// Finds a message by its text, where one of the two has no id, or a mode has another one. It must not be known to
    /// be another message.
    fn find_by_text(&self, id: &str, text: &str) -> Option<usize> {
        let is_same = |message: &RunMessage| {
            !message.is_hidden && !text.is_empty() && message.text == text && (id.is_empty() || !message.is_whole)
        };
        self.list.iter().rposition(is_same)
    }

    fn add(&mut self, id: &str) -> usize {
        if self.list.len() >= MAX_MESSAGES {
            for message in self.list.drain(..MAX_MESSAGES / 4) {
                let told = message.usage.filter(|_| !message.is_hidden).unwrap_or_default();
                self.forgotten_usage = self.forgotten_usage.plus(told);
            }
        }
        self.list.push(RunMessage {
            id: id.to_owned(),
            handle: None,
            is_hidden: false,
            is_whole: false,
            has_ended: false,
            lacks_last_piece: false,
            text: String::new(),
            usage: None,
            calls: Vec::new(),
            early_reason: None,
        });
        self.list.len() - 1
    }
}
