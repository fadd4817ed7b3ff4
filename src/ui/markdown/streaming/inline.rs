//! What is open at the end of a paragraph: emphasis, code, and marks that what follows may still decide.
//!
//! The invariant: what is held back is no longer than [`MAX_HELD_BACK_BYTES`], or for a tag
//! [`html::MAX_TAG_DISTANCE_BYTES`] and for a formula [`MAX_FORMULA_BYTES`]; where a link goes is held back up to
//! [`MAX_TARGET_BYTES`].

use crate::ui::markdown::html;

/// Bytes that a mark may hold back; what goes on for longer is no mark.
pub(super) const MAX_HELD_BACK_BYTES: usize = 160;
/// Where a link goes may be this long.
const MAX_TARGET_BYTES: usize = 2000;
/// Emphasis inside each other; what is deeper is shown as it is written.
const MAX_EMPHASIS_DEPTH: usize = 32;
/// A formula of its own may be this long.
const MAX_FORMULA_BYTES: usize = 4096;
/// Brackets inside each other, and parentheses in a target; deeper ones are text.
const MAX_BRACKET_DEPTH: usize = 8;
const MAX_PARENTHESIS_DEPTH: usize = 32;

#[cfg(test)]
thread_local! {
    /// Bytes that were looked at, so that a test can count.
    pub(super) static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts work.
fn look_at(bytes: usize) {
    #[cfg(test)]
    LOOKED_AT.set(LOOKED_AT.get() + bytes);
    #[cfg(not(test))]
    let _ = bytes;
}

/// How a paragraph ends.
pub(super) struct ParagraphEnd {
    /// What is behind it is held back.
    pub(super) cut: usize,
    /// The opening bracket of a link whose target is being written: not shown either.
    pub(super) skip: Option<usize>,
    /// What would end the emphasis that is open.
    pub(super) closers: String,
}

/// Looks through a paragraph for what is open at its end.
pub(super) fn paragraph_end(text: &str) -> ParagraphEnd {
    let mut scan = InlineScan::new(text);
    scan.read();
    scan.finish()
}

/// Runs of marks that are open: each with where it begins.
type OpenMarks = Vec<(u8, usize)>;

struct InlineScan<'a> {
    text: &'a str,
    /// Where it reads on.
    at: usize,
    cut: usize,
    skip: Option<usize>,
    open: OpenMarks,
    /// Where TeX's own brackets close next, so that a text without them is searched once. Zero is not looked for yet.
    closes: [Option<usize>; 2],
    /// Tags with meaning: where each stands, and the emphasis that is open there.
    tags: Vec<(usize, OpenMarks)>,
    tag_matcher: html::TagMatcher,
    /// The ticks of code that has no end.
    ticks: usize,
}

impl<'a> InlineScan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            cut: text.len(),
            skip: None,
            open: Vec::new(),
            closes: [Some(0), Some(0)],
            tags: Vec::new(),
            tag_matcher: html::TagMatcher::default(),
            ticks: 0,
        }
    }

    /// Reads on until something is held back.
    fn read(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(found) = bytes.get(self.at..).unwrap_or(&[]).iter().position(|byte| b"*_`~[<$&\\".contains(byte))
        {
            let here = self.at + found;
            self.at = here + 1;
            look_at(found + 1);
            match bytes.get(here) {
                Some(b'\\') => self.escape(here),
                Some(b'`') => self.code(here),
                Some(b'$') => self.formula(here),
                Some(b'<') => self.angle(here),
                Some(b'&') => self.entity(here),
                Some(b'[') => self.bracket(here),
                _ => self.marks(here),
            }
            if self.cut < bytes.len() || self.ticks > 0 {
                return;
            }
        }
    }

    fn rest(&self, here: usize) -> &'a str {
        self.text.get(here..).unwrap_or("")
    }

    fn escape(&mut self, here: usize) {
        let rest = self.rest(here);
        let mark = match rest.as_bytes().get(1) {
            None => return self.cut = here,
            Some(mark @ (b'(' | b'[')) => *mark,
            Some(_) => return self.at = here + 2,
        };
        let close = if mark == b'(' { "\\)" } else { "\\]" };
        let next = &mut self.closes[usize::from(mark == b'[')];
        if next.is_some_and(|next| next < here + 2) {
            *next = rest.get(2..).and_then(|rest| rest.find(close)).map(|at| here + 2 + at);
            look_at(next.map_or(rest.len(), |end| end - here));
        }
        match next.filter(|end| end - here <= MAX_FORMULA_BYTES) {
            Some(end) => self.at = end + 2,
            None if rest.len() <= MAX_FORMULA_BYTES => self.cut = here,
            None => self.at = here + 2,
        }
    }

    fn code(&mut self, here: usize) {
        let run = run_length(self.text.as_bytes(), here);
        let rest = self.rest(here);
        match closing_ticks(rest, run) {
            Some(end) => self.at = here + end,
            None if run == rest.len() => self.cut = here,
            None => self.ticks = run,
        }
    }

    fn formula(&mut self, here: usize) {
        let rest = self.rest(here);
        let alone = rest.starts_with("$$");
        let (mark, most) = if alone { ("$$", MAX_FORMULA_BYTES) } else { ("$", MAX_HELD_BACK_BYTES / 2) };
        let inside = rest.get(mark.len()..).unwrap_or("");
        let is_one = alone
            || (inside.starts_with(|c: char| !c.is_whitespace() && !c.is_ascii_digit())
                && find_near(inside, most, "\n").is_none());
        match find_near(inside, most, mark) {
            Some(end) if is_one => self.at = here + end + mark.len() * 2,
            None if (is_one || inside.is_empty()) && rest.len() <= most => self.cut = here,
            _ => self.at = here + mark.len(),
        }
    }

    fn angle(&mut self, here: usize) {
        let rest = self.rest(here);
        let is_tag = rest.get(1..).is_none_or(|inside| {
            inside.is_empty() || inside.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c))
        });
        if !is_tag {
            return;
        }
        let Some(end) = find_near(rest, MAX_HELD_BACK_BYTES, ">") else {
            if may_be_tag(rest) {
                self.cut = here;
            }
            return;
        };
        let tag = rest.get(..=end).unwrap_or("");
        // Another tag begins before this one has an end.
        let is_text = !tag.contains(['"', '\'', '!', '?']) && tag.rfind('<') != Some(0);
        if is_text {
            return;
        }
        self.at = here + end + 1;
        if html::tag_effect(tag).is_some() {
            // Far from the end, its partner has come or comes too late.
            let near = rest.len() <= html::MAX_TAG_DISTANCE_BYTES;
            self.tags.push((here, if near { self.open.clone() } else { Vec::new() }));
            look_at(tag.len());
            self.tag_matcher.tag(tag, self.tags.len() - 1, here);
        }
    }

    fn entity(&mut self, here: usize) {
        let name = self.rest(here + 1);
        if name.len() <= 10 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#') {
            self.cut = here;
        }
    }

    fn bracket(&mut self, here: usize) {
        let is_image = here > 0 && self.text.as_bytes().get(here - 1) == Some(&b'!');
        let start = here - usize::from(is_image);
        match bracket(self.text, here) {
            Bracket::Closed(end) => self.at = end,
            Bracket::Held if self.rest(here).len() <= MAX_HELD_BACK_BYTES => self.cut = start,
            Bracket::Text | Bracket::Held => {}
            Bracket::Target(_) if is_image => self.cut = start,
            // Its name is shown, its target isn't there yet.
            Bracket::Target(close) => {
                self.cut = close;
                self.skip = Some(here);
            }
        }
    }

    fn marks(&mut self, here: usize) {
        let run = run_length(self.text.as_bytes(), here);
        self.at = here + run;
        if self.at == self.text.len() {
            self.cut = here;
        } else {
            emphasis(self.text, here, run, &mut self.open);
        }
    }

    fn finish(mut self) -> ParagraphEnd {
        let (text, bytes) = (self.text, self.text.as_bytes());
        // A tag is one once its partner is there.
        if let Some((at, marks)) = self.tag_matcher.awaits(text.len()).and_then(|nth| self.tags.into_iter().nth(nth))
            && at < self.cut
        {
            (self.cut, self.open, self.ticks) = (at, marks, 0);
        }
        if self.ticks > 0 {
            let closers = closers(&open_marks(bytes, &self.open), &"`".repeat(self.ticks));
            return ParagraphEnd { cut: text.len(), skip: None, closers };
        }
        let kept = text.get(..self.cut).unwrap_or("").trim_end().len();
        // What is open right at the end has nothing in it yet.
        while let Some(&(_, start)) = self.open.last() {
            if start + run_length(bytes, start) < kept {
                break;
            }
            self.cut = start;
            self.open.pop();
        }
        let skip = self.skip.filter(|at| *at < self.cut);
        ParagraphEnd { cut: self.cut, skip, closers: closers(&open_marks(bytes, &self.open), "") }
    }
}

/// Returns how often the byte at a place is repeated there.
fn run_length(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or(&[]);
    let run = rest.iter().take_while(|byte| Some(*byte) == rest.first()).count();
    look_at(run);
    run
}

/// Finds what begins and ends within so many bytes: whatever is looked for is not far, so that any block is looked through
/// in linear time.
fn find_near(text: &str, most: usize, what: &str) -> Option<usize> {
    let near = text.get(..text.floor_char_boundary(most)).unwrap_or(text);
    let found = near.find(what);
    look_at(found.unwrap_or(near.len()));
    found
}

/// Returns whether what follows an opening angle may be a tag or an address: a comparison has blanks soon.
fn may_be_tag(rest: &str) -> bool {
    if rest.len() > MAX_HELD_BACK_BYTES {
        return false;
    }
    let attributes = rest.contains('=') || rest.contains("://") || rest.starts_with("<!");
    rest.len() <= if attributes { MAX_HELD_BACK_BYTES } else { 24 }
}

/// Returns where a run of as many ticks ends behind the opening one.
fn closing_ticks(rest: &str, run: usize) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = run;
    while let Some(found) = memchr::memchr(b'`', bytes.get(at..).unwrap_or(&[])) {
        let here = at + found;
        look_at(found);
        let length = run_length(bytes, here);
        at = here + length;
        if length == run {
            return Some(at);
        }
    }
    None
}

enum Bracket {
    /// Ends there.
    Closed(usize),
    /// Is a bracket and nothing more.
    Text,
    /// May become a link or a note.
    Held,
    /// Is a link; its text ends there, its target is being written.
    Target(usize),
}

fn bracket(text: &str, start: usize) -> Bracket {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut close = None;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        look_at(1);
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            close = Some(at);
            break;
        }
        if at - start > MAX_HELD_BACK_BYTES * 2 || depth > MAX_BRACKET_DEPTH {
            return Bracket::Text;
        }
    }
    let Some(close) = close else { return Bracket::Held };
    let after = bytes.get(close + 1..).unwrap_or(&[]);
    match after.first() {
        None => Bracket::Held,
        Some(b'(') => {
            let mut depth = 0usize;
            for (nth, byte) in after.iter().enumerate() {
                look_at(1);
                match byte {
                    b'(' => depth += 1,
                    b')' => depth -= 1,
                    _ => {}
                }
                if nth > MAX_TARGET_BYTES || depth > MAX_PARENTHESIS_DEPTH {
                    return Bracket::Text;
                }
                if depth == 0 {
                    return Bracket::Closed(close + 2 + nth);
                }
            }
            Bracket::Target(close)
        }
        Some(b'[') if after.len() <= MAX_HELD_BACK_BYTES && !after.contains(&b']') => Bracket::Held,
        Some(b':')
            if text.get(..start).is_some_and(|text| text.trim_start().is_empty())
                && memchr::memchr(b'\n', after).is_none() =>
        {
            // A note is shown as it comes; where a link goes isn't read.
            if bytes.get(start + 1) == Some(&b'^') && after.len() > 1 {
                Bracket::Closed(close + 1)
            } else {
                Bracket::Held
            }
        }
        Some(_) => Bracket::Text,
    }
}

/// Takes a run of marks: it closes what is open, or opens.
fn emphasis(text: &str, at: usize, run: usize, open: &mut Vec<(u8, usize)>) {
    let bytes = text.as_bytes();
    let mark = bytes.get(at).copied().unwrap_or(0);
    let before = text.get(..at).and_then(|text| text.chars().next_back());
    let after = text.get(at + run..).and_then(|text| text.chars().next());
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let (mut closes, mut opens) = (!blank(before), !blank(after));
    // Inside a word an underscore is a letter, and a star mostly stands for a product.
    if mark == b'_' || (mark == b'*' && run == 1) {
        opens &= !word(before);
        closes &= mark != b'_' || !word(after);
    }
    if mark == b'~' {
        (closes, opens) = (closes && run == 2, opens && run == 2);
    }
    look_at(open.len());
    let mut left = run;
    while closes && left > 0 {
        let Some((_, start)) = open.iter().rposition(|(other, _)| *other == mark).map(|nth| open.remove(nth)) else {
            break;
        };
        let width = run_length(bytes, start);
        left = left.saturating_sub(width);
    }
    if opens && left == run && run <= 3 && open.len() < MAX_EMPHASIS_DEPTH {
        open.push((mark, at));
    }
}

/// Returns the open runs with their lengths.
fn open_marks(bytes: &[u8], open: &[(u8, usize)]) -> Vec<(u8, usize)> {
    open.iter().map(|(mark, start)| (*mark, run_length(bytes, *start))).collect()
}

fn closers(open: &[(u8, usize)], inner: &str) -> String {
    let mut out = inner.to_owned();
    for (mark, length) in open.iter().rev() {
        out.extend(std::iter::repeat_n(char::from(*mark), *length));
    }
    out
}
