//! PURE. Where two requests part, and how far they are from each other.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::line::RecordedRequest;
use crate::event::Json;
use crate::text::one_line;

/// Cells of a value that are shown.
const SHOWN_CELLS: usize = 60;
/// Letters that are shown before the first that differs.
const SHOWN_BEFORE: usize = 16;
/// How a mark begins that stands for a secret.
const MARK_START: &str = "[redacted:";

/// The first difference, and how much differs in all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    field: String,
    recorded: String,
    asked: String,
    /// Values that differ.
    count: usize,
    /// Values that are the same.
    same: usize,
    is_elsewhere: bool,
}

/// Returns whether one answer will do for both.
pub(super) fn is_same(recorded: &RecordedRequest, asked: &RecordedRequest) -> bool {
    recorded.method == asked.method && recorded.url == asked.url && is_same_json(&recorded.body, &asked.body)
}

impl Difference {
    pub(super) fn between(recorded: &RecordedRequest, asked: &RecordedRequest) -> Self {
        let mut found = Self::default();
        for (field, there, here) in
            [("the method", &recorded.method, &asked.method), ("the URL", &recorded.url, &asked.url)]
        {
            if there != here {
                found.is_elsewhere = true;
                found.add(field, || (shown_text(there, 0), shown_text(here, 0)));
            }
        }
        found.walk(&mut String::new(), &recorded.body, &asked.body);
        found
    }

    /// The smaller, the nearer: another address is farther than any body.
    pub(super) fn distance(&self) -> (bool, usize) {
        let all = (self.count + self.same).max(1);
        (self.is_elsewhere, self.count * 1_000_000 / all)
    }

    fn add(&mut self, field: &str, values: impl FnOnce() -> (String, String)) {
        self.count += 1;
        if self.count == 1 {
            field.clone_into(&mut self.field);
            (self.recorded, self.asked) = values();
        }
    }

    fn walk(&mut self, path: &mut String, recorded: &Json, asked: &Json) {
        match (recorded, asked) {
            (Json::Object(there), Json::Object(here)) => {
                let added = here.iter().filter(|(name, _)| !there.contains_key(*name));
                for (name, _) in there.iter().chain(added) {
                    let length = path.len();
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(name);
                    match (there.get(name), here.get(name)) {
                        (Some(there), Some(here)) => self.walk(path, there, here),
                        (there, here) => self.add(path, || (shown_or_absent(there), shown_or_absent(here))),
                    }
                    path.truncate(length);
                }
            }
            (Json::Array(there), Json::Array(here)) => {
                let length = path.len();
                for (index, (there, here)) in there.iter().zip(here).enumerate() {
                    let _ = write!(path, "[{index}]");
                    self.walk(path, there, here);
                    path.truncate(length);
                }
                if there.len() != here.len() {
                    self.add(path, || (items(there.len()), items(here.len())));
                    self.count += there.len().abs_diff(here.len()) - 1;
                }
            }
            (Json::String(there), Json::String(here)) => {
                if is_same_text(there, here) {
                    self.same += 1;
                } else {
                    let common = there.chars().zip(here.chars()).take_while(|(one, other)| one == other).count();
                    let from = common.saturating_sub(SHOWN_BEFORE);
                    let field = if path.is_empty() { "the body" } else { path.as_str() };
                    let field = if from > 0 { format!("{field} from character {common}") } else { field.to_owned() };
                    self.add(&field, || (shown_text(there, from), shown_text(here, from)));
                }
            }
            (there, here) if there == here => self.same += 1,
            (there, here) => {
                let field = if path.is_empty() { "the body" } else { path.as_str() };
                let field = field.to_owned();
                self.add(&field, || (shown_or_absent(Some(there)), shown_or_absent(Some(here))));
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, recorded, asked, count, .. } = self;
        write!(f, "{field} is {recorded}, and here {asked}")?;
        match count {
            0 | 1 => Ok(()),
            2 => f.write_str(" (and one more value differs)"),
            _ => write!(f, " (and {} more values differ)", count - 1),
        }
    }
}

fn items(count: usize) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

fn shown_or_absent(json: Option<&Json>) -> String {
    match json {
        None => "absent".to_owned(),
        Some(Json::String(text)) => shown_text(text, 0),
        Some(json) => one_line(&json.to_string(), SHOWN_CELLS),
    }
}

/// Shows a text from one of its characters on.
fn shown_text(text: &str, from: usize) -> String {
    let rest: String = text.chars().skip(from).take(SHOWN_CELLS * 2).collect();
    format!("{}{:?}", if from > 0 { "…" } else { "" }, one_line(&rest, SHOWN_CELLS))
}

fn is_same_json(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_same_json(value, other)))
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same_json(one, other))
        }
        (Json::String(one), Json::String(other)) => is_same_text(one, other),
        (one, other) => one == other,
    }
}

/// Marks of secrets end in a code that is of one machine alone.
fn is_same_text(one: &str, other: &str) -> bool {
    one == other || one.contains(MARK_START) && without_codes(one) == without_codes(other)
}

fn without_codes(text: &str) -> Cow<'_, str> {
    if !text.contains(MARK_START) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split(MARK_START).enumerate() {
        let mark = part.find(']').filter(|_| index > 0);
        let code = mark.and_then(|end| part.get(..end)?.rfind(':').map(|colon| (colon, end)));
        if index > 0 {
            out.push_str(MARK_START);
        }
        match code {
            Some((colon, end)) => {
                out.push_str(part.get(..colon).unwrap_or_default());
                out.push_str(part.get(end..).unwrap_or_default());
            }
            None => out.push_str(part),
        }
    }
    Cow::Owned(out)
}
