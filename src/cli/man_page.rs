//! The manual page: the whole command line on one page, with the flags of every command.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::Cli;

/// A page that is made when it is asked for has none, and an empty one would be left out of the line.
const NO_DATE: &str = " ";

/// Returns the page in roff.
pub fn man_page() -> io::Result<String> {
    let mut page = Vec::new();
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let man = Man::new(command.clone()).date(NO_DATE).manual("User Commands");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    Roff::new().control("SH", ["COMMANDS"]).to_writer(&mut page)?;
    for command in command.get_subcommands() {
        write_command(command, &mut page)?;
    }
    write_after_help(&command, &mut page)?;
    Ok(with_one_preamble(&String::from_utf8_lossy(&page)))
}

/// Every piece that was written begins with the same definitions of a quote.
fn with_one_preamble(page: &str) -> String {
    let (preamble, rest) = page.split_at(page.find(".TH").unwrap_or(0));
    format!("{preamble}{}", rest.replace(preamble, ""))
}

/// Writes a command as a part of the section, or the commands below it.
fn write_command(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    if command.has_subcommands() {
        return command.get_subcommands().try_for_each(|command| write_command(command, page));
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    Roff::new().control("SS", [name]).to_writer(page)?;
    // Options of every command stand once, at the top.
    let own = command.clone().mut_args(|arg| {
        let is_everywhere = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(is_everywhere)
    });
    let man = Man::new(own);
    let mut parts = Vec::new();
    man.render_description_section(&mut parts)?;
    man.render_synopsis_section(&mut parts)?;
    man.render_options_section(&mut parts)?;
    // A section of its own would end ours.
    for line in String::from_utf8_lossy(&parts).lines() {
        page.extend_from_slice(if line.starts_with(".SH ") { b".PP" } else { line.as_bytes() });
        page.push(b'\n');
    }
    Ok(())
}

/// Writes the examples and the exit codes line by line, for they are tables.
fn write_after_help(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    for line in text.lines() {
        match line.strip_suffix(':').filter(|heading| !heading.starts_with(' ')) {
            Some(heading) => roff.control("fi", []).control("SH", [heading.to_uppercase().as_str()]).control("nf", []),
            None => roff.text([roman(line)]),
        };
    }
    roff.control("fi", []).to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page as it is read: hyphens are escaped in roff.
    fn page() -> String {
        man_page().unwrap().replace("\\-", "-")
    }

    fn each(command: &Command, see: &mut impl FnMut(&Command)) {
        see(command);
        command.get_subcommands().for_each(|command| each(command, see));
    }

    #[test]
    fn every_flag_stands_under_its_command() {
        let page = page();
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        each(&command, &mut |command| {
            let name = command.get_bin_name().unwrap_or(command.get_name());
            let heading = format!(".SS \"{name}\"\n");
            let part = match page.split_once(heading.as_str()) {
                Some((_, part)) => part.split("\n.S").next().unwrap(),
                None if command.has_subcommands() => page.split("\n.SH COMMANDS").next().unwrap(),
                None => panic!("{name} has no part"),
            };
            let own = command.get_arguments().filter(|arg| name == "jarvis-tui" || !arg.is_global_set());
            for long in own.filter_map(clap::Arg::get_long).filter(|long| *long != "help") {
                assert!(part.contains(&format!("--{long}")), "{name} --{long}");
            }
        });
    }

    #[test]
    fn the_title_says_name_section_version_and_manual() {
        let page = man_page().unwrap();
        let title = page.lines().find(|line| line.starts_with(".TH")).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(title, format!(".TH jarvis-tui 1 \" \" \"jarvis-tui {version}\" \"User Commands\""));
        assert_eq!(page.matches(".ds Aq").count(), 2, "the definitions stand once");
    }

    #[test]
    fn options_of_every_command_stand_once() {
        assert_eq!(page().matches("\\fB--log-level\\fR \\fI<LEVEL>").count(), 1);
    }

    #[test]
    fn examples_and_exit_codes_keep_their_lines() {
        let page = page();
        let (_, codes) = page.split_once(".SH \"EXIT CODES\"\n.nf\n").unwrap();
        assert_eq!(codes.lines().filter(|line| !line.starts_with('.')).count(), 4, "{codes}");
        assert!(page.contains(".SH EXAMPLES\n.nf\n  jarvis-tui  "));
    }
}
