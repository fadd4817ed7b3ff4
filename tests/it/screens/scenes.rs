//! The scenes whose screens are kept.

use std::sync::Arc;

use crate::testkit::events::{LIVE, message_finished, message_started, turn_finished, turn_started, user_message};
use jarvis_tui::event::timeline::{Timeline, TimelineBuilder};
use jarvis_tui::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalMode, ApprovalRequest, CallId, CallOutcome, CallOutput,
    Capabilities, DecidedBy, Decision, Envelope, ExecutedBy, Fault, FaultKind, FinishReason, Grant, LinkState,
    LoopRange, Millis, NoticeCode, NoticeLevel, PermissionRule, Permissions, QueuedPrompt, ReplayStatus, Risk,
    RuleKind, Seq, SessionStatus, TextKind, ToolKind, TurnOutcome,
};
use jarvis_tui::store::action::{Action, ScrollStep};
use jarvis_tui::store::approval::ApprovalChoice;
use jarvis_tui::store::frames::{FrameKind, FrameRow};
use jarvis_tui::store::models::ModelChoice;
use jarvis_tui::store::msg::{Msg, Report};
use jarvis_tui::store::outline::OutlineSubject;
use jarvis_tui::store::pane::Pane;
use jarvis_tui::store::sessions::{PreviewMessage, SessionChoice};
use jarvis_tui::store::tabs::{OpenTabs, TabListSubject, TabState, TabSummary, WaitingAsk};

use super::scene::Scene;

pub(super) const DIFF: &str = "\
--- a/src/difference.rs
+++ b/src/difference.rs
@@ -10,7 +10,9 @@
 impl Engine {
     pub fn turn(&mut self) {
-        self.column += 1;
+        // The carry goes first, or the wheels jam.
+        self.carry();
+        self.column = self.column.wrapping_add(1);
     }
 }
 ";

pub(super) fn empty() -> Scene {
    Scene::new(LIVE)
}

pub(super) fn answered(scene: &mut Scene) {
    scene.prompt("t1", "What is in this folder?");
    scene.message("m1");
    let thought = "The person wants to know what the folder holds, so list it first.".to_owned();
    scene.after(300).event(AgentEvent::ReasoningDelta { message: "m1".into(), text: thought });
    scene.after(1200);
    scene.call("c1", "m1", "list_dir", r#"{"path":"."}"#);
    scene.finished("m1", FinishReason::ToolCalls);
    scene.usage(1, 1800, 60);
    scene.after(12).done("c1", CallOutcome::Ok, "Cargo.toml\nREADME.md\nsrc/\ntests/");
    scene.message("m2");
    scene.after(400).text("m2", "A Rust crate:\n\n- `Cargo.toml` names it **engine**\n- `src/` holds *the code*\n");
    scene.finished("m2", FinishReason::End);
    scene.usage(2, 1960, 48);
    scene.after(30).event(turn_finished("t1", TurnOutcome::Completed));
}

/// Four sessions, of which the second is shown.
pub(super) fn tabs() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    let tab = |id: &str, title: &str, state| TabSummary { session: id.into(), title: title.into(), state };
    let tabs = vec![
        tab("s1", "Mend the parser of difference files", TabState::AwaitingApproval),
        tab("s2", "What is in this folder?", TabState::Idle),
        tab("s3", "Write the documentation", TabState::Working),
        tab("s4", "", TabState::Failed),
    ];
    let asks = vec![WaitingAsk {
        number: 1,
        session: "s1".into(),
        title: "Mend the parser of difference files".into(),
        call: "c9".into(),
        tool: "shell".into(),
        subject: "cargo test --workspace".into(),
        since: "14:03".into(),
    }];
    scene.msg(Msg::Tabs(OpenTabs { tabs, active: 1, asks }));
    scene
}

/// A turn ended while the person looked elsewhere.
pub(super) fn looked_away() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.msg(Msg::Looking(false));
    scene.after(5000).prompt("t2", "And what is it for?");
    scene.message("m3");
    scene.after(500).text("m3", "It turns wheels.");
    scene.finished("m3", FinishReason::End);
    scene.after(30).event(turn_finished("t2", TurnOutcome::Completed));
    scene.msg(Msg::Looking(true));
    scene
}

/// What waits in them.
pub(super) fn inbox() -> Scene {
    let mut scene = tabs();
    scene.act(Action::OpenTabList(TabListSubject::Asks));
    scene
}

pub(super) fn streaming() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.after(5000).prompt("t2", "Run the tests and tell me what fails.");
    scene.message("m3");
    scene.after(500).text("m3", "I'll run them now.");
    scene.call("c2", "m3", "shell", r#"{"command":"cargo test --quiet"}"#);
    scene.finished("m3", FinishReason::ToolCalls);
    scene.usage(1, 2300, 40);
    scene.after(3400).output("c2", "running 14 tests\n...........F..\n");
    let queue = vec![QueuedPrompt::new(7, "and then fix the one that fails, please")];
    let now = Millis(scene.now);
    scene.msg(Msg::Status(SessionStatus { link: LinkState::Live, queue, now, ..SessionStatus::default() }));
    scene.tick(800);
    scene
}

pub(super) fn approval() -> Scene {
    let mut scene = Scene::new(LIVE);
    scene.prompt("t1", "Fix the carry.");
    scene.message("m1");
    scene.after(400).text("m1", "The carry comes too late; this edit moves it.");
    scene.call("c1", "m1", "edit_file", r#"{"path":"src/difference.rs"}"#);
    let request = ApprovalRequest {
        tool: "edit_file".into(),
        kind: ToolKind::Edit,
        risk: Risk::Write,
        subject: "src/difference.rs".into(),
        folder: "/home/ada/engine".into(),
        detail: DIFF.into(),
        pattern: Some("edit_file(src/*)".into()),
        expires_at: None,
        answers: Vec::new(),
        hunks: 0,
        sandbox: None,
    };
    scene.event(AgentEvent::ApprovalRequested { call: "c1".into(), request });
    scene.tick(1000);
    scene
}

pub(super) fn hostile_approval() -> Scene {
    let mut scene = Scene::new(LIVE);
    scene.prompt("t1", "clean up");
    scene.message("m1");
    let command = "ls\u{1b}[8m; rm -rf ~\u{1b}[0m \u{202e}txt.exe";
    scene.call("c1", "m1", "shell", "{}");
    let request = ApprovalRequest {
        tool: "shell".into(),
        kind: ToolKind::Execute,
        risk: Risk::Execute,
        subject: command.into(),
        folder: "/home/ada/engine".into(),
        detail: command.into(),
        pattern: Some("shell(ls*)".into()),
        expires_at: None,
        answers: Vec::new(),
        hunks: 0,
        sandbox: None,
    };
    scene.event(AgentEvent::ApprovalRequested { call: "c1".into(), request });
    scene.tick(1000);
    scene.act(Action::Choose(ApprovalChoice::DenyWithReason));
    scene.msg(Msg::ApprovalShown);
    scene.tick(400);
    scene.act(Action::OverlayAccept);
    scene.msg(Msg::ApprovalShown);
    for c in "not in my home".chars() {
        scene.act(Action::OverlayChar(c));
    }
    scene
}

pub(super) fn waiting() -> Scene {
    let mut scene = approval();
    scene.event(AgentEvent::ApprovalResolved {
        call: "c1".into(),
        decision: Decision::Deny(Some("not that file".into())),
        by: DecidedBy::Person,
    });
    scene.done("c1", CallOutcome::Denied, "");
    scene.ui.panes.composer.set_text("wait, first tell me");
    scene.ask_to_fetch();
    scene.tick(900);
    scene
}

/// An approval that was read and is about to be granted for the rest of the session.
pub(super) fn approval_selected() -> Scene {
    let mut scene = approval();
    scene.msg(Msg::ApprovalShown);
    scene.act(Action::ApprovalTyped { c: 'a', choice: Some(ApprovalChoice::Session), step: None });
    scene.tick(1000);
    scene
}

pub(super) fn approval_whole() -> Scene {
    let mut scene = approval();
    scene.act(Action::ApprovalTyped { c: 'v', choice: Some(ApprovalChoice::ShowAll), step: None });
    scene
}

pub(super) fn wrong_pattern() -> Scene {
    let mut scene = approval_selected();
    scene.act(Action::Choose(ApprovalChoice::Pattern));
    scene.act(Action::OverlayAccept);
    scene.msg(Msg::ApprovalShown);
    scene.tick(400);
    for c in "write 120".chars() {
        scene.act(Action::OverlayChar(c));
    }
    scene.act(Action::OverlayAccept);
    scene
}

pub(super) fn modes() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.act(Action::OpenModes);
    scene
}

pub(super) fn never_ask() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.act(Action::SetMode(ApprovalMode::Full));
    scene
}

pub(super) fn permitted() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    let rule = |kind, pattern: &str, origin: &str, uses| {
        let (pattern, origin) = (pattern.into(), origin.into());
        PermissionRule { kind, pattern, origin, uses }
    };
    let grant = |tool: &str, glob: Option<&str>, earlier, uses| {
        let (tool, glob) = (tool.into(), glob.map(Into::into));
        Grant { tool, glob, by: DecidedBy::Person, from_earlier_run: earlier, uses }
    };
    let permissions = Permissions {
        rules: vec![
            rule(RuleKind::Allow, "shell(git status*)", "~/.config/jarvis-tui/config.toml:12", 4),
            rule(RuleKind::Deny, "shell(rm -rf *)", "~/.config/jarvis-tui/config.toml:13", 0),
        ],
        grants: vec![grant("shell", Some("cargo test*"), false, 2), grant("edit_file", None, true, 0)],
    };
    let now = Millis(scene.now);
    scene.msg(Msg::Status(SessionStatus { permissions: Some(permissions), now, ..SessionStatus::default() }));
    scene.act(Action::OpenPermissions);
    scene
}

pub(super) fn failed() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.after(9000).prompt("t2", "And what does it do?");
    let text = "the server returned 503; retrying in 2s".to_owned();
    scene.event(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Retry, text: text.clone() });
    scene.after(2000).event(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Retry, text });
    let fault = Fault::new(FaultKind::Network, "can't reach 127.0.0.1:11434: is `ollama serve` running?");
    scene.after(4000).event(turn_finished("t2", TurnOutcome::Failed(fault)));
    let now = Millis(scene.now);
    let not_saved = Some("no space left on device".to_owned());
    scene.msg(Msg::Status(SessionStatus {
        link: LinkState::Lost(None),
        save_error: not_saved,
        now,
        ..SessionStatus::default()
    }));
    scene
}

pub(super) fn help() -> Scene {
    let mut scene = empty();
    scene.act(Action::OpenHelp);
    scene
}

pub(super) fn models() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenModels);
    let model = |name: &str, remark: &str| ModelChoice::new(name, remark);
    scene.msg(Msg::Report(Report::Models(vec![
        model("offline/guide", "built in, no model"),
        model("ollama/qwen3:8b", "32k · 5.2 GB · running"),
        model("ollama/llama3.3:70b", "128k · 43 GB"),
        model("openai/gpt-4.1-mini", "1M · $0.40 in, $1.60 out"),
    ])));
    scene.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    scene
}

pub(super) fn palette() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenPalette);
    "copy".chars().for_each(|c| scene.act(Action::OverlayChar(c)));
    scene
}

pub(super) fn sessions() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenSessions);
    let session = |id: &str, title: Option<&str>, folder: &str, age: &str| SessionChoice {
        id: id.into(),
        title: title.map(Into::into),
        folder: folder.into(),
        engine: "ollama/qwen3:8b".into(),
        age: age.into(),
        turns: Some(12),
    };
    scene.act(Action::ToggleAllFolders);
    scene.msg(Msg::Report(Report::Sessions(vec![
        session(
            "20261129-1951-7f3a",
            Some("Mend the parser of nested lists, which loses the last item"),
            "/home/me/parser",
            "now",
        ),
        session(
            "20261128-0907-11c0",
            Some("odd\u{1b}[31m title\u{202e}"),
            "/home/me/a/folder/that/lies/deep/in/the/tree/of/files",
            "yesterday",
        ),
        session("20261101-1200-ffff", None, "/tmp", "28 days ago"),
    ])));
    scene.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    let message = |is_prompt, text: &str| PreviewMessage { is_prompt, text: text.into() };
    let said = vec![
        message(true, "What does the parser do with a list that ends in an empty line?"),
        message(
            false,
            "It closes the list.\n\nThe next item then begins a new one, whose \u{1b}[31mnumbers\u{202e} start again at one, so that two lists stand where one was meant.",
        ),
        message(true, "Fix that"),
        message(false, "Done: `close_list` looks ahead."),
    ];
    scene.msg(Msg::Report(Report::SessionPreview("20261128-0907-11c0".into(), Some(said))));
    scene
}

pub(super) fn usage() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenUsage);
    scene
}

pub(super) fn context() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenContext);
    scene
}

pub(super) fn naming() -> Scene {
    let mut scene = sessions();
    scene.act(Action::RenameSelected);
    scene
}

pub(super) fn frames() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenFrames);
    let row = |at: u64, what| FrameRow { at: Millis(1000 + at), since_start: Millis(at), kind: what };
    let frame = |name: &str, id: Option<&str>, data: &str| FrameKind::Frame {
        name: name.into(),
        id: id.map(Into::into),
        data: data.into(),
    };
    let chunk = |text: &str| {
        let data = format!(
            "{{\"id\":\"chatcmpl-1234\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}"
        );
        frame("", None, &data)
    };
    let rows = vec![
        row(0, FrameKind::Began("POST http://127.0.0.1:8000/v1/chat/completions · 200 text/event-stream".into())),
        row(7, frame("agent_turn_start", Some("1"), r#"{"agent":"orchestrator","input":"what is 6*7?"}"#)),
        row(19, frame("tool_call_start", None, r#"{"tool":"calculator","arguments":"{\"expression\":\"6*7\"}"}"#)),
        row(2119, frame("odd\u{1b}[31m", Some("\u{7}2"), "\u{1b}]0;owned\u{7}\u{202e}not JSON")),
        row(2200, chunk("The answer")),
        row(2210, chunk(" is 42.")),
        row(92_210, FrameKind::Ended("http://127.0.0.1:8000 broke the connection".into())),
    ];
    scene.msg(Msg::Report(Report::Frames { rows, dropped_bytes: 123_456 }));
    scene
}

pub(super) fn frames_looked_back() -> Scene {
    let mut scene = frames();
    scene.act(Action::PauseFrames);
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    "tool".chars().for_each(|c| scene.act(Action::OverlayChar(c)));
    scene
}

pub(super) fn a_frame_opened() -> Scene {
    let mut scene = frames();
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    scene.act(Action::OverlayAccept);
    scene
}

/// Annotations from servers.
pub(super) fn annotated() -> Scene {
    let mut scene = empty();
    let note = |on: AnnotationTarget, kind: &str, data: &str| {
        let annotation = serde_json::from_str(&format!(r#"{{"kind":"{kind}","data":{data}}}"#)).unwrap();
        AgentEvent::Annotation { on, annotation }
    };
    let turn = || AnnotationTarget::Turn("t9".into());
    scene.event(turn_started("t9"));
    scene.event(user_message("u9", "what do owls eat?"));
    scene.event(message_started("m9"));
    for (call, name) in [("c1", "web_search"), ("c2", "calculator")] {
        let (name, ran_by) = (Some(name.to_owned()), ExecutedBy::Server);
        scene.event(AgentEvent::ToolCallStarted {
            call: call.into(),
            message: "m9".into(),
            name,
            parent: None,
            executed_by: ran_by,
        });
        let (call, args) = (CallId::new(call), r#"{"query":"owls"}"#.to_owned());
        let name = if call.as_str() == "c1" { "web_search" } else { "calculator" };
        scene.event(AgentEvent::ToolCallReady { call: call.clone(), name: name.into(), args, provider_metadata: None });
        let output = CallOutput { text: "3 hits".into(), ..CallOutput::default() };
        let took = Some(Millis(120));
        scene.event(AgentEvent::ToolCallFinished { call, outcome: CallOutcome::Ok, output, duration: took });
    }
    let list = r#"[{"title":"Owls","url":"http://o"},{"title":"Voles","url":"http://v"}]"#;
    scene.event(note(AnnotationTarget::Call("c1".into()), "sources", list));
    scene.event(note(AnnotationTarget::Call("c2".into()), "foreign", "true"));
    let text = "Mostly voles.".to_owned();
    scene.event(AgentEvent::TextDelta { message: "m9".into(), text, kind: TextKind::Text });
    scene.event(note(AnnotationTarget::Message("m9".into()), "citation", r#"{"title":"Owls","url":"http://o"}"#));
    scene.event(message_finished("m9", FinishReason::End));
    scene.event(turn_finished("t9", TurnOutcome::Completed));
    scene.event(turn_started("t10"));
    scene.event(note(turn(), "progress", r#"{"step":"inference_start","label":"reading the barn report"}"#));
    scene.tick(4000);
    scene
}

pub(super) fn replay() -> Scene {
    let mut scene = Scene::new(Capabilities { seek: true, ..Capabilities::default() });
    answered(&mut scene);
    let replay = ReplayStatus {
        paused: true,
        speed: 2.0,
        position: Millis(73_000),
        length: Millis(220_000),
        turn: 1,
        turns: 4,
        max_idle: Some(Millis(2000)),
        looped: LoopRange::default(),
    };
    let now = Millis(scene.now);
    let timeline = Some(Arc::new(timeline()));
    scene.msg(Msg::Status(SessionStatus { replay: Some(replay), timeline, now, ..SessionStatus::default() }));
    scene
}

/// Four turns with calls, one of which failed, a mark and a wait.
fn timeline() -> Timeline {
    let call = |outcome| AgentEvent::ToolCallFinished {
        call: "c".into(),
        outcome,
        output: CallOutput::default(),
        duration: None,
    };
    let ready = || AgentEvent::ToolCallReady {
        call: "c".into(),
        name: "run".into(),
        args: String::new(),
        provider_metadata: None,
    };
    let turn = |turn: &str| AgentEvent::TurnStarted { turn: turn.into(), parent: None };
    let mark = AgentEvent::Annotation {
        on: AnnotationTarget::Session,
        annotation: Annotation::Mark { seq: Seq(6), set: true },
    };
    let events = [
        (1_000, turn("t1")),
        (9_000, ready()),
        (14_000, call(CallOutcome::Ok)),
        (60_000, turn("t2")),
        (64_000, ready()),
        (80_000, call(CallOutcome::Failed)),
        (150_000, turn("t3")),
        (152_000, ready()),
        (200_000, turn("t4")),
        (210_000, mark),
    ];
    let mut builder = TimelineBuilder::default();
    let mut last = 0;
    for (seq, (at, event)) in (1..).zip(events) {
        // Something happens all the time, but for one wait.
        let filled = if at == 150_000 { 0..0 } else { last..at };
        filled.step_by(4_000).for_each(|at| builder.pass(Seq(seq), Millis(at)));
        builder.pass(Seq(seq), Millis(at));
        builder.observe(&Envelope { seq: Seq(seq), at: Millis(at), event });
        last = at;
    }
    builder.finish(|_| Some(Millis(180_000)))
}

pub(super) fn completing() -> Scene {
    let mut scene = empty();
    scene.ui.panes.composer.set_text("/mod");
    scene
}

/// The second match is in output that was folded.
pub(super) fn search() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenSearch { from: None, query: Some("SRC/".to_lowercase()) });
    scene.draw((80, 24));
    scene.act(Action::SearchOlder);
    scene
}

pub(super) fn outline() -> Scene {
    let mut scene = streaming();
    scene.text("m3", "\n\n# What fails\n\nOne test.\n\n## Why\n");
    scene.act(Action::OpenOutline { subject: OutlineSubject::Everything, from: None });
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    scene
}

pub(super) fn raw() -> Scene {
    let mut scene = streaming();
    scene.text(
        "m3",
        "\n\n# Title\n\nA \x1b[31mred\x1b[0m **word**,\tand a long line that has to be cut somewhere or other.\n",
    );
    scene.act(Action::OpenRaw { item: None });
    scene
}

pub(super) fn links() -> Scene {
    let mut scene = streaming();
    scene
        .text("m3", "\nSee [the docs](https://docs.example/start), https://example.org and [this](javascript:evil).\n");
    scene.act(Action::OpenLinks { item: None });
    scene
}

pub(super) fn panel() -> Scene {
    let mut scene = streaming();
    let item = scene.store.tool_calls.calls()[0].item;
    scene.act(Action::ToggleFold(item.0));
    scene.act(Action::Focus(Pane::ToolPanel));
    scene.ui.panes.tools.select_up(&scene.store);
    scene.ui.panes.tools.select_up(&scene.store);
    scene
}
