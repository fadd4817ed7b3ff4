//! One frame of a stream, and its exact byte form.

/// What a decoder is fed: one server-sent event, or one NDJSON line (which has only `data`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseFrame {
    /// The event name; empty means the default, `message`.
    pub event: String,
    pub id: Option<String>,
    /// Milliseconds.
    pub retry: Option<u64>,
    pub data: String,
}

impl SseFrame {
    pub fn data(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }
}
