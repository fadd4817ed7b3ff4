//! A session, folded into what is compared.

use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::branches::{BranchPath, BranchStarts};
use crate::event::{AgentEvent, Annotation, CallOutcome, Envelope, MessageId, Millis, TurnOutcome, Usage, who_answers};

/// Bytes of a turn's text, arguments and outputs that are compared, each.
const MAX_TURN_BYTES: usize = 4 << 20;
/// Shorter spans say nothing about a rate.
const MIN_RATE_DURATION: Millis = Millis(100);

/// One side of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparedSession {
    /// What the person calls it: an id, a file, a model.
    pub name: String,
    /// Who answered last, `engine/model`.
    pub model: String,
    pub turns: Vec<ComparedTurn>,
}

/// A turn of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparedTurn {
    pub prompt: String,
    pub answer: String,
    pub calls: Vec<ComparedCall>,
    /// None where the log ends before the turn does.
    pub outcome: Option<TurnOutcome>,
    pub duration: Millis,
    pub first_token: Option<Millis>,
    /// Tokens a second, from the first piece of the answer to the last.
    pub rate: Option<f64>,
    pub usage: Option<Usage>,
    /// US dollars, where the price or the cost was told.
    pub cost: Option<f64>,
}

/// A call of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComparedCall {
    pub name: String,
    pub args: String,
    pub outcome: Option<CallOutcome>,
    pub output: String,
}

impl ComparedTurn {
    /// Returns how the turn ended, in a word.
    pub fn outcome_name(&self) -> &'static str {
        match &self.outcome {
            None => "unfinished",
            Some(TurnOutcome::Completed) => "completed",
            Some(TurnOutcome::Cancelled) => "cancelled",
            Some(TurnOutcome::Interrupted) => "interrupted",
            Some(TurnOutcome::Failed(_)) => "failed",
        }
    }
}

impl ComparedSession {
    /// Folds the events of a session along its newest branch.
    pub fn of(name: impl Into<String>, envelopes: &[Envelope]) -> Self {
        let mut starts = BranchStarts::default();
        for envelope in envelopes {
            starts.observe(envelope.seq, &envelope.event);
        }
        let path: BranchPath = starts.active_path();
        let mut fold = SessionFold { session: Self { name: name.into(), ..Self::default() }, price: None, open: None };
        for envelope in envelopes.iter().filter(|envelope| path.tells(envelope.seq, &envelope.event)) {
            fold.observe(envelope);
        }
        fold.close();
        fold.session
    }

    /// Returns the sums over all turns: tokens, cost (none where one is unknown), time.
    pub fn totals(&self) -> (Option<Usage>, Option<f64>, Millis) {
        let usage = self.turns.iter().filter_map(|turn| turn.usage).reduce(Usage::plus);
        let cost = self.turns.iter().map(|turn| turn.cost).sum::<Option<f64>>().filter(|_| !self.turns.is_empty());
        let time = self.turns.iter().fold(Millis(0), |sum, turn| sum.plus(turn.duration));
        (usage, cost, time)
    }
}

struct SessionFold {
    session: ComparedSession,
    price: Option<(f64, f64)>,
    open: Option<TurnFold>,
}

struct TurnFold {
    turn: ComparedTurn,
    answer: Answer,
    began: Millis,
    last: Millis,
    /// First and last piece of the answer.
    span: Option<(Millis, Millis)>,
    reported_cost: Option<f64>,
    /// The message that the answer's text ended with.
    message: Option<MessageId>,
}

impl SessionFold {
    fn observe(&mut self, Envelope { at, event, .. }: &Envelope) {
        match event {
            AgentEvent::SessionOpened { engine, model, price, .. } => {
                self.session.model = who_answers(engine, model);
                self.price = *price;
            }
            AgentEvent::TurnStarted { .. } => {
                self.close();
                self.open = Some(TurnFold::new(*at));
            }
            event => {
                let Some(open) = &mut self.open else { return };
                open.observe(*at, event);
                if matches!(event, AgentEvent::TurnFinished { .. }) {
                    self.close();
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.session.turns.push(open.finish(self.price));
        }
    }
}

impl TurnFold {
    fn new(began: Millis) -> Self {
        Self {
            turn: ComparedTurn::default(),
            answer: Answer::new(AnswerLimits { bytes: MAX_TURN_BYTES, ..AnswerLimits::NONE }),
            began,
            last: began,
            span: None,
            reported_cost: None,
            message: None,
        }
    }

    fn observe(&mut self, at: Millis, event: &AgentEvent) {
        self.last = at;
        match event {
            AgentEvent::UserMessage { text, .. } => {
                if !self.turn.prompt.is_empty() {
                    self.turn.prompt.push_str("\n\n");
                }
                self.turn.prompt.push_str(text);
            }
            AgentEvent::Annotation { annotation: Annotation::FirstToken { ms }, .. } if ms.0 > 0 => {
                self.turn.first_token.get_or_insert(*ms);
            }
            AgentEvent::Annotation { annotation: Annotation::Cost { usd }, .. } if usd.is_finite() && *usd >= 0.0 => {
                self.reported_cost = Some(*usd);
            }
            _ => {}
        }
        let mut said = false;
        match self.answer.observe(event) {
            AnswerDelta::Text { message, text, .. } => {
                said = true;
                if self.message.as_ref().is_some_and(|last| last != message) && !self.turn.answer.is_empty() {
                    self.turn.answer.push_str("\n\n");
                }
                self.message = Some(message.clone());
                if self.turn.answer.len() < MAX_TURN_BYTES {
                    self.turn.answer.push_str(text);
                }
            }
            AnswerDelta::Reasoning { .. } | AnswerDelta::CallStarted(_) | AnswerDelta::CallArgs(..) => said = true,
            _ => {}
        }
        if said {
            let (first, _) = self.span.unwrap_or((at, at));
            self.span = Some((first, at));
        }
    }

    fn finish(self, price: Option<(f64, f64)>) -> ComparedTurn {
        let usage = self.answer.usage();
        let cost = |usage: Usage| {
            let (input, output) = price?;
            Some((usage.input_tokens as f64 * input + usage.output_tokens as f64 * output) / 1e6)
        };
        let rate = self.span.zip(usage).and_then(|((first, last), usage)| {
            let span = last.since(first);
            (span >= MIN_RATE_DURATION && usage.output_tokens > 0)
                .then(|| usage.output_tokens as f64 / span.as_secs_f64())
        });
        let first_token = self.turn.first_token.or_else(|| Some(self.span?.0.since(self.began)));
        let calls = self.answer.calls.into_iter().map(|call| ComparedCall {
            name: call.name,
            args: call.args,
            outcome: call.outcome,
            output: call.output,
        });
        ComparedTurn {
            calls: calls.collect(),
            outcome: self.answer.outcome,
            duration: self.last.since(self.began),
            first_token,
            rate,
            usage,
            cost: self.reported_cost.or_else(|| usage.and_then(cost)),
            ..self.turn
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FinishReason, Seq, UsageScope};
    use crate::testkit::events::{
        Opened, call_finished, call_ready, call_started, message_finished, message_started, text_delta, turn_finished,
        turn_started, user_message,
    };

    fn envelopes(events: Vec<(u64, AgentEvent)>) -> Vec<Envelope> {
        (1..).zip(events).map(|(seq, (at, event))| Envelope { seq: Seq(seq), at: Millis(at), event }).collect()
    }

    #[test]
    fn a_turn_has_its_words_calls_times_and_cost() {
        let usage = Usage { input_tokens: 100, output_tokens: 50, ..Usage::default() };
        let session = ComparedSession::of(
            "a",
            &envelopes(vec![
                (0, Opened { engine: "e", model: "m", price: Some((1.0, 2.0)), ..Opened::default() }.event()),
                (1_000, turn_started("t1")),
                (1_000, user_message("u1", "list it")),
                (1_500, message_started("m1")),
                (1_500, text_delta("m1", "Let me look.")),
                (1_500, call_started("c1", "m1", Some("run"))),
                (1_600, call_ready("c1", "run", "{}")),
                (1_600, message_finished("m1", FinishReason::ToolCalls)),
                (1_700, call_finished("c1", CallOutcome::Ok, "a.txt")),
                (1_800, message_started("m2")),
                (2_500, text_delta("m2", "One file.")),
                (2_500, message_finished("m2", FinishReason::End)),
                (2_600, AgentEvent::UsageReported { scope: UsageScope::Request(1), usage }),
                (3_000, turn_finished("t1", TurnOutcome::Completed)),
            ]),
        );
        let call = ComparedCall {
            name: "run".into(),
            args: "{}".into(),
            outcome: Some(CallOutcome::Ok),
            output: "a.txt".into(),
        };
        let turn = ComparedTurn {
            prompt: "list it".into(),
            answer: "Let me look.\n\nOne file.".into(),
            calls: vec![call],
            outcome: Some(TurnOutcome::Completed),
            duration: Millis(2_000),
            first_token: Some(Millis(500)),
            rate: Some(50.0),
            usage: Some(usage),
            cost: Some(200.0 / 1e6),
        };
        assert_eq!(session, ComparedSession { name: "a".into(), model: "e/m".into(), turns: vec![turn] });
        assert_eq!(session.totals(), (Some(usage), Some(200.0 / 1e6), Millis(2_000)));
    }

    #[test]
    fn only_the_newest_branch_is_compared_and_a_cut_turn_is_unfinished() {
        let session = ComparedSession::of(
            "a",
            &envelopes(vec![
                (0, Opened::default().event()),
                (0, turn_started("t1")),
                (0, user_message("u1", "first try")),
                (0, turn_finished("t1", TurnOutcome::Completed)),
                (0, AgentEvent::BranchStarted { after: Seq(1) }),
                (0, turn_started("t2")),
                (0, user_message("u2", "second try")),
            ]),
        );
        let prompts: Vec<_> = session.turns.iter().map(|turn| (turn.prompt.as_str(), turn.outcome_name())).collect();
        assert_eq!(prompts, [("second try", "unfinished")]);
    }
}
