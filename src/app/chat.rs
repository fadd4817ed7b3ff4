//! What an input means: store and view in one hand, without terminal, clock or tasks.
//!
//! Not here: waiting and drawing (`mod.rs`), doing the effects (`effects.rs`). Invariants: an input reaches the store
//! as a message or the view as an action, never a pane; the store's clock is set before any key, so that a key typed
//! while an ask opens can't answer it.

mod message;
mod mouse;
mod quitting;
mod stray;

use std::time::{Duration, Instant};

use self::message::Message;
use self::stray::Stray;
use crate::config::keys::{Chord, Key, Keymap};
use crate::event::{Command, Envelope, Level, Millis};
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
    /// Text came into the composer that nobody typed.
    given_back: bool,
    stray: Stray,
    message: Message,
}

impl Chat {
    pub fn new(store: Store, ui: Ui, keymap: Keymap) -> Self {
        Self {
            store,
            ui,
            keymap,
            effects: Vec::new(),
            focused: None,
            quit_asked: None,
            composer_empty: true,
            given_back: false,
            stray: Stray::default(),
            message: Message::default(),
        }
    }

    pub fn update(&mut self, msg: Msg) {
        self.tell(msg);
        self.settle();
    }

    /// Tells the store. Whoever sends something wants to see it, and so the end, wherever they were reading: a prompt,
    /// sent or queued, or a command that is answered in the transcript.
    fn tell(&mut self, msg: Msg) {
        let (before, submitted) = (self.effects.len(), matches!(msg, Msg::Do(Action::Submit(_))));
        self.store.update(msg, &mut self.effects);
        let is_sent = |effect: &Effect| match effect {
            Effect::Send(Command::Prompt { .. }) => true,
            Effect::Send(_) => submitted,
            _ => false,
        };
        if self.effects.iter().skip(before).any(is_sent) {
            self.ui.transcript.to_end();
            self.uncover();
        }
    }

    /// Puts a tool panel away that lies over the transcript.
    fn uncover(&mut self) {
        if self.store.focus.panel_flipped && !layout::is_wide(self.ui.layout.area.width) {
            let hint = self.store.hint.take();
            self.store.update(Msg::Do(Action::ToggleToolPanel), &mut self.effects);
            self.store.hint = hint;
        }
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
                self.tell(Msg::Tick(clock));
                let asked = self.quit_asked.take();
                // A word to the person has been read when they do the next thing; who only types on may not have seen it.
                if asked.is_some() || chord.typed().is_none() {
                    self.store.hint = None;
                    self.message.forget();
                }
                let ask = self.key(chord, asked, now);
                self.settle();
                self.store.update(Msg::Pressed(clock), &mut self.effects);
                return ask;
            }
            Input::Paste(text) => {
                self.store.update(Msg::Tick(clock), &mut self.effects);
                self.paste(&text);
                self.store.update(Msg::Pressed(clock), &mut self.effects);
            }
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
            Input::Click { column, row } => self.click((column, row), clock),
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
        if self.over_approval(chord) {
            return None;
        }
        let contexts = contexts(&self.store, self.ui.composer.is_empty());
        let what = self.keymap.find(contexts, chord).map(|row| row.what);
        if self.strays(chord, what, now) {
            return None;
        }
        match what {
            Some(Act::Do(make)) if make() == Action::Quit => self.quit(chord, asked, now),
            Some(Act::Do(make)) => self.act(make()),
            Some(Act::View(UiAction::Suspend)) => return Some(Ask::Suspend),
            Some(Act::View(UiAction::Redraw)) => return Some(Ask::Redraw),
            Some(Act::View(UiAction::Interrupt)) => self.interrupt(asked, now),
            Some(Act::View(UiAction::Escape)) => self.escape(),
            Some(Act::View(UiAction::DeleteOrQuit)) if self.ui.composer.is_empty() => self.quit(chord, asked, now),
            Some(Act::View(UiAction::DeleteOrQuit)) => self.ui.composer.edit(Edit::Delete),
            Some(Act::View(UiAction::Send)) if self.ui.composer.is_empty() && self.store.session.weather.held => {
                self.act(Action::SendQueued);
            }
            // Where Shift+Enter can't be told from Enter.
            Some(Act::View(UiAction::Send)) if self.ui.composer.continue_line() => {}
            Some(Act::View(action)) => self.view(action),
            None => self.typed(chord),
        }
        None
    }

    /// Takes a key over an ask that could answer by accident: a character is text first, whatever it is bound to, and
    /// Enter never selects and answers at once.
    fn over_approval(&mut self, chord: Chord) -> bool {
        let Some(approval) = self.store.focus.approval() else { return false };
        if self.store.focus.is_typing() {
            return false;
        }
        let (docked, selected) = (approval.is_docked(), approval.selected.is_some());
        let found = self.keymap.find(contexts(&self.store, true), chord).map(|row| row.what);
        let choice = match found {
            Some(Act::Do(make)) => match make() {
                Action::Choose(choice) => Some(choice),
                _ => None,
            },
            _ => None,
        };
        match (chord.typed(), found) {
            // In a pane that the person went to, its letters go on moving it.
            (Some(_), Some(Act::View(action)))
                if docked && self.store.focus.pane != Pane::Composer && action.only_moves() =>
            {
                self.view(action);
            }
            (Some(c), _) => self.tell(Msg::Do(Action::ApprovalTyped { c, choice })),
            (None, _) if choice.is_some() && selected && chord == Chord::plain(Key::Enter) => {
                self.act(Action::OverlayAccept);
            }
            (None, _) => return false,
        }
        true
    }

    /// A search that is left takes the reader back to where they were.
    fn act(&mut self, action: Action) {
        if action == Action::CloseOverlay && matches!(self.store.focus.top(), Some(Overlay::Search(_))) {
            self.ui.transcript.go_back();
        }
        // Beside an ask the transcript is read, also from a field.
        match action {
            Action::OverlayPageUp if self.store.focus.docked().is_some() => self.view(UiAction::PageUp),
            Action::OverlayPageDown if self.store.focus.docked().is_some() => self.view(UiAction::PageDown),
            action => self.tell(Msg::Do(action)),
        }
    }

    fn view(&mut self, action: UiAction) {
        if let Some(msg) = self.ui.apply(&self.store, action) {
            self.tell(msg);
        }
    }

    /// A key that no table knows is text, for whoever takes text.
    fn typed(&mut self, chord: Chord) {
        if matches!(self.store.focus.top(), Some(Overlay::Blocks)) {
            if let Some(code) = chord.typed().and_then(|letter| self.ui.transcript.pick(&self.store, letter)) {
                self.tell(Msg::Do(Action::CopyCode(code)));
            }
        } else if self.store.focus.top().is_some() {
            if let Some(c) = chord.typed() {
                self.tell(Msg::Do(Action::OverlayChar(c)));
            }
        } else if self.writes() {
            self.ui.composer.key(chord);
        }
    }

    fn paste(&mut self, text: &str) {
        if self.store.focus.is_typing() {
            for c in text.chars().filter(|c| !c.is_control()).take(FIELD) {
                self.tell(Msg::Do(Action::OverlayChar(c)));
            }
        } else if self.store.focus.approval().is_some() && self.store.session.caps().prompt {
            self.tell(Msg::Do(Action::StepBack));
            self.settle();
            self.ui.composer.paste(text);
        } else if self.store.session.caps().prompt {
            self.write(text);
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
        if self.store.focus.top().is_some_and(|top| !matches!(top, Overlay::Approval(approval) if approval.is_docked()))
        {
            self.escape();
        } else if !self.ui.composer.is_empty() {
            self.ui.composer.take();
        } else if self.can_interrupt() {
            if self.store.focus.docked().is_some() && !self.store.focus.is_typing() {
                self.tell(Msg::Do(Action::OverlayBackspace));
            }
            self.tell(Msg::Do(Action::Cancel));
        } else if asked.is_some_and(|asked| now.saturating_duration_since(asked) <= TWICE) {
            self.tell(Msg::Do(Action::Quit));
        } else {
            self.quit_asked = Some(now);
            let key = self.keymap.hint("app.interrupt").unwrap_or_default();
            self.say(format!("{key} again to quit"));
        }
    }

    /// Sees what is said to the person now, to take it away in time.
    pub fn follow_message(&mut self, now: Instant) {
        self.message.follow(&self.store.hint, now);
    }

    /// Returns when the offer to quit lapses, or a message leaves; whatever is first.
    pub fn lapses(&self) -> Option<Instant> {
        let quit = self.quit_asked.map(|asked| asked + TWICE);
        [quit, self.message.until()].into_iter().flatten().min()
    }

    /// What has stood long enough goes; with the offer to quit what was said about it.
    pub fn lapse(&mut self, now: Instant) {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        if is_over(self.quit_asked.map(|asked| asked + TWICE)) {
            self.quit_asked = None;
        } else if !is_over(self.message.until()) {
            return;
        }
        self.store.hint = None;
        self.message.forget();
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
        self.tell(Msg::Report(Report::Said(text)));
    }

    /// Shows what the person should know before they begin.
    pub fn warn(&mut self, warnings: &[String]) {
        if !warnings.is_empty() {
            self.store.hint = Some((Level::Warn, warnings.join("; ")));
        }
    }

    /// Gives back a text that could not be sent, or that was taken back, before what is being written.
    pub fn put_back(&mut self, text: &str) {
        self.given_back = true;
        let draft = self.ui.composer.text();
        if draft.is_empty() {
            self.ui.composer.set_text(text);
        } else {
            self.ui.composer.set_text(&format!("{text}\n{draft}"));
        }
    }

    /// Returns whether text came into the composer since the last look that nobody typed.
    pub fn take_given_back(&mut self) -> bool {
        std::mem::take(&mut self.given_back)
    }

    /// Store and composer tell each other what the other has to know.
    fn settle(&mut self) {
        if let Some(text) = self.store.taken_back.take() {
            self.put_back(&text);
        }
        for c in std::mem::take(&mut self.store.written).chars() {
            self.given_back = true;
            self.ui.composer.key(Chord::plain(Key::Char(c)));
        }
        let empty = self.ui.composer.is_empty();
        if empty != self.composer_empty {
            self.composer_empty = empty;
            self.tell(Msg::Do(Action::ComposerChanged { empty }));
        }
    }
}

#[cfg(test)]
mod tests;
