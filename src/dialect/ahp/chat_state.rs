//! The state of a chat, folded from its actions: what a client is given that comes in the middle.
//!
//! It reduces as the protocol says, and only the actions that the encoder makes.

use serde_json::json;

use super::super::program_reply::word;
use crate::event::Json;

/// The turns of a chat.
#[derive(Clone, Debug, Default)]
pub struct AhpChatState {
    turns: Vec<Json>,
    active: Option<Json>,
}

impl AhpChatState {
    /// Applies an action of the chat.
    pub fn apply(&mut self, action: &Json) {
        match word(action, "type") {
            "chat/turnStarted" => {
                self.active = Some(json!({
                    "id": action["turnId"], "startedAt": action["startedAt"], "message": action["message"],
                    "responseParts": [],
                }));
            }
            "chat/responsePart" => self.push_part(action["part"].clone()),
            "chat/delta" | "chat/reasoning" => self.append(word(action, "partId"), word(action, "content")),
            "chat/toolCallStart" => {
                let mut call = json!({"status": "streaming"});
                copy(action, &mut call, &["toolCallId", "toolName", "displayName"]);
                self.push_part(json!({"kind": "toolCall", "toolCall": call}));
            }
            "chat/usage" => {
                if let Some(active) = &mut self.active {
                    active["usage"] = action["usage"].clone();
                }
            }
            "chat/turnComplete" => self.end_turn(action, "complete"),
            "chat/turnCancelled" => self.end_turn(action, "cancelled"),
            "chat/error" => self.end_turn(action, "error"),
            kind => {
                if let Some(call) = self.call_mut(word(action, "toolCallId")) {
                    change_call(kind, action, call);
                }
            }
        }
    }

    /// Returns whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.active.is_none()
    }

    /// Returns the state as a snapshot has it, beside what says which chat it is.
    pub fn to_json(&self) -> Json {
        let mut state = json!({ "turns": self.turns });
        if let Some(active) = &self.active {
            state["activeTurn"] = active.clone();
        }
        state
    }

    fn parts_mut(&mut self) -> Option<&mut Vec<Json>> {
        self.active.as_mut()?.get_mut("responseParts")?.as_array_mut()
    }

    fn push_part(&mut self, part: Json) {
        if let Some(parts) = self.parts_mut() {
            parts.push(part);
        }
    }

    fn append(&mut self, id: &str, text: &str) {
        let part = self.parts_mut().and_then(|parts| parts.iter_mut().rev().find(|part| word(part, "id") == id));
        if let Some(Json::String(content)) = part.and_then(|part| part.get_mut("content")) {
            content.push_str(text);
        }
    }

    fn call_mut(&mut self, id: &str) -> Option<&mut Json> {
        let parts = self.parts_mut()?.iter_mut().rev();
        let mut calls = parts.filter_map(|part| part.get_mut("toolCall"));
        calls.find(|call| word(call, "toolCallId") == id)
    }

    fn end_turn(&mut self, action: &Json, state: &str) {
        let Some(mut turn) = self.active.take() else { return };
        for part in turn["responseParts"].as_array_mut().into_iter().flatten() {
            if let Some(call) = part.get_mut("toolCall")
                && !matches!(word(call, "status"), "completed" | "cancelled")
            {
                keep(call, &["toolCallId", "toolName", "displayName", "toolInput", "invocationMessage"]);
                if call.get("invocationMessage").is_none() {
                    call["invocationMessage"] = "".into();
                }
                (call["status"], call["reason"]) = ("cancelled".into(), "skipped".into());
            }
        }
        if let (Some(error), Some(parts)) = (action.get("part"), turn["responseParts"].as_array_mut()) {
            parts.push(error.clone());
        }
        (turn["state"], turn["duration"]) = (state.into(), action["duration"].clone());
        self.turns.push(turn);
    }
}

fn change_call(kind: &str, action: &Json, call: &mut Json) {
    let status = word(call, "status").to_owned();
    match (kind, status.as_str()) {
        ("chat/toolCallDelta", "streaming") => {
            let input = format!("{}{}", word(call, "partialInput"), word(action, "content"));
            call["partialInput"] = input.into();
        }
        ("chat/toolCallReady", "streaming" | "running" | "pending-confirmation") => {
            keep(call, &["toolCallId", "toolName", "displayName"]);
            copy(action, call, &["invocationMessage", "toolInput", "confirmationTitle", "options", "confirmed"]);
            let is_confirmed = action.get("confirmed").is_some();
            call["status"] = if is_confirmed { "running" } else { "pending-confirmation" }.into();
        }
        ("chat/toolCallConfirmed", "pending-confirmation") => {
            let chosen = action.get("selectedOptionId");
            let options = call.get("options").and_then(Json::as_array).into_iter().flatten();
            let option = chosen.and_then(|chosen| options.into_iter().find(|option| option.get("id") == Some(chosen)));
            let option = option.cloned();
            keep(call, &["toolCallId", "toolName", "displayName", "invocationMessage", "toolInput"]);
            if let Some(option) = option {
                call["selectedOption"] = option;
            }
            let approved = action["approved"] == true;
            copy(action, call, if approved { &["confirmed"] } else { &["reason", "reasonMessage"] });
            call["status"] = if approved { "running" } else { "cancelled" }.into();
        }
        ("chat/toolCallContentChanged", "running") => call["content"] = action["content"].clone(),
        ("chat/toolCallComplete", "running" | "pending-confirmation") => {
            if status == "pending-confirmation" {
                call["confirmed"] = "not-needed".into();
            }
            let told = ["toolCallId", "toolName", "displayName", "invocationMessage", "toolInput", "confirmed"];
            keep(call, &[&told[..], &["selectedOption"]].concat());
            let result = &action["result"];
            copy(result, call, &["success", "pastTenseMessage", "content", "structuredContent", "error"]);
            call["status"] = "completed".into();
        }
        _ => {}
    }
}

/// Copies what is there of these keys.
fn copy(from: &Json, to: &mut Json, keys: &[&str]) {
    for key in keys {
        if let Some(value) = from.get(key) {
            to[*key] = value.clone();
        }
    }
}

fn keep(of: &mut Json, keys: &[&str]) {
    if let Some(fields) = of.as_object_mut() {
        fields.retain(|key, _| keys.contains(&key.as_str()));
    }
}
