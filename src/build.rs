//! The build script: lays the program out in memory.
//!
//! A terminal program's memory is mostly its own text, and the kernel maps text in pieces of 64 KiB: functions that run
//! lie together (`assets/functions.txt`, in the linker's symbol names, made anew by `.ci/functions`), those that seldom do
//! behind them. Relative relocations are packed, for all of them are read at start. Both are the linker's doing and only
//! about cost: where the linker or the C library does not know them the program is built without.

#![allow(clippy::print_stdout)] // how a build script speaks to cargo

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

const FUNCTIONS: &str = "assets/functions.txt";

fn main() {
    println!("cargo:rerun-if-changed={FUNCTIONS}");
    println!("cargo:rerun-if-changed=src/build.rs");
    let var = |name: &str| env::var(name).unwrap_or_default();
    if var("PROFILE") != "release" || var("HOST") != var("TARGET") {
        return;
    }
    let functions = Path::new(&var("CARGO_MANIFEST_DIR")).join(FUNCTIONS);
    let order = format!("-Wl,--symbol-ordering-file={},--no-warn-symbol-ordering", functions.display());
    for arg in [order.as_str(), "-Wl,-z,pack-relative-relocs"] {
        if runs_with(arg, Path::new(&var("OUT_DIR"))) {
            println!("cargo:rustc-link-arg-bins={arg}");
        }
    }
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
