//! A body of plain text, as the AI SDK's text streams and small servers send it: shown exactly as it comes.
//!
//! Such a text tells neither errors nor its end: a body that ends in order is a whole answer.

use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, TEXT_PIECE_NAME};
use crate::event::{FinishReason, MessageId, ReplyEvent, Role, TextKind, TurnOutcome};

/// Also `--dialect text`.
pub const DIALECT: Dialect = Dialect {
    name: "text",
    title: "plain text",
    decode: |_| Box::new(TextStreamDecoder::default()),
    evidence,
    extends: None,
    limitations: "everything but the text",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let is_text = first.frame.event == TEXT_PIECE_NAME && first.context.response.content_type() == TEXT_PIECE_NAME;
    is_text.then(|| Evidence::header("the response is a text without frames"))
}

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct TextStreamDecoder {
    message: Option<MessageId>,
}

impl Decode for TextStreamDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if frame.data.is_empty() {
            return;
        }
        let message = self.message.get_or_insert_with(|| {
            let message = MessageId::from("m1");
            out.push(ReplyEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
            message
        });
        let (message, text) = (message.clone(), frame.data.clone());
        out.push(ReplyEvent::TextDelta { message, text, kind: TextKind::Text });
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = if let Some(message) = self.message.take() {
            let (finish_reason, full_text) = (FinishReason::End, None);
            out.push(ReplyEvent::MessageFinished { message, finish_reason, full_text, provider_metadata: None });
            TurnOutcome::Completed
        } else {
            TurnOutcome::Interrupted
        };
        out.push(ReplyEvent::End { outcome });
    }

    fn is_done(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_exactly_and_tags_in_it_are_text() {
        let (mut decoder, mut out) = (TextStreamDecoder::default(), Vec::new());
        for piece in [" <think>", "Hm.</think>\r\n", "\n", "so so so "] {
            decoder.decode_frame(&SseFrame::named(TEXT_PIECE_NAME, piece), &mut out);
        }
        decoder.finish(&mut out);
        let text: String = out
            .iter()
            .filter_map(|event| match event {
                ReplyEvent::TextDelta { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, " <think>Hm.</think>\r\n\nso so so ");
        assert_eq!(out.last(), Some(&ReplyEvent::End { outcome: TurnOutcome::Completed }));
    }
}
