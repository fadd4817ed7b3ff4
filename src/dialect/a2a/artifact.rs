//! The artifacts of a task, streamed in chunks. One that repeats an earlier message is held back and not emitted.

use super::super::borrowed_json::BorrowedJson;
use super::super::dedup::DeltaDedup;
use super::super::finish_reason;
use super::super::surrogate::SurrogateJoiner;
use super::events::resolve_surrogates;
use super::message_writer::A2aMessageWriter;
use super::wire::{self, MessageParts, either_field};
use super::{A2aDecoder, MAX_KNOWN_TEXT_BYTES};
use crate::event::{FinishReason, ReplyEvent};

const MAX_ARTIFACTS: usize = 1024;
/// Bytes of an artifact that are held back.
const MAX_HELD_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Artifact {
    wire_id: String,
    /// Its message while it streams.
    writer: Option<A2aMessageWriter>,
    pub(super) text: String,
    /// The text was emitted, or is a repetition.
    is_emitted: bool,
    surrogates: SurrogateJoiner,
    dedup: DeltaDedup,
}

impl A2aDecoder {
    pub(super) fn handle_artifact(
        &mut self,
        artifact: &BorrowedJson<'_>,
        append: bool,
        is_last: bool,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let wire =
            either_field(artifact, "artifactId", "artifact_id").and_then(BorrowedJson::as_str).unwrap_or_default();
        let MessageParts { text, reasoning, non_text: others } = wire::parse_parts(artifact);
        let known = self.artifacts.iter().rposition(|known| known.wire_id == wire);
        if known.is_none() || append {
            self.annotate_parts(&others, marked, out);
        }
        let at = match known {
            Some(at) => at,
            None if self.artifacts.len() >= MAX_ARTIFACTS => {
                return self.unknown_frames.report("too many artifacts", out);
            }
            None => {
                self.artifacts.push(Artifact::new(wire));
                self.artifacts.len() - 1
            }
        };
        if !reasoning.is_empty() && (known.is_none() || append) {
            let reasoning = resolve_surrogates(&reasoning, marked);
            self.write_message(at, out, |writer, _, out| writer.push_reasoning(&reasoning, out));
        }
        if append || known.is_none() {
            let Some(known) = self.artifacts.get_mut(at) else { return };
            let piece = known.dedup.push(known.surrogates.push(text, marked)).into_owned();
            self.append_chunk(at, &piece, out);
        } else {
            self.replace(at, resolve_surrogates(&text, marked), out);
        }
        if is_last {
            self.close_artifact(at, None, out);
        }
    }

    /// Appends a chunk to an artifact.
    fn append_chunk(&mut self, at: usize, piece: &str, out: &mut Vec<ReplyEvent>) {
        let Some(artifact) = self.artifacts.get_mut(at).filter(|_| !piece.is_empty()) else { return };
        self.seen_bytes = self.seen_bytes.saturating_add(piece.len());
        if !artifact.is_emitted && self.seen_bytes <= MAX_KNOWN_TEXT_BYTES {
            artifact.text.push_str(piece);
            return self.emit_unless_repeated(at, out);
        }
        if self.seen_bytes <= MAX_KNOWN_TEXT_BYTES {
            artifact.text.push_str(piece);
        }
        let held = if artifact.is_emitted { String::new() } else { artifact.text.clone() };
        artifact.is_emitted = true;
        self.has_text = true;
        self.write_message(at, out, |writer, count, out| {
            writer.push_text(&held, count, out);
            writer.push_text(piece, count, out);
        });
    }

    /// Holds the text back while it may repeat an earlier message.
    fn emit_unless_repeated(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(artifact) = self.artifacts.get(at) else { return };
        if artifact.text.len() <= MAX_HELD_BYTES && self.is_text_seen(&artifact.text, false) {
            return;
        }
        self.emit(at, out);
    }

    fn emit(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(artifact) = self.artifacts.get_mut(at) else { return };
        if std::mem::replace(&mut artifact.is_emitted, true) || artifact.text.is_empty() {
            return;
        }
        let text = artifact.text.clone();
        self.has_text = true;
        self.write_message(at, out, |writer, count, out| writer.push_text(&text, count, out));
    }

    /// Replaces the text of an artifact.
    fn replace(&mut self, at: usize, text: String, out: &mut Vec<ReplyEvent>) {
        let Some(artifact) = self.artifacts.get_mut(at).filter(|artifact| artifact.text != text) else { return };
        if artifact.is_emitted
            && let Some(more) = text.strip_prefix(artifact.text.as_str())
        {
            let more = more.to_owned();
            return self.append_chunk(at, &more, out);
        }
        self.seen_bytes = self.seen_bytes.saturating_add(text.len());
        (artifact.dedup, artifact.surrogates) = (DeltaDedup::default(), SurrogateJoiner::default());
        artifact.dedup.push_new(&text);
        if let Some(writer) = artifact.writer.take() {
            writer.finish_with(&text, &mut self.message_count, out);
            artifact.is_emitted = true;
        } else {
            artifact.is_emitted = false;
        }
        let was_emitted = artifact.is_emitted;
        artifact.text = text;
        if !was_emitted {
            self.emit_unless_repeated(at, out);
        }
        if self.seen_bytes > MAX_KNOWN_TEXT_BYTES {
            self.emit(at, out);
            if let Some(artifact) = self.artifacts.get_mut(at) {
                artifact.text = String::new();
            }
        }
    }

    /// Writes to the message of an artifact, which is started if there is none.
    fn write_message(
        &mut self,
        at: usize,
        out: &mut Vec<ReplyEvent>,
        write: impl FnOnce(&mut A2aMessageWriter, &mut u64, &mut Vec<ReplyEvent>),
    ) {
        if self.artifacts.get(at).is_some_and(|artifact| artifact.writer.is_none()) {
            self.close_status(None, out);
        }
        let Some(artifact) = self.artifacts.get_mut(at) else { return };
        let writer = artifact.writer.get_or_insert_with(|| A2aMessageWriter::begin(&mut self.message_count, out));
        write(writer, &mut self.message_count, out);
    }

    pub(super) fn close_artifact(&mut self, at: usize, finish_reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        let rest = self.artifacts.get_mut(at).map(Artifact::flush);
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            self.append_chunk(at, &rest, out);
        }
        let Some(artifact) = self.artifacts.get(at) else { return };
        if !artifact.is_emitted && !self.is_text_seen(&artifact.text, true) {
            self.emit(at, out);
        }
        let Some(artifact) = self.artifacts.get_mut(at) else { return };
        artifact.is_emitted = true;
        if let Some(writer) = artifact.writer.take() {
            let finish_reason = finish_reason.unwrap_or_else(|| self.finish_tracker.finish_reason_with(false));
            self.is_finish_noted |= finish_reason::is_worth_showing(finish_reason);
            writer.finish(finish_reason, &mut self.message_count, out);
        }
    }
}

impl Artifact {
    fn new(wire: &str) -> Self {
        let (wire, text) = (wire.to_owned(), String::new());
        Self {
            wire_id: wire,
            writer: None,
            text,
            is_emitted: false,
            surrogates: SurrogateJoiner::default(),
            dedup: DeltaDedup::default(),
        }
    }

    /// Returns the text that was held back, at the end of the artifact.
    fn flush(&mut self) -> String {
        let mut rest = self.dedup.flush();
        rest.extend(self.surrogates.take_unpaired());
        rest
    }
}
