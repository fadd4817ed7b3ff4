//! A hand that slips: typing where keys are commands, clicks, quitting and sending by the way.

use super::*;
use crate::event::{NoticeLevel, QueuedPrompt, Role, TextKind, TurnOutcome};
use crate::store::links::LinkTarget;
use crate::store::overlay::links::LinkList;
use crate::testkit::events::{turn_finished, user_message};

/// A link, a file, a code block: something for each letter that could do harm.
const ANSWER_WITH_LINKS: &str = "See [a](https://a.example), [b](https://b.example), <https://c.example> and `x`.\n\n```\nrm -r x\n```\n\n```\nls\n```\n";

impl ChatRig {
    fn answered() -> Self {
        let mut rig = Self::agent();
        for nth in 0..8 {
            let message = crate::event::MessageId::new(format!("m{nth}"));
            rig.event(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
            rig.event(AgentEvent::TextDelta { message, text: ANSWER_WITH_LINKS.into(), kind: TextKind::Text });
        }
        rig.draw();
        rig.effects();
        rig
    }

    fn draw(&mut self) {
        let area = Rect::new(0, 0, 120, 24);
        let ChatController { store, ui, .. } = &mut self.chat;
        ui::draw(store, ui, area, &mut Buffer::empty(area));
    }

    /// Types, with that many milliseconds between two keys, and a frame after each.
    fn types(&mut self, text: &str, gap: u64) {
        for c in text.chars() {
            self.wait(gap);
            let now = self.began + Duration::from(self.clock);
            self.chat.input(Input::Key(Chord::plain(Key::Char(c))), now, self.clock);
            self.draw();
        }
    }

    fn go(&mut self, pane: Pane) {
        self.chat.update(Msg::Action(Action::Focus(pane)));
        self.draw();
    }

    fn said(&self) -> Option<&str> {
        self.chat.store.toast.as_ref().map(|(_, text)| text.as_str())
    }
}

#[test]
fn what_is_typed_over_a_pane_arrives_whole_and_does_nothing() {
    let texts = [
        "hello, can you",
        "also can",
        "just do it",
        "of course, open it",
        "ok fine",
        "on it",
        "or else",
        "yes please",
        "You are right",
        "Yes",
        "really?",
        "run it",
        "read y",
        "not now",
        "go on",
        "do you know",
        "Good morning",
        "bring [it] back",
        "from",
        "uk",
        "42",
    ];
    for pane in [Pane::Transcript, Pane::ToolPanel] {
        for gap in [20, 300] {
            for text in texts {
                let mut rig = ChatRig::answered();
                rig.go(pane);
                rig.types(text, gap);
                let top = rig.chat.store.focus.top().cloned();
                assert_eq!((rig.effects(), top), (vec![], None), "{text} in {pane:?}, {gap} ms");
                // Letters that all mean something have done it: they scroll.
                if !text.chars().all(|c| "kjudbfgG".contains(c)) {
                    assert_eq!(rig.text(), text, "in {pane:?}, {gap} ms");
                    assert_eq!(rig.chat.store.focus.pane, Pane::Composer);
                }
            }
        }
    }
}

#[test]
fn what_is_typed_into_a_list_that_another_key_opened_is_text_from_the_first_letter_that_chooses_nothing() {
    let lists = [
        (Action::OpenLinks { item: None }, &["hello", "bring it", "no, not yet", "42", "zebra"][..]),
        // A letter that stands on a block copies it at once.
        (Action::OpenCodePicker, &["42", "1 of them"]),
    ];
    for (open, texts) in lists {
        for gap in [20, 100] {
            for &text in texts {
                let mut rig = ChatRig::answered();
                rig.chat.update(Msg::Action(open.clone()));
                rig.draw();
                assert!(rig.chat.store.focus.top().is_some());
                rig.types(text, gap);
                assert_eq!((rig.effects(), rig.chat.store.focus.top()), (vec![], None), "{text}, {gap} ms");
                assert_eq!(rig.text(), text, "{open:?}, {gap} ms");
            }
        }
    }
}

#[test]
fn a_letter_that_chose_in_a_list_is_no_text_after_a_pause() {
    let mut rig = ChatRig::answered();
    rig.chat.update(Msg::Action(Action::OpenLinks { item: None }));
    rig.types("b", 100);
    assert_eq!(rig.chat.store.focus.top_as::<LinkList>().and_then(|list| list.selected), Some(1));
    rig.wait(1500);
    rig.types("so", 100);
    assert_eq!((rig.text().as_str(), rig.effects()), ("so", vec![]));
}

#[test]
fn what_is_typed_into_a_list_over_an_ask_answers_nothing() {
    for text in ["yes please", "no", "always", "1"] {
        let mut rig = ChatRig::answered();
        rig.turn();
        rig.ask_about("c1", Some("shell(echo*)"));
        rig.draw();
        rig.drawn();
        rig.wait(1000);
        rig.chat.update(Msg::Action(Action::OpenLinks { item: None }));
        rig.types(text, 100);
        assert_eq!(rig.effects(), [], "{text}");
        rig.press(&["enter"]);
        assert!(!rig.effects().iter().any(|effect| matches!(effect, Effect::Send(Command::Decide { .. }))), "{text}");
    }
}

#[test]
fn letters_that_were_meant_for_the_pane_are_no_text() {
    let mut rig = ChatRig::answered();
    rig.go(Pane::Transcript);
    rig.types("kkj", 100);
    rig.wait(1500);
    rig.types("so what", 100);
    assert_eq!(rig.text(), "so what");
}

#[test]
fn a_link_is_opened_by_enter_after_it_was_chosen() {
    let open = |url: &str| vec![Effect::Open(LinkTarget::Url(url.into()))];
    let mut rig = ChatRig::answered();
    rig.go(Pane::Transcript);
    rig.types("o", 500);
    rig.wait(500);
    rig.press(&["enter"]);
    assert_eq!((rig.effects(), rig.said()), (vec![], Some("choose one first: its letter, or the arrows")));
    rig.types("b", 500);
    assert_eq!(rig.effects(), [], "a letter chooses");
    rig.wait(200);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), [], "Enter right behind a letter ends a word");
    rig.wait(400);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), open("https://b.example"));
    for (keys, url) in
        [(vec!["down", "down", "enter"], "https://b.example"), (vec!["up", "enter"], "https://c.example")]
    {
        rig.types("o", 500);
        rig.press(&keys);
        assert_eq!(rig.effects(), open(url), "{keys:?}");
    }
}

#[test]
fn a_link_is_copied_by_its_capital_or_once_chosen() {
    for keys in ["B", "by"] {
        let mut rig = ChatRig::answered();
        rig.go(Pane::Transcript);
        rig.types("o", 500);
        rig.types(keys, 600);
        let effects = rig.effects();
        assert!(matches!(&effects[..], [Effect::Copy(copy)] if copy.text == "https://b.example"), "{effects:?}");
    }
}

#[test]
fn a_click_moves_no_keyboard_and_answers_nothing() {
    for pane in [Pane::Composer, Pane::Transcript, Pane::ToolPanel] {
        let mut rig = ChatRig::answered();
        rig.go(pane);
        for row in 0..24 {
            for column in [0, 5, 60, 100, 119] {
                rig.chat.input(Input::Click { column, row }, rig.began, rig.clock);
            }
        }
        assert_eq!((rig.effects(), rig.chat.store.focus.pane), (vec![], pane));
    }
}

#[test]
fn the_composer_says_where_the_keyboard_is_instead_of_asking() {
    for (pane, told) in [(Pane::Transcript, "in the transcript"), (Pane::ToolPanel, "in the tool panel")] {
        let mut rig = ChatRig::answered();
        rig.go(pane);
        let area = Rect::new(0, 0, 120, 24);
        let mut buf = Buffer::empty(area);
        let ChatController { store, ui, .. } = &mut rig.chat;
        ui::draw(store, ui, area, &mut buf);
        let screen: String = buf.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert!(screen.contains(told) && screen.contains("Esc returns here"), "{screen}");
        assert!(!screen.contains("Ask anything"));
    }
}

#[test]
fn leaving_while_something_runs_is_asked_once_more() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.press(&["ctrl+d"]);
    assert_eq!((rig.effects(), rig.said()), (vec![], Some("the turn is still running; Ctrl+D again to quit")));
    rig.wait(3000);
    let queue = vec![QueuedPrompt::new(7, "later")];
    rig.chat.update(Msg::Status(SessionStatus { queue, ..SessionStatus::default() }));
    rig.ask();
    rig.press(&["f1", "esc"]);
    rig.chat.store.focus.overlays.clear();
    rig.press(&["ctrl+d"]);
    assert_eq!(
        (rig.effects(), rig.said()),
        (vec![], Some("still open: shell, 1 prompt is queued; Ctrl+D again to quit"))
    );
    rig.press(&["ctrl+d"]);
    assert_eq!(rig.effects(), [Effect::Quit]);
}

#[test]
fn leaving_while_an_ask_is_open_is_asked_once_more_too() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.ask();
    rig.drawn();
    rig.press(&["ctrl+d"]);
    assert_eq!((rig.effects(), rig.said()), (vec![], Some("still open: shell; Ctrl+D again to quit")));
    assert!(rig.chat.store.focus.top_as::<ApprovalDialog>().is_some());
    rig.press(&["ctrl+d"]);
    assert_eq!(rig.effects(), [Effect::Quit]);
}

#[test]
fn another_key_between_two_presses_takes_the_offer_to_quit_back() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.press(&["ctrl+d", "x", "backspace", "ctrl+d"]);
    assert_eq!(rig.effects(), []);
    rig.event(turn_finished("t1", TurnOutcome::Completed));
    rig.wait(3000);
    rig.press(&["ctrl+d"]);
    assert_eq!(rig.effects(), [Effect::Quit], "nothing runs");
}

#[test]
fn sending_goes_to_the_end_wherever_one_was_reading() {
    let keys: [&[&str]; 5] = [
        &["h", "i", "enter"],
        &["alt+r"],
        &["/", "r", "e", "t", "r", "y", "enter"],
        &["/", "m", "o", "d", "e", "space", "p", "l", "a", "n", "enter"],
        &["/", "m", "o", "d", "e", "l", "space", "x", "/", "y", "enter"],
    ];
    for keys in keys {
        let mut rig = ChatRig::answered();
        rig.event(user_message("u1", "asked"));
        rig.press(&["ctrl+home"]);
        rig.draw();
        assert!(!rig.chat.ui.panes.transcript.is_following());
        rig.press(keys);
        assert!(!rig.effects().is_empty(), "{keys:?}");
        rig.draw();
        assert!(rig.chat.ui.panes.transcript.is_following(), "{keys:?}");
    }
    let mut rig = ChatRig::answered();
    rig.turn();
    rig.press(&["ctrl+home"]);
    rig.draw();
    rig.press(&["h", "i", "enter"]);
    rig.draw();
    assert!(rig.chat.ui.panes.transcript.is_following(), "a prompt that waits for its turn");
    rig.press(&["ctrl+home"]);
    rig.draw();
    rig.press(&["shift+tab"]);
    rig.draw();
    assert!(!rig.chat.ui.panes.transcript.is_following(), "nothing was sent to be answered there");
}

#[test]
fn a_message_leaves_by_itself_and_neither_typing_nor_a_paste_hurries_it() {
    let mut rig = ChatRig::agent();
    let failed = Msg::Report(Report::Failed { what: "saving".into(), why: "the disk is full".into() });
    rig.chat.update(failed);
    rig.chat.track_toast(rig.began);
    let until = rig.chat.next_expiry().unwrap();
    rig.press(&["h", "i"]);
    rig.chat.input(Input::Paste(" there".into()), rig.began, rig.clock);
    rig.chat.track_toast(rig.began + Duration::from_secs(1));
    assert_eq!((rig.said(), rig.chat.next_expiry()), (Some("saving: the disk is full"), Some(until)));
    rig.chat.expire(until.checked_sub(Duration::from_millis(1)).unwrap());
    assert!(rig.said().is_some());
    rig.chat.expire(until);
    assert_eq!((rig.said(), rig.chat.next_expiry()), (None, None));
    assert!(!rig.chat.store.wants_ticks(), "nothing ticks for it");
    rig.chat.store.toast = Some((NoticeLevel::Info, "once more".into()));
    rig.press(&["left"]);
    assert_eq!(rig.said(), None, "any other key has read it");
}

#[test]
fn a_click_on_an_answer_selects_it_and_answers_nothing() {
    use crate::store::approval::ApprovalChoice;
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.ask_about("c1", Some("shell(echo*)"));
    rig.draw();
    rig.drawn();
    rig.wait(1000);
    let at = |rig: &ChatRig, wanted: ApprovalChoice| {
        let places = (0..24).flat_map(|row| (0..120).map(move |column| (column, row)));
        let wanted = Msg::Action(Action::Choose(wanted));
        places.filter(|at| rig.chat.ui.click(&rig.chat.store, *at).as_ref() == Some(&wanted)).collect::<Vec<_>>()
    };
    for choice in [
        ApprovalChoice::Once,
        ApprovalChoice::Session,
        ApprovalChoice::Pattern,
        ApprovalChoice::Deny,
        ApprovalChoice::DenyWithReason,
    ] {
        let cells = at(&rig, choice);
        assert!(cells.len() > 4, "{choice:?}");
        for (column, row) in cells {
            rig.chat.input(Input::Click { column, row }, rig.began + Duration::from(rig.clock), rig.clock);
            let selected = rig.chat.store.focus.top_as::<ApprovalDialog>().and_then(|approval| approval.selected);
            assert_eq!((selected, rig.effects()), (Some(choice), vec![]));
            rig.draw();
        }
    }
    let (column, row) = at(&rig, ApprovalChoice::Once)[0];
    rig.chat.input(Input::Click { column, row }, rig.began + Duration::from(rig.clock), rig.clock);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), [], "Enter right behind a click is none");
    rig.wait(400);
    rig.press(&["enter"]);
    assert_eq!(rig.effects().len(), 1);
}

fn refused() -> AgentEvent {
    let fault = crate::event::Fault::new(crate::event::FaultKind::BadRequest, "not accepted");
    turn_finished("t1", TurnOutcome::Failed(fault))
}

#[test]
fn a_prompt_that_was_refused_is_in_the_composer_again_and_said_so() {
    let mut rig = ChatRig::agent();
    rig.types("hello", 50);
    rig.press(&["enter"]);
    assert_eq!(rig.text(), "");
    rig.turn();
    rig.event(user_message("u", "hello"));
    rig.chat.take_has_restored_text();
    rig.event(refused());
    assert_eq!((rig.text().as_str(), rig.said()), ("hello", Some("no response: the prompt is back in the composer")));
    assert!(rig.chat.take_has_restored_text(), "it is saved as a draft");
}

#[test]
fn a_refused_prompt_comes_over_nothing_that_is_being_written() {
    let mut rig = ChatRig::agent();
    rig.types("hello", 50);
    rig.press(&["enter"]);
    rig.turn();
    rig.event(user_message("u", "hello"));
    rig.types("next", 50);
    rig.event(refused());
    assert_eq!((rig.text().as_str(), rig.said()), ("next", Some("no response: Up brings the prompt back")));
    rig.press(&["up"]);
    assert_eq!(rig.text(), "hello");
    rig.press(&["down"]);
    assert_eq!(rig.text(), "next");
}

#[test]
fn among_the_matches_of_a_search_letters_that_mean_nothing_are_text() {
    for text in ["yes", "what now", "no thanks", "ok fine", "just do it", "42"] {
        for gap in [20, 300] {
            let mut rig = ChatRig::answered();
            rig.press(&["ctrl+f"]);
            rig.types("See", 50);
            rig.press(&["enter"]);
            rig.draw();
            rig.wait(2000);
            rig.types(text, gap);
            let top = rig.chat.store.focus.top().cloned();
            assert_eq!((rig.text().as_str(), top, rig.chat.store.focus.pane), (text, None, Pane::Composer), "{gap} ms");
            assert_eq!(rig.effects(), [], "{text}, {gap} ms");
        }
    }
    let mut rig = ChatRig::answered();
    rig.press(&["ctrl+f"]);
    rig.types("See", 50);
    let at = |rig: &ChatRig| rig.chat.store.focus.find::<Search>().and_then(Search::current_item);
    let newest = at(&rig);
    rig.press(&["enter"]);
    rig.wait(2000);
    rig.types("n", 20);
    assert_ne!(at(&rig), newest, "n goes to the match before");
    rig.types("N", 20);
    assert_eq!((at(&rig), rig.text()), (newest, String::new()));
}

#[test]
fn a_panel_over_the_transcript_gives_way_to_what_is_sent() {
    let draw = |rig: &mut ChatRig, width| {
        let area = Rect::new(0, 0, width, 24);
        let ChatController { store, ui, .. } = &mut rig.chat;
        ui::draw(store, ui, area, &mut Buffer::empty(area));
    };
    for (width, is_away) in [(80, true), (120, false)] {
        let mut rig = ChatRig::answered();
        rig.call();
        draw(&mut rig, width);
        rig.press(&["ctrl+t"]);
        draw(&mut rig, width);
        rig.press(&["h", "i", "enter"]);
        assert_eq!(rig.effects().len(), 1);
        assert_ne!(rig.chat.store.focus.is_toggled(Pane::ToolPanel), is_away, "{width}");
    }
}

#[test]
fn over_a_list_that_takes_no_letters_what_is_typed_is_text() {
    for (command, text) in
        [("/permissions", "yes please"), ("/mode", "plan it"), ("/mode", "full stop"), ("/mode", "no")]
    {
        let mut rig = ChatRig::agent();
        rig.types(command, 50);
        rig.press(&["enter"]);
        rig.draw();
        assert!(rig.chat.store.focus.top().is_some());
        rig.wait(2000);
        rig.types(text, 100);
        assert_eq!((rig.text().as_str(), rig.chat.store.focus.top()), (text, None), "{command}");
        assert_eq!(rig.effects(), []);
    }
    let mut rig = ChatRig::agent();
    rig.types("/mode", 50);
    rig.press(&["enter"]);
    rig.types("p", 100);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::SetMode { mode: ApprovalMode::Plan })], "a letter chooses");
}
