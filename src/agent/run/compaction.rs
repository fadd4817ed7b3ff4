//! The summary of earlier turns: when one is made, its request, and what takes its place where there is none.
//!
//! A person's wish is a turn of its own, without a prompt; the window's is part of the turn whose request would not have
//! fitted. Either way nothing is lost by a cancel: the compaction counts once its event is out.

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::model_request::send_request;
use super::{Agent, RunningTurn};
use crate::agent::history::{CompactionLimits, CompactionPlan, ReadLog, SummarySource};
use crate::agent::summary::{SUMMARY_PROMPT, SummaryRecord, SummaryReply};
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::{
    AgentEvent, Command, Compaction, CompactionTrigger, Fault, FaultKind, LinkState, NoticeCode, NoticeLevel,
    ReplyEvent, TurnId, TurnOutcome, UsageScope, estimate_tokens,
};
use crate::net::RequestEvent;

/// Which part of the window the newest turns may have that stay as they are.
const KEPT_PART: u64 = 8;
/// The window that is assumed where it isn't known.
const ASSUMED_WINDOW: u64 = 32_000;

/// A summary that is being written.
pub(super) struct RunningCompaction {
    plan: CompactionPlan,
    trigger: CompactionTrigger,
    reply: SummaryReply,
    work: Option<BoxFuture<'static, ()>>,
    events: mpsc::Receiver<RequestEvent>,
}

impl RunningCompaction {
    /// Returns the next event of its request; none once that is over.
    async fn next_event(&mut self) -> Option<RequestEvent> {
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => return event,
                () = super::next_of(&mut self.work) => self.work = None,
            }
        }
    }
}

/// Returns the next event of its request, if there is one; none once that is over.
pub(super) async fn next_compaction_event(compaction: &mut Option<RunningCompaction>) -> Option<RequestEvent> {
    match compaction {
        Some(compaction) => compaction.next_event().await,
        None => std::future::pending().await,
    }
}

impl Agent {
    /// Estimates how many tokens of conversation fit into a request.
    pub(super) fn request_budget(&self) -> u64 {
        self.window.budget(self.engine_choice.context_window, self.overhead_tokens())
    }

    /// Begins to sum up earlier turns if the next request would leave some out; at most once a turn.
    pub(super) async fn compact_for_window(&mut self, budget: u64, running: &mut RunningTurn) -> bool {
        if !self.setup.auto_compact || running.has_compacted || !self.history.overflows(budget) {
            return false;
        }
        running.has_compacted = true;
        let window = self.engine_choice.context_window.unwrap_or(ASSUMED_WINDOW);
        let limits = CompactionLimits { keep: (window / KEPT_PART).min(budget / 4), read: budget };
        let Some(plan) = self.history.plan_compaction(limits, false) else { return false };
        match self.begin_compaction(plan, None, CompactionTrigger::Window).await {
            Some(compaction) => {
                running.compaction = Some(compaction);
                true
            }
            None => false,
        }
    }

    /// Takes an event of the summary's request.
    pub(super) async fn handle_compaction_event(&mut self, event: Option<RequestEvent>, running: &mut RunningTurn) {
        if let Some(compaction) = self.step_compaction(event, &mut running.compaction) {
            // The turn can't wait for a better day: what has no summary is left out.
            let (plan, trigger, summary) = self.take_reply(compaction).await;
            self.emit_compaction(plan, trigger, summary).await;
            self.send_pending_request(running).await;
        }
    }

    /// Sums up because a person asked for it.
    pub(super) async fn run_compaction(
        &mut self,
        instructions: Option<String>,
        commands: &mut mpsc::Receiver<Command>,
    ) {
        let turn = self.ids.new_turn();
        self.emit(AgentEvent::TurnStarted { turn: turn.clone(), parent: None }).await;
        let outcome = self.compact_on_request(instructions, commands).await;
        self.link.send_replace(LinkState::Idle);
        self.emit(AgentEvent::TurnFinished { turn, outcome }).await;
    }

    async fn compact_on_request(
        &mut self,
        instructions: Option<String>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> TurnOutcome {
        let window = self.engine_choice.context_window.unwrap_or(ASSUMED_WINDOW);
        let read = self.request_budget().min(window / 4 * 3);
        let limits = CompactionLimits { keep: window / KEPT_PART, read };
        let Some(plan) = self.history.plan_compaction(limits, true) else {
            let text = "there is nothing to sum up yet".to_owned();
            self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text }).await;
            return TurnOutcome::Completed;
        };
        let mut compaction = self.begin_compaction(plan, instructions, CompactionTrigger::Person).await;
        while compaction.is_some() {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Cancel) | None => return TurnOutcome::Cancelled,
                    Some(command) => self.handle_idle_command(command).await,
                },
                event = next_compaction_event(&mut compaction) => {
                    let Some(over) = self.step_compaction(event, &mut compaction) else { continue };
                    let (plan, trigger, summary) = self.take_reply(over).await;
                    // The person is there to try again; nothing is to be forgotten for a line that is down.
                    if let Err(why) = summary {
                        let text = format!("there is no summary, and nothing was changed: {why}");
                        return TurnOutcome::Failed(Fault::new(FaultKind::Upstream, text));
                    }
                    self.emit_compaction(plan, trigger, summary).await;
                }
            }
        }
        TurnOutcome::Completed
    }

    /// Sends the request for a summary. Where the engine writes none, the turns are left out at once.
    async fn begin_compaction(
        &mut self,
        plan: CompactionPlan,
        instructions: Option<String>,
        trigger: CompactionTrigger,
    ) -> Option<RunningCompaction> {
        if !self.engine_choice.engine.writes_summaries() {
            let why = format!("{} writes no summaries", self.engine_choice.engine.name());
            self.emit_compaction(plan, trigger, Err(why)).await;
            return None;
        }
        let text = format!("summing up {} (about {} tokens)", turns_text(plan.turns), plan.tokens_before);
        self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text }).await;
        let mut plan = plan;
        let source = std::mem::take(&mut plan.source);
        let record = SummaryRecord {
            summary: source.summary.clone(),
            unread_turns: plan.unread_turns,
            turns: Vec::new(),
            instructions,
        };
        let request = ModelRequest {
            model: self.engine_choice.model.clone(),
            system: SUMMARY_PROMPT.to_owned(),
            ..ModelRequest::default()
        };
        // Capacity 64: the frames of one read.
        let (out, events) = mpsc::channel(64);
        let (choice, http) = (self.engine_choice.clone(), self.setup.http.clone());
        let (epoch, retry_now) = (self.setup.epoch, self.retry_now.clone());
        let log = self.setup.read_log.clone();
        let work = Box::pin(async move {
            match read_record(record, source, log).await {
                Ok(record) => {
                    let request = ModelRequest { history: vec![HistoryMessage::user(record.prompt())], ..request };
                    send_request(choice, http, request, (epoch, retry_now), out).await;
                }
                Err(error) => {
                    let fault = Fault::new(FaultKind::Internal, format!("the log can't be read: {error}"));
                    let outcome = TurnOutcome::Failed(fault);
                    let _ = out.send(RequestEvent::Event(ReplyEvent::End { outcome })).await;
                }
            }
        });
        Some(RunningCompaction { plan, trigger, reply: SummaryReply::default(), work: Some(work), events })
    }

    /// Takes an event, and returns the compaction once its request is over.
    fn step_compaction(
        &mut self,
        event: Option<RequestEvent>,
        compaction: &mut Option<RunningCompaction>,
    ) -> Option<RunningCompaction> {
        let current = compaction.as_mut()?;
        match event {
            Some(RequestEvent::Link(state)) => {
                self.link.send_replace(state);
            }
            Some(RequestEvent::Event(event)) => current.reply.observe(event),
            None => return compaction.take(),
        }
        if current.reply.is_over() { compaction.take() } else { None }
    }

    async fn take_reply(
        &mut self,
        RunningCompaction { plan, trigger, reply, .. }: RunningCompaction,
    ) -> (CompactionPlan, CompactionTrigger, Result<String, String>) {
        self.link.send_replace(LinkState::Idle);
        if let Some(usage) = reply.usage {
            self.emit(AgentEvent::UsageReported { scope: UsageScope::Compaction, usage }).await;
        }
        (plan, trigger, reply.into_summary())
    }

    async fn emit_compaction(
        &mut self,
        plan: CompactionPlan,
        trigger: CompactionTrigger,
        summary: Result<String, String>,
    ) {
        let (summary, cut_reason) = match summary {
            Ok(summary) => (Some(summary), None),
            Err(why) => (None, Some(why)),
        };
        if let Some(why) = &cut_reason {
            let text =
                format!("from here on {} will not be sent, and there is no summary: {why}", turns_text(plan.turns));
            self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::HistoryCut, text }).await;
        }
        let summary_tokens = summary.as_deref().map_or(0, estimate_tokens);
        self.window.forget_used();
        self.emit(AgentEvent::Compacted(Box::new(Compaction {
            through: plan.through,
            turns: plan.turns,
            unread_turns: if summary.is_some() { plan.unread_turns } else { 0 },
            summary,
            cut_reason,
            tokens_before: plan.tokens_before,
            tokens_after: plan.tokens_kept + summary_tokens,
            trigger,
        })))
        .await;
    }

    /// Sends the turns again that a compaction covers.
    pub(super) async fn undo_compaction(&mut self, through: Option<TurnId>) {
        let through = through.or_else(|| self.history.last_compaction().cloned());
        if let Some(through) = through.filter(|through| self.history.has_compaction(through)) {
            return self.emit(AgentEvent::CompactionUndone { through }).await;
        }
        let text = "there is no compaction to undo".to_owned();
        self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Compacting, text }).await;
    }

    /// Warns once the window is nearly full.
    pub(super) async fn warn_of_window(&mut self) {
        let Some(percent) = self.window.warning(self.engine_choice.context_window) else { return };
        let next = if self.setup.auto_compact {
            "earlier turns are summed up before it overflows, or now by /compact"
        } else {
            "/compact sums earlier turns up; without that the oldest are left out"
        };
        let text = format!("the conversation fills {percent} % of the model's window: {next}");
        self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::ContextFilling, text }).await;
    }
}

/// Adds what is to be summed up. O(the log's part of it).
async fn read_record(
    record: SummaryRecord,
    source: SummarySource,
    log: Option<ReadLog>,
) -> std::io::Result<SummaryRecord> {
    let mut turns = match source.logged {
        None => Vec::new(),
        Some(logged) => {
            let log = log.ok_or_else(|| std::io::Error::other("it is not kept"))?;
            tokio::task::spawn_blocking(move || logged.read_messages(&log)).await??
        }
    };
    turns.extend(source.turns);
    Ok(SummaryRecord { turns, ..record })
}

fn turns_text(turns: u32) -> String {
    if turns == 1 { "the first turn".to_owned() } else { format!("the first {turns} turns") }
}
