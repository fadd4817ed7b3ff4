//! PURE. LocatedBytes that were found in a stream, and where each of them stands there.

use std::ops::Range;

/// LocatedBytes of a text; those of an escape are wider in the stream than one byte.
#[derive(Debug, Default)]
pub(super) struct LocatedBytes {
    letters: Vec<u8>,
    /// Where they stand, as few runs as can tell it. The first begins with the first letter.
    runs: Vec<Run>,
}

/// LocatedBytes that follow one another in the stream.
#[derive(Clone, Debug)]
struct Run {
    /// The first of them, counted in the text.
    first: usize,
    /// Where that one stands in the stream.
    place: usize,
    /// Bytes of each in the stream.
    width: usize,
}

impl LocatedBytes {
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.letters
    }

    /// Returns where the first letter stands.
    pub(super) fn start(&self) -> Option<usize> {
        self.runs.first().map(|run| run.place)
    }

    pub(super) fn clear(&mut self) {
        self.letters.clear();
        self.runs.clear();
    }

    /// Adds bytes that stand in the stream as they are.
    pub(super) fn extend(&mut self, bytes: &[u8], place: usize) {
        if bytes.is_empty() {
            return;
        }
        let first = self.letters.len();
        let goes_on = self.runs.last().is_some_and(|run| run.width == 1 && run.place + (first - run.first) == place);
        if !goes_on {
            self.runs.push(Run { first, place, width: 1 });
        }
        self.letters.extend_from_slice(bytes);
    }

    /// The same, but keeps no more than so many letters.
    pub(super) fn extend_up_to(&mut self, most: usize, bytes: &[u8], place: usize) {
        let room = most.saturating_sub(self.letters.len()).min(bytes.len());
        self.extend(&bytes[..room], place);
    }

    /// Adds a letter that is so many bytes wide in the stream.
    pub(super) fn push(&mut self, letter: u8, place: usize, width: usize) {
        self.runs.push(Run { first: self.letters.len(), place, width });
        self.letters.push(letter);
    }

    /// Moves all of another text behind this one.
    pub(super) fn append(&mut self, other: &mut Self) {
        let before = self.letters.len();
        self.letters.append(&mut other.letters);
        self.runs.extend(other.runs.drain(..).map(|run| Run { first: before + run.first, ..run }));
    }

    /// Returns the letters from one on.
    pub(super) fn split_off(mut self, from: usize) -> Self {
        if from == 0 {
            return self;
        }
        let letters = self.letters.split_off(from);
        if letters.is_empty() {
            return Self::default();
        }
        let begins = self.runs.partition_point(|run| run.first <= from) - 1;
        let runs = self.runs.drain(begins..).map(|run| {
            let skipped = from.saturating_sub(run.first);
            Run { first: (run.first + skipped) - from, place: run.place + skipped * run.width, ..run }
        });
        Self { letters, runs: runs.collect() }
    }

    /// Returns where these letters stand in the stream, in order.
    pub(super) fn places(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        self.runs.iter().enumerate().filter_map(move |(nth, run)| {
            let end = self.runs.get(nth + 1).map_or(self.letters.len(), |next| next.first);
            let (from, to) = (range.start.max(run.first), range.end.min(end));
            let place = |letter: usize| run.place + (letter - run.first) * run.width;
            (from < to).then(|| place(from)..place(to))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(letters: &LocatedBytes) -> Vec<Range<usize>> {
        (0..letters.len()).flat_map(|n| letters.places(n..n + 1).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_letter_knows_its_place_also_after_it_was_moved() {
        let mut letters = LocatedBytes::default();
        letters.extend(b"ab", 10);
        letters.extend(b"c", 12);
        letters.push(b'/', 13, 2);
        letters.extend(b"de", 15);
        assert_eq!((letters.runs.len(), letters.start()), (3, Some(10)));
        let all = [10..11, 11..12, 12..13, 13..15, 15..16, 16..17];
        assert_eq!(places(&letters), all);
        assert_eq!(letters.places(1..5).collect::<Vec<_>>(), [11..13, 13..15, 15..16]);
        for from in 0..=all.len() {
            let mut before = LocatedBytes::default();
            before.extend(b"x", 3);
            let mut end = LocatedBytes { letters: letters.letters.clone(), runs: letters.runs.clone() }.split_off(from);
            assert_eq!((end.as_slice(), places(&end)), (&b"abc/de"[from..], all[from..].to_vec()));
            before.append(&mut end);
            let expected: Vec<_> = std::iter::once(3..4).chain(all[from..].iter().cloned()).collect();
            assert_eq!(places(&before), expected);
        }
    }

    #[test]
    fn no_more_is_kept_than_asked_for() {
        let mut letters = LocatedBytes::default();
        letters.extend_up_to(3, b"ab", 0);
        letters.extend_up_to(3, b"cd", 2);
        assert_eq!(letters.as_slice(), b"abc");
    }
}
