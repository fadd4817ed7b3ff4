//! PURE. Markdown as HTML that can do nothing: the tags are these and no others, texts are escaped, links go where a
//! terminal's may go, and say so where their words say something else.

use std::fmt::Write as _;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::escape;
use crate::event::PromptImage;
use crate::text::clean;
use crate::text::link::{find_links, looks_like_url, matches_url, safe_target, to_url};

/// Deeper nesting is flattened: browsers do as well, further down.
const MAX_DEPTH: usize = 40;
/// Headings of an answer stand below those of the page.
const FIRST_HEADING: usize = 4;

/// Returns a text as HTML.
pub(super) fn to_html(text: &str) -> String {
    let text = clean(text);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = HtmlWriter::default();
    for event in Parser::new_ext(&text, options) {
        writer.event(event);
    }
    writer.finish()
}

#[derive(Default)]
struct HtmlWriter {
    out: String,
    /// What closes each open element; nothing for one that was flattened.
    open: Vec<String>,
    is_table_head: bool,
    is_code: bool,
    /// The target and the words of the open link.
    link: Option<(String, String)>,
    /// The target and the words of the open image.
    image: Option<(String, String)>,
}

impl HtmlWriter {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Html(text) | Event::InlineHtml(text) => self.plain(&text),
            Event::Code(text) => {
                self.note(&text);
                if self.image.is_none() {
                    let _ = write!(self.out, "<code>{}</code>", escape(&text));
                }
            }
            Event::SoftBreak => self.plain("\n"),
            Event::HardBreak => self.out.push_str("<br>"),
            Event::Rule => self.out.push_str("<hr>"),
            Event::TaskListMarker(is_done) => self.out.push_str(if is_done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => self.plain(&text),
        }
    }

    fn push(&mut self, tag: &str) {
        self.push_with(tag, "", "");
    }

    fn push_with(&mut self, tag: &str, attributes: &str, around: &str) {
        if self.open.len() >= MAX_DEPTH {
            self.open.push(String::new());
            return;
        }
        let _ = write!(self.out, "{around}<{tag}{attributes}>");
        self.open.push(format!("</{tag}>"));
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.push("p"),
            Tag::Heading { level, .. } => {
                let level = (level as usize + FIRST_HEADING - 1).min(6);
                self.push(&format!("h{level}"));
            }
            Tag::BlockQuote(_) => self.push("blockquote"),
            Tag::CodeBlock(_) => {
                self.is_code = true;
                self.push("pre");
            }
            Tag::List(Some(1)) => self.push("ol"),
            Tag::List(Some(first)) => self.push_with("ol", &format!(" start=\"{first}\""), ""),
            Tag::List(None) => self.push("ul"),
            Tag::Item => self.push("li"),
            Tag::Table(_) => {
                self.push_with("div", " class=\"table\" tabindex=\"0\" role=\"group\" aria-label=\"Table\"", "");
                self.push("table");
            }
            Tag::TableHead => {
                self.is_table_head = true;
                self.push("thead");
                self.push("tr");
            }
            Tag::TableRow => self.push("tr"),
            Tag::TableCell if self.is_table_head => self.push_with("th", " scope=\"col\"", ""),
            Tag::TableCell => self.push("td"),
            Tag::Emphasis => self.push("em"),
            Tag::Strong => self.push("strong"),
            Tag::Strikethrough => self.push("del"),
            Tag::Link { dest_url, .. } if self.link.is_none() => {
                self.link = Some((dest_url.to_string(), String::new()));
                match safe_target(&dest_url) {
                    Some(target) => self.push_with("a", &link_attributes(&target), ""),
                    None => self.open.push(String::new()),
                }
            }
            Tag::Image { dest_url, .. } if self.image.is_none() => {
                self.image = Some((dest_url.to_string(), String::new()));
                self.open.push(String::new());
            }
            _ => self.open.push(String::new()),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock => self.is_code = false,
            TagEnd::Link => {
                self.close();
                if let Some((target, words)) = self.link.take() {
                    let is_shown = safe_target(&target).is_some() && !looks_like_url(&words);
                    if !is_shown && !matches_url(&words, &target) {
                        let _ = write!(self.out, " ({})", escape(&target));
                    }
                }
                return;
            }
            TagEnd::Image => {
                self.close();
                if let Some((target, words)) = self.image.take() {
                    self.picture(&target, &words);
                }
                return;
            }
            TagEnd::Table => self.close(),
            TagEnd::TableHead => {
                self.is_table_head = false;
                self.close();
            }
            _ => {}
        }
        self.close();
    }

    fn close(&mut self) {
        if let Some(tag) = self.open.pop() {
            self.out.push_str(&tag);
        }
    }

    /// Only what is in the text itself is shown; what is elsewhere would tell that somebody reads this.
    fn picture(&mut self, target: &str, words: &str) {
        if let Ok(image) = PromptImage::from_data_url(target) {
            let _ = write!(self.out, "<img src=\"{}\" alt=\"{}\">", escape(&image.data_url()), escape(words));
            return;
        }
        let words = if words.trim().is_empty() { "image" } else { words };
        if let Some(target) = safe_target(target).filter(|_| self.link.is_none()) {
            let _ = write!(self.out, "<a{}>{}</a>", link_attributes(&target), escape(words));
        } else {
            self.out.push_str(&escape(words));
        }
    }

    /// Keeps words for the link or the image that they belong to.
    fn note(&mut self, text: &str) {
        for (_, words) in self.image.iter_mut().chain(&mut self.link) {
            words.push_str(text);
        }
    }

    fn plain(&mut self, text: &str) {
        self.note(text);
        if self.image.is_none() {
            self.out.push_str(&escape(text));
        }
    }

    /// Writes text; addresses in it become links.
    fn text(&mut self, text: &str) {
        if self.is_code || self.link.is_some() || self.image.is_some() {
            return self.plain(text);
        }
        let mut done = 0;
        for range in find_links(text) {
            let (Some(before), Some(found)) = (text.get(done..range.start), text.get(range.clone())) else { continue };
            let Some(target) = safe_target(&to_url(found)) else { continue };
            let _ = write!(self.out, "{}<a{}>{}</a>", escape(before), link_attributes(&target), escape(found));
            done = range.end;
        }
        self.plain(text.get(done..).unwrap_or_default());
    }

    fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }
}

fn link_attributes(target: &str) -> String {
    format!(" href=\"{}\" rel=\"noopener noreferrer nofollow\" target=\"_blank\"", escape(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_elements() {
        for (text, expected) in [
            (
                "# One\n\nTwo *a* **b** `c<d`",
                "<h4>One</h4><p>Two <em>a</em> <strong>b</strong> <code>c&lt;d</code></p>",
            ),
            ("- a\n- [x] b", "<ul><li>a</li><li>☑ b</li></ul>"),
            ("3. a", "<ol start=\"3\"><li>a</li></ol>"),
            ("```html\n<b>&\n```", "<pre>&lt;b&gt;&amp;\n</pre>"),
            ("> q", "<blockquote><p>q</p></blockquote>"),
        ] {
            assert_eq!(to_html(text), expected, "{text}");
        }
        let table = to_html("| a |\n|---|\n| b |");
        assert!(
            table.ends_with("<thead><tr><th scope=\"col\">a</th></tr></thead><tr><td>b</td></tr></table></div>"),
            "{table}"
        );
    }

    #[test]
    fn no_tag_of_others_and_no_target_that_runs_gets_through() {
        let hostile = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "[a](javascript:alert(1))",
            "[a](data:text/html,x)",
            "![a](javascript:x)",
            "![a](https://example.org/track.png)",
            "![\"onerror=x](data:image/png;base64,AAAA)",
            "<a href=\"x\">y</a>",
            "[a](https://e.org/\"onclick=\"x)",
            "<svg/onload=x>",
            "a <b\n<c",
            "<!-- x -->",
            "&lt;script&gt;",
            "https://e.org/\"><script>",
        ];
        for text in hostile {
            let html = to_html(text);
            let mut rest = html.as_str();
            while let Some((_, tag)) = rest.split_once('<') {
                let (tag, after) = tag.split_once('>').unwrap();
                let name = tag.trim_start_matches('/').split(' ').next().unwrap();
                assert!(["p", "a", "br"].contains(&name), "{text}: {html}");
                assert!(name != "a" || tag == "/a" || tag.starts_with("a href=\"https://"), "{text}: {html}");
                assert!(!tag.contains(" on") || tag.contains("%22on"), "{text}: {html}");
                rest = after;
            }
        }
    }

    #[test]
    fn a_link_that_says_another_address_shows_its_own() {
        let html = to_html("[https://bank.example](https://evil.example)");
        assert!(html.contains(">https://bank.example</a> (https://evil.example)"), "{html}");
        assert!(!to_html("[here](https://a.example)").contains('('));
        assert!(to_html("[here](javascript:x)").contains("here (javascript:x)"));
        assert!(to_html("see https://a.example.").contains("<a href=\"https://a.example\""));
    }

    #[test]
    fn any_depth_gives_a_page_that_a_browser_takes() {
        let html = to_html(&"> ".repeat(5_000));
        assert!(html.matches("<blockquote>").count() <= MAX_DEPTH);
        assert_eq!(html.matches("<blockquote>").count(), html.matches("</blockquote>").count());
        let stars = to_html(&format!("{}a{}", "*".repeat(3_000), "*".repeat(3_000)));
        assert!(stars.matches("<strong>").count() <= MAX_DEPTH);
    }
}
