//! Styled text that has no width yet.

use std::ops::Range;
use std::rc::Rc;

use crate::text::width::WIDE_GRAPHEME_PLACEHOLDER;
use crate::text::wrap::WrappedRow;
use crate::ui::theme::{Role, TextStyle};

use super::LaidOut;

/// Text with faces, not yet wrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StyledText {
    pub text: String,
    spans: Vec<(usize, TextStyle)>,
    pub(super) targets: Vec<Rc<str>>,
}

impl StyledText {
    pub fn push(&mut self, text: &str, face: TextStyle) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        match self.spans.last_mut() {
            Some((end, last)) if *last == face => *end = self.text.len(),
            _ => self.spans.push((self.text.len(), face)),
        }
    }

    pub fn of(text: &str, face: TextStyle) -> Self {
        let mut flow = Self::default();
        flow.push(text, face);
        flow
    }

    /// Adds a target and returns the row of it for [`TextStyle::with_link_target`].
    pub fn add_target(&mut self, target: &str) -> usize {
        self.targets.push(target.into());
        self.targets.len() - 1
    }

    /// Makes the text from `start` on part of a link.
    pub fn link_from(&mut self, start: usize, target: &str) {
        self.link(start..self.text.len(), target);
    }

    /// Makes a range of the text part of a link. Costs the range.
    pub fn link(&mut self, range: Range<usize>, target: &str) {
        let row = self.add_target(target);
        let first = self.spans.partition_point(|(end, _)| *end <= range.start);
        let last = (self.spans.partition_point(|(end, _)| *end < range.end) + 1).min(self.spans.len());
        let mut at = first.checked_sub(1).and_then(|before| self.spans.get(before)).map_or(0, |(end, _)| *end);
        let mut linked_spans = Vec::new();
        for &(end, face) in self.spans.get(first..last).unwrap_or(&[]) {
            // What of the span is before the range, in it and after it.
            for (until, linked) in [(range.start, false), (range.end, true), (end, false)] {
                let until = until.min(end);
                if until > at {
                    let face = if linked { face.as_link().with_link_target(Some(row)) } else { face };
                    linked_spans.push((until, face));
                    at = until;
                }
            }
        }
        self.spans.splice(first..last.max(first), linked_spans);
    }

    /// Returns whether any of a range is part of a link or of code.
    pub fn has_link_or_code(&self, range: &Range<usize>) -> bool {
        let first = self.spans.partition_point(|(end, _)| *end <= range.start);
        let mut start = first.checked_sub(1).and_then(|before| self.spans.get(before)).map_or(0, |(end, _)| *end);
        self.spans
            .iter()
            .skip(first)
            .take_while(|&&(end, _)| std::mem::replace(&mut start, end) < range.end)
            .any(|(_, face)| face.link().is_some() || matches!(face.role, Role::Code | Role::Math))
    }

    pub fn append(&mut self, other: &Self) {
        let base = self.targets.len();
        self.targets.extend(other.targets.iter().cloned());
        let mut start = 0;
        for &(end, face) in &other.spans {
            let face = face.with_link_target(face.link().map(|row| row + base));
            self.push(other.text.get(start..end).unwrap_or(""), face);
            start = end;
        }
    }

    /// Empties it; what it took is kept for what comes.
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.targets.clear();
    }

    /// Forgets what is behind that many bytes.
    pub fn truncate(&mut self, length: usize) {
        self.text.truncate(self.text.floor_char_boundary(length));
        let length = self.text.len();
        let whole = self.spans.partition_point(|(end, _)| *end < length);
        self.spans.truncate(whole + 1);
        if let Some((end, _)) = self.spans.last_mut() {
            *end = length.min(*end);
        }
    }

    pub fn trim_end(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        for (end, _) in &mut self.spans {
            *end = self.text.len().min(*end);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts the row's text into the open row; `span` is where the row before stopped in the list of faces.
    pub(super) fn append_row(&self, row: WrappedRow, span: &mut usize, base: usize, laid: &mut LaidOut) {
        let mut start = row.start;
        while start < row.end {
            let Some(&(end, face)) = self.spans.get(*span) else { break };
            if end <= start {
                *span += 1;
                continue;
            }
            let stop = end.min(row.end);
            let face = face.with_link_target(face.link().map(|row| row + base));
            if row.too_wide {
                laid.push_text(WIDE_GRAPHEME_PLACEHOLDER, face);
                return;
            }
            laid.push_text(&self.text[start..stop], face);
            start = stop;
        }
    }
}
