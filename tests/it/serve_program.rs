//! `serve` with an agent program in place of our own agent: its sessions are logged and shared, and it may die.

use std::path::Path;
use std::time::Duration;

use jarvis_tui::event::{AgentEvent, Annotation, CallOutcome, NoticeCode, TurnOutcome};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::attach::home;
use crate::hosted::{HostedServer, client, logs, read_events};
use crate::support::{ScriptedServer, json as answer_json};

const TIME_LIMIT: Duration = Duration::from_mins(1);

/// An agent that speaks ACP. It keeps its sessions as files, notes in `heard` what it gets, and does what a prompt says:
/// `die` ends it, `ask` has it ask, `wait` has it wait until the file `go` is there.
const AGENT: &str = r#"
say() { printf '{"jsonrpc":"2.0",%s}\n' "$1"; }
tell() { say "\"method\":\"session/update\",\"params\":{\"sessionId\":\"$session\",\"update\":$1}"; }
text() { tell "{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"$1\"}}"; }
while IFS= read -r line; do
  id=${line#*\"id\":}; id=${id%%[,\}]*}
  session=${line#*\"sessionId\":\"}; session=${session%%\"*}
  case $line in
    *'"method":"initialize"'*)
      say "\"id\":$id,\"result\":{\"protocolVersion\":1,\"agentCapabilities\":{\"loadSession\":$LOADS}}";;
    *'"method":"session/new"'*)
      session=$(ls | grep -c '^kept-')
      session=kept-$session; : > $session; echo new >> heard
      say "\"id\":$id,\"result\":{\"sessionId\":\"$session\"}";;
    *'"method":"session/load"'*)
      echo "load $session" >> heard; text 'from before'
      say "\"id\":$id,\"result\":{}";;
    *'"method":"session/prompt"'*)
      printf 'prompt %s\n' "$line" >> heard
      case $line in
        *die*) text 'Now I '; exit 3;;
        *ask*) asked=$id; asker=$session
          tell '{"sessionUpdate":"tool_call","toolCallId":"c1","title":"ls","kind":"execute","status":"pending","rawInput":{"command":"ls"}}'
          say "\"id\":99,\"method\":\"session/request_permission\",\"params\":{\"sessionId\":\"$session\",\"toolCall\":{\"toolCallId\":\"c1\",\"title\":\"ls\",\"kind\":\"execute\"},\"options\":[{\"optionId\":\"y\",\"name\":\"Yes\",\"kind\":\"allow_once\"},{\"optionId\":\"n\",\"name\":\"No\",\"kind\":\"reject_once\"}]}"
          continue;;
        *wait*) text 'Wait. '; while [ ! -e go ]; do [ -d "$PWD" ] || exit; sleep 0.05; done; rm go;;
      esac
      text 'Hello.'
      say "\"id\":$id,\"result\":{\"stopReason\":\"end_turn\"}";;
    *'"id":99'*) session=$asker
      case $line in
        *'"optionId":"y"'*) status=completed;;
        *) status=failed;;
      esac
      tell "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c1\",\"status\":\"$status\"}"
      say "\"id\":$asked,\"result\":{\"stopReason\":\"end_turn\"}";;
  esac
done
"#;

/// A server of that agent, whose folder is the home of the test.
struct ProgramServer {
    server: HostedServer,
    client: reqwest::Client,
}

impl ProgramServer {
    async fn start(home: &Path, loads: bool) -> Self {
        let agent = format!("LOADS={loads}\n{AGENT}");
        let server = HostedServer::start(home, None, &["--", "sh", "-c", &agent]).await;
        Self { server, client: client() }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer =
            self.client.post(format!("{}{path}", self.server.url)).body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.server.url)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn open(&self) -> String {
        let (status, opened) = self.post("/v1/sessions", &json!({})).await;
        assert_eq!(status, 201, "{opened}");
        opened["id"].as_str().unwrap().to_owned()
    }

    async fn command(&self, session: &str, command: &Value) -> (u16, Value) {
        self.post(&format!("/v1/sessions/{session}/commands"), command).await
    }

    async fn prompt(&self, session: &str, text: &str) -> Value {
        let (status, answer) = self.command(session, &json!({"type": "prompt", "text": text})).await;
        assert_eq!(status, 202, "{answer}");
        answer
    }

    /// Waits until a session's state is so.
    async fn until(&self, session: &str, is: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let state = self.get(&format!("/v1/sessions/{session}")).await;
                if is(&state) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIME_LIMIT, wait).await.expect("it comes to that")
    }

    /// Waits until so many turns of a log have ended, and returns its events.
    async fn turns(&self, home: &Path, session: &str, count: usize) -> Vec<AgentEvent> {
        let log = logs(home).into_iter().find(|log| log.to_string_lossy().contains(session)).expect("a log");
        let ended = |events: &[AgentEvent]| {
            events.iter().filter(|event| matches!(event, AgentEvent::TurnFinished { .. })).count()
        };
        let wait = async {
            loop {
                let events = read_events(&log);
                if ended(&events) >= count {
                    return events;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIME_LIMIT, wait).await.expect("the turns end")
    }

    /// Waits until the agent has heard something.
    async fn heard(&self, home: &Path, text: &str) -> String {
        let wait = async {
            loop {
                let heard = std::fs::read_to_string(home.join("heard")).unwrap_or_default();
                if heard.contains(text) {
                    return heard;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIME_LIMIT, wait).await.expect("it hears that")
    }
}

fn outcomes(events: &[AgentEvent]) -> Vec<&TurnOutcome> {
    let ends = events.iter().filter_map(|event| match event {
        AgentEvent::TurnFinished { outcome, .. } => Some(outcome),
        _ => None,
    });
    ends.collect()
}

fn said(events: &[AgentEvent]) -> String {
    let text = |event: &AgentEvent| match event {
        AgentEvent::TextDelta { text, .. } => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

fn notices(events: &[AgentEvent], wanted: &NoticeCode) -> usize {
    events.iter().filter(|event| matches!(event, AgentEvent::Notice { code, .. } if code == wanted)).count()
}

#[tokio::test]
async fn a_second_prompt_waits_for_the_end_of_the_first_and_everybody_sees_that() {
    let home = home();
    let server = ProgramServer::start(home.path(), true).await;
    let session = server.open().await;
    server.prompt(&session, "wait").await;
    server.heard(home.path(), "wait").await;
    let queued = server.prompt(&session, "second").await;
    assert_eq!((queued["queued"].as_bool(), queued["place"].as_u64()), (Some(true), Some(1)), "{queued}");
    assert_eq!(server.prompt(&session, "third").await["place"], 2);
    let state = server
        .until(&session, |state| state["weather"]["queue"].as_array().is_some_and(|queue| queue.len() == 2))
        .await;
    assert_eq!(state["weather"]["queue"][0]["text"], "second", "{state}");
    std::fs::write(home.path().join("go"), "").unwrap();
    let events = server.turns(home.path(), &session, 3).await;
    assert_eq!(outcomes(&events), [&TurnOutcome::Completed; 3]);
    let prompts: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::UserMessage { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(prompts, ["wait", "second", "third"]);
}

#[tokio::test]
async fn an_agent_that_dies_fails_its_turn_and_loads_the_session_for_the_next_prompt() {
    let home = home();
    let server = ProgramServer::start(home.path(), true).await;
    let session = server.open().await;
    server.prompt(&session, "die").await;
    let events = server.turns(home.path(), &session, 1).await;
    assert!(
        matches!(outcomes(&events)[..], [TurnOutcome::Failed(fault)] if fault.message.contains("code 3")),
        "{events:?}"
    );
    server.prompt(&session, "go on").await;
    let events = server.turns(home.path(), &session, 2).await;
    assert_eq!(outcomes(&events)[1], &TurnOutcome::Completed);
    assert_eq!(said(&events), "Now I Hello.", "what it tells of the past was told before");
    assert_eq!(notices(&events, &NoticeCode::Resumed), 1);
    assert_eq!(server.heard(home.path(), "go on").await.matches("load kept-0").count(), 1);
}

#[tokio::test]
async fn an_agent_that_loads_nothing_starts_afresh_and_says_so() {
    let home = home();
    let server = ProgramServer::start(home.path(), false).await;
    let session = server.open().await;
    server.prompt(&session, "die").await;
    server.turns(home.path(), &session, 1).await;
    server.prompt(&session, "go on").await;
    let events = server.turns(home.path(), &session, 2).await;
    assert_eq!(outcomes(&events)[1], &TurnOutcome::Completed);
    assert_eq!((notices(&events, &NoticeCode::Conversation), notices(&events, &NoticeCode::Resumed)), (1, 0));
}

#[tokio::test]
async fn a_session_goes_on_with_its_numbers_and_the_agent_s_memory_after_the_server_was_killed() {
    let home = home();
    let server = ProgramServer::start(home.path(), true).await;
    let session = server.open().await;
    server.prompt(&session, "wait").await;
    server.heard(home.path(), "wait").await;
    server.server.kill().await;
    let server = ProgramServer::start(home.path(), true).await;
    let state = server.get(&format!("/v1/sessions/{session}")).await;
    assert_eq!(state["running"], false);
    server.prompt(&session, "go on").await;
    let events = server.turns(home.path(), &session, 2).await;
    assert_eq!(outcomes(&events), [&TurnOutcome::Interrupted, &TurnOutcome::Completed]);
    let turns: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::TurnStarted { turn, .. } => Some(turn.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(turns, ["t1", "t2"]);
    assert_eq!(server.heard(home.path(), "go on").await.matches("load kept-0").count(), 1);
}

#[tokio::test]
async fn an_approval_is_decided_once_by_any_client() {
    let home = home();
    let server = ProgramServer::start(home.path(), true).await;
    let session = server.open().await;
    server.prompt(&session, "ask").await;
    let state = server.until(&session, |state| state["asks"].as_array().is_some_and(|asks| !asks.is_empty())).await;
    assert!(state["asks"][0]["ask"]["expires"].as_u64().is_some(), "{state}");
    let decide = json!({"type": "decide", "call": "c1", "decision": {"offered": {"id": "y", "allows": true}}});
    let (first, second) = tokio::join!(server.command(&session, &decide), server.command(&session, &decide));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let events = server.turns(home.path(), &session, 1).await;
    let decided = events.iter().filter(|event| matches!(event, AgentEvent::ApprovalResolved { .. })).count();
    let is_done = |event: &AgentEvent| matches!(event, AgentEvent::ToolCallFinished { outcome: CallOutcome::Ok, .. });
    assert_eq!((decided, events.iter().any(is_done)), (1, true));
}

#[tokio::test]
async fn other_dialects_ask_the_program_and_bring_their_conversation_along() {
    let home = home();
    let server = ProgramServer::start(home.path(), true).await;
    let models = server.get("/v1/models").await;
    assert_eq!(models["data"][1]["id"], "sh", "{models}");
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]);
    let (status, answer) = server.post("/v1/chat/completions", &json!({"model": "sh", "messages": messages})).await;
    assert_eq!((status, answer["choices"][0]["message"]["content"].as_str()), (200, Some("Hello.")), "{answer}");
    assert_eq!(answer["model"], "sh");
    let heard = server.heard(home.path(), "three").await;
    assert!(heard.contains("Be brief.") && heard.contains("User: one") && heard.contains("Assistant: two"), "{heard}");
    let required = json!({"messages": [{"role": "user", "content": "x"}], "tools": [
        {"type": "function", "function": {"name": "f"}},
    ], "tool_choice": "required"});
    let (status, refused) = server.post("/v1/chat/completions", &required).await;
    assert_eq!((status, refused["error"]["param"].as_str()), (400, Some("tool_choice")), "{refused}");
    let (status, refused) =
        server.post("/v1/chat/completions", &json!({"messages": [{"role": "assistant", "content": "x"}]})).await;
    assert_eq!(status, 400, "{refused}");
}

#[tokio::test]
async fn turns_of_one_conversation_come_one_after_another() {
    let home = home();
    let server = ProgramServer::start(home.path(), true).await;
    let (_, conversation) = server.post("/v1/conversations", &json!({})).await;
    let ask = |input: &str| json!({"conversation": conversation["id"], "input": input});
    let place = format!("{}/v1/responses", server.server.url);
    let mut asked = JoinSet::new();
    let send = |body: Value| server.client.post(&place).body(body.to_string()).send();
    asked.spawn(send(ask("wait")));
    server.heard(home.path(), "wait").await;
    asked.spawn(send(ask("second")));
    let in_progress = server.post("/v1/responses", &json!({"input": "wait", "background": true})).await.1;
    let next = json!({"input": "after", "previous_response_id": in_progress["id"]});
    let mut after = JoinSet::new();
    after.spawn(send(next));
    // Both agents wait for that file; each takes it away.
    let go = async {
        loop {
            std::fs::write(home.path().join("go"), "").unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let all = async {
        for answered in asked.join_all().await.into_iter().chain(after.join_all().await) {
            assert_eq!(answered.unwrap().status(), StatusCode::OK);
        }
    };
    tokio::select! {
        () = all => {}
        () = go => {}
        () = tokio::time::sleep(TIME_LIMIT) => panic!("they end"),
    }
    let heard = server.heard(home.path(), "second").await;
    let second = heard.lines().find(|line| line.contains("second")).unwrap();
    assert!(second.contains("User: wait") && second.contains("Assistant: Wait. Hello."), "{second}");
    let after = heard.lines().find(|line| line.contains("after")).unwrap();
    assert!(after.contains("Assistant: Wait. Hello."), "{after}");
}

#[tokio::test]
async fn who_watches_and_who_typed_is_told() {
    let home = home();
    let server = ProgramServer::start(home.path(), true).await;
    let session = server.open().await;
    let place = format!("{}/v1/sessions/{session}", server.server.url);
    let watch = async |name: &str| {
        let request = server.client.get(format!("{place}/events")).header("x-jarvis-client", name);
        request.send().await.unwrap()
    };
    let watched = async |names: &[&str]| {
        server.until(&session, |state| state["weather"]["watchers"].as_array().map_or(0, Vec::len) == names.len()).await
    };
    let (_anna, ben) = (watch("anna").await, watch("ben").await);
    assert_eq!(watched(&["anna", "ben"]).await["weather"]["watchers"], json!(["anna", "ben"]));
    drop(ben);
    assert_eq!(watched(&["anna"]).await["weather"]["watchers"], json!(["anna"]));
    let prompt = server.client.post(format!("{place}/commands")).header("x-jarvis-client", "anna");
    prompt.body(json!({"type": "prompt", "text": "hello"}).to_string()).send().await.unwrap();
    let events = server.turns(home.path(), &session, 1).await;
    let author = events.windows(2).find_map(|pair| match pair {
        [AgentEvent::UserMessage { .. }, AgentEvent::Annotation { annotation: Annotation::Author(author), .. }] => {
            Some(author.as_str())
        }
        _ => None,
    });
    assert_eq!(author, Some("anna"), "{events:?}");
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_the_turn_and_names_itself() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &["--", "no-such-agent-here"]).await;
    let server = ProgramServer { server, client: client() };
    let (status, answer) =
        server.post("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "x"}]})).await;
    assert!(status >= 500, "{answer}");
    let why = answer["error"]["message"].as_str().unwrap();
    assert!(why.contains("no-such-agent-here") && why.contains("installed"), "{why}");
}

#[tokio::test]
async fn turns_of_the_agent_program_are_told_to_a_collector() {
    let home = home();
    let collector = ScriptedServer::start(vec![vec![answer_json("200 OK", "{}")]]).await;
    let settings = format!("[telemetry]\nexport = true\nendpoint = \"{}\"\n", collector.url());
    std::fs::write(home.path().join("config.toml"), settings).unwrap();
    let server = ProgramServer::start(home.path(), true).await;
    let session = server.open().await;
    server.prompt(&session, "hello").await;
    let told = async {
        loop {
            if let Some(request) = collector.asked().first() {
                return request.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let request = tokio::time::timeout(TIME_LIMIT, told).await.expect("it is told");
    assert!(request.starts_with("POST /v1/traces HTTP/1.1") && request.contains(&session), "{request}");
}
