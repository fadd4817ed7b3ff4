//! The output items of an answer, and how an event says which one it means: by id, by position, or not at all.

use super::super::repeat::{Pieces, Told};
use super::super::speech;
use super::super::surrogate::Halves;
use super::super::think::Think;
use super::tools;
use crate::event::{CallId, MessageId, RanBy};

/// Items that are followed. A hostile index must not make us allocate.
const MOST: usize = 512;
/// Parts of one item, likewise.
const MOST_PARTS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Call,
    /// What a call gave, told as an item of its own.
    Output,
}

impl Kind {
    /// Reads an item's type.
    pub(super) fn of(item_type: &str) -> Option<Self> {
        match item_type {
            "message" => Some(Self::Message),
            "reasoning" => Some(Self::Reasoning),
            "mcp_list_tools" | "mcp_approval_request" => Some(Self::Call),
            _ if item_type.ends_with("_call") => Some(Self::Call),
            _ if item_type.ends_with("_call_output") => Some(Self::Output),
            _ => None,
        }
    }
}

/// Which of an item's texts a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Text,
    Refusal,
    Summary,
    Thought,
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) voice: Voice,
    pub(super) index: u64,
    pub(super) told: Told,
    pub(super) halves: Halves,
    pub(super) pieces: Pieces,
    /// Of text: reasoning that stands in it.
    pub(super) think: Think,
    /// Bytes that were told as text.
    pub(super) spoken: usize,
    /// What was told as text turned out to be reasoning.
    pub(super) is_late: bool,
    pub(super) is_cited: bool,
}

#[derive(Debug)]
pub(super) struct Call {
    /// `call_…`, by which its output is sent back; not the item's id.
    pub(super) wire_id: Option<String>,
    /// The item's type.
    pub(super) tool: String,
    pub(super) name: String,
    pub(super) args: String,
    /// Where pieces of them begin that may say all again.
    pub(super) starts: Vec<usize>,
    pub(super) halves: Halves,
    /// Set once its start was told.
    pub(super) told: Option<CallId>,
    pub(super) is_ready: bool,
    pub(super) is_finished: bool,
    /// The arguments as they were told to be complete.
    pub(super) told_args: String,
    /// The server's word on its end, ahead of the item.
    pub(super) ended: Option<bool>,
}

impl Call {
    pub(super) fn ran_by(&self) -> RanBy {
        tools::ran_by(&self.tool)
    }
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: Option<String>,
    pub(super) index: Option<u64>,
    pub(super) kind: Kind,
    pub(super) parts: Vec<Part>,
    pub(super) call: Option<Call>,
    /// The call that this is the output of.
    pub(super) target: Option<usize>,
    /// The message it was told in.
    pub(super) message: Option<MessageId>,
    pub(super) is_done: bool,
}

#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) list: Vec<Item>,
}

impl Items {
    pub(super) fn get(&mut self, at: usize) -> Option<&mut Item> {
        self.list.get_mut(at)
    }

    pub(super) fn call(&mut self, at: usize) -> Option<&mut Call> {
        self.list.get_mut(at)?.call.as_mut()
    }

    pub(super) fn find_id(&self, id: &str, kind: Kind) -> Option<usize> {
        self.list.iter().rposition(|item| item.kind == kind && item.id.as_deref() == Some(id))
    }

    /// Whether an item may stand at that position, as far as is known.
    pub(super) fn may_be_at(&self, at: usize, index: Option<u64>) -> bool {
        let place = self.list.get(at).and_then(|item| item.index);
        place.is_none() || index.is_none() || place == index
    }

    /// Finds the item that an event means. Some servers give an item another id in each event, so a position counts
    /// where the id is unknown; without both it is the newest of its kind.
    pub(super) fn find(&self, id: Option<&str>, index: Option<u64>, kind: Kind) -> Option<usize> {
        let newest = |fits: &dyn Fn(&Item) -> bool| self.list.iter().rposition(|item| item.kind == kind && fits(item));
        if let Some(at) = id.and_then(|id| self.find_id(id, kind)) {
            return Some(at);
        }
        match index {
            Some(_) => newest(&|item| item.index == index),
            None => {
                newest(&|_| true).filter(|at| self.list.get(*at).is_some_and(|item| id.is_none() || item.id.is_none()))
            }
        }
    }

    /// Finds the item that an announcement means: an unknown id is another item, unless the one at its place has none.
    pub(super) fn find_announced(&self, id: Option<&str>, index: Option<u64>, kind: Kind) -> Option<usize> {
        let at = self.find(id, index, kind)?;
        let item = self.list.get(at)?;
        let is_same = id.is_some() && item.id.as_deref() == id;
        (is_same || (item.id.is_none() && (index.is_none() || item.index == index))).then_some(at)
    }

    pub(super) fn find_call(&self, wire_id: &str) -> Option<usize> {
        self.list
            .iter()
            .rposition(|item| item.call.as_ref().is_some_and(|call| call.wire_id.as_deref() == Some(wire_id)))
    }

    /// Adds an item. Fails past the limit.
    pub(super) fn add(&mut self, id: Option<&str>, index: Option<u64>, kind: Kind, tool: &str) -> Option<usize> {
        if self.list.len() >= MOST {
            return None;
        }
        let call = (kind == Kind::Call).then(|| Call {
            wire_id: None,
            tool: tool.to_owned(),
            name: String::new(),
            args: String::new(),
            starts: Vec::new(),
            halves: Halves::default(),
            told: None,
            is_ready: false,
            is_finished: false,
            told_args: String::new(),
            ended: None,
        });
        let id = id.map(Into::into);
        let (parts, message, target) = (Vec::new(), None, None);
        self.list.push(Item { id, index, kind, parts, call, target, message, is_done: false });
        Some(self.list.len() - 1)
    }

    /// Returns the id, or one made of it where another call has it already.
    pub(super) fn unique(&self, wire_id: &str) -> CallId {
        let calls = || self.list.iter().filter_map(|item| item.call.as_ref()?.told.as_ref());
        let mut id = wire_id.to_owned();
        while id.is_empty() || calls().any(|told| told.as_str() == id) {
            id = if wire_id.is_empty() { format!("call_{}", calls().count() + 1) } else { format!("{id}_2") };
            if wire_id.is_empty() && calls().any(|told| told.as_str() == id) {
                id.push('_');
            }
        }
        CallId::new(id)
    }
}

impl Item {
    /// Returns the part, which is there from now on. Fails past the limit.
    pub(super) fn part(&mut self, voice: Voice, index: u64) -> Option<&mut Part> {
        let known = self.parts.iter().rposition(|part| part.voice == voice && part.index == index);
        let at = match known {
            Some(at) => at,
            None if self.parts.len() < MOST_PARTS => {
                self.parts.push(Part {
                    voice,
                    index,
                    told: Told::default(),
                    halves: Halves::default(),
                    pieces: Pieces::default(),
                    think: Think::default(),
                    spoken: 0,
                    is_late: false,
                    is_cited: false,
                });
                self.parts.len() - 1
            }
            None => return None,
        };
        self.parts.get_mut(at)
    }

    /// Returns the index of the n-th part of that voice: closing frames list parts without those that had no content.
    pub(super) fn nth(&self, voice: Voice, nth: usize) -> u64 {
        let mut of_voice = self.parts.iter().filter(|part| part.voice == voice);
        match of_voice.clone().nth(nth) {
            Some(part) => part.index,
            None => of_voice.next_back().map_or(0, |last| last.index.saturating_add(1)),
        }
    }

    /// Returns the text as the wire repeated it, where it repeated all of it, or where what was told is not all text.
    pub(super) fn full(&self) -> Option<String> {
        self.parts
            .iter()
            .filter(|part| matches!(part.voice, Voice::Text | Voice::Refusal))
            .map(|part| {
                let full = part.told.full().or_else(|| part.is_late.then(|| part.told.said()))?;
                Some(if part.voice == Voice::Text { speech::words(full) } else { full.to_owned() })
            })
            .collect()
    }
}
