//! One part of the screen, one file: a [`PaneView`] and a row of the list below. Overlays are drawn by functions of their
//! own, see `ui/overlays.rs`.

pub mod activity;
pub mod agents;
pub mod approval;
pub mod branch_tree;
mod composer;
pub mod diff;
pub mod efforts;
pub mod file_restore;
mod filter_list;
pub mod found_texts;
pub mod frames;
pub mod help;
pub mod item;
pub mod key_status;
pub mod links;
pub mod mcp;
pub mod memory;
pub mod models;
pub mod modes;
pub mod outline;
pub mod palette;
pub mod pending_keys;
pub mod perf_overlay;
pub mod permissions;
pub mod pick_hint;
pub mod plan;
pub mod popup;
pub mod prompt_history;
pub mod queue;
pub mod raw;
pub mod replay_bar;
pub mod rewind;
pub mod search_bar;
pub mod serving;
pub mod sessions;
pub mod status;
pub mod status_line;
pub mod subject;
pub mod system_prompt;
pub mod tab_list;
pub mod tab_row;
pub mod tasks;
mod terminal_output;
pub mod themes;
pub mod title;
pub mod toast;
pub mod tool_panel;
pub mod transcript;
pub mod usage_bar;
pub mod usage_report;
pub mod welcome;

use ratatui::layout::Rect;

use super::composer::Composer;
use super::layout::Layout;
use super::pane::PaneView;
use crate::store::pane::Pane;

/// Makes the struct of all parts and the names by which one is picked out of it.
macro_rules! panes {
    ($($part:ident => $field:ident: $view:ty,)+) => {
        /// Everything that the parts of the screen remember between frames.
        #[derive(Default)]
        pub struct Panes {
            $(pub $field: $view,)+
        }

        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PanePart {
            $($part,)+
        }

        impl PanePart {
            pub const ALL: &[Self] = &[$(Self::$part,)+];
        }

        impl Panes {
            pub fn get(&self, part: PanePart) -> &dyn PaneView {
                match part {
                    $(PanePart::$part => &self.$field,)+
                }
            }

            pub fn get_mut(&mut self, part: PanePart) -> &mut dyn PaneView {
                match part {
                    $(PanePart::$part => &mut self.$field,)+
                }
            }
        }
    };
}

// The first get their rows first, from the bottom up; side panes stand in this order, from the top down.
panes! {
    StatusLine => status_line: status_line::StatusLine,
    UsageBar => usage_bar: usage_bar::UsageBar,
    Composer => composer: Composer,
    ReplayBar => replay_bar: replay_bar::ReplayBar,
    Activity => activity: activity::ActivityRule,
    TabRow => tab_row: tab_row::TabRow,
    Queue => queue: queue::QueueList,
    Plan => plan: plan::PlanPane,
    Toast => toast: toast::ToastRows,
    Approval => approval: approval::ApprovalPane,
    ToolPanel => tools: tool_panel::ToolPanelView,
    Transcript => transcript: transcript::TranscriptView,
}

impl PanePart {
    /// Returns where it is.
    pub fn area(self, layout: &Layout) -> Rect {
        layout.parts.get(self as usize).copied().unwrap_or_default()
    }

    /// Returns the part at a column and row.
    pub fn at(layout: &Layout, at: (u16, u16)) -> Option<Self> {
        Self::ALL.get(layout.part_at(at)?).copied()
    }
}

impl Panes {
    /// Returns the part that a pane is.
    pub fn part(&self, pane: Pane) -> Option<PanePart> {
        PanePart::ALL.iter().copied().find(|part| self.get(*part).pane() == Some(pane))
    }
}
