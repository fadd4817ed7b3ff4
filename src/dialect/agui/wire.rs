//! What events have in common and what the frequent ones hold. The rare ones are read as JSON where they are handled.
//!
//! Some producers write the names with underscores.

use serde::Deserialize;

use super::super::lax::Text;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Head<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, alias = "message_id")]
    pub(super) message_id: Text<'a>,
    /// Text, but for `STATE_DELTA`, where it is a patch.
    #[serde(borrow)]
    pub(super) delta: Text<'a>,
    #[serde(borrow, alias = "tool_call_id")]
    pub(super) tool_call_id: Text<'a>,
    #[serde(borrow, alias = "tool_call_name")]
    pub(super) tool_call_name: Text<'a>,
    #[serde(borrow, alias = "parent_message_id")]
    pub(super) parent_message_id: Text<'a>,
    #[serde(borrow, alias = "subagent_run_id")]
    pub(super) subagent_run_id: Text<'a>,
    #[serde(borrow, alias = "run_id")]
    pub(super) run_id: Text<'a>,
    #[serde(borrow)]
    pub(super) role: Text<'a>,
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    /// Of a call that failed.
    #[serde(borrow)]
    pub(super) error: Text<'a>,
    /// Of an error.
    #[serde(borrow)]
    pub(super) message: Text<'a>,
    #[serde(borrow)]
    pub(super) code: Text<'a>,
    #[serde(borrow, alias = "step_name")]
    pub(super) step_name: Text<'a>,
}
