//! How a prompt, and what is said into a running turn, reach the agent.

use super::{PeerLink, PeerMachine, PeerStage};
use crate::bridge::session::UnsentPrompt;
use crate::event::{Fault, FaultKind, PromptContext, PromptImage, TurnOutcome, add_context, user_message};

impl PeerMachine {
    pub(super) fn begin_prompt(&mut self, prompt: &UnsentPrompt) {
        if let PeerStage::Opening(waiting) = &mut self.stage {
            // What is told of earlier turns comes first.
            *waiting = Some(prompt.clone());
            if !self.setup.loads_session || self.is_resuming {
                self.tell_prompt_turn(prompt);
            }
            return;
        }
        self.tell_prompt_turn(prompt);
        if self.connect_again(Some(prompt)) {
            return;
        }
        match &self.stage {
            PeerStage::Gone { fault, .. } => {
                let fault = fault.clone();
                self.finish_turn(TurnOutcome::Failed(fault));
            }
            PeerStage::Opening(_) | PeerStage::Ready => self.send_prompt(prompt),
        }
    }

    /// Begins the turn of a prompt.
    fn tell_prompt_turn(&mut self, prompt: &UnsentPrompt) {
        if self.turn.is_some() {
            self.abandon(TurnOutcome::Completed);
        }
        self.begin_turn(true);
        self.tell_prompt(prompt.text(), prompt.context().to_vec());
    }

    /// Takes the prompt that waits for the session; its turn is begun.
    pub(super) fn take_waiting_prompt(&mut self) -> Option<UnsentPrompt> {
        let PeerStage::Opening(waiting) = &mut self.stage else { return None };
        let prompt = waiting.take()?;
        if !self.turn.as_ref().is_some_and(|turn| turn.is_prompted) {
            self.tell_prompt_turn(&prompt);
        }
        Some(prompt)
    }

    /// Puts something into the running turn, where the agent takes it: the session keeps what it doesn't.
    pub(super) fn steer(&mut self, prompt: UnsentPrompt) {
        let text = add_context(prompt.text(), prompt.context());
        let images: Vec<&PromptImage> = prompt.context().iter().filter_map(PromptContext::image).collect();
        let takes_it = images.is_empty() || self.setup.protocol.takes_images();
        let Some(turn) = self.turn.as_mut().filter(|turn| turn.is_prompted && !turn.is_cancelled && takes_it) else {
            return;
        };
        let mut steps = Vec::new();
        if self.setup.protocol.steer(&text, &images, &mut steps) {
            turn.steers.push_back(prompt);
        }
        for step in steps {
            self.perform(step);
        }
    }

    pub(super) fn handle_steered(&mut self, is_taken: bool) {
        let steer = self.turn.as_mut().and_then(|turn| turn.steers.pop_front());
        if let Some(prompt) = steer.filter(|_| is_taken) {
            let (text, context) = prompt.into_parts();
            self.tell_prompt(&text, context);
        }
    }

    pub(super) fn send_prompt(&mut self, prompt: &UnsentPrompt) {
        self.out.link = Some(PeerLink::Waiting);
        let text = add_context(prompt.text(), prompt.context());
        let images: Vec<&PromptImage> = prompt.context().iter().filter_map(PromptContext::image).collect();
        if !images.is_empty() && !self.setup.protocol.takes_images() {
            let text = format!("{} takes no images; send the prompt without them", self.name());
            return self.finish_turn(TurnOutcome::Failed(Fault::new(FaultKind::BadRequest, text)));
        }
        let hosting = self.setup.hosting.as_mut();
        let preamble = hosting.and_then(|hosting| {
            hosting.has_past = true;
            hosting.preamble.take()
        });
        let text = preamble.map_or(text.clone(), |preamble| format!("{preamble}\n{text}"));
        self.with_protocol(|protocol, steps| protocol.send_prompt(&text, &images, steps));
    }

    pub(super) fn tell_prompt(&mut self, text: &str, context: Vec<PromptContext>) {
        for event in user_message(self.ids.new_message(), text, context) {
            self.emit(event);
        }
    }
}
