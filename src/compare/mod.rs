//! PURE. Sessions side by side: turn by turn, call by call, and the first place where they part.
//!
//! Not for reading logs or for the screen: [`ComparedSession::of`] folds envelopes, [`Comparison::of`] aligns two folded
//! sessions, [`report`] puts them into words and JSON,
//! [`side_by_side`] into two columns. Texts stay raw; who prints them cleans them.

mod align;
mod fold;
pub mod report;
pub mod side_by_side;
mod text_diff;
mod words;

pub use align::{AlignedCall, AlignedTurn, CallState, Comparison, DifferentPart, FirstDifference};
pub use fold::{ComparedCall, ComparedSession, ComparedTurn};
pub use text_diff::{DiffLine, DiffTag, text_diff};
