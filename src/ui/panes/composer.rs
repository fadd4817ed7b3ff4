//! The composer as a part of the screen: its rows, what it says while it is empty, and what its keys do.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::action::{Action, UiAction};
use crate::store::pane::Pane;
use crate::store::slash::{self, Submitted};
use crate::ui::completion::Completed;
use crate::ui::composer::Composer;
use crate::ui::layout::{Place, inset};
use crate::ui::pane::{PaneResponse, PaneScreen, PaneView};

/// What it says while it is empty.
const IDLE_PLACEHOLDER: &str = "Ask anything, or / for commands";
const WATCHED_PLACEHOLDER: &str = "This session is read-only and takes no prompts; / for commands";
const BUSY_PLACEHOLDER: &str = "Type ahead: prompts are queued";

impl PaneView for Composer {
    fn pane(&self) -> Option<Pane> {
        Some(Pane::Composer)
    }

    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        if screen.is_replay() && self.is_empty() {
            return Place::Rows(0);
        }
        let wanted = self.height(screen.area.width.saturating_sub(2));
        Place::Rows(wanted.min((screen.area.height / 3).max(1)))
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        self.set_placeholder(&placeholder(screen, self.has_stash()));
        self.draw_field(&screen.theme, screen.has_keys(Pane::Composer), inset(area), buf)
    }

    fn release(&mut self, _store: &Store, at: (u16, u16)) -> Option<Action> {
        self.place_cursor(at);
        None
    }

    fn handle(&mut self, store: &Store, action: UiAction) -> PaneResponse {
        self.update_completion(store);
        match action {
            UiAction::Send if self.completion.takes_enter() => self.complete(),
            UiAction::Send => return submit(self, store).into(),
            UiAction::Newline => self.newline(),
            UiAction::Steer => return steer(self, store).into(),
            UiAction::Complete if !self.completion.is_open() => return steer(self, store).into(),
            UiAction::Complete => self.complete(),
            UiAction::HistoryPrevious if self.completion.is_open() => self.completion.up(),
            UiAction::HistoryNext if self.completion.is_open() => self.completion.down(),
            UiAction::HistoryPrevious => self.up(),
            UiAction::HistoryNext => self.down(),
            UiAction::Edit(edit) => self.edit(edit),
            UiAction::ToggleVim => _ = self.toggle_vim(),
            UiAction::Stash => self.stash(),
            UiAction::PromptHistory => {
                return PaneResponse::Tell(Action::OpenPromptHistory(self.history().to_vec()));
            }
            _ => return PaneResponse::Ignored,
        }
        self.clamp_cursor();
        PaneResponse::Done
    }
}

/// Hands the text over. A command that is only begun is sent as the chosen completion, and so is what follows it.
fn submit(composer: &mut Composer, store: &Store) -> Option<Action> {
    let chosen = composer.completion.take();
    let replaces_argument = composer.completion.replaces_argument();
    let text = composer.take();
    composer.update_completion(store);
    let text = match (slash::parse(&text, &store.user_commands), chosen) {
        (_, Some(Completed::Command(chosen))) if replaces_argument => chosen,
        (Submitted::Invalid(_), Some(Completed::Command(chosen))) => chosen.trim_end().to_owned(),
        _ => text,
    };
    (!text.trim().is_empty()).then_some(Action::Submit(text))
}

/// Hands the text over for the running turn; without one nothing happens.
fn steer(composer: &mut Composer, store: &Store) -> Option<Action> {
    if store.session.phase.is_idle() || composer.is_empty() || !store.session.capabilities().prompt {
        return None;
    }
    let text = composer.take();
    composer.update_completion(store);
    (!text.trim().is_empty()).then_some(Action::Steer(text))
}

fn placeholder(screen: &PaneScreen<'_>, has_stash: bool) -> Cow<'static, str> {
    let session = &screen.store.session;
    match (screen.keyboard_elsewhere(), &*screen.key_hints.cancel) {
        (Some(pane), "") => format!("The keyboard is in {pane}").into(),
        (Some(pane), key) => format!("The keyboard is in {pane}; {key} returns here").into(),
        _ if session.opened.is_some() && !session.capabilities().prompt => WATCHED_PLACEHOLDER.into(),
        _ if has_stash => match screen.key_hints.keys_of("composer.stash") {
            "" => "A draft is put away".into(),
            key => format!("{key} brings the draft back that you put away").into(),
        },
        _ if screen.store.person_runs.offered() > 0 => {
            format!("What your command printed goes with this prompt; {} drops it", screen.key_hints.cancel).into()
        }
        _ if session.phase.is_idle() => IDLE_PLACEHOLDER.into(),
        _ => BUSY_PLACEHOLDER.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::ui::completion::WantedList;

    fn submitted(text: &str) -> PaneResponse {
        PaneResponse::Tell(Action::Submit(text.into()))
    }

    fn written(text: &str) -> Composer {
        let mut composer = Composer::new();
        composer.set_text(text);
        composer
    }

    #[test]
    fn a_command_begun_is_sent_in_full() {
        let cases = [
            ("/he", "/help"),
            ("/mode plan", "/mode plan"),
            ("/mode pl", "/mode plan"),
            ("/q", "/q"),
            ("/zzz", "/zzz"),
            ("hi", "hi"),
        ];
        for (typed, sent) in cases {
            let mut composer = written(typed);
            assert_eq!(composer.handle(&Store::default(), UiAction::Send), submitted(sent), "{typed}");
            assert!(composer.is_empty());
        }
        assert_eq!(written("").handle(&Store::default(), UiAction::Send), PaneResponse::Done);
    }

    #[test]
    fn a_value_is_taken_by_enter_only_if_it_was_begun_or_chosen() {
        for (typed, downs, sent) in [
            ("/mode ", 0, "/mode "),
            ("/mode ", 1, "/mode ask"),
            ("/mode Build", 0, "/mode Build"),
            ("/times r", 0, "/timestamps relative"),
            ("/copy 3", 0, "/copy 3"),
        ] {
            let mut composer = written(typed);
            for _ in 0..downs {
                composer.handle(&Store::default(), UiAction::HistoryNext);
            }
            assert_eq!(composer.handle(&Store::default(), UiAction::Send), submitted(sent), "{typed}");
        }
    }

    #[test]
    fn enter_takes_a_path_and_sends_once_it_is_written_in_full() {
        let mut composer = written("what is @cha");
        composer.update_completion(&Store::default());
        assert_eq!(composer.completion.take_wanted(), Some(WantedList::Paths("cha".into())));
        composer.completion.set_paths(vec!["src/".into(), "src/chat.rs".into()]);
        assert_eq!(composer.handle(&Store::default(), UiAction::Send), PaneResponse::Done);
        assert_eq!(composer.text(), "what is @src/chat.rs ");
        assert_eq!(composer.handle(&Store::default(), UiAction::Send), submitted("what is @src/chat.rs "));

        let mut composer = written("@src");
        composer.update_completion(&Store::default());
        composer.completion.set_paths(vec!["src/".into()]);
        composer.handle(&Store::default(), UiAction::Complete);
        assert_eq!(composer.text(), "@src/", "one goes on to what is in it");
        assert_eq!(composer.mention_of("a b.md").as_deref(), Some(" @\"a b.md\" "));
        assert_eq!(written("!cat ").mention_of("a"), None, "a command takes the path as it is");
    }

    #[test]
    fn tab_steers_while_a_turn_runs_and_no_list_is_open() {
        use crate::testkit::events::{LIVE, Opened, turn_started};
        use crate::testkit::store::fold;
        let mut store = Store::default();
        fold(&mut store, [Opened { capabilities: LIVE, ..Opened::default() }.event()]);
        assert_eq!(written("left").handle(&store, UiAction::Complete), PaneResponse::Done, "nothing runs");
        fold(&mut store, [turn_started("t1")]);
        let steered = PaneResponse::Tell(Action::Steer("left".into()));
        assert_eq!(written("left").handle(&store, UiAction::Complete), steered);
        assert_eq!(written("").handle(&store, UiAction::Complete), PaneResponse::Done);
        let mut composer = written("/mo");
        assert_eq!(composer.handle(&store, UiAction::Complete), PaneResponse::Done);
        assert_eq!(composer.text(), "/model ", "a list that is open takes it");
    }

    #[test]
    fn arrows_choose_a_completion_and_tab_takes_it() {
        let mut composer = written("/mo");
        composer.handle(&Store::default(), UiAction::HistoryNext);
        composer.handle(&Store::default(), UiAction::Complete);
        assert_eq!(composer.text(), "/mode ");
    }
}
