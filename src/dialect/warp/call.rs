//! A call for the client, reported state by state.

use crate::event::{CallId, ExecutedBy, Json, MessageId, ReplyEvent};

#[derive(Debug)]
pub(super) struct WarpCall {
    pub(super) wire_id: String,
    pub(super) id: CallId,
    pub(super) name: String,
    pub(super) args: String,
    pub(super) started: bool,
}

impl WarpCall {
    /// Returns whether the object of its arguments is not closed.
    pub(super) fn is_open(&self) -> bool {
        serde_json::from_str::<Json>(&self.args).is_err()
    }

    pub(super) fn start(&mut self, message: &MessageId, out: &mut Vec<ReplyEvent>) {
        self.started = true;
        out.push(ReplyEvent::ToolCallStarted {
            call: self.id.clone(),
            message: message.clone(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            parent: None,
            executed_by: ExecutedBy::Client,
        });
        if !self.args.is_empty() {
            out.push(ReplyEvent::ToolArgsDelta { call: self.id.clone(), json: self.args.clone() });
        }
    }
}
