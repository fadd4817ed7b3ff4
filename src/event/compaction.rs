//! Compaction: the turns that the model is no longer sent, and what stands in their place.
//!
//! Nothing is removed: the events of those turns stay in the log, and an undone compaction counts no longer.

use serde::{Deserialize, Serialize};

use super::TurnId;

/// From here on the turns from the first through one of them are not sent to the model. Their summary is, if there is
/// one; a later compaction replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// The last turn that it covers.
    pub through: TurnId,
    /// How many turns it covers, those of earlier compactions included.
    pub turns: u32,
    /// How many of the oldest were too long to be read for the summary.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_turns: u32,
    /// What the model wrote about them; none where they are only left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Why there is no summary.
    #[serde(rename = "cut_because", default, skip_serializing_if = "Option::is_none")]
    pub cut_reason: Option<String>,
    /// Tokens of the conversation as it is sent, before and after: estimates.
    #[serde(rename = "before")]
    pub tokens_before: u64,
    #[serde(rename = "after")]
    pub tokens_after: u64,
    #[serde(rename = "by")]
    pub trigger: CompactionTrigger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionTrigger {
    /// A person asked for it.
    Person,
    /// The next request would not have fitted into the model's window.
    Window,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::AgentEvent;

    #[test]
    fn a_compaction_is_one_flat_object_that_is_read_back() {
        let compaction = Compaction {
            through: "t3".into(),
            turns: 3,
            unread_turns: 0,
            summary: Some("They met.".into()),
            cut_reason: None,
            tokens_before: 900,
            tokens_after: 20,
            trigger: CompactionTrigger::Person,
        };
        let cases = [
            (
                AgentEvent::Compacted(Box::new(compaction.clone())),
                r#"{"type":"compacted","through":"t3","turns":3,"summary":"They met.","before":900,"after":20,"by":"person"}"#,
            ),
            (
                AgentEvent::Compacted(Box::new(Compaction {
                    unread_turns: 1,
                    summary: None,
                    cut_reason: Some("offline".into()),
                    trigger: CompactionTrigger::Window,
                    ..compaction
                })),
                r#"{"type":"compacted","through":"t3","turns":3,"unread_turns":1,"cut_because":"offline","before":900,"after":20,"by":"window"}"#,
            ),
            (AgentEvent::CompactionUndone { through: "t3".into() }, r#"{"type":"compaction_undone","through":"t3"}"#),
        ];
        for (event, json) in cases {
            assert_eq!(serde_json::to_string(&event).unwrap(), json);
            assert_eq!(serde_json::from_str::<AgentEvent>(json).unwrap(), event);
        }
    }
}
