//! Between vim's machine and the text area: the text as the machine knows it, and what it made of it.

use ratatui::style::Style;
use tui_textarea::CursorMove;
use unicode_segmentation::UnicodeSegmentation as _;

use super::Composer;
use super::vim::{Vim, VimKey, VimMode, VimOutcome, VimText};

/// Over the marks of chips.
const SELECTION_PRIORITY: u8 = 2;

impl Composer {
    /// Turns vim's modes on, beginning in that one, or off.
    pub fn set_vim(&mut self, start: Option<VimMode>) {
        let text = self.vim_text();
        self.vim_start = start.unwrap_or_default();
        self.vim = start.map(|mode| Vim::new(mode, &text));
        self.clamp_cursor();
    }

    /// Turns them on, in insert mode, or off. Returns whether they are on.
    pub fn toggle_vim(&mut self) -> bool {
        self.set_vim(if self.vim.is_some() { None } else { Some(VimMode::Insert) });
        self.vim.is_some()
    }

    /// Returns the mode, where there are modes.
    pub fn vim_mode(&self) -> Option<VimMode> {
        self.vim.as_ref().map(Vim::mode)
    }

    /// Returns the mode, and the keys of a command that is not whole yet; empty where there are no modes.
    pub fn vim_label(&self) -> String {
        let label = |vim: &Vim| format!("{} {}", vim.mode().name(), vim.pending()).trim_end().to_owned();
        self.vim.as_ref().map_or_else(String::new, label)
    }

    /// Lets vim take a key; it is unknown where there are no modes.
    pub fn vim_key(&mut self, key: VimKey) -> VimOutcome {
        let Some(mut vim) = self.vim.take() else { return VimOutcome::Unknown };
        let before = self.vim_text();
        let mut text = before.clone();
        let outcome = vim.key(key, &mut text);
        self.vim = Some(vim);
        if text.units != before.units {
            let lines = text.units.concat().split('\n').map(str::to_owned).collect();
            let chips = std::mem::take(&mut self.chips);
            self.browsing = None;
            self.set_lines(lines, chips);
        }
        self.move_to(&text, text.cursor);
        outcome
    }

    /// Something is written that is no command.
    pub fn enter_insert_mode(&mut self) {
        let text = self.vim_text();
        if let Some(vim) = &mut self.vim {
            vim.insert_mode(&text);
        }
    }

    pub(super) fn restart_vim(&mut self) {
        let text = self.vim_text();
        if let Some(vim) = &mut self.vim {
            vim.restart(self.vim_start, &text);
        }
    }

    /// In normal mode the cursor stands on a character.
    pub fn clamp_cursor(&mut self) {
        if self.vim_mode().is_some_and(|mode| mode != VimMode::Insert) {
            let mut text = self.vim_text();
            text.clamp();
            let cursor = text.cursor;
            self.move_to(&text, cursor);
        }
    }

    pub(super) fn highlight_selection(&mut self, style: Style) {
        let text = self.vim_text();
        let range = self.vim.as_ref().and_then(|vim| vim.selection(&text));
        if let Some((from, to)) = range {
            let range = (row_and_column(&text, from), row_and_column(&text, to));
            self.area.custom_highlight(range, style, SELECTION_PRIORITY);
        }
    }

    fn move_to(&mut self, text: &VimText, cursor: usize) {
        let (row, column) = row_and_column(text, cursor);
        let limit = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
        self.area.move_cursor(CursorMove::Jump(limit(row), limit(column)));
    }

    fn vim_text(&self) -> VimText {
        let (row, column) = self.area.cursor();
        let mut text = VimText::default();
        for (nth, line) in self.area.lines().iter().enumerate() {
            if nth > 0 {
                text.units.push("\n".to_owned());
            }
            let (start, mut chars) = (text.units.len(), 0);
            if nth == row {
                text.cursor = start;
            }
            for unit in self.units_of(line) {
                chars += unit.chars().count();
                text.units.push(unit.to_owned());
                if nth == row && chars <= column {
                    text.cursor = text.units.len();
                }
            }
        }
        text
    }

    /// Splits a line into characters as people see them; a chip is one.
    fn units_of<'a>(&self, line: &'a str) -> Vec<&'a str> {
        let (mut units, mut rest) = (Vec::new(), line);
        while !rest.is_empty() {
            let chip = self.chips.iter().find(|chip| rest.starts_with(&chip.label)).map(|chip| chip.label.len());
            let length = chip.or_else(|| rest.graphemes(true).next().map(str::len)).unwrap_or(rest.len());
            let (unit, behind) = rest.split_at(length);
            units.push(unit);
            rest = behind;
        }
        units
    }
}

/// Returns the line and the code points before a place in it.
fn row_and_column(text: &VimText, place: usize) -> (usize, usize) {
    let before = text.units.get(..place.min(text.units.len())).unwrap_or_default();
    let row = before.iter().filter(|unit| *unit == "\n").count();
    let line = before.iter().rposition(|unit| unit == "\n").map_or(0, |end| end + 1);
    (row, before.iter().skip(line).map(|unit| unit.chars().count()).sum())
}
