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
pub mod keymap;
pub mod labels;
pub mod layout;
pub mod lines;
pub mod md;
pub mod paint;
pub mod panes;
pub mod theme;

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::config::UiConfig;
use crate::config::keys::Keymap;
use crate::store::Store;
use crate::store::action::Action;
use crate::store::approval::Choice;
use crate::store::focus::{Overlay, Pane};
use crate::store::msg::Msg;

use self::completion::Completion;
use self::composer::Composer;
use self::labels::Labels;
use self::layout::{Layout, Wants};
use self::panes::figures::Figures;
use self::panes::raw::RawView;
use self::panes::tool_panel::ToolPanelView;
use self::panes::transcript::TranscriptView;
use self::panes::{
    activity, approval, figures, frames, help, letters_bar, links, message, models, modes, outline, permissions, popup,
    queue, raw, replay_bar, search_bar, status_line, tool_panel, transcript, usage_bar, welcome,
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
    labels: Labels,
    raw: RawView,
    /// What the frames before cost; measured only while it is shown.
    pub figures: Figures,
    /// The tool panel stands beside the transcript where there is room.
    panel: bool,
    /// An ask was on the last frame, with its answers.
    asked: bool,
    /// Where its answers were.
    answers: Vec<(Choice, Rect)>,
    /// How far the overlay on top can scroll, as drawn last.
    overlay_end: usize,
}

impl Ui {
    pub fn new(config: &UiConfig, theme: Theme, keymap: &Keymap) -> Self {
        let mut transcript = TranscriptView::new();
        transcript.set_fold_key(&keymap.hint("output.toggle").unwrap_or_default());
        Self {
            transcript,
            tools: ToolPanelView::default(),
            composer: Composer::new(),
            theme,
            completion: Completion::default(),
            layout: Layout::default(),
            labels: Labels::new(keymap),
            raw: RawView::default(),
            figures: Figures::default(),
            panel: config.tool_panel,
            asked: false,
            answers: Vec::new(),
            overlay_end: 0,
        }
    }

    /// Returns which pictures on the screen are not known.
    #[cfg(feature = "images")]
    pub fn wants(&mut self) -> Option<Msg> {
        let wanted = std::mem::take(&mut self.transcript.images.wanted);
        (!wanted.is_empty()).then_some(Msg::WantImages(wanted))
    }

    /// Returns the answer to an ask that was drawn at this column and row.
    pub fn answer_at(&self, at: (u16, u16)) -> Option<Choice> {
        self.answers.iter().find(|(_, place)| place.contains(at.into())).map(|(choice, _)| *choice)
    }

    /// Returns what the store should know after a frame: that an overlay was scrolled past its end.
    pub fn drawn(&self, store: &Store) -> Option<Msg> {
        let scroll = match store.focus.top()? {
            Overlay::Help { scroll } => *scroll,
            Overlay::Approval(approval) if approval.shown_at.is_none() && self.asked => {
                return Some(Msg::Do(Action::ApprovalShown));
            }
            Overlay::Approval(approval) => approval.whole?,
            Overlay::Raw { scroll, .. } => *scroll,
            Overlay::Frames => store.frames.opened?,
            _ => return None,
        };
        (scroll > self.overlay_end).then_some(Msg::Do(Action::OverlayScrollTo(self.overlay_end)))
    }
}

/// What the empty composer says.
const IDLE: &str = "Ask anything, or / for commands";
const WATCHED: &str = "This stream is only watched; it takes no prompt";
const BUSY: &str = "Type ahead: it waits for its turn";

/// Draws one frame and returns where the terminal's cursor belongs. Later parts lie above earlier ones.
pub fn draw(store: &Store, ui: &mut Ui, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return None;
    }
    let theme = ui.theme;
    let replay = store.session.caps().seek && store.session.weather.replay.is_some();
    // Under a box the rows of the message would be covered: it stands below that.
    let boxed = !matches!(store.focus.top(), None | Some(Overlay::Search(_) | Overlay::Blocks))
        && store.focus.docked().is_none();
    let message_rows = message::rows(store, area.width, layout::message_max(area.height));
    let question = store.focus.open_ask().and_then(|ask| {
        let room = Rect { height: layout::question_most(area.height), ..area };
        approval::lay(store, ask, &ui.labels, room)
    });
    let layout = Layout::new(
        area,
        Wants {
            composer_rows: if replay { 1 } else { ui.composer.height(area.width.saturating_sub(2)) },
            message_rows: if boxed { 0 } else { message_rows },
            queue_rows: store.session.weather.queue.len().min(3) as u16,
            question_rows: question.as_ref().map_or(0, approval::Docked::rows),
            replay,
            panel: ui.panel,
            panel_flipped: store.focus.panel_flipped,
        },
    );
    ui.layout = layout;
    let covered = store.focus.top().is_some();
    let focused = |pane| !covered && store.focus.pane == pane;

    if store.transcript.is_untouched() {
        welcome::draw(store, &ui.labels, theme, layout.transcript, buf);
    } else if !layout.transcript.is_empty() {
        transcript::draw(
            store,
            &mut ui.transcript,
            &theme,
            focused(Pane::Transcript) || store.focus.search().is_some_and(|search| !search.typing),
            layout.transcript,
            buf,
        );
    }
    tool_panel::draw(store, &mut ui.tools, focused(Pane::ToolPanel), theme, layout.tools, buf);
    queue::draw(store, &ui.labels, theme, layout.queue, buf);
    let away = if covered { None } else { keyboard(store.focus.pane) };
    activity::draw(store, &ui.labels, (focused(Pane::Composer), away), theme, layout.activity, buf);
    ui.composer.set_placeholder(&placeholder(store, &ui.labels, away));
    ui.asked = question.is_some() && layout.question.height > 1;
    let clickable = question.as_ref().filter(|_| store.focus.docked().is_some());
    ui.answers = clickable.map_or_else(Vec::new, |docked| docked.places(layout.question));
    let mut cursor = ui.composer.draw(&theme, focused(Pane::Composer), layout::inset(layout.composer), buf);
    replay_bar::draw(store, theme, layout.replay, buf);
    usage_bar::draw(store, theme, layout.usage, buf);
    status_line::draw(store, &ui.labels, !layout.activity.is_empty(), theme, layout.status, buf);
    message::draw(store, theme, layout.message, buf);

    let input = if replay { layout.replay } else { layout.composer };
    if !covered && !replay {
        let input = if layout.activity.is_empty() { layout.composer } else { layout.activity };
        let above = Rect { height: input.y - area.y, ..area };
        ui.completion.follow(&ui.composer);
        popup::draw(ui.completion.offers(), ui.completion.chosen(), theme, above, buf);
    }
    // The status line stays readable below every overlay.
    let mut stage = Rect { height: area.height - layout.status.height, ..area };
    if boxed {
        stage.height -= message_rows.min(stage.height / 2);
        let below = Rect { y: stage.bottom(), height: layout.status.y - stage.bottom(), ..area };
        message::draw(store, theme, below, buf);
    }
    for overlay in &store.focus.overlays {
        cursor = draw_overlay(store, ui, overlay, (stage, input), question.as_ref(), buf);
    }
    if store.focus.debug {
        figures::draw(store, &ui.figures, ui.transcript.cached_bytes(), theme, stage, buf);
    }
    cursor
}

/// Draws what lies above the panes; `stage` is for boxes, `input` for what takes the composer's place. Returns where the
/// cursor belongs.
fn draw_overlay(
    store: &Store,
    ui: &mut Ui,
    overlay: &Overlay,
    (stage, input): (Rect, Rect),
    question: Option<&approval::Docked>,
    buf: &mut Buffer,
) -> Option<(u16, u16)> {
    let theme = ui.theme;
    match overlay {
        Overlay::Help { scroll } => {
            ui.overlay_end = help::draw(store, &ui.labels, *scroll, theme, stage, buf);
            None
        }
        Overlay::Blocks => {
            letters_bar::draw(ui.transcript.has_letters(), &ui.labels, theme, layout::inset(input), buf);
            None
        }
        Overlay::Raw { item, scroll } => {
            ui.overlay_end = raw::draw(store, &mut ui.raw, (*item, *scroll), &ui.labels, theme, stage, buf);
            None
        }
        Overlay::Links { links: list, selected, chosen_at: _ } => {
            links::draw(list, *selected, &ui.labels, theme, stage, buf);
            None
        }
        Overlay::Outline(list) => outline::draw(list, &ui.labels, theme, stage, buf),
        Overlay::Search(search) => search_bar::draw(store, search, theme, layout::inset(input), buf),
        Overlay::Models { query, selected } => models::draw(store, (query, *selected), &ui.labels, theme, stage, buf),
        Overlay::Frames => {
            let (cursor, end) = frames::draw(&store.frames, &ui.labels, theme, stage, buf);
            ui.overlay_end = end;
            cursor
        }
        Overlay::Modes { selected, sure } => {
            modes::draw(store, (*selected, *sure), &ui.labels, theme, stage, buf);
            None
        }
        Overlay::Permissions { selected } => {
            permissions::draw(store, *selected, &ui.labels, theme, stage, buf);
            None
        }
        Overlay::Approval(shown) => {
            let docked = question.and_then(|docked| docked.draw(theme, ui.layout.question, buf));
            match shown.whole {
                None => docked,
                Some(scroll) => {
                    ui.overlay_end = approval::whole(store, shown, scroll, &ui.labels, theme, stage, buf);
                    None
                }
            }
        }
    }
}

fn placeholder(store: &Store, labels: &Labels, keyboard_in: Option<&str>) -> Cow<'static, str> {
    match (keyboard_in, &*labels.cancel) {
        (Some(pane), "") => format!("The keyboard is in {pane}").into(),
        (Some(pane), key) => format!("The keyboard is in {pane}; {key} brings it back here").into(),
        _ if store.session.opened.is_some() && !store.session.caps().prompt => WATCHED.into(),
        _ if store.session.phase.is_idle() => IDLE.into(),
        _ => BUSY.into(),
    }
}

/// Names the pane that has the keyboard, unless it is where one writes.
fn keyboard(pane: Pane) -> Option<&'static str> {
    match pane {
        Pane::Composer => None,
        Pane::Transcript => Some("the transcript"),
        Pane::ToolPanel => Some("the tool panel"),
    }
}
