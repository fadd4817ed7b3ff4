//! How many requests there were, by route and status.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Both come from us, so there are only so many.
#[derive(Debug, Default)]
pub(super) struct RequestCounts(Mutex<BTreeMap<(String, u16), u64>>);

impl RequestCounts {
    pub(super) fn add(&self, route: String, status: u16) {
        *self.lock().entry((route, status)).or_default() += 1;
    }

    pub(super) fn all(&self) -> BTreeMap<(String, u16), u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, u16), u64>> {
        // Every change is one step, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
