//! Names are specific and easy to find.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::tidy::{assert_none, sources};

/// Words for an amount that don't say of what.
const VAGUE: &[&str] = &["MOST", "LONGEST", "LARGEST", "DEEPEST", "LEAST", "FEW", "MANY", "PATIENCE", "EVERY", "SOON"];
/// Names that are clear on their own: established terms.
const KNOWN: &[&str] = &["BOLD", "ESC", "ITALIC", "SIGTERM", "STRIKE", "UNDERLINE"];
/// Types of constants that need a noun: a number alone means nothing.
const COUNTS: &[&str] = &["usize", "u8", "u16", "u32", "u64", "u128", "i32", "i64", "f32", "f64", "Duration", "Millis"];

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

/// Returns the type that a line defines. The `type` of a trait implementation doesn't count.
fn defined_type(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let code = match code.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => code,
    };
    let (kind, rest) = code.split_once(' ')?;
    let is_item = matches!(kind, "struct" | "enum" | "trait" | "union") || kind == "type" && !line.starts_with(' ');
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (is_item && name.starts_with(char::is_uppercase)).then_some(name)
}

#[test]
fn a_type_name_stands_at_most_twice() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    rust_files(&root.join("tests"), &mut files);
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (nth, line) in text.lines().enumerate() {
            if let Some(name) = defined_type(line) {
                let place = format!("{}:{}", file.strip_prefix(root).unwrap().display(), nth + 1);
                places.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    assert!(places.len() > 700, "the definitions were found");
    let found: Vec<String> = places
        .iter()
        .filter(|(_, places)| places.len() > 2)
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert_none("types that share a name with two others", &found);
}

#[test]
fn a_constant_says_what_it_counts() {
    let mut found = Vec::new();
    for file in sources() {
        for (number, line) in &file.lines {
            let Some((_, definition)) = line.split_once("const ") else { continue };
            let Some((name, rest)) = definition.split_once(": ") else { continue };
            let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            let kind = rest.split([' ', ';', '=']).next().unwrap_or_default();
            if !is_name || !COUNTS.contains(&kind) || KNOWN.contains(&name) {
                continue;
            }
            let mut words = name.split('_');
            if name.split('_').count() < 2 || words.any(|word| VAGUE.contains(&word)) {
                found.push(format!("{}:{number}: {name}", file.path.display()));
            }
        }
    }
    assert_none("constants without a noun and a unit", &found);
}

#[test]
fn what_lib_rs_says_of_where_to_add_things_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let table = text.split("# Where to add things").nth(1).expect("the table");
    let rows: Vec<&str> = table
        .lines()
        .map(|line| line.trim_start_matches("//! "))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .collect();
    assert!(rows.len() >= 7, "{rows:?}");
    let mut found = Vec::new();
    for path in rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|name| name.contains('/')) {
        let path = path.replace("/x.rs", "").replace("/x", "");
        if !root.join(&path).exists() && !root.join("src").join(&path).exists() {
            found.push(path);
        }
    }
    assert_none("places that are not there", &found);
}

#[test]
fn the_files_that_the_guide_for_contributors_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(".github/CONTRIBUTING.md")).unwrap();
    let prose = text.split("```").step_by(2).collect::<String>();
    let quoted: Vec<&str> = prose.split('`').skip(1).step_by(2).collect();
    // `x.rs` and capitals stand for names; what has a space is a command.
    let is_path = |name: &str| {
        name.contains('/')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c))
            && !name.starts_with('/')
    };
    let paths: Vec<String> =
        quoted.iter().filter(|name| is_path(name)).map(|name| name.replace("/x.rs", "").replace("/x/", "")).collect();
    assert!(paths.len() > 40, "{paths:?}");
    let missing = |path: &&String| !root.join(path.as_str()).exists() && !root.join("src").join(path.as_str()).exists();
    assert_none("files that are not there", &paths.iter().filter(missing).cloned().collect::<Vec<_>>());
}
