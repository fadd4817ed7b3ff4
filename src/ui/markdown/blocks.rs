//! Splits Markdown into blocks while it streams in.
//!
//! Looks at complete lines only. Of what the parser finds in the tail, all but the last block is finished and moves to
//! the stable list for good; the last one too if nothing can continue it. The tail starts behind it. Lists split into
//! their items, and a fenced block into parts of some dozen lines that are never parsed again, so that a token costs
//! the same in a long answer as in a short one.
//!
//! Not for layout. The invariant: the stable blocks don't depend on how the text was cut into pieces. What may change
//! them after all are link definitions that end late; so a finished message is split once more from the start.

mod boundaries;
mod fence;
mod tags;

use std::borrow::Cow;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

use super::html::Raw;
use super::long_table::LongTable;
use super::syntax::Syntax;
use super::{nesting, options};

use boundaries::{MAX_BLOCK_BYTES, content_end, cut_by_size, cut_point, ends_blank, line_start, window_end};
use fence::Fence;
use tags::Tags;

/// A piece of the text that is laid out on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkdownBlock {
    pub start: u32,
    pub end: u32,
    pub kind: BlockKind,
    /// An empty row stands above it.
    pub gap: bool,
}

impl MarkdownBlock {
    pub fn source<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Paragraphs,
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
    /// What a block of tags goes on with that was cut: where its first part left it.
    Tags {
        /// It begins inside of this.
        inside: Option<Raw>,
    },
    /// Rows of a table that is laid out in parts. Its first part, which has its head, says how wide the columns are.
    TableRows {
        first: bool,
        /// More of it may come; its last line may not be whole.
        open: bool,
        /// The table's first part in the text.
        head: u32,
        sample: u32,
    },
}

const MAX_TAGS_BYTES: usize = 4 * 1024;
const MAX_PART_LINES: u32 = 48;
const MAX_PART_BYTES: usize = 8 * 1024;

/// The incremental splitter of one text. It keeps no copy of the text.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    blocks: Vec<MarkdownBlock>,
    /// Where the tail starts.
    start: usize,
    /// Up to where complete lines were looked at.
    lines: usize,
    /// Up to where the text was looked at for the end of a line.
    seen: usize,
    fence: Option<Fence>,
    /// What the tail is, if it starts with a list's item.
    leading_item: Option<LeadingItem>,
    tail_is_table: bool,
    /// The table that the tail goes on with.
    table: Option<LongTable>,
    /// The block of tags that the tail goes on with.
    tags: Option<Tags>,
    /// The block before was cut, so this one goes on without a gap.
    is_after_cut: bool,
    /// From the tail's start up to here there is nothing but white space.
    blank: usize,
    bytes_read: u64,
}

#[derive(Clone, Copy, Debug)]
struct LeadingItem {
    number: Option<u64>,
    /// It isn't the first of its list.
    continues: bool,
}

#[derive(Clone, Copy, Debug)]
struct TailPiece {
    at: usize,
    end: usize,
    kind: TailPieceKind,
}

#[derive(Clone, Copy, Debug)]
enum TailPieceKind {
    /// Can't go on: a heading, a rule.
    Closed,
    /// Goes on until a blank line or another block.
    Paragraph,
    Table,
    Fence,
    Item(LeadingItem),
    /// Tags. Many show nothing, and a block for each would have to be passed over in each frame: those that follow each
    /// other are one, up to [`MAX_TAGS_BYTES`].
    Tags {
        /// Its first part was cut off.
        goes_on: bool,
    },
    Other,
}

impl Splitter {
    /// Splits a whole text.
    pub fn split(text: &str) -> Self {
        let mut splitter = Self::default();
        splitter.split_until(text, text.len(), true);
        splitter
    }

    /// Takes the rest, and that nothing follows. Costs what was not taken before.
    pub fn finish(&mut self, text: &str) {
        self.split_until(text, text.len(), true);
    }

    /// Takes what has been added. `text` is the whole text so far and begins with what earlier calls were given.
    pub fn advance(&mut self, text: &str) {
        let Some(added) = text.get(self.seen..) else { return };
        let newline = memchr::memrchr(b'\n', added.as_bytes());
        let end = newline.map(|at| self.seen + at + 1);
        self.seen = text.len();
        if let Some(end) = end {
            self.split_until(text, end, false);
        }
        self.blank = self.blank.max(self.start);
        let rest = text.get(self.blank..).unwrap_or("");
        self.blank += rest.len() - rest.trim_start().len();
    }

    /// The finished blocks, in order.
    pub fn stable(&self) -> &[MarkdownBlock] {
        &self.blocks
    }

    /// The block that may still change, partial line included.
    pub fn tail(&self, text: &str) -> Option<MarkdownBlock> {
        if text.get(self.blank.max(self.start)..)?.trim_start().is_empty() {
            return None;
        }
        let kind = match (self.fence, self.leading_item) {
            (Some(fence), _) => {
                BlockKind::Code { first: fence.first, closed: false, indent: fence.indent, syntax: fence.syntax }
            }
            (None, Some(lead)) => BlockKind::Item { number: lead.number },
            (None, None) => match (self.table, self.tags) {
                (Some(table), _) => table_rows(table, self.start, true),
                (None, Some(tags)) => tags.kind(),
                (None, None) if self.tail_is_table => BlockKind::OpenTable,
                (None, None) => BlockKind::Paragraphs,
            },
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

    fn split_until(&mut self, text: &str, end: usize, last: bool) {
        self.seen = self.seen.max(end);
        self.lines = end;
        while self.start < end {
            if self.fence.is_some() {
                if !self.read_fence(text, end, last) {
                    return;
                }
                continue;
            }
            if self.table.is_some() && starts_blank(text, self.start, end) {
                self.end_table();
            }
            if self.tags.is_some_and(Tags::ends_at_blank) && starts_blank(text, self.start, end) {
                self.end_tags();
            }
            self.skip_blank(text, end);
            let window = window_end(text, self.start, end);
            let whole = window == end;
            let pieces = self.parse_pieces(text, window);
            if pieces.is_empty() {
                if !whole {
                    self.start = window;
                    continue;
                }
                let blank = text.get(self.start..end).is_none_or(|rest| rest.trim().is_empty());
                if last && self.blocks.is_empty() && !blank {
                    // Nothing but definitions: better shown than an empty answer.
                    self.emit(text, self.start, end, BlockKind::Paragraphs);
                }
                if last {
                    self.start = end;
                }
                return;
            }
            let before = (self.start, self.blocks.len());
            if !self.take_pieces(text, &pieces, window, whole, last) {
                return;
            }
            if before == (self.start, self.blocks.len()) && self.fence.is_none() {
                // Nothing in sight ends it, and looking again would show the same.
                let kind = self.tags.map_or(BlockKind::Paragraphs, Tags::kind);
                self.emit(text, self.start, window, kind);
                self.tags = self.tags.map(|tags| tags.behind(text.get(self.start..window).unwrap_or("")));
                self.start = window;
                self.leading_item = None;
                self.end_table();
                self.is_after_cut = true;
            }
        }
    }

    /// Takes what one look of the parser found. Returns whether there may be more to find.
    fn take_pieces(&mut self, text: &str, pieces: &[TailPiece], window: usize, whole: bool, last: bool) -> bool {
        for (index, piece) in pieces.iter().enumerate() {
            let next = pieces.get(index + 1).map(|next| next.at);
            let end = content_end(text, piece.at, piece.end, next.unwrap_or(window));
            self.start = piece.at;
            self.leading_item = match piece.kind {
                TailPieceKind::Item(lead) => Some(lead),
                _ => None,
            };
            self.tail_is_table = false;
            if !matches!(piece.kind, TailPieceKind::Table) {
                self.end_table();
            }
            if !matches!(piece.kind, TailPieceKind::Tags { goes_on: true }) {
                self.end_tags();
            }
            if matches!(piece.kind, TailPieceKind::Fence) {
                self.fence = Some(Fence::open(text, piece.at));
                // A fence that another block follows has its closing line before that.
                match next {
                    Some(next) if self.read_fence(text, next, false) => continue,
                    _ => return true,
                }
            }
            let kind = match (piece.kind, self.tags) {
                (TailPieceKind::Item(lead), _) => BlockKind::Item { number: lead.number },
                (TailPieceKind::Tags { goes_on: true }, Some(tags)) => tags.kind(),
                _ => BlockKind::Paragraphs,
            };
            if matches!(piece.kind, TailPieceKind::Table) {
                self.take_rows(text, piece.at, end);
                if let Some(table) = self.table {
                    if next.is_some() || ends_blank(text, window) || (last && whole) {
                        if self.start < end {
                            self.emit(text, self.start, end, table_rows(table, self.start, false));
                        }
                        self.start = if last && whole && next.is_none() { window } else { end };
                        self.end_table();
                    }
                    continue;
                }
            }
            let is_tags = matches!(piece.kind, TailPieceKind::Tags { .. });
            if let Some(cut) = if is_tags { cut_by_size(text, piece.at, end) } else { cut_point(text, piece.at, end) } {
                self.emit(text, piece.at, cut, kind);
                let part = text.get(piece.at..cut).unwrap_or("");
                self.tags = is_tags.then(|| self.tags.unwrap_or_else(|| Tags::begun_by(part)).behind(part));
                self.start = cut;
                self.leading_item = None;
                self.is_after_cut = true;
                return true;
            }
            let closed = match piece.kind {
                TailPieceKind::Closed => true,
                TailPieceKind::Paragraph | TailPieceKind::Table => ends_blank(text, window),
                TailPieceKind::Fence | TailPieceKind::Item(_) | TailPieceKind::Tags { .. } | TailPieceKind::Other => {
                    false
                }
            };
            if next.is_some() || closed || (last && whole) {
                self.emit(text, piece.at, end, kind);
                self.start = if last && whole && next.is_none() { window } else { end };
                self.leading_item = None;
                self.end_tags();
            } else {
                self.tail_is_table = matches!(piece.kind, TailPieceKind::Table);
            }
        }
        !whole
    }

    fn parse_pieces(&mut self, text: &str, window: usize) -> Vec<TailPiece> {
        let base = self.start;
        let Some(source) = text.get(base..window) else { return Vec::new() };
        // Rows alone are no table: its head goes before them, and before tags what opened them.
        let lead = match (self.table, self.tags) {
            (Some(table), _) => table.lead(text),
            (None, tags) => tags.map_or("", |tags| tags.lead),
        };
        let source = if lead.is_empty() { Cow::Borrowed(source) } else { Cow::Owned([lead, source].concat()) };
        let source = &*nesting::structure_only(&source);
        let place = |at: usize| base + at.saturating_sub(lead.len());
        self.bytes_read += source.len() as u64;
        let mut pieces: Vec<TailPiece> = Vec::new();
        let mut depth = 0usize;
        // Depth of an open list at the top, its next number, and whether an item of it was seen.
        let mut list: Option<(Option<u64>, bool)> = None;
        for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
            let at = place(line_start(source, range.start));
            let end = place(range.end);
            match event {
                Event::Start(tag) => {
                    if depth == 0 {
                        match tag {
                            Tag::List(number) => {
                                // The tail may start in the middle of a list; then its count goes on.
                                let lead = self.leading_item.filter(|_| pieces.is_empty());
                                list = Some(match lead {
                                    Some(lead) => (number.and(lead.number.or(number)), lead.continues),
                                    None => (number, false),
                                });
                            }
                            Tag::CodeBlock(CodeBlockKind::Fenced(_)) => {
                                pieces.push(TailPiece { at, end, kind: TailPieceKind::Fence });
                            }
                            // Nothing of what follows goes on with it.
                            Tag::Table(_) if end == base => self.end_table(),
                            Tag::Table(_) => pieces.push(TailPiece { at, end, kind: TailPieceKind::Table }),
                            Tag::Paragraph => pieces.push(TailPiece { at, end, kind: TailPieceKind::Paragraph }),
                            Tag::Heading { .. } => pieces.push(TailPiece { at, end, kind: TailPieceKind::Closed }),
                            Tag::HtmlBlock if end == base => self.end_tags(),
                            Tag::HtmlBlock => match pieces.last_mut() {
                                Some(TailPiece { at, end: last, kind: TailPieceKind::Tags { goes_on: false } })
                                    if end - *at <= MAX_TAGS_BYTES =>
                                {
                                    *last = end;
                                }
                                _ => {
                                    let goes_on = self.tags.is_some() && at == base;
                                    pieces.push(TailPiece { at, end, kind: TailPieceKind::Tags { goes_on } });
                                }
                            },
                            _ => pieces.push(TailPiece { at, end, kind: TailPieceKind::Other }),
                        }
                    } else if depth == 1
                        && matches!(tag, Tag::Item)
                        && let Some((number, continues)) = &mut list
                    {
                        let lead = LeadingItem { number: *number, continues: *continues };
                        pieces.push(TailPiece { at, end, kind: TailPieceKind::Item(lead) });
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
                _ if depth == 0 => pieces.push(TailPiece { at, end, kind: TailPieceKind::Closed }),
                _ => {}
            }
        }
        pieces
    }

    /// Takes parts off a table while it is long enough. What is left of it begins at `self.start`.
    fn take_rows(&mut self, text: &str, at: usize, end: usize) {
        self.start = at;
        let Some(mut table) = self.table.or_else(|| LongTable::at(text, at)) else { return };
        while let Some(cut) = table.cut(text, self.start, end, MAX_BLOCK_BYTES) {
            if self.start == table.head {
                table.sample = cut;
            }
            self.table = Some(table);
            self.emit(text, self.start, cut, table_rows(table, self.start, false));
            self.start = cut;
            self.is_after_cut = true;
        }
    }

    /// What follows is not of the table, and stands below an empty row.
    fn end_table(&mut self) {
        if self.table.take().is_some() {
            self.is_after_cut = false;
        }
    }

    /// What follows is not of the block of tags, and stands below an empty row.
    fn end_tags(&mut self) {
        if self.tags.take().is_some() {
            self.is_after_cut = false;
        }
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
            let closes = !opening && fence.is_closed_by(line);
            fence.lines += 1;
            let full = fence.lines > MAX_PART_LINES || fence.cursor - self.start > MAX_PART_BYTES;
            if closes || full {
                let Fence { first, indent, syntax, .. } = fence;
                self.emit(text, self.start, fence.cursor, BlockKind::Code { first, closed: closes, indent, syntax });
                if !closes {
                    fence.advance_syntax(text.get(self.start..fence.cursor).unwrap_or(""));
                }
                self.start = fence.cursor;
                fence.first = false;
                fence.lines = 0;
                if closes {
                    self.fence = None;
                    self.leading_item = None;
                    return true;
                }
            }
        }
        if last && self.start < fence.cursor {
            // All of it was read before anyone knew that it is all.
            let Fence { first, indent, syntax, .. } = fence;
            self.emit(text, self.start, fence.cursor, BlockKind::Code { first, closed: false, indent, syntax });
            self.start = fence.cursor;
        }
        self.fence = Some(fence);
        false
    }

    fn emit(&mut self, text: &str, start: usize, end: usize, kind: BlockKind) {
        let block = self.block(text, start, end, kind);
        self.is_after_cut = false;
        self.blocks.push(block);
    }

    fn block(&self, text: &str, start: usize, end: usize, kind: BlockKind) -> MarkdownBlock {
        let gap = match kind {
            _ if self.blocks.is_empty() || self.is_after_cut => false,
            BlockKind::Code { first, .. } => first,
            BlockKind::Item { .. } if self.leading_item.is_some_and(|lead| lead.continues) => ends_blank(text, start),
            BlockKind::Item { .. }
            | BlockKind::Paragraphs
            | BlockKind::Tags { .. }
            | BlockKind::OpenTable
            | BlockKind::TableRows { .. } => true,
        };
        MarkdownBlock { start: start as u32, end: end as u32, kind, gap }
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

fn table_rows(table: LongTable, start: usize, open: bool) -> BlockKind {
    BlockKind::TableRows { first: start == table.head, open, head: table.head as u32, sample: table.sample as u32 }
}

/// Returns whether the first line is blank.
fn starts_blank(text: &str, start: usize, end: usize) -> bool {
    let rest = text.get(start..end).unwrap_or("");
    rest.split('\n').next().is_none_or(|line| line.trim().is_empty())
}

#[cfg(test)]
mod tests;
