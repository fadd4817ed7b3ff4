//! PURE. Keeps the Markdown of others in its place: nothing of it becomes HTML, a heading of the exporter's levels, or reaches
//! past its end.
//!
//! Works on the source, so that what needs no change stays as it was written.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use crate::text::clean;

/// How far headings go down.
const LEVELS_DOWN: usize = 2;
/// How often HTML is looked for; what still has some goes into a fence.
const MAX_ROUNDS: usize = 4;

/// Returns a text as it may stand among the exporter's own. Ends without a newline.
pub(super) fn contain(text: &str) -> String {
    let text = clean(text);
    let mut out = text.trim_matches('\n').to_owned();
    for _ in 0..MAX_ROUNDS {
        // What was HTML may be something else now.
        let changes = find_html(&out);
        if changes.is_empty() {
            break;
        }
        out = apply(&out, changes);
    }
    out = apply(&out, find_headings(&out));
    if let Some(closing) = open_fence(&out) {
        out.push('\n');
        out.push_str(&closing);
    }
    if is_contained(&out) { out } else { super::fence(&text, "") }
}

fn apply(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (range, new) in changes {
        if range.start >= done {
            out.push_str(&text[done..range.start]);
            out.push_str(&new);
            done = range.end;
        }
    }
    out.push_str(&text[done..]);
    out
}

/// Returns a text as it may stand within a line: nothing of it is markup.
pub(super) fn escape_inline(text: &str) -> String {
    let line = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(line.len());
    for (at, c) in line.char_indices() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => out.extend(['\\', c]),
            '#' | '>' | '+' | '-' | '=' if at == 0 => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn parse(text: &str) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    Parser::new_ext(text, options).into_offset_iter()
}

fn find_html(text: &str) -> Vec<(Range<usize>, String)> {
    let mut changes = Vec::new();
    let mut is_code = false;
    let mut is_autolink = false;
    for (event, range) in parse(text) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                is_code = true;
                // Whether other readers take it for code is not sure.
                if kind == CodeBlockKind::Indented {
                    changes.extend(escape_signs(text, range));
                }
            }
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Start(Tag::Link { link_type, .. }) => {
                is_autolink = matches!(link_type, LinkType::Autolink | LinkType::Email);
            }
            Event::End(TagEnd::Link) => is_autolink = false,
            Event::Html(_) | Event::InlineHtml(_) => changes.extend(escape_signs(text, range)),
            Event::Text(_) if !is_code && !is_autolink => changes.extend(escape_signs(text, range)),
            _ => {}
        }
    }
    changes
}

fn find_headings(text: &str) -> Vec<(Range<usize>, String)> {
    let headings = parse(text).filter_map(|(event, range)| match event {
        Event::Start(Tag::Heading { level, .. }) => lower_heading(text, &range, level),
        _ => None,
    });
    headings.collect()
}

/// Returns whether a heading that follows is read as one, and is the first of its level.
fn is_contained(text: &str) -> bool {
    let probe = format!("{text}\n\n## probe\n");
    let mut depth = 0_usize;
    for (event, range) in parse(&probe) {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => return false,
            Event::Start(Tag::Heading { level: HeadingLevel::H1 | HeadingLevel::H2, .. }) => {
                return depth == 0 && range.start == text.len() + 2;
            }
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn escape_signs(text: &str, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, String)> {
    let signs = text[range.clone()].match_indices('<');
    signs.map(move |(at, _)| (range.start + at..range.start + at + 1, "&lt;".to_owned()))
}

fn lower_heading(text: &str, range: &Range<usize>, level: HeadingLevel) -> Option<(Range<usize>, String)> {
    let source = &text[range.clone()];
    let lower = (level as usize + LEVELS_DOWN).min(6);
    if source.starts_with('#') {
        return Some((range.start..range.start, "#".repeat(lower - level as usize)));
    }
    // Underlined: its lines become one, and the underline goes.
    let source = source.trim_end();
    let (content, _) = source.rsplit_once('\n')?;
    let lines: Vec<&str> = content.lines().map(|line| line.trim_start_matches([' ', '\t', '>'])).collect();
    let line = format!("{} {}", "#".repeat(lower), lines.join(" ").trim());
    Some((range.start..range.start + source.len(), line))
}

/// Returns the line that closes a fence which reaches the end of the text without one.
fn open_fence(text: &str) -> Option<String> {
    let mut depth = 0_usize;
    let mut last = None;
    for (event, range) in parse(text) {
        match event {
            Event::Start(tag) => {
                let is_fence = matches!(tag, Tag::CodeBlock(CodeBlockKind::Fenced(_)));
                if depth == 0 {
                    last = is_fence.then_some(range);
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let source = text.get(last?)?;
    let mark = source.chars().next()?;
    let count = source.chars().take_while(|c| *c == mark).count();
    let mut lines = source.trim_end().lines();
    let end = lines.next_back().filter(|_| source.contains('\n')).map(str::trim).unwrap_or_default();
    let is_closed = end.len() >= count && !end.is_empty() && end.chars().all(|c| c == mark);
    (!is_closed).then(|| mark.to_string().repeat(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_change_stays_as_it_was_written() {
        let text = "One *two* `<b>`\n\n- a\n- b [c](https://d.e)\n\n```html\n<script>\n# x\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |";
        assert_eq!(contain(text), text);
        assert_eq!(contain("see <https://example.org/> now"), "see <https://example.org/> now");
    }

    #[test]
    fn headings_go_below_those_of_the_exporter() {
        assert_eq!(contain("# One\n## Two ##\n###### Six"), "### One\n#### Two ##\n###### Six");
        assert_eq!(contain("One\n===\n\nTwo\nlines\n---\ntext"), "### One\n\n#### Two lines\ntext");
        assert_eq!(contain("> One\n> ---\n\n- # a"), "> #### One\n\n- ### a");
    }

    #[test]
    fn no_html_is_left_outside_of_code() {
        for (text, expected) in [
            ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
            ("a <b>c</b>", "a &lt;b>c&lt;/b>"),
            ("</details>\n\n<h1>x</h1>", "&lt;/details>\n\n&lt;h1>x&lt;/h1>"),
            ("<!-- a\n\n# b\n-->", "&lt;!-- a\n\n### b\n-->"),
            ("1 < 2", "1 &lt; 2"),
        ] {
            assert_eq!(contain(text), expected, "{text}");
        }
    }

    #[test]
    fn a_fence_that_was_left_open_is_closed() {
        assert_eq!(contain("a\n````rust\nfn x()\n```"), "a\n````rust\nfn x()\n```\n````");
        assert_eq!(contain("~~~\nx"), "~~~\nx\n~~~");
        assert_eq!(contain("```\nx\n```"), "```\nx\n```");
        assert_eq!(contain("``` a`b"), "``` a`b");
    }

    #[test]
    fn within_a_line_nothing_is_markup() {
        assert_eq!(escape_inline("# a\n*b* [c](d) <e> `f`"), r"\# a \*b\* \[c\](d) &lt;e> \`f\`");
        assert_eq!(escape_inline("\u{1b}[31mred"), "red");
    }

    proptest::proptest! {
        #[test]
        fn nothing_reaches_out_of_its_place(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "# ", "```", "~~~~", "<div>", "</details>", "<!--", "-->", "\n", "\n\n", "    ", "> ", "- ", "---", "===",
                "a", "`", "&lt;", "[x]: y", "|", "\\", "<?", "<![CDATA[", "]]>", "<pre>", "\t", "1. ", "**",
            ]), 0..24),
        ) {
            let text: String = parts.concat();
            let out = contain(&text);
            proptest::prop_assert!(is_contained(&out), "{text:?} gave {out:?}");
        }
    }
}
