//! Writes the events of the parser as rows: blocks in their containers, one below the other.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, Event, HeadingLevel, LinkType, Parser, Tag, TagEnd};

use super::context::{Images, RenderContext};
use crate::text::clean::one_line;
use crate::ui::markdown::definitions::awaited_footnotes;
use crate::ui::markdown::inline::InlineWriter;
use crate::ui::markdown::table::{self, Table};
use crate::ui::markdown::{code, html, math, nesting, options};
use crate::ui::text_layout::laid_out::{LaidOut, LayoutBuilder};
use crate::ui::theme::{Role, TextStyle};

#[derive(Debug)]
enum Container {
    List { next: Option<u64> },
    Item { loose: bool },
    Quote,
    Footnote,
}

pub(super) struct MarkdownWriter<'a> {
    pub(super) images: Images<'a>,
    pub(super) page: LayoutBuilder,
    pub(super) inline: InlineWriter,
    containers: Vec<Container>,
    /// An empty row is due before the next block.
    gap: bool,
    /// The number of the first item, where the source can't know it.
    number: Option<u64>,
    code: Option<(String, String)>,
    html: Option<String>,
    pub(super) table: Option<Table>,
    /// A table is kept instead of being laid out.
    pub(super) keeps_table: bool,
}

impl MarkdownWriter<'_> {
    pub(super) fn new(width: u16, number: Option<u64>) -> Self {
        Self {
            images: Images::default(),
            page: LayoutBuilder::new(width),
            inline: InlineWriter::default(),
            containers: Vec::new(),
            gap: false,
            number,
            code: None,
            html: None,
            table: None,
            keeps_table: false,
        }
    }

    pub(super) fn read(&mut self, source: &str, setting: RenderContext<'_>) {
        let source = &*nesting::limit_depth(source);
        let source = &*with_dollars(source);
        let source = &*table::escape_extra_bars(source);
        let has_tags = memchr::memchr(b'<', source.as_bytes()).is_some();
        let mut known = String::new();
        if memchr::memchr(b'[', source.as_bytes()).is_some() {
            known.extend(setting.definitions.map(|all| all.used_by(source)));
            if setting.awaits_footnotes {
                known.push_str(&awaited_footnotes(source));
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
        let mut alone = html::unmatched_tags(&events).into_iter().peekable();
        for (number, (event, _)) in events.into_iter().enumerate() {
            match event {
                Event::InlineHtml(tag) if alone.next_if_eq(&number).is_some() => self.inline.push_raw_tag(&tag),
                event => self.event(event),
            }
        }
    }

    pub(super) fn event(&mut self, event: Event<'_>) {
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
                self.begin_block();
                self.page.add_row([("─".repeat(self.page.room()).as_str(), TextStyle::new(Role::Border))]);
                self.gap = true;
            }
            Event::TaskListMarker(done) => {
                let marker = if done { "☑ " } else { "☐ " };
                let face = TextStyle::new(if done { Role::Ok } else { Role::Accent });
                if !self.page.replace_marker(marker, face) {
                    self.inline.push(marker, face);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.begin_block(),
            Tag::Heading { level, .. } => {
                self.begin_block();
                self.inline.set_base(heading_style(level));
            }
            Tag::BlockQuote(kind) => {
                self.begin_block();
                let role = kind.map_or(Role::Quote, alert_role);
                self.page.bar("▎ ", TextStyle::new(role));
                self.containers.push(Container::Quote);
                if let Some(kind) = kind {
                    let room = self.page.room();
                    let name = one_line(alert_name(kind), room);
                    self.page.add_row([(name.as_str(), TextStyle::new(role).with(TextStyle::BOLD))]);
                }
                self.set_base();
            }
            Tag::CodeBlock(kind) => {
                self.begin_block();
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
                self.begin_block();
                let next = start.map(|start| self.number.take().unwrap_or(start));
                self.containers.push(Container::List { next });
            }
            Tag::Item => self.start_item(),
            Tag::FootnoteDefinition(name) => {
                self.begin_block();
                self.indent_by_marker(&format!("[{name}] "), TextStyle::new(Role::Accent));
                self.containers.push(Container::Footnote);
            }
            Tag::Table(alignments) => {
                self.begin_block();
                self.table = Some(Table { alignments, rows: Vec::new() });
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
                if matches!(tag, Tag::TableHead) {
                    self.inline.set_base(TextStyle::new(Role::Heading).with(TextStyle::BOLD));
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
                    self.html_block(&html, None);
                }
                self.gap |= self.flush_text(true);
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
                    code::lay_out(&mut self.page, &label, &code);
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
                    table::lay_out(&mut self.page, &table);
                }
                self.gap = true;
            }
            _ => {}
        }
    }

    fn start_item(&mut self) {
        self.begin_block();
        let depth = self.containers.iter().filter(|container| matches!(container, Container::List { .. })).count();
        let marker = match self.containers.last_mut() {
            Some(Container::List { next: Some(next) }) => {
                let number = *next;
                *next = next.saturating_add(1);
                format!("{number}. ")
            }
            _ => ["• ", "◦ ", "▪ "].get((depth.max(1) - 1) % 3).map_or_else(String::new, ToString::to_string),
        };
        self.indent_by_marker(&marker, TextStyle::new(Role::Accent));
        self.containers.push(Container::Item { loose: false });
    }

    /// Indents by a marker; where there is no room for that, the marker stands in the text.
    fn indent_by_marker(&mut self, marker: &str, face: TextStyle) {
        if !self.page.indent(marker, face) {
            self.inline.push(marker, face);
        }
    }

    /// Ends what came before and leaves an empty row where one is due.
    fn begin_block(&mut self) {
        self.flush();
        if std::mem::take(&mut self.gap) {
            self.page.gap();
        }
        self.set_base();
    }

    fn flush(&mut self) {
        if !self.inline.is_empty() {
            self.flush_text(false);
        }
    }

    /// Lays out what was gathered, below an empty row if one is due and wanted. Returns whether there was anything.
    fn flush_text(&mut self, below_gap: bool) -> bool {
        #[cfg(feature = "images")]
        let alone = self.images.map(|known| (known, self.inline.only_images()));
        let mut flow = self.inline.take();
        flow.trim_end();
        #[cfg(feature = "images")]
        let (shown, caption) =
            alone.map(|(known, alone)| known.image_blocks(&alone, self.page.room())).unwrap_or_default();
        #[cfg(feature = "images")]
        if let Some(caption) = caption {
            flow.push(&caption, Role::Dim.into());
        }
        if flow.is_empty() {
            return false;
        }
        if below_gap && std::mem::take(&mut self.gap) {
            self.page.gap();
        }
        self.page.add_wrapped(&flow);
        #[cfg(feature = "images")]
        for image in shown {
            self.page.add_image(image);
        }
        true
    }

    /// Tags are done what they say, and text between them is text.
    pub(super) fn html_block(&mut self, html: &str, inside: Option<html::Raw>) {
        let (pieces, _) = html::split_html(html, inside);
        let mut alone = html::unmatched_in_block(&pieces).into_iter().peekable();
        for (number, piece) in pieces.into_iter().enumerate() {
            match piece {
                html::HtmlPiece::Tag(tag) if alone.next_if_eq(&number).is_some() => self.inline.push_raw_tag(tag),
                html::HtmlPiece::Text(text) => self.inline.push_collapsed(&html::decode_entities(text)),
                html::HtmlPiece::Raw(raw) => self.inline.push(raw.trim_end(), TextStyle::new(Role::Dim)),
                html::HtmlPiece::Tag(tag) => {
                    let (before, after) = html::block_tag_effects(tag);
                    let known = html::tag_effect(tag);
                    if known.is_none() {
                        self.inline.push_raw_tag(tag);
                    }
                    for meaning in before.iter().chain(&known).chain(&after) {
                        self.inline.apply_tag(meaning);
                    }
                }
            }
        }
    }

    pub(super) fn set_base(&mut self) {
        let quoted = self.containers.iter().any(|container| matches!(container, Container::Quote));
        self.inline.set_base(TextStyle::new(if quoted { Role::Quote } else { Role::Text }));
    }

    pub(super) fn finish(mut self) -> LaidOut {
        self.flush();
        self.page.finish()
    }
}

fn heading_style(level: HeadingLevel) -> TextStyle {
    let face = TextStyle::new(Role::Heading).with(TextStyle::BOLD);
    match level {
        HeadingLevel::H1 => face.with(TextStyle::UNDERLINE),
        HeadingLevel::H2 => face,
        HeadingLevel::H3 | HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => face.with(TextStyle::ITALIC),
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

/// Formulas may be written with brackets; the parser wants dollars.
fn with_dollars(source: &str) -> Cow<'_, str> {
    if memchr::memmem::find(source.as_bytes(), b"\\(").is_none()
        && memchr::memmem::find(source.as_bytes(), b"\\[").is_none()
    {
        return Cow::Borrowed(source);
    }
    math::brackets_to_dollars(source, &literal_ranges(source))
}

/// Returns where brackets mean themselves: in code, in tags and in the targets of links.
fn literal_ranges(source: &str) -> Vec<Range<usize>> {
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
