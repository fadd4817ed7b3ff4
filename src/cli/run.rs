//! Runs commands: one file each. Here is what all of them need, and how each reports its end.

mod acp;
mod attach;
mod auth;
mod chat;
mod compare;
mod config;
mod doctor;
mod export;
mod frame;
mod mcp;
mod models;
mod program_log;
mod replay;
mod screen;
mod serve;
mod sessions;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{CassetteArgs, CassetteChoice, Cli, CliCommand, CommonArgs, completions, man_page};
use crate::config::{
    ConfigError, ConfigFiles, ConfigSources, LoadedConfig, Overrides, Paths, SettingsSource, environment, load,
};
use crate::event::{Fault, PromptContext};
use crate::headless;
use crate::headless::output::{self, OutputError, print_error};
use crate::headless::save_errors::SaveErrors;
use crate::runtime::redaction;
use crate::runtime::{
    Cassette, CassetteMode, Frontend, MentionScope, Runtime, UnusableSettings, UsageError, open_cassette,
};
use crate::text::one_line;

/// Exit codes; see the README.
pub const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_CONFIG: u8 = 3;

/// Runs the command and returns the exit code.
pub async fn run(cli: Cli) -> u8 {
    run_command(cli).await.unwrap_or_else(|error| report_error(&error))
}

async fn run_command(cli: Cli) -> anyhow::Result<u8> {
    let cassette = cli.cassette().clone();
    let start =
        StartOptions { flags: cli.overrides(), key_variables: cli.key_variables(), cassette, shared: cli.shared };
    match cli.command {
        None if cli.chat.agent.is_some() => {
            let context = start.load()?;
            let (args, prompt) =
                cli.chat.agent_args(is_on_terminal(), |name| context.loaded.config.remotes.contains_key(name));
            attach::run(&args, prompt, context).await
        }
        None => Box::pin(chat::run(cli.chat, start.load()?)).await,
        Some(CliCommand::Attach(args)) => attach::run(&args, None, start.load()?).await,
        Some(CliCommand::Acp(args)) => acp::run(&args, start.load()?).await,
        Some(CliCommand::Serve(args)) => serve::run(&args, start.load()?).await,
        Some(CliCommand::Replay(args)) => replay::run(&args, start.load()?).await,
        Some(CliCommand::Compare(args)) => compare::run(args, start).await,
        Some(CliCommand::Frame(args)) => frame::run(&args, start.load()?).await,
        Some(CliCommand::Export(args)) => export::run(&args, start.load()?),
        Some(CliCommand::Sessions(command)) => sessions::run(command, start.load()?).await,
        Some(CliCommand::Models { json }) => models::run(json, start.load()?).await,
        Some(CliCommand::Auth { json, .. }) => auth::run(json, &start.load()?),
        Some(CliCommand::Mcp(command)) => mcp::run(command, start).await,
        Some(CliCommand::Doctor) => doctor::run(start.load()?).await,
        Some(CliCommand::Config(command)) => start.with_sources(|sources| config::run(command, sources))?,
        // These know only the command line, so no settings can be in their way.
        Some(CliCommand::Completions { shell }) => print(&completions(shell)),
        Some(CliCommand::Man) => print(&man_page().map_err(OutputError::from)?),
    }
}

fn print(text: &str) -> anyhow::Result<u8> {
    output::print(text)?;
    Ok(0)
}

/// Reads what the words of the command line mention, and the files that it names. What came by a pipe is data: it is not
/// looked at, for nobody here wrote it.
async fn mentioned_files(
    runtime: &Runtime,
    words: Option<String>,
    files: Option<String>,
) -> anyhow::Result<Vec<PromptContext>> {
    let workspace = runtime.workspace();
    let read = tokio::task::spawn_blocking(move || {
        let read = |text: Option<String>, scope| workspace.read_mentions(&text.unwrap_or_default(), scope);
        (read(files, MentionScope::Anywhere), read(words, MentionScope::WorkingFolder))
    });
    let (named, mentioned) = read.await?;
    if !named.problems.is_empty() {
        return Err(UsageError(named.problems.join("; ")).into());
    }
    let read = named.and(mentioned);
    for problem in &read.problems {
        print_error(problem);
    }
    Ok(read.context)
}

/// What of the command line says where to start.
struct StartOptions {
    shared: CommonArgs,
    flags: Overrides,
    /// Variables that hold tokens.
    key_variables: Vec<String>,
    cassette: CassetteArgs,
}

/// What a command runs with.
struct RunContext {
    loaded: LoadedConfig,
    files: ConfigFiles,
    /// To read the settings again.
    settings: SettingsSource,
    paths: Paths,
    folder: PathBuf,
    cassette: Option<Cassette>,
}

/// There is no folder to work in, or none for the program's files.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct UnusableFolder(anyhow::Error);

impl StartOptions {
    fn with_sources<T>(&self, use_sources: impl FnOnce(&ConfigSources<'_>) -> T) -> anyhow::Result<T> {
        let env = |name: &str| std::env::var(name).ok();
        let paths = Paths::find(&env).map_err(|error| UnusableFolder(error.into()))?;
        let folder = self.folder().map_err(UnusableFolder)?;
        let file = self.shared.config.as_deref();
        Ok(use_sources(&ConfigSources { paths: &paths, folder: &folder, file, env: &env, flags: &self.flags }))
    }

    fn folder(&self) -> anyhow::Result<PathBuf> {
        let folder = match &self.shared.folder {
            Some(folder) => {
                folder.canonicalize().with_context(|| format!("can't use the folder {}", folder.display()))?
            }
            None => std::env::current_dir().context("the working folder no longer exists")?,
        };
        Ok(folder.canonicalize().unwrap_or(folder))
    }

    /// Loads the settings, takes the keys out of the environment, and opens the program log.
    fn load(&self) -> anyhow::Result<RunContext> {
        let mut context = self.with_sources(|sources| {
            let loaded = load(sources)?;
            // Done before starting any program that could read them. The command line may name more variables.
            let mut keys = loaded.config.key_variables(sources.env);
            keys.extend(self.key_variables.iter().cloned());
            environment::take_variables(&keys);
            redaction::configure(&loaded.config, sources.paths);
            let (paths, folder) = (sources.paths.clone(), sources.folder.to_owned());
            let (files, settings) = (load::config_files(sources), SettingsSource::new(sources));
            Ok::<_, ConfigError>(RunContext { loaded, files, settings, paths, folder, cassette: None })
        })??;
        for warning in &context.loaded.warnings {
            print_error(&warning.to_string());
        }
        if let Some(problem) = program_log::open(&context.paths, self.shared.log_level()) {
            print_error(&problem);
        }
        context.cassette = self.open_cassette(&context.folder)?;
        Ok(context)
    }

    fn open_cassette(&self, folder: &Path) -> anyhow::Result<Option<Cassette>> {
        let CassetteArgs { cassette: Some(path), cassette_mode, cassette_speed } = &self.cassette else {
            return Ok(None);
        };
        let mode = match cassette_mode {
            CassetteChoice::Auto => CassetteMode::Auto,
            CassetteChoice::Record => CassetteMode::Record,
            CassetteChoice::Play => CassetteMode::Play,
        };
        Ok(Some(open_cassette(path, mode, *cassette_speed, folder)?))
    }
}

impl RunContext {
    fn runtime(self, frontend: Frontend, system: Option<String>) -> Runtime {
        Runtime::new(self.loaded, self.paths, self.folder, frontend, system).with_cassette(self.cassette)
    }
}

fn is_on_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Reports an error and returns its exit code.
fn report_error(error: &anyhow::Error) -> u8 {
    if let Some(unwritten) = error.downcast_ref::<OutputError>() {
        return unwritten.report();
    }
    print_error(&format!("{error:#}"));
    match error.downcast_ref::<Fault>() {
        Some(fault) => headless::exit_code(fault),
        None if error.is::<UnusableSettings>() || error.is::<ConfigError>() || error.is::<UnusableFolder>() => {
            EXIT_CONFIG
        }
        None if error.is::<UsageError>() => EXIT_USAGE,
        None => EXIT_FAILED,
    }
}

/// Reports save errors from closing the session, unless reported before, and returns the exit code.
fn final_exit_code(unsaved: &SaveErrors, code: u8) -> u8 {
    let ended = unsaved.exit_code(code);
    if ended != code
        && let Some(why) = unsaved.describe()
    {
        print_error(&one_line(&why, 400));
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FaultKind;

    #[test]
    fn an_error_has_the_exit_code_of_its_kind() {
        for (error, code) in [
            (anyhow::anyhow!("anything else"), EXIT_FAILED),
            (UsageError("what was typed".into()).into(), EXIT_USAGE),
            (ConfigError(Vec::new()).into(), EXIT_CONFIG),
            (UnusableFolder(anyhow::anyhow!("gone").context("can't use it")).into(), EXIT_CONFIG),
            (Fault::new(FaultKind::Auth, "no key").into(), 4),
        ] {
            assert_eq!(report_error(&error), code, "{error:#}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_with_the_reason() {
        let shared = CommonArgs { folder: Some("/nonexistent/x".into()), ..CommonArgs::default() };
        let start = StartOptions {
            shared,
            flags: Overrides::default(),
            key_variables: Vec::new(),
            cassette: CassetteArgs::default(),
        };
        let error = start.load().map(drop).unwrap_err();
        assert!(error.is::<UnusableFolder>(), "{error:#}");
        assert!(error.to_string().starts_with("can't use the folder /nonexistent/x: "), "{error}");
    }
}
