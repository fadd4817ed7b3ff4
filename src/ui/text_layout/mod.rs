//! Rows: laid-out text, the cache that keeps it, the heights of everything and the place that is being read.
//!
//! Not for what is on the rows: panes decide that. The invariant: nothing here costs more than the rows on screen per
//! frame, whatever the length of the transcript; only a change of width does arithmetic for every item.

pub mod anchor;
pub mod cache;
pub mod heights;
pub mod laid_out;
pub mod links;

pub use anchor::{Anchor, BlockPlace, RowSource};
pub use cache::{BlockCache, BlockKey, LayoutCounters};
pub use heights::Heights;
pub use laid_out::{LaidOut, LayoutBuilder, StyledText};
pub use links::ScreenLinks;
