//! A command that the person ran beside the conversation, as the log keeps it. No model is told of it here.

use serde::{Deserialize, Serialize};

use super::{CallId, CallOutcome, Millis};

/// How the ids of such runs begin: no turn of an agent ends them.
const PERSON_RUN_PREFIX: &str = "here-";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRun {
    pub command: String,
    pub outcome: CallOutcome,
    /// Head and tail of a long one.
    pub output: String,
    #[serde(rename = "took")]
    pub duration: Millis,
}

impl CallId {
    /// Returns an id for a run of the person; `after` and `nth` make it unique in its session.
    pub fn of_person_run(after: u64, nth: u64) -> Self {
        Self::new(format!("{PERSON_RUN_PREFIX}{after}-{nth}"))
    }

    pub fn is_person_run(&self) -> bool {
        self.as_str().starts_with(PERSON_RUN_PREFIX)
    }
}
