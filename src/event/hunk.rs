//! What a person says of a change hunk by hunk. Hunks are numbered from 1, in the order of the diff.

use serde::{Deserialize, Serialize};

/// Which hunks of a diff are applied, and what was noted on any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HunkDecision {
    /// Ascending; the others are left out.
    pub taken: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<HunkNote>,
}

/// A note on a hunk, taken or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HunkNote {
    pub hunk: u32,
    pub text: String,
}

impl HunkDecision {
    /// Returns whether it is about a diff of so many hunks and names each at most once.
    pub fn fits(&self, hunks: u32) -> bool {
        let exists = |hunk: u32| (1..=hunks).contains(&hunk);
        hunks > 1
            && self.taken.is_sorted_by(|one, next| one < next)
            && self.taken.iter().all(|hunk| exists(*hunk))
            && self.notes.iter().all(|note| exists(note.hunk))
    }

    /// Returns the hunks that are left out of so many.
    pub fn left_out(&self, hunks: u32) -> Vec<u32> {
        (1..=hunks).filter(|hunk| !self.taken.contains(hunk)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_names_hunks_that_there_are_in_their_order() {
        let decision = |taken: &[u32], noted: &[u32]| HunkDecision {
            taken: taken.to_vec(),
            notes: noted.iter().map(|hunk| HunkNote { hunk: *hunk, text: "x".into() }).collect(),
        };
        for (taken, noted, hunks, fits) in [
            (&[1, 3][..], &[2][..], 3, true),
            (&[], &[], 2, true),
            (&[3, 1], &[], 3, false),
            (&[1, 1], &[], 3, false),
            (&[0], &[], 3, false),
            (&[4], &[], 3, false),
            (&[], &[4], 3, false),
            (&[], &[], 0, false),
            (&[1], &[], 1, false),
        ] {
            assert_eq!(decision(taken, noted).fits(hunks), fits, "{taken:?} {noted:?} of {hunks}");
        }
        assert_eq!(decision(&[2], &[]).left_out(3), [1, 3]);
    }
}
