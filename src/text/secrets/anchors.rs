//! The rules by how they begin: where in a text one does, and which.
//!
//! Made at the start of every program, so it is two small tables over a sorted list and no automaton, which takes longer
//! to make than most sessions have text to look through.

use std::borrow::Cow;

use super::RuleMatcher;

/// The bits of [`Anchors::pairs`].
const PAIR_BITS: usize = 64 * 64;

pub(super) struct Rule {
    pub(super) kind: Cow<'static, str>,
    pub(super) anchor: Cow<'static, [u8]>,
    pub(super) matcher: RuleMatcher,
}

impl Rule {
    pub(super) fn is_known(&self) -> bool {
        matches!(self.matcher, RuleMatcher::Known)
    }
}

pub(super) struct Anchors {
    /// By anchor; of equal ones that which counts last.
    rules: Vec<Rule>,
    /// For each byte where in `rules` those are that begin with it, and behind them the end.
    by_first_byte: [u16; 257],
    /// With which two bytes an anchor may begin: a set bit says perhaps, one that is not says no.
    pairs: [u64; PAIR_BITS / 64],
    longest: usize,
}

impl Anchors {
    /// Takes rules, of equal anchors that first which counts.
    pub(super) fn new(mut rules: Vec<Rule>) -> Self {
        rules.retain(|rule| !rule.anchor.is_empty());
        rules.reverse();
        rules.sort_by(|one, other| one.anchor.cmp(&other.anchor));
        let mut by_first_byte = [0; 257];
        let mut pairs = [0; PAIR_BITS / 64];
        let mut set = |first: u8, second: u8| pairs[pair(first, second) / 64] |= 1 << (pair(first, second) % 64);
        for rule in &rules {
            by_first_byte[usize::from(rule.anchor[0]) + 1] += 1;
            match *rule.anchor {
                [first] => (0..=63).for_each(|second| set(first, second)),
                [first, second, ..] => set(first, second),
                [] => {}
            }
        }
        let mut sum = 0;
        for end in &mut by_first_byte {
            sum += *end;
            *end = sum;
        }
        let longest = rules.iter().map(|rule| rule.anchor.len()).max().unwrap_or_default();
        Self { rules, by_first_byte, pairs, longest }
    }

    /// Returns the length of the longest anchor.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Returns the first place from `from` on where a rule begins. O(text).
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        let may_begin = |two: &[u8]| {
            let place = pair(two[0], two[1]);
            self.pairs[place / 64] & (1 << (place % 64)) != 0
        };
        let mut at = from;
        for two in rest.windows(2) {
            if may_begin(two) && self.starting_at(text, at).next().is_some() {
                return Some(at);
            }
            at += 1;
        }
        // The last byte.
        (at < text.len() && self.starting_at(text, at).next().is_some()).then_some(at)
    }

    /// Returns the rules that begin at a place, those with the longest anchor first.
    pub(super) fn starting_at(&self, text: &[u8], at: usize) -> impl Iterator<Item = &Rule> {
        let rest = text.get(at..).unwrap_or_default();
        self.with_first_byte(rest).iter().rev().filter(move |rule| rest.starts_with(&rule.anchor))
    }

    /// Returns the rules whose anchor begins with all of `start`, and is longer.
    pub(super) fn beginning_with(&self, start: &[u8]) -> impl Iterator<Item = &Rule> {
        let rules = self.with_first_byte(start);
        let first = rules.partition_point(|rule| *rule.anchor <= *start);
        rules[first..].iter().take_while(move |rule| rule.anchor.starts_with(start))
    }

    fn with_first_byte(&self, text: &[u8]) -> &[Rule] {
        let Some(first) = text.first() else { return &[] };
        let end = |byte: usize| usize::from(self.by_first_byte[byte]);
        &self.rules[end(usize::from(*first))..end(usize::from(*first) + 1)]
    }
}

/// Returns the bit of two bytes; letters and digits have each their own.
fn pair(first: u8, second: u8) -> usize {
    usize::from(first & 63) << 6 | usize::from(second & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors(all: &[&'static str]) -> Anchors {
        let rule = |anchor: &&'static str| Rule {
            kind: Cow::Borrowed(*anchor),
            anchor: Cow::Borrowed(anchor.as_bytes()),
            matcher: RuleMatcher::Known,
        };
        Anchors::new(all.iter().map(rule).collect())
    }

    #[test]
    fn the_first_place_is_found_with_all_that_begins_there_the_longest_first() {
        let anchors = anchors(&["sk-", "sk-ant-", "gh", "s", "\u{e9}x"]);
        let at = |text: &str, from: usize| anchors.find(text.as_bytes(), from);
        assert_eq!(
            (at("a gh sk-ant-", 0), at("a gh sk-ant-", 3), at("gh", 0), at("gh", 1)),
            (Some(2), Some(5), Some(0), None)
        );
        assert_eq!(
            (at("is", 0), at("\u{e8}x \u{e9}x", 0), at("", 0), at("sk", 2), at("k", 9)),
            (Some(1), Some(4), None, None, None)
        );
        let kinds: Vec<_> = anchors.starting_at(b"sk-ant-1", 0).map(|rule| rule.kind.as_ref()).collect();
        assert_eq!(kinds, ["sk-ant-", "sk-", "s"]);
        assert_eq!(anchors.starting_at(b"x", 1).count(), 0);
    }

    #[test]
    fn the_first_of_equal_anchors_counts() {
        let mut rules = Vec::new();
        for kind in ["one", "two"] {
            rules.push(Rule { kind: kind.into(), anchor: Cow::Borrowed(b"ab"), matcher: RuleMatcher::Known });
        }
        assert_eq!(Anchors::new(rules).starting_at(b"abc", 0).next().unwrap().kind, "one");
    }

    #[test]
    fn only_longer_anchors_begin_with_a_start() {
        let anchors = anchors(&["sk-", "sk-ant-", "sl"]);
        let kinds = |start: &str| {
            anchors.beginning_with(start.as_bytes()).map(|rule| rule.kind.as_ref().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kinds("s"), ["sk-", "sk-ant-", "sl"]);
        assert_eq!(kinds("sk-"), ["sk-ant-"]);
        assert_eq!((kinds("sk-b"), kinds("")), (vec![], vec![]));
    }
}
