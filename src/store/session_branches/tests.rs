use proptest::prelude::*;

use super::*;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Command, Millis};
use crate::store::Store;
use crate::store::action::Action;
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::msg::Msg;
use crate::store::overlay::branch_tree::BranchTree;
use crate::store::overlay::rewind::RewindList;
use crate::store::transcript::ItemKind;
use crate::testkit::branching::{BranchingSession, BranchingStep, steps};
use crate::testkit::events::{LIVE, Opened};

/// Gives a store facts as a screen does: where another branch is shown from one on, everything again.
fn follow(store: &mut Store, log: &[Envelope]) {
    let mut at = 0;
    while let Some(fact) = log.get(at) {
        store.update(Msg::Event(fact.clone()), &mut Vec::new());
        at += 1;
        if store.branches.is_outdated() {
            store.update(Msg::Refold, &mut Vec::new());
            at = 0;
        }
    }
}

/// What is known from the start is folded once.
fn resumed(log: &[Envelope]) -> Store {
    let mut starts = BranchStarts::default();
    for fact in log {
        let _ = starts.observe(fact.seq, &fact.event);
    }
    let mut store = Store::default();
    store.expect_branches(starts, None);
    for fact in log {
        store.update(Msg::Event(fact.clone()), &mut Vec::new());
        assert!(!store.branches.is_outdated());
    }
    store
}

fn prompts(store: &Store) -> Vec<String> {
    let prompt = |kind: ItemKind<'_>| if let ItemKind::Prompt { text } = kind { Some(text.to_owned()) } else { None };
    store.transcript.items().iter().filter_map(|item| prompt(item.kind)).collect()
}

/// Everything that is to be seen, without what numbers things.
fn shown(store: &Store) -> String {
    let items: Vec<_> =
        store.transcript.items().iter().map(|item| (item.seq, item.at, format!("{:?}", item.kind))).collect();
    let calls: Vec<_> = store.tool_calls.calls().iter().map(|call| (&call.id, &call.state, &call.output)).collect();
    format!("{items:#?}\n{calls:#?}\n{:?}\n{:?}\n{:?}", store.usage, store.session.opened, store.branches.tree())
}

proptest! {
    #[test]
    fn a_session_that_is_followed_and_one_that_is_resumed_show_the_same_branch(steps in steps()) {
        let session = BranchingSession::of(&steps);
        let log: Vec<Envelope> = session.envelopes().collect();
        let mut live = Store::default();
        follow(&mut live, &log);
        prop_assert_eq!(&prompts(&live), &session.conversation);
        prop_assert_eq!(shown(&live), shown(&resumed(&log)));
        let spent: u64 = (1..=session.turns as u64).map(|turn| 110 + turn).sum();
        prop_assert_eq!(live.usage.session().total(), spent, "what was used on other branches was used");
    }

    #[test]
    fn a_log_that_ends_anywhere_shows_the_branch_it_was_on(steps in steps(), cut in 0_usize..400) {
        let session = BranchingSession::of(&steps);
        let log: Vec<Envelope> = session.envelopes().take(cut).collect();
        let mut live = Store::default();
        follow(&mut live, &log);
        prop_assert_eq!(shown(&live), shown(&resumed(&log)));
        prop_assert_eq!(live.last_seq(), log.last().map_or(Seq(0), |fact| fact.seq));
    }
}

fn agent_with(steps: &[BranchingStep]) -> (Store, Vec<Envelope>) {
    let mut log: Vec<Envelope> = BranchingSession::of(steps).envelopes().collect();
    let capabilities = crate::event::Capabilities { branch: true, ..LIVE };
    log[0].event = Opened { capabilities, ..Opened::default() }.event();
    let mut store = Store::default();
    follow(&mut store, &log);
    (store, log)
}

fn act(store: &mut Store, action: Action) -> Vec<Effect> {
    let mut fx = Vec::new();
    store.update(Msg::Action(action), &mut fx);
    fx
}

fn say(store: &mut Store, log: &mut Vec<Envelope>, event: AgentEvent) {
    let seq = Seq(log.len() as u64 + 1);
    log.push(Envelope { seq, at: Millis(seq.0), event });
    follow(store, log);
}

#[test]
fn a_prompt_that_is_chosen_comes_back_and_the_session_goes_on_before_it() {
    let (mut store, _) = agent_with(&[BranchingStep::Prompt(0), BranchingStep::Prompt(0)]);
    assert_eq!(act(&mut store, Action::OpenRewind), []);
    let list = store.focus.find::<RewindList>().unwrap();
    assert_eq!((list.turns.as_slice(), list.selected), (&[0, 1][..], 1));
    act(&mut store, Action::ScrollOverlay { step: crate::store::action::ScrollStep::Back(1), end: 0 });
    let fx = act(&mut store, Action::OverlayAccept);
    let back = Effect::Composer(ComposerEdit::Restore("prompt 1".into()));
    assert_eq!(fx, [Effect::Send(Command::Branch { after: Seq(1) }), back]);
    assert!(store.focus.overlays.is_empty());
}

#[test]
fn the_branch_that_was_left_is_gone_back_to_until_there_is_none() {
    let (mut store, mut log) = agent_with(&[BranchingStep::Prompt(0), BranchingStep::Prompt(0)]);
    let end = store.last_seq();
    let Some(Effect::Send(Command::Branch { after })) = act(&mut store, Action::Rewind(1)).first().cloned() else {
        unreachable!()
    };
    say(&mut store, &mut log, AgentEvent::BranchStarted { after });
    assert_eq!(prompts(&store), ["prompt 1"]);
    assert_eq!(act(&mut store, Action::RedoBranch), [Effect::Send(Command::Branch { after: end })]);
    say(&mut store, &mut log, AgentEvent::BranchStarted { after: end });
    assert_eq!(prompts(&store), ["prompt 1", "prompt 2"]);
    assert_eq!(act(&mut store, Action::RedoBranch), []);
    assert!(store.toast.is_some());
}

#[test]
fn a_fork_keeps_what_is_there_and_the_tree_shows_both() {
    let (mut store, mut log) = agent_with(&[BranchingStep::Prompt(0)]);
    let end = store.last_seq();
    assert_eq!(act(&mut store, Action::Fork(None)), [Effect::Send(Command::Branch { after: end })]);
    say(&mut store, &mut log, AgentEvent::BranchStarted { after: end });
    assert_eq!(prompts(&store), ["prompt 1"]);
    assert_eq!(act(&mut store, Action::Fork(Some(1))), [Effect::Send(Command::Branch { after: Seq(1) })]);
    act(&mut store, Action::OpenBranchTree);
    assert_eq!(store.focus.find::<BranchTree>().unwrap().rows.len(), 1);
}

#[test]
fn where_branches_part_the_prompt_says_which_it_is() {
    let (store, _) = agent_with(&[
        BranchingStep::Prompt(0),
        BranchingStep::Prompt(0),
        BranchingStep::Branch(1),
        BranchingStep::Prompt(0),
    ]);
    let seqs: Vec<Seq> = store
        .transcript
        .items()
        .iter()
        .filter(|item| matches!(item.kind, ItemKind::Prompt { .. }))
        .map(|item| item.seq)
        .collect();
    assert_eq!(store.branches.parting(seqs[0]), None);
    assert_eq!(store.branches.parting(seqs[1]), Some(Parting { turn: 2, number: 2, count: 2 }));
}

#[test]
fn a_session_whose_agent_keeps_the_conversation_says_that_it_cannot_go_back() {
    let (mut store, _) = agent_with(&[BranchingStep::Prompt(0)]);
    let mut log = Vec::new();
    say(&mut store, &mut log, AgentEvent::BranchStarted { after: Seq(0) });
    let mut store = Store::default();
    crate::testkit::store::fold(&mut store, [Opened { capabilities: LIVE, ..Opened::default() }.event()]);
    for action in [Action::OpenRewind, Action::Rewind(1), Action::Fork(None), Action::RedoBranch] {
        assert_eq!(act(&mut store, action), []);
        assert!(store.toast.take().is_some());
    }
}

#[test]
fn a_mark_is_on_the_branch_it_was_made_on_and_a_title_on_all() {
    let (mut store, mut log) = agent_with(&[BranchingStep::Prompt(0), BranchingStep::Prompt(0)]);
    let second =
        store.transcript.items().iter().rfind(|item| matches!(item.kind, ItemKind::Prompt { .. })).unwrap().seq;
    let session = |annotation| AgentEvent::Annotation { on: AnnotationTarget::Session, annotation };
    say(&mut store, &mut log, session(Annotation::Mark { seq: second, set: true }));
    say(&mut store, &mut log, session(Annotation::Title("both".into())));
    let end = store.last_seq();
    let marked = |store: &Store| store.transcript.items().iter().filter(|item| store.marks.contains(*item)).count();
    assert_eq!(marked(&store), 1);
    say(&mut store, &mut log, AgentEvent::BranchStarted { after: Seq(8) });
    assert_eq!((marked(&store), store.session.title.as_deref()), (0, Some("both")));
    say(&mut store, &mut log, AgentEvent::BranchStarted { after: end });
    assert_eq!((marked(&store), store.session.title.as_deref()), (1, Some("both")));
}
