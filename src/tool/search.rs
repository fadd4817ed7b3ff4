//! Finds a regular expression in files, honouring ignore files.
//!
//! Matches past the cap are counted, not kept; one file is searched at a time in bounded memory, and every read and
//! every match looks at the cancel token.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;

use futures_util::future::BoxFuture;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::Args;
use super::list_dir::walker;
use super::place::{Place, locate};
use super::{Done, Tool, ToolCtx, ask, blocking, run_blocking};
use crate::event::{Ask, Json, Risk, ToolSpec};

pub(super) struct Search;

const LONGEST_LINE: usize = 400;
const LONGEST_TEXT: usize = 512 << 10;
/// How many matches are counted beyond those shown.
const COUNTED: usize = 100_000;

impl Tool for Search {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "search".into(),
            description: "Searches files for a regular expression, line by line, and returns the matching lines with \
                          their files and line numbers. What ignore files such as .gitignore name is left out."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "pattern": {"type": "string", "description": "A regular expression (Rust syntax)."},
                    "path": {"type": "string", "description": "Folder or file. Default: the working folder."},
                    "glob": {
                        "type": "array", "items": {"type": "string"},
                        "description": "Only files like these: `*.rs`, `src/**/*.{js,ts}`; with `!` not these."
                    },
                    "context": {"type": "integer", "minimum": 0, "description": "Lines around a match. Default 0."},
                    "max_results": {"type": "integer", "minimum": 1, "description": "Default 100, at most 1000."},
                    "ignore_case": {"type": "boolean", "description": "Default false."},
                    "literal": {"type": "boolean", "description": "`pattern` is plain text. Default false."}
                },
                "required": ["pattern"]
            }),
            risk: Risk::ReadOnly,
        }
    }

    fn ask<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Result<Ask, String>> {
        Box::pin(blocking(args, ctx, |args, ctx| {
            let query = query(args, ctx)?;
            Ok(Ask { detail: query.pattern, ..ask("search", Risk::ReadOnly, query.place.shown, ctx) })
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Done> {
        Box::pin(run_blocking(args, ctx, |args, ctx| search(&query(args, ctx)?, ctx)))
    }
}

struct Query {
    pattern: String,
    matcher: RegexMatcher,
    /// The same once more, to find the place in a long line.
    regex: Option<Regex>,
    place: Place,
    globs: Globs,
    context: usize,
    most: usize,
}

fn query(args: &Json, ctx: &ToolCtx) -> Result<Query, String> {
    let args = Args::new(args)?;
    let pattern = args.text(&["pattern", "query", "regex"])?;
    if pattern.is_empty() {
        return Err("the argument `pattern` is empty".into());
    }
    let (ignore_case, literal) = (args.flag(&["ignore_case", "case_insensitive"])?, args.flag(&["literal", "fixed"])?);
    let matcher = RegexMatcherBuilder::new()
        .case_insensitive(ignore_case)
        .fixed_strings(literal)
        .line_terminator(Some(b'\n'))
        .size_limit(16 << 20)
        .dfa_size_limit(16 << 20)
        .build(&pattern)
        .map_err(|error| {
            format!(
                "the argument `pattern` is not a regular expression for one line: {error}; `literal` takes it as is"
            )
        })?;
    let path = args.text_if(&["path", "dir", "folder"])?.filter(|path| !path.trim().is_empty());
    let text = if literal { regex::escape(&pattern) } else { pattern.clone() };
    Ok(Query {
        matcher,
        regex: RegexBuilder::new(&text).case_insensitive(ignore_case).build().ok(),
        place: locate(path.as_deref().unwrap_or("."), ctx)?,
        globs: Globs::new(&args.texts(&["glob", "globs", "include"])?)?,
        context: args.count(&["context"], 0, 0, 20)?,
        most: args.count(&["max_results", "limit"], 100, 1, 1000)?,
        pattern,
    })
}

impl Query {
    fn place_in(&self, line: &[u8]) -> usize {
        self.regex.as_ref().and_then(|regex| regex.find(line)).map_or(0, |hit| hit.start())
    }
}

/// Which files are wanted. Unlike ripgrep's `-g` these never bring ignored files back.
struct Globs {
    only: GlobSet,
    not: GlobSet,
}

impl Globs {
    fn new(globs: &[String]) -> Result<Self, String> {
        let (mut only, mut not) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let wrong = |glob: &str, error: globset::Error| format!("the argument `glob`: `{glob}`: {error}");
        for text in globs {
            let (set, text) = match text.strip_prefix('!') {
                Some(rest) => (&mut not, rest),
                None => (&mut only, text.as_str()),
            };
            let text = text.trim_start_matches("./");
            // A bare name is meant at any depth.
            let anchored =
                if text.trim_end_matches('/').contains('/') { text.to_owned() } else { format!("**/{text}") };
            for pattern in [anchored.trim_end_matches('/'), &format!("{}/**", anchored.trim_end_matches('/'))] {
                let glob = GlobBuilder::new(pattern.trim_start_matches('/')).literal_separator(true).build();
                set.add(glob.map_err(|error| wrong(text, error))?);
            }
        }
        let wrong = |error| format!("the argument `glob`: {error}");
        Ok(Self { only: only.build().map_err(wrong)?, not: not.build().map_err(wrong)? })
    }

    fn wants(&self, path: &Path) -> bool {
        (self.only.is_empty() || self.only.is_match(path)) && !self.not.is_match(path)
    }
}

fn search(query: &Query, ctx: &ToolCtx) -> Result<Done, String> {
    let root = &query.place.path;
    let is_file = std::fs::metadata(root).map_err(|error| format!("`{}`: {error}", query.place.shown))?.is_file();
    let mut searcher = SearcherBuilder::new()
        .line_number(true)
        .before_context(query.context)
        .after_context(query.context)
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(16 << 20))
        .build();
    let mut found = Found::new(query, &ctx.cancel);
    let mut walk = walker(root, false);
    walk.sort_by_file_path(Path::cmp);
    for entry in walk.build() {
        if found.is_over() {
            break;
        }
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.path();
        let relative = if is_file { Path::new(entry.file_name()) } else { path.strip_prefix(root).unwrap_or(path) };
        if !is_file && !query.globs.wants(relative) {
            continue;
        }
        found.file = path.strip_prefix(&ctx.folder).unwrap_or(path).to_string_lossy().replace(['\n', '\r'], "\u{fffd}");
        found.file_is_shown = false;
        let Ok(file) = std::fs::File::open(path) else {
            found.unreadable += 1;
            continue;
        };
        let file = Watched { file, cancel: &ctx.cancel };
        if searcher.search_reader(&query.matcher, file, &mut found).is_err() {
            found.unreadable += 1;
        }
    }
    Ok(found.done())
}

/// A file whose reading ends when the call is cancelled.
struct Watched<'a> {
    file: std::fs::File,
    cancel: &'a CancellationToken,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() { Ok(0) } else { self.file.read(buffer) }
    }
}

struct Found<'a> {
    query: &'a Query,
    cancel: &'a CancellationToken,
    text: String,
    file: String,
    file_is_shown: bool,
    shown: usize,
    left_out: usize,
    files: HashSet<String>,
    unreadable: usize,
}

impl<'a> Found<'a> {
    fn new(query: &'a Query, cancel: &'a CancellationToken) -> Self {
        Self {
            query,
            cancel,
            text: String::new(),
            file: String::new(),
            file_is_shown: false,
            shown: 0,
            left_out: 0,
            files: HashSet::new(),
            unreadable: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.shown >= self.query.most || self.text.len() >= LONGEST_TEXT
    }

    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.left_out >= COUNTED
    }

    fn line(&mut self, number: Option<u64>, mark: char, bytes: &[u8], at: usize) {
        if !self.file_is_shown {
            let gap = if self.text.is_empty() { "" } else { "\n" };
            let _ = writeln!(self.text, "{gap}{}", self.file);
            self.file_is_shown = true;
        }
        let _ = writeln!(self.text, "{}{mark} {}", number.unwrap_or(0), window(bytes, at));
    }

    fn done(mut self) -> Done {
        if self.cancel.is_cancelled() {
            self.text.push_str("[cancelled before the search was done]");
            return Done::cancelled(self.text);
        }
        if self.shown == 0 {
            let _ = write!(self.text, "no matches for `{}` in `{}`", self.query.pattern, self.query.place.shown);
        }
        if self.left_out > 0 {
            let more = if self.left_out >= COUNTED { "at least " } else { "" };
            let _ = writeln!(
                self.text,
                "\n[{} matches shown, {more}{} more in {} files left out]",
                self.shown,
                self.left_out,
                self.files.len()
            );
        }
        if self.unreadable > 0 {
            let _ = writeln!(self.text, "\n[{} files could not be searched]", self.unreadable);
        }
        Done::ok(self.text)
    }
}

impl Sink for Found<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, hit: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.is_full() {
            self.left_out += 1;
            if self.files.len() < 10_000 && !self.files.contains(&self.file) {
                self.files.insert(self.file.clone());
            }
        } else {
            let line = hit.bytes();
            let at = if line.len() > LONGEST_LINE { self.query.place_in(line) } else { 0 };
            self.shown += 1;
            self.line(hit.line_number(), ':', line, at);
        }
        Ok(!self.is_over())
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        if !self.is_full() {
            self.line(context.line_number(), '-', context.bytes(), 0);
        }
        Ok(!self.is_over())
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        if self.file_is_shown && !self.is_full() {
            self.text.push_str("--\n");
        }
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, _: &SinkFinish) -> Result<(), io::Error> {
        Ok(())
    }
}

/// Cuts a long line to what is around `at`.
fn window(line: &[u8], at: usize) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= LONGEST_LINE {
        return String::from_utf8_lossy(line).into_owned();
    }
    let start = at.saturating_sub(LONGEST_LINE / 4).min(line.len() - LONGEST_LINE);
    let end = start + LONGEST_LINE;
    let text = String::from_utf8_lossy(&line[start..end]);
    let text = text.trim_matches('\u{fffd}');
    format!("{}{text}{}", if start > 0 { "…" } else { "" }, if end < line.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::place::tests::ctx;
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("src")).unwrap();
        fs::create_dir_all(at("target")).unwrap();
        fs::write(at(".gitignore"), "target\n").unwrap();
        fs::write(at("src/a.rs"), "fn one() {}\nlet two = 2;\nfn three() {}\n").unwrap();
        fs::write(at("src/b.txt"), "fn in text\n").unwrap();
        fs::write(at("target/c.rs"), "fn ignored() {}\n").unwrap();
        fs::write(at("bin"), b"\0\0 fn binary\n").unwrap();
        folder
    }

    fn check(folder: &Path, args: &Json) -> Result<Done, String> {
        let ctx = ctx(folder);
        search(&query(args, &ctx)?, &ctx)
    }

    #[test]
    fn matches_come_by_file_with_line_numbers() {
        let folder = folder();
        let check = |args| check(folder.path(), &args).unwrap().text;
        assert_eq!(
            check(json!({"pattern": "fn \\w+"})),
            "src/a.rs\n1: fn one() {}\n3: fn three() {}\n\nsrc/b.txt\n1: fn in text\n"
        );
        assert_eq!(check(json!({"pattern": "fn", "glob": "*.txt"})), "src/b.txt\n1: fn in text\n");
        assert_eq!(check(json!({"pattern": "fn", "glob": ["src/*", "!*.rs"]})), "src/b.txt\n1: fn in text\n");
        assert_eq!(check(json!({"pattern": "FN IN", "ignore_case": true, "path": "src/b.txt"})).lines().count(), 2);
        assert_eq!(
            check(json!({"pattern": "two", "context": 1})),
            "src/a.rs\n1- fn one() {}\n2: let two = 2;\n3- fn three() {}\n"
        );
        assert_eq!(check(json!({"pattern": "one() {", "literal": true})), "src/a.rs\n1: fn one() {}\n");
        assert_eq!(check(json!({"pattern": "ignored"})), "no matches for `ignored` in `.`");
    }

    #[test]
    fn matches_past_the_cap_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..5 {
            fs::write(folder.path().join(n.to_string()), "hit\n".repeat(10)).unwrap();
        }
        let text = check(folder.path(), &json!({"pattern": "hit", "max_results": 12})).unwrap().text;
        assert_eq!(text.matches(": hit").count(), 12);
        assert!(text.ends_with("[12 matches shown, 38 more in 4 files left out]\n"), "{text}");
    }

    #[test]
    fn a_long_line_is_shown_around_its_match() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), format!("{}needle{}", "é".repeat(5000), "x".repeat(5000))).unwrap();
        let text = check(folder.path(), &json!({"pattern": "needle"})).unwrap().text;
        assert!(text.contains("needle") && text.len() < 500, "{text}");
    }

    #[test]
    fn bad_patterns_name_the_argument() {
        let folder = folder();
        for args in [json!({"pattern": "("}), json!({"pattern": "a\\nb"}), json!({"pattern": ""}), json!({})] {
            assert!(check(folder.path(), &args).unwrap_err().contains("`pattern`"));
        }
        assert!(check(folder.path(), &json!({"pattern": "x", "glob": "[a"})).unwrap_err().contains("`glob`"));
        assert!(check(folder.path(), &json!({"pattern": "x", "path": "/etc"})).unwrap_err().contains("outside"));
    }

    #[test]
    fn a_cancelled_search_ends_at_once() {
        let folder = folder();
        let ctx = ctx(folder.path());
        let query = query(&json!({"pattern": "fn"}), &ctx).unwrap();
        ctx.cancel.cancel();
        assert_eq!(search(&query, &ctx).unwrap().outcome, crate::event::Outcome::Cancelled);
    }
}
