//! The calls of a run. Whether the agent or its client runs one is only known when a result comes or the run ends, so
//! all of them begin as the client's: what has no result then is still wanted.

use std::borrow::Cow;

use super::super::objects::Objects;
use super::super::surrogate::Halves;
use crate::event::{AgentEvent, CallId, MessageId, Outcome, Output, RanBy};

/// Calls that are remembered.
const MOST: usize = 4096;
/// Bytes of arguments that are kept for all calls that are being written.
const MOST_ARGS: usize = 16 * 1024 * 1024;

#[derive(Debug)]
struct Call {
    wire: String,
    id: CallId,
    name: String,
    message: MessageId,
    parent: Option<CallId>,
    ran_by: RanBy,
    args: Objects,
    halves: Halves,
    /// Bytes of its arguments.
    size: usize,
    ready: bool,
    chunked: bool,
    /// How often its end was told; more than twice can't be.
    finished: u8,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    list: Vec<Call>,
    /// Calls so far, for the names of those without an id.
    count: usize,
    args: usize,
    /// All before it are ready.
    open_from: usize,
    /// A call is being written by chunks.
    chunks: bool,
}

/// What a call is when it starts.
pub(super) struct Start<'a> {
    pub(super) wire: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) message: MessageId,
    pub(super) parent: Option<CallId>,
    pub(super) ran_by: RanBy,
}

impl Calls {
    pub(super) fn id(&self, wire: &str) -> Option<CallId> {
        self.find(wire).and_then(|at| Some(self.list.get(at)?.id.clone()))
    }

    pub(super) fn is_known(&self, wire: &str) -> bool {
        self.find(wire).is_some()
    }

    /// Returns whether a call of this id waits for its result. One that has it and starts again is another call.
    pub(super) fn is_running(&self, wire: &str) -> bool {
        self.find(wire).and_then(|at| self.list.get(at)).is_some_and(|call| call.finished == 0)
    }

    pub(super) fn start(&mut self, start: Start<'_>, out: &mut Vec<AgentEvent>) -> CallId {
        if self.list.len() >= MOST {
            self.list.drain(..MOST / 4);
            self.open_from = 0;
        }
        self.count += 1;
        let mut id = if start.wire.is_empty() { format!("call_{}", self.count) } else { start.wire.to_owned() };
        while self.list.iter().any(|call| call.id.as_str() == id) {
            id = format!("{id}_{}", self.count);
        }
        let id = CallId::new(id);
        self.list.push(Call {
            wire: start.wire.to_owned(),
            id: id.clone(),
            name: start.name.unwrap_or_default().to_owned(),
            message: start.message.clone(),
            parent: start.parent.clone(),
            ran_by: start.ran_by,
            args: Objects::default(),
            halves: Halves::default(),
            size: 0,
            ready: false,
            chunked: false,
            finished: 0,
        });
        out.push(AgentEvent::ToolCallStarted {
            call: id.clone(),
            message: start.message,
            name: start.name.filter(|name| !name.is_empty()).map(str::to_owned),
            parent: start.parent,
            ran_by: start.ran_by,
        });
        id
    }

    /// Adds a piece of arguments. Fails with what is odd about it.
    pub(super) fn args(
        &mut self,
        wire: &str,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<AgentEvent>,
    ) -> Result<(), &'static str> {
        let Some(call) = self.find(wire).and_then(|at| self.list.get_mut(at)).filter(|call| !call.ready) else {
            return Err("arguments of a call that is not being written");
        };
        let piece = call.halves.join(piece, marked).into_owned();
        self.args = self.args.saturating_add(piece.len());
        if self.args > MOST_ARGS {
            return Err("tool arguments that are too large");
        }
        call.size = call.size.saturating_add(piece.len());
        let told = call.args.push(&piece);
        if !told.is_empty() {
            out.push(AgentEvent::ToolArgsDelta { call: call.id.clone(), json: told.to_owned() });
        }
        Ok(())
    }

    /// The arguments are complete.
    pub(super) fn ready(&mut self, wire: &str, out: &mut Vec<AgentEvent>) {
        if let Some(at) = self.find(wire) {
            self.ready_at(at, out);
        }
    }

    /// The call is over. An end that comes again settles it; more are not told.
    pub(super) fn finish(&mut self, wire: &str, outcome: Outcome, text: String, out: &mut Vec<AgentEvent>) {
        let Some(at) = self.find(wire) else { return };
        self.ready_at(at, out);
        let Some(call) = self.list.get_mut(at).filter(|call| call.finished < 2) else { return };
        call.finished += 1;
        out.push(AgentEvent::ToolCallFinished { call: call.id.clone(), outcome, output: Output::of(text), took: None });
    }

    pub(super) fn mark_chunked(&mut self, wire: &str) {
        if let Some(call) = self.find(wire).and_then(|at| self.list.get_mut(at)) {
            call.chunked = true;
            self.chunks = true;
        }
    }

    /// Returns the call that a chunk without an id goes on with.
    pub(super) fn chunked(&self) -> Option<String> {
        self.list.iter().rev().find(|call| call.chunked && !call.ready).map(|call| call.wire.clone())
    }

    /// Chunks end when something else begins.
    pub(super) fn close_chunks(&mut self, keep: Option<&str>, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.chunks, keep.is_some()) {
            return;
        }
        while self.list.get(self.open_from).is_some_and(|call| call.ready) {
            self.open_from += 1;
        }
        for at in self.open_from..self.list.len() {
            let over = |call: &Call| call.chunked && !call.ready && Some(call.wire.as_str()) != keep;
            if self.list.get(at).is_some_and(over) {
                self.ready_at(at, out);
            }
        }
    }

    fn ready_at(&mut self, at: usize, out: &mut Vec<AgentEvent>) {
        let Some(call) = self.list.get_mut(at).filter(|call| !call.ready) else { return };
        call.ready = true;
        call.args.push(&call.halves.rest().map(String::from).unwrap_or_default());
        self.args = self.args.saturating_sub(call.size);
        let mut all = call.args.take(false).into_iter();
        let (name, args) = (call.name.clone(), all.next().unwrap_or_default());
        let (wire, message, parent, ran_by) =
            (call.wire.clone(), call.message.clone(), call.parent.clone(), call.ran_by);
        out.push(AgentEvent::ToolCallReady { call: call.id.clone(), name: name.clone(), args, carry: None });
        // Arguments of several calls in one.
        for args in all {
            let (message, parent) = (message.clone(), parent.clone());
            let start = Start { wire: "", name: Some(&name), message, parent, ran_by };
            let id = self.start(start, out);
            if let Some(more) = self.list.last_mut() {
                more.ready = true;
                more.wire = format!("{wire}#{}", id.as_str());
            }
            out.push(AgentEvent::ToolCallReady { call: id, name: name.clone(), args, carry: None });
        }
    }

    fn find(&self, wire: &str) -> Option<usize> {
        self.list.iter().rposition(|call| call.wire == wire)
    }
}
