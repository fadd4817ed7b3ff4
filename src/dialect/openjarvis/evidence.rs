//! Evidence in a stream that it is OpenJarvis's and which of its streams it is, and the extensions of its chunks.

use std::borrow::Cow;

use serde_json::json;

use super::super::DecodeContext;
use super::super::chat::wire::Chunk;
use super::{about_turn, error_prose, progress_event};
use crate::event::{Annotation, Fault, Json, ReplyEvent, Timing};

/// Events of the bus, and the bridge's own `tool_results`. Some are not forwarded today.
pub(super) const BUS_EVENTS: &[&str] = &[
    "agent_turn_start",
    "agent_turn_end",
    "inference_start",
    "inference_end",
    "tool_call_start",
    "tool_call_end",
    "tool_results",
    "tool_timeout",
];

#[derive(Debug)]
pub(super) struct OpenJarvisEvidence {
    evidence: Option<Cow<'static, str>>,
    /// A managed agent; none while it may be either.
    is_managed: Option<bool>,
    seen_chunk: bool,
    /// When the answer started, in seconds on the server's clock.
    answer_started_at: Option<f64>,
}

impl OpenJarvisEvidence {
    pub(super) fn from_context(context: &DecodeContext) -> Self {
        let managed = context.path.contains("/managed-agents/");
        let research = context.path.ends_with("/api/research");
        let bridge = context.path.ends_with("/chat/completions");
        Self {
            evidence: (managed || research).then(|| format!("its path is {}", context.path).into()),
            is_managed: if managed { Some(true) } else { (bridge || research).then_some(false) },
            seen_chunk: false,
            answer_started_at: None,
        }
    }

    /// For a stream that is known to be OpenJarvis's.
    pub(super) fn certain(context: &DecodeContext) -> Self {
        let signs = Self::from_context(context);
        Self { evidence: signs.evidence.or(Some("it was configured".into())), ..signs }
    }

    pub(super) fn evidence(&self) -> Option<&str> {
        self.evidence.as_deref()
    }

    pub(super) fn is_managed(&self) -> bool {
        self.is_managed == Some(true)
    }

    pub(super) fn answer_started_at(&self) -> Option<f64> {
        self.answer_started_at
    }

    pub(super) fn observe_event(&mut self, name: &str) {
        // The bridge starts with a chunk, and announces its agent before any tools.
        let first_is_tool = !self.seen_chunk && name.starts_with("tool_call_");
        self.is_managed.get_or_insert(first_is_tool);
        self.evidence.get_or_insert_with(|| format!("a frame is named {name}").into());
    }

    pub(super) fn observe_research(&mut self) {
        self.evidence.get_or_insert("its frames are those of deep research".into());
    }

    /// Takes OpenJarvis's extensions out of a chunk; returns the fault if its text is an error's prose.
    pub(super) fn inspect_chunk(
        &mut self,
        chunk: &mut Chunk<'_>,
        data: &str,
        out: &mut Vec<ReplyEvent>,
    ) -> Option<Fault> {
        if self.answer_started_at.is_none() {
            self.answer_started_at = chunk.created.0.map(|seconds| seconds as f64);
        }
        if !std::mem::replace(&mut self.seen_chunk, true) && is_openjarvis_id(chunk.id.non_empty().unwrap_or_default())
        {
            self.inspect_first_chunk(chunk, data);
        }
        if let Some(data) = chunk.telemetry.take().filter(Json::is_object) {
            self.evidence.get_or_insert("a chunk holds its telemetry".into());
            out.extend(rate(&data).map(about_turn));
            out.push(about_turn(Annotation::Telemetry(data)));
        }
        if let Some(data) = chunk.complexity.take().filter(Json::is_object) {
            self.evidence.get_or_insert("a chunk holds its complexity".into());
            out.push(about_turn(Annotation::Complexity(data)));
        }
        let mut fault = None;
        for choice in &mut chunk.choices.0 {
            if let Some(label) = choice.tool_progress.take() {
                self.evidence.get_or_insert("a chunk holds its tool_progress".into());
                out.push(progress_event(json!({"step": "tool", "label": label})));
            }
            if self.evidence.is_none() || choice.finish_reason.non_empty() != Some("stop") {
                continue;
            }
            let Some(delta) = &mut choice.delta.0 else { continue };
            if let Some(found) =
                delta.content.non_empty().and_then(|text| error_prose::parse_fault(text, self.is_managed()))
            {
                delta.content.text = None;
                fault = Some(found);
            }
        }
        fault
    }

    fn inspect_first_chunk(&mut self, chunk: &Chunk<'_>, data: &str) {
        if chunk.created.0.is_none() {
            self.is_managed.get_or_insert(true);
            self.evidence.get_or_insert("its chunks have the ids of OpenJarvis and no time".into());
        } else if ["\"content\":null", "\"content\": null"].iter().any(|null| data.contains(null)) {
            self.is_managed.get_or_insert(false);
            self.evidence
                .get_or_insert("its first chunk has an id and a null content as OpenJarvis writes them".into());
        }
    }
}

/// `chatcmpl-` and 12 hexadecimal digits; those of other servers are longer.
fn is_openjarvis_id(id: &str) -> bool {
    id.strip_prefix("chatcmpl-")
        .is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

/// The speed that a research agent measured, as all servers' is annotated.
fn rate(telemetry: &Json) -> Option<Annotation> {
    let tokens_per_second = Some(telemetry.get("tokens_per_sec")?.as_f64()?);
    Some(Annotation::Timing(Timing { tokens_per_second, ..Timing::default() }))
}
