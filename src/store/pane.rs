//! The panes that can have the keys: one row each, in the order in which the focus goes round them.
//!
//! Not here: where a pane stands, how it looks and what its keys do (`ui/panes`).

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pane {
    #[default]
    Composer,
    Transcript,
    ToolPanel,
}

/// How a pane is called.
pub struct PaneSpec {
    pub pane: Pane,
    /// Of its keys, in the settings.
    pub name: &'static str,
    /// Of its keys, in the help.
    pub title: &'static str,
}

pub const PANES: &[PaneSpec] = &[
    PaneSpec { pane: Pane::Composer, name: "composer", title: "Composer" },
    PaneSpec { pane: Pane::Transcript, name: "transcript", title: "Transcript" },
    PaneSpec { pane: Pane::ToolPanel, name: "tool-panel", title: "Tool panel" },
];

/// From this number of columns on, side panes stand beside the transcript.
pub const SIDE_PANE_COLUMNS: u16 = 100;

/// Where side panes stand beside the transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanelSide {
    Left,
    #[default]
    Right,
}

impl PanelSide {
    pub const ALL: [Self; 2] = [Self::Right, Self::Left];

    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

impl Pane {
    /// Returns all of them, in the order of the rows.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        PANES.iter().map(|row| row.pane)
    }

    fn spec(self) -> Option<&'static PaneSpec> {
        PANES.iter().find(|row| row.pane == self)
    }

    pub fn name(self) -> &'static str {
        self.spec().map_or("", |row| row.name)
    }

    pub fn title(self) -> &'static str {
        self.spec().map_or("", |row| row.title)
    }
}
