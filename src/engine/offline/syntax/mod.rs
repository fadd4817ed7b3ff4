//! PURE. The syntax of the embedded engine: one form for each tool, and what a prompt requests in it.
//!
//! The table is what the help prints. Whatever has none of its forms requests nothing. Nothing here knows which tools
//! exist or what they returned.

mod forms;
mod phrase;

use crate::event::Json;
use phrase::{Phrase, split};

/// A longer text is something pasted, not a list of requests.
const MAX_PROMPT_BYTES: usize = 8000;

/// A form of request: what begins with one of its verbs becomes a call of its tool.
pub(super) struct RequestForm {
    pub(super) tool: &'static str,
    verbs: &'static [&'static str],
    pub(super) syntax: &'static str,
    /// What it does, after "to".
    pub(super) what: &'static str,
    pub(super) example: &'static str,
    /// Reads what follows the verb.
    args: fn(Phrase<'_>) -> Option<Json>,
    /// Reads a line that needs no verb.
    bare: Option<fn(Phrase<'_>) -> Option<Json>>,
}

/// In the order of the help.
pub(super) static FORMS: &[RequestForm] = &[
    RequestForm {
        tool: "calculator",
        verbs: &["what is", "what's", "calculate", "convert"],
        syntax: "what is EXPRESSION",
        what: "work out sums and convert units",
        example: "what is 17% of 4,200",
        args: forms::expression,
        bare: Some(forms::bare_expression),
    },
    RequestForm {
        tool: "search",
        verbs: &["find", "search", "grep"],
        syntax: "find \"TEXT\" in PATH",
        what: "search files for a text, or a regular expression in slashes",
        example: "find \"TODO\" in src",
        args: forms::search,
        bare: None,
    },
    RequestForm {
        tool: "read_file",
        verbs: &["read", "cat"],
        syntax: "read FILE lines 1-20",
        what: "show a file or some of its lines",
        example: "read README.md",
        args: forms::read,
        bare: None,
    },
    RequestForm {
        tool: "list_dir",
        verbs: &["list", "ls"],
        syntax: "list FOLDER",
        what: "list a folder",
        example: "list src",
        args: forms::list,
        bare: None,
    },
    RequestForm {
        tool: "write_file",
        verbs: &["write"],
        syntax: "write \"TEXT\" to FILE",
        what: "write a file",
        example: "write \"hello\" to notes.txt",
        args: forms::write,
        bare: None,
    },
    RequestForm {
        tool: "edit_file",
        verbs: &["replace"],
        syntax: "replace \"OLD\" with \"NEW\" in FILE",
        what: "replace one text with another in a file",
        example: "replace \"hello\" with \"bye\" in notes.txt",
        args: forms::replace,
        bare: None,
    },
    RequestForm {
        tool: "shell",
        verbs: &["run", "$"],
        syntax: "run `COMMAND`",
        what: "run a command",
        example: "run `git status`",
        args: forms::run,
        bare: None,
    },
    RequestForm {
        tool: "fetch",
        verbs: &["fetch"],
        syntax: "fetch URL",
        what: "fetch a web page",
        example: "fetch https://example.com",
        args: forms::fetch,
        bare: Some(forms::address),
    },
    RequestForm {
        tool: "clock",
        verbs: &["time", "date", "what time", "what's the time", "what is the time"],
        syntax: "time in ZONE",
        what: "tell the time, here or in a zone",
        example: "time in Asia/Tokyo",
        args: forms::time,
        bare: None,
    },
];

/// One tool call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlanStep {
    pub(super) tool: &'static str,
    pub(super) args: Json,
}

impl PlanStep {
    /// Returns whether this must wait until the other has run.
    fn depends_on(&self, other: &Self) -> bool {
        let uses_no_files = |step: &Self| matches!(step.tool, "calculator" | "fetch" | "clock");
        let only_looks = |step: &Self| matches!(step.tool, "read_file" | "list_dir" | "search");
        let names_its_file = |step: &Self| matches!(step.tool, "read_file" | "write_file" | "edit_file");
        if uses_no_files(self) || uses_no_files(other) || (only_looks(self) && only_looks(other)) {
            return false;
        }
        !names_its_file(self) || !names_its_file(other) || self.args.get("path") == other.args.get("path")
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

/// Parses a prompt: requests are on lines of their own, or joined by "and then".
pub(super) fn parse(prompt: &str) -> PromptPlan {
    if let Some(args) = forms::write_below(prompt) {
        return PromptPlan { steps: vec![PlanStep { tool: "write_file", args }], unmatched: Vec::new() };
    }
    let whole = || PromptPlan { steps: Vec::new(), unmatched: vec![prompt.trim().to_owned()] };
    if prompt.len() > MAX_PROMPT_BYTES {
        return whole();
    }
    let lines: Vec<&str> = prompt.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut plan = PromptPlan::default();
    for line in &lines {
        match parse_line(if lines.len() > 1 { strip_list_marker(line) } else { line }) {
            Some(steps) => plan.steps.extend(steps),
            None => plan.unmatched.push((*line).to_owned()),
        }
    }
    // A single line in a long text that happens to look like a request is probably part of the text.
    if plan.steps.is_empty() || plan.unmatched.len() * 2 > lines.len() { whole() } else { plan }
}

fn strip_list_marker(line: &str) -> &str {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = if rest.len() < line.len() { rest.strip_prefix(['.', ')']) } else { rest.strip_prefix(['-', '*', '+']) };
    rest.and_then(|rest| rest.strip_prefix(' ')).map_or(line, str::trim_start)
}

/// Returns the calls of a line, all of which must be understood.
fn parse_line(line: &str) -> Option<Vec<PlanStep>> {
    let words = split(line);
    let phrase = Phrase::new(line, &words);
    phrase
        .requests()
        .into_iter()
        .map(parse_request)
        .collect::<Option<Vec<_>>>()
        .or_else(|| Some(vec![parse_request(phrase)?]))
}

fn parse_request(phrase: Phrase<'_>) -> Option<PlanStep> {
    FORMS.iter().find_map(|form| {
        let after_verb = form.verbs.iter().find_map(|verb| phrase.after(verb)).and_then(form.args);
        let args = after_verb.or_else(|| form.bare.and_then(|bare| bare(phrase)))?;
        Some(PlanStep { tool: form.tool, args })
    })
}

/// Returns the form that a prompt was probably meant to have: it begins with its verb and isn't about the program.
pub(super) fn form_of(prompt: &str) -> Option<&'static RequestForm> {
    let words = split(prompt);
    let first = words.first().filter(|word| !word.is_quoted)?;
    if words.iter().any(|word| forms::PROGRAM_NOUNS.contains(&word.value())) {
        return None;
    }
    FORMS.iter().find(|form| form.verbs.iter().any(|verb| first.text.eq_ignore_ascii_case(verb)))
}

#[cfg(test)]
mod tests;
