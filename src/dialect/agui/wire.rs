//! Fields that all events share, and those of the frequent events. Rare events are parsed as JSON where they are
//! handled.
//!
//! Some producers write the names in snake case.

use serde::Deserialize;

use super::super::lenient::LooseStr;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AgUiEventFields<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: LooseStr<'a>,
    #[serde(borrow, alias = "message_id")]
    pub(super) message_id: LooseStr<'a>,
    /// A string, except in `STATE_DELTA`, where it is a patch.
    #[serde(borrow)]
    pub(super) delta: LooseStr<'a>,
    #[serde(borrow, alias = "tool_call_id")]
    pub(super) tool_call_id: LooseStr<'a>,
    #[serde(borrow, alias = "tool_call_name")]
    pub(super) tool_call_name: LooseStr<'a>,
    #[serde(borrow, alias = "parent_message_id")]
    pub(super) parent_message_id: LooseStr<'a>,
    #[serde(borrow, alias = "subagent_run_id")]
    pub(super) subagent_run_id: LooseStr<'a>,
    #[serde(borrow, alias = "run_id")]
    pub(super) run_id: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) role: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) content: LooseStr<'a>,
    /// The error of a failed call.
    #[serde(borrow)]
    pub(super) error: LooseStr<'a>,
    /// The message of an error.
    #[serde(borrow)]
    pub(super) message: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) code: LooseStr<'a>,
    #[serde(borrow, alias = "step_name")]
    pub(super) step_name: LooseStr<'a>,
}
