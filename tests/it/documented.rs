//! What the program lists, its documentation names: engines and their variables, commands, tools.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use jarvis_tui::cli::Cli;
use jarvis_tui::config::DEFAULT_FILE;
use jarvis_tui::dialect::DIALECTS;
use jarvis_tui::engine::ENGINES;

use super::tidy::assert_none;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// All pages of the manual.
fn manual() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/manual");
    let pages = fs::read_dir(folder).unwrap().map(|page| fs::read_to_string(page.unwrap().path()).unwrap());
    pages.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_engine_is_in_the_settings_file_the_manual_and_the_readme() {
    let (readme, manual) = (read("README.md"), manual());
    let mut missing = Vec::new();
    for spec in ENGINES {
        let name = spec.name;
        let mut expect = |place: &str, text: &str, words: &str| {
            if !text.contains(words) {
                missing.push(format!("{place}: {words}"));
            }
        };
        expect("config.toml", DEFAULT_FILE, &format!("[engines.{name}]"));
        expect("config.toml", DEFAULT_FILE, &format!("kind = \"{name}\""));
        expect("the manual", &manual, &format!("\"{name}\""));
        for variable in spec.variables() {
            expect("the manual", &manual, variable);
        }
        expect("the README", &readme, spec.variables().next().unwrap_or("embedded engine"));
    }
    assert_none("engines that are not documented", &missing);
}

#[test]
fn every_dialect_has_a_stream_in_the_bench_of_decoders() {
    let bench = read("tests/benches/wire.rs");
    for dialect in DIALECTS {
        assert!(bench.contains(&format!("name: \"{}\"", dialect.name)), "{} is not measured", dialect.name);
    }
}

#[test]
fn every_command_is_in_the_readme_and_the_manual() {
    let (readme, manual) = (read("README.md"), manual());
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut missing = Vec::new();
    for command in command.get_subcommands() {
        for (place, text) in [("the README", &readme), ("the manual", &manual)] {
            if !names_command(text, command) {
                missing.push(format!("{place}: {}", command.get_name()));
            }
        }
    }
    assert_none("commands that are not documented", &missing);
}

fn names_command(text: &str, command: &Command) -> bool {
    text.contains(&format!("jarvis-tui {}", command.get_name()))
}

#[test]
fn every_command_and_its_help_are_in_the_manual_page() {
    let page = jarvis_tui::cli::man_page().unwrap().replace("\\-", "-");
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut leaves = Vec::new();
    collect_leaves(&command, &mut leaves);
    assert!(leaves.len() > 12, "{leaves:?}");
    leaves.retain(|(name, about)| !page.contains(&format!(".SS \"{name}\"")) || !page.contains(about.as_str()));
    assert_eq!(leaves, [], "commands without a part of their own");
}

/// Returns the names of the commands that have none below them, with their descriptions.
fn collect_leaves(command: &Command, out: &mut Vec<(String, String)>) {
    if !command.has_subcommands() {
        let name = command.get_bin_name().unwrap_or_default().to_owned();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty(), "{name} has no description");
        out.push((name, about));
    }
    command.get_subcommands().for_each(|command| collect_leaves(command, out));
}
