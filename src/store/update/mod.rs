//! What each message does to the store.

mod actions;
pub(super) mod branching;
pub(super) mod copy;
mod submit;
pub(super) mod support;

use crate::event::{NoticeLevel, SessionStatus, UndeliveredCommand};

use super::Store;
use super::effect::{ComposerEdit, Effect};
use super::frames::FrameList;
use super::limits::set_today;
use super::msg::{Msg, Report};
use super::overlay::OverlayState;
use super::overlay::approval::ApprovalDialog;
use super::overlay::diff::DiffText;
use super::overlay::file_restore::ask_about_files;
use super::overlay::found_texts::SessionsSearch;
use super::overlay::mcp::show_mcp;
use super::overlay::memory::show_memory;
use super::overlay::palette::add_action_uses;
use super::overlay::serving::ServingText;
use super::overlay::sessions::SessionPicker;
use super::overlay::tasks::show_tasks;

pub(super) fn apply(store: &mut Store, msg: Msg, fx: &mut Vec<Effect>) {
    match msg {
        Msg::Event(envelope) => store.fold(&envelope, fx),
        Msg::Reset => store.reset(fx),
        Msg::Refold => store.begin_anew(fx),
        Msg::SessionEnded => store.on_session_end(fx),
        Msg::Status(status) => apply_status(store, status, fx),
        Msg::Action(action) => actions::apply(store, action, fx),
        // An agent tells its own as soon as it has some.
        Msg::Report(Report::Models(models)) if models.is_empty() && store.session.models.is_some() => {}
        Msg::Report(Report::Models(models)) => store.session.models = Some(models),
        Msg::Report(Report::Sessions(sessions)) => {
            if let Some(picker) = store.focus.find_mut::<SessionPicker>() {
                picker.set_sessions(sessions);
                picker.ask(fx);
            } else {
                store.saved_sessions = Some(sessions);
            }
        }
        Msg::Report(Report::SessionPreview(id, messages)) => {
            if let Some(picker) = store.focus.find_mut::<SessionPicker>() {
                picker.set_preview(id, messages);
            }
        }
        Msg::Report(Report::SessionRenamed { id, title }) => {
            if let Some(picker) = store.focus.find_mut::<SessionPicker>() {
                picker.rename(&id, &title);
            }
        }
        Msg::Report(Report::SessionRemoved(id)) => {
            if let Some(picker) = store.focus.find_mut::<SessionPicker>() {
                picker.remove(&id);
                picker.ask(fx);
            }
        }
        Msg::Report(Report::PromptContext { prompt, context, problems }) => {
            submit::send_with_context(store, prompt, context, &problems, fx);
        }
        Msg::Report(Report::NotSent { typed, why }) => {
            store.toast = Some((NoticeLevel::Warn, format!("not sent: {why}")));
            fx.push(Effect::Composer(ComposerEdit::Restore(typed)));
        }
        Msg::Report(Report::CommandOutput(stream, text)) => store.on_run_output(stream, text),
        Msg::Report(Report::CommandEnded(result)) => store.on_run_end(result, fx),
        Msg::Report(Report::Themes(own)) => store.themes.own = own,
        Msg::Report(Report::DayUsage(today)) => set_today(store, today),
        Msg::Report(Report::ActionUses(uses)) => add_action_uses(store, uses, fx),
        Msg::Report(Report::Surroundings { branch, session_log }) => {
            (store.workplace.branch, store.workplace.session_log) = (branch, session_log);
        }
        Msg::Report(Report::Serving { url, token }) => support::open(store, ServingText { url, token, scroll: 0 }),
        Msg::Report(Report::Mcp { servers, wanted }) => {
            show_mcp(store, servers, wanted.as_ref().map(Option::as_deref), fx);
        }
        Msg::Report(Report::FoundTexts { query, found }) => {
            if let Some(search) = store.focus.find_mut::<SessionsSearch>() {
                search.set_found(&query, found);
            }
        }
        Msg::Report(Report::FolderDiff(told)) => {
            if let Some(shown) = store.focus.find_mut::<DiffText>() {
                shown.of_git = Some(told);
            }
        }
        Msg::Report(Report::Memory(report)) => show_memory(store, report),
        Msg::Report(Report::Tasks { rows, is_wanted }) => show_tasks(store, rows, is_wanted),
        Msg::Report(Report::FilesChecked(checks)) => ask_about_files(store, checks, fx),
        Msg::Report(Report::FilesRestored(done)) => branching::on_files_restored(store, done, fx),
        Msg::Report(Report::Failed { what, why }) => {
            store.toast = Some((NoticeLevel::Error, format!("{what}: {why}")));
        }
        Msg::Report(Report::Frames { rows, dropped_bytes }) => {
            if let Some(frames) = store.focus.find_mut::<FrameList>() {
                frames.add(rows, dropped_bytes);
            }
        }
        #[cfg(feature = "images")]
        Msg::RequestImages(sources) => store.images.request(sources, fx),
        #[cfg(feature = "images")]
        Msg::Report(Report::GraphicsMode(way)) => store.images.set_mode(way),
        #[cfg(feature = "images")]
        Msg::Report(Report::Image(source, told)) => store.images.on_result(source, told, fx),
        Msg::Report(Report::Info(text)) => store.toast = Some((NoticeLevel::Info, text)),
        Msg::Tick(now) => {
            store.session.advance_clock(now);
            store.advance_sub_agents(now);
        }
        Msg::KeyPressed(now) => store.focus.last_key = Some(now),
        Msg::ApprovalShown => {
            let now = store.session.now;
            if let Some(approval) = store.focus.top_mut::<ApprovalDialog>() {
                approval.on_shown(now);
            }
        }
        Msg::OfferApproval => store.open_next_approval(),
        Msg::Work => support::on_each(store, |overlay, store| overlay.work(store)),
        Msg::NewSeen => store.unseen.forget_new(),
        Msg::Looking(is_looking) => set_looking(store, is_looking),
        Msg::Tabs(tabs) => store.tabs = tabs,
        Msg::HistoryProgress(percent) => store.history_progress = Some(percent),
    }
}

/// An ask that comes into sight again has to be drawn before it takes an answer.
fn set_looking(store: &mut Store, is_looking: bool) {
    store.is_closing_asked = false;
    let items = store.transcript.items();
    if is_looking {
        store.unseen.look_back(|seen| {
            let after = store.transcript.index_of(seen)? + 1;
            items.get(after).map(|item| item.id)
        });
    } else {
        store.unseen.look_away(items.last().map(|item| item.id));
    }
    if let Some(approval) = store.focus.find_mut::<ApprovalDialog>() {
        approval.shown_at = None;
    }
}

fn apply_status(store: &mut Store, status: SessionStatus, fx: &mut Vec<Effect>) {
    store.session.advance_clock(status.now);
    if status.options != store.session.status.options {
        store.session.requested_effort = None;
    }
    if let Some(UndeliveredCommand { reason: why, may_have_arrived: unknown, prompt: text, .. }) = &status.undelivered
        && status.undelivered != store.session.status.undelivered
    {
        let what = match (unknown, text) {
            (true, _) => "it may have been delivered, so it is not sent again",
            (false, Some(_)) => "the prompt was not delivered and is back in the composer",
            (false, None) => "not delivered",
        };
        store.toast = Some((NoticeLevel::Error, format!("{what}: {why}")));
        if let Some(text) = text {
            let outputs = store.unanswered_prompts.take_back(text);
            store.person_runs.offer_again(outputs);
            fx.push(Effect::Composer(ComposerEdit::Restore(text.clone())));
        }
        store.focus.forget_answers();
    }
    if let Some(text) = &status.rewritten
        && status.rewritten != store.session.status.rewritten
    {
        store.toast = Some((NoticeLevel::Warn, text.clone()));
    }
    let has_waited = !store.session.status.queue.is_empty() || !store.session.status.steering.is_empty();
    if status.queue_held && !store.session.status.queue_held && has_waited {
        store.toast = Some((NoticeLevel::Info, "the queue is held: nothing of it is sent by itself".into()));
    }
    if status.queue_held {
        status.queue.iter().for_each(|queued| store.unanswered_prompts.on_queued(&queued.text));
    }
    if status.unredacted_asks != store.session.status.unredacted_asks {
        let changed = store.tool_calls.set_unredacted_asks(&status.unredacted_asks);
        // It has to be drawn as it is before it takes an answer.
        if let Some(approval) = store.focus.find_mut::<ApprovalDialog>()
            && changed.contains(&approval.call)
        {
            approval.shown_at = None;
        }
    }
    store.session.set_status(status);
}
