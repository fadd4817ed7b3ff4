//! `doctor`: checks the setup and suggests what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use super::{EXIT_FAILED, RunContext};
use crate::app::terminal_check::{CheckState, TerminalCheck, check_terminal};
use crate::config::{McpConfig, environment};
use crate::engine::{ENGINES, gguf};
use crate::headless::output::print;
use crate::runtime::redaction::{self, RedactionSummary};
use crate::runtime::{EngineListing, Frontend};
use crate::sandbox::SandboxRules;
use crate::text::display_url::redact_login;
use crate::text::one_line;

pub(super) async fn run(context: RunContext) -> anyhow::Result<u8> {
    let files = context.files.clone();
    let runtime = context.runtime(Frontend::Headless, None);
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
    for line in key_exposure(&environment::taken_names(), environment::is_process_protected()) {
        row(line.0, &line.1);
    }
    for line in sandbox_state(runtime.sandbox(), runtime.config().sandbox.enabled, &runtime.folder) {
        row(line.0, &line.1);
    }
    row("secrets", &redaction_state(redaction::summary(runtime.config()), &runtime.paths.redaction_key_file()));
    if let Some(checks) = check_terminal() {
        describe_terminal(&mut text, &checks);
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
    describe_mcp(&mut text, &runtime.config().mcp, &runtime.mcp_servers().access());
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
    Ok(if starts { 0 } else { EXIT_FAILED })
}

/// Lists the MCP servers. They are not started: a check of the setup should not run programs of others.
fn describe_mcp(text: &mut String, servers: &BTreeMap<String, McpConfig>, access: &BTreeMap<String, String>) {
    if servers.is_empty() {
        return;
    }
    text.push_str("\nMCP servers (`jarvis-tui mcp test` starts them)\n");
    for (name, server) in servers {
        let place = server.command.first().cloned().or_else(|| server.url.as_deref().map(redact_login));
        let (mark, what) = match place {
            Some(_) if !server.enabled => ("·", "off".to_owned()),
            Some(place) => ("·", place),
            None => ("✗", "neither a command nor a url in the settings".to_owned()),
        };
        let access = access.get(name).filter(|access| !access.is_empty());
        let access = access.map(|access| format!(" ({access})")).unwrap_or_default();
        let _ = writeln!(text, "  {mark} {name:<9} {}", one_line(&format!("{what}{access}"), 160));
    }
}

/// Describes what keeps commands in bounds on this machine.
fn sandbox_state(rules: Option<&SandboxRules>, is_enabled: bool, folder: &Path) -> Vec<(&'static str, String)> {
    let open = "commands can do what you can: read what your shell exports, and every file you can read";
    let Some(rules) = rules else {
        let why = if is_enabled { "only Linux has it" } else { "[sandbox] enabled = false" };
        return vec![("sandbox", format!("none: {why}")), ("", open.to_owned())];
    };
    let support = rules.support();
    if let Some(why) = support.why_not() {
        return vec![("sandbox", format!("none: {why}")), ("", open.to_owned())];
    }
    let policy = rules.policy(folder, &[], Duration::ZERO);
    let mut rows = vec![("sandbox", format!("Landlock {}, seccomp; {}", support.landlock, policy.note(support).text))];
    if let Some(why) = &support.namespace_problem {
        let lacks = "nothing can be closed in a folder that is written, and connections within this machine fail";
        rows.push(("", format!("{}: {lacks}", one_line(why, 100))));
    }
    if !support.has_scopes() {
        rows.push(("", "commands can signal your other programs: that takes Landlock 6, Linux 6.12".to_owned()));
    }
    rows
}

/// Describes what is kept out of what is written.
fn redaction_state(summary: Option<RedactionSummary>, key_file: &Path) -> String {
    match summary {
        None => "written as they are: [redact] enabled = false".to_owned(),
        Some(RedactionSummary { kinds, variables }) => format!(
            "kept out of logs, recordings, exports and crash messages: {kinds} kinds, values of {variables} variables (key {})",
            key_file.display()
        ),
    }
}

/// Lists what the terminal can do, with a word for each state that is read out as well.
fn describe_terminal(text: &mut String, checks: &[TerminalCheck]) {
    text.push_str("\nTerminal\n");
    for TerminalCheck { name, state, advice } in checks {
        let (mark, word) = match state {
            CheckState::Ok => ("✓", "ok"),
            CheckState::Missing => ("✗", "not"),
            CheckState::Unknown => ("?", "unknown"),
        };
        let _ = writeln!(text, "  {mark} {name:<10} {word}: {}", one_line(advice, 200));
    }
}

/// Describes who can read the keys, and which protections are missing.
fn key_exposure(names: &[String], is_closed: bool) -> Vec<(&'static str, String)> {
    let from = if names.is_empty() { "none in the environment".to_owned() } else { one_line(&names.join(", "), 200) };
    let kept = if is_closed {
        "hidden from commands that the agent runs; only root can read this program's memory"
    } else {
        "hidden from commands that the agent runs; your other programs may read this program's memory"
    };
    vec![("keys", from), ("", kept.to_owned())]
}

fn describe_engine(text: &mut String, engine: &EngineListing) {
    let place = engine.base_url.as_deref().map(redact_login).unwrap_or_default();
    let found = match (engine.is_discovered, engine.is_accepted) {
        (false, _) => "",
        (true, false) => ", found here",
        (true, true) => ", found here and chosen",
    };
    match &engine.models {
        Ok(models) if engine.engine == gguf::SPEC.name => {
            let _ = match models.len() {
                _ if !gguf::IS_BUILT_IN => writeln!(text, "  · {:<9} {}", engine.engine, gguf::SPEC.setup_hint),
                0 => writeln!(text, "  · {:<9} {}; no file was found", engine.engine, gguf::SPEC.setup_hint),
                count => writeln!(text, "  ✓ {:<9} built in; {count} model files found", engine.engine),
            };
        }
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
