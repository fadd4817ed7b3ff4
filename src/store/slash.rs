//! Slash commands: reading and completing them. What looks like a command is never sent by accident.
//!
//! Not here: which ones there are and what each does, see [`ACTIONS`].

use std::sync::LazyLock;

use super::action::Action;
use super::action_table::{ACTIONS, ActionHandler, SlashCommand, find_command};
use super::command_argument::Argument;
use super::user_commands::UserCommand;
use crate::text::suggestion::suggest;

/// Returns all commands, in the order in which they are listed.
pub fn commands() -> impl Iterator<Item = &'static SlashCommand> {
    static COMMANDS: LazyLock<Vec<&SlashCommand>> = LazyLock::new(|| {
        let mut commands: Vec<_> = ACTIONS.iter().filter_map(|row| row.slash.as_ref()).collect();
        commands.sort_by_key(|command| command.rank);
        commands
    });
    COMMANDS.iter().copied()
}

/// What else a text may begin with, or a word of it, and what that does.
pub const TYPED_PREFIXES: &[(&str, &str)] = &[
    ("@path", "mention a file or folder: its text goes with the prompt"),
    ("!command", "run a command here; its output goes with your next prompt"),
    ("#note", "keep a note in the log, which no model sees"),
];

/// What a submitted text is.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// For the model.
    Text(String),
    Command(Action),
    /// A prompt that a server writes, and its arguments.
    ServerPrompt {
        command: String,
        words: String,
    },
    /// For the log.
    Note(String),
    /// A command line to run here.
    Run(String),
    /// Looks like a command and is none; the text says what to do instead.
    Invalid(String),
}

/// Reads a submitted text. A first word with a second slash in it is a path (`/usr/bin`, `/tmp/`), and no command begins
/// like `/* a comment` does. For what is left, `//text` is the way to send a text that begins with a slash. `own` are the
/// commands that the person wrote.
pub fn parse(text: &str, own: &[UserCommand]) -> Submitted {
    if let Some(command) = text.strip_prefix('!').map(str::trim).filter(|command| !command.is_empty()) {
        return Submitted::Run(command.to_owned());
    }
    if let Some(note) = parse_note(text) {
        return Submitted::Note(note.to_owned());
    }
    let Some(rest) = text.strip_prefix('/') else { return Submitted::Text(text.to_owned()) };
    if let Some(escaped) = rest.strip_prefix('/') {
        // Only an escape loses its slash: a comment (`// like this`) keeps both.
        let sent = if may_begin_name(escaped) { rest } else { text };
        return Submitted::Text(sent.to_owned());
    }
    if is_path(rest) || !(rest.trim_end().is_empty() || rest.starts_with(char::is_whitespace) || may_begin_name(rest)) {
        return Submitted::Text(text.to_owned());
    }
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, argument) = (name.to_lowercase(), argument.trim());
    let given = Some(argument).filter(|argument| !argument.is_empty());
    let Some((row, command)) = find_command(&name) else {
        return match own.iter().find(|command| command.name == name) {
            Some(command) if command.is_of_server() => {
                Submitted::ServerPrompt { command: command.name.clone(), words: argument.to_owned() }
            }
            Some(command) => command.prompt(argument).map_or_else(Submitted::Invalid, Submitted::Text),
            None => Submitted::Invalid(unknown_command(&name, own)),
        };
    };
    if command.argument == Argument::None && given.is_some() {
        return Submitted::Invalid(format!("/{} takes no argument", command.name));
    }
    let asked = match (command.run, row.handler) {
        (Some(run), _) => run(given),
        (None, ActionHandler::Store(make)) => Ok(make()),
        (None, ActionHandler::View(_)) => Err(format!("/{} is only a key", command.name)),
    };
    asked.map_or_else(Submitted::Invalid, Submitted::Command)
}

/// Returns what follows the `#` of a note: a line. A document that begins with a heading has more, and is a prompt.
fn parse_note(text: &str) -> Option<&str> {
    let note = text.trim_end().strip_prefix('#')?.trim_start();
    (!note.is_empty() && !note.starts_with('#') && !note.contains('\n')).then_some(note)
}

/// Tells whether what follows a slash is the rest of a path: its first word has another slash.
fn is_path(rest: &str) -> bool {
    rest.split(char::is_whitespace).next().is_some_and(|word| word.contains('/'))
}

/// Tells whether a text could be a command without its slash. Nobody types a question mark for a path.
fn may_begin_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '?')
}

/// Returns the command that a text names, and what was typed of its argument; none where it takes none.
pub fn begun_argument(text: &str) -> Option<(&'static SlashCommand, &str)> {
    let (name, typed) = text.strip_prefix('/')?.split_once(' ')?;
    let (name, typed) = (name.to_lowercase(), typed.trim_start());
    let (_, command) = find_command(&name)?;
    (command.argument != Argument::None && !typed.contains('\n')).then_some((command, typed))
}

/// A command as it is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOffer {
    pub name: String,
    /// What may follow; empty where nothing does.
    pub argument: String,
    pub about: String,
}

impl CommandOffer {
    fn new(command: &SlashCommand) -> Self {
        let (name, about) = (command.name.to_owned(), command.about.to_owned());
        Self { name, argument: command.argument.hint().into_owned(), about }
    }

    /// Says whose it is.
    pub fn own(command: &UserCommand) -> Self {
        let UserCommand { name, argument_hint, about, source, .. } = command;
        Self { name: name.clone(), argument: argument_hint.clone(), about: format!("{about} ({source})") }
    }
}

/// Returns the commands that a text begun with a slash can become, best first; none once it has an argument.
pub fn complete(text: &str, own: &[UserCommand]) -> Vec<CommandOffer> {
    let Some(begun) = text.strip_prefix('/') else { return Vec::new() };
    if begun.contains(char::is_whitespace) || begun.starts_with('/') {
        return Vec::new();
    }
    let begun = begun.to_lowercase();
    // One that is written in full stands first: Enter takes it.
    let mut named: Vec<_> = commands().filter(|command| command.name.starts_with(&begun)).collect();
    named.sort_by_key(|command| command.name != begun);
    let other = commands().filter(|command| {
        !command.name.starts_with(&begun) && command.aliases.iter().any(|alias| alias.starts_with(&begun))
    });
    let own = own.iter().filter(|command| command.name.starts_with(&begun)).map(CommandOffer::own);
    named.into_iter().map(CommandOffer::new).chain(own).chain(other.map(CommandOffer::new)).collect()
}

fn unknown_command(name: &str, own: &[UserCommand]) -> String {
    let escape = "start with // to send it as text";
    let known = commands().flat_map(|command| std::iter::once(&command.name).chain(command.aliases));
    let own = own.iter().map(|command| command.name.as_str());
    let meant = suggest(name, known.copied().chain(own));
    let name: String = name.chars().take(40).collect();
    match meant {
        Some(meant) => format!("unknown command /{name}; did you mean /{meant}? ({escape})"),
        None => format!("unknown command /{name}; /help lists the commands ({escape})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ApprovalMode;
    use crate::store::Timestamps;

    fn parse(text: &str) -> Submitted {
        super::parse(text, &[])
    }

    #[test]
    fn a_command_of_the_person_becomes_its_prompt() {
        let own = [UserCommand::parse("review", "Review $1.", "yours").unwrap()];
        assert_eq!(super::parse("/Review src/a.rs", &own), Submitted::Text("Review src/a.rs.".into()));
        let Submitted::Invalid(why) = super::parse("/revew", &own) else { panic!("no such command") };
        assert!(why.contains("did you mean /review?"), "{why}");
        let offered: Vec<_> = complete("/re", &own).into_iter().map(|offer| offer.name).collect();
        assert_eq!(offered[..6], ["retry", "rename", "reconnect", "replay", "rewind", "redo"]);
        assert!(offered.iter().any(|name| name == "review"), "{offered:?}");
        assert_eq!(complete("/rev", &own)[0].about, "Review $1. (yours)");
    }

    #[test]
    fn texts_are_read_as_what_they_are() {
        let text = |text: &str| Submitted::Text(text.into());
        let cases = [
            ("hello", text("hello")),
            ("//usr/bin is a folder", text("/usr/bin is a folder")),
            ("/help", Submitted::Command(Action::OpenHelp)),
            ("/MODEL  ollama/qwen3 ", Submitted::Command(Action::SetModel("ollama/qwen3".into()))),
            ("/models", Submitted::Command(Action::OpenModels)),
            ("/mode plan", Submitted::Command(Action::SetMode(ApprovalMode::Plan))),
            ("/thinking show", Submitted::Command(Action::ShowThinking(true))),
            ("/theme Light", Submitted::Command(Action::SetTheme(Some("light".into())))),
            ("/config reload", Submitted::Command(Action::ReloadSettings)),
            ("/times clock", Submitted::Command(Action::SetTimestamps(Timestamps::Clock))),
            ("/times never", Submitted::Invalid("unknown value never; use off, relative or clock".into())),
            ("/reset", Submitted::Command(Action::NewSession)),
            ("#check this ", Submitted::Note("check this".into())),
            ("# check that", Submitted::Note("check that".into())),
            (" #12 is broken", text(" #12 is broken")),
            ("# Title\nand more", text("# Title\nand more")),
            ("#", text("#")),
            ("! ls -l ", Submitted::Run("ls -l".into())),
            ("!", text("!")),
            (" !ls", text(" !ls")),
            ("/q", Submitted::Command(Action::Quit)),
            ("/mode Build", Submitted::Command(Action::SetAgentMode("Build".into()))),
            ("/quit now", Submitted::Invalid("/quit takes no argument".into())),
            (
                "/hepl",
                Submitted::Invalid(
                    "unknown command /hepl; did you mean /help? (start with // to send it as text)".into(),
                ),
            ),
            (
                "/zzz",
                Submitted::Invalid(
                    "unknown command /zzz; /help lists the commands (start with // to send it as text)".into(),
                ),
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(parse(given), expected, "{given}");
        }
    }

    #[test]
    fn a_path_or_a_comment_is_a_prompt_as_it_stands() {
        let prompts = [
            "/usr/local/bin what is in there?",
            "/usr/bin/env",
            "/tmp/",
            "/1/2 of it",
            "/help/me",
            "/mode/plan\nand more",
            "/quit/",
            "/* a comment */",
            "/~user",
            "// a comment",
            "/// a doc comment",
            "//",
            "//\nfn main() {}",
        ];
        for prompt in prompts {
            assert_eq!(parse(prompt), Submitted::Text(prompt.into()), "{prompt}");
        }
        assert_eq!(parse("//help"), Submitted::Text("/help".into()));
        for unknown in ["/", "/ help", "/usr", "/123", "/?x", "/usr is a folder like /bin", "/é"] {
            assert!(matches!(parse(unknown), Submitted::Invalid(_)), "{unknown}");
        }
    }

    #[test]
    fn completion_offers_names_before_aliases() {
        let names = |text| complete(text, &[]).into_iter().map(|command| command.name).collect::<Vec<_>>();
        assert_eq!(
            names("/"),
            [
                "help",
                "palette",
                "model",
                "mode",
                "permissions",
                "search",
                "outline",
                "copy",
                "raw",
                "links",
                "code",
                "outputs",
                "thinking",
                "targets",
                "timestamps",
                "tools",
                "approve",
                "frames",
                "retry",
                "status",
                "debug",
                "sessions",
                "new",
                "quit",
                "rename",
                "usage",
                "context",
                "config",
                "theme",
                "vim",
                "tabs",
                "close",
                "inbox",
                "image",
                "attach-file",
                "steer",
                "todos",
                "effort",
                "agents",
                "marks",
                "mark",
                "link",
                "plan",
                "queue",
                "stop",
                "editor",
                "diff",
                "system",
                "attach",
                "detach",
                "reconnect",
                "replay",
                "layout",
                "statusline",
                "notify",
                "login",
                "serve",
                "peers",
                "search-all",
                "rewind",
                "redo",
                "fork",
                "tree",
                "compact",
                "next",
                "previous",
                "speed",
                "seek",
                "loop",
                "gaps",
                "export",
                "import",
                "handoff",
                "mcp",
                "memory",
                "init",
                "tasks"
            ]
        );
        assert_eq!(names("/attach"), ["attach", "attach-file"], "what is written in full comes first");
        assert_eq!(names("/mod"), ["model", "mode"]);
        assert_eq!(names("/ex"), ["export", "quit"]);
        assert_eq!(names("/mode plan"), [""; 0]);
        assert_eq!(names("hello"), [""; 0]);
    }

    #[test]
    fn the_manual_names_every_command_and_no_other() {
        let manual = include_str!("../../assets/manual/commands.md");
        let mut told: Vec<&str> = manual
            .lines()
            .filter_map(|line| line.strip_prefix("| `/"))
            .filter_map(|line| line.split(['`', ' ']).next())
            .collect();
        let mut known: Vec<&str> = commands().map(|command| command.name).collect();
        told.sort_unstable();
        known.sort_unstable();
        assert_eq!(told, known);
    }

    /// What people type who come from elsewhere, and the command that it means here.
    const KNOWN_NAMES: &[(&str, &[&str])] = &[
        ("new", &["clear", "reset"]),
        ("sessions", &["resume", "continue"]),
        ("rename", &["title"]),
        ("export", &["save-as"]),
        ("queue", &[]),
        ("retry", &[]),
        ("search", &["find"]),
        ("outline", &[]),
        ("copy", &[]),
        ("raw", &[]),
        ("thinking", &[]),
        ("outputs", &["details"]),
        ("timestamps", &[]),
        ("diff", &[]),
        ("attach-file", &["file"]),
        ("image", &[]),
        ("editor", &[]),
        ("model", &["models"]),
        ("effort", &[]),
        ("system", &[]),
        ("tools", &[]),
        ("permissions", &["approvals"]),
        ("mode", &[]),
        ("plan", &[]),
        ("todos", &[]),
        ("agents", &[]),
        ("stop", &[]),
        ("attach", &[]),
        ("detach", &[]),
        ("reconnect", &[]),
        ("serve", &[]),
        ("peers", &[]),
        ("mcp", &[]),
        ("frames", &["record"]),
        ("replay", &[]),
        ("rewind", &["undo"]),
        ("redo", &[]),
        ("fork", &["branch"]),
        ("tree", &[]),
        ("seek", &["goto"]),
        ("next", &[]),
        ("previous", &["prev"]),
        ("speed", &[]),
        ("gaps", &["waits"]),
        ("loop", &[]),
        ("usage", &["cost", "stats", "budget"]),
        ("context", &[]),
        ("memory", &["instructions"]),
        ("init", &[]),
        ("tasks", &["jobs"]),
        ("compact", &["compress", "summarize"]),
        ("import", &["migrate"]),
        ("handoff", &["transfer"]),
        ("theme", &[]),
        ("vim", &[]),
        ("statusline", &[]),
        ("layout", &[]),
        ("notify", &[]),
        ("status", &["logs", "doctor"]),
        ("config", &["settings"]),
        ("login", &["logout"]),
        ("help", &["keymap", "keys", "hotkeys"]),
        ("quit", &["exit", "q"]),
    ];

    #[test]
    fn commands_are_found_by_the_names_that_people_know() {
        let meant = |name: &str| find_command(name).map(|(_, command)| command.name);
        let wrong: Vec<_> = KNOWN_NAMES
            .iter()
            .flat_map(|(name, others)| others.iter().chain([name]).map(move |typed| (*typed, *name)))
            .filter(|(typed, name)| meant(typed) != Some(name))
            .collect();
        assert_eq!(wrong, []);
    }

    #[test]
    fn every_row_of_the_table_can_be_read() {
        let mut known = Vec::new();
        for command in commands() {
            assert!(!known.contains(&command.rank.to_string()), "two commands in one place: {}", command.name);
            known.push(command.rank.to_string());
            for name in std::iter::once(&command.name).chain(command.aliases) {
                assert!(matches!(parse(&format!("/{name}")), Submitted::Command(_)), "{name}");
                assert!(!known.contains(&(*name).to_owned()), "{name} twice");
                known.push((*name).to_owned());
            }
        }
    }
}
