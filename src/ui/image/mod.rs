//! Images as cells: how many one takes, and what stands in each.
//!
//! ```text
//! [image: plot] (plot.png · PNG 640×480, 12 KB)     its name, always
//! ▀▀▀▀▀▀▀▀▀▀▀▀                                      rows that are reserved once its size is known
//! ```
//!
//! A row of an image is a row like any other, so scrolling, search and drawing only what changed go on as without. Not
//! for reading and decoding, nor for sending anything to the terminal. The invariant: an image is no wider than its
//! room and no taller than [`MAX_IMAGE_ROWS`].

pub mod placeholder;

use std::sync::Arc;

use ratatui::buffer::Buffer;

use crate::store::image_source::{ImageInfo, ImageLocation, ImageSource};
use crate::store::images::{GraphicsMode, ImageCache, ImagePixels, ImageState, ReadyImage};
use crate::store::transcript::ItemId;
use crate::text::data_url;
use crate::text::human::binary_size;
use crate::text::one_line;
use crate::ui::theme::{PixelPair, placeholder_style, two_pixels};

/// Most rows and columns of an image.
pub const MAX_IMAGE_ROWS: u16 = 16;
pub const MAX_IMAGE_COLUMNS: u16 = 120;
/// With fewer columns left it isn't drawn.
const MIN_IMAGE_COLUMNS: usize = 4;
/// Pixels of a cell, where a terminal draws them itself: about what most have.
const CELL_PIXELS: (u32, u32) = (10, 20);
/// Of one paragraph.
const MAX_IMAGES_PER_PARAGRAPH: usize = 4;

/// Returns the columns and rows of an image that has so much room: never larger than it is.
pub fn fit(info: ImageInfo, mode: GraphicsMode, room: usize) -> (u16, u16) {
    let (columns, height) = scaled(info, mode, room);
    let rows = height.div_ceil(u64::from(cell_pixels(mode).1));
    (columns as u16, rows.clamp(1, u64::from(MAX_IMAGE_ROWS)) as u16)
}

/// Returns the pixels that are worth having of an image, whatever the room.
pub fn useful_pixels(info: ImageInfo, mode: GraphicsMode) -> (u32, u32) {
    let (columns, height) = scaled(info, mode, usize::from(MAX_IMAGE_COLUMNS));
    // A terminal may have larger cells than that.
    let width = (columns * u64::from(cell_pixels(mode).0)).min(u64::from(info.width)).max(1);
    (width as u32, height.min(u64::from(info.height)).max(1) as u32)
}

/// Pixels of a cell.
fn cell_pixels(mode: GraphicsMode) -> (u32, u32) {
    if matches!(mode, GraphicsMode::Kitty(_)) { CELL_PIXELS } else { (1, 2) }
}

/// Returns the columns, and the height in pixels.
fn scaled(info: ImageInfo, mode: GraphicsMode, room: usize) -> (u64, u64) {
    let (across, down) = cell_pixels(mode);
    let (width, height) = (u64::from(info.width.max(1)), u64::from(info.height.max(1)));
    let most = (room.clamp(1, usize::from(MAX_IMAGE_COLUMNS)) as u64 * u64::from(across)).min(width);
    let tallest = u64::from(MAX_IMAGE_ROWS) * u64::from(down);
    let (width, height) = match (height * most).div_ceil(width) {
        taller if taller > tallest => (((width * tallest + height / 2) / height).max(1), tallest),
        height => (most, height),
    };
    (width.div_ceil(u64::from(across)).max(1), height.max(1))
}

/// What is known of the images of one item.
#[derive(Clone, Copy, Debug)]
pub struct ItemImages<'a> {
    pub images: &'a ImageCache,
    pub item: ItemId,
}

impl ItemImages<'_> {
    /// Returns what is to be shown of images that stand alone, and what the text that names a single one goes on with.
    pub(in crate::ui) fn image_blocks(&self, targets: &[String], room: usize) -> (Vec<ImageBlock>, Option<String>) {
        let (mut shown, mut caption) = (Vec::new(), None);
        if self.images.mode() == GraphicsMode::NameOnly || room < MIN_IMAGE_COLUMNS {
            return (shown, caption);
        }
        for place in targets.iter().take(MAX_IMAGES_PER_PARAGRAPH).filter_map(|target| locate(target)) {
            let source = ImageSource { item: self.item, location: place };
            let state = self.images.get(&source);
            if targets.len() == 1 {
                caption = state.and_then(|state| describe(state, &source.location)).map(|told| format!(" · {told}"));
            }
            let grid = state.and_then(|state| self.grid(state, room));
            shown.push(ImageBlock { source, first_row: 0, indent: 0, grid });
        }
        (shown, caption)
    }

    fn grid(&self, state: &ImageState, room: usize) -> Option<ImageGrid> {
        let mode = self.images.mode();
        let (info, ready) = match state {
            ImageState::Requested | ImageState::Failed(_) => return None,
            ImageState::Measured(info) => (info, None),
            ImageState::Ready(info, ready) => (info, Some(ready)),
        };
        let (columns, rows) = fit(*info, mode, room);
        let cells = match (ready, mode) {
            (None, _) | (Some(_), GraphicsMode::NameOnly) => ImageCells::Reserved,
            (Some(ready), GraphicsMode::Kitty(high)) => {
                ImageCells::Placeholders { image: Arc::clone(ready), id_high_byte: high }
            }
            (Some(ready), GraphicsMode::HalfBlocks) => match &ready.pixels {
                ImagePixels::HalfBlocks { width, height, rgba } => {
                    let tall = scaled(*info, mode, room).1 as u32;
                    ImageCells::HalfBlocks(half_blocks((*width, *height, rgba), (u32::from(columns), tall, rows)))
                }
                ImagePixels::Png(_) => ImageCells::Reserved,
            },
        };
        Some(ImageGrid { columns, rows, cells })
    }
}

/// Says what is known of an image, or why it isn't drawn. Of data, the name says the kind and how much it is.
fn describe(state: &ImageState, place: &ImageLocation) -> Option<String> {
    match state {
        ImageState::Requested => None,
        ImageState::Measured(ImageInfo { format: kind, width, height, bytes })
        | ImageState::Ready(ImageInfo { format: kind, width, height, bytes }, _) => Some(match place {
            ImageLocation::Data { .. } => format!("{width}×{height}"),
            ImageLocation::File(_) => format!("{kind} {width}×{height}, {}", binary_size(*bytes)),
        }),
        ImageState::Failed(why) => Some(format!("not drawn: {}", one_line(why, 200))),
    }
}

/// Returns where a target's image is, if it is here: asking another machine would tell who reads what.
fn locate(target: &str) -> Option<ImageLocation> {
    if let Some(data) = data_url::parse(target) {
        return data.key.map(|key| ImageLocation::Data { base64_chars: key.chars, hash: key.hash });
    }
    let path = target.strip_prefix("file://").unwrap_or(target);
    let scheme = path.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)));
    if is_scheme || path.is_empty() || path.starts_with('#') || path.starts_with("//") || path.len() > 4096 {
        return None;
    }
    Some(ImageLocation::File(path.to_owned()))
}

/// An image that stands alone, in the rows that are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageBlock {
    pub source: ImageSource,
    /// Its first row, and the cells left of it.
    pub(in crate::ui) first_row: u32,
    pub(in crate::ui) indent: u16,
    /// None as long as its size isn't known.
    pub grid: Option<ImageGrid>,
}

impl ImageBlock {
    /// Draws what of it belongs to that row.
    pub(in crate::ui) fn draw(&self, row: u32, x: u16, y: u16, end: u16, buf: &mut Buffer) {
        if let Some(grid) = &self.grid
            && let Some(row) = row.checked_sub(self.first_row)
        {
            grid.draw(row, x.saturating_add(self.indent), y, end, buf);
        }
    }

    pub(in crate::ui) fn bytes(&self) -> usize {
        let cells = match &self.grid {
            Some(ImageGrid { cells: ImageCells::HalfBlocks(cells), .. }) => cells.len() * size_of::<PixelPair>(),
            _ => 0,
        };
        size_of::<Self>() + cells
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageGrid {
    pub columns: u16,
    pub rows: u16,
    pub cells: ImageCells,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageCells {
    /// There is room for it.
    Reserved,
    /// The upper and the lower pixel of each.
    HalfBlocks(Vec<PixelPair>),
    Placeholders {
        image: Arc<ReadyImage>,
        id_high_byte: u8,
    },
}

impl ImageGrid {
    fn draw(&self, row: u32, x: u16, y: u16, end: u16, buf: &mut Buffer) {
        if row >= u32::from(self.rows) {
            return;
        }
        for column in 0..self.columns {
            let at = x.saturating_add(column);
            let Some(cell) = buf.cell_mut((at, y)).filter(|_| at < end) else { return };
            match &self.cells {
                ImageCells::Reserved => return,
                ImageCells::HalfBlocks(cells) => {
                    let index = row as usize * usize::from(self.columns) + usize::from(column);
                    let Some(colours) = cells.get(index) else { return };
                    let (symbol, style) = two_pixels(*colours);
                    cell.set_symbol(symbol).set_style(style);
                }
                ImageCells::Placeholders { image: ready, id_high_byte: high } => {
                    let symbol = placeholder::symbol(row as u8, column as u8, *high);
                    cell.set_symbol(&symbol).set_style(placeholder_style(ready.number));
                }
            }
        }
    }
}

/// Makes cells of pixels, those that fall on one pixel of a cell mixed. O(pixels).
fn half_blocks((width, height, rgba): (u32, u32, &[u8]), (columns, tall, rows): (u32, u32, u16)) -> Vec<PixelPair> {
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

/// What of the images on the screen others must know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VisibleImages {
    /// Nobody has asked for them so far.
    pub wanted: Vec<ImageSource>,
    /// The terminal has to have them.
    pub placed: Vec<PlacedImage>,
}

/// An image that the terminal draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedImage {
    pub image: Arc<ReadyImage>,
    pub id_high_byte: u8,
    pub columns: u16,
    pub rows: u16,
}

impl VisibleImages {
    pub(in crate::ui) fn clear(&mut self) {
        self.wanted.clear();
        self.placed.clear();
    }

    pub(in crate::ui) fn collect(&mut self, shown: &ImageBlock, images: &ImageCache) {
        match &shown.grid {
            None if images.get(&shown.source).is_none() && !self.wanted.contains(&shown.source) => {
                self.wanted.push(shown.source.clone());
            }
            Some(ImageGrid { columns, rows, cells: ImageCells::Placeholders { image: ready, id_high_byte: high } }) => {
                let (columns, rows) = (*columns, *rows);
                self.placed.push(PlacedImage { image: Arc::clone(ready), id_high_byte: *high, columns, rows });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
