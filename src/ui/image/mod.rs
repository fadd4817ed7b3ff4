//! Pictures as cells: how many one takes, and what stands in each.
//!
//! ```text
//! [image: plot] (plot.png · PNG 640×480, 12 KB)     its name, always
//! ▀▀▀▀▀▀▀▀▀▀▀▀                                      rows that are reserved once its size is known
//! ```
//!
//! A row of a picture is a row like any other, so scrolling, search and drawing only what changed go on as without. Not
//! for reading and decoding, nor for sending anything to the terminal. The invariant: a picture is no wider than its
//! room and no taller than [`ROWS`].

pub mod placeholder;

use std::sync::Arc;

use ratatui::buffer::Buffer;

use crate::store::images::{Facts, Images, Picture, Pixels, Place, Source, State, Way};
use crate::store::transcript::ItemId;
use crate::text::data::{self, amount};
use crate::text::one_line;
use crate::ui::lines::laid::Flow;
use crate::ui::theme::{Colours, Role, placeholder_style, two_pixels};

/// Most rows and columns of a picture.
pub const ROWS: u16 = 16;
pub const COLUMNS: u16 = 120;
/// With fewer columns left it isn't drawn.
const LEAST: usize = 4;
/// Pixels of a cell, where a terminal draws them itself: about what most have.
const CELL: (u32, u32) = (10, 20);
/// Of one paragraph.
const MOST: usize = 4;

/// Returns the columns and rows of a picture that has so much room: never larger than it is.
pub fn fit(facts: Facts, way: Way, room: usize) -> (u16, u16) {
    let (columns, height) = scaled(facts, way, room);
    let rows = height.div_ceil(u64::from(cell(way).1));
    (columns as u16, rows.clamp(1, u64::from(ROWS)) as u16)
}

/// Returns the pixels that are worth having of a picture, whatever the room.
pub fn worth(facts: Facts, way: Way) -> (u32, u32) {
    let (columns, height) = scaled(facts, way, usize::from(COLUMNS));
    // A terminal may have larger cells than that.
    let width = (columns * u64::from(cell(way).0)).min(u64::from(facts.width)).max(1);
    (width as u32, height.min(u64::from(facts.height)).max(1) as u32)
}

/// Pixels of a cell.
fn cell(way: Way) -> (u32, u32) {
    if matches!(way, Way::Kitty(_)) { CELL } else { (1, 2) }
}

/// Returns the columns, and the height in pixels.
fn scaled(facts: Facts, way: Way, room: usize) -> (u64, u64) {
    let (across, down) = cell(way);
    let (width, height) = (u64::from(facts.width.max(1)), u64::from(facts.height.max(1)));
    let most = (room.clamp(1, usize::from(COLUMNS)) as u64 * u64::from(across)).min(width);
    let tallest = u64::from(ROWS) * u64::from(down);
    let (width, height) = match (height * most).div_ceil(width) {
        taller if taller > tallest => (((width * tallest + height / 2) / height).max(1), tallest),
        height => (most, height),
    };
    (width.div_ceil(u64::from(across)).max(1), height.max(1))
}

/// What is known of the pictures of one item.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub images: &'a Images,
    pub item: ItemId,
}

impl Known<'_> {
    /// Returns what is to be shown of pictures that stand alone, and completes the flow that names one.
    pub(in crate::ui) fn show(&self, targets: &[String], room: usize, name: &mut Flow) -> Vec<Shown> {
        if self.images.way() == Way::Named || room < LEAST {
            return Vec::new();
        }
        let mut shown = Vec::new();
        for place in targets.iter().take(MOST).filter_map(|target| place(target)) {
            let source = Source { item: self.item, place };
            let state = self.images.get(&source);
            if targets.len() == 1
                && let Some(told) = state.and_then(|state| told(state, &source.place))
            {
                name.push(&format!(" · {told}"), Role::Dim.into());
            }
            let grid = state.and_then(|state| self.grid(state, room));
            shown.push(Shown { source, first: 0, left: 0, grid });
        }
        shown
    }

    fn grid(&self, state: &State, room: usize) -> Option<Grid> {
        let way = self.images.way();
        let (facts, picture) = match state {
            State::Asked | State::Failed(_) => return None,
            State::Measured(facts) => (facts, None),
            State::Ready(facts, picture) => (facts, Some(picture)),
        };
        let (columns, rows) = fit(*facts, way, room);
        let cells = match (picture, way) {
            (None, _) | (Some(_), Way::Named) => Cells::Reserved,
            (Some(picture), Way::Kitty(high)) => Cells::Pieces { picture: Arc::clone(picture), high },
            (Some(picture), Way::Blocks) => match &picture.pixels {
                Pixels::Few { width, height, rgba } => {
                    let tall = scaled(*facts, way, room).1 as u32;
                    Cells::Blocks(blocks((*width, *height, rgba), (u32::from(columns), tall, rows)))
                }
                Pixels::Png(_) => Cells::Reserved,
            },
        };
        Some(Grid { columns, rows, cells })
    }
}

/// Says what is known of a picture, or why it isn't drawn. Of data, the name says the kind and how much it is.
fn told(state: &State, place: &Place) -> Option<String> {
    match state {
        State::Asked => None,
        State::Measured(Facts { kind, width, height, bytes })
        | State::Ready(Facts { kind, width, height, bytes }, _) => Some(match place {
            Place::Data { .. } => format!("{width}×{height}"),
            Place::File(_) => format!("{kind} {width}×{height}, {}", amount(*bytes)),
        }),
        State::Failed(why) => Some(format!("not drawn: {}", one_line(why, 200))),
    }
}

/// Returns where a target's picture is, if it is here: asking another machine would tell who reads what.
fn place(target: &str) -> Option<Place> {
    if let Some(data) = data::parse(target) {
        return data.key.map(|key| Place::Data { letters: key.letters, hash: key.hash });
    }
    let path = target.strip_prefix("file://").unwrap_or(target);
    let scheme = path.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)));
    if is_scheme || path.is_empty() || path.starts_with('#') || path.starts_with("//") || path.len() > 4096 {
        return None;
    }
    Some(Place::File(path.to_owned()))
}

/// A picture that stands alone, in the rows that are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub source: Source,
    /// Its first row, and the cells left of it.
    pub(in crate::ui) first: u32,
    pub(in crate::ui) left: u16,
    /// None as long as its size isn't known.
    pub grid: Option<Grid>,
}

impl Shown {
    /// Draws what of it belongs to that row.
    pub(in crate::ui) fn draw(&self, row: u32, x: u16, y: u16, end: u16, buf: &mut Buffer) {
        if let Some(grid) = &self.grid
            && let Some(row) = row.checked_sub(self.first)
        {
            grid.draw(row, x.saturating_add(self.left), y, end, buf);
        }
    }

    pub(in crate::ui) fn bytes(&self) -> usize {
        let cells = match &self.grid {
            Some(Grid { cells: Cells::Blocks(cells), .. }) => cells.len() * size_of::<Colours>(),
            _ => 0,
        };
        size_of::<Self>() + cells
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    pub columns: u16,
    pub rows: u16,
    pub cells: Cells,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cells {
    /// There is room for it.
    Reserved,
    /// The upper and the lower pixel of each.
    Blocks(Vec<Colours>),
    Pieces {
        picture: Arc<Picture>,
        high: u8,
    },
}

impl Grid {
    fn draw(&self, row: u32, x: u16, y: u16, end: u16, buf: &mut Buffer) {
        if row >= u32::from(self.rows) {
            return;
        }
        for column in 0..self.columns {
            let at = x.saturating_add(column);
            let Some(cell) = buf.cell_mut((at, y)).filter(|_| at < end) else { return };
            match &self.cells {
                Cells::Reserved => return,
                Cells::Blocks(cells) => {
                    let index = row as usize * usize::from(self.columns) + usize::from(column);
                    let Some(colours) = cells.get(index) else { return };
                    let (symbol, style) = two_pixels(*colours);
                    cell.set_symbol(symbol).set_style(style);
                }
                Cells::Pieces { picture, high } => {
                    let symbol = placeholder::symbol(row as u8, column as u8, *high);
                    cell.set_symbol(&symbol).set_style(placeholder_style(picture.number));
                }
            }
        }
    }
}

/// Makes cells of pixels, those that fall on one pixel of a cell mixed. O(pixels).
fn blocks((width, height, rgba): (u32, u32, &[u8]), (columns, tall, rows): (u32, u32, u16)) -> Vec<Colours> {
    let mut cells = Vec::with_capacity(columns as usize * usize::from(rows));
    let span = |at: u32, of: u32, from: u32| {
        let start = u64::from(at) * u64::from(from) / u64::from(of.max(1));
        let end = u64::from(at + 1) * u64::from(from) / u64::from(of.max(1));
        start as u32..(end.max(start + 1).min(u64::from(from))) as u32
    };
    let pixel = |column: u32, line: u32| {
        if line >= tall {
            return None;
        }
        let (mut sum, mut alpha, mut count) = ([0_u32; 3], 0_u32, 0_u32);
        for y in span(line, tall, height) {
            for x in span(column, columns, width) {
                let at = (y as usize * width as usize + x as usize) * 4;
                let Some([r, g, b, a]) = rgba.get(at..at + 4) else { continue };
                for (sum, part) in sum.iter_mut().zip([r, g, b]) {
                    *sum += u32::from(*part) * u32::from(*a);
                }
                alpha += u32::from(*a);
                count += 1;
            }
        }
        // What is more than half transparent is the background.
        (alpha > 0 && alpha >= count * 128).then(|| sum.map(|sum| (sum / alpha) as u8))
    };
    for row in 0..u32::from(rows) {
        for column in 0..columns {
            cells.push((pixel(column, row * 2), pixel(column, row * 2 + 1)));
        }
    }
    cells
}

/// What of the pictures on the screen others must know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnScreen {
    /// Nobody has asked for them so far.
    pub wanted: Vec<Source>,
    /// The terminal has to have them.
    pub placed: Vec<Placed>,
}

/// A picture that the terminal draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub picture: Arc<Picture>,
    pub high: u8,
    pub columns: u16,
    pub rows: u16,
}

impl OnScreen {
    pub(in crate::ui) fn clear(&mut self) {
        self.wanted.clear();
        self.placed.clear();
    }

    pub(in crate::ui) fn note(&mut self, shown: &Shown, images: &Images) {
        match &shown.grid {
            None if images.get(&shown.source).is_none() && !self.wanted.contains(&shown.source) => {
                self.wanted.push(shown.source.clone());
            }
            Some(Grid { columns, rows, cells: Cells::Pieces { picture, high } }) => {
                let (columns, rows) = (*columns, *rows);
                self.placed.push(Placed { picture: Arc::clone(picture), high: *high, columns, rows });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
