//! How often each action was chosen from the palette, over all runs: one JSON object.
//!
//! Not here: what is done with it (`store/overlay/palette.rs`). Invariant: a file that can't be read costs an order.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::private;

/// A longer file is not ours.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads the counts; none where there are none, or none that can be read.
pub fn load(path: &Path) -> BTreeMap<String, u32> {
    let is_ours = fs::metadata(path).is_ok_and(|metadata| metadata.len() <= MAX_FILE_BYTES);
    let text = if is_ours { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    serde_json::from_str(&text).unwrap_or_default()
}

/// Writes the counts in place of those that are there.
pub fn save(path: &Path, uses: &BTreeMap<String, u32>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("part");
    private::create_file(&part)?.write_all(serde_json::to_string(uses)?.as_bytes())?;
    fs::rename(part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_back_and_what_is_no_count_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/action-uses.json");
        assert_eq!(load(&path), BTreeMap::new());
        let uses: BTreeMap<String, u32> = [("app.help".to_owned(), 3)].into();
        save(&path, &uses).unwrap();
        assert_eq!(load(&path), uses);
        fs::write(&path, "{\"app.help\": -1}").unwrap();
        assert_eq!(load(&path), BTreeMap::new());
    }
}
