//! The replies of decoders, as events of a turn `t`.

use jarvis_tui::agent::assembler::{Assembled, ReplyAssembler};
use jarvis_tui::agent::ids::IdAllocator;
use jarvis_tui::dialect::{Decode, SseFrame};
use jarvis_tui::event::{AgentEvent, ReplyEvent, TurnId};

/// Assembles a reply, up to the end of its turn. Calls stay as it left them.
pub(crate) fn assembled(reply: Vec<ReplyEvent>) -> Vec<AgentEvent> {
    let (mut assembler, mut ids) = (ReplyAssembler::default(), IdAllocator::default());
    let (turn, mut events) = (TurnId::from("t"), Vec::new());
    for event in reply {
        match assembler.assemble(event, &turn, &mut ids) {
            Assembled::Event(event) => events.push(event),
            Assembled::Repeated => {}
            Assembled::End(outcome) => {
                assembler.close(&outcome, &mut events);
                events.push(AgentEvent::TurnFinished { turn: turn.clone(), outcome });
            }
        }
    }
    events
}

/// Decodes frames and assembles what they say.
pub(crate) fn decode_reply(decoder: &mut dyn Decode, frames: &[SseFrame]) -> Vec<AgentEvent> {
    let mut reply = Vec::new();
    for frame in frames {
        decoder.decode_frame(frame, &mut reply);
    }
    decoder.finish(&mut reply);
    assembled(reply)
}
