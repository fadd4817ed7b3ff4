//! Files that git doesn't know yet, as it would show them once they are added.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::text::size;

/// Files that are shown with what is in them; more are only named.
const MAX_SHOWN_FILES: usize = 100;
/// A larger file is only named.
const MAX_SHOWN_BYTES: u64 = 256 << 10;
/// Files that are named at all.
const MAX_NAMED_FILES: usize = 2000;

/// Returns a unified diff that adds these files of a folder, whose names end in NUL. Links are not followed.
pub(super) fn diff_of_files(folder: &Path, names: &str) -> String {
    let mut diff = String::new();
    let mut shown = 0;
    for name in names.split_terminator('\0').take(MAX_NAMED_FILES) {
        let file = folder.join(name);
        let Ok(found) = fs::symlink_metadata(&file) else { continue };
        _ = writeln!(diff, "diff --git a/{name} b/{name}\nnew file");
        let is_small = found.is_file() && found.len() <= MAX_SHOWN_BYTES && shown < MAX_SHOWN_FILES;
        let text = if is_small { fs::read(&file).ok() } else { None };
        match text.map(String::from_utf8) {
            Some(Ok(text)) if !text.contains('\0') => {
                shown += 1;
                add_lines(&mut diff, name, &text);
            }
            _ if found.is_symlink() => diff.push_str("a link, not followed\n"),
            _ if found.is_dir() => diff.push_str("a repository of its own\n"),
            Some(_) => _ = writeln!(diff, "not text, {}", size(found.len())),
            None => _ = writeln!(diff, "{}, not shown", size(found.len())),
        }
    }
    diff
}

fn add_lines(diff: &mut String, name: &str, text: &str) {
    let lines = text.lines().count();
    if lines == 0 {
        return;
    }
    _ = writeln!(diff, "--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{lines} @@");
    for line in text.split_inclusive('\n') {
        diff.push('+');
        diff.push_str(line);
    }
    if !text.ends_with('\n') {
        diff.push_str("\n\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_are_shown_and_what_is_no_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("a b.txt", b"one\ntwo");
        write("empty", b"");
        write("picture", &[0xff, 0, 1]);
        write("large", &vec![b'x'; 300 << 10]);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let diff = diff_of_files(folder.path(), "a b.txt\0empty\0picture\0large\0link\0gone\0");
        assert_eq!(
            diff,
            "diff --git a/a b.txt b/a b.txt\nnew file\n--- /dev/null\n+++ b/a b.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n\
             \\ No newline at end of file\n\
             diff --git a/empty b/empty\nnew file\n\
             diff --git a/picture b/picture\nnew file\nnot text, 3 bytes\n\
             diff --git a/large b/large\nnew file\n307.2 kB, not shown\n\
             diff --git a/link b/link\nnew file\na link, not followed\n"
        );
    }
}
