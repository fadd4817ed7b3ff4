//! Usage of a turn: reported per request, or as a total, which outranks the sum. A request that is reported twice
//! counts once.

use std::collections::BTreeMap;

use crate::event::{AgentEvent, Usage, UsageScope};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerUsage {
    requests: BTreeMap<u32, Usage>,
    compaction: Option<Usage>,
    sub_agents: Option<Usage>,
    turn_total: Option<Usage>,
}

impl AnswerUsage {
    /// Records the usage that an event reports.
    pub fn observe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::UsageReported { scope: UsageScope::Turn, usage } => self.turn_total = Some(*usage),
            AgentEvent::UsageReported { scope: UsageScope::Request(nth), usage } => {
                self.requests.insert(*nth, *usage);
            }
            AgentEvent::UsageReported { scope: UsageScope::Compaction, usage } => self.compaction = Some(*usage),
            AgentEvent::UsageReported { scope: UsageScope::SubAgents, usage } => self.sub_agents = Some(*usage),
            _ => {}
        }
    }

    /// Returns the total; none where nothing was reported.
    pub fn total(&self) -> Option<Usage> {
        let requests =
            self.requests.values().chain(&self.compaction).chain(&self.sub_agents).copied().reduce(Usage::plus);
        self.turn_total.or(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_and_the_whole_outranks_the_sum() {
        let usage = |input_tokens| Usage { input_tokens, ..Usage::default() };
        let reported = |scope, tokens| AgentEvent::UsageReported { scope, usage: usage(tokens) };
        let mut usage_total = AnswerUsage::default();
        assert_eq!(usage_total.total(), None);
        for event in [
            reported(UsageScope::Request(1), 5),
            reported(UsageScope::Request(1), 7),
            reported(UsageScope::Request(2), 1),
        ] {
            usage_total.observe(&event);
        }
        assert_eq!(usage_total.total(), Some(usage(8)));
        for tokens in [3, 4] {
            usage_total.observe(&reported(UsageScope::SubAgents, tokens));
        }
        assert_eq!(usage_total.total(), Some(usage(12)));
        usage_total.observe(&reported(UsageScope::Turn, 9));
        usage_total.observe(&reported(UsageScope::Request(3), 1));
        assert_eq!(usage_total.total(), Some(usage(9)));
    }
}
