//! What calls a person who looks elsewhere: that something waits for them, has ended or went wrong. And what the
//! session is called in a window's title.
//!
//! Not here: whether they look, and how a terminal is made to tell them (`app/notify.rs`). Texts are cleaned, on one
//! line, and begin with words of ours, so that none can pass for an option of a program or a control sequence.

use crate::event::{AgentEvent, TurnOutcome};
use crate::text::display_url::redact_credentials;
use crate::text::{one_line, visible_line};

use super::Store;
use super::session::Phase;
use super::transcript::{ItemKind, TranscriptItem};

const MAX_NOTIFICATION_CELLS: usize = 160;
const MAX_TITLE_CELLS: usize = 60;
/// So many items are looked at for the first prompt: nothing but notices stands before it.
const MAX_ITEMS_BEFORE_PROMPT: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationKind {
    /// A call waits for a decision.
    Approval,
    TurnEnd,
    /// A turn failed, or the session was lost.
    Error,
}

impl NotificationKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::TurnEnd => "turn",
            Self::Error => "error",
        }
    }
}

/// What a person wants of being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyWish {
    /// To be called now, to see that it works.
    Test,
    /// Never.
    Off,
    /// While they look elsewhere.
    Unfocused,
    Always,
}

/// A call to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub kind: NotificationKind,
    /// What happened, for instance `Approval needed: shell cargo test`.
    pub text: String,
}

/// What a window's title tells beside the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityState {
    Idle,
    Working,
    AwaitingApproval,
}

impl Notification {
    /// Returns what a person is called with who wants to see that it works.
    pub fn test() -> Self {
        Self::new(NotificationKind::TurnEnd, "Test", "you are called like this")
    }

    pub(super) fn new(kind: NotificationKind, what: &str, about: &str) -> Self {
        let text = if about.is_empty() { what.to_owned() } else { format!("{what}: {about}") };
        Self { kind, text: one_line(&text, MAX_NOTIFICATION_CELLS) }
    }

    /// Returns it as told of a session that is not shown, by the number of its tab and what it is called.
    #[must_use]
    pub fn in_tab(self, number: usize, title: &str) -> Self {
        let about = if title.is_empty() { String::new() } else { format!(" “{title}”") };
        Self { text: one_line(&format!("Session {number}{about}: {}", self.text), MAX_NOTIFICATION_CELLS), ..self }
    }

    /// Returns what an event calls for. What a person did themselves, and what goes on by itself, calls nobody.
    pub(super) fn of_event(store: &Store, event: &AgentEvent) -> Option<Self> {
        match event {
            AgentEvent::ApprovalRequested { request, .. } if store.session.capabilities().decide => {
                let about = format!("{} {}", request.tool, visible_line(&request.subject));
                Some(Self::new(NotificationKind::Approval, "Approval needed", &about))
            }
            AgentEvent::TurnFinished { outcome, .. } if store.session.status.replay.is_none() => match outcome {
                TurnOutcome::Completed if store.session.queue().is_empty() => {
                    let title = store.title().unwrap_or_default();
                    Some(Self::new(NotificationKind::TurnEnd, "Done", &title))
                }
                TurnOutcome::Completed | TurnOutcome::Cancelled => None,
                TurnOutcome::Interrupted => Some(Self::new(NotificationKind::Error, "Interrupted", "")),
                TurnOutcome::Failed(fault) => Some(Self::new(NotificationKind::Error, "Failed", &fault.message)),
            },
            _ => None,
        }
    }
}

impl Store {
    /// Returns the item that names the session: its first prompt.
    pub fn title_item(&self) -> Option<TranscriptItem<'_>> {
        let mut first = self.transcript.items().range(0..MAX_ITEMS_BEFORE_PROMPT);
        first.find(|item| matches!(item.kind, ItemKind::Prompt { .. }))
    }

    /// Returns what the session is called: its first prompt, cleaned and short, without credentials.
    pub fn title(&self) -> Option<String> {
        let line = self.title_item()?.kind.text().trim_start().lines().next().unwrap_or_default();
        Some(one_line(&redact_credentials(line), MAX_TITLE_CELLS)).filter(|title| !title.is_empty())
    }

    pub fn activity_state(&self) -> ActivityState {
        match self.session.phase {
            Phase::Idle => ActivityState::Idle,
            Phase::Working { .. } => ActivityState::Working,
            Phase::WaitingApproval { .. } => ActivityState::AwaitingApproval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ApprovalRequest, Capabilities, Envelope, Fault, FaultKind, Millis, Seq};
    use crate::store::effect::Effect;
    use crate::store::msg::Msg;
    use crate::testkit::events::{Opened, shell_approval, turn_finished, turn_started, user_message};

    /// Folds events and returns what was called out.
    fn told(store: &mut Store, events: Vec<AgentEvent>) -> Vec<(NotificationKind, String)> {
        let mut fx = Vec::new();
        for event in events {
            let seq = store.last_seq().next();
            store.update(Msg::Event(Envelope { seq, at: Millis(seq.0), event }), &mut fx);
        }
        let told = fx.into_iter().filter_map(|effect| match effect {
            Effect::Notify(told) => Some((told.kind, told.text)),
            _ => None,
        });
        told.collect()
    }

    fn live() -> Store {
        let mut store = Store::default();
        let able = Capabilities { prompt: true, decide: true, cancel: true, ..Capabilities::default() };
        told(&mut store, vec![Opened { capabilities: able, ..Opened::default() }.event()]);
        store
    }

    #[test]
    fn an_approval_an_end_and_a_failure_call_and_a_cancelled_turn_does_not() {
        let mut store = live();
        let begin = |turn: &str| vec![turn_started(turn), user_message(turn, "Mend the \u{1b}]0;x\u{7}parser\nnow")];
        let ask = ApprovalRequest { folder: "/tmp".into(), ..shell_approval("rm \u{1b}[8m-rf x") };
        let mut events = begin("t1");
        events.push(AgentEvent::ApprovalRequested { call: "c1".into(), request: ask });
        let asked = told(&mut store, events);
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].0, NotificationKind::Approval);
        assert!(asked[0].1.starts_with("Approval needed: shell rm ") && asked[0].1.contains("[8m"), "{asked:?}");
        assert!(!asked[0].1.contains('\u{1b}'));
        let ended = told(&mut store, vec![turn_finished("t1", TurnOutcome::Completed)]);
        assert_eq!(ended, [(NotificationKind::TurnEnd, "Done: Mend the parser".into())]);
        let mut events = begin("t2");
        events.push(turn_finished("t2", TurnOutcome::Cancelled));
        assert_eq!(told(&mut store, events), []);
        let mut events = begin("t3");
        events.push(turn_finished("t3", TurnOutcome::Failed(Fault::new(FaultKind::Network, "no\u{7} route"))));
        assert_eq!(told(&mut store, events), [(NotificationKind::Error, "Failed: no route".into())]);
    }

    #[test]
    fn a_session_that_is_not_shown_is_named() {
        let told = Notification::new(NotificationKind::TurnEnd, "Done", "Mend it");
        assert_eq!(told.clone().in_tab(2, "Write docs").text, "Session 2 “Write docs”: Done: Mend it");
        assert_eq!(told.in_tab(3, "").text, "Session 3: Done: Mend it");
    }

    #[test]
    fn a_turn_with_more_behind_it_is_no_end() {
        let mut store = live();
        let queued = crate::event::QueuedPrompt::new(1, "next");
        let status = crate::event::SessionStatus { queue: vec![queued], ..Default::default() };
        store.update(Msg::Status(status), &mut Vec::new());
        let events = vec![turn_started("t1"), turn_finished("t1", TurnOutcome::Completed)];
        assert_eq!(told(&mut store, events), []);
        assert_eq!(store.last_seq(), Seq(3));
    }

    #[test]
    fn the_title_is_the_first_prompt_and_short() {
        let mut store = live();
        assert_eq!(store.title(), None);
        told(&mut store, vec![turn_started("t1"), user_message("m1", &format!("  a{}\nb", "b".repeat(99)))]);
        let title = store.title().unwrap();
        assert!(title.starts_with("abb") && title.ends_with('…') && title.chars().count() == 60, "{title}");
        assert_eq!(store.activity_state(), ActivityState::Working);
    }
}
