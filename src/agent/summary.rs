//! PURE. The request for a summary of earlier turns, and its reply.
//!
//! The turns go as a record, a text in one prompt: no call has to find its result there, no signed thinking its message,
//! and what was said is plainly material. Not here: which turns (`history/compactions`).

use std::fmt::Write as _;

use crate::engine::{HistoryCall, HistoryMessage};
use crate::event::{CallOutcome, FinishReason, ReplyEvent, TurnOutcome, Usage};
use crate::tool::truncate::truncate_middle;

/// What the model is told that writes summaries.
pub const SUMMARY_PROMPT: &str = include_str!("../../assets/prompts/compaction.md");

/// Bytes of an output and of arguments in a record, of any other text, and of a summary.
pub const MAX_RECORDED_OUTPUT_BYTES: usize = 2_000;
pub const MAX_RECORDED_BYTES: usize = 16_000;
const MAX_SUMMARY_BYTES: usize = 64_000;

/// What is to be summed up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryRecord {
    /// The summary of the turns before these.
    pub summary: Option<String>,
    /// How many turns between that and these are missing.
    pub unread_turns: u32,
    pub turns: Vec<Vec<HistoryMessage>>,
    /// What the person wants to have kept above all.
    pub instructions: Option<String>,
}

impl SummaryRecord {
    /// Writes the prompt.
    pub fn prompt(&self) -> String {
        let mut text = "The record:\n".to_owned();
        if let Some(summary) = &self.summary {
            let _ = write!(text, "\n=== Earlier summary ===\n{}\n", summary.trim());
        }
        if self.unread_turns > 0 {
            let _ = write!(text, "\n=== {} turns are missing here ===\n", self.unread_turns);
        }
        for turn in self.turns.iter().filter(|turn| !turn.is_empty()) {
            text.push_str("\n=== Turn ===\n");
            for entry in turn {
                record_entry(entry, &mut text);
            }
        }
        text.push_str("\n=== End of the record ===\n\nWrite the summary now.");
        if let Some(instructions) = &self.instructions {
            let _ = write!(text, " The person asks of it: {}", instructions.trim());
        }
        text
    }
}

fn record_entry(entry: &HistoryMessage, text: &mut String) {
    let line = |text: &mut String, who: &str, said: &str, limit: usize| {
        let (said, _) = truncate_middle(said.trim(), limit);
        if !said.is_empty() {
            let _ = writeln!(text, "{who}: {said}");
        }
    };
    match entry {
        HistoryMessage::User { text: said, images } => {
            line(text, "Person", said, MAX_RECORDED_BYTES);
            if !images.is_empty() {
                let _ = writeln!(text, "({} images went with it)", images.len());
            }
        }
        HistoryMessage::Assistant { text: said, calls, .. } => {
            line(text, "Assistant", said, MAX_RECORDED_BYTES);
            for HistoryCall { name, args, .. } in calls {
                line(text, &format!("Call of {name}"), args, MAX_RECORDED_OUTPUT_BYTES);
            }
        }
        HistoryMessage::Tool { name, output, outcome, .. } => {
            let said = if output.trim().is_empty() { "(nothing)" } else { output };
            let remark = if *outcome == CallOutcome::Ok { String::new() } else { format!(" ({})", outcome.name()) };
            line(text, &format!("Result of {name}{remark}"), said, MAX_RECORDED_OUTPUT_BYTES);
        }
    }
}

/// Collects the reply to that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryReply {
    text: String,
    is_cut: bool,
    outcome: Option<TurnOutcome>,
    /// What the request used, if that was reported.
    pub usage: Option<Usage>,
}

impl SummaryReply {
    pub fn observe(&mut self, event: ReplyEvent) {
        match event {
            ReplyEvent::TextDelta { text, .. } => self.text.push_str(&text),
            ReplyEvent::MessageFinished { finish_reason, full_text, .. } => {
                self.is_cut |= finish_reason == FinishReason::Length;
                if let Some(full) = full_text {
                    self.text = full;
                }
            }
            ReplyEvent::UsageReported { usage, .. } => self.usage = Some(usage),
            ReplyEvent::End { outcome } => self.outcome = Some(outcome),
            _ => {}
        }
    }

    pub fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// Returns the summary, or why there is none.
    pub fn into_summary(self) -> Result<String, String> {
        match self.outcome {
            Some(TurnOutcome::Completed) => {}
            Some(TurnOutcome::Failed(fault)) => return Err(fault.message),
            Some(TurnOutcome::Cancelled) => return Err("it was cancelled".to_owned()),
            Some(TurnOutcome::Interrupted) | None => return Err("the reply broke off".to_owned()),
        }
        let text = self.text.trim();
        if text.is_empty() {
            return Err("the model returned no summary".to_owned());
        }
        let (mut summary, _) = truncate_middle(text, MAX_SUMMARY_BYTES);
        if self.is_cut {
            summary.push_str("\n\n[the summary ends here, at the model's output limit]");
        }
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fault, FaultKind, TextKind};

    fn call(name: &str, args: &str) -> HistoryCall {
        let (name, args) = (name.to_owned(), args.to_owned());
        HistoryCall { call: "c1".into(), name, args, provider_metadata: None, approval: None }
    }

    fn said(text: &str, calls: Vec<HistoryCall>) -> HistoryMessage {
        HistoryMessage::Assistant { text: text.into(), reasoning: "secret".into(), calls, provider_metadata: None }
    }

    #[test]
    fn a_record_has_what_was_said_and_done_and_no_thinking() {
        let result = |output: &str, outcome| HistoryMessage::Tool {
            call: "c1".into(),
            name: "run".into(),
            output: output.into(),
            outcome,
        };
        let record = SummaryRecord {
            summary: Some("They met.".into()),
            unread_turns: 2,
            turns: vec![
                vec![
                    HistoryMessage::user("list it"),
                    said("", vec![call("run", r#"{"command":"ls"}"#)]),
                    result("a.txt", CallOutcome::Ok),
                    said("One file.", Vec::new()),
                ],
                Vec::new(),
                vec![
                    HistoryMessage::user("remove it"),
                    said("", vec![call("run", "{}")]),
                    result("", CallOutcome::Denied),
                ],
            ],
            instructions: Some("keep the names".into()),
        };
        let expected = "The record:\n\n=== Earlier summary ===\nThey met.\n\n=== 2 turns are missing here ===\n\n\
                        === Turn ===\nPerson: list it\nCall of run: {\"command\":\"ls\"}\nResult of run: a.txt\n\
                        Assistant: One file.\n\n=== Turn ===\nPerson: remove it\nCall of run: {}\nResult of run \
                        (denied): (nothing)\n\n=== End of the record ===\n\nWrite the summary now. The person asks \
                        of it: keep the names";
        assert_eq!(record.prompt(), expected);
    }

    #[test]
    fn long_outputs_are_recorded_by_their_ends() {
        let output = format!("begin{}end", "x".repeat(100_000));
        let entry = HistoryMessage::Tool { call: "c".into(), name: "run".into(), output, outcome: CallOutcome::Ok };
        let prompt = SummaryRecord { turns: vec![vec![entry]], ..SummaryRecord::default() }.prompt();
        assert!(prompt.len() < MAX_RECORDED_OUTPUT_BYTES + 500, "{}", prompt.len());
        assert!(prompt.contains("begin") && prompt.contains("end\n"));
    }

    #[test]
    fn a_reply_is_a_summary_or_says_why_not() {
        let text = |text: &str| ReplyEvent::TextDelta { message: "m".into(), text: text.into(), kind: TextKind::Text };
        let finished = |finish_reason, full: Option<&str>| ReplyEvent::MessageFinished {
            message: "m".into(),
            finish_reason,
            full_text: full.map(str::to_owned),
            provider_metadata: None,
        };
        let end = |outcome| ReplyEvent::End { outcome };
        let fault = Fault::new(FaultKind::BadRequest, "no such model");
        let cases = [
            (vec![text(" a"), text("b "), end(TurnOutcome::Completed)], Ok("ab")),
            (vec![text("a"), finished(FinishReason::End, Some("whole")), end(TurnOutcome::Completed)], Ok("whole")),
            (
                vec![text("half"), finished(FinishReason::Length, None), end(TurnOutcome::Completed)],
                Ok("half\n\n[the summary ends here, at the model's output limit]"),
            ),
            (vec![text(" "), end(TurnOutcome::Completed)], Err("the model returned no summary")),
            (vec![text("a"), end(TurnOutcome::Failed(fault))], Err("no such model")),
            (vec![text("a"), end(TurnOutcome::Interrupted)], Err("the reply broke off")),
            (vec![text("a")], Err("the reply broke off")),
        ];
        for (events, expected) in cases {
            let mut reply = SummaryReply::default();
            for event in events {
                reply.observe(event);
            }
            assert_eq!(reply.into_summary(), expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
