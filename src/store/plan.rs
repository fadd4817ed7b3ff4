//! The plan that the agent told last, and how much of it is shown.
//!
//! A plan that is done leaves with the next turn. Not here: how agents tell their plans (`dialect/plan.rs`).

use crate::event::{AgentEvent, Annotation, AnnotationTarget, PlanEntry, PlanState};

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlanView {
    /// Some rows around the current entry.
    #[default]
    Compact,
    /// All of it, as far as there is room.
    Whole,
    Hidden,
}

/// The plan of the session's agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    entries: Vec<PlanEntry>,
    view: PlanView,
    /// How often the person asked for it.
    requests: u32,
}

impl Plan {
    /// Returns its entries; none where no agent told a plan.
    pub fn entries(&self) -> &[PlanEntry] {
        &self.entries
    }

    pub fn view(&self) -> PlanView {
        self.view
    }

    /// Counts how often the person asked for it: whoever shows lines says it again.
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// Returns how many entries are done.
    pub fn done_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.state == PlanState::Done).count()
    }

    /// Returns which entry the agent is at: the first that it says so of, else the next that isn't done.
    pub fn current(&self) -> Option<usize> {
        let first = |state| self.entries.iter().position(|entry| entry.state == state);
        first(PlanState::InProgress).or_else(|| first(PlanState::Pending))
    }

    /// Returns the text of the entry that the agent says it is at.
    pub fn current_text(&self) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.state == PlanState::InProgress)?;
        Some(entry.text.as_str())
    }

    /// Shows all of it, then nothing, then some rows.
    pub(super) fn cycle_view(&mut self) {
        self.requests = self.requests.wrapping_add(1);
        self.view = match self.view {
            PlanView::Compact => PlanView::Whole,
            PlanView::Whole => PlanView::Hidden,
            PlanView::Hidden => PlanView::Compact,
        };
    }

    /// Takes what another fold of the same session knows.
    pub(super) fn adopt(&mut self, whole: Self) {
        self.entries = whole.entries;
    }

    pub(super) fn reset(&mut self) {
        self.entries.clear();
    }

    pub(super) fn on_event(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::Annotation { on: AnnotationTarget::Turn(_), annotation: Annotation::Plan(entries) } => {
                self.entries.clone_from(entries);
            }
            AgentEvent::TurnStarted { .. } if self.done_count() == self.entries.len() => self.entries.clear(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::events::turn_started;

    fn told(states: &[PlanState]) -> AgentEvent {
        let entries = states.iter().map(|state| PlanEntry { text: state.label().into(), state: *state }).collect();
        AgentEvent::Annotation { on: AnnotationTarget::Turn("t".into()), annotation: Annotation::Plan(entries) }
    }

    #[test]
    fn the_last_plan_counts_until_it_is_done() {
        use PlanState::{Done, InProgress, Pending};
        let mut plan = Plan::default();
        plan.on_event(&told(&[Done, Pending, InProgress]));
        assert_eq!((plan.done_count(), plan.current(), plan.current_text()), (1, Some(2), Some("in progress")));
        plan.on_event(&turn_started("t2"));
        assert_eq!(plan.entries().len(), 3, "it goes on");
        plan.on_event(&told(&[Done, Pending]));
        assert_eq!((plan.current(), plan.current_text()), (Some(1), None));
        plan.on_event(&told(&[Done, Done]));
        assert_eq!((plan.entries().len(), plan.current()), (2, None), "it is still seen that all is done");
        plan.on_event(&turn_started("t3"));
        assert_eq!(plan.entries(), []);
    }
}
