//! What was used on a day, over all sessions: one JSON line a turn, so that two programs may write at once.
//!
//! Not here: which limits there are (`store/limits.rs`). Invariant: a line that can't be read costs its turn, no more.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::Millis;
use crate::local_time::local_now;
use crate::private;
use crate::store::spending::Spending;

/// Beyond this only the lines of the day are kept.
const MAX_KEPT_BYTES: u64 = 256 << 10;
/// A longer file is not ours.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// What a turn used.
#[derive(Serialize, Deserialize)]
struct TurnLine {
    /// As in `2026-11-30`.
    day: String,
    tokens: u64,
    /// US dollars, if the price is known.
    cost: Option<f64>,
    #[serde(default)]
    ms: Millis,
}

impl TurnLine {
    fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    fn spending(&self) -> Spending {
        let cost = self.cost.filter(|cost| cost.is_finite() && *cost >= 0.0);
        Spending {
            turns: 1,
            tokens: self.tokens,
            cost: cost.unwrap_or_default(),
            unpriced_turns: u64::from(cost.is_none()),
            time: self.ms,
        }
    }
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
    let text = read(path);
    let turns = text.lines().filter_map(TurnLine::parse).filter(|turn| turn.day == day);
    turns.fold(Spending::default(), |sum, turn| sum.plus(turn.spending()))
}

/// Adds what a turn of a day used; returns what the day has used with it.
pub fn add(path: &Path, day: &str, turn: Spending) -> io::Result<Spending> {
    if let Some(folder) = path.parent() {
        private::create_dir(folder)?;
    }
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_KEPT_BYTES) {
        keep_day(path, day)?;
    }
    let cost = (turn.unpriced_turns == 0).then_some(turn.cost);
    let line = TurnLine { day: day.to_owned(), tokens: turn.tokens, cost, ms: turn.time };
    let line = serde_json::to_string(&line)? + "\n";
    private::open_options().append(true).create(true).open(path)?.write_all(line.as_bytes())?;
    Ok(load(path, day))
}

fn keep_day(path: &Path, day: &str) -> io::Result<()> {
    let text = read(path);
    let is_of_day = |line: &&str| TurnLine::parse(line).is_some_and(|turn| turn.day == day);
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

    fn turn(tokens: u64, cost: Option<f64>) -> Spending {
        let unpriced_turns = u64::from(cost.is_none());
        Spending { turns: 1, tokens, cost: cost.unwrap_or_default(), unpriced_turns, time: Millis(tokens * 100) }
    }

    #[test]
    fn turns_of_a_day_add_up_and_what_is_no_turn_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/usage-days.jsonl");
        assert_eq!(load(&path, "d1"), Spending::default());
        add(&path, "d1", turn(10, Some(0.5))).unwrap();
        add(&path, "d0", turn(99, Some(9.0))).unwrap();
        private::open_options().append(true).open(&path).unwrap().write_all(b"\xff{\n{\"day\":\"d1\"}\n").unwrap();
        let sum = add(&path, "d1", turn(5, None)).unwrap();
        assert_eq!(sum, Spending { turns: 2, tokens: 15, cost: 0.5, unpriced_turns: 1, time: Millis(1500) });
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage-days.jsonl");
        let old = "{\"day\":\"d0\",\"tokens\":1,\"cost\":null}\n";
        fs::write(&path, old.repeat(8_000)).unwrap();
        assert_eq!(load(&path, "d0").turns, 8_000, "lines without a time are of an earlier version");
        let sum = add(&path, "d1", turn(5, Some(1.0))).unwrap();
        assert_eq!(sum, Spending { time: Millis(500), ..turn(5, Some(1.0)) });
        assert!(fs::metadata(&path).unwrap().len() < 200);
    }
}
