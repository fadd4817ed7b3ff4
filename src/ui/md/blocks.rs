//! Splits Markdown into blocks while it streams in.
//!
//! Looks at complete lines only. Of what the parser finds in the tail, all but the last block is finished and moves to
//! the stable list for good; the last one too if nothing can continue it. The tail starts behind it. Lists split into their items, and a fenced block into
//! parts of some dozen lines that are never parsed again, so that a token costs the same in a long answer as in a
//! short one.
//!
//! Not for layout. The invariant: the stable blocks don't depend on how the text was cut into pieces. What may change
//! them after all are link definitions that end late; so a finished message is split once more from the start.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

use super::options;
use super::syntax::Syntax;

/// A piece of the text that is laid out on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub start: u32,
    pub end: u32,
    pub kind: BlockKind,
    /// An empty row stands above it.
    pub gap: bool,
}

impl Block {
    pub fn source<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Flow,
    /// An item of a list at the top, with its number where the list has numbers.
    Item {
        number: Option<u64>,
    },
    /// Lines of a fenced block at the top; the first part has the opening fence, the last one may have the closing.
    Code {
        first: bool,
        closed: bool,
        indent: u8,
        /// The language, and where the lines before this part left it.
        syntax: Syntax,
    },
    /// A table that may still grow. Each new row could move every column, so it is held back.
    OpenTable,
}

/// Longer blocks are cut, at the end of a line, so that no text makes a token expensive.
const MOST_BYTES: usize = 64 * 1024;
/// What the parser is given at once. Several blocks of the longest kind fit.
const WINDOW: usize = 4 * MOST_BYTES;
const PART_LINES: u32 = 48;
const PART_BYTES: usize = 8 * 1024;
/// What is behind so much code of one block goes without colours: what state it begins in is not worth the time.
const MOST_SYNTAX: usize = 1024 * 1024;

/// The incremental splitter of one text. It keeps no copy of the text.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    blocks: Vec<Block>,
    /// Where the tail starts.
    start: usize,
    /// Up to where complete lines were looked at.
    lines: usize,
    /// Up to where the text was looked at for the end of a line.
    seen: usize,
    fence: Option<Fence>,
    /// What the tail is, if it starts with a list's item.
    lead: Option<Lead>,
    tail_is_table: bool,
    /// The block before was cut, so this one goes on without a gap.
    cut: bool,
    bytes_read: u64,
}

#[derive(Clone, Copy, Debug)]
struct Fence {
    mark: u8,
    length: usize,
    indent: u8,
    first: bool,
    /// Where the next line starts.
    cursor: usize,
    lines: u32,
    syntax: Syntax,
    /// Where the block starts.
    start: usize,
}

#[derive(Clone, Copy, Debug)]
struct Lead {
    number: Option<u64>,
    /// It isn't the first of its list.
    continues: bool,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    at: usize,
    end: usize,
    kind: PieceKind,
}

#[derive(Clone, Copy, Debug)]
enum PieceKind {
    /// Can't go on: a heading, a rule.
    Closed,
    /// Goes on until a blank line or another block.
    Paragraph,
    Table,
    Fence,
    Item(Lead),
    Other,
}

impl Splitter {
    /// Splits a whole text.
    pub fn split(text: &str) -> Self {
        let mut splitter = Self::default();
        splitter.run(text, text.len(), true);
        splitter
    }

    /// Takes the rest, and that nothing follows. Costs what was not taken before.
    pub fn finish(&mut self, text: &str) {
        self.run(text, text.len(), true);
    }

    /// Takes what has been added. `text` is the whole text so far and begins with what earlier calls were given.
    pub fn advance(&mut self, text: &str) {
        let Some(added) = text.get(self.seen..) else { return };
        let newline = memchr::memrchr(b'\n', added.as_bytes());
        let end = newline.map(|at| self.seen + at + 1);
        self.seen = text.len();
        if let Some(end) = end {
            self.run(text, end, false);
        }
    }

    /// The finished blocks, in order.
    pub fn stable(&self) -> &[Block] {
        &self.blocks
    }

    /// The block that may still change, partial line included.
    pub fn tail(&self, text: &str) -> Option<Block> {
        if text.get(self.start..)?.trim_start().is_empty() {
            return None;
        }
        let kind = match (self.fence, self.lead) {
            (Some(fence), _) => {
                BlockKind::Code { first: fence.first, closed: false, indent: fence.indent, syntax: fence.syntax }
            }
            (None, Some(lead)) => BlockKind::Item { number: lead.number },
            (None, None) if self.tail_is_table => BlockKind::OpenTable,
            (None, None) => BlockKind::Flow,
        };
        Some(self.block(text, self.start, text.len(), kind))
    }

    /// How much of the text was looked at.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Bytes given to the parser or scanned for a closing fence since the start.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn run(&mut self, text: &str, end: usize, last: bool) {
        self.seen = self.seen.max(end);
        self.lines = end;
        while self.start < end {
            if self.fence.is_some() {
                if !self.read_fence(text, end, last) {
                    return;
                }
                continue;
            }
            self.skip_blank(text, end);
            let window = window_end(text, self.start, end);
            let whole = window == end;
            let pieces = self.pieces(text, window);
            if pieces.is_empty() {
                if !whole {
                    self.start = window;
                    continue;
                }
                let blank = text.get(self.start..end).is_none_or(|rest| rest.trim().is_empty());
                if last && self.blocks.is_empty() && !blank {
                    // Nothing but definitions: better shown than an empty answer.
                    self.emit(text, self.start, end, BlockKind::Flow);
                }
                if last {
                    self.start = end;
                }
                return;
            }
            if !self.take(text, &pieces, window, whole, last) {
                return;
            }
        }
    }

    /// Takes what one look of the parser found. Returns whether there may be more to find.
    fn take(&mut self, text: &str, pieces: &[Piece], window: usize, whole: bool, last: bool) -> bool {
        for (index, piece) in pieces.iter().enumerate() {
            let next = pieces.get(index + 1).map(|next| next.at);
            let end = content_end(text, piece.at, piece.end, next.unwrap_or(window));
            self.start = piece.at;
            self.lead = match piece.kind {
                PieceKind::Item(lead) => Some(lead),
                _ => None,
            };
            self.tail_is_table = false;
            if matches!(piece.kind, PieceKind::Fence) {
                self.fence = Some(open_fence(text, piece.at));
                // A fence that another block follows has its closing line before that.
                match next {
                    Some(next) if self.read_fence(text, next, false) => continue,
                    _ => return true,
                }
            }
            let kind = match piece.kind {
                PieceKind::Item(lead) => BlockKind::Item { number: lead.number },
                _ => BlockKind::Flow,
            };
            if end - piece.at > MOST_BYTES {
                let cut = cut_point(text, piece.at);
                self.emit(text, piece.at, cut, kind);
                self.start = cut;
                self.lead = None;
                self.cut = true;
                return true;
            }
            let closed = match piece.kind {
                PieceKind::Closed => true,
                PieceKind::Paragraph | PieceKind::Table => ends_blank(text, window),
                PieceKind::Fence | PieceKind::Item(_) | PieceKind::Other => false,
            };
            if next.is_some() || closed || (last && whole) {
                self.emit(text, piece.at, end, kind);
                self.start = if last && whole && next.is_none() { window } else { end };
                self.lead = None;
            } else {
                self.tail_is_table = matches!(piece.kind, PieceKind::Table);
            }
        }
        !whole
    }

    fn pieces(&mut self, text: &str, window: usize) -> Vec<Piece> {
        let base = self.start;
        let Some(source) = text.get(base..window) else { return Vec::new() };
        self.bytes_read += source.len() as u64;
        let mut pieces = Vec::new();
        let mut depth = 0usize;
        // Depth of an open list at the top, its next number, and whether an item of it was seen.
        let mut list: Option<(Option<u64>, bool)> = None;
        for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
            let at = base + line_start(source, range.start);
            let end = base + range.end;
            match event {
                Event::Start(tag) => {
                    if depth == 0 {
                        match tag {
                            Tag::List(number) => {
                                // The tail may start in the middle of a list; then its count goes on.
                                let lead = self.lead.filter(|_| pieces.is_empty());
                                list = Some(match lead {
                                    Some(lead) => (number.and(lead.number.or(number)), lead.continues),
                                    None => (number, false),
                                });
                            }
                            Tag::CodeBlock(CodeBlockKind::Fenced(_)) => {
                                pieces.push(Piece { at, end, kind: PieceKind::Fence });
                            }
                            Tag::Table(_) => pieces.push(Piece { at, end, kind: PieceKind::Table }),
                            Tag::Paragraph => pieces.push(Piece { at, end, kind: PieceKind::Paragraph }),
                            Tag::Heading { .. } => pieces.push(Piece { at, end, kind: PieceKind::Closed }),
                            _ => pieces.push(Piece { at, end, kind: PieceKind::Other }),
                        }
                    } else if depth == 1
                        && matches!(tag, Tag::Item)
                        && let Some((number, continues)) = &mut list
                    {
                        let lead = Lead { number: *number, continues: *continues };
                        pieces.push(Piece { at, end, kind: PieceKind::Item(lead) });
                        *number = number.map(|number| number.saturating_add(1));
                        *continues = true;
                    }
                    depth += 1;
                }
                Event::End(_) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        list = None;
                    }
                }
                _ if depth == 0 => pieces.push(Piece { at, end, kind: PieceKind::Closed }),
                _ => {}
            }
        }
        pieces
    }

    /// Reads lines of the open fence up to `end`. Returns whether it was closed.
    fn read_fence(&mut self, text: &str, end: usize, last: bool) -> bool {
        let Some(mut fence) = self.fence else { return true };
        while fence.cursor < end {
            let Some(rest) = text.get(fence.cursor..end) else { break };
            let length = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
            let line = rest.get(..length).unwrap_or("");
            let opening = fence.first && fence.cursor == self.start;
            fence.cursor += length;
            self.bytes_read += length as u64;
            let closes = !opening && closes_fence(line, fence);
            fence.lines += 1;
            let full = fence.lines > PART_LINES || fence.cursor - self.start > PART_BYTES;
            if closes || full || (last && fence.cursor == end) {
                let Fence { first, indent, syntax, .. } = fence;
                self.emit(text, self.start, fence.cursor, BlockKind::Code { first, closed: closes, indent, syntax });
                if !closes {
                    fence.go_on(text.get(self.start..fence.cursor).unwrap_or(""));
                }
                self.start = fence.cursor;
                fence.first = false;
                fence.lines = 0;
                if closes {
                    self.fence = None;
                    self.lead = None;
                    return true;
                }
            }
        }
        self.fence = Some(fence);
        false
    }

    fn emit(&mut self, text: &str, start: usize, end: usize, kind: BlockKind) {
        let block = self.block(text, start, end, kind);
        self.cut = false;
        self.blocks.push(block);
    }

    fn block(&self, text: &str, start: usize, end: usize, kind: BlockKind) -> Block {
        let gap = match kind {
            _ if self.blocks.is_empty() || self.cut => false,
            BlockKind::Code { first, .. } => first,
            BlockKind::Item { .. } if self.lead.is_some_and(|lead| lead.continues) => ends_blank(text, start),
            BlockKind::Item { .. } | BlockKind::Flow | BlockKind::OpenTable => true,
        };
        Block { start: start as u32, end: end as u32, kind, gap }
    }

    /// Moves over blank lines, which belong to nothing.
    fn skip_blank(&mut self, text: &str, end: usize) {
        while let Some(rest) = text.get(self.start..end) {
            let Some(at) = memchr::memchr(b'\n', rest.as_bytes()) else { return };
            if !rest.get(..at).is_some_and(|line| line.trim().is_empty()) {
                return;
            }
            self.start += at + 1;
        }
    }
}

/// Returns the end of what is parsed at once: whole lines.
fn window_end(text: &str, start: usize, end: usize) -> usize {
    let full = start + WINDOW;
    if full >= end {
        return end;
    }
    let bytes = text.as_bytes();
    if let Some(at) = bytes.get(start..full).and_then(|bytes| memchr::memrchr(b'\n', bytes)) {
        return start + at + 1;
    }
    // A line as long as that is cut anyway; how it begins says what it is.
    floor_boundary(text, full)
}

/// Returns where a block that is too long is cut: after a line, else after a word, else anywhere between characters.
fn cut_point(text: &str, start: usize) -> usize {
    let full = start + MOST_BYTES;
    let bytes = text.as_bytes().get(start..full).unwrap_or(&[]);
    if let Some(at) = memchr::memrchr(b'\n', bytes).or_else(|| memchr::memrchr(b' ', bytes)) {
        return start + at + 1;
    }
    floor_boundary(text, full)
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Returns the end of a block's last line that isn't blank.
fn content_end(text: &str, start: usize, end: usize, limit: usize) -> usize {
    let bytes = text.as_bytes();
    let mut end = end.min(limit);
    if end > start && bytes.get(end - 1) != Some(&b'\n') {
        let rest = bytes.get(end..limit).unwrap_or(&[]);
        end = memchr::memchr(b'\n', rest).map_or(limit, |at| end + at + 1);
    }
    while end > start && ends_blank(text, end) {
        let before = bytes.get(start..end - 1).unwrap_or(&[]);
        let Some(newline) = memchr::memrchr(b'\n', before) else { break };
        end = start + newline + 1;
    }
    end
}

fn line_start(source: &str, at: usize) -> usize {
    source.as_bytes().get(..at).and_then(|before| memchr::memrchr(b'\n', before)).map_or(0, |newline| newline + 1)
}

/// Returns whether the line that ends at `end` is blank.
fn ends_blank(text: &str, end: usize) -> bool {
    let Some(before) = text.get(..end).and_then(|before| before.strip_suffix('\n')) else { return false };
    let line = memchr::memrchr(b'\n', before.as_bytes()).map_or(0, |at| at + 1);
    before.get(line..).is_some_and(|line| line.trim().is_empty())
}

fn open_fence(text: &str, at: usize) -> Fence {
    let line = text.get(at..).unwrap_or("");
    let indent = line.bytes().take_while(|&byte| byte == b' ').count();
    let mark = line.as_bytes().get(indent).copied().unwrap_or(b'`');
    let length = line.bytes().skip(indent).take_while(|&byte| byte == mark).count();
    let label = line.lines().next().map_or("", |line| line.get(indent + length..).unwrap_or(""));
    Fence {
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

impl Fence {
    /// Takes note of where the lines of a part left the language.
    fn go_on(&mut self, part: &str) {
        let code = if self.first { part.split_once('\n').map_or("", |(_, code)| code) } else { part };
        if self.cursor - self.start > MOST_SYNTAX {
            self.syntax = Syntax::default();
        }
        self.syntax.advance(code);
    }
}

/// CommonMark 4.5: up to three blanks, at least as many marks as opened it, then nothing but white space.
fn closes_fence(line: &str, fence: Fence) -> bool {
    let marks = line.trim_start_matches(' ');
    if line.len() - marks.len() > 3 {
        return false;
    }
    let rest = marks.trim_start_matches(char::from(fence.mark));
    marks.len() - rest.len() >= fence.length && rest.trim_matches([' ', '\t', '\n', '\r']).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources<'a>(splitter: &Splitter, text: &'a str) -> Vec<&'a str> {
        splitter.stable().iter().map(|block| block.source(text)).collect()
    }

    #[test]
    fn finished_blocks_leave_the_tail() {
        let text = "# Title\n\nFirst\nparagraph.\n\nSecond";
        let mut splitter = Splitter::default();
        splitter.advance(text);
        assert_eq!(sources(&splitter, text), ["# Title\n", "First\nparagraph.\n"]);
        let text = "# Title\n\nFirst\nparagraph.\n\nSecond\nmore\n\nThird\n";
        splitter.advance(text);
        assert_eq!(sources(&splitter, text), ["# Title\n", "First\nparagraph.\n", "Second\nmore\n"]);
        assert_eq!(splitter.tail(text).unwrap().source(text), "Third\n");
    }

    #[test]
    fn items_are_blocks_that_keep_their_number() {
        let text = "1. one\n1. two\n   - inner\n\n1. three\n";
        let splitter = Splitter::split(text);
        let kinds: Vec<(BlockKind, bool)> = splitter.stable().iter().map(|b| (b.kind, b.gap)).collect();
        let item = |number| BlockKind::Item { number: Some(number) };
        assert_eq!(kinds, [(item(1), false), (item(2), false), (item(3), true)]);
    }

    #[test]
    fn a_long_fence_is_read_once() {
        let mut text = String::from("```rust\n");
        let mut splitter = Splitter::default();
        for line in 0..10_000 {
            text.push_str("let x = ");
            text.push_str(&line.to_string());
            text.push_str(";\n");
            splitter.advance(&text);
        }
        assert!(splitter.bytes_read() < text.len() as u64 * 2, "{} of {}", splitter.bytes_read(), text.len());
        let tail = splitter.tail(&text).unwrap();
        assert!(matches!(tail.kind, BlockKind::Code { first: false, closed: false, .. }));
        assert!(tail.end - tail.start < 2000);
        text.push_str("```\nafter\n");
        splitter.advance(&text);
        assert!(matches!(splitter.stable().last().unwrap().kind, BlockKind::Code { closed: true, .. }));
    }

    #[test]
    fn a_fence_closes_only_with_enough_of_its_own_marks() {
        let text = "````\n```\n~~~~\n    ````\n````  \nafter\n";
        let splitter = Splitter::split(text);
        assert_eq!(sources(&splitter, text), ["````\n```\n~~~~\n    ````\n````  \n", "after\n"]);
    }

    #[test]
    fn a_growing_table_is_held() {
        let text = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3";
        let mut splitter = Splitter::default();
        splitter.advance(text);
        assert_eq!(splitter.tail(text).unwrap().kind, BlockKind::OpenTable);
        let text = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n";
        splitter.advance(text);
        assert_eq!((splitter.tail(text), splitter.stable().len()), (None, 1));
    }

    #[test]
    fn endless_lines_and_blank_floods_stay_cheap() {
        for (piece, count) in [("word ", 100_000), ("\n", 300_000), ("> q\n", 100_000), ("```\n", 50_000)] {
            let text = piece.repeat(count);
            let splitter = Splitter::split(&text);
            assert!(splitter.bytes_read() <= text.len() as u64 * 8, "{piece:?} {}", splitter.bytes_read());
            assert!(splitter.stable().iter().all(|block| (block.end - block.start) as usize <= MOST_BYTES));
        }
    }
}
