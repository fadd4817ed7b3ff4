//! Asks, permissions and modes: what answers, what is only selected, what asks once.

use super::*;
use crate::event::{DecidedBy, Grant, PermissionRule, Permissions, RuleKind, UndeliveredCommand};
use crate::store::approval::ApprovalChoice;
use crate::store::overlay::approval::ApprovalInput;
use crate::store::overlay::modes::ModeList;
use crate::store::permissions;
use crate::testkit::events::turn_started;

#[test]
fn an_ask_opens_over_an_empty_composer_and_takes_no_answer_at_first() {
    let mut session = StoreSession::live();
    session.ask(1000, "c1");
    assert_eq!(session.shown(), Some("c1"));
    assert!(matches!(session.fx[..], [Effect::Notify(_)]), "{:?}", session.fx);
    session.tick(1500);
    session.act(Action::Choose(ApprovalChoice::Once));
    assert_eq!(session.act(Action::OverlayAccept), [], "nobody has seen it yet");
    session.drawn();
    session.tick(1849);
    assert_eq!(session.act(Action::OverlayAccept), []);
    session.tick(1850);
    assert_eq!(session.act(Action::OverlayAccept), decide("c1", Decision::Once));
    assert_eq!(session.shown(), None);
    assert_eq!(session.act(Action::OverlayAccept), [], "the first answer is the only one");
}

#[test]
fn each_key_starts_the_guard_again() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    session.drawn();
    session.act(Action::Choose(ApprovalChoice::Session));
    for now in [1000, 1300, 1600] {
        session.tick(now);
        session.store.update(Msg::KeyPressed(Millis(now)), &mut session.fx);
        session.tick(now + 349);
        assert_eq!(session.act(Action::OverlayAccept), []);
        assert_eq!(session.act(Action::CloseOverlay), [], "Esc is under the same guard");
    }
    session.tick(1950);
    assert_eq!(session.act(Action::OverlayAccept), decide("c1", Decision::Session));
}

#[test]
fn enter_answers_nothing_that_was_not_selected() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    session.drawn();
    session.tick(9000);
    assert_eq!(session.act(Action::OverlayAccept), []);
    assert_eq!(session.shown(), Some("c1"));
    session.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    session.act(Action::OverlayBackspace);
    assert_eq!(session.act(Action::OverlayAccept), []);
}

#[test]
fn arrows_go_round_the_answers_there_are() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    let mut down = || {
        session.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
        session.store.focus.top_as::<ApprovalDialog>().and_then(|ask| ask.selected)
    };
    let seen: Vec<_> = (0..7).filter_map(|_| down()).collect();
    assert_eq!(seen[..6], ApprovalChoice::all_for(&ask()));
    assert_eq!(seen[6], ApprovalChoice::Once);
    session.act(Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 });
    assert_eq!(
        session.store.focus.top_as::<ApprovalDialog>().and_then(|ask| ask.selected),
        Some(ApprovalChoice::ShowAll)
    );
}

#[test]
fn an_ask_waits_while_the_composer_holds_text() {
    let mut session = StoreSession::live();
    session.is_writing = true;
    session.ask(1000, "c1");
    assert_eq!((session.shown(), session.store.hidden_approval_count()), (None, 1));
    session.act(Action::OpenApproval);
    assert_eq!((session.shown(), session.store.hidden_approval_count()), (Some("c1"), 0));
}

#[test]
fn the_next_ask_opens_with_a_guard_and_a_choice_of_its_own() {
    let mut session = StoreSession::live();
    session.ask(1000, "c1");
    session.ask(1000, "c2");
    session.drawn();
    session.tick(2000);
    session.act(Action::Choose(ApprovalChoice::Once));
    assert_eq!(session.act(Action::OverlayAccept), decide("c1", Decision::Once));
    assert_eq!(session.shown(), Some("c2"));
    session.drawn();
    session.tick(3000);
    assert_eq!(session.act(Action::OverlayAccept), []);
    session.event(
        3100,
        AgentEvent::ApprovalResolved { call: "c2".into(), decision: Decision::Deny(None), by: DecidedBy::Remote },
    );
    assert_eq!(session.shown(), None, "somebody else was first, and an answered ask does not open again");
}

#[test]
fn what_was_typed_over_an_ask_that_somebody_else_answers_is_kept() {
    for field in [false, true] {
        let mut session = StoreSession::live();
        session.ask(0, "c1");
        session.act(Action::ApprovalTyped { c: 'd', choice: Some(ApprovalChoice::DenyWithReason), step: None });
        if field {
            session.drawn();
            session.tick(1000);
            session.act(Action::OverlayAccept);
            session.act(Action::OverlayChar('n'));
        }
        session.event(
            1100,
            AgentEvent::ApprovalResolved { call: "c1".into(), decision: Decision::Once, by: DecidedBy::Remote },
        );
        let typed = if field { "n" } else { "d" };
        assert_eq!(session.fx, [Effect::Composer(ComposerEdit::Insert(typed.into()))]);
    }
}

#[test]
fn an_answer_that_did_not_arrive_can_be_given_again() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    session.drawn();
    session.tick(1000);
    session.act(Action::CloseOverlay);
    assert_eq!((session.shown(), session.store.hidden_approval_count()), (None, 0));
    let why = "nothing answers".to_owned();
    let undelivered = Some(UndeliveredCommand { reason: why, ..UndeliveredCommand::default() });
    session.store.update(Msg::Status(SessionStatus { undelivered, ..SessionStatus::default() }), &mut session.fx);
    assert_eq!(session.store.hidden_approval_count(), 1);
    session.act(Action::OpenApproval);
    assert_eq!(session.shown(), Some("c1"));
}

#[test]
fn a_log_of_another_ones_session_that_was_written_anew_is_said_once() {
    let mut session = StoreSession::live();
    let weather = SessionStatus { rewritten: Some("the log was removed".into()), ..SessionStatus::default() };
    session.store.update(Msg::Status(weather.clone()), &mut session.fx);
    assert_eq!(session.store.toast.take(), Some((NoticeLevel::Warn, "the log was removed".into())));
    session.store.update(Msg::Status(weather), &mut session.fx);
    assert_eq!(session.store.toast, None);
}

#[test]
fn a_denial_may_have_a_reason() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    session.drawn();
    session.tick(1000);
    session.act(Action::Choose(ApprovalChoice::DenyWithReason));
    session.act(Action::OverlayAccept);
    session.drawn();
    for c in "nox".chars() {
        session.act(Action::OverlayChar(c));
    }
    session.act(Action::OverlayBackspace);
    session.act(Action::Choose(ApprovalChoice::Once));
    assert_eq!(session.act(Action::OverlayAccept), [], "the field was only just drawn");
    session.tick(1350);
    assert_eq!(session.act(Action::OverlayAccept), decide("c1", Decision::Deny(Some("no".into()))));
}

#[test]
fn a_wrong_pattern_is_told_in_the_field_and_the_ask_stays() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    session.drawn();
    session.tick(1000);
    session.act(Action::Choose(ApprovalChoice::Pattern));
    session.act(Action::OverlayAccept);
    session.act(Action::CloseOverlay);
    assert_eq!(session.store.focus.top_as::<ApprovalDialog>().map(|a| a.input), Some(ApprovalInput::Choosing));
    session.drawn();
    session.tick(2000);
    session.act(Action::OverlayAccept);
    session.drawn();
    session.tick(3000);
    for (edit, wrong) in [
        ("write 120", "`shell(git status*)write 120`: the last `)` is missing"),
        ("", "`shell(git pull*)` would not allow this very call: git status"),
    ] {
        if edit.is_empty() {
            session.act(Action::OverlayClear);
            "shell(git pull*)".chars().for_each(|c| drop(session.act(Action::OverlayChar(c))));
        }
        edit.chars().for_each(|c| drop(session.act(Action::OverlayChar(c))));
        assert_eq!(session.act(Action::OverlayAccept), []);
        let told = session.store.focus.top_as::<ApprovalDialog>().and_then(|ask| ask.feedback.clone());
        assert_eq!(told.as_deref(), Some(wrong));
    }
    session.act(Action::OverlayClear);
    "shell(git s*)".chars().for_each(|c| drop(session.act(Action::OverlayChar(c))));
    assert_eq!(session.act(Action::OverlayAccept), decide("c1", Decision::Pattern("shell(git s*)".into())));
}

#[test]
fn the_mode_that_never_asks_is_confirmed_once_a_session() {
    let set = |mode| [Effect::Send(Command::SetMode { mode })];
    let mut session = StoreSession::live();
    assert_eq!(session.act(Action::Submit("/mode full".into())), []);
    assert_eq!(session.act(Action::OverlayAccept), [], "staying is what is selected");
    assert_eq!(session.store.focus.top(), None);
    session.act(Action::Submit("/mode".into()));
    assert_eq!(session.store.focus.top_as(), Some(&ModeList { selected: 0, full_mode_confirm: None }));
    session.act(Action::OverlayChar('f'));
    assert_eq!(session.act(Action::OverlayAccept), []);
    session.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    assert_eq!(session.act(Action::OverlayAccept), set(ApprovalMode::Full));
    assert_eq!(session.act(Action::SetMode(ApprovalMode::Ask)), set(ApprovalMode::Ask));
    assert_eq!(session.act(Action::SetMode(ApprovalMode::Full)), set(ApprovalMode::Full), "it was confirmed before");
}

#[test]
fn no_single_key_leads_to_the_mode_that_never_asks() {
    let mut session = StoreSession::live();
    let caps = session.store.session.capabilities();
    for (at, from) in (1..).zip(ApprovalMode::ALL) {
        session.event(at, opened(from, "small", caps));
        let [Effect::Send(Command::SetMode { mode })] = session.act(Action::CycleMode)[..] else { panic!("{from:?}") };
        assert_ne!(mode, ApprovalMode::Full);
    }
}

#[test]
fn the_mode_key_answers_no_ask_that_waits() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    session.is_writing = true;
    assert_eq!(session.act(Action::CycleMode), []);
    assert_eq!(session.store.focus.top_as(), Some(&ModeList { selected: 1, full_mode_confirm: None }));
}

#[test]
fn grants_are_listed_with_the_rules_and_can_be_taken_back() {
    let mut session = StoreSession::live();
    let grant = |tool: &str, glob: Option<&str>, by, uses| Grant {
        tool: tool.into(),
        glob: glob.map(Into::into),
        by,
        from_earlier_run: false,
        uses,
    };
    let permissions = Permissions {
        rules: vec![PermissionRule {
            kind: RuleKind::Deny,
            pattern: "shell(rm *)".into(),
            origin: "config.toml:12".into(),
            uses: 1,
        }],
        grants: vec![
            grant("shell", None, DecidedBy::Person, 3),
            grant("fetch", Some("https://docs.rs/*"), DecidedBy::Remote, 0),
        ],
    };
    let weather = SessionStatus { permissions: Some(permissions), ..SessionStatus::default() };
    session.store.update(Msg::Status(weather), &mut session.fx);
    let told: Vec<String> = permissions::entries(&session.store)
        .iter()
        .map(|entry| {
            format!("{} {} | {} | {} | {:?}", entry.is_allowed, entry.subject, entry.scope, entry.origin, entry.uses)
        })
        .collect();
    assert_eq!(
        told,
        [
            "true shell | every call, this session | you | Some(3)",
            "true fetch(https://docs.rs/*) | matches, this session | a client | Some(0)",
            "false shell(rm *) | always | config.toml:12 | Some(1)",
            "true reading in the working folder | always | built in | None",
        ]
    );
    session.act(Action::Submit("/permissions".into()));
    session.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    let revoke = |pattern: &str| [Effect::Send(Command::RevokeGrant { pattern: pattern.into() })];
    assert_eq!(session.act(Action::RevokeGrant), revoke("fetch(https://docs.rs/*)"));
    session.act(Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
    assert_eq!(session.act(Action::RevokeGrant), [], "a rule is no grant");
}

#[test]
fn closing_an_ask_denies_it() {
    let mut session = StoreSession::live();
    session.ask(0, "c1");
    session.drawn();
    session.tick(1000);
    assert_eq!(session.act(Action::CloseOverlay), decide("c1", Decision::Deny(None)));
}

#[test]
fn an_ask_of_a_session_that_is_lost_goes_and_says_why() {
    let mut session = StoreSession::live();
    session.event(0, turn_started("t1"));
    session.ask(0, "c1");
    session.drawn();
    let gone = Fault::new(FaultKind::BadRequest, "no such session");
    let link = LinkState::Lost(Some(gone));
    session.store.update(Msg::Status(SessionStatus { link, ..SessionStatus::default() }), &mut session.fx);
    session.store.update(Msg::SessionEnded, &mut session.fx);
    assert_eq!((session.shown(), session.store.hidden_approval_count()), (None, 0));
    assert!(session.store.session.phase.is_idle());
    let last = session.store.transcript.items().last().map(|item| item.kind);
    assert!(
        matches!(last, Some(ItemKind::Notice { text, .. }) if text == "the session has ended: no such session"),
        "{last:?}"
    );
    let call = session.store.tool_calls.calls().iter().next().unwrap();
    assert!(!call.state.is_open(), "{:?}", call.state);
}
