//! The event stream of a conversation on gptme's server (its API version 2): unnamed events of generations and tools.
//! The tools run there, each after its approval, and what they give goes on in another generation; a turn is over when
//! a step is complete and no tool runs or waits.
//!
//! Calls stand in the text as well, which is shown as it is.
//!
//! Source: the event types of the Python package `gptme` 0.35, and recordings of its server.

use serde_json::json;

use super::agent_reply::{AgentReply, MessageHandle, annotate, ask_person, capped, result_text};
use super::reply_end::ReplyEnd;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{Annotation, CallOutcome, ExecutedBy, Json, Millis, ReplyEvent, Usage};

/// Also `--dialect gptme`.
pub const DIALECT: Dialect = Dialect {
    name: "gptme",
    title: "gptme",
    decode: |context| Box::new(GptmeDecoder::new(context)),
    evidence,
    extends: None,
    limitations: "reasoning outside of the text, which tool a message of an older server is from",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let is_one = match first.kind() {
        "connected" => first.has("session_id"),
        "generation_progress" => first.has("token"),
        "generation_started" | "step_complete" => {
            first.object().and_then(Json::as_object).is_some_and(|json| json.len() == 1)
        }
        "generation_complete" | "message_added" => first.has_in("message", "role"),
        "tool_pending" => first.has("tool_id") && first.has("tooluse"),
        "tool_executing" | "tool_output" | "tool_complete" => first.has("tool_id"),
        _ => false,
    };
    is_one.then(|| Evidence::shape(format!("an event is of type {}", first.kind())))
}

/// Calls that wait.
const MAX_WAITING_CALLS: usize = 256;

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct GptmeDecoder {
    reply: AgentReply,
    message: Option<MessageHandle>,
    session: String,
    /// The calls that wait for their turn, and those of them that wait for the person.
    waiting: Vec<String>,
    asked: Vec<String>,
    /// The model's newest message.
    text: String,
    /// The call that runs, and what it gave so far.
    running: Option<String>,
    output: String,
    is_generating: bool,
    end: ReplyEnd,
}

impl GptmeDecoder {
    fn new(context: &DecodeContext) -> Self {
        let mut decoder = Self::default();
        decoder.reply.calls.adopt(&context.open_calls);
        decoder
    }

    fn handle_event(&mut self, event: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "generation_progress" => {
                let message = self.message(out);
                self.is_generating = true;
                self.reply.push_text(message, word("token").into(), marked, out);
            }
            "ping" => {}
            _ => {
                let mut event = event.clone();
                surrogate::resolve_marks_in_json(&mut event, marked);
                self.handle_rare_event(&event, out);
            }
        }
    }

    fn handle_rare_event(&mut self, event: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "connected" => {
                word("session_id").clone_into(&mut self.session);
                self.is_generating = event.get("generating") == Some(&Json::Bool(true));
                for tool in event.get("pending_tools").and_then(Json::as_array).into_iter().flatten() {
                    self.handle_pending(tool, out);
                }
            }
            "generation_started" => {
                self.finish_running(CallOutcome::Ok, None, out);
                self.close_message(out);
                self.is_generating = true;
            }
            "generation_complete" => self.handle_complete(event.get("message").unwrap_or(&Json::Null), out),
            "tool_pending" => self.handle_pending(event, out),
            "tool_executing" => {
                self.finish_running(CallOutcome::Ok, None, out);
                self.waiting.retain(|wire| wire != word("tool_id"));
                self.asked.retain(|wire| wire != word("tool_id"));
                self.running = Some(word("tool_id").to_owned());
            }
            "tool_output" => self.push_output(word("output")),
            "message_added" => {
                let text = event.pointer("/message/content").and_then(Json::as_str).unwrap_or_default();
                let is_result = event.pointer("/message/role").and_then(Json::as_str) == Some("system");
                if is_result && self.running.is_some() && self.output.is_empty() {
                    self.push_output(text);
                }
            }
            "tool_complete" => {
                let has_failed = event.get("success") == Some(&Json::Bool(false));
                let millis = event.get("duration_ms").and_then(Json::as_f64).filter(|millis| *millis >= 0.0);
                let outcome = if has_failed { CallOutcome::Failed } else { CallOutcome::Ok };
                self.finish_running(outcome, millis.map(|millis| Millis(millis.round() as u64)), out);
            }
            "step_complete" => {
                self.is_generating = false;
                self.finish_turn(out);
            }
            "elicit_pending" => ask_person(std::slice::from_ref(event), &[word("prompt").to_owned()], out),
            "interrupted" => self.end.is_cancelled = true,
            "error" => self.end.fail(&error::find_error(&SseFrame::data(event.to_string())).unwrap_or_default()),
            "watch_event" => annotate(Annotation::Custom { name: "watch_event".into(), value: capped(event) }, out),
            "config_changed" | "conversation_edited" => {}
            "" => self.end.unknown_frames.report("an event without a type", out),
            other => self.end.unknown_frames.report(other, out),
        }
    }

    fn message(&mut self, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        match self.message.filter(|message| self.reply.is_open(*message)) {
            Some(message) => message,
            None => *self.message.insert(self.reply.begin(None, out)),
        }
    }

    fn close_message(&mut self, out: &mut Vec<ReplyEvent>) {
        if let Some(message) = self.message.take() {
            self.reply.close(message, None, out);
        }
    }

    /// Takes a whole message of the model, whose text was told before unless it was not streamed.
    fn handle_complete(&mut self, whole: &Json, out: &mut Vec<ReplyEvent>) {
        if let Some(text) = whole.get("content").and_then(Json::as_str) {
            let message = self.message(out);
            self.reply.set_text(message, text, out);
            text.clone_into(&mut self.text);
        }
        self.end.add_usage(whole.pointer("/metadata/usage").and_then(parse_usage));
        self.is_generating = false;
    }

    fn handle_pending(&mut self, tool: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |pointer: &str| tool.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        let wire = word("/tool_id");
        if wire.is_empty() || self.waiting.len() >= MAX_WAITING_CALLS {
            return self.end.unknown_frames.report("a call without an id, or one too many", out);
        }
        let use_of = tool.get("tooluse").unwrap_or(&Json::Null);
        let field = |key: &str| use_of.get(key).filter(|value| !value.is_null());
        let named = Some(()).filter(|()| field("content").is_none() && field("args").is_none());
        let named = named.and_then(|()| named_arguments(&self.text, word("/tooluse/tool")));
        if !self.reply.calls.is_adopted(wire) {
            let message = self.message(out);
            self.reply.start_call(message, wire, Some(word("/tooluse/tool")), ExecutedBy::Client, out);
            let args = named.clone().unwrap_or_else(|| json!({ "args": field("args"), "content": field("content") }));
            self.reply.calls.complete(wire, None, &args.to_string(), out);
        }
        self.waiting.push(wire.to_owned());
        if tool.get("auto_confirm") != Some(&Json::Bool(true)) {
            self.asked.push(wire.to_owned());
            // One that waits from before this stream was asked about then.
            if tool.get("type").is_some() {
                let content = field("content").or(named.as_ref()).map(result_text).unwrap_or_default();
                let about = format!("may it run {}: {content}", word("/tooluse/tool"));
                let request = json!({ "tool_id": wire, "session_id": self.session });
                self.reply.calls.ask_approval(wire, request, Some(content), out);
                ask_person(std::slice::from_ref(tool), &[about], out);
            }
        }
        self.tell_follow_up();
    }

    /// Says what the next prompt may answer.
    fn tell_follow_up(&mut self) {
        if !self.asked.is_empty() {
            self.reply.set_follow_up(json!({ "session_id": self.session, "pending_tools": self.asked }));
        }
    }

    fn push_output(&mut self, text: &str) {
        if !self.output.is_empty() {
            self.output.push('\n');
        }
        self.output.push_str(text);
    }

    fn finish_running(&mut self, outcome: CallOutcome, duration: Option<Millis>, out: &mut Vec<ReplyEvent>) {
        let output = std::mem::take(&mut self.output);
        let Some(wire) = self.running.take() else { return };
        // One that was announced before this stream began.
        if !self.reply.calls.is_known(&wire) {
            let message = self.message(out);
            self.reply.start_call(message, &wire, None, ExecutedBy::Server, out);
        }
        self.reply.calls.finish_after(&wire, outcome, output, duration, out);
        self.close_message(out);
    }

    /// Ends the turn, unless a tool is to go on by itself.
    fn finish_turn(&mut self, out: &mut Vec<ReplyEvent>) {
        if self.running.is_none() && self.waiting.len() == self.asked.len() {
            self.end.has_ended = true;
            self.close_message(out);
        }
    }
}

/// Returns the arguments that the text names for the newest call of a tool, where the tool's event leaves them out:
/// `@shell(call_1): {"command": "ls"}`.
fn named_arguments(text: &str, tool: &str) -> Option<Json> {
    let (_, call) = text.rsplit_once(&format!("@{tool}("))?;
    let (_, args) = call.split_once("): ")?;
    serde_json::Deserializer::from_str(args).into_iter::<Json>().next()?.ok().filter(Json::is_object)
}

/// Returns usage whose input counts what was cached, too.
fn parse_usage(json: &Json) -> Option<Usage> {
    let usage = usage::parse(json)?;
    let apart = ["cache_read_tokens", "cache_creation_tokens"].iter().filter_map(|key| json.get(*key)?.as_u64());
    Some(Usage { input_tokens: apart.fold(usage.input_tokens, u64::saturating_add), ..usage })
}

impl Decode for GptmeDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if let Some((event, marked)) = self.end.parse_object(frame, out) {
            self.handle_event(&event, marked, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.finish_running(CallOutcome::Unknown, None, out);
        self.end.finish(&mut self.reply, out);
    }

    fn has_failed(&self) -> bool {
        self.end.has_failed()
    }

    fn is_done(&self) -> bool {
        self.end.has_ended || self.end.is_cancelled || self.end.has_failed()
    }

    /// Between turns come pings, and what the person says.
    fn begins_next(&self, frame: &SseFrame) -> bool {
        let json = serde_json::from_str::<Json>(&frame.data).unwrap_or_default();
        matches!(
            json.get("type").and_then(Json::as_str),
            Some("generation_started" | "generation_progress" | "tool_executing" | "tool_pending")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::OpenCall;
    use crate::event::ReplyTarget;

    fn decode(context: &DecodeContext, events: &[Json]) -> Vec<ReplyEvent> {
        let (mut decoder, mut out) = (GptmeDecoder::new(context), Vec::new());
        for event in events {
            decoder.decode_frame(&SseFrame::data(event.to_string()), &mut out);
        }
        out
    }

    fn pending(use_of: &Json) -> Json {
        json!({"type": "tool_pending", "tool_id": "t", "tooluse": use_of, "auto_confirm": false})
    }

    #[test]
    fn a_tool_that_waits_asks_with_the_arguments_that_its_event_or_the_text_names() {
        let text = "@shell(c0): {\"command\": \"pwd\"}\n@shell(c1): {\"command\": \"ls\"}\n";
        let said = json!({"type": "generation_complete", "message": {"role": "assistant", "content": text}});
        let named = json!({"tool": "shell", "args": null, "content": null});
        let given = json!({"tool": "shell", "args": [], "content": "ls"});
        for (use_of, args, reason) in
            [(named, r#"{"command":"ls"}"#, r#"{"command":"ls"}"#), (given, r#"{"args":[],"content":"ls"}"#, "ls")]
        {
            let events = decode(&DecodeContext::default(), &[said.clone(), pending(&use_of)]);
            let ready = events.iter().find_map(|event| match event {
                ReplyEvent::ToolCallReady { args, .. } => Some(args.as_str()),
                _ => None,
            });
            assert_eq!(ready, Some(args));
            let asked = events.iter().any(|event| {
                let ReplyEvent::Annotation { on: ReplyTarget::Call(call), annotation } = event else { return false };
                let Annotation::NeedsApproval { request, reason: told } = annotation else { return false };
                call.as_str() == "t" && request["tool_id"] == "t" && told.as_deref() == Some(reason)
            });
            assert!(asked, "{events:?}");
        }
    }

    #[test]
    fn a_tool_that_was_decided_about_is_not_told_again() {
        let open_calls = vec![OpenCall { wire_id: "t".into(), name: "shell".into() }];
        let context = DecodeContext { open_calls, ..DecodeContext::default() };
        let waits = json!({"tool_id": "t", "tooluse": {"tool": "shell", "args": [], "content": "ls"}});
        let events = [
            json!({"type": "connected", "session_id": "s", "pending_tools": [waits]}),
            json!({"type": "tool_executing", "tool_id": "t"}),
            json!({"type": "tool_output", "tool_id": "t", "output": "a"}),
            json!({"type": "tool_complete", "tool_id": "t", "success": true}),
        ];
        let [ReplyEvent::ToolCallFinished { call, output, .. }] = &decode(&context, &events)[..] else {
            panic!("{:?}", decode(&context, &events))
        };
        assert_eq!((call.as_str(), output.text.as_str()), ("t", "a"));
    }

    #[test]
    fn what_was_cached_is_part_of_the_input() {
        let usage = parse_usage(&json!({"input_tokens": 7, "output_tokens": 2, "cache_read_tokens": 3})).unwrap();
        assert_eq!((usage.input_tokens, usage.cached_tokens), (10, 3));
    }
}
