//! The build script: lays the program out in memory.
//!
//! A terminal program's memory is mostly its own text, and the kernel maps text in pieces of 64 KiB: functions that run
//! lie together (`assets/functions.txt`, in the compiler's symbol names, made anew by `.ci/functions`), the others behind
//! them. Relative relocations are packed, for all of them are read at start. Both are the linker's doing and only about
//! cost: where the linker or the C library does not know them the program is built without.

#![allow(clippy::print_stdout)] // how a build script speaks to cargo

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTIONS: &str = "assets/functions.txt";

fn main() {
    println!("cargo:rerun-if-changed={FUNCTIONS}");
    println!("cargo:rerun-if-changed=src/build.rs");
    let var = |name: &str| env::var(name).unwrap_or_default();
    if var("PROFILE") != "release" || var("HOST") != var("TARGET") {
        return;
    }
    let folder = PathBuf::from(var("OUT_DIR"));
    let order = write_linker_script(&Path::new(&var("CARGO_MANIFEST_DIR")).join(FUNCTIONS), &folder);
    for arg in [order, Some("-Wl,-z,pack-relative-relocs".to_owned())].into_iter().flatten() {
        if runs_with(&arg, &folder) {
            println!("cargo:rustc-link-arg-bins={arg}");
        }
    }
}

/// Writes the script that puts the listed functions in front of the others, also those that the compiler thinks cold.
/// Returns the argument that names it.
fn write_linker_script(list: &Path, folder: &Path) -> Option<String> {
    let functions = fs::read_to_string(list).ok()?;
    let script = folder.join("functions.ld");
    let mut text = "SECTIONS\n{\n  .text.often :\n  {\n".to_owned();
    for name in functions.lines() {
        text.extend(["    *(.text.", name, " .text.unlikely.", name, ")\n"]);
    }
    text.push_str("  }\n}\nINSERT BEFORE .text;\n");
    fs::write(&script, text).ok()?;
    Some(format!("-Wl,-T,{}", script.display()))
}

/// Whether a program linked like that can be made and runs here.
fn runs_with(link_arg: &str, folder: &Path) -> bool {
    let (source, program) = (folder.join("probe.rs"), folder.join("probe"));
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--crate-type=bin", "-C", &format!("link-arg={link_arg}"), "-o"]).arg(&program).arg(&source);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.display()));
    }
    fs::write(&source, "fn main() {}").is_ok()
        && rustc.output().is_ok_and(|made| made.status.success())
        && Command::new(&program).status().is_ok_and(|ran| ran.success())
}
