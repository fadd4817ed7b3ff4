//! What comes out of a session, and that nothing comes out twice.

use super::question::question;
use super::*;
use crate::event::{AgentEvent, CallOutcome, Envelope, FinishReason, Millis, Role, TurnOutcome};
use crate::store::StoreOptions;
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::testkit::events::{
    LIVE, Opened, call_finished, call_ready, call_started, message_finished, message_started, shell_approval,
    text_delta, turn_finished, turn_started, user_message,
};

fn fold(store: &mut Store, events: impl IntoIterator<Item = AgentEvent>) {
    for event in events {
        let seq = store.last_seq().next();
        store.update(Msg::Event(Envelope { seq, at: Millis(seq.0 * 100), event }), &mut Vec::new());
    }
}

fn live() -> AgentEvent {
    Opened { capabilities: LIVE, ..Opened::default() }.event()
}

fn begun(prompt: &str) -> Store {
    let mut store = Store::new(StoreOptions::default());
    fold(&mut store, [live(), turn_started("t1"), user_message("m1", prompt), message_started("m2")]);
    store
}

#[test]
fn a_text_comes_out_as_it_comes_and_once() {
    let (mut store, mut printer) = (begun("go"), LinearPrinter::new(TextFlow::AsItComes));
    assert_eq!(printer.news(&store), "You: go\n");
    let mut out = String::new();
    for piece in ["One ", "line\u{1b}[3", "1m and\nan", "other\n"] {
        fold(&mut store, [text_delta("m2", piece)]);
        out.push_str(&printer.news(&store));
        out.push('|');
    }
    assert_eq!(out, "Assistant: One |line| and\nan|other\n|");
    fold(&mut store, [text_delta("m2", "\n"), message_finished("m2", FinishReason::End)]);
    fold(&mut store, [turn_finished("t1", TurnOutcome::Completed)]);
    let end = printer.news(&store);
    assert!(end.trim_start().starts_with("Turn finished after ") && end.ends_with(".\n\n"), "{end:?}");
    assert_eq!(printer.news(&store), "");
}

#[test]
fn a_screen_reader_gets_whole_paragraphs() {
    let (mut store, mut printer) = (begun("go"), LinearPrinter::new(TextFlow::Paragraphs));
    printer.on_typed("go", true);
    assert_eq!(printer.news(&store), "");
    let mut out = Vec::new();
    for piece in ["One", " two.\n", "\nThree", " four.\n\nFi", "ve"] {
        fold(&mut store, [text_delta("m2", piece)]);
        out.push(printer.news(&store));
    }
    assert_eq!(out, ["", "", "Assistant: One two.\n", "\nThree four.\n", ""]);
    fold(&mut store, [message_finished("m2", FinishReason::End), turn_finished("t1", TurnOutcome::Cancelled)]);
    let end = printer.news(&store);
    assert!(end.starts_with("\nFive\nTurn stopped by you after "), "{end:?}");
}

#[test]
fn a_text_that_the_server_corrects_is_printed_again_as_a_whole() {
    let (mut store, mut printer) = (begun("go"), LinearPrinter::new(TextFlow::AsItComes));
    fold(&mut store, [text_delta("m2", "a wrong text")]);
    printer.news(&store);
    fold(&mut store, [corrected("m2", "the right one")]);
    let out = printer.news(&store);
    assert!(out.starts_with("\nAssistant, corrected: the right one\nWarning: "), "{out:?}");
}

#[test]
fn what_was_said_before_a_call_is_printed_again_where_the_end_corrects_it() {
    let (mut store, mut printer) = (begun("go"), LinearPrinter::new(TextFlow::AsItComes));
    fold(&mut store, [text_delta("m2", "I lok"), call_started("c1", "m2", Some("shell"))]);
    fold(&mut store, [call_ready("c1", "shell", "{}"), call_finished("c1", CallOutcome::Ok, "")]);
    printer.news(&store);
    fold(&mut store, [text_delta("m2", "Done")]);
    assert_eq!(printer.news(&store), "Assistant: Done");
    fold(&mut store, [corrected("m2", "I look, then I am done")]);
    let out = printer.news(&store);
    assert!(out.contains("Assistant, corrected: I look, then I am done\nWarning: "), "{out:?}");
    assert_eq!(printer.news(&store), "");
}

fn corrected(message: &str, text: &str) -> AgentEvent {
    AgentEvent::MessageFinished {
        message: message.into(),
        finish_reason: FinishReason::End,
        full_text: Some(text.into()),
        provider_metadata: None,
    }
}

#[test]
fn calls_are_labelled_and_a_text_goes_on_behind_them() {
    let (mut store, mut printer) = (begun("go"), LinearPrinter::new(TextFlow::AsItComes));
    fold(&mut store, [text_delta("m2", "I look")]);
    fold(&mut store, [call_started("c1", "m2", Some("shell")), call_ready("c1", "shell", r#"{"command":"ls"}"#)]);
    let output = (1..=11).map(|n| format!("\u{9b}2Jrow {n}\n")).collect::<Vec<_>>().concat();
    fold(&mut store, [call_finished("c1", CallOutcome::Ok, &output)]);
    let out = printer.news(&store);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["You: go", "Assistant: I look", "Tool shell: ls"], "{out}");
    assert!(lines[3].starts_with("Tool shell finished") && lines[3].ends_with(", 11 lines of output."), "{out}");
    assert_eq!((lines[4], lines[11], lines[12]), ("row 1", "row 8", "3 more lines."));
    fold(&mut store, [call_started("c2", "m2", Some("shell")), call_ready("c2", "shell", r#"{"command":"rm"}"#)]);
    fold(&mut store, [call_finished("c2", CallOutcome::Denied, "denied: not that")]);
    assert_eq!(printer.news(&store), "Tool shell: rm\nTool shell denied: not that\n");
}

#[test]
fn a_question_has_numbers_and_shows_what_is_hidden() {
    let mut store = begun("go");
    fold(&mut store, [call_started("c1", "m2", Some("shell")), call_ready("c1", "shell", r#"{"command":"ls"}"#)]);
    fold(&mut store, [AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls \u{202e}x") }]);
    store.update(Msg::Action(Action::OpenApproval), &mut Vec::new());
    let asked = question(&store).unwrap();
    assert_eq!(asked.label, "Answer: ");
    assert!(asked.text.starts_with("Approval needed: "), "{}", asked.text);
    assert!(asked.text.contains("\n1. allow this one call\n") && !asked.text.contains('\u{202e}'), "{}", asked.text);
}

#[test]
fn a_list_is_numbered() {
    let mut store = begun("go");
    store.update(Msg::Action(Action::OpenModes), &mut Vec::new());
    let asked = question(&store).unwrap();
    assert!(asked.text.contains("1. ask, in use: ") && asked.text.contains("\n4. full: "), "{}", asked.text);
}

#[test]
fn of_an_earlier_run_only_the_last_turn_is_printed() {
    let mut store = begun("first");
    fold(&mut store, [text_delta("m2", "One."), message_finished("m2", FinishReason::End)]);
    fold(&mut store, [turn_finished("t1", TurnOutcome::Completed), turn_started("t2"), user_message("m3", "second")]);
    let mut printer = LinearPrinter::new(TextFlow::AsItComes);
    printer.skip_past(&store);
    assert_eq!(printer.news(&store), "You: second\n");
}

#[test]
fn a_plan_is_told_in_full_when_it_is_another_and_how_far_it_is_when_not() {
    use crate::event::{Annotation, AnnotationTarget, PlanState};
    let (mut store, mut printer) = (begun("go"), LinearPrinter::new(TextFlow::Paragraphs));
    printer.news(&store);
    let tell = |store: &mut Store, states: [PlanState; 2]| {
        let entries = ["read \u{1b}[1mit", "write"].into_iter().zip(states);
        let entries = entries.map(|(text, state)| PlanEntry { text: text.into(), state }).collect();
        let on = AnnotationTarget::Turn("t1".into());
        fold(store, [AgentEvent::Annotation { on, annotation: Annotation::Plan(entries) }]);
    };
    tell(&mut store, [PlanState::InProgress, PlanState::Pending]);
    let whole = "Plan step 1, in progress: read it\nPlan step 2, pending: write\n";
    assert_eq!(printer.news(&store), format!("Plan: 0 of 2 done. Now: read it\n{whole}"));
    assert_eq!(printer.news(&store), "");
    tell(&mut store, [PlanState::Done, PlanState::InProgress]);
    assert_eq!(printer.news(&store), "Plan: 1 of 2 done. Now: write\n");
    store.update(Msg::Action(Action::CycleTodos), &mut Vec::new());
    assert!(printer.news(&store).contains("Plan step 1, done: read it\nPlan step 2, in progress: write\n"));
}

#[test]
fn what_a_sub_agent_did_comes_out_as_a_whole_when_it_ends() {
    let (mut store, mut printer) = (begun("go"), LinearPrinter::new(TextFlow::AsItComes));
    let by = AgentEvent::MessageStarted { message: "n1".into(), role: Role::Assistant, parent: Some("a".into()) };
    let args = r#"{"description":"Read notes"}"#;
    fold(&mut store, [call_started("a", "m2", Some("Task")), call_ready("a", "Task", args), by]);
    fold(&mut store, [text_delta("n1", "I look\u{1b}[31m."), message_finished("n1", FinishReason::End)]);
    let before = printer.news(&store);
    assert!(before.contains("Tool Task") && !before.contains("I look"), "{before}");
    fold(&mut store, [call_finished("a", CallOutcome::Ok, "done")]);
    let after = printer.news(&store);
    let expected = "Sub-agent begins: Read notes\nAssistant: I look.\nSub-agent ends.\nTool Task finished";
    assert!(after.starts_with(expected), "{after}");
    assert_eq!(printer.news(&store), "");
}
