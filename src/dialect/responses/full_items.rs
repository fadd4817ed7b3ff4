//! Complete items in announcements and closing frames: matched with those that were streamed, and emitted where they
//! are new.

use super::super::unknown_frames::UnknownFrames;
use super::MAX_LISTED;
use super::emitter::ResponsesEmitter;
use super::items::{ResponsesItemKind, TextChannel};
use super::tools;
use super::wire::{list_at, text_at};
use crate::event::{CallOutcome, ExecutedBy, Json, NoticeCode, NoticeLevel, ReplyEvent};

/// Takes an item at its start or complete. `nth` counts the items of its kind where a list has them all.
pub(super) fn reconcile_item(
    emitter: &mut ResponsesEmitter,
    odd: &mut UnknownFrames,
    json: &Json,
    index: Option<u64>,
    done: bool,
    nth: Option<usize>,
    out: &mut Vec<ReplyEvent>,
) {
    let item_type = text_at(json, "type").unwrap_or_default();
    let id = text_at(json, "id");
    let Some(kind) = ResponsesItemKind::parse(item_type) else {
        match (item_type, text_at(json, "encrypted_content")) {
            ("compaction" | "compaction_summary", Some(_)) if done => {
                emitter.provider_metadata.record_item(emitter.items.list.len(), None, None, json);
            }
            ("compaction" | "compaction_summary", _) => {}
            _ => odd.report(if item_type.is_empty() { "an item without a type" } else { item_type }, out),
        }
        return;
    };
    let items = &mut emitter.items;
    let call_id = text_at(json, "call_id");
    // One id may stand for two calls of two items; items whose id changed keep their position.
    let by_id = id.and_then(|id| items.find_id(id, kind));
    let by_call = call_id.filter(|_| kind == ResponsesItemKind::Call).and_then(|id| items.find_call(id));
    let by_call = by_call.filter(|at| items.may_be_at(*at, index));
    let known = by_id.or(by_call);
    let known =
        known.or_else(|| if done { items.find(id, index, kind) } else { items.find_announced(id, index, kind) });
    let known = known.or_else(|| {
        let mut of_kind = items.list.iter().enumerate().filter(|(_, item)| item.kind == kind);
        of_kind.nth(nth?).map(|(at, _)| at)
    });
    let Some(at) = known.or_else(|| items.add(id, index, kind, item_type)) else {
        return odd.report("too many output items", out);
    };
    let Some(item) = items.get(at).filter(|item| !item.is_done) else { return };
    item.id = item.id.take().or_else(|| id.map(Into::into));
    item.index = item.index.or(index);
    // Servers that announce only complete items never send the event that ends one.
    let is_finished = matches!(text_at(json, "status"), Some("completed" | "failed"));
    let is_told_whole = match kind {
        ResponsesItemKind::Message => is_finished && !list_at(json, "content").is_empty(),
        ResponsesItemKind::Output => is_finished,
        ResponsesItemKind::Reasoning | ResponsesItemKind::Call => false,
    };
    let is_whole = done || is_told_whole;
    item.is_done = is_whole;
    match kind {
        ResponsesItemKind::Message | ResponsesItemKind::Reasoning if is_whole => {
            reconcile_content(emitter, at, json, out);
        }
        ResponsesItemKind::Message | ResponsesItemKind::Reasoning => {}
        ResponsesItemKind::Call => reconcile_call(emitter, at, json, item_type, is_whole, out),
        ResponsesItemKind::Output => reconcile_call_output(emitter, at, json, is_whole, out),
    }
    if is_whole && (kind != ResponsesItemKind::Call || tools::ran_by(item_type) == ExecutedBy::Client) {
        let message = emitter.items.get(at).and_then(|item| item.message.clone());
        emitter.provider_metadata.record_item(at, Some(kind), message.as_ref(), json);
    }
}

/// Reconciles the texts of a complete message or reasoning item.
fn reconcile_content(emitter: &mut ResponsesEmitter, at: usize, json: &Json, out: &mut Vec<ReplyEvent>) {
    let parts = list_at(json, "summary").iter().map(|part| (part, true));
    let parts = parts.chain(list_at(json, "content").iter().map(|part| (part, false)));
    let mut seen: Vec<TextChannel> = Vec::new();
    for (part, is_summary) in parts.take(MAX_LISTED) {
        let Some((channel, text)) = part_text(part, is_summary) else { continue };
        let nth = seen.iter().filter(|known| **known == channel).count();
        seen.push(channel);
        let Some(item) = emitter.items.get(at) else { return };
        let index = item.nth_index(channel, nth);
        let is_cited = item.part(channel, index).is_none_or(|part| part.is_cited);
        emitter.reconcile_text(at, channel, index, text, out);
        for annotation in list_at(part, "annotations").iter().filter(|_| !is_cited) {
            emitter.emit_citation(at, annotation, out);
        }
    }
    if let Some(text) = json.get("content").and_then(Json::as_str) {
        emitter.reconcile_text(at, TextChannel::Text, 0, text, out);
    }
}

fn reconcile_call(
    emitter: &mut ResponsesEmitter,
    at: usize,
    json: &Json,
    item_type: &str,
    is_whole: bool,
    out: &mut Vec<ReplyEvent>,
) {
    if let Some(call) = emitter.items.call(at) {
        item_type.clone_into(&mut call.tool);
        call.wire_id = call.wire_id.take().or_else(|| text_at(json, "call_id").map(Into::into));
        if call.name.is_empty() {
            call.name = tools::tool_name(json, item_type);
        }
    }
    emitter.start(at, out);
    if !is_whole {
        return;
    }
    if let Some(args) = tools::arguments(json, item_type).filter(|args| !args.is_empty()) {
        emitter.reconcile_args(at, args, out);
    }
    // Arguments that were cut off at the output limit must not be run.
    let is_cut = tools::ran_by(item_type) == ExecutedBy::Client && text_at(json, "status") == Some("incomplete");
    if !is_cut {
        emitter.mark_ready(at, text_at(json, "id"), out);
    }
    if let Some((outcome, text)) = tools::parse_result(json, item_type) {
        emitter.finish_call(at, outcome, text, out);
    }
    if item_type == "mcp_approval_request" {
        emitter.finish_call(at, CallOutcome::Requested, String::new(), out);
        let text = "the server requests an approval, which jarvis-tui can't send in this format".to_owned();
        out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Approval, text });
    }
}

/// Handles an output item: of a shell's call, or of a function that the server ran after all.
fn reconcile_call_output(
    emitter: &mut ResponsesEmitter,
    at: usize,
    json: &Json,
    is_whole: bool,
    out: &mut Vec<ReplyEvent>,
) {
    let target = text_at(json, "call_id").and_then(|id| emitter.items.find_call(id));
    let Some(item) = emitter.items.get(at) else { return };
    item.output_of = item.output_of.or(target);
    let target = item.output_of;
    if let Some(target) = target.filter(|_| is_whole) {
        let (outcome, text) = tools::parse_output(json);
        emitter.mark_ready(target, None, out);
        emitter.finish_call(target, outcome, text, out);
    }
}

/// Returns channel and text of a part of a message, of reasoning, or of its summary.
pub(super) fn part_text(part: &Json, is_summary: bool) -> Option<(TextChannel, &str)> {
    let text = || text_at(part, "text");
    match text_at(part, "type").unwrap_or_default() {
        "refusal" => Some((TextChannel::Refusal, text_at(part, "refusal").or_else(text)?)),
        "reasoning_text" => Some((TextChannel::Reasoning, text()?)),
        _ if is_summary => Some((TextChannel::Summary, text()?)),
        "output_text" | "text" => Some((TextChannel::Text, text()?)),
        "output_audio" => Some((TextChannel::Text, text_at(part, "transcript")?)),
        _ => None,
    }
}
