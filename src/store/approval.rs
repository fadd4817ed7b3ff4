//! An ask on the screen: what is chosen, what was typed, and when an answer counts.
//!
//! Nothing that is typed answers. The first character over an ask may select an answer; a second one, whatever it is,
//! takes both into the composer, and the ask steps back behind its marker. Enter answers, once something is selected,
//! [`ANSWER_GUARD_TIME`] after the ask was drawn and after the last key; Esc denies under the same guard.
//!
//! ```text
//! choosing ──letter, arrow──► selected ──Enter──► answered, or the field of a reason or a pattern
//!    ▲ ▲                         │ │
//!    │ └────────Backspace────────┘ └──any character──► the composer; F4, or an empty composer, brings it back
//!    └──Esc── field, or the whole of it
//! ```
//!
//! The invariant: no character is lost. What can't go into a field goes into the composer, in its order.

use crate::event::{ApprovalRequest, CallId, Command, Decision, Millis, Pattern};

use super::Store;
use super::effect::Effect;
use super::pane::Pane;

/// How long an ask is on the screen, and how long no key was pressed, before it takes an answer.
pub const ANSWER_GUARD_TIME: Millis = Millis(350);
/// No hand presses Enter so soon after a character: what comes faster was pasted or sent by a program.
const MIN_KEYSTROKE_GAP: Millis = Millis(50);

/// What one can choose over an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalChoice {
    Once,
    /// This tool, for the rest of the session.
    Session,
    /// What looks like this call; the pattern can be edited first.
    Pattern,
    Deny,
    DenyWithReason,
    /// To see the whole of it: the one choice that answers nothing.
    ShowAll,
}

impl ApprovalChoice {
    pub const ALL: [Self; 6] =
        [Self::Once, Self::Session, Self::Pattern, Self::Deny, Self::DenyWithReason, Self::ShowAll];

    /// Tells whether this ask offers it.
    pub fn is_offered(self, ask: &ApprovalRequest) -> bool {
        self != Self::Pattern || ask.pattern.is_some()
    }
}

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
    /// Why not, as far as it was written.
    pub reason: String,
    /// What else to allow, as far as it was edited.
    pub pattern: String,
}

/// What the characters go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApprovalInput {
    #[default]
    Choosing,
    Reason,
    Pattern,
}

impl ApprovalDialog {
    pub(super) fn new(call: CallId) -> Self {
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
        }
    }

    /// Returns whether it takes no answer yet.
    pub fn is_guarded(&self, now: Millis, last_key: Option<Millis>) -> bool {
        let quiet = match self.input {
            ApprovalInput::Reason => MIN_KEYSTROKE_GAP,
            ApprovalInput::Choosing | ApprovalInput::Pattern => ANSWER_GUARD_TIME,
        };
        self.shown_at.is_none_or(|shown| now.since(shown) < ANSWER_GUARD_TIME)
            || last_key.is_some_and(|key| now.since(key) < quiet)
    }

    /// Returns whether it stands above the composer and leaves the transcript to be read.
    pub fn is_docked(&self) -> bool {
        self.full_scroll.is_none()
    }

    pub(super) fn field(&mut self) -> Option<&mut String> {
        match self.input {
            ApprovalInput::Choosing => None,
            ApprovalInput::Reason => Some(&mut self.reason),
            ApprovalInput::Pattern => {
                self.feedback = None;
                Some(&mut self.pattern)
            }
        }
    }

    /// Takes out what was typed and answered nothing: it belongs into the composer.
    pub(super) fn take_typed(&mut self) -> String {
        let mut text = std::mem::take(&mut self.typed);
        text.push_str(&std::mem::take(&mut self.reason));
        text
    }

    /// Goes to another stage; it has to be drawn before it takes an answer.
    fn set_input(&mut self, input: ApprovalInput) {
        self.input = input;
        self.shown_at = None;
        self.typed.clear();
    }
}

/// The ask was drawn.
pub(super) fn on_shown(store: &mut Store) {
    let now = store.session.now;
    if let Some(approval) = store.focus.approval_mut() {
        approval.shown_at.get_or_insert(now);
    }
}

/// A key that no text is made of selects.
pub(super) fn select(store: &mut Store, choice: ApprovalChoice) {
    let offered = store
        .visible_approval()
        .and_then(|(_, call)| call.approval_request())
        .is_some_and(|ask| choice.is_offered(ask));
    let Some(approval) = store.focus.approval_mut().filter(|top| top.input == ApprovalInput::Choosing) else { return };
    approval.feedback = None;
    match choice {
        ApprovalChoice::ShowAll => approval.full_scroll = Some(0),
        _ if offered => approval.selected = Some(choice),
        _ => {
            approval.selected = None;
            approval.feedback = Some("no pattern can be allowed for this call".into());
        }
    }
}

/// A character was typed over an ask; `choice` is what it is bound to.
pub(super) fn type_char(store: &mut Store, c: char, choice: Option<ApprovalChoice>, fx: &mut Vec<Effect>) {
    let writes = store.session.capabilities().prompt;
    let Some(approval) = store.focus.approval_mut() else { return };
    let first = approval.typed.is_empty() && approval.full_scroll.is_none();
    match choice {
        Some(choice) if first || !writes => {
            if writes {
                approval.typed.push(c);
            }
            select(store, choice);
        }
        _ if writes => hide(store, c, fx),
        _ => {}
    }
}

/// Puts the ask behind its marker: the person writes something. What was typed over it goes before `more`.
pub(super) fn hide(store: &mut Store, more: impl Into<Option<char>>, fx: &mut Vec<Effect>) {
    let Some(mut approval) = store.focus.take_approval() else { return };
    let mut typed = approval.take_typed();
    typed.extend(more.into());
    store.insert_into_composer(typed, fx);
    // Not before the composer has told so itself: until then the ask must not come back.
    store.focus.is_composer_busy = true;
    store.focus.pane = Pane::Composer;
}

/// Goes to the choice after, or before.
pub(super) fn select_next(store: &mut Store, on: bool) {
    let Some(ask) = store.visible_approval().and_then(|(_, call)| call.approval_request().cloned()) else { return };
    let Some(approval) = store.focus.approval_mut().filter(|top| top.input == ApprovalInput::Choosing) else { return };
    let offered: Vec<ApprovalChoice> =
        ApprovalChoice::ALL.into_iter().filter(|choice| choice.is_offered(&ask)).collect();
    let at = approval.selected.and_then(|selected| offered.iter().position(|choice| *choice == selected));
    let last = offered.len() - 1;
    let next = match (at, on) {
        (None, true) => 0,
        (None, false) => last,
        (Some(at), true) => (at + 1) % offered.len(),
        (Some(at), false) => at.checked_sub(1).unwrap_or(last),
    };
    approval.selected = offered.get(next).copied();
    approval.feedback = None;
}

/// Backspace: nothing is selected, and the character that did it is gone.
pub(super) fn unselect(store: &mut Store) {
    if let Some(approval) = store.focus.approval_mut().filter(|top| top.input == ApprovalInput::Choosing) {
        approval.typed.clear();
        (approval.selected, approval.feedback) = (None, None);
    }
}

/// Enter: gives the selected answer, or goes to the field that it needs.
pub(super) fn accept(store: &mut Store, fx: &mut Vec<Effect>) {
    let (now, last_key) = (store.session.now, store.focus.last_key);
    let Some(ask) = store.visible_approval().and_then(|(_, call)| call.approval_request().cloned()) else { return };
    let Some(approval) = store.focus.approval_mut() else { return };
    if approval.full_scroll.take().is_some() {
        return approval.set_input(approval.input);
    }
    let guarded = approval.is_guarded(now, last_key);
    let decision = match (approval.input, approval.selected) {
        (ApprovalInput::Choosing, None) => {
            approval.feedback = Some("nothing selected: choose an answer first".into());
            return;
        }
        _ if guarded => {
            approval.feedback = Some("too soon after another key: press Enter again".into());
            return;
        }
        (ApprovalInput::Choosing, Some(ApprovalChoice::Once)) => Decision::Once,
        (ApprovalInput::Choosing, Some(ApprovalChoice::Session)) => Decision::Session,
        (ApprovalInput::Choosing, Some(ApprovalChoice::Deny)) => Decision::Deny(None),
        (ApprovalInput::Choosing, Some(ApprovalChoice::ShowAll)) => {
            approval.full_scroll = Some(0);
            return;
        }
        (ApprovalInput::Choosing, Some(ApprovalChoice::DenyWithReason)) => {
            return approval.set_input(ApprovalInput::Reason);
        }
        (ApprovalInput::Choosing, Some(ApprovalChoice::Pattern)) => {
            if approval.pattern.is_empty() {
                approval.pattern = ask.pattern.unwrap_or_default();
            }
            return approval.set_input(ApprovalInput::Pattern);
        }
        (ApprovalInput::Reason, _) => {
            let reason = std::mem::take(&mut approval.reason);
            Decision::Deny(Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty()))
        }
        (ApprovalInput::Pattern, _) => match parse_pattern(&ask, &approval.pattern) {
            Ok(pattern) => Decision::Pattern(pattern.to_string()),
            Err(wrong) => {
                approval.feedback = Some(wrong);
                return;
            }
        },
    };
    // The character that selected has done what it was typed for.
    approval.typed.clear();
    send_decision(store, decision, fx);
}

/// Reads a pattern that is about this call.
pub fn parse_pattern(ask: &ApprovalRequest, pattern: &str) -> Result<Pattern, String> {
    let pattern = Pattern::parse_for(&ask.tool, pattern)?;
    if pattern.allows(&ask.tool, ask.kind, &ask.subject) {
        Ok(pattern)
    } else {
        Err(format!("`{pattern}` would not allow this very call: {}", ask.subject))
    }
}

/// Esc: back from a field or from the whole of it; an ask without an answer is denied.
pub(super) fn close(store: &mut Store, fx: &mut Vec<Effect>) {
    let (now, last_key) = (store.session.now, store.focus.last_key);
    let Some(approval) = store.focus.approval_mut() else { return };
    if approval.full_scroll.take().is_some() {
        approval.set_input(approval.input);
    } else if approval.input != ApprovalInput::Choosing {
        approval.feedback = None;
        approval.set_input(ApprovalInput::Choosing);
    } else if approval.is_guarded(now, last_key) {
        approval.feedback = Some("too soon after another key: press Esc again to deny".into());
    } else {
        approval.typed.clear();
        send_decision(store, Decision::Deny(None), fx);
    }
}

fn send_decision(store: &mut Store, decision: Decision, fx: &mut Vec<Effect>) {
    let Some(mut approval) = store.focus.take_approval() else { return };
    store.insert_into_composer(approval.take_typed(), fx);
    let call = approval.call;
    fx.push(Effect::Send(Command::Decide { call: call.clone(), decision }));
    store.focus.mark_answered(call);
    store.open_next_approval();
}
