//! Lines typed where nothing is painted: what answers a question, and what never does.

use super::*;
use crate::store::overlay::modes::ModeList;

impl ChatRig {
    /// Types a line, its first key after so many milliseconds, and Enter as much later.
    fn line(&mut self, text: &str, wait: u64) {
        self.wait(wait);
        let begun = self.clock;
        let at = |rig: &Self| rig.began + Duration::from(rig.clock);
        for c in text.chars() {
            let now = at(self);
            self.chat.line_input(Input::Key(Chord::plain(Key::Char(c))), Some(begun), now, self.clock);
        }
        self.wait(wait);
        let now = at(self);
        let begun = if text.is_empty() { None } else { Some(begun) };
        self.chat.line_input(Input::Key(Chord::plain(Key::Enter)), begun, now, self.clock);
    }

    fn line_asked() -> Self {
        let mut rig = Self::agent();
        rig.turn();
        rig.ask_about("c1", Some("shell(echo*)"));
        rig.drawn();
        rig
    }

    fn told(&self) -> &str {
        self.chat.store.toast.as_ref().map_or("", |(_, text)| text)
    }
}

#[test]
fn a_number_answers_a_question_that_could_be_read() {
    let mut rig = ChatRig::line_asked();
    rig.line("1", 400);
    assert_eq!(rig.effects(), decided(Decision::Once));
    let mut rig = ChatRig::line_asked();
    rig.line("4", 400);
    assert_eq!(rig.effects(), decided(Decision::Deny(None)));
}

#[test]
fn a_line_that_was_begun_before_the_question_could_be_read_answers_nothing() {
    let mut rig = ChatRig::line_asked();
    rig.line("1", 200);
    assert_eq!(rig.effects(), []);
    assert!(rig.told().contains("type the number again"), "{}", rig.told());
    assert_eq!(rig.text(), "");
    rig.line("1", 200);
    assert_eq!(rig.effects(), decided(Decision::Once), "by now it could");
}

#[test]
fn words_are_a_prompt_that_waits_and_the_question_stays() {
    let mut rig = ChatRig::line_asked();
    rig.line("2 eggs, please", 400);
    assert_eq!(rig.effects(), [Effect::Send(Command::prompt("2 eggs, please"))]);
    assert!(rig.chat.store.focus.top_as::<ApprovalDialog>().is_some());
    for (line, told) in [("yes", "answer with a number from 1 to 6"), ("", "from 1 to 6"), ("7", "no answer 7")] {
        rig.line(line, 400);
        assert_eq!(rig.effects(), [], "{line}");
        assert!(rig.told().contains(told), "{line}: {}", rig.told());
    }
}

#[test]
fn a_question_waits_for_the_end_of_a_line_that_was_begun() {
    let mut rig = ChatRig::agent();
    rig.turn();
    let now = rig.began;
    rig.chat.line_input(Input::Key(Chord::plain(Key::Char('1'))), None, now, rig.clock);
    rig.ask_about("c1", None);
    rig.drawn();
    rig.wait(1000);
    assert!(rig.chat.store.focus.top().is_none());
    rig.chat.line_input(Input::Key(Chord::plain(Key::Enter)), Some(Millis(0)), now, rig.clock);
    assert_eq!(rig.effects(), [Effect::Send(Command::prompt("1"))]);
    assert!(rig.chat.store.focus.top_as::<ApprovalDialog>().is_some(), "and comes then");
}

#[test]
fn a_reason_and_a_pattern_are_lines_too() {
    let mut rig = ChatRig::line_asked();
    rig.line("5", 400);
    rig.drawn();
    rig.line("not now", 400);
    assert_eq!(rig.effects(), decided(Decision::Deny(Some("not now".into()))));
    let mut rig = ChatRig::line_asked();
    rig.line("3", 400);
    rig.drawn();
    rig.line("shell(rm*)", 400);
    assert_eq!(rig.effects(), [], "that would not allow this call");
    rig.line("shell(echo *)", 400);
    assert_eq!(rig.effects(), decided(Decision::Pattern("shell(echo *)".into())));
}

#[test]
fn a_list_is_answered_by_a_number_and_left_by_an_empty_line() {
    let mut rig = ChatRig::agent();
    rig.line("/mode", 10);
    assert!(rig.chat.store.focus.top_as::<ModeList>().is_some());
    rig.line("9", 10);
    assert!(rig.told().contains("no number 9"), "{}", rig.told());
    rig.line("3", 10);
    assert_eq!(rig.effects(), [Effect::Send(Command::SetMode { mode: ApprovalMode::Plan })]);
    rig.line("/mode", 10);
    rig.line("4", 10);
    assert_eq!(rig.effects(), [], "the mode that never asks is asked about");
    rig.line("", 10);
    assert!(rig.chat.store.focus.top().is_none());
}

#[test]
fn ctrl_c_interrupts_and_ctrl_d_leaves_an_empty_line() {
    let mut rig = ChatRig::line_asked();
    let now = rig.began;
    let press = |rig: &mut ChatRig, key: &str| {
        let clock = rig.clock;
        rig.chat.line_input(Input::Key(Chord::parse(key).unwrap()), None, now, clock);
    };
    press(&mut rig, "ctrl+c");
    assert_eq!(rig.effects(), [Effect::Send(Command::Cancel)]);
    let mut rig = ChatRig::agent();
    press(&mut rig, "ctrl+d");
    assert_eq!(rig.effects(), [Effect::Quit]);
}
