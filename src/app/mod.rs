//! The loop: one task owns store, view and terminal.
//!
//! ```text
//! signal          → leave politely, or stop
//! terminal events → Burst → Chat::input → store, view (all that wait, then one frame)
//! frame deadline  → tick, draw                        (the only place that draws)
//! effect done     → Msg::Report
//! weather         → Msg::Weather
//! deliveries      → Msg::Event, Msg::Reset            (at most 512 a turn of the loop)
//! nothing else    → Msg::Work                         (a slice of what is being looked for)
//! ```
//!
//! Not here: what an input means (`chat.rs`), what is true (`store`), how it looks (`ui`). Invariants: typing is never
//! behind a flood, for input is looked at first; a flood can't starve drawing, for a batch is bounded; nothing wakes up
//! while nothing moves.

pub mod behind;
pub mod burst;
pub mod chat;
pub mod clipboard;
mod clock;
pub mod draft;
pub mod effects;
pub mod history;
#[cfg(feature = "images")]
pub mod images;
mod input;
pub mod opener;
pub mod pace;
pub mod screen;
pub mod term;
mod waits;

use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::Event;

use self::behind::Behind;
use self::burst::Burst;
use self::chat::{Ask, Chat};
use self::clipboard::Surroundings;
use self::clock::Clock;
use self::draft::Draft;
use self::effects::{Done, Effects, ListModels, NewSession, frames_of};
use self::input::Reader;
use self::pace::Pace;
use self::screen::Counts;
use self::term::{InChat, Signals, Term, Told};
use self::waits::{look, until};
use crate::assemble::Claim;
use crate::bridge::frames::Frames;
use crate::bridge::hub::Subscription;
use crate::bridge::{Delivery, Live};
use crate::config::keys::Keymap;
use crate::config::{ThemeChoice, UiConfig};
use crate::event::{Command, Seq};
use crate::store::action::Action;
use crate::store::effect::Effect;
use crate::store::msg::{Msg, Report};
use crate::store::{Options, Store, Timestamps};
use crate::text::one_line;
use crate::ui::keymap::{ASK_BACKGROUND, Input, Replies, read};
use crate::ui::panes::figures::{Figures, Frame};
use crate::ui::theme::{Theme, ThemeKind};
use crate::ui::{self, Ui};

/// Deliveries folded before input is looked at again.
const BATCH: usize = 512;
/// What streams is drawn within this time: long enough to gather what comes together.
const SOON: Duration = Duration::from_millis(8);
/// Between two frames of a spinner or a running time.
const TICK: Duration = Duration::from_millis(100);
/// Between two frames that only tell how far a search has come.
const WORK: Duration = Duration::from_millis(40);
/// After the first frame, before what nobody waits for is begun: the first key may come at once.
const QUIET: Duration = Duration::from_millis(40);
/// So many characters in the composer are the beginning of a prompt.
const PROMPT_BEGUN: usize = 3;
/// A terminal that hasn't answered by now won't.
const ANSWER: Duration = Duration::from_secs(1);

/// Exit code when the terminal went away: as if the signal of that had ended us.
const GONE: u8 = 129;

/// What a chat on the terminal needs.
pub struct Shell<'a> {
    pub live: Live,
    pub ui: UiConfig,
    pub keymap: Keymap,
    /// What the person should be told first: about keys and settings.
    pub warnings: Vec<String>,
    /// Sent as if typed.
    pub prompt: Option<String>,
    /// What stood in the composer when the session was left.
    pub draft: Option<String>,
    /// Where drafts are kept, and the name of this one: the session's, or one for what it is attached to.
    pub state: Option<(PathBuf, Claim)>,
    /// Where prompts are remembered.
    pub history: Option<PathBuf>,
    /// Where pictures may be read.
    #[cfg(feature = "images")]
    pub folder: PathBuf,
    pub list_models: ListModels<'a>,
    /// The raw frames of all streams.
    pub frames: Frames,
    /// None where no session can be begun, as in a replay.
    pub new_session: Option<NewSession<'a>>,
}

/// Runs the chat until the person leaves; returns the exit code. The terminal is given back before it returns.
pub async fn run(shell: Shell<'_>) -> io::Result<u8> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(io::Error::other("the chat needs a terminal"));
    }
    InChat(Box::pin(async {
        // Before the terminal is taken: what ends the program from here on gives it back.
        let mut signals = Signals::new()?;
        let mut chat = Loop::new(shell)?;
        let code = match chat.run(&mut signals).await {
            Err(error) if is_gone(&error) => Ok(GONE),
            code => code,
        };
        let last = chat.draft.settle(chat.unsent());
        drop(chat.term);
        chat.effects.finish().await;
        if let Some(why) = last.and_then(|save| save.run().err()) {
            let _ = writeln!(io::stderr(), "jarvis-tui: {}", one_line(&format!("the draft is not saved: {why}"), 400));
        }
        code
    }))
    .await
}

struct Loop<'a> {
    chat: Chat,
    term: Term,
    effects: Effects<'a>,
    frames: Frames,
    /// Somebody looks at them.
    looking: Option<Frames>,
    pace: Pace,
    live: Live,
    facts: Subscription,
    /// The turns before those on the screen, while they are being folded.
    behind: Option<Behind>,
    options: Options,
    /// What was published before we looked: nobody needs a bell for it.
    old: Seq,
    /// The session still delivers; its weather still changes.
    facts_open: bool,
    weather_open: bool,
    clock: Clock,
    draft: Draft,
    /// A draft of an earlier run, until it stands in the composer.
    restored: Option<String>,
    /// What stands in the composer is to be sent.
    has_prompt: bool,
    /// When the session is told that a prompt is being written; none once it knows, or while nothing is.
    prepare_at: Option<Instant>,
    is_prepared: bool,
    burst: Burst,
    /// Since when frames are measured, while their figures are shown.
    measuring: Option<Instant>,
    around: Surroundings,
    replies: Replies,
    replies_until: Option<Instant>,
    asks_background: bool,
    /// When earlier prompts are read.
    history_at: Option<Instant>,
    #[cfg(feature = "images")]
    pictures: images::Pictures,
    /// Seconds east of Greenwich, once they were asked for.
    zone: Option<i32>,
    quit: Option<u8>,
}

impl<'a> Loop<'a> {
    fn new(shell: Shell<'a>) -> io::Result<Self> {
        #[cfg(feature = "images")]
        let pictures = images::Pictures::new(&shell.ui, shell.folder.clone());
        let Shell {
            mut live,
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
            Options { fold_thinking: ui.fold_thinking, fold_outputs: ui.fold_output, timestamps: ui.timestamps };
        let store = Store::new(options);
        let view = Ui::new(&ui, Theme::new(theme), &keymap);
        let mut chat = Chat::new(store, view, keymap);
        let weather = live.weather.borrow_and_update().clone();
        let clock = Clock::new(&weather, Instant::now());
        chat.update(Msg::Weather(weather));
        chat.warn(&warnings);
        let mut this = Self {
            chat,
            term: Term::enter(ui.mouse)?,
            effects: Effects::new(list_models, new_session, history),
            frames,
            looking: None,
            pace: Pace::new(ui.max_fps),
            facts: live.hub.subscribe(Seq(0)),
            behind: None,
            options,
            old: live.hub.last(),
            live,
            facts_open: true,
            weather_open: true,
            clock,
            draft: match state {
                Some((dir, claim)) => Draft::new(dir, claim, draft.clone().unwrap_or_default()),
                None => Draft::none(),
            },
            restored: draft,
            has_prompt: prompt.is_some(),
            prepare_at: None,
            is_prepared: false,
            burst: Burst::default(),
            measuring: None,
            around: Surroundings::read(),
            replies: Replies::default(),
            replies_until: None,
            asks_background: ui.theme == ThemeChoice::Auto,
            history_at: None,
            #[cfg(feature = "images")]
            pictures,
            zone: None,
            quit: None,
        };
        if let Some(prompt) = prompt {
            this.chat.ui.composer.set_text(&prompt);
        } else {
            this.restore();
        }
        Ok(this)
    }

    async fn run(&mut self, signals: &mut Signals) -> io::Result<u8> {
        self.fold_what_is_there();
        self.draw(Instant::now())?;
        // From here on the person can wait: the first frame stands.
        self.after_first_frame()?;
        let mut reader = Reader::new()?;
        let (mut waiting, mut meant) = (Vec::new(), Vec::new());
        let mut deliveries = Vec::new();
        while self.quit.is_none() {
            let due = self.pace.due();
            tokio::select! {
                biased;
                told = signals.next() => self.told(told)?,
                alive = reader.next(&mut waiting) => {
                    let now = Instant::now();
                    self.burst.feed(waiting.drain(..), now, &mut meant);
                    for event in meant.drain(..) {
                        self.terminal(event, now, signals)?;
                    }
                    // Said last: what is done with the text could take it away.
                    if reader.take_broke() {
                        self.chat.warn(&["the paste broke off: what arrived of it is in the composer".into()]);
                    }
                    self.draft.touched(now, self.chat.ui.composer.is_empty());
                    // Not with the first key, which may mean anything, and not before its echo.
                    if !self.is_prepared && self.prepare_at.is_none() && self.chat.ui.composer.holds(PROMPT_BEGUN) {
                        self.prepare_at = Some(now + QUIET);
                    }
                    self.pace.want(now, Duration::ZERO);
                    if !alive {
                        self.quit = Some(GONE);
                    }
                }
                () = until(self.burst.due()) => {
                    let now = Instant::now();
                    self.burst.lapse(&mut meant);
                    for event in meant.drain(..) {
                        self.terminal(event, now, signals)?;
                    }
                    self.pace.want(now, Duration::ZERO);
                }
                () = until(due) => self.draw(Instant::now())?,
                () = until(self.replies_until) => self.give_up_asking(),
                () = until(self.prepare_at) => self.prepare(),
                () = until(self.history_at) => {
                    self.history_at = None;
                    self.effects.load_history();
                }
                () = until(self.draft.due()) => {
                    if let Some(save) = self.draft.settle(self.unsent()) {
                        self.effects.keep_draft(save);
                    }
                }
                () = until(self.chat.lapses()) => {
                    let now = Instant::now();
                    self.chat.lapse(now);
                    self.pace.want(now, Duration::ZERO);
                }
                Some(done) = self.effects.next() => {
                    self.done(done)?;
                    self.pace.want(Instant::now(), Duration::ZERO);
                }
                changed = self.live.weather.changed(), if self.weather_open => {
                    self.weather_open = changed.is_ok();
                    let weather = self.live.weather.borrow_and_update().clone();
                    self.clock = Clock::new(&weather, Instant::now());
                    self.draft.waits(&weather.queue, Instant::now());
                    self.chat.update(Msg::Weather(weather));
                    self.pace.want(Instant::now(), SOON);
                }
                look = look(&mut self.looking) => {
                    self.chat.update(Msg::Report(frames_of(look)));
                    self.pace.want(Instant::now(), SOON);
                }
                open = self.facts.batch(BATCH, &mut deliveries), if self.facts_open => {
                    self.fold(&mut deliveries);
                    if !open {
                        self.facts_open = false;
                        self.chat.update(Msg::Over);
                    }
                    self.pace.want(Instant::now(), SOON);
                }
                // Last, and after everyone else had a turn: nobody waits for it.
                () = tokio::task::yield_now(), if self.wants_work() => {
                    self.work();
                    #[cfg(feature = "images")]
                    self.term.screen.say(&self.pictures.sender.slice())?;
                    self.pace.want(Instant::now(), WORK);
                }
            }
            self.run_effects()?;
        }
        #[cfg(feature = "images")]
        self.term.screen.say(&self.pictures.sender.leave())?;
        Ok(self.quit.unwrap_or_default())
    }

    fn wants_work(&self) -> bool {
        #[cfg(feature = "images")]
        if self.pictures.sender.is_sending() {
            return true;
        }
        self.chat.store.wants_work() || self.behind.is_some()
    }

    /// Returns what was typed here and is nowhere else: prompts that wait for a line, then what is being written.
    fn unsent(&self) -> String {
        draft::unsent(&self.chat.store.session.weather.queue, self.chat.ui.composer.draft())
    }

    /// Does a slice of what nobody waits for.
    fn work(&mut self) {
        self.chat.update(Msg::Work);
        let Some(behind) = &mut self.behind else { return };
        if !behind.step() {
            self.behind = None;
        } else if behind.seq() < self.facts.seq() {
            let percent = behind.percent();
            self.chat.update(Msg::Earlier(percent));
        } else if let Some(behind) = self.behind.take() {
            let calls = self.chat.store.tools.calls().len();
            self.chat.store.take_over(behind.into_store());
            self.chat.ui.tools.shift(self.chat.store.tools.calls().len().saturating_sub(calls));
        }
    }

    /// A session that goes on shows its end at once, without the frames between.
    fn fold_what_is_there(&mut self) {
        if let Some((facts, behind)) = Behind::open(&self.live.hub, &mut self.chat.store, self.options) {
            self.facts = facts;
            self.behind = Some(behind);
        }
        let mut deliveries = Vec::new();
        while self.facts.seq() < self.old && self.facts.try_batch(BATCH, &mut deliveries) {
            self.fold(&mut deliveries);
        }
    }

    fn fold(&mut self, deliveries: &mut Vec<Delivery>) {
        for delivery in deliveries.drain(..) {
            match delivery {
                Delivery::Fact(fact) if fact.envelope.seq <= self.old => self.chat.catch_up(fact.envelope.clone()),
                Delivery::Fact(fact) => self.chat.update(Msg::Event(fact.envelope.clone())),
                Delivery::Reset => {
                    self.behind = None;
                    self.chat.update(Msg::Reset);
                }
            }
        }
    }

    fn after_first_frame(&mut self) -> io::Result<()> {
        self.history_at = Some(Instant::now() + QUIET);
        #[cfg(feature = "images")]
        self.effects.report(self.pictures.find_way());
        if self.asks_background {
            self.replies.expect();
            self.replies_until = Some(Instant::now() + ANSWER);
            self.term.screen.say(ASK_BACKGROUND.as_bytes())?;
        }
        if std::mem::take(&mut self.has_prompt) {
            let text = self.chat.ui.composer.take();
            self.chat.update(Msg::Do(Action::Submit(text)));
            self.restore();
        }
        self.run_effects()
    }

    fn restore(&mut self) {
        if let Some(draft) = self.restored.take() {
            self.chat.put_back(&draft);
        }
    }

    fn draw(&mut self, now: Instant) -> io::Result<()> {
        if self.chat.store.wants_ticks() {
            self.chat.update(Msg::Tick(self.clock.now(now)));
        }
        let measured = self.measured(now);
        let Chat { store, ui, .. } = &mut self.chat;
        if store.timestamps == Timestamps::Clock {
            // Asked only now: it may read the time zone's file.
            ui.transcript.zone = *self.zone.get_or_insert_with(|| jiff::Zoned::now().offset().seconds());
        }
        self.term.screen.draw_linked(|area, buf| {
            let cursor = ui::draw(store, ui, area, buf);
            (cursor, Some(ui.transcript.links()))
        })?;
        if let Some((began, counts, late)) = measured {
            let (drawn, figures) = (self.term.screen.counts, &mut self.chat.ui.figures);
            figures.push(Frame {
                took: now.elapsed(),
                at: now.saturating_duration_since(began),
                late,
                cells: drawn.cells - counts.cells,
                bytes: drawn.bytes - counts.bytes,
            });
        }
        #[cfg(feature = "images")]
        self.pictures.sender.show(&self.chat.ui.transcript.images.placed);
        self.chat.drawn();
        self.pace.drew(now);
        if self.chat.store.wants_ticks() {
            self.pace.want(now, TICK);
        }
        Ok(())
    }

    /// Begins to measure a frame, if the figures are shown: since when frames are measured, what was written before, how
    /// late this one is.
    fn measured(&mut self, now: Instant) -> Option<(Instant, Counts, Duration)> {
        if !self.chat.store.focus.debug {
            self.measuring = None;
            return None;
        }
        let figures = &mut self.chat.ui.figures;
        let began = *self.measuring.get_or_insert_with(|| {
            *figures = Figures::default();
            figures.gap = self.pace.gap();
            now
        });
        figures.queue = self.live.hub.last().0.saturating_sub(self.facts.seq().0);
        let late = self.pace.due().map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        Some((began, self.term.screen.counts, late))
    }

    fn terminal(&mut self, event: Event, now: Instant, signals: &mut Signals) -> io::Result<()> {
        let Some(input) = read(event) else { return Ok(()) };
        let mut inputs = Vec::new();
        match input {
            Input::Key(chord) => self.replies.feed(chord, &mut inputs),
            input => inputs.push(input),
        }
        if !self.replies.is_expecting() {
            self.replies_until = None;
        }
        for input in inputs {
            match self.chat.input(input, now, self.clock.now(now)) {
                None => {}
                Some(Ask::Redraw) => {
                    self.term.screen.invalidate();
                    #[cfg(feature = "images")]
                    self.pictures.sender.forget();
                }
                Some(Ask::Resize(columns, rows)) => {
                    self.term.screen.resize(columns, rows);
                    // A size told again is one that came back, and the one between may have cut the screen.
                    self.term.screen.invalidate();
                }
                Some(Ask::Suspend) if term::can_suspend() => {
                    self.term.suspend(|| signals.stop_job())?;
                    #[cfg(feature = "images")]
                    self.pictures.sender.forget();
                }
                Some(Ask::Suspend) => self.chat.say("there is no shell to go back to".into()),
            }
        }
        Ok(())
    }

    fn give_up_asking(&mut self) {
        let (now, mut keys) = (Instant::now(), Vec::new());
        self.replies.give_up(&mut keys);
        self.replies_until = None;
        for input in keys {
            self.chat.input(input, now, self.clock.now(now));
            self.pace.want(now, Duration::ZERO);
        }
    }

    fn told(&mut self, told: Told) -> io::Result<()> {
        match told {
            Told::Quit(code) => self.quit = Some(code),
            Told::Suspend => {
                self.term.suspend(term::stop_self)?;
                #[cfg(feature = "images")]
                self.pictures.sender.forget();
                self.pace.want(Instant::now(), Duration::ZERO);
            }
        }
        Ok(())
    }

    fn done(&mut self, done: Done) -> io::Result<()> {
        match done {
            Done::Report(report) => self.chat.update(Msg::Report(report)),
            Done::History(prompts) => self.chat.ui.composer.set_history(prompts),
            Done::Session(live) => self.attach(*live),
            Done::Terminal(bytes, report) => {
                self.term.screen.say(&bytes)?;
                self.chat.update(Msg::Report(report));
            }
            Done::Nothing => {}
        }
        Ok(())
    }

    /// Shows another session. The old one is forgotten here; it stays saved.
    fn attach(&mut self, mut live: Live) {
        if let Some(save) = self.draft.settle(String::new()) {
            self.effects.keep_draft(save);
        }
        self.draft.follow(&live.session);
        if !self.chat.ui.composer.is_empty() {
            self.draft.touched(Instant::now(), false);
        }
        self.chat.update(Msg::Reset);
        self.behind = None;
        let weather = live.weather.borrow_and_update().clone();
        self.clock = Clock::new(&weather, Instant::now());
        self.chat.update(Msg::Weather(weather));
        self.facts = live.hub.subscribe(Seq(0));
        self.old = live.hub.last();
        self.live = live;
        (self.facts_open, self.weather_open) = (true, true);
        (self.prepare_at, self.is_prepared) = (None, false);
    }

    /// Tells the session that a prompt is being written.
    fn prepare(&mut self) {
        (self.prepare_at, self.is_prepared) = (None, true);
        if self.live.caps.prompt {
            // Nothing is lost with it.
            let _ = self.live.commands.try_send(Command::Prepare);
        }
    }

    fn run_effects(&mut self) -> io::Result<()> {
        for effect in std::mem::take(&mut self.chat.effects) {
            match effect {
                Effect::Send(command) => {
                    if let Err((command, why)) = effects::send(&self.live.commands, command) {
                        if let Command::Prompt { text } = &command {
                            self.chat.put_back(text);
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
                    if let Some(sequence) = self.effects.copy(&copy, &self.around) {
                        self.term.screen.say(&sequence)?;
                    }
                }
                Effect::Open(target) => {
                    let folder = self.chat.store.session.opened.as_ref().map(|opened| opened.folder.clone());
                    let folder = PathBuf::from(folder.unwrap_or_default());
                    self.effects.open(&target, &self.around, &folder);
                }
                #[cfg(feature = "images")]
                Effect::MeasureImage(source) => {
                    let measured = self.pictures.measure(source, &self.chat.store);
                    self.effects.report(measured);
                }
                #[cfg(feature = "images")]
                Effect::DecodeImage(source, facts) => {
                    let decoded = self.pictures.decode(source, facts, &self.chat.store);
                    self.effects.report(decoded);
                }
                Effect::SaveFrames(file) => self.effects.save_frames(self.frames.clone(), file),
                // Whoever looks needs no bell.
                Effect::Bell if self.chat.focused != Some(true) => self.term.screen.say(b"\x07")?,
                Effect::Bell => {}
                Effect::Quit => self.quit = Some(0),
            }
        }
        if self.chat.take_given_back() {
            self.draft.touched(Instant::now(), self.chat.ui.composer.is_empty());
        }
        self.chat.follow_message(Instant::now());
        match (self.chat.store.focus.shows_frames(), &self.looking) {
            (true, None) => self.looking = Some(self.frames.clone()),
            (false, Some(_)) => self.looking = None,
            _ => {}
        }
        let fresh = self.chat.ui.composer.take_fresh();
        if !fresh.is_empty() {
            self.effects.keep_history(fresh);
        }
        Ok(())
    }
}

/// Tells whether writing failed because nobody holds the other end of the terminal any more.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(nix::errno::Errno::EIO as i32)
}
