//! app
pub mod pace;
