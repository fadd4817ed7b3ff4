//! Mermaid diagrams, drawn with box characters.
//!
//! Understands flowcharts, sequences, states and pies as people and models write them most; what is not understood, too
//! wide or too large is none of it, and stays code. Every part has a limit, so that the work on a text is bounded however
//! it was made. Not here: colours, and which blocks are diagrams.
//!
//! Format: <https://mermaid.js.org/syntax/flowchart.html> and its neighbours.

mod canvas;
mod flowchart;
mod graph;
mod layers;
mod pie;
mod routing;
mod sequence;
mod state;

use self::graph::{Flow, Graph};
use self::layers::Layers;
use crate::text::clean::one_line;
use crate::ui::theme::TextStyle;

/// A longer text is shown as code.
const MAX_SOURCE_BYTES: usize = 8 * 1024;
/// Lines of it that are read.
const MAX_SOURCE_LINES: usize = 300;
/// Cells of one label, and of the longest line of one.
const MAX_LABEL_CELLS: usize = 120;

/// A row of a drawing: pieces of text and how they look.
pub(super) type DrawnRow = Vec<(String, TextStyle)>;

/// Draws a diagram in that many cells; none if it is better shown as code.
pub(super) fn draw(source: &str, room: usize) -> Option<Vec<DrawnRow>> {
    if source.len() > MAX_SOURCE_BYTES || source.lines().count() > MAX_SOURCE_LINES {
        return None;
    }
    let mut lines = statements(source);
    let head = lines.next()?;
    let (kind, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
    match kind.trim_end_matches(';') {
        "graph" | "flowchart" => draw_graph(&flowchart::parse(rest, lines)?, room),
        "stateDiagram" | "stateDiagram-v2" => draw_graph(&state::parse(lines)?, room),
        "sequenceDiagram" => sequence::draw(lines, room),
        "pie" => pie::draw(rest, lines, room),
        _ => None,
    }
}

/// Draws a graph the way it leads, or downwards if that is too wide.
fn draw_graph(graph: &Graph, room: usize) -> Option<Vec<DrawnRow>> {
    if graph.nodes.is_empty() {
        return None;
    }
    let drawn = |flow| routing::draw(graph, &Layers::new(graph, flow)?, flow, room);
    drawn(graph.flow).or_else(|| (graph.flow == Flow::Right).then(|| drawn(Flow::Down)).flatten())
}

/// Returns the lines that say something: no comments, no directives, no front matter.
fn statements(source: &str) -> impl Iterator<Item = &str> {
    let body = match source.trim_start().strip_prefix("---\n") {
        Some(rest) => rest.split_once("\n---").map_or("", |(_, body)| body),
        None => source,
    };
    body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("%%"))
}

/// Returns a label as it is shown, a string for each of its lines.
fn label_lines(text: &str) -> Vec<String> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let mut lines = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find(['<', '\\']) {
        let (before, from) = rest.split_at(at);
        push(&mut lines, before);
        if let Some(len) = break_len(from) {
            lines.push(String::new());
            rest = &from[len..];
        } else {
            push(&mut lines, &from[..1]);
            rest = &from[1..];
        }
    }
    push(&mut lines, rest);
    let shown = lines.iter().map(|line| one_line(&decode(line), MAX_LABEL_CELLS).trim().to_owned());
    shown.take(MAX_LABEL_LINES).collect()
}

/// Lines of one label.
const MAX_LABEL_LINES: usize = 6;

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

/// Returns the length of what breaks a line at the start of a text.
fn break_len(text: &str) -> Option<usize> {
    ["<br>", "<br/>", "<br />", "<BR>", "<BR/>", "\\n"].iter().find(|tag| text.starts_with(**tag)).map(|tag| tag.len())
}

/// Mermaid writes some characters as `#quot;` and the like.
fn decode(text: &str) -> String {
    let mut text = text.to_owned();
    if text.contains('#') {
        for (name, sign) in [("#quot;", "\""), ("#amp;", "&"), ("#lt;", "<"), ("#gt;", ">"), ("#35;", "#")] {
            text = text.replace(name, sign);
        }
    }
    text
}

#[cfg(test)]
mod tests;
