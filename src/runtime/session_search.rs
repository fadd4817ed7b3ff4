//! Searches the texts of all saved sessions.
//!
//! Several threads each take the newest sessions that nobody has taken; what they find is told in the order of the
//! sessions, as soon as it is there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::SavedSessions;
use crate::event::Seq;
use crate::journal::{self, SessionSummary, SessionTextKind, SessionTexts, TextsFolder};
use crate::store::overlay::found_texts::{FoundText, FoundTextList};
use crate::store::search::Matcher;
use crate::text::display_url::redact_credentials;
use crate::text::human;

/// Bytes of a line that are told, around the match.
const MAX_LINE_BYTES: usize = 240;
/// Of those, before the match.
const MAX_LEAD_BYTES: usize = 80;

/// Sessions that a thread takes at once. The first are fewer, for they are waited for.
const MAX_TAKEN_SESSIONS: usize = 16;

/// Texts that a list on the screen has.
const MAX_LISTED_TEXTS: usize = 1000;

/// What is looked for: texts with all of these words in any order, or with a match of an expression.
#[derive(Clone, Debug)]
pub struct SessionQuery {
    /// The longest word, which is likely the rarest.
    first: Matcher,
    others: Vec<Matcher>,
}

/// A text in which something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextHit {
    pub kind: SessionTextKind,
    /// The event to show it at.
    pub seq: Seq,
    /// The line with the match, or what of it is around it; raw.
    pub line: String,
    /// Where in the line the match is.
    pub range: Range<usize>,
}

/// A session in which something was found.
#[derive(Clone, Debug)]
pub struct SessionHits {
    pub session: SessionSummary,
    /// In the order of the session.
    pub hits: Vec<TextHit>,
}

/// Whether to look on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchStep {
    GoOn,
    Stop,
}

impl SessionQuery {
    /// Reads what a person typed: words, or `/expression/`. The error is for them.
    pub fn parse(query: &str) -> Result<Self, String> {
        let query = query.trim();
        let is_expression = query.len() > 2 && query.starts_with('/') && query.ends_with('/');
        let mut words: Vec<&str> = if is_expression { vec![query] } else { query.split_whitespace().collect() };
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let mut matchers = Vec::with_capacity(words.len());
        for word in words {
            matchers.extend(Matcher::new(word, false)?);
        }
        if matchers.is_empty() {
            return Err("there is nothing to look for".to_owned());
        }
        let others = matchers.split_off(1);
        let first = matchers.pop().ok_or("there is nothing to look for")?;
        Ok(Self { first, others })
    }

    /// Returns the texts that match, each once.
    fn find(&self, texts: &SessionTexts) -> Vec<TextHit> {
        let (all, mut hits, mut at) = (texts.as_str(), Vec::new(), 0);
        while let Some(found) = self.first.find_at(all, at) {
            let Some(text) = texts.at(found.start) else {
                at = all.ceil_char_boundary(found.end.max(at + 1));
                continue;
            };
            at = text.range.end.max(found.end);
            let whole = all.get(text.range.clone()).unwrap_or_default();
            if self.others.iter().all(|other| other.find_at(whole, 0).is_some()) {
                let begin = found.start - text.range.start;
                let (line, range) = line_around(whole, begin..found.end.min(text.range.end) - text.range.start);
                hits.push(TextHit { kind: text.kind, seq: text.seq, line, range });
            }
        }
        hits
    }
}

/// Returns the line of a match and the match's place in it, both shortened to what can be read.
fn line_around(text: &str, found: Range<usize>) -> (String, Range<usize>) {
    let start = text.get(..found.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(found.start..).and_then(|behind| behind.find('\n')).map_or(text.len(), |at| found.start + at);
    let from = start.max(text.ceil_char_boundary(found.start.saturating_sub(MAX_LEAD_BYTES)));
    let to = end.min(text.floor_char_boundary(from + MAX_LINE_BYTES));
    let range = found.start - from..found.end.clamp(found.start, to.max(found.start)) - from;
    (text.get(from..to).unwrap_or_default().to_owned(), range)
}

impl SavedSessions {
    /// Looks through all saved sessions, the newest first, archived ones too, and tells those in which it finds
    /// something in that order, some at once. Returns how many could not be read, with why for the first.
    pub fn search(
        &self,
        query: &SessionQuery,
        mut tell: impl FnMut(Vec<SessionHits>) -> SearchStep,
    ) -> anyhow::Result<Vec<String>> {
        let listing = journal::list(&self.logs, Some(&self.index))?;
        let mut unreadable: Vec<String> = listing.unreadable.iter().map(ToString::to_string).collect();
        let mut sessions = listing.sessions;
        sessions.retain(|session| session.kind != journal::ONE_SHOT_KIND && session.title.is_some());
        let folder = TextsFolder::new(self.texts_folder());
        let (next, is_stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(sessions.len());
        let (sender, results) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let (sender, sessions, folder) = (sender.clone(), &sessions, &folder);
                let (next, is_stopped) = (&next, &is_stopped);
                scope.spawn(move || {
                    let mut texts = SessionTexts::default();
                    while let Some((nth, taken)) = take(sessions, next.fetch_add(1, Ordering::Relaxed)) {
                        let mut found = Vec::new();
                        for session in taken {
                            let memory = std::mem::take(&mut texts);
                            match SessionTexts::read(&session.path, folder, session.id.as_str(), memory) {
                                Ok(read) => {
                                    let hits = query.find(&read);
                                    if !hits.is_empty() {
                                        found.push(Ok(SessionHits { session: session.clone(), hits }));
                                    }
                                    texts = read;
                                }
                                // It was removed meanwhile.
                                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                                Err(error) => found.push(Err(format!("{}: {error}", session.path.display()))),
                            }
                        }
                        if is_stopped.load(Ordering::Relaxed) || sender.send((nth, found)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let (mut waiting, mut told) = (BTreeMap::new(), 0);
            for (nth, found) in results {
                waiting.insert(nth, found);
                while let Some(found) = waiting.remove(&told) {
                    told += 1;
                    let mut hits = Vec::new();
                    for found in found {
                        match found {
                            Ok(found) => hits.push(found),
                            Err(why) => unreadable.push(why),
                        }
                    }
                    if !hits.is_empty() && tell(hits) == SearchStep::Stop {
                        is_stopped.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            }
        });
        Ok(unreadable)
    }

    /// The same for the screen: the first of the texts, and how many there are. The error is for the person.
    pub fn find_texts(&self, query: &str) -> Result<FoundTextList, String> {
        let query = SessionQuery::parse(query)?;
        let (now, mut list) = (super::wall_clock(), FoundTextList::default());
        let told = self.search(&query, |found| {
            for SessionHits { session, hits } in found {
                list.total += hits.len();
                let title = session.title.as_deref().unwrap_or_default();
                let age = human::age(Duration::from_millis(now.saturating_sub(session.modified)));
                let room = MAX_LISTED_TEXTS.saturating_sub(list.texts.len());
                list.texts.extend(hits.into_iter().take(room).map(|hit| FoundText {
                    session: session.id.clone(),
                    title: redact_credentials(title).into_owned(),
                    age: age.clone(),
                    kind: hit.kind.name(),
                    seq: hit.seq,
                    line: hit.line,
                    range: hit.range,
                }));
            }
            SearchStep::GoOn
        });
        told.map_err(|error| format!("{error:#}"))?;
        Ok(list)
    }

    /// Where the texts of sessions are kept for searches, each under the session's name.
    pub(super) fn texts_folder(&self) -> PathBuf {
        self.index.with_file_name("session-texts")
    }
}

/// Returns the sessions that are taken as the nth, where there are some.
fn take(sessions: &[SessionSummary], nth: usize) -> Option<(usize, &[SessionSummary])> {
    let begin = |nth: usize| match nth.checked_sub(MAX_TAKEN_SESSIONS) {
        None => nth,
        Some(more) => MAX_TAKEN_SESSIONS + more * MAX_TAKEN_SESSIONS,
    };
    let taken = sessions.get(begin(nth)..begin(nth + 1).min(sessions.len()))?;
    (!taken.is_empty()).then_some((nth, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_around_its_match() {
        let long = format!("first\n{} the needle is here {}\nlast", "ä".repeat(300), "x".repeat(300));
        let at = long.find("needle").unwrap();
        let (line, range) = line_around(&long, at..at + 6);
        assert_eq!((&line[range], line.len() <= MAX_LINE_BYTES), ("needle", true));
        assert!(!line.contains('\n') && line.starts_with('ä') && line.ends_with('x'), "{line}");
        assert_eq!(line_around("a\nb c\nd", 4..5), ("b c".to_owned(), 2..3));
        let (line, range) = line_around("one\ntwo", 1..6);
        assert_eq!((&*line, range), ("one", 1..3), "a match over lines is shown in its first");
    }

    #[test]
    fn nothing_and_what_is_no_expression_can_not_be_looked_for() {
        assert!(SessionQuery::parse("  ").is_err());
        assert!(SessionQuery::parse("/(/").is_err_and(|why| why.contains("regular expression")));
        assert!(SessionQuery::parse("// x").is_ok());
    }
}
