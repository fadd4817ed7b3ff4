//! Tool calls put together from fragments. Servers differ in how they say which call a fragment belongs to: by index,
//! by id, by position, or not at all.

use serde_json::json;

use super::super::surrogate::Halves;
use super::wire::Fragment;
use crate::event::{AgentEvent, CallId, Json, MessageId, RanBy};

/// Calls of one message that are followed. A hostile index must not make us allocate.
const MOST: usize = 128;
/// Bytes of arguments that are kept for all calls of a message.
const MOST_ARGS: usize = 16 * 1024 * 1024;

/// The calls of one message.
#[derive(Debug, Default)]
pub(super) struct Calls {
    list: Vec<Call>,
    size: usize,
    /// Ids of calls that are not in the chunks.
    reserved: Vec<CallId>,
}

#[derive(Debug)]
struct Call {
    index: Option<u64>,
    /// The wire's id, where it gave one.
    wire_id: Option<String>,
    told_id: CallId,
    name: String,
    args: String,
    halves: Halves,
    /// Whether its start was told, which waits for the name.
    started: bool,
    carry: Option<Json>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes a fragment, the n-th of its delta. Fails with what is odd about it.
    pub(super) fn take(
        &mut self,
        fragment: &Fragment<'_>,
        position: usize,
        marked: bool,
        message: &MessageId,
        out: &mut Vec<AgentEvent>,
    ) -> Result<(), &'static str> {
        let Some(function) = &fragment.function.0 else { return Ok(()) };
        let (index, id, name) = (fragment.index.0, fragment.id.some(), function.name.some());
        let at = match self.find(index, id, position, name) {
            Some(at) => at,
            None if self.list.len() < MOST => self.add(index, id),
            None => return Err("more tool calls than are followed"),
        };
        let is_late = self.list.get(at).is_some_and(|call| call.wire_id.is_none() && !call.started);
        let late_id = id.filter(|_| is_late).map(|id| (id.to_owned(), self.unique(id)));
        let Some(call) = self.list.get_mut(at) else { return Ok(()) };
        if let Some((id, unique)) = late_id {
            call.wire_id = Some(id);
            call.told_id = unique;
        }
        if call.name.is_empty() {
            call.name.push_str(name.unwrap_or_default());
        }
        if let Some(extra) = fragment.extra_content.as_ref().filter(|extra| extra.is_object()) {
            call.carry = Some(json!({"extra_content": extra}));
        }
        let piece = call.halves.join(function.arguments.0.as_deref().unwrap_or_default().into(), marked);
        self.size = self.size.saturating_add(piece.len());
        if self.size > MOST_ARGS {
            return Err("tool arguments beyond all measure");
        }
        call.args.push_str(&piece);
        if !call.started {
            if !call.name.is_empty() {
                call.start(message, out);
            }
        } else if !piece.is_empty() {
            out.push(AgentEvent::ToolArgsDelta { call: call.told_id.clone(), json: piece.into_owned() });
        }
        Ok(())
    }

    /// Says that all calls are complete.
    pub(super) fn close(&mut self, message: &MessageId, out: &mut Vec<AgentEvent>) {
        for call in &mut self.list {
            if !call.started {
                call.start(message, out);
            }
            call.args.extend(call.halves.rest());
            out.push(AgentEvent::ToolCallReady {
                call: call.told_id.clone(),
                name: std::mem::take(&mut call.name),
                args: std::mem::take(&mut call.args),
                carry: call.carry.take(),
            });
        }
    }

    fn find(&self, index: Option<u64>, id: Option<&str>, position: usize, name: Option<&str>) -> Option<usize> {
        let by_id = |id: &str| self.list.iter().rposition(|call| call.wire_id.as_deref() == Some(id));
        // A fragment that brings a name of its own, to a call that has one, begins another call.
        let is_new = |call: &Call| name.is_some() && !call.name.is_empty();
        if let Some(index) = index {
            let at = self.list.iter().rposition(|call| call.index == Some(index))?;
            let call = self.list.get(at)?;
            let other_id = id.is_some() && call.wire_id.is_some() && call.wire_id.as_deref() != id;
            return if other_id && is_new(call) { id.and_then(by_id) } else { Some(at) };
        }
        if let Some(at) = id.and_then(by_id) {
            return Some(at);
        }
        let at = if position > 0 { position } else { self.list.len().checked_sub(1)? };
        self.list.get(at).filter(|call| id.is_none() && !is_new(call)).map(|_| at)
    }

    fn add(&mut self, index: Option<u64>, id: Option<&str>) -> usize {
        let at = self.list.len();
        let told_id = match id {
            Some(id) => self.unique(id),
            None => self.unique(&format!("call_{}", at + 1)),
        };
        self.list.push(Call {
            index,
            wire_id: id.map(Into::into),
            told_id,
            name: String::new(),
            args: String::new(),
            halves: Halves::default(),
            started: false,
            carry: None,
        });
        at
    }

    pub(super) fn reserve(&mut self, wanted: &str) -> CallId {
        let id = self.unique(wanted);
        self.reserved.push(id.clone());
        id
    }

    /// Returns the id, or one made of it where another call has it already.
    fn unique(&self, id: &str) -> CallId {
        let taken = |id: &str| {
            self.list.iter().map(|call| &call.told_id).chain(&self.reserved).any(|known| known.as_str() == id)
        };
        let mut unique = id.to_owned();
        while taken(&unique) {
            unique.push_str("_2");
        }
        CallId::new(unique)
    }
}

impl Call {
    fn start(&mut self, message: &MessageId, out: &mut Vec<AgentEvent>) {
        self.started = true;
        out.push(AgentEvent::ToolCallStarted {
            call: self.told_id.clone(),
            message: message.clone(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            parent: None,
            ran_by: RanBy::Us,
        });
        if !self.args.is_empty() {
            out.push(AgentEvent::ToolArgsDelta { call: self.told_id.clone(), json: self.args.clone() });
        }
    }
}
