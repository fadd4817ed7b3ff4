//! Errors that OpenJarvis writes as if they were the answer. Only their prefix and their place, in the chunk with the
//! finish reason, identify them.

use crate::event::{Fault, FaultKind};

/// Prefixes of errors on the chat path.
const ERROR_PREFIXES: &[&str] = &[
    "Sorry, an error occurred: ",
    "The model returned an error: ",
    "Error during generation: ",
    "The input is too long",
];

/// Returns the prose for a fault.
pub(super) fn from_fault(fault: &Fault) -> String {
    match fault.kind {
        FaultKind::ContextTooLong => {
            "The input is too long for the model's context window. Please try a shorter message.".into()
        }
        // The original takes any text with a 400 in it for a bad request.
        FaultKind::BadRequest | FaultKind::Refused => format!("The model returned an error: {}", fault.message),
        _ => format!("Sorry, an error occurred: {}", fault.message),
    }
}

/// Prefix of the errors of managed agents; too common for anywhere else.
const MANAGED_ERROR_PREFIX: &str = "Error: ";

const MAX_MESSAGE_CHARS: usize = 4000;

/// Returns the fault that the prose reports, with the text unchanged.
pub(super) fn parse_fault(text: &str, managed: bool) -> Option<Fault> {
    let text = text.trim();
    let is_error = ERROR_PREFIXES.iter().any(|prefix| text.starts_with(prefix.trim_end()))
        || (managed && text.starts_with(MANAGED_ERROR_PREFIX.trim_end()));
    if !is_error {
        return None;
    }
    let lower = text.to_lowercase();
    let too_long = ["context window", "context length", "context_length", "maximum context", "maximum_context"];
    let kind = if too_long.iter().any(|phrase| lower.contains(phrase)) {
        FaultKind::ContextTooLong
    } else {
        FaultKind::Upstream
    };
    Some(Fault::new(kind, text.chars().take(MAX_MESSAGE_CHARS).collect::<String>()))
}
