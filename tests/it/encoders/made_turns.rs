//! Legal turns, made up of steps.

use super::*;

/// One step of a generated turn; steps that would be illegal are skipped.
#[derive(Clone, Debug)]
pub(crate) enum EventAct {
    Message { sub: bool },
    Text(String, bool),
    Reason(String),
    Close(u8, bool),
    Call { named: bool, id: u8 },
    Args(u8, String),
    Ready(u8),
    Output(u8),
    Finish(u8, u8, String),
    Usage(u32, u32),
    Retry,
    Junk,
}

pub(crate) fn acts() -> impl Strategy<Value = Vec<EventAct>> {
    let words =
        prop_oneof!["[a-z ]{0,12}", "\\PC{0,6}", Just("\n\n".to_owned()), Just("data: x\r\n\u{2028}".to_owned())];
    let act = prop_oneof![
        2 => any::<bool>().prop_map(|sub| EventAct::Message { sub }),
        5 => (words.clone(), prop::bool::weighted(0.05)).prop_map(|(text, refusal)| EventAct::Text(text, refusal)),
        2 => words.clone().prop_map(EventAct::Reason),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(stop, full)| EventAct::Close(stop, full)),
        2 => (any::<bool>(), any::<u8>()).prop_map(|(named, id)| EventAct::Call { named, id }),
        3 => (any::<u8>(), "[\\PC]{0,40}").prop_map(|(at, json)| EventAct::Args(at, json)),
        2 => any::<u8>().prop_map(EventAct::Ready),
        1 => any::<u8>().prop_map(EventAct::Output),
        2 => (any::<u8>(), any::<u8>(), words).prop_map(|(at, how, text)| EventAct::Finish(at, how, text)),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(input, output)| EventAct::Usage(input, output)),
        1 => Just(EventAct::Retry),
        1 => Just(EventAct::Junk),
    ];
    prop::collection::vec(act, 0..60)
}

pub(crate) fn ends() -> impl Strategy<Value = Option<TurnOutcome>> {
    prop_oneof![
        4 => Just(Some(TurnOutcome::Completed)),
        1 => Just(Some(TurnOutcome::Cancelled)),
        1 => Just(Some(TurnOutcome::Interrupted)),
        1 => "[a-z][a-z .\"\n]{0,30}".prop_map(|text| Some(TurnOutcome::Failed(Fault::new(FaultKind::Upstream, text)))),
        1 => Just(None),
    ]
}

/// Returns whether a piece of text repeats all text before it: that can't be distinguished from a server that repeats
/// itself.
pub(crate) fn says_all_again(events: &[AgentEvent]) -> bool {
    let mut so_far = String::new();
    events.iter().any(|event| {
        let AgentEvent::TextDelta { text, .. } = event else { return false };
        let again = !so_far.trim().is_empty() && text.trim_start().starts_with(so_far.trim());
        so_far.push_str(text);
        again
    })
}

pub(crate) fn turn(acts: Vec<EventAct>, end: Option<&TurnOutcome>) -> Vec<AgentEvent> {
    let mut events = vec![opened(), turn_started("t")];
    let mut sealer = Sealer::new();
    for event in &events {
        sealer.observe(event).unwrap();
    }
    let mut made = EventMaker::default();
    for act in acts {
        for event in made.make_events(act) {
            if sealer.clone().observe(&event).is_ok() {
                made.took(&event);
                sealer.observe(&event).unwrap();
                events.push(event);
            }
        }
    }
    if let Some(end) = end {
        events.extend(sealer.seal(end.clone()));
        assert_eq!(check(&events), []);
    }
    events.split_off(2)
}

#[derive(Default)]
struct EventMaker {
    messages: usize,
    calls: Vec<CallId>,
    args: BTreeMap<String, String>,
    open: Option<(MessageId, bool, String)>,
}

impl EventMaker {
    fn make_events(&mut self, act: EventAct) -> Vec<AgentEvent> {
        let call = |at: u8| self.calls.get(usize::from(at) % self.calls.len().max(1)).cloned();
        let message = self.open.as_ref().map(|(message, ..)| message.clone());
        let one = match (act, message) {
            (EventAct::Message { sub }, None) => {
                self.messages += 1;
                let parent = call(0).filter(|_| sub);
                let message = MessageId::new(format!("m{}", self.messages));
                AgentEvent::MessageStarted { message, role: Role::Assistant, parent }
            }
            (EventAct::Text(text, refusal), Some(message)) => {
                let kind = if refusal { TextKind::Refusal } else { TextKind::Text };
                AgentEvent::TextDelta { message, text, kind }
            }
            (EventAct::Reason(text), Some(message)) => AgentEvent::ReasoningDelta { message, text },
            (EventAct::Close(stop, full), Some(message)) => {
                let stop = [FinishReason::End, FinishReason::ToolCalls, FinishReason::Length][usize::from(stop) % 3];
                let full = self.open.as_ref().map(|(_, _, text)| text.clone()).filter(|_| full);
                AgentEvent::MessageFinished { message, finish_reason: stop, full_text: full, provider_metadata: None }
            }
            (EventAct::Call { named, id }, Some(message)) => AgentEvent::ToolCallStarted {
                call: CallId::new(format!("call_{id}")),
                message,
                name: named.then(|| format!("tool_{id}")),
                parent: None,
                executed_by: if id % 2 == 0 { ExecutedBy::Client } else { ExecutedBy::Server },
            },
            (EventAct::Args(at, json), _) => {
                let Some(call) = call(at) else { return Vec::new() };
                AgentEvent::ToolArgsDelta { call, json }
            }
            (EventAct::Ready(at), _) => {
                let Some(call) = call(at) else { return Vec::new() };
                let args = self.args.get(call.as_str()).cloned().unwrap_or_default();
                let name = format!("tool_{}", &call.as_str()[5..]);
                AgentEvent::ToolCallReady { call, name, args, provider_metadata: None }
            }
            (EventAct::Output(at), _) => {
                let Some(call) = call(at) else { return Vec::new() };
                AgentEvent::ToolOutput { call, stream: OutputStream::Stdout, text: "some".into() }
            }
            (EventAct::Finish(at, how, text), _) => {
                let Some(call) = call(at) else { return Vec::new() };
                let outcome = [CallOutcome::Ok, CallOutcome::Failed, CallOutcome::Denied, CallOutcome::Cancelled]
                    [usize::from(how) % 4];
                AgentEvent::ToolCallFinished {
                    call,
                    outcome,
                    output: CallOutput::from_text(text),
                    duration: Some(Millis(how.into())),
                }
            }
            (EventAct::Usage(input, output), _) => {
                let usage = Usage { input_tokens: input.into(), output_tokens: output.into(), ..Usage::default() };
                AgentEvent::UsageReported { scope: UsageScope::Request(1), usage }
            }
            (EventAct::Retry, _) => {
                AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Retry, text: "once more".into() }
            }
            (EventAct::Junk, _) => AgentEvent::Unknown(serde_json::json!({"type": "newer"})),
            _ => return Vec::new(),
        };
        vec![one]
    }

    fn took(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::MessageStarted { message, parent, .. } => {
                self.open = Some((message.clone(), parent.is_some(), String::new()));
            }
            AgentEvent::TextDelta { text, .. } => {
                if let Some((_, _, so_far)) = &mut self.open {
                    so_far.push_str(text);
                }
            }
            AgentEvent::MessageFinished { .. } => self.open = None,
            AgentEvent::ToolCallStarted { call, .. } => self.calls.push(call.clone()),
            AgentEvent::ToolArgsDelta { call, json } => {
                self.args.entry(call.as_str().to_owned()).or_default().push_str(json);
            }
            _ => {}
        }
    }
}
