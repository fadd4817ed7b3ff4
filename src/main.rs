//! Parses the command line, chooses a mode, returns the exit code. Everything else is in the library.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use jarvis_tui::app::{self, ChatContext};
use jarvis_tui::bridge::SessionHandle;
use jarvis_tui::cli::{self, Cli, CliCommand, ConfigCommand, OutputFormat, SessionsCommand};
use jarvis_tui::config::keys::Keymap;
use jarvis_tui::config::{self, ConfigSources, LoadedConfig, Paths};
use jarvis_tui::event::{Fault, Millis, Seq};
use jarvis_tui::headless::output::{self, OutputError, print_error};
use jarvis_tui::headless::save_errors::{SaveErrors, exit_code_for};
use jarvis_tui::headless::stdin::piped_prompt;
use jarvis_tui::headless::{self, Format, RunOptions, commands};
use jarvis_tui::runtime::{
    AttachedSession, Frontend, NameClaim, RemoteModels, Runtime, ServerPlan, StartMode, UnusableSettings, UsageError,
    replay,
};
use jarvis_tui::serve;
use jarvis_tui::text::one_line;

/// Exit codes; see the README.
const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_CONFIG: u8 = 3;

fn main() -> ExitCode {
    let cli = match Cli::parse_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(output::print_usage_error(&error)),
    };
    // These know only the command line, so no settings can be in their way.
    match cli.command {
        Some(CliCommand::Completions { shell }) => return print_text(Ok(cli::completions(shell))),
        Some(CliCommand::Man) => return print_text(cli::man_page()),
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(&format!("can't start: {error}"));
            return ExitCode::from(EXIT_FAILED);
        }
    };
    let code = runtime.block_on(run_cli(cli));
    // A thread that still waits for standard input must not delay the exit.
    runtime.shutdown_background();
    ExitCode::from(code)
}

fn print_text(text: std::io::Result<String>) -> ExitCode {
    let printed = text.map_err(OutputError::from).and_then(|text| output::print(&text));
    ExitCode::from(printed.map_or_else(|error| error.report(), |()| 0))
}

async fn run_cli(cli: Cli) -> u8 {
    let env = |name: &str| std::env::var(name).ok();
    let prepared = prepare(&cli, &env);
    let (paths, folder) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            print_error(&format!("{error:#}"));
            return EXIT_CONFIG;
        }
    };
    let flags = cli.overrides();
    let load =
        ConfigSources { paths: &paths, folder: &folder, file: cli.shared.config.as_deref(), env: &env, flags: &flags };
    if let Some(CliCommand::Config(command)) = &cli.command {
        return run_config(*command, &load).unwrap_or_else(|error| report_error(&error));
    }
    let loaded = match config::load(&load) {
        Ok(loaded) => loaded,
        Err(error) => {
            print_error(&error.to_string());
            return EXIT_CONFIG;
        }
    };
    // Done before starting any program that could read them. The command line may name more variables.
    let mut keys = loaded.config.key_variables(&env);
    keys.extend(cli.key_variables());
    config::environment::take_variables(&keys);
    for warning in &loaded.warnings {
        print_error(&warning.to_string());
    }
    init_logging(&paths, cli.shared.log_level());
    let files = config::load::config_files(&load);
    let done = match cli.command {
        None => run_chat(cli.chat, loaded, paths, folder).await,
        Some(CliCommand::Attach(attach)) => run_attach(&attach, loaded, paths, folder).await,
        Some(CliCommand::Serve(serve)) => run_serve(&serve, loaded, paths, folder).await,
        Some(CliCommand::Replay(replay)) => run_replay(replay, loaded, paths, folder).await,
        Some(CliCommand::Frame(frame)) => {
            let runtime = Runtime::new(loaded, paths, folder, Frontend::Headless, None);
            print_frame(&frame, &runtime).await
        }
        Some(CliCommand::Sessions(command)) => {
            let runtime = Runtime::new(loaded, paths, folder, Frontend::Headless, None);
            run_sessions(command, runtime).await
        }
        Some(CliCommand::Models { json }) => {
            let runtime = Runtime::new(loaded, paths, folder, Frontend::Headless, None);
            commands::list_models(&runtime, json).await.map(|()| 0).map_err(Into::into)
        }
        Some(CliCommand::Doctor) => {
            let runtime = Runtime::new(loaded, paths, folder, Frontend::Headless, None);
            let starts = commands::doctor(&runtime, &files).await;
            starts.map(|starts| if starts { 0 } else { EXIT_FAILED }).map_err(Into::into)
        }
        // Handled before the settings were read.
        Some(CliCommand::Config(_) | CliCommand::Completions { .. } | CliCommand::Man) => Ok(0),
    };
    match done {
        Ok(code) => code,
        Err(error) => report_error(&error),
    }
}

/// Reports an error and returns its exit code.
fn report_error(error: &anyhow::Error) -> u8 {
    if let Some(unwritten) = error.downcast_ref::<OutputError>() {
        return unwritten.report();
    }
    print_error(&format!("{error:#}"));
    match error.downcast_ref::<Fault>() {
        Some(fault) => headless::exit_code(fault),
        None if error.is::<UnusableSettings>() || error.is::<config::ConfigError>() => EXIT_CONFIG,
        None if error.is::<UsageError>() => EXIT_USAGE,
        None => EXIT_FAILED,
    }
}

fn prepare(cli: &Cli, env: config::Env<'_>) -> anyhow::Result<(Paths, PathBuf)> {
    let paths = Paths::find(env)?;
    let folder = match &cli.shared.folder {
        Some(folder) => folder.canonicalize().with_context(|| format!("can't use the folder {}", folder.display()))?,
        None => std::env::current_dir().context("the working folder no longer exists")?,
    };
    Ok((paths, folder.canonicalize().unwrap_or(folder)))
}

fn run_config(command: ConfigCommand, load: &ConfigSources<'_>) -> anyhow::Result<u8> {
    match command {
        ConfigCommand::Path => commands::show_config_files(&config::load::config_files(load))?,
        ConfigCommand::Show => {
            let loaded = config::load(load)?;
            for warning in &loaded.warnings {
                print_error(&warning.to_string());
            }
            commands::show_config(&loaded)?;
        }
        ConfigCommand::Keys => {
            let (keymap, warnings) = Keymap::new(&config::load(load)?.config.keys);
            for warning in &warnings {
                print_error(warning);
            }
            output::print(&keymap.to_settings())?;
        }
        ConfigCommand::Check => return check_config(load),
        ConfigCommand::Init => output::print(&format!("{}\n", config::load::init(load)?.display()))?,
        ConfigCommand::Trust { remove: false } => {
            let project = config::load::trust(load.paths, load.folder)?;
            output::print(&format!("{} is trusted as it is now\n", project.file.display()))?;
        }
        ConfigCommand::Trust { remove: true } => {
            let was = config::load::distrust(load.paths, load.folder)?;
            output::print(if was { "no longer trusted\n" } else { "was not trusted\n" })?;
        }
    }
    Ok(0)
}

/// The keymap finds errors in keys, the settings all others.
fn check_config(load: &ConfigSources<'_>) -> anyhow::Result<u8> {
    let checked = config::load::check(load);
    if let Err(error) = &checked {
        print_error(&error.to_string());
    }
    // The keys can be checked even if there are errors elsewhere.
    let loaded = checked.as_ref().map_or_else(|_| config::load(load).ok(), |loaded| Some(loaded.clone()));
    let about_keys = loaded.map(|loaded| Keymap::new(&loaded.config.keys).1).unwrap_or_default();
    for warning in &about_keys {
        print_error(warning);
    }
    if checked.is_ok() && about_keys.is_empty() {
        output::print("no mistakes found\n")?;
        return Ok(0);
    }
    Ok(EXIT_CONFIG)
}

async fn run_chat(chat: cli::ChatArgs, loaded: LoadedConfig, paths: Paths, folder: PathBuf) -> anyhow::Result<u8> {
    let start = match (&chat.resume, chat.continue_newest) {
        (Some(wanted), _) => StartMode::Resume(wanted.clone()),
        (None, true) => StartMode::Continue,
        (None, false) => StartMode::New,
    };
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if chat.printing.is_headless() || !on_terminal {
        let Some(prompt) = piped_prompt(chat.prompt_text().as_deref(), chat.printing.print.is_some()).await? else {
            print_error("no terminal and no prompt; pipe a prompt in, or give it with -p (see --help)");
            return Ok(EXIT_USAGE);
        };
        let format = format_of(chat.printing.format());
        let mut runtime = Runtime::new(loaded, paths, folder, Frontend::Headless, chat.system);
        let unsaved = SaveErrors::default();
        runtime.on_save_change(unsaved.listener(false));
        let live = runtime.open(&start)?;
        for notice in runtime.take_restore_notices() {
            print_error(&notice);
        }
        let run = RunOptions {
            format,
            prompt: Some(prompt),
            after: live.hub.last_seq(),
            source: "agent",
            shared: false,
            timeout: chat.printing.timeout,
            opened_event: None,
            explain: false,
        };
        let code = headless::run(live, run).await;
        runtime.close().await;
        return Ok(final_exit_code(&unsaved, code?));
    }
    let mut runtime = Runtime::new(loaded, paths, folder, Frontend::Tui, chat.system.clone());
    // With an unknown model, a screen could only repeat this error for every prompt.
    if let Err(fault) = runtime.engine_resolver().check_requested().await {
        print_error(&fault.message);
        return Ok(EXIT_CONFIG);
    }
    let unsaved = SaveErrors::default();
    runtime.on_save_change(unsaved.listener(false));
    let live = runtime.open(&start)?;
    let prompt = chat.prompt_text();
    let claim = NameClaim::exclusive(live.session.clone());
    let showing = ScreenOptions {
        draft_claim: Some(claim),
        prompt,
        can_start_session: true,
        save_errors: unsaved,
        ..ScreenOptions::default()
    };
    run_screen(runtime, live, showing).await
}

async fn run_attach(
    attach: &cli::AttachArgs,
    loaded: LoadedConfig,
    paths: Paths,
    folder: PathBuf,
) -> anyhow::Result<u8> {
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let prints = attach.printing.is_headless() || !on_terminal;
    let audience = if prints { Frontend::Headless } else { Frontend::Tui };
    let mut runtime = Runtime::new(loaded, paths, folder, audience, None);
    let unsaved = SaveErrors::default();
    runtime.on_save_change(unsaved.listener(false));
    let given = attach.printing.prompt();
    let prompt = if attach.printing.print.is_some() || (prints && runtime.is_request_only(attach)? && !attach.read_only)
    {
        piped_prompt(given, attach.printing.print.is_some()).await?
    } else {
        None
    };
    if prints && prompt.is_none() && runtime.is_request_only(attach)? && !attach.read_only {
        if attach.explain {
            output::print(&format!("{}\n", runtime.explain(attach).await?))?;
            return Ok(0);
        }
        let text = format!(
            "no prompt for {}: give one with -p, or watch a stream with --request get",
            runtime.target_name(attach)?
        );
        return Err(UsageError(text).into());
    }
    let AttachedSession { handle: live, history_end: past, opened_event: opened, models, remarks, shared } =
        runtime.attach(attach, prompt.is_some()).await?;
    if prints {
        for remark in &remarks {
            print_error(remark);
        }
        let run = RunOptions {
            format: format_of(attach.printing.format()),
            // With a prompt, only its answer is printed; otherwise everything.
            after: if prompt.is_some() { past } else { Seq(attach.from_seq.unwrap_or(0)) },
            opened_event: opened.filter(|_| prompt.is_some()),
            prompt,
            // A session's log in a file is played.
            source: if live.capabilities.seek { "replay" } else { "remote" },
            shared,
            timeout: attach.printing.timeout,
            explain: attach.explain,
        };
        let code = headless::run(live, run).await;
        runtime.close().await;
        return Ok(final_exit_code(&unsaved, code?));
    }
    // The draft is kept for the next client of the same target.
    let claim = live.capabilities.prompt.then(|| runtime.claim_draft(&attach.target));
    run_screen(
        runtime,
        live,
        ScreenOptions {
            draft_claim: claim,
            prompt,
            models: Some(models),
            remarks,
            save_errors: unsaved,
            ..ScreenOptions::default()
        },
    )
    .await
}

/// Serves on the program's only thread: tokens of the agent reach clients sooner than across two, and slow work (tools,
/// listings) has threads of its own.
async fn run_serve(args: &cli::ServeArgs, loaded: LoadedConfig, paths: Paths, folder: PathBuf) -> anyhow::Result<u8> {
    let mut runtime = Runtime::new(loaded, paths, folder, Frontend::Server, args.system.clone());
    let unsaved = SaveErrors::default();
    runtime.on_save_change(unsaved.listener(true));
    let ServerPlan { factory, settings, host, port, warnings } = runtime.plan_server(args).await?;
    for warning in &warnings {
        print_error(warning);
    }
    let listener = tokio::net::TcpListener::bind((host.as_str(), port))
        .await
        .with_context(|| format!("can't listen on {host} port {port}"))?;
    let address = listener.local_addr().context("the listening address is unknown")?;
    let mut interrupts = headless::Interrupts::new();
    output::print(&format!("listening on http://{address}\n"))?;
    let state = serve::ServerState::new(factory, settings);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = serve::run(listener, state, async { drop(stopped.await) });
    let mut running = std::pin::pin!(running);
    tokio::select! {
        () = &mut running => return Ok(unsaved.exit_code(0)),
        () = interrupts.next() => drop(stop),
    }
    tokio::select! {
        () = running => Ok(unsaved.exit_code(0)),
        // A second interrupt stops at once.
        () = interrupts.next() => Ok(EXIT_FAILED),
    }
}

async fn run_replay(
    replay_args: cli::ReplayArgs,
    loaded: LoadedConfig,
    paths: Paths,
    folder: PathBuf,
) -> anyhow::Result<u8> {
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut runtime = Runtime::new(loaded, paths, folder, Frontend::Tui, None);
    if replay_args.headless || !on_terminal {
        let live = runtime.open_whole_log(&replay_args.file)?;
        let format = format_of(replay_args.format());
        let run = RunOptions {
            format,
            prompt: None,
            after: Seq(0),
            source: "replay",
            shared: false,
            timeout: None,
            opened_event: None,
            explain: false,
        };
        return Ok(headless::run(live, run).await?);
    }
    let options = replay::ReplayOptions {
        speed: replay_args.speed as f32,
        from: replay_args.from.map(Millis::from).unwrap_or_default(),
        max_idle: replay_args.max_idle.map(Millis::from),
        paused: false,
    };
    let live = runtime.open_replay(&replay_args.file, options)?;
    // During playback, this is reported at the end.
    let remarks = runtime.find_log_damage(&replay_args.file).into_iter().map(|(_, text)| text).collect();
    run_screen(runtime, live, ScreenOptions { remarks, ..ScreenOptions::default() }).await
}

/// Options of the screen.
#[derive(Default)]
struct ScreenOptions {
    /// The name under which its draft is saved.
    draft_claim: Option<NameClaim>,
    prompt: Option<String>,
    /// Whether a new session can be started from here.
    can_start_session: bool,
    models: Option<RemoteModels>,
    remarks: Vec<String>,
    save_errors: SaveErrors,
}

/// Shows a session until the person leaves, then shuts down in order.
async fn run_screen(mut runtime: Runtime, live: SessionHandle, showing: ScreenOptions) -> anyhow::Result<u8> {
    let ScreenOptions {
        draft_claim: claim,
        prompt,
        can_start_session: can_begin,
        models,
        remarks,
        save_errors: unsaved,
    } = showing;
    let status = live.status.clone();
    let (keymap, about_keys) = Keymap::new(&runtime.config().keys);
    let mut warnings: Vec<String> = runtime.loaded.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(about_keys);
    let draft = claim.as_ref().and_then(|claim| runtime.load_draft(claim));
    warnings.extend(runtime.take_restore_notices());
    warnings.extend(remarks);
    let chooser = runtime.engine_resolver();
    let mut shell = ChatContext {
        session: live,
        frames: runtime.frames(),
        ui: runtime.config().ui.clone(),
        keymap,
        warnings,
        prompt,
        draft,
        state: claim.map(|claim| (runtime.paths.session_state_dir(), claim)),
        history: Some(runtime.paths.history_file()),
        #[cfg(feature = "images")]
        folder: runtime.folder.clone(),
        list_models: match models {
            Some(models) => Box::new(move || Box::pin(models.clone().model_choices())),
            None => Box::new(move || Box::pin(chooser.clone().model_choices())),
        },
        new_session: None,
    };
    if can_begin {
        shell.new_session = Some(Box::new(|| {
            let live = runtime.open(&StartMode::New).map_err(|error| format!("{error:#}"));
            Box::pin(async { live })
        }));
    }
    let code = app::run(shell).await;
    runtime.close().await;
    let code = code.context("the terminal")?;
    // A mirror reports on its log itself.
    let unsaved = unsaved.describe().or_else(|| {
        let why = status.borrow().save_error.clone()?;
        Some(format!("this session is not saved: {why}"))
    });
    if let Some(why) = &unsaved {
        print_error(&one_line(why, 400));
    }
    Ok(exit_code_for(code, unsaved.is_some()))
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

async fn print_frame(frame: &cli::FrameArgs, runtime: &Runtime) -> anyhow::Result<u8> {
    let kind = match frame.format {
        cli::FrameFormat::Text => headless::screen_dump::ScreenFormat::Text,
        cli::FrameFormat::Ansi => headless::screen_dump::ScreenFormat::Ansi,
        cli::FrameFormat::Svg => headless::screen_dump::ScreenFormat::Svg,
    };
    let size = (frame.size.width, frame.size.height);
    let path = runtime.session_path(&frame.file.to_string_lossy())?;
    // The screen shows it only at the end.
    for (_, text) in runtime.find_log_damage(&path) {
        print_error(&text);
    }
    output::print_raw(&headless::screen_dump::dump_screen(runtime, &path, frame.seq.map(Seq), size, kind).await?)?;
    Ok(0)
}

async fn run_sessions(command: SessionsCommand, runtime: Runtime) -> anyhow::Result<u8> {
    match command {
        SessionsCommand::List { all, json } => {
            return Ok(if commands::list_sessions(&runtime, all, json)? { 0 } else { EXIT_FAILED });
        }
        SessionsCommand::Show { id, json } => {
            let path = runtime.session_path(&id)?;
            let live = runtime.open_whole_log(&path)?;
            if json {
                let run = RunOptions {
                    format: Format::Json,
                    prompt: None,
                    after: Seq(0),
                    source: "replay",
                    shared: false,
                    timeout: None,
                    opened_event: None,
                    explain: false,
                };
                headless::run(live, run).await?;
            } else {
                headless::print_session(live).await?;
            }
        }
        SessionsCommand::Rm { ids } => {
            let mut code = 0;
            for id in ids {
                // If one can't be removed, the others still are.
                match runtime.remove_session(&id) {
                    Ok(removed) => output::print(&format!("removed {removed}\n"))?,
                    Err(error) => code = report_error(&error),
                }
            }
            return Ok(code);
        }
    }
    Ok(0)
}

fn format_of(format: OutputFormat) -> Format {
    match format {
        OutputFormat::Text => Format::Text,
        OutputFormat::Json => Format::Json,
        OutputFormat::StreamJson => Format::StreamJson,
    }
}

/// Opens the log file for developers; it is created with the first line.
fn init_logging(paths: &Paths, level: Option<cli::LogLevel>) {
    use tracing_subscriber::EnvFilter;
    let own = std::env::var("JARVIS_TUI_LOG").or_else(|_| std::env::var("RUST_LOG")).ok();
    let filter = match (level, own) {
        (Some(level), _) => format!("jarvis_tui={}", level.name()),
        (None, Some(own)) => own,
        (None, None) => return,
    };
    let Ok(filter) = EnvFilter::try_new(filter) else { return };
    let path = paths.log_file();
    if paths.create_dirs().is_err() {
        return;
    }
    let Ok(file) = open_log_file(&path) else { return };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).try_init();
}

fn open_log_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
