//! What is true on screen: a pure fold over events. No clock, no IO, no geometry, no styles.
//!
//! [`Store::update`] is the only place where state changes, and it delegates: each part is a file of its own and sees
//! every event. Their order in the fold matters, for the transcript reads the usage meters and the tool calls read the
//! transcript. What depends on cells lives in `ui`; what a client without a screen would want lives here. Times come
//! inside messages, on the source's clock.

pub mod action;
pub mod action_table;
pub mod agent_status;
pub mod approval;
pub mod argument_values;
pub mod attaching;
pub mod chunks;
pub mod command_argument;
pub mod effect;
pub mod focus;
pub mod frames;
#[cfg(feature = "images")]
pub mod image_source;
#[cfg(feature = "images")]
pub mod images;
pub mod item_source;
pub mod limits;
pub mod links;
pub mod marks;
pub mod models;
pub mod msg;
pub mod notification;
mod options;
pub mod outline;
pub mod output_view;
pub mod overlay;
pub mod pane;
pub mod permissions;
pub mod person_runs;
pub mod plan;
pub mod prompt_images;
pub mod search;
pub mod session;
pub mod session_branches;
pub mod sessions;
pub mod slash;
pub mod spending;
pub mod status_parts;
pub mod sub_agents;
pub mod tabs;
pub mod tool_calls;
pub mod transcript;
mod unanswered_prompts;
pub mod unseen;
mod update;
pub mod usage;
pub mod usage_ledger;
pub mod user_commands;
pub mod workplace;

use std::collections::BTreeMap;

use crate::event::branches::{BranchPath, BranchStarts};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, Command, Envelope, LinkState, Millis, NoticeCode, NoticeLevel,
    Seq, TurnOutcome,
};

pub use self::options::{StoreOptions, Timestamps};

use self::agent_status::AgentStatus;
use self::effect::{ComposerEdit, Effect};
use self::focus::Focus;
use self::item_source::ItemField;
use self::limits::LimitState;
use self::marks::Marks;
use self::msg::Msg;
use self::notification::{Notification, NotificationKind};
use self::output_view::{OutputView, OutputViews};
use self::overlay::approval::ApprovalDialog;
use self::overlay::themes::ThemeList;
use self::pane::PanelSide;
use self::person_runs::PersonRuns;
use self::plan::Plan;
use self::session::{Phase, SessionState};
use self::session_branches::SessionBranches;
use self::sessions::SessionChoice;
use self::status_parts::StatusParts;
use self::sub_agents::SubAgents;
use self::tabs::OpenTabs;
use self::tool_calls::{CallState, ToolCall, ToolCalls};
use self::transcript::{ItemKind, Transcript, TranscriptItem};
use self::unanswered_prompts::UnansweredPrompts;
use self::unseen::Unseen;
use self::usage::UsageStats;
use self::usage_ledger::UsageLedger;
use self::user_commands::UserCommand;
use self::workplace::Workplace;

/// How often each action was chosen from the palette, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionUses {
    counts: BTreeMap<String, u32>,
    /// Those of earlier runs are among them.
    is_loaded: bool,
}

/// From here on a prompt is folded.
const LONG_PROMPT_BYTES: usize = 3000;
const LONG_PROMPT_LINES: usize = 12;
/// Where ids begin when a session is folded from its end: there is room before it for any number of items.
const TAIL_FIRST_ITEM_ID: u64 = 1 << 40;

/// One session as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    pub transcript: Transcript,
    pub tool_calls: ToolCalls,
    pub usage: UsageStats,
    pub usage_ledger: UsageLedger,
    pub session: SessionState,
    pub workplace: Workplace,
    /// What servers tell beside their words.
    pub agent_status: AgentStatus,
    pub plan: Plan,
    /// What the agent had others do.
    pub sub_agents: SubAgents,
    pub focus: Focus,
    /// Reasoning is folded unless an item says otherwise.
    pub fold_thinking: bool,
    /// Tool outputs are folded unless an item, or the setting for its tool, says otherwise.
    pub fold_outputs: bool,
    /// The person unfolded all of them, whatever is set for their tools.
    are_outputs_unfolded: bool,
    /// Counts the settings of how much of which output is shown.
    output_views_rev: u32,
    /// Links say where they go.
    pub show_link_targets: bool,
    pub timestamps: Timestamps,
    pub limits: LimitState,
    /// Nothing moves that needn't.
    pub reduced_motion: bool,
    /// Where side panes stand beside the transcript.
    pub panel_side: PanelSide,
    /// What the lowest rows tell.
    pub status_parts: StatusParts,
    /// The sessions that can be resumed, once they were listed for a command.
    pub saved_sessions: Option<Vec<SessionChoice>>,
    /// Commands that the person wrote, by name.
    pub user_commands: Vec<UserCommand>,
    /// The MCP servers of the settings.
    pub server_names: Vec<String>,
    pub themes: ThemeList,
    /// How often each action was chosen from the palette, by its name.
    pub action_uses: ActionUses,
    /// A word to the person that is not a fact; stands until they do something else.
    pub toast: Option<(NoticeLevel, String)>,
    /// Earlier turns are still being read: how much of them was, in percent.
    pub history_progress: Option<u8>,
    #[cfg(feature = "images")]
    pub images: images::ImageCache,
    /// The prompt that was given back for what it mentions.
    refused_prompt: Option<String>,
    /// What the person runs beside the conversation.
    pub person_runs: PersonRuns,
    /// Prompts of this screen that nothing came of so far.
    unanswered_prompts: UnansweredPrompts,
    /// The sessions that are open beside each other.
    pub tabs: OpenTabs,
    /// What came while nobody looked.
    pub unseen: Unseen,
    /// What the person marked.
    pub marks: Marks,
    pub branches: SessionBranches,
    /// The person was told what closing the session would stop.
    is_closing_asked: bool,
    last_seq: Seq,
}

impl Store {
    pub fn new(options: StoreOptions) -> Self {
        let StoreOptions { fold_thinking, fold_outputs, timestamps, limits, reduced_motion, panel_side, status_parts } =
            options;
        let limits = LimitState::new(limits);
        Self {
            fold_thinking,
            fold_outputs,
            timestamps,
            limits,
            reduced_motion,
            panel_side,
            status_parts,
            ..Self::default()
        }
    }

    /// Returns an empty store for a session that is opened beside another, set as the person has set that.
    #[must_use]
    pub fn beside(other: &Self, options: StoreOptions) -> Self {
        let mut store = Self {
            fold_thinking: other.fold_thinking,
            fold_outputs: other.fold_outputs,
            are_outputs_unfolded: other.are_outputs_unfolded,
            tool_calls: other.tool_calls.emptied(),
            show_link_targets: other.show_link_targets,
            timestamps: other.timestamps,
            workplace: other.workplace.beside(),
            ..Self::new(options)
        };
        store.adopt_common(other);
        store
    }

    /// Takes over what is the same for all sessions that are open, as the one that was looked at last knows it.
    pub fn adopt_common(&mut self, other: &Self) {
        self.action_uses.clone_from(&other.action_uses);
        self.user_commands.clone_from(&other.user_commands);
        self.server_names.clone_from(&other.server_names);
        self.themes.clone_from(&other.themes);
        self.limits.today = other.limits.today;
        self.tabs.clone_from(&other.tabs);
        (self.panel_side, self.status_parts) = (other.panel_side, other.status_parts);
        #[cfg(feature = "images")]
        self.images.set_mode(other.images.mode());
    }

    /// Sets how much of which output is shown before anybody unfolds it.
    pub fn set_output_views(&mut self, views: OutputViews) {
        self.sub_agents.each(|store| store.set_output_views(views.clone()));
        self.tool_calls.set_output_views(views);
        self.output_views_rev = self.output_views_rev.wrapping_add(1);
    }

    /// Returns what changes whenever other outputs are shown, or more of them.
    pub fn outputs_stamp(&self) -> (bool, bool, u32) {
        (self.fold_outputs, self.are_outputs_unfolded, self.output_views_rev)
    }

    /// Number of the newest fact folded in.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    pub fn update(&mut self, msg: Msg, fx: &mut Vec<Effect>) {
        let before = fx.len();
        update::apply(self, msg, fx);
        for effect in fx.iter().skip(before) {
            match effect {
                Effect::Send(Command::Prompt { text, context, .. }) => {
                    self.unanswered_prompts.on_sent(text, context);
                    self.unseen.forget_new();
                    self.is_closing_asked = false;
                }
                Effect::RunCommand(_) | Effect::Send(Command::Steer { .. }) => self.is_closing_asked = false,
                _ => {}
            }
        }
    }

    /// Makes an empty store go on after `seq`, as if everything before had been forgotten;
    /// [`Store::adopt_full_history`] makes up for that.
    pub fn start_at(&mut self, seq: Seq) {
        self.last_seq = seq;
        self.history_progress = Some(0);
        self.transcript.set_base_id(TAIL_FIRST_ITEM_ID);
        self.transcript.set_seq(seq);
    }

    /// Shows what an event went into, once that part of the session is there.
    pub fn go_to_event(&mut self, seq: Seq) {
        self.marks.go_to(seq);
        self.show_wanted_event();
    }

    /// Shows what the person wanted to go to if that part of the session is there by now.
    fn show_wanted_event(&mut self) {
        let Some(seq) = self.marks.take_wanted(self.last_seq) else { return };
        if !self.branches.path().contains(seq) {
            self.toast =
                Some((NoticeLevel::Info, "that is on another branch of this session: /tree goes there".into()));
            return;
        }
        let first = self.transcript.items().first();
        let is_there = self.history_progress.is_none() || first.is_some_and(|first| first.seq <= seq);
        match self.transcript.item_of_event(seq).or(first) {
            Some(item) if is_there => self.focus.request_place(item.id, ItemField::Text, 0),
            _ => self.marks.go_to(seq),
        }
    }

    /// Takes what `whole` has folded from the first fact on, as far as this store is: nothing that the person sees or
    /// did changes by it, there only is more before it. Does nothing unless both are equally far.
    pub fn adopt_full_history(&mut self, whole: Self) {
        self.history_progress = None;
        if whole.last_seq != self.last_seq || whole.transcript.items().len() < self.transcript.items().len() {
            return;
        }
        let Self { transcript, tool_calls: tools, usage, usage_ledger, session, plan, marks, sub_agents, .. } = whole;
        self.branches.adopt(whole.branches);
        self.plan.adopt(plan);
        self.sub_agents = sub_agents;
        let tail = std::mem::replace(&mut self.transcript, transcript);
        let by = self.transcript.adopt_tail(&tail);
        self.tool_calls = tools;
        self.tool_calls.shift_item_ids(by);
        self.usage = usage;
        self.usage_ledger = usage_ledger;
        self.session.adopt_past(session);
        self.marks.adopt(marks);
        self.show_wanted_event();
        update::support::on_each(self, |overlay, store| overlay.on_items_prepended(store));
    }

    /// Returns whether something on screen moves with the clock, so that ticks are worth sending.
    pub fn wants_ticks(&self) -> bool {
        let line_moves = match self.session.status.link {
            LinkState::Idle | LinkState::Live | LinkState::Lost(_) => false,
            LinkState::Connecting
            | LinkState::Waiting { .. }
            | LinkState::Loading { .. }
            | LinkState::Silent { .. }
            | LinkState::Unproductive { .. }
            | LinkState::Retrying { .. } => true,
        };
        let guarded = self.is_guarded();
        let playing = self.session.replay().is_some_and(|replay| !replay.paused);
        let works = !self.session.phase.is_idle() && !self.waits_only_for_user();
        line_moves || guarded || playing || works || self.person_runs.is_running()
    }

    /// Returns whether something is being looked for that was not looked at yet: then [`Msg::Work`] is worth sending.
    pub fn wants_work(&self) -> bool {
        self.focus.overlays.iter().any(|overlay| overlay.state().wants_work(self))
    }

    /// Returns whether the turn waits for a person and nothing else goes on, nor will by itself: a clock that runs on
    /// would cost power for as long as they are away.
    pub fn waits_only_for_user(&self) -> bool {
        let moves = |call: &ToolCall| match call.state {
            CallState::Writing | CallState::Running => true,
            CallState::AwaitingApproval => call.approval_request().is_some_and(|ask| ask.expires_at.is_some()),
            CallState::Done(_) => false,
        };
        matches!(self.session.phase, Phase::WaitingApproval { .. })
            && !self.session.cancelling
            && !self.tool_calls.open().any(moves)
    }

    /// Returns whether the ask on the screen takes no answer yet.
    pub fn is_guarded(&self) -> bool {
        self.focus
            .top_as::<ApprovalDialog>()
            .is_some_and(|approval| approval.is_guarded(self.session.now, self.focus.last_key))
    }

    /// Returns the ask on the screen, if there is one.
    pub fn visible_approval(&self) -> Option<(&ApprovalDialog, &ToolCall)> {
        let approval = self.focus.top_as::<ApprovalDialog>()?;
        Some((approval, self.tool_calls.get(&approval.call)?))
    }

    /// Returns how many asks wait without being on the screen.
    pub fn hidden_approval_count(&self) -> usize {
        if !self.session.capabilities().decide {
            return 0;
        }
        let shown = self.focus.top_as::<ApprovalDialog>().map(|approval| &approval.call);
        self.tool_calls.pending().filter(|call| Some(&call.id) != shown && !self.focus.was_answered(&call.id)).count()
    }

    /// Returns whether an item is folded: the person's choice, else the setting for its kind.
    pub fn is_folded(&self, item: TranscriptItem<'_>) -> bool {
        item.folded.unwrap_or(match item.kind {
            ItemKind::Thinking { .. } => self.fold_thinking,
            ItemKind::Call { .. } => self.output_view(item) != OutputView::Full,
            ItemKind::Prompt { text } => is_long_prompt(text),
            ItemKind::Compaction { .. } => true,
            ItemKind::Answer { .. } | ItemKind::Notice { .. } | ItemKind::TurnSummary { .. } => false,
        })
    }

    /// Returns how much of a call is shown: what the person chose, else what is set for its tool, else as for all.
    pub fn output_view(&self, item: TranscriptItem<'_>) -> OutputView {
        let usual = if self.fold_outputs { OutputView::Preview } else { OutputView::Full };
        let set = match item.kind {
            ItemKind::Call { call } => self.tool_calls.get(call).and_then(|call| call.output_view),
            _ => None,
        };
        match item.folded {
            Some(false) => OutputView::Full,
            Some(true) => set.unwrap_or(OutputView::Preview).min(OutputView::Preview),
            None if self.are_outputs_unfolded => OutputView::Full,
            None => set.unwrap_or(usual),
        }
    }

    fn fold(&mut self, envelope: &Envelope, fx: &mut Vec<Effect>) {
        let Envelope { seq, at, event } = envelope;
        if *seq <= self.last_seq {
            return;
        }
        let expected = self.last_seq.next();
        if *seq != expected {
            let text = format!("events {} to {} are missing here", expected.0, seq.0 - 1);
            self.transcript.notice(*at, NoticeLevel::Error, NoticeCode::Hole, &text);
        }
        self.last_seq = *seq;
        self.branches.observe(envelope);
        if self.branches.is_outdated() {
            return;
        }
        if !self.branches.path().tells(*seq, event) {
            return self.fold_elsewhere(*at, event);
        }
        if self.branches.path().contains(*seq)
            && let Some(meters) = self.branches.left_meters.take()
        {
            self.usage.return_to(&meters);
        }
        self.transcript.set_seq(*seq);

        let change = self.session.describe_change(event);
        self.usage.on_event(*at, event);
        self.usage_ledger.on_event(event, &self.usage);
        self.plan.on_event(event);
        if let Some(sources) = self.agent_status.on_event(event) {
            self.transcript.notice(*at, NoticeLevel::Info, NoticeCode::Sources, &sources);
        }
        if let AgentEvent::Annotation { on: AnnotationTarget::Call(call), annotation: Annotation::PersonRun(run) } =
            event
        {
            self.show_logged_run(*at, call, run);
        }
        self.fold_items(*at, event);
        self.session.on_event(*at, event);
        self.unseen.on_event(event);
        let is_shown = |seq| self.branches.path().contains(seq);
        if let Some(told) = self.marks.on_event(event, &self.transcript, is_shown) {
            self.toast = Some((NoticeLevel::Info, told.into()));
        }
        self.show_wanted_event();
        if let Some((code, text)) = change {
            self.transcript.notice(*at, NoticeLevel::Info, code, &text);
        }
        if let AgentEvent::TurnFinished { outcome: TurnOutcome::Interrupted | TurnOutcome::Failed(_), .. } = event
            && self.session.capabilities().prompt
        {
            self.transcript.notice(*at, NoticeLevel::Info, NoticeCode::RetryOffer, "/retry sends the prompt again");
        }
        if let Some(prompt) = self.unanswered_prompts.on_event(event) {
            fx.push(Effect::Composer(ComposerEdit::RestoreUnanswered(prompt.text)));
            self.person_runs.offer_again(prompt.outputs);
        }
        self.session.set_waiting(self.tool_calls.pending().next().is_some());
        let tools = &self.tool_calls;
        let left = self.focus.close_resolved(|call| tools.is_pending(call));
        fx.extend(ComposerEdit::insert(left));
        fx.extend(Notification::of_event(self, event).map(Effect::Notify));
    }

    /// A fact of another branch: it counts for what the session used, and nothing else.
    fn fold_elsewhere(&mut self, at: Millis, event: &AgentEvent) {
        if self.branches.left_meters.is_none() {
            self.branches.left_meters = Some(self.usage.path_meters());
        }
        self.usage.on_event(at, event);
        self.usage_ledger.on_event(event, &self.usage);
        self.session.on_elsewhere(at, event);
    }

    /// Says where branches begin in the facts to come, as far as that is known, and which path is chosen, if not the
    /// newest.
    pub fn expect_branches(&mut self, starts: BranchStarts, chosen: Option<BranchPath>) {
        self.branches.expect(starts, chosen);
    }

    /// Forgets what facts said, for they come again and another branch is shown. What the person does stays.
    fn begin_anew(&mut self, fx: &mut Vec<Effect>) {
        let wanted = self.marks.wanted();
        self.forget_facts(fx);
        if let Some(wanted) = wanted {
            self.marks.go_to(wanted);
        }
    }

    /// Returns whether there is a prompt to go back to now.
    pub fn can_rewind(&self) -> bool {
        self.session.capabilities().branch && self.session.phase.is_idle() && self.branches.tree().head().is_some()
    }

    fn fold_items(&mut self, at: Millis, event: &AgentEvent) {
        if let Some(parent) = self.fold_sub_agent(at, event) {
            return self.fold_call_of_sub_agent(at, event, &parent);
        }
        let item = event.call().and_then(|call| self.tool_calls.get(call)).map(|call| call.item);
        self.transcript.on_event(at, event, item, &self.usage);
        self.tool_calls.on_event(at, event, &self.transcript);
    }

    /// The call board has the calls of sub-agents as well; each stands on the card of the call that started its agent.
    fn fold_call_of_sub_agent(&mut self, at: Millis, event: &AgentEvent, parent: &CallId) {
        self.tool_calls.on_event(at, event, &self.transcript);
        let Some(item) = self.tool_calls.get(parent).map(|call| call.item) else { return };
        if let AgentEvent::ToolCallStarted { call, .. } = event {
            self.tool_calls.set_item(call, item);
        }
        self.transcript.touch_item(item);
    }

    /// Opens the oldest ask that waits, unless something else is open.
    fn open_next_approval(&mut self) {
        if !self.focus.overlays.is_empty() || !self.session.capabilities().decide {
            return;
        }
        let next = self.tool_calls.pending().find(|call| !self.focus.was_answered(&call.id));
        if let Some(call) = next {
            self.focus.push_approval(&call.id);
        }
    }

    /// Nothing more will be told: what was under way ends here, and nothing can be asked or answered.
    fn on_session_end(&mut self, fx: &mut Vec<Effect>) {
        let at = self.session.now;
        if let Phase::Working { turn, .. } | Phase::WaitingApproval { turn, .. } = &self.session.phase {
            let event = AgentEvent::TurnFinished { turn: turn.clone(), outcome: TurnOutcome::Interrupted };
            self.fold_items(at, &event);
            self.session.on_event(at, &event);
        }
        let left = self.focus.close_resolved(|_| false);
        fx.extend(ComposerEdit::insert(left));
        self.session.is_over = true;
        self.unseen.on_session_end();
        match &self.session.status.link {
            LinkState::Lost(Some(fault)) => {
                let text = format!("the session has ended: {}", fault.message);
                self.transcript.notice(at, NoticeLevel::Error, NoticeCode::SessionEnded, &text);
                let told = Notification::new(NotificationKind::Error, "The session has ended", &fault.message);
                fx.push(Effect::Notify(told));
            }
            _ => self.toast = Some((NoticeLevel::Info, "the session has ended".into())),
        }
    }

    fn reset(&mut self, fx: &mut Vec<Effect>) {
        self.unanswered_prompts = UnansweredPrompts::default();
        if self.person_runs.is_running() {
            fx.push(Effect::StopCommand);
        }
        self.person_runs = PersonRuns::default();
        self.forget_facts(fx);
    }

    fn forget_facts(&mut self, fx: &mut Vec<Effect>) {
        self.transcript.reset();
        self.tool_calls = self.tool_calls.emptied();
        self.usage = UsageStats::default();
        self.usage_ledger = UsageLedger::default();
        self.agent_status = AgentStatus::default();
        self.plan.reset();
        self.sub_agents = SubAgents::default();
        self.session.reset();
        self.unseen.reset();
        self.marks = Marks::default();
        self.branches.restart();
        let left = self.focus.close_resolved(|_| false);
        fx.extend(ComposerEdit::insert(left));
        self.history_progress = None;
        self.last_seq = Seq(0);
    }
}

/// Returns whether a prompt is folded unless the person wants it otherwise: most of it was pasted.
pub fn is_long_prompt(text: &str) -> bool {
    text.len() > LONG_PROMPT_BYTES
        || memchr::memchr_iter(b'\n', text.trim_end().as_bytes()).count() >= LONG_PROMPT_LINES
}

#[cfg(test)]
mod tests;
