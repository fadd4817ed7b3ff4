//! PURE. Finds secrets in what comes in pieces: whole ones, and the beginning of one that the next piece may go on with.

use std::ops::Range;

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::mark::secret_mark;
use super::{MIN_PARTIAL_SECRET_BYTES, REDACTION_MARK};
use crate::text::secrets::{MAX_HELD_BYTES, ScanState, SecretRules};

/// What a text holds of secrets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SecretMatches {
    /// Whole secrets, in order, none in another.
    pub(super) whole: Vec<Range<usize>>,
    /// Where the longest end of the text begins that a secret may begin with; its length if there is none.
    pub(super) partial_start: usize,
}

/// What finds the secrets of one answer.
#[derive(Default)]
pub(super) struct SecretFinder {
    /// Those that are known, the longest first.
    pub(super) secrets: Vec<SecretString>,
    /// What else is a secret.
    pub(super) rules: Option<Arc<SecretRules>>,
}

/// What a text holds of secrets, each with what stands for it.
pub(super) struct MarkedSecrets {
    /// None in another.
    pub(super) whole: Vec<(Range<usize>, String)>,
    /// Where what is undecided begins; the length of the text if nothing is.
    pub(super) open: usize,
}

impl SecretFinder {
    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.rules.is_none()
    }

    /// Looks through a text from `decided` on. Where nothing follows, a secret that is cut off is one.
    pub(super) fn find(&self, text: &[u8], decided: usize, is_end: bool, max_held: usize) -> MarkedSecrets {
        let rest = text.get(decided..).unwrap_or_default();
        let known = find_secrets(rest, &self.secrets);
        let mut open = if is_end { text.len() } else { decided + known.partial_start };
        let cut = decided + known.partial_start..text.len();
        let is_cut = is_end && cut.len() >= MIN_PARTIAL_SECRET_BYTES;
        let known = known.whole.into_iter().map(|range| decided + range.start..decided + range.end);
        let mut whole: Vec<(Range<usize>, String)> =
            known.chain(is_cut.then_some(cut)).map(|range| (range, REDACTION_MARK.to_owned())).collect();
        if let Some(rules) = &self.rules {
            let scan = rules.scan(text, decided, is_end, max_held, &mut ScanState::default());
            open = open.min(scan.open);
            for found in scan.matches {
                let range = found.range;
                if whole.iter().any(|(other, _)| range.start < other.end && other.start < range.end) {
                    continue;
                }
                let value = text.get(range.start..range.end.min(range.start + MAX_HELD_BYTES));
                let value = String::from_utf8_lossy(value.unwrap_or_default());
                whole.push((range, secret_mark(found.kind.unwrap_or_default(), &value)));
            }
        }
        // What a known secret holds open may hold others back.
        whole.retain(|(range, _)| range.start < open || range.end <= open);
        MarkedSecrets { whole, open }
    }
}

/// Looks through a text. `secrets` has the longest first. O(text), as long as little of it looks like a secret.
pub(super) fn find_secrets(text: &[u8], secrets: &[SecretString]) -> SecretMatches {
    let mut whole: Vec<Range<usize>> = Vec::new();
    for secret in secrets {
        let secret = secret.expose_secret().as_bytes();
        if text.len() < secret.len() {
            continue;
        }
        for at in memchr::memmem::find_iter(text, secret) {
            let range = at..at + secret.len();
            if whole.iter().all(|known| range.end <= known.start || known.end <= range.start) {
                whole.push(range);
            }
        }
    }
    whole.sort_by_key(|range| range.start);
    let settled = whole.last().map_or(0, |range| range.end);
    SecretMatches { partial_start: open_end(text, secrets, settled), whole }
}

/// Returns where the longest end of the text begins that a secret may begin with, behind `settled`; its length if there
/// is none.
pub(super) fn open_end(text: &[u8], secrets: &[SecretString], settled: usize) -> usize {
    let mut open = text.len();
    for secret in secrets {
        let secret = secret.expose_secret().as_bytes();
        let Some(first) = secret.first() else { continue };
        let from = settled.max(text.len().saturating_sub(secret.len() - 1));
        let mut starts = memchr::memchr_iter(*first, text.get(from..).unwrap_or_default());
        if let Some(start) = starts.find(|start| secret.starts_with(text.get(from + start..).unwrap_or_default())) {
            open = open.min(from + start);
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (Vec<&str>, &str) {
        let secrets = ["sk-abcabd".to_owned().into(), "abcabd".to_owned().into()];
        let found = find_secrets(text.as_bytes(), &secrets);
        (found.whole.into_iter().map(|range| &text[range]).collect(), &text[found.partial_start..])
    }

    #[test]
    fn whole_secrets_and_an_open_end_are_found() {
        assert_eq!(found("no key here"), (vec![], ""));
        assert_eq!(found("a sk-abcabd b abcabd c"), (vec!["sk-abcabd", "abcabd"], ""));
        assert_eq!(found("a sk-abc"), (vec![], "sk-abc"));
        assert_eq!(found("as"), (vec![], "s"));
        assert_eq!(found("abcabc"), (vec![], "abc"), "it may begin in what did not go on");
        assert_eq!(found("sk-abcabdab"), (vec!["sk-abcabd"], "ab"));
    }
}
