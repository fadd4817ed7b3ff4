//! PURE. A conversation that its server keeps under an id, which must be made before the first prompt.
//!
//! The server has what was said in it, so only the newest prompt is sent. A conversation that was begun anew here gets
//! another one there; one that was begun elsewhere, or that the server can't have, is told as text.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::probe::is_path_segment;
use super::protocol::{flatten_history, last_prompt};
use crate::engine::{HistoryMessage, ModelRequest, Preparation, ReplyPlan, ScriptedEvent};
use crate::event::{Fault, FaultKind, Json, Millis, ReplyEvent, TurnOutcome};
use crate::net::request::HttpRequest;

/// One conversation with a server.
#[derive(Default)]
pub(super) struct ServerThread(Arc<Mutex<ThreadState>>);

#[derive(Debug, Default)]
enum ThreadState {
    #[default]
    NotStarted,
    /// It has this id, and was sent this many prompts.
    Active { id: String, prompts: usize },
    /// The server made none.
    Failed(Fault),
}

/// What comes next.
pub(super) enum ThreadStep {
    /// This, and then the prompt.
    Begin(ReplyPlan),
    /// The conversation has this id; the text is what to say in it.
    Say { id: String, text: String },
}

impl ServerThread {
    /// Returns the id and the text to say, for a server that makes a conversation of any id that it is given. The ids
    /// begin with `prefix`.
    pub(super) fn next_named(&self, request: &ModelRequest, prefix: &str) -> (String, String) {
        let mut state = lock(&self.0);
        let asked = count_prompts(request);
        let known = match &*state {
            ThreadState::Active { id, prompts } => Some((id.clone(), *prompts)),
            ThreadState::NotStarted | ThreadState::Failed(_) => None,
        };
        let (id, text, prompts) = match known {
            Some((id, prompts)) if asked > 1 => (id, last_prompt(request).unwrap_or_default().to_owned(), prompts + 1),
            known => {
                let number = known.map_or(1, |(id, _)| next_number(&id));
                (format!("{prefix}-{number}"), flatten_history(request), 1)
            }
        };
        *state = ThreadState::Active { id: id.clone(), prompts };
        (id, text)
    }

    /// Returns the id of the conversation, once something was said in it.
    pub(super) fn current(&self) -> Option<String> {
        match &*lock(&self.0) {
            ThreadState::Active { id, prompts } if *prompts > 0 => Some(id.clone()),
            ThreadState::Active { .. } | ThreadState::NotStarted | ThreadState::Failed(_) => None,
        }
    }

    /// Returns the next step to a reply. `create` makes a conversation, whose id is at one of these keys.
    pub(super) fn next(
        &self,
        request: &ModelRequest,
        keys: &'static [&'static str],
        create: impl FnOnce() -> HttpRequest,
    ) -> ThreadStep {
        let mut state = lock(&self.0);
        let asked = count_prompts(request);
        match &mut *state {
            ThreadState::Failed(fault) => {
                let outcome = TurnOutcome::Failed(fault.clone());
                *state = ThreadState::NotStarted;
                let event = ReplyEvent::End { outcome };
                ThreadStep::Begin(ReplyPlan::Scripted(vec![ScriptedEvent { delay: Millis(0), event }]))
            }
            ThreadState::Active { id, prompts } if *prompts == 0 || asked > 1 => {
                // What was said before it is not in it.
                let knows_past = *prompts > 0 || asked <= 1;
                *prompts += 1;
                let text = if knows_past {
                    last_prompt(request).unwrap_or_default().to_owned()
                } else {
                    flatten_history(request)
                };
                ThreadStep::Say { id: id.clone(), text }
            }
            ThreadState::NotStarted | ThreadState::Active { .. } => {
                let kept = self.0.clone();
                let handle = Box::new(move |answer| lock(&kept).take_id(answer, keys));
                ThreadStep::Begin(ReplyPlan::Prepare(Preparation { request: create(), handle }))
            }
        }
    }
}

impl ThreadState {
    /// Takes the answer to the request for a conversation.
    fn take_id(&mut self, answer: Result<Json, Fault>, keys: &[&str]) -> Option<String> {
        let id = answer.map(|answer| {
            let id = keys.iter().find_map(|key| answer.get(*key)?.as_str()).filter(|id| is_path_segment(id));
            id.map(str::to_owned)
        });
        *self = match id {
            Ok(Some(id)) => Self::Active { id, prompts: 0 },
            Ok(None) => {
                let text = "the server returned no conversation to send the prompt to; check the URL";
                Self::Failed(Fault::new(FaultKind::Protocol, text))
            }
            Err(fault) => Self::Failed(fault),
        };
        None
    }
}

fn count_prompts(request: &ModelRequest) -> usize {
    request.history.iter().filter(|past| matches!(past, HistoryMessage::User { .. })).count()
}

/// Returns the number after that at the end of an id.
fn next_number(id: &str) -> usize {
    id.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0).saturating_add(1)
}

fn lock(state: &Mutex<ThreadState>) -> MutexGuard<'_, ThreadState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::remote::probe::get_request;

    fn request(prompts: usize) -> ModelRequest {
        let mut history = Vec::new();
        for nth in 1..=prompts {
            history.push(HistoryMessage::user(format!("q{nth}")));
            if nth < prompts {
                let (text, reasoning, calls) = (format!("a{nth}"), String::new(), Vec::new());
                history.push(HistoryMessage::Assistant { text, reasoning, calls, provider_metadata: None });
            }
        }
        ModelRequest { history, ..ModelRequest::default() }
    }

    /// What is said next, after one conversation was made where that is asked for.
    fn say(thread: &ServerThread, prompts: usize, answer: Result<Json, Fault>) -> Result<(String, String), Fault> {
        let mut answer = Some(answer);
        loop {
            match thread.next(&request(prompts), &["id"], || get_request("http://h/threads".into(), &[])) {
                ThreadStep::Say { id, text } => return Ok((id, text)),
                ThreadStep::Begin(ReplyPlan::Prepare(made)) => {
                    (made.handle)(answer.take().expect("one conversation is enough"));
                }
                ThreadStep::Begin(ReplyPlan::Scripted(events)) => match events.into_iter().next().unwrap().event {
                    ReplyEvent::End { outcome: TurnOutcome::Failed(fault) } => return Err(fault),
                    other => panic!("{other:?}"),
                },
                ThreadStep::Begin(ReplyPlan::Http { .. } | ReplyPlan::Computed(_)) => panic!("that is not its to send"),
            }
        }
    }

    #[test]
    fn a_conversation_is_made_once_and_gets_each_new_prompt() {
        let thread = ServerThread::default();
        let said = |id: &str, text: &str| (id.to_owned(), text.to_owned());
        assert_eq!(say(&thread, 1, Ok(json!({"id": "t-1"}))).unwrap(), said("t-1", "q1"));
        let none = || Ok(Json::Null);
        assert_eq!(say(&thread, 2, none()).unwrap(), said("t-1", "q2"));
        assert_eq!(say(&thread, 3, none()).unwrap(), said("t-1", "q3"));
        // The person began anew.
        assert_eq!(say(&thread, 1, Ok(json!({"id": "t-2"}))).unwrap(), said("t-2", "q1"));
    }

    #[test]
    fn what_was_said_elsewhere_is_told_as_text_once() {
        let thread = ServerThread::default();
        let (_, text) = say(&thread, 2, Ok(json!({"id": "t"}))).unwrap();
        assert_eq!(text, "User: q1\n\nAssistant: a1\n\nUser: q2");
        assert_eq!(say(&thread, 3, Ok(Json::Null)).unwrap().1, "q3");
    }

    #[test]
    fn an_id_of_ours_is_kept_until_the_person_begins_anew() {
        let thread = ServerThread::default();
        let said = |prompts| thread.next_named(&request(prompts), "th");
        let wanted = |id: &str, text: &str| (id.to_owned(), text.to_owned());
        assert_eq!(said(1), wanted("th-1", "q1"));
        assert_eq!(said(2), wanted("th-1", "q2"));
        assert_eq!(said(1), wanted("th-2", "q1"));
        let resumed = ServerThread::default().next_named(&request(2), "th");
        assert_eq!(resumed, wanted("th-1", "User: q1\n\nAssistant: a1\n\nUser: q2"));
    }

    #[test]
    fn a_server_that_makes_none_fails_the_turn_and_is_asked_again() {
        let thread = ServerThread::default();
        let gone = Fault::new(FaultKind::BadRequest, "404");
        assert_eq!(say(&thread, 1, Err(gone.clone())), Err(gone));
        for odd in [json!({"id": "../x"}), json!({"id": 7}), json!({})] {
            assert!(say(&thread, 1, Ok(odd)).is_err());
        }
        assert!(say(&thread, 1, Ok(json!({"id": "t"}))).is_ok());
    }
}
