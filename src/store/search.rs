//! The search in the transcript: what is looked for, how far the looking has come, what was found.
//!
//! Works in slices, newest item first, so that no length of a session stops anything: `Search::step` looks at a
//! bounded number of bytes and items. What arrives meanwhile is looked at in turn. Not for where a match is on the
//! screen. The invariant: once [`Search::is_done`], counts are those of looking through everything at once.

mod matcher;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;

use super::item_source::{ItemField, field_text};
use super::tool_calls::ToolCalls;
use super::transcript::{ItemId, ItemKind, Transcript, TranscriptItem};

pub use matcher::Matcher;

/// Bytes and items that one step looks at.
const MAX_STEP_BYTES: usize = 256 << 10;
const MAX_STEP_ITEMS: usize = 4096;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    pub query: String,
    /// The query is an expression even without slashes.
    pub is_regex: bool,
    /// Letters go on writing the query; otherwise they are keys.
    pub is_typing: bool,
    /// Why the query finds nothing, if it can't.
    pub error: Option<String>,
    matcher: Option<Matcher>,
    /// Where the reader was: matches there and above come first.
    from: Option<ItemId>,
    /// Items with matches, the newest first.
    hits: VecDeque<ItemMatches>,
    total: u64,
    current: Option<CurrentMatch>,
    /// The person asked for an older match before one was found.
    wants_older: bool,
    epoch: u64,
    version: u64,
    /// Items in `low..high` were looked at.
    low: usize,
    high: usize,
    started: usize,
    job: Option<ScanJob>,
    growing: Vec<GrowingItem>,
    /// What was unfolded to show a match, and how it was before.
    unfolded: Option<(ItemId, Option<bool>)>,
    pub work_done: SearchWork,
}

/// How much was looked at, for tests and the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchWork {
    pub steps: u64,
    pub items: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ItemMatches {
    item: ItemId,
    count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CurrentMatch {
    item: ItemId,
    /// Of the matches in its item, from the first.
    nth: u32,
    /// Matches in newer items.
    newer: u64,
}

/// An item that is being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScanJob {
    item: ItemId,
    rev: u32,
    field: ItemField,
    at: usize,
    count: u32,
    /// Where a longer text can be taken up again.
    resume: (usize, u32),
}

/// An item that was looked at and may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GrowingItem {
    item: ItemId,
    rev: u32,
    resume: (usize, u32),
}

/// Where a match is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchLocation {
    pub item: ItemId,
    pub field: ItemField,
    pub range: Range<usize>,
}

impl Search {
    pub fn new(query: String, typing: bool, from: Option<ItemId>, items: &Transcript) -> Self {
        let mut search = Self { query, is_typing: typing, from, ..Self::default() };
        search.restart(items);
        search
    }

    /// Begins anew, as after a change of the query.
    pub(super) fn restart(&mut self, items: &Transcript) {
        let (matcher, wrong) = match Matcher::new(&self.query, self.is_regex) {
            Ok(matcher) => (matcher, None),
            Err(why) => (None, Some(why)),
        };
        let length = items.items().len();
        *self = Self {
            query: std::mem::take(&mut self.query),
            error: wrong,
            matcher,
            epoch: items.epoch(),
            version: items.version(),
            low: length,
            high: length,
            started: length,
            hits: VecDeque::new(),
            growing: Vec::new(),
            unfolded: self.unfolded,
            ..*self
        };
        (self.total, self.current, self.wants_older, self.job) = (0, None, false, None);
    }

    pub fn matcher(&self) -> Option<&Matcher> {
        self.matcher.as_ref()
    }

    /// Returns how many matches were found so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the number of the shown match, counted from the newest, which is 1.
    pub fn number(&self) -> Option<u64> {
        let current = self.current?;
        let count = self.find_hit(current.item).map_or(0, |(_, hit)| hit.count);
        Some(current.newer + u64::from(count.saturating_sub(current.nth)))
    }

    /// Returns the item of the shown match.
    pub fn current_item(&self) -> Option<ItemId> {
        self.current.map(|current| current.item)
    }

    /// Returns whether everything that is there was looked at.
    pub fn is_done(&self, items: &Transcript) -> bool {
        self.matcher.is_none()
            || (self.low == 0
                && self.job.is_none()
                && self.version == items.version()
                && self.epoch == items.epoch()
                && self.high == items.items().len())
    }

    /// Returns how much was looked at, in percent.
    pub fn progress(&self) -> usize {
        let seen = self.started.saturating_sub(self.low);
        (seen * 100).checked_div(self.started).unwrap_or(100)
    }

    /// Looks at some more. Returns whether another match is to be shown.
    pub(super) fn step(&mut self, items: &Transcript, tools: &ToolCalls) -> bool {
        if self.epoch != items.epoch() {
            self.restart(items);
        }
        let Some(matcher) = self.matcher.take() else { return false };
        self.work_done.steps += 1;
        let before = self.current.map(|current| (current.item, current.nth));
        let (mut bytes, mut count) = (MAX_STEP_BYTES, MAX_STEP_ITEMS);
        while bytes > 0 && count > 0 {
            if self.job.is_none() {
                self.job = self.next_job(items);
                count -= 1;
            }
            let Some(job) = self.job.take() else { break };
            self.scan(job, &matcher, items, tools, &mut bytes);
        }
        self.matcher = Some(matcher);
        if self.current.is_none() {
            self.select_first(items);
        } else if self.wants_older {
            self.older(items);
        }
        self.current.map(|current| (current.item, current.nth)) != before
    }

    /// What changed comes first, then what is new, then what is old.
    fn next_job(&mut self, items: &Transcript) -> Option<ScanJob> {
        if self.version != items.version() {
            let changed = self.growing.iter().find_map(|live| {
                let item = items.item(live.item)?;
                (item.rev != live.rev).then_some((item, live.resume))
            });
            if let Some((item, (at, count))) = changed {
                // What grows is taken up where it was left; what has ended is looked at as a whole.
                let (at, count) = if is_append_only(item) { (at, count) } else { (0, 0) };
                return Some(ScanJob { at, count, resume: (at, count), ..ScanJob::new(item) });
            }
            if self.high == items.items().len() {
                self.version = items.version();
                let open = items.open_from();
                self.growing.retain(|live| items.index_of(live.item).is_some_and(|index| index >= open));
            }
        }
        if let Some(item) = items.items().get(self.high) {
            self.high += 1;
            return Some(ScanJob::new(item));
        }
        self.low = self.low.checked_sub(1)?;
        items.items().get(self.low).map(ScanJob::new)
    }

    /// Goes on with an item while there are bytes left to look at.
    fn scan(&mut self, mut job: ScanJob, matcher: &Matcher, items: &Transcript, tools: &ToolCalls, bytes: &mut usize) {
        let Some(item) = items.item(job.item) else { return };
        if item.rev != job.rev && !is_append_only(item) {
            job = ScanJob::new(item);
        }
        loop {
            let text = field_text(item, tools, job.field);
            if job.at < text.len() {
                let mut piece = (text.len() - job.at).min(*bytes);
                let mut count = 0_u32;
                let growing = is_append_only(item);
                // The last match of what grows may grow too: it is counted, and looked at again.
                let firm = text.floor_char_boundary(text.len().saturating_sub(matcher::MAX_OVERLAP_BYTES));
                if growing && job.at < firm {
                    piece = piece.min(firm - job.at);
                }
                let mut resume = job.resume;
                let total = job.count;
                let end = matcher.scan(&text, job.at, job.at + piece, |range| {
                    count = count.saturating_add(1);
                    if growing && range.end <= firm {
                        resume = (range.end, total.saturating_add(count));
                    }
                });
                if growing && end <= firm {
                    resume = (end, total.saturating_add(count));
                }
                job.resume = resume;
                self.work_done.bytes += (end - job.at) as u64;
                *bytes = bytes.saturating_sub(end - job.at);
                job.count = total.saturating_add(count);
                job.at = end;
                if job.at < text.len() {
                    if *bytes == 0 {
                        self.job = Some(job);
                        return;
                    }
                    continue;
                }
            }
            match job.field {
                ItemField::Text => job.field = ItemField::Detail,
                ItemField::Detail => job.field = ItemField::Output,
                ItemField::Output => break,
            }
            job.at = 0;
        }
        self.work_done.items += 1;
        self.record_matches(job, item, items);
    }

    /// Notes how many matches an item has.
    fn record_matches(&mut self, job: ScanJob, item: TranscriptItem<'_>, items: &Transcript) {
        let live = GrowingItem { item: item.id, rev: item.rev, resume: job.resume };
        match self.growing.iter_mut().find(|known| known.item == item.id) {
            Some(known) => *known = live,
            None if items.index_of(item.id).is_some_and(|index| index >= items.open_from()) => self.growing.push(live),
            None => {}
        }
        let at = self.hits.partition_point(|hit| hit.item > item.id);
        let before = match self.hits.get_mut(at) {
            Some(hit) if hit.item == item.id => {
                let before = std::mem::replace(&mut hit.count, job.count);
                if job.count == 0 {
                    self.hits.remove(at);
                }
                before
            }
            _ => {
                if job.count > 0 {
                    self.hits.insert(at, ItemMatches { item: item.id, count: job.count });
                }
                0
            }
        };
        self.total = self.total - u64::from(before) + u64::from(job.count);
        if let Some(current) = &mut self.current {
            if item.id > current.item {
                current.newer = current.newer - u64::from(before) + u64::from(job.count);
            } else if item.id == current.item && current.nth >= job.count {
                if job.count == 0 {
                    self.current = None;
                } else {
                    current.nth = job.count - 1;
                }
            }
        }
    }

    /// Shows the first match at the reader's place or above; one below only when there is none.
    fn select_first(&mut self, items: &Transcript) {
        let from = self.from.unwrap_or(ItemId(u64::MAX));
        let at = self.hits.partition_point(|hit| hit.item > from);
        let newer = |count: usize| self.hits.iter().take(count).map(|hit| u64::from(hit.count)).sum();
        self.current = match self.hits.get(at) {
            Some(hit) => Some(CurrentMatch { item: hit.item, nth: hit.count.saturating_sub(1), newer: newer(at) }),
            None if self.is_done(items) => self.hits.back().map(|hit| CurrentMatch {
                item: hit.item,
                nth: 0,
                newer: newer(self.hits.len().saturating_sub(1)),
            }),
            None => None,
        };
    }

    /// Goes up by a match; from the oldest to the newest, once it is known to be the oldest.
    pub(super) fn older(&mut self, items: &Transcript) {
        self.wants_older = false;
        let Some(current) = self.current else { return };
        if let Some(nth) = current.nth.checked_sub(1) {
            self.current = Some(CurrentMatch { nth, ..current });
            return;
        }
        let Some((at, hit)) = self.find_hit(current.item) else { return };
        if let Some(older) = self.hits.get(at + 1) {
            let newer = current.newer + u64::from(hit.count);
            self.current = Some(CurrentMatch { item: older.item, nth: older.count.saturating_sub(1), newer });
        } else if self.is_done(items) {
            self.current = self.hits.front().map(|hit| CurrentMatch {
                item: hit.item,
                nth: hit.count.saturating_sub(1),
                newer: 0,
            });
        } else {
            self.wants_older = true;
        }
    }

    /// Goes down by a match; from the newest to the oldest, once all are known.
    pub(super) fn newer(&mut self, items: &Transcript) {
        self.wants_older = false;
        let Some(current) = self.current else { return };
        let Some((at, hit)) = self.find_hit(current.item) else { return };
        if current.nth + 1 < hit.count {
            self.current = Some(CurrentMatch { nth: current.nth + 1, ..current });
        } else if let Some(newer) = at.checked_sub(1).and_then(|at| self.hits.get(at)) {
            let before = current.newer.saturating_sub(u64::from(newer.count));
            self.current = Some(CurrentMatch { item: newer.item, nth: 0, newer: before });
        } else if self.is_done(items) {
            self.current = self.hits.back().map(|hit| CurrentMatch {
                item: hit.item,
                nth: 0,
                newer: self.total.saturating_sub(u64::from(hit.count)),
            });
        }
    }

    /// Returns where the shown match is. O(its item).
    pub fn current_location(&self, items: &Transcript, tools: &ToolCalls) -> Option<MatchLocation> {
        let (current, matcher) = (self.current?, self.matcher.as_ref()?);
        let item = items.item(current.item)?;
        let mut left = current.nth;
        for name in ItemField::ALL {
            let text = field_text(item, tools, name);
            let (mut at, mut found) = (0, None);
            while at < text.len() && found.is_none() {
                at = matcher.scan(&text, at, at.saturating_add(MAX_STEP_BYTES).min(text.len()), |range| {
                    match left.checked_sub(1) {
                        Some(fewer) => left = fewer,
                        None if found.is_none() => found = Some(range),
                        None => {}
                    }
                });
            }
            if let Some(range) = found {
                return Some(MatchLocation { item: item.id, field: name, range });
            }
        }
        None
    }

    pub(super) fn unfolded(&mut self) -> &mut Option<(ItemId, Option<bool>)> {
        &mut self.unfolded
    }

    fn find_hit(&self, item: ItemId) -> Option<(usize, ItemMatches)> {
        let at = self.hits.partition_point(|hit| hit.item > item);
        self.hits.get(at).filter(|hit| hit.item == item).map(|hit| (at, *hit))
    }
}

impl ScanJob {
    fn new(item: TranscriptItem<'_>) -> Self {
        Self { item: item.id, rev: item.rev, field: ItemField::Text, at: 0, count: 0, resume: (0, 0) }
    }
}

/// Tells whether an item's text only gets longer.
fn is_append_only(item: TranscriptItem<'_>) -> bool {
    matches!(item.kind, ItemKind::Answer { open: true, .. } | ItemKind::Thinking { open: true, .. })
}
