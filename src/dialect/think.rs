//! Reasoning written into the text: `<think>…</think>` at the very start of an answer, cut anywhere.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// White space that may stand before the tag.
const LEAD: usize = 64;

#[derive(Debug)]
pub(super) enum Think {
    /// Nothing decided yet; holds white space and a piece of the opening tag.
    Start(String),
    /// Behind the opening tag: the white space before the reasoning is not part of it.
    Opened,
    /// Between the tags; holds what may be a piece of the closing one.
    Inside(String),
    /// Behind the closing tag: the white space before the answer is not part of it.
    Behind,
    /// Plain text from here on.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Text,
}

impl Default for Think {
    fn default() -> Self {
        Self::Start(String::new())
    }
}

impl Think {
    /// Returns whether pieces are plain text now and need not be fed.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Text)
    }

    /// Splits a piece; what can't be decided yet is held back.
    pub(super) fn feed(&mut self, piece: &str, out: &mut Vec<(Kind, String)>) {
        let mut piece = piece.to_owned();
        loop {
            match self {
                Self::Start(held) => {
                    held.push_str(&piece);
                    let begun = held.trim_start();
                    if let Some(rest) = begun.strip_prefix(OPEN) {
                        piece = rest.to_owned();
                        *self = Self::Opened;
                        continue;
                    }
                    if !OPEN.starts_with(begun) || held.len() > LEAD {
                        out.push((Kind::Text, std::mem::take(held)));
                        *self = Self::Text;
                    }
                }
                Self::Opened => {
                    piece.drain(..piece.len() - piece.trim_start().len());
                    if !piece.is_empty() {
                        *self = Self::Inside(String::new());
                        continue;
                    }
                }
                Self::Inside(held) => {
                    held.push_str(&piece);
                    if let Some((reasoning, rest)) = held.split_once(CLOSE) {
                        push(Kind::Reasoning, reasoning, out);
                        piece = rest.to_owned();
                        *self = Self::Behind;
                        continue;
                    }
                    let keep = (1..CLOSE.len()).rev().find(|n| CLOSE.get(..*n).is_some_and(|tag| held.ends_with(tag)));
                    let tail = held.split_off(held.len() - keep.unwrap_or(0));
                    push(Kind::Reasoning, &std::mem::replace(held, tail), out);
                }
                Self::Behind => {
                    let text = piece.trim_start();
                    if !text.is_empty() {
                        push(Kind::Text, text, out);
                        *self = Self::Text;
                    }
                }
                Self::Text => push(Kind::Text, &piece, out),
            }
            return;
        }
    }

    /// Gives up what was held back. White space alone is nothing.
    pub(super) fn finish(&mut self, out: &mut Vec<(Kind, String)>) {
        match std::mem::replace(self, Self::Text) {
            Self::Start(held) if !held.trim().is_empty() => out.push((Kind::Text, held)),
            Self::Inside(held) => push(Kind::Reasoning, &held, out),
            Self::Start(_) | Self::Opened | Self::Behind | Self::Text => {}
        }
    }
}

fn push(kind: Kind, text: &str, out: &mut Vec<(Kind, String)>) {
    if !text.is_empty() {
        out.push((kind, text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let mut think = Think::default();
        let mut out = Vec::new();
        for piece in pieces {
            think.feed(piece, &mut out);
        }
        think.finish(&mut out);
        let all = |kind| out.iter().filter(|(k, _)| *k == kind).map(|(_, text)| text.as_str()).collect();
        (all(Kind::Reasoning), all(Kind::Text))
    }

    #[test]
    fn tags_are_found_however_they_are_cut() {
        let whole = "\n<think>\n a < b</thin é</think>\n\nyes </think> no";
        for (at, _) in whole.char_indices() {
            let (left, right) = whole.split_at(at);
            assert_eq!(split(&[left, right]), ("a < b</thin é".into(), "yes </think> no".into()), "at {at}");
        }
        let letters: Vec<String> = whole.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(split(&letters), split(&[whole]));
    }

    #[test]
    fn text_without_the_tag_is_untouched() {
        for text in ["hello", " <thin", "<thinker>", "say <think>x</think>", "<"] {
            assert_eq!(split(&[text]), (String::new(), text.into()));
        }
    }

    #[test]
    fn unclosed_reasoning_is_kept_and_white_space_is_nothing() {
        assert_eq!(split(&["<think>a</th"]), ("a</th".into(), String::new()));
        assert_eq!(split(&[" \n "]), (String::new(), String::new()));
    }
}
