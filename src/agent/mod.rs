//! The in-process agent: sends requests to an engine, judges and runs the calls in the response, and repeats.
//!
//! The decisions are pure ([`turn`], [`assembler`], [`approval`], [`history`], [`summary`], [`window`], [`ids`]); `run` performs them.

pub mod approval;
pub mod assembler;
pub mod history;
pub mod ids;
mod run;
mod setup;
pub mod snapshots;
pub mod summary;
pub mod turn;
pub mod window;

pub use history::{BranchPast, ReadBranch, ReadLog};
pub use run::Agent;
pub use setup::{
    AgentSetup, ApprovalSettings, DescribeModel, EngineChoice, Instructions, OverflowPath, ReadInstructions,
    ServerSuggestions, SwitchModel,
};
pub use turn::TurnLimits;
