//! What an input means: store and view in one hand, without terminal, clock or tasks.
//!
//! Not here: waiting and drawing (`mod.rs`), doing the effects (`effects.rs`). Invariants: an input reaches the store
//! as a message or the view as an action, never a pane; the store's clock is set before any key, so that a key typed
//! while an ask opens can't answer it.

use std::time::{Duration, Instant};

use crate::config::keys::{Chord, Keymap};
use crate::event::{Envelope, Level, Millis};
use crate::store::Store;
use crate::store::action::{Act, Action, Edit, UiAction};
use crate::store::effect::Effect;
use crate::store::focus::{Overlay, Pane};
use crate::store::msg::{Msg, Report};
use crate::ui::Ui;
use crate::ui::keymap::{Input, Shade, contexts};
use crate::ui::layout;
use crate::ui::theme::{Theme, ThemeKind};

/// Two presses within this time quit.
const TWICE: Duration = Duration::from_secs(2);
/// Characters of a paste that an overlay's field takes.
const FIELD: usize = 2000;

/// What only the loop can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Redraw,
    Suspend,
    Resize(u16, u16),
}

/// One session on the screen.
pub struct Chat {
    pub store: Store,
    pub ui: Ui,
    keymap: Keymap,
    /// What the store asked for since the loop looked last.
    pub effects: Vec<Effect>,
    /// The terminal said that it lost (false) or got the focus.
    pub focused: Option<bool>,
    quit_asked: Option<Instant>,
    composer_empty: bool,
}

impl Chat {
    pub fn new(store: Store, ui: Ui, keymap: Keymap) -> Self {
        Self { store, ui, keymap, effects: Vec::new(), focused: None, quit_asked: None, composer_empty: true }
    }

    pub fn update(&mut self, msg: Msg) {
        self.store.update(msg, &mut self.effects);
        self.settle();
    }

    /// Takes a fact of the past: it is shown like any other, but rings no bell.
    pub fn catch_up(&mut self, fact: Envelope) {
        self.update(Msg::Event(fact));
        self.effects.retain(|effect| *effect != Effect::Bell);
    }

    /// Takes one input at `now`, which is `clock` on the session's clock.
    pub fn input(&mut self, input: Input, now: Instant, clock: Millis) -> Option<Ask> {
        match input {
            Input::Key(chord) => {
                self.store.update(Msg::Tick(clock), &mut self.effects);
                // A word to the person has been read when they do the next thing.
                self.store.hint = None;
                let asked = self.quit_asked.take();
                let ask = self.key(chord, asked, now);
                self.settle();
                return ask;
            }
            Input::Paste(text) => self.paste(&text),
            Input::Resize(columns, rows) => {
                // A panel hidden beside the transcript must not come up over it.
                if layout::is_wide(columns) != layout::is_wide(self.ui.layout.area.width)
                    && self.store.focus.panel_flipped
                {
                    self.update(Msg::Do(Action::ToggleToolPanel));
                }
                return Some(Ask::Resize(columns, rows));
            }
            Input::Focus(focused) => self.focused = Some(focused),
            Input::Wheel { rows, column, row } => self.wheel(rows, (column, row)),
            Input::Click { column, row } => {
                if self.store.focus.top().is_none()
                    && let Some(pane) = self.ui.layout.pane((column, row))
                {
                    self.store.update(Msg::Do(Action::Focus(pane)), &mut self.effects);
                }
            }
            Input::Background(shade) => {
                self.ui.theme = Theme::new(match shade {
                    Shade::Dark => ThemeKind::Dark,
                    Shade::Light => ThemeKind::Light,
                });
            }
        }
        self.settle();
        None
    }

    fn key(&mut self, chord: Chord, asked: Option<Instant>, now: Instant) -> Option<Ask> {
        let contexts = contexts(&self.store, self.ui.composer.is_empty());
        match self.keymap.find(contexts, chord).map(|row| row.what) {
            Some(Act::Do(make)) => self.act(make()),
            Some(Act::View(UiAction::Suspend)) => return Some(Ask::Suspend),
            Some(Act::View(UiAction::Redraw)) => return Some(Ask::Redraw),
            Some(Act::View(UiAction::Interrupt)) => self.interrupt(asked, now),
            Some(Act::View(UiAction::Escape)) => self.escape(),
            Some(Act::View(UiAction::DeleteOrQuit)) => self.delete_or_quit(),
            // Where Shift+Enter can't be told from Enter.
            Some(Act::View(UiAction::Send)) if self.ui.composer.continue_line() => {}
            Some(Act::View(action)) => self.view(action),
            None => self.typed(chord),
        }
        None
    }

    /// A search that is left takes the reader back to where they were.
    fn act(&mut self, action: Action) {
        if action == Action::CloseOverlay && matches!(self.store.focus.top(), Some(Overlay::Search(_))) {
            self.ui.transcript.go_back();
        }
        self.store.update(Msg::Do(action), &mut self.effects);
    }

    /// Scrolls what is under the pointer; what lies on top lies under it everywhere.
    fn wheel(&mut self, rows: i32, at: (u16, u16)) {
        let (overlay, view) = match rows {
            ..0 => (Action::OverlayUp, UiAction::ScrollUp),
            _ => (Action::OverlayDown, UiAction::ScrollDown),
        };
        if self.store.focus.top().is_none() && self.ui.layout.pane(at) == Some(Pane::ToolPanel) {
            return self.ui.tools.wheel(&self.store, rows);
        }
        for _ in 0..rows.unsigned_abs() {
            match self.store.focus.top() {
                Some(Overlay::Search(_) | Overlay::Blocks) | None => self.view(view),
                Some(_) => self.store.update(Msg::Do(overlay.clone()), &mut self.effects),
            }
        }
    }

    fn view(&mut self, action: UiAction) {
        if let Some(msg) = self.ui.apply(&self.store, action) {
            self.store.update(msg, &mut self.effects);
        }
    }

    /// A key that no table knows is text, for whoever takes text.
    fn typed(&mut self, chord: Chord) {
        if matches!(self.store.focus.top(), Some(Overlay::Blocks)) {
            if let Some(code) = chord.typed().and_then(|letter| self.ui.transcript.pick(&self.store, letter)) {
                self.store.update(Msg::Do(Action::CopyCode(code)), &mut self.effects);
            }
        } else if self.store.focus.top().is_some() {
            if let Some(c) = chord.typed() {
                self.store.update(Msg::Do(Action::OverlayChar(c)), &mut self.effects);
            }
        } else if self.writes() {
            self.ui.composer.key(chord);
        }
    }

    fn paste(&mut self, text: &str) {
        if self.store.focus.is_typing() {
            for c in text.chars().filter(|c| !c.is_control()).take(FIELD) {
                self.store.update(Msg::Do(Action::OverlayChar(c)), &mut self.effects);
            }
        } else if self.store.focus.top().is_none() && self.writes() {
            self.ui.composer.paste(text);
        }
    }

    /// Tells whether what is typed belongs into the composer.
    fn writes(&self) -> bool {
        self.store.focus.pane == Pane::Composer && self.store.session.caps().prompt
    }

    /// Tells whether something runs that can be stopped; a turn in a replay can't.
    fn can_interrupt(&self) -> bool {
        self.store.session.caps().cancel && !self.store.session.phase.is_idle()
    }

    /// Closes what is open, else goes back to the composer, else interrupts; once more forces.
    fn escape(&mut self) {
        let action = if self.store.focus.top().is_some() {
            Action::CloseOverlay
        } else if self.ui.completion.is_open() {
            return self.ui.completion.close();
        } else if self.store.focus.pane != Pane::Composer {
            Action::Focus(Pane::Composer)
        } else if self.can_interrupt() {
            Action::Cancel
        } else {
            return;
        };
        self.act(action);
    }

    /// The draft goes to the history; without one the turn is interrupted; without that, twice quits.
    fn interrupt(&mut self, asked: Option<Instant>, now: Instant) {
        if self.store.focus.top().is_some_and(|top| !matches!(top, Overlay::Approval(_))) {
            self.escape();
        } else if !self.ui.composer.is_empty() {
            self.ui.composer.take();
        } else if self.can_interrupt() {
            self.store.update(Msg::Do(Action::Cancel), &mut self.effects);
        } else if asked.is_some_and(|asked| now.saturating_duration_since(asked) <= TWICE) {
            self.store.update(Msg::Do(Action::Quit), &mut self.effects);
        } else {
            self.quit_asked = Some(now);
            let key = self.keymap.hint("app.interrupt").unwrap_or_default();
            self.say(format!("{key} again to quit"));
        }
    }

    /// Returns when the offer to quit lapses, if one stands.
    pub fn lapses(&self) -> Option<Instant> {
        self.quit_asked.map(|asked| asked + TWICE)
    }

    /// The offer to quit has lapsed; so has what was said about it.
    pub fn lapse(&mut self) {
        if self.quit_asked.take().is_some() {
            self.store.hint = None;
        }
    }

    fn delete_or_quit(&mut self) {
        if self.ui.composer.is_empty() {
            self.store.update(Msg::Do(Action::Quit), &mut self.effects);
        } else {
            self.ui.composer.edit(Edit::Delete);
        }
    }

    /// Tells the store what came out while drawing.
    pub fn drawn(&mut self) {
        #[cfg(feature = "images")]
        if let Some(msg) = self.ui.wants() {
            self.update(msg);
        }
        if let Some(msg) = self.ui.drawn(&self.store) {
            self.update(msg);
        }
    }

    pub fn say(&mut self, text: String) {
        self.store.update(Msg::Report(Report::Said(text)), &mut self.effects);
    }

    /// Shows what the person should know before they begin.
    pub fn warn(&mut self, warnings: &[String]) {
        if !warnings.is_empty() {
            self.store.hint = Some((Level::Warn, warnings.join("; ")));
        }
    }

    /// Gives back a text that could not be sent, or that was taken back, before what is being written.
    pub fn put_back(&mut self, text: &str) {
        let draft = self.ui.composer.text();
        if draft.is_empty() {
            self.ui.composer.set_text(text);
        } else {
            self.ui.composer.set_text(&format!("{text}\n{draft}"));
        }
    }

    /// Store and composer tell each other what the other has to know.
    fn settle(&mut self) {
        if let Some(text) = self.store.taken_back.take() {
            self.put_back(&text);
        }
        let empty = self.ui.composer.is_empty();
        if empty != self.composer_empty {
            self.composer_empty = empty;
            self.store.update(Msg::Do(Action::ComposerChanged { empty }), &mut self.effects);
        }
    }
}

#[cfg(test)]
mod tests;
