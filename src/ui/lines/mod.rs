//! Rows: laid-out text, the cache that keeps it, the heights of everything and the place that is being read.
//!
//! Not for what is on the rows: panes decide that. The invariant: nothing here costs more than the rows on screen per
//! frame, whatever the length of the transcript; only a change of width does arithmetic for every item.

pub mod anchor;
pub mod cache;
pub mod heights;
pub mod laid;
pub mod links;

pub use anchor::{Anchor, Place, Rows};
pub use cache::{Cache, Counters, Key};
pub use heights::Heights;
pub use laid::{Flow, Laid, Page};
pub use links::Links;
