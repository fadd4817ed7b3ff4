//! The position in a Markdown text: inside code or not, at the start of a line or not. An approximation in one pass
//! over the bytes, without look-back.

/// Spaces that may precede a fence, and the content of a line.
const MAX_INDENT_SPACES: usize = 3;

/// The position reached so far.
#[derive(Debug)]
pub(super) struct CodeTracker {
    /// The open fence: its character, and its length.
    fence: Option<(u8, usize)>,
    /// Between backticks.
    inline: bool,
    /// Spaces since the line started; none where it has other characters already.
    indent: Option<usize>,
    /// The current run of backticks or tildes: character, length, and whether it started the line.
    run: (u8, usize, bool),
}

impl Default for CodeTracker {
    fn default() -> Self {
        Self { fence: None, inline: false, indent: Some(0), run: (0, 0, false) }
    }
}

impl CodeTracker {
    /// Advances to the next byte that may start a tag, at or after `from`; none up to the end of the text. The byte
    /// itself is not consumed.
    pub(super) fn find_tag_start(&mut self, text: &str, from: usize) -> Option<usize> {
        let rest = text.as_bytes().get(from..)?;
        let mut at = 0;
        while let Some(byte) = rest.get(at) {
            match byte {
                b'`' | b'~' => self.handle_byte(*byte),
                b'<' | b'[' | 0xe2 => {
                    self.end_run();
                    if self.fence.is_none() && !self.inline {
                        return Some(from + at);
                    }
                    self.indent = None;
                }
                b'\n' => {
                    self.end_run();
                    self.inline = false;
                    self.indent = Some(0);
                }
                b' ' | b'\r' => {
                    self.end_run();
                    self.indent = self.indent.map(|indent| indent + 1).filter(|indent| *indent <= MAX_INDENT_SPACES);
                }
                _ => {
                    self.end_run();
                    self.indent = None;
                    // Most bytes of a text.
                    let plain = |byte: &u8| !matches!(byte, b'`' | b'~' | b'<' | b'[' | 0xe2 | b'\n');
                    at += rest.get(at..)?.iter().take_while(|byte| plain(byte)).count();
                    continue;
                }
            }
            at += 1;
        }
        None
    }

    /// Consumes the byte that was found, since it starts no tag.
    pub(super) fn skip_byte(&mut self) {
        self.indent = None;
    }

    pub(super) fn is_line_start(&self) -> bool {
        self.indent.is_some()
    }

    /// Treats the next byte as the start of a line.
    pub(super) fn mark_line_start(&mut self) {
        self.indent = Some(0);
    }

    fn handle_byte(&mut self, byte: u8) {
        let (last, count, is_first) = self.run;
        if last == byte && count > 0 {
            self.run = (byte, count + 1, is_first);
        } else {
            self.end_run();
            self.run = (byte, 1, self.indent.is_some());
        }
        self.indent = None;
    }

    fn end_run(&mut self) {
        let (byte, count, is_first) = std::mem::take(&mut self.run);
        match self.fence {
            _ if count == 0 => {}
            Some((open, least)) if is_first && byte == open && count >= least => self.fence = None,
            Some(_) => {}
            None if is_first && count >= 3 => self.fence = Some((byte, count)),
            None if byte == b'`' => self.inline = !self.inline,
            None => {}
        }
    }
}
