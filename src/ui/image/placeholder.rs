//! The characters that stand for a piece of an image, as kitty's graphics protocol has it ("Unicode placeholders"):
//! a private character with marks above it for row, column and the highest byte of the image's id; the lowest byte is
//! the colour of the text.
//!
//! Not for sending the image. The invariant: a placeholder takes one cell.

/// Stands for a piece of an image.
const PLACEHOLDER: char = '\u{10eeee}';
/// The marks in the protocol's order, as runs of characters: where each begins, and how long it is.
const DIACRITICS: [(u32, u8); 44] = [
    (0x305, 1),
    (0x30d, 2),
    (0x310, 1),
    (0x312, 1),
    (0x33d, 3),
    (0x346, 1),
    (0x34a, 3),
    (0x350, 3),
    (0x357, 1),
    (0x35b, 1),
    (0x363, 13),
    (0x483, 5),
    (0x592, 4),
    (0x597, 3),
    (0x59c, 6),
    (0x5a8, 2),
    (0x5ab, 2),
    (0x5af, 1),
    (0x5c4, 1),
    (0x610, 8),
    (0x657, 5),
    (0x65d, 2),
    (0x6d6, 7),
    (0x6df, 4),
    (0x6e4, 1),
    (0x6e7, 2),
    (0x6eb, 2),
    (0x730, 1),
    (0x732, 2),
    (0x735, 2),
    (0x73a, 1),
    (0x73d, 1),
    (0x73f, 3),
    (0x743, 1),
    (0x745, 1),
    (0x747, 1),
    (0x749, 2),
    (0x7eb, 7),
    (0x7f3, 1),
    (0x816, 4),
    (0x81b, 9),
    (0x825, 3),
    (0x829, 5),
    (0x951, 1),
];
/// How many rows, columns and highest bytes there are marks for here.
pub const MAX_DIACRITICS: u8 = 130;

/// Returns the mark of a number; none past the last.
fn diacritic(number: u8) -> Option<char> {
    let mut left = number;
    for (first, count) in DIACRITICS {
        if left < count {
            return char::from_u32(first + u32::from(left));
        }
        left -= count;
    }
    None
}

/// Returns what stands for that piece of an image; `high` is the highest byte of its id.
pub fn symbol(row: u8, column: u8, high: u8) -> String {
    [Some(PLACEHOLDER), diacritic(row), diacritic(column), diacritic(high)].into_iter().flatten().collect()
}

/// Returns the id of an image in the terminal.
pub fn image_id(number: u8, high: u8) -> u32 {
    u32::from(high) << 24 | u32::from(number)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::text::width::graphemes;

    #[test]
    fn a_placeholder_is_one_cell_and_says_where_it_belongs() {
        assert_eq!(symbol(0, 1, 2), "\u{10eeee}\u{305}\u{30d}\u{30e}");
        assert_eq!((diacritic(MAX_DIACRITICS - 1), diacritic(MAX_DIACRITICS)), (Some('\u{951}'), None));
        let all: HashSet<char> = (0..MAX_DIACRITICS).filter_map(diacritic).collect();
        assert_eq!(all.len(), usize::from(MAX_DIACRITICS));
        for at in 0..MAX_DIACRITICS {
            let text = symbol(at, at, at).repeat(2);
            let found: Vec<usize> = graphemes(&text).map(|cell| cell.width).collect();
            assert_eq!(found, [1, 1], "{at}");
        }
        assert_eq!(image_id(42, 2), 33_554_474);
    }
}
