//! Snapshots of whole screens at three sizes, drawn from a store fed with events.

use crate::testkit::events::{
    LIVE, Opened, message_finished, message_started, shell_approval, turn_finished, turn_started, user_message,
};
use crate::testkit::ui::dark_ui;
use jarvis_tui::event::{
    AgentEvent, AnnotationTarget, ApprovalMode, ApprovalRequest, CallId, CallOutcome, CallOutput, Capabilities,
    DecidedBy, Decision, Envelope, ExecutedBy, Fault, FaultKind, FinishReason, Grant, LinkState, Millis, NoticeCode,
    NoticeLevel, OutputStream, PermissionRule, Permissions, QueuedPrompt, ReplayStatus, Risk, RuleKind, Seq,
    SessionStatus, TextKind, ToolKind, TurnOutcome, Usage, UsageScope,
};
use jarvis_tui::store::action::{Action, ScrollStep};
use jarvis_tui::store::action_table::{ACTIONS, ActionHandler};
use jarvis_tui::store::approval::ApprovalChoice;
use jarvis_tui::store::frames::{FrameKind, FrameRow};
use jarvis_tui::store::models::ModelChoice;
use jarvis_tui::store::msg::{Msg, Report};
use jarvis_tui::store::overlay::approval::ApprovalDialog;
use jarvis_tui::store::pane::Pane;
use jarvis_tui::store::{Store, StoreOptions};
use jarvis_tui::ui::panes::PanePart;
use jarvis_tui::ui::{self, Ui};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (140, 50)];

/// A session under construction: events in, store and view out.
struct Scene {
    store: Store,
    ui: Ui,
    seq: u64,
    now: u64,
}

impl Scene {
    fn new(capabilities: Capabilities) -> Self {
        let mut scene = Self { store: Store::new(StoreOptions::default()), ui: dark_ui(), seq: 0, now: 0 };
        scene.event(
            Opened {
                wall_ms: 1_763_000_000_000,
                engine_reason: "no model was found",
                folder: "/home/ada/engine",
                capabilities,
                context_window: Some(32_768),
                price: Some((0.0, 0.0)),
                ..Opened::default()
            }
            .event(),
        );
        scene
    }

    fn msg(&mut self, msg: Msg) {
        self.store.update(msg, &mut Vec::new());
        if self.ui.panes.composer.is_empty() {
            self.store.update(Msg::OfferApproval, &mut Vec::new());
        }
    }

    fn act(&mut self, action: Action) {
        self.msg(Msg::Action(action));
    }

    fn event(&mut self, event: AgentEvent) {
        self.seq += 1;
        let envelope = Envelope { seq: Seq(self.seq), at: Millis(self.now), event };
        self.msg(Msg::Event(envelope));
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += ms;
        self
    }

    fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.msg(Msg::Tick(Millis(self.now)));
    }

    fn prompt(&mut self, turn: &str, text: &str) {
        self.event(turn_started(turn));
        self.event(user_message(&format!("u-{turn}"), text));
    }

    fn message(&mut self, message: &str) {
        self.event(message_started(message));
    }

    fn text(&mut self, message: &str, text: &str) {
        for piece in text.split_inclusive(' ') {
            let text = piece.to_owned();
            self.after(20).event(AgentEvent::TextDelta { message: message.into(), text, kind: TextKind::Text });
        }
    }

    fn finished(&mut self, message: &str, stop: FinishReason) {
        self.event(message_finished(message, stop));
    }

    fn call(&mut self, call: &str, message: &str, name: &str, args: &str) {
        let id: CallId = call.into();
        self.event(AgentEvent::ToolCallStarted {
            call: id.clone(),
            message: message.into(),
            name: Some(name.into()),
            parent: None,
            executed_by: ExecutedBy::Client,
        });
        self.event(AgentEvent::ToolCallReady {
            call: id,
            name: name.into(),
            args: args.into(),
            provider_metadata: None,
        });
    }

    fn ask_to_fetch(&mut self) {
        self.call("c2", "m1", "fetch", r#"{"url":"https://example.org/carry"}"#);
        let request = ApprovalRequest {
            tool: "fetch".into(),
            kind: ToolKind::Fetch,
            risk: Risk::Network,
            folder: "/home/ada/engine".into(),
            ..shell_approval("https://example.org/carry")
        };
        self.event(AgentEvent::ApprovalRequested { call: "c2".into(), request });
    }

    fn output(&mut self, call: &str, text: &str) {
        let stream = OutputStream::Stdout;
        self.event(AgentEvent::ToolOutput { call: call.into(), stream, text: text.into() });
    }

    fn done(&mut self, call: &str, outcome: CallOutcome, output: &str) {
        let output = CallOutput::from_text(output);
        self.event(AgentEvent::ToolCallFinished { call: call.into(), outcome, output, duration: None });
    }

    fn usage(&mut self, n: u32, input: u64, output: u64) {
        let usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        self.event(AgentEvent::UsageReported { scope: UsageScope::Request(n), usage });
    }

    fn draw(&mut self, (width, height): (u16, u16)) -> (Buffer, Option<(u16, u16)>) {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        let cursor = ui::draw(&self.store, &mut self.ui, area, &mut buf);
        (buf, cursor)
    }
}

fn text(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buf.area.height {
        let mut row = String::new();
        let mut skip = 0;
        for x in 0..buf.area.width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buf[(x, y)].symbol();
            skip = jarvis_tui::text::width::str_width(symbol).saturating_sub(1);
            row.push_str(symbol);
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

/// Marks styled cells: one letter per color, upper case if bold, `#` if reversed.
fn styles(buf: &Buffer) -> String {
    use ratatui::style::{Color, Modifier};
    let letter = |x, y| {
        let cell = &buf[(x, y)];
        let letter = match cell.fg {
            _ if cell.symbol() == " " && !cell.modifier.contains(Modifier::REVERSED) => ' ',
            _ if cell.modifier.contains(Modifier::REVERSED) => '#',
            Color::Reset if cell.modifier.contains(Modifier::DIM) => 'd',
            Color::Reset => '.',
            Color::Red | Color::LightRed => 'r',
            Color::Green => 'g',
            Color::Yellow => 'y',
            Color::Blue | Color::LightBlue => 'b',
            Color::Magenta | Color::LightMagenta => 'm',
            Color::Cyan => 'c',
            Color::Gray => 'w',
            Color::DarkGray => 'd',
            _ => '?',
        };
        if cell.modifier.contains(Modifier::BOLD) { letter.to_ascii_uppercase() } else { letter }
    };
    (0..buf.area.height)
        .map(|y| (0..buf.area.width).map(|x| letter(x, y)).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// Removes the scroll bar, which is based on estimates of what is out of sight.
fn barless(buf: &Buffer) -> Buffer {
    let mut buf = buf.clone();
    for cell in buf.content.iter_mut().filter(|cell| cell.symbol() == "┃") {
        cell.reset();
    }
    buf
}

/// Draws the scene at the three sizes, twice each: a warm cache must not change a cell.
fn check(name: &str, make: impl Fn() -> Scene) {
    settings().bind(|| {
        for size in SIZES {
            let mut scene = make();
            let (cold, cursor) = scene.draw(size);
            let (warm, _) = scene.draw(size);
            assert_eq!(cold, warm, "{name}: a second frame differs");
            scene.ui.panes.transcript.forget();
            let (again, _) = scene.draw(size);
            assert_eq!(barless(&cold), barless(&again), "{name}: a frame without its cache differs");
            let cursor = cursor.map_or("none".into(), |(x, y)| format!("{x},{y}"));
            let picture = format!("{}cursor {cursor}\n", text(&cold));
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), picture);
        }
    });
}

const DIFF: &str = "\
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

fn empty() -> Scene {
    Scene::new(LIVE)
}

fn answered(scene: &mut Scene) {
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

fn streaming() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.after(5000).prompt("t2", "Run the tests and tell me what fails.");
    scene.message("m3");
    scene.after(500).text("m3", "I'll run them now.");
    scene.call("c2", "m3", "shell", r#"{"command":"cargo test --quiet"}"#);
    scene.finished("m3", FinishReason::ToolCalls);
    scene.usage(1, 2300, 40);
    scene.after(3400).output("c2", "running 14 tests\n...........F..\n");
    let queue = vec![QueuedPrompt { id: 7, text: "and then fix the one that fails, please".into() }];
    let now = Millis(scene.now);
    scene.msg(Msg::Status(SessionStatus { link: LinkState::Live, queue, now, ..SessionStatus::default() }));
    scene.tick(800);
    scene
}

fn approval() -> Scene {
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
    };
    scene.event(AgentEvent::ApprovalRequested { call: "c1".into(), request });
    scene.tick(1000);
    scene
}

fn hostile_approval() -> Scene {
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

fn waiting() -> Scene {
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
fn approval_selected() -> Scene {
    let mut scene = approval();
    scene.msg(Msg::ApprovalShown);
    scene.act(Action::ApprovalTyped { c: 'a', choice: Some(ApprovalChoice::Session) });
    scene.tick(1000);
    scene
}

fn approval_whole() -> Scene {
    let mut scene = approval();
    scene.act(Action::ApprovalTyped { c: 'v', choice: Some(ApprovalChoice::ShowAll) });
    scene
}

fn wrong_pattern() -> Scene {
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

fn modes() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.act(Action::OpenModes);
    scene
}

fn never_ask() -> Scene {
    let mut scene = Scene::new(LIVE);
    answered(&mut scene);
    scene.act(Action::SetMode(ApprovalMode::Full));
    scene
}

fn permitted() -> Scene {
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

fn failed() -> Scene {
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

fn help() -> Scene {
    let mut scene = empty();
    scene.act(Action::OpenHelp);
    scene
}

fn models() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenModels);
    let model = |name: &str, remark: &str| ModelChoice { name: name.into(), remark: remark.into() };
    scene.msg(Msg::Report(Report::Models(vec![
        model("offline/guide", "built in, no model"),
        model("ollama/qwen3:8b", "32k · 5.2 GB · running"),
        model("ollama/llama3.3:70b", "128k · 43 GB"),
        model("openai/gpt-4.1-mini", "1M · $0.40 in, $1.60 out"),
    ])));
    scene.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    scene
}

fn frames() -> Scene {
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

fn frames_looked_back() -> Scene {
    let mut scene = frames();
    scene.act(Action::PauseFrames);
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    "tool".chars().for_each(|c| scene.act(Action::OverlayChar(c)));
    scene
}

fn a_frame_opened() -> Scene {
    let mut scene = frames();
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    scene.act(Action::OverlayAccept);
    scene
}

/// Annotations from servers.
fn annotated() -> Scene {
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

fn replay() -> Scene {
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
    };
    let now = Millis(scene.now);
    scene.msg(Msg::Status(SessionStatus { replay: Some(replay), now, ..SessionStatus::default() }));
    scene
}

fn completing() -> Scene {
    let mut scene = empty();
    scene.ui.panes.composer.set_text("/mod");
    scene
}

/// The second match is in output that was folded.
fn search() -> Scene {
    let mut scene = streaming();
    scene.act(Action::OpenSearch { from: None, query: Some("SRC/".to_lowercase()) });
    scene.draw((80, 24));
    scene.act(Action::SearchOlder);
    scene
}

fn outline() -> Scene {
    let mut scene = streaming();
    scene.text("m3", "\n\n# What fails\n\nOne test.\n\n## Why\n");
    scene.act(Action::OpenOutline { from: None });
    scene.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    scene
}

fn raw() -> Scene {
    let mut scene = streaming();
    scene.text(
        "m3",
        "\n\n# Title\n\nA \x1b[31mred\x1b[0m **word**,\tand a long line that has to be cut somewhere or other.\n",
    );
    scene.act(Action::OpenRaw { item: None });
    scene
}

fn links() -> Scene {
    let mut scene = streaming();
    scene
        .text("m3", "\nSee [the docs](https://docs.example/start), https://example.org and [this](javascript:evil).\n");
    scene.act(Action::OpenLinks { item: None });
    scene
}

fn panel() -> Scene {
    let mut scene = streaming();
    let item = scene.store.tool_calls.calls()[0].item;
    scene.act(Action::ToggleFold(item.0));
    scene.act(Action::Focus(Pane::ToolPanel));
    scene.ui.panes.tools.select_up(&scene.store);
    scene.ui.panes.tools.select_up(&scene.store);
    scene
}

#[test]
fn an_empty_session_says_what_this_is() {
    check("empty", empty);
}

#[test]
fn a_turn_that_runs_a_tool() {
    check("streaming", streaming);
}

#[test]
fn an_ask_shows_its_diff() {
    check("approval", approval);
    settings().bind(|| {
        let (buf, _) = approval().draw((80, 24));
        insta::assert_snapshot!("approval-80x24-styles", styles(&buf));
    });
}

#[test]
fn a_selected_answer_says_what_it_does() {
    check("approval-selected", approval_selected);
}

#[test]
fn the_whole_of_an_ask_is_shown_on_wish() {
    check("approval-whole", approval_whole);
}

#[test]
fn a_wrong_pattern_is_told_in_the_field() {
    check("wrong-pattern", wrong_pattern);
}

#[test]
fn modes_say_what_they_allow() {
    check("modes", modes);
    check("never-ask", never_ask);
}

#[test]
fn what_is_allowed_is_listed() {
    check("permissions", permitted);
}

/// An approval takes at most half of the screen, whatever it contains, and its choices are visible.
#[test]
fn an_ask_leaves_half_of_the_screen() {
    for (width, height) in [(40, 12), (80, 24), (140, 50)] {
        for make in [approval, approval_selected, hostile_approval, wrong_pattern] {
            let mut scene = make();
            let (buf, _) = scene.draw((width, height));
            let area = PanePart::Approval.area(&scene.ui.layout);
            assert!(area.height <= height / 2 && area.width == width, "{area:?}");
            if scene.store.focus.is_typing() {
                continue;
            }
            let shown = text(&buf);
            let words: Vec<&str> = shown.split_whitespace().collect();
            if scene
                .store
                .focus
                .top_as::<ApprovalDialog>()
                .is_some_and(|request| request.selected == Some(ApprovalChoice::Session))
            {
                let scope = "this session without asking: every change to a file";
                assert!(words.join(" ").contains(scope), "{width}x{height} doesn't say all of it:\n{shown}");
            }
            for key in ["y once", "a session", "p pattern", "n deny", "d ", "v "] {
                assert!(shown.contains(key), "{width}x{height} has no {key}:\n{shown}");
            }
        }
    }
}

#[test]
fn an_ask_shows_what_would_hide() {
    check("hostile-approval", hostile_approval);
}

#[test]
fn an_ask_waits_behind_a_full_composer() {
    check("waiting", waiting);
}

#[test]
fn asks_that_wait_are_counted_once_on_a_screen() {
    let mut scene = approval();
    scene.ask_to_fetch();
    for size in [(140, 50), (80, 24)] {
        let screen = text(&scene.draw(size).0);
        assert!(screen.contains("1 more"), "{screen}");
        assert!(!screen.contains("for you") && !screen.contains("1 approval pending"), "{screen}");
    }
}

#[test]
fn a_failed_turn_and_a_full_disk() {
    check("failed", failed);
}

#[test]
fn help_lists_every_key() {
    check("help", help);
}

#[test]
fn models_can_be_picked() {
    check("models", models);
}

#[test]
fn raw_frames_are_listed_with_their_times() {
    check("frames", frames);
}

#[test]
fn raw_frames_can_be_looked_back_at_and_filtered() {
    check("frames-filtered", frames_looked_back);
}

#[test]
fn a_raw_frame_is_laid_out_whole() {
    check("frame", a_frame_opened);
}

#[test]
fn what_servers_tell_beside_their_words_is_seen() {
    check("annotated", annotated);
}

#[test]
fn a_replay_has_a_bar() {
    check("replay", replay);
}

#[test]
fn commands_complete() {
    check("completing", completing);
}

#[test]
fn a_search_shows_what_it_finds() {
    check("search", search);
}

#[test]
fn the_outline_lists_prompts_and_headings() {
    check("outline", outline);
}

#[test]
fn a_source_is_shown_with_what_would_hide() {
    check("raw", raw);
}

#[test]
fn links_show_where_they_go() {
    check("links", links);
}

#[test]
fn the_panel_unfolds_the_selected_call() {
    check("panel", panel);
}

#[test]
fn every_scene_draws_at_any_size() {
    let scenes = [
        empty,
        streaming,
        approval,
        approval_selected,
        approval_whole,
        wrong_pattern,
        modes,
        never_ask,
        permitted,
        hostile_approval,
        waiting,
        failed,
        help,
        models,
        frames,
        a_frame_opened,
        annotated,
        replay,
        completing,
        panel,
    ];
    for make in scenes {
        let mut scene = make();
        for flipped in [false, true] {
            for width in [1, 2, 3, 4, 5, 7, 10, 20, 39, 60, 99, 100, 120] {
                for height in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 30] {
                    let (_, cursor) = scene.draw((width, height));
                    assert!(cursor.is_none_or(|(x, y)| x < width && y < height), "{width}x{height}");
                }
            }
            if !flipped {
                scene.act(Action::TogglePane(Pane::ToolPanel));
            }
        }
    }
}

#[test]
fn a_drawing_stays_inside_its_area() {
    let mut scene = approval();
    let whole = Rect::new(0, 0, 60, 20);
    let mut buf = Buffer::empty(whole);
    ui::draw(&scene.store, &mut scene.ui, Rect::new(5, 4, 40, 10), &mut buf);
    for y in 0..20 {
        for x in 0..60 {
            if !(5..45).contains(&x) || !(4..14).contains(&y) {
                assert_eq!(buf[(x, y)].symbol(), " ", "{x},{y}");
            }
        }
    }
}

/// One thing that happens between two frames.
#[derive(Clone, Debug)]
enum Step {
    Text(&'static str),
    Prompt,
    Call(bool),
    Output,
    Finish,
    Tick(u64),
    Action(usize),
    Type(&'static str),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let texts = [
        "word ",
        "line\n",
        "\n\n",
        "```rust\nlet a = 1;\n```\n",
        "- item\n",
        "[link](https://a.example/b) ",
        "| a | b |\n|-|-|\n",
    ];
    prop_oneof![
        8 => prop::sample::select(texts.to_vec()).prop_map(Step::Text),
        1 => Just(Step::Prompt),
        1 => any::<bool>().prop_map(Step::Call),
        1 => Just(Step::Output),
        1 => Just(Step::Finish),
        1 => (0..2000u64).prop_map(Step::Tick),
        5 => (0..ACTIONS.len()).prop_map(Step::Action),
        1 => prop::sample::select(vec!["/", "a", ""]).prop_map(Step::Type),
        1 => (0..SIZES.len()).prop_map(Step::Resize),
    ]
}

impl Scene {
    fn step(&mut self, number: usize, step: &Step) {
        let message = "m1";
        match step {
            Step::Text(part) => self.text(message, part),
            Step::Prompt => self.prompt(&format!("t{number}"), "a prompt"),
            Step::Call(true) => self.call(&format!("c{number}"), message, "shell", r#"{"command":"ls"}"#),
            Step::Call(false) => self.done("c0", CallOutcome::Ok, "one\ntwo\n"),
            Step::Output => self.output("c0", "a line\n"),
            Step::Finish => self.finished(message, FinishReason::End),
            Step::Tick(ms) => {
                self.now += ms;
                self.tick(self.now);
            }
            Step::Action(index) => match &ACTIONS[*index].handler {
                ActionHandler::Store(action) => self.act(action()),
                ActionHandler::View(action) => {
                    if let Some(msg) = self.ui.apply(&self.store, *action) {
                        self.msg(msg);
                    }
                }
            },
            Step::Type("") => drop(self.ui.panes.composer.take()),
            Step::Type(text) => self.ui.panes.composer.paste(text),
            Step::Resize(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_frame_drawn_over_the_last_looks_as_if_drawn_alone(steps in prop::collection::vec(step(), 1..60)) {
        let (mut over, mut alone) = (streaming(), streaming());
        over.message("m1");
        alone.message("m1");
        let mut area = Rect::new(0, 0, 80, 24);
        let mut buf = Buffer::empty(area);
        for (number, step) in steps.iter().enumerate() {
            let items = over.store.transcript.items().len();
            over.step(number, step);
            alone.step(number, step);
            if let Step::Resize(size) = step {
                area = Rect::new(0, 0, SIZES[*size].0, SIZES[*size].1);
                buf = Buffer::empty(area);
                over.ui.panes.transcript.forget_rows();
            }
            let is_more_text = matches!(step, Step::Text(_)) && items == over.store.transcript.items().len();
            if number > 0 && is_more_text {
                let before = buf.clone();
                if let Some((drawn, cursor)) = ui::redraw_text(&over.store, &mut over.ui, area, &mut buf) {
                    let (expected, expected_cursor) = alone.draw((area.width, area.height));
                    for at in area.positions() {
                        let looks_like = if drawn.contains(at) { &expected[at] } else { &before[at] };
                        prop_assert_eq!(&buf[at], looks_like, "at {:?} after {:?}", at, step);
                    }
                    prop_assert_eq!(cursor, expected_cursor);
                    if number % 2 == 0 {
                        continue;
                    }
                }
            }
            let cursor = ui::redraw(&over.store, &mut over.ui, area, &mut buf);
            let (expected, expected_cursor) = alone.draw((area.width, area.height));
            prop_assert_eq!(text(&buf), text(&expected), "after {:?}", step);
            prop_assert_eq!(&buf, &expected, "after {:?}", step);
            prop_assert_eq!(cursor, expected_cursor);
        }
    }
}
