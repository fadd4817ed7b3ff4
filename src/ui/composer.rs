//! Where the person writes: the only file that knows the text-area crate.
//!
//! Not here: which key does what (`config/keys.rs`), and the file that prompts are kept in (`app/prompt_history.rs`).
//! Invariants: nothing but [`Composer::take`] hands a text over, so a paste never sends; a big paste stands in the text
//! as a short chip, so that editing stays fast, as does the mention of an image, and is put back when the text is taken.

mod history;
pub mod vim;
mod vim_editing;

use std::mem;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use tui_textarea::{AtomicRange, CursorMove, CursorRenderMode, TextArea, WrapMode};
use unicode_segmentation::UnicodeSegmentation;

use self::history::RememberedPrompts;
use self::vim::{Vim, VimMode};
use super::completion::{Completed, Completion};
use super::theme::{Role, Theme};
use crate::config::keys::Chord;
use crate::store::Store;
use crate::store::action::Edit;
use crate::text::mention::{open_mention, write_mention};
use crate::text::size;

/// Painted left of the text.
const PROMPT_MARKER: &str = "› ";
const PROMPT_MARKER_CELLS: u16 = 2;
const MAX_ROWS: u16 = 8;
/// A paste of so many lines or bytes becomes a chip.
const MIN_CHIP_LINES: usize = 12;
const MIN_CHIP_BYTES: usize = 2048;
const CHIP_START: &str = "[";

/// A text field with history.
pub struct Composer {
    area: TextArea<'static>,
    /// Where the text was drawn.
    text_area: Rect,
    chips: Vec<PasteChip>,
    history: RememberedPrompts,
    browsing: Option<HistoryBrowsing>,
    /// Drafts that were put away, the last one last.
    stashed: Vec<(Vec<String>, Vec<PasteChip>)>,
    /// What the text may become.
    pub completion: Completion,
    /// Vim's modes, where they are on, and the one to begin with.
    vim: Option<Vim>,
    vim_start: VimMode,
}

/// A big paste or an image, and what stands for it.
#[derive(Clone, Debug)]
struct PasteChip {
    /// In brackets.
    label: String,
    /// Of an image its mention.
    text: String,
}

/// A prompt of the past is on display.
struct HistoryBrowsing {
    /// Its place in the history.
    at: usize,
    /// What stood there before.
    draft: (Vec<String>, Vec<PasteChip>),
}

impl Default for Composer {
    fn default() -> Self {
        Self::new()
    }
}

impl Composer {
    pub fn new() -> Self {
        let mut area = TextArea::default();
        area.set_wrap_mode(WrapMode::Word);
        area.set_cursor_render_mode(CursorRenderMode::Hidden);
        area.set_undo_coalescing(true);
        area.set_cursor_line_style(Style::default());
        area.set_max_rows(MAX_ROWS);
        area.set_placeholder_text("Ask anything");
        Self {
            area,
            text_area: Rect::default(),
            chips: Vec::new(),
            history: RememberedPrompts::default(),
            browsing: None,
            stashed: Vec::new(),
            completion: Completion::default(),
            vim: None,
            vim_start: VimMode::default(),
        }
    }

    /// Sets what an empty composer says.
    pub fn set_placeholder(&mut self, text: &str) {
        if self.area.placeholder_text() != text {
            self.area.set_placeholder_text(text);
        }
    }

    /// Returns the rows it wants at this width, 1 to 8. Costs O(text) once per change.
    pub fn height(&mut self, width: u16) -> u16 {
        self.area.measure(width.saturating_sub(PROMPT_MARKER_CELLS).max(1)).preferred_rows.clamp(1, MAX_ROWS)
    }

    /// Paints prompt and text; returns where the terminal's own cursor belongs, for input methods need it there.
    pub fn draw_field(&mut self, theme: &Theme, focused: bool, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return None;
        }
        let indent = if area.width > PROMPT_MARKER_CELLS { PROMPT_MARKER_CELLS } else { 0 };
        if indent > 0 {
            let role = if focused { Role::Accent } else { Role::Dim };
            buf.set_string(area.x, area.y, PROMPT_MARKER, theme.style(role));
        }
        self.area.set_style(theme.style(if focused { Role::Text } else { Role::Dim }));
        self.area.set_placeholder_style(theme.style(Role::Dim));
        self.area.clear_custom_highlight();
        for AtomicRange { row, start_col, end_col } in self.area.atomic_ranges().to_vec() {
            self.area.custom_highlight(((row, start_col), (row, end_col)), theme.style(Role::Code), 1);
        }
        if self.vim_mode() == Some(VimMode::Visual) {
            self.highlight_selection(theme.style(Role::Selection));
        }
        let inner = Rect { x: area.x + indent, width: area.width - indent, ..area };
        self.text_area = inner;
        (&self.area).render(inner, buf);
        let cursor = self.area.rendered_cursor_position()?;
        focused.then_some((cursor.x, cursor.y))
    }

    /// Puts the cursor where the pointer is, as far as there is text.
    pub fn place_cursor(&mut self, at: (u16, u16)) {
        let Some(cursor) = self.area.rendered_cursor_position().filter(|_| !self.is_empty()) else { return };
        let rows = i32::from(at.1) - i32::from(cursor.y);
        for _ in 0..rows.unsigned_abs() {
            self.area.move_cursor(if rows < 0 { CursorMove::Up } else { CursorMove::Down });
        }
        // In a shorter row it went to the end.
        (&self.area).render(self.text_area, &mut Buffer::empty(self.text_area));
        let Some(cursor) = self.area.rendered_cursor_position() else { return };
        let cells = i32::from(at.0) - i32::from(cursor.x);
        let to = if cells < 0 { CursorMove::Back } else { CursorMove::Forward };
        let line = self.area.cursor().0;
        let mut left = cells.unsigned_abs() as usize;
        while left > 0 {
            let before = self.area.cursor();
            self.move_by_grapheme(to);
            let after = self.area.cursor();
            if after == before || after.0 != line {
                self.area.move_cursor(CursorMove::Jump(before.0 as u16, before.1 as u16));
                break;
            }
            let (from, until) = (before.1.min(after.1), before.1.max(after.1));
            let crossed: String = self
                .area
                .lines()
                .get(line)
                .into_iter()
                .flat_map(|line| line.chars().skip(from).take(until - from))
                .collect();
            left = left.saturating_sub(crate::text::width::str_width(&crossed).max(1));
        }
    }

    /// Looks at the text again, for what it may become.
    pub fn update_completion(&mut self, store: &Store) {
        let text = if self.is_empty() { String::new() } else { self.text() };
        let before_cursor = self.before_cursor();
        self.completion.update(text, &before_cursor, store);
    }

    /// The same, although the text is the same: what it may become is not.
    pub fn refresh_completion(&mut self, store: &Store) {
        self.completion.forget();
        self.update_completion(store);
    }

    /// Returns the line up to the cursor.
    fn before_cursor(&self) -> String {
        let (row, col) = self.area.cursor();
        self.area.lines().get(row).map(|line| line.chars().take(col).collect()).unwrap_or_default()
    }

    /// Puts what was chosen in the place of what was typed of it.
    pub fn complete(&mut self) {
        match self.completion.take() {
            Some(Completed::Command(text)) => self.set_text(&text),
            Some(Completed::Mention(mention)) => {
                let before_cursor = self.before_cursor();
                let Some((start, _)) = open_mention(&before_cursor) else { return };
                for _ in before_cursor[start..].chars() {
                    self.area.delete_char();
                }
                self.area.insert_str(mention);
                self.protect_chips();
            }
            None => {}
        }
    }

    /// Writes the mention of a path as a word of its own at the cursor; `None` where the text is a command, which takes
    /// the path as it is.
    pub fn mention_of(&self, path: &str) -> Option<String> {
        let first = self.area.lines().first().map_or("", String::as_str);
        let is_in_word = self.before_cursor().chars().next_back().is_some_and(|c| !c.is_whitespace());
        let space = if is_in_word { " " } else { "" };
        (!first.starts_with(['/', '!'])).then(|| format!("{space}{} ", write_mention(path)))
    }

    /// Puts an image in at the cursor, as a word of its own: its label, for the mention of its path.
    pub fn insert_image(&mut self, label: &str, path: &str) {
        let Some(mention) = self.mention_of(path) else { return self.paste(path) };
        let (space, text) = (mention.starts_with(' '), mention.trim().to_owned());
        let label = self.unique_label(label, &text);
        self.area.insert_str(format!("{}{label} ", if space { " " } else { "" }));
        if self.chips.iter().all(|chip| chip.label != label) {
            self.chips.push(PasteChip { label, text });
        }
        self.protect_chips();
    }

    /// Returns the label, numbered if it stands for another text already.
    fn unique_label(&self, label: &str, text: &str) -> String {
        let is_taken = |label: &str| self.chips.iter().any(|chip| chip.label == label && chip.text != text);
        let bare = label.strip_suffix(']').unwrap_or(label);
        let numbered = (2..).map(|number| format!("{bare} #{number}]"));
        std::iter::once(label.to_owned()).chain(numbered).find(|label| !is_taken(label)).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Returns whether it holds so many characters or more.
    pub fn holds(&self, characters: usize) -> bool {
        self.area.lines().iter().flat_map(|line| line.chars()).nth(characters.saturating_sub(1)).is_some()
    }

    /// Returns the text with every chip put back.
    pub fn text(&self) -> String {
        expand_chips(&self.area.lines().join("\n"), &self.chips)
    }

    /// Returns what the person was writing, also while a prompt of the past is on display.
    pub fn draft(&self) -> String {
        match &self.browsing {
            Some(HistoryBrowsing { draft: (lines, chips), .. }) if lines.iter().any(|line| !line.is_empty()) => {
                expand_chips(&lines.join("\n"), chips)
            }
            _ => self.text(),
        }
    }

    /// Returns what was written and is nowhere else: drafts that were put away, then the one at hand.
    pub fn unsent(&self) -> String {
        let stashed = self.stashed.iter().map(|(lines, chips)| expand_chips(&lines.join("\n"), chips));
        let texts: Vec<String> = stashed.chain([self.draft()]).filter(|text| !text.is_empty()).collect();
        texts.join("\n\n")
    }

    /// Puts the draft away; an empty composer gets the last one back.
    pub fn stash(&mut self) {
        if self.is_empty() {
            if let Some((lines, chips)) = self.stashed.pop() {
                self.browsing = None;
                self.set_lines(lines, chips);
            }
            return;
        }
        let chips = mem::take(&mut self.chips);
        self.stashed.push((self.area.lines().to_vec(), chips));
        self.browsing = None;
        self.set_lines(vec![String::new()], Vec::new());
    }

    pub fn has_stash(&self) -> bool {
        !self.stashed.is_empty()
    }

    /// Shows a prompt of the past, as when one had walked there.
    pub fn recall(&mut self, text: &str) {
        let Some(at) = self.history.position(text) else { return self.set_text(text) };
        let draft = match self.browsing.take() {
            Some(browsing) => browsing.draft,
            None => (self.area.lines().to_vec(), self.chips.clone()),
        };
        self.show_past(text, at, draft);
    }

    /// Hands the text over, remembers it and leaves the composer empty.
    pub fn take(&mut self) -> String {
        let text = self.text();
        self.remember(&text);
        self.browsing = None;
        self.set_lines(vec![String::new()], Vec::new());
        self.restart_vim();
        text
    }

    /// Replaces the text, the cursor at its end.
    pub fn set_text(&mut self, text: &str) {
        self.browsing = None;
        self.replace(text);
    }

    /// Puts a text in at the cursor, cleaned; a big one as a chip. O(text).
    pub fn paste(&mut self, text: &str) {
        let text = clean_paste(text);
        if text.is_empty() {
            return;
        }
        let piece = self.make_chip(text);
        self.area.insert_str(piece);
        self.protect_chips();
    }

    /// Types the character of a chord, if it has one.
    pub fn type_chord(&mut self, chord: Chord) -> bool {
        let Some(c) = chord.typed_char() else { return false };
        self.area.insert_char(c);
        self.protect_chips();
        true
    }

    pub fn newline(&mut self) {
        self.area.insert_newline();
        self.protect_chips();
    }

    /// Turns a backslash before the cursor into a line's end; false if there is none. For terminals that can't tell
    /// Shift+Enter from Enter.
    pub fn continue_line(&mut self) -> bool {
        let (row, col) = self.area.cursor();
        let before = self.area.lines().get(row).and_then(|line| line.chars().nth(col.checked_sub(1)?));
        if before != Some('\\') {
            return false;
        }
        self.edit(Edit::Backspace);
        self.newline();
        true
    }

    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Left => self.move_by_grapheme(CursorMove::Back),
            Edit::Right => self.move_by_grapheme(CursorMove::Forward),
            Edit::WordLeft => self.area.move_cursor(CursorMove::WordBack),
            Edit::WordRight => self.area.move_cursor(CursorMove::WordForward),
            Edit::LineStart => self.area.move_cursor(CursorMove::Head),
            Edit::LineEnd => self.area.move_cursor(CursorMove::End),
            Edit::Backspace => self.delete(CursorMove::Back),
            Edit::Delete => self.delete(CursorMove::Forward),
            Edit::DeleteWordLeft => _ = self.area.delete_word(),
            Edit::DeleteWordRight => _ = self.area.delete_next_word(),
            Edit::DeleteToLineStart => _ = self.area.delete_line_by_head(),
            Edit::DeleteToLineEnd => _ = self.area.delete_line_by_end(),
            Edit::Yank => _ = self.area.paste(),
            Edit::Undo => _ = self.area.undo(),
            Edit::Redo => _ = self.area.redo(),
        }
        self.protect_chips();
    }

    /// A row up, and from the first row to the prompt before. A prompt on display that was not changed is left at once.
    pub fn up(&mut self) {
        if self.is_browsing_unchanged() || !self.move_cursor(CursorMove::Up) {
            self.history_previous();
        }
    }

    /// A row down, and from the last row to the prompt after, at last to the draft.
    pub fn down(&mut self) {
        if self.is_browsing_unchanged() || !self.move_cursor(CursorMove::Down) {
            self.history_next();
        }
    }

    /// Sets the prompts of earlier sessions, older first; what was remembered meanwhile stays newest.
    pub fn set_history(&mut self, earlier: Vec<String>) {
        self.history.put_before(earlier);
        // Places have moved; the text on display becomes the draft.
        self.browsing = None;
    }

    /// Knows the prompts that another composer knows, from now on.
    pub fn adopt_history(&mut self, other: &Self) {
        if self.history.adopt(&other.history) {
            self.browsing = None;
        }
    }

    /// Returns the prompts remembered, older first.
    pub fn history(&self) -> &[String] {
        self.history.prompts()
    }

    /// Returns what was remembered since the last call, for the file.
    pub fn take_unsaved_prompts(&mut self) -> Vec<String> {
        self.history.take_unsaved()
    }

    /// Remembers a text without having to send it.
    pub fn remember(&mut self, text: &str) {
        self.history.remember(text);
    }

    fn is_browsing_unchanged(&self) -> bool {
        let shown = self.browsing.as_ref().and_then(|browsing| self.history().get(browsing.at));
        shown.is_some_and(|shown| *shown == self.text())
    }

    fn history_previous(&mut self) {
        let at = self.browsing.as_ref().map_or(self.history().len(), |browsing| browsing.at);
        let Some(before) = at.checked_sub(1) else { return };
        let Some(text) = self.history().get(before).cloned() else { return };
        let draft = match self.browsing.take() {
            Some(browsing) => browsing.draft,
            None => (self.area.lines().to_vec(), self.chips.clone()),
        };
        self.show_past(&text, before, draft);
    }

    fn history_next(&mut self) {
        let Some(HistoryBrowsing { at, draft }) = self.browsing.take() else { return };
        if let Some(text) = self.history().get(at + 1).cloned() {
            self.show_past(&text, at + 1, draft);
        } else {
            self.set_lines(draft.0, draft.1);
        }
    }

    /// A prompt of the past is complete: what it could become would only take the arrows.
    fn show_past(&mut self, text: &str, at: usize, draft: (Vec<String>, Vec<PasteChip>)) {
        self.replace(text);
        self.browsing = Some(HistoryBrowsing { at, draft });
        self.update_completion(&Store::default());
        self.completion.close();
    }

    fn move_cursor(&mut self, to: CursorMove) -> bool {
        let before = self.area.cursor();
        self.area.move_cursor(to);
        self.area.cursor() != before
    }

    fn replace(&mut self, text: &str) {
        self.chips.clear();
        let piece = self.make_chip(clean_paste(text));
        let chips = mem::take(&mut self.chips);
        self.set_lines(piece.split('\n').map(str::to_owned).collect(), chips);
    }

    fn set_lines(&mut self, lines: Vec<String>, chips: Vec<PasteChip>) {
        self.chips = chips;
        let lines = if lines.is_empty() { vec![String::new()] } else { lines };
        self.area.set_lines(lines, (usize::MAX, usize::MAX));
        self.protect_chips();
    }

    /// Turns a big text into a chip and returns what stands in the text.
    fn make_chip(&mut self, text: String) -> String {
        let lines = text.lines().count();
        if lines < MIN_CHIP_LINES && text.len() <= MIN_CHIP_BYTES {
            return text;
        }
        let number = self.chips.len() + 1;
        let label = if lines > 1 { format!("{lines} lines") } else { size(text.len() as u64) };
        let label = format!("[pasted {label} #{number}]");
        self.chips.push(PasteChip { label: label.clone(), text });
        label
    }

    /// The crate forgets after any edit which ranges are atomic.
    fn protect_chips(&mut self) {
        if self.chips.is_empty() {
            return;
        }
        let mut ranges = Vec::new();
        for (row, line) in self.area.lines().iter().enumerate() {
            for (at, _) in line.match_indices(CHIP_START) {
                if let Some(chip) = self.chips.iter().find(|chip| line[at..].starts_with(&chip.label)) {
                    let start_col = line[..at].chars().count();
                    ranges.push(AtomicRange { row, start_col, end_col: start_col + chip.label.chars().count() });
                }
            }
        }
        // Ranges found in the lines are within them and apart, so that this can't be refused.
        _ = self.area.try_set_atomic_ranges(ranges);
    }

    /// Moves over one whole character as people see it; the crate knows only code points.
    fn move_by_grapheme(&mut self, to: CursorMove) {
        let (row, from) = self.area.cursor();
        let width = self.grapheme_len(to);
        for _ in 0..width {
            self.area.move_cursor(to);
            let (now, col) = self.area.cursor();
            // A chip is crossed in one move.
            if now != row || col.abs_diff(from) >= width {
                break;
            }
        }
    }

    /// Deletes one whole character, chip or line end.
    fn delete(&mut self, to: CursorMove) {
        self.area.start_selection();
        self.move_by_grapheme(to);
        let deleted = self.area.selection_range().is_some_and(|(start, end)| start != end) && self.area.delete_char();
        if !deleted {
            self.area.cancel_selection();
        }
    }

    /// Returns the code points of the character beside the cursor; 1 at a line's end.
    fn grapheme_len(&self, to: CursorMove) -> usize {
        let (row, col) = self.area.cursor();
        let Some(line) = self.area.lines().get(row) else { return 1 };
        let mut start = 0;
        for grapheme in line.graphemes(true) {
            let end = start + grapheme.chars().count();
            let hit = if to == CursorMove::Back { start < col && col <= end } else { start <= col && col < end };
            if hit {
                return if to == CursorMove::Back { col - start } else { end - col };
            }
            start = end;
        }
        1
    }
}

/// Makes a paste harmless: whole escape sequences go, so that coloured output leaves no `[31m` behind, and every kind of
/// line end becomes one line feed.
fn clean_paste(text: &str) -> String {
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    crate::text::clean(&lines).into_owned()
}

/// Puts every chip back into a text as it is shown.
fn expand_chips(shown: &str, chips: &[PasteChip]) -> String {
    if chips.is_empty() {
        return shown.to_owned();
    }
    let mut text = String::with_capacity(shown.len());
    let mut rest = shown;
    while let Some(at) = rest.find(CHIP_START) {
        let (before, here) = rest.split_at(at);
        text.push_str(before);
        let chip = chips.iter().find(|chip| here.starts_with(&chip.label));
        let (shown, meant) = chip.map_or((CHIP_START, CHIP_START), |chip| (&chip.label, &chip.text));
        text.push_str(meant);
        rest = &here[shown.len()..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests;
