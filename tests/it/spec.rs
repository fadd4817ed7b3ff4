//! The examples of the CommonMark and GFM specifications as tests of our Markdown: the text of their HTML is on the
//! screen.
//!
//! The specifications are not part of this repository because of their license. `JARVIS_TUI_SPEC` names files of
//! examples in the format of CommonMark and GFM (`spec.txt`, `extensions.txt`), several as in `PATH`; `.ci/run` makes
//! such files. Streaming is tested with these examples as well: cut anywhere, they end the same.

use jarvis_tui::text::width::{Grapheme, graphemes, str_width};
use jarvis_tui::ui::markdown::{BlockKind, Definitions, MarkdownBlock, RenderContext, Splitter, lay_block};

use crate::markdown::{boundaries, is_within, same, stream};
use crate::oracle;

const JUDGE: &str = "CommonMark and GFM";

const WIDTHS: [u16; 6] = [1, 2, 20, 40, 80, 140];

struct Example {
    /// The file and the line.
    place: String,
    markdown: String,
    html: String,
}

/// A deliberate deviation, and how to recognize it.
type KnownDeviation = (&'static str, fn(&Example) -> bool);

const ELSEWHERE: KnownDeviation =
    ("a note stands where it is written, by the name it was given", |it| it.html.contains("footnote-ref"));
const NESTED: KnownDeviation = ("an image in an image says what it is and where it goes", |it| nests(&it.markdown));
const WRITTEN: KnownDeviation =
    ("what shows nothing is shown as it is written", |it| it.markdown.contains("> [foo]: /url\n"));

const BESIDE: KnownDeviation =
    ("cells beyond the last column are shown", |it| it.markdown.contains("| bar | baz | boo |"));

/// Returns whether a link or an image is inside an image.
fn nests(markdown: &str) -> bool {
    markdown
        .split_once("![")
        .and_then(|(_, inside)| inside.split_once("]("))
        .is_some_and(|(name, _)| name.contains('['))
}

/// Returns the examples of all named files; empty if none is named.
fn examples() -> Vec<Example> {
    let Some(paths) = std::env::var_os("JARVIS_TUI_SPEC") else {
        oracle::missing(JUDGE, "JARVIS_TUI_SPEC names no file of examples");
        return Vec::new();
    };
    std::env::split_paths(&paths)
        .flat_map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let found = parse(&name, &text);
            assert!(!found.is_empty(), "{name} has no examples");
            found
        })
        .collect()
}

/// An example is between fences of 32 characters, its HTML after a line with a dot; an arrow stands for a tab.
fn parse(name: &str, text: &str) -> Vec<Example> {
    let fence = "`".repeat(32);
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if !line.strip_prefix(&fence).is_some_and(|rest| rest.trim_start().starts_with("example")) {
            continue;
        }
        let mut parts = [String::new(), String::new()];
        let mut part = 0;
        for (_, line) in lines.by_ref().take_while(|(_, line)| *line != fence) {
            if line == "." && part == 0 {
                part = 1;
                continue;
            }
            parts[part].push_str(&line.replace('→', "\t"));
            parts[part].push('\n');
        }
        let [markdown, html] = parts;
        found.push(Example { place: format!("{name}:{}", at + 1), markdown, html });
    }
    found
}

/// What a reader sees of HTML, piece by piece.
#[derive(Debug, PartialEq)]
enum SpecNode {
    Text(String),
    /// An address that may be shown, in brackets.
    Target(String),
    /// Text that may be shown in addition: a number, a literal tag.
    Aside(String),
    /// The first word of the info string above code.
    Label(String),
}

fn seen(html: &str) -> Vec<SpecNode> {
    let mut seen = Vec::new();
    let mut lists: Vec<Option<u64>> = Vec::new();
    let mut links: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        seen.push(SpecNode::Text(plain(&rest[..at])));
        rest = &rest[at..];
        let end = match rest {
            _ if rest.starts_with("<!--") => rest.find("-->").map(|at| at + 3),
            _ if rest.starts_with("<![CDATA[") => rest.find("]]>").map(|at| at + 3),
            _ if rest.starts_with("<?") => rest.find("?>").map(|at| at + 2),
            _ => tag_end(rest),
        };
        let (tag, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        let name = tag.split(|c: char| !c.is_ascii_alphanumeric() && !"</".contains(c)).next().unwrap_or("");
        match name {
            "<img" => {
                seen.push(SpecNode::Aside("[image:".into()));
                seen.push(SpecNode::Text(attribute(tag, "alt")));
                seen.push(SpecNode::Aside("]".into()));
                seen.push(SpecNode::Target(attribute(tag, "src")));
            }
            "<a" => links.push(attribute(tag, "href")),
            "</a" => seen.extend(links.pop().map(SpecNode::Target)),
            "<ol" => lists.push(Some(attribute(tag, "start").parse().unwrap_or(1))),
            "<ul" => lists.push(None),
            "</ol" | "</ul" => drop(lists.pop()),
            "<li" => {
                if let Some(Some(number)) = lists.last_mut() {
                    seen.push(SpecNode::Aside(format!("{number}.")));
                    *number += 1;
                }
            }
            "<code" => seen.push(SpecNode::Label(attribute(tag, "class").replacen("language-", "", 1))),
            _ if tag == "<div>" => {}
            _ => seen.push(SpecNode::Aside(plain(tag))),
        }
    }
    seen.push(SpecNode::Text(plain(rest)));
    seen
}

/// Returns the characters without white space, entities decoded.
fn plain(html: &str) -> String {
    let decoded = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    decoded.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split_once(&format!("{name}=\"")).and_then(|(_, value)| value.split('"').next());
    plain(value.unwrap_or(""))
}

fn text(seen: &[SpecNode]) -> String {
    seen.iter().map(|seen| if let SpecNode::Text(text) = seen { text } else { "" }).collect()
}

/// A bracket between quotes doesn't end a tag.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Lays out blocks as the transcript does.
fn rows<'a>(
    text: &str,
    blocks: impl IntoIterator<Item = &'a MarkdownBlock>,
    definitions: Option<&Definitions>,
    width: u16,
) -> Vec<String> {
    let mut rows = Vec::new();
    for block in blocks {
        if block.gap {
            rows.push(String::new());
        }
        let setting = RenderContext { definitions, width, ..RenderContext::default() };
        rows.extend(lay_block(block.source(text), block.kind, setting).to_strings());
    }
    rows
}

/// Returns what is missing on a screen of that width.
fn missing(example: &Example, width: u16) -> Option<String> {
    let Example { place, markdown, html } = example;
    let rows = rows(markdown, Splitter::split(markdown).stable(), Some(&Definitions::parse(markdown)), width);
    if let Some(row) = rows.iter().find(|row| str_width(row) > usize::from(width) || row.contains(char::is_control)) {
        return Some(format!("{place} at {width}: the row {row:?}"));
    }
    let fits = |cell: &Grapheme<'_>| cell.width <= usize::from(width);
    let wanted: String = graphemes(&text(&seen(html))).filter(fits).map(|cell| cell.text).collect();
    let shown = rows.concat();
    // Cells of a table are side by side, each wrapped on its own.
    let found = if html.contains("<table") { holds(&shown, &wanted) } else { is_within(&wanted, &shown) };
    (!found).then(|| format!("{place} at {width}: {markdown:?}\n  wanted {wanted:?}\n  found  {rows:?}"))
}

/// Returns whether each character occurs as often as wanted, in any order.
fn holds(shown: &str, wanted: &str) -> bool {
    let mut left: Vec<char> = shown.chars().collect();
    wanted.chars().all(|c| left.iter().position(|&other| other == c).map(|at| left.swap_remove(at)).is_some())
}

/// Bars, bullets, boxes and rules.
const DRAWN: &str = "•◦▪│┊▎─┼☑☐";

/// Returns what is on a wide screen but not in the example.
fn besides(Example { place, markdown, html }: &Example) -> Option<String> {
    let rows = rows(markdown, Splitter::split(markdown).stable(), Some(&Definitions::parse(markdown)), 10_000);
    let bare = |text: &str| -> String { plain(text).replace(|c| DRAWN.contains(c), "") };
    let shown = rows.iter().map(|row| bare(row)).collect::<String>();
    let mut rest = shown.as_str();
    let seen = seen(html);
    if text(&seen).is_empty() {
        // What renders to nothing is shown as source.
        return None;
    }
    for seen in &seen {
        rest = match seen {
            SpecNode::Text(text) => match rest.strip_prefix(bare(text).as_str()) {
                Some(rest) => rest,
                None => {
                    return Some(format!("{place}: {markdown:?}\n  wanted {text:?}\n  found  {rest:?} of {rows:?}"));
                }
            },
            SpecNode::Target(url) => rest.strip_prefix('(').map_or(rest, |target| {
                let is = |at: &usize| target[..*at] == decoded(url) || decoded(&target[..*at]) == decoded(url);
                target.match_indices(')').map(|(at, _)| at).find(is).map_or(rest, |at| &target[at + 1..])
            }),
            SpecNode::Label(word) => {
                let row =
                    rows.iter().map(|row| bare(row)).find(|row| !word.is_empty() && row.starts_with(word.as_str()));
                row.map_or(rest, |row| rest.strip_prefix(row.as_str()).unwrap_or(rest))
            }
            SpecNode::Aside(aside) => rest.strip_prefix(bare(aside).as_str()).unwrap_or(rest),
        };
    }
    (!rest.is_empty()).then(|| format!("{place}: {markdown:?}\n  more   {rest:?}\n  found  {rows:?}"))
}

/// Decodes percent escapes.
fn decoded(url: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = url.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    plain(&String::from_utf8_lossy(&bytes))
}

/// Checks all examples except known deviations, and prints how many agree.
fn judge(question: &str, ours: &[KnownDeviation], check: impl Fn(&Example) -> Option<String>) {
    let examples = examples();
    let asked: Vec<&Example> = examples.iter().filter(|example| !ours.iter().any(|(_, is)| is(example))).collect();
    let wrong: Vec<String> = asked.iter().filter_map(|example| check(example)).collect();
    for (why, is) in ours {
        println!("{} not asked: {why}", examples.iter().filter(|example| is(example)).count());
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    if !examples.is_empty() {
        oracle::judged(JUDGE, &format!("{question}, {} of {} examples asked", asked.len(), examples.len()));
    }
}

#[test]
fn what_the_specifications_show_is_on_the_screen_at_every_width() {
    judge("nothing is missing", &[ELSEWHERE], |example| WIDTHS.iter().find_map(|&width| missing(example, width)));
}

#[test]
fn nothing_is_on_the_screen_that_the_specifications_do_not_show() {
    judge("nothing is there besides", &[ELSEWHERE, NESTED, WRITTEN, BESIDE], besides);
}

#[test]
fn the_specifications_stream_as_they_stand_however_they_are_cut() {
    let examples = examples();
    for Example { place, markdown, .. } in &examples {
        let whole = Splitter::split(markdown);
        let places = boundaries(markdown);
        for &place in &places {
            let part = &markdown[..place];
            let streamed = stream(part, &[]);
            let rows = rows(part, streamed.stable().iter().chain(&streamed.tail(part)), None, 20);
            assert!(
                rows.iter().all(|row| str_width(row) <= 20 && !row.contains(char::is_control)),
                "{part:?} {rows:?}"
            );
        }
        let cuts = places.iter().map(std::slice::from_ref).chain([&places[..]]);
        for cuts in cuts {
            let how = format!("{place}, cut at {cuts:?}");
            let mut streamed = stream(markdown, cuts);
            let tail = streamed.tail(markdown);
            // A definition changes earlier text; a finished message is split once more.
            if markdown.contains("]:") {
                continue;
            }
            same(markdown, &streamed, &whole, &how);
            // A table is held back until it ends.
            if tail.is_none_or(|tail| tail.kind != BlockKind::OpenTable) {
                for width in [1, 20, 80] {
                    let open = rows(markdown, streamed.stable().iter().chain(&tail), None, width);
                    assert_eq!(open, rows(markdown, whole.stable(), None, width), "{how}");
                }
            }
            streamed.finish(markdown);
            assert_eq!(streamed.stable(), whole.stable(), "{how}");
        }
    }
    if !examples.is_empty() {
        oracle::judged(JUDGE, &format!("cut anywhere, {} examples", examples.len()));
    }
}
