//! PURE. The items of a session as elements, and their times for the player.

use std::fmt::Write as _;

use super::escape;
use super::markdown::to_html;
use crate::event::{
    FinishReason, Json, LastContent, Millis, NoticeLevel, PlanState, PromptContext, PromptContextKind, TurnOutcome,
    who_answers,
};
use crate::export::document::{DocumentCall, DocumentItem, ItemBody, TurnEnd, pretty_args};
use crate::export::markdown::{format_duration, format_time, usage_words};
use crate::text::one_line;

/// Steps of a text that are nearer to each other look like one.
const MIN_STEP: Millis = Millis(40);
/// Characters of what a call is about.
const MAX_SUBJECT: usize = 200;

/// Appends an item.
pub(super) fn write_item(out: &mut String, item: &DocumentItem) {
    let kind = match &item.body {
        ItemBody::Opened { .. } => "opened",
        ItemBody::Prompt { .. } => "prompt",
        ItemBody::Answer { .. } => "answer",
        ItemBody::Reasoning { .. } => "reasoning",
        ItemBody::Call(_) => "call",
        ItemBody::Plan(_) => "plan",
        ItemBody::Notice { .. } => "notice",
        ItemBody::TurnEnd(end) if end.outcome == TurnOutcome::Completed => "end",
        ItemBody::TurnEnd(_) => "end bad",
    };
    let sub = if item.is_sub { " sub" } else { "" };
    let _ = write!(
        out,
        "<article class=\"item {kind}{sub}\" id=\"e{}\" aria-label=\"{}\"{}>",
        item.seq.0,
        escape(&label(item)),
        state_attribute(item)
    );
    write_body(out, item);
    out.push_str("</article>\n");
}

/// Returns what an item is called, in a line.
fn label(item: &DocumentItem) -> String {
    let name = match &item.body {
        ItemBody::Opened { engine, model } => format!("{} answers", who_answers(engine, model)),
        ItemBody::Prompt { number, .. } => format!("Prompt {number}"),
        ItemBody::Answer { is_refusal: false, .. } => "Answer".to_owned(),
        ItemBody::Answer { is_refusal: true, .. } => "Declined".to_owned(),
        ItemBody::Reasoning { .. } => "Reasoning".to_owned(),
        ItemBody::Call(call) => format!("{} {}, {}", call_word(call), one_line(&call.name, 60), call.state()),
        ItemBody::Plan(_) => "Plan".to_owned(),
        ItemBody::Notice { level, .. } => level_word(*level).to_owned(),
        ItemBody::TurnEnd(end) => format!("Turn {}", outcome_words(&end.outcome).to_lowercase()),
    };
    if item.is_sub { format!("{name}, sub-agent") } else { name }
}

fn call_word(call: &DocumentCall) -> &'static str {
    if call.is_person_run { "Command" } else { "Call" }
}

fn level_word(level: NoticeLevel) -> &'static str {
    match level {
        NoticeLevel::Info => "Note",
        NoticeLevel::Warn => "Warning",
        NoticeLevel::Error => "Error",
    }
}

fn outcome_words(outcome: &TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Completed => "Completed",
        TurnOutcome::Cancelled => "Cancelled",
        TurnOutcome::Interrupted => "Cut off",
        TurnOutcome::Failed(_) => "Failed",
    }
}

fn state_attribute(item: &DocumentItem) -> String {
    match &item.body {
        ItemBody::Call(call) => format!(" data-state=\"{}\"", call.outcome.map_or("running", |outcome| outcome.name())),
        ItemBody::Notice { level, .. } => {
            format!(" data-level=\"{}\"", level_word(*level).to_lowercase().replace("warning", "warn"))
        }
        _ => String::new(),
    }
}

fn write_body(out: &mut String, item: &DocumentItem) {
    match &item.body {
        ItemBody::Opened { engine, model } => {
            let _ = write!(out, "<p>{} answers.</p>", escape(&who_answers(engine, model)));
        }
        ItemBody::Prompt { number, text, context, author } => {
            let author = author.as_ref().map(|name| format!("typed by {}", one_line(name, 60)));
            heading(out, "h2", &format!("Prompt {number}"), item, author.as_deref());
            let _ = write!(out, "<div class=\"text grows\"><p class=\"plain\">{}</p></div>", escape(text.trim_end()));
            attachments(out, context);
        }
        ItemBody::Answer { text, is_refusal, finish_reason } => {
            heading(out, "h3", if *is_refusal { "Declined" } else { "Answer" }, item, None);
            let _ = write!(out, "<div class=\"text grows\">{}</div>", to_html(text));
            let remark = finish_reason.and_then(|reason| reason.explanation(LastContent::Text));
            if let Some((_, why)) = remark.filter(|_| *finish_reason == Some(FinishReason::Length)) {
                let _ = write!(out, "<p class=\"about when-done\">{why}</p>");
            }
        }
        ItemBody::Reasoning { text } => {
            let took = format_duration(item.until.since(item.at));
            let _ = write!(
                out,
                "<details><summary>Reasoning {} <span class=\"about\">{took}</span></summary>\
                 <div class=\"text grows\"><p class=\"plain\">{}</p></div></details>",
                time(item.at),
                escape(text.trim())
            );
        }
        ItemBody::Call(call) => write_call(out, item, call),
        ItemBody::Plan(entries) => {
            heading(out, "h3", "Plan", item, None);
            out.push_str("<ul>");
            for entry in entries {
                let (class, sign) = match entry.state {
                    PlanState::Done => ("done", "☑"),
                    PlanState::InProgress => ("now", "▶"),
                    PlanState::Pending => ("", "☐"),
                };
                let state = entry.state.label();
                let _ = write!(
                    out,
                    "<li class=\"{class}\"><span aria-hidden=\"true\">{sign} </span>{}<span class=\"unseen\"> ({state})</span></li>",
                    escape(&entry.text)
                );
            }
            out.push_str("</ul>");
        }
        ItemBody::Notice { text, .. } => {
            let _ = write!(out, "<p class=\"plain\">{}</p>", escape(text));
        }
        ItemBody::TurnEnd(end) => write_end(out, item, end),
    }
}

fn time(at: Millis) -> String {
    format!("<time>{}</time>", format_time(at))
}

fn heading(out: &mut String, tag: &str, title: &str, item: &DocumentItem, about: Option<&str>) {
    let _ = write!(out, "<{tag}>{title} {}", time(item.at));
    if let Some(about) = about {
        let _ = write!(out, " <span class=\"about\">{}</span>", escape(about));
    }
    if item.is_sub {
        out.push_str(" <span class=\"about\">sub-agent</span>");
    }
    if item.is_marked {
        out.push_str(" <span class=\"marked\">marked</span>");
    }
    let _ = write!(out, "</{tag}>");
}

fn write_call(out: &mut String, item: &DocumentItem, call: &DocumentCall) {
    let word = call_word(call);
    let name = if call.is_person_run { "command".to_owned() } else { one_line(&call.name, 80) };
    let mut state = call.state().to_owned();
    if let Some(took) = call.duration {
        let _ = write!(state, " · {}", format_duration(took));
    }
    let marked = if item.is_marked { " <span class=\"marked\">marked</span>" } else { "" };
    let _ = write!(
        out,
        "<h3>{word} {}</h3><details><summary><span class=\"name\">{}</span> <span class=\"subject\">{}</span> \
         <span class=\"state\"><span class=\"when-growing\">running</span><span class=\"when-done\">{}</span></span> {}{marked}</summary>\
         <div class=\"parts\">",
        escape(&name),
        escape(&name),
        escape(&subject(call)),
        escape(&state),
        time(item.at),
    );
    let (args, _) = pretty_args(&call.args);
    if !args.trim().is_empty() && args != "{}" {
        let _ = write!(out, "<p class=\"cap\">Arguments</p><pre class=\"wrap\">{}</pre>", escape(&args));
    }
    if let Some(request) = call.request.as_ref().filter(|request| !request.detail.is_empty()) {
        let _ = write!(out, "<p class=\"cap\">Asked for</p><pre>{}</pre>", escape(&request.detail));
    }
    if let Some(words) = call.decision_words() {
        let _ = write!(out, "<p class=\"cap\">Decision</p><p>{}</p>", escape(&words));
    }
    if call.is_server_run {
        out.push_str("<p class=\"cap\">It ran at the server.</p>");
    }
    if !call.output.text.is_empty() {
        let class = if item.growth.is_empty() { " class=\"when-done\"" } else { " class=\"grows\"" };
        let _ = write!(out, "<p class=\"cap\">Output</p><pre{class}>{}</pre>", escape(call.output.text.trim_end()));
    }
    if let Some(file) = &call.output.file {
        let _ = write!(out, "<p class=\"cap\">The whole output was kept beside the log, in {}.</p>", escape(file));
    }
    out.push_str("</div></details>");
}

/// Returns what a call is about in a line: the only argument alone, else all of them.
fn subject(call: &DocumentCall) -> String {
    if let Some(request) = &call.request {
        return one_line(&request.subject, MAX_SUBJECT);
    }
    let only = match serde_json::from_str::<Json>(&call.args) {
        Ok(Json::Object(fields)) if fields.is_empty() => return String::new(),
        Ok(Json::Object(fields)) if fields.len() == 1 => {
            fields.into_iter().next().and_then(|(_, value)| value.as_str().map(str::to_owned))
        }
        _ => None,
    };
    one_line(only.as_deref().unwrap_or(&call.args), MAX_SUBJECT)
}

fn attachments(out: &mut String, context: &[PromptContext]) {
    let mut pictures = String::new();
    for part in context {
        match &part.kind {
            // What came from outside may be anything.
            PromptContextKind::Image(image) if image.check().is_ok() => {
                let name = escape(&one_line(&part.name, 120));
                let _ = write!(
                    pictures,
                    "<figure><img src=\"{}\" alt=\"{name}\"><figcaption>{name}</figcaption></figure>",
                    escape(&image.data_url())
                );
            }
            PromptContextKind::Image(_) => {
                let _ = write!(out, "<p class=\"about\">{} can't be shown.</p>", escape(&one_line(&part.name, 120)));
            }
            PromptContextKind::File | PromptContextKind::Folder | PromptContextKind::Command => {
                let _ = write!(
                    out,
                    "<details class=\"attached\"><summary>{}</summary><pre>{}</pre></details>",
                    escape(&one_line(&part.name, 120)),
                    escape(part.text.trim_end())
                );
            }
        }
    }
    if !pictures.is_empty() {
        let _ = write!(out, "<div class=\"pictures\">{pictures}</div>");
    }
}

fn write_end(out: &mut String, item: &DocumentItem, end: &TurnEnd) {
    let mut words = vec![outcome_words(&end.outcome).to_owned(), format_duration(end.duration)];
    words.extend(end.first_token.map(|first| format!("first token {}", format_duration(first))));
    words.extend(end.usage.map(usage_words));
    words.extend(end.cost.map(|cost| format!("${cost:.4}")));
    let _ = write!(out, "<p>{} {}</p>", escape(&words.join(" · ")), time(item.at));
    if let TurnOutcome::Failed(fault) = &end.outcome {
        let _ = write!(out, "<p class=\"plain\">{}</p>", escape(&fault.message));
    }
}

/// Returns an item's times as JSON: when it began, when it changed last, what it is to who steps through, and by how much
/// its text grew after how long, in turns.
pub(super) fn times(item: &DocumentItem) -> String {
    let kind = match &item.body {
        ItemBody::Prompt { .. } => "prompt",
        ItemBody::Call(_) => "call",
        _ => "",
    };
    let kinds = [kind, if item.is_error() { "error" } else { "" }, if item.is_marked { "mark" } else { "" }];
    let kinds: Vec<&str> = kinds.into_iter().filter(|kind| !kind.is_empty()).collect();
    let mut steps = Vec::new();
    let (mut time, mut size) = (item.at, 0);
    for (nth, (at, bytes)) in item.growth.iter().enumerate() {
        if nth + 1 == item.growth.len() || at.since(time) >= MIN_STEP || nth == 0 {
            steps.push(at.since(time).0);
            steps.push((*bytes as u64).saturating_sub(size));
            (time, size) = (*at, *bytes as u64);
        }
    }
    serde_json::json!([item.at, item.until, kinds.join(" "), steps]).to_string()
}
