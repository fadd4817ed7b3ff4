//! Lines broken between words where a terminal would cut through them, for text that comes in pieces.
//!
//! What stands on a line already stays there. Code between fences is left as it is: a line end would be part of it.

use crate::text::width::{graphemes, str_width};

/// What was printed of the line that is open.
#[derive(Debug, Default)]
pub struct LineWrap {
    column: usize,
    /// Blanks that stand there once a word does.
    blanks: String,
    /// The first characters of the line, as far as a fence needs them.
    head: String,
    is_code: bool,
}

/// Enough of a line to see a fence.
const HEAD_BYTES: usize = 8;

impl LineWrap {
    /// Whoever else wrote has ended the line.
    pub fn begin_line(&mut self) {
        self.column = 0;
        self.head.clear();
        self.blanks.clear();
    }

    /// Adds a piece of text to `out`, its lines no longer than `columns` cells where words are no longer.
    pub fn add(&mut self, text: &str, columns: usize, out: &mut String) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_blank = |c: char| c == ' ' || c == '\t';
            let end = match first {
                '\n' => 1,
                c if is_blank(c) => rest.find(|c| !is_blank(c)).unwrap_or(rest.len()),
                _ => word_end(rest),
            };
            let (token, next) = rest.split_at(end);
            rest = next;
            if token == "\n" {
                self.end_line(out);
                continue;
            }
            if is_blank(first) {
                self.blanks.push_str(token);
                continue;
            }
            let blanks = std::mem::take(&mut self.blanks);
            let cells = str_width(token) + str_width(&blanks);
            if !self.is_code && self.column > 0 && self.column + cells > columns {
                // The end of the line stands for them.
                out.push('\n');
                self.column = str_width(token);
            } else {
                out.push_str(&blanks);
                self.column += cells;
            }
            if self.head.len() < HEAD_BYTES {
                self.head.push_str(token.get(..token.floor_char_boundary(HEAD_BYTES)).unwrap_or(""));
            }
            out.push_str(token);
        }
    }

    fn end_line(&mut self, out: &mut String) {
        let head = self.head.trim_start();
        if head.starts_with("```") || head.starts_with("~~~") {
            self.is_code = !self.is_code;
        }
        out.push('\n');
        self.begin_line();
    }
}

/// Returns where a word ends; between wide characters a line may be broken anywhere.
fn word_end(text: &str) -> usize {
    let mut end = 0;
    for cell in graphemes(text) {
        if matches!(cell.text, " " | "\t" | "\n") || (cell.width > 1 && end > 0) {
            break;
        }
        end = cell.at + cell.text.len();
        if cell.width > 1 {
            break;
        }
    }
    end.max(text.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(pieces: &[&str], columns: usize) -> String {
        let (mut wrap, mut out) = (LineWrap::default(), String::new());
        for piece in pieces {
            wrap.add(piece, columns, &mut out);
        }
        out
    }

    #[test]
    fn lines_break_between_words_however_the_text_comes() {
        let text = "Assistant: one two three four\n\nfive sixseven eight\n";
        let whole = wrapped(&[text], 14);
        assert_eq!(whole, "Assistant: one\ntwo three four\n\nfive sixseven\neight\n");
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        assert_eq!(wrapped(&words, 14), whole);
        assert!(wrapped(&["ab", "c def"], 4).lines().all(|line| line.len() <= 4));
    }

    #[test]
    fn code_and_what_is_too_long_stay_whole_and_wide_characters_break_anywhere() {
        assert_eq!(wrapped(&["```\nlet a = b + c;\n```\nand then on"], 8), "```\nlet a = b + c;\n```\nand then\non");
        assert_eq!(wrapped(&["x https://example.org/long y"], 8), "x\nhttps://example.org/long\ny");
        assert_eq!(wrapped(&["漢字漢字"], 5), "漢字\n漢字");
    }
}
