//! Detects the dialect of a stream by its response, path, event names and first frames; then decodes it, from the first
//! frame on. What gives a dialect away is in its row of [`DIALECTS`].
//!
//! A header outranks event names, and they the shape of the data. Frames without evidence (pings, data that is not JSON)
//! are held back, few and small, until one has some. A decision is final: a later frame of another dialect is reported
//! once and still goes to the decoder. Not for engines, which know what their server speaks.

mod mcp;

use std::any::Any;

use super::evidence::{Evidence, FirstFrame, strongest};
use super::{
    DIALECTS, Decode, DecodeContext, DecodeExtension, Dialect, ResponseHead, SseFrame, chat, error, find, plain,
};
use crate::event::{Fault, FaultKind, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};

/// Frames held back while the dialect is unknown.
const MAX_HELD_FRAMES: usize = 8;
const MAX_HELD_BYTES: usize = 64 * 1024;
/// Lines of a program that are no JSON and held back, too: warnings stand before what it has to say.
const MAX_HELD_NOISE_LINES: usize = 40;

/// Decodes a stream of unknown dialect.
pub struct Detector {
    context: DecodeContext,
    state: DetectorState,
    dialect_mismatch: bool,
}

enum DetectorState {
    Undecided {
        held: Vec<SseFrame>,
        size: usize,
    },
    Decided {
        dialect: &'static Dialect,
        decode: Box<dyn Decode>,
    },
    /// One dialect, which may turn out to be the extension of it at any frame.
    Tentative {
        base: &'static Dialect,
        extension: &'static Dialect,
        decode: Box<dyn DecodeExtension>,
        announced: Option<&'static Dialect>,
        /// Why it is at least the base.
        because: String,
    },
}

impl Detector {
    pub fn new(context: DecodeContext) -> Self {
        Self { context, state: DetectorState::Undecided { held: Vec::new(), size: 0 }, dialect_mismatch: false }
    }

    /// Returns the decoder of a dialect that the person named; none if there is no such dialect.
    pub fn with_dialect(name: &str, context: DecodeContext) -> Option<Self> {
        let dialect = find(name)?;
        let decode = (dialect.decode)(&context);
        Some(Self { context, state: DetectorState::Decided { dialect, decode }, dialect_mismatch: false })
    }

    /// Returns the dialect as announced, which may change once, to an extension of it; empty while it is unknown.
    pub fn name(&self) -> &'static str {
        self.dialect().map_or("", |dialect| dialect.name)
    }

    fn dialect(&self) -> Option<&'static Dialect> {
        match &self.state {
            DetectorState::Undecided { .. } => None,
            DetectorState::Decided { dialect, .. } => Some(dialect),
            DetectorState::Tentative { announced, .. } => *announced,
        }
    }

    /// Returns the decoder, once there is one.
    fn decoder(&self) -> Option<&dyn Decode> {
        match &self.state {
            DetectorState::Undecided { .. } => None,
            DetectorState::Decided { decode, .. } => Some(&**decode),
            DetectorState::Tentative { decode, .. } => Some(&**decode),
        }
    }

    /// Says which session the request belongs to, before the first frame.
    pub fn set_session(&mut self, session: &str) {
        self.context.session = Some(session.to_owned());
        if let DetectorState::Decided { dialect, decode } = &mut self.state {
            *decode = (dialect.decode)(&self.context);
        }
    }

    /// Decides for a dialect that something besides the stream shows, unless the stream itself has decided.
    pub fn assume(&mut self, dialect: &'static Dialect, why: &str, out: &mut Vec<ReplyEvent>) {
        if let DetectorState::Undecided { .. } = self.state {
            self.decide(dialect, why, out);
        }
    }

    /// Returns the decoder, where it is one of this type.
    pub fn decoder_mut<D: Decode>(&mut self) -> Option<&mut D> {
        let decode: &mut dyn Any = match &mut self.state {
            DetectorState::Decided { decode, .. } => &mut **decode,
            DetectorState::Tentative { decode, .. } => &mut **decode,
            DetectorState::Undecided { .. } => return None,
        };
        decode.downcast_mut()
    }

    fn hold(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let DetectorState::Undecided { held, size } = &mut self.state else { return };
        *size = size.saturating_add(frame.data.len());
        held.push(frame.clone());
        // A pipe or a file has no head.
        let is_local = self.context.response.status().is_none();
        let is_noise = |frame: &SseFrame| frame.event.is_empty() && !frame.data.trim_start().starts_with(['{', '[']);
        let noise_lines = held.iter().filter(|frame| is_local && is_noise(frame)).count();
        let full = held.len() - noise_lines >= MAX_HELD_FRAMES
            || noise_lines >= MAX_HELD_NOISE_LINES
            || *size >= MAX_HELD_BYTES;
        // The content before an error is kept, in whatever format it was.
        let is_error = error::find_error(frame).is_some();
        let has_spoken = held.iter().rev().skip(1).any(has_content);
        match examine_frame(frame, &self.context) {
            FrameVerdict::NoStream(_) | FrameVerdict::Dialect(_, Evidence { is_common_error: true, .. })
                if is_error && has_spoken =>
            {
                self.decide_plain("it ends with an error and its frames are of an unknown kind", out);
            }
            FrameVerdict::Dialect(dialect, evidence) => self.decide(dialect, &evidence.because, out),
            FrameVerdict::NoStream(fault) => self.reject(fault),
            FrameVerdict::Inconclusive if full => self.give_up(out),
            FrameVerdict::Inconclusive => {}
        }
    }

    /// Ends undecided: an error becomes a fault, anything else is shown as it came.
    fn give_up(&mut self, out: &mut Vec<ReplyEvent>) {
        let DetectorState::Undecided { held, .. } = &self.state else { return };
        let has_spoken = held.iter().any(|frame| has_content(frame) && error::find_error(frame).is_none());
        if let Some(fault) = held.iter().find_map(parse_fault).filter(|fault| !has_spoken || *fault == web_page_fault())
        {
            return self.reject(fault);
        }
        if held.iter().any(|frame| frame.data.trim() == "[DONE]") && held.iter().all(|frame| frame.data.len() < 16) {
            self.decide(&chat::DIALECT, "it holds only the end mark of chat completions", out);
        } else if !held.is_empty() {
            self.decide_plain("its frames are of an unknown kind", out);
        }
    }

    fn reject(&mut self, fault: Fault) {
        self.state = DetectorState::Decided { dialect: &plain::DIALECT, decode: Box::new(RefusalDecoder(fault)) };
    }

    fn decide_plain(&mut self, why: &str, out: &mut Vec<ReplyEvent>) {
        self.decide(&plain::DIALECT, why, out);
    }

    fn decide(&mut self, dialect: &'static Dialect, why: &str, out: &mut Vec<ReplyEvent>) {
        let DetectorState::Undecided { held, .. } = &mut self.state else { return };
        let held = std::mem::take(held);
        let extension =
            DIALECTS.iter().find_map(|row| Some((row, row.extends.filter(|own| own.base == dialect.name)?)));
        let mut state = if let Some((extension, own)) = extension {
            let decode = (own.decode)(&self.context);
            DetectorState::Tentative { base: dialect, extension, decode, announced: None, because: why.to_owned() }
        } else {
            out.push(dialect_notice(dialect, why));
            DetectorState::Decided { dialect, decode: (dialect.decode)(&self.context) }
        };
        state.begin_response(&self.context.response);
        self.state = state;
        for frame in &held {
            self.forward(frame, out);
        }
    }

    fn forward(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let before = out.len();
        match &mut self.state {
            DetectorState::Undecided { .. } => {}
            DetectorState::Decided { decode, .. } => decode.decode_frame(frame, out),
            DetectorState::Tentative { decode, .. } => {
                decode.decode_frame(frame, out);
                // An empty first frame is no evidence yet; what follows may be.
                if out.len() > before || decode.evidence().is_some() {
                    self.state.announce(before, out);
                }
            }
        }
        // Only frames that the decoder itself did not know are examined again.
        let wondered = |event: &ReplyEvent| matches!(event, ReplyEvent::Notice { code: NoticeCode::UnknownFrame, .. });
        if !self.dialect_mismatch && out.iter().skip(before).any(wondered) {
            self.check_mismatch(frame, out);
        }
    }

    fn check_mismatch(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let (Some(own), FrameVerdict::Dialect(other, Evidence { because, .. })) =
            (self.dialect(), examine_frame(frame, &self.context))
        else {
            return;
        };
        if other.name == own.name || own.extends.is_some_and(|extension| extension.base == other.name) {
            return;
        }
        self.dialect_mismatch = true;
        let text = format!("the stream is read as {}, but {because}, as in {}", own.title, other.title);
        out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Misfit, text });
    }
}

impl DetectorState {
    fn begin_response(&mut self, head: &ResponseHead) {
        match self {
            Self::Decided { decode, .. } => decode.begin_response(head),
            Self::Tentative { decode, .. } => decode.begin_response(head),
            Self::Undecided { .. } => {}
        }
    }

    /// Announces a tentative dialect before the frame's events, and again if it turns out to be the extension.
    fn announce(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Self::Tentative { base, extension, decode, announced, because } = self else { return };
        let name = announced.map(|dialect| dialect.name);
        if let Some(why) = decode.evidence().filter(|_| name != Some(extension.name)) {
            *announced = Some(*extension);
            out.insert(at, dialect_notice(extension, why));
        } else if announced.is_none() {
            *announced = Some(*base);
            out.insert(at, dialect_notice(base, because));
        }
    }
}

impl Decode for Detector {
    fn begin_response(&mut self, head: &ResponseHead) {
        head.clone_into(&mut self.context.response);
        self.state.begin_response(head);
    }

    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        match &self.state {
            DetectorState::Undecided { .. } => self.hold(frame, out),
            DetectorState::Decided { .. } | DetectorState::Tentative { .. } => self.forward(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.give_up(out);
        match &mut self.state {
            DetectorState::Decided { decode, .. } => decode.finish(out),
            DetectorState::Tentative { decode, .. } => {
                let before = out.len();
                decode.finish(out);
                self.state.announce(before, out);
            }
            DetectorState::Undecided { .. } => {
                out.push(ReplyEvent::End { outcome: TurnOutcome::Interrupted });
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.decoder().is_some_and(Decode::has_failed)
    }

    fn is_done(&self) -> bool {
        self.decoder().is_some_and(Decode::is_done)
    }

    fn is_complete(&self) -> bool {
        self.decoder().is_some_and(Decode::is_complete)
    }

    fn begins_next(&self, frame: &SseFrame) -> bool {
        self.decoder().map_or_else(|| !is_trailing(frame), |decode| decode.begins_next(frame))
    }
}

fn dialect_notice(dialect: &Dialect, why: &str) -> ReplyEvent {
    let text = format!("looks like {} because {why}", dialect.title);
    ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Dialect, text }
}

/// A refusal instead of a stream.
struct RefusalDecoder(Fault);

impl Decode for RefusalDecoder {
    fn decode_frame(&mut self, _: &SseFrame, _: &mut Vec<ReplyEvent>) {}

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        out.push(ReplyEvent::End { outcome: TurnOutcome::Failed(self.0.clone()) });
    }

    fn has_failed(&self) -> bool {
        true
    }

    fn is_done(&self) -> bool {
        true
    }
}

/// What one frame says of its stream.
enum FrameVerdict {
    Dialect(&'static Dialect, Evidence),
    /// It is not a stream at all.
    NoStream(Fault),
    Inconclusive,
}

fn examine_frame(frame: &SseFrame, context: &DecodeContext) -> FrameVerdict {
    let first = FirstFrame::new(frame, context);
    if first.json.is_none() && context.response.content_type() == "text/html" {
        return FrameVerdict::NoStream(web_page_fault());
    }
    if frame.event == "endpoint" || first.object().is_some_and(mcp::is_message) {
        return FrameVerdict::NoStream(Fault::new(FaultKind::Protocol, mcp::SERVER_MESSAGE));
    }
    if let Some((dialect, evidence)) = strongest(DIALECTS, &first) {
        return FrameVerdict::Dialect(dialect, evidence);
    }
    // It may be an error: in a stream, in a line or instead of one.
    match error::find_error(frame).filter(|_| first.object().is_some() && frame.event != "error") {
        Some(server_error) => FrameVerdict::NoStream(error::to_fault(&server_error)),
        None => FrameVerdict::Inconclusive,
    }
}

/// Returns whether a frame may start an answer, rather than end one that failed.
pub fn can_begin_answer(frame: &SseFrame) -> bool {
    let is_known = matches!(examine_frame(frame, &DecodeContext::default()), FrameVerdict::Dialect(dialect, _) if dialect.name != plain::DIALECT.name);
    is_known && !is_trailing(frame) && error::find_error(frame).is_none()
}

/// Returns whether a frame has no content that could start an answer, such as the usage after one.
pub fn is_trailing(frame: &SseFrame) -> bool {
    let has = |text: &str| memchr::memmem::find(frame.data.as_bytes(), text.as_bytes()).is_some();
    matches!(frame.data.trim(), "" | "{}" | "[DONE]") || has("\"choices\":[]") || has("\"choices\": []")
}

/// Returns whether a frame is more than a keep-alive.
fn has_content(frame: &SseFrame) -> bool {
    !matches!(frame.event.as_str(), "ping" | "keepalive" | "keep-alive" | "heartbeat")
        && !matches!(frame.data.trim(), "" | "{}" | "[DONE]")
}

fn parse_fault(frame: &SseFrame) -> Option<Fault> {
    if let Some(server_error) = error::find_error(frame) {
        return Some(error::to_fault(&server_error));
    }
    let text = frame.data.trim_start();
    let is_page =
        ["<!doctype", "<html"].iter().any(|tag| text.get(..tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag)));
    is_page.then(web_page_fault)
}

fn web_page_fault() -> Fault {
    let text = "the server returned a web page instead of a stream; check the URL, it may lack a path such as /v1/chat/completions";
    Fault::new(FaultKind::Protocol, text)
}

#[cfg(test)]
mod tests;
