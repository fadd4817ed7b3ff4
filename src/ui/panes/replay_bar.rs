//! Where a replay stands: a bar to click, below it what stands out, and then speed, turn and what is shortened. Stands
//! where the composer would.

mod cells;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::timeline::{MomentKind, Timeline};
use crate::event::{Millis, ReplayStatus, SeekTarget};
use crate::store::Store;
use crate::store::action::Action;
use crate::text::width::str_width;
use crate::ui::format;
use crate::ui::layout::Place;
use crate::ui::paint::{RowWriter, Segment, draw_segments};
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

use cells::{CellMoment, TimelineCells};

#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayBar {
    /// The cells of the bar, and the row of what stands out below them.
    bar: Rect,
    moments: Rect,
}

impl PaneView for ReplayBar {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        let has_moments = screen.store.session.status.timeline.as_ref().is_some_and(|timeline| !timeline.is_empty());
        Place::Rows(match screen.area.height {
            _ if !screen.is_replay() => 0,
            14.. if has_moments => 3,
            10.. => 2,
            _ => 1,
        })
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        *self = Self::default();
        if let Some(replay) = screen.store.session.replay()
            && area.width >= 3
            && area.height > 0
        {
            self.draw_rows(replay, screen, area, buf);
        }
        None
    }

    fn click(&self, store: &Store, at: (u16, u16)) -> Option<Action> {
        let replay = store.session.replay()?;
        let bar = Rect { height: 1, ..self.bar };
        let column = usize::from(at.0.checked_sub(bar.x)?);
        let cells = TimelineCells::new(usize::from(bar.width), replay.length)?;
        if self.moments.contains(at.into())
            && let Some(moment) = store.session.status.timeline.as_ref().and_then(|all| cells.moment_at(all, column))
        {
            return Some(Action::Seek(SeekTarget::At(moment.at)));
        }
        let is_meant = bar.contains(at.into()) || self.moments.contains(at.into());
        is_meant.then(|| Action::Seek(SeekTarget::Fraction(cells.fraction(column))))
    }
}

impl ReplayBar {
    fn draw_rows(&mut self, replay: ReplayStatus, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) {
        let theme = screen.theme;
        let timeline = screen.store.session.status.timeline.as_deref();
        let area = Rect { x: area.x + 1, width: area.width - 2, ..area };
        self.bar = draw_bar(replay, timeline, area.height == 1, theme, area, buf);
        let row = |nth: u16| Rect { y: area.y + nth, height: 1, ..area };
        if area.height >= 3
            && let Some(timeline) = timeline
        {
            self.moments = Rect { y: area.y + 1, ..self.bar };
            draw_moments(timeline, replay.length, theme, self.moments, buf);
        }
        if area.height >= 2 {
            draw_segments(state(replay, timeline), theme, row(area.height.min(3) - 1), buf);
        }
    }
}

/// ` ▶ 0:12 ━━━━[━━━●──]┄┄┄┄─── 3:40`: the part that is looped in brackets, waits dotted. Returns where its cells are.
fn draw_bar(
    replay: ReplayStatus,
    timeline: Option<&Timeline>,
    alone: bool,
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) -> Rect {
    let (mark, role) = if replay.paused { ("⏸", Role::Warn) } else { ("▶", Role::Ok) };
    let end = if alone {
        format!(" {} · {}", format::clock(replay.length), speed(replay.speed))
    } else {
        format!(" {}", format::clock(replay.length))
    };
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write(mark, theme.style(role)).write(" ", theme.style(Role::Text));
    pen.write(&format::clock(replay.position), theme.style(Role::Text)).write(" ", theme.style(Role::Text));
    let width = pen.room().saturating_sub(str_width(&end));
    let bar = Rect { x: pen.column(), width: u16::try_from(width).unwrap_or(u16::MAX), height: 1, ..area };
    if let Some(cells) = TimelineCells::new(width, replay.length) {
        let knob = cells.cell(replay.position);
        let waits = timeline.map(|timeline| cells.waits(timeline)).unwrap_or_default();
        let (from, to) = (replay.looped.from.map(|at| cells.cell(at)), replay.looped.to.map(|at| cells.cell(at)));
        for cell in 0..width {
            let (symbol, role) = match cell {
                _ if cell == knob => ("●", Role::Accent),
                _ if Some(cell) == from => ("[", Role::Accent),
                _ if Some(cell) == to => ("]", Role::Accent),
                _ if waits.get(cell).copied().unwrap_or_default() => ("┄", Role::Border),
                _ if cell < knob => ("━", Role::Filled),
                _ => ("─", Role::Border),
            };
            pen.write(symbol, theme.style(role));
        }
    }
    pen.write(&end, theme.style(Role::Dim));
    bar
}

/// `╵  •• ✗   ◆ ╵ •`: turns, calls, errors and marks, each below its time.
fn draw_moments(timeline: &Timeline, length: Millis, theme: Theme, area: Rect, buf: &mut Buffer) {
    let Some(cells) = TimelineCells::new(usize::from(area.width), length) else { return };
    let mut pen = RowWriter::new(buf, area, 0);
    for moment in cells.moments(timeline) {
        let (symbol, role) = match moment {
            None => (" ", Role::Text),
            Some(CellMoment::Turn) => ("╵", Role::Dim),
            Some(CellMoment::Call) => ("•", Role::Tool),
            Some(CellMoment::Mark) => ("◆", Role::Accent),
            Some(CellMoment::Error) => ("✗", Role::Error),
        };
        pen.write(symbol, theme.style(role));
    }
}

fn state(replay: ReplayStatus, timeline: Option<&Timeline>) -> Vec<Segment> {
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
    if let Some(from) = replay.looped.from {
        let to = replay.looped.to.map_or_else(|| "…".to_owned(), format::clock);
        all.push(Segment::new(3, format!("loop {}–{to}", format::clock(from)), Role::Accent));
    }
    if let Some(max) = replay.max_idle {
        all.push(Segment::new(4, format!("pauses over {} shortened", format::duration(max)), Role::Dim));
    }
    let counted = [(MomentKind::Call, "•", "call"), (MomentKind::Error, "✗", "error"), (MomentKind::Mark, "◆", "mark")];
    for (rank, (kind, symbol, name)) in (5..).zip(counted) {
        let count = timeline.map_or(0, |timeline| timeline.count(kind));
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            all.push(Segment::new(rank, format!("{symbol} {count} {name}{plural}"), Role::Dim));
        }
    }
    all
}

/// `1×`, `0.5×`, `16×`.
fn speed(factor: f32) -> String {
    format!("{factor}×")
}
