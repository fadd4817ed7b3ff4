//! Every named thing a person can ask for.
//!
//! [`ACTIONS`] is the one table that keys, slash commands, completion, help and config read. What needs an argument that
//! neither a key nor a command carries is an [`Action`] without a row. Nothing here knows a key.

use super::action::{Action, Context, Edit, PAGE_ROWS, ScrollStep, UiAction};
use super::approval::{ApprovalChoice, HunkStep};
use super::command_argument::{
    Argument, EXPORT_ARGUMENT, LAYOUT_ARGUMENT, MOMENT_ARGUMENT, NOTIFY_ARGUMENT, RunCommand, SHOW_ARGUMENT,
    STATUS_ARGUMENT, TIMES_ARGUMENT, cap_gaps, choose_mode, config_command, copy_nth, dequeue_nth, export_session,
    fork_from, go_to_tab, lay_panes, rewind_by, seek_moment, seek_to, set_notify, set_speed, show_times,
    toggle_status_part,
};
use super::notification::NotifyWish;
use super::outline::OutlineSubject;
use super::pane::Pane;
use super::tabs::{TabListSubject, TabTarget};
use crate::event::{ApprovalMode, ExportRequest, Millis, SeekTarget};

const OPEN_MARKS: Action = Action::OpenOutline { subject: OutlineSubject::Marks, from: None };

/// What a row does.
#[derive(Clone, Copy, Debug)]
pub enum ActionHandler {
    /// For the store.
    Store(fn() -> Action),
    /// For the view.
    View(UiAction),
}

impl PartialEq for ActionHandler {
    /// Compares what is done; the functions are constants.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Store(one), Self::Store(other)) => one() == other(),
            (Self::View(one), Self::View(other)) => one == other,
            (Self::Store(_), Self::View(_)) | (Self::View(_), Self::Store(_)) => false,
        }
    }
}

/// One named action.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    pub name: &'static str,
    pub context: Context,
    pub handler: ActionHandler,
    pub help: &'static str,
    /// Its command, for whoever doesn't know its key.
    pub slash: Option<SlashCommand>,
}

/// A command that is typed at the start of the composer.
#[derive(Clone, Copy, Debug)]
pub struct SlashCommand {
    /// Its place among the commands.
    pub rank: u8,
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub argument: Argument,
    pub about: &'static str,
    /// What it does, if that is not what its row does.
    pub run: Option<RunCommand>,
}

impl ActionSpec {
    /// Gives it a command that does the same.
    const fn slash(
        mut self,
        rank: u8,
        name: &'static str,
        aliases: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        self.slash = Some(SlashCommand { rank, name, aliases, argument: Argument::None, about, run: None });
        self
    }

    /// Lets its command do something of its own.
    const fn runs(mut self, run: RunCommand) -> Self {
        if let Some(slash) = &mut self.slash {
            slash.run = Some(run);
        }
        self
    }

    /// Lets its command take an argument.
    const fn takes(mut self, argument: Argument, run: RunCommand) -> Self {
        if let Some(slash) = &mut self.slash {
            slash.argument = argument;
        }
        self.runs(run)
    }
}

/// Returns the row of that name.
pub fn find_action(name: &str) -> Option<&'static ActionSpec> {
    ACTIONS.iter().find(|row| row.name == name)
}

/// What every row says that shows the tab of a number.
pub const NUMBERED_TAB_HELP: &str = "the open session of that number";

/// What every row says that goes to a tenth of a replay.
pub const NUMBERED_TENTH_HELP: &str = "to that tenth of the replay";

/// Returns the command of that name, or with that other name, and its row.
pub fn find_command(name: &str) -> Option<(&'static ActionSpec, &'static SlashCommand)> {
    let is_called = |command: &&SlashCommand| command.name == name || command.aliases.contains(&name);
    ACTIONS.iter().find_map(|row| Some((row, row.slash.as_ref().filter(is_called)?)))
}

/// What is left of a longer gap when a replay squeezes them.
const IDLE_CAP: Millis = Millis(1_000);

const fn act(name: &'static str, context: Context, make: fn() -> Action, help: &'static str) -> ActionSpec {
    ActionSpec { name, context, handler: ActionHandler::Store(make), help, slash: None }
}

/// One of those that differ by a number: help shows their keys in one row, and lists name none of them.
const fn tab(name: &'static str, make: fn() -> Action) -> ActionSpec {
    act(name, Global, make, NUMBERED_TAB_HELP)
}

/// Likewise, a tenth of a replay.
const fn tenth(name: &'static str, make: fn() -> Action) -> ActionSpec {
    act(name, Replay, make, NUMBERED_TENTH_HELP)
}

const fn view(name: &'static str, context: Context, what: UiAction, help: &'static str) -> ActionSpec {
    ActionSpec { name, context, handler: ActionHandler::View(what), help, slash: None }
}

const fn edit(name: &'static str, what: Edit, help: &'static str) -> ActionSpec {
    view(name, COMPOSER, UiAction::Edit(what), help)
}

const fn scroll(name: &'static str, context: Context, step: ScrollStep, help: &'static str) -> ActionSpec {
    view(name, context, UiAction::ScrollOverlay(step), help)
}

use Context::{Approval, Global, Hunks, Matches, Overlay, Replay, Search, Sessions};

const COMPOSER: Context = Context::Pane(Pane::Composer);
const TRANSCRIPT: Context = Context::Pane(Pane::Transcript);
const TOOL_PANEL: Context = Context::Pane(Pane::ToolPanel);

/// All of them, in the order in which help shows them.
pub const ACTIONS: &[ActionSpec] = &[
    view("app.escape", Global, UiAction::Escape, "close what is open, else interrupt; again forces"),
    view("app.interrupt", Global, UiAction::Interrupt, "clear the draft, else interrupt, else quit (twice)"),
    act("app.help", Global, || Action::OpenHelp, "all keys").slash(
        1,
        "help",
        &["keymap", "keys", "hotkeys"],
        "show all keys and commands",
    ),
    act("palette.open", Global, || Action::OpenPalette, "find any action").slash(
        2,
        "palette",
        &["actions"],
        "find any action by what it does",
    ),
    act("model.choose", Global, || Action::OpenModels, "choose a model")
        .slash(3, "model", &["models"], "choose the model")
        .takes(Argument::Model, |name| Ok(name.map_or(Action::OpenModels, |name| Action::SetModel(name.to_owned())))),
    act("effort.choose", Global, || Action::OpenEfforts, "choose how much the model thinks")
        .slash(41, "effort", &[], "choose how much the model thinks")
        .takes(Argument::Effort, |name| {
            Ok(name.map_or(Action::OpenEfforts, |name| Action::SetEffort(name.to_lowercase())))
        }),
    act("effort.lower", Global, || Action::StepEffort { is_up: false }, "let the model think less"),
    act("effort.higher", Global, || Action::StepEffort { is_up: true }, "let the model think more"),
    act("frames.open", Global, || Action::OpenFrames, "show the raw frames of the stream")
        .slash(18, "frames", &["record"], "show the raw frames, or save them")
        .takes(
            Argument::File,
            |file| Ok(file.map_or(Action::OpenFrames, |file| Action::SaveFramesTo(file.to_owned()))),
        ),
    act(
        "session.export",
        Global,
        || Action::Export(ExportRequest { format: None, file: None }),
        "write this session to a file: Markdown, JSON, a page, a recording, a picture",
    )
    .slash(100, "export", &["save-as"], "write this session to a file, in one of many formats")
    .takes(EXPORT_ARGUMENT, |what| Ok(export_session(what))),
    act("mode.cycle", Global, || Action::CycleMode, "next mode: ask, auto-edit, plan"),
    act("mode.ask", Global, || Action::SetMode(ApprovalMode::Ask), "ask before writing, running, fetching"),
    act("mode.auto-edit", Global, || Action::SetMode(ApprovalMode::AutoEdit), "change files here without asking"),
    act("mode.plan", Global, || Action::SetMode(ApprovalMode::Plan), "read only").slash(
        53,
        "plan",
        &[],
        "let the agent read and plan, and change nothing",
    ),
    act("mode.full", Global, || Action::SetMode(ApprovalMode::Full), "never ask"),
    act("mode.choose", Global, || Action::OpenModes, "choose a mode")
        .slash(4, "mode", &[], "set the approval mode")
        .takes(Argument::Mode, |name| Ok(name.map_or(Action::OpenModes, choose_mode))),
    act("permissions.open", Global, || Action::OpenPermissions, "list what is allowed, take grants back").slash(
        5,
        "permissions",
        &["allowed", "grants", "approvals"],
        "list what is allowed and denied; take grants back",
    ),
    act("approval.open", Global, || Action::OpenApproval, "show the pending approval").slash(
        17,
        "approve",
        &["approval"],
        "show the pending approval",
    ),
    act("inbox.open", Global, || Action::OpenTabList(TabListSubject::Asks), "list what waits for you").slash(
        33,
        "inbox",
        &["waiting"],
        "list what waits for you, in all open sessions",
    ),
    act("prompt.take-back", Global, || Action::DequeuePrompt(None), "take back the last queued prompt")
        .slash(54, "queue", &["unqueue"], "take back the last queued prompt, or the nth, to change it")
        .takes(Argument::Free("n"), dequeue_nth),
    act("prompt.retry", Global, || Action::Retry, "send the last prompt again").slash(
        19,
        "retry",
        &["again"],
        "send the last prompt again",
    ),
    view("turn.steer", COMPOSER, UiAction::Steer, "put the draft into the running turn")
        .slash(36, "steer", &[], "put a text into the running turn, before the next request to the model")
        .takes(Argument::Free("text"), |text| Ok(Action::Steer(text.unwrap_or_default().to_owned()))),
    act("turn.cancel", Global, || Action::Cancel, "interrupt the turn").slash(
        55,
        "stop",
        &["interrupt"],
        "interrupt the turn",
    ),
    act("output.toggle", Global, || Action::ToggleOutputs, "unfold the last tool output; again all; again none").slash(
        12,
        "outputs",
        &["fold", "details"],
        "unfold the last tool output, then all, then none",
    ),
    act("thinking.toggle", Global, || Action::ToggleThinking, "show or hide thinking")
        .slash(13, "thinking", &["reasoning"], "show or hide thinking")
        .takes(SHOW_ARGUMENT, |what| match what {
            None => Ok(Action::ToggleThinking),
            Some("show") => Ok(Action::ShowThinking(true)),
            Some("hide") => Ok(Action::ShowThinking(false)),
            Some(other) => Err(format!("unknown value {other}; use show or hide")),
        }),
    act("links.toggle", Global, || Action::ToggleLinkTargets, "show or hide link targets").slash(
        14,
        "targets",
        &["urls"],
        "show or hide link targets",
    ),
    act("todos.cycle", Global, || Action::CycleTodos, "the agent's plan: all of it, none, some rows").slash(
        40,
        "todos",
        &["todo"],
        "show all of the agent's plan, none of it, or some rows",
    ),
    act("agents.open", Global, || Action::OpenAgents, "list the sub-agents, to see what each does").slash(
        42,
        "agents",
        &["subagents"],
        "list the sub-agents, to see what each does",
    ),
    act("timestamps.cycle", Global, || Action::CycleTimestamps, "message times: off, relative, clock")
        .slash(15, "timestamps", &["times"], "show message times")
        .takes(TIMES_ARGUMENT, show_times),
    act("tool-panel.toggle", Global, || Action::TogglePane(Pane::ToolPanel), "show or hide the tool panel").slash(
        16,
        "tools",
        &["panel"],
        "show or hide the tool panel",
    ),
    view("transcript.page-up", Global, UiAction::PageUp, "page up"),
    view("transcript.page-down", Global, UiAction::PageDown, "page down"),
    view("transcript.start", Global, UiAction::ScrollStart, "go to the start"),
    view("transcript.end", Global, UiAction::ScrollEnd, "go to the end and follow"),
    view("transcript.previous-prompt", Global, UiAction::PreviousPrompt, "your previous prompt"),
    view("transcript.next-prompt", Global, UiAction::NextPrompt, "your next prompt"),
    view("search.open", Global, UiAction::Search, "search the transcript")
        .slash(6, "search", &["find"], "search the transcript")
        .takes(Argument::Free("text"), |query| Ok(Action::OpenSearch { from: None, query: query.map(str::to_owned) })),
    view("outline.open", Global, UiAction::Outline, "list of prompts and headings")
        .slash(7, "outline", &["toc"], "jump to a prompt or a heading")
        .runs(|_| Ok(Action::OpenOutline { subject: OutlineSubject::Everything, from: None })),
    act("marks.open", Global, || OPEN_MARKS, "list of marks and notes").slash(
        50,
        "marks",
        &["notes"],
        "jump to a mark or a note",
    ),
    act("copy.answer", Global, || Action::CopyAnswer(1), "copy the last answer")
        .slash(8, "copy", &["yank"], "copy the last answer, or the nth from the end")
        .takes(Argument::Answer, copy_nth),
    act("copy.code", Global, || Action::OpenCodePicker, "copy a code block by its letter").slash(
        11,
        "code",
        &["blocks"],
        "copy a code block by its letter",
    ),
    view("focus.next", Global, UiAction::FocusNext, "focus the next pane"),
    view("focus.previous", Global, UiAction::FocusPrevious, "focus the previous pane"),
    act("session.new", Global, || Action::NewSession, "start a new session").slash(
        23,
        "new",
        &["clear", "reset"],
        "start a new session; this one stays saved",
    ),
    act("tab.list", Global, || Action::OpenTabList(TabListSubject::Sessions), "list the open sessions")
        .slash(31, "tabs", &["tab"], "list the open sessions, or go to the one of that number")
        .takes(Argument::Free("n"), go_to_tab),
    act("tab.next", Global, || Action::SwitchTab(TabTarget::Next), "the next open session"),
    act("tab.previous", Global, || Action::SwitchTab(TabTarget::Previous), "the previous open session"),
    tab("tab.first", || Action::SwitchTab(TabTarget::Number(1))),
    tab("tab.second", || Action::SwitchTab(TabTarget::Number(2))),
    tab("tab.third", || Action::SwitchTab(TabTarget::Number(3))),
    tab("tab.fourth", || Action::SwitchTab(TabTarget::Number(4))),
    tab("tab.fifth", || Action::SwitchTab(TabTarget::Number(5))),
    tab("tab.sixth", || Action::SwitchTab(TabTarget::Number(6))),
    tab("tab.seventh", || Action::SwitchTab(TabTarget::Number(7))),
    tab("tab.eighth", || Action::SwitchTab(TabTarget::Number(8))),
    tab("tab.ninth", || Action::SwitchTab(TabTarget::Number(9))),
    act("tab.close", Global, || Action::CloseTab, "close this session and show the next").slash(
        32,
        "close",
        &[],
        "close this session, which stays saved, and show the next",
    ),
    act("session.choose", Global, || Action::OpenSessions, "choose a saved session")
        .slash(22, "sessions", &["resume", "continue"], "choose a saved session, or go on with one")
        .takes(Argument::Session, |id| Ok(id.map_or(Action::OpenSessions, |id| Action::ResumeSession(id.to_owned())))),
    act("session.search", Global, || Action::SearchSessions(None), "search in all saved sessions")
        .slash(69, "search-all", &["grep"], "search in the texts of all saved sessions")
        .takes(Argument::Free("words or /expression/"), |query| Ok(Action::SearchSessions(query.map(str::to_owned)))),
    act("session.import", Global, || Action::ImportSessions(None), "bring sessions of other programs here")
        .slash(110, "import", &["migrate"], "bring sessions of other agent programs here")
        .takes(Argument::Free("a file or a folder"), |path| Ok(Action::ImportSessions(path.map(str::to_owned)))),
    act("session.handoff", Global, || Action::HandOff(None), "write this session for another agent")
        .slash(111, "handoff", &["transfer"], "write this session for another agent, into a file")
        .takes(Argument::Free("a form, and a file"), |wanted| Ok(Action::HandOff(wanted.map(str::to_owned)))),
    act("session.rename", Global, || Action::RenameSession(None), "name this session")
        .slash(25, "rename", &["title"], "name this session")
        .takes(Argument::Free("title"), |title| Ok(Action::RenameSession(title.map(str::to_owned)))),
    act("branch.rewind", Global, || Action::OpenRewind, "go back to an earlier prompt, and on from there")
        .slash(80, "rewind", &["undo", "checkpoint"], "go back to an earlier prompt, or before the last n")
        .takes(Argument::Free("n"), rewind_by),
    act("branch.redo", Global, || Action::RedoBranch, "go to the branch that was left last").slash(
        81,
        "redo",
        &[],
        "go to the branch that was left last",
    ),
    act("branch.fork", Global, || Action::Fork(None), "begin another branch here")
        .slash(82, "fork", &["branch"], "begin another branch here, or before the last n prompts; this one stays")
        .takes(Argument::Free("n"), fork_from),
    act("branch.tree", Global, || Action::OpenBranchTree, "show all branches, to go to one").slash(
        83,
        "tree",
        &["branches"],
        "show all branches, to go to one",
    ),
    act("usage.open", Global, || Action::OpenUsage, "where the tokens went").slash(
        26,
        "usage",
        &["cost", "tokens", "stats", "budget"],
        "show where the tokens went, and what they cost",
    ),
    act("usage.context", Global, || Action::OpenContext, "what fills the context").slash(
        27,
        "context",
        &[],
        "show what fills the context window",
    ),
    act("app.status", Global, || Action::OpenStatus, "what is used and why: model, versions, folder, log").slash(
        20,
        "status",
        &["about", "version", "logs", "doctor"],
        "show what is used and why: model, versions, folder, log",
    ),
    act("app.debug", Global, || Action::ToggleDebug, "show render statistics").slash(
        21,
        "debug",
        &["figures"],
        "show render statistics",
    ),
    act("composer.vim", Global, || Action::ToggleVim, "vim's modes in the composer, or not").slash(
        30,
        "vim",
        &[],
        "turn vim's modes in the composer on or off",
    ),
    act("theme.choose", Global, || Action::OpenThemes, "choose a theme, and see it at once")
        .slash(29, "theme", &["themes", "colors"], "choose a theme, until the program ends")
        .takes(Argument::Theme, |name| {
            Ok(name.map_or(Action::OpenThemes, |name| Action::SetTheme(Some(name.to_lowercase()))))
        }),
    act("theme.next", Global, || Action::SetTheme(None), "next theme"),
    act("app.reload-settings", Global, || Action::ReloadSettings, "read keys and looks again from the settings")
        .slash(28, "config", &["settings"], "tell where the settings are, or read keys and looks again")
        .takes(Argument::Words(&[("reload", "read keys and looks again from the settings")]), config_command),
    act("diff.open", Global, || Action::OpenDiff, "what the session changed in files").slash(
        57,
        "diff",
        &["changes"],
        "show what the session changed in files",
    ),
    act("system.open", Global, || Action::OpenSystemPrompt, "what the model is told before the conversation")
        .slash(58, "system", &[], "show the system prompt, or set it for what comes; default takes that back")
        .takes(Argument::Free("text"), |text| {
            Ok(text.map_or(Action::OpenSystemPrompt, |text| Action::SetSystemPrompt(text.to_owned())))
        }),
    act("tasks.open", Global, || Action::OpenTasks, "the commands in the background, to read or stop").slash(
        152,
        "tasks",
        &["background", "jobs"],
        "list the commands in the background, to read or stop",
    ),
    act("memory.open", Global, || Action::OpenMemory, "which instructions and skills the agent has")
        .slash(
            150,
            "memory",
            &["instructions", "skills"],
            "show which instructions and skills the agent has; trust this project",
        )
        .takes(
            Argument::Words(&[("trust", "trust this project, so that its instructions are read")]),
            |what| match what {
                None => Ok(Action::OpenMemory),
                Some("trust") => Ok(Action::TrustFolder),
                Some(_) => Err("/memory shows the instructions; /memory trust trusts this project".into()),
            },
        ),
    act("memory.draft", Global, || Action::DraftInstructions, "have the agent draft an AGENTS.md").slash(
        151,
        "init",
        &[],
        "have the agent draft an AGENTS.md, or improve it",
    ),
    act("session.attach", Global, || Action::Attach(String::new()), "attach to an agent elsewhere, in a tab")
        .slash(59, "attach", &["connect"], "attach to a URL, a remote by name, acp:AGENT or -- COMMAND, in a tab")
        .takes(Argument::AttachTarget, |line| Ok(Action::Attach(line.unwrap_or_default().to_owned()))),
    act("session.detach", Global, || Action::Detach, "leave what this session is attached to").slash(
        60,
        "detach",
        &[],
        "leave what this session is attached to",
    ),
    act("session.reconnect", Global, || Action::Reconnect, "try a broken link again now").slash(
        61,
        "reconnect",
        &[],
        "try a broken link again now",
    ),
    act("compaction.make", Global, || Action::Compact(None), "sum earlier turns up, to make room")
        .slash(90, "compact", &["compress", "summarize"], "sum earlier turns up, minding a wish; undo sends them again")
        .takes(Argument::Free("wish or undo"), |wish| {
            Ok(match wish {
                Some("undo") => Action::UndoCompaction { item: None },
                wish => Action::Compact(wish.map(str::to_owned)),
            })
        }),
    act("session.replay", Global, || Action::PlaySession(None), "replay this session in a tab")
        .slash(62, "replay", &["play"], "replay this session, a saved one or a file in a tab")
        .takes(Argument::Recording, |name| Ok(Action::PlaySession(name.map(str::to_owned)))),
    act("session.serve", Global, || Action::ToggleServing, "serve this session on loopback, or no longer").slash(
        67,
        "serve",
        &[],
        "serve this session on this machine, or no longer; shows the address and the token",
    ),
    act("session.peers", Global, || Action::ListPeers, "who follows this session").slash(
        68,
        "peers",
        &["watchers"],
        "tell who follows this session",
    ),
    act("mcp.open", Global, || Action::ShowMcp(None), "MCP servers: state, tools, how to mend one")
        .slash(140, "mcp", &[], "list the MCP servers with their tools, or start one again")
        .takes(Argument::Free("server"), |name| Ok(Action::ShowMcp(name.map(str::to_owned)))),
    act("layout.side", Global, || Action::SetPanelSide(None), "side panes on the other side")
        .slash(63, "layout", &["panes"], "put side panes left or right; show or hide the tool panel or the plan")
        .takes(LAYOUT_ARGUMENT, lay_panes),
    act("status.parts", Global, || Action::ToggleStatusPart(None), "what the lowest rows show")
        .slash(64, "statusline", &["footer"], "tell what the lowest rows show; show or hide a part")
        .takes(STATUS_ARGUMENT, toggle_status_part),
    act("notify.test", Global, || Action::SetNotify(NotifyWish::Test), "call me, to see that it works")
        .slash(65, "notify", &["notifications"], "call me once to see that it works, or set when I am called")
        .takes(NOTIFY_ARGUMENT, set_notify),
    act("keys.status", Global, || Action::OpenKeyStatus, "where keys for models are expected, and if they are there")
        .slash(66, "login", &["logout", "auth"], "show where keys for models are expected, and if they are there"),
    view("app.redraw", Global, UiAction::Redraw, "redraw the screen"),
    view("app.suspend", Global, UiAction::Suspend, "suspend; fg resumes"),
    act("app.quit", Global, || Action::Quit, "quit").slash(24, "quit", &["exit", "q"], "quit; the session stays saved"),
    view("composer.send", COMPOSER, UiAction::Send, "send; while busy, queue"),
    view("composer.newline", COMPOSER, UiAction::Newline, "new line"),
    view("composer.complete", COMPOSER, UiAction::Complete, "complete a command; while busy, steer"),
    view("composer.up", COMPOSER, UiAction::HistoryPrevious, "up; from the first line, earlier prompt"),
    view("composer.down", COMPOSER, UiAction::HistoryNext, "down; from the last line, later prompt"),
    view("composer.history", COMPOSER, UiAction::PromptHistory, "search the prompts of all sessions"),
    view("composer.stash", COMPOSER, UiAction::Stash, "put the draft away; in an empty composer, bring it back"),
    view("composer.editor", COMPOSER, UiAction::EditDraft, "edit the draft in $VISUAL or $EDITOR")
        .slash(56, "editor", &["edit"], "write a prompt in $VISUAL or $EDITOR")
        .runs(|_| Ok(Action::EditDraft)),
    act("composer.paste-image", COMPOSER, || Action::PasteImage, "attach the image on the clipboard")
        .slash(34, "image", &["img"], "attach an image: that file, or what is on the clipboard")
        .takes(Argument::File, |path| {
            Ok(path.map_or(Action::PasteImage, |path| Action::AttachFile { path: path.to_owned(), images_only: true }))
        }),
    act(
        "composer.attach-file",
        COMPOSER,
        || Action::AttachFile { path: String::new(), images_only: false },
        "attach a file by its path",
    )
    .slash(35, "attach-file", &["file"], "attach a file: an image as one, a text as by @")
    .takes(Argument::File, |path| {
        Ok(Action::AttachFile { path: path.unwrap_or_default().to_owned(), images_only: false })
    }),
    view("composer.delete-or-quit", COMPOSER, UiAction::DeleteOrQuit, "delete forward; quit when empty"),
    edit("composer.left", Edit::Left, "left"),
    edit("composer.right", Edit::Right, "right"),
    edit("composer.word-left", Edit::WordLeft, "one word left"),
    edit("composer.word-right", Edit::WordRight, "one word right"),
    edit("composer.line-start", Edit::LineStart, "start of the line"),
    edit("composer.line-end", Edit::LineEnd, "end of the line"),
    edit("composer.backspace", Edit::Backspace, "delete backward"),
    edit("composer.delete", Edit::Delete, "delete forward"),
    edit("composer.delete-word-left", Edit::DeleteWordLeft, "delete the previous word"),
    edit("composer.delete-word-right", Edit::DeleteWordRight, "delete the next word"),
    edit("composer.delete-to-start", Edit::DeleteToLineStart, "delete to the line's start"),
    edit("composer.delete-to-end", Edit::DeleteToLineEnd, "delete to the line's end"),
    edit("composer.yank", Edit::Yank, "insert the last deleted text"),
    edit("composer.undo", Edit::Undo, "undo"),
    edit("composer.redo", Edit::Redo, "redo"),
    view("transcript.scroll-up", TRANSCRIPT, UiAction::ScrollUp, "scroll up"),
    view("transcript.scroll-down", TRANSCRIPT, UiAction::ScrollDown, "scroll down"),
    view("transcript.half-page-up", TRANSCRIPT, UiAction::HalfPageUp, "half a page up"),
    view("transcript.half-page-down", TRANSCRIPT, UiAction::HalfPageDown, "half a page down"),
    view("transcript.select-up", TRANSCRIPT, UiAction::SelectUp, "select the previous item"),
    view("transcript.select-down", TRANSCRIPT, UiAction::SelectDown, "select the next item"),
    view("transcript.fold", TRANSCRIPT, UiAction::FoldSelected, "fold or unfold the selected item"),
    view("transcript.search-again", TRANSCRIPT, UiAction::SearchAgain, "repeat the last search"),
    view("transcript.copy", TRANSCRIPT, UiAction::CopySelected, "copy the selected item"),
    view("transcript.raw", TRANSCRIPT, UiAction::RawSelected, "show the source of the selected item")
        .slash(9, "raw", &["source"], "show the source of the last answer")
        .runs(|_| Ok(Action::OpenRaw { item: None })),
    view("transcript.mark", TRANSCRIPT, UiAction::MarkSelected, "mark the selected item, or take its mark off")
        .slash(51, "mark", &["pin", "bookmark"], "mark the last answer, or take its mark off")
        .runs(|_| Ok(Action::ToggleMark { item: None })),
    view("transcript.undo", TRANSCRIPT, UiAction::UndoSelected, "take the selected compaction back"),
    view("transcript.copy-link", TRANSCRIPT, UiAction::CopySelectedLink, "copy the command that opens this place")
        .slash(52, "link", &["permalink"], "copy the command that opens this session at the last answer")
        .runs(|_| Ok(Action::CopyLink { item: None })),
    view("transcript.links", TRANSCRIPT, UiAction::LinksSelected, "links and files, to open or copy")
        .slash(10, "links", &["open"], "links and files, to open or copy")
        .runs(|_| Ok(Action::OpenLinks { item: None })),
    view("tool-panel.up", TOOL_PANEL, UiAction::SelectUp, "select the previous call"),
    view("tool-panel.down", TOOL_PANEL, UiAction::SelectDown, "select the next call"),
    view("tool-panel.fold", TOOL_PANEL, UiAction::FoldSelected, "fold or unfold the selected call"),
    view("tool-panel.copy", TOOL_PANEL, UiAction::CopySelected, "copy the selected call and its output"),
    act("approval.once", Approval, || Action::Choose(ApprovalChoice::Once), "select: allow once"),
    act(
        "approval.session",
        Approval,
        || Action::Choose(ApprovalChoice::Session),
        "select: allow this tool for this session",
    ),
    act(
        "approval.pattern",
        Approval,
        || Action::Choose(ApprovalChoice::Pattern),
        "select: allow calls that match a pattern",
    ),
    act("approval.deny", Approval, || Action::Choose(ApprovalChoice::Deny), "select: deny"),
    act(
        "approval.deny-with-reason",
        Approval,
        || Action::Choose(ApprovalChoice::DenyWithReason),
        "select: deny with a reason",
    ),
    act("approval.hunks", Approval, || Action::Choose(ApprovalChoice::Hunks), "decide about each hunk of the change"),
    act("approval.view", Approval, || Action::Choose(ApprovalChoice::ShowAll), "show it in full"),
    act("approval.answer", Approval, || Action::OverlayAccept, "confirm the selected answer; Esc denies"),
    scroll("approval.up", Approval, ScrollStep::Back(1), "select the previous answer"),
    scroll("approval.down", Approval, ScrollStep::Forward(1), "select the next answer"),
    act("approval.clear", Approval, || Action::OverlayBackspace, "select nothing"),
    view("approval.page-up", Approval, UiAction::PageUp, "scroll the transcript up"),
    view("approval.page-down", Approval, UiAction::PageDown, "scroll the transcript down"),
    act("hunks.next", Hunks, || Action::DecideHunk(HunkStep::Next), "next hunk"),
    act("hunks.previous", Hunks, || Action::DecideHunk(HunkStep::Previous), "previous hunk"),
    act("hunks.take", Hunks, || Action::DecideHunk(HunkStep::Take), "take this hunk"),
    act("hunks.leave", Hunks, || Action::DecideHunk(HunkStep::Leave), "leave this hunk out"),
    act("hunks.note", Hunks, || Action::DecideHunk(HunkStep::Note), "write a note on this hunk, for the model"),
    act("hunks.take-rest", Hunks, || Action::DecideHunk(HunkStep::TakeRest), "take all that are open"),
    act("hunks.leave-rest", Hunks, || Action::DecideHunk(HunkStep::LeaveRest), "leave out all that are open"),
    act("replay.pause", Replay, || Action::Pause, "play or pause"),
    act("replay.back", Replay, || Action::Seek(SeekTarget::By(-5_000)), "5 s back"),
    act("replay.forward", Replay, || Action::Seek(SeekTarget::By(5_000)), "5 s forward"),
    act("replay.far-back", Replay, || Action::Seek(SeekTarget::By(-30_000)), "30 s back"),
    act("replay.far-forward", Replay, || Action::Seek(SeekTarget::By(30_000)), "30 s forward"),
    act("replay.step-back", Replay, || Action::Step(-1), "one event back"),
    act("replay.step", Replay, || Action::Step(1), "one event forward"),
    act("replay.previous-turn", Replay, || Action::Seek(SeekTarget::Turns(-1)), "previous turn"),
    act("replay.next-turn", Replay, || Action::Seek(SeekTarget::Turns(1)), "next turn"),
    act("replay.faster", Replay, || Action::Faster, "faster"),
    act("replay.slower", Replay, || Action::Slower, "slower"),
    act("replay.real-time", Replay, || Action::RealTime, "original speed")
        .slash(93, "speed", &[], "play so many times as fast")
        .takes(Argument::Free("factor"), set_speed),
    act("replay.next-tool", Replay, || Action::Seek(SeekTarget::Tools(1)), "next call")
        .slash(91, "next", &[], "replay: go to the next call, error, mark, wait or turn")
        .takes(MOMENT_ARGUMENT, |what| seek_moment(what, 1)),
    act("replay.previous-tool", Replay, || Action::Seek(SeekTarget::Tools(-1)), "previous call")
        .slash(92, "previous", &["prev"], "replay: go to the previous call, error, mark, wait or turn")
        .takes(MOMENT_ARGUMENT, |what| seek_moment(what, -1)),
    act("replay.next-error", Replay, || Action::Seek(SeekTarget::Errors(1)), "next error"),
    act("replay.previous-error", Replay, || Action::Seek(SeekTarget::Errors(-1)), "previous error"),
    act("replay.next-mark", Replay, || Action::Seek(SeekTarget::Marks(1)), "next mark"),
    act("replay.previous-mark", Replay, || Action::Seek(SeekTarget::Marks(-1)), "previous mark"),
    act("replay.next-wait", Replay, || Action::Seek(SeekTarget::Waits(1)), "next wait"),
    act("replay.previous-wait", Replay, || Action::Seek(SeekTarget::Waits(-1)), "previous wait"),
    act("replay.loop", Replay, || Action::CycleLoop, "play a part again and again: its start, its end, no more")
        .slash(95, "loop", &[], "replay: play from here on again, up to here, or no longer")
        .takes(Argument::Words(&[("off", "no longer")]), |word| match word {
            None => Ok(Action::CycleLoop),
            Some("off") => Ok(Action::StopLoop),
            Some(other) => Err(format!("unknown value {other}; /loop sets its start, then its end; /loop off ends it")),
        }),
    tenth("replay.first-tenth", || Action::Seek(SeekTarget::Fraction(1_000))),
    tenth("replay.second-tenth", || Action::Seek(SeekTarget::Fraction(2_000))),
    tenth("replay.third-tenth", || Action::Seek(SeekTarget::Fraction(3_000))),
    tenth("replay.fourth-tenth", || Action::Seek(SeekTarget::Fraction(4_000))),
    tenth("replay.fifth-tenth", || Action::Seek(SeekTarget::Fraction(5_000))),
    tenth("replay.sixth-tenth", || Action::Seek(SeekTarget::Fraction(6_000))),
    tenth("replay.seventh-tenth", || Action::Seek(SeekTarget::Fraction(7_000))),
    tenth("replay.eighth-tenth", || Action::Seek(SeekTarget::Fraction(8_000))),
    tenth("replay.ninth-tenth", || Action::Seek(SeekTarget::Fraction(9_000))),
    act("replay.start", Replay, || Action::Seek(SeekTarget::Start), "to the start")
        .slash(94, "seek", &["goto"], "replay: go to a time, a part of it, or by so much")
        .takes(Argument::Free("1:30, 40% or +10s"), seek_to),
    act("replay.end", Replay, || Action::Seek(SeekTarget::End), "to the end"),
    act("replay.squeeze", Replay, || Action::CapIdle(Some(IDLE_CAP)), "shorten idle gaps, or not")
        .slash(96, "gaps", &["waits"], "replay: shorten waits to so much, or off")
        .takes(Argument::Free("2s or off"), cap_gaps),
    act("search.older", Search, || Action::SearchOlder, "previous match (older)"),
    act("search.newer", Search, || Action::SearchNewer, "next match (newer)"),
    act("search.regex", Search, || Action::SearchRegex, "regular expression or words"),
    act("search.accept", Search, || Action::SearchAccept, "step through the matches"),
    act("matches.older", Matches, || Action::SearchOlder, "previous match (older)"),
    act("matches.newer", Matches, || Action::SearchNewer, "next match (newer)"),
    act("matches.stay", Matches, || Action::SearchAccept, "stay at this match; Esc goes back"),
    scroll("overlay.up", Overlay, ScrollStep::Back(1), "up"),
    scroll("overlay.down", Overlay, ScrollStep::Forward(1), "down"),
    scroll("overlay.page-up", Overlay, ScrollStep::Back(PAGE_ROWS), "page up"),
    scroll("overlay.page-down", Overlay, ScrollStep::Forward(PAGE_ROWS), "page down"),
    scroll("overlay.start", Overlay, ScrollStep::Back(usize::MAX), "first"),
    scroll("overlay.end", Overlay, ScrollStep::Forward(usize::MAX), "last"),
    act("overlay.accept", Overlay, || Action::OverlayAccept, "choose"),
    act("overlay.backspace", Overlay, || Action::OverlayBackspace, "delete backward"),
    act("overlay.clear", Overlay, || Action::OverlayClear, "clear the field"),
    act("sessions.all-folders", Sessions, || Action::ToggleAllFolders, "those of all folders, or of this one"),
    act("sessions.delete", Sessions, || Action::RemoveSession, "delete the selected session (twice)"),
    act("sessions.rename", Sessions, || Action::RenameSelected, "name the selected session"),
    act("sessions.archive", Sessions, || Action::ArchiveSession, "archive the selected session, or take it back"),
    act("sessions.archived", Sessions, || Action::ToggleArchived, "the archived sessions, or the others"),
    act("permissions.revoke", Overlay, || Action::RevokeGrant, "permissions: take back the selected grant"),
    act("frames.pause", Overlay, || Action::PauseFrames, "frames: pause or follow"),
    act("frames.save", Overlay, || Action::SaveFrames, "frames: save as a recording"),
    act("overlay.close", Overlay, || Action::CloseOverlay, "close"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_look_alike() {
        for (at, row) in ACTIONS.iter().enumerate() {
            assert!(ACTIONS[..at].iter().all(|other| other.name != row.name), "{} twice", row.name);
            assert!(row.name.contains('.') && row.name.chars().all(|c| c.is_ascii_lowercase() || ".-".contains(c)));
            assert!(!row.help.is_empty() && !row.help.ends_with('.'));
            assert_eq!(find_action(row.name).map(|row| row.name), Some(row.name));
        }
    }

    /// What has a key everywhere can be had without knowing it.
    #[test]
    fn what_has_a_key_everywhere_has_a_command() {
        // Moving, and what is done to a text or to the terminal, is no command; `/mode` sets any mode.
        let keys_only = [
            "transcript.",
            "focus.",
            "mode.",
            "app.escape",
            "app.interrupt",
            "app.redraw",
            "app.suspend",
            "prompt.take-back",
            // `/tabs` goes to any.
            "tab.",
            "turn.cancel",
            "theme.next",
            // `/effort` sets any.
            "effort.",
        ];
        for row in ACTIONS.iter().filter(|row| row.context == Global && row.slash.is_none()) {
            assert!(keys_only.iter().any(|name| row.name.starts_with(name)), "{}", row.name);
        }
    }
}
