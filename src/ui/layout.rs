//! Where everything is: arithmetic on rectangles, nothing drawn.
//!
//! ```text
//!  wide (100 columns and more)                narrow
//!  ┌─────────────────────────────────┐        ┌─────────────────────┐
//!  │ tabs                            │        │ tabs                │   1, with more than one session, from 6 rows on
//!  ├─────────────────────┬───────────┤        ├─────────────────────┤
//!  │ transcript          │ tools     │        │ transcript          │   what is left
//!  │                     │           │        │ (or tools, on wish) │
//!  ├─────────────────────┴───────────┤        ├─────────────────────┤
//!  │ a question                      │        │ a question          │   at most half of all
//!  │ message                         │        │ message             │   while there is one; 1, from 16 rows on 1 to 3
//!  │ plan                            │        │ plan                │   0 to 4, all of it on wish
//!  │ queued prompts                  │        │ queued prompts      │   0 to 3
//!  ├─────────── activity ────────────┤        ├───── activity ──────┤   1, from 6 rows on
//!  │ composer, or the replay bar     │        │ composer            │   1 to 8
//!  │ usage bar                       │        │ usage bar           │   1, from 8 rows on
//!  │ status line                     │        │ status line         │   1, from 3 rows on
//!  └─────────────────────────────────┘        └─────────────────────┘
//! ```
//!
//! Which parts there are is a list in `ui/panes`; each says itself how many rows it would like. A message takes its rows
//! from the transcript, of which the last may go, and from nothing else: what it says is short-lived, and link, mode and
//! draft stay in sight.
//!
//! The invariant: at any size the parts lie inside the area and do not overlap; a part without room is empty.

use ratatui::layout::Rect;

use crate::store::pane::{PanelSide, SIDE_PANE_COLUMNS};

/// Most columns of the side panes.
const MAX_SIDE_COLUMNS: u16 = 48;

/// Returns whether side panes stand beside the transcript at this width.
pub fn is_wide(width: u16) -> bool {
    width >= SIDE_PANE_COLUMNS
}

/// What a part would like of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Rows over the whole width, at the bottom of what is left.
    Rows(u16),
    /// Rows over the whole width, at the top of what is left.
    TopRows(u16),
    /// Beside the main part, where that is wide; or over it.
    Side(SidePlace),
    /// What is left.
    Main,
}

/// When a side pane is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SidePlace {
    /// It stands beside the main part where there is room.
    pub is_default: bool,
    /// The person wants it other than so.
    pub is_toggled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub area: Rect,
    /// In the order of the places.
    pub parts: Vec<Rect>,
}

impl Layout {
    /// Gives out the area; the first ones get their rows first, from the bottom up. Side panes stand on that `side`.
    pub fn new(area: Rect, places: &[Place], panel_side: PanelSide) -> Self {
        let mut rest = area;
        let mut parts: Vec<Rect> = places
            .iter()
            .map(|place| match place {
                Place::Rows(rows) => take_bottom(&mut rest, *rows),
                Place::TopRows(rows) => take_top(&mut rest, *rows),
                Place::Side(_) | Place::Main => Rect::ZERO,
            })
            .collect();
        let wide = is_wide(area.width);
        let is_shown = |place: &Place| match place {
            Place::Side(side) => (side.is_default && wide) != side.is_toggled,
            Place::Rows(_) | Place::TopRows(_) | Place::Main => false,
        };
        let mut left = places.iter().filter(|place| is_shown(place)).count() as u16;
        let (main, mut side) = match (wide, left) {
            (_, 0) => (rest, Rect::ZERO),
            (false, _) => (Rect::ZERO, rest),
            (true, _) => {
                let width = ((u32::from(rest.width) * 30 / 100) as u16).min(MAX_SIDE_COLUMNS);
                let main = Rect { width: rest.width - width, ..rest };
                match panel_side {
                    PanelSide::Right => (main, Rect { x: main.right(), width, ..rest }),
                    PanelSide::Left => (Rect { x: rest.x + width, ..main }, Rect { width, ..rest }),
                }
            }
        };
        for (part, place) in parts.iter_mut().zip(places) {
            if *place == Place::Main {
                *part = main;
            } else if is_shown(place) {
                let rows = side.height / left;
                *part = take_top(&mut side, rows);
                left -= 1;
            }
        }
        Self { area, parts }
    }

    /// Returns the index of the part at a column and row.
    pub fn part_at(&self, at: (u16, u16)) -> Option<usize> {
        self.parts.iter().position(|area| area.contains(at.into()))
    }
}

fn take_bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect { y: rest.y + rest.height, height: rows, ..*rest }
}

fn take_top(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let taken = Rect { height: rows, ..*rest };
    (rest.y, rest.height) = (rest.y + rows, rest.height - rows);
    taken
}

/// Leaves a cell free at both sides, where there is room for that.
pub fn inset(area: Rect) -> Rect {
    if area.width < 8 { area } else { Rect { x: area.x + 1, width: area.width - 2, ..area } }
}

/// Returns a rectangle in the middle, as large as asked where that fits.
pub fn centered(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(is_default: bool, is_toggled: bool) -> Place {
        Place::Side(SidePlace { is_default, is_toggled })
    }

    #[test]
    fn parts_tile_the_area_at_any_size() {
        let sides = [(true, false), (true, true), (false, true), (false, false)];
        for width in [0, 1, 2, 7, 39, 99, 100, 101, 300] {
            for height in 0..40 {
                for (one, other) in sides.into_iter().flat_map(|one| sides.map(|other| (one, other))) {
                    let area = Rect { x: 3, y: 2, width, height };
                    let rows = [1, 1, 5, 0, 1, height % 5].map(Place::Rows);
                    let places =
                        [&rows[..], &[Place::TopRows(1)], &[side(one.0, one.1), Place::Main, side(other.0, other.1)]]
                            .concat();
                    let panel_side = if height % 2 == 0 { PanelSide::Right } else { PanelSide::Left };
                    let layout = Layout::new(area, &places, panel_side);
                    let covered: u32 = layout.parts.iter().map(|part| part.area()).sum();
                    assert_eq!(covered, area.area(), "{width}x{height} {layout:?}");
                    for part in layout.parts.iter().filter(|part| !part.is_empty()) {
                        assert_eq!(area.intersection(*part), *part, "{width}x{height} {layout:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_side_pane_stands_beside_only_when_wide() {
        let widths = |width| {
            let layout = Layout::new(Rect::new(0, 0, width, 24), &[side(true, false), Place::Main], PanelSide::Right);
            (layout.parts[1].width, layout.parts[0].width)
        };
        assert_eq!((widths(99), widths(100), widths(140)), ((99, 0), (70, 30), (98, 42)));
    }

    #[test]
    fn side_panes_share_their_column() {
        let places = [Place::Main, side(true, false), side(false, true)];
        let layout = Layout::new(Rect::new(0, 0, 120, 25), &places, PanelSide::Right);
        assert_eq!(layout.parts[1], Rect::new(84, 0, 36, 12));
        assert_eq!(layout.parts[2], Rect::new(84, 12, 36, 13));
        let layout = Layout::new(Rect::new(0, 0, 120, 25), &places, PanelSide::Left);
        assert_eq!((layout.parts[0], layout.parts[1]), (Rect::new(36, 0, 84, 25), Rect::new(0, 0, 36, 12)));
    }
}
