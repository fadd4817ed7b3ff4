//! One frame of a stream, and its exact bytes.

/// The name of a frame that is a piece of a plain text: its `data` is what came at once, exactly.
pub const TEXT_PIECE_NAME: &str = "text/plain";

/// The input of a decoder: one server-sent event, one NDJSON line (which has only `data`), or a piece of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseFrame {
    /// The event name; empty means the default, `message`.
    pub event: String,
    pub id: Option<String>,
    /// Reconnection time in milliseconds.
    pub retry: Option<u64>,
    pub data: String,
}

impl SseFrame {
    pub fn data(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    pub fn named(event: impl Into<String>, data: impl Into<String>) -> Self {
        Self { event: event.into(), data: data.into(), ..Self::default() }
    }

    /// Appends the frame as a server-sent event (WHATWG HTML, 9.2.5). Line ends in the data become `data` lines; name
    /// and id are cut at the first character that is not allowed in them.
    pub fn write_sse(&self, out: &mut Vec<u8>) {
        let mut field = |name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.push(b'\n');
        };
        if !self.event.is_empty() {
            field("event", first_line(&self.event));
        }
        if let Some(id) = &self.id {
            field("id", first_line(id));
        }
        if let Some(retry) = self.retry {
            field("retry", &retry.to_string());
        }
        for line in self.data.replace("\r\n", "\n").split(['\n', '\r']) {
            field("data", line);
        }
        out.push(b'\n');
    }

    /// Appends the data as one line of NDJSON. JSON text has no raw line ends.
    pub fn write_ndjson(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.data.as_bytes());
        out.push(b'\n');
    }
}

fn first_line(text: &str) -> &str {
    text.split(['\n', '\r', '\0']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frame: &SseFrame) -> String {
        let mut out = Vec::new();
        frame.write_sse(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_fields_it_has_are_written() {
        assert_eq!(written(&SseFrame::data("{}")), "data: {}\n\n");
        let full = SseFrame { event: "delta".into(), id: Some("3".into()), retry: Some(500), data: "x".into() };
        assert_eq!(written(&full), "event: delta\nid: 3\nretry: 500\ndata: x\n\n");
    }

    #[test]
    fn nothing_in_a_frame_can_begin_another_one() {
        let hostile = SseFrame {
            event: "a\ndata: x".into(),
            id: Some("1\n\ndata: y".into()),
            retry: None,
            data: "one\r\ntwo\rthree\nfour".into(),
        };
        assert_eq!(written(&hostile), "event: a\nid: 1\ndata: one\ndata: two\ndata: three\ndata: four\n\n");
    }
}
