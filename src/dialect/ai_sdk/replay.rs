//! A stream that is resumed is told again from its start: what was told before the break is left out.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Frames that are remembered; a longer stream is told again from there on.
const MAX_FRAMES: usize = 256 * 1024;

/// Recognizes the frames of a repetition by their order.
#[derive(Debug, Default)]
pub(super) struct ReplayFilter {
    /// Hashes of the frames so far.
    seen: Vec<u64>,
    /// The next frame that may be repeated.
    next: Option<usize>,
}

impl ReplayFilter {
    /// Another response goes on with the stream.
    pub(super) fn restart(&mut self) {
        self.next = (!self.seen.is_empty()).then_some(0);
    }

    /// Returns whether the frame repeats one from before the break.
    pub(super) fn is_repeated(&mut self, data: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(next) = self.next {
            if self.seen.get(next) == Some(&hash) {
                self.next = Some(next + 1).filter(|next| *next < self.seen.len());
                return true;
            }
            // It goes on instead.
            self.next = None;
        }
        if self.seen.len() < MAX_FRAMES {
            self.seen.push(hash);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(filter: &mut ReplayFilter, frames: &[&str]) -> Vec<String> {
        frames.iter().filter(|frame| !filter.is_repeated(frame)).map(|frame| (*frame).to_owned()).collect()
    }

    #[test]
    fn a_stream_that_is_told_again_goes_on_where_it_broke_off() {
        let mut filter = ReplayFilter::default();
        filter.restart();
        assert_eq!(told(&mut filter, &["a", "b", "b"]), ["a", "b", "b"]);
        filter.restart();
        assert_eq!(told(&mut filter, &["a", "b", "b", "b", "c"]), ["b", "c"]);
        filter.restart();
        assert_eq!(told(&mut filter, &["c", "a"]), ["c", "a"], "this one was not told again");
    }
}
