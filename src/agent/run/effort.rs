//! How much the model thinks, and what it is told before the conversation: what is wanted, what the model takes, and what
//! the session tells of both.
//!
//! The session tells them as options, like the settings of agent programs. Invariant: a level holds for a whole turn, since
//! a vendor may refuse a change between a call and its result.

use super::{Agent, RunningTurn};
use crate::event::{AgentEvent, AgentOption, AgentOptionKind, AgentOptionValue, Effort, NoticeCode, NoticeLevel};

/// The id of the option.
const EFFORT_OPTION: &str = "effort";
/// The id of the other option.
const SYSTEM_OPTION: &str = "system";

impl Agent {
    /// Returns the level to request in this turn, if the model takes it.
    pub(super) fn effort_of(&self, running: &RunningTurn) -> Option<Effort> {
        running.effort.filter(|effort| self.engine_choice.efforts.contains(effort))
    }

    /// Sets one of the options; what is none of them changes nothing.
    pub(super) fn set_option(&mut self, option: &str, value: &str) {
        match option {
            EFFORT_OPTION => self.set_effort(value),
            SYSTEM_OPTION if self.setup.runs_tools => {
                let own = value == AgentOption::DEFAULT_VALUE;
                value.clone_into(&mut self.setup.system_prompt);
                if own {
                    self.setup.system_prompt.clone_from(&self.default_system_prompt);
                }
                self.publish_options();
            }
            _ => {}
        }
    }

    fn set_effort(&mut self, value: &str) {
        let level = Effort::parse(value).filter(|level| self.engine_choice.efforts.contains(level));
        if level.is_some() || value == AgentOption::DEFAULT_VALUE {
            self.setup.effort = level;
            self.publish_options();
        }
    }

    /// Tells what may be set.
    pub(super) fn publish_options(&self) {
        let Some(sender) = &self.setup.options else { return };
        let levels = &self.engine_choice.efforts;
        let current = self.setup.effort.filter(|effort| levels.contains(effort));
        let value = |value: &str, description: &str| AgentOptionValue {
            value: value.to_owned(),
            name: value.to_owned(),
            description: description.to_owned(),
        };
        let option = (!levels.is_empty()).then(|| AgentOption {
            id: EFFORT_OPTION.to_owned(),
            name: "Effort".to_owned(),
            kind: AgentOptionKind::Effort,
            current: current.map_or(AgentOption::DEFAULT_VALUE, Effort::name).to_owned(),
            values: std::iter::once(value(AgentOption::DEFAULT_VALUE, "as the model does of itself"))
                .chain(levels.iter().map(|level| value(level.name(), "")))
                .collect(),
        });
        sender.send_replace(option.into_iter().chain(self.system_option()).collect());
    }

    /// Tells what the person put in place of the system prompt; what it is of itself is told to nobody. Where the agent
    /// is another, it has one of its own.
    fn system_option(&self) -> Option<AgentOption> {
        let is_default = self.setup.system_prompt == self.default_system_prompt;
        let current = if is_default { AgentOption::DEFAULT_VALUE } else { &self.setup.system_prompt };
        self.setup.runs_tools.then(|| AgentOption {
            id: SYSTEM_OPTION.to_owned(),
            name: "System prompt".to_owned(),
            kind: AgentOptionKind::System,
            current: current.to_owned(),
            values: Vec::new(),
        })
    }

    /// Tells the options of a newly chosen model, and that it doesn't take the level that is wanted.
    pub(super) async fn announce_effort(&mut self) {
        self.publish_options();
        let Some(wanted) = self.setup.effort.filter(|effort| !self.engine_choice.efforts.contains(effort)) else {
            return;
        };
        let model = &self.engine_choice.model;
        let text = match self.engine_choice.efforts.as_slice() {
            [] => format!("{model} is not known to take an effort, so {} is not sent", wanted.name()),
            levels => {
                let known: Vec<&str> = levels.iter().map(|level| level.name()).collect();
                format!("{model} takes the effort {}, so {} is not sent", known.join(", "), wanted.name())
            }
        };
        self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Model, text }).await;
    }
}
