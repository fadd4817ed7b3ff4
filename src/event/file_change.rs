//! What a call changed in a file: which version was there, and which is there now.

use serde::{Deserialize, Serialize};

use super::Seq;
use super::branches::BranchPath;

/// A version of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileVersion {
    /// There was no file.
    Absent,
    /// Its bytes are kept beside the session, under this id: their SHA-256 in hexadecimal.
    Kept(String),
    /// Its bytes were too large to keep, or could not be kept.
    NotKept,
}

/// A file that a call was about to change. If the call failed after all, the file is still what it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Absolute, links resolved.
    pub path: String,
    pub before: FileVersion,
    pub after: FileVersion,
}

/// What a file should be, and what it is expected to be now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreStep {
    pub path: String,
    pub expected: FileVersion,
    pub target: FileVersion,
}

/// How a file stands before it is put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is what the agent left.
    AsExpected,
    /// It is what it should become already.
    AlreadyThere,
    /// Somebody changed it since: what putting it back would change, if both are texts.
    Changed { diff: Option<String> },
    /// It can't be put back, and this is why.
    Blocked(String),
}

/// A step that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    pub step: RestoreStep,
    /// The path as it is shown, raw.
    pub shown: String,
    pub state: FileState,
}

/// Returns what to do with files to leave one place of a session and come to another: `undone` are the changes on the way
/// back to where the branches part, `redone` those on the way from there, both in the order in which they were made.
/// Files that end as they are now are left out.
pub fn restore_steps<'a>(
    undone: impl IntoIterator<Item = &'a FileChange>,
    redone: impl IntoIterator<Item = &'a FileChange>,
) -> Vec<RestoreStep> {
    let mut steps: Vec<RestoreStep> = Vec::new();
    for change in undone {
        match steps.iter_mut().find(|step| step.path == change.path) {
            Some(step) => step.expected.clone_from(&change.after),
            None => steps.push(RestoreStep {
                path: change.path.clone(),
                expected: change.after.clone(),
                target: change.before.clone(),
            }),
        }
    }
    for change in redone {
        match steps.iter_mut().find(|step| step.path == change.path) {
            Some(step) => step.target.clone_from(&change.after),
            None => steps.push(RestoreStep {
                path: change.path.clone(),
                expected: change.before.clone(),
                target: change.after.clone(),
            }),
        }
    }
    steps.retain(|step| step.expected != step.target);
    steps
}

/// Returns the changes that were made on each side of where two paths part; see [`restore_steps`].
pub fn changes_between<'a>(
    changes: &'a [(Seq, FileChange)],
    from: &BranchPath,
    to: &BranchPath,
) -> (Vec<&'a FileChange>, Vec<&'a FileChange>) {
    let only_on = |one: &BranchPath, other: &BranchPath| {
        changes.iter().filter(|(seq, _)| one.contains(*seq) && !other.contains(*seq)).map(|(_, it)| it).collect()
    };
    (only_on(from, to), only_on(to, from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: &str) -> FileVersion {
        if id.is_empty() { FileVersion::Absent } else { FileVersion::Kept(id.into()) }
    }

    fn change(path: &str, before: &str, after: &str) -> FileChange {
        FileChange { path: path.into(), before: kept(before), after: kept(after) }
    }

    fn step(path: &str, expected: &str, target: &str) -> RestoreStep {
        RestoreStep { path: path.into(), expected: kept(expected), target: kept(target) }
    }

    #[test]
    fn several_changes_of_a_file_are_one_step_back_to_the_first() {
        let undone = [change("a", "1", "2"), change("b", "", "x"), change("a", "2", "3")];
        assert_eq!(restore_steps(&undone, []), [step("a", "3", "1"), step("b", "x", "")]);
        assert_eq!(restore_steps([], &undone), [step("a", "1", "3"), step("b", "", "x")]);
    }

    #[test]
    fn from_one_branch_to_another_a_file_is_written_once() {
        let (undone, redone) = ([change("a", "1", "2")], [change("a", "1", "5"), change("c", "7", "8")]);
        assert_eq!(restore_steps(&undone, &redone), [step("a", "2", "5"), step("c", "7", "8")]);
    }

    #[test]
    fn what_comes_out_as_it_is_needs_nothing() {
        let undone = [change("a", "1", "2"), change("a", "2", "1")];
        assert_eq!(restore_steps(&undone, []), []);
        assert_eq!(restore_steps(&[change("a", "1", "2")], &[change("a", "1", "2")]), []);
    }
}
