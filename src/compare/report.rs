//! A comparison in words, and as JSON.
//!
//! ```text
//! {"sessions":    [{"name", "model", "turns", "input_tokens", "output_tokens", "cost", "time_ms"}],
//!  "comparisons": [{"a": 0, "b": 1, "same": false,
//!                   "first_difference": {"turn": 0, "part": "call", "call": 1, "a": "…", "b": "…"},
//!                   "turns": [{"a": 0, "b": 0, "prompt": "…", "same": false, "same_prompt", "same_answer", "same_outcome",
//!                              "calls":   [{"state": "args", "a": {"name", "args", "outcome"}, "b": {…}}],
//!                              "answer":  [["-", "one line"], ["+", "another"]],
//!                              "figures": [{"outcome", "calls", "first_token_ms", "tokens_per_second",
//!                                           "input_tokens", "output_tokens", "cost", "time_ms"}, {…}]}]}]}
//! ```
//!
//! Indexes count from 0; what is not known, or has no other side, is null. Costs are US dollars.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::align::{AlignedTurn, CallState, Comparison, DifferentPart, FirstDifference};
use super::fold::{ComparedCall, ComparedSession, ComparedTurn};
use super::side_by_side::SideBySide;
use super::text_diff::{DiffTag, text_diff};
use super::words::{QUOTE_COLUMNS, call_text, figures_text, plural, seconds, sides};
use crate::event::CallOutcome;
use crate::text::one_line;

/// Unchanged lines that are shown around changed ones.
const CONTEXT_LINES: usize = 2;

/// Sessions, each compared with the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    sessions: Vec<ComparedSession>,
    comparisons: Vec<Comparison>,
}

impl Report {
    pub fn new(sessions: Vec<ComparedSession>) -> Self {
        let comparisons = match sessions.split_first() {
            Some((first, others)) => others.iter().map(|other| Comparison::of(first, other)).collect(),
            None => Vec::new(),
        };
        Self { sessions, comparisons }
    }

    /// Returns whether all say and do the same.
    pub fn is_same(&self) -> bool {
        self.comparisons.iter().all(|comparison| comparison.first_difference.is_none())
    }

    /// Returns each comparison with its two sessions.
    fn pairs(&self) -> impl Iterator<Item = (usize, &Comparison, &ComparedSession, &ComparedSession)> {
        let first = self.sessions.first();
        let others = self.sessions.iter().enumerate().skip(1).zip(&self.comparisons);
        others.filter_map(move |((index, other), comparison)| Some((index, comparison, first?, other)))
    }

    /// Returns the first session beside each of the others.
    pub fn side_by_side(&self) -> Vec<SideBySide> {
        self.pairs().map(|(_, comparison, a, b)| SideBySide::of(a, b, comparison)).collect()
    }

    pub fn to_json(&self) -> Json {
        let sessions: Vec<Json> = self.sessions.iter().map(session_json).collect();
        let comparisons: Vec<Json> = self
            .pairs()
            .map(|(index, comparison, a, b)| {
                json!({
                    "a": 0,
                    "b": index,
                    "same": comparison.first_difference.is_none(),
                    "first_difference":
                        comparison.first_difference.map(|difference| difference_json(difference, comparison, a, b)),
                    "turns": comparison.turns.iter().map(|turn| turn_json(turn, a, b)).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({ "sessions": sessions, "comparisons": comparisons })
    }

    /// Returns it as text for people, raw.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let names: Vec<String> = (0..self.sessions.len()).map(letter).collect();
        for (name, session) in names.iter().zip(&self.sessions) {
            let (usage, cost, time) = session.totals();
            let mut figures = vec![plural(session.turns.len(), "turn"), seconds(time)];
            figures.extend(usage.map(|usage| format!("{} in, {} out", usage.input_tokens, usage.output_tokens)));
            figures.extend(cost.map(|cost| format!("${cost:.4}")));
            let _ = writeln!(out, "{name}  {}  {}  {}", session.name, session.model, figures.join(" · "));
        }
        for (index, comparison, a, b) in self.pairs() {
            let other = names.get(index).map_or("B", String::as_str);
            let _ = writeln!(out, "\nA and {other}");
            match comparison.first_difference {
                None => out.push_str("say and do the same\n"),
                Some(difference) => {
                    let _ = writeln!(
                        out,
                        "part at turn {}: {}",
                        difference.turn + 1,
                        part_text(difference, comparison, a, b)
                    );
                }
            }
            for (number, turn) in (1..).zip(&comparison.turns) {
                write_turn(&mut out, number, turn, (a, b), other);
            }
        }
        out
    }
}

fn letter(index: usize) -> String {
    match u8::try_from(index) {
        Ok(index @ 0..=25) => char::from(b'A' + index).to_string(),
        _ => format!("#{}", index + 1),
    }
}

fn write_turn(
    out: &mut String,
    number: usize,
    turn: &AlignedTurn,
    both: (&ComparedSession, &ComparedSession),
    other: &str,
) {
    let (a, b) = sides(turn, both.0, both.1);
    let prompt = a.or(b).map_or("", |turn| turn.prompt.as_str());
    let _ = writeln!(out, "\n{number}. {}", one_line(prompt, QUOTE_COLUMNS));
    if !turn.same_prompt && a.is_some() && b.is_some() {
        let _ =
            writeln!(out, "   {other} asks: {}", one_line(b.map_or("", |turn| turn.prompt.as_str()), QUOTE_COLUMNS));
    }
    for (name, side) in [("A", a), (other, b)] {
        match side {
            Some(side) => _ = writeln!(out, "   {name}: {}", figures_text(side)),
            None => _ = writeln!(out, "   {name}: no such turn"),
        }
    }
    let (Some(a), Some(b)) = (a, b) else { return };
    for call in turn.calls.iter().filter(|call| call.state != CallState::Same) {
        let (one, two) = (call.a.and_then(|at| a.calls.get(at)), call.b.and_then(|at| b.calls.get(at)));
        for (sign, side) in [("-", one), ("+", two)] {
            if let Some(side) = side {
                let _ = writeln!(out, "   {sign} {}", call_text(side, call.state));
            }
        }
    }
    let diff = text_diff(a.answer.trim(), b.answer.trim());
    let is_near = |at: usize| {
        let near = at.saturating_sub(CONTEXT_LINES)..(at + CONTEXT_LINES + 1).min(diff.len());
        diff[near].iter().any(|line| line.tag != DiffTag::Same)
    };
    let mut was_shown = true;
    for (at, line) in diff.iter().enumerate() {
        if is_near(at) {
            let _ = writeln!(out, "   {}{}", line.tag.sign(), line.text);
            was_shown = true;
        } else if std::mem::replace(&mut was_shown, false) {
            out.push_str("   …\n");
        }
    }
}

/// Returns the name of a part in JSON.
fn part_name(part: DifferentPart) -> &'static str {
    match part {
        DifferentPart::Turn => "turn",
        DifferentPart::Prompt => "prompt",
        DifferentPart::Call(_) => "call",
        DifferentPart::Answer => "answer",
        DifferentPart::Outcome => "outcome",
    }
}

/// Returns what each side has at the first difference.
fn parted(
    difference: FirstDifference,
    comparison: &Comparison,
    a: &ComparedSession,
    b: &ComparedSession,
) -> (Option<String>, Option<String>) {
    let Some(turn) = comparison.turns.get(difference.turn) else { return (None, None) };
    let (a, b) = sides(turn, a, b);
    let of = |of_turn: &dyn Fn(&ComparedTurn) -> String| (a.map(of_turn), b.map(of_turn));
    match difference.part {
        DifferentPart::Turn | DifferentPart::Prompt => of(&|turn| turn.prompt.clone()),
        DifferentPart::Answer => match first_different_line(a, b) {
            Some((one, other)) => (Some(one), Some(other)),
            None => of(&|turn| turn.answer.clone()),
        },
        DifferentPart::Outcome => of(&|turn| turn.outcome_name().to_owned()),
        DifferentPart::Call(nth) => {
            let Some(call) = turn.calls.get(nth) else { return (None, None) };
            let text = |turn: Option<&ComparedTurn>, at: Option<usize>| {
                at.and_then(|at| turn?.calls.get(at)).map(|one| call_text(one, call.state))
            };
            (text(a, call.a), text(b, call.b))
        }
    }
}

fn first_different_line(a: Option<&ComparedTurn>, b: Option<&ComparedTurn>) -> Option<(String, String)> {
    let (mut one, mut other) = (a?.answer.trim().lines(), b?.answer.trim().lines());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((one.unwrap_or_default().to_owned(), other.unwrap_or_default().to_owned())),
        }
    }
}

fn part_text(difference: FirstDifference, comparison: &Comparison, a: &ComparedSession, b: &ComparedSession) -> String {
    let side = |text: Option<String>| match text {
        Some(text) if text.trim().is_empty() => "(nothing)".to_owned(),
        Some(text) => one_line(&text, QUOTE_COLUMNS),
        None => "(none)".to_owned(),
    };
    let (one, other) = parted(difference, comparison, a, b);
    format!("{}\n  - {}\n  + {}", part_name(difference.part), side(one), side(other))
}

fn session_json(session: &ComparedSession) -> Json {
    let (usage, cost, time) = session.totals();
    json!({
        "name": session.name,
        "model": session.model,
        "turns": session.turns.len(),
        "input_tokens": usage.map(|usage| usage.input_tokens),
        "output_tokens": usage.map(|usage| usage.output_tokens),
        "cost": cost,
        "time_ms": time,
    })
}

fn difference_json(
    difference: FirstDifference,
    comparison: &Comparison,
    a: &ComparedSession,
    b: &ComparedSession,
) -> Json {
    let (one, other) = parted(difference, comparison, a, b);
    let call = match difference.part {
        DifferentPart::Call(nth) => Some(nth),
        _ => None,
    };
    json!({ "turn": difference.turn, "part": part_name(difference.part), "call": call, "a": one, "b": other })
}

fn turn_json(turn: &AlignedTurn, a: &ComparedSession, b: &ComparedSession) -> Json {
    let (one, other) = sides(turn, a, b);
    let call = |call: Option<&ComparedCall>| {
        call.map(|call| json!({ "name": call.name, "args": call.args, "outcome": call.outcome.map(CallOutcome::name) }))
    };
    let calls: Vec<Json> = turn
        .calls
        .iter()
        .map(|aligned| {
            let first = aligned.a.and_then(|at| one?.calls.get(at));
            let second = aligned.b.and_then(|at| other?.calls.get(at));
            json!({ "state": aligned.state.name(), "a": call(first), "b": call(second) })
        })
        .collect();
    let answer = |turn: Option<&ComparedTurn>| turn.map_or(String::new(), |turn| turn.answer.trim().to_owned());
    let diff: Vec<Json> =
        text_diff(&answer(one), &answer(other)).into_iter().map(|line| json!([line.tag.sign(), line.text])).collect();
    json!({
        "a": turn.a,
        "b": turn.b,
        "prompt": one.or(other).map(|turn| &turn.prompt),
        "same": turn.differs().is_none(),
        "same_prompt": turn.same_prompt,
        "same_answer": turn.same_answer,
        "same_outcome": turn.same_outcome,
        "calls": calls,
        "answer": diff,
        "figures": [one.map(figures_json), other.map(figures_json)],
    })
}

fn figures_json(turn: &ComparedTurn) -> Json {
    json!({
        "outcome": turn.outcome_name(),
        "calls": turn.calls.len(),
        "first_token_ms": turn.first_token,
        "tokens_per_second": turn.rate,
        "input_tokens": turn.usage.map(|usage| usage.input_tokens),
        "output_tokens": turn.usage.map(|usage| usage.output_tokens),
        "cost": turn.cost,
        "time_ms": turn.duration,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Millis, TurnOutcome, Usage};

    fn session(name: &str, args: &str, answer: &str) -> ComparedSession {
        let call = ComparedCall {
            name: "run".into(),
            args: args.into(),
            outcome: Some(CallOutcome::Ok),
            output: String::new(),
        };
        let turn = ComparedTurn {
            prompt: "list it".into(),
            answer: answer.into(),
            calls: vec![call],
            outcome: Some(TurnOutcome::Completed),
            duration: Millis(1_500),
            first_token: Some(Millis(200)),
            rate: Some(50.0),
            usage: Some(Usage { input_tokens: 100, output_tokens: 40, ..Usage::default() }),
            cost: Some(0.0025),
        };
        ComparedSession { name: name.into(), model: "e/m".into(), turns: vec![turn] }
    }

    #[test]
    fn words_say_where_two_part_and_how() {
        let report = Report::new(vec![session("one", "ls", "a\nb"), session("two", "ls -l", "a\nc")]);
        let expected = "\
A  one  e/m  1 turn · 1.5s · 100 in, 40 out · $0.0025
B  two  e/m  1 turn · 1.5s · 100 in, 40 out · $0.0025

A and B
part at turn 1: call
  - run ls
  + run ls -l

1. list it
   A: 1.5s · first token 200ms · 50 tok/s · 100 in, 40 out · $0.0025 · 1 call
   B: 1.5s · first token 200ms · 50 tok/s · 100 in, 40 out · $0.0025 · 1 call
   - run ls
   + run ls -l
    a
   -b
   +c
";
        assert_eq!(report.to_text(), expected);
        assert!(!report.is_same());
        assert!(Report::new(vec![session("one", "ls", "a"), session("two", "ls", "a")]).is_same());
    }

    #[test]
    fn the_object_has_every_field_of_the_promise() {
        let report = Report::new(vec![session("one", "ls", "a\nb"), session("two", "ls", "a\nc")]);
        let figures = json!({
            "outcome": "completed", "calls": 1, "first_token_ms": 200, "tokens_per_second": 50.0, "input_tokens": 100,
            "output_tokens": 40, "cost": 0.0025, "time_ms": 1500
        });
        let side = json!({ "name": "run", "args": "ls", "outcome": "ok" });
        let totals = |name: &str| {
            json!({
                "name": name, "model": "e/m", "turns": 1, "input_tokens": 100, "output_tokens": 40, "cost": 0.0025,
                "time_ms": 1500
            })
        };
        let expected = json!({
            "sessions": [totals("one"), totals("two")],
            "comparisons": [{
                "a": 0, "b": 1, "same": false,
                "first_difference": { "turn": 0, "part": "answer", "call": null, "a": "b", "b": "c" },
                "turns": [{
                    "a": 0, "b": 0, "prompt": "list it", "same": false, "same_prompt": true, "same_answer": false,
                    "same_outcome": true,
                    "calls": [{ "state": "same", "a": side, "b": side }],
                    "answer": [[" ", "a"], ["-", "b"], ["+", "c"]],
                    "figures": [figures, figures],
                }],
            }],
        });
        assert_eq!(report.to_json(), expected);
    }
}
