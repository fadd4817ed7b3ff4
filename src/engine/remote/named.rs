//! A decoder that finds its dialect by itself and says as a fact what it found: for JSON output, logs and people.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::dialect::detect::Detector;
use crate::dialect::{Context, Decode, SseFrame};
use crate::event::{AgentEvent, Json, Subject};

/// Detects, decodes, and tells the dialect, as an annotation in front of the first events.
pub struct Named {
    inner: Detector,
    pinned: bool,
    /// The dialect that was told; chat completions may turn out to be OpenJarvis's.
    annotated: &'static str,
    /// Whether the person was told in an earlier answer.
    told: Arc<AtomicBool>,
    explain: bool,
}

impl Named {
    /// Decodes as `dialect` says, where it names a known one, or finds out.
    pub fn new(dialect: Option<&str>, context: Context, told: Arc<AtomicBool>, explain: bool) -> Self {
        let pinned = dialect.and_then(|name| Detector::pinned(name, context.clone()));
        let is_pinned = pinned.is_some();
        let inner = pinned.unwrap_or_else(|| Detector::new(context));
        Self { inner, pinned: is_pinned, annotated: "", told, explain }
    }

    /// Adds the annotation once the dialect is known. The detector's own words for people come once a session.
    fn annotate(&mut self, from: usize, out: &mut Vec<AgentEvent>) {
        let name = self.inner.name();
        if name.is_empty() || name == self.annotated {
            return;
        }
        self.annotated = name;
        let said = |event: &AgentEvent| matches!(event, AgentEvent::Noticed { code, .. } if code == "dialect");
        let at = out.iter().skip(from).position(said).map(|at| from + at);
        let because = match at.and_then(|at| out.get(at)) {
            Some(AgentEvent::Noticed { text, .. }) => {
                text.split_once(" because ").map_or(text.as_str(), |(_, why)| why).to_owned()
            }
            _ if self.pinned => "it was named with --dialect".to_owned(),
            _ => String::new(),
        };
        if let Some(at) = at
            && self.told.swap(true, Ordering::Relaxed)
            && !self.explain
        {
            out.remove(at);
        }
        let data = json!({ "name": name, "because": because });
        let note = AgentEvent::Annotated { on: Subject::Turn("t".into()), kind: "dialect".into(), data };
        out.insert(from.min(out.len()), note);
    }
}

impl Decode for Named {
    fn content_type(&mut self, content_type: &str) {
        self.inner.content_type(content_type);
    }

    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let from = out.len();
        self.inner.frame(frame, out);
        self.annotate(from, out);
    }

    fn beside(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let from = out.len();
        self.inner.beside(frame, out);
        self.annotate(from, out);
    }

    fn settle(&mut self, records: &[Option<&Json>], out: &mut Vec<AgentEvent>) -> bool {
        self.inner.settle(records, out)
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        let from = out.len();
        self.inner.finish(out);
        self.annotate(from, out);
    }

    fn has_failed(&self) -> bool {
        self.inner.has_failed()
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    fn is_settled(&self) -> bool {
        self.inner.is_settled()
    }
}
