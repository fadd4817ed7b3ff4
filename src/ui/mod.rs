//! The face: a function from store and view state to cells. ratatui and nothing else; no clock, no IO.
//!
//! [`Ui`] holds what only a terminal has (composer, scroll places, caches): dropping the caches must not change a cell.
//! Panes take no keys: keys become actions first. Untrusted text passes `text::clean` before it becomes cells.

mod apply;
mod completion;
pub mod composer;
pub mod format;
#[cfg(feature = "images")]
pub mod image;
pub mod kept_rows;
pub mod key_hints;
pub mod keymap;
pub mod layout;
pub mod markdown;
pub mod paint;
pub mod panes;
pub mod text_layout;
pub mod theme;

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::config::UiConfig;
use crate::config::keys::Keymap;
use crate::store::Store;
use crate::store::action::Action;
use crate::store::approval::ApprovalChoice;
use crate::store::focus::Overlay;
use crate::store::msg::Msg;
use crate::store::pane::Pane;

use self::completion::Completion;
use self::composer::Composer;
use self::kept_rows::clear_cells;
use self::key_hints::KeyHints;
use self::layout::{Layout, LayoutRequest};
use self::panes::perf_overlay::PerfStats;
use self::panes::raw::RawView;
use self::panes::tool_panel::ToolPanelView;
use self::panes::transcript::TranscriptView;
use self::panes::{
    activity, approval, frames, help, links, models, modes, outline, perf_overlay, permissions, pick_hint, popup,
    queue, raw, replay_bar, search_bar, status_line, toast, tool_panel, transcript, usage_bar, welcome,
};
use self::theme::Theme;

/// Everything that the screen remembers between frames.
pub struct Ui {
    pub transcript: TranscriptView,
    pub tools: ToolPanelView,
    pub composer: Composer,
    pub theme: Theme,
    pub completion: Completion,
    /// Where everything was drawn last.
    pub layout: Layout,
    key_hints: KeyHints,
    raw: RawView,
    /// What the frames before cost; measured only while it is shown.
    pub perf: PerfStats,
    /// The tool panel stands beside the transcript where there is room.
    has_tool_panel: bool,
    /// An ask was on the last frame, with its answers.
    has_approval: bool,
    /// Where its answers were.
    answer_areas: Vec<(ApprovalChoice, Rect)>,
    /// How far the overlay on top can scroll, as drawn last.
    overlay_scroll_end: usize,
}

impl Ui {
    pub fn new(config: &UiConfig, theme: Theme, keymap: &Keymap) -> Self {
        let mut transcript = TranscriptView::new();
        transcript.set_fold_key(&keymap.key_for("output.toggle").unwrap_or_default());
        Self {
            transcript,
            tools: ToolPanelView::default(),
            composer: Composer::new(),
            theme,
            completion: Completion::default(),
            layout: Layout::default(),
            key_hints: KeyHints::new(keymap),
            raw: RawView::default(),
            perf: PerfStats::default(),
            has_tool_panel: config.tool_panel,
            has_approval: false,
            answer_areas: Vec::new(),
            overlay_scroll_end: 0,
        }
    }

    /// Returns which pictures on the screen are not known.
    #[cfg(feature = "images")]
    pub fn take_image_requests(&mut self) -> Option<Msg> {
        let wanted = std::mem::take(&mut self.transcript.images.wanted);
        (!wanted.is_empty()).then_some(Msg::RequestImages(wanted))
    }

    /// Returns the answer to an ask that was drawn at this column and row.
    pub fn answer_at(&self, at: (u16, u16)) -> Option<ApprovalChoice> {
        self.answer_areas.iter().find(|(_, place)| place.contains(at.into())).map(|(choice, _)| *choice)
    }

    /// Returns what the store should know after a frame: that an overlay was scrolled past its end.
    pub fn after_draw(&self, store: &Store) -> Option<Msg> {
        let scroll = match store.focus.top()? {
            Overlay::Help { scroll } => *scroll,
            Overlay::Approval(approval) if approval.shown_at.is_none() && self.has_approval => {
                return Some(Msg::Action(Action::ApprovalShown));
            }
            Overlay::Approval(approval) => approval.full_scroll?,
            Overlay::Raw { scroll, .. } => *scroll,
            Overlay::Frames => store.frames.opened_scroll?,
            _ => return None,
        };
        (scroll > self.overlay_scroll_end).then_some(Msg::Action(Action::OverlayScrollTo(self.overlay_scroll_end)))
    }
}

/// What the empty composer says.
const IDLE_PLACEHOLDER: &str = "Ask anything, or / for commands";
const WATCHED_PLACEHOLDER: &str = "This session is read-only; it takes no prompts";
const BUSY_PLACEHOLDER: &str = "Type ahead: prompts are queued";

/// Draws one frame into an empty buffer and returns where the terminal's cursor belongs.
pub fn draw(store: &Store, ui: &mut Ui, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    let cursor = draw_frame(store, ui, false, area, buf);
    ui.transcript.forget_rows();
    cursor
}

/// Draws the next frame into the buffer that holds the last one, and leaves rows of the transcript that stay the same.
pub fn redraw(store: &Store, ui: &mut Ui, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    draw_frame(store, ui, true, area, buf)
}

/// Later parts lie above earlier ones.
fn draw_frame(store: &Store, ui: &mut Ui, holds_last_frame: bool, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return None;
    }
    let theme = ui.theme;
    let replay = store.session.capabilities().seek && store.session.replay().is_some();
    // Under a box the rows of the message would be covered: it stands below that.
    let boxed = !matches!(store.focus.top(), None | Some(Overlay::Search(_) | Overlay::CodePicker))
        && store.focus.docked_approval().is_none();
    let message_rows = toast::row_count(store, area.width, layout::max_toast_rows(area.height));
    let question = store.focus.visible_approval().and_then(|ask| {
        let room = Rect { height: layout::max_approval_rows(area.height), ..area };
        approval::lay_out(store, ask, &ui.key_hints, room)
    });
    let layout = Layout::new(
        area,
        LayoutRequest {
            composer_rows: if replay { 1 } else { ui.composer.height(area.width.saturating_sub(2)) },
            toast_rows: if boxed { 0 } else { message_rows },
            queue_rows: store.session.queue().len().min(3) as u16,
            approval_rows: question.as_ref().map_or(0, approval::DockedApproval::rows),
            is_replay: replay,
            has_tool_panel: ui.has_tool_panel,
            is_panel_toggled: store.focus.is_panel_toggled,
        },
    );
    ui.layout = layout;
    let covered = store.focus.top().is_some();
    let focused = |pane| !covered && store.focus.pane == pane;
    if holds_last_frame {
        let kept = if store.transcript.is_untouched() { Rect::default() } else { layout.transcript };
        clear_around(kept, area, buf);
        ui.transcript.reuse_last_frame();
    }

    if store.transcript.is_untouched() {
        welcome::draw(store, &ui.key_hints, theme, layout.transcript, buf);
    } else if !layout.transcript.is_empty() {
        transcript::draw(
            store,
            &mut ui.transcript,
            &theme,
            focused(Pane::Transcript) || store.focus.search().is_some_and(|search| !search.is_typing),
            layout.transcript,
            buf,
        );
    }
    tool_panel::draw(store, &mut ui.tools, focused(Pane::ToolPanel), theme, layout.tools, buf);
    queue::draw(store, &ui.key_hints, theme, layout.queue, buf);
    let away = if covered { None } else { focused_pane_name(store.focus.pane) };
    activity::draw(store, &ui.key_hints, (focused(Pane::Composer), away), theme, layout.activity, buf);
    ui.composer.set_placeholder(&placeholder(store, &ui.key_hints, away));
    ui.has_approval = question.is_some() && layout.approval.height > 1;
    let clickable = question.as_ref().filter(|_| store.focus.docked_approval().is_some());
    ui.answer_areas = clickable.map_or_else(Vec::new, |docked| docked.answer_areas(layout.approval));
    let mut cursor = ui.composer.draw(&theme, focused(Pane::Composer), layout::inset(layout.composer), buf);
    replay_bar::draw(store, theme, layout.replay, buf);
    usage_bar::draw(store, theme, layout.usage, buf);
    status_line::draw(store, &ui.key_hints, !layout.activity.is_empty(), theme, layout.status, buf);
    toast::draw(store, theme, layout.toast, buf);

    let input = if replay { layout.replay } else { layout.composer };
    if !covered && !replay {
        let input = if layout.activity.is_empty() { layout.composer } else { layout.activity };
        let above = Rect { height: input.y - area.y, ..area };
        ui.completion.update(&ui.composer);
        if !ui.completion.candidates().is_empty() {
            ui.transcript.forget_rows();
        }
        popup::draw(ui.completion.candidates(), ui.completion.selected(), theme, above, buf);
    }
    // The status line stays readable below every overlay.
    let mut stage = Rect { height: area.height - layout.status.height, ..area };
    if boxed {
        stage.height -= message_rows.min(stage.height / 2);
        let below = Rect { y: stage.bottom(), height: layout.status.y - stage.bottom(), ..area };
        toast::draw(store, theme, below, buf);
    }
    for overlay in &store.focus.overlays {
        cursor = draw_overlay(store, ui, overlay, (stage, input), question.as_ref(), buf);
    }
    if covered || store.focus.is_debug_shown {
        ui.transcript.forget_rows();
    }
    if store.focus.is_debug_shown {
        perf_overlay::draw(store, &ui.perf, ui.transcript.cached_bytes(), theme, stage, buf);
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

/// Draws what lies above the panes; `stage` is for boxes, `input` for what takes the composer's place. Returns where the
/// cursor belongs.
fn draw_overlay(
    store: &Store,
    ui: &mut Ui,
    overlay: &Overlay,
    (stage, input): (Rect, Rect),
    question: Option<&approval::DockedApproval>,
    buf: &mut Buffer,
) -> Option<(u16, u16)> {
    let theme = ui.theme;
    match overlay {
        Overlay::Help { scroll } => {
            ui.overlay_scroll_end = help::draw(store, &ui.key_hints, *scroll, theme, stage, buf);
            None
        }
        Overlay::CodePicker => {
            pick_hint::draw(ui.transcript.has_letters(), &ui.key_hints, theme, layout::inset(input), buf);
            None
        }
        Overlay::Raw { item, scroll } => {
            ui.overlay_scroll_end = raw::draw(store, &mut ui.raw, (*item, *scroll), &ui.key_hints, theme, stage, buf);
            None
        }
        Overlay::Links { links: list, selected, chosen_at: _ } => {
            links::draw(list, *selected, &ui.key_hints, theme, stage, buf);
            None
        }
        Overlay::Outline(list) => outline::draw(list, &ui.key_hints, theme, stage, buf),
        Overlay::Search(search) => search_bar::draw(store, search, theme, layout::inset(input), buf),
        Overlay::Models { query, selected } => {
            models::draw(store, (query, *selected), &ui.key_hints, theme, stage, buf)
        }
        Overlay::Frames => {
            let (cursor, end) = frames::draw(&store.frames, &ui.key_hints, theme, stage, buf);
            ui.overlay_scroll_end = end;
            cursor
        }
        Overlay::Modes { selected, full_mode_confirm: sure } => {
            modes::draw(store, (*selected, *sure), &ui.key_hints, theme, stage, buf);
            None
        }
        Overlay::Permissions { selected } => {
            permissions::draw(store, *selected, &ui.key_hints, theme, stage, buf);
            None
        }
        Overlay::Approval(shown) => {
            let docked = question.and_then(|docked| docked.draw(theme, ui.layout.approval, buf));
            match shown.full_scroll {
                None => docked,
                Some(scroll) => {
                    ui.overlay_scroll_end = approval::draw_full(store, shown, scroll, &ui.key_hints, theme, stage, buf);
                    None
                }
            }
        }
    }
}

fn placeholder(store: &Store, labels: &KeyHints, keyboard_in: Option<&str>) -> Cow<'static, str> {
    match (keyboard_in, &*labels.cancel) {
        (Some(pane), "") => format!("The keyboard is in {pane}").into(),
        (Some(pane), key) => format!("The keyboard is in {pane}; {key} returns here").into(),
        _ if store.session.opened.is_some() && !store.session.capabilities().prompt => WATCHED_PLACEHOLDER.into(),
        _ if store.session.phase.is_idle() => IDLE_PLACEHOLDER.into(),
        _ => BUSY_PLACEHOLDER.into(),
    }
}

/// Names the pane that has the keyboard, unless it is where one writes.
fn focused_pane_name(pane: Pane) -> Option<&'static str> {
    match pane {
        Pane::Composer => None,
        Pane::Transcript => Some("the transcript"),
        Pane::ToolPanel => Some("the tool panel"),
    }
}
