//! An ask on the screen: what is chosen, what was typed, and when an answer counts.
//!
//! Nothing that is typed answers. The first character over an ask may select an answer; a second one, whatever it is,
//! takes both into the composer, and the ask steps back behind its marker. Enter answers, once something is selected,
//! [`ANSWER_GUARD_TIME`] after the ask was drawn and after the last key; Esc denies under the same guard.
//!
//! ```text
//! choosing ──letter, arrow──► selected ──Enter──► answered, or the field of a reason or a pattern, or the hunks
//!    ▲ ▲                         │ │
//!    │ └────────Backspace────────┘ └──any character──► the composer; F4, or an empty composer, brings it back
//!    └──Esc── field, or the whole of it
//! ```
//!
//! The hunks of a diff are decided in a box of their own, where letters are keys once it was seen; Enter applies what was
//! decided, under the same guard.
//!
//! The invariant: no character is lost. What can't go into a field goes into the composer, in its order.

mod hunks;

use super::{OverlayExtent, OverlayOutcome, OverlayState};
use crate::event::{ApprovalRequest, CallId, Command, Decision, Millis, OfferedAnswer, Pattern};
use crate::store::Store;
use crate::store::action::{Action, Context, ScrollStep};
use crate::store::approval::{ApprovalChoice, HunkStep, parse_patterns};
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::pane::Pane;
use crate::store::permissions::allowing_patterns;

pub use hunks::{HunkMark, HunkReview};

/// How long an ask is on the screen, and how long no key was pressed, before it takes an answer.
pub const ANSWER_GUARD_TIME: Millis = Millis(350);
/// No hand presses Enter so soon after a character: what comes faster was pasted or sent by a program.
const MIN_KEYSTROKE_GAP: Millis = Millis(50);

/// An ask on the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovalDialog {
    pub call: CallId,
    /// When it was drawn as it is now; before that nobody can have seen it.
    pub shown_at: Option<Millis>,
    pub selected: Option<ApprovalChoice>,
    pub input: ApprovalInput,
    /// Why the last Enter or Esc did nothing, or what is wrong with the pattern.
    pub feedback: Option<String>,
    /// The whole of it is shown: rows scrolled down; the view stops at the end.
    pub full_scroll: Option<usize>,
    /// The character that selected; it may be the first of a sentence.
    typed: String,
    /// Why not, or what is answered, as far as it was written.
    pub reason: String,
    /// What else to allow, as far as it was edited.
    pub pattern: String,
    /// What was said of the hunks so far; none before they were looked at.
    pub review: Option<HunkReview>,
}

/// What the characters go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApprovalInput {
    #[default]
    Choosing,
    Reason,
    /// An answer in the person's words.
    Written,
    Pattern,
    /// One hunk after another; characters are keys.
    Hunks,
    /// The note on a hunk.
    Note,
}

impl ApprovalDialog {
    pub(in crate::store) fn new(call: CallId) -> Self {
        Self {
            call,
            shown_at: None,
            selected: None,
            input: ApprovalInput::Choosing,
            feedback: None,
            full_scroll: None,
            typed: String::new(),
            reason: String::new(),
            pattern: String::new(),
            review: None,
        }
    }

    /// Returns whether it takes no answer yet.
    pub fn is_guarded(&self, now: Millis, last_key: Option<Millis>) -> bool {
        let quiet = match self.input {
            ApprovalInput::Reason | ApprovalInput::Written => MIN_KEYSTROKE_GAP,
            ApprovalInput::Choosing | ApprovalInput::Pattern | ApprovalInput::Hunks | ApprovalInput::Note => {
                ANSWER_GUARD_TIME
            }
        };
        self.shown_at.is_none_or(|shown| now.since(shown) < ANSWER_GUARD_TIME)
            || last_key.is_some_and(|key| now.since(key) < quiet)
    }

    /// Returns whether it stands above the composer and leaves the transcript to be read.
    pub fn is_docked(&self) -> bool {
        self.full_scroll.is_none() && !self.is_reviewing()
    }

    /// Returns whether the hunks are on the screen, one by one.
    pub fn is_reviewing(&self) -> bool {
        matches!(self.input, ApprovalInput::Hunks | ApprovalInput::Note)
    }

    /// Takes out what was typed and answered nothing: it belongs into the composer.
    pub(in crate::store) fn take_typed(&mut self) -> String {
        let mut text = std::mem::take(&mut self.typed);
        text.push_str(&std::mem::take(&mut self.reason));
        if let Some(review) = self.review.take() {
            text.push_str(&review.into_notes());
        }
        text
    }

    /// It was drawn.
    pub(in crate::store) fn on_shown(&mut self, now: Millis) {
        self.shown_at.get_or_insert(now);
    }

    fn request<'a>(&self, store: &'a Store) -> Option<&'a ApprovalRequest> {
        store.tool_calls.get(&self.call)?.approval_request()
    }

    /// Goes to another stage; it has to be drawn before it takes an answer.
    fn set_input(&mut self, input: ApprovalInput) {
        self.input = input;
        self.shown_at = None;
        self.typed.clear();
    }

    /// Goes back from the whole of it; false if that is not shown.
    fn close_full(&mut self) -> bool {
        let was_full = self.full_scroll.take().is_some();
        if was_full {
            self.set_input(self.input);
        }
        was_full
    }

    /// A key that no text is made of selects.
    fn select(&mut self, store: &Store, choice: ApprovalChoice) {
        if self.input != ApprovalInput::Choosing {
            return;
        }
        let offered = self.request(store).and_then(|ask| choice.find_in(ask));
        let has_own = self.request(store).is_some_and(|ask| !ask.answers.is_empty());
        self.feedback = None;
        match (choice, offered) {
            (ApprovalChoice::ShowAll, _) => self.full_scroll = Some(0),
            (ApprovalChoice::Hunks, Some(_)) => self.open_hunks(store),
            (_, Some(offered)) => self.selected = Some(offered),
            (_, None) => {
                self.selected = None;
                let text = match choice {
                    ApprovalChoice::Hunks => "this can only be allowed or denied as a whole",
                    _ if has_own => "the agent offers no such answer",
                    _ => "no pattern can be allowed for this call",
                };
                self.feedback = Some(text.into());
            }
        }
    }

    /// A character was typed over it; `choice` is what it is bound to.
    fn type_over(
        &mut self,
        c: char,
        choice: Option<ApprovalChoice>,
        step: Option<HunkStep>,
        store: &mut Store,
        fx: &mut Vec<Effect>,
    ) -> OverlayOutcome {
        if self.input == ApprovalInput::Hunks {
            return self.type_over_hunks(c, step, store, fx);
        }
        let writes = store.session.capabilities().prompt;
        let first = self.typed.is_empty() && self.full_scroll.is_none();
        match choice {
            Some(choice) if first || !writes => {
                if writes {
                    self.typed.push(c);
                }
                self.select(store, choice);
            }
            _ if writes => return self.hide(Some(c), store, fx),
            _ => {}
        }
        OverlayOutcome::Stay
    }

    /// Steps back behind its marker: the person writes something. What was typed over it goes before `more`.
    fn hide(&mut self, more: Option<char>, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        store.focus.keep_review(&self.call, self.review.take());
        let mut typed = self.take_typed();
        typed.extend(more);
        fx.extend(ComposerEdit::insert(typed));
        store.focus.pane = Pane::Composer;
        OverlayOutcome::Close
    }

    /// Goes to the choice after, or before.
    fn select_next(&mut self, on: bool, store: &Store) {
        let Some(ask) = self.request(store).filter(|_| self.input == ApprovalInput::Choosing) else { return };
        let offered = ApprovalChoice::all_for(ask);
        let at = self.selected.and_then(|selected| offered.iter().position(|choice| *choice == selected));
        let last = offered.len() - 1;
        let next = match (at, on) {
            (None, true) => 0,
            (None, false) => last,
            (Some(at), true) => (at + 1) % offered.len(),
            (Some(at), false) => at.checked_sub(1).unwrap_or(last),
        };
        self.selected = offered.get(next).copied();
        self.feedback = None;
    }

    fn send_decision(&mut self, decision: Decision, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        fx.extend(ComposerEdit::insert(self.take_typed()));
        let call = self.call.clone();
        fx.push(Effect::Send(Command::Decide { call: call.clone(), decision }));
        store.focus.mark_answered(call);
        OverlayOutcome::Close
    }
}

impl OverlayState for ApprovalDialog {
    fn extent(&self) -> OverlayExtent {
        if self.is_docked() { OverlayExtent::Docked } else { OverlayExtent::Box }
    }

    fn key_contexts(&self) -> &'static [Context] {
        match self.input {
            ApprovalInput::Hunks => &[Context::Hunks, Context::Overlay],
            ApprovalInput::Choosing if self.is_docked() => &[Context::Approval],
            _ => &[Context::Overlay],
        }
    }

    fn is_typing(&self) -> bool {
        !matches!(self.input, ApprovalInput::Choosing | ApprovalInput::Hunks)
    }

    fn field(&mut self) -> Option<&mut String> {
        match self.input {
            ApprovalInput::Choosing | ApprovalInput::Hunks => None,
            ApprovalInput::Note => {
                self.feedback = None;
                self.review.as_mut().map(HunkReview::note_mut)
            }
            ApprovalInput::Reason | ApprovalInput::Written => Some(&mut self.reason),
            ApprovalInput::Pattern => {
                self.feedback = None;
                Some(&mut self.pattern)
            }
        }
    }

    /// Without a field nothing is selected any more, and the character that did it is gone.
    fn backspace(&mut self, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        if let Some(text) = self.field() {
            text.pop();
        } else if self.input == ApprovalInput::Choosing {
            self.typed.clear();
            (self.selected, self.feedback) = (None, None);
        }
        OverlayOutcome::Stay
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, store: &mut Store) {
        match (&mut self.full_scroll, &mut self.review) {
            (Some(scroll), _) => *scroll = step.from(*scroll, end),
            (None, Some(review)) if self.input == ApprovalInput::Hunks => review.scroll = step.from(review.scroll, end),
            _ => self.select_next(matches!(step, ScrollStep::Forward(_)), store),
        }
    }

    /// Gives the selected answer, or goes to the field that it needs.
    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(ask) = self.request(store).cloned() else { return OverlayOutcome::Stay };
        if self.close_full() {
            return OverlayOutcome::Stay;
        }
        let guarded = self.is_guarded(store.session.now, store.focus.last_key);
        let decision = match (self.input, self.selected) {
            (ApprovalInput::Note, _) => {
                self.set_input(ApprovalInput::Hunks);
                return OverlayOutcome::Stay;
            }
            (ApprovalInput::Choosing, None) => {
                self.feedback = Some("nothing selected: choose an answer first".into());
                return OverlayOutcome::Stay;
            }
            _ if guarded => {
                self.feedback = Some("too soon after another key: press Enter again".into());
                return OverlayOutcome::Stay;
            }
            (ApprovalInput::Choosing, Some(ApprovalChoice::Once)) => Decision::Once,
            (ApprovalInput::Choosing, Some(ApprovalChoice::Session)) => Decision::Session,
            (ApprovalInput::Choosing, Some(ApprovalChoice::Deny)) => Decision::Deny(None),
            (ApprovalInput::Choosing, Some(ApprovalChoice::Offered(at))) => {
                let Some(answer) = ask.answers.get(at) else { return OverlayOutcome::Stay };
                if answer.is_written() {
                    self.set_input(ApprovalInput::Written);
                    return OverlayOutcome::Stay;
                }
                Decision::Offered { id: answer.id.clone(), allows: answer.kind.allows() }
            }
            (ApprovalInput::Hunks, _) => match self.review.as_ref().map(HunkReview::decision) {
                Some(Ok(hunks)) => {
                    self.review = None;
                    Decision::Hunks(hunks)
                }
                open => {
                    self.feedback = open.and_then(Result::err);
                    return OverlayOutcome::Stay;
                }
            },
            (ApprovalInput::Choosing, Some(ApprovalChoice::Hunks)) => {
                self.open_hunks(store);
                return OverlayOutcome::Stay;
            }
            (ApprovalInput::Choosing, Some(ApprovalChoice::ShowAll)) => {
                self.full_scroll = Some(0);
                return OverlayOutcome::Stay;
            }
            (ApprovalInput::Choosing, Some(ApprovalChoice::DenyWithReason)) => {
                self.set_input(ApprovalInput::Reason);
                return OverlayOutcome::Stay;
            }
            (ApprovalInput::Choosing, Some(ApprovalChoice::Pattern)) => {
                if self.pattern.is_empty() {
                    self.pattern = ask.pattern.unwrap_or_default();
                }
                self.set_input(ApprovalInput::Pattern);
                return OverlayOutcome::Stay;
            }
            (ApprovalInput::Reason, _) => {
                let reason = std::mem::take(&mut self.reason);
                Decision::Deny(Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty()))
            }
            (ApprovalInput::Written, _) => {
                let written = std::mem::take(&mut self.reason);
                Decision::Offered { id: format!("{}{}", OfferedAnswer::WRITTEN, written.trim()), allows: true }
            }
            (ApprovalInput::Pattern, _) => match parse_patterns(&ask, &allowing_patterns(store), &self.pattern) {
                Ok(patterns) => Decision::Pattern(Pattern::write_list(&patterns)),
                Err(wrong) => {
                    self.feedback = Some(wrong);
                    return OverlayOutcome::Stay;
                }
            },
        };
        // The character that selected has done what it was typed for.
        self.typed.clear();
        self.send_decision(decision, store, fx)
    }

    /// Back from a field or from the whole of it; an ask without an answer is denied.
    fn close(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if self.close_full() {
            return OverlayOutcome::Stay;
        }
        if self.input != ApprovalInput::Choosing {
            self.feedback = None;
            let is_note = self.input == ApprovalInput::Note;
            self.set_input(if is_note { ApprovalInput::Hunks } else { ApprovalInput::Choosing });
        } else if self.is_guarded(store.session.now, store.focus.last_key) {
            self.feedback = Some("too soon after another key: press Esc again to deny".into());
        } else {
            self.typed.clear();
            return self.send_decision(Decision::Deny(None), store, fx);
        }
        OverlayOutcome::Stay
    }

    fn yield_to_composer(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if self.is_reviewing() && self.is_seen(store) {
            self.typed.clear();
        }
        self.hide(None, store, fx)
    }

    fn act(&mut self, action: &Action, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match action {
            Action::Choose(choice) => self.select(store, *choice),
            Action::DecideHunk(step) => self.take_step(*step),
            Action::ApprovalTyped { c, choice, step } => return self.type_over(*c, *choice, *step, store, fx),
            _ => {}
        }
        OverlayOutcome::Stay
    }
}
