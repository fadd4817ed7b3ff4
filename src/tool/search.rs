//! Finds a regular expression in files, respecting ignore files.
//!
//! Matches beyond the limit are counted, not kept; files are searched one at a time in bounded memory, and every read
//! and match checks the cancel token.

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

use super::args::ToolArgs;
use super::checked_path::{CheckedPath, resolve_path};
use super::list_dir::walker;
use super::{CallDescription, Tool, ToolContext, ToolResult, run_blocking, spawn_blocking_work};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub(super) struct SearchTool;

const MAX_LINE_BYTES: usize = 400;
const MAX_OUTPUT_BYTES: usize = 512 << 10;
/// How many matches are counted beyond those shown.
const MAX_COUNTED_MATCHES: usize = 100_000;

impl Tool for SearchTool {
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

    fn kind(&self) -> ToolKind {
        ToolKind::Search
    }

    fn describe<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(spawn_blocking_work(args, ctx, |args, ctx| {
            let query = parse_query(args, ctx)?;
            Ok(CallDescription {
                detail: query.pattern,
                ..CallDescription::new(Risk::ReadOnly, query.root.display_path)
            })
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(run_blocking(args, ctx, |args, ctx| search(&parse_query(args, ctx)?, ctx)))
    }
}

struct SearchQuery {
    pattern: String,
    matcher: RegexMatcher,
    /// The same expression again, for finding the match in a long line.
    regex: Option<Regex>,
    root: CheckedPath,
    globs: GlobFilter,
    context: usize,
    max_results: usize,
}

fn parse_query(args: &Json, ctx: &ToolContext) -> Result<SearchQuery, String> {
    let args = ToolArgs::new(args)?;
    let pattern = args.string(&["pattern", "query", "regex"])?;
    if pattern.is_empty() {
        return Err("the argument `pattern` is empty".into());
    }
    let (ignore_case, literal) =
        (args.boolean(&["ignore_case", "case_insensitive"])?, args.boolean(&["literal", "fixed"])?);
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
    let path = args.optional_string(&["path", "dir", "folder"])?.filter(|path| !path.trim().is_empty());
    let text = if literal { regex::escape(&pattern) } else { pattern.clone() };
    Ok(SearchQuery {
        matcher,
        regex: RegexBuilder::new(&text).case_insensitive(ignore_case).build().ok(),
        root: resolve_path(path.as_deref().unwrap_or("."), ctx)?,
        globs: GlobFilter::new(&args.strings(&["glob", "globs", "include"])?)?,
        context: args.integer(&["context"], 0, 0, 20)?,
        max_results: args.integer(&["max_results", "limit"], 100, 1, 1000)?,
        pattern,
    })
}

impl SearchQuery {
    fn match_offset(&self, line: &[u8]) -> usize {
        self.regex.as_ref().and_then(|regex| regex.find(line)).map_or(0, |hit| hit.start())
    }
}

/// Filters files by glob. Unlike ripgrep's `-g`, this never includes ignored files.
struct GlobFilter {
    include: GlobSet,
    exclude: GlobSet,
}

impl GlobFilter {
    fn new(globs: &[String]) -> Result<Self, String> {
        let (mut only, mut not) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let wrong = |glob: &str, error: globset::Error| format!("the argument `glob`: `{glob}`: {error}");
        for text in globs {
            let (set, text) = match text.strip_prefix('!') {
                Some(rest) => (&mut not, rest),
                None => (&mut only, text.as_str()),
            };
            let text = text.trim_start_matches("./");
            // A bare name matches at any depth.
            let anchored =
                if text.trim_end_matches('/').contains('/') { text.to_owned() } else { format!("**/{text}") };
            for pattern in [anchored.trim_end_matches('/'), &format!("{}/**", anchored.trim_end_matches('/'))] {
                let glob = GlobBuilder::new(pattern.trim_start_matches('/')).literal_separator(true).build();
                set.add(glob.map_err(|error| wrong(text, error))?);
            }
        }
        let wrong = |error| format!("the argument `glob`: {error}");
        Ok(Self { include: only.build().map_err(wrong)?, exclude: not.build().map_err(wrong)? })
    }

    fn includes(&self, path: &Path) -> bool {
        (self.include.is_empty() || self.include.is_match(path)) && !self.exclude.is_match(path)
    }
}

fn search(query: &SearchQuery, ctx: &ToolContext) -> Result<ToolResult, String> {
    let root = &query.root.path;
    let is_file = std::fs::metadata(root).map_err(|error| format!("`{}`: {error}", query.root.display_path))?.is_file();
    let mut searcher = SearcherBuilder::new()
        .line_number(true)
        .before_context(query.context)
        .after_context(query.context)
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(16 << 20))
        .build();
    let mut found = SearchResults::new(query, &ctx.cancel);
    let mut walk = walker(root, false);
    walk.sort_by_file_path(Path::cmp);
    for entry in walk.build() {
        if found.should_stop() {
            break;
        }
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.path();
        let relative = if is_file { Path::new(entry.file_name()) } else { path.strip_prefix(root).unwrap_or(path) };
        if !is_file && !query.globs.includes(relative) {
            continue;
        }
        found.file = path.strip_prefix(&ctx.folder).unwrap_or(path).to_string_lossy().replace(['\n', '\r'], "\u{fffd}");
        found.file_is_shown = false;
        let Ok(file) = std::fs::File::open(path) else {
            found.unreadable += 1;
            continue;
        };
        let file = CancellableReader { file, cancel: &ctx.cancel };
        if searcher.search_reader(&query.matcher, file, &mut found).is_err() {
            found.unreadable += 1;
        }
    }
    Ok(found.into_result())
}

/// A file that reads as ended once the call is cancelled.
struct CancellableReader<'a> {
    file: std::fs::File,
    cancel: &'a CancellationToken,
}

impl Read for CancellableReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() { Ok(0) } else { self.file.read(buffer) }
    }
}

struct SearchResults<'a> {
    query: &'a SearchQuery,
    cancel: &'a CancellationToken,
    text: String,
    file: String,
    file_is_shown: bool,
    shown: usize,
    left_out: usize,
    files: HashSet<String>,
    unreadable: usize,
}

impl<'a> SearchResults<'a> {
    fn new(query: &'a SearchQuery, cancel: &'a CancellationToken) -> Self {
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
        self.shown >= self.query.max_results || self.text.len() >= MAX_OUTPUT_BYTES
    }

    fn should_stop(&self) -> bool {
        self.cancel.is_cancelled() || self.left_out >= MAX_COUNTED_MATCHES
    }

    fn push_line(&mut self, number: Option<u64>, mark: char, bytes: &[u8], at: usize) {
        if !self.file_is_shown {
            let gap = if self.text.is_empty() { "" } else { "\n" };
            let _ = writeln!(self.text, "{gap}{}", self.file);
            self.file_is_shown = true;
        }
        let _ = writeln!(self.text, "{}{mark} {}", number.unwrap_or(0), truncate_around(bytes, at));
    }

    fn into_result(mut self) -> ToolResult {
        if self.cancel.is_cancelled() {
            self.text.push_str("[cancelled before the search finished]");
            return ToolResult::cancelled(self.text);
        }
        if self.shown == 0 {
            let _ = write!(self.text, "no matches for `{}` in `{}`", self.query.pattern, self.query.root.display_path);
        }
        if self.left_out > 0 {
            let more = if self.left_out >= MAX_COUNTED_MATCHES { "at least " } else { "" };
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
        ToolResult::ok(self.text)
    }
}

impl Sink for SearchResults<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, hit: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.is_full() {
            self.left_out += 1;
            if self.files.len() < 10_000 && !self.files.contains(&self.file) {
                self.files.insert(self.file.clone());
            }
        } else {
            let line = hit.bytes();
            let at = if line.len() > MAX_LINE_BYTES { self.query.match_offset(line) } else { 0 };
            self.shown += 1;
            self.push_line(hit.line_number(), ':', line, at);
        }
        Ok(!self.should_stop())
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        if !self.is_full() {
            self.push_line(context.line_number(), '-', context.bytes(), 0);
        }
        Ok(!self.should_stop())
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

/// Cuts a long line to the part around `at`.
fn truncate_around(line: &[u8], at: usize) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= MAX_LINE_BYTES {
        return String::from_utf8_lossy(line).into_owned();
    }
    let start = at.saturating_sub(MAX_LINE_BYTES / 4).min(line.len() - MAX_LINE_BYTES);
    let end = start + MAX_LINE_BYTES;
    let text = String::from_utf8_lossy(&line[start..end]);
    let text = text.trim_matches('\u{fffd}');
    format!("{}{text}{}", if start > 0 { "…" } else { "" }, if end < line.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::checked_path::tests::ctx;
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

    fn check(folder: &Path, args: &Json) -> Result<ToolResult, String> {
        let ctx = ctx(folder);
        search(&parse_query(args, &ctx)?, &ctx)
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
        let query = parse_query(&json!({"pattern": "fn"}), &ctx).unwrap();
        ctx.cancel.cancel();
        assert_eq!(search(&query, &ctx).unwrap().outcome, crate::event::CallOutcome::Cancelled);
    }
}
