use std::sync::Arc;

use super::*;
use crate::event::{
    CallOutput, ExecutedBy, Fault, FinishReason, Millis, PromptContext, PromptContextKind, Role, TextKind, TurnId,
};
use crate::testkit::events::{
    Opened, call_finished, call_ready, call_started, message_finished, message_started, turn_finished, turn_started,
    user_message,
};

fn fold(events: &[AgentEvent]) -> History {
    let mut history = History::new();
    for event in events {
        history.observe(event);
    }
    history
}

fn turn(id: &str, text: &str, end: TurnOutcome) -> Vec<AgentEvent> {
    let message = MessageId::new(format!("{id}-m"));
    vec![
        turn_started(id),
        user_message("u", &format!("ask {id}")),
        AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
        AgentEvent::TextDelta { message: message.clone(), text: text.into(), kind: TextKind::Text },
        AgentEvent::MessageFinished {
            message,
            finish_reason: FinishReason::End,
            full_text: None,
            provider_metadata: None,
        },
        turn_finished(id, end),
    ]
}

#[test]
fn what_went_with_a_prompt_is_part_of_what_the_engine_gets() {
    let part = PromptContext { kind: PromptContextKind::File, name: "a.rs".into(), text: "fn a() {}".into() };
    let mut events = vec![turn_started("t1")];
    events.extend(crate::event::user_message("u".into(), "what is @a.rs?", vec![part.clone()]));
    let history = fold(&events);
    let HistoryMessage::User { text, .. } = &history.messages()[0] else { panic!("a prompt") };
    assert_eq!(*text, add_context("what is @a.rs?", &[part]));
    assert!(text.contains("fn a() {}"), "{text}");
}

#[test]
fn calls_and_results_come_back_as_the_engine_wants_them() {
    let history = fold(&[
        turn_started("t1"),
        user_message("m1", "time?"),
        message_started("m2"),
        call_started("c1", "m2", None),
        call_ready("c1", "clock", "{}"),
        message_finished("m2", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Ok, "noon"),
    ]);
    assert_eq!(
        history.messages(),
        [
            HistoryMessage::user("time?"),
            HistoryMessage::Assistant {
                text: String::new(),
                reasoning: String::new(),
                calls: vec![HistoryCall {
                    call: "c1".into(),
                    name: "clock".into(),
                    args: "{}".into(),
                    provider_metadata: None,
                    approval: None,
                }],
                provider_metadata: None,
            },
            HistoryMessage::Tool {
                call: "c1".into(),
                name: "clock".into(),
                output: "noon".into(),
                outcome: CallOutcome::Ok
            },
        ]
    );
}

#[test]
fn an_interrupted_answer_stays_and_says_so() {
    let history = fold(&turn("t1", "half", TurnOutcome::Interrupted));
    assert!(
        matches!(&history.messages()[1], HistoryMessage::Assistant { text, .. } if text == "half\n\n[interrupted]"),
        "{history:?}"
    );
}

#[test]
fn a_call_that_was_cut_off_is_told_with_a_result_that_nobody_knows() {
    // The log ends where the program did: the call has begun and not ended.
    let cut = vec![
        turn_started("t1"),
        user_message("m1", "time?"),
        message_started("m2"),
        call_started("c1", "m2", None),
        call_ready("c1", "clock", "{}"),
        message_finished("m2", FinishReason::ToolCalls),
    ];
    let history = fold(&[cut, turn("t2", "x", TurnOutcome::Completed)].concat());
    assert!(
        matches!(&history.messages()[1..3], [HistoryMessage::Assistant { calls, .. },
            HistoryMessage::Tool { call, outcome: CallOutcome::Unknown, .. }] if calls[0].call == *call),
        "{history:?}"
    );
}

#[test]
fn old_turns_are_left_out_whole_when_the_budget_is_short() {
    let mut events = turn("t1", &"x".repeat(4000), TurnOutcome::Completed);
    events.extend(turn("t2", "short", TurnOutcome::Completed));
    let history = fold(&events);
    assert_eq!(history.fit_to_window(100_000).dropped_turns, 0);
    let kept = history.fit_to_window(100);
    assert_eq!((kept.messages.len(), kept.dropped_turns), (2, 1));
    assert_eq!(history.fit_to_window(0).messages.len(), 2, "the newest turn always stays");
}

#[test]
fn a_turn_that_goes_on_keeps_the_one_before_however_long() {
    let mut events = turn("t1", &"x".repeat(4000), TurnOutcome::Completed);
    events.push(turn_started("t2"));
    assert_eq!(fold(&events).fit_to_window(10).messages.len(), 2);
}

fn opened(engine: &str, model: &str) -> AgentEvent {
    Opened { engine, model, ..Opened::default() }.event()
}

/// One round: a message with a call, and the call's output.
fn round(number: usize, output: &str) -> Vec<AgentEvent> {
    let (message, call) = (MessageId::new(format!("m{number}")), CallId::new(format!("c{number}")));
    let carry = Some(Json::from(number));
    vec![
        AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
        AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: message.clone(),
            name: None,
            parent: None,
            executed_by: ExecutedBy::Client,
        },
        AgentEvent::ToolCallReady {
            call: call.clone(),
            name: "x".into(),
            args: "{}".into(),
            provider_metadata: carry.clone(),
        },
        AgentEvent::MessageFinished {
            message,
            finish_reason: FinishReason::ToolCalls,
            full_text: None,
            provider_metadata: carry,
        },
        AgentEvent::ToolCallFinished {
            call,
            outcome: CallOutcome::Ok,
            output: CallOutput::from_text(output),
            duration: None,
        },
    ]
}

fn running_turn(outputs: &[&str]) -> Vec<AgentEvent> {
    let mut events = vec![turn_started("t1"), user_message("u1", "go")];
    events.extend(outputs.iter().enumerate().flat_map(|(number, output)| round(number, output)));
    events
}

fn outputs(past: &[HistoryMessage]) -> Vec<usize> {
    past.iter()
        .filter_map(|entry| if let HistoryMessage::Tool { output, .. } = entry { Some(output.len()) } else { None })
        .collect()
}

#[test]
fn a_running_turn_that_is_too_long_loses_old_outputs_first() {
    let long = "x".repeat(8_000);
    let history = fold(&running_turn(&[&long, &long, &long]));
    let kept = history.fit_to_window(4_500);
    assert_eq!(kept.shortened_outputs, 1);
    assert_eq!(outputs(&kept.messages)[1..], [8_000, 8_000]);
    assert!(outputs(&kept.messages)[0] <= SHORTENED_OUTPUT_BYTES);
    let kept = history.fit_to_window(1_000);
    assert_eq!(
        (kept.shortened_outputs, kept.messages.len()),
        (3, history.messages().len()),
        "every call keeps its result"
    );
    assert!(outputs(&kept.messages)[2] <= 2_000 && kept.messages.iter().map(token_estimate).sum::<u64>() <= 1_000);
}

#[test]
fn a_prompt_that_was_refused_leaves_the_conversation() {
    let failed = |kind| TurnOutcome::Failed(Fault::new(kind, "x"));
    let answered = fold(&turn("t1", "first", TurnOutcome::Completed));
    for (kind, leaves) in [
        (FaultKind::ContextTooLong, true),
        (FaultKind::BadRequest, true),
        (FaultKind::Refused, true),
        (FaultKind::Auth, false),
        (FaultKind::Network, false),
    ] {
        let mut history = answered.clone();
        for event in [
            turn_started("t2"),
            AgentEvent::UserMessage { message: "u2".into(), text: "x".repeat(9000) },
            turn_finished("t2", failed(kind)),
        ] {
            history.observe(&event);
        }
        assert_eq!(history.messages() == answered.messages(), leaves, "{kind:?}");
        assert_eq!((history.take_prompt_dropped(), history.take_prompt_dropped()), (leaves, false), "{kind:?}");
    }
    // A partly answered turn stays: its results are needed.
    let mut partly = running_turn(&["1"]);
    partly.push(turn_finished("t1", failed(FaultKind::ContextTooLong)));
    let mut history = fold(&partly);
    assert!(!history.messages().is_empty() && !history.take_prompt_dropped());
}

#[test]
fn another_model_is_not_given_what_the_one_before_wanted_back() {
    let kept_metadata = |history: &History| {
        history.messages().iter().any(|entry| {
            matches!(entry, HistoryMessage::Assistant { calls, provider_metadata, .. }
                if provider_metadata.is_some() || calls.iter().any(|call| call.provider_metadata.is_some()))
        })
    };
    let mut history = fold(&[opened("a", "x")]);
    for event in running_turn(&["1"]) {
        history.observe(&event);
    }
    history.observe(&opened("a", "x"));
    assert!(kept_metadata(&history), "the mode was switched, not the model");
    history.observe(&opened("a", "y"));
    assert!(!kept_metadata(&history));
}

#[test]
fn a_turn_without_its_end_has_no_call_without_a_result() {
    let mut events = running_turn(&["1"]);
    let answered = events.len();
    events.extend(round(7, "never"));
    events.truncate(answered + 4);
    events.extend(turn("t2", "next", TurnOutcome::Completed));
    let history = fold(&events);
    let calls: usize = history
        .messages()
        .iter()
        .map(|entry| if let HistoryMessage::Assistant { calls, .. } = entry { calls.len() } else { 0 })
        .sum();
    assert_eq!((calls, outputs(history.messages()).len()), (2, 2), "the one that was cut off has one too: {history:?}");
}

/// A session of many turns: of all outcomes, with calls and metadata, and of two models.
fn long_session() -> Vec<AgentEvent> {
    let mut events = vec![opened("a", "x")];
    let failed = TurnOutcome::Failed(Fault::new(FaultKind::ContextTooLong, "x"));
    for (number, end) in [TurnOutcome::Completed, TurnOutcome::Interrupted, failed, TurnOutcome::Cancelled]
        .iter()
        .cycle()
        .take(12)
        .enumerate()
    {
        if number == 7 {
            events.push(opened("a", "y"));
        }
        let id = TurnId::new(format!("t{number}"));
        events.push(AgentEvent::TurnStarted { turn: id.clone(), parent: None });
        events.push(user_message("u", &format!("ask {number}")));
        if !matches!(end, TurnOutcome::Failed(_)) {
            events.extend(round(number, &"x".repeat(number * 300)));
        }
        // The end of a turn may be lost.
        if number != 5 {
            events.push(AgentEvent::TurnFinished { turn: id, outcome: end.clone() });
        }
    }
    events
}

/// Folds events as a resumed session does, and returns how to read them back.
fn fold_logged(events: &[AgentEvent]) -> (History, ReadLog) {
    let log: Vec<Envelope> = events
        .iter()
        .zip(1..)
        .map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(seq), event: event.clone() })
        .collect();
    let mut history = History::new();
    for logged in &log {
        history.observe_logged(logged);
    }
    let read = move |from: Seq, through: Seq, tell: &mut dyn FnMut(&Envelope)| {
        log.iter().filter(|logged| (from..=through).contains(&logged.seq)).for_each(tell);
        Ok(())
    };
    (history, Arc::new(read))
}

#[test]
fn turns_that_were_left_in_the_log_are_sent_as_if_they_had_been_kept() {
    let events = long_session();
    for length in 0..=events.len() {
        for budget in [0, 100, 400, 900, 2_000, u64::MAX] {
            for later in [Vec::new(), turn("new", "said", TurnOutcome::Completed), vec![opened("b", "z")]] {
                let mut kept = fold(&events[..length]);
                let (mut history, log) = fold_logged(&events[..length]);
                for event in &later {
                    kept.observe(event);
                    history.observe(event);
                }
                while let Some(turns) = history.unread_turns(budget) {
                    history.restore(turns.read(&log).unwrap());
                }
                assert_eq!(
                    history.fit_to_window(budget),
                    kept.fit_to_window(budget),
                    "{length} events, {budget} tokens"
                );
            }
        }
    }
}

#[test]
fn only_the_last_turn_of_a_log_is_in_memory_until_a_request_needs_more() {
    let (mut history, log) = fold_logged(&long_session());
    assert_eq!((history.turn_starts.len(), history.logged.len()), (1, 11));
    let turns = history.unread_turns(900).unwrap();
    history.restore(turns.read(&log).unwrap());
    assert_eq!(history.unread_turns(900), None);
    assert!((2..11).contains(&history.turn_starts.len()), "{}", history.turn_starts.len());
}

#[test]
fn a_log_that_cannot_be_read_leaves_the_turns_since() {
    let (mut history, _) = fold_logged(&long_session());
    let log: ReadLog = Arc::new(|_, _, _| Err(std::io::Error::other("gone")));
    assert!(history.unread_turns(u64::MAX).unwrap().read(&log).is_err());
    history.forget_logged();
    assert_eq!(history.unread_turns(u64::MAX), None);
    assert!(!history.fit_to_window(u64::MAX).messages.is_empty());
}

#[test]
fn a_call_that_has_the_id_of_one_in_an_earlier_turn_leaves_that_ones_output() {
    let mut events = running_turn(&["first"]);
    events.push(turn_finished("t1", TurnOutcome::Completed));
    events.extend(running_turn(&["second!"]));
    assert_eq!(outputs(fold(&events).messages()), [5, 7]);
}

fn interrupt(id: &str) -> AgentEvent {
    let interrupts = serde_json::json!([{ "id": id }]);
    AgentEvent::Annotation { on: AnnotationTarget::Turn("t1".into()), annotation: Annotation::Interrupt { interrupts } }
}

#[test]
fn what_an_agent_waits_for_is_kept_with_its_last_message_until_it_is_answered() {
    let kept = |events: &[AgentEvent]| match fold(events).messages().last() {
        Some(HistoryMessage::Assistant { provider_metadata: Some(metadata), .. }) => {
            metadata.get("interrupts").cloned()
        }
        _ => None,
    };
    let mut said = turn("t1", "hm", TurnOutcome::Completed);
    said.insert(3, interrupt("i1"));
    assert_eq!(kept(&said), Some(serde_json::json!([{"id": "i1"}])));
    let silent =
        [turn_started("t1"), user_message("m1", "go"), interrupt("i2"), turn_finished("t1", TurnOutcome::Completed)];
    assert_eq!(kept(&silent), Some(serde_json::json!([{"id": "i2"}])));
    let mut cancelled = turn("t1", "hm", TurnOutcome::Cancelled);
    cancelled.insert(3, interrupt("i1"));
    assert_eq!(kept(&cancelled), None);
}

#[test]
fn a_decision_for_a_server_stands_with_its_call_until_the_server_tells_the_result() {
    let request = serde_json::json!({"id": "i1"});
    let annotation = Annotation::NeedsApproval { request: request.clone(), reason: None };
    let mut events = vec![
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        call_started("c1", "m2", None),
        call_ready("c1", "rm", "{}"),
        AgentEvent::Annotation { on: AnnotationTarget::Call("c1".into()), annotation },
        interrupt("i1"),
        message_finished("m2", FinishReason::ToolCalls),
    ];
    let decided = |events: &[AgentEvent]| {
        let request = crate::engine::ModelRequest { history: fold(events).messages().to_vec(), ..Default::default() };
        let decided = request
            .decided_calls()
            .map(|(call, approval, decision)| (call.call.to_string(), approval.request.clone(), decision.clone()));
        decided.collect::<Vec<_>>()
    };
    assert_eq!(decided(&events), []);
    let (decision, by) = (crate::event::Decision::Once, crate::event::DecidedBy::Person);
    events.push(AgentEvent::ApprovalResolved { call: "c1".into(), decision: decision.clone(), by });
    assert_eq!(decided(&events), [("c1".to_owned(), request, decision)]);
    events.push(call_finished("c1", CallOutcome::Ok, "gone"));
    assert_eq!(decided(&events), []);
    events.push(turn_finished("t1", TurnOutcome::Completed));
    let history = fold(&events);
    assert!(!format!("{history:?}").contains("interrupts\": Array"), "it was answered: {history:?}");
}

#[test]
fn images_of_a_prompt_are_part_of_what_the_engine_gets_and_of_the_estimate() {
    let image = PromptImage::new(&crate::testkit::images::png_of_size(750, 100)).unwrap();
    let part = PromptContext::from_image("cat.png".into(), image.clone());
    let mut events = vec![turn_started("t1")];
    events.extend(crate::event::user_message("u".into(), "what is it?", vec![part]));
    let history = fold(&events);
    let text = "what is it?".to_owned();
    assert_eq!(history.messages(), [HistoryMessage::User { text, images: vec![image] }]);
    assert!(size_of_turn(history.messages()).tokens > 100);
}

#[test]
fn results_of_one_message_stand_in_the_order_of_its_calls() {
    let mut events = vec![turn_started("t1"), user_message("u1", "go")];
    for number in [1, 2] {
        let message = MessageId::new(format!("m{number}"));
        events.push(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
        for nth in ["a", "b", "c"] {
            let call = format!("{nth}{number}");
            events.push(call_started(&call, message.as_str(), None));
            events.push(call_ready(&call, "x", "{}"));
        }
        events.push(message_finished(message.as_str(), FinishReason::ToolCalls));
        for nth in ["c", "a", "b"] {
            events.push(call_finished(&format!("{nth}{number}"), CallOutcome::Ok, ""));
        }
    }
    let history = fold(&events);
    let results = history.messages().iter().filter_map(|entry| match entry {
        HistoryMessage::Tool { call, .. } => Some(call.as_str()),
        _ => None,
    });
    assert_eq!(results.collect::<Vec<_>>(), ["a1", "b1", "c1", "a2", "b2", "c2"]);
}
