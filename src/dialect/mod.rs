//! The wire formats, one file each: structs, decoder and tests live together. Sans-IO: bytes and sockets are `net`'s.
//!
//! A decoder returns events *and* complaints (as notices), never an error: one bad frame must not end a good
//! conversation. Message ids are the decoder's own (`m1`, `m2` …) and call ids those of the wire where it has any;
//! whoever runs the decoder makes both unique in the session.

pub mod a2a;
pub mod agui;
mod answer_builder;
mod answer_usage;
pub mod anthropic;
mod arguments;
mod borrowed_json;
pub mod chat;
mod dedup;
pub mod detect;
pub mod enclava;
pub mod error;
mod finish_reason;
mod frame;
mod lenient;
pub mod native;
pub mod ollama;
pub mod openjarvis;
pub mod plain;
pub mod poe;
mod reasoning_dedup;
pub mod responses;
mod server_calls;
mod stray;
mod surrogate;
mod text_assembler;
mod think_tags;
mod unknown_frames;
mod usage;
pub mod warp;

pub use frame::SseFrame;

use crate::event::{AgentEvent, Envelope, Json, Millis};

/// What a decoder may know of the request that it decodes the answer of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodeContext {
    /// The prompt we sent, where we sent one: some servers mix other clients' events into the stream.
    pub prompt: Option<String>,
    /// The path of the request's URL.
    pub path: String,
    /// The answer's content type, without parameters, lower case.
    pub content_type: String,
}

/// A wire format that answers can be in.
pub struct Dialect {
    /// As in `--dialect` and in JSON output.
    pub name: &'static str,
    pub decode: fn(&DecodeContext) -> Box<dyn Decode>,
    /// What it cannot say, for docs and tests.
    pub limitations: &'static str,
}

/// Every dialect that a stream can be read as.
pub const DIALECTS: &[Dialect] = &[
    responses::DIALECT,
    enclava::DIALECT,
    native::DIALECT,
    poe::DIALECT,
    anthropic::DIALECT,
    agui::DIALECT,
    a2a::DIALECT,
    Dialect {
        name: "openjarvis",
        decode: |context| Box::new(openjarvis::OpenJarvisDecoder::new(context)),
        limitations: "which tools ran, on servers from 1.0.3 on; which message a call belongs to",
    },
    Dialect {
        name: "openai-chat",
        decode: |_| Box::new(chat::ChatDecoder::new()),
        limitations: "how long a call ran and what it gave: the client runs it",
    },
    Dialect {
        name: "ollama",
        decode: |_| Box::new(ollama::OllamaDecoder::new()),
        limitations: "how long a call ran and what it gave: the client runs it",
    },
    Dialect {
        name: "warp",
        decode: |_| Box::new(warp::WarpDecoder::new()),
        limitations: "reasoning, and how calls went, except from our own server",
    },
    Dialect {
        name: "plain",
        decode: |_| Box::new(plain::PlainDecoder::new()),
        limitations: "everything but the bytes",
    },
];

/// Turns frames into events.
pub trait Decode: Send {
    /// Told before the first frame, in lower case: only detection cares.
    fn content_type(&mut self, _content_type: &str) {}

    /// Takes one frame. Bad frames become notices.
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>);

    /// Takes an event of a feed that the server has beside its answers and that tells of all its clients.
    fn decode_side_channel(&mut self, _frame: &SseFrame, _out: &mut Vec<AgentEvent>) {}

    /// Takes what the server keeps of its work, asked for once the answer is complete and before [`Decode::finish`].
    /// Returns false while this answer is missing in it, so that it is worth asking again.
    fn finalize_from_records(&mut self, _records: &[Option<&Json>], _out: &mut Vec<AgentEvent>) -> bool {
        true
    }

    /// The stream is over: closes what is open and says how it ended, with exactly one `TurnFinished` as the last
    /// event (its turn id is `t`, to be replaced): completed, failed, or interrupted when the end mark never came.
    fn finish(&mut self, out: &mut Vec<AgentEvent>);

    /// Returns true once the end mark was seen: nothing usable can follow, the connection may be dropped.
    fn is_done(&self) -> bool;

    /// Returns true once an error was reported that ends the answer.
    fn has_failed(&self) -> bool {
        false
    }

    /// Returns true once the answer is complete, though extras such as token counts may still follow. A server that
    /// then falls silent has not cut anything off.
    fn is_complete(&self) -> bool {
        self.is_done()
    }
}

/// Turns the facts of a session into the frames of one answer: [`Decode`] the other way round.
///
/// Deterministic: the same facts from the same start give the same frames, and that is how a stream is resumed: a new
/// encoder is fed from the start and the frames the client has are dropped. So ids and sequence numbers count frames,
/// and times are those of the facts.
pub trait Encode: Send {
    /// Says what comes before the first fact.
    fn start(&mut self, out: &mut Vec<SseFrame>);

    /// Takes the next fact of the turn. What the dialect can't say is left out.
    fn encode_event(&mut self, told: &Envelope, out: &mut Vec<SseFrame>);

    /// The facts are over: says the end mark, and what is still owed if the turn's end never came. Told once.
    fn finish(&mut self, out: &mut Vec<SseFrame>);

    /// Returns what is sent where nothing else was for a while. Never counted, never resumed.
    fn keep_alive(&self) -> KeepAlive;

    /// Returns how long to wait between the frames of the last fact, where it was an answer in one piece that is told
    /// in words. Who has the next piece of text already needn't wait.
    fn pacing_delay(&self) -> Option<Millis> {
        None
    }

    /// Returns the whole answer, for a client that asked for no stream: the HTTP status and the body. Called after
    /// [`Encode::finish`].
    fn full_response(&mut self) -> (u16, Json);
}

/// A sign of life on a quiet stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// One comment line and no blank line: some clients take a blank line for an event.
    Comment,
    Frame(SseFrame),
}
