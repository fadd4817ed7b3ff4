//! Where the nodes of a graph stand: in layers, along which all that leads on leads the same way.
//!
//! The classic steps: what leads back is turned around, every node is as far from the start as its longest way, what
//! leads over several layers gets a place in each, and each layer is ordered and aligned by the middle of its neighbours.

use super::graph::{Edge, Flow, Graph};
use crate::text::width::str_width;

/// Places in all layers, those included that only a line runs through.
const MAX_PLACES: usize = 400;
/// Times that layers are ordered, and aligned, there and back.
const SWEEP_COUNT: usize = 4;

/// A node, or where a line runs through a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// None where only a line runs through.
    pub node: Option<usize>,
    pub layer: usize,
    /// The middle across the way that the graph leads, and the size of the box around it.
    pub middle: i64,
    pub size: i64,
    /// What is kept clear of others before the middle, and from it on: a label may stand beside its line.
    before: i64,
    after: i64,
}

/// A piece of an edge, from a layer to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub from: usize,
    pub to: usize,
    pub edge: usize,
    /// Whether a head is drawn at its start, and at its end.
    pub heads: (bool, bool),
    /// The edge's label stands at this piece.
    pub has_label: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layers {
    pub places: Vec<Place>,
    pub segments: Vec<Segment>,
    /// The places of each layer, in their order.
    pub order: Vec<Vec<usize>>,
}

impl Layers {
    /// None if it would be too much to look at.
    pub(super) fn new(graph: &Graph, flow: Flow) -> Option<Self> {
        let turned = turned_edges(graph);
        let ends = |nth: usize, edge: &Edge| {
            if turned.get(nth).copied().unwrap_or(false) { (edge.to, edge.from) } else { (edge.from, edge.to) }
        };
        let ranks = ranks(graph, &ends)?;
        let mut all = Self { order: vec![Vec::new(); ranks.iter().max()? + 1], ..Self::default() };
        for (node, rank) in ranks.iter().enumerate() {
            all.add_place(Some(node), *rank)?;
        }
        for (nth, edge) in graph.edges.iter().enumerate() {
            let (from, to) = ends(nth, edge);
            let is_turned = from != edge.from;
            let heads = if is_turned { (edge.heads.1, edge.heads.0) } else { edge.heads };
            let mut at = from;
            for layer in ranks[from] + 1..=ranks[to] {
                let is_last = layer == ranks[to];
                let next = if is_last { to } else { all.add_place(None, layer)? };
                let heads = (heads.0 && at == from, heads.1 && is_last);
                let has_label = is_last && !edge.label.is_empty();
                all.segments.push(Segment { from: at, to: next, edge: nth, heads, has_label });
                at = next;
            }
        }
        all.sort();
        all.measure(graph, flow);
        all.align(if flow == Flow::Down { 3 } else { 1 });
        Some(all)
    }

    fn add_place(&mut self, node: Option<usize>, layer: usize) -> Option<usize> {
        if self.places.len() == MAX_PLACES {
            return None;
        }
        self.places.push(Place { node, layer, middle: 0, size: 1, before: 0, after: 1 });
        self.order.get_mut(layer)?.push(self.places.len() - 1);
        Some(self.places.len() - 1)
    }

    /// Returns the neighbours of each place, in the layer before or in the one behind.
    fn neighbours(&self, is_before: bool) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new(); self.places.len()];
        for segment in &self.segments {
            let (of, other) = if is_before { (segment.to, segment.from) } else { (segment.from, segment.to) };
            all[of].push(other);
        }
        all
    }

    fn sort(&mut self) {
        let (before, behind) = (self.neighbours(true), self.neighbours(false));
        let mut ranks = vec![0.0_f64; self.places.len()];
        let number = |layer: &[usize], ranks: &mut Vec<f64>| {
            for (nth, place) in layer.iter().enumerate() {
                ranks[*place] = nth as f64;
            }
        };
        for layer in &self.order {
            number(layer, &mut ranks);
        }
        for sweep in 0..SWEEP_COUNT * 2 {
            let is_down = sweep % 2 == 0;
            let neighbours = if is_down { &before } else { &behind };
            let count = self.order.len();
            for nth in 0..count {
                let layer = &mut self.order[if is_down { nth } else { count - 1 - nth }];
                let key = |place: &usize| {
                    let near = &neighbours[*place];
                    if near.is_empty() {
                        ranks[*place]
                    } else {
                        near.iter().map(|other| ranks[*other]).sum::<f64>() / near.len() as f64
                    }
                };
                layer.sort_by(|one, other| key(one).total_cmp(&key(other)));
                number(layer, &mut ranks);
            }
        }
    }

    /// Finds how much room each place needs across.
    fn measure(&mut self, graph: &Graph, flow: Flow) {
        for at in 0..self.places.len() {
            let Some(node) = self.places[at].node.and_then(|node| graph.nodes.get(node)) else { continue };
            let size = if flow == Flow::Down { node.size().0 } else { node.size().1 };
            let ports = self.port_offsets(at, graph, flow);
            let span = ports.last().copied().unwrap_or(0);
            let leaving = || self.segments.iter().filter(|segment| segment.from == at);
            // Those with a head at the start have a place each, the others one together.
            let alone = signed(leaving().filter(|segment| segment.heads.0).count());
            let places = alone + i64::from(leaving().any(|segment| !segment.heads.0));
            let size = signed(size).max(span + 3).max(2 * places + 1);
            let place = &mut self.places[at];
            (place.size, place.before, place.after) = (size, size / 2, size - size / 2);
        }
        if flow == Flow::Down {
            self.make_room_for_labels(graph);
        }
    }

    /// A label stands at the right of its line.
    fn make_room_for_labels(&mut self, graph: &Graph) {
        for segment in self.segments.clone().iter().filter(|segment| segment.has_label) {
            let cells = signed(graph.edges.get(segment.edge).map_or(0, |edge| str_width(&edge.label)));
            let span = self.port_offsets(segment.to, graph, Flow::Down).last().copied().unwrap_or(0);
            let place = &mut self.places[segment.to];
            place.after = place.after.max(span - span / 2 + cells + 3);
        }
    }

    /// Returns where what comes into a place ends, from the first end on.
    pub(super) fn port_offsets(&self, place: usize, graph: &Graph, flow: Flow) -> Vec<i64> {
        let mut offsets = Vec::new();
        let mut next = 0;
        for segment in self.incoming(place) {
            offsets.push(next);
            let label = graph.edges.get(segment.edge).filter(|_| segment.has_label);
            next += match flow {
                Flow::Right => 1,
                Flow::Down => label.map_or(2, |edge| signed(str_width(&edge.label)) + 4),
            };
        }
        offsets
    }

    /// Returns the pieces that end at a place, in the order of where they begin.
    pub(super) fn incoming(&self, place: usize) -> Vec<Segment> {
        let mut incoming: Vec<Segment> = self.segments.iter().filter(|segment| segment.to == place).copied().collect();
        incoming.sort_by_key(|segment| (self.position(segment.from), segment.edge));
        incoming
    }

    fn position(&self, place: usize) -> usize {
        let layer = self.places.get(place).and_then(|place| self.order.get(place.layer));
        layer.and_then(|layer| layer.iter().position(|other| *other == place)).unwrap_or(0)
    }

    /// Places everything across: near the middle of its neighbours, and clear of those beside it.
    fn align(&mut self, gap: i64) {
        let (before, behind) = (self.neighbours(true), self.neighbours(false));
        for layer in self.order.clone() {
            let mut next = 0;
            for place in layer {
                let place = &mut self.places[place];
                place.middle = next + place.before;
                next = place.middle + place.after + gap;
            }
        }
        for sweep in 0..=SWEEP_COUNT * 2 {
            let is_down = sweep % 2 == 0;
            let neighbours = if is_down { &before } else { &behind };
            let count = self.order.len();
            for nth in 0..count {
                let layer = self.order[if is_down { nth } else { count - 1 - nth }].clone();
                let wanted: Vec<i64> = layer
                    .iter()
                    .map(|place| {
                        let near = &neighbours[*place];
                        match signed(near.len()) {
                            0 => self.places[*place].middle,
                            count => near.iter().map(|other| self.places[*other].middle).sum::<i64>().div_euclid(count),
                        }
                    })
                    .collect();
                self.set_apart(&layer, &wanted, gap);
            }
        }
        let first = self.places.iter().map(|place| place.middle - place.before).min().unwrap_or(0);
        for place in &mut self.places {
            place.middle -= first;
        }
    }

    /// Moves the places of a layer to where they are wanted, half of what is in the way to each side.
    fn set_apart(&mut self, layer: &[usize], wanted: &[i64], gap: i64) {
        let apart = |all: &Self, nth: usize| all.places[layer[nth]].after + gap + all.places[layer[nth + 1]].before;
        let (mut right, mut left) = (wanted.to_vec(), wanted.to_vec());
        for nth in 0..layer.len().saturating_sub(1) {
            right[nth + 1] = right[nth + 1].max(right[nth] + apart(self, nth));
        }
        for nth in (0..layer.len().saturating_sub(1)).rev() {
            left[nth] = left[nth].min(left[nth + 1] - apart(self, nth));
        }
        for (nth, place) in layer.iter().enumerate() {
            self.places[*place].middle = (right[nth] + left[nth]).div_euclid(2);
        }
    }

    /// Cells across.
    pub(super) fn extent(&self) -> i64 {
        self.places.iter().map(|place| place.middle + place.after).max().unwrap_or(0)
    }
}

/// Counts of cells are far below the limit of either.
pub(super) fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Place {
    /// Returns where the box of a node begins.
    pub(super) fn start(&self) -> i64 {
        self.middle - self.size / 2
    }
}

/// Tells which edges lead back to where the way already was.
fn turned_edges(graph: &Graph) -> Vec<bool> {
    let mut leaving = vec![Vec::new(); graph.nodes.len()];
    for (nth, edge) in graph.edges.iter().enumerate() {
        leaving[edge.from].push((nth, edge.to));
    }
    let mut turned = vec![false; graph.edges.len()];
    // 0 is not seen, 1 on the way here, 2 done.
    let mut seen = vec![0_u8; graph.nodes.len()];
    for start in 0..graph.nodes.len() {
        if seen[start] != 0 {
            continue;
        }
        seen[start] = 1;
        let mut way = vec![(start, 0)];
        while let Some((node, next)) = way.last_mut() {
            let Some((edge, to)) = leaving[*node].get(*next).copied() else {
                seen[*node] = 2;
                way.pop();
                continue;
            };
            *next += 1;
            match seen[to] {
                0 => {
                    seen[to] = 1;
                    way.push((to, 0));
                }
                1 => turned[edge] = true,
                _ => {}
            }
        }
    }
    turned
}

/// Returns the layer of each node: one behind the last of those that lead to it.
fn ranks(graph: &Graph, ends: &dyn Fn(usize, &Edge) -> (usize, usize)) -> Option<Vec<usize>> {
    let mut ranks = vec![0; graph.nodes.len()];
    // As often as a way can be long, and once to see that nothing moves.
    for _ in 0..=graph.nodes.len() {
        let mut has_moved = false;
        for (nth, edge) in graph.edges.iter().enumerate() {
            let (from, to) = ends(nth, edge);
            if ranks[to] <= ranks[from] {
                ranks[to] = ranks[from] + 1;
                has_moved = true;
            }
        }
        if !has_moved {
            return Some(ranks);
        }
    }
    None
}
