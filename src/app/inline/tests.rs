//! Frames as bytes: what is printed for good, and what is erased.

use super::*;
use crate::event::{AgentEvent, Envelope, FinishReason, Millis, TurnOutcome};
use crate::store::msg::Msg;
use crate::testkit::events::{
    LIVE, Opened, message_finished, message_started, text_delta, turn_finished, turn_started, user_message,
};
use crate::testkit::ui::dark_ui;

struct InlineRig {
    store: Store,
    ui: Ui,
    screen: InlineScreen,
}

impl InlineRig {
    fn new() -> Self {
        let mut rig = Self { store: Store::default(), ui: dark_ui(), screen: InlineScreen::new((60, 24), true) };
        rig.fold([Opened { capabilities: LIVE, ..Opened::default() }.event()]);
        rig
    }

    fn fold(&mut self, events: impl IntoIterator<Item = AgentEvent>) {
        for event in events {
            let seq = self.store.last_seq().next();
            self.store.update(Msg::Event(Envelope { seq, at: Millis(seq.0), event }), &mut Vec::new());
        }
    }

    fn frame(&mut self) -> String {
        let mut bytes = Vec::new();
        self.screen.draw(&self.store, &mut self.ui, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

#[test]
fn a_finished_line_is_printed_once_and_a_frame_without_news_writes_nothing() {
    let mut rig = InlineRig::new();
    let mut all = rig.frame();
    assert_eq!(rig.frame(), "");
    rig.fold([turn_started("t1"), user_message("m1", "go"), message_started("m2")]);
    for nth in 0..40 {
        rig.fold([text_delta("m2", &format!("Line {nth} of it.\n\n"))]);
        all.push_str(&rig.frame());
        if nth % 7 == 0 {
            rig.screen.resize(if nth % 2 == 0 { 140 } else { 60 }, 24);
            all.push_str(&rig.frame());
        }
    }
    rig.fold([message_finished("m2", FinishReason::End), turn_finished("t1", TurnOutcome::Completed)]);
    all.push_str(&rig.frame());
    for nth in 0..40 {
        // In the live part no row ends so.
        assert_eq!(all.matches(&format!("Line {nth} of it.\r\n")).count(), 1, "{nth}");
    }
    assert!(!all.contains("\x1b[?1049h") && !all.contains("\x1b[?1002h"));
    let mut end = Vec::new();
    rig.screen.wipe(&mut end).unwrap();
    assert!(String::from_utf8(end).unwrap().contains("\r\x1b[J"));
}

#[test]
fn while_text_comes_and_nothing_is_typed_the_cursor_rests_on_the_first_row() {
    let mut rig = InlineRig::new();
    rig.fold([turn_started("t1"), user_message("m1", "go"), message_started("m2"), text_delta("m2", "So")]);
    rig.frame();
    assert_eq!(rig.screen.cursor, (0, 0));
    rig.ui.panes.composer.set_text("typed");
    rig.frame();
    assert!(rig.screen.cursor.1 > 0);
    let up = rig.screen.cursor.1;
    rig.fold([text_delta("m2", " it goes.\n\nAnd on")]);
    assert!(rig.frame().contains(&format!("\x1b[{up}A\r\x1b[J")), "from there the rows above are counted");
}

#[test]
fn rows_above_the_cursor_are_counted_as_a_narrower_window_breaks_them() {
    let up = |reflows| {
        let mut screen = InlineScreen::new((140, 24), reflows);
        (screen.widths, screen.cursor) = (vec![130, 0, 60, 9], (70, 3));
        screen.resize(60, 24);
        let mut bytes = Vec::new();
        screen.go_to_first_row(&mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(up(true), "\x1b[6A", "3, 1 and 1 above, and one of its own");
    assert_eq!(up(false), "\x1b[3A", "where rows are cut, nothing finished may be erased");
}

#[test]
fn a_list_takes_the_alternate_screen_and_gives_it_back() {
    use crate::store::action::Action;
    let mut rig = InlineRig::new();
    rig.frame();
    assert!(!wants_full_screen(&rig.store, &rig.ui));
    rig.store.update(Msg::Action(Action::OpenHelp), &mut Vec::new());
    assert!(wants_full_screen(&rig.store, &rig.ui));
    let mut bytes = Vec::new();
    rig.screen.set_full(true, &mut bytes).unwrap();
    rig.screen.set_full(false, &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (wiped, entered, left) = (text.find("\x1b[J"), text.find("\x1b[?1049h"), text.find("\x1b[?1049l"));
    assert!(wiped < entered && entered < left && wiped.is_some(), "{text:?}");
}
