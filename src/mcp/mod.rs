//! Servers of the Model Context Protocol (MCP): programs, or addresses, that offer tools to the agent.
//!
//! Each server is a source of tools. It is started when its tools are first asked for, and once more if it ends
//! unexpectedly; a call that had begun then fails and is never repeated, for it may have done its work. What a server
//! says of itself and of its tools is text from outside: cleaned, bounded, and never a permission.
//!
//! Not here: where servers are named (`config`), and who may call their tools (`agent::approval`).

mod call;
mod client;
mod connection;
mod content;
mod elicit;
mod http_transport;
mod login;
mod offers;
mod program;
pub mod serve;
mod server;
mod spec;
mod stderr_tail;
mod tool_list;
mod tools;

pub use login::forget_login;
pub use offers::{McpOffers, read_prompt_arguments};
pub use server::{McpServer, McpServerWatch};
pub use spec::{McpConfinement, McpConnection, McpServerSpec, ResolveValues};
pub use tools::McpTools;

/// What a server is told about this program.
const CLIENT_NAME: &str = env!("CARGO_PKG_NAME");
