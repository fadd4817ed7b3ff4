//! A call of a server's tool: sent once, its progress passed on, its cancellation told to the server.
//!
//! A call that was sent is never sent again, however it ends: nobody knows how much of it was done.

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, InputRequest, InputRequiredResult, InputResponses,
    ServerResult,
};
use rmcp::service::{PeerRequestOptions, ServiceError};

use super::client::{RunningCall, roots};
use super::connection::{Connection, failure};
use super::content::tool_result;
use super::elicit::answer_elicitation;
use crate::event::Json;
use crate::tool::{ToolContext, ToolResult};

/// How often a server may ask back before it answers.
const MAX_ROUNDS: usize = 10;
const CANCELLED: &str = "cancelled; the server was told, and may have done some of it";

/// Runs a call.
pub(super) async fn call_tool(connection: &Connection, tool: &str, args: &Json, ctx: &ToolContext) -> ToolResult {
    let mut params = CallToolRequestParams::new(tool.to_owned());
    params.arguments = match args {
        Json::Object(members) => Some(members.clone()),
        Json::Null => None,
        _ => return ToolResult::failed("the arguments must be a JSON object"),
    };
    for _ in 0..MAX_ROUNDS {
        let result = match send(connection, params.clone(), ctx).await {
            Ok(Some(result)) => result,
            Ok(None) => return ToolResult::cancelled(CANCELLED),
            Err(error) => return ToolResult::failed(failure(&error)),
        };
        match result {
            ServerResult::CallToolResult(result) => return tool_result(result),
            ServerResult::InputRequiredResult(asked) => match answer(connection, asked, ctx).await {
                Ok((responses, state)) => {
                    params.input_responses = Some(responses).filter(|responses| !responses.is_empty());
                    params.request_state = state;
                }
                Err(why) => return ToolResult::failed(why),
            },
            ServerResult::EmptyResult(_) => return ToolResult::ok("(no output)"),
            ServerResult::CreateTaskResult(_) => {
                return ToolResult::failed("the server answers later, as a task; that is not supported here");
            }
            _ => return ToolResult::failed("the server's answer is none to a call of a tool"),
        }
    }
    ToolResult::failed(format!("the server asked back {MAX_ROUNDS} times without an answer"))
}

/// Sends a call and waits for the answer; `None` if it was cancelled.
async fn send(
    connection: &Connection,
    params: CallToolRequestParams,
    ctx: &ToolContext,
) -> Result<Option<ServerResult>, ServiceError> {
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let client = connection.service.service();
    let mut sent = connection.service.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
    let token = sent.progress_token.clone();
    {
        let mut calls = client.calls();
        let number = calls.values().map(RunningCall::number).max().map_or(0, |last| last + 1);
        calls.insert(token.clone(), RunningCall::new(ctx, number));
    }
    let answered = tokio::select! {
        biased;
        answer = &mut sent.rx => Some(answer.unwrap_or(Err(ServiceError::TransportClosed))),
        () = ctx.cancel.cancelled() => None,
    };
    client.calls().remove(&token);
    if let Some(answer) = answered {
        return answer.map(Some);
    }
    // Where nothing can be told any more, nothing runs either.
    let _ = sent.cancel(Some("the person stopped it".to_owned())).await;
    Ok(None)
}

/// Answers what a server asks before it goes on.
async fn answer(
    connection: &Connection,
    asked: InputRequiredResult,
    ctx: &ToolContext,
) -> Result<(InputResponses, Option<String>), String> {
    let mut responses = InputResponses::new();
    for (key, request) in asked.input_requests.unwrap_or_default() {
        let response = match request {
            InputRequest::ListRoots(_) => {
                serde_json::to_value(roots(&connection.service.service().folder)).unwrap_or_default()
            }
            InputRequest::Elicitation(request) => {
                let name = &connection.service.service().name;
                let asking = answer_elicitation(&request.params, name, ctx.ask.as_ref());
                let answer = tokio::select! {
                    answer = asking => answer,
                    () = ctx.cancel.cancelled() => return Err(CANCELLED.to_owned()),
                };
                serde_json::to_value(answer).unwrap_or_default()
            }
            _ => return Err("the server wants to use the model here, which is not supported".to_owned()),
        };
        responses.insert(key, response);
    }
    if responses.is_empty() && asked.request_state.is_none() {
        return Err("the server wants an answer but asks nothing".to_owned());
    }
    Ok((responses, asked.request_state))
}
