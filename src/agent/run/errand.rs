//! What a server wants decided by the way: asked for now and then, shown as an ask, answered there.
//!
//! Each becomes a turn of its own, without a prompt. Cancelled, it stays undecided on the server and is not brought up
//! again. The model never hears of it. While another turn runs it is only said that something waits: no turn waits for
//! it, and it is asked as soon as that one is over. Not where nobody can be asked.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::Agent;
use crate::engine::desk::{Desk, Wanted};
use crate::event::{
    AgentEvent, Ask, CallId, Command, DecidedBy, Decision, Level, Outcome, Output, RanBy, TurnEnd, TurnId,
};
use crate::net::status::Failure;

/// How often a server is asked what waits.
const EVERY: Duration = Duration::from_secs(15);
/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Things that are remembered as brought up.
const MOST: usize = 1024;

/// What is known of a server's wishes.
#[derive(Default)]
pub(super) struct Errands {
    pub(super) looking: Option<BoxFuture<'static, Option<Vec<Wanted>>>>,
    brought_up: HashSet<String>,
    /// It was said during a turn that they wait.
    announced: HashSet<String>,
}

impl Agent {
    /// Begins to look what waits, where the engine's server has such things.
    pub(super) fn look_for_errands(&mut self, first: bool) {
        if self.setup.nobody_to_ask {
            return;
        }
        let Some(desk) = self.choice.engine.desk() else { return };
        let http = self.setup.http.clone();
        self.errands.looking = Some(Box::pin(async move {
            if !first {
                tokio::time::sleep(EVERY).await;
            }
            match http.json(&desk.list(), LIMIT).await {
                Ok(answer) => desk.read(&answer),
                // It may be away for a while; what it never had it will not have later.
                Err(fault) => fault.is_transient().then(Vec::new),
            }
        }));
    }

    /// Brings up what waits, one after another.
    pub(super) async fn errands_found(&mut self, found: Option<Vec<Wanted>>, commands: &mut mpsc::Receiver<Command>) {
        self.errands.looking = None;
        let (Some(found), Some(desk)) = (found, self.choice.engine.desk()) else { return };
        for wanted in found {
            if self.errands.brought_up.len() < MOST && self.errands.brought_up.insert(wanted.id.clone()) {
                self.errand(&*desk, &wanted, commands).await;
            }
        }
        self.look_for_errands(false);
    }

    /// Says what waits while a turn runs.
    pub(super) async fn errands_wait(&mut self, found: Option<Vec<Wanted>>) {
        self.errands.looking = None;
        let Some(found) = found else { return };
        for wanted in found {
            let known = self.errands.brought_up.contains(&wanted.id) || self.errands.announced.len() >= MOST;
            if !known && self.errands.announced.insert(wanted.id) {
                let text = format!("the server wants a decision, asked when this turn is over: {}", wanted.subject);
                self.tell(AgentEvent::Noticed { level: Level::Info, code: "approval".into(), text }).await;
            }
        }
        self.look_for_errands(false);
    }

    /// A turn is over: what was said to wait is asked for at once.
    pub(super) fn errands_are_due(&mut self) {
        if !std::mem::take(&mut self.errands.announced).is_empty() {
            self.look_for_errands(true);
        }
    }

    async fn errand(&mut self, desk: &dyn Desk, wanted: &Wanted, commands: &mut mpsc::Receiver<Command>) {
        let turn = self.names.turn();
        self.names.new_reply();
        let call = self.names.reply_call(&CallId::new(wanted.id.as_str()));
        self.bring_up(&turn, &call, wanted).await;
        let (decision, by) = loop {
            match commands.recv().await {
                Some(Command::Decide { call: decided, decision }) if decided == call => {
                    break (decision, self.setup.asks.by);
                }
                Some(Command::Cancel) | None => break (Decision::Deny(None), DecidedBy::Cancelled),
                Some(other) => self.between_turns(other).await,
            }
        };
        self.tell(AgentEvent::ApprovalResolved { call: call.clone(), decision: decision.clone(), by }).await;
        let (outcome, text, end) = if by == DecidedBy::Cancelled {
            (Outcome::Cancelled, String::new(), TurnEnd::Cancelled)
        } else {
            let allows = decision.allows();
            match self.setup.http.tell(&desk.decide(wanted, allows), LIMIT).await {
                Ok(()) if allows => {
                    (Outcome::Ok, "approved; the server goes on with it".to_owned(), TurnEnd::Completed)
                }
                Ok(()) => (Outcome::Denied, "denied".to_owned(), TurnEnd::Completed),
                Err(Failure { fault, .. }) => {
                    let text = format!("the answer did not reach the server: {}", fault.message);
                    let notice =
                        AgentEvent::Noticed { level: Level::Error, code: "approval".into(), text: text.clone() };
                    self.tell(notice).await;
                    (Outcome::Failed, text, TurnEnd::Failed(fault))
                }
            }
        };
        self.tell(AgentEvent::ToolCallFinished { call, outcome, output: Output::of(text), took: None }).await;
        self.tell(AgentEvent::TurnFinished { turn, end }).await;
    }

    async fn bring_up(&mut self, turn: &TurnId, call: &CallId, wanted: &Wanted) {
        let message = self.names.message();
        self.tell(AgentEvent::TurnStarted { turn: turn.clone(), parent: None }).await;
        let started = AgentEvent::ToolCallStarted {
            call: call.clone(),
            message,
            name: Some(wanted.tool.clone()),
            parent: None,
            ran_by: RanBy::Server,
        };
        self.tell(started).await;
        let (name, args) = (wanted.tool.clone(), wanted.args.clone());
        self.tell(AgentEvent::ToolCallReady { call: call.clone(), name, args, carry: None }).await;
        let ask = Ask {
            tool: wanted.tool.clone(),
            risk: wanted.risk,
            subject: wanted.subject.clone(),
            folder: String::new(),
            detail: wanted.detail.clone(),
            pattern: None,
            expires: None,
        };
        self.tell(AgentEvent::ApprovalRequested { call: call.clone(), ask }).await;
    }

    /// Tells what is no part of the conversation.
    async fn tell(&mut self, event: AgentEvent) {
        // A closed channel means that the session is going down.
        let _ = self.events.send(event).await;
    }
}

#[cfg(test)]
pub(super) mod tests;
