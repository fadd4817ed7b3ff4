//! Hands that type while questions open: nothing typed answers, nothing typed is lost.

use super::*;
use crate::config::KeyConfig;
use crate::config::keys::Bindings;
use crate::store::approval::ApprovalChoice;
use crate::store::overlay::modes::ModeList;

impl ChatRig {
    /// An ask that has been on the screen for a while.
    fn asked() -> Self {
        let mut rig = Self::agent();
        rig.turn();
        rig.ask_about("c1", Some("shell(echo*)"));
        rig.drawn();
        rig.wait(1000);
        rig
    }

    fn bound(context: &str, pairs: &[(&str, &str)]) -> Self {
        let chords = pairs.iter().map(|(chord, action)| ((*chord).to_owned(), (*action).to_owned())).collect();
        let bindings = Bindings::from([(context.to_owned(), chords)]);
        let (keymap, warnings) = Keymap::new(&KeyConfig { bindings, ..KeyConfig::default() });
        // Only one that lost its only key is told.
        assert!(
            warnings.iter().all(|warning| warning.to_string().contains("took the key of approval.answer")),
            "{warnings:?}"
        );
        let mut rig = Self::asked();
        rig.chat.keymap = keymap;
        rig
    }

    fn selected(&self) -> Option<ApprovalChoice> {
        self.chat.store.focus.top_as::<ApprovalDialog>().and_then(|ask| ask.selected)
    }

    fn is_open(&self) -> bool {
        self.chat.store.focus.top_as::<ApprovalDialog>().is_some()
    }

    /// Types at no speed at all.
    fn types_at_once(&mut self, text: &str) {
        for c in text.chars() {
            self.key(c);
        }
    }

    fn key(&mut self, c: char) {
        let now = self.began + Duration::from(self.clock);
        self.chat.input(Input::Key(Chord::plain(Key::Char(c))), now, self.clock);
    }
}

#[test]
fn one_letter_selects_and_a_second_takes_both_into_the_composer() {
    for (first, choice) in [
        ("y", ApprovalChoice::Once),
        ("a", ApprovalChoice::Session),
        ("p", ApprovalChoice::Pattern),
        ("n", ApprovalChoice::Deny),
        ("d", ApprovalChoice::DenyWithReason),
    ] {
        for second in ["y", "a", "n", "v", "x", "space", "?"] {
            let mut rig = ChatRig::asked();
            rig.press(&[first]);
            assert_eq!((rig.selected(), rig.text().as_str()), (Some(choice), ""));
            rig.wait(3000);
            rig.press(&[second]);
            let typed = format!("{first}{}", if second == "space" { " " } else { second });
            assert_eq!((rig.effects(), rig.text(), rig.is_open()), (vec![], typed, false));
            rig.types_at_once("es");
            rig.wait(1000);
            rig.drawn();
            assert!(!rig.is_open(), "the composer is in use");
        }
    }
}

#[test]
fn a_letter_that_is_no_answer_goes_to_the_composer_at_once() {
    let mut rig = ChatRig::asked();
    rig.press(&["w"]);
    assert_eq!((rig.effects(), rig.text().as_str(), rig.is_open()), (vec![], "w", false));
    rig.press(&["backspace"]);
    assert!(rig.is_open(), "an empty composer brings it back");
}

#[test]
fn enter_answers_what_is_selected_and_only_after_a_pause() {
    let mut rig = ChatRig::asked();
    rig.press(&["enter"]);
    rig.wait(400);
    rig.press(&["enter", "y", "enter"]);
    rig.wait(349);
    rig.press(&["enter"]);
    assert_eq!((rig.effects(), rig.selected()), (vec![], Some(ApprovalChoice::Once)));
    rig.wait(350);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), decided(Decision::Once));
    assert_eq!(rig.text(), "", "the letter has done its work");
}

#[test]
fn esc_denies_but_not_what_was_only_just_drawn() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.ask();
    rig.press(&["esc"]);
    rig.drawn();
    rig.wait(300);
    rig.press(&["esc"]);
    rig.wait(349);
    rig.press(&["esc"]);
    assert_eq!((rig.effects(), rig.is_open()), (vec![], true));
    rig.wait(350);
    rig.press(&["esc"]);
    assert_eq!(rig.effects(), decided(Decision::Deny(None)));
}

#[test]
fn an_ask_never_opens_over_a_draft() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.press(&["d"]);
    rig.ask();
    rig.wait(1000);
    rig.press(&["y"]);
    assert_eq!((rig.effects(), rig.text().as_str(), rig.is_open()), (vec![], "dy", false));
    rig.press(&["f4"]);
    rig.drawn();
    rig.press(&["n"]);
    rig.wait(400);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), decided(Decision::Deny(None)));
    assert_eq!(rig.text(), "dy");
}

#[test]
fn what_is_typed_over_an_ask_goes_on_where_the_draft_stood() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.ask();
    rig.types_at_once("wait");
    rig.press(&["f4"]);
    rig.drawn();
    rig.types_at_once(" and");
    assert_eq!((rig.effects(), rig.text().as_str(), rig.is_open()), (vec![], "wait and", false));
}

#[test]
fn a_reason_is_typed_into_the_ask() {
    let mut rig = ChatRig::asked();
    rig.press(&["d"]);
    rig.wait(400);
    rig.press(&["enter"]);
    rig.drawn();
    rig.wait(400);
    rig.press(&["n", "o", "p", "backspace", "space", "y", "enter"]);
    assert_eq!(rig.effects(), [], "no hand is so fast");
    rig.wait(60);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), decided(Decision::Deny(Some("no y".into()))));
}

#[test]
fn a_paste_never_answers_and_is_never_lost() {
    let mut rig = ChatRig::asked();
    rig.press(&["y"]);
    rig.wait(1000);
    rig.paste("es\n");
    assert_eq!((rig.effects(), rig.text().as_str(), rig.is_open()), (vec![], "yes\n", false));

    let mut rig = ChatRig::asked();
    for keys in [["p", "enter"], ["d", "enter"]] {
        rig.wait(1000);
        rig.press(&keys[..1]);
        rig.wait(1000);
        rig.press(&keys[1..]);
        rig.drawn();
        rig.wait(1000);
        rig.paste("x\n");
        rig.press(&["enter", "esc", "backspace"]);
        rig.drawn();
        assert_eq!((rig.effects(), rig.is_open()), (vec![], true), "{keys:?}");
    }
}

#[test]
fn the_whole_of_it_is_shown_and_left_and_typing_leaves_it_too() {
    let whole =
        |rig: &ChatRig| rig.chat.store.focus.top_as::<ApprovalDialog>().is_some_and(|ask| ask.full_scroll.is_some());
    for back in ["esc", "enter"] {
        let mut rig = ChatRig::asked();
        rig.press(&["v"]);
        assert!(whole(&rig));
        rig.wait(1000);
        rig.press(&["down", "pgdn", back]);
        assert!(rig.is_open() && !whole(&rig));
        rig.drawn();
        rig.press(&["y"]);
        assert_eq!((rig.effects(), rig.selected()), (vec![], Some(ApprovalChoice::Once)));
    }
    let mut rig = ChatRig::asked();
    rig.types_at_once("very");
    assert_eq!((rig.effects(), rig.text().as_str(), rig.is_open()), (vec![], "very", false));
    let mut rig = ChatRig::asked();
    rig.press(&["v"]);
    rig.paste("ery\n");
    assert_eq!((rig.effects(), rig.text().as_str(), rig.is_open()), (vec![], "very\n", false));
}

#[test]
fn no_binding_answers_by_itself() {
    for (key, action, choice) in [
        ("x", "approval.session", ApprovalChoice::Session),
        ("ctrl+y", "approval.once", ApprovalChoice::Once),
        ("f5", "approval.pattern", ApprovalChoice::Pattern),
        ("ctrl+n", "approval.deny", ApprovalChoice::Deny),
        ("enter", "approval.once", ApprovalChoice::Once),
    ] {
        let mut rig = ChatRig::bound("approval", &[(key, action)]);
        rig.press(&[key]);
        assert_eq!((rig.effects(), rig.selected()), (vec![], Some(choice)), "{key}");
    }
    // Whatever a letter is bound to, over an ask it is text.
    for action in ["app.escape", "app.quit", "mode.full", "turn.cancel", "app.interrupt"] {
        let mut rig = ChatRig::bound("approval", &[("x", action)]);
        rig.press(&["x"]);
        assert_eq!((rig.effects(), rig.text().as_str()), (vec![], "x"), "{action}");
    }
    let mut rig = ChatRig::bound("approval", &[("enter", "approval.once")]);
    rig.press(&["enter"]);
    rig.wait(400);
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), decided(Decision::Once), "Enter can still answer");
}

#[test]
fn keys_that_mean_something_elsewhere_do_not_answer() {
    let mut rig = ChatRig::asked();
    for key in ["ctrl+a", "ctrl+y", "ctrl+j", "alt+enter", "shift+enter", "tab", "f6", "shift+f6", "ctrl+o", "alt+t"] {
        rig.wait(1000);
        rig.press(&[key]);
        assert_eq!((rig.effects(), rig.is_open()), (vec![], true), "{key}");
    }
    rig.press(&["shift+tab"]);
    assert_eq!(rig.effects(), [], "the next mode might allow it");
    assert!(rig.chat.store.focus.top_as::<ModeList>().is_some());
}

#[test]
fn the_transcript_is_read_beside_an_ask() {
    let mut rig = ChatRig::agent();
    for nth in 0..40 {
        let text = format!("word {nth}");
        rig.event(AgentEvent::UserMessage { message: crate::event::MessageId::new(format!("u{nth}")), text });
    }
    rig.turn();
    rig.ask();
    let area = Rect::new(0, 0, 80, 24);
    let follows = |rig: &mut ChatRig| {
        let ChatController { store, ui, .. } = &mut rig.chat;
        ui::draw(store, ui, area, &mut Buffer::empty(area));
        rig.chat.after_draw();
        rig.chat.ui.panes.transcript.is_following()
    };
    assert!(follows(&mut rig));
    rig.press(&["pgup"]);
    assert!(!follows(&mut rig));
    rig.press(&["pgdn", "pgdn"]);
    assert!(follows(&mut rig));
    rig.chat.input(Input::Wheel { rows: -3, column: 5, row: 20 }, rig.began, rig.clock);
    assert!(!follows(&mut rig));
    rig.wait(1000);
    rig.press(&["d"]);
    rig.wait(1000);
    rig.press(&["enter", "pgdn"]);
    assert!(follows(&mut rig), "from a field, too");
    assert_eq!((rig.effects(), rig.text().as_str()), (vec![], ""));
}

#[test]
fn in_a_pane_that_was_gone_to_its_letters_move_it() {
    let mut rig = ChatRig::asked();
    rig.chat.update(Msg::Action(Action::Focus(Pane::Transcript)));
    rig.press(&["k", "k"]);
    assert_eq!((rig.effects(), rig.text().as_str(), rig.is_open()), (vec![], "", true));
    rig.press(&["y"]);
    assert_eq!(rig.selected(), Some(ApprovalChoice::Once));
    rig.press(&["e", "s"]);
    assert_eq!((rig.effects(), rig.text().as_str(), rig.chat.store.focus.pane), (vec![], "yes", Pane::Composer));
}

/// A small generator, so that every run types the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const SENTENCE_WORDS: &[&str] = &[
    "yes", "and", "all", "please", "no", "do", "view", "a", "y", "n", "d", "p", "v", "also", "not", "deny", "apply",
    "every", "day", "pay", "any", "nay", "then", "well,", "ok?", "déjà", "漢字", "x",
];

/// Types sentences with pauses of 0.1 to 3 s while questions open, are answered elsewhere, and are brought to the
/// front: what arrives in the composer is what was typed, and no answer is given.
#[test]
fn two_hundred_sentences_answer_nothing_and_lose_nothing() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut rig = ChatRig::agent();
        rig.turn();
        let (mut asked, mut open) = (0, Vec::new());
        for _ in 0..200 {
            let words = 2 + dice.below(6);
            let sentence: Vec<&str> = (0..words)
                .filter_map(|_| SENTENCE_WORDS.get(dice.below(SENTENCE_WORDS.len() as u64) as usize).copied())
                .collect();
            let sentence = sentence.join(" ");
            let last = sentence.chars().count() - 1;
            for (nth, c) in sentence.chars().enumerate() {
                match dice.below(12) {
                    0 if open.len() < 3 => {
                        asked += 1;
                        let call = format!("c{asked}");
                        rig.ask_about(&call, (asked % 2 == 0).then_some("shell(echo*)"));
                        open.push(call);
                    }
                    1 if !open.is_empty() => {
                        let call = open.remove(0);
                        let (decision, by) = (Decision::Once, crate::event::DecidedBy::Remote);
                        rig.event(AgentEvent::ApprovalResolved { call: call.as_str().into(), decision, by });
                    }
                    2 if nth < last => drop(rig.press(&["f4"])),
                    _ => {}
                }
                rig.drawn();
                rig.wait(match dice.below(4) {
                    0 => 100 + dice.below(2900),
                    1 => 400,
                    _ => 100 + dice.below(200),
                });
                rig.key(c);
            }
            rig.wait(100 + dice.below(400));
            assert_eq!(rig.text(), sentence, "seed {seed}");
            rig.press(&["enter"]);
            let fx: Vec<Effect> =
                rig.effects().into_iter().filter(|effect| !matches!(effect, Effect::Notify(_))).collect();
            assert_eq!(fx, [Effect::Send(Command::prompt(sentence))], "seed {seed}");
        }
    }
}

#[test]
fn fifty_deliberate_answers_are_all_taken() {
    let mut rig = ChatRig::agent();
    rig.turn();
    for nth in 0..50 {
        let call = format!("c{nth}");
        rig.ask_about(&call, Some("shell(echo*)"));
        rig.drawn();
        let (keys, decision): (&[&str], _) = match nth % 6 {
            0 => (&["y"], Decision::Once),
            1 => (&["a"], Decision::Session),
            2 => (&["n"], Decision::Deny(None)),
            3 => (&["down", "down"], Decision::Session),
            4 => (&["x", "backspace", "up", "up", "up"], Decision::Deny(None)),
            _ => (&["p", "wait", "enter"], Decision::Pattern("shell(echo*)".into())),
        };
        for key in keys {
            rig.wait(if *key == "wait" { 500 } else { 120 });
            if *key != "wait" {
                rig.press(&[key]);
            }
            rig.drawn();
        }
        rig.wait(400);
        rig.press(&["enter"]);
        assert_eq!(rig.effects(), [Effect::Send(Command::Decide { call: call.as_str().into(), decision })], "{nth}");
    }
}

#[test]
fn an_ask_that_a_paste_of_nothing_hid_comes_back() {
    let mut rig = ChatRig::agent();
    rig.ask();
    rig.paste("");
    assert_eq!((rig.text().as_str(), rig.is_open()), ("", true));
}
