//! Looks through a text from the left: at every place where a secret may begin, what begins there is decided, or more
//! text is needed.

use super::anchors::Rule;
use super::byte_class::ByteClass;
use super::partial_text::{Finding, PartialText, RunEnd, Verdict, is_boundary};
use super::table::Matcher;
use super::value::{is_made_up, is_mixed};
use super::{RuleMatcher, SecretMatch, SecretRules, assignment, block};

/// How far behind an access key's id its secret is looked for.
const AWS_PAIR_BYTES: usize = 160;
const AWS_SECRET_BYTES: usize = 40;
/// What a secret that is cut off at the end of a text must show behind its prefix.
const MIN_CUT_BYTES: usize = 8;
/// So much of a known secret at the end of a text is none by chance.
const MIN_KNOWN_CUT_BYTES: usize = 6;
/// So much of a known secret inside a word is waited for.
const MIN_INNER_PREFIX_BYTES: usize = 2;

/// What the rest of a text depends on besides its last bytes.
#[derive(Clone, Debug, Default)]
pub struct ScanState {
    /// Behind an access key's id: how many more bytes may hold its secret.
    aws_pair: usize,
    /// A secret that was too long to wait for goes on while these characters follow.
    swallowed: Option<ByteClass>,
}

/// What a text holds of secrets.
#[derive(Debug)]
pub struct SecretScan<'a> {
    /// In order, none in another.
    pub matches: Vec<SecretMatch<'a>>,
    /// From here on nothing is decided before more of the text is known; its length if all is.
    pub open: usize,
    /// What is open stays so while these characters follow.
    pub(super) growing: Option<ByteClass>,
}

impl SecretRules {
    /// Looks through `text` from `from` on; what is before it is only looked at for names and boundaries, and
    /// [`CONTEXT_BYTES`](super::CONTEXT_BYTES) of it are enough. O(text) for texts in which little looks like a secret.
    pub fn scan(
        &self,
        text: &[u8],
        from: usize,
        is_end: bool,
        max_held: usize,
        state: &mut ScanState,
    ) -> SecretScan<'_> {
        let text = PartialText { bytes: text, is_end, max_held };
        let mut scan = Scanner { rules: self, text, at: from, matches: Vec::new(), anchor: None, separator: None };
        scan.swallow(state);
        let pair_end = scan.at + state.aws_pair;
        let (open, growing, pair_end) = scan.run(pair_end, state);
        state.aws_pair = pair_end.saturating_sub(open);
        SecretScan { matches: scan.matches, open, growing }
    }

    /// Returns whether there may be a secret; false is certain. O(text), and cheap.
    pub fn may_match(&self, text: &[u8]) -> bool {
        self.anchors.find(text, 0).is_some()
            || ((self.builtin || !self.names.is_empty())
                && memchr::memchr2_iter(b':', b'=', text).any(|at| assignment::may_match(self, text, at)))
    }
}

struct Scanner<'a, 't> {
    rules: &'a SecretRules,
    text: PartialText<'t>,
    at: usize,
    matches: Vec<SecretMatch<'a>>,
    /// Where the next anchor is.
    anchor: Option<usize>,
    separator: Option<usize>,
}

impl<'a> Scanner<'a, '_> {
    /// Goes on with a secret that was too long to wait for.
    fn swallow(&mut self, state: &mut ScanState) {
        let Some(class) = state.swallowed else { return };
        let end = class.run_end(self.text.bytes, self.at, usize::MAX);
        if end > self.at {
            self.matches.push(SecretMatch { range: self.at..end, kind: None });
        }
        if end < self.text.bytes.len() || self.text.is_end {
            state.swallowed = None;
        }
        self.at = end;
    }

    /// Returns where the text is open, what keeps it open, and where the place of a pair ends.
    fn run(&mut self, mut pair_end: usize, state: &mut ScanState) -> (usize, Option<ByteClass>, usize) {
        let length = self.text.bytes.len();
        let mut pair_at = self.at;
        while self.at < length && state.swallowed.is_none() {
            self.find_next();
            let pair = if pair_at < pair_end { self.pair_secret(pair_at, pair_end) } else { None };
            let anchor = self.anchor.unwrap_or(length);
            let separator = self.separator.unwrap_or(length);
            let place = anchor.min(separator);
            let (place, verdict, kind) = match pair {
                Some((start, verdict)) if start <= place => (start, verdict, "aws-secret-key"),
                _ if place == length => break,
                _ if separator < anchor => (separator, assignment::judge(self.rules, self.text, separator), "secret"),
                _ => {
                    let (verdict, kind) = self.judge_anchor();
                    (anchor, verdict, kind)
                }
            };
            match verdict {
                Verdict::No => {
                    self.at = place + 1;
                    pair_at = pair_at.max(self.at);
                }
                Verdict::More(growing) => return (place, growing, pair_end),
                Verdict::Found(found) => {
                    let kind = found.kind.unwrap_or(kind);
                    let allowed = self.rules.is_allowed(self.text.slice(found.start, found.end));
                    let end = found.end.max(place + 1);
                    if !allowed {
                        self.matches.push(SecretMatch { range: found.start..found.end, kind: Some(kind) });
                    }
                    if kind == "aws-access-key-id" {
                        pair_end = end + AWS_PAIR_BYTES;
                    }
                    if found.rest.is_some() && end >= length && !self.text.is_end && !allowed {
                        state.swallowed = found.rest;
                    }
                    (self.at, pair_at) = (end, end);
                }
            }
        }
        if self.text.is_end {
            self.cut_known();
            return (length, None, pair_end);
        }
        (self.open_prefix(), None, pair_end)
    }

    /// Finds the next anchor and the next separator, as far as they are not known.
    fn find_next(&mut self) {
        let bytes = self.text.bytes;
        if self.anchor.is_none_or(|at| at < self.at && at < bytes.len()) {
            self.anchor = Some(self.rules.anchors.find(bytes, self.at).unwrap_or(bytes.len()));
        }
        if self.separator.is_none_or(|at| at < self.at && at < bytes.len()) {
            let has_names = self.rules.builtin || !self.rules.names.is_empty();
            let rest = if has_names { bytes.get(self.at..).unwrap_or_default() } else { &[] };
            let found = memchr::memchr2_iter(b':', b'=', rest)
                .map(|at| self.at + at)
                .find(|at| assignment::may_match(self.rules, bytes, *at));
            self.separator = Some(found.unwrap_or(bytes.len()));
        }
    }

    /// Decides about the anchor that comes next.
    fn judge_anchor(&self) -> (Verdict, &'a str) {
        let Some(at) = self.anchor else { return (Verdict::No, "") };
        let is_boundary = is_boundary(self.text.bytes, at);
        for rule in self.rules.anchors.starting_at(self.text.bytes, at) {
            let after = at + rule.anchor.len();
            let verdict = match &rule.matcher {
                // It may be the beginning of a longer one.
                RuleMatcher::Known if !self.text.is_end && self.is_open_prefix(at, is_boundary) => Verdict::More(None),
                RuleMatcher::Known => Finding::at(at, after),
                _ if !is_boundary => Verdict::No,
                RuleMatcher::Shape(shape) | RuleMatcher::Table(Matcher::Run(shape)) => {
                    judge_run(self.text, at, after, shape)
                }
                RuleMatcher::Table(Matcher::PrivateKey) => block::judge_private_key(self.text, at, after),
                RuleMatcher::Table(Matcher::Jwt) => block::judge_jwt(self.text, at),
                RuleMatcher::Table(Matcher::DiscordToken) => block::judge_discord_token(self.text, at),
                RuleMatcher::Table(Matcher::Bearer) => block::judge_bearer(self.text, at, after),
                RuleMatcher::Table(Matcher::Flag) => assignment::judge_flag(self.text, at, after),
            };
            if verdict != Verdict::No {
                return (verdict, &rule.kind);
            }
        }
        // A longer anchor may begin here, of which this one is only the start.
        if !self.text.is_end && self.is_open_prefix(at, is_boundary) {
            return (Verdict::More(None), "");
        }
        (Verdict::No, "")
    }

    /// Looks for the secret of an access key behind its id.
    fn pair_secret(&self, from: usize, to: usize) -> Option<(usize, Verdict)> {
        const CLASS: ByteClass = ByteClass::of("A-Za-z0-9/+");
        let bytes = self.text.bytes;
        let mut at = from;
        while at < to.min(bytes.len()) {
            if !CLASS.contains(bytes[at]) || (at > 0 && CLASS.contains(bytes[at - 1])) {
                at += 1;
                continue;
            }
            let end = CLASS.run_end(bytes, at, at + AWS_SECRET_BYTES + 1);
            if end == bytes.len() && !self.text.is_end && end - at <= AWS_SECRET_BYTES {
                return Some((at, Verdict::More(None)));
            }
            let token = self.text.slice(at, end);
            let has = |is: fn(&u8) -> bool| token.iter().any(is);
            if token.len() == AWS_SECRET_BYTES
                && has(u8::is_ascii_uppercase)
                && has(u8::is_ascii_lowercase)
                && is_made_up(token)
            {
                return Some((at, Finding::at(at, end)));
            }
            at = end.max(at + 1);
        }
        None
    }

    /// Returns where an end of the text begins that an anchor may begin with; its length if there is none.
    fn open_prefix(&self) -> usize {
        let bytes = self.text.bytes;
        let from = self.at.max(bytes.len().saturating_sub(self.rules.anchors.longest().saturating_sub(1)));
        (from..bytes.len()).find(|at| self.is_open_prefix(*at, is_boundary(bytes, *at))).unwrap_or(bytes.len())
    }

    /// Returns whether an anchor begins with all that follows `at`, and is longer.
    fn is_open_prefix(&self, at: usize, is_boundary: bool) -> bool {
        let end = self.text.slice(at, self.text.bytes.len());
        if end.len() >= self.rules.anchors.longest() || !(is_boundary || self.rules.has_known) {
            return false;
        }
        if !is_boundary && end.len() < MIN_INNER_PREFIX_BYTES {
            return false;
        }
        let mut longer = self.rules.anchors.beginning_with(end);
        if is_boundary { longer.next().is_some() } else { longer.any(Rule::is_known) }
    }

    /// Blanks out the start of a known secret with which the text ends.
    fn cut_known(&mut self) {
        if !self.rules.has_known {
            return;
        }
        let bytes = self.text.bytes;
        let from = self.at.max(bytes.len().saturating_sub(self.rules.anchors.longest().saturating_sub(1)));
        for at in from..bytes.len().saturating_sub(MIN_KNOWN_CUT_BYTES - 1) {
            let end = self.text.slice(at, bytes.len());
            if let Some(rule) = self.rules.anchors.beginning_with(end).find(|rule| rule.is_known()) {
                self.matches.push(SecretMatch { range: at..bytes.len(), kind: Some(&rule.kind) });
                return;
            }
        }
    }
}

/// Decides about a prefix and the run behind it.
fn judge_run(text: PartialText<'_>, at: usize, after: usize, shape: &super::shape::Shape) -> Verdict {
    let (end, run_end) = text.run(at, after, shape.class);
    // The end of a sentence.
    let dots = text.slice(after, end).iter().rev().take_while(|byte| **byte == b'.').count();
    match run_end {
        RunEnd::Open if end - after - dots > shape.max => Verdict::No,
        RunEnd::Open => Verdict::More(Some(shape.class)),
        RunEnd::Capped if shape.max == usize::MAX => {
            Verdict::Found(Finding { start: at, end, kind: None, rest: Some(shape.class) })
        }
        RunEnd::Capped => Verdict::No,
        RunEnd::Closed => {
            let is_cut = text.is_cut_at(end);
            let end = end - dots;
            let body = text.slice(after, end);
            let is_long = body.len() >= shape.min && body.len() <= shape.max;
            let is_start = is_cut && body.len() >= MIN_CUT_BYTES && body.len() < shape.min && is_mixed(body);
            let is_mixture = !shape.needs_mixture || is_mixed(body);
            if (is_start || (is_long && is_mixture)) && is_made_up(body) { Finding::at(at, end) } else { Verdict::No }
        }
    }
}
