//! The hub: a ring of the newest facts in front of the log; every consumer pulls at its own pace.

/// Cheap to clone; all clones are the same hub.
#[derive(Clone)]
pub struct Hub {}
