//! jarvis-tui's own stream: one envelope per frame, the same JSON as a line of the log. Lossless.
//!
//! A mirror of a remote session takes the envelopes themselves, numbers and times included, with [`parse_envelope`].
//! The decoder is for everyone else: of the events of the session it passes on what belongs to an answer, and closes
//! what the stream leaves open.

use std::collections::HashSet;

use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error};
use crate::event::grammar::Sealer;
use crate::event::{AgentEvent, CallId, Envelope, Fault, MessageId, ReplyEvent, Role, Seq, TurnOutcome};

/// Also `--dialect native`.
pub const DIALECT: Dialect = Dialect {
    name: "native",
    title: "jarvis-tui's own events",
    decode: |_: &DecodeContext| Box::new(NativeDecoder::new()),
    evidence,
    extends: None,
    limitations: "nothing",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let is_envelope = first.has("seq") && first.has_in("event", "type");
    is_envelope.then(|| Evidence::shape("its frames are numbered events of jarvis-tui"))
}

/// Parses the envelope in a frame. None for anything else, such as the header of a log.
pub fn parse_envelope(frame: &SseFrame) -> Option<Envelope> {
    serde_json::from_str(&frame.data).ok()
}

/// Decodes one answer.
#[derive(Debug)]
pub struct NativeDecoder {
    /// Treats all turns of the stream as one, as the consumers of these events do.
    sealer: Sealer,
    messages: HashSet<MessageId>,
    calls: HashSet<CallId>,
    /// The newest number; frames repeat after a reconnect.
    last_seq: Seq,
    /// Outcome of the newest turn; none while one runs.
    outcome: Option<TurnOutcome>,
    /// The error at the end of the stream, where that is not an event of a session.
    fault: Option<Fault>,
    unknown_frames: UnknownFrames,
}

impl Default for NativeDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl NativeDecoder {
    pub fn new() -> Self {
        let mut sealer = Sealer::new();
        // The stream may start in the middle of a turn.
        let _ = sealer.observe(&AgentEvent::TurnStarted { turn: "t".into(), parent: None });
        let (messages, calls) = (HashSet::new(), HashSet::new());
        Self {
            sealer,
            messages,
            calls,
            last_seq: Seq(0),
            outcome: None,
            fault: None,
            unknown_frames: UnknownFrames::default(),
        }
    }

    fn handle_event(&mut self, event: AgentEvent, out: &mut Vec<ReplyEvent>) {
        match event {
            AgentEvent::SessionOpened { .. } | AgentEvent::UserMessage { .. } => {}
            AgentEvent::TurnStarted { .. } => self.outcome = None,
            AgentEvent::TurnFinished { outcome, .. } => {
                self.close(&outcome, out);
                self.outcome = Some(outcome);
            }
            event => self.forward(event, out),
        }
    }

    fn forward(&mut self, event: AgentEvent, out: &mut Vec<ReplyEvent>) {
        let is_new = match &event {
            AgentEvent::MessageStarted { message, .. } => self.messages.insert(message.clone()),
            AgentEvent::ToolCallStarted { call, .. } => self.calls.insert(call.clone()),
            // The start of its message came before the start of the stream.
            AgentEvent::TextDelta { message, .. } | AgentEvent::ReasoningDelta { message, .. }
                if !self.messages.contains(message) =>
            {
                let (message, role) = (message.clone(), Role::Assistant);
                self.forward(AgentEvent::MessageStarted { message, role, parent: None }, out);
                true
            }
            _ => true,
        };
        if is_new && self.sealer.observe(&event).is_ok() {
            out.extend(ReplyEvent::from_session(event));
        } else {
            self.unknown_frames.report("an event out of place", out);
        }
    }

    fn close(&mut self, outcome: &TurnOutcome, out: &mut Vec<ReplyEvent>) {
        for event in self.sealer.close_contents(outcome) {
            let _ = self.sealer.observe(&event);
            out.extend(ReplyEvent::from_session(event));
        }
    }
}

impl Decode for NativeDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        match parse_envelope(frame) {
            Some(Envelope { seq, .. }) if seq <= self.last_seq => {}
            Some(Envelope { seq, event, .. }) => {
                self.last_seq = seq;
                self.fault = None;
                self.handle_event(event, out);
            }
            // The first line of a log.
            None if frame.data.starts_with("{\"format\"") => {}
            None if matches!(frame.event.as_str(), "ping" | "weather") || frame.data.trim().is_empty() => {}
            None => match error::find_error(frame) {
                Some(server_error) => self.fault = Some(error::to_fault(&server_error)),
                None => self.unknown_frames.report("a frame that is not an event of a session", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let failed = self.fault.take().map(TurnOutcome::Failed);
        let outcome = failed.or(self.outcome.take()).unwrap_or(TurnOutcome::Interrupted);
        self.close(&outcome, out);
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    /// More turns may follow.
    fn is_done(&self) -> bool {
        false
    }

    fn is_complete(&self) -> bool {
        self.outcome.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FinishReason, Millis};
    use crate::testkit::events::{
        message_finished, message_started, text_delta, turn_finished, turn_started, user_message,
    };

    fn frame(seq: u64, event: AgentEvent) -> SseFrame {
        SseFrame::data(serde_json::to_string(&Envelope { seq: Seq(seq), at: Millis(seq), event }).unwrap())
    }

    fn started() -> AgentEvent {
        message_started("m2")
    }

    fn text(text: &str) -> AgentEvent {
        text_delta("m2", text)
    }

    fn decode(frames: &[SseFrame]) -> Vec<ReplyEvent> {
        let (mut decoder, mut out) = (NativeDecoder::new(), Vec::new());
        for frame in frames {
            decoder.decode_frame(frame, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn what_belongs_to_an_answer_passes_unchanged() {
        let finished = message_finished("m2", FinishReason::End);
        let end = turn_finished("t7", TurnOutcome::Completed);
        let unknown = AgentEvent::Unknown(serde_json::json!({"type": "newer", "x": 1}));
        let events = decode(&[
            SseFrame::data("{\"format\":1}"),
            frame(1, turn_started("t7")),
            frame(2, user_message("m1", "hi")),
            frame(3, started()),
            frame(4, text("a")),
            frame(4, text("a")),
            frame(5, unknown.clone()),
            frame(6, finished.clone()),
            frame(7, end),
        ]);
        let mut expected = [started(), text("a"), unknown, finished].map(ReplyEvent::from_session).to_vec();
        expected.push(Some(ReplyEvent::End { outcome: TurnOutcome::Completed }));
        assert_eq!(events.into_iter().map(Some).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_cut_stream_is_closed_and_interrupted() {
        let events = decode(&[frame(3, started()), frame(4, text("a")), SseFrame::data("junk")]);
        assert!(
            matches!(events[3], ReplyEvent::MessageFinished { finish_reason: FinishReason::Interrupted, .. }),
            "{events:?}"
        );
        assert!(matches!(events[4], ReplyEvent::End { outcome: TurnOutcome::Interrupted }));
    }

    #[test]
    fn an_error_that_is_no_event_fails_what_was_going_on() {
        let events = decode(&[frame(3, started()), frame(4, text("a")), SseFrame::named("error", "boom")]);
        assert!(
            matches!(events.last(), Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) if fault.message.ends_with("boom")),
            "{events:?}"
        );
    }

    #[test]
    fn an_envelope_is_read_whole() {
        let envelope = Envelope { seq: Seq(9), at: Millis(12), event: text("x") };
        let data = serde_json::to_string(&envelope).unwrap();
        assert_eq!(parse_envelope(&SseFrame::data(data)), Some(envelope));
        assert_eq!(parse_envelope(&SseFrame::data("{}")), None);
    }
}
