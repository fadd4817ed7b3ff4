//! The outline: a list of the prompts and of the headings in the answers, or of what is marked, to jump to.
//!
//! Built like the search, in slices and newest first, so that it opens at once however long the session is. Not for
//! where things are on the screen. The invariant: entries are in the order of the transcript, newest first.

use crate::event::NoticeCode;

use super::Store;
use super::transcript::{ItemId, ItemKind, Transcript, TranscriptItem};

/// Bytes and items that one step looks at.
const MAX_STEP_BYTES: usize = 256 << 10;
const MAX_STEP_ITEMS: usize = 4096;
/// Entries kept; the search finds what is older.
const MAX_ENTRIES: usize = 50_000;
/// Bytes kept of a line.
const MAX_ENTRY_BYTES: usize = 160;

/// What an outline lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutlineSubject {
    /// Prompts, headings, marks and notes.
    #[default]
    Everything,
    /// Marks and notes: what the person left to come back to.
    Marks,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    pub subject: OutlineSubject,
    pub query: String,
    /// Counted from the newest of those that match.
    pub selected: usize,
    entries: Vec<OutlineEntry>,
    /// Indexes of the entries that match.
    matching: Vec<u32>,
    words: Vec<String>,
    /// What is above this index was not looked at.
    low: usize,
    epoch: u64,
    /// Where the reader is: the entry for it is selected first.
    from: Option<ItemId>,
    has_moved: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineEntry {
    pub item: ItemId,
    /// Where it is in the item's text.
    pub offset: usize,
    /// 0 is a prompt, else the level of the heading; beyond those a note or a mark.
    pub level: u8,
    /// Its beginning, as it was written.
    pub text: String,
}

impl OutlineEntry {
    /// The level of a note; headings have 1 to 6.
    pub const NOTE_LEVEL: u8 = 7;
    /// The level of what is marked.
    pub const MARK_LEVEL: u8 = 8;
}

impl Outline {
    pub(super) fn new(subject: OutlineSubject, from: Option<ItemId>, items: &Transcript) -> Self {
        Self { subject, low: items.items().len(), epoch: items.epoch(), from, ..Self::default() }
    }

    /// Looks at everything anew.
    pub(super) fn restart(&mut self, items: &Transcript) {
        let query = std::mem::take(&mut self.query);
        *self = Self { query, ..Self::new(self.subject, self.from, items) };
        self.filter();
    }

    pub fn is_done(&self) -> bool {
        self.low == 0 || self.entries.len() >= MAX_ENTRIES
    }

    /// Returns how many entries match so far.
    pub fn len(&self) -> usize {
        self.matching.len()
    }

    pub fn is_empty(&self) -> bool {
        self.matching.is_empty()
    }

    /// Returns a matching entry, counted from the newest.
    pub fn entry(&self, nth: usize) -> Option<&OutlineEntry> {
        self.entries.get(*self.matching.get(nth)? as usize)
    }

    /// The query was changed.
    pub(super) fn filter(&mut self) {
        self.words = self.query.split_whitespace().map(str::to_lowercase).collect();
        self.matching.clear();
        self.match_from(0);
        (self.selected, self.has_moved) = (0, true);
    }

    pub(super) fn select(&mut self, nth: usize) {
        (self.selected, self.has_moved) = (nth.min(self.matching.len().saturating_sub(1)), true);
    }

    /// Looks at some more.
    pub(super) fn step(&mut self, store: &Store) {
        let items = &store.transcript;
        if self.epoch != items.epoch() {
            self.from = None;
            self.restart(items);
        }
        let known = self.entries.len();
        let (mut bytes, mut count) = (MAX_STEP_BYTES, MAX_STEP_ITEMS);
        while bytes > 0 && count > 0 && !self.is_done() {
            let Some(item) = items.items().get(self.low - 1) else {
                self.low -= 1;
                continue;
            };
            self.scan_item(item, store, &mut bytes);
            self.low -= 1;
            count -= 1;
        }
        self.match_from(known);
        if !self.has_moved
            && let Some(from) = self.from
        {
            let at = self.entries.partition_point(|entry| entry.item > from);
            self.selected = at.min(self.entries.len().saturating_sub(1));
        }
    }

    /// Takes an item's entries, the last first.
    fn scan_item(&mut self, item: TranscriptItem<'_>, store: &Store, bytes: &mut usize) {
        let is_marked = store.marks.contains(item);
        match item.kind {
            _ if is_marked && self.subject == OutlineSubject::Marks => self.push_mark(item, store),
            ItemKind::Prompt { .. } | ItemKind::Answer { .. } if self.subject == OutlineSubject::Marks => {}
            ItemKind::Prompt { .. } | ItemKind::Thinking { .. } | ItemKind::Call { .. } if is_marked => {
                self.push_mark(item, store);
            }
            ItemKind::Prompt { text } => {
                self.push(item.id, 0, 0, text.trim_start());
                *bytes = bytes.saturating_sub(MAX_ENTRY_BYTES);
            }
            ItemKind::Answer { text, .. } => {
                // Whether a line stands in code is known from the top down only, so an item is read from its start.
                let mut found = Vec::new();
                let took = headings(text, &mut found);
                *bytes = bytes.saturating_sub(took);
                for (offset, level, line) in found.into_iter().rev() {
                    self.push(item.id, offset, level, line);
                }
                if is_marked {
                    self.push_mark(item, store);
                }
            }
            ItemKind::Notice { code: NoticeCode::Note, text, .. } => {
                self.push(item.id, 0, OutlineEntry::NOTE_LEVEL, text);
                *bytes = bytes.saturating_sub(MAX_ENTRY_BYTES);
            }
            ItemKind::Thinking { .. }
            | ItemKind::Call { .. }
            | ItemKind::Notice { .. }
            | ItemKind::Compaction { .. }
            | ItemKind::TurnSummary { .. } => {}
        }
    }

    fn push_mark(&mut self, item: TranscriptItem<'_>, store: &Store) {
        let level = OutlineEntry::MARK_LEVEL;
        match item.kind {
            ItemKind::Call { call } => {
                let Some(call) = store.tool_calls.get(call) else { return };
                let args = &call.args[..call.args.floor_char_boundary(MAX_ENTRY_BYTES)];
                self.push(item.id, 0, level, &format!("{} {args}", call.name));
            }
            kind => self.push(item.id, 0, level, kind.text().trim_start()),
        }
    }

    fn push(&mut self, item: ItemId, offset: usize, level: u8, text: &str) {
        let line = text.lines().next().unwrap_or_default();
        let line = &line[..line.floor_char_boundary(MAX_ENTRY_BYTES)];
        self.entries.push(OutlineEntry { item, offset, level, text: line.to_owned() });
    }

    fn match_from(&mut self, from: usize) {
        let words = &self.words;
        let fits = |entry: &OutlineEntry| {
            let text = entry.text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let entries = self.entries.iter().enumerate().skip(from);
        self.matching.extend(entries.filter(|(_, entry)| words.is_empty() || fits(entry)).map(|(at, _)| at as u32));
    }
}

/// Appends the headings of a Markdown text that begin with `#`: where, which level, the rest of the line. Returns how
/// much was read.
fn headings<'a>(text: &'a str, out: &mut Vec<(usize, u8, &'a str)>) -> usize {
    let mut fence: Option<&str> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let line = line.trim();
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark)) {
            match fence {
                None => fence = Some(mark),
                Some(open) if open == mark && line.trim_start_matches(mark.as_bytes()[0] as char).is_empty() => {
                    fence = None;
                }
                Some(_) => {}
            }
            continue;
        }
        let marks = line.bytes().take_while(|byte| *byte == b'#').count();
        let rest = &line[marks..];
        if fence.is_none() && indent < 4 && (1..=6).contains(&marks) && rest.starts_with(' ') {
            out.push((start, marks as u8, rest.trim().trim_end_matches('#').trim_end()));
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, Envelope, Millis, Seq, TextKind};
    use crate::store::Store;
    use crate::store::action::{Action, ScrollStep};
    use crate::store::msg::Msg;
    use crate::testkit::events::user_message;

    fn store(texts: &[(&str, &str)]) -> Store {
        let mut store = Store::default();
        let mut seq = Seq(0);
        for (nth, (prompt, answer)) in texts.iter().enumerate() {
            let message = format!("m{nth}");
            let prompt = AgentEvent::UserMessage { message: "u".into(), text: (*prompt).into() };
            let (text, kind) = ((*answer).into(), TextKind::Text);
            let answer = AgentEvent::TextDelta { message: message.as_str().into(), text, kind };
            for event in [prompt, answer] {
                seq = seq.next();
                store.update(Msg::Event(Envelope { seq, at: Millis(0), event }), &mut Vec::new());
            }
        }
        store
    }

    fn act(store: &mut Store, action: Action) {
        store.update(Msg::Action(action), &mut Vec::new());
        while store.wants_work() {
            store.update(Msg::Work, &mut Vec::new());
        }
    }

    fn lines(store: &Store) -> Vec<(u8, String)> {
        let outline = store.focus.find::<Outline>().unwrap();
        (0..outline.len()).rev().filter_map(|nth| outline.entry(nth)).map(|e| (e.level, e.text.clone())).collect()
    }

    #[test]
    fn prompts_and_headings_are_listed_but_no_comments_in_code() {
        let mut store = store(&[
            ("first\nline", "# One\ntext\n## Two ##\n```sh\n# no\n```\n#no\n    # no\n### Three"),
            ("second", "plain"),
        ]);
        act(&mut store, Action::OpenOutline { subject: OutlineSubject::Everything, from: None });
        let expected = [(0, "first"), (1, "One"), (2, "Two"), (3, "Three"), (0, "second")];
        assert_eq!(lines(&store), expected.map(|(level, text)| (level, text.to_owned())));
        for c in "T".chars() {
            act(&mut store, Action::OverlayChar(c));
        }
        assert_eq!(lines(&store).len(), 3, "first, Two, Three");
        act(&mut store, Action::OverlayAccept);
        assert!(store.focus.overlays.is_empty());
        let place = store.focus.requested_place;
        assert_eq!((place.item, place.offset), (Some(store.transcript.items().get(1).unwrap().id), 49));
    }

    #[test]
    fn notes_are_listed_each_for_itself() {
        let mut store = store(&[("first", "plain")]);
        for (seq, text) in [(3, "check this"), (4, "and that")] {
            let (level, code) = (crate::event::NoticeLevel::Info, NoticeCode::Note);
            let event = AgentEvent::Notice { level, code, text: text.into() };
            store.update(Msg::Event(Envelope { seq: Seq(seq), at: Millis(0), event }), &mut Vec::new());
        }
        act(&mut store, Action::OpenOutline { subject: OutlineSubject::Everything, from: None });
        let note = OutlineEntry::NOTE_LEVEL;
        let expected = [(0, "first"), (note, "check this"), (note, "and that")];
        assert_eq!(lines(&store), expected.map(|(level, text)| (level, text.to_owned())));
    }

    #[test]
    fn the_entry_the_reader_is_at_is_selected_first() {
        let texts: Vec<String> = (0..30).map(|n| format!("prompt {n}")).collect();
        let texts: Vec<(&str, &str)> = texts.iter().map(|text| (text.as_str(), "answer")).collect();
        let mut store = store(&texts);
        let from = Some(store.transcript.items().get(21).unwrap().id.0);
        act(&mut store, Action::OpenOutline { subject: OutlineSubject::Everything, from });
        let outline = store.focus.find::<Outline>().unwrap();
        assert_eq!(outline.entry(outline.selected).unwrap().text, "prompt 10");
    }

    #[test]
    fn a_long_session_is_listed_in_slices_and_no_more_than_can_be_kept() {
        let mut store = Store::default();
        for n in 1..=60_000 {
            let event = user_message("u", &format!("prompt {n}"));
            store.update(Msg::Event(Envelope { seq: Seq(n), at: Millis(0), event }), &mut Vec::new());
        }
        store.update(
            Msg::Action(Action::OpenOutline { subject: OutlineSubject::Everything, from: None }),
            &mut Vec::new(),
        );
        assert!(store.focus.find::<Outline>().unwrap().len() <= MAX_STEP_ITEMS);
        act(&mut store, Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
        assert_eq!(store.focus.find::<Outline>().unwrap().len(), MAX_ENTRIES);
    }
}
