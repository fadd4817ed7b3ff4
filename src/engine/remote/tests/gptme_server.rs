//! Requests to gptme's server.

use super::*;

/// What a frame of the answer to this calls for, as the ends of addresses and bodies.
fn called_for(remote: &RemoteEngine, request: &ModelRequest, frame: &str) -> Vec<(String, Json)> {
    let ReplyPlan::Http { side_channel: Some(mut aside), .. } = remote.plan_reply(request) else { panic!("not asked") };
    let frame = SseFrame::data(frame);
    let calls = aside.answer_frame(&frame);
    assert!(aside.answer_frame(&frame).is_empty(), "once is enough");
    calls.iter().map(|call| (call.url.rsplit_once("/c-1/").unwrap().1.to_owned(), body_of(call))).collect()
}

const GREETING: &str = r#"{"type":"connected","session_id":"s-1"}"#;

#[test]
fn gptme_gets_the_prompt_and_is_asked_for_a_step_once_it_has_greeted() {
    let remote = remote(&gptme::STEP, "http://h/api/v2/conversations");
    let told = json!({"status": "ok"});
    let (before, call) = prepared(&remote, &request(&["one"]), &[json!({"conversation_id": "c-1"}), told.clone()]);
    let base = "http://h/api/v2/conversations";
    assert_eq!((before[0].method, before[0].url.clone()), (HttpMethod::Put, format!("{base}/jarvis-th-1")));
    assert_eq!(
        (&before[1].url, body_of(&before[1])),
        (&format!("{base}/c-1"), json!({"role": "user", "content": "one"}))
    );
    assert_eq!((call.method, call.url, call.body), (HttpMethod::Get, format!("{base}/c-1/events"), None));
    let two = request(&["one", "two"]);
    let ReplyPlan::Prepare(made) = remote.plan_reply(&two) else { panic!("it is not told") };
    assert_eq!(body_of(&made.request)["content"], "two");
    (made.handle)(Ok(told));
    let step = json!({"session_id": "s-1", "stream": true, "auto_confirm": false});
    assert_eq!(called_for(&remote, &two, GREETING), [("step".to_owned(), step)]);
}

#[test]
fn a_step_of_gptme_that_was_left_is_interrupted_before_the_next_prompt() {
    let told = json!({"status": "ok"});
    for is_over in [false, true] {
        let remote = remote(&gptme::STEP, "http://h/api/v2/conversations");
        let conversation = json!({"conversation_id": "c-1"});
        let ReplyPlan::Prepare(made) = remote.plan_reply(&request(&["one"])) else { panic!("it is not made") };
        (made.handle)(Ok(conversation));
        let ReplyPlan::Prepare(made) = remote.plan_reply(&request(&["one"])) else { panic!("it is not told") };
        (made.handle)(Ok(told.clone()));
        let plan = remote.plan_reply(&request(&["one"]));
        let ReplyPlan::Http { side_channel: Some(mut aside), .. } = plan else { panic!("it is not asked") };
        aside.answer_frame(&SseFrame::data(GREETING));
        if is_over {
            aside.answer_frame(&SseFrame::data(r#"{"type": "step_complete"}"#));
        }
        let (before, _) = prepared(&remote, &request(&["one", "two"]), &[told.clone(), told.clone()]);
        let interrupts = before.iter().filter(|call| call.url.ends_with("/c-1/interrupt"));
        let bodies: Vec<Json> = interrupts.map(body_of).collect();
        assert_eq!(bodies, if is_over { vec![] } else { vec![json!({"session_id": "s-1"})] });
    }
}

#[test]
fn a_tool_of_gptme_that_waits_is_run_or_skipped_by_the_next_prompt() {
    let asked = |prompt: &str| {
        let mut two = request(&["one", prompt]);
        if let Some(HistoryMessage::Assistant { provider_metadata, .. }) = two.history.get_mut(1) {
            *provider_metadata = Some(json!({"session_id": "s-0", "pending_tools": ["t-1", "t-2"]}));
        }
        two
    };
    let confirmed = |action: &str| {
        ["t-1", "t-2"].map(|id| ("tool/confirm".to_owned(), json!({"tool_id": id, "action": action}))).to_vec()
    };
    for (prompt, action) in [("Yes.", "confirm"), ("no, list it instead", "skip")] {
        let (remote, told) = (remote(&gptme::STEP, "http://h/api/v2/conversations"), json!({"status": "ok"}));
        prepared(&remote, &request(&["one"]), &[json!({"conversation_id": "c-1"}), told.clone()]);
        if action == "skip" {
            let ReplyPlan::Prepare(made) = remote.plan_reply(&asked(prompt)) else { panic!("it is not told") };
            assert_eq!(body_of(&made.request)["content"], prompt);
            (made.handle)(Ok(told));
        }
        assert_eq!(called_for(&remote, &asked(prompt), GREETING), confirmed(action));
    }
}

#[test]
fn what_was_decided_about_a_tool_of_gptme_goes_to_its_own_route() {
    for (decision, action) in [(Decision::Once, "confirm"), (Decision::Deny(Some("no".into())), "skip")] {
        let remote = remote(&gptme::STEP, "http://h/api/v2/conversations");
        let mut one = request(&["one"]);
        prepared(&remote, &one, &[json!({"conversation_id": "c-1"}), json!({"status": "ok"})]);
        let asked = json!({"tool_id": "t-1", "session_id": "s-1"});
        one.history.push(decisions::decided_call("t-1", asked, decision));
        let confirmed = ("tool/confirm".to_owned(), json!({"tool_id": "t-1", "action": action}));
        assert_eq!(called_for(&remote, &one, GREETING), [confirmed]);
        let call = remote.cancel_request(None).expect("its step runs");
        assert_eq!((call.url.rsplit('/').next(), body_of(&call)), (Some("interrupt"), json!({"session_id": "s-1"})));
        assert!(remote.cancel_request(None).is_none(), "once is enough");
    }
}

#[test]
fn a_tool_that_has_run_is_not_confirmed_again() {
    let remote = remote(&gptme::STEP, "http://h/api/v2/conversations");
    prepared(&remote, &request(&["one"]), &[json!({"conversation_id": "c-1"}), json!({"status": "ok"})]);
    let mut two = request(&["one", "yes"]);
    if let Some(HistoryMessage::Assistant { provider_metadata, .. }) = two.history.get_mut(1) {
        *provider_metadata = Some(json!({"session_id": "s-0", "pending_tools": ["t-1"]}));
    }
    let (name, output) = ("shell".into(), "a".into());
    two.history.insert(2, HistoryMessage::Tool { call: "t-1".into(), name, output, outcome: CallOutcome::Ok });
    let ReplyPlan::Prepare(made) = remote.plan_reply(&two) else { panic!("it is not told") };
    assert_eq!(body_of(&made.request)["content"], "yes");
}
