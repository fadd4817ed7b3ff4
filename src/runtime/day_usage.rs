//! What was used on a day, over all sessions: one JSON line a turn, so that two programs may write at once.
//!
//! Not here: which limits there are (`store/limits.rs`). Invariant: a line that can't be read costs its turn, no more.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::local_time::local_now;
use crate::private;
use crate::store::limits::Spending;

/// Beyond this only the lines of the day are kept.
const MAX_KEPT_BYTES: u64 = 256 << 10;
/// A longer file is not ours.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// A turn: what it used, and on which day, as in `2026-11-30`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnSpending {
    pub day: String,
    pub tokens: u64,
    /// US dollars, if the price is known.
    pub cost: Option<f64>,
}

/// Returns where it is kept: beside the prompts typed so far.
pub fn file_beside(history: &Path) -> PathBuf {
    history.with_file_name("usage-days.jsonl")
}

/// Returns the name of this day.
pub fn today() -> String {
    local_now().strftime("%Y-%m-%d").to_string()
}

/// Adds the turns of a day up; nothing where there are none, or none that can be read.
pub fn load(path: &Path, day: &str) -> Spending {
    let mut sum = Spending::default();
    for turn in read(path).lines().filter_map(|line| serde_json::from_str::<TurnSpending>(line).ok()) {
        if turn.day != day {
            continue;
        }
        sum.turns += 1;
        sum.tokens = sum.tokens.saturating_add(turn.tokens);
        match turn.cost.filter(|cost| cost.is_finite() && *cost >= 0.0) {
            Some(cost) => sum.cost += cost,
            None => sum.unpriced_turns += 1,
        }
    }
    sum
}

/// Adds a turn; returns what its day has used with it.
pub fn add(path: &Path, turn: &TurnSpending) -> io::Result<Spending> {
    if let Some(folder) = path.parent() {
        private::create_dir(folder)?;
    }
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_KEPT_BYTES) {
        keep_day(path, &turn.day)?;
    }
    let line = serde_json::to_string(turn)? + "\n";
    private::open_options().append(true).create(true).open(path)?.write_all(line.as_bytes())?;
    Ok(load(path, &turn.day))
}

fn keep_day(path: &Path, day: &str) -> io::Result<()> {
    let text = read(path);
    let is_of_day = |line: &&str| serde_json::from_str::<TurnSpending>(line).is_ok_and(|turn| turn.day == day);
    let kept: String = text.lines().filter(is_of_day).flat_map(|line| [line, "\n"]).collect();
    let part = path.with_extension("part");
    private::create_file(&part)?.write_all(kept.as_bytes())?;
    fs::rename(part, path)
}

fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    if is_file && let Ok(file) = File::open(path) {
        let _ = file.take(MAX_FILE_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(day: &str, tokens: u64, cost: Option<f64>) -> TurnSpending {
        TurnSpending { day: day.into(), tokens, cost }
    }

    #[test]
    fn turns_of_a_day_add_up_and_what_is_no_turn_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/usage-days.jsonl");
        assert_eq!(load(&path, "d1"), Spending::default());
        add(&path, &turn("d1", 10, Some(0.5))).unwrap();
        add(&path, &turn("d0", 99, Some(9.0))).unwrap();
        private::open_options().append(true).open(&path).unwrap().write_all(b"\xff{\n{\"day\":\"d1\"}\n").unwrap();
        let sum = add(&path, &turn("d1", 5, None)).unwrap();
        assert_eq!(sum, Spending { turns: 2, tokens: 15, cost: 0.5, unpriced_turns: 1 });
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage-days.jsonl");
        let old = serde_json::to_string(&turn("d0", 1, None)).unwrap() + "\n";
        fs::write(&path, old.repeat(8_000)).unwrap();
        let sum = add(&path, &turn("d1", 5, Some(1.0))).unwrap();
        assert_eq!(sum, Spending { turns: 1, tokens: 5, cost: 1.0, unpriced_turns: 0 });
        assert!(fs::metadata(&path).unwrap().len() < 200);
    }
}
