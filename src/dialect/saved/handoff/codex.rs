//! A session of Codex, as [`super::super::codex`] reads it.

use serde_json::json;

use super::HandoffFormat;
use super::conversation::{Conversation, ConversationPart, HandoffAnswer, HandoffPlace};
use super::messages::data_url;
use crate::event::{Json, PromptImage};

pub(super) const FORMAT: HandoffFormat = HandoffFormat {
    name: "codex",
    about: "a session of Codex",
    extension: "jsonl",
    how: |place| {
        format!(
            "put it as rollout-2026-01-01T00-00-00-{id}.jsonl into ~/.codex/sessions/2026/01/01, then: codex resume {id}",
            id = place.id
        )
    },
    write,
};

/// The version whose files these are.
const VERSION: &str = "0.171.0";

fn write(conversation: &Conversation, place: &HandoffPlace) -> String {
    let mut text = String::new();
    let started = Conversation::time(conversation.started_at);
    let meta = json!({
        "id": place.id,
        "timestamp": started,
        "cwd": place.folder,
        "originator": "jarvis-tui",
        "cli_version": VERSION,
        "source": "cli",
    });
    push(&mut text, conversation.started_at, "session_meta", &meta);
    for part in &conversation.parts {
        match part {
            ConversationPart::Prompt { wall_ms, text: prompt, images } => {
                let image = |image: &PromptImage| json!({"type": "input_image", "image_url": data_url(image)});
                let words = json!({"type": "input_text", "text": prompt});
                let content: Vec<Json> = images.iter().map(image).chain([words]).collect();
                push_item(&mut text, *wall_ms, &json!({"type": "message", "role": "user", "content": content}));
                let shown = json!({"type": "user_message", "message": prompt, "images": []});
                push(&mut text, *wall_ms, "event_msg", &shown);
            }
            ConversationPart::Answer(answer) => push_answer(&mut text, answer),
        }
    }
    text
}

fn push_answer(text: &mut String, answer: &HandoffAnswer) {
    if !answer.text.is_empty() {
        let content = [json!({"type": "output_text", "text": answer.text})];
        push_item(text, answer.wall_ms, &json!({"type": "message", "role": "assistant", "content": content}));
        push(text, answer.wall_ms, "event_msg", &json!({"type": "agent_message", "message": answer.text}));
    }
    for call in &answer.calls {
        let args = if call.args.is_empty() { "{}" } else { &call.args };
        let item = json!({"type": "function_call", "name": call.name, "arguments": args, "call_id": call.id});
        push_item(text, answer.wall_ms, &item);
    }
    for call in &answer.calls {
        let item = json!({"type": "function_call_output", "call_id": call.id, "output": call.told()});
        push_item(text, call.wall_ms, &item);
        if call.has_failed() {
            let end = json!({"type": "exec_command_end", "call_id": call.id, "exit_code": 1});
            push(text, call.wall_ms, "event_msg", &end);
        }
    }
}

fn push_item(text: &mut String, wall_ms: u64, item: &Json) {
    push(text, wall_ms, "response_item", item);
}

fn push(text: &mut String, wall_ms: u64, kind: &str, payload: &Json) {
    let line = json!({"timestamp": Conversation::time(wall_ms), "type": kind, "payload": payload});
    text.push_str(&(line.to_string() + "\n"));
}
