//! PURE. How a person is called who looks elsewhere, and what the terminal shows of a session beside its screen.

use super::setting::{boolean, choice, settings, texts};

settings! {
    /// Calls to a person who looks elsewhere.
    pub struct NotifyConfig {
        via: NotifyChannel = NotifyChannel::Auto, choice(&NotifyChannel::ALL, NotifyChannel::name);
        when: NotifyCondition = NotifyCondition::Unfocused, choice(&NotifyCondition::ALL, NotifyCondition::name);
        /// An approval waits.
        approval: bool = true, boolean();
        /// A turn has ended, and nothing is queued behind it.
        turn: bool = true, boolean();
        /// A turn failed or the session was lost.
        error: bool = true, boolean();
        /// A program of the person's that is told as well; a project can't set it.
        command: Vec<String> = Vec::new(), texts("a list of words such as [\"notify-send\"]");
        /// The window's title names the session and what it does.
        title: bool = true, boolean();
        /// The taskbar shows that a turn runs, in terminals that are known to do that.
        progress: bool = true, boolean();
    }
}

impl NotifyConfig {
    /// Leaves only calls: where every change is read out, titles and progress are noise.
    #[must_use]
    pub fn calls_only(self) -> Self {
        Self { title: false, progress: false, ..self }
    }
}

/// How the terminal is made to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyChannel {
    /// As the terminal is known to understand; with its bell where nothing is known.
    Auto,
    Bell,
    /// `OSC 9`, of iTerm2.
    Osc9,
    /// `OSC 777`, of rxvt-unicode.
    Osc777,
    /// `OSC 99`, of kitty.
    Osc99,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyCondition {
    Unfocused,
    Always,
}

impl NotifyChannel {
    pub const ALL: [Self; 6] = [Self::Auto, Self::Bell, Self::Osc9, Self::Osc777, Self::Osc99, Self::Off];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Bell => "bell",
            Self::Osc9 => "osc9",
            Self::Osc777 => "osc777",
            Self::Osc99 => "osc99",
            Self::Off => "off",
        }
    }
}

impl NotifyCondition {
    pub const ALL: [Self; 2] = [Self::Unfocused, Self::Always];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unfocused => "unfocused",
            Self::Always => "always",
        }
    }
}
