//! Commands that print and exit: sessions, models, doctor, settings.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde_json::json;

use crate::config::{self, ConfigFiles, LoadedConfig};
use crate::engine::ENGINES;
use crate::event::who_answers;
use crate::runtime::{EngineListing, Runtime};
use crate::text::address::{redact_credentials, redact_login};
use crate::text::clean::one_line;

use super::output::{OutputError, print, print_error, print_json};

/// `sessions list`. Returns whether every log could be read.
pub fn list_sessions(runtime: &Runtime, all: bool, as_json: bool) -> anyhow::Result<bool> {
    let listing = runtime.list_sessions(all)?;
    for error in &listing.unreadable {
        print_error(&error.to_string());
    }
    let is_whole = listing.unreadable.is_empty();
    let damage = runtime.find_damage(&listing);
    if as_json {
        let rows: Vec<_> = listing
            .sessions
            .iter()
            .zip(&damage)
            .map(|(session, damage)| {
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
                    "damage": damage.as_ref().map(|damage| damage.iter().map(|(code, message)| {
                        json!({ "code": code, "message": message })
                    }).collect::<Vec<_>>()),
                })
            })
            .collect();
        print_json(&serde_json::Value::from(rows).to_string())?;
        return Ok(is_whole);
    }
    if listing.sessions.is_empty() {
        let hint = if all { "" } else { " in this folder; --all lists all folders" };
        print_error(&format!("no saved sessions yet{hint}"));
        return Ok(is_whole);
    }
    let mut text = String::new();
    for (session, damage) in listing.sessions.iter().zip(&damage) {
        let mark = if damage.as_ref().is_none_or(Vec::is_empty) { "" } else { "damaged: " };
        let title = session.title.as_deref().unwrap_or("(no prompt)");
        let _ = writeln!(
            text,
            "{}  {}  {:>7}  {:<24}  {mark}{}",
            one_line(session.id.as_str(), 80),
            format_local_time(session.modified),
            format_size(session.bytes),
            one_line(&who_answers(&session.engine, &session.model), 24),
            one_line(&redact_credentials(title), 60)
        );
        if all {
            let _ =
                writeln!(text, "{:width$}  {}", "", one_line(&session.folder, 90), width = session.id.as_str().len());
        }
    }
    print(&text)?;
    Ok(is_whole)
}

/// `models`
pub async fn list_models(runtime: &Runtime, as_json: bool) -> Result<(), OutputError> {
    let listed = runtime.engine_resolver().list_all().await;
    for fault in listed.iter().filter_map(|engine| engine.models.as_ref().err()) {
        print_error(&one_line(&fault.message, 300));
    }
    if as_json {
        let rows: Vec<_> = listed
            .iter()
            .flat_map(|engine| {
                engine.models.iter().flatten().map(|model| {
                    json!({
                        "name": format!("{}/{}", engine.engine, model.id),
                        "engine": engine.engine,
                        "model": model.id,
                        "window": model.context_window,
                        "remark": model.remark,
                    })
                })
            })
            .collect();
        return print_json(&serde_json::Value::from(rows).to_string());
    }
    let mut text = String::new();
    for engine in &listed {
        for model in engine.models.iter().flatten() {
            let name = format!("{}/{}", engine.engine, model.id);
            let _ = writeln!(text, "{:<44} {}", one_line(&name, 120), one_line(&model.remark, 60));
        }
    }
    print(&text)
}

/// `doctor`. Returns whether a chat can start here.
pub async fn doctor(runtime: &Runtime, files: &ConfigFiles) -> Result<bool, OutputError> {
    let listed = runtime.engine_resolver().list_all().await;
    let mut text = format!("jarvis-tui {}\n\n", env!("CARGO_PKG_VERSION"));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    let term = std::env::var("TERM").unwrap_or_else(|_| "not set".to_owned());
    let place = if std::io::stdout().is_terminal() { "a terminal" } else { "not a terminal: answers are printed" };
    row("terminal", &format!("{} (TERM {})", place, one_line(&term, 40)));
    let none = if files.user_exists { "" } else { " (none yet; `jarvis-tui config init` writes one)" };
    row("settings", &format!("{}{none}", files.user.display()));
    if let Some(project) = &files.project {
        let trust = if project.trusted { "trusted" } else { "not trusted: only `model` and `ui` settings apply" };
        row("project", &format!("{} ({trust})", project.file.display()));
    }
    row("sessions", &runtime.paths.sessions_dir().display().to_string());
    row("log", &runtime.paths.log_file().display().to_string());
    row("folder", &runtime.folder.display().to_string());
    for line in key_exposure(&config::environment::taken_names(), config::environment::is_process_protected()) {
        row(line.0, &line.1);
    }
    text.push_str("\nEngines\n");
    for engine in &listed {
        describe_engine(&mut text, engine);
    }
    for (name, config) in &runtime.config().engines {
        if !listed.iter().any(|listed| listed.engine == *name) {
            let _ = writeln!(text, "  · {name:<9} {}", config.kind.setup_hint);
        }
    }
    let choice = runtime.engine_resolver().interactive().resolve().await;
    let starts = choice.is_ok();
    match choice {
        Ok(choice) => {
            let name = format!("{}/{}", choice.engine.name(), choice.model);
            let _ = writeln!(
                text,
                "\nA chat here starts with {} ({}).",
                one_line(&name, 100),
                one_line(&choice.reason, 80)
            );
            let found: Vec<&str> = listed
                .iter()
                .filter(|listed| listed.is_discovered && !listed.is_accepted && listed.models.is_ok())
                .map(|listed| listed.engine.as_str())
                .collect();
            if choice.engine.name() == "offline" && !found.is_empty() {
                let names = found.join(" or -m ");
                let _ = writeln!(
                    text,
                    "A server found here is used once you choose it: pick a model with /model, or start with -m {names}."
                );
            } else if choice.engine.name() == "offline" {
                let mut keys: Vec<&str> = ENGINES.iter().filter_map(|spec| spec.key_variable).collect();
                keys.dedup();
                let _ = writeln!(
                    text,
                    "To talk to a model: start Ollama, llama.cpp, LM Studio or vLLM here, or set {}, or OPENAI_BASE_URL for your own server.",
                    keys.join(" or ")
                );
            }
        }
        Err(fault) => {
            let _ = writeln!(text, "\nA chat here can't start: {}", one_line(&fault.message, 300));
        }
    }
    print(&text)?;
    Ok(starts)
}

/// Describes who can read the keys, and which protections are missing.
fn key_exposure(names: &[String], is_closed: bool) -> Vec<(&'static str, String)> {
    let from = if names.is_empty() { "none in the environment".to_owned() } else { one_line(&names.join(", "), 200) };
    let kept = if is_closed {
        "hidden from commands that the agent runs; only root can read this program's memory"
    } else {
        "hidden from commands that the agent runs; your other programs may read this program's memory"
    };
    let shell = "there is no sandbox: commands can still read what your shell exports and every file you can read";
    vec![("keys", from), ("", kept.to_owned()), ("", shell.to_owned())]
}

fn describe_engine(text: &mut String, engine: &EngineListing) {
    let place = engine.base_url.as_deref().map(redact_login).unwrap_or_default();
    let found = match (engine.is_discovered, engine.is_accepted) {
        (false, _) => "",
        (true, false) => ", found here",
        (true, true) => ", found here and chosen",
    };
    match &engine.models {
        Ok(models) if engine.base_url.is_none() => {
            let _ = writeln!(text, "  ✓ {:<9} embedded, always available ({} model)", engine.engine, models.len());
        }
        Ok(models) => {
            let names: Vec<String> = models.iter().take(4).map(|model| one_line(&model.id, 40)).collect();
            let more = if models.len() > 4 { ", …" } else { "" };
            let _ = writeln!(
                text,
                "  ✓ {:<9} {}{found}: {} model{} ({}{more})",
                engine.engine,
                one_line(&place, 80),
                models.len(),
                if models.len() == 1 { "" } else { "s" },
                names.join(", ")
            );
        }
        Err(fault) => {
            let message = fault.message.strip_prefix(&format!("{}: ", engine.engine)).unwrap_or(&fault.message);
            let _ = writeln!(text, "  ✗ {:<9} {}", engine.engine, one_line(message, 200));
        }
    }
}

/// `config show`
pub fn show_config(loaded: &LoadedConfig) -> Result<(), OutputError> {
    print(&config::show::to_text(loaded))
}

/// `config path`
pub fn show_config_files(files: &ConfigFiles) -> Result<(), OutputError> {
    let mut text = String::new();
    let none = if files.user_exists { "" } else { "  (none yet)" };
    let _ = writeln!(text, "{}{none}", files.user.display());
    if let Some(project) = &files.project {
        let trust = if project.trusted { "" } else { "  (not trusted: only `model` and `ui` settings apply)" };
        let _ = writeln!(text, "{}{trust}", project.file.display());
    }
    print(&text)
}

fn format_local_time(ms: u64) -> String {
    let Ok(stamp) = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(0)) else {
        return "?".to_owned();
    };
    stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn format_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} kB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}
