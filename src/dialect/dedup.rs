//! Deduplicates text that is streamed and then repeated as a whole, as in the closing frames of many formats: emitted
//! once, corrected where the whole differs. Also deltas that repeat the text before them.

use std::borrow::Cow;

/// Bytes of a text kept for comparison. A longer one is trusted as it was streamed.
const MAX_COMPARED_BYTES: usize = 4 * 1024 * 1024;

/// The text emitted so far.
#[derive(Debug, Default)]
pub(super) struct StreamedText {
    text: String,
    /// Too long to be kept.
    is_too_long: bool,
    /// The whole text from the server, where it does not continue what was emitted.
    correction: Option<String>,
    is_repeated: bool,
}

impl StreamedText {
    pub(super) fn push(&mut self, piece: &str) {
        if self.is_too_long || self.text.len().saturating_add(piece.len()) > MAX_COMPARED_BYTES {
            self.is_too_long = true;
            self.text = String::new();
        } else {
            self.text.push_str(piece);
        }
    }

    /// Returns the text emitted so far; empty where it is too long to be kept.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.is_too_long
    }

    /// Returns whether exactly this text was emitted.
    pub(super) fn equals(&self, text: &str) -> bool {
        !self.is_too_long && self.text == text
    }

    /// Takes the whole text and returns the rest that was not emitted yet. Where the whole does not start with what was
    /// emitted, [`Self::full_text`] is the correction.
    pub(super) fn reconcile<'a>(&mut self, whole: &'a str) -> &'a str {
        if self.is_too_long {
            return "";
        }
        self.is_repeated = true;
        self.correction = None;
        let rest = whole.strip_prefix(self.text.as_str());
        if rest.is_none() {
            self.correction = Some(whole.chars().take(MAX_COMPARED_BYTES).collect());
        }
        rest.unwrap_or_default()
    }

    /// Returns the whole text, where the server repeated it.
    pub(super) fn full_text(&self) -> Option<&str> {
        self.is_repeated.then(|| self.correction.as_deref().unwrap_or(&self.text)).filter(|_| !self.is_too_long)
    }
}

/// Bytes from which a text that comes twice in a row counts as a repetition. Shorter ones are syllables.
const MIN_REPEATED_BYTES: usize = 4;

/// The deltas of one text, where some servers repeat everything so far in each delta, or in the last one.
///
/// The rule: a delta that starts with the whole text so far and is longer is held back. If the next delta does the same
/// to it, the deltas are cumulative from then on and only the new part of each is emitted; any other delta shows that
/// the one held back was ordinary. If none follows, it is a repetition where it repeats a text of two deltas or more
/// (not counting white space), unless that text is shorter than four bytes or is itself periodic ("ha" and "haha" are
/// laughter). After a single delta it is ordinary: two are too few to tell, unless the server says that the second is
/// the last. A delta that merely equals a single one before it is not even held back.
///
/// The cost of a delta is linear in its length: a text is compared only with deltas that are at least as long.
#[derive(Debug, Default)]
pub(super) struct DeltaDedup {
    text: String,
    /// Bytes of the text; more than are kept of a text that is too long to be compared.
    text_bytes: usize,
    /// Deltas that were more than white space: only two of those make a text that a third can repeat.
    non_blank_pieces: usize,
    /// Deltas held back, joined, and the offset of the last one.
    held: String,
    last_held_offset: usize,
    cumulative: bool,
    /// The text according to the server, where it does not start with what was emitted.
    correction: Option<String>,
    /// Bytes compared so far, for tests of the cost.
    #[cfg(test)]
    compared_bytes: usize,
}

impl DeltaDedup {
    /// Takes a delta and returns the text to emit now.
    pub(super) fn push<'a>(&mut self, piece: Cow<'a, str>) -> Cow<'a, str> {
        if piece.is_empty() {
            return piece;
        }
        if self.cumulative {
            let known = self.push_cumulative(&piece);
            return skip_known(piece, known);
        }
        if !self.held.is_empty() {
            return self.push_after_held(&piece).into();
        }
        // A text needs two deltas for a third to repeat it; a longer delta may repeat a single one.
        let may_repeat = match self.non_blank_pieces {
            _ if self.text_bytes == 0 => false,
            0 | 1 => piece.len() > self.text_bytes,
            _ => piece.len() >= self.text_bytes && self.text_bytes >= MIN_REPEATED_BYTES,
        };
        if may_repeat && self.is_prefix_of(&piece) && (self.non_blank_pieces < 2 || !is_periodic(&self.text)) {
            self.held.push_str(&piece);
            self.last_held_offset = 0;
            return Cow::Borrowed("");
        }
        self.append(&piece);
        piece
    }

    /// Adds text that is known to be new.
    pub(super) fn push_new(&mut self, text: &str) {
        self.append(text);
    }

    /// Takes the last delta of the answer: it may repeat a single one.
    pub(super) fn push_last<'a>(&mut self, piece: Cow<'a, str>) -> Cow<'a, str> {
        let may_repeat =
            self.held.is_empty() && self.text.len() >= MIN_REPEATED_BYTES && piece.len() >= self.text_bytes;
        if may_repeat && self.is_prefix_of(&piece) && !is_periodic(&self.text) {
            let known = self.text_bytes;
            self.append(piece.get(known..).unwrap_or_default());
            return skip_known(piece, known);
        }
        self.push(piece)
    }

    /// Returns the text to emit of what was held back, when no text follows.
    pub(super) fn flush(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return held;
        }
        let is_one = self.last_held_offset == 0;
        let last = held.get(std::mem::take(&mut self.last_held_offset)..).unwrap_or_default();
        if is_one && (self.non_blank_pieces < 2 || self.text.len() < MIN_REPEATED_BYTES || is_periodic(&self.text)) {
            self.append(&held);
            return held;
        }
        let new = last.get(self.text.len()..).unwrap_or_default().to_owned();
        self.append(&new);
        new
    }

    /// Takes the whole text, in which everything held back is a repetition, and returns the rest that was not emitted;
    /// none where it is another text.
    pub(super) fn reconcile<'a>(&mut self, whole: &'a str) -> Option<&'a str> {
        if self.is_too_long() {
            return Some("");
        }
        let known_bytes = if whole.starts_with(&self.text) { self.text.len() } else { return None };
        self.discard_held();
        let rest = whole.get(known_bytes..).unwrap_or_default();
        self.append(rest);
        Some(rest)
    }

    /// Drops what was held back: the whole is known.
    pub(super) fn discard_held(&mut self) {
        self.held = String::new();
        self.last_held_offset = 0;
    }

    /// Sets the text according to the server, in place of what was emitted.
    pub(super) fn set_correction(&mut self, whole: &str) {
        self.correction = Some(whole.chars().take(MAX_COMPARED_BYTES).collect());
    }

    pub(super) fn correction(&self) -> Option<&str> {
        self.correction.as_deref()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether the text is empty so far.
    pub(super) fn is_empty(&self) -> bool {
        self.text_bytes == 0
    }

    fn is_too_long(&self) -> bool {
        self.text_bytes > self.text.len()
    }

    fn push_after_held(&mut self, piece: &str) -> String {
        let last = self.held.get(self.last_held_offset..).unwrap_or_default();
        if piece.starts_with(last) {
            if piece.len() == last.len() && (last.len() < MIN_REPEATED_BYTES || is_periodic(last)) {
                // A snapshot can't be told from a syllable.
            } else if piece.len() == last.len() {
                self.last_held_offset = self.held.len();
                self.held.push_str(piece);
                return String::new();
            } else {
                self.cumulative = true;
                self.held = String::new();
                self.last_held_offset = 0;
                let known = self.push_cumulative(piece);
                return piece.get(known..).unwrap_or_default().to_owned();
            }
        }
        let mut honest = std::mem::take(&mut self.held);
        self.last_held_offset = 0;
        honest.push_str(piece);
        self.append(&honest);
        honest
    }

    /// Takes a cumulative delta and returns how many bytes of it are known.
    fn push_cumulative(&mut self, piece: &str) -> usize {
        if self.is_too_long() {
            let known = self.text_bytes.min(piece.len());
            self.text_bytes = self.text_bytes.max(piece.len());
            return if piece.is_char_boundary(known) { known } else { piece.len() };
        }
        if let Some(other) = self.correction.as_mut().filter(|other| piece.starts_with(other.as_str())) {
            piece.clone_into(other);
            return piece.len();
        }
        self.count_compared(piece.len().min(self.text_bytes));
        let same = piece.bytes().zip(self.text.bytes()).take_while(|(new, old)| new == old).count();
        if same == self.text.len() {
            let new = piece.get(same..).unwrap_or_default().to_owned();
            self.append(&new);
            return same;
        }
        if same == piece.len() {
            return same;
        }
        if same * 2 >= self.text.len() {
            self.set_correction(piece);
            return piece.len();
        }
        // An ordinary delta after all.
        self.append(piece);
        0
    }

    fn append(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        self.non_blank_pieces += usize::from(!piece.trim().is_empty());
        let kept = !self.is_too_long() && self.text_bytes.saturating_add(piece.len()) <= MAX_COMPARED_BYTES;
        self.text_bytes = self.text_bytes.saturating_add(piece.len());
        if kept {
            self.text.push_str(piece);
        } else {
            self.text = String::new();
        }
    }

    fn is_prefix_of(&mut self, piece: &str) -> bool {
        self.count_compared(self.text_bytes);
        !self.is_too_long() && piece.starts_with(&self.text)
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::needless_pass_by_ref_mut))]
    fn count_compared(&mut self, bytes: usize) {
        #[cfg(test)]
        {
            self.compared_bytes += bytes;
        }
        #[cfg(not(test))]
        let _ = bytes;
    }
}

/// Returns the delta without its known prefix.
fn skip_known(piece: Cow<'_, str>, known: usize) -> Cow<'_, str> {
    match piece {
        Cow::Borrowed(piece) => piece.get(known..).unwrap_or_default().into(),
        Cow::Owned(mut piece) => piece.split_off(known).into(),
    }
}

/// Returns whether a text is a shorter text repeated.
fn is_periodic(text: &str) -> bool {
    // A text occurs inside itself doubled, both ends cut off, only where it is periodic.
    let twice = text.repeat(2);
    let inside = twice.as_bytes().get(1..twice.len().saturating_sub(1)).unwrap_or_default();
    memchr::memmem::find(inside, text.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_tells_only_what_is_missing() {
        let mut emitted = StreamedText::default();
        emitted.push("Hel");
        assert_eq!(emitted.full_text(), None);
        assert_eq!(emitted.reconcile("Hello"), "lo");
        emitted.push("lo");
        assert_eq!(emitted.reconcile("Hello"), "");
        assert_eq!(emitted.full_text(), Some("Hello"));
    }

    #[test]
    fn a_whole_that_differs_corrects_what_was_told() {
        let mut emitted = StreamedText::default();
        emitted.push("Hello");
        assert_eq!((emitted.reconcile("Bye"), emitted.full_text()), ("", Some("Bye")));
    }

    #[test]
    fn an_endless_text_is_not_remembered() {
        let mut emitted = StreamedText::default();
        for _ in 0..5 {
            emitted.push(&"x".repeat(1024 * 1024));
        }
        assert_eq!(
            (emitted.is_empty(), emitted.text.len(), emitted.reconcile("x"), emitted.full_text()),
            (false, 0, "", None)
        );
    }

    /// The text emitted for these deltas.
    fn deduplicated(pieces: &[&str]) -> String {
        let mut state = DeltaDedup::default();
        let mut emitted: String = pieces.iter().map(|piece| state.push(Cow::Borrowed(piece)).into_owned()).collect();
        emitted.push_str(&state.flush());
        assert_eq!(state.text(), emitted);
        emitted
    }

    #[test]
    fn pieces_that_each_repeat_all_before_them_are_emitted_once() {
        assert_eq!(
            deduplicated(&["Here i", "Here is a", "Here is a table", "Here is a table:\n\n|"]),
            "Here is a table:\n\n|"
        );
        assert_eq!(deduplicated(&["a", "ab", "abc", "abc"]), "abc");
        // The same state again, and an older one.
        assert_eq!(deduplicated(&["Well", "Well,", "Well,", "Well, yes", "Well,", "Well, yes!"]), "Well, yes!");
        assert_eq!(deduplicated(&["Hello", "Hello there.", "Hello there."]), "Hello there.");
        assert_eq!(deduplicated(&["über", "über ü", "über üb"]), "über üb");
    }

    #[test]
    fn a_last_piece_that_says_all_again_is_no_more_text() {
        assert_eq!(deduplicated(&["Rain in ", "Spain.", "Rain in Spain."]), "Rain in Spain.");
        assert_eq!(deduplicated(&["Rain in ", "Spain.", "Rain in Spain. Ever."]), "Rain in Spain. Ever.");
        let mut state = DeltaDedup::default();
        state.push("Rain in Spain.".into());
        assert_eq!(state.push_last("Rain in Spain. Ever.".into()), " Ever.");
        assert_eq!(deduplicated(&["Rain ", "in ", "Rain in ", "Rain in Spain", "Rain in Spain."]), "Rain in Spain.");
    }

    #[test]
    fn honest_pieces_are_told_as_they_are() {
        for pieces in [
            &["ha", "ha", "haha"][..],
            &["ha", "haha", " they laughed"],
            &["a", "ab"],
            &["Hello", "Hello there."],
            &["Row, row\n", "Row, row\nyour boat"],
            &["Rain ", "Rain in Spain", "."],
            &["a", "ab", " and so on"],
            &["la ", "la ", "la la ", "land"],
            &["la ", "la ", "la la "],
            &["Row, row\n", "Row, row\n", "Row, row\n", "your boat"],
            &["-", "--", " x"],
            &["the same line\n", "the same line\nand more", "\nthen another"],
            &["x = 1", "\n", "x = 1\n", "y"],
            &["", "Hello", "", "!"],
            &["\n", "\n\n", "text"],
            &["\n\n", "the same line\n", "\n\nthe same line\n"],
        ] {
            assert_eq!(deduplicated(pieces), pieces.concat(), "{pieces:?}");
        }
    }

    #[test]
    fn what_a_later_snapshot_says_otherwise_is_a_correction() {
        let mut state = DeltaDedup::default();
        for piece in ["The cat", "The cat sat", "The cat sat on", "The cat lay on", "The cat lay on it"] {
            state.push(piece.into());
        }
        assert_eq!((state.text(), state.correction()), ("The cat sat on", Some("The cat lay on it")));
    }

    #[test]
    fn a_whole_is_told_as_far_as_it_was_not() {
        let mut state = DeltaDedup::default();
        state.push("Rain ".into());
        assert_eq!(state.reconcile("Rain in Spain"), Some("in Spain"));
        assert_eq!(state.reconcile("Rain in Spain"), Some(""));
        assert_eq!(state.reconcile("Sun"), None);
    }

    #[test]
    fn watching_for_repetitions_costs_no_more_than_the_pieces_are_long() {
        let mut state = DeltaDedup::default();
        let mut size = 0;
        for n in 0..20_000 {
            let piece = format!("word{n} ");
            size += piece.len();
            assert_eq!(state.push(piece.as_str().into()), piece);
        }
        assert!(state.compared_bytes <= size, "{} bytes were compared for {size}", state.compared_bytes);
    }

    #[test]
    fn snapshots_too_long_to_be_compared_are_still_emitted_once() {
        let mut state = DeltaDedup::default();
        let (mut whole, mut emitted) = (String::new(), 0);
        for n in 0..20 {
            whole.push_str(&format!("{n}").repeat(300_000));
            emitted += state.push(whole.as_str().into()).len();
        }
        emitted += state.flush().len();
        assert_eq!(emitted, whole.len());
    }
}
