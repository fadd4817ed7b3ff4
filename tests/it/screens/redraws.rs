//! Tests of any screen at any size, and of frames that are drawn over the last one.

use jarvis_tui::event::{CallOutcome, FinishReason};
use jarvis_tui::store::action::Action;
use jarvis_tui::store::action_table::{ACTIONS, ActionHandler};
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::pane::Pane;
use jarvis_tui::ui::{self};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::SIZES;
use super::scene::{Scene, text};
use super::scenes::*;

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
        sessions,
        palette,
        frames,
        a_frame_opened,
        annotated,
        replay,
        completing,
        panel,
        tabs,
        inbox,
        looked_away,
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

#[test]
fn a_panel_that_covered_the_transcript_leaves_nothing_of_itself() {
    let mut scene = streaming();
    let area = Rect::new(0, 0, 80, 24);
    let mut buf = Buffer::empty(area);
    ui::redraw(&scene.store, &mut scene.ui, area, &mut buf);
    let before = text(&buf);
    scene.act(Action::TogglePane(Pane::ToolPanel));
    ui::redraw(&scene.store, &mut scene.ui, area, &mut buf);
    assert_ne!(text(&buf), before);
    scene.act(Action::TogglePane(Pane::ToolPanel));
    ui::redraw(&scene.store, &mut scene.ui, area, &mut buf);
    assert_eq!(text(&buf), before);
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
    /// Another session is shown.
    Reset,
    Look(bool),
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
        1 => Just(Step::Reset),
        2 => any::<bool>().prop_map(Step::Look),
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
            Step::Reset => self.msg(Msg::Reset),
            Step::Look(is_looking) => self.msg(Msg::Looking(*is_looking)),
        }
    }
}

#[test]
fn another_session_leaves_nothing_of_the_welcome_before_it() {
    let mut scene = streaming();
    let area = Rect::new(0, 0, 80, 24);
    let mut buf = Buffer::empty(area);
    ui::redraw(&scene.store, &mut scene.ui, area, &mut buf);
    scene.msg(Msg::Reset);
    ui::redraw(&scene.store, &mut scene.ui, area, &mut buf);
    assert!(text(&buf).contains("jarvis-tui"));
    scene.prompt("t9", "again");
    ui::redraw(&scene.store, &mut scene.ui, area, &mut buf);
    let (expected, _) = scene.draw((80, 24));
    assert_eq!(text(&buf), text(&expected));
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
