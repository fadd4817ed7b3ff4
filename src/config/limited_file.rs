//! Reads files that people write.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Reads a file that people write; one with more bytes is none.
pub(super) fn read_limited(file: &Path, max_bytes: u64) -> io::Result<String> {
    // Checked before opening: opening a pipe would block forever.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut text = String::new();
    File::open(file)?.take(max_bytes + 1).read_to_string(&mut text)?;
    if text.len() as u64 > max_bytes {
        let limit =
            if max_bytes >> 20 > 0 { format!("{} MiB", max_bytes >> 20) } else { format!("{} KiB", max_bytes >> 10) };
        return Err(io::Error::other(format!("larger than {limit}")));
    }
    Ok(text)
}
