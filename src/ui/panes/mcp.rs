//! The MCP servers with their state, a row each; and one of them with its tools, or why it failed and what to try.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::filter_list::first_shown;
use super::status::draw_facts_with;
use crate::event::{McpServerState, McpServerStatus};
use crate::store::overlay::mcp::{McpServerList, McpServerText};
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

const MAX_WIDTH: u16 = 100;
const MAX_VALUE_CELLS: usize = 600;
const MAX_NAME_CELLS: usize = 24;
/// Of the description of a tool.
const MAX_DESCRIPTION_CELLS: usize = 120;
/// Lines of what a server that failed wrote.
const MAX_STDERR_LINES: usize = 8;
/// Prompts and resources that are named.
const MAX_WORDS: usize = 8;
const NONE: &str = "there are none; `jarvis-tui mcp add NAME -- COMMAND` writes one into your settings, and the next start \
                    of this program has it";

pub fn draw_list(list: &McpServerList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    if list.servers.is_empty() {
        return draw_facts_with("MCP servers", "", &[("", NONE.to_owned())], 0, screen, buf);
    }
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let width = area.width.saturating_sub(2).min(MAX_WIDTH);
    let place = centered(area, width, (list.servers.len() + 2).min(usize::from(area.height)) as u16);
    let footer = format!("{} shows it · {} closes", labels.accept, labels.close);
    let inner = draw_box("MCP servers", &footer, Role::BorderFocused, theme, place, buf);
    let names = list.servers.iter().map(|server| str_width(&one_line(&server.name, MAX_NAME_CELLS))).max().unwrap_or(0);
    let shown = usize::from(inner.height).max(1);
    let first = first_shown(list.selected, shown);
    for (y, (nth, server)) in (0..).zip(list.servers.iter().enumerate().skip(first).take(shown)) {
        let (mark, role) = mark(&server.state);
        let name = one_line(&server.name, MAX_NAME_CELLS);
        let room = usize::from(inner.width).saturating_sub(names + 4);
        let mut pen = RowWriter::new(buf, inner, y);
        pen.write(mark, theme.style(role)).write(" ", theme.style(Role::Text));
        pen.write(&name, theme.style(Role::Text)).skip((names + 2).saturating_sub(str_width(&name)));
        let role = if matches!(server.state, McpServerState::Failed(_)) { Role::Error } else { Role::Dim };
        pen.write(&one_line(&server.summary(), room), theme.style(role));
        if nth == list.selected {
            select_row(Rect { y: inner.y + y, height: 1, ..inner }, theme, buf);
        }
    }
    DrawnOverlay::default()
}

pub fn draw_server(shown: &McpServerText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let accept = &screen.key_hints.accept;
    let hint = match shown.server.state {
        McpServerState::Idle => format!("{accept} starts it"),
        McpServerState::Failed(_) => format!("{accept} starts it again"),
        _ => String::new(),
    };
    let title = format!("MCP server {}", one_line(&shown.server.name, MAX_NAME_CELLS));
    draw_facts_with(&title, &hint, &facts(&shown.server), shown.scroll, screen, buf)
}

fn mark(state: &McpServerState) -> (&'static str, Role) {
    match state {
        McpServerState::Idle => ("·", Role::Dim),
        McpServerState::Starting => ("…", Role::Warn),
        McpServerState::Login(_) => ("?", Role::Warn),
        McpServerState::Ready => ("✓", Role::Ok),
        McpServerState::Failed(_) => ("✗", Role::Error),
    }
}

fn facts(server: &McpServerStatus) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut tell = |name: &'static str, text: &str| {
        let text = one_line(text, MAX_VALUE_CELLS);
        if !text.is_empty() {
            facts.push((name, text));
        }
    };
    tell("State", &server.summary());
    if let McpServerState::Login(url) = &server.state {
        tell("Log in", url);
        tell("", "open that address in a browser of this machine");
    }
    let stderr: Vec<&str> = server.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &stderr[stderr.len().saturating_sub(MAX_STDERR_LINES)..];
    if matches!(server.state, McpServerState::Failed(_)) {
        for (nth, line) in last.iter().enumerate() {
            tell(if nth == 0 { "Wrote" } else { "" }, line);
        }
        tell("To mend", "set it right in the settings or where it runs, then start it again here");
    }
    tell("Server", server.software.as_deref().unwrap_or_default());
    tell("Speaks", &server.protocol.as_ref().map(|revision| format!("revision {revision}")).unwrap_or_default());
    tell("Runs", &server.place);
    tell("May", &server.access);
    for (name, words) in [("Prompts", &server.prompts), ("Resources", &server.resources)] {
        let shown: Vec<String> = words.iter().take(MAX_WORDS).map(|word| one_line(word, 80)).collect();
        let more = words.len().saturating_sub(MAX_WORDS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        tell(name, &format!("{}{more}", shown.join(", ")));
    }
    for (nth, tool) in server.tools.iter().enumerate() {
        let claim = if tool.claims_read_only { " (it says: changes nothing)" } else { "" };
        let about = one_line(&tool.description, MAX_DESCRIPTION_CELLS);
        let name = one_line(&tool.name, 60);
        tell(if nth == 0 { "Tools" } else { "" }, &format!("{name}{claim}: {about}"));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::McpToolSummary;

    fn server(state: McpServerState) -> McpServerStatus {
        McpServerStatus {
            name: "files".into(),
            place: "npx files".into(),
            access: "sandbox: no network, writes temp".into(),
            state,
            protocol: Some("2026-07-28".into()),
            software: Some("files 1.0".into()),
            tools: vec![McpToolSummary {
                name: "read".into(),
                description: "Reads\u{1b}[31m a file".into(),
                claims_read_only: true,
            }],
            prompts: vec!["greet".into()],
            resources: Vec::new(),
            stderr: "one\n\ntwo\n".into(),
        }
    }

    fn told(state: McpServerState) -> Vec<String> {
        facts(&server(state)).into_iter().map(|(name, value)| format!("{name}|{value}")).collect()
    }

    #[test]
    fn a_server_that_works_is_told_with_its_tools() {
        let told = told(McpServerState::Ready);
        assert_eq!(told[0], "State|ready, 1 tool");
        assert_eq!(told[5], "Prompts|greet");
        assert_eq!(told[6], "Tools|read (it says: changes nothing): Reads a file");
        assert!(!told.iter().any(|fact| fact.starts_with("Wrote")));
    }

    #[test]
    fn a_server_that_failed_says_why_and_how_it_is_mended() {
        let told = told(McpServerState::Failed("no token".into()));
        assert_eq!(told[..3], ["State|failed: no token", "Wrote|one", "|two"]);
        assert!(told[3].starts_with("To mend|"));
    }
}
