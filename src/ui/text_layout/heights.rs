//! How many rows every item takes, measured or estimated, with sums in logarithmic time: a Fenwick tree of groups.
//!
//! Not for layout: whoever lays out an item corrects its height here. The invariant: `prefix(len())` is the sum of all
//! heights after any order of calls.

/// Items whose sum the tree has as one; within a group heights are added up.
const GROUP_LENGTH: usize = 64;

/// Heights of a growing list of items: four bytes for each, and little more.
#[derive(Clone, Debug, Default)]
pub struct Heights {
    rows: Vec<u32>,
    /// `tree[i]` is the sum of the `lowest bit of i + 1` groups that end with group `i`.
    tree: Vec<u64>,
}

impl Heights {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn get(&self, index: usize) -> u32 {
        self.rows.get(index).copied().unwrap_or(0)
    }

    /// Appends an item. O(log n).
    pub fn push(&mut self, rows: u32) {
        if self.rows.len().is_multiple_of(GROUP_LENGTH) {
            self.push_group(0);
        }
        self.rows.push(rows);
        if let Some(sum) = self.tree.last_mut() {
            *sum += u64::from(rows);
        }
    }

    /// Corrects a height. O(log n), and nothing where it is the same.
    pub fn set(&mut self, index: usize, rows: u32) {
        let Some(old) = self.rows.get_mut(index) else { return };
        let before = u64::from(std::mem::replace(old, rows));
        let now = u64::from(rows);
        if before == now {
            return;
        }
        let mut at = index / GROUP_LENGTH + 1;
        while let Some(sum) = self.tree.get_mut(at - 1) {
            *sum = *sum - before + now;
            at += lowest_bit(at);
        }
    }

    /// Returns the sum of the first `count` heights. O(log n).
    pub fn prefix(&self, count: usize) -> u64 {
        let count = count.min(self.len());
        let whole = count / GROUP_LENGTH;
        let rest = self.rows.get(whole * GROUP_LENGTH..count).unwrap_or_default();
        self.groups_prefix(whole) + rest.iter().map(|rows| u64::from(*rows)).sum::<u64>()
    }

    pub fn total(&self) -> u64 {
        self.groups_prefix(self.tree.len())
    }

    /// Returns the item that holds this row and the row within it; the last item's end past the end. O(log n).
    pub fn find(&self, row: u64) -> Option<(usize, u32)> {
        let last = self.len().checked_sub(1)?;
        let (mut group, mut left) = (0, row);
        let mut step = self.tree.len().checked_ilog2().map_or(0, |bits| 1 << bits);
        while step > 0 {
            if let Some(&sum) = self.tree.get(group + step - 1)
                && sum <= left
            {
                group += step;
                left -= sum;
            }
            step /= 2;
        }
        for (index, &rows) in self.rows.iter().enumerate().skip(group * GROUP_LENGTH) {
            if left < u64::from(rows) {
                return Some((index, left as u32));
            }
            left -= u64::from(rows);
        }
        Some((last, self.get(last).saturating_sub(1)))
    }

    /// Forgets all and takes these. O(n).
    pub fn rebuild(&mut self, rows: impl Iterator<Item = u32>) {
        self.rows.clear();
        self.rows.extend(rows);
        self.tree.clear();
        for at in (0..self.rows.len()).step_by(GROUP_LENGTH) {
            let group = self.rows.iter().skip(at).take(GROUP_LENGTH);
            let sum = group.map(|rows| u64::from(*rows)).sum();
            self.push_group(sum);
        }
    }

    fn push_group(&mut self, rows: u64) {
        let n = self.tree.len() + 1;
        let mut sum = rows;
        let mut below = n - 1;
        let stop = n - lowest_bit(n);
        while below > stop {
            sum += self.tree.get(below - 1).copied().unwrap_or(0);
            below -= lowest_bit(below);
        }
        self.tree.push(sum);
    }

    fn groups_prefix(&self, mut at: usize) -> u64 {
        let mut sum = 0;
        while at > 0 {
            sum += self.tree.get(at - 1).copied().unwrap_or(0);
            at -= lowest_bit(at);
        }
        sum
    }
}

fn lowest_bit(n: usize) -> usize {
    n & n.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn empty_has_no_rows() {
        assert_eq!((Heights::default().total(), Heights::default().find(0)), (0, None));
    }

    #[test]
    fn a_hundred_thousand_items_sum_up() {
        let mut heights = Heights::default();
        heights.rebuild((0..100_000).map(|i| i % 7));
        heights.push(5);
        assert_eq!(heights.total(), (0..100_000u64).map(|i| i % 7).sum::<u64>() + 5);
        assert_eq!(heights.find(heights.total() - 1), Some((100_000, 4)));
        assert!(heights.tree.len() * size_of::<u64>() * 16 < heights.rows.len() * size_of::<u32>());
    }

    proptest! {
        #[test]
        fn sums_match_a_plain_list(
            built in proptest::collection::vec(0u32..9, 0..400),
            pushed in proptest::collection::vec(0u32..9, 0..200),
            sets in proptest::collection::vec((any::<prop::sample::Index>(), 0u32..9), 0..20),
            row in 0u64..4_000,
        ) {
            let mut plain = built.clone();
            let mut heights = Heights::default();
            heights.rebuild(built.into_iter());
            for rows in pushed {
                plain.push(rows);
                heights.push(rows);
            }
            for (index, rows) in sets {
                if !plain.is_empty() {
                    let index = index.index(plain.len());
                    plain[index] = rows;
                    heights.set(index, rows);
                }
            }
            for count in 0..=plain.len() {
                prop_assert_eq!(heights.prefix(count), plain[..count].iter().map(|&r| u64::from(r)).sum::<u64>());
            }
            if let Some((index, within)) = heights.find(row) {
                if row < heights.total() {
                    prop_assert_eq!(heights.prefix(index) + u64::from(within), row);
                    prop_assert!(within < plain[index]);
                }
            } else {
                prop_assert!(plain.is_empty());
            }
        }
    }
}
