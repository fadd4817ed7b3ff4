//! Which dialect a stream speaks, by its content type, its path, its event names and its first frames; then the
//! decoder of that dialect, fed from the first frame on. The rules themselves are in `detect/signs.rs`.
//!
//! Event names count before the shape of the data. Frames that say nothing (pings, data that is not JSON) are held
//! back, few and small, until one does. What is decided stays: a frame of another dialect later is told once and goes
//! to the decoder all the same. Not for engines, which know what their server speaks.

mod signs;

use self::signs::{Sign, read_sign};
use super::openjarvis::OpenJarvis;
use super::{Context, DIALECTS, Decode, Dialect, SseFrame, error};
use crate::event::{AgentEvent, Fault, FaultKind, Json, Level, TurnEnd};

/// Frames that are held back while nothing is decided.
const MOST_FRAMES: usize = 8;
/// Bytes of them.
const MOST_BYTES: usize = 64 * 1024;

const CHAT: &str = "openai-chat";
const JARVIS: &str = "openjarvis";

/// Decodes a stream whose dialect is not known beforehand.
pub struct Detector {
    context: Context,
    state: State,
    misfit: bool,
}

enum State {
    Undecided {
        held: Vec<SseFrame>,
        size: usize,
    },
    Decided {
        name: &'static str,
        decode: Box<dyn Decode>,
    },
    /// Chat completions, which may turn out to be OpenJarvis's at any frame.
    Family {
        decode: Box<OpenJarvis>,
        told: Option<&'static str>,
    },
}

impl Detector {
    pub fn new(context: Context) -> Self {
        Self { context, state: State::Undecided { held: Vec::new(), size: 0 }, misfit: false }
    }

    /// Returns the decoder of a dialect that the person named; none if there is no such dialect.
    pub fn pinned(name: &str, context: Context) -> Option<Self> {
        let dialect = find(name)?;
        let decode = (dialect.decode)(&context);
        Some(Self { context, state: State::Decided { name: dialect.name, decode }, misfit: false })
    }

    /// Returns the dialect that was told so far, which may change once, from chat completions to OpenJarvis; empty
    /// while there is none.
    pub fn name(&self) -> &'static str {
        match &self.state {
            State::Undecided { .. } => "",
            State::Decided { name, .. } => name,
            State::Family { told, .. } => told.unwrap_or_default(),
        }
    }

    fn hold(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let State::Undecided { held, size } = &mut self.state else { return };
        *size = size.saturating_add(frame.data.len());
        held.push(frame.clone());
        let full = held.len() >= MOST_FRAMES || *size >= MOST_BYTES;
        // What was said before an error is kept, in whatever format it was.
        let is_error = error::reported(frame).is_some();
        let has_spoken = held.iter().rev().skip(1).any(says_something);
        match read_sign(frame, &self.context) {
            Sign::Fault(_) | Sign::Is(JARVIS | "anthropic", _) if is_error && has_spoken => {
                self.decide("plain", "an error ends it, and its frames are of no kind that this program knows", out);
            }
            Sign::Is(name, why) => self.decide(name, &why, out),
            Sign::Fault(fault) => self.refuse(fault),
            Sign::Nothing if full => self.give_up(out),
            Sign::Nothing => {}
        }
    }

    /// Nothing told what it is: an error is shown as one, anything else as it came.
    fn give_up(&mut self, out: &mut Vec<AgentEvent>) {
        let State::Undecided { held, .. } = &self.state else { return };
        let has_spoken = held.iter().any(|frame| says_something(frame) && error::reported(frame).is_none());
        if let Some(fault) = held.iter().find_map(fault_in).filter(|fault| !has_spoken || *fault == page()) {
            return self.refuse(fault);
        }
        if held.iter().any(|frame| frame.data.trim() == "[DONE]") && held.iter().all(|frame| frame.data.len() < 16) {
            self.decide(CHAT, "all it holds is the end mark of chat completions", out);
        } else if !held.is_empty() {
            self.decide("plain", "its frames are of no kind that this program knows", out);
        }
    }

    fn refuse(&mut self, fault: Fault) {
        self.state = State::Decided { name: "plain", decode: Box::new(Refusal(fault)) };
    }

    fn decide(&mut self, name: &'static str, why: &str, out: &mut Vec<AgentEvent>) {
        let State::Undecided { held, .. } = &mut self.state else { return };
        let held = std::mem::take(held);
        if name == CHAT {
            self.state = State::Family { decode: Box::new(OpenJarvis::maybe(&self.context)), told: None };
        } else {
            // A sign may name a dialect that this build has no decoder for.
            let Some(dialect) = find(name).or_else(|| find("plain")).or_else(|| DIALECTS.first()) else { return };
            out.push(reason(dialect.name, why));
            self.state = State::Decided { name: dialect.name, decode: (dialect.decode)(&self.context) };
        }
        for frame in &held {
            self.decode(frame, out);
        }
    }

    fn decode(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let before = out.len();
        match &mut self.state {
            State::Undecided { .. } => {}
            State::Decided { decode, .. } => decode.frame(frame, out),
            State::Family { decode, told } => {
                decode.frame(frame, out);
                // The empty first chunk says nothing yet; what follows may.
                if out.len() > before || decode.evidence().is_some() {
                    tell_family(decode, told, before, out);
                }
            }
        }
        // Only what the decoder itself wondered at is looked at twice.
        let wondered =
            |event: &AgentEvent| matches!(event, AgentEvent::Noticed { code, .. } if code == "unknown_frame");
        if !self.misfit && out.iter().skip(before).any(wondered) {
            self.doubt(frame, out);
        }
    }

    fn doubt(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let name = self.name();
        let Sign::Is(other, why) = read_sign(frame, &self.context) else { return };
        if other == name || (other == CHAT && name == JARVIS) {
            return;
        }
        self.misfit = true;
        let text = format!("the stream is read as {}, but {why}, as in {}", title(name), title(other));
        out.push(AgentEvent::Noticed { level: Level::Warn, code: "misfit".into(), text });
    }
}

impl Decode for Detector {
    fn content_type(&mut self, content_type: &str) {
        content_type.clone_into(&mut self.context.content_type);
    }

    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        match &self.state {
            State::Undecided { .. } => self.hold(frame, out),
            State::Decided { .. } | State::Family { .. } => self.decode(frame, out),
        }
    }

    fn beside(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if let State::Undecided { .. } = self.state {
            self.decide(JARVIS, "its server tells of an agent on a feed of events", out);
        }
        match &mut self.state {
            State::Decided { decode, .. } => decode.beside(frame, out),
            State::Family { decode, .. } => decode.beside(frame, out),
            State::Undecided { .. } => {}
        }
    }

    fn settle(&mut self, records: &[Option<&Json>], out: &mut Vec<AgentEvent>) -> bool {
        match &mut self.state {
            State::Decided { decode, .. } => decode.settle(records, out),
            State::Family { decode, .. } => decode.settle(records, out),
            State::Undecided { .. } => true,
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.give_up(out);
        match &mut self.state {
            State::Decided { decode, .. } => decode.finish(out),
            State::Family { decode, told } => {
                let before = out.len();
                decode.finish(out);
                tell_family(decode, told, before, out);
            }
            State::Undecided { .. } => {
                out.push(AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Interrupted });
            }
        }
    }

    fn has_failed(&self) -> bool {
        match &self.state {
            State::Undecided { .. } => false,
            State::Decided { decode, .. } => decode.has_failed(),
            State::Family { decode, .. } => decode.has_failed(),
        }
    }

    fn is_done(&self) -> bool {
        match &self.state {
            State::Undecided { .. } => false,
            State::Decided { decode, .. } => decode.is_done(),
            State::Family { decode, .. } => decode.is_done(),
        }
    }

    fn is_settled(&self) -> bool {
        match &self.state {
            State::Undecided { .. } => false,
            State::Decided { decode, .. } => decode.is_settled(),
            State::Family { decode, .. } => decode.is_settled(),
        }
    }
}

fn reason(name: &str, why: &str) -> AgentEvent {
    let text = format!("looks like {} because {why}", title(name));
    AgentEvent::Noticed { level: Level::Info, code: "dialect".into(), text }
}

/// Tells the dialect before what the frame gave, and once more if it turns out to be another one.
fn tell_family(decode: &OpenJarvis, told: &mut Option<&'static str>, at: usize, out: &mut Vec<AgentEvent>) {
    let (name, why) = match decode.evidence() {
        Some(why) => (JARVIS, why),
        None => (CHAT, "its frames are chat completion chunks"),
    };
    if told.replace(name) != Some(name) {
        out.insert(at.min(out.len()), reason(name, why));
    }
}

/// What came was no stream but a refusal.
struct Refusal(Fault);

impl Decode for Refusal {
    fn frame(&mut self, _: &SseFrame, _: &mut Vec<AgentEvent>) {}

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Failed(self.0.clone()) });
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
pub fn title(name: &str) -> &str {
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

/// Whether a frame may begin an answer, and is no rest of one that failed.
pub fn may_begin(frame: &SseFrame) -> bool {
    let is_known = matches!(read_sign(frame, &Context::default()), Sign::Is(name, _) if name != "plain");
    is_known && !is_tail(frame) && error::reported(frame).is_none()
}

/// Whether a frame says nothing that could begin an answer, such as the counts that follow one.
pub fn is_tail(frame: &SseFrame) -> bool {
    let has = |text: &str| memchr::memmem::find(frame.data.as_bytes(), text.as_bytes()).is_some();
    matches!(frame.data.trim(), "" | "{}" | "[DONE]") || has("\"choices\":[]") || has("\"choices\": []")
}

/// Whether a frame is more than a sign of life.
fn says_something(frame: &SseFrame) -> bool {
    !matches!(frame.event.as_str(), "ping" | "keepalive" | "keep-alive" | "heartbeat")
        && !matches!(frame.data.trim(), "" | "{}" | "[DONE]")
}

fn fault_in(frame: &SseFrame) -> Option<Fault> {
    if let Some(said) = error::reported(frame) {
        return Some(error::fault(&said));
    }
    let text = frame.data.trim_start();
    let is_page =
        ["<!doctype", "<html"].iter().any(|tag| text.get(..tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag)));
    is_page.then(page)
}

fn page() -> Fault {
    let text = "the server answered with a web page instead of a stream; check the URL, it may lack a path such as /v1/chat/completions";
    Fault::new(FaultKind::Protocol, text)
}

#[cfg(test)]
mod tests;
