//! `sessions`: lists, prints, names, archives and removes saved sessions.

mod handoff;
mod import;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{EXIT_FAILED, EXIT_USAGE, RunContext, report_error};
use crate::cli::{OutputFormat, SessionsCommand};
use crate::event::{SessionId, who_answers};
use crate::headless::output::{print, print_error, print_json, print_progress};
use crate::headless::{self, RunOptions};
use crate::local_time::to_local;
use crate::runtime::scrub::scrub_log;
use crate::runtime::{
    Frontend, ListScope, Runtime, SavedSessions, SearchStep, SessionHits, SessionQuery, UsageError, place_or_origin,
};
use crate::text::display_url::redact_credentials;
use crate::text::human::column_size;
use crate::text::one_line;

pub(super) async fn run(command: SessionsCommand, context: RunContext) -> anyhow::Result<u8> {
    let runtime = context.runtime(Frontend::Headless, None);
    let saved = runtime.saved_sessions();
    match command {
        SessionsCommand::List { all, archived, json } => {
            let scope = ListScope { all_folders: all, archived };
            Ok(if list(&runtime, scope, json)? { 0 } else { EXIT_FAILED })
        }
        SessionsCommand::Show { id, json } => {
            let live = runtime.open_whole_log(&runtime.session_path(&id)?)?;
            if json {
                headless::run(live, RunOptions::new(OutputFormat::Json, "replay")).await?;
            } else {
                headless::print_session(live).await?;
            }
            Ok(0)
        }
        SessionsCommand::Search { words, max, json } => search(&saved, &words.join(" "), max, json),
        SessionsCommand::Import { paths, dry_run, json } => import::run(&saved, paths, dry_run, json),
        SessionsCommand::Handoff { id, to, output } => handoff::run(&saved, &id, &to, output.as_deref()),
        SessionsCommand::Rename { id, title } => {
            let renamed = saved.rename(&id, &title)?;
            print(&format!("renamed {renamed}\n"))?;
            Ok(0)
        }
        SessionsCommand::Scrub { id, output, settings: _ } => scrub(&runtime.session_path(&id)?, output),
        SessionsCommand::Archive { ids } => for_each(&ids, "archived", |id| saved.set_archived(id, true)),
        SessionsCommand::Unarchive { ids } => for_each(&ids, "unarchived", |id| saved.set_archived(id, false)),
        SessionsCommand::Rm { ids } => for_each(&ids, "removed", |id| saved.remove(id)),
    }
}

/// Writes a log without its secrets, and says how to put it in the place of the other.
fn scrub(log: &Path, output: Option<PathBuf>) -> anyhow::Result<u8> {
    if output.as_ref().is_some_and(|file| file.as_os_str() == "-") {
        let text = "a scrubbed log goes into a file, for its outputs go beside it: name one with --output";
        return Err(UsageError(text.to_owned()).into());
    }
    let name = log.file_stem().map_or_else(|| "session".into(), |stem| stem.to_string_lossy().into_owned());
    let to = output.unwrap_or_else(|| PathBuf::from(format!("{name}.scrubbed.jsonl")));
    let scrubbed = scrub_log(log, &to)?;
    print(&format!("{}\n", scrubbed.file.display()))?;
    print_progress(&format!("secrets were replaced in {} of {} events", scrubbed.changed, scrubbed.events));
    for output in &scrubbed.outputs {
        print_progress(&format!("an output beside the log, without its secrets: {}", output.display()));
    }
    let folder = log.parent().unwrap_or(Path::new(".")).display();
    print_progress(&format!("{} is as it was; to replace it, while no session has it open:", log.display()));
    print_progress(&format!("  mv {} {}", scrubbed.file.display(), log.display()));
    for output in &scrubbed.outputs {
        print_progress(&format!("  mv {} {folder}/", output.display()));
    }
    Ok(0)
}

/// Does something to several sessions; if it fails for one, the others still have their turn.
fn for_each(ids: &[String], done: &str, act: impl Fn(&str) -> anyhow::Result<SessionId>) -> anyhow::Result<u8> {
    let mut code = 0;
    for id in ids {
        match act(id) {
            Ok(id) => print(&format!("{done} {id}\n"))?,
            Err(error) => code = report_error(&error),
        }
    }
    Ok(code)
}

/// Returns whether every log could be read.
fn list(runtime: &Runtime, scope: ListScope, as_json: bool) -> anyhow::Result<bool> {
    let listing = runtime.saved_sessions().list(scope)?;
    for error in &listing.unreadable {
        print_error(&error.to_string());
    }
    let is_whole = listing.unreadable.is_empty();
    if as_json {
        let rows: Vec<_> = listing
            .sessions
            .iter()
            .map(|session| {
                json!({
                    "id": session.id,
                    "title": session.title,
                    "folder": session.folder,
                    "engine": session.engine,
                    "model": session.model,
                    "started_at": session.started_at,
                    "modified": session.modified,
                    "bytes": session.bytes,
                    "path": session.path.display().to_string(),
                    "last_prompt": session.last_prompt,
                    "turns": session.turns,
                    "imported_from": session.imported_from,
                    "damage": session.damage.map(|damage| damage.notices().iter().map(|(code, message)| {
                        json!({ "code": code, "message": message })
                    }).collect::<Vec<_>>()),
                })
            })
            .collect();
        print_json(&serde_json::Value::from(rows).to_string())?;
        return Ok(is_whole);
    }
    if listing.sessions.is_empty() {
        let what = if scope.archived { "no archived sessions" } else { "no saved sessions yet" };
        let hint = if scope.all_folders { "" } else { " in this folder; --all lists all folders" };
        print_error(&format!("{what}{hint}"));
        return Ok(is_whole);
    }
    let mut text = String::new();
    for session in &listing.sessions {
        let mark = if session.damage.is_none_or(|damage| damage.is_none()) { "" } else { "damaged: " };
        let title = session.title.as_deref().unwrap_or("(no prompt)");
        let _ = writeln!(
            text,
            "{}  {}  {:>7}  {:<24}  {mark}{}",
            one_line(session.id.as_str(), 80),
            format_local_time(session.modified),
            column_size(session.bytes),
            one_line(&who_answers(&session.engine, &session.model), 24),
            one_line(&redact_credentials(title), 60)
        );
        if scope.all_folders {
            let place = place_or_origin(session.folder.clone(), session.imported_from.as_deref());
            let _ = writeln!(text, "{:width$}  {}", "", one_line(&place, 90), width = session.id.as_str().len());
        }
    }
    print(&text)?;
    Ok(is_whole)
}

/// Prints what is found of each session as soon as it is. The exit code is 1 if there is nothing.
fn search(saved: &SavedSessions, query: &str, max: usize, as_json: bool) -> anyhow::Result<u8> {
    let query = match SessionQuery::parse(query) {
        Ok(query) => query,
        Err(why) => {
            print_error(&why);
            return Ok(EXIT_USAGE);
        }
    };
    let (mut sessions, mut hits, mut stopped) = (0, 0, None);
    let unreadable = saved.search(&query, |found| {
        sessions += found.len();
        hits += found.iter().map(|found| found.hits.len()).sum::<usize>();
        let as_text = |found| if as_json { hits_as_json(found) } else { hits_as_text(found, max) };
        let text: String = found.iter().map(as_text).collect();
        match print(&text) {
            Ok(()) => SearchStep::GoOn,
            Err(error) => {
                stopped = Some(error);
                SearchStep::Stop
            }
        }
    })?;
    if let Some(error) = stopped {
        return Err(error.into());
    }
    for why in &unreadable {
        print_error(why);
    }
    if !as_json {
        let told = match (hits, sessions) {
            (0, _) => "nothing found".to_owned(),
            (hits, 1) => format!("{hits} in 1 session"),
            (hits, sessions) => format!("{hits} in {sessions} sessions; jarvis-tui -r ID --seq N opens one there"),
        };
        print_progress(&told);
    }
    Ok(if hits == 0 || !unreadable.is_empty() { EXIT_FAILED } else { 0 })
}

fn hits_as_json(found: &SessionHits) -> String {
    let mut lines = String::new();
    for hit in &found.hits {
        let line = json!({
            "id": found.session.id,
            "title": found.session.title,
            "folder": found.session.folder,
            "modified": found.session.modified,
            "seq": hit.seq,
            "kind": hit.kind.name(),
            "line": hit.line,
            "match": [hit.range.start, hit.range.end],
        });
        let _ = writeln!(lines, "{line}");
    }
    lines
}

fn hits_as_text(found: &SessionHits, max: usize) -> String {
    let session = &found.session;
    let title = session.title.as_deref().unwrap_or("(no prompt)");
    let mut text = format!(
        "{}  {}  {}\n",
        one_line(session.id.as_str(), 80),
        format_local_time(session.modified),
        one_line(&redact_credentials(title), 80)
    );
    for hit in found.hits.iter().take(max) {
        let _ = writeln!(text, "  {:>6}  {:<6}  {}", hit.seq.0, hit.kind.name(), one_line(&hit.line, 200));
    }
    if found.hits.len() > max {
        let _ = writeln!(text, "          … {} more", found.hits.len() - max);
    }
    text
}

fn format_local_time(ms: u64) -> String {
    let Ok(stamp) = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(0)) else {
        return "?".to_owned();
    };
    to_local(stamp).strftime("%Y-%m-%d %H:%M").to_string()
}
