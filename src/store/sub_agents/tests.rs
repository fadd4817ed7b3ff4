use super::*;
use crate::event::{Envelope, FinishReason, Role, Seq, TurnOutcome};
use crate::store::StoreOptions;
use crate::store::action::Action;
use crate::store::effect::Effect;
use crate::store::msg::Msg;
use crate::store::transcript::ItemKind;
use crate::testkit::events::{
    LIVE, Opened, call_finished, call_ready, call_started, message_finished, message_started, shell_approval,
    text_delta, turn_finished, turn_started,
};

fn fold(store: &mut Store, events: impl IntoIterator<Item = AgentEvent>) {
    for event in events {
        let seq = store.last_seq().next();
        store.update(Msg::Event(Envelope { seq, at: Millis(seq.0 * 100), event }), &mut Vec::new());
    }
}

fn nested_message(message: &str, parent: &str) -> AgentEvent {
    AgentEvent::MessageStarted { message: message.into(), role: Role::Assistant, parent: Some(parent.into()) }
}

fn nested_call(call: &str, message: &str, name: &str, parent: &str) -> AgentEvent {
    match call_started(call, message, Some(name)) {
        AgentEvent::ToolCallStarted { call, message, name, executed_by, .. } => {
            AgentEvent::ToolCallStarted { call, message, name, executed_by, parent: Some(parent.into()) }
        }
        other => other,
    }
}

/// A turn in which a call started a sub-agent that said something and called a tool.
fn delegated() -> Store {
    let mut store = Store::new(StoreOptions::default());
    let opened = Opened { capabilities: LIVE, ..Opened::default() }.event();
    fold(&mut store, [opened, turn_started("t1"), message_started("m1"), call_started("a", "m1", Some("Task"))]);
    let args = r#"{"description":"Read notes","prompt":"Read notes.txt and report."}"#;
    fold(&mut store, [call_ready("a", "Task", args), nested_message("n1", "a"), text_delta("n1", "I look.")]);
    fold(&mut store, [nested_call("b", "n1", "Read", "a"), call_ready("b", "Read", "{}")]);
    store
}

fn texts(store: &Store) -> Vec<String> {
    let shown = |kind: ItemKind<'_>| match kind {
        ItemKind::Call { call } => format!("call {call}"),
        kind => kind.text().to_owned(),
    };
    store.transcript.items().iter().map(|item| shown(item.kind)).collect()
}

#[test]
fn what_a_sub_agent_does_is_in_a_session_of_its_own_and_its_call_in_the_transcript() {
    let mut store = delegated();
    let item = store.tool_calls.get(&"a".into()).map(|call| call.item).unwrap();
    let rev = store.transcript.item(item).unwrap().rev;
    fold(&mut store, [call_finished("b", CallOutcome::Ok, "milk"), text_delta("n1", "Done.")]);
    fold(&mut store, [message_finished("n1", FinishReason::End), call_finished("a", CallOutcome::Ok, "report")]);
    fold(&mut store, [text_delta("m1", "It says milk."), turn_finished("t1", TurnOutcome::Completed)]);
    assert_eq!(texts(&store)[..2], ["call a", "It says milk."]);
    assert_ne!(store.transcript.item(item).unwrap().rev, rev, "its card shows what it does");
    let agent = store.sub_agents.get(&"a".into()).unwrap();
    assert_eq!(texts(&agent.store), ["I look.", "call b", "Done."]);
    assert_eq!(agent.store.tool_calls.get(&"b".into()).map(|call| call.output.as_str()), Some("milk"));
    assert_eq!((agent.call_count, agent.tokens()), (1, SubAgentTokens { count: 4, is_estimated: true }));
    let call = store.tool_calls.get(&"a".into()).unwrap();
    assert_eq!((label(call).as_str(), state_word(call)), ("Read notes", "done"));
}

#[test]
fn its_agent_says_what_it_used_and_does() {
    let mut store = delegated();
    for (tokens, doing, expected) in [(None, Some("Reading"), None), (Some(93), None, Some(93)), (None, None, Some(93))]
    {
        let annotation = Annotation::SubAgent { tokens, doing: doing.map(Into::into) };
        fold(&mut store, [AgentEvent::Annotation { on: AnnotationTarget::Call("a".into()), annotation }]);
        let agent = store.sub_agents.get(&"a".into()).unwrap();
        assert_eq!(
            (Some(agent.tokens().count).filter(|_| !agent.tokens().is_estimated), agent.activity()),
            (expected, doing)
        );
    }
}

#[test]
fn a_sub_agent_of_a_sub_agent_is_found_below_it() {
    let mut store = delegated();
    fold(&mut store, [nested_message("d1", "b"), text_delta("d1", "deeper"), nested_call("c", "d1", "Grep", "b")]);
    let all: Vec<(usize, &str)> =
        store.sub_agents.all().into_iter().map(|(depth, agent)| (depth, agent.call.as_str())).collect();
    assert_eq!(all, [(0, "a"), (1, "b")]);
    let deeper = store.sub_agents.find(&"b".into()).unwrap();
    assert_eq!(texts(&deeper.store), ["deeper", "call c"]);
    assert_eq!(store.sub_agents.get(&"a".into()).map(|agent| agent.call_count), Some(2));
    assert_eq!(texts(&store.sub_agents.get(&"a".into()).unwrap().store), ["I look.", "call b"]);
}

#[test]
fn a_call_of_a_sub_agent_can_be_decided_and_a_parent_that_is_no_call_hides_nothing() {
    let mut store = delegated();
    fold(&mut store, [AgentEvent::ApprovalRequested { call: "b".into(), request: shell_approval("ls") }]);
    assert_eq!(store.tool_calls.pending().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["b"]);
    let places = ["a", "b"].map(|call| store.tool_calls.get(&call.into()).map(|call| call.item));
    assert_eq!(places[0], places[1], "the card that stands for it");
    fold(&mut store, [nested_message("n9", "nobody"), text_delta("n9", "said all the same")]);
    assert!(texts(&store).contains(&"said all the same".to_owned()));
}

#[test]
fn the_list_opens_a_sub_agent_and_esc_goes_back_to_it() {
    let mut store = delegated();
    let mut act = |action| {
        let mut fx: Vec<Effect> = Vec::new();
        store.update(Msg::Action(action), &mut fx);
        store.focus.overlays.len()
    };
    assert_eq!([Action::OpenAgents, Action::OverlayAccept].map(&mut act), [1, 2]);
    assert_eq!([Action::CloseOverlay, Action::CloseOverlay].map(&mut act), [1, 0]);
    let mut store = Store::new(StoreOptions::default());
    store.update(Msg::Action(Action::OpenAgents), &mut Vec::new());
    assert!(store.focus.top().is_none() && store.toast.is_some());
    assert_eq!(store.last_seq(), Seq(0));
}
