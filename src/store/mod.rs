//! What is true on screen: a pure fold over facts. No clock, no IO, no geometry, no styles.
//!
//! [`Store::update`] is the only place where state changes, and it delegates: each part is a file of its own, sees every
//! fact and calls no other part. What depends on cells lives in `ui`; what a client without a screen would want lives
//! here. Times come inside messages, on the source's clock.

pub mod action;
pub mod approval;
mod copying;
pub mod effect;
mod finding;
pub mod focus;
pub mod frames;
#[cfg(feature = "images")]
pub mod images;
pub mod links;
pub mod msg;
pub mod notes;
pub mod outline;
pub mod permissions;
pub mod search;
pub mod session;
pub mod slash;
pub mod source;
mod submitting;
pub mod tools;
pub mod transcript;
mod unanswered;
pub mod usage;
mod wishes;

use crate::event::{AgentEvent, Command, Envelope, Level, LinkState, Seq, TurnEnd, Undelivered};

use self::approval::Approval;
use self::effect::Effect;
use self::focus::Focus;
use self::frames::Frames;
use self::msg::{Msg, Report};
use self::notes::Notes;
use self::session::{Phase, SessionState};
use self::tools::{Call, CallState, ToolBoard};
use self::transcript::{Item, Kind, Transcript};
use self::unanswered::Unanswered;
use self::usage::Meters;

/// Settings that the store starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub fold_thinking: bool,
    pub fold_outputs: bool,
    pub timestamps: Timestamps,
}

/// Which times stand beside what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamps {
    #[default]
    Off,
    /// Since the session began.
    Relative,
    /// As clocks show it here.
    Clock,
}

impl Timestamps {
    pub const ALL: [Self; 3] = [Self::Off, Self::Relative, Self::Clock];

    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Relative => "relative",
            Self::Clock => "clock",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|times| times.name() == name)
    }

    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Off => Self::Relative,
            Self::Relative => Self::Clock,
            Self::Clock => Self::Off,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { fold_thinking: true, fold_outputs: true, timestamps: Timestamps::Off }
    }
}

/// Where ids begin when a session is folded from its end: there is room before it for any number of items.
const FAR: u64 = 1 << 40;

/// One session as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    pub transcript: Transcript,
    pub tools: ToolBoard,
    pub usage: Meters,
    pub session: SessionState,
    /// What servers tell beside their words.
    pub notes: Notes,
    pub focus: Focus,
    /// Reasoning is folded unless an item says otherwise.
    pub fold_thinking: bool,
    /// Tool outputs are folded unless an item says otherwise.
    pub fold_outputs: bool,
    /// Links say where they go.
    pub show_targets: bool,
    pub timestamps: Timestamps,
    /// A word to the person that is not a fact; stands until they do something else.
    pub hint: Option<(Level, String)>,
    /// Earlier turns are still being read: how much of them was, in percent.
    pub earlier: Option<u8>,
    /// The raw frames, while they are looked at.
    pub frames: Frames,
    #[cfg(feature = "images")]
    pub images: images::Images,
    /// Text that belongs into the composer; whoever owns the composer takes it.
    pub taken_back: Option<String>,
    /// What was typed over an ask and belongs into the composer, where its cursor is; taken likewise.
    pub written: String,
    /// Prompts of this screen that nothing came of so far.
    unanswered: Unanswered,
    last_seq: Seq,
}

impl Store {
    pub fn new(options: Options) -> Self {
        let Options { fold_thinking, fold_outputs, timestamps } = options;
        Self { fold_thinking, fold_outputs, timestamps, ..Self::default() }
    }

    /// Number of the newest fact folded in.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    pub fn update(&mut self, msg: Msg, fx: &mut Vec<Effect>) {
        let before = fx.len();
        self.take(msg, fx);
        for effect in fx.iter().skip(before) {
            if let Effect::Send(Command::Prompt { text }) = effect {
                self.unanswered.sent(text);
            }
        }
    }

    fn take(&mut self, msg: Msg, fx: &mut Vec<Effect>) {
        match msg {
            Msg::Event(envelope) => self.fold(&envelope, fx),
            Msg::Reset => self.reset(),
            Msg::Over => self.end(),
            Msg::Weather(weather) => {
                self.session.clock(weather.now);
                if let Some(Undelivered { why, unknown, text, .. }) = &weather.undelivered
                    && weather.undelivered != self.session.weather.undelivered
                {
                    let what = match (unknown, text) {
                        (true, _) => "it may have arrived, so it is not sent again",
                        (false, Some(_)) => "not sent, it is in the composer again",
                        (false, None) => "not done",
                    };
                    self.hint = Some((Level::Error, format!("{what}: {why}")));
                    if let Some(text) = text {
                        self.unanswered.given_back(text);
                        self.taken_back = Some(text.clone());
                    }
                    self.focus.forget_answers();
                }
                if let Some(text) = &weather.rewritten
                    && weather.rewritten != self.session.weather.rewritten
                {
                    self.hint = Some((Level::Warn, text.clone()));
                }
                if weather.held {
                    weather.queue.iter().for_each(|queued| self.unanswered.waits(&queued.text));
                }
                self.session.weather = weather;
            }
            Msg::Do(action) => wishes::act(self, action, fx),
            Msg::Report(Report::Models(models)) => self.session.models = Some(models),
            Msg::Report(Report::Failed { what, why }) => self.hint = Some((Level::Error, format!("{what}: {why}"))),
            Msg::Report(Report::Frames { rows, fallen }) => self.frames.add(rows, fallen),
            #[cfg(feature = "images")]
            Msg::WantImages(sources) => self.images.want(sources, fx),
            #[cfg(feature = "images")]
            Msg::Report(Report::ImageWay(way)) => self.images.set_way(way),
            #[cfg(feature = "images")]
            Msg::Report(Report::Image(source, told)) => self.images.told(source, told, fx),
            Msg::Report(Report::Said(text)) => self.hint = Some((Level::Info, text)),
            Msg::Tick(now) => self.session.clock(now),
            Msg::Pressed(now) => self.focus.last_key = Some(now),
            Msg::Work => finding::work(self),
            Msg::Earlier(percent) => self.earlier = Some(percent),
        }
    }

    /// Makes an empty store go on after `seq`, as if everything before had been forgotten; [`Store::take_over`] makes
    /// up for that.
    pub fn begin_after(&mut self, seq: Seq) {
        self.last_seq = seq;
        self.earlier = Some(0);
        self.transcript.begin_at(FAR);
    }

    /// Takes what `whole` has folded from the first fact on, as far as this store is: nothing that the person sees or
    /// did changes by it, there only is more before it. Does nothing unless both are equally far.
    pub fn take_over(&mut self, whole: Self) {
        self.earlier = None;
        if whole.last_seq != self.last_seq || whole.transcript.items().len() < self.transcript.items().len() {
            return;
        }
        let Self { transcript, tools, usage, session, .. } = whole;
        let tail = std::mem::replace(&mut self.transcript, transcript);
        let by = self.transcript.take_place_of(&tail);
        self.tools = tools;
        self.tools.renumber(by);
        self.usage = usage;
        self.session.take_past_of(session);
        finding::grown_before(self);
    }

    /// Returns whether something on screen moves with the clock, so that ticks are worth sending.
    pub fn wants_ticks(&self) -> bool {
        let line_moves = match self.session.weather.link {
            LinkState::Idle | LinkState::Live | LinkState::Lost(_) => false,
            LinkState::Connecting
            | LinkState::Waiting { .. }
            | LinkState::Loading { .. }
            | LinkState::Silent { .. }
            | LinkState::Unproductive { .. }
            | LinkState::Retrying { .. } => true,
        };
        let guarded = self.is_guarded();
        let playing = self.session.weather.replay.is_some_and(|replay| !replay.paused);
        let works = !self.session.phase.is_idle() && !self.stands_still();
        line_moves || guarded || playing || works
    }

    /// Returns whether something is being looked for that was not looked at yet: then [`Msg::Work`] is worth sending.
    pub fn wants_work(&self) -> bool {
        self.focus.search().is_some_and(|search| !search.is_done(&self.transcript))
            || self.focus.outline().is_some_and(|outline| !outline.is_done())
    }

    /// Returns whether the turn waits for a person and nothing else goes on, nor will by itself: a clock that runs on
    /// would cost power for as long as they are away.
    pub fn stands_still(&self) -> bool {
        let moves = |call: &Call| match call.state {
            CallState::Writing | CallState::Running => true,
            CallState::Waiting => call.ask.as_ref().is_some_and(|ask| ask.expires.is_some()),
            CallState::Done(_) => false,
        };
        matches!(self.session.phase, Phase::WaitingApproval { .. })
            && !self.session.cancelling
            && !self.tools.open().any(moves)
    }

    /// Returns whether the ask on the screen takes no answer yet.
    pub fn is_guarded(&self) -> bool {
        self.focus.approval().is_some_and(|approval| approval.is_guarded(self.session.now, self.focus.last_key))
    }

    /// Returns the ask on the screen, if there is one.
    pub fn shown_ask(&self) -> Option<(&Approval, &Call)> {
        let approval = self.focus.approval()?;
        Some((approval, self.tools.get(&approval.call)?))
    }

    /// Returns how many asks wait without being on the screen.
    pub fn hidden_asks(&self) -> usize {
        if !self.session.caps().decide {
            return 0;
        }
        let shown = self.focus.approval().map(|approval| &approval.call);
        self.tools.pending().filter(|call| Some(&call.id) != shown && !self.focus.was_answered(&call.id)).count()
    }

    /// Returns whether an item is folded: the person's choice, else the setting for its kind.
    pub fn is_folded(&self, item: &Item) -> bool {
        item.folded.unwrap_or(match &item.kind {
            Kind::Thinking { .. } => self.fold_thinking,
            Kind::Call { .. } => self.fold_outputs,
            Kind::Prompt { .. } | Kind::Answer { .. } | Kind::Notice { .. } | Kind::Ended { .. } => false,
        })
    }

    fn fold(&mut self, envelope: &Envelope, fx: &mut Vec<Effect>) {
        let Envelope { seq, at, event } = envelope;
        if *seq <= self.last_seq {
            return;
        }
        let expected = self.last_seq.next();
        if *seq != expected {
            let text = format!("events {} to {} are missing here", expected.0, seq.0 - 1);
            self.transcript.notice(*at, Level::Error, "hole", &text);
        }
        self.last_seq = *seq;

        let change = self.session.change(event);
        self.usage.on(*at, event);
        if let Some(sources) = self.notes.on(event) {
            self.transcript.notice(*at, Level::Info, "sources", &sources);
        }
        self.transcript.on(*at, event, &self.usage);
        self.tools.on(*at, event, &self.transcript);
        self.session.on(*at, event);
        if let Some((code, text)) = change {
            self.transcript.notice(*at, Level::Info, code, &text);
        }
        if let AgentEvent::TurnFinished { end: TurnEnd::Interrupted | TurnEnd::Failed(_), .. } = event
            && self.session.caps().prompt
        {
            self.transcript.notice(*at, Level::Info, "retry_offer", "/retry sends the prompt again");
        }
        if let Some(prompt) = self.unanswered.on(event) {
            self.give_prompt_back(prompt);
        }
        self.session.wait(self.tools.pending().next().is_some());
        let tools = &self.tools;
        let left = self.focus.settle(|call| tools.is_pending(call));
        self.give_back(&left);
        if matches!(event, AgentEvent::ApprovalRequested { .. }) && self.session.caps().decide {
            fx.push(Effect::Bell);
        }
        self.offer_approval();
    }

    /// Opens the oldest ask that waits, but never over something the person is doing.
    fn offer_approval(&mut self) {
        if self.focus.composer_busy || !self.focus.overlays.is_empty() || !self.session.caps().decide {
            return;
        }
        let next = self.tools.pending().find(|call| !self.focus.was_answered(&call.id));
        if let Some(call) = next {
            self.focus.open_approval(&call.id);
        }
    }

    /// Puts what was typed over an ask into the composer.
    fn give_back(&mut self, left: &str) {
        if !left.is_empty() {
            self.written.push_str(left);
            self.focus.composer_busy = true;
        }
    }

    /// Puts a prompt that came to nothing into the composer, unless something else is written there.
    fn give_prompt_back(&mut self, prompt: String) {
        let where_to = if self.focus.composer_busy {
            "Up brings the prompt back"
        } else {
            self.taken_back = Some(prompt);
            "the prompt is in the composer again"
        };
        self.hint = Some((Level::Warn, format!("not answered: {where_to}")));
    }

    /// Nothing more will be told: what was under way ends here, and nothing can be asked or answered.
    fn end(&mut self) {
        let at = self.session.now;
        if let Phase::Working { turn, .. } | Phase::WaitingApproval { turn, .. } = &self.session.phase {
            let event = AgentEvent::TurnFinished { turn: turn.clone(), end: TurnEnd::Interrupted };
            self.transcript.on(at, &event, &self.usage);
            self.tools.on(at, &event, &self.transcript);
            self.session.on(at, &event);
        }
        let left = self.focus.settle(|_| false);
        self.give_back(&left);
        self.session.over = true;
        match &self.session.weather.link {
            LinkState::Lost(Some(fault)) => {
                let text = format!("the session has ended: {}", fault.message);
                self.transcript.notice(at, Level::Error, "session_ended", &text);
            }
            _ => self.hint = Some((Level::Info, "the session has ended".into())),
        }
    }

    fn reset(&mut self) {
        self.unanswered = Unanswered::default();
        self.transcript.reset();
        self.tools = ToolBoard::default();
        self.usage = Meters::default();
        self.notes = Notes::default();
        self.session.reset();
        let left = self.focus.settle(|_| false);
        self.give_back(&left);
        self.earlier = None;
        self.last_seq = Seq(0);
    }
}

#[cfg(test)]
mod tests;
