//! PURE. A session as one page with a player, complete in itself.
//!
//! The page is the session, written out: it can be read, searched and printed without its script, which only shows and
//! hides what is there. A content policy lets nothing in it run but that script, known by its hash, and lets it reach
//! no other host. Invariant: text of others is escaped on its way in ([`escape`]); no other way leads into the page.

mod items;
mod markdown;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use super::SessionFacts;
use super::document::Document;
use super::markdown::{format_time, usage_words};
use crate::event::who_answers;
use crate::text::html::escape_html;
use crate::text::{clean, one_line};

const PAGE: &str = include_str!("../../assets/export/page.html");
const STYLE: &str = include_str!("../../assets/export/export.css");
const TIMELINE_STYLE: &str = include_str!("../../assets/page/timeline.css");
/// Modules of the script, each before those that use it.
const SCRIPTS: [&str; 3] = [
    include_str!("../../assets/page/text.js"),
    include_str!("../../assets/page/timeline.js"),
    include_str!("../../assets/export/export.js"),
];
const DARK: &str = "color-scheme: dark; --paper: #14171c; --shade: #1d2128; --line: #353c48; --ink: #e6e9ee; --soft: #a2abba; \
                    --accent: #8fb4ff; --on-accent: #0b1530; --mine: #1f2c49; --good: #6fd39a; --bad: #ff9b93; \
                    --warn: #f2b95e; --hit: #f2d16b;";

/// Returns the page.
pub(super) fn write(facts: &SessionFacts, document: &Document) -> String {
    let style = format!("{}{TIMELINE_STYLE}", STYLE.replace("{dark}", DARK));
    let script = join_scripts();
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(&style),
        hash(&script)
    );
    let title = escape(&one_line(document.title.as_deref().unwrap_or("Session"), 200));
    let mut rows = String::new();
    let mut times = String::new();
    for item in &document.items {
        items::write_item(&mut rows, item);
        let _ = write!(times, "{}{}", if times.is_empty() { "" } else { ",\n" }, items::times(item));
    }
    if document.is_open {
        rows.push_str("<p class=\"end\">The last turn has no end: it was cut off, or it still runs.</p>\n");
    }
    fill(
        PAGE,
        &[
            ("policy", &policy),
            ("title", &title),
            ("style", &style),
            ("facts", &head(facts, document)),
            ("items", &rows),
            ("times", &format!("[{times}]")),
            ("script", &script),
        ],
    )
}

fn head(facts: &SessionFacts, document: &Document) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
    };
    row("Session", &facts.id);
    if let Some(started) = facts.started() {
        row("Started", &started);
    }
    if !facts.folder.is_empty() {
        row("Folder", &facts.folder);
    }
    let answered = document.items.iter().rev().find_map(|item| match &item.body {
        super::document::ItemBody::Opened { engine, model } => Some(who_answers(engine, model)),
        _ => None,
    });
    if let Some(answered) = answered {
        row("Model", &answered);
    }
    row("Turns", &document.turns.to_string());
    row("Time", &format_time(document.length));
    if let Some(usage) = document.usage {
        row("Tokens", &usage_words(usage).replace(" tokens", ""));
    }
    if let Some(cost) = document.cost {
        row("Cost", &format!("${cost:.4}"));
    }
    out
}

/// Makes one script of modules.
fn join_scripts() -> String {
    let mut out = String::new();
    for line in SCRIPTS.iter().flat_map(|script| script.lines()) {
        if !line.starts_with("import ") {
            out.push_str(line.strip_prefix("export ").unwrap_or(line));
            out.push('\n');
        }
    }
    out
}

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes())))
}

/// Replaces each `{name}` of a template; what takes its place is not looked at.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((*value, after))
        });
        let (value, after) = found.unwrap_or(("{", after));
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Returns a text as it may stand in an element or in a quoted attribute, without what only a terminal understands.
fn escape(text: &str) -> String {
    escape_html(&clean(text))
}

#[cfg(test)]
mod tests;
