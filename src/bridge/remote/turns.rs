//! PURE. Turns a decoder's replies into turns of a session: every reply is one, and there are no prompts.

use crate::agent::assembler::{Assembled, ReplyAssembler, UnfinishedCall};
use crate::agent::ids::IdAllocator;
use crate::event::{AgentEvent, ReplyEvent, TurnId};

#[derive(Debug, Default)]
pub(super) struct RemoteTurns {
    ids: IdAllocator,
    open: Option<(TurnId, ReplyAssembler)>,
}

impl RemoteTurns {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Begins a turn unless one runs.
    pub(super) fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if self.open.is_none() {
            let turn = self.ids.new_turn();
            out.push(AgentEvent::TurnStarted { turn: turn.clone(), parent: None });
            self.open = Some((turn, ReplyAssembler::default()));
        }
    }

    pub(super) fn handle_event(&mut self, event: ReplyEvent, out: &mut Vec<AgentEvent>) {
        match event {
            // These may come between turns.
            ReplyEvent::Notice { level, code, text } => return out.push(AgentEvent::Notice { level, code, text }),
            ReplyEvent::Unknown(json) => return out.push(AgentEvent::Unknown(json)),
            _ => self.begin(out),
        }
        let Some((turn, reply)) = &mut self.open else { return };
        match reply.assemble(event, turn, &mut self.ids) {
            Assembled::Event(event) => out.push(event),
            Assembled::Repeated => {}
            Assembled::End(outcome) => {
                let calls = reply.close(&outcome, out);
                out.extend(calls.iter().map(UnfinishedCall::finished));
                out.push(AgentEvent::TurnFinished { turn: turn.clone(), outcome });
                self.open = None;
            }
        }
    }
}
