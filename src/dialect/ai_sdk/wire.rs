//! Fields of the frequent chunks. Rare ones are parsed as JSON where they are handled.

use serde::Deserialize;

use super::super::lenient::{LooseBool, LooseStr};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ChunkFields<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) id: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) delta: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) tool_call_id: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) tool_name: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) input_text_delta: LooseStr<'a>,
    pub(super) provider_executed: LooseBool,
}
