//! The in-process agent: asks an engine, judges and runs the calls it makes, asks again.
//!
//! The decisions are pure ([`turn`], [`approval`], [`history`], [`names`]); `run` performs them.

pub mod approval;
pub mod history;
pub mod names;
mod run;
mod setup;
pub mod turn;

pub use run::Agent;
pub use setup::{AgentSetup, Asks, Describe, EngineChoice, Offers, Overflow, Switch};
pub use turn::Limits;
