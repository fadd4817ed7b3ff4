//! Where secrets stand in a text: keys of known shapes, values that are given to a secret's name, and values that are
//! known.
//!
//! Not for: what becomes of them (`net/redact` marks, `bridge/session/redaction` holds back). Invariant: what is found
//! depends on the text alone and never on how it was cut: [`SecretRules::scan`] leaves open what the next bytes may
//! change, and [`SecretStream`] comes to what one look at the whole text would find, but for the first letter of a
//! secret that came alone.
//!
//! ```text
//!   anchor (a prefix) ───────────────────► run of a class, a block, a token ─┐
//!   `:` and `=` ──► the name before, the value behind ───────────────────────┼─► found, none, or more is needed
//!   40 letters behind an access key's id ────────────────────────────────────┘
//! ```

mod anchors;
mod assignment;
mod block;
mod byte_class;
mod name;
mod partial_text;
mod scan;
mod shape;
mod stand_in;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use self::name::is_secret_name;
pub use self::scan::{ScanState, SecretScan};
pub use self::shape::{CustomShape, ShapeError};
pub use self::stand_in::is_secret;
pub use self::stream::SecretStream;
pub use self::table::{builtin_kinds, shape_examples};

use self::anchors::{Anchors, Rule};
use self::shape::Shape;
use self::table::{Matcher, TABLE};

/// So much of a text waits for what follows; what is longer and goes on like a secret is one.
pub const MAX_HELD_BYTES: usize = 8 * 1024;

/// How far before a place a rule looks: the name that a value is given to.
pub const CONTEXT_BYTES: usize = 96;

/// What to look for.
#[derive(Clone, Default)]
pub struct SecretSettings {
    /// Whether known shapes and names are looked for; otherwise only what is named here.
    pub builtin: bool,
    pub shapes: Vec<CustomShape>,
    /// Names whose values are secrets whatever they look like, such as `license_code`.
    pub names: Vec<String>,
    /// What begins with one of these is no secret.
    pub allowed: Vec<String>,
    /// Secrets by value, each with what to call it.
    pub known: Vec<KnownSecret>,
}

/// A secret that is known by its value.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownSecret {
    pub kind: String,
    pub value: String,
}

impl fmt::Debug for KnownSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSecret").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMatch<'a> {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it is, such as `github-token`; none where it goes on with one that was told before.
    pub kind: Option<&'a str>,
}

/// What is looked for, made once for all texts.
pub struct SecretRules {
    anchors: Anchors,
    has_known: bool,
    builtin: bool,
    names: Vec<String>,
    allowed: Vec<String>,
}

enum RuleMatcher {
    Table(&'static Matcher),
    Shape(Shape),
    Known,
}

impl SecretRules {
    /// Makes rules. O(sum of all anchors).
    pub fn new(settings: &SecretSettings) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        for known in &settings.known {
            for form in escaped_forms(&known.value) {
                rules.push(Rule {
                    kind: Cow::Owned(known.kind.clone()),
                    anchor: form.into_bytes().into(),
                    matcher: RuleMatcher::Known,
                });
            }
        }
        for shape in &settings.shapes {
            rules.push(Rule {
                kind: Cow::Owned(shape.kind.clone()),
                anchor: shape.prefix.clone().into_bytes().into(),
                matcher: RuleMatcher::Shape(shape.shape),
            });
        }
        if settings.builtin {
            rules.extend(TABLE.iter().map(|row| Rule {
                kind: Cow::Borrowed(row.kind),
                anchor: Cow::Borrowed(row.anchor.as_bytes()),
                matcher: RuleMatcher::Table(&row.matcher),
            }));
        }
        Self {
            anchors: Anchors::new(rules),
            has_known: !settings.known.is_empty(),
            builtin: settings.builtin,
            names: settings.names.iter().map(|name| name::flat(name.as_bytes())).collect(),
            allowed: settings.allowed.clone(),
        }
    }

    /// Replaces every secret of a whole text; `mark` is told its kind and its value. None if there is none.
    pub fn replace(&self, text: &str, mark: &dyn Fn(&str, &str) -> String) -> Option<String> {
        let found = self.scan(text.as_bytes(), 0, true, MAX_HELD_BYTES, &mut ScanState::default()).matches;
        if found.is_empty() {
            return None;
        }
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for SecretMatch { range, kind } in found {
            out.push_str(part(at, range.start));
            out.push_str(&mark(
                kind.unwrap_or_default(),
                part(range.start, range.end.min(range.start + MAX_HELD_BYTES)),
            ));
            at = range.end;
        }
        out.push_str(part(at, text.len()));
        Some(out)
    }

    /// Returns the secret of a whole text in the middle of which a place is.
    pub fn match_around(&self, text: &str, at: usize) -> Option<Range<usize>> {
        let start = text.floor_char_boundary(at.saturating_sub(MAX_HELD_BYTES));
        let end = text.ceil_char_boundary(at.saturating_add(MAX_HELD_BYTES).min(text.len()));
        let near = text.get(start..end)?;
        let found = self.scan(near.as_bytes(), 0, true, MAX_HELD_BYTES, &mut ScanState::default()).matches;
        let ranges = found.into_iter().map(|found| found.range.start + start..found.range.end + start);
        ranges.into_iter().find(|range| range.start < at && at < range.end)
    }

    /// Returns what a value is called that stands under a name, if it is a secret as a whole.
    pub fn kind_of_value(&self, name: &str, value: &str) -> Option<&'static str> {
        let strength = self.strength_of(name.as_bytes())?;
        let is_secret = !self.is_allowed(value.as_bytes())
            && value::is_secret_value(value.as_bytes(), strength, value::ValuePlace::Quoted);
        is_secret.then(|| name::kind(name.as_bytes()))
    }

    fn strength_of(&self, name: &[u8]) -> Option<name::NameStrength> {
        if !self.names.is_empty() && self.names.contains(&name::flat(name)) {
            return Some(name::NameStrength::Certain);
        }
        if self.builtin { name::strength(name) } else { None }
    }

    fn is_allowed(&self, value: &[u8]) -> bool {
        self.allowed.iter().any(|allowed| value.starts_with(allowed.as_bytes()))
    }
}

impl fmt::Debug for SecretRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretRules").field("rules", &self.anchors.len()).finish_non_exhaustive()
    }
}

/// Returns a value and what JSON may make of it.
fn escaped_forms(value: &str) -> Vec<String> {
    let json = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut forms = vec![value.to_owned(), value.replace('/', "\\/"), json.replace('/', "\\/"), json];
    forms.sort();
    forms.dedup();
    forms
}
