//! Legal turns, made of numbers.

use super::*;

/// Builds a legal turn from a list of numbers.
pub(super) struct Dice<'a> {
    rolls: std::slice::Iter<'a, u16>,
    events: Vec<AgentEvent>,
    open: Vec<(MessageId, String)>,
    /// Calls, whether they are ready, and how often they ended.
    calls: Vec<(CallId, ExecutedBy, bool, u8, String)>,
    made: usize,
    /// Limit of messages open at once.
    most_open: usize,
}

pub(super) const WORDS: &[&str] = &["so ", "é", "😀", "\u{7f}\n", "\"quoted\" \\ ", "{\"a\":1}", "data: x\n\n", ""];
pub(super) const OUTCOMES: &[CallOutcome] = &[
    CallOutcome::Ok,
    CallOutcome::Failed,
    CallOutcome::Denied,
    CallOutcome::Cancelled,
    CallOutcome::Requested,
    CallOutcome::Unknown,
];

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        self.rolls.next().map_or(0, |roll| usize::from(*roll) % sides.max(1))
    }

    pub(super) fn turn(rolls: &[u16], most_open: usize) -> Vec<AgentEvent> {
        let events = published(&[turn_finished("t", TurnOutcome::Completed)]);
        let events = events[..2].to_vec();
        let mut dice = Dice { rolls: rolls.iter(), events, open: Vec::new(), calls: Vec::new(), made: 0, most_open };
        while dice.rolls.len() > 3 {
            dice.step();
        }
        let end = match dice.roll(6) {
            0 | 1 => TurnOutcome::Completed,
            2 => TurnOutcome::Cancelled,
            3 => TurnOutcome::Interrupted,
            4 => TurnOutcome::Failed(Fault::new(FaultKind::Refused, "no")),
            _ => TurnOutcome::Failed(Fault::new(FaultKind::RateLimited, "slowly, please")),
        };
        let mut events = dice.events;
        let mut sealer = Sealer::new();
        for event in &events {
            sealer.observe(event).unwrap();
        }
        events.extend(sealer.seal(end));
        assert_eq!(grammar::check(&events), []);
        events
    }

    fn step(&mut self) {
        let word = WORDS[self.roll(WORDS.len())].to_owned();
        self.made += 1;
        match self.roll(12) {
            0 if self.open.len() < self.most_open => {
                let message = MessageId::new(format!("m{}", self.made));
                self.open.push((message.clone(), String::new()));
                let is_ours = self.roll(8) > 0;
                let parent = (!is_ours).then(|| CallId::from("elsewhere"));
                self.events.push(AgentEvent::MessageStarted { message, role: Role::Assistant, parent });
            }
            1..=3 => self.in_message(|message, text| {
                text.push_str(&word);
                AgentEvent::TextDelta { message, text: word, kind: TextKind::Text }
            }),
            4 => self.in_message(|message, text| {
                text.push_str(&word);
                AgentEvent::TextDelta { message, text: word, kind: TextKind::Refusal }
            }),
            5 => self.in_message(|message, _| AgentEvent::ReasoningDelta { message, text: word }),
            6 => {
                let call = CallId::new(format!("c{}", self.made));
                let ran_by = if self.roll(3) == 0 { ExecutedBy::Server } else { ExecutedBy::Client };
                let name = (self.roll(3) > 0).then(|| "clock".to_owned());
                let at = self.roll(self.open.len());
                let Some((message, _)) = self.open.get(at) else { return };
                let message = message.clone();
                self.calls.push((call.clone(), ran_by, false, 0, String::new()));
                self.events.push(AgentEvent::ToolCallStarted {
                    call,
                    message,
                    name,
                    parent: None,
                    executed_by: ran_by,
                });
            }
            7 => {
                let (at, other) = (self.roll(self.calls.len()), self.roll(4) == 0);
                let Some((call, _, ready, ended, args)) = self.calls.get_mut(at) else { return };
                if !*ready && *ended == 0 {
                    *ready = true;
                    let args = if other { "{\"other\":1}".to_owned() } else { format!("{args}{word}") };
                    let (call, name) = (call.clone(), "clock".to_owned());
                    self.events.push(AgentEvent::ToolCallReady { call, name, args, provider_metadata: None });
                }
            }
            8 => {
                let at = self.roll(self.calls.len());
                let Some((call, _, ready, ended, args)) = self.calls.get_mut(at) else { return };
                if !*ready && *ended == 0 {
                    args.push_str(&word);
                    self.events.push(AgentEvent::ToolArgsDelta { call: call.clone(), json: word });
                }
            }
            9 => {
                let (at, outcome) = (self.roll(self.calls.len()), OUTCOMES[self.roll(OUTCOMES.len())]);
                let Some((call, _, ready, ended, _)) = self.calls.get_mut(at) else { return };
                if *ended < 1 + u8::from(*ready) {
                    // A call that nobody ran stays so.
                    *ended += if outcome == CallOutcome::Requested { 2 } else { 1 };
                    let (call, output) = (call.clone(), CallOutput::from_text(word));
                    self.events.push(AgentEvent::ToolCallFinished { call, outcome, output, duration: None });
                }
            }
            10 if !self.open.is_empty() => {
                let at = self.roll(self.open.len());
                let (message, text) = self.open.remove(at);
                let full = (self.roll(3) == 0).then(|| format!("{text}{word}"));
                let stop = [FinishReason::End, FinishReason::ToolCalls, FinishReason::Length][self.roll(3)];
                self.events.push(AgentEvent::MessageFinished {
                    message,
                    finish_reason: stop,
                    full_text: full,
                    provider_metadata: None,
                });
            }
            _ => {
                let usage = Usage { input_tokens: 3, output_tokens: 2, cached_tokens: 1, ..Usage::default() };
                let scope = UsageScope::Request(u32::try_from(self.made).unwrap());
                let on = AnnotationTarget::Turn("t".into());
                let call = self.calls.iter().find(|(_, _, ready, ended, _)| *ready && *ended == 0);
                self.events.push(match (self.made % 4, call) {
                    (0, _) => AgentEvent::UsageReported { scope, usage },
                    (1, _) => {
                        AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Other("x".into()), text: word }
                    }
                    (2, Some((call, ..))) => {
                        AgentEvent::ToolOutput { call: call.clone(), stream: OutputStream::Stdout, text: word }
                    }
                    _ => AgentEvent::Annotation { on, annotation: Annotation::FirstToken { ms: Millis(1) } },
                });
            }
        }
    }

    fn in_message(&mut self, event: impl FnOnce(MessageId, &mut String) -> AgentEvent) {
        let at = self.roll(self.open.len());
        if let Some((message, text)) = self.open.get_mut(at) {
            let event = event(message.clone(), text);
            self.events.push(event);
        }
    }
}
