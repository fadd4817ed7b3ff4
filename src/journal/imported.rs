//! Logs that are made of the sessions of other programs.
//!
//! A log is written whole beside its place and put there at once, so an import is never half. What was said after it is
//! never replaced: where the source of such a session has grown, the newer import gets a log of its own.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::line::decode;
use super::write::lock;
use super::{LogHeader, OpenError, Reader, log_path, new_uuid};
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, Seq, SessionId};
use crate::private;

/// How many logs one session of another program may have.
const MAX_COPIES: usize = 100;

/// Where an imported session comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOrigin {
    pub program: String,
    /// What the program calls the session; raw.
    pub session: String,
    /// How many of the first events were imported; what follows them was said here.
    pub events: u64,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    New(SessionId),
    /// The source had grown.
    Updated(SessionId),
    Unchanged(SessionId),
    /// The session was gone on with here and its source had grown: the newer import is a session of its own.
    Beside {
        new: SessionId,
        continued: SessionId,
    },
}

impl Imported {
    pub fn session(&self) -> &SessionId {
        match self {
            Self::New(session) | Self::Updated(session) | Self::Unchanged(session) => session,
            Self::Beside { new, .. } => new,
        }
    }
}

/// Why an import can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("it is open here as session {id}; close it and import again")]
    InUse { id: SessionId },
    #[error("there are {MAX_COPIES} imports of it already; remove some of {id}")]
    TooMany { id: SessionId },
    #[error("can't write {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// What stands where an import belongs.
enum ImportPlace {
    Free,
    /// Another session has that name.
    Taken,
    Same,
    /// An older import, with what a person said of it since.
    Outdated {
        file: File,
        remarks: Vec<AgentEvent>,
    },
    /// An older import that was gone on with.
    Continued,
}

/// Keeps an imported session: `header` names it and its origin, `used_at` is when it was last used in milliseconds since
/// 1970. With `is_dry` nothing is written.
pub fn keep_import(
    dir: &Path,
    header: &LogHeader,
    events: &[Envelope],
    used_at: u64,
    is_dry: bool,
) -> Result<Imported, ImportError> {
    let mut lines = Vec::new();
    for envelope in events {
        push_line(&mut lines, envelope).map_err(|cause| ImportError::Io { path: dir.to_owned(), cause })?;
    }
    let mut continued = None;
    for copy in 1..=MAX_COPIES {
        let name = header.session.as_str();
        let id = if copy == 1 { header.session.clone() } else { SessionId::new(format!("{name}-{copy}")) };
        let path = log_path(dir, &id);
        let failed = |cause| ImportError::Io { path: path.clone(), cause };
        let imported = match look_at(&path, header, events.len(), &lines).map_err(failed)? {
            ImportPlace::Taken => continue,
            ImportPlace::Continued => {
                continued.get_or_insert(id);
                continue;
            }
            ImportPlace::Same => return Ok(Imported::Unchanged(id)),
            ImportPlace::Free => {
                write_log(dir, &path, &LogHeader { session: id.clone(), ..header.clone() }, &lines, used_at, is_dry)
                    .map_err(failed)?;
                match continued {
                    Some(continued) => Imported::Beside { new: id, continued },
                    None => Imported::New(id),
                }
            }
            ImportPlace::Outdated { file, remarks } => {
                match lock(&file, &path) {
                    Ok(()) => {}
                    Err(OpenError::Io { cause, .. }) => return Err(failed(cause)),
                    Err(_) => return Err(ImportError::InUse { id }),
                }
                let mut lines = lines;
                let last = events.last();
                for (nth, event) in (1..).zip(remarks) {
                    let seq = Seq(events.len() as u64 + nth);
                    let at = last.map(|last| last.at).unwrap_or_default();
                    push_line(&mut lines, &Envelope { seq, at, event }).map_err(failed)?;
                }
                let header = LogHeader { session: id.clone(), ..header.clone() };
                write_log(dir, &path, &header, &lines, used_at, is_dry).map_err(failed)?;
                Imported::Updated(id)
            }
        };
        return Ok(imported);
    }
    Err(ImportError::TooMany { id: header.session.clone() })
}

fn push_line(lines: &mut Vec<u8>, envelope: &Envelope) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, envelope)?;
    lines.push(b'\n');
    Ok(())
}

fn look_at(path: &Path, header: &LogHeader, count: usize, lines: &[u8]) -> io::Result<ImportPlace> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ImportPlace::Free),
        Err(error) => return Err(error),
    };
    let known = Reader::open(path).ok().and_then(|reader| reader.header().imported_from.clone());
    let is_same_source = |known: &&ImportOrigin| {
        let of = header.imported_from.as_ref();
        of.is_some_and(|of| of.program == known.program && of.session == known.session)
    };
    let Some(known) = known.as_ref().filter(is_same_source) else { return Ok(ImportPlace::Taken) };
    let kept = fs::read(path)?;
    let rest = memchr::memchr(b'\n', &kept).and_then(|end| kept.get(end + 1..)).unwrap_or_default();
    let events = usize::try_from(known.events).unwrap_or(usize::MAX);
    let end = memchr::memchr_iter(b'\n', rest).nth(events.saturating_sub(1)).map_or(rest.len(), |at| at + 1);
    let (imported, said) = rest.split_at(end);
    // A source that has become shorter has nothing new.
    if imported == lines || count < events {
        return Ok(ImportPlace::Same);
    }
    Ok(match remarks(said) {
        Some(remarks) => ImportPlace::Outdated { file, remarks },
        None => ImportPlace::Continued,
    })
}

/// Returns what a person said of a session, if nothing else was said: what it is called, and whether it is archived.
fn remarks(said: &[u8]) -> Option<Vec<AgentEvent>> {
    let lines = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let event = decode(line)?.event;
            let is_remark = matches!(
                event,
                AgentEvent::Annotation {
                    on: AnnotationTarget::Session,
                    annotation: Annotation::Title(_) | Annotation::Archived(_)
                }
            );
            is_remark.then_some(event)
        })
        .collect()
}

fn write_log(dir: &Path, path: &Path, header: &LogHeader, lines: &[u8], used_at: u64, is_dry: bool) -> io::Result<()> {
    if is_dry {
        return Ok(());
    }
    private::create_dir(dir)?;
    let part = path.with_extension(format!("{}.part", new_uuid()));
    let mut file = private::create_file(&part)?;
    let mut head = serde_json::to_vec(header)?;
    head.push(b'\n');
    let written = file.write_all(&head).and_then(|()| file.write_all(lines)).and_then(|()| {
        file.sync_data()?;
        // Lists are in the order in which sessions were used.
        file.set_modified(UNIX_EPOCH + Duration::from_millis(used_at))?;
        fs::rename(&part, path)
    });
    written.inspect_err(|_| _ = fs::remove_file(&part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Millis, TurnOutcome};
    use crate::journal::{Writer, annotate, find, list};
    use crate::testkit::events::{opened, turn_finished, turn_started, user_message};

    fn session(turns: u64) -> (LogHeader, Vec<Envelope>) {
        let turn = |n: u64| {
            let id = format!("t{n}");
            [turn_started(&id), user_message(&format!("m{n}"), "hi"), turn_finished(&id, TurnOutcome::Completed)]
        };
        let events = std::iter::once(opened()).chain((1..=turns).flat_map(turn));
        let events: Vec<_> =
            (1..).zip(events).map(|(seq, event)| Envelope { seq: Seq(seq), at: Millis(seq), event }).collect();
        let origin = ImportOrigin { program: "codex".into(), session: "s".into(), events: events.len() as u64 };
        let header = LogHeader { imported_from: Some(origin), ..LogHeader::new("20260101-000000-abcdef01".into(), 1) };
        (header, events)
    }

    fn import(dir: &Path, turns: u64) -> Result<Imported, ImportError> {
        let (header, events) = session(turns);
        keep_import(dir, &header, &events, 5_000, false)
    }

    #[test]
    fn the_same_import_changes_nothing_and_a_grown_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let id = SessionId::from("20260101-000000-abcdef01");
        assert_eq!(import(dir.path(), 1).unwrap(), Imported::New(id.clone()));
        let first = find(dir.path(), id.as_str()).unwrap();
        assert_eq!((first.modified, first.imported_from.as_deref()), (5_000, Some("codex")));
        assert_eq!(import(dir.path(), 1).unwrap(), Imported::Unchanged(id.clone()));
        annotate(dir.path(), id.as_str(), Annotation::Title("Mine".into()), 9_000).unwrap();
        assert_eq!(import(dir.path(), 1).unwrap(), Imported::Unchanged(id.clone()));
        assert_eq!(import(dir.path(), 2).unwrap(), Imported::Updated(id.clone()));
        assert_eq!(import(dir.path(), 1).unwrap(), Imported::Unchanged(id.clone()), "it is not made shorter");
        let sessions = list(dir.path(), None).unwrap().sessions;
        let [only] = sessions.as_slice() else { panic!("{sessions:?}") };
        assert_eq!((only.turns, only.title.as_deref()), (Some(2), Some("Mine")), "what it is called stays");
        assert!(only.damage.is_some_and(|damage| damage.is_none()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_was_said_after_an_import_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let id = import(dir.path(), 1).unwrap().session().clone();
        let path = log_path(dir.path(), &id);
        let (mut writer, end) = Writer::open(&path).unwrap();
        let more = Envelope { seq: end.last_seq.next(), at: end.at, event: opened() };
        writer.append(&[serde_json::to_vec(&more).unwrap().into()]).unwrap();
        drop(writer);
        let kept = fs::read(&path).unwrap();
        assert_eq!(import(dir.path(), 1).unwrap(), Imported::Unchanged(id.clone()));
        let new = SessionId::new(format!("{id}-2"));
        assert_eq!(import(dir.path(), 2).unwrap(), Imported::Beside { new: new.clone(), continued: id.clone() });
        assert_eq!(import(dir.path(), 2).unwrap(), Imported::Unchanged(new.clone()));
        assert_eq!(import(dir.path(), 3).unwrap(), Imported::Updated(new));
        assert_eq!(fs::read(&path).unwrap(), kept);
    }

    #[test]
    fn another_session_of_that_name_is_left_alone_and_an_open_one_too() {
        let dir = tempfile::tempdir().unwrap();
        let (header, _) = session(1);
        let other = LogHeader { imported_from: None, ..header };
        drop(Writer::create(dir.path(), &other).unwrap());
        let id = import(dir.path(), 1).unwrap().session().clone();
        assert_eq!(id.as_str(), "20260101-000000-abcdef01-2");
        let (_open, _) = Writer::open(&log_path(dir.path(), &id)).unwrap();
        assert!(matches!(import(dir.path(), 2), Err(ImportError::InUse { .. })));
        assert_eq!(import(dir.path(), 1).unwrap(), Imported::Unchanged(id));
    }

    #[test]
    fn a_dry_run_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (header, events) = session(1);
        assert!(matches!(keep_import(dir.path(), &header, &events, 1, true), Ok(Imported::New(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
