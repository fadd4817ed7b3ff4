//! PURE. AG-UI: messages and tools in the protocol's camel case, and the answers to what the agent waits for.
//!
//! Source: `RunAgentInput`, `ContentPart` and `ResumeEntry` of the Python package `ag-ui-protocol`.

use serde_json::json;

use super::RemoteTarget;
use super::interrupts::{InterruptAnswer, answered_interrupts, decision_payload, text_payload};
use super::probe::{ProbeAnswers, ProbedServer, is_path_segment};
use super::protocol::JsonProtocol;
use super::request_kind::RequestKind;
use crate::engine::{HistoryApproval, HistoryCall, HistoryMessage, ModelRequest};
use crate::event::{CallId, Decision, Json, PromptImage};

pub(super) static RUN: RequestKind = RequestKind {
    name: "ag-ui",
    wanted_fields: &[&["threadId", "runId"], &["thread_id", "run_id"]],
    supports_tools: true,
    takes_images: true,
    protocol: Some(|_| JsonProtocol::boxed(body)),
    ..RequestKind::NEW
};

fn body(target: &RemoteTarget, request: &ModelRequest) -> Json {
    let thread = &target.thread_id;
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"id": format!("{thread}-s"), "role": "system", "content": request.system}));
    }
    let is_question = |call: &HistoryCall| {
        call.approval.as_ref().is_some_and(|approval| approval.request.get("questionId").is_some())
    };
    let mut questions: Vec<&CallId> = Vec::new();
    for (index, past) in request.history.iter().enumerate() {
        let id = format!("{thread}-{index}");
        messages.push(match past {
            HistoryMessage::User { text, images } => {
                json!({"id": id, "role": "user", "content": user_content(text, images)})
            }
            HistoryMessage::Assistant { text, calls, .. } => {
                let mut message = json!({"id": id, "role": "assistant", "content": text});
                questions.extend(calls.iter().filter(|call| is_question(call)).map(|call| &call.call));
                let calls: Vec<&HistoryCall> = calls.iter().filter(|call| !is_question(call)).collect();
                if calls.is_empty() && text.is_empty() && !questions.is_empty() {
                    continue;
                }
                if !calls.is_empty() {
                    let call = |call: &HistoryCall| {
                        let function = json!({"name": call.name, "arguments": call.args});
                        json!({"id": call.wire_id(), "type": "function", "function": function})
                    };
                    message["toolCalls"] = calls.into_iter().map(call).collect();
                }
                message
            }
            HistoryMessage::Tool { call, .. } if questions.contains(&call) => continue,
            HistoryMessage::Tool { call, output, .. } => {
                json!({"id": id, "role": "tool", "toolCallId": call.as_str(), "content": output})
            }
        });
    }
    let tools: Vec<Json> = request
        .tools
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters}))
        .collect();
    let run = format!("{thread}-run-{}", request.history.len());
    let mut body = json!({
        "threadId": thread, "runId": run, "state": {}, "messages": messages, "tools": tools, "context": [],
        "forwardedProps": {},
    });
    let resume = resume_entries(request);
    if !resume.is_empty() {
        body["resume"] = resume.into();
    }
    body
}

/// Returns a text, which agents of every version take, or content parts where images go with it.
fn user_content(text: &str, images: &[PromptImage]) -> Json {
    if images.is_empty() {
        return text.into();
    }
    let image = |image: &PromptImage| {
        let source = json!({"type": "data", "value": image.base64(), "mimeType": image.media_type.media_type()});
        json!({"type": "image", "source": source})
    };
    let text = Some(json!({"type": "text", "text": text})).filter(|_| !text.is_empty());
    text.into_iter().chain(images.iter().map(image)).collect()
}

/// Returns an answer to everything that the agent waits for.
fn resume_entries(request: &ModelRequest) -> Vec<Json> {
    let schema =
        |interrupt: &Json| interrupt.get("responseSchema").or_else(|| interrupt.get("response_schema")).cloned();
    let resolved = |interrupt: &Json, payload: Json| {
        interrupt.get("id").map(|id| json!({"interruptId": id, "status": "resolved", "payload": payload}))
    };
    let decided = request.decided_calls().filter_map(|(_, HistoryApproval { request: interrupt, .. }, decision)| {
        let reason = match decision {
            Decision::Deny(reason) => reason.as_deref(),
            Decision::Once
            | Decision::Session
            | Decision::Pattern(_)
            | Decision::Hunks(_)
            | Decision::Offered { .. } => None,
        };
        resolved(interrupt, decision_payload(schema(interrupt).as_ref(), decision.allows(), reason))
    });
    let mut entries: Vec<Json> = decided.collect();
    if let Some(InterruptAnswer { interrupts, text }) = answered_interrupts(request) {
        entries.extend(interrupts.iter().filter_map(|interrupt| {
            // A prompt decides about no call.
            if interrupt.get("toolCallId").or_else(|| interrupt.get("tool_call_id")).is_some_and(Json::is_string) {
                return interrupt.get("id").map(|id| json!({"interruptId": id, "status": "cancelled"}));
            }
            resolved(interrupt, text_payload(schema(interrupt).as_ref(), text))
        }));
    }
    entries
}

/// Identifies a CopilotKit runtime by its list of agents, the first of which is asked.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    ["/info", "/api/copilotkit/info"].into_iter().find_map(|path| {
        let info = answers.get(path).filter(|info| info.get("version").is_some())?;
        let agents = info.get("agents")?.as_object()?;
        let id = agents.keys().find(|id| *id == "default").or_else(|| agents.keys().next())?;
        if !is_path_segment(id) {
            return None;
        }
        let base = path.strip_suffix("/info")?;
        let others = agents.len() - 1;
        let more = if others > 0 { format!(", and {others} more") } else { String::new() };
        Some(ProbedServer {
            description: format!("CopilotKit's agent {id:?}"),
            evidence: format!("{path} lists it{more}"),
            ..answers.server(&RUN, &format!("{base}/agent/{id}/run"))
        })
    })
}
