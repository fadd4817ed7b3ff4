//! What was typed and sent: a prompt for whoever answers, or a command.
//!
//! Not for reading commands (`slash.rs`). The invariant: what can't be sent is given back, never lost.

use crate::event::{Command, NoticeLevel, PromptContext};

use super::support::require;
use crate::store::Store;
use crate::store::action::Action;
use crate::store::effect::{ComposerEdit, Effect, MentioningPrompt};
use crate::store::limits::ask_about_limit;
use crate::store::prompt_images::has_images;
use crate::store::session::OpenedSession;
use crate::store::slash::{self, Submitted};
use crate::store::transcript::ItemKind;
use crate::text::mention::file_mentions;

/// Does what a text says that was typed and sent; returns what it asks for that a key can ask for too.
pub(super) fn submit(store: &mut Store, text: String, fx: &mut Vec<Effect>) -> Option<Action> {
    submit_for(store, text, false, fx)
}

/// The same for the turn that runs: what is no command is put into it, where the agent can take it.
pub(super) fn steer(store: &mut Store, text: String, fx: &mut Vec<Effect>) -> Option<Action> {
    submit_for(store, text, true, fx)
}

fn submit_for(store: &mut Store, text: String, steers: bool, fx: &mut Vec<Effect>) -> Option<Action> {
    if text.trim().is_empty() {
        return None;
    }
    match slash::parse(&text, &store.user_commands) {
        Submitted::Text(send) => {
            if ask_about_limit(store, &text, fx) {
                return None;
            }
            if require(store, |caps| caps.prompt, "this session is read-only and takes no prompts") {
                send_prompt(store, MentioningPrompt { typed: text, text: send, steers }, fx);
            } else {
                fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            }
            None
        }
        Submitted::ServerPrompt { command, words } => {
            if require(store, |caps| caps.prompt, "this session is read-only and takes no prompts") {
                fx.push(Effect::WriteServerPrompt {
                    prompt: MentioningPrompt { typed: text, text: command, steers },
                    words,
                });
            } else {
                fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            }
            None
        }
        Submitted::Invalid(why) => {
            store.toast = Some((NoticeLevel::Warn, why));
            fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            None
        }
        Submitted::Run(command) => {
            let able = require(store, |caps| !caps.seek, "in a replay nothing runs");
            if !(able && store.run_for_person(&command, fx)) {
                fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            }
            None
        }
        Submitted::Note(note) => {
            if require(store, |caps| !caps.seek, "a replay keeps no notes") {
                fx.push(Effect::Send(Command::Note { text: note }));
            } else {
                fx.push(Effect::Composer(ComposerEdit::Restore(text)));
            }
            None
        }
        Submitted::Command(action) => Some(action),
    }
}

/// Sends a prompt, once what it mentions was read.
fn send_prompt(store: &mut Store, prompt: MentioningPrompt, fx: &mut Vec<Effect>) {
    if file_mentions(&prompt.text).is_empty() {
        send_with_context(store, prompt, Vec::new(), &[], fx);
    } else {
        fx.push(Effect::ReadMentions(prompt));
    }
}

/// Sends a prompt with what goes with it. One that mentions what can't go along is given back, and sent without that
/// the next time.
pub(super) fn send_with_context(
    store: &mut Store,
    prompt: MentioningPrompt,
    mut context: Vec<PromptContext>,
    problems: &[String],
    fx: &mut Vec<Effect>,
) {
    if has_images(&context) && !store.session.capabilities().images {
        let name = store.session.opened.as_ref().map_or_else(String::new, OpenedSession::name);
        store.toast = Some((NoticeLevel::Warn, format!("not sent: {name} takes no images")));
        fx.push(Effect::Composer(ComposerEdit::Restore(prompt.typed)));
        return;
    }
    let was_refused = store.refused_prompt.take().is_some_and(|refused| refused == prompt.typed);
    if problems.is_empty() || was_refused {
        if !problems.is_empty() {
            store.toast = Some((NoticeLevel::Warn, format!("sent without {}", problems.join("; "))));
        }
        context.extend(store.person_runs.take_offered());
        let is_running = !store.session.phase.is_idle();
        fx.push(Effect::Send(if prompt.steers && is_running && store.session.capabilities().steer {
            Command::Steer { text: prompt.text, context }
        } else {
            if prompt.steers && is_running {
                let name = store.session.opened.as_ref().map_or_else(String::new, OpenedSession::name);
                store.toast = Some((NoticeLevel::Info, format!("{name} can't be steered: the prompt is queued")));
            }
            Command::Prompt { text: prompt.text, context, author: None }
        }));
        return;
    }
    let told = format!("not sent: {}; send it again to send it without", problems.join("; "));
    store.toast = Some((NoticeLevel::Warn, told));
    store.refused_prompt = Some(prompt.typed.clone());
    fx.push(Effect::Composer(ComposerEdit::Restore(prompt.typed)));
}

/// Sends the last prompt again. Nothing does that by itself: a remote may have begun to act on it.
pub(super) fn retry(store: &mut Store, fx: &mut Vec<Effect>) {
    if !require(store, |caps| caps.prompt, "this session is read-only and takes no prompts") {
        return;
    }
    let last = store.transcript.items().iter().rev().find_map(|item| match item.kind {
        ItemKind::Prompt { text } => Some(text.to_owned()),
        _ => None,
    });
    match last {
        _ if !store.session.phase.is_idle() => {
            store.toast = Some((NoticeLevel::Info, "the turn is still running; interrupt it first".into()));
        }
        Some(text) => send_prompt(store, MentioningPrompt { typed: text.clone(), text, steers: false }, fx),
        None => store.toast = Some((NoticeLevel::Info, "no prompt to send again".into())),
    }
}
