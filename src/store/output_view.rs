//! How much of a tool's output is shown before anybody unfolds it, by tool or by a pattern over calls.
//!
//! Not here: what a person unfolded or folded, which counts before this.

use serde_json::Value;

use crate::event::{Pattern, ToolKind};

/// How much of a call's output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputView {
    /// The headline only; of a call that failed the first rows all the same.
    Hidden,
    /// The first rows.
    Preview,
    Full,
}

impl OutputView {
    pub const ALL: [Self; 3] = [Self::Hidden, Self::Preview, Self::Full];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Preview => "preview",
            Self::Full => "full",
        }
    }
}

/// What holds for a tool of that name unless the person says otherwise; every other has a preview. The documentation of
/// the setting lists the same.
pub const DEFAULT_OUTPUT_VIEWS: [(&str, OutputView); 6] = [
    ("read_file", OutputView::Hidden),
    ("Read", OutputView::Hidden),
    // What these say is shown as the agent's plan.
    ("todo", OutputView::Hidden),
    ("TodoWrite", OutputView::Hidden),
    ("todowrite", OutputView::Hidden),
    ("update_plan", OutputView::Hidden),
];

/// Arguments that a pattern is matched against where nobody was asked, the most telling first.
const SUBJECT_KEYS: [&str; 8] = ["command", "cmd", "path", "file_path", "file", "url", "pattern", "query"];
/// Longer arguments are not read.
const MAX_ARGS_BYTES: usize = 64 * 1024;

/// How much of the output of which calls is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputViews {
    /// The most particular first.
    views: Vec<(Pattern, OutputView)>,
}

impl Default for OutputViews {
    fn default() -> Self {
        Self::new([])
    }
}

impl OutputViews {
    /// Takes patterns as in the rules of approvals, `tool` or `tool(glob)`; what is no pattern is left out. Of two that
    /// match, the one with the longer glob counts.
    pub fn new<'a>(set: impl IntoIterator<Item = (&'a str, OutputView)>) -> Self {
        let mut views: Vec<(Pattern, OutputView)> =
            set.into_iter().filter_map(|(pattern, view)| Some((Pattern::parse(pattern).ok()?, view))).collect();
        for (tool, view) in DEFAULT_OUTPUT_VIEWS {
            let pattern = Pattern { tool: tool.to_owned(), glob: None };
            if views.iter().all(|(known, _)| *known != pattern) {
                views.push((pattern, view));
            }
        }
        let length = |pattern: &Pattern| pattern.glob.as_ref().map_or(0, |glob| glob.len() + 1);
        views.sort_by_key(|(pattern, _)| std::cmp::Reverse(length(pattern)));
        Self { views }
    }

    /// Returns what is set for a call of that tool; none where nothing is. `asked` is what a person was asked about, if
    /// one was.
    pub(super) fn find(&self, tool: &str, asked: Option<&str>, args: &str) -> Option<OutputView> {
        let mut subject = None;
        let found = self.views.iter().filter(|(pattern, _)| pattern.tool == tool).find(|(pattern, _)| {
            pattern.glob.is_none() || {
                let subject = subject.get_or_insert_with(|| asked.map_or_else(|| subject_of(args), str::to_owned));
                pattern.allows(tool, ToolKind::Other, subject)
            }
        });
        found.map(|(_, view)| *view)
    }
}

fn subject_of(args: &str) -> String {
    if args.len() > MAX_ARGS_BYTES {
        return String::new();
    }
    let Ok(Value::Object(args)) = serde_json::from_str(args) else { return String::new() };
    let text = SUBJECT_KEYS.iter().find_map(|key| args.get(*key)?.as_str());
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_pattern_counts_and_the_person_s_before_the_defaults() {
        let views = OutputViews::new([
            ("shell", OutputView::Hidden),
            ("shell(git *)", OutputView::Preview),
            ("shell(git diff*)", OutputView::Full),
            ("Read", OutputView::Preview),
            ("not a pattern(", OutputView::Full),
        ]);
        for (name, args, expected) in [
            ("shell", r#"{"command":"ls"}"#, Some(OutputView::Hidden)),
            ("shell", r#"{"command":"git log | head"}"#, Some(OutputView::Preview)),
            ("shell", r#"{"command":"git diff -w"}"#, Some(OutputView::Full)),
            ("shell", "{\"command", Some(OutputView::Hidden)),
            ("read_file", "{}", Some(OutputView::Hidden)),
            ("Read", "{}", Some(OutputView::Preview)),
            ("search", "{}", None),
        ] {
            assert_eq!(views.find(name, None, args), expected, "{name} {args}");
        }
        assert_eq!(views.find("shell", Some("git diff"), "{}"), Some(OutputView::Full), "what was asked about");
    }
}
