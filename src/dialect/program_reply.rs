//! The reply of an agent program that tells in lines of JSON what it does: which of its messages and calls are open, so
//! that whatever the lines say, the events are legal.
//!
//! A program has threads: its own, and one for each sub-agent, which is named by the call that started it. Each has at
//! most one open message. A message begins with its first content. Calls are run by the program itself.

use std::any::Any;
use std::collections::HashMap;

use super::agent_reply::capped;
use super::error::{ServerError, fault_kind, to_single_line};
use super::plan::PlanTracker;
use super::unknown_frames::UnknownFrames;
use super::{Decode, SseFrame, surrogate};
use crate::event::{
    Annotation, CallId, CallOutcome, CallOutput, ExecutedBy, Fault, FinishReason, Json, MessageId, Millis, NoticeCode,
    NoticeLevel, OutputStream, ReplyEvent, ReplyTarget, Role, TextKind, TurnOutcome,
};

const MAX_CALLS: usize = 20_000;
const MAX_THREADS: usize = 256;
/// Lines between those of the format that are told.
const MAX_NOISE_LINES: usize = 200;
/// Bytes of such a line that are told.
const MAX_NOISE_LINE_BYTES: usize = 2000;
/// Bytes of arguments and of output that are kept to be compared with what comes later.
const MAX_COMPARED_BYTES: usize = 4 * 1024 * 1024;

/// The thread of the program itself.
pub(super) const MAIN_THREAD: &str = "";

#[derive(Debug, Default)]
pub(super) struct ProgramReply {
    threads: Vec<ProgramThread>,
    message_count: u64,
    calls: HashMap<String, ProgramCall>,
    noise_lines: usize,
    served_by: (Option<String>, Option<String>),
    pub(super) unknown_frames: UnknownFrames,
    pub(super) plan: PlanTracker,
}

#[derive(Debug, Default)]
struct ProgramThread {
    /// The call that started it; empty for the program itself.
    name: String,
    /// What the stream calls the message.
    key: String,
    message: Option<MessageId>,
    has_text: bool,
    has_calls: bool,
    finish_reason: Option<FinishReason>,
}

#[derive(Debug)]
struct ProgramCall {
    id: CallId,
    name: String,
    args: String,
    /// The output so far, where it comes in pieces.
    output: String,
    /// A sub-agent makes it.
    is_nested: bool,
    is_ready: bool,
    finished_times: u8,
    /// Calls before it.
    number: usize,
}

/// A call that the program makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallStart<'a> {
    pub(super) thread: &'a str,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
}

/// A decoder of the JSON lines of a program: what [`Decode`] wants of all of them alike is done here.
pub(super) trait DecodeLines: Any + Send {
    fn reply(&mut self) -> &mut ProgramReply;

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>);

    /// Returns how the run ended, where its lines say so.
    fn outcome(&self) -> Option<&TurnOutcome>;

    /// Tells what is left to tell at the end of the stream, and returns how the run ended.
    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome;

    /// Returns whether a line begins another run.
    fn begins_run(&self, _line: &Json) -> bool {
        false
    }

    /// Returns whether nothing can follow.
    fn is_settled(&self) -> bool {
        self.outcome().is_some()
    }
}

impl<D: DecodeLines> Decode for D {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.is_settled() {
            return;
        }
        if let Some(line) = self.reply().parse_line(frame, out) {
            self.handle_line(&line, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = self.finish_run(out);
        self.reply().end(outcome, out);
    }

    fn is_done(&self) -> bool {
        self.is_settled()
    }

    fn has_failed(&self) -> bool {
        matches!(self.outcome(), Some(TurnOutcome::Failed(_)))
    }

    fn is_complete(&self) -> bool {
        self.outcome().is_some()
    }

    fn begins_next(&self, frame: &SseFrame) -> bool {
        surrogate::parse_json(frame.data.trim()).is_some_and(|line| self.begins_run(&line))
    }
}

impl ProgramReply {
    /// Returns the reply of the turn after this one, which goes on with its plan.
    pub(super) fn following(&self) -> Self {
        Self { plan: self.plan.clone(), ..Self::default() }
    }

    /// Parses a line; none for one that is no object, which is told as it is.
    pub(super) fn parse_line(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) -> Option<Json> {
        let line = frame.data.trim();
        let json = if line.starts_with('{') { surrogate::parse_json(line) } else { None };
        if json.is_none() {
            self.tell_noise(line, out);
        }
        json
    }

    fn tell_noise(&mut self, line: &str, out: &mut Vec<ReplyEvent>) {
        // One that starts like the others was torn off.
        if line.is_empty() || line.starts_with('{') || self.noise_lines >= MAX_NOISE_LINES {
            return;
        }
        self.noise_lines += 1;
        let text = line.get(..line.floor_char_boundary(MAX_NOISE_LINE_BYTES)).unwrap_or(line).to_owned();
        out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Noise, text });
    }

    /// Tells who answers, once.
    pub(super) fn tell_server(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<ReplyEvent>) {
        let named = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let (known_id, known_model) = self.served_by.clone();
        let served_by = (named(id).or(known_id), named(model).or(known_model));
        if served_by == self.served_by {
            return;
        }
        self.served_by = served_by.clone();
        let annotation = Annotation::ServedBy { id: served_by.0, model: served_by.1 };
        out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation });
    }

    /// Has what follows in a thread belong to the message of this name. One that has neither text nor calls yet goes on
    /// under the new name: some programs give each block of a message its own.
    pub(super) fn enter_message(&mut self, thread: &str, key: &str, out: &mut Vec<ReplyEvent>) {
        let Some(state) = self.thread(thread) else { return };
        if state.key != key && (state.has_text || state.has_calls) {
            self.finish_message(thread, out);
        }
        if let Some(state) = self.thread(thread) {
            key.clone_into(&mut state.key);
        }
    }

    /// Returns whether the open message of a thread has calls.
    pub(super) fn has_calls(&mut self, thread: &str) -> bool {
        self.thread(thread).is_some_and(|state| state.has_calls)
    }

    pub(super) fn push_text(&mut self, thread: &str, text: &str, out: &mut Vec<ReplyEvent>) {
        if text.is_empty() {
            return;
        }
        let Some(message) = self.begin_message(thread, out) else { return };
        if let Some(state) = self.thread(thread) {
            state.has_text = true;
        }
        out.push(ReplyEvent::TextDelta { message, text: text.to_owned(), kind: TextKind::Text });
    }

    pub(super) fn push_reasoning(&mut self, thread: &str, text: &str, out: &mut Vec<ReplyEvent>) {
        if text.is_empty() {
            return;
        }
        let Some(message) = self.begin_message(thread, out) else { return };
        out.push(ReplyEvent::ReasoningDelta { message, text: text.to_owned() });
    }

    /// Sets why the open message of a thread ends.
    pub(super) fn set_finish_reason(&mut self, thread: &str, reason: FinishReason) {
        if let Some(state) = self.thread(thread) {
            state.finish_reason = Some(reason);
        }
    }

    pub(super) fn finish_message(&mut self, thread: &str, out: &mut Vec<ReplyEvent>) {
        self.finish_message_as(thread, None, out);
    }

    /// Finishes the open message of a thread; its text is this one, whatever was told of it.
    pub(super) fn finish_message_as(&mut self, thread: &str, full_text: Option<String>, out: &mut Vec<ReplyEvent>) {
        let Some(state) = self.thread(thread) else { return };
        let ended = std::mem::replace(state, ProgramThread { name: thread.to_owned(), ..ProgramThread::default() });
        ended.finish(full_text, None, out);
    }

    /// Returns whether the stream has named this call.
    pub(super) fn knows_call(&self, id: &str) -> bool {
        self.calls.contains_key(id)
    }

    /// Starts a call, unless it is known. Returns false where there are too many.
    pub(super) fn start_call(&mut self, start: CallStart<'_>, out: &mut Vec<ReplyEvent>) -> bool {
        let CallStart { thread, id, name } = start;
        if self.knows_call(id) {
            return true;
        }
        if self.calls.len() >= MAX_CALLS {
            self.unknown_frames.report("too many tool calls", out);
            return false;
        }
        let Some(message) = self.begin_message(thread, out) else { return false };
        if let Some(state) = self.thread(thread) {
            state.has_calls = true;
        }
        let call = CallId::new(id);
        out.push(ReplyEvent::ToolCallStarted {
            call: call.clone(),
            message,
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            parent: (!thread.is_empty()).then(|| CallId::new(thread)),
            executed_by: ExecutedBy::Server,
        });
        let (args, output) = (String::new(), String::new());
        let (number, name) = (self.calls.len(), name.to_owned());
        let is_nested = !thread.is_empty();
        let state = ProgramCall { id: call, name, args, output, is_nested, is_ready: false, finished_times: 0, number };
        self.calls.insert(id.to_owned(), state);
        true
    }

    /// Starts a call whose arguments are known.
    pub(super) fn start_whole_call(&mut self, start: CallStart<'_>, args: Option<&Json>, out: &mut Vec<ReplyEvent>) {
        if self.start_call(start, out) {
            self.make_ready(start.id, args, out);
        }
    }

    pub(super) fn push_args(&mut self, id: &str, piece: &str, out: &mut Vec<ReplyEvent>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready && call.finished_times == 0) else {
            return;
        };
        if piece.is_empty() || call.args.len() > MAX_COMPARED_BYTES {
            return;
        }
        call.args.push_str(piece);
        out.push(ReplyEvent::ToolArgsDelta { call: call.id.clone(), json: piece.to_owned() });
    }

    /// Says that the arguments are complete: these, or what was streamed of them where that says the same.
    pub(super) fn make_ready(&mut self, id: &str, args: Option<&Json>, out: &mut Vec<ReplyEvent>) {
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.is_ready && call.finished_times == 0) else {
            return;
        };
        call.is_ready = true;
        let streamed = std::mem::take(&mut call.args);
        let is_same = |args: &&Json| serde_json::from_str::<Json>(&streamed).is_ok_and(|streamed| streamed == **args);
        let args = match args {
            Some(args) if !is_same(&args) => args.to_string(),
            _ if streamed.trim().is_empty() => "{}".to_owned(),
            _ => streamed,
        };
        let (call, name, is_nested) = (call.id.clone(), call.name.clone(), call.is_nested);
        let ready = ReplyEvent::ToolCallReady { call, name: name.clone(), args: args.clone(), provider_metadata: None };
        out.push(ready);
        // The plan of a sub-agent is its own.
        if !is_nested {
            self.plan.on_call(id, &name, &args, out);
        }
    }

    /// Takes the whole output so far of a call that runs; only what is new is told. Where it is another one, the end
    /// will tell.
    pub(super) fn set_output(&mut self, id: &str, whole: &str, out: &mut Vec<ReplyEvent>) {
        self.make_ready(id, None, out);
        let Some(call) = self.calls.get_mut(id).filter(|call| call.finished_times == 0) else { return };
        let Some(more) = whole.strip_prefix(call.output.as_str()).filter(|more| !more.is_empty()) else { return };
        if whole.len() > MAX_COMPARED_BYTES {
            return;
        }
        let event =
            ReplyEvent::ToolOutput { call: call.id.clone(), stream: OutputStream::Stdout, text: more.to_owned() };
        whole.clone_into(&mut call.output);
        out.push(event);
    }

    /// Tells a further piece of the output of a call that runs.
    pub(super) fn push_output(&mut self, id: &str, piece: &str, out: &mut Vec<ReplyEvent>) {
        self.make_ready(id, None, out);
        let Some(call) = self.calls.get_mut(id).filter(|call| call.finished_times == 0) else { return };
        if piece.is_empty() || call.output.len().saturating_add(piece.len()) > MAX_COMPARED_BYTES {
            return;
        }
        call.output.push_str(piece);
        let (call, text) = (call.id.clone(), piece.to_owned());
        out.push(ReplyEvent::ToolOutput { call, stream: OutputStream::Stdout, text });
    }

    /// Finishes a call; a sub-agent that it started is over. The second end counts, a third is not told.
    pub(super) fn finish_call(
        &mut self,
        id: &str,
        outcome: CallOutcome,
        text: impl Into<String>,
        duration: Option<Millis>,
        out: &mut Vec<ReplyEvent>,
    ) {
        if !self.knows_call(id) {
            return self.unknown_frames.report("a result of a call that was not announced", out);
        }
        if self.threads.iter().any(|thread| thread.name == id) {
            self.finish_message(id, out);
            self.threads.retain(|thread| thread.name != id);
        }
        self.make_ready(id, None, out);
        let Some(call) = self.calls.get_mut(id).filter(|call| call.finished_times < 2) else { return };
        call.finished_times += 1;
        call.output = String::new();
        let (call, output) = (call.id.clone(), CallOutput::from_text(text));
        self.plan.on_result(id, &output.text);
        out.push(ReplyEvent::ToolCallFinished { call, outcome, output, duration });
    }

    /// Returns how many calls the stream named before this one.
    pub(super) fn call_number(&self, id: &str) -> usize {
        self.calls.get(id).map_or(0, |call| call.number)
    }

    /// Returns whether a call has ended.
    pub(super) fn is_call_finished(&self, id: &str) -> bool {
        self.calls.get(id).is_some_and(|call| call.finished_times > 0)
    }

    /// Ends the reply: whatever is open ends with it. Calls that still run keep the output that they gave.
    pub(super) fn end(&mut self, outcome: TurnOutcome, out: &mut Vec<ReplyEvent>) {
        let calls = self.calls.iter().filter(|(_, call)| call.finished_times == 0 && !call.output.is_empty());
        let mut calls: Vec<(usize, String)> = calls.map(|(id, call)| (call.number, id.clone())).collect();
        calls.sort_unstable();
        for (_, id) in calls {
            let output = self.calls.get(&id).map(|call| call.output.clone()).unwrap_or_default();
            self.finish_call(&id, CallOutcome::Unknown, output, None, out);
        }
        let cut = (outcome != TurnOutcome::Completed).then(|| outcome.finish_reason());
        for thread in std::mem::take(&mut self.threads) {
            thread.finish(None, cut, out);
        }
        out.push(ReplyEvent::End { outcome });
    }

    /// Returns the open message of a thread, begun if need be; none where there are too many threads.
    pub(super) fn begin_message(&mut self, thread: &str, out: &mut Vec<ReplyEvent>) -> Option<MessageId> {
        let next = MessageId::new(format!("m{}", self.message_count + 1));
        let Some(state) = self.thread(thread) else {
            self.unknown_frames.report("too many sub-agents", out);
            return None;
        };
        if let Some(message) = &state.message {
            return Some(message.clone());
        }
        state.message = Some(next.clone());
        self.message_count += 1;
        let parent = (!thread.is_empty()).then(|| CallId::new(thread));
        out.push(ReplyEvent::MessageStarted { message: next.clone(), role: Role::Assistant, parent });
        Some(next)
    }

    fn thread(&mut self, name: &str) -> Option<&mut ProgramThread> {
        let at = self.threads.iter().position(|thread| thread.name == name);
        let at = match at {
            Some(at) => at,
            None if self.threads.len() >= MAX_THREADS => return None,
            None => {
                self.threads.push(ProgramThread { name: name.to_owned(), ..ProgramThread::default() });
                self.threads.len() - 1
            }
        };
        self.threads.get_mut(at)
    }
}

impl ProgramThread {
    /// Finishes its message; `cut` is why it ends where the reply breaks off.
    fn finish(self, full_text: Option<String>, cut: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        let Some(message) = self.message else { return };
        let natural = if self.has_calls { FinishReason::ToolCalls } else { FinishReason::End };
        let finish_reason = self.finish_reason.or(cut).unwrap_or(natural);
        out.push(ReplyEvent::MessageFinished { message, finish_reason, full_text, provider_metadata: None });
    }
}

/// Returns the fault of a run that says why it failed, in its own words.
pub(super) fn to_run_fault(words: &str, status: Option<u64>) -> Fault {
    let message = to_single_line(words);
    let status = status.and_then(|status| u16::try_from(status).ok()).or_else(|| status_in(words));
    let message = if message.is_empty() { "the program failed and gave no reason".to_owned() } else { message };
    let error = ServerError { message, code: String::new(), status };
    Fault::new(fault_kind(None, &error), error.message)
}

/// Returns how a run failed whose words may be the body of a response: then its own words are the reason, and the body
/// is told beside it.
pub(super) fn failed_as_told(words: &str, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
    let body = words.trim_start().starts_with('{').then(|| surrogate::parse_json(words.trim())).flatten();
    let Some((body, told)) = body.and_then(|body| super::error::parse(&body).map(|told| (body, told))) else {
        return TurnOutcome::Failed(to_run_fault(words, None));
    };
    tell_raw_error(&body, out);
    let status = told.status.or_else(|| status_in(words));
    TurnOutcome::Failed(to_run_fault(&told.message, status.map(u64::from)))
}

/// Tells an error as it came, where other words are shown.
pub(super) fn tell_raw_error(error: &Json, out: &mut Vec<ReplyEvent>) {
    let annotation = Annotation::Custom { name: "error".into(), value: capped(error) };
    out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation });
}

/// Finds an HTTP status in the words of an error: a number of three digits that stands alone.
fn status_in(words: &str) -> Option<u16> {
    let numbers = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() == 3);
    numbers.filter_map(|word| word.parse().ok()).find(|status| (400..600).contains(status))
}

/// Returns a string at a key, empty where there is none.
pub(super) fn word<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// Joins the texts of a content: a string, or a list of blocks. What is no text is named.
pub(super) fn content_text(content: &Json) -> String {
    match content {
        Json::String(text) => text.clone(),
        Json::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| match block.get("text").and_then(Json::as_str) {
                Some(text) => Some(text.to_owned()),
                None => {
                    block.as_str().map(str::to_owned).or_else(|| Some(format!("[{}]", block.get("type")?.as_str()?)))
                }
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

/// Tells what a run cost, in US dollars.
pub(super) fn cost_event(usd: f64) -> ReplyEvent {
    ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Cost { usd } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_error_is_found_in_its_words() {
        for (words, status) in [
            ("[API Error: 401 Unauthorized]", Some(401)),
            ("{\"code\":500}", Some(500)),
            ("took 5000 ms, id a429b", None),
            ("exit 3", None),
        ] {
            assert_eq!(status_in(words), status, "{words}");
        }
    }

    #[test]
    fn a_sub_agent_ends_with_the_call_that_started_it() {
        let (mut reply, mut out) = (ProgramReply::default(), Vec::new());
        let start = |id| CallStart { thread: MAIN_THREAD, id, name: "Task" };
        reply.start_call(start("c1"), &mut out);
        reply.push_text("c1", "inside", &mut out);
        reply.finish_call("c1", CallOutcome::Ok, "done", None, &mut out);
        reply.end(TurnOutcome::Completed, &mut out);
        let finished = out.iter().filter(|event| matches!(event, ReplyEvent::MessageFinished { .. })).count();
        let started = out.iter().filter(|event| matches!(event, ReplyEvent::MessageStarted { .. })).count();
        assert_eq!((started, finished), (2, 2));
    }
}
