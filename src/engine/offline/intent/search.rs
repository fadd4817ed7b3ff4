//! PURE. Requests to find something: text in files, or files by name.

use super::words::{SpanKind, WordSlice};
use super::{Json, PlanStep, is_path, json, path_of};

/// "find "text" in src", "grep foo", "where is X defined", "which files mention X".
pub(super) fn search(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    match plain.as_slice() {
        ["where", "is" | "are" | "do" | "does", _, ..] => return search_where(words.skip(2)),
        [
            "which" | "what",
            "files" | "file",
            "mention" | "mentions" | "contain" | "contains" | "use" | "uses" | "have" | "has" | "include" | "includes"
            | "import" | "imports",
            _,
            ..,
        ] => {
            return search_text(words.skip(3), false);
        }
        ["find" | "see" | "search" | "show", "where", _, ..] => return search_where(words.skip(2)),
        ["find" | "show" | "tell", "out" | "me", "where", _, ..] => return search_where(words.skip(3)),
        _ => {}
    }
    let rest = match plain.as_slice() {
        ["find", "out", ..] => return None,
        ["search" | "grep" | "rg" | "find" | "locate", _, ..] => words.skip(1),
        ["look", "for", _, ..] => words.skip(2),
        _ => return None,
    };
    let on_web = rest.plain().iter().any(|word| matches!(*word, "web" | "internet" | "online" | "google"));
    if on_web && rest.quoted().is_none() {
        return None;
    }
    find_files(rest).or_else(|| search_text(rest, true))
}

/// The search tool reads files; their names are for `find`.
fn find_files(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let at = plain.iter().position(|word| !matches!(*word, "all" | "the" | "any" | "a" | "every" | "for" | "me"))?;
    let rest = words.skip(at);
    let plain = rest.plain();
    let (name, after) = match plain.as_slice() {
        ["file" | "files", "named" | "called" | "matching", _, ..] => (rest.skip(2).take(1).value(), rest.skip(3)),
        ["file" | "files", one] if one.contains('.') => (rest.skip(1).take(1).value(), rest.skip(2)),
        [language, "files", ..] => (language_glob(language)?.to_owned(), rest.skip(2)),
        [one, ..] if one.starts_with("*.") => (rest.take(1).value(), rest.skip(1)),
        _ => return None,
    };
    let folder = match after.plain().as_slice() {
        [] => ".".to_owned(),
        ["in" | "under", _] => after.skip(1).value(),
        _ => return None,
    };
    let safe = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && text.chars().all(|c| c.is_alphanumeric() || "._-*?/".contains(c))
    };
    (safe(&name) && safe(&folder)).then(|| {
        let command = format!("find {folder} -name '{name}' -not -path '*/.git/*' -not -path '*/target/*'");
        vec![PlanStep::new("shell", json!({ "command": command }))]
    })
}

fn search_where(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let at = plain.iter().rposition(|word| {
        matches!(
            *word,
            "defined"
                | "declared"
                | "implemented"
                | "mentioned"
                | "used"
                | "called"
                | "imported"
                | "referenced"
                | "occur"
                | "appear"
                | "occurs"
                | "appears"
                | "come"
                | "comes"
        )
    })?;
    let verb = plain.get(at).copied().unwrap_or_default();
    let mut what = words.take(at);
    let kinds = ["the", "function", "struct", "type", "class", "method", "enum", "trait", "word", "text", "variable"];
    while what.len() > 1 && what.plain().first().is_some_and(|first| kinds.contains(first)) {
        what = what.skip(1);
    }
    while what.len() > 1 && what.plain().last().is_some_and(|last| matches!(*last, "is" | "are" | "gets" | "was")) {
        what = what.take(what.len() - 1);
    }
    let name = what.value();
    if name.is_empty() || what.len() > 4 {
        return None;
    }
    let identifier = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let defined = matches!(verb, "defined" | "declared" | "implemented") && identifier;
    let pattern = if defined { definition_pattern(&name) } else { escape_regex(&name) };
    let mut args = json!({ "pattern": pattern });
    add_search_scope(words.skip(at + 1), &mut args)?;
    Some(vec![PlanStep::new("search", args)])
}

/// Matches a line that defines the name in one of the usual languages.
fn definition_pattern(name: &str) -> String {
    let words = "fn|struct|enum|union|trait|type|const|static|mod|macro_rules!|class|def|func|function|interface|let|var|val|module|package";
    format!(r"\b({words})\s+(mut\s+)?{name}\b|^\s*{name}\s*(:|=[^=])")
}

/// Describes a pattern that was made here, in the words of the request.
pub(in crate::engine::offline) fn describe_pattern(pattern: &str) -> (&'static str, String) {
    let name = pattern.split_once(r"(mut\s+)?").and_then(|(_, rest)| rest.split_once(r"\b|")).map(|(name, _)| name);
    if let Some(name) = name.filter(|name| definition_pattern(name) == pattern) {
        return ("the definition of ", name.to_owned());
    }
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    ("", if escape_regex(&text) == pattern { text } else { pattern.to_owned() })
}

/// `TEXT [in PATH]`, or `[in] PATH for TEXT`.
fn search_text(words: WordSlice<'_>, verb: bool) -> Option<Vec<PlanStep>> {
    let mut words = words;
    if verb
        && let Some(at) = words.plain().iter().position(|word| *word == "for")
        && at > 0
        && at < words.len() - 1
    {
        // "search src for foo", "search the project for foo"
        let mut args = json!({});
        let place = words.take(at);
        let place = if place.plain().first() == Some(&"in") { place } else { place.skip(0) };
        let all = place.plain().iter().all(|word| is_everywhere(word) || *word == "in");
        if all
            || add_search_scope(place, &mut args).is_some() && !args.as_object().is_none_or(serde_json::Map::is_empty)
        {
            args["pattern"] = json!(search_pattern(words.skip(at + 1))?);
            return Some(vec![PlanStep::new("search", args)]);
        }
    }
    let fillers = [
        "for",
        "all",
        "the",
        "every",
        "uses",
        "mentions",
        "occurrences",
        "usages",
        "references",
        "of",
        "to",
        "text",
        "word",
        "string",
        "phrase",
        "pattern",
        "lines",
        "with",
        "containing",
        "contain",
        "matching",
        "me",
        "any",
        "-rn",
        "-r",
        "-n",
        "-i",
        "-e",
        "a",
        "files",
        "that",
    ];
    while words.len() > 1 && words.plain().first().is_some_and(|first| fillers.contains(first)) {
        words = words.skip(1);
    }
    let plain = words.plain();
    let at = plain.iter().rposition(|word| matches!(*word, "in" | "inside" | "within" | "under" | "across"));
    let mut args = json!({});
    let what = match at {
        Some(at) if at > 0 && add_search_scope(words.skip(at), &mut args).is_some() => words.take(at),
        // `grep foo src`
        _ if words.len() == 2 && is_place(words.skip(1)) => {
            args["path"] = json!(words.skip(1).value());
            words.take(1)
        }
        _ => words,
    };
    args["pattern"] = json!(search_pattern(what)?);
    Some(vec![PlanStep::new("search", args)])
}

fn search_pattern(words: WordSlice<'_>) -> Option<String> {
    if words.is_empty() || (words.quoted().is_none() && words.len() > 6) || words.kind() == Some(SpanKind::Block) {
        return None;
    }
    let text = words.value();
    let regex = text.len() > 2 && text.starts_with('/') && text.ends_with('/');
    match text.get(1..text.len().saturating_sub(1)) {
        _ if text.is_empty() => None,
        Some(inner) if regex => Some(inner.to_owned()),
        _ => Some(escape_regex(&text)),
    }
}

/// Escapes the characters that are special in a regular expression.
fn escape_regex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Parses where to search: `in src`, `in *.rs files`, `in the project`. None when the words name no place.
fn add_search_scope(words: WordSlice<'_>, args: &mut Json) -> Option<()> {
    let mut words = words;
    while words.plain().first().is_some_and(|w| matches!(*w, "in" | "inside" | "within" | "under" | "across" | "from"))
    {
        words = words.skip(1);
    }
    let plain = words.plain();
    match plain.as_slice() {
        [] => Some(()),
        rest if rest.iter().all(|word| is_everywhere(word)) => Some(()),
        [language, "files" | "code" | "sources"] | ["all" | "the", language, "files" | "code" | "sources"]
            if language_glob(language).is_some() =>
        {
            args["glob"] = json!(language_glob(language)?);
            Some(())
        }
        [glob] | [glob, "files"] | ["all", glob, "files"] if glob.contains('*') => {
            let at = usize::from(plain.first() == Some(&"all"));
            args["glob"] = json!(words.skip(at).take(1).value());
            Some(())
        }
        [_] if is_place(words) => {
            args["path"] = json!(path_of(words));
            Some(())
        }
        ["the", _] | ["the", _, "folder" | "directory" | "file"] if is_place(words.skip(1).take(1)) => {
            args["path"] = json!(path_of(words.skip(1).take(1)));
            Some(())
        }
        [_, "folder" | "directory" | "file"] if is_place(words.take(1)) => {
            args["path"] = json!(path_of(words.take(1)));
            Some(())
        }
        _ => None,
    }
}

fn is_everywhere(word: &str) -> bool {
    matches!(
        word,
        "here"
            | "this"
            | "the"
            | "all"
            | "my"
            | "every"
            | "files"
            | "file"
            | "folder"
            | "project"
            | "code"
            | "codebase"
            | "repo"
            | "repository"
            | "directory"
            | "everything"
            | "everywhere"
            | "source"
            | "sources"
    )
}

fn is_place(word: WordSlice<'_>) -> bool {
    let value = word.value();
    is_path(word)
        || (word.len() == 1
            && !value.is_empty()
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "._-/~".contains(c))
            && value.chars().any(|c| c.is_ascii_alphabetic()))
}

fn language_glob(language: &str) -> Option<&'static str> {
    Some(match language {
        "rust" => "*.rs",
        "python" => "*.py",
        "markdown" => "*.md",
        "toml" => "*.toml",
        "json" => "*.json",
        "yaml" => "*.yaml",
        "javascript" => "*.js",
        "typescript" => "*.ts",
        "go" => "*.go",
        "c" => "*.c",
        "java" => "*.java",
        "html" => "*.html",
        "css" => "*.css",
        "shell" => "*.sh",
        "text" => "*.txt",
        _ => return None,
    })
}
