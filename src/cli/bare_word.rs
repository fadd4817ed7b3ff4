//! Rejects a single bare word that was probably meant as a subcommand. To the grammar it is a prompt, but it must not
//! be sent to a model that may cost money.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::Cli;
use crate::text::suggestion::suggest;

/// Subcommands of other programs. Words that may well begin a conversation are not included.
const COMMANDS_ELSEWHERE: [&str; 21] = [
    "auth",
    "completion",
    "configure",
    "init",
    "install",
    "list",
    "login",
    "logout",
    "ls",
    "mcp",
    "plugin",
    "plugins",
    "resume",
    "self-update",
    "setup",
    "signin",
    "uninstall",
    "update",
    "upgrade",
    "version",
    "whoami",
];

/// Rejects a word that was probably meant as a subcommand. After `--`, or with a flag that only chats have, it is a
/// prompt.
pub(super) fn check_bare_word(args: &[OsString], read: &Result<Cli, clap::Error>) -> Result<(), clap::Error> {
    let Some(word) = args.get(1).and_then(|word| word.to_str()).filter(|word| is_word(word)) else { return Ok(()) };
    let command = Cli::command();
    let mut known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    known.push("help");
    if known.contains(&word) {
        return Ok(());
    }
    let meant = suggest(word, known.iter().copied());
    let is_meant = match read {
        Err(error) => matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion),
        Ok(cli) => {
            let is_alone = cli.command.is_none() && cli.chat.prompt.as_deref() == Some(word);
            let is_conversation =
                cli.chat.continue_newest || cli.chat.resume.is_some() || cli.chat.printing.is_headless();
            is_alone && !is_conversation && (meant.is_some() || COMMANDS_ELSEWHERE.contains(&word))
        }
    };
    if !is_meant {
        return Ok(());
    }
    let tip = meant.map_or_else(|| "--help lists the commands.".to_owned(), |meant| format!("did you mean `{meant}`?"));
    let text = format!("unknown command `{word}`; {tip} To send it as a prompt: jarvis-tui -- {word}");
    Err(Cli::command().error(ErrorKind::InvalidSubcommand, text))
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}
