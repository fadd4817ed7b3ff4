//! One block of Markdown to rows at a width.
//!
//! Not for caching and not for knowing what else the message holds: link definitions are handed in. The invariant: a
//! block is laid out the same whatever stands around it.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, Event, HeadingLevel, LinkType, Parser, Tag, TagEnd};

use super::blocks::BlockKind;
use super::definitions::{Definitions, awaited_notes};
use super::inline::Inline;
use super::table::{self, Table};
use super::{code, html, math, nesting, options};
use crate::text::clean::one_line;
use crate::text::width::str_width;
use crate::ui::lines::laid::{Flow, Laid, Page};
use crate::ui::theme::{Face, Role};

/// What a block is laid out in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// What the whole text defines.
    pub definitions: Option<&'a Definitions>,
    /// Notes may still come.
    pub awaits_notes: bool,
    /// The whole text, where parts of long tables look for their head.
    pub text: &'a str,
    pub width: u16,
    /// Links say where they go.
    pub says_targets: bool,
}

/// The pictures that may be drawn.
#[cfg(feature = "images")]
pub type Images<'a> = Option<crate::ui::image::Known<'a>>;
/// They are only named.
#[cfg(not(feature = "images"))]
pub type Images<'a> = std::marker::PhantomData<&'a ()>;

/// Lays out one block.
pub fn lay_block(source: &str, kind: BlockKind, setting: Setting<'_>) -> Laid {
    lay_with_images(source, kind, setting, Images::default())
}

/// Lays out one block in which pictures that stand alone are drawn.
pub fn lay_with_images(source: &str, kind: BlockKind, setting: Setting<'_>, images: Images<'_>) -> Laid {
    let width = setting.width;
    let number = match kind {
        BlockKind::Code { first, closed, indent, syntax } => {
            return code::lay_part(source, code::Part { first, closed, indent, syntax }, width);
        }
        BlockKind::OpenTable => return lay_open_table(source, setting),
        BlockKind::Rows { first, open, head, sample } => {
            let sample = setting.text.get(head as usize..sample as usize).unwrap_or("");
            let rows = if open { whole_lines(source) } else { source };
            return lay_rows(rows, sample, first, setting);
        }
        BlockKind::Tags { inside } => {
            let mut writer = Writer::new(width, None);
            writer.images = images;
            writer.inline.says_targets = setting.says_targets;
            writer.set_base();
            writer.block_of_tags(source, inside);
            return writer.finish();
        }
        BlockKind::Item { number } => number,
        BlockKind::Flow => None,
    };
    let mut writer = Writer::new(width, number);
    writer.images = images;
    writer.inline.says_targets = setting.says_targets;
    writer.read(source, setting);
    let laid = writer.finish();
    // Only definitions: better shown as they are than not at all.
    let is_html = source.trim_start().starts_with('<');
    if laid.rows() == 0 && !source.trim().is_empty() && !is_html { lay_source(source, width) } else { laid }
}

/// Formulas may be written with brackets; the parser wants dollars.
fn with_dollars(source: &str) -> Cow<'_, str> {
    if memchr::memmem::find(source.as_bytes(), b"\\(").is_none()
        && memchr::memmem::find(source.as_bytes(), b"\\[").is_none()
    {
        return Cow::Borrowed(source);
    }
    math::dollars(source, &literal(source))
}

/// Returns where brackets mean themselves: in code, in tags and in the targets of links.
fn literal(source: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Behind what was read last there is the target of the link that ends.
    let mut read = 0;
    for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
        match event {
            Event::Code(_) | Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::CodeBlock(_)) => {
                found.push(range.clone());
            }
            Event::Start(Tag::Link { link_type: LinkType::Autolink | LinkType::Email, .. }) => {
                found.push(range.clone());
                read = range.end;
            }
            Event::End(TagEnd::Link | TagEnd::Image) if read < range.end => {
                found.push(read.max(range.start)..range.end);
            }
            _ => {}
        }
        read = match event {
            // It ends where what is in it ends.
            Event::Start(_) => read.max(range.start),
            _ => read.max(range.end),
        };
    }
    found
}

/// Rows of a table that is being written; with more, its columns will hardly move any more.
const HELD: usize = 12;

/// A table is held back while each row may move its columns: till then one row says what is being written.
fn lay_open_table(source: &str, setting: Setting<'_>) -> Laid {
    let whole = whole_lines(source);
    let mut ends = memchr::memchr_iter(b'\n', whole.as_bytes());
    let head = ends.nth(1).map_or(whole.len(), |at| at + 1);
    let rows = ends.count();
    if rows > HELD {
        return lay_block(whole, BlockKind::Flow, setting);
    }
    let mut writer = Writer::new(setting.width, None);
    for event in Parser::new_ext(whole.get(..head).unwrap_or(""), options()) {
        if !matches!(event, Event::End(TagEnd::Table)) {
            writer.event(event);
        }
    }
    let names = writer.table.take().and_then(|mut table| table.rows.pop()).unwrap_or_default();
    let names: Vec<String> = names.into_iter().map(|name| name.text).filter(|name| !name.is_empty()).collect();
    let count = match rows {
        0 => String::new(),
        1 => " · 1 row so far".to_owned(),
        _ => format!(" · {rows} rows so far"),
    };
    let mut page = Page::new(setting.width);
    let room = page.room();
    let names = one_line(&format!("… table: {}", names.join(", ")), room.saturating_sub(str_width(&count)));
    page.pieces([(one_line(&(names + &count), room).as_str(), Face::new(Role::Dim))]);
    page.finish()
}

/// Returns all but a last line without its end.
pub fn whole_lines(source: &str) -> &str {
    source.get(..memchr::memrchr(b'\n', source.as_bytes()).map_or(0, |at| at + 1)).unwrap_or("")
}

/// Lays out rows of a table whose first rows, with its head, are the sample.
fn lay_rows(rows: &str, sample: &str, first: bool, setting: Setting<'_>) -> Laid {
    if rows.is_empty() {
        return Laid::default();
    }
    let head = memchr::memchr_iter(b'\n', sample.as_bytes()).nth(1).map_or("", |at| sample.get(..=at).unwrap_or(""));
    let read = |source: &str| {
        let mut writer = Writer::new(setting.width, None);
        writer.inline.says_targets = setting.says_targets;
        writer.keeps_table = true;
        writer.read(source, setting);
        writer.table
    };
    let table = if first { read(rows) } else { read(&[head, rows].concat()) };
    let Some(table) = table else { return lay_block(rows, BlockKind::Flow, setting) };
    let mut page = Page::new(setting.width);
    // Columns that can't stand side by side need not be measured.
    let measured = !first && table::may_fit(table.alignments.len(), page.room());
    let measure = if measured { read(sample) } else { None };
    table::lay_part(&mut page, &table, measure.as_ref().unwrap_or(&table), first);
    page.finish()
}

fn lay_source(source: &str, width: u16) -> Laid {
    let mut page = Page::new(width);
    page.flow(&Flow::of(&source.trim_end().replace('\t', "    "), Role::Dim.into()));
    page.finish()
}

#[derive(Debug)]
enum Container {
    List { next: Option<u64> },
    Item { loose: bool },
    Quote,
    Note,
}

struct Writer<'a> {
    images: Images<'a>,
    page: Page,
    inline: Inline,
    containers: Vec<Container>,
    /// An empty row is due before the next block.
    gap: bool,
    /// The number of the first item, where the source can't know it.
    number: Option<u64>,
    code: Option<(String, String)>,
    html: Option<String>,
    table: Option<Table>,
    /// A table is kept instead of being laid out.
    keeps_table: bool,
}

impl Writer<'_> {
    fn new(width: u16, number: Option<u64>) -> Self {
        Self {
            images: Images::default(),
            page: Page::new(width),
            inline: Inline::default(),
            containers: Vec::new(),
            gap: false,
            number,
            code: None,
            html: None,
            table: None,
            keeps_table: false,
        }
    }

    fn read(&mut self, source: &str, setting: Setting<'_>) {
        let source = &*nesting::shallow(source);
        let source = &*with_dollars(source);
        let source = &*table::with_all_cells(source);
        let has_tags = memchr::memchr(b'<', source.as_bytes()).is_some();
        let mut known = String::new();
        if memchr::memchr(b'[', source.as_bytes()).is_some() {
            known.extend(setting.definitions.map(|all| all.used(source)));
            if setting.awaits_notes {
                known.push_str(&awaited_notes(source));
            }
        }
        if known.is_empty() {
            self.events(Parser::new_ext(source, options()).into_offset_iter(), has_tags);
        } else {
            let joined = format!("{source}\n\n{known}");
            let own = |range: &Range<usize>| range.start < source.len();
            let events = Parser::new_ext(&joined, options()).into_offset_iter().filter(|(_, range)| own(range));
            self.events(events, has_tags);
        }
    }

    fn events<'e>(&mut self, events: impl Iterator<Item = (Event<'e>, Range<usize>)>, has_tags: bool) {
        if !has_tags {
            events.for_each(|(event, _)| self.event(event));
            return;
        }
        // Only what comes later tells whether a tag is one.
        let events: Vec<_> = events.collect();
        let mut alone = html::alone(&events).into_iter().peekable();
        for (number, (event, _)) in events.into_iter().enumerate() {
            match event {
                Event::InlineHtml(tag) if alone.next_if_eq(&number).is_some() => self.inline.as_written(&tag),
                event => self.event(event),
            }
        }
    }

    fn event(&mut self, event: Event<'_>) {
        if let (Some((_, code)), Event::Text(text)) = (&mut self.code, &event) {
            code.push_str(&crate::text::clean(text));
            return;
        }
        if let (Some(html), Event::Html(text) | Event::Text(text)) = (&mut self.html, &event) {
            html.push_str(text);
            return;
        }
        if self.inline.event(&event) {
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Rule => {
                self.begin();
                self.page.pieces([("─".repeat(self.page.room()).as_str(), Face::new(Role::Border))]);
                self.gap = true;
            }
            Event::TaskListMarker(done) => {
                let marker = if done { "☑ " } else { "☐ " };
                let face = Face::new(if done { Role::Ok } else { Role::Accent });
                if !self.page.replace_marker(marker, face) {
                    self.inline.push(marker, face);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.begin(),
            Tag::Heading { level, .. } => {
                self.begin();
                self.inline.set_base(heading_face(level));
            }
            Tag::BlockQuote(kind) => {
                self.begin();
                let role = kind.map_or(Role::Quote, alert_role);
                self.page.bar("▎ ", Face::new(role));
                self.containers.push(Container::Quote);
                if let Some(kind) = kind {
                    let room = self.page.room();
                    let name = one_line(alert_name(kind), room);
                    self.page.pieces([(name.as_str(), Face::new(role).with(Face::BOLD))]);
                }
                self.set_base();
            }
            Tag::CodeBlock(kind) => {
                self.begin();
                let label = match kind {
                    CodeBlockKind::Fenced(label) => label.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((label, String::new()));
            }
            Tag::HtmlBlock => {
                // A tag alone takes no row, so nothing has to stand above it.
                self.flush();
                self.set_base();
                self.html = Some(String::new());
            }
            Tag::List(start) => {
                self.begin();
                let next = start.map(|start| self.number.take().unwrap_or(start));
                self.containers.push(Container::List { next });
            }
            Tag::Item => self.start_item(),
            Tag::FootnoteDefinition(name) => {
                self.begin();
                self.mark(&format!("[{name}] "), Face::new(Role::Accent));
                self.containers.push(Container::Note);
            }
            Tag::Table(alignments) => {
                self.begin();
                self.table = Some(Table { alignments, rows: Vec::new() });
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
                if matches!(tag, Tag::TableHead) {
                    self.inline.set_base(Face::new(Role::Heading).with(Face::BOLD));
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => {
                self.flush();
                self.gap = true;
                if let Some(Container::Item { loose }) = self.containers.last_mut() {
                    *loose = true;
                }
            }
            TagEnd::HtmlBlock => {
                if let Some(html) = self.html.take() {
                    self.block_of_tags(&html, None);
                }
                self.gap |= self.put(true);
            }
            TagEnd::Heading(_) => {
                self.flush();
                self.set_base();
                self.gap = true;
            }
            TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition => {
                self.flush();
                self.page.outdent();
                self.containers.pop();
                self.set_base();
                self.gap = true;
            }
            TagEnd::CodeBlock => {
                if let Some((label, code)) = self.code.take() {
                    code::lay(&mut self.page, &label, &code);
                }
                self.gap = true;
            }
            TagEnd::Item => {
                self.flush();
                self.page.outdent();
                self.gap = matches!(self.containers.pop(), Some(Container::Item { loose: true }));
            }
            TagEnd::List(_) => {
                self.containers.pop();
                // A list inside an item is as tight as the item.
                self.gap |= !matches!(self.containers.last(), Some(Container::Item { .. }));
            }
            TagEnd::TableHead => self.set_base(),
            TagEnd::TableCell => {
                let cell = self.inline.take();
                if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::Table if self.keeps_table => {}
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    table::lay(&mut self.page, &table);
                }
                self.gap = true;
            }
            _ => {}
        }
    }

    fn start_item(&mut self) {
        self.begin();
        let depth = self.containers.iter().filter(|container| matches!(container, Container::List { .. })).count();
        let marker = match self.containers.last_mut() {
            Some(Container::List { next: Some(next) }) => {
                let number = *next;
                *next = next.saturating_add(1);
                format!("{number}. ")
            }
            _ => ["• ", "◦ ", "▪ "].get((depth.max(1) - 1) % 3).map_or_else(String::new, ToString::to_string),
        };
        self.mark(&marker, Face::new(Role::Accent));
        self.containers.push(Container::Item { loose: false });
    }

    /// Indents by a marker; where there is no room for that, the marker stands in the text.
    fn mark(&mut self, marker: &str, face: Face) {
        if !self.page.indent(marker, face) {
            self.inline.push(marker, face);
        }
    }

    /// Ends what came before and leaves an empty row where one is due.
    fn begin(&mut self) {
        self.flush();
        if std::mem::take(&mut self.gap) {
            self.page.gap();
        }
        self.set_base();
    }

    fn flush(&mut self) {
        if !self.inline.is_empty() {
            self.put(false);
        }
    }

    /// Lays out what was gathered, below an empty row if one is due and wanted. Returns whether there was anything.
    fn put(&mut self, below_gap: bool) -> bool {
        #[cfg(feature = "images")]
        let alone = self.images.map(|known| (known, self.inline.only_images()));
        let mut flow = self.inline.take();
        flow.trim_end();
        #[cfg(feature = "images")]
        let shown = alone.map(|(known, alone)| known.show(&alone, self.page.room(), &mut flow));
        if flow.is_empty() {
            return false;
        }
        if below_gap && std::mem::take(&mut self.gap) {
            self.page.gap();
        }
        self.page.flow(&flow);
        #[cfg(feature = "images")]
        for image in shown.into_iter().flatten() {
            self.page.image(image);
        }
        true
    }

    /// Tags are done what they say, and text between them is text.
    fn block_of_tags(&mut self, html: &str, inside: Option<html::Raw>) {
        let (pieces, _) = html::pieces(html, inside);
        let mut alone = html::alone_in_block(&pieces).into_iter().peekable();
        for (number, piece) in pieces.into_iter().enumerate() {
            match piece {
                html::Piece::Tag(tag) if alone.next_if_eq(&number).is_some() => self.inline.as_written(tag),
                html::Piece::Text(text) => self.inline.loose(&html::decoded(text)),
                html::Piece::Raw(raw) => self.inline.push(raw.trim_end(), Face::new(Role::Dim)),
                html::Piece::Tag(tag) => {
                    let (before, after) = html::edges(tag);
                    let known = html::meaning(tag);
                    if known.is_none() {
                        self.inline.as_written(tag);
                    }
                    for meaning in before.iter().chain(&known).chain(&after) {
                        self.inline.mean(meaning);
                    }
                }
            }
        }
    }

    fn set_base(&mut self) {
        let quoted = self.containers.iter().any(|container| matches!(container, Container::Quote));
        self.inline.set_base(Face::new(if quoted { Role::Quote } else { Role::Text }));
    }

    fn finish(mut self) -> Laid {
        self.flush();
        self.page.finish()
    }
}

fn heading_face(level: HeadingLevel) -> Face {
    let face = Face::new(Role::Heading).with(Face::BOLD);
    match level {
        HeadingLevel::H1 => face.with(Face::UNDERLINE),
        HeadingLevel::H2 => face,
        HeadingLevel::H3 | HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => face.with(Face::ITALIC),
    }
}

fn alert_role(kind: BlockQuoteKind) -> Role {
    match kind {
        BlockQuoteKind::Note => Role::Info,
        BlockQuoteKind::Tip => Role::Ok,
        BlockQuoteKind::Important => Role::Accent,
        BlockQuoteKind::Warning => Role::Warn,
        BlockQuoteKind::Caution => Role::Error,
    }
}

fn alert_name(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "Note",
        BlockQuoteKind::Tip => "Tip",
        BlockQuoteKind::Important => "Important",
        BlockQuoteKind::Warning => "Warning",
        BlockQuoteKind::Caution => "Caution",
    }
}
