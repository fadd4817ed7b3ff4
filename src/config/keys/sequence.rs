//! PURE. Keys that are pressed one after another.

use std::fmt;

use super::chord::{Chord, Key};

/// Keys of the longest sequence: nobody remembers more.
const MAX_SEQUENCE_KEYS: usize = 4;

/// One key, or several one after another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySequence(Vec<Chord>);

impl KeySequence {
    /// Parses the notation of the settings: keys with blanks between them. The error completes a sentence about the keys.
    pub(super) fn parse(text: &str) -> Result<Self, SequenceError<'_>> {
        if let Some(chord) = Chord::parse(text) {
            return Ok(Self(vec![chord]));
        }
        let mut chords = Vec::new();
        for word in text.split_whitespace() {
            chords.push(Chord::parse(word).ok_or(SequenceError::NotAKey(word))?);
        }
        match chords.len() {
            0 => Err(SequenceError::NotAKey(text)),
            count if count > MAX_SEQUENCE_KEYS => Err(SequenceError::TooLong),
            _ if chords.contains(&Chord::plain(Key::Esc)) => Err(SequenceError::Esc),
            _ => Ok(Self(chords)),
        }
    }

    pub fn chords(&self) -> &[Chord] {
        &self.0
    }

    /// Tells whether somebody who types the other one has typed this one on the way; also if they are the same.
    pub fn is_beginning_of(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Returns the name to display: `Ctrl+X Ctrl+E`.
    pub fn display_name(&self) -> String {
        display_names(&self.0)
    }
}

/// Returns the names of keys that were pressed one after another.
pub fn display_names(chords: &[Chord]) -> String {
    chords.iter().map(|chord| chord.display_name()).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for KeySequence {
    /// Formats in the notation of the settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, chord) in self.0.iter().enumerate() {
            let blank = if nth == 0 { "" } else { " " };
            write!(f, "{blank}{chord}")?;
        }
        Ok(())
    }
}

/// Why a text is no sequence of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SequenceError<'a> {
    NotAKey(&'a str),
    TooLong,
    Esc,
}

impl SequenceError<'_> {
    pub(super) fn describe(self) -> String {
        match self {
            Self::NotAKey(word) => format!("\"{word}\" is not a key"),
            Self::TooLong => format!("more than {MAX_SEQUENCE_KEYS} keys"),
            Self::Esc => "Esc leaves a sequence, so it can't be one of several keys".to_owned(),
        }
    }
}
