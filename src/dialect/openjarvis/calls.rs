//! Calls that the server runs, assembled from starts, ends and results that share no id.
//!
//! An end belongs to the running call with its name and its arguments, else to the oldest running one of its name.
//! `tool_results` lists the calls of the turn in the order of the requests, untruncated: it completes known calls,
//! shows the ones that waited, and adds the calls that were denied before they ran, whose arguments only the model's
//! request holds.

use crate::event::{CallId, CallOutcome, CallOutput, ExecutedBy, Json, Millis, ReplyEvent};

use super::super::chat::ChatDecoder;

const MAX_CALLS: usize = 256;
/// Bytes of an output kept for later or for comparison. The bridge truncates its own to about a sixth of it.
const MAX_KEPT_OUTPUT_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct OpenJarvisCalls {
    calls: Vec<OpenJarvisCall>,
    requested: Vec<RequestedCall>,
}

/// A call that the model requested.
#[derive(Debug)]
struct RequestedCall {
    id: String,
    name: String,
    args: CallArgs,
    is_matched: bool,
}

#[derive(Debug)]
struct OpenJarvisCall {
    /// Assigned when the call is shown.
    id: Option<CallId>,
    wire_id: Option<String>,
    name: String,
    args: CallArgs,
    end: Option<CallEnd>,
    /// It was found among the results.
    is_reconciled: bool,
}

/// The outcome of a call, as far as it is kept.
#[derive(Debug)]
struct CallEnd {
    success: bool,
    ms: Option<f64>,
    output: String,
    /// Bytes of the whole output.
    output_bytes: usize,
}

/// Arguments as text, and as JSON where they parse.
#[derive(Clone, Debug, Default)]
struct CallArgs {
    text: String,
    json: Option<Json>,
}

/// `tool_call_start`.
#[derive(Clone, Debug)]
pub(super) struct ToolCallStart {
    name: String,
    args: CallArgs,
}

/// `tool_call_end`.
#[derive(Debug)]
pub(super) struct ToolCallEnd {
    name: String,
    args: Option<CallArgs>,
    success: bool,
    ms: Option<f64>,
    output: String,
}

/// The calls that turned out not to be ours.
#[derive(Debug, Default)]
pub(super) struct ReconciledCalls {
    /// Shown, but not in the results.
    pub(super) foreign: Vec<CallId>,
    /// Never shown.
    pub(super) hidden_count: usize,
}

/// The limit of calls is reached.
pub(super) struct TooManyCalls;

impl CallArgs {
    fn parse(json: Option<&Json>) -> Self {
        match json {
            Some(Json::String(text)) => Self { json: serde_json::from_str(text).ok(), text: text.clone() },
            None | Some(Json::Null) => Self { text: "{}".into(), json: Some(Json::Object(serde_json::Map::new())) },
            Some(json) => Self { text: json.to_string(), json: Some(json.clone()) },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.text == other.text || (self.json.is_some() && self.json == other.json)
    }
}

impl ToolCallStart {
    pub(super) fn parse(json: &Json) -> Self {
        Self { name: str_field(json, "tool"), args: CallArgs::parse(json.get("arguments")) }
    }

    /// Parses a call that a model requested.
    pub(super) fn from_request(call: &Json) -> Self {
        let function = call.get("function").unwrap_or(call);
        Self { name: str_field(function, "name"), args: CallArgs::parse(function.get("arguments")) }
    }

    pub(super) fn new(name: &str, arguments: &Json) -> Self {
        Self { name: name.into(), args: CallArgs::parse(Some(arguments)) }
    }
}

impl ToolCallEnd {
    /// The same field holds seconds on the bus and milliseconds with a managed agent.
    pub(super) fn parse(json: &Json, managed: bool) -> Self {
        let unit = if managed { 1.0 } else { 1000.0 };
        let args = json.get("metadata").and_then(|metadata| metadata.get("arguments")).filter(|args| !args.is_null());
        Self {
            name: str_field(json, "tool"),
            args: args.map(|args| CallArgs::parse(Some(args))),
            success: json.get("success").and_then(Json::as_bool).unwrap_or(true),
            ms: json.get("latency").and_then(Json::as_f64).map(|latency| latency * unit),
            output: output_text(json.get("result")),
        }
    }

    /// Parses a step of a trace, which measures in seconds. Its input may be another call's, where several ran in
    /// parallel.
    pub(super) fn from_trace_step(step: &Json) -> Self {
        let field = |of: &str, key: &str| step.get(of).and_then(|of| of.get(key));
        let args = field("metadata", "arguments").or_else(|| field("input", "arguments"));
        Self {
            name: step.get("input").map(|input| str_field(input, "tool")).unwrap_or_default(),
            args: args.filter(|args| !args.is_null()).map(|args| CallArgs::parse(Some(args))),
            success: field("output", "success").and_then(Json::as_bool).unwrap_or(true),
            ms: step.get("duration_seconds").and_then(Json::as_f64).map(|seconds| seconds * 1000.0),
            output: output_text(field("output", "result")),
        }
    }

    pub(super) fn has_name_of(&self, start: &ToolCallStart) -> bool {
        self.name == start.name
    }

    pub(super) fn is_end_of(&self, start: &ToolCallStart) -> bool {
        self.name == start.name && self.args.as_ref().is_none_or(|args| args.is_same(&start.args))
    }

    pub(super) fn new(name: &str, output: String) -> Self {
        Self { name: name.into(), args: None, success: true, ms: None, output }
    }
}

impl CallEnd {
    fn new(success: bool, ms: Option<f64>, output: &str) -> Self {
        let output_kept = output.get(..output.floor_char_boundary(MAX_KEPT_OUTPUT_BYTES)).unwrap_or_default();
        Self { success, ms, output: output_kept.to_owned(), output_bytes: output.len() }
    }
}

impl OpenJarvisCalls {
    /// Records one of the calls that a model's response requests.
    pub(super) fn add_request(&mut self, call: &Json) {
        if self.requested.len() < MAX_CALLS {
            let function = call.get("function").unwrap_or(call);
            let args = CallArgs::parse(function.get("arguments"));
            self.requested.push(RequestedCall {
                id: str_field(call, "id"),
                name: str_field(function, "name"),
                args,
                is_matched: false,
            });
        }
    }

    pub(super) fn start(
        &mut self,
        start: ToolCallStart,
        shown: bool,
        chat: &mut ChatDecoder,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), TooManyCalls> {
        if self.calls.len() >= MAX_CALLS {
            return Err(TooManyCalls);
        }
        let ToolCallStart { name, args } = start;
        let request = self
            .requested
            .iter_mut()
            .find(|request| !request.is_matched && request.name == name && request.args.is_same(&args));
        let wire_id = request.and_then(|request| {
            request.is_matched = true;
            Some(request.id.clone()).filter(|id| !id.is_empty())
        });
        let mut call = OpenJarvisCall { id: None, wire_id, name, args, end: None, is_reconciled: false };
        if shown {
            call.show(self.calls.len(), chat, out);
        }
        self.calls.push(call);
        Ok(())
    }

    /// Returns whether the call was known; an unknown one is shown if `stray` is set.
    pub(super) fn finish(
        &mut self,
        end: ToolCallEnd,
        stray: bool,
        chat: &mut ChatDecoder,
        out: &mut Vec<ReplyEvent>,
    ) -> bool {
        let ended = CallEnd::new(end.success, end.ms, &end.output);
        if let Some(at) = self.find_running(&end)
            && let Some(call) = self.calls.get_mut(at)
        {
            if let Some(id) = &call.id {
                out.push(call_finished(id, end.success, end.output, end.ms));
            }
            call.end = Some(ended);
            return true;
        }
        // A repeated end?
        let again = self.calls.iter().any(|call| {
            call.name == end.name
                && call.end.as_ref().is_some_and(|known| known.ms == end.ms && known.output_bytes == ended.output_bytes)
        });
        if again {
            return true;
        }
        let args = end.args.clone().unwrap_or_else(|| CallArgs::parse(None));
        if stray {
            chat.begin_message(out);
        }
        if self.start(ToolCallStart { name: end.name, args }, stray, chat, out).is_ok()
            && let Some(call) = self.calls.last_mut()
        {
            if let Some(id) = &call.id {
                out.push(call_finished(id, end.success, end.output, end.ms));
            }
            call.end = Some(ended);
        }
        false
    }

    /// Returns the running call that an end with this name would belong to.
    pub(super) fn running_call(&self, name: &str) -> Option<CallId> {
        self.calls.iter().find(|call| call.is_running(name)).and_then(|call| call.id.clone())
    }

    /// Handles `tool_results`.
    pub(super) fn reconcile_results(
        &mut self,
        results: &[Json],
        chat: &mut ChatDecoder,
        out: &mut Vec<ReplyEvent>,
    ) -> ReconciledCalls {
        let results = results.iter().filter(|result| result.is_object()).map(parse_result).collect();
        self.reconcile(results, chat, out)
    }

    /// Matches the results, of all calls of the turn, with the known calls.
    pub(super) fn reconcile(
        &mut self,
        mut results: Vec<ToolCallEnd>,
        chat: &mut ChatDecoder,
        out: &mut Vec<ReplyEvent>,
    ) -> ReconciledCalls {
        results.truncate(MAX_CALLS);
        let mut owners: Vec<Option<usize>> = vec![None; results.len()];
        // The surest matches first, so that no guess takes the call of a later result.
        for sure in [CallMatch::Time, CallMatch::Output, CallMatch::Order] {
            for (result, owner) in results.iter().zip(&mut owners) {
                if owner.is_none()
                    && let Some(at) =
                        self.calls.iter().position(|call| !call.is_reconciled && call.may_be(result, sure))
                {
                    *owner = Some(at);
                    if let Some(call) = self.calls.get_mut(at) {
                        call.is_reconciled = true;
                    }
                }
            }
        }
        for (result, owner) in results.into_iter().zip(owners) {
            match owner.and_then(|at| Some((at, self.calls.get_mut(at)?))) {
                Some((at, call)) => call.reconcile(at, result, chat, out),
                None => self.add_refused(result, chat, out),
            }
        }
        let mut reconciled = self.drop_hidden();
        let foreign = self.calls.iter().filter(|call| !call.is_reconciled && call.end.is_some());
        reconciled.foreign = foreign.filter_map(|call| call.id.clone()).collect();
        reconciled
    }

    /// Drops the calls that waited for results, and are not in them.
    pub(super) fn drop_hidden(&mut self) -> ReconciledCalls {
        let before = self.calls.len();
        self.calls.retain(|call| call.id.is_some());
        ReconciledCalls { foreign: Vec::new(), hidden_count: before - self.calls.len() }
    }

    /// Shows the calls that waited for results, since none will come.
    pub(super) fn show_hidden(&mut self, chat: &mut ChatDecoder, out: &mut Vec<ReplyEvent>) {
        for (at, call) in self.calls.iter_mut().enumerate().filter(|(_, call)| call.id.is_none()) {
            chat.begin_message(out);
            call.show(at, chat, out);
            if let (Some(id), Some(end)) = (&call.id, &mut call.end) {
                out.push(call_finished(id, end.success, std::mem::take(&mut end.output), end.ms));
            }
        }
    }

    fn add_refused(&mut self, result: ToolCallEnd, chat: &mut ChatDecoder, out: &mut Vec<ReplyEvent>) {
        let request = self.requested.iter().find(|request| !request.is_matched && request.name == result.name);
        let known = result.args.clone().or_else(|| request.map(|request| request.args.clone()));
        let args = known.unwrap_or_else(|| CallArgs::parse(None));
        chat.begin_message(out);
        if self.start(ToolCallStart { name: result.name.clone(), args }, true, chat, out).is_ok()
            && let Some(call) = self.calls.last_mut()
        {
            call.is_reconciled = true;
            call.end = Some(CallEnd::new(result.success, result.ms, &result.output));
            out.extend(call.id.as_ref().map(|id| call_finished(id, result.success, result.output, result.ms)));
        }
    }

    /// Shows a requested call that never ran.
    pub(super) fn show_unrun_request(
        &mut self,
        start: ToolCallStart,
        chat: &mut ChatDecoder,
        out: &mut Vec<ReplyEvent>,
    ) {
        chat.begin_message(out);
        if self.start(start, true, chat, out).is_ok()
            && let Some(call) = self.calls.last_mut()
        {
            call.is_reconciled = true;
            out.extend(call.id.clone().map(|call| ReplyEvent::ToolCallFinished {
                call,
                outcome: CallOutcome::Requested,
                output: CallOutput::default(),
                duration: None,
            }));
        }
    }

    /// Returns how many of these ends belong to known calls, by their measured duration.
    pub(super) fn count_known(&self, ends: &[ToolCallEnd]) -> usize {
        let same = |end: &&ToolCallEnd| self.calls.iter().any(|call| call.may_be(end, CallMatch::Time));
        ends.iter().filter(same).count()
    }

    fn find_running(&self, end: &ToolCallEnd) -> Option<usize> {
        let running = |call: &OpenJarvisCall| call.is_running(&end.name);
        let Some(args) = &end.args else { return self.calls.iter().position(running) };
        let exact = self.calls.iter().position(|call| running(call) && call.args.is_same(args));
        // The server parses arguments more leniently than we do.
        exact.or_else(|| self.calls.iter().position(|call| running(call) && call.args.json.is_none()))
    }
}

/// What a match of a result and a call rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallMatch {
    /// The same measured duration, to the bit.
    Time,
    Output,
    /// The oldest call of the name.
    Order,
}

impl OpenJarvisCall {
    fn is_running(&self, name: &str) -> bool {
        self.end.is_none() && !self.is_reconciled && self.name == name
    }

    fn show(&mut self, at: usize, chat: &mut ChatDecoder, out: &mut Vec<ReplyEvent>) {
        let preferred_id = self.wire_id.clone().unwrap_or_else(|| format!("call_{}", at + 1));
        let call = chat.reserve(&preferred_id);
        self.id = Some(call.clone());
        out.push(ReplyEvent::ToolCallStarted {
            call: call.clone(),
            message: chat.message().clone(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            parent: None,
            executed_by: ExecutedBy::Server,
        });
        let (name, args) = (self.name.clone(), self.args.text.clone());
        out.push(ReplyEvent::ToolCallReady { call, name, args, provider_metadata: None });
    }

    fn may_be(&self, result: &ToolCallEnd, how: CallMatch) -> bool {
        if self.name != result.name {
            return false;
        }
        let refused = !result.success && result.ms.is_none_or(|ms| ms == 0.0);
        match (&self.end, how) {
            (Some(end), _) if end.success != result.success => false,
            (Some(end), CallMatch::Time) => match (end.ms, result.ms) {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= ours.abs() * 1e-9 && !refused,
                _ => false,
            },
            (Some(end), CallMatch::Output) => result.output.starts_with(&end.output),
            (_, CallMatch::Order) => !refused && result.args.as_ref().is_none_or(|args| self.args.is_same(args)),
            (None, CallMatch::Time | CallMatch::Output) => false,
        }
    }

    fn reconcile(&mut self, at: usize, result: ToolCallEnd, chat: &mut ChatDecoder, out: &mut Vec<ReplyEvent>) {
        if self.id.is_none() {
            chat.begin_message(out);
            self.show(at, chat, out);
        } else if let Some(end) = &self.end {
            let same = end.output_bytes == result.output.len() && result.output.starts_with(&end.output);
            if same && end.success == result.success {
                return;
            }
        }
        let ms = result.ms.or(self.end.as_ref().and_then(|end| end.ms));
        self.end = Some(CallEnd::new(result.success, ms, &result.output));
        out.extend(self.id.as_ref().map(|id| call_finished(id, result.success, result.output, ms)));
    }
}

fn parse_result(json: &Json) -> ToolCallEnd {
    ToolCallEnd {
        name: str_field(json, "tool_name"),
        args: None,
        success: json.get("success").and_then(Json::as_bool).unwrap_or(true),
        ms: json.get("latency_ms").and_then(Json::as_f64),
        output: output_text(json.get("output")),
    }
}

fn str_field(json: &Json, key: &str) -> String {
    json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn output_text(json: Option<&Json>) -> String {
    match json {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(json) => json.to_string(),
    }
}

fn call_finished(call: &CallId, success: bool, output: String, ms: Option<f64>) -> ReplyEvent {
    ReplyEvent::ToolCallFinished {
        call: call.clone(),
        outcome: if success { CallOutcome::Ok } else { CallOutcome::Failed },
        output: CallOutput::from_text(output),
        duration: ms.filter(|ms| *ms >= 0.0).map(|ms| Millis(ms.round() as u64)),
    }
}
