//! PURE. Durable Streams told as server-sent events, under any dialect: an event `data` is a list of the stream's
//! messages, which are frames of their own, and `control` says at which offset the stream goes on, and whether it was
//! closed.
//!
//! A message gets an id of the offset that was told last and its number since, so that one that comes again is known.
//!
//! Source: the protocol of the npm package `@durable-streams/server` 0.3, and recordings of it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::SseFrame;

/// Parts the offset from the number in an id.
const ID_SEPARATOR: char = '#';

/// Where a stream stands.
#[derive(Debug, Default)]
pub(super) struct DurableStream {
    /// The offset behind which the next messages are; empty while none was told.
    offset: String,
    /// Messages since then.
    count: u64,
    is_durable: bool,
    is_closed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamControl {
    stream_next_offset: Option<String>,
    #[serde(default)]
    stream_closed: bool,
}

impl DurableStream {
    /// Takes a frame; one of another kind of stream is passed on as it is.
    pub(super) fn unwrap_frame(&mut self, frame: SseFrame, out: &mut Vec<SseFrame>) {
        match frame.event.as_str() {
            "data" => self.unwrap_messages(frame, out),
            "control" => match serde_json::from_str::<StreamControl>(&frame.data) {
                Ok(StreamControl { stream_next_offset: None, stream_closed: false }) | Err(_) => out.push(frame),
                Ok(control) => {
                    self.is_durable = true;
                    self.is_closed |= control.stream_closed;
                    if let Some(offset) = control.stream_next_offset {
                        (self.offset, self.count) = (offset, 0);
                    }
                }
            },
            _ => out.push(frame),
        }
    }

    fn unwrap_messages(&mut self, frame: SseFrame, out: &mut Vec<SseFrame>) {
        let list = frame.data.trim_start().starts_with('[');
        let messages = list.then(|| serde_json::from_str::<Vec<&RawValue>>(&frame.data).ok()).flatten();
        let Some(messages) = messages else { return out.push(frame) };
        self.is_durable = true;
        for message in messages {
            let id = format!("{}{ID_SEPARATOR}{}", self.offset, self.count);
            self.count += 1;
            out.push(SseFrame { id: Some(id), ..SseFrame::data(message.get()) });
        }
    }

    /// Goes on behind the offset of a message with this id.
    pub(super) fn resume_at(&mut self, id: &str) {
        if let Some(offset) = offset_of(id) {
            offset.clone_into(&mut self.offset);
        }
    }

    pub(super) fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Returns whether nothing will follow any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

fn offset_of(id: &str) -> Option<&str> {
    id.rsplit_once(ID_SEPARATOR).map(|(offset, _)| offset)
}

/// Returns whether a query asks for a durable stream as events.
pub(crate) fn is_live_query(query: &str) -> bool {
    query.split('&').any(|pair| pair == "live=sse")
}

/// Returns the URL from which a durable stream goes on behind the message with this id; none where the URL asks for no
/// such stream.
pub(super) fn resumed_url(url: &str, id: &str) -> Option<String> {
    let (url, _) = url.split_once('#').unwrap_or((url, ""));
    let (path, query) = url.split_once('?').filter(|(_, query)| is_live_query(query))?;
    let offset = offset_of(id).filter(|offset| !offset.is_empty());
    let Some(offset) = offset else { return Some(url.to_owned()) };
    let others = query.split('&').filter(|pair| !pair.starts_with("offset="));
    let pairs: Vec<String> = others.map(str::to_owned).chain([format!("offset={offset}")]).collect();
    Some(format!("{path}?{}", pairs.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(stream: &mut DurableStream, frames: &[(&str, &str)]) -> Vec<SseFrame> {
        let mut out = Vec::new();
        for (event, data) in frames {
            stream.unwrap_frame(SseFrame::named(*event, *data), &mut out);
        }
        out
    }

    fn message(id: &str, data: &str) -> SseFrame {
        SseFrame { id: Some(id.to_owned()), ..SseFrame::data(data) }
    }

    #[test]
    fn a_list_is_so_many_messages_and_its_offset_names_them() {
        let mut stream = DurableStream::default();
        let first = [("data", r#"[{"a":1}, {"b":[2]}]"#), ("control", r#"{"streamNextOffset":"7_9","upToDate":true}"#)];
        assert_eq!(unwrapped(&mut stream, &first), [message("#0", r#"{"a":1}"#), message("#1", r#"{"b":[2]}"#)]);
        assert!(stream.is_durable() && !stream.is_closed());
        let rest = [("data", "[3]"), ("data", "[]"), ("data", "[4]"), ("control", r#"{"streamClosed":true}"#)];
        assert_eq!(unwrapped(&mut stream, &rest), [message("7_9#0", "3"), message("7_9#1", "4")]);
        assert!(stream.is_closed());
    }

    #[test]
    fn a_message_that_comes_again_has_the_same_id() {
        let mut again = DurableStream::default();
        again.resume_at("7_9#5");
        assert_eq!(unwrapped(&mut again, &[("data", "[3]")]), [message("7_9#0", "3")]);
    }

    #[test]
    fn other_streams_are_left_alone() {
        let mut stream = DurableStream::default();
        let frames =
            [("data", r#"{"metadata":"x"}"#), ("control", "{}"), ("control", "x"), ("", "[1]"), ("data", "[1")];
        let wanted: Vec<SseFrame> = frames.iter().map(|(event, data)| SseFrame::named(*event, *data)).collect();
        assert_eq!(unwrapped(&mut stream, &frames), wanted);
        assert!(!stream.is_durable());
    }

    #[test]
    fn a_stream_goes_on_behind_the_offset_of_the_last_message() {
        let url = "http://h/s?offset=-1&live=sse&x=1";
        assert_eq!(resumed_url(url, "7_9#3").unwrap(), "http://h/s?live=sse&x=1&offset=7_9");
        assert_eq!(resumed_url(url, "#3").unwrap(), url);
        assert_eq!(resumed_url("http://h/s?offset=-1", "7_9#3"), None);
        assert!(is_live_query("a=b&live=sse") && !is_live_query("live=long-poll"));
    }
}
