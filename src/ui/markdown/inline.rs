//! Inline Markdown: emphasis, code, links, images, formulas and tags, gathered into a flow.
//!
//! Not for blocks. Text is cleaned here once more, since an entity may stand for a control character. The invariant: a
//! link whose target may not be opened, or whose text reads like another address, says where it goes; any other says so
//! when it is asked.

use pulldown_cmark::{Event, Tag, TagEnd};

use super::html::{self, TagEffect};
use super::math;
use crate::text::{clean, data_url, link};
use crate::ui::text_layout::laid_out::StyledText;
use crate::ui::theme::{Role, TextStyle};

/// Links and images inside each other; of deeper ones it is only said where they go.
const MAX_NESTED_LINKS: usize = 16;

/// Gathers inline events.
#[derive(Debug, Default)]
pub(super) struct InlineWriter {
    styled: StyledText,
    bold: u32,
    italic: u32,
    strike: u32,
    /// The open links and images: target, and where their text starts.
    targets: Vec<(String, usize)>,
    base: TextStyle,
    /// What tags have switched on; a block's end switches all of it off.
    tags: TagState,
    /// The next text begins a row.
    starts_row: bool,
    /// Links say where they go.
    pub(super) show_link_targets: bool,
    /// The images: what names each, and their targets.
    #[cfg(feature = "images")]
    images: Vec<(std::ops::Range<usize>, String)>,
}

#[derive(Debug, Default)]
struct TagState {
    bold: u32,
    italic: u32,
    strike: u32,
    underline: u32,
    code: u32,
    /// Where the open `<sub>` and `<sup>` began.
    scripts: Vec<usize>,
    links: Vec<(String, usize)>,
}

impl InlineWriter {
    /// Sets how text looks that has no emphasis of its own.
    pub(super) fn set_base(&mut self, base: TextStyle) {
        self.base = base;
    }

    pub(super) fn take(&mut self) -> StyledText {
        self.tags = TagState::default();
        self.starts_row = false;
        #[cfg(feature = "images")]
        self.images.clear();
        let mut flow = std::mem::take(&mut self.styled);
        for range in link::find_links(&flow.text) {
            let url = link::to_url(flow.text.get(range.clone()).unwrap_or(""));
            if let Some(target) = link::safe_target(&url)
                && !flow.has_link_or_code(&range)
            {
                flow.link(range, &target);
            }
        }
        flow
    }

    pub(super) fn is_empty(&self) -> bool {
        self.styled.is_empty()
    }

    pub(super) fn push(&mut self, text: &str, face: TextStyle) {
        let mut text = text;
        if self.starts_row {
            text = text.trim_start();
            if text.is_empty() {
                return;
            }
            self.starts_row = false;
            self.styled.push("\n", face);
        }
        let cleaned = clean(text);
        match memchr::memchr(b'\t', cleaned.as_bytes()) {
            Some(_) => self.styled.push(&cleaned.replace('\t', "    "), face),
            None => self.styled.push(&cleaned, face),
        }
    }

    /// Takes an inline event. Returns false for any other.
    pub(super) fn event(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Text(text) => self.push(text, self.text_style()),
            Event::Code(text) => self.push(text, self.emphasized(TextStyle::new(Role::Code))),
            Event::InlineMath(tex) if math::is_price(tex) => {
                for part in ["$", tex, "$"] {
                    self.push(part, self.text_style());
                }
            }
            Event::InlineMath(tex) => {
                let text = math::to_unicode(tex).replace('\n', "; ");
                self.push(&text, self.emphasized(TextStyle::new(Role::Math)));
            }
            Event::DisplayMath(tex) => self.formula(tex),
            Event::InlineHtml(tag) => self.tag(tag),
            Event::Html(text) => self.push(text, TextStyle::new(Role::Dim)),
            Event::SoftBreak => self.push(" ", self.text_style()),
            Event::HardBreak => self.push("\n", self.text_style()),
            Event::FootnoteReference(name) => {
                self.push(&format!("[{name}]"), TextStyle::new(Role::Accent));
            }
            Event::Start(tag) => return self.start(tag),
            Event::End(tag) => return self.end(*tag),
            Event::Rule | Event::TaskListMarker(_) => return false,
        }
        true
    }

    fn start(&mut self, tag: &Tag<'_>) -> bool {
        match tag {
            Tag::Emphasis => self.italic += 1,
            Tag::Strong => self.bold += 1,
            Tag::Strikethrough => self.strike += 1,
            Tag::Link { dest_url, .. } => self.targets.push((dest_url.to_string(), self.styled.text.len())),
            Tag::Image { dest_url, .. } => {
                let start = self.styled.text.len();
                self.push("[image: ", TextStyle::new(Role::Dim));
                self.targets.push((dest_url.to_string(), start));
            }
            _ => return false,
        }
        true
    }

    fn end(&mut self, tag: TagEnd) -> bool {
        match tag {
            TagEnd::Emphasis => self.italic = self.italic.saturating_sub(1),
            TagEnd::Strong => self.bold = self.bold.saturating_sub(1),
            TagEnd::Strikethrough => self.strike = self.strike.saturating_sub(1),
            TagEnd::Link => {
                if let Some((url, start)) = self.targets.pop() {
                    self.finish_link(&url, start);
                }
            }
            TagEnd::Image => {
                self.push("]", TextStyle::new(Role::Dim));
                if let Some((url, start)) = self.targets.pop() {
                    self.finish_link(&url, start);
                    #[cfg(feature = "images")]
                    self.note_image(start, &url);
                }
            }
            _ => return false,
        }
        true
    }

    /// Makes what was written since `start` a link, and says where it goes unless that can be left out.
    fn finish_link(&mut self, url: &str, start: usize) {
        if self.targets.len().max(self.tags.links.len()) >= MAX_NESTED_LINKS {
            if !url.is_empty() {
                self.push(&format!(" ({})", shorten_target(url)), TextStyle::new(Role::Dim));
            }
            return;
        }
        let text = self.styled.text.get(start..).unwrap_or("");
        let empty = text.trim().is_empty();
        let says = link::matches_url(text, url);
        let misleads = !says && link::looks_like_url(text);
        let target = link::safe_target(url);
        let shown = !says && (self.show_link_targets || misleads || empty || target.is_none());
        if shown && !url.is_empty() {
            let face = TextStyle::new(Role::Dim);
            self.push(if empty { "(" } else { " (" }, face);
            self.push(&shorten_target(url), face);
            self.push(")", face);
        }
        if let Some(target) = target {
            self.styled.link_from(start, &target);
        }
    }

    /// A formula that stands alone, a row for each of its lines.
    fn formula(&mut self, tex: &str) {
        let text = math::to_unicode(tex);
        let face = self.emphasized(TextStyle::new(Role::Math));
        if !self.styled.is_empty() && !self.styled.text.ends_with('\n') {
            self.starts_row = false;
            self.styled.push("\n", face);
        }
        let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
        self.push(&lines.join("\n"), face);
        self.starts_row = true;
    }

    fn tag(&mut self, tag: &str) {
        match html::tag_effect(tag) {
            Some(meaning) => self.apply_tag(&meaning),
            None => self.push_raw_tag(tag),
        }
    }

    /// Shows a tag that means nothing here.
    pub(super) fn push_raw_tag(&mut self, tag: &str) {
        self.push(tag, TextStyle::new(Role::Dim));
    }

    /// Does what a tag says.
    pub(super) fn apply_tag(&mut self, meaning: &TagEffect) {
        let step = |count: &mut u32, opens: bool| *count = if opens { *count + 1 } else { count.saturating_sub(1) };
        match meaning {
            TagEffect::Bold(opens) => step(&mut self.tags.bold, *opens),
            TagEffect::Italic(opens) => step(&mut self.tags.italic, *opens),
            TagEffect::Strike(opens) => step(&mut self.tags.strike, *opens),
            TagEffect::Underline(opens) => step(&mut self.tags.underline, *opens),
            TagEffect::Code(opens) => step(&mut self.tags.code, *opens),
            TagEffect::Script { opens: true, .. } => self.tags.scripts.push(self.styled.text.len()),
            TagEffect::Script { opens: false, up } => {
                if let Some(start) = self.tags.scripts.pop() {
                    let text = self.styled.text.get(start..).unwrap_or("");
                    let mark = if *up { '^' } else { '_' };
                    let small = math::to_script(text, *up).unwrap_or_else(|| format!("{mark}({text})"));
                    let face = self.text_style();
                    self.styled.truncate(start);
                    self.styled.push(&small, face);
                }
            }
            TagEffect::Break => self.start_row(),
            TagEffect::Text(text) => self.push(text, self.text_style()),
            TagEffect::Nothing => {}
            TagEffect::Link(Some(url)) => self.tags.links.push((url.clone(), self.styled.text.len())),
            TagEffect::Link(None) => {
                if let Some((url, start)) = self.tags.links.pop() {
                    self.finish_link(&url, start);
                }
            }
            TagEffect::Image { alt, url } => {
                let start = self.styled.text.len();
                self.push(&format!("[image: {alt}]"), TextStyle::new(Role::Dim));
                self.finish_link(url, start);
                #[cfg(feature = "images")]
                self.note_image(start, url);
            }
        }
    }

    /// Notes an image that was named since `start`; images in its name are none.
    #[cfg(feature = "images")]
    fn note_image(&mut self, start: usize, url: &str) {
        let outside = self.images.iter().rposition(|(range, _)| range.end <= start).map_or(0, |last| last + 1);
        self.images.truncate(outside);
        self.images.push((start..self.styled.text.len(), url.to_owned()));
    }

    /// Returns the targets of the images, if there is nothing else.
    #[cfg(feature = "images")]
    pub(super) fn only_images(&self) -> Vec<String> {
        let is_blank =
            |from: usize, to: usize| self.styled.text.get(from..to).is_some_and(|text| text.trim().is_empty());
        let mut at = 0;
        for (range, _) in &self.images {
            if !is_blank(at, range.start) {
                return Vec::new();
            }
            at = range.end;
        }
        let alone = is_blank(at, self.styled.text.len());
        self.images.iter().filter(|_| alone).map(|(_, url)| url.clone()).collect()
    }

    /// Begins a row, unless one has just begun.
    fn start_row(&mut self) {
        self.starts_row |= !self.styled.is_empty() && !self.styled.text.ends_with('\n');
    }

    /// Text of a block of tags, in which any white space is one blank.
    pub(super) fn push_collapsed(&mut self, text: &str) {
        let started = self.starts_row || self.styled.is_empty() || self.styled.text.ends_with(['\n', ' ']);
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.starts_with(char::is_whitespace) && !started {
            words.insert(0, ' ');
        }
        if text.ends_with(char::is_whitespace) && !words.is_empty() && words != " " {
            words.push(' ');
        }
        self.push(&words, self.text_style());
    }

    fn text_style(&self) -> TextStyle {
        let role = if self.tags.code > 0 { TextStyle::new(Role::Code) } else { self.base };
        self.emphasized(role)
    }

    fn emphasized(&self, mut face: TextStyle) -> TextStyle {
        for (open, emphasis) in [
            (self.bold + self.tags.bold, TextStyle::BOLD),
            (self.italic + self.tags.italic, TextStyle::ITALIC),
            (self.strike + self.tags.strike, TextStyle::STRIKE),
            (self.tags.underline, TextStyle::UNDERLINE),
        ] {
            if open > 0 {
                face = face.with(emphasis);
            }
        }
        face
    }
}

/// A target can be of any length; data in it say nothing.
fn shorten_target(url: &str) -> String {
    if let Some(data) = data_url::parse(url) {
        return data.to_string();
    }
    match url.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &url[..end]),
        None => url.to_owned(),
    }
}
