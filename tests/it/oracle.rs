//! Third-party clients as judges of our server: scripts under `tests/oracle`, which print one line per check and stop
//! at the first failure.

use std::path::Path;
use std::process::Stdio;

/// Runs a script with the official `openai` package. If that is missing, prints a message and returns.
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
