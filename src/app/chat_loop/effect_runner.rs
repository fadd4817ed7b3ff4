//! Does what the store and the view ask for, and takes what came of it.

use std::io;
use std::path::PathBuf;

use super::ChatLoop;
use super::host::TabHost;
use super::session_tab::SessionTab;
use crate::app::effects::{self, EffectResult, OutsideSession, TabId};
use crate::event::Command;
use crate::runtime::{ListScope, StartMode};
use crate::store::effect::Effect;
use crate::store::msg::{Msg, Report};
use crate::text::one_line;

/// Cells of the working folder in a message.
const MAX_FOLDER_CELLS: usize = 60;

impl ChatLoop<'_> {
    /// Takes what came of an effect, for the session that asked for it; of one that was closed it is dropped.
    pub(super) fn handle_effect_result(&mut self, id: TabId, done: EffectResult) -> io::Result<()> {
        match done {
            EffectResult::Session(opened) => return self.open_tab(id, *opened),
            EffectResult::Serving(server) => {
                if let Some(tab) = self.tabs.get_mut(id) {
                    let (url, token) = (server.url.clone(), server.token.clone());
                    tab.chat.update(Msg::Report(Report::Serving { url, token }));
                    self.host.servers.push((id, *server));
                }
            }
            EffectResult::Settings(look) => self.apply_settings_look(*look)?,
            EffectResult::Terminal(bytes, report) => {
                self.host.term.write_raw(&bytes)?;
                self.tabs.active.chat.update(Msg::Report(report));
            }
            EffectResult::History(Err(report)) => self.tabs.active.chat.update(Msg::Report(report)),
            EffectResult::History(Ok(prompts)) => {
                self.tabs.iter_mut().for_each(|tab| tab.chat.ui.panes.composer.set_history(prompts.clone()));
            }
            // How images are drawn, and what is used in a day, is the same for all.
            EffectResult::Report(report @ Report::DayUsage(_)) => {
                self.tabs.iter_mut().for_each(|tab| tab.chat.update(Msg::Report(report.clone())));
            }
            done => {
                let Some(tab) = self.tabs.get_mut(id) else { return Ok(()) };
                match done {
                    EffectResult::Report(report) => tab.chat.update(Msg::Report(report)),
                    EffectResult::PastedImage(Err(why)) => tab.chat.show_toast(why),
                    EffectResult::PastedImage(Ok(path)) => {
                        let path = path.to_string_lossy();
                        tab.chat.attach_file(&path, self.host.workspace.read_attachment(&path), true);
                    }
                    EffectResult::ServerPrompts(prompts) => {
                        let commands = &mut tab.chat.store.user_commands;
                        commands.retain(|command| !command.is_of_server());
                        commands.extend(prompts);
                        tab.chat.ui.panes.composer.refresh_completion(&tab.chat.store);
                    }
                    EffectResult::Paths(paths) => tab.chat.ui.panes.composer.completion.set_paths(paths),
                    EffectResult::CommandEnded(result) => tab.chat.update(Msg::Report(Report::CommandEnded(result))),
                    _ => {}
                }
            }
        }
        // It may be one that is not shown.
        self.run_background_effects(id)
    }

    pub(super) fn run_effects(&mut self) -> io::Result<()> {
        self.host.run_effects(&mut self.tabs.active)?;
        if self.tabs.active.take_has_restored_text()
            && let Some(linear) = &mut self.host.linear
        {
            linear.on_restored();
        }
        self.run_tab_effects()?;
        self.refresh_tabs();
        self.host.follow_up(&mut self.tabs.active)
    }

    /// Does what a session asks for that is not shown.
    pub(super) fn run_background_effects(&mut self, id: TabId) -> io::Result<()> {
        if self.tabs.active.id == id {
            return Ok(());
        }
        let Some((number, tab)) = (1..).zip(self.tabs.iter_mut()).find(|(_, tab)| tab.id == id) else { return Ok(()) };
        for effect in &mut tab.chat.effects {
            if let Effect::Notify(told) = effect {
                *told = told.clone().in_tab(number, &tab.chat.store.tab_title());
            }
        }
        self.host.run_effects(tab)?;
        if tab.take_has_restored_text() || tab.draft.deadline().is_some() {
            self.host.save_draft(tab);
        }
        Ok(())
    }
}

impl TabHost<'_> {
    pub(super) fn open_session(&mut self, tab: &mut SessionTab, start: StartMode) {
        self.effects.tab = tab.id;
        if let Some(report) = self.effects.open_session(start) {
            tab.chat.update(Msg::Report(report));
        }
    }

    fn open_outside(&mut self, tab: &mut SessionTab, wanted: OutsideSession) {
        if let Some(report) = self.effects.open_outside(wanted) {
            tab.chat.update(Msg::Report(report));
        }
    }

    fn toggle_serving(&mut self, tab: &mut SessionTab) {
        let before = self.servers.len();
        self.servers.retain(|(of, _)| *of != tab.id);
        if self.servers.len() < before {
            tab.chat.show_toast("this session is no longer served".into());
        } else {
            self.effects.serve_session(tab.session.clone(), tab.chat.store.session.mode());
        }
    }

    fn tell_peers(&mut self, tab: &mut SessionTab) {
        let server = self.servers.iter().find(|(of, _)| *of == tab.id).map(|(_, server)| server);
        tab.chat.show_toast(match server {
            None if tab.chat.store.workplace.attachment.is_some() => {
                "this session runs elsewhere: who serves it knows who follows it".into()
            }
            None => "nobody follows this session; /serve lets others do so".into(),
            Some(server) => match server.reader_count() {
                0 => format!("nobody follows {} now", server.url),
                1 => format!("one client follows {}", server.url),
                count => format!("{count} clients follow {}", server.url),
            },
        });
    }

    pub(super) fn list_models(&mut self, tab: &SessionTab) {
        match &tab.models {
            Some(models) => self.effects.list_remote_models(models.clone()),
            None => self.effects.list_models(),
        }
    }

    /// Does what a session asks for; what concerns others as well is left to the loop.
    pub(super) fn run_effects(&mut self, tab: &mut SessionTab) -> io::Result<()> {
        self.effects.tab = tab.id;
        for effect in std::mem::take(&mut tab.chat.effects) {
            match effect {
                Effect::Send(command) => send_command(tab, command),
                Effect::WriteServerPrompt { prompt, words } => self.effects.write_server_prompt(prompt, words),
                Effect::ReadMentions(prompt) => self.effects.read_mentions(prompt),
                Effect::AttachFile { path, images_only } => {
                    let read = self.workspace.read_attachment(&path);
                    tab.chat.attach_file(&path, read, images_only);
                }
                Effect::PasteImage => self.effects.paste_image(&self.terminal_env),
                Effect::RunCommand(command) => {
                    let folder = one_line(&self.workspace.folder.display().to_string(), MAX_FOLDER_CELLS);
                    tab.chat.show_toast(format!("it runs here, in {folder}; Esc stops it"));
                    self.effects.run_command(command);
                }
                Effect::StopCommand => self.effects.stop_command(),
                Effect::ListModels => self.list_models(tab),
                Effect::Attach { line, is_beside } => {
                    self.open_outside(tab, OutsideSession::Attached { line, is_beside });
                }
                Effect::PlaySession(name) => {
                    let name = name.unwrap_or_else(|| tab.session.session.to_string());
                    self.open_outside(tab, OutsideSession::Played(name));
                }
                Effect::ToggleServing => self.toggle_serving(tab),
                Effect::ListMcp(name) => self.effects.list_mcp(name),
                Effect::WatchMcp => self.effects.watch_mcp(),
                Effect::RestartMcp(name) => self.effects.restart_mcp(name),
                Effect::ListPeers => self.tell_peers(tab),
                Effect::CheckFiles(steps) => self.effects.check_files(&tab.session.session, steps),
                Effect::RestoreFiles(steps) => self.effects.restore_files(&tab.session.session, steps),
                Effect::DiffFolder => {
                    let folder = tab.chat.store.session.opened.as_ref().map(|opened| opened.folder.clone());
                    self.effects.diff_folder(folder.map_or_else(|| self.workspace.folder.clone(), PathBuf::from));
                }
                Effect::ListTasks => self.effects.list_tasks(&tab.session.session, false),
                Effect::ShowTasks => self.effects.list_tasks(&tab.session.session, true),
                Effect::StopTask(id) => self.effects.stop_task(&tab.session.session, &id),
                Effect::ReadMemory => self.effects.read_memory(false),
                Effect::TrustFolder => self.effects.read_memory(true),
                Effect::NewSession => self.open_session(tab, StartMode::New),
                Effect::SearchSessions(query) => self.effects.search_sessions(query),
                Effect::ImportSessions(path) => self.effects.import_sessions(path),
                Effect::HandOff { session, format, file } => self.effects.hand_off(session, format, file),
                Effect::ResumeSession(_) | Effect::GoToSession(..) | Effect::SwitchTab(_) | Effect::CloseTab => {
                    self.tab_effects.push(effect);
                }
                Effect::ListSessions { all_folders, archived } => {
                    self.effects.list_sessions(ListScope { all_folders, archived });
                }
                Effect::PreviewSession(id) => self.effects.with_saved("not read", move |saved| {
                    let messages = saved.preview(&id).ok();
                    Ok(Report::SessionPreview(id, messages))
                }),
                Effect::RenameSession { .. }
                | Effect::ReloadSettings
                | Effect::SetTheme(_)
                | Effect::PreviewTheme(_)
                | Effect::ListThemes => self.tab_effects.push(effect),
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
                    let folder = tab.chat.store.session.opened.as_ref().map(|opened| opened.folder.clone());
                    let folder = PathBuf::from(folder.unwrap_or_default());
                    self.effects.open(&target, &self.terminal_env, &folder);
                }
                #[cfg(feature = "images")]
                Effect::MeasureImage(source) => {
                    let measured = self.images.measure(source, &tab.chat.store);
                    self.effects.report(measured);
                }
                #[cfg(feature = "images")]
                Effect::DecodeImage(source, facts) => {
                    let decoded = self.images.decode(source, facts, &tab.chat.store);
                    self.effects.report(decoded);
                }
                Effect::Export(request) => {
                    let area = self.term.screen.area();
                    let report = self.effects.export(tab.session.clone(), request, (area.width, area.height));
                    if let Some(report) = report {
                        tab.chat.update(Msg::Report(report));
                    }
                }
                Effect::SaveFrames(file) => self.effects.save_frames(self.frames.clone(), file),
                Effect::Composer(edit) => tab.chat.edit_composer(edit),
                // The controller takes these for itself.
                Effect::View(_) => {}
                Effect::LoadActionUses => self.effects.load_action_uses(),
                Effect::SaveActionUses(uses) => self.effects.save_action_uses(uses),
                Effect::Notify(told) => self.notify(tab, &told)?,
                Effect::SetNotify(wish) => self.set_notify(tab, wish)?,
                Effect::Quit => self.quit = Some(0),
            }
        }
        Ok(())
    }
}

pub(super) fn send_command(tab: &mut SessionTab, command: Command) {
    if let Err((command, why)) = effects::send(&tab.session.commands, command) {
        match &command {
            Command::Prompt { text, .. } | Command::Steer { text, .. } => tab.chat.restore_text(text),
            Command::Note { text } => tab.chat.restore_text(&format!("#{text}")),
            _ => {}
        }
        tab.chat.update(Msg::Report(Report::Failed { what: "not sent".into(), why: why.into() }));
    }
}
