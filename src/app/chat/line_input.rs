//! What a key means where only lines are typed: what lies on top of the store is answered by a line and takes no keys.
//!
//! The same guard as over a question on a screen holds: an answer counts only if its line was begun
//! [`ANSWER_GUARD_TIME`] after the question was printed. A line that is no answer is a prompt, and waits.

use std::time::Instant;

use super::{ChatController, LoopRequest};
use crate::config::keys::{Chord, Key};
use crate::event::{Millis, NoticeLevel};
use crate::store::action::{Action, Context};
use crate::store::action_table::ActionHandler;
use crate::store::approval::{ApprovalChoice, HunkStep};
use crate::store::msg::Msg;
use crate::store::overlay::approval::{ANSWER_GUARD_TIME, ApprovalDialog, ApprovalInput};
use crate::store::overlay::title::TitleField;
use crate::store::pane::Pane;
use crate::ui::keymap::Input;

const TOO_EARLY_HINT: &str = "that line was begun before the question could be read: type the number again";

/// What an answered question takes.
enum LineAnswer {
    Choice(ApprovalChoice),
    /// For the field that is open; none leaves it as it is.
    Field(Option<String>),
    Hunk(HunkStep),
    /// A note on the hunk that is shown.
    HunkNote(String),
    ApplyHunks,
    LeaveHunks,
    TooEarly,
    Unknown(String),
    Prompt,
}

impl ChatController {
    /// Takes an input; `begun` is when the line in the composer was begun.
    pub fn line_input(
        &mut self,
        input: Input,
        begun: Option<Millis>,
        now: Instant,
        clock: Millis,
    ) -> Option<LoopRequest> {
        let is_asked = self.store.focus.top().is_some();
        match input {
            Input::Key(chord) if is_asked => {
                self.dispatch(Msg::Tick(clock));
                let request = self.line_key(chord, begun.unwrap_or(clock), now, clock);
                self.offer_approval();
                request
            }
            Input::Paste(text) if is_asked => {
                self.ui.panes.composer.paste(&text);
                None
            }
            // There is nothing to point at.
            Input::Click { .. } | Input::Drag { .. } | Input::Release { .. } | Input::Wheel { .. } => None,
            // A line feed ends a line, as Enter does.
            Input::Key(chord) if is_control(chord, 'j') => self.input(Input::Key(Chord::plain(Key::Enter)), now, clock),
            input => self.input(input, now, clock),
        }
    }

    fn line_key(&mut self, chord: Chord, begun: Millis, now: Instant, clock: Millis) -> Option<LoopRequest> {
        let asked = self.quit_requested_at.take();
        let is_approval = self.store.focus.top_as::<ApprovalDialog>().is_some();
        if chord == Chord::plain(Key::Enter) || is_control(chord, 'j') {
            if self.ui.panes.composer.continue_line() {
                return None;
            }
            let line = self.ui.panes.composer.text();
            self.store.toast = None;
            self.answer_line(line.trim(), begun);
            return None;
        }
        if is_control(chord, 'd') && self.ui.panes.composer.is_empty() {
            self.quit(&chord.display_name(), asked, now);
        } else if is_control(chord, 'c') && is_approval {
            return self.input(Input::Key(chord), now, clock);
        } else if is_control(chord, 'c') || chord == Chord::plain(Key::Esc) && !is_approval {
            self.ui.panes.composer.set_text("");
            self.run_action(Action::CloseOverlay);
        } else if let Some(row) = self.keymap.find(&[Context::Pane(Pane::Composer)], chord) {
            if let ActionHandler::View(action) = row.handler {
                self.run_ui_action(action);
            }
        } else {
            self.ui.panes.composer.type_chord(chord);
        }
        None
    }

    fn answer_line(&mut self, line: &str, begun: Millis) {
        if self.store.focus.top_as::<ApprovalDialog>().is_some() {
            return self.answer_approval(line, begun);
        }
        self.ui.panes.composer.set_text("");
        if self.store.focus.top_as::<TitleField>().is_some() {
            self.set_field(line);
            return self.run_action(Action::OverlayAccept);
        }
        let Some(top) = self.store.focus.top() else { return };
        let rows = top.state().rows(&self.store).map_or(0, |rows| rows.len());
        let has_filter = top.state().is_typing();
        match line.parse::<usize>() {
            _ if line.is_empty() => self.run_action(Action::CloseOverlay),
            Ok(number @ 1..) if number <= rows => self.run_action(Action::ChooseRow(number - 1)),
            Ok(number) => self.say(format!("there is no number {number} in the list")),
            Err(_) if has_filter => self.set_field(line),
            Err(_) => self.say("type a number of the list, or an empty line to leave it".into()),
        }
    }

    fn answer_approval(&mut self, line: &str, begun: Millis) {
        let answer = self.read_answer(line, begun);
        if !matches!(answer, LineAnswer::Prompt) {
            self.ui.panes.composer.set_text("");
        }
        match answer {
            LineAnswer::Choice(choice) => {
                self.run_action(Action::Choose(choice));
                if !matches!(choice, ApprovalChoice::ShowAll | ApprovalChoice::Hunks) {
                    self.run_action(Action::OverlayAccept);
                }
            }
            LineAnswer::Field(text) => {
                if let Some(text) = text {
                    self.set_field(&text);
                }
                self.run_action(Action::OverlayAccept);
            }
            LineAnswer::Hunk(step) => self.run_action(Action::DecideHunk(step)),
            LineAnswer::HunkNote(text) => {
                self.run_action(Action::DecideHunk(HunkStep::Note));
                self.set_field(&text);
                self.run_action(Action::OverlayAccept);
            }
            LineAnswer::ApplyHunks => self.run_action(Action::OverlayAccept),
            LineAnswer::LeaveHunks => self.run_action(Action::CloseOverlay),
            LineAnswer::TooEarly => self.say(TOO_EARLY_HINT.into()),
            LineAnswer::Unknown(why) => self.say(why),
            LineAnswer::Prompt => {
                let text = self.ui.panes.composer.take();
                self.run_action(Action::Submit(text));
            }
        }
    }

    fn read_answer(&self, line: &str, begun: Millis) -> LineAnswer {
        let Some(dialog) = self.store.focus.top_as::<ApprovalDialog>() else { return LineAnswer::Prompt };
        let ask = self.store.tool_calls.get(&dialog.call).and_then(|call| call.approval_request());
        let choices = ask.map(ApprovalChoice::all_for).unwrap_or_default();
        let is_early = dialog.shown_at.is_none_or(|shown| begun.since(shown) < ANSWER_GUARD_TIME);
        match (dialog.input, line.parse::<usize>()) {
            (ApprovalInput::Choosing, Ok(_))
            | (ApprovalInput::Reason | ApprovalInput::Written | ApprovalInput::Pattern, _)
                if is_early =>
            {
                LineAnswer::TooEarly
            }
            (ApprovalInput::Choosing, Ok(number)) => match number.checked_sub(1).and_then(|nth| choices.get(nth)) {
                Some(choice) => LineAnswer::Choice(*choice),
                None => LineAnswer::Unknown(format!("there is no answer {number}: type 1 to {}", choices.len())),
            },
            (ApprovalInput::Choosing, Err(_)) if line.is_empty() || is_word_of_consent(line) => {
                LineAnswer::Unknown(format!("answer with a number from 1 to {}", choices.len()))
            }
            (ApprovalInput::Choosing, Err(_)) => LineAnswer::Prompt,
            (ApprovalInput::Hunks | ApprovalInput::Note, _) => match read_hunk_line(line) {
                LineAnswer::Prompt => LineAnswer::Prompt,
                _ if is_early => LineAnswer::TooEarly,
                answer => answer,
            },
            (ApprovalInput::Pattern, _) if line.is_empty() => LineAnswer::Field(None),
            (ApprovalInput::Reason | ApprovalInput::Written | ApprovalInput::Pattern, _) => {
                LineAnswer::Field(Some(line.to_owned()))
            }
        }
    }

    /// Replaces what stands in the field on top.
    fn set_field(&mut self, text: &str) {
        self.dispatch(Msg::Action(Action::OverlayClear));
        for c in text.chars() {
            self.dispatch(Msg::Action(Action::OverlayChar(c)));
        }
    }

    fn say(&mut self, text: String) {
        self.store.toast = Some((NoticeLevel::Warn, text));
    }
}

/// Reads a line about the hunk that is shown; any other is a prompt.
fn read_hunk_line(line: &str) -> LineAnswer {
    if let Some(note) = line.strip_prefix("note ") {
        return LineAnswer::HunkNote(note.trim().to_owned());
    }
    match line {
        "take" => LineAnswer::Hunk(HunkStep::Take),
        "leave" => LineAnswer::Hunk(HunkStep::Leave),
        "next" => LineAnswer::Hunk(HunkStep::Next),
        "previous" => LineAnswer::Hunk(HunkStep::Previous),
        "take rest" => LineAnswer::Hunk(HunkStep::TakeRest),
        "leave rest" => LineAnswer::Hunk(HunkStep::LeaveRest),
        "apply" => LineAnswer::ApplyHunks,
        "back" => LineAnswer::LeaveHunks,
        "" => LineAnswer::Unknown("type what is to be done with the hunk, or back".into()),
        _ => LineAnswer::Prompt,
    }
}

fn is_control(chord: Chord, c: char) -> bool {
    chord == Chord { ctrl: true, alt: false, shift: false, key: Key::Char(c) }
}

/// Somebody means to answer, but a word could be the beginning of anything.
fn is_word_of_consent(line: &str) -> bool {
    ["y", "yes", "n", "no", "a", "ok"].iter().any(|word| line.eq_ignore_ascii_case(word))
}
