//! PURE. Merges neighboring deltas into one event.

use crate::event::{AgentEvent, try_append};

/// Merges neighboring deltas of one message or call. The text stays the same; there are fewer events.
pub(super) fn merge(events: Vec<AgentEvent>) -> Vec<AgentEvent> {
    let mut out: Vec<AgentEvent> = Vec::with_capacity(events.len());
    for event in events {
        let grown = match (out.last_mut(), &event) {
            (
                Some(AgentEvent::TextDelta { message, text, kind }),
                AgentEvent::TextDelta { message: same, text: more, kind: same_kind },
            ) if message == same && kind == same_kind => try_append(text, more),
            (
                Some(AgentEvent::ReasoningDelta { message, text }),
                AgentEvent::ReasoningDelta { message: same, text: more },
            ) if message == same => try_append(text, more),
            (Some(AgentEvent::ToolArgsDelta { call, json }), AgentEvent::ToolArgsDelta { call: same, json: more })
                if call == same =>
            {
                try_append(json, more)
            }
            (
                Some(AgentEvent::ToolOutput { call, stream, text }),
                AgentEvent::ToolOutput { call: same, stream: same_stream, text: more },
            ) if call == same && stream == same_stream => try_append(text, more),
            _ => false,
        };
        if !grown {
            out.push(event);
        }
    }
    out
}
