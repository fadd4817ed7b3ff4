//! An editor by the official crates: it opens a session, has a turn with a call, is cut off in the middle of an answer,
//! and reconnects with the number of the last action that it got. States are reduced by the official reducers, and
//! compared with what a newcomer gets.

use std::error::Error;
use std::time::Duration;

use ahp::reducers::apply_action_to_chat;
use ahp::{Client, ClientConfig, SessionSubscription, SubscriptionEvent};
use ahp_types::actions::{ActionEnvelope, StateAction};
use ahp_types::commands::ReconnectResult;
use ahp_types::state::{ChatState, ResponsePart, SnapshotState, ToolCallState};
use ahp_types::{ROOT_RESOURCE_URI, SUPPORTED_PROTOCOL_VERSIONS};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CLIENT: &str = "editor-1";
const SESSION: &str = "ahp-session:/mine";
const PATIENCE: Duration = Duration::from_secs(60);

struct Chat {
    uri: String,
    state: ChatState,
    last_seq: u64,
    turns: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::var("SERVED_URL")?.replacen("http", "ws", 1) + "/ahp";
    let prompts: Value = serde_json::from_str(&std::env::var("PROMPTS")?)?;
    let prompt = |step: &str| prompts[step].as_str().unwrap_or_default().to_owned();

    let client = connect(&url).await?;
    let versions = SUPPORTED_PROTOCOL_VERSIONS.iter().map(|version| (*version).to_owned()).collect();
    client.initialize(CLIENT.into(), versions, vec![ROOT_RESOURCE_URI.into()]).await?;
    let folder = format!("file://{}", std::env::current_dir()?.display());
    client.request::<_, ()>("createSession", json!({"channel": SESSION, "workingDirectories": [folder]})).await?;
    let (subscribed, _) = client.subscribe(SESSION.into()).await?;
    let Some(SnapshotState::Session(session)) = subscribed.snapshot.map(|snapshot| snapshot.state) else {
        return Err("the snapshot is no session".into());
    };
    let uri = session.default_chat.clone().ok_or("the session has no chat")?;
    let (subscribed, mut told) = client.subscribe(uri.clone()).await?;
    let snapshot = subscribed.snapshot.ok_or("the chat has no state")?;
    let SnapshotState::Chat(state) = snapshot.state else { return Err("the snapshot is no chat".into()) };
    let mut chat = Chat { uri, state: *state, last_seq: snapshot.from_seq as u64, turns: 0 };

    chat.prompt(&client, &prompt("tool")).await?;
    chat.follow(&client, &mut told).await?;
    say("tool", &chat.said(), "");

    chat.prompt(&client, &prompt("slow")).await?;
    let cut = chat.follow(&client, &mut told).await;
    say("slow", &chat.said(), if cut.is_err() { "the connection is gone" } else { "" });
    drop(client);

    let client = connect(&url).await?;
    let mut told = client.attach_subscription(&chat.uri).await;
    let channels = vec![SESSION.to_owned(), chat.uri.clone()];
    let ReconnectResult::Replay(replay) = client.reconnect(CLIENT.into(), chat.last_seq as i64, channels).await? else {
        return Err("what was missed is not replayed".into());
    };
    for envelope in &replay.actions {
        if envelope.channel == chat.uri { chat.apply(envelope)? } else { chat.last_seq = envelope.server_seq }
    }
    if chat.state.active_turn.is_some() {
        chat.follow(&client, &mut told).await?;
    }
    let (fresh, _) = client.subscribe(chat.uri.clone()).await?;
    let fresh = serde_json::to_value(fresh.snapshot.ok_or("the chat has no state")?.state)?;
    let mine = serde_json::to_value(&chat.state)?;
    let same = fresh["turns"] == mine["turns"] && fresh["activeTurn"] == mine["activeTurn"];
    say("rest", &chat.said(), if same { "" } else { "the reduced state is another than that of a newcomer" });
    if !same {
        eprintln!("reduced: {mine}\nfresh: {fresh}");
    }

    chat.prompt(&client, &prompt("again")).await?;
    chat.follow(&client, &mut told).await?;
    say("again", &chat.said(), "");
    client.shutdown().await;
    Ok(())
}

async fn connect(url: &str) -> Result<Client> {
    let transport = ahp_ws::WebSocketTransport::connect(url).await?;
    let config = ClientConfig { subscription_buffer: 8192, ..ClientConfig::default() };
    Ok(Client::connect(transport, config).await?)
}

fn say(step: &str, text: &str, failed: &str) {
    println!("{}", json!({"step": step, "text": text, "failed": failed}));
}

impl Chat {
    async fn prompt(&mut self, client: &Client, text: &str) -> Result<()> {
        self.turns += 1;
        let action = json!({
            "type": "chat/turnStarted", "turnId": format!("turn-{}", self.turns), "startedAt": "2026-01-01T00:00:00.000Z",
            "message": {"text": text, "origin": {"kind": "user"}},
        });
        client.dispatch(self.uri.clone(), serde_json::from_value::<StateAction>(action)?).await?;
        Ok(())
    }

    /// Applies actions until the turn is over; fails if they end before.
    async fn follow(&mut self, client: &Client, told: &mut SessionSubscription) -> Result<()> {
        let own = format!("turn-{}", self.turns);
        loop {
            let event = tokio::time::timeout(PATIENCE, told.recv()).await?.ok_or("the connection is gone")?;
            let SubscriptionEvent::Action(envelope) = event else { continue };
            self.apply(&envelope)?;
            if let Some(call) = self.asked() {
                let turn = self.state.active_turn.as_ref().map(|turn| turn.id.clone());
                let action = json!({
                    "type": "chat/toolCallConfirmed", "turnId": turn, "toolCallId": call, "approved": true,
                    "confirmed": "user-action", "selectedOptionId": "once",
                });
                client.dispatch(self.uri.clone(), serde_json::from_value::<StateAction>(action)?).await?;
            }
            if self.state.turns.last().is_some_and(|turn| turn.id == own) {
                return Ok(());
            }
        }
    }

    fn apply(&mut self, envelope: &ActionEnvelope) -> Result<()> {
        if let Some(why) = &envelope.rejection_reason {
            return Err(format!("rejected: {why}").into());
        }
        if envelope.server_seq <= self.last_seq {
            return Err(format!("action {} came after {}", envelope.server_seq, self.last_seq).into());
        }
        self.last_seq = envelope.server_seq;
        apply_action_to_chat(&mut self.state, &envelope.action);
        Ok(())
    }

    /// The call that somebody has to decide about.
    fn asked(&self) -> Option<String> {
        let parts = self.state.active_turn.as_ref()?.response_parts.iter();
        parts.rev().find_map(|part| match part {
            ResponsePart::ToolCall(part) => match &part.tool_call {
                ToolCallState::PendingConfirmation(call) => Some(call.tool_call_id.clone()),
                _ => None,
            },
            _ => None,
        })
    }

    /// The text of the turn that runs, or of the last one.
    fn said(&self) -> String {
        let running = self.state.active_turn.as_ref().map(|turn| &turn.response_parts);
        let parts = running.or_else(|| self.state.turns.last().map(|turn| &turn.response_parts));
        let text = |part: &ResponsePart| match part {
            ResponsePart::Markdown(part) => Some(part.content.clone()),
            _ => None,
        };
        parts.into_iter().flatten().filter_map(text).collect()
    }
}
