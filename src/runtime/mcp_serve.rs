//! What `mcp serve` offers: the built-in tools under the rules of the settings, and a session of the agent for each
//! question.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Runtime, StartMode};
use crate::agent::approval::{ApprovalPolicy, ApprovalVerdict};
use crate::bridge::{HubItem, SessionHandle};
use crate::event::{
    AgentEvent, ApprovalRequest, CallId, Command, Decision, MessageId, Risk, Role, Seq, ToolKind, TurnOutcome,
};
use crate::mcp::serve::{AgentQuestion, AskAgent, CallVerdict, ToolServerSetup};
use crate::tool::{BuiltinTools, Registry, SubjectPermission, ToolContext, ToolProgress, ToolTimeouts};

impl Runtime {
    /// Plans a server of tools for a client that starts this program.
    pub async fn plan_mcp_server(self: &Arc<Self>, tools_only: bool) -> anyhow::Result<ToolServerSetup> {
        let policy = self.approval_policy()?;
        let config = self.config();
        let timeouts = ToolTimeouts { usual: config.tools.timeout, command: config.tools.shell_timeout };
        let mut tools = Registry::new([Arc::new(BuiltinTools::new(timeouts)) as _]);
        tools.refresh().await;
        let judge = {
            let policy = policy.clone();
            move |tool: &str, kind: ToolKind, risk: Risk, subject: &str| verdict(&policy, tool, kind, risk, subject)
        };
        let context = {
            let (runtime, tools) = (Arc::clone(self), tools.clone());
            move |tool: &str, was_asked: bool, progress: mpsc::Sender<ToolProgress>, cancel: CancellationToken| {
                let known = tools.get(tool).map(|tool| (tool.kind(), tool.risk()));
                let (kind, risk) = known.unwrap_or((ToolKind::Other, Risk::Execute));
                let (policy, tool) = (policy.clone(), tool.to_owned());
                ToolContext {
                    folder: runtime.folder.clone(),
                    extra_folders: runtime.tool_folders(),
                    hidden_env_vars: runtime.hidden_variables.clone().into(),
                    sandbox: runtime.sandbox.clone(),
                    check_subject: Arc::new(move |subject| match verdict(&policy, &tool, kind, risk, subject) {
                        CallVerdict::Allow => SubjectPermission::Allowed,
                        CallVerdict::Ask if was_asked => SubjectPermission::AllowedNearby,
                        CallVerdict::Ask => SubjectPermission::NeedsApproval,
                        CallVerdict::Deny(why) => SubjectPermission::Denied(why),
                    }),
                    resources: None,
                    approved_hunks: None,
                    keep_version: None,
                    background: None,
                    ask: None,
                    progress,
                    cancel,
                }
            }
        };
        let runtime = Arc::clone(self);
        let agent: AskAgent = Arc::new(move |question| Box::pin(ask(Arc::clone(&runtime), question)));
        Ok(ToolServerSetup {
            tools,
            judge: Arc::new(judge),
            context: Arc::new(context),
            agent: (!tools_only).then_some(agent),
            max_output_bytes: config.limits.max_tool_output_bytes,
        })
    }
}

fn verdict(policy: &ApprovalPolicy, tool: &str, kind: ToolKind, risk: Risk, subject: &str) -> CallVerdict {
    match policy.clone().judge(tool, kind, risk, subject) {
        ApprovalVerdict::Allow => CallVerdict::Allow,
        ApprovalVerdict::Ask => CallVerdict::Ask,
        ApprovalVerdict::Deny(why) => CallVerdict::Deny(why),
    }
}

/// Has the agent answer a prompt in a new session, and returns its last message.
async fn ask(runtime: Arc<Runtime>, question: AgentQuestion) -> Result<String, String> {
    let live = runtime.open(&StartMode::New).map_err(|error| format!("no session could be opened: {error:#}"))?.handle;
    let mut events = live.hub.subscribe(Seq(0));
    let prompt = Command::Prompt { text: question.prompt.clone(), context: Vec::new(), author: None };
    live.commands.send(prompt).await.map_err(|_| "the session ended before its first prompt".to_owned())?;
    let mut answer = AnswerText::default();
    let mut is_cancelled = false;
    loop {
        let item = tokio::select! {
            biased;
            () = question.cancel.cancelled(), if !is_cancelled => {
                is_cancelled = true;
                let _ = live.commands.send(Command::Cancel).await;
                continue;
            }
            item = events.next() => item,
        };
        let Some(HubItem::Event(logged)) = item else { return Err("the session ended without an answer".to_owned()) };
        match &logged.envelope.event {
            AgentEvent::ApprovalRequested { call, request } => decide(&live, call, request, &question).await,
            AgentEvent::ToolCallReady { name, .. } => {
                let _ = question.progress.try_send(ToolProgress::Note(name.clone()));
            }
            AgentEvent::TurnFinished { outcome, .. } => return answer.finish(outcome),
            event => answer.observe(event),
        }
    }
}

async fn decide(live: &SessionHandle, call: &CallId, request: &ApprovalRequest, question: &AgentQuestion) {
    let decision = match (question.ask)(request.clone()).await {
        Ok(()) => Decision::Once,
        Err(why) => Decision::Deny(Some(why)),
    };
    // Without the session nothing waits for it.
    let _ = live.commands.send(Command::Decide { call: call.clone(), decision }).await;
}

/// The text of the last message of the agent itself.
#[derive(Default)]
struct AnswerText {
    message: Option<MessageId>,
    text: String,
}

impl AnswerText {
    fn observe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                self.message = Some(message.clone());
                self.text.clear();
            }
            AgentEvent::TextDelta { message, text, .. } if self.message.as_ref() == Some(message) => {
                self.text.push_str(text);
            }
            AgentEvent::MessageFinished { message, full_text: Some(text), .. }
                if self.message.as_ref() == Some(message) =>
            {
                self.text.clone_from(text);
            }
            _ => {}
        }
    }

    fn finish(self, outcome: &TurnOutcome) -> Result<String, String> {
        match outcome {
            TurnOutcome::Completed => Ok(self.text),
            TurnOutcome::Cancelled => Err(format!("cancelled; so far: {}", self.text)),
            TurnOutcome::Failed(fault) => Err(fault.message.clone()),
            TurnOutcome::Interrupted => Err(format!("the turn ended early; so far: {}", self.text)),
        }
    }
}
