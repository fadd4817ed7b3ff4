//! The panes that can have the keys.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pane {
    #[default]
    Composer,
    Transcript,
    ToolPanel,
}
