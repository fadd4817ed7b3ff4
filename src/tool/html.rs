//! Converts HTML to Markdown; pages may be hostile.
//!
//! Deep nesting makes the parser slow and overflows the converter's stack, and misnested formatting multiplies nodes
//! without end. So the page is parsed piece by piece, checking depth and time after each, on a thread with a stack of
//! its own. The text of a rejected page is still available without its tags.

use std::rc::Rc;
use std::time::{Duration, Instant};

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Node, RcDom};

/// Well-formed pages stay far below. The converter copies text once per level, so this bounds its time as well.
const MAX_ELEMENT_DEPTH: usize = 400;
/// Measured: a page of 1 MB parses in a few hundredths of a second.
const PARSE_TIMEOUT: Duration = Duration::from_secs(1);
const PARSE_CHUNK_BYTES: usize = 8 << 10;
const STACK_BYTES: usize = 64 << 20;

/// Converts a page. The error says why it could not be converted.
pub(super) fn to_markdown(html: String) -> Result<String, String> {
    let thread = std::thread::Builder::new().name("html".into()).stack_size(STACK_BYTES).spawn(move || convert(&html));
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the converter crashed on the page".into()),
        Err(error) => Err(format!("can't start a thread to convert the page: {error}")),
    }
}

fn convert(html: &str) -> Result<String, String> {
    let converter = HtmlToMarkdown::builder()
        .skip_tags(vec!["script", "style", "noscript", "svg", "iframe", "template", "object", "canvas"])
        .add_handler(vec!["img"], handle_image)
        .build();
    let tree = parse(html)?;
    Ok(collapse_blank_lines(&converter.tree_to_markdown(&tree)))
}

/// Inline images are kilobytes of base64.
fn handle_image(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let inline = element.attrs.iter().any(|attr| &*attr.name.local == "src" && attr.value.starts_with("data:"));
    if inline { None } else { handlers.fallback(element) }
}

fn parse(html: &str) -> Result<Rc<Node>, String> {
    let start = Instant::now();
    let dom = RcDom::default();
    let tree = dom.document.clone();
    let mut parser = parse_document(dom, ParseOpts::default());
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(PARSE_CHUNK_BYTES));
        parser.process(StrTendril::from_slice(piece));
        rest = behind;
        if open_depth(&tree) > MAX_ELEMENT_DEPTH {
            return Err(too_deep());
        }
        if start.elapsed() > PARSE_TIMEOUT {
            return Err("the page takes too long to convert".into());
        }
    }
    parser.finish();
    if is_deeper(&tree, MAX_ELEMENT_DEPTH) { Err(too_deep()) } else { Ok(tree) }
}

fn too_deep() -> String {
    format!("the page nests its elements deeper than {MAX_ELEMENT_DEPTH}")
}

/// Returns the depth of the last leaf, which approximates the parser's position. O(depth).
fn open_depth(tree: &Rc<Node>) -> usize {
    let mut node = tree.clone();
    let mut depth = 0;
    while let Some(last) = { node.children.borrow().last().cloned() } {
        node = last;
        depth += 1;
    }
    depth
}

fn is_deeper(tree: &Rc<Node>, limit: usize) -> bool {
    let mut level = vec![tree.clone()];
    for _ in 0..limit {
        level = level.iter().flat_map(|node| node.children.borrow().clone()).collect();
        if level.is_empty() {
            return false;
        }
    }
    true
}

/// Returns the text between the tags. O(text), whatever the page.
pub(super) fn strip_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        rest = match tag.split_once('>') {
            Some((_, behind)) if is_tag => behind,
            Some(_) => {
                text.push('<');
                tag
            }
            None => "",
        };
    }
    text.push_str(rest);
    collapse_blank_lines(&text)
}

/// Keeps at most one blank line in a row and no trailing spaces, inside of fences too.
fn collapse_blank_lines(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    let mut blank = 0;
    for line in text.lines() {
        let line = line.trim_end();
        blank = if line.is_empty() { blank + 1 } else { 0 };
        if blank < 2 {
            squeezed.push_str(line);
            squeezed.push('\n');
        }
    }
    squeezed.trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str) -> Result<String, String> {
        to_markdown(html.to_owned())
    }

    #[test]
    fn pages_become_markdown() {
        let page = "<html><head><title>T</title><style>x{}</style></head><body><h1>Hello</h1>\n\n\n<p>a <b>bold</b> \
                    <a href='/x'>link</a><img src='data:image/png;base64,AAAA'></p><script>evil()</script>\
                    <ul><li>one</ul></body></html>";
        let text = check(page).unwrap();
        for part in ["# Hello", "a **bold** [link](/x)", "one"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("evil") && !text.contains("base64") && !text.contains("x{}"), "{text}");
    }

    #[test]
    fn hostile_pages_end_soon() {
        for tag in ["div", "b", "span", "ul", "table", "svg", "blockquote", "template", "p", "a href=x", "svg><style"] {
            let _ = check(&format!("<{tag}>").repeat(30_000));
        }
        let numbers = || (0..30_000).map(|n| n.to_string());
        let formatting: Vec<String> = numbers().take(300).collect();
        let _ = check(&format!("<b x={}>{}", formatting.join("><b x="), "<p>x".repeat(30_000)));
        let _ = check(&format!("<p a{}>", numbers().collect::<Vec<_>>().join(" a")));
    }

    #[test]
    fn deep_pages_are_refused_before_they_overflow_the_stack() {
        assert!(check(&"<div>".repeat(500)).unwrap_err().contains("deeper"));
        for tag in ["div", "b", "ul", "blockquote", "span"] {
            check(&format!("<{tag}>x").repeat(380)).unwrap();
        }
    }

    #[test]
    fn tags_can_be_dropped_without_reading_the_page() {
        assert_eq!(strip_tags("<p>a <b>b</b> 1 < 2<br/>c<unclosed"), "a b 1 < 2c");
    }

    #[test]
    fn broken_pages_are_read_anyway() {
        for page in ["", "<", "<!--", "<p", "</p></p>", "<?php x ?>", "<table><p>x", "\u{0}<p>x"] {
            check(page).unwrap();
        }
    }
}
