//! Prompts of earlier sessions: one JSON object a line, readable by the owner only.
//!
//! Not here: walking through them (`ui/composer.rs`). Invariant: a line that can't be read costs that line.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::private;

const MAX_PROMPTS: usize = 1000;
/// A longer prompt is remembered while the program runs, but not kept.
const MAX_PROMPT_BYTES: usize = 64 << 10;
/// The file is written anew when it has so many bytes more than it needs.
const MAX_WASTED_BYTES: usize = 1 << 20;
/// A longer file is not ours.
const MAX_FILE_BYTES: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct PromptLine {
    text: String,
}

/// Reads the prompts, older first, each once; writes the file anew when much of it is useless.
pub fn load(path: &Path) -> io::Result<Vec<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    let mut seen = HashSet::new();
    let mut prompts: Vec<String> = bytes
        .split(|byte| *byte == b'\n')
        .rev()
        .filter_map(|line| serde_json::from_slice::<PromptLine>(line).ok())
        .map(|line| line.text)
        .filter(|text| seen.insert(text.clone()))
        .take(MAX_PROMPTS)
        .collect();
    prompts.reverse();
    let needed: usize = prompts.iter().map(|text| text.len() + 16).sum();
    if bytes.len() > needed.saturating_mul(2) + MAX_WASTED_BYTES {
        let part = path.with_extension("part");
        let mut file = private::create_file(&part)?;
        file.write_all(&to_json_lines(&prompts))?;
        fs::rename(part, path)?;
    }
    Ok(prompts)
}

/// Adds prompts at the end.
pub fn append(path: &Path, prompts: &[String]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = private::open_options().append(true).create(true).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    // One write, so that two programs don't mix their lines.
    file.write_all(&to_json_lines(prompts))
}

fn to_json_lines(prompts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in prompts.iter().filter(|text| text.len() <= MAX_PROMPT_BYTES) {
        // Text always serialises.
        if let Ok(line) = serde_json::to_vec(&PromptLine { text: text.clone() }) {
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_added_is_found_again_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/history.jsonl");
        assert_eq!(load(&path).unwrap(), [""; 0]);
        append(&path, &strings(&["one", "two\nlines"])).unwrap();
        append(&path, &strings(&["one"])).unwrap();
        assert_eq!(load(&path).unwrap(), ["two\nlines", "one"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_broken_line_costs_that_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        fs::write(&path, b"{\"text\":\"one\"}\n\xff\xfe\n{\"text\":\"two\"}\n{\"tex").unwrap();
        assert_eq!(load(&path).unwrap(), ["one", "two"]);
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        append(&path, &vec!["x".repeat(1000); 3000]).unwrap();
        assert_eq!(load(&path).unwrap().len(), 1);
        assert!(fs::metadata(&path).unwrap().len() < 2000);
        assert_eq!(load(&path).unwrap().len(), 1);
    }

    #[test]
    fn the_newest_thousand_are_kept_and_none_that_is_huge() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        append(&path, &["x".repeat(MAX_PROMPT_BYTES + 1)]).unwrap();
        append(&path, &(0..1200).map(|number| number.to_string()).collect::<Vec<_>>()).unwrap();
        let prompts = load(&path).unwrap();
        assert_eq!((prompts.len(), prompts[0].as_str()), (1000, "200"));
    }
}
