//! How a reply ends: what its server says of that, its usage and its failure, the same way in every dialect that needs
//! no more than this.

use serde_json::json;

use super::agent_reply::{AgentReply, annotate, report_usage};
use super::error::{self, ServerError};
use super::finish_reason::{CONTENT_FILTER_MESSAGE, FinishTracker, empty_response_notice};
use super::unknown_frames::UnknownFrames;
use super::{SseFrame, surrogate, usage};
use crate::event::{Annotation, Fault, FaultKind, FinishReason, Json, ReplyEvent, TurnOutcome, Usage};

/// Sources that are kept.
const MAX_SOURCES: usize = 256;

/// What is known of the end of a reply.
#[derive(Debug, Default)]
pub(super) struct ReplyEnd {
    pub(super) finish_tracker: FinishTracker,
    pub(super) usage: Option<Usage>,
    /// The end mark came.
    pub(super) has_ended: bool,
    /// Somebody stopped it.
    pub(super) is_cancelled: bool,
    /// The server gave it up.
    pub(super) is_aborted: bool,
    pub(super) unknown_frames: UnknownFrames,
    fault: Option<Fault>,
    sources: Vec<Json>,
}

impl ReplyEnd {
    /// Parses the data of a frame as a JSON object; the flag says whether its texts hold marks of lone surrogates. What
    /// is none is an error, an end mark or reported.
    pub(super) fn parse_object(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) -> Option<(Json, bool)> {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return None;
        }
        let repaired = surrogate::mark_if_lone(data);
        let json = serde_json::from_str::<Json>(repaired.as_deref().unwrap_or(data)).ok();
        if let Some(object) = json.filter(Json::is_object) {
            return Some((object, repaired.is_some()));
        }
        self.report_unparsed(frame, out);
        None
    }

    /// Takes a frame whose data is no JSON object: an error, or reported.
    pub(super) fn report_unparsed(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        match error::find_error_in_unparsed(frame) {
            Some(server_error) => self.fail(&server_error),
            None => self.unknown_frames.report("data that is not a JSON object", out),
        }
    }

    /// Takes an error of the server. The first one counts.
    pub(super) fn fail(&mut self, server_error: &ServerError) {
        self.fail_with(error::to_fault(server_error));
    }

    /// The same for a failure that is not told as an error.
    pub(super) fn fail_with(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    /// Takes counts of the whole reply so far.
    pub(super) fn take_usage(&mut self, counts: Option<&Json>) {
        self.usage = usage::merge(self.usage, counts.and_then(usage::parse));
    }

    /// Adds the counts of one request.
    pub(super) fn add_usage(&mut self, more: Option<Usage>) {
        self.usage = match (self.usage, more) {
            (Some(sum), Some(more)) => Some(sum.plus(more)),
            (sum, more) => sum.or(more),
        };
    }

    fn outcome(&mut self) -> TurnOutcome {
        if let Some(fault) = self.fault.take() {
            TurnOutcome::Failed(fault)
        } else if self.is_cancelled {
            TurnOutcome::Cancelled
        } else if self.is_aborted {
            TurnOutcome::Interrupted
        } else if self.finish_tracker.is_filtered() {
            TurnOutcome::Failed(Fault::new(FaultKind::Refused, CONTENT_FILTER_MESSAGE))
        } else if let Some(fault) = self.finish_tracker.fault() {
            TurnOutcome::Failed(fault)
        } else if self.has_ended {
            TurnOutcome::Completed
        } else {
            TurnOutcome::Interrupted
        }
    }

    /// Notes where the reply has something from, unless that is known.
    pub(super) fn note_source(&mut self, title: Option<&Json>, url: Option<&Json>) {
        if title.or(url).is_some_and(|text| !text.is_null()) {
            self.add_source(json!({ "title": title, "url": url }));
        }
    }

    /// The same for a source that the dialect describes otherwise.
    pub(super) fn add_source(&mut self, source: Json) {
        if self.sources.len() < MAX_SOURCES && !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }

    /// Ends the reply: closes its messages, tells its sources and usage, and how it ended.
    pub(super) fn finish(&mut self, reply: &mut AgentReply, out: &mut Vec<ReplyEvent>) {
        let told = self.finish_tracker.finish_reason();
        let outcome = self.outcome();
        let reason = if outcome == TurnOutcome::Completed {
            // Some are told in pieces and without an end of their own.
            reply.calls.mark_whole_ready(told == Some(FinishReason::Length), out);
            if !reply.has_said_any() && told == Some(FinishReason::End) {
                out.push(empty_response_notice());
            }
            told.filter(|told| matches!(told, FinishReason::Length | FinishReason::Refused))
        } else {
            Some(outcome.finish_reason())
        };
        reply.close_all(reason, out);
        if !self.sources.is_empty() {
            annotate(Annotation::Sources(std::mem::take(&mut self.sources).into()), out);
        }
        report_usage(self.usage.take(), out);
        out.push(ReplyEvent::End { outcome });
    }
}
