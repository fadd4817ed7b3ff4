//! PURE. What a reader of a durable stream asks for, and the tokens that it gets: offsets, cursors and entity tags.

use crate::event::Seq;
use crate::serve::error::ApiError;

/// Digits of an offset, so that offsets sort as numbers do.
const OFFSET_DIGITS: usize = 16;
/// Start of the cursors' intervals, 2024-10-09, in seconds since 1970.
const CURSOR_EPOCH_SECONDS: u64 = 1_728_432_000;
const CURSOR_INTERVAL_SECONDS: u64 = 20;
/// Intervals by which a cursor that was there before is moved on, at most: an hour.
const MAX_CURSOR_STEP: u64 = 3600 / CURSOR_INTERVAL_SECONDS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamOffset {
    After(Seq),
    /// Only what is yet to come.
    Now,
}

/// How long a reader stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LiveMode {
    CatchUp,
    LongPoll,
    Sse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamQuery {
    pub(super) offset: StreamOffset,
    pub(super) live: LiveMode,
    pub(super) cursor: Option<u64>,
}

impl StreamQuery {
    pub(super) fn parse(query: &[(String, String)]) -> Result<Self, ApiError> {
        let mut offsets = query.iter().filter(|(name, _)| name == "offset").map(|(_, value)| value.as_str());
        let word = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let wrong = |text: &str, param: &str| ApiError::bad_request(text).with_param(param);
        let live = match word("live") {
            None => LiveMode::CatchUp,
            Some("long-poll") => LiveMode::LongPoll,
            Some("sse") => LiveMode::Sse,
            Some(_) => return Err(wrong("live must be long-poll or sse", "live")),
        };
        let offset = match (offsets.next(), offsets.next()) {
            (None, _) if live != LiveMode::CatchUp => return Err(wrong("live reads need an offset", "offset")),
            (None, _) => StreamOffset::After(Seq(0)),
            (Some(offset), None) => parse_offset(offset)
                .ok_or_else(|| wrong("offset must be -1, now or the offset of an earlier response", "offset"))?,
            (Some(_), Some(_)) => return Err(wrong("there must be one offset", "offset")),
        };
        let cursor = word("cursor").and_then(|cursor| cursor.parse().ok());
        Ok(Self { offset, live, cursor })
    }
}

fn parse_offset(offset: &str) -> Option<StreamOffset> {
    match offset {
        "-1" => Some(StreamOffset::After(Seq(0))),
        "now" => Some(StreamOffset::Now),
        _ => {
            let is_ours = offset.len() == OFFSET_DIGITS && offset.bytes().all(|byte| byte.is_ascii_digit());
            Some(StreamOffset::After(Seq(offset.parse().ok().filter(|_| is_ours)?)))
        }
    }
}

/// Returns the offset behind an event.
pub(super) fn offset_after(seq: Seq) -> String {
    format!("{:0OFFSET_DIGITS$}", seq.0)
}

/// Returns a cursor, which moves on with time and never back behind the client's, so that no cache answers forever.
pub(super) fn cursor(now_ms: u64, random: u64, client: Option<u64>) -> u64 {
    let interval = (now_ms / 1000).saturating_sub(CURSOR_EPOCH_SECONDS) / CURSOR_INTERVAL_SECONDS;
    match client.filter(|client| *client >= interval) {
        Some(client) => client.saturating_add(1 + random % MAX_CURSOR_STEP),
        None => interval,
    }
}

/// Returns whether one of the client's entity tags is this one.
pub(super) fn is_same_tag(wanted: &str, tag: &str) -> bool {
    wanted.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &[(&str, &str)]) -> Result<StreamQuery, Option<String>> {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        StreamQuery::parse(&query).map_err(|error| error.param)
    }

    #[test]
    fn an_offset_is_where_an_earlier_read_ended() {
        for (query, offset, live) in [
            (&[][..], StreamOffset::After(Seq(0)), LiveMode::CatchUp),
            (&[("offset", "-1"), ("x", "y")], StreamOffset::After(Seq(0)), LiveMode::CatchUp),
            (&[("offset", "now"), ("live", "sse")], StreamOffset::Now, LiveMode::Sse),
            (
                &[("live", "long-poll"), ("offset", "0000000000000042")],
                StreamOffset::After(Seq(42)),
                LiveMode::LongPoll,
            ),
        ] {
            assert_eq!(parse(query), Ok(StreamQuery { offset, live, cursor: None }), "{query:?}");
        }
        assert_eq!(offset_after(Seq(42)), "0000000000000042");
        assert!(offset_after(Seq(9)) < offset_after(Seq(10)), "offsets sort as strings");
        for (query, param) in [
            (&[("offset", "")][..], "offset"),
            (&[("offset", "42")], "offset"),
            (&[("offset", "+000000000000042")], "offset"),
            (&[("offset", "000000000000004,")], "offset"),
            (&[("offset", "-1"), ("offset", "-1")], "offset"),
            (&[("live", "sse")], "offset"),
            (&[("offset", "-1"), ("live", "forever")], "live"),
        ] {
            assert_eq!(parse(query), Err(Some(param.to_owned())), "{query:?}");
        }
    }

    #[test]
    fn a_cursor_never_stands_still() {
        let now_ms = (CURSOR_EPOCH_SECONDS + 20_000) * 1000;
        assert_eq!(cursor(now_ms, 7, None), 1000);
        assert_eq!(cursor(now_ms, 7, Some(999)), 1000);
        for random in [0, 7, u64::MAX] {
            let next = cursor(now_ms, random, Some(1000));
            assert!((1001..=1000 + MAX_CURSOR_STEP).contains(&next), "{next}");
        }
        assert_eq!(cursor(now_ms, 7, Some(u64::MAX)), u64::MAX, "nothing overflows");
    }

    #[test]
    fn a_tag_is_known_in_a_list_and_as_a_weak_one() {
        for wanted in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(is_same_tag(wanted, "\"a\""), "{wanted}");
        }
        assert!(!is_same_tag("\"ab\"", "\"a\""));
    }
}
