//! How a server is just now and what it offers, for display.

/// A server with its state and its tools. Text from outside, cleaned where it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpServerStatus {
    pub name: String,
    /// The program or the address.
    pub place: String,
    /// What the program is kept from, as far as that is known.
    pub access: String,
    pub state: McpServerState,
    /// The revision of the protocol that both speak.
    pub protocol: Option<String>,
    /// What the server calls itself, with its version.
    pub software: Option<String>,
    pub tools: Vec<McpToolSummary>,
    /// Names.
    pub prompts: Vec<String>,
    /// Addresses.
    pub resources: Vec<String>,
    /// The end of what it wrote to standard error.
    pub stderr: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum McpServerState {
    /// Nobody needed it so far.
    #[default]
    Idle,
    Starting,
    /// The person has to open that address and log in.
    Login(String),
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

/// A prompt that a server writes. Raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpPrompt {
    pub name: String,
    pub about: String,
    pub arguments: Vec<McpPromptArgument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpPromptArgument {
    pub name: String,
    pub is_required: bool,
}

impl McpServerStatus {
    /// Says in a line how it is; not cleaned.
    pub fn summary(&self) -> String {
        match &self.state {
            McpServerState::Idle => "starts with the first request that could use it".to_owned(),
            McpServerState::Starting => "is starting".to_owned(),
            McpServerState::Login(_) => "waits for your login".to_owned(),
            McpServerState::Failed(why) => format!("failed: {why}"),
            McpServerState::Ready => match self.tools.len() {
                1 => "ready, 1 tool".to_owned(),
                count => format!("ready, {count} tools"),
            },
        }
    }
}

impl McpPrompt {
    /// Returns what may follow it.
    pub fn hint(&self) -> String {
        let word = |argument: &McpPromptArgument| {
            if argument.is_required { argument.name.clone() } else { format!("[{}]", argument.name) }
        };
        self.arguments.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}
