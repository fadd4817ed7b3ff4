//! PURE. Answers without a tool: courtesies, abilities, the manual, and not knowing.

use std::fmt::Write as _;

use super::manual::{self, ManualHits, ManualSection};

/// Lines quoted of a section; of the second and third section a paragraph is quoted.
const MAX_SECTION_LINES: usize = 30;

/// Its abilities, by tool: nouns and verbs that point at one, its description, and an example.
const ABILITIES: &[(&str, &[&str], &str, &str)] = &[
    (
        "calculator",
        &[
            "calculate",
            "sum",
            "number",
            "math",
            "maths",
            "percent",
            "convert",
            "unit",
            "add",
            "multiply",
            "tip",
            "average",
            "much",
        ],
        "work out sums and convert units",
        "what is 17% of 4,200",
    ),
    (
        "search",
        &["search", "find", "where", "grep", "usage", "look", "locate"],
        "search files for a string",
        "find \"TODO\" in src",
    ),
    (
        "read_file",
        &["read", "file", "open", "show", "content", "explain", "summarise", "summarize", "review", "code", "document"],
        "show a file",
        "read README.md lines 1-20",
    ),
    (
        "list_dir",
        &["list", "folder", "directory", "files", "project", "structure"],
        "list a folder",
        "list files in src",
    ),
    (
        "write_file",
        &["write", "create", "save", "make", "generate", "draft", "note", "poem", "story", "email"],
        "write a file with a text you give",
        "write \"hello\" to notes.txt",
    ),
    (
        "edit_file",
        &["append", "edit", "change", "replace", "fix", "rename", "refactor", "update", "remove", "delete"],
        "replace one text with another in a file",
        "replace \"a\" with \"b\" in notes.txt",
    ),
    (
        "shell",
        &[
            "run", "execute", "command", "test", "tests", "build", "compile", "install", "git", "commit", "deploy",
            "start",
        ],
        "run a command that you name",
        "run `git status`",
    ),
    (
        "fetch",
        &[
            "web", "page", "site", "website", "internet", "online", "url", "download", "news", "weather", "latest",
            "google",
        ],
        "fetch a web page by its address",
        "fetch https://example.com",
    ),
    (
        "clock",
        &["time", "date", "day", "clock", "today", "tomorrow", "hour", "when", "timezone"],
        "tell the time, in any zone",
        "what time is it in Tokyo",
    ),
];

/// Everything besides the prompt that an answer may depend on.
pub(super) struct AnswerContext<'a> {
    /// Names of the tools that may be called.
    pub(super) tools: Vec<&'a str>,
    /// Number of earlier prompts: lets answers vary while staying the same for the same conversation.
    pub(super) turn: usize,
}

impl AnswerContext<'_> {
    pub(super) fn has_tool(&self, tool: &str) -> bool {
        self.tools.contains(&tool)
    }

    fn pick_phrase<'b>(&self, phrases: &[&'b str]) -> &'b str {
        phrases.get(self.turn % phrases.len().max(1)).copied().unwrap_or_default()
    }
}

/// Answers a part of a prompt that led to no call, while other parts did.
pub(super) fn answer_part(part: &str, context: &AnswerContext<'_>) -> String {
    let answer = answer(part, context);
    if answer.starts_with("From the manual") {
        answer
    } else {
        format!("On {}: {answer}", super::report::inline_code(part))
    }
}

/// Answers a prompt that led to no call.
pub(super) fn answer(prompt: &str, context: &AnswerContext<'_>) -> String {
    if let Some(courtesy) = courtesy_answer(prompt, context) {
        return courtesy;
    }
    if let Some(advice) = command_advice(prompt, context) {
        return advice;
    }
    let found = manual::find(prompt);
    match (found.is_confident, found.hits.as_slice()) {
        (true, [best, ..]) if !is_order(prompt) => from_manual(best.section, &found),
        _ => fallback_answer(prompt, &found, context),
    }
}

fn words(prompt: &str) -> Vec<String> {
    prompt
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’'))
        .filter(|word| !word.is_empty())
        .take(40)
        .map(|word| word.to_lowercase().replace('’', "'"))
        .collect()
}

/// A command typed without `$` is not run, since that was not requested; but the intent is clear.
fn command_advice(prompt: &str, context: &AnswerContext<'_>) -> Option<String> {
    const PROGRAMS: &[&str] = &[
        "git", "cargo", "rustc", "pwd", "npm", "npx", "node", "python", "python3", "pip", "docker", "echo", "cd", "rm",
        "cp", "mv", "mkdir", "rmdir", "sed", "awk", "curl", "wget", "ps", "df", "du", "whoami", "uname", "sudo", "ssh",
        "wc", "chmod", "kubectl", "cat",
    ];
    let line = prompt.trim();
    let fits = context.has_tool("shell")
        && !line.contains('\n')
        && !line.ends_with('?')
        && line.split_whitespace().count() <= 12
        && line.split_whitespace().next().is_some_and(|first| PROGRAMS.contains(&first));
    fits.then(|| {
        format!(
            "That looks like a command. To have it run, put `$` or *run* before it: {}. In mode `ask` you decide before it runs.\n",
            super::report::inline_code(&format!("$ {line}"))
        )
    })
}

/// Returns whether this is a command that no rule understood: a page of the manual would not answer it.
fn is_order(prompt: &str) -> bool {
    const ORDER_VERBS: &[&str] = &[
        "run",
        "execute",
        "write",
        "create",
        "make",
        "read",
        "fetch",
        "edit",
        "fix",
        "refactor",
        "translate",
        "summarise",
        "summarize",
        "review",
        "rewrite",
        "implement",
        "generate",
        "draft",
        "download",
        "install",
    ];
    const LEADING_COURTESIES: &[&str] = &["please", "can", "could", "would", "you", "jarvis"];
    words(prompt)
        .into_iter()
        .find(|word| !LEADING_COURTESIES.contains(&word.as_str()))
        .is_some_and(|word| ORDER_VERBS.contains(&word.as_str()))
}

fn courtesy_answer(prompt: &str, context: &AnswerContext<'_>) -> Option<String> {
    let all = words(prompt);
    let mut plain: Vec<&str> = all.iter().map(String::as_str).filter(|word| *word != "jarvis").collect();
    let greeted = matches!(plain.first(), Some(&("hi" | "hello" | "hey" | "greetings" | "yo" | "hiya")))
        || matches!(plain.as_slice(), ["good", "morning" | "afternoon" | "evening" | "day", ..]);
    if greeted && plain.len() > 2 {
        let from = if plain.first() == Some(&"good") { 2 } else { 1 };
        plain.drain(..from);
    } else if greeted {
        return Some(greeting(context));
    }
    match plain.as_slice() {
        [] if all.is_empty() && prompt.trim() != "?" => {
            Some("That prompt was empty. Type `help` to see what I can do.".to_owned())
        }
        [] | ["help" | "commands"] | ["help", "me" | "please"] => Some(abilities(context)),
        ["what", "can", "you" | "i" | "we", "do", ..]
        | ["what", "can", "do"]
        | ["what", "do", "you", "do", ..]
        | ["what", "can", "i", "ask", ..]
        | ["what", "are", "you", "able", ..]
        | ["how", "can", "you", "help", ..]
        | ["what", "are", "your", "capabilities" | "abilities" | "skills"] => Some(abilities(context)),
        ["thanks" | "thx" | "cheers" | "ta", ..]
        | ["thank", "you", ..]
        | ["great" | "perfect", "thanks" | "thank", ..]
            if plain.len() <= 6 =>
        {
            Some(context.pick_phrase(&["You're welcome.", "Glad to help.", "Any time."]).to_owned())
        }
        ["bye" | "goodbye" | "cya"] | ["see", "you", ..] | ["good", "night" | "bye"] => {
            Some("Goodbye. Ctrl+D in an empty composer or `/quit` leaves; the session is saved.".to_owned())
        }
        ["how", "are", "you", ..] | ["how's", "it", "going"] if plain.len() <= 5 => {
            Some("Ready. I'm a program without moods, but with tools: type `help` to see them.".to_owned())
        }
        ["what's"]
        | ["what's", "tui" | "this"]
        | ["what", "is"]
        | ["what", "is", "tui" | "this"]
        | ["what", "is", "this", "program" | "app" | "application" | "tool" | "thing"] => {
            let found = manual::find("getting started introduction");
            found.hits.first().map(|best| from_manual(best.section, &found))
        }
        ["who" | "what", "are", "you"]
        | ["who" | "what", "are", "you", "and", ..]
        | ["who" | "what", "are", "you", "exactly" | "really"]
        | ["who's" | "who", "is", "this"]
        | ["what", "is" | "'s", "your", "name"]
        | ["what's", "your", "name"]
        | ["introduce", "yourself"]
        | ["tell", "me", "about", "yourself"]
        | ["are", "you", "a" | "an" | "real" | "human" | "chatgpt" | "gpt" | "claude" | "llama" | "sure", ..]
        | ["which" | "what", "model", "are", "you", ..]
        | ["what", "model", "is", "this"] => Some(identity(context)),
        ["yes" | "no" | "ok" | "okay" | "sure" | "yep" | "nope" | "fine" | "good" | "great" | "nice" | "cool"] => {
            Some("Noted; there is nothing open on my side. Tell me what to do next, or type `help`.".to_owned())
        }
        ["test" | "testing" | "ping"] => {
            Some("It works: this answer was streamed by the embedded engine. `show me a demo` shows more.".to_owned())
        }
        _ => None,
    }
}

fn greeting(context: &AnswerContext<'_>) -> String {
    let hello = context.pick_phrase(&["Hello!", "Hello again.", "Hi."]);
    format!(
        "{hello} I'm the engine built into jarvis-tui: not a language model, but I can use its tools and I know its \
         manual.\n\nTry {}, or type `help`.\n",
        examples(context, 2)
    )
}

fn identity(context: &AnswerContext<'_>) -> String {
    format!(
        "I'm `offline/guide`, the engine that is built into jarvis-tui. I am **not a language model**: I recognize plain requests by rules, call tools for them ({}), and answer questions about jarvis-tui from its manual.\n\n\
         For real conversation, connect a model: start Ollama, or set `OPENAI_API_KEY`. Ask me *how do I connect a \
         model?* for the details.\n",
        examples(context, 2)
    )
}

fn abilities(context: &AnswerContext<'_>) -> String {
    let mut text = "I'm the built-in engine, not a language model. This is what I can do:\n\n".to_owned();
    for (_, _, what, example) in ABILITIES.iter().filter(|(tool, ..)| context.has_tool(tool)) {
        let _ = writeln!(text, "- {what}: {}", super::report::inline_code(example));
    }
    text.push_str(
        "- answer questions about jarvis-tui: `how do I resume a session?`\n- show what the screen can do: `show me a demo`\n",
    );
    text.push_str("\nSeveral requests can go into one prompt, on lines of their own or joined by *and then*.\n");
    text.push_str(
        "\nFor everything else connect a model: ask *how do I connect Ollama?* or *how do I use an OpenAI key?*\n",
    );
    text
}

fn examples(context: &AnswerContext<'_>, count: usize) -> String {
    let offered: Vec<String> = ABILITIES
        .iter()
        .filter(|(tool, ..)| context.has_tool(tool))
        .map(|(_, _, _, example)| super::report::inline_code(example))
        .collect();
    if offered.is_empty() {
        return "*how do I connect Ollama?*".to_owned();
    }
    let chosen: Vec<String> =
        offered.iter().cycle().skip(context.turn * count).take(count.min(offered.len())).cloned().collect();
    chosen.join(" or ")
}

/// Explains that a requested tool is not available.
pub(super) fn unavailable(tool: &str) -> String {
    let what = ABILITIES.iter().find(|(name, ..)| *name == tool).map_or("do that", |(_, _, what, _)| what);
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

fn fallback_answer(prompt: &str, found: &ManualHits, context: &AnswerContext<'_>) -> String {
    // Different prompts get different phrases, the same prompt at the same place always the same.
    let context = &AnswerContext { tools: context.tools.clone(), turn: context.turn + prompt.len() };
    let words = words(prompt);
    let points = |pointers: &[&str]| {
        words.iter().any(|word| {
            pointers.contains(&word.as_str()) || word.strip_suffix('s').is_some_and(|one| pointers.contains(&one))
        })
    };
    let near: Vec<_> =
        ABILITIES.iter().filter(|(tool, pointers, ..)| context.has_tool(tool) && points(pointers)).take(2).collect();
    let mut text = context
        .pick_phrase(&[
            "That takes a language model, and I'm only the built-in guide.",
            "I can't answer that: I work by rules, not by a language model.",
            "That is beyond me; the built-in engine knows only plain requests and its manual.",
        ])
        .to_owned();
    match near.as_slice() {
        [] => {
            let _ = write!(text, " Things I can do: {}. `help` lists all.", examples(context, 2));
        }
        near => {
            let offers: Vec<String> = near
                .iter()
                .map(|(_, _, what, example)| format!("{what} ({})", super::report::inline_code(example)))
                .collect();
            let _ = write!(text, " What I can do: {}.", offers.join(", or "));
        }
    }
    if let Some(hit) = found.hits.first().filter(|hit| hit.score >= 3.0) {
        let _ = write!(text, "\n\nIf it is about jarvis-tui, the manual's *{}* comes nearest.", hit.section.citation());
    }
    text.push_str("\n\n");
    text.push_str(context.pick_phrase(&[
        "To connect a model, start Ollama or set `OPENAI_API_KEY`, then type `/model`. Ask me *how do I connect Ollama?*",
        "With a model this works: `ollama pull qwen3:8b`, then `/model`. Or set `OPENAI_API_KEY` and start again.",
        "`jarvis-tui doctor` shows which models are available; ask me *how do I connect a model?* for the steps.",
    ]));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_TOOLS: &[&str] =
        &["calculator", "read_file", "list_dir", "search", "write_file", "edit_file", "shell", "fetch", "clock"];

    fn ask(prompt: &str, tools: &[&'static str], turn: usize) -> String {
        answer(prompt, &AnswerContext { tools: tools.to_vec(), turn })
    }

    #[test]
    fn courtesies_are_answered_as_such() {
        let cases = [
            ("hello", "Hello!"),
            ("Good morning!", "Hello!"),
            ("hi jarvis", "Hello!"),
            ("thanks a lot", "You're welcome."),
            ("who are you?", "not a language model"),
            ("Are you an AI?", "not a language model"),
            ("what can you do", "- work out sums"),
            ("help", "- work out sums"),
            ("?", "- work out sums"),
            ("hey, what can you do?", "- work out sums"),
            ("what is jarvis-tui?", "*Getting started*"),
            ("git status", "`$ git status`"),
            ("bye", "Goodbye."),
            ("", "That prompt was empty"),
        ];
        for (prompt, part) in cases {
            let text = ask(prompt, ALL_TOOLS, 0);
            assert!(text.contains(part), "{prompt}: {text}");
        }
    }

    #[test]
    fn a_question_about_the_program_is_answered_from_the_manual() {
        let text = ask("how do I connect Ollama?", ALL_TOOLS, 0);
        assert!(text.starts_with("From the manual: *Connecting a model › Ollama*\n\n1. Install Ollama"), "{text}");
        assert!(text.contains("OLLAMA_HOST=http"));
        assert_eq!(text.matches("```").count() % 2, 0);
    }

    #[test]
    fn not_knowing_names_what_comes_nearest_and_how_to_connect() {
        let cases = [
            ("explain the code in main", "show a file"),
            ("what's the weather in Paris", "fetch a web page"),
            ("write a poem about the sea", "write a file"),
            ("run the tests", "run a command"),
            ("why is the sky blue?", "Things I can do"),
        ];
        for (prompt, part) in cases {
            for turn in 0..3 {
                let text = ask(prompt, ALL_TOOLS, turn);
                assert!(text.contains(part), "{prompt}: {text}");
                assert!(text.contains("OPENAI_API_KEY") || text.contains("doctor"), "{prompt}: {text}");
            }
        }
        assert_ne!(ask("why is the sky blue?", ALL_TOOLS, 0), ask("why is the sky blue?", ALL_TOOLS, 1));
    }

    #[test]
    fn only_tools_that_are_there_are_offered() {
        let text = ask("help", &["calculator"], 0);
        assert!(text.contains("sums") && !text.contains("web page"), "{text}");
        let text = ask("run the tests", &["calculator"], 0);
        assert!(!text.contains("run a command"), "{text}");
        ask("hello", &[], 7);
    }
}
