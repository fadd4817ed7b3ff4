//! Text that comes in pieces and then again as a whole, as in many formats' closing frames: told once, corrected where
//! the whole says something else. And pieces that themselves say again what was said.

use std::borrow::Cow;

/// Bytes of a text that are remembered to be compared. A longer one is trusted as it was streamed.
const MOST: usize = 4 * 1024 * 1024;

/// A text that was told so far, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Told {
    text: String,
    /// Too long to be remembered.
    over: bool,
    /// What the wire said the whole text was, where that is not what was told.
    other: Option<String>,
    repeated: bool,
}

impl Told {
    pub(super) fn add(&mut self, piece: &str) {
        if self.over || self.text.len().saturating_add(piece.len()) > MOST {
            self.over = true;
            self.text = String::new();
        } else {
            self.text.push_str(piece);
        }
    }

    /// Returns what was told; empty where that is too long to be remembered.
    pub(super) fn said(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.over
    }

    /// Whether this and nothing else was told.
    pub(super) fn is(&self, text: &str) -> bool {
        !self.over && self.text == text
    }

    /// Takes the whole text, and returns the piece that is still to be told so that nothing is missing. Where the
    /// whole does not begin with what was told, [`Self::full`] is the correction.
    pub(super) fn whole<'a>(&mut self, whole: &'a str) -> &'a str {
        if self.over {
            return "";
        }
        self.repeated = true;
        self.other = None;
        let rest = whole.strip_prefix(self.text.as_str());
        if rest.is_none() {
            self.other = Some(whole.chars().take(MOST).collect());
        }
        rest.unwrap_or_default()
    }

    /// Returns the whole text where the wire repeated it.
    pub(super) fn full(&self) -> Option<&str> {
        self.repeated.then(|| self.other.as_deref().unwrap_or(&self.text)).filter(|_| !self.over)
    }
}

/// Bytes from which on a text that is said twice in a row is taken for a repetition. Shorter ones are syllables.
const LEAST: usize = 4;

/// The pieces of one text, of which some servers repeat in each all that was said, or in the last one.
///
/// The rule: a piece that begins with the whole text so far and is longer is held back. If the next piece does the same
/// to it, the pieces are cumulative from then on and only what is new of each is told; any other piece shows that the
/// one held back was a piece like all others. If none follows, the piece is a repetition where it says again what came
/// in two pieces or more besides blanks, unless that is shorter than four bytes or itself one thing said several times
/// ("ha" and "haha" are laughter). Behind a single piece it is a piece: two are too few to tell, unless the server says
/// that the second is the last. There a text that merely equals what was said is not even held back.
///
/// Costs no more than the piece is long: a text is compared only with pieces that are at least as long as it.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    said: String,
    /// Bytes said; more than are kept of a text that is too long to be compared.
    size: usize,
    /// Pieces that were more than blanks: only of those two make a text that a third can repeat.
    inked: usize,
    /// Pieces that are held back, joined, and where the last of them begins.
    held: String,
    last: usize,
    cumulative: bool,
    /// What the wire now says the text is, where that does not begin with what was said.
    other: Option<String>,
    /// Bytes that were compared, so that a test can count.
    #[cfg(test)]
    compared: usize,
}

impl Pieces {
    /// Takes a piece and returns what is to be told now.
    pub(super) fn take<'a>(&mut self, piece: Cow<'a, str>) -> Cow<'a, str> {
        if piece.is_empty() {
            return piece;
        }
        if self.cumulative {
            let known = self.grown(&piece);
            return cut(piece, known);
        }
        if !self.held.is_empty() {
            return self.after_held(&piece).into();
        }
        // Two pieces are the least that a third can repeat; a longer one may repeat a single one.
        let may_repeat = match self.inked {
            _ if self.size == 0 => false,
            0 | 1 => piece.len() > self.size,
            _ => piece.len() >= self.size && self.size >= LEAST,
        };
        if may_repeat && self.is_begun_by(&piece) && (self.inked < 2 || !is_periodic(&self.said)) {
            self.held.push_str(&piece);
            self.last = 0;
            return Cow::Borrowed("");
        }
        self.add(&piece);
        piece
    }

    /// Adds what is certainly new.
    pub(super) fn more(&mut self, text: &str) {
        self.add(text);
    }

    /// Takes the piece with which the answer ends: it may repeat a single one.
    pub(super) fn take_last<'a>(&mut self, piece: Cow<'a, str>) -> Cow<'a, str> {
        let may_repeat = self.held.is_empty() && self.said.len() >= LEAST && piece.len() >= self.size;
        if may_repeat && self.is_begun_by(&piece) && !is_periodic(&self.said) {
            let known = self.size;
            self.add(piece.get(known..).unwrap_or_default());
            return cut(piece, known);
        }
        self.take(piece)
    }

    /// Gives up what was held back: nothing more is to come, or something that is no text.
    pub(super) fn settle(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return held;
        }
        let is_one = self.last == 0;
        let last = held.get(std::mem::take(&mut self.last)..).unwrap_or_default();
        if is_one && (self.inked < 2 || self.said.len() < LEAST || is_periodic(&self.said)) {
            self.add(&held);
            return held;
        }
        let new = last.get(self.said.len()..).unwrap_or_default().to_owned();
        self.add(&new);
        new
    }

    /// Takes the text as a whole, of which everything that was held back is a repetition, and returns what was not told
    /// of it; none where it is another text.
    pub(super) fn whole<'a>(&mut self, whole: &'a str) -> Option<&'a str> {
        if self.is_over() {
            return Some("");
        }
        let told = if whole.starts_with(&self.said) { self.said.len() } else { return None };
        self.forget_held();
        let rest = whole.get(told..).unwrap_or_default();
        self.add(rest);
        Some(rest)
    }

    /// Forgets what was held back: the whole is known.
    pub(super) fn forget_held(&mut self) {
        self.held = String::new();
        self.last = 0;
    }

    /// The wire says that this is the text, and not what was said.
    pub(super) fn correct(&mut self, whole: &str) {
        self.other = Some(whole.chars().take(MOST).collect());
    }

    /// Returns the correction, if there was one.
    pub(super) fn corrected(&self) -> Option<&str> {
        self.other.as_deref()
    }

    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// Whether nothing was said, and nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The text is too long to be kept.
    fn is_over(&self) -> bool {
        self.size > self.said.len()
    }

    fn after_held(&mut self, piece: &str) -> String {
        let last = self.held.get(self.last..).unwrap_or_default();
        if piece.starts_with(last) {
            if piece.len() == last.len() && (last.len() < LEAST || is_periodic(last)) {
                // Nothing tells a snapshot from a syllable.
            } else if piece.len() == last.len() {
                self.last = self.held.len();
                self.held.push_str(piece);
                return String::new();
            } else {
                self.cumulative = true;
                self.held = String::new();
                self.last = 0;
                let known = self.grown(piece);
                return piece.get(known..).unwrap_or_default().to_owned();
            }
        }
        let mut honest = std::mem::take(&mut self.held);
        self.last = 0;
        honest.push_str(piece);
        self.add(&honest);
        honest
    }

    /// Takes a text that repeats all before it, and returns how much of it is known.
    fn grown(&mut self, piece: &str) -> usize {
        if self.is_over() {
            let known = self.size.min(piece.len());
            self.size = self.size.max(piece.len());
            return if piece.is_char_boundary(known) { known } else { piece.len() };
        }
        if let Some(other) = self.other.as_mut().filter(|other| piece.starts_with(other.as_str())) {
            piece.clone_into(other);
            return piece.len();
        }
        self.count_work(piece.len().min(self.size));
        let same = piece.bytes().zip(self.said.bytes()).take_while(|(new, old)| new == old).count();
        if same == self.said.len() {
            let new = piece.get(same..).unwrap_or_default().to_owned();
            self.add(&new);
            return same;
        }
        if same == piece.len() {
            return same;
        }
        if same * 2 >= self.said.len() {
            self.correct(piece);
            return piece.len();
        }
        // A piece after all.
        self.add(piece);
        0
    }

    fn add(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        self.inked += usize::from(!piece.trim().is_empty());
        let kept = !self.is_over() && self.size.saturating_add(piece.len()) <= MOST;
        self.size = self.size.saturating_add(piece.len());
        if kept {
            self.said.push_str(piece);
        } else {
            self.said = String::new();
        }
    }

    fn is_begun_by(&mut self, piece: &str) -> bool {
        self.count_work(self.size);
        !self.is_over() && piece.starts_with(&self.said)
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::needless_pass_by_ref_mut))]
    fn count_work(&mut self, bytes: usize) {
        #[cfg(test)]
        {
            self.compared += bytes;
        }
        #[cfg(not(test))]
        let _ = bytes;
    }
}

/// Returns the piece without its known beginning.
fn cut(piece: Cow<'_, str>, known: usize) -> Cow<'_, str> {
    match piece {
        Cow::Borrowed(piece) => piece.get(known..).unwrap_or_default().into(),
        Cow::Owned(mut piece) => piece.split_off(known).into(),
    }
}

/// Whether a text is one shorter text said several times.
fn is_periodic(text: &str) -> bool {
    // A text is found inside itself written twice only where it repeats itself.
    let twice = text.repeat(2);
    let inside = twice.as_bytes().get(1..twice.len().saturating_sub(1)).unwrap_or_default();
    memchr::memmem::find(inside, text.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_tells_only_what_is_missing() {
        let mut told = Told::default();
        told.add("Hel");
        assert_eq!(told.full(), None);
        assert_eq!(told.whole("Hello"), "lo");
        told.add("lo");
        assert_eq!(told.whole("Hello"), "");
        assert_eq!(told.full(), Some("Hello"));
    }

    #[test]
    fn a_whole_that_differs_corrects_what_was_told() {
        let mut told = Told::default();
        told.add("Hello");
        assert_eq!((told.whole("Bye"), told.full()), ("", Some("Bye")));
    }

    #[test]
    fn an_endless_text_is_not_remembered() {
        let mut told = Told::default();
        for _ in 0..5 {
            told.add(&"x".repeat(1024 * 1024));
        }
        assert_eq!((told.is_empty(), told.text.len(), told.whole("x"), told.full()), (false, 0, "", None));
    }

    /// What is told of these pieces, in all.
    fn told(pieces: &[&str]) -> String {
        let mut state = Pieces::default();
        let mut told: String = pieces.iter().map(|piece| state.take(Cow::Borrowed(piece)).into_owned()).collect();
        told.push_str(&state.settle());
        assert_eq!(state.said(), told);
        told
    }

    #[test]
    fn pieces_that_each_repeat_all_before_them_are_told_once() {
        assert_eq!(told(&["Here i", "Here is a", "Here is a table", "Here is a table:\n\n|"]), "Here is a table:\n\n|");
        assert_eq!(told(&["a", "ab", "abc", "abc"]), "abc");
        // The same state again, and one that is behind.
        assert_eq!(told(&["Well", "Well,", "Well,", "Well, yes", "Well,", "Well, yes!"]), "Well, yes!");
        assert_eq!(told(&["Hello", "Hello there.", "Hello there."]), "Hello there.");
        assert_eq!(told(&["über", "über ü", "über üb"]), "über üb");
    }

    #[test]
    fn a_last_piece_that_says_all_again_is_no_more_text() {
        assert_eq!(told(&["Rain in ", "Spain.", "Rain in Spain."]), "Rain in Spain.");
        assert_eq!(told(&["Rain in ", "Spain.", "Rain in Spain. Ever."]), "Rain in Spain. Ever.");
        let mut state = Pieces::default();
        state.take("Rain in Spain.".into());
        assert_eq!(state.take_last("Rain in Spain. Ever.".into()), " Ever.");
        assert_eq!(told(&["Rain ", "in ", "Rain in ", "Rain in Spain", "Rain in Spain."]), "Rain in Spain.");
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
            assert_eq!(told(pieces), pieces.concat(), "{pieces:?}");
        }
    }

    #[test]
    fn what_a_later_snapshot_says_otherwise_is_a_correction() {
        let mut state = Pieces::default();
        for piece in ["The cat", "The cat sat", "The cat sat on", "The cat lay on", "The cat lay on it"] {
            state.take(piece.into());
        }
        assert_eq!((state.said(), state.corrected()), ("The cat sat on", Some("The cat lay on it")));
    }

    #[test]
    fn a_whole_is_told_as_far_as_it_was_not() {
        let mut state = Pieces::default();
        state.take("Rain ".into());
        assert_eq!(state.whole("Rain in Spain"), Some("in Spain"));
        assert_eq!(state.whole("Rain in Spain"), Some(""));
        assert_eq!(state.whole("Sun"), None);
    }

    #[test]
    fn watching_for_repetitions_costs_no_more_than_the_pieces_are_long() {
        let mut state = Pieces::default();
        let mut size = 0;
        for n in 0..20_000 {
            let piece = format!("word{n} ");
            size += piece.len();
            assert_eq!(state.take(piece.as_str().into()), piece);
        }
        assert!(state.compared <= size, "{} bytes were compared for {size}", state.compared);
    }

    #[test]
    fn snapshots_too_long_to_be_compared_are_still_told_once() {
        let mut state = Pieces::default();
        let (mut whole, mut told) = (String::new(), 0);
        for n in 0..20 {
            whole.push_str(&format!("{n}").repeat(300_000));
            told += state.take(whole.as_str().into()).len();
        }
        told += state.settle().len();
        assert_eq!(told, whole.len());
    }
}
