//! Detects the dialect of a stream by its content type, path, event names and first frames; then decodes it, from the
//! first frame on. The rules are in `detect/evidence.rs`.
//!
//! Event names outrank the shape of the data. Frames without evidence (pings, data that is not JSON) are held back, few
//! and small, until one has some. A decision is final: a later frame of another dialect is reported once and still goes
//! to the decoder. Not for engines, which know what their server speaks.

mod evidence;

use self::evidence::{DialectEvidence, examine_frame};
use super::openjarvis::OpenJarvisDecoder;
use super::{DIALECTS, Decode, DecodeContext, Dialect, ResponseHead, SseFrame, error};
use crate::event::{AgentEvent, Fault, FaultKind, Json, NoticeLevel, TurnOutcome};

/// Frames held back while the dialect is unknown.
const MAX_HELD_FRAMES: usize = 8;
const MAX_HELD_BYTES: usize = 64 * 1024;

const CHAT_DIALECT: &str = "openai-chat";
const OPENJARVIS_DIALECT: &str = "openjarvis";

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
        name: &'static str,
        decode: Box<dyn Decode>,
    },
    /// Chat completions, which may turn out to be OpenJarvis's at any frame.
    ChatFamily {
        decode: Box<OpenJarvisDecoder>,
        announced: Option<&'static str>,
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
        Some(Self { context, state: DetectorState::Decided { name: dialect.name, decode }, dialect_mismatch: false })
    }

    /// Returns the dialect as announced, which may change once, from chat completions to OpenJarvis; empty while it is
    /// unknown.
    pub fn name(&self) -> &'static str {
        match &self.state {
            DetectorState::Undecided { .. } => "",
            DetectorState::Decided { name, .. } => name,
            DetectorState::ChatFamily { announced, .. } => announced.unwrap_or_default(),
        }
    }

    fn hold(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let DetectorState::Undecided { held, size } = &mut self.state else { return };
        *size = size.saturating_add(frame.data.len());
        held.push(frame.clone());
        let full = held.len() >= MAX_HELD_FRAMES || *size >= MAX_HELD_BYTES;
        // The content before an error is kept, in whatever format it was.
        let is_error = error::find_error(frame).is_some();
        let has_spoken = held.iter().rev().skip(1).any(has_content);
        match examine_frame(frame, &self.context) {
            DialectEvidence::Fault(_) | DialectEvidence::Dialect(OPENJARVIS_DIALECT | "anthropic", _)
                if is_error && has_spoken =>
            {
                self.decide("plain", "it ends with an error and its frames are of an unknown kind", out);
            }
            DialectEvidence::Dialect(name, why) => self.decide(name, &why, out),
            DialectEvidence::Fault(fault) => self.reject(fault),
            DialectEvidence::Inconclusive if full => self.give_up(out),
            DialectEvidence::Inconclusive => {}
        }
    }

    /// Ends undecided: an error becomes a fault, anything else is shown as it came.
    fn give_up(&mut self, out: &mut Vec<AgentEvent>) {
        let DetectorState::Undecided { held, .. } = &self.state else { return };
        let has_spoken = held.iter().any(|frame| has_content(frame) && error::find_error(frame).is_none());
        if let Some(fault) = held.iter().find_map(parse_fault).filter(|fault| !has_spoken || *fault == web_page_fault())
        {
            return self.reject(fault);
        }
        if held.iter().any(|frame| frame.data.trim() == "[DONE]") && held.iter().all(|frame| frame.data.len() < 16) {
            self.decide(CHAT_DIALECT, "it holds only the end mark of chat completions", out);
        } else if !held.is_empty() {
            self.decide("plain", "its frames are of an unknown kind", out);
        }
    }

    fn reject(&mut self, fault: Fault) {
        self.state = DetectorState::Decided { name: "plain", decode: Box::new(RefusalDecoder(fault)) };
    }

    fn decide(&mut self, name: &'static str, why: &str, out: &mut Vec<AgentEvent>) {
        let DetectorState::Undecided { held, .. } = &mut self.state else { return };
        let held = std::mem::take(held);
        if name == CHAT_DIALECT {
            let mut decode = Box::new(OpenJarvisDecoder::tentative(&self.context));
            decode.begin_response(&self.context.response);
            self.state = DetectorState::ChatFamily { decode, announced: None };
        } else {
            // The evidence may be for a dialect that this build has no decoder for.
            let Some(dialect) = find(name).or_else(|| find("plain")).or_else(|| DIALECTS.first()) else { return };
            out.push(dialect_notice(dialect.name, why));
            let mut decode = (dialect.decode)(&self.context);
            decode.begin_response(&self.context.response);
            self.state = DetectorState::Decided { name: dialect.name, decode };
        }
        for frame in &held {
            self.forward(frame, out);
        }
    }

    fn forward(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let before = out.len();
        match &mut self.state {
            DetectorState::Undecided { .. } => {}
            DetectorState::Decided { decode, .. } => decode.decode_frame(frame, out),
            DetectorState::ChatFamily { decode, announced } => {
                decode.decode_frame(frame, out);
                // The empty first chunk is no evidence yet; what follows may be.
                if out.len() > before || decode.evidence().is_some() {
                    announce_family(decode, announced, before, out);
                }
            }
        }
        // Only frames that the decoder itself did not know are examined again.
        let wondered = |event: &AgentEvent| matches!(event, AgentEvent::Notice { code, .. } if code == "unknown_frame");
        if !self.dialect_mismatch && out.iter().skip(before).any(wondered) {
            self.check_mismatch(frame, out);
        }
    }

    fn check_mismatch(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let name = self.name();
        let DialectEvidence::Dialect(other, why) = examine_frame(frame, &self.context) else { return };
        if other == name || (other == CHAT_DIALECT && name == OPENJARVIS_DIALECT) {
            return;
        }
        self.dialect_mismatch = true;
        let text = format!("the stream is read as {}, but {why}, as in {}", display_name(name), display_name(other));
        out.push(AgentEvent::Notice { level: NoticeLevel::Warn, code: "misfit".into(), text });
    }
}

impl Decode for Detector {
    fn begin_response(&mut self, head: &ResponseHead) {
        head.clone_into(&mut self.context.response);
        match &mut self.state {
            DetectorState::Decided { decode, .. } => decode.begin_response(head),
            DetectorState::ChatFamily { decode, .. } => decode.begin_response(head),
            DetectorState::Undecided { .. } => {}
        }
    }

    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        match &self.state {
            DetectorState::Undecided { .. } => self.hold(frame, out),
            DetectorState::Decided { .. } | DetectorState::ChatFamily { .. } => self.forward(frame, out),
        }
    }

    fn decode_side_channel(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if let DetectorState::Undecided { .. } = self.state {
            self.decide(OPENJARVIS_DIALECT, "its server sends an agent's events on a feed", out);
        }
        match &mut self.state {
            DetectorState::Decided { decode, .. } => decode.decode_side_channel(frame, out),
            DetectorState::ChatFamily { decode, .. } => decode.decode_side_channel(frame, out),
            DetectorState::Undecided { .. } => {}
        }
    }

    fn finalize_from_records(&mut self, records: &[Option<&Json>], out: &mut Vec<AgentEvent>) -> bool {
        match &mut self.state {
            DetectorState::Decided { decode, .. } => decode.finalize_from_records(records, out),
            DetectorState::ChatFamily { decode, .. } => decode.finalize_from_records(records, out),
            DetectorState::Undecided { .. } => true,
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.give_up(out);
        match &mut self.state {
            DetectorState::Decided { decode, .. } => decode.finish(out),
            DetectorState::ChatFamily { decode, announced } => {
                let before = out.len();
                decode.finish(out);
                announce_family(decode, announced, before, out);
            }
            DetectorState::Undecided { .. } => {
                out.push(AgentEvent::TurnFinished { turn: "t".into(), outcome: TurnOutcome::Interrupted });
            }
        }
    }

    fn has_failed(&self) -> bool {
        match &self.state {
            DetectorState::Undecided { .. } => false,
            DetectorState::Decided { decode, .. } => decode.has_failed(),
            DetectorState::ChatFamily { decode, .. } => decode.has_failed(),
        }
    }

    fn is_done(&self) -> bool {
        match &self.state {
            DetectorState::Undecided { .. } => false,
            DetectorState::Decided { decode, .. } => decode.is_done(),
            DetectorState::ChatFamily { decode, .. } => decode.is_done(),
        }
    }

    fn is_complete(&self) -> bool {
        match &self.state {
            DetectorState::Undecided { .. } => false,
            DetectorState::Decided { decode, .. } => decode.is_complete(),
            DetectorState::ChatFamily { decode, .. } => decode.is_complete(),
        }
    }
}

fn dialect_notice(name: &str, why: &str) -> AgentEvent {
    let text = format!("looks like {} because {why}", display_name(name));
    AgentEvent::Notice { level: NoticeLevel::Info, code: "dialect".into(), text }
}

/// Announces the dialect before the frame's events, and again if it turns out to be the other one.
fn announce_family(
    decode: &OpenJarvisDecoder,
    announced: &mut Option<&'static str>,
    at: usize,
    out: &mut Vec<AgentEvent>,
) {
    let (name, why) = match decode.evidence() {
        Some(why) => (OPENJARVIS_DIALECT, why),
        None => (CHAT_DIALECT, "its frames are chat completion chunks"),
    };
    if announced.replace(name) != Some(name) {
        out.insert(at.min(out.len()), dialect_notice(name, why));
    }
}

/// A refusal instead of a stream.
struct RefusalDecoder(Fault);

impl Decode for RefusalDecoder {
    fn decode_frame(&mut self, _: &SseFrame, _: &mut Vec<AgentEvent>) {}

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        out.push(AgentEvent::TurnFinished { turn: "t".into(), outcome: TurnOutcome::Failed(self.0.clone()) });
    }

    fn has_failed(&self) -> bool {
        true
    }

    fn is_done(&self) -> bool {
        true
    }
}

/// Finds a dialect by its name.
pub fn find(name: &str) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|dialect| dialect.name == name)
}

/// Returns a dialect's name as people write it.
pub fn display_name(name: &str) -> &str {
    match name {
        "openjarvis" => "OpenJarvis",
        "openai-chat" => "OpenAI chat completions",
        "openai-responses" => "OpenAI Responses",
        "enclava" => "enclava's Responses",
        "poe" => "the Poe proxy",
        "anthropic" => "Anthropic Messages",
        "ollama" => "Ollama",
        "warp" => "Warp blocks",
        "ag-ui" => "AG-UI",
        "a2a" => "A2A",
        "native" => "jarvis-tui's own events",
        "plain" => "plain frames",
        other => other,
    }
}

/// Returns whether a frame may start an answer, rather than end one that failed.
pub fn can_begin_answer(frame: &SseFrame) -> bool {
    let is_known =
        matches!(examine_frame(frame, &DecodeContext::default()), DialectEvidence::Dialect(name, _) if name != "plain");
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
