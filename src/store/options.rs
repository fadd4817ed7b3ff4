//! The settings that a store starts with.

use super::limits::SpendLimits;
use super::pane::PanelSide;
use super::status_parts::StatusParts;

/// Settings that the store starts with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoreOptions {
    pub fold_thinking: bool,
    pub fold_outputs: bool,
    pub timestamps: Timestamps,
    pub limits: SpendLimits,
    /// Nothing moves that needn't.
    pub reduced_motion: bool,
    pub panel_side: PanelSide,
    pub status_parts: StatusParts,
}

/// Which times stand beside what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamps {
    #[default]
    Off,
    /// Since the session began.
    Relative,
    /// As clocks show it here.
    Clock,
}

impl Timestamps {
    pub const ALL: [Self; 3] = [Self::Off, Self::Relative, Self::Clock];

    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Relative => "relative",
            Self::Clock => "clock",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|times| times.name() == name)
    }

    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Off => Self::Relative,
            Self::Relative => Self::Clock,
            Self::Clock => Self::Off,
        }
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            fold_thinking: true,
            fold_outputs: true,
            timestamps: Timestamps::Off,
            limits: SpendLimits::default(),
            reduced_motion: false,
            panel_side: PanelSide::default(),
            status_parts: StatusParts::default(),
        }
    }
}
