//! One session on this screen: what it tells, what is true of it, how it is being read, and the draft for it.
//!
//! Not here: the terminal, and what is done about effects (`host.rs`). The invariant: a tab that nobody looks at takes
//! what its session tells like any other; only drawing is left out.

use std::time::Instant;

use crate::app::chat::{ChatController, LoopRequest};
use crate::app::draft::{self, DraftSaver};
use crate::app::effects::{OutsideFacts, ResumedSession, TabId};
use crate::app::history_loader::HistoryLoader;
use crate::app::session_clock::SessionClock;
use crate::bridge::hub::Subscription;
use crate::bridge::{HubItem, SessionHandle};
use crate::event::{AgentEvent, Command, NoticeCode, NoticeLevel, Seq, SessionId};
use crate::runtime::RemoteModels;
use crate::store::StoreOptions;
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::store::spending::Spending;
use crate::ui::FrameScope;
use crate::ui::keymap::Input;
use crate::ui::linear::LinearPrinter;
use crate::ui::panes::transcript::PrintedPlace;

/// Deliveries folded before input is looked at again.
const MAX_EVENTS_PER_BATCH: usize = 512;
/// Whoever seeks so far ahead in a replay sees the new place before what is between.
const MIN_JUMP_EVENTS: u64 = 20_000;

pub(super) struct SessionTab {
    pub(super) id: TabId,
    pub(super) chat: ChatController,
    pub(super) session: SessionHandle,
    events: Subscription,
    /// Deliveries that were taken and not folded yet; kept for its room.
    items: Vec<HubItem>,
    /// The turns before those on the screen, while they are being folded.
    pub(super) history_loader: Option<HistoryLoader>,
    options: StoreOptions,
    /// What was published before we looked: nobody needs a bell for it.
    published_before: Seq,
    /// It was not looked at yet whether there was anything.
    pub(super) has_backlog: bool,
    /// What of it the terminal has, where it keeps the text itself.
    pub(super) printed: PrintedText,
    /// The model that was asked for at the start; empty if none was.
    wanted_model: String,
    /// The session still delivers; its status still changes.
    events_open: bool,
    status_open: bool,
    pub(super) clock: SessionClock,
    pub(super) draft: DraftSaver,
    /// A draft of an earlier run, until it stands in the composer.
    restored_draft: Option<String>,
    /// When the session is told that a prompt is being written; none once it knows, or while nothing is.
    pub(super) prepare_at: Option<Instant>,
    is_prepared: bool,
    /// What `/model` can offer, where the session is attached.
    pub(super) models: Option<RemoteModels>,
    /// For which session, folder and turn the surroundings were looked at last.
    pub(super) surveyed: Option<(SessionId, String, u32)>,
}

/// How far a session that is not shown was printed.
#[derive(Default)]
pub(super) struct PrintedText {
    pub(super) place: PrintedPlace,
    /// None before it was shown.
    pub(super) printer: Option<LinearPrinter>,
}

/// What of a session has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TabChange {
    Status,
    /// There are deliveries to fold; false says that no more will come.
    Events(bool),
}

/// What came of deliveries.
pub(super) struct FoldOutcome {
    /// What a frame has to show of them.
    pub(super) scope: FrameScope,
    /// Tokens, and US dollars if the price is known, of turns that ended, where days have limits.
    pub(super) spent: Vec<Spending>,
}

impl SessionTab {
    pub(super) fn new(
        chat: ChatController,
        mut handle: SessionHandle,
        draft: DraftSaver,
        options: StoreOptions,
        wanted_model: String,
    ) -> Self {
        let status = handle.status.borrow_and_update().clone();
        let mut tab = Self {
            id: TabId::default(),
            chat,
            events: handle.hub.subscribe(Seq(0)),
            items: Vec::new(),
            history_loader: None,
            options,
            published_before: handle.hub.last_seq(),
            has_backlog: true,
            printed: PrintedText::default(),
            wanted_model,
            session: handle,
            events_open: true,
            status_open: true,
            clock: SessionClock::new(&status, Instant::now()),
            draft,
            restored_draft: None,
            prepare_at: None,
            is_prepared: false,
            models: None,
            surveyed: None,
        };
        tab.expect_branches();
        tab.chat.update(Msg::Status(status));
        tab
    }

    /// What follows is folded along the branch that the session is on, wherever branches begin in it.
    fn expect_branches(&mut self) {
        let hub = &self.session.hub;
        self.chat.store.expect_branches(hub.branch_starts(), hub.chosen_path());
    }

    /// Opens a session beside this one.
    pub(super) fn beside(&self, chat: ChatController, opened: ResumedSession) -> Self {
        let ResumedSession { handle, outside, draft, restored } = opened;
        let saver = self.draft.for_session(&handle.session, draft.clone().unwrap_or_default());
        let mut tab = Self::new(chat, handle, saver, self.options, self.wanted_model.clone());
        tab.set_outside(outside);
        tab.set_restored_draft(draft);
        tab.restore_draft();
        tab.chat.show_warnings(&restored);
        tab
    }

    /// Goes on with another session here. The old one is forgotten; it stays saved.
    pub(super) fn replace_session(&mut self, opened: ResumedSession) {
        let ResumedSession { mut handle, outside, draft, restored } = opened;
        self.draft.switch_session(&handle.session, draft.clone().unwrap_or_default());
        if !self.chat.ui.panes.composer.is_empty() {
            self.draft.on_edit(Instant::now(), false);
        }
        self.chat.update(Msg::Reset);
        self.set_outside(outside);
        self.history_loader = None;
        let status = handle.status.borrow_and_update().clone();
        self.clock = SessionClock::new(&status, Instant::now());
        self.chat.update(Msg::Status(status));
        self.events = handle.hub.subscribe(Seq(0));
        self.published_before = handle.hub.last_seq();
        self.has_backlog = true;
        self.session = handle;
        self.expect_branches();
        (self.events_open, self.status_open) = (true, true);
        (self.prepare_at, self.is_prepared) = (None, false);
        self.restored_draft = draft;
        self.restore_draft();
        self.chat.show_warnings(&restored);
    }

    /// Returns whether the session has to stay open when the person goes to another: it is busy, or a draft was begun in
    /// it. A draft in a session in which nothing was said goes along.
    pub(super) fn stays_open(&self) -> bool {
        let store = &self.chat.store;
        let has_draft = !self.chat.ui.panes.composer.is_empty() && !store.transcript.is_untouched();
        store.is_busy() || has_draft
    }

    /// Notes where the session runs, if that is not here.
    fn set_outside(&mut self, outside: Option<OutsideFacts>) {
        let OutsideFacts { attachment, host, models, is_beside: _ } = outside.unwrap_or_default();
        let workplace = &mut self.chat.store.workplace;
        (workplace.attachment, workplace.host) = (attachment, host);
        self.models = models;
    }

    pub(super) fn set_restored_draft(&mut self, draft: Option<String>) {
        self.restored_draft = draft;
    }

    pub(super) fn restore_draft(&mut self) {
        if let Some(draft) = self.restored_draft.take() {
            self.chat.restore_text(&draft);
        }
    }

    /// Returns what was typed here and is nowhere else: prompts that wait for a line, then what is being written.
    pub(super) fn unsent_text(&self) -> String {
        draft::unsent_text(self.chat.store.session.queue(), self.chat.ui.panes.composer.unsent())
    }

    /// Waits for the session to tell something. Never completes once it has ended. Cancel-safe.
    pub(super) async fn next_change(&mut self) -> TabChange {
        tokio::select! {
            biased;
            changed = self.session.status.changed(), if self.status_open => {
                self.status_open = changed.is_ok();
                TabChange::Status
            }
            open = self.events.next_batch(MAX_EVENTS_PER_BATCH, &mut self.items), if self.events_open => {
                TabChange::Events(open)
            }
            else => std::future::pending().await,
        }
    }

    pub(super) fn take_status(&mut self, now: Instant) {
        let status = self.session.status.borrow_and_update().clone();
        self.clock = SessionClock::new(&status, now);
        self.draft.track_queue(&status.queue, now);
        self.chat.update(Msg::Status(status));
    }

    /// Folds what was delivered.
    pub(super) fn take_events(&mut self, is_open: bool) -> FoldOutcome {
        let mut outcome = self.fold();
        if !is_open {
            self.events_open = false;
            self.chat.update(Msg::SessionEnded);
            outcome.scope = FrameScope::Whole;
        }
        outcome
    }

    /// A session that goes on shows its end at once, without the frames between.
    pub(super) fn fold_backlog(&mut self) {
        self.show_tail();
        while self.is_behind() && self.events.try_next_batch(MAX_EVENTS_PER_BATCH, &mut self.items) {
            self.fold();
        }
    }

    /// Folds the last turns of what was published into a store that has nothing yet; what is before them follows.
    fn show_tail(&mut self) {
        if let Some((events, loader)) = HistoryLoader::open(&self.session.hub, &mut self.chat.store, self.options) {
            self.events = events;
            self.history_loader = Some(loader);
        }
    }

    /// A replay was moved far ahead: begins at the new place.
    fn jump_ahead(&mut self) {
        self.items.clear();
        self.history_loader = None;
        self.chat.update(Msg::Reset);
        self.events = self.session.hub.subscribe(Seq(0));
        self.show_tail();
    }

    /// Returns whether text came into the composer that nobody typed; its draft is to be kept then.
    pub(super) fn take_has_restored_text(&mut self) -> bool {
        let has_restored_text = self.chat.take_has_restored_text();
        if has_restored_text {
            self.draft.on_edit(Instant::now(), self.chat.ui.panes.composer.is_empty());
        }
        has_restored_text
    }

    /// Returns whether what was published before is still being taken.
    pub(super) fn is_behind(&self) -> bool {
        self.events.seq() < self.published_before
    }

    /// Takes an input of the person.
    pub(super) fn input(&mut self, input: Input, now: Instant) -> Option<LoopRequest> {
        self.chat.input(input, now, self.clock.now(now))
    }

    /// Returns how many events wait to be taken.
    pub(super) fn queued_events(&self) -> u64 {
        self.session.hub.last_seq().0.saturating_sub(self.events.seq().0)
    }

    fn fold(&mut self) -> FoldOutcome {
        if self.session.capabilities.seek
            && self.queued_events() >= MIN_JUMP_EVENTS
            && !self.items.contains(&HubItem::Reset)
        {
            self.jump_ahead();
            return FoldOutcome { scope: FrameScope::Whole, spent: Vec::new() };
        }
        let mut has_restarted = false;
        let shown = self.chat.store.transcript.items().len();
        let is_text = |item: &HubItem| matches!(item, HubItem::Event(logged) if logged.envelope.event.is_text());
        let only_text = self.items.iter().all(is_text);
        let mut spent = Vec::new();
        let mut items = std::mem::take(&mut self.items);
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
                        spent.push(usage.turn_spending());
                    }
                }
                HubItem::Reset => {
                    self.history_loader = None;
                    self.chat.update(Msg::Reset);
                    has_restarted = true;
                }
            }
        }
        self.items = items;
        if has_restarted {
            self.show_tail();
        }
        if self.chat.store.branches.is_outdated() {
            self.show_other_branch();
        }
        let has_same_items = shown == self.chat.store.transcript.items().len();
        let scope = if only_text && has_same_items { FrameScope::Text } else { FrameScope::Whole };
        FoldOutcome { scope, spent }
    }

    /// Another branch is the session's now: folds it anew, as one that is opened.
    fn show_other_branch(&mut self) {
        self.history_loader = None;
        self.chat.update(Msg::Refold);
        self.events = self.session.hub.subscribe(Seq(0));
        self.published_before = self.session.hub.last_seq();
        self.fold_backlog();
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

    /// Does a slice of what nobody waits for.
    pub(super) fn work(&mut self) {
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

    /// Something was typed: notes whether a prompt was begun, and has the session told of that later.
    pub(super) fn on_typed(&mut self, min_chars: usize, tell_at: Instant) {
        if !self.is_prepared && self.prepare_at.is_none() && self.chat.ui.panes.composer.holds(min_chars) {
            self.prepare_at = Some(tell_at);
        }
    }

    /// Tells the session that a prompt is being written.
    pub(super) fn prepare_session(&mut self) {
        (self.prepare_at, self.is_prepared) = (None, true);
        if self.session.capabilities.prompt {
            // Nothing is lost with it.
            let _ = self.session.commands.try_send(Command::WarmUp);
        }
    }
}
