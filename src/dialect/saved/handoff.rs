//! Conversations in the forms that other agents take: [`HANDOFF_FORMATS`] lists them.
//!
//! Sans-IO: a form is a text, which the person gives to the other agent or puts where that one looks; nothing is ever
//! written there from here. Thinking stays behind in every form: signed, it is worth nothing elsewhere, and unsigned no
//! provider takes it back. So does what sub-agents said; what they came to is the result of their call.

mod claude_code;
mod codex;
mod conversation;
mod markdown;
mod messages;
mod pi;

pub use conversation::{Conversation, HandoffPlace, stable_uuid};

/// A form of a conversation: a row of [`HANDOFF_FORMATS`].
#[derive(Clone, Copy, Debug)]
pub struct HandoffFormat {
    /// As in `--to`.
    pub name: &'static str,
    pub about: &'static str,
    /// The usual end of a file's name.
    pub extension: &'static str,
    /// How the other agent gets it.
    pub how: fn(&HandoffPlace) -> String,
    pub write: fn(&Conversation, &HandoffPlace) -> String,
}

/// Every form that can be written.
pub static HANDOFF_FORMATS: &[HandoffFormat] =
    &[messages::OPENAI, messages::ANTHROPIC, markdown::FORMAT, claude_code::FORMAT, codex::FORMAT, pi::FORMAT];

/// Finds a form by its name.
pub fn find_handoff_format(name: &str) -> Option<&'static HandoffFormat> {
    HANDOFF_FORMATS.iter().find(|format| format.name == name)
}

#[cfg(test)]
mod tests;
