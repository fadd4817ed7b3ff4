//! PURE. Parses a chat of the AI SDK: a list of `UIMessage`s, whose parts are texts, files and calls with their results.
//!
//! `tools` and `system` are what assistant-ui's transport adds: with tools the model gets those of the client.

use crate::dialect::ai_sdk::encode::parse_approval_id;
use crate::event::{CallId, CallOutcome, Decision, Json, PromptContext, PromptImage, Risk, SessionId, ToolSpec};
use crate::serve::error::ApiError;
use crate::serve::fields::{self, Fields, get_array, get_bool_at, get_object_at, get_string, get_value, wrong_type};
use crate::serve::image_parts::ClientPrompt;
use crate::serve::request::{HistoryBuilder, OneShotRequest};

/// A parsed request.
#[derive(Debug)]
pub(super) struct UiChatRequest {
    /// As the client calls its chat; empty where it doesn't.
    pub(super) chat: String,
    pub(super) work: UiWork,
}

#[derive(Debug)]
pub(super) enum UiWork {
    Prompt(Box<OneShotRequest>),
    /// Answers to what the last message asks; the answer goes on with that message.
    Approvals {
        answers: Vec<ApprovalAnswer>,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ApprovalAnswer {
    pub(super) session: SessionId,
    pub(super) call: CallId,
    pub(super) decision: Decision,
}

/// Returns whether a body is a chat of the AI SDK: its messages have parts.
pub(super) fn is_ui_chat(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Json>(body) else { return false };
    let last = body.get("messages").and_then(Json::as_array).and_then(|messages| messages.last());
    last.is_some_and(|message| message.get("parts").is_some_and(Json::is_array))
}

/// Parses a request's body.
pub(super) fn parse(body: &[u8]) -> Result<UiChatRequest, ApiError> {
    let fields = fields::parse_object(body)?;
    let chat = get_string(&fields, "id", "")?.unwrap_or_default().to_owned();
    let messages = get_array(&fields, "messages", "")?;
    let Some(Json::Object(last)) = messages.last() else {
        return Err(ApiError::bad_request("messages must end with a message").with_param("messages"));
    };
    let answers = approval_answers(last)?;
    if !answers.is_empty() {
        let message = get_string(last, "id", "messages")?.unwrap_or_default().to_owned();
        return Ok(UiChatRequest { chat, work: UiWork::Approvals { answers, message } });
    }
    let mut history = HistoryBuilder::new();
    let mut prompt = None;
    for (nth, message) in messages.iter().enumerate() {
        let at = format!("messages[{nth}]");
        let Json::Object(message) = message else { return Err(wrong_type(&at, "an object")) };
        let is_last = nth + 1 == messages.len();
        match get_string(message, "role", &at)? {
            Some("user") if is_last => prompt = Some(user_message(message, &at)?),
            Some("user") => history.add_prompt(user_message(message, &at)?),
            Some("assistant") => add_assistant_message(message, &at, &mut history)?,
            // Of the client's own; the agent has its own system prompt.
            Some("system") => {}
            _ => return Err(wrong_type(&format!("{at}.role"), "user, assistant or system")),
        }
    }
    let prompt_text = prompt.as_ref().map(|prompt| prompt.text.clone());
    if prompt_text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        return Err(ApiError::bad_request("the last message has no text").with_param("messages"));
    }
    let request = OneShotRequest {
        history: history.into_events(),
        prompt: prompt_text,
        images: prompt.map(|prompt| prompt.images).unwrap_or_default(),
        system_prompt: get_string(&fields, "system", "")?.filter(|text| !text.is_empty()).map(str::to_owned),
        model: get_string(&fields, "model", "")?.filter(|model| !model.is_empty()).map(str::to_owned),
        client_tools: client_tools(&fields)?,
        ..OneShotRequest::default()
    };
    Ok(UiChatRequest { chat, work: UiWork::Prompt(Box::new(request)) })
}

/// Returns what the client answers to the approvals that a message asks for.
fn approval_answers(message: &Fields) -> Result<Vec<ApprovalAnswer>, ApiError> {
    let mut answers = Vec::new();
    for (nth, part) in get_array(message, "parts", "messages")?.iter().enumerate() {
        let at = format!("parts[{nth}]");
        let Json::Object(part) = part else { continue };
        if get_string(part, "state", &at)? != Some("approval-responded") {
            continue;
        }
        let Some(approval) = get_object_at(part, "approval", &at)? else { continue };
        let id = get_string(approval, "id", &at)?.unwrap_or_default();
        let Some((session, call)) = parse_approval_id(id) else {
            return Err(wrong_type(&format!("{at}.approval.id"), "the id of an approval of this server"));
        };
        let reason = get_string(approval, "reason", &at)?.map(str::to_owned);
        let is_approved = get_bool_at(approval, "approved", &at)?.unwrap_or_default();
        let decision = if is_approved { Decision::Once } else { Decision::Deny(reason) };
        answers.push(ApprovalAnswer { session: SessionId::from(session), call, decision });
    }
    Ok(answers)
}

fn user_message(message: &Fields, at: &str) -> Result<ClientPrompt, ApiError> {
    let mut prompt = ClientPrompt::default();
    // Version 4 had the text beside the parts.
    let parts = get_array(message, "parts", at)?;
    if parts.is_empty() {
        prompt.text.push_str(get_string(message, "content", at)?.unwrap_or_default());
    }
    for (nth, part) in parts.iter().enumerate() {
        let at = format!("{at}.parts[{nth}]");
        let Json::Object(part) = part else { return Err(wrong_type(&at, "an object")) };
        match get_string(part, "type", &at)? {
            Some("text") => prompt.text.push_str(get_string(part, "text", &at)?.unwrap_or_default()),
            Some("file") => push_file(part, &at, &mut prompt)?,
            _ => {}
        }
    }
    Ok(prompt)
}

fn push_file(part: &Fields, at: &str, prompt: &mut ClientPrompt) -> Result<(), ApiError> {
    let unsupported = |why: &str| {
        let text = format!("{at}: {why}; send images in data: addresses, in base64");
        ApiError::new(400, "unsupported_content", text).with_param(at)
    };
    let url = get_string(part, "url", at)?.unwrap_or_default();
    let image = PromptImage::from_data_url(url).map_err(|why| unsupported(&why))?;
    let name = get_string(part, "filename", at)?.filter(|name| !name.is_empty()).map(str::to_owned);
    let name = name.unwrap_or_else(|| format!("image {}", prompt.images.len() + 1));
    prompt.images.push(PromptContext::from_image(name, image));
    Ok(())
}

/// A call in a message of the assistant.
struct UiCall {
    id: String,
    name: String,
    args: String,
    result: Option<(String, CallOutcome)>,
}

/// Adds a message of the assistant, a step at a time.
fn add_assistant_message(message: &Fields, at: &str, history: &mut HistoryBuilder) -> Result<(), ApiError> {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for (nth, part) in get_array(message, "parts", at)?.iter().enumerate() {
        let at = format!("{at}.parts[{nth}]");
        let Json::Object(part) = part else { return Err(wrong_type(&at, "an object")) };
        let kind = get_string(part, "type", &at)?.unwrap_or_default();
        let ends_step = kind == "step-start" || (kind == "text" && !calls.is_empty());
        if ends_step {
            add_step(&std::mem::take(&mut text), std::mem::take(&mut calls), history);
        }
        if kind == "text" {
            text.push_str(get_string(part, "text", &at)?.unwrap_or_default());
        } else if let Some(call) = read_call(kind, part, &at)? {
            calls.push(call);
        }
    }
    add_step(&text, calls, history);
    Ok(())
}

fn read_call(kind: &str, part: &Fields, at: &str) -> Result<Option<UiCall>, ApiError> {
    let name = match kind.strip_prefix("tool-") {
        Some(name) => name,
        None if kind == "dynamic-tool" => get_string(part, "toolName", at)?.unwrap_or_default(),
        None => return Ok(None),
    };
    let id = get_string(part, "toolCallId", at)?.unwrap_or_default().to_owned();
    let args = get_value(part, "input").map_or_else(|| "{}".to_owned(), Json::to_string);
    let result = match get_string(part, "state", at)? {
        Some("output-available") => {
            let output = get_value(part, "output").map(as_text).unwrap_or_default();
            Some((output, CallOutcome::Ok))
        }
        Some("output-error") => {
            let text = get_string(part, "errorText", at)?.unwrap_or_default().to_owned();
            Some((text, CallOutcome::Failed))
        }
        Some("output-denied") => Some(("denied".to_owned(), CallOutcome::Denied)),
        _ => None,
    };
    Ok(Some(UiCall { id, name: name.to_owned(), args, result }))
}

fn as_text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn add_step(text: &str, calls: Vec<UiCall>, history: &mut HistoryBuilder) {
    if text.is_empty() && calls.is_empty() {
        return;
    }
    let told = calls.iter().map(|call| (call.id.clone(), call.name.clone(), call.args.clone()));
    history.add_assistant_message(text, told.collect::<Vec<_>>());
    for UiCall { id, result, .. } in calls {
        if let Some((output, outcome)) = result {
            history.add_tool_result(&id, output, outcome);
        }
    }
}

/// Returns the client's tools: an object of them by name, as assistant-ui sends it.
fn client_tools(fields: &Fields) -> Result<Option<Vec<ToolSpec>>, ApiError> {
    let Some(tools) = get_object_at(fields, "tools", "")?.filter(|tools| !tools.is_empty()) else { return Ok(None) };
    let mut specs = Vec::new();
    for (name, tool) in tools {
        let at = format!("tools.{name}");
        let Json::Object(tool) = tool else { return Err(wrong_type(&at, "an object")) };
        let schema = get_object_at(tool, "parameters", &at)?.cloned().map(Json::Object);
        specs.push(ToolSpec {
            name: name.clone(),
            description: get_string(tool, "description", &at)?.unwrap_or_default().to_owned(),
            parameters: schema.unwrap_or_else(|| serde_json::json!({"type": "object", "properties": {}})),
            // It never runs here.
            risk: Risk::ReadOnly,
        });
    }
    Ok(Some(specs))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::AgentEvent;
    use crate::testkit::images::PNG_2X3;

    fn parsed(body: &Json) -> UiChatRequest {
        parse(body.to_string().as_bytes()).unwrap()
    }

    fn request(body: &Json) -> OneShotRequest {
        match parsed(body).work {
            UiWork::Prompt(request) => *request,
            UiWork::Approvals { answers, .. } => panic!("{answers:?}"),
        }
    }

    fn user(text: &str) -> Json {
        json!({"id": "u", "role": "user", "parts": [{"type": "text", "text": text}]})
    }

    #[test]
    fn a_conversation_becomes_a_history_and_a_prompt() {
        let image = PromptImage::new(PNG_2X3).unwrap();
        let body = json!({"id": "chat-1", "trigger": "submit-message", "messages": [
            user("list"),
            {"id": "a", "role": "assistant", "parts": [
                {"type": "step-start"},
                {"type": "reasoning", "text": "hm"},
                {"type": "text", "text": "I look."},
                {"type": "dynamic-tool", "toolName": "list_dir", "toolCallId": "c1", "state": "output-available",
                    "input": {"path": "."}, "output": "a\nb"},
                {"type": "tool-shell", "toolCallId": "c2", "state": "output-error", "input": {}, "errorText": "no"},
                {"type": "step-start"},
                {"type": "text", "text": "Two."},
            ]},
            {"id": "u2", "role": "user", "parts": [
                {"type": "text", "text": "thanks"},
                {"type": "file", "mediaType": "image/png", "url": image.data_url(), "filename": "a.png"},
            ]},
        ]});
        assert_eq!(parsed(&body).chat, "chat-1");
        let request = request(&body);
        assert_eq!((request.prompt.as_deref(), request.images.len()), (Some("thanks"), 1));
        assert_eq!(request.images[0].name, "a.png");
        let (mut texts, mut results) = (Vec::new(), Vec::new());
        for event in &request.history {
            match event {
                AgentEvent::UserMessage { text, .. } | AgentEvent::TextDelta { text, .. } => texts.push(text.as_str()),
                AgentEvent::ToolCallFinished { outcome, output, .. } => results.push((*outcome, output.text.as_str())),
                _ => {}
            }
        }
        assert_eq!(texts, ["list", "I look.", "Two."]);
        assert_eq!(results, [(CallOutcome::Ok, "a\nb"), (CallOutcome::Failed, "no")]);
    }

    #[test]
    fn results_of_the_clients_tools_are_gone_on_with() {
        let body = json!({
            "messages": [user("add"), {"id": "a", "role": "assistant", "parts": [
                {"type": "tool-sum", "toolCallId": "c", "state": "output-available", "input": {"x": 1}, "output": {"y": 2}},
            ]}],
            "tools": {"sum": {"description": "adds", "parameters": {"type": "object"}}},
            "system": "Be brief.",
        });
        let request = request(&body);
        assert_eq!((request.prompt, request.system_prompt.as_deref()), (None, Some("Be brief.")));
        assert_eq!(request.client_tools.unwrap()[0].name, "sum");
    }

    #[test]
    fn an_answered_approval_goes_on_with_its_turn() {
        let part = |approval: Json| {
            json!({"type": "dynamic-tool", "toolName": "shell", "toolCallId": "c/1", "state": "approval-responded",
                "input": {}, "approval": approval})
        };
        let answered = |approval: Json| {
            let message = json!({"id": "a", "role": "assistant", "parts": [part(approval)]});
            parse(json!({"id": "x", "messages": [user("go"), message]}).to_string().as_bytes())
        };
        let answers = |approval: Json| match answered(approval).unwrap().work {
            UiWork::Approvals { answers, message } => (answers, message),
            UiWork::Prompt(request) => panic!("{request:?}"),
        };
        let answer = |decision| ApprovalAnswer { session: "s1".into(), call: "c/1".into(), decision };
        let (got, message) = answers(json!({"id": "s1/c/1", "approved": true}));
        assert_eq!((got, message.as_str()), (vec![answer(Decision::Once)], "a"));
        let (got, _) = answers(json!({"id": "s1/c/1", "approved": false, "reason": "no"}));
        assert_eq!(got, [answer(Decision::Deny(Some("no".into())))]);
        assert_eq!(answered(json!({"id": "odd", "approved": true})).unwrap_err().status, 400);
    }

    #[test]
    fn a_chat_is_told_from_those_of_other_formats() {
        let is_one = |body: Json| is_ui_chat(body.to_string().as_bytes());
        assert!(is_one(json!({"id": "c", "messages": [user("hi")]})));
        for other in [
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
            json!({"model": "m", "messages": []}),
            json!({"messages": "hi"}),
            json!([]),
        ] {
            assert!(!is_one(other));
        }
        assert!(!is_ui_chat(b"{"));
    }

    #[test]
    fn what_is_no_chat_is_refused_by_name() {
        for (body, param) in [
            (json!({}), Some("messages")),
            (json!({"messages": []}), Some("messages")),
            (json!({"messages": [user(" ")]}), Some("messages")),
            (json!({"messages": [{"role": "tool", "parts": []}]}), Some("messages[0].role")),
            (json!({"messages": [user("a")], "id": 3}), Some("id")),
            (
                json!({"messages": [{"role": "user", "parts": [{"type": "file", "url": "https://h/a.png"}]}]}),
                Some("messages[0].parts[0]"),
            ),
            (json!([]), None),
        ] {
            assert_eq!(parse(body.to_string().as_bytes()).unwrap_err().param.as_deref(), param, "{body}");
        }
    }
}
