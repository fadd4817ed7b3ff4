//! The only integration test binary: linking is the expensive part.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, reason = "a test that is skipped says why")]

use testkit::server as support;

mod attach;
mod attach_acp;
mod attach_openjarvis;
mod cassette;
mod circles;
mod cli;
mod command_line;
mod compare;
mod connections;
mod damaged;
mod dialects;
mod documented;
mod encode_chat;
mod encoders;
mod encoders_responses;
mod engines;
mod grammar;
mod hands;
mod headless;
mod hosted;
mod hostile;
mod import;
mod inline;
mod journal;
mod journal_index;
mod markdown;
mod mcp;
mod names;
mod oracle;
mod programs;
mod reading;
mod replies;
#[cfg(target_os = "linux")]
mod sandbox;
mod screens;
mod serve;
mod serve_a2a;
mod serve_acp;
mod serve_acp_remote;
mod serve_agents;
mod serve_ahp;
mod serve_approval_links;
mod serve_chat;
mod serve_durable;
mod serve_formats;
mod serve_matrix;
mod serve_page;
mod serve_program;
mod serve_responses;
mod serve_socket;
mod serve_stream;
mod serve_tuning;
mod serve_vendors;
mod spec;
mod store;
mod streaming;
#[path = "../testkit/mod.rs"]
#[allow(dead_code, reason = "shared with the library's own tests, which use other parts")]
mod testkit;
mod tidy;
mod tools;
mod tty;
mod wire;
mod work;
