//! Lists and texts of a whole session, in chunks: they grow without being moved, so none ever takes up twice its size.
//!
//! Nothing is removed but with the whole. The invariant: every chunk but the last is full, so equal contents are equal.

use std::ops::{Index, IndexMut, Range};

/// Elements of a full chunk.
const CHUNK_LENGTH: usize = 512;
/// Bytes of a chunk of texts.
const TEXT_CHUNK_BYTES: usize = 64 << 10;
/// A longer text has a chunk of its own.
const MAX_SHARED_TEXT_BYTES: usize = TEXT_CHUNK_BYTES / 8;

/// A list that only grows.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkedVec<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for ChunkedVec<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> ChunkedVec<T> {
    pub fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK_LENGTH + last.len())
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK_LENGTH)?.get(index % CHUNK_LENGTH)
    }

    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK_LENGTH)?.get_mut(index % CHUNK_LENGTH)
    }

    pub fn last(&self) -> Option<&T> {
        self.chunks.last()?.last()
    }

    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.chunks.last_mut()?.last_mut()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        (0..self.len()).map(|index| &self[index])
    }

    /// Returns the elements with these indexes, as far as there are any.
    pub fn range(&self, indexes: Range<usize>) -> impl DoubleEndedIterator<Item = &T> {
        (indexes.start..indexes.end.min(self.len())).map(|index| &self[index])
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten()
    }

    pub fn push(&mut self, value: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_LENGTH => last.push(value),
            None => self.chunks.push(vec![value]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK_LENGTH);
                chunk.push(value);
                self.chunks.push(chunk);
            }
        }
    }
}

impl<T> Index<usize> for ChunkedVec<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.chunks[index / CHUNK_LENGTH][index % CHUNK_LENGTH]
    }
}

impl<T> IndexMut<usize> for ChunkedVec<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunks[index / CHUNK_LENGTH][index % CHUNK_LENGTH]
    }
}

/// Texts that don't change any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TextArena {
    chunks: Vec<String>,
    /// The chunk that short texts are put into.
    current: Option<usize>,
}

/// A text in a [`TextArena`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextRef {
    chunk: u32,
    start: u32,
    length: u32,
}

impl TextArena {
    /// Keeps a text; what is beyond 4 GiB of it is cut off.
    pub(super) fn push(&mut self, text: &str) -> TextRef {
        let text = &text[..text.floor_char_boundary(u32::MAX as usize)];
        if text.is_empty() {
            return TextRef::default();
        }
        if text.len() > MAX_SHARED_TEXT_BYTES {
            self.chunks.push(text.to_owned());
            return TextRef { chunk: (self.chunks.len() - 1) as u32, start: 0, length: text.len() as u32 };
        }
        let has_room = |texts: &String| texts.len() + text.len() <= TEXT_CHUNK_BYTES;
        let current = self.current.filter(|current| self.chunks.get(*current).is_some_and(has_room));
        let chunk = current.unwrap_or_else(|| {
            self.chunks.push(String::with_capacity(TEXT_CHUNK_BYTES));
            self.chunks.len() - 1
        });
        self.current = Some(chunk);
        let Some(texts) = self.chunks.get_mut(chunk) else { return TextRef::default() };
        let start = texts.len();
        texts.push_str(text);
        TextRef { chunk: chunk as u32, start: start as u32, length: text.len() as u32 }
    }

    pub(super) fn get(&self, TextRef { chunk, start, length }: TextRef) -> &str {
        let (start, length) = (start as usize, length as usize);
        self.chunks.get(chunk as usize).and_then(|texts| texts.get(start..start + length)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_as_long_as_what_was_put_into_it() {
        let mut list = ChunkedVec::default();
        assert!(list.is_empty() && list.last().is_none() && list.get(0).is_none());
        for n in 0..CHUNK_LENGTH * 2 + 3 {
            assert_eq!(list.len(), n);
            list.push(n);
            assert_eq!((list.last(), list.get(n), list.get(n + 1)), (Some(&n), Some(&n), None));
        }
        assert!(list.iter().copied().eq(0..list.len()));
        assert_eq!(list.iter().next_back(), list.last());
        assert_eq!(list.iter_mut().count(), list.len());
    }

    #[test]
    fn a_list_takes_no_more_than_a_chunk_beyond_its_elements() {
        let mut list = ChunkedVec::default();
        for n in 0..=CHUNK_LENGTH * 9 {
            list.push(n);
        }
        let capacity: usize = list.chunks.iter().map(Vec::capacity).sum();
        assert!(capacity <= CHUNK_LENGTH * 10, "{capacity}");
    }

    #[test]
    fn texts_stay_what_they_were_and_take_no_more_than_an_eighth_beyond() {
        let mut arena = TextArena::default();
        let texts: Vec<String> = (0..3_000_usize).map(|n| "é".repeat(n % 7 * n / 9)).collect();
        let kept: Vec<TextRef> = texts.iter().map(|text| arena.push(text)).collect();
        for (text, kept) in texts.iter().zip(kept) {
            assert_eq!(arena.get(kept), text);
        }
        let bytes: usize = texts.iter().map(String::len).sum();
        let capacity: usize = arena.chunks.iter().map(String::capacity).sum();
        assert!(capacity <= bytes / 7 * 8 + TEXT_CHUNK_BYTES, "{capacity} for {bytes}");
        assert_eq!(arena.get(TextRef::default()).len(), 0);
    }
}
