//! A line of a log: its number and time without parsing the rest, or the whole envelope.

use serde::Deserialize;

use crate::event::{AgentEvent, Envelope, MessageId, Millis, Seq, TextKind};

/// The fields at the start of every line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct LineHead {
    pub(super) seq: Seq,
    #[serde(default)]
    pub(super) at: Millis,
}

impl LineHead {
    /// Parses number and time from the first bytes; lines that other programs formatted differently are parsed whole.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let head = Self::parse_fast(line).or_else(|| serde_json::from_slice(line).ok());
        head.filter(|head| is_plausible(head.seq))
    }

    fn parse_fast(line: &[u8]) -> Option<Self> {
        let (head, rest) = Self::split(line)?;
        rest.starts_with(b",").then_some(head)
    }

    /// Returns the head and what follows it, if the line is laid out as this program does.
    fn split(line: &[u8]) -> Option<(Self, &[u8])> {
        let rest = line.strip_prefix(b"{\"seq\":")?;
        let (seq, rest) = parse_number(rest)?;
        let rest = rest.strip_prefix(b",\"at\":")?;
        let (at, rest) = parse_number(rest)?;
        Some((Self { seq: Seq(seq), at: Millis(at) }, rest))
    }
}

fn parse_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    let mut value: u64 = 0;
    for digit in digits {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    let is_number = matches!(digits, [_] | [b'1'..=b'9', ..]);
    is_number.then_some((value, rest))
}

/// Returns the kind of a line's event without parsing it, if the line is laid out as this program does.
pub(super) fn event_kind(line: &[u8]) -> Option<&[u8]> {
    let (_, rest) = LineHead::split(line)?;
    let rest = rest.strip_prefix(b",\"event\":{\"type\":\"")?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

/// Returns whether a line is what goes with a prompt, which may be many megabytes, without parsing it. False where the
/// line is not laid out as this program does.
pub(super) fn is_prompt_context(line: &[u8]) -> bool {
    event_kind(line) == Some(b"annotated") && {
        let start = line.get(..MAX_ANNOTATION_HEAD_BYTES).unwrap_or(line);
        memchr::memmem::find(start, b",\"kind\":\"prompt_context\",\"data\":").is_some()
    }
}

/// What stands before the data of an annotation fits into so many bytes, unless ids are very long.
const MAX_ANNOTATION_HEAD_BYTES: usize = 512;

pub(super) fn decode(line: &[u8]) -> Option<Envelope> {
    LineDecoder::default().decode(line)
}

/// Decodes line after line: consecutive events of a message share its id.
#[derive(Default)]
pub(super) struct LineDecoder {
    last_message: Option<MessageId>,
}

impl LineDecoder {
    pub(super) fn decode(&mut self, line: &[u8]) -> Option<Envelope> {
        let envelope = self.decode_delta(line).or_else(|| serde_json::from_slice(line).ok());
        envelope.filter(|envelope| is_plausible(envelope.seq))
    }

    /// Parses the forms of nearly all lines of a log, as this program formats them. That costs a fifth of parsing an
    /// event; any other form is left to [`Envelope`].
    fn decode_delta(&mut self, line: &[u8]) -> Option<Envelope> {
        let (LineHead { seq, at }, rest) = LineHead::split(line)?;
        let rest = rest.strip_prefix(b",\"event\":{\"type\":\"")?;
        let (kind, rest) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
        let is_text = match kind {
            b"text_delta" => true,
            b"reasoning_delta" => false,
            _ => return None,
        };
        let rest = rest.strip_prefix(b"\",\"message\":\"")?;
        let (message, text) = message_and_text(rest)?;
        let message = self.message_id(message);
        let event = if is_text {
            AgentEvent::TextDelta { message, text, kind: TextKind::Text }
        } else {
            AgentEvent::ReasoningDelta { message, text }
        };
        Some(Envelope { seq, at, event })
    }

    fn message_id(&mut self, text: &str) -> MessageId {
        match &self.last_message {
            Some(last) if last.as_str() == text => last.clone(),
            _ => self.last_message.insert(text.into()).clone(),
        }
    }
}

/// Parses the end of a delta's line, from the content of its message id on.
fn message_and_text(rest: &[u8]) -> Option<(&str, String)> {
    let (message, rest) = rest.split_at_checked(memchr::memchr2(b'"', b'\\', rest)?)?;
    let text = rest.strip_prefix(b"\",\"text\":\"")?.strip_suffix(b"\"}}")?;
    let message = unescaped(message)?;
    let text = match unescaped(text) {
        Some(text) => text.to_owned(),
        None => serde_json::from_slice(&rest[TEXT_START..rest.len() - 2]).ok()?,
    };
    Some((message, text))
}

/// Offset of the text's JSON string after the message id.
const TEXT_START: usize = b"\",\"text\":".len();

/// Returns the content of a JSON string if it has no escapes.
fn unescaped(string: &[u8]) -> Option<&str> {
    let is_plain = !string.iter().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    is_plain.then(|| std::str::from_utf8(string).ok()).flatten()
}

/// No session gets that long, and a number near the maximum would leave none for later events.
pub(super) fn is_plausible(seq: Seq) -> bool {
    seq.0 <= 1 << 53
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: LineHead = LineHead { seq: Seq(7), at: Millis(12) };

    #[test]
    fn number_and_time_come_from_the_first_bytes() {
        assert_eq!(LineHead::parse(br#"{"seq":7,"at":12,"event":{"type":"x"}}"#), Some(HEAD));
        assert_eq!(LineHead::parse_fast(br#"{"seq":7,"at":12,"ev"#), Some(HEAD));
    }

    #[test]
    fn a_line_laid_out_differently_is_parsed() {
        assert_eq!(LineHead::parse(br#"{ "at": 12, "event": {}, "seq": 7 }"#), Some(HEAD));
    }

    #[test]
    fn a_token_is_read_as_every_event_is() {
        for line in [
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a \u00e9\n"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a","kind":"refusal"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"reasoning_delta","message":"m1","text":"a \u00e9\n"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"reasoning_delta","message":"m1","text":"a","kind":"refusal"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"reasoning_delta","message":"m\u0031","text":""}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","text":"a","message":"m1","later":1},"more":2}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a"}} x"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a","text":"b"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta_2","message":"m1","text":"a"}}"#,
            r#"{"seq":7,"event":{"type":"text_delta","message":"m1","text":"a"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":""}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m\u0031","text":"a"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a"}},{"x":"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"\"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"\ud800"}}"#,
            r#"{"seq":07,"at":12,"event":{"type":"text_delta","message":"m1","text":"a"}}"#,
            "{\"seq\":7,\"at\":12,\"event\":{\"type\":\"text_delta\",\"message\":\"m1\",\"text\":\"a\tb\"}}",
        ] {
            assert_eq!(decode(line.as_bytes()), serde_json::from_str(line).ok(), "{line}");
        }
    }

    #[test]
    fn what_goes_with_a_prompt_is_known_by_its_beginning() {
        let line = |event: &str| is_prompt_context(format!(r#"{{"seq":7,"at":12,"event":{event}}}"#).as_bytes());
        assert!(line(
            r#"{"type":"annotated","on":{"message":"m1"},"kind":"prompt_context","data":[{"kind":"image"}]}"#
        ));
        assert!(!line(
            r#"{"type":"annotated","on":"session","kind":"title","data":",\"kind\":\"prompt_context\",\"data\":"}"#
        ));
        assert!(!line(r#"{"type":"user_message","message":"m1","text":"x"}"#));
    }

    #[test]
    fn deltas_of_a_message_share_its_id() {
        let mut decoder = LineDecoder::default();
        let mut message = |id: &str, kind: &str| {
            let line = format!(r#"{{"seq":7,"at":12,"event":{{"type":"{kind}","message":"{id}","text":"a"}}}}"#);
            match decoder.decode(line.as_bytes()).unwrap().event {
                AgentEvent::TextDelta { message, .. } | AgentEvent::ReasoningDelta { message, .. } => message,
                other => panic!("{other:?}"),
            }
        };
        let (one, same, other) =
            (message("m1", "reasoning_delta"), message("m1", "text_delta"), message("m2", "text_delta"));
        assert!(std::ptr::eq(one.as_str(), same.as_str()));
        assert_eq!((one.as_str(), other.as_str()), ("m1", "m2"));
    }

    #[test]
    fn what_is_no_envelope_has_no_head() {
        for line in
            ["", "{", "null", "{\"seq\":-1,\"at\":1,", "{\"seq\":99999999999999999999999,\"at\":1,", "{\"seq\":,"]
        {
            assert_eq!(LineHead::parse(line.as_bytes()), None, "{line}");
        }
    }
}
