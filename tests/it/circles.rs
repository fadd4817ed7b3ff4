//! No two modules depend on each other, directly or through others. A parent and its children count as one here.

use std::collections::{BTreeMap, BTreeSet};

use super::tidy::{SourceFile, assert_none, sources};

type Module = Vec<String>;

/// Returns the module path of a file of `src`; `None` for the crate roots.
fn module_of(file: &SourceFile) -> Option<Module> {
    let path = file.path.to_string_lossy().replace('\\', "/");
    let path = path.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    (!matches!(path, "lib" | "main" | "build")).then(|| path.split('/').map(str::to_owned).collect())
}

/// Splits `a::{b, c::{d, e}}` into its paths.
fn paths_of(tree: &str) -> Vec<String> {
    let Some((before, inside)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts.iter().filter(|part| !part.is_empty()).flat_map(|part| paths_of(&format!("{before}{part}"))).collect()
}

/// Returns the absolute paths that a file refers to, in `use` lines and in its code.
fn named_by(module: &Module, file: &SourceFile) -> Vec<Module> {
    let text: Vec<&str> = file.lines.iter().map(|(_, line)| line.split("//").next().unwrap_or_default()).collect();
    let text = text.join("\n");
    let mut paths = Vec::new();
    for statement in text.split(';') {
        let Some(at) = statement.find("use ") else { continue };
        let tree: String = statement[at + 4..].chars().filter(|c| !c.is_whitespace()).collect();
        if ["crate", "super", "self"].iter().any(|root| tree.starts_with(root)) {
            paths.extend(paths_of(&tree));
        }
    }
    for root in ["crate::", "super::"] {
        for (at, _) in text.match_indices(root) {
            let path: String =
                text[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            paths.push(path);
        }
    }
    paths.iter().map(|path| absolute(module, path)).collect()
}

fn absolute(module: &Module, path: &str) -> Module {
    let mut at = module.clone();
    for (nth, segment) in path.split("::").filter(|segment| !segment.is_empty()).enumerate() {
        match segment {
            "crate" if nth == 0 => at.clear(),
            "self" if nth == 0 => {}
            "super" => {
                at.pop();
            }
            segment => at.push(segment.to_owned()),
        }
    }
    at
}

/// Maps each module to the modules it uses, without parents and children.
fn uses() -> BTreeMap<Module, BTreeSet<Module>> {
    let files = sources();
    let modules: BTreeMap<Module, &SourceFile> =
        files.iter().filter_map(|file| Some((module_of(file)?, file))).collect();
    let mut uses = BTreeMap::new();
    for (module, file) in &modules {
        let mut used = BTreeSet::new();
        for path in named_by(module, file) {
            let target = (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|p| modules.contains_key(p));
            let Some(target) = target else { continue };
            if !target.starts_with(module) && !module.starts_with(&target) {
                used.insert(target);
            }
        }
        uses.insert(module.clone(), used);
    }
    uses
}

/// Returns everything reachable from a module, itself only if there is a way back.
fn reached(from: &Module, uses: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&Module> = uses[from].iter().collect();
    while let Some(module) = open.pop() {
        if seen.insert(module.clone()) {
            open.extend(&uses[module]);
        }
    }
    seen
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let uses = uses();
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 500, "the `use` lines were found");
    let mut found = Vec::new();
    for module in uses.keys().filter(|module| reached(module, &uses).contains(*module)) {
        let back = uses[module].iter().filter(|used| reached(used, &uses).contains(module));
        found.extend(back.map(|used| format!("{} uses {}, which leads back", module.join("::"), used.join("::"))));
    }
    assert_none("circles of modules", &found);
}

#[test]
fn paths_are_read_out_of_nested_trees() {
    assert_eq!(paths_of("a::{b,c::{d,e}}"), ["a::b", "a::c::d", "a::c::e"]);
    let module: Module = ["ui", "panes"].map(str::to_owned).into();
    assert_eq!(absolute(&module, "super::theme::Theme"), ["ui", "theme", "Theme"]);
    assert_eq!(absolute(&module, "crate::store::Store"), ["store", "Store"]);
}
