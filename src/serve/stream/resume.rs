//! PURE. The rest of a stream, behind a frame that the client has.

use super::super::ask::is_told;
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, Envelope, Json};

/// An encoder of which nothing is heard up to and including the frame with this number.
pub(super) struct After {
    encoder: Box<dyn Encode>,
    last: u64,
    passed: bool,
}

/// What a stream that is over still has for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coming {
    More,
    Nothing,
    /// There was no such frame.
    Never,
}

impl After {
    pub(super) fn new(encoder: Box<dyn Encode>, last: u64) -> Self {
        Self { encoder, last, passed: false }
    }

    fn drop_known(&mut self, from: usize, out: &mut Vec<SseFrame>) {
        while !self.passed && out.len() > from {
            self.passed = number(&out.remove(from)) == Some(self.last);
        }
    }
}

impl Encode for After {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        let from = out.len();
        self.encoder.start(out);
        self.drop_known(from, out);
    }

    fn fact(&mut self, told: &Envelope, out: &mut Vec<SseFrame>) {
        let from = out.len();
        self.encoder.fact(told, out);
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

    fn answer(&mut self) -> (u16, Json) {
        self.encoder.answer()
    }
}

/// Returns what follows the frame `last` in a stream that is over.
pub(super) fn coming(encoder: &mut dyn Encode, facts: &[Envelope], last: u64) -> Coming {
    let (mut frames, mut inside, mut seen, mut more) = (Vec::new(), false, false, false);
    let mut look = |frames: &mut Vec<SseFrame>| {
        for frame in frames.drain(..) {
            more |= seen;
            seen |= number(&frame) == Some(last);
        }
    };
    encoder.start(&mut frames);
    for told in facts {
        match &told.event {
            AgentEvent::SessionOpened { .. } if !inside => encoder.fact(told, &mut frames),
            AgentEvent::TurnStarted { turn, .. } if !inside && !is_told(turn) => {
                inside = true;
                encoder.fact(told, &mut frames);
            }
            _ if inside => encoder.fact(told, &mut frames),
            _ => {}
        }
        look(&mut frames);
        if inside && matches!(told.event, AgentEvent::TurnFinished { .. }) {
            break;
        }
    }
    encoder.finish(&mut frames);
    look(&mut frames);
    match (seen, more) {
        (true, true) => Coming::More,
        (true, false) => Coming::Nothing,
        (false, _) => Coming::Never,
    }
}

fn number(frame: &SseFrame) -> Option<u64> {
    frame.id.as_deref()?.parse().ok()
}
