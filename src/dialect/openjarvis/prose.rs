//! Errors that OpenJarvis writes as if they were the answer. Nothing but their first words and their place, in the
//! chunk that carries the finish reason, tells them from one.

use crate::event::{Fault, FaultKind};

/// First words of errors on the chat path.
const PREFIXES: &[&str] = &[
    "Sorry, an error occurred: ",
    "The model returned an error: ",
    "Error during generation: ",
    "The input is too long",
];

/// First word of those of managed agents; too common for anywhere else.
const MANAGED: &str = "Error: ";

/// Characters that are kept.
const LONGEST: usize = 4000;

/// Returns the fault that these words tell of, with the words as they came.
pub(super) fn fault(words: &str, managed: bool) -> Option<Fault> {
    let words = words.trim();
    let is_error = PREFIXES.iter().any(|prefix| words.starts_with(prefix.trim_end()))
        || (managed && words.starts_with(MANAGED.trim_end()));
    if !is_error {
        return None;
    }
    let lower = words.to_lowercase();
    let too_long = ["context window", "context length", "context_length", "maximum context", "maximum_context"];
    let kind = if too_long.iter().any(|phrase| lower.contains(phrase)) {
        FaultKind::ContextTooLong
    } else {
        FaultKind::Upstream
    };
    Some(Fault::new(kind, words.chars().take(LONGEST).collect::<String>()))
}
