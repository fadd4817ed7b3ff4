//! The calls of an agent's run. In most formats only a result or the end of the run shows whether the agent or its client
//! runs a call, so they start as the client's; those without a result at the end are requested from the client.

use std::borrow::Cow;

use super::OpenCall;
use super::arguments::{ArgumentsAssembler, is_same_json};
use super::surrogate::SurrogateJoiner;
use crate::event::{
    Annotation, CallId, CallOutcome, CallOutput, ExecutedBy, Json, MessageId, Millis, OutputStream, ReplyEvent,
    ReplyTarget,
};

const MAX_CALLS: usize = 4096;
/// Bytes of output that a running call shows.
const MAX_SHOWN_OUTPUT_BYTES: usize = 64 * 1024;
/// Bytes of arguments kept for all open calls.
const MAX_ARGS_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
struct AgentCall {
    wire_id: String,
    id: CallId,
    name: String,
    message: MessageId,
    parent: Option<CallId>,
    ran_by: ExecutedBy,
    args: ArgumentsAssembler,
    surrogates: SurrogateJoiner,
    /// What must go back to the server with the call.
    metadata: Option<Json>,
    /// Bytes of its arguments.
    args_bytes: usize,
    ready: bool,
    chunked: bool,
    /// It is of an earlier reply; what is told of it again is no news.
    adopted: bool,
    /// What it has shown while it runs.
    shown_output: String,
    /// Times its end was emitted; consumers accept at most two.
    finish_count: u8,
}

#[derive(Debug, Default)]
pub(super) struct AgentCalls {
    list: Vec<AgentCall>,
    /// Calls so far, to number those without an id.
    call_count: usize,
    args_bytes: usize,
    /// All calls before this index are ready.
    open_from: usize,
    /// A call is streaming in chunks.
    has_open_chunks: bool,
}

/// What is known of a call when it starts.
pub(super) struct AgentCallStart<'a> {
    pub(super) wire_id: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) message: MessageId,
    pub(super) parent: Option<CallId>,
    pub(super) ran_by: ExecutedBy,
}

impl AgentCalls {
    pub(super) fn id(&self, wire: &str) -> Option<CallId> {
        self.find(wire).and_then(|at| Some(self.list.get(at)?.id.clone()))
    }

    pub(super) fn is_known(&self, wire: &str) -> bool {
        self.find(wire).is_some()
    }

    /// Returns whether the arguments of a call are complete.
    pub(super) fn is_ready(&self, wire: &str) -> bool {
        self.find(wire).and_then(|at| self.list.get(at)).is_some_and(|call| call.ready)
    }

    /// Returns whether a call with this id still waits for its result. After the result, the same id starts another
    /// call.
    pub(super) fn is_running(&self, wire: &str) -> bool {
        self.find(wire).and_then(|at| self.list.get(at)).is_some_and(|call| call.finish_count == 0)
    }

    /// Takes calls of earlier replies, whose results are to come.
    pub(super) fn adopt(&mut self, open: &[OpenCall]) {
        for call in open.iter().take(MAX_CALLS) {
            self.list.push(AgentCall {
                wire_id: call.wire_id.clone(),
                id: CallId::new(call.wire_id.as_str()),
                name: call.name.clone(),
                message: MessageId::new(""),
                parent: None,
                ran_by: ExecutedBy::Server,
                args: ArgumentsAssembler::default(),
                surrogates: SurrogateJoiner::default(),
                metadata: None,
                args_bytes: 0,
                ready: true,
                chunked: false,
                adopted: true,
                shown_output: String::new(),
                finish_count: 0,
            });
        }
    }

    pub(super) fn start(&mut self, start: AgentCallStart<'_>, out: &mut Vec<ReplyEvent>) -> CallId {
        let name = start.wire_id.to_owned();
        self.start_as(start, &name, out)
    }

    /// The same for a call whose id in the stream holds more than its name, which this is.
    pub(super) fn start_as(&mut self, start: AgentCallStart<'_>, id: &str, out: &mut Vec<ReplyEvent>) -> CallId {
        if self.list.len() >= MAX_CALLS {
            self.list.drain(..MAX_CALLS / 4);
            self.open_from = 0;
        }
        self.call_count += 1;
        let mut id = if id.is_empty() { format!("call_{}", self.call_count) } else { id.to_owned() };
        while self.list.iter().any(|call| call.id.as_str() == id) {
            id = format!("{id}_{}", self.call_count);
        }
        let id = CallId::new(id);
        self.list.push(AgentCall {
            wire_id: start.wire_id.to_owned(),
            id: id.clone(),
            name: start.name.unwrap_or_default().to_owned(),
            message: start.message.clone(),
            parent: start.parent.clone(),
            ran_by: start.ran_by,
            args: ArgumentsAssembler::default(),
            surrogates: SurrogateJoiner::default(),
            metadata: None,
            args_bytes: 0,
            ready: false,
            chunked: false,
            adopted: false,
            shown_output: String::new(),
            finish_count: 0,
        });
        out.push(ReplyEvent::ToolCallStarted {
            call: id.clone(),
            message: start.message,
            name: start.name.filter(|name| !name.is_empty()).map(str::to_owned),
            parent: start.parent,
            executed_by: start.ran_by,
        });
        id
    }

    /// Appends a piece of arguments. Fails with the notice text where the piece is invalid.
    pub(super) fn push_args(
        &mut self,
        wire: &str,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), &'static str> {
        let known = self.find(wire).and_then(|at| self.list.get_mut(at));
        if known.as_ref().is_some_and(|call| call.adopted) {
            return Ok(());
        }
        let Some(call) = known.filter(|call| !call.ready) else {
            return Err("arguments of a call that is not open");
        };
        let piece = call.surrogates.push(piece, marked).into_owned();
        self.args_bytes = self.args_bytes.saturating_add(piece.len());
        if self.args_bytes > MAX_ARGS_BYTES {
            return Err("tool arguments that are too large");
        }
        call.args_bytes = call.args_bytes.saturating_add(piece.len());
        let delta = call.args.push(&piece);
        if !delta.is_empty() {
            out.push(ReplyEvent::ToolArgsDelta { call: call.id.clone(), json: delta.to_owned() });
        }
        Ok(())
    }

    /// Takes the name of a call that may have started without one, and its complete arguments as JSON text.
    pub(super) fn complete(&mut self, wire: &str, name: Option<&str>, whole: &str, out: &mut Vec<ReplyEvent>) {
        let Some(at) = self.find(wire) else { return };
        let Some(call) = self.list.get_mut(at).filter(|call| !call.ready) else { return };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            name.clone_into(&mut call.name);
        }
        if whole.len() <= MAX_ARGS_BYTES && !is_same_json(call.args.text(), whole) {
            call.args.replace(whole);
        }
        self.mark_ready_at(at, out);
    }

    /// Returns whether a call was made in an earlier reply.
    pub(super) fn is_adopted(&self, wire: &str) -> bool {
        self.find(wire).and_then(|at| self.list.get(at)).is_some_and(|call| call.adopted)
    }

    /// Returns the first call of a name that has no result and is none of these.
    pub(super) fn running_named(&self, name: &str, taken: &[&str]) -> Option<&str> {
        let is_it =
            |call: &&AgentCall| call.finish_count == 0 && call.name == name && !taken.contains(&call.wire_id.as_str());
        self.list.iter().find(is_it).map(|call| call.wire_id.as_str())
    }

    /// Returns whether the arguments so far are all there can be: a JSON value, or none at all.
    pub(super) fn has_whole_args(&self, wire: &str) -> bool {
        let Some(call) = self.find(wire).and_then(|at| self.list.get(at)) else { return true };
        let text = call.args.text().trim();
        call.ready || text.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    /// Keeps what must go back to the server with a call whose arguments are not complete yet.
    pub(super) fn keep_metadata(&mut self, wire: &str, metadata: Json) {
        if let Some(call) = self.find(wire).and_then(|at| self.list.get_mut(at)) {
            call.metadata = Some(metadata);
        }
    }

    /// Shows what a running call has so far, of which only the new is told.
    pub(super) fn show_output(&mut self, wire: &str, so_far: &str, out: &mut Vec<ReplyEvent>) {
        let Some(at) = self.find(wire) else { return };
        self.mark_ready_at(at, out);
        let Some(call) = self.list.get_mut(at).filter(|call| call.finish_count == 0) else { return };
        let text = match so_far.strip_prefix(call.shown_output.as_str()) {
            Some(more) => more.to_owned(),
            None => format!("\n{so_far}"),
        };
        if text.is_empty() || so_far.len() > MAX_SHOWN_OUTPUT_BYTES {
            return;
        }
        so_far.clone_into(&mut call.shown_output);
        out.push(ReplyEvent::ToolOutput { call: call.id.clone(), stream: OutputStream::Stdout, text });
    }

    /// Reports that the server runs a call only once that is allowed.
    pub(super) fn ask_approval(
        &mut self,
        wire: &str,
        request: Json,
        reason: Option<String>,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(at) = self.find(wire) else { return };
        self.mark_ready_at(at, out);
        if let Some(call) = self.list.get(at).filter(|call| call.finish_count == 0) {
            let on = ReplyTarget::Call(call.id.clone());
            out.push(ReplyEvent::Annotation { on, annotation: Annotation::NeedsApproval { request, reason } });
        }
    }

    /// Returns the name of a call, as far as it is known.
    pub(super) fn name(&self, wire: &str) -> Option<&str> {
        self.find(wire).and_then(|at| self.list.get(at)).map(|call| call.name.as_str())
    }

    /// Ends and forgets the calls of a message that the server took back, and returns them. Their ids may come again.
    pub(super) fn discard(&mut self, message: &MessageId, out: &mut Vec<ReplyEvent>) -> Vec<CallId> {
        let mut discarded = Vec::new();
        for at in 0..self.list.len() {
            if self.list.get(at).is_none_or(|call| call.message != *message) {
                continue;
            }
            self.mark_ready_at(at, out);
            let Some(call) = self.list.get_mut(at) else { continue };
            if std::mem::replace(&mut call.finish_count, 2) == 0 {
                let (call, output) = (call.id.clone(), CallOutput::default());
                out.push(ReplyEvent::ToolCallFinished {
                    call,
                    outcome: CallOutcome::Cancelled,
                    output,
                    duration: None,
                });
            }
            call.wire_id.push_str("#discarded");
            discarded.push(call.id.clone());
        }
        discarded
    }

    /// Returns the calls without a result, by their ids in the stream.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.list.iter().filter(|call| call.finish_count == 0).map(|call| call.wire_id.as_str())
    }

    /// Marks the arguments as complete.
    pub(super) fn mark_ready(&mut self, wire: &str, out: &mut Vec<ReplyEvent>) {
        if let Some(at) = self.find(wire) {
            self.mark_ready_at(at, out);
        }
    }

    /// Marks the arguments of those calls as complete whose end no frame told. At the end of a reply that was `cut_off`
    /// no arguments may just not have come; begun ones never count.
    pub(super) fn mark_whole_ready(&mut self, cut_off: bool, out: &mut Vec<ReplyEvent>) {
        for at in 0..self.list.len() {
            let is_whole = |call: &AgentCall| call.args.is_complete() || (call.args.is_empty() && !cut_off);
            if self.list.get(at).is_some_and(|call| call.finish_count == 0 && is_whole(call)) {
                self.mark_ready_at(at, out);
            }
        }
    }

    /// Ends a call. A second end corrects the first; later ones are ignored.
    pub(super) fn finish(&mut self, wire: &str, outcome: CallOutcome, text: String, out: &mut Vec<ReplyEvent>) {
        self.finish_after(wire, outcome, text, None, out);
    }

    /// The same, where it is known how long the call took.
    pub(super) fn finish_after(
        &mut self,
        wire: &str,
        outcome: CallOutcome,
        text: String,
        duration: Option<Millis>,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(at) = self.find(wire) else { return };
        self.mark_ready_at(at, out);
        let Some(call) = self.list.get_mut(at).filter(|call| call.finish_count < 2) else { return };
        call.finish_count += 1;
        let (call, output) = (call.id.clone(), CallOutput::from_text(text));
        out.push(ReplyEvent::ToolCallFinished { call, outcome, output, duration });
    }

    pub(super) fn mark_chunked(&mut self, wire: &str) {
        if let Some(call) = self.find(wire).and_then(|at| self.list.get_mut(at)) {
            call.chunked = true;
            self.has_open_chunks = true;
        }
    }

    /// Returns the call that a chunk without an id continues.
    pub(super) fn chunked_call(&self) -> Option<String> {
        self.list.iter().rev().find(|call| call.chunked && !call.ready).map(|call| call.wire_id.clone())
    }

    /// Ends chunked calls, since something else begins.
    pub(super) fn close_chunks(&mut self, keep: Option<&str>, out: &mut Vec<ReplyEvent>) {
        if !std::mem::replace(&mut self.has_open_chunks, keep.is_some()) {
            return;
        }
        while self.list.get(self.open_from).is_some_and(|call| call.ready) {
            self.open_from += 1;
        }
        for at in self.open_from..self.list.len() {
            let over = |call: &AgentCall| call.chunked && !call.ready && Some(call.wire_id.as_str()) != keep;
            if self.list.get(at).is_some_and(over) {
                self.mark_ready_at(at, out);
            }
        }
    }

    fn mark_ready_at(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(call) = self.list.get_mut(at).filter(|call| !call.ready) else { return };
        call.ready = true;
        call.args.push(&call.surrogates.take_unpaired().map(String::from).unwrap_or_default());
        self.args_bytes = self.args_bytes.saturating_sub(call.args_bytes);
        let mut all = call.args.take_calls(false).into_iter();
        // No arguments are an empty object.
        let args = all.next().filter(|args| !args.trim().is_empty()).unwrap_or_else(|| "{}".to_owned());
        let name = call.name.clone();
        let (wire, message, parent, ran_by) =
            (call.wire_id.clone(), call.message.clone(), call.parent.clone(), call.ran_by);
        out.push(ReplyEvent::ToolCallReady {
            call: call.id.clone(),
            name: name.clone(),
            args,
            provider_metadata: call.metadata.take(),
        });
        // The arguments are those of several calls.
        for args in all {
            let (message, parent) = (message.clone(), parent.clone());
            let start = AgentCallStart { wire_id: "", name: Some(&name), message, parent, ran_by };
            let id = self.start(start, out);
            if let Some(more) = self.list.last_mut() {
                more.ready = true;
                more.wire_id = format!("{wire}#{}", id.as_str());
            }
            out.push(ReplyEvent::ToolCallReady { call: id, name: name.clone(), args, provider_metadata: None });
        }
    }

    fn find(&self, wire: &str) -> Option<usize> {
        self.list.iter().rposition(|call| call.wire_id == wire)
    }
}
