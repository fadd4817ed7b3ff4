//! Tool calls assembled from fragments. Servers differ in how they say which call a fragment belongs to: by index, by
//! id, by position, or not at all.
//!
//! Rules where index and id disagree:
//! - An id that is known under another index is the same call: while that call is streaming, the fragment continues it;
//!   once it is complete, the fragments are held back and count only if their arguments turn out to differ.
//! - Another id on a known index is another call if it brings a name, unless it comes in the middle of an object.
//! - Another name on a known index starts a call, once the previous call is complete or while it has no arguments at all.
//! - Calls with different ids are different, however much alike they are.
//!
//! The possible shapes of arguments are described in [`super::super::arguments`].

use std::borrow::Cow;

use serde_json::json;

use super::super::arguments::{self, ArgumentsAssembler, begins_object};
use super::super::lenient::LooseU64;
use super::super::surrogate::SurrogateJoiner;
use super::wire::ChatCallFragment;
use crate::event::{CallId, ExecutedBy, Json, MessageId, ReplyEvent};

/// Calls of one message. Bounds the allocation that a hostile index could cause.
const MAX_CALLS: usize = 128;
/// Bytes of arguments kept for all calls of a message.
const MAX_ARGS_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct ChatCalls {
    list: Vec<ChatCall>,
    args_bytes: usize,
    /// Ids of calls that are not in the chunks.
    reserved_ids: Vec<CallId>,
}

#[derive(Debug)]
struct ChatCall {
    index: Option<u64>,
    /// The server's id, where there is one.
    wire_id: Option<String>,
    id: CallId,
    name: String,
    args: ArgumentsAssembler,
    surrogates: SurrogateJoiner,
    /// Its start was emitted, which waits for the name.
    started: bool,
    /// Index of the call that this one may repeat.
    duplicate_of: Option<usize>,
    provider_metadata: Option<Json>,
}

impl ChatCalls {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes the n-th fragment of a delta. Fails with the notice text where it is invalid.
    pub(super) fn push_fragment(
        &mut self,
        fragment: &ChatCallFragment<'_>,
        position: usize,
        marked: bool,
        message: &MessageId,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), &'static str> {
        let Some(function) = &fragment.function.0 else { return Ok(()) };
        let (index, id, name) = (fragment.index.0, fragment.id.non_empty(), function.name.non_empty());
        let piece = function.arguments.0.as_deref().unwrap_or_default();
        let at = match self.find(index, id, position, name, piece) {
            FragmentTarget::Known(at) => at,
            _ if self.list.len() >= MAX_CALLS => return Err("too many tool calls"),
            FragmentTarget::New => self.add(index, id, None),
            FragmentTarget::MaybeDuplicate(twin) => self.add(index, id, Some(twin)),
        };
        let piece = self.take_args(fragment, at, marked)?;
        let Some(call) = self.list.get_mut(at) else { return Ok(()) };
        let delta = call.args.push(&piece);
        if call.started {
            call.emit_args(delta, out);
        } else if !call.name.is_empty() && call.duplicate_of.is_none() {
            call.start(message, out);
        }
        Ok(())
    }

    /// Takes the n-th complete call of a message, streamed before or not. Ids may have changed since: a call at the
    /// same position with the same name is the same call.
    pub(super) fn reconcile_call(
        &mut self,
        fragment: &ChatCallFragment<'_>,
        position: usize,
        marked: bool,
        message: &MessageId,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), &'static str> {
        let Some(function) = &fragment.function.0 else { return Ok(()) };
        let (id, name) = (fragment.id.non_empty(), function.name.non_empty());
        let by_id = id.and_then(|id| self.list.iter().position(|call| call.wire_id.as_deref() == Some(id)));
        let by_place = || {
            let call = self.list.get(position)?;
            (call.name.is_empty() || name.is_none() || name == Some(call.name.as_str())).then_some(position)
        };
        let Some(at) = by_id.or_else(by_place) else {
            let alone = ChatCallFragment { index: LooseU64::default(), ..fragment.clone() };
            let position = self.list.len();
            return self.push_fragment(&alone, position, marked, message, out);
        };
        // The complete arguments hold both halves of a character.
        if let Some(call) = self.list.get_mut(at) {
            let _ = call.surrogates.take_unpaired();
        }
        let whole = self.take_args(fragment, at, marked)?;
        let Some(call) = self.list.get_mut(at) else { return Ok(()) };
        if !whole.trim().is_empty() {
            call.reconcile_args(&whole, out);
        }
        if !call.started && !call.name.is_empty() {
            call.start(message, out);
        }
        Ok(())
    }

    /// Marks all calls as complete, or as complete as they get: `is_cut` means that the answer was cut off.
    pub(super) fn finish_all(&mut self, is_cut: bool, message: &MessageId, out: &mut Vec<ReplyEvent>) {
        let mut ready_args: Vec<(usize, String)> = Vec::new();
        for at in 0..self.list.len() {
            let Some(call) = self.list.get_mut(at) else { return };
            if let Some(half) = call.surrogates.take_unpaired() {
                call.args.push(half.encode_utf8(&mut [0; 4]));
            }
            let mut objects = call.args.take_calls(is_cut);
            if let Some(twin) = call.duplicate_of {
                let is_known = |args: &String| {
                    ready_args.iter().any(|(of, known)| *of == twin && arguments::is_same_json(known, args))
                };
                objects.retain(|args| !args.trim().is_empty() && !is_known(args));
            }
            let root = call.duplicate_of.unwrap_or(at);
            for (nth, args) in objects.into_iter().enumerate() {
                self.mark_ready(at, nth, args.clone(), message, out);
                ready_args.push((root, args));
            }
        }
    }

    /// Marks a call as complete. From the second set of arguments on, each is another call of the same name.
    fn mark_ready(&mut self, at: usize, nth: usize, args: String, message: &MessageId, out: &mut Vec<ReplyEvent>) {
        if nth > 0 {
            if self.list.len() >= MAX_CALLS {
                return;
            }
            let (wire_id, name) =
                self.list.get(at).map(|call| (call.wire_id.clone(), call.name.clone())).unwrap_or_default();
            let at = self.add(None, wire_id.as_deref(), None);
            let Some(call) = self.list.get_mut(at) else { return };
            call.name = name;
            call.args.push(&args);
            return call.mark_ready(args, message, out);
        }
        if let Some(call) = self.list.get_mut(at) {
            call.mark_ready(args, message, out);
        }
    }

    /// Records the id, name and metadata of a fragment and returns its arguments.
    fn take_args<'f>(
        &mut self,
        fragment: &'f ChatCallFragment<'_>,
        at: usize,
        marked: bool,
    ) -> Result<Cow<'f, str>, &'static str> {
        let Some(function) = &fragment.function.0 else { return Ok(Cow::Borrowed("")) };
        self.set_names(at, fragment.id.non_empty(), function.name.non_empty());
        let Some(call) = self.list.get_mut(at) else { return Ok(Cow::Borrowed("")) };
        if let Some(extra) = fragment.extra_content.as_ref().filter(|extra| extra.is_object()) {
            call.provider_metadata = Some(json!({"extra_content": extra}));
        }
        let args = call.surrogates.push(function.arguments.0.as_deref().unwrap_or_default().into(), marked);
        self.args_bytes = self.args_bytes.saturating_add(args.len());
        if self.args_bytes > MAX_ARGS_BYTES { Err("tool arguments that are too large") } else { Ok(args) }
    }

    /// Sets id and name where they were unknown.
    fn set_names(&mut self, at: usize, id: Option<&str>, name: Option<&str>) {
        let is_late = self.list.get(at).is_some_and(|call| call.wire_id.is_none() && !call.started);
        let late_id = id.filter(|_| is_late).map(|id| (id.to_owned(), self.unique_id(id)));
        let Some(call) = self.list.get_mut(at) else { return };
        if let Some((id, unique)) = late_id {
            call.wire_id = Some(id);
            call.id = unique;
        }
        // A name may come after the arguments. A longer name that starts with the known one is the same name, further
        // along.
        let is_better = |name: &&str| call.name.is_empty() || (call.args.is_empty() && name.starts_with(&call.name));
        if let Some(name) = name.filter(is_better) {
            name.clone_into(&mut call.name);
        }
    }

    fn find(
        &self,
        index: Option<u64>,
        id: Option<&str>,
        position: usize,
        name: Option<&str>,
        piece: &str,
    ) -> FragmentTarget {
        let by_id = |id: &str| self.list.iter().rposition(|call| call.wire_id.as_deref() == Some(id));
        // A fragment in the middle of an object continues it, whatever else it says.
        let goes_on = |call: &ChatCall| !call.args.is_empty() && !call.args.is_complete() && !begins_object(piece);
        // A fragment with a name, for a call that has one, starts another call.
        let is_named = |call: &ChatCall| name.is_some() && !call.name.is_empty();
        let is_renamed = |call: &ChatCall| {
            let Some(name) = name.filter(|_| !call.name.is_empty()) else { return false };
            let is_longer = name.starts_with(call.name.as_str());
            (call.args.is_complete() && name != call.name) || (call.args.is_empty() && !is_longer)
        };
        let of_index = index.and_then(|index| self.list.iter().rposition(|call| call.index == Some(index)));
        if let Some((at, call)) = of_index.and_then(|at| Some((at, self.list.get(at)?))) {
            let is_other = id.is_some() && call.wire_id.is_some() && call.wire_id.as_deref() != id;
            return match id.filter(|_| is_other && is_named(call) && !goes_on(call)) {
                Some(id) => by_id(id).map_or(FragmentTarget::New, FragmentTarget::Known),
                None if !is_other && is_renamed(call) => FragmentTarget::New,
                None => FragmentTarget::Known(at),
            };
        }
        if let Some((at, call)) = id.and_then(by_id).and_then(|at| Some((at, self.list.get(at)?))) {
            return match index {
                _ if goes_on(call) => FragmentTarget::Known(at),
                _ if is_renamed(call) => FragmentTarget::New,
                None => FragmentTarget::Known(at),
                Some(_) => FragmentTarget::MaybeDuplicate(call.duplicate_of.unwrap_or(at)),
            };
        }
        if index.is_some() {
            return FragmentTarget::New;
        }
        let at = if position > 0 { Some(position) } else { self.list.len().checked_sub(1) };
        match at.and_then(|at| Some((at, self.list.get(at)?))) {
            Some((at, call)) if goes_on(call) || (id.is_none() && !is_named(call)) => FragmentTarget::Known(at),
            _ => FragmentTarget::New,
        }
    }

    fn add(&mut self, index: Option<u64>, id: Option<&str>, twin: Option<usize>) -> usize {
        let at = self.list.len();
        let call_id = match id {
            Some(id) => self.unique_id(id),
            None => self.unique_id(&format!("call_{}", at + 1)),
        };
        self.list.push(ChatCall {
            index,
            wire_id: id.map(Into::into),
            id: call_id,
            name: String::new(),
            args: ArgumentsAssembler::default(),
            surrogates: SurrogateJoiner::default(),
            started: false,
            duplicate_of: twin,
            provider_metadata: None,
        });
        at
    }

    pub(super) fn reserve(&mut self, preferred: &str) -> CallId {
        let id = self.unique_id(preferred);
        self.reserved_ids.push(id.clone());
        id
    }

    /// Returns the id, with a suffix where another call already has it.
    fn unique_id(&self, id: &str) -> CallId {
        let taken = |id: &str| {
            self.list.iter().map(|call| &call.id).chain(&self.reserved_ids).any(|known| known.as_str() == id)
        };
        let mut unique = id.to_owned();
        while taken(&unique) {
            unique.push_str("_2");
        }
        CallId::new(unique)
    }
}

/// The call that a fragment belongs to.
enum FragmentTarget {
    Known(usize),
    New,
    /// A new call, which may repeat the known one at this index.
    MaybeDuplicate(usize),
}

impl ChatCall {
    fn start(&mut self, message: &MessageId, out: &mut Vec<ReplyEvent>) {
        self.started = true;
        out.push(ReplyEvent::ToolCallStarted {
            call: self.id.clone(),
            message: message.clone(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            parent: None,
            executed_by: ExecutedBy::Client,
        });
        self.emit_args(self.args.emitted(), out);
    }

    fn emit_args(&self, json: &str, out: &mut Vec<ReplyEvent>) {
        if !json.is_empty() {
            out.push(ReplyEvent::ToolArgsDelta { call: self.id.clone(), json: json.to_owned() });
        }
    }

    /// Reconciles the streamed arguments with the complete ones and emits the missing rest, if what was emitted is a
    /// prefix. The same JSON with other white space is a repetition and corrects nothing.
    fn reconcile_args(&mut self, whole: &str, out: &mut Vec<ReplyEvent>) {
        let emitted = self.args.emitted();
        let whole = if arguments::is_same_json(emitted, whole) { &emitted.to_owned() } else { whole };
        if self.started {
            self.emit_args(whole.strip_prefix(self.args.emitted()).unwrap_or_default(), out);
        }
        self.args.replace(whole);
    }

    fn mark_ready(&mut self, args: String, message: &MessageId, out: &mut Vec<ReplyEvent>) {
        if !self.started {
            self.start(message, out);
        }
        out.push(ReplyEvent::ToolCallReady {
            call: self.id.clone(),
            name: self.name.clone(),
            args,
            provider_metadata: self.provider_metadata.take(),
        });
    }
}
