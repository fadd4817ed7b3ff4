use super::action::{Action, ScrollStep};
use super::effect::MentioningPrompt;
use super::models::ModelChoice;
use super::msg::Report;
use super::notification::NotificationKind;
use super::overlay::models::ModelPicker;
use super::pane::Pane;
use super::*;
use crate::event::{
    AgentOption, AgentOptionKind, AgentOptionValue, ApprovalMode, ApprovalRequest, Capabilities, Command, Decision,
    Fault, FaultKind, LoopRange, Millis, NoticeCode, PromptContext, PromptContextKind, QueuedPrompt, ReplayStatus,
    SessionStatus,
};
use crate::testkit::events::{Opened, call_ready, shell_approval, turn_finished, turn_started, user_message};

mod approvals;

struct StoreSession {
    store: Store,
    fx: Vec<Effect>,
    seq: u64,
    /// Something is being written.
    is_writing: bool,
}

impl StoreSession {
    fn live() -> Self {
        Self::with(Capabilities { prompt: true, decide: true, cancel: true, ..Capabilities::default() })
    }

    fn with(caps: Capabilities) -> Self {
        let mut session =
            Self { store: Store::new(StoreOptions::default()), fx: Vec::new(), seq: 0, is_writing: false };
        session.event(0, opened(ApprovalMode::Ask, "small", caps));
        session
    }

    fn event(&mut self, at: u64, event: AgentEvent) {
        self.seq += 1;
        let envelope = Envelope { seq: Seq(self.seq), at: Millis(at), event };
        self.store.update(Msg::Event(envelope), &mut self.fx);
        // Only asks are looked at here.
        self.fx.retain(|fx| !matches!(fx, Effect::Notify(told) if told.kind != NotificationKind::Approval));
        self.offer();
    }

    /// What whoever has the composer says after each change.
    fn offer(&mut self) {
        self.is_writing |= self.fx.iter().any(|effect| matches!(effect, Effect::Composer(_)));
        if !self.is_writing {
            self.store.update(Msg::OfferApproval, &mut self.fx);
        }
    }

    fn ask(&mut self, at: u64, call: &str) {
        let args = "{}".to_owned();
        self.event(
            at,
            AgentEvent::ToolCallReady { call: call.into(), name: "shell".into(), args, provider_metadata: None },
        );
        self.event(at, AgentEvent::ApprovalRequested { call: call.into(), request: ask() });
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        self.fx.clear();
        self.store.update(Msg::Action(action), &mut self.fx);
        self.offer();
        self.fx.clone()
    }

    fn tick(&mut self, now: u64) {
        self.store.update(Msg::Tick(Millis(now)), &mut self.fx);
    }

    /// What the view says after a frame.
    fn drawn(&mut self) {
        self.store.update(Msg::ApprovalShown, &mut self.fx);
    }

    fn shown(&self) -> Option<&str> {
        self.store.focus.top_as::<ApprovalDialog>().map(|approval| approval.call.as_str())
    }
}

fn restored(text: &str) -> Effect {
    Effect::Composer(ComposerEdit::Restore(text.into()))
}

fn opened(mode: ApprovalMode, model: &str, caps: Capabilities) -> AgentEvent {
    Opened {
        wall_ms: 5,
        model,
        engine_reason: "nothing else found",
        mode,
        folder: "/w",
        capabilities: caps,
        ..Opened::default()
    }
    .event()
}

fn ask() -> ApprovalRequest {
    ApprovalRequest {
        detail: "git status".into(),
        folder: "/w".into(),
        pattern: Some("shell(git status*)".into()),
        ..shell_approval("git status")
    }
}

fn decide(call: &str, decision: Decision) -> Vec<Effect> {
    vec![Effect::Send(Command::Decide { call: call.into(), decision })]
}

#[test]
fn an_event_seen_before_is_ignored() {
    let mut session = StoreSession::live();
    session.event(1, user_message("m1", "hi"));
    let before = session.store.clone();
    session.seq -= 1;
    session.event(9, user_message("m1", "hi"));
    assert_eq!(session.store, before);
}

#[test]
fn unknown_events_are_counted() {
    let mut session = StoreSession::live();
    session.event(1, AgentEvent::Unknown(serde_json::json!({"type": "branch_chosen"})));
    assert_eq!((session.store.session.unknown_events, session.store.last_seq()), (1, Seq(2)));
}

#[test]
fn a_switch_of_model_or_mode_is_told_in_the_transcript() {
    let mut session = StoreSession::live();
    let caps = session.store.session.capabilities();
    session.event(1, opened(ApprovalMode::Ask, "large", caps));
    session.event(2, opened(ApprovalMode::Plan, "large", caps));
    session.event(3, opened(ApprovalMode::Full, "large", caps));
    let told: Vec<_> = session
        .store
        .transcript
        .items()
        .iter()
        .map(|item| match item.kind {
            ItemKind::Notice { code, text, count, .. } => (code, text, count),
            _ => panic!("a notice"),
        })
        .collect();
    assert_eq!(
        told,
        [
            (&NoticeCode::Model, "the model is now offline/large (nothing else found)", 1),
            (&NoticeCode::Mode, "the mode is now full", 2)
        ]
    );
}

#[test]
fn submitted_texts_are_sent_and_commands_are_not() {
    let mut session = StoreSession::live();
    let prompt = |text: &str| vec![Effect::Send(Command::prompt(text))];
    assert_eq!(session.act(Action::Submit("hello".into())), prompt("hello"));
    assert_eq!(session.act(Action::Submit("//etc".into())), prompt("/etc"));
    assert_eq!(session.act(Action::Submit("  \n".into())), []);
    assert_eq!(session.act(Action::Submit("/new".into())), [Effect::NewSession]);
    assert_eq!(session.act(Action::Submit("/quit".into())), [Effect::Quit]);
    let mode = Effect::Send(Command::SetMode { mode: ApprovalMode::Plan });
    assert_eq!(session.act(Action::Submit("/mode plan".into())), [mode]);
    assert_eq!(session.act(Action::Submit("/modle".into())), [restored("/modle")]);
    let why = "unknown command /modle; did you mean /mode? (start with // to send it as text)";
    assert_eq!(session.store.toast, Some((NoticeLevel::Warn, why.into())));
}

#[test]
fn a_prompt_that_mentions_files_waits_for_them_and_comes_back_where_one_cannot_be_read() {
    let mut session = StoreSession::live();
    let part = PromptContext { kind: PromptContextKind::File, name: "a.rs".into(), text: "fn a() {}".into() };
    let prompt = MentioningPrompt { typed: "what is @a.rs?".into(), text: "what is @a.rs?".into(), steers: false };
    let read = |session: &mut StoreSession, problems: &[&str]| {
        let problems = problems.iter().map(|why| (*why).to_owned()).collect();
        let report = Report::PromptContext { prompt: prompt.clone(), context: vec![part.clone()], problems };
        session.fx.clear();
        session.store.update(Msg::Report(report), &mut session.fx);
        session.fx.clone()
    };
    let sent =
        [Effect::Send(Command::Prompt { text: "what is @a.rs?".into(), context: vec![part.clone()], author: None })];
    assert_eq!(session.act(Action::Submit(prompt.typed.clone())), [Effect::ReadMentions(prompt.clone())]);
    assert_eq!(read(&mut session, &[]), sent);

    assert_eq!(read(&mut session, &["@b.rs: no such file or folder"]), [restored(&prompt.typed)]);
    let why = "not sent: @b.rs: no such file or folder; send it again to send it without";
    assert_eq!(session.store.toast, Some((NoticeLevel::Warn, why.into())));
    assert_eq!(read(&mut session, &["@b.rs: no such file or folder"]), sent, "it is sent again");
    assert_eq!(read(&mut session, &["@b.rs: no such file or folder"]), [restored(&prompt.typed)], "but only once");
}

#[test]
fn what_went_with_a_prompt_is_told_below_it() {
    let mut session = StoreSession::live();
    session.event(1, turn_started("t1"));
    let part = |kind, name: &str| PromptContext { kind, name: name.into(), text: "x".repeat(2000) };
    let context = vec![part(PromptContextKind::File, "a.rs, line 3"), part(PromptContextKind::Folder, "src")];
    for event in crate::event::user_message("u".into(), "what is @a.rs:3 in @src?", context) {
        session.event(2, event);
    }
    let items = session.store.transcript.items();
    let told = items.iter().last().map(|item| match item.kind {
        ItemKind::Notice { text, .. } => text.to_owned(),
        _ => String::new(),
    });
    assert_eq!(told.as_deref(), Some("with a.rs, line 3 (2.0 kB) · the listing of src (2.0 kB)"));
    assert!(items.iter().any(|item| item.kind == ItemKind::Prompt { text: "what is @a.rs:3 in @src?" }));
}

#[test]
fn a_session_to_watch_keeps_the_prompt_in_the_composer() {
    let mut session = StoreSession::with(Capabilities { seek: true, ..Capabilities::default() });
    assert_eq!(session.act(Action::Submit("hello".into())), [restored("hello")]);
}

#[test]
fn cycling_twice_before_the_answer_goes_on_from_the_request() {
    let mut session = StoreSession::live();
    session.act(Action::CycleMode);
    assert_eq!(session.act(Action::CycleMode), [Effect::Send(Command::SetMode { mode: ApprovalMode::Plan })]);
}

#[test]
fn cancel_is_acknowledged_at_once_and_only_while_working() {
    let mut session = StoreSession::live();
    assert_eq!(session.act(Action::Cancel), []);
    session.event(1, turn_started("t"));
    assert_eq!(session.act(Action::Cancel), [Effect::Send(Command::Cancel)]);
    assert!(session.store.session.cancelling && session.store.wants_ticks());
    session.event(2, turn_finished("t", TurnOutcome::Cancelled));
    assert!(!session.store.session.cancelling && !session.store.wants_ticks());
}

#[test]
fn nothing_ticks_while_only_a_person_is_waited_for() {
    let mut session = StoreSession::live();
    session.event(1000, turn_started("t"));
    session.ask(1000, "c1");
    session.drawn();
    assert!(session.store.wants_ticks(), "the guard runs");
    session.tick(1400);
    assert!(!session.store.wants_ticks());
    let ready = call_ready("c2", "clock", "{}");
    session.event(1500, ready);
    assert!(session.store.wants_ticks(), "another call runs");
}

#[test]
fn the_newest_queued_prompt_comes_back() {
    let mut session = StoreSession::live();
    let queue = vec![QueuedPrompt::new(1, "one"), QueuedPrompt::new(2, "two")];
    let status = SessionStatus { queue, ..SessionStatus::default() };
    session.store.update(Msg::Status(status.clone()), &mut session.fx);
    let dequeue = |id| Effect::Send(Command::DequeuePrompt { id });
    assert_eq!(session.act(Action::DequeuePrompt(None)), [restored("two"), dequeue(2)]);
    assert_eq!(session.act(Action::DequeuePrompt(None)), [restored("one"), dequeue(1)]);
    assert_eq!(session.act(Action::DequeuePrompt(None)), []);
    assert_eq!((session.store.session.queue(), &session.store.session.status), (&[][..], &status));
}

#[test]
fn a_queued_prompt_comes_back_by_its_number() {
    let mut session = StoreSession::live();
    let queued = |id, text: &str| QueuedPrompt::new(id, text);
    let queue = vec![queued(7, "one"), queued(8, "two"), queued(9, "three")];
    session.store.update(Msg::Status(SessionStatus { queue, ..SessionStatus::default() }), &mut session.fx);
    let dequeue = |id| Effect::Send(Command::DequeuePrompt { id });
    assert_eq!(session.act(Action::DequeuePrompt(Some(1))), [restored("one"), dequeue(7)]);
    assert_eq!(session.store.session.queue(), [queued(8, "two"), queued(9, "three")]);
    assert_eq!(session.act(Action::DequeuePrompt(Some(3))), []);
    assert_eq!(session.store.toast.as_ref().unwrap().1, "no prompt 3 in the queue; 2 wait");
    assert_eq!(session.act(Action::DequeuePrompt(Some(0))), []);
    assert_eq!(session.act(Action::DequeuePrompt(Some(2))), [restored("three"), dequeue(9)]);
}

#[test]
fn a_pending_change_is_shown_until_the_next_status_and_never_written_into_it() {
    let mut session = StoreSession::with(Capabilities { seek: true, ..Capabilities::default() });
    let replay = ReplayStatus {
        paused: false,
        speed: 1.0,
        position: Millis(0),
        length: Millis(9),
        turn: 0,
        turns: 1,
        max_idle: None,
        looped: LoopRange::default(),
    };
    let queue = vec![QueuedPrompt::new(1, "one")];
    let status = SessionStatus { replay: Some(replay), queue, ..SessionStatus::default() };
    session.store.update(Msg::Status(status.clone()), &mut session.fx);
    session.act(Action::Faster);
    session.act(Action::Faster);
    session.act(Action::DequeuePrompt(None));
    let state = &session.store.session;
    assert_eq!((state.replay().map(|replay| replay.speed), state.queue().len()), (Some(4.0), 0));
    assert_eq!(state.status, status);
    session.store.update(Msg::Status(status.clone()), &mut session.fx);
    let state = &session.store.session;
    assert_eq!((state.replay(), state.queue()), (Some(replay), &status.queue[..]), "the source did nothing of it");
}

#[test]
fn a_replayed_ask_is_history() {
    let mut session = StoreSession::with(Capabilities { seek: true, ..Capabilities::default() });
    session.event(0, turn_started("t"));
    session.ask(0, "c1");
    assert_eq!((session.shown(), session.store.hidden_approval_count(), session.fx.len()), (None, 0, 0));
    assert_eq!(session.store.session.phase, Phase::WaitingApproval { turn: "t".into(), since: Millis(0) });
}

#[test]
fn models_are_listed_filtered_and_chosen() {
    let mut session = StoreSession::live();
    assert_eq!(session.act(Action::OpenModels), [Effect::ListModels]);
    let model = |name: &str| ModelChoice::new(name, "8k");
    let models = vec![model("ollama/qwen3"), model("ollama/llama"), model("openai/gpt")];
    session.store.update(Msg::Report(Report::Models(models)), &mut session.fx);
    for c in "OLL".chars() {
        session.act(Action::OverlayChar(c));
    }
    for _ in 0..5 {
        session.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    }
    assert_eq!(
        session.store.focus.top_as(),
        Some(&ModelPicker { query: "OLL".into(), selected: 1, is_unknown_name: false })
    );
    let chosen = Effect::Send(Command::SetModel { model: "ollama/llama".into() });
    assert_eq!(session.act(Action::OverlayAccept), [chosen]);
    assert_eq!(session.store.focus.top(), None);
}

/// An agent with two models, an effort and two modes of its own.
fn agent_options() -> SessionStatus {
    let option = |id: &str, name: &str, kind, values: &[&str]| AgentOption {
        id: id.into(),
        name: name.into(),
        kind,
        current: values[0].into(),
        values: values
            .iter()
            .map(|value| AgentOptionValue { value: (*value).into(), name: (*value).into(), description: "d".into() })
            .collect(),
    };
    let options = vec![
        option("model", "Model", AgentOptionKind::Model, &["m/one", "m/two"]),
        option("effort", "Effort", AgentOptionKind::Effort, &["low", "high"]),
        option("mode", "Mode", AgentOptionKind::Mode, &["build", "research"]),
    ];
    SessionStatus { options, ..SessionStatus::default() }
}

#[test]
fn what_an_agent_lets_set_is_in_the_lists_and_found_by_name() {
    let mut session = StoreSession::live();
    session.store.update(Msg::Status(agent_options()), &mut session.fx);
    session.act(Action::OpenModels);
    let engine = session.store.session.opened.as_ref().unwrap().engine.clone();
    let listed = session.store.session.models.clone().unwrap();
    let names: Vec<_> = listed.iter().map(|model| (model.name.as_str(), model.is_current)).collect();
    let (one, two) = (format!("{engine}/m/one"), format!("{engine}/m/two"));
    assert_eq!(names, [(&*one, true), (&*two, false), ("Effort: low", true), ("Effort: high", false)]);
    session.store.update(Msg::Report(Report::Models(Vec::new())), &mut session.fx);
    assert_eq!(session.store.session.models.as_ref(), Some(&listed), "nobody else knows of models");
    session.act(Action::ScrollOverlay { step: ScrollStep::Forward(3), end: 0 });
    let set =
        |option: &str, value: &str| [Effect::Send(Command::SetOption { option: option.into(), value: value.into() })];
    assert_eq!(session.act(Action::OverlayAccept), set("effort", "high"));
    session.act(Action::OpenModes);
    session.act(Action::ScrollOverlay { step: ScrollStep::Forward(usize::MAX), end: 0 });
    assert_eq!(session.act(Action::OverlayAccept), set("mode", "research"));
    session.act(Action::OpenEfforts);
    session.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    assert_eq!(session.act(Action::OverlayAccept), set("effort", "high"));
    assert_eq!(session.act(Action::Submit("/effort LOW".into())), set("effort", "low"));
    assert_eq!(session.act(Action::Submit("/effort never".into())), [restored("/effort never")]);
    assert_eq!(session.act(Action::Submit("/mode Research".into())), set("mode", "research"));
    assert_eq!(session.act(Action::Submit("/mode high".into())), set("effort", "high"));
    assert_eq!(session.act(Action::Submit("/mode never".into())), [restored("/mode never")]);
    let why = "unknown mode never; use ask, auto-edit, plan, full, build or research";
    assert_eq!(session.store.toast, Some((NoticeLevel::Warn, why.into())));
}

#[test]
fn replay_commands_need_a_replay() {
    let mut session = StoreSession::live();
    assert_eq!(session.act(Action::Pause), []);
    assert_eq!(session.store.toast, Some((NoticeLevel::Info, "this is not a replay".into())));

    let mut session = StoreSession::with(Capabilities { seek: true, ..Capabilities::default() });
    let replay = ReplayStatus {
        paused: true,
        speed: 40.0,
        position: Millis(5),
        length: Millis(10),
        turn: 1,
        turns: 2,
        max_idle: Some(Millis(1000)),
        looped: LoopRange::default(),
    };
    session
        .store
        .update(Msg::Status(SessionStatus { replay: Some(replay), ..SessionStatus::default() }), &mut session.fx);
    assert_eq!(session.act(Action::Pause), [Effect::Send(Command::SetPaused { paused: false })]);
    assert_eq!(session.act(Action::Faster), [Effect::Send(Command::SetSpeed { factor: 64.0 })]);
    let off = Effect::Send(Command::CapIdle { max: None });
    assert_eq!(session.act(Action::CapIdle(Some(Millis(1000)))), [off]);
}

#[test]
fn folding_one_item_outlives_the_general_setting() {
    let mut session = StoreSession::live();
    session.event(0, AgentEvent::ReasoningDelta { message: "m".into(), text: "hm".into() });
    let first = |session: &StoreSession| {
        let item = session.store.transcript.items().first().unwrap();
        (item.id, item.folded, item.rev, session.store.is_folded(item))
    };
    let (id, ..) = first(&session);
    assert_eq!(first(&session), (id, None, 0, true));
    session.act(Action::ToggleFold(id.0));
    assert_eq!(first(&session), (id, Some(false), 1, false));
    session.act(Action::ToggleThinking);
    session.act(Action::ToggleThinking);
    assert_eq!(first(&session), (id, Some(false), 1, false));
}

#[test]
fn a_reset_forgets_events_and_keeps_the_persons_place() {
    let mut session = StoreSession::live();
    session.event(1, user_message("m1", "hi"));
    let (epoch, old) = (session.store.transcript.epoch(), session.store.transcript.items().first().unwrap().id);
    session.act(Action::Focus(Pane::Transcript));
    session.store.update(Msg::Reset, &mut session.fx);
    assert!(session.store.transcript.items().is_empty());
    assert_ne!(session.store.transcript.epoch(), epoch);
    session.seq = 0;
    session.event(1, user_message("m1", "hi"));
    assert!(session.store.transcript.items().first().unwrap().id > old);
    assert_eq!(session.store.transcript.item(old), None);
    assert_eq!(session.store.focus.pane, Pane::Transcript);
}

#[test]
fn a_failed_effect_is_told() {
    let mut session = StoreSession::live();
    let report = Report::Failed { what: "list models".into(), why: "nobody answers".into() };
    session.store.update(Msg::Report(report), &mut session.fx);
    assert_eq!(session.store.toast, Some((NoticeLevel::Error, "list models: nobody answers".into())));
}

#[test]
fn a_broken_answer_can_be_asked_for_again_by_the_person_only() {
    let mut session = StoreSession::live();
    assert_eq!(session.act(Action::Retry), [], "no prompt to send again");
    session.event(1, turn_started("t1"));
    session.event(1, user_message("m1", "do it"));
    assert_eq!(session.act(Action::Retry), [], "it is still being answered");
    session.event(2, turn_finished("t1", TurnOutcome::Interrupted));
    assert!(session.fx.is_empty(), "nothing is sent by itself");
    assert!(offers(&session.store));
    let again = [Effect::Send(Command::prompt("do it"))];
    assert_eq!(session.act(Action::Retry), again);
    assert_eq!(session.act(Action::Submit("/retry".into())), again);
    let mut watching = StoreSession::with(Capabilities::default());
    watching.event(1, turn_started("t1"));
    watching.event(2, turn_finished("t1", TurnOutcome::Interrupted));
    assert!(!offers(&watching.store), "there is nobody to ask");
}

fn offers(store: &Store) -> bool {
    let items = store.transcript.items();
    items.iter().any(|item| matches!(item.kind, ItemKind::Notice { text, .. } if text.contains("/retry")))
}

#[test]
fn a_prompt_of_another_screen_comes_back_to_nobody_else() {
    let mut session = StoreSession::live();
    let fault = Fault::new(FaultKind::Auth, "no");
    session.event(1, turn_started("t1"));
    session.event(2, user_message("m1", "theirs"));
    session.event(3, turn_finished("t1", TurnOutcome::Failed(fault)));
    assert_eq!((session.fx, session.store.toast), (vec![], None));
}

#[test]
fn a_prompt_of_an_earlier_run_that_is_refused_comes_back_too() {
    let mut session = StoreSession::live();
    let queue = vec![QueuedPrompt::new(1, "old")];
    session
        .store
        .update(Msg::Status(SessionStatus { queue, queue_held: true, ..SessionStatus::default() }), &mut session.fx);
    session.act(Action::SendQueued);
    let fault = Fault::new(FaultKind::Network, "refused");
    session.event(1, turn_started("t1"));
    session.event(2, user_message("m1", "old"));
    session.event(3, turn_finished("t1", TurnOutcome::Failed(fault)));
    assert_eq!(session.fx.last(), Some(&Effect::Composer(ComposerEdit::RestoreUnanswered("old".into()))));
}

#[test]
fn a_prompt_with_an_image_comes_back_where_the_engine_takes_none() {
    let image = crate::event::PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let part = PromptContext::from_image("docs/cat.png".into(), image);
    let report = || Report::PromptContext {
        prompt: MentioningPrompt { typed: "see @docs/cat.png".into(), text: "see @docs/cat.png".into(), steers: false },
        context: vec![part.clone()],
        problems: Vec::new(),
    };
    let mut session = StoreSession::live();
    session.fx.clear();
    session.store.update(Msg::Report(report()), &mut session.fx);
    assert_eq!(session.fx, [restored("see @docs/cat.png")]);
    let told = session.store.toast.clone().map(|(_, text)| text).unwrap();
    assert!(told.starts_with("not sent: ") && told.ends_with(" takes no images"), "{told}");

    let able = Capabilities { prompt: true, images: true, ..Capabilities::default() };
    let mut session = StoreSession::with(able);
    session.fx.clear();
    session.store.update(Msg::Report(report()), &mut session.fx);
    assert!(matches!(&session.fx[..], [Effect::Send(Command::Prompt { context, .. })] if *context == [part.clone()]));
    session.event(1, turn_started("t1"));
    let file = PromptContext { kind: PromptContextKind::File, name: "a.rs".into(), text: "x".into() };
    for event in crate::event::user_message("u".into(), "see", vec![file, part]) {
        session.event(2, event);
    }
    let told: Vec<&str> = session.store.transcript.items().iter().map(|item| item.kind.text()).collect();
    assert!(told.ends_with(&["with a.rs (1 byte)", "with [image cat.png 2x3, 70 bytes]"]), "{told:?}");
}

#[test]
fn a_steer_goes_into_the_running_turn_where_the_agent_takes_it_and_is_a_prompt_elsewhere() {
    let steer = || Action::Steer("left".into());
    let prompt = Effect::Send(Command::prompt("left"));
    let able = Capabilities { prompt: true, cancel: true, steer: true, ..Capabilities::default() };
    let mut session = StoreSession::with(able);
    assert_eq!(session.act(steer()), std::slice::from_ref(&prompt), "nothing runs");
    session.event(1, turn_started("t1"));
    session.fx.clear();
    assert_eq!(session.act(steer()), [Effect::Send(Command::Steer { text: "left".into(), context: Vec::new() })]);
    assert_eq!(session.store.toast, None);
    let mut session = StoreSession::live();
    session.event(1, turn_started("t1"));
    session.fx.clear();
    assert_eq!(session.act(steer()), [prompt]);
    let told = session.store.toast.clone().map(|(_, text)| text).unwrap();
    assert!(told.ends_with(" can't be steered: the prompt is queued"), "{told}");
}

#[test]
fn an_interrupt_that_holds_the_queue_is_told() {
    let mut session = StoreSession::live();
    let queue = vec![QueuedPrompt::new(1, "two")];
    let status = |queue_held| SessionStatus { queue: queue.clone(), queue_held, ..SessionStatus::default() };
    session.store.update(Msg::Status(status(false)), &mut session.fx);
    assert_eq!(session.store.toast, None);
    session.store.update(Msg::Status(status(true)), &mut session.fx);
    let told = "the queue is held: nothing of it is sent by itself";
    assert_eq!(session.store.toast, Some((NoticeLevel::Info, told.into())));
    session.store.toast = None;
    session.store.update(Msg::Status(status(true)), &mut session.fx);
    assert_eq!(session.store.toast, None, "once");
}

#[test]
fn the_effort_rises_and_falls_by_keys_and_a_model_without_one_says_so() {
    let mut session = StoreSession::live();
    assert_eq!(session.act(Action::StepEffort { is_up: true }), []);
    assert!(session.store.toast.as_ref().is_some_and(|(_, text)| text.ends_with("is not known to take an effort")));
    session.store.update(Msg::Status(agent_options()), &mut session.fx);
    session.fx.clear();
    let set = |value: &str| [Effect::Send(Command::SetOption { option: "effort".into(), value: value.into() })];
    let mut step = |is_up: bool| session.act(Action::StepEffort { is_up });
    assert_eq!(step(true), set("high"), "from low");
    assert_eq!(step(true), set("high"), "what was asked for counts, and there is no more");
    assert_eq!(step(false), set("low"));
}

#[test]
fn a_model_left_to_itself_is_taken_to_think_moderately() {
    let values = ["default", "none", "low", "medium", "high"];
    let values = values.map(|value| AgentOptionValue { value: value.into(), ..AgentOptionValue::default() });
    let option = AgentOption {
        id: "effort".into(),
        name: "Effort".into(),
        kind: AgentOptionKind::Effort,
        current: AgentOption::DEFAULT_VALUE.into(),
        values: values.to_vec(),
    };
    for (is_up, expected) in [(true, "high"), (false, "low")] {
        let mut session = StoreSession::live();
        let status = SessionStatus { options: vec![option.clone()], ..SessionStatus::default() };
        session.store.update(Msg::Status(status), &mut session.fx);
        session.fx.clear();
        let set = Effect::Send(Command::SetOption { option: "effort".into(), value: expected.into() });
        assert_eq!(session.act(Action::StepEffort { is_up }), [set]);
    }
}

#[test]
fn a_theme_under_the_cursor_is_asked_for_and_kept_when_chosen() {
    let mut session = StoreSession::live();
    session.store.themes.current = "dark".into();
    assert_eq!(session.act(Action::OpenThemes), [Effect::ListThemes]);
    session.store.update(Msg::Report(Report::Themes(vec!["mine".into()])), &mut session.fx);
    let down = |step| Action::ScrollOverlay { step, end: 0 };
    assert_eq!(session.act(down(ScrollStep::Forward(1))), [Effect::PreviewTheme("light".into())]);
    assert_eq!(session.act(down(ScrollStep::Forward(usize::MAX))), [Effect::PreviewTheme("mine".into())]);
    assert_eq!(session.act(down(ScrollStep::Forward(1))), [], "it is shown already");
    assert_eq!(session.act(Action::OverlayAccept), [Effect::SetTheme(Some("mine".into()))]);
}
