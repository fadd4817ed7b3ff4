//! Two sessions as lines of two columns, for a screen: what belongs together stands beside each other.

use super::align::{AlignedTurn, CallState, Comparison};
use super::fold::{ComparedSession, ComparedTurn};
use super::text_diff::{DiffTag, text_diff};
use super::words::{call_text, figures_text, sides};

/// Two sessions, line by line. Texts are raw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideBySide {
    /// The names and models of both.
    pub titles: [String; 2],
    pub lines: Vec<ComparedLine>,
    /// Where what differs begins, by index of its line.
    pub differences: Vec<usize>,
}

/// A line of each; none where there is nothing to put beside the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedLine {
    pub part: LinePart,
    pub sides: [Option<String>; 2],
    pub differs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinePart {
    /// What a turn is called and what it took.
    Turn,
    Prompt,
    Call,
    Answer,
    /// Between two parts.
    Gap,
}

impl SideBySide {
    pub fn of(a: &ComparedSession, b: &ComparedSession, comparison: &Comparison) -> Self {
        let title = |session: &ComparedSession| match session.model.as_str() {
            "" => session.name.clone(),
            model => format!("{} · {model}", session.name),
        };
        let mut page = Self { titles: [title(a), title(b)], ..Self::default() };
        for (number, turn) in (1..).zip(&comparison.turns) {
            let (a, b) = sides(turn, a, b);
            page.add_turn(number, turn, a, b);
        }
        page
    }

    fn add_turn(&mut self, number: usize, turn: &AlignedTurn, a: Option<&ComparedTurn>, b: Option<&ComparedTurn>) {
        let head = |side: Option<&ComparedTurn>| match side {
            Some(side) => format!("{number}. {}", figures_text(side)),
            None => format!("{number}. no such turn"),
        };
        let is_alone = a.is_none() || b.is_none();
        self.add(LinePart::Turn, [Some(head(a)), Some(head(b))], is_alone || !turn.same_outcome);
        let [one, other] = [a, b].map(|side| side.map_or("", |side| side.prompt.trim()));
        self.add_texts(LinePart::Prompt, one, other);
        if let (Some(a), Some(b)) = (a, b) {
            for call in &turn.calls {
                let shown = |turn: &ComparedTurn, at: Option<usize>| Some(call_text(turn.calls.get(at?)?, call.state));
                let calls = [shown(a, call.a), shown(b, call.b)];
                self.add(LinePart::Call, calls, call.state != CallState::Same);
            }
        } else {
            for call in a.or(b).into_iter().flat_map(|turn| &turn.calls) {
                let call = call_text(call, CallState::Same);
                let calls = if a.is_some() { [Some(call), None] } else { [None, Some(call)] };
                self.add(LinePart::Call, calls, true);
            }
        }
        let [one, other] = [a, b].map(|side| side.map_or("", |side| side.answer.trim()));
        self.add_texts(LinePart::Answer, one, other);
        self.add(LinePart::Gap, [None, None], false);
    }

    /// Adds two texts; lines that were changed stand beside those they became.
    fn add_texts(&mut self, part: LinePart, one: &str, other: &str) {
        if one == other {
            one.lines().for_each(|line| self.add(part, [Some(line.to_owned()), Some(line.to_owned())], false));
            return;
        }
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for line in text_diff(one, other) {
            match line.tag {
                DiffTag::Removed => removed.push(line.text),
                DiffTag::Added => added.push(line.text),
                DiffTag::Same | DiffTag::Uncompared => {
                    self.add_changed(part, &mut removed, &mut added);
                    self.add(part, [Some(line.text.clone()), Some(line.text)], line.tag == DiffTag::Uncompared);
                }
            }
        }
        self.add_changed(part, &mut removed, &mut added);
    }

    fn add_changed(&mut self, part: LinePart, removed: &mut Vec<String>, added: &mut Vec<String>) {
        let count = removed.len().max(added.len());
        let (mut removed, mut added) = (removed.drain(..), added.drain(..));
        for _ in 0..count {
            self.add(part, [removed.next(), added.next()], true);
        }
    }

    fn add(&mut self, part: LinePart, sides: [Option<String>; 2], differs: bool) {
        let goes_on = self.lines.last().is_some_and(|before| before.differs && before.part == part);
        if differs && !goes_on {
            self.differences.push(self.lines.len());
        }
        self.lines.push(ComparedLine { part, sides, differs });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fold::ComparedCall;

    fn turn(prompt: &str, calls: &[&str], answer: &str) -> ComparedTurn {
        let call =
            |args: &&str| ComparedCall { name: "shell".into(), args: (*args).to_owned(), ..ComparedCall::default() };
        let calls = calls.iter().map(call).collect();
        let outcome = Some(crate::event::TurnOutcome::Completed);
        ComparedTurn { prompt: prompt.into(), answer: answer.into(), calls, outcome, ..ComparedTurn::default() }
    }

    fn session(turns: Vec<ComparedTurn>) -> ComparedSession {
        ComparedSession { name: "s".into(), turns, ..ComparedSession::default() }
    }

    fn shown(a: Vec<ComparedTurn>, b: Vec<ComparedTurn>) -> (Vec<String>, Vec<usize>) {
        let (a, b) = (session(a), session(b));
        let page = SideBySide::of(&a, &b, &Comparison::of(&a, &b));
        let side = |side: &Option<String>| side.clone().unwrap_or("~".into());
        let lines = page.lines.iter().map(|line| {
            format!("{} {} | {}", if line.differs { "*" } else { " " }, side(&line.sides[0]), side(&line.sides[1]))
        });
        (lines.collect(), page.differences)
    }

    #[test]
    fn what_belongs_together_stands_beside_each_other() {
        let (lines, differences) = shown(
            vec![turn("hi", &["ls"], "one\ntwo\nthree"), turn("go", &[], "same")],
            vec![turn("hi", &["pwd"], "one\n2\n2b\nthree"), turn("go", &[], "same")],
        );
        assert_eq!(
            lines,
            [
                "  1. 0.0s · 1 call | 1. 0.0s · 1 call",
                "  hi | hi",
                "* shell ls | shell pwd",
                "  one | one",
                "* two | 2",
                "* ~ | 2b",
                "  three | three",
                "  ~ | ~",
                "  2. 0.0s | 2. 0.0s",
                "  go | go",
                "  same | same",
                "  ~ | ~",
            ]
        );
        assert_eq!(differences, [2, 4]);
    }

    #[test]
    fn a_turn_that_only_one_has_leaves_the_other_side_empty() {
        let (lines, differences) =
            shown(vec![turn("hi", &[], "a")], vec![turn("hi", &[], "a"), turn("more", &["x"], "b")]);
        assert_eq!(lines[4..8], ["* 2. no such turn | 2. 0.0s · 1 call", "* ~ | more", "* ~ | shell x", "* ~ | b"]);
        assert_eq!(differences.first(), Some(&4));
        assert_eq!(shown(Vec::new(), Vec::new()).0, Vec::<String>::new());
    }
}
