//! PURE. Joins neighboring symbols, the best pair first, until no pair is left.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A piece of the text, and its token where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: Option<u32>,
}

#[derive(Debug)]
struct Pair {
    priority: f32,
    left: usize,
    right: usize,
    /// What both were when the pair was found: it is outdated where one has grown.
    start: usize,
    end: usize,
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.total_cmp(&other.priority).then_with(|| other.start.cmp(&self.start))
    }
}

struct Node {
    symbol: Symbol,
    /// The neighbors; none at the ends.
    before: Option<usize>,
    after: Option<usize>,
    is_gone: bool,
}

/// Splits a text into characters and joins them. The priority of a pair is asked with its text; the highest comes first,
/// and of equal ones the leftmost.
pub(super) fn merge(
    text: &str,
    id: &dyn Fn(&str) -> Option<u32>,
    priority: &dyn Fn(&str, Symbol, Symbol) -> Option<f32>,
) -> Vec<Symbol> {
    let part = |start: usize, end: usize| text.get(start..end).unwrap_or_default();
    let mut nodes: Vec<Node> = text
        .char_indices()
        .enumerate()
        .map(|(at, (start, c))| {
            let end = start + c.len_utf8();
            let symbol = Symbol { start, end, id: id(part(start, end)) };
            Node { symbol, before: at.checked_sub(1), after: Some(at + 1), is_gone: false }
        })
        .collect();
    if let Some(last) = nodes.last_mut() {
        last.after = None;
    }
    let mut queue = BinaryHeap::new();
    let offer = |nodes: &[Node], left: Option<usize>, right: Option<usize>, queue: &mut BinaryHeap<Pair>| {
        let (Some(left), Some(right)) = (left, right) else { return };
        let (Some(one), Some(other)) = (nodes.get(left), nodes.get(right)) else { return };
        let (start, end) = (one.symbol.start, other.symbol.end);
        if let Some(priority) = priority(part(start, end), one.symbol, other.symbol) {
            queue.push(Pair { priority, left, right, start, end });
        }
    };
    for at in 1..nodes.len() {
        offer(&nodes, Some(at - 1), Some(at), &mut queue);
    }
    while let Some(Pair { left, right, start, end, .. }) = queue.pop() {
        let is_current = |at: usize| nodes.get(at).filter(|node| !node.is_gone).map(|node| node.symbol);
        let (Some(one), Some(other)) = (is_current(left), is_current(right)) else { continue };
        if one.start != start || other.end != end || one.end != other.start {
            continue;
        }
        let after = nodes.get(right).and_then(|node| node.after);
        let before = nodes.get(left).and_then(|node| node.before);
        if let Some(node) = nodes.get_mut(right) {
            node.is_gone = true;
        }
        if let Some(node) = nodes.get_mut(left) {
            node.symbol = Symbol { start, end, id: id(part(start, end)) };
            node.after = after;
        }
        if let Some(node) = after.and_then(|after| nodes.get_mut(after)) {
            node.before = Some(left);
        }
        offer(&nodes, before, Some(left), &mut queue);
        offer(&nodes, Some(left), after, &mut queue);
    }
    nodes.into_iter().filter(|node| !node.is_gone).map(|node| node.symbol).collect()
}
