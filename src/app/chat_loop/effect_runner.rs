//! Does what the store and the view ask for, and takes what came of it.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::ChatLoop;
use crate::app::effects::{self, EffectResult, ResumedSession};
use crate::app::notify_command::NotifyCommand;
use crate::app::session_clock::SessionClock;
use crate::app::term;
use crate::event::{Command, Seq};
use crate::runtime::{ListScope, StartMode};
use crate::store::argument_values::ValueList;
use crate::store::effect::Effect;
use crate::store::frames::FrameList;
use crate::store::msg::{Msg, Report};
use crate::store::notification::Notification;
use crate::text::one_line;
use crate::ui::completion::WantedList;

/// Cells of the working folder in a message.
const MAX_FOLDER_CELLS: usize = 60;

impl ChatLoop<'_> {
    pub(super) fn handle_effect_result(&mut self, done: EffectResult) -> io::Result<()> {
        match done {
            EffectResult::Report(report) => self.chat.update(Msg::Report(report)),
            EffectResult::History(prompts) => self.chat.ui.panes.composer.set_history(prompts),
            EffectResult::Paths(paths) => self.chat.ui.panes.composer.completion.set_paths(paths),
            EffectResult::CommandEnded(result) => self.chat.update(Msg::Report(Report::CommandEnded(result))),
            EffectResult::Session(opened) => self.attach_session(*opened),
            EffectResult::Settings(look) => self.apply_settings_look(*look)?,
            EffectResult::Terminal(bytes, report) => {
                self.term.write_raw(&bytes)?;
                self.chat.update(Msg::Report(report));
            }
            EffectResult::Nothing => {}
        }
        Ok(())
    }

    /// Shows another session. The old one is forgotten here; it stays saved.
    fn attach_session(&mut self, opened: ResumedSession) {
        let ResumedSession { mut handle, draft, restored } = opened;
        if let Some(save) = self.draft.take_save(String::new()) {
            self.effects.save_draft(save);
        }
        self.draft.switch_session(&handle.session, draft.clone().unwrap_or_default());
        if !self.chat.ui.panes.composer.is_empty() {
            self.draft.on_edit(Instant::now(), false);
        }
        self.chat.update(Msg::Reset);
        self.notifier.forget();
        self.history_loader = None;
        let status = handle.status.borrow_and_update().clone();
        self.clock = SessionClock::new(&status, Instant::now());
        self.chat.update(Msg::Status(status));
        self.events = handle.hub.subscribe(Seq(0));
        self.published_before = handle.hub.last_seq();
        self.has_backlog = true;
        self.session = handle;
        (self.events_open, self.status_open) = (true, true);
        (self.prepare_at, self.is_prepared) = (None, false);
        self.restored_draft = draft;
        self.restore_draft();
        self.chat.show_warnings(&restored);
    }

    fn open_session(&mut self, start: StartMode) {
        if let Some(report) = self.effects.open_session(start) {
            self.chat.update(Msg::Report(report));
        }
    }

    /// Has the surroundings of the session looked at where they may have changed.
    fn survey(&mut self) {
        let store = &self.chat.store;
        let Some(opened) = &store.session.opened else { return };
        let turns = store.usage.turns();
        let is_known = self.surveyed.as_ref().is_some_and(|(session, folder, turn)| {
            *session == self.session.session && *folder == opened.folder && *turn == turns
        });
        if is_known || self.history_load_at.is_some() {
            return;
        }
        let (session, folder) = (self.session.session.clone(), opened.folder.clone());
        session.as_str().clone_into(&mut self.chat.store.workplace.session);
        self.effects.survey(self.logs.clone(), session.clone(), folder.clone().into());
        self.surveyed = Some((session, folder, turns));
    }

    /// Calls the person, if they look elsewhere and want that.
    fn notify(&mut self, told: &Notification) -> io::Result<()> {
        if !self.notifier.is_wanted(told.kind, Instant::now()) {
            return Ok(());
        }
        if let Some(command) = self.notifier.command() {
            let folder = self.chat.store.session.opened.as_ref().map_or("", |opened| opened.folder.as_str());
            let command = NotifyCommand::new(command, told, self.session.session.as_str(), folder);
            self.effects.run_notify_command(command);
        }
        let sequence = self.notifier.call_sequence(told);
        self.term.write_raw(sequence.as_bytes())
    }

    fn send_command(&mut self, command: Command) {
        if let Err((command, why)) = effects::send(&self.session.commands, command) {
            match &command {
                Command::Prompt { text, .. } => self.chat.restore_text(text),
                Command::Note { text } => self.chat.restore_text(&format!("#{text}")),
                _ => {}
            }
            self.chat.update(Msg::Report(Report::Failed { what: "not sent".into(), why: why.into() }));
        }
    }

    pub(super) fn run_effects(&mut self) -> io::Result<()> {
        for effect in std::mem::take(&mut self.chat.effects) {
            match effect {
                Effect::Send(command) => self.send_command(command),
                Effect::ReadMentions(prompt) => self.effects.read_mentions(prompt),
                Effect::RunCommand(command) => {
                    let folder = one_line(&self.workspace.folder.display().to_string(), MAX_FOLDER_CELLS);
                    self.chat.show_toast(format!("it runs here, in {folder}; Esc stops it"));
                    self.effects.run_command(command);
                }
                Effect::StopCommand => self.effects.stop_command(),
                Effect::ListModels => self.effects.list_models(),
                Effect::NewSession => self.open_session(StartMode::New),
                Effect::ResumeSession(id) if id == self.session.session.as_str() => {
                    self.chat.update(Msg::Report(Report::Info("this session is the one that is open".into())));
                }
                Effect::ResumeSession(id) => self.open_session(StartMode::Resume(Some(id))),
                Effect::ListSessions { all_folders, archived } => {
                    self.effects.list_sessions(ListScope { all_folders, archived });
                }
                Effect::PreviewSession(id) => self.effects.with_saved("not read", move |saved| {
                    let messages = saved.preview(&id).ok();
                    Ok(Report::SessionPreview(id, messages))
                }),
                Effect::RenameSession { id, title } if id == self.session.session => {
                    self.send_command(Command::SetTitle { title: title.clone() });
                    self.chat.update(Msg::Report(Report::SessionRenamed { id, title }));
                }
                Effect::RenameSession { id, title } => self.effects.with_saved("not renamed", move |saved| {
                    saved.rename(id.as_str(), &title).map(|id| Report::SessionRenamed { id, title })
                }),
                Effect::ArchiveSession { id, is_archived } => self.effects.with_saved("not archived", move |saved| {
                    saved.set_archived(id.as_str(), is_archived).map(Report::SessionRemoved)
                }),
                Effect::RemoveSession(id) => self
                    .effects
                    .with_saved("not deleted", move |saved| saved.remove(id.as_str()).map(Report::SessionRemoved)),
                Effect::Copy(copy) => {
                    if let Some(sequence) = self.effects.copy(&copy, &self.terminal_env) {
                        self.term.write_raw(&sequence)?;
                    }
                }
                Effect::Open(target) => {
                    let folder = self.chat.store.session.opened.as_ref().map(|opened| opened.folder.clone());
                    let folder = PathBuf::from(folder.unwrap_or_default());
                    self.effects.open(&target, &self.terminal_env, &folder);
                }
                #[cfg(feature = "images")]
                Effect::MeasureImage(source) => {
                    let measured = self.images.measure(source, &self.chat.store);
                    self.effects.report(measured);
                }
                #[cfg(feature = "images")]
                Effect::DecodeImage(source, facts) => {
                    let decoded = self.images.decode(source, facts, &self.chat.store);
                    self.effects.report(decoded);
                }
                Effect::SaveFrames(file) => self.effects.save_frames(self.frames.clone(), file),
                Effect::Composer(edit) => self.chat.edit_composer(edit),
                // The controller takes these for itself.
                Effect::View(_) => {}
                Effect::LoadActionUses => self.effects.load_action_uses(),
                Effect::SaveActionUses(uses) => self.effects.save_action_uses(uses),
                Effect::Notify(told) => self.notify(&told)?,
                Effect::SetTheme(theme) => self.choose_theme(theme.as_deref())?,
                Effect::ReloadSettings => self.reload_settings(),
                Effect::Quit => self.quit = Some(0),
            }
        }
        if self.chat.take_has_restored_text() {
            if let Some(linear) = &mut self.linear {
                linear.on_restored();
            }
            self.draft.on_edit(Instant::now(), self.chat.ui.panes.composer.is_empty());
        }
        self.survey();
        let now = Instant::now();
        let beside = self.notifier.refresh(&self.chat.store, now);
        if !beside.is_empty() {
            term::set_progress_shown(self.notifier.is_progress_shown());
            self.term.write_raw(beside.as_bytes())?;
        }
        self.chat.track_toast(now);
        match (self.chat.store.focus.find::<FrameList>().is_some(), &self.watched_frames) {
            (true, None) => self.watched_frames = Some(self.frames.clone()),
            (false, Some(_)) => self.watched_frames = None,
            _ => {}
        }
        match self.chat.ui.panes.composer.completion.take_wanted() {
            None => {}
            Some(WantedList::Paths(typed)) => self.effects.list_paths(typed),
            Some(WantedList::Values(ValueList::Models)) => self.effects.list_models(),
            Some(WantedList::Values(ValueList::Sessions)) => {
                self.effects.list_sessions(ListScope { all_folders: false, archived: false });
            }
        }
        let fresh = self.chat.ui.panes.composer.take_unsaved_prompts();
        if !fresh.is_empty() {
            self.effects.append_history(fresh);
        }
        Ok(())
    }
}
