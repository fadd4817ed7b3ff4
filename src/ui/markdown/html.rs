//! The tags that people write into Markdown: what the usual ones mean in cells.
//!
//! Not a browser. The invariant: a tag that isn't known is shown as it is written, so is a comment and a tag that needs a
//! partner and has none, for `cp <source>` and `vector<i>` are no HTML; text between tags is always shown.

use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

/// What a tag does to the text around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagEffect {
    Bold(bool),
    Italic(bool),
    Strike(bool),
    Underline(bool),
    Code(bool),
    Script {
        opens: bool,
        up: bool,
    },
    /// A new row begins.
    Break,
    Text(&'static str),
    Nothing,
    /// Begins with a target, ends without.
    Link(Option<String>),
    Image {
        alt: String,
        url: String,
    },
}

/// A piece of a block of HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HtmlPiece<'a> {
    Text(&'a str),
    Tag(&'a str),
    /// A comment, a script: shown as it is written.
    Raw(&'a str),
}

/// What is shown as it is written, up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    Comment,
    Data,
    Declaration,
    Instruction,
    Script,
    Style,
    Textarea,
}

impl Raw {
    pub(super) fn begun_by(tag: &str) -> Option<Self> {
        Some(match () {
            () if tag.starts_with("<!--") => Self::Comment,
            () if tag.starts_with("<![CDATA[") => Self::Data,
            () if tag.starts_with("<!") => Self::Declaration,
            () if tag.starts_with("<?") => Self::Instruction,
            () if is_named(tag, "<script") => Self::Script,
            () if is_named(tag, "<style") => Self::Style,
            () if is_named(tag, "<textarea") => Self::Textarea,
            () => return None,
        })
    }

    /// Returns a line that begins it.
    pub(super) fn opening(self) -> &'static str {
        match self {
            Self::Comment => "<!--\n",
            Self::Data => "<![CDATA[\n",
            Self::Declaration => "<!A\n",
            Self::Instruction => "<?\n",
            Self::Script => "<script>\n",
            Self::Style => "<style>\n",
            Self::Textarea => "<textarea>\n",
        }
    }

    /// Returns where it ends.
    fn end(self, text: &str) -> Option<usize> {
        let close = match self {
            Self::Comment => "-->",
            Self::Data => "]]>",
            Self::Declaration => ">",
            Self::Instruction => "?>",
            Self::Script => "</script>",
            Self::Style => "</style>",
            Self::Textarea => "</textarea>",
        };
        memchr::memmem::find(text.as_bytes(), close.as_bytes()).map(|at| at + close.len())
    }
}

/// Returns what a tag means, or none where it is better shown.
pub(super) fn tag_effect(tag: &str) -> Option<TagEffect> {
    let inside = tag.strip_prefix('<')?.strip_suffix('>')?;
    let (opens, inside) = inside.strip_prefix('/').map_or((true, inside), |inside| (false, inside));
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let name = inside.get(..end)?.to_ascii_lowercase();
    let attributes = inside.get(end..)?;
    Some(match name.as_str() {
        "b" | "strong" | "th" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "summary" | "dt" => TagEffect::Bold(opens),
        "i" | "em" | "cite" | "var" | "dfn" => TagEffect::Italic(opens),
        "s" | "del" | "strike" => TagEffect::Strike(opens),
        "u" | "ins" | "mark" => TagEffect::Underline(opens),
        "code" | "kbd" | "samp" | "tt" => TagEffect::Code(opens),
        "sub" => TagEffect::Script { opens, up: false },
        "sup" => TagEffect::Script { opens, up: true },
        "br" => TagEffect::Break,
        "hr" => TagEffect::Text("\n────────\n"),
        "q" => TagEffect::Text("\""),
        "p" | "div" | "center" | "details" | "section" | "article" | "header" | "footer" | "main" | "ul" | "ol"
        | "dl" | "table" | "thead" | "tbody" | "tr" | "blockquote" | "figure" | "figcaption" | "picture" | "dd"
        | "pre" => TagEffect::Break,
        "span" | "font" | "small" | "big" | "wbr" | "nobr" | "abbr" | "time" | "source" | "td" | "li" => {
            TagEffect::Nothing
        }
        "a" if opens => TagEffect::Link(Some(attribute(attributes, "href").unwrap_or_default())),
        "a" => TagEffect::Link(None),
        "img" => TagEffect::Image {
            alt: attribute(attributes, "alt").unwrap_or_default(),
            url: attribute(attributes, "src").unwrap_or_default(),
        },
        _ => return None,
    })
}

/// Tags that stand alone.
const VOID_TAGS: [&str; 6] = ["br", "hr", "img", "wbr", "source", "input"];
/// Tags whose end may be left out.
const OPTIONAL_END_TAGS: [&str; 14] =
    ["p", "li", "td", "th", "tr", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "summary"];

/// Finds the tags that have no partner, in the order in which they come.
///
/// A partner is looked for within [`MAX_TAG_DISTANCE_BYTES`] bytes and no further: what streams in is held back for so
/// long and is then shown as it will stay.
#[derive(Debug, Default)]
pub(super) struct TagMatcher {
    /// The open tags.
    open: Vec<OpenTag>,
    /// Those that have none.
    unmatched: Vec<usize>,
}

#[derive(Debug)]
struct OpenTag {
    name: String,
    at: usize,
    /// Which it is, unless it says so much that it is one in any case.
    number: Option<usize>,
}

impl TagMatcher {
    /// Takes a tag with its number and where it stands in the text.
    pub(super) fn tag(&mut self, tag: &str, number: usize, at: usize) {
        self.expire(at + tag.len());
        let inside = tag.trim_start_matches('<').trim_end_matches('>');
        let (opens, inside) = inside.strip_prefix('/').map_or((true, inside), |inside| (false, inside));
        let end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at(end);
        let name = name.to_ascii_lowercase();
        if VOID_TAGS.contains(&name.as_str()) {
            let says_something = match name.as_str() {
                "img" => attribute(attributes, "src").is_some(),
                "source" => attributes.contains('='),
                _ => true,
            };
            if !says_something {
                self.unmatched.push(number);
            }
        } else if opens {
            // Deeper ones than anybody writes would be looked through again and again.
            let number = (!attributes.contains('=')).then_some(number);
            match self.open.len() {
                0..MAX_OPEN_TAGS => self.open.push(OpenTag { name, at, number }),
                _ => self.unmatched.extend(number),
            }
        } else {
            match self.open.iter().rposition(|open| open.name == name) {
                Some(at) => self.unmatched.extend(self.open.drain(at..).skip(1).filter_map(|open| open.number)),
                None => self.unmatched.push(number),
            }
        }
    }

    /// Returns which of the tags is the first whose partner may still come behind the end of the text.
    pub(super) fn awaits(&mut self, end: usize) -> Option<usize> {
        self.expire(end);
        self.open.iter().find_map(|open| open.number)
    }

    /// What was opened too far before the place has no partner; one that is a tag in any case may have it anywhere.
    fn expire(&mut self, place: usize) {
        let alone = &mut self.unmatched;
        self.open.retain(|open| match open.number {
            Some(number) if place > open.at + MAX_TAG_DISTANCE_BYTES => {
                alone.push(number);
                false
            }
            _ => true,
        });
    }

    /// Nothing that is open is closed any more.
    pub(super) fn end(&mut self) {
        self.unmatched.extend(self.open.drain(..).filter_map(|open| open.number));
    }

    fn finish(mut self) -> Vec<usize> {
        self.end();
        self.unmatched.sort_unstable();
        self.unmatched
    }
}

/// Tags inside each other.
const MAX_OPEN_TAGS: usize = 64;
/// Bytes from where a tag begins to where its partner ends.
pub(super) const MAX_TAG_DISTANCE_BYTES: usize = 320;

/// Returns which events are tags without a partner in their paragraph, heading or cell. Sorted.
pub(super) fn unmatched_tags(events: &[(Event<'_>, Range<usize>)]) -> Vec<usize> {
    let mut partners = TagMatcher::default();
    for (number, (event, range)) in events.iter().enumerate() {
        match event {
            Event::InlineHtml(tag) if tag_effect(tag).is_some() => partners.tag(tag, number, range.start),
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. })
            | Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image) => {}
            Event::Start(_) | Event::End(_) => partners.end(),
            _ => {}
        }
    }
    partners.finish()
}

/// Returns which pieces of a block are better shown as they are written: tags without a partner right beside text, whose
/// partner would not be far. A block may end before what it opened, and an item without an end is one.
pub(super) fn unmatched_in_block(pieces: &[HtmlPiece<'_>]) -> Vec<usize> {
    let mut partners = TagMatcher::default();
    let mut at = 0;
    for (number, piece) in pieces.iter().enumerate() {
        let (HtmlPiece::Text(text) | HtmlPiece::Tag(text) | HtmlPiece::Raw(text)) = piece;
        if let HtmlPiece::Tag(tag) = piece {
            partners.tag(tag, number, at);
        }
        at += text.len();
    }
    let touches = |number: usize| {
        let text = |piece: Option<&HtmlPiece<'_>>, last: bool| match piece {
            Some(HtmlPiece::Text(text)) => {
                let line = if last { text.rsplit('\n').next() } else { text.split('\n').next() };
                line.is_some_and(|line| !line.trim().is_empty())
            }
            _ => false,
        };
        text(number.checked_sub(1).and_then(|before| pieces.get(before)), true) || text(pieces.get(number + 1), false)
    };
    let mut alone = partners.finish();
    alone.retain(|&number| match pieces.get(number) {
        Some(HtmlPiece::Tag(tag)) => {
            let name = tag.trim_matches(['<', '/', '>']);
            touches(number) && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) && {
                let name = name.to_ascii_lowercase();
                !OPTIONAL_END_TAGS.contains(&name.as_str())
            }
        }
        _ => false,
    });
    alone
}

/// What stands around the text of a tag of a block: before what it means, and after.
pub(super) fn block_tag_effects(tag: &str) -> (Option<TagEffect>, Option<TagEffect>) {
    let name: String = tag.trim_start_matches(['<', '/']).chars().take_while(char::is_ascii_alphanumeric).collect();
    let opens = !tag.starts_with("</");
    match name.to_ascii_lowercase().as_str() {
        "li" | "dt" if opens => (Some(TagEffect::Break), Some(TagEffect::Text("• "))),
        "summary" if opens => (Some(TagEffect::Break), Some(TagEffect::Text("▾ "))),
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "summary" | "li" => (Some(TagEffect::Break), None),
        "td" | "th" if !opens => (None, Some(TagEffect::Text("  "))),
        _ => (None, None),
    }
}

/// Cuts a block of HTML into tags and text. It may begin inside of something; returns also what it ends inside of.
pub(super) fn split_html(html: &str, inside: Option<Raw>) -> (Vec<HtmlPiece<'_>>, Option<Raw>) {
    let mut pieces = Vec::new();
    let mut rest = html;
    let mut open = inside;
    if let Some((raw, after)) = inside.and_then(|raw| raw.end(rest)).map(|end| rest.split_at(end)) {
        pieces.push(HtmlPiece::Raw(raw));
        (rest, open) = (after, None);
    } else if inside.is_some() {
        pieces.push(HtmlPiece::Raw(std::mem::take(&mut rest)));
    }
    while !rest.is_empty() {
        let at = memchr::memchr(b'<', rest.as_bytes()).unwrap_or(rest.len());
        let (text, tag) = rest.split_at(at);
        if !text.is_empty() {
            pieces.push(HtmlPiece::Text(text));
        }
        if tag.is_empty() {
            break;
        }
        if let Some(raw) = Raw::begun_by(tag) {
            let end = raw.end(tag);
            open = Some(raw).filter(|_| end.is_none());
            let (text, after) = tag.split_at(end.unwrap_or(tag.len()));
            pieces.push(HtmlPiece::Raw(text));
            rest = after;
            continue;
        }
        let length = tag_end(tag);
        let (tag, after) = tag.split_at(length);
        let is_tag =
            tag.ends_with('>') && tag.get(1..2).is_some_and(|c| c == "/" || c.as_bytes()[0].is_ascii_alphabetic());
        pieces.push(if is_tag { HtmlPiece::Tag(tag) } else { HtmlPiece::Text(tag) });
        rest = after;
    }
    (pieces, open)
}

/// Returns whether a tag begins with this name, in lower case, and with no longer one.
pub(super) fn is_named(tag: &str, name: &str) -> bool {
    let begins = tag.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    begins && !tag.get(name.len()..).is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
}

/// Returns the end of a tag; a bracket between quotes doesn't end it.
fn tag_end(tag: &str) -> usize {
    let mut quote = None;
    for (at, c) in tag.char_indices().skip(1) {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return at + 1,
            (None, '<') => return at,
            (None, _) => {}
        }
    }
    // A quote that never ends is none.
    tag.find('>').map_or(tag.len(), |at| at + 1)
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let lower = attributes.to_ascii_lowercase();
    for (at, _) in lower.match_indices(name) {
        let before = attributes.get(..at).is_some_and(|before| before.ends_with(char::is_whitespace));
        let after = attributes.get(at + name.len()..)?.trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start).filter(|_| before) else { continue };
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next(),
            _ => value.split([' ', '\t', '\n', '/']).next(),
        };
        return value.map(decode_entities);
    }
    None
}

/// Returns a text with its entities as characters.
pub(super) fn decode_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        out.push_str(before);
        let end = entity.bytes().take(10).position(|byte| byte == b';');
        let found = end.and_then(|end| Some((entity.get(1..end)?, end))).and_then(|(name, end)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => '\u{a0}',
                "copy" => '©',
                "reg" => '®',
                "hellip" => '…',
                "mdash" => '—',
                "ndash" => '–',
                "rarr" => '→',
                "larr" => '←',
                "times" => '×',
                "bull" => '•',
                "middot" => '·',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, end))
        });
        let (c, end) = found.unwrap_or(('&', 0));
        out.push(c);
        rest = entity.get(end + 1..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_tags_have_a_meaning() {
        let cases = [
            ("<b>", Some(TagEffect::Bold(true))),
            ("</STRONG>", Some(TagEffect::Bold(false))),
            ("<br />", Some(TagEffect::Break)),
            ("<a class=x href=\"https://x.y?a&amp;b\">", Some(TagEffect::Link(Some("https://x.y?a&b".into())))),
            ("<img alt='a b' src=p.png>", Some(TagEffect::Image { alt: "a b".into(), url: "p.png".into() })),
            ("<Foo>", None),
            ("<thinking>", None),
            ("<!-- x -->", None),
        ];
        for (tag, expected) in cases {
            assert_eq!(tag_effect(tag), expected, "{tag}");
        }
    }

    #[test]
    fn a_tag_without_its_partner_is_no_tag() {
        let far = |open: &str, bytes: usize, close: &str| format!("x {open}{}{close}", "y".repeat(bytes));
        let cases: [(&str, &[&str]); 15] = [
            ("cp <source> <target>, then <time>", &["<source>", "<time>"]),
            ("vector<i> and Option<b>; if x <a and y> z", &["<i>", "<b>", "<a and y>"]),
            ("a <b>bold</b> and Vec<b>", &["<b>"]),
            ("Vec<b> and <b>bold</b>", &["<b>"]),
            ("a</b> c", &["</b>"]),
            ("<b>one **two</b> three**", &[]),
            ("<b>one <i>two</b> three</i>", &["<i>", "</i>"]),
            ("a<br>b<br/>c<wbr>d <img src=x> <img> <a href=x>y</a>", &["<img>"]),
            ("Vec<b>\n\n</b> x", &["<b>", "</b>"]),
            ("# Vec<b>\n</b> x", &["<b>", "</b>"]),
            ("|a <b>|c </b>|\n|-|-|\n|a <i>x</i>|", &["<b>", "</b>"]),
            (&far("<b>", 306, "</b>"), &[]),
            (&far("<b>", 314, "</b>"), &["<b>", "</b>"]),
            (&far("<a href=x>", 1000, "</a>"), &[]),
            ("- a <u>\n- c </u>\n> d <s> <a href=x> <font color=red>", &["<u>", "</u>", "<s>"]),
        ];
        for (text, expected) in cases {
            let events: Vec<_> =
                pulldown_cmark::Parser::new_ext(text, crate::ui::markdown::options()).into_offset_iter().collect();
            let found: Vec<&str> = unmatched_tags(&events)
                .into_iter()
                .map(|at| match &events[at].0 {
                    Event::InlineHtml(tag) => &**tag,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_block_of_tags_may_end_before_what_it_opened() {
        let cases: [(&str, &[&str]); 6] = [
            ("<main> is where it begins", &["<main>"]),
            ("<details>\n<summary>More</summary>\n", &[]),
            ("</details>", &[]),
            ("<ul>\n<li>one\n<li>two\n</ul>", &[]),
            ("<div align=center>text", &[]),
            ("<p>a <b>bold</b>, Vec<i> and more</p>", &["<i>"]),
        ];
        for (text, expected) in cases {
            let (pieces, _) = split_html(text, None);
            let found: Vec<HtmlPiece<'_>> =
                unmatched_in_block(&pieces).into_iter().map(|at| pieces[at].clone()).collect();
            assert_eq!(found, expected.iter().map(|tag| HtmlPiece::Tag(tag)).collect::<Vec<_>>(), "{text:?}");
        }
    }

    #[test]
    fn a_block_is_cut_into_tags_and_text() {
        use HtmlPiece::{Raw, Tag, Text};
        let (found, open) = split_html("<p a=\">\">x < y</p><!-- <b> --><script>1<2</script>z<!-- <i>", None);
        assert_eq!(split_html("a <b>--><i>", open), (vec![Raw("a <b>-->"), Tag("<i>")], None));
        assert_eq!(split_html("a > ]]>", Some(super::Raw::Data)).1, None);
        assert_eq!(split_html("a ]] >", Some(super::Raw::Data)), (vec![Raw("a ]] >")], Some(super::Raw::Data)));
        assert_eq!(
            found,
            [
                Tag("<p a=\">\">"),
                Text("x "),
                Text("< y"),
                Tag("</p>"),
                Raw("<!-- <b> -->"),
                Raw("<script>1<2</script>"),
                Text("z"),
                Raw("<!-- <i>"),
            ]
        );
    }

    #[test]
    fn entities_are_characters() {
        assert_eq!(decode_entities("a &lt; b &amp;&amp; &#65;&#x42; &unknown; & &"), "a < b && AB &unknown; & &");
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_block(html in "(<[a-z/!?]?|--|>|\"|'|[a-z =é]{1,3}|<script>|</script>|\n){0,30}") {
            let joined: String = split_html(&html, None).0.into_iter().map(|piece| match piece {
                HtmlPiece::Text(text) | HtmlPiece::Tag(text) | HtmlPiece::Raw(text) => text,
            }).collect();
            prop_assert_eq!(joined, html);
        }
    }
}
