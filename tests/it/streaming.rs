//! A streaming answer: text that was shown keeps its place and style.

use ratatui::buffer::{Buffer, Cell};

use crate::reading::ReadingSession;

const STREAMED: &str = include_str!("../golden/reading/streamed.md");

type CellRow = Vec<Cell>;

fn rows(buf: &Buffer) -> Vec<CellRow> {
    buf.content.chunks(usize::from(buf.area.width)).map(<[Cell]>::to_vec).collect()
}

fn text(row: &CellRow) -> String {
    row.iter().map(Cell::symbol).collect::<String>().trim_end().to_owned()
}

/// Returns the last row that isn't blank.
fn last(rows: &[CellRow]) -> usize {
    rows.iter().rposition(|row| !text(row).is_empty()).unwrap_or(0)
}

/// Streams the text in pieces of `step` characters and checks every frame.
fn watch(width: u16, height: u16, step: usize) {
    let mut session = ReadingSession::new();
    let chars: Vec<char> = STREAMED.chars().collect();
    let mut before = rows(&session.draw(width, height));
    let mut worst = 0;
    for piece in chars.chunks(step) {
        let piece: String = piece.iter().collect();
        session.say(&piece);
        let now = rows(&session.draw(width, height));
        let end = last(&before);
        for y in 0..end {
            assert_eq!(text(&now[y]), text(&before[y]), "row {y} of {end} at {width}, after {piece:?}");
            assert!(now[y] == before[y], "row {y} of {end} at {width} got other colours after {piece:?}");
        }
        let (was, is) = (text(&before[end]), text(&now[end]));
        // A word that does not fit moves to the next row; a table takes the place of the row that announced it.
        let same = is.starts_with(&was) || was.starts_with(&is) || was.trim_start().starts_with("… table");
        assert!(same, "row {end} at {width} after {piece:?}:\n{was}\n{is}");
        worst = worst.max(end.saturating_sub(last(&now)));
        before = now;
    }
    assert!(worst <= 1, "the end jumped up by {worst} rows");
    session.end();
    let now = rows(&session.draw(width, height));
    let end = last(&before);
    for y in 0..=end {
        assert_eq!(text(&now[y]), text(&before[y]), "row {y} of {end} at {width}, at the end");
    }
}

#[test]
fn rows_that_were_read_never_change_while_more_streams_in() {
    watch(80, 190, 3);
    watch(31, 330, 7);
}

#[test]
fn no_marks_of_markdown_are_seen_before_they_are_understood() {
    let mut session = ReadingSession::new();
    let chars: Vec<char> = STREAMED.chars().collect();
    for piece in chars.chunks(2) {
        session.say(&piece.iter().collect::<String>());
        let buf = session.draw(100, 12);
        for row in rows(&buf) {
            let row = text(&row);
            let quoted = row.contains("echo") || row.contains("*escaped*");
            for mark in ["**", "~~", "](", "```", "|-", "| ", "[^", "</", "<s", "$$", "[!", "[x", "[ ", "&a"] {
                assert!(quoted || !row.contains(mark), "{mark:?} in {row:?}");
            }
        }
    }
}
