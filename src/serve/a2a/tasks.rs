//! Which tasks belong to which context: one append-only file beside the logs. A task itself is only in the log of its
//! session.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::event::SessionId;
use crate::private;
use crate::serve::state::ServerState;

/// How many tasks are remembered, the newest; older ones are found by their id.
const MAX_KNOWN_TASKS: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownTask {
    pub(super) task: SessionId,
    pub(super) context: String,
}

#[derive(Debug, Default)]
pub(super) struct TaskIndex {
    /// The newest last.
    tasks: Mutex<VecDeque<KnownTask>>,
    is_loaded: OnceCell<()>,
}

impl TaskIndex {
    /// Reads what was written by an earlier run.
    pub(super) async fn load(&self, state: &ServerState) {
        self.is_loaded
            .get_or_init(|| async {
                let Some(path) = index_path(state) else { return };
                match tokio::task::spawn_blocking(move || read_index(&path)).await {
                    Ok(Ok(known)) => self.lock().extend(known),
                    Ok(Err(error)) => tracing::warn!("the list of A2A tasks can't be read: {error}"),
                    Err(error) => tracing::warn!("the list of A2A tasks can't be read: {error}"),
                }
            })
            .await;
    }

    pub(super) fn add(&self, state: &ServerState, known: KnownTask) {
        let path = index_path(state);
        {
            let mut tasks = self.lock();
            if tasks.len() >= MAX_KNOWN_TASKS {
                tasks.pop_front();
            }
            tasks.push_back(known.clone());
        }
        let Some(path) = path else { return };
        state.spawn(async move {
            let written = tokio::task::spawn_blocking(move || append_line(&path, &known)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!("the list of A2A tasks can't be written: {error}");
            }
        });
    }

    /// Returns the newest task of a context.
    pub(super) fn latest(&self, context: &str) -> Option<SessionId> {
        self.lock().iter().rev().find(|known| known.context == context).map(|known| known.task.clone())
    }

    pub(super) fn context_of(&self, task: &SessionId) -> Option<String> {
        self.lock().iter().rev().find(|known| known.task == *task).map(|known| known.context.clone())
    }

    /// Returns the tasks, of one context or all, the newest first.
    pub(super) fn list(&self, context: Option<&str>) -> Vec<KnownTask> {
        let tasks = self.lock();
        tasks.iter().rev().filter(|known| context.is_none_or(|context| known.context == context)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<KnownTask>> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index_path(state: &ServerState) -> Option<PathBuf> {
    Some(state.factory().storage_dir()?.join("a2a_tasks.jsonl"))
}

/// Reads the newest tasks. A file with many more is written anew.
fn read_index(path: &Path) -> io::Result<Vec<KnownTask>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // A torn line is skipped.
    let mut known: Vec<KnownTask> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let count = known.len();
    known.drain(..count.saturating_sub(MAX_KNOWN_TASKS));
    if count > 2 * MAX_KNOWN_TASKS {
        let fresh = path.with_extension("new");
        let mut file = private::create_file(&fresh)?;
        for task in &known {
            writeln!(file, "{}", serde_json::to_string(task)?)?;
        }
        std::fs::rename(&fresh, path)?;
    }
    Ok(known)
}

fn append_line(path: &Path, known: &KnownTask) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        private::create_dir(folder)?;
    }
    let mut file = private::open_options().append(true).create(true).open(path)?;
    file.write_all(format!("{}\n", serde_json::to_string(known)?).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(task: usize, context: &str) -> KnownTask {
        KnownTask { task: SessionId::new(format!("s{task}")), context: context.to_owned() }
    }

    #[test]
    fn the_newest_tasks_are_read_back_and_a_long_file_is_shortened() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/a2a_tasks.jsonl");
        assert_eq!(read_index(&path).unwrap(), []);
        append_line(&path, &known(0, "c")).unwrap();
        std::fs::write(&path, [std::fs::read(&path).unwrap(), b"{\"task\":\"to\n".to_vec()].concat()).unwrap();
        append_line(&path, &known(1, "d")).unwrap();
        assert_eq!(read_index(&path).unwrap(), [known(0, "c"), known(1, "d")], "a torn line is none");
        for task in 2..=2 * MAX_KNOWN_TASKS {
            append_line(&path, &known(task, "c")).unwrap();
        }
        let read = read_index(&path).unwrap();
        assert_eq!((read.len(), read.last()), (MAX_KNOWN_TASKS, Some(&known(2 * MAX_KNOWN_TASKS, "c"))));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), MAX_KNOWN_TASKS);
    }

    #[test]
    fn a_context_has_its_tasks_the_newest_first() {
        let index = TaskIndex::default();
        index.lock().extend([known(0, "c"), known(1, "d"), known(2, "c")]);
        assert_eq!((index.latest("c"), index.latest("e")), (Some("s2".into()), None));
        assert_eq!(index.context_of(&"s1".into()), Some("d".into()));
        assert_eq!(index.list(Some("c")), [known(2, "c"), known(0, "c")]);
        assert_eq!(index.list(None).len(), 3);
    }
}
