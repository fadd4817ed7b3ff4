//! The person's limits where nobody is there to be asked: a prompt past one is refused, and a turn that passes one is
//! stopped.

use std::path::PathBuf;
use std::time::Duration;

use super::day_usage;
use crate::event::{AgentEvent, Envelope, Fault, FaultKind, Millis};
use crate::store::limits::{LimitUnit, LimitUse, SpendLimits};
use crate::store::spending::Spending;
use crate::store::usage::UsageStats;

/// Watches what a session uses.
pub struct SpendGuard {
    limits: SpendLimits,
    usage: UsageStats,
    /// Of all sessions of the day, without the running turn.
    today: Spending,
    /// Where the day is added up.
    day_file: PathBuf,
    /// Tells the person why it can't be.
    warn: fn(&str),
}

impl SpendGuard {
    pub fn new(limits: SpendLimits, day_file: PathBuf, warn: fn(&str)) -> Self {
        let today =
            if limits.has_day_limit() { day_usage::load(&day_file, &day_usage::today()) } else { Spending::default() };
        Self { limits, usage: UsageStats::default(), today, day_file, warn }
    }

    /// Takes an event of an earlier run of this session.
    pub fn observe_past(&mut self, envelope: &Envelope) {
        self.usage.on_event(envelope.at, &envelope.event);
    }

    /// Returns why no prompt may be sent.
    pub fn refusal(&self) -> Option<Fault> {
        self.limits.uses(&self.usage, self.today).iter().find(|limit| limit.is_reached()).map(fault)
    }

    /// Takes an event; returns why its turn is to be stopped.
    pub fn observe(&mut self, envelope: &Envelope) -> Option<Fault> {
        self.usage.on_event(envelope.at, &envelope.event);
        match envelope.event {
            AgentEvent::UsageReported { .. } => self.passed(),
            AgentEvent::TurnFinished { .. } => {
                self.add_turn();
                None
            }
            _ => None,
        }
    }

    /// Returns when a turn that starts now passes a limit of time, and what is told then.
    pub fn time_left(&self) -> Option<(Duration, Fault)> {
        let uses = self.limits.uses(&self.usage, self.today);
        let left = uses.iter().filter(|limit| limit.unit == LimitUnit::Milliseconds).map(|limit| {
            let left = Millis((limit.limit - limit.used).max(0.0) as u64);
            (left.into(), fault(limit))
        });
        left.min_by_key(|(left, _)| *left)
    }

    fn passed(&self) -> Option<Fault> {
        // The running turn is none of those that were counted, and a limit of turns is not passed within one.
        let today = self.today.plus(Spending { turns: 0, ..self.usage.turn_spending() });
        let uses = self.limits.uses(&self.usage, today);
        uses.iter().find(|limit| limit.grows_in_turn && limit.is_reached()).map(fault)
    }

    fn add_turn(&mut self) {
        if !self.limits.has_day_limit() {
            return;
        }
        match day_usage::add(&self.day_file, &day_usage::today(), self.usage.turn_spending()) {
            Ok(today) => self.today = today,
            Err(error) => (self.warn)(&format!("adding up what was used: {}: {error}", self.day_file.display())),
        }
    }
}

fn fault(limit: &LimitUse) -> Fault {
    let text = format!("the limit for the {} is reached (see [limits] in the settings)", limit.what);
    Fault::new(FaultKind::LimitReached, text)
}
