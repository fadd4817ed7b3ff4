//! Inline Markdown: emphasis, code, links and images, gathered into a flow.
//!
//! Not for blocks. Text is cleaned here once more, since an entity may stand for a control character.

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::text::clean;
use crate::ui::lines::laid::Flow;
use crate::ui::theme::{Face, Role};

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
}

impl Inline {
    /// Sets how text looks that has no emphasis of its own.
    pub(super) fn set_base(&mut self, base: Face) {
        self.base = base;
    }

    pub(super) fn take(&mut self) -> Flow {
        std::mem::take(&mut self.flow)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flow.is_empty()
    }

    pub(super) fn push(&mut self, text: &str, face: Face) {
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
            Event::InlineMath(text) | Event::DisplayMath(text) => self.push(text, self.face()),
            Event::InlineHtml(text) | Event::Html(text) => self.push(text, Face::new(Role::Dim)),
            Event::SoftBreak => self.push(" ", self.face()),
            Event::HardBreak => self.push("\n", self.face()),
            Event::FootnoteReference(name) => {
                self.push("[^", Face::new(Role::Dim));
                self.push(name, Face::new(Role::Dim));
                self.push("]", Face::new(Role::Dim));
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
                self.push("[image: ", Face::new(Role::Dim));
                self.targets.push((dest_url.to_string(), self.flow.text.len()));
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
            TagEnd::Link => self.end_target(false),
            TagEnd::Image => {
                self.push("]", Face::new(Role::Dim));
                self.end_target(true);
            }
            _ => return false,
        }
        true
    }

    /// Shows where a link goes, unless its text says so.
    fn end_target(&mut self, image: bool) {
        let Some((url, start)) = self.targets.pop() else { return };
        let text = self.flow.text.get(start..).unwrap_or("");
        let said = !image && same_target(text, &url);
        if !said && !url.is_empty() {
            self.push(" (", Face::new(Role::Dim));
            self.push(&shortened(&url), Face::new(Role::Dim));
            self.push(")", Face::new(Role::Dim));
        }
    }

    fn face(&self) -> Face {
        let face = match self.targets.last() {
            Some((url, _)) if is_known_scheme(url) => Face::new(Role::Link),
            _ => self.base,
        };
        self.emphasised(face)
    }

    fn emphasised(&self, mut face: Face) -> Face {
        for (open, emphasis) in [(self.bold, Face::BOLD), (self.italic, Face::ITALIC), (self.strike, Face::STRIKE)] {
            if open > 0 {
                face = face.with(emphasis);
            }
        }
        face
    }
}

fn same_target(text: &str, url: &str) -> bool {
    let bare = url.strip_prefix("mailto:").unwrap_or(url);
    text.trim_end_matches('/') == bare.trim_end_matches('/')
}

/// Schemes that look like a link. Others are shown, but as text that nobody takes for one.
fn is_known_scheme(url: &str) -> bool {
    let end = url.find([':', '/', '?', '#']).unwrap_or(url.len());
    match url.get(..end) {
        Some(scheme) if url[end..].starts_with(':') => {
            ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        }
        _ => true,
    }
}

/// Data in a target can be of any length and says nothing.
fn shortened(url: &str) -> String {
    match url.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &url[..end]),
        None => url.to_owned(),
    }
}
