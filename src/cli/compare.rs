//! The arguments of `compare`.

use clap::{ArgAction, Args, ValueEnum};

#[derive(Clone, Debug, PartialEq, Args)]
pub struct CompareArgs {
    /// Sessions, by name, the beginning of it, or file; all are compared with the first.
    #[arg(value_name = "SESSION", required_unless_present = "prompt", conflicts_with = "prompt", num_args = 2..)]
    pub sessions: Vec<String>,

    /// Ask this of several models or remotes at once, and compare their answers.
    #[arg(long, value_name = "TEXT", requires = "asked")]
    pub prompt: Option<String>,

    /// A model to ask; repeatable.
    #[arg(short, long = "model", value_name = "ENGINE/MODEL", action = ArgAction::Append, group = "asked",
        requires = "prompt")]
    pub models: Vec<String>,

    /// A remote to ask, as `attach` takes it; repeatable.
    #[arg(long = "attach", value_name = "URL", action = ArgAction::Append, group = "asked", requires = "prompt")]
    pub remotes: Vec<String>,

    /// Print it in this format; by default it is shown in panes where there is a terminal, and else printed as text.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub output_format: Option<CompareFormat>,

    /// Short for `--output-format json`.
    #[arg(long, conflicts_with = "output_format")]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    Text,
    Json,
}

impl CompareArgs {
    /// Returns the format to print; none where the terminal decides.
    pub fn format(&self) -> Option<CompareFormat> {
        if self.json { Some(CompareFormat::Json) } else { self.output_format }
    }
}
