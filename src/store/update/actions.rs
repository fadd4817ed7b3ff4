//! What the person asked for, one arm each: a change of state here, or an effect for someone who can.

use crate::event::{ApprovalMode, Command, Millis, NoticeLevel, ReplayStatus};

use super::support::{close, open, require};
use super::{copy, search, submit};
use crate::store::Store;
use crate::store::action::Action;
use crate::store::approval;
use crate::store::approval::ANSWER_GUARD_TIME;
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::focus::Overlay;
use crate::store::frames::FrameList;
use crate::store::links;
use crate::store::models::matching_models;
use crate::store::pane::Pane;
use crate::store::permissions;
use crate::store::transcript::{ItemId, ItemKind, TranscriptItem};

/// Rows that a page of an overlay scrolls.
const PAGE_ROWS: usize = 10;
/// Said when something is to be done to a link and none is chosen.
const CHOOSE_LINK_HINT: &str = "choose one first: its letter, or the arrows";
const MIN_SPEED: f32 = 0.125;
const MAX_SPEED: f32 = 64.0;

pub(super) fn apply(store: &mut Store, action: Action, fx: &mut Vec<Effect>) {
    if !matches!(action, Action::ComposerChanged { .. } | Action::OverlayScrollTo(_) | Action::ApprovalShown) {
        store.toast = None;
    }
    match action {
        Action::Submit(text) => {
            if let Some(action) = submit::submit(store, text, fx) {
                apply(store, action, fx);
            }
        }
        Action::Cancel => {
            if !store.session.phase.is_idle() {
                store.session.cancelling = true;
                fx.push(Effect::Send(Command::Cancel));
            }
        }
        Action::DequeuePrompt => {
            if let Some(newest) = store.session.dequeue_newest() {
                store.unanswered_prompts.forget(&newest.text);
                fx.push(Effect::Composer(ComposerEdit::Restore(newest.text)));
                fx.push(Effect::Send(Command::DequeuePrompt { id: newest.id }));
            }
        }
        Action::Retry => submit::retry(store, fx),
        Action::SendQueued => fx.push(Effect::Send(Command::SendQueued)),
        Action::Choose(choice) => approval::select(store, choice),
        Action::ApprovalTyped { c, choice } => approval::type_char(store, c, choice, fx),
        Action::ApprovalShown => approval::on_shown(store),
        Action::HideApproval => approval::hide(store, None, fx),
        Action::CycleMode => permissions::cycle_mode(store, fx),
        Action::SetMode(ApprovalMode::Full) if !permissions::is_full_mode_confirmed(store) => {
            permissions::confirm_full_mode(store);
        }
        Action::SetMode(mode) => permissions::set_mode(store, mode, fx),
        Action::OpenModes => permissions::open_modes(store, None),
        Action::OpenPermissions => open(store, Overlay::Permissions { selected: 0 }),
        Action::RevokeGrant => permissions::revoke_selected(store, fx),
        Action::SetModel(model) => {
            if require(store, |caps| caps.prompt, "the model can't be changed here") {
                fx.push(Effect::Send(Command::SetModel { model }));
            }
        }
        Action::OpenModels => {
            if require(store, |caps| caps.prompt, "the model can't be changed here") {
                open(store, Overlay::Models { query: String::new(), selected: 0 });
                fx.push(Effect::ListModels);
            }
        }
        Action::OpenHelp => open(store, Overlay::Help { scroll: 0 }),
        Action::OpenSearch { from, query } => search::open_search(store, from, query),
        Action::CopyAnswer(nth) => copy::copy_answer(store, nth, fx),
        Action::CopyItem(id) => copy::copy_item(store, id, fx),
        Action::CopyCode(text) => {
            store.focus.overlays.retain(|overlay| *overlay != Overlay::CodePicker);
            copy::copy_text(store, "the code", text, fx);
            store.open_next_approval();
        }
        Action::OpenRaw { item } => {
            let last =
                |item: &TranscriptItem<'_>| matches!(item.kind, ItemKind::Answer { text, .. } if !text.is_empty());
            let last = || store.transcript.items().iter().rev().find(last).map(|item| item.id);
            match item.map(ItemId).or_else(last) {
                Some(item) => open(store, Overlay::Raw { item, scroll: 0 }),
                None => store.toast = Some((NoticeLevel::Info, "nothing to show".into())),
            }
        }
        Action::OpenLinks { item } => open_links(store, item),
        Action::OverlayStart => scroll(store, ScrollStep::Back(usize::MAX)),
        Action::OverlayEnd => scroll(store, ScrollStep::Forward(usize::MAX)),
        Action::OpenCodePicker => open(store, Overlay::CodePicker),
        Action::OpenOutline { from } => search::open_outline(store, from),
        Action::SearchOlder => search::older(store),
        Action::SearchNewer => search::newer(store),
        Action::SearchRegex => search::toggle_regex(store),
        Action::SearchAccept => search::accept(store),
        Action::OpenFrames => {
            if !store.focus.shows_frames() {
                store.frames = FrameList::default();
            }
            open(store, Overlay::Frames);
        }
        Action::PauseFrames => {
            if store.focus.top() == Some(&Overlay::Frames) {
                store.frames.pause();
            }
        }
        Action::SaveFrames => {
            if store.focus.top() == Some(&Overlay::Frames) {
                fx.push(Effect::SaveFrames(None));
            }
        }
        Action::CloseOverlay => close(store, fx),
        Action::OpenApproval => open_approval(store),
        Action::ToggleThinking => store.fold_thinking = !store.fold_thinking,
        Action::ToggleOutputs => store.fold_outputs = !store.fold_outputs,
        Action::CycleTimestamps => store.timestamps = store.timestamps.next(),
        Action::ToggleLinkTargets => store.show_link_targets = !store.show_link_targets,
        Action::ToggleToolPanel => {
            store.focus.is_panel_toggled = !store.focus.is_panel_toggled;
            if store.focus.pane == Pane::ToolPanel {
                store.focus.pane = Pane::Composer;
            }
        }
        Action::ToggleDebug => store.focus.is_debug_shown = !store.focus.is_debug_shown,
        Action::ToggleFold(id) => {
            let id = ItemId(id);
            if let Some(folded) = store.transcript.item(id).map(|item| store.is_folded(item)) {
                store.transcript.fold(id, !folded);
            }
        }
        Action::Pause => send_replay_command(store, fx, |replay| Command::SetPaused { paused: !replay.paused }),
        Action::Faster => {
            send_replay_command(store, fx, |replay| Command::SetSpeed {
                factor: (replay.speed * 2.0).clamp(MIN_SPEED, MAX_SPEED),
            });
        }
        Action::Slower => {
            send_replay_command(store, fx, |replay| Command::SetSpeed {
                factor: (replay.speed / 2.0).clamp(MIN_SPEED, MAX_SPEED),
            });
        }
        Action::RealTime => send_replay_command(store, fx, |_| Command::SetSpeed { factor: 1.0 }),
        Action::Step(events) => send_replay_command(store, fx, |_| Command::Step { events }),
        Action::Seek(to) => send_replay_command(store, fx, |_| Command::Seek { to }),
        Action::CapIdle(max) => {
            send_replay_command(store, fx, |replay| Command::CapIdle {
                max: if replay.max_idle == max { None } else { max },
            });
        }
        Action::Quit => fx.push(Effect::Quit),
        Action::ComposerChanged { empty } => {
            store.focus.is_composer_busy = !empty;
            store.open_next_approval();
        }
        Action::Focus(pane) => store.focus.pane = pane,
        Action::OverlayChar(c) => {
            if store.focus.top() == Some(&Overlay::Frames) {
                store.frames.type_char(c);
            } else if let Some(Overlay::Links { .. }) = store.focus.top() {
                choose_link(store, c, fx);
            } else if let Some(Overlay::Raw { item, .. }) = store.focus.top() {
                if c == 'y' {
                    copy::copy_item(store, item.0, fx);
                }
            } else if let Some(Overlay::Modes { .. }) = store.focus.top() {
                permissions::select_mode_by_letter(store, c);
            } else {
                store.focus.type_char(c);
                search::on_query_changed(store);
            }
        }
        Action::OverlayBackspace => {
            approval::unselect(store);
            if store.focus.top() == Some(&Overlay::Frames) {
                store.frames.backspace();
            } else if let Some(Overlay::Permissions { .. }) = store.focus.top() {
                permissions::revoke_selected(store, fx);
            } else {
                store.focus.backspace();
                search::on_query_changed(store);
            }
        }
        Action::OverlayClear => {
            store.focus.clear_input();
            search::on_query_changed(store);
        }
        Action::OverlayUp => scroll(store, ScrollStep::Back(1)),
        Action::OverlayDown => scroll(store, ScrollStep::Forward(1)),
        Action::OverlayPageUp => scroll(store, ScrollStep::Back(PAGE_ROWS)),
        Action::OverlayPageDown => scroll(store, ScrollStep::Forward(PAGE_ROWS)),
        Action::OverlayScrollTo(row) => match store.focus.overlays.last_mut() {
            Some(Overlay::Help { scroll }) => *scroll = row,
            Some(Overlay::Approval(approval)) => approval.full_scroll = approval.full_scroll.map(|_| row),
            Some(Overlay::Frames) => {
                if let Some(scroll) = &mut store.frames.opened_scroll {
                    *scroll = row;
                }
            }
            Some(Overlay::Raw { scroll, .. }) => *scroll = row,
            _ => {}
        },
        Action::OverlayAccept => accept(store, fx),
    }
}

fn accept(store: &mut Store, fx: &mut Vec<Effect>) {
    match store.focus.top() {
        None => {}
        Some(Overlay::Approval(_)) => approval::accept(store, fx),
        Some(Overlay::Modes { .. }) => permissions::accept_mode(store, fx),
        Some(Overlay::Links { .. }) => open_link(store, fx),
        Some(Overlay::Help { .. } | Overlay::CodePicker | Overlay::Raw { .. } | Overlay::Permissions { .. }) => {
            close(store, fx);
        }
        Some(Overlay::Search(_)) => search::accept(store),
        Some(Overlay::Outline(_)) => search::jump_to_entry(store),
        Some(Overlay::Frames) => store.frames.toggle_opened(),
        Some(Overlay::Models { query, selected }) => {
            let models = store.session.models.as_deref().unwrap_or_default();
            let chosen = matching_models(models, query).get(*selected).map(|model| model.name.clone());
            let typed = query.trim();
            let Some(model) = chosen.or_else(|| typed.contains('/').then(|| typed.to_owned())) else { return };
            close(store, fx);
            apply(store, Action::SetModel(model), fx);
        }
    }
}

fn open_links(store: &mut Store, item: Option<u64>) {
    let items = &store.transcript;
    let links = match item.and_then(|item| items.item(ItemId(item))) {
        Some(item) => links::links(std::iter::once(item), &store.tool_calls),
        None => links::links(items.items().iter().rev(), &store.tool_calls),
    };
    if links.is_empty() {
        store.toast = Some((NoticeLevel::Info, "no links or files here".into()));
    } else {
        open(store, Overlay::Links { links, selected: None, chosen_at: Millis(0) });
    }
}

/// A small letter chooses its link, a capital copies it, and [`links::COPY_KEY`] copies the chosen one.
fn choose_link(store: &mut Store, letter: char, fx: &mut Vec<Effect>) {
    let now = store.session.now;
    let Some(Overlay::Links { links, selected, chosen_at }) = store.focus.overlays.last_mut() else { return };
    let copied = if letter == links::COPY_KEY {
        *selected
    } else {
        let Some(nth) = links::index_of_letter(letter).filter(|nth| *nth < links.len()) else { return };
        if letter.is_ascii_lowercase() {
            (*selected, *chosen_at) = (Some(nth), now);
            return;
        }
        Some(nth)
    };
    match copied.and_then(|nth| links.get(nth)).map(|link| link.target.as_str().to_owned()) {
        Some(target) => {
            close(store, fx);
            copy::copy_text(store, "the target", target, fx);
        }
        None => store.toast = Some((NoticeLevel::Info, CHOOSE_LINK_HINT.into())),
    }
}

/// Opens the chosen link. Enter right behind a letter ends a word that somebody typed, and opens nothing.
fn open_link(store: &mut Store, fx: &mut Vec<Effect>) {
    let now = store.session.now;
    let Some(Overlay::Links { links, selected, chosen_at }) = store.focus.top() else { return };
    if chosen_at.0 > 0 && now.since(*chosen_at) < ANSWER_GUARD_TIME {
        return;
    }
    match selected.and_then(|nth| links.get(nth)).map(|link| link.target.clone()) {
        Some(target) => {
            close(store, fx);
            fx.push(Effect::Open(target));
        }
        None => store.toast = Some((NoticeLevel::Info, CHOOSE_LINK_HINT.into())),
    }
}

fn open_approval(store: &mut Store) {
    if !require(store, |caps| caps.decide, "approvals can't be answered here") || store.focus.approval().is_some() {
        return;
    }
    match store.tool_calls.pending().next() {
        Some(call) => store.focus.push_approval(&call.id),
        None => store.toast = Some((NoticeLevel::Info, "no pending approvals".into())),
    }
}

#[derive(Clone, Copy)]
enum ScrollStep {
    Back(usize),
    Forward(usize),
}

fn scroll(store: &mut Store, step: ScrollStep) {
    if let Some(Overlay::Outline(outline)) = store.focus.overlays.last_mut() {
        // The newest is the first and stands at the bottom.
        outline.select(match step {
            ScrollStep::Back(rows) => outline.selected.saturating_add(rows),
            ScrollStep::Forward(rows) => outline.selected.saturating_sub(rows),
        });
        return;
    }
    if let Some(Overlay::Links { links, selected, .. }) = store.focus.overlays.last_mut() {
        let last = links.len().saturating_sub(1);
        // The first step chooses, from the end that it comes from.
        *selected = Some(match step {
            ScrollStep::Back(rows) => selected.unwrap_or(links.len()).saturating_sub(rows),
            ScrollStep::Forward(rows) => {
                selected.map_or(rows.saturating_sub(1), |at| at.saturating_add(rows)).min(last)
            }
        });
        return;
    }
    if let Some(Overlay::Approval(approval)) = store.focus.top()
        && approval.full_scroll.is_none()
    {
        return approval::select_next(store, matches!(step, ScrollStep::Forward(_)));
    }
    if store.focus.top() == Some(&Overlay::Frames) {
        let (ScrollStep::Back(rows) | ScrollStep::Forward(rows)) = step;
        let rows = isize::try_from(rows).unwrap_or(isize::MAX);
        return store.frames.move_selection(if matches!(step, ScrollStep::Back(_)) { -rows } else { rows });
    }
    let count = match store.focus.top() {
        Some(Overlay::Models { query, .. }) => {
            matching_models(store.session.models.as_deref().unwrap_or_default(), query).len()
        }
        Some(Overlay::Modes { .. }) => ApprovalMode::ALL.len(),
        Some(Overlay::Permissions { .. }) => permissions::entries(store).len(),
        _ => usize::MAX,
    };
    let place = match store.focus.overlays.last_mut() {
        Some(Overlay::Help { scroll } | Overlay::Raw { scroll, .. }) => scroll,
        Some(Overlay::Modes { full_mode_confirm: Some(sure), .. }) => {
            *sure = !*sure;
            return;
        }
        Some(
            Overlay::Models { selected, .. } | Overlay::Modes { selected, .. } | Overlay::Permissions { selected },
        ) => selected,
        Some(Overlay::Approval(approval)) => match &mut approval.full_scroll {
            Some(scroll) => scroll,
            None => return,
        },
        _ => return,
    };
    *place = match step {
        ScrollStep::Back(rows) => place.saturating_sub(rows),
        ScrollStep::Forward(rows) => place.saturating_add(rows).min(count.saturating_sub(1)),
    };
}

fn send_replay_command(store: &mut Store, fx: &mut Vec<Effect>, command: impl FnOnce(ReplayStatus) -> Command) {
    let Some(mut replay) = store.session.replay() else {
        store.toast = Some((NoticeLevel::Info, "this is not a replay".into()));
        return;
    };
    let command = command(replay);
    // Shown at once, so that the same key twice in a row counts twice; the status to come says the same.
    match command {
        Command::SetSpeed { factor } => replay.speed = factor,
        Command::SetPaused { paused } => replay.paused = paused,
        Command::CapIdle { max } => replay.max_idle = max,
        _ => {}
    }
    store.session.expect_replay(replay);
    fx.push(Effect::Send(command));
}
