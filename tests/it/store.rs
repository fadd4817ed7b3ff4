//! Properties of the store that hold for any input.

use std::collections::HashMap;

use crate::testkit::events::{shell_approval, turn_finished, turn_started, user_message};
use jarvis_tui::event::{
    AgentEvent, CallOutcome, CallOutput, DecidedBy, Decision, Envelope, ExecutedBy, FinishReason, Millis, NoticeCode,
    NoticeLevel, OutputStream, Role, Seq, TextKind, TurnOutcome, Usage, UsageScope,
};
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::tool_calls::CallState;
use jarvis_tui::store::transcript::{ItemId, ItemKind};
use jarvis_tui::store::{Store, StoreOptions};
use proptest::prelude::*;

fn feed(store: &mut Store, events: &[AgentEvent]) {
    for event in events {
        let seq = store.last_seq().next();
        let envelope = Envelope { seq, at: Millis(seq.0 * 10), event: event.clone() };
        store.update(Msg::Event(envelope), &mut Vec::new());
    }
}

fn folded(events: &[AgentEvent]) -> Store {
    let mut store = Store::new(StoreOptions::default());
    feed(&mut store, events);
    store
}

fn kinds(store: &Store) -> Vec<ItemKind<'_>> {
    store.transcript.items().iter().map(|item| item.kind).collect()
}

/// Any event, legal at its position or not, about a few messages and calls.
fn event() -> impl Strategy<Value = AgentEvent> {
    let message = || (0..3_u8).prop_map(|n| format!("m{n}"));
    let call = || (0..3_u8).prop_map(|n| format!("c{n}"));
    let text = || prop_oneof![Just(String::new()), "[a-z é漢\n]{1,6}"];
    prop_oneof![
        (0..3_u8).prop_map(|n| turn_started(&format!("t{n}"))),
        (0..3_u8).prop_map(|n| turn_finished(&format!("t{n}"), TurnOutcome::Completed)),
        text().prop_map(|text| AgentEvent::UserMessage { message: "u".into(), text }),
        (message(), prop_oneof![Just(Role::Assistant), Just(Role::User)]).prop_map(|(message, role)| {
            AgentEvent::MessageStarted { message: message.as_str().into(), role, parent: None }
        }),
        (message(), text()).prop_map(|(message, text)| AgentEvent::TextDelta {
            message: message.as_str().into(),
            text,
            kind: TextKind::Text
        }),
        (message(), text())
            .prop_map(|(message, text)| AgentEvent::ReasoningDelta { message: message.as_str().into(), text }),
        (message(), proptest::option::of(text())).prop_map(|(message, full)| AgentEvent::MessageFinished {
            message: message.as_str().into(),
            finish_reason: FinishReason::End,
            full_text: full,
            provider_metadata: None
        }),
        (call(), message()).prop_map(|(call, message)| AgentEvent::ToolCallStarted {
            call: call.as_str().into(),
            message: message.as_str().into(),
            name: None,
            parent: None,
            executed_by: ExecutedBy::Client
        }),
        call().prop_map(|call| AgentEvent::ToolCallReady {
            call: call.as_str().into(),
            name: "shell".into(),
            args: "{}".into(),
            provider_metadata: None
        }),
        call().prop_map(|call| AgentEvent::ApprovalRequested {
            call: call.as_str().into(),
            request: shell_approval("ls")
        }),
        (call(), any::<bool>()).prop_map(|(call, yes)| AgentEvent::ApprovalResolved {
            call: call.as_str().into(),
            decision: if yes { Decision::Once } else { Decision::Deny(None) },
            by: DecidedBy::Person
        }),
        (call(), text()).prop_map(|(call, text)| AgentEvent::ToolOutput {
            call: call.as_str().into(),
            stream: OutputStream::Stdout,
            text
        }),
        (call(), text()).prop_map(|(call, text)| AgentEvent::ToolCallFinished {
            call: call.as_str().into(),
            outcome: CallOutcome::Ok,
            output: CallOutput::from_text(text),
            duration: None
        }),
        (0..3_u32, 0..500_u64).prop_map(|(n, tokens)| AgentEvent::UsageReported {
            scope: if n == 0 { UsageScope::Turn } else { UsageScope::Request(n) },
            usage: Usage { input_tokens: tokens, output_tokens: tokens / 2, ..Usage::default() }
        }),
        text().prop_map(|text| AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Retry, text }),
    ]
}

proptest! {
    #[test]
    fn any_order_of_facts_keeps_the_promises(events in proptest::collection::vec(event(), 0..60)) {
        let mut store = Store::new(StoreOptions::default());
        let mut revs: HashMap<ItemId, (u32, String)> = HashMap::new();
        for event in &events {
            feed(&mut store, std::slice::from_ref(event));
            let items = store.transcript.items();
            prop_assert!(items.iter().is_sorted_by(|one, next| one.id < next.id));
            for (index, item) in items.iter().enumerate() {
                prop_assert_eq!(store.transcript.index_of(item.id), Some(index));
                // A change of an item's content changes its revision, and revisions never go back.
                let kind = format!("{:?}", item.kind);
                if let Some((rev, before)) = revs.insert(item.id, (item.rev, kind.clone())) {
                    prop_assert!(item.rev >= rev);
                    prop_assert!(kind == before || item.rev > rev);
                }
            }
            for call in store.tool_calls.calls().iter() {
                prop_assert_eq!(store.transcript.item(call.item).map(|item| item.kind), Some(ItemKind::Call { call: &call.id }));
            }
            prop_assert!(store.tool_calls.open().all(|call| call.state.is_open()));
            let open = store.tool_calls.calls().iter().filter(|call| call.state.is_open()).count();
            prop_assert_eq!(store.tool_calls.open().count(), open);
        }
        feed(&mut store, &[turn_finished("t", TurnOutcome::Completed)]);
        prop_assert!(store.tool_calls.calls().iter().all(|call| matches!(call.state, CallState::Done(_))));
        let streams = |kind: &ItemKind<'_>| matches!(kind, ItemKind::Answer { open: true, .. } | ItemKind::Thinking { open: true, .. });
        prop_assert!(!kinds(&store).iter().any(streams), "something still streams");
    }

    #[test]
    fn a_call_that_changes_is_told_by_its_items_revision(events in proptest::collection::vec(event(), 0..60)) {
        let mut store = Store::new(StoreOptions::default());
        for event in &events {
            let before = store.clone();
            feed(&mut store, std::slice::from_ref(event));
            for call in store.tool_calls.calls().iter() {
                let Some(old) = before.tool_calls.get(&call.id) else { continue };
                let rev = |store: &Store| store.transcript.item(call.item).map(|item| item.rev);
                prop_assert!(old == call || rev(&before) < rev(&store));
            }
        }
    }

    #[test]
    fn facts_told_twice_change_nothing(events in proptest::collection::vec(event(), 0..40)) {
        let once = folded(&events);
        let mut twice = once.clone();
        for (index, event) in events.iter().enumerate() {
            let envelope = Envelope { seq: Seq(index as u64 + 1), at: Millis(0), event: event.clone() };
            twice.update(Msg::Event(envelope), &mut Vec::new());
        }
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn the_size_of_the_pieces_does_not_matter(text in "[a-z é漢]{1,60}", size in 1..7_usize) {
        let delta = |text: String| AgentEvent::TextDelta { message: "m".into(), text, kind: TextKind::Text };
        let chars: Vec<char> = text.chars().collect();
        let pieces: Vec<AgentEvent> = chars.chunks(size).map(|piece| delta(piece.iter().collect())).collect();
        let (pieces, whole) = (folded(&pieces), folded(&[delta(text)]));
        prop_assert_eq!(kinds(&pieces), kinds(&whole));
    }

    #[test]
    fn a_reset_and_the_same_facts_give_the_same_screen(events in proptest::collection::vec(event(), 0..40)) {
        let mut store = folded(&events);
        let before = store.clone();
        store.update(Msg::Reset, &mut Vec::new());
        feed(&mut store, &events);
        prop_assert_eq!(kinds(&store), kinds(&before));
        prop_assert_eq!(&store.usage, &before.usage);
        prop_assert_eq!(&store.session, &before.session);
    }
}

#[test]
fn a_long_session_is_folded_item_by_item() {
    let mut store = Store::new(StoreOptions::default());
    let mut events = Vec::new();
    for n in 0..10_000 {
        let call = format!("c{n}");
        events.push(user_message("u", "again"));
        events.push(AgentEvent::ToolCallReady {
            call: call.as_str().into(),
            name: "clock".into(),
            args: "{}".into(),
            provider_metadata: None,
        });
        events.push(AgentEvent::ToolCallFinished {
            call: call.as_str().into(),
            outcome: CallOutcome::Ok,
            output: CallOutput::from_text("noon"),
            duration: None,
        });
    }
    feed(&mut store, &events);
    assert_eq!((store.transcript.items().len(), store.tool_calls.calls().len()), (20_000, 10_000));
    assert_eq!(store.tool_calls.open().count(), 0);
}
