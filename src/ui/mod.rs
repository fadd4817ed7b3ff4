//! ui
pub mod keymap;
pub mod lines;
pub mod md;
pub mod panes;
pub mod theme;
