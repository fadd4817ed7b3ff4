//! Writes a cassette: a line at once, so that a program that is killed leaves all that came.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::line::{
    CASSETTE_FORMAT, CASSETTE_KIND, CassetteHeader, CassetteLine, CassettePart, RecordedFailure, RecordedHead,
    RecordedRequest, UNREAD_END,
};
use crate::event::Millis;
use crate::net::failure::RequestFailure;
use crate::net::redact::Redactor;
use crate::net::redact::bytes::ByteRedactor;
use crate::net::traffic::RecordLine;
use crate::private;

#[derive(Debug)]
pub(super) struct CassetteRecorder {
    path: PathBuf,
    state: Mutex<RecorderState>,
}

#[derive(Debug, Default)]
struct RecorderState {
    /// Made with the first line, so that a run that asks nothing replaces nothing.
    file: Option<File>,
    count: u64,
    /// Why the recording is incomplete.
    error: Option<String>,
}

/// What is recorded of one exchange.
pub(super) struct ExchangeRecorder {
    recorder: Arc<CassetteRecorder>,
    number: u64,
    /// Not written yet.
    request: Option<RecordedRequest>,
    redactor: Redactor,
    pieces: ByteRedactor,
    has_head: bool,
    is_ended: bool,
    last: Millis,
}

impl CassetteRecorder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), state: Mutex::default() }
    }

    /// Begins an exchange. A request that `is_kept` is written at once, another one with its answer: many a probe has
    /// none.
    pub(super) fn begin(
        self: &Arc<Self>,
        request: RecordedRequest,
        is_kept: bool,
        redactor: Redactor,
    ) -> Result<ExchangeRecorder, String> {
        let number = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.count += 1;
            state.count
        };
        let pieces = redactor.file_redactor();
        let mut exchange = ExchangeRecorder {
            recorder: Arc::clone(self),
            number,
            request: Some(request),
            redactor,
            pieces,
            has_head: false,
            is_ended: false,
            last: Millis(0),
        };
        if is_kept {
            exchange.write_request()?;
        }
        Ok(exchange)
    }

    fn write(&self, line: &CassetteLine) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &state.error {
            return Err(error.clone());
        }
        let written = state.write(&self.path, line);
        written.map_err(|error| {
            let text = format!("the cassette {} can't be written: {error}", self.path.display());
            state.error = Some(text.clone());
            text
        })
    }
}

impl RecorderState {
    fn write(&mut self, path: &Path, line: &CassetteLine) -> io::Result<()> {
        let mut text = Vec::new();
        if self.file.is_none() {
            let header = CassetteHeader { kind: CASSETTE_KIND.to_owned(), format: CASSETTE_FORMAT };
            serde_json::to_writer(&mut text, &header)?;
            text.push(b'\n');
        }
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(private::create_file(path)?),
        };
        file.write_all(&text)
    }
}

impl ExchangeRecorder {
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(super) fn write_head(&mut self, at: Millis, head: &RecordedHead) -> Result<(), String> {
        self.write_request()?;
        self.has_head = true;
        self.write(at, CassettePart::Response(head.clone()))
    }

    pub(super) fn write_failure(&mut self, at: Millis, failure: &RequestFailure) -> Result<(), String> {
        // Nobody there to be asked, as probes find out: so it is without a line.
        self.is_ended = true;
        if self.request.is_some() && failure.is_unsent {
            return Ok(());
        }
        self.write_request()?;
        let failure = RecordedFailure::of(failure, &self.redactor);
        self.write(at, CassettePart::Failure(failure))
    }

    pub(super) fn write_bytes(&mut self, at: Millis, bytes: &[u8]) -> Result<(), String> {
        let kept = self.pieces.push(at, bytes);
        self.write_pieces(kept)
    }

    /// Says how the body ended.
    pub(super) fn write_end(&mut self, at: Millis, why: &str) -> Result<(), String> {
        self.is_ended = true;
        let kept = self.pieces.finish();
        self.write_pieces(kept)?;
        let mut why = why.to_owned();
        self.redactor.redact(&mut why);
        self.write(at, CassettePart::End(why))
    }

    fn write_pieces(&mut self, pieces: Vec<(Millis, Vec<u8>)>) -> Result<(), String> {
        for (at, bytes) in pieces {
            let part = match RecordLine::from_bytes_redacted(at, bytes, &self.redactor) {
                RecordLine::Chunk { bytes, encoding: None, .. } => CassettePart::Chunk(bytes),
                RecordLine::Chunk { bytes, .. } => CassettePart::Base64(bytes),
                RecordLine::Response { .. } | RecordLine::End { .. } => continue,
            };
            self.write(at, part)?;
        }
        Ok(())
    }

    fn write_request(&mut self) -> Result<(), String> {
        match self.request.take() {
            Some(request) => self.write(Millis(0), CassettePart::Request(request)),
            None => Ok(()),
        }
    }

    fn write(&mut self, at: Millis, part: CassettePart) -> Result<(), String> {
        self.last = at;
        self.recorder.write(&CassetteLine { n: self.number, at, part })
    }
}

impl Drop for ExchangeRecorder {
    /// Nobody read the rest: the answer was complete before its bytes were, or nobody wanted it any more.
    fn drop(&mut self) {
        if self.has_head && !self.is_ended {
            // The error is kept and told with the next request.
            let _ = self.write_end(self.last, UNREAD_END);
        }
    }
}
