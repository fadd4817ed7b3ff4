//! PURE. A session as Markdown, to read and to compare.
//!
//! Headings of the first two levels are the exporter's, and so is every HTML tag: what was said keeps its Markdown, but
//! its headings go down two levels, its HTML becomes text and its open fences are closed ([`contained`]). What was
//! typed or put out stands in a quote, or in a fence that is longer than any in it. The same session gives the same
//! text, whenever and wherever it is exported.

mod contained;

use std::fmt::Write as _;

use super::SessionFacts;
use super::document::{Document, DocumentCall, DocumentItem, ItemBody, TurnEnd, pretty_args};
use crate::event::{
    FinishReason, LastContent, Millis, NoticeLevel, PlanState, PromptContext, PromptContextKind, TurnOutcome, Usage,
    who_answers,
};
use crate::text::clean;
use crate::text::fence::{fence_around, marks_around};
use crate::text::human::whole_size;
use contained::{contain, escape_inline};

/// Returns the whole text.
pub(super) fn write(facts: &SessionFacts, document: &Document) -> String {
    let mut writer = MarkdownWriter::default();
    writer.head(facts, document);
    for item in &document.items {
        writer.item(item);
    }
    if document.is_open {
        writer.block("*The last turn has no end: it was cut off, or it still runs.*");
    }
    writer.out
}

#[derive(Default)]
struct MarkdownWriter {
    out: String,
}

impl MarkdownWriter {
    fn head(&mut self, facts: &SessionFacts, document: &Document) {
        let title = document.title.as_deref().unwrap_or("Session");
        let _ = writeln!(self.out, "# {}", escape_inline(title));
        let mut list = String::new();
        let mut row = |name: &str, value: String| _ = writeln!(list, "- {name}: {value}");
        row("Session", code_span(&facts.id));
        if let Some(started) = facts.started() {
            row("Started", started);
        }
        if !facts.folder.is_empty() {
            row("Folder", code_span(&facts.folder));
        }
        let turns = if document.turns == 1 { "1 turn".to_owned() } else { format!("{} turns", document.turns) };
        let mut total = format!("{turns}, {}", format_time(document.length));
        if let Some(usage) = document.usage {
            let _ = write!(total, ", {}", usage_words(usage));
        }
        if let Some(cost) = document.cost {
            let _ = write!(total, ", ${cost:.4}");
        }
        row("Total", total);
        self.block(list.trim_end());
    }

    /// Writes a block, apart from the one before.
    fn block(&mut self, text: &str) {
        let _ = write!(self.out, "\n{text}\n");
    }

    fn heading(&mut self, title: &str, item: &DocumentItem, about: &[String]) {
        let mut line = format!("## {title}");
        for part in [format_time(item.at)].iter().chain(about) {
            let _ = write!(line, " · {part}");
        }
        if item.is_sub {
            line.push_str(" · sub-agent");
        }
        if item.is_marked {
            line.push_str(" · marked");
        }
        self.block(&line);
    }

    fn item(&mut self, item: &DocumentItem) {
        match &item.body {
            ItemBody::Opened { engine, model } => {
                self.block(&format!("*{} answers.*", code_span(&who_answers(engine, model))));
            }
            ItemBody::Prompt { number, text, context, author } => {
                let about: Vec<String> =
                    author.iter().map(|name| format!("typed by {}", escape_inline(name))).collect();
                self.heading(&format!("Prompt {number}"), item, &about);
                self.block(&quote(&contain(text)));
                for part in context {
                    self.attached(part);
                }
            }
            ItemBody::Answer { text, is_refusal, finish_reason } => {
                let about = if *is_refusal { vec!["declined".to_owned()] } else { Vec::new() };
                self.heading("Answer", item, &about);
                self.block(&contain(text));
                let remark = finish_reason.and_then(|reason| reason.explanation(LastContent::Text));
                if let Some((_, why)) = remark.filter(|_| *finish_reason == Some(FinishReason::Length)) {
                    self.block(&format!("*{why}*"));
                }
            }
            ItemBody::Reasoning { text } => {
                let took = format_duration(item.until.since(item.at));
                self.block(&format!("<details><summary>Reasoning · {} · {took}</summary>", format_time(item.at)));
                self.block(&contain(text));
                self.block("</details>");
            }
            ItemBody::Call(call) => self.call(item, call),
            ItemBody::Plan(entries) => {
                self.heading("Plan", item, &[]);
                let rows: Vec<String> = entries
                    .iter()
                    .map(|entry| {
                        let sign = if entry.state == PlanState::Done { 'x' } else { ' ' };
                        let state = if entry.state == PlanState::InProgress { " *(in progress)*" } else { "" };
                        format!("- [{sign}] {}{state}", escape_inline(&entry.text))
                    })
                    .collect();
                self.block(&rows.join("\n"));
            }
            ItemBody::Notice { level, code, text } => {
                let word = match level {
                    NoticeLevel::Info => "Note",
                    NoticeLevel::Warn => "Warning",
                    NoticeLevel::Error => "Error",
                };
                self.block(&format!("*{word} ({}):* {}", escape_inline(&code.name()), escape_inline(text)));
            }
            ItemBody::TurnEnd(end) => self.turn_end(item, end),
        }
    }

    fn call(&mut self, item: &DocumentItem, call: &DocumentCall) {
        let mut about = vec![call.state().to_owned()];
        about.extend(call.duration.map(format_duration));
        if call.is_server_run {
            about.push("ran at the server".to_owned());
        }
        if call.is_person_run {
            self.heading(&format!("Command {} of the person", call.number), item, &about);
        } else {
            self.heading(&format!("Call {}: {}", call.number, code_span(&call.name)), item, &about);
        }
        let (args, is_json) = pretty_args(&call.args);
        if !args.trim().is_empty() && args != "{}" {
            self.block(&fence(&args, if is_json { "json" } else { "" }));
        }
        if let Some(words) = call.decision_words() {
            self.block(&format!("Decision: {}", escape_inline(&words)));
        }
        if !call.output.text.is_empty() {
            self.block("Output:");
            self.block(&fence(&call.output.text, ""));
        }
        if let Some(file) = &call.output.file {
            self.block(&format!("*The whole output was kept beside the log, in {}.*", code_span(file)));
        }
    }

    fn attached(&mut self, part: &PromptContext) {
        let what = match &part.kind {
            PromptContextKind::File => "File",
            PromptContextKind::Folder => "Folder",
            PromptContextKind::Command => "Output of",
            PromptContextKind::Image(image) => {
                let size = whole_size(image.bytes());
                let pixels = image.pixels().map_or_else(String::new, |pixels| format!(" {pixels},"));
                return self.block(&format!(
                    "*Image {},{pixels} {}, {size}: not in this text, the HTML export shows it.*",
                    code_span(&part.name),
                    image.media_type.name(),
                ));
            }
        };
        self.block(&format!(
            "<details><summary>{what} {}, sent with the prompt</summary>",
            escape_html(&one_line_of(&part.name))
        ));
        self.block(&fence(&part.text, ""));
        self.block("</details>");
    }

    fn turn_end(&mut self, item: &DocumentItem, end: &TurnEnd) {
        let mut words = match &end.outcome {
            TurnOutcome::Completed => "Completed".to_owned(),
            TurnOutcome::Cancelled => "Cancelled".to_owned(),
            TurnOutcome::Interrupted => "Cut off".to_owned(),
            TurnOutcome::Failed(fault) => format!("Failed ({})", fault.kind.name()),
        };
        let _ = write!(words, " · {} · {}", format_time(item.at), format_duration(end.duration));
        if let Some(first) = end.first_token {
            let _ = write!(words, " · first token {}", format_duration(first));
        }
        if let Some(usage) = end.usage {
            let _ = write!(words, " · {}", usage_words(usage));
        }
        if let Some(cost) = end.cost {
            let _ = write!(words, " · ${cost:.4}");
        }
        self.block(&format!("*{words}*"));
        if let TurnOutcome::Failed(fault) = &end.outcome {
            self.block(&quote(&escape_inline(&fault.message)));
        }
    }
}

/// Returns tokens in words.
pub(super) fn usage_words(usage: Usage) -> String {
    let sign = if usage.estimated { "~" } else { "" };
    // What was sent is not guessed.
    if usage.input_tokens == 0 {
        return format!("{sign}{} tokens out", usage.output_tokens);
    }
    let mut words = format!("{sign}{} tokens in", usage.input_tokens);
    if usage.cached_tokens > 0 {
        let _ = write!(words, " ({} cached)", usage.cached_tokens);
    }
    let _ = write!(words, ", {sign}{} out", usage.output_tokens);
    words
}

/// Returns a time on the session's clock as players show it: `0:05`, `1:02:03`.
pub(super) fn format_time(at: Millis) -> String {
    let seconds = at.0 / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Returns how long something took: `12 ms`, `1.2 s`, `3:05`.
pub(super) fn format_duration(took: Millis) -> String {
    match took.0 {
        0..1000 => format!("{} ms", took.0),
        1000..60_000 => format!("{:.1} s", took.as_secs_f64()),
        _ => format_time(took),
    }
}

fn one_line_of(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Puts a text into a quote.
fn quote(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(|line| if line.is_empty() { ">".to_owned() } else { format!("> {line}") }).collect();
    if lines.is_empty() { ">".to_owned() } else { lines.join("\n") }
}

/// Puts a text into a fence that is longer than any in it.
fn fence(text: &str, language: &str) -> String {
    let text = clean(text);
    let marks = fence_around(&text);
    format!("{marks}{language}\n{}\n{marks}", text.trim_end_matches('\n'))
}

/// Returns a text as code within a line.
fn code_span(text: &str) -> String {
    let text = one_line_of(text);
    if text.is_empty() {
        return "(none)".to_owned();
    }
    let marks = marks_around(&text);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{marks}{pad}{text}{pad}{marks}")
}

#[cfg(test)]
mod tests;
