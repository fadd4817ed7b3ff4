//! Work on many small things, shared by a few threads.

/// Fewer things than these are worked on by the caller alone: to start threads would take longer.
const MIN_SHARED_ITEMS: usize = 512;

/// Returns what `work` makes of all pieces of `items`, in their order. A panic of it is the caller's.
pub(super) fn in_pieces<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    if items.len() < MIN_SHARED_ITEMS {
        return work(items);
    }
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let pieces = items.chunks(items.len().div_ceil(workers));
        let working: Vec<_> = pieces.map(|piece| scope.spawn(|| work(piece))).collect();
        working
            .into_iter()
            .flat_map(|piece| piece.join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_many_things_is_in_their_order() {
        for count in [0, 1, MIN_SHARED_ITEMS - 1, MIN_SHARED_ITEMS, 3 * MIN_SHARED_ITEMS + 1] {
            let items: Vec<usize> = (0..count).collect();
            let even = in_pieces(&items, |piece| piece.iter().filter(|n| *n % 2 == 0).copied().collect());
            assert_eq!(even, (0..count).step_by(2).collect::<Vec<_>>());
        }
    }
}
