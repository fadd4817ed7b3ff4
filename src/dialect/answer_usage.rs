//! What a turn cost, as far as anybody said: request by request, or as a whole, which outranks their sum. A request
//! that is counted again is counted once.

use std::collections::BTreeMap;

use crate::event::{AgentEvent, Usage, UsageScope};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AnswerUsage {
    requests: BTreeMap<u32, Usage>,
    turn_total: Option<Usage>,
}

impl AnswerUsage {
    /// Takes note of what a fact says of it.
    pub(super) fn observe(&mut self, fact: &AgentEvent) {
        match fact {
            AgentEvent::UsageReported { scope: UsageScope::Turn, usage } => self.turn_total = Some(*usage),
            AgentEvent::UsageReported { scope: UsageScope::Request(nth), usage } => {
                self.requests.insert(*nth, *usage);
            }
            _ => {}
        }
    }

    /// Returns the sum; none where nobody said anything.
    pub(super) fn total(&self) -> Option<Usage> {
        self.turn_total.or_else(|| self.requests.values().copied().reduce(Usage::plus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_and_the_whole_outranks_the_sum() {
        let usage = |input_tokens| Usage { input_tokens, ..Usage::default() };
        let said = |scope, tokens| AgentEvent::UsageReported { scope, usage: usage(tokens) };
        let mut cost = AnswerUsage::default();
        assert_eq!(cost.total(), None);
        for fact in [said(UsageScope::Request(1), 5), said(UsageScope::Request(1), 7), said(UsageScope::Request(2), 1)]
        {
            cost.observe(&fact);
        }
        assert_eq!(cost.total(), Some(usage(8)));
        cost.observe(&said(UsageScope::Turn, 9));
        cost.observe(&said(UsageScope::Request(3), 1));
        assert_eq!(cost.total(), Some(usage(9)));
    }
}
