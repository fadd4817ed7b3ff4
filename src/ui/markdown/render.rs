//! One block of Markdown to rows at a width.
//!
//! Not for caching and not for knowing what else the message holds: link definitions are handed in. The invariant: a
//! block is laid out the same whatever stands around it.

mod context;
mod writer;

use pulldown_cmark::{Event, Parser, TagEnd};

pub use self::context::{Images, RenderContext};
use self::writer::MarkdownWriter;
use super::blocks::BlockKind;
use super::{code, options, table};
use crate::text::clean::one_line;
use crate::text::width::str_width;
use crate::ui::text_layout::laid_out::{LaidOut, LayoutBuilder, StyledText};
use crate::ui::theme::{Role, TextStyle};

/// Rows of a table that is being written; with more, its columns will hardly move any more.
const MAX_HELD_TABLE_ROWS: usize = 12;

/// Lays out one block.
pub fn lay_block(source: &str, kind: BlockKind, setting: RenderContext<'_>) -> LaidOut {
    lay_with_images(source, kind, setting, Images::default())
}

/// Lays out one block in which pictures that stand alone are drawn.
pub fn lay_with_images(source: &str, kind: BlockKind, setting: RenderContext<'_>, images: Images<'_>) -> LaidOut {
    let width = setting.width;
    let number = match kind {
        BlockKind::Code { first, closed, indent, syntax } => {
            return code::lay_part(source, code::CodePart { first, closed, indent, syntax }, width);
        }
        BlockKind::OpenTable => return lay_open_table(source, setting),
        BlockKind::TableRows { first, open, head, sample } => {
            let sample = setting.text.get(head as usize..sample as usize).unwrap_or("");
            let rows = if open { whole_lines(source) } else { source };
            return lay_rows(rows, sample, first, setting);
        }
        BlockKind::Tags { inside } => {
            let mut writer = MarkdownWriter::new(width, None);
            writer.page.limit_prose(setting.prose_columns);
            writer.images = images;
            writer.inline.show_link_targets = setting.show_link_targets;
            writer.set_base();
            writer.html_block(source, inside);
            return writer.finish();
        }
        BlockKind::Item { number } => number,
        BlockKind::Paragraphs => None,
    };
    let mut writer = MarkdownWriter::new(width, number);
    writer.page.limit_prose(setting.prose_columns);
    writer.images = images;
    writer.inline.show_link_targets = setting.show_link_targets;
    writer.read(source, setting);
    let laid = writer.finish();
    // Only definitions: better shown as they are than not at all.
    let is_html = source.trim_start().starts_with('<');
    if laid.rows() == 0 && !source.trim().is_empty() && !is_html { lay_source(source, width) } else { laid }
}

/// A table is held back while each row may move its columns: till then one row says what is being written.
fn lay_open_table(source: &str, setting: RenderContext<'_>) -> LaidOut {
    let whole = whole_lines(source);
    let mut ends = memchr::memchr_iter(b'\n', whole.as_bytes());
    let head = ends.nth(1).map_or(whole.len(), |at| at + 1);
    let rows = ends.count();
    if rows > MAX_HELD_TABLE_ROWS {
        return lay_block(whole, BlockKind::Paragraphs, setting);
    }
    let mut writer = MarkdownWriter::new(setting.width, None);
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
    let mut page = LayoutBuilder::new(setting.width);
    let room = page.room();
    let names = one_line(&format!("… table: {}", names.join(", ")), room.saturating_sub(str_width(&count)));
    page.add_row([(one_line(&(names + &count), room).as_str(), TextStyle::new(Role::Dim))]);
    page.finish()
}

/// Returns all but a last line without its end.
pub fn whole_lines(source: &str) -> &str {
    source.get(..memchr::memrchr(b'\n', source.as_bytes()).map_or(0, |at| at + 1)).unwrap_or("")
}

/// Lays out rows of a table whose first rows, with its head, are the sample.
fn lay_rows(rows: &str, sample: &str, first: bool, setting: RenderContext<'_>) -> LaidOut {
    if rows.is_empty() {
        return LaidOut::default();
    }
    let head = memchr::memchr_iter(b'\n', sample.as_bytes()).nth(1).map_or("", |at| sample.get(..=at).unwrap_or(""));
    let read = |source: &str| {
        let mut writer = MarkdownWriter::new(setting.width, None);
        writer.inline.show_link_targets = setting.show_link_targets;
        writer.keeps_table = true;
        writer.read(source, setting);
        writer.table
    };
    let table = if first { read(rows) } else { read(&[head, rows].concat()) };
    let Some(table) = table else { return lay_block(rows, BlockKind::Paragraphs, setting) };
    let mut page = LayoutBuilder::new(setting.width);
    // Columns that can't stand side by side need not be measured.
    let measured = !first && table::may_fit(table.alignments.len(), page.room());
    let measure = if measured { read(sample) } else { None };
    table::lay_part(&mut page, &table, measure.as_ref().unwrap_or(&table), first);
    page.finish()
}

fn lay_source(source: &str, width: u16) -> LaidOut {
    let mut page = LayoutBuilder::new(width);
    page.add_wrapped(&StyledText::of(&source.trim_end().replace('\t', "    "), Role::Dim.into()));
    page.finish()
}
