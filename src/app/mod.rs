//! The loop: one task owns store, view and terminal.
//!
//! ```text
//! signal          → leave politely, or stop
//! terminal events → PasteDetector → ChatController::input → store, view (all that wait, then one frame)
//! frame deadline  → tick, draw                        (the only place that draws)
//! effect done     → Msg::Report
//! status          → Msg::Status
//! deliveries      → Msg::Event, Msg::Reset            (at most 512 a turn of the loop)
//! nothing else    → Msg::Work                         (a slice of what is being looked for)
//! ```
//!
//! Not here: what an input means (`chat.rs`), what is true (`store`), how it looks (`ui`). Invariants: typing is never
//! behind a flood, for input is looked at first; a flood can't starve drawing, for a batch is bounded; nothing wakes up
//! while nothing moves.

pub mod chat;
pub mod clipboard;
pub mod draft;
pub mod effects;
pub mod frame_pacer;
pub mod history_loader;
#[cfg(feature = "images")]
pub mod images;
mod input;
pub mod open_external;
pub mod paste_detector;
pub mod prompt_history;
pub mod screen;
mod session_clock;
pub mod term;
mod wait_futures;

use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::Event;

use self::chat::{ChatController, LoopRequest};
use self::clipboard::TerminalEnv;
use self::draft::DraftSaver;
use self::effects::{EffectResult, Effects, ListModels, NewSession, frames_report};
use self::frame_pacer::FramePacer;
use self::history_loader::HistoryLoader;
use self::input::InputReader;
use self::paste_detector::PasteDetector;
use self::screen::{Painted, ScreenCounters};
use self::session_clock::SessionClock;
use self::term::{ChatPanicScope, SignalEvent, Signals, Term};
use self::wait_futures::{next_frames, sleep_until_or_forever};
use crate::bridge::hub::Subscription;
use crate::bridge::traffic::TrafficReader;
use crate::bridge::{HubItem, SessionHandle};
use crate::config::keys::Keymap;
use crate::config::{ThemeChoice, UiConfig};
use crate::event::{Command, Seq};
use crate::runtime::NameClaim;
use crate::store::action::Action;
use crate::store::effect::Effect;
use crate::store::frames::FrameList;
use crate::store::msg::{Msg, Report};
use crate::store::{Store, StoreOptions, Timestamps};
use crate::text::one_line;
use crate::ui::keymap::{BACKGROUND_QUERY, Input, TerminalReplies, translate};
use crate::ui::panes::perf_overlay::{FrameStats, PerfStats};
use crate::ui::theme::{Theme, ThemeKind};
use crate::ui::{self, FrameScope, Ui};

/// Deliveries folded before input is looked at again.
const MAX_EVENTS_PER_BATCH: usize = 512;
/// What tells of a stream is drawn within this time: its text is likely to come at once, and draws both.
const STATUS_FRAME_DELAY: Duration = Duration::from_millis(8);
/// Between two frames of a spinner or a running time.
const TICK_INTERVAL: Duration = Duration::from_millis(100);
/// Between two frames that only tell how far a search has come.
const SEARCH_FRAME_INTERVAL: Duration = Duration::from_millis(40);
/// After the first frame, before what nobody waits for is begun: the first key may come at once.
const BACKGROUND_START_DELAY: Duration = Duration::from_millis(40);
/// So many characters in the composer are the beginning of a prompt.
const PROMPT_BEGUN: usize = 3;
/// A terminal that hasn't answered by now won't.
const TERMINAL_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Exit code when the terminal went away: as if the signal of that had ended us.
const HANGUP_EXIT_CODE: u8 = 129;

/// What a chat on the terminal needs.
pub struct ChatContext<'a> {
    pub session: SessionHandle,
    pub ui: UiConfig,
    pub keymap: Keymap,
    /// What the person should be told first: about keys and settings.
    pub warnings: Vec<String>,
    /// Sent as if typed.
    pub prompt: Option<String>,
    /// What stood in the composer when the session was left.
    pub draft: Option<String>,
    /// Where drafts are kept, and the name of this one: the session's, or one for what it is attached to.
    pub state: Option<(PathBuf, NameClaim)>,
    /// Where prompts are remembered.
    pub history: Option<PathBuf>,
    /// Where pictures may be read.
    #[cfg(feature = "images")]
    pub folder: PathBuf,
    pub list_models: ListModels<'a>,
    /// The raw frames of all streams.
    pub frames: TrafficReader,
    /// None where no session can be begun, as in a replay.
    pub new_session: Option<NewSession<'a>>,
}

/// Returns whether there is a terminal for a screen, and for keys even where standard input is something else.
pub fn has_terminal() -> bool {
    io::stdout().is_terminal() && input::open_keyboard().is_ok()
}

/// Runs the chat until the person leaves; returns the exit code. The terminal is given back before it returns.
pub async fn run(shell: ChatContext<'_>) -> io::Result<u8> {
    if !has_terminal() {
        return Err(io::Error::other("the chat needs a terminal"));
    }
    ChatPanicScope(Box::pin(async {
        // Before the terminal is taken: what ends the program from here on gives it back.
        let mut signals = Signals::new()?;
        let mut chat = ChatLoop::new(shell)?;
        let code = match chat.run(&mut signals).await {
            Err(error) if is_gone(&error) => Ok(HANGUP_EXIT_CODE),
            code => code,
        };
        let last = chat.draft.take_save(chat.unsent_text());
        drop(chat.term);
        chat.effects.finish().await;
        if let Some(why) = last.and_then(|save| save.write().err()) {
            let _ = writeln!(io::stderr(), "jarvis-tui: {}", one_line(&format!("the draft is not saved: {why}"), 400));
        }
        code
    }))
    .await
}

struct ChatLoop<'a> {
    chat: ChatController,
    term: Term,
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
    /// The session still delivers; its weather still changes.
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
    terminal_replies: TerminalReplies,
    terminal_replies_until: Option<Instant>,
    queries_background: bool,
    /// When earlier prompts are read.
    history_load_at: Option<Instant>,
    #[cfg(feature = "images")]
    images: images::ImageLoader,
    /// Seconds east of Greenwich, once they were asked for.
    utc_offset_secs: Option<i32>,
    quit: Option<u8>,
}

impl<'a> ChatLoop<'a> {
    fn new(shell: ChatContext<'a>) -> io::Result<Self> {
        #[cfg(feature = "images")]
        let pictures = images::ImageLoader::new(&shell.ui, shell.folder.clone());
        let ChatContext {
            session: mut live,
            ui,
            keymap,
            warnings,
            prompt,
            draft,
            state,
            history,
            list_models,
            frames,
            new_session,
            ..
        } = shell;
        // Dark until the terminal has said what it is.
        let theme = match ui.theme {
            ThemeChoice::Auto | ThemeChoice::Dark => ThemeKind::Dark,
            ThemeChoice::Light => ThemeKind::Light,
            ThemeChoice::Mono => ThemeKind::Mono,
        };
        let options =
            StoreOptions { fold_thinking: ui.fold_thinking, fold_outputs: ui.fold_output, timestamps: ui.timestamps };
        let store = Store::new(options);
        let view = Ui::new(&ui, Theme::new(theme), &keymap);
        let mut chat = ChatController::new(store, view, keymap);
        let weather = live.status.borrow_and_update().clone();
        let clock = SessionClock::new(&weather, Instant::now());
        chat.update(Msg::Status(weather));
        chat.show_warnings(&warnings);
        let mut this = Self {
            chat,
            term: Term::enter(ui.mouse)?,
            effects: Effects::new(list_models, new_session, history),
            frames,
            watched_frames: None,
            pacer: FramePacer::new(ui.max_fps),
            events: live.hub.subscribe(Seq(0)),
            history_loader: None,
            options,
            published_before: live.hub.last_seq(),
            session: live,
            events_open: true,
            status_open: true,
            clock,
            draft: match state {
                Some((dir, claim)) => DraftSaver::new(dir, claim, draft.clone().unwrap_or_default()),
                None => DraftSaver::disabled(),
            },
            restored_draft: draft,
            has_prompt: prompt.is_some(),
            prepare_at: None,
            is_prepared: false,
            paste_detector: PasteDetector::default(),
            measuring_since: None,
            terminal_env: TerminalEnv::detect(),
            terminal_replies: TerminalReplies::default(),
            terminal_replies_until: None,
            queries_background: ui.theme == ThemeChoice::Auto,
            history_load_at: None,
            #[cfg(feature = "images")]
            images: pictures,
            utc_offset_secs: None,
            quit: None,
        };
        if let Some(prompt) = prompt {
            this.chat.ui.panes.composer.set_text(&prompt);
        } else {
            this.restore_draft();
        }
        Ok(this)
    }

    async fn run(&mut self, signals: &mut Signals) -> io::Result<u8> {
        self.fold_backlog();
        self.draw(Instant::now())?;
        // From here on the person can wait: the first frame stands.
        self.after_first_frame()?;
        let mut reader = InputReader::new()?;
        let (mut waiting, mut meant) = (Vec::new(), Vec::new());
        let mut deliveries = Vec::new();
        while self.quit.is_none() {
            let due = self.pacer.deadline();
            tokio::select! {
                biased;
                told = signals.next() => self.handle_signal(told)?,
                alive = reader.next(&mut waiting) => {
                    let now = Instant::now();
                    self.paste_detector.feed(waiting.drain(..), now, &mut meant);
                    for event in meant.drain(..) {
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
                    self.paste_detector.on_timeout(&mut meant);
                    for event in meant.drain(..) {
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
                    let weather = self.session.status.borrow_and_update().clone();
                    self.clock = SessionClock::new(&weather, Instant::now());
                    self.draft.track_queue(&weather.queue, Instant::now());
                    self.chat.update(Msg::Status(weather));
                    self.pacer.request(Instant::now(), STATUS_FRAME_DELAY);
                }
                look = next_frames(&mut self.watched_frames) => {
                    self.chat.update(Msg::Report(frames_report(look)));
                    self.pacer.request(Instant::now(), STATUS_FRAME_DELAY);
                }
                open = self.events.next_batch(MAX_EVENTS_PER_BATCH, &mut deliveries), if self.events_open => {
                    let mut scope = self.fold(&mut deliveries);
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
                    self.term.screen.write_raw(&self.images.sender.next_bytes())?;
                    self.pacer.request(Instant::now(), SEARCH_FRAME_INTERVAL);
                }
            }
            self.run_effects()?;
        }
        #[cfg(feature = "images")]
        self.term.screen.write_raw(&self.images.sender.delete_all())?;
        Ok(self.quit.unwrap_or_default())
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
        draft::unsent_text(self.chat.store.session.queue(), self.chat.ui.panes.composer.draft())
    }

    /// Does a slice of what nobody waits for.
    fn work(&mut self) {
        self.chat.update(Msg::Work);
        let Some(behind) = &mut self.history_loader else { return };
        if !behind.step() {
            self.history_loader = None;
        } else if behind.seq() < self.events.seq() {
            let percent = behind.percent();
            self.chat.update(Msg::HistoryProgress(percent));
        } else if let Some(behind) = self.history_loader.take() {
            let calls = self.chat.store.tool_calls.calls().len();
            self.chat.store.adopt_full_history(behind.into_store());
            self.chat.ui.panes.tools.shift_indexes(self.chat.store.tool_calls.calls().len().saturating_sub(calls));
        }
    }

    /// A session that goes on shows its end at once, without the frames between.
    fn fold_backlog(&mut self) {
        if let Some((facts, behind)) = HistoryLoader::open(&self.session.hub, &mut self.chat.store, self.options) {
            self.events = facts;
            self.history_loader = Some(behind);
        }
        let mut deliveries = Vec::new();
        while self.events.seq() < self.published_before
            && self.events.try_next_batch(MAX_EVENTS_PER_BATCH, &mut deliveries)
        {
            self.fold(&mut deliveries);
        }
    }

    /// Takes what the session says, and returns what a frame has to show of it.
    fn fold(&mut self, deliveries: &mut Vec<HubItem>) -> FrameScope {
        let items = self.chat.store.transcript.items().len();
        let is_text = |delivery: &HubItem| matches!(delivery, HubItem::Event(told) if told.envelope.event.is_text());
        let only_text = deliveries.iter().all(is_text);
        for delivery in deliveries.drain(..) {
            match delivery {
                HubItem::Event(fact) if fact.envelope.seq <= self.published_before => {
                    self.chat.catch_up(fact.envelope.clone());
                }
                HubItem::Event(fact) => self.chat.update(Msg::Event(fact.envelope.clone())),
                HubItem::Reset => {
                    self.history_loader = None;
                    self.chat.update(Msg::Reset);
                }
            }
        }
        let is_same_items = items == self.chat.store.transcript.items().len();
        if only_text && is_same_items { FrameScope::Text } else { FrameScope::Whole }
    }

    fn after_first_frame(&mut self) -> io::Result<()> {
        self.history_load_at = Some(Instant::now() + BACKGROUND_START_DELAY);
        #[cfg(feature = "images")]
        self.effects.report(self.images.detect_mode());
        if self.queries_background {
            self.terminal_replies.expect();
            self.terminal_replies_until = Some(Instant::now() + TERMINAL_REPLY_TIMEOUT);
            self.term.screen.write_raw(BACKGROUND_QUERY.as_bytes())?;
        }
        if std::mem::take(&mut self.has_prompt) {
            let text = self.chat.ui.panes.composer.take();
            self.chat.update(Msg::Action(Action::Submit(text)));
            self.restore_draft();
        }
        self.run_effects()
    }

    fn restore_draft(&mut self) {
        if let Some(draft) = self.restored_draft.take() {
            self.chat.restore_text(&draft);
        }
    }

    fn draw(&mut self, now: Instant) -> io::Result<()> {
        if self.chat.store.wants_ticks() {
            self.chat.update(Msg::Tick(self.clock.now(now)));
        }
        let measured = self.begin_measuring(now);
        let ChatController { store, ui, .. } = &mut self.chat;
        if store.timestamps == Timestamps::Clock {
            // Asked only now: it may read the time zone's file.
            ui.panes.transcript.utc_offset_secs =
                *self.utc_offset_secs.get_or_insert_with(|| jiff::Zoned::now().offset().seconds());
        }
        let mut scope = self.pacer.scope(now);
        self.term.screen.redraw(|area, buf, is_last_frame| {
            if !is_last_frame {
                ui.panes.transcript.forget_rows();
                scope = FrameScope::Whole;
            }
            let text = if scope == FrameScope::Text { ui::redraw_text(store, ui, area, buf) } else { None };
            let (drawn, cursor) = if let Some((drawn, cursor)) = text {
                (Some(drawn), cursor)
            } else {
                scope = FrameScope::Whole;
                (None, ui::redraw(store, ui, area, buf))
            };
            Painted {
                cursor,
                links: Some(ui.panes.transcript.links()),
                unchanged: ui.panes.transcript.unchanged_rows(area.height),
                drawn,
            }
        })?;
        if let Some((began, counts, late)) = measured {
            let (drawn, figures) = (self.term.screen.counters, &mut self.chat.ui.perf);
            figures.push(FrameStats {
                duration: now.elapsed(),
                at: now.saturating_duration_since(began),
                lateness: late,
                cells: drawn.cells - counts.cells,
                bytes: drawn.bytes - counts.bytes,
            });
        }
        #[cfg(feature = "images")]
        self.images.sender.show(&self.chat.ui.panes.transcript.images.placed);
        self.chat.after_draw();
        self.pacer.on_drawn(now, scope);
        if scope == FrameScope::Whole && self.chat.store.wants_ticks() {
            self.pacer.request(now, TICK_INTERVAL);
        }
        Ok(())
    }

    /// Begins to measure a frame, if the figures are shown: since when frames are measured, what was written before, how
    /// late this one is.
    fn begin_measuring(&mut self, now: Instant) -> Option<(Instant, ScreenCounters, Duration)> {
        if !self.chat.store.focus.is_debug_shown {
            self.measuring_since = None;
            return None;
        }
        let figures = &mut self.chat.ui.perf;
        let began = *self.measuring_since.get_or_insert_with(|| {
            *figures = PerfStats::default();
            figures.min_interval = self.pacer.min_interval();
            now
        });
        figures.queued_events = self.session.hub.last_seq().0.saturating_sub(self.events.seq().0);
        let late = self.pacer.deadline().map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        Some((began, self.term.screen.counters, late))
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
            match self.chat.input(input, now, self.clock.now(now)) {
                None => {}
                Some(LoopRequest::Redraw) => {
                    self.term.screen.invalidate();
                    #[cfg(feature = "images")]
                    self.images.sender.forget();
                }
                Some(LoopRequest::Resize(columns, rows)) => {
                    self.term.screen.resize(columns, rows);
                    // A size told again is one that came back, and the one between may have cut the screen.
                    self.term.screen.invalidate();
                }
                Some(LoopRequest::Suspend) if term::can_suspend() => {
                    self.term.suspend(|| signals.stop_job())?;
                    #[cfg(feature = "images")]
                    self.images.sender.forget();
                }
                Some(LoopRequest::Suspend) => self.chat.show_toast("no shell to return to".into()),
            }
        }
        Ok(())
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

    fn handle_signal(&mut self, told: SignalEvent) -> io::Result<()> {
        match told {
            SignalEvent::Quit(code) => self.quit = Some(code),
            SignalEvent::Suspend => {
                self.term.suspend(term::stop_self)?;
                #[cfg(feature = "images")]
                self.images.sender.forget();
                self.pacer.request(Instant::now(), Duration::ZERO);
            }
        }
        Ok(())
    }

    fn handle_effect_result(&mut self, done: EffectResult) -> io::Result<()> {
        match done {
            EffectResult::Report(report) => self.chat.update(Msg::Report(report)),
            EffectResult::History(prompts) => self.chat.ui.panes.composer.set_history(prompts),
            EffectResult::Session(live) => self.attach_session(*live),
            EffectResult::Terminal(bytes, report) => {
                self.term.screen.write_raw(&bytes)?;
                self.chat.update(Msg::Report(report));
            }
            EffectResult::Nothing => {}
        }
        Ok(())
    }

    /// Shows another session. The old one is forgotten here; it stays saved.
    fn attach_session(&mut self, mut live: SessionHandle) {
        if let Some(save) = self.draft.take_save(String::new()) {
            self.effects.save_draft(save);
        }
        self.draft.switch_session(&live.session);
        if !self.chat.ui.panes.composer.is_empty() {
            self.draft.on_edit(Instant::now(), false);
        }
        self.chat.update(Msg::Reset);
        self.history_loader = None;
        let weather = live.status.borrow_and_update().clone();
        self.clock = SessionClock::new(&weather, Instant::now());
        self.chat.update(Msg::Status(weather));
        self.events = live.hub.subscribe(Seq(0));
        self.published_before = live.hub.last_seq();
        self.session = live;
        (self.events_open, self.status_open) = (true, true);
        (self.prepare_at, self.is_prepared) = (None, false);
    }

    /// Tells the session that a prompt is being written.
    fn prepare_session(&mut self) {
        (self.prepare_at, self.is_prepared) = (None, true);
        if self.session.capabilities.prompt {
            // Nothing is lost with it.
            let _ = self.session.commands.try_send(Command::WarmUp);
        }
    }

    fn run_effects(&mut self) -> io::Result<()> {
        for effect in std::mem::take(&mut self.chat.effects) {
            match effect {
                Effect::Send(command) => {
                    if let Err((command, why)) = effects::send(&self.session.commands, command) {
                        if let Command::Prompt { text } = &command {
                            self.chat.restore_text(text);
                        }
                        let what = "not sent".into();
                        self.chat.update(Msg::Report(Report::Failed { what, why: why.into() }));
                    }
                }
                Effect::ListModels => self.effects.list_models(),
                Effect::NewSession => {
                    if let Some(report) = self.effects.new_session() {
                        self.chat.update(Msg::Report(report));
                    }
                }
                Effect::Copy(copy) => {
                    if let Some(sequence) = self.effects.copy(&copy, &self.terminal_env) {
                        self.term.screen.write_raw(&sequence)?;
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
                // Whoever looks needs no bell.
                Effect::Bell if self.chat.focused != Some(true) => self.term.screen.write_raw(b"\x07")?,
                Effect::Bell => {}
                Effect::Quit => self.quit = Some(0),
            }
        }
        if self.chat.take_has_restored_text() {
            self.draft.on_edit(Instant::now(), self.chat.ui.panes.composer.is_empty());
        }
        self.chat.track_toast(Instant::now());
        match (self.chat.store.focus.find::<FrameList>().is_some(), &self.watched_frames) {
            (true, None) => self.watched_frames = Some(self.frames.clone()),
            (false, Some(_)) => self.watched_frames = None,
            _ => {}
        }
        let fresh = self.chat.ui.panes.composer.take_unsaved_prompts();
        if !fresh.is_empty() {
            self.effects.append_history(fresh);
        }
        Ok(())
    }
}

/// Tells whether writing failed because nobody holds the other end of the terminal any more.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(nix::errno::Errno::EIO as i32)
}
