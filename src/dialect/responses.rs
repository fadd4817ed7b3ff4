//! OpenAI Responses, the official format and its variants: events name an item by id and position, text and arguments
//! come in deltas and then again as a whole, and the closing event repeats the entire answer.
//!
//! Of every repetition only what was missing is emitted. Functions are the client's to run, other tools the server's.
//! Sequence numbers are not needed; missing ids, positions, or a missing `response` around an object do no harm.

mod decode;
mod emitter;
pub mod encode;
mod items;
pub mod object;
mod whole_items;

pub use self::decode::ResponsesDecoder;
pub use self::whole_items::call_error_text;

use serde::Deserialize;

use super::lenient::{LooseJson, LooseStr, LooseU64};
use super::{Dialect, Evidence, FirstFrame, surrogate};
use crate::event::Json;

/// Also `--dialect openai-responses`.
pub const DIALECT: Dialect = Dialect {
    name: "openai-responses",
    title: "OpenAI Responses",
    decode: |context| Box::new(ResponsesDecoder::new().with_open_calls(&context.open_calls)),
    evidence,
    extends: None,
    limitations: "images and audio, log probabilities; durations of the server's tools, which the format lacks",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    if first.name() == "error" && first.has("sequence_number") {
        return Some(Evidence::name("a numbered frame is named error"));
    }
    if let Some((event, is_name)) = event_name(first).filter(|_| is_official_event(first)) {
        let because = format!("a frame of {event} is nested or numbered");
        return Some(if is_name { Evidence::name(because) } else { Evidence::shape(because) });
    }
    if first.text("object") == "response" && is_official_response(first) {
        return Some(Evidence::shape("it is a whole response"));
    }
    None
}

/// Returns the event of a frame of this family, and whether it is the frame's name.
pub(super) fn event_name<'a>(first: &'a FirstFrame<'_>) -> Option<(&'a str, bool)> {
    let is_one = |name: &&str| name.starts_with("response.");
    first.json.as_ref()?;
    let named = Some(first.name()).filter(is_one).map(|name| (name, true));
    named.or_else(|| Some(first.kind()).filter(is_one).map(|kind| (kind, false)))
}

/// The official events nest the object or are numbered.
pub(super) fn is_official_event(first: &FirstFrame<'_>) -> bool {
    let nested = first.json.as_ref().and_then(|json| json.get("response"));
    nested.is_some_and(Json::is_object) || first.has("sequence_number")
}

/// A whole response that does not repeat its text, or does repeat its settings.
pub(super) fn is_official_response(first: &FirstFrame<'_>) -> bool {
    const SETTING_KEYS: &[&str] = &["parallel_tool_calls", "tool_choice", "truncation", "incomplete_details"];
    let has_key = |key: &str| first.json.as_ref().is_some_and(|json| json.get(key).is_some());
    !has_key("output_text") || SETTING_KEYS.iter().any(|key| has_key(key))
}

/// An event, as far as it is read. One struct for all kinds: every field is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponsesEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: LooseStr<'a>,
    #[serde(borrow)]
    item_id: LooseStr<'a>,
    output_index: LooseU64,
    content_index: LooseU64,
    summary_index: LooseU64,
    #[serde(borrow)]
    call_id: LooseStr<'a>,
    #[serde(borrow)]
    name: LooseStr<'a>,
    /// Nearly always a string; an object is serialized.
    #[serde(borrow)]
    delta: LooseJson<'a>,
    #[serde(borrow)]
    text: LooseStr<'a>,
    #[serde(borrow)]
    refusal: LooseStr<'a>,
    #[serde(borrow)]
    arguments: LooseJson<'a>,
    #[serde(borrow)]
    input: LooseStr<'a>,
    #[serde(borrow)]
    code: LooseStr<'a>,
    item: Option<Json>,
    part: Option<Json>,
    response: Option<Json>,
    annotation: Option<Json>,
    object: Option<Json>,
}

impl ResponsesEvent<'_> {
    /// Joins or replaces marked halves in fields that are not deltas of a text.
    fn resolve_surrogates(&mut self) {
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

fn text_at<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

fn list_at<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}
