//! Our tools, and our agent, for a client of the Model Context Protocol over standard streams.
//!
//! The rules of the settings hold as anywhere. What would ask becomes a question to the client's person (an elicitation);
//! where the client can't ask, the call is denied. Not here: rules, and how a session runs; both are handed in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ElicitRequest, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationSchema, ErrorData, Implementation, InputRequest, InputRequiredResult,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, ServerCapabilities,
    ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer, ServiceExt as _};
use rmcp::transport::async_rw::AsyncRwTransport;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::CLIENT_NAME;
use crate::event::{ApprovalRequest, CallOutcome, Json, Risk, ToolKind};
use crate::text::one_line;
use crate::text::visible::visible;
use crate::tool::truncate::truncate_middle;
use crate::tool::{Registry, ToolContext, ToolProgress, ToolResult};

/// The tool that asks the agent.
const ASK_AGENT: &str = "ask_agent";
const APPROVAL_KEY: &str = "approval";
const NOBODY_TO_ASK: &str = "this needs an approval, and the client has nobody to ask (it does not support \
                             elicitation); allow it with --approval-mode or a rule in [approvals] allow";
const DENIED: &str = "the person denied it";
/// Questions whose answer has not come; the oldest of more are forgotten.
const MAX_OPEN_QUESTIONS: usize = 64;
const MAX_DETAIL_BYTES: usize = 4096;
const MAX_PROGRESS_CELLS: usize = 200;

/// What the rules say about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallVerdict {
    Allow,
    Ask,
    /// With the reason.
    Deny(String),
}

/// Judges a call by its tool, kind, risk and subject.
pub type JudgeCall = Arc<dyn Fn(&str, ToolKind, Risk, &str) -> CallVerdict + Send + Sync>;

/// Makes what a call of a tool may use; the flag says whether a person allowed it.
pub type MakeContext =
    Arc<dyn Fn(&str, bool, mpsc::Sender<ToolProgress>, CancellationToken) -> ToolContext + Send + Sync>;

/// Has the agent answer a prompt.
pub type AskAgent = Arc<dyn Fn(AgentQuestion) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Asks the client's person about a call of the agent; an error is the reason of the denial.
pub type AskPerson = Arc<dyn Fn(ApprovalRequest) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A prompt for the agent.
pub struct AgentQuestion {
    pub prompt: String,
    pub ask: AskPerson,
    /// What the agent does, a line each.
    pub progress: mpsc::Sender<ToolProgress>,
    pub cancel: CancellationToken,
}

/// What is served.
pub struct ToolServerSetup {
    /// Listed already.
    pub tools: Registry,
    pub judge: JudgeCall,
    pub context: MakeContext,
    /// None where only tools are served.
    pub agent: Option<AskAgent>,
    /// Bytes of a result that a client gets.
    pub max_output_bytes: usize,
}

/// Serves until the client closes the input, or `stop`.
///
/// # Errors
///
/// Fails if the client speaks something else.
pub async fn serve(
    setup: ToolServerSetup,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    stop: CancellationToken,
) -> Result<(), String> {
    let server = ToolServer { setup, questions: Mutex::default() };
    let serving = server.serve_with_ct(AsyncRwTransport::new_server(input, output), stop);
    match Box::pin(serving).await {
        Ok(running) => running.waiting().await.map(drop).map_err(|error| error.to_string()),
        // A client that comes and goes without a word.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(one_line(&error.to_string(), 300)),
    }
}

struct ToolServer {
    setup: ToolServerSetup,
    /// Calls that clients of the newest revision were asked about, by the state that they send back.
    questions: Mutex<Questions>,
}

#[derive(Default)]
struct Questions {
    open: HashMap<String, (String, Option<Json>)>,
    order: Vec<String>,
    next: u64,
}

/// What came of asking.
enum Asked {
    Allowed,
    Denied(String),
    /// The client asks, and repeats its call with the answer.
    Later(InputRequiredResult),
}

impl ServerHandler for ToolServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(CLIENT_NAME, env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Tools for files, commands and pages in one working folder. What changes or runs something asks the \
                 person by an elicitation, and is denied where the client can't ask.",
            )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut tools: Vec<Tool> = self
            .setup
            .tools
            .specs()
            .map(|spec| {
                let schema = spec.parameters.as_object().cloned().unwrap_or_default();
                let annotations = ToolAnnotations::new()
                    .read_only(spec.risk == Risk::ReadOnly || spec.risk == Risk::Network)
                    .destructive(matches!(spec.risk, Risk::Write | Risk::Execute))
                    .open_world(matches!(spec.risk, Risk::Network | Risk::Execute));
                Tool::new(spec.name.clone(), spec.description.clone(), schema).with_annotations(annotations)
            })
            .collect();
        if self.setup.agent.is_some() {
            let schema = json!({
                "type": "object",
                "properties": {"prompt": {"type": "string", "description": "What the agent is to do or answer."}},
                "required": ["prompt"]
            });
            let schema = schema.as_object().cloned().unwrap_or_default();
            let about = "Asks the agent of this program, which has a model and these tools, and returns its answer.";
            let annotations = ToolAnnotations::new().read_only(false).open_world(true);
            tools.push(Tool::new(ASK_AGENT, about, schema).with_annotations(annotations));
        }
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let args = request.arguments.clone().map_or(Json::Null, Json::Object);
        if let (ASK_AGENT, Some(agent)) = (request.name.as_ref(), &self.setup.agent) {
            return Ok(self.ask_agent(agent, &args, &context).await.into());
        }
        let Some(tool) = self.setup.tools.get(&request.name).cloned() else {
            return Err(ErrorData::invalid_params(format!("unknown tool: {}", one_line(&request.name, 100)), None));
        };
        let (sender, pieces) = mpsc::channel(16);
        let name = tool.spec().name.clone();
        let ctx = (self.setup.context)(&name, false, sender.clone(), context.ct.clone());
        let described = match tool.approval_request(&args, &ctx).await {
            Ok(described) => described,
            Err(why) => return Ok(failed(why).into()),
        };
        let verdict = match (self.setup.judge)(&name, described.kind, described.risk, &described.subject) {
            // What is allowed is allowed inside of the sandbox.
            CallVerdict::Allow if described.leaves_sandbox() => CallVerdict::Ask,
            verdict => verdict,
        };
        let was_asked = match verdict {
            CallVerdict::Allow => false,
            CallVerdict::Deny(why) => return Ok(failed(why).into()),
            CallVerdict::Ask => match self.ask(&request, &described, &context).await {
                Asked::Allowed => true,
                Asked::Denied(why) => return Ok(failed(why).into()),
                Asked::Later(question) => return Ok(question.into()),
            },
        };
        drop(ctx);
        let ctx = (self.setup.context)(&name, was_asked, sender, context.ct.clone());
        let cancel = ctx.cancel.clone();
        let work = async move {
            if was_asked {
                // What was shown is what runs.
                let now = tool.approval_request(&args, &ctx).await;
                if !now.is_ok_and(|now| (now.subject, now.detail) == (described.subject, described.detail)) {
                    return ToolResult::failed("it changed after it was shown for approval, so nothing was done");
                }
            }
            tokio::select! {
                done = tool.run(&args, &ctx) => done,
                () = tokio::time::sleep(tool.timeout()) => {
                    cancel.cancel();
                    ToolResult::failed(format!("timed out after {} s", tool.timeout().as_secs()))
                }
            }
        };
        let (done, ()) = tokio::join!(Box::pin(work), forward(pieces, &context));
        Ok(self.result(done).into())
    }
}

impl ToolServer {
    fn result(&self, done: ToolResult) -> CallToolResult {
        let (text, _) = truncate_middle(&done.text, self.setup.max_output_bytes);
        let content = vec![ContentBlock::text(text)];
        let mut result = match done.outcome {
            CallOutcome::Ok => CallToolResult::success(content),
            _ => CallToolResult::error(content),
        };
        result.structured_content = done.structured;
        result
    }

    async fn ask_agent(&self, agent: &AskAgent, args: &Json, context: &RequestContext<RoleServer>) -> CallToolResult {
        let Some(prompt) = args.get("prompt").and_then(Json::as_str).filter(|prompt| !prompt.trim().is_empty()) else {
            return failed("the argument `prompt` is missing".to_owned());
        };
        let (progress, pieces) = mpsc::channel(16);
        let asker = context.clone();
        let question = AgentQuestion {
            prompt: prompt.to_owned(),
            ask: Arc::new(move |request| {
                let context = asker.clone();
                Box::pin(async move {
                    if is_newest(&context) {
                        return Err(
                            "in the newest revision a running call can't ask; allow it with --approval-mode or \
                                    a rule in [approvals] allow"
                                .to_owned(),
                        );
                    }
                    elicit(&request, &context).await
                })
            }),
            progress,
            cancel: context.ct.clone(),
        };
        let (answer, ()) = tokio::join!(agent(question), forward(pieces, context));
        match answer {
            Ok(text) => self.result(ToolResult::ok(text)),
            Err(why) => failed(why),
        }
    }

    /// Asks the client's person about a call, as its revision does that.
    async fn ask(
        &self,
        request: &CallToolRequestParams,
        described: &ApprovalRequest,
        context: &RequestContext<RoleServer>,
    ) -> Asked {
        if !can_ask(context) {
            return Asked::Denied(NOBODY_TO_ASK.to_owned());
        }
        if !is_newest(context) {
            return match elicit(described, context).await {
                Ok(()) => Asked::Allowed,
                Err(why) => Asked::Denied(why),
            };
        }
        let call = (request.name.to_string(), request.arguments.clone().map(Json::Object));
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        // An answer counts for the call that was shown, and once.
        let asked = request.request_state.as_ref().and_then(|state| questions.open.remove(state));
        if asked.as_ref() == Some(&call) {
            let answer = request.input_responses.as_ref().and_then(|answers| answers.get(APPROVAL_KEY)).cloned();
            return match answer.and_then(|answer| serde_json::from_value::<ElicitResult>(answer).ok()) {
                Some(answer) if allows(&answer) => Asked::Allowed,
                _ => Asked::Denied(DENIED.to_owned()),
            };
        }
        let state = questions.add(call);
        match elicitation(described) {
            Ok(params) => {
                let question = InputRequest::Elicitation(ElicitRequest::new(params));
                let questions = [(APPROVAL_KEY.to_owned(), question)].into();
                Asked::Later(InputRequiredResult::new(Some(questions), Some(state)))
            }
            Err(why) => Asked::Denied(why),
        }
    }
}

impl Questions {
    fn add(&mut self, call: (String, Option<Json>)) -> String {
        self.next += 1;
        let state = format!("approval-{}", self.next);
        self.open.insert(state.clone(), call);
        self.order.push(state.clone());
        if self.order.len() > MAX_OPEN_QUESTIONS {
            let oldest = self.order.remove(0);
            self.open.remove(&oldest);
        }
        state
    }
}

fn failed(why: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(why)])
}

fn is_newest(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// Returns whether the client can show a form. One that names no kind means forms.
fn can_ask(context: &RequestContext<RoleServer>) -> bool {
    let capability = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
    capability.is_some_and(|capability| capability.form.is_some() || capability.url.is_none())
}

async fn elicit(described: &ApprovalRequest, context: &RequestContext<RoleServer>) -> Result<(), String> {
    if !can_ask(context) {
        return Err(NOBODY_TO_ASK.to_owned());
    }
    let asking = context.peer.create_elicitation(elicitation(described)?);
    let answer = tokio::select! {
        answer = asking => answer,
        () = context.ct.cancelled() => return Err("cancelled".to_owned()),
    };
    match answer {
        Ok(answer) if allows(&answer) => Ok(()),
        Ok(_) => Err(DENIED.to_owned()),
        Err(error) => Err(format!("the client could not ask: {error}")),
    }
}

fn allows(answer: &ElicitResult) -> bool {
    let decision = answer.content.as_ref().and_then(|content| content.get("decision")).and_then(Json::as_str);
    answer.action == ElicitationAction::Accept && decision == Some("allow")
}

/// Returns the question about a call, with everything that is hidden in it spelled out.
fn elicitation(described: &ApprovalRequest) -> Result<ElicitRequestParams, String> {
    let subject = visible(&described.subject);
    let detail = &described.detail[..described.detail.floor_char_boundary(MAX_DETAIL_BYTES)];
    let detail = visible(detail);
    let mut message = format!("Allow {} in {}?\n{subject}", described.tool, described.folder);
    if !detail.is_empty() && detail != subject {
        message.push_str("\n\n");
        message.push_str(&detail);
    }
    if detail.len() < described.detail.len() {
        message.push_str("\n…");
    }
    let schema = json!({
        "type": "object",
        "properties": {"decision": {"type": "string", "title": "Decision", "enum": ["allow", "deny"]}},
        "required": ["decision"]
    });
    let schema = ElicitationSchema::from_json_schema(schema.as_object().cloned().unwrap_or_default());
    let requested_schema = schema.map_err(|error| error.to_string())?;
    Ok(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema })
}

/// Tells the client how far a call is, where it wants to know.
async fn forward(mut pieces: mpsc::Receiver<ToolProgress>, context: &RequestContext<RoleServer>) {
    let token = context.meta.get_progress_token();
    let mut count = 0.0;
    while let Some(piece) = pieces.recv().await {
        let (Some(token), ToolProgress::Output(_, text) | ToolProgress::Note(text)) = (&token, piece) else { continue };
        let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else { continue };
        count += 1.0;
        let mut report = ProgressNotificationParam::new(token.clone(), count);
        report.message = Some(one_line(line, MAX_PROGRESS_CELLS));
        let _ = context.peer.notify_progress(report).await;
    }
}
