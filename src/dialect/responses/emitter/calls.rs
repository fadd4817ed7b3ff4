//! Emits the calls of an answer: their start, their arguments, what they give and how they end.

use std::borrow::Cow;

use super::super::super::arguments;
use super::super::items::{ResponsesItemKind, text_key};
use super::super::text_at;
use super::ResponsesEmitter;
use crate::event::{
    Annotation, CallId, CallOutcome, CallOutput, ExecutedBy, Json, OutputStream, ReplyEvent, ReplyTarget,
};

/// Bytes of arguments kept for all calls.
const MAX_ARGS_BYTES: usize = 16 * 1024 * 1024;

impl ResponsesEmitter {
    /// Starts a call, once its tool is known and it is no repetition.
    pub(in crate::dialect::responses) fn start(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        if !self.shares_call_id(at) {
            self.emit_start(at, out);
        }
    }

    fn emit_start(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(item) = self.items.get(at) else { return };
        let item_id = item.id.clone();
        let Some(call) = item.call.as_mut().filter(|call| call.id.is_none()) else { return };
        let (name, ran_by) = (call.name.clone(), call.ran_by());
        let wire_id = call.wire_id.clone().or(item_id).unwrap_or_default();
        let id = self.items.unique_id(&wire_id);
        let Some(message) = self.assign_message(at, out) else { return };
        if let Some(open) = &mut self.open {
            open.has_client_calls |= ran_by == ExecutedBy::Client;
            open.has_server_calls |= ran_by == ExecutedBy::Server;
            open.ends_with_reasoning = false;
        }
        let Some(call) = self.items.call(at) else { return };
        call.id = Some(id.clone());
        let name = Some(name).filter(|name| !name.is_empty());
        out.push(ReplyEvent::ToolCallStarted { call: id.clone(), message, name, parent: None, executed_by: ran_by });
        if !call.args.is_empty() {
            out.push(ReplyEvent::ToolArgsDelta { call: id, json: call.args.clone() });
        }
    }

    /// Takes a delta of a call's arguments. Fails when there are too many to be kept.
    pub(in crate::dialect::responses) fn push_args(
        &mut self,
        at: usize,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), ()> {
        let Some(call) = self.items.call(at).filter(|call| !call.is_ready) else { return Ok(()) };
        let piece = call.surrogates.push(piece, marked);
        if piece.is_empty() {
            return Ok(());
        }
        let piece = match text_key(&call.tool) {
            // Plain text is emitted as the JSON that it becomes; the end of it comes with the whole.
            Some(key) => {
                let quoted = Json::from(piece.as_ref()).to_string();
                let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                if call.args.is_empty() { format!("{{\"{key}\":\"{inner}") } else { inner.to_owned() }
            }
            None => piece.into_owned(),
        };
        self.args_bytes = self.args_bytes.saturating_add(piece.len());
        if self.args_bytes > MAX_ARGS_BYTES {
            return Err(());
        }
        let Some(call) = self.items.call(at) else { return Ok(()) };
        arguments::note_restart(&mut call.restart_offsets, call.args.len(), &piece);
        call.args.push_str(&piece);
        if let Some(id) = &call.id {
            out.push(ReplyEvent::ToolArgsDelta { call: id.clone(), json: piece });
        }
        Ok(())
    }

    /// Takes a call's complete arguments. The same JSON with other white space is a repetition and corrects nothing.
    pub(in crate::dialect::responses) fn reconcile_args(
        &mut self,
        at: usize,
        whole: String,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(call) = self.items.call(at).filter(|call| !call.is_ready) else { return };
        let _ = call.surrogates.take_unpaired();
        if !call.args.is_empty() && arguments::is_same_json(&call.args, &whole) {
            return;
        }
        let rest = whole.strip_prefix(call.args.as_str()).unwrap_or_default().to_owned();
        let is_streamed = !call.args.is_empty();
        if let Some(id) = call.id.clone().filter(|_| is_streamed && !rest.is_empty()) {
            out.push(ReplyEvent::ToolArgsDelta { call: id, json: rest });
        }
        call.args = whole;
        call.restart_offsets.clear();
    }

    /// Marks a call's arguments as complete.
    pub(in crate::dialect::responses) fn mark_ready(
        &mut self,
        at: usize,
        item_id: Option<&str>,
        out: &mut Vec<ReplyEvent>,
    ) {
        if self.shares_call_id(at) && self.is_duplicate_call(at) {
            return;
        }
        self.emit_start(at, out);
        let is_worth = self.provider_metadata.is_needed();
        let Some(call) = self.items.call(at).filter(|call| !call.is_ready && !call.is_finished) else { return };
        let Some(id) = call.id.clone() else { return };
        call.is_ready = true;
        let mut metadata = serde_json::Map::new();
        if let Some(item_id) = item_id.filter(|_| is_worth && call.ran_by() == ExecutedBy::Client) {
            metadata.insert("item_id".into(), item_id.into());
        }
        if call.tool == "custom_tool_call" {
            metadata.insert("custom".into(), true.into());
        }
        let metadata = (!metadata.is_empty()).then(|| Json::Object(metadata));
        let (name, tool) = (call.name.clone(), call.tool.clone());
        let mut all =
            arguments::split_calls_from(std::mem::take(&mut call.args), std::mem::take(&mut call.restart_offsets))
                .into_iter();
        let args = all.next().unwrap_or_default();
        call.emitted_args.clone_from(&args);
        out.push(ReplyEvent::ToolCallReady { call: id, name: name.clone(), args, provider_metadata: metadata });
        // The arguments of several calls in one.
        for args in all {
            let Some(more) = self.items.add(None, None, ResponsesItemKind::Call, &tool) else { return };
            if let Some(item) = self.items.get(more) {
                item.is_done = true;
            }
            if let Some(call) = self.items.call(more) {
                call.name.clone_from(&name);
                call.args = args;
            }
            self.mark_ready(more, None, out);
        }
    }

    /// Returns whether a call has the id, the name and the arguments of another: a repeated item.
    fn is_duplicate_call(&mut self, at: usize) -> bool {
        let Some(call) = self.items.call(at) else { return false };
        let (Some(id), name, args) = (call.wire_id.clone(), call.name.clone(), call.args.clone()) else { return false };
        self.items.list.iter().enumerate().filter(|(other, _)| *other != at).any(|(_, item)| {
            item.call.as_ref().is_some_and(|call| {
                let is_it = call.wire_id.as_ref() == Some(&id) && call.name == name && call.is_ready;
                is_it && (args.trim().is_empty() || arguments::is_same_json(&call.emitted_args, &args))
            })
        })
    }

    /// Returns whether another call has the id of this one, so that the arguments must show whether they are the same.
    fn shares_call_id(&mut self, at: usize) -> bool {
        let Some(id) = self.items.call(at).and_then(|call| call.wire_id.clone()) else { return false };
        let mut others = self.items.list.iter().enumerate().filter(|(other, _)| *other != at);
        others.any(|(_, item)| {
            item.call.as_ref().is_some_and(|call| call.id.is_some() && call.wire_id.as_ref() == Some(&id))
        })
    }

    pub(in crate::dialect::responses) fn emit_output(
        &mut self,
        at: usize,
        stream: OutputStream,
        text: &str,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(call) = self.items.call(at).filter(|call| call.is_ready && !call.is_finished) else { return };
        if let Some(id) = call.id.clone().filter(|_| !text.is_empty()) {
            out.push(ReplyEvent::ToolOutput { call: id, stream, text: text.to_owned() });
        }
    }

    /// Takes a call for one of an earlier reply, which this request approved.
    pub(in crate::dialect::responses) fn continue_call(&mut self, at: usize, request: &str) {
        if self.approved.iter().any(|known| known == request)
            && let Some(call) = self.items.call(at).filter(|call| call.id.is_none())
        {
            call.wire_id = Some(request.to_owned());
            (call.id, call.is_ready) = (Some(CallId::new(request)), true);
        }
    }

    /// Tells that the server runs a call only once that is allowed. The answer names the item.
    pub(in crate::dialect::responses) fn ask_approval(&mut self, at: usize, item: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(id) = self.items.call(at).and_then(|call| call.id.clone()) else { return };
        let known = ["type", "id", "name", "arguments", "server_label"].into_iter();
        let request = known.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone()))).collect();
        let reason = text_at(item, "server_label").zip(text_at(item, "name"));
        let reason = reason.map(|(server, name)| {
            format!("{server}: {name} {}", text_at(item, "arguments").unwrap_or_default()).trim_end().to_owned()
        });
        let annotation = Annotation::NeedsApproval { request: Json::Object(request), reason };
        out.push(ReplyEvent::Annotation { on: ReplyTarget::Call(id), annotation });
    }

    pub(in crate::dialect::responses) fn finish_call(
        &mut self,
        at: usize,
        outcome: CallOutcome,
        text: String,
        out: &mut Vec<ReplyEvent>,
    ) {
        if self.shares_call_id(at) && self.is_duplicate_call(at) {
            return;
        }
        self.emit_start(at, out);
        let Some(call) = self.items.call(at).filter(|call| !call.is_finished) else { return };
        let Some(id) = call.id.clone() else { return };
        call.is_finished = true;
        out.push(ReplyEvent::ToolCallFinished {
            call: id,
            outcome,
            output: CallOutput::from_text(text),
            duration: None,
        });
        if let Some(open) = &mut self.open {
            open.is_over = true;
        }
    }
}
