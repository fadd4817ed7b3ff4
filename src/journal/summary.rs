//! What lists show of a session, read from its log.

use std::fs::{File, Metadata, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Damage, OpenError, ReadLimits, Reader};
use crate::event::branches::BranchStarts;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, NO_ENGINE, Seq, SessionId};

/// Characters kept of a title or a prompt.
const MAX_TITLE_CHARS: usize = 200;
/// How much of the end of a log is read where it isn't read whole.
const END_BYTES: u64 = 64 << 10;

/// A session as lists show it. All texts are raw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    #[serde(skip, default = "no_id")]
    pub id: SessionId,
    #[serde(skip)]
    pub path: PathBuf,
    /// From the header, as is `mirror_of`.
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_of: Option<String>,
    /// The program that kept it, where it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
    /// Milliseconds since 1970, as is `modified`.
    pub started_at: u64,
    #[serde(skip)]
    pub modified: u64,
    pub folder: String,
    /// The given title or the first line of the first prompt; `None` before the first prompt.
    pub title: Option<String>,
    /// The first line of the last prompt, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_prompt: Option<String>,
    /// How many turns it has; `None` where that was not counted.
    pub turns: Option<u64>,
    #[serde(default)]
    pub is_archived: bool,
    /// Who answered last.
    pub engine: String,
    pub model: String,
    #[serde(skip)]
    pub bytes: u64,
    /// `None` where the log was not scanned for damage.
    pub damage: Option<Damage>,
}

fn no_id() -> SessionId {
    SessionId::from("")
}

/// How much of a log was read, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReadDepth {
    /// Its first page and its end.
    Ends,
    /// Every turn and prompt.
    Landmarks,
    /// Every line, for damage too.
    Whole,
}

/// What tells whether a file is as it was: its size, its time and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileStamp {
    pub(super) bytes: u64,
    /// Since 1970.
    modified_secs: i64,
    modified_nanos: i64,
    inode: u64,
}

impl FileStamp {
    pub(super) fn new(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified_secs: metadata.mtime(),
            modified_nanos: metadata.mtime_nsec(),
            inode: metadata.ino(),
        }
    }

    /// Returns when it was written: seconds since 1970, and nanoseconds.
    pub(super) fn modified(&self) -> (i64, i64) {
        (self.modified_secs, self.modified_nanos)
    }

    /// Milliseconds since 1970; 0 for earlier times.
    fn modified_ms(&self) -> u64 {
        let ms = self.modified_secs.saturating_mul(1_000).saturating_add(self.modified_nanos / 1_000_000);
        u64::try_from(ms).unwrap_or_default()
    }
}

impl SessionSummary {
    /// Reads a log.
    pub(super) fn read(path: &Path, stamp: &FileStamp, depth: ReadDepth) -> Result<Self, OpenError> {
        let reader = Reader::open(path)?;
        let mut facts = SessionFacts::default();
        read_facts(&reader, depth, &mut facts).map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
        let header = reader.header().clone();
        let shown = facts.branch_starts.active_path();
        let is_shown = |prompt: &&(Seq, String)| shown.contains(prompt.0);
        let first_prompt = facts.prompts.iter().find(is_shown).map(|(_, line)| line.clone());
        let mut last = facts.prompts.iter().skip(facts.first_page_prompts);
        let last_prompt = last.rfind(is_shown).map(|(_, line)| line.clone());
        let turns = facts.turns.iter().filter(|seq| shown.contains(**seq)).count() as u64;
        let (engine, model) = facts.answered_by.unwrap_or((header.engine, header.model));
        let mut summary = Self {
            id: header.session,
            path: PathBuf::new(),
            kind: header.kind,
            mirror_of: header.mirror_of,
            imported_from: header.imported_from.map(|origin| origin.program),
            started_at: header.started_at,
            modified: 0,
            folder: header.folder,
            title: facts.given_title.or(header.title).or(first_prompt),
            last_prompt,
            turns: (depth > ReadDepth::Ends).then_some(turns),
            is_archived: facts.is_archived,
            engine,
            model,
            bytes: 0,
            damage: facts.damage,
        };
        summary.place(path, stamp);
        Ok(summary)
    }

    /// Sets what is known from the file itself.
    pub(super) fn place(&mut self, path: &Path, stamp: &FileStamp) {
        // The file name counts: a damaged header may contain anything.
        if let Some(stem) = path.file_stem() {
            self.id = stem.to_string_lossy().as_ref().into();
        }
        path.clone_into(&mut self.path);
        (self.modified, self.bytes) = (stamp.modified_ms(), stamp.bytes);
    }
}

#[derive(Default)]
struct SessionFacts {
    given_title: Option<String>,
    /// The first lines of all prompts, and where turns begin, on whichever branch.
    prompts: Vec<(Seq, String)>,
    /// How many of them were read before a part of the log was skipped.
    first_page_prompts: usize,
    turns: Vec<Seq>,
    branch_starts: BranchStarts,
    is_archived: bool,
    answered_by: Option<(String, String)>,
    damage: Option<Damage>,
}

impl SessionFacts {
    fn observe(&mut self, Envelope { seq, event, .. }: &Envelope) {
        self.branch_starts.observe(*seq, event);
        match event {
            AgentEvent::SessionOpened { engine, model, .. } if !engine.is_empty() && engine != NO_ENGINE => {
                self.answered_by = Some((engine.clone(), model.clone()));
            }
            AgentEvent::TurnStarted { .. } => self.turns.push(*seq),
            AgentEvent::UserMessage { text, .. } => self.prompts.push((*seq, first_line(text))),
            AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Title(title) } => {
                self.given_title = Some(first_line(title)).filter(|title| !title.is_empty());
            }
            AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Archived(is_archived) } => {
                self.is_archived = *is_archived;
            }
            _ => {}
        }
    }
}

fn read_facts(reader: &Reader, depth: ReadDepth, facts: &mut SessionFacts) -> std::io::Result<()> {
    match depth {
        ReadDepth::Whole => {
            let (damage, _) = reader.for_each_event(|envelope| facts.observe(envelope))?;
            facts.damage = Some(damage);
        }
        ReadDepth::Landmarks => reader.for_each_landmark(|envelope| facts.observe(envelope))?,
        ReadDepth::Ends => {
            let first_page = ReadLimits { max_events: 64, max_bytes: END_BYTES as usize, ..ReadLimits::one_page() };
            let mut cursor = reader.start_cursor();
            let page = reader.read(&mut cursor, first_page)?;
            page.entries.iter().for_each(|entry| facts.observe(&entry.envelope));
            if !page.at_end {
                facts.first_page_prompts = facts.prompts.len();
                let end = reader.read_end(END_BYTES)?;
                end.entries.iter().for_each(|entry| facts.observe(&entry.envelope));
            }
        }
    }
    Ok(())
}

/// Returns whether a program has the log open for writing.
pub(super) fn is_in_use(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn first_line(text: &str) -> String {
    text.trim_start().lines().next().unwrap_or_default().trim_end().chars().take(MAX_TITLE_CHARS).collect()
}
