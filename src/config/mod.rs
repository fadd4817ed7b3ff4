//! Settings: read, merged in layers, each value with its origin.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::Mode;

pub mod keys;

/// Every setting, merged. The embedded `assets/config.toml` documents each and gives the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Written `engine/model` or just `engine`; none lets the program look around.
    pub model: Option<String>,
    pub engines: BTreeMap<String, EngineConfig>,
    pub ui: UiConfig,
    pub approvals: ApprovalConfig,
    pub tools: ToolConfig,
    pub limits: LimitConfig,
    /// US dollars per million tokens (input, output) by model name, where the program doesn't know or errs.
    pub prices: BTreeMap<String, (f64, f64)>,
    /// Context windows in tokens by model name, likewise.
    pub windows: BTreeMap<String, u64>,
    /// Rebound keys: context → chord → action name, or `none`.
    pub keys: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    pub kind: EngineKind,
    /// Literal or `env:NAME`.
    pub base_url: Option<String>,
    /// `env:NAME`, `cmd:COMMAND`, or (discouraged) the key itself.
    pub api_key: Option<String>,
    /// Any byte resets it.
    pub idle_timeout: Duration,
    /// Alive but nothing usable.
    pub no_output_timeout: Duration,
    pub retries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Offline,
    OpenAi,
    Ollama,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiConfig {
    pub theme: ThemeChoice,
    pub max_fps: u16,
    /// Reasoning starts folded.
    pub fold_thinking: bool,
    /// Output of tools starts folded.
    pub fold_output: bool,
    pub mouse: bool,
    /// Show the tool panel where there is room.
    pub tool_panel: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    Auto,
    Dark,
    Light,
    Mono,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalConfig {
    pub mode: Mode,
    /// Patterns such as `read_file` or `shell(git status*)`.
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolConfig {
    /// Folders besides the working folder that file tools may use.
    pub folders: Vec<PathBuf>,
    pub timeout: Duration,
    pub shell_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    /// Requests to the model in one turn.
    pub max_rounds: u32,
    /// Bytes of a call's output that the model gets.
    pub tool_output: usize,
}
