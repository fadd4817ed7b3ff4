//! `sessions import`: brings sessions here that other programs keep, and says what became of each.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::{EXIT_FAILED, EXIT_USAGE};
use crate::headless::output::{print, print_error, print_json, print_progress};
use crate::runtime::{ImportReport, Imported, ImportedSession, ProgramReport, SavedSessions, describe_left_out};
use crate::text::one_line;

/// Sessions of one program that are named one by one; JSON has all.
const MAX_NAMED: usize = 20;

pub(super) fn run(saved: &SavedSessions, paths: Vec<PathBuf>, is_dry: bool, as_json: bool) -> anyhow::Result<u8> {
    let paths = if paths.is_empty() { saved.import_places() } else { paths };
    if paths.is_empty() {
        print_error("no program keeps sessions here that can be read; name a file or a folder");
        return Ok(EXIT_USAGE);
    }
    let report = saved.import(&paths, is_dry);
    for problem in &report.problems {
        print_error(problem);
    }
    if as_json {
        print_json(&to_json(&report, is_dry).to_string())?;
    } else {
        for program in &report.programs {
            print(&program_text(program, is_dry))?;
        }
        if report.is_empty() {
            print_error("no sessions found");
        } else if is_dry {
            print_progress("nothing was written");
        } else {
            print_progress("`sessions list --all` shows them, `jarvis-tui -r ID` goes on with one");
        }
    }
    Ok(if report.is_empty() || !report.is_whole() { EXIT_FAILED } else { 0 })
}

/// One line for the program, then those of its sessions that are new or have something to tell.
fn program_text(program: &ProgramReport, is_dry: bool) -> String {
    let (new, updated, unchanged) = program.counts();
    let found = program.sessions.len() + program.failed.len();
    let verb = if is_dry { "to import" } else { "imported" };
    let mut text =
        format!("{}: {found} found, {new} {verb}, {updated} updated, {unchanged} here already", program.format.title);
    if !program.failed.is_empty() {
        let _ = write!(text, ", {} left out", program.failed.len());
    }
    text.push('\n');
    let told = program.sessions.iter().filter(|session| !matches!(session.outcome, Imported::Unchanged(_)));
    for session in told.clone().take(MAX_NAMED) {
        let _ = writeln!(text, "  {}", session_text(session));
    }
    let more = told.count().saturating_sub(MAX_NAMED);
    if more > 0 {
        let _ = writeln!(text, "  … {more} more");
    }
    for (file, why) in program.failed.iter().take(MAX_NAMED) {
        let _ = writeln!(text, "  left out: {}: {}", one_line(&file.display().to_string(), 200), one_line(why, 200));
    }
    text
}

fn session_text(session: &ImportedSession) -> String {
    let ImportedSession { turns, calls, .. } = session;
    let counts = format!("{turns} turn{}, {calls} call{}", ending(*turns), ending(*calls));
    let mut text = format!("{}  {counts}", one_line(session.outcome.session().as_str(), 80));
    if let Imported::Beside { continued, .. } = &session.outcome {
        let _ = write!(text, "; beside {}, which was gone on with here", one_line(continued.as_str(), 80));
    }
    if !session.left_out.is_empty() {
        let _ = write!(text, "; not taken over: {}", describe_left_out(&session.left_out));
    }
    text
}

fn ending(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn to_json(report: &ImportReport, is_dry: bool) -> Value {
    let session = |session: &ImportedSession| {
        let (outcome, beside) = match &session.outcome {
            Imported::New(_) => ("imported", None),
            Imported::Updated(_) => ("updated", None),
            Imported::Unchanged(_) => ("unchanged", None),
            Imported::Beside { continued, .. } => ("imported", Some(continued)),
        };
        json!({
            "id": session.outcome.session(),
            "outcome": outcome,
            "beside": beside,
            "file": session.file.display().to_string(),
            "source": session.source,
            "turns": session.turns,
            "calls": session.calls,
            "left_out": session.left_out,
        })
    };
    let program = |program: &ProgramReport| {
        let (new, updated, unchanged) = program.counts();
        let failed = program.failed.iter().map(|(file, why)| json!({"file": file.display().to_string(), "why": why}));
        json!({
            "program": program.format.name,
            "imported": new,
            "updated": updated,
            "unchanged": unchanged,
            "sessions": program.sessions.iter().map(session).collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
        })
    };
    json!({
        "dry_run": is_dry,
        "programs": report.programs.iter().map(program).collect::<Vec<_>>(),
        "other_files": report.other_files,
        "problems": report.problems,
    })
}
