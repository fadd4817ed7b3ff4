//! The text that vim's commands work on, and where its motions lead.

use super::command::{Find, Motion};

/// Characters as people see them, and the place among them. A line ends with `"\n"`; a chip of a paste is one character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VimText {
    pub units: Vec<String>,
    pub cursor: usize,
}

/// How much a motion takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Exclusive,
    Inclusive,
    Lines,
}

/// What a word is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CharClass {
    Blank,
    Word,
    Sign,
}

const LINE_END: &str = "\n";

impl VimText {
    pub(super) fn is_line_end(&self, at: usize) -> bool {
        self.units.get(at).is_none_or(|unit| unit == LINE_END)
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        let before = self.units.get(..at.min(self.units.len())).unwrap_or_default();
        before.iter().rposition(|unit| unit == LINE_END).map_or(0, |end| end + 1)
    }

    /// Returns the place of the line's end, or of the text's.
    pub(super) fn line_end(&self, at: usize) -> usize {
        (at..self.units.len()).find(|place| self.is_line_end(*place)).unwrap_or(self.units.len())
    }

    /// Returns the place of the line's first character that is no blank.
    pub(super) fn first_non_blank(&self, at: usize) -> usize {
        let (start, end) = (self.line_start(at), self.line_end(at));
        (start..end)
            .find(|place| self.class(*place, false) != CharClass::Blank)
            .unwrap_or(end.saturating_sub(1).max(start))
    }

    /// Puts the cursor on a character: behind the last one there is no place but in an empty line.
    pub fn clamp(&mut self) {
        self.cursor = self.cursor.min(self.units.len());
        if self.is_line_end(self.cursor) && self.cursor > self.line_start(self.cursor) {
            self.cursor -= 1;
        }
    }

    /// Takes a range out and returns it; the cursor stands where it was.
    pub(super) fn cut(&mut self, from: usize, to: usize) -> Vec<String> {
        let to = to.min(self.units.len());
        let from = from.min(to);
        self.cursor = from;
        self.units.drain(from..to).collect()
    }

    pub(super) fn insert(&mut self, at: usize, units: &[String]) {
        let at = at.min(self.units.len());
        self.units.splice(at..at, units.iter().cloned());
    }

    /// Returns where a motion leads, and how much it takes in; none where it can't be made.
    pub(super) fn target(&self, motion: Motion, count: Option<usize>) -> Option<(usize, Span)> {
        let (at, times) = (self.cursor, count.unwrap_or(1));
        let (start, end) = (self.line_start(at), self.line_end(at));
        Some(match motion {
            Motion::Left => (at.saturating_sub(times).max(start), Span::Exclusive),
            Motion::Right => ((at + times).min(end), Span::Exclusive),
            Motion::Down => (self.line_below(times)?, Span::Lines),
            Motion::Up => (self.line_above(times)?, Span::Lines),
            Motion::Word { big } => ((0..times).fold(at, |at, _| self.word_start(at, big)), Span::Exclusive),
            Motion::WordBack { big } => ((0..times).fold(at, |at, _| self.word_back(at, big)), Span::Exclusive),
            Motion::WordEnd { big } => ((0..times).fold(at, |at, _| self.word_end(at, big)), Span::Inclusive),
            Motion::LineStart => (start, Span::Exclusive),
            Motion::FirstNonBlank => (self.first_non_blank(at), Span::Exclusive),
            Motion::LineEnd => {
                let line = if times > 1 { self.line_end(self.nth_line_below(times - 1)) } else { end };
                (line, Span::Exclusive)
            }
            Motion::FirstLine => (self.first_non_blank(self.nth_line(times)), Span::Lines),
            Motion::LastLine => {
                let line = count.map_or(self.units.len(), |count| self.nth_line(count));
                (self.first_non_blank(line), Span::Lines)
            }
            Motion::Find(find) => self.found(find, times, false)?,
            Motion::FindAgain(find) => self.found(find, times, true)?,
        })
    }

    /// Returns where `w` ends for an operator: it takes no line's end with it.
    pub(super) fn word_for_operator(&self, big: bool, times: usize) -> usize {
        let before_last = (1..times).fold(self.cursor, |at, _| self.word_start(at, big));
        let (to, end) = (self.word_start(before_last, big), self.line_end(before_last));
        if to > end && before_last < end { end } else { to }
    }

    /// Returns the range of the word, or of the blanks, at the cursor; with the blanks behind it, if `around`.
    pub(super) fn word_object(&self, around: bool) -> Option<(usize, usize)> {
        let (at, start, end) = (self.cursor, self.line_start(self.cursor), self.line_end(self.cursor));
        if at >= end {
            return None;
        }
        let class = self.class(at, false);
        let is_same = |place: &usize| self.class(*place, false) == class;
        let from = (start..at).rev().take_while(is_same).last().unwrap_or(at);
        let mut to = (at..end).take_while(is_same).last().unwrap_or(at) + 1;
        if around {
            let is_blank =
                |place: &usize| (self.class(*place, false) == CharClass::Blank) != (class == CharClass::Blank);
            to = (to..end).take_while(is_blank).last().map_or(to, |last| last + 1);
        }
        Some((from, to))
    }

    fn class(&self, at: usize, big: bool) -> CharClass {
        match self.units.get(at).and_then(|unit| unit.chars().next()) {
            None => CharClass::Blank,
            Some(c) if c.is_whitespace() => CharClass::Blank,
            Some(c) if big || c.is_alphanumeric() || c == '_' => CharClass::Word,
            // A chip is a word.
            Some(_) if self.units.get(at).is_some_and(|unit| unit.len() > 8) => CharClass::Word,
            Some(_) => CharClass::Sign,
        }
    }

    /// An empty line is a word.
    fn is_empty_line(&self, at: usize) -> bool {
        at < self.units.len() && self.is_line_end(at) && self.line_start(at) == at
    }

    fn word_start(&self, from: usize, big: bool) -> usize {
        let (mut at, class) = (from, self.class(from, big));
        while at < self.units.len() && class != CharClass::Blank && self.class(at, big) == class {
            at += 1;
        }
        while at < self.units.len() && self.class(at, big) == CharClass::Blank {
            if at > from && self.is_empty_line(at) {
                break;
            }
            at += 1;
        }
        at
    }

    fn word_back(&self, from: usize, big: bool) -> usize {
        let mut at = from.saturating_sub(1);
        while at > 0 && self.class(at, big) == CharClass::Blank {
            if self.is_empty_line(at) {
                return at;
            }
            at -= 1;
        }
        let class = self.class(at, big);
        while at > 0 && self.class(at - 1, big) == class {
            at -= 1;
        }
        at
    }

    fn word_end(&self, from: usize, big: bool) -> usize {
        let last = self.units.len().saturating_sub(1);
        let mut at = (from + 1).min(last);
        while at < last && self.class(at, big) == CharClass::Blank {
            at += 1;
        }
        let class = self.class(at, big);
        while at < last && self.class(at + 1, big) == class {
            at += 1;
        }
        at
    }

    fn line_below(&self, times: usize) -> Option<usize> {
        let to = self.nth_line_below(times);
        (to > self.line_end(self.cursor)).then(|| self.at_same_column(to))
    }

    fn line_above(&self, times: usize) -> Option<usize> {
        let mut at = self.line_start(self.cursor);
        for _ in 0..times {
            at = self.line_start(at.checked_sub(1).unwrap_or(at));
        }
        (at < self.line_start(self.cursor)).then(|| self.at_same_column(at))
    }

    /// Returns the start of a line below, or of the last one.
    fn nth_line_below(&self, times: usize) -> usize {
        let mut start = self.line_start(self.cursor);
        for _ in 0..times {
            let end = self.line_end(start);
            if end >= self.units.len() {
                break;
            }
            start = end + 1;
        }
        start
    }

    fn at_same_column(&self, line: usize) -> usize {
        let column = self.cursor - self.line_start(self.cursor);
        (line + column).min(self.line_end(line).saturating_sub(1).max(line))
    }

    /// Returns the start of a line, counted from 1, or of the last one.
    fn nth_line(&self, number: usize) -> usize {
        let ends = self.units.iter().enumerate().filter(|(_, unit)| *unit == LINE_END).map(|(at, _)| at + 1);
        std::iter::once(0).chain(ends).take(number.max(1)).last().unwrap_or(0)
    }

    fn found(&self, find: Find, times: usize, is_again: bool) -> Option<(usize, Span)> {
        let (at, start, end) = (self.cursor, self.line_start(self.cursor), self.line_end(self.cursor));
        let is_hit = |place: &usize| self.units.get(*place).is_some_and(|unit| unit.chars().eq([find.target]));
        // Before the next one a `t` stands already.
        let skipped = 1 + usize::from(is_again && find.is_till);
        let hit = if find.is_back {
            (start..(at + 1).saturating_sub(skipped)).rev().filter(is_hit).nth(times - 1)?
        } else {
            (at + skipped..end).filter(is_hit).nth(times - 1)?
        };
        Some(match (find.is_back, find.is_till) {
            (false, false) => (hit, Span::Inclusive),
            (false, true) => (hit.saturating_sub(1), Span::Inclusive),
            (true, false) => (hit, Span::Exclusive),
            (true, true) => (hit + 1, Span::Exclusive),
        })
    }
}
