//! The texts of a session, for searches: what was asked, said, called and put out, without the log around them.
//!
//! They are read from the log once and kept in a file of their own, which is a cache and nothing else: it counts for the
//! file of that number (inode) up to a line of it, is extended from there, and is made anew where anything is wrong. It
//! ends with a turn, for a message that is open may still be corrected.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::read::{Cursor, Reader};
use super::state::is_closed_to_others;
use crate::event::{AgentEvent, Envelope, MessageId, NoticeCode, Seq};
use crate::private;

/// The format of the cache. One of another format is made anew.
const CACHE_FORMAT: u32 = 1;
/// Begins each text; taken out of texts.
const TEXT_START: char = '\u{1f}';

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTextKind {
    Prompt,
    Answer,
    /// A tool's name and its arguments as the model wrote them.
    Call,
    Output,
    /// Kept by the person, never sent.
    Note,
}

impl SessionTextKind {
    const ALL: [Self; 5] = [Self::Prompt, Self::Answer, Self::Call, Self::Output, Self::Note];

    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Answer => "answer",
            Self::Call => "call",
            Self::Output => "output",
            Self::Note => "note",
        }
    }

    /// Its letter in the cache.
    fn letter(self) -> char {
        match self {
            Self::Prompt => 'p',
            Self::Answer => 'a',
            Self::Call => 'c',
            Self::Output => 'o',
            Self::Note => 'n',
        }
    }
}

/// One text of a session, by its place among [`SessionTexts::as_str`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionText {
    pub kind: SessionTextKind,
    /// The event to show it at.
    pub seq: Seq,
    pub range: Range<usize>,
}

/// All texts of a session, one behind the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SessionTexts {
    /// As in the cache, with its header.
    whole: String,
    /// Where the texts begin.
    begin: usize,
}

/// The folder in which the texts of sessions are kept, each in a file of its own. What is found there counts only where
/// nobody else could have written it.
#[derive(Debug)]
pub struct TextsFolder {
    path: PathBuf,
    user: u32,
    is_ours: bool,
}

#[derive(Serialize, Deserialize)]
struct CacheHeader {
    format: u32,
    inode: u64,
    /// Bytes of the log that are in it.
    offset: u64,
    /// The last event of those.
    seq: Seq,
}

impl SessionTexts {
    /// Reads the texts of a log that are kept under a name. `memory` is what earlier texts took, to be used again.
    pub fn read(log: &Path, folder: &TextsFolder, name: &str, memory: Self) -> io::Result<Self> {
        let found = fs::metadata(log)?;
        let cached = folder.load(name, memory.whole);
        let (header, cached) = match cached.filter(|(header, _)| header.inode == found.ino()) {
            Some((header, texts)) if header.offset == found.len() => return Ok(texts),
            Some((header, texts)) if header.offset < found.len() && is_line_end(log, header.offset) => {
                (Some(header), texts)
            }
            _ => (None, Self::default()),
        };
        let Self { whole: mut texts, begin } = cached;
        let reader = Reader::open(log).map_err(io::Error::other)?;
        let start = reader.start_cursor();
        let start = header.as_ref().map_or(start, |header| Cursor::behind(header.offset, header.seq));
        let mut open = OpenTexts::default();
        // Where the last whole turn ends: in the log, and among the texts.
        let mut settled = (start, texts.len());
        reader.walk_from(start, |envelope, behind| {
            open.observe(envelope, &mut texts);
            if matches!(envelope.event, AgentEvent::TurnFinished { .. }) {
                open.close(&mut texts);
                settled = (behind, texts.len());
            }
        })?;
        let (end, length) = settled;
        if end.offset() > start.offset() {
            let header =
                CacheHeader { format: CACHE_FORMAT, inode: found.ino(), offset: end.offset(), seq: end.after() };
            if let Err(error) = save(&folder.path.join(name), &header, texts.get(begin..length).unwrap_or_default()) {
                tracing::debug!("the texts of a session can't be kept: {error}");
            }
        }
        open.close(&mut texts);
        Ok(Self { whole: texts, begin })
    }

    /// Returns the texts, each behind a line of its own that none of them can hold.
    pub fn as_str(&self) -> &str {
        self.whole.get(self.begin..).unwrap_or_default()
    }

    /// Returns the text at a place; none where that is in a line between two.
    pub fn at(&self, place: usize) -> Option<SessionText> {
        let (before, behind) = self.as_str().split_at_checked(place)?;
        let start = before.rfind(TEXT_START)?;
        let (head, _) = before.get(start + TEXT_START.len_utf8()..)?.split_once('\n')?;
        let begin = start + TEXT_START.len_utf8() + head.len() + 1;
        let end = behind.find(TEXT_START).map_or(self.as_str().len(), |at| place + at);
        let mut letters = head.chars();
        let letter = letters.next()?;
        let kind = SessionTextKind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
        let seq = Seq(letters.as_str().parse().ok()?);
        (begin <= place).then_some(SessionText { kind, seq, range: begin..end })
    }
}

/// Messages that are not over.
#[derive(Default)]
struct OpenTexts(BTreeMap<MessageId, (Seq, String)>);

impl OpenTexts {
    fn observe(&mut self, envelope: &Envelope, texts: &mut String) {
        let seq = envelope.seq;
        match &envelope.event {
            AgentEvent::UserMessage { text, .. } => push(texts, SessionTextKind::Prompt, seq, &[text]),
            AgentEvent::MessageStarted { message, .. } => {
                self.0.insert(message.clone(), (seq, String::new()));
            }
            AgentEvent::TextDelta { message, text, .. } => {
                self.0.entry(message.clone()).or_insert_with(|| (seq, String::new())).1.push_str(text);
            }
            AgentEvent::MessageFinished { message, full_text, .. } => {
                let said = self.0.remove(message);
                let (seq, said) = said.unwrap_or((seq, String::new()));
                push(texts, SessionTextKind::Answer, seq, &[full_text.as_ref().unwrap_or(&said)]);
            }
            AgentEvent::ToolCallReady { name, args, .. } => {
                push(texts, SessionTextKind::Call, seq, &[name, " ", args]);
            }
            AgentEvent::ToolCallFinished { output, .. } => push(texts, SessionTextKind::Output, seq, &[&output.text]),
            AgentEvent::Notice { code: NoticeCode::Note, text, .. } => push(texts, SessionTextKind::Note, seq, &[text]),
            _ => {}
        }
    }

    fn close(&mut self, texts: &mut String) {
        for (seq, said) in std::mem::take(&mut self.0).into_values() {
            push(texts, SessionTextKind::Answer, seq, &[&said]);
        }
    }
}

fn push(texts: &mut String, kind: SessionTextKind, seq: Seq, parts: &[&str]) {
    if parts.iter().all(|part| part.is_empty()) {
        return;
    }
    _ = writeln!(texts, "{TEXT_START}{}{}", kind.letter(), seq.0);
    for part in parts {
        texts.extend(part.split(TEXT_START));
    }
    texts.push('\n');
}

impl TextsFolder {
    pub fn new(path: PathBuf) -> Self {
        let user = nix::unistd::geteuid().as_raw();
        let is_ours = fs::metadata(&path).is_ok_and(|folder| is_closed_to_others(user, &folder));
        Self { path, user, is_ours }
    }

    /// Returns what is kept under a name, where only this user could have written it. As much as one call of the system
    /// each: there may be thousands.
    fn load(&self, name: &str, memory: String) -> Option<(CacheHeader, SessionTexts)> {
        if !self.is_ours {
            return None;
        }
        // Opening a pipe would block until somebody writes into it.
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(self.path.join(name)).ok()?;
        let found = file.metadata().ok()?;
        if !found.is_file() || !is_closed_to_others(self.user, &found) {
            return None;
        }
        let mut bytes = memory.into_bytes();
        bytes.clear();
        bytes.reserve(usize::try_from(found.len()).ok()?);
        file.take(found.len()).read_to_end(&mut bytes).ok()?;
        let begin = memchr::memchr(b'\n', &bytes)? + 1;
        let header: CacheHeader = serde_json::from_slice(bytes.get(..begin)?).ok()?;
        let texts = SessionTexts { whole: String::from_utf8(bytes).ok()?, begin };
        (header.format == CACHE_FORMAT).then_some((header, texts))
    }
}

/// Returns whether a line of the log ends before this place.
fn is_line_end(log: &Path, offset: u64) -> bool {
    let mut last = [0];
    let mut read = |before: u64| File::open(log)?.read_exact_at(&mut last, before);
    offset.checked_sub(1).is_some_and(|before| read(before).is_ok()) && last == *b"\n"
}

fn save(cache: &Path, header: &CacheHeader, texts: &str) -> io::Result<()> {
    if let Some(folder) = cache.parent() {
        private::create_dir(folder)?;
    }
    let part = cache.with_extension(format!("{}.part", super::new_uuid()));
    let mut file = private::create_file(&part)?;
    let head = serde_json::to_vec(header)?;
    let written = [head.as_slice(), b"\n", texts.as_bytes()].into_iter().try_for_each(|bytes| file.write_all(bytes));
    written.and_then(|()| fs::rename(&part, cache)).inspect_err(|_| _ = fs::remove_file(&part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CallOutcome, FinishReason, Millis, TurnOutcome};
    use crate::testkit::events::{
        call_finished, call_ready, message_finished, message_started, text_delta, turn_finished, turn_started,
        user_message,
    };

    struct Log {
        folder: tempfile::TempDir,
        seq: u64,
    }

    impl Log {
        fn new() -> Self {
            let log = Self { folder: tempfile::tempdir().unwrap(), seq: 0 };
            let header = super::super::LogHeader::new("s".into(), 1);
            fs::write(log.path(), serde_json::to_string(&header).unwrap() + "\n").unwrap();
            log
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("s.jsonl")
        }

        fn append(&mut self, events: impl IntoIterator<Item = AgentEvent>) {
            let mut file = fs::OpenOptions::new().append(true).open(self.path()).unwrap();
            for event in events {
                self.seq += 1;
                let line =
                    serde_json::to_string(&Envelope { seq: Seq(self.seq), at: Millis(self.seq), event }).unwrap();
                writeln!(file, "{line}").unwrap();
            }
        }

        fn cache(&self) -> PathBuf {
            self.folder.path().join("cache/s")
        }

        fn texts(&self) -> Vec<(&'static str, u64, String)> {
            let folder = TextsFolder::new(self.folder.path().join("cache"));
            let texts = SessionTexts::read(&self.path(), &folder, "s", SessionTexts::default()).unwrap();
            let starts = texts.as_str().match_indices(TEXT_START).filter_map(|(at, _)| {
                let line = texts.as_str()[at..].find('\n')?;
                assert_eq!(texts.at(at + 1), None, "between two texts there is none");
                texts.at(at + line + 1)
            });
            starts.map(|text| (text.kind.name(), text.seq.0, texts.as_str()[text.range].to_owned())).collect()
        }
    }

    fn turn(n: u64) -> Vec<AgentEvent> {
        vec![
            turn_started(&format!("t{n}")),
            user_message("m1", "where is it?"),
            message_started("m2"),
            text_delta("m2", "I lo"),
            text_delta("m2", "ok\u{1f}."),
            call_ready("c1", "grep", r#"{"pattern":"it"}"#),
            message_finished("m2", FinishReason::ToolCalls),
            call_finished("c1", CallOutcome::Ok, "a.rs: it\n"),
            turn_finished(&format!("t{n}"), TurnOutcome::Completed),
        ]
    }

    fn of_turn(first: u64) -> Vec<(&'static str, u64, String)> {
        vec![
            ("prompt", first + 1, "where is it?\n".into()),
            ("call", first + 5, "grep {\"pattern\":\"it\"}\n".into()),
            ("answer", first + 2, "I look.\n".into()),
            ("output", first + 7, "a.rs: it\n\n".into()),
        ]
    }

    #[test]
    fn texts_are_found_with_their_events_and_the_cache_is_extended() {
        let mut log = Log::new();
        log.append(turn(1));
        assert_eq!(log.texts(), of_turn(1));
        let first = fs::read(log.cache()).unwrap();
        log.append([turn_started("t2"), message_started("m9"), text_delta("m9", "half")]);
        let half = ("answer", 11, "half\n".to_owned());
        assert_eq!(log.texts(), [of_turn(1), vec![half]].concat());
        assert_eq!(fs::read(log.cache()).unwrap(), first, "an open turn is not kept");
        log.append([turn_finished("t2", TurnOutcome::Cancelled)]);
        log.append(turn(3));
        let all = [of_turn(1), vec![("answer", 11, "half\n".to_owned())], of_turn(14)].concat();
        assert_eq!(log.texts(), all);
        assert!(fs::read(log.cache()).unwrap().len() > first.len());
        // It is what is read, not the log.
        let cached = fs::read_to_string(log.cache()).unwrap().replace("I look.", "I know.");
        fs::write(log.cache(), cached).unwrap();
        assert!(log.texts().iter().any(|(_, _, text)| text == "I know.\n"));
    }

    #[test]
    fn a_cache_of_another_file_or_of_nobody_is_made_anew() {
        let mut log = Log::new();
        log.append(turn(1));
        log.texts();
        let good = fs::read(log.cache()).unwrap();
        // Another file in its place, shorter, with the same name.
        fs::rename(log.path(), log.folder.path().join("old")).unwrap();
        let mut other = Log { folder: log.folder, seq: 0 };
        fs::write(other.path(), serde_json::to_string(&super::super::LogHeader::new("s".into(), 1)).unwrap() + "\n")
            .unwrap();
        other.append([user_message("m1", "something else")]);
        assert_eq!(other.texts(), [("prompt", 1, "something else\n".to_owned())]);
        for wrong in [b"".as_slice(), b"{}\n", &good[..40], b"{\"format\":1,\"inode\":1,\"offset\":0,\"seq\":0}\n\xff"]
        {
            fs::write(other.cache(), wrong).unwrap();
            assert_eq!(other.texts().len(), 1);
        }
    }
}
