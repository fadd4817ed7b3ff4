use super::*;
use crate::event::{AgentEvent, CallOutput, Envelope, Millis, Seq};
use crate::store::msg::Msg;

fn store(calls: u64) -> Store {
    let mut store = Store::new(crate::store::StoreOptions::default());
    let mut tell = |event| {
        let envelope = Envelope { seq: store.last_seq().next(), at: Millis(0), event };
        store.update(Msg::Event(envelope), &mut Vec::new());
    };
    for n in 0..calls {
        let call = format!("c{n}");
        let (call, args) = (call.as_str().into(), format!("{{\"path\":\"f{n}\"}}"));
        tell(AgentEvent::ToolCallReady { call, name: "read".into(), args, provider_metadata: None });
        let call = format!("c{n}").as_str().into();
        let output = CallOutput::from_text(format!("one {n}\ntwo\nthree"));
        tell(AgentEvent::ToolCallFinished { call, outcome: CallOutcome::Ok, output, duration: Some(Millis(5)) });
    }
    assert_eq!(store.last_seq(), Seq(calls * 2));
    store
}

fn shown(store: &Store, view: &mut ToolPanelView, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, 24, height + 1);
    let mut buf = Buffer::empty(area);
    draw(store, view, true, Theme::default(), area, &mut buf);
    let row = |y| (2..24).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (1..=height).map(row).collect()
}

#[test]
fn the_newest_calls_fill_the_panel_from_the_bottom() {
    let store = store(100);
    let rows = shown(&store, &mut ToolPanelView::default(), 3);
    assert_eq!(rows, ["✓ read f97        5ms", "✓ read f98        5ms", "✓ read f99        5ms"]);
}

#[test]
fn the_selected_call_is_in_sight_and_unfolds() {
    let store = store(100);
    let mut view = ToolPanelView::default();
    view.select_first(&store);
    view.select_down(&store);
    assert_eq!(view.call(&store).map(|call| call.id.as_str()), Some("c1"));
    view.handle(&store, UiAction::FoldSelected);
    let rows = shown(&store, &mut view, 6);
    assert_eq!(
        rows,
        ["✓ read f0         5ms", "✓ read f1         5ms", "  path f1", "  │ one 1", "  │ two", "  │ three"]
    );
    view.scroll_down(99);
    assert_eq!(shown(&store, &mut view, 3), ["  │ one 1", "  │ two", "  │ three"]);
}

#[test]
fn a_wheel_goes_through_a_long_call_and_on_to_the_next() {
    let store = store(3);
    let mut view = ToolPanelView::default();
    view.select_first(&store);
    view.handle(&store, UiAction::FoldSelected);
    let mut places = Vec::new();
    for rows in [3, 3, 3, -3, -3] {
        shown(&store, &mut view, 3);
        view.wheel(&store, rows);
        places.push((view.selected, view.scroll));
    }
    // Five rows, three in sight: two more, though the wheel turned three.
    assert_eq!(places, [(Some(0), 3), (Some(1), 0), (Some(2), 0), (Some(1), 0), (Some(0), 0)]);
}

#[test]
fn past_the_newest_the_panel_follows_again() {
    let store = store(2);
    let mut view = ToolPanelView::default();
    view.select_up(&store);
    assert_eq!(view.selected, Some(1));
    view.select_down(&store);
    assert_eq!((view.selected, view.scroll), (None, 0));
}

#[test]
fn an_older_call_that_runs_stays_in_sight_and_is_counted() {
    let mut store = store(0);
    let mut tell = |event| {
        let envelope = Envelope { seq: store.last_seq().next(), at: Millis(0), event };
        store.update(Msg::Event(envelope), &mut Vec::new());
    };
    let ready = |call: &str| AgentEvent::ToolCallReady {
        call: call.into(),
        name: call.into(),
        args: "{}".into(),
        provider_metadata: None,
    };
    let done = |call: &str, outcome| AgentEvent::ToolCallFinished {
        call: call.into(),
        outcome,
        output: CallOutput::from_text(String::new()),
        duration: None,
    };
    tell(ready("long"));
    for n in 0..9 {
        tell(ready(&format!("c{n}")));
        tell(done(&format!("c{n}"), if n == 3 { CallOutcome::Failed } else { CallOutcome::Ok }));
    }
    let mut view = ToolPanelView::default();
    let rows = shown(&store, &mut view, 3);
    assert!(rows[0].contains("long") && rows[1].contains("c7") && rows[2].contains("c8"), "{rows:?}");
    let words: Vec<String> = title(&store, false).into_iter().map(|part| part.parts[0].0.clone()).collect();
    assert_eq!(words, ["Tools", "10 calls", "1 running", "1 failed"]);
}

#[test]
fn a_new_call_or_keys_elsewhere_make_it_follow() {
    let mut view = ToolPanelView::default();
    let area = Rect::new(0, 0, 24, 4);
    let see = |view: &mut ToolPanelView, calls, focused| {
        draw(&store(calls), view, focused, Theme::default(), area, &mut Buffer::empty(area));
        view.selected
    };
    view.selected = Some(0);
    assert_eq!(see(&mut view, 2, true), Some(0));
    assert_eq!(see(&mut view, 3, true), Some(0), "it is being read");
    assert_eq!(see(&mut view, 3, false), None);
    view.selected = Some(0);
    assert_eq!(see(&mut view, 3, false), Some(0));
    assert_eq!(see(&mut view, 4, false), None);
}

#[test]
fn a_redrawn_line_is_shown_as_it_was_last() {
    let text = "10 %\r50 %\r100 %\n";
    assert_eq!(output(text, 20, 9), ["100 %"]);
    assert_eq!(value_rows("rm\r# fine", 20, 9), ["rm# fine"], "an argument hides nothing");
}
