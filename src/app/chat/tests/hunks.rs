//! An ask about a change of several hunks: each is decided by a key, all of them by Enter, none by what is typed.

use super::*;
use crate::event::{HunkDecision, HunkNote, Risk, ToolKind};
use crate::store::overlay::approval::{ApprovalInput, HunkReview};

const DIFF: &str = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+A\n@@ -20 +20 @@\n-b\n+B\n@@ -40 +40 @@\n-c\n+C\n";

impl ChatRig {
    /// An ask about three hunks that has been on the screen for a while.
    fn asked_about_hunks() -> Self {
        let mut rig = Self::agent();
        rig.turn();
        rig.event(message_started("m1"));
        rig.event(call_started("c1", "m1", Some("edit_file")));
        rig.event(call_ready("c1", "edit_file", "{}"));
        let request = ApprovalRequest {
            tool: "edit_file".into(),
            kind: ToolKind::Edit,
            risk: Risk::Write,
            detail: DIFF.into(),
            hunks: 3,
            ..shell_approval("x")
        };
        rig.event(AgentEvent::ApprovalRequested { call: "c1".into(), request });
        rig.chat.effects.clear();
        rig.pause();
        rig
    }

    /// What was done is drawn and looked at.
    fn pause(&mut self) {
        self.drawn();
        self.wait(1000);
    }

    fn press_slowly(&mut self, chords: &[&str]) {
        for chord in chords {
            self.press(&[chord]);
            self.pause();
        }
    }

    fn review(&self) -> Option<&HunkReview> {
        let dialog = self.chat.store.focus.top_as::<ApprovalDialog>()?;
        dialog.review.as_ref().filter(|_| dialog.is_reviewing())
    }
}

#[test]
fn each_hunk_is_decided_by_a_key_and_enter_applies_what_was_taken() {
    let mut rig = ChatRig::asked_about_hunks();
    rig.press_slowly(&["h", "y", "enter"]);
    assert_eq!(rig.effects(), [], "two are open");
    rig.press_slowly(&["n", "c", "w", "h", "y", "enter", "y", "["]);
    assert_eq!(rig.review().map(|review| (review.current(), review.counts())), Some((1, (2, 1, 0))));
    rig.press(&["]"]);
    rig.wait(349);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), [], "too soon behind a key");
    rig.wait(350);
    rig.press(&["enter"]);
    let notes = vec![HunkNote { hunk: 3, text: "why".into() }];
    assert_eq!(rig.effects(), decided(Decision::Hunks(HunkDecision { taken: vec![1, 3], notes })));
    assert_eq!(rig.text(), "", "a note is no prompt");
}

#[test]
fn all_that_are_open_are_taken_or_left_at_once() {
    for (keys, taken) in [(["n", "a"], vec![2, 3]), (["y", "d"], vec![1]), (["n", "d"], vec![])] {
        let mut rig = ChatRig::asked_about_hunks();
        rig.press_slowly(&["h"]);
        rig.press_slowly(&keys);
        rig.press(&["enter"]);
        assert_eq!(rig.effects(), decided(Decision::Hunks(HunkDecision { taken, notes: vec![] })), "{keys:?}");
    }
}

#[test]
fn what_is_typed_while_the_hunks_come_up_is_text_whatever_it_is_bound_to() {
    for text in ["hand it over", "hy", "hnnn", "h]c", "hello", "hay"] {
        for gap in [0, 20, 100, 300] {
            let mut rig = ChatRig::asked_about_hunks();
            for c in text.chars() {
                rig.press(&[if c == ' ' { "space".to_owned() } else { c.to_string() }.as_str()]);
                rig.drawn();
                rig.wait(gap);
            }
            rig.press(&["down"]);
            assert_eq!((rig.effects(), rig.text().as_str(), rig.review()), (vec![], text, None), "{gap} ms");
        }
    }
}

#[test]
fn a_letter_that_is_no_key_of_the_hunks_is_text_and_what_was_decided_stays() {
    let mut rig = ChatRig::asked_about_hunks();
    rig.press_slowly(&["h", "y", "w"]);
    assert_eq!((rig.text().as_str(), rig.review()), ("w", None));
    rig.press_slowly(&["backspace", "h"]);
    assert_eq!(rig.review().map(HunkReview::counts), Some((1, 0, 2)));
    rig.paste("pasted\n");
    assert_eq!((rig.effects(), rig.text().as_str(), rig.review()), (vec![], "pasted\n", None));
}

#[test]
fn esc_goes_back_and_denies_nothing() {
    let mut rig = ChatRig::asked_about_hunks();
    rig.press_slowly(&["h", "c", "x", "esc"]);
    assert_eq!(rig.review().map(|review| review.marks()[0].note.as_str()), Some("x"));
    rig.press(&["esc"]);
    let dialog = rig.chat.store.focus.top_as::<ApprovalDialog>();
    assert_eq!(dialog.map(|dialog| (dialog.input, dialog.is_docked())), Some((ApprovalInput::Choosing, true)));
    rig.press(&["esc"]);
    assert_eq!(rig.effects(), [], "the ask was not seen again yet");
}

#[test]
fn what_can_not_be_split_offers_no_hunks() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.ask();
    rig.pause();
    rig.press_slowly(&["h"]);
    assert_eq!(rig.review(), None);
    let dialog = rig.chat.store.focus.top_as::<ApprovalDialog>();
    assert!(dialog.is_some_and(|dialog| dialog.feedback.as_deref().is_some_and(|told| told.contains("as a whole"))));
}

#[test]
fn the_hunk_on_the_screen_is_drawn_with_what_was_said_of_it_at_any_size() {
    let mut rig = ChatRig::asked_about_hunks();
    rig.press_slowly(&["h", "y", "c", "n", "o"]);
    for (width, height) in [(80, 24), (140, 50), (20, 5), (3, 3), (1, 1)] {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        let ChatController { store, ui, .. } = &mut rig.chat;
        ui::draw(store, ui, area, &mut buf);
        let screen: String = buf.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        if width >= 80 {
            for shown in ["hunk 2 of 3", "✓ [?] ?", "- b", "+ B", "note: no"] {
                assert!(screen.contains(shown), "{shown}: {screen}");
            }
            assert!(!screen.contains("+ C"), "{screen}");
        }
    }
}
