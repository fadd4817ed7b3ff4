//! The loop itself: who is looked at in which order, and what their reports change.

mod draft_editing;
mod drawing;
mod effect_runner;
mod settings;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::Event;

use super::chat::{ChatController, LoopRequest};
use super::clipboard::TerminalEnv;
use super::draft::{self, DraftSaver};
use super::effects::{Effects, frames_report};
use super::farewell::{farewell, last_answer};
use super::frame_pacer::FramePacer;
use super::history_loader::HistoryLoader;
#[cfg(feature = "images")]
use super::images::ImageLoader;
use super::inline::InlineScreen;
use super::input::InputReader;
use super::linear::{LinearScreen, term_mode, terminal_echoes};
use super::live_settings::SettingsWatch;
use super::notify::Notifier;
use super::paste_detector::PasteDetector;
use super::session_clock::SessionClock;
use super::term::{self, SignalEvent, Signals, Term, TermMode};
use super::wait_futures::{next_frames, sleep_until_or_forever};
use super::{ChatContext, HANGUP_EXIT_CODE, SessionPlaces};
use crate::bridge::hub::Subscription;
use crate::bridge::traffic::TrafficReader;
use crate::bridge::{HubItem, SessionHandle};
use crate::config::ThemeChoice;
use crate::event::{AgentEvent, Command, NoticeCode, NoticeLevel, Seq, SessionId};
use crate::runtime::{SavedSessions, Workspace};
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::store::workplace::Workplace;
use crate::store::{Store, StoreOptions};
use crate::text::mention::dropped_path;
use crate::ui::composer::vim::VimMode;
use crate::ui::keymap::{Input, TerminalReplies, translate};
use crate::ui::theme::{Theme, ThemeKind};
use crate::ui::{FrameScope, Ui};

/// Deliveries folded before input is looked at again.
const MAX_EVENTS_PER_BATCH: usize = 512;
/// What tells of a stream is drawn within this time: its text is likely to come at once, and draws both.
const STATUS_FRAME_DELAY: Duration = Duration::from_millis(8);
/// Between two frames that only tell how far a search has come.
const SEARCH_FRAME_INTERVAL: Duration = Duration::from_millis(40);
/// After the first frame, before what nobody waits for is begun: the first key may come at once.
const BACKGROUND_START_DELAY: Duration = Duration::from_millis(40);
/// So many characters in the composer are the beginning of a prompt.
const PROMPT_BEGUN: usize = 3;

pub(super) struct ChatLoop<'a> {
    chat: ChatController,
    term: Term,
    /// Where lines are printed and nothing is painted.
    linear: Option<LinearScreen>,
    /// Where the terminal keeps the text.
    inline: Option<InlineScreen>,
    effects: Effects<'a>,
    frames: TrafficReader,
    /// Somebody looks at them.
    watched_frames: Option<TrafficReader>,
    pacer: FramePacer,
    session: SessionHandle,
    events: Subscription,
    /// The turns before those on the screen, while they are being folded.
    history_loader: Option<HistoryLoader>,
    options: StoreOptions,
    /// What was published before we looked: nobody needs a bell for it.
    published_before: Seq,
    /// It was not looked at yet whether there was anything.
    has_backlog: bool,
    /// The model that was asked for at the start; empty if none was.
    wanted_model: String,
    /// The session still delivers; its status still changes.
    events_open: bool,
    status_open: bool,
    clock: SessionClock,
    draft: DraftSaver,
    /// A draft of an earlier run, until it stands in the composer.
    restored_draft: Option<String>,
    /// What stands in the composer is to be sent.
    has_prompt: bool,
    /// When the session is told that a prompt is being written; none once it knows, or while nothing is.
    prepare_at: Option<Instant>,
    is_prepared: bool,
    paste_detector: PasteDetector,
    /// Since when frames are measured, while their figures are shown.
    measuring_since: Option<Instant>,
    terminal_env: TerminalEnv,
    workspace: Workspace,
    notifier: Notifier,
    logs: SavedSessions,
    /// For which session, folder and turn the surroundings were looked at last.
    surveyed: Option<(SessionId, String, u32)>,
    terminal_replies: TerminalReplies,
    terminal_replies_until: Option<Instant>,
    /// When earlier prompts are read.
    history_load_at: Option<Instant>,
    #[cfg(feature = "images")]
    images: ImageLoader,
    /// Seconds east of Greenwich, once they were asked for.
    utc_offset_secs: Option<i32>,
    settings: SettingsWatch,
    /// The mode that the shape of the cursor shows; none while it is the terminal's own.
    cursor_mode: Option<VimMode>,
    /// The theme that was asked for; the terminal decides what `auto` is.
    theme: ThemeChoice,
    quit: Option<u8>,
    /// The last answer is printed to the shell.
    prints_answer: bool,
    /// The draft is to be opened in an editor.
    wants_editor: bool,
}

impl<'a> ChatLoop<'a> {
    pub(super) fn new(context: ChatContext<'a>) -> io::Result<Self> {
        #[cfg(feature = "images")]
        let images = ImageLoader::new(&context.ui, context.folder.clone());
        let ChatContext {
            session: mut handle,
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
            saved_sessions,
            chooses_session,
            workspace,
            wanted_model,
            ..
        } = context;
        // Dark until the terminal has said what it is.
        let theme = settings::theme_kind(ui.theme).unwrap_or(ThemeKind::Dark);
        let options = StoreOptions {
            fold_thinking: ui.fold_thinking,
            fold_outputs: ui.fold_output,
            timestamps: ui.timestamps,
            limits,
            reduced_motion: ui.reduced_motion,
        };
        let terminal_env = TerminalEnv::detect();
        let store = Store::new(options);
        let view = Ui::new(&ui, Theme::new(theme).with_depth(terminal_env.color_depth()), &keymap);
        let mut chat = ChatController::new(store, view, keymap);
        let status = handle.status.borrow_and_update().clone();
        let clock = SessionClock::new(&status, Instant::now());
        chat.store.user_commands = commands;
        chat.ui.panes.composer.set_vim(settings::vim_start(&editor));
        chat.store.workplace = workplace(&places, &terminal_env);
        chat.update(Msg::Status(status));
        chat.show_warnings(&warnings);
        if chooses_session {
            chat.update(Msg::Action(Action::OpenSessions));
        }
        let mode = term_mode(&ui, &terminal_env);
        let is_linear = matches!(mode, TermMode::Linear | TermMode::Dumb);
        let echoes = is_linear && terminal_echoes();
        let term = Term::enter(mode)?;
        let area = term.screen.area();
        let inline =
            (mode == TermMode::Inline).then(|| InlineScreen::new((area.width, area.height), terminal_env.reflows()));
        let linear = is_linear.then(|| LinearScreen::new(&ui, echoes, area.width));
        let mut this = Self {
            chat,
            linear,
            inline,
            term,
            effects: Effects::new(list_models, history)
                .with_sessions(open_session, saved_sessions)
                .with_workspace(workspace.clone()),
            workspace,
            frames,
            watched_frames: None,
            pacer: FramePacer::new(ui.max_fps),
            events: handle.hub.subscribe(Seq(0)),
            history_loader: None,
            options,
            published_before: handle.hub.last_seq(),
            has_backlog: true,
            wanted_model,
            session: handle,
            events_open: true,
            status_open: true,
            clock,
            draft: match state {
                Some((dir, claim)) => DraftSaver::new(dir, claim, draft.clone().unwrap_or_default()),
                None => DraftSaver::disabled(),
            },
            restored_draft: draft,
            // Which session it is for is not chosen yet: it waits in the composer.
            has_prompt: prompt.is_some() && !chooses_session,
            prepare_at: None,
            is_prepared: false,
            paste_detector: PasteDetector::default(),
            measuring_since: None,
            notifier: Notifier::new(
                if is_linear { notify.calls_only() } else { notify },
                terminal_env.clone(),
                Instant::now(),
            ),
            logs: places.logs,
            surveyed: None,
            terminal_env,
            terminal_replies: TerminalReplies::default(),
            terminal_replies_until: None,
            history_load_at: None,
            #[cfg(feature = "images")]
            images,
            utc_offset_secs: None,
            settings: SettingsWatch::new(settings),
            cursor_mode: None,
            theme: ui.theme,
            quit: None,
            prints_answer: ui.print_on_exit,
            wants_editor: false,
        };
        if let Some(prompt) = prompt {
            this.chat.ui.panes.composer.set_text(&prompt);
        } else {
            this.restore_draft();
        }
        Ok(this)
    }

    pub(super) async fn run(&mut self, signals: &mut Signals) -> io::Result<u8> {
        self.fold_backlog();
        self.draw(Instant::now())?;
        // From here on the person can wait: the first frame stands.
        self.after_first_frame()?;
        let mut reader = InputReader::new()?;
        let (mut raw_events, mut events) = (Vec::new(), Vec::new());
        let mut items = Vec::new();
        while self.quit.is_none() {
            let due = self.pacer.deadline();
            tokio::select! {
                biased;
                signal = signals.next() => self.handle_signal(signal)?,
                alive = reader.next(&mut raw_events) => {
                    let now = Instant::now();
                    self.paste_detector.feed(raw_events.drain(..), now, &mut events);
                    for event in events.drain(..) {
                        self.handle_terminal_event(event, now, signals)?;
                    }
                    // Said last: what is done with the text could take it away.
                    if reader.take_broken_paste() {
                        self.chat.show_warnings(&["the paste was cut short: the received part is in the composer".into()]);
                    }
                    self.draft.on_edit(now, self.chat.ui.panes.composer.is_empty());
                    // Not with the first key, which may mean anything, and not before its echo.
                    if !self.is_prepared && self.prepare_at.is_none() && self.chat.ui.panes.composer.holds(PROMPT_BEGUN) {
                        self.prepare_at = Some(now + BACKGROUND_START_DELAY);
                    }
                    self.pacer.request(now, Duration::ZERO);
                    if !alive {
                        self.quit = Some(HANGUP_EXIT_CODE);
                    }
                }
                () = sleep_until_or_forever(self.paste_detector.deadline()) => {
                    let now = Instant::now();
                    self.paste_detector.on_timeout(&mut events);
                    for event in events.drain(..) {
                        self.handle_terminal_event(event, now, signals)?;
                    }
                    self.pacer.request(now, Duration::ZERO);
                }
                () = sleep_until_or_forever(due) => self.draw(Instant::now())?,
                () = sleep_until_or_forever(self.terminal_replies_until) => self.give_up_terminal_query(),
                () = sleep_until_or_forever(self.prepare_at) => self.prepare_session(),
                () = sleep_until_or_forever(self.history_load_at) => {
                    self.history_load_at = None;
                    self.effects.load_history();
                }
                () = sleep_until_or_forever(self.draft.deadline()) => {
                    if let Some(save) = self.draft.take_save(self.unsent_text()) {
                        self.effects.save_draft(save);
                    }
                }
                () = sleep_until_or_forever(self.chat.next_expiry()) => {
                    let now = Instant::now();
                    self.chat.expire(now);
                    self.pacer.request(now, Duration::ZERO);
                }
                Some(done) = self.effects.next() => {
                    self.handle_effect_result(done)?;
                    self.pacer.request(Instant::now(), Duration::ZERO);
                }
                changed = self.session.status.changed(), if self.status_open => {
                    self.status_open = changed.is_ok();
                    let status = self.session.status.borrow_and_update().clone();
                    self.clock = SessionClock::new(&status, Instant::now());
                    self.draft.track_queue(&status.queue, Instant::now());
                    self.chat.update(Msg::Status(status));
                    self.pacer.request(Instant::now(), STATUS_FRAME_DELAY);
                }
                report = next_frames(&mut self.watched_frames) => {
                    self.chat.update(Msg::Report(frames_report(report)));
                    self.pacer.request(Instant::now(), STATUS_FRAME_DELAY);
                }
                open = self.events.next_batch(MAX_EVENTS_PER_BATCH, &mut items), if self.events_open => {
                    let mut scope = self.fold(&mut items);
                    if !open {
                        self.events_open = false;
                        self.chat.update(Msg::SessionEnded);
                        scope = FrameScope::Whole;
                    }
                    self.pacer.request_for_stream(Instant::now(), scope);
                }
                // Last, and after everyone else had a turn: nobody waits for it.
                () = tokio::task::yield_now(), if self.wants_work() => {
                    self.work();
                    #[cfg(feature = "images")]
                    self.term.write_raw(&self.images.sender.next_bytes())?;
                    self.pacer.request(Instant::now(), SEARCH_FRAME_INTERVAL);
                }
            }
            self.run_effects()?;
            if std::mem::take(&mut self.wants_editor) {
                self.edit_draft(signals).await?;
            }
        }
        self.leave_text()?;
        #[cfg(feature = "images")]
        self.term.write_raw(&self.images.sender.delete_all())?;
        Ok(self.quit.unwrap_or_default())
    }

    /// Leaves the terminal's own text as somebody else may go on with it: the cursor on a clean row.
    pub(super) fn leave_text(&mut self) -> io::Result<()> {
        if let Some(linear) = &mut self.linear {
            linear.finish(&mut io::stdout())?;
        }
        if let Some(inline) = &mut self.inline {
            inline.wipe(&mut io::stdout())?;
        }
        Ok(())
    }

    fn wants_work(&self) -> bool {
        #[cfg(feature = "images")]
        if self.images.sender.is_sending() {
            return true;
        }
        self.chat.store.wants_work() || self.history_loader.is_some()
    }

    /// Returns what was typed here and is nowhere else: prompts that wait for a line, then what is being written.
    fn unsent_text(&self) -> String {
        draft::unsent_text(self.chat.store.session.queue(), self.chat.ui.panes.composer.unsent())
    }

    /// Does a slice of what nobody waits for.
    fn work(&mut self) {
        self.chat.update(Msg::Work);
        let Some(loader) = &mut self.history_loader else { return };
        if !loader.step() {
            self.history_loader = None;
        } else if loader.seq() < self.events.seq() {
            let percent = loader.percent();
            self.chat.update(Msg::HistoryProgress(percent));
        } else if let Some(loader) = self.history_loader.take() {
            let calls = self.chat.store.tool_calls.calls().len();
            self.chat.store.adopt_full_history(loader.into_store());
            self.chat.ui.panes.tools.shift_indexes(self.chat.store.tool_calls.calls().len().saturating_sub(calls));
        }
    }

    /// A session that goes on shows its end at once, without the frames between.
    fn fold_backlog(&mut self) {
        if let Some((events, loader)) = HistoryLoader::open(&self.session.hub, &mut self.chat.store, self.options) {
            self.events = events;
            self.history_loader = Some(loader);
        }
        let mut items = Vec::new();
        while self.events.seq() < self.published_before && self.events.try_next_batch(MAX_EVENTS_PER_BATCH, &mut items)
        {
            self.fold(&mut items);
        }
    }

    /// Takes what the session says, and returns what a frame has to show of it.
    fn fold(&mut self, items: &mut Vec<HubItem>) -> FrameScope {
        let shown = self.chat.store.transcript.items().len();
        let is_text = |item: &HubItem| matches!(item, HubItem::Event(logged) if logged.envelope.event.is_text());
        let only_text = items.iter().all(is_text);
        for item in items.drain(..) {
            match item {
                HubItem::Event(logged) if logged.envelope.seq <= self.published_before => {
                    self.chat.catch_up(logged.envelope.clone());
                }
                HubItem::Event(logged) => {
                    self.chat.update(Msg::Event(logged.envelope.clone()));
                    self.offer_models(&logged.envelope.event);
                    let is_end = matches!(logged.envelope.event, AgentEvent::TurnFinished { .. });
                    if is_end && self.options.limits.has_day_limit() {
                        let usage = &self.chat.store.usage;
                        self.effects.count_day_usage(Some((usage.turn().total(), usage.turn_cost())));
                    }
                }
                HubItem::Reset => {
                    self.history_loader = None;
                    self.chat.update(Msg::Reset);
                }
            }
        }
        let has_same_items = shown == self.chat.store.transcript.items().len();
        if only_text && has_same_items { FrameScope::Text } else { FrameScope::Whole }
    }

    /// A model that can't be had is chosen anew, unless something is being written.
    fn offer_models(&mut self, event: &AgentEvent) {
        let AgentEvent::Notice { level: NoticeLevel::Error, code, .. } = event else { return };
        let wanted = match code {
            NoticeCode::NoEngine => Some(self.wanted_model.clone()),
            NoticeCode::Model => self.chat.store.session.requested_model.take(),
            _ => None,
        };
        if let Some(name) = wanted.filter(|_| self.chat.ui.panes.composer.is_empty()) {
            self.chat.update(Msg::Action(Action::OpenNearestModels(name)));
        }
    }

    fn restore_draft(&mut self) {
        if let Some(draft) = self.restored_draft.take() {
            self.chat.restore_text(&draft);
        }
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
                    self.notifier.focused = Some(focused);
                    // Somebody may have switched the branch elsewhere.
                    self.surveyed = self.surveyed.take().filter(|_| !focused);
                }
                _ => self.notifier.on_input(now),
            }
            if matches!(input, Input::Focus(true) | Input::Key(_)) {
                self.look_at_settings(now);
            }
            if let Input::Paste(paste) = &input
                && let Some(path) = self.dropped_file(paste)
            {
                self.chat.drop_file(&path, paste);
                continue;
            }
            let request = if self.linear.is_some() {
                self.line_input(input, now)
            } else {
                self.chat.input(input, now, self.clock.now(now))
            };
            match request {
                None => {}
                Some(LoopRequest::Redraw) => {
                    self.term.screen.invalidate();
                    if let Some(inline) = &mut self.inline {
                        inline.invalidate();
                    }
                    #[cfg(feature = "images")]
                    self.images.sender.forget();
                }
                Some(LoopRequest::Resize(columns, rows)) => {
                    if let Some(linear) = &mut self.linear {
                        linear.resize(columns);
                    }
                    if let Some(inline) = &mut self.inline {
                        inline.resize(columns, rows);
                    }
                    self.term.screen.resize(columns, rows);
                    // A size told again is one that came back, and the one between may have cut the screen.
                    self.term.screen.invalidate();
                }
                Some(LoopRequest::Suspend) if term::can_suspend() => {
                    self.leave_text()?;
                    self.term.suspend(|| signals.stop_job())?;
                    self.cursor_mode = None;
                    self.notifier.forget();
                    #[cfg(feature = "images")]
                    self.images.sender.forget();
                }
                Some(LoopRequest::EditDraft) => self.wants_editor = true,
                Some(LoopRequest::Suspend) => self.chat.show_toast("no shell to return to".into()),
            }
        }
        Ok(())
    }

    /// Takes an input where lines are typed.
    fn line_input(&mut self, input: Input, now: Instant) -> Option<LoopRequest> {
        let clock = self.clock.now(now);
        let before = self.chat.ui.panes.composer.text();
        let begun = self.linear.as_ref().and_then(|linear| linear.line_begun);
        let key = if let Input::Key(chord) = &input { Some(*chord) } else { None };
        let request = self.chat.line_input(input, begun, now, clock);
        if let (Some(linear), Some(key)) = (&mut self.linear, key) {
            linear.on_key(key, &before, &self.chat, clock);
        }
        request
    }

    /// Returns the path of a file that was dropped on the terminal, as a mention names it.
    fn dropped_file(&self, paste: &str) -> Option<String> {
        let path = PathBuf::from(dropped_path(paste)?);
        let slash = if path.metadata().ok()?.is_dir() { "/" } else { "" };
        let shown = path.strip_prefix(&self.workspace.folder).ok().filter(|inside| !inside.as_os_str().is_empty());
        Some(format!("{}{slash}", shown.unwrap_or(&path).to_str()?.trim_end_matches('/')))
    }

    fn give_up_terminal_query(&mut self) {
        let (now, mut keys) = (Instant::now(), Vec::new());
        self.terminal_replies.give_up(&mut keys);
        self.terminal_replies_until = None;
        for input in keys {
            self.chat.input(input, now, self.clock.now(now));
            self.pacer.request(now, Duration::ZERO);
        }
    }

    fn handle_signal(&mut self, signal: SignalEvent) -> io::Result<()> {
        match signal {
            SignalEvent::Quit(code) => self.quit = Some(code),
            SignalEvent::Suspend => {
                self.leave_text()?;
                self.term.suspend(term::stop_self)?;
                self.cursor_mode = None;
                self.notifier.forget();
                #[cfg(feature = "images")]
                self.images.sender.forget();
                self.pacer.request(Instant::now(), Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Tells the session that a prompt is being written.
    fn prepare_session(&mut self) {
        (self.prepare_at, self.is_prepared) = (None, true);
        if self.session.capabilities.prompt {
            // Nothing is lost with it.
            let _ = self.session.commands.try_send(Command::WarmUp);
        }
    }

    /// Returns what stays in the shell of a session that is saved here.
    pub(super) fn farewell(&self) -> Option<String> {
        let is_saved = self.effects.can_resume() && self.chat.store.session.status.save_error.is_none();
        if is_saved { farewell(&self.chat.store, &self.session.session) } else { None }
    }

    /// Returns the answer that the person wants to find in the shell.
    pub(super) fn printed_answer(&self) -> Option<String> {
        if self.prints_answer { last_answer(&self.chat.store) } else { None }
    }

    /// Gives the terminal back and ends what is under way. Returns why the draft could not be saved.
    pub(super) async fn finish(mut self) -> Option<String> {
        let last_draft = self.draft.take_save(self.unsent_text());
        drop(self.term);
        self.effects.finish().await;
        last_draft.and_then(|save| save.write().err())
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
        program_log: places.paths.log_file().display().to_string(),
        config_file: places.paths.config_file().display().to_string(),
        platform: format!("({os} {architecture}{terminal})"),
        ..Workplace::default()
    }
}
