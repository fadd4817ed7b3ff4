//! The cost of drawing, counted instead of timed: a frame touches the rows on screen, a token the open block, whatever
//! the length of the transcript. And discarding the layout cache changes no cell.

use crate::testkit::events::{turn_finished, turn_started, user_message};
use jarvis_tui::app::screen::Screen;
use jarvis_tui::event::{
    AgentEvent, CallId, CallOutcome, CallOutput, Envelope, ExecutedBy, FinishReason, MessageId, Millis, OutputStream,
    Role, Seq, TextKind, TurnOutcome,
};
use jarvis_tui::store::action::Action;
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::{Store, StoreOptions};
use jarvis_tui::ui::panes::transcript::{self, TranscriptView};
use jarvis_tui::ui::text_layout::LayoutCounters;
use jarvis_tui::ui::theme::{Theme, ThemeKind};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const ANSWER: &str = "# Title\n\nA paragraph with **bold** text and `code`, long enough to be wrapped on most screens.\n\n\
                      - one\n- two\n\n```rust\nfn main() {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nDone.\n";

struct WorkSession {
    store: Store,
    seq: Seq,
}

impl WorkSession {
    /// A session with `items` items: prompts, calls, answers and ends.
    fn new(items: usize) -> Self {
        let mut session = Self { store: Store::new(StoreOptions::default()), seq: Seq(0) };
        let mut turn = 0;
        while session.store.transcript.items().len() + 4 <= items {
            session.turn(turn);
            turn += 1;
        }
        session
    }

    fn event(&mut self, event: AgentEvent) {
        self.seq = self.seq.next();
        let envelope = Envelope { seq: self.seq, at: Millis(self.seq.0 * 10), event };
        self.store.update(Msg::Event(envelope), &mut Vec::new());
    }

    fn turn(&mut self, number: usize) {
        let message = MessageId::new(format!("m{number}"));
        let call = CallId::new(format!("c{number}"));
        self.event(turn_started(&format!("t{number}")));
        self.event(user_message(&format!("u{number}"), &format!("q {number:06}")));
        self.event(AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: message.clone(),
            name: Some("shell".into()),
            parent: None,
            executed_by: ExecutedBy::Client,
        });
        let args = "{\"command\":\"ls\"}".into();
        self.event(AgentEvent::ToolCallReady {
            call: call.clone(),
            name: "shell".into(),
            args,
            provider_metadata: None,
        });
        let output = CallOutput::from_text("a\nb\nc\nd\ne\n");
        self.event(AgentEvent::ToolCallFinished { call, outcome: CallOutcome::Ok, output, duration: Some(Millis(5)) });
        self.event(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
        self.say(&message, ANSWER);
        self.event(AgentEvent::MessageFinished {
            message,
            finish_reason: FinishReason::End,
            full_text: None,
            provider_metadata: None,
        });
        self.event(turn_finished(&format!("t{number}"), TurnOutcome::Completed));
    }

    /// Begins an answer that stays open.
    fn open(&mut self, text: &str) -> MessageId {
        let message = MessageId::new("open");
        self.event(turn_started("open"));
        self.event(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
        self.say(&message, text);
        message
    }

    fn say(&mut self, message: &MessageId, text: &str) {
        let (message, text) = (message.clone(), text.to_owned());
        self.event(AgentEvent::TextDelta { message, text, kind: TextKind::Text });
    }
}

fn frame(session: &WorkSession, view: &mut TranscriptView, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    transcript::draw(&session.store, view, &Theme::new(ThemeKind::Dark), true, area, &mut buf);
    buf
}

/// Draws once and returns the counters.
fn work(session: &WorkSession, view: &mut TranscriptView, width: u16) -> LayoutCounters {
    let before = view.counters();
    frame(session, view, width, 60);
    let after = view.counters();
    LayoutCounters {
        blocks_laid_out: after.blocks_laid_out - before.blocks_laid_out,
        bytes_laid_out: after.bytes_laid_out - before.bytes_laid_out,
        rows_written: after.rows_written - before.rows_written,
        bytes_split: after.bytes_split - before.bytes_split,
    }
}

#[test]
fn a_tick_lays_out_nothing() {
    let mut session = WorkSession::new(40);
    let message = session.open(ANSWER);
    let call = CallId::new("running");
    session.event(AgentEvent::ToolCallStarted {
        call: call.clone(),
        message: message.clone(),
        name: Some("shell".into()),
        parent: None,
        executed_by: ExecutedBy::Client,
    });
    session.event(AgentEvent::ToolCallReady { call, name: "shell".into(), args: "{}".into(), provider_metadata: None });
    session.event(AgentEvent::ReasoningDelta { message, text: "so".into() });
    let mut view = TranscriptView::new();
    frame(&session, &mut view, 80, 60);
    for second in 1..100 {
        let now = session.store.session.now.plus(Millis(second * 100));
        let before = frame(&session, &mut view, 80, 60);
        session.store.update(Msg::Tick(now), &mut Vec::new());
        let work = work(&session, &mut view, 80);
        assert_eq!((work.blocks_laid_out, work.bytes_split), (0, 0));
        assert_ne!(frame(&session, &mut view, 80, 60), before, "the spinner and the time move");
    }
}

/// Counters of: first frame, warm frame, a token, a token that ends a line, a resize, a page up, a token out of sight.
fn script(items: usize) -> Vec<LayoutCounters> {
    let mut session = WorkSession::new(items);
    let message = session.open(ANSWER);
    session.say(&message, "\nAnd");
    let mut view = TranscriptView::new();
    let mut all = vec![work(&session, &mut view, 200), work(&session, &mut view, 200)];
    session.say(&message, " more");
    all.push(work(&session, &mut view, 200));
    session.say(&message, ".\n");
    all.push(work(&session, &mut view, 200));
    all.push(work(&session, &mut view, 120));
    view.page(-1);
    all.push(work(&session, &mut view, 120));
    view.page(-1);
    work(&session, &mut view, 120);
    session.say(&message, "unseen");
    all.push(work(&session, &mut view, 120));
    all
}

#[test]
fn a_warm_frame_lays_out_nothing_and_a_token_one_block() {
    let work = script(100);
    let blocks: Vec<u64> = work.iter().map(|work| work.blocks_laid_out).collect();
    assert!((1..=60).contains(&blocks[0]), "{blocks:?}");
    assert_eq!(blocks[1..4], [0, 1, 1], "{blocks:?}");
    assert!((1..=60).contains(&blocks[4]), "{blocks:?}");
    assert!((1..=60).contains(&blocks[5]), "{blocks:?}");
    assert_eq!(blocks[6], 0, "{blocks:?}");
    assert!(work.iter().all(|work| work.rows_written <= 60), "{work:?}");
    assert_eq!(work[1].bytes_split, 0);
}

#[test]
fn the_work_is_the_same_at_a_hundred_and_at_a_hundred_thousand_items() {
    assert_eq!(script(100), script(100_000));
}

#[test]
fn a_token_costs_the_same_in_a_long_message() {
    for (prefix, unit) in [("", "A paragraph of some words.\n\n"), ("", "- an item\n"), ("```\n", "a line of code\n")] {
        let mut per_token = Vec::new();
        for repeats in [200, 8000] {
            let mut session = WorkSession::new(8);
            let message = session.open(&format!("{prefix}{}", unit.repeat(repeats)));
            let mut view = TranscriptView::new();
            work(&session, &mut view, 100);
            let mut most = LayoutCounters::default();
            for token in ["and", " so", " on", "\n", "next"] {
                session.say(&message, token);
                let work = work(&session, &mut view, 100);
                assert!(work.blocks_laid_out <= 1, "{token:?} into {unit:?}");
                most.blocks_laid_out = most.blocks_laid_out.max(work.blocks_laid_out);
                most.bytes_split = most.bytes_split.max(work.bytes_split);
            }
            per_token.push(most);
        }
        assert_eq!(per_token[0], per_token[1], "{unit:?}");
        assert!(per_token[1].bytes_split < 1000, "{unit:?} {per_token:?}");
    }
}

/// Blocks that nothing ends, to be repeated many times.
const ENDLESS: [&str; 20] = [
    "[",
    "![",
    "[a](",
    "**a ",
    "*a_b",
    "`` ` ",
    "<a ",
    "<b>",
    "$a ",
    "> ",
    "- ",
    "- > - > a\n",
    "> > a\n",
    "a\n",
    "a  \n",
    "<div>\n",
    "<div>\n\n",
    "| a | b ",
    "|-",
    "word ",
];

#[test]
fn a_token_into_a_block_without_an_end_lays_out_a_piece_of_it() {
    for unit in ENDLESS {
        let per_token = [100_000, 800_000].map(|size| {
            let mut session = WorkSession::new(8);
            let message = session.open(&unit.repeat(size / unit.len()));
            let mut view = TranscriptView::new();
            let first = work(&session, &mut view, 100);
            // Text that renders to nothing is skipped in pieces of 4 kB.
            assert!(first.blocks_laid_out <= 80 + size as u64 / 4000, "{unit:?} of {size} bytes: {first:?}");
            // Until one more piece was cut off, so that the cost of a token is known.
            let mut most = LayoutCounters::default();
            for _ in 0..3 {
                session.say(&message, &unit.repeat(5000 / unit.len()));
                let work = work(&session, &mut view, 100);
                most.bytes_laid_out = most.bytes_laid_out.max(work.bytes_laid_out);
                most.bytes_split = most.bytes_split.max(work.bytes_split);
            }
            most
        });
        let [small, large] = per_token;
        assert!(large.bytes_laid_out <= 80 * 1024 && large.bytes_split <= 160 * 1024, "{unit:?} {large:?}");
        if !unit.contains('\n') {
            assert!(large.bytes_laid_out <= 24 * 1024, "{unit:?} {large:?}");
            assert!(large.bytes_laid_out <= small.bytes_laid_out * 13 / 10, "{unit:?} {small:?} {large:?}");
        }
    }
}

#[test]
fn an_answer_without_an_end_costs_the_same_per_byte_however_long_it_gets() {
    for unit in ENDLESS {
        let [small, large] = [100_000, 400_000].map(|size: usize| {
            let mut session = WorkSession::new(8);
            let message = session.open("");
            let mut view = TranscriptView::new();
            let mut read = 0;
            let piece = unit.repeat(4000 / unit.len());
            for _ in 0..size / piece.len() {
                session.say(&message, &piece);
                let work = work(&session, &mut view, 100);
                read += work.bytes_laid_out + work.bytes_split;
            }
            read as f64 / size as f64
        });
        assert!(large <= small * 1.3, "{unit:?}: {small} and {large} bytes read for a byte");
    }
}

#[test]
fn an_answer_that_defines_no_links_is_not_read_once_more_when_it_ends() {
    for unit in ["A paragraph.\n\n", "- item\n", "See[^1].\n\n[^1]: a note\n\n", "word "] {
        let mut session = WorkSession::new(8);
        let message = session.open(&unit.repeat(40_000 / unit.len()));
        session.say(&message, "\n\nThe end.\n");
        let mut view = TranscriptView::new();
        work(&session, &mut view, 100);
        session.event(AgentEvent::MessageFinished {
            message,
            finish_reason: FinishReason::End,
            full_text: None,
            provider_metadata: None,
        });
        let last = work(&session, &mut view, 100);
        assert!(last.bytes_split < 500, "{unit:?} {last:?}");
    }
}

#[test]
fn a_word_draws_its_row_and_leaves_the_others() {
    let mut session = WorkSession::new(20);
    let message = session.open("");
    let (mut view, area) = (TranscriptView::new(), Rect::new(0, 0, 80, 60));
    let mut buf = Buffer::empty(area);
    let mut draw = |session: &WorkSession| {
        let before = view.counters().rows_written;
        view.reuse_last_frame();
        transcript::draw(&session.store, &mut view, &Theme::new(ThemeKind::Dark), true, area, &mut buf);
        view.counters().rows_written - before
    };
    assert!(draw(&session) > 40, "the first frame has every row");
    let rows: Vec<u64> = (0..100)
        .map(|_| {
            session.say(&message, "word ");
            draw(&session)
        })
        .collect();
    let wrapped = rows.iter().filter(|rows| **rows > 2).count();
    assert!(wrapped <= 100 * "word ".len() / 70, "{rows:?}");
}

/// Streams an answer of many screens, one word per frame; returns bytes per word and the frames in which rows were
/// moved.
fn streamed(columns: u16, rows: u16) -> (u64, u64) {
    let mut session = WorkSession::new(20);
    let message = session.open("");
    let mut view = TranscriptView::new();
    let mut screen = Screen::new(std::io::sink(), columns, rows);
    let answer = ANSWER.repeat(12);
    let words: Vec<&str> = answer.split_inclusive([' ', '\n']).collect();
    let mut before = screen.counters;
    for (number, word) in words.iter().enumerate() {
        session.say(&message, word);
        screen
            .draw(|area, buf| {
                transcript::draw(&session.store, &mut view, &Theme::new(ThemeKind::Dark), true, area, buf);
                Some((2, rows - 1))
            })
            .unwrap();
        if number == 0 {
            before = screen.counters;
        }
    }
    ((screen.counters.bytes - before.bytes) / words.len() as u64, screen.counters.shifts - before.shifts)
}

#[test]
fn a_streamed_word_costs_the_terminal_the_same_on_a_large_screen() {
    let (small, small_shifts) = streamed(80, 24);
    let (large, large_shifts) = streamed(80, 60);
    assert!(small < 60 && large < 60, "{small} and {large} bytes a word");
    assert!(small_shifts > 100 && large_shifts > 100, "{small_shifts} and {large_shifts}");
}

#[test]
fn a_row_of_a_table_costs_the_same_however_many_came_before() {
    let mut session = WorkSession::new(8);
    let message = session.open("| name | value |\n|---|---|\n");
    let mut view = TranscriptView::new();
    work(&session, &mut view, 100);
    let (mut most, mut halves) = (LayoutCounters::default(), 0);
    for n in 0..3000 {
        session.say(&message, &format!("| row {n} "));
        let cell = work(&session, &mut view, 100);
        session.say(&message, "| value |\n");
        let row = work(&session, &mut view, 100);
        if n > 20 {
            assert_eq!(cell.bytes_split, 0);
            halves += cell.blocks_laid_out;
        }
        most.blocks_laid_out = most.blocks_laid_out.max(row.blocks_laid_out);
        most.bytes_split = most.bytes_split.max(row.bytes_split);
    }
    // Half a row is not shown, except at the start of a part, which is a part without rows.
    assert!(halves < 3000 / 50, "{halves}");
    // A full part is laid out, and the one that begins.
    assert!(most.blocks_laid_out <= 3 && most.bytes_split <= 20_000, "{most:?}");
}

#[test]
fn rows_that_lack_most_of_their_cells_lay_out_a_bounded_number_of_them_a_frame() {
    const ROW: &str = "|b|\n";
    for columns in [8, 20, 100, 127] {
        let mut session = WorkSession::new(8);
        let message = session.open(&format!("{}|\n{}|\n", "|a".repeat(columns), "|-".repeat(columns)));
        let mut view = TranscriptView::new();
        work(&session, &mut view, 100);
        for frame in 0..100 {
            session.say(&message, &ROW.repeat(100));
            let work = work(&session, &mut view, 100);
            let cells = work.bytes_laid_out as usize / ROW.len() * columns;
            // At most two parts, and the header.
            assert!(cells <= 40_000, "{columns} columns, frame {frame}: {cells} cells");
            assert!(work.bytes_split <= 10_000, "{columns} columns, frame {frame}: {work:?}");
        }
    }
}

#[test]
fn a_spinner_lays_nothing_out() {
    let mut session = WorkSession::new(8);
    session.event(turn_started("t"));
    let (call, name) = (CallId::from("run"), "shell".to_owned());
    session.event(AgentEvent::ToolCallReady {
        call,
        name,
        args: "{\"command\":\"sleep\"}".into(),
        provider_metadata: None,
    });
    let mut view = TranscriptView::new();
    let first = frame(&session, &mut view, 80, 24);
    let before = view.counters().blocks_laid_out;
    session.store.update(Msg::Tick(Millis(60_000)), &mut Vec::new());
    let second = frame(&session, &mut view, 80, 24);
    assert_eq!(view.counters().blocks_laid_out, before);
    assert_ne!(first, second);
}

#[test]
fn arguments_are_read_once_however_much_a_call_prints() {
    let mut session = WorkSession::new(8);
    session.event(turn_started("t"));
    let (call, name) = (CallId::from("run"), "shell".to_owned());
    let args = format!("{{\"command\":\"cat <<END\\n{}END\"}}", "a line\\n".repeat(2000));
    let length = args.len() as u64;
    session.event(AgentEvent::ToolCallReady { call: call.clone(), name, args, provider_metadata: None });
    let mut view = TranscriptView::new();
    let mut read = work(&session, &mut view, 80).bytes_split;
    for n in 0..200 {
        let text = format!("line {n}\n");
        session.event(AgentEvent::ToolOutput { call: call.clone(), stream: OutputStream::Stdout, text });
        let work = work(&session, &mut view, 80);
        read += work.bytes_split;
        assert!(work.blocks_laid_out <= 3, "{work:?}");
    }
    // Output of the other calls on the screen is small.
    assert!((length..length + 1000).contains(&read), "{read} of {length}");
}

#[test]
fn what_is_kept_stays_bounded() {
    let session = WorkSession::new(20_000);
    let mut view = TranscriptView::new();
    for _ in 0..300 {
        frame(&session, &mut view, 100, 60);
        view.page(-1);
        assert!(view.cached_bytes() <= 1 << 20);
    }
}

#[derive(Clone, Debug)]
enum WorkStep {
    Scroll(i32),
    Page(i32),
    Start,
    End,
    PreviousPrompt,
    NextPrompt,
    SelectUp,
    SelectDown,
    Say(&'static str),
    Turn,
    Thinking,
    Outputs,
    Resize(u16, u16),
}

fn step() -> impl Strategy<Value = WorkStep> {
    prop_oneof![
        (-30i32..30).prop_map(WorkStep::Scroll),
        (-3i32..3).prop_map(WorkStep::Page),
        Just(WorkStep::Start),
        Just(WorkStep::End),
        Just(WorkStep::PreviousPrompt),
        Just(WorkStep::NextPrompt),
        Just(WorkStep::SelectUp),
        Just(WorkStep::SelectDown),
        proptest::sample::select(&["word ", "\n", "\n\n- item", "```\ncode\n", "| a |\n|---|\n", "\x1b[1m# x\n"][..])
            .prop_map(WorkStep::Say),
        Just(WorkStep::Turn),
        Just(WorkStep::Thinking),
        Just(WorkStep::Outputs),
        (1u16..120, 1u16..40).prop_map(|(width, height)| WorkStep::Resize(width, height)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cold_frame_is_the_warm_frame(steps in proptest::collection::vec(step(), 1..25)) {
        let mut session = WorkSession::new(24);
        let message = session.open("Begin");
        let mut view = TranscriptView::new();
        let (mut width, mut height) = (80, 24);
        for step in steps {
            match step {
                WorkStep::Scroll(rows) => view.scroll(rows),
                WorkStep::Page(pages) => view.page(pages),
                WorkStep::Start => view.to_start(),
                WorkStep::End => view.to_end(),
                WorkStep::PreviousPrompt => view.previous_prompt(),
                WorkStep::NextPrompt => view.next_prompt(),
                WorkStep::SelectUp => view.select_up(),
                WorkStep::SelectDown => view.select_down(),
                WorkStep::Say(text) => session.say(&message, text),
                WorkStep::Turn => session.turn(1000 + session.seq.0 as usize),
                WorkStep::Thinking => session.store.update(Msg::Action(Action::ToggleThinking), &mut Vec::new()),
                WorkStep::Outputs => session.store.update(Msg::Action(Action::ToggleOutputs), &mut Vec::new()),
                WorkStep::Resize(to_width, to_height) => (width, height) = (to_width, to_height),
            }
            let warm = frame(&session, &mut view, width, height);
            let again = frame(&session, &mut view, width, height);
            prop_assert_eq!(text(&warm, width), text(&again, width));
            view.forget();
            let cold = frame(&session, &mut view, width, height);
            prop_assert_eq!(text(&warm, width), text(&cold, width));
        }
    }
}

/// Returns all cells except the scroll bar's, which is based on estimates.
fn text(buf: &Buffer, width: u16) -> Vec<String> {
    let last = if width >= 24 { width - 1 } else { width };
    (0..buf.area.height).map(|y| (0..last).map(|x| buf[(x, y)].symbol()).collect()).collect()
}
