//! The pointer: dragging copies the source, a click folds, follows the marker and places the cursor.

use super::*;
use crate::event::{CallOutcome, FinishReason};
use crate::testkit::events::{call_finished, message_finished, text_delta, user_message};

fn draw(rig: &mut ChatRig, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, 80, height);
    let mut buf = Buffer::empty(area);
    let ChatController { store, ui, .. } = &mut rig.chat;
    ui::draw(store, ui, area, &mut buf);
    (0..height).map(|y| (0..80).map(|x| buf[(x, y)].symbol()).collect()).collect()
}

/// Returns the cells of the first and the last letter of a text on the screen.
fn cells(rows: &[String], text: &str) -> ((u16, u16), (u16, u16)) {
    let (y, row) = rows.iter().enumerate().find(|(_, row)| row.contains(text)).unwrap_or_else(|| panic!("{rows:#?}"));
    let x = row[..row.find(text).unwrap()].chars().count() as u16;
    ((x, y as u16), (x + text.chars().count() as u16 - 1, y as u16))
}

fn click(rig: &mut ChatRig, (column, row): (u16, u16)) {
    rig.chat.input(Input::Click { column, row }, rig.began, rig.clock);
    rig.chat.input(Input::Release { column, row }, rig.began, rig.clock);
}

fn drag(rig: &mut ChatRig, from: (u16, u16), to: (u16, u16)) {
    rig.chat.input(Input::Click { column: from.0, row: from.1 }, rig.began, rig.clock);
    rig.chat.input(Input::Drag { column: to.0, row: to.1 }, rig.began, rig.clock);
    rig.chat.input(Input::Release { column: to.0, row: to.1 }, rig.began, rig.clock);
}

fn answered(text: &str) -> ChatRig {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.event(user_message("u1", "ask"));
    rig.event(message_started("m1"));
    rig.event(text_delta("m1", text));
    rig.event(message_finished("m1", FinishReason::End));
    rig.effects();
    rig
}

#[test]
fn dragging_copies_the_source_of_what_it_marks() {
    let mut rig = answered("Some **bold** words.\n\n- one\n- two `code`\n");
    let rows = draw(&mut rig, 24);
    let (from, to) = (cells(&rows, "bold").0, cells(&rows, "two code").1);
    drag(&mut rig, from, to);
    let copied = |effect: &Effect| match effect {
        Effect::Copy(copy) => Some(copy.text.clone()),
        _ => None,
    };
    let texts: Vec<String> = rig.effects().iter().filter_map(copied).collect();
    assert_eq!(texts, ["bold** words.\n\n- one\n- two `code"]);
    assert_eq!(rig.chat.store.focus.pane, Pane::Composer);
    // The mark is on the screen until the next key, and no longer.
    let marked = |rig: &mut ChatRig| {
        let area = Rect::new(0, 0, 80, 24);
        let mut buf = Buffer::empty(area);
        let ChatController { store, ui, .. } = &mut rig.chat;
        ui::draw(store, ui, area, &mut buf);
        buf[from].modifier.contains(ratatui::style::Modifier::REVERSED)
    };
    assert!(marked(&mut rig));
    rig.press(&["x"]);
    assert!(!marked(&mut rig));
}

#[test]
fn a_click_folds_a_card_and_follows_the_marker() {
    let mut rig = answered("Hello.\n");
    rig.event(call_started("c1", "m1", Some("shell")));
    rig.event(call_ready("c1", "shell", r#"{"command":"ls"}"#));
    rig.event(call_finished("c1", CallOutcome::Ok, &"line\n".repeat(40)));
    rig.effects();
    let rows = draw(&mut rig, 24);
    let card = cells(&rows, "shell ls").0;
    let count = |rows: &[String]| rows.iter().filter(|row| row.contains("│ line")).count();
    assert_eq!(count(&rows), 3);
    click(&mut rig, card);
    assert!(count(&draw(&mut rig, 24)) > 10);
    rig.chat.input(Input::Wheel { rows: -9, column: 4, row: 4 }, rig.began, rig.clock);
    draw(&mut rig, 24);
    rig.event(message_started("m2"));
    rig.event(text_delta("m2", "more of it"));
    let rows = draw(&mut rig, 24);
    click(&mut rig, cells(&rows, "↓ 1 new").0);
    assert!(rig.chat.ui.panes.transcript.is_following());
}

#[test]
fn a_click_places_the_cursor_in_the_composer() {
    let mut rig = ChatRig::agent();
    rig.paste("first line\nsecond 漢字 line");
    let rows = draw(&mut rig, 24);
    click(&mut rig, cells(&rows, "first").1);
    rig.press(&["X"]);
    assert_eq!(rig.text(), "firsXt line\nsecond 漢字 line");
    let rows = draw(&mut rig, 24);
    let row = rows.iter().position(|row| row.contains("second")).unwrap() as u16;
    // Two of the cells are one letter.
    let column = cells(&rows, "second").0.0 + 9;
    click(&mut rig, (column, row));
    rig.press(&["Y"]);
    assert_eq!(rig.text(), "firsXt line\nsecond 漢Y字 line");
    draw(&mut rig, 24);
    click(&mut rig, (79, row));
    rig.press(&["Z"]);
    assert_eq!(rig.text(), "firsXt line\nsecond 漢Y字 lineZ");
}
