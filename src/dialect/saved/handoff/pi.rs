//! A session of pi, as [`super::super::pi`] reads it.

use serde_json::json;

use super::HandoffFormat;
use super::conversation::{Conversation, ConversationPart, HandoffPlace};
use crate::event::{Json, PromptImage};

pub(super) const FORMAT: HandoffFormat = HandoffFormat {
    name: "pi",
    about: "a session of pi",
    extension: "jsonl",
    how: |_| "name the file: pi --session FILE; pi then goes on in it".to_owned(),
    write,
};

fn write(conversation: &Conversation, place: &HandoffPlace) -> String {
    let head = json!({
        "type": "session",
        "version": 3,
        "id": place.id,
        "timestamp": Conversation::time(conversation.started_at),
        "cwd": place.folder,
    });
    let mut lines = PiLines { text: head.to_string() + "\n", last: None, count: 0 };
    for part in &conversation.parts {
        match part {
            ConversationPart::Prompt { wall_ms, text, images } => {
                let image = |image: &PromptImage| json!({"type": "image", "data": image.base64(), "mimeType": image.media_type.media_type()});
                let words = json!({"type": "text", "text": text});
                let content: Vec<Json> = std::iter::once(words).chain(images.iter().map(image)).collect();
                lines.push(*wall_ms, &json!({"role": "user", "content": content, "timestamp": wall_ms}));
            }
            ConversationPart::Answer(answer) => {
                let text = (!answer.text.is_empty()).then(|| json!({"type": "text", "text": answer.text}));
                let calls = answer.calls.iter().map(
                    |call| json!({"type": "toolCall", "id": call.id, "name": call.name, "arguments": call.input()}),
                );
                let content: Vec<Json> = text.into_iter().chain(calls).collect();
                let none = json!({"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0});
                let usage = json!({
                    "input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 0, "cost": none,
                });
                let reason = if answer.calls.is_empty() { "stop" } else { "toolUse" };
                let message = json!({
                    "role": "assistant",
                    "content": content,
                    "api": "openai-completions",
                    "provider": "jarvis-tui",
                    "model": conversation.model,
                    "usage": usage,
                    "stopReason": reason,
                    "timestamp": answer.wall_ms,
                });
                lines.push(answer.wall_ms, &message);
                for call in &answer.calls {
                    let message = json!({
                        "role": "toolResult",
                        "toolCallId": call.id,
                        "toolName": call.name,
                        "content": [{"type": "text", "text": call.told()}],
                        "isError": call.has_failed(),
                        "timestamp": call.wall_ms,
                    });
                    lines.push(call.wall_ms, &message);
                }
            }
        }
    }
    lines.text
}

struct PiLines {
    text: String,
    last: Option<String>,
    count: usize,
}

impl PiLines {
    fn push(&mut self, wall_ms: u64, message: &Json) {
        self.count += 1;
        let id = format!("{:08x}", self.count);
        let line = json!({
            "type": "message",
            "id": id,
            "parentId": self.last,
            "timestamp": Conversation::time(wall_ms),
            "message": message,
        });
        self.text.push_str(&(line.to_string() + "\n"));
        self.last = Some(id);
    }
}
