//! Arguments of `mcp`.

use clap::{Args, Subcommand};

use super::ApprovalArgs;

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum McpCommand {
    /// List the servers of the settings; nothing is started.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a server into your settings.
    Add(McpAddArgs),
    /// Take a server out of your settings.
    Rm {
        /// Its name.
        name: String,
    },
    /// Log in at a server that asks for it: prints the address to open in a browser, and waits.
    Login {
        /// Its name.
        name: String,
    },
    /// Forget the login at a server.
    Logout {
        /// Its name.
        name: String,
    },
    /// Be a server: offer our tools, and our agent, to a client over standard streams.
    Serve(McpServeArgs),
    /// Start servers, and show what they speak and offer, or why one fails.
    Test {
        /// Its name; all that are enabled without one.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct McpAddArgs {
    /// What you call it; its tools are named NAME__TOOL.
    pub name: String,

    /// The address of a server that speaks Streamable HTTP, in place of a program.
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    pub url: Option<String>,

    /// A header for the address; `env:NAME` and `cmd:COMMAND` keep the value out of the file.
    #[arg(long, value_name = "NAME=VALUE", requires = "url")]
    pub header: Vec<String>,

    /// A variable for the program, likewise.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "url")]
    pub env: Vec<String>,

    /// The program and its arguments.
    #[arg(last = true, required_unless_present = "url", value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct McpServeArgs {
    /// Offer only the tools.
    #[arg(long)]
    pub tools_only: bool,

    /// Engine and model of the agent, or an engine alone.
    #[arg(short, long, value_name = "ENGINE/MODEL")]
    pub model: Option<String>,

    #[command(flatten)]
    pub approvals: ApprovalArgs,
}
