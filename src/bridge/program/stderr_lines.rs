//! PURE. The lines that a program prints on its standard error, as many and as long as somebody may read.

use crate::net::sse_lines::LineSplitter;

/// Lines that are told; a program may print without end.
const MAX_LINES: usize = 2000;
/// Bytes of a line that are told.
const MAX_SHOWN_LINE_BYTES: usize = 2000;
/// Lines that may follow a failure: a stack trace.
const MAX_TRACE_LINES: usize = 60;
/// What stands before the colon of a failure's message.
const FAILURE_HEADS: &[&str] = &["error", "fatal", "fatal error", "panic", "uncaught error"];
/// Bytes of a line that are waited for.
const MAX_LINE_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(in crate::bridge) struct StderrLines {
    lines: LineSplitter,
    told_lines: usize,
    hidden_lines: usize,
    last_line: String,
    /// The last line that names a failure, and its number.
    failure: Option<(usize, String)>,
}

impl Default for StderrLines {
    fn default() -> Self {
        Self {
            lines: LineSplitter::with_max_bytes(MAX_LINE_BYTES),
            told_lines: 0,
            hidden_lines: 0,
            last_line: String::new(),
            failure: None,
        }
    }
}

impl StderrLines {
    /// Returns the lines that these bytes complete, empty ones left out.
    pub(in crate::bridge) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        let pushed = self.lines.push(bytes, &mut |line| {
            whole.push(line.to_owned());
            Ok(())
        });
        if pushed.is_err() {
            whole.extend(self.lines.take_partial_line());
            self.lines = LineSplitter::with_max_bytes(MAX_LINE_BYTES);
        }
        whole.into_iter().filter_map(|line| self.shown(&line)).collect()
    }

    /// Returns the last line, where it was not ended, and how many were left out.
    pub(in crate::bridge) fn finish(&mut self) -> Vec<String> {
        let last = self.lines.take_partial_line().and_then(|line| self.shown(&line));
        let hidden = (self.hidden_lines > 0).then(|| format!("{} more lines on its standard error", self.hidden_lines));
        last.into_iter().chain(hidden).collect()
    }

    /// Returns the line that says best why the program ended: one near the end that names a failure, for a trace may
    /// follow it, else the last one.
    pub(in crate::bridge) fn last_words(&self) -> &str {
        let failure = self.failure.as_ref().filter(|(number, _)| self.told_lines - number <= MAX_TRACE_LINES);
        failure.map_or(&self.last_line, |(_, line)| line)
    }

    fn shown(&mut self, line: &str) -> Option<String> {
        let line = line.trim_end();
        if line.trim_start().is_empty() {
            return None;
        }
        if self.told_lines >= MAX_LINES {
            self.hidden_lines = self.hidden_lines.saturating_add(1);
            return None;
        }
        self.told_lines += 1;
        let head = line.get(..line.floor_char_boundary(MAX_SHOWN_LINE_BYTES)).unwrap_or(line);
        let shown = if head.len() < line.len() { format!("{head}…") } else { line.to_owned() };
        self.last_line.clone_from(&shown);
        if names_failure(&shown) {
            self.failure = Some((self.told_lines, shown.clone()));
        }
        Some(shown)
    }
}

/// Returns whether a line begins as runtimes and libraries begin the message of what ended a program.
fn names_failure(line: &str) -> bool {
    let head = line.split_once(':').map_or("", |(head, _)| head.trim());
    let is_type = !head.contains(' ') && (head.ends_with("Error") || head.ends_with("Exception"));
    is_type || FAILURE_HEADS.iter().any(|known| head.eq_ignore_ascii_case(known)) || line.contains("panicked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_whole_however_they_come() {
        let mut lines = StderrLines::default();
        let mut told = lines.push(b"Warn");
        told.extend(lines.push(b"ing: a\n\n  \r\nlast"));
        told.extend(lines.finish());
        assert_eq!(told, ["Warning: a", "last"]);
        assert_eq!(lines.last_words(), "last");
    }

    #[test]
    fn the_last_words_are_the_failure_and_not_its_trace() {
        for (text, expected) in [
            ("Error: no setting\n\nStack backtrace:\n   0: <unknown>\n", "Error: no setting"),
            (
                "x:1\nTypeError: x is not a function\n    at f (x:1)\n\nNode.js v24.1.0\n",
                "TypeError: x is not a function",
            ),
            ("Traceback:\n  line 3\nmodule.KeyError: 'a'\n", "module.KeyError: 'a'"),
            ("thread 'main' panicked at src/a.rs:1:2:\nnote: run\n", "thread 'main' panicked at src/a.rs:1:2:"),
            ("error: one\nfatal: two\n", "fatal: two"),
            ("no error: here\nbye\n", "bye"),
            (&format!("error: early\n{}bye\n", "working\n".repeat(MAX_TRACE_LINES)), "bye"),
        ] {
            let mut lines = StderrLines::default();
            lines.push(text.as_bytes());
            assert_eq!(lines.last_words(), expected);
        }
    }

    #[test]
    fn a_flood_is_counted_and_a_long_line_is_cut() {
        let mut lines = StderrLines::default();
        let told = lines.push("x\n".repeat(MAX_LINES + 5).as_bytes());
        assert_eq!((told.len(), lines.finish()), (MAX_LINES, vec!["5 more lines on its standard error".to_owned()]));
        let long = StderrLines::default().push(format!("{}\n", "é".repeat(MAX_SHOWN_LINE_BYTES)).as_bytes());
        assert!(long[0].len() < MAX_SHOWN_LINE_BYTES + 10 && long[0].ends_with('…'));
        let mut endless = StderrLines::default();
        for _ in 0..3 {
            endless.push(&vec![b'y'; MAX_LINE_BYTES]);
        }
        assert!(endless.finish().iter().all(|line| line.len() < MAX_SHOWN_LINE_BYTES + 10));
    }
}
