//! What is to become of files when the session goes to another place: they go along, or stay as they are.
//!
//! The first two rows do one or the other; below them stands every file, and Enter takes it out or in. A file that
//! somebody changed since stays as it is unless the person says otherwise.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{FileCheck, FileState, RestoreStep};
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::update::branching::{BranchWish, go_with_files, go_without_files, irrevocable_calls};
use crate::store::update::support::open;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRestore {
    pub(in crate::store) wish: BranchWish,
    pub files: Vec<FileRow>,
    /// Calls on the way that can't be taken back, raw.
    pub irrevocable: Vec<String>,
    pub selected: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    pub check: FileCheck,
    /// It goes along.
    pub is_taken: bool,
}

/// The rows before the files.
pub const CHOICE_ROWS: usize = 2;

impl FileRow {
    fn new(check: FileCheck) -> Self {
        Self { is_taken: check.state == FileState::AsExpected, check }
    }

    /// Says how the file stands.
    pub fn remark(&self) -> String {
        match (&self.check.state, self.is_taken) {
            (FileState::AsExpected, true) => "goes along".to_owned(),
            (FileState::AsExpected, false) => "stays".to_owned(),
            (FileState::AlreadyThere, _) => "is so already".to_owned(),
            (FileState::Changed { .. }, false) => "changed since, stays".to_owned(),
            (FileState::Changed { .. }, true) => "changed since, is replaced".to_owned(),
            (FileState::Blocked(why), _) => format!("stays: {why}"),
        }
    }
}

impl FileRestore {
    pub(in crate::store) fn new(wish: BranchWish, checks: Vec<FileCheck>, irrevocable: Vec<String>) -> Self {
        Self { wish, files: checks.into_iter().map(FileRow::new).collect(), irrevocable, selected: 0 }
    }

    /// Returns the file that is selected, if one is.
    pub fn selected_file(&self) -> Option<&FileRow> {
        self.files.get(self.selected.checked_sub(CHOICE_ROWS)?)
    }

    /// Returns how many files go along.
    pub fn taken(&self) -> usize {
        self.files.iter().filter(|file| file.is_taken).count()
    }

    /// Returns the first rows.
    pub fn choices(&self) -> [String; CHOICE_ROWS] {
        let files = match self.taken() {
            0 => "go there; no file goes along".to_owned(),
            1 => "go there, and 1 file with it".to_owned(),
            taken => format!("go there, and {taken} files with it"),
        };
        [files, "go there, files stay as they are".to_owned()]
    }

    fn steps(&self) -> Vec<RestoreStep> {
        self.files.iter().filter(|file| file.is_taken).map(|file| file.check.step.clone()).collect()
    }
}

impl OverlayState for FileRestore {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.files.len() + CHOICE_ROWS - 1);
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        let files = self.files.iter().map(|file| format!("{}: {}", file.check.shown, file.remark()));
        Some(self.choices().into_iter().chain(files).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let steps = self.steps();
        match self.selected.checked_sub(CHOICE_ROWS) {
            None if self.selected == 0 && !steps.is_empty() => go_with_files(store, self.wish.clone(), steps, fx),
            None => go_without_files(store, self.wish.clone(), fx),
            Some(nth) => {
                if let Some(file) = self.files.get_mut(nth)
                    && matches!(file.check.state, FileState::AsExpected | FileState::Changed { .. })
                {
                    file.is_taken = !file.is_taken;
                }
                return OverlayOutcome::Stay;
            }
        }
        OverlayOutcome::Close
    }
}

/// Files were looked at: asks what is to become of them.
pub(in crate::store) fn ask_about_files(store: &mut Store, checks: Vec<FileCheck>, fx: &mut Vec<Effect>) {
    let Some(wish) = store.branches.wish.take() else { return };
    store.toast = None;
    if checks.iter().all(|check| check.state == FileState::AlreadyThere) {
        return go_without_files(store, wish, fx);
    }
    let irrevocable = irrevocable_calls(store, wish.after);
    open(store, FileRestore::new(wish, checks, irrevocable));
}
