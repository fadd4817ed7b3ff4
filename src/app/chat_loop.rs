//! The loop itself: who is looked at in which order, and what their reports change.

mod ask_arrivals;
mod draft_editing;
mod drawing;
mod effect_runner;
mod host;
mod session_tab;
mod settings;
mod switching;
mod tab_set;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::Event;

use self::host::TabHost;
use self::session_tab::{FoldOutcome, SessionTab, TabChange};
pub(super) use self::settings::theme_pair;
use self::tab_set::TabSet;
use super::chat::{ChatController, LoopRequest};
use super::clipboard::TerminalEnv;
use super::draft::{DraftSave, DraftSaver};
use super::effects::{Effects, TabId, frames_report};
use super::farewell::{farewell, last_answer};
use super::frame_pacer::FramePacer;
#[cfg(feature = "images")]
use super::images::ImageLoader;
use super::inline::InlineScreen;
use super::input::InputReader;
use super::linear::{LinearScreen, term_mode, terminal_echoes};
use super::live_settings::SettingsWatch;
use super::notify::Notifier;
use super::paste_detector::PasteDetector;
use super::term::{self, SignalEvent, Signals, Term, TermMode};
use super::wait_futures::{next_frames, sleep_until_or_forever};
use super::{ChatContext, HANGUP_EXIT_CODE, SessionPlaces};
use crate::config::themes::ThemeFolder;
use crate::config::{SettingsSource, ThemeChoice};
use crate::store::action::Action;
use crate::store::effect::Effect;
use crate::store::msg::Msg;
use crate::store::workplace::Workplace;
use crate::store::{Store, StoreOptions};
use crate::text::mention::dropped_path;
use crate::ui::Ui;
use crate::ui::composer::vim::VimMode;
use crate::ui::keymap::{Input, Shade, TerminalReplies, translate};

/// What tells of a stream is drawn within this time: its text is likely to come at once, and draws both.
const STATUS_FRAME_DELAY: Duration = Duration::from_millis(8);
/// Between two frames that only tell how far a search has come.
const SEARCH_FRAME_INTERVAL: Duration = Duration::from_millis(40);
/// After the first frame, before what nobody waits for is begun: the first key may come at once.
const BACKGROUND_START_DELAY: Duration = Duration::from_millis(40);
/// So many characters in the composer are the beginning of a prompt.
const PROMPT_BEGUN: usize = 3;

pub(super) struct ChatLoop<'a> {
    host: TabHost<'a>,
    tabs: TabSet,
    paste_detector: PasteDetector,
    terminal_replies: TerminalReplies,
    terminal_replies_until: Option<Instant>,
    settings: SettingsWatch,
    /// The mode that the shape of the cursor shows; none while it is the terminal's own.
    cursor_mode: Option<VimMode>,
    /// The theme that was asked for; the terminal decides what `auto` is.
    theme: ThemeChoice,
    /// Where the person's themes are.
    themes: ThemeFolder,
    /// Another is shown while the list of themes is open.
    is_theme_previewed: bool,
    /// The ground that the terminal has of itself, as far as it said.
    shade: Option<Shade>,
    /// What stands in the composer is to be sent.
    has_prompt: bool,
    /// The draft is to be opened in an editor.
    wants_editor: bool,
}

impl<'a> ChatLoop<'a> {
    pub(super) fn new(context: ChatContext<'a>) -> io::Result<Box<Self>> {
        #[cfg(feature = "images")]
        let images = ImageLoader::new(&context.ui, context.folder.clone());
        let ChatContext {
            session: handle,
            ui,
            notify,
            places,
            limits,
            keymap,
            settings,
            editor,
            commands,
            warnings,
            prompt,
            draft,
            state,
            history,
            list_models,
            frames,
            open_session,
            open_outside,
            export_session,
            saved_sessions,
            chooses_session,
            place,
            workspace,
            wanted_model,
            ..
        } = context;
        let themes = settings.as_ref().map(SettingsSource::themes).unwrap_or_default();
        let options = StoreOptions {
            fold_thinking: ui.fold_thinking,
            fold_outputs: ui.fold_output,
            timestamps: ui.timestamps,
            limits,
            reduced_motion: ui.reduced_motion,
            panel_side: ui.panel_side,
            status_parts: ui.statusline,
        };
        let terminal_env = TerminalEnv::detect();
        let mut store = Store::new(options);
        store.set_output_views(ui.output_views());
        store.workplace = workplace(&places, &terminal_env);
        // Dark until the terminal has said what it is.
        let pair = theme_pair(&ui.theme, terminal_env.color_depth(), &themes);
        store.themes.current = settings::theme_name(&ui.theme, false);
        let mut view = Ui::new(&ui, pair.on(false), &keymap);
        view.themes = pair;
        let saver = match state {
            Some((dir, claim)) => DraftSaver::new(dir, claim, draft.clone().unwrap_or_default()),
            None => DraftSaver::disabled(),
        };
        let mut tab = SessionTab::new(ChatController::new(store, view, keymap), handle, saver, options, wanted_model);
        tab.chat.store.user_commands = commands;
        tab.chat.store.server_names = workspace.mcp_servers().names().map(str::to_owned).collect();
        if let Some(seq) = place {
            tab.chat.store.go_to_event(seq);
        }
        let vim_start = settings::vim_start(&editor);
        tab.chat.ui.panes.composer.set_vim(vim_start);
        tab.chat.show_warnings(&warnings);
        if chooses_session {
            tab.chat.update(Msg::Action(Action::OpenSessions));
        }
        tab.set_restored_draft(draft);
        // Which session it is for is not chosen yet: it waits in the composer.
        let has_prompt = prompt.is_some() && !chooses_session;
        match prompt {
            Some(prompt) => tab.chat.ui.panes.composer.set_text(&prompt),
            None => tab.restore_draft(),
        }
        let mode = term_mode(&ui, &terminal_env);
        let is_linear = matches!(mode, TermMode::Linear | TermMode::Dumb);
        let echoes = is_linear && terminal_echoes();
        let term = Term::enter(mode)?;
        let area = term.screen.area();
        let inline =
            (mode == TermMode::Inline).then(|| InlineScreen::new((area.width, area.height), terminal_env.reflows()));
        let host = TabHost {
            term,
            inline,
            linear: is_linear.then(|| LinearScreen::new(&ui, echoes, area.width)),
            effects: Effects::new(list_models, history)
                .with_sessions(open_session, saved_sessions)
                .with_outside(open_outside)
                .with_export(export_session)
                .with_workspace(workspace.clone()),
            workspace,
            frames,
            watched_frames: None,
            pacer: FramePacer::new(ui.max_fps),
            options,
            measuring_since: None,
            notifier: Notifier::new(
                if is_linear { notify.calls_only() } else { notify },
                terminal_env.clone(),
                Instant::now(),
            ),
            logs: places.logs,
            terminal_env,
            history_load_at: None,
            #[cfg(feature = "images")]
            images,
            utc_offset_secs: None,
            vim_start,
            quit: None,
            servers: Vec::new(),
            wanted_place: None,
            tab_effects: Vec::new(),
            ui_config: ui,
        };
        // It is large: moved about by value it would take the stack several times over.
        Ok(Box::new(Self {
            settings: SettingsWatch::new(settings, Instant::now()),
            cursor_mode: None,
            theme: host.ui_config.theme.clone(),
            themes,
            is_theme_previewed: false,
            shade: None,
            host,
            tabs: TabSet::new(tab),
            paste_detector: PasteDetector::default(),
            terminal_replies: TerminalReplies::default(),
            terminal_replies_until: None,
            has_prompt,
            wants_editor: false,
        }))
    }

    pub(super) async fn run(&mut self, signals: &mut Signals) -> io::Result<u8> {
        self.tabs.active.fold_backlog();
        self.draw(Instant::now())?;
        // From here on the person can wait: the first frame stands.
        self.after_first_frame()?;
        let mut reader = InputReader::new()?;
        let (mut raw_events, mut events) = (Vec::new(), Vec::new());
        while self.host.quit.is_none() {
            let due = self.host.pacer.deadline();
            let next_expiry = self.tabs.active.chat.next_expiry();
            let (draft_due, prepare_at) = (self.tabs.active.draft.deadline(), self.tabs.active.prepare_at);
            let wants_work = self.wants_work();
            let (active, background) = self.tabs.split();
            tokio::select! {
                biased;
                signal = signals.next() => self.handle_signal(signal)?,
                alive = reader.next(&mut raw_events) => {
                    let now = Instant::now();
                    self.paste_detector.feed(raw_events.drain(..), now, &mut events);
                    self.handle_terminal_events(&mut events, now, signals)?;
                    // Said last: what is done with the text could take it away.
                    if reader.take_broken_paste() {
                        let told = "the paste was cut short: the received part is in the composer";
                        self.tabs.active.chat.show_warnings(&[told.into()]);
                    }
                    let tab = &mut self.tabs.active;
                    tab.draft.on_edit(now, tab.chat.ui.panes.composer.is_empty());
                    // Not with the first key, which may mean anything, and not before its echo.
                    tab.on_typed(PROMPT_BEGUN, now + BACKGROUND_START_DELAY);
                    if !alive {
                        self.host.quit = Some(HANGUP_EXIT_CODE);
                    }
                }
                () = sleep_until_or_forever(self.paste_detector.deadline()) => {
                    self.paste_detector.on_timeout(&mut events);
                    self.handle_terminal_events(&mut events, Instant::now(), signals)?;
                }
                () = sleep_until_or_forever(due) => self.draw(Instant::now())?,
                () = sleep_until_or_forever(self.terminal_replies_until) => self.give_up_terminal_query(),
                () = sleep_until_or_forever(prepare_at) => self.tabs.active.prepare_session(),
                () = sleep_until_or_forever(self.host.history_load_at) => {
                    self.host.history_load_at = None;
                    self.host.effects.load_history();
                }
                () = sleep_until_or_forever(draft_due) => self.host.save_draft(&mut self.tabs.active),
                () = sleep_until_or_forever(next_expiry) => {
                    let now = Instant::now();
                    self.tabs.active.chat.expire(now);
                    self.host.pacer.request(now, Duration::ZERO);
                }
                Some((tab, done)) = self.host.effects.next() => {
                    self.handle_effect_result(tab, done)?;
                    self.host.pacer.request(Instant::now(), Duration::ZERO);
                }
                report = next_frames(&mut self.host.watched_frames) => {
                    self.tabs.active.chat.update(Msg::Report(frames_report(report)));
                    self.host.pacer.request(Instant::now(), STATUS_FRAME_DELAY);
                }
                change = active.next_change() => self.take_change(change),
                (tab, change) = background.next_change() => self.take_background_change(tab, change)?,
                // Last, and after everyone else had a turn: nobody waits for it.
                () = tokio::task::yield_now(), if wants_work => {
                    self.tabs.active.work();
                    #[cfg(feature = "images")]
                    self.host.term.write_raw(&self.host.images.sender.next_bytes())?;
                    self.host.pacer.request(Instant::now(), SEARCH_FRAME_INTERVAL);
                }
            }
            self.run_effects()?;
            if std::mem::take(&mut self.wants_editor) {
                self.edit_draft(signals).await?;
            }
        }
        self.host.leave_text()?;
        #[cfg(feature = "images")]
        self.host.term.write_raw(&self.host.images.sender.delete_all())?;
        Ok(self.host.quit.unwrap_or_default())
    }

    fn wants_work(&self) -> bool {
        #[cfg(feature = "images")]
        if self.host.images.sender.is_sending() {
            return true;
        }
        self.tabs.active.chat.store.wants_work() || self.tabs.active.history_loader.is_some()
    }

    /// Takes what the session that is shown tells.
    fn take_change(&mut self, change: TabChange) {
        let (tab, now) = (&mut self.tabs.active, Instant::now());
        match change {
            TabChange::Status => {
                tab.take_status(now);
                self.host.pacer.request(now, STATUS_FRAME_DELAY);
            }
            TabChange::Events(is_open) => {
                let FoldOutcome { scope, spent } = tab.take_events(is_open);
                self.host.count_spent(tab.id, spent);
                self.host.pacer.request_for_stream(now, scope);
            }
        }
    }

    /// Takes what a session tells that is not shown: nothing is drawn for it but its place in the row.
    fn take_background_change(&mut self, id: TabId, change: TabChange) -> io::Result<()> {
        let Some(tab) = self.tabs.get_mut(id) else { return Ok(()) };
        match change {
            TabChange::Status => tab.take_status(Instant::now()),
            TabChange::Events(is_open) => {
                let spent = tab.take_events(is_open).spent;
                self.host.count_spent(id, spent);
            }
        }
        self.run_background_effects(id)
    }

    fn handle_terminal_events(
        &mut self,
        events: &mut Vec<Event>,
        now: Instant,
        signals: &mut Signals,
    ) -> io::Result<()> {
        for event in events.drain(..) {
            self.handle_terminal_event(event, now, signals)?;
            // What is typed next is for the session that is shown by then.
            if self.tabs.active.chat.effects.iter().any(Effect::is_about_tabs) {
                self.run_effects()?;
            }
        }
        self.host.pacer.request(now, Duration::ZERO);
        Ok(())
    }

    fn handle_terminal_event(&mut self, event: Event, now: Instant, signals: &mut Signals) -> io::Result<()> {
        let Some(input) = translate(event) else { return Ok(()) };
        let mut inputs = Vec::new();
        match input {
            Input::Key(chord) => self.terminal_replies.feed(chord, &mut inputs),
            input => inputs.push(input),
        }
        if !self.terminal_replies.is_expecting() {
            self.terminal_replies_until = None;
        }
        for input in inputs {
            match input {
                Input::Focus(focused) => {
                    self.host.notifier.focused = Some(focused);
                    self.tabs.active.chat.update(Msg::Looking(focused));
                    // Somebody may have switched the branch elsewhere.
                    self.tabs.active.surveyed = self.tabs.active.surveyed.take().filter(|_| !focused);
                }
                Input::Background(shade) => self.shade = Some(shade),
                _ => self.host.notifier.on_input(now),
            }
            if matches!(input, Input::Focus(true) | Input::Key(_)) {
                self.look_at_settings(now);
            }
            if let Input::Paste(paste) = &input
                && let Some(path) = self.dropped_file(paste)
            {
                let read = self.host.workspace.read_attachment(&path);
                self.tabs.active.chat.drop_file(&path, paste, read);
                continue;
            }
            let request = if self.host.linear.is_some() {
                self.line_input(input, now)
            } else {
                self.tabs.active.input(input, now)
            };
            match request {
                None => {}
                Some(LoopRequest::Redraw) => {
                    self.host.term.screen.invalidate();
                    if let Some(inline) = &mut self.host.inline {
                        inline.invalidate();
                    }
                    #[cfg(feature = "images")]
                    self.host.images.sender.forget();
                }
                Some(LoopRequest::Resize(columns, rows)) => {
                    if let Some(linear) = &mut self.host.linear {
                        linear.resize(columns);
                    }
                    if let Some(inline) = &mut self.host.inline {
                        inline.resize(columns, rows);
                    }
                    self.host.term.screen.resize(columns, rows);
                    // A size told again is one that came back, and the one between may have cut the screen.
                    self.host.term.screen.invalidate();
                }
                Some(LoopRequest::Suspend) if term::can_suspend() => {
                    self.host.leave_text()?;
                    self.host.term.suspend(|| signals.stop_job())?;
                    self.cursor_mode = None;
                    self.host.notifier.forget();
                    #[cfg(feature = "images")]
                    self.host.images.sender.forget();
                }
                Some(LoopRequest::EditDraft) => self.wants_editor = true,
                Some(LoopRequest::Suspend) => self.tabs.active.chat.show_toast("no shell to return to".into()),
            }
        }
        Ok(())
    }

    /// Takes an input where lines are typed.
    fn line_input(&mut self, input: Input, now: Instant) -> Option<LoopRequest> {
        let tab = &mut self.tabs.active;
        let clock = tab.clock.now(now);
        let before = tab.chat.ui.panes.composer.text();
        let begun = self.host.linear.as_ref().and_then(|linear| linear.line_begun);
        let key = if let Input::Key(chord) = &input { Some(*chord) } else { None };
        let request = tab.chat.line_input(input, begun, now, clock);
        if let (Some(linear), Some(key)) = (&mut self.host.linear, key) {
            linear.on_key(key, &before, &tab.chat, clock);
        }
        request
    }

    /// Returns the path of a file that was dropped on the terminal, as a mention names it.
    fn dropped_file(&self, paste: &str) -> Option<String> {
        let path = PathBuf::from(dropped_path(paste)?);
        let slash = if path.metadata().ok()?.is_dir() { "/" } else { "" };
        let shown = path.strip_prefix(&self.host.workspace.folder).ok().filter(|inside| !inside.as_os_str().is_empty());
        Some(format!("{}{slash}", shown.unwrap_or(&path).to_str()?.trim_end_matches('/')))
    }

    fn give_up_terminal_query(&mut self) {
        let (now, mut keys) = (Instant::now(), Vec::new());
        self.terminal_replies.give_up(&mut keys);
        self.terminal_replies_until = None;
        for input in keys {
            self.tabs.active.input(input, now);
            self.host.pacer.request(now, Duration::ZERO);
        }
    }

    fn handle_signal(&mut self, signal: SignalEvent) -> io::Result<()> {
        match signal {
            SignalEvent::Quit(code) => self.host.quit = Some(code),
            SignalEvent::Suspend => {
                self.host.leave_text()?;
                self.host.term.suspend(term::stop_self)?;
                self.cursor_mode = None;
                self.host.notifier.forget();
                #[cfg(feature = "images")]
                self.host.images.sender.forget();
                self.host.pacer.request(Instant::now(), Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Returns what stays in the shell of the sessions that are saved here.
    pub(super) fn farewell(&self) -> Option<String> {
        let is_saved = |tab: &&SessionTab| tab.chat.store.session.status.save_error.is_none();
        let saved = self.tabs.iter().filter(|_| self.host.effects.can_resume()).filter(is_saved);
        let told: String = saved.filter_map(|tab| farewell(&tab.chat.store, &tab.session.session)).collect();
        Some(told).filter(|told| !told.is_empty())
    }

    /// Returns the answer that the person wants to find in the shell.
    pub(super) fn printed_answer(&self) -> Option<String> {
        if self.host.ui_config.print_on_exit { last_answer(&self.tabs.active.chat.store) } else { None }
    }

    /// Gives the terminal back and ends what is under way. Returns why a draft could not be saved.
    pub(super) async fn finish(mut self: Box<Self>) -> Option<String> {
        let last_draft = |tab: &mut SessionTab| tab.draft.take_save(tab.unsent_text());
        let drafts: Vec<DraftSave> = self.tabs.iter_mut().filter_map(last_draft).collect();
        drop(self.host.term);
        self.host.effects.finish().await;
        drafts.into_iter().filter_map(|draft| draft.write().err()).last()
    }
}

/// Returns what is known of the surroundings at once.
fn workplace(places: &SessionPlaces, env: &TerminalEnv) -> Workplace {
    let terminal = [&env.program, &env.term].into_iter().find(|name| !name.is_empty());
    let (os, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    let terminal = terminal.map_or(String::new(), |name| format!(", {name}"));
    Workplace {
        home: std::env::var("HOME").unwrap_or_default(),
        host: places.host.clone(),
        attachment: places.attachment.clone(),
        attach_targets: places.attach_targets.clone(),
        keys: places.keys.clone(),
        system_prompt: places.system_prompt.clone(),
        program_log: places.paths.log_file().display().to_string(),
        config_file: places.paths.config_file().display().to_string(),
        platform: format!("({os} {architecture}{terminal})"),
        ..Workplace::default()
    }
}
