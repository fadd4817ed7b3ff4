//! Vim's modes among everything else that keys mean.

use super::*;
use crate::ui::composer::vim::VimMode;

impl ChatRig {
    fn vim() -> Self {
        let mut rig = Self::agent();
        rig.chat.ui.panes.composer.set_vim(Some(VimMode::Insert));
        rig
    }

    fn mode(&self) -> Option<VimMode> {
        self.chat.ui.panes.composer.vim_mode()
    }

    fn keys(&mut self, keys: &str) {
        for c in keys.chars() {
            let chord = if c == '␛' { Chord::plain(Key::Esc) } else { Chord::plain(Key::Char(c)) };
            let now = self.began + Duration::from(self.clock);
            self.chat.input(Input::Key(chord), now, self.clock);
        }
    }
}

#[test]
fn esc_leaves_insert_mode_before_it_interrupts() {
    let mut rig = ChatRig::vim();
    rig.turn();
    rig.keys("hello world␛");
    assert_eq!((rig.effects(), rig.mode()), (vec![], Some(VimMode::Normal)));
    rig.keys("bdwax");
    assert_eq!(rig.text(), "hello x");
    rig.keys("␛␛");
    assert_eq!(rig.effects(), [Effect::Send(Command::Cancel)]);
    assert_eq!(rig.text(), "hello x");
}

#[test]
fn what_is_sent_leaves_the_mode_to_begin_with_and_earlier_prompts_are_walked_with_k() {
    let mut rig = ChatRig::vim();
    rig.keys("one␛");
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::prompt("one"))]);
    assert_eq!((rig.text().as_str(), rig.mode()), ("", Some(VimMode::Insert)));
    rig.keys("two␛k");
    assert_eq!(rig.text(), "one");
    rig.keys("j");
    assert_eq!(rig.text(), "two");
    rig.keys("x");
    assert_eq!(rig.text(), "tw", "the cursor stands on the last character");
}

#[test]
fn commands_approvals_and_pickers_are_as_without_modes() {
    let mut rig = ChatRig::vim();
    rig.keys("␛/help");
    assert_eq!((rig.text().as_str(), rig.mode()), ("/help", Some(VimMode::Insert)));
    rig.press(&["enter"]);
    assert!(rig.chat.store.focus.top_as::<HelpText>().is_some());
    rig.press(&["esc"]);
    assert!(rig.chat.store.focus.top().is_none());
    rig.keys("␛");
    rig.press(&["ctrl+x", "t"]);
    assert_eq!(rig.text(), "");
    rig.turn();
    rig.ask();
    rig.drawn();
    rig.wait(1000);
    rig.keys("yo");
    assert_eq!((rig.effects(), rig.text().as_str()), (vec![], "yo"));
    assert_eq!(rig.mode(), Some(VimMode::Insert), "typing goes on");
}

#[test]
fn a_paste_is_one_character_and_comes_back_whole() {
    let mut rig = ChatRig::vim();
    let lines = "line\n".repeat(30);
    rig.keys("a b");
    rig.paste(&lines);
    rig.keys("␛hx");
    assert_eq!(rig.text(), format!("a {lines}"));
    rig.keys("x");
    assert_eq!(rig.text(), "a ");
    rig.keys("u");
    assert_eq!(rig.text(), format!("a {lines}"));
}

#[test]
fn the_command_turns_the_modes_on_and_off() {
    let mut rig = ChatRig::agent();
    for expected in [Some(VimMode::Insert), None] {
        rig.keys("/vim");
        rig.press(&["enter"]);
        assert_eq!(rig.mode(), expected);
    }
}
