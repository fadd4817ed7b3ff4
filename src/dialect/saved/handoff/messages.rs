//! Arrays of messages, as the OpenAI chat API and the Anthropic Messages API take them.

use serde_json::json;

use super::HandoffFormat;
use super::conversation::{Conversation, ConversationPart, HandoffAnswer};
use crate::event::{Json, PromptImage};

pub(super) const OPENAI: HandoffFormat = HandoffFormat {
    name: "openai",
    about: "messages of the OpenAI chat API",
    extension: "json",
    how: |_| "send `messages` as they are, with a model of your choice".to_owned(),
    write: |conversation, _| to_text(conversation, openai_messages(conversation)),
};

pub(super) const ANTHROPIC: HandoffFormat = HandoffFormat {
    name: "anthropic",
    about: "messages of the Anthropic API",
    extension: "json",
    how: |_| "send `messages` as they are, with a model of your choice".to_owned(),
    write: |conversation, _| to_text(conversation, anthropic_messages(conversation)),
};

fn to_text(conversation: &Conversation, messages: Vec<Json>) -> String {
    let mut whole = serde_json::Map::new();
    if let Some(title) = &conversation.title {
        whole.insert("title".to_owned(), title.as_str().into());
    }
    whole.insert("messages".to_owned(), messages.into());
    serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
}

fn openai_messages(conversation: &Conversation) -> Vec<Json> {
    let mut messages = Vec::new();
    for part in &conversation.parts {
        match part {
            ConversationPart::Prompt { text, images, .. } if images.is_empty() => {
                messages.push(json!({"role": "user", "content": text}));
            }
            ConversationPart::Prompt { text, images, .. } => {
                let image = |image: &PromptImage| json!({"type": "image_url", "image_url": {"url": data_url(image)}});
                let parts: Vec<Json> =
                    std::iter::once(json!({"type": "text", "text": text})).chain(images.iter().map(image)).collect();
                messages.push(json!({"role": "user", "content": parts}));
            }
            ConversationPart::Answer(answer) => {
                messages.push(openai_answer(answer));
                for call in &answer.calls {
                    messages.push(json!({"role": "tool", "tool_call_id": call.id, "content": call.told()}));
                }
            }
        }
    }
    messages
}

fn openai_answer(answer: &HandoffAnswer) -> Json {
    let content = if answer.text.is_empty() { Json::Null } else { answer.text.as_str().into() };
    if answer.calls.is_empty() {
        return json!({"role": "assistant", "content": content});
    }
    let calls: Vec<Json> = answer
        .calls
        .iter()
        .map(|call| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.args}}))
        .collect();
    json!({"role": "assistant", "content": content, "tool_calls": calls})
}

fn anthropic_messages(conversation: &Conversation) -> Vec<Json> {
    let mut messages = Vec::new();
    for part in &conversation.parts {
        match part {
            ConversationPart::Prompt { text, images, .. } => {
                messages.push(json!({"role": "user", "content": prompt_blocks(text, images)}));
            }
            ConversationPart::Answer(answer) => {
                messages.push(json!({"role": "assistant", "content": answer_blocks(answer)}));
                if !answer.calls.is_empty() {
                    messages.push(json!({"role": "user", "content": result_blocks(answer)}));
                }
            }
        }
    }
    messages
}

/// Returns a prompt as blocks of the Anthropic API; a text alone needs none.
pub(super) fn prompt_blocks(text: &str, images: &[PromptImage]) -> Json {
    if images.is_empty() {
        return text.into();
    }
    let image = |image: &PromptImage| {
        let source = json!({"type": "base64", "media_type": image.media_type.media_type(), "data": image.base64()});
        json!({"type": "image", "source": source})
    };
    let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
    images.iter().map(image).chain(text).collect::<Vec<_>>().into()
}

pub(super) fn answer_blocks(answer: &HandoffAnswer) -> Vec<Json> {
    let text = (!answer.text.is_empty()).then(|| json!({"type": "text", "text": answer.text}));
    let calls = answer
        .calls
        .iter()
        .map(|call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.input()}));
    text.into_iter().chain(calls).collect()
}

pub(super) fn result_blocks(answer: &HandoffAnswer) -> Vec<Json> {
    let results = answer.calls.iter().map(|call| {
        json!({"type": "tool_result", "tool_use_id": call.id, "content": call.told(), "is_error": call.has_failed()})
    });
    results.collect()
}

pub(super) fn data_url(image: &PromptImage) -> String {
    format!("data:{};base64,{}", image.media_type.media_type(), image.base64())
}
