//! ui
pub mod lines;
pub mod md;
pub mod panes;
