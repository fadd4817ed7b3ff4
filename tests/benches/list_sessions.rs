//! How long ten thousand saved sessions take to list: read in full, and with their index.
//!
//! Target: with the index a tenth of the time.
#![allow(clippy::unwrap_used)]

#[path = "../testkit/log.rs"]
mod log;

use std::path::PathBuf;
use std::sync::LazyLock;

use divan::Bencher;
use jarvis_tui::journal;
use tempfile::TempDir;

static SHELF: LazyLock<TempDir> = LazyLock::new(|| {
    let shelf = tempfile::tempdir().unwrap();
    std::fs::create_dir(shelf.path().join("sessions")).unwrap();
    for nth in 0..10_000 {
        let lines = log::session_lines(&format!("/home/me/project{}", nth % 50), 1 + nth % 3);
        std::fs::write(shelf.path().join(format!("sessions/s{nth:05}.jsonl")), log::joined(&lines)).unwrap();
    }
    shelf
});

fn main() {
    divan::main();
}

fn places() -> (PathBuf, PathBuf) {
    (SHELF.path().join("sessions"), SHELF.path().join("index.jsonl"))
}

#[divan::bench(sample_count = 5)]
fn ten_thousand_logs_without_an_index(bencher: Bencher<'_, '_>) {
    let (logs, _) = places();
    bencher.bench_local(|| journal::list(&logs, None).unwrap().sessions.len());
}

#[divan::bench(sample_count = 5)]
fn ten_thousand_logs_with_a_new_index(bencher: Bencher<'_, '_>) {
    let (logs, index) = places();
    bencher.bench_local(|| {
        let _ = std::fs::remove_file(&index);
        journal::list(&logs, Some(&index)).unwrap().sessions.len()
    });
}

#[divan::bench(sample_count = 20)]
fn ten_thousand_logs_with_an_index(bencher: Bencher<'_, '_>) {
    let (logs, index) = places();
    journal::list(&logs, Some(&index)).unwrap();
    bencher.bench_local(|| journal::list(&logs, Some(&index)).unwrap().sessions.len());
}
