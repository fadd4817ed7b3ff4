//! A text that comes in pieces, without its secrets.

use super::byte_class::ByteClass;
use super::scan::{ScanState, SecretScan};
use super::{CONTEXT_BYTES, MAX_HELD_BYTES, SecretMatch, SecretRules};

/// What was passed on is forgotten once there is so much more of it than is looked at.
const MAX_PASSED_BYTES: usize = 1024;

/// The end of a text that comes in pieces: what was passed on, as far as rules look back, and what waits.
#[derive(Clone, Debug, Default)]
pub struct SecretStream {
    pub(super) text: String,
    /// What begins before is decided.
    decided: usize,
    /// What stands before was passed on; behind `decided` where the end was passed on undecided.
    passed: usize,
    state: ScanState,
    /// What waits goes on waiting while these characters follow.
    growing: Option<ByteClass>,
}

impl SecretStream {
    /// Takes the next piece. Returns what can be passed on of the text; none if that is the piece as it is. O(piece), as
    /// long as nothing waits.
    pub fn push(&mut self, rules: &SecretRules, piece: &str, mark: &dyn Fn(&str, &str) -> String) -> Option<String> {
        let before = self.text.len();
        self.text.push_str(piece);
        if let Some(class) = self.growing
            && self.text.len() - self.decided < MAX_HELD_BYTES
            && piece.bytes().all(|byte| class.contains(byte))
        {
            return Some(String::new());
        }
        let SecretScan { matches, open, growing } =
            rules.scan(self.text.as_bytes(), self.decided, false, MAX_HELD_BYTES, &mut self.state);
        self.growing = growing;
        // A single letter says nothing: it is passed on, and a secret that it turns out to begin is not.
        let held = if self.text.len() - open <= 1 { self.text.len() } else { open };
        if matches.is_empty() && self.passed == before && held == self.text.len() {
            (self.decided, self.passed) = (open, held);
            self.forget();
            return None;
        }
        let out = self.pass_on(&matches, held, mark);
        self.decided = open;
        self.forget();
        Some(out)
    }

    /// Whether something waits.
    pub fn is_waiting(&self) -> bool {
        self.passed < self.text.len()
    }

    /// Returns what waits, as if nothing followed. If something does after all, a secret is still found in it.
    pub fn pause(&mut self, rules: &SecretRules, mark: &dyn Fn(&str, &str) -> String) -> String {
        if !self.is_waiting() {
            return String::new();
        }
        self.growing = None;
        let mut state = self.state.clone();
        let scan = rules.scan(self.text.as_bytes(), self.decided, true, MAX_HELD_BYTES, &mut state);
        self.pass_on(&scan.matches, self.text.len(), mark)
    }

    /// Returns the text up to `open` that was not passed on yet, with marks for its secrets.
    fn pass_on(&mut self, matches: &[SecretMatch<'_>], open: usize, mark: &dyn Fn(&str, &str) -> String) -> String {
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let mut out = String::with_capacity(open.saturating_sub(self.passed));
        let mut at = self.passed;
        for found in matches {
            if found.range.end <= at {
                continue;
            }
            out.push_str(part(at, found.range.start));
            if let Some(kind) = found.kind {
                let value = found.range.start..found.range.end.min(found.range.start + MAX_HELD_BYTES);
                out.push_str(&mark(kind, part(value.start, value.end)));
            }
            at = found.range.end;
        }
        out.push_str(part(at, open));
        self.passed = at.max(open);
        out
    }

    /// Forgets what no rule looks back at.
    fn forget(&mut self) {
        let settled = self.decided.min(self.passed);
        if settled > CONTEXT_BYTES + MAX_PASSED_BYTES {
            let start = self.text.floor_char_boundary(settled - CONTEXT_BYTES);
            self.text.drain(..start);
            self.decided -= start;
            self.passed -= start;
        }
    }
}
