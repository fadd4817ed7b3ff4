//! Which turn a line belongs to, and which turns follow each other.

use std::collections::HashMap;

use super::super::recorder::{Recorder, SavedPrompt};
use super::super::{is_true, named};
use crate::dialect::program_reply::word;
use crate::event::{Json, PromptImage};

/// What the program writes where the person interrupted it.
const INTERRUPT_MARK: &str = "[Request interrupted by user";
/// How lines begin that show what a command of the program put out.
const COMMAND_OUTPUTS: [&str; 3] = ["<local-command-stdout>", "<local-command-stderr>", "<local-command-caveat>"];
const COMMAND_NAME: &str = "<command-name>";

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LineKind<'a> {
    Prompt,
    /// A prompt that was put into the running turn.
    Steering(&'a str),
    /// The person interrupted the turn.
    Interrupted,
    Results,
    Answer,
    Compacted,
    /// What the session cost so far, in US dollars.
    Cost(f64),
    /// What the program tells its model unasked.
    ForModel,
    Bookkeeping,
}

pub(super) fn line_kind(line: &Json) -> LineKind<'_> {
    match word(line, "type") {
        "assistant" => LineKind::Answer,
        "user" => user_line_kind(line),
        "attachment" if line.pointer("/attachment/type").and_then(Json::as_str) == Some("queued_command") => {
            match line.pointer("/attachment/prompt").and_then(Json::as_str) {
                Some(prompt) => LineKind::Steering(prompt),
                None => LineKind::ForModel,
            }
        }
        "attachment" => LineKind::ForModel,
        "system" if word(line, "subtype") == "compact_boundary" => LineKind::Compacted,
        "cost-state" => line.get("totalCostUSD").and_then(Json::as_f64).map_or(LineKind::Bookkeeping, LineKind::Cost),
        _ => LineKind::Bookkeeping,
    }
}

fn user_line_kind(line: &Json) -> LineKind<'_> {
    if is_true(line, "isMeta") || is_true(line, "isCompactSummary") {
        return LineKind::ForModel;
    }
    let first_text = match line.pointer("/message/content") {
        Some(Json::String(text)) => text.as_str(),
        Some(Json::Array(blocks)) => {
            if blocks.iter().any(|block| word(block, "type") == "tool_result") {
                return LineKind::Results;
            }
            if blocks.is_empty() {
                return LineKind::Bookkeeping;
            }
            blocks.iter().find_map(|block| named(block, "text")).unwrap_or_default()
        }
        _ => return LineKind::Bookkeeping,
    };
    if first_text.starts_with(INTERRUPT_MARK) {
        LineKind::Interrupted
    } else if COMMAND_OUTPUTS.iter().any(|start| first_text.starts_with(start)) {
        LineKind::Bookkeeping
    } else {
        LineKind::Prompt
    }
}

/// Returns the prompt of a line.
pub(super) fn prompt_of(line: &Json, recorder: &mut Recorder) -> SavedPrompt {
    let mut prompt = SavedPrompt::default();
    match line.pointer("/message/content") {
        Some(Json::String(text)) => prompt.text = command_line(text).unwrap_or_else(|| text.clone()),
        Some(Json::Array(blocks)) => {
            for block in blocks {
                match word(block, "type") {
                    "text" => add_paragraph(&mut prompt.text, word(block, "text")),
                    "image" => {
                        let data = block.pointer("/source/data").and_then(Json::as_str).unwrap_or_default();
                        match PromptImage::from_base64(data) {
                            Ok(image) => prompt.images.push(image),
                            Err(_) => recorder.leave_out("images that can't be read", 1),
                        }
                    }
                    _ => recorder.leave_out("documents that went with prompts", 1),
                }
            }
        }
        _ => {}
    }
    prompt
}

fn add_paragraph(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}

/// Returns a command of the program as it was typed.
fn command_line(text: &str) -> Option<String> {
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.trim())
    };
    if !text.trim_start().starts_with('<') || !text.contains(COMMAND_NAME) {
        return None;
    }
    Some(format!("{} {}", part("command-name")?, part("command-args").unwrap_or_default()).trim_end().to_owned())
}

/// The turns of a session, each with its lines.
pub(super) struct TurnTree<'a> {
    /// In the order of the file.
    pub(super) turns: Vec<ClaudeTurn<'a>>,
}

pub(super) struct ClaudeTurn<'a> {
    /// The turn that it follows, an earlier one.
    pub(super) parent: Option<usize>,
    pub(super) lines: Vec<&'a Json>,
    is_answered: bool,
}

impl ClaudeTurn<'_> {
    /// Returns whether it is a command of the program that nothing answered.
    pub(super) fn is_idle_command(&self) -> bool {
        !self.is_answered && self.lines.first().is_some_and(|line| is_command(line))
    }
}

impl<'a> TurnTree<'a> {
    pub(super) fn new(lines: &'a [Json]) -> Self {
        let mut turns: Vec<ClaudeTurn<'a>> = Vec::new();
        let mut turn_of: HashMap<&str, usize> = HashMap::new();
        for line in lines {
            let parent = named(line, "parentUuid").or_else(|| named(line, "logicalParentUuid"));
            let followed = parent.and_then(|parent| turn_of.get(parent).copied());
            let kind = line_kind(line);
            let turn = if kind == LineKind::Prompt {
                turns.push(ClaudeTurn { parent: followed, lines: Vec::new(), is_answered: false });
                turns.len() - 1
            } else {
                // A line without a place in the tree belongs where it stands.
                match followed.or_else(|| turns.len().checked_sub(1)) {
                    Some(turn) => turn,
                    None => continue,
                }
            };
            if let Some(uuid) = named(line, "uuid") {
                turn_of.insert(uuid, turn);
            }
            if let Some(of) = turns.get_mut(turn) {
                of.lines.push(line);
                of.is_answered |= kind == LineKind::Answer;
            }
        }
        Self { turns }
    }
}

fn is_command(prompt: &Json) -> bool {
    prompt.pointer("/message/content").and_then(Json::as_str).and_then(command_line).is_some()
}
