//! Completion scripts: what a shell has to know of the command line.

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// Returns the script for a shell.
pub fn completions(shell: Shell) -> String {
    let cli = Cli::command();
    // A prompt can't be completed, and zsh takes a command for one where both may stand.
    let mut command = Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .args(cli.get_arguments().filter(|arg| !arg.is_positional()).cloned())
        .subcommands(cli.get_subcommands().cloned());
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, env!("CARGO_PKG_NAME"), &mut script);
    // The bash generator spells a hyphen in two ways, so that no command below the program's name is ever found.
    String::from_utf8_lossy(&script).replace("jarvis__subcmd__tui", "jarvis__tui")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_script_names_every_command_and_flag() {
        let cli = Cli::command();
        let commands = cli.get_subcommands().chain([&cli]);
        let flags = commands.flat_map(Command::get_arguments).filter_map(clap::Arg::get_long);
        let words: Vec<&str> = cli.get_subcommands().map(Command::get_name).chain(flags).collect();
        for shell in Shell::value_variants() {
            let script = completions(*shell);
            let said: Vec<&str> = script
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                .map(|word| word.trim_start_matches('-'))
                .collect();
            let missing: Vec<&&str> = words.iter().filter(|word| !said.contains(*word)).collect();
            assert!(missing.is_empty(), "{shell} misses {missing:?}");
        }
    }

    #[test]
    fn the_values_of_flags_are_completed_too() {
        let cli = Cli::command();
        let flags = cli
            .get_subcommands()
            .chain([&cli])
            .flat_map(Command::get_arguments)
            .filter(|arg| !arg.is_positional() && arg.get_action().takes_values());
        let values: Vec<String> =
            flags.flat_map(clap::Arg::get_possible_values).map(|value| value.get_name().to_owned()).collect();
        for expected in ["auto-edit", "mono", "stream-json", "openjarvis-bridge"] {
            assert!(values.iter().any(|value| value == expected), "{expected}");
        }
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completions(shell);
            let said: Vec<&str> = script.split(|c: char| !c.is_ascii_alphanumeric() && !"-._".contains(c)).collect();
            let missing: Vec<&String> = values.iter().filter(|value| !said.contains(&value.as_str())).collect();
            assert!(missing.is_empty(), "{shell} misses {missing:?}");
        }
    }

    #[test]
    fn bash_has_a_case_for_every_command_that_it_tells_apart() {
        let script = completions(Shell::Bash);
        let told: Vec<&str> =
            script.lines().filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"')).collect();
        let cases: Vec<&str> = script.lines().filter_map(|line| line.trim().strip_suffix(')')).collect();
        let missing: Vec<&&str> = told.iter().filter(|name| !name.is_empty() && !cases.contains(*name)).collect();
        assert!(told.len() > 20 && missing.is_empty(), "{} told apart, without a case {missing:?}", told.len());
    }

    #[test]
    fn zsh_is_told_of_no_prompt_that_a_command_could_be_taken_for() {
        assert!(!completions(Shell::Zsh).contains("prompt --"));
    }
}
