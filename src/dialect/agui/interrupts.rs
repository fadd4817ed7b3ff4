//! What a run that was interrupted asks: whether calls may run, and what can be answered by yes or no, which is asked as
//! an approval too, of a call that stands for the question. Everything else is for the next prompt to answer.

use serde_json::json;

use super::super::agent_calls::AgentCallStart;
use super::super::yes_no::YesNoForm;
use super::{AgUiDecoder, Speaker, capped};
use crate::event::{CallOutcome, ExecutedBy, Json, ReplyEvent};

/// Begins the ids of calls that stand for questions.
const QUESTION_PREFIX: &str = "question-";

impl AgUiDecoder {
    /// Asks about the calls that the agent runs once that is allowed, and what it wants a yes or a no to.
    pub(super) fn ask_approvals(&mut self, interrupts: &[Json], out: &mut Vec<ReplyEvent>) {
        let word = |interrupt: &Json, key: &str| interrupt.get(key).and_then(Json::as_str).map(str::to_owned);
        let call_of = |interrupt: &Json| word(interrupt, "toolCallId").or_else(|| word(interrupt, "tool_call_id"));
        // All of them are answered at once, so that one for the prompt leaves the others to it.
        let is_decidable = |interrupt: &Json| call_of(interrupt).is_some() || asks_yes_or_no(interrupt);
        let asks_questions = interrupts.iter().all(is_decidable);
        for interrupt in interrupts {
            let reason = word(interrupt, "message");
            match (call_of(interrupt), word(interrupt, "id")) {
                (Some(wire), _) => self.calls.ask_approval(&wire, capped(interrupt), reason, out),
                (None, Some(id)) if asks_questions => self.ask_question(&id, interrupt, reason, out),
                (None, _) => {}
            }
        }
    }

    fn ask_question(&mut self, id: &str, interrupt: &Json, reason: Option<String>, out: &mut Vec<ReplyEvent>) {
        let wire = format!("{QUESTION_PREFIX}{id}");
        let name = interrupt.get("reason").and_then(Json::as_str).unwrap_or("question");
        let message = self.messages.open_for_call(None, &Speaker::default(), out);
        let (name, parent, ran_by) = (Some(name), None, ExecutedBy::Server);
        self.calls.start(AgentCallStart { wire_id: &wire, name, message, parent, ran_by }, out);
        let args = interrupt.get("metadata").filter(|metadata| metadata.is_object()).cloned();
        self.calls.complete(&wire, None, &args.unwrap_or_else(|| json!({})).to_string(), out);
        let mut request = capped(interrupt);
        if let Some(fields) = request.as_object_mut() {
            fields.insert("questionId".to_owned(), wire.as_str().into());
        }
        self.calls.ask_approval(&wire, request, reason, out);
    }

    /// Ends the calls that stand for questions of the run before: this one goes on with the answers.
    pub(super) fn finish_answered(&mut self, out: &mut Vec<ReplyEvent>) {
        let is_one = |wire: &&str| wire.starts_with(QUESTION_PREFIX) && self.calls.is_adopted(wire);
        let answered: Vec<String> = self.calls.unfinished().filter(is_one).map(str::to_owned).collect();
        for wire in answered {
            self.calls.finish(&wire, CallOutcome::Ok, String::new(), out);
        }
    }
}

fn asks_yes_or_no(interrupt: &Json) -> bool {
    let schema = interrupt.get("responseSchema").or_else(|| interrupt.get("response_schema"));
    schema.is_some_and(|schema| YesNoForm::of_schema(schema).is_some())
}
