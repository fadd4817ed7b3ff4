//! What an input means: store and view in one hand, without terminal, clock or tasks.
//!
//! Not here: waiting and drawing (`mod.rs`), doing the effects (`effects.rs`). Invariants: an input reaches the store
//! as a message or the view as an action, never a pane; the store's clock is set before any key, so that a key typed
//! while an ask opens can't answer it.

mod line_input;
mod mouse;
mod pending_keys;
mod quitting;
mod stray_typing;
mod toast_timer;
mod vim_keys;

use std::time::{Duration, Instant};

use self::stray_typing::StrayTyping;
use self::toast_timer::ToastTimer;
use crate::config::UiConfig;
use crate::config::keys::{Chord, Key, Keymap};
use crate::event::{Command, Envelope, Millis, NoticeLevel, PromptContext, PromptContextKind};
use crate::store::action::{Action, Edit, UiAction};
use crate::store::action_table::ActionHandler;
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::msg::{Msg, Report};
use crate::store::overlay::OverlayExtent;
use crate::store::overlay::approval::ApprovalDialog;
use crate::store::overlay::code_picker::CodePicker;
use crate::store::pane::Pane;
use crate::store::prompt_images::image_label;
use crate::store::search::Search;
use crate::store::session::OpenedSession;
use crate::store::{Store, StoreOptions};
use crate::text::one_line;
use crate::ui::Ui;
use crate::ui::keymap::{Input, Shade, contexts};
use crate::ui::layout;

/// Two presses within this time quit.
const DOUBLE_PRESS_TIMEOUT: Duration = Duration::from_secs(2);
/// Characters of a paste that an overlay's field takes.
const MAX_FIELD_PASTE_CHARS: usize = 2000;
/// Cells of a path in a message.
const MAX_SHOWN_PATH_CELLS: usize = 80;

/// What only the loop can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopRequest {
    Redraw,
    Suspend,
    EditDraft,
    Resize(u16, u16),
}

/// One session on the screen.
pub struct ChatController {
    pub store: Store,
    pub ui: Ui,
    keymap: Keymap,
    /// What the store asked for since the loop looked last.
    pub effects: Vec<Effect>,
    /// What the store asked the view for, until the key that caused it was handled.
    view_actions: Vec<UiAction>,
    quit_requested_at: Option<Instant>,
    /// When Escape was pressed with nothing to close or to stop.
    escaped_at: Option<Instant>,
    /// Text came into the composer that nobody typed.
    has_restored_text: bool,
    stray_typing: StrayTyping,
    toast_timer: ToastTimer,
    /// What was pressed of a sequence of keys.
    pending_keys: Vec<Chord>,
    /// The person was told how the terminal selects.
    has_told_of_shift: bool,
}

impl ChatController {
    pub fn new(store: Store, ui: Ui, keymap: Keymap) -> Self {
        Self {
            store,
            ui,
            keymap,
            effects: Vec::new(),
            view_actions: Vec::new(),
            quit_requested_at: None,
            escaped_at: None,
            has_restored_text: false,
            stray_typing: StrayTyping::default(),
            toast_timer: ToastTimer::default(),
            pending_keys: Vec::new(),
            has_told_of_shift: false,
        }
    }

    /// Returns what shows another session beside this one, set as the person has set it here.
    #[must_use]
    pub fn beside(&self, options: StoreOptions, config: &UiConfig) -> Self {
        let mut ui = Ui::new(config, self.ui.theme, &self.keymap);
        ui.themes = self.ui.themes;
        let mut other = Self::new(Store::beside(&self.store, options), ui, self.keymap.clone());
        other.has_told_of_shift = self.has_told_of_shift;
        other
    }

    /// Another session is shown from now on.
    pub fn leave(&mut self) {
        self.quit_requested_at = None;
        self.pending_keys.clear();
        self.show_pending_keys();
        self.stray_typing = StrayTyping::default();
        self.update(Msg::Looking(false));
    }

    /// This session is shown from now on, after another. What belongs to the person or the terminal comes along, and an
    /// ask takes no answer until it was seen: the last key was for the other.
    pub fn enter(&mut self, left: &Self, clock: Millis) {
        (self.ui.theme, self.ui.themes) = (left.ui.theme, left.ui.themes);
        self.ui.panes.transcript.utc_offset_secs = left.ui.panes.transcript.utc_offset_secs;
        self.ui.panes.composer.adopt_history(&left.ui.panes.composer);
        self.store.adopt_common(&left.store);
        self.toast_timer.forget();
        self.dispatch(Msg::Tick(clock));
        self.dispatch(Msg::Looking(true));
        self.store.update(Msg::KeyPressed(clock), &mut self.effects);
        self.offer_approval();
    }

    /// Other keys hold from now on.
    pub fn set_keymap(&mut self, keymap: Keymap) {
        self.pending_keys.clear();
        self.ui.set_keymap(&keymap);
        self.keymap = keymap;
        self.show_pending_keys();
    }

    pub fn update(&mut self, msg: Msg) {
        self.dispatch(msg);
        self.offer_approval();
    }

    /// Tells the store. Whoever sends something wants to see it, and so the end, wherever they were reading: a prompt,
    /// sent or queued, or a command that is answered in the transcript.
    fn dispatch(&mut self, msg: Msg) {
        let (before, submitted) =
            (self.effects.len(), matches!(msg, Msg::Action(Action::Submit(_) | Action::Steer(_))));
        self.store.update(msg, &mut self.effects);
        let is_sent = |effect: &Effect| match effect {
            Effect::Send(Command::Prompt { .. } | Command::Steer { .. }) | Effect::RunCommand(_) => true,
            Effect::Send(_) => submitted,
            _ => false,
        };
        if self.effects.iter().skip(before).any(is_sent) {
            self.ui.panes.transcript.to_end();
            self.close_covering_panel();
        }
        // At once, for the next key may be text that stands behind it.
        for effect in self.effects.split_off(before) {
            match effect {
                Effect::Composer(edit) => self.edit_composer(edit),
                Effect::View(action) => self.view_actions.push(action),
                effect => self.effects.push(effect),
            }
        }
    }

    /// Shows the panes that there are by default.
    fn reset_panes(&mut self) {
        for pane in self.store.focus.toggled_panes.clone() {
            self.store.update(Msg::Action(Action::TogglePane(pane)), &mut self.effects);
        }
    }

    /// Puts a pane away that lies over the transcript.
    fn close_covering_panel(&mut self) {
        if !layout::is_wide(self.ui.layout.area.width) {
            let hint = self.store.toast.take();
            self.reset_panes();
            self.store.toast = hint;
        }
    }

    /// Takes a fact of the past: it is shown like any other, but calls nobody.
    pub fn catch_up(&mut self, fact: Envelope) {
        self.update(Msg::Event(fact));
        self.effects.retain(|effect| !matches!(effect, Effect::Notify(_)));
    }

    /// Takes one input at `now`, which is `clock` on the session's clock.
    pub fn input(&mut self, input: Input, now: Instant, clock: Millis) -> Option<LoopRequest> {
        match input {
            Input::Key(chord) => {
                self.ui.panes.transcript.clear_selection();
                self.dispatch(Msg::Tick(clock));
                let asked = self.quit_requested_at.take();
                if chord != Chord::plain(Key::Esc) {
                    self.escaped_at = None;
                }
                // A word to the person has been read when they do the next thing; who only types on may not have seen it.
                if asked.is_some() || chord.typed_char().is_none() {
                    self.store.toast = None;
                    self.toast_timer.forget();
                }
                let mut ask = self.handle_key(chord, asked, now);
                for action in std::mem::take(&mut self.view_actions) {
                    ask = self.handle_ui_action(action, &chord.display_name(), asked, now).or(ask);
                }
                self.show_pending_keys();
                self.offer_approval();
                self.store.update(Msg::KeyPressed(clock), &mut self.effects);
                return ask;
            }
            Input::Paste(text) => {
                self.store.update(Msg::Tick(clock), &mut self.effects);
                self.flush_sequence(now);
                self.paste(&text);
                self.store.update(Msg::KeyPressed(clock), &mut self.effects);
            }
            Input::Resize(columns, rows) => {
                // A panel hidden beside the transcript must not come up over it.
                if layout::is_wide(columns) != layout::is_wide(self.ui.layout.area.width) {
                    self.reset_panes();
                }
                return Some(LoopRequest::Resize(columns, rows));
            }
            // The loop's: it decides who is called.
            Input::Focus(_) => {}
            Input::Wheel { rows, column, row } => self.wheel(rows, (column, row)),
            Input::Click { column, row } => {
                self.flush_sequence(now);
                self.click((column, row), clock);
            }
            Input::Drag { column, row } => self.drag((column, row)),
            Input::Release { column, row } => self.release((column, row)),
            Input::Background(shade) => {
                self.ui.theme = self.ui.themes.on(shade == Shade::Light);
            }
        }
        self.offer_approval();
        None
    }

    /// Does what a key means that belongs to no sequence.
    fn handle_single_key(&mut self, chord: Chord, asked: Option<Instant>, now: Instant) -> Option<LoopRequest> {
        if self.handle_approval_key(chord) {
            return None;
        }
        let what = self.keymap.find(&self.key_contexts(), chord).map(|row| row.handler);
        if self.handle_stray_char(chord, what, now) {
            return None;
        }
        if let Some(what) = what {
            return self.run_handler(what, &chord.display_name(), asked, now);
        }
        self.type_chord(chord);
        None
    }

    /// Does what was asked for by these keys.
    fn run_handler(
        &mut self,
        what: ActionHandler,
        keys: &str,
        asked: Option<Instant>,
        now: Instant,
    ) -> Option<LoopRequest> {
        match what {
            ActionHandler::Store(make) if make() == Action::Quit => self.quit(keys, asked, now),
            ActionHandler::Store(make) => self.run_action(make()),
            ActionHandler::View(action) => return self.handle_ui_action(action, keys, asked, now),
        }
        None
    }

    fn handle_ui_action(
        &mut self,
        action: UiAction,
        keys: &str,
        asked: Option<Instant>,
        now: Instant,
    ) -> Option<LoopRequest> {
        match action {
            UiAction::Suspend => return Some(LoopRequest::Suspend),
            UiAction::Redraw => return Some(LoopRequest::Redraw),
            UiAction::EditDraft if self.store.session.capabilities().prompt => return Some(LoopRequest::EditDraft),
            UiAction::Interrupt => self.interrupt(asked, now),
            UiAction::Escape => self.escape(keys, now),
            UiAction::DeleteOrQuit if self.ui.panes.composer.is_empty() => self.quit(keys, asked, now),
            UiAction::DeleteOrQuit => self.ui.panes.composer.edit(Edit::Delete),
            UiAction::Send if self.ui.panes.composer.is_empty() && self.store.session.status.queue_held => {
                self.run_action(Action::SendQueued);
            }
            // Where Shift+Enter can't be told from Enter.
            UiAction::Send if self.ui.panes.composer.continue_line() => {}
            action => self.run_ui_action(action),
        }
        None
    }

    /// Takes a key over an ask that could answer by accident: a character is text first, whatever it is bound to, and
    /// Enter never selects and answers at once.
    fn handle_approval_key(&mut self, chord: Chord) -> bool {
        let Some(approval) = self.store.focus.top_as::<ApprovalDialog>() else { return false };
        if self.store.focus.is_typing() {
            return false;
        }
        let (docked, selected) = (approval.is_docked(), approval.selected.is_some());
        let found = self.keymap.find(&contexts(&self.store, true), chord).map(|row| row.handler);
        let (choice, step) = match found {
            Some(ActionHandler::Store(make)) => match make() {
                Action::Choose(choice) => (Some(choice), None),
                Action::DecideHunk(step) => (None, Some(step)),
                _ => (None, None),
            },
            _ => (None, None),
        };
        match (chord.typed_char(), found) {
            // In a pane that the person went to, its letters go on moving it.
            (Some(_), Some(ActionHandler::View(action)))
                if docked && self.store.focus.pane != Pane::Composer && action.is_movement() =>
            {
                self.run_ui_action(action);
            }
            (Some(c), _) => self.dispatch(Msg::Action(Action::ApprovalTyped { c, choice, step })),
            (None, _) if choice.is_some() && selected && chord == Chord::plain(Key::Enter) => {
                self.run_action(Action::OverlayAccept);
            }
            (None, _) => return false,
        }
        true
    }

    /// A search that is left takes the reader back to where they were.
    fn run_action(&mut self, action: Action) {
        if action == Action::CloseOverlay && self.store.focus.top_as::<Search>().is_some() {
            self.ui.panes.transcript.return_to_search_start();
        }
        self.dispatch(Msg::Action(action));
    }

    fn run_ui_action(&mut self, action: UiAction) {
        if action == UiAction::ScrollEnd {
            self.dispatch(Msg::NewSeen);
        }
        if let Some(msg) = self.ui.apply(&self.store, action) {
            self.dispatch(msg);
        }
    }

    /// A key that no table knows is text, for whoever takes text.
    fn type_chord(&mut self, chord: Chord) {
        if self.store.focus.top_as::<CodePicker>().is_some() {
            if let Some(code) =
                chord.typed_char().and_then(|letter| self.ui.panes.transcript.picked_code(&self.store, letter))
            {
                self.dispatch(Msg::Action(Action::CopyCode(code)));
            }
        } else if self.store.focus.top().is_some() {
            if let Some(c) = chord.typed_char() {
                self.dispatch(Msg::Action(Action::OverlayChar(c)));
            }
        } else if self.is_composing() || self.is_commanding(chord) {
            self.ui.panes.composer.type_chord(chord);
        }
    }

    /// Tells whether a key goes on with a command, or begins one, where no prompts are taken.
    fn is_commanding(&self, chord: Chord) -> bool {
        let is_begun = !self.ui.panes.composer.is_empty();
        self.store.focus.pane == Pane::Composer && (is_begun || chord.typed_char() == Some('/'))
    }

    fn paste(&mut self, text: &str) {
        if self.store.focus.is_typing() {
            for c in text.chars().filter(|c| !c.is_control()).take(MAX_FIELD_PASTE_CHARS) {
                self.dispatch(Msg::Action(Action::OverlayChar(c)));
            }
        } else if self.store.session.capabilities().prompt {
            self.write_to_composer(text);
        }
    }

    /// Takes a paste that is the path of a file that there is: in a prompt it is mentioned, and an image is a chip.
    pub fn drop_file(&mut self, path: &str, paste: &str, read: Result<Option<PromptContext>, String>) {
        self.leave_sequence();
        self.show_pending_keys();
        if !self.store.focus.is_typing() && !matches!(read, Ok(None)) && self.is_writing_prompt() {
            return self.attach_file(path, read, false);
        }
        let mention = self.ui.panes.composer.mention_of(path).filter(|_| !self.store.focus.is_typing());
        self.paste(mention.as_deref().unwrap_or(paste));
    }

    /// Puts a file into the prompt that is being written: an image as a chip, anything else as a mention. `read` is what
    /// came of reading it.
    pub fn attach_file(&mut self, path: &str, read: Result<Option<PromptContext>, String>, images_only: bool) {
        let shown = one_line(path, MAX_SHOWN_PATH_CELLS);
        match read {
            Ok(Some(PromptContext { kind: PromptContextKind::Image(image), name, .. })) => {
                self.insert_into_composer(|composer| composer.insert_image(&image_label(&name, &image), path));
                let session = &self.store.session;
                if !session.capabilities().images {
                    let name = session.opened.as_ref().map_or_else(String::new, OpenedSession::name);
                    self.show_toast(format!("{name} takes no images: choose another model before you send it"));
                }
            }
            Ok(_) if images_only => self.show_toast(format!("{shown}: not a PNG, JPEG, GIF or WebP image")),
            Ok(_) => {
                let mention = self.ui.panes.composer.mention_of(path);
                self.write_to_composer(mention.as_deref().unwrap_or(path));
            }
            Err(why) => self.show_toast(format!("{shown}: {why}")),
        }
    }

    /// Tells whether what is typed belongs into the composer.
    fn is_composing(&self) -> bool {
        self.store.focus.pane == Pane::Composer && self.store.session.capabilities().prompt
    }

    /// Tells whether what is in the composer is no command.
    fn is_writing_prompt(&self) -> bool {
        self.store.session.capabilities().prompt && self.ui.panes.composer.mention_of("x").is_some()
    }

    /// Tells whether something runs that can be stopped; a turn in a replay can't.
    fn can_interrupt(&self) -> bool {
        self.store.session.capabilities().cancel && !self.store.session.phase.is_idle()
    }

    /// Closes what is open, else goes back to the composer, else interrupts; once more forces.
    fn escape(&mut self, keys: &str, now: Instant) {
        let action = if self.store.focus.top().is_some() {
            Action::CloseOverlay
        } else if self.ui.panes.composer.completion.is_open() {
            return self.ui.panes.composer.completion.close();
        } else if self.store.focus.pane != Pane::Composer {
            Action::Focus(Pane::Composer)
        } else if self.store.person_runs.is_running() {
            Action::StopRun
        } else if self.can_interrupt() {
            Action::Cancel
        } else if self.store.person_runs.offered() > 0 {
            Action::DropContext
        } else {
            return self.offer_rewind(keys, now);
        };
        self.escaped_at = None;
        self.run_action(action);
    }

    /// Twice, with nothing to close or to stop and nothing written, lists the prompts to go back to.
    fn offer_rewind(&mut self, keys: &str, now: Instant) {
        let again = self.escaped_at.take();
        if !self.ui.panes.composer.is_empty() || !self.store.can_rewind() {
            return;
        }
        if again.is_some_and(|before| now.saturating_duration_since(before) <= DOUBLE_PRESS_TIMEOUT) {
            return self.run_action(Action::OpenRewind);
        }
        self.escaped_at = Some(now);
        self.show_toast(format!("{keys} again to go back to a prompt"));
    }

    /// The draft goes to the history; without one the turn is interrupted; without that, twice quits.
    fn interrupt(&mut self, asked: Option<Instant>, now: Instant) {
        if self.store.focus.extent().is_some_and(|extent| extent != OverlayExtent::Docked) {
            self.escape("", now);
        } else if !self.ui.panes.composer.is_empty() {
            self.ui.panes.composer.take();
        } else if self.store.person_runs.is_running() {
            self.dispatch(Msg::Action(Action::StopRun));
        } else if self.can_interrupt() {
            if self.store.focus.docked_approval().is_some() && !self.store.focus.is_typing() {
                self.dispatch(Msg::Action(Action::OverlayBackspace));
            }
            self.dispatch(Msg::Action(Action::Cancel));
        } else if asked.is_some_and(|asked| now.saturating_duration_since(asked) <= DOUBLE_PRESS_TIMEOUT) {
            self.dispatch(Msg::Action(Action::Quit));
        } else {
            self.quit_requested_at = Some(now);
            let key = self.keymap.key_for("app.interrupt").unwrap_or_default();
            self.show_toast(format!("{key} again to quit"));
        }
    }

    /// Sees what is said to the person now, to take it away in time.
    pub fn track_toast(&mut self, now: Instant) {
        self.toast_timer.track(&self.store.toast, now);
    }

    /// Returns when the offer to quit lapses, or a message leaves; whatever is first.
    pub fn next_expiry(&self) -> Option<Instant> {
        let quit = self.quit_requested_at.map(|asked| asked + DOUBLE_PRESS_TIMEOUT);
        [quit, self.toast_timer.expires_at()].into_iter().flatten().min()
    }

    /// What has stood long enough goes; with the offer to quit what was said about it.
    pub fn expire(&mut self, now: Instant) {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        if is_over(self.quit_requested_at.map(|asked| asked + DOUBLE_PRESS_TIMEOUT)) {
            self.quit_requested_at = None;
        } else if !is_over(self.toast_timer.expires_at()) {
            return;
        }
        self.store.toast = None;
        self.toast_timer.forget();
    }

    /// Tells the store what came out while drawing.
    pub fn after_draw(&mut self) {
        for msg in self.ui.after_draw(&self.store) {
            self.update(msg);
        }
    }

    pub fn show_toast(&mut self, text: String) {
        self.dispatch(Msg::Report(Report::Info(text)));
    }

    /// Shows what the person should know before they begin.
    pub fn show_warnings(&mut self, warnings: &[String]) {
        if !warnings.is_empty() {
            self.store.toast = Some((NoticeLevel::Warn, warnings.join("; ")));
        }
    }

    /// Gives back a text that could not be sent, or that was taken back, before what is being written.
    pub fn restore_text(&mut self, text: &str) {
        self.has_restored_text = true;
        let draft = self.ui.panes.composer.text();
        if draft.is_empty() {
            self.ui.panes.composer.set_text(text);
        } else {
            self.ui.panes.composer.set_text(&format!("{text}\n{draft}"));
        }
    }

    /// Returns whether text came into the composer since the last look that nobody typed.
    pub fn take_has_restored_text(&mut self) -> bool {
        std::mem::take(&mut self.has_restored_text)
    }

    /// Does what the store asks of the composer.
    pub fn edit_composer(&mut self, edit: ComposerEdit) {
        match edit {
            ComposerEdit::Restore(text) => self.restore_text(&text),
            ComposerEdit::RestoreUnanswered(prompt) => {
                let where_to = if self.ui.panes.composer.is_empty() {
                    self.restore_text(&prompt);
                    "the prompt is back in the composer"
                } else {
                    "Up brings the prompt back"
                };
                self.store.toast = Some((NoticeLevel::Warn, format!("no response: {where_to}")));
            }
            ComposerEdit::Recall(text) => {
                self.has_restored_text = true;
                self.ui.panes.composer.recall(&text);
            }
            ComposerEdit::Insert(text) => {
                self.has_restored_text = true;
                self.ui.panes.composer.enter_insert_mode();
                for c in text.chars() {
                    self.ui.panes.composer.type_chord(Chord::plain(Key::Char(c)));
                }
            }
        }
    }

    /// Lets an ask that waits open, but never over something the person is doing.
    fn offer_approval(&mut self) {
        if self.ui.panes.composer.is_empty() {
            self.store.update(Msg::OfferApproval, &mut self.effects);
        }
    }
}

#[cfg(test)]
mod tests;
