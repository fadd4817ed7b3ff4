//! Tests of the layering: which module may use which, and which words may occur where.

use std::fs;
use std::path::{Path, PathBuf};

/// Module → what it may `use crate::` of, the deeper module first. The layers of `src/lib.rs`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("event", &["text"]),
    ("private", &[]),
    ("local_time", &[]),
    ("compare", &["event", "text"]),
    ("dialect", &["event", "text"]),
    ("store", &["event", "text"]),
    ("config", &["event", "private", "store", "text", "engine"]),
    ("net", &["event", "private", "text", "dialect"]),
    ("engine", &["event", "text", "dialect", "net"]),
    ("sandbox", &["event", "text"]),
    ("tool", &["event", "net", "sandbox", "text"]),
    ("mcp", &["event", "net", "private", "sandbox", "text", "tool"]),
    ("agent", &["event", "private", "text", "engine", "sandbox", "tool", "net"]),
    ("journal", &["event", "private", "local_time"]),
    ("bridge", &["event", "text", "dialect", "net", "tool", "agent", "journal"]),
    ("telemetry", &["event", "net", "bridge"]),
    ("serve", &["event", "private", "text", "dialect", "bridge"]),
    ("ui", &["event", "text", "compare", "store", "config"]),
    (
        "runtime",
        &[
            "event",
            "private",
            "local_time",
            "text",
            "dialect",
            "store",
            "config",
            "net",
            "engine",
            "sandbox",
            "tool",
            "mcp",
            "agent",
            "journal",
            "bridge",
            "telemetry",
            "serve",
            "cli",
        ],
    ),
    ("headless", &["event", "text", "cli", "config", "engine", "bridge", "runtime", "store", "ui"]),
    ("export", &["event", "text", "config", "store", "ui", "bridge", "runtime", "headless", "cli"]),
    ("app", &["event", "private", "local_time", "text", "compare", "store", "ui", "bridge", "config", "runtime"]),
    (
        "cli/run",
        &[
            "event",
            "private",
            "local_time",
            "text",
            "config",
            "engine",
            "sandbox",
            "bridge",
            "serve",
            "mcp",
            "runtime",
            "app",
            "export",
            "headless",
            "compare",
            "cli",
        ],
    ),
    ("cli", &["event", "text", "config"]),
];

/// Words that mean IO, a clock or randomness.
const IMPURE: &[&str] =
    &["tokio", "reqwest", "axum", "std::fs", "std::env", "std::process", "Instant::now", "SystemTime::now", "rand::"];

/// Files outside the pure layers that are pure all the same. Their module doc begins with `PURE.`.
const PURE_DIRS: &[&str] = &["event", "text", "dialect", "store", "compare", "ui"];

/// Names of colors: only the theme may use them.
const COLORS: &[&str] = &[
    "Color::Red",
    "Color::Green",
    "Color::Blue",
    "Color::Yellow",
    "Color::Cyan",
    "Color::Magenta",
    "Color::Gray",
    "Color::DarkGray",
    "Color::White",
    "Color::Black",
    "Color::Light",
    "Color::Rgb",
    "Color::Indexed",
];

pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) module: String,
    /// Production lines with their numbers; tests and comments are left out.
    pub(crate) lines: Vec<(usize, String)>,
    pub(crate) doc: String,
}

pub(crate) fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(&root).unwrap().to_path_buf();
            if relative.extension().is_none_or(|ext| ext != "rs")
                || relative.file_name().is_some_and(|name| name == "tests.rs")
                || relative.components().any(|part| part.as_os_str() == "tests")
            {
                continue;
            }
            let module = relative.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
            let text = fs::read_to_string(&path).unwrap();
            let doc = text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
            let lines = text
                .split("\n#[cfg(test)]\nmod tests {")
                .next()
                .unwrap()
                .lines()
                .enumerate()
                .map(|(index, line)| (index + 1, line.to_owned()))
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
                .collect();
            out.push(SourceFile { path: relative, module, lines, doc });
        }
    }
    assert!(out.len() > 40, "the source tree was found");
    out
}

fn mentions(line: &str, word: &str) -> bool {
    let boundary = |c: char| !c.is_alphanumeric() && c != '_';
    line.match_indices(word).any(|(at, _)| {
        line[..at].chars().next_back().is_none_or(boundary)
            && (word.ends_with(':') || line[at + word.len()..].chars().next().is_none_or(boundary))
    })
}

pub(crate) fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn modules_only_look_down() {
    let mut found = Vec::new();
    for source in sources() {
        let path = source.path.with_extension("");
        let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| path.starts_with(module)) else {
            assert!(matches!(source.module.as_str(), "lib" | "main" | "build"), "{} has no floor", source.module);
            continue;
        };
        for (number, line) in &source.lines {
            for (at, _) in line.match_indices("crate::") {
                let used: String = line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let grouped = line[at + 7..].starts_with('{');
                assert!(!grouped, "{}:{number}: one `use crate::` line per module", source.path.display());
                if used != source.module && !allowed.contains(&used.as_str()) {
                    found.push(format!("{}:{number}: {} may not use {used}", source.path.display(), source.module));
                }
            }
        }
    }
    assert_none("the floors are kept", &found);
}

#[test]
fn the_pure_floors_know_no_io_and_no_clock() {
    let mut found = Vec::new();
    for source in sources() {
        let pure = PURE_DIRS.contains(&source.module.as_str()) || source.doc.starts_with("//! PURE.");
        for (number, line) in source.lines.iter().filter(|_| pure) {
            for word in IMPURE.iter().filter(|word| mentions(line, word)) {
                found.push(format!("{}:{number}: {word}", source.path.display()));
            }
        }
    }
    assert_none("pure modules stay pure", &found);
}

#[test]
fn the_terminal_is_known_only_where_it_belongs() {
    let mut found = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().into_owned();
        let crossterm = path == "ui/keymap.rs" || source.module == "app";
        let ratatui = matches!(source.module.as_str(), "ui" | "app" | "headless" | "export");
        for (number, line) in &source.lines {
            if !crossterm && mentions(line, "crossterm") {
                found.push(format!("{path}:{number}: crossterm"));
            }
            if !ratatui && mentions(line, "ratatui") {
                found.push(format!("{path}:{number}: ratatui"));
            }
            if !path.starts_with("ui/theme") && COLORS.iter().any(|colour| line.contains(colour)) {
                found.push(format!("{path}:{number}: names a colour"));
            }
        }
    }
    assert_none("terminal crates and colours stay in their rooms", &found);
}

#[test]
fn every_module_says_what_it_is_for() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| source.doc.len() < 20)
        .map(|source| source.path.display().to_string())
        .collect();
    assert_none("these files have no module doc", &found);
}

#[test]
fn the_lock_file_has_one_terminal_library() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    for name in ["crossterm", "ratatui", "ratatui-core", "tui-textarea-2"] {
        assert_eq!(lock.matches(&format!("name = \"{name}\"\n")).count(), 1, "copies of {name}");
    }
}
