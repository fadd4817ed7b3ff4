//! A session of Claude Code, as [`super::super::claude_code`] reads it.

use serde_json::json;

use super::HandoffFormat;
use super::conversation::{Conversation, ConversationPart, HandoffPlace, numbered};
use super::messages::{answer_blocks, prompt_blocks, result_blocks};
use crate::event::Json;

pub(super) const FORMAT: HandoffFormat = HandoffFormat {
    name: "claude-code",
    about: "a session of Claude Code",
    extension: "jsonl",
    how: |place| {
        format!(
            "put it as {id}.jsonl into ~/.claude/projects/{folder}, then in {}: claude --resume {id}",
            place.folder,
            id = place.id,
            folder = project_folder(&place.folder)
        )
    },
    write,
};

/// The version whose files these are.
const VERSION: &str = "2.1.332";

/// Returns what Claude Code calls the folder of a project.
fn project_folder(folder: &str) -> String {
    folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn write(conversation: &Conversation, place: &HandoffPlace) -> String {
    let mut lines = ClaudeCodeLines { place, text: String::new(), last: None, count: 0 };
    for part in &conversation.parts {
        match part {
            ConversationPart::Prompt { wall_ms, text, images } => {
                lines.push(*wall_ms, "user", &json!({"role": "user", "content": prompt_blocks(text, images)}));
            }
            ConversationPart::Answer(answer) => {
                let reason = if answer.calls.is_empty() { "end_turn" } else { "tool_use" };
                let id = format!("msg_{}", numbered(&place.id, lines.count).replace('-', ""));
                let message = json!({
                    "id": id,
                    "type": "message",
                    "role": "assistant",
                    "model": conversation.model,
                    "content": answer_blocks(answer),
                    "stop_reason": reason,
                    "stop_sequence": null,
                    "usage": {"input_tokens": 0, "output_tokens": 0},
                });
                lines.push(answer.wall_ms, "assistant", &message);
                if let Some(last) = answer.calls.iter().map(|call| call.wall_ms).max() {
                    lines.push(last, "user", &json!({"role": "user", "content": result_blocks(answer)}));
                }
            }
        }
    }
    if let Some(title) = &conversation.title {
        let line = json!({"type": "custom-title", "customTitle": title, "sessionId": place.id});
        lines.text.push_str(&(line.to_string() + "\n"));
    }
    lines.text
}

struct ClaudeCodeLines<'a> {
    place: &'a HandoffPlace,
    text: String,
    last: Option<String>,
    count: usize,
}

impl ClaudeCodeLines<'_> {
    fn push(&mut self, wall_ms: u64, kind: &str, message: &Json) {
        self.count += 1;
        let uuid = numbered(&self.place.id, self.count);
        let line = json!({
            "parentUuid": self.last,
            "isSidechain": false,
            "userType": "external",
            "cwd": self.place.folder,
            "sessionId": self.place.id,
            "version": VERSION,
            "gitBranch": "",
            "type": kind,
            "message": message,
            "uuid": uuid,
            "timestamp": Conversation::time(wall_ms),
        });
        self.text.push_str(&(line.to_string() + "\n"));
        self.last = Some(uuid);
    }
}
