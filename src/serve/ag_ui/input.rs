//! PURE. Parses a `RunAgentInput`: the conversation, the client's tools, what it knows, and answers to interrupts.
//!
//! Source: `RunAgentInput`, `Message` and `ResumeEntry` of the npm package `@ag-ui/core`.

use crate::dialect::agui::encode::parse_interrupt_id;
use crate::event::{
    CallId, CallOutcome, Decision, Json, PromptContext, PromptContextKind, PromptImage, Risk, SessionId, ToolSpec,
};
use crate::serve::error::ApiError;
use crate::serve::fields::{self, Fields, get_array, get_object, get_object_at, get_string, get_value, wrong_type};
use crate::serve::image_parts::ClientPrompt;
use crate::serve::request::{HistoryBuilder, OneShotRequest};

/// A parsed request.
#[derive(Debug)]
pub(super) struct AgUiInput {
    pub(super) thread_id: String,
    pub(super) run_id: String,
    pub(super) work: AgUiWork,
}

#[derive(Debug)]
pub(super) enum AgUiWork {
    Run(Box<OneShotRequest>),
    /// Answers to interrupts of an earlier run; this one goes on with its turn.
    Resume(Vec<ResumedCall>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResumedCall {
    pub(super) session: SessionId,
    pub(super) call: CallId,
    pub(super) decision: Decision,
}

/// Parses a request's body.
pub(super) fn parse(body: &[u8]) -> Result<AgUiInput, ApiError> {
    let fields = fields::parse_object(body)?;
    let word = |name: &str| get_string(&fields, name, "").map(|word| word.unwrap_or_default().to_owned());
    let (thread_id, run_id) = (word("threadId")?, word("runId")?);
    let answers = resumed_calls(&fields)?;
    if !answers.is_empty() {
        return Ok(AgUiInput { thread_id, run_id, work: AgUiWork::Resume(answers) });
    }
    let mut history = HistoryBuilder::new();
    let (mut prompt, mut system) = (None, String::new());
    let messages = get_array(&fields, "messages", "")?;
    let conversation = messages.iter().rposition(is_said);
    for (nth, message) in messages.iter().enumerate() {
        let at = format!("messages[{nth}]");
        let Json::Object(message) = message else { return Err(wrong_type(&at, "an object")) };
        match get_string(message, "role", &at)?.unwrap_or_default() {
            "user" if conversation == Some(nth) => prompt = Some(user_message(message, &at)?),
            "user" => history.add_prompt(user_message(message, &at)?),
            "assistant" => add_assistant_message(message, &at, &mut history)?,
            "tool" => add_result(message, &at, &mut history)?,
            "system" | "developer" => {
                get_string(message, "content", &at)?.unwrap_or_default().clone_into(&mut system);
            }
            // What is shown besides, and what the model thought.
            "activity" | "reasoning" => {}
            _ => return Err(wrong_type(&format!("{at}.role"), "a role of AG-UI")),
        }
    }
    if conversation.is_none() || prompt.as_ref().is_some_and(|prompt| prompt.text.trim().is_empty()) {
        return Err(ApiError::bad_request("messages must hold a message of the user").with_param("messages"));
    }
    let (text, mut attached) = prompt.map_or((None, Vec::new()), |prompt| (Some(prompt.text), prompt.images));
    attached.extend(known_context(&fields)?);
    let forwarded = get_object(&fields, "forwardedProps")?;
    let model = forwarded.map(|props| get_string(props, "model", "forwardedProps")).transpose()?.flatten();
    let request = OneShotRequest {
        history: history.into_events(),
        prompt: text,
        images: attached,
        system_prompt: Some(system).filter(|system| !system.is_empty()),
        model: model.filter(|model| !model.is_empty()).map(str::to_owned),
        client_tools: client_tools(&fields)?,
        ..OneShotRequest::default()
    };
    Ok(AgUiInput { thread_id, run_id, work: AgUiWork::Run(Box::new(request)) })
}

/// Returns whether a message is part of the conversation.
fn is_said(message: &Json) -> bool {
    matches!(message.get("role").and_then(Json::as_str), Some("user" | "assistant" | "tool"))
}

fn resumed_calls(fields: &Fields) -> Result<Vec<ResumedCall>, ApiError> {
    let mut answers = Vec::new();
    for (nth, entry) in get_array(fields, "resume", "")?.iter().enumerate() {
        let at = format!("resume[{nth}]");
        let Json::Object(entry) = entry else { return Err(wrong_type(&at, "an object")) };
        let id = get_string(entry, "interruptId", &at)?.unwrap_or_default();
        let Some((session, call)) = parse_interrupt_id(id) else {
            return Err(wrong_type(&format!("{at}.interruptId"), "the id of an interrupt of this server"));
        };
        let payload = get_value(entry, "payload");
        let is_resolved = get_string(entry, "status", &at)? == Some("resolved");
        let decision = if is_resolved && payload.is_some_and(is_approved) {
            Decision::Once
        } else {
            Decision::Deny(payload.and_then(|payload| payload.get("reason")?.as_str()).map(str::to_owned))
        };
        answers.push(ResumedCall { session: SessionId::from(session), call, decision });
    }
    Ok(answers)
}

fn is_approved(payload: &Json) -> bool {
    payload.as_bool().or_else(|| payload.get("approved")?.as_bool()).unwrap_or_default()
}

fn user_message(message: &Fields, at: &str) -> Result<ClientPrompt, ApiError> {
    let mut prompt = ClientPrompt::default();
    let parts = match get_value(message, "content") {
        None => return Ok(prompt),
        Some(Json::String(text)) => return Ok(text.as_str().into()),
        Some(Json::Array(parts)) => parts,
        Some(_) => return Err(wrong_type(&format!("{at}.content"), "a string or an array")),
    };
    for (nth, part) in parts.iter().enumerate() {
        let at = format!("{at}.content[{nth}]");
        let Json::Object(part) = part else { return Err(wrong_type(&at, "an object")) };
        match get_string(part, "type", &at)? {
            Some("text") => prompt.text.push_str(get_string(part, "text", &at)?.unwrap_or_default()),
            Some("image" | "binary") => {
                let image = read_image(part, &at)?;
                let name = format!("image {}", prompt.images.len() + 1);
                prompt.images.push(PromptContext::from_image(name, image));
            }
            _ => {
                let text = format!("{at}: only text and images are taken");
                return Err(ApiError::new(400, "unsupported_content", text).with_param(at));
            }
        }
    }
    Ok(prompt)
}

/// Reads an image: in base64 in its `source` or its `data`, the older form.
fn read_image(part: &Fields, at: &str) -> Result<PromptImage, ApiError> {
    let source = get_object_at(part, "source", at)?.unwrap_or(part);
    let data = get_string(source, "value", at)?.or(get_string(source, "data", at)?).unwrap_or_default();
    let url = get_string(source, "url", at)?.unwrap_or(data);
    let read = if url.starts_with("data:") { PromptImage::from_data_url(url) } else { PromptImage::from_base64(data) };
    read.map_err(|why| {
        let text = format!("{at}: {why}; send images in base64");
        ApiError::new(400, "unsupported_content", text).with_param(at)
    })
}

fn add_assistant_message(message: &Fields, at: &str, history: &mut HistoryBuilder) -> Result<(), ApiError> {
    let text = get_string(message, "content", at)?.unwrap_or_default();
    let mut calls = Vec::new();
    for (nth, call) in get_array(message, "toolCalls", at)?.iter().enumerate() {
        let at = format!("{at}.toolCalls[{nth}]");
        let Json::Object(call) = call else { return Err(wrong_type(&at, "an object")) };
        let Some(function) = get_object_at(call, "function", &at)? else { continue };
        let word =
            |fields: &Fields, name: &str| get_string(fields, name, &at).map(|word| word.unwrap_or_default().to_owned());
        calls.push((word(call, "id")?, word(function, "name")?, word(function, "arguments")?));
    }
    if !text.is_empty() || !calls.is_empty() {
        history.add_assistant_message(text, calls);
    }
    Ok(())
}

fn add_result(message: &Fields, at: &str, history: &mut HistoryBuilder) -> Result<(), ApiError> {
    let call = get_string(message, "toolCallId", at)?.unwrap_or_default();
    let output = match get_value(message, "content") {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let outcome = if get_value(message, "error").is_some() { CallOutcome::Failed } else { CallOutcome::Ok };
    if history.add_tool_result(call, output, outcome) {
        return Ok(());
    }
    let text = format!("{at}: no call {call:?} waits for a result");
    Err(ApiError::bad_request(text).with_param(format!("{at}.toolCallId")))
}

/// Returns what the client knows: it goes with the prompt.
fn known_context(fields: &Fields) -> Result<Vec<PromptContext>, ApiError> {
    let mut known = Vec::new();
    for (nth, entry) in get_array(fields, "context", "")?.iter().enumerate() {
        let at = format!("context[{nth}]");
        let Json::Object(entry) = entry else { return Err(wrong_type(&at, "an object")) };
        let text = match get_value(entry, "value") {
            Some(Json::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => continue,
        };
        let name = get_string(entry, "description", &at)?.unwrap_or_default().to_owned();
        known.push(PromptContext { kind: PromptContextKind::File, name, text });
    }
    Ok(known)
}

fn client_tools(fields: &Fields) -> Result<Option<Vec<ToolSpec>>, ApiError> {
    let mut specs: Vec<ToolSpec> = Vec::new();
    for (nth, tool) in get_array(fields, "tools", "")?.iter().enumerate() {
        let at = format!("tools[{nth}]");
        let Json::Object(tool) = tool else { return Err(wrong_type(&at, "an object")) };
        let name = fields::get_required_string(tool, "name", &at)?;
        if name.is_empty() || specs.iter().any(|known| known.name == name) {
            return Err(wrong_type(&format!("{at}.name"), "a unique name"));
        }
        let schema = get_object_at(tool, "parameters", &at)?.filter(|schema| !schema.is_empty()).cloned();
        specs.push(ToolSpec {
            name: name.to_owned(),
            description: get_string(tool, "description", &at)?.unwrap_or_default().to_owned(),
            parameters: schema.map_or_else(|| serde_json::json!({"type": "object", "properties": {}}), Json::Object),
            // It never runs here.
            risk: Risk::ReadOnly,
        });
    }
    Ok(Some(specs).filter(|specs| !specs.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::AgentEvent;
    use crate::testkit::images::PNG_2X3;

    fn parsed(body: &Json) -> Result<AgUiInput, ApiError> {
        parse(body.to_string().as_bytes())
    }

    fn request(body: &Json) -> OneShotRequest {
        match parsed(body).unwrap().work {
            AgUiWork::Run(request) => *request,
            AgUiWork::Resume(answers) => panic!("{answers:?}"),
        }
    }

    #[test]
    fn a_conversation_becomes_a_history_and_a_prompt() {
        let image = PromptImage::new(PNG_2X3).unwrap();
        let call = json!({"id": "c1", "type": "function", "function": {"name": "sum", "arguments": "{}"}});
        let body = json!({
            "threadId": "t", "runId": "r", "state": {}, "tools": [], "forwardedProps": {"model": "e/m"},
            "context": [{"description": "The page", "value": "Inbox"}],
            "messages": [
                {"id": "0", "role": "system", "content": "Be brief."},
                {"id": "1", "role": "user", "content": "add"},
                {"id": "2", "role": "assistant", "content": "ok", "toolCalls": [call]},
                {"id": "3", "role": "tool", "toolCallId": "c1", "content": "2"},
                {"id": "4", "role": "activity", "activityType": "PLAN", "content": {}},
                {"id": "5", "role": "user", "content": [
                    {"type": "text", "text": "and this?"},
                    {"type": "image", "source": {"type": "data", "value": image.base64(), "mimeType": "image/png"}},
                ]},
                {"id": "6", "role": "reasoning", "content": "hm"},
            ],
        });
        let parsed = parsed(&body).unwrap();
        assert_eq!((parsed.thread_id.as_str(), parsed.run_id.as_str()), ("t", "r"));
        let request = request(&body);
        assert_eq!((request.prompt.as_deref(), request.model.as_deref()), (Some("and this?"), Some("e/m")));
        assert_eq!((request.system_prompt.as_deref(), request.client_tools), (Some("Be brief."), None));
        let names: Vec<&str> = request.images.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["image 1", "The page"]);
        assert!(
            request
                .history
                .iter()
                .any(|event| matches!(event, AgentEvent::ToolCallFinished { output, .. } if output.text == "2"))
        );
    }

    #[test]
    fn a_result_of_the_clients_tool_is_gone_on_with() {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "sum", "arguments": "{}"}});
        let request = request(&json!({
            "messages": [
                {"role": "user", "content": "add"},
                {"role": "assistant", "toolCalls": [call]},
                {"role": "tool", "toolCallId": "c1", "content": "2", "error": "no"},
            ],
            "tools": [{"name": "sum", "description": "adds", "parameters": {"type": "object"}}],
        }));
        assert_eq!((request.prompt, request.client_tools.unwrap().len()), (None, 1));
        assert!(
            request
                .history
                .iter()
                .any(|event| matches!(event, AgentEvent::ToolCallFinished { outcome: CallOutcome::Failed, .. }))
        );
    }

    #[test]
    fn interrupts_are_answered_in_every_form() {
        let answer = |entry: Json| match parsed(&json!({"messages": [], "resume": [entry]})).unwrap().work {
            AgUiWork::Resume(mut answers) => answers.remove(0),
            AgUiWork::Run(request) => panic!("{request:?}"),
        };
        let resolved = |payload: Json| json!({"interruptId": "s1/c1", "status": "resolved", "payload": payload});
        for (entry, decision) in [
            (resolved(json!({"approved": true})), Decision::Once),
            (resolved(json!(true)), Decision::Once),
            (resolved(json!({"approved": false, "reason": "no"})), Decision::Deny(Some("no".into()))),
            (resolved(json!("yes")), Decision::Deny(None)),
            (json!({"interruptId": "s1/c1", "status": "cancelled"}), Decision::Deny(None)),
            (json!({"interruptId": "s1/c1", "payload": {"approved": true}}), Decision::Deny(None)),
        ] {
            assert_eq!(answer(entry), ResumedCall { session: "s1".into(), call: "c1".into(), decision });
        }
    }

    #[test]
    fn what_is_no_run_is_refused_by_name() {
        let user = json!({"role": "user", "content": "hi"});
        for (body, param) in [
            (json!({}), Some("messages")),
            (json!({"messages": [{"role": "user", "content": ""}]}), Some("messages")),
            (json!({"messages": [{"role": "poet"}, user]}), Some("messages[0].role")),
            (json!({"messages": [{"role": "tool", "toolCallId": "x"}]}), Some("messages[0].toolCallId")),
            (json!({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}), Some("messages[0].content[0]")),
            (json!({"messages": [user], "tools": [{"name": "a"}, {"name": "a"}]}), Some("tools[1].name")),
            (json!({"resume": [{"interruptId": "x"}]}), Some("resume[0].interruptId")),
            (json!([]), None),
        ] {
            assert_eq!(parsed(&body).unwrap_err().param.as_deref(), param, "{body}");
        }
    }
}
