//! Calls that the server runs, put together from starts, ends and results that share no id.
//!
//! An end belongs to the running call with its name and its arguments, else to the oldest running one of its name.
//! `tool_results` lists the calls of the turn in the order of the requests, uncut: it settles what is known, shows
//! what waited, and adds the calls that were refused before they ran, whose arguments only the model's request holds.

use crate::event::{AgentEvent, CallId, Json, Millis, Outcome, Output, RanBy};

use super::super::chat::Chat;

/// Calls of one turn that are followed.
const MOST: usize = 256;
/// Bytes of an output that are kept to be told later or compared. The bridge cuts its own at about a sixth of it.
const KEPT: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    asked: Vec<Asked>,
}

/// A call that the model asked for.
#[derive(Debug)]
struct Asked {
    id: String,
    name: String,
    args: Args,
    taken: bool,
}

#[derive(Debug)]
struct Call {
    /// Given when it is shown.
    id: Option<CallId>,
    wire_id: Option<String>,
    name: String,
    args: Args,
    end: Option<Ended>,
    /// It was found among the results.
    settled: bool,
}

/// How a call ended, as far as it is kept.
#[derive(Debug)]
struct Ended {
    success: bool,
    ms: Option<f64>,
    output: String,
    /// Bytes of the whole output.
    size: usize,
}

/// Arguments as text, and as JSON where they are.
#[derive(Clone, Debug, Default)]
struct Args {
    text: String,
    json: Option<Json>,
}

/// `tool_call_start`.
#[derive(Clone, Debug)]
pub(super) struct Start {
    name: String,
    args: Args,
}

/// `tool_call_end`.
#[derive(Debug)]
pub(super) struct End {
    name: String,
    args: Option<Args>,
    success: bool,
    ms: Option<f64>,
    output: String,
}

/// What became of calls that are not ours.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Shown, and not in the results.
    pub(super) foreign: Vec<CallId>,
    /// Never shown.
    pub(super) left_out: usize,
}

/// There is no room for another call.
pub(super) struct Full;

impl Args {
    fn read(json: Option<&Json>) -> Self {
        match json {
            Some(Json::String(text)) => Self { json: serde_json::from_str(text).ok(), text: text.clone() },
            None | Some(Json::Null) => Self { text: "{}".into(), json: Some(Json::Object(serde_json::Map::new())) },
            Some(json) => Self { text: json.to_string(), json: Some(json.clone()) },
        }
    }

    fn same(&self, other: &Self) -> bool {
        self.text == other.text || (self.json.is_some() && self.json == other.json)
    }
}

impl Start {
    pub(super) fn read(json: &Json) -> Self {
        Self { name: name(json, "tool"), args: Args::read(json.get("arguments")) }
    }

    /// Reads what a model asked for.
    pub(super) fn asked(call: &Json) -> Self {
        let function = call.get("function").unwrap_or(call);
        Self { name: name(function, "name"), args: Args::read(function.get("arguments")) }
    }

    pub(super) fn of(name: &str, arguments: &Json) -> Self {
        Self { name: name.into(), args: Args::read(Some(arguments)) }
    }
}

impl End {
    /// The same field holds seconds on the bus and milliseconds with a managed agent.
    pub(super) fn read(json: &Json, managed: bool) -> Self {
        let unit = if managed { 1.0 } else { 1000.0 };
        let args = json.get("metadata").and_then(|metadata| metadata.get("arguments")).filter(|args| !args.is_null());
        Self {
            name: name(json, "tool"),
            args: args.map(|args| Args::read(Some(args))),
            success: json.get("success").and_then(Json::as_bool).unwrap_or(true),
            ms: json.get("latency").and_then(Json::as_f64).map(|latency| latency * unit),
            output: output(json.get("result")),
        }
    }

    /// Reads a step of a trace, which measures in seconds. What it says of the input may be another call's, where
    /// several ran side by side.
    pub(super) fn step(step: &Json) -> Self {
        let field = |of: &str, key: &str| step.get(of).and_then(|of| of.get(key));
        let args = field("metadata", "arguments").or_else(|| field("input", "arguments"));
        Self {
            name: step.get("input").map(|input| name(input, "tool")).unwrap_or_default(),
            args: args.filter(|args| !args.is_null()).map(|args| Args::read(Some(args))),
            success: field("output", "success").and_then(Json::as_bool).unwrap_or(true),
            ms: step.get("duration_seconds").and_then(Json::as_f64).map(|seconds| seconds * 1000.0),
            output: output(field("output", "result")),
        }
    }

    pub(super) fn has_name_of(&self, start: &Start) -> bool {
        self.name == start.name
    }

    pub(super) fn is_of(&self, start: &Start) -> bool {
        self.name == start.name && self.args.as_ref().is_none_or(|args| args.same(&start.args))
    }

    pub(super) fn of(name: &str, output: String) -> Self {
        Self { name: name.into(), args: None, success: true, ms: None, output }
    }
}

impl Ended {
    fn of(success: bool, ms: Option<f64>, output: &str) -> Self {
        let output_kept = output.get(..output.floor_char_boundary(KEPT)).unwrap_or_default();
        Self { success, ms, output: output_kept.to_owned(), size: output.len() }
    }
}

impl Calls {
    /// Takes one of the calls that a model's answer asks for.
    pub(super) fn asked(&mut self, call: &Json) {
        if self.asked.len() < MOST {
            let function = call.get("function").unwrap_or(call);
            let args = Args::read(function.get("arguments"));
            self.asked.push(Asked { id: name(call, "id"), name: name(function, "name"), args, taken: false });
        }
    }

    pub(super) fn start(
        &mut self,
        start: Start,
        shown: bool,
        chat: &mut Chat,
        out: &mut Vec<AgentEvent>,
    ) -> Result<(), Full> {
        if self.calls.len() >= MOST {
            return Err(Full);
        }
        let Start { name, args } = start;
        let asked = self.asked.iter_mut().find(|asked| !asked.taken && asked.name == name && asked.args.same(&args));
        let wire_id = asked.and_then(|asked| {
            asked.taken = true;
            Some(asked.id.clone()).filter(|id| !id.is_empty())
        });
        let mut call = Call { id: None, wire_id, name, args, end: None, settled: false };
        if shown {
            call.show(self.calls.len(), chat, out);
        }
        self.calls.push(call);
        Ok(())
    }

    /// Returns whether the call was known; one that was not is shown if `stray` says so.
    pub(super) fn end(&mut self, end: End, stray: bool, chat: &mut Chat, out: &mut Vec<AgentEvent>) -> bool {
        let ended = Ended::of(end.success, end.ms, &end.output);
        if let Some(at) = self.find_running(&end)
            && let Some(call) = self.calls.get_mut(at)
        {
            if let Some(id) = &call.id {
                out.push(finished(id, end.success, end.output, end.ms));
            }
            call.end = Some(ended);
            return true;
        }
        // Said twice?
        let again = self.calls.iter().any(|call| {
            call.name == end.name
                && call.end.as_ref().is_some_and(|known| known.ms == end.ms && known.size == ended.size)
        });
        if again {
            return true;
        }
        let args = end.args.clone().unwrap_or_else(|| Args::read(None));
        if stray {
            chat.begin(out);
        }
        if self.start(Start { name: end.name, args }, stray, chat, out).is_ok()
            && let Some(call) = self.calls.last_mut()
        {
            if let Some(id) = &call.id {
                out.push(finished(id, end.success, end.output, end.ms));
            }
            call.end = Some(ended);
        }
        false
    }

    /// Returns the call of this name that an end would belong to.
    pub(super) fn running(&self, name: &str) -> Option<CallId> {
        self.calls.iter().find(|call| call.is_running(name)).and_then(|call| call.id.clone())
    }

    /// Takes `tool_results`.
    pub(super) fn settle(&mut self, results: &[Json], chat: &mut Chat, out: &mut Vec<AgentEvent>) -> Settled {
        let results = results.iter().filter(|result| result.is_object()).map(result).collect();
        self.settle_by(results, chat, out)
    }

    /// Takes how the calls of the turn ended, all of them.
    pub(super) fn settle_by(&mut self, mut results: Vec<End>, chat: &mut Chat, out: &mut Vec<AgentEvent>) -> Settled {
        results.truncate(MOST);
        let mut owners: Vec<Option<usize>> = vec![None; results.len()];
        // The surest matches first, so that no guess takes the call of a later result.
        for sure in [Match::Time, Match::Output, Match::Order] {
            for (result, owner) in results.iter().zip(&mut owners) {
                if owner.is_none()
                    && let Some(at) = self.calls.iter().position(|call| !call.settled && call.may_be(result, sure))
                {
                    *owner = Some(at);
                    if let Some(call) = self.calls.get_mut(at) {
                        call.settled = true;
                    }
                }
            }
        }
        for (result, owner) in results.into_iter().zip(owners) {
            match owner.and_then(|at| Some((at, self.calls.get_mut(at)?))) {
                Some((at, call)) => call.settle(at, result, chat, out),
                None => self.add_refused(result, chat, out),
            }
        }
        let mut settled = self.forget_hidden();
        let foreign = self.calls.iter().filter(|call| !call.settled && call.end.is_some());
        settled.foreign = foreign.filter_map(|call| call.id.clone()).collect();
        settled
    }

    /// Gives up the calls that waited for results that don't list them.
    pub(super) fn forget_hidden(&mut self) -> Settled {
        let before = self.calls.len();
        self.calls.retain(|call| call.id.is_some());
        Settled { foreign: Vec::new(), left_out: before - self.calls.len() }
    }

    /// Shows what waited for results that will not come.
    pub(super) fn reveal(&mut self, chat: &mut Chat, out: &mut Vec<AgentEvent>) {
        for (at, call) in self.calls.iter_mut().enumerate().filter(|(_, call)| call.id.is_none()) {
            chat.begin(out);
            call.show(at, chat, out);
            if let (Some(id), Some(end)) = (&call.id, &mut call.end) {
                out.push(finished(id, end.success, std::mem::take(&mut end.output), end.ms));
            }
        }
    }

    fn add_refused(&mut self, result: End, chat: &mut Chat, out: &mut Vec<AgentEvent>) {
        let asked = self.asked.iter().find(|asked| !asked.taken && asked.name == result.name);
        let known = result.args.clone().or_else(|| asked.map(|asked| asked.args.clone()));
        let args = known.unwrap_or_else(|| Args::read(None));
        chat.begin(out);
        if self.start(Start { name: result.name.clone(), args }, true, chat, out).is_ok()
            && let Some(call) = self.calls.last_mut()
        {
            call.settled = true;
            call.end = Some(Ended::of(result.success, result.ms, &result.output));
            out.extend(call.id.as_ref().map(|id| finished(id, result.success, result.output, result.ms)));
        }
    }

    /// Shows a call that was asked for and that nobody ran.
    pub(super) fn add_requested(&mut self, start: Start, chat: &mut Chat, out: &mut Vec<AgentEvent>) {
        chat.begin(out);
        if self.start(start, true, chat, out).is_ok()
            && let Some(call) = self.calls.last_mut()
        {
            call.settled = true;
            out.extend(call.id.clone().map(|call| AgentEvent::ToolCallFinished {
                call,
                outcome: Outcome::Requested,
                output: Output::default(),
                took: None,
            }));
        }
    }

    /// Returns how many of these ends are of calls that are followed, by their measured time.
    pub(super) fn known(&self, ends: &[End]) -> usize {
        let same = |end: &&End| self.calls.iter().any(|call| call.may_be(end, Match::Time));
        ends.iter().filter(same).count()
    }

    fn find_running(&self, end: &End) -> Option<usize> {
        let running = |call: &Call| call.is_running(&end.name);
        let Some(args) = &end.args else { return self.calls.iter().position(running) };
        let exact = self.calls.iter().position(|call| running(call) && call.args.same(args));
        // The server reads arguments more kindly than we do.
        exact.or_else(|| self.calls.iter().position(|call| running(call) && call.args.json.is_none()))
    }
}

/// How sure it is that a result is a call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// The same measurement, to the bit.
    Time,
    Output,
    /// The oldest of its name.
    Order,
}

impl Call {
    fn is_running(&self, name: &str) -> bool {
        self.end.is_none() && !self.settled && self.name == name
    }

    fn show(&mut self, at: usize, chat: &mut Chat, out: &mut Vec<AgentEvent>) {
        let wanted = self.wire_id.clone().unwrap_or_else(|| format!("call_{}", at + 1));
        let call = chat.reserve(&wanted);
        self.id = Some(call.clone());
        out.push(AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: chat.message().clone(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            parent: None,
            ran_by: RanBy::Server,
        });
        let (name, args) = (self.name.clone(), self.args.text.clone());
        out.push(AgentEvent::ToolCallReady { call, name, args, carry: None });
    }

    fn may_be(&self, result: &End, how: Match) -> bool {
        if self.name != result.name {
            return false;
        }
        let refused = !result.success && result.ms.is_none_or(|ms| ms == 0.0);
        match (&self.end, how) {
            (Some(end), _) if end.success != result.success => false,
            (Some(end), Match::Time) => match (end.ms, result.ms) {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= ours.abs() * 1e-9 && !refused,
                _ => false,
            },
            (Some(end), Match::Output) => result.output.starts_with(&end.output),
            (_, Match::Order) => !refused && result.args.as_ref().is_none_or(|args| self.args.same(args)),
            (None, Match::Time | Match::Output) => false,
        }
    }

    fn settle(&mut self, at: usize, result: End, chat: &mut Chat, out: &mut Vec<AgentEvent>) {
        if self.id.is_none() {
            chat.begin(out);
            self.show(at, chat, out);
        } else if let Some(end) = &self.end {
            let same = end.size == result.output.len() && result.output.starts_with(&end.output);
            if same && end.success == result.success {
                return;
            }
        }
        let ms = result.ms.or(self.end.as_ref().and_then(|end| end.ms));
        self.end = Some(Ended::of(result.success, ms, &result.output));
        out.extend(self.id.as_ref().map(|id| finished(id, result.success, result.output, ms)));
    }
}

fn result(json: &Json) -> End {
    End {
        name: name(json, "tool_name"),
        args: None,
        success: json.get("success").and_then(Json::as_bool).unwrap_or(true),
        ms: json.get("latency_ms").and_then(Json::as_f64),
        output: output(json.get("output")),
    }
}

fn name(json: &Json, key: &str) -> String {
    json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn output(json: Option<&Json>) -> String {
    match json {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(json) => json.to_string(),
    }
}

fn finished(call: &CallId, success: bool, output: String, ms: Option<f64>) -> AgentEvent {
    AgentEvent::ToolCallFinished {
        call: call.clone(),
        outcome: if success { Outcome::Ok } else { Outcome::Failed },
        output: Output::of(output),
        took: ms.filter(|ms| *ms >= 0.0).map(|ms| Millis(ms.round() as u64)),
    }
}
