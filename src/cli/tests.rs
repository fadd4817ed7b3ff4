use super::*;
use crate::event::Effort;

fn read(line: &[&str]) -> Result<Cli, ErrorKind> {
    Cli::parse_args(["jarvis-tui"].iter().chain(line)).map_err(|error| error.kind())
}

fn ok(line: &[&str]) -> Cli {
    read(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn nothing_typed_opens_the_chat() {
    let cli = ok(&[]);
    assert_eq!(cli, Cli { chat: ChatArgs::default(), shared: CommonArgs::default(), command: None });
    assert_eq!(cli.overrides(), Overrides::default());
    assert!(!cli.chat.printing.is_headless());
}

#[test]
fn print_takes_its_prompt_from_anywhere() {
    for (line, text) in [
        (&["-p", "hi"][..], Some("hi")),
        (&["--print=hi"], Some("hi")),
        (&["-p"], None),
        (&["-p", "--json"], None),
        (&["-p", "--json", "hi"], Some("hi")),
        (&["hi", "-p"], Some("hi")),
        (&["-p", "a", "b"], Some("a\n\nb")),
        (&["-p", "-"], Some("-")),
        (&["--json", "hi"], Some("hi")),
    ] {
        let cli = ok(line);
        assert!(cli.chat.printing.is_headless(), "{line:?}");
        assert_eq!(cli.chat.prompt_text().as_deref(), text, "{line:?}");
    }
    assert!(!ok(&["hi"]).chat.printing.is_headless());
}

#[test]
fn formats_have_their_short_form() {
    for (line, format) in [
        (&["-p", "x"][..], OutputFormat::Text),
        (&["-p", "x", "--output-format", "json"], OutputFormat::Json),
        (&["-p", "x", "--output-format", "stream-json"], OutputFormat::StreamJson),
        (&["-p", "x", "--json"], OutputFormat::StreamJson),
    ] {
        assert_eq!(ok(line).chat.printing.format(), format, "{line:?}");
    }
}

#[test]
fn sessions_go_on() {
    assert!(ok(&["-c"]).chat.continue_newest && ok(&["--continue", "hi"]).chat.continue_newest);
    assert_eq!(ok(&["-r"]).chat.resume, Some(None));
    assert_eq!(ok(&["-r", "0192"]).chat.resume, Some(Some("0192".into())));
}

#[test]
fn flags_reach_the_settings() {
    let line = [
        "-m",
        "ollama/x",
        "--theme",
        "light",
        "--yolo",
        "--no-mouse",
        "--print-on-exit",
        "--effort",
        "high",
        "--profile",
        "work",
        "--max-rounds",
        "3",
        "--max-budget-usd",
        "0.50",
        "--max-tokens",
        "9000",
        "-o",
        "a=b",
        "-o",
        "c=d",
    ];
    let expected = Overrides {
        model: Some("ollama/x".into()),
        profile: Some("work".into()),
        theme: Some(ThemeChoice::Light),
        mode: Some(ApprovalMode::Full),
        effort: Some(Effort::High),
        mouse: Some(false),
        print_on_exit: Some(true),
        screen: None,
        max_rounds: Some(3),
        max_cost: Some(0.5),
        max_tokens: Some(9000),
        assignments: vec!["a=b".into(), "c=d".into()],
    };
    assert_eq!(ok(&line).overrides(), expected);
    assert_eq!(ok(&["--inline"]).overrides().screen, Some(("--inline", ScreenChoice::Inline)));
    assert_eq!(ok(&["--alt-screen"]).overrides().screen, Some(("--alt-screen", ScreenChoice::Alternate)));
    assert_eq!(ok(&["--max-turns", "4"]).overrides().max_rounds, Some(4));
    assert_eq!(ok(&["--screen-reader"]).overrides().screen, Some(("--screen-reader", ScreenChoice::Linear)));
    assert_eq!(ok(&["--no-color"]).overrides().theme, Some(ThemeChoice::Mono));
    assert_eq!(ok(&["--approval-mode", "auto-edit"]).overrides().mode, Some(ApprovalMode::AutoEdit));
}

#[test]
fn what_excludes_each_other_is_refused() {
    for line in [
        &["-c", "-r"][..],
        &["-c", "-r", "x"],
        &["--json", "--output-format", "text"],
        &["--yolo", "--approval-mode", "ask"],
        &["--no-color", "--theme", "dark"],
        &["--inline", "--screen-reader"],
        &["--inline", "--alt-screen"],
        &["-s", "work", "-c"],
        &["-s", "work", "-r"],
        &["--debug", "--log-level", "warn"],
        &["-p", "hi", "doctor"],
        &["-m", "x", "models"],
        &["--yolo", "replay", "f"],
        &["replay", "f", "--headless", "--speed", "2"],
    ] {
        assert_eq!(read(line), Err(ErrorKind::ArgumentConflict), "{line:?}");
    }
}

#[test]
fn shared_flags_stand_before_and_after_commands() {
    for line in [&["-C", "/x", "-o", "a=b", "config", "show"][..], &["config", "show", "-C", "/x", "--set", "a=b"]] {
        let cli = ok(line);
        assert_eq!(cli.command, Some(CliCommand::Config(ConfigCommand::Show)), "{line:?}");
        assert_eq!((cli.shared.folder, cli.shared.set), (Some("/x".into()), vec!["a=b".to_owned()]), "{line:?}");
    }
}

#[test]
fn commands_read_as_typed() {
    let sessions = |command| Some(CliCommand::Sessions(command));
    let config = |command| Some(CliCommand::Config(command));
    for (line, expected) in [
        (&["doctor"][..], Some(CliCommand::Doctor)),
        (&["mcp", "rm", "a"], Some(CliCommand::Mcp(mcp::McpCommand::Rm { name: "a".into() }))),
        (
            &["mcp", "add", "a", "--env", "K=V", "--", "npx", "-y", "x"],
            Some(CliCommand::Mcp(mcp::McpCommand::Add(mcp::McpAddArgs {
                name: "a".into(),
                env: vec!["K=V".into()],
                command: vec!["npx".into(), "-y".into(), "x".into()],
                ..mcp::McpAddArgs::default()
            }))),
        ),
        (&["models", "--json"], Some(CliCommand::Models { json: true })),
        (&["sessions", "list", "--all"], sessions(SessionsCommand::List { all: true, archived: false, json: false })),
        (&["sessions", "show", "a", "--json"], sessions(SessionsCommand::Show { id: "a".into(), json: true })),
        (
            &["sessions", "rename", "a", "New title"],
            sessions(SessionsCommand::Rename { id: "a".into(), title: "New title".into() }),
        ),
        (&["sessions", "archive", "a"], sessions(SessionsCommand::Archive { ids: vec!["a".into()] })),
        (&["sessions", "unarchive", "a"], sessions(SessionsCommand::Unarchive { ids: vec!["a".into()] })),
        (&["sessions", "rm", "a", "b"], sessions(SessionsCommand::Rm { ids: vec!["a".into(), "b".into()] })),
        (&["config", "path"], config(ConfigCommand::Path)),
        (&["config", "keys"], config(ConfigCommand::Keys)),
        (&["config", "check"], config(ConfigCommand::Check)),
        (&["config", "init"], config(ConfigCommand::Init)),
        (&["config", "trust"], config(ConfigCommand::Trust { remove: false })),
        (
            &["replay", "f", "--speed", "2.5x", "--from", "1:30", "--max-idle", "500ms"],
            Some(CliCommand::Replay(ReplayArgs {
                file: "f".into(),
                speed: 2.5,
                from: Some(Duration::from_secs(90)),
                max_idle: Some(Duration::from_millis(500)),
                branch: None,
                headless: false,
                output_format: None,
                json: false,
            })),
        ),
        (
            &["frame", "f", "--seq", "7", "--size", "120x40", "--format", "svg"],
            Some(CliCommand::Frame(FrameArgs {
                file: "f".into(),
                seq: Some(7),
                size: Size { width: 120, height: 40 },
                format: FrameFormat::Svg,
            })),
        ),
    ] {
        assert_eq!(ok(line).command, expected, "{line:?}");
    }
    let Some(CliCommand::Replay(replay)) = ok(&["replay", "f", "--headless", "--output-format", "json"]).command else {
        panic!("not a replay")
    };
    assert_eq!((replay.headless, replay.format(), replay.speed), (true, OutputFormat::Json, 1.0));
}

#[test]
fn an_export_says_its_format_by_a_flag_or_by_its_file() {
    use crate::event::ExportFormat::{Cast, Html, Markdown};
    for (line, format, to_stdout) in [
        (&["export", "a"][..], Markdown, false),
        (&["export", "a", "--format", "html"], Html, false),
        (&["export", "a", "-o", "b.cast"], Cast, false),
        (&["export", "a", "--format", "html", "-o", "b.cast"], Html, false),
        (&["export", "a", "-o", "-"], Markdown, true),
    ] {
        let Some(CliCommand::Export(args)) = ok(line).command else { panic!("{line:?}") };
        assert_eq!((args.format(), args.is_to_stdout()), (format, to_stdout), "{line:?}");
    }
    let cli = ok(&["export", "a", "-o", "b", "--set", "ui.max_fps=3"]);
    assert_eq!(cli.overrides().assignments, ["ui.max_fps=3"], "its -o is no setting");
    assert_eq!(ok(&["-o", "ui.max_fps=3", "export", "a"]).overrides().assignments, ["ui.max_fps=3"]);
    assert!(read(&["export"]).is_err() && read(&["export", "a", "--format", "doc"]).is_err());
}

#[test]
fn values_out_of_range_are_usage_errors() {
    for line in [
        &["--max-rounds", "0"][..],
        &["--timeout", "0s"],
        &["--max-budget-usd", "0"],
        &["--max-budget-usd", "some"],
        &["--max-tokens", "0"],
        &["--timeout", "5"],
        &["--theme", "Pink!"],
        &["--approval-mode", "yes"],
        &["--output-format", "xml"],
        &["replay", "f", "--speed", "0"],
        &["replay", "f", "--speed", "NaN"],
        &["replay", "f", "--from", "1:99"],
        &["replay", "f", "--from", "::"],
        &["replay", "f", "--from", "1:1:1:1"],
        &["frame", "f", "--size", "80"],
        &["frame", "f", "--size", "0x24"],
        &["frame", "f", "--size", "99999x24"],
    ] {
        assert!(matches!(read(line), Err(ErrorKind::ValueValidation | ErrorKind::InvalidValue)), "{line:?}");
    }
    for line in [&["replay"][..], &["sessions", "rm"], &["replay", "f", "--json"]] {
        assert_eq!(read(line), Err(ErrorKind::MissingRequiredArgument), "{line:?}");
    }
}

#[test]
fn usage_errors_leave_with_two_and_help_with_zero() {
    let code = |line: &[&str]| Cli::parse_args(["jarvis-tui"].iter().chain(line)).unwrap_err().exit_code();
    assert_eq!((code(&["--nonsense"]), code(&["-p", "x", "doctor"])), (2, 2));
    assert_eq!((code(&["--help"]), code(&["--version"])), (0, 0));
}

#[test]
fn every_command_and_flag_is_explained() {
    fn walk(command: &clap::Command) {
        for arg in command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
        }
        for inner in command.get_subcommands() {
            assert!(inner.get_about().is_some(), "{}", inner.get_name());
            walk(inner);
        }
    }
    walk(&Cli::command());
    let help = Cli::command().render_help().to_string();
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
}

#[test]
fn a_word_that_was_meant_as_a_command_is_not_sent_to_a_model() {
    for line in [&["login"][..], &["update"], &["sesions"], &["modles", "--debug"], &["nonsense", "--help"]] {
        let error = Cli::parse_args(["jarvis-tui"].iter().chain(line)).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::InvalidSubcommand, 2), "{line:?}");
        let text = error.to_string();
        assert!(text.contains(line[0]) && text.contains("jarvis-tui -- "), "{text}");
    }
    assert!(Cli::parse_args(["jarvis-tui", "sesions"]).unwrap_err().to_string().contains("did you mean `sessions`?"));
}

#[test]
fn a_word_that_is_clearly_a_prompt_is_one() {
    for line in [
        &["hello"][..],
        &["continue"],
        &["-c", "resume"],
        &["resume", "-c"],
        &["login", "-p"],
        &["-p", "login"],
        &["--", "login"],
        &["log in"],
        &["Login"],
    ] {
        assert!(ok(line).chat.prompt_text().is_some(), "{line:?}");
    }
    assert_eq!(read(&["--help"]).unwrap_err(), ErrorKind::DisplayHelp);
    assert_eq!(read(&["help"]).unwrap_err(), ErrorKind::DisplayHelp);
    assert_eq!(read(&["doctor", "--help"]).unwrap_err(), ErrorKind::DisplayHelp);
}

#[test]
fn an_agent_is_a_remote_or_a_program_with_its_first_prompt() {
    let args = |line: &[&str], has_screen| {
        let (args, prompt) = ok(line).chat.agent_args(has_screen, |name| name == "office");
        (args.target.unwrap(), args.printing.print, prompt)
    };
    assert_eq!(args(&["--agent", "office", "hi"], true), ("office".into(), None, Some("hi".into())));
    assert_eq!(args(&["--agent", "opencode"], true), ("acp:opencode".into(), None, None));
    let printed = Some(Some("hi".to_owned()));
    assert_eq!(args(&["--agent", "gemini", "hi"], false), ("acp:gemini".into(), printed.clone(), None));
    assert_eq!(args(&["--agent", "gemini", "-p", "hi"], true), ("acp:gemini".into(), printed, None));
    assert!(read(&["--agent", "x", "-c"]).is_err() && read(&["--agent", "x", "--system", "y"]).is_err());
    assert!(read(&["--agent", "x", "doctor"]).is_err());
}

#[test]
fn a_line_behind_the_attach_command_is_read_like_its_arguments() {
    let line = AttachArgs::parse_line("http://h:8000/v1 --dialect openai --read-only --session 'a b'").unwrap();
    let expected = AttachArgs {
        target: Some("http://h:8000/v1".into()),
        dialect: Some("openai".into()),
        session: Some("a b".into()),
        read_only: true,
        ..AttachArgs::default()
    };
    assert_eq!(line, expected);
    let program = AttachArgs::parse_line("-- my-agent --stdio").unwrap();
    assert_eq!((program.target, program.command.len()), (None, 2));
    for (line, why) in [
        ("", "required"),
        ("-", "standard input"),
        ("http://h -H authorization:x", "--header"),
        ("http://h --record a.jsonl", "--record"),
        ("http://h --request nonsense", "nonsense"),
    ] {
        let error = AttachArgs::parse_line(line).unwrap_err();
        assert!(error.contains(why) && !error.contains('\n'), "{line}: {error}");
    }
}

#[test]
fn keys_and_the_schema_have_commands() {
    assert_eq!(ok(&["auth"]).command, Some(CliCommand::Auth { what: AuthCommand::Status, json: false }));
    assert_eq!(
        ok(&["auth", "status", "--json"]).command,
        Some(CliCommand::Auth { what: AuthCommand::Status, json: true })
    );
    assert_eq!(ok(&["config", "schema"]).command, Some(CliCommand::Config(ConfigCommand::Schema)));
    assert!(completions(Shell::Bash).contains("langgraph"), "the dialects are completed");
}

#[test]
fn lines_that_people_know_from_other_clients_are_read() {
    for line in [
        "a prompt|-m|openai/gpt-5|--effort|high",
        "-c",
        "-r",
        "-r|0a1b",
        "-s|a title|-C|/tmp",
        "-p|hi|--output-format|json",
        "-p|hi|--json|--timeout|90s",
        "-f|a.rs|--file|b.rs|-i|c.png|what is this?",
        "--agent|codex",
        "--system|be brief|--profile|work|--config|x.toml|-o|ui.max_fps=30",
        "--approval-mode|plan",
        "--yolo|--max-turns|3|--max-budget-usd|0.5|--max-tokens|1000",
        "--inline|--no-mouse|--no-color",
        "--alt-screen|--theme|light|--log-level|debug",
        "--screen-reader|--debug",
        "attach|http://h/v1|--dialect|agui|--header|K: V|--token-env|T|--session|x|--from-seq|3",
        "attach|http://h|--request|ag-ui|--method|post|--local-tools|--record|a.jsonl|-p|hi|--json",
        "attach|http://h|--read-only|--explain",
        "serve|--host|127.0.0.1|--port|0|--token-env|T|--allow-origin|http://a",
        "serve|--replay|a.jsonl|--speed|2",
        "replay|a.jsonl|--speed|4|--from|1:30|--max-idle|1s",
        "replay|a.jsonl|--headless|--output-format|stream-json",
        "frame|a.jsonl|--seq|7|--size|100x30|--format|svg",
        "sessions|list|--all|--json",
        "sessions|show|x|--json",
        "sessions|rename|x|title",
        "sessions|rm|x|y",
        "models|--json",
        "auth|status",
        "config|path",
        "config|show",
        "config|check",
        "config|schema",
        "config|init",
        "doctor",
        "completions|zsh",
        "man",
    ] {
        let args: Vec<&str> = line.split('|').collect();
        assert!(read(&args).is_ok(), "{args:?}: {:?}", read(&args));
    }
}
