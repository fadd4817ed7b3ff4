//! How a server is just now, for display.

/// A server with its state and its tools. Text from outside, cleaned where it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpServerStatus {
    pub name: String,
    /// The program or the address.
    pub place: String,
    pub state: McpServerState,
    /// The revision of the protocol that both speak.
    pub protocol: Option<String>,
    /// What the server calls itself, with its version.
    pub software: Option<String>,
    pub tools: Vec<McpToolSummary>,
    /// The end of what it wrote to standard error.
    pub stderr: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpServerState {
    /// Nobody needed it so far.
    Idle,
    Starting,
    Ready,
    /// Why, and what to try.
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpToolSummary {
    /// Its own name.
    pub name: String,
    pub description: String,
    /// Whether the server says that it changes nothing.
    pub claims_read_only: bool,
}
