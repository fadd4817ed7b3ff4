//! What the person asked for, one arm each: a change of state here, or an effect for someone who can.
//!
//! What is asked of an overlay goes to the one on top.

use crate::event::{ApprovalMode, CallOutcome, Command, LoopRange, NoticeLevel, ReplayStatus, SessionId};

use super::support::{on_top, open, require};
use super::{branching, copy, submit};
use crate::store::Store;
use crate::store::action::{Action, UiAction};
use crate::store::attaching;
use crate::store::effect::{ComposerEdit, CopyRequest, Effect};
use crate::store::frames::FrameList;
use crate::store::marks::{copy_link, toggle_mark};
use crate::store::output_view::OutputView;
use crate::store::overlay::OverlayOutcome;
use crate::store::overlay::agents::{AgentTranscript, open_agents};
use crate::store::overlay::approval::ApprovalDialog;
use crate::store::overlay::branch_tree::open_branch_tree;
use crate::store::overlay::code_picker::CodePicker;
use crate::store::overlay::diff::open_diff;
use crate::store::overlay::efforts::{open_efforts, set_effort, step_effort};
use crate::store::overlay::found_texts::open_sessions_search;
use crate::store::overlay::help::HelpText;
use crate::store::overlay::key_status::KeyStatusText;
use crate::store::overlay::links::open_links;
use crate::store::overlay::memory::{ask_memory, draft_prompt};
use crate::store::overlay::models::open_models;
use crate::store::overlay::modes::{confirm_full_mode, cycle_mode, open_modes, set_agent_mode};
use crate::store::overlay::outline::open_outline;
use crate::store::overlay::palette::open_palette;
use crate::store::overlay::permissions::PermissionList;
use crate::store::overlay::prompt_history::PromptHistory;
use crate::store::overlay::raw::open_raw;
use crate::store::overlay::rewind::open_rewind;
use crate::store::overlay::search::open_search;
use crate::store::overlay::sessions::open_sessions;
use crate::store::overlay::status::StatusText;
use crate::store::overlay::system_prompt::{open_system_prompt, set_system_prompt};
use crate::store::overlay::tabs::open_tab_list;
use crate::store::overlay::themes::open_themes;
use crate::store::overlay::title::TitleField;
use crate::store::overlay::usage::{UsageReport, UsageSubject};
use crate::store::pane::{Pane, PanelSide, SIDE_PANE_COLUMNS};
use crate::store::permissions::{is_full_mode_confirmed, set_mode};
use crate::store::status_parts::{StatusPart, StatusParts};
use crate::store::tabs::TabTarget;
use crate::store::tool_calls::{CallState, ToolCall};
use crate::store::transcript::{ItemId, ItemKind};
use crate::text::one_line;

/// A call that is further back is not the last one.
const MAX_CALLS_LOOKED_AT: usize = 200;
const MIN_SPEED: f32 = 0.125;
const MAX_SPEED: f32 = 64.0;

pub(super) fn apply(store: &mut Store, action: Action, fx: &mut Vec<Effect>) {
    store.toast = None;
    match action {
        Action::Submit(text) => {
            if let Some(action) = submit::submit(store, text, fx) {
                apply(store, action, fx);
            }
        }
        Action::Steer(text) if text.trim().is_empty() => {
            store.toast = Some((NoticeLevel::Info, "write what the agent is to know: /steer TEXT".into()));
        }
        Action::Steer(text) => {
            if let Some(action) = submit::steer(store, text, fx) {
                apply(store, action, fx);
            }
        }
        Action::Cancel => {
            if !store.session.phase.is_idle() {
                store.session.cancelling = true;
                fx.push(Effect::Send(Command::Cancel));
            }
        }
        Action::DequeuePrompt(Some(nth)) if !(1..=store.session.queue().len()).contains(&nth) => {
            let text = format!("no prompt {nth} in the queue; {} wait", store.session.queue().len());
            store.toast = Some((NoticeLevel::Info, text));
        }
        Action::DequeuePrompt(nth) => {
            if let Some(queued) = store.session.dequeue(nth) {
                let outputs = store.unanswered_prompts.take_back(&queued.text);
                store.person_runs.offer_again(outputs);
                fx.push(Effect::Composer(ComposerEdit::Restore(queued.text)));
                fx.push(Effect::Send(Command::DequeuePrompt { id: queued.id }));
            }
        }
        Action::AttachFile { path, .. } if path.is_empty() => {
            store.toast = Some((NoticeLevel::Info, "name a file: /attach-file PATH".into()));
        }
        Action::AttachFile { path, images_only } => {
            if require(store, |caps| caps.prompt, "this session takes no prompts") {
                fx.push(Effect::AttachFile { path, images_only });
            }
        }
        Action::PasteImage => {
            if require(store, |caps| caps.prompt, "this session takes no prompts") {
                fx.push(Effect::PasteImage);
            }
        }
        Action::Retry => submit::retry(store, fx),
        Action::EditDraft => fx.push(Effect::View(UiAction::EditDraft)),
        Action::ToggleVim => fx.push(Effect::View(UiAction::ToggleVim)),
        Action::OpenEfforts => open_efforts(store),
        Action::SetEffort(name) => set_effort(store, &name, fx),
        Action::StepEffort { is_up } => step_effort(store, is_up, fx),
        Action::OpenThemes => open_themes(store, fx),
        Action::SetTheme(theme) => fx.push(Effect::SetTheme(theme)),
        Action::ReloadSettings => fx.push(Effect::ReloadSettings),
        Action::SendQueued => fx.push(Effect::Send(Command::SendQueued)),
        Action::CycleMode => cycle_mode(store, fx),
        Action::SetMode(ApprovalMode::Full) if !is_full_mode_confirmed(store) => confirm_full_mode(store),
        Action::SetMode(mode) => set_mode(store, mode, fx),
        Action::OpenModes => open_modes(store, None),
        Action::OpenPermissions => open(store, PermissionList::default()),
        Action::SetAgentMode(name) => set_agent_mode(store, &name, fx),
        Action::SetOption { option, value } => {
            if require(store, |caps| caps.prompt, "the agent's settings can't be changed here") {
                fx.push(Effect::Send(Command::SetOption { option, value }));
            }
        }
        Action::SetModel(model) => {
            if require(store, |caps| caps.prompt, "the model can't be changed here") {
                store.session.requested_model = Some(model.clone());
                fx.push(Effect::Send(Command::SetModel { model }));
            }
        }
        Action::OpenModels => open_models(store, None, fx),
        Action::OpenNearestModels(name) => open_models(store, Some(name), fx),
        Action::OpenUsage => open(store, UsageReport { subject: UsageSubject::Session, scroll: 0 }),
        Action::OpenContext => open(store, UsageReport { subject: UsageSubject::Context, scroll: 0 }),
        Action::OpenHelp => open(store, HelpText::default()),
        Action::OpenStatus => open(store, StatusText::default()),
        Action::OpenPalette => open_palette(store, fx),
        Action::StopRun => fx.push(Effect::StopCommand),
        Action::DropContext => {
            store.person_runs.drop_offered();
            store.toast = Some((NoticeLevel::Info, "no output goes with your next prompt".into()));
        }
        Action::OpenPromptHistory(prompts) => open(store, PromptHistory::new(prompts)),
        Action::OpenSearch { from, query } => open_search(store, from, query),
        Action::CopyAnswer(nth) => copy::copy_answer(store, nth, fx),
        Action::CopySelection(text) => {
            fx.push(Effect::Copy(CopyRequest { label: "the selection".into(), text }));
        }
        Action::CopyItem(id) => copy::copy_item(store, id, fx),
        Action::OpenRaw { item } => open_raw(store, item),
        Action::OpenLinks { item } => open_links(store, item),
        Action::OpenCodePicker => open(store, CodePicker),
        Action::OpenOutline { subject, from } => open_outline(store, subject, from),
        Action::OpenRewind => open_rewind(store),
        Action::Rewind(count) => branching::rewind_by(store, count, fx),
        Action::Fork(count) => branching::fork(store, count, fx),
        Action::RedoBranch => branching::redo(store, fx),
        Action::OpenBranchTree => open_branch_tree(store),
        Action::CopyLink { item } => copy_link(store, item, fx),
        Action::ToggleMark { item } => toggle_mark(store, item, fx),
        Action::OpenFrames if store.focus.find::<FrameList>().is_some() => {}
        Action::OpenFrames => open(store, FrameList::default()),
        Action::SaveFramesTo(file) => fx.push(Effect::SaveFrames(Some(file))),
        Action::Export(request) => fx.push(Effect::Export(request)),
        Action::OpenApproval => open_approval(store, fx),
        Action::OpenApprovalOf(call) => {
            if store.waiting_calls().any(|waiting| waiting.id == call) {
                let typed = store.focus.show_approval(&call);
                fx.extend(ComposerEdit::insert(typed));
            } else {
                store.toast = Some((NoticeLevel::Info, "that was decided meanwhile".into()));
            }
        }
        Action::OpenTabList(subject) => open_tab_list(store, subject),
        Action::ShowThinking(shown) => store.fold_thinking = !shown,
        Action::ToggleThinking => store.fold_thinking = !store.fold_thinking,
        Action::ToggleOutputs => {
            let shown = store.focus.top_as::<AgentTranscript>().map(|shown| shown.call.clone());
            match shown.and_then(|call| store.sub_agents.find_mut(&call)) {
                Some(agent) => toggle_outputs(&mut agent.store),
                None => toggle_outputs(store),
            }
        }
        Action::CycleTimestamps => store.timestamps = store.timestamps.next(),
        Action::SetTimestamps(times) => store.timestamps = times,
        Action::OpenAgents => open_agents(store),
        Action::CycleTodos if store.plan.entries().is_empty() => {
            store.toast = Some((NoticeLevel::Info, "the agent has told no plan".into()));
        }
        Action::CycleTodos => store.plan.cycle_view(),
        Action::ToggleLinkTargets => store.show_link_targets = !store.show_link_targets,
        Action::TogglePane(Pane::ToolPanel) if store.tool_calls.calls().is_empty() => {
            store.toast = Some((NoticeLevel::Info, "no tool calls yet: the panel opens with the first".into()));
        }
        Action::TogglePane(pane) => store.focus.toggle_pane(pane),
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
        Action::NewSession => fx.push(Effect::NewSession),
        Action::OpenSessions => open_sessions(store, fx),
        Action::RenameSession(title) => rename_session(store, title, fx),
        Action::ResumeSession(id) => fx.push(Effect::ResumeSession(id)),
        Action::GoToSession(id, seq) => fx.push(Effect::GoToSession(id, seq)),
        Action::ImportSessions(path) => {
            let from = path.as_deref().unwrap_or("other programs");
            store.toast = Some((NoticeLevel::Info, format!("importing sessions of {from}…")));
            fx.push(Effect::ImportSessions(path));
        }
        Action::HandOff(wanted) => hand_off(store, wanted.as_deref(), fx),
        Action::SearchSessions(query) => open_sessions_search(store, query, fx),
        Action::SwitchTab(target) => switch_tab(store, target, fx),
        Action::CloseTab => close_tab(store, fx),
        Action::OpenDiff => open_diff(store, fx),
        Action::OpenSystemPrompt => open_system_prompt(store),
        Action::OpenTasks => fx.push(Effect::ShowTasks),
        Action::OpenMemory => ask_memory(store, false, fx),
        Action::TrustFolder => ask_memory(store, true, fx),
        Action::DraftInstructions => _ = submit::submit(store, draft_prompt(), fx),
        Action::SetSystemPrompt(text) => set_system_prompt(store, text, fx),
        Action::SetPanelSide(side) => {
            store.panel_side = side.unwrap_or(match store.panel_side {
                PanelSide::Left => PanelSide::Right,
                PanelSide::Right => PanelSide::Left,
            });
            let told = format!(
                "side panes stand on the {} from {} columns on; panel_side under [ui] in config.toml keeps it",
                store.panel_side.name(),
                SIDE_PANE_COLUMNS
            );
            store.toast = Some((NoticeLevel::Info, told));
        }
        Action::ToggleStatusPart(part) => toggle_status_part(store, part),
        Action::ShowStatusParts => {
            store.status_parts = StatusParts::all();
            toggle_status_part(store, None);
        }
        Action::SetNotify(wish) => fx.push(Effect::SetNotify(wish)),
        Action::OpenKeyStatus => open(store, KeyStatusText::default()),
        Action::ToggleServing => attaching::toggle_serving(store, fx),
        Action::ListPeers => fx.push(Effect::ListPeers),
        Action::ShowMcp(name) => fx.push(Effect::ListMcp(name)),
        Action::Attach(line) => attaching::attach(store, line, fx),
        Action::Detach => attaching::detach(store, fx),
        Action::Reconnect => attaching::reconnect(store, fx),
        Action::Compact(instructions) => compact(store, instructions, fx),
        Action::UndoCompaction { item } => undo_compaction(store, item, fx),
        Action::SetSpeed(factor) => {
            send_replay_command(store, fx, |_| Command::SetSpeed { factor: factor.clamp(MIN_SPEED, MAX_SPEED) });
        }
        Action::SetIdleCap(max) => send_replay_command(store, fx, |_| Command::CapIdle { max }),
        Action::CycleLoop => cycle_loop(store, fx),
        Action::StopLoop => {
            send_replay_command(store, fx, |_| Command::SetLoop { range: LoopRange::default() });
        }
        Action::PlaySession(name) => attaching::play_session(store, name, fx),
        Action::Quit => fx.push(Effect::Quit),
        Action::Focus(pane) => store.focus.pane = pane,
        Action::CloseOverlay
        | Action::YieldToComposer
        | Action::OverlayChar(_)
        | Action::OverlayBackspace
        | Action::OverlayClear
        | Action::ScrollOverlay { .. }
        | Action::OverlayAccept
        | Action::Choose(_)
        | Action::ChooseRow(_)
        | Action::ApprovalTyped { .. }
        | Action::DecideHunk(_)
        | Action::RevokeGrant
        | Action::ToggleAllFolders
        | Action::RemoveSession
        | Action::RenameSelected
        | Action::ArchiveSession
        | Action::ToggleArchived
        | Action::CopyCode(_)
        | Action::SearchOlder
        | Action::SearchNewer
        | Action::SearchRegex
        | Action::SearchAccept
        | Action::PauseFrames
        | Action::SaveFrames => {
            let asked = on_top(store, |top, store| {
                let outcome = match action {
                    Action::CloseOverlay => top.close(store, fx),
                    Action::YieldToComposer => top.yield_to_composer(store, fx),
                    Action::OverlayChar(c) => top.type_char(c, store, fx),
                    Action::OverlayBackspace => top.backspace(store, fx),
                    Action::OverlayClear => top.clear(store),
                    Action::ScrollOverlay { step, end } => {
                        top.scroll(step, end, store);
                        OverlayOutcome::Stay
                    }
                    Action::OverlayAccept => top.accept(store, fx),
                    Action::ChooseRow(nth) => top.choose_row(nth, store, fx),
                    own => top.act(&own, store, fx),
                };
                if outcome == OverlayOutcome::Stay {
                    top.ask(fx);
                }
                outcome
            });
            if let Some(action) = asked {
                apply(store, action, fx);
            }
        }
    }
}

/// Unfolds the last output; where that is open already, all; and then folds them all, as is set for their tools.
fn toggle_outputs(store: &mut Store) {
    if !store.fold_outputs {
        (store.fold_outputs, store.are_outputs_unfolded) = (true, false);
        store.transcript.forget_call_folds();
        return;
    }
    let calls = store.tool_calls.calls();
    let recent = calls.range(calls.len().saturating_sub(MAX_CALLS_LOOKED_AT)..calls.len());
    let last = recent.rev().find(|call| hides_rows(call)).map(|call| call.item);
    if let Some(item) = last.and_then(|item| store.transcript.item(item)).filter(|item| store.is_folded(*item)) {
        store.transcript.fold(item.id, false);
    } else {
        (store.fold_outputs, store.are_outputs_unfolded) = (false, true);
    }
}

/// Returns whether a call has more to show than its folded card does, as far as that can be told without a width.
fn hides_rows(call: &ToolCall) -> bool {
    let is_long = |text: &str, lines, bytes| text.len() > bytes || text.trim_end().lines().nth(lines).is_some();
    let detail = call.approval_request().map_or("", |ask| &ask.detail);
    let is_hidden = call.output_view == Some(OutputView::Hidden)
        && call.state != CallState::Done(CallOutcome::Failed)
        && !call.output.trim().is_empty();
    is_hidden || is_long(&call.output, 4, 320) || is_long(detail, 12, 1000) || is_long(&call.args, 10, 1000)
}

/// Takes a part out of the lowest rows, or puts it back, and says what there is.
fn toggle_status_part(store: &mut Store, part: Option<StatusPart>) {
    if let Some(part) = part {
        store.status_parts = store.status_parts.toggled(part);
    }
    let names =
        |parts: &mut dyn Iterator<Item = StatusPart>| parts.map(StatusPart::name).collect::<Vec<_>>().join(", ");
    let shown = names(&mut store.status_parts.iter());
    let hidden = names(&mut StatusPart::ALL.into_iter().filter(|part| !store.status_parts.has(*part)));
    let hidden = if hidden.is_empty() { String::new() } else { format!("; hidden: {hidden}") };
    let told = format!("shown: {shown}{hidden}; statusline under [ui] in config.toml keeps it");
    store.toast = Some((NoticeLevel::Info, told));
}

fn rename_session(store: &mut Store, title: Option<String>, fx: &mut Vec<Effect>) {
    if !require(store, |caps| caps.prompt, "this session can't be named here") {
        return;
    }
    let Some(title) = title else {
        let text = one_line(store.session.title.as_deref().unwrap_or_default(), 200);
        return open(store, TitleField { text, session: None });
    };
    let said = match one_line(&title, 60) {
        empty if empty.is_empty() => "this session is named after its first prompt".to_owned(),
        title => format!("this session is now called \u{201c}{title}\u{201d}"),
    };
    store.toast = Some((NoticeLevel::Info, said));
    fx.push(Effect::Send(Command::SetTitle { title }));
}

fn switch_tab(store: &mut Store, target: TabTarget, fx: &mut Vec<Effect>) {
    match store.tabs.find(&target) {
        Some(index) if index == store.tabs.active => {}
        Some(_) => fx.push(Effect::SwitchTab(target)),
        None => {
            let told = match (store.tabs.tabs.len(), target) {
                (0, _) => "one session is open; another stands beside it when this one works".to_owned(),
                (count, TabTarget::Number(number)) => format!("there is no tab {number}, only {count}"),
                _ => "that session is not open".to_owned(),
            };
            store.toast = Some((NoticeLevel::Info, told));
        }
    }
}

/// What goes on is stopped by it: that is asked once.
fn close_tab(store: &mut Store, fx: &mut Vec<Effect>) {
    if store.tabs.tabs.len() < 2 {
        store.toast = Some((NoticeLevel::Info, "this is the only session that is open; /quit leaves".into()));
    } else if store.is_busy() && !std::mem::replace(&mut store.is_closing_asked, true) {
        let told = "what runs in this session would be stopped: once more to close it";
        store.toast = Some((NoticeLevel::Warn, told.into()));
    } else {
        fx.push(Effect::CloseTab);
    }
}

/// Brings the ask of this session to the front; where that is there, the next of another session.
fn open_approval(store: &mut Store, fx: &mut Vec<Effect>) {
    let shown = store.focus.top_as::<ApprovalDialog>().map(|approval| approval.call.clone());
    let own = store.waiting_calls().next().map(|call| call.id.clone());
    if let (None, Some(call)) = (&shown, own) {
        return store.focus.push_approval(&call);
    }
    if let Some(ask) = store.tabs.next_ask(shown.as_ref()) {
        fx.push(Effect::SwitchTab(TabTarget::Session(ask.session.clone())));
    } else if shown.is_none() && require(store, |caps| caps.decide, "approvals can't be answered here") {
        match store.tool_calls.pending().next() {
            Some(call) => store.focus.push_approval(&call.id),
            None => store.toast = Some((NoticeLevel::Info, "no pending approvals".into())),
        }
    }
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
        Command::SetLoop { range } => replay.looped = range,
        _ => {}
    }
    store.session.expect_replay(replay);
    fx.push(Effect::Send(command));
}

/// Has earlier turns summed up.
fn compact(store: &mut Store, instructions: Option<String>, fx: &mut Vec<Effect>) {
    if !store.session.capabilities().prompt {
        store.toast = Some((NoticeLevel::Warn, "this session takes no prompts, so nothing can be summed up".into()));
    } else if store.is_busy() {
        store.toast = Some((NoticeLevel::Warn, "a turn is running: /compact when it is over".into()));
    } else {
        fx.push(Effect::Send(Command::Compact { instructions }));
    }
}

/// Takes back the compaction of an item and those after it, else the last.
fn undo_compaction(store: &mut Store, item: Option<u64>, fx: &mut Vec<Effect>) {
    let meant = item.and_then(|id| store.transcript.item(ItemId(id))).map(|item| item.kind);
    let through = match meant {
        None => None,
        Some(ItemKind::Compaction { compaction, is_undone: false, .. }) => Some(compaction.through.clone()),
        Some(ItemKind::Compaction { .. }) => {
            store.toast = Some((NoticeLevel::Info, "this was taken back already".into()));
            return;
        }
        Some(_) => {
            store.toast = Some((NoticeLevel::Info, "only a compaction can be taken back".into()));
            return;
        }
    };
    if store.session.capabilities().prompt {
        fx.push(Effect::Send(Command::UndoCompaction { through }));
    } else {
        store.toast = Some((NoticeLevel::Warn, "this session takes no prompts, so nothing can be undone".into()));
    }
}

/// Has this session written for another agent: `wanted` is a form, and perhaps a file.
fn hand_off(store: &mut Store, wanted: Option<&str>, fx: &mut Vec<Effect>) {
    let (format, file) = wanted.unwrap_or_default().split_once(' ').unwrap_or((wanted.unwrap_or_default(), ""));
    if format.is_empty() {
        let forms = "openai, anthropic, markdown, claude-code, codex or pi";
        store.toast = Some((NoticeLevel::Info, format!("/handoff FORM [FILE]: the form is {forms}")));
        return;
    }
    if store.workplace.session_log.is_none() {
        store.toast = Some((NoticeLevel::Info, "only a saved session can be handed over".into()));
        return;
    }
    let file = Some(file.trim()).filter(|file| !file.is_empty()).map(str::to_owned);
    let session = SessionId::from(store.workplace.session.as_str());
    fx.push(Effect::HandOff { session, format: format.to_owned(), file });
}

/// Says what the key did: what is looped shows only once both ends are set.
fn cycle_loop(store: &mut Store, fx: &mut Vec<Effect>) {
    let now = store.session.now;
    send_replay_command(store, fx, |replay| Command::SetLoop { range: replay.looped.cycled(now.min(replay.length)) });
    let Some(replay) = store.session.replay() else { return };
    let told = match replay.looped {
        LoopRange { from: None, .. } => "no loop any more",
        LoopRange { to: None, .. } => "the loop begins here; once more where it ends",
        LoopRange { .. } => "this part is played again and again; once more to end that",
    };
    store.toast = Some((NoticeLevel::Info, told.into()));
}
