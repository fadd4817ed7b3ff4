//! What a person sees of a turn, and how it is compared with what a recording should show.

use super::*;

/// What a person sees at the end.
#[derive(Debug, Default)]
pub(super) struct ShownTurn {
    end: Option<TurnOutcome>,
    /// The texts of sub-agents are not the answer.
    hides_sub_agents: bool,
    /// Usage is the sum over the requests, unless that is told.
    sums_requests: bool,
    requests: BTreeMap<u32, Usage>,
    sub_agent_messages: Vec<MessageId>,
    messages: Vec<(MessageId, String)>,
    stops: Vec<FinishReason>,
    reasoning: String,
    calls: Vec<ShownCall>,
    usage: Option<Usage>,
    notices: Vec<(NoticeCode, String)>,
    annotations: Vec<(String, Value)>,
}

#[derive(Debug)]
struct ShownCall {
    id: CallId,
    /// The call whose sub-agent makes this one.
    parent: Option<CallId>,
    name: String,
    args: String,
    outcome: Option<CallOutcome>,
    output: String,
    took: Option<u64>,
}

impl ShownTurn {
    pub(super) fn of(run: &[AgentEvent], case: &GoldenCase) -> Self {
        let mut shown = Self { hides_sub_agents: case.is_program, sums_requests: case.is_program, ..Self::default() };
        for event in run {
            shown.take(event);
        }
        shown
    }

    fn take(&mut self, event: &AgentEvent) {
        let call = |shown: &mut Self, id: &CallId| shown.calls.iter().position(|call| call.id == *id).unwrap();
        match event.clone() {
            AgentEvent::MessageStarted { message, parent, .. } => {
                if parent.is_some_and(|_| self.hides_sub_agents) {
                    self.sub_agent_messages.push(message.clone());
                }
                self.messages.push((message, String::new()));
            }
            AgentEvent::TextDelta { message, text, .. } => self.text(&message).push_str(&text),
            AgentEvent::ReasoningDelta { text, .. } => self.reasoning.push_str(&text),
            AgentEvent::MessageFinished { message, finish_reason: stop, full_text: full, .. } => {
                self.stops.push(stop);
                if let Some(full) = full {
                    *self.text(&message) = full;
                }
            }
            AgentEvent::ToolCallStarted { call, name, parent, .. } => self.calls.push(ShownCall {
                id: call,
                parent,
                name: name.unwrap_or_default(),
                args: String::new(),
                outcome: None,
                output: String::new(),
                took: None,
            }),
            AgentEvent::ToolCallReady { call: id, name, args, .. } => {
                let at = call(self, &id);
                self.calls[at].name = name;
                self.calls[at].args = args;
            }
            AgentEvent::ToolCallFinished { call: id, outcome, output, duration: took } => {
                let at = call(self, &id);
                let known = &mut self.calls[at];
                known.outcome = Some(outcome);
                known.output = output.text;
                known.took = took.map(|took| took.0).or(known.took);
            }
            AgentEvent::Annotation { on: AnnotationTarget::Call(call), annotation: Annotation::Foreign(true) } => {
                self.calls.retain(|known| known.id != call);
            }
            AgentEvent::Annotation { annotation, .. } => {
                let mut json = serde_json::to_value(annotation).unwrap();
                self.annotations.push((json["kind"].as_str().unwrap().to_owned(), json["data"].take()));
            }
            AgentEvent::UsageReported { scope: UsageScope::Request(number), usage } if self.sums_requests => {
                self.requests.insert(number, usage);
                self.usage = Some(self.requests.values().fold(Usage::default(), |sum, usage| sum.plus(*usage)));
            }
            AgentEvent::UsageReported { usage, .. } => self.usage = Some(usage),
            AgentEvent::Notice { code, text, .. } => self.notices.push((code, text)),
            AgentEvent::TurnFinished { outcome: end, .. } => self.end = Some(end),
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::Unknown(_) => {}
        }
    }

    fn text(&mut self, message: &MessageId) -> &mut String {
        &mut self.messages.iter_mut().find(|(id, _)| id == message).expect("text in a message that was started").1
    }

    fn texts(&self) -> Vec<&str> {
        let own = self.messages.iter().filter(|(id, _)| !self.sub_agent_messages.contains(id));
        own.map(|(_, text)| text.as_str()).filter(|text| !text.is_empty()).collect()
    }

    fn annotation(&self, kind: &str) -> Option<&Value> {
        self.annotations.iter().rev().find(|(known, _)| known == kind).map(|(_, data)| data)
    }

    /// Compares one key of `expect`; data that is in the frames but not in events is compared with the frames.
    pub(super) fn compare(&self, key: &str, wanted: &Value, case: &GoldenCase) {
        let at = format!("{}: {key}", case.name);
        match key {
            "outcome" => {
                let outcome = match self.end.as_ref().unwrap() {
                    TurnOutcome::Completed => "completed",
                    TurnOutcome::Cancelled => "cancelled",
                    TurnOutcome::Interrupted => "interrupted",
                    TurnOutcome::Failed(_) => "failed",
                };
                assert_eq!(outcome, wanted, "{at}\n{self:#?}");
            }
            // The text of a failed turn may contain its error message: then `partial_text` is the answer.
            "text" if case.expect.get("partial_text").is_some() => {}
            "text" if case.is_program => {
                let also = list(&case.expect["text_also_ok"]).iter().chain([wanted]);
                assert!(
                    also.clone().any(|text| *text == self.texts().join("\n\n")),
                    "{at}: {:?} {wanted}",
                    self.texts()
                );
            }
            "text" | "partial_text" => assert_eq!(self.texts().join("\n\n"), wanted.as_str().unwrap(), "{at}"),
            "messages" => {
                let text =
                    |message: &'_ Value| message.as_str().or_else(|| message["text"].as_str()).unwrap().to_owned();
                assert_eq!(self.texts(), list(wanted).iter().map(text).collect::<Vec<_>>(), "{at}");
            }
            "reasoning" => assert_eq!(self.reasoning, wanted.as_str().unwrap_or_default(), "{at}"),
            "tool_calls" => {
                // Some recordings list calls that nobody ran separately.
                let ran = |call: &&ShownCall| {
                    case.expect.get("requested_tool_calls").is_none() || call.outcome != Some(CallOutcome::Requested)
                };
                compare_calls(&self.calls.iter().filter(ran).collect::<Vec<_>>(), list(wanted), &at);
            }
            "requested_tool_calls" => {
                let asked: Vec<&ShownCall> =
                    self.calls.iter().filter(|call| call.outcome == Some(CallOutcome::Requested)).collect();
                compare_calls(&asked, list(wanted), &at);
            }
            "awaiting_input" => {
                let asks = |(code, _): &(NoticeCode, String)| *code == NoticeCode::InputRequired;
                assert!(self.notices.iter().any(asks), "{at}: {:?}", self.notices);
            }
            // Of a bus that tells everybody everything.
            "user_text" => assert!(!self.texts().contains(&wanted.as_str().unwrap()), "{at}"),
            "usage" => self.compare_usage(wanted, case.expect["usage_input_includes_cached"] == json!(false), &at),
            "thinking" => {
                let thoughts = list(wanted).iter().map(|thought| thought.as_str().unwrap()).collect::<String>();
                assert_eq!(squeezed(&self.reasoning).replace(' ', ""), squeezed(&thoughts).replace(' ', ""), "{at}");
            }
            "cost_usd" => {
                let told = self.annotation("cost").map(|cost| cost["usd"].as_f64().unwrap());
                let difference = wanted.as_f64().zip(told).map(|(wanted, told)| (wanted - told).abs());
                assert!(
                    difference.map_or(wanted.is_null() && told.is_none(), |by| by < 1e-9),
                    "{at}: {told:?} {wanted}"
                );
            }
            "session_id" => assert_eq!(self.annotation("served_by").map(|by| &by["id"]), Some(wanted), "{at}"),
            "warnings" | "transient_errors" => {
                for warning in list(wanted) {
                    let words = squeezed(warning.as_str().unwrap());
                    assert!(self.notices.iter().any(|(_, text)| squeezed(text).contains(&words)), "{at}: {words}");
                }
            }
            "error" => self.compare_error(wanted, &at),
            "errors" => {
                for error in list(wanted) {
                    let words = error["error"].as_str().unwrap();
                    let is_reported = self.notices.iter().any(|(_, text)| squeezed(text).contains(&squeezed(words)));
                    let fatal = matches!(&self.end, Some(TurnOutcome::Failed(fault)) if squeezed(&fault.message).contains(&squeezed(words)));
                    assert!(is_reported || fatal, "{at}: {words} is not among {:?}", self.notices);
                }
            }
            "finish_reason" => {
                let wanted = match wanted.as_str() {
                    _ if case.expect["outcome"] != "completed" => return,
                    None => return,
                    Some("tool_calls" | "function_call" | "tool_use") => FinishReason::ToolCalls,
                    Some("length" | "max_tokens") => FinishReason::Length,
                    Some("content_filter" | "refusal") => FinishReason::Refused,
                    Some(_) => FinishReason::End,
                };
                assert_eq!(self.stops.last().copied().unwrap_or(FinishReason::End), wanted, "{at}");
            }
            "complexity" | "telemetry" | "sources" => assert_eq!(self.annotation(key), Some(wanted), "{at}"),
            "tokens_per_second" => {
                assert_eq!(self.annotation("timing").unwrap()["tokens_per_second"], *wanted, "{at}");
            }
            "notices" => {
                let codes = self.notices.iter().map(|(code, _)| code).filter(|code| **code != NoticeCode::Dialect);
                let codes: Vec<&NoticeCode> = codes.collect();
                assert_eq!(json!(codes), *wanted, "{at}: {:?}", self.notices);
            }
            "inference_calls" => assert_eq!(self.progress("inference_start").len() as u64, *wanted, "{at}"),
            "agent_turns" => {
                let agents: Vec<&Value> = self.progress("agent_turn_start").iter().map(|data| &data["agent"]).collect();
                assert_eq!(json!(agents), *wanted, "{at}");
            }
            "event_order" => {
                let frames = case.frames([&case.stream[..]]).0;
                let unnamed = if list(wanted).contains(&json!("message")) { "message" } else { "chunk" };
                let name = |frame: &SseFrame| match frame.event.as_str() {
                    "" if frame.data == "[DONE]" => "[DONE]".to_owned(),
                    "" => unnamed.to_owned(),
                    name => name.to_owned(),
                };
                assert_eq!(json!(frames.iter().map(name).collect::<Vec<_>>()), *wanted, "{at}");
            }
            "ids" => {
                let frames = case.frames([&case.stream[..]]).0;
                let ids: Vec<&str> = frames.iter().filter_map(|frame| frame.id.as_deref()).collect();
                assert_eq!(json!(ids), *wanted, "{at}");
            }
            "last_event_id" => assert_eq!(json!(case.frames([&case.stream[..]]).1.last_event_id()), *wanted, "{at}"),
            "retry_ms" => assert_eq!(json!(case.frames([&case.stream[..]]).1.retry_millis()), *wanted, "{at}"),
            "events" => {
                let events = serde_json::to_value(case.whole()).unwrap();
                assert_eq!(events, *wanted, "{at}");
            }
            // Details of the recording that no client shows, or that another key covers.
            "ended"
            | "model"
            | "chunk_id"
            | "response_id"
            | "content_deltas"
            | "tool_results_event"
            | "output_text"
            | "output_items"
            | "complete"
            | "status"
            | "inference_open_at_end"
            | "session_id_present"
            | "exit_code"
            | "usage_input_includes_cached"
            | "text_also_ok"
            | "notes" => {}
            _ => panic!("{at}: this key is not compared; teach `ShownTurn::compare` to"),
        }
    }

    fn progress(&self, step: &str) -> Vec<&Value> {
        let of = |(kind, data): &'_ &(String, Value)| kind == "progress" && data["step"] == step;
        self.annotations.iter().filter(of).map(|(_, data)| data).collect()
    }

    /// Compares counts; where the input excludes what was cached, that is added to it.
    fn compare_usage(&self, wanted: &Value, excludes_cached: bool, at: &str) {
        if wanted.is_null() {
            return assert_eq!(self.usage, None, "{at}");
        }
        let usage = self.usage.unwrap_or_else(|| panic!("{at}: none was told"));
        let actual = json!({
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total(),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "cached_input_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "reasoning_output_tokens": usage.reasoning_tokens,
        });
        let cached = wanted["cached_input_tokens"].as_u64().filter(|_| excludes_cached).unwrap_or(0);
        for (key, wanted) in wanted.as_object().unwrap() {
            let more = if key == "input_tokens" { cached } else { 0 };
            assert_eq!(actual[key], json!(wanted.as_u64().unwrap() + more), "{at}.{key}");
        }
    }

    fn compare_error(&self, wanted: &Value, at: &str) {
        let words = wanted.as_str().or_else(|| wanted["message"].as_str());
        match (words, self.end.as_ref().unwrap()) {
            (None, TurnOutcome::Failed(fault)) => panic!("{at}: {fault}"),
            (None, _) => {}
            (Some(words), TurnOutcome::Failed(fault)) => {
                let kept = squeezed(&fault.message).contains(squeezed(words).trim_end_matches('.'));
                assert!(kept, "{at}: {words:?} is not in {:?}", fault.message);
            }
            (Some(words), end) => panic!("{at}: {words:?} is an error, not {end:?}"),
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Arguments are compared as JSON if they are JSON; a time may be rounded to its millisecond.
fn compare_calls(calls: &[&ShownCall], wanted: &[Value], at: &str) {
    assert_eq!(calls.len(), wanted.len(), "{at}: {calls:#?}");
    for (call, wanted) in calls.iter().zip(wanted) {
        for (key, value) in wanted.as_object().unwrap() {
            match key.as_str() {
                "id" => assert_eq!(json!(call.id), *value, "{at}"),
                "name" => assert_eq!(call.name, *value, "{at}"),
                "arguments" | "arguments_json" => {
                    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                    let wanted = value.as_str().map_or_else(|| value.clone(), read);
                    assert_eq!(read(&call.args), wanted, "{at}");
                }
                "output" | "partial_output" => assert_eq!(call.output, value.as_str().unwrap_or_default(), "{at}"),
                "success" => {
                    let outcome = match value.as_bool() {
                        Some(true) => &[CallOutcome::Ok][..],
                        Some(false) => &[CallOutcome::Failed, CallOutcome::Denied],
                        None => &[CallOutcome::Unknown, CallOutcome::Requested],
                    };
                    assert!(outcome.contains(&call.outcome.unwrap()), "{at}: {call:?} against {value}");
                }
                "status" => {
                    let outcomes = match value.as_str().unwrap() {
                        "done" | "completed" => &[CallOutcome::Ok, CallOutcome::Failed, CallOutcome::Denied][..],
                        "ok" => &[CallOutcome::Ok],
                        "failed" | "error" => &[CallOutcome::Failed, CallOutcome::Denied],
                        "refused" | "denied" => &[CallOutcome::Failed, CallOutcome::Denied],
                        "requested" => &[CallOutcome::Requested],
                        "unknown" | "running" | "open" | "unfinished" => &[CallOutcome::Unknown],
                        other => panic!("{at}: what is {other}?"),
                    };
                    assert!(outcomes.contains(&call.outcome.unwrap()), "{at}: {call:?} is not {value}");
                }
                "latency_ms" | "duration_ms" => {
                    let near = value.as_f64().map(|ms| call.took.is_some_and(|took| (took as f64 - ms).abs() <= 1.0));
                    assert!(near.unwrap_or(call.took.is_none()), "{at}: {call:?} against {value}");
                }
                "parent" => assert_eq!(json!(call.parent), *value, "{at}"),
                "index" | "started" | "exit_code" => {}
                other => panic!("{at}: {other} of a call is not compared"),
            }
        }
    }
}
