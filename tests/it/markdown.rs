//! Streamed Markdown: cut anywhere it gives the same blocks, and no visible character is lost at any width.

use jarvis_tui::text::width::{Grapheme, graphemes, str_width};
use jarvis_tui::ui::markdown::{BlockKind, Definitions, MarkdownBlock, RenderContext, Splitter, lay_block, options};
use proptest::prelude::*;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// Every construct of CommonMark and GFM, and their combinations.
const SAMPLES: &[&str] = &[
    "",
    "plain",
    "one\ntwo\n\nthree  \nfour\\\nfive\n",
    "# H1\n## H2 ##\n### H3\n#### H4\n##### H5\n###### H6\n####### not\n",
    "Setext one\n===\nSetext\ntwo\n---\ntext\n",
    "para\n# heading interrupts\npara\n***\npara\n",
    "*em* **strong** ***both*** ~~strike~~ `code` ``co`de`` _em_ __strong__ a*b*c snake_case_word\n",
    "\\*not em\\* &amp; &copy; &#35; &unknown;\n",
    "- a\n- b\n- c\n",
    "- a\n\n- b\n\n- c\n",
    "- a\n  continued\nlazy\n- b\n",
    "- a\n  - b\n    - c\n      - d\n- e\n",
    " - a\n  - b\n   - c\n    - d\n- e\n",
    "* a\n* b\n+ c\n- d\n",
    "1. a\n2. b\n10. c\n\n\n7) d\n8) e\n",
    "1. a\n   para\n\n   para two\n\n       code\n2. b\n",
    "text\n2. not a list\n1. a list\n",
    "- [ ] open\n- [x] done\n  - [X] inner\n1. [ ] numbered\n",
    "- a\n\n  > quote\n\n  ```rust\n  code\n  ```\n- b\n",
    "-\n- x\n-\n\n  y\n",
    "- - - nested\n- - x\n",
    "***\n---\n___\n- - -\n",
    "> quote\nlazy\n> more\n\n> another\n>> deep\n>>> deeper\n",
    "> - list\n> - in quote\n>\n> ```\n> code\n> ```\n",
    "> [!NOTE]\n> text\n\n> [!TIP]\n> text\n\n> [!CAUTION]\n> text\n",
    "```\ncode\n\nmore\n```\n",
    "```rust\nfn main() {}\n```\ntext\n~~~~ python title=x\n~~~\n~~~~\n",
    "  ```\n    indented\n  x\n ```\nafter\n",
    "```\nnever closed\n\n# no heading\n",
    "para\n```\ninterrupts\n```\npara\n",
    "    indented code\n\n    more\n\ntext\n",
    "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | `x\\|y` \\| z |\n\nafter\n",
    "para\n| a | b |\n| - | - |\n| 1 |\n| 1 | 2 | 3 |\n> quote ends it\n",
    "a | b\n--|--\n1 | 2\n",
    "|a|\n|-|\n",
    "<div>\n<p>x</p>\n</div>\n\ntext <b>inline</b> <!-- comment -->\n",
    "<!-- a\n\nb -->\ntext\n",
    "<script>\n\nalert(1)\n</script>\npara\n",
    "[link](http://example.com \"title\") <http://auto.link> <me@x.y> [rel](/path) [js](javascript:x)\n",
    "![alt *em*](img.png) [![inner](a.png)](b)\n",
    "text[^1] and[^two]\n\n[^1]: note\n    more note\n\n[^two]: other\n\npara\n",
    "日本語のテキスト、とても長い行です。\n\n- 漢字 👩‍👩‍👧 é ñ\n",
    "# a\n\n\n\n\nb\n   \n\t\nc\n",
    "\n\n   leading blank\n",
    "tab\tin text\n\n-\ttab item\n\n\tcode by tab\n",
    "line one  \r\nline two\r\n\r\npara\r\n",
    "Here is a plan:\n\n1. **Read** the file\n   ```sh\n   cat a.txt\n   ```\n2. Change it:\n   - first `x`\n   - then `y`\n\n| step | cost |\n|------|-----:|\n| one  | 10   |\n\nDone.\n",
    "$x^2$ and $$y$$ ~tilde~ ==mark== :emoji: @user #123\n",
    "a\n\n\n- b\n\n\n  c\n\n\n\nd\n",
];

/// Link definitions may legally change earlier text; these only have to agree once the text is finished.
const WITH_DEFINITIONS: &[&str] = &[
    "[a][ref] and [ref] ![i][ref]\n\n[ref]: http://example.com 'title'\n\nafter [ref]\n",
    "para\n\n[foo]: /url\n\"title\ncontinued\n\nmore\"\n\nend\n",
    "[only]: /definitions\n[two]: /x\n",
];

/// Cases of every construct, alone and nested, separated by `%%%`. Written for this program.
const CORPUS: &[(&str, &str)] = &[
    ("answers", include_str!("../golden/markdown/answers.md")),
    ("code", include_str!("../golden/markdown/code.md")),
    ("definitions", include_str!("../golden/markdown/definitions.md")),
    ("emphasis", include_str!("../golden/markdown/emphasis-and-code-spans.md")),
    ("footnotes", include_str!("../golden/markdown/footnotes.md")),
    ("headings", include_str!("../golden/markdown/headings-and-rules.md")),
    ("html", include_str!("../golden/markdown/html.md")),
    ("links", include_str!("../golden/markdown/links-and-images.md")),
    ("lists", include_str!("../golden/markdown/lists-and-tasks.md")),
    ("math", include_str!("../golden/markdown/math.md")),
    ("paragraphs", include_str!("../golden/markdown/paragraphs.md")),
    ("quotes", include_str!("../golden/markdown/quotes-and-alerts.md")),
    ("tables", include_str!("../golden/markdown/tables.md")),
    ("tabs", include_str!("../golden/markdown/tabs-and-escapes.md")),
    ("wide", include_str!("../golden/markdown/wide.md")),
];

fn corpus() -> impl Iterator<Item = (&'static str, &'static str)> {
    CORPUS.iter().flat_map(|(name, text)| text.split("\n%%%\n").map(move |case| (*name, case)))
}

/// Returns whether the streamed blocks and the open one equal the blocks of the whole text. Link definitions may
/// legally change earlier text; the transcript splits once more when a message ends.
pub(crate) fn same(text: &str, streamed: &Splitter, whole: &Splitter, how: &str) {
    let stable = streamed.stable();
    assert!(whole.stable().starts_with(stable), "{text:?} {how}\n{stable:?}\n{:?}", whole.stable());
    let missing = whole.stable().get(stable.len());
    match streamed.tail(text) {
        Some(tail) => assert_eq!(missing.map(|block| block.start), Some(tail.start), "{text:?} {how}"),
        None => assert!(missing.is_none(), "{text:?} {how} {missing:?}"),
    }
}

#[test]
fn the_corpus_streams_as_it_stands_however_it_is_cut() {
    assert!(corpus().count() > 500);
    for (name, text) in corpus().filter(|(_, text)| !text.contains("]:")) {
        let whole = Splitter::split(text);
        let places = boundaries(text);
        same(text, &stream(text, &places), &whole, &format!("{name}, by characters"));
        for (nth, &cut) in places.iter().enumerate() {
            same(text, &stream(text, &[cut]), &whole, &format!("{name}, cut at {cut}"));
            if places.len() <= 48 {
                for &second in &places[nth..] {
                    same(text, &stream(text, &[cut, second]), &whole, &format!("{name}, cut at {cut} and {second}"));
                }
            }
        }
    }
}

#[test]
fn the_blocks_of_the_corpus_are_the_parsers_own() {
    for (name, text) in corpus().filter(|(name, text)| *name != "definitions" && !text.contains("]:")) {
        assert_eq!(starts(Splitter::split(text).stable()), oracle(text), "{name} {text:?}");
    }
}

#[test]
fn the_corpus_is_on_the_screen_at_every_width() {
    let widths = [1, 2, 20, 40, 80, 140];
    // TeX brackets are parsed as such, where the Markdown parser sees plain characters.
    let texts = corpus().filter(|(name, text)| *name != "math" || !text.contains(['(', '[']));
    let all: Vec<String> =
        texts.flat_map(|(name, text)| widths.map(|width| missing(name, text, width))).flatten().collect();
    assert!(all.is_empty(), "{} missing\n{}", all.len(), all.join("\n"));
}

pub(crate) fn stream(text: &str, cuts: &[usize]) -> Splitter {
    let mut splitter = Splitter::default();
    for &cut in cuts {
        splitter.advance(&text[..cut]);
    }
    splitter.advance(text);
    splitter
}

pub(crate) fn boundaries(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

/// Returns where the parser itself begins top-level blocks, list items included.
fn oracle(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut depth = 0;
    // Consecutive HTML blocks are one.
    let mut in_tags = false;
    let mut in_list = false;
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let follows_tags = depth == 0 && std::mem::replace(&mut in_tags, matches!(event, Event::Start(Tag::HtmlBlock)));
        match event {
            Event::Start(tag) => {
                match tag {
                    Tag::HtmlBlock if follows_tags => {}
                    Tag::List(_) if depth == 0 => in_list = true,
                    Tag::Item if depth == 1 && in_list => starts.push(start),
                    _ if depth == 0 => starts.push(start),
                    _ => {}
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth -= 1;
                in_list &= !(depth == 0 && matches!(tag, TagEnd::List(_)));
            }
            _ if depth == 0 => starts.push(start),
            _ => {}
        }
    }
    starts
}

fn starts(blocks: &[MarkdownBlock]) -> Vec<usize> {
    blocks
        .iter()
        .filter(|block| !matches!(block.kind, BlockKind::Code { first: false, .. }))
        .map(|block| block.start as usize)
        .collect()
}

/// Lays out the whole text as the transcript does.
fn rows(text: &str, width: u16) -> Vec<String> {
    let definitions = Definitions::parse(text);
    let splitter = Splitter::split(text);
    splitter
        .stable()
        .iter()
        .flat_map(|block| {
            lay_block(
                block.source(text),
                block.kind,
                RenderContext { definitions: Some(&definitions), text, width, ..RenderContext::default() },
            )
            .to_strings()
        })
        .collect()
}

/// Returns the characters that a reader has to see: all text and code, without white space.
fn visible(text: &str) -> String {
    let mut seen = String::new();
    let mut html = String::new();
    for event in Parser::new_ext(text, options()) {
        match event {
            Event::Text(text) | Event::Code(text) => {
                seen.extend(text.chars().filter(|c| !c.is_whitespace() && !c.is_control()));
            }
            Event::Html(text) => html.push_str(&text),
            Event::End(TagEnd::HtmlBlock) => {
                let text = std::mem::take(&mut html);
                seen.extend(untagged(&text).chars().filter(|c| !c.is_whitespace() && !c.is_control()));
            }
            Event::InlineHtml(text) => {
                seen.extend(untagged(&text).chars().filter(|c| !c.is_whitespace() && !c.is_control()));
            }
            _ => {}
        }
    }
    seen
}

/// Returns the text between tags; a comment is text as well.
fn untagged(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        if rest.starts_with("<!") {
            out.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out + rest
}

/// Returns whether `needle` is in `hay` with other characters in between, such as those from wrapping and bars.
pub(crate) fn is_within(needle: &str, hay: &str) -> bool {
    let mut hay = hay.chars();
    needle.chars().all(|wanted| hay.any(|c| c == wanted))
}

#[test]
fn blocks_are_the_parsers_own() {
    for text in SAMPLES {
        assert_eq!(starts(Splitter::split(text).stable()), oracle(text), "{text:?}");
    }
}

#[test]
fn cut_at_every_place_the_blocks_are_the_same() {
    for text in SAMPLES {
        let whole = Splitter::split(text);
        for cut in boundaries(text) {
            let streamed = stream(text, &[cut]);
            assert!(whole.stable().starts_with(streamed.stable()), "{text:?} cut at {cut}");
        }
        let streamed = stream(text, &boundaries(text));
        assert!(whole.stable().starts_with(streamed.stable()), "{text:?} by characters");
        let missing = &whole.stable()[streamed.stable().len()..];
        match streamed.tail(text) {
            Some(tail) => assert_eq!(missing.first().map(|block| block.start), Some(tail.start), "{text:?}"),
            None => assert!(missing.is_empty(), "{text:?} {missing:?}"),
        }
    }
}

/// Returns what is missing: every character that a reader has to see is on some row, in order except in tables, and no
/// row is too wide.
fn missing(name: &str, text: &str, width: u16) -> Option<String> {
    let rows = rows(text, width);
    // Superscript digits and letters stand for themselves.
    let hay: String = rows.iter().flat_map(|row| row.chars()).map(|c| if c == '²' { '2' } else { c }).collect();
    let hay = hay.replace('ᵢ', "i");
    if let Some(row) = rows.iter().find(|row| str_width(row) > usize::from(width) || row.contains(char::is_control)) {
        return Some(format!("{name} {text:?} at {width}: the row {row:?}"));
    }
    // Characters wider than the screen are not shown.
    let fits = |cell: &Grapheme<'_>| cell.width <= usize::from(width);
    let wanted: String = graphemes(&visible(text)).filter(fits).map(|cell| cell.text).collect();
    // Cells of a wrapped table are side by side, and the parser reports footnotes where they are defined.
    let ordered = !["tables", "footnotes"].contains(&name) && !text.contains("-|") && !text.contains("| -");
    let found = if ordered { is_within(&wanted, &hay) } else { wanted.chars().all(|c| hay.contains(c)) };
    (!found).then(|| format!("{name} {text:?} at {width}\n  wanted {wanted:?}\n  found  {hay:?}"))
}

#[test]
fn every_visible_character_is_shown_at_every_width() {
    let samples = SAMPLES.iter().chain(WITH_DEFINITIONS);
    let all: Vec<String> = samples
        .flat_map(|text| [1, 2, 3, 5, 8, 20, 40, 80, 140].map(|width| missing("samples", text, width)))
        .flatten()
        .collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn what_stands_between_angle_brackets_and_is_no_html_is_text() {
    let text = "Usage: cp <source> <target>, then wait <time>.\n\nRun vector<i> and Option<b>; if x <a and y> z.\n\n\
                Wrap it in <body> or <main>, then stop.\n\n# Vec<b>\n\n- HashSet<u>\n\n> f<s>(x)\n\n\
                | a<b> | c<i> |\n|---|---|\n| d<q> | <b>e</b> |\n\n\
                fn f<T>(v: Vec<String>) and Map<K, V>; <your name> <you@here> <http://x.y>; a < b > c, 1<2>1.\n\n\
                - <|im_start|>user <s>\n- <<EOF and <-x-> or <=>\n\n<your-app> starts the line.\n\n<T> too\n";
    for width in [40, 74, 140] {
        let shown = rows(text, width).join(" ");
        for part in [
            "cp <source> <target>, then",
            "wait <time>.",
            "vector<i> and",
            "Option<b>; if x",
            "x <a and y> z.",
            "<body> or <main>, then",
            "Vec<b>",
            "HashSet<u>",
            "f<s>(x)",
            "a<b> ",
            "c<i>",
            "d<q> ",
            " e",
            "fn f<T>(v: Vec<String>) and",
            "Map<K, V>;",
            "<your name>",
            "a < b > c,",
            "1<2>1.",
            "<|im_start|>user",
            "<s>",
            "<<EOF and <-x-> or <=>",
            "<your-app> starts the",
            "<T> too",
        ] {
            assert!(shown.contains(part), "{part} at {width}: {shown}");
        }
    }
}

#[test]
fn no_cell_of_a_table_is_lost_to_a_bar() {
    let text = "| Name | Regex | Note |\n|---|---|---|\n| alt | `a|b` | matches either |\n| or | x || y | logical or |\n\
                | more | c | d | e | f |\n| esc | `g\\|h` | `i|j` |\n| tick | ``k`|`l`` | `m` |\n";
    for text in [
        text.to_owned(),
        format!("> {}", text.trim_end().replace('\n', "\n> ")),
        format!("- {}", text.replace('\n', "\n  ")),
    ] {
        let shown = rows(&text, 66).join("\n");
        for part in [
            "alt  │ a|b    │ matches either",
            "or   │ x || y │ logical or",
            "more │ c      │ d | e | f",
            "esc  │ g|h    │ i|j",
            "tick │ k`|`l  │ m",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        // Too narrow for columns.
        let narrow = rows(&text, 14).join(" ");
        for part in ["matches", "either", "logical", "| f"] {
            assert!(narrow.contains(part), "{part}\n{narrow}");
        }
    }
}

#[test]
fn a_row_ends_between_words_where_there_are_blanks() {
    let text = "हिन्दी: मैं समझ गया, क्षमा कीजिए। ग्राहक सेवा के बारे में पाँच वाक्य लिखें और देखें कि शब्द बिखरते नहीं हैं।\n";
    let words: Vec<&str> = text.split_whitespace().collect();
    for before in ["", "# ", "- ", "> ", "1. "] {
        for width in [14, 26, 40] {
            for row in rows(&format!("{before}{text}"), width) {
                let own = row.trim_start_matches(['•', '▎', '1', '.', ' ']);
                assert!(own.split_whitespace().all(|word| words.contains(&word)), "{row} at {width}");
            }
        }
    }
}

#[test]
fn late_definitions_reach_earlier_blocks() {
    let shown = rows(WITH_DEFINITIONS[0], 80).join("\n");
    assert!(shown.contains("a and ref [image: i]"), "{shown}");
}

#[test]
fn of_many_definitions_a_block_gets_its_own() {
    let notes: Vec<String> = (0..400)
        .map(|nth| format!("[name {nth}]: http://example.com/{nth}\n'title of it'\n\n[^{nth}]: note\n\n"))
        .collect();
    let text = "[Name\n7] and [x][name  300], [name 301] [none] ![i][name 5] see[^42]\n\n".to_owned() + &notes.concat();
    let definitions = Definitions::parse(&text);
    assert!(definitions.as_str().len() > 8 * 1024);
    let block = Splitter::split(&text).stable()[0];
    let setting = RenderContext {
        definitions: Some(&definitions),
        text: &text,
        width: 200,
        show_link_targets: true,
        ..RenderContext::default()
    };
    let shown = lay_block(block.source(&text), block.kind, setting).to_strings().join(" ");
    for part in
        ["Name 7 (http://example.com/7)", "x (http://example.com/300)", "(http://example.com/301)", "[none]", "/5)"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("[42]") && !shown.contains("[^42]"), "{shown}");
}

fn document() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        (proptest::sample::select(SAMPLES), proptest::sample::select(&["", "\n", "\n\n", " ", "> ", "- "][..])),
        1..6,
    )
    .prop_map(|parts| parts.into_iter().flat_map(|(text, glue)| [text, glue]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streamed_is_one_shot(text in document(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let places = boundaries(&text);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| places[cut.index(places.len())]).collect();
        cuts.sort_unstable();
        let whole = Splitter::split(&text);
        let streamed = stream(&text, &cuts);
        prop_assert!(whole.stable().starts_with(streamed.stable()), "{:?}\n{:?}", whole.stable(), streamed.stable());
        prop_assert_eq!(starts(whole.stable()), oracle(&text));
    }

    #[test]
    fn any_text_lays_out(text in "[a-z \n#>*`|~\\[\\]()!<:0-9.-]{0,200}", width in 1u16..60) {
        for row in rows(&text, width) {
            prop_assert!(str_width(&row) <= usize::from(width));
        }
    }
}
