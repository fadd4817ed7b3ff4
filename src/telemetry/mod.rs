//! Traces for OpenTelemetry: what turns, models and tools took, in the names of its conventions for generative AI.
//!
//! Off unless the settings switch it on. Events of a session become spans (`spans`), spans become OTLP in JSON
//! (`otlp`), and one task sends them (`export`). Names, times and numbers are told; what was said only if the
//! settings switch that on too, and secrets never. Invariant: no session waits for it, and none fails because of it.
//!
//! The conventions are those of version 0.1.0 of `semantic-conventions-genai`; all of it is still in development there.

pub mod export;
mod otlp;
mod spans;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::spans::{Span, TurnTracer};
use crate::bridge::hub::Hub;
use crate::bridge::{HubItem, new_uuid};
use crate::event::{SessionId, TurnId};
use crate::net::redact_registered;

/// Events taken at once.
const MAX_BATCH_EVENTS: usize = 512;

/// Where spans go on their way to the collector. The exporter ends once all of these are dropped.
#[derive(Clone, Debug)]
pub struct SpanSender {
    spans: mpsc::Sender<Span>,
    tells_content: bool,
}

/// Follows a session from now on and tells its turns, until it ends. `is_past` knows the turns that a client told of.
pub fn follow(
    sender: SpanSender,
    session: SessionId,
    hub: &Hub,
    is_past: fn(&TurnId) -> bool,
    tasks: &mut JoinSet<()>,
) {
    let mut subscription = hub.subscribe(hub.last_seq());
    tasks.spawn(async move {
        let mut tracer = TurnTracer::new(session, sender.tells_content, is_past, || *new_uuid().as_bytes());
        let (mut batch, mut spans) = (Vec::new(), Vec::new());
        while subscription.next_batch(MAX_BATCH_EVENTS, &mut batch).await {
            for item in batch.drain(..) {
                match item {
                    HubItem::Event(event) => tracer.observe(&event.envelope, &mut spans),
                    HubItem::Reset => tracer.reset(),
                }
            }
            for mut span in spans.drain(..) {
                span.texts_mut().for_each(redact_registered);
                if sender.spans.try_send(span).is_err() {
                    tracing::debug!("a span was dropped: the collector is too slow");
                }
            }
        }
    });
}
