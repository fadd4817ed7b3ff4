//! Events that come now and then: shared state, activities, snapshots, encrypted reasoning, subagents.

use serde_json::json;

use super::super::error;
use super::result_outcome::NewestResult;
use super::wire::AgUiEventFields;
use super::{AgUiDecoder, annotate, capped, shared_state, snapshot};
use crate::dialect::SseFrame;
use crate::event::{Annotation, CallOutcome, Json, NoticeCode, NoticeLevel, ReplyEvent, SharedState, TurnOutcome};

impl AgUiDecoder {
    pub(super) fn handle_rare_event(
        &mut self,
        kind: &str,
        head: &AgUiEventFields<'_>,
        event: &Json,
        out: &mut Vec<ReplyEvent>,
    ) {
        let field = |key: &str| event.get(key).cloned().unwrap_or(Json::Null);
        let run = head.subagent_run_id.non_empty().unwrap_or_default();
        match kind {
            "STATE_SNAPSHOT" => annotate(shared_state(SharedState::Snapshot, &field("snapshot")), out),
            "STATE_DELTA" => annotate(shared_state(SharedState::Patch, &field("delta")), out),
            "ACTIVITY_SNAPSHOT" | "ACTIVITY_DELTA" => {
                let key = if kind == "ACTIVITY_SNAPSHOT" { "content" } else { "patch" };
                let mut data = json!({"id": field("messageId"), "type": field("activityType")});
                data[key] = capped(&field(key));
                annotate(Annotation::Activity(data), out);
            }
            "CUSTOM" => annotate(Annotation::Custom { name: field("name"), value: capped(&field("value")) }, out),
            "MESSAGES_SNAPSHOT" => {
                let list = event.get("messages").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                snapshot::reconcile(list, self.is_prompted, &mut self.messages, &mut self.calls, out);
                self.settle_cut_calls(out);
            }
            "REASONING_ENCRYPTED_VALUE" => {
                if let Some(outcome) = self.newest_result.outcome_in(event) {
                    let NewestResult { call, text, .. } = std::mem::take(&mut self.newest_result);
                    self.calls.finish(&call, outcome, text, out);
                }
                let mut value = event.clone();
                if let Some(value) = value.as_object_mut() {
                    value.retain(|key, _| matches!(key.as_str(), "subtype" | "entityId" | "encryptedValue"));
                }
                self.messages.keep_encrypted(value);
            }
            "SUBAGENT_STARTED" => {
                self.subagents.start(run, event, &mut self.messages, &mut self.calls, out);
            }
            "SUBAGENT_FINISHED" | "SUBAGENT_ERROR" => self.finish_subagent(kind, run, event, out),
            other => match error::find_error(&SseFrame::named(other, event.to_string())) {
                Some(server_error) => {
                    self.outcome = Some(TurnOutcome::Failed(error::to_fault(&server_error)));
                    self.failed = true;
                }
                None => self.unknown_frames.report(other, out),
            },
        }
    }

    fn finish_subagent(&mut self, kind: &str, run: &str, event: &Json, out: &mut Vec<ReplyEvent>) {
        let speaker = self.subagents.speaker(Some(run), &mut self.messages, &mut self.calls, out);
        self.messages.close_speaker(&speaker, out);
        let word = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        let outcome =
            event.get("outcome").and_then(|outcome| outcome.as_str().or_else(|| outcome.get("type")?.as_str()));
        let (outcome, text) = match (kind, outcome) {
            ("SUBAGENT_ERROR", _) => {
                (CallOutcome::Failed, event.get("message").map_or_else(|| "no reason given".to_owned(), word))
            }
            (_, Some("cancelled" | "canceled")) => (CallOutcome::Cancelled, String::new()),
            // It goes on in a later run, once its person has answered.
            (_, Some("suspended")) => (CallOutcome::Unknown, "suspended until there is an answer".to_owned()),
            _ => {
                (CallOutcome::Ok, event.get("result").filter(|result| !result.is_null()).map(word).unwrap_or_default())
            }
        };
        let is_finished = self.subagents.finish(run, outcome, text.clone(), &mut self.calls, out);
        if !is_finished && outcome == CallOutcome::Failed {
            let text = format!("a subagent failed: {}", error::to_single_line(&text));
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Subagent, text });
        }
    }
}
