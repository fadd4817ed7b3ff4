//! An open fence of code: how it was opened, what closes it, and where its language stands between its parts.
//!
//! Not for the parts themselves.

use super::super::syntax::Syntax;

/// What is behind so much code of one block goes without colours: what state it begins in is not worth the time.
const MAX_HIGHLIGHTED_BYTES: usize = 1024 * 1024;

/// A fence that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    pub(super) mark: u8,
    pub(super) length: usize,
    pub(super) indent: u8,
    pub(super) first: bool,
    /// Where the next line starts.
    pub(super) cursor: usize,
    pub(super) lines: u32,
    pub(super) syntax: Syntax,
    /// Where the block starts.
    pub(super) start: usize,
}

impl Fence {
    /// Reads the opening line that begins there.
    pub(super) fn open(text: &str, at: usize) -> Self {
        let line = text.get(at..).unwrap_or("");
        let indent = line.bytes().take_while(|&byte| byte == b' ').count();
        let mark = line.as_bytes().get(indent).copied().unwrap_or(b'`');
        let length = line.bytes().skip(indent).take_while(|&byte| byte == mark).count();
        let label = line.lines().next().map_or("", |line| line.get(indent + length..).unwrap_or(""));
        Self {
            mark,
            length,
            indent: indent.min(3) as u8,
            first: true,
            cursor: at,
            lines: 0,
            syntax: Syntax::named(label.trim()),
            start: at,
        }
    }

    /// Takes note of where the lines of a part left the language.
    pub(super) fn advance_syntax(&mut self, part: &str) {
        let code = if self.first { part.split_once('\n').map_or("", |(_, code)| code) } else { part };
        if self.cursor - self.start > MAX_HIGHLIGHTED_BYTES {
            self.syntax = Syntax::default();
        }
        self.syntax.advance(code);
    }

    /// CommonMark 4.5: up to three blanks, at least as many marks as opened it, then nothing but white space.
    pub(super) fn is_closed_by(self, line: &str) -> bool {
        let marks = line.trim_start_matches(' ');
        if line.len() - marks.len() > 3 {
            return false;
        }
        let rest = marks.trim_start_matches(char::from(self.mark));
        marks.len() - rest.len() >= self.length && rest.trim_matches([' ', '\t', '\n', '\r']).is_empty()
    }
}
