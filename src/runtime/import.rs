//! Imports: the sessions that other programs keep on this machine, found, read and kept as logs of ours.
//!
//! Files are only read. A folder is searched to a certain depth; links are not followed, so nothing outside of it is
//! read, and what a file is decides its content alone. Which formats there are: [`crate::dialect::saved`].

mod sources;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::SavedSessions;
use super::redaction::redacted;
use super::scrub::without_secrets;
use crate::dialect::saved::{self, SavedFile, SavedFormat, SavedSession};
use crate::event::{Envelope, Millis, Seq, SessionId};
use crate::journal::{self, ImportOrigin, Imported, LogHeader};
use crate::tool::expand_home;
use sources::{FoundFile, FoundSession, Search};

/// What a search for sessions of other programs found, and what became of it.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// By the name of the format, in the order of [`saved::SAVED_FORMATS`].
    pub programs: Vec<ProgramReport>,
    /// Files and folders that could not be searched, and why.
    pub problems: Vec<String>,
    /// Files that are no sessions.
    pub other_files: u64,
}

/// What became of the sessions of one program.
#[derive(Debug)]
pub struct ProgramReport {
    pub format: &'static SavedFormat,
    pub sessions: Vec<ImportedSession>,
    /// Sessions that were not imported, each with its first file and why.
    pub failed: Vec<(PathBuf, String)>,
}

/// A session that was read.
#[derive(Debug)]
pub struct ImportedSession {
    pub outcome: Imported,
    pub file: PathBuf,
    /// What its program calls it; raw.
    pub source: String,
    pub turns: u64,
    pub calls: u64,
    /// What could not be taken over, and how often.
    pub left_out: BTreeMap<&'static str, u64>,
}

impl ImportReport {
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Returns what became of it in one line, for the screen.
    pub fn summary(&self) -> String {
        let told = self.programs.iter().map(|program| {
            let (new, updated, unchanged) = program.counts();
            let mut text = format!("{}: {new} imported", program.format.title);
            for (count, what) in [(updated, "updated"), (unchanged, "here already"), (program.failed.len(), "left out")]
            {
                if count > 0 {
                    let _ = write!(text, ", {count} {what}");
                }
            }
            text
        });
        let told: Vec<String> = told.chain(self.problems.first().cloned()).collect();
        if told.is_empty() { "no sessions of other programs found".to_owned() } else { told.join("; ") }
    }

    /// Returns whether everything that was found could be read and kept.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.programs.iter().all(|program| program.failed.is_empty())
    }
}

impl ProgramReport {
    /// Counts sessions: new ones, those that had grown, and those that were here already.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Imported) -> bool| self.sessions.iter().filter(|session| is(&session.outcome)).count();
        (
            count(|outcome| matches!(outcome, Imported::New(_) | Imported::Beside { .. })),
            count(|outcome| matches!(outcome, Imported::Updated(_))),
            count(|outcome| matches!(outcome, Imported::Unchanged(_))),
        )
    }
}

/// Where other programs keep their sessions, as far as the folders exist.
fn program_places(env: &dyn Fn(&str) -> Option<String>) -> Vec<(&'static SavedFormat, PathBuf)> {
    let folder = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = folder("HOME");
    let places = saved::SAVED_FORMATS.iter().flat_map(|format| format.places.iter().map(move |place| (format, place)));
    let found = places.filter_map(|(format, place)| {
        let moved = folder(place.variable).map(|folder| folder.join(place.below_variable));
        let path = moved.or_else(|| Some(home.as_ref()?.join(place.below_home)))?;
        path.exists().then_some((format, path))
    });
    found.collect()
}

fn own_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl SavedSessions {
    /// Returns where other programs keep their sessions on this machine.
    pub fn import_places(&self) -> Vec<PathBuf> {
        program_places(&own_environment).into_iter().map(|(_, path)| path).collect()
    }

    /// Returns what somebody means who types a path in this folder; `~` is the home folder.
    pub fn import_place(folder: &Path, typed: &str) -> PathBuf {
        folder.join(expand_home(typed.trim()))
    }

    /// Returns which programs keep sessions here, to be told to the person: once, and never after an import.
    pub fn import_offer(&self) -> Option<String> {
        let mark = self.import_mark();
        if mark.exists() {
            return None;
        }
        let mut titles: Vec<&str> =
            program_places(&own_environment).into_iter().map(|(format, _)| format.title).collect();
        titles.dedup();
        let (last, others) = titles.split_last()?;
        let names = if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
        let keeps = if others.is_empty() { "keeps" } else { "keep" };
        self.set_import_mark();
        Some(format!("{names} {keeps} sessions here; /import brings them over"))
    }

    /// Lies where an import was made or offered.
    fn import_mark(&self) -> PathBuf {
        self.index.with_file_name("import-offered")
    }

    fn set_import_mark(&self) {
        if let Err(error) = crate::private::create_file(&self.import_mark()) {
            tracing::debug!("it can't be noted that an import was offered: {error}");
        }
    }

    /// Imports the sessions that are in files and folders. With `is_dry` nothing is written. Blocks for as long as the
    /// files need.
    pub fn import(&self, paths: &[PathBuf], is_dry: bool) -> ImportReport {
        if !is_dry {
            self.set_import_mark();
        }
        let mut search = Search::default();
        for path in paths {
            search.add(path);
        }
        let mut report =
            ImportReport { problems: search.problems, other_files: search.other_files, ..Default::default() };
        for format in saved::SAVED_FORMATS {
            let found: Vec<FoundSession> =
                search.files.remove(format.name).map(|files| sources::group(&files)).unwrap_or_default();
            if found.is_empty() {
                continue;
            }
            let mut program = ProgramReport { format, sessions: Vec::new(), failed: Vec::new() };
            for session in found {
                self.import_session(format, &session, is_dry, &mut program);
            }
            report.programs.push(program);
        }
        report
    }

    fn import_session(
        &self,
        format: &'static SavedFormat,
        found: &FoundSession,
        is_dry: bool,
        report: &mut ProgramReport,
    ) {
        let first = found.first().map(|file| file.path.clone()).unwrap_or_default();
        let mut files = Vec::with_capacity(found.len());
        for file in found {
            match file.read() {
                Ok(file) => files.push(file),
                Err(why) => return report.failed.push((file.path.clone(), why)),
            }
        }
        let modified = files.iter().map(|file| file.modified).max().unwrap_or_default();
        let sessions = match (format.read)(&files) {
            Ok(sessions) => sessions,
            Err(why) => return report.failed.push((first, why)),
        };
        let has_many = sessions.len() > 1;
        for (nth, session) in sessions.into_iter().enumerate() {
            let number = has_many.then_some(nth + 1);
            match self.keep(format, &first, number, &session, modified, is_dry) {
                Ok(outcome) => report.sessions.push(ImportedSession {
                    outcome,
                    file: first.clone(),
                    source: session.id,
                    turns: session.turns,
                    calls: session.calls,
                    left_out: session.left_out,
                }),
                Err(error) => report.failed.push((first.clone(), error.to_string())),
            }
        }
    }

    fn keep(
        &self,
        format: &SavedFormat,
        file: &Path,
        number: Option<usize>,
        session: &SavedSession,
        modified: u64,
        is_dry: bool,
    ) -> Result<Imported, journal::ImportError> {
        let (id, source) = name_session(format, file, number, session);
        let mut header = LogHeader::new(id, session.started_at);
        header.title = session
            .title
            .as_deref()
            .map(|title| crate::text::one_line(&redacted(title.to_owned()), 200))
            .filter(|title| !title.is_empty());
        format.name.clone_into(&mut header.engine);
        session.model.clone_into(&mut header.model);
        header.imported_from = Some(ImportOrigin {
            program: format.name.to_owned(),
            session: source,
            events: session.events.len() as u64,
        });
        let events: Vec<Envelope> = (1..)
            .zip(&session.events)
            .map(|(seq, saved)| Envelope {
                seq: Seq(seq),
                at: Millis(saved.wall_ms.saturating_sub(session.started_at)),
                event: saved.event.clone(),
            })
            .collect();
        // Other programs keep secrets as they are; our logs don't.
        let events = without_secrets(events);
        let used_at = session.events.last().map(|event| event.wall_ms).filter(|time| *time > 0).unwrap_or(modified);
        journal::keep_import(&self.logs, &header, &events, used_at, is_dry)
    }
}

/// Returns our id of a session, and what it is called in its origin. One that has no name of its own is known by its
/// file.
fn name_session(
    format: &SavedFormat,
    file: &Path,
    number: Option<usize>,
    session: &SavedSession,
) -> (SessionId, String) {
    if !session.id.is_empty() {
        let started = Some(session.started_at).filter(|time| *time > 0 && !format.places.is_empty());
        return (journal::imported_session_id(format.name, &session.id, started), session.id.clone());
    }
    let number = number.map(|number| format!("#{number}")).unwrap_or_default();
    let place = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let id = journal::imported_session_id(format.name, &format!("{}{number}", place.display()), None);
    (id, format!("{name}{number}"))
}

impl FoundFile {
    fn read(&self) -> Result<SavedFile, String> {
        let (bytes, log) = sources::read_with_log(&self.path)?;
        Ok(SavedFile { id: self.id.clone(), bytes, log, modified: self.modified })
    }
}
