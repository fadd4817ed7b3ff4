//! Where a replay stands: a timeline, and below it speed, turn and what is squeezed. Stands where the composer would.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::ReplayStatus;
use crate::text::width::str_width;
use crate::ui::format;
use crate::ui::layout::Place;
use crate::ui::paint::{RowWriter, Segment, draw_segments};
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayBar;

impl PaneView for ReplayBar {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        Place::Rows(match screen.area.height {
            _ if !screen.is_replay() => 0,
            10.. => 2,
            _ => 1,
        })
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        if let Some(replay) = screen.store.session.replay()
            && area.width >= 3
            && area.height > 0
        {
            bar(replay, screen.theme, area, buf);
        }
        None
    }
}

fn bar(replay: ReplayStatus, theme: Theme, area: Rect, buf: &mut Buffer) {
    let area = Rect { x: area.x + 1, width: area.width - 2, ..area };
    timeline(replay, area.height == 1, theme, area, buf);
    if area.height >= 2 {
        let row = Rect { y: area.y + 1, height: 1, ..area };
        draw_segments(state(replay), theme, row, buf);
    }
}

/// ` ▶ 0:12 ━━━━━━━●────────── 3:40`
fn timeline(replay: ReplayStatus, alone: bool, theme: Theme, area: Rect, buf: &mut Buffer) {
    let (mark, role) = if replay.paused { ("⏸", Role::Warn) } else { ("▶", Role::Ok) };
    let end = if alone {
        format!(" {} · {}", format::clock(replay.length), speed(replay.speed))
    } else {
        format!(" {}", format::clock(replay.length))
    };
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write(mark, theme.style(role)).write(" ", theme.style(Role::Text));
    pen.write(&format::clock(replay.position), theme.style(Role::Text)).write(" ", theme.style(Role::Text));
    let cells = pen.room().saturating_sub(str_width(&end));
    if cells >= 3 {
        let part = if replay.length.0 == 0 { 1.0 } else { replay.position.0 as f64 / replay.length.0 as f64 };
        let knob = ((part.min(1.0) * (cells - 1) as f64) as usize).min(cells - 1);
        pen.write(&"━".repeat(knob), theme.style(Role::Filled)).write("●", theme.style(Role::Accent));
        pen.write(&"─".repeat(cells - 1 - knob), theme.style(Role::Border));
    }
    pen.write(&end, theme.style(Role::Dim));
}

fn state(replay: ReplayStatus) -> Vec<Segment> {
    let (word, role) = match replay.paused {
        true if replay.position >= replay.length => ("ended", Role::Dim),
        true => ("paused", Role::Warn),
        false => ("playing", Role::Ok),
    };
    let mut all = vec![
        Segment { drop_rank: 0, parts: vec![("replay ".into(), Role::Dim), (word.into(), role)] },
        Segment::new(1, format!("turn {}/{}", replay.turn, replay.turns), Role::Text),
        Segment::new(2, speed(replay.speed), Role::Text),
    ];
    if let Some(max) = replay.max_idle {
        all.push(Segment::new(3, format!("pauses over {} shortened", format::duration(max)), Role::Dim));
    }
    all
}

/// `1×`, `0.5×`, `16×`.
fn speed(factor: f32) -> String {
    format!("{factor}×")
}
