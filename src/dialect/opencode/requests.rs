//! What a server asks of its person: permissions for calls, and questions. In a session that is ours they are asked
//! here and answered while the reply goes on; in one that is only watched they are told.
//!
//! Source: the requests and replies of the npm package `@opencode-ai/sdk`: `permission.asked` and the older
//! `permission.updated`, their newest names under `v2`, and `question.asked`.

use serde_json::json;

use super::super::agent_reply::{annotate, ask_person, capped, result_text};
use super::super::error;
use super::OpencodeDecoder;
use crate::event::{
    Annotation, AnswerKind, CallId, CallOutcome, ExecutedBy, Json, NoticeCode, NoticeLevel, OfferedAnswer, ReplyEvent,
    ReplyTarget,
};

/// Requests that are remembered.
const MAX_REQUESTS: usize = 256;
/// Questions of one request, and answers of one question, that are read.
const MAX_QUESTIONS: usize = 16;
const MAX_ANSWERS: usize = 32;

/// A permission that was asked for.
#[derive(Debug)]
pub(super) struct AskedPermission {
    id: String,
    /// The call, as the decoder knows it.
    call: String,
    /// Whether it was refused.
    is_rejected: bool,
}

/// One that waits to know its call.
#[derive(Debug)]
pub(super) struct WaitingPermission {
    key: String,
    message: String,
    session: String,
    name: String,
    request: Json,
    reason: String,
    /// What stands for the arguments of a call that is never told.
    known: Json,
}

impl OpencodeDecoder {
    pub(super) fn handle_permission(&mut self, kind: &str, properties: &Json, out: &mut Vec<ReplyEvent>) {
        if self.session.is_none() {
            return tell_permission(properties, out);
        }
        let word = |pointer: &str| properties.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        let first = |pointers: &[&str]| pointers.iter().map(|at| word(at)).find(|text| !text.is_empty());
        let id = word("/id");
        if id.is_empty() || self.asked.len() >= MAX_REQUESTS {
            return;
        }
        let tool = first(&["/tool/callID", "/source/callID", "/callID"]);
        let message = first(&["/tool/messageID", "/source/messageID", "/messageID"]).unwrap_or(id);
        let wire = tool.unwrap_or(id);
        let name = first(&["/permission", "/action", "/type"]).unwrap_or("permission");
        let about = ["patterns", "resources", "pattern"].iter().find_map(|key| properties.get(*key));
        let about = about.map(subject).filter(|text| !text.is_empty());
        let about = about.or_else(|| first(&["/title"]).map(str::to_owned)).unwrap_or_default();
        let waiting = WaitingPermission {
            key: format!("{message}/{wire}"),
            message: message.to_owned(),
            session: word("/sessionID").to_owned(),
            name: name.to_owned(),
            request: json!({"ask": kind, "id": id, "sessionID": word("/sessionID"), "toolCallId": wire}),
            reason: format!("{name}: {about}"),
            known: json!({"permission": name, "about": about, "metadata": properties.get("metadata")}),
        };
        self.asked.push(AskedPermission { id: id.to_owned(), call: waiting.key.clone(), is_rejected: false });
        // What the call is may be told a little later than that it needs a permission.
        let key = waiting.key.clone();
        let is_told = self.bus.reply.calls.is_ready(&key);
        self.waiting.push(waiting);
        if is_told || tool.is_none() {
            self.ask_waiting(Some(&key), out);
        }
    }

    /// Asks for the permissions that wait to know their call: those of a call, which is known now, or all of them.
    pub(super) fn ask_waiting(&mut self, key: Option<&str>, out: &mut Vec<ReplyEvent>) {
        let is_due = |waiting: &WaitingPermission| key.is_none_or(|key| waiting.key == key);
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(is_due);
        self.waiting = waiting;
        let due: Vec<WaitingPermission> = due;
        for WaitingPermission { key, message, session, name, request, reason, known } in due {
            let wire = request.get("toolCallId").and_then(Json::as_str).unwrap_or_default();
            self.bus.note_part_of(&message, &session);
            self.bus.start_call(&message, &key, wire, Some(&name), ExecutedBy::Server, out);
            self.bus.reply.calls.complete(&key, None, &known.to_string(), out);
            if let Some(call) = self.bus.reply.calls.id(&key) {
                await_answer(call, request, reason, Vec::new(), out);
            }
        }
    }

    pub(super) fn handle_permission_reply(&mut self, properties: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |keys: [&str; 2]| keys.iter().find_map(|key| properties.get(*key)?.as_str()).unwrap_or_default();
        let id = word(["requestID", "permissionID"]);
        let Some(asked) = self.asked.iter_mut().find(|asked| asked.id == id) else { return };
        asked.is_rejected = word(["reply", "response"]) == "reject";
        if !asked.is_rejected
            && let Some(call) = self.bus.reply.calls.id(&asked.call)
        {
            out.push(ReplyEvent::Annotation { on: ReplyTarget::Call(call), annotation: Annotation::Running {} });
        }
    }

    /// Returns whether a call was refused.
    pub(super) fn is_rejected(&self, call: &str) -> bool {
        self.asked.iter().any(|asked| asked.call == call && asked.is_rejected)
    }

    pub(super) fn handle_question(&mut self, kind: &str, properties: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let questions = properties.get("questions").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        if self.session.is_none() || questions.is_empty() || questions.len() > MAX_QUESTIONS {
            let about: Vec<String> = questions.iter().map(|one| word(one, "question")).collect();
            return ask_person(std::slice::from_ref(properties), &about, out);
        }
        let (id, session) = (word(properties, "id"), word(properties, "sessionID"));
        let tool = properties.get("tool").unwrap_or(properties);
        // A request that names no call stands for itself.
        let message = Some(word(tool, "messageID")).filter(|message| !message.is_empty()).unwrap_or_else(|| id.clone());
        self.bus.note_part_of(&message, &session);
        for (index, one) in questions.iter().enumerate() {
            let key = format!("{id}#{index}");
            self.bus.start_call(&message, &key, &key, Some("question"), ExecutedBy::Server, out);
            self.bus.reply.calls.complete(&key, None, &one.to_string(), out);
            let Some(call) = self.bus.reply.calls.id(&key) else { return };
            let request =
                json!({"ask": kind, "id": id, "sessionID": session, "index": index, "count": questions.len()});
            await_answer(call, request, word(one, "question"), offered(one), out);
            self.questions.push((id.clone(), key));
        }
    }

    /// Ends the calls that stand for the questions of a request.
    pub(super) fn handle_question_reply(&mut self, properties: &Json, out: &mut Vec<ReplyEvent>) {
        let id = properties.get("requestID").and_then(Json::as_str).unwrap_or_default();
        let answers = properties.get("answers").and_then(Json::as_array);
        let asked: Vec<String> =
            self.questions.iter().filter(|(request, _)| request == id).map(|(_, key)| key.clone()).collect();
        for (index, key) in asked.iter().enumerate() {
            let answer = answers.and_then(|answers| answers.get(index));
            let (outcome, text) = match answer {
                Some(answer) => (CallOutcome::Ok, subject(answer)),
                None => (CallOutcome::Denied, String::new()),
            };
            self.bus.reply.calls.finish(key, outcome, text, out);
        }
        self.questions.retain(|(request, _)| request != id);
    }
}

/// Returns the answers that a question offers. Each is one that lets the agent go on.
fn offered(question: &Json) -> Vec<OfferedAnswer> {
    let options = question.get("options").and_then(Json::as_array).into_iter().flatten();
    let labels = options.filter_map(|option| option.get("label").and_then(Json::as_str));
    let mut answers: Vec<OfferedAnswer> = Vec::new();
    for label in labels.take(MAX_ANSWERS) {
        answers.push(OfferedAnswer { id: label.to_owned(), label: label.to_owned(), kind: AnswerKind::AllowOnce });
    }
    let (id, label) = (String::new(), "Leave it unanswered".to_owned());
    answers.push(OfferedAnswer { id, label, kind: AnswerKind::RejectOnce });
    answers
}

fn await_answer(call: CallId, request: Json, reason: String, answers: Vec<OfferedAnswer>, out: &mut Vec<ReplyEvent>) {
    let annotation = Annotation::AwaitsAnswer { request, reason: Some(reason), answers };
    out.push(ReplyEvent::Annotation { on: ReplyTarget::Call(call), annotation });
}

/// Returns what a request is about: a list in one line.
fn subject(value: &Json) -> String {
    match value.as_array() {
        Some(list) => list.iter().map(result_text).collect::<Vec<_>>().join("; "),
        None => result_text(value),
    }
}

fn tell_permission(properties: &Json, out: &mut Vec<ReplyEvent>) {
    let word = |key: &str| properties.get(key).and_then(Json::as_str).unwrap_or_default();
    let about = ["permission", "title", "type", "action"].iter().map(|key| word(key)).find(|text| !text.is_empty());
    let patterns = ["patterns", "pattern", "resources"].iter().find_map(|key| properties.get(*key));
    let text = format!(
        "an approval is needed at the server: {} {}",
        about.unwrap_or("a tool"),
        patterns.map(result_text).unwrap_or_default()
    );
    let text = error::to_single_line(&text);
    out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Approval, text });
    annotate(Annotation::Interrupt { interrupts: capped(&Json::from(vec![properties.clone()])) }, out);
}

#[cfg(test)]
mod tests {
    use super::super::super::{DecodeContext, SseFrame};
    use super::*;

    fn decode(session: Option<&str>, events: &[Json]) -> Vec<ReplyEvent> {
        let context = DecodeContext { session: session.map(str::to_owned), ..DecodeContext::default() };
        let (mut decoder, mut out) = ((super::super::DIALECT.decode)(&context), Vec::new());
        for event in events {
            decoder.decode_frame(&SseFrame::data(event.to_string()), &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[expect(clippy::needless_pass_by_value, reason = "values written in place read best")]
    fn event(kind: &str, properties: Json) -> Json {
        json!({"id": "e", "type": kind, "properties": properties})
    }

    /// A turn in which a command waits for a permission that comes in this form.
    fn turn(kind: &str, asked: Json, reply: &str, state: Json) -> Vec<Json> {
        let part = |state: Json| {
            let part = json!({"id": "p", "messageID": "m", "sessionID": "s", "type": "tool", "tool": "bash",
                "callID": "c", "state": state});
            event("message.part.updated", json!({ "part": part }))
        };
        vec![
            event("server.connected", json!({})),
            event("message.updated", json!({"info": {"id": "m", "sessionID": "s", "role": "assistant"}})),
            part(json!({"status": "running", "input": {"command": "ls"}})),
            event(kind, asked),
            event(
                "permission.replied",
                json!({"sessionID": "s", "requestID": "per", "permissionID": "per",
                "reply": reply, "response": reply}),
            ),
            part(state),
            event(
                "message.updated",
                json!({"info": {"id": "m", "sessionID": "s", "role": "assistant",
                "finish": "stop"}}),
            ),
            event("session.idle", json!({"sessionID": "s"})),
        ]
    }

    fn gist(events: &[ReplyEvent]) -> Vec<String> {
        let line = |event: &ReplyEvent| match event {
            ReplyEvent::ToolCallReady { call, name, args, .. } => Some(format!("{call} {name} {args}")),
            ReplyEvent::Annotation { on: ReplyTarget::Call(call), annotation } => match annotation {
                Annotation::AwaitsAnswer { request, reason, answers } => {
                    let answers: Vec<&str> = answers.iter().map(|answer| answer.label.as_str()).collect();
                    let reason = reason.as_deref().unwrap_or_default();
                    Some(format!("{call}? {} {reason} {answers:?}", request["ask"].as_str().unwrap_or_default()))
                }
                Annotation::Running {} => Some(format!("{call} runs")),
                _ => None,
            },
            ReplyEvent::ToolCallFinished { call, outcome, output, .. } => {
                Some(format!("{call} {} {}", outcome.name(), output.text))
            }
            ReplyEvent::Notice { code, .. } => Some(format!("notice {code:?}")),
            ReplyEvent::End { outcome } => Some(format!("{outcome:?}")),
            _ => None,
        };
        events.iter().filter_map(line).collect()
    }

    #[test]
    fn both_generations_of_permissions_are_asked_of_their_call() {
        let new = json!({"id": "per", "sessionID": "s", "permission": "bash", "patterns": ["ls", "rm x"],
            "metadata": {}, "always": [], "tool": {"messageID": "m", "callID": "c"}});
        let old = json!({"id": "per", "sessionID": "s", "type": "bash", "pattern": ["ls", "rm x"],
            "messageID": "m", "callID": "c", "title": "ls && rm x", "metadata": {}});
        for (kind, asked) in [("permission.asked", new), ("permission.updated", old)] {
            let done = json!({"status": "completed", "input": {"command": "ls"}, "output": "a"});
            let told = gist(&decode(Some("s"), &turn(kind, asked.clone(), "once", done)));
            let question = format!("c? {kind} bash: ls; rm x []");
            let expected = [r#"c bash {"command":"ls"}"#, &question, "c runs", "c ok a", "Completed"];
            assert_eq!(told, expected);
            let refused = json!({"status": "error", "input": {}, "error": "rejected"});
            let told = gist(&decode(Some("s"), &turn(kind, asked.clone(), "reject", refused.clone())));
            assert_eq!(told[2..], ["c denied rejected", "Completed"]);
            let watched = gist(&decode(None, &turn(kind, asked, "reject", refused)));
            assert_eq!(watched[1], "notice Approval", "nobody here can answer for a session of others");
        }
    }

    #[test]
    fn a_permission_of_a_call_that_was_not_told_stands_for_it() {
        let asked = json!({"id": "per", "sessionID": "s", "permission": "webfetch", "patterns": ["http://x"]});
        let events = [event("server.connected", json!({})), event("permission.asked", asked)];
        let told = gist(&decode(Some("s"), &events));
        assert!(told[0].starts_with("per webfetch {"), "{told:?}");
        assert_eq!(told[1], "per? permission.asked webfetch: http://x []");
    }

    #[test]
    fn a_permission_that_comes_before_its_call_waits_for_it() {
        let asked = json!({"id": "per", "sessionID": "s", "permission": "bash", "patterns": ["ls"],
            "tool": {"messageID": "m", "callID": "c"}});
        let mut events = turn("permission.asked", asked, "once", json!({"status": "completed", "output": "a"}));
        events.swap(2, 3);
        let told = gist(&decode(Some("s"), &events));
        assert_eq!(told[..2], [r#"c bash {"command":"ls"}"#, "c? permission.asked bash: ls []"]);
        // A call that is not told is asked about all the same.
        events[3] = event("server.heartbeat", json!({}));
        let told = gist(&decode(Some("s"), &events));
        assert!(told[0].starts_with(r#"c bash {"permission":"bash""#), "{told:?}");
    }

    #[test]
    fn questions_are_asked_with_their_answers() {
        let options = json!([{"label": "red", "description": ""}, {"label": "blue", "description": ""}]);
        let asked = json!({"id": "que", "sessionID": "s", "questions": [
            {"question": "Which?", "header": "Colour", "options": options}, {"question": "Why?", "options": []}]});
        let events = [
            event("server.connected", json!({})),
            event("question.asked", asked),
            event("question.replied", json!({"sessionID": "s", "requestID": "que", "answers": [["red"], ["so"]]})),
        ];
        let told = gist(&decode(Some("s"), &events));
        let asked: Vec<&String> = told.iter().filter(|line| line.contains('?') && !line.contains('{')).collect();
        let left = "Leave it unanswered";
        assert_eq!(
            asked,
            [
                &format!(r#"que#0? question.asked Which? ["red", "blue", "{left}"]"#),
                &format!(r#"que#1? question.asked Why? ["{left}"]"#),
            ]
        );
        assert!(told.contains(&"que#0 ok red".to_owned()) && told.contains(&"que#1 ok so".to_owned()), "{told:?}");
    }

    #[test]
    fn other_sessions_are_not_told_but_for_those_that_work_for_ours() {
        let text = |session: &str, message: &str, text: &str| {
            let part = json!({"id": format!("p-{message}"), "messageID": message, "sessionID": session,
                "type": "text", "text": text, "time": {"start": 1}});
            event("message.part.updated", json!({ "part": part }))
        };
        let events = [
            event("server.connected", json!({})),
            event("session.created", json!({"info": {"id": "child", "parentID": "s"}})),
            text("other", "m1", "theirs"),
            text("s", "m2", "ours"),
            text("child", "m3", "its"),
            event("session.idle", json!({"sessionID": "other"})),
        ];
        let said: Vec<String> = decode(Some("s"), &events)
            .into_iter()
            .filter_map(|event| match event {
                ReplyEvent::TextDelta { text, .. } => Some(text),
                _ => None,
            })
            .collect();
        assert_eq!(said, ["ours", "its"]);
    }
}
