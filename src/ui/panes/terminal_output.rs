//! What a program printed, as a terminal would show it in the end: for every pane that shows output.

use crate::text::clean;

/// Returns what a terminal would have shown of an output in the end: a progress bar redraws its line, and what counts
/// is what it said last.
pub(super) fn final_output(source: &str) -> String {
    let lines: Vec<&str> =
        source.split('\n').map(|line| line.rsplit('\r').find(|piece| !piece.is_empty()).unwrap_or("")).collect();
    clean(&lines.join("\n")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::final_output;

    #[test]
    fn of_a_line_that_was_redrawn_the_last_state_is_shown() {
        let cases = [
            ("10 %\r50 %\r100 %\ndone\n", "100 %\ndone\n"),
            ("10 %\r50 %\r", "50 %"),
            ("one\r\ntwo\r\n", "one\ntwo\n"),
            ("\r\r\n\r", "\n"),
            ("\x1b[2K\r\x1b[31mred\x1b[m\r", "red"),
            ("no returns", "no returns"),
        ];
        for (source, shown) in cases {
            assert_eq!(final_output(source), shown, "{source:?}");
        }
    }
}
