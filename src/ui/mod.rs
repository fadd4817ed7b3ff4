//! The face: a function from store and view state to cells. ratatui and nothing else; no clock, no IO.
//!
//! [`Ui`] holds what only a terminal has (composer, scroll places, caches): dropping the caches must not change a cell.
//! Panes take no keys: keys become actions first. Untrusted text passes `text::clean` before it becomes cells.

mod apply;
pub mod comparison;
pub mod completion;
pub mod composer;
pub mod diff;
pub mod format;
#[cfg(feature = "images")]
pub mod image;
pub mod inline;
pub mod kept_rows;
pub mod key_hints;
pub mod keymap;
pub mod layout;
pub mod linear;
pub mod markdown;
pub mod overlays;
pub mod paint;
pub mod pane;
pub mod panes;
pub mod text_layout;
pub mod theme;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::config::keys::Keymap;
use crate::config::{ThemeChoice, UiConfig};
use crate::store::Store;
use crate::store::msg::Msg;
use crate::store::overlay::approval::ApprovalDialog;

use self::kept_rows::clear_cells;
use self::key_hints::KeyHints;
use self::layout::{Layout, Place};
use self::overlays::OverlayViews;
use self::pane::{OverlayScreen, PaneScreen, PaneView};
use self::panes::agents::AgentView;
use self::panes::diff::ChangesView;
use self::panes::pending_keys::PendingKeys;
use self::panes::perf_overlay::PerfStats;
use self::panes::raw::RawView;
use self::panes::{PanePart, Panes, pending_keys, perf_overlay, popup, toast};
use self::theme::{Theme, ThemePair};

/// Everything that the screen remembers between frames.
pub struct Ui {
    pub panes: Panes,
    pub theme: Theme,
    /// The themes for the grounds that the terminal may turn out to have.
    pub themes: ThemePair,
    /// Where everything was drawn last.
    pub layout: Layout,
    key_hints: KeyHints,
    /// Keys that wait for the next one.
    pub pending_keys: Option<PendingKeys>,
    raw: RawView,
    /// The sub-agent that is shown.
    agent: AgentView,
    /// The changes that are shown.
    changes: ChangesView,
    /// What the frames before cost; measured only while it is shown.
    pub perf: PerfStats,
    /// How far the text on top can be scrolled, as drawn last.
    overlay_scroll_end: usize,
    /// The part that the pointer was pressed on.
    pressed: Option<PanePart>,
    /// Rows of a terminal that keeps the text itself, while what stands below it is drawn.
    inline_rows: Option<u16>,
    /// Where the cursor belonged in the last frame.
    cursor: Option<(u16, u16)>,
}

/// What a frame has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameScope {
    Whole,
    /// More text in messages that the last frame showed. What moves with the clock waits for the next whole frame.
    Text,
}

impl Ui {
    pub fn new(config: &UiConfig, theme: Theme, keymap: &Keymap) -> Self {
        let mut panes = Panes::default();
        panes.transcript.set_fold_key(&keymap.key_for("output.toggle").unwrap_or_default());
        panes.transcript.set_prose_columns(config.text_columns);
        panes.tools.is_default = config.tool_panel;
        Self {
            panes,
            theme,
            themes: ThemePair::new(&ThemeChoice::Auto, theme.depth(), &|_| None),
            layout: Layout::default(),
            key_hints: KeyHints::new(keymap),
            pending_keys: None,
            raw: RawView::default(),
            agent: AgentView::default(),
            changes: ChangesView::default(),
            perf: PerfStats::default(),
            overlay_scroll_end: usize::MAX,
            pressed: None,
            inline_rows: None,
            cursor: None,
        }
    }

    /// Names other keys from now on.
    pub fn set_keymap(&mut self, keymap: &Keymap) {
        self.key_hints = KeyHints::new(keymap);
        self.panes.transcript.set_fold_key(&keymap.key_for("output.toggle").unwrap_or_default());
    }

    /// Returns what only a frame can tell: that an ask was on the screen, and which pictures on it are not known.
    pub fn after_draw(&mut self, store: &Store) -> Vec<Msg> {
        let is_new = store.focus.top_as::<ApprovalDialog>().is_some_and(|ask| ask.shown_at.is_none());
        let shown = (is_new && self.panes.approval.is_visible()).then_some(Msg::ApprovalShown);
        #[cfg(feature = "images")]
        let wanted = std::mem::take(&mut self.panes.transcript.images.wanted);
        #[cfg(feature = "images")]
        let shown = shown.into_iter().chain((!wanted.is_empty()).then_some(Msg::RequestImages(wanted)));
        shown.into_iter().collect()
    }
}

/// Draws one frame into an empty buffer and returns where the terminal's cursor belongs.
pub fn draw(store: &Store, ui: &mut Ui, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    ui.cursor = draw_frame(store, ui, false, area, buf);
    ui.panes.transcript.forget_rows();
    ui.cursor
}

/// Draws the next frame into the buffer that holds the last one, and leaves rows of the transcript that stay the same.
pub fn redraw(store: &Store, ui: &mut Ui, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    ui.cursor = draw_frame(store, ui, true, area, buf);
    ui.cursor
}

/// Draws what text has changed since the last frame, which the buffer holds, and returns where that was and where the
/// cursor belongs. Does nothing and returns none where that would not be all: the whole frame has to be drawn.
pub fn redraw_text(store: &Store, ui: &mut Ui, area: Rect, buf: &mut Buffer) -> Option<(Rect, Option<(u16, u16)>)> {
    let covered = store.focus.top().is_some() || store.focus.is_debug_shown || ui.pending_keys.is_some();
    let Ui { panes, theme, layout, key_hints, cursor, .. } = ui;
    let is_completing = panes.composer.completion.is_open();
    let transcript = PanePart::Transcript.area(layout);
    if covered || is_completing || store.transcript.is_untouched() || transcript.is_empty() || area != buf.area {
        return None;
    }
    panes.transcript.reuse_last_frame();
    let screen = PaneScreen { store, key_hints, theme: *theme, area, layout };
    panes.transcript.draw(&screen, transcript, buf);
    Some((transcript, *cursor))
}

/// Later parts lie above earlier ones.
fn draw_frame(store: &Store, ui: &mut Ui, holds_last_frame: bool, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return None;
    }
    let Ui {
        panes,
        theme,
        layout,
        key_hints,
        pending_keys,
        raw,
        agent,
        changes,
        perf,
        overlay_scroll_end,
        inline_rows,
        ..
    } = ui;
    let theme = *theme;
    let nowhere = Layout::default();
    let whole = Rect { height: inline_rows.unwrap_or(area.height), ..area };
    let screen = PaneScreen { store, key_hints, theme, area: whole, layout: &nowhere };
    let places: Vec<Place> = PanePart::ALL.iter().map(|part| panes.get_mut(*part).place(&screen)).collect();
    *layout = Layout::new(area, &places, store.panel_side);
    let layout = &*layout;
    if holds_last_frame {
        let transcript = PanePart::Transcript.area(layout);
        clear_around(if store.transcript.is_untouched() { Rect::default() } else { transcript }, area, buf);
        panes.transcript.reuse_last_frame();
    }
    let screen = PaneScreen { area, layout, ..screen };
    panes.status_line.vim = panes.composer.vim_label();
    panes.status_line.has_draft = !panes.composer.is_empty() && !panes.composer.completion.is_open();
    let mut cursor = None;
    for part in PanePart::ALL.iter().filter(|part| inline_rows.is_none() || **part != PanePart::Transcript) {
        cursor = panes.get_mut(*part).draw(&screen, part.area(layout), buf).or(cursor);
    }

    let at = |part: PanePart| part.area(layout);
    // In a replay there is a composer only for a command that is being written.
    let has_composer = !screen.is_replay() || !panes.composer.is_empty();
    let input = if has_composer { at(PanePart::Composer) } else { at(PanePart::ReplayBar) };
    if store.focus.top().is_none() && has_composer {
        let below = if at(PanePart::Activity).is_empty() { input } else { at(PanePart::Activity) };
        let above = Rect { height: below.y - area.y, ..area };
        panes.composer.update_completion(store);
        let completion = &panes.composer.completion;
        if completion.is_open() {
            panes.transcript.forget_rows();
        }
        popup::draw(completion, theme, above, buf);
    }
    // The status line stays readable below every overlay.
    let status = at(PanePart::StatusLine);
    let mut stage = Rect { height: area.height - status.height, ..area };
    if screen.is_boxed() {
        // Under a box the rows of the message would be covered: it stands below that.
        let rows = toast::row_count(store, area.width, toast::max_rows(area.height));
        stage.height -= rows.min(stage.height / 2);
        let below = Rect { y: stage.bottom(), height: status.y - stage.bottom(), ..area };
        toast::draw(store, theme, below, buf);
    }
    let above = OverlayScreen { store, key_hints, theme, stage, input };
    let has_code_letters = panes.transcript.has_letters();
    let mut views = OverlayViews { raw, agent, changes, approval: &panes.approval, has_code_letters };
    *overlay_scroll_end = usize::MAX;
    for overlay in &store.focus.overlays {
        let drawn = overlays::draw(overlay, &above, &mut views, buf);
        (cursor, *overlay_scroll_end) = (drawn.cursor, drawn.scroll_end);
    }
    if let Some(pending) = pending_keys {
        let above = if store.focus.top().is_some() { stage } else { Rect { height: input.y - area.y, ..area } };
        pending_keys::draw(pending, theme, above, buf);
    }
    if store.focus.top().is_some() || store.focus.is_debug_shown || pending_keys.is_some() {
        panes.transcript.forget_rows();
    }
    if store.focus.is_debug_shown {
        perf_overlay::draw(store, perf, panes.transcript.cached_bytes(), theme, stage, buf);
    }
    cursor
}

/// Empties what of the frame is outside of the rows that may be kept.
fn clear_around(kept: Rect, area: Rect, buf: &mut Buffer) {
    let (above, below) =
        if kept.is_empty() { (area.height, 0) } else { (kept.y - area.y, area.bottom() - kept.bottom()) };
    clear_cells(buf, Rect { height: above, ..area });
    clear_cells(buf, Rect { y: area.bottom() - below, height: below, ..area });
    clear_cells(buf, Rect { width: kept.x.saturating_sub(area.x), x: area.x, ..kept });
    clear_cells(buf, Rect { x: kept.right(), width: area.right().saturating_sub(kept.right()), ..kept });
}
