//! Which client caused an event. An action that a client dispatched comes back to everybody with its name and its number
//! there, so that the client knows its own; and a turn is called what its client calls it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::dialect::ahp::encode::AhpOrigin;
use crate::event::{AgentEvent, CallId, Envelope, Seq, SessionId, TurnOutcome};

/// Events that are remembered with their origins.
const MAX_BOUND_EVENTS: usize = 4096;
/// Dispatched actions that may wait for their events.
const MAX_EXPECTED: usize = 256;

/// The event that will confirm an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExpectedEvent {
    /// A prompt of these words.
    Prompt(String),
    Decision(CallId),
    Cancellation,
    Title(String),
}

#[derive(Debug)]
struct Expected {
    session: SessionId,
    event: ExpectedEvent,
    origin: AhpOrigin,
}

#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<OriginTable>);

#[derive(Debug, Default)]
struct OriginTable {
    expected: VecDeque<Expected>,
    bound: HashMap<(SessionId, Seq), Arc<AhpOrigin>>,
    /// The bound events, the oldest first.
    order: VecDeque<(SessionId, Seq)>,
}

impl Origins {
    /// Records that an action was passed on to a session.
    pub(super) fn expect(&self, session: &SessionId, event: ExpectedEvent, origin: AhpOrigin) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.expected.len() >= MAX_EXPECTED {
            table.expected.pop_front();
        }
        table.expected.push_back(Expected { session: session.clone(), event, origin });
    }

    /// Forgets a prompt that was taken back.
    pub(super) fn forget_queued(&self, session: &SessionId, message: &str) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.expected.retain(|expected| {
            expected.session != *session || expected.origin.queued_message.as_deref() != Some(message)
        });
    }

    /// Returns what caused an event; the same for everybody who asks.
    pub(super) fn of(&self, session: &SessionId, envelope: &Envelope) -> Option<Arc<AhpOrigin>> {
        let may_have_one = matches!(
            &envelope.event,
            AgentEvent::UserMessage { .. }
                | AgentEvent::ApprovalResolved { .. }
                | AgentEvent::TurnFinished { .. }
                | AgentEvent::Annotation { .. }
        );
        if !may_have_one {
            return None;
        }
        let matches = |expected: &ExpectedEvent| match (&envelope.event, expected) {
            (AgentEvent::UserMessage { text, .. }, ExpectedEvent::Prompt(prompt)) => text == prompt,
            (AgentEvent::ApprovalResolved { call, .. }, ExpectedEvent::Decision(decided)) => call == decided,
            (AgentEvent::TurnFinished { outcome: TurnOutcome::Cancelled, .. }, ExpectedEvent::Cancellation) => true,
            (AgentEvent::Annotation { .. }, ExpectedEvent::Title(title)) => is_title(&envelope.event, title),
            _ => false,
        };
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (session.clone(), envelope.seq);
        if let Some(known) = table.bound.get(&key) {
            return Some(Arc::clone(known));
        }
        let at = table.expected.iter().position(|expected| expected.session == *session && matches(&expected.event))?;
        let origin = Arc::new(table.expected.remove(at)?.origin);
        if table.order.len() >= MAX_BOUND_EVENTS
            && let Some(oldest) = table.order.pop_front()
        {
            table.bound.remove(&oldest);
        }
        table.order.push_back(key.clone());
        table.bound.insert(key, Arc::clone(&origin));
        Some(origin)
    }
}

fn is_title(event: &AgentEvent, wanted: &str) -> bool {
    use crate::event::{Annotation, AnnotationTarget};
    let AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Title(title) } = event else {
        return false;
    };
    wanted.trim().starts_with(title.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Millis;
    use crate::testkit::events::user_message;

    fn prompt(seq: u64, text: &str) -> Envelope {
        Envelope { seq: Seq(seq), at: Millis(0), event: user_message("m", text) }
    }

    fn origin(client_seq: i64) -> AhpOrigin {
        AhpOrigin { client: "c".into(), client_seq, ..AhpOrigin::default() }
    }

    #[test]
    fn everybody_is_told_the_same_origin_and_the_first_of_equal_prompts_comes_first() {
        let origins = Origins::default();
        let (a, b) = (SessionId::from("a"), SessionId::from("b"));
        for client_seq in [1, 2] {
            origins.expect(&a, ExpectedEvent::Prompt("go".into()), origin(client_seq));
        }
        assert_eq!(origins.of(&b, &prompt(5, "go")), None, "another session");
        assert_eq!(origins.of(&a, &prompt(4, "stop")), None, "somebody else's prompt");
        let first = origins.of(&a, &prompt(5, "go")).unwrap();
        assert_eq!((first.client_seq, origins.of(&a, &prompt(9, "go")).unwrap().client_seq), (1, 2));
        assert_eq!(origins.of(&a, &prompt(5, "go")).unwrap(), first);
        assert_eq!(origins.of(&a, &prompt(11, "go")), None);
    }
}
