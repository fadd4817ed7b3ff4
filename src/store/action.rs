//! Every named thing a person can ask for. Keys, help, palette and config all read this one table.

use crate::event::{Decision, Millis, Mode, Target};

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
    SqueezeIdle(Option<Millis>),
    Quit,
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
