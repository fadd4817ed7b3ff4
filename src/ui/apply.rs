//! Wishes about the view: they need to know where things are, so the store can't grant them.
//!
//! Not here: leaving, suspending, redrawing and what Escape or Ctrl+C mean, which the loop decides.

use crate::store::Store;
use crate::store::action::{Action, UiAction};
use crate::store::msg::Msg;
use crate::store::pane::Pane;
use crate::store::slash::{self, Submitted};
use crate::store::transcript::ItemId;

use super::Ui;

#[derive(Clone, Copy)]
enum FocusDirection {
    Next,
    Previous,
}

impl Ui {
    /// Does what only the view can do; the answer is for the store.
    pub fn apply(&mut self, store: &Store, action: UiAction) -> Option<Msg> {
        self.completion.update(&self.composer);
        let in_tools = store.focus.pane == Pane::ToolPanel;
        match action {
            UiAction::Send => return self.submit(),
            UiAction::Newline => self.composer.newline(),
            UiAction::Complete => {
                if let Some(text) = self.completion.take() {
                    self.composer.set_text(&text);
                }
            }
            UiAction::HistoryPrevious if self.completion.is_open() => self.completion.up(),
            UiAction::HistoryNext if self.completion.is_open() => self.completion.down(),
            UiAction::HistoryPrevious => self.composer.up(),
            UiAction::HistoryNext => self.composer.down(),
            UiAction::Edit(edit) => self.composer.edit(edit),
            UiAction::ScrollUp => self.transcript.scroll(-1),
            UiAction::ScrollDown => self.transcript.scroll(1),
            UiAction::PageUp if in_tools => self.tools.scroll_up(self.tool_panel_rows()),
            UiAction::PageDown if in_tools => self.tools.scroll_down(self.tool_panel_rows()),
            UiAction::ScrollStart if in_tools => self.tools.select_first(store),
            UiAction::ScrollEnd if in_tools => self.tools.follow(),
            UiAction::PageUp => self.transcript.page(-1),
            UiAction::PageDown => self.transcript.page(1),
            UiAction::HalfPageUp => self.transcript.half_page(-1),
            UiAction::HalfPageDown => self.transcript.half_page(1),
            UiAction::ScrollStart => self.transcript.to_start(),
            UiAction::ScrollEnd => self.transcript.to_end(),
            UiAction::PreviousPrompt => self.transcript.previous_prompt(),
            UiAction::NextPrompt => self.transcript.next_prompt(),
            UiAction::SelectUp if in_tools => self.tools.select_up(store),
            UiAction::SelectDown if in_tools => self.tools.select_down(store),
            UiAction::SelectUp => self.transcript.select_up(),
            UiAction::SelectDown => self.transcript.select_down(),
            UiAction::FoldSelected => {
                return self.selected(store).map(|item| Msg::Action(Action::ToggleFold(item.0)));
            }
            UiAction::RawSelected => {
                let item = self.transcript.selected().map(|item| item.0);
                return Some(Msg::Action(Action::OpenRaw { item }));
            }
            UiAction::LinksSelected => {
                let item = self.transcript.selected().map(|item| item.0);
                return Some(Msg::Action(Action::OpenLinks { item }));
            }
            UiAction::CopySelected => {
                return self.selected(store).map(|item| Msg::Action(Action::CopyItem(item.0)));
            }
            UiAction::Search => {
                let from = self.transcript.reading_item(store).map(|item| item.0);
                return Some(Msg::Action(Action::OpenSearch { from, query: None }));
            }
            UiAction::Outline => {
                let from = self.transcript.reading_item(store).map(|item| item.0);
                return Some(Msg::Action(Action::OpenOutline { from }));
            }
            UiAction::SearchAgain => {
                let from = self.transcript.reading_item(store).map(|item| item.0);
                let query = Some(store.focus.last_query.clone()).filter(|query| !query.is_empty());
                return Some(Msg::Action(Action::OpenSearch { from, query }));
            }
            UiAction::FocusNext => return Some(self.next_focus(store, FocusDirection::Next)),
            UiAction::FocusPrevious => return Some(self.next_focus(store, FocusDirection::Previous)),
            UiAction::Escape | UiAction::Interrupt | UiAction::DeleteOrQuit | UiAction::Redraw | UiAction::Suspend => {}
        }
        None
    }

    /// Returns the item that is selected in the focused pane; the tool panel shows the last call until one is.
    fn selected(&self, store: &Store) -> Option<ItemId> {
        if store.focus.pane == Pane::ToolPanel {
            return self.tools.call(store).or(store.tool_calls.calls().last()).map(|call| call.item);
        }
        self.transcript.selected()
    }

    /// A command that is only begun is sent as the chosen completion.
    fn submit(&mut self) -> Option<Msg> {
        let chosen = self.completion.take();
        let text = self.composer.take();
        self.completion.update(&self.composer);
        let text = match (slash::parse(&text), chosen) {
            (Submitted::Invalid(_), Some(chosen)) => chosen.trim_end().to_owned(),
            _ => text,
        };
        (!text.trim().is_empty()).then_some(Msg::Action(Action::Submit(text)))
    }

    /// Goes round the panes that are on the screen.
    fn next_focus(&self, store: &Store, way: FocusDirection) -> Msg {
        let visible = |pane: &Pane| match pane {
            Pane::Composer => true,
            Pane::Transcript => !self.layout.transcript.is_empty(),
            Pane::ToolPanel => !self.layout.tools.is_empty(),
        };
        let panes: Vec<Pane> =
            [Pane::Composer, Pane::Transcript, Pane::ToolPanel].into_iter().filter(visible).collect();
        let at = panes.iter().position(|pane| *pane == store.focus.pane).unwrap_or(0);
        let step = match way {
            FocusDirection::Next => 1,
            FocusDirection::Previous => panes.len().saturating_sub(1),
        };
        Msg::Action(Action::Focus(panes.get((at + step) % panes.len().max(1)).copied().unwrap_or_default()))
    }

    fn tool_panel_rows(&self) -> usize {
        usize::from(self.layout.tools.height).saturating_sub(2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::config::keys::Keymap;
    use crate::config::{ImageChoice, ThemeChoice, UiConfig};
    use crate::store::Timestamps;
    use crate::ui::draw;
    use crate::ui::theme::Theme;

    fn drawn(width: u16, text: &str) -> (Store, Ui) {
        let config = UiConfig {
            theme: ThemeChoice::Dark,
            max_fps: 60,
            fold_thinking: true,
            fold_output: true,
            mouse: false,
            tool_panel: true,
            timestamps: Timestamps::Off,
            images: ImageChoice::Off,
        };
        let (store, mut ui) = (Store::default(), Ui::new(&config, Theme::default(), &Keymap::default()));
        ui.composer.set_text(text);
        let area = Rect::new(0, 0, width, 20);
        draw(&store, &mut ui, area, &mut Buffer::empty(area));
        (store, ui)
    }

    fn submitted(text: &str) -> Msg {
        Msg::Action(Action::Submit(text.into()))
    }

    #[test]
    fn a_command_begun_is_sent_in_full() {
        let cases = [("/he", "/help"), ("/mode plan", "/mode plan"), ("/q", "/q"), ("/zzz", "/zzz"), ("hi", "hi")];
        for (typed, sent) in cases {
            let (store, mut ui) = drawn(80, typed);
            assert_eq!(ui.apply(&store, UiAction::Send), Some(submitted(sent)), "{typed}");
            assert!(ui.composer.is_empty());
        }
        let (store, mut ui) = drawn(80, "");
        assert_eq!(ui.apply(&store, UiAction::Send), None);
    }

    #[test]
    fn arrows_choose_a_completion_and_tab_takes_it() {
        let (store, mut ui) = drawn(80, "/mo");
        ui.apply(&store, UiAction::HistoryNext);
        ui.apply(&store, UiAction::Complete);
        assert_eq!(ui.composer.text(), "/mode ");
    }

    #[test]
    fn focus_goes_round_what_is_on_the_screen() {
        let (composer, tools, transcript) = (Pane::Composer, Pane::ToolPanel, Pane::Transcript);
        let round = |width: u16, action| {
            let (mut store, mut ui) = drawn(width, "");
            let mut panes = Vec::new();
            for _ in 0..3 {
                let msg = ui.apply(&store, action).unwrap();
                store.update(msg, &mut Vec::new());
                panes.push(store.focus.pane);
            }
            panes
        };
        assert_eq!(round(120, UiAction::FocusNext), [transcript, tools, composer]);
        assert_eq!(round(120, UiAction::FocusPrevious), [tools, transcript, composer]);
        assert_eq!(round(80, UiAction::FocusNext), [transcript, composer, transcript]);
    }
}
