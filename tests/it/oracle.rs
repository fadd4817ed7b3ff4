//! Clients that others wrote, asked to judge our server: scripts under `tests/oracle`, which print one line a check and
//! end at the first that fails.

use std::path::Path;
use std::process::Stdio;

/// Runs a script with the official `openai` package. Where that is missing, says so and returns.
pub(crate) async fn openai(script: &str, args: &[&str]) {
    let python = std::env::var("JARVIS_TUI_PYTHON").unwrap_or_else(|_| "python3".into());
    let there = std::process::Command::new(&python).args(["-c", "import openai"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("skipped: {python} has no openai package; JARVIS_TUI_PYTHON may name another interpreter");
        return;
    }
    let output = tokio::process::Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(script))
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    println!("{out}");
}
