//! How fast facts become state: token events folded into the store. Target: at least 1.5 M events a second.

use divan::Bencher;
use divan::counter::ItemsCount;
use jarvis_tui::event::{
    AgentEvent, ApprovalMode, Capabilities, Envelope, FinishReason, MessageId, Millis, Role, Seq, TextKind, TurnId,
    TurnOutcome,
};
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::{Store, StoreOptions};

const TURNS: u64 = 100;
const TOKENS: u64 = 2000;

fn main() {
    divan::main();
}

fn session() -> Vec<Envelope> {
    let mut events = vec![AgentEvent::SessionOpened {
        wall_ms: 0,
        engine: "bench".into(),
        model: "bench".into(),
        engine_reason: String::new(),
        mode: ApprovalMode::Ask,
        folder: "/".into(),
        version: String::new(),
        capabilities: Capabilities::default(),
        context_window: Some(128_000),
        price: None,
    }];
    for turn in 0..TURNS {
        let id = TurnId::new(format!("t{turn}"));
        let message = MessageId::new(format!("a{turn}"));
        events.push(AgentEvent::TurnStarted { turn: id.clone(), parent: None });
        events.push(AgentEvent::UserMessage { message: MessageId::new(format!("u{turn}")), text: "go on".into() });
        events.push(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
        for token in 0..TOKENS {
            let text = if token % 12 == 11 { "line\n".to_owned() } else { "word ".to_owned() };
            events.push(AgentEvent::TextDelta { message: message.clone(), text, kind: TextKind::Text });
        }
        events.push(AgentEvent::MessageFinished {
            message,
            finish_reason: FinishReason::End,
            full_text: None,
            provider_metadata: None,
        });
        events.push(AgentEvent::TurnFinished { turn: id, outcome: TurnOutcome::Completed });
    }
    (1..).zip(events).map(|(number, event)| Envelope { seq: Seq(number), at: Millis(number * 10), event }).collect()
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn fold_token_events(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(session).input_counter(|events: &Vec<Envelope>| ItemsCount::new(events.len())).bench_values(
        |events| {
            let mut store = Store::new(StoreOptions::default());
            let mut effects = Vec::new();
            for envelope in events {
                store.update(Msg::Event(envelope), &mut effects);
            }
            store
        },
    );
}
