//! The shape of an event, as far as it is read. One struct for all kinds: every field is optional.

use serde::Deserialize;

use super::super::lenient::{LooseJson, LooseStr, LooseU64};
use super::super::surrogate;
use crate::event::Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponsesEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) item_id: LooseStr<'a>,
    pub(super) output_index: LooseU64,
    pub(super) content_index: LooseU64,
    pub(super) summary_index: LooseU64,
    #[serde(borrow)]
    pub(super) call_id: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) name: LooseStr<'a>,
    /// Nearly always a string; an object is serialized.
    #[serde(borrow)]
    pub(super) delta: LooseJson<'a>,
    #[serde(borrow)]
    pub(super) text: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) refusal: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) arguments: LooseJson<'a>,
    #[serde(borrow)]
    pub(super) input: LooseStr<'a>,
    #[serde(borrow)]
    pub(super) code: LooseStr<'a>,
    pub(super) item: Option<Json>,
    pub(super) part: Option<Json>,
    pub(super) response: Option<Json>,
    pub(super) annotation: Option<Json>,
    pub(super) object: Option<Json>,
}

impl ResponsesEvent<'_> {
    /// Joins or replaces marked halves in fields that are not deltas of a text.
    pub(super) fn resolve_surrogates(&mut self) {
        let values = [&mut self.item, &mut self.part, &mut self.response, &mut self.annotation];
        values.into_iter().flatten().for_each(|json| surrogate::resolve_marks_in_json(json, true));
        let texts = [&mut self.text, &mut self.refusal, &mut self.input, &mut self.code];
        let texts = texts.into_iter().filter_map(|text| text.0.as_mut());
        for text in texts.chain(self.arguments.0.as_mut()) {
            let mut halves = surrogate::SurrogateJoiner::default();
            let mut whole = halves.push(std::mem::take(text), true).into_owned();
            whole.extend(halves.take_unpaired());
            *text = whole.into();
        }
    }
}

pub(super) fn text_at<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

pub(super) fn list_at<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}
