//! Slash commands: one table for parsing, completion and help. What looks like a command is never sent by accident.

use crate::event::ApprovalMode;

use super::Timestamps;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandInfo {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// What may follow, or nothing.
    pub argument: &'static str,
    pub about: &'static str,
}

pub const COMMANDS: &[CommandInfo] = &[
    CommandInfo { name: "help", aliases: &[], argument: "", about: "show all keys and commands" },
    CommandInfo { name: "model", aliases: &["models"], argument: "[engine/model]", about: "choose the model" },
    CommandInfo { name: "mode", aliases: &[], argument: "[ask|auto-edit|plan|full]", about: "set the approval mode" },
    CommandInfo {
        name: "permissions",
        aliases: &["allowed", "grants"],
        argument: "",
        about: "list what is allowed and denied; take grants back",
    },
    CommandInfo { name: "search", aliases: &["find"], argument: "[text]", about: "search the transcript" },
    CommandInfo { name: "outline", aliases: &["toc"], argument: "", about: "jump to a prompt or a heading" },
    CommandInfo {
        name: "copy",
        aliases: &["yank"],
        argument: "[n]",
        about: "copy the last answer, or the nth from the end",
    },
    CommandInfo { name: "raw", aliases: &["source"], argument: "", about: "show the source of the last answer" },
    CommandInfo { name: "links", aliases: &["open"], argument: "", about: "links and files, to open or copy" },
    CommandInfo { name: "code", aliases: &["blocks"], argument: "", about: "copy a code block by its letter" },
    CommandInfo { name: "outputs", aliases: &["fold", "details"], argument: "", about: "fold or unfold tool output" },
    CommandInfo { name: "thinking", aliases: &["reasoning"], argument: "", about: "show or hide thinking" },
    CommandInfo { name: "targets", aliases: &["urls"], argument: "", about: "show or hide link targets" },
    CommandInfo {
        name: "timestamps",
        aliases: &["times"],
        argument: "[off|relative|clock]",
        about: "show message times",
    },
    CommandInfo { name: "tools", aliases: &["panel"], argument: "", about: "show or hide the tool panel" },
    CommandInfo { name: "approve", aliases: &["approval"], argument: "", about: "show the pending approval" },
    CommandInfo { name: "frames", aliases: &[], argument: "[file]", about: "show the raw frames, or save them" },
    CommandInfo { name: "retry", aliases: &["again"], argument: "", about: "send the last prompt again" },
    CommandInfo { name: "debug", aliases: &["figures"], argument: "", about: "show render statistics" },
    CommandInfo {
        name: "new",
        aliases: &["clear", "reset"],
        argument: "",
        about: "start a new session; this one stays saved",
    },
    CommandInfo { name: "quit", aliases: &["exit", "q"], argument: "", about: "quit; the session stays saved" },
];

/// What a submitted text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// For the model.
    Text(String),
    Command(SlashCommand),
    /// Looks like a command and is none; the text says what to do instead.
    Invalid(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlashCommand {
    Help,
    Model(Option<String>),
    Mode(Option<ApprovalMode>),
    Permissions,
    Search(Option<String>),
    Outline,
    Raw,
    Debug,
    Links,
    Code,
    Outputs,
    Thinking,
    Targets,
    Tools,
    Approval,
    /// The next kind of times, or this one.
    Times(Option<Timestamps>),
    /// The nth answer from the end.
    Copy(usize),
    /// Show the raw frames, or save them in a file.
    Frames(Option<String>),
    Retry,
    New,
    Quit,
}

/// Reads a submitted text. A first word with a second slash in it is a path (`/usr/bin`, `/tmp/`), and no command begins
/// like `/* a comment` does. For what is left, `//text` is the way to send a text that begins with a slash.
pub fn parse(text: &str) -> Submitted {
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
    let given = (!argument.is_empty()).then(|| argument.to_owned());
    let Some(command) = COMMANDS.iter().find(|command| command.name == name || command.aliases.contains(&&*name))
    else {
        return Submitted::Invalid(unknown_command(&name));
    };
    if command.argument.is_empty() && given.is_some() {
        return Submitted::Invalid(format!("/{} takes no argument", command.name));
    }
    Submitted::Command(match command.name {
        "help" => SlashCommand::Help,
        "model" => SlashCommand::Model(given),
        "mode" => match given.as_deref().map(|given| (given, ApprovalMode::parse(&given.to_lowercase()))) {
            None => SlashCommand::Mode(None),
            Some((_, Some(mode))) => SlashCommand::Mode(Some(mode)),
            Some((given, None)) => {
                return Submitted::Invalid(format!("unknown mode {given}; use ask, auto-edit, plan or full"));
            }
        },
        "permissions" => SlashCommand::Permissions,
        "search" => SlashCommand::Search(given),
        "outline" => SlashCommand::Outline,
        "raw" => SlashCommand::Raw,
        "debug" => SlashCommand::Debug,
        "links" => SlashCommand::Links,
        "code" => SlashCommand::Code,
        "outputs" => SlashCommand::Outputs,
        "thinking" => SlashCommand::Thinking,
        "targets" => SlashCommand::Targets,
        "tools" => SlashCommand::Tools,
        "approve" => SlashCommand::Approval,
        "timestamps" => match given.as_deref().map(|given| (given, Timestamps::parse(&given.to_lowercase()))) {
            None => SlashCommand::Times(None),
            Some((_, Some(times))) => SlashCommand::Times(Some(times)),
            Some((given, None)) => {
                return Submitted::Invalid(format!("unknown value {given}; use off, relative or clock"));
            }
        },
        "copy" => match given.as_deref().map(str::parse) {
            None => SlashCommand::Copy(1),
            Some(Ok(nth)) if nth > 0 => SlashCommand::Copy(nth),
            Some(_) => return Submitted::Invalid("/copy takes a number: 1 is the last answer".into()),
        },
        "frames" => SlashCommand::Frames(given),
        "retry" => SlashCommand::Retry,
        "new" => SlashCommand::New,
        _ => SlashCommand::Quit,
    })
}

/// Tells whether what follows a slash is the rest of a path: its first word has another slash.
fn is_path(rest: &str) -> bool {
    rest.split(char::is_whitespace).next().is_some_and(|word| word.contains('/'))
}

/// Tells whether a text could be a command without its slash. Nobody types a question mark for a path.
fn may_begin_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '?')
}

/// Returns the commands that a text begun with a slash can become, best first; none once it has an argument.
pub fn complete(text: &str) -> Vec<&'static CommandInfo> {
    let Some(begun) = text.strip_prefix('/') else { return Vec::new() };
    if begun.contains(char::is_whitespace) || begun.starts_with('/') {
        return Vec::new();
    }
    let begun = begun.to_lowercase();
    let named = COMMANDS.iter().filter(|command| command.name.starts_with(&begun));
    let other = COMMANDS.iter().filter(|command| {
        !command.name.starts_with(&begun) && command.aliases.iter().any(|alias| alias.starts_with(&begun))
    });
    named.chain(other).collect()
}

fn unknown_command(name: &str) -> String {
    let escape = "start with // to send it as text";
    let nearest = COMMANDS
        .iter()
        .flat_map(|command| std::iter::once(&command.name).chain(command.aliases))
        .map(|known| (edit_distance(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 2 && *distance < known.len());
    let name: String = name.chars().take(40).collect();
    match nearest {
        Some((_, known)) => format!("unknown command /{name}; did you mean /{known}? ({escape})"),
        None => format!("unknown command /{name}; /help lists the commands ({escape})"),
    }
}

/// Edit distance of two short names.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, right) in b.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, own) in row.iter_mut().skip(1).zip(&a) {
            let new = (diagonal + usize::from(*own != right)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = new;
            left = new;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::action::{ACTIONS, Context};

    #[test]
    fn texts_are_read_as_what_they_are() {
        let text = |text: &str| Submitted::Text(text.into());
        let cases = [
            ("hello", text("hello")),
            ("//usr/bin is a folder", text("/usr/bin is a folder")),
            ("/help", Submitted::Command(SlashCommand::Help)),
            ("/MODEL  ollama/qwen3 ", Submitted::Command(SlashCommand::Model(Some("ollama/qwen3".into())))),
            ("/models", Submitted::Command(SlashCommand::Model(None))),
            ("/mode plan", Submitted::Command(SlashCommand::Mode(Some(ApprovalMode::Plan)))),
            ("/times clock", Submitted::Command(SlashCommand::Times(Some(Timestamps::Clock)))),
            ("/times never", Submitted::Invalid("unknown value never; use off, relative or clock".into())),
            ("/reset", Submitted::Command(SlashCommand::New)),
            ("/q", Submitted::Command(SlashCommand::Quit)),
            ("/mode never", Submitted::Invalid("unknown mode never; use ask, auto-edit, plan or full".into())),
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
        let names = |text| complete(text).into_iter().map(|command| command.name).collect::<Vec<_>>();
        assert_eq!(
            names("/"),
            [
                "help",
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
                "debug",
                "new",
                "quit"
            ]
        );
        assert_eq!(names("/mod"), ["model", "mode"]);
        assert_eq!(names("/ex"), ["quit"]);
        assert_eq!(names("/mode plan"), [""; 0]);
        assert_eq!(names("hello"), [""; 0]);
    }

    /// What has a key everywhere, and the command that does the same for whoever doesn't know the key.
    #[test]
    fn what_has_a_key_everywhere_has_a_command() {
        let commands = [
            ("app.help", "help"),
            ("model.choose", "model"),
            ("frames.open", "frames"),
            ("mode.cycle", "mode"),
            ("mode.ask", "mode"),
            ("mode.auto-edit", "mode"),
            ("mode.plan", "mode"),
            ("mode.full", "mode"),
            ("mode.choose", "mode"),
            ("permissions.open", "permissions"),
            ("approval.open", "approve"),
            ("prompt.retry", "retry"),
            ("output.toggle", "outputs"),
            ("thinking.toggle", "thinking"),
            ("links.toggle", "targets"),
            ("timestamps.cycle", "timestamps"),
            ("tool-panel.toggle", "tools"),
            ("search.open", "search"),
            ("outline.open", "outline"),
            ("copy.answer", "copy"),
            ("copy.code", "code"),
            ("session.new", "new"),
            ("app.debug", "debug"),
            ("app.quit", "quit"),
        ];
        // Moving, and what is done to a text or to the terminal, is no command.
        let keys_only = [
            "transcript.",
            "focus.",
            "app.escape",
            "app.interrupt",
            "app.redraw",
            "app.suspend",
            "prompt.take-back",
            "turn.cancel",
        ];
        for row in ACTIONS.iter().filter(|row| row.context == Context::Global) {
            let command = commands.iter().find(|(action, _)| *action == row.name).map(|(_, command)| *command);
            let known = command.is_some_and(|command| COMMANDS.iter().any(|known| known.name == command));
            assert!(known || keys_only.iter().any(|name| row.name.starts_with(name)), "{}", row.name);
        }
    }

    #[test]
    fn every_row_of_the_table_can_be_read() {
        for command in COMMANDS {
            for name in std::iter::once(&command.name).chain(command.aliases) {
                assert!(matches!(parse(&format!("/{name}")), Submitted::Command(_)), "{name}");
            }
        }
    }
}
