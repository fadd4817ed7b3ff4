//! Where everything is: arithmetic on rectangles, nothing drawn.
//!
//! ```text
//!  wide (100 columns and more)                narrow
//!  ┌─────────────────────┬───────────┐        ┌─────────────────────┐
//!  │ transcript          │ tools     │        │ transcript          │   what is left
//!  │                     │           │        │ (or tools, on wish) │
//!  ├─────────────────────┴───────────┤        ├─────────────────────┤
//!  │ a question                      │        │ a question          │   at most half of all
//!  │ message                         │        │ message             │   while there is one; 1, from 16 rows on 1 to 3
//!  │ queued prompts                  │        │ queued prompts      │   0 to 3
//!  ├─────────── activity ────────────┤        ├───── activity ──────┤   1, from 6 rows on
//!  │ composer, or the replay bar     │        │ composer            │   1 to 8
//!  │ usage bar                       │        │ usage bar           │   1, from 8 rows on
//!  │ status line                     │        │ status line         │   1, from 3 rows on
//!  └─────────────────────────────────┘        └─────────────────────┘
//! ```
//!
//! A message takes its rows from the transcript, of which the last may go, and from nothing else: what it says is
//! short-lived, and link, mode and draft stay in sight.
//!
//! The invariant: at any size the parts lie inside the area and do not overlap; a part without room is empty.

use ratatui::layout::Rect;

use crate::store::pane::Pane;

/// From this width on, the tool panel stands beside the transcript.
pub const WIDE_COLUMNS: u16 = 100;
/// Returns whether the tool panel stands beside the transcript at this width.
pub fn is_wide(width: u16) -> bool {
    width >= WIDE_COLUMNS
}

/// The most rows that the composer grows to.
pub const MAX_COMPOSER_ROWS: u16 = 8;

/// What the parts would like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayoutRequest {
    pub composer_rows: u16,
    pub queue_rows: u16,
    /// Rows of what is said to the person just now.
    pub toast_rows: u16,
    /// What a call's question needs; it gets no more than half of the rows.
    pub approval_rows: u16,
    /// A replay is watched: its bar stands where the composer would.
    pub is_replay: bool,
    /// The tool panel stands beside the transcript where there is room.
    pub has_tool_panel: bool,
    /// The person wants it other than so.
    pub is_panel_toggled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub area: Rect,
    pub transcript: Rect,
    pub tools: Rect,
    pub approval: Rect,
    pub toast: Rect,
    pub queue: Rect,
    pub activity: Rect,
    pub composer: Rect,
    pub replay: Rect,
    pub usage: Rect,
    pub status: Rect,
}

impl Layout {
    pub fn new(area: Rect, wants: LayoutRequest) -> Self {
        let height = area.height;
        let status = u16::from(height >= 3);
        let usage = u16::from(height >= 8);
        let activity = u16::from(height >= 6);
        let input = if wants.is_replay {
            if height >= 10 { 2 } else { 1 }
        } else {
            wants.composer_rows.clamp(1, MAX_COMPOSER_ROWS).min((height / 3).max(1))
        };
        let queue = match height {
            0..8 => 0,
            8..16 => wants.queue_rows.min(1),
            _ => wants.queue_rows.min(3),
        };

        // From the bottom up; the first ones get their rows first.
        let mut rest = area;
        let status = take_bottom(&mut rest, status);
        let usage = take_bottom(&mut rest, usage);
        let input = take_bottom(&mut rest, input);
        let activity = take_bottom(&mut rest, activity);
        let queue = take_bottom(&mut rest, queue);
        let message = take_bottom(&mut rest, wants.toast_rows.min(max_toast_rows(height)));
        let question = take_bottom(&mut rest, wants.approval_rows.min(max_approval_rows(height)));
        let (composer, replay) = if wants.is_replay { (Rect::ZERO, input) } else { (input, Rect::ZERO) };

        let wide = is_wide(area.width);
        let (transcript, tools) = match (wide, (wants.has_tool_panel && wide) != wants.is_panel_toggled) {
            (true, true) => {
                let panel = (u32::from(rest.width) * 36 / 100) as u16;
                let panel = panel.min(64);
                (
                    Rect { width: rest.width - panel, ..rest },
                    Rect { x: rest.x + rest.width - panel, width: panel, ..rest },
                )
            }
            (false, true) => (Rect::ZERO, rest),
            (true | false, false) => (rest, Rect::ZERO),
        };
        Self {
            area,
            transcript,
            tools,
            approval: question,
            toast: message,
            queue,
            activity,
            composer,
            replay,
            usage,
            status,
        }
    }

    /// Returns the pane at a column and row, if one is there.
    pub fn pane_at(&self, at: (u16, u16)) -> Option<Pane> {
        let panes =
            [(self.transcript, Pane::Transcript), (self.tools, Pane::ToolPanel), (self.composer, Pane::Composer)];
        panes.into_iter().find(|(area, _)| area.contains(at.into())).map(|(_, pane)| pane)
    }
}

/// Returns the most rows that a message may have at this height.
pub fn max_toast_rows(height: u16) -> u16 {
    if height < 16 { 1 } else { 3 }
}

/// Returns the most rows that a question gets.
pub fn max_approval_rows(height: u16) -> u16 {
    height / 2
}

fn take_bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect { y: rest.y + rest.height, height: rows, ..*rest }
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

    fn parts(layout: &Layout) -> [Rect; 10] {
        let Layout {
            area: _,
            transcript,
            tools,
            approval: question,
            toast: message,
            queue,
            activity,
            composer,
            replay,
            usage,
            status,
        } = *layout;
        [transcript, tools, question, message, queue, activity, composer, replay, usage, status]
    }

    #[test]
    fn parts_tile_the_area_at_any_size() {
        for width in [0, 1, 2, 7, 39, 99, 100, 101, 300] {
            for height in 0..40 {
                for (replay, panel_flipped) in [(false, false), (true, false), (false, true), (true, true)] {
                    let area = Rect { x: 3, y: 2, width, height };
                    let message_rows = height % 5;
                    let wants = LayoutRequest {
                        composer_rows: 5,
                        queue_rows: 4,
                        approval_rows: 9,
                        toast_rows: message_rows,
                        is_replay: replay,
                        has_tool_panel: true,
                        is_panel_toggled: panel_flipped,
                    };
                    let layout = Layout::new(area, wants);
                    let covered: u32 = parts(&layout).iter().map(|part| part.area()).sum();
                    assert_eq!(covered, area.area(), "{width}x{height} {layout:?}");
                    for part in parts(&layout) {
                        assert!(part.is_empty() || area.intersection(part) == part, "{width}x{height} {layout:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_message_takes_its_rows_from_the_transcript_only() {
        for height in 0..40 {
            let at = |message_rows| {
                let wants = LayoutRequest {
                    composer_rows: 1,
                    queue_rows: 1,
                    toast_rows: message_rows,
                    ..LayoutRequest::default()
                };
                Layout::new(Rect::new(0, 0, 80, height), wants)
            };
            let (without, with) = (at(0), at(2));
            let rows = with.toast.height;
            let others = |layout: Layout| {
                let Layout { composer, activity, usage, status, queue, .. } = layout;
                [composer, activity, usage, status, queue]
            };
            assert_eq!(others(with), others(without), "{height}");
            assert_eq!(rows, without.transcript.height.min(if height < 16 { 1 } else { 2 }), "{height}");
            assert!(height < 2 || rows > 0, "{height}");
        }
    }

    #[test]
    fn the_panel_stands_beside_only_when_wide() {
        let wants = LayoutRequest { composer_rows: 1, has_tool_panel: true, ..LayoutRequest::default() };
        let widths = |width| {
            let layout = Layout::new(Rect::new(0, 0, width, 24), wants);
            (layout.transcript.width, layout.tools.width)
        };
        assert_eq!((widths(99), widths(100), widths(140)), ((99, 0), (64, 36), (90, 50)));
    }

    #[test]
    fn the_usage_bar_goes_before_the_status_line() {
        let rows = |height| {
            let layout = Layout::new(
                Rect::new(0, 0, 80, height),
                LayoutRequest { composer_rows: 1, ..LayoutRequest::default() },
            );
            (layout.composer.height, layout.activity.height, layout.usage.height, layout.status.height)
        };
        assert_eq!(rows(8), (1, 1, 1, 1));
        assert_eq!(rows(7), (1, 1, 0, 1));
        assert_eq!(rows(5), (1, 0, 0, 1));
        assert_eq!(rows(2), (1, 0, 0, 0));
    }
}
