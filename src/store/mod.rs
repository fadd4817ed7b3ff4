//! What is true on screen: a pure fold over facts. No clock, no IO, no geometry, no styles.

pub mod action;
pub mod effect;
pub mod msg;
pub mod tools;
pub mod transcript;
