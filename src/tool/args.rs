//! Reads a call's arguments: lenient about form, precise about errors.
//!
//! Models write numbers as strings, lists as single values, and use other names for the same argument; all of that is
//! accepted. Anything else is an error that names the argument.

use crate::event::Json;

/// The arguments object of a call. Each getter takes the argument's name first and then its aliases.
pub(super) struct ToolArgs<'a>(&'a Json);

impl<'a> ToolArgs<'a> {
    pub(super) fn new(args: &'a Json) -> Result<Self, String> {
        match args {
            Json::Object(_) | Json::Null => Ok(Self(args)),
            other => Err(format!("the arguments must be a JSON object, not {}", json_kind(other))),
        }
    }

    /// Returns a required string.
    pub(super) fn string(&self, names: &[&str]) -> Result<String, String> {
        self.optional_string(names)?.ok_or_else(|| format!("the argument `{}` is missing", first(names)))
    }

    /// Returns an optional string.
    pub(super) fn optional_string(&self, names: &[&str]) -> Result<Option<String>, String> {
        let Some((name, value)) = self.find(names) else { return Ok(None) };
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(flag) => flag.to_string(),
            other => return Err(format!("the argument `{name}` must be a string, not {}", json_kind(other))),
        };
        if text.contains('\0') {
            return Err(format!("the argument `{name}` contains a NUL character, which is not allowed"));
        }
        Ok(Some(text))
    }

    /// Returns an integer; values above `most` become `most`.
    pub(super) fn integer(&self, names: &[&str], default: usize, least: usize, most: usize) -> Result<usize, String> {
        let Some((name, value)) = self.find(names) else { return Ok(default) };
        let wrong = || format!("the argument `{name}` must be a whole number, at least {least}, not {value}");
        let number = match value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite() && number.fract() == 0.0).ok_or_else(wrong)?;
        if number < least as f64 {
            return Err(wrong());
        }
        Ok(if number >= most as f64 { most } else { number as usize })
    }

    pub(super) fn boolean(&self, names: &[&str]) -> Result<bool, String> {
        let Some((name, value)) = self.find(names) else { return Ok(false) };
        let flag = match value {
            Json::Bool(flag) => Some(*flag),
            Json::Number(number) => number.as_u64().filter(|n| *n < 2).map(|n| n == 1),
            Json::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Some(true),
                "false" | "no" | "0" | "" => Some(false),
                _ => None,
            },
            _ => None,
        };
        flag.ok_or_else(|| format!("the argument `{name}` must be true or false, not {value}"))
    }

    /// Returns a list of strings; a single string is a list of one.
    pub(super) fn strings(&self, names: &[&str]) -> Result<Vec<String>, String> {
        let Some((name, value)) = self.find(names) else { return Ok(Vec::new()) };
        match value {
            Json::String(text) if text.is_empty() => Ok(Vec::new()),
            Json::String(text) => Ok(vec![text.clone()]),
            Json::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| format!("the argument `{name}` must be a list of strings")),
            other => {
                Err(format!("the argument `{name}` must be a string or a list of strings, not {}", json_kind(other)))
            }
        }
    }

    fn find<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &'a Json)> {
        names.iter().find_map(|name| self.0.get(*name).filter(|value| !value.is_null()).map(|value| (*name, value)))
    }
}

fn first<'n>(names: &[&'n str]) -> &'n str {
    names.first().copied().unwrap_or_default()
}

fn json_kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_taken_from_strings_and_clamped() {
        let args = json!({"a": "12", "b": 7.0, "c": 1e30, "d": -1, "e": "many", "f": null});
        let args = ToolArgs::new(&args).unwrap();
        assert_eq!(args.integer(&["a"], 0, 0, 100), Ok(12));
        assert_eq!(args.integer(&["x", "b"], 0, 0, 100), Ok(7));
        assert_eq!(args.integer(&["c"], 0, 0, 100), Ok(100));
        assert_eq!(args.integer(&["f"], 5, 0, 100), Ok(5));
        assert!(args.integer(&["d"], 0, 0, 100).unwrap_err().contains("`d`"));
        assert!(args.integer(&["e"], 0, 0, 100).unwrap_err().contains("`e`"));
    }

    #[test]
    fn errors_name_the_argument() {
        let args = json!({"list": ["x"], "nul": "a\0b", "flag": "perhaps"});
        let args = ToolArgs::new(&args).unwrap();
        assert_eq!(args.string(&["path", "file"]).unwrap_err(), "the argument `path` is missing");
        assert!(args.string(&["list"]).unwrap_err().contains("`list`"));
        assert!(args.string(&["nul"]).unwrap_err().contains("NUL"));
        assert!(args.boolean(&["flag"]).unwrap_err().contains("`flag`"));
        assert!(ToolArgs::new(&json!([1])).is_err());
    }

    #[test]
    fn flags_and_lists_have_several_forms() {
        let args = json!({"yes": "true", "one": 1, "no": false, "single": "*.rs", "many": ["a", "b"]});
        let args = ToolArgs::new(&args).unwrap();
        assert_eq!(
            (args.boolean(&["yes"]), args.boolean(&["one"]), args.boolean(&["no"])),
            (Ok(true), Ok(true), Ok(false))
        );
        assert_eq!(args.strings(&["single"]).unwrap(), ["*.rs"]);
        assert_eq!(args.strings(&["many"]).unwrap(), ["a", "b"]);
    }
}
