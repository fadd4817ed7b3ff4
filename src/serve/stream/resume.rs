//! PURE. The rest of a stream, after a frame that the client has.

use super::super::request::is_history_turn;
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, Envelope, Json};

/// An encoder whose frames up to and including this number are dropped.
pub(super) struct ResumedEncoder {
    encoder: Box<dyn Encode>,
    last_frame: u64,
    has_passed: bool,
}

/// What is left of a finished stream for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeOutcome {
    More,
    UpToDate,
    /// There is no such frame.
    UnknownFrame,
}

impl ResumedEncoder {
    pub(super) fn new(encoder: Box<dyn Encode>, last: u64) -> Self {
        Self { encoder, last_frame: last, has_passed: false }
    }

    fn drop_known(&mut self, from: usize, out: &mut Vec<SseFrame>) {
        while !self.has_passed && out.len() > from {
            self.has_passed = frame_number(&out.remove(from)) == Some(self.last_frame);
        }
    }
}

impl Encode for ResumedEncoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        let from = out.len();
        self.encoder.start(out);
        self.drop_known(from, out);
    }

    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>) {
        let from = out.len();
        self.encoder.encode_event(envelope, out);
        self.drop_known(from, out);
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        let from = out.len();
        self.encoder.finish(out);
        self.drop_known(from, out);
    }

    fn keep_alive(&self) -> KeepAlive {
        self.encoder.keep_alive()
    }

    fn full_response(&mut self) -> (u16, Json) {
        self.encoder.full_response()
    }
}

/// Returns what follows the frame `last` in a finished stream.
pub(super) fn resume_outcome(encoder: &mut dyn Encode, events: &[Envelope], last: u64) -> ResumeOutcome {
    let (mut frames, mut inside, mut seen, mut more) = (Vec::new(), false, false, false);
    let mut look = |frames: &mut Vec<SseFrame>| {
        for frame in frames.drain(..) {
            more |= seen;
            seen |= frame_number(&frame) == Some(last);
        }
    };
    encoder.start(&mut frames);
    for envelope in events {
        match &envelope.event {
            AgentEvent::SessionOpened { .. } if !inside => encoder.encode_event(envelope, &mut frames),
            AgentEvent::TurnStarted { turn, .. } if !inside && !is_history_turn(turn) => {
                inside = true;
                encoder.encode_event(envelope, &mut frames);
            }
            _ if inside => encoder.encode_event(envelope, &mut frames),
            _ => {}
        }
        look(&mut frames);
        if inside && matches!(envelope.event, AgentEvent::TurnFinished { .. }) {
            break;
        }
    }
    encoder.finish(&mut frames);
    look(&mut frames);
    match (seen, more) {
        (true, true) => ResumeOutcome::More,
        (true, false) => ResumeOutcome::UpToDate,
        (false, _) => ResumeOutcome::UnknownFrame,
    }
}

fn frame_number(frame: &SseFrame) -> Option<u64> {
    frame.id.as_deref()?.parse().ok()
}
