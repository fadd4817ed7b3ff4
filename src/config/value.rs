//! PURE. Setting values from a file, a variable or a flag, and TOML text as a list of such values with their lines.
//!
//! Knows TOML, but no settings: the caller says where tables end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum SettingValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    List(Vec<SettingValue>),
    Table(BTreeMap<String, SettingValue>),
    /// Dates and numbers out of range, which no setting accepts.
    Other(String),
}

/// A value with its key and line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub path: Vec<String>,
    pub value: SettingValue,
    /// From 1.
    pub line: usize,
}

/// A text that isn't valid TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub line: usize,
    pub message: String,
}

impl SettingValue {
    pub(super) fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    pub(super) fn strings(texts: &[String]) -> Self {
        Self::List(texts.iter().map(Self::string).collect())
    }

    /// Returns a text that isn't blank.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns a list of such texts.
    pub(super) fn as_texts(&self) -> Option<Vec<String>> {
        match self {
            Self::List(values) => values.iter().map(|value| value.as_text().map(str::to_owned)).collect(),
            _ => None,
        }
    }

    pub(super) fn into_string(self) -> Option<String> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Parses the part after `=` in `-o key=value`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        DeValue::parse(text).ok().map(|value| convert(value.get_ref()))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::String(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(_) => "a date or a number out of range",
        }
    }

    /// Formats it as TOML.
    pub(super) fn to_toml(&self) -> String {
        match self {
            Self::Bool(it) => it.to_string(),
            Self::Int(it) => it.to_string(),
            Self::Float(it) => format!("{it:?}"),
            Self::String(it) => quote(it),
            Self::List(it) => format!("[{}]", it.iter().map(Self::to_toml).collect::<Vec<_>>().join(", ")),
            Self::Table(it) => {
                let fields: Vec<_> =
                    it.iter().map(|(name, value)| format!("{} = {}", quote_key(name), value.to_toml())).collect();
                format!("{{ {} }}", fields.join(", "))
            }
            Self::Other(it) => printable(it),
        }
    }
}

/// Lists the values of a TOML text in order. `is_branch` says which tables contain settings; the others are values
/// themselves.
pub(super) fn parse(text: &str, is_branch: &dyn Fn(&[String]) -> bool) -> Result<Vec<Setting>, SyntaxError> {
    let lines: Vec<usize> = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let line = |offset: usize| lines.partition_point(|end| *end < offset) + 1;
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        line: line(error.span().map_or(0, |span| span.start)),
        message: printable(&error.message().lines().collect::<Vec<_>>().join(", ")),
    })?;
    let mut found = Vec::new();
    walk(table.get_ref(), &mut Vec::new(), is_branch, &mut found);
    found.sort_by_key(|(offset, _, _)| *offset);
    Ok(found.into_iter().map(|(offset, path, value)| Setting { path, value, line: line(offset) }).collect())
}

/// Parses a dotted key such as `windows."gpt-4.1"`.
pub(super) fn parse_key(text: &str) -> Option<Vec<String>> {
    let text = format!("{text} = 0");
    let mut table = DeTable::parse(&text).ok()?.into_inner();
    let mut path = Vec::new();
    loop {
        let one = table.len() == 1;
        let (name, value) = table.into_iter().next().filter(|_| one)?;
        path.push(name.into_inner().into_owned());
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            DeValue::Integer(_) => return Some(path),
            _ => return None,
        }
    }
}

fn walk(
    table: &DeTable<'_>,
    path: &mut Vec<String>,
    is_branch: &dyn Fn(&[String]) -> bool,
    found: &mut Vec<(usize, Vec<String>, SettingValue)>,
) {
    for (name, value) in table {
        let name: &Spanned<DeString<'_>> = name;
        path.push(name.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) if is_branch(path) => walk(inner, path, is_branch, found),
            other => found.push((name.span().start, path.clone(), convert(other))),
        }
        path.pop();
    }
}

fn convert(value: &DeValue<'_>) -> SettingValue {
    match value {
        DeValue::String(it) => SettingValue::string(it.as_ref()),
        DeValue::Integer(it) => i64::from_str_radix(it.as_str(), it.radix())
            .map_or_else(|_| SettingValue::Other(it.to_string()), SettingValue::Int),
        DeValue::Float(it) => {
            it.as_str().parse().map_or_else(|_| SettingValue::Other(it.to_string()), SettingValue::Float)
        }
        DeValue::Boolean(it) => SettingValue::Bool(*it),
        DeValue::Datetime(it) => SettingValue::Other(it.to_string()),
        DeValue::Array(it) => SettingValue::List(it.iter().map(|value| convert(value.get_ref())).collect()),
        DeValue::Table(it) => SettingValue::Table(
            it.iter().map(|(name, value)| (name.get_ref().to_string(), convert(value.get_ref()))).collect(),
        ),
    }
}

/// Joins a path with dots, quoting parts where TOML requires it.
pub(super) fn dotted(path: &[String]) -> String {
    path.iter().map(|part| quote_key(part)).collect::<Vec<_>>().join(".")
}

fn quote_key(name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { name.to_owned() } else { quote(name) }
}

fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            _ => push_printable(&mut out, c),
        }
    }
    out.push('"');
    out
}

/// Escapes characters that could control a terminal or reorder a line.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_printable(&mut out, c));
    out
}

fn push_printable(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        // `escape_debug` knows which other characters are invisible; its escapes for those are the long ones.
        _ if c.is_control() || c.escape_debug().len() > 2 => {
            let code = u32::from(c);
            let _ = if code > 0xFFFF { write!(out, "\\U{code:08X}") } else { write!(out, "\\u{code:04X}") };
        }
        _ => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn values_come_in_order_with_their_lines() {
        let text = "b = 1\n\n[t]\nx = \"é\"\ny.z = [1, 2]\n";
        let found = parse(text, &|path| path == ["t"]).unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.line, dotted(&it.path), it.value.to_toml())).collect();
        assert_eq!(
            found,
            [
                (1, "b".into(), "1".into()),
                (4, "t.x".into(), "\"é\"".into()),
                (5, "t.y".into(), "{ z = [1, 2] }".into())
            ]
        );
    }

    #[test]
    fn broken_text_names_its_line() {
        let error = parse("a = 1\nb = = 2\n", &|_| false).unwrap_err();
        assert_eq!(error.line, 2);
        assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error:?}");
    }

    #[test]
    fn numbers_of_every_base_or_none() {
        assert_eq!(SettingValue::parse("0xff"), Some(SettingValue::Int(255)));
        assert_eq!(SettingValue::parse("1_000"), Some(SettingValue::Int(1000)));
        assert_eq!(SettingValue::parse("-2"), Some(SettingValue::Int(-2)));
        assert_eq!(SettingValue::parse("2.5"), Some(SettingValue::Float(2.5)));
        assert!(matches!(SettingValue::parse("99999999999999999999"), Some(SettingValue::Other(_))));
        assert_eq!(SettingValue::parse("dark"), None);
    }

    #[test]
    fn keys_of_flags_are_one_key() {
        assert_eq!(parse_key("ui.theme"), Some(path(&["ui", "theme"])));
        assert_eq!(parse_key("windows.\"gpt-4.1\""), Some(path(&["windows", "gpt-4.1"])));
        for text in ["", "a b", "a = 1\nb", "a = {}#", "#"] {
            assert_eq!(parse_key(text), None, "{text}");
        }
    }

    #[test]
    fn hostile_text_is_shown_harmless_and_reads_back() {
        for text in ["a\"b\\c\n\t", "\u{1b}[2J", "\u{202e}evil", "it's", "\u{7f}\u{0}", "日本 e\u{301}"] {
            let shown = SettingValue::string(text).to_toml();
            assert!(!shown.contains(['\u{1b}', '\u{202e}', '\n', '\u{7f}']), "{shown:?}");
            assert_eq!(SettingValue::parse(&shown), Some(SettingValue::string(text)), "{shown}");
        }
    }
}
