//! The agent's hands: finds out what a call would do, runs it under its limits, keeps all of its output.
//!
//! Not for: whether a call may run, which `turn` and `approval` decide.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Agent, Running, ToolMsg};
use crate::agent::approval::Verdict;
use crate::agent::turn::{Input, Step};
use crate::event::{AgentEvent, Ask, CallId, DecidedBy, Decision, Json, Level, Millis, Output, OutputStream, Risk};
use crate::tool::caps::{head_tail, size};
use crate::tool::{Done, Judge, Permit, Tool, ToolCtx};

/// Bytes of a call's output that go into the log; all of a longer one goes to a file beside it.
pub(super) const LOGGED_OUTPUT: usize = 1024 * 1024;
/// What a tool that was told to stop gets before it is dropped.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// A live piece of output is cut to this, so that one event stays small.
const PIECE: usize = 16 * 1024;

impl Agent {
    fn context(&self, call: &CallId, tool: &str, risk: Risk, running: &Running) -> (ToolCtx, BoxFuture<'static, ()>) {
        // Capacity 16: pieces of a few kB; a tool that prints faster than the log can write waits.
        let (live, mut pieces) = mpsc::channel::<(OutputStream, String)>(16);
        let said = running.said.clone();
        let name = call.clone();
        let forward = Box::pin(async move {
            while let Some((stream, text)) = pieces.recv().await {
                if said.send(ToolMsg::Output { call: name.clone(), stream, text }).await.is_err() {
                    return;
                }
            }
        });
        let ctx = ToolCtx {
            folder: self.setup.folder.clone(),
            also: self.setup.also.clone(),
            hidden: Arc::clone(&self.setup.hidden),
            judge: self.judge(tool, risk, running.shown.contains_key(call)),
            resources: self.setup.resources.clone(),
            live,
            cancel: running.stop.child_token(),
        };
        (ctx, forward)
    }

    /// The rules as they are when a call starts.
    fn judge(&self, tool: &str, risk: Risk, was_asked: bool) -> Judge {
        let (policy, tool) = (self.setup.policy.clone(), tool.to_owned());
        Arc::new(move |subject| match policy.clone().judge(&tool, risk, subject) {
            Verdict::Allow => Permit::Allowed,
            Verdict::Ask if was_asked => Permit::Near,
            Verdict::Ask => Permit::Unasked,
            Verdict::Deny(why) => Permit::Denied(why),
        })
    }

    fn tool(&self, name: &str) -> Option<Arc<dyn Tool>> {
        let index = self.specs.iter().position(|spec| spec.name == name)?;
        self.setup.tools.get(index).cloned()
    }

    pub(super) fn find_out(&self, call: CallId, name: String, args: Json, running: &mut Running) {
        let said = running.said.clone();
        let Some(tool) = self.tool(&name) else {
            let known: Vec<&str> = self.specs.iter().map(|spec| spec.name.as_str()).collect();
            let ask = Err(format!("unknown tool: {name}; there are {}", known.join(", ")));
            running.tools.spawn(async move {
                let _ = said.send(ToolMsg::Asked { call, name, ask }).await;
            });
            return;
        };
        let (ctx, _) = self.context(&call, &name, tool.spec().risk, running);
        running.tools.spawn(async move {
            let ask = unbroken(async { tool.ask(&args, &ctx).await }).await.unwrap_or_else(Err);
            let _ = said.send(ToolMsg::Asked { call, name, ask }).await;
        });
    }

    pub(super) fn start_tool(&self, call: CallId, name: &str, args: Json, running: &mut Running) {
        let Some(tool) = self.tool(name) else { return };
        let spec = tool.spec();
        let (ctx, forward) = self.context(&call, name, spec.risk, running);
        let said = running.said.clone();
        let shown = running.shown.remove(&call);
        let limit = if spec.risk == Risk::Execute { self.setup.shell_timeout } else { self.setup.tool_timeout };
        let hands = matches!(spec.risk, Risk::Write | Risk::Execute).then(|| self.hands.clone());
        running.tools.spawn(async move {
            let cancel = ctx.cancel.clone();
            let work = async {
                let _one_at_a_time = match &hands {
                    Some(hands) => tokio::select! {
                        guard = hands.lock() => Some(guard),
                        () = cancel.cancelled() => return (Done::cancelled(""), Millis(0)),
                    },
                    None => None,
                };
                let begun = Instant::now();
                let work = async {
                    match as_shown(tool.as_ref(), &args, &ctx, shown.as_ref()).await {
                        Ok(()) => tool.run(&args, &ctx).await,
                        Err(text) => Done::failed(text),
                    }
                };
                let done = unbroken(run_limited(work, &ctx.cancel, limit)).await.unwrap_or_else(Done::failed);
                // The forwarder ends with the last sender.
                drop(ctx);
                (done, Millis::from(begun.elapsed()))
            };
            let ((done, took), ()) = tokio::join!(work, forward);
            let _ = said.send(ToolMsg::Done { call, done, took }).await;
        });
    }

    pub(super) async fn tool_said(&mut self, msg: ToolMsg, running: &mut Running) {
        let input = match msg {
            ToolMsg::Asked { call, name, ask } => {
                let expires = self
                    .setup
                    .asks
                    .expire
                    .map(|limit| self.setup.asks.base.plus((self.setup.epoch.elapsed() + limit).into()));
                let judgement = ask.map(|mut ask| {
                    ask.expires = expires;
                    let verdict = self.setup.policy.judge(&name, ask.risk, &ask.subject);
                    (ask, verdict)
                });
                self.say_allowed();
                if let Ok((ask, Verdict::Ask)) = &judgement {
                    running.shown.insert(call.clone(), ask.clone());
                    running.waiting.push((call.clone(), name, ask.clone()));
                }
                let steps = running.machine.handle(Input::Judged { call: call.clone(), judgement }, &mut self.names);
                self.perform(steps, running).await;
                if !self.setup.nobody_to_ask || !running.waiting.iter().any(|(waiting, _, _)| *waiting == call) {
                    return;
                }
                running.waiting.retain(|(waiting, _, _)| *waiting != call);
                let reason = "nobody can be asked without a terminal; allow it with --approval-mode or a rule in \
                              [approvals] allow";
                Input::Decided { call, decision: Decision::Deny(Some(reason.to_owned())), by: DecidedBy::Policy }
            }
            ToolMsg::Output { call, stream, text } => {
                let logged = running.logged.entry(call.clone()).or_insert(0);
                if *logged >= LOGGED_OUTPUT {
                    return;
                }
                let all = text.len();
                let mut text = clip(text, LOGGED_OUTPUT - *logged);
                *logged += text.len();
                if text.len() < all || *logged == LOGGED_OUTPUT {
                    *logged = LOGGED_OUTPUT;
                    let _ = write!(
                        text,
                        "\n[… it prints more than {}; the end is shown once it is done]\n",
                        size(LOGGED_OUTPUT as u64)
                    );
                }
                Input::Output { call, stream, text }
            }
            ToolMsg::Done { call, done, took } => {
                let output = self.settle_output(&call, &done, running).await;
                Input::Done { call, outcome: done.outcome, output, took }
            }
        };
        let steps = running.machine.handle(input, &mut self.names);
        self.perform(steps, running).await;
    }

    /// Caps what the model gets; sees to it that the log, or a file beside it, has all of it.
    async fn settle_output(&mut self, call: &CallId, done: &Done, running: &mut Running) -> Output {
        let (text, cut) = head_tail(&done.text, self.setup.tool_output);
        if !cut {
            return Output::of(text);
        }
        if !running.logged.contains_key(call) {
            let mut rest = &done.text[..];
            let mut room = LOGGED_OUTPUT;
            while !rest.is_empty() && room > 0 {
                let end = floor_boundary(rest, PIECE.min(room));
                let (piece, after) = rest.split_at(end);
                let input = Input::Output { call: call.clone(), stream: OutputStream::Stdout, text: piece.to_owned() };
                for step in running.machine.handle(input, &mut self.names) {
                    if let Step::Emit(event) = step {
                        self.emit(event).await;
                    }
                }
                room -= piece.len();
                rest = after;
            }
        }
        let kept = done.text.len() as u64;
        let text = match done.printed {
            Some(printed) => format!("{}\n[{} were printed in all]", text.trim_end(), size(printed)),
            None => text,
        };
        let mut output = Output {
            text,
            bytes: Some(done.printed.unwrap_or(kept)),
            file: None,
            kept: done.printed.is_some().then_some(kept),
        };
        if done.text.len() > LOGGED_OUTPUT
            && let Some(overflow) = &self.setup.overflow
        {
            let path = overflow(call);
            let whole = done.text.clone();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let written = tokio::task::spawn_blocking(move || write_private(&path, whole.as_bytes())).await;
            match written {
                Ok(Ok(())) => output.file = name,
                Ok(Err(error)) => self.not_kept(&error.to_string()).await,
                Err(error) => self.not_kept(&error.to_string()).await,
            }
        }
        output
    }

    async fn not_kept(&mut self, why: &str) {
        let text = format!("the whole output of a tool could not be saved beside the log: {why}");
        self.emit(AgentEvent::Noticed { level: Level::Warn, code: "output_not_saved".into(), text }).await;
    }
}

/// What is done is what was shown: between the question and the answer a file may have changed, and then nobody has
/// agreed to what the call would do now.
async fn as_shown(tool: &dyn Tool, args: &Json, ctx: &ToolCtx, shown: Option<&Ask>) -> Result<(), String> {
    let Some(shown) = shown else { return Ok(()) };
    let now = tool.ask(args, ctx).await?;
    if (&now.subject, &now.detail, now.risk) == (&shown.subject, &shown.detail, shown.risk) {
        return Ok(());
    }
    Err(format!(
        "`{}` has changed since this call was shown for approval, so nothing was done; look at it again and repeat \
         the call if it still makes sense",
        shown.subject
    ))
}

/// A defect of one tool fails its call, not the program.
async fn unbroken<T>(work: impl Future<Output = T>) -> Result<T, String> {
    std::panic::AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
        tracing::error!("a tool panicked");
        "the tool broke down; that is a defect of this program".to_owned()
    })
}

/// Runs a tool under its time limit; one that ignores the wish to stop is dropped after a grace period.
async fn run_limited(work: impl Future<Output = Done>, cancel: &CancellationToken, limit: Duration) -> Done {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(limit) => {}
        () = cancel.cancelled() => {
            return tokio::time::timeout(STOP_GRACE, work).await.unwrap_or(Done::cancelled(""));
        }
    }
    cancel.cancel();
    let done = tokio::time::timeout(STOP_GRACE, work).await.unwrap_or(Done::cancelled(""));
    let (so_far, printed) = (done.text, done.printed);
    let mut text = format!("timed out after {} s", limit.as_secs());
    if !so_far.is_empty() {
        text.push_str("; its output until then:\n");
        text.push_str(&so_far);
    }
    Done { printed, ..Done::failed(text) }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let floor = (0..=at).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    if floor == 0 { text.chars().next().map_or(0, char::len_utf8) } else { floor }
}

fn clip(mut text: String, room: usize) -> String {
    if text.len() > room {
        text.truncate(floor_boundary(&text, room));
    }
    text
}

fn write_private(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}
