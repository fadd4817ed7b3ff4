//! app
pub mod history;
pub mod pace;
pub mod screen;
pub mod term;
