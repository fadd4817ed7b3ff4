//! Reads flowcharts: nodes in their shapes, and links with labels.
//!
//! Groups (`subgraph`) and newer forms are not understood: what they say would be lost in a drawing without them.

use super::graph::{Edge, Flow, Graph, NodeShape};
use super::label_lines;

/// How a label is fenced in, and the shape that this means; longer marks first.
const SHAPES: [(&str, &[&str], NodeShape); 12] = [
    ("(((", &[")))"], NodeShape::Round),
    ("([", &["])"], NodeShape::Round),
    ("((", &["))"], NodeShape::Round),
    ("[[", &["]]"], NodeShape::Box),
    ("[(", &[")]"], NodeShape::Round),
    ("[/", &["/]", "\\]"], NodeShape::Box),
    ("[\\", &["\\]", "/]"], NodeShape::Box),
    ("{{", &["}}"], NodeShape::Diamond),
    ("[", &["]"], NodeShape::Box),
    ("(", &[")"], NodeShape::Round),
    ("{", &["}"], NodeShape::Diamond),
    (">", &["]"], NodeShape::Box),
];
/// What only says how something looks.
const LOOKS: [&str; 7] = ["classDef", "class", "style", "linkStyle", "click", "accTitle", "accDescr"];
/// What is not understood.
const GROUPS: [&str; 3] = ["subgraph", "end", "direction"];

pub(super) fn parse<'a>(head: &'a str, lines: impl Iterator<Item = &'a str>) -> Option<Graph> {
    let mut first = pieces(head).into_iter();
    let (flow, is_backwards) = match first.next().unwrap_or("TD").trim() {
        "" | "TD" | "TB" => (Flow::Down, false),
        "BT" => (Flow::Down, true),
        "LR" => (Flow::Right, false),
        "RL" => (Flow::Right, true),
        _ => return None,
    };
    let mut graph = Graph { flow, ..Graph::default() };
    for statement in first.chain(lines.flat_map(pieces)) {
        add_statement(&mut graph, statement.trim())?;
    }
    if is_backwards {
        for edge in &mut graph.edges {
            (edge.from, edge.to) = (edge.to, edge.from);
            edge.heads = (edge.heads.1, edge.heads.0);
        }
    }
    Some(graph)
}

/// Splits a line at semicolons that stand in no label.
fn pieces(line: &str) -> Vec<&str> {
    let (mut depth, mut is_quoted, mut start, mut pieces) = (0_i32, false, 0, Vec::new());
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'[' | b'(' | b'{' if !is_quoted => depth += 1,
            b']' | b')' | b'}' if !is_quoted => depth -= 1,
            b';' if !is_quoted && depth <= 0 => {
                pieces.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&line[start..]);
    pieces
}

fn add_statement(graph: &mut Graph, statement: &str) -> Option<()> {
    let word = statement.split(|c: char| c.is_whitespace() || c == ':').next().unwrap_or_default();
    if statement.is_empty() || LOOKS.contains(&word) {
        return Some(());
    }
    if GROUPS.contains(&word) {
        return None;
    }
    let mut reader = StatementReader { rest: statement };
    let mut from = reader.group(graph)?;
    while !reader.rest.is_empty() {
        let link = reader.link()?;
        let to = reader.group(graph)?;
        for one in &from {
            for other in &to {
                graph.add(Edge { from: *one, to: *other, ..link.clone() })?;
            }
        }
        from = to;
    }
    Some(())
}

/// What is left of a statement.
struct StatementReader<'a> {
    rest: &'a str,
}

impl StatementReader<'_> {
    /// Reads nodes with `&` between them.
    fn group(&mut self, graph: &mut Graph) -> Option<Vec<usize>> {
        let mut nodes = vec![self.node(graph)?];
        while let Some(rest) = self.rest.strip_prefix('&') {
            self.rest = rest.trim_start();
            nodes.push(self.node(graph)?);
        }
        Some(nodes)
    }

    fn node(&mut self, graph: &mut Graph) -> Option<usize> {
        let end = id_len(self.rest);
        let (id, rest) = self.rest.split_at(end);
        if id.is_empty() {
            return None;
        }
        self.rest = rest;
        let node = graph.node(id)?;
        if let Some((open, closers, shape)) = SHAPES.iter().find(|(open, ..)| self.rest.starts_with(open)) {
            let inside = &self.rest[open.len()..];
            let from = match inside.strip_prefix('"') {
                Some(quoted) => quoted.find('"')? + 2,
                None => 0,
            };
            let (at, closer) =
                closers.iter().filter_map(|closer| Some((from + inside[from..].find(closer)?, closer))).min()?;
            let known = graph.nodes.get_mut(node)?;
            (known.label, known.shape) = (label_lines(&inside[..at]), *shape);
            self.rest = &inside[at + closer.len()..];
        }
        if let Some(class) = self.rest.strip_prefix(":::") {
            self.rest = &class[id_len(class)..];
        }
        self.rest = self.rest.trim_start();
        Some(node)
    }

    fn link(&mut self) -> Option<Edge> {
        let (has_start, rest) = match self.rest.strip_prefix('<') {
            Some(rest) => (true, rest),
            None => (false, self.rest),
        };
        let (body, has_end, rest) = line_of(rest)?;
        let is_dotted = body.contains('.');
        // A label inside: `-- text -->`.
        if body.len() == 2 && !has_end {
            let closing = if is_dotted { ".-" } else { body };
            let at = rest.find(closing)?;
            let (_, has_end, after) = line_of(&rest[at..])?;
            self.rest = after.trim_start();
            return Some(link(&rest[..at], is_dotted, (has_start, has_end)));
        }
        let rest = rest.trim_start();
        let (label, rest) = match rest.strip_prefix('|') {
            Some(inside) => inside.split_once('|')?,
            None => ("", rest),
        };
        self.rest = rest.trim_start();
        Some(link(label, is_dotted, (has_start, has_end)))
    }
}

fn link(label: &str, is_dotted: bool, heads: (bool, bool)) -> Edge {
    let label = label_lines(label).join(" ").trim().to_owned();
    Edge { label, is_dotted, heads, ..Edge::default() }
}

/// Reads a line with its head; other heads than arrows are not understood.
fn line_of(text: &str) -> Option<(&str, bool, &str)> {
    let end = text.bytes().position(|byte| !matches!(byte, b'-' | b'=' | b'.')).unwrap_or(text.len());
    let (body, rest) = text.split_at(end);
    if body.len() < 2 {
        return None;
    }
    match rest.strip_prefix('>') {
        Some(rest) => Some((body, true, rest)),
        None if rest.starts_with("o ") || rest.starts_with("x ") => None,
        None => Some((body, false, rest)),
    }
}

/// Returns the length of the name that a text begins with. A dash or a dot belongs to it where it goes on behind.
fn id_len(text: &str) -> usize {
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let goes_on = chars.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if c.is_alphanumeric() || c == '_' || matches!(c, '-' | '.') && at > 0 && goes_on {
            end = at + c.len_utf8();
        } else {
            break;
        }
    }
    end
}
