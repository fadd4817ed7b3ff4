//! Judges: third-party programs and texts that we are tested against. Official clients call our server (scripts under
//! `tests/oracle`, which print one line per check and stop at the first failure), a third-party server answers us, and
//! the specifications provide examples.
//!
//! A test can't report that it was skipped, so a test whose judge is missing says so on standard error, which the test
//! harness doesn't capture; with `JUDGES=required` it fails. `.ci/run` installs the judges and reads these lines.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

/// Reports what a judge checked.
pub(crate) fn judged(judge: &str, what: &str) {
    say(&format!("judged: {judge}: {what}"));
}

/// Reports that a judge is missing, or fails if all are required.
pub(crate) fn missing(judge: &str, why: &str) {
    let line = missing_line(judge, why, std::env::var_os("JUDGES").as_deref());
    say(&line.unwrap_or_else(|required| panic!("{required}")));
}

/// Returns the line about a missing judge, as an error if judges are required.
fn missing_line(judge: &str, why: &str, judges: Option<&OsStr>) -> Result<String, String> {
    let line = format!("judge missing: {judge}: {why}");
    if judges == Some(OsStr::new("required")) { Err(format!("{line} (JUDGES=required)")) } else { Ok(line) }
}

fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Runs a script with the official `openai` package.
pub(crate) async fn openai(script: &str, args: &[&str]) {
    python("openai", script, args).await;
}

/// Runs a script with a package from PyPI, named as it is imported.
pub(crate) async fn python(package: &str, script: &str, args: &[&str]) {
    let python = std::env::var("JARVIS_TUI_PYTHON").unwrap_or_else(|_| "python3".into());
    let find = "import importlib, sys; from importlib.metadata import packages_distributions as known, version\n\
                importlib.import_module(sys.argv[1]); print(version(known()[sys.argv[1].split('.')[0]][-1]), end='')";
    let version = std::process::Command::new(&python).args(["-c", find, package]).stderr(Stdio::null()).output();
    let Some(version) = version.ok().filter(|version| version.status.success()) else {
        missing(package, &format!("{python} can't import it; JARVIS_TUI_PYTHON names another Python"));
        return;
    };
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
    let checks = out.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(checks > 0, "{script} checked nothing");
    let version = String::from_utf8_lossy(&version.stdout);
    judged(package, &format!("version {version}, {script}, {checks} checks"));
}

#[test]
fn a_missing_judge_is_a_failure_only_where_judges_are_required() {
    let line = "judge missing: x: not here".to_owned();
    assert_eq!(missing_line("x", "not here", None), Ok(line.clone()));
    assert_eq!(missing_line("x", "not here", Some(OsStr::new(""))), Ok(line.clone()));
    assert_eq!(missing_line("x", "not here", Some(OsStr::new("required"))), Err(line + " (JUDGES=required)"));
}
