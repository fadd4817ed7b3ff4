//! Every named thing a person can ask for. Keys, help, palette and config all read this one table.

use crate::event::{Decision, Millis, Mode, Target};

use super::focus::Pane;

/// A wish that changes what is true on screen or is sent to the source. Goes to `Store::update`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Submit(String),
    Cancel,
    /// Takes back the newest queued prompt; the composer gets its text through `Store::taken_back`.
    TakeBack,
    /// Answers the ask on the screen.
    Decide(Decision),
    CycleMode,
    SetMode(Mode),
    SetModel(String),
    OpenModels,
    OpenHelp,
    CloseOverlay,
    /// Brings the waiting approval to the front.
    OpenApproval,
    ToggleThinking,
    ToggleOutputs,
    ToggleToolPanel,
    ToggleFold(u64),
    Pause,
    Faster,
    Slower,
    RealTime,
    Step(i64),
    Seek(Target),
    /// The same value again switches it off.
    SqueezeIdle(Option<Millis>),
    Quit,
    /// The composer became empty or got its first character.
    ComposerChanged {
        empty: bool,
    },
    Focus(Pane),
    /// A character for the overlay on top: search text, reason or pattern. Also what unbound keys become there.
    OverlayChar(char),
    OverlayBackspace,
    OverlayUp,
    OverlayDown,
    OverlayPageUp,
    OverlayPageDown,
    /// Enter: choose the selected model, send the reason or pattern, allow once.
    OverlayAccept,
    /// Starts typing the reason of a denial.
    OverlayDenyWithReason,
    /// Starts editing the pattern offered by the ask.
    OverlayPattern,
}

/// A wish about the view that needs geometry. Goes to `Ui::apply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UiAction {
    Send,
    Newline,
    ScrollUp,
    ScrollDown,
    PageUp,
    PageDown,
    HalfPageUp,
    HalfPageDown,
    ScrollStart,
    ScrollEnd,
    PreviousPrompt,
    NextPrompt,
    FocusNext,
    FocusPrevious,
    SelectUp,
    SelectDown,
    FoldSelected,
    HistoryPrevious,
    HistoryNext,
    Escape,
    Interrupt,
    DeleteOrQuit,
    Redraw,
    Suspend,
}
