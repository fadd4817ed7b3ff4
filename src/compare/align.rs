//! Which turn belongs to which, and which call.
//!
//! Turns with the same prompt belong together, as many as possible in order; between them the others pair up one by one.
//! Calls likewise, first by name and arguments, then by name.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::fold::{ComparedCall, ComparedSession, ComparedTurn};

/// Two sessions, aligned.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub turns: Vec<AlignedTurn>,
    /// Where they part; none where they say and do the same.
    pub first_difference: Option<FirstDifference>,
}

/// Turns that belong together, by their indexes; one alone has no other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlignedTurn {
    pub a: Option<usize>,
    pub b: Option<usize>,
    pub same_prompt: bool,
    pub same_answer: bool,
    pub same_outcome: bool,
    pub calls: Vec<AlignedCall>,
}

/// Calls that belong together, by their indexes in their turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignedCall {
    pub a: Option<usize>,
    pub b: Option<usize>,
    pub state: CallState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    Same,
    /// The same tool with other arguments.
    OtherArgs,
    /// The same call with another outcome.
    OtherOutcome,
    /// The same call with another output.
    OtherOutput,
    OnlyA,
    OnlyB,
}

impl CallState {
    /// Returns its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::OtherArgs => "args",
            Self::OtherOutcome => "outcome",
            Self::OtherOutput => "output",
            Self::OnlyA => "only_a",
            Self::OnlyB => "only_b",
        }
    }
}

/// The first place where two sessions part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// Index among the aligned turns.
    pub turn: usize,
    pub part: DifferentPart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferentPart {
    /// One of them has no such turn.
    Turn,
    Prompt,
    /// Index among the aligned calls.
    Call(usize),
    Answer,
    Outcome,
}

impl Comparison {
    /// Aligns two sessions. O(n·d) in turns, and in the calls of each turn.
    pub fn of(a: &ComparedSession, b: &ComparedSession) -> Self {
        let prompts = |session: &ComparedSession| -> Vec<String> {
            session.turns.iter().map(|turn| turn.prompt.trim().to_owned()).collect()
        };
        let pairs = align(&prompts(a), &prompts(b), |_, _| true);
        let turns: Vec<AlignedTurn> = pairs
            .into_iter()
            .map(|(at_a, at_b)| {
                AlignedTurn::of(
                    at_a.and_then(|at| a.turns.get(at)).zip(at_b.and_then(|at| b.turns.get(at))),
                    at_a,
                    at_b,
                )
            })
            .collect();
        let first_difference = turns
            .iter()
            .enumerate()
            .find_map(|(turn, aligned)| Some(FirstDifference { turn, part: aligned.differs()? }));
        Self { turns, first_difference }
    }
}

impl AlignedTurn {
    fn of(both: Option<(&ComparedTurn, &ComparedTurn)>, a: Option<usize>, b: Option<usize>) -> Self {
        let Some((one, other)) = both else {
            return Self { a, b, same_prompt: false, same_answer: false, same_outcome: false, calls: Vec::new() };
        };
        Self {
            a,
            b,
            same_prompt: one.prompt.trim() == other.prompt.trim(),
            same_answer: one.answer.trim() == other.answer.trim(),
            same_outcome: one.outcome_name() == other.outcome_name(),
            calls: align_calls(&one.calls, &other.calls),
        }
    }

    /// Returns in which part the two differ first.
    pub fn differs(&self) -> Option<DifferentPart> {
        if self.a.is_none() || self.b.is_none() {
            return Some(DifferentPart::Turn);
        }
        if !self.same_prompt {
            return Some(DifferentPart::Prompt);
        }
        if let Some(call) = self.calls.iter().position(|call| call.state != CallState::Same) {
            return Some(DifferentPart::Call(call));
        }
        match (self.same_answer, self.same_outcome) {
            (false, _) => Some(DifferentPart::Answer),
            (true, false) => Some(DifferentPart::Outcome),
            (true, true) => None,
        }
    }
}

fn align_calls(a: &[ComparedCall], b: &[ComparedCall]) -> Vec<AlignedCall> {
    let keys = |calls: &[ComparedCall]| -> Vec<(String, String)> {
        calls.iter().map(|call| (call.name.clone(), call.args.clone())).collect()
    };
    let same_name = |at_a: usize, at_b: usize| a[at_a].name == b[at_b].name;
    let pairs = align(&keys(a), &keys(b), same_name);
    pairs
        .into_iter()
        .map(|(at_a, at_b)| {
            let state = match (at_a.and_then(|at| a.get(at)), at_b.and_then(|at| b.get(at))) {
                (Some(one), Some(other)) if one.args != other.args => CallState::OtherArgs,
                (Some(one), Some(other)) if one.outcome != other.outcome => CallState::OtherOutcome,
                (Some(one), Some(other)) if one.output != other.output => CallState::OtherOutput,
                (Some(_), Some(_)) => CallState::Same,
                (Some(_), None) => CallState::OnlyA,
                (None, _) => CallState::OnlyB,
            };
            AlignedCall { a: at_a, b: at_b, state }
        })
        .collect()
}

/// Pairs the indexes of two sequences, in their orders. What is equal is paired; of what stands between, the n-th of one
/// with the n-th of the other if they `may_pair`.
fn align<K: Eq + std::hash::Hash + Ord>(
    a: &[K],
    b: &[K],
    may_pair: impl Fn(usize, usize) -> bool,
) -> Vec<(Option<usize>, Option<usize>)> {
    let mut pairs = Vec::with_capacity(a.len().max(b.len()));
    for op in capture_diff_slices(Algorithm::Myers, a, b) {
        match op {
            DiffOp::Equal { old_index, new_index, len } => {
                pairs.extend((0..len).map(|nth| (Some(old_index + nth), Some(new_index + nth))));
            }
            DiffOp::Delete { old_index, old_len, .. } => {
                pairs.extend((old_index..old_index + old_len).map(|at| (Some(at), None)));
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                pairs.extend((new_index..new_index + new_len).map(|at| (None, Some(at))));
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                let both = old_len.min(new_len);
                for nth in 0..both {
                    let (one, other) = (old_index + nth, new_index + nth);
                    if may_pair(one, other) {
                        pairs.push((Some(one), Some(other)));
                    } else {
                        pairs.extend([(Some(one), None), (None, Some(other))]);
                    }
                }
                pairs.extend((old_index + both..old_index + old_len).map(|at| (Some(at), None)));
                pairs.extend((new_index + both..new_index + new_len).map(|at| (None, Some(at))));
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CallOutcome, TurnOutcome};

    fn call(text: &str) -> ComparedCall {
        let (name, args) = text.split_once(' ').unwrap_or((text, ""));
        let (args, output) = args.split_once('>').unwrap_or((args, ""));
        ComparedCall { name: name.into(), args: args.into(), outcome: Some(CallOutcome::Ok), output: output.into() }
    }

    fn turn(prompt: &str, calls: &[&str], answer: &str) -> ComparedTurn {
        ComparedTurn {
            prompt: prompt.into(),
            answer: answer.into(),
            calls: calls.iter().map(|text| call(text)).collect(),
            outcome: Some(TurnOutcome::Completed),
            ..ComparedTurn::default()
        }
    }

    fn session(turns: &[ComparedTurn]) -> ComparedSession {
        ComparedSession { turns: turns.to_vec(), ..ComparedSession::default() }
    }

    fn pairs(a: &str, b: &str) -> String {
        let turns = |text: &str| session(&text.chars().map(|c| turn(&c.to_string(), &[], "")).collect::<Vec<_>>());
        let side = |at: Option<usize>| at.map_or("-".to_owned(), |at| at.to_string());
        let compared = Comparison::of(&turns(a), &turns(b));
        compared.turns.iter().flat_map(|turn| [side(turn.a), side(turn.b), " ".to_owned()]).collect()
    }

    #[test]
    fn turns_are_aligned_by_their_prompts() {
        let cases = [
            ("abc", "abc", "00 11 22 "),
            ("abc", "abxc", "00 11 -2 23 "),
            ("abc", "ac", "00 1- 21 "),
            ("abc", "axc", "00 11 22 "),
            ("abc", "axyc", "00 11 -2 23 "),
            ("a", "", "0- "),
            ("", "a", "-0 "),
            ("", "", ""),
        ];
        for (a, b, expected) in cases {
            assert_eq!(pairs(a, b), expected, "{a} and {b}");
        }
    }

    #[test]
    fn calls_are_aligned_by_name_and_arguments_then_by_name() {
        use CallState::{OnlyA, OnlyB, OtherArgs, OtherOutput, Same};
        let cases: &[(&[&str], &[&str], &[CallState])] = &[
            (&["read a", "run x"], &["read a", "run x"], &[Same, Same]),
            (&["read a", "run x"], &["read a", "run y"], &[Same, OtherArgs]),
            (&["read a", "run x"], &["read a", "list x"], &[Same, OnlyA, OnlyB]),
            (&["read a"], &["read a", "run x"], &[Same, OnlyB]),
            (&["run x>1"], &["run x>2"], &[OtherOutput]),
            (&["run x"], &[], &[OnlyA]),
        ];
        for (a, b, expected) in cases {
            let compared = Comparison::of(&session(&[turn("p", a, "")]), &session(&[turn("p", b, "")]));
            let states: Vec<_> = compared.turns[0].calls.iter().map(|call| call.state).collect();
            assert_eq!(states, *expected, "{a:?} and {b:?}");
        }
    }

    #[test]
    fn the_first_difference_is_the_earliest_that_a_reader_meets() {
        let base = turn("p", &["read a"], "yes");
        let of = |other: ComparedTurn| {
            Comparison::of(&session(&[base.clone(), base.clone()]), &session(&[base.clone(), other])).first_difference
        };
        let at = |part| Some(FirstDifference { turn: 1, part });
        assert_eq!(of(base.clone()), None);
        assert_eq!(of(turn("q", &["run x"], "no")), at(DifferentPart::Prompt));
        assert_eq!(of(turn("p", &["read b"], "no")), at(DifferentPart::Call(0)));
        assert_eq!(of(turn("p", &["read a"], "no")), at(DifferentPart::Answer));
        assert_eq!(of(ComparedTurn { outcome: None, ..base.clone() }), at(DifferentPart::Outcome));
        let shorter = Comparison::of(&session(std::slice::from_ref(&base)), &session(&[base.clone(), base.clone()]));
        assert_eq!(shorter.first_difference, at(DifferentPart::Turn));
    }
}
