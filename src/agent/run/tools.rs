//! Lists and runs tools: finds out what a call would do, runs it under its limits, and stores its output.
//!
//! Doesn't decide whether a call may run; `turn` and `approval` do.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::tool_questions::asker;
use super::{Agent, RunningTurn, ToolMessage, hooks};
use crate::agent::approval::ApprovalVerdict;
use crate::agent::turn::{TurnEffect, TurnInput};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalRequest, CallId, CallOutput, DecidedBy, Decision, HunkDecision,
    Json, Millis, NoticeCode, NoticeLevel, OutputStream, Risk,
};
use crate::net::redact::redact_secrets;
use crate::private;
use crate::tool::truncate::{size, truncate_middle};
use crate::tool::{
    ApprovedHunks, KeepVersion, RegisteredTool, Registry, SubjectCheck, SubjectPermission, TASK_TOOL, TaskRequest,
    ToolContext, ToolProgress, ToolResult,
};

/// Bytes of a call's output that go into the log; longer outputs go to a file beside it.
pub(super) const MAX_LOGGED_OUTPUT_BYTES: usize = 1024 * 1024;
/// Data beside the text of a result is part of an event, and of every copy of it.
const MAX_STRUCTURED_BYTES: usize = 64 * 1024;
/// How long a tool may take to stop before it is dropped.
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(3);
/// Pieces of live output are cut to this size, so that events stay small.
const MAX_OUTPUT_EVENT_BYTES: usize = 16 * 1024;

/// Tools that are being listed, and the problems with that.
pub(super) type ToolListing = BoxFuture<'static, (Registry, Vec<String>)>;

impl Agent {
    /// Lists tools that are new or changed. Where that takes time, the next request waits for it; nothing else does.
    pub(super) async fn list_outdated_tools(&mut self) {
        if self.listing.is_some() || !self.setup.tools.is_outdated() {
            return;
        }
        let mut tools = self.setup.tools.clone();
        let mut listing: ToolListing = Box::pin(async move {
            let problems = tools.refresh().await;
            (tools, problems)
        });
        match (&mut listing).now_or_never() {
            Some(listed) => self.use_tools(listed).await,
            None => self.listing = Some(listing),
        }
    }

    pub(super) async fn use_tools(&mut self, (tools, problems): (Registry, Vec<String>)) {
        self.listing = None;
        self.setup.tools = tools;
        for text in problems {
            self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Tools, text }).await;
        }
    }

    fn tool_context(
        &self,
        call: &CallId,
        tool: &RegisteredTool,
        running: &RunningTurn,
    ) -> (ToolContext, BoxFuture<'static, ()>) {
        // Capacity 16: pieces of a few kB; a tool that prints faster than the log can be written waits.
        let (sender, mut pieces) = mpsc::channel::<ToolProgress>(16);
        let tool_sender = running.tool_sender.clone();
        let name = call.clone();
        let forward = Box::pin(async move {
            while let Some(progress) = pieces.recv().await {
                if tool_sender.send(ToolMessage::Progress { call: name.clone(), progress }).await.is_err() {
                    return;
                }
            }
        });
        let ctx = ToolContext {
            folder: self.setup.folder.clone(),
            extra_folders: self.setup.extra_folders.clone(),
            hidden_env_vars: Arc::clone(&self.setup.hidden_env_vars),
            sandbox: self.setup.sandbox.clone(),
            check_subject: self.subject_check(tool, running.shown_requests.contains_key(call)),
            resources: self.setup.resources.clone(),
            approved_hunks: None,
            keep_version: self
                .setup
                .snapshots
                .clone()
                .map(|store| -> KeepVersion { Arc::new(move |content: &[u8]| store.keep(content)) }),
            background: self.setup.background.clone(),
            ask: (!self.setup.is_unattended).then(|| asker(call, &tool.spec().name, running.tool_sender.clone())),
            progress: sender,
            cancel: running.cancel_tools.child_token(),
        };
        (ctx, forward)
    }

    /// Captures the rules at the start of a call.
    fn subject_check(&self, tool: &RegisteredTool, was_asked: bool) -> SubjectCheck {
        let (policy, tool) = (self.setup.policy.clone(), tool.clone());
        Arc::new(move |subject| match policy.clone().judge(&tool.spec().name, tool.kind(), tool.risk(), subject) {
            ApprovalVerdict::Allow => SubjectPermission::Allowed,
            ApprovalVerdict::Ask if was_asked => SubjectPermission::AllowedNearby,
            ApprovalVerdict::Ask => SubjectPermission::NeedsApproval,
            ApprovalVerdict::Deny(why) => SubjectPermission::Denied(why),
        })
    }

    pub(super) fn describe_call(&self, call: CallId, name: &str, args: Json, running: &mut RunningTurn) {
        let tool_sender = running.tool_sender.clone();
        let Some(tool) = self.setup.tools.get(name).cloned() else {
            let known: Vec<&str> = self.setup.tools.specs().map(|spec| spec.name.as_str()).collect();
            let request = Err(format!("unknown tool: {name}; available: {}", known.join(", ")));
            running.tools.spawn(async move {
                let _ = tool_sender.send(ToolMessage::Described { call, request }).await;
            });
            return;
        };
        let (ctx, _) = self.tool_context(&call, &tool, running);
        running.tools.spawn(async move {
            let request = catch_panic(async { tool.approval_request(&args, &ctx).await }).await.unwrap_or_else(Err);
            let _ = tool_sender.send(ToolMessage::Described { call, request }).await;
        });
    }

    pub(super) fn start_tool(
        &self,
        call: CallId,
        name: &str,
        args: Json,
        hunks: Option<HunkDecision>,
        running: &mut RunningTurn,
    ) {
        let Some(tool) = self.setup.tools.get(name).cloned() else { return };
        if name == TASK_TOOL
            && let Ok(task) = TaskRequest::parse(&args)
        {
            return self.start_sub_agent(call, task, running);
        }
        let (mut ctx, forward) = self.tool_context(&call, &tool, running);
        let tool_sender = running.tool_sender.clone();
        let shown = running.shown_requests.remove(&call);
        if let (Some(decision), Some(shown)) = (hunks, &shown) {
            ctx.approved_hunks = Some(Arc::new(ApprovedHunks { diff: shown.detail.clone(), decision }));
        }
        let limit = tool.timeout();
        let hooks = self.setup.hooks.clone();
        let hands = matches!(tool.risk(), Risk::Write | Risk::Execute).then(|| self.side_effect_lock.clone());
        running.tools.spawn(async move {
            let cancel = ctx.cancel.clone();
            let work = async {
                let _one_at_a_time = match &hands {
                    Some(hands) => tokio::select! {
                        guard = hands.lock() => Some(guard),
                        () = cancel.cancelled() => return (ToolResult::cancelled(""), Millis(0)),
                    },
                    None => None,
                };
                if let Some(denied) = hooks::before_call(&hooks, &tool.spec().name, &args, &ctx).await {
                    return (denied, Millis(0));
                }
                let begun = Instant::now();
                let work = async {
                    match check_unchanged(&tool, &args, &ctx, shown.as_ref()).await {
                        Ok(()) => tool.run(&args, &ctx).await,
                        Err(text) => ToolResult::failed(text),
                    }
                };
                let mut done =
                    catch_panic(run_limited(work, &ctx.cancel, limit)).await.unwrap_or_else(ToolResult::failed);
                let took = Millis::from(begun.elapsed());
                hooks::after_call(&hooks, &tool.spec().name, &args, &mut done, &ctx).await;
                // The forwarder ends with the last sender.
                drop(ctx);
                (done, took)
            };
            let ((done, took), ()) = tokio::join!(work, forward);
            let _ = tool_sender.send(ToolMessage::Done { call, result: done, duration: took }).await;
        });
    }

    /// Judges a call that was described. Returns whether it needs an approval that nobody can give.
    async fn judge_call(
        &mut self,
        call: &CallId,
        name: String,
        request: Result<ApprovalRequest, String>,
        running: &mut RunningTurn,
    ) -> bool {
        let expires = self
            .setup
            .approvals
            .timeout
            .map(|limit| self.setup.approvals.epoch_time.plus((self.setup.epoch.elapsed() + limit).into()));
        let judgment = request.map(|mut request| {
            request.expires_at = expires;
            let verdict = self.setup.policy.judge_request(&request);
            // No rule would allow it the next time.
            if request.leaves_sandbox() {
                request.pattern = None;
            }
            if verdict == ApprovalVerdict::Ask {
                self.setup.policy.narrow_offer(&mut request);
            }
            (request, verdict)
        });
        self.publish_permissions();
        if let Ok((request, ApprovalVerdict::Ask)) = &judgment {
            running.shown_requests.insert(call.clone(), request.clone());
            running.awaiting_approval.push((call.clone(), name, request.clone()));
        }
        let steps = running.machine.handle(TurnInput::Judged { call: call.clone(), judgment }, &mut self.ids);
        self.apply_effects(steps, running).await;
        if !self.setup.is_unattended || !running.awaiting_approval.iter().any(|(waiting, _, _)| waiting == call) {
            return false;
        }
        running.awaiting_approval.retain(|(waiting, _, _)| waiting != call);
        true
    }

    /// Judges a call that was described, and denies it where nobody can give the approval that it needs.
    pub(super) async fn judge_described(&mut self, call: CallId, request: ApprovalRequest, running: &mut RunningTurn) {
        let name = request.tool.clone();
        let reason = if request.leaves_sandbox() {
            "only a person at a terminal can let a command out of the sandbox; it may run inside"
        } else {
            "approval needs a terminal; allow it with --approval-mode or a rule in [approvals] allow"
        };
        if self.judge_call(&call, name, Ok(request), running).await {
            let decision = Decision::Deny(Some(reason.to_owned()));
            let input = TurnInput::Decided { call, decision, by: DecidedBy::Policy };
            let steps = running.machine.handle(input, &mut self.ids);
            self.apply_effects(steps, running).await;
        }
    }

    /// Judges a call that its server would run.
    pub(super) async fn judge_server_call(
        &mut self,
        call: CallId,
        request: ApprovalRequest,
        running: &mut RunningTurn,
    ) {
        let name = request.tool.clone();
        let verdict = self.setup.policy.clone().judge(&name, request.kind, request.risk, &request.subject);
        let needs_person = verdict == ApprovalVerdict::Ask || !request.answers.is_empty();
        if self.setup.is_unattended && needs_person {
            let steps = running.machine.handle(TurnInput::Undecided { call }, &mut self.ids);
            return self.apply_effects(steps, running).await;
        }
        self.judge_call(&call, name, Ok(request), running).await;
    }

    pub(super) async fn handle_tool_message(&mut self, msg: ToolMessage, running: &mut RunningTurn) {
        let input = match msg {
            ToolMessage::Described { call, request: Ok(request) } => TurnInput::Described { call, request },
            ToolMessage::Described { call, request: Err(why) } => TurnInput::Judged { call, judgment: Err(why) },
            ToolMessage::NestedUsage { call, usage } => return self.note_nested_usage(&call, usage, running).await,
            ToolMessage::Progress { call, progress: ToolProgress::Event(event) } => {
                return self.handle_tool_event(call, event, running).await;
            }
            ToolMessage::Progress { call, progress: ToolProgress::Note(text) } => {
                TurnInput::Output { call, stream: OutputStream::Stderr, text }
            }
            ToolMessage::Progress { call, progress: ToolProgress::Output(stream, text) } => {
                let logged = running.logged_bytes.entry(call.clone()).or_insert(0);
                if *logged >= MAX_LOGGED_OUTPUT_BYTES {
                    return;
                }
                let all = text.len();
                let mut text = truncate_bytes(text, MAX_LOGGED_OUTPUT_BYTES - *logged);
                *logged += text.len();
                if text.len() < all || *logged == MAX_LOGGED_OUTPUT_BYTES {
                    *logged = MAX_LOGGED_OUTPUT_BYTES;
                    let _ = write!(
                        text,
                        "\n[… output exceeds {}; its end is shown when the call finishes]\n",
                        size(MAX_LOGGED_OUTPUT_BYTES as u64)
                    );
                }
                TurnInput::Output { call, stream, text }
            }
            ToolMessage::Question { call, question } => return self.ask_for_tool(call, *question, running).await,
            ToolMessage::Done { call, result: mut done, duration: took } => {
                self.drop_question(&call, running).await;
                for event in std::mem::take(&mut done.events) {
                    self.handle_tool_event(call.clone(), event, running).await;
                }
                running.sub_agents.finish(&call);
                let structured = self.bound_structured(done.structured.take()).await;
                let output = CallOutput { structured, ..self.store_output(&call, &done, running).await };
                TurnInput::Done { call, outcome: done.outcome, output, duration: took }
            }
        };
        let steps = running.machine.handle(input, &mut self.ids);
        self.apply_effects(steps, running).await;
    }

    /// Handles an event of a call's tool: a plan is that of the turn, and only sub-agents ask.
    async fn handle_tool_event(&mut self, call: CallId, event: AgentEvent, running: &mut RunningTurn) {
        if let AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: plan @ Annotation::Plan(_) } = event
        {
            let on = AnnotationTarget::Turn(running.machine.turn().clone());
            return self.emit(AgentEvent::Annotation { on, annotation: plan }).await;
        }
        if let Some(event) = self.handle_nested_ask(&call, event, running).await {
            let steps = running.machine.handle(TurnInput::ToolEvent { call, event }, &mut self.ids);
            self.apply_effects(steps, running).await;
        }
    }

    /// Drops data that is too large for an event; the text remains.
    async fn bound_structured(&mut self, data: Option<Json>) -> Option<Json> {
        let bytes = data.as_ref()?.to_string().len();
        if bytes <= MAX_STRUCTURED_BYTES {
            return data;
        }
        let text = format!("a tool returned {} of data beside its text, which is too much to keep", size(bytes as u64));
        self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::DataDropped, text }).await;
        None
    }

    /// Truncates the output for the model, and stores all of it in the log or in a file beside it.
    async fn store_output(&mut self, call: &CallId, done: &ToolResult, running: &mut RunningTurn) -> CallOutput {
        let (text, cut) = truncate_middle(&done.text, self.setup.max_tool_output_bytes);
        if !cut {
            return CallOutput::from_text(text);
        }
        if !running.logged_bytes.contains_key(call) {
            let mut rest = &done.text[..];
            let mut remaining = MAX_LOGGED_OUTPUT_BYTES;
            while !rest.is_empty() && remaining > 0 {
                let end = piece_end(rest, MAX_OUTPUT_EVENT_BYTES.min(remaining));
                let (piece, after) = rest.split_at(end);
                let input =
                    TurnInput::Output { call: call.clone(), stream: OutputStream::Stdout, text: piece.to_owned() };
                for step in running.machine.handle(input, &mut self.ids) {
                    if let TurnEffect::Emit(event) = step {
                        self.emit(event).await;
                    }
                }
                remaining -= piece.len();
                rest = after;
            }
        }
        let kept = done.text.len() as u64;
        let text = match done.printed_bytes {
            Some(printed) => format!("{}\n[{} printed in total]", text.trim_end(), size(printed)),
            None => text,
        };
        let mut output = CallOutput {
            text,
            total_bytes: Some(done.printed_bytes.unwrap_or(kept)),
            file: None,
            kept_bytes: done.printed_bytes.is_some().then_some(kept),
            structured: None,
        };
        if done.text.len() > MAX_LOGGED_OUTPUT_BYTES
            && let Some(overflow) = &self.setup.overflow_path
        {
            let path = overflow(call);
            let mut whole = done.text.clone();
            redact_secrets(&mut whole);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let written =
                tokio::task::spawn_blocking(move || private::create_file(&path)?.write_all(whole.as_bytes())).await;
            match written {
                Ok(Ok(())) => output.file = name,
                Ok(Err(error)) => self.report_output_not_saved(&error.to_string()).await,
                Err(error) => self.report_output_not_saved(&error.to_string()).await,
            }
        }
        output
    }

    async fn report_output_not_saved(&mut self, why: &str) {
        let text = format!("the full output of a tool could not be saved beside the log: {why}");
        self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::OutputNotSaved, text }).await;
    }
}

/// Makes sure that what runs is what was shown: a file may have changed before the decision, and then nobody has
/// approved what the call would do now.
async fn check_unchanged(
    tool: &RegisteredTool,
    args: &Json,
    ctx: &ToolContext,
    shown: Option<&ApprovalRequest>,
) -> Result<(), String> {
    let Some(shown) = shown else { return Ok(()) };
    let now = tool.approval_request(args, ctx).await?;
    if (&now.subject, &now.detail, now.risk) == (&shown.subject, &shown.detail, shown.risk) {
        return Ok(());
    }
    Err(format!(
        "`{}` changed after this call was shown for approval, so nothing was done; check it and repeat the call if it still makes sense",
        shown.subject
    ))
}

/// A bug in one tool fails its call, not the program.
async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, String> {
    std::panic::AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
        tracing::error!("a tool panicked");
        "the tool crashed; this is a bug in jarvis-tui".to_owned()
    })
}

/// Runs a tool under its time limit; one that ignores cancellation is dropped after a grace period.
async fn run_limited(
    work: impl Future<Output = ToolResult>,
    cancel: &CancellationToken,
    limit: Duration,
) -> ToolResult {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(limit) => {}
        () = cancel.cancelled() => {
            return tokio::time::timeout(STOP_GRACE_PERIOD, work).await.unwrap_or(ToolResult::cancelled(""));
        }
    }
    cancel.cancel();
    let done = tokio::time::timeout(STOP_GRACE_PERIOD, work).await.unwrap_or(ToolResult::cancelled(""));
    let (so_far, printed) = (done.text, done.printed_bytes);
    let mut text = format!("timed out after {} s", limit.as_secs());
    if !so_far.is_empty() {
        text.push_str("; its output so far:\n");
        text.push_str(&so_far);
    }
    ToolResult { printed_bytes: printed, ..ToolResult::failed(text) }
}

/// Returns the end of the whole characters that fit, or of the first one, so that every piece has some.
fn piece_end(text: &str, max_bytes: usize) -> usize {
    text.floor_char_boundary(max_bytes).max(text.ceil_char_boundary(1))
}

fn truncate_bytes(mut text: String, remaining: usize) -> String {
    if text.len() > remaining {
        text.truncate(piece_end(&text, remaining));
    }
    text
}
