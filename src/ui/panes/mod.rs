//! One area of the screen, one file, one function that draws it. Panes hold no state and take no keys.

pub mod activity;
pub mod approval;
pub mod frames;
pub mod help;
pub mod item;
pub mod links;
pub mod models;
pub mod modes;
pub mod outline;
pub mod perf_overlay;
pub mod permissions;
pub mod pick_hint;
pub mod popup;
pub mod queue;
pub mod raw;
pub mod replay_bar;
pub mod search_bar;
pub mod status_line;
mod subject;
mod terminal_output;
pub mod toast;
pub mod tool_panel;
pub mod transcript;
pub mod usage_bar;
pub mod welcome;
