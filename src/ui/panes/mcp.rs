//! The MCP servers with their state and tools; of one that failed, why and what to try.

use ratatui::buffer::Buffer;

use super::status::draw_facts;
use crate::event::{McpServerState, McpServerStatus};
use crate::store::overlay::mcp::McpServerList;
use crate::text::one_line;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};

const MAX_VALUE_CELLS: usize = 400;
const MAX_NAME_CELLS: usize = 24;
/// Of the description of a tool.
const MAX_DESCRIPTION_CELLS: usize = 90;
/// Lines of what a server that failed wrote.
const MAX_STDERR_LINES: usize = 6;

pub fn draw(shown: &McpServerList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    draw_facts("MCP servers", &facts(&shown.servers), shown.scroll, screen, buf)
}

fn facts(servers: &[McpServerStatus]) -> Vec<(String, String)> {
    if servers.is_empty() {
        let how = "there are none; `jarvis-tui mcp add NAME -- COMMAND` writes one into your settings, and the next \
                   start of this program has it";
        return vec![(String::new(), how.to_owned())];
    }
    servers.iter().flat_map(server_facts).collect()
}

fn server_facts(server: &McpServerStatus) -> Vec<(String, String)> {
    let name = one_line(&server.name, MAX_NAME_CELLS);
    let tell = |text: &str| (String::new(), one_line(text, MAX_VALUE_CELLS));
    let mut facts = vec![(name.clone(), one_line(&state_words(server), MAX_VALUE_CELLS)), tell(&server.place)];
    if matches!(server.state, McpServerState::Failed(_)) {
        facts.push(tell(&format!("mend it, then /mcp {name} starts it again")));
        let lines: Vec<&str> = server.stderr.lines().collect();
        facts.extend(lines[lines.len().saturating_sub(MAX_STDERR_LINES)..].iter().map(|line| tell(line)));
    }
    for tool in &server.tools {
        let claim = if tool.claims_read_only { " (it says: changes nothing)" } else { "" };
        let about = one_line(&tool.description, MAX_DESCRIPTION_CELLS);
        facts.push(tell(&format!("· {}{claim}: {about}", one_line(&tool.name, 60))));
    }
    facts
}

fn state_words(server: &McpServerStatus) -> String {
    let count = server.tools.len();
    match &server.state {
        McpServerState::Idle => "starts with the first request that could use it".to_owned(),
        McpServerState::Starting => "is starting".to_owned(),
        McpServerState::Failed(why) => format!("failed: {why}"),
        McpServerState::Ready => format!(
            "ready: {}, revision {}, {count} tool{}",
            server.software.as_deref().unwrap_or("unnamed"),
            server.protocol.as_deref().unwrap_or("?"),
            if count == 1 { "" } else { "s" },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::McpToolSummary;

    fn server(state: McpServerState) -> McpServerStatus {
        McpServerStatus {
            name: "files".into(),
            place: "npx files".into(),
            state,
            protocol: Some("2026-07-28".into()),
            software: Some("files 1.0".into()),
            tools: vec![McpToolSummary {
                name: "read".into(),
                description: "Reads\u{1b}[31m a file".into(),
                claims_read_only: true,
            }],
            stderr: "one\ntwo\n".into(),
        }
    }

    #[test]
    fn a_server_that_works_is_told_with_its_tools() {
        let told = facts(&[server(McpServerState::Ready)]);
        assert_eq!(told[0], ("files".to_owned(), "ready: files 1.0, revision 2026-07-28, 1 tool".to_owned()));
        assert_eq!(told[2].1, "· read (it says: changes nothing): Reads a file");
    }

    #[test]
    fn a_server_that_failed_says_why_and_how_it_is_mended() {
        let told = facts(&[server(McpServerState::Failed("no token".into()))]);
        let values: Vec<&str> = told.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values[..5],
            ["failed: no token", "npx files", "mend it, then /mcp files starts it again", "one", "two"]
        );
        assert!(facts(&[])[0].1.contains("mcp add"));
    }
}
