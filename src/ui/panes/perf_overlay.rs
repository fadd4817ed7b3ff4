//! What the screen itself costs, in a corner of it: so that slowness can be reported with numbers.
//!
//! Figures are those of the frames before; showing them asks for no frame. Nothing is measured while they are closed.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::search::Search;
use crate::text::human::binary_size;
use crate::text::width::str_width;
use crate::ui::paint::{RowWriter, draw_box};
use crate::ui::theme::{Role, Theme};

/// Frames that the figures look back on.
const MAX_KEPT_FRAMES: usize = 240;

/// One frame, as whoever drew it measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameStats {
    pub duration: Duration,
    /// When it was drawn, since the measuring began.
    pub at: Duration,
    /// How long after it was due.
    pub lateness: Duration,
    pub cells: u64,
    pub bytes: u64,
}

/// What was measured, and what is so now.
#[derive(Clone, Debug, Default)]
pub struct PerfStats {
    frames: VecDeque<FrameStats>,
    /// Facts that were published and are not folded yet.
    pub queued_events: u64,
    /// Frames drawn since the measuring began.
    pub drawn: u64,
    /// Those that changed no cell.
    pub unchanged: u64,
    /// Those that came a whole frame too late.
    pub late: u64,
    /// Between two frames at most.
    pub min_interval: Duration,
}

impl PerfStats {
    pub fn push(&mut self, frame: FrameStats) {
        self.drawn += 1;
        self.unchanged += u64::from(frame.bytes == 0);
        self.late += u64::from(frame.lateness > self.min_interval);
        if self.frames.len() == MAX_KEPT_FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
    }

    /// Returns the time that 95 of 100 frames did not exceed.
    fn p95(&self) -> Duration {
        let mut all: Vec<Duration> = self.frames.iter().map(|frame| frame.duration).collect();
        all.sort_unstable();
        all.get((all.len() * 95 / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// Returns how many frames were drawn in the second before the last.
    fn rate(&self) -> usize {
        let Some(last) = self.frames.back() else { return 0 };
        self.frames.iter().filter(|frame| last.at.saturating_sub(frame.at) < Duration::from_secs(1)).count()
    }
}

pub fn draw(store: &Store, figures: &PerfStats, cached: usize, theme: Theme, area: Rect, buf: &mut Buffer) {
    let last = figures.frames.back().copied().unwrap_or_default();
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    let bytes = store.transcript.items().len();
    let rows = [
        ("frame", format!("{}, p95 {}", ms(last.duration), ms(figures.p95()))),
        ("drawn", format!("{} in the last second, {} in total", figures.rate(), figures.drawn)),
        ("clean, late", format!("{}, {}", figures.unchanged, figures.late)),
        ("written", format!("{} cells, {} bytes", last.cells, last.bytes)),
        ("queue", format!("{} events", figures.queued_events)),
        ("cache", binary_size(cached as u64)),
        ("items", bytes.to_string()),
        ("search", search_work(store)),
    ];
    let rows = rows.iter().filter(|(_, what)| !what.is_empty());
    let width = rows.clone().map(|(_, what)| str_width(what)).max().unwrap_or_default() + 13 + 4;
    let height = rows.clone().count() as u16 + 2;
    let (width, height) = ((width as u16).min(area.width), height.min(area.height));
    let place = Rect { x: area.right() - width, y: area.y, width, height };
    let inner = draw_box("Debug", "", Role::Border, theme, place, buf);
    for (row, (name, what)) in (0..inner.height).zip(rows) {
        let mut pen = RowWriter::new(buf, inner, row);
        pen.write(name, theme.style(Role::Dim)).skip(13_usize.saturating_sub(str_width(name)));
        pen.write_truncated(what, 0, theme.style(Role::Text));
    }
}

fn search_work(store: &Store) -> String {
    store.focus.find::<Search>().map_or(String::new(), |search| {
        let work = search.work_done;
        format!("{} steps, {} items, {}", work.steps, work.items, binary_size(work.bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(at: u64, took: u64, bytes: u64) -> FrameStats {
        let ms = Duration::from_millis;
        FrameStats { duration: ms(took), at: ms(at), lateness: ms(0), cells: bytes, bytes }
    }

    #[test]
    fn the_last_second_and_the_slow_ones_count() {
        let mut figures = PerfStats::default();
        for n in 0..100 {
            figures.push(frame(n * 50, if n >= 90 { 9 } else { 1 }, n % 2));
        }
        assert_eq!((figures.rate(), figures.p95(), figures.unchanged), (20, Duration::from_millis(9), 50));
    }

    #[test]
    fn it_stays_inside_any_area() {
        for (width, height) in [(0, 0), (1, 1), (5, 3), (40, 12), (80, 24)] {
            let area = Rect::new(0, 0, width, height);
            draw(&Store::default(), &PerfStats::default(), 0, Theme::default(), area, &mut Buffer::empty(area));
        }
    }
}
