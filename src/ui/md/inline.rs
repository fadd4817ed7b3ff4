//! Inline Markdown: emphasis, code, links, images, formulas and tags, gathered into a flow.
//!
//! Not for blocks. Text is cleaned here once more, since an entity may stand for a control character. The invariant: a
//! link whose target may not be opened, or whose text reads like another address, says where it goes; any other says so
//! when it is asked.

use pulldown_cmark::{Event, Tag, TagEnd};

use super::html::{self, Meaning};
use super::math;
use crate::text::{clean, data, link};
use crate::ui::lines::laid::Flow;
use crate::ui::theme::{Face, Role};

/// Links and images inside each other; of deeper ones it is only said where they go.
const MOST_INSIDE: usize = 16;

/// Gathers inline events.
#[derive(Debug, Default)]
pub(super) struct Inline {
    flow: Flow,
    bold: u32,
    italic: u32,
    strike: u32,
    /// The open links and images: target, and where their text starts.
    targets: Vec<(String, usize)>,
    base: Face,
    /// What tags have switched on; a block's end switches all of it off.
    tags: Tags,
    /// The next text begins a row.
    broken: bool,
    /// Links say where they go.
    pub(super) says_targets: bool,
    /// The images: what names each, and their targets.
    #[cfg(feature = "images")]
    images: Vec<(std::ops::Range<usize>, String)>,
}

#[derive(Debug, Default)]
struct Tags {
    bold: u32,
    italic: u32,
    strike: u32,
    underline: u32,
    code: u32,
    /// Where the open `<sub>` and `<sup>` began.
    scripts: Vec<usize>,
    links: Vec<(String, usize)>,
}

impl Inline {
    /// Sets how text looks that has no emphasis of its own.
    pub(super) fn set_base(&mut self, base: Face) {
        self.base = base;
    }

    pub(super) fn take(&mut self) -> Flow {
        self.tags = Tags::default();
        self.broken = false;
        #[cfg(feature = "images")]
        self.images.clear();
        let mut flow = std::mem::take(&mut self.flow);
        for range in link::find(&flow.text) {
            let url = link::url(flow.text.get(range.clone()).unwrap_or(""));
            if let Some(target) = link::target(&url)
                && !flow.is_taken(&range)
            {
                flow.link(range, &target);
            }
        }
        flow
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flow.is_empty()
    }

    pub(super) fn push(&mut self, text: &str, face: Face) {
        let mut text = text;
        if self.broken {
            text = text.trim_start();
            if text.is_empty() {
                return;
            }
            self.broken = false;
            self.flow.push("\n", face);
        }
        let cleaned = clean(text);
        match memchr::memchr(b'\t', cleaned.as_bytes()) {
            Some(_) => self.flow.push(&cleaned.replace('\t', "    "), face),
            None => self.flow.push(&cleaned, face),
        }
    }

    /// Takes an inline event. Returns false for any other.
    pub(super) fn event(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Text(text) => self.push(text, self.face()),
            Event::Code(text) => self.push(text, self.emphasised(Face::new(Role::Code))),
            Event::InlineMath(tex) if math::is_money(tex) => {
                for part in ["$", tex, "$"] {
                    self.push(part, self.face());
                }
            }
            Event::InlineMath(tex) => {
                let text = math::readable(tex).replace('\n', "; ");
                self.push(&text, self.emphasised(Face::new(Role::Math)));
            }
            Event::DisplayMath(tex) => self.formula(tex),
            Event::InlineHtml(tag) => self.tag(tag),
            Event::Html(text) => self.push(text, Face::new(Role::Dim)),
            Event::SoftBreak => self.push(" ", self.face()),
            Event::HardBreak => self.push("\n", self.face()),
            Event::FootnoteReference(name) => {
                self.push(&format!("[{name}]"), Face::new(Role::Accent));
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
            Tag::Link { dest_url, .. } => self.targets.push((dest_url.to_string(), self.flow.text.len())),
            Tag::Image { dest_url, .. } => {
                let start = self.flow.text.len();
                self.push("[image: ", Face::new(Role::Dim));
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
                    self.end_target(&url, start);
                }
            }
            TagEnd::Image => {
                self.push("]", Face::new(Role::Dim));
                if let Some((url, start)) = self.targets.pop() {
                    self.end_target(&url, start);
                    #[cfg(feature = "images")]
                    self.note_image(start, &url);
                }
            }
            _ => return false,
        }
        true
    }

    /// Makes what was written since `start` a link, and says where it goes unless that can be left out.
    fn end_target(&mut self, url: &str, start: usize) {
        if self.targets.len().max(self.tags.links.len()) >= MOST_INSIDE {
            if !url.is_empty() {
                self.push(&format!(" ({})", shortened(url)), Face::new(Role::Dim));
            }
            return;
        }
        let text = self.flow.text.get(start..).unwrap_or("");
        let empty = text.trim().is_empty();
        let says = link::says(text, url);
        let misleads = !says && link::reads_like_one(text);
        let target = link::target(url);
        let shown = !says && (self.says_targets || misleads || empty || target.is_none());
        if shown && !url.is_empty() {
            let face = Face::new(Role::Dim);
            self.push(if empty { "(" } else { " (" }, face);
            self.push(&shortened(url), face);
            self.push(")", face);
        }
        if let Some(target) = target {
            self.flow.link_from(start, &target);
        }
    }

    /// A formula that stands alone, a row for each of its lines.
    fn formula(&mut self, tex: &str) {
        let text = math::readable(tex);
        let face = self.emphasised(Face::new(Role::Math));
        if !self.flow.is_empty() && !self.flow.text.ends_with('\n') {
            self.broken = false;
            self.flow.push("\n", face);
        }
        let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
        self.push(&lines.join("\n"), face);
        self.broken = true;
    }

    fn tag(&mut self, tag: &str) {
        match html::meaning(tag) {
            Some(meaning) => self.mean(&meaning),
            None => self.as_written(tag),
        }
    }

    /// Shows a tag that means nothing here.
    pub(super) fn as_written(&mut self, tag: &str) {
        self.push(tag, Face::new(Role::Dim));
    }

    /// Does what a tag says.
    pub(super) fn mean(&mut self, meaning: &Meaning) {
        let step = |count: &mut u32, opens: bool| *count = if opens { *count + 1 } else { count.saturating_sub(1) };
        match meaning {
            Meaning::Bold(opens) => step(&mut self.tags.bold, *opens),
            Meaning::Italic(opens) => step(&mut self.tags.italic, *opens),
            Meaning::Strike(opens) => step(&mut self.tags.strike, *opens),
            Meaning::Underline(opens) => step(&mut self.tags.underline, *opens),
            Meaning::Code(opens) => step(&mut self.tags.code, *opens),
            Meaning::Script { opens: true, .. } => self.tags.scripts.push(self.flow.text.len()),
            Meaning::Script { opens: false, up } => {
                if let Some(start) = self.tags.scripts.pop() {
                    let text = self.flow.text.get(start..).unwrap_or("");
                    let mark = if *up { '^' } else { '_' };
                    let small = math::small(text, *up).unwrap_or_else(|| format!("{mark}({text})"));
                    let face = self.face();
                    self.flow.truncate(start);
                    self.flow.push(&small, face);
                }
            }
            Meaning::Break => self.line(),
            Meaning::Text(text) => self.push(text, self.face()),
            Meaning::Nothing => {}
            Meaning::Link(Some(url)) => self.tags.links.push((url.clone(), self.flow.text.len())),
            Meaning::Link(None) => {
                if let Some((url, start)) = self.tags.links.pop() {
                    self.end_target(&url, start);
                }
            }
            Meaning::Image { alt, url } => {
                let start = self.flow.text.len();
                self.push(&format!("[image: {alt}]"), Face::new(Role::Dim));
                self.end_target(url, start);
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
        self.images.push((start..self.flow.text.len(), url.to_owned()));
    }

    /// Returns the targets of the images, if there is nothing else.
    #[cfg(feature = "images")]
    pub(super) fn only_images(&self) -> Vec<String> {
        let is_blank = |from: usize, to: usize| self.flow.text.get(from..to).is_some_and(|text| text.trim().is_empty());
        let mut at = 0;
        for (range, _) in &self.images {
            if !is_blank(at, range.start) {
                return Vec::new();
            }
            at = range.end;
        }
        let alone = is_blank(at, self.flow.text.len());
        self.images.iter().filter(|_| alone).map(|(_, url)| url.clone()).collect()
    }

    /// Begins a row, unless one has just begun.
    fn line(&mut self) {
        self.broken |= !self.flow.is_empty() && !self.flow.text.ends_with('\n');
    }

    /// Text of a block of tags, in which any white space is one blank.
    pub(super) fn loose(&mut self, text: &str) {
        let started = self.broken || self.flow.is_empty() || self.flow.text.ends_with(['\n', ' ']);
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.starts_with(char::is_whitespace) && !started {
            words.insert(0, ' ');
        }
        if text.ends_with(char::is_whitespace) && !words.is_empty() && words != " " {
            words.push(' ');
        }
        self.push(&words, self.face());
    }

    fn face(&self) -> Face {
        let role = if self.tags.code > 0 { Face::new(Role::Code) } else { self.base };
        self.emphasised(role)
    }

    fn emphasised(&self, mut face: Face) -> Face {
        for (open, emphasis) in [
            (self.bold + self.tags.bold, Face::BOLD),
            (self.italic + self.tags.italic, Face::ITALIC),
            (self.strike + self.tags.strike, Face::STRIKE),
            (self.tags.underline, Face::UNDERLINE),
        ] {
            if open > 0 {
                face = face.with(emphasis);
            }
        }
        face
    }
}

/// A target can be of any length; data in it say nothing.
fn shortened(url: &str) -> String {
    if let Some(data) = data::parse(url) {
        return data.to_string();
    }
    match url.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &url[..end]),
        None => url.to_owned(),
    }
}
