//! The tags that people write into Markdown: what the usual ones mean in cells.
//!
//! Not a browser. The invariant: a tag that isn't known is shown as it is written, so is a comment, and text between
//! tags is always shown.

/// What a tag does to the text around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
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
pub(super) enum Piece<'a> {
    Text(&'a str),
    Tag(&'a str),
    /// A comment, a script: shown as it is written.
    Raw(&'a str),
}

/// Returns what a tag means, or none where it is better shown.
pub(super) fn meaning(tag: &str) -> Option<Meaning> {
    let inside = tag.strip_prefix('<')?.strip_suffix('>')?;
    let (opens, inside) = inside.strip_prefix('/').map_or((true, inside), |inside| (false, inside));
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let name = inside.get(..end)?.to_ascii_lowercase();
    let attributes = inside.get(end..)?;
    Some(match name.as_str() {
        "b" | "strong" | "th" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "summary" | "dt" => Meaning::Bold(opens),
        "i" | "em" | "cite" | "var" | "dfn" => Meaning::Italic(opens),
        "s" | "del" | "strike" => Meaning::Strike(opens),
        "u" | "ins" | "mark" => Meaning::Underline(opens),
        "code" | "kbd" | "samp" | "tt" => Meaning::Code(opens),
        "sub" => Meaning::Script { opens, up: false },
        "sup" => Meaning::Script { opens, up: true },
        "br" => Meaning::Break,
        "hr" => Meaning::Text("\n────────\n"),
        "q" => Meaning::Text("\""),
        "p" | "div" | "center" | "details" | "section" | "article" | "header" | "footer" | "main" | "ul" | "ol"
        | "dl" | "table" | "thead" | "tbody" | "tr" | "blockquote" | "figure" | "figcaption" | "picture" | "dd"
        | "pre" => Meaning::Break,
        "span" | "font" | "small" | "big" | "wbr" | "nobr" | "abbr" | "time" | "source" | "td" | "li" => {
            Meaning::Nothing
        }
        "a" if opens => Meaning::Link(Some(attribute(attributes, "href").unwrap_or_default())),
        "a" => Meaning::Link(None),
        "img" => Meaning::Image {
            alt: attribute(attributes, "alt").unwrap_or_default(),
            url: attribute(attributes, "src").unwrap_or_default(),
        },
        _ => return None,
    })
}

/// What stands around the text of a tag of a block: before what it means, and after.
pub(super) fn edges(tag: &str) -> (Option<Meaning>, Option<Meaning>) {
    let name: String = tag.trim_start_matches(['<', '/']).chars().take_while(char::is_ascii_alphanumeric).collect();
    let opens = !tag.starts_with("</");
    match name.to_ascii_lowercase().as_str() {
        "li" | "dt" if opens => (Some(Meaning::Break), Some(Meaning::Text("• "))),
        "summary" if opens => (Some(Meaning::Break), Some(Meaning::Text("▾ "))),
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "summary" | "li" => (Some(Meaning::Break), None),
        "td" | "th" if !opens => (None, Some(Meaning::Text("  "))),
        _ => (None, None),
    }
}

/// Cuts a block of HTML into tags and text.
pub(super) fn pieces(html: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let at = memchr::memchr(b'<', rest.as_bytes()).unwrap_or(rest.len());
        let (text, tag) = rest.split_at(at);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        if tag.is_empty() {
            break;
        }
        let end = raw_end(tag);
        if let Some(end) = end {
            let (raw, after) = tag.split_at(end);
            pieces.push(Piece::Raw(raw));
            rest = after;
            continue;
        }
        let length = tag_end(tag);
        let (tag, after) = tag.split_at(length);
        let is_tag =
            tag.ends_with('>') && tag.get(1..2).is_some_and(|c| c == "/" || c.as_bytes()[0].is_ascii_alphabetic());
        pieces.push(if is_tag { Piece::Tag(tag) } else { Piece::Text(tag) });
        rest = after;
    }
    pieces
}

/// Returns where a comment, a declaration, a script or a style ends, if one begins here.
fn raw_end(tag: &str) -> Option<usize> {
    let lower: String = tag.chars().take(9).collect::<String>().to_ascii_lowercase();
    let close = match () {
        () if lower.starts_with("<!--") => "-->",
        () if lower.starts_with("<!") => ">",
        () if lower.starts_with("<?") => "?>",
        () if lower.starts_with("<script") => "</script>",
        () if lower.starts_with("<style") => "</style>",
        () if lower.starts_with("<textarea") => "</textarea>",
        () => return None,
    };
    Some(tag.find(close).map_or(tag.len(), |at| at + close.len()))
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
        return value.map(decoded);
    }
    None
}

/// Returns a text with its entities as characters.
pub(super) fn decoded(text: &str) -> String {
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
            ("<b>", Some(Meaning::Bold(true))),
            ("</STRONG>", Some(Meaning::Bold(false))),
            ("<br />", Some(Meaning::Break)),
            ("<a class=x href=\"https://x.y?a&amp;b\">", Some(Meaning::Link(Some("https://x.y?a&b".into())))),
            ("<img alt='a b' src=p.png>", Some(Meaning::Image { alt: "a b".into(), url: "p.png".into() })),
            ("<Foo>", None),
            ("<thinking>", None),
            ("<!-- x -->", None),
        ];
        for (tag, expected) in cases {
            assert_eq!(meaning(tag), expected, "{tag}");
        }
    }

    #[test]
    fn a_block_is_cut_into_tags_and_text() {
        use Piece::{Raw, Tag, Text};
        let found = pieces("<p a=\">\">x < y</p><!-- <b> --><script>1<2</script>z");
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
            ]
        );
    }

    #[test]
    fn entities_are_characters() {
        assert_eq!(decoded("a &lt; b &amp;&amp; &#65;&#x42; &unknown; & &"), "a < b && AB &unknown; & &");
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_block(html in "(<[a-z/!?]?|--|>|\"|'|[a-z =é]{1,3}|<script>|</script>|\n){0,30}") {
            let joined: String = pieces(&html).into_iter().map(|piece| match piece {
                Piece::Text(text) | Piece::Tag(text) | Piece::Raw(text) => text,
            }).collect();
            prop_assert_eq!(joined, html);
        }
    }
}
