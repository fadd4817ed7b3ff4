//! PURE. One session as a client has it: its states, and what a client may decide in it.

use std::collections::HashMap;

use serde_json::json;

use super::ledger::ActionPlace;
use crate::dialect::ahp::chat_state::AhpChatState;
use crate::dialect::ahp::encode::{AhpAction, AhpChannel, AhpEncoder, AhpOrigin};
use crate::dialect::offered_decisions::offered_decisions;
use crate::event::{AgentEvent, ApprovalRequest, CallId, Decision, Envelope, Json, Seq};

/// The provider that all sessions have.
pub(super) const PROVIDER: &str = "jarvis-tui";

/// An action and where it stands in its log.
pub(super) type PlacedAction = (ActionPlace, AhpAction);

#[derive(Debug)]
pub(super) struct AhpSession {
    pub(super) uri: String,
    pub(super) chat_uri: String,
    encoder: AhpEncoder,
    chat: AhpChatState,
    input_needed: Vec<Json>,
    /// What is asked.
    approvals: HashMap<CallId, ApprovalRequest>,
    /// The last event that was folded.
    last: Seq,
    /// Actions that wait until those before them are sent.
    pub(super) held: Option<Vec<PlacedAction>>,
}

impl AhpSession {
    pub(super) fn new((uri, chat_uri): (String, String)) -> Self {
        Self {
            uri,
            encoder: AhpEncoder::new(chat_uri.clone()),
            chat_uri,
            chat: AhpChatState::default(),
            input_needed: Vec::new(),
            approvals: HashMap::new(),
            last: Seq(0),
            held: None,
        }
    }

    /// Folds an event, in order, and returns its actions.
    pub(super) fn handle_event(&mut self, envelope: &Envelope, origin: Option<&AhpOrigin>) -> Vec<PlacedAction> {
        self.last = envelope.seq;
        match &envelope.event {
            AgentEvent::ApprovalRequested { call, request } => {
                self.approvals.insert(call.clone(), request.clone());
            }
            AgentEvent::ApprovalResolved { call, .. } => _ = self.approvals.remove(call),
            AgentEvent::TurnFinished { .. } => self.approvals.clear(),
            _ => {}
        }
        let actions = self.encoder.encode(envelope, origin);
        for AhpAction { channel, action, .. } in &actions {
            match channel {
                AhpChannel::Chat => self.chat.apply(action),
                AhpChannel::Session => self.apply_to_session(action),
            }
        }
        let placed = |(nth, action)| (ActionPlace { event: envelope.seq, actions: nth + 1 }, action);
        actions.into_iter().enumerate().map(placed).collect()
    }

    fn apply_to_session(&mut self, action: &Json) {
        let id = action.pointer("/request/id").or_else(|| action.get("id"));
        let Some(id) = id.filter(|_| action["type"] != "session/chatUpdated") else { return };
        self.input_needed.retain(|request| request.get("id") != Some(id));
        self.input_needed.extend(action.get("request").cloned());
    }

    /// Where its states stand.
    pub(super) fn place(&self) -> ActionPlace {
        ActionPlace::behind(self.last)
    }

    /// Returns whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        self.chat.is_empty() && self.encoder.running_turn().is_none()
    }

    pub(super) fn running_turn(&self) -> Option<&str> {
        self.encoder.running_turn()
    }

    pub(super) fn model(&self) -> &str {
        self.encoder.model()
    }

    /// The state on the channel of the session.
    pub(super) fn session_state(&self) -> Json {
        let mut state = json!({
            "provider": PROVIDER, "title": self.encoder.title(), "status": self.encoder.status(), "lifecycle": "ready",
            "workingDirectories": [folder_uri(self.encoder.folder())], "activeClients": [],
            "chats": [self.chat_summary()], "defaultChat": self.chat_uri,
        });
        if !self.input_needed.is_empty() {
            state["inputNeeded"] = self.input_needed.clone().into();
        }
        state
    }

    /// The state on the channel of its chat.
    pub(super) fn chat_state(&self) -> Json {
        let mut state = self.chat_summary();
        if let (Some(state), Json::Object(turns)) = (state.as_object_mut(), self.chat.to_json()) {
            state.extend(turns);
        }
        state
    }

    fn chat_summary(&self) -> Json {
        json!({
            "resource": self.chat_uri, "title": self.encoder.title(), "status": self.encoder.status(),
            "modifiedAt": self.encoder.modified_at(), "origin": {"kind": "user"},
        })
    }

    /// Returns the decision that a client's answer comes to, or why it is none.
    pub(super) fn decision(&self, call: &CallId, answer: &Json) -> Result<(Decision, Option<String>), String> {
        let Some(request) = self.approvals.get(call) else {
            return Err(format!("nobody is asked about {call}, or that was decided"));
        };
        if answer.get("editedToolInput").is_some_and(|input| !input.is_null()) {
            return Err("the input of a call can't be changed here".to_owned());
        }
        let offered = offered_decisions(request);
        let option = answer.get("selectedOptionId").and_then(Json::as_str);
        if let Some(option) = option {
            let chosen = offered.into_iter().find(|offered| offered.id == option);
            let chosen = chosen.ok_or_else(|| format!("no option {option:?} is offered"))?;
            return Ok((chosen.decision, Some(chosen.id)));
        }
        let approved = answer.get("approved") == Some(&Json::Bool(true));
        let why = answer.get("reasonMessage").map(markdown_text).filter(|why| !why.is_empty());
        if request.answers.is_empty() {
            return Ok((if approved { Decision::Once } else { Decision::Deny(why) }, None));
        }
        let fitting = offered.into_iter().find(|offered| offered.kind.allows() == approved);
        let fitting = fitting.ok_or_else(|| "the agent offers no such answer".to_owned())?;
        Ok((fitting.decision, Some(fitting.id)))
    }
}

/// Returns a folder as a URI.
pub(super) fn folder_uri(folder: &str) -> String {
    url::Url::from_file_path(folder).map_or_else(|()| format!("file://{folder}"), String::from)
}

/// Returns the text of what is plain or Markdown.
pub(super) fn markdown_text(told: &Json) -> String {
    told.as_str().or_else(|| told.get("markdown")?.as_str()).unwrap_or_default().to_owned()
}
