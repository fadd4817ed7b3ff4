//! Leaves something out of what may be read where that can only be listed: instead of a folder, everything in it but
//! what leads to the closed place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// More than that are allowed as a whole: a rule for each would take too long.
const MAX_ENTRIES: usize = 4000;

/// Returns paths that together hold everything but the closed ones, as of now: what comes into a folder on the way to a
/// closed one later is not among them. `open` stays open as a whole.
pub(super) fn paths_around(closed: &[PathBuf], open: &[PathBuf]) -> Vec<PathBuf> {
    let closed: Vec<&Path> = closed
        .iter()
        .map(PathBuf::as_path)
        .filter(|closed| !open.iter().any(|open| open.starts_with(closed)))
        .collect();
    let on_the_way: BTreeSet<&Path> = closed.iter().flat_map(|path| path.ancestors().skip(1)).collect();
    if on_the_way.is_empty() {
        return vec![PathBuf::from("/")];
    }
    let mut around = Vec::new();
    for folder in on_the_way {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let leads_there = closed.iter().any(|closed| closed.starts_with(&path));
            if !leads_there && around.len() < MAX_ENTRIES {
                around.push(path);
            }
        }
    }
    around
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_closed_is_left() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in ["home/.ssh", "home/.config/ours", "home/.config/theirs", "home/work"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("home/.bashrc"), "").unwrap();
        let closed = [root.join("home/.ssh"), root.join("home/.config/ours")];
        let around: BTreeSet<PathBuf> = paths_around(&closed, &[]).into_iter().collect();
        let below = |path: &str| around.contains(&root.join(path));
        assert!(below("home/.bashrc") && below("home/work") && below("home/.config/theirs"));
        assert!(around.iter().all(|path| !closed.iter().any(|closed| closed.starts_with(path))));
        assert!(around.contains(Path::new("/usr")) || around.contains(Path::new("/etc")));
        // Who works in a closed place may read it.
        let inside = paths_around(&closed, &[root.join("home/.ssh/work")]);
        assert!(inside.contains(&root.join("home/.ssh")));
        assert_eq!(paths_around(&[], &[]), [PathBuf::from("/")]);
    }
}
