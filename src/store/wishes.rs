//! What the person asked for, one arm each: a change of state here, or an effect for someone who can.

use crate::event::{Caps, Command, Level, Millis, Mode, ReplayState};

use super::Store;
use super::action::Action;
use super::approval;
use super::approval::GUARD;
use super::copying;
use super::effect::Effect;
use super::finding;
use super::focus::{Overlay, Pane, matching};
use super::frames::Frames;
use super::links;
use super::permissions;
use super::submitting;
use super::transcript::{Item, ItemId, Kind};

/// Rows that a page of an overlay scrolls.
const PAGE: usize = 10;
/// Said when something is to be done to a link and none is chosen.
const CHOOSE: &str = "choose one first: its letter, or the arrows";
const SLOWEST: f32 = 0.125;
const FASTEST: f32 = 64.0;

pub(super) fn act(store: &mut Store, action: Action, fx: &mut Vec<Effect>) {
    if !matches!(action, Action::ComposerChanged { .. } | Action::OverlayScrollTo(_) | Action::ApprovalShown) {
        store.hint = None;
    }
    match action {
        Action::Submit(text) => submitting::submit(store, text, fx),
        Action::Cancel => {
            if !store.session.phase.is_idle() {
                store.session.cancelling = true;
                fx.push(Effect::Send(Command::Cancel));
            }
        }
        Action::TakeBack => {
            if let Some(newest) = store.session.weather.queue.pop() {
                store.unanswered.given_back(&newest.text);
                store.taken_back = Some(newest.text);
                fx.push(Effect::Send(Command::Unqueue { id: newest.id }));
            }
        }
        Action::Retry => submitting::retry(store, fx),
        Action::SendQueued => fx.push(Effect::Send(Command::SendQueued)),
        Action::Choose(choice) => approval::choose(store, choice),
        Action::ApprovalTyped { c, choice } => approval::typed(store, c, choice),
        Action::ApprovalShown => approval::shown(store),
        Action::StepBack => approval::step_back(store, None),
        Action::CycleMode => permissions::next_mode(store, fx),
        Action::SetMode(Mode::Full) if !permissions::may_never_ask(store) => permissions::confirm(store),
        Action::SetMode(mode) => permissions::set_mode(store, mode, fx),
        Action::OpenModes => permissions::open_modes(store, None),
        Action::OpenPermissions => open(store, Overlay::Permissions { selected: 0 }),
        Action::Revoke => permissions::revoke(store, fx),
        Action::SetModel(model) => {
            if can(store, |caps| caps.prompt, "the model can't be changed here") {
                fx.push(Effect::Send(Command::SetModel { model }));
            }
        }
        Action::OpenModels => {
            if can(store, |caps| caps.prompt, "the model can't be changed here") {
                open(store, Overlay::Models { query: String::new(), selected: 0 });
                fx.push(Effect::ListModels);
            }
        }
        Action::OpenHelp => open(store, Overlay::Help { scroll: 0 }),
        Action::OpenSearch { from, query } => finding::open(store, from, query),
        Action::CopyAnswer(nth) => copying::answer(store, nth, fx),
        Action::CopyItem(id) => copying::item(store, id, fx),
        Action::CopyCode(text) => {
            store.focus.overlays.retain(|overlay| *overlay != Overlay::Blocks);
            copying::copy(store, "the code", text, fx);
            store.offer_approval();
        }
        Action::OpenRaw { item } => {
            let last = |item: &&Item| matches!(&item.kind, Kind::Answer { text, .. } if !text.is_empty());
            let last = || store.transcript.items().iter().rev().find(last).map(|item| item.id);
            match item.map(ItemId).or_else(last) {
                Some(item) => open(store, Overlay::Raw { item, scroll: 0 }),
                None => store.hint = Some((Level::Info, "there is nothing to show".into())),
            }
        }
        Action::OpenLinks { item } => open_links(store, item),
        Action::OverlayStart => scroll(store, Step::Back(usize::MAX)),
        Action::OverlayEnd => scroll(store, Step::On(usize::MAX)),
        Action::OpenBlocks => open(store, Overlay::Blocks),
        Action::OpenOutline { from } => finding::open_outline(store, from),
        Action::SearchOlder => finding::older(store),
        Action::SearchNewer => finding::newer(store),
        Action::SearchRegex => finding::regex(store),
        Action::SearchAccept => finding::accept(store),
        Action::OpenFrames => {
            if !store.focus.shows_frames() {
                store.frames = Frames::default();
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
        Action::ToggleTargets => store.show_targets = !store.show_targets,
        Action::ToggleToolPanel => {
            store.focus.panel_flipped = !store.focus.panel_flipped;
            if store.focus.pane == Pane::ToolPanel {
                store.focus.pane = Pane::Composer;
            }
        }
        Action::ToggleDebug => store.focus.debug = !store.focus.debug,
        Action::ToggleFold(id) => {
            let id = ItemId(id);
            if let Some(folded) = store.transcript.item(id).map(|item| store.is_folded(item)) {
                store.transcript.fold(id, !folded);
            }
        }
        Action::Pause => replay(store, fx, |replay| Command::Pause { paused: !replay.paused }),
        Action::Faster => {
            replay(store, fx, |replay| Command::Speed { factor: (replay.speed * 2.0).clamp(SLOWEST, FASTEST) });
        }
        Action::Slower => {
            replay(store, fx, |replay| Command::Speed { factor: (replay.speed / 2.0).clamp(SLOWEST, FASTEST) });
        }
        Action::RealTime => replay(store, fx, |_| Command::Speed { factor: 1.0 }),
        Action::Step(events) => replay(store, fx, |_| Command::Step { events }),
        Action::Seek(to) => replay(store, fx, |_| Command::Seek { to }),
        Action::SqueezeIdle(max) => {
            replay(store, fx, |replay| Command::SqueezeIdle { max: if replay.squeeze == max { None } else { max } });
        }
        Action::Quit => fx.push(Effect::Quit),
        Action::ComposerChanged { empty } => {
            store.focus.composer_busy = !empty;
            store.offer_approval();
        }
        Action::Focus(pane) => store.focus.pane = pane,
        Action::OverlayChar(c) => {
            if store.focus.top() == Some(&Overlay::Frames) {
                store.frames.type_char(c);
            } else if let Some(Overlay::Links { .. }) = store.focus.top() {
                choose_link(store, c, fx);
            } else if let Some(Overlay::Raw { item, .. }) = store.focus.top() {
                if c == 'y' {
                    copying::item(store, item.0, fx);
                }
            } else if let Some(Overlay::Modes { .. }) = store.focus.top() {
                permissions::mode_letter(store, c);
            } else {
                store.focus.type_char(c);
                finding::edited(store);
            }
        }
        Action::OverlayBackspace => {
            approval::unselect(store);
            if store.focus.top() == Some(&Overlay::Frames) {
                store.frames.backspace();
            } else if let Some(Overlay::Permissions { .. }) = store.focus.top() {
                permissions::revoke(store, fx);
            } else {
                store.focus.backspace();
                finding::edited(store);
            }
        }
        Action::OverlayClear => {
            store.focus.clear_input();
            finding::edited(store);
        }
        Action::OverlayUp => scroll(store, Step::Back(1)),
        Action::OverlayDown => scroll(store, Step::On(1)),
        Action::OverlayPageUp => scroll(store, Step::Back(PAGE)),
        Action::OverlayPageDown => scroll(store, Step::On(PAGE)),
        Action::OverlayScrollTo(row) => match store.focus.overlays.last_mut() {
            Some(Overlay::Help { scroll }) => *scroll = row,
            Some(Overlay::Approval(approval)) => approval.whole = approval.whole.map(|_| row),
            Some(Overlay::Frames) => {
                if let Some(scroll) = &mut store.frames.opened {
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
        Some(Overlay::Modes { .. }) => permissions::take_mode(store, fx),
        Some(Overlay::Links { .. }) => open_link(store, fx),
        Some(Overlay::Help { .. } | Overlay::Blocks | Overlay::Raw { .. } | Overlay::Permissions { .. }) => {
            close(store, fx);
        }
        Some(Overlay::Search(_)) => finding::accept(store),
        Some(Overlay::Outline(_)) => finding::choose(store),
        Some(Overlay::Frames) => store.frames.open(),
        Some(Overlay::Models { query, selected }) => {
            let models = store.session.models.as_deref().unwrap_or_default();
            let chosen = matching(models, query).get(*selected).map(|model| model.name.clone());
            let typed = query.trim();
            let Some(model) = chosen.or_else(|| typed.contains('/').then(|| typed.to_owned())) else { return };
            close(store, fx);
            act(store, Action::SetModel(model), fx);
        }
    }
}

/// Leaves what is on top.
pub(super) fn close(store: &mut Store, fx: &mut Vec<Effect>) {
    match store.focus.top() {
        Some(Overlay::Approval(_)) => return approval::close(store, fx),
        Some(Overlay::Search(_)) => finding::leave(store),
        Some(Overlay::Frames) if store.frames.opened.is_some() => return store.frames.open(),
        Some(Overlay::Frames) => store.frames = Frames::default(),
        _ => {}
    }
    store.focus.overlays.pop();
    store.offer_approval();
}

/// Opens an overlay unless its like is on top already.
pub(super) fn open(store: &mut Store, overlay: Overlay) {
    let same = |top: &Overlay| std::mem::discriminant(top) == std::mem::discriminant(&overlay);
    if !store.focus.top().is_some_and(same) {
        store.focus.overlays.push(overlay);
    }
}

fn open_links(store: &mut Store, item: Option<u64>) {
    let items = &store.transcript;
    let links = match item.and_then(|item| items.item(ItemId(item))) {
        Some(item) => links::links(std::iter::once(item), &store.tools),
        None => links::links(items.items().iter().rev(), &store.tools),
    };
    if links.is_empty() {
        store.hint = Some((Level::Info, "there are no links or files here".into()));
    } else {
        open(store, Overlay::Links { links, selected: None, chosen_at: Millis(0) });
    }
}

/// A small letter chooses its link, a capital copies it, and [`links::COPY`] copies the chosen one.
fn choose_link(store: &mut Store, letter: char, fx: &mut Vec<Effect>) {
    let now = store.session.now;
    let Some(Overlay::Links { links, selected, chosen_at }) = store.focus.overlays.last_mut() else { return };
    let copied = if letter == links::COPY {
        *selected
    } else {
        let Some(nth) = links::nth(letter).filter(|nth| *nth < links.len()) else { return };
        if letter.is_ascii_lowercase() {
            (*selected, *chosen_at) = (Some(nth), now);
            return;
        }
        Some(nth)
    };
    match copied.and_then(|nth| links.get(nth)).map(|link| link.target.text().to_owned()) {
        Some(target) => {
            close(store, fx);
            copying::copy(store, "the target", target, fx);
        }
        None => store.hint = Some((Level::Info, CHOOSE.into())),
    }
}

/// Opens the chosen link. Enter right behind a letter ends a word that somebody typed, and opens nothing.
fn open_link(store: &mut Store, fx: &mut Vec<Effect>) {
    let now = store.session.now;
    let Some(Overlay::Links { links, selected, chosen_at }) = store.focus.top() else { return };
    if chosen_at.0 > 0 && now.since(*chosen_at) < GUARD {
        return;
    }
    match selected.and_then(|nth| links.get(nth)).map(|link| link.target.clone()) {
        Some(target) => {
            close(store, fx);
            fx.push(Effect::Open(target));
        }
        None => store.hint = Some((Level::Info, CHOOSE.into())),
    }
}

fn open_approval(store: &mut Store) {
    if !can(store, |caps| caps.decide, "nothing can be decided here") || store.focus.approval().is_some() {
        return;
    }
    match store.tools.pending().next() {
        Some(call) => store.focus.open_approval(&call.id),
        None => store.hint = Some((Level::Info, "nothing waits for a decision".into())),
    }
}

#[derive(Clone, Copy)]
enum Step {
    Back(usize),
    On(usize),
}

fn scroll(store: &mut Store, step: Step) {
    if let Some(Overlay::Outline(outline)) = store.focus.overlays.last_mut() {
        // The newest is the first and stands at the bottom.
        outline.select(match step {
            Step::Back(rows) => outline.selected.saturating_add(rows),
            Step::On(rows) => outline.selected.saturating_sub(rows),
        });
        return;
    }
    if let Some(Overlay::Links { links, selected, .. }) = store.focus.overlays.last_mut() {
        let last = links.len().saturating_sub(1);
        // The first step chooses, from the end that it comes from.
        *selected = Some(match step {
            Step::Back(rows) => selected.unwrap_or(links.len()).saturating_sub(rows),
            Step::On(rows) => selected.map_or(rows.saturating_sub(1), |at| at.saturating_add(rows)).min(last),
        });
        return;
    }
    if let Some(Overlay::Approval(approval)) = store.focus.top()
        && approval.whole.is_none()
    {
        return approval::step(store, matches!(step, Step::On(_)));
    }
    if store.focus.top() == Some(&Overlay::Frames) {
        let (Step::Back(rows) | Step::On(rows)) = step;
        let rows = isize::try_from(rows).unwrap_or(isize::MAX);
        return store.frames.go(if matches!(step, Step::Back(_)) { -rows } else { rows });
    }
    let count = match store.focus.top() {
        Some(Overlay::Models { query, .. }) => {
            matching(store.session.models.as_deref().unwrap_or_default(), query).len()
        }
        Some(Overlay::Modes { .. }) => Mode::ALL.len(),
        Some(Overlay::Permissions { .. }) => permissions::entries(store).len(),
        _ => usize::MAX,
    };
    let place = match store.focus.overlays.last_mut() {
        Some(Overlay::Help { scroll } | Overlay::Raw { scroll, .. }) => scroll,
        Some(Overlay::Modes { sure: Some(sure), .. }) => {
            *sure = !*sure;
            return;
        }
        Some(
            Overlay::Models { selected, .. } | Overlay::Modes { selected, .. } | Overlay::Permissions { selected },
        ) => selected,
        Some(Overlay::Approval(approval)) => match &mut approval.whole {
            Some(scroll) => scroll,
            None => return,
        },
        _ => return,
    };
    *place = match step {
        Step::Back(rows) => place.saturating_sub(rows),
        Step::On(rows) => place.saturating_add(rows).min(count.saturating_sub(1)),
    };
}

fn replay(store: &mut Store, fx: &mut Vec<Effect>, command: impl FnOnce(ReplayState) -> Command) {
    let Some(state) = &mut store.session.weather.replay else {
        store.hint = Some((Level::Info, "this is not a replay".into()));
        return;
    };
    let command = command(*state);
    // Shown at once, so that the same key twice in a row counts twice; the weather to come says the same.
    match command {
        Command::Speed { factor } => state.speed = factor,
        Command::Pause { paused } => state.paused = paused,
        Command::SqueezeIdle { max } => state.squeeze = max,
        _ => {}
    }
    fx.push(Effect::Send(command));
}

/// Returns whether the source can do it; says why not otherwise.
pub(super) fn can(store: &mut Store, what: impl FnOnce(Caps) -> bool, why_not: &str) -> bool {
    let able = what(store.session.caps());
    if !able {
        store.hint = Some((Level::Warn, why_not.into()));
    }
    able
}
