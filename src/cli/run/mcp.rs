//! `mcp`: lists, writes, removes and tries MCP servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{EXIT_FAILED, RunContext, StartOptions};
use crate::cli::mcp::{McpAddArgs, McpCommand};
use crate::config::mcp_file::{McpEntry, add_mcp_server, remove_mcp_server};
use crate::config::{McpConfig, load};
use crate::event::{McpServerState, McpServerStatus};
use crate::headless::Interrupts;
use crate::headless::output::{print, print_error, print_json};
use crate::mcp;
use crate::runtime::{Frontend, UsageError};
use crate::text::display_url::redact_login;
use crate::text::one_line;

const MAX_CELLS: usize = 120;

pub(super) async fn run(command: McpCommand, start: StartOptions) -> anyhow::Result<u8> {
    match command {
        McpCommand::List { json } => list(start.load()?, json),
        McpCommand::Test { name, json } => test(start.load()?, name.as_deref(), json).await,
        McpCommand::Login { name } => login(start.load()?, &name).await,
        McpCommand::Logout { name } => {
            let runtime = start.load()?.runtime(Frontend::Headless, None);
            let was_kept = runtime.mcp_servers().forget_login(&name).map_err(UsageError)?;
            print(&if was_kept {
                format!("logged out of {name}\n")
            } else {
                format!("there was no login at {name}\n")
            })?;
            Ok(0)
        }
        McpCommand::Serve(args) => serve(start.load()?, args.tools_only).await,
        McpCommand::Add(args) => {
            let name = args.name.clone();
            check_name(&name)?;
            let entry = entry(args)?;
            let file =
                start.with_sources(|sources| load::edit(sources, |text| add_mcp_server(text, &name, &entry)))??;
            print(&format!("{name} is in {}; try it: jarvis-tui mcp test {name}\n", file.display()))?;
            Ok(0)
        }
        McpCommand::Rm { name } => {
            let file = start.with_sources(|sources| load::edit(sources, |text| remove_mcp_server(text, &name)))??;
            print(&format!("{name} is no longer in {}\n", file.display()))?;
            Ok(0)
        }
    }
}

/// Starts a server as the person does who waits for it, and tells where to log in.
async fn login(context: RunContext, name: &str) -> anyhow::Result<u8> {
    let runtime = context.runtime(Frontend::Headless, None);
    let server = Arc::clone(runtime.mcp_servers().find(name).map_err(UsageError)?);
    let mut watch = server.watch();
    server.restart();
    let mut told = String::new();
    let mut interrupts = Interrupts::new();
    let code = loop {
        match server.status().state {
            McpServerState::Login(url) if url != told => {
                print(&format!("open this address in a browser of this machine:\n\n{url}\n\nwaiting …\n"))?;
                told = url;
            }
            McpServerState::Ready => {
                let done = if told.is_empty() { "no login was needed" } else { "logged in" };
                print(&format!("{name}: {done}\n"))?;
                break 0;
            }
            McpServerState::Failed(why) => {
                print_error(&format!("{name}: {}", one_line(&why, 600)));
                break EXIT_FAILED;
            }
            McpServerState::Idle | McpServerState::Starting | McpServerState::Login(_) => {}
        }
        tokio::select! {
            () = watch.changed() => {}
            () = interrupts.next() => break EXIT_FAILED,
        }
    };
    runtime.close().await;
    Ok(code)
}

/// Standard output has messages of the protocol and nothing else.
async fn serve(context: RunContext, tools_only: bool) -> anyhow::Result<u8> {
    let runtime = Arc::new(context.runtime(Frontend::Server, None));
    let setup = runtime.plan_mcp_server(tools_only).await?;
    let stop = CancellationToken::new();
    let mut interrupts = Interrupts::new();
    let serving = mcp::serve::serve(setup, tokio::io::stdin(), tokio::io::stdout(), stop.clone());
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = interrupts.next() => {
            stop.cancel();
            Ok(())
        }
    };
    runtime.close().await;
    match served {
        Ok(()) => Ok(0),
        Err(why) => {
            print_error(&format!("the client does not speak the protocol: {why}"));
            Ok(EXIT_FAILED)
        }
    }
}

fn check_name(name: &str) -> Result<(), UsageError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(UsageError("a server's name is made of letters, digits, `-`, `_` and `.`".to_owned()))
}

fn entry(args: McpAddArgs) -> Result<McpEntry, UsageError> {
    let pairs = |pairs: Vec<String>| -> Result<BTreeMap<String, String>, UsageError> {
        let pair = |text: String| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(UsageError(format!("`{}` is not NAME=VALUE", one_line(&text, MAX_CELLS)))),
        };
        pairs.into_iter().map(pair).collect()
    };
    Ok(McpEntry { command: args.command, url: args.url, env: pairs(args.env)?, headers: pairs(args.header)? })
}

fn place(server: &McpConfig) -> String {
    match &server.url {
        Some(url) if server.command.is_empty() => redact_login(url),
        _ => server.command.join(" "),
    }
}

fn list(context: RunContext, as_json: bool) -> anyhow::Result<u8> {
    let runtime = context.runtime(Frontend::Headless, None);
    let servers = &runtime.config().mcp;
    let access = runtime.mcp_servers().access();
    let access = |name: &str| access.get(name).map_or("", String::as_str);
    if as_json {
        let rows = servers.iter().map(|(name, server)| {
            let kind = if server.command.is_empty() { "http" } else { "stdio" };
            let access = access(name);
            json!({"name": name, "transport": kind, "place": place(server), "enabled": server.enabled, "access": access})
        });
        print_json(&rows.collect::<serde_json::Value>().to_string())?;
        return Ok(0);
    }
    if servers.is_empty() {
        print("no servers yet; add one: jarvis-tui mcp add NAME -- COMMAND, or --url URL\n")?;
        return Ok(0);
    }
    let width = servers.keys().map(String::len).max().unwrap_or_default();
    let mut text = String::new();
    for (name, server) in servers {
        let off = if server.enabled { "" } else { "  (off)" };
        let _ = writeln!(text, "{name:<width$}  {}{off}", one_line(&place(server), MAX_CELLS));
        if !access(name).is_empty() {
            let _ = writeln!(text, "{:width$}  {}", "", one_line(access(name), MAX_CELLS));
        }
    }
    print(&text)?;
    Ok(0)
}

async fn test(context: RunContext, name: Option<&str>, as_json: bool) -> anyhow::Result<u8> {
    let runtime = context.runtime(Frontend::Headless, None);
    let chosen: Vec<_> =
        runtime.mcp_servers().all().iter().filter(|server| name.is_none_or(|name| name == server.name())).collect();
    if let (Some(name), true) = (name, chosen.is_empty()) {
        let all = &runtime.config().mcp;
        let why = match all.get(name) {
            Some(server) if !server.enabled => format!("the server {name} is off: mcp.{name}.enabled = false"),
            Some(_) => format!("the settings of {name} have neither a command nor a url"),
            None => format!("no server {name}; `jarvis-tui mcp list` lists them"),
        };
        return Err(UsageError(why).into());
    }
    let listed = join_all(chosen.iter().map(|server| server.list_tools())).await;
    let statuses: Vec<McpServerStatus> = chosen.iter().map(|server| server.status()).collect();
    let mut text = String::new();
    let mut works = true;
    let mut rows = Vec::new();
    for (status, listed) in statuses.iter().zip(&listed) {
        let error = match (listed, &status.state) {
            (Err(why), _) => Some(why.clone()),
            (Ok(_), McpServerState::Failed(why)) => Some(why.clone()),
            (Ok(_), _) => None,
        };
        works &= error.is_none();
        if as_json {
            rows.push(row(status, error.as_deref()));
        } else {
            describe(&mut text, status, error.as_deref());
        }
    }
    runtime.close().await;
    if as_json {
        print_json(&serde_json::Value::from(rows).to_string())?;
    } else if statuses.is_empty() {
        print("no servers to try; add one: jarvis-tui mcp add NAME -- COMMAND, or --url URL\n")?;
    } else {
        print(&text)?;
    }
    Ok(if works { 0 } else { EXIT_FAILED })
}

fn row(status: &McpServerStatus, error: Option<&str>) -> serde_json::Value {
    let tools = status.tools.iter().map(
        |tool| json!({"name": tool.name, "description": tool.description, "claims_read_only": tool.claims_read_only}),
    );
    json!({
        "name": status.name,
        "works": error.is_none(),
        "error": error,
        "protocol": status.protocol,
        "software": status.software,
        "tools": tools.collect::<Vec<_>>(),
    })
}

fn describe(text: &mut String, status: &McpServerStatus, error: Option<&str>) {
    let name = &status.name;
    if let Some(error) = error {
        let _ = writeln!(text, "✗ {name}  failed: {}", one_line(error, 600));
        for line in status.stderr.lines().rev().take(8).collect::<Vec<_>>().into_iter().rev() {
            let _ = writeln!(text, "    {}", one_line(line, MAX_CELLS));
        }
        return;
    }
    let software = one_line(status.software.as_deref().unwrap_or("unnamed"), 60);
    let protocol = status.protocol.as_deref().unwrap_or("?");
    let count = status.tools.len();
    let _ = writeln!(
        text,
        "✓ {name}  ok: {software}, revision {protocol}, {count} tool{}",
        if count == 1 { "" } else { "s" }
    );
    let width = status.tools.iter().map(|tool| tool.name.len()).max().unwrap_or_default().min(32);
    for tool in &status.tools {
        let tool_name = one_line(&tool.name, 60);
        let _ = writeln!(text, "    {tool_name:<width$}  {}", one_line(&tool.description, MAX_CELLS - width));
    }
}
