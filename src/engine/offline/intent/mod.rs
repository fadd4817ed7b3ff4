//! PURE. What a prompt requests: tool calls, and the rest that no rule understood.
//!
//! Rules look at words, verb first. A prompt is cut at line ends and at conjunctions, but only where each side is a
//! request of its own. Nothing here knows which tools exist or what they returned.

mod arithmetic;
mod change;
mod files;
mod search;
mod system;
mod words;

use serde_json::json;

use crate::event::Json;
pub(super) use search::describe_pattern;
use words::{MaskedPrompt, SpanKind, WordSlice, split_words};

/// A longer text is something pasted, not a list of requests. In bytes, without blocks.
const MAX_PROMPT_BYTES: usize = 8000;
/// Places where one line may be cut.
const MAX_CUTS_PER_LINE: usize = 16;

/// One tool call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlanStep {
    pub(super) tool: &'static str,
    pub(super) args: Json,
}

impl PlanStep {
    fn new(tool: &'static str, args: Json) -> Self {
        Self { tool, args }
    }

    fn text_arg(&self, name: &str) -> &str {
        self.args.get(name).and_then(Json::as_str).unwrap_or_default()
    }

    /// Returns whether this must wait until the other has run.
    fn depends_on(&self, other: &Self) -> bool {
        const FILE_TOOLS: [&str; 6] = ["read_file", "list_dir", "search", "write_file", "edit_file", "shell"];
        if !FILE_TOOLS.contains(&self.tool) || !FILE_TOOLS.contains(&other.tool) {
            return false;
        }
        let changes = |step: &Self| matches!(step.tool, "write_file" | "edit_file");
        let looks_around = |step: &Self| matches!(step.tool, "list_dir" | "search");
        match (self, other) {
            (one, two) if one.tool == "shell" || two.tool == "shell" => true,
            (one, two) if !changes(one) && !changes(two) => false,
            (one, two) if looks_around(one) || looks_around(two) => true,
            (one, two) => one.text_arg("path") == two.text_arg("path"),
        }
    }
}

/// What a prompt requests.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PromptPlan {
    pub(super) steps: Vec<PlanStep>,
    /// Parts that request no tool, as typed.
    pub(super) unmatched: Vec<String>,
}

impl PromptPlan {
    /// Returns the steps in rounds: those of one round don't depend on each other.
    pub(super) fn rounds(steps: &[PlanStep]) -> Vec<Vec<PlanStep>> {
        let mut rounds: Vec<Vec<PlanStep>> = Vec::new();
        let mut placed: Vec<(usize, &PlanStep)> = Vec::new();
        for step in steps {
            let round =
                placed.iter().filter(|(_, other)| step.depends_on(other)).map(|(at, _)| at + 1).max().unwrap_or(0);
            placed.push((round, step));
            if rounds.len() <= round {
                rounds.resize_with(round + 1, Vec::new);
            }
            if let Some(round) = rounds.get_mut(round) {
                round.push(step.clone());
            }
        }
        rounds
    }
}

/// Parses a prompt.
pub(super) fn parse(prompt: &str) -> PromptPlan {
    let masked = MaskedPrompt::new(prompt);
    let whole = || PromptPlan { steps: Vec::new(), unmatched: vec![prompt.trim().to_owned()] };
    if masked.text.len() > MAX_PROMPT_BYTES {
        return whole();
    }
    let lines = join_blocks(&masked);
    let mut plan = PromptPlan::default();
    let mut understood = 0;
    for (at, line) in lines.iter().enumerate() {
        if let Some(step) = change::write_lines_below(&masked, line, lines.get(at + 1..).unwrap_or_default()) {
            plan.steps.push(step);
            return plan;
        }
        let words = split_words(line);
        match line_steps(WordSlice::new(&masked, line, &words)) {
            Some((steps, rest)) => {
                understood += 1;
                plan.steps.extend(steps);
                plan.unmatched.extend(rest);
            }
            None => plan.unmatched.push(masked.restore(line).trim().to_owned()),
        }
    }
    // A single line in a long text that happens to look like a request is probably part of the text.
    if understood == 0 || understood * 2 < lines.len() { whole() } else { plan }
}

/// Returns the lines with content, without list marks, each with the block that belongs to it.
fn join_blocks(masked: &MaskedPrompt) -> Vec<String> {
    let texts: Vec<&str> = masked.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let several = texts.len() > 1;
    let mut lines: Vec<String> = Vec::new();
    let mut early: Option<String> = None;
    for line in texts {
        let words = split_words(line);
        if WordSlice::new(masked, line, &words).kind() == Some(SpanKind::Block) {
            match lines.last_mut() {
                Some(last) => {
                    last.push(' ');
                    last.push_str(line);
                }
                None => early = Some(line.to_owned()),
            }
            continue;
        }
        let line = if several { strip_list_marker(line) } else { line };
        lines.push(match early.take() {
            Some(block) => format!("{line} {block}"),
            None => line.to_owned(),
        });
    }
    lines.extend(early);
    lines
}

fn strip_list_marker(line: &str) -> &str {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = line.get(digits..).unwrap_or(line);
    let rest = if digits > 0 { rest.strip_prefix(['.', ')']) } else { rest.strip_prefix(['-', '*', '•', '+']) };
    match rest.and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) => rest.trim_start(),
        None => line,
    }
}

/// Parses a line. Where its start is understood and only reads, the remainder may stay unmatched.
fn line_steps(words: WordSlice<'_>) -> Option<(Vec<PlanStep>, Option<String>)> {
    if let Some(step) = system::command_line(words) {
        return Some((vec![step], None));
    }
    if let Some(steps) = whole_line(words) {
        return Some((steps, None));
    }
    cuts(words).into_iter().rev().filter(|at| (1..words.len()).contains(at)).find_map(|at| {
        let steps = whole_line(words.take(at))?;
        let harmless = steps.iter().all(|step| !matches!(step.tool, "write_file" | "edit_file" | "shell"));
        let rest = strip_courtesies(words.skip(at));
        (harmless && !rest.is_empty()).then(|| (steps, Some(rest.raw_to_end())))
    })
}

/// Returns the places where a line may be cut, both ends included.
fn cuts(words: WordSlice<'_>) -> Vec<usize> {
    let plain = words.plain();
    let mut cuts = vec![0];
    cuts.extend(
        (1..words.len())
            .filter(|at| {
                words.punctuation_before(*at).is_some()
                    || plain.get(*at).is_some_and(|word| matches!(*word, "and" | "then" | "also" | "&" | "plus"))
            })
            .take(MAX_CUTS_PER_LINE),
    );
    cuts.push(words.len());
    cuts
}

/// Parses a whole line, cut wherever both sides are requests. O(cuts² × words).
fn whole_line(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let cuts = cuts(words);
    // best[i]: the steps from the i-th cut to the end, when all of it is understood.
    let mut best: Vec<Option<Vec<PlanStep>>> = vec![None; cuts.len()];
    if let Some(end) = best.last_mut() {
        *end = Some(Vec::new());
    }
    for (i, from) in cuts.iter().enumerate().rev().skip(1) {
        for (j, to) in cuts.iter().enumerate().skip(i + 1) {
            let Some(Some(later)) = best.get(j) else { continue };
            let Some(mut steps) = one_request(words.take(*to).skip(*from)) else { continue };
            let cut_in_command = steps.iter().any(|step| step.tool == "shell")
                && !later.is_empty()
                && words.punctuation_before(*to).is_some_and(|stop| stop != '.')
                && plain.get(*to).is_some_and(|word| !matches!(*word, "and" | "then" | "also"));
            if cut_in_command {
                continue;
            }
            steps.extend(later.iter().cloned());
            if let Some(slot) = best.get_mut(i) {
                *slot = Some(steps);
            }
            break;
        }
    }
    best.into_iter().next().flatten().filter(|steps| !steps.is_empty())
}

/// Parses words as one request of its kind.
type IntentRule = fn(WordSlice<'_>) -> Option<Vec<PlanStep>>;

/// Tried in this order; the first that matches wins.
const RULES: &[IntentRule] = &[
    system::fetch,
    system::clock,
    arithmetic::calculate,
    system::shell,
    system::new_folder,
    system::line_command,
    change::edit,
    change::write,
    search::search,
    files::read,
    files::list,
];

/// Parses words as one request.
fn one_request(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let words = strip_courtesies(words);
    if words.is_empty() {
        return None;
    }
    RULES.iter().find_map(|rule| rule(words))
}

/// Strips courtesies and conjunctions.
fn strip_courtesies(mut words: WordSlice<'_>) -> WordSlice<'_> {
    const LEADING_COURTESIES: &[&[&str]] = &[
        &["i", "would", "like", "you", "to"],
        &["i", "want", "you", "to"],
        &["i'd", "like", "you", "to"],
        &["i", "need", "you", "to"],
        &["go", "ahead", "and"],
        &["i", "want", "to", "know"],
        &["do", "you", "know"],
        &["tell", "me"],
        &["i'd", "like", "to"],
        &["i", "want", "to"],
        &["can", "you"],
        &["could", "you"],
        &["would", "you"],
        &["will", "you"],
        &["after", "that"],
        &["please"],
        &["kindly"],
        &["now"],
        &["then"],
        &["and"],
        &["also"],
        &["plus"],
        &["&"],
        &["next"],
        &["finally"],
        &["afterwards"],
        &["ok"],
        &["okay"],
        &["so"],
        &["just"],
        &["thanks"],
        &["thank", "you"],
        &["great"],
        &["nice"],
        &["hey"],
        &["hi"],
        &["hello"],
        &["jarvis"],
        &["let's"],
    ];
    const TRAILING_COURTESIES: &[&[&str]] = &[&["please"], &["thanks"], &["thank", "you"], &["for", "me"]];
    loop {
        let plain = words.plain();
        // "first list the files, then …", but not "first 20 lines".
        let first_of_several =
            matches!(plain.as_slice(), ["first", next, ..] if !next.starts_with(|c: char| c.is_ascii_digit()));
        if let Some(taken) = LEADING_COURTESIES
            .iter()
            .find(|phrase| plain.starts_with(phrase))
            .map(|p| p.len())
            .or(first_of_several.then_some(1))
        {
            words = words.skip(taken);
        } else if let Some(taken) = TRAILING_COURTESIES.iter().find(|phrase| plain.ends_with(phrase)) {
            words = words.take(plain.len() - taken.len());
        } else {
            return words;
        }
    }
}

/// Returns whether a word can only be a file or a folder.
fn is_path(words: WordSlice<'_>) -> bool {
    let value = words.value();
    let value = value.as_str();
    if value.is_empty() || value.contains('\n') || value.contains("://") || value.len() > 400 {
        return false;
    }
    if words.kind() == Some(SpanKind::Quote) {
        return true;
    }
    if words.len() != 1 || value.contains(char::is_whitespace) || matches!(value, "e.g" | "i.e" | "etc" | "/") {
        return false;
    }
    let numeric = value.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '/' | '-' | '%'));
    let dotted = value.find('.').is_some_and(|at| at + 1 < value.len());
    !numeric && (dotted || value.contains('/') || value.starts_with('~') || known_file(value).is_some())
        || matches!(value, "." | "..")
}

/// Returns whether a name needs no quotes in a command and can't be an option.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && name.chars().all(|c| c.is_alphanumeric() || "._-/".contains(c))
}

/// Returns the usual spelling of a file that people name without its extension.
fn known_file(name: &str) -> Option<&'static str> {
    const KNOWN_FILES: &[(&str, &str)] = &[
        ("readme", "README.md"),
        ("license", "LICENSE"),
        ("licence", "LICENSE"),
        ("makefile", "Makefile"),
        ("dockerfile", "Dockerfile"),
        ("changelog", "CHANGELOG.md"),
    ];
    KNOWN_FILES.iter().find(|(short, _)| name.eq_ignore_ascii_case(short)).map(|(_, file)| *file)
}

/// Returns the path that a word names.
fn path_of(words: WordSlice<'_>) -> String {
    let value = words.value();
    match known_file(&value) {
        Some(file) if words.quoted().is_none() => file.to_owned(),
        _ => value,
    }
}

#[cfg(test)]
mod tests;
