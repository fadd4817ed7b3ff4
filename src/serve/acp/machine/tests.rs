use super::*;
use crate::event::{
    AgentEvent, AnswerKind, CallOutcome, DecidedBy, Decision, FinishReason, Millis, NoticeCode, OfferedAnswer,
    TurnOutcome,
};
use crate::testkit::events::{
    LIVE, Opened, call_finished, call_ready, call_started, message_finished, message_started, shell_approval,
    text_delta, turn_finished, turn_started, user_message,
};

/// An agent with one client, whose sessions the test plays.
struct AcpTalk {
    agent: AcpAgent,
    seq: u64,
}

impl AcpTalk {
    fn new() -> Self {
        Self { agent: AcpAgent::new(ApprovalMode::AutoEdit, HashMap::new()), seq: 0 }
    }

    /// With the session `s`.
    fn open() -> Self {
        let mut talk = Self::new();
        let steps = talk.ask(1, "session/new", &json!({"cwd": "/work", "mcpServers": []}));
        assert!(matches!(&steps[..], [AcpStep::Open(1, opening)] if opening.folder.as_deref() == Some("/work")));
        talk.opened(1, 0);
        talk.tell(
            Opened { folder: "/work", mode: ApprovalMode::AutoEdit, capabilities: LIVE, ..Opened::default() }.event(),
        );
        talk
    }

    fn line(&mut self, line: &Json) -> Vec<AcpStep> {
        let mut out = Vec::new();
        self.agent.handle_line(line.to_string().as_bytes(), &mut out);
        out
    }

    fn ask(&mut self, id: u64, method: &str, params: &Json) -> Vec<AcpStep> {
        self.line(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
    }

    fn prompt(&mut self, id: u64, text: &str) -> Vec<AcpStep> {
        self.ask(id, "session/prompt", &json!({"sessionId": "s", "prompt": [{"type": "text", "text": text}]}))
    }

    fn cancel(&mut self) -> Vec<AcpStep> {
        self.line(&json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": "s"}}))
    }

    fn opened(&mut self, number: u64, last_seq: u64) -> Vec<AcpStep> {
        let mut out = Vec::new();
        let opened = OpenedSession { id: "s".into(), last_seq: Seq(last_seq), options: SessionOptions::default() };
        self.agent.handle_opened(number, Ok(opened), &mut out);
        out
    }

    fn tell(&mut self, event: AgentEvent) -> Vec<AcpStep> {
        self.seq += 1;
        let mut out = Vec::new();
        let envelope = Envelope { seq: Seq(self.seq), at: Millis(self.seq), event };
        self.agent.handle_event(&"s".into(), &envelope, &mut out);
        out
    }

    fn tell_all(&mut self, events: impl IntoIterator<Item = AgentEvent>) -> Vec<AcpStep> {
        events.into_iter().flat_map(|event| self.tell(event)).collect()
    }

    fn turn(&mut self, turn: &str, text: &str, outcome: TurnOutcome) -> Vec<AcpStep> {
        self.tell_all([turn_started(turn), user_message(turn, text), turn_finished(turn, outcome)])
    }
}

fn command(command: Command) -> AcpStep {
    AcpStep::Command("s".into(), command)
}

/// The messages that are sent, shortened to what they are.
fn sent(steps: &[AcpStep]) -> Vec<String> {
    let messages = steps.iter().filter_map(|step| if let AcpStep::Send(message) = step { Some(message) } else { None });
    messages.map(shown).collect()
}

fn shown(message: &Json) -> String {
    let update = &message["params"]["update"];
    let word = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    match (message.get("method").and_then(Json::as_str), message.get("error")) {
        (Some("session/update"), _) => match update["content"]["text"].as_str() {
            Some(text) => format!("{} {text}", word(&update["sessionUpdate"])),
            None => word(&update["sessionUpdate"]),
        },
        (Some(method), _) => format!("{method} {}", message["id"]),
        (None, Some(error)) => format!("{}: {} {}", message["id"], error["code"], word(&error["message"])),
        (None, None) => match message["result"].get("stopReason") {
            Some(reason) => format!("{}: {}", message["id"], word(reason)),
            None => format!("{}: ok", message["id"]),
        },
    }
}

#[test]
fn the_first_answer_says_what_the_agent_can() {
    let mut talk = AcpTalk::new();
    for version in [0, 1, 9] {
        let steps = talk.ask(0, "initialize", &json!({"protocolVersion": version, "clientCapabilities": {}}));
        let [AcpStep::Send(answer)] = &steps[..] else { panic!("{steps:?}") };
        let result = &answer["result"];
        assert_eq!((&result["protocolVersion"], &result["agentInfo"]["name"]), (&json!(1), &json!("jarvis-tui")));
        assert_eq!(result["agentCapabilities"]["loadSession"], true);
        assert_eq!(result["agentCapabilities"]["sessionCapabilities"], json!({"list": {}, "resume": {}, "close": {}}));
    }
    assert_eq!(sent(&talk.ask(1, "authenticate", &json!({"methodId": "x"}))), ["1: ok"]);
}

#[test]
fn what_is_no_request_is_answered_as_json_rpc_wants_it() {
    let mut talk = AcpTalk::open();
    let mut out = Vec::new();
    for line in ["{", "[]", "  \n", r#"{"jsonrpc":"2.0","method":"$/newer"}"#, r#"{"id":77,"result":{}}"#] {
        talk.agent.handle_line(line.as_bytes(), &mut out);
    }
    let errors = sent(&out);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("null: -32700 the line is no JSON"), "{errors:?}");
    assert_eq!(errors[1], "null: -32600 a message is a JSON object");
    for (method, params, expected) in [
        ("session/fork", json!({}), "5: -32601 session/fork is not offered here"),
        ("session/new", json!({"cwd": "work"}), "5: -32602 cwd: an absolute path is expected"),
        ("session/load", json!({"cwd": "/work"}), "5: -32602 sessionId: a string is expected"),
        ("session/prompt", json!({"sessionId": "other"}), "5: -32002 no session other is open; load it first"),
        ("session/prompt", json!({"sessionId": "s", "prompt": []}), "5: -32602 the prompt has no text"),
        ("session/list", json!({"cursor": "x"}), "5: -32602 cursor: not one of an earlier list"),
        (
            "session/set_mode",
            json!({"sessionId": "s", "modeId": "full"}),
            "5: -32602 modeId: one of plan, ask, auto-edit is expected",
        ),
        (
            "session/set_mode",
            json!({"sessionId": "s", "modeId": "odd"}),
            "5: -32602 modeId: one of plan, ask, auto-edit is expected",
        ),
    ] {
        assert_eq!(sent(&talk.ask(5, method, &params)), [expected]);
    }
}

#[test]
fn a_turn_is_sent_as_it_comes_and_its_answer_is_last() {
    let mut talk = AcpTalk::open();
    assert_eq!(talk.prompt(2, "hi"), [command(Command::prompt("hi"))]);
    let steps = talk.tell_all([
        turn_started("t1"),
        user_message("m1", "hi"),
        message_started("m2"),
        text_delta("m2", "Hello"),
        text_delta("m2", "!"),
        message_finished("m2", FinishReason::End),
        turn_finished("t1", TurnOutcome::Completed),
    ]);
    assert_eq!(sent(&steps), ["agent_message_chunk Hello", "agent_message_chunk !", "2: end_turn"]);
    assert!(talk.agent.is_idle());
}

#[test]
fn a_prompt_waits_for_the_one_before_it() {
    let mut talk = AcpTalk::open();
    assert_eq!(talk.prompt(2, "a"), [command(Command::prompt("a"))]);
    assert_eq!(talk.prompt(3, "b"), []);
    let steps = talk.turn("t1", "a", TurnOutcome::Completed);
    assert_eq!((sent(&steps), steps.last()), (vec!["2: end_turn".to_owned()], Some(&command(Command::prompt("b")))));
    assert_eq!(sent(&talk.turn("t2", "b", TurnOutcome::Completed)), ["3: end_turn"]);
    for id in 0..=16 {
        talk.prompt(10 + id, "c");
    }
    assert_eq!(sent(&talk.prompt(30, "d")), ["30: -32600 16 prompts wait already; cancel the running one first"]);
}

#[test]
fn a_turn_of_an_earlier_prompt_is_not_the_answer_of_this_one() {
    let mut talk = AcpTalk::open();
    talk.prompt(2, "mine");
    assert_eq!(sent(&talk.turn("t1", "left over", TurnOutcome::Completed)), [] as [&str; 0]);
    assert_eq!(sent(&talk.turn("t2", "mine", TurnOutcome::Completed)), ["2: end_turn"]);
}

#[test]
fn a_cancel_ends_what_runs_and_what_waits_and_nothing_that_comes_later() {
    let mut talk = AcpTalk::open();
    assert_eq!(talk.cancel(), [], "nothing runs");
    talk.prompt(2, "a");
    talk.prompt(3, "b");
    let steps = talk.cancel();
    assert_eq!((steps.first(), sent(&steps)), (Some(&command(Command::Cancel)), vec!["3: cancelled".to_owned()]));
    assert_eq!(talk.prompt(4, "c"), [], "it waits until the cancelled one has ended");
    let steps = talk.turn("t1", "a", TurnOutcome::Completed);
    assert_eq!(sent(&steps), ["2: cancelled"], "though it got to its end first");
    assert_eq!(steps.last(), Some(&command(Command::prompt("c"))));
    assert_eq!(sent(&talk.turn("t2", "c", TurnOutcome::Cancelled)), ["4: cancelled"]);
}

#[test]
fn the_client_decides_with_the_options_that_it_was_given() {
    let mut talk = AcpTalk::open();
    talk.prompt(2, "go");
    let request = ApprovalRequest { pattern: Some("shell(ls *)".into()), ..shell_approval("ls -l") };
    talk.tell_all([
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        call_started("c1", "m2", Some("shell")),
        call_ready("c1", "shell", r#"{"command":"ls -l"}"#),
    ]);
    let mut decide = |answer: Json| {
        let steps = talk.tell(AgentEvent::ApprovalRequested { call: "c1".into(), request: request.clone() });
        let [AcpStep::Send(asked)] = &steps[..] else { panic!("{steps:?}") };
        let ids: Vec<&str> = asked["params"]["options"]
            .as_array()
            .unwrap()
            .iter()
            .map(|option| option["optionId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["once", "pattern", "session", "deny"]);
        assert_eq!(asked["params"]["toolCall"]["rawInput"], json!({"command": "ls -l"}));
        let mut message = json!({"jsonrpc": "2.0", "id": asked["id"]});
        message.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        let steps = talk.line(&message);
        assert_eq!(talk.line(&message), [], "an answer counts once");
        match &steps[..] {
            [AcpStep::Command(_, Command::Decide { call, decision })] if call.as_str() == "c1" => decision.clone(),
            other => panic!("{other:?}"),
        }
    };
    let selected = |id: &str| json!({"result": {"outcome": {"outcome": "selected", "optionId": id}}});
    for (answer, decision) in [
        (selected("once"), Decision::Once),
        (selected("session"), Decision::Session),
        (selected("pattern"), Decision::Pattern("shell(ls *)".into())),
        (selected("deny"), Decision::Deny(None)),
        (selected("all"), Decision::Deny(None)),
        (json!({"result": {"outcome": {"outcome": "cancelled"}}}), Decision::Deny(None)),
        (json!({"error": {"code": -1, "message": "x"}}), Decision::Deny(Some("the client could not ask".into()))),
    ] {
        assert_eq!(decide(answer), decision);
    }
}

#[test]
fn an_agent_behind_ours_is_answered_in_its_own_words() {
    let mut talk = AcpTalk::open();
    let answers =
        vec![OfferedAnswer { id: "yes-all".into(), label: "Yes to all".into(), kind: AnswerKind::AllowAlways }];
    let request = ApprovalRequest { answers, ..shell_approval("ls") };
    let steps = talk.tell_all([turn_started("t"), AgentEvent::ApprovalRequested { call: "c1".into(), request }]);
    let [AcpStep::Send(asked)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(
        asked["params"]["options"],
        json!([{"optionId": "yes-all", "name": "Yes to all", "kind": "allow_always"}])
    );
    let answer = json!({"id": asked["id"], "result": {"outcome": {"outcome": "selected", "optionId": "yes-all"}}});
    let decision = Decision::Offered { id: "yes-all".into(), allows: true };
    assert_eq!(talk.line(&answer), [command(Command::Decide { call: "c1".into(), decision })]);
}

#[test]
fn what_was_decided_elsewhere_is_not_decided_again() {
    let mut talk = AcpTalk::open();
    let asked = AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") };
    let steps = talk.tell_all([turn_started("t"), asked]);
    let [AcpStep::Send(asked)] = &steps[..] else { panic!("{steps:?}") };
    let by = DecidedBy::Cancelled;
    talk.tell(AgentEvent::ApprovalResolved { call: "c1".into(), decision: Decision::Deny(None), by });
    let answer = json!({"id": asked["id"], "result": {"outcome": {"outcome": "selected", "optionId": "once"}}});
    assert_eq!(talk.line(&answer), []);
}

/// The events of a session that ended in the middle of a call, and what its next run begins with.
fn past() -> Vec<AgentEvent> {
    vec![
        Opened { folder: "/work", mode: ApprovalMode::AutoEdit, capabilities: LIVE, ..Opened::default() }.event(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        text_delta("m2", "I run it."),
        call_started("c1", "m2", Some("shell")),
        call_ready("c1", "shell", r#"{"command":"ls"}"#),
        message_finished("m2", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Unknown, ""),
        turn_finished("t1", TurnOutcome::Interrupted),
        Opened { folder: "/work", mode: ApprovalMode::Plan, capabilities: LIVE, ..Opened::default() }.event(),
    ]
}

fn loaded(method: &str, meta: &Json) -> Vec<String> {
    let mut talk = AcpTalk::new();
    let params = json!({"sessionId": "s", "cwd": "/work", "mcpServers": [], "_meta": meta});
    let steps = talk.ask(1, method, &params);
    assert_eq!(steps, [AcpStep::Load(1, "s".into(), "/work".into())]);
    let past = past();
    assert_eq!(talk.opened(1, past.len() as u64), [AcpStep::Watch("s".into())]);
    let steps = talk.tell_all(past);
    let modes = steps.iter().find_map(|step| match step {
        AcpStep::Send(message) => message.pointer("/result/modes/currentModeId").and_then(Json::as_str),
        _ => None,
    });
    assert_eq!(modes, Some("plan"));
    assert!(talk.agent.is_idle());
    sent(&steps)
}

#[test]
fn a_loaded_session_comes_whole_before_the_answer() {
    let whole = [
        "user_message_chunk go",
        "agent_message_chunk I run it.",
        "tool_call",
        "tool_call_update",
        "tool_call_update",
        "1: ok",
        "available_commands_update",
    ];
    assert_eq!(loaded("session/load", &Json::Null), whole);
    for (after, expected) in [(0, &whole[..]), (5, &whole[2..]), (6, &whole[3..]), (7, &whole[4..]), (99, &whole[5..])]
    {
        assert_eq!(loaded("session/load", &json!({"jarvis-tui": {"after": after}})), expected, "{after}");
    }
    assert_eq!(loaded("session/resume", &Json::Null), whole[5..]);
}

#[test]
fn an_empty_session_is_loaded_at_once_and_a_working_one_is_not_loaded_again() {
    let mut talk = AcpTalk::new();
    talk.ask(1, "session/load", &json!({"sessionId": "s", "cwd": "/work"}));
    assert_eq!(sent(&talk.opened(1, 0)), ["1: ok", "available_commands_update"]);
    talk.prompt(2, "hi");
    let again = sent(&talk.ask(3, "session/load", &json!({"sessionId": "s", "cwd": "/work"})));
    assert_eq!(again, ["3: -32600 session s is open here and works on a prompt"]);
}

#[test]
fn an_approval_that_the_past_left_open_is_asked_after_it() {
    let mut talk = AcpTalk::new();
    talk.ask(1, "session/load", &json!({"sessionId": "s", "cwd": "/work"}));
    talk.opened(1, 3);
    let steps = talk.tell_all([
        Opened::default().event(),
        turn_started("t"),
        AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") },
    ]);
    assert_eq!(sent(&steps), ["1: ok", "available_commands_update", "session/request_permission 0"]);
}

#[test]
fn servers_of_tools_are_left_out_and_that_is_told() {
    let servers = json!({"cwd": "/work", "mcpServers": [{"name": "files", "command": "x", "args": [], "env": []}]});
    for (session, expected) in [
        (json!({}), "agent_message_chunk [warning: MCP servers are not used here: files]\n\n"),
        (json!({"notices": {}}), "notice"),
    ] {
        let mut talk = AcpTalk::new();
        talk.ask(0, "initialize", &json!({"protocolVersion": 1, "clientCapabilities": {"session": session}}));
        talk.ask(1, "session/new", &servers);
        assert_eq!(sent(&talk.opened(1, 0)), ["1: ok", "available_commands_update", expected]);
    }
}

#[test]
fn a_session_that_can_not_be_opened_is_refused_with_the_reason() {
    let mut talk = AcpTalk::new();
    for (number, error, expected) in [
        (1, ApiError::not_found("unknown session x"), "1: -32002 unknown session x"),
        (2, ApiError::bad_request("no such folder"), "2: -32602 no such folder"),
        (3, ApiError::internal("boom"), "3: -32603 boom"),
    ] {
        talk.ask(number, "session/new", &json!({"cwd": "/work"}));
        let mut out = Vec::new();
        talk.agent.handle_opened(number, Err(error), &mut out);
        assert_eq!(sent(&out), [expected]);
    }
}

#[test]
fn commands_name_the_session_and_change_its_model() {
    let mut talk = AcpTalk::open();
    let steps = talk.prompt(2, "/title  My work ");
    assert_eq!(steps[0], command(Command::SetTitle { title: "My work".into() }));
    assert_eq!(sent(&steps), ["2: end_turn"]);
    assert_eq!(talk.prompt(3, "/model a/b"), [command(Command::SetModel { model: "a/b".into() })]);
    let steps = talk.tell(Opened { engine: "a", model: "b", capabilities: LIVE, ..Opened::default() }.event());
    assert!(
        sent(&steps).ends_with(&["agent_message_chunk The model is a/b.".into(), "3: end_turn".into()]),
        "{steps:?}"
    );
    talk.prompt(4, "/model c");
    let refused = AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::Model, text: "no model c".into() };
    assert_eq!(sent(&talk.tell(refused)), ["agent_message_chunk The model stays: no model c", "4: end_turn"]);
    assert_eq!(talk.prompt(5, "/modelling"), [command(Command::prompt("/modelling"))]);
}

#[test]
fn images_are_refused_where_the_model_takes_none() {
    let mut talk = AcpTalk::open();
    let image = crate::event::PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let block = json!([{"type": "image", "data": image.base64(), "mimeType": "image/png"}]);
    let refused = sent(&talk.ask(2, "session/prompt", &json!({"sessionId": "s", "prompt": block})));
    assert_eq!(refused, ["2: -32602 the model of this session takes no images"]);
}

#[test]
fn a_session_that_ends_answers_what_was_asked() {
    let mut talk = AcpTalk::open();
    talk.prompt(2, "a");
    talk.prompt(3, "b");
    let mut out = Vec::new();
    talk.agent.handle_ended(&"s".into(), &mut out);
    assert_eq!(sent(&out), ["2: -32603 the session has ended", "3: -32603 the session has ended"]);
    let mut talk = AcpTalk::open();
    talk.prompt(2, "a");
    let steps = talk.ask(3, "session/close", &json!({"sessionId": "s"}));
    assert_eq!(sent(&steps), ["2: -32603 the session has ended", "3: ok"]);
    assert!(steps.contains(&AcpStep::Close("s".into())) && talk.agent.is_idle());
}

#[test]
fn a_list_has_the_sessions_of_a_folder_page_by_page() {
    let saved = |nth: usize, folder: &str| SavedSession {
        id: SessionId::new(format!("s{nth}")),
        title: Some(format!("title {nth}")),
        folder: folder.into(),
        started_at: 0,
        modified: 1_700_000_000_000,
        engine: String::new(),
        model: String::new(),
    };
    let all: Vec<SavedSession> =
        (0..250).map(|nth| saved(nth, if nth % 2 == 0 { "/work" } else { "/other" })).chain([saved(999, "")]).collect();
    let mut talk = AcpTalk::new();
    let mut list = |number: u64, params: Json| {
        assert_eq!(talk.ask(number, "session/list", &params), [AcpStep::List(number)]);
        let mut out = Vec::new();
        talk.agent.handle_listed(number, Ok(all.clone()), &mut out);
        let [AcpStep::Send(answer)] = &out[..] else { panic!("{out:?}") };
        answer["result"].clone()
    };
    let first = list(1, json!({"cwd": "/work"}));
    assert_eq!((first["sessions"].as_array().unwrap().len(), &first["nextCursor"]), (100, &json!("100")));
    assert_eq!(
        first["sessions"][1],
        json!({"sessionId": "s2", "cwd": "/work", "title": "title 2", "updatedAt": "2023-11-14T22:13:20Z"})
    );
    let rest = list(2, json!({"cwd": "/work", "cursor": "100"}));
    assert_eq!((rest["sessions"].as_array().unwrap().len(), rest.get("nextCursor")), (25, None));
    assert_eq!(list(3, json!({}))["sessions"].as_array().unwrap().len(), 100);
}

#[test]
fn a_client_sets_what_is_offered_among_the_options() {
    let mut talk = AcpTalk::open();
    let set = |talk: &mut AcpTalk, id: u64, option: &str, value: &str| {
        let params = json!({"sessionId": "s", "configId": option, "value": value});
        talk.ask(id, "session/set_config_option", &params)
    };
    let steps = set(&mut talk, 5, "mode", "plan");
    let [AcpStep::Command(_, Command::SetMode { mode: ApprovalMode::Plan }), AcpStep::Send(answer)] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert_eq!(answer["result"]["configOptions"][0]["currentValue"], "plan");
    let steps = set(&mut talk, 6, "mode", "full");
    let [AcpStep::Send(refused)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(refused["error"]["code"], INVALID_PARAMS_CODE);
}
