//! The shape of an event, as far as it is read. One struct for all kinds: every field is optional.

use serde::Deserialize;

use super::super::lax::{Args, Num, Text};
use super::super::surrogate;
use crate::event::Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) item_id: Text<'a>,
    pub(super) output_index: Num,
    pub(super) content_index: Num,
    pub(super) summary_index: Num,
    #[serde(borrow)]
    pub(super) call_id: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    /// Nearly always a text; an object is written out.
    #[serde(borrow)]
    pub(super) delta: Args<'a>,
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) refusal: Text<'a>,
    #[serde(borrow)]
    pub(super) arguments: Args<'a>,
    #[serde(borrow)]
    pub(super) input: Text<'a>,
    #[serde(borrow)]
    pub(super) code: Text<'a>,
    pub(super) item: Option<Json>,
    pub(super) part: Option<Json>,
    pub(super) response: Option<Json>,
    pub(super) annotation: Option<Json>,
    pub(super) object: Option<Json>,
}

impl Event<'_> {
    /// Joins or replaces marked halves in what is not a piece of a stream of text.
    pub(super) fn mend(&mut self) {
        let values = [&mut self.item, &mut self.part, &mut self.response, &mut self.annotation];
        values.into_iter().flatten().for_each(|json| surrogate::settle(json, true));
        let texts = [&mut self.text, &mut self.refusal, &mut self.input, &mut self.code];
        let texts = texts.into_iter().filter_map(|text| text.0.as_mut());
        for text in texts.chain(self.arguments.0.as_mut()) {
            let mut halves = surrogate::Halves::default();
            let mut whole = halves.join(std::mem::take(text), true).into_owned();
            whole.extend(halves.rest());
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
