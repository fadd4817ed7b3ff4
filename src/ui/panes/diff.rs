//! What the session changed in files: each file with its diff. What git says of a file is shown in place of what the calls
//! say, for it is how the file is now.
//!
//! The invariant: what was laid out is kept for as long as no call ends and git says nothing new; forgetting it changes no
//! cell.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::item::call_preview::file_change;
use crate::store::Store;
use crate::store::overlay::diff::DiffText;
use crate::store::tool_calls::CallState;
use crate::text::clean::{clean, one_line};
use crate::ui::diff::{DiffView, lay_diff};
use crate::ui::paint::draw_box;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::text_layout::laid_out::{LaidOut, LayoutBuilder, StyledText};
use crate::ui::theme::{Role, TextStyle};

/// Bytes of the diff of one file that are laid out.
const MAX_FILE_BYTES: usize = 256 * 1024;
const MAX_PATH_CELLS: usize = 400;

/// What was laid out last.
#[derive(Debug, Default)]
pub struct ChangesView {
    of: Option<ViewKey>,
    page: LaidOut,
    files: usize,
}

/// What the page was made of: its width, how many calls there are and have ended, and what git said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ViewKey {
    width: u16,
    calls: usize,
    ended: usize,
    git_bytes: Option<usize>,
}

/// A file with what changed in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ChangedFile {
    path: String,
    diff: String,
    /// Calls of this session that changed it.
    calls: usize,
    is_of_git: bool,
}

pub fn draw(shown: &DiffText, view: &mut ChangesView, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let place = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    view.update(shown, store, place.width.saturating_sub(4));
    let rows = view.page.rows() as usize;
    let height = usize::from(place.height.saturating_sub(2));
    let most = rows.saturating_sub(height);
    let first = shown.scroll.min(most);
    let files = match view.files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let footer = match most {
        0 => format!("{files} · {} closes", labels.close),
        _ => format!("{files} · {}–{} of {rows} rows · ↑↓ · {} closes", first + 1, first + height, labels.close),
    };
    let inner = draw_box("Changes", &footer, Role::BorderFocused, theme, place, buf);
    for y in 0..inner.height {
        let row = first + usize::from(y);
        if row >= rows {
            break;
        }
        view.page.draw_row(row as u32, inner.x, inner.y + y, inner.width, theme, buf);
    }
    DrawnOverlay::with_scroll_end(most)
}

impl ChangesView {
    fn update(&mut self, shown: &DiffText, store: &Store, width: u16) {
        let calls = store.tool_calls.calls();
        let key = ViewKey {
            width,
            calls: calls.len(),
            ended: calls.iter().filter(|call| matches!(call.state, CallState::Done(_))).count(),
            git_bytes: shown.of_git.as_ref().map(|told| told.as_ref().map_or(0, String::len)),
        };
        if self.of.as_ref() == Some(&key) {
            return;
        }
        let files = changed_files(shown, store);
        (self.page, self.files, self.of) = (lay_out(&files, shown, width), files.len(), Some(key));
    }
}

/// Returns the files in the order in which the session changed them, then those that only git knows of.
fn changed_files(shown: &DiffText, store: &Store) -> Vec<ChangedFile> {
    let folder = store.session.opened.as_ref().map_or("", |opened| opened.folder.as_str());
    let mut files: Vec<ChangedFile> = Vec::new();
    for change in store.tool_calls.calls().iter().filter_map(file_change) {
        let path = relative(&change.path, folder);
        let at = files.iter().position(|file| file.path == path).unwrap_or_else(|| {
            files.push(ChangedFile { path: path.into_owned(), ..ChangedFile::default() });
            files.len() - 1
        });
        let file = &mut files[at];
        file.calls += 1;
        if !file.diff.is_empty() && !file.diff.ends_with('\n') {
            file.diff.push('\n');
        }
        if file.diff.len() < MAX_FILE_BYTES {
            file.diff.push_str(&change.diff);
        }
    }
    if let Some(Ok(told)) = &shown.of_git {
        for (path, diff) in split_git_diff(told) {
            let known = files.iter_mut().find(|file| file.path == path);
            match known {
                Some(file) => (file.diff, file.is_of_git) = (diff.to_owned(), true),
                None => files.push(ChangedFile { path, diff: diff.to_owned(), calls: 0, is_of_git: true }),
            }
        }
    }
    files
}

/// Returns a path as git names it, where it lies in the folder.
fn relative<'a>(path: &'a str, folder: &str) -> Cow<'a, str> {
    let inside = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).filter(|_| !folder.is_empty());
    Cow::Borrowed(inside.unwrap_or(path).trim_start_matches("./"))
}

/// Splits what git says into files, each with its diff from the first hunk on, or with what git says in its place.
fn split_git_diff(text: &str) -> Vec<(String, &str)> {
    let mut starts: Vec<usize> = memchr::memmem::find_iter(text.as_bytes(), "\ndiff --git ").map(|at| at + 1).collect();
    if text.starts_with("diff --git ") {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut files = Vec::new();
    for (start, end) in starts.iter().copied().zip(ends) {
        let part = &text[start..end];
        let line =
            |prefix: &str| part.lines().find_map(|line| line.strip_prefix(prefix)).filter(|name| *name != "/dev/null");
        let named = line("+++ b/").or_else(|| line("--- a/")).or_else(|| line("rename to "));
        let of_head = || part.lines().next()?.rsplit_once(" b/").map(|(_, name)| name);
        let Some(path) = named.or_else(of_head) else { continue };
        let hunks = memchr::memmem::find(part.as_bytes(), b"\n@@ ").map(|at| at + 1);
        let told = hunks.or_else(|| part.find('\n').map(|at| at + 1)).unwrap_or(part.len());
        files.push((path.trim_end_matches('\t').to_owned(), &part[told..]));
    }
    files
}

fn lay_out(files: &[ChangedFile], shown: &DiffText, width: u16) -> LaidOut {
    let mut page = LayoutBuilder::new(width);
    let say = |page: &mut LayoutBuilder, text: &str| page.add_wrapped(&StyledText::of(text, Role::Dim.into()));
    match &shown.of_git {
        None if files.is_empty() => say(&mut page, "no call of this session has changed a file"),
        None => say(&mut page, "as the calls of this session say"),
        Some(Ok(_)) if files.is_empty() => {
            say(&mut page, "nothing differs from the last commit, and no call of this session has changed a file");
        }
        Some(Ok(_)) => say(&mut page, "what differs from the last commit, and what calls of this session changed"),
        Some(Err(why)) => {
            let why = one_line(why, MAX_PATH_CELLS);
            let told = if files.is_empty() {
                "no call of this session has changed a file"
            } else {
                "as the calls of this session say"
            };
            say(&mut page, &format!("{told} ({why})"));
        }
    }
    for file in files {
        page.gap();
        let note = match (file.calls, file.is_of_git, matches!(shown.of_git, Some(Ok(_)))) {
            (0, _, _) => "  not by a call of this session".to_owned(),
            (_, true, _) => "  against the last commit".to_owned(),
            (1, false, true) => "  1 change; git shows no difference".to_owned(),
            (calls, false, true) => format!("  {calls} changes; git shows no difference"),
            (1, false, false) => String::new(),
            (calls, false, false) => format!("  {calls} changes"),
        };
        let path = one_line(&file.path, MAX_PATH_CELLS);
        page.add_row([(path.as_str(), TextStyle::new(Role::Tool)), (note.as_str(), TextStyle::new(Role::Dim))]);
        let head = file.diff.get(..file.diff.floor_char_boundary(MAX_FILE_BYTES)).unwrap_or("");
        let text = clean(head);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let view = DiffView { path: &file.path, before: "", rows: usize::MAX, is_all: true };
        page.indent("  ", TextStyle::default());
        lay_diff(&mut page, text, view);
        page.outdent();
        if head.len() < file.diff.len() {
            say(&mut page, "  … the rest of this file is not shown");
        }
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, CallOutcome, Envelope, Millis};
    use crate::store::msg::Msg;
    use crate::testkit::events::{Opened, call_finished, call_ready, call_started, message_started, turn_started};
    use crate::ui::key_hints::KeyHints;
    use crate::ui::theme::Theme;

    fn fold(store: &mut Store, events: impl IntoIterator<Item = AgentEvent>) {
        for event in events {
            let seq = store.last_seq().next();
            store.update(Msg::Event(Envelope { seq, at: Millis(seq.0), event }), &mut Vec::new());
        }
    }

    /// A session in which `a.rs` was edited twice, `b.txt` was written and a command ran.
    fn changed() -> Store {
        let mut store = Store::default();
        let opened = Opened { folder: "/home/me/p", ..Opened::default() }.event();
        fold(&mut store, [opened, turn_started("t1"), message_started("m1")]);
        let edits = [
            (
                "1",
                "edit_file",
                r#"{"path":"/home/me/p/a.rs","old":"x","new":"y"}"#,
                "replaced once\n--- a.rs\n+++ a.rs\n@@ -1 +1 @@\n-old one\n+new one\n",
            ),
            (
                "2",
                "edit_file",
                r#"{"path":"a.rs","old":"y","new":"z"}"#,
                "applied hunk 1 of 2 to `a.rs`\napplied:\n--- a.rs\n+++ a.rs\n@@ -9 +9 @@\n-took this\n+for that\nnot applied:\n@@ -20 +20 @@\n-never\n+ever\n",
            ),
            ("3", "write_file", r#"{"path":"b.txt","content":"hello\nyou"}"#, "created `b.txt`"),
            (
                "4",
                "shell",
                r#"{"command":"git diff"}"#,
                "diff --git a/c b/c\n--- a/c\n+++ b/c\n@@ -1 +1 @@\n-shell\n+output\n",
            ),
        ];
        for (id, name, args, output) in edits {
            fold(
                &mut store,
                [
                    call_started(id, "m1", Some(name)),
                    call_ready(id, name, args),
                    call_finished(id, CallOutcome::Ok, output),
                ],
            );
        }
        store
    }

    fn screen(store: &Store, of_git: Option<Result<String, String>>) -> String {
        let area = Rect::new(0, 0, 80, 40);
        let mut buf = Buffer::empty(area);
        let labels = KeyHints::default();
        let screen = OverlayScreen { store, key_hints: &labels, theme: Theme::default(), stage: area, input: area };
        let shown = DiffText { scroll: 0, of_git };
        draw(&shown, &mut ChangesView::default(), &screen, &mut buf);
        let row = |y| (0..80).map(|x| buf[(x, y)].symbol()).collect::<String>();
        (0..40).map(|y| row(y).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_file_that_calls_changed_is_shown_once_with_all_its_changes() {
        let shown = screen(&changed(), None);
        assert_eq!(shown.matches("a.rs").count(), 1, "{shown}");
        assert!(shown.contains("a.rs  2 changes") && shown.contains("2 files"), "{shown}");
        for line in ["- old one", "+ new one", "- took this", "+ for that", "+ hello", "+ you"] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        assert!(!shown.contains("never") && !shown.contains("shell"), "{shown}");
    }

    #[test]
    fn what_git_says_of_a_file_stands_in_place_of_what_calls_say() {
        let told = "diff --git a/a.rs b/a.rs\nindex 1..2 100644\n--- a/a.rs\n+++ b/a.rs\n@@ -1 +1 @@\n-in git\n+by git\n\
                    diff --git a/other b/other\ndeleted file mode 100644\n--- a/other\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n";
        let shown = screen(&changed(), Some(Ok(told.into())));
        assert!(shown.contains("+ by git") && !shown.contains("new one"), "{shown}");
        assert!(shown.contains("other  not by a call of this session") && shown.contains("- gone"), "{shown}");
        assert!(shown.contains("b.txt  1 change; git shows no difference"), "{shown}");
        let why = screen(&Store::default(), Some(Err("not a git repository".into())));
        assert!(why.contains("no call of this session has changed a file (not a git repository)"), "{why}");
    }
}
