//! Reads states and what leads from one to another. States inside states and choices are not understood.

use super::graph::{Edge, Graph, NodeShape};
use super::label_lines;

/// What only says how something looks.
const LOOKS: [&str; 3] = ["classDef", "class", "hide"];

pub(super) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Graph> {
    let mut graph = Graph::default();
    for line in lines {
        let line = line.trim_end_matches(';').trim();
        let word = line.split_whitespace().next().unwrap_or_default();
        if LOOKS.contains(&word) || line == "direction TB" || line == "direction TD" {
            continue;
        }
        if let Some((from, rest)) = line.split_once("-->") {
            let (to, label) = rest.split_once(':').unwrap_or((rest, ""));
            let from = state(&mut graph, from.trim(), true)?;
            let to = state(&mut graph, to.trim(), false)?;
            let label = label_lines(label).join(" ").trim().to_owned();
            graph.add(Edge { from, to, label, heads: (false, true), is_dotted: false })?;
        } else if let Some(rest) = line.strip_prefix("state ") {
            let (label, id) = rest.trim().strip_prefix('"')?.split_once('"')?;
            let node = state(&mut graph, id.trim().strip_prefix("as ")?.trim(), true)?;
            graph.nodes.get_mut(node)?.label = label_lines(label);
        } else if let Some((id, label)) = line.split_once(':') {
            let node = state(&mut graph, id.trim(), true)?;
            graph.nodes.get_mut(node)?.label = label_lines(label);
        } else {
            state(&mut graph, line, true)?;
        }
    }
    Some(graph)
}

/// Returns the place of a state; the start and the end are none of the others.
fn state(graph: &mut Graph, id: &str, is_start: bool) -> Option<usize> {
    if id == "[*]" {
        let sign = if is_start { "●" } else { "◉" };
        let node = graph.node(sign)?;
        graph.nodes.get_mut(node)?.shape = NodeShape::Round;
        return Some(node);
    }
    if id.is_empty() || id.contains(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
        return None;
    }
    let node = graph.node(id)?;
    graph.nodes.get_mut(node)?.shape = NodeShape::Round;
    Some(node)
}
