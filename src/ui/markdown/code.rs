//! Code blocks: a label, a bar, and lines that are cut but never re-flowed; a diagram is drawn where it can be.
//!
//! Not for finding fences; that is the splitter's and the parser's work.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

use super::mermaid;
use super::syntax::Syntax;
use crate::text::{clean::one_line, width};
use crate::ui::text_layout::laid_out::{LaidOut, LayoutBuilder};
use crate::ui::theme::{Role, TextStyle};

/// In front of a line of code, and of what is left of one that was too long.
const CODE_EDGES: (&str, &str) = ("│ ", "┊ ");

/// A part of a fenced block as the splitter found it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodePart {
    pub(super) first: bool,
    pub(super) closed: bool,
    pub(super) indent: u8,
    pub(super) syntax: Syntax,
}

pub(super) fn lay_part(source: &str, part: CodePart, width: u16) -> LaidOut {
    let CodePart { first, closed, indent, syntax } = part;
    let mut page = LayoutBuilder::new(width);
    let mut body = source;
    let mut label = String::new();
    if first {
        let (opening, rest) = source.split_once('\n').unwrap_or((source, ""));
        label = label_of(opening);
        body = rest;
    }
    let body = if closed {
        let trimmed = body.strip_suffix('\n').unwrap_or(body);
        trimmed.rfind('\n').map_or("", |at| &trimmed[..=at])
    } else {
        body
    };
    let stripped: String = match indent {
        0 => body.to_owned(),
        indent => body.split_inclusive('\n').map(|line| strip_indent(line, indent)).collect(),
    };
    if first {
        lay_label(&mut page, &label);
    }
    // Only once it is whole: a drawing would move with every line.
    let is_diagram = first && closed && label.split_whitespace().next() == Some("mermaid");
    if is_diagram && let Some(rows) = mermaid::draw(&stripped, page.room()) {
        for row in &rows {
            page.add_row(row.iter().map(|(text, style)| (text.as_str(), *style)));
        }
        return page.finish();
    }
    // Only the first part of an empty block shows an empty row.
    if !stripped.is_empty() || (first && closed) {
        lay_lines(&mut page, syntax, &stripped);
    }
    page.finish()
}

/// Returns what stands behind a fence, with its entities and escapes resolved.
fn label_of(opening: &str) -> String {
    match Parser::new(opening).next() {
        Some(Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(label)))) => label.into_string(),
        _ => opening.trim().trim_start_matches(['`', '~']).trim().to_owned(),
    }
}

/// Lays out a code block that stands inside another block.
pub(super) fn lay_out(page: &mut LayoutBuilder, label: &str, code: &str) {
    lay_label(page, label);
    lay_lines(page, Syntax::named(label), code);
}

fn lay_label(page: &mut LayoutBuilder, label: &str) {
    let label = one_line(label, page.room());
    if !label.is_empty() {
        page.add_row([(label.as_str(), TextStyle::new(Role::CodeEdge))]);
    }
}

/// Lays out lines of code in the colours of their language.
fn lay_lines(page: &mut LayoutBuilder, mut syntax: Syntax, code: &str) {
    let code = code.strip_suffix('\n').unwrap_or(code);
    let code = width::expand_tabs(code, 4);
    page.add_edged(&code, CODE_EDGES, TextStyle::new(Role::CodeEdge), |line, flow| {
        syntax.line(line, &mut |text, role| flow.push(text, TextStyle::new(role)));
    });
}

fn strip_indent(line: &str, indent: u8) -> &str {
    let blanks = line.bytes().take(usize::from(indent)).take_while(|&byte| byte == b' ').count();
    line.get(blanks..).unwrap_or(line)
}
