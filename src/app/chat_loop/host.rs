//! What there is once, however many sessions are open: the terminal, the pace of its frames, what does effects, and what
//! calls the person.
//!
//! Not here: what belongs to a session (`session_tab.rs`).

use std::io;
use std::time::Instant;

use super::session_tab::SessionTab;
use crate::app::clipboard::TerminalEnv;
use crate::app::effects::{Effects, TabId};
use crate::app::frame_pacer::FramePacer;
#[cfg(feature = "images")]
use crate::app::images::ImageLoader;
use crate::app::inline::InlineScreen;
use crate::app::linear::LinearScreen;
use crate::app::notify::Notifier;
use crate::app::notify_command::NotifyCommand;
use crate::app::term::{self, Term};
use crate::bridge::traffic::TrafficReader;
use crate::config::UiConfig;
use crate::event::{Seq, SessionId};
use crate::runtime::{ListScope, SavedSessions, SharedServer, Workspace};
use crate::store::StoreOptions;
use crate::store::argument_values::ValueList;
use crate::store::effect::Effect;
use crate::store::frames::FrameList;
use crate::store::notification::{Notification, NotifyWish};
use crate::store::spending::Spending;
use crate::ui::completion::WantedList;
use crate::ui::composer::vim::VimMode;

pub(super) struct TabHost<'a> {
    pub(super) term: Term,
    /// Where lines are printed and nothing is painted.
    pub(super) linear: Option<LinearScreen>,
    /// Where the terminal keeps the text.
    pub(super) inline: Option<InlineScreen>,
    pub(super) effects: Effects<'a>,
    pub(super) frames: TrafficReader,
    /// Somebody looks at them.
    pub(super) watched_frames: Option<TrafficReader>,
    pub(super) pacer: FramePacer,
    pub(super) options: StoreOptions,
    /// What further sessions are shown by.
    pub(super) ui_config: UiConfig,
    /// Since when frames are measured, while their figures are shown.
    pub(super) measuring_since: Option<Instant>,
    pub(super) terminal_env: TerminalEnv,
    pub(super) workspace: Workspace,
    pub(super) notifier: Notifier,
    pub(super) logs: SavedSessions,
    /// When earlier prompts are read.
    pub(super) history_load_at: Option<Instant>,
    #[cfg(feature = "images")]
    pub(super) images: ImageLoader,
    /// Seconds east of Greenwich, once they were asked for.
    pub(super) utc_offset_secs: Option<i32>,
    /// The mode in which a composer begins; none where it has none.
    pub(super) vim_start: Option<VimMode>,
    pub(super) quit: Option<u8>,
    /// The sessions that are served, by their tabs.
    pub(super) servers: Vec<(TabId, SharedServer)>,
    /// The session that is being opened for the place of an event, and that event.
    pub(super) wanted_place: Option<(SessionId, Seq)>,
    /// What was asked for that concerns more than one session.
    pub(super) tab_effects: Vec<Effect>,
}

impl TabHost<'_> {
    /// Leaves the terminal's own text as somebody else may go on with it: the cursor on a clean row.
    pub(super) fn leave_text(&mut self) -> io::Result<()> {
        if let Some(linear) = &mut self.linear {
            linear.finish(&mut io::stdout())?;
        }
        if let Some(inline) = &mut self.inline {
            inline.wipe(self.term.screen.out())?;
        }
        Ok(())
    }

    /// Has the surroundings of the session that is shown looked at where they may have changed.
    pub(super) fn survey(&mut self, tab: &mut SessionTab) {
        let store = &tab.chat.store;
        let Some(opened) = &store.session.opened else { return };
        let turns = store.usage.turns();
        let is_known = tab.surveyed.as_ref().is_some_and(|(session, folder, turn)| {
            *session == tab.session.session && *folder == opened.folder && *turn == turns
        });
        if is_known || self.history_load_at.is_some() || self.effects.is_loading_history() {
            return;
        }
        let (session, folder) = (tab.session.session.clone(), opened.folder.clone());
        session.as_str().clone_into(&mut tab.chat.store.workplace.session);
        self.effects.survey(self.logs.clone(), session.clone(), folder.clone().into());
        tab.surveyed = Some((session, folder, turns));
    }

    /// Calls the person, if they look elsewhere and want that.
    pub(super) fn notify(&mut self, tab: &SessionTab, told: &Notification) -> io::Result<()> {
        if self.notifier.is_wanted(told.kind, Instant::now()) { self.call(tab, told) } else { Ok(()) }
    }

    /// Calls the person to show how, or does so at other times from now on; says what holds.
    pub(super) fn set_notify(&mut self, tab: &mut SessionTab, wish: NotifyWish) -> io::Result<()> {
        let told = self.notifier.apply(wish);
        tab.chat.show_toast(told);
        if wish == NotifyWish::Test { self.call(tab, &Notification::test()) } else { Ok(()) }
    }

    fn call(&mut self, tab: &SessionTab, told: &Notification) -> io::Result<()> {
        if let Some(command) = self.notifier.command() {
            let folder = tab.chat.store.session.opened.as_ref().map_or("", |opened| opened.folder.as_str());
            let command = NotifyCommand::new(command, told, tab.session.session.as_str(), folder);
            self.effects.run_notify_command(command);
        }
        let sequence = self.notifier.call_sequence(told);
        self.term.write_raw(sequence.as_bytes())
    }

    /// Does what follows from how the shown session stands now: beside the screen, and for the person.
    pub(super) fn follow_up(&mut self, tab: &mut SessionTab) -> io::Result<()> {
        self.effects.tab = tab.id;
        self.survey(tab);
        let now = Instant::now();
        let beside = self.notifier.refresh(&tab.chat.store, now);
        if !beside.is_empty() {
            term::set_progress_shown(self.notifier.is_progress_shown());
            self.term.write_raw(beside.as_bytes())?;
        }
        tab.chat.track_toast(now);
        match (tab.chat.store.focus.find::<FrameList>().is_some(), &self.watched_frames) {
            (true, None) => self.watched_frames = Some(self.frames.clone()),
            (false, Some(_)) => self.watched_frames = None,
            _ => {}
        }
        match tab.chat.ui.panes.composer.completion.take_wanted() {
            None => {}
            Some(WantedList::Paths(typed)) => self.effects.list_paths(typed),
            Some(WantedList::ServerPrompts(named)) => self.effects.list_server_prompts(named),
            Some(WantedList::Values(ValueList::Models)) => self.list_models(tab),
            Some(WantedList::Values(ValueList::Sessions)) => {
                self.effects.list_sessions(ListScope { all_folders: false, archived: false });
            }
        }
        let fresh = tab.chat.ui.panes.composer.take_unsaved_prompts();
        if !fresh.is_empty() {
            self.effects.append_history(fresh);
        }
        Ok(())
    }

    /// Adds turns that ended to what was used today.
    pub(super) fn count_spent(&mut self, tab: TabId, spent: Vec<Spending>) {
        self.effects.tab = tab;
        for turn in spent {
            self.effects.count_day_usage(Some(turn));
        }
    }

    /// Keeps the draft of a session as it is now.
    pub(super) fn save_draft(&mut self, tab: &mut SessionTab) {
        if let Some(save) = tab.draft.take_save(tab.unsent_text()) {
            self.effects.tab = tab.id;
            self.effects.save_draft(save);
        }
    }
}
