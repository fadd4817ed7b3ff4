//! Puts files back to what they were at another place of the session, and brings them forth again.
//!
//! What is to be done is written down first, so that a start after a crash can say what is left. Each file is replaced in
//! one step: whenever this ends, every file is its old self or its new one. What a file was just before is kept as well,
//! so nothing is lost by it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agent::snapshots::{SnapshotStore, version_id};
use crate::event::{FileCheck, FileState, FileVersion, RestoreStep, SessionId};
use crate::journal::snapshots_dir;
use crate::private;
use crate::tool::restore::{RestoreScope, diff_of};

/// The name of the file that says what is being done.
const PLAN_FILE: &str = "restore.json";
/// Files that are named where a restore was cut short.
const MAX_NAMED_FILES: usize = 5;
/// A longer diff is cut.
const MAX_DIFF_BYTES: usize = 64 << 10;

/// What is being done, as it is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RestorePlan {
    steps: Vec<RestoreStep>,
}

/// Puts the files of one session back. All of it blocks.
#[derive(Clone, Debug)]
pub struct FileRestorer {
    snapshots: PathBuf,
    scope: RestoreScope,
}

impl FileRestorer {
    pub fn new(state_dir: &Path, session: &SessionId, scope: RestoreScope) -> Self {
        Self { snapshots: snapshots_dir(state_dir, session), scope }
    }

    /// Looks at the files, and changes nothing.
    pub fn check(&self, steps: Vec<RestoreStep>) -> Vec<FileCheck> {
        let store = SnapshotStore::new(&self.snapshots);
        let check = |step: RestoreStep| {
            let state = self.state_of(&step, &store).unwrap_or_else(FileState::Blocked);
            FileCheck { shown: self.scope.display_path(&step.path), state, step }
        };
        steps.into_iter().map(check).collect()
    }

    fn state_of(&self, step: &RestoreStep, store: &SnapshotStore) -> Result<FileState, String> {
        let current = self.scope.read(&step.path)?;
        let target = content_of(&step.target, store)?;
        if current == target {
            return Ok(FileState::AlreadyThere);
        }
        let is_expected = match (&step.expected, &current) {
            (FileVersion::Absent, None) => true,
            (FileVersion::Kept(id), Some(content)) => version_id(content) == *id,
            _ => false,
        };
        if is_expected {
            return Ok(FileState::AsExpected);
        }
        let shown = self.scope.display_path(&step.path);
        let mut diff = diff_of(&shown, current.as_deref(), target.as_deref());
        if let Some(diff) = &mut diff {
            diff.truncate(diff.floor_char_boundary(MAX_DIFF_BYTES));
        }
        Ok(FileState::Changed { diff })
    }

    /// Puts files back; returns how many were changed.
    ///
    /// # Errors
    ///
    /// Says which file could not be put back, and how many were before it. If a version is missing, nothing is changed.
    pub fn restore(&self, steps: &[RestoreStep]) -> Result<usize, String> {
        self.restore_and_tell(steps, |_| {})
    }

    fn restore_and_tell(&self, steps: &[RestoreStep], mut tell: impl FnMut(usize)) -> Result<usize, String> {
        let store = SnapshotStore::new(&self.snapshots);
        let mut contents = Vec::new();
        for step in steps {
            let fault = |why: String| format!("{}: {why}; nothing was changed", self.scope.display_path(&step.path));
            let target = content_of(&step.target, &store).map_err(fault)?;
            if let Some(current) = self.scope.read(&step.path).map_err(fault)?
                && store.keep(&current) == FileVersion::NotKept
            {
                return Err(fault("what it is now can't be kept".to_owned()));
            }
            contents.push(target);
        }
        self.write_plan(steps).map_err(|error| format!("what is to be done can't be written down: {error}"))?;
        let mut changed = 0;
        for (step, content) in steps.iter().zip(&contents) {
            let fault = |why: String| {
                format!(
                    "{}: {why}; {changed} of {} files were changed",
                    self.scope.display_path(&step.path),
                    steps.len()
                )
            };
            if self.scope.read(&step.path).map_err(fault)? != *content {
                self.scope.write(&step.path, content.as_deref()).map_err(fault)?;
                changed += 1;
                tell(changed);
            }
        }
        self.drop_plan();
        Ok(changed)
    }

    fn write_plan(&self, steps: &[RestoreStep]) -> std::io::Result<()> {
        let plan = serde_json::to_vec(&RestorePlan { steps: steps.to_vec() })?;
        private::create_dir(&self.snapshots)?;
        let path = self.snapshots.join(PLAN_FILE);
        let temporary = path.with_extension("new");
        let mut file = private::create_file(&temporary)?;
        file.write_all(&plan)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    }

    fn drop_plan(&self) {
        let _ = fs::remove_file(self.snapshots.join(PLAN_FILE));
    }

    /// Returns what to tell of a restore that was cut short, once; none if there was none.
    pub fn take_unfinished(&self) -> Option<String> {
        let plan = fs::read(self.snapshots.join(PLAN_FILE)).ok()?;
        self.drop_plan();
        let Ok(plan) = serde_json::from_slice::<RestorePlan>(&plan) else {
            return Some("taking files back was cut short; look at what the agent changed".to_owned());
        };
        let all = plan.steps.len();
        let is_left = |check: &FileCheck| check.state != FileState::AlreadyThere;
        let left: Vec<String> = self.check(plan.steps).into_iter().filter(is_left).map(|check| check.shown).collect();
        if left.is_empty() {
            return Some(
                "taking files back was cut short, but all of them are done; go back again to go on from there"
                    .to_owned(),
            );
        }
        let named = left.iter().take(MAX_NAMED_FILES).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if left.len() > MAX_NAMED_FILES { " and more" } else { "" };
        Some(format!(
            "taking files back was cut short: {} of {all} are not done ({named}{more}); go back again to finish it",
            left.len()
        ))
    }
}

fn content_of(version: &FileVersion, store: &SnapshotStore) -> Result<Option<Vec<u8>>, String> {
    match version {
        FileVersion::Absent => Ok(None),
        FileVersion::NotKept => Err("that version was too large to keep".to_owned()),
        FileVersion::Kept(id) => {
            store.read(id).map(Some).map_err(|error| format!("that version is not kept here: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    const CHILD_FOLDER: &str = "JARVIS_TEST_RESTORE_FOLDER";
    const FILES: usize = 12;

    struct Rig {
        _place: Option<tempfile::TempDir>,
        root: PathBuf,
        restorer: FileRestorer,
    }

    fn rig_in(root: PathBuf, place: Option<tempfile::TempDir>) -> Rig {
        let scope = RestoreScope { folder: root.join("work"), extra_folders: Vec::new() };
        let restorer = FileRestorer::new(&root.join("state"), &"s1".into(), scope);
        Rig { _place: place, root, restorer }
    }

    fn rig() -> Rig {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        fs::create_dir(root.join("work")).unwrap();
        rig_in(root, Some(place))
    }

    impl Rig {
        fn path(&self, name: &str) -> String {
            self.root.join("work").join(name).to_str().unwrap().to_owned()
        }

        fn keep(&self, content: &str) -> FileVersion {
            SnapshotStore::new(&self.restorer.snapshots).keep(content.as_bytes())
        }

        fn step(&self, name: &str, expected: &str, target: &str) -> RestoreStep {
            let version = |text: &str| if text.is_empty() { FileVersion::Absent } else { self.keep(text) };
            RestoreStep { path: self.path(name), expected: version(expected), target: version(target) }
        }

        fn write(&self, name: &str, content: &str) {
            fs::write(self.path(name), content).unwrap();
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.path(name)).ok()
        }

        fn state(&self, step: RestoreStep) -> FileState {
            self.restorer.check(vec![step]).remove(0).state
        }
    }

    #[test]
    fn each_file_says_how_it_stands() {
        let rig = rig();
        rig.write("a", "new");
        assert_eq!(rig.state(rig.step("a", "new", "old")), FileState::AsExpected);
        assert_eq!(rig.state(rig.step("a", "x", "new")), FileState::AlreadyThere);
        assert_eq!(rig.state(rig.step("b", "", "old")), FileState::AsExpected);
        let FileState::Changed { diff: Some(diff) } = rig.state(rig.step("a", "x", "old")) else { panic!() };
        assert!(diff.contains("-new") && diff.contains("+old"), "{diff}");
        let lost = RestoreStep { target: FileVersion::NotKept, ..rig.step("a", "new", "old") };
        assert!(matches!(rig.state(lost), FileState::Blocked(_)));
        let outside = RestoreStep { path: "/etc/hostname".into(), ..rig.step("a", "new", "old") };
        assert!(matches!(rig.state(outside), FileState::Blocked(_)));
    }

    #[test]
    fn files_go_back_and_come_again() {
        let rig = rig();
        rig.write("a", "new");
        rig.write("made", "here");
        let back = [rig.step("a", "new", "old"), rig.step("made", "here", "")];
        assert_eq!(rig.restorer.restore(&back), Ok(2));
        assert_eq!((rig.read("a").as_deref(), rig.read("made")), (Some("old"), None));
        let again = [rig.step("a", "old", "new"), rig.step("made", "", "here")];
        assert_eq!(rig.restorer.restore(&again), Ok(2));
        assert_eq!((rig.read("a").as_deref(), rig.read("made").as_deref()), (Some("new"), Some("here")));
        assert_eq!(rig.restorer.take_unfinished(), None);
    }

    #[test]
    fn what_a_file_was_last_is_kept_and_a_missing_version_changes_nothing() {
        let rig = rig();
        rig.write("a", "mine");
        rig.write("b", "new");
        assert_eq!(rig.restorer.restore(&[rig.step("a", "new", "old")]), Ok(1));
        let store = SnapshotStore::new(&rig.restorer.snapshots);
        assert_eq!(store.read(&version_id(b"mine")).unwrap(), b"mine");
        let lost = RestoreStep { target: FileVersion::Kept("0".repeat(64)), ..rig.step("a", "old", "x") };
        assert!(
            rig.restorer.restore(&[rig.step("b", "new", "old"), lost]).unwrap_err().contains("nothing was changed")
        );
        assert_eq!(rig.read("b").as_deref(), Some("new"));
    }

    fn contents(version: &str, nth: usize) -> String {
        format!("{version} {nth}\n").repeat(20_000)
    }

    fn many(rig: &Rig, from: &str, to: &str) -> Vec<RestoreStep> {
        (0..FILES).map(|nth| rig.step(&format!("f{nth}"), &contents(from, nth), &contents(to, nth))).collect()
    }

    /// Not a test of its own: goes back and forth until it is killed, and tells each file that is done.
    #[test]
    fn restoring_until_killed() {
        let Ok(root) = std::env::var(CHILD_FOLDER) else { return };
        let rig = rig_in(root.into(), None);
        let (back, forth) = (many(&rig, "new", "old"), many(&rig, "old", "new"));
        for steps in [&back, &forth].into_iter().cycle() {
            rig.restorer.restore_and_tell(steps, |changed| eprintln!("done {changed}")).unwrap();
        }
    }

    #[test]
    fn one_that_is_killed_anywhere_leaves_every_file_old_or_new_and_is_finished_later() {
        let rig = rig();
        (0..FILES).for_each(|nth| rig.write(&format!("f{nth}"), &contents("new", nth)));
        let mut cut_short = 0;
        for lines in 1..=(2 * FILES + 1) {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["runtime::file_restore::tests::restoring_until_killed", "--exact", "--nocapture"])
                .env(CHILD_FOLDER, &rig.root)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            assert_eq!(told.filter(|line| line.starts_with("done ")).take(lines).count(), lines);
            child.kill().unwrap();
            child.wait().unwrap();
            for nth in 0..FILES {
                let is = rig.read(&format!("f{nth}")).unwrap();
                assert!(is == contents("old", nth) || is == contents("new", nth), "file {nth} is half of something");
            }
            cut_short += usize::from(rig.restorer.take_unfinished().is_some());
            assert_eq!(rig.restorer.take_unfinished(), None, "it is told once");
            // Going back again does what is left, and takes nobody by surprise.
            let states = rig.restorer.check(many(&rig, "new", "old"));
            assert!(
                states.iter().all(|check| matches!(check.state, FileState::AsExpected | FileState::AlreadyThere)),
                "{states:?}"
            );
            rig.restorer.restore(&many(&rig, "new", "old")).unwrap();
            assert_eq!(rig.read("f0").as_deref(), Some(contents("old", 0).as_str()));
            rig.restorer.restore(&many(&rig, "old", "new")).unwrap();
        }
        assert!(cut_short > 0, "at least one was killed in the middle");
    }
}
