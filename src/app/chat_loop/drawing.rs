//! Frames: the first one and what follows it, all others, and what they cost.

use std::io;
use std::time::{Duration, Instant};

use super::{BACKGROUND_START_DELAY, ChatLoop};
use crate::app::chat::ChatController;
use crate::app::inline::wants_full_screen;
use crate::app::screen::{Painted, ScreenCounters};
use crate::local_time::local_now;
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::store::{Store, Timestamps};
use crate::ui::panes::perf_overlay::{FrameStats, PerfStats};
use crate::ui::{self, FrameScope};
/// Between two frames of a spinner or a running time.
const TICK_INTERVAL: Duration = Duration::from_millis(100);
/// Where nothing spins, running times still count seconds.
const CALM_TICK_INTERVAL: Duration = Duration::from_secs(1);

impl ChatLoop<'_> {
    pub(super) fn after_first_frame(&mut self) -> io::Result<()> {
        if self.host.options.limits.has_day_limit() {
            self.host.effects.count_day_usage(None);
        }
        self.host.effects.offer_import();
        self.host.history_load_at = Some(Instant::now() + BACKGROUND_START_DELAY);
        #[cfg(feature = "images")]
        self.host.effects.report(self.host.images.detect_mode());
        if self.theme.follows_terminal() {
            self.query_background()?;
        }
        if std::mem::take(&mut self.has_prompt) {
            let text = self.tabs.active.chat.ui.panes.composer.take();
            self.tabs.active.chat.update(Msg::Action(Action::Submit(text)));
            self.tabs.active.restore_draft();
        }
        self.run_effects()
    }

    pub(super) fn draw(&mut self, now: Instant) -> io::Result<()> {
        self.end_theme_preview();
        if self.host.linear.is_some() {
            return self.print_lines(now);
        }
        self.host.term.show_ground(self.tabs.active.chat.ui.theme.ground())?;
        if self.tabs.active.chat.store.wants_ticks() {
            self.tabs.active.chat.update(Msg::Tick(self.tabs.active.clock.now(now)));
        }
        if self.host.inline.is_some() && self.draw_inline(now)? {
            return Ok(());
        }
        let measured = self.begin_measuring(now);
        let ChatController { store, ui, .. } = &mut self.tabs.active.chat;
        if store.timestamps == Timestamps::Clock {
            // Asked only now: it may read the time zone's file.
            ui.panes.transcript.utc_offset_secs =
                *self.host.utc_offset_secs.get_or_insert_with(|| local_now().offset().seconds());
        }
        let mut scope = self.host.pacer.scope(now);
        self.host.term.screen.redraw(|area, buf, is_last_frame| {
            if !is_last_frame {
                ui.panes.transcript.forget_rows();
                scope = FrameScope::Whole;
            }
            let text = if scope == FrameScope::Text { ui::redraw_text(store, ui, area, buf) } else { None };
            let (drawn, cursor) = if let Some((drawn, cursor)) = text {
                (Some(drawn), cursor)
            } else {
                scope = FrameScope::Whole;
                (None, ui::redraw(store, ui, area, buf))
            };
            Painted {
                cursor,
                links: Some(ui.panes.transcript.links()),
                unchanged: ui.panes.transcript.unchanged_rows(area.height),
                drawn,
            }
        })?;
        if let Some((began, counts, late)) = measured {
            let (drawn, figures) = (self.host.term.screen.counters, &mut self.tabs.active.chat.ui.perf);
            figures.push(FrameStats {
                duration: now.elapsed(),
                at: now.saturating_duration_since(began),
                lateness: late,
                cells: drawn.cells - counts.cells,
                bytes: drawn.bytes - counts.bytes,
            });
        }
        #[cfg(feature = "images")]
        self.host.images.sender.show(&self.tabs.active.chat.ui.panes.transcript.images.placed);
        self.shape_cursor()?;
        self.tabs.active.chat.after_draw();
        self.host.pacer.on_drawn(now, scope);
        if scope == FrameScope::Whole && self.tabs.active.chat.store.wants_ticks() {
            self.host.pacer.request(now, tick_interval(&self.tabs.active.chat.store));
        }
        Ok(())
    }

    /// Draws a frame below the terminal's own text; false if what is to be seen fills the screen.
    fn draw_inline(&mut self, now: Instant) -> io::Result<bool> {
        let Self { host, tabs, .. } = self;
        let (Some(inline), tab) = (&mut host.inline, &mut tabs.active) else { return Ok(false) };
        let is_behind = tab.is_behind();
        if !is_behind && std::mem::take(&mut tab.has_backlog) {
            inline.on_backlog(&tab.chat.store);
        }
        let ChatController { store, ui, .. } = &mut tab.chat;
        let is_full = wants_full_screen(store, ui);
        if is_full && !inline.is_full {
            host.term.screen.invalidate();
        }
        inline.set_full(is_full, host.term.screen.out())?;
        if is_full {
            return Ok(false);
        }
        if !is_behind {
            inline.draw(store, ui, host.term.screen.out())?;
        }
        tab.chat.after_draw();
        host.pacer.on_drawn(now, FrameScope::Whole);
        if tab.chat.store.wants_ticks() {
            host.pacer.request(now, tick_interval(&tab.chat.store));
        }
        Ok(true)
    }

    /// Prints what is new in place of a frame. Nothing there moves with the clock.
    fn print_lines(&mut self, now: Instant) -> io::Result<()> {
        let Self { host, tabs, .. } = self;
        let tab = &mut tabs.active;
        host.pacer.on_drawn(now, FrameScope::Whole);
        tab.chat.update(Msg::Tick(tab.clock.now(now)));
        let is_behind = tab.is_behind();
        let Some(linear) = &mut host.linear else { return Ok(()) };
        if !is_behind {
            if std::mem::take(&mut tab.has_backlog) {
                linear.on_backlog(&tab.chat.store);
            }
            linear.draw(&mut tab.chat, &mut io::stdout())?;
        }
        Ok(())
    }

    /// Begins to measure a frame, if the figures are shown: since when frames are measured, what was written before, how
    /// late this one is.
    fn begin_measuring(&mut self, now: Instant) -> Option<(Instant, ScreenCounters, Duration)> {
        if !self.tabs.active.chat.store.focus.is_debug_shown {
            self.host.measuring_since = None;
            return None;
        }
        let tab = &mut self.tabs.active;
        let queued = tab.queued_events();
        let figures = &mut tab.chat.ui.perf;
        let began = *self.host.measuring_since.get_or_insert_with(|| {
            *figures = PerfStats::default();
            figures.min_interval = self.host.pacer.min_interval();
            now
        });
        figures.queued_events = queued;
        let late = self.host.pacer.deadline().map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        Some((began, self.host.term.screen.counters, late))
    }
}

/// Returns the time to the next frame that only the clock asks for. A guarded ask shows in time that it takes an answer.
fn tick_interval(store: &Store) -> Duration {
    if store.reduced_motion && !store.is_guarded() { CALM_TICK_INTERVAL } else { TICK_INTERVAL }
}
