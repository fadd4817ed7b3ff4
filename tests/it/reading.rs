//! A readable transcript: one session with every kind of item, at six widths.

use crate::testkit::events::{
    Opened, message_finished, message_started, text_delta, turn_finished, turn_started, user_message,
};
use jarvis_tui::event::{
    AgentEvent, CallId, CallOutcome, CallOutput, Envelope, ExecutedBy, FinishReason, Millis, Seq, TurnOutcome, Usage,
    UsageScope,
};
use jarvis_tui::store::action::Action;
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::{Store, StoreOptions};
use jarvis_tui::ui::panes::transcript::{self, TranscriptView};
use jarvis_tui::ui::text_layout::links::link_number;
use jarvis_tui::ui::theme::{Theme, ThemeKind, link_of};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const ANSWER: &str = include_str!("../golden/reading/answer.md");

pub(crate) struct ReadingSession {
    store: Store,
    view: TranscriptView,
    seq: u64,
    now: u64,
}

impl ReadingSession {
    pub(crate) fn new() -> Self {
        let store = Store::new(StoreOptions { fold_outputs: false, ..StoreOptions::default() });
        let mut session = Self { store, view: TranscriptView::new(), seq: 0, now: 0 };
        session.event(
            Opened { wall_ms: 1_763_000_000_000, folder: "/home/ada", price: Some((1.0, 2.0)), ..Opened::default() }
                .event(),
        );
        session.event(turn_started("t"));
        session.event(user_message("u", "Fix the sum, please"));
        session.event(message_started("m"));
        session
    }

    fn event(&mut self, event: AgentEvent) {
        self.seq += 1;
        self.now += 1500;
        let envelope = Envelope { seq: Seq(self.seq), at: Millis(self.now), event };
        self.store.update(Msg::Event(envelope), &mut Vec::new());
    }

    fn call(&mut self, name: &str, args: &str, output: &str) {
        let call = CallId::new(format!("c{}", self.seq));
        self.event(AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: "m".into(),
            name: Some(name.into()),
            parent: None,
            executed_by: ExecutedBy::Client,
        });
        self.event(AgentEvent::ToolCallReady {
            call: call.clone(),
            name: name.into(),
            args: args.into(),
            provider_metadata: None,
        });
        let (outcome, output) = (CallOutcome::Ok, CallOutput::from_text(output));
        self.event(AgentEvent::ToolCallFinished { call, outcome, output, duration: Some(Millis(340)) });
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.event(text_delta("m", text));
    }

    pub(crate) fn end(&mut self) {
        self.event(message_finished("m", FinishReason::End));
        let usage = Usage { input_tokens: 12_000, output_tokens: 3_400, ..Usage::default() };
        self.event(AgentEvent::UsageReported { scope: UsageScope::Turn, usage });
        self.event(turn_finished("t", TurnOutcome::Completed));
    }

    pub(crate) fn draw(&mut self, width: u16, height: u16) -> Buffer {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        transcript::draw(&self.store, &mut self.view, &Theme::new(ThemeKind::Dark), false, area, &mut buf);
        buf
    }
}

fn text(buf: &Buffer) -> String {
    let rows = (0..buf.area.height).map(|y| {
        let mut row = String::new();
        let mut x = 0;
        while x < buf.area.width {
            let symbol = buf[(x, y)].symbol();
            row.push_str(symbol);
            x += (jarvis_tui::text::width::str_width(symbol) as u16).max(1);
        }
        row.trim_end().to_owned()
    });
    let rows: Vec<String> = rows.collect();
    rows.join("\n").trim_end().to_owned()
}

/// Snapshots beside those of whole screens.
fn check(name: &str, picture: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, picture));
}

#[test]
fn an_answer_reads_well_at_any_width() {
    for (width, height) in [(1, 2600), (2, 1400), (20, 300), (40, 160), (80, 130), (140, 120)] {
        let mut session = ReadingSession::new();
        session.say(ANSWER);
        session.end();
        check(&format!("reading-answer-{width}"), &text(&session.draw(width, height)));
    }
}

#[test]
fn calls_say_what_they_are_about_at_any_width() {
    for (width, height) in [(1, 1600), (2, 800), (20, 120), (40, 90), (80, 80), (140, 80)] {
        let mut session = ReadingSession::new();
        session.event(AgentEvent::ReasoningDelta { message: "m".into(), text: "Look first.".into() });
        session.call("search", r#"{"pattern":"fn sum","path":"src"}"#, "src/a.rs:3: fn sum() {\n");
        let edit =
            r#"{"path":"src/a.rs","old_string":"fn sum() {\n    0\n}\n","new_string":"fn sum() {\n    1 + 1\n}\n"}"#;
        session.call("edit_file", edit, "changed");
        session.call("write_file", r##"{"path":"a.py","content":"# sum\nprint(1)\n"}"##, "written");
        let forecast = r#"{"city":"Berlin","days":[{"max":21.5,"rain":false}],"源":"x"}"#;
        session.call("weather", r#"{"where":{"city":"Berlin"},"days":[1,2]}"#, forecast);
        session.call("shell", r#"{"command":"git diff"}"#, "diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n");
        session.say("Done.");
        session.end();
        session.store.update(Msg::Action(Action::CycleTimestamps), &mut Vec::new());
        check(&format!("reading-calls-{width}"), &text(&session.draw(width, height)));
    }
}

#[test]
fn a_link_rides_in_its_cells_and_its_target_is_shown_when_asked() {
    let mut session = ReadingSession::new();
    session.say("See [the docs](https://docs.example/a) and [bank.example](https://evil.example).");
    session.end();
    let buf = session.draw(100, 12);
    let shown = text(&buf);
    assert!(shown.contains("See the docs and bank.example (https://evil.example)."), "{shown}");
    let cell = buf.content.iter().find(|cell| cell.symbol() == "d" && link_of(cell.underline_color).is_some());
    let linked = cell.and_then(|cell| link_of(cell.underline_color)).unwrap();
    assert_eq!(linked, link_number("https://docs.example/a"));
    assert_eq!(session.view.links().get(linked), Some("https://docs.example/a"));
    session.store.update(Msg::Action(Action::ToggleLinkTargets), &mut Vec::new());
    let shown = text(&session.draw(100, 12));
    assert!(shown.contains("See the docs (https://docs.example/a) and bank.example"), "{shown}");
}

#[test]
fn times_stand_at_the_right_and_the_clock_knows_the_zone() {
    let mut session = ReadingSession::new();
    session.say("Hello.");
    session.end();
    session.store.update(Msg::Action(Action::CycleTimestamps), &mut Vec::new());
    assert!(text(&session.draw(40, 8)).contains("please           +0:04\n"), "{}", text(&session.draw(40, 8)));
    session.store.update(Msg::Action(Action::CycleTimestamps), &mut Vec::new());
    session.view.utc_offset_secs = 3600;
    assert!(text(&session.draw(40, 8)).contains("03:13:26"), "{}", text(&session.draw(40, 8)));
    session.store.update(Msg::Action(Action::CycleTimestamps), &mut Vec::new());
    assert!(!text(&session.draw(40, 8)).contains("03:13"));
    assert!(text(&session.draw(80, 8)).contains("12k in, 3.4k out · $0.0188"));
}

const RIGHT_TO_LEFT: &str = "שלום עולם, זוהי שורה ארוכה עם `קוד` ועם **הדגשה** באמצע, 123 ו־English.\n\n\
    - مرحبا بالعالم، هذا سطر طويل\n- פריט\n\n> ציטוט בעברית שנמשך ונמשך\n\n\
    | שם | name | מספר |\n|---|:---:|--:|\n| שָׁלוֹם | hello | ١٢٣ |\n| مَرْحَبًا | 漢字 | 45 |\n";

/// The order in which letters are displayed is up to the terminal: rows keep them as written, nothing is inserted
/// between them, and their surroundings stay in the same column.
#[test]
fn right_to_left_text_keeps_its_order_and_its_cells_at_any_width() {
    let letters = |text: &str| -> String { text.chars().filter(|c| ('\u{590}'..'\u{780}').contains(c)).collect() };
    for width in 1..=140 {
        let mut session = ReadingSession::new();
        session.say(RIGHT_TO_LEFT);
        session.end();
        let buf = session.draw(width, 400);
        let shown = text(&buf);
        if width > 40 {
            assert_eq!(letters(&shown), letters(RIGHT_TO_LEFT), "{width}");
            let table: Vec<&str> = shown.lines().skip_while(|row| !row.contains("name")).take(4).collect();
            let edges = |row: &str| -> Vec<usize> {
                let edge = |(at, c)| matches!(c, '│' | '┼').then(|| jarvis_tui::text::width::str_width(&row[..at]));
                row.char_indices().filter_map(edge).collect()
            };
            assert!(table.iter().all(|row| edges(row).len() == 2 && edges(row) == edges(table[0])), "{width}\n{shown}");
            let quote: Vec<&str> = shown.lines().filter(|row| row.contains('▎')).collect();
            assert!(quote.iter().all(|row| row.starts_with("   ▎ ")), "{width}\n{shown}");
        }
        for y in 0..buf.area.height {
            let mut x = 0;
            while x < width {
                let cells = jarvis_tui::text::width::str_width(buf[(x, y)].symbol()).max(1);
                x += cells as u16;
            }
            assert_eq!(x, width, "row {y} at {width}");
        }
    }
}
