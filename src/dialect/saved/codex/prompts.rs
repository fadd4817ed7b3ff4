//! What stands in the person's place: prompts, and what the program tells its model there.

use super::super::named;
use super::super::recorder::{Recorder, SavedPrompt};
use crate::dialect::program_reply::word;
use crate::event::{Json, PromptImage};

/// How begins what the program says in the person's place, where nothing else tells it.
const PROGRAM_WORDS: [&str; 9] = [
    "<environment_context>",
    "<user_instructions>",
    "<INSTRUCTIONS>",
    "# AGENTS.md instructions",
    "<ENVIRONMENT_CONTEXT>",
    "<user_shell_command>",
    "<subagent_notification>",
    "<skill>",
    "<permissions instructions>",
];
const INTERRUPT_MARK: &str = "<turn_aborted>";

/// What a message of the person's role is.
pub(super) enum PromptText {
    Prompt(SavedPrompt),
    /// The person interrupted the turn.
    Interrupted,
    ForModel,
}

pub(super) fn prompt_of(item: &Json, parts: &[Json], recorder: &mut Recorder) -> PromptText {
    let first = parts.iter().find_map(|part| named(part, "text")).unwrap_or_default();
    if first.starts_with(INTERRUPT_MARK) {
        return PromptText::Interrupted;
    }
    let kinds = item.pointer("/internal_chat_message_metadata_passthrough/content_item_kinds");
    let is_of_program = match kinds.and_then(Json::as_array) {
        Some(kinds) => !kinds.iter().any(|kind| kind.as_str().is_some_and(|kind| kind.starts_with("user."))),
        None => PROGRAM_WORDS.iter().any(|words| first.trim_start().starts_with(words)),
    };
    if is_of_program {
        return PromptText::ForModel;
    }
    let mut prompt = SavedPrompt::default();
    let has_images = parts.iter().any(|part| word(part, "type") == "input_image");
    for part in parts {
        match word(part, "type") {
            "input_text" | "text" => {
                let text = word(part, "text");
                // The program puts images into brackets.
                let is_bracket = has_images && (text == "</image>" || text.starts_with("<image"));
                if !is_bracket && !text.is_empty() {
                    let gap = if prompt.text.is_empty() { "" } else { "\n\n" };
                    prompt.text.push_str(gap);
                    prompt.text.push_str(text);
                }
            }
            "input_image" => match PromptImage::from_data_url(word(part, "image_url")) {
                Ok(image) => prompt.images.push(image),
                Err(_) => recorder.leave_out("images that are not in the file or can't be read", 1),
            },
            _ => recorder.leave_out("parts of unknown kinds", 1),
        }
    }
    PromptText::Prompt(prompt)
}
