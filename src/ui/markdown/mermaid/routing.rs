//! Draws a graph whose places are known: boxes, and between two layers the lines from one to the other.
//!
//! All that leaves a node leaves at one place and shares a line across, on which nothing else lies; each line comes in at
//! a place of its own. So no line can be taken for another's, but where two cross. What can't be drawn like that is not
//! drawn.

use super::DrawnRow;
use super::canvas::{Canvas, LINE_DOWN, LINE_LEFT, LINE_RIGHT, LINE_UP};
use super::graph::{Flow, Graph, Node, NodeShape};
use super::layers::{Layers, Segment, signed};
use crate::text::width::str_width;
use crate::ui::theme::Role;

/// The lines that leave one place of a node, and where they lead to.
#[derive(Clone, Debug, Default)]
struct Net {
    from: i64,
    /// It leaves a node, and not a line that runs through.
    leaves_node: bool,
    targets: Vec<(i64, Segment)>,
    /// Where it lies between the layers; none where it only goes straight on.
    track: Option<usize>,
}

/// What is drawn in.
struct GraphDrawing<'a> {
    graph: &'a Graph,
    layers: &'a Layers,
    flow: Flow,
    canvas: Canvas,
}

/// What lies between two layers.
struct Channel {
    nets: Vec<Net>,
    tracks: usize,
    /// A row or column of its own for heads at the start, and cells for labels.
    lead: usize,
    label_cells: usize,
}

pub(super) fn draw(graph: &Graph, layers: &Layers, flow: Flow, room: usize) -> Option<Vec<DrawnRow>> {
    let channels: Vec<Channel> =
        (0..layers.order.len() - 1).map(|nth| channel(graph, layers, flow, nth)).collect::<Option<_>>()?;
    let thick: Vec<usize> = layers.order.iter().map(|layer| thickness(graph, layers, layer, flow)).collect();
    let length = thick.iter().sum::<usize>() + channels.iter().map(|channel| channel.cells(flow)).sum::<usize>();
    let extent = usize::try_from(layers.extent()).ok()?;
    let (width, height) = if flow == Flow::Down { (extent, length) } else { (length, extent) };
    if width > room {
        return None;
    }
    let mut drawing = GraphDrawing { graph, layers, flow, canvas: Canvas::new(width, height)? };
    let mut at = 0;
    let mut starts = Vec::new();
    for (nth, cells) in thick.iter().enumerate() {
        starts.push(at);
        drawing.layer(nth, at, *cells);
        at += cells + channels.get(nth).map_or(0, |channel| channel.cells(flow));
    }
    for (nth, channel) in channels.iter().enumerate() {
        drawing.channel(channel, starts[nth] + thick[nth]);
    }
    Some(drawing.canvas.into_rows())
}

/// Cells of a layer along the way that the graph leads.
fn thickness(graph: &Graph, layers: &Layers, layer: &[usize], flow: Flow) -> usize {
    let nodes = layer.iter().filter_map(|place| graph.nodes.get(layers.places.get(*place)?.node?));
    nodes.map(|node| if flow == Flow::Down { node.size().1 } else { node.size().0 }).max().unwrap_or(1)
}

/// Finds where everything between a layer and the next runs; none if lines would lie on each other.
fn channel(graph: &Graph, layers: &Layers, flow: Flow, nth: usize) -> Option<Channel> {
    let mut nets: Vec<Net> = Vec::new();
    // By segment: the net that it is of.
    let mut net_of: Vec<((usize, usize), usize)> = Vec::new();
    for place in &layers.order[nth] {
        let leaving: Vec<Segment> = layers.segments.iter().filter(|segment| segment.from == *place).copied().collect();
        let middle = layers.places[*place].middle;
        // Where a head stands at the start, it stands for one line only.
        let (alone, shared): (Vec<Segment>, Vec<Segment>) = leaving.into_iter().partition(|segment| segment.heads.0);
        let has_shared = usize::from(!shared.is_empty());
        let count = alone.len() + has_shared;
        for (at, segments) in
            (!shared.is_empty()).then_some(shared).into_iter().chain(alone.into_iter().map(|one| vec![one])).enumerate()
        {
            let from = middle + 2 * signed(at) - (signed(count) - 1);
            for segment in &segments {
                net_of.push(((segment.edge, segment.from), nets.len()));
            }
            let leaves_node = layers.places[*place].node.is_some();
            nets.push(Net { from, leaves_node, ..Net::default() });
        }
    }
    let starts: Vec<i64> = nets.iter().map(|net| net.from).collect();
    for place in &layers.order[nth + 1] {
        let incoming = layers.incoming(*place);
        let offsets = layers.port_offsets(*place, graph, flow);
        let target = &layers.places[*place];
        let span = offsets.last().copied().unwrap_or(0);
        for (segment, offset) in incoming.iter().zip(&offsets) {
            let of = net_of.iter().find(|(key, _)| *key == (segment.edge, segment.from))?.1;
            let mut port = if incoming.len() == 1 {
                target.middle
            } else {
                target.start() + (target.size - span - 1) / 2 + offset
            };
            if target.node.is_some() && incoming.len() == 1 {
                let is_inside = |port: i64| port > target.start() && port < target.start() + target.size - 1;
                let is_free = |port: &i64| {
                    is_inside(*port) && starts.iter().enumerate().all(|(nth, start)| nth == of || start != port)
                };
                // Straight on where that can be, and beside what leaves others where it can't.
                let near = [starts[of], port, port + 1, port - 1, port + 2, port - 2];
                let can_move = !segment.has_label || flow == Flow::Right;
                port = near.into_iter().skip(usize::from(!can_move)).find(is_free).unwrap_or(port);
            }
            nets[of].targets.push((port, *segment));
        }
    }
    let tracks = assign_tracks(&mut nets)?;
    let labels = layers.order[nth + 1].iter().flat_map(|place| layers.incoming(*place));
    let labels = labels.filter(|segment| segment.has_label).filter_map(|segment| graph.edges.get(segment.edge));
    let label_cells = labels.map(|edge| str_width(&edge.label)).max().unwrap_or(0);
    let lead = usize::from(nets.iter().flat_map(|net| &net.targets).any(|(_, segment)| segment.heads.0));
    Some(Channel { nets, tracks, lead, label_cells })
}

impl Net {
    fn ends(&self) -> (i64, i64) {
        let all = || self.targets.iter().map(|(port, _)| *port).chain([self.from]);
        (all().min().unwrap_or(self.from), all().max().unwrap_or(self.from))
    }

    fn is_straight(&self) -> bool {
        self.ends().0 == self.ends().1
    }
}

/// Gives each net a track that no other lies on beside it, in an order in which no line runs down over another's.
/// Returns how many there are.
fn assign_tracks(nets: &mut [Net]) -> Option<usize> {
    let count = nets.len();
    let mut above = vec![Vec::new(); count];
    for one in 0..count {
        for other in (0..count).filter(|other| *other != one) {
            // One comes down where the other leaves: it has to have turned away before.
            if nets[other].targets.iter().any(|(port, _)| *port == nets[one].from) {
                if nets[one].is_straight() || nets[other].is_straight() {
                    return None;
                }
                above[other].push(one);
            }
        }
    }
    let mut tracks: Vec<Vec<(i64, i64)>> = Vec::new();
    let mut done = vec![false; count];
    for _ in 0..count {
        let next = (0..count).find(|net| !done[*net] && above[*net].iter().all(|first| done[*first]))?;
        done[next] = true;
        if nets[next].is_straight() {
            continue;
        }
        let (low, high) = nets[next].ends();
        let mut track =
            above[next].iter().filter_map(|first| nets[*first].track).map(|track| track + 1).max().unwrap_or(0);
        let is_taken = |lines: &Vec<(i64, i64)>| lines.iter().any(|(from, to)| low <= to + 1 && *from <= high + 1);
        while tracks.get(track).is_some_and(is_taken) {
            track += 1;
        }
        if tracks.len() <= track {
            tracks.resize(track + 1, Vec::new());
        }
        tracks[track].push((low, high));
        nets[next].track = Some(track);
    }
    Some(tracks.len())
}

impl Channel {
    /// Cells from a layer to the next.
    fn cells(&self, flow: Flow) -> usize {
        match flow {
            Flow::Down => self.lead + self.tracks.max(1) + usize::from(self.label_cells > 0) + 1,
            Flow::Right => {
                self.lead + 1 + 2 * self.tracks + self.label_cells + 2 * usize::from(self.label_cells > 0) + 2
            }
        }
    }

    /// Returns where a track lies behind the layer.
    fn track_at(&self, track: usize, flow: Flow) -> usize {
        match flow {
            Flow::Down => self.lead + track,
            Flow::Right => self.lead + 1 + 2 * track,
        }
    }
}

impl GraphDrawing<'_> {
    /// Draws boxes, and the lines that only run through.
    fn layer(&mut self, nth: usize, at: usize, cells: usize) {
        for index in &self.layers.order[nth] {
            let place = &self.layers.places[*index];
            match place.node.and_then(|node| self.graph.nodes.get(node)) {
                Some(node) => {
                    // As thick as the layer, so that lines reach it.
                    let (start, size) = (place.start().max(0) as usize, place.size.max(0) as usize);
                    let (corner, size) = match self.flow {
                        Flow::Down => ((start, at), (size, cells)),
                        Flow::Right => ((at, start), (cells, size)),
                    };
                    self.node(node, corner, size);
                }
                None => self.line(place.middle, at, at + cells - 1, true),
            }
        }
    }

    fn node(&mut self, node: &Node, corner: (usize, usize), size: (usize, usize)) {
        let corners = match node.shape {
            NodeShape::Box => ["┌", "┐", "└", "┘"],
            NodeShape::Round => ["╭", "╮", "╰", "╯"],
            NodeShape::Diamond => ["╱", "╲", "╲", "╱"],
        };
        self.canvas.frame(corner, size, corners, Role::Border);
        let first = corner.1 + 1 + (size.1 - 2).saturating_sub(node.label.len()) / 2;
        for (row, line) in (first..).zip(&node.label) {
            let blank = (size.0 - 2).saturating_sub(str_width(line));
            self.canvas.write(corner.0 + 1 + blank / 2, row, line, Role::Text);
        }
    }

    /// Draws a line along the way that the graph leads, both ends included; `joins` what it meets there.
    fn line(&mut self, across: i64, from: usize, to: usize, joins: bool) {
        let across = across.max(0) as usize;
        match self.flow {
            Flow::Down => self.canvas.down(across, from, to),
            Flow::Right => self.canvas.across(across, from, to),
        }
        if joins {
            self.join(across, from, false);
            self.join(across, to, true);
        }
    }

    /// Lets a line go on at its end.
    fn join(&mut self, across: usize, at: usize, is_end: bool) {
        match self.flow {
            Flow::Down => self.canvas.join(across, at, if is_end { LINE_DOWN } else { LINE_UP }),
            Flow::Right => self.canvas.join(at, across, if is_end { LINE_RIGHT } else { LINE_LEFT }),
        }
    }

    fn sign(&mut self, across: i64, along: usize, sign: &str) {
        let across = across.max(0) as usize;
        let (x, y) = if self.flow == Flow::Down { (across, along) } else { (along, across) };
        self.canvas.sign(x, y, sign, Role::Border);
    }

    fn channel(&mut self, channel: &Channel, start: usize) {
        let end = start + channel.cells(self.flow) - 1;
        for net in &channel.nets {
            let turn = net.track.map_or(end, |track| start + channel.track_at(track, self.flow));
            self.line(net.from, start, turn, false);
            self.join(net.from.max(0) as usize, start, false);
            let has_tail = net.targets.iter().any(|(_, segment)| segment.heads.0);
            if net.leaves_node && !has_tail {
                self.sign(net.from, start - 1, if self.flow == Flow::Down { "┬" } else { "├" });
            }
            if net.track.is_some() {
                let (low, high) = net.ends();
                let (low, high) = (low.max(0) as usize, high.max(0) as usize);
                match self.flow {
                    Flow::Down => self.canvas.across(turn, low, high),
                    Flow::Right => self.canvas.down(turn, low, high),
                }
            }
            for (port, _) in &net.targets {
                self.line(*port, turn, end, false);
                self.join((*port).max(0) as usize, end, true);
            }
        }
        for (net, (port, segment)) in channel.nets.iter().flat_map(|net| net.targets.iter().map(move |to| (net, to))) {
            self.finish(channel, net, *port, segment, (start, end));
        }
    }

    /// Puts heads, dots and the label to a line.
    fn finish(&mut self, channel: &Channel, net: &Net, port: i64, segment: &Segment, (start, end): (usize, usize)) {
        let Some(edge) = self.graph.edges.get(segment.edge) else { return };
        let across = port.max(0) as usize;
        if edge.is_dotted {
            let from = net.track.map_or(start, |track| start + channel.track_at(track, self.flow));
            for along in from..=end {
                let (x, y) = if self.flow == Flow::Down { (across, along) } else { (along, across) };
                self.canvas.dot(x, y);
            }
        }
        if segment.has_label {
            match self.flow {
                Flow::Down => self.canvas.write(across + 2, end - 1, &edge.label, Role::Quote),
                Flow::Right => {
                    let x = end.saturating_sub(channel.label_cells + 3);
                    self.canvas.write(x, across, &format!(" {} ", edge.label), Role::Quote);
                }
            }
        }
        let (head, tail) = if self.flow == Flow::Down { ("▼", "▲") } else { ("►", "◄") };
        if segment.heads.1 {
            self.sign(port, end, head);
        }
        if segment.heads.0 {
            self.sign(net.from, start, tail);
        }
    }
}
