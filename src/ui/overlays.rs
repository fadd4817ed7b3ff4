//! Which function draws which overlay: one arm each.

use ratatui::buffer::Buffer;

use super::pane::{DrawnOverlay, OverlayScreen};
use super::panes::agents::AgentView;
use super::panes::approval::ApprovalPane;
use super::panes::diff::ChangesView;
use super::panes::raw::RawView;
use super::panes::{
    agents, approval, branch_tree, diff, efforts, file_restore, found_texts, frames, help, key_status, links, mcp,
    memory, models, modes, outline, palette, permissions, pick_hint, prompt_history, raw, rewind, search_bar, serving,
    sessions, status, system_prompt, tab_list, tasks, themes, title, usage_report,
};
use crate::store::overlay::Overlay;

/// What only the view knows of what lies above the panes.
pub struct OverlayViews<'a> {
    pub raw: &'a mut RawView,
    pub agent: &'a mut AgentView,
    pub changes: &'a mut ChangesView,
    /// The ask that is open.
    pub approval: &'a ApprovalPane,
    pub has_code_letters: bool,
}

pub fn draw(
    overlay: &Overlay,
    screen: &OverlayScreen<'_>,
    views: &mut OverlayViews<'_>,
    buf: &mut Buffer,
) -> DrawnOverlay {
    match overlay {
        Overlay::Help(text) => help::draw(text, screen, buf),
        Overlay::Models(picker) => models::draw(picker, screen, buf),
        Overlay::Efforts(list) => efforts::draw(**list, screen, buf),
        Overlay::Frames(list) => frames::draw(list, screen, buf),
        Overlay::Approval(dialog) => approval::draw(dialog, screen, views.approval, buf),
        Overlay::Search(search) => search_bar::draw(search, screen, buf),
        Overlay::Outline(outline) => outline::draw(outline, screen, buf),
        Overlay::Raw(text) => raw::draw(text, views.raw, screen, buf),
        Overlay::Links(list) => links::draw(list, screen, buf),
        Overlay::Modes(list) => modes::draw(list, screen, buf),
        Overlay::Permissions(list) => permissions::draw(list, screen, buf),
        Overlay::Palette(palette) => palette::draw(palette, screen, buf),
        Overlay::PromptHistory(history) => prompt_history::draw(history, screen, buf),
        Overlay::Sessions(picker) => sessions::draw(picker, screen, buf),
        Overlay::Status(text) => status::draw(text, screen, buf),
        Overlay::Tabs(list) => tab_list::draw(list, screen, buf),
        Overlay::Themes(picker) => themes::draw(picker, screen, buf),
        Overlay::Usage(report) => usage_report::draw(report, screen, buf),
        Overlay::Agents(list) => agents::draw_list(list, screen, buf),
        Overlay::AgentTranscript(shown) => agents::draw_transcript(shown, views.agent, screen, buf),
        Overlay::Diff(shown) => diff::draw(shown, views.changes, screen, buf),
        Overlay::SystemPrompt(shown) => system_prompt::draw(shown, screen, buf),
        Overlay::Tasks(list) => tasks::draw_list(list, screen, buf),
        Overlay::TaskOutput(shown) => tasks::draw_output(shown, screen, buf),
        Overlay::Memory(shown) => memory::draw(shown, screen, buf),
        Overlay::KeyStatus(shown) => key_status::draw(shown, screen, buf),
        Overlay::Mcp(list) => mcp::draw_list(list, screen, buf),
        Overlay::McpServer(shown) => mcp::draw_server(shown, screen, buf),
        Overlay::Serving(shown) => serving::draw(shown, screen, buf),
        Overlay::SessionsSearch(search) => found_texts::draw(search, screen, buf),
        Overlay::Rewind(list) => rewind::draw(list, screen, buf),
        Overlay::FileRestore(asked) => file_restore::draw(asked, screen, buf),
        Overlay::BranchTree(tree) => branch_tree::draw(tree, screen, buf),
        Overlay::Title(field) => title::draw(field, screen, buf),
        Overlay::CodePicker(_) => pick_hint::draw(views.has_code_letters, screen, buf),
    }
}
