//! The wire formats, one file each: structs, decoder and tests live together. Sans-IO: bytes and sockets belong to
//! `net`.
//!
//! A decoder returns events *and* notices, never an error: one bad frame must not end a good conversation. It speaks of
//! one reply ([`ReplyEvent`]), an encoder hears of a session.

pub mod a2a;
pub mod acp;
pub mod adk;
mod agent_calls;
mod agent_reply;
pub mod agno;
pub mod agui;
pub mod ahp;
pub mod ai_sdk;
mod answer;
pub mod anthropic;
pub mod anthropic_sessions;
mod arguments;
pub mod bedrock;
mod borrowed_json;
pub mod chat;
pub mod chatkit;
pub mod claude_code;
pub mod codex_app;
pub mod codex_exec;
pub mod cohere;
pub mod copilot_cli;
mod dedup;
pub mod detect;
pub mod enclava;
pub mod error;
mod evidence;
mod finish_reason;
mod frame;
pub mod gemini;
pub mod gemini_cli;
pub mod gemini_interactions;
pub mod gptme;
pub mod grok;
pub mod langgraph;
mod lenient;
pub mod mastra;
pub mod mistral;
pub mod model_answer;
pub mod native;
pub mod offered_decisions;
pub mod ollama;
pub mod openai_sessions;
pub mod opencode;
pub mod opencode_run;
pub mod openjarvis;
pub mod pi;
pub mod plain;
mod plan;
pub mod poe;
pub mod poe_bot;
mod program_reply;
mod reasoning_dedup;
mod repeated_frame;
mod reply_end;
mod response_head;
pub mod responses;
pub mod saved;
mod server_calls;
mod step_reply;
mod stray;
mod surrogate;
mod text_assembler;
pub mod text_stream;
mod think_tags;
mod unknown_frames;
mod usage;
pub mod wall_time;
pub mod warp;
pub mod yes_no;

pub use evidence::{Evidence, FirstFrame};
pub use frame::{SseFrame, TEXT_PIECE_NAME};
pub use response_head::ResponseHead;

use std::any::Any;

use crate::event::{Envelope, Json, Millis, ReplyEvent};

/// What a decoder may know of the request whose response it decodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodeContext {
    /// Our prompt, where there is one: some servers mix other clients' events into the stream.
    pub prompt: Option<String>,
    /// The path of the request's URL.
    pub path: String,
    pub response: ResponseHead,
    /// Calls of earlier replies of the turn that were decided since: their results may be in this one.
    pub open_calls: Vec<OpenCall>,
    /// The session that the request belongs to, where a stream tells of all.
    pub session: Option<String>,
}

/// A call whose result is in another reply than the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// Its id in the stream.
    pub wire_id: String,
    pub name: String,
}

/// A wire format: a row of [`DIALECTS`], in the file of the format.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// As in `--dialect` and in JSON output.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    pub decode: fn(&DecodeContext) -> Box<dyn Decode>,
    /// Returns why the frame is one of this dialect, if it is.
    pub evidence: fn(&FirstFrame<'_>) -> Option<Evidence>,
    /// Set where its streams begin like those of another dialect.
    pub extends: Option<Extension>,
    /// What the format cannot express, for docs and tests.
    pub limitations: &'static str,
}

/// A superset of another dialect: a stream without any of its additions decodes as the other does.
#[derive(Clone, Copy)]
pub struct Extension {
    /// The name of the other dialect.
    pub base: &'static str,
    /// Decodes a stream of the other dialect that may turn out to be one of this.
    pub decode: fn(&DecodeContext) -> Box<dyn DecodeExtension>,
}

/// Every dialect that a stream can be decoded from. Of two with equal evidence the first is taken.
pub static DIALECTS: &[Dialect] = &[
    responses::DIALECT,
    enclava::DIALECT,
    native::DIALECT,
    poe::DIALECT,
    anthropic::DIALECT,
    agui::DIALECT,
    ai_sdk::DIALECT,
    adk::DIALECT,
    langgraph::DIALECT,
    agno::DIALECT,
    mastra::DIALECT,
    opencode::DIALECT,
    poe_bot::DIALECT,
    a2a::DIALECT,
    chat::DIALECT,
    gemini::DIALECT,
    bedrock::DIALECT,
    cohere::DIALECT,
    mistral::DIALECT,
    chatkit::DIALECT,
    gptme::DIALECT,
    anthropic_sessions::DIALECT,
    openai_sessions::DIALECT,
    gemini_interactions::DIALECT,
    ollama::DIALECT,
    warp::DIALECT,
    openjarvis::DIALECT,
    text_stream::DIALECT,
    claude_code::DIALECT,
    codex_exec::DIALECT,
    gemini_cli::DIALECT,
    opencode_run::DIALECT,
    pi::DIALECT,
    copilot_cli::DIALECT,
    grok::DIALECT,
    acp::DIALECT,
    ahp::DIALECT,
    codex_app::DIALECT,
    plain::DIALECT,
];

/// Finds a dialect by its name.
pub fn find(name: &str) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|dialect| dialect.name == name)
}

/// Turns frames into events.
pub trait Decode: Any + Send {
    /// Takes the head of the response, where there is one, before its first frame; again for each response that goes on
    /// with the same stream.
    fn begin_response(&mut self, _head: &ResponseHead) {}

    /// Handles one frame. Bad frames become notices.
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>);

    /// Handles the end of the stream: closes what is open and emits exactly one [`ReplyEvent::End`] as the last event:
    /// completed, failed, or interrupted where the end mark never came.
    fn finish(&mut self, out: &mut Vec<ReplyEvent>);

    /// Returns true once the end mark was seen: nothing usable can follow, the connection may be dropped.
    fn is_done(&self) -> bool;

    /// Returns true once an error was reported that ends the answer.
    fn has_failed(&self) -> bool {
        false
    }

    /// Returns whether a frame begins another answer after this one, which is done.
    fn begins_next(&self, frame: &SseFrame) -> bool {
        !detect::is_trailing(frame)
    }

    /// Returns true once the answer is complete, though extras such as usage may still follow. A server that then goes
    /// silent has not cut anything off.
    fn is_complete(&self) -> bool {
        self.is_done()
    }
}

/// Decodes a stream that may be one of another dialect.
pub trait DecodeExtension: Decode {
    /// Returns why it is one of this dialect, as a clause; none while it may be the other.
    fn evidence(&self) -> Option<&str>;
}

/// Turns the events of a session into the frames of one answer: the inverse of [`Decode`].
///
/// Deterministic: the same events from the same start give the same frames. A stream is resumed that way: a new encoder
/// is fed from the start, and the frames that the client has are dropped. So ids and sequence numbers count frames, and
/// times are those of the events.
pub trait Encode: Send {
    /// Emits the frames that precede the first event, where there are any.
    fn start(&mut self, _out: &mut Vec<SseFrame>) {}

    /// Encodes the next event of the turn. What the dialect can't express is left out.
    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<SseFrame>);

    /// Ends the stream, after the last event: emits the end mark, and what is missing if the turn never ended. Called
    /// once.
    fn finish(&mut self, out: &mut Vec<SseFrame>);

    /// The keep-alive for a quiet stream. Never numbered, never resumed.
    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Comment
    }

    /// Returns the delay between the frames of the last event, where that was a whole answer sent in words. A caller
    /// that already has the next piece of text need not wait.
    fn pacing_delay(&self) -> Option<Millis> {
        None
    }

    /// Returns true where the client has to do something before the turn goes on, such as to decide an approval: the
    /// stream ends there, and the rest is another one.
    fn is_paused(&self) -> bool {
        false
    }

    /// Returns the whole answer, for a client that requested no stream: the HTTP status and the body. Called after
    /// [`Encode::finish`].
    fn full_response(&mut self) -> (u16, Json);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// One comment line and no blank line: some clients take a blank line for an event.
    Comment,
    Frame(SseFrame),
}
