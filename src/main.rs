//! Reads the command line, chooses a mode, returns the exit code. Everything else is in the library.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use jarvis_tui::app::{self, Shell};
use jarvis_tui::assemble::{Attached, Audience, Claim, House, Models, Serving, Start, Unfit, Wrong, replay};
use jarvis_tui::bridge::Live;
use jarvis_tui::cli::{self, Cli, Command, ConfigCommand, OutputFormat, Sessions};
use jarvis_tui::config::keys::Keymap;
use jarvis_tui::config::{self, Load, Loaded, Paths};
use jarvis_tui::event::{Fault, Millis, Seq};
use jarvis_tui::headless::output::{self, Unwritten, complain};
use jarvis_tui::headless::stdin::piped_prompt;
use jarvis_tui::headless::unsaved::{Unsaved, not_saved};
use jarvis_tui::headless::{self, Format, Run, commands};
use jarvis_tui::serve;
use jarvis_tui::text::one_line;

/// Exit codes, see the README.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const CONFIGURATION: u8 = 3;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(output::about_command_line(&error)),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("can't start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(start(cli));
    // A thread that still waits for standard input must not hold up the exit.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn start(cli: Cli) -> u8 {
    let env = |name: &str| std::env::var(name).ok();
    let prepared = prepare(&cli, &env);
    let (paths, folder) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            complain(&format!("{error:#}"));
            return CONFIGURATION;
        }
    };
    let flags = cli.overrides();
    let load = Load { paths: &paths, folder: &folder, file: cli.shared.config.as_deref(), env: &env, flags: &flags };
    if let Some(Command::Config(command)) = &cli.command {
        return settings(*command, &load).unwrap_or_else(|error| told(&error));
    }
    let loaded = match config::load(&load) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error.to_string());
            return CONFIGURATION;
        }
    };
    // Before anything is started that could read them. The command line may name more.
    let mut keys = loaded.config.key_variables(&env);
    keys.extend(cli.key_variables());
    config::environment::take(&keys);
    for warning in &loaded.warnings {
        complain(&warning.to_string());
    }
    log_to(&paths, cli.shared.log_level());
    let files = config::load::files(&load);
    let done = match cli.command {
        None => chat(cli.chat, loaded, paths, folder).await,
        Some(Command::Attach(attach)) => attached(&attach, loaded, paths, folder).await,
        Some(Command::Serve(serve)) => served(&serve, loaded, paths, folder).await,
        Some(Command::Replay(replay)) => play(replay, loaded, paths, folder).await,
        Some(Command::Frame(frame)) => {
            let house = House::new(loaded, paths, folder, Audience::Pipe, None);
            one_frame(&frame, &house).await
        }
        Some(Command::Sessions(command)) => {
            let house = House::new(loaded, paths, folder, Audience::Pipe, None);
            sessions(command, house).await
        }
        Some(Command::Models { json }) => {
            let house = House::new(loaded, paths, folder, Audience::Pipe, None);
            commands::list_models(&house, json).await.map(|()| 0).map_err(Into::into)
        }
        Some(Command::Doctor) => {
            let house = House::new(loaded, paths, folder, Audience::Pipe, None);
            let starts = commands::doctor(&house, &files).await;
            starts.map(|starts| if starts { 0 } else { FAILED }).map_err(Into::into)
        }
        // Settings were dealt with before they were read.
        Some(Command::Config(_)) => Ok(0),
    };
    match done {
        Ok(code) => code,
        Err(error) => told(&error),
    }
}

/// Says what went wrong and returns the exit code of it.
fn told(error: &anyhow::Error) -> u8 {
    if let Some(unwritten) = error.downcast_ref::<Unwritten>() {
        return unwritten.tell();
    }
    complain(&format!("{error:#}"));
    match error.downcast_ref::<Fault>() {
        Some(fault) => headless::exit_code(fault),
        None if error.is::<Unfit>() || error.is::<config::Error>() => CONFIGURATION,
        None if error.is::<Wrong>() => USAGE,
        None => FAILED,
    }
}

fn prepare(cli: &Cli, env: config::Env<'_>) -> anyhow::Result<(Paths, PathBuf)> {
    let paths = Paths::find(env)?;
    let folder = match &cli.shared.folder {
        Some(folder) => folder.canonicalize().with_context(|| format!("can't work in {}", folder.display()))?,
        None => std::env::current_dir().context("the working folder is gone")?,
    };
    Ok((paths, folder.canonicalize().unwrap_or(folder)))
}

fn settings(command: ConfigCommand, load: &Load<'_>) -> anyhow::Result<u8> {
    match command {
        ConfigCommand::Path => commands::show_files(&config::load::files(load))?,
        ConfigCommand::Show => {
            let loaded = config::load(load)?;
            for warning in &loaded.warnings {
                complain(&warning.to_string());
            }
            commands::show_config(&loaded)?;
        }
        ConfigCommand::Keys => {
            let (keymap, warnings) = Keymap::new(&config::load(load)?.config.keys);
            for warning in &warnings {
                complain(warning);
            }
            output::print(&keymap.settings())?;
        }
        ConfigCommand::Check => return check_settings(load),
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

/// Mistakes in keys are found by the keymap, all others by the settings.
fn check_settings(load: &Load<'_>) -> anyhow::Result<u8> {
    let checked = config::load::check(load);
    if let Err(error) = &checked {
        complain(&error.to_string());
    }
    // With mistakes elsewhere the keys can still be read.
    let loaded = checked.as_ref().map_or_else(|_| config::load(load).ok(), |loaded| Some(loaded.clone()));
    let about_keys = loaded.map(|loaded| Keymap::new(&loaded.config.keys).1).unwrap_or_default();
    for warning in &about_keys {
        complain(warning);
    }
    if checked.is_ok() && about_keys.is_empty() {
        output::print("no mistakes found\n")?;
        return Ok(0);
    }
    Ok(CONFIGURATION)
}

async fn chat(chat: cli::Chat, loaded: Loaded, paths: Paths, folder: PathBuf) -> anyhow::Result<u8> {
    let start = match (&chat.resume, chat.go_on) {
        (Some(wanted), _) => Start::Resume(wanted.clone()),
        (None, true) => Start::Continue,
        (None, false) => Start::New,
    };
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if chat.printing.is_headless() || !on_terminal {
        let Some(prompt) = piped_prompt(chat.prompt_text().as_deref(), chat.printing.print.is_some()).await? else {
            complain("there is no terminal and no prompt; pipe one in, or give it with -p (see --help)");
            return Ok(USAGE);
        };
        let format = format_of(chat.printing.format());
        let mut house = House::new(loaded, paths, folder, Audience::Pipe, chat.system);
        let unsaved = Unsaved::default();
        house.on_trouble(unsaved.hear(false));
        let live = house.open(&start)?;
        for told in house.take_told() {
            complain(&told);
        }
        let run = Run {
            format,
            prompt: Some(prompt),
            from: live.hub.last(),
            source: "agent",
            shared: false,
            timeout: chat.printing.timeout,
            opened: None,
            explain: false,
        };
        let code = headless::run(live, run).await;
        house.close().await;
        return Ok(at_the_end(&unsaved, code?));
    }
    let mut house = House::new(loaded, paths, folder, Audience::Screen, chat.system.clone());
    // A screen for a model that nobody knows would only say so to every prompt.
    if let Err(fault) = house.chooser().check().await {
        complain(&fault.message);
        return Ok(CONFIGURATION);
    }
    let unsaved = Unsaved::default();
    house.on_trouble(unsaved.hear(false));
    let live = house.open(&start)?;
    let prompt = chat.prompt_text();
    let claim = Claim::sole(live.session.clone());
    let showing = Showing { claim: Some(claim), prompt, can_begin: true, unsaved, ..Showing::default() };
    on_screen(house, live, showing).await
}

async fn attached(attach: &cli::Attach, loaded: Loaded, paths: Paths, folder: PathBuf) -> anyhow::Result<u8> {
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let prints = attach.printing.is_headless() || !on_terminal;
    let audience = if prints { Audience::Pipe } else { Audience::Screen };
    let mut house = House::new(loaded, paths, folder, audience, None);
    let unsaved = Unsaved::default();
    house.on_trouble(unsaved.hear(false));
    let given = attach.printing.prompt();
    let prompt = if attach.printing.print.is_some() || (prints && house.must_ask(attach)? && !attach.read_only) {
        piped_prompt(given, attach.printing.print.is_some()).await?
    } else {
        None
    };
    if prints && prompt.is_none() && house.must_ask(attach)? && !attach.read_only {
        if attach.explain {
            output::print(&format!("{}\n", house.explain(attach).await?))?;
            return Ok(0);
        }
        let text = format!(
            "nothing to ask {}: give a prompt with -p, or watch a stream with --request get",
            house.called(attach)?
        );
        return Err(Wrong(text).into());
    }
    let Attached { live, past, opened, models, remarks, shared } = house.attach(attach, prompt.is_some()).await?;
    if prints {
        for remark in &remarks {
            complain(remark);
        }
        let run = Run {
            format: format_of(attach.printing.format()),
            // Who asks something gets the answer; who watches gets all.
            from: if prompt.is_some() { past } else { Seq(attach.from_seq.unwrap_or(0)) },
            opened: opened.filter(|_| prompt.is_some()),
            prompt,
            // A session's log in a file is played.
            source: if live.caps.seek { "replay" } else { "remote" },
            shared,
            timeout: attach.printing.timeout,
            explain: attach.explain,
        };
        let code = headless::run(live, run).await;
        house.close().await;
        return Ok(at_the_end(&unsaved, code?));
    }
    // A draft waits for whoever attaches to the same place again.
    let claim = live.caps.prompt.then(|| house.claim(&attach.target));
    on_screen(house, live, Showing { claim, prompt, models: Some(models), remarks, unsaved, ..Showing::default() })
        .await
}

/// Serves on the one thread of the program: a token of the agent reaches a client sooner so than over two, and what
/// takes long (tools, listings) has threads of its own.
async fn served(args: &cli::Serve, loaded: Loaded, paths: Paths, folder: PathBuf) -> anyhow::Result<u8> {
    let mut house = House::new(loaded, paths, folder, Audience::Network, args.system.clone());
    let unsaved = Unsaved::default();
    house.on_trouble(unsaved.hear(true));
    let Serving { factory, settings, host, port, warnings } = house.serving(args).await?;
    for warning in &warnings {
        complain(warning);
    }
    let listener = tokio::net::TcpListener::bind((host.as_str(), port))
        .await
        .with_context(|| format!("can't listen on {host} port {port}"))?;
    let address = listener.local_addr().context("the address is gone")?;
    let mut interrupts = headless::Interrupts::new();
    output::print(&format!("listening on http://{address}\n"))?;
    let state = serve::State::new(factory, settings);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = serve::run(listener, state, async { drop(stopped.await) });
    let mut running = std::pin::pin!(running);
    tokio::select! {
        () = &mut running => return Ok(unsaved.exit_code(0)),
        () = interrupts.next() => drop(stop),
    }
    tokio::select! {
        () = running => Ok(unsaved.exit_code(0)),
        // Twice means now.
        () = interrupts.next() => Ok(FAILED),
    }
}

async fn play(replay_args: cli::Replay, loaded: Loaded, paths: Paths, folder: PathBuf) -> anyhow::Result<u8> {
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut house = House::new(loaded, paths, folder, Audience::Screen, None);
    if replay_args.headless || !on_terminal {
        let live = house.print(&replay_args.file)?;
        let format = format_of(replay_args.format());
        let run = Run {
            format,
            prompt: None,
            from: Seq(0),
            source: "replay",
            shared: false,
            timeout: None,
            opened: None,
            explain: false,
        };
        return Ok(headless::run(live, run).await?);
    }
    let options = replay::Options {
        speed: replay_args.speed as f32,
        from: replay_args.from.map(Millis::from).unwrap_or_default(),
        max_idle: replay_args.max_idle.map(Millis::from),
        paused: false,
    };
    let live = house.replay(&replay_args.file, options)?;
    // Played, it comes at the end.
    let remarks = house.damage_of(&replay_args.file).into_iter().map(|(_, text)| text).collect();
    on_screen(house, live, Showing { remarks, ..Showing::default() }).await
}

/// How a session is shown.
#[derive(Default)]
struct Showing {
    /// Under this name its draft is kept.
    claim: Option<Claim>,
    prompt: Option<String>,
    /// A new session may be begun from here.
    can_begin: bool,
    models: Option<Models>,
    remarks: Vec<String>,
    unsaved: Unsaved,
}

/// Shows a session until the person leaves, then lets everything end in order.
async fn on_screen(mut house: House, live: Live, showing: Showing) -> anyhow::Result<u8> {
    let Showing { claim, prompt, can_begin, models, remarks, unsaved } = showing;
    let weather = live.weather.clone();
    let (keymap, about_keys) = Keymap::new(&house.config().keys);
    let mut warnings: Vec<String> = house.loaded.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(about_keys);
    let draft = claim.as_ref().and_then(|claim| house.draft(claim));
    warnings.extend(house.take_told());
    warnings.extend(remarks);
    let chooser = house.chooser();
    let mut shell = Shell {
        live,
        frames: house.frames(),
        ui: house.config().ui.clone(),
        keymap,
        warnings,
        prompt,
        draft,
        state: claim.map(|claim| (house.paths.session_state(), claim)),
        history: Some(house.paths.history_file()),
        #[cfg(feature = "images")]
        folder: house.folder.clone(),
        list_models: match models {
            Some(models) => Box::new(move || Box::pin(models.clone().choices())),
            None => Box::new(move || Box::pin(chooser.clone().choices())),
        },
        new_session: None,
    };
    if can_begin {
        shell.new_session = Some(Box::new(|| {
            let live = house.open(&Start::New).map_err(|error| format!("{error:#}"));
            Box::pin(async { live })
        }));
    }
    let code = app::run(shell).await;
    house.close().await;
    let code = code.context("the terminal")?;
    // A mirror's log is its own affair.
    let unsaved = unsaved.why().or_else(|| {
        let why = weather.borrow().not_saved.clone()?;
        Some(format!("this session is not saved: {why}"))
    });
    if let Some(why) = &unsaved {
        complain(&one_line(why, 400));
    }
    Ok(not_saved(code, unsaved.is_some()))
}

/// Says what became of a log when its session was closed, unless that was said, and returns the exit code.
fn at_the_end(unsaved: &Unsaved, code: u8) -> u8 {
    let ended = unsaved.exit_code(code);
    if ended != code
        && let Some(why) = unsaved.why()
    {
        complain(&one_line(&why, 400));
    }
    ended
}

async fn one_frame(frame: &cli::Frame, house: &House) -> anyhow::Result<u8> {
    let kind = match frame.format {
        cli::FrameFormat::Text => headless::frame::Kind::Text,
        cli::FrameFormat::Ansi => headless::frame::Kind::Ansi,
        cli::FrameFormat::Svg => headless::frame::Kind::Svg,
    };
    let size = (frame.size.width, frame.size.height);
    let path = house.session_path(&frame.file.to_string_lossy())?;
    // The screen shows it at the end only.
    for (_, text) in house.damage_of(&path) {
        complain(&text);
    }
    output::print_exactly(&headless::frame::dump(house, &path, frame.seq.map(Seq), size, kind).await?)?;
    Ok(0)
}

async fn sessions(command: Sessions, house: House) -> anyhow::Result<u8> {
    match command {
        Sessions::List { all, json } => {
            return Ok(if commands::list_sessions(&house, all, json)? { 0 } else { FAILED });
        }
        Sessions::Show { id, json } => {
            let path = house.session_path(&id)?;
            let live = house.print(&path)?;
            if json {
                let run = Run {
                    format: Format::Json,
                    prompt: None,
                    from: Seq(0),
                    source: "replay",
                    shared: false,
                    timeout: None,
                    opened: None,
                    explain: false,
                };
                headless::run(live, run).await?;
            } else {
                headless::show(live).await?;
            }
        }
        Sessions::Rm { ids } => {
            let mut code = 0;
            for id in ids {
                // One that can't be removed is no reason to keep the others.
                match house.remove_session(&id) {
                    Ok(removed) => output::print(&format!("removed {removed}\n"))?,
                    Err(error) => code = told(&error),
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

/// The log file is for developers; it is made when the first line is written.
fn log_to(paths: &Paths, level: Option<cli::LogLevel>) {
    use tracing_subscriber::EnvFilter;
    let own = std::env::var("JARVIS_TUI_LOG").or_else(|_| std::env::var("RUST_LOG")).ok();
    let filter = match (level, own) {
        (Some(level), _) => format!("jarvis_tui={}", level.name()),
        (None, Some(own)) => own,
        (None, None) => return,
    };
    let Ok(filter) = EnvFilter::try_new(filter) else { return };
    let path = paths.log_file();
    if paths.create().is_err() {
        return;
    }
    let Ok(file) = open_log(&path) else { return };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).try_init();
}

fn open_log(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
