//! What a frame shows of the dialect that it is in. Each dialect has its own rule for that in its row.

use std::borrow::Cow;

use super::{DecodeContext, Dialect, SseFrame, error, surrogate};
use crate::event::Json;

/// A frame at the start of a stream.
pub struct FirstFrame<'a> {
    pub frame: &'a SseFrame,
    pub json: Option<Json>,
    pub context: &'a DecodeContext,
}

impl<'a> FirstFrame<'a> {
    pub fn new(frame: &'a SseFrame, context: &'a DecodeContext) -> Self {
        Self { frame, json: surrogate::parse_json(frame.data.trim()), context }
    }

    /// Returns the frame's own name; empty where many formats share it.
    pub fn name(&self) -> &'a str {
        match self.frame.event.as_str() {
            "message" | "ping" => "",
            name => name,
        }
    }

    pub fn object(&self) -> Option<&Json> {
        self.json.as_ref().filter(|json| json.is_object())
    }

    /// Returns whether the data has a value at this key.
    pub fn has(&self, key: &str) -> bool {
        has(self.json.as_ref(), key)
    }

    /// Returns whether the object at this key has a value at the other.
    pub fn has_in(&self, object: &str, key: &str) -> bool {
        has(self.object().and_then(|json| json.get(object)), key)
    }

    pub fn text(&self, key: &str) -> &str {
        self.json.as_ref().and_then(|json| json.get(key)?.as_str()).unwrap_or_default()
    }

    /// Returns the `type` of the data.
    pub fn kind(&self) -> &str {
        self.object().map(|_| self.text("type")).unwrap_or_default()
    }

    /// Returns whether the frame reports an error, in whatever format.
    pub fn is_error(&self) -> bool {
        error::find_error(self.frame).is_some()
    }
}

fn has(json: Option<&Json>, key: &str) -> bool {
    json.and_then(|json| json.get(key)).is_some_and(|value| !value.is_null())
}

/// Why a frame is one of a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    strength: EvidenceStrength,
    /// A clause: it is this dialect, because …
    pub because: Cow<'static, str>,
    /// It is an error in a form that other formats use as well: after other content it shows nothing.
    pub is_common_error: bool,
}

/// Of two dialects, the one with the stronger evidence counts; of equals, the first in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EvidenceStrength {
    Weak,
    Shape,
    Name,
    Header,
}

impl Evidence {
    fn new(strength: EvidenceStrength, because: impl Into<Cow<'static, str>>) -> Self {
        Self { strength, because: because.into(), is_common_error: false }
    }

    /// Returns evidence that counts where nothing else fits.
    pub fn weak(because: impl Into<Cow<'static, str>>) -> Self {
        Self::new(EvidenceStrength::Weak, because)
    }

    /// Returns the evidence of data that has the shape.
    pub fn shape(because: impl Into<Cow<'static, str>>) -> Self {
        Self::new(EvidenceStrength::Shape, because)
    }

    /// Returns the evidence of a frame that has the name.
    pub fn name(because: impl Into<Cow<'static, str>>) -> Self {
        Self::new(EvidenceStrength::Name, because)
    }

    /// Returns the evidence of a response that has the header.
    pub fn header(because: impl Into<Cow<'static, str>>) -> Self {
        Self::new(EvidenceStrength::Header, because)
    }

    /// Returns the evidence that is nothing but the frame's name.
    pub fn named(first: &FirstFrame<'_>) -> Self {
        Self::name(format!("a frame is named {}", first.frame.event))
    }

    /// Takes errors for ones that other formats write the same way.
    #[must_use]
    pub fn sharing_errors(self, first: &FirstFrame<'_>) -> Self {
        Self { is_common_error: first.is_error(), ..self }
    }
}

/// Returns the dialect that a frame shows best, and why.
pub(super) fn strongest(dialects: &'static [Dialect], first: &FirstFrame<'_>) -> Option<(&'static Dialect, Evidence)> {
    let found = dialects.iter().filter_map(|dialect| Some((dialect, (dialect.evidence)(first)?)));
    found.reduce(|best, next| if next.1.strength > best.1.strength { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::super::{ResponseHead, plain, responses};
    use super::*;

    #[test]
    fn a_header_of_the_response_outranks_what_the_frame_is_named() {
        static ROWS: [Dialect; 2] = [
            responses::DIALECT,
            Dialect {
                name: "ui-stream",
                evidence: |first| {
                    let header = first.context.response.header("x-ui-stream");
                    header.map(|_| Evidence::header("a header names it"))
                },
                ..plain::DIALECT
            },
        ];
        let frame = SseFrame { event: "response.created".into(), ..SseFrame::data(r#"{"response":{}}"#) };
        let name = |context: &DecodeContext| {
            strongest(&ROWS, &FirstFrame::new(&frame, context)).map(|(dialect, _)| dialect.name)
        };
        assert_eq!(name(&DecodeContext::default()), Some(responses::DIALECT.name));
        let response = ResponseHead::new(200, [("X-UI-Stream", "v1".to_owned())]);
        assert_eq!(name(&DecodeContext { response, ..DecodeContext::default() }), Some("ui-stream"));
    }
}
