//! `compare`: sessions side by side, or the answers of several models to one prompt.
//!
//! A prompt is asked by one run of this program for each model, all at once: each is a session of its own, saved like any
//! other, and one that fails leaves the others alone.

use std::process::Stdio;

use futures_util::future::try_join_all;
use tokio::process::Command;

use super::{EXIT_FAILED, RunContext, StartOptions, is_on_terminal};
use crate::app::comparison;
use crate::bridge::HubItem;
use crate::cli::{CommonArgs, CompareArgs, CompareFormat};
use crate::compare::ComparedSession;
use crate::compare::report::Report;
use crate::config::UiConfig;
use crate::config::themes::ThemeFolder;
use crate::event::{Envelope, Seq};
use crate::headless::output::{print, print_error, print_json};
use crate::runtime::{Frontend, Runtime, UsageError};

pub(super) async fn run(args: CompareArgs, start: StartOptions) -> anyhow::Result<u8> {
    let can_show = args.format().is_none() && is_on_terminal();
    let mut look = None;
    let (sessions, failed) = if let Some(prompt) = &args.prompt {
        // Whoever is asked finds the keys in the environment, from which settings would take them.
        ask_all(prompt, &args, &start.shared).await?
    } else {
        let context = start.load()?;
        look = Some(PaneLook::of(&context));
        let runtime = context.runtime(Frontend::Headless, None);
        let mut sessions = Vec::new();
        for name in &args.sessions {
            sessions.push(read_session(&runtime, name).await?);
        }
        (sessions, false)
    };
    let report = Report::new(sessions);
    let code = if failed { EXIT_FAILED } else { 0 };
    if can_show {
        let look = look.map_or_else(|| start.load().map(|context| PaneLook::of(&context)), Ok)?;
        if comparison::can_show_panes(&look.ui) {
            let shown = Box::pin(comparison::run_comparison(report.side_by_side(), &look.ui, &look.themes)).await?;
            return Ok(if shown == 0 { code } else { shown });
        }
    }
    if args.format() == Some(CompareFormat::Json) {
        print_json(&report.to_json().to_string())?;
    } else {
        print(&report.to_text())?;
    }
    Ok(code)
}

/// What the settings say of panes.
struct PaneLook {
    ui: UiConfig,
    themes: ThemeFolder,
}

impl PaneLook {
    fn of(context: &RunContext) -> Self {
        Self { ui: context.loaded.config.ui.clone(), themes: context.settings.themes() }
    }
}

/// Folds a saved session.
async fn read_session(runtime: &Runtime, name: &str) -> anyhow::Result<ComparedSession> {
    let path = runtime.session_path(name)?;
    for (_, text) in runtime.find_log_damage(&path) {
        print_error(&format!("{name}: {text}"));
    }
    let live = runtime.open_whole_log(&path)?;
    let mut subscription = live.hub.subscribe(Seq(0));
    let mut envelopes = Vec::new();
    while let Some(HubItem::Event(event)) = subscription.next().await {
        envelopes.push(event.envelope.clone());
    }
    Ok(ComparedSession::of(name, &envelopes))
}

/// Asks everyone at once. Returns the sessions in the order of the command line, and whether one has no answer.
async fn ask_all(
    prompt: &str,
    args: &CompareArgs,
    shared: &CommonArgs,
) -> anyhow::Result<(Vec<ComparedSession>, bool)> {
    let models = args.models.iter().map(|model| (model, vec!["-m", model]));
    let remotes = args.remotes.iter().map(|url| (url, vec!["attach", url]));
    let asked: Vec<_> = models.chain(remotes).collect();
    if asked.len() < 2 {
        return Err(UsageError("name at least two to compare, with -m or --attach".to_owned()).into());
    }
    let answers = try_join_all(asked.iter().map(|(name, target)| ask(name, target, prompt, shared))).await?;
    let failed = answers.iter().any(|(_, failed)| *failed);
    Ok((answers.into_iter().map(|(session, _)| session).collect(), failed))
}

async fn ask(
    name: &str,
    target: &[&str],
    prompt: &str,
    shared: &CommonArgs,
) -> anyhow::Result<(ComparedSession, bool)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(target).args(["-p", prompt, "--output-format", "stream-json"]).args(shared_flags(shared));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = command.spawn()?.wait_with_output().await?;
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        print_error(&format!("{name}: {}", line.trim_start_matches("jarvis-tui: ")));
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let envelopes: Vec<Envelope> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Ok((ComparedSession::of(name, &envelopes), !output.status.success()))
}

/// Returns those flags again that say where and with which settings to work.
fn shared_flags(shared: &CommonArgs) -> Vec<std::ffi::OsString> {
    let CommonArgs { folder, profile, config, set, .. } = shared;
    let mut flags = Vec::new();
    let mut add = |flag: &str, value: &std::ffi::OsStr| flags.extend([flag.into(), value.to_owned()]);
    if let Some(folder) = folder {
        add("--cd", folder.as_os_str());
    }
    if let Some(profile) = profile {
        add("--profile", profile.as_ref());
    }
    if let Some(config) = config {
        add("--config", config.as_os_str());
    }
    for setting in set {
        add("--set", setting.as_ref());
    }
    flags
}
