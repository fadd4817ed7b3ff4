//! The command line of `export`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};

use super::Size;
use super::values::parse_duration_arg;
use crate::event::ExportFormat;

#[derive(Clone, Debug, PartialEq, Args)]
pub struct ExportArgs {
    /// Session name, or the beginning of it, or a session log.
    #[arg(value_name = "ID|FILE")]
    pub session: String,

    /// What to write; by default what the name of the output says, else md.
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    pub format: Option<ExportFormat>,

    /// File to write, in place of an older one, or a folder for it; - is standard output. By default a new file here,
    /// named after the session.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write the branch that ends with this event; by default the one in use. The log (jsonl) has all of them.
    #[arg(long, value_name = "N")]
    pub branch: Option<u64>,

    /// Columns and rows of the screen, for cast and svg.
    #[arg(long, value_name = "WxH", default_value = "100x30")]
    pub size: Size,

    /// Show the screen after this event, for svg; by default after the last.
    #[arg(long, value_name = "N")]
    pub seq: Option<u64>,

    /// Shorten longer pauses to this, for cast.
    #[arg(long, value_name = "DUR", value_parser = parse_duration_arg)]
    pub max_gap: Option<Duration>,

    /// Override a setting, such as ui.max_fps=30; repeatable.
    // The same as of every command, whose short form is another here.
    #[arg(id = "set", long = "set", value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub settings: Vec<String>,
}

impl ExportArgs {
    /// Returns the format that was asked for, or is said by the name of the file.
    pub fn format(&self) -> ExportFormat {
        let named = || ExportFormat::of_file(&self.output.as_ref()?.to_string_lossy());
        self.format.or_else(named).unwrap_or(ExportFormat::Markdown)
    }

    /// Returns whether it goes to standard output.
    pub fn is_to_stdout(&self) -> bool {
        self.output.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }
}

fn format_parser() -> impl TypedValueParser<Value = ExportFormat> {
    PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::name))
        .try_map(|name| ExportFormat::parse(&name).ok_or_else(|| format!("unknown format {name}")))
}
