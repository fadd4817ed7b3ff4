//! What an agent lets its client set.

use serde_json::json;

use super::*;
use crate::event::AgentOptionKind;

/// A session with two modes and two models among its configuration.
fn configured(current: &str) -> Json {
    let option = |id: &str, current: &str, values: [&str; 2]| {
        let values: Vec<Json> = values.iter().map(|value| json!({"value": value, "name": value})).collect();
        json!({"id": id, "category": id, "name": id, "type": "select", "currentValue": current, "options": values})
    };
    json!([option("model", current, ["a/x", "b/y"]), option("mode", "build", ["build", "plan"])])
}

fn opened_with(model: Option<&str>) -> PeerRig {
    let session = PeerSession { folder: "/p".into(), model: model.map(str::to_owned), ..PeerSession::default() };
    let mut rig = PeerRig::of(session, ApprovalPolicy::default(), false);
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1}}));
    rig.line(&json!({"id": 1, "result": {"sessionId": "s", "configOptions": configured("a/x")}}));
    rig
}

fn current(rig: &PeerRig, kind: AgentOptionKind) -> Option<&str> {
    rig.machine.options().iter().find(|option| option.kind == kind).map(|option| option.current.as_str())
}

fn models(rig: &PeerRig) -> Vec<&str> {
    let models = rig.events.iter().filter_map(|event| match event {
        AgentEvent::SessionOpened { model, .. } => Some(model.as_str()),
        _ => None,
    });
    models.collect()
}

#[test]
fn a_model_is_chosen_by_its_end_and_holds_once_the_agent_says_so() {
    let mut rig = opened_with(None);
    let engine = rig.machine.name().to_owned();
    rig.command(Command::SetModel { model: format!("{engine}/y") });
    assert_eq!(rig.last_sent()["params"], json!({"sessionId": "s", "configId": "model", "value": "b/y"}));
    assert_eq!(current(&rig, AgentOptionKind::Model), Some("a/x"), "the agent has not answered");
    rig.line(&json!({"id": 2, "result": {"configOptions": configured("b/y")}}));
    assert_eq!(current(&rig, AgentOptionKind::Model), Some("b/y"));
    assert_eq!(models(&rig).last(), Some(&"b/y"));
    let update = json!({"sessionUpdate": "config_option_update", "configOptions": configured("a/x")});
    rig.update(&update);
    assert_eq!((current(&rig, AgentOptionKind::Model), models(&rig).last()), (Some("a/x"), Some(&"a/x")));
    rig.assert_legal();
}

#[test]
fn the_model_of_the_command_line_is_set_before_the_first_prompt() {
    let mut rig = opened_with(Some("b/y"));
    rig.prompt("go");
    assert_eq!(rig.last_sent()["method"], "session/set_config_option");
    rig.line(&json!({"id": 2, "error": {"code": -32602, "message": "no such model"}}));
    assert_eq!(rig.last_sent()["method"], "session/prompt", "it goes on with the model that it has");
    let refused = |event: &AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::Model, text, .. } if text.contains("no such model"));
    assert!(rig.events.iter().any(refused), "{:#?}", rig.events);
    assert_eq!(models(&rig).last(), Some(&"a/x"));
    rig.stop(3, "end_turn");
    rig.assert_legal();
}

#[test]
fn a_mode_of_the_agent_is_set_by_name_and_is_the_one_to_go_back_to() {
    let mut rig = opened_with(None);
    rig.command(Command::SetOption { option: "mode".into(), value: "Plan".into() });
    assert_eq!(rig.last_sent()["params"]["value"], "plan");
    rig.line(&json!({"id": 2, "result": {}}));
    assert_eq!(current(&rig, AgentOptionKind::Mode), Some("plan"));
    let told =
        |event: &AgentEvent| matches!(event, AgentEvent::Notice { text, .. } if text == "the agent's mode is now plan");
    assert!(rig.events.iter().any(told), "{:#?}", rig.events);
    rig.update(&json!({"sessionUpdate": "current_mode_update", "currentModeId": "build"}));
    assert_eq!(current(&rig, AgentOptionKind::Mode), Some("build"));
    let before = rig.sent.len();
    rig.command(Command::SetOption { option: "nothing".into(), value: "x".into() });
    assert_eq!(rig.sent.len(), before);
    rig.assert_legal();
}
