//! The face: a function from store and view state to cells. ratatui and nothing else; no clock, no IO.

pub mod completion;
pub mod composer;
pub mod format;
pub mod keymap;
pub mod labels;
pub mod layout;
pub mod lines;
pub mod md;
pub mod paint;
pub mod panes;
pub mod theme;
