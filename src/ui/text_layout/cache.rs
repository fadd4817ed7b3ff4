//! Laid-out blocks, kept while they are of use: at most so many bytes, the longest unused go first.
//!
//! Not for deciding what to lay out. The invariant: dropping any entry changes no pixel, only the work. The counters
//! say how much work there was, so that tests can hold the cost model without a clock.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;

use super::laid_out::LaidOut;
use crate::store::transcript::ItemId;

/// Names a block. What it looked like when it was laid out is in its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockKey {
    pub item: ItemId,
    pub block: u32,
    pub width: u16,
}

/// Work done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayoutCounters {
    pub blocks_laid_out: u64,
    /// Bytes of those blocks.
    pub bytes_laid_out: u64,
    pub rows_written: u64,
    /// Bytes that were read to know the blocks: by the splitters, and of the arguments of calls.
    pub bytes_split: u64,
}

#[derive(Debug)]
struct CacheEntry {
    stamp: u64,
    last_used: u64,
    bytes: usize,
    laid: Rc<LaidOut>,
}

/// A map from blocks to their rows, bounded in bytes.
#[derive(Debug)]
pub struct BlockCache {
    entries: HashMap<BlockKey, CacheEntry, RandomState>,
    bytes: usize,
    max_bytes: usize,
    use_count: u64,
}

/// What the map itself costs per entry, about.
const ENTRY_OVERHEAD_BYTES: usize = 96;

impl BlockCache {
    pub fn new(limit: usize) -> Self {
        Self { entries: HashMap::default(), bytes: 0, max_bytes: limit, use_count: 0 }
    }

    /// Returns the block's rows; `lay` is asked only where they aren't here as of `stamp`.
    pub fn get(&mut self, key: BlockKey, stamp: u64, lay: impl FnOnce() -> LaidOut) -> Rc<LaidOut> {
        self.use_count += 1;
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.stamp == stamp
        {
            entry.last_used = self.use_count;
            return Rc::clone(&entry.laid);
        }
        let laid = Rc::new(lay());
        let bytes = laid.bytes() + ENTRY_OVERHEAD_BYTES;
        let entry = CacheEntry { stamp, last_used: self.use_count, bytes, laid: Rc::clone(&laid) };
        self.bytes += bytes;
        if let Some(old) = self.entries.insert(key, entry) {
            self.bytes -= old.bytes;
        }
        if self.bytes > self.max_bytes {
            self.evict();
        }
        laid
    }

    pub fn clear(&mut self) {
        self.entries = HashMap::default();
        self.bytes = 0;
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Goes down to three quarters, so that the sorting is paid for by many insertions.
    fn evict(&mut self) {
        let mut by_age: Vec<(u64, BlockKey)> =
            self.entries.iter().map(|(key, entry)| (entry.last_used, *key)).collect();
        by_age.sort_unstable_by_key(|(used, _)| *used);
        for (used, key) in by_age {
            if self.bytes <= self.max_bytes / 4 * 3 || used == self.use_count {
                return;
            }
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::text_layout::laid_out::lay_out_plain;
    use crate::ui::theme::Role;

    fn key(block: u32) -> BlockKey {
        BlockKey { item: ItemId(1), block, width: 10 }
    }

    #[test]
    fn a_block_is_laid_out_once_per_stamp() {
        let mut cache = BlockCache::new(1 << 20);
        let mut asked = 0;
        for stamp in [1, 1, 2, 2, 2] {
            cache.get(key(0), stamp, || {
                asked += 1;
                lay_out_plain("text", Role::Text, 10)
            });
        }
        assert_eq!((asked, cache.len()), (2, 1));
    }

    #[test]
    fn the_bytes_stay_below_the_limit_and_the_newest_stay() {
        let mut cache = BlockCache::new(20_000);
        for block in 0..1000 {
            cache.get(key(block), 0, || lay_out_plain(&"word ".repeat(50), Role::Text, 10));
            assert!(cache.bytes() <= 20_000);
        }
        let mut asked = false;
        cache.get(key(999), 0, || {
            asked = true;
            LaidOut::default()
        });
        assert!(!asked);
        cache.clear();
        assert_eq!((cache.bytes(), cache.is_empty()), (0, true));
    }

    #[test]
    fn one_block_larger_than_the_limit_is_kept_while_it_is_the_newest() {
        let mut cache = BlockCache::new(100);
        cache.get(key(1), 0, || lay_out_plain(&"word ".repeat(50), Role::Text, 10));
        assert_eq!(cache.len(), 1);
    }
}
