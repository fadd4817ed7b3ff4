//! Keys that are pressed one after another: what waits, what goes on, and what it was after all.

use super::*;
use crate::config::KeyConfig;
use crate::config::keys::Bindings;

impl ChatRig {
    fn with_keys(context: &str, pairs: &[(&str, &str)]) -> Self {
        let keys = pairs.iter().map(|(keys, action)| ((*keys).to_owned(), (*action).to_owned())).collect();
        let bindings = Bindings::from([(context.to_owned(), keys)]);
        let (keymap, problems) = Keymap::new(&KeyConfig { bindings, ..KeyConfig::default() });
        assert_eq!(problems, []);
        let mut rig = Self::agent();
        rig.chat.set_keymap(keymap);
        rig
    }

    fn pending(&self) -> Option<&str> {
        self.chat.ui.pending_keys.as_ref().map(|pending| pending.typed.as_str())
    }
}

#[test]
fn what_waits_is_shown_with_the_keys_that_can_follow() {
    let mut rig = ChatRig::agent();
    rig.press(&["ctrl+x"]);
    assert_eq!(rig.pending(), Some("Ctrl+X"));
    let next = rig.chat.ui.pending_keys.clone().unwrap().next;
    for (key, what) in [("Ctrl+E", "edit the draft in $VISUAL or $EDITOR"), ("t", "show or hide thinking")] {
        assert!(next.contains(&(key.to_owned(), what)), "{next:?}");
    }
    let folded = rig.chat.store.fold_thinking;
    rig.press(&["t"]);
    assert_eq!((rig.pending(), rig.chat.store.fold_thinking), (None, !folded));
    assert_eq!(rig.text(), "");
}

#[test]
fn esc_leaves_a_sequence_and_interrupts_nothing() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.press(&["ctrl+x", "esc"]);
    assert_eq!(rig.pending(), None);
    assert_eq!(rig.effects(), []);
    rig.press(&["t"]);
    assert_eq!(rig.text(), "t");
    rig.press(&["esc"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::Cancel)]);
}

#[test]
fn letters_of_a_sequence_that_comes_to_nothing_are_text() {
    let keys: &[(&str, &str)] = &[("g g", "app.help"), ("g j g", "app.debug")];
    for (typed, text) in [
        (&["g", "o"][..], "go"),
        (&["g", "j", "x"], "gjx"),
        (&["g", "j", "g"], ""),
        (&["g", "esc", "o"], "go"),
        (&["g", "enter"], ""),
    ] {
        let mut rig = ChatRig::with_keys("empty-composer", keys);
        rig.press(typed);
        assert_eq!(rig.text(), text, "{typed:?}");
        let sent = rig.effects();
        assert_eq!(sent, if typed.contains(&"enter") { vec![Effect::Send(Command::prompt("g"))] } else { vec![] });
    }
    let mut rig = ChatRig::with_keys("empty-composer", keys);
    rig.press(&["g"]);
    rig.paste("o on");
    assert_eq!((rig.text().as_str(), rig.pending()), ("go on", None), "a paste comes after it");
}

#[test]
fn in_a_pane_letters_move_or_are_text_as_single_ones_do() {
    let mut rig = ChatRig::with_keys("transcript", &[("g g", "app.debug")]);
    rig.chat.update(Msg::Action(Action::Focus(Pane::Transcript)));
    rig.press(&["g", "g"]);
    assert!(rig.chat.store.focus.is_debug_shown);
    rig.wait(2000);
    rig.press(&["g", "o"]);
    assert_eq!((rig.text().as_str(), rig.chat.store.focus.pane), ("go", Pane::Composer));
}

#[test]
fn a_sequence_quits_when_it_is_pressed_twice_while_a_turn_runs() {
    let mut rig = ChatRig::with_keys("global", &[("ctrl+x ctrl+c", "app.quit")]);
    rig.turn();
    rig.press(&["ctrl+x", "ctrl+c"]);
    let (_, told) = rig.chat.store.toast.clone().unwrap();
    assert!(told.ends_with("Ctrl+X Ctrl+C again to quit"), "{told}");
    assert_eq!(rig.effects(), []);
    rig.press(&["ctrl+x", "ctrl+c"]);
    assert_eq!(rig.effects(), [Effect::Quit]);
}

#[test]
fn an_ask_that_opens_meanwhile_takes_no_letter_for_an_answer() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.press(&["ctrl+x"]);
    rig.ask();
    rig.drawn();
    rig.wait(1000);
    rig.press(&["y", "a"]);
    assert_eq!(rig.effects(), []);
    assert_eq!(rig.text(), "ya");
}
