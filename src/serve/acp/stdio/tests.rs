use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use super::*;
use crate::event::{ApprovalMode, TurnOutcome};
use crate::serve::Settings;
use crate::testkit::events::{message_started, opened, text_delta, turn_finished, turn_started, user_message};
use crate::testkit::factory::TestFactory;

/// A client of an agent whose sessions are fed by the test.
struct AcpClient {
    factory: Arc<TestFactory>,
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    served: JoinSet<std::io::Result<()>>,
}

impl AcpClient {
    fn start() -> Self {
        let factory = Arc::new(TestFactory::default());
        let settings = Settings { mode: ApprovalMode::Ask, ..Settings::default() };
        let state = ServerState::new(factory.clone(), settings);
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (input, output) = tokio::io::split(theirs);
        let mut served = JoinSet::new();
        served.spawn(run(state, BufReader::new(input), output, std::future::pending()));
        let (output, input) = tokio::io::split(ours);
        Self { factory, input, output: BufReader::new(output).lines(), served }
    }

    async fn send(&mut self, message: &Json) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, id: u64, method: &str, params: Json) {
        self.send(&serde_json::json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
    }

    async fn next(&mut self) -> Json {
        let line = self.output.next_line().await.unwrap().expect("the agent goes on");
        serde_json::from_str(&line).unwrap()
    }

    async fn until_answer(&mut self, id: u64) -> Json {
        loop {
            let message = self.next().await;
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    /// The client goes: nothing more is sent.
    async fn leave(mut self) -> Vec<Json> {
        self.input.shutdown().await.unwrap();
        let mut last = Vec::new();
        while let Some(line) = self.output.next_line().await.unwrap() {
            last.push(serde_json::from_str(&line).unwrap());
        }
        self.served.join_next().await.unwrap().unwrap().unwrap();
        last
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_goes_through_the_streams_line_by_line() {
    let mut client = AcpClient::start();
    client.ask(0, "initialize", serde_json::json!({"protocolVersion": 1})).await;
    assert_eq!(client.next().await["result"]["protocolVersion"], 1);
    client.ask(1, "session/new", serde_json::json!({"cwd": "/", "mcpServers": []})).await;
    assert_eq!(client.until_answer(1).await["result"]["sessionId"], "s1");
    let mut source = client.factory.source();
    source.send([opened()]).await;
    let prompt = serde_json::json!([{"type": "text", "text": "hi"}]);
    client.ask(2, "session/prompt", serde_json::json!({"sessionId": "s1", "prompt": prompt})).await;
    assert_eq!(source.commands.recv().await, Some(crate::event::Command::prompt("hi")));
    source.send([turn_started("t1"), user_message("m1", "hi"), message_started("m2"), text_delta("m2", "Hello")]).await;
    source.send([turn_finished("t1", TurnOutcome::Completed)]).await;
    assert_eq!(client.until_answer(2).await["result"]["stopReason"], "end_turn");
    drop(source);
    client.leave().await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_cancelled_and_answered_when_the_client_goes() {
    let mut client = AcpClient::start();
    client.ask(1, "session/new", serde_json::json!({"cwd": "/", "mcpServers": []})).await;
    client.until_answer(1).await;
    let mut source = client.factory.source();
    let prompt = serde_json::json!([{"type": "text", "text": "hi"}]);
    client.ask(2, "session/prompt", serde_json::json!({"sessionId": "s1", "prompt": prompt})).await;
    assert_eq!(source.commands.recv().await, Some(crate::event::Command::prompt("hi")));
    source.send([opened(), turn_started("t1"), user_message("m1", "hi")]).await;
    let mut agent = JoinSet::new();
    agent.spawn(async move {
        assert_eq!(source.commands.recv().await, Some(crate::event::Command::Cancel));
        source.send([turn_finished("t1", TurnOutcome::Cancelled)]).await;
    });
    let last = client.leave().await;
    agent.join_next().await.unwrap().unwrap();
    assert_eq!(last.last().unwrap()["result"]["stopReason"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_there_is_an_error_and_the_agent_goes_on() {
    let mut client = AcpClient::start();
    client.ask(1, "session/load", serde_json::json!({"sessionId": "x", "cwd": "/", "mcpServers": []})).await;
    assert_eq!(client.until_answer(1).await["error"]["code"], -32002);
    client.input.write_all(b"junk\n").await.unwrap();
    assert_eq!(client.next().await["error"]["code"], -32700);
    client.ask(2, "session/list", serde_json::json!({})).await;
    assert_eq!(client.until_answer(2).await["result"], serde_json::json!({"sessions": []}));
    client.leave().await;
}
