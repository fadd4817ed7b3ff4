//! PURE. Answers without a tool: the help, a few courtesies, the manual, and not knowing.

use std::fmt::Write as _;

use super::manual::{self, ManualHits, ManualSection};
use super::report::inline_code;
use super::syntax::{FORMS, RequestForm, form_of};

/// Lines quoted of a section; of the second and third section a paragraph is quoted.
const MAX_SECTION_LINES: usize = 30;
/// Score of a section that is worth naming where no answer is found.
const MIN_HINT_SCORE: f64 = 3.0;

/// The names of the tools that may be called.
pub(super) struct AnswerContext<'a> {
    pub(super) tools: Vec<&'a str>,
}

impl AnswerContext<'_> {
    pub(super) fn has_tool(&self, tool: &str) -> bool {
        self.tools.contains(&tool)
    }

    fn forms(&self) -> impl Iterator<Item = &'static RequestForm> {
        FORMS.iter().filter(|form| self.has_tool(form.tool))
    }
}

/// Answers a part of a prompt that led to no call, while other parts did.
pub(super) fn answer_part(part: &str, context: &AnswerContext<'_>) -> String {
    let answer = answer(part, context);
    if answer.starts_with("From the manual") { answer } else { format!("On {}: {answer}", inline_code(part)) }
}

/// Answers a prompt that led to no call.
pub(super) fn answer(prompt: &str, context: &AnswerContext<'_>) -> String {
    if let Some(courtesy) = courtesy_answer(prompt, context) {
        return courtesy;
    }
    let found = manual::find(prompt);
    let meant = form_of(prompt).filter(|form| context.has_tool(form.tool));
    match (meant, found.hits.as_slice()) {
        (None, [best, ..]) if found.is_confident => from_manual(best.section, &found),
        _ => fallback_answer(meant, &found, context),
    }
}

fn courtesy_answer(prompt: &str, context: &AnswerContext<'_>) -> Option<String> {
    let lower = prompt.trim().trim_end_matches(['.', '!', '?', ' ']).to_lowercase();
    Some(match lower.as_str() {
        "" if prompt.trim().is_empty() => "That prompt was empty. Type `help` to see what I can do.".to_owned(),
        "" | "help" | "commands" | "what can you do" => help(context),
        "hi" | "hello" | "hey" | "good morning" | "good evening" | "hi jarvis" | "hello jarvis" | "hey jarvis" => {
            format!("Hello! {} Try {}, or type `help`.\n", introduction(), examples(context))
        }
        "who are you" | "what are you" | "what is your name" | "are you an ai" | "which model are you" => {
            format!("{} Type `help` to see what I can do. {}\n", introduction(), how_to_connect())
        }
        "thanks" | "thank you" | "thx" => "You're welcome.".to_owned(),
        "bye" | "goodbye" => "Goodbye. Ctrl+D in an empty composer or `/quit` leaves; the session is saved.".to_owned(),
        "test" | "ping" => {
            "It works: this answer was streamed by the embedded engine. `show me a demo` shows more.".to_owned()
        }
        "what is this" | "what is jarvis-tui" => {
            let found = manual::find("getting started introduction");
            return found.hits.first().map(|best| from_manual(best.section, &found));
        }
        _ => return None,
    })
}

fn introduction() -> &'static str {
    "I'm `offline/guide`, the engine built into jarvis-tui: **not a language model**. I use its tools when a prompt has one \
     of a few forms, and answer questions about jarvis-tui from its manual."
}

fn how_to_connect() -> &'static str {
    "For everything else connect a model: start Ollama or set `OPENAI_API_KEY`, and ask me *how do I connect a model?*"
}

fn help(context: &AnswerContext<'_>) -> String {
    let mut text = format!("{}\n\n", introduction());
    for form in context.forms() {
        let (syntax, example) = (inline_code(form.syntax), inline_code(form.example));
        let _ = writeln!(text, "- {syntax}: {}, as in {example}", form.what);
    }
    let _ = write!(
        text,
        "- a question about jarvis-tui, as in `how do I resume a session?`\n- `show me a demo`: what the screen can do\n\n\
         Several requests can go into one prompt, on lines of their own or joined by *and then*. A long text goes on the \
         lines below `write to FILE:`.\n\n{}\n",
        how_to_connect()
    );
    text
}

/// Returns two examples for a sentence.
fn examples(context: &AnswerContext<'_>) -> String {
    let examples: Vec<String> = context.forms().take(2).map(|form| inline_code(form.example)).collect();
    if examples.is_empty() { "*how do I connect Ollama?*".to_owned() } else { examples.join(" or ") }
}

/// Explains that a requested tool is not available.
pub(super) fn unavailable(tool: &str) -> String {
    let what = FORMS.iter().find(|form| form.tool == tool).map_or("do that", |form| form.what);
    format!("I would {what} with the tool `{tool}`, but it isn't available in this session.\n")
}

fn from_manual(best: &ManualSection, found: &ManualHits) -> String {
    let top = found.hits.first().map_or(0.0, |hit| hit.score);
    let mut text =
        format!("From the manual: *{}*\n\n{}\n", best.citation(), first_lines(&best.body, MAX_SECTION_LINES));
    let others: Vec<_> = found.hits.iter().skip(1).filter(|hit| hit.score >= 0.6 * top).collect();
    // A close second may be what was meant, so it is quoted as well, in short.
    if let Some(second) = others.first().filter(|hit| hit.score >= 0.85 * top) {
        let _ = write!(text, "\nAlso: *{}*\n\n{}\n", second.section.citation(), first_paragraph(&second.section.body));
    }
    let quoted = usize::from(others.first().is_some_and(|hit| hit.score >= 0.85 * top));
    let rest: Vec<String> = others.iter().skip(quoted).map(|hit| format!("*{}*", hit.section.citation())).collect();
    if !rest.is_empty() {
        let _ = write!(text, "\nSee also: {}\n", rest.join(", "));
    }
    text
}

/// Returns the first lines of a section; a fence that would be cut is left out whole.
fn first_lines(body: &str, lines: usize) -> String {
    let all: Vec<&str> = body.lines().collect();
    if all.len() <= lines {
        return body.to_owned();
    }
    let mut end = lines;
    while end > 0 && (all.get(end).is_some_and(|line| !line.is_empty()) || count_fences(&all, end) % 2 == 1) {
        end -= 1;
    }
    let end = if end == 0 { all.len() } else { end };
    all.get(..end).unwrap_or_default().join("\n").trim_end().to_owned()
}

fn count_fences(lines: &[&str], end: usize) -> usize {
    lines.iter().take(end).filter(|line| line.starts_with("```")).count()
}

/// Returns a section's first paragraph, with the table, list or code that it introduces.
fn first_paragraph(body: &str) -> String {
    let mut taken: Vec<&str> = Vec::new();
    let mut fenced = false;
    for line in body.lines() {
        fenced ^= line.starts_with("```");
        let introduces = taken.iter().rev().find(|line| !line.is_empty()).is_some_and(|line| line.ends_with(':'));
        if line.is_empty() && !fenced && !introduces {
            break;
        }
        taken.push(line);
    }
    taken.join("\n")
}

/// Shows the form that was meant, or some, and what in the manual comes nearest.
fn fallback_answer(meant: Option<&RequestForm>, found: &ManualHits, context: &AnswerContext<'_>) -> String {
    let mut text = match meant {
        Some(form) => {
            let (syntax, example) = (inline_code(form.syntax), inline_code(form.example));
            format!("To {}, type {syntax}, as in {example}; `help` lists all forms.", form.what)
        }
        None => format!(
            "That has none of the forms that I understand, such as {}; `help` lists all. I'm not a language model.",
            examples(context)
        ),
    };
    if let Some(hit) = found.hits.first().filter(|hit| hit.score >= MIN_HINT_SCORE) {
        let _ = write!(text, "\n\nIf it is about jarvis-tui, the manual's *{}* comes nearest.", hit.section.citation());
    }
    let _ = writeln!(text, "\n\n{}", how_to_connect());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(prompt: &str, tools: &[&'static str]) -> String {
        answer(prompt, &AnswerContext { tools: tools.to_vec() })
    }

    fn all_tools() -> Vec<&'static str> {
        FORMS.iter().map(|form| form.tool).collect()
    }

    #[test]
    fn courtesies_are_answered_as_such() {
        for (prompt, part) in [
            ("hello", "Hello!"),
            ("Hi jarvis!", "Hello!"),
            ("thanks", "You're welcome."),
            ("who are you?", "not a language model"),
            ("what can you do?", "work out sums"),
            ("?", "work out sums"),
            ("what is jarvis-tui?", "*Getting started*"),
            ("bye", "Goodbye."),
            (" ", "That prompt was empty"),
        ] {
            let text = ask(prompt, &all_tools());
            assert!(text.contains(part), "{prompt}: {text}");
        }
    }

    #[test]
    fn help_prints_every_form_of_the_tools_that_are_there() {
        let text = ask("help", &all_tools());
        for form in FORMS {
            assert!(text.contains(&format!("- {}: {}, as in", inline_code(form.syntax), form.what)), "{text}");
        }
        let text = ask("help", &["calculator"]);
        assert!(text.contains("work out sums") && !text.contains("web page"), "{text}");
        ask("hello", &[]);
    }

    #[test]
    fn a_question_about_the_program_is_answered_from_the_manual() {
        assert!(ask("list sessions", &all_tools()).starts_with("From the manual: *Sessions and logs"));
        let text = ask("how do I connect Ollama?", &all_tools());
        assert!(text.starts_with("From the manual: *Connecting a model › Ollama*\n\n1. Install Ollama"), "{text}");
        assert!(text.contains("OLLAMA_HOST=http"));
        assert_eq!(text.matches("```").count() % 2, 0);
    }

    #[test]
    fn a_request_of_the_wrong_form_shows_the_right_one_and_anything_else_shows_some() {
        for (prompt, part) in [
            ("run the tests", "To run a command, type `` run `COMMAND` ``"),
            ("write a poem about the sea", "type `write \"TEXT\" to FILE`"),
            ("list ideas for a party", "type `list FOLDER`"),
            ("read it to me again", "type `read FILE lines 1-20`"),
            ("why is the sky blue?", "such as `what is 17% of 4,200`"),
            ("explain the code in main", "such as `what is 17% of 4,200`"),
        ] {
            let text = ask(prompt, &all_tools());
            assert!(text.contains(part) && text.contains("OPENAI_API_KEY"), "{prompt}: {text}");
        }
        assert!(!ask("run the tests", &["calculator"]).contains("run a command"));
    }
}
