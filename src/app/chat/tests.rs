mod mistyping;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::config::keys::Keymap;
use crate::event::{
    AgentEvent, ApprovalMode, ApprovalRequest, Capabilities, Command, Decision, Envelope, LoopRange, ReplayStatus, Seq,
    SessionStatus,
};
use crate::store::StoreOptions;
use crate::store::action::Context;
use crate::store::frames::FrameList;
use crate::store::overlay::help::HelpText;
use crate::testkit::events::{
    Opened, call_ready, call_started, message_started, shell_approval, turn_finished, turn_started,
};
use crate::testkit::ui::dark_ui;
use crate::ui;
use crate::ui::theme::ThemeKind;

mod approvals;
mod hunks;
mod lines;
mod pointer;
mod sequences;
mod vim;

struct ChatRig {
    chat: ChatController,
    seq: u64,
    began: Instant,
    clock: Millis,
}

impl ChatRig {
    fn new(caps: Capabilities) -> Self {
        let chat = ChatController::new(Store::new(StoreOptions::default()), dark_ui(), Keymap::default());
        let mut rig = Self { chat, seq: 0, began: Instant::now(), clock: Millis(0) };
        rig.event(Opened { model: "offline", folder: "/tmp", capabilities: caps, ..Opened::default() }.event());
        rig
    }

    fn agent() -> Self {
        Self::new(Capabilities { prompt: true, decide: true, cancel: true, ..Capabilities::default() })
    }

    fn event(&mut self, event: AgentEvent) {
        self.seq += 1;
        self.chat.update(Msg::Event(Envelope { seq: Seq(self.seq), at: self.clock, event }));
    }

    fn turn(&mut self) {
        self.event(turn_started("t1"));
    }

    fn ask(&mut self) {
        self.ask_about("c1", None);
    }

    fn ask_about(&mut self, call: &str, pattern: Option<&str>) {
        self.event(message_started("m1"));
        self.event(call_started(call, "m1", Some("shell")));
        self.event(call_ready(call, "shell", "{}"));
        let ask =
            ApprovalRequest { folder: "/tmp".into(), pattern: pattern.map(Into::into), ..shell_approval("echo hi") };
        self.event(AgentEvent::ApprovalRequested { call: call.into(), request: ask });
        self.chat.effects.clear();
    }

    /// What the loop does after a frame.
    fn drawn(&mut self) {
        if self.chat.store.focus.top_as::<ApprovalDialog>().is_some() {
            self.chat.update(Msg::Tick(self.clock));
            self.chat.update(Msg::ApprovalShown);
        }
    }

    fn paste(&mut self, text: &str) {
        let now = self.began + Duration::from(self.clock);
        self.chat.input(Input::Paste(text.into()), now, self.clock);
    }

    fn press(&mut self, chords: &[&str]) -> Option<LoopRequest> {
        let mut last = None;
        for chord in chords {
            let now = self.began + Duration::from(self.clock);
            last = self.chat.input(Input::Key(Chord::parse(chord).unwrap()), now, self.clock);
        }
        last
    }

    fn wait(&mut self, millis: u64) {
        self.clock = self.clock.plus(Millis(millis));
    }

    fn effects(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.chat.effects);
        effects.retain(|effect| !matches!(effect, Effect::Notify(_)));
        effects
    }

    /// The panel has something to show.
    fn call(&mut self) {
        self.event(message_started("m0"));
        self.event(call_started("c0", "m0", Some("shell")));
    }

    fn text(&self) -> String {
        self.chat.ui.panes.composer.text()
    }
}

fn decided(decision: Decision) -> Vec<Effect> {
    vec![Effect::Send(Command::Decide { call: "c1".into(), decision })]
}

#[test]
fn what_is_typed_is_sent_and_remembered() {
    let mut rig = ChatRig::agent();
    rig.press(&["h", "i", "enter"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::prompt("hi"))]);
    assert_eq!(rig.text(), "");
    assert_eq!(rig.chat.ui.panes.composer.take_unsaved_prompts(), ["hi"]);
}

#[test]
fn a_slash_begins_a_command_where_no_prompts_are_taken() {
    for seek in [false, true] {
        let mut rig = ChatRig::new(Capabilities { seek, ..Capabilities::default() });
        rig.press(&["x", "/", "q", "space"]);
        assert_eq!(rig.text(), "/q ", "other letters begin nothing, and then all are written");
        rig.press(&["backspace", "backspace", "h", "e", "l", "p", "enter"]);
        assert!(rig.chat.store.focus.top_as::<HelpText>().is_some());
        rig.press(&["esc", "/", "x", "y", "z", "enter"]);
        assert_eq!((rig.text(), rig.effects()), ("/xyz".into(), vec![]), "what is none is given back");
    }
}

#[test]
fn the_editor_is_asked_for_by_one_key_or_by_two() {
    let mut rig = ChatRig::agent();
    assert_eq!(rig.press(&["ctrl+g"]), Some(LoopRequest::EditDraft));
    assert_eq!(rig.press(&["ctrl+x", "ctrl+e"]), Some(LoopRequest::EditDraft));
    assert_eq!(rig.press(&["ctrl+x", "a", "ctrl+e"]), None, "another key is what it is");
    assert_eq!(rig.text(), "a");
}

#[test]
fn a_prompt_of_any_session_is_found_again_and_esc_leaves_the_draft() {
    let mut rig = ChatRig::agent();
    rig.chat.ui.panes.composer.set_history(vec!["fix the build".into(), "what is 6*7?".into()]);
    rig.press(&["h", "i", "ctrl+r", "b", "u", "i", "esc"]);
    assert_eq!(rig.text(), "hi");
    rig.press(&["ctrl+r", "b", "u", "i", "enter"]);
    assert_eq!(rig.text(), "fix the build");
    rig.press(&["ctrl+s"]);
    assert_eq!(rig.text(), "");
    rig.press(&["ctrl+s"]);
    assert_eq!(rig.text(), "fix the build");
}

#[test]
fn a_paste_never_sends_and_goes_to_the_composer_from_anywhere() {
    let mut rig = ChatRig::agent();
    rig.chat.input(Input::Paste("a\nb\n".into()), rig.began, rig.clock);
    assert_eq!((rig.effects(), rig.text().as_str()), (vec![], "a\nb\n"));
    rig.chat.update(Msg::Action(Action::Focus(Pane::Transcript)));
    rig.chat.update(Msg::Action(Action::OpenHelp));
    rig.chat.input(Input::Paste("c".into()), rig.began, rig.clock);
    assert_eq!((rig.text().as_str(), rig.chat.store.focus.pane), ("a\nb\nc", Pane::Composer));
    assert_eq!(rig.chat.store.focus.top(), None);
}

#[test]
fn raw_frames_are_saved_by_a_key_where_they_are_shown_and_by_command_under_a_name() {
    let mut rig = ChatRig::agent();
    rig.press(&["ctrl+s"]);
    assert!(!rig.effects().contains(&Effect::SaveFrames(None)), "nothing is shown that could be saved");
    rig.press(&["f9", "ctrl+s"]);
    assert_eq!(rig.effects(), [Effect::SaveFrames(None)]);
    rig.press(&["esc"]);
    rig.paste("/frames seen.jsonl");
    rig.press(&["enter"]);
    assert_eq!(rig.effects(), [Effect::SaveFrames(Some("seen.jsonl".into()))]);
    assert_eq!(rig.chat.store.focus.top(), None);
    rig.paste("/frames");
    rig.press(&["enter"]);
    assert!(rig.effects().is_empty() && rig.chat.store.focus.top_as::<FrameList>().is_some(), "they are shown");
}

#[test]
fn a_question_mark_is_help_only_while_nothing_is_typed() {
    let mut rig = ChatRig::agent();
    rig.press(&["a", "?"]);
    assert_eq!(rig.text(), "a?");
    rig.press(&["backspace", "backspace", "?"]);
    assert!(rig.chat.store.focus.top_as::<HelpText>().is_some());
    rig.press(&["x"]);
    assert_eq!(rig.text(), "");
    rig.press(&["esc"]);
    assert_eq!(rig.chat.store.focus.top(), None);
}

#[test]
fn ctrl_c_clears_then_interrupts_then_quits() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.press(&["d", "ctrl+c"]);
    assert_eq!((rig.effects(), rig.text().as_str()), (vec![], ""));
    assert_eq!(rig.chat.ui.panes.composer.history(), ["d"]);
    rig.press(&["ctrl+c"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::Cancel)]);
    assert!(rig.chat.store.session.cancelling, "acknowledged before the session has answered");
    rig.event(turn_finished("t1", crate::event::TurnOutcome::Cancelled));
    rig.press(&["ctrl+c"]);
    assert_eq!(rig.effects(), []);
    assert_eq!(rig.chat.store.toast.as_ref().map(|(_, text)| text.as_str()), Some("Ctrl+C again to quit"));
    rig.wait(3000);
    rig.press(&["ctrl+c"]);
    assert_eq!(rig.effects(), []);
    rig.press(&["ctrl+c"]);
    assert_eq!(rig.effects(), [Effect::Quit]);
}

#[test]
fn the_offer_to_quit_goes_with_its_time_or_the_next_key() {
    let mut rig = ChatRig::agent();
    rig.press(&["ctrl+c"]);
    assert_eq!(rig.chat.next_expiry(), Some(rig.began + DOUBLE_PRESS_TIMEOUT));
    rig.chat.expire(rig.began + DOUBLE_PRESS_TIMEOUT);
    assert_eq!((rig.chat.store.toast.clone(), rig.chat.next_expiry()), (None, None));
    rig.press(&["ctrl+c", "x"]);
    assert_eq!((rig.chat.store.toast.clone(), rig.chat.next_expiry()), (None, None));
    rig.press(&["backspace", "ctrl+c"]);
    assert_eq!(rig.effects(), []);
}

#[test]
fn esc_interrupts_and_again_forces() {
    let mut rig = ChatRig::agent();
    rig.press(&["esc"]);
    assert_eq!(rig.effects(), []);
    rig.turn();
    rig.press(&["esc", "esc"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::Cancel), Effect::Send(Command::Cancel)]);
}

#[test]
fn esc_sends_completions_away_first() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.press(&["/", "m"]);
    let area = Rect::new(0, 0, 80, 24);
    ui::draw(&rig.chat.store, &mut rig.chat.ui, area, &mut Buffer::empty(area));
    assert!(rig.chat.ui.panes.composer.completion.is_open());
    rig.press(&["esc"]);
    assert_eq!(rig.effects(), []);
    rig.press(&["esc"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::Cancel)]);
}

#[test]
fn esc_goes_back_to_the_composer_first() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.chat.update(Msg::Action(Action::Focus(Pane::Transcript)));
    rig.press(&["esc"]);
    assert_eq!((rig.effects(), rig.chat.store.focus.pane), (vec![], Pane::Composer));
}

#[test]
fn esc_in_a_search_goes_back_to_where_the_reader_was() {
    for keys in [["esc", "f12"], ["enter", "esc"]] {
        let mut rig = ChatRig::agent();
        for nth in 0..40 {
            let text = format!("word {nth}");
            rig.event(AgentEvent::UserMessage { message: crate::event::MessageId::new(format!("u{nth}")), text });
        }
        let area = Rect::new(0, 0, 80, 24);
        let draw = |rig: &mut ChatRig| {
            let ChatController { store, ui, .. } = &mut rig.chat;
            ui::draw(store, ui, area, &mut Buffer::empty(area));
            ui.panes.transcript.is_following()
        };
        assert!(draw(&mut rig));
        rig.press(&["ctrl+f", "d", "space", "3", "space", "backspace"]);
        draw(&mut rig);
        rig.press(&["up", "up", "up", "up", "up", "up", "up", "up", "up", "up"]);
        assert!(!draw(&mut rig));
        rig.press(&keys);
        assert!(draw(&mut rig), "{keys:?}");
    }
}

#[test]
fn ctrl_d_deletes_and_quits_only_when_empty() {
    let mut rig = ChatRig::agent();
    rig.press(&["a", "b", "home", "ctrl+d"]);
    assert_eq!((rig.effects(), rig.text().as_str()), (vec![], "b"));
    rig.press(&["ctrl+d", "ctrl+d"]);
    assert_eq!(rig.effects(), [Effect::Quit]);
}

#[test]
fn a_queued_prompt_comes_back_before_the_draft() {
    let mut rig = ChatRig::agent();
    rig.turn();
    let queue = vec![crate::event::QueuedPrompt::new(7, "later")];
    rig.chat.update(Msg::Status(SessionStatus { queue, ..SessionStatus::default() }));
    rig.press(&["n", "o", "w", "alt+up"]);
    assert_eq!(rig.effects(), [Effect::Send(Command::DequeuePrompt { id: 7 })]);
    assert_eq!(rig.text(), "later\nnow");
}

#[test]
fn a_replay_is_steered_with_bare_keys() {
    // The log tells what the session could do when it was recorded.
    let mut rig = ChatRig::agent();
    let replay = ReplayStatus {
        paused: false,
        speed: 1.0,
        position: Millis(0),
        length: Millis(9),
        turn: 0,
        turns: 1,
        max_idle: None,
        looped: LoopRange::default(),
    };
    rig.chat.update(Msg::Status(SessionStatus { replay: Some(replay), ..SessionStatus::default() }));
    rig.press(&["space", "i", "x"]);
    let squeeze = Command::CapIdle { max: Some(Millis(1000)) };
    assert_eq!(rig.effects(), [Effect::Send(Command::SetPaused { paused: true }), Effect::Send(squeeze)]);
    assert_eq!(rig.text(), "");
    rig.press(&["+", "+", "space"]);
    let speed = |factor| Effect::Send(Command::SetSpeed { factor });
    assert_eq!(rig.effects(), [speed(2.0), speed(4.0), Effect::Send(Command::SetPaused { paused: false })]);
    rig.turn();
    rig.press(&["esc", "ctrl+c"]);
    assert_eq!(rig.effects(), [], "a turn of the past can't be stopped");
    rig.press(&["ctrl+c"]);
    assert_eq!(rig.effects(), [Effect::Quit]);
}

#[test]
fn the_loop_is_asked_for_what_only_it_can_do() {
    let mut rig = ChatRig::agent();
    assert_eq!(rig.press(&["ctrl+z"]), Some(LoopRequest::Suspend));
    assert_eq!(rig.press(&["ctrl+l"]), Some(LoopRequest::Redraw));
    assert_eq!(rig.chat.input(Input::Resize(80, 24), rig.began, rig.clock), Some(LoopRequest::Resize(80, 24)));
}

#[test]
fn a_hidden_panel_does_not_cover_a_narrow_screen() {
    let mut rig = ChatRig::agent();
    rig.call();
    let area = Rect::new(0, 0, 120, 24);
    ui::draw(&rig.chat.store, &mut rig.chat.ui, area, &mut Buffer::empty(area));
    rig.press(&["ctrl+t"]);
    rig.chat.input(Input::Resize(110, 24), rig.began, rig.clock);
    assert!(rig.chat.store.focus.is_toggled(Pane::ToolPanel));
    rig.chat.input(Input::Resize(80, 24), rig.began, rig.clock);
    assert!(!rig.chat.store.focus.is_toggled(Pane::ToolPanel));
}

#[test]
fn an_ask_of_the_past_calls_nobody() {
    let ask = || {
        let ask = ApprovalRequest { folder: "/tmp".into(), ..shell_approval("echo hi") };
        let event = AgentEvent::ApprovalRequested { call: "c9".into(), request: ask };
        Envelope { seq: Seq(2), at: Millis(0), event }
    };
    let mut rig = ChatRig::agent();
    rig.chat.catch_up(ask());
    assert_eq!(rig.chat.effects, []);
    let mut rig = ChatRig::agent();
    rig.chat.update(Msg::Event(ask()));
    assert!(matches!(rig.chat.effects[..], [Effect::Notify(_)]));
}

#[test]
fn the_mouse_is_about_what_is_under_it() {
    let mut rig = ChatRig::agent();
    rig.turn();
    rig.ask();
    rig.drawn();
    rig.press(&["y"]);
    rig.wait(400);
    rig.press(&["enter"]);
    rig.effects();
    let area = Rect::new(0, 0, 120, 24);
    ui::draw(&rig.chat.store, &mut rig.chat.ui, area, &mut Buffer::empty(area));
    let mut wheel = |column| {
        rig.chat.input(Input::Wheel { rows: -3, column, row: 2 }, rig.began, rig.clock);
        (rig.chat.ui.panes.tools.selected, rig.chat.ui.panes.transcript.is_following())
    };
    assert_eq!(wheel(110), (Some(0), true));
    assert_eq!(wheel(5), (Some(0), false));
    rig.chat.update(Msg::Action(Action::OpenHelp));
    rig.chat.input(Input::Wheel { rows: 3, column: 5, row: 2 }, rig.began, rig.clock);
    assert_eq!(rig.chat.store.focus.top_as(), Some(&HelpText { scroll: 3 }));
}

#[test]
fn the_terminals_answer_sets_the_theme() {
    let mut rig = ChatRig::agent();
    rig.chat.input(Input::Background(Shade::Light), rig.began, rig.clock);
    assert_eq!(rig.chat.ui.theme.kind(), ThemeKind::Light);
}

#[test]
fn every_context_of_a_key_ends_in_global() {
    let rig = ChatRig::agent();
    assert_eq!(
        contexts(&rig.chat.store, true),
        [Context::EmptyComposer, Context::Pane(Pane::Composer), Context::Global]
    );
    assert_eq!(contexts(&rig.chat.store, false), [Context::Pane(Pane::Composer), Context::Global]);
}

#[test]
fn escape_twice_with_nothing_else_to_do_lists_the_prompts_to_go_back_to() {
    let list = |rig: &ChatRig| rig.chat.store.focus.find::<crate::store::overlay::rewind::RewindList>().is_some();
    let mut rig = ChatRig::new(Capabilities { branch: true, ..crate::testkit::events::LIVE });
    rig.press(&["esc"]);
    rig.press(&["esc"]);
    assert!(!list(&rig) && rig.chat.store.toast.is_none(), "nothing was said yet");
    rig.turn();
    rig.event(crate::testkit::events::user_message("m1", "mend it"));
    rig.press(&["esc"]);
    assert_eq!(rig.effects().len(), 1, "it stops the turn");
    rig.event(turn_finished("t1", crate::event::TurnOutcome::Cancelled));
    rig.press(&["esc"]);
    assert!(!list(&rig) && rig.chat.store.toast.is_some());
    rig.press(&["a"]);
    rig.press(&["esc"]);
    assert!(!list(&rig), "something is being written");
    rig.press(&["backspace"]);
    rig.press(&["esc"]);
    rig.press(&["esc"]);
    assert!(list(&rig));
    rig.press(&["esc"]);
    assert!(!list(&rig), "it leaves");
}
