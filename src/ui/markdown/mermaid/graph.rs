//! Nodes and what leads from one to another.

use crate::text::width::str_width;

pub(super) const MAX_NODES: usize = 60;
pub(super) const MAX_EDGES: usize = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NodeShape {
    #[default]
    Box,
    Round,
    /// A decision.
    Diamond,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub id: String,
    pub label: Vec<String>,
    pub shape: NodeShape,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    /// One line; empty where there is none.
    pub label: String,
    pub is_dotted: bool,
    /// Whether there is a head at its start, and at its end.
    pub heads: (bool, bool),
}

/// Where a graph leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Down,
    Right,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Graph {
    pub flow: Flow,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Returns the place of a node, which may be new; none if there are too many.
    pub(super) fn node(&mut self, id: &str) -> Option<usize> {
        if let Some(known) = self.nodes.iter().position(|node| node.id == id) {
            return Some(known);
        }
        if self.nodes.len() == MAX_NODES {
            return None;
        }
        self.nodes.push(Node { id: id.to_owned(), label: super::label_lines(id), shape: NodeShape::Box });
        Some(self.nodes.len() - 1)
    }

    /// None if there are too many, or it leads to where it comes from.
    pub(super) fn add(&mut self, edge: Edge) -> Option<()> {
        if edge.from == edge.to || self.edges.len() == MAX_EDGES {
            return None;
        }
        self.edges.push(edge);
        Some(())
    }
}

impl Node {
    /// Columns and rows of its box.
    pub(super) fn size(&self) -> (usize, usize) {
        let text = self.label.iter().map(|line| str_width(line)).max().unwrap_or(0);
        (text + 4, self.label.len().max(1) + 2)
    }
}
