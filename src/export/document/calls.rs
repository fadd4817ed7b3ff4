//! PURE. A call as a reader goes through it: what was asked, who allowed it, what came of it.

use super::{DocumentBuilder, ItemBody};
use crate::event::{
    AgentEvent, Annotation, ApprovalRequest, CallId, CallOutcome, CallOutput, DecidedBy, Decision, ExecutedBy, Millis,
};

#[derive(Debug, Default)]
pub(in crate::export) struct DocumentCall {
    /// Counts calls, from 1.
    pub(in crate::export) number: u32,
    pub(in crate::export) name: String,
    pub(in crate::export) args: String,
    pub(in crate::export) is_server_run: bool,
    /// The person ran it.
    pub(in crate::export) is_person_run: bool,
    pub(in crate::export) request: Option<ApprovalRequest>,
    pub(in crate::export) decision: Option<(Decision, DecidedBy)>,
    /// Of a call that ended, what the model got, else what came so far.
    pub(in crate::export) output: CallOutput,
    /// None while it runs.
    pub(in crate::export) outcome: Option<CallOutcome>,
    pub(in crate::export) duration: Option<Millis>,
}

impl DocumentCall {
    /// Returns how it is with it, in words.
    pub(in crate::export) fn state(&self) -> &'static str {
        match self.outcome {
            Some(outcome) => outcome.label(),
            None if self.request.is_some() && self.decision.is_none() => "waits for approval",
            None => "running",
        }
    }

    /// Returns who decided what, in words; none where nobody was asked.
    pub(in crate::export) fn decision_words(&self) -> Option<String> {
        let (decision, by) = self.decision.as_ref()?;
        let what = match decision {
            Decision::Once => "allowed once".to_owned(),
            Decision::Session => "allowed in this session".to_owned(),
            Decision::Pattern(pattern) => format!("allowed as {pattern}"),
            Decision::Deny(None) => "denied".to_owned(),
            Decision::Deny(Some(why)) => format!("denied: {why}"),
            Decision::Offered { id, allows: true } => format!("allowed: {id}"),
            Decision::Offered { id, allows: false } => format!("denied: {id}"),
            Decision::Hunks(hunks) => format!("{} changes allowed", hunks.taken.len()),
        };
        let who = match by {
            DecidedBy::Person => "at the screen",
            DecidedBy::Policy => "by a rule",
            DecidedBy::TimedOut => "nobody answered",
            DecidedBy::Remote => "over the network",
            DecidedBy::Cancelled => "the turn was stopped",
            DecidedBy::Link => "by a link",
        };
        Some(format!("{what} ({who})"))
    }
}

impl DocumentBuilder {
    pub(super) fn on_call_event(&mut self, event: &AgentEvent) {
        if let AgentEvent::ToolCallStarted { message, .. } = event {
            self.close_run(message);
        }
        let Some(id) = event.call().cloned() else { return };
        let index = self.call_index(&id);
        let now = self.at;
        let Some(item) = self.document.items.get_mut(index) else { return };
        item.until = now;
        let ItemBody::Call(call) = &mut item.body else { return };
        match event {
            AgentEvent::ToolCallStarted { name, parent, executed_by, .. } => {
                item.is_sub = parent.is_some();
                call.is_server_run = *executed_by == ExecutedBy::Server;
                if let Some(name) = name {
                    name.clone_into(&mut call.name);
                }
            }
            AgentEvent::ToolArgsDelta { json, .. } => call.args.push_str(json),
            AgentEvent::ToolCallReady { name, args, .. } => {
                name.clone_into(&mut call.name);
                args.clone_into(&mut call.args);
            }
            AgentEvent::ApprovalRequested { request, .. } => call.request = Some(request.clone()),
            AgentEvent::ApprovalResolved { decision, by, .. } => call.decision = Some((decision.clone(), *by)),
            AgentEvent::ToolOutput { text, .. } => {
                call.output.text.push_str(text);
                item.growth.push((now, call.output.text.len()));
            }
            AgentEvent::ToolCallFinished { outcome, output, duration, .. } => {
                call.outcome = Some(*outcome);
                call.duration = duration.or(call.duration);
                // One that was cut short may end without a text of its own.
                let live = std::mem::take(&mut call.output.text);
                call.output = output.clone();
                if call.output.text.is_empty() {
                    call.output.text = live;
                }
                let bytes = call.output.text.len();
                item.growth.retain(|(_, grown)| *grown <= bytes);
            }
            _ => {}
        }
    }

    pub(super) fn on_call_annotation(&mut self, id: &CallId, annotation: &Annotation) {
        match annotation {
            Annotation::Foreign(is_foreign) => {
                let Some(index) = self.calls.get(id) else { return };
                if *is_foreign {
                    self.dropped.insert(*index);
                } else {
                    self.dropped.remove(index);
                }
            }
            Annotation::PersonRun(run) => {
                let index = self.call_index(id);
                if let Some(ItemBody::Call(call)) = self.document.items.get_mut(index).map(|item| &mut item.body) {
                    call.is_person_run = true;
                    call.args.clone_from(&run.command);
                    call.output = CallOutput::from_text(run.output.as_str());
                    (call.outcome, call.duration) = (Some(run.outcome), Some(run.duration));
                }
            }
            _ => {}
        }
    }

    fn call_index(&mut self, id: &CallId) -> usize {
        if let Some(index) = self.calls.get(id) {
            return *index;
        }
        let number = u32::try_from(self.calls.len()).unwrap_or(u32::MAX).saturating_add(1);
        let index = self.push(ItemBody::Call(Box::new(DocumentCall { number, ..DocumentCall::default() })));
        self.calls.insert(id.clone(), index);
        if !id.is_person_run() {
            self.open_calls.push(index);
        }
        index
    }

    /// What is open when the turn ends never ended.
    pub(super) fn close_calls(&mut self) {
        for index in std::mem::take(&mut self.open_calls) {
            if let Some(item) = self.document.items.get_mut(index)
                && let ItemBody::Call(call) = &mut item.body
                && call.outcome.is_none()
            {
                (call.outcome, item.until) = (Some(CallOutcome::Unknown), self.at);
            }
        }
    }
}
