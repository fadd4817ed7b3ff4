//! What is written of A2A: tasks, messages, parts and states, in both versions.

use serde_json::json;

use crate::event::Json;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum A2aVersion {
    V0_3,
    #[default]
    V1_0,
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum A2aState {
    Working,
    InputRequired,
    Completed,
    Canceled,
    Failed,
    Rejected,
}

impl A2aState {
    /// Returns its name without the prefix of version 1.0.
    fn word(self) -> &'static str {
        match self {
            Self::Working => "WORKING",
            Self::InputRequired => "INPUT_REQUIRED",
            Self::Completed => "COMPLETED",
            Self::Canceled => "CANCELED",
            Self::Failed => "FAILED",
            Self::Rejected => "REJECTED",
        }
    }

    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Working | Self::InputRequired)
    }

    pub fn name(self, version: A2aVersion) -> String {
        match version {
            A2aVersion::V0_3 => self.word().to_ascii_lowercase().replace('_', "-"),
            A2aVersion::V1_0 => format!("TASK_STATE_{}", self.word()),
        }
    }
}

impl A2aVersion {
    pub(super) fn text_part(self, text: &str) -> Json {
        self.with_kind(json!({ "text": text }), "text")
    }

    pub(super) fn data_part(self, data: &Json) -> Json {
        self.with_kind(json!({ "data": data }), "data")
    }

    /// Names the kind of an object, which only 0.3 does.
    pub(super) fn with_kind(self, mut object: Json, kind: &str) -> Json {
        if self == Self::V0_3 {
            object["kind"] = kind.into();
        }
        object
    }

    /// Wraps what a stream holds or a message is answered with: 1.0 names it by the field that it is in.
    pub(super) fn wrap(self, body: Json, field: &str, kind: &str) -> Json {
        match self {
            Self::V0_3 => self.with_kind(body, kind),
            Self::V1_0 => json!({ field: body }),
        }
    }

    pub(super) fn role(self, is_user: bool) -> &'static str {
        match (self, is_user) {
            (Self::V0_3, true) => "user",
            (Self::V0_3, false) => "agent",
            (Self::V1_0, true) => "ROLE_USER",
            (Self::V1_0, false) => "ROLE_AGENT",
        }
    }
}
