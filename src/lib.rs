//! placeholder: the architecture
pub mod event;
pub mod text;

pub mod config;
pub mod dialect;
pub mod store;

pub mod agent;
pub mod bridge;
pub mod engine;
pub mod journal;
pub mod net;
pub mod tool;

pub mod ui;

pub mod app;
pub mod assemble;
pub mod cli;
pub mod headless;
