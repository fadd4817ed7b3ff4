//! Writes to standard output and standard error for everything that runs without a screen.
//!
//! Pipes and files get every byte. On a terminal text is cleaned and JSON is escaped, because names of files, folders
//! and flags also come from outside. A failed write is an error of the command. Error messages never contain the
//! password of an address.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use clap::error::ErrorKind;

use crate::text::clean::{clean, one_line};
use crate::text::display_url::redact_credentials;
use crate::text::visible::escape_json;

/// The output of a command can't be written.
#[derive(Debug, thiserror::Error)]
#[error("the output can't be written: {0}")]
pub struct OutputError(#[from] io::Error);

impl OutputError {
    /// Returns the exit code. If the reader closed the pipe, the program ends quietly, as usual in pipelines.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.0.kind() != io::ErrorKind::BrokenPipe)
    }

    /// Reports it on standard error, unless the reader just closed the pipe. Returns the exit code.
    pub fn report(&self) -> u8 {
        let code = self.exit_code();
        if code != 0 {
            print_error(&self.to_string());
        }
        code
    }
}

/// Prints text.
pub fn print(text: &str) -> Result<(), OutputError> {
    print_raw(&clean_for_terminal(text, io::stdout().is_terminal()))
}

/// Prints JSON and a newline.
pub fn print_json(json: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(escape_for_terminal(json, out.is_terminal()).as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Prints terminal output unchanged, escape codes included.
pub fn print_raw(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints one line of an error or of progress.
pub fn print_error(text: &str) {
    let _ = writeln!(io::stderr(), "jarvis-tui: {}", clean(&redact_credentials(text)));
}

/// Prints one line about the answer. Names and texts come from outside, so they are cleaned even if stderr is not a
/// terminal.
pub fn print_progress(line: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(&redact_credentials(line), 400));
}

/// Prints a help or error message of the argument parser and returns the exit code.
pub fn print_usage_error(error: &clap::Error) -> u8 {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let written = error.print().and_then(|()| io::stdout().flush());
        return written.map_or_else(|error| OutputError(error).report(), |()| 0);
    }
    // The message quotes the arguments.
    let text = error.render().to_string();
    let _ = write!(io::stderr(), "{}", clean(&redact_credentials(&text)));
    u8::try_from(error.exit_code()).unwrap_or(1)
}

pub(super) fn clean_for_terminal(text: &str, to_terminal: bool) -> Cow<'_, str> {
    if to_terminal { clean(text) } else { Cow::Borrowed(text) }
}

pub(super) fn escape_for_terminal(json: &str, to_terminal: bool) -> Cow<'_, str> {
    if to_terminal { escape_json(json) } else { Cow::Borrowed(json) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_every_byte_and_a_terminal_none_that_it_would_obey() {
        let text = "a\u{1b}[31m\u{9b}1mb\u{202e}c";
        assert_eq!(clean_for_terminal(text, false), text);
        assert_eq!(clean_for_terminal(text, true), "abc");
        assert_eq!(escape_for_terminal("\"\u{9b}\"", false), "\"\u{9b}\"");
        assert_eq!(escape_for_terminal("\"\u{9b}\"", true), r#""\u009b""#);
    }

    #[test]
    fn a_reader_that_has_enough_is_no_failure() {
        let code = |kind: io::ErrorKind| OutputError(kind.into()).exit_code();
        assert_eq!((code(io::ErrorKind::BrokenPipe), code(io::ErrorKind::StorageFull)), (0, 1));
    }
}
