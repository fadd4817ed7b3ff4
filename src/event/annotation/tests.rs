use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::{AgentEvent, AnswerKind, PlanState};

fn line(kind: &str, data: &Json) -> String {
    json!({"type": "annotated", "on": {"turn": "t1"}, "kind": kind, "data": data}).to_string()
}

fn read(line: &str) -> Annotation {
    match serde_json::from_str(line).unwrap() {
        AgentEvent::Annotation { annotation, .. } => annotation,
        other => panic!("{other:?}"),
    }
}

/// One of each kind, as logs have them.
fn known() -> Vec<(&'static str, Json, Annotation)> {
    let source = json!({"title": "Owls", "url": "http://o"});
    vec![
        (
            "timing",
            json!({"load_ms": 1.5, "tokens_per_second": 42.0}),
            Annotation::Timing(Timing { load_ms: Some(1.5), tokens_per_second: Some(42.0), ..Timing::default() }),
        ),
        (
            "dialect",
            json!({"name": "a", "because": "b"}),
            Annotation::Dialect { name: "a".into(), because: "b".into() },
        ),
        ("first_token", json!({"ms": 180}), Annotation::FirstToken { ms: Millis(180) }),
        ("citation", source.clone(), Annotation::Citation(source.clone())),
        ("paused", json!({}), Annotation::Paused {}),
        ("served_by", json!({"model": "m"}), Annotation::ServedBy { id: None, model: Some("m".into()) }),
        (
            "sub_agent",
            json!({"tokens": 7, "doing": "reads"}),
            Annotation::SubAgent { tokens: Some(7), doing: Some("reads".into()) },
        ),
        (
            "plan",
            json!([{"text": "read", "state": "done"}, {"text": "write", "state": "in_progress"}]),
            Annotation::Plan(vec![
                PlanEntry { text: "read".into(), state: PlanState::Done },
                PlanEntry { text: "write".into(), state: PlanState::InProgress },
            ]),
        ),
        (
            "step",
            json!({"name": "plan", "state": "finished"}),
            Annotation::Step { name: "plan".into(), state: StepState::Finished },
        ),
        ("state", json!({"patch": [1]}), Annotation::State(SharedState::Patch(json!([1])))),
        ("state", json!({"bytes": 70_000}), Annotation::State(SharedState::Bytes(70_000))),
        ("activity", source.clone(), Annotation::Activity(source.clone())),
        ("custom", json!({"name": null, "value": 1}), Annotation::Custom { name: Json::Null, value: json!(1) }),
        ("interrupt", json!({"interrupts": []}), Annotation::Interrupt { interrupts: json!([]) }),
        (
            "needs_approval",
            json!({"request": {"id": 1}, "reason": "why"}),
            Annotation::NeedsApproval { request: json!({"id": 1}), reason: Some("why".into()) },
        ),
        (
            "awaits_answer",
            json!({"request": 1, "answers": [{"id": "a", "label": "A", "kind": "allow_once"}]}),
            Annotation::AwaitsAnswer {
                request: json!(1),
                reason: None,
                answers: vec![OfferedAnswer { id: "a".into(), label: "A".into(), kind: AnswerKind::AllowOnce }],
            },
        ),
        ("result", json!({"value": "x"}), Annotation::Result { value: json!("x") }),
        ("task", json!({"id": "T1", "context": null}), Annotation::Task { id: "T1".into(), context: None }),
        ("part", source.clone(), Annotation::Part(source.clone())),
        ("progress", source.clone(), Annotation::Progress(source.clone())),
        ("inference", source.clone(), Annotation::Inference(source.clone())),
        ("complexity", source.clone(), Annotation::Complexity(source.clone())),
        ("telemetry", source.clone(), Annotation::Telemetry(source.clone())),
        ("energy", source.clone(), Annotation::Energy(source.clone())),
        ("sources", json!([source]), Annotation::Sources(json!([source]))),
        ("totals", source.clone(), Annotation::Totals(source.clone())),
        ("request", source.clone(), Annotation::Request(source)),
        ("running", json!({}), Annotation::Running {}),
        ("queued", json!({}), Annotation::Queued {}),
        ("foreign", json!(true), Annotation::Foreign(true)),
        ("title", json!("Mend the parser"), Annotation::Title("Mend the parser".into())),
        ("archived", json!(true), Annotation::Archived(true)),
        ("mark", json!({"seq": 7, "set": true}), Annotation::Mark { seq: Seq(7), set: true }),
    ]
}

#[test]
fn every_kind_is_read_and_written_as_logs_have_it() {
    for (kind, data, annotation) in known() {
        let line = line(kind, &data);
        assert_eq!(read(&line), annotation);
        let on = AnnotationTarget::Turn("t1".into());
        assert_eq!(serde_json::to_string(&AgentEvent::Annotation { on, annotation }).unwrap(), line);
    }
}

#[test]
fn other_data_than_a_kind_has_is_kept() {
    let odd = [
        ("timing", json!({"tokens_per_second": 42})),
        ("timing", json!({"tokens_per_second": 1.0, "load_ms": 1.0})),
        ("dialect", json!({"name": "a", "because": "b", "since": 1})),
        ("served_by", json!({"id": null})),
        ("step", json!({"name": "plan", "state": "skipped"})),
        ("state", json!({"snapshot": 1, "patch": 2})),
        ("task", json!({"id": "T1"})),
        ("paused", json!(null)),
        ("foreign", json!("yes")),
        ("newer", json!({"x": [1]})),
    ];
    for (kind, data) in odd {
        let line = line(kind, &data);
        assert_eq!(read(&line), Annotation::Unknown { kind: kind.into(), data });
        assert_eq!(serde_json::to_string(&serde_json::from_str::<AgentEvent>(&line).unwrap()).unwrap(), line);
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let key = prop::sample::select(
        &["ms", "name", "state", "because", "id", "model", "value", "patch", "bytes", "load_ms", "kind", "data"][..],
    );
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<i32>().prop_map(|n| Json::from(f64::from(n) / 4.0)),
        prop::sample::select(&["", "started", "finished", "x\"\u{1f989}"][..]).prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_kind_and_data_come_back_unchanged(
        kind in prop_oneof![prop::sample::select(known()).prop_map(|(kind, _, _)| kind.to_owned()), ".{0,12}"],
        data in any_json(),
    ) {
        let line = line(&kind, &data);
        let event: AgentEvent = serde_json::from_str(&line).unwrap();
        prop_assert!(matches!(event, AgentEvent::Annotation { .. }), "{:?}", event);
        prop_assert_eq!(serde_json::to_string(&event).unwrap(), line);
    }
}
