use super::*;

fn ends(frames: &[(&str, &str)], content_type: &str) -> (Vec<AgentEvent>, &'static str) {
    let context = Context { content_type: content_type.into(), ..Context::default() };
    let mut detector = Detector::new(context);
    let mut out = Vec::new();
    for (event, data) in frames {
        detector.frame(&SseFrame { event: (*event).into(), ..SseFrame::data(*data) }, &mut out);
    }
    detector.finish(&mut out);
    (out, detector.name())
}

fn fault(frames: &[(&str, &str)], content_type: &str) -> Fault {
    match ends(frames, content_type).0.last() {
        Some(AgentEvent::TurnFinished { end: TurnEnd::Failed(fault), .. }) => fault.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_in_place_of_a_stream_is_a_fault_with_its_words() {
    let told = fault(&[("", r#"{"detail":"Missing Authorization header"}"#)], "application/json");
    assert!(told.message.ends_with("Missing Authorization header"), "{told}");
    let told = fault(&[("", r#"{"error":"HTTP_ERROR","message":"Valid API key required"}"#)], "application/json");
    assert!(told.message.contains("Valid API key required"), "{told}");
    assert!(fault(&[("", "<html><body>")], "text/html").message.contains("web page"));
    assert!(fault(&[("", "<!DOCTYPE html>")], "").message.contains("web page"));
    assert!(fault(&[("error", "no such model.")], "").message.ends_with("no such model"));
    assert!(fault(&[("endpoint", "/messages?session=1")], "").message.contains("MCP"));
}

#[test]
fn nothing_at_all_is_an_interrupted_turn() {
    let interrupted = [AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Interrupted }];
    assert_eq!(ends(&[], "text/event-stream").0, interrupted);
}
