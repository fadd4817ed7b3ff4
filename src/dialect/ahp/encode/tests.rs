use super::*;
use crate::dialect::ahp::AhpDecoder;
use crate::dialect::ahp::chat_state::AhpChatState;
use crate::event::{DecidedBy, Decision, Fault, FaultKind, ReplyEvent, Seq};
use crate::testkit::events::{
    Opened, call_finished, call_ready, call_started, message_started, shell_approval, text_delta, turn_finished,
    turn_started, user_message,
};

fn reasoning(message: &str, text: &str) -> AgentEvent {
    AgentEvent::ReasoningDelta { message: message.into(), text: text.into() }
}

/// A turn with a call that is asked about.
fn turn(decision: Decision, end: TurnOutcome) -> Vec<AgentEvent> {
    let outcome = if decision.allows() { crate::event::CallOutcome::Ok } else { crate::event::CallOutcome::Denied };
    vec![
        Opened { folder: "/work", ..Opened::default() }.event(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        reasoning("m2", "hm"),
        reasoning("m2", "m"),
        text_delta("m2", "I "),
        text_delta("m2", "look."),
        call_started("c1", "m2", Some("shell")),
        AgentEvent::ToolArgsDelta { call: "c1".into(), json: r#"{"command":"#.into() },
        AgentEvent::ToolArgsDelta { call: "c1".into(), json: r#""ls"}"#.into() },
        call_ready("c1", "shell", r#"{"command":"ls"}"#),
        AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") },
        AgentEvent::ApprovalResolved { call: "c1".into(), decision, by: DecidedBy::Remote },
        call_finished("c1", outcome, "a.txt"),
        text_delta("m2", "Done."),
        turn_finished("t1", end),
    ]
}

fn encode(events: &[AgentEvent], origin: Option<&AhpOrigin>) -> Vec<AhpAction> {
    let mut encoder = AhpEncoder::new("ahp-chat:/s".into());
    let numbered =
        events.iter().zip(1..).map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(seq), event: event.clone() });
    numbered.flat_map(|envelope| encoder.encode(&envelope, origin)).collect()
}

fn types(actions: &[AhpAction], channel: AhpChannel) -> Vec<&str> {
    let of = actions.iter().filter(|action| action.channel == channel);
    of.filter_map(|action| action.action["type"].as_str()).collect()
}

#[test]
fn a_turn_is_told_in_actions_whose_parts_begin_with_text() {
    let actions = encode(&turn(Decision::Once, TurnOutcome::Completed), None);
    assert_eq!(
        types(&actions, AhpChannel::Chat),
        [
            "chat/turnStarted",
            "chat/responsePart",
            "chat/reasoning",
            "chat/responsePart",
            "chat/delta",
            "chat/toolCallStart",
            "chat/toolCallDelta",
            "chat/toolCallDelta",
            "chat/toolCallReady",
            "chat/toolCallReady",
            "chat/toolCallConfirmed",
            "chat/toolCallComplete",
            "chat/responsePart",
            "chat/turnComplete",
        ]
    );
    assert_eq!(
        types(&actions, AhpChannel::Session),
        [
            "session/chatUpdated",
            "session/inputNeededSet",
            "session/chatUpdated",
            "session/inputNeededRemoved",
            "session/chatUpdated",
            "session/chatUpdated",
        ]
    );
    let asked = actions.iter().rfind(|action| action.action["type"] == "chat/toolCallReady").unwrap();
    assert!(asked.action.get("confirmed").is_none());
    assert_eq!(asked.action["options"][0], json!({"id": "once", "label": "Allow once", "kind": "approve"}));
}

/// What our own client makes of actions, and of a state.
fn decoded(feed: impl FnOnce(&mut AhpDecoder, &mut Vec<ReplyEvent>)) -> Vec<ReplyEvent> {
    let (mut decoder, mut events) = (AhpDecoder::default(), Vec::new());
    feed(&mut decoder, &mut events);
    events.retain(|event| !matches!(event, ReplyEvent::ToolArgsDelta { .. }));
    events
}

#[test]
fn a_state_says_the_same_as_the_actions_that_led_to_it() {
    for (decision, end) in [
        (Decision::Once, TurnOutcome::Completed),
        (Decision::Deny(Some("no".into())), TurnOutcome::Cancelled),
        (Decision::Session, TurnOutcome::Failed(Fault::new(FaultKind::Upstream, "gone"))),
    ] {
        let mut state = AhpChatState::default();
        for AhpAction { action, .. } in
            encode(&turn(decision, end), None).iter().filter(|action| action.channel == AhpChannel::Chat)
        {
            state.apply(action);
        }
        let told = state.to_json();
        let turn = &told["turns"][0];
        assert_eq!(turn["message"]["text"], "go");
        let kinds: Vec<&str> =
            turn["responseParts"].as_array().unwrap().iter().filter_map(|part| part["kind"].as_str()).collect();
        let texts: Vec<ReplyEvent> = decoded(|decoder, events| _ = decoder.handle_turn(turn, events));
        assert_eq!(kinds[..4], ["reasoning", "markdown", "toolCall", "markdown"]);
        let said = |events: &[ReplyEvent]| {
            let text = |event: &ReplyEvent| match event {
                ReplyEvent::TextDelta { text, .. } => Some(text.clone()),
                _ => None,
            };
            events.iter().filter_map(text).collect::<String>()
        };
        assert_eq!(said(&texts), "I look.Done.");
        let call = &turn["responseParts"][2]["toolCall"];
        match turn["state"].as_str().unwrap() {
            "cancelled" => {
                assert_eq!((&call["status"], &call["reason"]), (&json!("cancelled"), &json!("denied")));
            }
            state => {
                assert_eq!((&call["status"], &call["content"][0]["text"]), (&json!("completed"), &json!("a.txt")));
                assert_eq!(kinds.len(), if state == "error" { 5 } else { 4 });
            }
        }
    }
}

#[test]
fn a_turn_has_the_name_that_its_client_gave_it_and_comes_back_with_its_number() {
    let origin = AhpOrigin { client: "c".into(), client_seq: 7, turn: Some("mine".into()), ..AhpOrigin::default() };
    let mut encoder = AhpEncoder::new("ahp-chat:/s".into());
    let mut told = Vec::new();
    for (event, seq) in turn(Decision::Once, TurnOutcome::Completed).into_iter().zip(1..) {
        let is_prompt = matches!(event, AgentEvent::UserMessage { .. });
        let envelope = Envelope { seq: Seq(seq), at: Millis(seq), event };
        told.extend(encoder.encode(&envelope, Some(&origin).filter(|_| is_prompt)));
    }
    let chat: Vec<&AhpAction> = told.iter().filter(|action| action.channel == AhpChannel::Chat).collect();
    assert!(chat.iter().all(|action| action.action["turnId"] == "mine"), "{chat:?}");
    assert_eq!(chat[0].origin, Some(("c".to_owned(), 7)));
    assert!(chat[1..].iter().all(|action| action.origin.is_none()));
}

#[test]
fn sub_agents_are_left_out_and_a_call_that_ended_early_is_whole() {
    let events = [
        Opened::default().event(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        call_started("c1", "m2", Some("task")),
        AgentEvent::MessageStarted {
            message: "m3".into(),
            role: crate::event::Role::Assistant,
            parent: Some("c1".into()),
        },
        text_delta("m3", "inside"),
        call_started("c2", "m3", Some("shell")),
        call_finished("c2", crate::event::CallOutcome::Ok, "x"),
        call_finished("c1", crate::event::CallOutcome::Cancelled, ""),
        turn_finished("t1", TurnOutcome::Interrupted),
    ];
    let actions = encode(&events, None);
    assert_eq!(
        types(&actions, AhpChannel::Chat),
        ["chat/turnStarted", "chat/toolCallStart", "chat/toolCallReady", "chat/toolCallComplete", "chat/error"]
    );
    assert!(actions.iter().all(|action| !action.action.to_string().contains("inside")));
}
