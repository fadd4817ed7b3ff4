//! What tests of all layers build their cases from. It is part of the library's own tests, of `tests/it` and of the
//! benches.

pub(crate) mod branching;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod factory;
pub(crate) mod images;
pub(crate) mod log;
pub(crate) mod secrets;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod ui;
