//! ChatKit, as its Python package serves it from one address: unnamed events of a thread. An item (a message, a call
//! for the client, a widget, the tasks of a workflow) is added, updated and done. There is no end mark: an answer is
//! whole when every item that was added is done.
//!
//! Source: the types of the Python package `openai-chatkit` 1.6, and recordings of servers that were made with it.

use serde_json::json;

use super::agent_reply::{MessageHandle, annotate, ask_person, capped, result_text};
use super::reply_end::ReplyEnd;
use super::step_reply::{StepBlockKind, StepReply};
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Json, NoticeCode, NoticeLevel, ReplyEvent, StepState};

/// Also `--dialect chatkit`.
pub const DIALECT: Dialect = Dialect {
    name: "chatkit",
    title: "ChatKit",
    decode: |_| Box::<ChatKitDecoder>::default(),
    evidence,
    extends: None,
    limitations: "usage, how widgets look, calls that its server runs",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let is_one = match kind {
        "thread.created" | "thread.updated" => first.has_in("thread", "created_at"),
        "thread.item.added" | "thread.item.done" | "thread.item.replaced" => first.has_in("item", "thread_id"),
        "thread.item.updated" | "thread.item.removed" => first.has("item_id"),
        "stream_options" => first.has("stream_options"),
        "progress_update" => first.has("text"),
        "error" => first.has("allow_retry"),
        _ => false,
    };
    is_one.then(|| Evidence::shape(format!("a frame of type {kind} is about a thread")))
}

/// Items that are open at a time; the oldest is forgotten.
const MAX_OPEN_ITEMS: usize = 256;
/// Steps whose state is remembered.
const MAX_STEPS: usize = 256;

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct ChatKitDecoder {
    steps: StepReply,
    /// The ids of items that are not done.
    open: Vec<String>,
    /// Something of the answer is done.
    has_done_any: bool,
    /// The server says that its turn is over.
    is_turn_over: bool,
    /// The tasks that were told, and whether as done.
    tasks: Vec<(String, bool)>,
    end: ReplyEnd,
}

impl ChatKitDecoder {
    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "thread.item.updated" => {
                let update = event.get("update").unwrap_or(&Json::Null);
                self.handle_update(word("item_id"), update, marked, out);
            }
            "thread.created" | "thread.updated" => {
                if let Some(id) = event.pointer("/thread/id").filter(|id| id.is_string()) {
                    self.steps.reply.set_follow_up(json!({ "thread_id": id }));
                }
            }
            "thread.item.removed" => {
                let id = word("item_id");
                self.open.retain(|open| open != id);
                let message = self.steps.block(StepBlockKind::Text, &part_id(id, 0), out);
                self.steps.reply.discard(message, out);
            }
            "stream_options" => {}
            _ => {
                let mut event = event.clone();
                surrogate::resolve_marks_in_json(&mut event, marked);
                self.handle_rare_event(&event, out);
            }
        }
    }

    fn handle_rare_event(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        let item = event.get("item").unwrap_or(&Json::Null);
        match word("type") {
            "thread.item.added" => self.handle_item(item, false, out),
            "thread.item.done" | "thread.item.replaced" => self.handle_item(item, true, out),
            "progress_update" => {
                let progress = json!({ "step": "progress_update", "label": word("text") });
                annotate(Annotation::Progress(progress), out);
            }
            "client_effect" => {
                let value = capped(event.get("data").unwrap_or(&Json::Null));
                annotate(Annotation::Custom { name: word("name").into(), value }, out);
            }
            "notice" => {
                let level = if word("level") == "info" { NoticeLevel::Info } else { NoticeLevel::Warn };
                let text = [word("title"), word("message")].map(error::to_single_line);
                let text = text.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
                out.push(ReplyEvent::Notice { level, code: NoticeCode::Warning, text });
            }
            "error" => {
                let message = [word("message"), word("code")].into_iter().find(|text| !text.is_empty());
                let message = error::to_single_line(message.unwrap_or("no reason given"));
                self.end.fail(&error::ServerError { message, code: word("code").to_owned(), status: None });
            }
            "" => match error::parse(event) {
                Some(server_error) => self.end.fail(&server_error),
                None => self.end.unknown_frames.report("an event without a type", out),
            },
            other => self.end.unknown_frames.report(other, out),
        }
    }

    /// Handles an item, as far as it is there.
    fn handle_item(&mut self, item: &Json, is_done: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| item.get(key).and_then(Json::as_str).unwrap_or_default();
        let (id, kind) = (word("id"), word("type"));
        // What the person said.
        if kind == "user_message" {
            return;
        }
        self.open.retain(|open| open != id);
        if is_done {
            self.has_done_any = true;
        } else {
            if self.open.len() >= MAX_OPEN_ITEMS {
                self.open.remove(0);
            }
            self.open.push(id.to_owned());
        }
        match kind {
            "assistant_message" => {
                for (index, part) in item.get("content").and_then(Json::as_array).into_iter().flatten().enumerate() {
                    self.take_whole_part(id, index as u64, part, out);
                }
            }
            "client_tool_call" => self.handle_client_call(item, out),
            "workflow" => {
                let tasks = item.pointer("/workflow/tasks").and_then(Json::as_array);
                for (index, task) in tasks.into_iter().flatten().enumerate() {
                    self.handle_task(id, index as u64, task, is_done, out);
                }
            }
            "task" => self.handle_task(id, 0, item.get("task").unwrap_or(&Json::Null), is_done, out),
            "widget" => {
                let widget = item.get("widget").unwrap_or(&Json::Null);
                if is_done {
                    let name = format!("widget {}", widget.get("type").and_then(Json::as_str).unwrap_or_default());
                    annotate(Annotation::Custom { name: name.trim_end().into(), value: capped(widget) }, out);
                }
                self.take_widget(id, widget, word("copy_text"), out);
            }
            "generated_image" if is_done => {
                let url = item.pointer("/image/url");
                annotate(Annotation::Part(json!({ "kind": "file", "mediaType": "image/*", "url": url })), out);
            }
            "structured_input" if is_done && word("status") == "pending" => {
                let inputs = item.get("inputs").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                let about: Vec<String> =
                    inputs.iter().filter_map(|input| input.get("question").map(result_text)).collect();
                ask_person(inputs, &about, out);
            }
            "end_of_turn" => self.is_turn_over = true,
            "generated_image" | "structured_input" => {}
            other => {
                self.end.unknown_frames.report(if other.is_empty() { "an item without a type" } else { other }, out);
            }
        }
    }

    fn handle_update(&mut self, id: &str, update: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| update.get(key).and_then(Json::as_str).unwrap_or_default();
        let index = |key: &str| update.get(key).and_then(Json::as_u64).unwrap_or(0);
        match word("type") {
            "assistant_message.content_part.text_delta" => {
                let message = self.part(id, index("content_index"), out);
                self.steps.reply.push_text(message, word("delta").into(), marked, out);
            }
            "widget.streaming_text.value_delta" => {
                let message = self.steps.block(StepBlockKind::Text, id, out);
                self.steps.reply.push_text(message, word("delta").into(), marked, out);
            }
            _ => {
                let mut update = update.clone();
                surrogate::resolve_marks_in_json(&mut update, marked);
                self.handle_rare_update(id, &update, out);
            }
        }
    }

    fn handle_rare_update(&mut self, id: &str, update: &Json, out: &mut Vec<ReplyEvent>) {
        let index = |key: &str| update.get(key).and_then(Json::as_u64).unwrap_or(0);
        match update.get("type").and_then(Json::as_str).unwrap_or_default() {
            "assistant_message.content_part.added" | "assistant_message.content_part.done" => {
                self.take_whole_part(id, index("content_index"), update.get("content").unwrap_or(&Json::Null), out);
            }
            "assistant_message.content_part.annotation_added" => {
                if let Some(note) = update.get("annotation") {
                    self.note_source(note);
                }
            }
            "workflow.task.added" | "workflow.task.updated" => {
                self.handle_task(id, index("task_index"), update.get("task").unwrap_or(&Json::Null), false, out);
            }
            "widget.root.updated" => self.take_widget(id, update.get("widget").unwrap_or(&Json::Null), "", out),
            "widget.component.updated" | "generated_image.updated" => {}
            other => {
                self.end.unknown_frames.report(if other.is_empty() { "an update without a type" } else { other }, out);
            }
        }
    }

    /// Returns the message of a part of an item.
    fn part(&mut self, item: &str, index: u64, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        self.steps.block(StepBlockKind::Text, &part_id(item, index), out)
    }

    fn take_whole_part(&mut self, item: &str, index: u64, part: &Json, out: &mut Vec<ReplyEvent>) {
        if let Some(text) = part.get("text").and_then(Json::as_str).filter(|text| !text.is_empty()) {
            let message = self.part(item, index, out);
            self.steps.reply.set_text(message, text, out);
        }
        for note in part.get("annotations").and_then(Json::as_array).into_iter().flatten() {
            self.note_source(note);
        }
    }

    fn note_source(&mut self, note: &Json) {
        let source = note.get("source").unwrap_or(note);
        let title = ["title", "filename", "label"].iter().find_map(|key| source.get(*key));
        self.end.note_source(title, source.get("url"));
    }

    /// Takes the words of a widget, unless it has others to be copied.
    fn take_widget(&mut self, item: &str, widget: &Json, words: &str, out: &mut Vec<ReplyEvent>) {
        let mut texts = Vec::new();
        if words.is_empty() {
            add_texts(widget, &mut texts);
        } else {
            texts.push(words);
        }
        if !texts.is_empty() {
            let message = self.steps.block(StepBlockKind::Text, item, out);
            self.steps.reply.set_text(message, &texts.join("\n"), out);
        }
    }

    fn handle_client_call(&mut self, item: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| item.get(key).and_then(Json::as_str).unwrap_or_default();
        let wire = if word("call_id").is_empty() { word("id") } else { word("call_id") };
        if !self.steps.reply.calls.is_known(wire) {
            self.steps.start_call(wire, Some(word("name")), ExecutedBy::Client, out);
            let args = item.get("arguments").map(result_text).unwrap_or_default();
            self.steps.reply.calls.complete(wire, None, &args, out);
        }
        if word("status") == "completed" {
            let output = item.get("output").map(result_text).unwrap_or_default();
            self.steps.finish_call(wire, CallOutcome::Ok, output, out);
        }
    }

    /// Tells a task: a thought is reasoning, anything else a step.
    fn handle_task(&mut self, item: &str, index: u64, task: &Json, is_done: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| task.get(key).and_then(Json::as_str).unwrap_or_default();
        let id = part_id(item, index);
        if word("type") == "thought" {
            if !word("content").is_empty() {
                let message = self.steps.block(StepBlockKind::Reasoning, &id, out);
                self.steps.reply.set_reasoning(message, word("content"), out);
            }
            return;
        }
        for source in task.get("sources").and_then(Json::as_array).into_iter().flatten() {
            self.note_source(source);
        }
        let is_done = is_done || word("status_indicator") == "complete";
        let known = self.tasks.iter().position(|(known, _)| *known == id);
        if known.and_then(|at| self.tasks.get(at)).is_some_and(|(_, was_done)| *was_done || !is_done) {
            return;
        }
        let name = [word("title"), word("title_query"), word("content"), word("type")];
        let name = error::to_single_line(name.into_iter().find(|text| !text.is_empty()).unwrap_or_default());
        let state = if is_done { StepState::Finished } else { StepState::Started };
        annotate(Annotation::Step { name, state }, out);
        if let Some(task) = known.and_then(|at| self.tasks.get_mut(at)) {
            task.1 = is_done;
            return;
        }
        if self.tasks.len() >= MAX_STEPS {
            self.tasks.remove(0);
        }
        self.tasks.push((id, is_done));
    }
}

/// Adds the texts of a widget and of those inside of it, in their order.
fn add_texts<'a>(widget: &'a Json, texts: &mut Vec<&'a str>) {
    if matches!(widget.get("type").and_then(Json::as_str), Some("Text" | "Markdown" | "Title" | "Caption")) {
        texts.extend(widget.get("value").and_then(Json::as_str).filter(|text| !text.is_empty()));
    }
    match widget.get("children") {
        Some(Json::Array(children)) => children.iter().for_each(|child| add_texts(child, texts)),
        Some(child) => add_texts(child, texts),
        None => {}
    }
}

fn part_id(item: &str, index: u64) -> String {
    format!("{item}#{index}")
}

impl Decode for ChatKitDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if let Some((event, marked)) = self.end.parse_object(frame, out) {
            self.handle_event(&event, marked, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.end.has_ended = self.has_done_any && self.open.is_empty();
        self.end.finish(&mut self.steps.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    fn is_done(&self) -> bool {
        false
    }

    fn is_complete(&self) -> bool {
        self.is_turn_over
    }
}
