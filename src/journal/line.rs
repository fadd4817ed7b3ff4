//! One line of a log: its number and time without parsing the rest, and the whole envelope.

use memchr::memmem;
use serde::Deserialize;

use crate::event::{AgentEvent, Envelope, MessageId, Millis, Seq, TextKind};

/// What every line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Head {
    pub(super) seq: Seq,
    #[serde(default)]
    pub(super) at: Millis,
}

impl Head {
    /// Reads number and time from the first bytes; lines that other programs laid out differently are parsed whole.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let head = Self::quick(line).or_else(|| serde_json::from_slice(line).ok());
        head.filter(|head| is_plausible(head.seq))
    }

    fn quick(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"seq\":")?;
        let (seq, rest) = number(rest)?;
        let rest = rest.strip_prefix(b",\"at\":")?;
        let (at, rest) = number(rest)?;
        rest.starts_with(b",").then_some(Self { seq: Seq(seq), at: Millis(at) })
    }
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    let mut value: u64 = 0;
    for digit in digits {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (!digits.is_empty()).then_some((value, rest))
}

pub(super) fn decode(line: &[u8]) -> Option<Envelope> {
    let envelope = token(line).or_else(|| serde_json::from_slice(line).ok());
    envelope.filter(|envelope| is_plausible(envelope.seq))
}

/// What nearly every line of a log is. Read without the detour that a choice between all events takes, which is more
/// than half the cost of reading a log; what isn't just so is left to [`Envelope`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    seq: Seq,
    at: Millis,
    event: TokenEvent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEvent {
    #[serde(rename = "type")]
    _type: TextDelta,
    message: MessageId,
    text: String,
    #[serde(default)]
    kind: TextKind,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TextDelta {
    TextDelta,
}

fn token(line: &[u8]) -> Option<Envelope> {
    const TYPE: &[u8] = b"\"event\":{\"type\":\"text_delta\"";
    // Behind two numbers of at most twenty digits.
    memmem::find(line.get(..line.len().min(90))?, TYPE)?;
    let Token { seq, at, event: TokenEvent { message, text, kind, .. } } = serde_json::from_slice(line).ok()?;
    Some(Envelope { seq, at, event: AgentEvent::TextDelta { message, text, kind } })
}

/// No session gets so long, and a number beside the greatest one would leave none for what follows.
pub(super) fn is_plausible(seq: Seq) -> bool {
    seq.0 <= 1 << 53
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { seq: Seq(7), at: Millis(12) };

    #[test]
    fn number_and_time_come_from_the_first_bytes() {
        assert_eq!(Head::of(br#"{"seq":7,"at":12,"event":{"type":"x"}}"#), Some(HEAD));
        assert_eq!(Head::quick(br#"{"seq":7,"at":12,"ev"#), Some(HEAD));
    }

    #[test]
    fn a_line_laid_out_differently_is_parsed() {
        assert_eq!(Head::of(br#"{ "at": 12, "event": {}, "seq": 7 }"#), Some(HEAD));
    }

    #[test]
    fn a_token_is_read_as_every_event_is() {
        for line in [
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a \u00e9\n"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a","kind":"refusal"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","text":"a","message":"m1","later":1},"more":2}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a"}} x"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta","message":"m1","text":"a","text":"b"}}"#,
            r#"{"seq":7,"at":12,"event":{"type":"text_delta_2","message":"m1","text":"a"}}"#,
            r#"{"seq":7,"event":{"type":"text_delta","message":"m1","text":"a"}}"#,
        ] {
            assert_eq!(decode(line.as_bytes()), serde_json::from_str(line).ok(), "{line}");
        }
    }

    #[test]
    fn what_is_no_envelope_has_no_head() {
        for line in
            ["", "{", "null", "{\"seq\":-1,\"at\":1,", "{\"seq\":99999999999999999999999,\"at\":1,", "{\"seq\":,"]
        {
            assert_eq!(Head::of(line.as_bytes()), None, "{line}");
        }
    }
}
