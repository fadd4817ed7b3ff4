//! PURE. AWS's binary event streams, as frames: a length, headers and a payload, with a checksum (CRC-32) of the
//! lengths and one of the whole.
//!
//! A frame is named as its header `:event-type` says. An exception becomes an error, and a `chunk`, which wraps an
//! event of the model's own API in base64, that event.
//!
//! Source: the specification of `application/vnd.amazon.eventstream` in the documentation of Amazon Transcribe, and the
//! recordings of a server that mocks Bedrock.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sse_lines::FramingError;
use crate::dialect::SseFrame;

pub(super) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Bytes of the two lengths, of those with their checksum, and of the smallest frame.
const LENGTHS_BYTES: usize = 8;
const PRELUDE_BYTES: usize = 12;
const MIN_FRAME_BYTES: usize = 16;

/// The type of a header whose value is a string.
const STRING_TYPE: u8 = 7;

/// Cuts the bytes of an event stream into frames.
#[derive(Debug)]
pub(super) struct EventStreamSplitter {
    max_bytes: usize,
    partial: Vec<u8>,
}

/// What the headers of a frame say.
#[derive(Debug, Default, PartialEq, Eq)]
struct EventHeaders<'a> {
    message_type: Cow<'a, str>,
    /// The type of the event or exception, or the code of an error.
    name: Cow<'a, str>,
    error_message: Cow<'a, str>,
}

/// The payload of a `chunk`.
#[derive(Deserialize)]
struct ChunkPayload<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

impl EventStreamSplitter {
    pub(super) fn with_max_bytes(max_bytes: usize) -> Self {
        Self { max_bytes, partial: Vec::new() }
    }

    /// Adds the frames that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<SseFrame>) -> Result<(), FramingError> {
        self.partial.extend_from_slice(bytes);
        let mut start = 0;
        let cut = loop {
            let rest = self.partial.get(start..).unwrap_or_default();
            match self.next_length(rest) {
                Ok(Some(length)) => {
                    out.extend(parse_frame(rest.get(..length).unwrap_or_default()));
                    start += length;
                }
                Ok(None) => break Ok(()),
                Err(broken) => break Err(broken),
            }
        };
        self.partial.drain(..start);
        cut
    }

    /// Returns whether the stream ended inside of a frame.
    pub(super) fn is_torn(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Returns the length of the frame at the start, once it is there and sound.
    fn next_length(&self, bytes: &[u8]) -> Result<Option<usize>, FramingError> {
        let Some(length) = parse_prelude(bytes).transpose()? else { return Ok(None) };
        if length > self.max_bytes {
            return Err(FramingError::EventTooLong(self.max_bytes));
        }
        let Some(frame) = bytes.get(..length) else { return Ok(None) };
        let (body, sum) = frame.split_at(length - 4);
        if read_u32(sum) == Some(crc32(body)) { Ok(Some(length)) } else { Err(FramingError::Damaged) }
    }
}

/// Returns whether bytes begin an event stream; none as long as they could.
pub(super) fn is_event_stream(begun: &[u8]) -> Option<bool> {
    match begun.first() {
        // No text begins so, and no frame is as long as its length would have to be otherwise.
        Some(0) => parse_prelude(begun).map(|length| length.is_ok()),
        Some(_) => Some(false),
        None => None,
    }
}

/// Returns the length that the first bytes of a frame tell; none where there are too few of them.
fn parse_prelude(bytes: &[u8]) -> Option<Result<usize, FramingError>> {
    let prelude = bytes.get(..PRELUDE_BYTES)?;
    let (lengths, sum) = prelude.split_at(LENGTHS_BYTES);
    let (total, headers) = lengths.split_at(4);
    let (total, headers) = (read_u32(total)? as usize, read_u32(headers)? as usize);
    let is_sound = read_u32(sum) == Some(crc32(lengths)) && headers.saturating_add(MIN_FRAME_BYTES) <= total;
    Some(if is_sound { Ok(total) } else { Err(FramingError::Damaged) })
}

/// Parses a frame that is whole. One without meaning (an `initial-response`) has no event.
fn parse_frame(frame: &[u8]) -> Option<SseFrame> {
    let headers_length = read_u32(frame.get(4..LENGTHS_BYTES)?)? as usize;
    let headers = parse_headers(frame.get(PRELUDE_BYTES..PRELUDE_BYTES + headers_length)?);
    let payload = String::from_utf8_lossy(frame.get(PRELUDE_BYTES + headers_length..frame.len() - 4)?);
    match headers.message_type.as_ref() {
        "exception" => Some(error_frame(&headers.name, &exception_message(&payload))),
        "error" => Some(error_frame(&headers.name, &headers.error_message)),
        _ if headers.name == "chunk" => Some(unwrap_chunk(&payload)),
        _ => Some(SseFrame::named(headers.name, payload)),
    }
}

fn parse_headers(mut bytes: &[u8]) -> EventHeaders<'_> {
    let mut headers = EventHeaders::default();
    while let Some(header) = next_header(bytes) {
        bytes = header.rest;
        let Some(value) = header.value.map(String::from_utf8_lossy) else { continue };
        match header.name {
            b":message-type" => headers.message_type = value,
            b":event-type" | b":exception-type" | b":error-code" => headers.name = value,
            b":error-message" => headers.error_message = value,
            _ => {}
        }
    }
    headers
}

/// A header, and what follows it.
struct EventHeader<'a> {
    name: &'a [u8],
    /// None where it is no string.
    value: Option<&'a [u8]>,
    rest: &'a [u8],
}

fn next_header(bytes: &[u8]) -> Option<EventHeader<'_>> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    let fixed = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        _ => {
            let (length, rest) = rest.split_at_checked(2)?;
            let length = length.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte));
            let (value, rest) = rest.split_at_checked(length)?;
            return Some(EventHeader { name, value: Some(value).filter(|_| *kind == STRING_TYPE), rest });
        }
    };
    Some(EventHeader { name, value: None, rest: rest.get(fixed..)? })
}

fn exception_message(payload: &str) -> String {
    let json = serde_json::from_str::<Value>(payload).unwrap_or_default();
    let message = ["message", "Message", "originalMessage"].iter().find_map(|key| json.get(*key)?.as_str());
    message.unwrap_or(payload).to_owned()
}

/// Writes an error as the APIs of models do.
fn error_frame(kind: &str, message: &str) -> SseFrame {
    let message = if message.is_empty() { kind } else { message };
    let error = json!({ "type": "error", "error": { "type": kind, "message": message } });
    SseFrame::named("error", error.to_string())
}

/// Returns the event that is wrapped; what wraps none is data as it is.
fn unwrap_chunk(payload: &str) -> SseFrame {
    let wrapped = serde_json::from_str::<ChunkPayload<'_>>(payload).ok();
    let inner = wrapped.and_then(|chunk| STANDARD.decode(chunk.bytes.as_ref()).ok());
    inner.map_or_else(|| SseFrame::data(payload), |inner| SseFrame::data(String::from_utf8_lossy(&inner)))
}

fn read_u32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// Remainders of the CRC for every byte.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 1 == 1 { (remainder >> 1) ^ 0xedb8_8320 } else { remainder >> 1 };
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
};

/// Returns the checksum of ISO 3309, as in zip files.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        let at = (sum ^ u32::from(*byte)) & 0xff;
        (sum >> 8) ^ CRC_TABLE.get(at as usize).copied().unwrap_or_default()
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let mut fields = Vec::new();
        for (name, value) in headers {
            fields.push(u8::try_from(name.len()).unwrap());
            fields.extend_from_slice(name.as_bytes());
            fields.push(STRING_TYPE);
            fields.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            fields.extend_from_slice(value.as_bytes());
        }
        let total = u32::try_from(MIN_FRAME_BYTES + fields.len() + payload.len()).unwrap();
        let mut bytes = total.to_be_bytes().to_vec();
        bytes.extend_from_slice(&u32::try_from(fields.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&crc32(&bytes).to_be_bytes());
        bytes.extend_from_slice(&fields);
        bytes.extend_from_slice(payload.as_bytes());
        bytes.extend_from_slice(&crc32(&bytes).to_be_bytes());
        bytes
    }

    fn event(name: &str, payload: &str) -> Vec<u8> {
        frame(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload)
    }

    fn frames(bytes: &[u8]) -> Result<Vec<SseFrame>, FramingError> {
        let (mut splitter, mut out) = (EventStreamSplitter::with_max_bytes(1 << 20), Vec::new());
        splitter.push(bytes, &mut out).map(|()| out)
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn events_are_named_by_their_header_however_they_are_cut() {
        let mut bytes = event("messageStart", r#"{"role":"assistant"}"#);
        bytes.extend(event("messageStop", "{}"));
        let wanted = [SseFrame::named("messageStart", r#"{"role":"assistant"}"#), SseFrame::named("messageStop", "{}")];
        assert_eq!(frames(&bytes).unwrap(), wanted);
        let (mut splitter, mut out) = (EventStreamSplitter::with_max_bytes(1 << 20), Vec::new());
        for byte in &bytes {
            splitter.push(&[*byte], &mut out).unwrap();
        }
        assert_eq!((out.as_slice(), splitter.is_torn()), (&wanted[..], false));
        splitter.push(&bytes[..20], &mut out).unwrap();
        assert!(splitter.is_torn());
    }

    #[test]
    fn headers_of_every_type_are_passed_over() {
        let mut fields = Vec::new();
        for (kind, length) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            fields.extend_from_slice(&[1, b'x', kind]);
            fields.extend(std::iter::repeat_n(7, length));
        }
        fields.extend_from_slice(&[1, b'y', 6, 0, 2, 1, 2]);
        fields.extend_from_slice(&[11]);
        fields.extend_from_slice(b":event-type");
        fields.extend_from_slice(&[STRING_TYPE, 0, 1, b'e']);
        assert_eq!(parse_headers(&fields).name, "e");
        // What is cut ends the headers.
        assert_eq!(parse_headers(&fields[..fields.len() - 1]), EventHeaders::default());
    }

    #[test]
    fn exceptions_are_errors_and_chunks_are_what_they_wrap() {
        let exception = [(":exception-type", "throttlingException"), (":message-type", "exception")];
        let thrown = frames(&frame(&exception, r#"{"message":"Too many requests"}"#)).unwrap();
        let json: Value = serde_json::from_str(&thrown[0].data).unwrap();
        assert_eq!(thrown[0].event, "error");
        assert_eq!(json["error"], json!({"type": "throttlingException", "message": "Too many requests"}));
        let error = [(":message-type", "error"), (":error-code", "Gone"), (":error-message", "bye")];
        assert!(frames(&frame(&error, "")).unwrap()[0].data.contains("bye"));
        let wrapped = format!(r#"{{"bytes":"{}","p":"abc"}}"#, STANDARD.encode(r#"{"type":"ping"}"#));
        assert_eq!(frames(&event("chunk", &wrapped)).unwrap(), [SseFrame::data(r#"{"type":"ping"}"#)]);
        assert_eq!(frames(&event("chunk", r#"{"bytes":"?"}"#)).unwrap(), [SseFrame::data(r#"{"bytes":"?"}"#)]);
    }

    #[test]
    fn damage_and_excess_are_told() {
        let whole = event("messageStart", "{}");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let cut = frames(&bytes);
            assert!(matches!(cut, Err(FramingError::Damaged)), "{at}: {cut:?}");
        }
        let mut small = EventStreamSplitter::with_max_bytes(whole.len() - 1);
        assert!(matches!(small.push(&whole, &mut Vec::new()), Err(FramingError::EventTooLong(_))));
    }

    #[test]
    fn a_stream_is_known_by_its_first_bytes() {
        let whole = event("messageStart", "{}");
        assert_eq!(is_event_stream(&whole), Some(true));
        assert_eq!(is_event_stream(&whole[..5]), None);
        assert_eq!(is_event_stream(b"\0\0\0\x10nothing of it"), Some(false));
        assert_eq!(is_event_stream(b"data: {}"), Some(false));
        assert_eq!(is_event_stream(b""), None);
    }
}
