//! Everything the store may ask for.

use crate::event::Command;

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Send(Command),
    /// Find out which models there are; answered by `Report::Models`.
    ListModels,
    /// Leave this session (it stays saved) and begin an empty one.
    NewSession,
    Bell,
    Quit,
}
