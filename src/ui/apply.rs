//! Wishes about the view go to the part that has the keys, then to the transcript and the composer: they need to know
//! where things are, so the store can't grant them.
//!
//! Not here: leaving, suspending, redrawing and what Escape or Ctrl+C mean, which the loop decides.

use crate::store::Store;
use crate::store::action::{Action, PAGE_ROWS, ScrollStep, UiAction};
use crate::store::msg::Msg;
use crate::store::overlay::OverlayExtent;
use crate::store::overlay::agents::AgentTranscript;
use crate::store::pane::Pane;

use super::Ui;
use super::pane::PaneResponse;
use super::panes::PanePart;

#[derive(Clone, Copy)]
enum FocusDirection {
    Next,
    Previous,
}

impl Ui {
    /// Does what only the view can do; the answer is for the store.
    pub fn apply(&mut self, store: &Store, action: UiAction) -> Option<Msg> {
        let action = match action {
            // Beside an ask the transcript is read, also from a field.
            UiAction::ScrollOverlay(ScrollStep::Back(PAGE_ROWS)) if store.focus.docked_approval().is_some() => {
                UiAction::PageUp
            }
            UiAction::ScrollOverlay(ScrollStep::Forward(PAGE_ROWS)) if store.focus.docked_approval().is_some() => {
                UiAction::PageDown
            }
            UiAction::ScrollOverlay(step) if let Some(shown) = store.focus.top_as::<AgentTranscript>() => {
                self.agent.scroll(store, shown, step, PAGE_ROWS);
                return None;
            }
            UiAction::ScrollOverlay(step) => {
                return Some(Msg::Action(Action::ScrollOverlay { step, end: self.overlay_scroll_end }));
            }
            UiAction::FocusNext => {
                return Some(Msg::Action(Action::Focus(self.next_pane(store, FocusDirection::Next))));
            }
            UiAction::FocusPrevious => {
                return Some(Msg::Action(Action::Focus(self.next_pane(store, FocusDirection::Previous))));
            }
            action => action,
        };
        let focused = self.panes.part(store.focus.pane);
        for part in focused.into_iter().chain([PanePart::Transcript, PanePart::Composer]) {
            match self.panes.get_mut(part).handle(store, action) {
                PaneResponse::Ignored => {}
                PaneResponse::Done => return None,
                PaneResponse::Tell(action) => return Some(Msg::Action(action)),
            }
        }
        None
    }

    /// Returns whether an action of the pane that has the keys does anything just now.
    pub fn has_effect(&self, store: &Store, action: UiAction) -> bool {
        let focused = self.panes.part(store.focus.pane);
        focused.is_some_and(|part| self.panes.get(part).has_effect(store, action))
    }

    /// Scrolls what is under the pointer; what lies on top lies under it everywhere.
    pub fn wheel(&mut self, store: &Store, rows: i32, at: (u16, u16)) -> Option<Msg> {
        match store.focus.extent() {
            Some(OverlayExtent::Box) => {
                let count = rows.unsigned_abs() as usize;
                let step = if rows < 0 { ScrollStep::Back(count) } else { ScrollStep::Forward(count) };
                return self.apply(store, UiAction::ScrollOverlay(step));
            }
            Some(OverlayExtent::InputRow) => {}
            Some(OverlayExtent::Docked) | None => {
                let part = PanePart::at(&self.layout, at);
                if part.is_some_and(|part| self.panes.get_mut(part).wheel(store, rows)) {
                    return None;
                }
            }
        }
        self.panes.transcript.scroll(rows);
        None
    }

    /// Returns what a click asks for.
    pub fn click(&self, store: &Store, at: (u16, u16)) -> Option<Msg> {
        self.panes.get(PanePart::at(&self.layout, at)?).click(store, at).map(Msg::Action)
    }

    /// The button went down: what follows is for the part below the pointer.
    pub fn press(&mut self, store: &Store, at: (u16, u16)) {
        self.pressed = match store.focus.extent() {
            Some(OverlayExtent::Box) => None,
            Some(OverlayExtent::InputRow | OverlayExtent::Docked) | None => PanePart::at(&self.layout, at),
        };
        if let Some(part) = self.pressed {
            self.panes.get_mut(part).press(store, at);
        }
    }

    /// The pointer moved with the button down. Returns whether it selects something.
    pub fn drag(&mut self, store: &Store, at: (u16, u16)) -> bool {
        self.pressed.is_some_and(|part| self.panes.get_mut(part).drag(store, at))
    }

    /// The button went up; the answer is for the store.
    pub fn release(&mut self, store: &Store, at: (u16, u16)) -> Option<Msg> {
        let part = self.pressed.take()?;
        self.panes.get_mut(part).release(store, at).map(Msg::Action)
    }

    /// Goes round the panes that are on the screen; where one writes, one can always go.
    fn next_pane(&self, store: &Store, way: FocusDirection) -> Pane {
        let is_shown = |pane: &Pane| {
            *pane == Pane::Composer || self.panes.part(*pane).is_some_and(|part| !part.area(&self.layout).is_empty())
        };
        let panes: Vec<Pane> = Pane::all().filter(is_shown).collect();
        let at = panes.iter().position(|pane| *pane == store.focus.pane).unwrap_or(0);
        let steps = match way {
            FocusDirection::Next => 1,
            FocusDirection::Previous => panes.len().saturating_sub(1),
        };
        panes.get((at + steps) % panes.len().max(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::testkit::ui::dark_ui;
    use crate::ui::draw;

    fn drawn(width: u16, height: u16) -> (Store, Ui) {
        let (mut store, mut ui) = (Store::default(), dark_ui());
        // Without a call there is no tool panel.
        let event = crate::testkit::events::call_started("c1", "m1", Some("shell"));
        let envelope = crate::event::Envelope { seq: crate::event::Seq(1), at: crate::event::Millis(0), event };
        store.update(Msg::Event(envelope), &mut Vec::new());
        store.toast = None;
        let area = Rect::new(0, 0, width, height);
        draw(&store, &mut ui, area, &mut Buffer::empty(area));
        (store, ui)
    }

    #[test]
    fn focus_goes_round_what_is_on_the_screen() {
        let (composer, tools, transcript) = (Pane::Composer, Pane::ToolPanel, Pane::Transcript);
        let round = |width: u16, action| {
            let (mut store, mut ui) = drawn(width, 20);
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

    #[test]
    fn a_message_takes_its_rows_from_the_transcript_only() {
        for height in 0..40 {
            let at = |toast: Option<&str>| {
                let (mut store, mut ui) = drawn(80, height);
                store.toast = toast.map(|text| (crate::event::NoticeLevel::Info, text.to_owned()));
                let area = Rect::new(0, 0, 80, height);
                draw(&store, &mut ui, area, &mut Buffer::empty(area));
                PanePart::ALL.iter().map(|part| (*part, part.area(&ui.layout))).collect::<Vec<_>>()
            };
            let (without, with) = (at(None), at(Some(&"words ".repeat(20))));
            let rows = |parts: &[(PanePart, Rect)], wanted| {
                parts.iter().find(|(part, _)| *part == wanted).map_or(0, |(_, area)| area.height)
            };
            for (before, after) in without.iter().zip(&with) {
                let is_other = !matches!(before.0, PanePart::Transcript | PanePart::Toast);
                if is_other && !(before.1.is_empty() && after.1.is_empty()) {
                    assert_eq!(before, after, "{height}");
                }
            }
            let toast = rows(&with, PanePart::Toast);
            let most = rows(&without, PanePart::Transcript);
            assert_eq!(toast, most.min(if height < 16 { 1 } else { 2 }), "{height}");
            assert!(height < 2 || toast > 0, "{height}");
        }
    }

    #[test]
    fn the_usage_bar_goes_before_the_status_line() {
        let rows = |height| {
            let (_, ui) = drawn(80, height);
            [PanePart::Composer, PanePart::Activity, PanePart::UsageBar, PanePart::StatusLine]
                .map(|part| part.area(&ui.layout).height)
        };
        assert_eq!(rows(8), [1, 1, 1, 1]);
        assert_eq!(rows(7), [1, 1, 0, 1]);
        assert_eq!(rows(5), [1, 0, 0, 1]);
        assert_eq!(rows(2), [1, 0, 0, 0]);
    }
}
