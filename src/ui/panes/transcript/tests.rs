use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::*;
use crate::event::{
    AgentEvent, ApprovalRequest, CallId, CallOutcome, CallOutput, DecidedBy, Decision, Envelope, Fault, FaultKind,
    FinishReason, MessageId, Millis, NoticeCode, OutputStream, Risk, Seq, SessionStatus, ToolKind, TurnId, TurnOutcome,
};
use crate::store::StoreOptions;
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::store::output_view::{OutputView, OutputViews};
use crate::testkit::events::{
    LIVE, Opened, call_ready, call_started, message_finished, message_started, text_delta, turn_finished,
};
use crate::text::width::str_width;
use crate::ui::theme::{Theme, ThemeKind};

/// A session that is written down event by event.
struct TranscriptSession {
    store: Store,
    seq: Seq,
    at: Millis,
}

impl TranscriptSession {
    fn new() -> Self {
        let mut session = Self { store: Store::new(StoreOptions::default()), seq: Seq(0), at: Millis(0) };
        session.event(Opened { model: "m", folder: "/w", capabilities: LIVE, ..Opened::default() }.event());
        session
    }

    fn event(&mut self, event: AgentEvent) {
        self.seq = self.seq.next();
        let envelope = Envelope { seq: self.seq, at: self.at, event };
        self.store.update(Msg::Event(envelope), &mut Vec::new());
    }

    fn act(&mut self, action: Action) {
        self.store.update(Msg::Action(action), &mut Vec::new());
    }

    fn prompt(&mut self, text: &str) {
        let turn = TurnId::new(format!("t{}", self.seq.0));
        self.event(AgentEvent::TurnStarted { turn, parent: None });
        let message = MessageId::new(format!("u{}", self.seq.0));
        self.event(AgentEvent::UserMessage { message, text: text.into() });
    }

    fn begin(&mut self, message: &str) {
        self.event(message_started(message));
    }

    fn say(&mut self, message: &str, text: &str) {
        self.event(text_delta(message, text));
    }

    fn finish(&mut self, message: &str) {
        self.event(message_finished(message, FinishReason::End));
    }

    fn answer(&mut self, text: &str) {
        let message = format!("m{}", self.seq.0);
        self.begin(&message);
        self.say(&message, text);
        self.finish(&message);
    }

    fn call(&mut self, id: &str, name: &str, args: &str) {
        self.event(call_started(id, "m", Some(name)));
        self.event(call_ready(id, name, args));
    }

    fn done(&mut self, id: &str, outcome: CallOutcome, output: &str) {
        self.event(AgentEvent::ToolCallFinished {
            call: CallId::from(id),
            outcome,
            output: CallOutput::from_text(output),
            duration: Some(Millis(300)),
        });
    }

    fn end(&mut self, end: TurnOutcome) {
        self.event(turn_finished("t", end));
    }
}

fn screen(session: &TranscriptSession, view: &mut TranscriptView, width: u16, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    draw(&session.store, view, &Theme::new(ThemeKind::Mono), true, area, &mut buf);
    // The scroll bar is of no interest here.
    rows(&buf).into_iter().map(|row| row.trim_end_matches([' ', '┃']).to_owned()).collect()
}

fn rows(buf: &Buffer) -> Vec<String> {
    (0..buf.area.height)
        .map(|y| {
            let mut row = String::new();
            let mut x = 0;
            while x < buf.area.width {
                let symbol = buf[(x, y)].symbol();
                row.push_str(symbol);
                x += (str_width(symbol) as u16).max(1);
            }
            row
        })
        .collect()
}

fn numbered(turns: usize) -> TranscriptSession {
    let mut session = TranscriptSession::new();
    for turn in 0..turns {
        session.prompt(&format!("question {turn}"));
        session.answer(&format!("# Answer {turn}\n\nOne line.\n\n- a\n- b\n"));
        session.end(TurnOutcome::Completed);
    }
    session
}

#[test]
fn a_short_session_stands_at_the_top() {
    let mut session = TranscriptSession::new();
    session.prompt("what is 2+2?");
    session.answer("It is **4**.");
    session.at = Millis(1200);
    session.end(TurnOutcome::Completed);
    let mut view = TranscriptView::new();
    let expected = [" › what is 2+2?", "", "   It is 4.", "   1.2s · first token 0ms · ~3 out", "", ""];
    assert_eq!(screen(&session, &mut view, 40, 6), expected);
    assert!(view.is_following());
}

#[test]
fn a_call_shows_state_subject_and_the_first_lines() {
    let mut session = TranscriptSession::new();
    session.prompt("list");
    session.call("c1", "shell", r#"{"command":"ls -la"}"#);
    session.done("c1", CallOutcome::Ok, "one\n\x1b[31mtwo\x1b[0m\n10%\r100%\nfour\nfive\n");
    session.call("c2", "read_file", r#"{"path":"missing.txt"}"#);
    session.done("c2", CallOutcome::Failed, "no such file");
    let mut view = TranscriptView::new();
    let shown = screen(&session, &mut view, 60, 10);
    let expected = [
        " › list",
        "",
        " ✓ shell ls -la  300ms",
        "   │ one",
        "   │ two",
        "   │ 100%",
        "   … 2 more lines (Ctrl+O)",
        " ✗ read_file missing.txt  failed · 300ms",
        "   │ no such file",
        "",
    ];
    assert_eq!(shown, expected);
    session.act(Action::ToggleOutputs);
    let shown = screen(&session, &mut view, 60, 12);
    assert!(shown.contains(&"   │ five".to_owned()), "{shown:#?}");
}

#[test]
fn the_last_long_output_opens_first_then_all_then_none() {
    let mut session = TranscriptSession::new();
    for (call, lines) in [("c1", 9), ("c2", 9), ("c3", 2)] {
        session.call(call, "shell", r#"{"command":"ls"}"#);
        session.done(call, CallOutcome::Ok, &format!("{call}\n").repeat(lines));
    }
    let mut view = TranscriptView::new();
    let mut rows = |session: &TranscriptSession| {
        let shown = screen(session, &mut view, 60, 60);
        ["c1", "c2", "c3"].map(|call| shown.iter().filter(|row| row.contains(call)).count())
    };
    assert_eq!(rows(&session), [3, 3, 2]);
    for expected in [[3, 9, 2], [9, 9, 2], [3, 3, 2]] {
        session.act(Action::ToggleOutputs);
        assert_eq!(rows(&session), expected);
    }
}

#[test]
fn as_much_of_an_output_is_shown_as_is_set_for_its_tool_until_somebody_unfolds_it() {
    let mut session = TranscriptSession::new();
    let mut view = TranscriptView::new();
    session.prompt("go");
    let lines = (1..=6).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
    session.call("c1", "search", r#"{"pattern":"x"}"#);
    session.done("c1", CallOutcome::Ok, &lines);
    session.call("c2", "read_file", r#"{"path":"a.rs"}"#);
    session.done("c2", CallOutcome::Failed, "no such file");
    session.call("c3", "read_file", r#"{"path":"b.rs"}"#);
    session.done("c3", CallOutcome::Ok, &lines);
    let shown = |session: &TranscriptSession, view: &mut TranscriptView| {
        let rows = screen(session, view, 60, 40);
        (rows.iter().filter(|row| row.contains("line ")).count(), rows.join("\n"))
    };
    let (rows, text) = shown(&session, &mut view);
    assert_eq!(rows, 3, "a preview of the one, nothing of the other: {text}");
    assert!(text.contains("b.rs  6 lines") && text.contains("no such file"), "{text}");
    let set = |session: &mut TranscriptSession, entries: &[(&str, OutputView)]| {
        session.store.set_output_views(OutputViews::new(entries.iter().copied()));
    };
    set(&mut session, &[("read_file", OutputView::Preview), ("search", OutputView::Full)]);
    assert_eq!(shown(&session, &mut view).0, 9, "read again while it runs");
    set(&mut session, &[("search", OutputView::Hidden)]);
    for expected in [6, 12, 0, 6] {
        session.act(Action::ToggleOutputs);
        assert_eq!(shown(&session, &mut view).0, expected, "the last, all, none, the last");
    }
}

#[test]
fn a_single_line_is_never_folded() {
    for (lines, shown_lines) in [(3, 3), (4, 4), (5, 3)] {
        let mut session = TranscriptSession::new();
        session.call("c1", "shell", r#"{"command":"ls"}"#);
        session.done("c1", CallOutcome::Ok, &"zz\n".repeat(lines));
        let shown = screen(&session, &mut TranscriptView::new(), 60, 20);
        assert_eq!(shown.iter().filter(|row| row.contains("zz")).count(), shown_lines, "{shown:#?}");
        assert_eq!(shown.iter().any(|row| row.contains("2 more lines")), lines == 5, "{shown:#?}");
    }
}

#[test]
fn a_long_prompt_stays_folded_and_space_opens_it() {
    let mut session = TranscriptSession::new();
    let text = format!("Explain this:\n{}and be brief", "pasted\n".repeat(200));
    session.prompt(&text);
    let mut view = TranscriptView::new();
    let count = |shown: &[String]| shown.iter().filter(|row| row.contains("pasted")).count();
    let shown = screen(&session, &mut view, 60, 30);
    assert_eq!(count(&shown), 5, "{shown:#?}");
    assert!(shown.iter().any(|row| row.contains("[195 lines more")), "{shown:#?}");
    assert!(shown.iter().any(|row| row.contains("and be brief")), "{shown:#?}");
    let id = session.store.transcript.items().first().map(|item| item.id.0).unwrap();
    session.act(Action::ToggleFold(id));
    assert!(count(&screen(&session, &mut view, 60, 300)) == 200);
    let mut session = TranscriptSession::new();
    session.prompt("one\ntwo\nthree");
    assert!(!screen(&session, &mut TranscriptView::new(), 60, 30).join("").contains("more"));
}

#[test]
fn prose_is_no_wider_than_its_columns_and_code_is() {
    let mut session = TranscriptSession::new();
    session.prompt(&"ask ".repeat(60));
    session.answer(&format!("{}\n\n```\n{}\n```\n", "word ".repeat(80), "c".repeat(150)));
    let mut view = TranscriptView::new();
    view.set_prose_columns(100);
    let shown = screen(&session, &mut view, 200, 30);
    let widest = |text: &str| {
        shown.iter().filter(|row| row.contains(text)).map(|row| row.trim_end().chars().count()).max().unwrap()
    };
    assert!((90..=104).contains(&widest("word")), "{shown:#?}");
    assert!((90..=104).contains(&widest("ask")), "{shown:#?}");
    assert!(widest("cccc") > 140, "{shown:#?}");
}

#[test]
fn a_folded_output_takes_three_rows_however_long_its_lines_are_and_however_wide_the_screen() {
    let lines = "z".repeat(700) + "\n" + &"z".repeat(90) + "\n\tz\nz\nz";
    let long = "z".repeat(50_000);
    for width in [20, 60, 80, 100, 140, 220] {
        for (text, whole) in [(&long, 0), (&lines, 4)] {
            let mut session = TranscriptSession::new();
            session.call("c1", "shell", r#"{"command":"cat"}"#);
            let (stream, text) = (OutputStream::Stdout, text.clone());
            session.event(AgentEvent::ToolOutput { call: "c1".into(), stream, text: text.clone() });
            let mut view = TranscriptView::new();
            let rows = |session: &TranscriptSession, view: &mut TranscriptView| {
                screen(session, view, width, 60).iter().filter(|row| row.contains('z')).count()
            };
            assert_eq!(rows(&session, &mut view), 3, "runs, at {width}");
            session.done("c1", CallOutcome::Ok, &text);
            assert_eq!(rows(&session, &mut view), 3, "at {width}");
            let shown = screen(&session, &mut view, width, 40).join("\n");
            match whole {
                0 => assert!(shown.contains("… the rest of the"), "{shown}"),
                lines => assert!(shown.contains(&format!("… {lines} more lines")), "{shown}"),
            }
            session.act(Action::ToggleOutputs);
            assert!(rows(&session, &mut view) > 6);
        }
    }
}

#[test]
fn long_arguments_and_json_in_one_line_fold_by_rows_too() {
    for width in [30, 80, 140] {
        let mut session = TranscriptSession::new();
        let args = serde_json::json!({ "path": "a.js", "text": "z".repeat(5_000) }).to_string();
        session.call("c1", "write_file", &args);
        session.done("c1", CallOutcome::Ok, &serde_json::json!([{ "name": "y".repeat(3_000) }, 1, 2]).to_string());
        let shown = screen(&session, &mut TranscriptView::new(), width, 60);
        let rows = |c: char| shown.iter().filter(|row| row.contains(&String::from(c).repeat(4))).count();
        assert!((1..=8).contains(&rows('z')), "{shown:#?}");
        assert!((1..=4).contains(&rows('y')), "{shown:#?}");
        assert!(shown.iter().filter(|row| row.contains("   … ")).count() == 2, "{shown:#?}");
    }
}

#[test]
fn a_diff_waits_for_approval() {
    let mut session = TranscriptSession::new();
    session.prompt("edit");
    session.call("c1", "edit_file", r#"{"path":"a.txt"}"#);
    let detail = "--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-old\n+new\n";
    session.event(AgentEvent::ApprovalRequested {
        call: "c1".into(),
        request: ApprovalRequest {
            tool: "edit_file".into(),
            kind: ToolKind::Edit,
            risk: Risk::Write,
            subject: "a.txt".into(),
            folder: "/w".into(),
            detail: detail.into(),
            pattern: None,
            expires_at: None,
            answers: Vec::new(),
            hunks: 0,
            sandbox: None,
        },
    });
    let mut view = TranscriptView::new();
    let shown = screen(&session, &mut view, 60, 8);
    assert_eq!(shown[2], " ? edit_file a.txt  waiting for approval");
    assert_eq!(shown[3..5], ["      1 - old", "      1 + new"]);
    session.event(AgentEvent::ApprovalResolved {
        call: "c1".into(),
        decision: Decision::Deny(Some("not now".into())),
        by: DecidedBy::Person,
    });
    session.done("c1", CallOutcome::Denied, "");
    let shown = screen(&session, &mut view, 60, 8);
    assert_eq!(shown[2], " ⊘ edit_file a.txt  denied: not now · 300ms");
}

/// The ask shows all hunks, and the words of the result say which of them were taken.
#[test]
fn a_change_that_was_taken_in_part_shows_its_diff_once() {
    let mut session = TranscriptSession::new();
    session.prompt("edit");
    session.call("c1", "edit_file", r#"{"path":"a.txt"}"#);
    let detail = "--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-old\n+new\n@@ -9 +9 @@\n-stays\n+would go\n";
    session.event(AgentEvent::ApprovalRequested {
        call: "c1".into(),
        request: ApprovalRequest {
            tool: "edit_file".into(),
            kind: ToolKind::Edit,
            risk: Risk::Write,
            subject: "a.txt".into(),
            folder: "/w".into(),
            detail: detail.into(),
            pattern: None,
            expires_at: None,
            answers: Vec::new(),
            hunks: 2,
            sandbox: None,
        },
    });
    let taken = crate::event::HunkDecision { taken: vec![1], notes: Vec::new() };
    session.event(AgentEvent::ApprovalResolved {
        call: "c1".into(),
        decision: Decision::Hunks(taken),
        by: DecidedBy::Person,
    });
    let output = "applied hunk 1 of 2 to `a.txt`; the user left out hunk 2, which was not applied\napplied:\n--- a.txt\n\
                  +++ a.txt\n@@ -1 +1 @@\n-old\n+new\nnot applied:\n@@ -9 +9 @@\n-stays\n+would go";
    session.done("c1", CallOutcome::Ok, output);
    let shown = screen(&session, &mut TranscriptView::new(), 100, 24).join("\n");
    for line in ["- old", "+ new", "- stays", "applied hunk 1 of 2"] {
        assert_eq!(shown.matches(line).count(), 1, "{line}: {shown}");
    }
}

#[test]
fn reasoning_is_one_line_until_it_is_opened() {
    let mut session = TranscriptSession::new();
    session.prompt("think");
    session.begin("m");
    session.event(AgentEvent::ReasoningDelta { message: "m".into(), text: "let me see\nwell".into() });
    let mut view = TranscriptView::new();
    session.store.update(Msg::Status(SessionStatus { now: Millis(2000), ..SessionStatus::default() }), &mut Vec::new());
    let shown = screen(&session, &mut view, 40, 4);
    assert_eq!(shown[2], format!(" {} thinking…  2s", crate::ui::paint::spinner(&session.store)));
    session.at = Millis(3200);
    session.say("m", "Yes.");
    assert_eq!(screen(&session, &mut view, 40, 6)[2..5], [" ▸ thought for 3.2s · 4 words", "", "   Yes."]);
    session.act(Action::ToggleThinking);
    let expected = [" ▾ thought for 3.2s · 4 words", "   ┊ let me see", "   ┊ well", "", "   Yes."];
    let shown = screen(&session, &mut view, 40, 8);
    assert_eq!(shown[2..7].iter().map(|row| row.replacen(" ┊", "   ┊", 1)).collect::<Vec<_>>(), expected);
}

#[test]
fn how_a_turn_ended_is_said_in_words() {
    let ends = [
        (TurnOutcome::Cancelled, "   cancelled after 500ms"),
        (TurnOutcome::Interrupted, "   interrupted after 500ms, the answer is incomplete"),
        (
            TurnOutcome::Failed(Fault::new(FaultKind::Network, "could not reach localhost")),
            "   failed after 500ms: could not reach localhost",
        ),
    ];
    for (end, expected) in ends {
        let mut session = TranscriptSession::new();
        session.prompt("x");
        session.at = Millis(500);
        session.end(end);
        let shown = screen(&session, &mut TranscriptView::new(), 80, 6);
        assert!(shown.iter().any(|row| row == expected), "{shown:?}");
    }
}

#[test]
fn the_end_is_followed_until_someone_scrolls_up() {
    let mut session = numbered(20);
    let mut view = TranscriptView::new();
    let before = screen(&session, &mut view, 40, 10);
    assert!(before[9].contains("0ms"), "{before:#?}");
    view.scroll(-3);
    assert!(!view.is_following());
    let reading = screen(&session, &mut view, 40, 10);
    assert_eq!(reading[3..], before[..7]);
    session.prompt("one more");
    session.answer("and an answer");
    let after = screen(&session, &mut view, 40, 10);
    assert_eq!(after[..9], reading[..9]);
    assert_eq!((view.new_below(), after[9].contains("↓ 2 new")), (2, true));
    view.page(1);
    screen(&session, &mut view, 40, 10);
    assert!(view.is_following());
    assert_eq!(view.new_below(), 0);
}

#[test]
fn growth_and_folding_elsewhere_leave_the_reader_alone() {
    let mut session = TranscriptSession::new();
    session.call("c1", "shell", "{}");
    session.done("c1", CallOutcome::Ok, &"line\n".repeat(30));
    for turn in 0..20 {
        session.prompt(&format!("question {turn}"));
        session.answer("text");
    }
    let mut view = TranscriptView::new();
    screen(&session, &mut view, 40, 10);
    view.page(-2);
    let before = screen(&session, &mut view, 40, 10);
    session.act(Action::ToggleOutputs);
    assert_eq!(screen(&session, &mut view, 40, 10), before);
    let first = before.iter().position(|row| row.contains("question")).unwrap();
    for width in [30, 90, 25, 40] {
        assert_eq!(screen(&session, &mut view, width, 10)[first], before[first], "{width}");
    }
    assert_eq!(screen(&session, &mut view, 40, 10), before);
}

#[test]
fn prompts_can_be_jumped_to() {
    let session = numbered(10);
    let mut view = TranscriptView::new();
    screen(&session, &mut view, 40, 6);
    view.previous_prompt();
    view.previous_prompt();
    assert_eq!(screen(&session, &mut view, 40, 6)[0], " › question 8");
    view.previous_prompt();
    assert_eq!(screen(&session, &mut view, 40, 6)[0], " › question 7");
    view.next_prompt();
    assert_eq!(screen(&session, &mut view, 40, 6)[0], " › question 8");
    view.to_start();
    assert_eq!(screen(&session, &mut view, 40, 6)[0], " › question 0");
    view.to_end();
    screen(&session, &mut view, 40, 6);
    assert!(view.is_following());
}

#[test]
fn selecting_moves_the_screen_as_little_as_needed() {
    let session = numbered(10);
    let mut view = TranscriptView::new();
    let bottom = screen(&session, &mut view, 40, 10);
    view.select_up();
    let first = view.selected();
    assert!(first.is_some());
    let shown = screen(&session, &mut view, 40, 10);
    assert!(shown.iter().any(|row| row.starts_with('▌')), "{shown:#?}");
    assert!(view.is_following());
    for _ in 0..6 {
        view.select_up();
        let shown = screen(&session, &mut view, 40, 10);
        assert!(shown.iter().any(|row| row.starts_with('▌')), "{shown:#?}");
    }
    assert!(!view.is_following());
    for _ in 0..6 {
        view.select_down();
        screen(&session, &mut view, 40, 10);
    }
    assert_eq!(view.selected(), first);
    view.selected = None;
    view.to_end();
    assert_eq!(screen(&session, &mut view, 40, 10), bottom);
}

#[test]
fn every_row_can_be_reached_by_scrolling_up_and_down() {
    let session = numbered(15);
    let mut view = TranscriptView::new();
    let whole = screen(&session, &mut view, 40, 400);
    let total = whole.iter().rposition(|row| !row.is_empty()).unwrap() + 1;
    let mut shown = screen(&session, &mut view, 40, 7);
    let mut at = total - 7;
    assert_eq!(shown, whole[at..at + 7]);
    for step in [1, 2, 3, 5, 7, 11, 30, 1000] {
        view.scroll(-step);
        at = at.saturating_sub(step as usize);
        shown = screen(&session, &mut view, 40, 7);
        assert_eq!(shown, whole[at..at + 7], "up {step}");
    }
    for step in [1, 2, 3, 5, 7, 11, 1000] {
        view.scroll(step);
        at = (at + step as usize).min(total - 7);
        shown = screen(&session, &mut view, 40, 7);
        assert_eq!(shown, whole[at..at + 7], "down {step}");
    }
    assert!(view.is_following());
}

#[test]
fn hostile_text_never_becomes_a_cell() {
    let evil = "\x1b]52;c;aGk=\x07\x1b[2J\u{9b}31m\u{202e}x\u{0}&#27;[5m";
    let mut session = TranscriptSession::new();
    session.prompt(evil);
    session.call("c1", evil, &format!("{{\"command\":{}}}", serde_json::to_string(evil).unwrap()));
    session.event(AgentEvent::ToolOutput { call: "c1".into(), stream: OutputStream::Stdout, text: evil.into() });
    session.begin("m");
    session.event(AgentEvent::ReasoningDelta { message: "m".into(), text: evil.into() });
    session.say("m", &format!("{evil}\n\n```{evil}\n{evil}\n```\n\n|{evil}|\n|-|\n\n[{evil}](<{evil}>)\n"));
    session.event(AgentEvent::Notice {
        level: crate::event::NoticeLevel::Warn,
        code: NoticeCode::Other("x".into()),
        text: evil.into(),
    });
    session.end(TurnOutcome::Failed(Fault::new(FaultKind::Internal, evil)));
    session.act(Action::ToggleThinking);
    for width in [1, 10, 40, 100] {
        let area = Rect::new(0, 0, width, 60);
        let mut buf = Buffer::empty(area);
        draw(&session.store, &mut TranscriptView::new(), &Theme::default(), true, area, &mut buf);
        for cell in buf.content() {
            let hostile = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!cell.symbol().contains(hostile), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn a_reset_forgets_the_place() {
    let mut session = numbered(10);
    let mut view = TranscriptView::new();
    screen(&session, &mut view, 40, 10);
    view.to_start();
    screen(&session, &mut view, 40, 10);
    session.store.update(Msg::Reset, &mut Vec::new());
    session.seq = Seq(0);
    session.prompt("again");
    assert_eq!(screen(&session, &mut view, 40, 2)[0], " › again");
    assert!(view.is_following());
}

#[test]
fn only_the_selected_item_is_marked_and_only_with_the_focus() {
    let session = numbered(1);
    let mut view = TranscriptView::new();
    screen(&session, &mut view, 40, 20);
    view.select_up();
    let area = Rect::new(0, 0, 40, 20);
    let mut buf = Buffer::empty(area);
    draw(&session.store, &mut view, &Theme::default(), false, area, &mut buf);
    assert!(rows(&buf).iter().all(|row| !row.starts_with('▌')));
    assert!(buf[(3, 2)].modifier.contains(Modifier::BOLD));
}

#[test]
fn an_endless_line_costs_a_piece_of_it_per_token() {
    let mut session = TranscriptSession::new();
    session.begin("m");
    session.say("m", &"word ".repeat(400_000));
    let mut view = TranscriptView::new();
    let area = Rect::new(0, 0, 80, 24);
    let theme = Theme::new(ThemeKind::Dark);
    draw(&session.store, &mut view, &theme, true, area, &mut Buffer::empty(area));
    for _ in 0..20 {
        session.say("m", "more ");
        let before = view.counters().blocks_laid_out;
        draw(&session.store, &mut view, &theme, true, area, &mut Buffer::empty(area));
        assert!(view.counters().blocks_laid_out - before <= 2);
    }
    assert!(view.cached_bytes() < 1 << 20);
}

#[test]
fn a_file_inside_of_an_answer_is_named_and_takes_no_room() {
    let image = format!("![plot](data:image/png;base64,{})", "iVBORw0K".repeat(30_000));
    let code = format!("```html\n<img src=\"data:image/gif;base64,{}\">\n```", "R0lGODlh".repeat(100));
    let text = format!("Here it is:\n\n{image}\n\nThe needle.\n\n{code}\n");
    let mut session = TranscriptSession::new();
    session.prompt("plot");
    session.begin("m");
    let mut view = TranscriptView::new();
    // It is named as soon as it is whole, however it comes.
    for piece in text.as_bytes().chunks(7000) {
        session.say("m", std::str::from_utf8(piece).unwrap());
        let shown = screen(&session, &mut view, 80, 60);
        assert!(shown.iter().filter(|row| row.contains("iVBOR")).count() < 9, "{shown:#?}");
    }
    session.finish("m");
    let shown = screen(&session, &mut view, 80, 60);
    assert_eq!(
        shown[2..7],
        ["   Here it is:", "", "   [image: plot] (data: image/png, 176 KB)", "", "   The needle.",]
    );
    // What is copied and what is searched is the text itself.
    let row = text.find("needle").unwrap();
    let (block, part) =
        view.cache.find_in_source(&session.store, 1, crate::store::item_source::ItemField::Text, row).unwrap();
    assert_eq!((block, part.source(&text)), (2, "The needle.\n"));
    session.act(Action::OpenCodePicker);
    screen(&session, &mut view, 80, 60);
    let copied = view.picked_code(&session.store, 'a').unwrap();
    assert!(text.contains(&copied) && copied.len() > 800, "{copied}");
}
