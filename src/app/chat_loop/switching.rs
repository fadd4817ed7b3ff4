//! Which session is shown: opening one beside the others, going to another, closing one.

use std::io;
use std::time::{Duration, Instant};

use super::effect_runner::send_command;
use super::session_tab::PrintedText;
use super::{ChatLoop, STATUS_FRAME_DELAY};
use crate::app::effects::{ResumedSession, TabId};
use crate::app::inline::InlineScreen;
use crate::app::linear::LinearScreen;
use crate::event::{Command, Seq, SessionId};
use crate::local_time::local_now;
use crate::runtime::StartMode;
use crate::store::action::Action;
use crate::store::effect::Effect;
use crate::store::msg::{Msg, Report};
use crate::store::tabs::TabTarget;
use crate::ui::keymap::Input;

impl ChatLoop<'_> {
    /// Shows a session that was opened on the wish of a tab: in its place, unless the one there has to stay open.
    pub(super) fn open_tab(&mut self, asked_by: TabId, opened: ResumedSession) -> io::Result<()> {
        let active = &mut self.tabs.active;
        let is_beside = opened.outside.as_ref().is_some_and(|outside| outside.is_beside);
        if active.id == asked_by && !active.stays_open() && !is_beside {
            if let Some(save) = active.draft.take_save(String::new()) {
                self.host.effects.save_draft(save);
            }
            active.replace_session(opened);
            // It was the other that was served.
            self.host.servers.retain(|(of, _)| *of != asked_by);
            self.host.notifier.forget();
            self.go_to_wanted_place();
            return self.run_effects();
        }
        let chat = active.chat.beside(self.host.options, &self.host.ui_config);
        let mut tab = active.beside(chat, opened);
        tab.chat.ui.panes.composer.set_vim(self.host.vim_start);
        tab.fold_backlog();
        self.put_aside();
        self.tabs.add(tab);
        self.on_tab_shown();
        self.go_to_wanted_place();
        self.run_effects()
    }

    /// Does what was asked for that concerns more than one session.
    pub(super) fn run_tab_effects(&mut self) -> io::Result<()> {
        for effect in std::mem::take(&mut self.host.tab_effects) {
            match effect {
                Effect::SwitchTab(target) => self.switch_tab(&target),
                Effect::CloseTab => self.close_tab(),
                Effect::ResumeSession(name) => match self.tabs.find_session(&name) {
                    Some(session) if session == self.tabs.active.session.session => {
                        let told = Report::Info("this session is the one that is open".into());
                        self.tabs.active.chat.update(Msg::Report(told));
                    }
                    Some(session) => self.switch_tab(&TabTarget::Session(session)),
                    None => self.host.open_session(&mut self.tabs.active, StartMode::Resume(Some(name))),
                },
                Effect::GoToSession(session, seq) => self.go_to_session(session, seq),
                Effect::RenameSession { id, title } => self.rename_session(id, title),
                Effect::ReloadSettings => self.reload_settings(),
                Effect::SetTheme(theme) => self.choose_theme(theme.as_deref())?,
                Effect::PreviewTheme(name) => self.preview_theme(&name),
                Effect::ListThemes => {
                    let own = self.themes.own_names();
                    self.tabs.active.chat.update(Msg::Report(Report::Themes(own)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Shows a session at the place of an event, in its tab or once it is open.
    fn go_to_session(&mut self, session: SessionId, seq: Seq) {
        if session != self.tabs.active.session.session {
            if self.tabs.find_session(session.as_str()).is_none() {
                let start = StartMode::Resume(Some(session.to_string()));
                self.host.wanted_place = Some((session, seq));
                return self.host.open_session(&mut self.tabs.active, start);
            }
            self.switch_tab(&TabTarget::Session(session));
        }
        self.tabs.active.chat.store.go_to_event(seq);
    }

    /// Goes to the place for which the session was opened.
    fn go_to_wanted_place(&mut self) {
        let session = &self.tabs.active.session.session;
        if let Some((_, seq)) = self.host.wanted_place.take_if(|(wanted, _)| wanted == session) {
            self.tabs.active.chat.store.go_to_event(seq);
        }
    }

    /// Names a session: where it is open it does that itself.
    fn rename_session(&mut self, id: SessionId, title: String) {
        let Some(tab) = self.tabs.iter_mut().find(|tab| tab.session.session == id) else {
            self.host.effects.tab = self.tabs.active.id;
            return self.host.effects.with_saved("not renamed", move |saved| {
                saved.rename(id.as_str(), &title).map(|id| Report::SessionRenamed { id, title })
            });
        };
        send_command(tab, Command::SetTitle { title: title.clone() });
        self.tabs.active.chat.update(Msg::Report(Report::SessionRenamed { id, title }));
    }

    fn switch_tab(&mut self, target: &TabTarget) {
        let Some(index) = self.tabs.summary().find(target) else { return };
        self.put_aside();
        if self.tabs.show(index) {
            self.on_tab_shown();
        }
        // What waits longest opens by itself; another was asked for.
        if let TabTarget::Ask(_, call) = target {
            self.tabs.active.chat.update(Msg::Action(Action::OpenApprovalOf(call.clone())));
        }
    }

    /// Ends the session that is shown; it stays saved.
    fn close_tab(&mut self) {
        self.put_aside();
        let Some(closed) = self.tabs.close_active() else { return };
        self.host.effects.tab = closed.id;
        self.host.effects.stop_command();
        self.host.servers.retain(|(of, _)| *of != closed.id);
        self.on_tab_shown();
    }

    /// Another session will be shown: keeps the draft, and how far this one was printed.
    fn put_aside(&mut self) {
        let Self { host, tabs, .. } = self;
        host.save_draft(&mut tabs.active);
        tabs.active.printed = PrintedText {
            place: host.inline.as_ref().map(InlineScreen::place).unwrap_or_default(),
            printer: host.linear.as_mut().map(LinearScreen::take_printer),
        };
    }

    /// Another session is shown from here on: nothing of what the last frame showed is good for it.
    fn on_tab_shown(&mut self) {
        let Self { host, tabs, .. } = self;
        let (tab, area) = (&mut tabs.active, host.term.screen.area());
        if let Some(inline) = &mut host.inline {
            inline.set_place(tab.printed.place);
        }
        if let Some(linear) = &mut host.linear {
            linear.set_printer(tab.printed.printer.take());
        }
        host.term.screen.begin_anew();
        host.notifier.forget_title();
        #[cfg(feature = "images")]
        host.images.forget_text();
        let now = Instant::now();
        // The window may have changed while it was not shown.
        tab.input(Input::Resize(area.width, area.height), now);
        tab.surveyed = None;
        host.pacer.request(now, Duration::ZERO);
    }

    /// Has the session that is shown know how those beside it stand.
    pub(super) fn refresh_tabs(&mut self) {
        self.tabs.note_asks(|| local_now().strftime("%H:%M").to_string());
        let (tabs, store) = (self.tabs.summary(), &self.tabs.active.chat.store);
        if store.tabs != tabs {
            self.tabs.active.chat.update(Msg::Tabs(tabs));
            self.host.pacer.request(Instant::now(), STATUS_FRAME_DELAY);
        }
    }
}
