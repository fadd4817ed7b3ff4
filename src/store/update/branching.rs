//! Goes back in the session, and on from there: what a branch is to begin after, and why it can't.
//!
//! The branch itself begins with an event, and that changes the screen. Nothing is lost on the way: what was said stays
//! in the log, and a prompt that is taken back stands in the composer.

use crate::event::branches::TurnNode;
use crate::event::{CallOutcome, Command, NoticeLevel, RestoreStep, Seq};

use crate::store::Store;
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::tool_calls::{CallState, ToolCall};
use crate::store::transcript::ItemKind;

/// Calls of these tools change nothing, or a file whose versions are kept.
const REVOCABLE_TOOLS: [&str; 8] =
    ["calculator", "clock", "edit_file", "fetch", "list_dir", "read_file", "search", "write_file"];
/// Characters kept of what a call was asked for.
const MAX_CALL_CHARS: usize = 200;

/// Where the person wants to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct BranchWish {
    pub(in crate::store) after: Seq,
    /// Comes into the composer.
    prompt: Option<String>,
    told: String,
}

/// Returns the turns of this branch that began with a prompt, the newest last.
pub(in crate::store) fn prompted_turns(store: &Store) -> Vec<usize> {
    let tree = store.branches.tree();
    let has_prompt = |turn: &usize| tree.turns().get(*turn).is_some_and(|turn| !turn.prompt.is_empty());
    let mut turns: Vec<usize> = tree.line_of(tree.head()).filter(has_prompt).collect();
    turns.reverse();
    turns
}

/// Returns whether the session can go back now; says why not otherwise.
pub(in crate::store) fn can_branch(store: &mut Store) -> bool {
    let why_not = if store.session.status.replay.is_some() {
        "a replay goes back by seeking"
    } else if !store.session.capabilities().branch {
        "this session can't go back: its agent keeps the conversation, or it is not saved"
    } else if !store.session.phase.is_idle() {
        "a turn is running: stop it before going back"
    } else if store.history_progress.is_some() {
        "earlier turns are still being read: try again in a moment"
    } else {
        return true;
    };
    store.toast = Some((NoticeLevel::Info, why_not.into()));
    false
}

/// Goes back to before a prompt, counted from the newest, which is 1.
pub(in crate::store) fn rewind_by(store: &mut Store, count: usize, fx: &mut Vec<Effect>) {
    if !can_branch(store) {
        return;
    }
    let turns = prompted_turns(store);
    if let Some(turn) = turns.len().checked_sub(count).and_then(|at| turns.get(at)) {
        rewind_to(store, *turn, fx);
    } else {
        let text = format!("there are {} prompts to go back to on this branch", turns.len());
        store.toast = Some((NoticeLevel::Warn, text));
    }
}

/// Takes the prompt of a turn back into the composer, and goes on from before it.
pub(in crate::store) fn rewind_to(store: &mut Store, turn: usize, fx: &mut Vec<Effect>) {
    let Some(node) = store.branches.tree().turns().get(turn).cloned() else { return };
    let items = store.transcript.items();
    let own = items.iter().rev().skip_while(|item| item.seq > node.last).take_while(|item| item.seq >= node.first);
    let prompt = own.filter_map(|item| match item.kind {
        ItemKind::Prompt { text } => Some(text.to_owned()),
        _ => None,
    });
    let prompt = prompt.last().unwrap_or(node.prompt.clone());
    let told = "back before that prompt: change it and send it; /redo goes to where you were".to_owned();
    go_on(store, BranchWish { after: node.before(), prompt: Some(prompt), told }, fx);
}

/// Begins another branch: here, or before a prompt, counted from the newest, which is 1.
pub(in crate::store) fn fork(store: &mut Store, count: Option<usize>, fx: &mut Vec<Effect>) {
    if !can_branch(store) {
        return;
    }
    let turns = prompted_turns(store);
    let after = match count {
        None if turns.is_empty() => None,
        None => Some(store.last_seq()),
        Some(count) => {
            let node = turns.len().checked_sub(count).and_then(|at| store.branches.tree().turns().get(*turns.get(at)?));
            node.map(TurnNode::before)
        }
    };
    let Some(after) = after else {
        let text = format!("there are {} prompts to fork from on this branch", turns.len());
        store.toast = Some((NoticeLevel::Warn, text));
        return;
    };
    let told = "what you send now is a branch of its own; /redo comes back here, /tree shows all".to_owned();
    go_on(store, BranchWish { after, prompt: None, told }, fx);
}

/// Goes back to the branch that was left last.
pub(in crate::store) fn redo(store: &mut Store, fx: &mut Vec<Effect>) {
    if !can_branch(store) {
        return;
    }
    match store.branches.tree().redo_target() {
        Some(after) => {
            let told = "back on the branch that you had left".to_owned();
            go_on(store, BranchWish { after, prompt: None, told }, fx);
        }
        None => store.toast = Some((NoticeLevel::Info, "no branch was left: /tree shows all".into())),
    }
}

/// Goes on after a turn, on whichever branch it is.
pub(in crate::store) fn go_on_after_turn(store: &mut Store, turn: usize, fx: &mut Vec<Effect>) {
    let tree = store.branches.tree();
    let Some(node) = tree.turns().get(turn).cloned() else { return };
    if tree.head() == Some(turn) {
        store.toast = Some((NoticeLevel::Info, "this is where you are".into()));
        return;
    }
    if can_branch(store) {
        let told = "on from there; /redo goes to where you were".to_owned();
        go_on(store, BranchWish { after: node.last, prompt: None, told }, fx);
    }
}

/// Goes there; where the agent changed files on the way, they are looked at first.
fn go_on(store: &mut Store, wish: BranchWish, fx: &mut Vec<Effect>) {
    let steps = store.branches.restore_steps(wish.after);
    let is_elsewhere = store.workplace.attachment.is_some() || store.workplace.host.is_some();
    if steps.is_empty() || is_elsewhere {
        let told = match (steps.is_empty(), irrevocable_calls(store, wish.after).len()) {
            (false, _) => "; files stay as they are: they are where the agent runs",
            (true, 0) => "",
            (true, 1) => "; 1 call that did something stays done",
            (true, _) => "; calls that did something stay done",
        };
        let told = wish.told.clone() + told;
        return go_without_files(store, BranchWish { told, ..wish }, fx);
    }
    store.branches.wish = Some(wish);
    store.toast = Some((NoticeLevel::Info, "looking at what the agent changed in files…".into()));
    fx.push(Effect::CheckFiles(steps));
}

/// Goes there once files were put back.
pub(in crate::store) fn go_with_files(
    store: &mut Store,
    wish: BranchWish,
    steps: Vec<RestoreStep>,
    fx: &mut Vec<Effect>,
) {
    if can_branch(store) {
        store.branches.wish = Some(wish);
        fx.push(Effect::RestoreFiles(steps));
    }
}

pub(in crate::store) fn on_files_restored(store: &mut Store, done: Result<usize, String>, fx: &mut Vec<Effect>) {
    let Some(wish) = store.branches.wish.take() else { return };
    match done {
        Ok(count) => {
            let files = if count == 1 { "1 file was".to_owned() } else { format!("{count} files were") };
            let told = format!("{}; {files} changed", wish.told);
            go_without_files(store, BranchWish { told, ..wish }, fx);
        }
        Err(why) => {
            let text = format!("the session stays where it is: {why}");
            store.toast = Some((NoticeLevel::Error, text));
        }
    }
}

pub(in crate::store) fn go_without_files(store: &mut Store, wish: BranchWish, fx: &mut Vec<Effect>) {
    if !can_branch(store) {
        return;
    }
    fx.push(Effect::Send(Command::Branch { after: wish.after }));
    if let Some(prompt) = wish.prompt {
        fx.push(Effect::Composer(ComposerEdit::Restore(prompt)));
    }
    store.toast = Some((NoticeLevel::Info, wish.told));
}

/// Returns the calls of this branch after an event that may have done something, each in words.
pub(in crate::store) fn irrevocable_calls(store: &Store, after: Seq) -> Vec<String> {
    let is_later = |call: &&ToolCall| store.transcript.item(call.item).is_some_and(|item| item.seq > after);
    let has_run = |call: &&ToolCall| match call.state {
        CallState::Done(CallOutcome::Denied | CallOutcome::Requested) => false,
        CallState::Done(_) => true,
        CallState::Writing | CallState::Running | CallState::AwaitingApproval => false,
    };
    let calls = store.tool_calls.calls().iter().rev().take_while(is_later);
    let mut named: Vec<String> =
        calls.filter(has_run).filter(|call| !REVOCABLE_TOOLS.contains(&&*call.name)).map(describe_call).collect();
    named.reverse();
    named
}

/// Returns the name of a call's tool and the first text that it was asked for.
fn describe_call(call: &ToolCall) -> String {
    let args: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&call.args).ok();
    let text = args.iter().flatten().find_map(|(_, value)| value.as_str()).unwrap_or_default();
    let text: String = text.chars().take(MAX_CALL_CHARS).collect();
    if text.is_empty() { call.name.to_string() } else { format!("{} {text}", call.name) }
}
