//! PURE. The demonstrations: a guided one with tools, and a stream of a requested number of words.
//!
//! Both exist to try the screen without a model. The words come from a fixed recurrence: the same every time.

use serde_json::json;

use super::report::{FinishedCall, report};
use super::syntax::PlanStep;

/// Words of a stream, about two megabytes.
const MAX_STREAM_WORDS: usize = 300_000;

/// The kind of demonstration that a prompt requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DemoKind {
    Guided,
    Stream(usize),
}

/// Recognizes `demo`, `show me a demo` and `demo stream N`.
pub(super) fn requested_demo(prompt: &str) -> Option<DemoKind> {
    if prompt.len() > 80 {
        return None;
    }
    let lower = prompt.trim().trim_end_matches(['.', '!', '?']).to_lowercase();
    let words: Vec<&str> =
        lower.split_whitespace().filter(|word| !matches!(*word, "please" | "the" | "a" | "me" | "us")).collect();
    match words.as_slice() {
        ["demo" | "demonstration"]
        | ["show" | "give" | "run" | "start" | "play" | "see" | "do", "demo" | "demonstration"]
        | ["demo", "jarvis" | "jarvis-tui" | "yourself"] => Some(DemoKind::Guided),
        ["demo", "stream"] => Some(DemoKind::Stream(500)),
        ["demo", "stream", count] | ["demo", "stream", count, "words"] => {
            Some(DemoKind::Stream(count.replace([',', '_'], "").parse::<usize>().ok()?.clamp(1, MAX_STREAM_WORDS)))
        }
        _ => None,
    }
}

pub(super) const THOUGHTS: &str = "The person wants to see what this program can do. I should show the parts of the \
    screen: thinking, which is what this is and which can be folded away; some tool calls that change nothing, so that \
    the tool panel has something to show; and then an answer with headings, a list, a table and code.\n\nThe calls \
    don't depend on one another, so they can go out together.";

pub(super) const AFTERTHOUGHTS: &str = "The results are here. Now a short answer that uses them and has some of every \
    kind of Markdown.";

/// The calls of the guided demonstration. They change nothing and need no approval.
pub(super) fn guided_steps() -> Vec<PlanStep> {
    vec![
        PlanStep { tool: "list_dir", args: json!({}) },
        PlanStep { tool: "calculator", args: json!({ "expression": "26.2 miles to km" }) },
        PlanStep { tool: "clock", args: json!({}) },
    ]
}

/// The answer of the guided demonstration.
pub(super) fn guided_answer(calls: &[FinishedCall]) -> String {
    let mut text = "# A short tour\n\nThis text arrives in small pieces, the way a model streams it. Scroll up with \
        **PgUp** while it comes: the view stays where you put it, and **Ctrl+End** follows again.\n\n"
        .to_owned();
    if !calls.is_empty() {
        text.push_str("## What the tools said\n\n");
        text.push_str(report(calls).trim_end());
        text.push_str("\n\nThe tool panel shows the same calls with arguments and times; **Ctrl+T** hides it.\n\n");
    }
    text.push_str(
        "## Lists\n\n\
         1. Steps are numbered,\n\
         2. and may have parts:\n   - a part with *emphasis*,\n   - a part with ~~an error~~ a correction.\n\
         3. Links look like [this one](https://example.com).\n\n\
         - [x] a task that is done\n\
         - [ ] a task that is not\n\n\
         ## A table\n\n\
         | key | what it does | when |\n\
         | :-- | --- | --: |\n\
         | `Esc` | interrupts | while this runs |\n\
         | `Alt+T` | folds the thinking above | any time |\n\
         | `Ctrl+O` | folds tool output | any time |\n\n\
         ## Code\n\n\
         ```rust\n\
         /// Returns the n-th Fibonacci number.\n\
         fn fibonacci(n: u32) -> u64 {\n\
         \x20   let (mut a, mut b) = (0, 1);\n\
         \x20   for _ in 0..n {\n\
         \x20       (a, b) = (b, a + b);\n\
         \x20   }\n\
         \x20   a\n\
         }\n\
         ```\n\n\
         > Quotes stand a little apart.\n\
         > They may have several lines.\n\n\
         Wide characters keep their columns: 漢字, かな, 🙂, café.\n\n\
         ---\n\n\
         That was all. `demo stream 2000` makes a longer text; *how do I connect a model?* leads to real answers.\n",
    );
    text
}

/// Returns reasoning, and a text of exactly `words` words (anything with a letter or a digit) in varied Markdown.
pub(super) fn stream_texts(words: usize) -> (String, String) {
    let mut writer = FillerWriter { seed: 0x5eed, text: String::new(), words_left: (words / 10).clamp(12, 120) };
    writer.push_sentences(writer.words_left);
    let reasoning = std::mem::take(&mut writer.text);
    writer.words_left = words.clamp(1, MAX_STREAM_WORDS);
    let mut round = 0;
    while writer.words_left > 0 {
        writer.push_block(round);
        round += 1;
    }
    (reasoning.trim_end().to_owned(), writer.text)
}

const SUBJECTS: &[&str] = &[
    "the transcript",
    "a patient reader",
    "every token",
    "the usage bar",
    "an open block",
    "the composer",
    "this paragraph",
    "a quiet terminal",
    "the last line",
    "each finished table",
    "the tool panel",
    "a long answer",
];
const VERBS: &[&str] = &[
    "keeps",
    "follows",
    "measures",
    "remembers",
    "folds",
    "shows",
    "counts",
    "carries",
    "joins",
    "leaves",
    "finds",
    "holds",
];
const OBJECTS: &[&str] = &[
    "its place",
    "the next word",
    "one short list",
    "the margin",
    "a row of cells",
    "the wrapped lines",
    "some `inline code`",
    "a **bold** claim",
    "an *uneven* pause",
    "the color of the theme",
    "what came before",
    "the end of the page",
];
const TAILS: &[&str] = &[
    "while the window is resized",
    "without a flicker",
    "as the stream goes on",
    "in small steps",
    "before anyone asks",
    "across the whole screen",
    "for a thousand lines",
    "until the turn ends",
    "with room to spare",
    "and then begins again",
];
const TITLES: &[&str] = &["Notes", "Scrolling", "Wrapping", "Measure", "Rhythm", "Tables", "Memory", "Edges"];

struct FillerWriter {
    seed: u64,
    text: String,
    words_left: usize,
}

impl FillerWriter {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        // A linear congruential generator; its high bits are the evenly distributed ones.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (self.seed >> 33) as usize % from.len().max(1);
        from.get(at).copied().unwrap_or_default()
    }

    fn sentence(&mut self) -> String {
        let parts = [self.pick(SUBJECTS), self.pick(VERBS), self.pick(OBJECTS), self.pick(TAILS)];
        let mut sentence = parts.join(" ");
        if let Some(first) = sentence.get(..1).map(str::to_uppercase) {
            sentence.replace_range(..1, &first);
        }
        sentence.push('.');
        sentence
    }

    /// Writes a piece if its words still fit.
    fn push_if_fits(&mut self, piece: &str) -> bool {
        let words = count_words(piece);
        let fits = words <= self.words_left;
        if fits {
            self.text.push_str(piece);
            self.words_left -= words;
        }
        fits
    }

    fn push_sentences(&mut self, max_words: usize) {
        let until = self.words_left.saturating_sub(max_words);
        while self.words_left > until {
            let sentence = self.sentence();
            if self.words_left - until < count_words(&sentence) || !self.push_if_fits(&format!("{sentence} ")) {
                break;
            }
        }
        // The remaining words, one by one, so that the number is exact.
        while self.words_left > until && self.words_left < 16 {
            let word = self.pick(VERBS);
            self.push_if_fits(&format!("{word} "));
        }
        self.text.truncate(self.text.trim_end().len());
        self.text.push_str("\n\n");
    }

    fn push_block(&mut self, round: usize) {
        if self.words_left < 60 {
            return self.push_sentences(self.words_left);
        }
        match round % 8 {
            0 => {
                let title = self.pick(TITLES);
                self.push_if_fits(&format!("## {title} {}\n\n", round / 8 + 1));
                self.push_sentences(40);
            }
            2 => {
                for at in 1..=3 {
                    let sentence = self.sentence();
                    // The number is a word as well.
                    self.push_if_fits(&format!("{at}. {sentence}\n"));
                }
                self.text.push('\n');
            }
            3 => {
                self.push_if_fits("```rust\n");
                for at in 0..4 {
                    let (name, verb) = (self.pick(TITLES).to_lowercase(), self.pick(VERBS));
                    self.push_if_fits(&format!(
                        "let {name}_{at} = lines.iter().filter(|line| line.{verb}()).count();\n"
                    ));
                }
                self.text.push_str("```\n\n");
            }
            5 => {
                self.push_if_fits("| part | does | how |\n| --- | --- | --- |\n");
                for _ in 0..4 {
                    let row = [self.pick(SUBJECTS), self.pick(VERBS), self.pick(TAILS)];
                    self.push_if_fits(&format!("| {} |\n", row.join(" | ")));
                }
                self.text.push('\n');
            }
            6 => {
                for _ in 0..3 {
                    let sentence = self.sentence();
                    self.push_if_fits(&format!("- {sentence}\n"));
                }
                self.text.push('\n');
            }
            7 => {
                let sentence = self.sentence();
                self.push_if_fits(&format!("> {sentence}\n\n"));
            }
            _ => self.push_sentences(50),
        }
    }
}

/// Counts words: anything with a letter or a digit; marks such as `|` and `##` don't count.
fn count_words(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_start_a_demonstration() {
        for (prompt, show) in [
            ("show me a demo", Some(DemoKind::Guided)),
            ("Demo!", Some(DemoKind::Guided)),
            ("run the demo please", Some(DemoKind::Guided)),
            ("demo stream 2000", Some(DemoKind::Stream(2000))),
            ("demo stream 5,000 words", Some(DemoKind::Stream(5000))),
            ("demo stream", Some(DemoKind::Stream(500))),
            ("demo stream 99999999999", Some(DemoKind::Stream(MAX_STREAM_WORDS))),
            ("demo stream x", None),
            ("how do I see a demo?", None),
            ("what is in the demo file", None),
        ] {
            assert_eq!(requested_demo(prompt), show, "{prompt}");
        }
    }

    #[test]
    fn a_stream_has_as_many_words_as_asked_for() {
        for words in [1, 2, 15, 59, 60, 100, 500, 2000, 20_000] {
            let (reasoning, text) = stream_texts(words);
            assert_eq!(count_words(&text), words);
            assert!(!reasoning.is_empty());
            assert_eq!(text.matches("```").count() % 2, 0);
        }
        let (_, text) = stream_texts(1000);
        for mark in ["## ", "\n1. ", "```rust\n", "| --- |", "\n- ", "\n> "] {
            assert!(text.contains(mark), "{mark}");
        }
    }

    #[test]
    fn the_tour_has_some_of_everything() {
        let text = guided_answer(&[]);
        for mark in ["# A", "\n1. ", "- [x]", "| :-- |", "```rust", "\n> ", "---\n", "漢字"] {
            assert!(text.contains(mark), "{mark}");
        }
    }
}
